/** Where programs that the kernel runs on Ethernet frames find what they decide by, in bytes from the beginning of the frame. */
import { ETHERNET_HEADER } from './packet_abi.js';

export const TYPE_AT = 12;
export const IPV4_TO_AT = ETHERNET_HEADER + 16;
export const IPV6_NEXT_AT = ETHERNET_HEADER + 6;
export const IPV6_TO_AT = ETHERNET_HEADER + 24;

/** The next header that says ICMPv6. */
export const ICMP6 = 58;

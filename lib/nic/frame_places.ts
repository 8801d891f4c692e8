/** Where programs that the kernel runs on Ethernet frames find what they decide by, in bytes from the beginning of the frame. */
import { ETHERNET_HEADER } from './packet_abi.js';

export const TYPE_AT = 12;
/** What stands there. */
export const ETHERTYPE_IPV4 = Uint8Array.of(0x08, 0x00);
export const ETHERTYPE_IPV6 = Uint8Array.of(0x86, 0xdd);
export const IPV4_FRAGMENT_AT = ETHERNET_HEADER + 6;
export const IPV4_PROTOCOL_AT = ETHERNET_HEADER + 9;
export const IPV4_TO_AT = ETHERNET_HEADER + 16;
export const IPV6_NEXT_AT = ETHERNET_HEADER + 6;
export const IPV6_TO_AT = ETHERNET_HEADER + 24;

export const FRAGMENT_OFFSET = 0x1fff;
export const ICMP = 1;
export const TCP = 6;
export const ICMP6 = 58;
/** Types of ICMP that are errors: unreachable, time exceeded, parameter problem. Those of ICMPv6 are 1 to 4, and up to 127. */
export const ICMP_ERRORS: readonly number[] = [3, 11, 12];
export const ICMP6_INFORMATIONAL = 128;

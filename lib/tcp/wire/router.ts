/**
 * Messages between hosts and routers (RFC 4861 4.1, 4.2, 4.6), which are ICMPv6 messages. Accessors may be used on what
 * `checkRouterAdvertisement` has passed, and those of an option at its place.
 */
import { get16, get32 } from './bytes.js';
import { copyMac } from './ethernet.js';
import { ICMP6_CODE, ROUTER_SOLICITATION, emitIcmp6 } from './icmp6.js';
import { NDP_OPTION, SOURCE_LINK_ADDRESS, checkOptions } from './ndp.js';

/** Bytes of a solicitation and of an advertisement without options. */
export const RS_HEADER = 8;
export const RA_HEADER = 16;

/** Offsets in an advertisement. */
export const RA_HOP_LIMIT = 4;
export const RA_FLAGS = 5;
export const RA_LIFETIME = 6;
export const RA_REACHABLE = 8;
export const RA_RETRANSMIT = 12;

/** Options of an advertisement, beside the link address of its sender. */
export const PREFIX_INFORMATION = 3;
export const LINK_MTU = 5;
/** Bytes of a prefix information. */
export const PREFIX_OPTION = 32;
/** Offsets in it. */
export const PREFIX_LENGTH = 2;
export const PREFIX_FLAGS = 3;
export const PREFIX_VALID = 4;
export const PREFIX_PREFERRED = 8;
export const PREFIX_ADDRESS = 16;
/** Its flags: the prefix is on the link; addresses may be formed of it. */
export const ON_LINK_FLAG = 0x80;
export const AUTONOMOUS_FLAG = 0x40;

/** ff02::2, all routers of the link. */
export const ALL_ROUTERS = Int32Array.of(0xff020000, 0, 0, 2);

/** True where a message of `length` bytes is an advertisement whose options can be walked (RFC 4861 6.1.2). */
export function checkRouterAdvertisement(bytes: Uint8Array, at: number, length: number): boolean {
  return length >= RA_HEADER && bytes[at + ICMP6_CODE] === 0 && checkOptions(bytes, at + RA_HEADER, at + length);
}

/** Hop limit of packets to be sent; 0: the router does not say. */
export function raHopLimit(bytes: Uint8Array, at: number): number {
  return bytes[at + RA_HOP_LIMIT]!;
}

/** How long its sender is a default router, in s; 0: it is none. */
export function raLifetime(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + RA_LIFETIME);
}

/** How long a neighbour that has answered is believed to be there, in ms; 0: the router does not say. */
export function raReachableTime(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + RA_REACHABLE) >>> 0;
}

/** Kind and length, in bytes, of the option at `at`. */
export function optionKind(bytes: Uint8Array, at: number): number {
  return bytes[at]!;
}

export function optionLength(bytes: Uint8Array, at: number): number {
  return bytes[at + 1]! << 3;
}

/** Bits of a prefix, as the option says: 0 to 255. */
export function prefixLength(bytes: Uint8Array, option: number): number {
  return bytes[option + PREFIX_LENGTH]!;
}

export function prefixFlags(bytes: Uint8Array, option: number): number {
  return bytes[option + PREFIX_FLAGS]!;
}

/** Lifetimes in s, Infinity for all ones. */
export function validLifetime(bytes: Uint8Array, option: number): number {
  return lifetime(bytes, option + PREFIX_VALID);
}

export function preferredLifetime(bytes: Uint8Array, option: number): number {
  return lifetime(bytes, option + PREFIX_PREFERRED);
}

function lifetime(bytes: Uint8Array, at: number): number {
  const seconds = get32(bytes, at) >>> 0;
  return seconds === 0xffffffff ? Infinity : seconds;
}

/** MTU of the link, in bytes. */
export function linkMtu(bytes: Uint8Array, option: number): number {
  return get32(bytes, option + 4) >>> 0;
}

/** Writes a solicitation without checksum. @param mac the sender's link address; null where it has no address yet. @returns its length. */
export function emitRouterSolicitation(bytes: Uint8Array, at: number, mac: Uint8Array | null): number {
  emitIcmp6(bytes, at, ROUTER_SOLICITATION, 0, 0);
  if (mac === null) return RS_HEADER;
  bytes[at + RS_HEADER] = SOURCE_LINK_ADDRESS;
  bytes[at + RS_HEADER + 1] = 1;
  copyMac(mac, 0, bytes, at + RS_HEADER + 2);
  return RS_HEADER + NDP_OPTION;
}

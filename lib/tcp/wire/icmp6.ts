/**
 * ICMP for IPv6 (RFC 4443). Accessors may be used on what `checkIcmp6` has passed.
 */
import { get32, put16, put32 } from './bytes.js';
import { add, complement, pseudoHeader6, verify } from './checksum.js';
import { ICMP6 } from './ipv6.js';

/** Bytes of the header: type, code, checksum, and four bytes that depend on the type. */
export const ICMP6_HEADER = 8;
const SHORTEST = 4;

/** Offsets in the message. */
export const ICMP6_TYPE = 0;
export const ICMP6_CODE = 1;
export const ICMP6_CHECKSUM = 2;
/** "Packet too big": MTU of the next hop. "Parameter problem": place of the byte that is wrong. */
export const ICMP6_PARAMETER = 4;
/** An error: the packet that it is about. */
export const ICMP6_EMBEDDED = 8;

/** Types. Those below 128 are errors. */
export const UNREACHABLE6 = 1;
export const PACKET_TOO_BIG = 2;
export const TIME_EXCEEDED6 = 3;
export const PARAMETER_PROBLEM6 = 4;
export const FIRST_INFORMATIONAL = 128;
export const ECHO6 = 128;
export const ECHO_REPLY6 = 129;
export const MLD_QUERY = 130;
export const MLD1_REPORT = 131;
export const MLD1_DONE = 132;
export const ROUTER_SOLICITATION = 133;
export const ROUTER_ADVERTISEMENT = 134;
export const NEIGHBOUR_SOLICITATION = 135;
export const NEIGHBOUR_ADVERTISEMENT = 136;
export const REDIRECT6 = 137;
export const MLD2_REPORT = 143;

/** Codes of UNREACHABLE6 (RFC 4443 3.1). */
export const NO_ROUTE6 = 0;
export const PROHIBITED6 = 1;
export const PORT6 = 4;

/** Code of TIME_EXCEEDED6: fragments did not come in time. */
export const REASSEMBLY_TIME = 1;

/** Results of `checkIcmp6`. */
export const ICMP6_OK = 0;
export const ICMP6_TRUNCATED = 1;
export const ICMP6_BAD_CHECKSUM = 2;

/** Looks whether a message of `length` bytes has a whole header and the right checksum. @param words both addresses from 0. */
export function checkIcmp6(bytes: Uint8Array, at: number, length: number, words: Int32Array): number {
  if (length < SHORTEST) return ICMP6_TRUNCATED;
  if (!verify(pseudoHeader6(words, 0, 4, ICMP6, length), bytes, at, length)) return ICMP6_BAD_CHECKSUM;
  return length < ICMP6_HEADER ? ICMP6_TRUNCATED : ICMP6_OK;
}

export function icmp6Type(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP6_TYPE]!;
}

export function icmp6Code(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP6_CODE]!;
}

/** MTU or pointer, uint32. */
export function icmp6Parameter(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ICMP6_PARAMETER) >>> 0;
}

/** Writes a header without checksum; `finishIcmp6` follows once the rest is there. */
export function emitIcmp6(bytes: Uint8Array, at: number, type: number, code: number, parameter: number): void {
  put32(bytes, at, (type << 24) | (code << 16));
  put32(bytes, at + ICMP6_PARAMETER, parameter);
}

/** Fills in the checksum of a message of `length` bytes between two addresses. */
export function finishIcmp6(
  bytes: Uint8Array, at: number, length: number, words: Int32Array, sourceAt: number, destinationAt: number,
): void {
  put16(bytes, at + ICMP6_CHECKSUM, 0);
  const sum = add(pseudoHeader6(words, sourceAt, destinationAt, ICMP6, length), bytes, at, length);
  put16(bytes, at + ICMP6_CHECKSUM, complement(sum));
}

/**
 * ICMP for IPv4 (RFC 792). Accessors may be used on what `checkIcmp` has passed.
 */
import { get16, put16, put32 } from './bytes.js';
import { add, complement, verify } from './checksum.js';

/** Bytes of the header: type, code, checksum, and four bytes that depend on the type. */
export const ICMP_HEADER = 8;

/** Offsets in the message. */
export const ICMP_TYPE = 0;
export const ICMP_CODE = 1;
export const ICMP_CHECKSUM = 2;
/** "Fragmentation needed": MTU of the next hop (RFC 1191 4). */
export const ICMP_NEXT_HOP_MTU = 6;
/** An error: the packet that it is about. */
export const ICMP_EMBEDDED = 8;

/** Types. */
export const ICMP_ECHO_REPLY = 0;
export const ICMP_UNREACHABLE = 3;
export const ICMP_REDIRECT = 5;
export const ICMP_ECHO = 8;
export const ICMP_TIME_EXCEEDED = 11;
export const ICMP_PARAMETER_PROBLEM = 12;

/** Codes of ICMP_UNREACHABLE (RFC 792, RFC 1122 3.2.2.1). */
export const UNREACHABLE_NETWORK = 0;
export const UNREACHABLE_HOST = 1;
export const UNREACHABLE_PROTOCOL = 2;
export const UNREACHABLE_PORT = 3;
export const FRAGMENTATION_NEEDED = 4;
export const NETWORK_UNKNOWN = 6;
export const NETWORK_PROHIBITED = 9;
export const NETWORK_TOS = 11;

/** Code of ICMP_TIME_EXCEEDED: fragments did not come in time. */
export const REASSEMBLY_TIME = 1;

/** Results of `checkIcmp`. */
export const ICMP_OK = 0;
export const ICMP_TRUNCATED = 1;
export const ICMP_BAD_CHECKSUM = 2;

/** Looks whether a message of `length` bytes has a whole header and the right checksum. */
export function checkIcmp(bytes: Uint8Array, at: number, length: number): number {
  if (length < ICMP_HEADER) return ICMP_TRUNCATED;
  return verify(0, bytes, at, length) ? ICMP_OK : ICMP_BAD_CHECKSUM;
}

export function icmpType(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP_TYPE]!;
}

export function icmpCode(bytes: Uint8Array, at: number): number {
  return bytes[at + ICMP_CODE]!;
}

/** MTU of the next hop in "fragmentation needed"; 0 from a router older than RFC 1191. */
export function icmpNextHopMtu(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ICMP_NEXT_HOP_MTU);
}

/** True for a message that reports an error, which must not be answered with one (RFC 1122 3.2.2). */
export function isIcmpError(type: number): boolean {
  return type !== ICMP_ECHO && type !== ICMP_ECHO_REPLY && !(type >= 13 && type <= 18);
}

/** Writes a header of zeros but for type and code; `finishIcmp` follows once the rest is there. */
export function emitIcmp(bytes: Uint8Array, at: number, type: number, code: number): void {
  put32(bytes, at, (type << 24) | (code << 16));
  put32(bytes, at + 4, 0);
}

/** Fills in the checksum of a message of `length` bytes. */
export function finishIcmp(bytes: Uint8Array, at: number, length: number): void {
  put16(bytes, at + ICMP_CHECKSUM, 0);
  put16(bytes, at + ICMP_CHECKSUM, complement(add(0, bytes, at, length)));
}

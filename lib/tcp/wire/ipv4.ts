/**
 * The IPv4 header (RFC 791 3.1). Accessors may be used on what `checkIPv4` has passed, and on the header embedded in an
 * ICMP error that `checkIPv4Embedded` has passed.
 */
import { get16, get32, put16, put32 } from './bytes.js';
import { complement, fold, verify } from './checksum.js';

/** Bytes of the header without options. */
export const IPV4_HEADER = 20;
/** Largest packet. */
export const IPV4_MAX = 65535;

/** Offsets in the header. */
export const IPV4_VERSION = 0;
export const IPV4_TOS = 1;
export const IPV4_TOTAL_LENGTH = 2;
export const IPV4_IDENTIFICATION = 4;
export const IPV4_FRAGMENT = 6;
export const IPV4_TTL = 8;
export const IPV4_PROTOCOL = 9;
export const IPV4_CHECKSUM = 10;
export const IPV4_SOURCE = 12;
export const IPV4_DESTINATION = 16;
export const IPV4_OPTIONS = 20;

/** Bits of the fragment field. */
export const DONT_FRAGMENT = 0x4000;
export const MORE_FRAGMENTS = 0x2000;
/** Offset of the fragment in units of eight bytes. */
export const FRAGMENT_OFFSET = 0x1fff;

export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;

/** Results of `checkIPv4`. */
export const IPV4_OK = 0;
/** Fewer bytes than the header says, or than any header has. */
export const IPV4_TRUNCATED = 1;
export const IPV4_BAD_VERSION = 2;
/** A header length below five words, or a total length that does not even hold the header. */
export const IPV4_BAD_LENGTH = 3;
export const IPV4_BAD_CHECKSUM = 4;

/**
 * Looks whether `length` bytes at `at` begin with a whole, intact IPv4 packet (RFC 1122 3.2.1). Bytes beyond the total
 * length are padding of the link.
 */
export function checkIPv4(bytes: Uint8Array, at: number, length: number): number {
  if (length < IPV4_HEADER) return IPV4_TRUNCATED;
  const first = bytes[at]!;
  if (first >>> 4 !== 4) return IPV4_BAD_VERSION;
  const header = (first & 15) << 2;
  if (header < IPV4_HEADER) return IPV4_BAD_LENGTH;
  const total = ipv4TotalLength(bytes, at);
  if (total < header) return IPV4_BAD_LENGTH;
  if (total > length) return IPV4_TRUNCATED;
  return verify(0, bytes, at, header) ? IPV4_OK : IPV4_BAD_CHECKSUM;
}

/** Looks whether `length` bytes at `at` begin with an IPv4 header and eight bytes of what it carries: the packet in an ICMP error. */
export function checkIPv4Embedded(bytes: Uint8Array, at: number, length: number): number {
  if (length < IPV4_HEADER) return IPV4_TRUNCATED;
  if (bytes[at]! >>> 4 !== 4) return IPV4_BAD_VERSION;
  const header = ipv4HeaderLength(bytes, at);
  if (header < IPV4_HEADER) return IPV4_BAD_LENGTH;
  return header + 8 > length ? IPV4_TRUNCATED : IPV4_OK;
}

/** Header with options, in bytes, 20 to 60. */
export function ipv4HeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & 15) << 2;
}

/** Type of service: DSCP in the upper six bits, ECN in the lower two. */
export function ipv4Tos(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TOS]!;
}

/** Header and payload, in bytes. */
export function ipv4TotalLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_TOTAL_LENGTH);
}

export function ipv4Identification(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_IDENTIFICATION);
}

/** Flags and fragment offset. */
export function ipv4Fragment(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV4_FRAGMENT);
}

export function ipv4Ttl(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_TTL]!;
}

export function ipv4Protocol(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV4_PROTOCOL]!;
}

/** Source address, int32. */
export function ipv4Source(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + IPV4_SOURCE);
}

/** Destination address, int32. */
export function ipv4Destination(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + IPV4_DESTINATION);
}

const OPTION_END = 0;
const OPTION_NOP = 1;
const OPTION_LSRR = 131;
const OPTION_SSRR = 137;

/** True where the options of a header ask for a source route, or cannot be walked. */
export function ipv4SourceRouted(bytes: Uint8Array, at: number): boolean {
  const end = at + ipv4HeaderLength(bytes, at);
  let option = at + IPV4_OPTIONS;
  while (option < end) {
    const kind = bytes[option]!;
    if (kind === OPTION_END) return false;
    if (kind === OPTION_NOP) {
      option++;
      continue;
    }
    if (kind === OPTION_LSRR || kind === OPTION_SSRR) return true;
    const length = option + 1 < end ? bytes[option + 1]! : 0;
    if (length < 2 || option + length > end) return true;
    option += length;
  }
  return false;
}

/**
 * Writes a header without options, checksum included.
 *
 * @param totalLength header and payload, in bytes, 20 to 65535.
 * @param fragment DONT_FRAGMENT, or 0.
 */
export function emitIPv4(
  bytes: Uint8Array, at: number, tos: number, totalLength: number, identification: number, fragment: number,
  ttl: number, protocol: number, source: number, destination: number,
): void {
  const first = 0x4500 | tos;
  const last = (ttl << 8) | protocol;
  const sum = first + totalLength + identification + fragment + last + (source >>> 16) + (source & 0xffff)
    + (destination >>> 16) + (destination & 0xffff);
  put16(bytes, at, first);
  put16(bytes, at + IPV4_TOTAL_LENGTH, totalLength);
  put16(bytes, at + IPV4_IDENTIFICATION, identification);
  put16(bytes, at + IPV4_FRAGMENT, fragment);
  put16(bytes, at + IPV4_TTL, last);
  put16(bytes, at + IPV4_CHECKSUM, complement(fold(sum)));
  put32(bytes, at + IPV4_SOURCE, source);
  put32(bytes, at + IPV4_DESTINATION, destination);
}

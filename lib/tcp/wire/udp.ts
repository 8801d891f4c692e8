/**
 * The UDP header (RFC 768), as far as IPv4 carries it here: for DHCP alone. Accessors may be used on what `checkUdp` has passed.
 */
import { get16, put16 } from './bytes.js';
import { add, complement, pseudoHeader4, verify } from './checksum.js';
import { PROTOCOL_UDP } from './ipv4.js';

/** Bytes of the header. */
export const UDP_HEADER = 8;

/** Offsets in the header. */
export const UDP_SOURCE = 0;
export const UDP_DESTINATION = 2;
export const UDP_LENGTH = 4;
export const UDP_CHECKSUM = 6;

/** Results of `checkUdp`. */
export const UDP_OK = 0;
/** Fewer bytes than the header says, or than any header has. */
export const UDP_TRUNCATED = 1;
/** A length that does not even hold the header. */
export const UDP_BAD_LENGTH = 2;
export const UDP_BAD_CHECKSUM = 3;

/**
 * Looks whether `length` bytes at `at` begin with a whole, intact datagram between two IPv4 addresses, int32. A checksum of 0 says that
 * the sender has made none. Bytes beyond the datagram's own length are not part of it.
 *
 * @param verified the checksum is known to be good, or to have been left to a device that never saw a wire.
 */
export function checkUdp(bytes: Uint8Array, at: number, length: number, source: number, destination: number, verified: boolean): number {
  if (length < UDP_HEADER) return UDP_TRUNCATED;
  const own = udpLength(bytes, at);
  if (own < UDP_HEADER) return UDP_BAD_LENGTH;
  if (own > length) return UDP_TRUNCATED;
  if (verified || get16(bytes, at + UDP_CHECKSUM) === 0) return UDP_OK;
  return verify(pseudoHeader4(source, destination, PROTOCOL_UDP, own), bytes, at, own) ? UDP_OK : UDP_BAD_CHECKSUM;
}

export function udpSource(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_SOURCE);
}

export function udpDestination(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_DESTINATION);
}

/** Header and payload, in bytes. */
export function udpLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + UDP_LENGTH);
}

/** Writes the header of a datagram between two IPv4 addresses whose `payload` bytes lie behind it already, checksum included. */
export function emitUdp(
  bytes: Uint8Array, at: number, source: number, sourcePort: number, destination: number, destinationPort: number, payload: number,
): void {
  const length = UDP_HEADER + payload;
  put16(bytes, at + UDP_SOURCE, sourcePort);
  put16(bytes, at + UDP_DESTINATION, destinationPort);
  put16(bytes, at + UDP_LENGTH, length);
  put16(bytes, at + UDP_CHECKSUM, 0);
  const checksum = complement(add(pseudoHeader4(source, destination, PROTOCOL_UDP, length), bytes, at, length));
  // 0 stands for no checksum, and all ones for the same sum.
  put16(bytes, at + UDP_CHECKSUM, checksum === 0 ? 0xffff : checksum);
}

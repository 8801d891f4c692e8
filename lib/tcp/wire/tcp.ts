/**
 * The TCP header (RFC 9293 3.1).
 *
 * Accessors take the array and the offset of the header. They may be used on what `checkTcp` has passed, and, for the
 * first eight bytes, on a header embedded in an ICMP error.
 */
import { get16, get32, put16, put32 } from './bytes.js';

/** Bytes of the header without options. */
export const TCP_HEADER = 20;
/** Bytes of the longest header: 15 words. */
export const TCP_HEADER_MAX = 60;

/** Offsets in the header. */
export const TCP_SOURCE = 0;
export const TCP_DESTINATION = 2;
export const TCP_SEQUENCE = 4;
export const TCP_ACKNOWLEDGEMENT = 8;
export const TCP_DATA_OFFSET = 12;
export const TCP_FLAGS = 13;
export const TCP_WINDOW = 14;
export const TCP_CHECKSUM = 16;
export const TCP_URGENT = 18;
export const TCP_OPTIONS = 20;

/** Control bits. */
export const FIN = 1;
export const SYN = 2;
export const RST = 4;
export const PSH = 8;
export const ACK = 16;
export const URG = 32;
/** RFC 3168 6.1. */
export const ECE = 64;
export const CWR = 128;

/** Results of `checkTcp`. */
export const TCP_OK = 0;
/** Fewer bytes than the header says it has. */
export const TCP_TRUNCATED = 1;
/** A data offset of less than five words. */
export const TCP_BAD_OFFSET = 2;
/** A port of 0, which no socket has. */
export const TCP_BAD_PORT = 3;

/** Looks whether a segment of `length` bytes (header and payload) at `at` has a whole header that makes sense. */
export function checkTcp(bytes: Uint8Array, at: number, length: number): number {
  if (length < TCP_HEADER) return TCP_TRUNCATED;
  const header = tcpHeaderLength(bytes, at);
  if (header < TCP_HEADER) return TCP_BAD_OFFSET;
  if (header > length) return TCP_TRUNCATED;
  if (tcpSource(bytes, at) === 0 || tcpDestination(bytes, at) === 0) return TCP_BAD_PORT;
  return TCP_OK;
}

export function tcpSource(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_SOURCE);
}

export function tcpDestination(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_DESTINATION);
}

/** Sequence number as int32. */
export function tcpSequence(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + TCP_SEQUENCE);
}

/** Acknowledgement number as int32; it means something where ACK is set. */
export function tcpAcknowledgement(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + TCP_ACKNOWLEDGEMENT);
}

/** Header with options, in bytes, 0 to 60. */
export function tcpHeaderLength(bytes: Uint8Array, at: number): number {
  return (bytes[at + TCP_DATA_OFFSET]! >>> 4) << 2;
}

/** The eight control bits. */
export function tcpFlags(bytes: Uint8Array, at: number): number {
  return bytes[at + TCP_FLAGS]!;
}

/** Window as it stands there, not scaled. */
export function tcpWindow(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_WINDOW);
}

export function tcpChecksum(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_CHECKSUM);
}

/** Urgent pointer; it means something where URG is set. */
export function tcpUrgent(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + TCP_URGENT);
}

/**
 * Writes the 20 fixed bytes of a header; checksum and urgent pointer are 0.
 *
 * @param headerLength with options, in bytes: a multiple of four, 20 to 60.
 * @param window as it goes out, 0 to 65535.
 */
export function emitTcp(
  bytes: Uint8Array, at: number, source: number, destination: number, sequence: number, acknowledgement: number,
  flags: number, window: number, headerLength: number,
): void {
  put16(bytes, at + TCP_SOURCE, source);
  put16(bytes, at + TCP_DESTINATION, destination);
  put32(bytes, at + TCP_SEQUENCE, sequence);
  put32(bytes, at + TCP_ACKNOWLEDGEMENT, acknowledgement);
  bytes[at + TCP_DATA_OFFSET] = headerLength << 2;
  bytes[at + TCP_FLAGS] = flags;
  put16(bytes, at + TCP_WINDOW, window);
  put32(bytes, at + TCP_CHECKSUM, 0);
}

/**
 * TCP options (RFC 9293 3.1, RFC 7323, RFC 2018): read into one record that is used again for each segment, and written
 * in the order in which Linux writes them, so that a middlebox or a fingerprint sees nothing unusual.
 */
import { get16, get32, put16, put32 } from './bytes.js';
import { TCP_HEADER, tcpHeaderLength } from './tcp.js';

/** Option kinds. */
const END = 0;
const NOP = 1;
const MSS = 2;
const WINDOW_SCALE = 3;
const SACK_PERMITTED = 4;
const SACK = 5;
const TIMESTAMPS = 8;

/** Bytes that options can take at most. */
export const OPTIONS_MAX = 40;
/** Bytes of `emitTimestamps`. */
export const TIMESTAMPS_LENGTH = 12;
/** Largest window scale that is used; a larger one counts as this (RFC 7323 2.3). */
export const WINDOW_SCALE_MAX = 14;
/** SACK blocks that fit in 40 bytes. */
export const SACK_BLOCKS_MAX = 4;

/** First word of options that are `nop,nop,timestamps`, as nearly every segment has them (RFC 7323 appendix A). */
const ALIGNED_TIMESTAMPS = (NOP << 24) | (NOP << 16) | (TIMESTAMPS << 8) | 10;

/** What the options of one segment say. */
export class TcpOptions {
  /** Largest segment that the peer takes, in bytes, or 0 where it does not say. Means something in a SYN only. */
  mss = 0;
  /** Shift of the peer's window, 0 to 14, or -1 where it does not scale. Means something in a SYN only. */
  windowScale = -1;
  /** The peer takes SACK. Means something in a SYN only. */
  sackPermitted = false;
  hasTimestamps = false;
  /** TSval and TSecr, int32, where `hasTimestamps`. */
  tsVal = 0;
  tsEcr = 0;
  /** Number of SACK blocks, 0 to 4. */
  sackCount = 0;
  /** Left edge (first byte held) and right edge (byte after the last) of each block, in pairs. */
  readonly sack = new Int32Array(2 * SACK_BLOCKS_MAX);
  /** An option ran over the end or had a length below 2: what came before it counts, what comes after was not read. */
  malformed = false;
}

/**
 * Reads the options of a segment that `checkTcp` has passed. Unknown options are skipped by their length, known ones of
 * the wrong length as if unknown (RFC 9293 3.1: MUST-5, MUST-6, MUST-7).
 */
export function parseOptions(bytes: Uint8Array, header: number, options: TcpOptions): void {
  options.mss = 0;
  options.windowScale = -1;
  options.sackPermitted = false;
  options.hasTimestamps = false;
  options.sackCount = 0;
  options.malformed = false;
  const length = tcpHeaderLength(bytes, header) - TCP_HEADER;
  const at = header + TCP_HEADER;
  if (length <= 0) return;
  if (length === TIMESTAMPS_LENGTH && get32(bytes, at) === ALIGNED_TIMESTAMPS) {
    options.hasTimestamps = true;
    options.tsVal = get32(bytes, at + 4);
    options.tsEcr = get32(bytes, at + 8);
    return;
  }
  parseAll(bytes, at, at + length, options);
}

function parseAll(bytes: Uint8Array, from: number, end: number, options: TcpOptions): void {
  let at = from;
  while (at < end) {
    const kind = bytes[at]!;
    if (kind === END) return;
    if (kind === NOP) {
      at++;
      continue;
    }
    const length = at + 1 < end ? bytes[at + 1]! : 0;
    // A length that cannot be gives no place where the next option might begin.
    if (length < 2 || at + length > end) {
      options.malformed = true;
      return;
    }
    parseOne(bytes, at, kind, length, options);
    at += length;
  }
}

function parseOne(bytes: Uint8Array, at: number, kind: number, length: number, options: TcpOptions): void {
  if (kind === TIMESTAMPS && length === 10) {
    options.hasTimestamps = true;
    options.tsVal = get32(bytes, at + 2);
    options.tsEcr = get32(bytes, at + 6);
  } else if (kind === SACK && length >= 10 && (length - 2) % 8 === 0) {
    const count = (length - 2) / 8;
    for (let i = 0; i < 2 * count; i++) options.sack[i] = get32(bytes, at + 2 + 4 * i);
    options.sackCount = count;
  } else if (kind === MSS && length === 4) {
    options.mss = get16(bytes, at + 2);
  } else if (kind === WINDOW_SCALE && length === 3) {
    options.windowScale = Math.min(bytes[at + 2]!, WINDOW_SCALE_MAX);
  } else if (kind === SACK_PERMITTED && length === 2) {
    options.sackPermitted = true;
  }
}

/**
 * Writes the options of a SYN or SYN-ACK: `mss,sackOK,TS,nop,wscale`, without timestamps
 * `mss,nop,nop,sackOK,nop,wscale`, without SACK `mss,nop,nop,TS,nop,wscale`.
 *
 * @param mss in bytes, or 0 to leave it out.
 * @param windowScale 0 to 14, or -1 to leave it out.
 * @returns bytes written, a multiple of four, at most 20.
 */
export function emitSynOptions(
  bytes: Uint8Array, offset: number, mss: number, sackPermitted: boolean, timestamps: boolean, tsVal: number,
  tsEcr: number, windowScale: number,
): number {
  let at = offset;
  if (mss !== 0) {
    put32(bytes, at, (MSS << 24) | (4 << 16) | mss);
    at += 4;
  }
  if (timestamps) {
    emitTimestamps(bytes, at, tsVal, tsEcr);
    // The two bytes that would be padding hold SACK-permitted.
    if (sackPermitted) put16(bytes, at, (SACK_PERMITTED << 8) | 2);
    at += TIMESTAMPS_LENGTH;
  } else if (sackPermitted) {
    put32(bytes, at, (NOP << 24) | (NOP << 16) | (SACK_PERMITTED << 8) | 2);
    at += 4;
  }
  if (windowScale >= 0) {
    put32(bytes, at, (NOP << 24) | (WINDOW_SCALE << 16) | (3 << 8) | windowScale);
    at += 4;
  }
  return at - offset;
}

/** Writes `nop,nop,TS`. Returns the bytes written, TIMESTAMPS_LENGTH. */
export function emitTimestamps(bytes: Uint8Array, at: number, tsVal: number, tsEcr: number): number {
  put32(bytes, at, ALIGNED_TIMESTAMPS);
  put32(bytes, at + 4, tsVal);
  put32(bytes, at + 8, tsEcr);
  return TIMESTAMPS_LENGTH;
}

/**
 * Writes `nop,nop,SACK` with `count` blocks (1 to 4, 1 to 3 beside timestamps) of `edges`, laid out as in
 * `TcpOptions.sack`.
 *
 * @returns bytes written: 4 + 8 a block.
 */
export function emitSack(bytes: Uint8Array, at: number, edges: Int32Array, edgesAt: number, count: number): number {
  put32(bytes, at, (NOP << 24) | (NOP << 16) | (SACK << 8) | (2 + 8 * count));
  for (let i = 0; i < 2 * count; i++) put32(bytes, at + 4 + 4 * i, edges[edgesAt + i]!);
  return 4 + 8 * count;
}

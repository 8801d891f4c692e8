import type { FrameRest } from '../nic/device.js';

/**
 * The memory in which the bytes of the streams lie. The protocol core does not know how it is divided; it names bytes
 * by flow and position. A position counts the bytes of one direction of a flow from 0 (the byte after the SYN), modulo
 * 2^32, kept as int32; compare with `(a - b) | 0`.
 */
export interface Payload {
  /**
   * Copies arriving bytes to their place in the receive stream, in or out of order.
   *
   * @param rest where they are to be had from; null: they are in `source`.
   * @returns false where memory is short, or the bytes were lost: nothing is there that was not before, and the segment counts as lost.
   */
  store(flow: number, position: number, source: Uint8Array, offset: number, length: number, rest: FrameRest | null): boolean;
  /** Bytes of memory that one flow may hold at most for its reader, as things stand: less where others hold much. */
  receiveRoom(): number;
  /** Adds bytes of the send stream to the packet that `output` has begun, in at most MAX_SPANS spans. Returns how many it added. */
  gather(flow: number, position: number, length: number, output: PayloadOutput): number;
  /** The peer acknowledged the send stream up to `position`: that memory is no longer needed. */
  acknowledged(flow: number, position: number): void;
}

/** The part of `TransportOutput` that `gather` uses. */
export interface PayloadOutput {
  append(offset: number, length: number): void;
}

/**
 * A batch of frames on their way to the kernel: a slot for each, and the vectors that name its parts to `sendmmsg` or `writev`.
 * Before each frame stands a virtio header (virtio_net.ts). The vectors are written once; a frame changes only lengths and the
 * places of its spans.
 *
 * ```
 *   │ slots: virtio header, frame │ mmsghdr, one a slot │ iovec, 1 + MAX_SPANS a slot │
 * ```
 */
import { AddressWriter } from './address_writer.js';
import { type DeviceMemory, MAX_SPANS, TX_ROOM } from './device.js';
import { putOffloads, VNET_HEADER } from './virtio_net.js';

/** Between slots: an odd number of cache lines, so that headers of neighbouring slots fall into different sets. */
const STRIDE = ((TX_ROOM + VNET_HEADER + 63) >> 6 | 1) << 6;

// struct mmsghdr and struct iovec with 64-bit pointers, in bytes.
const MMSGHDR = 64;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const IOVEC = 16;
const IOV_BASE = 0;
const IOV_LEN = 8;
const VECTORS = IOVEC * (1 + MAX_SPANS);

export class TxSlots {
  /** Frames in the batch. */
  committed = 0;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #addresses: AddressWriter;
  readonly #linkHeader: number;
  readonly #most: number;
  readonly #slotsAt: number;
  readonly #messagesAt: number;
  readonly #vectorsAt: number;
  /** By frame. */
  readonly #messageAddresses: readonly bigint[];
  readonly #vectorAddresses: readonly bigint[];
  #spans = 0;
  #spanBytes = 0;

  /** Bytes of memory for batches of `frames`. */
  static bytesFor(frames: number): number {
    return frames * (STRIDE + MMSGHDR + VECTORS);
  }

  /**
   * @param at where in the memory the slots lie: a multiple of 64. @param frames most of a batch.
   * @param linkHeader bytes before the IP header of a frame.
   */
  constructor(memory: DeviceMemory, at: number, frames: number, linkHeader: number) {
    const { bytes } = memory;
    this.#bytes = bytes;
    this.#words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
    this.#halves = new Uint16Array(bytes.buffer, 0, bytes.length >> 1);
    this.#addresses = new AddressWriter(memory);
    this.#linkHeader = linkHeader;
    this.#most = frames;
    this.#slotsAt = at;
    this.#messagesAt = at + frames * STRIDE;
    this.#vectorsAt = this.#messagesAt + frames * MMSGHDR;
    bytes.fill(0, this.#messagesAt, this.#vectorsAt + frames * VECTORS);
    for (let i = 0; i < frames; i++) {
      this.#addresses.put(this.#messageOf(i) + MSG_IOV, this.#vectorsOf(i));
      this.#putVector(this.#vectorsOf(i), this.#slotsAt + i * STRIDE, 0);
    }
    this.#messageAddresses = Array.from({ length: frames }, (_, i) => this.#addresses.of(this.#messageOf(i)));
    this.#vectorAddresses = Array.from({ length: frames }, (_, i) => this.#addresses.of(this.#vectorsOf(i)));
  }

  /** As `Device.reserve`. */
  reserve(): number {
    if (this.committed === this.#most) return -1;
    this.#spans = 0;
    this.#spanBytes = 0;
    return this.frameAt(this.committed);
  }

  /** As `Device.append`. */
  append(offset: number, length: number): void {
    if (this.#spans === MAX_SPANS) throw new RangeError(`a frame takes at most ${MAX_SPANS} spans`);
    this.#spans++;
    this.#putVector(this.#vectorsOf(this.committed) + this.#spans * IOVEC, offset, length);
    this.#spanBytes += length;
  }

  /** As `Device.commit`. Returns the bytes of the whole frame. */
  commit(length: number, checksumStart: number, segmentSize: number): number {
    const index = this.committed++;
    putOffloads(this.#bytes, this.#halves, this.frameAt(index), this.#linkHeader, checksumStart, segmentSize);
    this.#words[(this.#vectorsOf(index) + IOV_LEN) >> 2] = VNET_HEADER + length;
    this.#words[(this.#messageOf(index) + MSG_IOVLEN) >> 2] = 1 + this.#spans;
    const total = length + this.#spanBytes;
    this.#spans = 0;
    this.#spanBytes = 0;
    return total;
  }

  /** Address of the `mmsghdr` of a frame; those of the later ones follow. */
  messageAddress(index: number): bigint {
    return this.#messageAddresses[index]!;
  }

  /** Address of the vectors of a frame, of which there are `vectorCount`. */
  vectorAddress(index: number): bigint {
    return this.#vectorAddresses[index]!;
  }

  vectorCount(index: number): number {
    return this.#words[(this.#messageOf(index) + MSG_IOVLEN) >> 2]!;
  }

  /** Offset of a frame in the memory. */
  frameAt(index: number): number {
    return this.#slotsAt + index * STRIDE + VNET_HEADER;
  }

  #messageOf(index: number): number {
    return this.#messagesAt + index * MMSGHDR;
  }

  #vectorsOf(index: number): number {
    return this.#vectorsAt + index * VECTORS;
  }

  #putVector(at: number, offset: number, length: number): void {
    this.#addresses.put(at + IOV_BASE, offset);
    this.#words[(at + IOV_LEN) >> 2] = length;
  }
}

/**
 * A batch of frames on their way to the kernel: a slot for each, and the vectors that name its parts to `sendmmsg` or `writev`.
 * Before each frame stands a virtio header (virtio_net.ts). The vectors are written once; a frame changes only lengths and the
 * places of its spans.
 *
 * ```
 *   │ slots: virtio header, frame │ mmsghdr, one a slot │ iovec, 1 + MAX_SPANS a slot │
 * ```
 */
import { type DeviceMemory, MAX_SPANS, TX_ROOM } from './device.js';
import { putOffloads, VNET_HEADER } from './virtio_net.js';

/** Between slots: an odd number of cache lines, so that headers of neighbouring slots fall into different sets. */
const STRIDE = ((TX_ROOM + VNET_HEADER + 63) >> 6 | 1) << 6;

// struct mmsghdr and struct iovec with 64-bit pointers, in bytes; places in int32 words.
const MMSGHDR = 64;
const MSG_IOV = 4;
const MSG_IOVLEN = 6;
const IOVEC = 16;
const IOV_BASE = 0;
const IOV_LEN = 2;
const VECTORS = IOVEC * (1 + MAX_SPANS);

export class TxSlots {
  /** Frames in the batch. */
  committed = 0;
  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #base: number;
  readonly #baseLow: number;
  readonly #baseHigh: number;
  readonly #linkHeader: number;
  readonly #most: number;
  readonly #slotsAt: number;
  readonly #messagesAt: number;
  readonly #vectorsAt: number;
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
    this.#base = Number(memory.address);
    this.#baseLow = this.#base % 2 ** 32;
    this.#baseHigh = Math.floor(this.#base / 2 ** 32);
    this.#linkHeader = linkHeader;
    this.#most = frames;
    this.#slotsAt = at;
    this.#messagesAt = at + frames * STRIDE;
    this.#vectorsAt = this.#messagesAt + frames * MMSGHDR;
    bytes.fill(0, this.#messagesAt, this.#vectorsAt + frames * VECTORS);
    for (let i = 0; i < frames; i++) {
      this.#putAddress((this.#messageOf(i) >> 2) + MSG_IOV, this.#vectorsOf(i));
      this.#putVector(this.#vectorsOf(i), this.#slotsAt + i * STRIDE, 0);
    }
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
    this.#words[(this.#vectorsOf(index) >> 2) + IOV_LEN] = VNET_HEADER + length;
    this.#words[(this.#messageOf(index) >> 2) + MSG_IOVLEN] = 1 + this.#spans;
    const total = length + this.#spanBytes;
    this.#spans = 0;
    this.#spanBytes = 0;
    return total;
  }

  /** Address of the `mmsghdr` of a frame; those of the later ones follow. */
  messageAddress(index: number): number {
    return this.#base + this.#messageOf(index);
  }

  /** Address of the vectors of a frame, of which there are `vectorCount`. */
  vectorAddress(index: number): number {
    return this.#base + this.#vectorsOf(index);
  }

  vectorCount(index: number): number {
    return this.#words[(this.#messageOf(index) >> 2) + MSG_IOVLEN]!;
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
    this.#putAddress((at >> 2) + IOV_BASE, offset);
    this.#words[(at >> 2) + IOV_LEN] = length;
  }

  /** Writes the address of a place in the memory as two words, without a BigInt. */
  #putAddress(word: number, offset: number): void {
    const low = this.#baseLow + offset;
    this.#words[word] = low; // modulo 2^32
    this.#words[word + 1] = low < 2 ** 32 ? this.#baseHigh : this.#baseHigh + 1;
  }
}

import type { FrameSink } from './device.js';
import { TX_ROOM } from './device.js';

/**
 * A bounded queue of frames in a range of memory. Frames are written where they will be read: `reserve` gives room for
 * the longest one, `commit` ends it, `publish` makes the committed ones visible to `deliver`.
 */
export class FrameQueue {
  readonly #bytes: Uint8Array;
  readonly #from: number;
  readonly #end: number;
  /** Where the next frame goes. */
  #at: number;
  /** Frames in the queue, oldest first from `#head`, in rings of a power of two. */
  readonly #offsets: Int32Array;
  readonly #lengths: Int32Array;
  readonly #flags: Int32Array;
  readonly #segments: Int32Array;
  #head = 0;
  #count = 0;
  #published = 0;

  /**
   * @param bytes memory that the queue has the range from `from` of, `length` bytes: at least TX_ROOM.
   * @param frames most frames that it holds: a power of two.
   */
  constructor(bytes: Uint8Array, from: number, length: number, frames: number) {
    if (length < TX_ROOM || from + length > bytes.length) throw new RangeError(`a queue of frames needs at least ${TX_ROOM} bytes`);
    if (frames < 1 || (frames & (frames - 1)) !== 0) throw new RangeError('the frames of a queue are a power of two');
    this.#bytes = bytes;
    this.#from = this.#at = from;
    this.#end = from + length;
    this.#offsets = new Int32Array(frames);
    this.#lengths = new Int32Array(frames);
    this.#flags = new Int32Array(frames);
    this.#segments = new Int32Array(frames);
  }

  /** Published frames that were not delivered yet. */
  get waiting(): number {
    return this.#published;
  }

  /** Committed frames that were not published yet. */
  get committed(): number {
    return this.#count - this.#published;
  }

  /** Offset of TX_ROOM bytes for the next frame, or -1 where the queue is full. */
  reserve(): number {
    if (this.#count === this.#offsets.length) return -1;
    if (this.#count === 0) {
      this.#at = this.#from; // an empty queue starts over, so that the same lines of cache serve a quiet link
      return this.#at;
    }
    const oldest = this.#offsets[this.#head]!;
    if (this.#at <= oldest) return oldest - this.#at >= TX_ROOM ? this.#at : -1;
    if (this.#end - this.#at >= TX_ROOM) return this.#at;
    if (oldest - this.#from < TX_ROOM) return -1;
    this.#at = this.#from;
    return this.#at;
  }

  /** Ends the frame that was written at the reserved place. */
  commit(length: number, flags: number, segmentSize: number): void {
    const index = (this.#head + this.#count) & (this.#offsets.length - 1);
    this.#offsets[index] = this.#at;
    this.#lengths[index] = length;
    this.#flags[index] = flags;
    this.#segments[index] = segmentSize;
    this.#at += (length + 63) & ~63;
    this.#count++;
  }

  publish(): void {
    this.#published = this.#count;
  }

  /** Lends the oldest published frame to the sink, then frees it. Returns its length. */
  deliver(sink: FrameSink): number {
    const index = this.#head;
    const length = this.#lengths[index]!;
    sink.frame(this.#bytes, this.#offsets[index]!, length, this.#flags[index]!, this.#segments[index]!);
    this.#head = (index + 1) & (this.#offsets.length - 1);
    this.#count--;
    this.#published--;
    return length;
  }
}

import { TX_ROOM } from './device.js';
import { copyBytes } from './spans.js';

/** A frame that waits for its time. */
export interface HeldFrame {
  /** When it is due, in µs. */
  time: number;
  /** Breaks ties: frames due at the same time leave in the order they came. */
  order: number;
  readonly bytes: Uint8Array;
  length: number;
  flags: number;
  segmentSize: number;
}

const SHORT_FRAME = 2048;

/** Copies of frames, taken out in the order of their time: a binary heap. Frames taken out are used again. */
export class HeldFrames {
  readonly #heap: HeldFrame[] = [];
  readonly #freeShort: HeldFrame[] = [];
  readonly #freeLong: HeldFrame[] = [];
  #order = 0;

  get count(): number {
    return this.#heap.length;
  }

  /** When the first is due; Infinity where none is held. */
  get next(): number {
    return this.#heap.length === 0 ? Infinity : this.#heap[0]!.time;
  }

  /** Holds a copy of a frame until `time`. */
  add(time: number, source: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): HeldFrame {
    const free = length <= SHORT_FRAME ? this.#freeShort : this.#freeLong;
    const room = length <= SHORT_FRAME ? SHORT_FRAME : TX_ROOM;
    const frame = free.pop() ?? { time: 0, order: 0, bytes: new Uint8Array(room), length: 0, flags: 0, segmentSize: 0 };
    copyBytes(source, offset, frame.bytes, 0, length);
    frame.time = time;
    frame.order = this.#order++;
    frame.length = length;
    frame.flags = flags;
    frame.segmentSize = segmentSize;
    this.#heap.push(frame);
    this.#up(this.#heap.length - 1);
    return frame;
  }

  /** Takes out the first that is due; give it back with `free`. */
  take(now: number): HeldFrame | null {
    const first = this.#heap[0];
    if (first === undefined || first.time > now) return null;
    const last = this.#heap.pop()!;
    if (this.#heap.length > 0) {
      this.#heap[0] = last;
      this.#down();
    }
    return first;
  }

  free(frame: HeldFrame): void {
    (frame.bytes.length === SHORT_FRAME ? this.#freeShort : this.#freeLong).push(frame);
  }

  #up(index: number): void {
    const heap = this.#heap;
    while (index > 0) {
      const parent = (index - 1) >> 1;
      if (isBefore(heap[parent]!, heap[index]!)) return;
      swap(heap, parent, index);
      index = parent;
    }
  }

  #down(): void {
    const heap = this.#heap;
    let index = 0;
    for (;;) {
      let child = 2 * index + 1;
      if (child >= heap.length) return;
      if (child + 1 < heap.length && isBefore(heap[child + 1]!, heap[child]!)) child++;
      if (isBefore(heap[index]!, heap[child]!)) return;
      swap(heap, index, child);
      index = child;
    }
  }
}

function isBefore(a: HeldFrame, b: HeldFrame): boolean {
  return a.time < b.time || (a.time === b.time && a.order < b.order);
}

function swap(heap: HeldFrame[], i: number, j: number): void {
  const frame = heap[i]!;
  heap[i] = heap[j]!;
  heap[j] = frame;
}

/**
 * A queue from one thread to another: one producer, one consumer, entries of eight words in shared memory.
 *
 * ```
 *    tail (consumer's)          head (producer's)
 *      ▼                          ▼
 * ┌───┬───┬───┬───┬───┬───┬───┬───┬───┬───┐
 * │   │ e │ e │ e │ e │ e │ e │   │   │   │      positions only grow, modulo 2^32; slot = position & (n - 1)
 * └───┴───┴───┴───┴───┴───┴───┴───┴───┴───┘
 * ```
 *
 * Each position has a cache line of its own. A side keeps a copy of the peer's position and reads the shared one only
 * when the copy says full or empty. Entries are plain stores; one `Atomics.store` of the head publishes a batch, and one
 * of the tail gives its slots back.
 */
import { ENTRY_WORDS, QUEUE_ENTRIES } from './layout.js';

const MASK = QUEUE_ENTRIES - 1;

/** What both ends have: where the queue lies, and their copies of the positions. */
class QueueEnd {
  protected readonly words: Int32Array;
  protected readonly headAt: number;
  protected readonly tailAt: number;
  protected readonly entriesAt: number;
  protected head: number;
  protected tail: number;

  constructor(words: Int32Array, headAt: number, tailAt: number, entriesAt: number) {
    this.words = words;
    this.headAt = headAt;
    this.tailAt = tailAt;
    this.entriesAt = entriesAt;
    this.head = Atomics.load(words, headAt);
    this.tail = Atomics.load(words, tailAt);
  }

  protected entryAt(position: number): number {
    return this.entriesAt + (position & MASK) * ENTRY_WORDS;
  }
}

/** The producing end. */
export class QueueProducer extends QueueEnd {
  /** Word of a free entry to fill in, or -1 where the queue is full. It counts as pushed; `publish` shows it to the consumer. */
  push(): number {
    if (this.isFull()) {
      this.tail = Atomics.load(this.words, this.tailAt);
      if (this.isFull()) return -1;
    }
    const at = this.entryAt(this.head);
    this.head = (this.head + 1) | 0;
    return at;
  }

  /** A tail ahead of the head is the peer's nonsense; the queue counts as full. */
  private isFull(): boolean {
    const used = (this.head - this.tail) | 0;
    return used >= QUEUE_ENTRIES || used < 0;
  }

  /** Shows the consumer everything pushed so far. */
  publish(): void {
    Atomics.store(this.words, this.headAt, this.head);
  }
}

/** The consuming end. */
export class QueueConsumer extends QueueEnd {
  constructor(words: Int32Array, headAt: number, tailAt: number, entriesAt: number) {
    super(words, headAt, tailAt, entriesAt);
    this.head = this.tail;
  }

  /**
   * Entries that can be taken now: at most QUEUE_ENTRIES; -1 where the producer's position makes no sense. Looks at
   * shared memory only when all that was seen before has been taken.
   */
  available(): number {
    if (this.head === this.tail) this.head = Atomics.load(this.words, this.headAt);
    const count = (this.head - this.tail) | 0;
    return count >= 0 && count <= QUEUE_ENTRIES ? count : -1;
  }

  /** Word of the next entry; call only where `available` says so. The entry stays the consumer's until `release`. */
  take(): number {
    const at = this.entryAt(this.tail);
    this.tail = (this.tail + 1) | 0;
    return at;
  }

  /** Word of the first entry that was published and not taken and of which `wanted` is true, or -1. Nothing is taken by it. */
  find(wanted: (at: number) => boolean): number {
    const end = Atomics.load(this.words, this.headAt);
    for (let position = this.tail; position !== end; position = (position + 1) | 0) {
      const at = this.entryAt(position);
      if (wanted(at)) return at;
    }
    return -1;
  }

  /** Gives every entry taken so far back to the producer. */
  release(): void {
    Atomics.store(this.words, this.tailAt, this.tail);
  }
}

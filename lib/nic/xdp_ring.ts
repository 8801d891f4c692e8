/**
 * The rings that an AF_XDP socket and the kernel exchange descriptors by, walked where they are mapped: entries of a power of two, and two
 * positions, each with one writer, that count modulo 2^32. What the other side has done is looked up only where it seems to have done nothing.
 */
import { XDP_RING_NEED_WAKEUP } from './xdp_abi.js';

/** Where the parts of a ring lie, in bytes of the memory. */
export interface RingPlace {
  readonly producer: number;
  readonly consumer: number;
  readonly flags: number;
  readonly entries: number;
  /** Bytes of an entry: a multiple of 4. */
  readonly entryBytes: number;
  /** Number of entries: a power of two. */
  readonly count: number;
}

/** A ring that we fill and the kernel empties: fill and TX. */
export class ProducerRing {
  readonly #shared: Int32Array;
  readonly #producer: number;
  readonly #consumer: number;
  readonly #flags: number;
  readonly #entries: number;
  readonly #stride: number;
  readonly #count: number;
  /** Behind the last entry written, and the last one published. */
  #written: number;
  #published: number;
  /** What the kernel had taken when it was last looked at. */
  #taken: number;

  /** @param shared the memory as words that others write, too. */
  constructor(shared: Int32Array, place: RingPlace) {
    this.#shared = shared;
    this.#producer = place.producer >> 2;
    this.#consumer = place.consumer >> 2;
    this.#flags = place.flags >> 2;
    this.#entries = place.entries >> 2;
    this.#stride = place.entryBytes >> 2;
    this.#count = place.count;
    this.#written = this.#published = Atomics.load(shared, this.#producer);
    this.#taken = Atomics.load(shared, this.#consumer);
  }

  /** True where `entries` more can be written. */
  hasRoom(entries: number): boolean {
    if (this.#count - ((this.#written - this.#taken) | 0) >= entries) return true;
    this.#taken = Atomics.load(this.#shared, this.#consumer);
    return this.#count - ((this.#written - this.#taken) | 0) >= entries;
  }

  /** Place of the next entry, as a word; it is to be written now, and is there once it is published. */
  next(): number {
    const word = this.#entries + (this.#written & (this.#count - 1)) * this.#stride;
    this.#written = (this.#written + 1) | 0;
    return word;
  }

  /** The kernel may take what was written. Returns how many entries that is. */
  publish(): number {
    const count = (this.#written - this.#published) | 0;
    if (count > 0) Atomics.store(this.#shared, this.#producer, this.#written);
    this.#published = this.#written;
    return count;
  }

  /** Published entries that the kernel has not taken. */
  get waiting(): number {
    this.#taken = Atomics.load(this.#shared, this.#consumer);
    return (this.#published - this.#taken) | 0;
  }

  get needsWakeup(): boolean {
    return (Atomics.load(this.#shared, this.#flags) & XDP_RING_NEED_WAKEUP) !== 0;
  }
}

/** A ring that the kernel fills and we empty: RX and completion. */
export class ConsumerRing {
  readonly #shared: Int32Array;
  readonly #producer: number;
  readonly #consumer: number;
  readonly #entries: number;
  readonly #stride: number;
  readonly #count: number;
  /** Behind the last entry taken, and the last one given back. */
  #taken: number;
  #released: number;
  /** What was there when it was last looked at. */
  #filled: number;

  /** @param shared the memory as words that others write, too. */
  constructor(shared: Int32Array, place: RingPlace) {
    this.#shared = shared;
    this.#producer = place.producer >> 2;
    this.#consumer = place.consumer >> 2;
    this.#entries = place.entries >> 2;
    this.#stride = place.entryBytes >> 2;
    this.#count = place.count;
    this.#taken = this.#released = Atomics.load(shared, this.#consumer);
    this.#filled = Atomics.load(shared, this.#producer);
  }

  /** True where an entry waits. */
  get hasMore(): boolean {
    if (this.#taken !== this.#filled) return true;
    this.#filled = Atomics.load(this.#shared, this.#producer);
    return this.#taken !== this.#filled;
  }

  /** Takes the next entry, which waits. Returns its place as a word; it stays until it is given back. */
  next(): number {
    const word = this.#entries + (this.#taken & (this.#count - 1)) * this.#stride;
    this.#taken = (this.#taken + 1) | 0;
    return word;
  }

  /** Gives back all that were taken. */
  release(): void {
    if (this.#released === this.#taken) return;
    this.#released = this.#taken;
    Atomics.store(this.#shared, this.#consumer, this.#taken);
  }
}

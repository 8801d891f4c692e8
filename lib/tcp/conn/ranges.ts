/**
 * Out-of-order ranges: which bytes beyond `rcvNxt` have arrived. A bounded pool for all flows; the ranges of one flow
 * are a list in ascending order, disjoint and not adjacent. The bytes themselves lie in payload memory already.
 */
import { after, before, earlier, later, notAfter } from './seq.js';
import { NONE } from './state.js';

export class RangePool {
  /** Ranges not in use. */
  available: number;
  /** Sequence number of the first byte, and of the one behind the last, of each range. */
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  readonly nexts: Int32Array;
  /** Ranges that the last call of `insert` or `absorb` added to the list; negative where it took some out. */
  change = 0;
  /** Where `absorb` has brought the stream. */
  reached = 0;
  #free: number;

  constructor(count: number) {
    this.available = count;
    this.starts = new Int32Array(count);
    this.ends = new Int32Array(count);
    this.nexts = new Int32Array(count);
    for (let i = 0; i < count; i++) this.nexts[i] = i + 1 < count ? i + 1 : NONE;
    this.#free = count > 0 ? 0 : NONE;
  }

  /** True where `start` to `end` overlaps or adjoins a range of the list, so that inserting it needs no new one. */
  touches(head: number, start: number, end: number): boolean {
    for (let at = head; at !== NONE && notAfter(this.starts[at], end); at = this.nexts[at]) {
      if (notAfter(start, this.ends[at])) return true;
    }
    return false;
  }

  /** True where the list holds all of `start` to `end`. */
  covers(head: number, start: number, end: number): boolean {
    for (let at = head; at !== NONE; at = this.nexts[at]) {
      if (notAfter(this.starts[at], start) && notAfter(end, this.ends[at])) return true;
    }
    return false;
  }

  /** The range that holds sequence number `seq`, or NONE. */
  holding(head: number, seq: number): number {
    for (let at = head; at !== NONE && notAfter(this.starts[at], seq); at = this.nexts[at]) {
      if (before(seq, this.ends[at])) return at;
    }
    return NONE;
  }

  /**
   * Adds `start` to `end` (not empty) to the list. The caller has made sure that a range is available where none is
   * touched.
   *
   * @returns the new head.
   */
  insert(head: number, start: number, end: number): number {
    this.change = 0;
    let previous = NONE;
    let at = head;
    while (at !== NONE && before(this.ends[at], start)) {
      previous = at;
      at = this.nexts[at];
    }
    if (at === NONE || after(this.starts[at], end)) {
      const made = this.#take(start, end, at);
      if (previous === NONE) return made;
      this.nexts[previous] = made;
      return head;
    }
    this.starts[at] = earlier(this.starts[at], start);
    this.ends[at] = later(this.ends[at], end);
    // The range may now reach those behind it.
    for (let next = this.nexts[at]; next !== NONE && notAfter(this.starts[next], this.ends[at]); next = this.nexts[at]) {
      this.ends[at] = later(this.ends[at], this.ends[next]);
      this.nexts[at] = this.nexts[next];
      this.#give(next);
    }
    return head;
  }

  /**
   * The stream has come to `seq`: takes out the ranges that it reaches, each of which may carry it on to the next.
   * `reached` is where it has come to then.
   *
   * @returns the new head.
   */
  absorb(head: number, seq: number): number {
    this.change = 0;
    while (head !== NONE && notAfter(this.starts[head], seq)) {
      const next = this.nexts[head];
      seq = later(seq, this.ends[head]);
      this.#give(head);
      head = next;
    }
    this.reached = seq;
    return head;
  }

  /** Frees a whole list. */
  drop(head: number): void {
    while (head !== NONE) {
      const next = this.nexts[head];
      this.#give(head);
      head = next;
    }
  }

  #take(start: number, end: number, next: number): number {
    const made = this.#free;
    this.#free = this.nexts[made];
    this.starts[made] = start;
    this.ends[made] = end;
    this.nexts[made] = next;
    this.available--;
    this.change++;
    return made;
  }

  #give(range: number): void {
    this.nexts[range] = this.#free;
    this.#free = range;
    this.available++;
    this.change--;
  }
}

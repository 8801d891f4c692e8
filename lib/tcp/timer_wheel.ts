/**
 * A hierarchical timing wheel (Varghese and Lauck 1987): arm and cancel in constant time, whatever the number of timers.
 *
 * A node is a small number and has one deadline. Time is a tick counter, int32, that wraps; a deadline lies less than
 * 2^31 ticks ahead. Level k has 64 slots of 64^k ticks. A node lies at the level of the highest group of six bits in
 * which its deadline differs from the time the wheel stands at, so everything on a level is due before anything on the
 * level above, and what the wheel passes by moves down a level until its own tick has come.
 *
 * ```
 *   level 0   │·│·│x│·│ …  1 tick each      deadline = time with other bits 0-5
 *   level 1   │·│·│·│x│ …  64 ticks each    … bits 6-11, whatever is below
 *   level 5   │·│x│·│·│    2^30 ticks each
 * ```
 */

/** Takes the nodes whose deadline has come. It may arm and cancel any node. */
export interface TimerSink {
  expired(node: number): void;
}

const NONE = -1;
const BITS = 6;
const SLOTS = 1 << BITS;
const LEVELS = 6;
/** Nodes of a slot that `next` looks at for the exact deadline; in a fuller slot it tells the slot's beginning. */
const LOOK = 32;

export class TimerWheel {
  /** The tick that the wheel stands at. */
  time: number;
  /** Nodes that are armed. */
  armed = 0;
  readonly #deadlines: Int32Array;
  /** Slot of a node, level × 64 + place, or NONE. */
  readonly #slots: Int16Array;
  readonly #next: Int32Array;
  readonly #previous: Int32Array;
  readonly #heads: Int32Array;
  /** Two words of bits a level: slots that are not empty. */
  readonly #occupied: Int32Array;
  /** What `next` found, while it holds. */
  #earliest = 0;
  #earliestHolds = false;

  constructor(nodes: number, time: number) {
    this.time = time | 0;
    this.#deadlines = new Int32Array(nodes);
    this.#slots = new Int16Array(nodes).fill(NONE);
    this.#next = new Int32Array(nodes);
    this.#previous = new Int32Array(nodes);
    this.#heads = new Int32Array(LEVELS * SLOTS).fill(NONE);
    this.#occupied = new Int32Array(LEVELS * 2);
  }

  isArmed(node: number): boolean {
    return this.#slots[node] !== NONE;
  }

  deadline(node: number): number {
    return this.#deadlines[node];
  }

  /** Sets the node's deadline, whatever it was. One that is past counts as the next tick. */
  arm(node: number, deadline: number): void {
    this.cancel(node);
    if (((deadline - this.time) | 0) <= 0) deadline = (this.time + 1) | 0;
    this.#insert(node, deadline);
  }

  /**
   * Makes sure that the node expires by `deadline`. Where it would already do so earlier nothing is done: moving a
   * deadline back, which happens with every segment, costs nothing, and whoever is woken early arms it again.
   */
  armBy(node: number, deadline: number): void {
    if (this.#slots[node] !== NONE && ((this.#deadlines[node] - deadline) | 0) <= 0) return;
    this.arm(node, deadline);
  }

  cancel(node: number): void {
    const slot = this.#slots[node];
    if (slot !== NONE) this.#unlink(node, slot);
  }

  /**
   * The earliest deadline. Never later than the true one; earlier only where more than 32 nodes share the slot of the
   * next. Means nothing where `armed` is 0.
   */
  next(): number {
    if (!this.#earliestHolds) {
      this.#earliest = this.#findEarliest();
      this.#earliestHolds = true;
    }
    return this.#earliest;
  }

  #findEarliest(): number {
    for (let level = 0; level < LEVELS; level++) {
      const slot = this.#firstSlot(level);
      if (slot === NONE) continue;
      if (level === 0) return this.#slotTime(level, slot);
      let best = 0;
      let node = this.#heads[level * SLOTS + slot];
      for (let looked = 0; node !== NONE; looked++) {
        if (looked === LOOK) return this.#slotTime(level, slot);
        const distance = (this.#deadlines[node] - this.time) | 0;
        if (looked === 0 || distance < best) best = distance;
        node = this.#next[node];
      }
      return (this.time + best) | 0;
    }
    return this.time;
  }

  /** Moves to tick `time` and hands over every node whose deadline is not after it, in the order of their deadlines. */
  advance(time: number, sink: TimerSink): void {
    while (this.armed > 0) {
      let level = 0;
      let slot = this.#firstSlot(0);
      while (slot === NONE && ++level < LEVELS) slot = this.#firstSlot(level);
      if (slot === NONE) break;
      const due = this.#slotTime(level, slot);
      if (((due - time) | 0) > 0) break;
      this.time = due;
      this.#earliestHolds = false;
      this.#empty(level, slot, sink);
    }
    if (((time - this.time) | 0) > 0) this.time = time | 0;
    if (((this.#earliest - this.time) | 0) <= 0) this.#earliestHolds = false;
  }

  #empty(level: number, slot: number, sink: TimerSink): void {
    const index = level * SLOTS + slot;
    for (let node = this.#heads[index]; node !== NONE; node = this.#heads[index]) {
      this.#unlink(node, index);
      if (level === 0) sink.expired(node);
      else this.#insert(node, this.#deadlines[node]);
    }
  }

  #insert(node: number, deadline: number): void {
    const differs = deadline ^ this.time;
    const level = differs === 0 ? 0 : ((31 - Math.clz32(differs)) / BITS) | 0;
    const place = (deadline >>> (level * BITS)) & (SLOTS - 1);
    const index = level * SLOTS + place;
    const head = this.#heads[index];
    this.#deadlines[node] = deadline;
    this.#slots[node] = index;
    this.#next[node] = head;
    this.#previous[node] = NONE;
    if (head !== NONE) this.#previous[head] = node;
    this.#heads[index] = node;
    if (this.#earliestHolds && (this.armed === 0 || ((deadline - this.#earliest) | 0) < 0)) this.#earliest = deadline;
    this.#occupied[level * 2 + (place >>> 5)] |= 1 << (place & 31);
    this.armed++;
  }

  #unlink(node: number, index: number): void {
    const next = this.#next[node];
    const previous = this.#previous[node];
    if (next !== NONE) this.#previous[next] = previous;
    if (previous !== NONE) {
      this.#next[previous] = next;
    } else {
      this.#heads[index] = next;
      if (next === NONE) this.#occupied[(index >> BITS) * 2 + ((index >>> 5) & 1)] &= ~(1 << (index & 31));
    }
    this.#slots[node] = NONE;
    if (this.#deadlines[node] === this.#earliest) this.#earliestHolds = false;
    this.armed--;
  }

  /** The first slot of a level that is not empty, from the present one on and around, or NONE. */
  #firstSlot(level: number): number {
    const low = this.#occupied[level * 2];
    const high = this.#occupied[level * 2 + 1];
    if ((low | high) === 0) return NONE;
    const from = (this.time >>> (level * BITS)) & (SLOTS - 1);
    if (from < 32) {
      const here = low & (-1 << from);
      if (here !== 0) return lowestBit(here);
      if (high !== 0) return 32 + lowestBit(high);
      return lowestBit(low);
    }
    const here = high & (-1 << (from & 31));
    if (here !== 0) return 32 + lowestBit(here);
    return low !== 0 ? lowestBit(low) : 32 + lowestBit(high);
  }

  /** The tick at which a slot begins, the next time round. */
  #slotTime(level: number, slot: number): number {
    const shift = level * BITS;
    const turn = (slot - (this.time >>> shift)) & (level === LEVELS - 1 ? 3 : SLOTS - 1);
    if (turn === 0) return this.time;
    return ((((this.time >>> shift) + turn) << shift) | 0);
  }
}

function lowestBit(bits: number): number {
  return 31 - Math.clz32(bits & -bits);
}

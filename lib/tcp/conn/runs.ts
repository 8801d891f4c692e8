/**
 * What is in flight, as runs of bytes that left at one time and met one fate (RFC 8985 6.1: Segment.xmit_ts, .lost,
 * .retransmitted). A bounded pool for all flows; the runs of one flow are a list in the order of their sequence numbers,
 * without gaps from `sndUna` to `sndNxt`:
 *
 * ```
 *   sndUna                                              sndNxt
 *     │  lost   │   SACKED    │ RETRANS │  SACKED  │  in flight │
 * ```
 *
 * A flow without a run always gets one. Where no more are free a flow's last run takes in what it sends next: a loss is
 * found later then, and nothing else changes.
 */
import { NONE } from './state.js';
import type { Tcb } from './tcb.js';

/** Flags of a run. */
/** The peer has it, and has not acknowledged it yet (RFC 2018). */
export const SACKED = 1;
/** It counts as lost and was not sent again since. */
export const LOST = 2;
/** It was sent more than once. */
export const RETRANS = 4;
/** It is a larger segment than the others, which the path may not carry (mtu.ts). */
export const PROBE = 8;

/** Runs of one flow: an acknowledgement looks at each of them, so this bounds what a peer's SACK blocks can cost. */
const RUNS_MOST = 4096;

export class RunPool {
  /** Runs not in use. */
  available: number;
  readonly capacity: number;
  readonly starts: Int32Array;
  readonly ends: Int32Array;
  /** When it was last sent, in µs of the core's clock. */
  readonly times: Int32Array;
  readonly flags: Int32Array;
  readonly nexts: Int32Array;
  #free: number;
  /** Flows that have no run: as many runs are kept for them. */
  #without: number;

  /** @param count runs beyond the one that each of `flows` flows can have. */
  constructor(count: number, flows: number) {
    const capacity = count + flows;
    this.available = capacity;
    this.capacity = capacity;
    this.#without = flows;
    this.starts = new Int32Array(capacity);
    this.ends = new Int32Array(capacity);
    this.times = new Int32Array(capacity);
    this.flags = new Int32Array(capacity);
    this.nexts = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.nexts[i] = i + 1 < capacity ? i + 1 : NONE;
    this.#free = capacity > 0 ? 0 : NONE;
  }

  /** `start` to `end` were sent for the first time, at `us`; `start` is where the list ends. */
  append(t: Tcb, start: number, end: number, us: number): void {
    const tail = t.runTail;
    if (tail === NONE) {
      t.runs = t.runTail = this.#take(start, end, us, 0, NONE);
      this.#without--;
      t.runCount = 1;
      // All that was sent before is delivered: what is remembered of it begins here.
      t.rackAt = us;
      t.rackEnd = t.rackFack = t.rtxHigh = start;
      return;
    }
    // What leaves in one turn is one run, as long as it divides into segments.
    const joins = this.flags[tail] === 0 && this.times[tail] === us && ((start - this.starts[tail]) | 0) % t.sndMss === 0;
    if (joins) {
      this.ends[tail] = end;
    } else if (this.#mayTake(t)) {
      t.runCount++;
      t.runTail = this.nexts[tail] = this.#take(start, end, us, 0, NONE);
    } else {
      this.clear(t, tail, SACKED | LOST);
      if (isOutAgain(this.flags[tail])) t.retransOut += (end - this.ends[tail]) | 0;
      this.ends[tail] = end;
      this.times[tail] = us;
    }
  }

  /** Cuts a run in two at `at`, which lies within it. Returns false where no run is free: it stays whole. */
  split(t: Tcb, run: number, at: number): boolean {
    if (!this.#mayTake(t)) return false;
    t.runCount++;
    const made = this.#take(at, this.ends[run], this.times[run], this.flags[run], this.nexts[run]);
    this.ends[run] = at;
    this.nexts[run] = made;
    if (t.runTail === run) t.runTail = made;
    return true;
  }

  /** Makes one of a run and the one behind it; the flags are those of the first. */
  join(t: Tcb, run: number): void {
    const next = this.nexts[run];
    this.ends[run] = this.ends[next];
    this.nexts[run] = this.nexts[next];
    if (t.runTail === next) t.runTail = run;
    t.runCount--;
    this.#give(next);
  }

  /** Takes the first run out. Returns the one behind it, or NONE. */
  shift(t: Tcb): number {
    const head = t.runs;
    const next = this.nexts[head];
    this.#give(head);
    t.runCount--;
    t.runs = next;
    if (next === NONE) {
      t.runTail = NONE;
      this.#without++;
    }
    return next;
  }

  /** The flow is over: frees its list. */
  drop(t: Tcb): void {
    while (t.runs !== NONE) this.shift(t);
    t.sacked = 0;
    t.lost = 0;
    t.retransOut = 0;
  }

  /** Bytes of a run. */
  length(run: number): number {
    return (this.ends[run] - this.starts[run]) | 0;
  }

  /** Sets flags that the run has not, and counts its bytes with them. */
  mark(t: Tcb, run: number, flags: number): void {
    const added = flags & ~this.flags[run];
    const length = this.length(run);
    if (isOutAgain(this.flags[run])) t.retransOut -= length;
    this.flags[run] |= flags;
    if (isOutAgain(this.flags[run])) t.retransOut += length;
    if ((added & SACKED) !== 0) t.sacked += length;
    if ((added & LOST) !== 0) t.lost += length;
  }

  /** Takes flags off the run. */
  clear(t: Tcb, run: number, flags: number): void {
    const taken = flags & this.flags[run];
    const length = this.length(run);
    if (isOutAgain(this.flags[run])) t.retransOut -= length;
    this.flags[run] &= ~flags;
    if (isOutAgain(this.flags[run])) t.retransOut += length;
    if ((taken & SACKED) !== 0) t.sacked -= length;
    if ((taken & LOST) !== 0) t.lost -= length;
  }

  /** No flow has more than are left over: however many are greedy, some are left to a newcomer. */
  #mayTake(t: Tcb): boolean {
    const left = this.available - this.#without;
    return left > 0 && t.runCount <= left && t.runCount < RUNS_MOST;
  }

  #take(start: number, end: number, us: number, flags: number, next: number): number {
    const made = this.#free;
    this.#free = this.nexts[made];
    this.starts[made] = start;
    this.ends[made] = end;
    this.times[made] = us;
    this.flags[made] = flags;
    this.nexts[made] = next;
    this.available--;
    return made;
  }

  #give(run: number): void {
    this.nexts[run] = this.#free;
    this.#free = run;
    this.available++;
  }
}

/** True for the flags of a run of which another copy is under way. */
function isOutAgain(flags: number): boolean {
  return (flags & (RETRANS | SACKED | LOST)) === RETRANS;
}

/** Bytes in the network, as far as is known (RFC 6675 4, SetPipe): sent, and neither lost nor with the peer. */
export function pipe(t: Tcb): number {
  return ((t.sndNxt - t.sndUna) | 0) - t.sacked - t.lost;
}

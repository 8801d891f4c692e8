/** What an acknowledgement from a peer with SACK says of the runs in flight (RFC 2018, RFC 2883, RFC 6675 4). */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { tsNow } from './output.js';
import { LOST, RETRANS, SACKED } from './runs.js';
import { after, before, earlier, later, notAfter } from './seq.js';
import { NONE, REORDERED, TIMESTAMPS_ON } from './state.js';
import type { Tcb } from './tcb.js';

/** A least round-trip time older than this says little of the path, in s (Linux: tcp_min_rtt_wlen). */
const MIN_RTT_S = 300;
/** Of `reoDegree` (Linux: tcp_max_reordering). */
const DEGREE_MAX = 300;

/** What the acknowledgement at hand has brought. One object, begun anew for each. */
export class Tally {
  /** Bytes that are with the peer by it and were not before. */
  delivered = 0;
  /** Round trip of the first of them that was sent once, in µs, delay of the acknowledgement included; -1: none was. */
  firstRtt = -1;
  /** Round trip of the last of them, the best that is known of the path as it is now; -1: none was. */
  lastRtt = -1;
  /** Its first block told of bytes that came twice. */
  dsack = false;
  /** It showed that segments have changed places. */
  reordered = false;
  /** It brought bytes that were sent once, no later than the timeout that is being looked into. */
  original = false;
  /** `rackFack` before it. */
  fack = 0;

  begin(t: Tcb): void {
    this.delivered = 0;
    this.firstRtt = -1;
    this.lastRtt = -1;
    this.dsack = false;
    this.reordered = false;
    this.original = false;
    this.fack = t.rackFack;
  }
}

/** RACK_sent_after of RFC 8985 6.2. */
export function sentAfter(time: number, end: number, otherTime: number, otherEnd: number): boolean {
  const later = (time - otherTime) | 0;
  return later > 0 || (later === 0 && after(end, otherEnd));
}

/** Everything up to `ack` is through: its runs are done. `sndUna` is still what it was. */
export function trim(core: Core, t: Tcb, ack: number): void {
  const runs = core.runs;
  const tally = core.tally;
  for (let head = t.runs; head !== NONE && before(runs.starts[head], ack);) {
    const end = earlier(runs.ends[head], ack);
    const length = (end - runs.starts[head]) | 0;
    const flags = runs.flags[head];
    if ((flags & SACKED) !== 0) {
      t.sacked -= length;
    } else {
      if ((flags & LOST) !== 0) t.lost -= length;
      else if ((flags & RETRANS) !== 0) t.retransOut -= length;
      tally.delivered += length;
      delivered(core, t, head, end);
    }
    if (after(runs.ends[head], ack)) {
      runs.starts[head] = ack;
      break;
    }
    head = runs.shift(t);
  }
  t.rackFack = later(t.rackFack, ack);
}

/** Marks what the blocks of the segment at hand report, from block `first` on. */
export function takeBlocks(core: Core, t: Tcb, ack: number, first: number): void {
  const options = core.segment.options;
  const una = later(ack, t.sndUna);
  for (let i = first; i < options.sackCount; i++) {
    const start = options.sack[2 * i];
    const end = options.sack[2 * i + 1];
    // Not empty, of what is in flight: anything else is damaged, old, or a lie.
    if (!before(start, end) || before(start, una) || after(end, t.sndNxt)) continue;
    markSacked(core, t, start, end);
    t.rackFack = later(t.rackFack, end);
  }
}

/** The peer has `start` to `end`. Runs are cut between segments only, so that it cannot have us keep one for each byte. */
function markSacked(core: Core, t: Tcb, start: number, end: number): void {
  const runs = core.runs;
  const mss = t.sndMss;
  let previous = NONE;
  for (let run = t.runs; run !== NONE && before(runs.starts[run], end); run = runs.nexts[run]) {
    if (notAfter(runs.ends[run], start) || (runs.flags[run] & SACKED) !== 0) {
      previous = run;
      continue;
    }
    const offset = (start - runs.starts[run]) | 0;
    if (offset > 0) {
      const at = (runs.starts[run] + Math.ceil(offset / mss) * mss) | 0;
      // Cut there, the next step meets the part that begins with the block.
      if (!after(earlier(runs.ends[run], end), at) || !runs.split(t, run, at)) {
        previous = run;
        continue;
      }
      previous = run;
      run = runs.nexts[run];
    }
    if (after(runs.ends[run], end)) {
      const length = (end - runs.starts[run]) | 0;
      if (length < mss || !runs.split(t, run, (runs.starts[run] + length - (length % mss)) | 0)) return;
    }
    core.tally.delivered += runs.length(run);
    delivered(core, t, run, runs.ends[run]);
    runs.clear(t, run, LOST);
    runs.mark(t, run, SACKED);
    if (previous !== NONE && (runs.flags[previous] & SACKED) !== 0) {
      runs.join(t, previous);
      run = previous;
    }
    const next = runs.nexts[run];
    if (next !== NONE && (runs.flags[next] & SACKED) !== 0) runs.join(t, run);
    previous = run;
  }
}

/** A run, or its part up to `end`, has reached the peer: RACK_update (RFC 8985 6.2 steps 1 to 3), and its round trip. */
function delivered(core: Core, t: Tcb, run: number, end: number): void {
  const runs = core.runs;
  const tally = core.tally;
  const time = runs.times[run];
  const rtt = Math.max((core.us - time) | 0, 1);
  if ((runs.flags[run] & RETRANS) !== 0) {
    if (isOfEarlierCopy(core, t, rtt)) return;
  } else {
    if (tally.firstRtt < 0) tally.firstRtt = rtt;
    tally.lastRtt = rtt;
    if (notAfter(end, t.recover)) tally.original = true;
    if (before(end, tally.fack) && !tally.reordered) noteReordering(core, t, runs.starts[run]);
  }
  // Of all that the acknowledgement brings, and not only of what was sent last: as Linux has it, the longer time is allowed
  // to what was sent before a retransmission that was quickly through.
  t.rackRtt = rtt;
  if (!sentAfter(time, end, t.rackAt, t.rackEnd)) return;
  t.rackAt = time;
  t.rackEnd = end;
}

/** Bytes from `start` on, below what the peer already had and never sent again: they were overtaken. */
function noteReordering(core: Core, t: Tcb, start: number): void {
  core.tally.reordered = true;
  const degree = Math.min(Math.ceil(((core.tally.fack - start) | 0) / t.sndMss), DEGREE_MAX);
  if (degree > t.reoDegree) t.reoDegree = degree;
  t.mark(REORDERED);
  t.reorderings++;
  core.stats[stat.SACK_REORDER]++;
}

/** RFC 8985 6.2 step 2: the answer came too soon, or echoes too old a timestamp, to be to the last copy. */
function isOfEarlierCopy(core: Core, t: Tcb, rtt: number): boolean {
  if (rtt < t.minRtt) return true;
  const options = core.segment.options;
  if (!t.has(TIMESTAMPS_ON) || !options.hasTimestamps) return false;
  const sentStamp = (tsNow(core, t) - ((rtt / 1000) | 0) - 1) | 0;
  return before(options.tsEcr, sentStamp);
}

/** Keeps the least round-trip time. */
export function noteMinRtt(core: Core, t: Tcb, rtt: number): void {
  if (t.minRtt !== 0 && rtt > t.minRtt && ((core.seconds - t.minRttAt) | 0) < MIN_RTT_S) return;
  t.minRtt = rtt;
  t.minRttAt = core.seconds;
}

/**
 * True where the first block tells of bytes that came twice (RFC 2883 4): it lies below the acknowledgement, or within
 * the second block.
 */
export function isDsack(core: Core, t: Tcb, ack: number): boolean {
  const { sack, sackCount } = core.segment.options;
  const start = sack[0];
  const end = sack[1];
  if (!before(start, end) || after(end, t.sndNxt)) return false;
  if (before(start, ack)) return notAfter(end, ack) && !before(start, (t.sndUna - t.sndWndMax) | 0);
  return sackCount > 1 && !before(start, sack[2]) && notAfter(end, sack[3]);
}

/** The timer ran out: did the peer report to have the first bytes? Then it has thrown them away, and others (RFC 2018 8). */
export function forgetReneged(core: Core, t: Tcb): boolean {
  const runs = core.runs;
  if (t.runs === NONE || (runs.flags[t.runs] & SACKED) === 0) return false;
  core.stats[stat.SACK_RENEGING]++;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) runs.clear(t, run, SACKED);
  return true;
}

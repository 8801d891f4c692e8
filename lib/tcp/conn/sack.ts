/**
 * SACK blocks that we send (RFC 2018 4): the range that grew last first, then those that grew before it, then others.
 * Ahead of them, once, what has arrived twice (DSACK, RFC 2883).
 */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { before } from './seq.js';
import { DSACK_DUE, NONE, SACK_ON } from './state.js';
import { SACK_RECENT } from './tcb_words.js';
import type { Tcb } from './tcb.js';

const RECENT = 4;

/** Notes that bytes from `seq` on have arrived out of order. */
export function noteOutOfOrder(core: Core, t: Tcb, seq: number): void {
  const words = core.words;
  const at = t.base + SACK_RECENT;
  const range = core.ranges.holding(t.ranges, seq);
  // The new range takes the place of an older entry that lies in it, or of the oldest.
  let place = 0;
  while (place < RECENT - 1 && core.ranges.holding(t.ranges, words[at + place]) !== range) place++;
  for (; place > 0; place--) words[at + place] = words[at + place - 1];
  words[at] = seq;
}

/** The next acknowledgement tells that `start` to `end` came a second time. */
export function noteDuplicate(core: Core, t: Tcb, start: number, end: number): void {
  if (!t.has(SACK_ON)) return;
  core.stats[before(start, t.rcvNxt) ? stat.DSACK_OLD_SENT : stat.DSACK_OFO_SENT]++;
  t.mark(DSACK_DUE);
  t.dsackStart = start;
  t.dsackEnd = end;
}

/** Fills `core.sackEdges` with up to `most` blocks. Returns how many: at least one where the flow has a range or a duplicate. */
export function fillBlocks(core: Core, t: Tcb, most: number): number {
  const ranges = core.ranges;
  let count = 0;
  let first = 0;
  if (t.has(DSACK_DUE)) {
    t.unmark(DSACK_DUE);
    core.sackEdges[0] = t.dsackStart;
    core.sackEdges[1] = t.dsackEnd;
    count = first = 1;
  }
  for (let i = 0; i < RECENT && count < most; i++) {
    const range = ranges.holding(t.ranges, core.words[t.base + SACK_RECENT + i]);
    if (range === NONE || isListed(core, first, count, ranges.starts[range])) continue;
    count = add(core, count, range);
  }
  for (let range = t.ranges; range !== NONE && count < most; range = ranges.nexts[range]) {
    if (!isListed(core, first, count, ranges.starts[range])) count = add(core, count, range);
  }
  return count;
}

function add(core: Core, count: number, range: number): number {
  core.sackEdges[2 * count] = core.ranges.starts[range];
  core.sackEdges[2 * count + 1] = core.ranges.ends[range];
  return count + 1;
}

function isListed(core: Core, first: number, count: number, start: number): boolean {
  for (let i = first; i < count; i++) if (core.sackEdges[2 * i] === start) return true;
  return false;
}

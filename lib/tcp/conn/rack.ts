/** Loss found by time (RFC 8985): what was sent well before something that is delivered, and is not, is lost. */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { LOST, RETRANS, SACKED } from './runs.js';
import { sentAfter } from './scoreboard.js';
import { before } from './seq.js';
import { NONE, RECOVERY_FAST, RECOVERY_LOSS, REORDERED, TIMER_REORDER } from './state.js';
import type { Tcb } from './tcb.js';
import { armIn, disarm } from './timers.js';

/** Segments with the peer that show a loss at once where segments do not change places (RFC 8985 6.2.1: DupThresh). */
const DUP_THRESHOLD = 3;
/** Recoveries without a DSACK after which the reordering window is what it was (RFC 8985 6.2 step 4). */
const PERSIST = 16;
/** The window is at most one round trip, so more quarters say nothing. */
const MULT_MAX = 64;

/** RACK_detect_loss (RFC 8985 6.2 step 5). Returns the bytes that count as lost from now on. */
export function detectLoss(core: Core, t: Tcb): number {
  const runs = core.runs;
  const window = reorderingWindow(t);
  const from = t.lost;
  let wait = 0;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) {
    const flags = runs.flags[run];
    if ((flags & (SACKED | LOST)) !== 0) continue;
    if (!sentAfter(t.rackAt, t.rackEnd, runs.times[run], runs.ends[run])) {
      // First transmissions leave in order: behind this one there is none that was sent earlier.
      if ((flags & RETRANS) === 0 && !before(runs.starts[run], t.rtxHigh)) break;
      continue;
    }
    const remaining = (runs.times[run] + t.rackRtt + window - core.us) | 0;
    if (remaining <= 0) lose(core, t, run);
    else if (remaining > wait) wait = remaining;
  }
  if (wait > 0) armIn(core, t, TIMER_REORDER, wait);
  else disarm(t, TIMER_REORDER);
  return t.lost - from;
}

/** A run counts as lost. */
export function lose(core: Core, t: Tcb, run: number): void {
  const runs = core.runs;
  if ((runs.flags[run] & RETRANS) !== 0) core.stats[stat.LOST_RETRANSMIT]++;
  runs.mark(t, run, LOST);
  t.lostCount = (t.lostCount + runs.length(run)) | 0;
}

/** RACK_update_reo_wnd, first part, in µs. */
function reorderingWindow(t: Tcb): number {
  if (!t.has(REORDERED)) {
    if (t.recovery === RECOVERY_FAST || t.recovery === RECOVERY_LOSS) return 0;
    if (t.sacked >= DUP_THRESHOLD * t.sndMss) return 0;
  }
  return Math.min((t.minRtt >> 2) * (1 + t.reoMult), t.srtt);
}

/** A DSACK: something was sent again though it was only late, so wait longer, by a step in each round trip. */
export function widenWindow(t: Tcb): void {
  if (before(t.sndUna, t.reoRound)) return;
  t.reoRound = t.sndNxt;
  t.reoPersist = PERSIST;
  if (t.reoMult < MULT_MAX) t.reoMult++;
}

/** A recovery is over. */
export function narrowWindow(t: Tcb): void {
  if (t.reoPersist > 0 && --t.reoPersist === 0) t.reoMult = 0;
}

/**
 * The retransmission timer ran out (RFC 8985 6.3): the first segment is lost, and others that were sent as long ago;
 * what was sent only lately may yet arrive.
 */
export function loseOnTimeout(core: Core, t: Tcb): void {
  const runs = core.runs;
  const window = reorderingWindow(t);
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) {
    if ((runs.flags[run] & (SACKED | LOST)) !== 0) continue;
    const remaining = (runs.times[run] + t.rackRtt + window - core.us) | 0;
    if (run === t.runs || remaining <= 0) lose(core, t, run);
  }
}

/** What is in flight is known not to get through: all of it that the peer has not. */
export function loseAll(core: Core, t: Tcb): void {
  const runs = core.runs;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) {
    if ((runs.flags[run] & (SACKED | LOST)) === 0) lose(core, t, run);
  }
}

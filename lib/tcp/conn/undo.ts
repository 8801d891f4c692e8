/**
 * A reduction of the window that was not called for is taken back: where timestamps show that the first copy had
 * arrived (Eifel: RFC 3522, RFC 4015), DSACKs that every byte sent again was there already (RFC 2883), or, after a
 * timeout, that what was not sent again comes through as well (F-RTO: RFC 5682).
 */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { withdrawReduction } from './ecn.js';
import { LOST } from './runs.js';
import { after, before } from './seq.js';
import {
  FRTO_NEW, FRTO_OFF, NONE, RECOVERY_LOSS, RECOVERY_OPEN, RETRANSMIT_NOW, TIMER_REORDER, TIMESTAMPS_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { disarm } from './timers.js';
import { tsNow } from './output.js';

/** The window is about to be reduced. */
export function markUndo(t: Tcb): void {
  t.undoCwnd = t.cwnd;
  t.undoSsthresh = t.ssthresh;
  t.undoSeq = t.sndUna;
  t.undoRetrans = 0;
}

/** `bytes` were sent again. */
export function noteRetransmission(core: Core, t: Tcb, bytes: number): void {
  if (t.undoCwnd === 0) return;
  if (t.undoRetrans === 0) t.retransStamp = tsNow(core, t);
  t.undoRetrans += bytes;
}

/** An acknowledgement that moved on: is it to a segment from before the first retransmission? Undoes what it can. */
export function undoByTimestamp(core: Core, t: Tcb): boolean {
  if (t.undoCwnd === 0 || t.undoRetrans === 0 || t.recovery === RECOVERY_OPEN || !t.has(TIMESTAMPS_ON)) return false;
  const options = core.segment.options;
  if (!options.hasTimestamps || !before(options.tsEcr, t.retransStamp)) return false;
  core.stats[t.recovery === RECOVERY_LOSS ? stat.LOSS_UNDO : stat.FULL_UNDO]++;
  undo(core, t);
  return true;
}

/** A DSACK of `start` to `end`: were these the last bytes that had been sent again? Undoes what it can. */
export function undoByDsack(core: Core, t: Tcb, start: number, end: number): boolean {
  if (t.undoCwnd === 0 || t.undoRetrans === 0 || before(start, t.undoSeq)) return false;
  t.undoRetrans -= Math.min((end - start) | 0, t.undoRetrans);
  if (t.undoRetrans > 0) return false;
  core.stats[stat.DSACK_UNDO]++;
  undo(core, t);
  return true;
}

/**
 * F-RTO with SACK (RFC 5682 3.1): the timeout was spurious where bytes come through that were not sent again. Where the
 * first acknowledgement leaves that open something new is sent, and the next one tells.
 */
export function undoByProgress(core: Core, t: Tcb, acked: number): void {
  if (t.undoCwnd === 0) {
    t.frto = FRTO_OFF;
  } else if (core.tally.original) {
    core.stats[stat.SPURIOUS_RTOS]++;
    undo(core, t);
  } else if (after(t.sndNxt, t.recover)) {
    // Step 3a: the new bytes came through, what was missing did not.
    if (acked === 0) t.frto = FRTO_OFF;
  } else if (acked > 0) {
    // Step 2b.
    t.recover = t.sndNxt;
    t.frto = FRTO_NEW;
  }
}

function undo(core: Core, t: Tcb): void {
  const runs = core.runs;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) runs.clear(t, run, LOST);
  t.cwnd = Math.max(t.cwnd, t.undoCwnd);
  t.ssthresh = Math.max(t.ssthresh, t.undoSsthresh);
  t.undoCwnd = 0;
  t.undoRetrans = 0;
  withdrawReduction(t);
  t.recovery = RECOVERY_OPEN;
  t.backoff = 0;
  t.frto = FRTO_OFF;
  t.unmark(RETRANSMIT_NOW);
  disarm(t, TIMER_REORDER);
  core.congestion.undone(t);
  core.flows.touch(t);
}

/**
 * Loss recovery for a peer with SACK: the scoreboard and RACK say what is lost, PRR how much is sent meanwhile.
 *
 * ```
 *   OPEN ── ECE ──► CWR ── sndUna passes recover ──► OPEN
 *
 *            loss found               sndUna reaches recover
 *   OPEN ─────────────────► FAST ─────────────────────────────► OPEN
 *     └──── timeout ───► LOSS ◄── timeout ── FAST
 * ```
 *
 * A reduction that proves to have been wrong leads back to OPEN at once (undo.ts).
 */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { noteReduction } from './ecn.js';
import { probeMissing } from './mtu.js';
import { beginPrr, proportion } from './prr.js';
import { detectLoss, loseAll, loseOnTimeout, narrowWindow, widenWindow } from './rack.js';
import { pipe } from './runs.js';
import { forgetReneged } from './scoreboard.js';
import { before } from './seq.js';
import {
  ESTABLISHED, FRTO_OFF, FRTO_WATCH, RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_OPEN, REORDERED, RETRANSMIT_NOW, TLP_OUT, TLP_RETRANS,
} from './state.js';
import type { Tcb } from './tcb.js';
import { markUndo, undoByDsack, undoByProgress, undoByTimestamp } from './undo.js';

/** The acknowledgement at hand is in the scoreboard, and `sndUna` has moved by `acked`: what follows from it. */
export function repair(core: Core, t: Tcb, acked: number): void {
  const tally = core.tally;
  if (tally.dsack) {
    const { sack } = core.segment.options;
    core.stats[stat.DSACK_RECV]++;
    t.dsacks++;
    widenWindow(t);
    undoByDsack(core, t, sack[0], sack[1]);
  }
  if (acked > 0) undoByTimestamp(core, t);
  if (t.recovery === RECOVERY_LOSS && t.frto !== FRTO_OFF) undoByProgress(core, t, acked);
  const lost = t.sacked > 0 || t.recovery !== RECOVERY_OPEN ? detectLoss(core, t) : 0;
  if (lost > 0 && t.probeSize !== 0) probeMissing(core, t);
  if (t.recovery !== RECOVERY_OPEN && !before(t.sndUna, t.recover)) leave(core, t);
  if ((t.recovery === RECOVERY_OPEN || t.recovery === RECOVERY_CWR) && t.lost > 0) {
    enter(core, t, tally.delivered);
    return;
  }
  if (t.recovery === RECOVERY_FAST || t.recovery === RECOVERY_CWR) {
    if (tally.delivered > 0) proportion(t, tally.delivered, acked > 0 && lost === 0);
    core.flows.touch(t);
    return;
  }
  // Blocks alone let the window grow only where segments change places: else they tell of a loss.
  if (tally.delivered === 0 || (acked === 0 && !t.has(REORDERED))) return;
  core.congestion.acknowledged(t, tally.delivered, core.ms, tally.lastRtt);
}

/** The reordering timer ran out: what was waited for counts as lost (RFC 8985 6.3, first part). */
export function onReorderTimer(core: Core, t: Tcb): void {
  if (t.state < ESTABLISHED || detectLoss(core, t) === 0) return;
  if (t.probeSize !== 0) probeMissing(core, t);
  // In recovery what is lost now has left room in the window that there is.
  if (t.recovery === RECOVERY_OPEN || t.recovery === RECOVERY_CWR) enter(core, t, 0);
  core.flows.touch(t);
}

/** ECE outside of any repair: the window is reduced as for a loss, once for what is in flight now (RFC 3168 6.1.2). */
export function congestionTold(core: Core, t: Tcb): void {
  t.undoCwnd = 0;
  reduce(core, t);
  t.recovery = RECOVERY_CWR;
  t.recover = t.sndNxt;
  proportion(t, 0, false);
}

function reduce(core: Core, t: Tcb): void {
  beginPrr(t);
  core.congestion.lost(t);
  noteReduction(t);
}

/** Fast recovery begins: the window is reduced once for all that is lost of what is in flight now, or was marked. */
function enter(core: Core, t: Tcb, delivered: number): void {
  if (t.recovery !== RECOVERY_CWR) {
    markUndo(t);
    reduce(core, t);
  }
  t.recovery = RECOVERY_FAST;
  t.recover = t.sndNxt;
  t.mark(RETRANSMIT_NOW);
  t.unmark(TLP_OUT | TLP_RETRANS);
  core.stats[stat.SACK_RECOVERY]++;
  proportion(t, delivered, false);
  core.flows.touch(t);
}

/** Everything that was in flight when recovery began is through; where it was for a mark, CWR as well. */
function leave(core: Core, t: Tcb): void {
  if (t.recovery === RECOVERY_CWR && t.sndUna === t.recover) return;
  if (t.recovery !== RECOVERY_LOSS) t.cwnd = Math.max(t.ssthresh, t.sndMss);
  t.recovery = RECOVERY_OPEN;
  t.unmark(RETRANSMIT_NOW);
  narrowWindow(t);
  core.flows.touch(t);
}

/** The retransmission timer ran out. */
export function repairOnTimeout(core: Core, t: Tcb): void {
  const first = t.recovery === RECOVERY_OPEN || (t.recovery === RECOVERY_LOSS && t.retries === 0);
  if (first) markUndo(t);
  const reneged = forgetReneged(core, t);
  t.frto = first && !reneged ? FRTO_WATCH : FRTO_OFF;
  core.congestion.timeout(t, (t.sndNxt - t.sndUna) | 0, first);
  noteReduction(t);
  loseOnTimeout(core, t);
  t.unmark(TLP_OUT | TLP_RETRANS);
  // What was sent only lately is still in the network, and no reason to hold the first segment back.
  t.cwnd = pipe(t) + t.sndMss;
  t.recovery = RECOVERY_LOSS;
  t.recover = t.sndNxt;
}

/** Nothing in flight gets through, and congestion is not why (a smaller path MTU): all of it is sent again. */
export function resendAll(core: Core, t: Tcb): void {
  loseAll(core, t);
  if (t.recovery === RECOVERY_OPEN) t.undoCwnd = 0;
  t.recovery = RECOVERY_LOSS;
  t.recover = t.sndNxt;
}

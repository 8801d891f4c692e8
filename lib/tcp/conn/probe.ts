/** Tail loss probes (RFC 8985 7): the last segments of a burst have none behind them that would show their loss. */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { SACKED } from './runs.js';
import { resendRun, sendOneNew } from './sender.js';
import { armTimeout } from './rto.js';
import { after, before } from './seq.js';
import { NONE, PROBING, RECOVERY_OPEN, TLP_OUT, TLP_RETRANS } from './state.js';
import type { Tcb } from './tcb.js';

/** TLP_send_probe: something new where there is something, else the last segment again. Then the RTO runs. */
export function sendTailProbe(core: Core, t: Tcb): void {
  t.unmark(PROBING);
  const runs = core.runs;
  let sent = sendOneNew(core, t);
  if (sent > 0) {
    t.unmark(TLP_RETRANS);
  } else if (sent === 0 && t.runTail !== NONE && (runs.flags[t.runTail] & SACKED) === 0) {
    let tail = t.runTail;
    const length = runs.length(tail);
    if (length > t.sndMss) {
      const last = length % t.sndMss === 0 ? t.sndMss : length % t.sndMss;
      if (runs.split(t, tail, (runs.ends[tail] - last) | 0)) tail = runs.nexts[tail];
    }
    if (runs.length(tail) <= t.sndMss) sent = resendRun(core, t, tail, t.sndMss);
    if (sent > 0) t.mark(TLP_RETRANS);
  }
  if (sent > 0) {
    core.stats[stat.LOSS_PROBES]++;
    t.mark(TLP_OUT);
    t.tlpEnd = t.sndNxt;
  }
  armTimeout(core, t);
}

/** TLP_process_ack (RFC 8985 7.4.2): a probe that repaired a loss has hidden it from congestion control. */
export function probeAnswered(core: Core, t: Tcb, ack: number, acked: number): void {
  if (before(ack, t.tlpEnd)) return;
  if (!t.has(TLP_RETRANS)) {
    t.unmark(TLP_OUT);
  } else if (core.tally.dsack) {
    // The segment and the probe have both arrived.
    t.unmark(TLP_OUT | TLP_RETRANS);
  } else if (after(ack, t.tlpEnd)) {
    t.unmark(TLP_OUT | TLP_RETRANS);
    if (t.recovery !== RECOVERY_OPEN) return;
    core.stats[stat.LOSS_PROBE_RECOVERY]++;
    core.congestion.lost(t);
    t.cwnd = Math.min(t.cwnd, t.ssthresh);
  } else if (acked === 0 && core.segment.options.sackCount === 0 && core.segment.length === 0) {
    t.unmark(TLP_OUT | TLP_RETRANS);
  }
}

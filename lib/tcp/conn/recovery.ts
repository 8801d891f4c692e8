/** For peers without SACK: loss found by duplicate acknowledgements, and its repair (RFC 5681 3.2, RFC 6582). */
import * as stat from '../stats.js';
import { CWND_MAX } from './cc/congestion.js';
import type { Core } from './core.js';
import { noteReduction } from './ecn.js';
import { isProbeMissing, probeFailed } from './mtu.js';
import { proportion } from './prr.js';
import { after, before, notAfter } from './seq.js';
import { RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_OPEN, RETRANSMIT_NOW } from './state.js';
import type { Tcb } from './tcb.js';

/** Duplicate acknowledgements that count as a loss. */
const DUP_THRESHOLD = 3;
/** Segments that the third of them has shown to have left the network (RFC 5681 3.2). */
const DUP_ACK_SEGMENTS = 3;

/** One more duplicate acknowledgement. */
export function duplicate(core: Core, t: Tcb): void {
  if (t.recovery === RECOVERY_LOSS) return;
  t.dupAcks++;
  if (t.recovery === RECOVERY_FAST) {
    t.cwnd = Math.min(t.cwnd + t.sndMss, CWND_MAX);
  } else if (t.dupAcks === DUP_THRESHOLD) {
    // RFC 6582 3.2 step 2: duplicates of what an earlier recovery sent twice are no sign of a loss.
    const reduced = t.recovery === RECOVERY_CWR;
    if (!reduced && notAfter(t.sndUna, t.recover)) return;
    if (isProbeMissing(t)) {
      probeFailed(core, t);
      return;
    }
    if (!reduced) core.congestion.lost(t);
    noteReduction(t);
    t.cwnd = t.ssthresh + DUP_ACK_SEGMENTS * t.sndMss;
    t.recovery = RECOVERY_FAST;
    t.recover = t.sndNxt;
    t.mark(RETRANSMIT_NOW);
    core.stats[stat.FAST_RETRANS]++;
    core.stats[stat.RENO_RECOVERY]++;
  }
  core.flows.touch(t);
}

/** New data was acknowledged: `sndUna` has moved by `acked`. */
export function advanced(core: Core, t: Tcb, acked: number): void {
  // Each duplicate told of one segment that is acknowledged now; no growth is earned by those.
  const fresh = Math.max(acked - t.dupAcks * t.sndMss, Math.min(acked, t.sndMss));
  t.dupAcks = 0;
  if (t.recovery === RECOVERY_FAST) {
    if (before(t.sndUna, t.recover)) {
      t.cwnd = Math.max(t.cwnd - acked + (acked >= t.sndMss ? t.sndMss : 0), t.sndMss);
      t.mark(RETRANSMIT_NOW);
      core.flows.touch(t);
    } else {
      // RFC 6582 3.2 step 3, first option: no burst after a window that was acknowledged at once.
      t.cwnd = Math.min(t.ssthresh, Math.max((t.sndNxt - t.sndUna) | 0, t.sndMss) + t.sndMss);
      t.recovery = RECOVERY_OPEN;
    }
    return;
  }
  if (t.recovery === RECOVERY_CWR) {
    if (after(t.sndUna, t.recover)) {
      t.cwnd = Math.max(t.ssthresh, t.sndMss);
      t.recovery = RECOVERY_OPEN;
    } else {
      proportion(t, fresh, true);
    }
    return;
  }
  if (t.recovery === RECOVERY_LOSS) {
    t.unmark(RETRANSMIT_NOW);
    if (before(t.rtxNxt, t.sndUna)) t.rtxNxt = t.sndUna;
    if (!before(t.sndUna, t.recover)) t.recovery = RECOVERY_OPEN;
  } else if (before(t.recover, t.sndUna)) {
    // Follows, so that it never falls 2^31 behind and seems to be ahead.
    t.recover = (t.sndUna - 1) | 0;
  }
  core.congestion.acknowledged(t, fresh, core.ms, -1);
}

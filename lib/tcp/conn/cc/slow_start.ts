/** Growth below `ssthresh`: RFC 5681 3.1, and when to end it before a loss does: HyStart++ (RFC 9406). */
import { RECOVERY_LOSS } from '../state.js';
import { notAfter } from '../seq.js';
import type { Tcb } from '../tcb.js';
import { CWND_MAX, UNLIMITED } from './congestion.js';

/** RFC 9406 4.2 and 4.3; times in µs. */
const MIN_RTT_THRESH_US = 4000;
const MAX_RTT_THRESH_US = 16_000;
const MIN_RTT_DIVISOR = 8;
const N_RTT_SAMPLE = 8;
const CSS_GROWTH_DIVISOR = 4;
const CSS_ROUNDS = 5;
/** No round trip measured: longer than any. */
const NO_RTT = 0x7fffffff;

/** The window grows by what was acknowledged, up to `ssthresh`. Returns the bytes that are left for congestion avoidance. */
export function slowStart(t: Tcb, acked: number): number {
  // By what was acknowledged, as Linux does: receivers that coalesce acknowledge dozens of segments at once, and a
  // bound of one or two for each would hold slow start up. While losses are repaired it is one (RFC 3465 2.3).
  const most = t.recovery === RECOVERY_LOSS ? Math.min(acked, t.sndMss) : acked;
  const grown = Math.min(t.cwnd + most, t.ssthresh, CWND_MAX);
  const left = most - (grown - t.cwnd);
  t.cwnd = grown;
  return left;
}

/**
 * HyStart++ in `cc4` to `cc9`: end of the round (windowEnd), least round-trip time of the last round and of this one,
 * samples in it, rounds left of conservative slow start (0: slow start), and the baseline for going back.
 */
export function beginHystart(t: Tcb): void {
  t.cc4 = t.sndNxt;
  t.cc5 = NO_RTT;
  t.cc6 = NO_RTT;
  t.cc7 = 0;
  t.cc8 = 0;
  t.cc9 = NO_RTT;
}

/** One acknowledgement below `ssthresh` before any loss. */
export function hystart(t: Tcb, acked: number, rtt: number): void {
  slowStart(t, t.cc8 > 0 ? Math.ceil(acked / CSS_GROWTH_DIVISOR) : acked);
  if (rtt > 0) {
    t.cc6 = Math.min(t.cc6, rtt);
    t.cc7++;
    if (t.cc8 === 0) watchDelay(t);
    else if (t.cc7 >= N_RTT_SAMPLE && t.cc6 < t.cc9) leaveConservative(t);
  }
  if (notAfter(t.sndUna, t.cc4)) return;
  // A round is over (RFC 9406 4.2): this one's least time is the measure for the next.
  t.cc4 = t.sndNxt;
  t.cc5 = t.cc6;
  t.cc6 = NO_RTT;
  t.cc7 = 0;
  if (t.cc8 > 0 && --t.cc8 === 0) t.ssthresh = t.cwnd;
}

/** Does the queue at the bottleneck grow? Then slow start goes on at a quarter of its pace. */
function watchDelay(t: Tcb): void {
  if (t.cc7 < N_RTT_SAMPLE || t.cc6 === NO_RTT || t.cc5 === NO_RTT) return;
  const threshold = Math.max(MIN_RTT_THRESH_US, Math.min((t.cc5 / MIN_RTT_DIVISOR) | 0, MAX_RTT_THRESH_US));
  if (t.cc6 < t.cc5 + threshold) return;
  t.cc9 = t.cc6;
  t.cc8 = CSS_ROUNDS;
}

/** The delay was a passing one. */
function leaveConservative(t: Tcb): void {
  t.cc9 = NO_RTT;
  t.cc8 = 0;
}

/** True before the first loss: only then HyStart++ is in charge (RFC 9406 4.3). */
export function isFirstSlowStart(t: Tcb): boolean {
  return t.ssthresh === UNLIMITED;
}

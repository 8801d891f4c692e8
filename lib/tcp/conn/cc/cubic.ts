/**
 * CUBIC (RFC 9438), with HyStart++ (RFC 9406) in its first slow start. The window follows a cubic function of the time
 * since the last loss: fast up to the window of that loss, slowly about it, then away from it.
 *
 * `cc0` time when the epoch began (ms), `cc1` K (ms), `cc2` W_max, `cc3` cwnd when the epoch began, 0 outside of one,
 * `cc10` W_est, `cc11` and `cc12` what W_est and cwnd have grown below a byte (in 2^-16), `cc13` cwnd_prior. Windows are
 * in bytes.
 */
import { RECOVERY_LOSS } from '../state.js';
import type { Tcb } from '../tcb.js';
import { CWND_MAX, initialWindow, UNLIMITED } from './congestion.js';
import type { CongestionControl } from './congestion.js';
import { beginHystart, hystart, isFirstSlowStart, slowStart } from './slow_start.js';
import { isLimited } from './validation.js';

/** Multiplicative decrease (RFC 9438 4.6), and C in segments / s^3 (RFC 9438 5). */
const BETA = 0.7;
const C = 0.4;
/** Additive increase that makes W_est as fast as Reno with BETA (RFC 9438 4.3). */
const ALPHA = (3 * (1 - BETA)) / (1 + BETA);
const FRACTION = 65536;
/** K is at most a day: a window does not wait longer. */
const K_MAX_MS = 86_400_000;

export class Cubic implements CongestionControl {
  begin(t: Tcb): void {
    t.cwnd = initialWindow(t.sndMss);
    t.ssthresh = UNLIMITED;
    t.cc2 = 0;
    t.cc3 = 0;
    t.cc13 = 0;
    beginHystart(t);
  }

  acknowledged(t: Tcb, acked: number, ms: number, rtt: number): void {
    let left = acked;
    if (!isLimited(t)) {
      // RFC 9438 5.8: time in which the flow sent less than it might is none of the epoch's.
      if (t.cc3 !== 0) t.cc3 = 0;
      return;
    }
    if (t.cwnd < t.ssthresh) {
      if (isFirstSlowStart(t) && t.recovery !== RECOVERY_LOSS) {
        hystart(t, acked, rtt);
        return;
      }
      left = slowStart(t, acked);
      if (left === 0) return;
    }
    if (t.cc3 === 0) beginEpoch(t, ms);
    avoid(t, left, (ms - t.cc0) | 0);
  }

  lost(t: Tcb): void {
    // RFC 9438 4.7: below the last peak another flow is asking for its share; give way faster.
    t.cc2 = t.cwnd < t.cc2 ? (t.cwnd * (1 + BETA)) / 2 : t.cwnd;
    t.cc13 = t.cwnd;
    t.cc3 = 0;
    t.ssthresh = Math.max((t.cwnd * BETA) | 0, 2 * t.sndMss);
  }

  timeout(t: Tcb, _flight: number, first: boolean): void {
    if (first) this.lost(t);
    t.cc3 = 0;
    // RFC 9438 4.8: what the path carried says nothing any more. The window is looked for from where congestion avoidance begins.
    t.cc2 = 0;
    t.cwnd = t.sndMss;
  }

  undone(t: Tcb): void {
    t.cc2 = Math.max(t.cc2, t.cwnd);
    t.cc3 = 0;
  }

  idle(t: Tcb): void {
    t.cc3 = 0;
  }
}

function beginEpoch(t: Tcb, ms: number): void {
  t.cc0 = ms;
  t.cc3 = t.cwnd;
  t.cc10 = t.cwnd;
  t.cc11 = 0;
  t.cc12 = 0;
  if (t.cwnd < t.cc2) {
    // Equation 2.
    t.cc1 = Math.min(Math.cbrt((t.cc2 - t.cwnd) / t.sndMss / C) * 1000, K_MAX_MS) | 0;
  } else {
    t.cc1 = 0;
    t.cc2 = t.cwnd;
  }
}

/** Congestion avoidance (RFC 9438 4.2 to 4.5), `elapsed` ms into the epoch. */
function avoid(t: Tcb, acked: number, elapsed: number): void {
  const cwnd = t.cwnd;
  const mss = t.sndMss;
  // As fast as Reno at least: alpha segments in each round trip, one from the former peak on.
  const alpha = t.cc10 < t.cc13 ? ALPHA : 1;
  const estimate = t.cc10 + t.cc11 / FRACTION + (alpha * mss * acked) / cwnd;
  t.cc10 = Math.min(Math.floor(estimate), CWND_MAX);
  t.cc11 = ((estimate - Math.floor(estimate)) * FRACTION) | 0;
  if (cubic(t, elapsed) < t.cc10) {
    t.cwnd = Math.max(cwnd, t.cc10);
    return;
  }
  const target = Math.max(cwnd, Math.min(cubic(t, elapsed + t.srtt / 1000), 1.5 * cwnd));
  const next = cwnd + t.cc12 / FRACTION + ((target - cwnd) * acked) / cwnd;
  t.cwnd = Math.min(Math.floor(next), CWND_MAX);
  t.cc12 = ((next - Math.floor(next)) * FRACTION) | 0;
}

/** W_cubic (equation 1) in bytes. */
function cubic(t: Tcb, elapsedMs: number): number {
  const seconds = (elapsedMs - t.cc1) / 1000;
  return t.cc2 + C * t.sndMss * seconds * seconds * seconds;
}

/** Slow start, congestion avoidance and the window of fast recovery: RFC 5681, RFC 6582, initial window of RFC 6928. */
import { CWND_LIMITED, RECOVERY_LOSS } from '../state.js';
import type { Tcb } from '../tcb.js';
import type { CongestionControl } from './congestion.js';

/** Segments of the initial window, and bytes below which it may always reach that many (RFC 6928 2). */
const INITIAL_SEGMENTS = 10;
const INITIAL_BYTES = 14600;
/** Segments that the third duplicate acknowledgement has shown to have left the network (RFC 5681 3.2). */
const DUP_ACK_SEGMENTS = 3;
/** Beyond any window that the peer can offer. */
const UNLIMITED = 0x7fffffff;
const CWND_MAX = 1 << 30;

export class NewReno implements CongestionControl {
  begin(t: Tcb): void {
    t.cwnd = initialWindow(t.sndMss);
    t.ssthresh = UNLIMITED;
    t.cc0 = 0;
  }

  acknowledged(t: Tcb, acked: number): void {
    if (!t.has(CWND_LIMITED)) return;
    const mss = t.sndMss;
    if (t.cwnd < t.ssthresh) {
      // By what was acknowledged, as Linux does: receivers that coalesce acknowledge dozens of segments at once, and a
      // bound of one or two for each would hold slow start up. While losses are repaired it is one (RFC 3465 2.3).
      const most = t.recovery === RECOVERY_LOSS ? mss : acked;
      t.cwnd = Math.min(t.cwnd + Math.min(acked, most), CWND_MAX);
      return;
    }
    // Bytes acknowledged since the window last grew (RFC 5681 3.1): one segment for each window of them.
    t.cc0 += acked;
    if (t.cc0 >= t.cwnd) {
      t.cc0 -= t.cwnd;
      t.cwnd = Math.min(t.cwnd + mss, CWND_MAX);
    }
  }

  lost(t: Tcb, flight: number): void {
    t.ssthresh = halved(t, flight);
    t.cwnd = t.ssthresh + DUP_ACK_SEGMENTS * t.sndMss;
    t.cc0 = 0;
  }

  inflate(t: Tcb): void {
    t.cwnd = Math.min(t.cwnd + t.sndMss, CWND_MAX);
  }

  partial(t: Tcb, acked: number): void {
    const deflated = t.cwnd - acked + (acked >= t.sndMss ? t.sndMss : 0);
    t.cwnd = Math.max(deflated, t.sndMss);
  }

  recovered(t: Tcb, flight: number): void {
    // RFC 6582 3.2 step 3, first option: no burst after a window that was acknowledged at once.
    t.cwnd = Math.min(t.ssthresh, Math.max(flight, t.sndMss) + t.sndMss);
    t.cc0 = 0;
  }

  timeout(t: Tcb, flight: number, first: boolean): void {
    if (first) t.ssthresh = halved(t, flight);
    t.cwnd = t.sndMss;
    t.cc0 = 0;
  }

  idle(t: Tcb): void {
    // RFC 5681 4.1: the window of a path that was not probed for so long is worth no more than that of a new one.
    t.cwnd = Math.min(t.cwnd, initialWindow(t.sndMss));
  }
}

function initialWindow(mss: number): number {
  return Math.min(INITIAL_SEGMENTS * mss, Math.max(2 * mss, INITIAL_BYTES));
}

/** RFC 5681 equation 4. */
function halved(t: Tcb, flight: number): number {
  return Math.max(flight >> 1, 2 * t.sndMss);
}

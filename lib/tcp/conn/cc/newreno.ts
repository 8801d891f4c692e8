/** Slow start and congestion avoidance of RFC 5681, with the initial window of RFC 6928. */
import type { Tcb } from '../tcb.js';
import { CWND_MAX, initialWindow, UNLIMITED } from './congestion.js';
import type { CongestionControl } from './congestion.js';
import { slowStart } from './slow_start.js';
import { isLimited } from './validation.js';

export class NewReno implements CongestionControl {
  begin(t: Tcb): void {
    t.cwnd = initialWindow(t.sndMss);
    t.ssthresh = UNLIMITED;
    t.cc0 = 0;
  }

  acknowledged(t: Tcb, acked: number): void {
    if (!isLimited(t)) return;
    const left = t.cwnd < t.ssthresh ? slowStart(t, acked) : acked;
    if (left === 0) return;
    // Bytes acknowledged since the window last grew (RFC 5681 3.1): one segment for each window of them.
    t.cc0 += left;
    if (t.cc0 >= t.cwnd) {
      t.cc0 -= t.cwnd;
      t.cwnd = Math.min(t.cwnd + t.sndMss, CWND_MAX);
    }
  }

  lost(t: Tcb): void {
    t.ssthresh = halved(t, (t.sndNxt - t.sndUna) | 0);
    t.cc0 = 0;
  }

  timeout(t: Tcb, flight: number, first: boolean): void {
    if (first) t.ssthresh = halved(t, flight);
    t.cwnd = t.sndMss;
    t.cc0 = 0;
  }

  undone(): void {
    // The window alone is what it was.
  }

  idle(): void {
    // The window alone, which is reduced already.
  }
}

/** RFC 5681 equation 4. */
function halved(t: Tcb, flight: number): number {
  return Math.max(flight >> 1, 2 * t.sndMss);
}

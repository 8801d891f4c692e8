/**
 * Is the congestion window as large as what the flow has shown the path to carry? A window that was not used is not known to
 * be right: it does not grow, and what was not used for a while is given up step by step (RFC 7661, RFC 2861, RFC 5681 4.1;
 * the steps are Linux's).
 */
import type { Core } from '../core.js';
import { TICK_US } from '../core.js';
import { before } from '../seq.js';
import { CWND_LIMITED, RECOVERY_OPEN, UNLIMITED } from '../state.js';
import type { Tcb } from '../tcb.js';
import { initialWindow } from './congestion.js';

/** A send decision was made; `limited`: the congestion window held it back, or is full. */
export function noteUsage(core: Core, t: Tcb, limited: boolean): void {
  const flight = (t.sndNxt - t.sndUna) | 0;
  // The strongest sign within a window of data stands.
  if (limited || !before(t.sndUna, t.usageEnd) || (flight > t.flightMax && !t.has(CWND_LIMITED))) {
    if (limited) t.mark(CWND_LIMITED);
    else t.unmark(CWND_LIMITED);
    t.flightMax = flight;
    t.usageEnd = t.sndNxt;
  }
  if (isLimited(t)) {
    t.cwndUsed = 0;
    t.usedAt = core.ticks;
    return;
  }
  if (flight > t.cwndUsed) t.cwndUsed = flight;
  if (((core.ticks - t.usedAt) | 0) * TICK_US >= t.rto) giveUp(core, t);
}

/** True where growth is earned: the window is in use, or in slow start more than half of it was (RFC 7661 4.3). */
export function isLimited(t: Tcb): boolean {
  return t.has(CWND_LIMITED) || (t.cwnd < t.ssthresh && t.cwnd < 2 * t.flightMax);
}

/** For a whole RTO the window was not used: half of what was not needed goes (RFC 2861 3.2). */
function giveUp(core: Core, t: Tcb): void {
  if (t.recovery === RECOVERY_OPEN && core.limits.idleRestart) {
    const used = Math.max(t.cwndUsed, initialWindow(t.sndMss));
    if (used < t.cwnd) {
      remember(t);
      t.cwnd = (t.cwnd + used) >> 1;
    }
  }
  t.cwndUsed = 0;
  t.usedAt = core.ticks;
}

/** Nothing was in flight for `idle` µs, more than an RTO: the window halves with each of them, down to that of a new flow. */
export function restart(core: Core, t: Tcb, idle: number): void {
  if (!core.limits.idleRestart) return;
  const least = Math.min(initialWindow(t.sndMss), t.cwnd);
  remember(t);
  for (let left = idle - t.rto; left > 0 && t.cwnd > least; left -= t.rto) t.cwnd = Math.max(t.cwnd >> 1, least);
  t.cwndUsed = 0;
  t.usedAt = core.ticks;
  core.congestion.idle(t);
}

/** What the window was is found again in slow start. */
function remember(t: Tcb): void {
  if (t.ssthresh !== UNLIMITED) t.ssthresh = Math.max(t.ssthresh, (t.cwnd >> 1) + (t.cwnd >> 2));
}

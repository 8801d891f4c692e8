/** Keepalive (RFC 9293 3.8.4): off unless asked for; probes an idle peer and gives it up when none is answered. */
import * as stat from '../stats.js';
import { ETIMEDOUT } from '../errno.js';
import { fail } from './close.js';
import { TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { sendProbe, sendReset } from './output.js';
import { CLOSE_WAIT, ESTABLISHED, KEEP_ALIVE, PERSISTING, TIMER_LIFE } from './state.js';
import type { Tcb } from './tcb.js';
import { armInMs, disarm } from './timers.js';

/** A day: what the clock of ticks can tell apart, with room to spare. */
const LONGEST_MS = 86_400_000;

/** Switches keepalive on or off; times in ms, at most a day. A value of 0 means the default of the limits. */
export function setKeepAlive(core: Core, t: Tcb, on: boolean, idleMs: number, intervalMs: number, count: number): void {
  t.keepIdle = Math.min(idleMs > 0 ? idleMs : core.limits.keepIdleMs, LONGEST_MS);
  t.keepInterval = Math.min(intervalMs > 0 ? intervalMs : core.limits.keepIntervalMs, LONGEST_MS);
  t.keepCount = count > 0 ? count : core.limits.keepCount;
  if (on) t.mark(KEEP_ALIVE);
  else t.unmark(KEEP_ALIVE);
  if (t.state >= ESTABLISHED && t.state <= CLOSE_WAIT) beginKeepAlive(core, t);
}

/** Starts the timer where keepalive is on, and stops it where it is off. */
export function beginKeepAlive(core: Core, t: Tcb): void {
  if (!t.has(KEEP_ALIVE)) {
    disarm(t, TIMER_LIFE);
    return;
  }
  t.probes = 0;
  armInMs(core, t, TIMER_LIFE, t.keepIdle);
}

/** The timer has run out. */
export function onKeepAliveTimer(core: Core, t: Tcb): void {
  if (!t.has(KEEP_ALIVE)) return;
  // Data in flight is a probe in itself, and the peer that acknowledges nothing is found by its timer.
  const busy = t.sndNxt !== t.sndUna || t.has(PERSISTING);
  const idleMs = Math.floor(((core.ticks - t.heardAt) | 0) / TICKS_PER_MS);
  if (busy || idleMs < t.keepIdle) {
    // The probes of a closed window are counted in the same place, and their count must come to its end.
    if (!t.has(PERSISTING)) t.probes = 0;
    armInMs(core, t, TIMER_LIFE, busy ? t.keepIdle : t.keepIdle - idleMs);
    return;
  }
  // As in Linux a user timeout takes the place of the count.
  if (t.userTimeout > 0 ? t.probes > 0 && idleMs >= t.userTimeout : t.probes >= t.keepCount) {
    core.stats[stat.ABORT_ON_TIMEOUT]++;
    sendReset(core, t);
    fail(core, t, ETIMEDOUT);
    return;
  }
  t.probes++;
  core.stats[stat.KEEP_ALIVE_PROBES]++;
  sendProbe(core, t);
  armInMs(core, t, TIMER_LIFE, t.keepInterval);
}

/** TIME-WAIT (RFC 9293 3.6.1): a bounded queue of flows that wait for the last of their segments to die. */
import * as stat from '../stats.js';
import { finish } from './close.js';
import type { Core } from './core.js';
import { after, before } from './seq.js';
import {
  EV_CLOSED, IN_TIME_WAIT, IS_ORPHAN, NONE, RELEASED, TIMER_LIFE, TIME_WAIT, TIMESTAMPS_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { armInMs } from './timers.js';

/** Both FINs are exchanged: the owner is done, the flow waits. */
export function enterTimeWait(core: Core, t: Tcb): void {
  t.state = TIME_WAIT;
  t.timers = 0;
  core.stats[stat.TW]++;
  if (t.has(IS_ORPHAN)) {
    t.unmark(IS_ORPHAN);
    core.orphans.remove(0, t.flow);
  }
  if (core.timeWait.counts[0] >= core.limits.timeWait) {
    core.stats[stat.TIME_WAIT_OVERFLOW]++;
    recycleOldest(core);
  }
  t.mark(IN_TIME_WAIT);
  core.timeWait.append(0, t.flow);
  armInMs(core, t, TIMER_LIFE, core.limits.timeWaitMs);
  if (!t.has(RELEASED)) core.flows.changed(t, EV_CLOSED);
}

/** Starts the wait anew: the peer has sent its FIN again. */
export function restartTimeWait(core: Core, t: Tcb): void {
  core.timeWait.remove(0, t.flow);
  core.timeWait.append(0, t.flow);
  armInMs(core, t, TIMER_LIFE, core.limits.timeWaitMs);
}

/** Ends the flow that has waited longest, whichever flow is at hand. */
export function recycleOldest(core: Core): void {
  const oldest = core.timeWait.firsts[0];
  if (oldest === NONE) return;
  core.stats[stat.TW_RECYCLED]++;
  finish(core, core.other.at(oldest));
}

/**
 * True where a SYN may open the connection anew (RFC 9293 3.10.7.4 with RFC 1122 4.2.2.13, RFC 6191): nothing that is
 * left of the old one could be taken for its own.
 */
export function mayReopen(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  if (!segment.isSyn || segment.isAck || segment.isRst) return false;
  if (segment.options.hasTimestamps && t.has(TIMESTAMPS_ON)) {
    if (after(segment.options.tsVal, t.tsRecent)) return true;
    if (before(segment.options.tsVal, t.tsRecent)) return false;
  }
  return after(segment.seq, t.rcvNxt);
}


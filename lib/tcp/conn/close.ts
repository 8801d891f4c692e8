/** The end of a connection: what ends it, what its owner hears, and when its record is free. */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { sendReset } from './output.js';
import { endOfText, send } from './sender.js';
import { after } from './seq.js';
import {
  CLOSED, CLOSE_WAIT, CLOSING, ESTABLISHED, EV_CLOSED, EV_ERROR, EV_FREED, FIN_QUEUED, FIN_WAIT_1, FIN_WAIT_2, IN_DEMUX, IN_HALF_OPEN,
  IN_TIME_WAIT, IS_ORPHAN, LAST_ACK, NONE, OWNED, RECYCLABLE, RELEASED, RESET_DUE, SYN_RECEIVED, SYN_SENT, TIMER_LIFE,
  TIME_WAIT, WRITES_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { armInMs, disarmAll } from './timers.js';

/** Takes the flow at hand out of every table: no segment and no timer reaches it any more. */
function detach(core: Core, t: Tcb): void {
  if (t.has(IN_DEMUX)) core.demux.remove(t.flow);
  if (t.has(IN_HALF_OPEN)) core.halfOpen.remove(t.listener, t.flow);
  if (t.has(IN_TIME_WAIT)) core.timeWait.remove(0, t.flow);
  if (t.has(IS_ORPHAN)) core.orphans.remove(0, t.flow);
  t.unmark(IN_DEMUX | IN_HALF_OPEN | IN_TIME_WAIT | IS_ORPHAN);
  dropRanges(core, t);
  core.runs.drop(t);
  disarmAll(core, t);
  t.state = CLOSED;
}

/** The owner has taken over, or let go of, a flow that came by a listener: it no longer counts in the listener's queue. */
export function leaveQueue(core: Core, t: Tcb): void {
  const generation = t.listenerGeneration;
  if (generation === 0) return;
  t.listenerGeneration = 0;
  if (core.listeners.generations[t.listener] === generation) core.listeners.waiting[t.listener]--;
}

/** Both directions are done, or the connection is given up without an error of its own. */
export function finish(core: Core, t: Tcb): void {
  end(core, t, EV_CLOSED);
}

/** The connection is dead: its owner hears `errno`. */
export function fail(core: Core, t: Tcb, errno: number): void {
  t.error = errno;
  if (t.state === SYN_SENT || t.state === SYN_RECEIVED) core.stats[stat.ATTEMPT_FAILS]++;
  else if (t.state === ESTABLISHED || t.state === CLOSE_WAIT) core.stats[stat.ESTAB_RESETS]++;
  end(core, t, EV_ERROR | EV_CLOSED);
}

function end(core: Core, t: Tcb, events: number): void {
  if (t.has(RECYCLABLE)) return;
  detach(core, t);
  if (!t.has(OWNED)) {
    core.flows.free(t.flow);
  } else if (t.has(RELEASED)) {
    t.mark(RECYCLABLE);
    core.flows.changed(t, EV_FREED | EV_CLOSED);
  } else {
    core.flows.changed(t, events);
  }
}

/** Sends a reset where the peer has a connection to be reset, and ends the flow without an error. */
export function resetAndFinish(core: Core, t: Tcb): void {
  if (owesReset(t)) sendReset(core, t);
  finish(core, t);
}

/** RFC 9293 3.10.5: in CLOSING and LAST-ACK the peer has nothing that it waits for, once our FIN has left (as in Linux). */
function owesReset(t: Tcb): boolean {
  const state = t.state;
  if (state === CLOSING || state === LAST_ACK) return ((t.sndNxt - t.iss - 2 - t.written) | 0) < 0;
  return state >= SYN_RECEIVED && state <= CLOSE_WAIT;
}

/** The owner wants RST: the connection is gone at once, and the owner's hold on it with it. */
export function abort(core: Core, t: Tcb): void {
  if (t.has(RECYCLABLE)) return;
  leaveQueue(core, t);
  t.mark(RELEASED);
  resetAndFinish(core, t);
}

/** FIN follows what was written (RFC 9293 3.10.4): the half of the connection that we send on is closed. */
export function shutdown(core: Core, t: Tcb): void {
  t.asides &= ~WRITES_ON;
  if (t.has(FIN_QUEUED) || t.state === CLOSED) return;
  t.mark(FIN_QUEUED);
  if (t.state === ESTABLISHED) t.state = FIN_WAIT_1;
  else if (t.state === CLOSE_WAIT) t.state = LAST_ACK;
  core.flows.touch(t);
}

/**
 * The owner lets go. What it wrote is still sent, and the FIN; bytes that it has not read are lost, and the peer must
 * hear of that by a reset (RFC 2525 2.17), which takes the place of a FIN that was not asked for before.
 *
 * @param ends false: more is still to be written, and `shutdown` follows.
 */
export function release(core: Core, t: Tcb, ends: boolean): void {
  if (t.has(RELEASED)) return;
  leaveQueue(core, t);
  t.mark(RELEASED);
  const state = t.state;
  if (state === CLOSED || state === SYN_SENT) {
    finish(core, t);
  } else if (state === TIME_WAIT) {
    // Nothing is left to do but to wait.
  } else {
    if (!ends) t.asides |= WRITES_ON;
    const unread = ((t.received - t.consumed) | 0) > 0;
    if (unread) {
      core.stats[stat.ABORT_ON_CLOSE]++;
      // What was written in this turn, and a FIN asked for by itself, go before the reset as if they had been sent when they were written.
      if (state >= ESTABLISHED) send(core, t);
      if (!resetLate(core, t)) {
        sendReset(core, t);
        finish(core, t);
        return;
      }
    }
    if (core.orphans.total >= core.limits.orphans) resetOldestOrphan(core);
    t.mark(IS_ORPHAN);
    core.orphans.append(0, t.flow);
    if (unread) return;
    if (ends) shutdown(core, t);
    if (t.state === FIN_WAIT_2) limitFinWait2(core, t);
  }
}

/**
 * A released flow is to be reset because of bytes that nobody reads, which are thrown away. What was written may still wait for the peer's
 * windows, or be lost on the way, and a reset now would lose it. Returns false where nothing speaks against that.
 */
export function resetLate(core: Core, t: Tcb): boolean {
  if (core.limits.resetsAtOnce || t.state < ESTABLISHED || isThrough(t)) return false;
  t.asides |= RESET_DUE;
  t.consumed = t.received;
  dropRanges(core, t);
  return true;
}

/** The peer has all that was written, and the FIN where one was asked for. */
export function isThrough(t: Tcb): boolean {
  if ((t.asides & WRITES_ON) !== 0) return false;
  return t.has(FIN_QUEUED) ? after(t.sndUna, endOfText(t)) : t.acknowledged === t.written;
}

function dropRanges(core: Core, t: Tcb): void {
  if (t.rangeCount === 0) return;
  core.ranges.drop(t.ranges);
  t.ranges = NONE;
  t.rangeCount = 0;
}

/**
 * One too many: the one that was released longest ago has had the most time to get through with what it had to send, and a peer
 * that holds its window closed for ever (RFC 6429 5) is the first to be given up.
 */
function resetOldestOrphan(core: Core): void {
  const oldest = core.other.at(core.orphans.firsts[0]);
  core.stats[stat.ABORT_ON_MEMORY]++;
  sendReset(core, oldest);
  finish(core, oldest);
}

/**
 * A released flow in FIN-WAIT-2 has nobody who waits for the peer's FIN: a bounded time, no longer. Returns false where
 * it is no time at all, and the flow has ended.
 */
export function limitFinWait2(core: Core, t: Tcb): boolean {
  if (t.finWait < 0) {
    core.stats[stat.ABORT_ON_LINGER]++;
    resetAndFinish(core, t);
    return false;
  }
  armInMs(core, t, TIMER_LIFE, t.finWait > 0 ? t.finWait : core.limits.finWait2Ms);
  return true;
}

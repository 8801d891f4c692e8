/** The retransmission timer and its estimate (RFC 6298), and its other use, probing a closed window (RFC 9293 3.8.6.1). */
import * as stat from '../stats.js';
import { ETIMEDOUT } from '../errno.js';
import { fail } from './close.js';
import { TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { noteReduction } from './ecn.js';
import { probeTimedOut, suspectBlackHole } from './mtu.js';
import { sendProbe } from './output.js';
import { sendTailProbe } from './probe.js';
import { repairOnTimeout } from './repair.js';
import { report } from './report.js';
import {
  NONE, PERSISTING, PROBING, RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_OPEN, RELEASED, RETRANSMIT_NOW, RTT_TIMING, SACK_ON,
  SWS_OVERRIDE, TIMER_RETRANSMIT, TLP_OUT, UNPUSHED,
} from './state.js';
import type { Tcb } from './tcb.js';
import { armIn, disarm } from './timers.js';

/** Doublings are counted no further than this; the bound of the RTO is reached long before. */
const BACKOFF_MAX = 16;
/** Retransmissions that are a sign of trouble (RFC 9293 3.8.3, SHLD-10; Linux: tcp_retries1). */
export const R1 = 3;
const US_PER_MS = 1000;
/** Added to the time of a tail loss probe for what the peer's machine and ours take (Linux: TCP_TIMEOUT_MIN), in µs. */
const PROBE_SLACK_US = 2000;

/** The state of a flow that has measured nothing. */
export function beginRto(core: Core, t: Tcb): void {
  t.srtt = 0;
  t.rttvar = 0;
  t.rto = core.limits.rtoInitialMs * US_PER_MS;
  t.backoff = 0;
}

/** One measurement of the round-trip time, in µs (RFC 6298 2.2 and 2.3). */
export function measured(core: Core, t: Tcb, sample: number): void {
  const rtt = Math.max(sample, 1);
  if (t.srtt === 0) {
    t.srtt = rtt;
    t.rttvar = rtt >> 1;
  } else {
    const error = Math.abs(t.srtt - rtt);
    t.rttvar += (error - t.rttvar) >> 2;
    t.srtt = Math.max(t.srtt + ((rtt - t.srtt) >> 3), 1);
  }
  // As in Linux the least RTO is the least of the variation's part: the peer may delay its acknowledgements by that much
  // on any path, however long.
  const variation = Math.max(4 * t.rttvar, core.limits.rtoMinMs * US_PER_MS);
  t.rto = Math.min(t.srtt + variation, core.limits.rtoMaxMs * US_PER_MS);
  t.backoff = 0;
}

/** (Re)starts the timer for what is in flight: for a tail loss probe where one is due first, else for the timeout. */
export function armRetransmit(core: Core, t: Tcb): void {
  if (!mayProbe(t)) {
    armTimeout(core, t);
    return;
  }
  t.unmark(PERSISTING);
  t.mark(PROBING);
  // TLP_calc_PTO (RFC 8985 7.2): twice the round trip, and where a single segment is out the peer's delay of its answer.
  const single = ((t.sndNxt - t.sndUna) | 0) <= t.sndMss;
  const delay = single ? core.limits.rtoMinMs * US_PER_MS : PROBE_SLACK_US;
  armIn(core, t, TIMER_RETRANSMIT, Math.min(2 * t.srtt + delay, t.rto));
}

/** RFC 8985 7.2: SACK, nothing of it reported or under repair, a round trip measured, no probe out already. */
function mayProbe(t: Tcb): boolean {
  return (t.flags & (SACK_ON | TLP_OUT)) === SACK_ON && t.runs !== NONE && t.sacked === 0 && (t.recovery === RECOVERY_OPEN || t.recovery === RECOVERY_CWR) &&
    t.srtt > 0 && t.backoff === 0;
}

/** (Re)starts the timer for the timeout. */
export function armTimeout(core: Core, t: Tcb): void {
  t.unmark(PERSISTING | PROBING);
  const delay = backedOff(core, t.rto, t.backoff);
  armIn(core, t, TIMER_RETRANSMIT, t.backoff > 0 && t.userTimeout > 0 && t.retries > 0 ? beforeUserTimeout(core, t, delay) : delay);
}

/** `delay` in µs, but no longer than the user timeout lasts. */
function beforeUserTimeout(core: Core, t: Tcb, delay: number): number {
  const left = t.userTimeout - Math.floor(((core.ticks - t.askingSince) | 0) / TICKS_PER_MS);
  return left * US_PER_MS < delay ? Math.max(left, 1) * US_PER_MS : delay;
}

/** True where the peer was asked for too long: R2 of RFC 9293 3.8.3, or the user timeout where one is set (3.9.1.1, MUST-21). */
function givenUp(core: Core, t: Tcb, tries: number): boolean {
  const { limits } = core;
  if (t.userTimeout > 0) return tries > 0 && ((core.ticks - t.askingSince) | 0) >= t.userTimeout * TICKS_PER_MS;
  return tries >= (t.has(RELEASED) ? limits.orphanRetries : limits.dataRetries);
}

/** R1 is reached: IP is told to look for a neighbour that is gone, and the owner hears of the trouble (RFC 9293 3.8.3). */
export function adviseAgainst(core: Core, t: Tcb): void {
  core.output.suspect(core.words, t.remoteAt);
  report(core, t, t.softError !== 0 ? t.softError : ETIMEDOUT);
}

/** True where the peer has taken its window back and still answers: for what it has no room for it is not given up (SHLD-17). */
function refusesRoom(t: Tcb): boolean {
  return t.sndWnd === 0 && ((t.heardAt - t.sentAt) | 0) >= 0;
}

/** The connection has got no answer for too long: the owner hears what was last heard of the way, if anything. */
function giveUp(core: Core, t: Tcb): void {
  core.stats[stat.ABORT_ON_TIMEOUT]++;
  fail(core, t, t.softError !== 0 ? t.softError : ETIMEDOUT);
}

/** Starts the timer for a window that is closed, or too small to send into. */
export function armPersist(core: Core, t: Tcb): void {
  if (!t.has(PERSISTING)) {
    t.unmark(PROBING);
    t.mark(PERSISTING);
    t.persistBackoff = 0;
    t.probes = 0;
  }
  const delay = backedOff(core, t.rto, t.persistBackoff);
  const asked = t.persistBackoff > 0 && t.userTimeout > 0;
  armIn(core, t, TIMER_RETRANSMIT, asked ? beforeUserTimeout(core, t, delay) : delay);
}

/** Doubled in int32: this runs for every segment, and a double would be garbage. */
function backedOff(core: Core, rto: number, backoff: number): number {
  const most = core.limits.rtoMaxMs * US_PER_MS;
  for (; backoff > 0 && rto < most; backoff--) rto <<= 1;
  return rto < most ? rto : most;
}

/** Nothing is in flight any more. */
export function disarmRetransmit(t: Tcb): void {
  if (!t.has(PERSISTING)) disarm(t, TIMER_RETRANSMIT);
}

/** Notes one more doubling. */
export function backOff(t: Tcb): void {
  if (t.backoff < BACKOFF_MAX) t.backoff++;
}

/** The timer has run out in a synchronised state (RFC 6298 5.4 to 5.7). */
export function onRetransmitTimer(core: Core, t: Tcb): void {
  if (t.has(PERSISTING)) {
    probeWindow(core, t);
    return;
  }
  const flight = (t.sndNxt - t.sndUna) | 0;
  if (flight <= 0) return;
  if (t.has(PROBING)) {
    sendTailProbe(core, t);
    return;
  }
  core.stats[stat.TIMEOUTS]++;
  if (t.retries === 0) t.askingSince = core.ticks;
  const refused = refusesRoom(t);
  if (givenUp(core, t, refused && t.userTimeout === 0 ? 0 : t.retries)) {
    giveUp(core, t);
    return;
  }
  probeTimedOut(core, t);
  if (t.has(SACK_ON)) {
    repairOnTimeout(core, t);
  } else {
    core.congestion.timeout(t, flight, t.retries === 0 || t.recovery === RECOVERY_FAST);
    noteReduction(t);
    t.recovery = RECOVERY_LOSS;
    t.recover = t.sndNxt;
    t.rtxNxt = t.sndUna;
    t.dupAcks = 0;
  }
  t.retries = refused ? 1 : t.retries + 1;
  if (t.retries === R1) adviseAgainst(core, t);
  suspectBlackHole(core, t);
  backOff(t);
  t.unmark(RTT_TIMING);
  t.mark(RETRANSMIT_NOW);
  armRetransmit(core, t);
  core.flows.touch(t);
}

/** Data waits for a window: ask for it, without end as long as the peer answers (MUST-37) and the user has set no bound. */
function probeWindow(core: Core, t: Tcb): void {
  if (t.persistBackoff === 0) t.askingSince = core.ticks;
  if (givenUp(core, t, t.userTimeout > 0 ? t.persistBackoff : t.probes)) {
    giveUp(core, t);
    return;
  }
  t.probes++;
  if (t.persistBackoff < BACKOFF_MAX) t.persistBackoff++;
  if (t.sndWnd > 0) {
    // The window is open, though so little that it was better to wait: not for ever (RFC 9293 3.8.6.2.1).
    t.mark(SWS_OVERRIDE);
    // What was to follow has not come.
    t.hold &= ~UNPUSHED;
    core.flows.touch(t);
  } else {
    core.stats[stat.WIN_PROBE]++;
    sendProbe(core, t);
  }
  armPersist(core, t);
}

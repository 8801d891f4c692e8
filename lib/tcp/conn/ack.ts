/** When an acknowledgement is sent (RFC 9293 3.8.6.3, RFC 5681 4.2), and how often an answer may be forced from us. */
import * as stat from '../stats.js';
import { TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { sendAck } from './output.js';
import { ACK_NOW, INTERACTIVE, TIMER_ACK } from './state.js';
import type { Tcb } from './tcb.js';
import { armInMs, isArmed } from './timers.js';
import { room } from './window.js';

/** An acknowledgement leaves with this turn, alone or with data. */
export function ackNow(core: Core, t: Tcb): void {
  t.mark(ACK_NOW);
  core.flows.touch(t);
}

/** A duplicate acknowledgement leaves at once: the sender counts them (RFC 5681 4.2). */
export function ackAtOnce(core: Core, t: Tcb): void {
  if (sendAck(core, t)) core.stats[stat.PURE_ACKS]++;
  else ackNow(core, t);
}

/** Text has arrived in order. At least every second full segment is acknowledged (SHLD-19), others after a delay. */
export function acknowledgeText(core: Core, t: Tcb): void {
  const due = moreThanOne(t) || (t.quickAcks > 0 && !t.has(INTERACTIVE));
  if (due && (core.limits.ackPolicy === 'second' || room(t) >= t.rcvBuf >> 1)) ackNow(core, t);
  else if (!isArmed(t, TIMER_ACK)) armInMs(core, t, TIMER_ACK, core.limits.delayedAckMs);
}

/** More than one full segment is not acknowledged. */
function moreThanOne(t: Tcb): boolean {
  return ((t.rcvNxt - t.lastAckSent) | 0) > t.rcvMss;
}

/** The owner has read on: what was not acknowledged for want of room is now. */
export function acknowledgeRead(core: Core, t: Tcb): void {
  if (core.limits.ackPolicy === 'linux' && isArmed(t, TIMER_ACK) && moreThanOne(t)) ackNow(core, t);
}

/** The delayed acknowledgement is due. */
export function onAckTimer(core: Core, t: Tcb): void {
  core.stats[stat.DELAYED_ACKS]++;
  // No data was there that it could have ridden on.
  if (core.limits.ackPolicy === 'linux') t.unmark(INTERACTIVE);
  ackNow(core, t);
}

/**
 * Answers a segment that is not acceptable (RFC 9293 3.10.7.4). One that carries no data could keep two ends answering
 * each other for ever, and an attacker could have us send as he likes, so answers to those are rationed (RFC 5961 7).
 */
export function answerInvalid(core: Core, t: Tcb, carriesData: boolean): void {
  if (!carriesData) {
    const since = (core.ticks - t.invalidAt) | 0;
    if (since >= 0 && since < core.limits.invalidAckMs * TICKS_PER_MS) {
      core.stats[stat.ACK_SKIPPED]++;
      return;
    }
    t.invalidAt = core.ticks;
  }
  ackAtOnce(core, t);
}

/**
 * RFC 5961: asks the peer whether it meant what an unlikely segment said. Rationed for each flow first, so that nobody uses up
 * the ration of all by one flow of his own; and that ration is another one each second, so that nobody who counts what is left
 * of it learns whether a forged segment has met a flow (RFC 5961 10, and the reason why Linux does so).
 */
export function challenge(core: Core, t: Tcb): void {
  const since = (core.ticks - t.invalidAt) | 0;
  if (since >= 0 && since < core.limits.invalidAckMs * TICKS_PER_MS) {
    core.stats[stat.ACK_SKIPPED]++;
    return;
  }
  if (((core.ms - core.challengeFrom) | 0) >= 1000) {
    core.challengeFrom = core.ms;
    const { challengeAcks } = core.limits;
    core.challengesLeft = Math.ceil(challengeAcks / 2) + (core.random() >>> 0) % Math.max(challengeAcks, 1);
  }
  if (core.challengesLeft <= 0) {
    core.stats[stat.ACK_SKIPPED]++;
    return;
  }
  core.challengesLeft--;
  core.stats[stat.CHALLENGE_ACK]++;
  answerInvalid(core, t, false);
}

/** SEGMENT ARRIVES (RFC 9293 3.10.7): the steps, in the order in which the RFC has them. */
import { ECONNREFUSED, ECONNRESET } from '../errno.js';
import { isOfShare } from '../share.js';
import * as stat from '../stats.js';
import type { Arrival } from '../transport.js';
import { FIN, SYN } from '../wire/tcp.js';
import { ackAtOnce, ackNow, answerInvalid, challenge } from './ack.js';
import { measure, takeAck } from './acknowledge.js';
import { fail, finish, isThrough, limitFinWait2 } from './close.js';
import type { Core } from './core.js';
import { noteMark } from './ecn.js';
import { arriveInSynSent, establish } from './handshake.js';
import { admits, arriveAtListener, countOverflow, hasRoom, openHalf } from './listen.js';
import { refuse, sendReset } from './output.js';
import { acceptText } from './receiver.js';
import { noteDuplicate } from './sack.js';
import { endOfText } from './sender.js';
import { after, before, notAfter } from './seq.js';
import {
  ACTIVE, CLOSING, FIN_QUEUED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, NONE, RELEASED, RESET_DUE, SYN_DUE, SYN_RECEIVED, SYN_SENT,
  TIME_WAIT, TIMESTAMPS_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { enterTimeWait, mayReopen, restartTimeWait } from './time_wait.js';
import { takeUrgent } from './urgent.js';
import { rcvWnd } from './window.js';

/** How much later the sequence numbers begin of a connection that takes over from one in TIME-WAIT (RFC 9293 3.4.3). */
const ISS_STEP = 65537;
/** TS.Recent of a connection idle for longer says nothing (RFC 7323 5.5): 24 days, in s. */
const TS_RECENT_MAX_S = 24 * 86_400;

/** One segment for this host. */
export function arrive(core: Core, arrival: Arrival): void {
  const segment = core.segment;
  core.stats[stat.IN_SEGS]++;
  if (!segment.read(arrival)) {
    core.stats[stat.IN_ERRS]++;
    return;
  }
  const flow = core.demux.find(segment.addresses, 4, 0, segment.destinationPort, segment.sourcePort);
  if (flow === NONE) {
    arriveUnconnected(core);
    return;
  }
  const t = core.t.at(flow);
  if (t.state === TIME_WAIT && mayReopen(core, t)) {
    const listener = core.listeners.find(core.segment.addresses, 4, core.segment.destinationPort);
    if (listener !== NONE) {
      reopen(core, t, listener);
      return;
    }
  }
  if (t.state === SYN_SENT) {
    if (arriveInSynSent(core, t)) acceptText(core, t);
    return;
  }
  arriveSynchronised(core, t);
}

/** A connection takes the place of that in TIME-WAIT, where there is room for it; a SYN that may be forged does not end the one in vain. */
function reopen(core: Core, t: Tcb, listener: number): void {
  if (!admits(core, listener)) return;
  const least = (t.sndNxt + ISS_STEP) | 0;
  finish(core, t);
  openHalf(core, listener, least, true);
}

/** No connection has these addresses and ports: a listener's, or CLOSED (3.10.7.1, 3.10.7.2); or another stack's. */
function arriveUnconnected(core: Core): void {
  const { segment, share } = core;
  if (!isOfShare(share, segment.destinationPort, segment.sourcePort)) return;
  const listener = core.listeners.find(segment.addresses, 4, segment.destinationPort);
  if (listener === NONE) refuse(core);
  else if (arriveAtListener(core, listener)) takeText(core, core.t);
}

/** 3.10.7.4, and SYN-RECEIVED. */
function arriveSynchronised(core: Core, t: Tcb): void {
  if (t.state === SYN_RECEIVED && !checkHandshake(core, t)) return;
  if (!checkTimestamp(core, t)) return;
  if (!checkSequence(core, t)) return;
  t.heardAt = core.ticks;
  if (core.segment.isRst) {
    takeReset(core, t);
    return;
  }
  // Fourth (RFC 5961 4.2): a SYN here is an attacker's, or that of a peer that has restarted; the answer tells it which.
  if (core.segment.isSyn) {
    core.stats[stat.SYN_CHALLENGE]++;
    challenge(core, t);
    return;
  }
  if (!core.segment.isAck) return;
  if (t.state === SYN_RECEIVED && !completeHandshake(core, t)) return;
  if (!takeAck(core, t)) return;
  // Only now: a segment with an acknowledgement that cannot be true may be forged, and its timestamp with it.
  updateTsRecent(core, t);
  if (!afterAck(core, t)) return;
  takeText(core, t);
}

/** Sixth to eighth: urgent pointer, text and FIN. */
function takeText(core: Core, t: Tcb): void {
  if (core.segment.isUrg) takeUrgent(core, t);
  if (t.ecn !== 0 && core.segment.textLength > 0) noteMark(core, t);
  acceptText(core, t);
}

/** SYN and SYN-ACK of the handshake that come again. Returns false where the segment is dealt with. */
function checkHandshake(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  if (!segment.isSyn || segment.isRst || segment.seq !== t.irs) return true;
  if (segment.isAck) {
    // Simultaneous open: the peer's SYN-ACK acknowledges ours; its SYN is known already (figure 7, lines 5 and 6).
    segment.seq = (segment.seq + 1) | 0;
    segment.flags &= ~SYN;
    ackNow(core, t);
    return true;
  }
  t.mark(SYN_DUE);
  core.flows.touch(t);
  return false;
}

/** PAWS (RFC 7323 5.3 R1): a segment from before the sequence numbers wrapped. */
function checkTimestamp(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  if (!t.has(TIMESTAMPS_ON) || segment.isRst) return true;
  if (!segment.options.hasTimestamps) {
    // RFC 7323 3.2: once agreed on, every segment has them.
    if (!core.limits.timestampsRequired) return true;
    core.stats[stat.IN_ERRS]++;
    return false;
  }
  if (!before(segment.options.tsVal, t.tsRecent)) return true;
  if (((core.seconds - t.tsRecentAt) | 0) > TS_RECENT_MAX_S) return true;
  core.stats[stat.PAWS_ESTAB]++;
  answerInvalid(core, t, segment.length > 0);
  return false;
}

/** First: is any of it in the window? What is not is answered with where we stand. */
function checkSequence(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  const window = rcvWnd(t);
  const length = segment.length;
  const from = (segment.seq - t.rcvNxt) | 0;
  if (length === 0 ? from >= 0 && from <= window : from < window && from + length > 0) return true;
  if (segment.isRst) return false;
  if (window === 0 && from === 0) {
    // A FIN takes no room, and a peer that sends it though the window is closed would do so for ever.
    if (segment.textLength === 0 && segment.isFin && !segment.isSyn) {
      ackNow(core, t);
      return true;
    }
    // A probe of the closed window: its acknowledgement counts, its text does not.
    segment.textLength = 0;
    segment.flags &= ~FIN;
    ackAtOnce(core, t);
    return true;
  }
  if (t.state === TIME_WAIT && segment.isFin) restartTimeWait(core, t);
  const end = (segment.seq + segment.textLength) | 0;
  if (from < 0 && segment.textLength > 0 && notAfter(end, t.rcvNxt)) {
    core.stats[stat.DUPLICATE_DATA]++;
    noteDuplicate(core, t, segment.seq, end);
  }
  answerInvalid(core, t, length > 0);
  return false;
}

/** Second (RFC 5961 3.2): a reset must hit the very next sequence number, or it is asked for again. */
function takeReset(core: Core, t: Tcb): void {
  if (core.segment.seq !== t.rcvNxt) {
    challenge(core, t);
    return;
  }
  const state = t.state;
  if (state === TIME_WAIT && core.limits.resetsPassTimeWait) return;
  if (state === SYN_RECEIVED) fail(core, t, t.has(ACTIVE) ? ECONNREFUSED : ECONNRESET);
  else if (state === CLOSING || state === LAST_ACK || state === TIME_WAIT) finish(core, t);
  else fail(core, t, ECONNRESET);
}

/** RFC 7323 4.3: the timestamp to echo is that of the segment that our next acknowledgement answers. */
function updateTsRecent(core: Core, t: Tcb): void {
  const segment = core.segment;
  if (!t.has(TIMESTAMPS_ON) || after(segment.seq, t.lastAckSent) || !segment.options.hasTimestamps) return;
  t.tsRecent = segment.options.tsVal;
  t.tsRecentAt = core.seconds;
}

/** Fifth, in SYN-RECEIVED: is it our SYN that is acknowledged? */
function completeHandshake(core: Core, t: Tcb): boolean {
  const ack = core.segment.ack;
  if (!after(ack, t.sndUna) || after(ack, t.sndNxt)) {
    refuse(core);
    return false;
  }
  if (!t.has(ACTIVE) && !hasRoom(core, t.listener)) {
    // As if it had not come (Linux): the SYN-ACK that is sent again asks for it once more.
    countOverflow(core);
    return false;
  }
  measure(core, t, ack);
  establish(core, t);
  return true;
}

/** Fifth, where all that was written, or our FIN, is acknowledged: what that changes. Returns false where the connection has ended. */
function afterAck(core: Core, t: Tcb): boolean {
  if ((t.asides & RESET_DUE) !== 0 && isThrough(t)) {
    sendReset(core, t);
    finish(core, t);
    return false;
  }
  if (!t.has(FIN_QUEUED)) return true;
  const state = t.state;
  if (state === TIME_WAIT) return true;
  if (!after(t.sndUna, endOfText(t))) return true;
  if (state === FIN_WAIT_1) {
    t.state = FIN_WAIT_2;
    if (t.has(RELEASED)) return limitFinWait2(core, t);
  } else if (state === CLOSING) {
    enterTimeWait(core, t);
    return false;
  } else if (state === LAST_ACK) {
    finish(core, t);
    return false;
  }
  return true;
}


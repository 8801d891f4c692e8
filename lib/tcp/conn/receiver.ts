/** Text and FIN of an acceptable segment (RFC 9293 3.10.7.4, seventh and eighth step). */
import * as stat from '../stats.js';
import { FIN } from '../wire/tcp.js';
import { ackAtOnce, ackNow, acknowledgeText } from './ack.js';
import { finish, resetLate } from './close.js';
import type { Core } from './core.js';
import { announcedMss, refuse } from './output.js';
import { relieve, timeTrip } from './receive_buffer.js';
import { noteDuplicate, noteOutOfOrder } from './sack.js';
import { after, before, earlier, notAfter } from './seq.js';
import {
  CLOSE_WAIT, CLOSING, DSACK_DUE, ESTABLISHED, EV_EOF, EV_READABLE, FIN_KNOWN, FIN_RECEIVED, FIN_WAIT_1, FIN_WAIT_2, INTERACTIVE, NONE,
  RELEASED, RESET_DUE, SACK_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { enterTimeWait } from './time_wait.js';
import { rcvWnd } from './window.js';

/** Takes the text of the segment at hand, as far as the window goes. Returns false where the connection has ended by it. */
export function acceptText(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  if (t.state !== ESTABLISHED && t.state !== FIN_WAIT_1 && t.state !== FIN_WAIT_2) return true;
  if (segment.textLength === 0 && !segment.isFin) return true;
  if (!trim(core, t)) return true;
  if (segment.textLength > 0 && t.has(RELEASED)) {
    if (!throwAway(core, t)) return false;
  } else if (segment.textLength > 0) {
    if (segment.seq === t.rcvNxt) acceptInOrder(core, t);
    else acceptOutOfOrder(core, t);
  }
  noteFin(core, t);
  if ((t.asides & RESET_DUE) !== 0) t.consumed = t.received;
  return true;
}

/**
 * RFC 2525 2.17: nobody will read the text at hand, and the peer must not think otherwise. Returns false where the connection has ended by
 * it; else it is acknowledged, so that the peer need not send it again, and the reset follows.
 */
function throwAway(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  if ((t.asides & RESET_DUE) === 0) {
    core.stats[stat.ABORT_ON_DATA]++;
    if (!resetLate(core, t)) {
      refuse(core);
      finish(core, t);
      return false;
    }
  }
  if (segment.seq === t.rcvNxt) {
    t.rcvNxt = (t.rcvNxt + segment.textLength) | 0;
    t.received = (t.rcvNxt - t.irs - 1) | 0;
    ackNow(core, t);
  } else {
    segment.flags &= ~FIN;
    ackAtOnce(core, t);
  }
  return true;
}

/** Cuts off what is before `rcvNxt` and what is beyond the window. Returns false where nothing new is left. */
function trim(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  const old = (t.rcvNxt - segment.seq) | 0;
  if (old > 0) {
    if (old > segment.textLength || (old === segment.textLength && !segment.isFin)) {
      // All of it was here before: the acknowledgement was lost, or the peer's timer ran out too early.
      core.stats[stat.DUPLICATE_DATA]++;
      if (segment.textLength > 0) noteDuplicate(core, t, segment.seq, (segment.seq + segment.textLength) | 0);
      ackAtOnce(core, t);
      return false;
    }
    noteDuplicate(core, t, segment.seq, t.rcvNxt);
    ackNow(core, t);
    segment.trimFront(old);
  }
  const beyond = (segment.seq + segment.textLength - t.rcvAdv) | 0;
  if (beyond > 0 && core.limits.overrun) {
    if (rcvWnd(t) === 0 || t.received !== t.consumed) {
      ackAtOnce(core, t);
      return false;
    }
    if (segment.seq === t.rcvNxt) t.rcvAdv = (segment.seq + segment.textLength) | 0;
    return true;
  }
  if (beyond > 0) {
    segment.textLength = Math.max(segment.textLength - beyond, 0);
    segment.flags &= ~FIN;
    ackNow(core, t);
  }
  return segment.textLength > 0 || segment.isFin;
}

/** The next bytes in order, and the ranges that they reach. */
function acceptInOrder(core: Core, t: Tcb): void {
  const segment = core.segment;
  const length = segment.textLength;
  if (!core.payload.store(t.flow, t.received, segment.bytes, segment.textAt, length, segment.rest)) {
    core.stats[stat.RCV_DROP]++;
    segment.flags &= ~FIN;
    relieve(core, t);
    ackNow(core, t);
    return;
  }
  noteSize(core, t, segment.wireLength);
  t.rcvNxt = (t.rcvNxt + length) | 0;
  timeTrip(core, t);
  if (t.rangeCount > 0) {
    joinRanges(core, t);
    // RFC 5681 4.2: a segment that fills a gap is acknowledged at once.
    ackNow(core, t);
  }
  t.received = (t.rcvNxt - t.irs - 1) | 0;
  core.flows.changed(t, EV_READABLE);
  if (segment.isFin) t.mark(INTERACTIVE);
  acknowledgeText(core, t);
}

function joinRanges(core: Core, t: Tcb): void {
  const ranges = core.ranges;
  const first = t.ranges;
  // RFC 2883 4: of what came a second time with this segment the first part is told.
  if (before(ranges.starts[first], t.rcvNxt)) noteDuplicate(core, t, ranges.starts[first], earlier(ranges.ends[first], t.rcvNxt));
  t.ranges = ranges.absorb(t.ranges, t.rcvNxt);
  t.rangeCount += ranges.change;
  t.rcvNxt = ranges.reached;
}

/** Bytes ahead of their turn: they are stored in their place, and the peer hears of the gap at once. */
function acceptOutOfOrder(core: Core, t: Tcb): void {
  const segment = core.segment;
  const ranges = core.ranges;
  const start = segment.seq;
  const end = (start + segment.textLength) | 0;
  // No flow has more than are left over: however many are greedy, some are left to a newcomer.
  const roomForOne = t.rangeCount < ranges.available && t.rangeCount < core.limits.rangesPerFlow;
  const known = ranges.covers(t.ranges, start, end);
  if (!known && (roomForOne || ranges.touches(t.ranges, start, end))) {
    const position = (start - t.irs - 1) | 0;
    if (core.payload.store(t.flow, position, segment.bytes, segment.textAt, segment.textLength, segment.rest)) {
      t.ranges = ranges.insert(t.ranges, start, end);
      t.rangeCount += ranges.change;
      core.stats[stat.OFO_QUEUE]++;
      noteSize(core, t, segment.wireLength);
    } else {
      core.stats[stat.RCV_DROP]++;
      segment.flags &= ~FIN;
    }
  } else if (!known) {
    core.stats[stat.OFO_DROP]++;
    segment.flags &= ~FIN;
  }
  if (known) noteDuplicate(core, t, start, end);
  if (t.has(SACK_ON)) noteOutOfOrder(core, t, start);
  ackAtOnce(core, t);
}

/** Learns how large the peer's full segments are (RFC 9293 3.8.6.3 counts in them). */
function noteSize(core: Core, t: Tcb, length: number): void {
  if (length <= t.rcvMss) return;
  const most = announcedMss(core, t);
  // What is larger than the peer may send was coalesced on the way; most send no larger segments than they take.
  t.rcvMss = length > most ? Math.max(t.rcvMss, Math.min(most, t.mssMost)) : length;
}

/** Remembers a FIN, and acts on it when everything before it is there. */
function noteFin(core: Core, t: Tcb): void {
  const segment = core.segment;
  if (segment.isFin && !t.has(FIN_KNOWN)) {
    t.mark(FIN_KNOWN);
    t.finSeq = (segment.seq + segment.textLength) | 0;
    if (after(t.finSeq, t.rcvNxt) && segment.textLength === 0) ackAtOnce(core, t);
  }
  if (!t.has(FIN_KNOWN) || before(t.rcvNxt, t.finSeq) || t.has(FIN_RECEIVED)) return;
  // Bytes beyond the FIN are none of the stream: a peer that sends them does not know what it does.
  if (notAfter(t.finSeq, t.rcvNxt)) finInOrder(core, t);
}

/** RFC 9293 3.10.7.4, eighth step. */
function finInOrder(core: Core, t: Tcb): void {
  t.mark(FIN_RECEIVED);
  if (t.rangeCount > 0) {
    core.ranges.drop(t.ranges);
    t.ranges = NONE;
    t.rangeCount = 0;
  }
  t.received = (t.finSeq - t.irs - 1) | 0;
  t.rcvNxt = (t.finSeq + 1) | 0;
  if (after(t.rcvNxt, t.rcvAdv)) t.rcvAdv = t.rcvNxt;
  core.flows.changed(t, EV_EOF);
  // Nothing comes any more that a report of duplicates could help.
  t.unmark(DSACK_DUE);
  if (t.state === ESTABLISHED) {
    t.state = CLOSE_WAIT;
    t.mark(INTERACTIVE);
    // The owner will mostly answer, and end its half too: our FIN carries the acknowledgement then.
    if (t.received !== 0) acknowledgeText(core, t);
    else ackNow(core, t);
    return;
  }
  ackNow(core, t);
  if (t.state === FIN_WAIT_1) t.state = CLOSING;
  else if (t.state === FIN_WAIT_2) enterTimeWait(core, t);
}


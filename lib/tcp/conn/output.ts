/** Segments that leave: how each kind is written. What is to be sent, and when, is decided elsewhere. */
import * as stat from '../stats.js';
import { NO_ROOM } from '../transport.js';
import { put16 } from '../wire/bytes.js';
import { emitSack, emitSynOptions, emitTimestamps } from '../wire/options.js';
import { ACK, emitTcp, FIN, PSH, RST, SYN, TCP_FLAGS, TCP_HEADER, TCP_URGENT, URG } from '../wire/tcp.js';
import type { Core } from './core.js';
import { echoBits, ecnField, handshakeBits, textBits } from './ecn.js';
import { fillBlocks } from './sack.js';
import { after, before } from './seq.js';
import {
  ACK_NOW, ACTIVE, DSACK_DUE, FIN_QUEUED, SACK_ON, SCALING_ON, SYN_SENT, TIMER_ACK, TIMESTAMPS_ON, UNPUSHED, URGENT_OUT,
} from './state.js';
import type { Tcb } from './tcb.js';
import { disarm } from './timers.js';
import { advertise, FIELD_MAX } from './window.js';

/** SACK blocks beside timestamps, and without (RFC 2018 3). */
const BLOCKS_BESIDE_TIMESTAMPS = 3;
const BLOCKS_ALONE = 4;
/** The timestamps option, padding included. */
const TIMESTAMPS_BYTES = 12;

/** Largest urgent pointer of one segment: what is urgent beyond it, later segments tell. */
const POINTER_MAX = 65535;

/** TSval of a segment that leaves now. */
export function tsNow(core: Core, t: Tcb): number {
  return (core.ms + t.tsOffset) | 0;
}

/** Begins a packet of the flow; where the device is full it is emptied once. Returns a place, NO_ROOM or NO_ROUTE. */
function begin(core: Core, t: Tcb, ecn = 0): number {
  return beginTo(core, core.words, t.localAt, t.remoteAt, t.trafficClass | ecn);
}

function beginTo(core: Core, words: Int32Array, localAt: number, remoteAt: number, trafficClass: number): number {
  let at = core.output.begin(words, localAt, remoteAt, trafficClass);
  if (at === NO_ROOM) {
    core.flush();
    at = core.output.begin(words, localAt, remoteAt, trafficClass);
    if (at === NO_ROOM) core.congested = true;
  }
  return at;
}

function end(core: Core, length: number, segmentSize: number): void {
  core.output.end(length, segmentSize);
  core.stats[stat.OUT_SEGS]++;
  core.unflushed = true;
}

/** What holds for every segment that acknowledges `rcvNxt`. */
function acknowledged(t: Tcb): void {
  t.lastAckSent = t.rcvNxt;
  t.unmark(ACK_NOW);
  disarm(t, TIMER_ACK);
  if (t.quickAcks > 0) t.quickAcks--;
}

/** Sends an empty acknowledgement. Returns false where there was no room. */
export function sendAck(core: Core, t: Tcb): boolean {
  return sendEmpty(core, t, t.sndNxt);
}

/**
 * Sends a segment without text that lies before the window, so that the peer must answer it (RFC 9293 3.10.7.4): the
 * probe of a zero window and of an idle connection. It carries no octet that the peer would have to throw away.
 */
export function sendProbe(core: Core, t: Tcb): boolean {
  return sendEmpty(core, t, (t.sndUna - 1) | 0);
}

function sendEmpty(core: Core, t: Tcb, seq: number): boolean {
  const at = begin(core, t);
  if (at < 0) return at !== NO_ROOM;
  const bytes = core.output.bytes;
  let header = TCP_HEADER;
  const stamped = t.has(TIMESTAMPS_ON);
  if (stamped) header += emitTimestamps(bytes, at + header, tsNow(core, t), t.tsRecent);
  if (t.has(SACK_ON) && (t.rangeCount > 0 || t.has(DSACK_DUE))) {
    const count = fillBlocks(core, t, stamped ? BLOCKS_BESIDE_TIMESTAMPS : BLOCKS_ALONE);
    header += emitSack(bytes, at + header, core.sackEdges, 0, count);
  }
  emitTcp(bytes, at, t.localPort, t.remotePort, seq, t.rcvNxt, t.ecn === 0 ? ACK : ACK | echoBits(t), advertise(core, t), header);
  if ((t.asides & URGENT_OUT) !== 0) pointToUrgent(core, t, at, seq);
  end(core, header, 0);
  acknowledged(t);
  return true;
}

/** Writes the urgent pointer into the header at `at` of a segment that leaves, with sequence number `seq`. */
function pointToUrgent(core: Core, t: Tcb, at: number, seq: number): void {
  if (!after(t.sndUp, t.sndUna)) {
    t.asides &= ~URGENT_OUT;
    return;
  }
  if (!before(seq, t.sndUp)) return;
  const bytes = core.output.bytes;
  bytes[at + TCP_FLAGS] |= URG;
  put16(bytes, at + TCP_URGENT, Math.min((t.sndUp - seq) | 0, POINTER_MAX));
}

/**
 * Sends `length` bytes of the stream from `seq`, and the FIN where the stream ends there and `fin` allows it.
 *
 * @returns sequence numbers sent, the FIN counted: fewer than asked where the text lies in too many pieces; NO_ROOM, or
 *   0 where the text is not there. Without a route it counts as sent and lost.
 */
export function sendText(core: Core, t: Tcb, seq: number, length: number, fin: boolean): number {
  const at = begin(core, t, t.ecn === 0 ? 0 : ecnField(t, seq, length));
  if (at === NO_ROOM) return NO_ROOM;
  if (at < 0) return length + (fin ? 1 : 0);
  const position = (seq - t.iss - 1) | 0;
  const sent = length > 0 ? core.payload.gather(t.flow, position, length, core.output) : 0;
  if (length > 0 && sent <= 0) return 0;
  const bytes = core.output.bytes;
  let header = TCP_HEADER;
  if (t.has(TIMESTAMPS_ON)) header += emitTimestamps(bytes, at + header, tsNow(core, t), t.tsRecent);
  let flags = ACK;
  const last = ((position + sent - t.written) | 0) === 0;
  // RFC 9293 3.9.1.2: PSH where nothing follows that was written (MUST-61).
  if (sent > 0 && (core.push || (last && (t.hold & UNPUSHED) === 0))) flags |= PSH;
  const ends = fin && last && t.has(FIN_QUEUED);
  if (ends) flags |= FIN;
  if (t.ecn !== 0) flags |= textBits(t, seq, sent);
  emitTcp(bytes, at, t.localPort, t.remotePort, seq, t.rcvNxt, flags, advertise(core, t), header);
  if ((t.asides & URGENT_OUT) !== 0) pointToUrgent(core, t, at, seq);
  end(core, header, sent > t.sndMss ? t.sndMss : 0);
  acknowledged(t);
  return sent + (ends ? 1 : 0);
}

/** Sends SYN in SYN-SENT and SYN-ACK in SYN-RECEIVED. Returns false where there was no room. */
export function sendSyn(core: Core, t: Tcb): boolean {
  const at = begin(core, t);
  if (at < 0) return at !== NO_ROOM;
  const opening = t.state === SYN_SENT;
  const bytes = core.output.bytes;
  const header = TCP_HEADER + synOptions(core, t, bytes, at + TCP_HEADER, opening);
  const window = firstWindow(core, t);
  if (!opening) t.rcvAdv = (t.rcvNxt + window) | 0;
  emitTcp(
    bytes, at, t.localPort, t.remotePort, t.iss, opening ? 0 : t.rcvNxt, (opening ? SYN : SYN | ACK) | handshakeBits(t, opening), window, header,
  );
  end(core, header, 0);
  if (!opening) {
    t.lastAckSent = t.rcvNxt;
    t.unmark(ACK_NOW);
  }
  return true;
}

/**
 * The window of a SYN, which is never scaled (RFC 7323 2.2): whole segments, where it is more than one. Those of a peer
 * that opens are counted as they are before the options of its SYN are known.
 */
export function firstWindow(core: Core, t: Tcb): number {
  const options = t.has(TIMESTAMPS_ON) && !t.has(ACTIVE) ? TIMESTAMPS_BYTES : 0;
  const mss = announcedMss(core, t) - options;
  return Math.min(mss > 0 && t.rcvBuf > mss ? t.rcvBuf - (t.rcvBuf % mss) : t.rcvBuf, FIELD_MAX);
}

/** The flags say what is offered in a SYN, and in a SYN-ACK what the SYN offered and we take. */
function synOptions(core: Core, t: Tcb, bytes: Uint8Array, at: number, opening: boolean): number {
  return emitSynOptions(
    bytes, at, announcedMss(core, t), t.has(SACK_ON), t.has(TIMESTAMPS_ON), tsNow(core, t),
    opening ? 0 : t.tsRecent, t.has(SCALING_ON) ? t.rcvWndShift : -1,
  );
}

/** Resets the connection of the flow at hand (RFC 9293 3.5.2, 3.10.5). */
export function sendReset(core: Core, t: Tcb): void {
  const at = begin(core, t);
  if (at < 0) return;
  const bytes = core.output.bytes;
  let header = TCP_HEADER;
  if (t.has(TIMESTAMPS_ON)) header += emitTimestamps(bytes, at + header, tsNow(core, t), t.tsRecent);
  emitTcp(bytes, at, t.localPort, t.remotePort, t.sndNxt, t.rcvNxt, RST | ACK, 0, header);
  end(core, header, 0);
  core.stats[stat.OUT_RSTS]++;
}

/** Answers the segment at hand, which belongs to no connection, with a reset (RFC 9293 3.10.7.1). */
export function refuse(core: Core): void {
  const segment = core.segment;
  if (segment.isRst) return;
  const at = beginTo(core, segment.addresses, 4, 0, 0);
  if (at < 0) return;
  const seq = segment.isAck ? segment.ack : 0;
  const ack = segment.isAck ? 0 : (segment.seq + segment.length) | 0;
  const flags = segment.isAck ? RST : RST | ACK;
  emitTcp(
    core.output.bytes, at, segment.destinationPort, segment.sourcePort, seq, ack, flags, 0, TCP_HEADER,
  );
  end(core, TCP_HEADER, 0);
  core.stats[stat.OUT_RSTS]++;
}

/** Bytes of an IP header towards an address: fixed part only, for we send no IP options. */
export function ipHeader(words: Int32Array, at: number): number {
  return words[at + 2] === 0xffff && (words[at] | words[at + 1]) === 0 ? 20 : 40;
}

/**
 * The MSS that the flow at hand announces: what fits the link (RFC 6691 2), or less where its owner says so. What the path
 * from us to the peer carries says nothing of the other direction (RFC 8201 5.4).
 */
export function announcedMss(core: Core, t: Tcb): number {
  return boundedMss(t, core.output.linkMtu(core.words, t.remoteAt) - ipHeader(core.words, t.remoteAt) - TCP_HEADER);
}

/** The MSS that the path to the peer carries, or less where the flow's owner says so. */
export function carriedMss(core: Core, t: Tcb): number {
  return boundedMss(t, core.output.mtu(core.words, t.remoteAt) - ipHeader(core.words, t.remoteAt) - TCP_HEADER);
}

function boundedMss(t: Tcb, fitting: number): number {
  const mss = Math.min(65535, Math.max(fitting, 0));
  return t.maxSegment > 0 && t.maxSegment < mss ? t.maxSegment : mss;
}

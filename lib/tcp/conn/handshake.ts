/** Opening: LISTEN, SYN-SENT and SYN-RECEIVED (RFC 9293 3.10.1, 3.10.7.2, 3.10.7.3), and what is agreed on with it. */
import { EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, EINVAL, ENETUNREACH, ENOBUFS, ETIMEDOUT } from '../errno.js';
import { isOfShare } from '../share.js';
import * as stat from '../stats.js';
import { isMapped, isUnspecified } from '../wire/address.js';
import { ackNow } from './ack.js';
import { measure, updateWindow } from './acknowledge.js';
import { fail } from './close.js';
import { BY_WINDOW } from './cc/pacing.js';
import { TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { learnEcn, offerEcn } from './ecn.js';
import { beginKeepAlive } from './keepalive.js';
import { beginMtu } from './mtu.js';
import { carriedMss, firstWindow, ipHeader, refuse, sendSyn } from './output.js';
import { beginReceive } from './receive_buffer.js';
import { adviseAgainst, armRetransmit, backOff, beginRto, R1 } from './rto.js';
import { after, later, notAfter } from './seq.js';
import {
  ACTIVE, ESTABLISHED, EV_ACCEPTED, EV_CONNECTED, FIN_QUEUED, FIN_WAIT_1, IN_DEMUX, IN_HALF_OPEN, NONE, OWNED, PERSISTING,
  RTT_TIMING, SACK_ON, SCALING_ON, SYN_DUE, SYN_RECEIVED, SYN_SENT, TIMER_RETRANSMIT, TIMESTAMPS_ON,
} from './state.js';
import type { Tcb } from './tcb.js';
import { recycleOldest } from './time_wait.js';
import { disarm } from './timers.js';
import { shiftFor } from './window.js';

/** MSS of a peer that does not say (RFC 9293 3.7.1: MUST-15), for IPv4 and IPv6. */
export const MSS_DEFAULT_4 = 536;
export const MSS_DEFAULT_6 = 1220;
/** Least MSS that is believed: a smaller one would only make us send headers (Linux: tcp_min_snd_mss). */
const MSS_LEAST = 48;
const TIMESTAMPS_BYTES = 12;
/** RTO after a SYN was lost (RFC 6298 5.7), in µs. */
const RTO_AFTER_LOST_SYN_US = 3_000_000;

/** SYN-ACKs sent again while half-open flows are many. */
const RETRIES_UNDER_PRESSURE = 2;

/** Records kept free: this share of them, and at most so many. */
const RESERVE_SHARE = 8;
const RESERVE_MOST = 64;

/**
 * A record for a new flow, or NONE.
 *
 * When records run short a flow in TIME-WAIT is ended for each new one. Its record comes back only when the owner has
 * heard of it, so that is done a little ahead.
 */
export function newFlow(core: Core): number {
  const { used, maxFlows } = core.flows;
  if (used >= maxFlows - Math.min(maxFlows / RESERVE_SHARE, RESERVE_MOST)) recycleOldest(core);
  const flow = core.flows.allocate();
  if (flow === NONE) core.stats[stat.FLOW_TABLE_FULL]++;
  return flow;
}

/** What a new flow begins with, whoever opens it. */
export function beginFlow(core: Core, t: Tcb): void {
  t.ranges = NONE;
  t.runs = NONE;
  t.runTail = NONE;
  t.listener = NONE;
  t.rcvBuf = core.limits.receiveBufferInitial;
  t.rcvBufMax = core.limits.receiveBuffer;
  t.rcvWndShift = shiftFor(core.limits.receiveBuffer);
  t.rcvMss = MSS_DEFAULT_4;
  t.quickAcks = core.limits.quickAcks;
  t.heardAt = core.ticks;
  // Long enough ago for the first answer.
  t.invalidAt = (core.ticks - core.limits.invalidAckMs * TICKS_PER_MS) | 0;
  beginRto(core, t);
}

/** Chooses the initial sequence number of the flow at hand, whose addresses are set: not before `least`, where `hasLeast`. */
export function sequence(core: Core, t: Tcb, least: number, hasLeast: boolean): void {
  core.isn.generate(core.now, core.words, t.localAt, t.remoteAt, t.localPort, t.remotePort);
  t.iss = hasLeast ? later(core.isn.isn, least) : core.isn.isn;
  t.tsOffset = core.isn.tsOffset;
}

/** Puts the flow at hand, whose initial sequence number is chosen, where segments find it. Its SYN is due. */
export function enter(core: Core, t: Tcb, state: number): void {
  t.sndUna = t.iss;
  t.sndNxt = t.iss;
  t.recover = t.iss;
  t.sndSml = t.iss;
  t.rtxNxt = t.iss;
  t.state = state;
  t.mark(IN_DEMUX | SYN_DUE);
  core.demux.add(t.flow);
  core.flows.touch(t);
}

// ---- what is agreed on

/** What we offer, or take, in a SYN. */
export function offers(core: Core): number {
  const { timestamps, sack, windowScaling } = core.limits;
  return (timestamps ? TIMESTAMPS_ON : 0) | (sack ? SACK_ON : 0) | (windowScaling ? SCALING_ON : 0);
}

/** Takes over what the peer's SYN says: its sequence number, and each option that we had offered or would. */
export function agree(core: Core, t: Tcb): void {
  const segment = core.segment;
  const options = segment.options;
  t.irs = segment.seq;
  t.rcvNxt = (segment.seq + 1) | 0;
  t.lastAckSent = t.rcvNxt;
  if (!options.hasTimestamps) t.unmark(TIMESTAMPS_ON);
  if (!options.sackPermitted) t.unmark(SACK_ON);
  if (options.windowScale < 0) t.unmark(SCALING_ON);
  if (t.has(TIMESTAMPS_ON)) {
    t.tsRecent = options.tsVal;
    t.tsRecentAt = core.seconds;
  }
  t.rcvAdv = (t.rcvNxt + firstWindow(core, t)) | 0;
  t.rcvTold = t.rcvAdv;
  t.sndWndShift = t.has(SCALING_ON) ? options.windowScale : 0;
  t.sndWnd = segment.window;
  t.sndWndMax = segment.window;
  t.sndWl1 = segment.seq;
  t.sndMss = sendMss(core, t, options.mss);
}

/** Eff.snd.MSS (RFC 9293 3.7.1): what the peer takes and the path carries, less our options. */
function sendMss(core: Core, t: Tcb, offered: number): number {
  const ipv4 = ipHeader(core.words, t.remoteAt) === 20;
  const taken = offered > 0 ? Math.max(offered, MSS_LEAST) : ipv4 ? MSS_DEFAULT_4 : MSS_DEFAULT_6;
  const carried = Math.max(carriedMss(core, t), MSS_LEAST);
  return Math.min(taken, carried) - (t.has(TIMESTAMPS_ON) ? TIMESTAMPS_BYTES : 0);
}

// ---- SYN-SENT

/**
 * Opens a connection. `local` may be null, and `localPort` 0, to have them chosen.
 *
 * @returns the flow, or -errno: ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE, ENOBUFS.
 */
export function connect(
  core: Core, remote: Int32Array, remotePort: number, local: Int32Array | null, localPort: number,
): number {
  const flow = newFlow(core);
  if (flow === NONE) return -ENOBUFS;
  const t = core.t.at(flow);
  beginFlow(core, t);
  const result = address(core, t, remote, remotePort, local, localPort);
  if (result < 0) {
    core.flows.free(flow);
    return result;
  }
  t.flags = ACTIVE | OWNED | offers(core);
  offerEcn(core, t);
  core.stats[stat.ACTIVE_OPENS]++;
  sequence(core, t, 0, false);
  enter(core, t, SYN_SENT);
  return flow;
}

function address(
  core: Core, t: Tcb, remote: Int32Array, remotePort: number, local: Int32Array | null, localPort: number,
): number {
  const words = core.words;
  for (let i = 0; i < 4; i++) words[t.remoteAt + i] = remote[i];
  t.remotePort = remotePort;
  const given = local !== null && !isUnspecified(local, 0);
  if (given) {
    for (let i = 0; i < 4; i++) words[t.localAt + i] = local[i];
    if (isMapped(local, 0) !== isMapped(remote, 0)) return -EINVAL;
    if (!core.output.isLocal(words, t.localAt)) return -EADDRNOTAVAIL;
    if (core.output.mtu(words, t.remoteAt) === 0) return -ENETUNREACH;
  } else if (!core.output.selectSource(words, t.remoteAt, t.localAt)) {
    return -ENETUNREACH;
  }
  t.localPort = localPort;
  if (localPort !== 0) {
    if (!isOfShare(core.share, localPort, remotePort)) return -EINVAL;
    const taken = core.demux.find(words, t.localAt, t.remoteAt, localPort, remotePort) !== NONE;
    return taken || core.listeners.taken(words, t.localAt, localPort) ? -EADDRINUSE : core.uses.claim(localPort);
  }
  const { ephemeralFirst, ephemeralLast } = core.limits;
  t.localPort = core.demux.ephemeralPort(
    words, t.localAt, t.remoteAt, remotePort, ephemeralFirst, ephemeralLast,
    core.ports.next(words, t.localAt, t.remoteAt, remotePort, core.random()), core.listeners, core.share,
  );
  if (t.localPort !== NONE) return 0;
  core.stats[stat.NO_PORTS]++;
  return -EADDRNOTAVAIL;
}

/** A segment in SYN-SENT. Returns true where its text is to be looked at. */
export function arriveInSynSent(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  const acceptable = segment.isAck && after(segment.ack, t.iss) && notAfter(segment.ack, t.sndNxt);
  if (segment.isAck && !acceptable) {
    refuse(core);
    return false;
  }
  if (segment.isRst) {
    if (acceptable) fail(core, t, ECONNREFUSED);
    return false;
  }
  if (!segment.isSyn) return false;
  agree(core, t);
  learnEcn(core, t);
  if (acceptable) {
    measure(core, t, segment.ack);
    establish(core, t);
    ackNow(core, t);
    segment.seq = (segment.seq + 1) | 0;
    return true;
  }
  // Both ends opened at the same time (RFC 9293 3.5, figure 7).
  t.state = SYN_RECEIVED;
  t.mark(SYN_DUE);
  core.flows.touch(t);
  return false;
}

// ---- SYN-RECEIVED, and both

/** The peer has acknowledged our SYN: the connection is there. */
export function establish(core: Core, t: Tcb): void {
  const segment = core.segment;
  if (t.has(IN_HALF_OPEN)) {
    t.unmark(IN_HALF_OPEN);
    core.halfOpen.remove(t.listener, t.flow);
  }
  const active = t.has(ACTIVE);
  if (!active) {
    t.mark(OWNED);
    core.listeners.waiting[t.listener]++;
    t.listenerGeneration = core.listeners.generations[t.listener];
    core.stats[stat.PASSIVE_OPENS]++;
  }
  if (t.state === SYN_RECEIVED) {
    t.sndWl1 = segment.seq;
    t.sndWl2 = segment.ack;
    updateWindow(t, segment.seq, segment.ack, segment.window);
  }
  t.sndUna = segment.ack;
  t.recover = (t.sndUna - 1) | 0;
  t.reoRound = t.sndUna;
  t.unmark(SYN_DUE | RTT_TIMING);
  disarm(t, TIMER_RETRANSMIT);
  beginMtu(core, t);
  core.congestion.begin(t);
  t.usageEnd = t.sndUna;
  if (core.limits.pacing && t.pacing === 0) t.pacing = BY_WINDOW;
  t.usedAt = core.ticks;
  if (t.retries > 0) {
    // RFC 5681 3.1: a path that lost a SYN is not sent a burst.
    t.cwnd = t.sndMss;
    if (t.srtt === 0) t.rto = RTO_AFTER_LOST_SYN_US;
  }
  t.retries = 0;
  t.backoff = 0;
  t.state = t.has(FIN_QUEUED) ? FIN_WAIT_1 : ESTABLISHED;
  beginKeepAlive(core, t);
  beginReceive(core, t);
  core.flows.changed(t, active ? EV_CONNECTED : EV_ACCEPTED);
  core.flows.touch(t);
}

/** Sends the SYN or SYN-ACK that is due. */
export function sendHandshake(core: Core, t: Tcb): void {
  if (!t.has(SYN_DUE)) return;
  if (!sendSyn(core, t)) {
    core.flows.touch(t);
    return;
  }
  t.unmark(SYN_DUE | PERSISTING);
  if (t.sndNxt === t.iss) {
    t.sndNxt = (t.iss + 1) | 0;
    t.mark(RTT_TIMING);
    t.rttSeq = t.sndNxt;
    t.rttAt = core.us;
    armRetransmit(core, t);
  } else {
    t.unmark(RTT_TIMING);
    core.stats[stat.RETRANS_SEGS]++;
    core.stats[stat.SYN_RETRANS]++;
    t.retransmitted++;
  }
}

/** Half-open flows that a listener may have: no fewer than connections may wait. */
export function halfOpenBound(core: Core, listener: number): number {
  return Math.max(core.listeners.backlogs[listener], core.limits.synBacklog);
}

/** SYN-ACKs that are sent again. While half-open flows take more than half their bound, room is worth more (Linux does the same). */
function synAckRetries(core: Core, t: Tcb): number {
  const most = core.limits.synAckRetries;
  if (!t.has(IN_HALF_OPEN)) return most;
  const { counts, total } = core.halfOpen;
  const pressed = 2 * counts[t.listener] > halfOpenBound(core, t.listener) || 2 * total > core.limits.halfOpen;
  return pressed ? Math.min(most, RETRIES_UNDER_PRESSURE) : most;
}

/** The SYN, or the SYN-ACK, was not answered in time. */
export function onHandshakeTimer(core: Core, t: Tcb): void {
  const most = t.state === SYN_SENT ? core.limits.synRetries : synAckRetries(core, t);
  core.stats[stat.TIMEOUTS]++;
  if (t.retries >= most) {
    fail(core, t, t.softError !== 0 ? t.softError : ETIMEDOUT);
    return;
  }
  t.retries++;
  if (t.retries === R1) adviseAgainst(core, t);
  backOff(t);
  t.mark(SYN_DUE);
  armRetransmit(core, t);
  core.flows.touch(t);
}

/**
 * LISTEN (RFC 9293 3.10.7.2): who is let in. The backlog bounds the flows that are established and that the owner has not
 * taken over (`Stack.taken`). Half-open flows have a bound of their own, for each listener and for all together, so that forged
 * SYNs take a share of the flow table and no more. Where there is no room for one more, a SYN cookie lets an honest peer in
 * without it (RFC 4987 3.6).
 */
import * as stat from '../stats.js';
import { COOKIES_OUT_US } from '../syn_cookies.js';
import type { Core } from './core.js';
import { acceptEcn, ECN_ON } from './ecn.js';
import { agree, beginFlow, enter, establish, halfOpenBound, MSS_DEFAULT_4, MSS_DEFAULT_6, newFlow, offers, sequence } from './handshake.js';
import { ipHeader, refuse, sendSyn } from './output.js';
import { IN_HALF_OPEN, NONE, SACK_ON, SCALING_ON, SYN_RECEIVED, TIMESTAMPS_ON } from './state.js';
import type { Tcb } from './tcb.js';
import { fixReceiveBuffer } from './window.js';

/** True where the listener can take one more connection: what its owner has not taken yet leaves room. */
export function hasRoom(core: Core, listener: number): boolean {
  return core.listeners.waiting[listener] < core.listeners.backlogs[listener];
}

/** Counts what the queue of established flows had no room for. */
export function countOverflow(core: Core): void {
  core.stats[stat.LISTEN_OVERFLOWS]++;
  core.stats[stat.LISTEN_DROPS]++;
}

/** True where neither the listener nor all of them together may have one more half-open flow. */
function isQueueFull(core: Core, listener: number): boolean {
  const { counts, total } = core.halfOpen;
  return counts[listener] >= halfOpenBound(core, listener) || total >= core.limits.halfOpen;
}

/** True where a SYN for the listener finds room; counted where it does not. */
export function admits(core: Core, listener: number): boolean {
  if (!hasRoom(core, listener)) {
    countOverflow(core);
    return false;
  }
  if (!isQueueFull(core, listener)) return true;
  core.stats[stat.REQ_QUEUE_FULL_DROP]++;
  core.stats[stat.LISTEN_DROPS]++;
  return false;
}

/**
 * A segment for a listener.
 *
 * @returns true where it has opened a connection, which is the flow at hand: it is established, and the segment's text is to
 *   be looked at.
 */
export function arriveAtListener(core: Core, listener: number): boolean {
  const segment = core.segment;
  if (segment.isRst) return false;
  if (segment.isAck) {
    if (!segment.isSyn && mayHaveCookie(core, listener)) return openByCookie(core, listener);
    refuse(core);
    return false;
  }
  // SYN and FIN in one: no stack sends that, scanners do.
  if (!segment.isSyn || segment.isFin) return false;
  if (!hasRoom(core, listener)) {
    countOverflow(core);
    return false;
  }
  const { synCookies } = core.limits;
  const full = isQueueFull(core, listener);
  if (full) core.stats[synCookies === 'never' ? stat.REQ_QUEUE_FULL_DROP : stat.REQ_QUEUE_FULL_COOKIES]++;
  if (synCookies === 'always' || (full && synCookies === 'pressure')) giveCookie(core, listener);
  else if (full) core.stats[stat.LISTEN_DROPS]++;
  else openHalf(core, listener, 0, false);
  return false;
}

/** A flow for the segment at hand, which asks the listener for a connection, or null where there is none. */
function flowFor(core: Core, listener: number): Tcb | null {
  const flow = newFlow(core);
  if (flow !== NONE) return flowAt(core, flow, listener);
  core.stats[stat.LISTEN_DROPS]++;
  return null;
}

/** Fills the record in, as far as the addresses of the segment at hand and the listener tell it. */
function flowAt(core: Core, flow: number, listener: number): Tcb {
  const segment = core.segment;
  const t = core.t.at(flow);
  const words = core.words;
  beginFlow(core, t);
  for (let i = 0; i < 4; i++) {
    words[t.localAt + i] = segment.addresses[4 + i];
    words[t.remoteAt + i] = segment.addresses[i];
  }
  t.localPort = segment.destinationPort;
  t.remotePort = segment.sourcePort;
  t.listener = listener;
  t.flags = offers(core);
  // What the owner of the listener has set for its connections, as far as their handshake shows it.
  const { receiveBuffers, maxSegments, trafficClasses } = core.listeners;
  if (receiveBuffers[listener] > 0) fixReceiveBuffer(t, receiveBuffers[listener]);
  t.maxSegment = maxSegments[listener];
  t.trafficClass = trafficClasses[listener];
  return t;
}

/** Answers the SYN at hand and remembers it. `least`: the sequence number to begin with at the earliest, where `hasLeast`. */
export function openHalf(core: Core, listener: number, least: number, hasLeast: boolean): void {
  const t = flowFor(core, listener);
  if (t === null) return;
  agree(core, t);
  acceptEcn(core, t);
  sequence(core, t, least, hasLeast);
  enter(core, t, SYN_RECEIVED);
  t.mark(IN_HALF_OPEN);
  core.halfOpen.append(listener, t.flow);
}

// ---- cookies

function mayHaveCookie(core: Core, listener: number): boolean {
  return core.limits.synCookies !== 'never' && core.now < core.listeners.cookiesUntil[listener];
}

/** Answers the SYN at hand with a cookie: one segment, for which a record is borrowed, and nothing is kept. */
function giveCookie(core: Core, listener: number): void {
  const { segment, cookies, limits, listeners } = core;
  const { options, addresses, sourcePort, destinationPort } = segment;
  const flow = core.flows.allocate();
  if (flow === NONE) {
    core.stats[stat.FLOW_TABLE_FULL]++;
    core.stats[stat.LISTEN_DROPS]++;
    return;
  }
  const t = flowAt(core, flow, listener);
  if (!limits.timestamps || !options.hasTimestamps) {
    // Without a timestamp to keep them in, SACK and scaling cannot be agreed on.
    options.sackPermitted = false;
    options.windowScale = -1;
  }
  agree(core, t);
  if (t.has(TIMESTAMPS_ON)) acceptEcn(core, t);
  const asked = options.mss > 0 ? options.mss : ipHeader(addresses, 0) === 20 ? MSS_DEFAULT_4 : MSS_DEFAULT_6;
  t.iss = cookies.make(core.now, addresses, 0, sourcePort, destinationPort, segment.seq, asked);
  core.isn.generate(core.now, addresses, 4, 0, destinationPort, sourcePort);
  const stamp = cookies.stamp(core.ms, t.has(SCALING_ON) ? options.windowScale : -1, t.has(SACK_ON), t.ecn !== 0);
  t.tsOffset = (core.isn.tsOffset + stamp - core.ms) | 0;
  t.state = SYN_RECEIVED;
  if (sendSyn(core, t)) {
    core.stats[stat.COOKIES_SENT]++;
    listeners.cookiesUntil[listener] = core.now + COOKIES_OUT_US;
  } else {
    core.stats[stat.LISTEN_DROPS]++;
  }
  core.flows.free(flow);
}

/** The ACK at hand may be the answer to a cookie: the connection is there if it is. */
function openByCookie(core: Core, listener: number): boolean {
  const { segment, cookies, limits, isn } = core;
  const { options, addresses, sourcePort, destinationPort } = segment;
  const iss = (segment.ack - 1) | 0;
  const irs = (segment.seq - 1) | 0;
  if (!cookies.check(core.now, addresses, 0, sourcePort, destinationPort, irs, iss)) {
    core.stats[stat.COOKIES_FAILED]++;
    refuse(core);
    return false;
  }
  isn.generate(core.now, addresses, 4, 0, destinationPort, sourcePort);
  if (options.hasTimestamps) cookies.readStamp((options.tsEcr - isn.tsOffset) | 0);
  const sack = options.hasTimestamps && cookies.sack;
  const windowScale = options.hasTimestamps ? cookies.windowScale : -1;
  // What we never offer was never agreed on.
  if ((sack && !limits.sack) || (windowScale >= 0 && !limits.windowScaling) || (options.hasTimestamps && !limits.timestamps)) {
    core.stats[stat.COOKIES_FAILED]++;
    refuse(core);
    return false;
  }
  core.stats[stat.COOKIES_RECV]++;
  if (!hasRoom(core, listener)) {
    countOverflow(core);
    return false;
  }
  const t = flowFor(core, listener);
  if (t === null) return false;
  // The segment is made to say what the SYN had said.
  segment.seq = irs;
  options.mss = cookies.mss;
  options.sackPermitted = sack;
  options.windowScale = windowScale;
  agree(core, t);
  if (options.hasTimestamps && cookies.ecn && limits.ecn !== 'off') t.ecn = ECN_ON;
  segment.seq = (irs + 1) | 0;
  t.tsOffset = isn.tsOffset;
  t.iss = iss;
  enter(core, t, SYN_RECEIVED);
  t.sndNxt = segment.ack;
  establish(core, t);
  return true;
}

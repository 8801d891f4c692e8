/**
 * The largest segment that the path carries: lowered by what a router says (RFC 1191, RFC 8201), or where full segments
 * time out again and again and nobody says why (a black hole: RFC 2923 2.1); and found again from above, by segments that
 * are larger than the others and known to be at risk (packetization layer path MTU discovery: RFC 4821).
 *
 * ```
 *              a router says so                     ten minutes
 *   FIXED ─────────────────────────► TOLD ─────────────────────────► FIXED, or TOLD
 *     │        three timeouts                nothing is left to try
 *     └─────────────────────────► SEARCH ◄─────────────────────────► FOUND
 *                                                ten minutes
 * ```
 */
import * as stat from '../stats.js';
import { NO_ROOM } from '../transport.js';
import { TCP_HEADER } from '../wire/tcp.js';
import type { Core } from './core.js';
import { carriedMss, ipHeader, sendText } from './output.js';
import { resendAll } from './repair.js';
import { R1 } from './rto.js';
import { lose } from './rack.js';
import { LOST, pipe, PROBE, SACKED } from './runs.js';
import { advance } from './sender.js';
import { after, before } from './seq.js';
import {
  CWND_LIMITED, FRTO_OFF, MTU_FIXED, MTU_FOUND, MTU_SEARCH, MTU_TOLD, NONE, RECOVERY_LOSS, RECOVERY_OPEN, RETRANSMIT_NOW, RTT_TIMING,
  SACK_ON, TIMESTAMPS_ON,
} from './state.js';
import type { Tcb } from './tcb.js';

/** No IPv4 path is believed to carry less: else an attacker could make every segment tiny (Linux: min_pmtu). */
const LEAST_4 = 552;
/** No IPv6 path does (RFC 8200 5). */
const LEAST_6 = 1280;
/** What a segment carries where larger ones disappear (RFC 4821 7.2: 1024; Linux: tcp_base_mss). */
const BASE = 1024;
/** Ethernet's: worth trying before any other between, for most paths carry it. */
const ETHERNET = 1500;
/** Payload sizes closer together than this make no difference, in bytes (Linux: tcp_probe_threshold). */
const STEP = 8;
/** Segments behind a larger one that show its loss without a timeout. */
const SEGMENTS_BEHIND = 4;
/** After so many seconds larger segments are tried again (RFC 1191 6.3, RFC 4821 7.7; Linux: mtu_expires, tcp_probe_interval). */
const INTERVAL_S = 600;
/** The path's entry in IP may live a little longer; it is looked at again after so many seconds. */
const AGAIN_S = 60;
const TIMESTAMPS_BYTES = 12;

/** The connection is established; `sndMss` is what the handshake has found. */
export function beginMtu(core: Core, t: Tcb): void {
  t.mssMost = t.sndMss;
  if (core.limits.mtuProbing !== 'always' || t.sndMss - base(core, t) < STEP) return;
  t.sndMss = base(core, t);
  beginSearch(t);
}

function beginSearch(t: Tcb): void {
  t.mtuState = MTU_SEARCH;
  t.probeHigh = t.mssMost;
}

/** Bytes of the headers of a segment of this flow. */
function headers(core: Core, t: Tcb): number {
  return ipHeader(core.words, t.remoteAt) + TCP_HEADER + (t.has(TIMESTAMPS_ON) ? TIMESTAMPS_BYTES : 0);
}

function least(core: Core, t: Tcb): number {
  const header = headers(core, t);
  return (ipHeader(core.words, t.remoteAt) === 20 ? LEAST_4 : LEAST_6) - header;
}

function base(core: Core, t: Tcb): number {
  return Math.max(BASE, least(core, t));
}

/** Payload that the path is believed to carry by IP, as begun with at most. */
function carried(core: Core, t: Tcb): number {
  return Math.min(t.mssMost, carriedMss(core, t) - (t.has(TIMESTAMPS_ON) ? TIMESTAMPS_BYTES : 0));
}

/** A router says that the path carries packets of `mtu` bytes (RFC 1191 6.4, RFC 8201 5.4): what is on its way goes again. */
export function lower(core: Core, t: Tcb, mtu: number): void {
  const mss = Math.max(mtu - headers(core, t), least(core, t));
  if (mss >= t.sndMss) {
    if (t.probeSize > mss) probeFailed(core, t);
    if (t.mtuState === MTU_SEARCH && t.probeHigh > mss) t.probeHigh = mss;
    return;
  }
  t.sndMss = mss;
  t.probeSize = 0;
  t.mtuState = MTU_TOLD;
  // One second more than IP keeps it.
  t.mtuAt = (core.seconds + INTERVAL_S + 1) | 0;
  t.unmark(RTT_TIMING);
  if (!after(t.sndNxt, t.sndUna)) return;
  if (t.has(SACK_ON)) {
    resendAll(core, t);
  } else {
    t.recovery = RECOVERY_LOSS;
    t.recover = t.sndNxt;
    t.rtxNxt = t.sndUna;
    t.dupAcks = 0;
  }
  t.mark(RETRANSMIT_NOW);
  core.flows.touch(t);
}

/**
 * The retransmission timer has run out `t.retries` times without an answer. Where what is missing is a full segment, those
 * of its size may disappear on the way: smaller ones from now on.
 */
export function suspectBlackHole(core: Core, t: Tcb): void {
  if (core.limits.mtuProbing === 'off' || t.retries < R1) return;
  const target = t.sndMss > base(core, t) ? base(core, t) : least(core, t);
  const missing = t.has(SACK_ON) && t.runs !== NONE ? core.runs.length(t.runs) : (t.sndNxt - t.sndUna) | 0;
  // A small one that is lost as well says nothing about size.
  if (t.sndMss <= target || missing <= target) return;
  core.stats[stat.MTUP_BLACK_HOLE]++;
  t.sndMss = target;
  beginSearch(t);
}

/** The timer has run out: a larger segment that was the first missing is what did not get through. */
export function probeTimedOut(core: Core, t: Tcb): void {
  if (t.probeSize === 0) return;
  if (t.sndUna === ((t.probeEnd - t.probeSize) | 0)) {
    core.stats[stat.MTUP_FAIL]++;
    t.probeHigh = t.probeSize - 1;
  }
  t.probeSize = 0;
}

/**
 * Something new is to be sent, `unsent` bytes of it: is it time for a larger segment? Sends it where it is.
 *
 * @returns true where it only waits for the congestion window to have room for it: then nothing else is to be sent.
 */
export function tryLarger(core: Core, t: Tcb, unsent: number): boolean {
  if (t.mtuState !== MTU_SEARCH && !timeToLook(core, t)) return false;
  if (t.probeSize !== 0 || t.recovery !== RECOVERY_OPEN || t.sacked > 0 || t.dupAcks > 0) return false;
  const size = sizeToTry(core, t);
  if (size === 0) return false;
  const flight = (t.sndNxt - t.sndUna) | 0;
  const needed = size + SEGMENTS_BEHIND * t.sndMss;
  if (unsent < needed || t.cwnd < needed || t.sndWnd - flight < needed) return false;
  const room = t.cwnd - (t.has(SACK_ON) ? pipe(t) : flight);
  if (room < size) {
    t.mark(CWND_LIMITED);
    return true;
  }
  sendLarger(core, t, size);
  return false;
}

/** Neither fixed nor searching: the time may have come to believe in more. */
function timeToLook(core: Core, t: Tcb): boolean {
  if (((core.seconds - t.mtuAt) | 0) < 0) return false;
  if (t.mtuState === MTU_FOUND) {
    beginSearch(t);
    return true;
  }
  const mss = carried(core, t);
  if (mss > t.sndMss) raise(t, mss);
  if (t.sndMss >= t.mssMost) t.mtuState = MTU_FIXED;
  t.mtuAt = (core.seconds + AGAIN_S) | 0;
  return false;
}

/** Larger segments from now on. A congestion window of one smaller segment would hold them back for ever. */
function raise(t: Tcb, mss: number): void {
  t.sndMss = mss;
  if (t.cwnd < mss) t.cwnd = mss;
}

/** The next size to try, or 0 where the search is over. */
function sizeToTry(core: Core, t: Tcb): number {
  const most = carried(core, t);
  const high = Math.min(t.probeHigh, most);
  if (high - t.sndMss < STEP) {
    t.mtuState = MTU_FOUND;
    t.mtuAt = (core.seconds + INTERVAL_S) | 0;
    return 0;
  }
  // All that may be at first: a path that was down for a while looks like a black hole, and routers that tell are right.
  if (high === most) return high;
  const ethernet = ETHERNET - headers(core, t);
  return ethernet - t.sndMss >= STEP && ethernet < high ? ethernet : (t.sndMss + high + 1) >> 1;
}

function sendLarger(core: Core, t: Tcb, size: number): void {
  const mss = t.sndMss;
  const from = t.sndNxt;
  // For this one segment, so that no device cuts it.
  t.sndMss = size;
  const sent = sendText(core, t, from, size, false);
  if (sent > 0) advance(core, t, sent, sent);
  t.sndMss = mss;
  if (sent === NO_ROOM) core.flows.touch(t);
  if (sent <= mss || (t.has(SACK_ON) && !setApart(core, t, from))) return;
  t.probeSize = sent;
  t.probeEnd = t.sndNxt;
}

/** What was just sent from `from` on is a run of its own, so that its loss can be told from others. False where none is free. */
function setApart(core: Core, t: Tcb, from: number): boolean {
  const runs = core.runs;
  if (runs.starts[t.runTail] !== from && !runs.split(t, t.runTail, from)) return false;
  runs.flags[t.runTail] |= PROBE;
  return true;
}

/** The peer has everything up to `ack`. */
export function probeAcknowledged(core: Core, t: Tcb, ack: number): void {
  if (before(ack, t.probeEnd)) return;
  core.stats[stat.MTUP_SUCCESS]++;
  raise(t, t.probeSize);
  t.probeSize = 0;
}

/**
 * Bytes count as lost. Where they are those of the larger segment alone, its size is why, and not congestion: they go again in
 * smaller ones, and the window stays (RFC 4821 7.5). Else the trial says nothing.
 */
export function probeMissing(core: Core, t: Tcb): void {
  const runs = core.runs;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) {
    if ((runs.flags[run] & (LOST | PROBE)) !== LOST) continue;
    t.probeSize = 0;
    return;
  }
  if (t.recovery === RECOVERY_OPEN) probeFailed(core, t);
  else t.probeSize = 0;
}

/** For a peer without SACK: the third duplicate acknowledgement is about the larger segment. */
export function isProbeMissing(t: Tcb): boolean {
  return t.probeSize !== 0 && t.sndUna === ((t.probeEnd - t.probeSize) | 0);
}

/** The larger segment did not get through. */
export function probeFailed(core: Core, t: Tcb): void {
  core.stats[stat.MTUP_FAIL]++;
  t.probeHigh = t.probeSize - 1;
  if (t.has(SACK_ON)) {
    loseProbe(core, t);
  } else {
    t.recover = t.probeEnd;
    t.rtxNxt = t.sndUna;
    t.dupAcks = 0;
    t.unmark(RTT_TIMING);
  }
  t.probeSize = 0;
  t.undoCwnd = 0;
  t.frto = FRTO_OFF;
  t.recovery = RECOVERY_LOSS;
  t.mark(RETRANSMIT_NOW);
  core.flows.touch(t);
}

function loseProbe(core: Core, t: Tcb): void {
  const runs = core.runs;
  for (let run = t.runs; run !== NONE; run = runs.nexts[run]) {
    if ((runs.flags[run] & PROBE) === 0) continue;
    runs.flags[run] &= ~PROBE;
    if ((runs.flags[run] & (SACKED | LOST)) === 0) lose(core, t, run);
  }
  t.recover = t.sndNxt;
}

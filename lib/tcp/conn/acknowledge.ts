/** What an arriving acknowledgement says (RFC 9293 3.10.7.4, fifth step): bytes that are through, and the peer's window. */
import { TICK_US } from './core.js';
import { ECE } from '../wire/tcp.js';
import type { Core } from './core.js';
import { challenge } from './ack.js';
import { probeAcknowledged } from './mtu.js';
import { tsNow } from './output.js';
import { probeAnswered } from './probe.js';
import { advanced, duplicate } from './recovery.js';
import { congestionTold, repair } from './repair.js';
import { armRetransmit, disarmRetransmit, measured } from './rto.js';
import { isDsack, noteMinRtt, takeBlocks, trim } from './scoreboard.js';
import { endOfText } from './sender.js';
import { after, before, later, notAfter } from './seq.js';
import { EV_ACKED, FIN_QUEUED, HOLD_MORE, PROBING, RECOVERY_OPEN, RTT_TIMING, SACK_ON, TIMESTAMPS_ON, TLP_OUT } from './state.js';
import type { Tcb } from './tcb.js';

/** How often a neighbour is confirmed at most, in ticks of 50 µs: once a second. */
const CONFIRM_TICKS = 1_000_000 / TICK_US;
/** A timestamp echo older than this, in ms, is none of ours. */
const ECHO_MAX_MS = 600_000;

/** Takes the acknowledgement of the segment at hand. Returns false where the segment is to be dropped. */
export function takeAck(core: Core, t: Tcb): boolean {
  const segment = core.segment;
  const ack = segment.ack;
  if (after(ack, t.sndNxt)) {
    challenge(core, t);
    return false;
  }
  // RFC 5961 5.2: an acknowledgement further back than the largest window is an attacker's guess.
  if (before(ack, (t.sndUna - t.sndWndMax) | 0)) {
    challenge(core, t);
    return false;
  }
  t.probes = 0;
  const windowBefore = t.sndWnd;
  if (!before(ack, t.sndUna)) updateWindow(t, segment.seq, ack, segment.window);
  // Before what it acknowledges: that is no reason to grow, but the first of what the reduction lets go.
  if (t.ecn !== 0 && (segment.flags & ECE) !== 0 && t.recovery === RECOVERY_OPEN && !before(ack, t.sndUna)) congestionTold(core, t);
  if (t.has(SACK_ON)) {
    takeScored(core, t, ack);
  } else if (after(ack, t.sndUna)) {
    takeNew(core, t, ack);
  } else if (ack === t.sndUna && isDuplicate(core, t, windowBefore)) {
    duplicate(core, t);
  }
  if (t.recovery !== RECOVERY_OPEN || hasUnsent(t)) {
    t.hold &= ~HOLD_MORE;
    core.flows.touch(t);
  }
  return true;
}

/** True where something waits to be sent for the first time. */
function hasUnsent(t: Tcb): boolean {
  const unsent = (endOfText(t) - t.sndNxt) | 0;
  return unsent > 0 || (unsent === 0 && t.has(FIN_QUEUED));
}

/** RFC 5681 2: data is outstanding, and the segment carries nothing but the same acknowledgement and window. */
function isDuplicate(core: Core, t: Tcb, windowBefore: number): boolean {
  return t.sndNxt !== t.sndUna && core.segment.length === 0 && t.sndWnd === windowBefore;
}

/**
 * Takes over the window from a segment that is not older than the one it was last taken from (RFC 9293 3.10.7.4). One that
 * acknowledges something new is not, though it may carry old text again: the window left as it was would reach further
 * than the peer has ever offered.
 */
export function updateWindow(t: Tcb, seq: number, ack: number, field: number): void {
  if (!before(t.sndWl1, seq) && !(t.sndWl1 === seq && notAfter(t.sndWl2, ack)) && !after(ack, t.sndUna)) return;
  t.sndWnd = field << t.sndWndShift;
  t.sndWl1 = seq;
  t.sndWl2 = ack;
  if (t.sndWnd > t.sndWndMax) t.sndWndMax = t.sndWnd;
}

/** From a peer with SACK: the scoreboard takes it, then recovery. */
function takeScored(core: Core, t: Tcb, ack: number): void {
  const acked = Math.max((ack - t.sndUna) | 0, 0);
  const blocks = core.segment.options.sackCount;
  if (acked === 0 && blocks === 0 && t.recovery === RECOVERY_OPEN && !t.has(TLP_OUT)) return;
  if (acked > 0 && blocks === 0 && t.sndNxt === ack && takeLast(core, t, ack, acked)) return;
  const tally = core.tally;
  tally.begin(t);
  if (blocks > 0) tally.dsack = isDsack(core, t, ack);
  if (acked > 0) trim(core, t, ack);
  if (blocks > 0) takeBlocks(core, t, ack, tally.dsack ? 1 : 0);
  t.delivered = (t.delivered + tally.delivered) | 0;
  if (tally.lastRtt > 0) {
    measured(core, t, tally.firstRtt);
    noteMinRtt(core, t, tally.lastRtt);
  } else if (acked > 0) {
    measure(core, t, ack);
  }
  if (acked > 0) {
    move(core, t, ack);
    if (t.probeSize !== 0) probeAcknowledged(core, t, ack);
  }
  if (t.has(TLP_OUT)) probeAnswered(core, t, ack, acked);
  repair(core, t, acked);
  if (acked > 0 && t.sndNxt === ack) disarmRetransmit(t);
  // Blocks make a probe needless: the timer is that of the timeout from now on.
  else if (acked > 0 || (t.has(PROBING) && t.sacked > 0)) armRetransmit(core, t);
}

/** The usual case, request and answer: all that was in flight left at one time, once, and is through. */
function takeLast(core: Core, t: Tcb, ack: number, acked: number): boolean {
  const head = t.runs;
  if (head !== t.runTail || core.runs.flags[head] !== 0 || t.recovery !== RECOVERY_OPEN || t.has(TLP_OUT)) return false;
  const rtt = Math.max((core.us - core.runs.times[head]) | 0, 1);
  core.runs.shift(t);
  t.delivered = (t.delivered + acked) | 0;
  t.rackRtt = rtt;
  measured(core, t, rtt);
  noteMinRtt(core, t, rtt);
  move(core, t, ack);
  core.congestion.acknowledged(t, acked, core.ms, rtt);
  disarmRetransmit(t);
  return true;
}

/** From a peer without SACK. */
function takeNew(core: Core, t: Tcb, ack: number): void {
  const acked = (ack - t.sndUna) | 0;
  measure(core, t, ack);
  t.delivered = (t.delivered + acked) | 0;
  t.rtxNxt = later(t.rtxNxt, ack);
  move(core, t, ack);
  if (t.probeSize !== 0) probeAcknowledged(core, t, ack);
  advanced(core, t, acked);
  if (t.sndNxt === ack) disarmRetransmit(t);
  else armRetransmit(core, t);
}

/** `sndUna` moves: the owner hears of it. */
function move(core: Core, t: Tcb, ack: number): void {
  t.sndUna = ack;
  t.retries = 0;
  if (t.softError !== 0) t.softError = 0;
  const position = (ack - t.iss - 1) | 0;
  const text = after(position, t.written) ? t.written : position;
  if (text !== t.acknowledged) {
    t.acknowledged = text;
    core.payload.acknowledged(t.flow, text);
    core.flows.changed(t, EV_ACKED);
  }
  if (((core.ticks - t.confirmedAt) | 0) >= CONFIRM_TICKS) {
    t.confirmedAt = core.ticks;
    core.output.confirm(core.words, t.remoteAt);
  }
}

/** A round trip: timed in µs where the segment was sent once (Karn), else by the echoed timestamp (RFC 7323 4). */
export function measure(core: Core, t: Tcb, ack: number): void {
  if (t.has(RTT_TIMING)) {
    if (before(ack, t.rttSeq)) return;
    t.unmark(RTT_TIMING);
    const rtt = Math.max((core.us - t.rttAt) | 0, 1);
    measured(core, t, rtt);
    noteMinRtt(core, t, rtt);
    if (t.rackRtt === 0) t.rackRtt = rtt;
    return;
  }
  if (!t.has(TIMESTAMPS_ON) || !core.segment.options.hasTimestamps) return;
  const elapsed = (tsNow(core, t) - core.segment.options.tsEcr) | 0;
  if (elapsed >= 0 && elapsed < ECHO_MAX_MS) measured(core, t, Math.max(elapsed, 1) * 1000);
}

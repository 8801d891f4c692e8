/**
 * What may be sent now, for one flow, once a turn: what was lost, then what is new, else the acknowledgement alone.
 */
import * as stat from '../stats.js';
import { NO_ROOM } from '../transport.js';
import { beginStep, notePaced } from './cc/pacing.js';
import { noteUsage, restart } from './cc/validation.js';
import { TICK_US, TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { tryLarger } from './mtu.js';
import { ipHeader, sendAck, sendText } from './output.js';
import { endsStep } from './push.js';
import { armPersist, armRetransmit } from './rto.js';
import { LOST, pipe, PROBE, RETRANS } from './runs.js';
import { after, before, later } from './seq.js';
import {
  ACK_NOW, ESTABLISHED, FIN_QUEUED, FRTO_NEW, FRTO_OFF, FRTO_WATCH, HOLD_ANY, INTERACTIVE, MTU_FIXED, NO_DELAY, NONE, PERSISTING, PROBING,
  RECOVERY_CWR, RECOVERY_FAST,
  RECOVERY_LOSS, RECOVERY_OPEN, RETRANSMIT_NOW, RTT_TIMING, SACK_ON, SWS_OVERRIDE, TIMER_RETRANSMIT, TIME_WAIT,
  TIMESTAMPS_ON, URGENT_OUT,
} from './state.js';
import type { Tcb } from './tcb.js';
import { disarm, isArmed } from './timers.js';
import { noteRetransmission } from './undo.js';

/** Header bytes of a segment with timestamps, and without. */
const HEADER_STAMPED = 32;
const HEADER_PLAIN = 20;
/** Duplicate acknowledgements that each let one new segment go before the third starts recovery (RFC 3042). */
const LIMITED_TRANSMIT = 2;
/** Data that answers data within this time makes a flow interactive: acknowledgements can ride on it. */
const INTERACTIVE_TICKS = 40 * TICKS_PER_MS;

/** The send decision of the flow at hand, in any state with a synchronised peer. */
export function send(core: Core, t: Tcb): void {
  if (t.state >= ESTABLISHED && t.state !== TIME_WAIT) {
    const from = t.sndNxt;
    if (t.recovery === RECOVERY_LOSS && t.frto === FRTO_NEW) tryNew(core, t);
    const retransmitted = t.has(SACK_ON) ? retransmitLost(core, t) : retransmit(core, t);
    if (retransmitted !== NO_ROOM) sendNew(core, t);
    if (t.sndNxt === t.sndUna) holdProbe(core, t);
    else if (!isArmed(t, TIMER_RETRANSMIT) || t.has(PERSISTING) || (t.has(PROBING) && t.sndNxt !== from)) armRetransmit(core, t);
  }
  if (t.has(ACK_NOW)) {
    if (sendAck(core, t)) core.stats[stat.PURE_ACKS]++;
    else core.flows.touch(t);
  }
}

/** End of what the owner has written, as a sequence number: that of the FIN, where one follows. */
export function endOfText(t: Tcb): number {
  return (t.iss + 1 + t.written) | 0;
}

/** Bytes in flight, as far as is known. */
function flight(t: Tcb): number {
  return (t.sndNxt - t.sndUna) | 0;
}

// ---- again

/** Sends again what counts as lost by the scoreboard. Returns NO_ROOM where the device was full. */
function retransmitLost(core: Core, t: Tcb): number {
  const runs = core.runs;
  if (t.frto === FRTO_WATCH && after(t.sndNxt, t.recover)) return 0;
  for (let run = t.lost > 0 ? t.runs : NONE; run !== NONE && t.lost > 0; run = runs.nexts[run]) {
    if ((runs.flags[run] & LOST) === 0) continue;
    const mss = t.sndMss;
    const length = runs.length(run);
    const room = t.cwnd - pipe(t);
    let most = mss;
    if (room < Math.min(length, mss)) {
      if (!t.has(RETRANSMIT_NOW)) {
        noteUsage(core, t, true);
        return 0;
      }
    } else if (length > mss) {
      most = Math.min(length, room, largest(core, t));
      if (most < length) most -= most % mss;
    }
    const sent = resendRun(core, t, run, most);
    if (sent <= 0) return sent;
    t.unmark(RETRANSMIT_NOW);
    core.stats[t.recovery === RECOVERY_LOSS ? stat.SLOW_START_RETRANS : stat.FAST_RETRANS]++;
  }
  return 0;
}

/** Sends the first `most` bytes of a run again; they are a run of their own then. Returns what `resend` does. */
export function resendRun(core: Core, t: Tcb, run: number, most: number): number {
  const runs = core.runs;
  const length = runs.length(run);
  const sent = Math.min(resend(core, t, runs.starts[run], Math.min(most, length)), length);
  if (sent <= 0) return sent;
  if (sent < length) runs.split(t, run, (runs.starts[run] + sent) | 0);
  if ((runs.flags[run] & PROBE) !== 0) {
    // Whichever copy gets through, nothing is learned of the path.
    runs.flags[run] &= ~PROBE;
    t.probeSize = 0;
  }
  runs.clear(t, run, LOST);
  runs.mark(t, run, RETRANS);
  runs.times[run] = core.us;
  t.rtxHigh = later(t.rtxHigh, runs.ends[run]);
  if (t.recovery === RECOVERY_FAST || t.recovery === RECOVERY_CWR) t.prrOut += sent;
  noteRetransmission(core, t, sent);
  if (run === t.runs) armRetransmit(core, t);
  return sent;
}

/** Sends again what counts as lost, for a peer without SACK. Returns NO_ROOM where the device was full. */
function retransmit(core: Core, t: Tcb): number {
  if (t.has(RETRANSMIT_NOW)) {
    const sent = resend(core, t, t.sndUna, t.sndMss);
    if (sent === NO_ROOM) return NO_ROOM;
    t.unmark(RETRANSMIT_NOW);
    if (t.recovery === RECOVERY_LOSS) t.rtxNxt = (t.sndUna + sent) | 0;
  }
  if (t.recovery !== RECOVERY_LOSS) return 0;
  while (before(t.rtxNxt, t.recover)) {
    // What lies beyond rtxNxt counts as lost, so only what was sent again is in flight.
    const room = t.cwnd - ((t.rtxNxt - t.sndUna) | 0);
    if (room < Math.min(t.sndMss, (t.recover - t.rtxNxt) | 0)) {
      noteUsage(core, t, true);
      return 0;
    }
    const sent = resend(core, t, t.rtxNxt, t.sndMss);
    if (sent <= 0) return sent;
    t.rtxNxt = (t.rtxNxt + sent) | 0;
    core.stats[stat.SLOW_START_RETRANS]++;
  }
  return 0;
}

/** Sends one segment again from `seq` on. Returns the sequence numbers sent, NO_ROOM, or 0 where nothing is there. */
function resend(core: Core, t: Tcb, seq: number, most: number): number {
  const text = (endOfText(t) - seq) | 0;
  const out = (t.sndNxt - seq) | 0;
  const length = Math.min(text, out, most);
  if (length < 0 || out <= 0) return 0;
  // Karn: what is acknowledged now may be either copy.
  t.unmark(RTT_TIMING);
  const sent = sendText(core, t, seq, length, out > text);
  if (sent === NO_ROOM) {
    core.flows.touch(t);
    return NO_ROOM;
  }
  if (sent > 0) {
    core.stats[stat.RETRANS_SEGS]++;
    t.retransmitted++;
    t.bytesRetransmitted = (t.bytesRetransmitted + sent) | 0;
    t.sentAt = core.ticks;
  }
  return sent;
}

// ---- new

/** Sends what is new, as far as windows and Nagle allow. */
function sendNew(core: Core, t: Tcb): void {
  if (t.has(SACK_ON) ? t.lost > 0 : t.recovery === RECOVERY_LOSS && before(t.rtxNxt, t.recover)) return;
  const unsent = (endOfText(t) - t.sndNxt) | 0;
  if (unsent < 0 || (unsent === 0 && !t.has(FIN_QUEUED))) return;
  restartAfterIdle(core, t);
  if (t.mtuState !== MTU_FIXED && tryLarger(core, t, unsent)) return;
  core.cwndLimited = false;
  core.paceLeft = 0;
  core.stepLeft = 0;
  fill(core, t);
  core.push = false;
  noteUsage(core, t, core.cwndLimited || t.cwnd - pipe(t) < t.sndMss);
}

/** Packet by packet. */
function fill(core: Core, t: Tcb): void {
  const end = endOfText(t);
  let unsent = (end - t.sndNxt) | 0;
  while (unsent > 0 || (unsent === 0 && t.has(FIN_QUEUED))) {
    if (t.pacing !== 0 && core.paceLeft < t.sndMss && !beginStep(core, t)) return;
    const chosen = unsent > 0 ? choose(core, t, unsent) : 0;
    if (unsent > 0 && chosen === 0) return;
    const length = t.pacing !== 0 ? Math.min(chosen, core.paceLeft) : chosen;
    const window = (t.sndUna + t.sndWnd - t.sndNxt) | 0;
    const fin = length === unsent && length < window;
    if (length === 0 && !fin) return;
    if (core.limits.pushSteps > 0) core.push = endsStep(core, t, length, mayLeave(t, unsent));
    const sent = sendText(core, t, t.sndNxt, length, fin);
    if (sent === NO_ROOM) core.flows.touch(t);
    if (sent <= 0) return;
    advance(core, t, sent, length);
    if (t.pacing !== 0) notePaced(core, t, sent);
    unsent = (end - t.sndNxt) | 0;
    // The peer's window may end just before the FIN.
    if (unsent === 0 && !fin) return;
  }
}

/** Notes that `sent` sequence numbers have left for the first time. */
export function advance(core: Core, t: Tcb, sent: number, length: number): void {
  const seq = t.sndNxt;
  t.sndNxt = (seq + sent) | 0;
  t.sentAt = core.ticks;
  t.unmark(SWS_OVERRIDE);
  // Small because nothing more was there, not because a packet has only so many pieces.
  if (sent >= length && length % t.sndMss !== 0) t.sndSml = t.sndNxt;
  if (t.has(SACK_ON)) {
    core.runs.append(t, seq, t.sndNxt, core.us);
    if (t.recovery === RECOVERY_FAST || t.recovery === RECOVERY_CWR) t.prrOut += sent;
  } else if (!t.has(RTT_TIMING) && t.recovery === RECOVERY_OPEN) {
    t.mark(RTT_TIMING);
    t.rttSeq = t.sndNxt;
    t.rttAt = core.us;
  }
  if (((core.ticks - t.heardAt) | 0) < INTERACTIVE_TICKS && t.received !== 0) t.mark(INTERACTIVE);
}

/** F-RTO step 2b (RFC 5682 3.1): up to two new segments; where there are none what counts as lost goes. */
function tryNew(core: Core, t: Tcb): void {
  t.frto = FRTO_OFF;
  for (let i = 0; i < 2 && pipe(t) < t.cwnd && sendOneNew(core, t) > 0; i++) t.frto = FRTO_WATCH;
}

/** One segment of what is new, whatever the congestion window says. Returns as `sendText`, 0 where there is none. */
export function sendOneNew(core: Core, t: Tcb): number {
  const unsent = (endOfText(t) - t.sndNxt) | 0;
  const window = (t.sndUna + t.sndWnd - t.sndNxt) | 0;
  const length = Math.min(unsent, t.sndMss);
  if (length <= 0 || window < length) return 0;
  const sent = sendText(core, t, t.sndNxt, length, length === unsent && length < window);
  if (sent > 0) advance(core, t, sent, length);
  return sent;
}

function restartAfterIdle(core: Core, t: Tcb): void {
  if (flight(t) > 0 || t.sndNxt === ((t.iss + 1) | 0)) return;
  const idle = (core.ticks - t.sentAt) | 0;
  if (idle < 0 || idle * TICK_US > t.rto) restart(core, t, idle < 0 ? Infinity : idle * TICK_US);
}

/** Bytes to send next in one packet, of `unsent`; 0 where it is better to wait (RFC 9293 3.8.6.2.1, 3.7.4). */
function choose(core: Core, t: Tcb, unsent: number): number {
  const mss = t.sndMss;
  const inFlight = flight(t);
  const window = t.sndWnd - inFlight;
  const congestion = congestionRoom(t, inFlight);
  const usable = Math.min(window, congestion);
  if (usable <= 0) {
    if (congestion <= window) core.cwndLimited = true;
    return 0;
  }
  if (unsent <= usable) {
    const most = unsent > mss ? largest(core, t) : mss;
    if (unsent > most) return most;
    const tail = unsent % mss;
    return tail === 0 || mayGoSmall(t) ? unsent : unsent - tail;
  }
  if (congestion < window) core.cwndLimited = true;
  if (usable >= mss) {
    const most = usable > mss ? largest(core, t) : mss;
    return usable >= most ? most : usable - (usable % mss);
  }
  // Less than a segment fits: worth sending where it is much of what this peer ever offers, or the wait was long.
  if (window <= congestion && (window >= t.sndWndMax >> 1 || t.has(SWS_OVERRIDE))) return usable;
  return 0;
}

/** Bytes that may leave now, in any number of packets, of `unsent`. */
function mayLeave(t: Tcb, unsent: number): number {
  const inFlight = flight(t);
  const usable = Math.min(t.sndWnd - inFlight, congestionRoom(t, inFlight));
  const tail = Math.min(usable, unsent) % t.sndMss;
  return unsent <= usable ? unsent - (tail === 0 || mayGoSmall(t) ? 0 : tail) : usable - tail;
}

/** What the congestion window leaves, limited transmit (RFC 3042) included: SACK blocks make that room by themselves. */
function congestionRoom(t: Tcb, inFlight: number): number {
  if (t.has(SACK_ON)) return t.cwnd - pipe(t);
  const extra = t.recovery === RECOVERY_OPEN ? Math.min(t.dupAcks, LIMITED_TRANSMIT) * t.sndMss : 0;
  return t.cwnd + extra - inFlight;
}

/**
 * Nagle's algorithm in Minshall's form: a small segment waits only while another small one is not acknowledged, so the
 * end of a large message does not wait for its beginning. The last segment of the stream never waits.
 */
function mayGoSmall(t: Tcb): boolean {
  if ((t.hold & HOLD_ANY) !== 0) return t.has(FIN_QUEUED | SWS_OVERRIDE);
  if (t.has(NO_DELAY | FIN_QUEUED)) return true;
  return !(after(t.sndSml, t.sndUna) && !after(t.sndSml, t.sndNxt));
}

/** Payload of the largest packet that the device cuts into segments, a whole number of them; else one segment. */
function largest(core: Core, t: Tcb): number {
  // A device that cuts a packet would count the urgent pointer from its first byte in each of the segments.
  if ((t.asides & URGENT_OUT) !== 0) return t.sndMss;
  const packet = core.output.segmentation(core.words, t.remoteAt);
  const header = ipHeader(core.words, t.remoteAt) + (t.has(TIMESTAMPS_ON) ? HEADER_STAMPED : HEADER_PLAIN);
  const payload = packet - header;
  return payload > t.sndMss && (t.recovery !== RECOVERY_FAST || t.has(SACK_ON)) ? payload - (payload % t.sndMss) : t.sndMss;
}

/**
 * Nothing is in flight: where something waits for the peer's window, the persist timer keeps asking (MUST-35, MUST-36).
 * What the owner holds back waits no longer than that either.
 */
function holdProbe(core: Core, t: Tcb): void {
  const waits = ((endOfText(t) - t.sndNxt) | 0) > 0 || (t.has(FIN_QUEUED) && t.sndNxt === endOfText(t));
  if (waits && (t.sndWnd < t.sndMss || (t.hold & HOLD_ANY) !== 0)) {
    if (!isArmed(t, TIMER_RETRANSMIT) || !t.has(PERSISTING)) armPersist(core, t);
  } else if (t.has(PERSISTING)) {
    t.unmark(PERSISTING);
    disarm(t, TIMER_RETRANSMIT);
  }
}

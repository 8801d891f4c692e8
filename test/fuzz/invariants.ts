/** What holds of a stack whenever it is at rest, whatever has arrived. */
import { pipe, LOST, SACKED } from '../../lib/tcp/conn/runs.js';
import { endOfText } from '../../lib/tcp/conn/sender.js';
import { isThrough } from '../../lib/tcp/conn/close.js';
import {
  ACK_NOW, CLOSED, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_KNOWN, FIN_QUEUED, FIN_RECEIVED, FIN_WAIT_2, FREE, IN_DEMUX,
  IN_HALF_OPEN, IN_TIME_WAIT, IN_TOUCHED, IS_ORPHAN, LAST_ACK, NONE, OWNED, PERSISTING, PROBING, RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_OPEN,
  RECYCLABLE, RELEASED, RESET_DUE, SACK_ON, STATE_NAMES, SYN_RECEIVED, SYN_SENT, TIMER_ACK, TIMER_LIFE, TIMER_REORDER, TIMER_RETRANSMIT, TIME_WAIT,
  WRITES_ON,
} from '../../lib/tcp/conn/state.js';
import type { Core } from '../../lib/tcp/conn/core.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import type { Stack } from '../../lib/tcp/stack.js';
import { Finding } from './case.js';

/** Totals over all flows, to be compared with what tables say. */
class Totals {
  used = 0;
  demux = 0;
  halfOpen = 0;
  timeWait = 0;
  orphans = 0;
  ranges = 0;
  runs = 0;
  armed = 0;
  waiting = 0;
}

/** Looks at every flow and table. @param seen counts flows by state. @throws Finding */
export function checkStack(stack: Stack, t: Tcb, seen: Float64Array): void {
  const { core } = stack;
  const totals = new Totals();
  for (let flow = 0; flow < core.flows.maxFlows; flow++) {
    t.at(flow);
    if (core.wheel.isArmed(flow)) totals.armed++;
    if (t.state === FREE) {
      if (core.wheel.isArmed(flow)) bad(t, 'a timer of a record that is not in use');
      continue;
    }
    seen[t.state]++;
    checkFlow(core, t, totals);
  }
  same('records in use', stack.flowsInUse, totals.used);
  same('flows in the demultiplexer', core.demux.count, totals.demux);
  same('flows in TIME-WAIT', stack.timeWaitCount, totals.timeWait);
  same('orphans', stack.orphanCount, totals.orphans);
  same('ranges', stack.rangesInUse, totals.ranges);
  same('runs', stack.runsInUse, totals.runs);
  same('timers', stack.timersArmed, totals.armed);
  same('half-open flows in all', core.halfOpen.total, totals.halfOpen);
  let halfOpen = 0;
  let waiting = 0;
  for (let i = 0; i < core.limits.listeners; i++) {
    halfOpen += core.halfOpen.counts[i]!;
    if (core.listeners.isOpen(i)) waiting += core.listeners.waiting[i]!;
  }
  same('flows that wait for their owner', waiting, totals.waiting);
  same('half-open flows', halfOpen, totals.halfOpen);
}

function same(what: string, counted: number, found: number): void {
  if (counted !== found) throw new Finding(`${what}: ${counted} are counted, ${found} are there`);
}

function bad(t: Tcb, what: string): never {
  const una = t.sndUna;
  throw new Finding(`${STATE_NAMES[t.state]}: ${what} [flow ${t.flow} flags ${t.flags} timers ${t.timers} iss+${(una - t.iss) | 0} ` +
    `nxt+${(t.sndNxt - una) | 0} end+${(endOfText(t) - una) | 0} wnd ${t.sndWnd} cwnd ${t.cwnd} mss ${t.sndMss} lost ${t.lost} sacked ${t.sacked} ` +
    `recovery ${t.recovery} rcv+${(t.rcvNxt - t.irs) | 0} adv+${(t.rcvAdv - t.rcvNxt) | 0} ranges ${t.rangeCount} hold ${t.hold}]`);
}

function checkFlow(core: Core, t: Tcb, totals: Totals): void {
  totals.used++;
  if (t.state < FREE || t.state > TIME_WAIT) bad(t, `state ${t.state}`);
  if (t.has(IN_DEMUX)) totals.demux++;
  const { generations } = core.listeners;
  if (t.listenerGeneration !== 0 && core.listeners.isOpen(t.listener) && generations[t.listener] === t.listenerGeneration) totals.waiting++;
  if (t.has(IN_HALF_OPEN)) totals.halfOpen++;
  if (t.has(IN_TIME_WAIT)) totals.timeWait++;
  if (t.has(IS_ORPHAN)) totals.orphans++;
  if (t.has(IN_TIME_WAIT) !== (t.state === TIME_WAIT)) bad(t, 'the queue of TIME-WAIT and the state differ');
  if (t.has(IN_HALF_OPEN) && t.state !== SYN_RECEIVED) bad(t, 'still in the queue of half-open flows');
  if (t.has(IN_DEMUX) !== (t.state > CLOSED)) bad(t, 'the demultiplexer and the state differ');
  if (t.has(RECYCLABLE) && t.state !== CLOSED) bad(t, 'ended, and not closed');
  if (t.has(IS_ORPHAN) && !t.has(RELEASED)) bad(t, 'an orphan that its owner holds');
  if (t.state === CLOSED) {
    checkClosed(t);
    return;
  }
  if (core.demux.find(t.words, t.localAt, t.remoteAt, t.localPort, t.remotePort) !== t.flow) bad(t, 'segments do not find the flow');
  checkTimers(core, t);
  checkRanges(core, t, totals);
  checkRuns(core, t, totals);
  checkReceiver(t);
  checkSender(core, t);
  checkAlive(t);
}

function checkClosed(t: Tcb): void {
  if (t.timers !== 0) bad(t, 'timers of a flow that is closed');
  if (t.runs !== NONE || t.ranges !== NONE || t.rangeCount !== 0) bad(t, 'runs or ranges of a flow that is closed');
  if (t.has(RELEASED) && !t.has(RECYCLABLE)) bad(t, 'closed and released, and its owner was not told');
  if (!t.has(OWNED)) bad(t, 'closed without an owner, and not free');
}

function checkTimers(core: Core, t: Tcb): void {
  const earliest = core.wheel.deadline(t.flow);
  const armed = core.wheel.isArmed(t.flow);
  for (const timer of [TIMER_RETRANSMIT, TIMER_ACK, TIMER_LIFE, TIMER_REORDER]) {
    if ((t.timers & timer) === 0) continue;
    const at = timer === TIMER_RETRANSMIT ? t.retransmitAt : timer === TIMER_ACK ? t.ackAt : timer === TIMER_LIFE ? t.lifeAt : t.reorderAt;
    if (!armed) bad(t, `timer ${timer} waits and the wheel does not`);
    // What is past counts as the next tick.
    if (((earliest - at) | 0) > 1 && ((at - core.wheel.time) | 0) > 0) bad(t, `timer ${timer} is due ${(earliest - at) | 0} ticks before the wheel`);
  }
}

function checkRanges(core: Core, t: Tcb, totals: Totals): void {
  const { starts, ends, nexts } = core.ranges;
  let count = 0;
  let last = t.rcvNxt;
  for (let range = t.ranges; range !== NONE; range = nexts[range]!) {
    if (((starts[range]! - last) | 0) <= 0) bad(t, `range ${count} begins ${(starts[range]! - last) | 0} after what is before it`);
    if (((ends[range]! - starts[range]!) | 0) <= 0) bad(t, 'a range without bytes');
    last = ends[range]!;
    if (++count > core.limits.rangesPerFlow) bad(t, 'more ranges than one flow may have');
  }
  if (count > 0 && ((last - t.rcvAdv) | 0) > 0) bad(t, `a range ends ${(last - t.rcvAdv) | 0} beyond the window`);
  if (count !== t.rangeCount) bad(t, `${t.rangeCount} ranges are counted, ${count} are there`);
  totals.ranges += count;
}

function checkRuns(core: Core, t: Tcb, totals: Totals): void {
  const { starts, ends, nexts, flags } = core.runs;
  let lost = 0;
  let sacked = 0;
  let at = t.sndUna;
  let tail = NONE;
  for (let run = t.runs; run !== NONE; run = nexts[run]!) {
    if (starts[run] !== at) bad(t, `a gap of ${(starts[run]! - at) | 0} between runs`);
    const length = (ends[run]! - starts[run]!) | 0;
    if (length <= 0) bad(t, `a run of ${length} bytes`);
    if ((flags[run]! & (LOST | SACKED)) === (LOST | SACKED)) bad(t, 'a run is with the peer and lost');
    if ((flags[run]! & LOST) !== 0) lost += length;
    if ((flags[run]! & SACKED) !== 0) sacked += length;
    at = ends[run]!;
    tail = run;
    totals.runs++;
  }
  if (t.runTail !== tail) bad(t, 'the last run is another');
  if (lost !== t.lost || sacked !== t.sacked) bad(t, `${t.lost} lost and ${t.sacked} with the peer are counted, ${lost} and ${sacked} are there`);
  if (t.has(SACK_ON) && t.state >= ESTABLISHED && at !== t.sndNxt) bad(t, `the runs end ${(t.sndNxt - at) | 0} before sndNxt`);
  if (t.state >= ESTABLISHED && pipe(t) < 0) bad(t, `${pipe(t)} bytes in the network`);
}

function checkReceiver(t: Tcb): void {
  if (t.state < SYN_RECEIVED) return;
  const fin = t.has(FIN_RECEIVED) ? 1 : 0;
  if (((t.rcvNxt - t.irs - 1 - fin) | 0) !== t.received) bad(t, `received ${t.received}`);
  if (((t.rcvAdv - t.rcvNxt) | 0) < 0) bad(t, 'the window ends before it begins');
  if (((t.received - t.consumed) | 0) < 0) bad(t, 'more was read than received');
  if (((t.rcvNxt - t.lastAckSent) | 0) < 0) bad(t, 'more was acknowledged than received');
  if (t.has(FIN_KNOWN) && !t.has(FIN_RECEIVED) && ((t.finSeq - t.rcvNxt) | 0) <= 0) bad(t, 'a FIN is there and was not taken');
  if (t.has(FIN_RECEIVED) && (t.state === ESTABLISHED || t.state === FIN_WAIT_2)) bad(t, 'the state does not know of the FIN');
  if (!t.has(FIN_RECEIVED) && (t.state === CLOSE_WAIT || t.state >= CLOSING)) bad(t, 'the state knows of a FIN that there was not');
}

function checkSender(core: Core, t: Tcb): void {
  const flight = (t.sndNxt - t.sndUna) | 0;
  if (flight < 0) bad(t, 'sndNxt is before sndUna');
  if (t.sndWnd < 0 || t.sndWnd > t.sndWndMax) bad(t, `largest window ${t.sndWndMax}`);
  if (t.state < ESTABLISHED) {
    if (flight > 1) bad(t, 'more than a SYN was sent');
    return;
  }
  const end = endOfText(t);
  const beyond = (t.sndNxt - end) | 0;
  if (beyond > (t.has(FIN_QUEUED) ? 1 : 0)) bad(t, `${beyond} beyond what was written was sent`);
  const through = Math.min((t.sndUna - t.iss - 1) >>> 0, t.written >>> 0) | 0;
  if (t.acknowledged !== through) bad(t, `acknowledged ${t.acknowledged} of ${through}`);
  if (t.sndMss < 1 || t.sndMss > 65535) bad(t, `segments of ${t.sndMss}`);
  if (t.cwnd < 1 || t.cwnd > 1 << 30) bad(t, `cwnd ${t.cwnd}`);
  if (t.ssthresh < 1) bad(t, `ssthresh ${t.ssthresh}`);
  if (t.srtt < 0 || t.rttvar < 0) bad(t, `srtt ${t.srtt}, rttvar ${t.rttvar}`);
  if (t.rto < core.limits.rtoMinMs * 1000 || t.rto > Math.max(core.limits.rtoMaxMs, 3000) * 1000) bad(t, `rto ${t.rto}`);
  const { recovery } = t;
  if (![RECOVERY_OPEN, RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_CWR].includes(recovery)) bad(t, `recovery ${recovery}`);
  if (t.has(PERSISTING) && t.has(PROBING)) bad(t, 'the timer has two uses');
}

/** No flow waits for ever: whatever the peer or the owner does not do, a timer comes. */
function checkAlive(t: Tcb): void {
  if (t.has(IN_TOUCHED)) return;
  const { state } = t;
  const armed = (timer: number): boolean => (t.timers & timer) !== 0;
  if ((state === SYN_SENT || state === SYN_RECEIVED) && !armed(TIMER_RETRANSMIT)) bad(t, 'a handshake without a timer');
  if (state < ESTABLISHED) return;
  if (state === TIME_WAIT) {
    if (!armed(TIMER_LIFE)) bad(t, 'nothing ends TIME-WAIT');
    return;
  }
  if (t.has(ACK_NOW)) bad(t, 'an acknowledgement is due and does not leave');
  if (((t.rcvNxt - t.lastAckSent) | 0) > 0 && !armed(TIMER_ACK)) bad(t, 'text was not acknowledged, and no timer is armed');
  const flight = (t.sndNxt - t.sndUna) | 0;
  if (flight > 0 && !armed(TIMER_RETRANSMIT)) bad(t, `${flight} in flight and no timer is armed`);
  if (flight === 0 && hasUnsent(t) && !armed(TIMER_RETRANSMIT)) bad(t, 'text or FIN waits, nothing is in flight, and no timer is armed');
  if (state === FIN_WAIT_2 && t.has(RELEASED) && !armed(TIMER_LIFE)) bad(t, 'nothing ends FIN-WAIT-2');
  if (t.has(RELEASED) && (t.asides & (RESET_DUE | WRITES_ON)) === 0 && (state === ESTABLISHED || state === CLOSE_WAIT)) bad(t, 'released, and it does not close');
  if ((t.asides & RESET_DUE) !== 0 && isThrough(t)) bad(t, 'a reset is due, and nothing holds it up');
  if ((state === CLOSING || state === LAST_ACK) && !t.has(FIN_QUEUED)) bad(t, 'closing without a FIN');
}

/** Something waits to be sent for the first time. */
function hasUnsent(t: Tcb): boolean {
  const unsent = (endOfText(t) - t.sndNxt) | 0;
  return unsent > 0 || (unsent === 0 && t.has(FIN_QUEUED));
}

/** After the end: nothing is left. */
export function checkEmpty(stack: Stack): void {
  same('flows left', stack.flowsInUse, 0);
  same('timers left', stack.timersArmed, 0);
  same('ranges left', stack.rangesInUse, 0);
  same('runs left', stack.runsInUse, 0);
  same('orphans left', stack.orphanCount, 0);
  same('flows in TIME-WAIT left', stack.timeWaitCount, 0);
  same('flows in the demultiplexer left', stack.core.demux.count, 0);
  if (stack.core.flows.anyChanged || stack.core.flows.anyTouched) throw new Finding('a list of flows is not empty at the end');
  if (stack.pollAt() !== Infinity) throw new Finding('something is still to be done at the end');
}

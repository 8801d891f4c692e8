/** What all files of this folder act on: one per stack. */
import type { Clock } from '../clock.js';
import type { Demux } from '../demux.js';
import type { IsnGenerator } from '../isn.js';
import type { StackLimits } from '../limits.js';
import type { Listeners } from '../listeners.js';
import type { Payload } from '../payload.js';
import type { PortUses } from '../port_uses.js';
import type { EphemeralPorts } from '../ports.js';
import type { Share } from '../share.js';
import type { SynCookies } from '../syn_cookies.js';
import type { TimerWheel } from '../timer_wheel.js';
import type { TransportOutput } from '../transport.js';
import type { CongestionControl } from './cc/congestion.js';
import { FlowQueues } from './flow_queues.js';
import type { FlowTable } from './flow_table.js';
import type { RangePool } from './ranges.js';
import type { RunPool } from './runs.js';
import { Tally } from './scoreboard.js';
import { Segment } from './segment.js';
import { CLOSED, RECYCLABLE, RELEASED } from './state.js';
import { Tcb } from './tcb.js';

/** Microseconds of one tick, the unit of deadlines: fine enough for any timer, and 29 h ahead fit in int32. */
export const TICK_US = 50;
export const TICKS_PER_MS = 1000 / TICK_US;

export interface CoreParts {
  words: Int32Array;
  tcbBase: number;
  flows: FlowTable;
  demux: Demux;
  listeners: Listeners;
  uses: PortUses;
  wheel: TimerWheel;
  ranges: RangePool;
  runs: RunPool;
  isn: IsnGenerator;
  cookies: SynCookies;
  ports: EphemeralPorts;
  congestion: CongestionControl;
  payload: Payload;
  output: TransportOutput;
  /** Sends what the output holds, so that it has room again. */
  flush: () => void;
  share: Share;
  random: () => number;
  limits: StackLimits;
  stats: Float64Array;
  clock: Clock;
}

export class Core {
  /** The flow at hand. Only the functions that are handed a flow number move it. */
  readonly t: Tcb;
  /** For a glance at another flow while one is at hand. */
  readonly other: Tcb;
  readonly segment = new Segment();
  readonly tally = new Tally();
  readonly words: Int32Array;
  readonly flows: FlowTable;
  readonly demux: Demux;
  readonly listeners: Listeners;
  readonly uses: PortUses;
  readonly wheel: TimerWheel;
  readonly ranges: RangePool;
  readonly runs: RunPool;
  readonly isn: IsnGenerator;
  readonly cookies: SynCookies;
  readonly ports: EphemeralPorts;
  readonly congestion: CongestionControl;
  readonly payload: Payload;
  readonly output: TransportOutput;
  readonly flush: () => void;
  readonly share: Share;
  readonly random: () => number;
  readonly limits: StackLimits;
  readonly stats: Float64Array;
  readonly clock: Clock;
  /** Start of the core's clock, in µs. */
  readonly epoch: number;

  /** The time of this turn in µs. */
  now = 0;
  /** The same since the epoch, as int32 that wrap: in ticks, µs, ms and s. */
  ticks = 0;
  us = 0;
  ms = 0;
  seconds = 0;

  /** Half-open flows, a queue for each listener. */
  readonly halfOpen: FlowQueues;
  /** TIME-WAIT flows: queue 0, the oldest first. */
  readonly timeWait: FlowQueues;
  /** Flows that their owner has released, TIME-WAIT not counted: queue 0, the oldest first. */
  readonly orphans: FlowQueues;
  /** Challenge ACKs that are left of the second that began at `challengeFrom` (ms). */
  challengesLeft = 0;
  challengeFrom = -1000;
  /** A send found no room in the device this turn. */
  congested = false;
  /** Bytes that a flow that is paced may still send in this step. */
  paceLeft = 0;
  /** Of the step at hand (push.ts): its bytes, and those that are left of it. The text that leaves next is pushed. */
  step = 0;
  stepLeft = 0;
  push = false;
  /** The congestion window held the send decision at hand back. */
  cwndLimited = false;
  /** Segments wait in the devices for a flush. */
  unflushed = false;
  /** Edges of SACK blocks to be written. */
  readonly sackEdges = new Int32Array(8);

  constructor(parts: CoreParts) {
    this.words = parts.words;
    this.t = new Tcb(parts.words, parts.tcbBase);
    this.other = new Tcb(parts.words, parts.tcbBase);
    this.flows = parts.flows;
    this.demux = parts.demux;
    this.listeners = parts.listeners;
    this.uses = parts.uses;
    this.wheel = parts.wheel;
    this.ranges = parts.ranges;
    this.runs = parts.runs;
    this.isn = parts.isn;
    this.cookies = parts.cookies;
    this.ports = parts.ports;
    this.congestion = parts.congestion;
    this.payload = parts.payload;
    this.output = parts.output;
    this.flush = parts.flush;
    this.share = parts.share;
    this.random = parts.random;
    this.limits = parts.limits;
    this.stats = parts.stats;
    this.halfOpen = new FlowQueues(parts.words, parts.tcbBase, parts.limits.listeners);
    this.timeWait = new FlowQueues(parts.words, parts.tcbBase, 1);
    this.orphans = new FlowQueues(parts.words, parts.tcbBase, 1);
    this.clock = parts.clock;
    this.epoch = this.clock.now;
    this.takeTime();
  }

  /** The flow, at hand from now on, where its owner may still act on it; null where not. */
  take(flow: number): Tcb | null {
    if (!this.flows.isUsed(flow)) return null;
    const t = this.t.at(flow);
    return t.has(RECYCLABLE) || (t.has(RELEASED) && t.state === CLOSED) ? null : t;
  }

  /** Takes the time from the clock. It does not run backwards: an earlier one counts as the last. */
  takeTime(): void {
    const { now } = this.clock;
    if (now < this.now) return;
    this.now = now;
    const elapsed = now - this.epoch;
    // The small addend keeps a deadline that was turned into µs and back from falling into the tick before it.
    this.ticks = Math.floor(elapsed / TICK_US + 0.001) | 0;
    this.us = Math.floor(elapsed) | 0;
    this.ms = Math.floor(elapsed / 1000) | 0;
    this.seconds = Math.floor(elapsed / 1_000_000) | 0;
    // Days may pass without a timer, and the wheel does not tell apart what lies further ahead of it than that.
    if (this.wheel.armed === 0) this.wheel.time = this.ticks;
  }

  /** The time in µs of a tick not far from now. */
  timeOf(tick: number): number {
    const elapsed = Math.floor((this.now - this.epoch) / TICK_US + 0.001);
    return this.epoch + (elapsed + ((tick - this.ticks) | 0)) * TICK_US;
  }
}

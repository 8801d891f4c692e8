/**
 * TCP/IP for one TCP server: frames in, frames out, and between them the flows of its owner. No clock, no randomness, no
 * I/O of its own.
 *
 * A turn is `receive`, the owner's calls, `advance`, `takeChanged` until it returns -1, `transmit`; then nothing happens
 * until `pollAt`, or until a device is readable. Times are µs. What the owner asks for in a turn, and what arrives in
 * it, is answered once for each flow, by `transmit`.
 *
 * A flow is a record, an index with a generation. It is the owner's from EV_ACCEPTED, or `connect`, until `release` or
 * `abort`; when the stack too is done with it, it reports EV_FREED, and the record is used again after `recycle`.
 */
import { Earliest } from './clock.js';
import type { Clock } from './clock.js';
import { ackNow, acknowledgeRead } from './conn/ack.js';
import { arrive } from './conn/arrive.js';
import { Cubic } from './conn/cc/cubic.js';
import { NewReno } from './conn/cc/newreno.js';
import { abort, leaveQueue, release, resetAndFinish, shutdown } from './conn/close.js';
import { Core } from './conn/core.js';
import { expire } from './conn/expire.js';
import { FlowTable } from './conn/flow_table.js';
import { connect, sendHandshake } from './conn/handshake.js';
import { RangePool } from './conn/ranges.js';
import { rightSize } from './conn/receive_buffer.js';
import { RunPool } from './conn/runs.js';
import { send } from './conn/sender.js';
import { ESTABLISHED, FIN_QUEUED, HOLD_CORK, HOLD_MORE, NONE, RECYCLABLE, SYN_SENT, UNPUSHED } from './conn/state.js';
import { Tcb } from './conn/tcb.js';
import { unreachable } from './conn/unreachable.js';
import { sendUrgent, urgentBytes } from './conn/urgent.js';
import { withdraw } from './conn/withdraw.js';
import { updateDue } from './conn/window.js';
import { Demux } from './demux.js';
import { EADDRINUSE, EADDRNOTAVAIL } from './errno.js';
import { FlowSettings } from './flow_settings.js';
import type { InterfaceConfig } from './ip/interface_config.js';
import { Ip } from './ip/ip.js';
import { IsnGenerator } from './isn.js';
import { stackLimits } from './limits.js';
import type { StackLimits } from './limits.js';
import { Listeners } from './listeners.js';
import type { Payload } from './payload.js';
import { PortUses } from './port_uses.js';
import type { PortClaims } from './port_uses.js';
import { EphemeralPorts } from './ports.js';
import { WHOLE } from './share.js';
import type { Share } from './share.js';
import { STATS_LENGTH } from './stats.js';
import { SynCookies } from './syn_cookies.js';
import { TimerWheel } from './timer_wheel.js';
import type { TimerSink } from './timer_wheel.js';
import type { Arrival, TransportSink } from './transport.js';
import { isUnspecified } from './wire/address.js';
import { TRAFFIC_CLASS_MASK } from './wire/ecn.js';

export interface StackConfig {
  /** Flow state lies here: `maxFlows` records of TCB_WORDS int32 words from word `tcbBase`, all zero at first. */
  words: Int32Array;
  tcbBase: number;
  maxFlows: number;
  payload: Payload;
  /** Where one has the network of a kernel on the same addresses, `claims` is wanted. */
  interfaces: readonly InterfaceConfig[];
  /** Returns a uint32 that cannot be guessed. */
  random: () => number;
  /** 16 bytes, drawn anew for each stack: keys for sequence numbers (RFC 6528) and hashes. */
  secret: Uint8Array;
  /** Whoever makes the turns sets it before each. */
  clock: Clock;
  limits?: Partial<StackLimits>;
  /** Another TCP on the same addresses, which is told what ports are in use here. */
  claims?: PortClaims | null;
  /** Which of the connections of its addresses are this stack's, where others have the rest. Default: all. */
  share?: Share;
  /** Where to count: STATS_LENGTH doubles, in shared memory for others to read. Its own array where none is given. */
  stats?: Float64Array;
}

/** How long to wait before trying a device again that was full, in µs. */
const CONGESTED_RETRY_US = 1000;

export class Stack implements TransportSink, TimerSink {
  /** A view of the flows for the owner; the stack itself never moves it. */
  readonly tcb: Tcb;
  /** Counters, by the indexes of stats.ts. */
  readonly stats: Float64Array;
  readonly limits: StackLimits;
  readonly ip: Ip;
  /** How each flow is to behave, as its owner wants it. */
  readonly settings: FlowSettings;
  /** The time, as it was handed in. */
  readonly clock: Clock;
  readonly #core: Core;
  readonly #next = new Earliest();

  constructor(config: StackConfig) {
    const { words, tcbBase, maxFlows, payload, random, secret, clock } = config;
    this.limits = stackLimits(config.limits ?? {}, maxFlows);
    this.stats = config.stats ?? new Float64Array(STATS_LENGTH);
    this.clock = clock;
    this.tcb = new Tcb(words, tcbBase);
    const uses = new PortUses(config.claims ?? null);
    const ip = new Ip({ interfaces: config.interfaces, transport: this, random, clock, timeToLive: this.limits.timeToLive, ports: uses });
    this.ip = ip;
    this.#core = new Core({
      words,
      tcbBase,
      flows: new FlowTable(words, tcbBase, maxFlows),
      demux: new Demux(words, tcbBase, maxFlows, secret, uses),
      listeners: new Listeners(this.limits.listeners, uses),
      uses,
      wheel: new TimerWheel(maxFlows, 0),
      ranges: new RangePool(this.limits.ranges),
      runs: new RunPool(this.limits.runs, maxFlows),
      isn: new IsnGenerator(secret),
      cookies: new SynCookies(secret),
      ports: new EphemeralPorts(secret),
      congestion: this.limits.congestion === 'cubic' ? new Cubic() : new NewReno(),
      payload,
      output: ip,
      flush: () => ip.flush(),
      share: config.share ?? WHOLE,
      random,
      limits: this.limits,
      stats: this.stats,
      clock,
    });
    this.settings = new FlowSettings(this.#core);
    ip.announce();
  }

  // ---- the turn

  /** Takes frames from all devices, at most `budget`. Returns how many it took. */
  receive(budget: number): number {
    this.#core.takeTime();
    return this.ip.receive(budget);
  }

  /** Does what is due by time. */
  advance(): void {
    this.#core.takeTime();
    this.ip.advance();
    this.#core.wheel.advance(this.#core.ticks, this);
  }

  /** One send decision for each flow that was touched since the last time; then the devices send. */
  transmit(): void {
    const core = this.#core;
    core.takeTime();
    core.congested = false;
    const t = core.t;
    for (let flow = core.flows.takeTouched(); flow !== NONE;) {
      const next = core.flows.untouch(flow);
      t.at(flow);
      if (t.state >= ESTABLISHED) send(core, t);
      else if (t.state >= SYN_SENT) sendHandshake(core, t);
      flow = next;
    }
    core.unflushed = false;
    this.ip.flush();
  }

  /** When the stack next has something to do by itself, though nothing arrives. */
  dueBy(next: Earliest): void {
    const core = this.#core;
    this.ip.dueBy(next);
    if (core.wheel.armed > 0) next.take(core.timeOf(core.wheel.next()));
    if (core.unflushed) next.take(core.now);
    if (core.flows.anyTouched) next.take(core.congested ? core.now + CONGESTED_RETRY_US : core.now);
  }

  /** `advance` has something to do at the time that `receive` has taken. */
  get isDue(): boolean {
    const core = this.#core;
    const next = this.#next;
    if (core.wheel.armed > 0 && ((core.wheel.next() - core.ticks) | 0) <= 0) return true;
    next.clear();
    this.ip.dueBy(next);
    return next.at <= this.clock.now;
  }

  /** As `dueBy`, alone: in µs, Infinity where it has nothing to do. */
  pollAt(): number {
    const next = this.#next;
    next.clear();
    this.dueBy(next);
    return next.at;
  }

  /** True where some device has frames waiting. */
  readable(): boolean {
    return this.ip.readable();
  }

  /** The next flow with events since it was last taken, each once; -1 where there is none. */
  takeChanged(): number {
    return this.#core.flows.takeChanged();
  }

  /** The record of a flow that reported EV_FREED may be used again: the owner has forgotten it. */
  recycle(flow: number): void {
    const core = this.#core;
    if (!core.flows.isUsed(flow)) return;
    if (core.t.at(flow).has(RECYCLABLE)) core.flows.free(flow);
  }

  // ---- listeners

  /**
   * Listens on a port of one address, or of all: of both families where `address` is ::, of IPv4 where it is ::ffff:0.0.0.0.
   *
   * @param address all zero: any of both families; ::ffff:0.0.0.0: any of IPv4.
   * @param port 0: one is chosen.
   * @param backlog connections that may wait for `taken`, at least 1; while so many do, SYNs and the last segments of handshakes
   *   are dropped and counted. Half-open connections have bounds of their own (`limits.synBacklog`, `limits.halfOpen`).
   * @param ipv6Only :: is to take IPv6 alone (RFC 3493 5.3).
   * @returns the listener, or -errno: EADDRINUSE, EADDRNOTAVAIL, ENOBUFS; or what `claims` says against the port.
   */
  listen(address: Int32Array, port: number, backlog: number, ipv6Only = false): number {
    const core = this.#core;
    if (!isUnspecified(address, 0) && !core.output.isLocal(address, 0)) return -EADDRNOTAVAIL;
    if (port !== 0) return core.listeners.add(address, 0, port, Math.max(backlog, 1), ipv6Only);
    const { ephemeralFirst, ephemeralLast } = this.limits;
    const count = ephemeralLast - ephemeralFirst + 1;
    const start = (core.random() >>> 0) % count;
    for (let i = 0; i < count; i++) {
      const chosen = ephemeralFirst + (start + i) % count;
      if (core.uses.of(chosen) > 0) continue;
      const listener = core.listeners.add(address, 0, chosen, Math.max(backlog, 1), ipv6Only);
      if (listener !== -EADDRINUSE) return listener;
    }
    return -EADDRINUSE;
  }

  /** The owner has taken over a connection that EV_ACCEPTED told of: it makes room in the backlog. `release` and `abort` do so too. */
  taken(flow: number): void {
    const core = this.#core;
    if (core.flows.isUsed(flow)) leaveQueue(core, core.t.at(flow));
  }

  /** Changes the backlog of a listener; 0: every SYN is dropped and counted. */
  setBacklog(listener: number, backlog: number): void {
    if (this.#core.listeners.isOpen(listener)) this.#core.listeners.backlogs[listener] = backlog;
  }

  /** What the connections of a listener begin with, from the next SYN on, as `settings` has it for one; 0 for the default. */
  setInherited(listener: number, receiveBuffer: number, maxSegment: number, trafficClass: number): void {
    const { listeners } = this.#core;
    if (!listeners.isOpen(listener)) return;
    listeners.receiveBuffers[listener] = Math.min(receiveBuffer, this.limits.receiveBuffer);
    listeners.maxSegments[listener] = maxSegment;
    listeners.trafficClasses[listener] = trafficClass & TRAFFIC_CLASS_MASK;
  }

  listenerPort(listener: number): number {
    return this.#core.listeners.ports[listener];
  }

  /** Ends a listener: its half-open flows are reset, those that were established stay as they are. */
  unlisten(listener: number): void {
    const core = this.#core;
    if (!core.listeners.isOpen(listener)) return;
    for (let flow = core.halfOpen.firsts[listener]; flow !== NONE; flow = core.halfOpen.firsts[listener]) {
      resetAndFinish(core, core.t.at(flow));
    }
    core.listeners.remove(listener);
  }

  // ---- flows

  /**
   * Opens a connection. EV_CONNECTED or EV_ERROR tells the outcome.
   *
   * @param local source address, or null. @param localPort 0: one is chosen (RFC 6056).
   * @returns the flow, or -errno: ENETUNREACH, EADDRNOTAVAIL, EADDRINUSE, ENOBUFS.
   */
  connect(remote: Int32Array, remotePort: number, local: Int32Array | null, localPort: number): number {
    // Whoever has just changed the kernel's routes may count on them.
    this.ip.followHosts();
    return connect(this.#core, remote, remotePort, local, localPort);
  }

  /** True where the other end of the flow's connection is a flow of this stack, too. */
  hasPeer(flow: number): boolean {
    const core = this.#core;
    const t = core.t.at(flow);
    return core.demux.find(core.words, t.remoteAt, t.localAt, t.remotePort, t.localPort) !== NONE;
  }

  /**
   * The owner's stream now reaches `position`. After `shutdown` nothing more is taken.
   *
   * @param more an incomplete segment waits for the next write, the next acknowledgement, or one RTO.
   */
  write(flow: number, position: number, more = false): void {
    const t = this.#core.take(flow);
    if (t === null || t.has(FIN_QUEUED) || ((position - t.written) | 0) <= 0) return;
    t.written = position;
    if (more) t.hold |= HOLD_MORE | UNPUSHED;
    else if (t.hold !== 0) t.hold &= HOLD_CORK;
    if (t.state >= ESTABLISHED) this.#core.flows.touch(t);
  }

  /** The owner has read up to `position`: the window may open. */
  consume(flow: number, position: number): void {
    const t = this.#core.take(flow);
    if (t === null || ((position - t.consumed) | 0) <= 0) return;
    t.consumed = position;
    rightSize(this.#core, t);
    if (t.state < ESTABLISHED) return;
    if (updateDue(this.#core, t)) ackNow(this.#core, t);
    else acknowledgeRead(this.#core, t);
  }

  /** All that is written so far is urgent (RFC 9293 3.8.5): the peer is told to hurry to its end. New applications should not. */
  urgent(flow: number): void {
    const t = this.#core.take(flow);
    if (t !== null) sendUrgent(this.#core, t);
  }

  /** Bytes that the owner has yet to read until it is through with what the peer has told is urgent; 0: none is. */
  urgentBytes(flow: number): number {
    const t = this.#core.take(flow);
    return t === null ? 0 : urgentBytes(t);
  }

  /** FIN follows everything written so far. */
  shutdown(flow: number): void {
    const t = this.#core.take(flow);
    if (t !== null) shutdown(this.#core, t);
  }

  /** RST, and the flow is gone: the same as `release` for the owner, who hears EV_FREED. */
  abort(flow: number): void {
    const t = this.#core.take(flow);
    if (t !== null) abort(this.#core, t);
  }

  /**
   * The owner lets go of the flow: what was written is sent, then FIN; the rest of its life is the stack's.
   *
   * @param ends false: somebody still writes for the owner, and calls `shutdown` in the end.
   */
  release(flow: number, ends = true): void {
    const t = this.#core.take(flow);
    if (t !== null) release(this.#core, t, ends);
  }

  // ---- what IP and the wheel call

  segment(arrival: Arrival): void {
    arrive(this.#core, arrival);
  }

  unreachable(
    words: Int32Array, localPort: number, remotePort: number, sequence: number, errno: number, hard: boolean, mtu: number,
  ): boolean {
    return unreachable(this.#core, words, localPort, remotePort, sequence, errno, hard, mtu);
  }

  withdrawn(words: Int32Array, at: number): void {
    withdraw(this.#core, words, at);
  }

  expired(node: number): void {
    expire(this.#core, node);
  }

  // ---- what is in use, for tests and reports

  /** All that the stack acts on, for whoever looks whether it is in order. */
  get core(): Core {
    return this.#core;
  }

  get flowsInUse(): number {
    return this.#core.flows.used;
  }

  get timersArmed(): number {
    return this.#core.wheel.armed;
  }

  get rangesInUse(): number {
    return this.limits.ranges - this.#core.ranges.available;
  }

  get runsInUse(): number {
    return this.#core.runs.capacity - this.#core.runs.available;
  }

  get halfOpenCount(): number {
    return this.#core.halfOpen.total;
  }

  get timeWaitCount(): number {
    return this.#core.timeWait.counts[0];
  }

  get orphanCount(): number {
    return this.#core.orphans.total;
  }
}

/** The bare protocol core behind the sockets of the driver: one stack, its clock, and what it sends. */
import { Clock } from '../lib/tcp/clock.js';
import { EV_ACCEPTED, EV_CLOSED, EV_CONNECTED, EV_ERROR, EV_FREED } from '../lib/tcp/conn/state.js';
import { PROTOCOL_TCP } from '../lib/tcp/wire/ipv4.js';
import { TCP_HEADER } from '../lib/tcp/wire/tcp.js';
import { get16 } from '../lib/tcp/wire/bytes.js';
import { TCB_WORDS } from '../lib/tcp/conn/tcb_words.js';
import { Stack } from '../lib/tcp/stack.js';
import type { StackLimits } from '../lib/tcp/limits.js';
import type { Address, Link, LinkOptions, Listener, Network } from './link.js';
import { PacketDevice } from './packet_device.js';
import { ReceiveQueue } from './receive_queue.js';
import { SendQueue } from './send_queue.js';
import { WINDOW_SHARE } from './settings.js';
import { StackLink } from './stack_link.js';
import { StreamMemory } from './stream_memory.js';

const ADDRESSES = ['192.168.0.1/16', 'fd3d:a0b:17d6::1/64'];
/** Never seen: packets leave without a link header. */
const GATEWAYS = ['192.168.0.2', 'fd3d:a0b:17d6::2'];
export const MTU = 1500;
const MAX_FLOWS = 4096;
/** Frames taken in one turn. */
const BUDGET = 1024;
const PORTS = 65_536;
const IPV6_HEADER = 40;

/** The ports of a segment at `at` as one number: that at `first`, then that at `second`. */
function portsOf(packet: Uint8Array, at: number, first: number, second: number): number {
  return get16(packet, at + first) * PORTS + get16(packet, at + second);
}

export interface StackNetworkConfig {
  /** µs. */
  now: number;
  limits: Partial<StackLimits>;
  /** Send buffer of a socket at first, and the largest, in bytes. */
  sendBufferInitial: number;
  sendBufferMax: number;
  /** Largest receive buffer, in bytes of memory. */
  receiveMemoryMax: number;
  random: () => number;
  secret: Uint8Array;
  /** Takes each packet that leaves, with its time. */
  onPacket: (packet: Uint8Array, now: number) => void;
  /** Something has changed that a call may wait for. */
  onChange: () => void;
}

interface Alarm {
  at: number;
  callback: () => void;
}

export class StackNetwork implements Network {
  readonly stack: Stack;
  readonly memory = new StreamMemory((flow, position, length) => this.#links.get(flow)?.stored(position, length, this.#arriving));
  readonly #config: StackNetworkConfig;
  readonly #device: PacketDevice;
  readonly #links = new Map<number, StackLink>();
  readonly #byPorts = new Map<number, StackLink>();
  readonly #listeners = new Map<number, (link: Link) => void>();
  #alarms: Alarm[] = [];
  readonly #clock: Clock;
  #sent = 0;
  /** Bytes of the packet that is being dealt with. */
  #arriving = 0;

  constructor(config: StackNetworkConfig) {
    this.#config = config;
    this.#clock = new Clock(config.now);
    this.#device = new PacketDevice(this.memory.memory, MTU, (packet) => {
      this.#sent++;
      this.#count(packet, false);
      config.onPacket(packet, this.#clock.now);
    });
    this.stack = new Stack({
      words: new Int32Array(MAX_FLOWS * TCB_WORDS), tcbBase: 0, maxFlows: MAX_FLOWS, payload: this.memory,
      interfaces: [{ device: this.#device, memory: this.memory.memory, addresses: ADDRESSES, gateways: GATEWAYS }],
      random: config.random, secret: config.secret, clock: this.#clock, limits: config.limits,
    });
  }

  // ---- time

  now(): number {
    return this.#clock.now;
  }

  /** µs since the stack began. */
  elapsed(): number {
    return this.#clock.now - this.#config.now;
  }

  after(us: number, callback: () => void): () => void {
    const alarm = { at: this.#clock.now + us, callback };
    this.#alarms.push(alarm);
    this.#alarms.sort((a, b) => a.at - b.at);
    return () => {
      this.#alarms = this.#alarms.filter((other) => other !== alarm);
    };
  }

  /** When something happens by itself next, in µs; Infinity where nothing does. */
  nextAt(): number {
    return Math.min(Math.ceil(this.stack.pollAt()), this.#alarms[0]?.at ?? Infinity);
  }

  /** Moves the clock to `until`, doing in its time what falls due on the way. An earlier time counts as now. */
  advanceTo(until: number): void {
    for (let at = this.nextAt(); at <= until; at = this.nextAt()) this.#step(at);
    this.#clock.now = Math.max(this.#clock.now, until);
    // A call that follows may send at once: the stack has to know the time.
    this.stack.receive(0);
  }

  /** The same, but stops as soon as a packet has left. */
  runUntilPacket(until: number): void {
    const before = this.#sent;
    for (let at = this.nextAt(); at <= until; at = this.nextAt()) {
      this.#step(at);
      if (this.#sent !== before) return;
    }
    this.#clock.now = Math.max(this.#clock.now, until);
  }

  #step(at: number): void {
    this.#clock.now = Math.max(this.#clock.now, at);
    for (let alarm = this.#alarms[0]; alarm !== undefined && alarm.at <= this.#clock.now; alarm = this.#alarms[0]) {
      this.#alarms.shift();
      alarm.callback();
    }
    this.turn();
  }

  /** A packet arrives now, and is dealt with. */
  inject(packet: Uint8Array): void {
    this.#count(packet, true);
    this.#arriving = packet.length;
    this.#device.arrive(packet);
    this.turn();
  }

  /** Sends what may leave now. */
  transmit(): void {
    this.stack.transmit();
  }

  /** Counts a TCP segment for its connection. */
  #count(packet: Uint8Array, incoming: boolean): void {
    const four = packet.length > 0 && packet[0]! >> 4 === 4;
    const at = four ? (packet[0]! & 15) * 4 : IPV6_HEADER;
    if (packet.length < at + TCP_HEADER || packet[four ? 9 : 6] !== PROTOCOL_TCP) return;
    const link = this.#byPorts.get(incoming ? portsOf(packet, at, 2, 0) : portsOf(packet, at, 0, 2));
    link?.counted(incoming, packet.length - at - (packet[at + 12]! >> 4) * 4);
  }

  /** What the stack has to do at this time: packets leave first, then calls that waited for it return. */
  turn(): void {
    const { stack } = this;
    do {
      stack.receive(BUDGET);
      stack.advance();
      for (const link of this.#links.values()) link.offer();
      stack.transmit();
      this.#takeChanged();
      for (const link of this.#links.values()) link.look();
      this.#config.onChange();
      stack.transmit();
    } while (this.#takeChanged());
    for (const link of this.#links.values()) link.look();
  }

  /** Hands on what the flows have to tell. Returns false where it was nothing. */
  #takeChanged(): boolean {
    const { stack } = this;
    let any = false;
    for (let flow = stack.takeChanged(); flow >= 0; flow = stack.takeChanged()) {
      any = true;
      const tcb = stack.tcb.at(flow);
      const { events, listener, error } = tcb;
      tcb.events = 0;
      if ((events & EV_ACCEPTED) !== 0) {
        const link = this.#attach(flow);
        this.#listeners.get(listener)?.(link);
      }
      const link = this.#links.get(flow);
      if ((events & EV_CONNECTED) !== 0) link?.owner.connected();
      if ((events & EV_ERROR) !== 0) link?.owner.failed(error);
      if ((events & EV_CLOSED) !== 0) link?.owner.closed();
      if ((events & EV_FREED) !== 0) {
        if (link !== undefined) this.#forgetPorts(link);
        link?.freed();
        this.#links.delete(flow);
        this.memory.forget(flow);
        stack.recycle(flow);
      }
    }
    return any;
  }

  #attach(flow: number): StackLink {
    const { sendBufferInitial, sendBufferMax, receiveMemoryMax } = this.#config;
    const received = new ReceiveQueue(WINDOW_SHARE * this.stack.tcb.at(flow).rcvBuf, receiveMemoryMax);
    const link = new StackLink(this, flow, new SendQueue(sendBufferInitial, sendBufferMax), received);
    this.#links.set(flow, link);
    const { localPort, remotePort } = this.stack.tcb.at(flow);
    this.#byPorts.set(localPort * PORTS + remotePort, link);
    return link;
  }

  #forgetPorts(link: StackLink): void {
    for (const [ports, other] of this.#byPorts) if (other === link) this.#byPorts.delete(ports);
  }

  // ---- what sockets ask for

  listen(address: Address, port: number, backlog: number, sixOnly: boolean, onConnection: (link: Link) => void): Listener | number {
    const { stack } = this;
    const listener = stack.listen(address, port, backlog, sixOnly);
    if (listener < 0) return listener;
    this.#listeners.set(listener, onConnection);
    return {
      port: stack.listenerPort(listener),
      setBacklog: (connections) => stack.setBacklog(listener, connections),
      apply: (options) => stack.setInherited(listener, options.receiveBuffer, options.maxSegment, options.trafficClass),
      close: () => {
        stack.unlisten(listener);
        this.#listeners.delete(listener);
        this.turn();
      },
    };
  }

  connect(remote: Address, remotePort: number, local: Address | null, localPort: number, options: LinkOptions): Link | number {
    const flow = this.stack.connect(remote, remotePort, local, localPort);
    if (flow < 0) return flow;
    const link = this.#attach(flow);
    link.apply(options, '');
    return link;
  }

  isLocal(address: Address): boolean {
    return this.stack.ip.isLocal(address, 0);
  }
}

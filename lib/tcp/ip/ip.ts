/**
 * IP for all interfaces of one stack: what the connections see of the network.
 *
 * A turn is `receive`, `advance`, any number of packets (`begin`, `append`, `end`), and `flush`. Time is in µs and never
 * goes back.
 */
import type { Device } from '../../nic/device.js';
import { NO_ROUTE } from '../transport.js';
import type { TransportOutput, TransportSink } from '../transport.js';
import { isMapped, parseDotted, setMapped } from '../wire/address.js';
import { Arp } from './arp.js';
import { Icmp } from './icmp.js';
import { Input } from './input.js';
import { Interface } from './interface.js';
import { Output } from './output.js';
import { PathMtu } from './path_mtu.js';
import { Reassembly } from './reassembly.js';
import { NO_INTERFACE, Routes } from './routes.js';
import { IpStats } from './stats.js';

export interface InterfaceConfig {
  device: Device;
  /** Payload memory that spans refer to: the memory that the device was opened with. */
  memory: Uint8Array;
  /** Own address, dotted. One in 127.0.0.0/8 makes this the loopback, which own addresses are reached by. */
  address: string;
  /** Bits of the address that its neighbours share, 0 to 32. */
  prefix: number;
  /** Next hop for what is on no link, dotted, or null. That of the first interface that has one is used. */
  gateway: string | null;
}

export interface IpConfig {
  interfaces: readonly InterfaceConfig[];
  transport: TransportSink;
  /** Returns 32 random bits. */
  random: () => number;
  /** Time to live of what is sent, 1 to 255; 64 where it is left out (RFC 1700). */
  timeToLive?: number;
  /** The time, in µs, for packets that are sent before the first turn; 0 where it is left out. */
  now?: number;
}

/** RFC 1700, "IP time to live parameter". */
const TIME_TO_LIVE = 64;

export class Ip implements TransportOutput {
  readonly stats = new IpStats();
  private readonly interfaces: Interface[] = [];
  private readonly routes = new Routes();
  private readonly pathMtu: PathMtu;
  private readonly output: Output;
  private readonly reassembly = new Reassembly(this.stats);
  private now: number;
  /** The interface that `receive` asks first, so that a busy one does not starve the others. */
  private first = 0;

  /** @throws TypeError or RangeError where an address, prefix or gateway makes no sense. */
  constructor(config: IpConfig) {
    const { routes, stats, interfaces } = this;
    this.now = config.now ?? 0;
    for (const { address, prefix, gateway } of config.interfaces) routes.add(address, prefix, gateway);
    this.pathMtu = new PathMtu(config.random());
    this.output = new Output(interfaces, routes, this.pathMtu, stats, config.random(), config.timeToLive ?? TIME_TO_LIVE);
    const linkMtu = (index: number): number => interfaces[index]!.mtu;
    const icmp = new Icmp(this.output, routes, this.pathMtu, config.transport, stats, linkMtu);
    const input = new Input(routes, icmp, config.transport, this.reassembly, stats);
    for (const [index, { device, memory, address }] of config.interfaces.entries()) {
      const own = parseDotted(address);
      const { medium, mac } = device.capabilities;
      if (medium === 'ethernet' && mac === null) throw new TypeError('an Ethernet device without a link address');
      const arp = medium === 'ethernet'
        ? new Arp(index, device, mac!, own, routes, config.transport, stats, config.random())
        : null;
      interfaces.push(new Interface(index, device, memory, own, arp, input, stats));
    }
  }

  get bytes(): Uint8Array {
    return this.output.bytes;
  }

  /** Tells the stations on every link that this host's addresses are here: once, before the first turn. */
  announce(): void {
    for (const each of this.interfaces) each.arp?.announce();
  }

  /** Takes frames that wait, at most `budget` in all, and hands their segments to the transport. Returns how many it took. */
  receive(now: number, budget: number): number {
    this.now = now;
    const count = this.interfaces.length;
    let taken = 0;
    for (let i = 0; i < count && taken < budget; i++) {
      taken += this.interfaces[(this.first + i) % count]!.receive(now, budget - taken);
    }
    this.first = (this.first + 1) % count;
    return taken;
  }

  /** Does what is due at `now`. */
  advance(now: number): void {
    this.now = now;
    this.reassembly.advance(now);
    for (let i = 0; i < this.interfaces.length; i++) {
      const arp = this.interfaces[i]!.arp;
      if (arp !== null) arp.neighbours.advance(now);
    }
  }

  /** When `advance` next has something to do, in µs; Infinity where it has not. */
  pollAt(): number {
    let at = this.reassembly.pollAt();
    for (let i = 0; i < this.interfaces.length; i++) {
      const arp = this.interfaces[i]!.arp;
      if (arp !== null) at = Math.min(at, arp.neighbours.pollAt());
    }
    return at;
  }

  /** True where `receive` would take a frame now. */
  readable(): boolean {
    for (let i = 0; i < this.interfaces.length; i++) {
      if (this.interfaces[i]!.device.readable()) return true;
    }
    return false;
  }

  /** Sends every packet that was ended. */
  flush(): void {
    for (let i = 0; i < this.interfaces.length; i++) this.interfaces[i]!.device.flush();
  }

  begin(words: Int32Array, localAt: number, remoteAt: number, ecn: number): number {
    if (!isMapped(words, remoteAt) || !isMapped(words, localAt)) {
      this.stats.IpOutNoRoutes++;
      return NO_ROUTE;
    }
    return this.output.open(words[localAt + 3]!, words[remoteAt + 3]!, ecn, this.now);
  }

  append(offset: number, length: number): void {
    this.output.append(offset, length);
  }

  end(length: number, segmentSize: number): void {
    this.output.closeTcp(length, segmentSize);
  }

  mtu(words: Int32Array, remoteAt: number): number {
    const index = this.lookup(words, remoteAt);
    if (index === NO_INTERFACE) return 0;
    return this.pathMtu.get(words[remoteAt + 3]!, this.interfaces[index]!.mtu, this.now);
  }

  linkMtu(words: Int32Array, remoteAt: number): number {
    const index = this.lookup(words, remoteAt);
    return index === NO_INTERFACE ? 0 : this.interfaces[index]!.mtu;
  }

  segmentation(words: Int32Array, remoteAt: number): number {
    const index = this.lookup(words, remoteAt);
    return index === NO_INTERFACE ? 0 : this.interfaces[index]!.segmentation;
  }

  isLocal(words: Int32Array, at: number): boolean {
    return isMapped(words, at) && this.routes.isOwn(words[at + 3]!);
  }

  selectSource(words: Int32Array, remoteAt: number, localAt: number): boolean {
    if (!isMapped(words, remoteAt)) return false;
    const source = this.routes.source(words[remoteAt + 3]!);
    if (source === 0) return false;
    setMapped(words, localAt, source);
    return true;
  }

  confirm(words: Int32Array, remoteAt: number): void {
    const index = this.lookup(words, remoteAt);
    if (index === NO_INTERFACE) return;
    const arp = this.interfaces[index]!.arp;
    if (arp !== null) arp.neighbours.confirm(this.routes.nextHop, this.now);
  }

  suspect(words: Int32Array, remoteAt: number): void {
    const index = this.lookup(words, remoteAt);
    if (index === NO_INTERFACE) return;
    const arp = this.interfaces[index]!.arp;
    if (arp !== null) arp.neighbours.suspect(this.routes.nextHop, this.now);
  }

  private lookup(words: Int32Array, remoteAt: number): number {
    return isMapped(words, remoteAt) ? this.routes.lookup(words[remoteAt + 3]!) : NO_INTERFACE;
  }
}

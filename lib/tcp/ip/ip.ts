/**
 * IP for all interfaces of one stack: what the connections see of the network.
 *
 * A turn is `receive`, `advance`, any number of packets (`begin`, `append`, `end`), and `flush`. Time is in µs and never
 * goes back.
 */
import type { Device, HostNetwork } from '../../nic/device.js';
import { NO_ROUTE } from '../transport.js';
import type { TransportOutput, TransportSink } from '../transport.js';
import { ADDRESS_WORDS, formatDotted, isMapped, parseAddress, parsePrefix, setMapped } from '../wire/address.js';
import { Arp } from './arp.js';
import { HostLink } from './host_link.js';
import { Icmp } from './icmp.js';
import { Icmp6 } from './icmp6.js';
import { Input } from './input.js';
import type { PortsInUse } from './input.js';
import { Input6 } from './input6.js';
import { Interface } from './interface.js';
import type { Links } from './interface.js';
import { Ndp } from './ndp.js';
import { Output } from './output.js';
import { PathMtu } from './path_mtu.js';
import { Reassembly } from './reassembly.js';
import type { ReassemblyEvents } from './reassembly.js';
import { NO_INTERFACE, Routes } from './routes.js';
import { DUPLICATE, Routes6, TENTATIVE } from './routes6.js';
import { IpStats } from './stats.js';

/** RFC 4862 5.1: DupAddrDetectTransmits. */
const DAD_TRANSMITS = 1;

export interface InterfaceConfig {
  device: Device;
  /** Payload memory that spans refer to: the memory that the device was opened with. */
  memory: Uint8Array;
  /**
   * Own addresses, each with the bits that its neighbours share: at most one of IPv4, "192.0.2.1/24", and any number of IPv6,
   * "2001:db8::1/64". One in 127.0.0.0/8, and ::1, make this the loopback, which own addresses are reached by.
   */
  addresses: readonly string[];
  /** Next hop for what is on no link, one for each family at most. That of the first interface that has one is used. */
  gateways?: readonly string[];
  /**
   * The network of a kernel that has the same addresses, on Ethernet: its neighbours and routes hold, and it is its to answer whoever asks
   * for what is no port in use here. There may be several addresses of IPv4 then, and there are no gateways.
   */
  host?: HostNetwork | null;
  /**
   * Solicitations that ask whether another station has an own IPv6 address before it is used (RFC 4862 5.1), on Ethernet; 0:
   * none, it is used at once. Default 1.
   */
  dadTransmits?: number;
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
  /** Wanted where an interface has a `host`. */
  ports?: PortsInUse;
}

/** Where all ports are this host's. */
const ALL_PORTS: PortsInUse = { of: () => 1 };

/** Time to live and hop limit (RFC 1700, "IP time to live parameter"). */
const TIME_TO_LIVE = 64;

export class Ip implements TransportOutput, ReassemblyEvents {
  readonly stats = new IpStats();
  private readonly interfaces: Interface[] = [];
  private readonly routes = new Routes();
  private readonly routes6 = new Routes6();
  private readonly pathMtu: PathMtu;
  private readonly output: Output;
  private readonly reassembly = new Reassembly(this.stats);
  private readonly icmp: Icmp;
  private readonly icmp6: Icmp6;
  private now: number;
  /** The interface that `receive` asks first, so that a busy one does not starve the others. */
  private first = 0;

  /** @throws TypeError or RangeError where an address, prefix or gateway makes no sense. */
  constructor(config: IpConfig) {
    const { routes, routes6, stats, interfaces, reassembly } = this;
    const { transport, random, ports = ALL_PORTS } = config;
    this.now = config.now ?? 0;
    const own = config.interfaces.map((each, index) => this.configure(index, each));
    this.pathMtu = new PathMtu(random());
    this.output = new Output(interfaces, routes, routes6, this.pathMtu, stats, random, config.timeToLive ?? TIME_TO_LIVE);
    const linkMtu = (index: number): number => interfaces[index]!.mtu;
    this.icmp = new Icmp(this.output, routes, this.pathMtu, transport, stats, linkMtu);
    this.icmp6 = new Icmp6(this.output, routes6, this.pathMtu, transport, stats, linkMtu);
    const input = new Input(routes, this.icmp, transport, reassembly, stats, ports);
    const input6 = new Input6(routes6, this.icmp6, transport, reassembly, stats, ports);
    reassembly.events = this;
    for (const [index, each] of config.interfaces.entries()) {
      const links = this.link(index, each, own[index]!, transport, random);
      interfaces.push(new Interface(index, each.device, each.memory, links, input, input6, stats));
    }
  }

  /** Who knows the neighbours of an interface. @param own its IPv4 address, and whether it has any of IPv6. */
  private link(
    index: number, { device, dadTransmits, host = null }: InterfaceConfig, own: { four: number | null; six: boolean }, transport: TransportSink,
    random: () => number,
  ): Links {
    const { routes, routes6, stats } = this;
    const { medium, mac } = device.capabilities;
    if (medium !== 'ethernet') return { arp: null, ndp: null, host: null };
    if (mac === null) throw new TypeError('an Ethernet device without a link address');
    if (host !== null) return { arp: null, ndp: null, host: new HostLink(index, host, device, mac, routes, routes6, transport, stats, random) };
    if (own.six) routes6.addLinkLocal(index, mac);
    return {
      arp: own.four === null ? null : new Arp(index, device, mac, own.four, routes, transport, stats, random()),
      ndp: own.six ? new Ndp(index, device, mac, routes6, transport, stats, random, dadTransmits ?? DAD_TRANSMITS) : null,
      host: null,
    };
  }

  /** Enters the addresses and routers of an interface. Returns its IPv4 address, and whether it has any of IPv6. */
  private configure(index: number, { addresses, gateways = [], host = null }: InterfaceConfig): { four: number | null; six: boolean } {
    const words = new Int32Array(ADDRESS_WORDS);
    let four: number | null = null;
    let six = false;
    const isFour = (text: string): boolean => parseAddress(text, words, 0) && isMapped(words, 0);
    for (const address of addresses) {
      const prefix = parsePrefix(address, words, 0);
      if (!isMapped(words, 0)) {
        this.routes6.add(index, words, prefix);
        six = true;
        continue;
      }
      if (four !== null && host === null) throw new RangeError('an interface has one IPv4 address at most');
      four ??= words[3]!;
      this.routes.add(index, formatDotted(words[3]!), prefix, gateways.find(isFour) ?? null);
    }
    for (const gateway of gateways) if (!isFour(gateway)) this.routes6.setRouter(index, gateway);
    return { four, six };
  }

  get bytes(): Uint8Array {
    return this.output.bytes;
  }

  /** Tells the stations on every link that this host's addresses are here: once, before the first turn. */
  announce(): void {
    for (const each of this.interfaces) {
      each.arp?.announce(this.now);
      each.ndp?.start(this.now);
    }
  }

  /** True while an own IPv6 address is not in use yet because another station may have it (RFC 4862 5.4). */
  get settling(): boolean {
    return this.routes6.addresses.some(({ state }) => state === TENTATIVE);
  }

  /** Own IPv6 addresses that another station has, and that are not used therefore. */
  get duplicates(): string[] {
    return this.routes6.addresses.filter(({ state }) => state === DUPLICATE).map(({ text }) => text);
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
      const { resolution, resolution6 } = this.interfaces[i]!;
      if (resolution !== null) resolution.advance(now);
      if (resolution6 !== null) resolution6.advance(now);
    }
  }

  /** When `advance` next has something to do, in µs; Infinity where it has not. */
  pollAt(): number {
    let at = this.reassembly.pollAt();
    for (let i = 0; i < this.interfaces.length; i++) {
      const { host, resolution, resolution6 } = this.interfaces[i]!;
      if (host !== null) at = Math.min(at, host.pollAt());
      if (resolution !== null) at = Math.min(at, resolution.pollAt());
      if (resolution6 !== null) at = Math.min(at, resolution6.pollAt());
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
    const four = isMapped(words, remoteAt);
    if (four !== isMapped(words, localAt)) {
      this.stats.IpOutNoRoutes++;
      return NO_ROUTE;
    }
    if (four) return this.output.open(words[localAt + 3]!, words[remoteAt + 3]!, ecn, this.now);
    return this.output.open6(words, localAt, remoteAt, ecn, this.now);
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
    return this.pathMtu.get(words, remoteAt, this.interfaces[index]!.mtu, this.now);
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
    return isMapped(words, at) ? this.routes.isOwn(words[at + 3]!) : this.routes6.isOwn(words, at);
  }

  selectSource(words: Int32Array, remoteAt: number, localAt: number): boolean {
    if (!isMapped(words, remoteAt)) return this.routes6.source(words, remoteAt, words, localAt);
    const source = this.routes.source(words[remoteAt + 3]!);
    if (source === 0) return false;
    setMapped(words, localAt, source);
    return true;
  }

  confirm(words: Int32Array, remoteAt: number): void {
    if (isMapped(words, remoteAt)) {
      const index = this.routes.lookup(words[remoteAt + 3]!);
      const resolution = index === NO_INTERFACE ? null : this.interfaces[index]!.resolution;
      if (resolution !== null) resolution.resolver.neighbours.confirm(this.routes.nextHop, 0, this.now);
      return;
    }
    const index = this.routes6.lookup(words, remoteAt);
    const resolution = index === NO_INTERFACE ? null : this.interfaces[index]!.resolution6;
    if (resolution !== null) resolution.resolver.neighbours.confirm(this.routes6.nextHop, 0, this.now);
  }

  timedOut(slot: number, six: boolean, now: number): void {
    // Fragments come by no loopback: where a kernel has the addresses as well, this one was its.
    if (this.interfaces.some(({ host }) => host !== null)) return;
    if (six) this.icmp6.timeExceeded(this.reassembly, slot, now);
    else this.icmp.timeExceeded(this.reassembly, slot, now);
  }

  suspect(words: Int32Array, remoteAt: number): void {
    if (isMapped(words, remoteAt)) {
      const index = this.routes.lookup(words[remoteAt + 3]!);
      if (index !== NO_INTERFACE) this.interfaces[index]!.resolution?.resolver.neighbours.suspect(this.routes.nextHop, 0, this.now);
      return;
    }
    const index = this.routes6.lookup(words, remoteAt);
    if (index !== NO_INTERFACE) this.interfaces[index]!.resolution6?.resolver.neighbours.suspect(this.routes6.nextHop, 0, this.now);
  }

  private lookup(words: Int32Array, remoteAt: number): number {
    return isMapped(words, remoteAt) ? this.routes.lookup(words[remoteAt + 3]!) : this.routes6.lookup(words, remoteAt);
  }
}

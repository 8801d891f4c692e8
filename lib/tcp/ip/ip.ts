/**
 * IP for all interfaces of one stack: what the connections see of the network.
 *
 * A turn is `receive`, `advance`, any number of packets (`begin`, `append`, `end`), and `flush`. Time is in µs and never
 * goes back.
 */
import type { Device } from '../../nic/device.js';
import type { Clock, Earliest } from '../clock.js';
import { NO_ROUTE } from '../transport.js';
import type { TransportOutput, TransportSink } from '../transport.js';
import { formatDotted, isLinkLocal6, isMapped, setMapped } from '../wire/address.js';
import { put32, putWords } from '../wire/bytes.js';
import { IPV4_MAX } from '../wire/ipv4.js';
import { Arp } from './arp.js';
import { HostLink } from './host_link.js';
import { Icmp } from './icmp.js';
import { Icmp6 } from './icmp6.js';
import { Input } from './input.js';
import type { PortsInUse } from './input.js';
import { Input6 } from './input6.js';
import { Interface } from './interface.js';
import type { Links } from './interface.js';
import { configure, originOf } from './interface_config.js';
import type { Configured, InterfaceConfig } from './interface_config.js';
import { InterfaceIdentifiers } from './interface_identifier.js';
import { Ndp } from './ndp.js';
import { Output } from './output.js';
import { OwnAddress } from './own_address.js';
import type { Conflict } from './own_address.js';
import { PathMtu } from './path_mtu.js';
import { Reassembly } from './reassembly.js';
import type { ReassemblyEvents } from './reassembly.js';
import { RouterDiscovery } from './router_discovery.js';
import { NO_INTERFACE, Routes } from './routes.js';
import { DUPLICATE, Routes6, TENTATIVE } from './routes6.js';
import { IpStats } from './stats.js';

/** RFC 4862 5.1: DupAddrDetectTransmits. */
const DAD_TRANSMITS = 1;

/** What is to come from the network, and has not yet. */
export interface Awaited {
  readonly from: 'dhcp' | 'slaac';
  /** Somebody has answered, if not with what was wanted. */
  readonly answered: boolean;
}

export interface IpConfig {
  interfaces: readonly InterfaceConfig[];
  transport: TransportSink;
  /** Returns 32 random bits. */
  random: () => number;
  /** Time to live of what is sent, 1 to 255; 64 where it is left out (RFC 1700). */
  timeToLive?: number;
  /** The time, in µs, for packets that are sent before the first turn; 0 where it is left out. */
  clock: Clock;
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
  /** Counts up when the addresses change. */
  revision = 0;
  private readonly clock: Clock;
  /** The interface that `receive` asks first, so that a busy one does not starve the others. */
  private first = 0;

  /** @throws TypeError or RangeError where an address, prefix or gateway makes no sense. */
  constructor(config: IpConfig) {
    const { routes, routes6, stats, interfaces, reassembly } = this;
    const { transport, random, ports = ALL_PORTS } = config;
    const { clock } = config;
    this.clock = clock;
    const own = config.interfaces.map((each, index) => configure(index, each, routes, routes6));
    this.pathMtu = new PathMtu(random(), clock);
    this.output = new Output(interfaces, routes, routes6, this.pathMtu, stats, random, config.timeToLive ?? TIME_TO_LIVE);
    this.icmp = new Icmp(this.output, routes, this.pathMtu, transport, stats, (index) => interfaces[index]!.mtu4);
    this.icmp6 = new Icmp6(this.output, routes6, this.pathMtu, transport, stats, (index) => interfaces[index]!.mtu6);
    const input = new Input(routes, this.icmp, transport, reassembly, stats, ports, clock);
    const input6 = new Input6(routes6, this.icmp6, transport, reassembly, stats, ports, clock);
    reassembly.events = this;
    for (const [index, each] of config.interfaces.entries()) {
      const links = this.link(index, each, own[index]!, transport, random);
      interfaces.push(new Interface(index, each.device, each.memory, links, each.answers ?? true, input, input6, stats, clock));
    }
  }

  /** Who knows the neighbours of an interface. @param own its addresses. */
  private link(index: number, config: InterfaceConfig, own: Configured, transport: TransportSink, random: () => number): Links {
    const { device, host = null, slaac = null, dhcp = null } = config;
    const { routes, routes6, stats } = this;
    const { medium, mac } = device.capabilities;
    if (medium !== 'ethernet') {
      if (slaac !== null || dhcp !== null) throw new TypeError('addresses come from the network where there is Ethernet');
      return { arp: null, ndp: null, host: null, own: null };
    }
    if (mac === null) throw new TypeError('an Ethernet device without a link address');
    if (host !== null) {
      return { arp: null, ndp: null, host: new HostLink(index, host, device, mac, routes, routes6, transport, stats, random, this.clock), own: null };
    }
    if (own.six && slaac === null) routes6.addLinkLocal(index, mac);
    const origin = originOf(config, own);
    const arp = origin === null ? null
      : new Arp(index, device, mac, origin.kind === 'configured' && !origin.probed ? origin.address : 0, routes, transport, stats, random(), this.clock);
    const transmits = config.dadTransmits ?? DAD_TRANSMITS;
    const ndp = own.six || slaac !== null
      ? new Ndp(index, device, mac, routes6, transport, stats, random, transmits, this.clock, () => this.changed(index)) : null;
    if (ndp !== null && slaac !== null) this.follow(index, ndp, device, new InterfaceIdentifiers(slaac.secret, mac), transport, random);
    return {
      arp, ndp, host: null,
      own: arp === null || origin === null ? null
        : new OwnAddress(index, device, mac, arp, routes, transport, stats, origin, random, { changed: (mtu) => this.changed4(index, mtu) }),
    };
  }

  private follow(
    index: number, ndp: Ndp, device: Device, identifiers: InterfaceIdentifiers, transport: TransportSink, random: () => number,
  ): void {
    const { interfaces } = this;
    ndp.follow(new RouterDiscovery(index, this.routes6, ndp, identifiers, transport, Math.min(device.capabilities.mtu, IPV4_MAX), random, {
      changed: () => this.changed(index),
      mtu: (bytes) => { interfaces[index]!.mtu6 = bytes; },
      hopLimit: (limit) => { interfaces[index]!.hopLimit = limit; },
    }));
  }

  /** The IPv4 address of an interface is another one, or what goes with it. @param mtu 0: the link's. */
  private changed4(index: number, mtu: number): void {
    const own = this.interfaces[index]!;
    own.mtu4 = mtu === 0 ? own.mtu : Math.min(mtu, own.mtu);
    this.changed(index);
  }

  private changed(index: number): void {
    const { device, own, ndp } = this.interfaces[index]!;
    this.revision++;
    // Those that are configured the device knows.
    if (own?.leased !== true && (ndp === null || ndp.routers === null)) return;
    const addresses = this.routes6.addresses.filter((address) => address.index === index).map(({ words }) => {
      const bytes = new Uint8Array(16);
      putWords(bytes, 0, words, 0);
      return bytes;
    });
    if (own !== null && own.address !== 0) {
      const bytes = new Uint8Array(4);
      put32(bytes, 0, own.address);
      addresses.push(bytes);
    }
    device.setAddresses?.(addresses);
  }

  get bytes(): Uint8Array {
    return this.output.bytes;
  }

  /** Tells the stations on every link that this host's addresses are here: once, before the first turn. */
  announce(): void {
    for (const { answers, own, ndp } of this.interfaces) {
      if (!answers) continue;
      own?.start(this.clock.now);
      ndp?.start(this.clock.now);
    }
  }

  /** The interfaces are closed in good order: what was leased is given back, with the next flush. */
  leave(): void {
    for (const { own } of this.interfaces) own?.stop();
  }

  /** True while an own address is not in use yet because another station may have it, or because it is to come from the network. */
  get settling(): boolean {
    return this.routes6.addresses.some(({ state }) => state === TENTATIVE)
      || this.interfaces.some(({ own, ndp }) => own?.settling === true || ndp?.routers?.settling === true);
  }

  /** What is to come from the network and is not about to: nobody has given it yet. */
  get awaited(): Awaited[] {
    const awaited: Awaited[] = [];
    for (const { own, ndp } of this.interfaces) {
      if (own !== null && own.leased && own.settling && !own.granted) awaited.push({ from: 'dhcp', answered: own.offered });
      const routers = ndp?.routers ?? null;
      if (routers !== null && routers.settling && !routers.forming) awaited.push({ from: 'slaac', answered: routers.answered });
    }
    return awaited;
  }

  /** Where probing for an IPv4 address has last found another station; null where it has not, or another address is in use since. */
  get conflict(): Conflict | null {
    return this.interfaces.find(({ own }) => own !== null && own.conflict !== null)?.own?.conflict ?? null;
  }

  /** The addresses in use that came from the network, by interface, with the lengths of their prefixes. */
  leased(index: number): string | null {
    const own = this.interfaces[index]!.own;
    return own === null || !own.leased || own.address === 0 ? null : `${formatDotted(own.address)}/${own.prefix}`;
  }

  formed(index: number): string[] {
    return this.routes6.addresses.filter((address) => address.index === index && address.autoconfigured && address.inUse && !isLinkLocal6(address.words, 0))
      .map(({ textWithPrefix }) => textWithPrefix);
  }

  /** Own IPv6 addresses that another station has, and that are not used therefore. */
  get duplicates(): string[] {
    return this.routes6.addresses.filter(({ state }) => state === DUPLICATE).map(({ text }) => text);
  }

  /** Takes frames that wait, at most `budget` in all, and hands their segments to the transport. Returns how many it took. */
  receive(budget: number): number {
    const count = this.interfaces.length;
    let taken = 0;
    for (let i = 0; i < count && taken < budget; i++) {
      taken += this.interfaces[(this.first + i) % count]!.receive(budget - taken);
    }
    this.first = (this.first + 1) % count;
    return taken;
  }

  /** Learns what the kernels beside this host have for routes at this moment. */
  followHosts(): void {
    for (let i = 0; i < this.interfaces.length; i++) {
      const { host } = this.interfaces[i]!;
      if (host !== null) host.poll(true);
    }
  }

  /** Does what is due. */
  advance(): void {
    const { now } = this.clock;
    this.reassembly.advance(now);
    for (let i = 0; i < this.interfaces.length; i++) {
      const { own, resolution, resolution6 } = this.interfaces[i]!;
      if (own !== null) own.advance(now);
      if (resolution !== null) resolution.advance(now);
      if (resolution6 !== null) resolution6.advance(now);
    }
  }

  /** When `advance` next has something to do. */
  dueBy(next: Earliest): void {
    this.reassembly.dueBy(next);
    for (let i = 0; i < this.interfaces.length; i++) {
      const { host, own, resolution, resolution6 } = this.interfaces[i]!;
      if (own !== null) own.dueBy(next);
      if (host !== null) host.dueBy(next);
      if (resolution !== null) resolution.dueBy(next);
      if (resolution6 !== null) resolution6.dueBy(next);
    }
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
    if (four) return this.output.open(words[localAt + 3]!, words[remoteAt + 3]!, ecn);
    return this.output.open6(words, localAt, remoteAt, ecn);
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
    return this.pathMtu.get(words, remoteAt, this.mtuOf(index, words, remoteAt));
  }

  linkMtu(words: Int32Array, remoteAt: number): number {
    const index = this.lookup(words, remoteAt);
    return index === NO_INTERFACE ? 0 : this.mtuOf(index, words, remoteAt);
  }

  private mtuOf(index: number, words: Int32Array, at: number): number {
    const to = this.interfaces[index]!;
    return isMapped(words, at) ? to.mtu4 : to.mtu6;
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
      if (resolution !== null) resolution.resolver.neighbours.confirm(this.routes.nextHop, 0);
      return;
    }
    const index = this.routes6.lookup(words, remoteAt);
    const resolution = index === NO_INTERFACE ? null : this.interfaces[index]!.resolution6;
    if (resolution !== null) resolution.resolver.neighbours.confirm(this.routes6.nextHop, 0);
  }

  timedOut(slot: number, six: boolean, now: number): void {
    // Fragments come by no loopback: where another has the addresses as well, it is its to say so.
    if (this.interfaces.some(({ answers }) => !answers)) return;
    if (six) this.icmp6.timeExceeded(this.reassembly, slot, now);
    else this.icmp.timeExceeded(this.reassembly, slot, now);
  }

  suspect(words: Int32Array, remoteAt: number): void {
    if (isMapped(words, remoteAt)) {
      const index = this.routes.lookup(words[remoteAt + 3]!);
      if (index !== NO_INTERFACE) this.interfaces[index]!.resolution?.resolver.neighbours.suspect(this.routes.nextHop, 0);
      return;
    }
    const index = this.routes6.lookup(words, remoteAt);
    if (index !== NO_INTERFACE) this.interfaces[index]!.resolution6?.resolver.neighbours.suspect(this.routes6.nextHop, 0);
  }

  private lookup(words: Int32Array, remoteAt: number): number {
    return isMapped(words, remoteAt) ? this.routes.lookup(words[remoteAt + 3]!) : this.routes6.lookup(words, remoteAt);
  }
}

/**
 * Packets to send: a route, a link header, room in the device (or, while the neighbour is not known, among the packets
 * that wait), and at the end the IP header and the checksums.
 *
 * One packet at a time: `open` or, for IPv6, `open6`; `append`; then `closeTcp` or `close`.
 */
import { MAX_SPANS } from '../../nic/device.js';
import { hashConnection } from '../siphash.js';
import { NO_ROOM, NO_ROUTE } from '../transport.js';
import { ADDRESS_WORDS, copyAddress, setMapped } from '../wire/address.js';
import { copyBytes, put16 } from '../wire/bytes.js';
import { add, addSpan, complement, pseudoHeader4, pseudoHeader6 } from '../wire/checksum.js';
import { MAC_LENGTH, TYPE_IPV4, TYPE_IPV6, emitEthernet } from '../wire/ethernet.js';
import { DONT_FRAGMENT, IPV4_HEADER, IPV4_MAX, PROTOCOL_TCP, emitIPv4 } from '../wire/ipv4.js';
import { IPV6_HEADER, emitIPv6 } from '../wire/ipv6.js';
import { TCP_CHECKSUM, tcpDestination, tcpSource } from '../wire/tcp.js';
import type { Interface } from './interface.js';
import type { PathMtu } from './path_mtu.js';
import type { Resolver } from './resolver.js';
import { NO_INTERFACE } from './routes.js';
import { room } from './room.js';
import type { Routes } from './routes.js';
import type { Routes6 } from './routes6.js';
import type { IpStats } from './stats.js';

const FLOW_LABEL = 0xfffff;
/** `entry` of a packet that goes straight to the device. */
const NOT_HELD = -1;

export class Output {
  /** The memory that `open` returned an offset in. */
  bytes: Uint8Array = new Uint8Array(0);
  private readonly interfaces: readonly Interface[];
  private readonly routes: Routes;
  private readonly routes6: Routes6;
  private readonly pathMtu: PathMtu;
  private readonly stats: IpStats;
  private readonly timeToLive: number;
  /** Differs between packets that a router may cut (RFC 6864 4.1); 0 in those that it may not. */
  private identification: number;
  /** Keys of flow labels. */
  private readonly labelKey0: number;
  private readonly labelKey1: number;

  /** The packet that is open. */
  private to: Interface | null = null;
  /** It is IPv6, between `addresses`. */
  private six = false;
  /** Bytes of its IP header. */
  private header = IPV4_HEADER;
  /** Source and destination of an IPv6 packet, four words each. */
  private readonly addresses = new Int32Array(2 * ADDRESS_WORDS);
  /** The neighbour that waits for a link address, while the packet is held. */
  private resolver: Resolver | null = null;
  private entry = NOT_HELD;
  private ipAt = 0;
  private source = 0;
  private destination = 0;
  private tos = 0;
  private spanned = 0;
  private spanCount = 0;
  /** Offset and length of each span. */
  private readonly spans = new Int32Array(2 * MAX_SPANS);

  /** @param interfaces may be filled later. @param random returns 32 random bits. @param timeToLive also the hop limit. */
  constructor(
    interfaces: readonly Interface[], routes: Routes, routes6: Routes6, pathMtu: PathMtu, stats: IpStats, random: () => number,
    timeToLive: number,
  ) {
    this.timeToLive = timeToLive;
    this.interfaces = interfaces;
    this.routes = routes;
    this.routes6 = routes6;
    this.pathMtu = pathMtu;
    this.stats = stats;
    this.identification = random() & 0xffff;
    this.labelKey0 = random() | 0;
    this.labelKey1 = random() | 0;
  }

  /**
   * Begins an IPv4 packet.
   *
   * @param tos DSCP and ECN.
   * @returns offset in `bytes` for what follows the header, NO_ROOM or NO_ROUTE.
   */
  open(source: number, destination: number, tos: number): number {
    const index = this.routes.lookup(destination);
    if (index === NO_INTERFACE) {
      this.stats.IpOutNoRoutes++;
      return NO_ROUTE;
    }
    const to = this.interfaces[index]!;
    const { resolution } = to;
    const at = resolution === null ? this.direct(to) : this.resolve(to, resolution.resolver, this.routes.nextHop, TYPE_IPV4);
    if (at < 0) {
      this.stats.IpOutDiscards++;
      return NO_ROOM;
    }
    this.source = source;
    this.destination = destination;
    return this.opened(to, at, false, IPV4_HEADER, tos);
  }

  /** The same for IPv6. @param words both addresses. */
  open6(words: Int32Array, sourceAt: number, destinationAt: number, trafficClass: number): number {
    const index = this.routes6.lookup(words, destinationAt);
    if (index === NO_INTERFACE) {
      this.stats.Ip6OutNoRoutes++;
      return NO_ROUTE;
    }
    const to = this.interfaces[index]!;
    const { resolution6 } = to;
    const at = resolution6 === null ? this.direct(to) : this.resolve(to, resolution6.resolver, this.routes6.nextHop, TYPE_IPV6);
    if (at < 0) {
      this.stats.Ip6OutDiscards++;
      return NO_ROOM;
    }
    copyAddress(words, sourceAt, this.addresses, 0);
    copyAddress(words, destinationAt, this.addresses, ADDRESS_WORDS);
    return this.opened(to, at, true, IPV6_HEADER, trafficClass);
  }

  private opened(to: Interface, at: number, six: boolean, header: number, tos: number): number {
    this.to = to;
    this.ipAt = at;
    this.six = six;
    this.header = header;
    this.tos = tos;
    this.spanned = 0;
    this.spanCount = 0;
    return at + header;
  }

  /** Appends a span of the interface's payload memory. */
  append(offset: number, length: number): void {
    const to = this.to!;
    const slot = 2 * this.spanCount;
    if (slot >= this.spans.length) throw new RangeError(`a packet has at most ${MAX_SPANS} spans`);
    this.spans[slot] = offset;
    this.spans[slot + 1] = length;
    this.spanCount++;
    this.spanned += length;
    if (this.entry === NOT_HELD) to.device.append(offset, length);
  }

  /** Ends a TCP segment: see `TransportOutput.end`. It is never cut by a router, unless a path has a tiny MTU. */
  closeTcp(length: number, segmentSize: number): void {
    const to = this.to!;
    const tcp = this.ipAt + this.header;
    const total = length + this.spanned;
    const pseudo = this.six
      ? pseudoHeader6(this.addresses, 0, ADDRESS_WORDS, PROTOCOL_TCP, total)
      : pseudoHeader4(this.source, this.destination, PROTOCOL_TCP, total);
    let checksumStart = 0;
    if (to.txChecksum) {
      put16(this.bytes, tcp + TCP_CHECKSUM, pseudo);
      checksumStart = to.linkHeader + this.header;
    } else {
      put16(this.bytes, tcp + TCP_CHECKSUM, 0);
      put16(this.bytes, tcp + TCP_CHECKSUM, complement(this.sum(to, pseudo, tcp, length)));
    }
    if (this.six) this.emit6(length, PROTOCOL_TCP, this.flowLabel(tcp));
    else this.emit4(length, PROTOCOL_TCP, this.pathMtu.hasSmall && this.mayFragment());
    this.finish(to, length, checksumStart, segmentSize);
  }

  /** Ends a packet of another protocol, whose checksum is complete; `length` as in `closeTcp`. */
  close(protocol: number, length: number): void {
    if (this.six) this.emit6(length, protocol, 0);
    else this.emit4(length, protocol, true);
    this.finish(this.to!, length, 0, 0);
  }

  private direct(to: Interface): number {
    const at = room(to.device);
    this.entry = NOT_HELD;
    this.bytes = to.device.tx;
    return at;
  }

  private resolve(to: Interface, resolver: Resolver, nextHop: Int32Array, type: number): number {
    const neighbours = resolver.neighbours;
    const entry = neighbours.use(nextHop, 0);
    if (!neighbours.isUsable(entry)) {
      this.entry = entry;
      this.resolver = resolver;
      this.bytes = resolver.pending.bytes;
      return resolver.pending.scratch;
    }
    const at = this.direct(to);
    if (at < 0) return at;
    emitEthernet(this.bytes, at, neighbours.macs, entry * MAC_LENGTH, to.mac, 0, type);
    return at + to.linkHeader;
  }

  /** Folded sum of the TCP header and all payload, wherever it lies. */
  private sum(to: Interface, pseudo: number, tcp: number, length: number): number {
    let sum = add(pseudo, this.bytes, tcp, length);
    let place = length;
    for (let i = 0; i < 2 * this.spanCount; i += 2) {
      sum = addSpan(sum, to.memory, this.spans[i]!, this.spans[i + 1]!, place);
      place += this.spans[i + 1]!;
    }
    return sum;
  }

  private mayFragment(): boolean {
    setMapped(this.addresses, ADDRESS_WORDS, this.destination);
    return this.pathMtu.mayFragment(this.addresses, ADDRESS_WORDS);
  }

  /** One for each flow, that nobody can foresee (RFC 6437 3). */
  private flowLabel(tcp: number): number {
    return FLOW_LABEL & hashConnection(
      this.labelKey0, this.labelKey1, this.addresses, 0, ADDRESS_WORDS, tcpSource(this.bytes, tcp), tcpDestination(this.bytes, tcp),
    );
  }

  private emit4(length: number, protocol: number, mayFragment: boolean): void {
    const total = IPV4_HEADER + length + this.spanned;
    if (total > IPV4_MAX) throw new RangeError(`a packet of ${total} bytes`);
    let identification = 0;
    if (mayFragment) identification = this.identification = (this.identification + 1) & 0xffff;
    emitIPv4(
      this.bytes, this.ipAt, this.tos, total, identification, mayFragment ? 0 : DONT_FRAGMENT, this.timeToLive, protocol,
      this.source, this.destination,
    );
    this.stats.IpOutRequests++;
    this.stats.IpExtOutOctets += total;
  }

  private emit6(length: number, protocol: number, flowLabel: number): void {
    const total = IPV6_HEADER + length + this.spanned;
    if (total > IPV4_MAX) throw new RangeError(`a packet of ${total} bytes`);
    const hopLimit = Math.max(this.timeToLive, this.to!.hopLimit);
    emitIPv6(this.bytes, this.ipAt, this.tos, flowLabel, total - IPV6_HEADER, protocol, hopLimit, this.addresses, 0, ADDRESS_WORDS);
    this.stats.Ip6OutRequests++;
    this.stats.Ip6OutOctets += total;
  }

  private finish(to: Interface, length: number, checksumStart: number, segmentSize: number): void {
    this.to = null;
    const written = this.header + length;
    if (this.entry === NOT_HELD) to.device.commit(to.linkHeader + written, checksumStart, segmentSize);
    else this.hold(to, this.resolver!, written, checksumStart, segmentSize);
  }

  /** Queues the packet for its neighbour, with a copy of its payload: the spans are the sender's again after the turn. */
  private hold(to: Interface, resolver: Resolver, written: number, checksumStart: number, segmentSize: number): void {
    let at = this.ipAt + written;
    for (let i = 0; i < 2 * this.spanCount; i += 2) {
      copyBytes(to.memory, this.spans[i]!, this.bytes, at, this.spans[i + 1]!);
      at += this.spans[i + 1]!;
    }
    if (resolver.hold(this.entry, this.ipAt, at - this.ipAt, checksumStart, segmentSize)) return;
    if (this.six) this.stats.Ip6OutDiscards++;
    else this.stats.IpOutDiscards++;
  }
}

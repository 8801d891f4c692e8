/**
 * Packets to send: a route, a link header, room in the device (or, while the neighbour is not known, among the packets
 * that wait), and at the end the IPv4 header and the checksums.
 *
 * One packet at a time: `open`, `append`, then `closeTcp` or `close`.
 */
import { MAX_SPANS } from '../../nic/device.js';
import { NO_ROOM, NO_ROUTE } from '../transport.js';
import { copyBytes, put16 } from '../wire/bytes.js';
import { add, addSpan, complement, pseudoHeader4 } from '../wire/checksum.js';
import { MAC_LENGTH, TYPE_IPV4, emitEthernet } from '../wire/ethernet.js';
import { DONT_FRAGMENT, IPV4_HEADER, IPV4_MAX, PROTOCOL_TCP, emitIPv4 } from '../wire/ipv4.js';
import { TCP_CHECKSUM } from '../wire/tcp.js';
import type { Arp } from './arp.js';
import type { Interface } from './interface.js';
import type { PathMtu } from './path_mtu.js';
import { NO_INTERFACE } from './routes.js';
import { room } from './room.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** `entry` of a packet that goes straight to the device. */
const NOT_HELD = -1;

export class Output {
  /** The memory that `open` returned an offset in. */
  bytes: Uint8Array = new Uint8Array(0);
  private readonly interfaces: readonly Interface[];
  private readonly routes: Routes;
  private readonly pathMtu: PathMtu;
  private readonly stats: IpStats;
  private readonly timeToLive: number;
  /** Differs between packets that a router may cut (RFC 6864 4.1); 0 in those that it may not. */
  private identification: number;

  /** The packet that is open. */
  private to: Interface | null = null;
  private entry = NOT_HELD;
  private ipAt = 0;
  private source = 0;
  private destination = 0;
  private tos = 0;
  private now = 0;
  private spanned = 0;
  private spanCount = 0;
  /** Offset and length of each span. */
  private readonly spans = new Int32Array(2 * MAX_SPANS);

  /** @param interfaces may be filled later. @param identification where the counter begins. */
  constructor(
    interfaces: readonly Interface[], routes: Routes, pathMtu: PathMtu, stats: IpStats, identification: number,
    timeToLive: number,
  ) {
    this.timeToLive = timeToLive;
    this.interfaces = interfaces;
    this.routes = routes;
    this.pathMtu = pathMtu;
    this.stats = stats;
    this.identification = identification & 0xffff;
  }

  /**
   * Begins a packet.
   *
   * @param tos DSCP and ECN. @param now in µs.
   * @returns offset in `bytes` for what follows the IPv4 header, NO_ROOM or NO_ROUTE.
   */
  open(source: number, destination: number, tos: number, now: number): number {
    const index = this.routes.lookup(destination);
    if (index === NO_INTERFACE) {
      this.stats.IpOutNoRoutes++;
      return NO_ROUTE;
    }
    const to = this.interfaces[index]!;
    const at = to.arp === null ? this.direct(to) : this.resolve(to, to.arp, this.routes.nextHop, now);
    if (at < 0) {
      this.stats.IpOutDiscards++;
      return NO_ROOM;
    }
    this.to = to;
    this.ipAt = at;
    this.source = source;
    this.destination = destination;
    this.tos = tos;
    this.now = now;
    this.spanned = 0;
    this.spanCount = 0;
    return at + IPV4_HEADER;
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
    const tcp = this.ipAt + IPV4_HEADER;
    const total = length + this.spanned;
    const pseudo = pseudoHeader4(this.source, this.destination, PROTOCOL_TCP, total);
    let checksumStart = 0;
    if (to.txChecksum) {
      put16(this.bytes, tcp + TCP_CHECKSUM, pseudo);
      checksumStart = to.linkHeader + IPV4_HEADER;
    } else {
      put16(this.bytes, tcp + TCP_CHECKSUM, 0);
      put16(this.bytes, tcp + TCP_CHECKSUM, complement(this.sum(to, pseudo, tcp, length)));
    }
    const mayFragment = this.pathMtu.mayFragment(this.destination, this.now);
    this.finish(to, PROTOCOL_TCP, length, mayFragment, checksumStart, segmentSize);
  }

  /** Ends a packet of another protocol, whose checksum is complete; `length` as in `closeTcp`. */
  close(protocol: number, length: number): void {
    this.finish(this.to!, protocol, length, true, 0, 0);
  }

  private direct(to: Interface): number {
    const at = room(to.device);
    this.entry = NOT_HELD;
    this.bytes = to.device.tx;
    return at;
  }

  private resolve(to: Interface, arp: Arp, nextHop: number, now: number): number {
    const entry = arp.neighbours.use(nextHop, now);
    if (!arp.neighbours.isUsable(entry)) {
      this.entry = entry;
      this.bytes = arp.pending.bytes;
      return arp.pending.scratch;
    }
    const at = this.direct(to);
    if (at < 0) return at;
    emitEthernet(this.bytes, at, arp.neighbours.macs, entry * MAC_LENGTH, to.mac, 0, TYPE_IPV4);
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

  private finish(
    to: Interface, protocol: number, length: number, mayFragment: boolean, checksumStart: number, segmentSize: number,
  ): void {
    const total = IPV4_HEADER + length + this.spanned;
    if (total > IPV4_MAX) throw new RangeError(`a packet of ${total} bytes`);
    let identification = 0;
    if (mayFragment) identification = this.identification = (this.identification + 1) & 0xffff;
    emitIPv4(
      this.bytes, this.ipAt, this.tos, total, identification, mayFragment ? 0 : DONT_FRAGMENT, this.timeToLive, protocol,
      this.source, this.destination,
    );
    this.to = null;
    this.stats.IpOutRequests++;
    this.stats.IpExtOutOctets += total;
    if (this.entry === NOT_HELD) to.device.commit(to.linkHeader + IPV4_HEADER + length, checksumStart, segmentSize);
    else this.hold(to, IPV4_HEADER + length, total, checksumStart, segmentSize);
  }

  /** Queues the packet for its neighbour, with a copy of its payload: the spans are the sender's again after the turn. */
  private hold(to: Interface, written: number, total: number, checksumStart: number, segmentSize: number): void {
    let at = this.ipAt + written;
    for (let i = 0; i < 2 * this.spanCount; i += 2) {
      copyBytes(to.memory, this.spans[i]!, this.bytes, at, this.spans[i + 1]!);
      at += this.spans[i + 1]!;
    }
    if (!to.arp!.hold(this.entry, this.ipAt, total, checksumStart, segmentSize)) this.stats.IpOutDiscards++;
  }
}

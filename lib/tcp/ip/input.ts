/**
 * Received IPv4 packets: the steps of RFC 1122 3.2.1, one function each, then the protocol above.
 */
import { RX_CHECKSUM_VALID } from '../../nic/device.js';
import type { Clock } from '../clock.js';
import { Arrival } from '../transport.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, isLoopback4, setMapped } from '../wire/address.js';
import { put16 } from '../wire/bytes.js';
import { add, complement, pseudoHeader4, verify } from '../wire/checksum.js';
import { UNREACHABLE_PORT, UNREACHABLE_PROTOCOL } from '../wire/icmp.js';
import {
  FRAGMENT_OFFSET, IPV4_BAD_CHECKSUM, IPV4_CHECKSUM, IPV4_FRAGMENT, IPV4_HEADER, IPV4_MAX, IPV4_OK, IPV4_TOS,
  IPV4_TOTAL_LENGTH, IPV4_TRUNCATED, MORE_FRAGMENTS, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, checkIPv4,
  ipv4Destination, ipv4Fragment, ipv4HeaderLength, ipv4Identification, ipv4Protocol, ipv4Source, ipv4SourceRouted,
  ipv4Tos, ipv4TotalLength,
} from '../wire/ipv4.js';
import { TCP_HEADER, TCP_OK, checkTcp, tcpDestination } from '../wire/tcp.js';
import type { Icmp } from './icmp.js';
import type { Interface } from './interface.js';
import type { Reassembly } from './reassembly.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** Listeners and flows on each local port. */
export interface PortsInUse {
  of(port: number): number;
}

export class Input {
  private readonly routes: Routes;
  private readonly icmp: Icmp;
  private readonly transport: TransportSink;
  private readonly stats: IpStats;
  private readonly reassembly: Reassembly;
  private readonly ports: PortsInUse;
  private readonly clock: Clock;
  private readonly arrival = new Arrival();

  constructor(routes: Routes, icmp: Icmp, transport: TransportSink, reassembly: Reassembly, stats: IpStats, ports: PortsInUse, clock: Clock) {
    this.clock = clock;
    this.ports = ports;
    this.routes = routes;
    this.icmp = icmp;
    this.reassembly = reassembly;
    this.transport = transport;
    this.stats = stats;
  }

  /**
   * One packet, perhaps with padding behind it. The time to live does not matter here: what has reached this host has
   * arrived (RFC 1122 3.2.1.7).
   *
   * @param flags,segmentSize as in `FrameSink.frame`. @param toGroup the link sent it to more than this station.
   */
  packet(
    from: Interface, bytes: Uint8Array, at: number, length: number, flags: number, segmentSize: number,
    toGroup: boolean,
  ): void {
    const stats = this.stats;
    stats.IpInReceives++;
    stats.IpExtInOctets += length;
    const check = checkIPv4(bytes, at, length);
    if (check !== IPV4_OK) {
      this.countBadHeader(check);
      return;
    }
    if (!this.isAdmitted(from.index, ipv4Source(bytes, at), ipv4Destination(bytes, at), toGroup)) return;
    const header = ipv4HeaderLength(bytes, at);
    if (header > IPV4_HEADER && ipv4SourceRouted(bytes, at)) {
      // RFC 7126 4.3 and 4.4: source routes serve only attacks. Other options are passed over.
      stats.IpInDiscards++;
      return;
    }
    if ((ipv4Fragment(bytes, at) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) this.fragment(from, bytes, at, header);
    else this.deliver(from, bytes, at, header, ipv4TotalLength(bytes, at), flags, segmentSize);
  }

  private countBadHeader(check: number): void {
    this.stats.IpInHdrErrors++;
    if (check === IPV4_TRUNCATED) this.stats.IpExtInTruncatedPkts++;
    else if (check === IPV4_BAD_CHECKSUM) this.stats.IpExtInCsumErrors++;
  }

  /** Whether a packet with these addresses is for this host (RFC 1122 3.2.1.3 and 3.3.6). */
  private isAdmitted(index: number, source: number, destination: number, toGroup: boolean): boolean {
    const stats = this.stats;
    if (this.routes.isMartian(index, source)) {
      stats.IpInAddrErrors++;
      stats.IpExtInMartians++;
      return false;
    }
    if (!this.routes.isOwn(destination) || (isLoopback4(destination) && !this.routes.isLoopbackInterface(index))) {
      stats.IpInAddrErrors++;
      return false;
    }
    if (toGroup) {
      stats.IpInDiscards++;
      return false;
    }
    return true;
  }

  /** A part of a packet. The checksum of TCP is looked at when it is whole: no device can know it before. */
  private fragment(from: Interface, bytes: Uint8Array, at: number, header: number): void {
    const { reassembly, stats } = this;
    const { fragment } = reassembly;
    stats.IpReasmReqds++;
    const field = ipv4Fragment(bytes, at);
    fragment.bytes = bytes;
    setMapped(fragment.addresses, 0, ipv4Source(bytes, at));
    setMapped(fragment.addresses, ADDRESS_WORDS, ipv4Destination(bytes, at));
    fragment.identification = ipv4Identification(bytes, at);
    fragment.protocol = ipv4Protocol(bytes, at);
    fragment.headerAt = at;
    fragment.header = header;
    fragment.dataAt = at + header;
    fragment.length = ipv4TotalLength(bytes, at) - header;
    fragment.offset = (field & FRAGMENT_OFFSET) << 3;
    fragment.more = (field & MORE_FRAGMENTS) !== 0;
    fragment.ecn = ipv4Tos(bytes, at) & 3;
    if (fragment.protocol === PROTOCOL_TCP && cutsTcpHeader(fragment.offset, fragment.length)) {
      stats.IpReasmFails++;
      return;
    }
    const slot = reassembly.add(this.clock.now);
    if (slot >= 0) this.reassembled(from, slot);
  }

  /** A packet of which all parts have come. */
  private reassembled(from: Interface, slot: number): void {
    const { reassembly } = this;
    const { bytes } = reassembly;
    const header = reassembly.headerOf(slot);
    const at = reassembly.dataOf(slot) - header;
    const total = header + reassembly.lengthOf(slot);
    const fits = total <= IPV4_MAX;
    if (fits) {
      const tos = ipv4Tos(bytes, at);
      bytes[at + IPV4_TOS] = (tos & ~3) | reassembly.ecnOf(slot, tos & 3);
      put16(bytes, at + IPV4_TOTAL_LENGTH, total);
      put16(bytes, at + IPV4_FRAGMENT, 0);
      put16(bytes, at + IPV4_CHECKSUM, 0);
      put16(bytes, at + IPV4_CHECKSUM, complement(add(0, bytes, at, header)));
      this.deliver(from, bytes, at, header, total, 0, 0);
    }
    reassembly.release(slot, !fits);
  }

  /** A whole packet for this host. */
  private deliver(
    from: Interface, bytes: Uint8Array, at: number, header: number, total: number, flags: number, segmentSize: number,
  ): void {
    const protocol = ipv4Protocol(bytes, at);
    if (protocol === PROTOCOL_TCP) {
      this.stats.IpInDelivers++;
      this.tcp(from, bytes, at, header, total - header, flags, segmentSize);
    } else if (protocol === PROTOCOL_ICMP) {
      this.stats.IpInDelivers++;
      this.icmp.receive(bytes, at, header, total - header, from.answers, this.clock.now);
    } else {
      this.stats.IpInUnknownProtos++;
      if (!from.answers) return;
      const code = protocol === PROTOCOL_UDP ? UNREACHABLE_PORT : UNREACHABLE_PROTOCOL;
      this.icmp.unreachable(bytes, at, header, total, code, this.clock.now);
    }
  }

  private tcp(
    from: Interface, bytes: Uint8Array, at: number, header: number, length: number, flags: number, segmentSize: number,
  ): void {
    const segment = at + header;
    const source = ipv4Source(bytes, at);
    const destination = ipv4Destination(bytes, at);
    if (checkTcp(bytes, segment, length) !== TCP_OK) {
      this.stats.TcpInErrs++;
      return;
    }
    if (from.host !== null && this.ports.of(tcpDestination(bytes, segment)) === 0) return;
    if ((flags & RX_CHECKSUM_VALID) === 0) {
      if (!verify(pseudoHeader4(source, destination, PROTOCOL_TCP, length), bytes, segment, length)) {
        this.stats.TcpInErrs++;
        this.stats.TcpInCsumErrors++;
        return;
      }
    }
    const arrival = this.arrival;
    arrival.bytes = bytes;
    arrival.offset = segment;
    arrival.length = length;
    setMapped(arrival.addresses, 0, source);
    setMapped(arrival.addresses, ADDRESS_WORDS, destination);
    arrival.interfaceIndex = from.index;
    arrival.ecn = ipv4Tos(bytes, at) & 3;
    arrival.segmentSize = segmentSize;
    arrival.rest = from.rest;
    this.transport.segment(arrival);
  }
}

/**
 * True for a fragment of TCP that a filter looking for ports and flags cannot judge: a first one without the whole
 * header, or one that lies in the header (RFC 1858 3.2 and 4.2, RFC 3128).
 */
function cutsTcpHeader(offset: number, length: number): boolean {
  return offset === 0 ? length < TCP_HEADER : offset < TCP_HEADER;
}

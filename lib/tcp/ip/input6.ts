/**
 * Received IPv6 packets: the header, the extension headers as far as a host looks at them, fragments, and the protocol
 * above (RFC 8200).
 */
import { RX_CHECKSUM_VALID, type FrameRest } from '../../nic/device.js';
import type { Clock } from '../clock.js';
import { Arrival } from '../transport.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, isLinkLocal6, isMulticast6, isUnspecified6 } from '../wire/address.js';
import { getWords, put16 } from '../wire/bytes.js';
import { pseudoHeader6, verify } from '../wire/checksum.js';
import { PORT6 } from '../wire/icmp6.js';
import { PROTOCOL_TCP, PROTOCOL_UDP } from '../wire/ipv4.js';
import {
  ERRONEOUS_FIELD, Extensions, FRAGMENT_HEADER, ICMP6, INCOMPLETE_CHAIN, IPV6_DESTINATION, IPV6_HEADER, IPV6_NEXT_HEADER, IPV6_OK,
  IPV6_PAYLOAD_LENGTH, IPV6_SOURCE, IPV6_TRUNCATED, NO_NEXT_HEADER, UNKNOWN_NEXT_HEADER, WALK_DROP, WALK_FRAGMENT, WALK_PROBLEM,
  WALK_TRUNCATED, WALK_UPPER, checkIPv6, fragmentIdentification, fragmentMore, fragmentOffset, ipv6PayloadLength, ipv6TrafficClass,
  setIPv6Ecn,
} from '../wire/ipv6.js';
import { TCP_HEADER, TCP_OK, checkTcp, tcpDestination } from '../wire/tcp.js';
import type { Icmp6 } from './icmp6.js';
import type { PortsInUse } from './input.js';
import type { Interface } from './interface.js';
import type { Reassembly } from './reassembly.js';
import type { Routes6 } from './routes6.js';
import type { IpStats } from './stats.js';

/** Largest payload of a packet. */
const PAYLOAD_MAX = 65535;
/** Bytes of the shortest headers of UDP and ICMPv6. */
const SHORT_HEADER = 8;

/** One packet at hand. One object, filled anew for each; `words` are its addresses, source and destination. */
export class Packet6 {
  bytes: Uint8Array = new Uint8Array(0);
  readonly words: Int32Array;
  /** Place of the IPv6 header, and end of the packet. */
  at = 0;
  end = 0;
  interfaceIndex = 0;
  /** As `Arrival.rest`. */
  rest: FrameRest | null = null;
  /** The destination is a group. */
  toGroup = false;
  /** It came by a link from an address of this host's own: of what another station sends so only its claim to it counts. */
  claimed = false;
  /** It came in fragments, or as one. */
  fragmented = false;
  /** Its sender may be answered: what is not for TCP is no kernel's beside this host. */
  answerable = true;
  private readonly clock: Clock;

  constructor(words: Int32Array, clock: Clock) {
    this.words = words;
    this.clock = clock;
  }

  get now(): number {
    return this.clock.now;
  }
}

export class Input6 {
  private readonly routes: Routes6;
  private readonly icmp: Icmp6;
  private readonly transport: TransportSink;
  private readonly reassembly: Reassembly;
  private readonly ports: PortsInUse;
  private readonly clock: Clock;
  private readonly stats: IpStats;
  private readonly arrival = new Arrival();
  private readonly packet6: Packet6;
  private readonly extensions = new Extensions();
  private flags = 0;
  private segmentSize = 0;

  constructor(routes: Routes6, icmp: Icmp6, transport: TransportSink, reassembly: Reassembly, stats: IpStats, ports: PortsInUse, clock: Clock) {
    this.clock = clock;
    this.packet6 = new Packet6(this.arrival.addresses, clock);
    this.ports = ports;
    this.routes = routes;
    this.icmp = icmp;
    this.transport = transport;
    this.reassembly = reassembly;
    this.stats = stats;
  }

  /**
   * One packet, perhaps with padding behind it. The hop limit does not matter here: what has reached this host has arrived.
   *
   * @param flags,segmentSize as in `FrameSink.frame`. @param toGroup the link sent it to more than this station.
   */
  packet(
    from: Interface, bytes: Uint8Array, at: number, length: number, flags: number, segmentSize: number, toGroup: boolean,
  ): void {
    const { stats, packet6 } = this;
    const { words } = packet6;
    stats.Ip6InReceives++;
    stats.Ip6InOctets += length;
    const check = checkIPv6(bytes, at, length);
    if (check !== IPV6_OK) {
      if (check === IPV6_TRUNCATED) stats.Ip6InTruncatedPkts++;
      else stats.Ip6InHdrErrors++;
      return;
    }
    getWords(bytes, at + IPV6_SOURCE, words, 0);
    getWords(bytes, at + IPV6_DESTINATION, words, ADDRESS_WORDS);
    if (!this.isAdmitted(from, words, toGroup)) return;
    packet6.claimed = !this.routes.isLoopbackInterface(from.index) && this.routes.isOwn(words, 0);
    if (packet6.claimed && bytes[at + IPV6_NEXT_HEADER] !== ICMP6) {
      stats.Ip6InAddrErrors++;
      return;
    }
    packet6.bytes = bytes;
    packet6.at = at;
    packet6.end = at + IPV6_HEADER + ipv6PayloadLength(bytes, at);
    packet6.interfaceIndex = from.index;
    packet6.rest = from.rest;
    packet6.toGroup = isMulticast6(words, ADDRESS_WORDS);
    packet6.fragmented = false;
    packet6.answerable = from.answers;
    this.flags = flags;
    this.segmentSize = segmentSize;
    const next = bytes[at + IPV6_NEXT_HEADER]!;
    if (next === PROTOCOL_TCP && !packet6.toGroup) this.tcp(at + IPV6_HEADER);
    else this.walk(from, next, at + IPV6_NEXT_HEADER, at + IPV6_HEADER);
  }

  /** Whether a packet with these addresses is for this host. */
  private isAdmitted(from: Interface, words: Int32Array, toGroup: boolean): boolean {
    const { routes, stats } = this;
    // A station that has no address yet sends from ::, to groups (RFC 4861 4.3); what it may send is looked at later.
    const nobody = isUnspecified6(words, 0);
    if (nobody ? !isMulticast6(words, ADDRESS_WORDS) : routes.isMartian(from.index, words, 0)) {
      stats.Ip6InAddrErrors++;
      return false;
    }
    if (isMulticast6(words, ADDRESS_WORDS)) {
      stats.Ip6InMcastPkts++;
      if (from.ndp !== null && from.ndp.isMember(words, ADDRESS_WORDS)) return true;
      stats.Ip6InAddrErrors++;
      return false;
    }
    const own = routes.find(words, ADDRESS_WORDS);
    const here = own !== null && own.inUse
      && (own.index === from.index || routes.isLoopbackInterface(from.index)
        || (!isLinkLocal6(words, ADDRESS_WORDS) && !routes.isLoopbackInterface(own.index)));
    if (!here) {
      stats.Ip6InAddrErrors++;
      return false;
    }
    if (toGroup) stats.Ip6InDiscards++;
    return !toGroup;
  }

  /** Walks the headers from the one of kind `next` at `at`, and deals with what they lead to. */
  private walk(from: Interface, next: number, namedAt: number, at: number): void {
    const { packet6, extensions, stats } = this;
    const { bytes } = packet6;
    switch (extensions.walk(bytes, packet6.at, next, namedAt, at, packet6.end, packet6.toGroup)) {
      case WALK_UPPER:
        this.upper(from, extensions.next, extensions.namedAt, extensions.at);
        break;
      case WALK_FRAGMENT:
        if (packet6.fragmented) stats.Ip6InHdrErrors++;
        else this.fragment(from, extensions.at);
        break;
      case WALK_PROBLEM:
        stats.Ip6InHdrErrors++;
        this.icmp.problem(packet6, extensions.code, extensions.pointer - packet6.at);
        break;
      case WALK_TRUNCATED:
        stats.Ip6InTruncatedPkts++;
        break;
      case WALK_DROP:
      default:
        stats.Ip6InDiscards++;
        break;
    }
  }

  /** The protocol above. */
  private upper(from: Interface, protocol: number, namedAt: number, at: number): void {
    const { packet6, stats } = this;
    if (protocol === ICMP6) {
      stats.Ip6InDelivers++;
      this.icmp.receive(packet6, at, from.ndp);
    } else if (isUnspecified6(packet6.words, 0) || (packet6.toGroup && protocol === PROTOCOL_TCP)) {
      stats.Ip6InDiscards++;
    } else if (protocol === PROTOCOL_TCP) {
      this.tcp(at);
    } else if (protocol === NO_NEXT_HEADER) {
      stats.Ip6InDelivers++;
    } else if (protocol === PROTOCOL_UDP) {
      stats.Ip6InUnknownProtos++;
      this.icmp.unreachable(packet6, PORT6);
    } else {
      stats.Ip6InUnknownProtos++;
      this.icmp.problem(packet6, UNKNOWN_NEXT_HEADER, namedAt - packet6.at);
    }
  }

  // ---- fragments

  /** A fragment, its header at `at`. */
  private fragment(from: Interface, at: number): void {
    const { packet6, reassembly } = this;
    const { bytes } = packet6;
    const dataAt = at + FRAGMENT_HEADER;
    const more = fragmentMore(bytes, at);
    const offset = fragmentOffset(bytes, at);
    if (offset === 0 && !more) {
      // RFC 6946: the only fragment of its packet has nothing to do with others, whatever they say.
      packet6.fragmented = true;
      this.walk(from, bytes[at]!, at, dataAt);
      return;
    }
    this.stats.Ip6ReasmReqds++;
    if (!this.isFit(at, offset, more)) {
      this.stats.Ip6ReasmFails++;
      return;
    }
    const { fragment } = reassembly;
    fragment.bytes = bytes;
    fragment.addresses.set(packet6.words);
    fragment.identification = fragmentIdentification(bytes, at);
    // RFC 8200 4.5: only addresses and identification tell packets apart.
    fragment.protocol = 0;
    fragment.nextHeader = bytes[at]!;
    fragment.headerAt = packet6.at;
    // Extension headers before the fragment header have had their say, with each fragment.
    fragment.header = IPV6_HEADER;
    fragment.dataAt = dataAt;
    fragment.length = packet6.end - dataAt;
    fragment.offset = offset;
    fragment.more = more;
    fragment.ecn = ipv6TrafficClass(bytes, packet6.at) & 3;
    const slot = reassembly.add(this.clock.now);
    if (slot >= 0) this.reassembled(from, slot);
  }

  /** RFC 8200 4.5: lengths, and all headers in the first fragment (RFC 7112), so that filters can see them. */
  private isFit(at: number, offset: number, more: boolean): boolean {
    const { packet6, extensions, icmp } = this;
    const { bytes, end } = packet6;
    const dataAt = at + FRAGMENT_HEADER;
    if (more && ((end - dataAt) & 7) !== 0) {
      icmp.problem(packet6, ERRONEOUS_FIELD, IPV6_PAYLOAD_LENGTH);
      return false;
    }
    if (offset + end - dataAt > PAYLOAD_MAX) {
      icmp.problem(packet6, ERRONEOUS_FIELD, at + 2 - packet6.at);
      return false;
    }
    if (offset !== 0) return true;
    const result = extensions.walk(bytes, packet6.at, bytes[at]!, at, dataAt, end, packet6.toGroup);
    if (result === WALK_TRUNCATED || (result === WALK_UPPER && extensions.at + shortest(extensions.next) > end)) {
      icmp.problem(packet6, INCOMPLETE_CHAIN, 0);
      return false;
    }
    return true;
  }

  /** A packet of which all parts have come. */
  private reassembled(from: Interface, slot: number): void {
    const { packet6, reassembly } = this;
    const { bytes } = reassembly;
    const at = reassembly.dataOf(slot) - IPV6_HEADER;
    const length = reassembly.lengthOf(slot);
    put16(bytes, at + IPV6_PAYLOAD_LENGTH, length);
    bytes[at + IPV6_NEXT_HEADER] = reassembly.nextHeaderOf(slot);
    setIPv6Ecn(bytes, at, reassembly.ecnOf(slot, ipv6TrafficClass(bytes, at) & 3));
    packet6.bytes = bytes;
    packet6.at = at;
    packet6.end = at + IPV6_HEADER + length;
    packet6.fragmented = true;
    // The checksum of TCP is looked at when it is whole: no device can know it before.
    this.flags = 0;
    this.segmentSize = 0;
    this.walk(from, bytes[at + IPV6_NEXT_HEADER]!, at + IPV6_NEXT_HEADER, at + IPV6_HEADER);
    reassembly.release(slot, false);
  }

  // ---- TCP

  private tcp(segment: number): void {
    const { packet6, stats, arrival } = this;
    const { bytes } = packet6;
    const length = packet6.end - segment;
    stats.Ip6InDelivers++;
    if (checkTcp(bytes, segment, length) !== TCP_OK) {
      stats.TcpInErrs++;
      return;
    }
    if (!packet6.answerable && this.ports.of(tcpDestination(bytes, segment)) === 0) return;
    if ((this.flags & RX_CHECKSUM_VALID) === 0) {
      if (!verify(pseudoHeader6(packet6.words, 0, ADDRESS_WORDS, PROTOCOL_TCP, length), bytes, segment, length)) {
        stats.TcpInErrs++;
        stats.TcpInCsumErrors++;
        return;
      }
    }
    arrival.bytes = bytes;
    arrival.offset = segment;
    arrival.length = length;
    arrival.interfaceIndex = packet6.interfaceIndex;
    arrival.ecn = ipv6TrafficClass(bytes, packet6.at) & 3;
    arrival.segmentSize = this.segmentSize;
    arrival.rest = packet6.rest;
    this.transport.segment(arrival);
  }
}

/** Bytes of a protocol's header that the first fragment must hold. */
function shortest(protocol: number): number {
  if (protocol === PROTOCOL_TCP) return TCP_HEADER;
  return protocol === PROTOCOL_UDP || protocol === ICMP6 ? SHORT_HEADER : 0;
}

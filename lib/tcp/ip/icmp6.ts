/**
 * ICMPv6 (RFC 4443): answers echo requests, tells TCP of errors about its segments, tells others what is wrong with their
 * packets, and hands on what belongs to neighbour discovery.
 */
import { EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from '../errno.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, copyAddress, isMulticast6, isUnspecified6 } from '../wire/address.js';
import { copyBytes, getWords, put16, put32 } from '../wire/bytes.js';
import {
  ECHO6, ECHO_REPLY6, FIRST_INFORMATIONAL, ICMP6_BAD_CHECKSUM, ICMP6_EMBEDDED, ICMP6_OK, MLD_QUERY, NEIGHBOUR_ADVERTISEMENT,
  NEIGHBOUR_SOLICITATION, NO_ROUTE6, PACKET_TOO_BIG, PARAMETER_PROBLEM6, PORT6, PROHIBITED6, REASSEMBLY_TIME, REDIRECT6,
  ROUTER_ADVERTISEMENT, ROUTER_SOLICITATION, TIME_EXCEEDED6, UNREACHABLE6, checkIcmp6, emitIcmp6, finishIcmp6, icmp6Code,
  icmp6Parameter, icmp6Type,
} from '../wire/icmp6.js';
import { PROTOCOL_TCP } from '../wire/ipv4.js';
import {
  FRAGMENT, FRAGMENT_HEADER, ICMP6, IPV6_DESTINATION, IPV6_HEADER, IPV6_MTU_MIN, IPV6_NEXT_HEADER, IPV6_OK, IPV6_PAYLOAD_LENGTH,
  IPV6_SOURCE, UNKNOWN_NEXT_HEADER, UNKNOWN_OPTION, checkIPv6Embedded, ipv6HopLimit, ipv6NextHeader, ipv6TrafficClass, upperAt,
} from '../wire/ipv6.js';
import { MLD_HOP_LIMIT, hasRouterAlert } from '../wire/mld.js';
import { NDP_HOP_LIMIT } from '../wire/ndp.js';
import { tcpDestination, tcpSequence, tcpSource } from '../wire/tcp.js';
import type { Packet6 } from './input6.js';
import type { Ndp } from './ndp.js';
import type { Output } from './output.js';
import type { PathMtu } from './path_mtu.js';
import { RateLimit } from './rate_limit.js';
import type { Reassembly } from './reassembly.js';
import { NO_INTERFACE } from './routes.js';
import type { Routes6 } from './routes6.js';
import type { IpStats } from './stats.js';

/** Answers to echo requests a second, and at once. */
const ECHO_RATE = 1000;
const ECHO_BURST = 200;
/** Errors sent a second, and at once (RFC 4443 2.4 (f)). */
const ERROR_RATE = 1000;
const ERROR_BURST = 50;
/** DSCP without ECN. */
const DSCP = 0xfc;
/** Bytes of a TCP header that an error must show: ports and sequence number. */
const SHOWN = 8;

export class Icmp6 {
  private readonly output: Output;
  private readonly routes: Routes6;
  private readonly pathMtu: PathMtu;
  private readonly transport: TransportSink;
  private readonly stats: IpStats;
  /** MTU of each interface, for the size of answers. */
  private readonly linkMtu: (index: number) => number;
  private readonly echoes = new RateLimit(ECHO_RATE, ECHO_BURST);
  private readonly errors = new RateLimit(ERROR_RATE, ERROR_BURST);
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);

  constructor(
    output: Output, routes: Routes6, pathMtu: PathMtu, transport: TransportSink, stats: IpStats, linkMtu: (index: number) => number,
  ) {
    this.output = output;
    this.routes = routes;
    this.pathMtu = pathMtu;
    this.transport = transport;
    this.stats = stats;
    this.linkMtu = linkMtu;
  }

  /** One message for this host, at `at` of its packet. @param ndp of the interface that it came by, where it has one. */
  receive(packet: Packet6, at: number, ndp: Ndp | null): void {
    const { stats } = this;
    const { bytes, words } = packet;
    const length = packet.end - at;
    stats.Icmp6InMsgs++;
    const check = checkIcmp6(bytes, at, length, words);
    if (check !== ICMP6_OK) {
      stats.Icmp6InErrors++;
      if (check === ICMP6_BAD_CHECKSUM) stats.Icmp6InCsumErrors++;
      return;
    }
    const type = icmp6Type(bytes, at);
    this.count(type);
    if (type === NEIGHBOUR_SOLICITATION || type === NEIGHBOUR_ADVERTISEMENT) {
      // RFC 4861 7.1, RFC 6980: from this link, and in one piece.
      const near = ipv6HopLimit(bytes, packet.at) === NDP_HOP_LIMIT && !packet.fragmented && ndp !== null;
      if (!near || !ndp.receive(bytes, at, length, words, packet.now)) stats.Icmp6InErrors++;
    } else if (type === ROUTER_ADVERTISEMENT && ndp !== null && ndp.routers !== null) {
      const near = ipv6HopLimit(bytes, packet.at) === NDP_HOP_LIMIT && !packet.fragmented && !packet.claimed;
      if (!near || !ndp.routers.receive(bytes, at, length, words, packet.now)) stats.Icmp6InErrors++;
    } else if (isUnspecified6(words, 0) || packet.claimed) {
      stats.Icmp6InErrors++;
    } else if (type === MLD_QUERY && ndp !== null) {
      const near = ipv6HopLimit(bytes, packet.at) === MLD_HOP_LIMIT && !packet.fragmented && hasRouterAlert(bytes, packet.at);
      if (!near || !ndp.groups.receive(bytes, at, length, words, packet.now)) stats.Icmp6InErrors++;
    } else if (type === ECHO6) {
      if (packet.answerable) this.reply(packet, at, length);
    } else if (type >= UNREACHABLE6 && type <= PARAMETER_PROBLEM6) {
      this.error(bytes, at, length);
    }
    // Routers are followed only where that is asked for, and redirects never: whoever is on the link could turn traffic to itself.
  }

  private count(type: number): void {
    const { stats } = this;
    switch (type) {
      case UNREACHABLE6: stats.Icmp6InDestUnreachs++; break;
      case PACKET_TOO_BIG: stats.Icmp6InPktTooBigs++; break;
      case TIME_EXCEEDED6: stats.Icmp6InTimeExcds++; break;
      case PARAMETER_PROBLEM6: stats.Icmp6InParmProblems++; break;
      case ECHO6: stats.Icmp6InEchos++; break;
      case ECHO_REPLY6: stats.Icmp6InEchoReplies++; break;
      case MLD_QUERY: stats.Icmp6InGroupMembQueries++; break;
      case ROUTER_SOLICITATION: stats.Icmp6InRouterSolicits++; break;
      case ROUTER_ADVERTISEMENT: stats.Icmp6InRouterAdvertisements++; break;
      case NEIGHBOUR_SOLICITATION: stats.Icmp6InNeighborSolicits++; break;
      case NEIGHBOUR_ADVERTISEMENT: stats.Icmp6InNeighborAdvertisements++; break;
      case REDIRECT6: stats.Icmp6InRedirects++; break;
      default: break;
    }
  }

  /** RFC 4443 4.2: the data as they came, from the address that was asked; for a group from one of this host's. */
  private reply(packet: Packet6, at: number, length: number): void {
    const { bytes, now } = packet;
    const to = this.words;
    if (!this.address(packet)) return;
    const index = this.routes.lookup(to, ADDRESS_WORDS);
    if (index === NO_INTERFACE) return;
    if (length + IPV6_HEADER > this.pathMtu.get(to, ADDRESS_WORDS, this.linkMtu(index))) return;
    if (!this.echoes.take(now)) {
      this.stats.Icmp6OutRateLimitHost++;
      return;
    }
    const out = this.output.open6(to, 0, ADDRESS_WORDS, ipv6TrafficClass(bytes, packet.at) & DSCP);
    if (out < 0) return;
    copyBytes(bytes, at, this.output.bytes, out, length);
    emitIcmp6(this.output.bytes, out, ECHO_REPLY6, 0, icmp6Parameter(bytes, at));
    this.finish(out, length);
    this.stats.Icmp6OutEchoReplies++;
  }

  // ---- errors that are sent

  /** The protocol above does not take it. @param code of "destination unreachable". */
  unreachable(packet: Packet6, code: number): void {
    if (this.send(packet, UNREACHABLE6, code, 0, false)) this.stats.Icmp6OutDestUnreachs++;
  }

  /** Something in its headers is not as it must be. @param pointer offset in the packet. */
  problem(packet: Packet6, code: number, pointer: number): void {
    if (this.send(packet, PARAMETER_PROBLEM6, code, pointer, code === UNKNOWN_OPTION)) this.stats.Icmp6OutParmProblems++;
  }

  /** RFC 8200 4.5: a packet did not become whole in time; the error shows its first fragment, put into its form again. */
  timeExceeded(reassembly: Reassembly, slot: number, now: number): void {
    const { words, stats, output } = this;
    const { bytes } = reassembly;
    const at = reassembly.dataOf(slot) - IPV6_HEADER;
    getWords(bytes, at + IPV6_SOURCE, words, ADDRESS_WORDS);
    getWords(bytes, at + IPV6_DESTINATION, words, 0);
    if (isMulticast6(words, 0) || isUnspecified6(words, ADDRESS_WORDS)) return;
    const out = this.open(now);
    if (out < 0) return;
    const to = output.bytes;
    const first = reassembly.firstOf(slot);
    const shown = Math.min(first, IPV6_MTU_MIN - 2 * IPV6_HEADER - ICMP6_EMBEDDED - FRAGMENT_HEADER);
    const quoted = out + ICMP6_EMBEDDED;
    emitIcmp6(to, out, TIME_EXCEEDED6, REASSEMBLY_TIME, 0);
    copyBytes(bytes, at, to, quoted, IPV6_HEADER);
    put16(to, quoted + IPV6_PAYLOAD_LENGTH, FRAGMENT_HEADER + first);
    to[quoted + IPV6_NEXT_HEADER] = FRAGMENT;
    put32(to, quoted + IPV6_HEADER, (reassembly.nextHeaderOf(slot) << 24) | 1);
    put32(to, quoted + IPV6_HEADER + 4, reassembly.identificationOf(slot));
    copyBytes(bytes, at + IPV6_HEADER, to, quoted + IPV6_HEADER + FRAGMENT_HEADER, shown);
    this.finish(out, ICMP6_EMBEDDED + IPV6_HEADER + FRAGMENT_HEADER + shown);
    stats.Icmp6OutTimeExcds++;
  }

  /**
   * Answers a packet with an error that shows as much of it as fits the least MTU (RFC 4443 2.4 (c)), unless it must not be
   * answered so (2.4 (e)): it is an error itself, or came from or to more than one station.
   */
  private send(packet: Packet6, type: number, code: number, parameter: number, evenToGroup: boolean): boolean {
    const { bytes, at, end, now } = packet;
    if (!packet.answerable) return false;
    if (isUnspecified6(packet.words, 0) || (packet.toGroup && !evenToGroup)) return false;
    const upper = upperAt(bytes, at, end, ICMP6);
    if (upper >= 0 && (upper >= end || bytes[upper]! < FIRST_INFORMATIONAL || bytes[upper] === REDIRECT6)) return false;
    if (!this.address(packet)) return false;
    const out = this.open(now);
    if (out < 0) return false;
    const shown = Math.min(end - at, IPV6_MTU_MIN - IPV6_HEADER - ICMP6_EMBEDDED);
    emitIcmp6(this.output.bytes, out, type, code, parameter);
    copyBytes(bytes, at, this.output.bytes, out + ICMP6_EMBEDDED, shown);
    this.finish(out, ICMP6_EMBEDDED + shown);
    return true;
  }

  /** Turns the addresses of a packet round, into `words`. False where no own address can answer it. */
  private address(packet: Packet6): boolean {
    const { words } = this;
    copyAddress(packet.words, 0, words, ADDRESS_WORDS);
    copyAddress(packet.words, ADDRESS_WORDS, words, 0);
    return !packet.toGroup || this.routes.source(words, ADDRESS_WORDS, words, 0);
  }

  /** Opens an error between `words`, where the rate allows it. */
  private open(now: number): number {
    if (this.errors.take(now)) return this.output.open6(this.words, 0, ADDRESS_WORDS, 0);
    this.stats.Icmp6OutRateLimitHost++;
    return -1;
  }

  private finish(out: number, length: number): void {
    finishIcmp6(this.output.bytes, out, length, this.words, 0, ADDRESS_WORDS);
    this.output.close(ICMP6, length);
    this.stats.Icmp6OutMsgs++;
  }

  // ---- errors that arrive

  /** An error about a packet that this host is said to have sent. */
  private error(bytes: Uint8Array, at: number, length: number): void {
    const { words } = this;
    const packet = at + ICMP6_EMBEDDED;
    const left = length - ICMP6_EMBEDDED;
    if (checkIPv6Embedded(bytes, packet, left) !== IPV6_OK) {
      this.stats.Icmp6InErrors++;
      return;
    }
    // What this host sends has no extension headers.
    if (ipv6NextHeader(bytes, packet) !== PROTOCOL_TCP || left < IPV6_HEADER + SHOWN) return;
    getWords(bytes, packet + IPV6_SOURCE, words, 0);
    getWords(bytes, packet + IPV6_DESTINATION, words, ADDRESS_WORDS);
    if (!this.routes.isOwn(words, 0)) return;
    const type = icmp6Type(bytes, at);
    const code = icmp6Code(bytes, at);
    if (type === PACKET_TOO_BIG) {
      const mtu = icmp6Parameter(bytes, at);
      // RFC 8201 4: no link carries less, so no router says so.
      if (mtu < IPV6_MTU_MIN || mtu > 0xffff) return;
      if (this.report(bytes, packet, 0, false, mtu)) this.pathMtu.lower(words, ADDRESS_WORDS, mtu);
    } else if (type === UNREACHABLE6) {
      this.report(bytes, packet, errnoOf(code), code === PORT6, 0);
    } else {
      const hard = type === PARAMETER_PROBLEM6 && code === UNKNOWN_NEXT_HEADER;
      this.report(bytes, packet, hard ? ECONNREFUSED : EHOSTUNREACH, hard, 0);
    }
  }

  private report(bytes: Uint8Array, packet: number, errno: number, hard: boolean, mtu: number): boolean {
    const tcp = packet + IPV6_HEADER;
    return this.transport.unreachable(
      this.words, tcpSource(bytes, tcp), tcpDestination(bytes, tcp), tcpSequence(bytes, tcp), errno, hard, mtu,
    );
  }
}

/** What an application is told about a code of "destination unreachable" (Linux's icmp6 table). */
function errnoOf(code: number): number {
  switch (code) {
    case NO_ROUTE6:
      return ENETUNREACH;
    case PROHIBITED6:
      return EACCES;
    case PORT6:
      return ECONNREFUSED;
    default:
      return EHOSTUNREACH;
  }
}

/**
 * ICMP (RFC 792, RFC 1122 3.2.2): answers echo requests, tells TCP of errors about its segments, and tells others what
 * this host does not have.
 */
import { EHOSTUNREACH, ECONNREFUSED, ENETUNREACH } from '../errno.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, setMapped } from '../wire/address.js';
import { copyBytes, get16, put16 } from '../wire/bytes.js';
import { update } from '../wire/checksum.js';
import {
  FRAGMENTATION_NEEDED, ICMP_BAD_CHECKSUM, ICMP_CHECKSUM, ICMP_ECHO, ICMP_ECHO_REPLY, ICMP_EMBEDDED, ICMP_HEADER,
  ICMP_OK, ICMP_PARAMETER_PROBLEM, ICMP_REDIRECT, ICMP_TIME_EXCEEDED, ICMP_TYPE, ICMP_UNREACHABLE, NETWORK_PROHIBITED,
  NETWORK_TOS, NETWORK_UNKNOWN, REASSEMBLY_TIME, UNREACHABLE_NETWORK, UNREACHABLE_PORT, UNREACHABLE_PROTOCOL, checkIcmp, emitIcmp,
  finishIcmp, icmpCode, icmpNextHopMtu, icmpType, isIcmpError,
} from '../wire/icmp.js';
import {
  FRAGMENT_OFFSET, IPV4_HEADER, IPV4_OK, PROTOCOL_ICMP, PROTOCOL_TCP, checkIPv4Embedded, ipv4Destination, ipv4Fragment,
  ipv4HeaderLength, ipv4Protocol, ipv4Source, ipv4Tos, ipv4TotalLength,
} from '../wire/ipv4.js';
import { tcpDestination, tcpSequence, tcpSource } from '../wire/tcp.js';
import type { Output } from './output.js';
import type { PathMtu } from './path_mtu.js';
import { PATH_MTU_MIN, plateauBelow } from './path_mtu.js';
import { RateLimit } from './rate_limit.js';
import type { Reassembly } from './reassembly.js';
import { NO_INTERFACE } from './routes.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** Answers to echo requests a second, and at once. */
const ECHO_RATE = 1000;
const ECHO_BURST = 200;
/** Errors sent a second, and at once (RFC 1812 4.3.2.8 asks for a limit; Linux's icmp_msgs_per_sec and _burst). */
const ERROR_RATE = 1000;
const ERROR_BURST = 50;
/** Precedence "internetwork control", for errors (RFC 1812 4.3.2.5). */
const ERROR_TOS = 0xc0;
/** DSCP without ECN. */
const DSCP = 0xfc;
/** Bytes of the packet in error that an error carries beyond its header (RFC 792). */
const QUOTED = 8;

export class Icmp {
  private readonly output: Output;
  private readonly routes: Routes;
  private readonly pathMtu: PathMtu;
  private readonly transport: TransportSink;
  private readonly stats: IpStats;
  /** MTU of each interface, for the size of answers. */
  private readonly linkMtu: (index: number) => number;
  private readonly echoes = new RateLimit(ECHO_RATE, ECHO_BURST);
  private readonly errors = new RateLimit(ERROR_RATE, ERROR_BURST);
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);

  constructor(
    output: Output, routes: Routes, pathMtu: PathMtu, transport: TransportSink, stats: IpStats,
    linkMtu: (index: number) => number,
  ) {
    this.output = output;
    this.routes = routes;
    this.pathMtu = pathMtu;
    this.transport = transport;
    this.stats = stats;
    this.linkMtu = linkMtu;
  }

  /**
   * One message for this host, in the packet at `packet`.
   *
   * @param header bytes of the IPv4 header. @param length of the message. @param answerable false: an echo is another's to answer.
   */
  receive(bytes: Uint8Array, packet: number, header: number, length: number, answerable: boolean, now: number): void {
    const stats = this.stats;
    const at = packet + header;
    stats.IcmpInMsgs++;
    const check = checkIcmp(bytes, at, length);
    if (check !== ICMP_OK) {
      stats.IcmpInErrors++;
      if (check === ICMP_BAD_CHECKSUM) stats.IcmpInCsumErrors++;
      return;
    }
    switch (icmpType(bytes, at)) {
      case ICMP_ECHO:
        stats.IcmpInEchos++;
        if (answerable) this.reply(bytes, packet, at, length, now);
        break;
      case ICMP_UNREACHABLE:
        stats.IcmpInDestUnreachs++;
        this.error(bytes, at, length);
        break;
      case ICMP_TIME_EXCEEDED:
        stats.IcmpInTimeExcds++;
        this.error(bytes, at, length);
        break;
      case ICMP_PARAMETER_PROBLEM:
        stats.IcmpInParmProbs++;
        this.error(bytes, at, length);
        break;
      case ICMP_REDIRECT:
        // Not followed: whoever is on the link could turn traffic to itself.
        stats.IcmpInRedirects++;
        break;
      default:
        break;
    }
  }

  /**
   * Answers a packet that nothing here takes with "destination unreachable". The packet is whole, for this host alone,
   * no ICMP, and from one station (RFC 1122 3.2.2); the caller has seen to that.
   */
  unreachable(bytes: Uint8Array, packet: number, header: number, total: number, code: number, now: number): void {
    if (this.sendError(ICMP_UNREACHABLE, code, bytes, packet, Math.min(total, header + QUOTED), now)) this.stats.IcmpOutDestUnreachs++;
  }

  /** RFC 1122 3.3.2: a packet did not become whole in time; the error shows its first fragment. */
  timeExceeded(reassembly: Reassembly, slot: number, now: number): void {
    const header = reassembly.headerOf(slot);
    const { bytes } = reassembly;
    const packet = reassembly.dataOf(slot) - header;
    const shown = header + Math.min(QUOTED, reassembly.firstOf(slot));
    // RFC 1122 3.2.2: no error about an error.
    const isError = ipv4Protocol(bytes, packet) === PROTOCOL_ICMP && isIcmpError(bytes[packet + header]!);
    if (!isError && this.sendError(ICMP_TIME_EXCEEDED, REASSEMBLY_TIME, bytes, packet, shown, now)) this.stats.IcmpOutTimeExcds++;
  }

  /** Sends an error that shows the first bytes of a packet. False where the rate or the device does not allow it. */
  private sendError(type: number, code: number, bytes: Uint8Array, packet: number, shown: number, now: number): boolean {
    if (!this.errors.take(now)) {
      this.stats.IcmpOutRateLimitHost++;
      return false;
    }
    const at = this.output.open(ipv4Destination(bytes, packet), ipv4Source(bytes, packet), ERROR_TOS);
    if (at < 0) return false;
    const to = this.output.bytes;
    emitIcmp(to, at, type, code);
    copyBytes(bytes, packet, to, at + ICMP_EMBEDDED, shown);
    finishIcmp(to, at, ICMP_EMBEDDED + shown);
    this.output.close(PROTOCOL_ICMP, ICMP_EMBEDDED + shown);
    this.stats.IcmpOutMsgs++;
    return true;
  }

  /** RFC 1122 3.2.2.6: the data as they came, from the address that was asked, with the same type of service. */
  private reply(bytes: Uint8Array, packet: number, at: number, length: number, now: number): void {
    const source = ipv4Destination(bytes, packet);
    const destination = ipv4Source(bytes, packet);
    const index = this.routes.lookup(destination);
    if (index === NO_INTERFACE || length + IPV4_HEADER > this.linkMtu(index)) return;
    if (!this.echoes.take(now)) {
      this.stats.IcmpOutRateLimitHost++;
      return;
    }
    const checksum = get16(bytes, at + ICMP_CHECKSUM);
    const head = get16(bytes, at + ICMP_TYPE);
    const to = this.output.open(source, destination, ipv4Tos(bytes, packet) & DSCP);
    if (to < 0) return;
    copyBytes(bytes, at, this.output.bytes, to, length);
    this.output.bytes[to + ICMP_TYPE] = ICMP_ECHO_REPLY;
    // 0 and 0xffff are both zero in ones' complement, but where all that is covered is zero only the latter is right.
    put16(this.output.bytes, to + ICMP_CHECKSUM, update(checksum, head, get16(this.output.bytes, to + ICMP_TYPE)) || 0xffff);
    this.output.close(PROTOCOL_ICMP, length);
    this.stats.IcmpOutMsgs++;
    this.stats.IcmpOutEchoReps++;
  }

  /** An error about a packet that this host is said to have sent. */
  private error(bytes: Uint8Array, at: number, length: number): void {
    const packet = at + ICMP_EMBEDDED;
    if (checkIPv4Embedded(bytes, packet, length - ICMP_HEADER) !== IPV4_OK) {
      this.stats.IcmpInErrors++;
      return;
    }
    if (ipv4Protocol(bytes, packet) !== PROTOCOL_TCP) return;
    // Only the first fragment has the ports.
    if ((ipv4Fragment(bytes, packet) & FRAGMENT_OFFSET) !== 0) return;
    const local = ipv4Source(bytes, packet);
    if (!this.routes.isOwn(local)) return;
    const remote = ipv4Destination(bytes, packet);
    setMapped(this.words, 0, local);
    setMapped(this.words, ADDRESS_WORDS, remote);
    const type = icmpType(bytes, at);
    const code = icmpCode(bytes, at);
    if (type === ICMP_UNREACHABLE && code === FRAGMENTATION_NEEDED) {
      const told = icmpNextHopMtu(bytes, at);
      const mtu = told === 0 ? plateauBelow(ipv4TotalLength(bytes, packet)) : told;
      if (this.report(bytes, packet, 0, false, Math.max(mtu, PATH_MTU_MIN))) this.pathMtu.lower(this.words, ADDRESS_WORDS, mtu);
    } else {
      const hard = type === ICMP_UNREACHABLE && (code === UNREACHABLE_PROTOCOL || code === UNREACHABLE_PORT);
      this.report(bytes, packet, type === ICMP_UNREACHABLE ? errnoOf(code) : EHOSTUNREACH, hard, 0);
    }
  }

  private report(bytes: Uint8Array, packet: number, errno: number, hard: boolean, mtu: number): boolean {
    const tcp = packet + ipv4HeaderLength(bytes, packet);
    return this.transport.unreachable(
      this.words, tcpSource(bytes, tcp), tcpDestination(bytes, tcp), tcpSequence(bytes, tcp), errno, hard, mtu,
    );
  }
}

/** What an application is told about a code of "destination unreachable" (Linux's icmp_err_convert). */
function errnoOf(code: number): number {
  switch (code) {
    case UNREACHABLE_NETWORK:
    case NETWORK_UNKNOWN:
    case NETWORK_PROHIBITED:
    case NETWORK_TOS:
      return ENETUNREACH;
    case UNREACHABLE_PROTOCOL:
    case UNREACHABLE_PORT:
      return ECONNREFUSED;
    default:
      return EHOSTUNREACH;
  }
}

/**
 * The neighbours on one Ethernet interface and the packets that wait for them: what ARP and neighbour discovery have in
 * common.
 */
import type { Device } from '../../nic/device.js';
import type { Clock, Earliest } from '../clock.js';
import { EHOSTUNREACH } from '../errno.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, setMapped } from '../wire/address.js';
import { getWords } from '../wire/bytes.js';
import { ETHERNET_HEADER, MAC_LENGTH, TYPE_IPV6, emitEthernet } from '../wire/ethernet.js';
import { IPV4_HEADER, PROTOCOL_TCP, ipv4Destination, ipv4Protocol, ipv4Source } from '../wire/ipv4.js';
import { IPV6_DESTINATION, IPV6_HEADER, IPV6_SOURCE, ipv6NextHeader } from '../wire/ipv6.js';
import { tcpDestination, tcpSequence, tcpSource } from '../wire/tcp.js';
import { Neighbours } from './neighbours.js';
import type { NeighbourEvents } from './neighbours.js';
import { PendingPackets } from './pending.js';
import { room } from './room.js';
import type { IpStats } from './stats.js';

/** Neighbours known on one link (Linux's gc_thresh3). */
const NEIGHBOURS = 1024;
/** Blocks of 128 bytes for packets that wait: 1 MB, for the SYNs of thousands of connections that begin at once. */
const PENDING_BLOCKS = 8192;

/** Asks for the link address of an entry of `neighbours`: see `NeighbourEvents`. */
export interface Solicitor {
  solicit(entry: number, everybody: boolean): void;
  /** Nobody has answered for the entry. */
  unanswered?(entry: number): void;
}

/** How the neighbours of one family on an interface are found. */
export interface Resolution {
  readonly resolver: Resolver;
  /** Does what is due at `now`. */
  advance(now: number): void;
  /** When `advance` next has something to do. */
  dueBy(next: Earliest): void;
}

export class Resolver implements NeighbourEvents {
  readonly neighbours: Neighbours;
  readonly pending = new PendingPackets(NEIGHBOURS, PENDING_BLOCKS);
  private readonly device: Device;
  private readonly mac: Uint8Array;
  /** TYPE_IPV4 or TYPE_IPV6. */
  private readonly type: number;
  private readonly solicitor: Solicitor;
  private readonly transport: TransportSink;
  private readonly stats: IpStats;
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);

  /** @param seed for the table's hash. @param reachableTime,lockTime see `Neighbours`. */
  constructor(
    device: Device, mac: Uint8Array, type: number, solicitor: Solicitor, transport: TransportSink, stats: IpStats, seed: number,
    reachableTime: number, lockTime: number, clock: Clock,
  ) {
    this.device = device;
    this.mac = mac;
    this.type = type;
    this.solicitor = solicitor;
    this.transport = transport;
    this.stats = stats;
    this.neighbours = new Neighbours(NEIGHBOURS, seed, reachableTime, lockTime, clock, this);
  }

  /** Queues the packet at `offset` of `pending.bytes` until the link address of `entry` is known. */
  hold(entry: number, offset: number, length: number, checksumStart: number, segmentSize: number): boolean {
    const before = this.pending.discards;
    const held = this.pending.push(entry, offset, length, checksumStart, segmentSize);
    this.stats.NeighUnresolvedDiscards += this.pending.discards - before;
    return held;
  }

  solicit(entry: number, everybody: boolean): void {
    this.solicitor.solicit(entry, everybody);
  }

  resolved(entry: number): void {
    const pending = this.pending;
    while (!pending.isEmpty(entry)) {
      const at = room(this.device);
      if (at < 0) {
        this.stats.NeighUnresolvedDiscards += pending.clear(entry);
        return;
      }
      const tx = this.device.tx;
      emitEthernet(tx, at, this.neighbours.macs, entry * MAC_LENGTH, this.mac, 0, this.type);
      const length = pending.shift(entry, tx, at + ETHERNET_HEADER);
      this.device.commit(ETHERNET_HEADER + length, pending.checksumStart, pending.segmentSize);
    }
  }

  failed(entry: number): void {
    this.stats.NeighResFailed++;
    this.solicitor.unanswered?.(entry);
    const pending = this.pending;
    while (!pending.isEmpty(entry)) {
      this.giveBack(pending.bytes, pending.peek(entry), entry);
      this.stats.NeighUnresolvedDiscards++;
    }
  }

  evicted(entry: number): void {
    this.stats.NeighForcedGc++;
    this.stats.NeighUnresolvedDiscards += this.pending.clear(entry);
  }

  /** Forgets the oldest packet of an entry, and tells the transport, which only takes note and sends in its own part of the turn. */
  private giveBack(bytes: Uint8Array, packet: number, entry: number): void {
    const six = this.type === TYPE_IPV6;
    const tcp = packet + (six ? IPV6_HEADER : IPV4_HEADER);
    const isTcp = (six ? ipv6NextHeader(bytes, packet) : ipv4Protocol(bytes, packet)) === PROTOCOL_TCP;
    if (six) {
      getWords(bytes, packet + IPV6_SOURCE, this.words, 0);
      getWords(bytes, packet + IPV6_DESTINATION, this.words, ADDRESS_WORDS);
    } else {
      setMapped(this.words, 0, ipv4Source(bytes, packet));
      setMapped(this.words, ADDRESS_WORDS, ipv4Destination(bytes, packet));
    }
    const localPort = tcpSource(bytes, tcp);
    const remotePort = tcpDestination(bytes, tcp);
    const sequence = tcpSequence(bytes, tcp);
    this.pending.drop(entry);
    if (isTcp) this.transport.unreachable(this.words, localPort, remotePort, sequence, EHOSTUNREACH, false, 0);
  }
}

/**
 * ARP on one Ethernet interface (RFC 826, RFC 1122 2.3.2, RFC 5227): answers for the own address, asks for others,
 * and holds the packets that wait for an answer.
 */
import type { Device } from '../../nic/device.js';
import { EHOSTUNREACH } from '../errno.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, setMapped } from '../wire/address.js';
import {
  ARP_LENGTH, ARP_OK, ARP_REPLY, ARP_REQUEST, ARP_SENDER_MAC, arpOperation, arpSender, arpTarget, checkArp, emitArp,
} from '../wire/arp.js';
import { ETHERNET_HEADER, MAC_LENGTH, TYPE_ARP, TYPE_IPV4, emitEthernet, isGroupMac, isZeroMac, sameMac } from '../wire/ethernet.js';
import { IPV4_HEADER, PROTOCOL_TCP, ipv4Destination, ipv4Protocol, ipv4Source } from '../wire/ipv4.js';
import { tcpDestination, tcpSequence, tcpSource } from '../wire/tcp.js';
import { Neighbours } from './neighbours.js';
import type { NeighbourEvents } from './neighbours.js';
import { PendingPackets } from './pending.js';
import { RateLimit } from './rate_limit.js';
import { room } from './room.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** Neighbours known on one link (Linux's gc_thresh3). */
const NEIGHBOURS = 1024;
/** Blocks of 128 bytes for packets that wait: 1 MB, for the SYNs of thousands of connections that begin at once. */
const PENDING_BLOCKS = 8192;
/** Answers a second, and at once. */
const REPLY_RATE = 1000;
const REPLY_BURST = 100;
/** The own address is defended at most once in ten seconds (RFC 5227 2.4, DEFEND_INTERVAL). */
const DEFEND_RATE = 0.1;

const BROADCAST_MAC = new Uint8Array(MAC_LENGTH).fill(255);

export class Arp implements NeighbourEvents {
  readonly neighbours: Neighbours;
  readonly pending = new PendingPackets(NEIGHBOURS, PENDING_BLOCKS);
  private readonly index: number;
  private readonly device: Device;
  private readonly mac: Uint8Array;
  private readonly address: number;
  private readonly routes: Routes;
  private readonly stats: IpStats;
  private readonly transport: TransportSink;
  private readonly replies = new RateLimit(REPLY_RATE, REPLY_BURST);
  private readonly defences = new RateLimit(DEFEND_RATE, 1);
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);

  /** @param index of the interface. @param address its own, int32. @param seed for the table's hash. */
  constructor(
    index: number, device: Device, mac: Uint8Array, address: number, routes: Routes, transport: TransportSink,
    stats: IpStats, seed: number,
  ) {
    this.index = index;
    this.device = device;
    this.mac = mac;
    this.address = address;
    this.routes = routes;
    this.transport = transport;
    this.stats = stats;
    this.neighbours = new Neighbours(NEIGHBOURS, seed, this);
  }

  /** Tells every station on the link that the own address is here (RFC 5227 2.3). */
  announce(): void {
    this.send(ARP_REQUEST, BROADCAST_MAC, 0, null, 0, this.address);
  }

  /**
   * One ARP packet.
   *
   * @param toGroup the frame was not sent to this station alone.
   */
  receive(bytes: Uint8Array, at: number, length: number, toGroup: boolean, now: number): void {
    if (checkArp(bytes, at, length) !== ARP_OK || !this.isPossible(bytes, at)) {
      this.stats.ArpInErrors++;
      return;
    }
    const sender = arpSender(bytes, at);
    const senderMac = at + ARP_SENDER_MAC;
    if (sender === this.address) {
      this.conflict(bytes, senderMac, now);
      return;
    }
    const request = arpOperation(bytes, at) === ARP_REQUEST;
    const forUs = arpTarget(bytes, at) === this.address;
    if (request) this.stats.ArpInRequests++;
    else this.stats.ArpInReplies++;
    // A probe (RFC 5227) has no sender address yet: it is answered, but there is nothing to learn.
    if (sender !== 0) this.neighbours.learn(sender, bytes, senderMac, !request && forUs && !toGroup, request && forUs, now);
    if (request && forUs) this.reply(bytes, senderMac, sender, now);
  }

  /** Queues the packet at `offset` of `pending.bytes` until the link address of `entry` is known. */
  hold(entry: number, offset: number, length: number, checksumStart: number, segmentSize: number): boolean {
    const before = this.pending.discards;
    const held = this.pending.push(entry, offset, length, checksumStart, segmentSize);
    this.stats.NeighUnresolvedDiscards += this.pending.discards - before;
    return held;
  }

  solicit(entry: number, address: number, broadcast: boolean): void {
    if (broadcast) this.send(ARP_REQUEST, BROADCAST_MAC, 0, null, 0, address);
    else this.send(ARP_REQUEST, this.neighbours.macs, entry * MAC_LENGTH, null, 0, address);
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
      emitEthernet(tx, at, this.neighbours.macs, entry * MAC_LENGTH, this.mac, 0, TYPE_IPV4);
      const length = pending.shift(entry, tx, at + ETHERNET_HEADER);
      this.device.commit(ETHERNET_HEADER + length, pending.checksumStart, pending.segmentSize);
    }
  }

  /** The transport only takes note of what it is told here; it sends in its own part of the turn. */
  failed(entry: number): void {
    this.stats.NeighResFailed++;
    const pending = this.pending;
    while (!pending.isEmpty(entry)) {
      const packet = pending.peek(entry);
      const bytes = pending.bytes;
      const isTcp = ipv4Protocol(bytes, packet) === PROTOCOL_TCP;
      const tcp = packet + IPV4_HEADER;
      setMapped(this.words, 0, ipv4Source(bytes, packet));
      setMapped(this.words, ADDRESS_WORDS, ipv4Destination(bytes, packet));
      const localPort = tcpSource(bytes, tcp);
      const remotePort = tcpDestination(bytes, tcp);
      const sequence = tcpSequence(bytes, tcp);
      pending.drop(entry);
      this.stats.NeighUnresolvedDiscards++;
      if (isTcp) this.transport.unreachable(this.words, localPort, remotePort, sequence, EHOSTUNREACH, false, 0);
    }
  }

  evicted(entry: number): void {
    this.stats.NeighForcedGc++;
    this.stats.NeighUnresolvedDiscards += this.pending.clear(entry);
  }

  /** False where the sender's addresses cannot be those of a neighbour. */
  private isPossible(bytes: Uint8Array, at: number): boolean {
    const mac = at + ARP_SENDER_MAC;
    if (isGroupMac(bytes, mac) || isZeroMac(bytes, mac)) return false;
    const sender = arpSender(bytes, at);
    return sender === 0 || this.routes.isOnLink(this.index, sender);
  }

  private conflict(bytes: Uint8Array, senderMac: number, now: number): void {
    // The link may hand our own broadcasts back.
    if (sameMac(bytes, senderMac, this.mac, 0)) return;
    this.stats.ArpInConflicts++;
    if (this.defences.take(now)) this.announce();
  }

  private reply(bytes: Uint8Array, mac: number, address: number, now: number): void {
    if (this.replies.take(now)) this.send(ARP_REPLY, bytes, mac, bytes, mac, address);
    else this.stats.ArpOutDiscards++;
  }

  private send(
    operation: number, to: Uint8Array, toAt: number, targetMac: Uint8Array | null, targetMacAt: number, target: number,
  ): void {
    const at = room(this.device);
    if (at < 0) {
      this.stats.ArpOutDiscards++;
      return;
    }
    const tx = this.device.tx;
    emitEthernet(tx, at, to, toAt, this.mac, 0, TYPE_ARP);
    emitArp(tx, at + ETHERNET_HEADER, operation, this.mac, this.address, targetMac, targetMacAt, target);
    this.device.commit(ETHERNET_HEADER + ARP_LENGTH, 0, 0);
    if (operation === ARP_REQUEST) this.stats.ArpOutRequests++;
    else this.stats.ArpOutReplies++;
  }
}

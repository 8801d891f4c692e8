/**
 * ARP on one Ethernet interface (RFC 826, RFC 1122 2.3.2, RFC 5227): answers for the own address once it has one, asks for
 * others, and holds the packets that wait for an answer.
 */
import type { Device } from '../../nic/device.js';
import type { Clock, Earliest } from '../clock.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, setMapped } from '../wire/address.js';
import {
  ARP_LENGTH, ARP_OK, ARP_REPLY, ARP_REQUEST, ARP_SENDER_MAC, arpOperation, arpSender, arpTarget, checkArp, emitArp,
} from '../wire/arp.js';
import { ETHERNET_HEADER, MAC_LENGTH, TYPE_ARP, TYPE_IPV4, emitEthernet, isGroupMac, isZeroMac, sameMac } from '../wire/ethernet.js';
import type { AddressProbe } from './address_probe.js';
import { CREATE, OVERRIDE, REACHABLE_TIME, SOLICITED } from './neighbours.js';
import { RateLimit } from './rate_limit.js';
import { Resolver } from './resolver.js';
import type { Resolution, Solicitor } from './resolver.js';
import { room } from './room.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** Of two answers to a request the first counts: a link address that has just come stands for so long, in µs. */
const LOCK_TIME = 1e6;
/** Answers a second, and at once. */
const REPLY_RATE = 1000;
const REPLY_BURST = 100;
/** Between the two announcements of the own address, in µs. */
const ANNOUNCE_INTERVAL = 2e6;
/** The own address is defended at most once in ten seconds (RFC 5227 2.4, DEFEND_INTERVAL). */
const DEFEND_RATE = 0.1;

const BROADCAST_MAC = new Uint8Array(MAC_LENGTH).fill(255);

export class Arp implements Resolution, Solicitor {
  readonly resolver: Resolver;
  private readonly index: number;
  private readonly device: Device;
  private readonly mac: Uint8Array;
  /** The own address, int32; 0 while there is none in use. */
  private address: number;
  /** Looks whether an address is another's; hears every packet of other stations. */
  private probe: AddressProbe | null = null;
  private readonly routes: Routes;
  private readonly stats: IpStats;
  private readonly replies = new RateLimit(REPLY_RATE, REPLY_BURST);
  private readonly defences = new RateLimit(DEFEND_RATE, 1);
  /** When the own address is announced once more. */
  private announceAt = Infinity;
  /** The sender of the packet at hand. */
  private readonly sender = new Int32Array(ADDRESS_WORDS);

  /** @param index of the interface. @param address its own, int32; 0: none yet. @param seed for the table's hash. */
  constructor(
    index: number, device: Device, mac: Uint8Array, address: number, routes: Routes, transport: TransportSink,
    stats: IpStats, seed: number, clock: Clock,
  ) {
    this.index = index;
    this.device = device;
    this.mac = mac;
    this.address = address;
    this.routes = routes;
    this.stats = stats;
    this.resolver = new Resolver(device, mac, TYPE_IPV4, this, transport, stats, seed, REACHABLE_TIME, LOCK_TIME, clock);
  }

  /** Packets go to a probe as well from now on. */
  hear(probe: AddressProbe): void {
    this.probe = probe;
  }

  /** Tells every station on the link that the own address is here: now, and once more (RFC 5227 2.3). */
  announce(now: number): void {
    this.tell();
    this.announceAt = now + ANNOUNCE_INTERVAL;
  }

  /** The own address is this one from now on, and is announced. */
  use(address: number, now: number): void {
    this.address = address;
    this.announce(now);
  }

  /** There is no own address any more: nobody is answered. */
  drop(): void {
    this.address = 0;
    this.announceAt = Infinity;
  }

  /** Asks every station who has an address, as one that has none itself (RFC 5227 2.1). */
  ask(address: number): void {
    this.send(ARP_REQUEST, BROADCAST_MAC, 0, null, 0, address, 0);
  }

  advance(now: number): void {
    if (this.announceAt <= now) {
      this.announceAt = Infinity;
      this.tell();
    }
    this.resolver.neighbours.advance();
  }

  dueBy(next: Earliest): void {
    next.take(this.announceAt);
    this.resolver.neighbours.dueBy(next);
  }

  private tell(): void {
    this.send(ARP_REQUEST, BROADCAST_MAC, 0, null, 0, this.address, this.address);
  }

  /**
   * One ARP packet.
   *
   * @param toGroup the frame was not sent to this station alone.
   */
  receive(bytes: Uint8Array, at: number, length: number, toGroup: boolean, now: number): void {
    if (checkArp(bytes, at, length) !== ARP_OK || !isStation(bytes, at + ARP_SENDER_MAC)) {
      this.stats.ArpInErrors++;
      return;
    }
    const sender = arpSender(bytes, at);
    const senderMac = at + ARP_SENDER_MAC;
    const request = arpOperation(bytes, at) === ARP_REQUEST;
    const target = arpTarget(bytes, at);
    // The link may hand our own broadcasts back.
    if (this.probe !== null && !sameMac(bytes, senderMac, this.mac, 0)) this.probe.heard(sender, target, request, bytes, senderMac, now);
    if (this.address === 0) return;
    if (sender !== 0 && !this.routes.isOnLink(this.index, sender)) {
      this.stats.ArpInErrors++;
      return;
    }
    if (sender === this.address) {
      this.conflict(bytes, senderMac, now);
      return;
    }
    const forUs = target === this.address;
    if (request) this.stats.ArpInRequests++;
    else this.stats.ArpInReplies++;
    // A probe (RFC 5227) has no sender address yet: it is answered, but there is nothing to learn.
    if (sender !== 0) {
      setMapped(this.sender, 0, sender);
      const how = OVERRIDE | (!request && forUs && !toGroup ? SOLICITED : 0) | (request && forUs ? CREATE : 0);
      this.resolver.neighbours.learn(this.sender, 0, bytes, senderMac, how);
    }
    if (request && forUs) this.reply(bytes, senderMac, sender, now);
  }

  solicit(entry: number, everybody: boolean): void {
    const { addresses, macs } = this.resolver.neighbours;
    const address = addresses[ADDRESS_WORDS * entry + 3]!;
    if (everybody) this.send(ARP_REQUEST, BROADCAST_MAC, 0, null, 0, address, this.address);
    else this.send(ARP_REQUEST, macs, entry * MAC_LENGTH, null, 0, address, this.address);
  }

  private conflict(bytes: Uint8Array, senderMac: number, now: number): void {
    if (sameMac(bytes, senderMac, this.mac, 0)) return;
    this.stats.ArpInConflicts++;
    if (this.defences.take(now)) this.tell();
  }

  private reply(bytes: Uint8Array, mac: number, address: number, now: number): void {
    if (this.replies.take(now)) this.send(ARP_REPLY, bytes, mac, bytes, mac, address, this.address);
    else this.stats.ArpOutDiscards++;
  }

  private send(
    operation: number, to: Uint8Array, toAt: number, targetMac: Uint8Array | null, targetMacAt: number, target: number, sender: number,
  ): void {
    const at = room(this.device);
    if (at < 0) {
      this.stats.ArpOutDiscards++;
      return;
    }
    const tx = this.device.tx;
    emitEthernet(tx, at, to, toAt, this.mac, 0, TYPE_ARP);
    emitArp(tx, at + ETHERNET_HEADER, operation, this.mac, sender, targetMac, targetMacAt, target);
    this.device.commit(ETHERNET_HEADER + ARP_LENGTH, 0, 0);
    if (operation === ARP_REQUEST) this.stats.ArpOutRequests++;
    else this.stats.ArpOutReplies++;
  }
}

/** False where a link address cannot be that of a station. */
function isStation(bytes: Uint8Array, mac: number): boolean {
  return !isGroupMac(bytes, mac) && !isZeroMac(bytes, mac);
}

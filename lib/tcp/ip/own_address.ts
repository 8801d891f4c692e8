/**
 * The IPv4 address of one Ethernet interface: configured, and used at once or after it was probed for (RFC 5227 2.1.1); or leased by DHCP
 * for as long as the lease lasts. Carries the messages of DHCP, of which nothing else of the stack knows.
 */
import type { Earliest } from '../clock.js';
import type { Device } from '../../nic/device.js';
import { RX_CHECKSUM_VALID } from '../../nic/device.js';
import { ADDRESS_WORDS, BROADCAST4, formatDotted, setMapped } from '../wire/address.js';
import { DHCP_ACK, DHCP_CLIENT_PORT, DHCP_SERVER_PORT, DhcpReply, emitDhcp } from '../wire/dhcp.js';
import type { DhcpRequest } from '../wire/dhcp.js';
import {
  ETHERNET_HEADER, ETHERNET_SOURCE, MAC_LENGTH, TYPE_IPV4, copyMac, emitEthernet, isGroupMac, isZeroMac,
} from '../wire/ethernet.js';
import {
  FRAGMENT_OFFSET, IPV4_HEADER, IPV4_OK, IPV4_PROTOCOL, MORE_FRAGMENTS, PROTOCOL_UDP, checkIPv4, emitIPv4, ipv4Destination, ipv4Fragment,
  ipv4HeaderLength, ipv4Source, ipv4TotalLength,
} from '../wire/ipv4.js';
import { UDP_HEADER, UDP_OK, checkUdp, emitUdp, udpDestination, udpLength } from '../wire/udp.js';
import type { TransportSink } from '../transport.js';
import { AddressProbe } from './address_probe.js';
import type { ProbeEvents } from './address_probe.js';
import type { Arp } from './arp.js';
import { DHCP_PROBING, Dhcp } from './dhcp.js';
import type { DhcpEvents, Lease } from './dhcp.js';
import { room } from './room.js';
import type { Routes } from './routes.js';
import type { IpStats } from './stats.js';

/** An MTU below this is not believed: what every host takes (RFC 791 3.1). */
const MTU_LEAST = 576;
const TIME_TO_LIVE = 64;
/** Messages of DHCP that are taken, headers included: as large as every link carries them. */
const MESSAGE_MOST = 576;

const BROADCAST_MAC = new Uint8Array(MAC_LENGTH).fill(255);

/** How the interface comes by its address. */
export type AddressOrigin =
  | { readonly kind: 'configured'; readonly address: number; readonly prefix: number; readonly gateway: string | null; readonly probed: boolean }
  /** @see InterfaceConfig.dhcp */
  | { readonly kind: 'dhcp'; readonly clientId: Uint8Array | null };

/** What the owner of the interface is told. */
export interface OwnAddressEvents {
  /** The address, or what goes with it, is another one. @param mtu of IPv4 there; 0: the link's. */
  changed(mtu: number): void;
}

/** Where an address was found to be another station's. */
export interface Conflict {
  /** Dotted. */
  readonly address: string;
  /** Link address of the station, "02:00:00:00:00:01". */
  readonly mac: string;
}

export class OwnAddress implements DhcpEvents, ProbeEvents {
  /** The last conflict that a probe has found; null where there was none since. */
  conflict: Conflict | null = null;
  /** The address in use, int32; 0: none. */
  address = 0;
  prefix = 0;
  private readonly index: number;
  private readonly device: Device;
  private readonly mac: Uint8Array;
  private readonly arp: Arp;
  private readonly routes: Routes;
  private readonly transport: TransportSink;
  private readonly stats: IpStats;
  private readonly origin: AddressOrigin;
  private readonly events: OwnAddressEvents;
  private readonly probing: AddressProbe;
  private readonly dhcp: Dhcp | null;
  private readonly clientId: Uint8Array;
  private readonly reply = new DhcpReply();
  /** Link address that the last lease came from: the server's, or that of a relay before it. */
  private readonly serverMac = new Uint8Array(MAC_LENGTH);
  private readonly words = new Int32Array(ADDRESS_WORDS);
  /** What the server has given, once it is in use. */
  private lease: Lease | null = null;

  /** @param arp without an address where `origin` does not say that it is to be used at once. @param random returns 32 random bits. */
  constructor(
    index: number, device: Device, mac: Uint8Array, arp: Arp, routes: Routes, transport: TransportSink, stats: IpStats, origin: AddressOrigin,
    random: () => number, events: OwnAddressEvents,
  ) {
    this.index = index;
    this.device = device;
    this.mac = mac;
    this.arp = arp;
    this.routes = routes;
    this.transport = transport;
    this.stats = stats;
    this.origin = origin;
    this.events = events;
    this.probing = new AddressProbe(this, random);
    this.dhcp = origin.kind === 'dhcp' ? new Dhcp(this, random) : null;
    // RFC 2132 9.14: the type of the hardware, and its address.
    this.clientId = origin.kind === 'dhcp' && origin.clientId !== null ? origin.clientId : Uint8Array.of(1, ...mac);
    if (origin.kind === 'configured' && !origin.probed) this.enter(origin.address, origin.prefix, origin.gateway);
    else arp.hear(this.probing);
  }

  /** True while no address is in use yet that may still come. */
  get settling(): boolean {
    return this.address === 0 && (this.dhcp !== null || this.probing.running);
  }

  /** Whether the address comes from a server; `offered`: at least one has answered. */
  get leased(): boolean {
    return this.dhcp !== null;
  }

  get offered(): boolean {
    return this.dhcp !== null && this.dhcp.offers > 0;
  }

  /** An answer was taken, and only the probe is still to end. */
  get granted(): boolean {
    return this.dhcp !== null && this.dhcp.state === DHCP_PROBING;
  }

  start(now: number): void {
    if (this.dhcp !== null) this.dhcp.start(now);
    else if (this.origin.kind === 'configured' && this.origin.probed) this.probing.start(this.origin.address, now);
    else this.arp.announce(now);
  }

  /** The interface is closed in good order: what was leased is given back. */
  stop(): void {
    this.probing.stop();
    this.dhcp?.stop();
  }

  advance(now: number): void {
    this.probing.advance(now);
    if (this.dhcp !== null) this.dhcp.advance(now);
  }

  dueBy(next: Earliest): void {
    this.probing.dueBy(next);
    if (this.dhcp !== null) this.dhcp.dueBy(next);
  }

  // ---- DHCP

  /**
   * Whether an IPv4 packet, of Ethernet, is one of DHCP, and therefore none for anybody else here. Where it is, it is dealt with.
   *
   * @param flags as in `FrameSink.frame`.
   */
  takes(bytes: Uint8Array, at: number, length: number, flags: number, now: number): boolean {
    if (this.dhcp === null || length < IPV4_HEADER + UDP_HEADER || bytes[at + IPV4_PROTOCOL] !== PROTOCOL_UDP) return false;
    if (udpDestination(bytes, at + ipv4HeaderLength(bytes, at)) !== DHCP_CLIENT_PORT) return false;
    this.stats.IpInReceives++;
    this.stats.IpExtInOctets += length;
    if (this.received(this.dhcp, bytes, at, length, flags, now)) {
      this.stats.IpInDelivers++;
      this.stats.DhcpInMsgs++;
    } else {
      this.stats.DhcpInErrors++;
    }
    return true;
  }

  private received(dhcp: Dhcp, bytes: Uint8Array, at: number, length: number, flags: number, now: number): boolean {
    if (checkIPv4(bytes, at, length) !== IPV4_OK) return false;
    // A server keeps to the size that it was told to keep to.
    if ((ipv4Fragment(bytes, at) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) !== 0) return false;
    const udp = at + ipv4HeaderLength(bytes, at);
    const left = at + ipv4TotalLength(bytes, at) - udp;
    const verified = (flags & RX_CHECKSUM_VALID) !== 0;
    if (checkUdp(bytes, udp, left, ipv4Source(bytes, at), ipv4Destination(bytes, at), verified) !== UDP_OK) return false;
    if (!this.reply.parse(bytes, udp + UDP_HEADER, udpLength(bytes, udp) - UDP_HEADER, this.mac)) return false;
    const from = at - ETHERNET_HEADER + ETHERNET_SOURCE;
    if (isGroupMac(bytes, from) || isZeroMac(bytes, from)) return false;
    if (!dhcp.receive(this.reply, now)) return false;
    if (this.reply.type === DHCP_ACK) copyMac(bytes, from, this.serverMac, 0);
    return true;
  }

  /** RFC 2131 4.4.5: what extends a lease, and what ends it, goes to the server that gave it. */
  send(message: DhcpRequest, server: number): void {
    const at = room(this.device);
    if (at < 0) {
      this.stats.IpOutDiscards++;
      return;
    }
    const tx = this.device.tx;
    const ip = at + ETHERNET_HEADER;
    const udp = ip + IPV4_HEADER;
    const destination = server === 0 ? BROADCAST4 : server;
    emitEthernet(tx, at, server === 0 ? BROADCAST_MAC : this.serverMac, 0, this.mac, 0, TYPE_IPV4);
    const length = UDP_HEADER + emitDhcp(tx, udp + UDP_HEADER, message, this.mac, this.clientId, MESSAGE_MOST);
    emitUdp(tx, udp, message.own, DHCP_CLIENT_PORT, destination, DHCP_SERVER_PORT, length - UDP_HEADER);
    emitIPv4(tx, ip, 0, IPV4_HEADER + length, 0, 0, TIME_TO_LIVE, PROTOCOL_UDP, message.own, destination);
    this.device.commit(ETHERNET_HEADER + IPV4_HEADER + length, 0, 0);
    this.stats.DhcpOutMsgs++;
    this.stats.IpOutRequests++;
    this.stats.IpExtOutOctets += IPV4_HEADER + length;
  }

  check(address: number, now: number): void {
    this.probing.start(address, now);
  }

  bound(lease: Lease, now: number): void {
    const before = this.lease;
    this.lease = lease;
    if (before !== null) {
      this.stats.DhcpRenewals++;
      if (isSame(before, lease)) return;
      this.routes.remove(this.index);
    }
    const { address, prefix, gateway, routes, mtu } = lease;
    this.enter(address, prefix, gateway === 0 ? null : formatDotted(gateway));
    if (routes.length > 0) this.routes.addStatic(this.index, routes);
    if (before === null) {
      this.stats.DhcpLeases++;
      this.arp.use(address, now);
    }
    this.events.changed(mtu >= MTU_LEAST ? mtu : 0);
  }

  lost(address: number): void {
    this.stats.DhcpLost++;
    this.lease = null;
    this.address = 0;
    this.arp.drop();
    this.routes.remove(this.index);
    setMapped(this.words, 0, address);
    this.events.changed(0);
    this.transport.withdrawn(this.words, 0);
  }

  // ---- the probe

  ask(address: number): void {
    this.arp.ask(address);
  }

  free(_address: number, now: number): void {
    this.conflict = null;
    if (this.dhcp !== null) {
      this.dhcp.usable(now);
      return;
    }
    if (this.origin.kind !== 'configured') return;
    this.enter(this.origin.address, this.origin.prefix, this.origin.gateway);
    this.arp.use(this.origin.address, now);
    this.events.changed(0);
  }

  taken(address: number, mac: Uint8Array, now: number): void {
    this.stats.ArpInConflicts++;
    this.conflict = { address: formatDotted(address), mac: macText(mac) };
    if (this.dhcp !== null) this.dhcp.inUse(now);
  }

  private enter(address: number, prefix: number, gateway: string | null): void {
    this.address = address;
    this.prefix = prefix;
    this.routes.add(this.index, formatDotted(address), prefix, gateway);
  }
}

function isSame(a: Lease, b: Lease): boolean {
  return a.address === b.address && a.prefix === b.prefix && a.gateway === b.gateway && a.mtu === b.mtu
    && a.routes.length === b.routes.length
    && a.routes.every(({ network, prefix, gateway }, i) => network === b.routes[i]!.network && prefix === b.routes[i]!.prefix && gateway === b.routes[i]!.gateway);
}

function macText(mac: Uint8Array): string {
  return Array.from(mac, (byte) => byte.toString(16).padStart(2, '0')).join(':');
}

/**
 * Neighbour discovery on one Ethernet interface (RFC 4861): answers for the own addresses, asks for others, and before all
 * that makes sure that no other station has the own ones (RFC 4862 5.4).
 */
import type { Device } from '../../nic/device.js';
import type { Clock, Earliest } from '../clock.js';
import type { TransportSink } from '../transport.js';
import {
  ADDRESS_WORDS, copyAddress, isLinkLocal6, isMulticast6, isUnspecified6, sameAddress,
} from '../wire/address.js';
import { getWords, put16, put32, putWords } from '../wire/bytes.js';
import { ETHERNET_HEADER, MAC_LENGTH, TYPE_IPV6, emitEthernet, isGroupMac, isZeroMac, sameMac } from '../wire/ethernet.js';
import { NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, ROUTER_SOLICITATION, finishIcmp6, icmp6Type } from '../wire/icmp6.js';
import { ICMP6, IPV6_HEADER, emitIPv6 } from '../wire/ipv6.js';
import {
  ALL_NODES, NDP_HOP_LIMIT, NDP_TARGET, NONCE, SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS, checkNdp, emitAdvertisement,
  emitSolicitation, ndpOption, ndpOverride, ndpSolicited, setGroupMac, setSolicitedNode,
} from '../wire/ndp.js';
import { ALL_ROUTERS, emitRouterSolicitation } from '../wire/router.js';
import { CREATE, OVERRIDE, REACHABLE_TIME, RETRANSMIT_TIME, SOLICITED } from './neighbours.js';
import { Mld } from './mld.js';
import { RateLimit } from './rate_limit.js';
import { Resolver } from './resolver.js';
import type { Resolution, Solicitor } from './resolver.js';
import { room } from './room.js';
import type { RouterDiscovery, RouterLink } from './router_discovery.js';
import { DUPLICATE, PREFERRED, TENTATIVE } from './routes6.js';
import type { Address6, Routes6 } from './routes6.js';
import type { IpStats } from './stats.js';

/** Answers a second, and at once. */
const REPLY_RATE = 1000;
const REPLY_BURST = 100;
/** An own address is defended at most once in ten seconds, as with ARP (RFC 5227 2.4). */
const DEFEND_RATE = 0.1;

const UNSPECIFIED = new Int32Array(ADDRESS_WORDS);

export class Ndp implements Resolution, Solicitor, RouterLink {
  readonly resolver: Resolver;
  /** Tells the link of the groups that this interface is in. */
  readonly groups: Mld;
  private readonly index: number;
  private readonly device: Device;
  private readonly mac: Uint8Array;
  private readonly routes: Routes6;
  private readonly stats: IpStats;
  private readonly changed: () => void;
  /** The addresses of this interface. */
  private readonly addresses: Address6[];
  /** Solicitations that ask whether another station has an own address (RFC 4862 5.1, DupAddrDetectTransmits). */
  private readonly transmits: number;
  /** Follows the routers of the link; null where they are configured. */
  private discovery: RouterDiscovery | null = null;
  /** Of the time that a neighbour is believed to be there this is the share here. */
  private readonly reachableShare: number;
  /** Tells own solicitations, which the link may hand back, from those of others (RFC 7527). */
  private readonly nonce = new Uint8Array(MAC_LENGTH);
  private readonly replies = new RateLimit(REPLY_RATE, REPLY_BURST);
  private readonly defences = new RateLimit(DEFEND_RATE, 1);
  /** Target of the message that has arrived. */
  private readonly target = new Int32Array(ADDRESS_WORDS);
  /** Target of a solicitation that is sent: asked for in the midst of an answer, at times. */
  private readonly asked = new Int32Array(ADDRESS_WORDS);
  /** Source and destination of what is sent. */
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);
  private readonly groupMac = new Uint8Array(MAC_LENGTH);

  /**
   * @param transmits solicitations before an own address is used; 0: it is used at once.
   * @param changed called when an address has been taken into use.
   */
  constructor(
    index: number, device: Device, mac: Uint8Array, routes: Routes6, transport: TransportSink, stats: IpStats,
    random: () => number, transmits: number, clock: Clock, changed: () => void,
  ) {
    this.changed = changed;
    this.index = index;
    this.device = device;
    this.mac = mac;
    this.routes = routes;
    this.stats = stats;
    this.transmits = transmits;
    this.addresses = routes.addresses.filter((address) => address.index === index);
    // RFC 4861 6.3.2: a random time of half to one and a half, so that hosts do not ask in step.
    this.reachableShare = 0.5 + (random() >>> 0) / 2 ** 32;
    this.resolver = new Resolver(device, mac, TYPE_IPV6, this, transport, stats, random(), REACHABLE_TIME * this.reachableShare, 0, clock);
    this.groups = new Mld(device, mac, stats, random, (words, at) => this.linkLocal(words, at));
    put32(this.nonce, 0, random());
    put16(this.nonce, 4, random());
  }

  /** Joins the groups of the own addresses and begins to look whether they are this host's alone. */
  start(now: number): void {
    this.join(ALL_NODES);
    for (const address of this.addresses) this.begin(address, now);
    this.discovery?.start(now);
    this.advance(now);
  }

  /** From now on the routers of the link are followed. */
  follow(discovery: RouterDiscovery): void {
    this.discovery = discovery;
  }

  /** Whether the routers of the link are to be followed, and how. */
  get routers(): RouterDiscovery | null {
    return this.discovery;
  }

  add(address: Address6, at: number): void {
    this.addresses.push(address);
    this.begin(address, at);
  }

  remove(address: Address6): void {
    this.addresses.splice(this.addresses.indexOf(address), 1);
    setSolicitedNode(this.words, 0, address.words, 0);
    if (this.groups.leave(this.words)) this.leave(this.words);
  }

  private begin(address: Address6, at: number): void {
    this.takeAddress(address.words);
    setSolicitedNode(this.words, 0, address.words, 0);
    this.join(this.words);
    this.groups.join(this.words);
    address.state = TENTATIVE;
    address.probesLeft = this.transmits;
    address.probeAt = at;
  }

  advance(now: number): void {
    if (this.discovery !== null) this.discovery.advance(now);
    // RFC 4862 5.4.2: switches must know of the group before the address is asked for.
    this.groups.advance(now);
    for (let i = 0; i < this.addresses.length; i++) {
      const address = this.addresses[i]!;
      if (address.state === TENTATIVE && address.probeAt <= now) this.probe(address, now);
    }
    this.resolver.neighbours.advance();
  }

  dueBy(next: Earliest): void {
    this.resolver.neighbours.dueBy(next);
    this.groups.dueBy(next);
    if (this.discovery !== null) this.discovery.dueBy(next);
    for (let i = 0; i < this.addresses.length; i++) {
      if (this.addresses[i]!.state === TENTATIVE) next.take(this.addresses[i]!.probeAt);
    }
  }

  /** True where this interface is in the group at `words[at]`. */
  isMember(words: Int32Array, at: number): boolean {
    if (sameAddress(words, at, ALL_NODES, 0)) return true;
    for (let i = 0; i < this.addresses.length; i++) {
      setSolicitedNode(this.words, 0, this.addresses[i]!.words, 0);
      if (sameAddress(words, at, this.words, 0)) return true;
    }
    return false;
  }

  /**
   * A solicitation or advertisement of `length` bytes, its checksum good, which has not crossed a router.
   *
   * @param words source and destination. @returns false where it is not as RFC 4861 7.1 wants it.
   */
  receive(bytes: Uint8Array, at: number, length: number, words: Int32Array, now: number): boolean {
    if (!checkNdp(bytes, at, length)) return false;
    getWords(bytes, at + NDP_TARGET, this.target, 0);
    if (isMulticast6(this.target, 0)) return false;
    const own = this.routes.find(this.target, 0);
    const mine = own !== null && own.index === this.index ? own : null;
    return icmp6Type(bytes, at) === NEIGHBOUR_SOLICITATION
      ? this.solicited(bytes, at, length, words, mine, now) : this.advertised(bytes, at, length, words, mine, now);
  }

  solicit(entry: number, everybody: boolean): void {
    const { addresses, macs } = this.resolver.neighbours;
    const { words, asked } = this;
    copyAddress(addresses, ADDRESS_WORDS * entry, asked, 0);
    if (!this.routes.sourceOn(this.index, asked, 0, words, 0)) return;
    if (everybody) {
      setSolicitedNode(words, ADDRESS_WORDS, asked, 0);
      this.send(NEIGHBOUR_SOLICITATION, asked, null, 0, false);
    } else {
      copyAddress(asked, 0, words, ADDRESS_WORDS);
      this.send(NEIGHBOUR_SOLICITATION, asked, macs, entry * MAC_LENGTH, false);
    }
  }

  unanswered(entry: number): void {
    this.routes.unanswered(this.index, this.resolver.neighbours.addresses, ADDRESS_WORDS * entry);
  }

  // ---- for the routers

  /** RFC 4861 6.3.7: from a link-local address, or from none while there is none yet. */
  solicitRouters(): void {
    const { words } = this;
    copyAddress(ALL_ROUTERS, 0, words, ADDRESS_WORDS);
    if (!this.routes.sourceOn(this.index, ALL_ROUTERS, 0, words, 0)) copyAddress(UNSPECIFIED, 0, words, 0);
    this.send(ROUTER_SOLICITATION, ALL_ROUTERS, null, 0, false);
  }

  learnRouter(words: Int32Array, mac: Uint8Array, macAt: number): void {
    if (isPossibleMac(mac, macAt)) this.resolver.neighbours.learn(words, 0, mac, macAt, OVERRIDE | CREATE);
  }

  setReachableTime(time: number): void {
    this.resolver.neighbours.setReachableTime(time * this.reachableShare);
  }

  // ---- what arrives

  private solicited(
    bytes: Uint8Array, at: number, length: number, words: Int32Array, mine: Address6 | null, now: number,
  ): boolean {
    const mac = ndpOption(bytes, at, length, SOURCE_LINK_ADDRESS);
    const probe = isUnspecified6(words, 0);
    // RFC 4861 7.1.1: who has no address yet names no link address, and asks the group.
    if (probe && (mac >= 0 || !isMulticast6(words, ADDRESS_WORDS))) return false;
    if (mac >= 0 && !isPossibleMac(bytes, mac)) return false;
    const claimed = probe ? null : this.routes.find(words, 0);
    if (claimed !== null) {
      if (mac < 0 || !sameMac(bytes, mac, this.mac, 0)) this.claimed(claimed, now);
      return true;
    }
    if (mine === null || mine.state === DUPLICATE) return true;
    if (mine.state === TENTATIVE) {
      // RFC 4862 5.4.3: another station wants the same address; and RFC 7527 4.2: unless it is this one.
      if (probe && !this.isOwnNonce(bytes, at, length)) this.conflict(mine, now);
      return true;
    }
    if (!this.replies.take(now)) {
      this.stats.Icmp6OutRateLimitHost++;
      return true;
    }
    copyAddress(this.target, 0, this.words, 0);
    if (probe) {
      copyAddress(ALL_NODES, 0, this.words, ADDRESS_WORDS);
      this.send(NEIGHBOUR_ADVERTISEMENT, this.target, null, 0, false);
      return true;
    }
    const { neighbours } = this.resolver;
    if (mac >= 0 && this.routes.isOnLink(this.index, words, 0)) neighbours.learn(words, 0, bytes, mac, OVERRIDE | CREATE);
    copyAddress(words, 0, this.words, ADDRESS_WORDS);
    if (mac >= 0) this.send(NEIGHBOUR_ADVERTISEMENT, this.target, bytes, mac, true);
    else this.advertiseTo(neighbours.use(words, 0));
    return true;
  }

  private advertised(
    bytes: Uint8Array, at: number, length: number, words: Int32Array, mine: Address6 | null, now: number,
  ): boolean {
    const solicited = ndpSolicited(bytes, at);
    if (solicited && isMulticast6(words, ADDRESS_WORDS)) return false;
    const mac = ndpOption(bytes, at, length, TARGET_LINK_ADDRESS);
    if (mac >= 0 && !isPossibleMac(bytes, mac)) return false;
    if (mine !== null) {
      // The link may hand our own advertisements back.
      if (mac < 0 || !sameMac(bytes, mac, this.mac, 0)) this.claimed(mine, now);
      return true;
    }
    const how = (solicited ? SOLICITED : 0) | (ndpOverride(bytes, at) ? OVERRIDE : 0);
    if (mac >= 0) this.resolver.neighbours.learn(this.target, 0, bytes, mac, how);
    // RFC 4861 7.2.5: without a link address it tells only that the neighbour is there.
    else if (solicited) this.resolver.neighbours.confirm(this.target, 0);
    return true;
  }

  /** Another station says that it has an own address. */
  private claimed(mine: Address6, now: number): void {
    if (mine.state === TENTATIVE) {
      this.conflict(mine, now);
    } else if (mine.inUse) {
      this.stats.NdpInConflicts++;
      if (this.defences.take(now)) this.announce(mine);
    }
  }

  private conflict(mine: Address6, now: number): void {
    mine.state = DUPLICATE;
    this.stats.NdpDuplicates++;
    this.discovery?.duplicate(mine, now);
  }

  private isOwnNonce(bytes: Uint8Array, at: number, length: number): boolean {
    const nonce = ndpOption(bytes, at, length, NONCE);
    return nonce >= 0 && sameMac(bytes, nonce, this.nonce, 0);
  }

  // ---- what is sent

  /** One step of duplicate address detection: asks once more, or takes the address into use. */
  private probe(address: Address6, now: number): void {
    if (address.probesLeft === 0) {
      address.state = PREFERRED;
      this.discovery?.taken(address, now);
      if (isLinkLocal6(address.words, 0)) this.groups.sourceCame();
      this.announce(address);
      this.changed();
      return;
    }
    address.probesLeft--;
    address.probeAt = now + RETRANSMIT_TIME;
    copyAddress(UNSPECIFIED, 0, this.words, 0);
    setSolicitedNode(this.words, ADDRESS_WORDS, address.words, 0);
    this.send(NEIGHBOUR_SOLICITATION, address.words, null, 0, false);
  }

  /** Tells all stations where an own address is (RFC 4861 7.2.6): they may remember another link address for it. */
  private announce(address: Address6): void {
    copyAddress(address.words, 0, this.words, 0);
    copyAddress(ALL_NODES, 0, this.words, ADDRESS_WORDS);
    this.send(NEIGHBOUR_ADVERTISEMENT, address.words, null, 0, false);
  }

  /** Answers a neighbour whose solicitation named no link address. */
  private advertiseTo(entry: number): void {
    const { neighbours, pending } = this.resolver;
    if (neighbours.isUsable(entry)) {
      this.send(NEIGHBOUR_ADVERTISEMENT, this.target, neighbours.macs, entry * MAC_LENGTH, true);
      return;
    }
    // Who asked for the neighbour has used the words.
    copyAddress(neighbours.addresses, ADDRESS_WORDS * entry, this.words, ADDRESS_WORDS);
    copyAddress(this.target, 0, this.words, 0);
    const length = this.write(pending.bytes, pending.scratch, NEIGHBOUR_ADVERTISEMENT, this.target, true);
    this.resolver.hold(entry, pending.scratch, length, 0, 0);
  }

  /** Sends a message about `target` between the addresses in `words`. @param mac null: to the group that the destination is. */
  private send(type: number, target: Int32Array, mac: Uint8Array | null, macAt: number, solicited: boolean): void {
    const at = room(this.device);
    if (at < 0) {
      this.stats.Ip6OutDiscards++;
      return;
    }
    const tx = this.device.tx;
    if (mac === null) {
      setGroupMac(this.groupMac, 0, this.words, ADDRESS_WORDS);
      emitEthernet(tx, at, this.groupMac, 0, this.mac, 0, TYPE_IPV6);
    } else {
      emitEthernet(tx, at, mac, macAt, this.mac, 0, TYPE_IPV6);
    }
    this.device.commit(ETHERNET_HEADER + this.write(tx, at + ETHERNET_HEADER, type, target, solicited), 0, 0);
  }

  /** Writes the packet. Returns its length. */
  private write(bytes: Uint8Array, at: number, type: number, target: Int32Array, solicited: boolean): number {
    const { stats, words } = this;
    const message = at + IPV6_HEADER;
    let length: number;
    if (type === NEIGHBOUR_SOLICITATION) {
      const probe = isUnspecified6(words, 0);
      length = emitSolicitation(bytes, message, target, 0, probe ? NONCE : SOURCE_LINK_ADDRESS, probe ? this.nonce : this.mac);
      stats.Icmp6OutNeighborSolicits++;
    } else if (type === ROUTER_SOLICITATION) {
      length = emitRouterSolicitation(bytes, message, isUnspecified6(words, 0) ? null : this.mac);
      stats.Icmp6OutRouterSolicits++;
    } else {
      length = emitAdvertisement(bytes, message, target, 0, solicited, this.mac);
      stats.Icmp6OutNeighborAdvertisements++;
    }
    finishIcmp6(bytes, message, length, words, 0, ADDRESS_WORDS);
    emitIPv6(bytes, at, 0, 0, length, ICMP6, NDP_HOP_LIMIT, words, 0, ADDRESS_WORDS);
    stats.Icmp6OutMsgs++;
    stats.Ip6OutRequests++;
    stats.Ip6OutOctets += IPV6_HEADER + length;
    if (isMulticast6(words, ADDRESS_WORDS)) stats.Ip6OutMcastPkts++;
    return IPV6_HEADER + length;
  }

  /** A link-local address is none that the device was opened with. */
  private takeAddress(address: Int32Array): void {
    const bytes = new Uint8Array(4 * ADDRESS_WORDS);
    putWords(bytes, 0, address, 0);
    this.device.takeAddress?.(bytes);
  }

  private join(group: Int32Array): void {
    const mac = new Uint8Array(MAC_LENGTH);
    setGroupMac(mac, 0, group, 0);
    this.device.joinGroup?.(mac);
  }

  /** A link-local address to send from; false where there is none yet. */
  private linkLocal(words: Int32Array, at: number): boolean {
    const own = this.addresses.find((address) => address.inUse && isLinkLocal6(address.words, 0));
    if (own !== undefined) copyAddress(own.words, 0, words, at);
    return own !== undefined;
  }

  private leave(group: Int32Array): void {
    const mac = new Uint8Array(MAC_LENGTH);
    setGroupMac(mac, 0, group, 0);
    this.device.leaveGroup?.(mac);
  }
}

function isPossibleMac(bytes: Uint8Array, at: number): boolean {
  return !isGroupMac(bytes, at) && !isZeroMac(bytes, at);
}

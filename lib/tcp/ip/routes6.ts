/**
 * Where IPv6 packets go: the addresses of this host, what is on each link, and the default routers.
 *
 * There are a handful of addresses, so a look-up walks them; the most specific prefix wins, and of equal ones the first.
 */
import type { HostRoute } from '../../nic/device.js';
import { hashConnection } from '../siphash.js';
import {
  ADDRESS_WORDS, commonPrefix, copyAddress, formatAddress, isLinkLocal6, isLoopback6, isMapped, isMulticast6, isUnspecified6,
  parseAddress, sameAddress,
} from '../wire/address.js';
import { get16, get32, getWords } from '../wire/bytes.js';
import { NO_INTERFACE } from './routes.js';

/** States of an own address (RFC 4862 5.4, 5.5.4); from DEPRECATED on it is in use. */
/** Not yet known to be this host's alone: nothing is sent from it, and nothing for it is taken. */
export const TENTATIVE = 0;
/** Another station has it: never used. */
export const DUPLICATE = 1;
/** Connections go on, and new ones begin from it only where there is no other. */
export const DEPRECATED = 2;
export const PREFERRED = 3;

/** Bits of the prefix that an address is formed from (RFC 4862 5.5.3, RFC 4291 2.5.1). */
export const AUTOCONFIGURED_PREFIX = 64;

/** One address of this host. */
export class Address6 {
  readonly words = new Int32Array(ADDRESS_WORDS);
  /** Interface that it is of. */
  readonly index: number;
  /** Bits that its neighbours share with it, 0 to 128. Of one that was formed of a prefix 128: what is on the link is another matter. */
  readonly prefix: number;
  state = PREFERRED;
  /** It was formed of a prefix (RFC 4862 5.3, 5.5.3), and is formed anew where another station has it. */
  autoconfigured = false;
  /** How often that has been (RFC 7217 5: DAD_Counter). */
  dadCounter = 0;
  /** While it is TENTATIVE: solicitations that are still to be sent, and when the next thing is due, in µs. */
  probesLeft = 0;
  probeAt = Infinity;
  /** When it is no longer PREFERRED, and no longer an address, in µs. */
  preferredUntil = Infinity;
  validUntil = Infinity;

  constructor(words: Int32Array, prefix: number, index: number) {
    copyAddress(words, 0, this.words, 0);
    this.prefix = prefix;
    this.index = index;
  }

  get text(): string {
    return formatAddress(this.words, 0);
  }

  /** As the options of a TCP server have it: with the length of its prefix. */
  get textWithPrefix(): string {
    return `${this.text}/${this.autoconfigured ? AUTOCONFIGURED_PREFIX : this.prefix}`;
  }

  /** Packets to it are taken. */
  get inUse(): boolean {
    return this.state >= DEPRECATED;
  }

  /** True where the address at `words[at]` shares the prefix. */
  reaches(words: Int32Array, at: number): boolean {
    return commonPrefix(this.words, 0, words, at) >= this.prefix;
  }
}

/** A prefix whose addresses are on a link, whether this host has one of them or not (RFC 4861 6.3.4, RFC 5942). */
export interface OnLinkPrefix {
  readonly index: number;
  readonly words: Int32Array;
  /** Bits, 0 to 128. */
  readonly length: number;
  /** µs. */
  validUntil: number;
}

/** A router to everything that is on no link. */
export interface Router6 {
  readonly index: number;
  readonly words: Int32Array;
  /** µs; Infinity for one that is configured. */
  until: number;
}

/** A route that another has found out. */
interface FollowedRoute {
  /** Interface that it is of, or NO_INTERFACE. */
  readonly index: number;
  readonly network: Int32Array;
  readonly prefix: number;
  readonly gateway: Int32Array | null;
}

export class Routes6 {
  /** The neighbour to hand the packet to; set by `lookup`. */
  readonly nextHop = new Int32Array(ADDRESS_WORDS);
  readonly addresses: Address6[] = [];
  /** The interface that has ::1, or NO_INTERFACE. Packets to this host itself go by it. */
  private loopback = NO_INTERFACE;
  readonly onLink: OnLinkPrefix[] = [];
  /** Default routers. The first is used, until it does not answer. */
  readonly routers: Router6[] = [];
  /** All routes that there are, the one to be preferred first; null: those that follow from the addresses and the router. */
  private followed: FollowedRoute[] | null = null;
  /** The destination that was looked up last among them, and what was found. */
  private readonly lastDestination = new Int32Array(ADDRESS_WORDS);
  private lastRoute: FollowedRoute | null = null;

  /** Adds an address of an interface. @throws RangeError where no host can have it. */
  add(index: number, words: Int32Array, prefix: number): Address6 {
    const address = new Address6(words, prefix, index);
    if (isMulticast6(words, 0) || isUnspecified6(words, 0) || isMapped(words, 0)) {
      throw new RangeError(`${address.text} cannot be the address of a host`);
    }
    this.addresses.push(address);
    if (isLoopback6(words, 0) && this.loopback === NO_INTERFACE) this.loopback = index;
    return address;
  }

  /**
   * Adds a link-local address to an interface that has other addresses and none of this kind (RFC 4291 2.8). It is the same
   * each time (RFC 7217 5, with no secret), and not the one that the kernel makes of the same link address.
   */
  addLinkLocal(index: number, mac: Uint8Array): void {
    const first = this.addresses.find((address) => address.index === index);
    if (first === undefined || this.addresses.some(({ index: at, words }) => at === index && isLinkLocal6(words, 0))) return;
    const key = get32(mac, 2);
    const low = hashConnection(key, get16(mac, 0), first.words, 0, 0, 0, 64);
    const high = hashConnection(key, get16(mac, 0), first.words, 0, 0, 1, 64);
    this.add(index, Int32Array.of(0xfe800000, 0, high, low), 64);
  }

  remove(address: Address6): void {
    const at = this.addresses.indexOf(address);
    if (at >= 0) this.addresses.splice(at, 1);
  }

  /** The router to everything that is on no link. The first counts. @throws TypeError where the text is no IPv6 address. */
  setRouter(index: number, text: string): void {
    const words = new Int32Array(ADDRESS_WORDS);
    if (!parseAddress(text, words, 0) || isMapped(words, 0)) throw new TypeError(`not an IPv6 address: ${JSON.stringify(text)}`);
    this.routers.push({ index, words, until: Infinity });
  }

  /** A neighbour does not answer: where it is a router, another one is tried first (RFC 4861 6.3.6). */
  unanswered(index: number, words: Int32Array, at: number): void {
    const place = this.routers.findIndex((router) => router.index === index && sameAddress(router.words, 0, words, at));
    if (place >= 0) this.routers.push(...this.routers.splice(place, 1));
  }

  /** From now on these are the routes, and what the addresses and the router say is none. */
  follow(index: number, routes: readonly HostRoute[]): void {
    this.lastRoute = null;
    this.followed = routes.map(({ network, prefix, gateway, here }) => ({
      index: here ? index : NO_INTERFACE,
      network: wordsOf(network),
      prefix,
      gateway: gateway === null ? null : wordsOf(gateway),
    }));
  }

  /** The interface to send to `words[at]` by, or NO_INTERFACE; sets `nextHop`. */
  lookup(words: Int32Array, at: number): number {
    copyAddress(words, at, this.nextHop, 0);
    if (this.isOwn(words, at)) return this.loopback;
    if (isMulticast6(words, at) || isReserved(words, at)) return NO_INTERFACE;
    if (this.followed !== null) return this.lookupFollowed(words, at, this.followed);
    let best = NO_INTERFACE;
    let bestPrefix = -1;
    for (let i = 0; i < this.addresses.length; i++) {
      const address = this.addresses[i]!;
      if (address.prefix <= bestPrefix || !address.reaches(words, at)) continue;
      best = address.index;
      bestPrefix = address.prefix;
    }
    for (let i = 0; i < this.onLink.length; i++) {
      const prefix = this.onLink[i]!;
      if (prefix.length <= bestPrefix || commonPrefix(prefix.words, 0, words, at) < prefix.length) continue;
      best = prefix.index;
      bestPrefix = prefix.length;
    }
    // What means something on one link only goes to no router (RFC 4291 2.5.6).
    if (best !== NO_INTERFACE || this.routers.length === 0 || isLinkLocal6(words, at)) return best;
    const router = this.routers[0]!;
    copyAddress(router.words, 0, this.nextHop, 0);
    return router.index;
  }

  private lookupFollowed(words: Int32Array, at: number, routes: readonly FollowedRoute[]): number {
    let route = this.lastRoute;
    if (route === null || !sameAddress(this.lastDestination, 0, words, at)) {
      route = null;
      for (let i = 0; i < routes.length && route === null; i++) {
        if (commonPrefix(routes[i]!.network, 0, words, at) >= routes[i]!.prefix) route = routes[i]!;
      }
      if (route === null) return NO_INTERFACE;
      copyAddress(words, at, this.lastDestination, 0);
      this.lastRoute = route;
    }
    if (route.gateway !== null) copyAddress(route.gateway, 0, this.nextHop, 0);
    return route.index;
  }

  /** The own address at `words[at]`, in whatever state, or null. */
  find(words: Int32Array, at: number): Address6 | null {
    for (let i = 0; i < this.addresses.length; i++) {
      const address = this.addresses[i]!;
      if (sameAddress(address.words, 0, words, at)) return address;
    }
    return null;
  }

  /** True where packets to `words[at]` are for this host. */
  isOwn(words: Int32Array, at: number): boolean {
    const address = this.find(words, at);
    return address !== null && address.inUse;
  }

  /** Writes the source address for packets to `words[at]` to `out[outAt]`. False without a route or an address to use. */
  source(words: Int32Array, at: number, out: Int32Array, outAt: number): boolean {
    const index = this.lookup(words, at);
    if (index === NO_INTERFACE) return false;
    if (this.isOwn(words, at)) {
      copyAddress(words, at, out, outAt);
      return true;
    }
    return this.sourceOn(index, words, at, out, outAt);
  }

  /**
   * The source address on one interface: RFC 6724 5, rules 2 (scope), 3 (not deprecated), 6 (label) and 8 (longest matching
   * prefix); the others make no difference to a host whose addresses are all its own.
   */
  sourceOn(index: number, words: Int32Array, at: number, out: Int32Array, outAt: number): boolean {
    let best: Address6 | null = null;
    for (let i = 0; i < this.addresses.length; i++) {
      const address = this.addresses[i]!;
      if (address.index !== index || !address.inUse) continue;
      if (best === null || isBetter(address, best, words, at)) best = address;
    }
    if (best === null) return false;
    copyAddress(best.words, 0, out, outAt);
    return true;
  }

  /** True where a station with the address can be a neighbour on interface `index`. */
  isOnLink(index: number, words: Int32Array, at: number): boolean {
    if (isMulticast6(words, at) || isReserved(words, at)) return false;
    for (let i = 0; i < this.routers.length; i++) {
      const router = this.routers[i]!;
      if (router.index === index && sameAddress(router.words, 0, words, at)) return true;
    }
    for (let i = 0; i < this.addresses.length; i++) {
      const address = this.addresses[i]!;
      if (address.index === index && address.reaches(words, at)) return true;
    }
    for (let i = 0; i < this.onLink.length; i++) {
      const prefix = this.onLink[i]!;
      if (prefix.index === index && commonPrefix(prefix.words, 0, words, at) >= prefix.length) return true;
    }
    return false;
  }

  isLoopbackInterface(index: number): boolean {
    return index === this.loopback;
  }

  /**
   * True where no packet that arrives by interface `index` can come from the address: a group, ::1, an IPv4 address in disguise
   * (RFC 4942 2.2). The loopback carries own addresses. :: is another matter.
   */
  isMartian(index: number, words: Int32Array, at: number): boolean {
    if (index === this.loopback) return !this.isOwn(words, at);
    return isMulticast6(words, at) || isReserved(words, at);
  }
}

function wordsOf(bytes: Uint8Array): Int32Array {
  const words = new Int32Array(ADDRESS_WORDS);
  getWords(bytes, 0, words, 0);
  return words;
}

/** ::/96 with ::1 and ::, and ::ffff:0:0/96: never on a wire. */
function isReserved(words: Int32Array, at: number): boolean {
  return (words[at]! | words[at + 1]!) === 0 && (words[at + 2] === 0 || words[at + 2] === 0xffff);
}

/** Whether source `a` is to be preferred to `b` for a destination. */
function isBetter(a: Address6, b: Address6, words: Int32Array, at: number): boolean {
  const scope = scopeOf(words, at);
  const [scopeA, scopeB] = [scopeOf(a.words, 0), scopeOf(b.words, 0)];
  // Rule 2: the smallest scope that is not smaller than the destination's.
  if (scopeA !== scopeB) return scopeA < scopeB ? scopeA >= scope : scopeB < scope;
  if (a.state !== b.state) return a.state > b.state;
  const label = labelOf(words, at);
  const [sameA, sameB] = [labelOf(a.words, 0) === label, labelOf(b.words, 0) === label];
  if (sameA !== sameB) return sameA;
  return commonPrefix(a.words, 0, words, at) > commonPrefix(b.words, 0, words, at);
}

/** RFC 6724 3.1: link-local and ::1 below global; of a group, what its address says. */
function scopeOf(words: Int32Array, at: number): number {
  if (isMulticast6(words, at)) return (words[at]! >>> 16) & 15;
  return isLinkLocal6(words, at) || isLoopback6(words, at) ? 2 : 14;
}

/** Labels of RFC 6724 2.1, those that an address of an interface can have. */
function labelOf(words: Int32Array, at: number): number {
  const first = words[at]!;
  if (first >>> 16 === 0x2002) return 2;
  if (first === 0x20010000) return 5;
  if (first >>> 25 === 0xfc >>> 1) return 13;
  return isLoopback6(words, at) ? 0 : 1;
}

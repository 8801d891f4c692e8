/**
 * Where IPv4 packets go: the addresses of this host, what is on each link, and the default gateway.
 *
 * There are a handful of interfaces, so a look-up walks them; the most specific prefix wins, and of equal ones the
 * first.
 */
import type { HostRoute } from '../../nic/device.js';
import {
  ADDRESS_WORDS, BROADCAST4, isLoopback4, isMulticast4, isReserved4, isThisNetwork4, netmask, parseDotted, setMapped,
} from '../wire/address.js';
import { get32 } from '../wire/bytes.js';

/** Returned where nothing leads to a destination. */
export const NO_INTERFACE = -1;

interface Route {
  /** Interface that it is of. */
  readonly index: number;
  readonly address: number;
  readonly mask: number;
  readonly network: number;
  /** All ones in the host part; 0 where the prefix leaves no room for one (RFC 3021). */
  readonly broadcast: number;
  readonly gateway: number;
  readonly hasGateway: boolean;
}

/** A network beyond a router, or one more on the link. Addresses are int32. */
export interface StaticRoute {
  readonly network: number;
  /** 0 to 32 bits. */
  readonly prefix: number;
  /** Next hop; 0: the network is on the link. */
  readonly gateway: number;
}

/** A static route of an interface. */
interface Entry {
  readonly index: number;
  readonly mask: number;
  readonly network: number;
  readonly gateway: number;
}

/** A route that another has found out. */
interface FollowedRoute {
  /** Interface that it is of, or NO_INTERFACE. */
  readonly index: number;
  readonly mask: number;
  readonly network: number;
  readonly gateway: number | null;
}

export class Routes {
  /** The neighbour to hand the packet to; set by `lookup`. */
  readonly nextHop = new Int32Array(ADDRESS_WORDS);
  private routes: Route[] = [];
  /** Routes beside those that follow from the addresses and the gateway; the most specific one first. */
  private statics: Entry[] = [];
  /** The interface whose address is in 127.0.0.0/8, or NO_INTERFACE. Packets to this host itself go by it. */
  private loopback = NO_INTERFACE;
  private defaultInterface = NO_INTERFACE;
  private gateway = 0;
  /** All routes that there are, the one to be preferred first; null: those that follow from the addresses and the gateway. */
  private followed: FollowedRoute[] | null = null;
  /** The destination that was looked up last among them, and what was found. */
  private lastDestination = 0;
  private lastRoute: FollowedRoute | null = null;

  constructor() {
    setMapped(this.nextHop, 0, 0);
  }

  /**
   * Adds the address of interface `index`.
   *
   * @param address dotted. @param prefix 0 to 32 bits that its neighbours share with it. @param gateway dotted or null.
   * @throws TypeError or RangeError where these make no sense.
   */
  add(index: number, address: string, prefix: number, gateway: string | null): void {
    if (!Number.isInteger(prefix) || prefix < 0 || prefix > 32) throw new RangeError(`no prefix length: ${prefix}`);
    const own = parseDotted(address);
    if (!isUnicast(own)) throw new RangeError(`${address} cannot be the address of a host`);
    const mask = netmask(prefix);
    this.routes.push({
      index,
      address: own,
      mask,
      network: own & mask,
      broadcast: prefix < 31 ? own | ~mask : 0,
      gateway: gateway === null ? 0 : parseDotted(gateway),
      hasGateway: gateway !== null,
    });
    if (isLoopback4(own)) {
      if (this.loopback === NO_INTERFACE) this.loopback = index;
    } else if (gateway !== null && this.defaultInterface === NO_INTERFACE) {
      this.defaultInterface = index;
      this.gateway = parseDotted(gateway);
    }
  }

  /** Adds routes of interface `index` beside those that its address makes. One to 0.0.0.0/0 stands before any gateway. */
  addStatic(index: number, routes: readonly StaticRoute[]): void {
    const more = routes.map(({ network, prefix, gateway }) => ({ index, mask: netmask(prefix), network: network & netmask(prefix), gateway }));
    this.statics = [...this.statics, ...more].sort((a, b) => (b.mask >>> 0) - (a.mask >>> 0));
  }

  /** Forgets the addresses, routes and the gateway of interface `index`. */
  remove(index: number): void {
    this.routes = this.routes.filter((route) => route.index !== index);
    this.statics = this.statics.filter((route) => route.index !== index);
    const first = this.routes.find(({ hasGateway, address }) => hasGateway && !isLoopback4(address));
    this.defaultInterface = first === undefined ? NO_INTERFACE : first.index;
    this.gateway = first === undefined ? 0 : first.gateway;
  }

  /** From now on these are the routes, and what the addresses and the gateway say is none. */
  follow(index: number, routes: readonly HostRoute[]): void {
    this.lastRoute = null;
    this.followed = routes.map(({ network, prefix, gateway, here }) => ({
      index: here ? index : NO_INTERFACE,
      mask: netmask(prefix),
      network: get32(network, 0) & netmask(prefix),
      gateway: gateway === null ? null : get32(gateway, 0),
    }));
  }

  /** The interface to send to `destination` by, or NO_INTERFACE; sets `nextHop`. */
  lookup(destination: number): number {
    this.nextHop[3] = destination;
    if (this.isOwn(destination)) return this.loopback;
    if (!isUnicast(destination) || isLoopback4(destination) || this.isBroadcast(destination)) return NO_INTERFACE;
    if (this.followed !== null) return this.lookupFollowed(destination, this.followed);
    let best = NO_INTERFACE;
    let bestMask = 0;
    for (let i = 0; i < this.routes.length; i++) {
      const route = this.routes[i]!;
      if ((destination & route.mask) !== route.network) continue;
      if (best === NO_INTERFACE || route.mask >>> 0 > bestMask) {
        best = route.index;
        bestMask = route.mask >>> 0;
      }
    }
    if (this.statics.length > 0) best = this.lookupStatic(destination, best, bestMask);
    if (best !== NO_INTERFACE) return best;
    if (this.defaultInterface !== NO_INTERFACE) this.nextHop[3] = this.gateway;
    return this.defaultInterface;
  }

  /** The interface of the most specific static route where it is more specific than what was found, `best` by `bestMask`. */
  private lookupStatic(destination: number, best: number, bestMask: number): number {
    for (let i = 0; i < this.statics.length; i++) {
      const { index, mask, network, gateway } = this.statics[i]!;
      if (best !== NO_INTERFACE && mask >>> 0 <= bestMask) return best;
      if ((destination & mask) !== network) continue;
      if (gateway !== 0) this.nextHop[3] = gateway;
      return index;
    }
    return best;
  }

  private lookupFollowed(destination: number, routes: readonly FollowedRoute[]): number {
    let route = this.lastRoute;
    if (route === null || destination !== this.lastDestination) {
      route = null;
      for (let i = 0; i < routes.length && route === null; i++) {
        if ((destination & routes[i]!.mask) === routes[i]!.network) route = routes[i]!;
      }
      if (route === null) return NO_INTERFACE;
      this.lastDestination = destination;
      this.lastRoute = route;
    }
    if (route.gateway !== null) this.nextHop[3] = route.gateway;
    return route.index;
  }

  /** True where packets to `address` are for this host: its own addresses, and 127.0.0.0/8 where there is a loopback. */
  isOwn(address: number): boolean {
    for (let i = 0; i < this.routes.length; i++) {
      if (this.routes[i]!.address === address) return true;
    }
    return this.loopback !== NO_INTERFACE && isLoopback4(address);
  }

  /** The source address for packets to `destination`; 0 without a route. */
  source(destination: number): number {
    if (this.isOwn(destination)) return this.loopback === NO_INTERFACE ? 0 : destination;
    const index = this.lookup(destination);
    return index === NO_INTERFACE ? 0 : this.nearest(index, this.nextHop[3]!);
  }

  /** True for the limited broadcast and those of the links. */
  isBroadcast(address: number): boolean {
    if (address === BROADCAST4) return true;
    for (let i = 0; i < this.routes.length; i++) {
      const route = this.routes[i]!;
      if (route.broadcast !== 0 && route.broadcast === address) return true;
    }
    return false;
  }

  /** True where a station with `address` can be a neighbour on interface `index`. */
  isOnLink(index: number, address: number): boolean {
    const route = this.routeOf(index);
    if (route === undefined) return false;
    if (route.hasGateway && route.gateway === address) return true;
    if ((address & route.mask) === route.network && isUnicast(address) && address !== route.broadcast) return true;
    for (let i = 0; i < this.statics.length; i++) {
      const { index: at, mask, network, gateway } = this.statics[i]!;
      if (at !== index) continue;
      if (gateway === 0 ? (address & mask) === network && isUnicast(address) : gateway === address) return true;
    }
    return false;
  }

  isLoopbackInterface(index: number): boolean {
    return index === this.loopback;
  }

  /**
   * True where no honest packet that arrives by interface `index` comes from `source` (RFC 1122 3.2.1.3): a group, a
   * broadcast, no address at all, loopback, or one of this host's own. The loopback interface carries own addresses.
   */
  isMartian(index: number, source: number): boolean {
    if (index === this.loopback) return !this.isOwn(source);
    return !isUnicast(source) || isLoopback4(source) || this.isOwn(source) || this.isBroadcast(source);
  }

  /** The address of an interface that shares its prefix with the next hop, or else its first. */
  private nearest(index: number, nextHop: number): number {
    for (let i = 0; i < this.routes.length; i++) {
      const { index: at, mask, network, address } = this.routes[i]!;
      if (at === index && (nextHop & mask) === network) return address;
    }
    return this.routeOf(index)!.address;
  }

  private routeOf(index: number): Route | undefined {
    for (let i = 0; i < this.routes.length; i++) {
      if (this.routes[i]!.index === index) return this.routes[i];
    }
    return undefined;
  }
}

/** True for an address that one host can have. */
export function isUnicast(address: number): boolean {
  return !isMulticast4(address) && !isReserved4(address) && !isThisNetwork4(address);
}

/**
 * What the routers of one Ethernet interface tell: default routers, prefixes on the link, and addresses formed of prefixes (RFC 4861 6.3,
 * RFC 4862 5.5), with identifiers that are stable and opaque (RFC 7217). Neighbour discovery looks whether an address is this host's alone.
 *
 * Whoever is on the link can be a router: what one says is bounded in number, and does not shorten the life of an address below two hours.
 */
import type { Earliest } from '../clock.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, copyAddress, isLinkLocal6, isMulticast6, sameAddress } from '../wire/address.js';
import { getWords } from '../wire/bytes.js';
import { IPV6_MTU_MIN } from '../wire/ipv6.js';
import { SOURCE_LINK_ADDRESS, findOption } from '../wire/ndp.js';
import {
  AUTONOMOUS_FLAG, LINK_MTU, ON_LINK_FLAG, PREFIX_ADDRESS, PREFIX_INFORMATION, PREFIX_OPTION, RA_HEADER, checkRouterAdvertisement, linkMtu,
  optionKind, optionLength, preferredLifetime, prefixFlags, prefixLength, raHopLimit, raLifetime, raReachableTime, validLifetime,
} from '../wire/router.js';
import type { InterfaceIdentifiers } from './interface_identifier.js';
import { AUTOCONFIGURED_PREFIX, DEPRECATED, DUPLICATE, PREFERRED, TENTATIVE } from './routes6.js';
import type { Address6, Routes6 } from './routes6.js';

/** What one interface takes of routers at most. */
export const ROUTERS_MOST = 8;
export const PREFIXES_MOST = 8;
export const ADDRESSES_MOST = 8;
/** Up to so long until the first solicitation, in µs (RFC 4861 6.3.7: MAX_RTR_SOLICITATION_DELAY). */
const SOLICIT_DELAY = 1e6;
/** From a solicitation to the next: doubled each time, up to an hour, and randomized by a tenth (RFC 7559 2). */
const SOLICIT_FIRST = 4e6;
const SOLICIT_MOST = 3600e6;
/** What is left of the life of an address is not shortened below this by a router (RFC 4862 5.5.3 (e)), in µs. */
const TWO_HOURS = 7200e6;
/** Addresses that are tried of one prefix, and the time between two (RFC 7217 6: IDGEN_RETRIES, IDGEN_DELAY). */
const FORM_RETRIES = 3;
const FORM_DELAY = 1e6;
/** Longest time that a router may have neighbours believed in, in ms (RFC 4861 6.2.1). */
const REACHABLE_MOST = 3_600_000;

/** The link-local prefix, fe80::/64. */
const LINK_LOCAL = Int32Array.of(0xfe800000, 0, 0, 0);

/** What neighbour discovery does for it. */
export interface RouterLink {
  /** Asks the routers of the link to tell of themselves. */
  solicitRouters(): void;
  /** Probes for an address of the interface, from `at` on, and uses it where nobody else has it. */
  add(address: Address6, at: number): void;
  remove(address: Address6): void;
  /** A router is at this link address. */
  learnRouter(words: Int32Array, mac: Uint8Array, macAt: number): void;
  /** How long a neighbour that has answered is believed to be there, on average, in µs. */
  setReachableTime(time: number): void;
}

export interface RouterEvents {
  /** The addresses are others, or in other states. */
  changed(): void;
  /** MTU of IPv6 on the link, in bytes. */
  mtu(bytes: number): void;
  /** Hop limit of packets to be sent. */
  hopLimit(limit: number): void;
}

export class RouterDiscovery {
  /** A router has been heard of. */
  answered = false;
  private readonly index: number;
  private readonly routes: Routes6;
  private readonly link: RouterLink;
  private readonly identifiers: InterfaceIdentifiers;
  private readonly transport: TransportSink;
  private readonly events: RouterEvents;
  private readonly random: () => number;
  /** The largest MTU that the device has. */
  private readonly mtuMost: number;
  /** Addresses formed of prefixes, the link-local one first. */
  private readonly formed: Address6[] = [];
  /** When the next solicitation is due, and how long the one after it waits. */
  private solicitAt = Infinity;
  private solicitDelay = 0;
  /** When the first lifetime ends. */
  private endsAt = Infinity;
  private readonly words = new Int32Array(ADDRESS_WORDS);

  constructor(
    index: number, routes: Routes6, link: RouterLink, identifiers: InterfaceIdentifiers, transport: TransportSink, mtuMost: number,
    random: () => number, events: RouterEvents,
  ) {
    this.index = index;
    this.routes = routes;
    this.link = link;
    this.identifiers = identifiers;
    this.transport = transport;
    this.mtuMost = mtuMost;
    this.random = random;
    this.events = events;
  }

  /** True while no address of a prefix is in use yet, and one may still come. */
  get settling(): boolean {
    const global = this.formed.filter(({ words }) => !isLinkLocal6(words, 0));
    return !global.some(({ inUse }) => inUse) && !this.formed.some(({ state }) => state === DUPLICATE);
  }

  /** An address of a prefix is being probed for. */
  get forming(): boolean {
    return this.formed.some(({ words, state }) => !isLinkLocal6(words, 0) && state === TENTATIVE);
  }

  /** Forms the link-local address, where the interface is not to have another one, and begins to ask for routers. */
  start(now: number): void {
    const own = this.routes.addresses.some(({ index, words }) => index === this.index && isLinkLocal6(words, 0));
    if (!own) this.form(LINK_LOCAL, 0, Infinity, Infinity, now);
    this.solicitDelay = SOLICIT_FIRST;
    this.solicitAt = now + this.chance() * SOLICIT_DELAY;
  }

  dueBy(next: Earliest): void {
    next.take(this.solicitAt);
    next.take(this.endsAt);
  }

  advance(now: number): void {
    if (this.solicitAt <= now) {
      this.link.solicitRouters();
      this.solicitAt = now + this.solicitDelay * (0.9 + 0.2 * this.chance());
      this.solicitDelay = Math.min(2 * this.solicitDelay, SOLICIT_MOST);
    }
    if (this.endsAt <= now) this.end(now);
  }

  /** Another station has an address that was formed here: another one is formed of the prefix (RFC 7217 6). */
  duplicate(address: Address6, now: number): void {
    if (!address.autoconfigured || address.dadCounter >= FORM_RETRIES) return;
    this.forget(address);
    this.form(address.words, address.dadCounter + 1, address.preferredUntil, address.validUntil, now + FORM_DELAY);
  }

  // ---- advertisements

  /**
   * An advertisement of `length` bytes, its checksum good, which has not crossed a router.
   *
   * @param words source and destination. @returns false where it is not as RFC 4861 6.1.2 wants it.
   */
  receive(bytes: Uint8Array, at: number, length: number, words: Int32Array, now: number): boolean {
    if (!isLinkLocal6(words, 0) || !checkRouterAdvertisement(bytes, at, length)) return false;
    const end = at + length;
    this.answered = true;
    this.router(words, raLifetime(bytes, at), now);
    if (raHopLimit(bytes, at) !== 0) this.events.hopLimit(raHopLimit(bytes, at));
    const reachable = raReachableTime(bytes, at);
    if (reachable > 0 && reachable <= REACHABLE_MOST) this.link.setReachableTime(reachable * 1000);
    const mac = findOption(bytes, at + RA_HEADER, end, SOURCE_LINK_ADDRESS);
    if (mac >= 0) this.link.learnRouter(words, bytes, mac);
    for (let option = at + RA_HEADER; option < end; option += optionLength(bytes, option)) this.option(bytes, option, now);
    this.schedule();
    return true;
  }

  private option(bytes: Uint8Array, option: number, now: number): void {
    const kind = optionKind(bytes, option);
    if (kind === LINK_MTU && optionLength(bytes, option) === 8) {
      const mtu = linkMtu(bytes, option);
      if (mtu >= IPV6_MTU_MIN && mtu <= this.mtuMost) this.events.mtu(mtu);
    } else if (kind === PREFIX_INFORMATION && optionLength(bytes, option) === PREFIX_OPTION) {
      getWords(bytes, option + PREFIX_ADDRESS, this.words, 0);
      const bits = prefixLength(bytes, option);
      if (bits > 128 || isLinkLocal6(this.words, 0) || isMulticast6(this.words, 0)) return;
      clearBelow(this.words, bits);
      const valid = validLifetime(bytes, option);
      if ((prefixFlags(bytes, option) & ON_LINK_FLAG) !== 0) this.onLink(bits, now + valid * 1e6, valid === 0);
      if ((prefixFlags(bytes, option) & AUTONOMOUS_FLAG) !== 0 && bits === AUTOCONFIGURED_PREFIX) {
        this.autonomous(valid, preferredLifetime(bytes, option), now);
      }
    }
  }

  /** RFC 4861 6.3.4: a default router for so many seconds. */
  private router(words: Int32Array, lifetime: number, now: number): void {
    const { routers } = this.routes;
    const at = routers.findIndex((router) => router.index === this.index && sameAddress(router.words, 0, words, 0));
    if (lifetime > 0) this.solicitAt = Infinity;
    if (at >= 0) {
      if (lifetime > 0) routers[at]!.until = now + lifetime * 1e6;
      else routers.splice(at, 1);
    } else if (lifetime > 0 && routers.filter(({ index }) => index === this.index).length < ROUTERS_MOST) {
      const own = new Int32Array(ADDRESS_WORDS);
      copyAddress(words, 0, own, 0);
      routers.push({ index: this.index, words: own, until: now + lifetime * 1e6 });
    }
  }

  /** RFC 4861 6.3.4: the addresses of the prefix in `words` are on the link. */
  private onLink(length: number, until: number, ends: boolean): void {
    const { onLink } = this.routes;
    const at = onLink.findIndex((prefix) => prefix.index === this.index && prefix.length === length && sameAddress(prefix.words, 0, this.words, 0));
    if (at >= 0) {
      if (ends) onLink.splice(at, 1);
      else onLink[at]!.validUntil = until;
    } else if (!ends && onLink.filter(({ index }) => index === this.index).length < PREFIXES_MOST) {
      onLink.push({ index: this.index, words: this.words.slice(), length, validUntil: until });
    }
  }

  /** RFC 4862 5.5.3: an address of the prefix in `words` is to be formed, or lives on. Lifetimes in s. */
  private autonomous(valid: number, preferred: number, now: number): void {
    if (preferred > valid) return;
    const { words } = this;
    const address = this.formed.find((each) => each.words[0] === words[0] && each.words[1] === words[1]);
    if (address === undefined) {
      if (valid > 0 && this.formed.length <= ADDRESSES_MOST) this.form(words, 0, now + preferred * 1e6, now + valid * 1e6, now);
      return;
    }
    const until = now + valid * 1e6;
    // (e): nobody who is not known may take an address away at once.
    if (until > address.validUntil || valid * 1e6 > TWO_HOURS) address.validUntil = until;
    else if (address.validUntil - now > TWO_HOURS) address.validUntil = now + TWO_HOURS;
    address.preferredUntil = now + preferred * 1e6;
    this.age(address, now);
  }

  private form(prefix: Int32Array, counter: number, preferredUntil: number, validUntil: number, at: number): void {
    const words = new Int32Array(ADDRESS_WORDS);
    const dadCounter = this.identifiers.form(prefix, counter, words);
    if (this.routes.find(words, 0) !== null) return;
    const address = this.routes.add(this.index, words, isLinkLocal6(words, 0) ? AUTOCONFIGURED_PREFIX : 128);
    address.autoconfigured = true;
    address.dadCounter = dadCounter;
    address.preferredUntil = preferredUntil;
    address.validUntil = validUntil;
    this.formed.push(address);
    this.link.add(address, at);
    this.schedule();
  }

  // ---- lifetimes

  private end(now: number): void {
    removeWhere(this.routes.routers, ({ index, until }) => index === this.index && until <= now);
    removeWhere(this.routes.onLink, ({ index, validUntil }) => index === this.index && validUntil <= now);
    for (const address of [...this.formed]) {
      if (address.validUntil > now) {
        this.age(address, now);
        continue;
      }
      const { inUse } = address;
      this.forget(address);
      this.events.changed();
      if (inUse) this.transport.withdrawn(address.words, 0);
    }
    this.schedule();
  }

  /** Whether new connections are to begin from an address depends on the time. */
  private age(address: Address6, now: number): void {
    if (!address.inUse) return;
    address.state = address.preferredUntil > now ? PREFERRED : DEPRECATED;
  }

  private forget(address: Address6): void {
    this.formed.splice(this.formed.indexOf(address), 1);
    this.routes.remove(address);
    this.link.remove(address);
  }

  private schedule(): void {
    let at = Infinity;
    for (const { index, until } of this.routes.routers) if (index === this.index) at = Math.min(at, until);
    for (const { index, validUntil } of this.routes.onLink) if (index === this.index) at = Math.min(at, validUntil);
    for (const { state, preferredUntil, validUntil } of this.formed) at = Math.min(at, validUntil, state === PREFERRED ? preferredUntil : Infinity);
    this.endsAt = at;
  }

  /** An address has been taken into use: its lifetime counts from now on. */
  taken(address: Address6, now: number): void {
    this.age(address, now);
    this.schedule();
  }

  private chance(): number {
    return (this.random() >>> 0) / 2 ** 32;
  }
}

/** Takes out all that a condition names. */
function removeWhere<T>(list: T[], condition: (each: T) => boolean): void {
  for (let i = list.length - 1; i >= 0; i--) if (condition(list[i]!)) list.splice(i, 1);
}

/** Sets all bits of an address behind the first `bits` to zero. */
function clearBelow(words: Int32Array, bits: number): void {
  for (let i = 0; i < ADDRESS_WORDS; i++) {
    const left = Math.min(Math.max(bits - 32 * i, 0), 32);
    words[i] = left === 0 ? 0 : words[i]! & (-1 << (32 - left));
  }
}

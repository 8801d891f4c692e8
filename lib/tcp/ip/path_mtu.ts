/**
 * What routers have said about the largest packet on the way to a destination (RFC 1191, RFC 8201).
 *
 * A fixed number of destinations, in sets of four chosen by a keyed hash: where a set is full, its oldest entry goes.
 * What is forgotten is found out again.
 */

import type { Clock } from '../clock.js';
import { ADDRESS_WORDS, copyAddress, isMapped, sameAddress } from '../wire/address.js';
import { IPV6_MTU_MIN } from '../wire/ipv6.js';

const WAYS = 4;
const SETS = 64;
/** An entry is believed for ten minutes, then a larger packet is tried again (RFC 1191 6.3, RFC 8201 4; Linux's mtu_expires). */
export const PATH_MTU_LIFETIME = 600e6;
/** Of IPv4 nothing smaller is believed: an attacker could make every segment tiny (Linux's min_pmtu). */
export const PATH_MTU_MIN = 552;

/** MTUs that links have, for routers that do not tell theirs (RFC 1191 7.1). */
const PLATEAUS = [32000, 17914, 8166, 4352, 2002, 1492, 1006, 576, PATH_MTU_MIN];

/** The next smaller MTU that a link is likely to have, for a packet of `length` bytes that did not fit. */
export function plateauBelow(length: number): number {
  for (const plateau of PLATEAUS) {
    if (plateau < length) return plateau;
  }
  return PATH_MTU_MIN;
}

export class PathMtu {
  private readonly seed: number;
  private readonly clock: Clock;
  private readonly addresses = new Int32Array(WAYS * SETS * ADDRESS_WORDS);
  private readonly mtu = new Int32Array(WAYS * SETS);
  private readonly expires = new Float64Array(WAYS * SETS);
  /** 1 where a router wants packets below PATH_MTU_MIN: what is sent that way may be cut. */
  private readonly small = new Uint8Array(WAYS * SETS);
  /** True once there was an entry (a small one): without one, a look-up costs nothing. */
  private any = false;
  private anySmall = false;

  constructor(seed: number, clock: Clock) {
    this.clock = clock;
    this.seed = seed;
  }

  /** The smaller MTU known on the way to the address at `words[at]`, or `linkMtu`. */
  get(words: Int32Array, at: number, linkMtu: number): number {
    if (!this.any) return linkMtu;
    const slot = this.find(words, at);
    return slot < 0 ? linkMtu : Math.min(linkMtu, this.mtu[slot]!);
  }

  /** True once `mayFragment` may say so of some address. */
  get hasSmall(): boolean {
    return this.anySmall;
  }

  /** True where a packet of PATH_MTU_MIN may not fit, so that routers must be allowed to cut it. IPv4 only. */
  mayFragment(words: Int32Array, at: number): boolean {
    if (!this.anySmall) return false;
    const slot = this.find(words, at);
    return slot >= 0 && this.small[slot] === 1;
  }

  /**
   * A router says that packets to an address must not be larger than `mtu`. It never makes an entry larger, and that of an
   * IPv6 address never smaller than what every link carries (RFC 8201 4).
   */
  lower(words: Int32Array, at: number, mtu: number): void {
    const least = isMapped(words, at) ? PATH_MTU_MIN : IPV6_MTU_MIN;
    let slot = this.find(words, at);
    if (slot < 0) {
      slot = this.oldest(words, at);
      this.mtu[slot] = 65535;
      this.small[slot] = 0;
    }
    this.any = true;
    if (mtu < least && least === PATH_MTU_MIN) {
      this.small[slot] = 1;
      this.anySmall = true;
    }
    copyAddress(words, at, this.addresses, slot * ADDRESS_WORDS);
    this.mtu[slot] = Math.max(least, Math.min(mtu, this.mtu[slot]!));
    this.expires[slot] = this.clock.now + PATH_MTU_LIFETIME;
  }

  private find(words: Int32Array, at: number): number {
    const first = this.first(words, at);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.expires[slot]! > this.clock.now && sameAddress(this.addresses, slot * ADDRESS_WORDS, words, at)) return slot;
    }
    return -1;
  }

  private oldest(words: Int32Array, at: number): number {
    const first = this.first(words, at);
    let oldest = first;
    for (let slot = first + 1; slot < first + WAYS; slot++) {
      if (this.expires[slot]! < this.expires[oldest]!) oldest = slot;
    }
    return oldest;
  }

  private first(words: Int32Array, at: number): number {
    let hash = this.seed;
    for (let i = 0; i < ADDRESS_WORDS; i++) {
      hash = Math.imul(hash ^ words[at + i]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return (Math.imul(hash, 0x9e3779b1) >>> 26) * WAYS;
  }
}

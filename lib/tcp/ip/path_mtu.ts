/**
 * What routers have said about the largest packet on the way to a destination (RFC 1191).
 *
 * A fixed number of destinations, in sets of four chosen by a keyed hash: where a set is full, its oldest entry goes.
 * What is forgotten is found out again.
 */

const WAYS = 4;
const SETS = 64;
/** An entry is believed for ten minutes, then a larger packet is tried again (RFC 1191 6.3; Linux's mtu_expires). */
export const PATH_MTU_LIFETIME = 600e6;
/** Nothing smaller is believed: an attacker could make every segment tiny (Linux's min_pmtu). */
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
  private readonly address = new Int32Array(WAYS * SETS);
  private readonly mtu = new Int32Array(WAYS * SETS);
  private readonly expires = new Float64Array(WAYS * SETS);
  /** 1 where a router wants packets below PATH_MTU_MIN: what is sent that way may be cut. */
  private readonly small = new Uint8Array(WAYS * SETS);
  /** True once there was an entry (a small one): without one, a look-up costs nothing. */
  private any = false;
  private anySmall = false;

  constructor(seed: number) {
    this.seed = seed;
  }

  /** The smaller MTU known on the way to an IPv4 address, or `linkMtu`. @param now in µs. */
  get(address: number, linkMtu: number, now: number): number {
    if (!this.any) return linkMtu;
    const slot = this.find(address, now);
    return slot < 0 ? linkMtu : Math.min(linkMtu, this.mtu[slot]!);
  }

  /** True where a packet of PATH_MTU_MIN may not fit, so that routers must be allowed to cut it. */
  mayFragment(address: number, now: number): boolean {
    if (!this.anySmall) return false;
    const slot = this.find(address, now);
    return slot >= 0 && this.small[slot] === 1;
  }

  /** A router says that packets to an address must not be larger than `mtu`. It never makes an entry larger. */
  lower(address: number, mtu: number, now: number): void {
    let slot = this.find(address, now);
    if (slot < 0) {
      slot = this.oldest(address);
      this.mtu[slot] = 65535;
      this.small[slot] = 0;
    }
    this.any = true;
    if (mtu < PATH_MTU_MIN) {
      this.small[slot] = 1;
      this.anySmall = true;
    }
    this.address[slot] = address;
    this.mtu[slot] = Math.max(PATH_MTU_MIN, Math.min(mtu, this.mtu[slot]!));
    this.expires[slot] = now + PATH_MTU_LIFETIME;
  }

  private find(address: number, now: number): number {
    const first = this.first(address);
    for (let slot = first; slot < first + WAYS; slot++) {
      if (this.address[slot] === address && this.expires[slot]! > now) return slot;
    }
    return -1;
  }

  private oldest(address: number): number {
    const first = this.first(address);
    let oldest = first;
    for (let slot = first + 1; slot < first + WAYS; slot++) {
      if (this.expires[slot]! < this.expires[oldest]!) oldest = slot;
    }
    return oldest;
  }

  private first(address: number): number {
    return (Math.imul(address ^ this.seed, 0x9e3779b1) >>> 26) * WAYS;
  }
}

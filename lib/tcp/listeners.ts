/**
 * Listening ports: a bounded table, found by hash of the port. A listener is on one address, or on any: of both families where its
 * address is ::, of IPv4 where it is ::ffff:0.0.0.0, of IPv6 where it is :: and it was asked for that alone (RFC 3493 5.3).
 */
import { EADDRINUSE, ENOBUFS } from './errno.js';
import { PortUses } from './port_uses.js';

const NONE = -1;
const IPV4 = 1;
const IPV6 = 2;

export class Listeners {
  /** Local address of each, four words; all 0 for any. */
  readonly addresses: Int32Array;
  /** Local port, 0 where the entry is free. */
  readonly ports: Int32Array;
  /** Established flows that it may have and that its owner has not taken over. */
  readonly backlogs: Int32Array;
  /** Those that it has. */
  readonly waiting: Int32Array;
  /** Counts the uses of the entry, from 1: a flow that came by an earlier one no longer counts. */
  readonly generations: Int32Array;
  /** Until when an answer to a SYN cookie may come, in µs. */
  readonly cookiesUntil: Float64Array;
  /** What its connections begin with: receive buffer in bytes, bound of segments in bytes, DSCP; 0 for the default. */
  readonly receiveBuffers: Int32Array;
  readonly maxSegments: Int32Array;
  readonly trafficClasses: Int32Array;
  /** Bits IPV4 and IPV6. */
  readonly #families: Uint8Array;
  readonly #next: Int32Array;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #uses: PortUses;
  #free = 0;

  constructor(count: number, uses = new PortUses()) {
    this.#uses = uses;
    let heads = 16;
    while (heads < count) heads *= 2;
    this.#mask = heads - 1;
    this.#heads = new Int32Array(heads).fill(NONE);
    this.addresses = new Int32Array(count * 4);
    this.ports = new Int32Array(count);
    this.backlogs = new Int32Array(count);
    this.waiting = new Int32Array(count);
    this.generations = new Int32Array(count).fill(1);
    this.cookiesUntil = new Float64Array(count).fill(-Infinity);
    this.receiveBuffers = new Int32Array(count);
    this.maxSegments = new Int32Array(count);
    this.trafficClasses = new Int32Array(count);
    this.#families = new Uint8Array(count);
    this.#next = new Int32Array(count);
    for (let i = 0; i < count; i++) this.#next[i] = i + 1 < count ? i + 1 : NONE;
    if (count === 0) this.#free = NONE;
  }

  /** True where a listener has the port on this address, or on any of its family, or where any is asked for and one has the port. */
  taken(words: Int32Array, at: number, port: number, ipv6Only = false): boolean {
    const any = isAny(words, at);
    const families = familiesOf(words, at, ipv6Only);
    for (let id = this.#heads[port & this.#mask]; id !== NONE; id = this.#next[id]) {
      if (this.ports[id] !== port || (this.#families[id] & families) === 0) continue;
      if (any || isAny(this.addresses, id * 4) || same(this.addresses, id * 4, words, at)) return true;
    }
    return false;
  }

  /** Returns the listener's id, -EADDRINUSE, -ENOBUFS where the table is full, or what `PortClaims.claim` says against it. */
  add(words: Int32Array, at: number, port: number, backlog: number, ipv6Only = false): number {
    if (this.taken(words, at, port, ipv6Only)) return -EADDRINUSE;
    const id = this.#free;
    if (id === NONE) return -ENOBUFS;
    const refused = this.#uses.claim(port);
    if (refused < 0) return refused;
    this.#uses.add(port);
    this.#free = this.#next[id];
    for (let i = 0; i < 4; i++) this.addresses[id * 4 + i] = words[at + i];
    this.#families[id] = familiesOf(words, at, ipv6Only);
    this.ports[id] = port;
    this.backlogs[id] = backlog;
    this.receiveBuffers[id] = 0;
    this.maxSegments[id] = 0;
    this.trafficClasses[id] = 0;
    this.#next[id] = this.#heads[port & this.#mask];
    this.#heads[port & this.#mask] = id;
    return id;
  }

  /** Frees the entry; its half-open flows must be gone. */
  remove(id: number): void {
    const slot = this.ports[id] & this.#mask;
    if (this.#heads[slot] === id) {
      this.#heads[slot] = this.#next[id];
    } else {
      let before = this.#heads[slot];
      while (this.#next[before] !== id) before = this.#next[before];
      this.#next[before] = this.#next[id];
    }
    this.#uses.remove(this.ports[id]);
    this.ports[id] = 0;
    this.waiting[id] = 0;
    this.generations[id]++;
    this.cookiesUntil[id] = -Infinity;
    this.#next[id] = this.#free;
    this.#free = id;
  }

  isOpen(id: number): boolean {
    return id >= 0 && id < this.ports.length && this.ports[id] !== 0;
  }

  /** The listener for a SYN to this address and port, the one on the very address first; NONE where there is none. */
  find(words: Int32Array, at: number, port: number): number {
    let any = NONE;
    const family = familiesOf(words, at, false);
    for (let id = this.#heads[port & this.#mask]; id !== NONE; id = this.#next[id]) {
      if (this.ports[id] !== port) continue;
      if (same(this.addresses, id * 4, words, at)) return id;
      if ((this.#families[id] & family) !== 0 && isAny(this.addresses, id * 4)) any = id;
    }
    return any;
  }
}

/** Families of the addresses that a listener on this one takes, as bits. */
function familiesOf(words: Int32Array, at: number, ipv6Only: boolean): number {
  if ((words[at] | words[at + 1]) !== 0) return IPV6;
  if (words[at + 2] === 0xffff) return IPV4;
  return words[at + 2] === 0 && words[at + 3] === 0 && !ipv6Only ? IPV4 | IPV6 : IPV6;
}

/** All zero, or the IPv4 form of it, ::ffff:0.0.0.0. */
function isAny(words: Int32Array, at: number): boolean {
  return (words[at] | words[at + 1] | words[at + 3]) === 0 && (words[at + 2] === 0 || words[at + 2] === 0xffff);
}

function same(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return a[aAt + 3] === b[bAt + 3] && a[aAt + 2] === b[bAt + 2] && a[aAt + 1] === b[bAt + 1] && a[aAt] === b[bAt];
}

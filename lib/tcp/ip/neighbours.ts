/**
 * The neighbours on one link and their link addresses: the table behind ARP and neighbour discovery, with the states of
 * RFC 4861 7.3.2, which suit IPv4 as well (RFC 1122 2.3.2.1 asks for no more than that stale entries go). Addresses are four
 * words, as everywhere.
 *
 * The table is found by hash and has a fixed size; where it is full, an entry that has not been used since the hand
 * last came by is forgotten (second chance), so that a host that makes us learn many addresses does not drive out those
 * in use. Timers of one kind have one duration, so two lists in order of time do for all of them.
 */
import type { Clock, Earliest } from '../clock.js';
import { ADDRESS_WORDS, copyAddress, sameAddress } from '../wire/address.js';
import { MAC_LENGTH, copyMac, sameMac } from '../wire/ethernet.js';

/** Where solicitations go, and news of neighbours. */
export interface NeighbourEvents {
  /** Ask for the link address of `entry`: everybody, where it has none yet, else the entry's own station. */
  solicit(entry: number, everybody: boolean): void;
  /** The link address is known now: what waits for `entry` can go out. */
  resolved(entry: number): void;
  /** Nobody answered for `address`. The entry is forgotten after this. */
  failed(entry: number): void;
  /** The entry is forgotten to make room for another. */
  evicted(entry: number): void;
}

/** All times in µs. */
/** Between two requests for one address (RFC 1122 2.3.2.1: at most one a second). */
export const RETRANSMIT_TIME = 1e6;
/** Requests before a neighbour counts as unreachable. */
export const MAX_TRIES = 3;
/** REACHABLE_TIME of RFC 4861 10. */
export const REACHABLE_TIME = 30e6;
/** From the first use of a stale entry until it is asked for: time for the connection to make progress. */
export const DELAY_TIME = 5e6;

/** What `learn` is told of the message: bits. */
/** It answers a request of ours, so packets of ours reach its sender. */
export const SOLICITED = 1;
/** The link address replaces another that is known. */
export const OVERRIDE = 2;
/** Make an entry where there is none: its sender will soon want to be answered. */
export const CREATE = 4;

/** States. */
export const FREE = 0;
export const INCOMPLETE = 1;
export const REACHABLE = 2;
export const STALE = 3;
export const DELAY = 4;
export const PROBE = 5;

/** Timer lists. */
const RETRY_LIST = 0;
const DELAY_LIST = 1;
const NONE = -1;

export class Neighbours {
  /** Link address of entry `e` at `6 * e`. */
  readonly macs: Uint8Array;
  /** Address of entry `e` at `4 * e`. */
  readonly addresses: Int32Array;
  private readonly events: NeighbourEvents;
  private readonly clock: Clock;
  private reachableTime: number;
  private readonly lockTime: number;
  private readonly seed: number;
  private readonly shift: number;
  private readonly capacity: number;

  private readonly states: Uint8Array;
  /** When the neighbour was last known to be there. */
  private readonly confirmed: Float64Array;
  /** When the link address last came. */
  private readonly learned: Float64Array;
  private readonly tries: Uint8Array;
  /** 1 where the entry was used since the hand came by. */
  private readonly used: Uint8Array;

  private readonly buckets: Int32Array;
  private readonly chain: Int32Array;
  private freeHead = 0;
  private hand = 0;
  /** The entry used last, and its address: most packets go to the same next hop. */
  private readonly lastAddress = new Int32Array(ADDRESS_WORDS);
  private lastEntry = NONE;

  private readonly deadlines: Float64Array;
  private readonly timerNext: Int32Array;
  private readonly timerPrevious: Int32Array;
  private readonly timerHeads = new Int32Array(2).fill(NONE);
  private readonly timerTails = new Int32Array(2).fill(NONE);

  /**
   * @param capacity entries, a power of two. @param seed for the hash.
   * @param reachableTime how long an answer, or progress of a connection, is believed, in µs.
   * @param lockTime a link address that has just come is not replaced by another for so long, in µs.
   */
  constructor(capacity: number, seed: number, reachableTime: number, lockTime: number, clock: Clock, events: NeighbourEvents) {
    this.clock = clock;
    this.capacity = capacity;
    this.reachableTime = reachableTime;
    this.lockTime = lockTime;
    this.seed = seed;
    this.events = events;
    // Twice as many buckets as entries.
    this.shift = Math.clz32(capacity);
    this.macs = new Uint8Array(capacity * MAC_LENGTH);
    this.states = new Uint8Array(capacity);
    this.addresses = new Int32Array(capacity * ADDRESS_WORDS);
    this.confirmed = new Float64Array(capacity);
    this.learned = new Float64Array(capacity);
    this.tries = new Uint8Array(capacity);
    this.used = new Uint8Array(capacity);
    this.buckets = new Int32Array(capacity * 2).fill(NONE);
    this.chain = new Int32Array(capacity);
    for (let i = 0; i < capacity; i++) this.chain[i] = i + 1 < capacity ? i + 1 : NONE;
    this.deadlines = new Float64Array(capacity);
    this.timerNext = new Int32Array(capacity);
    this.timerPrevious = new Int32Array(capacity);
  }

  /** How long an answer, or progress of a connection, is believed, in µs. */
  setReachableTime(time: number): void {
    this.reachableTime = time;
  }

  /**
   * The entry to send to the address at `words[at]` by, a new one if need be; look with `isUsable` whether it has a link
   * address yet. May call `events.solicit` and `events.evicted`.
   */
  use(words: Int32Array, at: number): number {
    let entry = this.lastEntry;
    if (entry === NONE || !sameAddress(this.lastAddress, 0, words, at)) {
      entry = this.find(words, at);
      if (entry === NONE) return this.begin(words, at);
      copyAddress(words, at, this.lastAddress, 0);
      this.lastEntry = entry;
    }
    this.used[entry] = 1;
    const state = this.states[entry]!;
    if (state === STALE || (state === REACHABLE && this.clock.now - this.confirmed[entry]! >= this.reachableTime)) {
      this.states[entry] = DELAY;
      this.arm(entry, DELAY_LIST, DELAY_TIME);
    }
    return entry;
  }

  /** True where the link address of an entry may be used. */
  isUsable(entry: number): boolean {
    return this.states[entry]! >= REACHABLE;
  }

  /** State of the entry for an address, FREE where there is none. */
  stateOf(words: Int32Array, at: number): number {
    const entry = this.find(words, at);
    return entry === NONE ? FREE : this.states[entry]!;
  }

  /** A connection by way of an address has made progress: the neighbour is there (RFC 4861 7.3.1). */
  confirm(words: Int32Array, at: number): void {
    const last = this.lastEntry;
    const entry = last !== NONE && sameAddress(this.lastAddress, 0, words, at) ? last : this.find(words, at);
    if (entry === NONE || this.states[entry]! < REACHABLE) return;
    this.confirmed[entry] = this.clock.now;
    this.setReachable(entry);
  }

  /**
   * Connections by way of an address get no answers: it is asked whether it is there, at once (dead-gateway diagnosis, RFC 1122
   * 3.3.1.4), unless it was heard of within the time of one request.
   */
  suspect(words: Int32Array, at: number): void {
    const entry = this.find(words, at);
    if (entry === NONE || this.states[entry]! < REACHABLE || this.states[entry] === PROBE) return;
    if (this.states[entry] === REACHABLE && this.clock.now - this.confirmed[entry]! < RETRANSMIT_TIME) return;
    this.disarm(entry);
    this.states[entry] = PROBE;
    this.tries[entry] = 0;
    this.solicit(entry);
  }

  /** A station says that an address is at the link address `mac[macAt]`. @param how SOLICITED, OVERRIDE and CREATE. */
  learn(words: Int32Array, at: number, mac: Uint8Array, macAt: number, how: number): void {
    let entry = this.find(words, at);
    if (entry === NONE) {
      if ((how & CREATE) === 0) return;
      entry = this.take(words, at);
      this.states[entry] = STALE;
      this.setMac(entry, mac, macAt);
      return;
    }
    if (this.states[entry] !== INCOMPLETE) {
      this.update(entry, mac, macAt, how);
      return;
    }
    this.disarm(entry);
    this.setMac(entry, mac, macAt);
    this.states[entry] = (how & SOLICITED) !== 0 ? REACHABLE : STALE;
    this.confirmed[entry] = this.clock.now;
    this.events.resolved(entry);
  }

  /** An address is at no link address any more, as who knows it says: the entry is forgotten, and what waits for it has failed. */
  lose(words: Int32Array, at: number): void {
    const entry = this.find(words, at);
    if (entry === NONE) return;
    this.events.failed(entry);
    this.forget(entry);
  }

  /** Does what is due. */
  advance(): void {
    const { now } = this.clock;
    for (let entry = this.timerHeads[DELAY_LIST]!; entry !== NONE && this.deadlines[entry]! <= now; ) {
      this.disarm(entry);
      this.states[entry] = PROBE;
      this.tries[entry] = 0;
      this.solicit(entry);
      entry = this.timerHeads[DELAY_LIST]!;
    }
    for (let entry = this.timerHeads[RETRY_LIST]!; entry !== NONE && this.deadlines[entry]! <= now; ) {
      this.disarm(entry);
      if (this.tries[entry]! < MAX_TRIES) this.solicit(entry);
      else {
        this.events.failed(entry);
        this.forget(entry);
      }
      entry = this.timerHeads[RETRY_LIST]!;
    }
  }

  /** When `advance` next has something to do. */
  dueBy(next: Earliest): void {
    const retry = this.timerHeads[RETRY_LIST]!;
    const delay = this.timerHeads[DELAY_LIST]!;
    if (retry !== NONE) next.take(this.deadlines[retry]!);
    if (delay !== NONE) next.take(this.deadlines[delay]!);
  }

  private begin(words: Int32Array, at: number): number {
    const entry = this.take(words, at);
    this.states[entry] = INCOMPLETE;
    this.tries[entry] = 0;
    this.used[entry] = 1;
    this.solicit(entry);
    return entry;
  }

  private solicit(entry: number): void {
    this.tries[entry] = this.tries[entry]! + 1;
    this.arm(entry, RETRY_LIST, RETRANSMIT_TIME);
    this.events.solicit(entry, this.states[entry] === INCOMPLETE);
  }

  /** RFC 4861 7.2.5: a link address that does not override the known one only casts doubt on it. */
  private update(entry: number, mac: Uint8Array, macAt: number, how: number): void {
    if (!sameMac(this.macs, entry * MAC_LENGTH, mac, macAt)) {
      if (this.clock.now - this.learned[entry]! < this.lockTime) return;
      if ((how & OVERRIDE) === 0) {
        if (this.states[entry] === REACHABLE) this.states[entry] = STALE;
        return;
      }
      this.setMac(entry, mac, macAt);
      this.disarm(entry);
      this.states[entry] = STALE;
    }
    if ((how & SOLICITED) === 0) return;
    this.confirmed[entry] = this.clock.now;
    this.setReachable(entry);
  }

  private setReachable(entry: number): void {
    if (this.states[entry] === REACHABLE) return;
    this.disarm(entry);
    this.states[entry] = REACHABLE;
  }

  private setMac(entry: number, mac: Uint8Array, at: number): void {
    copyMac(mac, at, this.macs, entry * MAC_LENGTH);
    this.learned[entry] = this.clock.now;
  }

  private find(words: Int32Array, at: number): number {
    let entry = this.buckets[this.bucket(words, at)]!;
    while (entry !== NONE && !sameAddress(this.addresses, entry * ADDRESS_WORDS, words, at)) entry = this.chain[entry]!;
    return entry;
  }

  private bucket(words: Int32Array, at: number): number {
    let hash = this.seed;
    for (let i = 0; i < ADDRESS_WORDS; i++) {
      hash = Math.imul(hash ^ words[at + i]!, 0x9e3779b1);
      hash ^= hash >>> 15;
    }
    return Math.imul(hash, 0x9e3779b1) >>> this.shift;
  }

  /** A fresh entry for an address, from the free list or by forgetting another. */
  private take(words: Int32Array, at: number): number {
    if (this.freeHead === NONE) this.evict();
    const entry = this.freeHead;
    this.freeHead = this.chain[entry]!;
    const bucket = this.bucket(words, at);
    this.chain[entry] = this.buckets[bucket]!;
    this.buckets[bucket] = entry;
    copyAddress(words, at, this.addresses, entry * ADDRESS_WORDS);
    this.used[entry] = 0;
    this.confirmed[entry] = -Infinity;
    return entry;
  }

  private evict(): void {
    while (this.used[this.hand] !== 0) {
      this.used[this.hand] = 0;
      this.hand = (this.hand + 1) % this.capacity;
    }
    this.events.evicted(this.hand);
    this.forget(this.hand);
    this.hand = (this.hand + 1) % this.capacity;
  }

  private forget(entry: number): void {
    this.disarm(entry);
    if (this.lastEntry === entry) this.lastEntry = NONE;
    const bucket = this.bucket(this.addresses, entry * ADDRESS_WORDS);
    if (this.buckets[bucket] === entry) this.buckets[bucket] = this.chain[entry]!;
    else {
      let before = this.buckets[bucket]!;
      while (this.chain[before] !== entry) before = this.chain[before]!;
      this.chain[before] = this.chain[entry]!;
    }
    this.states[entry] = FREE;
    this.chain[entry] = this.freeHead;
    this.freeHead = entry;
  }

  /** Appends to the list, which stays in order because everything in it waits for the same time. */
  private arm(entry: number, list: number, time: number): void {
    const tail = this.timerTails[list]!;
    this.deadlines[entry] = this.clock.now + time;
    this.timerPrevious[entry] = tail;
    this.timerNext[entry] = NONE;
    if (tail === NONE) this.timerHeads[list] = entry;
    else this.timerNext[tail] = entry;
    this.timerTails[list] = entry;
  }

  /** Takes an entry out of the list that its state says it is in, if any. */
  private disarm(entry: number): void {
    if (this.deadlines[entry] === 0) return;
    const list = this.states[entry] === DELAY ? DELAY_LIST : RETRY_LIST;
    const next = this.timerNext[entry]!;
    const previous = this.timerPrevious[entry]!;
    if (previous === NONE) this.timerHeads[list] = next;
    else this.timerNext[previous] = next;
    if (next === NONE) this.timerTails[list] = previous;
    else this.timerPrevious[next] = previous;
    this.deadlines[entry] = 0;
  }
}

/**
 * Puts fragmented packets together again (RFC 791 3.2, RFC 1122 3.3.2, RFC 8200 4.5), for both families.
 *
 * Whoever can send to this host chooses how many fragments there are, of what size and in what order. So the packets in
 * hand have a fixed number, each source a share of it, and each packet 30 seconds. No byte comes from two fragments: one
 * that overlaps another ends its packet, with all that is still to come of it (RFC 5722), because hosts and filters
 * differ in which of the two they believe. The same fragment once more, as networks duplicate them, says nothing new.
 */
import type { Earliest } from '../clock.js';
import { copyAddress, isMapped, sameAddress } from '../wire/address.js';
import { copyBytes } from '../wire/bytes.js';
import type { IpStats } from './stats.js';

/** Packets in hand, of both families: 4 MB, as much as Linux's ipfrag_high_thresh. */
const SLOTS = 64;
/** Packets in hand from one source. */
const SHARE = 16;
/** From the first fragment that came until the packet is given up, in µs (Linux's ipfrag_time; RFC 1122 asks for 60 to 120 s, long for today's links). */
export const REASSEMBLY_TIMEOUT = 30e6;
/** The same for IPv6 (RFC 8200 4.5). */
export const REASSEMBLY_TIMEOUT6 = 60e6;

/** Fragments begin at multiples of this many bytes. */
const UNIT = 8;
/** Words of a map with a bit for each unit of a packet. */
const MAP_WORDS = 8192 / 32;
/** Largest packet without its header. */
const DATA_MAX = 65535;
/** Room for the header before the data. */
const HEADER_ROOM = 64;
const STRIDE = HEADER_ROOM + DATA_MAX + 1;

/** States of a slot. */
const FREE = 0;
const OPEN = 1;
/** The packet is given up, and what else comes of it is not to begin another. */
const DEAD = 2;

/** Results of `add` other than a slot. */
export const INCOMPLETE = -1;
export const REFUSED = -2;

const NONE = -1;
const NOT_ECT = 1 << 0;
const CE = 3;

/** One fragment. One object, filled anew for each. */
export class Fragment {
  bytes: Uint8Array = new Uint8Array(0);
  /** Source and destination, four words each. */
  readonly addresses = new Int32Array(8);
  identification = 0;
  /** Protocol of the packet where that tells packets of one identification apart (IPv4), else 0. */
  protocol = 0;
  /** Of IPv6: the kind of header that the data begin with, where this is the first fragment. */
  nextHeader = 0;
  /** Place of the header, and its length of at most 60 bytes: that of the first fragment becomes the packet's. */
  headerAt = 0;
  header = 0;
  /** Place and length of the data. */
  dataAt = 0;
  length = 0;
  /** Of the data in the packet, in bytes, a multiple of 8. */
  offset = 0;
  more = false;
  /** ECN field, 0-3. */
  ecn = 0;
}

/** Hears of packets that did not become whole in time, of which the first fragment is there (RFC 1122 3.3.2, RFC 8200 4.5). */
export interface ReassemblyEvents {
  timedOut(slot: number, six: boolean, now: number): void;
}

export class Reassembly {
  readonly fragment = new Fragment();
  /** Where packets are put together; there is none until the first fragment comes. */
  bytes: Uint8Array = new Uint8Array(0);
  private readonly stats: IpStats;
  private readonly states = new Uint8Array(SLOTS);
  private readonly started = new Float64Array(SLOTS);
  /** Slots that are not free. */
  private used = 0;
  private readonly addresses = new Int32Array(8 * SLOTS);
  private readonly identifications = new Int32Array(SLOTS);
  private readonly protocols = new Uint8Array(SLOTS);
  private readonly nextHeaders = new Uint8Array(SLOTS);
  /** Bytes of data of the first fragment; 0 until it has come. */
  private readonly firsts = new Int32Array(SLOTS);
  private readonly headers = new Uint8Array(SLOTS);
  /** Bytes of data in all; -1 until the last fragment has come. */
  private readonly totals = new Int32Array(SLOTS);
  /** End of the data that is furthest back. */
  private readonly ends = new Int32Array(SLOTS);
  /** Units that have come. */
  private readonly counts = new Int32Array(SLOTS);
  /** Bit n: a fragment with ECN field n has come. */
  private readonly marks = new Uint8Array(SLOTS);
  /** A bit for each unit that has come, and for each that a fragment begins with. */
  private filled = new Int32Array(0);
  private begins = new Int32Array(0);

  /** Who is told of what did not become whole. */
  events: ReassemblyEvents | null = null;

  constructor(stats: IpStats) {
    this.stats = stats;
  }

  /**
   * Takes `fragment`.
   *
   * @param now in µs.
   * @returns the slot of the packet that it made whole, to be released; INCOMPLETE; or REFUSED.
   */
  add(now: number): number {
    const { fragment } = this;
    if (this.bytes.length === 0) this.allocate();
    this.advance(now);
    const slot = this.find(now);
    if (this.states[slot] === DEAD) return REFUSED;
    if (!this.isSound(slot)) return this.refuse(slot);
    if (this.overlaps(slot)) {
      if (this.isRepeated(slot)) return INCOMPLETE;
      this.countOverlap(slot);
      return this.refuse(slot);
    }
    if (fragment.offset === 0) {
      this.headers[slot] = fragment.header;
      this.nextHeaders[slot] = fragment.nextHeader;
      this.firsts[slot] = fragment.length;
      copyBytes(fragment.bytes, fragment.headerAt, this.bytes, this.dataOf(slot) - fragment.header, fragment.header);
    }
    copyBytes(fragment.bytes, fragment.dataAt, this.bytes, this.dataOf(slot) + fragment.offset, fragment.length);
    this.mark(slot);
    if (this.totals[slot]! < 0 || this.counts[slot]! * UNIT < this.totals[slot]!) return INCOMPLETE;
    // RFC 3168 5.3: a packet of which one part says "congestion" and another "not capable of ECN" was tampered with.
    const marks = this.marks[slot]!;
    return (marks & (1 << CE)) !== 0 && (marks & NOT_ECT) !== 0 ? this.refuse(slot) : slot;
  }

  /** Offset in `bytes` of the data of a packet; its header ends there. */
  dataOf(slot: number): number {
    return slot * STRIDE + HEADER_ROOM;
  }

  /** Bytes of data of a whole packet. */
  lengthOf(slot: number): number {
    return this.totals[slot]!;
  }

  /** Bytes of the header of a whole packet. */
  headerOf(slot: number): number {
    return this.headers[slot]!;
  }

  /** `Fragment.nextHeader` of the first fragment. */
  nextHeaderOf(slot: number): number {
    return this.nextHeaders[slot]!;
  }

  /** Bytes of data of the first fragment; 0 until it has come. */
  firstOf(slot: number): number {
    return this.firsts[slot]!;
  }

  identificationOf(slot: number): number {
    return this.identifications[slot]!;
  }

  /** ECN field of a whole packet whose first fragment had `ecn`: "congestion experienced" where any part had it (RFC 3168 5.3). */
  ecnOf(slot: number, ecn: number): number {
    return (this.marks[slot]! & (1 << CE)) !== 0 ? CE : ecn;
  }

  /** The packet was taken, or `refused`: its slot is free. */
  release(slot: number, refused: boolean): void {
    if (refused) this.countFailure(slot);
    else if (this.isSix(slot)) this.stats.Ip6ReasmOKs++;
    else this.stats.IpReasmOKs++;
    this.free(slot);
  }

  /** Gives up what has waited too long. */
  advance(now: number): void {
    if (this.used === 0) return;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.states[slot] === FREE || this.deadline(slot) > now) continue;
      if (this.states[slot] === OPEN) {
        const six = this.isSix(slot);
        if (six) this.stats.Ip6ReasmTimeout++;
        else this.stats.IpReasmTimeout++;
        this.countFailure(slot);
        if (this.firsts[slot]! > 0) this.events?.timedOut(slot, six, now);
      }
      this.free(slot);
    }
  }

  /** When `advance` next has something to do. */
  dueBy(next: Earliest): void {
    if (this.used === 0) return;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.states[slot] !== FREE) next.take(this.deadline(slot));
    }
  }

  private deadline(slot: number): number {
    return this.started[slot]! + (this.isSix(slot) ? REASSEMBLY_TIMEOUT6 : REASSEMBLY_TIMEOUT);
  }

  private allocate(): void {
    this.bytes = new Uint8Array(SLOTS * STRIDE);
    this.filled = new Int32Array(SLOTS * MAP_WORDS);
    this.begins = new Int32Array(SLOTS * MAP_WORDS);
  }

  /** The slot of the fragment's packet, a fresh one if need be: one that is free, or the oldest of the source, or of all. */
  private find(now: number): number {
    const { addresses, identification, protocol } = this.fragment;
    let free = NONE;
    let oldest = NONE;
    let oldestOfSource = NONE;
    let ofSource = 0;
    for (let slot = 0; slot < SLOTS; slot++) {
      if (this.states[slot] === FREE) {
        free = slot;
        continue;
      }
      if (oldest === NONE || this.started[slot]! < this.started[oldest]!) oldest = slot;
      if (!sameAddress(this.addresses, 8 * slot, addresses, 0)) continue;
      if (
        this.identifications[slot] === identification && this.protocols[slot] === protocol
        && sameAddress(this.addresses, 8 * slot + 4, addresses, 4)
      ) return slot;
      ofSource++;
      if (oldestOfSource === NONE || this.started[slot]! < this.started[oldestOfSource]!) oldestOfSource = slot;
    }
    let slot = free;
    if (ofSource >= SHARE) slot = oldestOfSource;
    else if (free === NONE) slot = oldest;
    if (slot !== free) {
      if (this.states[slot] === OPEN) this.countFailure(slot);
      this.free(slot);
    }
    this.open(slot, now);
    return slot;
  }

  private open(slot: number, now: number): void {
    const { addresses, identification, protocol } = this.fragment;
    this.states[slot] = OPEN;
    this.used++;
    this.started[slot] = now;
    copyAddress(addresses, 0, this.addresses, 8 * slot);
    copyAddress(addresses, 4, this.addresses, 8 * slot + 4);
    this.identifications[slot] = identification;
    this.protocols[slot] = protocol;
    this.totals[slot] = -1;
    this.ends[slot] = 0;
    this.counts[slot] = 0;
    this.firsts[slot] = 0;
    this.marks[slot] = 0;
    this.filled.fill(0, slot * MAP_WORDS, (slot + 1) * MAP_WORDS);
    this.begins.fill(0, slot * MAP_WORDS, (slot + 1) * MAP_WORDS);
  }

  private free(slot: number): void {
    this.states[slot] = FREE;
    this.used--;
  }

  /** Ends a packet: the rest of it is thrown away as it comes. */
  private refuse(slot: number): number {
    this.states[slot] = DEAD;
    this.countFailure(slot);
    return REFUSED;
  }

  /** Whether a packet can have the fragment: no end beyond the end, no two ends, no gap that nothing can fill. */
  private isSound(slot: number): boolean {
    const { offset, length, more } = this.fragment;
    const end = offset + length;
    if (length === 0 || end > DATA_MAX || (more && length % UNIT !== 0)) return false;
    const total = this.totals[slot]!;
    if (more) return total < 0 || end <= total;
    return total < 0 ? end >= this.ends[slot]! : end === total;
  }

  private overlaps(slot: number): boolean {
    const { offset, length } = this.fragment;
    const last = (offset + length - 1) >> 3;
    for (let unit = offset >> 3; unit <= last; unit++) {
      if (isSet(this.filled, slot, unit)) return true;
    }
    return false;
  }

  /** True where the fragment is one that has come before, byte for byte. */
  private isRepeated(slot: number): boolean {
    const { bytes, dataAt, offset, length } = this.fragment;
    const first = offset >> 3;
    const last = (offset + length - 1) >> 3;
    if (!isSet(this.begins, slot, first)) return false;
    for (let unit = first; unit <= last; unit++) {
      if (!isSet(this.filled, slot, unit) || (unit > first && isSet(this.begins, slot, unit))) return false;
    }
    const next = last + 1;
    if (next * UNIT < this.ends[slot]! && isSet(this.filled, slot, next) && !isSet(this.begins, slot, next)) return false;
    const at = this.dataOf(slot) + offset;
    for (let i = 0; i < length; i++) {
      if (this.bytes[at + i] !== bytes[dataAt + i]) return false;
    }
    return true;
  }

  private mark(slot: number): void {
    const { offset, length, more, ecn } = this.fragment;
    const end = offset + length;
    const first = offset >> 3;
    const last = (end - 1) >> 3;
    set(this.begins, slot, first);
    for (let unit = first; unit <= last; unit++) set(this.filled, slot, unit);
    this.counts[slot] = this.counts[slot]! + last - first + 1;
    if (end > this.ends[slot]!) this.ends[slot] = end;
    if (!more) this.totals[slot] = end;
    this.marks[slot] = this.marks[slot]! | (1 << ecn);
  }

  private isSix(slot: number): boolean {
    return !isMapped(this.addresses, 8 * slot);
  }

  private countFailure(slot: number): void {
    if (this.isSix(slot)) this.stats.Ip6ReasmFails++;
    else this.stats.IpReasmFails++;
  }

  private countOverlap(slot: number): void {
    if (this.isSix(slot)) this.stats.Ip6ReasmOverlaps++;
    else this.stats.IpExtReasmOverlaps++;
  }
}

function isSet(map: Int32Array, slot: number, unit: number): boolean {
  return (map[slot * MAP_WORDS + (unit >> 5)]! & (1 << (unit & 31))) !== 0;
}

function set(map: Int32Array, slot: number, unit: number): void {
  const word = slot * MAP_WORDS + (unit >> 5);
  map[word] = map[word]! | (1 << (unit & 31));
}

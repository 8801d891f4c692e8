/**
 * SYN cookies (RFC 4987 3.6): the initial sequence number of a SYN-ACK holds what a half-open connection would have to
 * remember, and a proof that it was we who sent it, so nothing need be kept until the peer has shown that it is there.
 *
 *     cookie = H(0) + the peer's sequence number + (minute << 24) + (H(minute, that number, index of the MSS) mod 2^24)
 *
 * H is a keyed hash of addresses and ports. As with Linux, for one connection the numbers still ascend a little faster than
 * the peer's, and of 2^32 guesses eight are good at any time. Unlike with Linux, the second hash knows the sequence number and
 * the MSS, so that numbers next to good ones are not good: else a segment that begins a byte or two further on, because the
 * first one was lost, would open the connection without them, and so would one that acknowledges a first byte of ours.
 */
import { SipHash } from './siphash.js';

/** Segment sizes that a cookie can tell apart, for IPv4 and IPv6 (Linux: msstab; Alcock and Nelson 2011). */
const SIZES_4 = [536, 1300, 1440, 1460] as const;
const SIZES_6 = [1220, 1420, 1440, 8940] as const;
const MINUTE_US = 60_000_000;
/** Minutes in which a cookie is good: that in which it was made and the one after it. */
const MINUTES = 2;
const MASK = 0xffffff;
/** For so long after the last cookie, in µs, one is looked for: until none that was given out can be good. */
export const COOKIES_OUT_US = MINUTES * MINUTE_US;

/** Bits below the clock of the timestamp in a SYN-ACK, which the peer echoes (Linux: TSBITS). */
const STAMP_BITS = 6;
const STAMP_MASK = (1 << STAMP_BITS) - 1;
const STAMP_SCALE = 15;
/** No window scaling: 15 is no shift. */
const STAMP_NO_SCALE = 15;
const STAMP_SACK = 1 << 4;
const STAMP_ECN = 1 << 5;

export class SynCookies {
  /** MSS that `make` put into the cookie, or that `check` found in it. */
  mss = 0;
  /** What `readStamp` found: the peer's shift (-1: it does not scale), whether it takes SACK and ECN. */
  windowScale = -1;
  sack = false;
  ecn = false;
  readonly #hash: SipHash;
  readonly #input = new Int32Array(12);

  /** @param secret 16 bytes, not to be guessed. */
  constructor(secret: Uint8Array) {
    this.#hash = new SipHash(secret);
  }

  /**
   * The cookie for a SYN with sequence number `seq` that asked for segments of `mss` bytes. `words` holds the peer's
   * address, then ours, four words each, from `at`.
   *
   * @param now µs.
   */
  make(now: number, words: Int32Array, at: number, peerPort: number, ownPort: number, seq: number, mss: number): number {
    const sizes = this.#sizes(words, at);
    let index = sizes.length - 1;
    while (index > 0 && sizes[index] > mss) index--;
    this.mss = sizes[index];
    const minute = minuteOf(now);
    this.#load(words, at, peerPort, ownPort);
    const base = this.#of(0, 0, 0);
    return (base + seq + (minute << 24) + (this.#of(minute, 1 + index, seq) & MASK)) | 0;
  }

  /**
   * True where `cookie` was made for this peer and its SYN with sequence number `seq` no longer ago than in the minute before
   * this one; `mss` is the size that it holds.
   */
  check(now: number, words: Int32Array, at: number, peerPort: number, ownPort: number, seq: number, cookie: number): boolean {
    const minute = minuteOf(now);
    this.#load(words, at, peerPort, ownPort);
    const rest = (cookie - seq - this.#of(0, 0, 0)) | 0;
    const age = (minute - (rest >>> 24)) & 0xff;
    if (age >= MINUTES) return false;
    const sizes = this.#sizes(words, at);
    for (let index = 0; index < sizes.length; index++) {
      if (((rest ^ this.#of((minute - age) | 0, 1 + index, seq)) & MASK) !== 0) continue;
      this.mss = sizes[index];
      return true;
    }
    return false;
  }

  #sizes(words: Int32Array, at: number): readonly number[] {
    return words[at + 2] === 0xffff && (words[at] | words[at + 1]) === 0 ? SIZES_4 : SIZES_6;
  }

  #load(words: Int32Array, at: number, peerPort: number, ownPort: number): void {
    for (let i = 0; i < 8; i++) this.#input[i] = words[at + i];
    this.#input[8] = (ownPort << 16) | peerPort;
  }

  /** Of other length than what sequence numbers are made of (isn.ts), so that those tell nothing of these. */
  #of(minute: number, use: number, seq: number): number {
    this.#input[9] = minute;
    this.#input[10] = use;
    this.#input[11] = seq;
    this.#hash.hash(this.#input, 0, 12);
    return this.#hash.low;
  }

  /**
   * The timestamp clock (ms) at or before `ms` whose lowest bits tell the other options of the SYN: never ahead of those
   * that follow it.
   *
   * @param windowScale -1 for none.
   */
  stamp(ms: number, windowScale: number, sack: boolean, ecn: boolean): number {
    const told = (windowScale < 0 ? STAMP_NO_SCALE : windowScale) | (sack ? STAMP_SACK : 0) | (ecn ? STAMP_ECN : 0);
    const stamp = (ms & ~STAMP_MASK) | told;
    return ((stamp - ms) | 0) > 0 ? (stamp - STAMP_MASK - 1) | 0 : stamp;
  }

  /** Reads what `stamp` wrote. */
  readStamp(stamp: number): void {
    const scale = stamp & STAMP_SCALE;
    this.windowScale = scale === STAMP_NO_SCALE ? -1 : scale;
    this.sack = (stamp & STAMP_SACK) !== 0;
    this.ecn = (stamp & STAMP_ECN) !== 0;
  }
}

function minuteOf(now: number): number {
  return Math.floor(now / MINUTE_US) | 0;
}

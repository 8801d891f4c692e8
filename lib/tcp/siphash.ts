/**
 * Keyed hashes in int32 arithmetic. SipHash-2-4 (Aumasson and Bernstein 2012) where an attacker must not guess the
 * result; HalfSipHash-1-3, four times as fast, where it is enough that he cannot choose collisions.
 */

/** SipHash-2-4 of 32-bit words, little-endian each; after `hash` the result is in `low` and `high`. */
export class SipHash {
  low = 0;
  high = 0;
  readonly #key = new Int32Array(4);
  /** v0 to v3, low word first. */
  readonly #v = new Int32Array(8);

  /** @param secret 16 bytes. */
  constructor(secret: Uint8Array) {
    for (let i = 0; i < 4; i++) this.#key[i] = keyWord(secret, 4 * i);
  }

  /** Hashes `count` words of `words` from `at`. */
  hash(words: Int32Array, at: number, count: number): void {
    const v = this.#v;
    const key = this.#key;
    v[0] = key[0] ^ 0x70736575; v[1] = key[1] ^ 0x736f6d65;
    v[2] = key[2] ^ 0x6e646f6d; v[3] = key[3] ^ 0x646f7261;
    v[4] = key[0] ^ 0x6e657261; v[5] = key[1] ^ 0x6c796765;
    v[6] = key[2] ^ 0x79746573; v[7] = key[3] ^ 0x74656462;
    let i = 0;
    for (; i + 1 < count; i += 2) this.#compress(words[at + i], words[at + i + 1]);
    this.#compress(i < count ? words[at + i] : 0, (count << 26) | 0);
    v[4] ^= 0xff;
    for (let round = 0; round < 4; round++) this.#round();
    this.low = v[0] ^ v[2] ^ v[4] ^ v[6];
    this.high = v[1] ^ v[3] ^ v[5] ^ v[7];
  }

  #compress(low: number, high: number): void {
    const v = this.#v;
    v[6] ^= low; v[7] ^= high;
    this.#round();
    this.#round();
    v[0] ^= low; v[1] ^= high;
  }

  #round(): void {
    const v = this.#v;
    this.#add(0, 2); this.#rotate(2, 13); v[2] ^= v[0]; v[3] ^= v[1]; swap(v, 0);
    this.#add(4, 6); this.#rotate(6, 16); v[6] ^= v[4]; v[7] ^= v[5];
    this.#add(0, 6); this.#rotate(6, 21); v[6] ^= v[0]; v[7] ^= v[1];
    this.#add(4, 2); this.#rotate(2, 17); v[2] ^= v[4]; v[3] ^= v[5]; swap(v, 4);
  }

  /** 64-bit sum into `a`. */
  #add(a: number, b: number): void {
    const v = this.#v;
    const low = (v[a] >>> 0) + (v[b] >>> 0);
    v[a + 1] = v[a + 1] + v[b + 1] + (low > 0xffffffff ? 1 : 0);
    v[a] = low;
  }

  /** Rotates left by 1 to 31 bits. */
  #rotate(a: number, bits: number): void {
    const v = this.#v;
    const low = v[a];
    const high = v[a + 1];
    v[a] = (low << bits) | (high >>> (32 - bits));
    v[a + 1] = (high << bits) | (low >>> (32 - bits));
  }
}

/** Rotates left by 32 bits. */
function swap(v: Int32Array, a: number): void {
  const low = v[a];
  v[a] = v[a + 1];
  v[a + 1] = low;
}

/** The little-endian word of a key at a byte. */
export function keyWord(secret: Uint8Array, at: number): number {
  return secret[at] | (secret[at + 1] << 8) | (secret[at + 2] << 16) | (secret[at + 3] << 24);
}

/** HalfSipHash-1-3, with a 64-bit key, of a connection's addresses and ports; int32. */
export function hashConnection(
  key0: number, key1: number, words: Int32Array, localAt: number, remoteAt: number, localPort: number,
  remotePort: number,
): number {
  // Fold the upper words first: they are the same for all IPv4 addresses, and of IPv6 every bit must still count.
  let v0 = key0 ^ words[remoteAt] ^ Math.imul(words[localAt], 0x2545f491);
  let v1 = key1 ^ words[remoteAt + 1] ^ Math.imul(words[localAt + 1], 0x2545f491);
  let v2 = 0x6c796765 ^ key0 ^ words[remoteAt + 2];
  let v3 = 0x74656462 ^ key1 ^ words[localAt + 2];
  const ports = (localPort << 16) | remotePort;
  for (let i = 0; i < 6; i++) {
    const word = i === 0 ? words[remoteAt + 3] : i === 1 ? words[localAt + 3] : i === 2 ? ports : 0;
    v3 ^= word;
    if (i === 3) v2 ^= 0xff;
    v0 = (v0 + v1) | 0; v1 = (v1 << 5) | (v1 >>> 27); v1 ^= v0; v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0; v3 = (v3 << 8) | (v3 >>> 24); v3 ^= v2;
    v0 = (v0 + v3) | 0; v3 = (v3 << 7) | (v3 >>> 25); v3 ^= v0;
    v2 = (v2 + v1) | 0; v1 = (v1 << 13) | (v1 >>> 19); v1 ^= v2; v2 = (v2 << 16) | (v2 >>> 16);
    v0 ^= word;
  }
  return v1 ^ v3;
}

/** Ephemeral ports (RFC 6056 3.3.4, "double-hash"): not to be guessed from outside, and long unused before they come again. */
import { SipHash } from './siphash.js';

/** Counters: as many that what one peer sees of them tells nothing of what others see (Linux has as many since 2022). */
const COUNTERS = 65536;

export class EphemeralPorts {
  readonly #hash: SipHash;
  readonly #input = new Int32Array(10);
  readonly #counters = new Uint16Array(COUNTERS);

  /** @param secret 16 bytes, not to be guessed. */
  constructor(secret: Uint8Array) {
    this.#hash = new SipHash(secret);
  }

  /**
   * Where among the ports to look first for a connection to this peer: a place of its own for each peer and port of it, from which
   * connections to it go on step by step. Now and then a step is left out, so that nobody counts them.
   *
   * @param random uint32, not to be guessed. @returns uint32.
   */
  next(words: Int32Array, localAt: number, remoteAt: number, remotePort: number, random: number): number {
    const input = this.#input;
    for (let i = 0; i < 4; i++) {
      input[i] = words[localAt + i];
      input[4 + i] = words[remoteAt + i];
    }
    input[8] = remotePort;
    this.#hash.hash(input, 0, 10);
    const counter = this.#hash.high & (COUNTERS - 1);
    this.#counters[counter] += (random & 7) === 0 ? 2 : 1;
    return (this.#hash.low + this.#counters[counter]) >>> 0;
  }
}

/** Initial sequence numbers (RFC 6528) and timestamp offsets (RFC 7323 5.4), each a keyed hash of the connection. */
import { SipHash } from './siphash.js';

/** Microseconds in which the sequence number clock advances by one (RFC 9293 3.4.1). */
const ISN_TICK_US = 4;

export class IsnGenerator {
  /** Initial sequence number that `generate` made. */
  isn = 0;
  /** Timestamp offset that `generate` made: not to be guessed from the sequence number. */
  tsOffset = 0;
  readonly #hash: SipHash;
  readonly #input = new Int32Array(9);

  /** @param secret 16 bytes, not used for anything that a peer sees otherwise. */
  constructor(secret: Uint8Array) {
    this.#hash = new SipHash(secret);
  }

  /**
   * ISN = M + F(local address, remote address, ports, secret), M the clock of 4 µs: within one 4-tuple numbers ascend,
   * from one 4-tuple nothing can be told of another.
   *
   * @param now microseconds.
   */
  generate(
    now: number, words: Int32Array, localAt: number, remoteAt: number, localPort: number, remotePort: number,
  ): void {
    const input = this.#input;
    for (let i = 0; i < 4; i++) {
      input[i] = words[localAt + i];
      input[4 + i] = words[remoteAt + i];
    }
    input[8] = (localPort << 16) | remotePort;
    this.#hash.hash(input, 0, 9);
    this.isn = (this.#hash.low + Math.floor(now / ISN_TICK_US)) | 0;
    this.tsOffset = this.#hash.high;
  }
}

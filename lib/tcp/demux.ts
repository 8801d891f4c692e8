/** From the addresses and ports of a segment to its flow: a hash table whose chains run through the flow records. */
import { HASH_NEXT, LOCAL_ADDRESS, LOCAL_PORT, REMOTE_ADDRESS, REMOTE_PORT, TCB_WORDS } from './conn/tcb_words.js';
import { EADDRINUSE } from './errno.js';
import type { Listeners } from './listeners.js';
import { PortUses } from './port_uses.js';
import { isOfShare } from './share.js';
import type { Share } from './share.js';
import { hashConnection, keyWord } from './siphash.js';

const NONE = -1;

export class Demux {
  /** Flows in the table. */
  count = 0;
  readonly #words: Int32Array;
  readonly #origin: number;
  readonly #heads: Int32Array;
  readonly #mask: number;
  readonly #key0: number;
  readonly #key1: number;
  readonly #uses: PortUses;

  /** @param secret 16 bytes: chains must not be chosen by a peer. */
  constructor(words: Int32Array, origin: number, maxFlows: number, secret: Uint8Array, uses = new PortUses()) {
    let heads = 64;
    while (heads < maxFlows) heads *= 2;
    this.#words = words;
    this.#uses = uses;
    this.#origin = origin;
    this.#heads = new Int32Array(heads).fill(NONE);
    this.#mask = heads - 1;
    this.#key0 = keyWord(secret, 0) ^ keyWord(secret, 8) ^ 0x5bd1e995;
    this.#key1 = keyWord(secret, 4) ^ keyWord(secret, 12);
  }

  /** The flow of these addresses and ports, or NONE. */
  find(words: Int32Array, localAt: number, remoteAt: number, localPort: number, remotePort: number): number {
    const table = this.#words;
    const hash = hashConnection(this.#key0, this.#key1, words, localAt, remoteAt, localPort, remotePort);
    for (let flow = this.#heads[hash & this.#mask]; flow !== NONE;) {
      const base = this.#origin + flow * TCB_WORDS;
      if (
        table[base + REMOTE_PORT] === remotePort && table[base + LOCAL_PORT] === localPort &&
        sameWords(table, base + REMOTE_ADDRESS, words, remoteAt) && sameWords(table, base + LOCAL_ADDRESS, words, localAt)
      ) return flow;
      flow = table[base + HASH_NEXT];
    }
    return NONE;
  }

  /** Adds a flow whose addresses and ports are filled in and that `find` does not find. */
  add(flow: number): void {
    const base = this.#origin + flow * TCB_WORDS;
    const slot = this.#slotOf(base);
    this.#words[base + HASH_NEXT] = this.#heads[slot];
    this.#heads[slot] = flow;
    this.#uses.add(this.#words[base + LOCAL_PORT]);
    this.count++;
  }

  remove(flow: number): void {
    const table = this.#words;
    const base = this.#origin + flow * TCB_WORDS;
    const slot = this.#slotOf(base);
    if (this.#heads[slot] === flow) {
      this.#heads[slot] = table[base + HASH_NEXT];
    } else {
      let at = this.#origin + this.#heads[slot] * TCB_WORDS;
      while (table[at + HASH_NEXT] !== flow) at = this.#origin + table[at + HASH_NEXT] * TCB_WORDS;
      table[at + HASH_NEXT] = table[base + HASH_NEXT];
    }
    this.#uses.remove(table[base + LOCAL_PORT]);
    this.count--;
  }

  /**
   * A port for an active open, from `first` to `last`: the first free one from a place on that nobody guesses (RFC 6056 3.3).
   * Flows to other peers may share a port; listening ports, those of another TCP and those of another stack's share are left alone. NONE where every port is
   * taken.
   *
   * @param random uint32.
   */
  ephemeralPort(
    words: Int32Array, localAt: number, remoteAt: number, remotePort: number, first: number, last: number,
    random: number, listeners: Listeners, share: Share,
  ): number {
    const count = last - first + 1;
    const start = random % count;
    for (let i = 0; i < count; i++) {
      const port = first + (start + i) % count;
      if (!isOfShare(share, port, remotePort) || listeners.taken(words, localAt, port)) continue;
      if (this.#uses.of(port) > 0 && this.find(words, localAt, remoteAt, port, remotePort) !== NONE) continue;
      const refused = this.#uses.claim(port);
      if (refused === 0) return port;
      if (refused !== -EADDRINUSE) return NONE;
    }
    return NONE;
  }

  #slotOf(base: number): number {
    const table = this.#words;
    return this.#mask & hashConnection(
      this.#key0, this.#key1, table, base + LOCAL_ADDRESS, base + REMOTE_ADDRESS, table[base + LOCAL_PORT],
      table[base + REMOTE_PORT],
    );
  }
}

function sameWords(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return a[aAt + 3] === b[bAt + 3] && a[aAt + 2] === b[bAt + 2] && a[aAt + 1] === b[bAt + 1] && a[aAt] === b[bAt];
}

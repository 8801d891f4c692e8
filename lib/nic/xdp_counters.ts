import type { DeviceStats } from './device.js';
import { getsockopt } from './syscalls.js';
import { SOL_XDP, STATISTICS_WORDS, XDP_STATISTICS } from './xdp_abi.js';

// struct xdp_statistics, its 64-bit words.
const RX_DROPPED = 0;
const RX_INVALID = 1;
const TX_INVALID = 2;
const RX_RING_FULL = 3;
const FILL_RING_EMPTY = 4;
const TX_RING_EMPTY = 5;

/** Counters of a device on AF_XDP sockets. What the kernel counts is read from it when it is asked for. */
export class XdpCounters implements DeviceStats {
  rxFrames = 0;
  rxBytes = 0;
  txFrames = 0;
  txBytes = 0;
  txDropped = 0;
  /** Frames of several chunks that were longer than any frame can be. */
  tooLong = 0;
  readonly #sockets: readonly number[];
  readonly #words = new BigUint64Array(STATISTICS_WORDS);
  /** What was there when the sockets were closed. */
  #last: readonly number[] | null = null;

  constructor(sockets: readonly number[]) {
    this.#sockets = sockets;
  }

  get rxDropped(): number {
    return this.#of(RX_DROPPED) + this.#of(RX_RING_FULL) + this.tooLong;
  }

  /** Of `rxDropped`: the RX ring had no room, since the TCP server did not keep up. */
  get rxRingFull(): number {
    return this.#of(RX_RING_FULL);
  }

  /** How often the kernel found no free chunk to put a frame in. */
  get fillRingEmpty(): number {
    return this.#of(FILL_RING_EMPTY);
  }

  /** Entries of the fill ring, and of the TX ring, that the kernel could not use: none, unless this package has a fault. */
  get rxInvalid(): number {
    return this.#of(RX_INVALID);
  }

  get txInvalid(): number {
    return this.#of(TX_INVALID);
  }

  /** How often the kernel found nothing to send. */
  get txRingEmpty(): number {
    return this.#of(TX_RING_EMPTY);
  }

  /** The sockets are about to be closed. */
  freeze(): void {
    this.#last = Array.from({ length: STATISTICS_WORDS }, (_, word) => this.#of(word));
  }

  /** Sum over the queues. */
  #of(word: number): number {
    if (this.#last !== null) return this.#last[word]!;
    let sum = 0;
    for (const socket of this.#sockets) if (getsockopt(socket, SOL_XDP, XDP_STATISTICS, this.#words) === 0) sum += Number(this.#words[word]);
    return sum;
  }
}

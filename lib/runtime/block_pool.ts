/**
 * Free blocks of one owner: the receive pool of the TCP server, or the send arena of an app thread. A stack, so that the
 * block freed last, still in the cache, is handed out first. Private to the thread that owns the blocks.
 */
export class BlockPool {
  readonly capacity: number;
  readonly #free: Int32Array;
  #count: number;

  /** Blocks `first` to `first + capacity - 1`. */
  constructor(first: number, capacity: number) {
    this.capacity = capacity;
    this.#count = capacity;
    this.#free = Int32Array.from({ length: capacity }, (_, i) => first + capacity - 1 - i);
  }

  get available(): number {
    return this.#count;
  }

  /**
   * A free block for somebody who holds `held` already, or -1. Nobody may hold more than what is left over, so however
   * many take what they can get, a newcomer still finds some (dynamic threshold: Choudhury and Hahne, 1998).
   */
  take(held: number): number {
    if (held >= this.#count) return -1;
    return this.#free[--this.#count];
  }

  give(block: number): void {
    this.#free[this.#count++] = block;
  }
}

/** Two threads that wake each other by turns, by `Atomics.wait` and `Atomics.notify` as the threads of this package do. */
import { once } from 'node:events';
import type { Worker } from 'node:worker_threads';

/** Words of the memory that both share: whose turn it is. */
const TURN = 0;
const HERE = 0;
const THERE = 1;
const OVER = 2;

export class Swing {
  readonly #words: Int32Array;
  readonly #worker: Worker;

  private constructor(words: Int32Array, worker: Worker) {
    this.#words = words;
    this.#worker = worker;
  }

  /** @param worker that runs `swingBack`. */
  static async start(worker: Worker): Promise<Swing> {
    const words = new Int32Array(new SharedArrayBuffer(4));
    worker.postMessage(words);
    await once(worker, 'online');
    return new Swing(words, worker);
  }

  /** Wakes the other thread and waits until it has woken this one. */
  there(): void {
    Atomics.store(this.#words, TURN, THERE);
    Atomics.notify(this.#words, TURN);
    Atomics.wait(this.#words, TURN, THERE);
  }

  async end(): Promise<void> {
    const gone = once(this.#worker, 'exit');
    Atomics.store(this.#words, TURN, OVER);
    Atomics.notify(this.#words, TURN);
    await gone;
  }
}

/** The other thread's part. */
export function swingBack(words: Int32Array): void {
  for (;;) {
    Atomics.wait(words, TURN, HERE);
    if (Atomics.load(words, TURN) === OVER) return;
    Atomics.store(words, TURN, HERE);
    Atomics.notify(words, TURN);
  }
}

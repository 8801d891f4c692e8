/**
 * How a thread that has published something wakes a peer that sleeps, and how a thread goes to sleep without missing it.
 *
 * ```
 *   producer: publish ─▶ look at the peer's sleep word ─▶ asleep? claim it (compare-exchange to awake) and wake the peer
 *   sleeper:  set the sleep word ─▶ look at the queues again ─▶ still nothing? wait
 * ```
 *
 * `Atomics` operations are sequentially consistent, so at least one of the two sees the other: either the producer sees the
 * sleep word, or the sleeper sees what was published. The compare-exchange lets exactly one producer pay for the wake-up.
 * No wake-up is sent to a thread that is awake.
 */
import { writeSync } from 'node:fs';
import { addressOf, futexWait, futexWake } from '../nic/syscalls.js';
import { APP_BLOCKED, APP_LOOP_SLEEPS, CH_SLEEP, CTRL_EVENTFD, CTRL_SLEEP, SLEEP_AWAKE, SLEEP_POLL, SLEEP_WAIT } from './layout.js';
import type { Layout } from './layout.js';

/** How long a thread may sleep out of V8's reach, ms: so long `worker.terminate()` waits for it at most. */
const LONGEST_SLEEP_MS = 50;

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Wakes the TCP server where it sleeps. Any thread. */
export function ringServer(words: Int32Array): void {
  const sleep = Atomics.load(words, CTRL_SLEEP);
  if (sleep === SLEEP_AWAKE) return;
  if (Atomics.compareExchange(words, CTRL_SLEEP, sleep, SLEEP_AWAKE) !== sleep) return;
  if (sleep === SLEEP_WAIT) Atomics.notify(words, CTRL_SLEEP);
  else if (sleep === SLEEP_POLL) writeSync(words[CTRL_EVENTFD], ONE);
}

/**
 * Wakes an app thread where it sleeps. Returns true where a wake-up was sent.
 *
 * @param sleepAt CH_SLEEP of its channel. @param address of the words: for those who ring often.
 */
export function ringApp(words: Int32Array, sleepAt: number, address = addressOf(words)): boolean {
  const sleep = Atomics.load(words, sleepAt);
  if (sleep === 0) return false;
  if (Atomics.compareExchange(words, sleepAt, sleep, 0) !== sleep) return false;
  if ((sleep & APP_BLOCKED) !== 0) futexWake(address + 4 * sleepAt);
  if ((sleep & APP_LOOP_SLEEPS) !== 0) Atomics.notify(words, sleepAt);
  return true;
}

/** Wakes every app thread that sleeps: something concerns all of them. Any thread. */
export function ringEveryApp(words: Int32Array, layout: Layout): void {
  const address = addressOf(words);
  for (let channel = 0; channel < layout.sizes.maxApps; channel++) ringApp(words, layout.channelBase(channel) + CH_SLEEP, address);
}

/**
 * The sleep of an app thread itself, its event loop with it.
 *
 * It is a futex and not `Atomics.wait`: V8 wakes a waiter while it holds the lock on all of them, which the waiter needs to go on. Where both
 * share a CPU each wake-up would be four switches between them instead of two.
 */
export class ThreadSleep {
  readonly #words: Int32Array;
  readonly #sleepAt: number;
  readonly #address: number;

  /** @param sleepAt CH_SLEEP of the thread's channel. */
  constructor(words: Int32Array, sleepAt: number) {
    this.#words = words;
    this.#sleepAt = sleepAt;
    this.#address = addressOf(words) + 4 * sleepAt;
  }

  /** Sleeps until it is rung for, for `ms` at most. Returns true where the time is over. @param queues what it must not sleep over. */
  sleep(queues: { readonly isQuiet: boolean }, ms: number): boolean {
    const words = this.#words;
    const until = performance.now() + ms;
    // The event loop may be asleep as well, and stays so.
    const asleep = Atomics.or(words, this.#sleepAt, APP_BLOCKED) | APP_BLOCKED;
    let left = ms;
    while (left > 0 && queues.isQuiet && Atomics.load(words, this.#sleepAt) === asleep) {
      futexWait(this.#address, asleep, Math.min(left, LONGEST_SLEEP_MS) * 1000);
      left = until - performance.now();
    }
    Atomics.and(words, this.#sleepAt, ~APP_BLOCKED);
    return left <= 0;
  }
}

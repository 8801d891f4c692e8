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
import { CH_SLEEP, CTRL_EVENTFD, CTRL_SLEEP, SLEEP_AWAKE, SLEEP_POLL, SLEEP_WAIT } from './layout.js';
import type { Layout } from './layout.js';

const ONE = new Uint8Array(new BigUint64Array([1n]).buffer);

/** Wakes the TCP server where it sleeps. Any thread. */
export function ringServer(words: Int32Array): void {
  const sleep = Atomics.load(words, CTRL_SLEEP);
  if (sleep === SLEEP_AWAKE) return;
  if (Atomics.compareExchange(words, CTRL_SLEEP, sleep, SLEEP_AWAKE) !== sleep) return;
  if (sleep === SLEEP_WAIT) Atomics.notify(words, CTRL_SLEEP);
  else if (sleep === SLEEP_POLL) writeSync(words[CTRL_EVENTFD], ONE);
}

/** Wakes an app thread where it sleeps; `sleepAt` is its channel's CH_SLEEP. Returns true where a wake-up was sent. */
export function ringApp(words: Int32Array, sleepAt: number): boolean {
  if (Atomics.load(words, sleepAt) === 0) return false;
  if (Atomics.compareExchange(words, sleepAt, 1, 0) !== 1) return false;
  Atomics.notify(words, sleepAt);
  return true;
}

/** Wakes every app thread that sleeps: something concerns all of them. Any thread. */
export function ringEveryApp(words: Int32Array, layout: Layout): void {
  for (let channel = 0; channel < layout.sizes.maxApps; channel++) ringApp(words, layout.channelBase(channel) + CH_SLEEP);
}

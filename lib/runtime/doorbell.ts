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
import { futexWait, futexWake } from '../nic/syscalls.js';
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

/** The sleep word of a channel: CH_SLEEP, in the memory that the app thread sleeps in. */
export function sleepWord(words: Int32Array, channelBase: number): Int32Array {
  return words.subarray(channelBase + CH_SLEEP, channelBase + CH_SLEEP + 1);
}

/** Wakes an app thread where it sleeps. Returns true where a wake-up was sent. @param word its sleep word. */
export function ringApp(word: Int32Array): boolean {
  const sleep = Atomics.load(word, 0);
  if (sleep === 0) return false;
  if (Atomics.compareExchange(word, 0, sleep, 0) !== sleep) return false;
  if ((sleep & APP_BLOCKED) !== 0) futexWake(word);
  if ((sleep & APP_LOOP_SLEEPS) !== 0) Atomics.notify(word, 0);
  return true;
}

/** Wakes every app thread that sleeps: something concerns all of them. Any thread. */
export function ringEveryApp(words: Int32Array, layout: Layout): void {
  for (let channel = 0; channel < layout.sizes.maxApps; channel++) ringApp(sleepWord(words, layout.channelBase(channel)));
}

/**
 * Puts the calling thread to sleep, its event loop with it, until it is rung for, for `ms` at most.
 *
 * It is a futex and not `Atomics.wait`: V8 wakes a waiter while it holds the lock on all of them, which the waiter needs to go on. Where both
 * share a CPU each wake-up would be four switches between them instead of two.
 *
 * @param word its sleep word. @param queues what it must not sleep over. @returns true where the time is over.
 */
export function sleepInThread(word: Int32Array, queues: { readonly isQuiet: boolean }, ms: number): boolean {
  // The event loop may be asleep as well, and stays so.
  const asleep = Atomics.or(word, 0, APP_BLOCKED) | APP_BLOCKED;
  let left = ms;
  while (left > 0 && queues.isQuiet && Atomics.load(word, 0) === asleep) {
    const slice = Math.min(left, LONGEST_SLEEP_MS);
    if (futexWait(word, asleep, slice)) left -= slice;
  }
  Atomics.and(word, 0, ~APP_BLOCKED);
  return left <= 0;
}

/** The two threads of the stress test of queue.test.ts. */
import { parentPort, workerData } from 'node:worker_threads';
import { ringApp, sleepInThread } from '../../lib/runtime/doorbell.js';
import { QueueConsumer, QueueProducer } from '../../lib/runtime/queue.js';

const HEAD = 0;
const TAIL = 16;
const PRODUCER_SLEEP = 32;
const CONSUMER_SLEEP = 48;
const ENTRIES = 64;

const { words, count, inFutex } = (workerData ?? {}) as { words: Int32Array; count: number; inFutex: boolean };
const wordAt = (at: number): Int32Array => words.subarray(at, at + 1);

/** Sleeps on `sleepAt` unless `ready` says that there is something to do; the order of doorbell.ts. */
function sleep(sleepAt: number, ready: () => boolean): void {
  if (inFutex) {
    sleepInThread(wordAt(sleepAt), { get isQuiet() { return !ready(); } }, 60_000);
    return;
  }
  Atomics.store(words, sleepAt, 1);
  if (!ready()) Atomics.wait(words, sleepAt, 1);
  Atomics.store(words, sleepAt, 0);
}

export function produce(): void {
  const queue = new QueueProducer(words, HEAD, TAIL, ENTRIES);
  for (let i = 0; i < count; ) {
    const tail = Atomics.load(words, TAIL);
    const at = queue.push();
    if (at < 0) {
      queue.publish();
      ringApp(wordAt(CONSUMER_SLEEP));
      sleep(PRODUCER_SLEEP, () => Atomics.load(words, TAIL) !== tail);
      continue;
    }
    words[at + 3] = i++;
    if (i % 97 === 0 || i === count) {
      queue.publish();
      ringApp(wordAt(CONSUMER_SLEEP));
    }
  }
  parentPort?.postMessage(count);
}

export function consume(): void {
  const queue = new QueueConsumer(words, HEAD, TAIL, ENTRIES);
  let next = 0;
  while (next < count) {
    const available = queue.available();
    if (available === 0) {
      sleep(CONSUMER_SLEEP, () => queue.available() !== 0);
      continue;
    }
    for (let i = 0; i < available; i++) {
      if (words[queue.take() + 3] !== next++) throw new Error(`entry ${next - 1} is out of order`);
    }
    queue.release();
    ringApp(wordAt(PRODUCER_SLEEP));
  }
  parentPort?.postMessage(next);
}

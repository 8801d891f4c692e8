/** Queues and doorbells: a queue against an array, every interleaving of park and notify, and real threads under stress. */
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { ringApp, sleepInThread } from '../../lib/runtime/doorbell.js';
import { APP_BLOCKED, APP_LOOP_SLEEPS, ENTRY_WORDS, QUEUE_ENTRIES } from '../../lib/runtime/layout.js';
import { QueueConsumer, QueueProducer } from '../../lib/runtime/queue.js';
import { randomOf } from '../support/random.js';

const HEAD = 0;
const TAIL = 16;
const ENTRIES = 32;

function makeQueue(): { words: Int32Array; producer: QueueProducer; consumer: QueueConsumer } {
  const words = new Int32Array(new SharedArrayBuffer((ENTRIES + QUEUE_ENTRIES * ENTRY_WORDS) * 4));
  // Positions wrap within the test.
  words[HEAD] = words[TAIL] = 0x7fffffff - 1000;
  return { words, producer: new QueueProducer(words, HEAD, TAIL, ENTRIES), consumer: new QueueConsumer(words, HEAD, TAIL, ENTRIES) };
}

t.test('a queue behaves as an array does, whatever the batches, across the wrap of its positions', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const { words, producer, consumer } = makeQueue();
    const model: number[] = [];
    let unpublished: number[] = [];
    let held = 0;
    let next = 0;
    for (let step = 0; step < 3000; step++) {
      for (let pushes = random() % 40; pushes > 0; pushes--) {
        const at = producer.push();
        const full = model.length + unpublished.length + held === QUEUE_ENTRIES;
        if (full !== at < 0) t.fail(`seed ${seed}: full is ${full}, push says ${at}`);
        if (at < 0) break;
        words[at + 7] = next;
        unpublished.push(next++);
      }
      if (random() % 3 > 0) {
        producer.publish();
        model.push(...unpublished);
        unpublished = [];
      }
      for (let takes = random() % 50; takes > 0 && consumer.available() > 0; takes--) {
        const value = words[consumer.take() + 7];
        if (value !== model.shift()) t.fail(`seed ${seed}: out of order at ${value}`);
        held++;
      }
      if (random() % 2 > 0) {
        consumer.release();
        held = 0;
      }
    }
  }
  t.pass('20 seeds');
});

t.test('a position that makes no sense is found out', async (t) => {
  const { words, producer, consumer } = makeQueue();
  words[HEAD] += QUEUE_ENTRIES + 1;
  t.equal(consumer.available(), -1, 'a head too far ahead');
  words[HEAD] = words[TAIL] - 1;
  t.equal(new QueueConsumer(words, HEAD, TAIL, ENTRIES).available(), -1, 'a head behind the tail');
  while (producer.push() >= 0);
  words[TAIL] += QUEUE_ENTRIES * 2;
  t.equal(producer.push(), -1, 'a tail ahead of the head counts as full');
});

/**
 * Runs `producer`, which is made of `Atomics` operations, with the steps of a sleeper put before its operations as `plan`
 * says: plan[i] steps before the i-th. Returns how many operations there were.
 */
function interleave(producer: () => void, sleeper: () => void, plan: readonly number[]): number {
  const { load, compareExchange, store } = Atomics;
  let operation = 0;
  const before = (): void => {
    for (let steps = plan[operation] ?? 0; steps > 0; steps--) sleeper();
    operation++;
  };
  Atomics.load = ((...args: Parameters<typeof load>) => (before(), load(...args))) as typeof load;
  Atomics.store = ((...args: Parameters<typeof store>) => (before(), store(...args))) as typeof store;
  Atomics.compareExchange = ((...args: Parameters<typeof compareExchange>) => (before(), compareExchange(...args))) as typeof compareExchange;
  try {
    producer();
  } finally {
    Object.assign(Atomics, { load, compareExchange, store });
  }
  return operation;
}

t.test('no interleaving of a sleeper and a producer loses a wake-up', async (t) => {
  const SLEEP = 8;
  const PLACES = 4;
  let cases = 0;
  for (let code = 0; code < 4 ** PLACES; code++) {
    const plan = Array.from({ length: PLACES }, (_, i) => Math.floor(code / 4 ** i) % 4);
    const { words, producer, consumer } = makeQueue();
    const { load, store, notify } = Atomics;
    let notified = 0;
    Atomics.notify = () => ++notified;
    // The sleeper: say so, look again, wait. It sleeps where the word is still 1 at the wait.
    let step = 0;
    let asleep = false;
    let awake = false;
    const sleeper = (): void => {
      const saved = { load: Atomics.load, store: Atomics.store };
      Object.assign(Atomics, { load, store });
      if (step === 0) store(words, SLEEP, 1);
      else if (step === 1) awake = consumer.available() > 0;
      else if (step === 2 && !awake) asleep = load(words, SLEEP) === 1;
      step++;
      Object.assign(Atomics, saved);
    };
    const operations = interleave(
      () => {
        producer.push();
        producer.publish();
        ringApp(words.subarray(SLEEP, SLEEP + 1));
      },
      sleeper,
      plan,
    );
    while (step < 3) sleeper();
    Atomics.notify = notify;
    if (operations > PLACES) t.fail('more operations than places in the plan');
    if (asleep && notified === 0) t.fail(`the sleeper sleeps on with work in the queue: ${plan.join(',')}`);
    if (notified > 1) t.fail('more than one wake-up');
    cases++;
  }
  t.equal(cases, 256);
});

for (const inFutex of [false, true]) {
  t.test(`two threads pass a million entries, both falling asleep again and again, ${inFutex ? 'in a futex' : 'in Atomics.wait'}`, async (t) => {
    const words = new Int32Array(new SharedArrayBuffer((64 + QUEUE_ENTRIES * ENTRY_WORDS) * 4));
    const here = import.meta.url;
    const code = (role: string): string => `import(${JSON.stringify(new URL('./queue_stress.js', here).href)}).then((m) => m.${role}())`;
    const run = (role: string): Promise<number> =>
      new Promise((resolve, reject) => {
        const worker = new Worker(code(role), { eval: true, workerData: { words, count: 1_000_000, inFutex } });
        worker.once('message', resolve);
        worker.once('error', reject);
      });
    const [sent, taken] = await Promise.all([run('produce'), run('consume')]);
    t.equal(sent, 1_000_000);
    t.equal(taken, 1_000_000, 'all of them, in order');
  });
}

t.test('a thread that sleeps itself while its event loop does, too: whoever rings wakes both, and otherwise the event loop sleeps on', async (t) => {
  const word = new Int32Array(new SharedArrayBuffer(64), 12, 1);
  word[0] = APP_LOOP_SLEEPS;
  t.ok(sleepInThread(word, { isQuiet: true }, 60), 'the time is over, which it sleeps through in pieces');
  t.equal(word[0], APP_LOOP_SLEEPS);
  t.notOk(sleepInThread(word, { isQuiet: false }, 60_000), 'there is something to take');
  t.equal(word[0], APP_LOOP_SLEEPS);
  t.notOk(sleepInThread(word, { get isQuiet() { return ringApp(word); } }, 60_000), 'it is rung for between its look and its sleep');
  t.equal(word[0], 0);
  const loop = Atomics.waitAsync(word, 0, 0);
  word[0] = APP_LOOP_SLEEPS | APP_BLOCKED;
  t.ok(ringApp(word));
  t.equal(await loop.value, 'ok');
  t.notOk(ringApp(word), 'it is awake');
});

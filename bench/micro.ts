/**
 * `npm run bench -- micro`: what the steps of the hot path cost by themselves, in nanoseconds, on this machine. Nothing is beside them to
 * compare with; they show which step has become dearer, where a whole benchmark only says that something has.
 */
import { Worker } from 'node:worker_threads';
import { do_not_optimize as keep, measure } from 'mitata';
import { ENTRY_WORDS, QUEUE_ENTRIES } from '../lib/runtime/layout.js';
import { QueueConsumer, QueueProducer } from '../lib/runtime/queue.js';
import { hashConnection } from '../lib/tcp/siphash.js';
import { TimerWheel } from '../lib/tcp/timer_wheel.js';
import { add, fold } from '../lib/tcp/wire/checksum.js';
import { ACK, TCP_HEADER, checkTcp, emitTcp, tcpSequence } from '../lib/tcp/wire/tcp.js';
import type { Metric, Round } from './report.js';
import type { Say } from './settings.js';
import { SteadyPair } from './steady_pair.js';
import { Swing } from './swing.js';

/** ns of each step, by its name. */
type MicroSample = Readonly<Record<string, number>>;

/** A step: `run` carries it out `times` times. */
interface Step {
  readonly name: string;
  readonly times: number;
  run(): unknown;
}

const NAMES = [
  'checksum of 1,448 bytes', 'checksum of 64 KiB', 'TCP header: write and check', 'hash of a connection', 'timer: arm and cancel', 'queue: an entry across',
  'stacks: request and answer', 'threads: wake and be woken',
] as const;

export const MICRO_METRICS: readonly Metric<MicroSample>[] = NAMES.map((name) => ({ name, unit: 'ns', better: 'less', of: (sample) => sample[name] ?? NaN }));

export async function measureMicro(rounds: number, say: Say): Promise<Round<MicroSample>[]> {
  const nothing: MicroSample = {};
  const found: Round<MicroSample>[] = [];
  const swing = await Swing.start(new Worker(new URL('./swing_worker.js', import.meta.url)));
  const steps = [...wireSteps(), hashStep(), timerStep(), queueStep(), stackStep(), swingStep(swing)];
  try {
    for (let round = 0; round < rounds; round++) {
      say(`  round ${round + 1}/${rounds}`);
      const sample: Record<string, number> = {};
      for (const { name, times, run } of steps) sample[name] = (await measure(run)).p50 / times;
      say(`  ${Object.entries(sample).map(([name, ns]) => `${name} ${ns.toFixed(1)} ns`).join(', ')}\n`);
      found.push({ offload: sample, kernel: nothing });
    }
  } finally {
    await swing.end();
  }
  return found;
}

const MANY = 1000;

function wireSteps(): Step[] {
  const bytes = new Uint8Array(65536).map((_, i) => i);
  return [
    { name: NAMES[0], times: 1, run: () => keep(fold(add(0, bytes, 0, 1448))) },
    { name: NAMES[1], times: 1, run: () => keep(fold(add(0, bytes, 0, 65536))) },
    {
      name: NAMES[2], times: MANY,
      run: () => {
        let sum = 0;
        for (let i = 0; i < MANY; i++) {
          emitTcp(bytes, 0, 80, 40_000, i, i, ACK, 65_535, TCP_HEADER);
          sum += checkTcp(bytes, 0, TCP_HEADER) + tcpSequence(bytes, 0);
        }
        return keep(sum);
      },
    },
  ];
}

function hashStep(): Step {
  const words = new Int32Array([0, 0, -65536, 0x0a000001, 0, 0, -65536, 0x0a000002]);
  return {
    name: NAMES[3], times: MANY,
    run: () => {
      let sum = 0;
      for (let i = 0; i < MANY; i++) sum ^= hashConnection(1, 2, words, 0, 4, 80, i);
      return keep(sum);
    },
  };
}

/** One timer of many is put off again and again, as a retransmission timer is. */
function timerStep(): Step {
  const wheel = new TimerWheel(MANY, 0);
  for (let node = 0; node < MANY; node++) wheel.arm(node, 200_000 + node * 1000);
  return {
    name: NAMES[4], times: MANY,
    run: () => {
      for (let node = 0; node < MANY; node++) {
        wheel.cancel(node);
        wheel.arm(node, 200_000 + node * 1000);
      }
    },
  };
}

/** Both ends in one thread: what the queue costs without the other CPU's cache. */
function queueStep(): Step {
  const words = new Int32Array(new SharedArrayBuffer(4 * (32 + QUEUE_ENTRIES * ENTRY_WORDS)));
  const producer = new QueueProducer(words, 0, 16, 32);
  const consumer = new QueueConsumer(words, 0, 16, 32);
  const batch = Math.min(64, QUEUE_ENTRIES);
  return {
    name: NAMES[5], times: batch,
    run: () => {
      let sum = 0;
      for (let i = 0; i < batch; i++) words[producer.push()] = i;
      producer.publish();
      for (let n = consumer.available(); n > 0; n--) sum += words[consumer.take()] as number;
      consumer.release();
      return keep(sum);
    },
  };
}

/** Both ends of a request: see steady_pair.ts. */
function stackStep(): Step {
  const pair = new SteadyPair();
  pair.turns(MANY);
  const before = pair.answers;
  pair.turns(MANY);
  const answers = pair.answers - before;
  return { name: NAMES[6], times: answers, run: () => { pair.turns(MANY); } };
}

function swingStep(swing: Swing): Step {
  const swings = 100;
  return { name: NAMES[7], times: swings, run: () => { for (let i = 0; i < swings; i++) swing.there(); } };
}

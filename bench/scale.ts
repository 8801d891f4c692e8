/** `npm run bench -- scale`: what an open connection takes while nothing happens on it, and what a request costs beside many of them. */
import type { Network } from '../examples/support/network.js';
import { ManyLoad, kernelMost } from './many.js';
import { ServerUnderTest } from './programs.js';
import { bothCpu } from './report.js';
import type { Metric, Round } from './report.js';
import type { Say, Settings, Side } from './settings.js';

/** One side of one round. */
interface ScaleSample {
  /** Resident bytes of the process under test a connection, while all are idle; with few connections that says nothing. */
  readonly bytes: number;
  /** Per cent of a CPU, of both threads together, while all are idle. */
  readonly idleCpu: number;
  /** CPU of both threads a request, µs, all connections taking turns, and that over what it is on the least connections. */
  readonly cpu: number;
  readonly growth: number;
  readonly perSecond: number;
}

export const SCALE_METRICS: readonly Metric<ScaleSample>[] = [
  { name: 'memory', unit: 'bytes/connection', better: 'less', of: ({ bytes }) => bytes },
  { name: 'idle-cpu', unit: '% of a CPU', better: 'less', of: ({ idleCpu }) => idleCpu },
  { name: 'cpu', unit: 'us/request', better: 'less', of: ({ cpu }) => cpu },
  { name: 'cpu-growth', unit: 'over the first', better: 'less', of: ({ growth }) => growth },
  { name: 'requests', unit: '1/s', better: 'more', of: ({ perSecond }) => perSecond },
];

const NOTHING: ScaleSample = { bytes: NaN, idleCpu: NaN, cpu: NaN, growth: NaN, perSecond: NaN };
/** Connections too few to be seen in the memory of a process. */
const FEW = 1000;
/** Requests under way at once. */
const WINDOW = 64;
const PATIENCE_MS = 10_000;
const SPARE_FLOWS = 1024;
/** What the opening of many connections leaves to be done is over by then: timers of the handshakes, garbage. */
const SETTLING_MS = 3000;

/** Rounds of each number of connections, by that number. */
export async function measureScale(settings: Settings, network: Network, say: Say): Promise<Map<number, Round<ScaleSample>[]>> {
  const found = new Map<number, Round<ScaleSample>[]>(settings.counts.map((count) => [count, []]));
  for (let round = 0; round < settings.rounds; round++) {
    const first: Record<Side, number> = { offload: NaN, kernel: NaN };
    for (const count of settings.counts) {
      const samples: Record<Side, ScaleSample> = { offload: NOTHING, kernel: NOTHING };
      for (const side of round % 2 === 0 ? settings.sides : settings.sides.toReversed()) {
        say(`  round ${round + 1}/${settings.rounds} ${count} connections, ${side.padEnd(8)}`);
        if (side === 'kernel' && count > kernelMost()) {
          say(`  more than the ${kernelMost()} descriptors that a process may have here\n`);
          continue;
        }
        const sample = await measure(settings, network, side, count);
        if (Number.isNaN(first[side])) first[side] = sample.cpu;
        samples[side] = { ...sample, growth: sample.cpu / first[side] };
        say(`  ${SCALE_METRICS.map(({ name, unit, of }) => `${name} ${of(samples[side]).toFixed(2)} ${unit}`).join(', ')}\n`);
      }
      found.get(count)?.push(samples);
    }
  }
  return found;
}

async function measure(settings: Settings, network: Network, side: Side, count: number): Promise<ScaleSample> {
  const server = await ServerUnderTest.start(settings, network, { app: 'fixed', side, more: ['--flows', String(count + SPARE_FLOWS)] });
  try {
    const before = await server.residentBytes();
    const load = await ManyLoad.open(network, count, settings.placement.client);
    try {
      await new Promise((resolve) => setTimeout(resolve, SETTLING_MS));
      const bytes = count < FEW ? NaN : (await server.residentBytes() - before) / count;
      const idleCpu = await server.idleCpu(settings.duration) * 100;
      const order = { rate: 0, window: WINDOW, patience: PATIENCE_MS };
      if (settings.warmup > 0) await load.carryOut({ ...order, seconds: settings.warmup });
      const { within, failed, ...cost } = await server.costOf(() => load.carryOut({ ...order, seconds: settings.duration }));
      if (failed > 0) throw new Error(`${failed} connections or requests of ${count} connections have failed`);
      return { bytes, idleCpu, cpu: bothCpu(cost), growth: NaN, perSecond: within / settings.duration };
    } finally {
      await load.end();
    }
  } finally {
    await server.end();
  }
}

/**
 * `npm run bench -- overload`: load from a quarter of what kernel TCP can take to twice what each side can. The load is open (many_load.ts): it
 * comes whether what came before is answered or not.
 */
import type { Network } from '../examples/support/network.js';
import { ManyLoad } from './many.js';
import { ServerUnderTest } from './programs.js';
import { bothCpu } from './report.js';
import type { Metric, Round } from './report.js';
import type { Say, Settings, Side } from './settings.js';

/** One side of one round under one load. */
interface OverloadSample {
  /** Requests offered, and answered, a second. */
  readonly offered: number;
  readonly perSecond: number;
  /** `perSecond` over the most that this side has answered under any load of this round. */
  readonly ofPeak: number;
  /** Requests a second that were answered late, or not at all. */
  readonly late: number;
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
  readonly appCpu: number;
  readonly serverCpu: number;
}

export const OVERLOAD_METRICS: readonly Metric<OverloadSample>[] = [
  { name: 'offered', unit: '1/s', of: ({ offered }) => offered },
  { name: 'requests', unit: '1/s', better: 'more', of: ({ perSecond }) => perSecond },
  { name: 'of-peak', unit: 'over own peak', better: 'more', of: ({ ofPeak }) => ofPeak },
  { name: 'late', unit: '1/s', better: 'less', of: ({ late }) => late },
  { name: 'p50', unit: 'us', better: 'less', of: ({ p50 }) => p50 },
  { name: 'p99', unit: 'us', better: 'less', of: ({ p99 }) => p99 },
  { name: 'p99.9', unit: 'us', better: 'less', of: ({ p999 }) => p999 },
  { name: 'app-cpu', unit: 'us/request', better: 'less', of: ({ appCpu }) => appCpu },
  { name: 'server-cpu', unit: 'us/request', better: 'less', of: ({ serverCpu }) => serverCpu },
  { name: 'cpu', unit: 'us/request', better: 'less', of: bothCpu },
];

/** Loads up to saturation are shares of what kernel TCP can take, for both sides the same; those beyond, of what each side can. */
const SHARES = [0.25, 0.5, 0.75, 0.9];
const OVERLOADS = [1.25, 1.5, 2];
const CONNECTIONS = 1000;
/** An answer after that is late, and a request that was not sent by then is given up. */
const PATIENCE_MS = 1000;
const NOTHING: OverloadSample = { offered: NaN, perSecond: NaN, ofPeak: NaN, late: NaN, p50: NaN, p99: NaN, p999: NaN, appCpu: NaN, serverCpu: NaN };

/** Rounds of each load, by its name. */
export async function measureOverload(settings: Settings, network: Network, say: Say): Promise<Map<string, Round<OverloadSample>[]>> {
  const found = new Map<string, Round<OverloadSample>[]>();
  let kernelPeak = NaN;
  for (let round = 0; round < settings.rounds; round++) {
    const samples: Record<Side, Map<string, OverloadSample>> = { offload: new Map(), kernel: new Map() };
    // Kernel TCP comes first at first: the other side is offered shares of what it could take when it was last seen.
    for (const side of round % 2 === 0 ? settings.sides : settings.sides.toReversed()) {
      say(`  round ${round + 1}/${settings.rounds} ${side.padEnd(8)}`);
      samples[side] = await sweep(settings, network, side, kernelPeak, say);
      if (side === 'kernel') kernelPeak = samples[side].get('closed')?.perSecond ?? NaN;
    }
    for (const load of new Set([...samples.kernel.keys(), ...samples.offload.keys()])) {
      const rounds = found.get(load) ?? [];
      found.set(load, rounds);
      rounds.push({ offload: samples.offload.get(load) ?? NOTHING, kernel: samples.kernel.get(load) ?? NOTHING });
    }
  }
  return found;
}

/** One server under one load after another, on the same connections. */
async function sweep(settings: Settings, network: Network, side: Side, kernelPeak: number, say: Say): Promise<Map<string, OverloadSample>> {
  const { page, bytes, connections, placement, warmup, duration } = settings;
  const server = await ServerUnderTest.start(settings, network, { app: page === 'dynamic' ? 'dynamic' : 'http', side, more: ['--bytes', String(bytes)] });
  try {
    const count = connections ?? CONNECTIONS;
    const load = await ManyLoad.open(network, count, placement.client);
    try {
      // Each load takes ways of its own through the code: each is warmed up with itself.
      const under = async (rate: number): Promise<OverloadSample> => {
        if (warmup > 0) await measure(server, load, rate, count, warmup);
        return measure(server, load, rate, count, duration);
      };
      const closed = await under(0);
      const reference = Number.isNaN(kernelPeak) ? closed.perSecond : kernelPeak;
      const found = new Map([['closed', closed]]);
      for (const share of SHARES) found.set(`${share} of kernel TCP's most`, await under(share * reference));
      for (const overload of OVERLOADS) found.set(`${overload} times its own most`, await under(overload * closed.perSecond));
      const peak = Math.max(...[...found.values()].map(({ perSecond }) => perSecond));
      say(`  ${[...found.values()].map(({ offered, perSecond, p99 }) => `${Number.isNaN(offered) ? 'closed' : offered.toFixed(0)}: ${perSecond.toFixed(0)}/s p99 ${(p99 / 1000).toFixed(1)} ms`).join(', ')}\n`);
      return new Map([...found].map(([name, sample]) => [name, { ...sample, ofPeak: sample.perSecond / peak }]));
    } finally {
      await load.end();
    }
  } finally {
    await server.end();
  }
}

async function measure(server: ServerUnderTest, load: ManyLoad, rate: number, window: number, seconds: number): Promise<OverloadSample> {
  const found = await server.costOf(() => load.carryOut({ rate, window, seconds, patience: PATIENCE_MS }));
  if (found.failed > 0) throw new Error(`${found.failed} connections or requests have failed`);
  const { within, late, p50, p99, p999, appCpu, serverCpu } = found;
  return { offered: rate === 0 ? NaN : rate, perSecond: within / seconds, ofPeak: NaN, late: late / seconds, p50, p99, p999, appCpu, serverCpu };
}

/**
 * `npm run bench`: the same app over the TCP server and over kernel TCP, on one veth network, by turns in one run.
 * The server under test is a process of its own; the load comes from this machine's own namespace.
 */
import { mayMakeNetworks, openNetwork } from '../examples/support/network.js';
import type { Network } from '../examples/support/network.js';
import { BENCHES } from './benches.js';
import type { RequestBench } from './benches.js';
import { devicePlaces } from './devices.js';
import type { DevicePlace } from './devices.js';
import { bulkLoad, chooseLoader } from './load.js';
import { benchNetworks } from './networks.js';
import type { Loader } from './load.js';
import { OVERLOAD_METRICS, measureOverload } from './overload.js';
import { PORT, ServerUnderTest } from './programs.js';
import { rows, table } from './report.js';
import type { Metric, Round, Sample } from './report.js';
import { SCALE_METRICS, measureScale } from './scale.js';
import { fail, readSettings } from './settings.js';
import type { Say, Settings, Side } from './settings.js';

/** What every measurement of requests needs. */
interface Lab {
  readonly settings: Settings;
  readonly network: Network;
  readonly load: Loader;
  readonly say: Say;
}

const NOTHING: Sample = { perSecond: NaN, p50: NaN, p99: NaN, appCpu: NaN, serverCpu: NaN, collections: NaN };
const TEN_SECONDS = 10;
const CONNECTIONS = 64;

async function main(): Promise<void> {
  const settings = readSettings();
  if (!mayMakeNetworks()) fail('the benchmark needs root (CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN) for its network');
  const { name, load } = chooseLoader();
  const say: Say = (text) => { (settings.json ? process.stderr : process.stdout).write(text); };
  const { server, app, kernel, client } = settings.placement;
  say(`load: ${name}, ${settings.duration} s after ${settings.warmup} s of warming up, ${settings.rounds} rounds\n`);
  say(`CPUs: TCP server ${server}, its app ${app}; kernel TCP's app ${kernel}; load ${client}\n`);

  const show = <S>(bench: string, rounds: readonly Round<S>[], metrics: readonly Metric<S>[]): void => {
    say(`${table(rounds, metrics)}\n`);
    if (settings.json) for (const row of rows(bench, rounds, metrics)) process.stdout.write(`${JSON.stringify(row)}\n`);
  };
  const network = await openNetwork();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { network.close(); process.exit(1); });
  const lab: Lab = { settings, network, load, say };
  try {
    for (const bench of settings.benches) {
      const setting = BENCHES[bench];
      say(`\n${bench}: ${setting.title}\n`);
      if (setting.kind === 'scale') {
        for (const [count, rounds] of await measureScale(settings, network, say)) {
          say(`\n${count} connections\n`);
          show(`${bench} ${count}`, rounds, SCALE_METRICS);
        }
      } else if (setting.kind === 'overload') {
        for (const [name, rounds] of await measureOverload(settings, network, say)) {
          say(`\n${name}\n`);
          show(`${bench} ${name}`, rounds, OVERLOAD_METRICS);
        }
      } else if (setting.kind === 'devices') {
        for (const device of await devicePlaces(network)) {
          say(`\n${device.name}\n`);
          try {
            show(`${bench} ${device.name}`, await measureRounds(lab, BENCHES.http, device), BENCHES.http.metrics);
          } catch (error) {
            say(`\n  cannot be measured here: ${(error as Error).message}\n`);
          }
        }
      } else {
        show(bench, await measureRounds(lab, setting), setting.metrics);
      }
    }
  } finally {
    network.close();
  }
}

/** The sides take turns in going first, so that neither always meets the warmer machine. */
async function measureRounds(lab: Lab, bench: RequestBench, device?: DevicePlace): Promise<Round[]> {
  const { settings, say } = lab;
  const rounds: Round[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const samples: Record<Side, Sample> = { offload: NOTHING, kernel: NOTHING };
    for (const side of round % 2 === 0 ? settings.sides : settings.sides.toReversed()) {
      say(`  round ${round + 1}/${settings.rounds} ${side.padEnd(8)}`);
      samples[side] = await measure(lab, bench, side, side === 'offload' ? device : undefined);
      const said = bench.metrics.map(({ name, unit, of }) => ({ name, unit, value: of(samples[side]) })).filter(({ value }) => !Number.isNaN(value));
      say(`  ${said.map(({ name, unit, value }) => `${name} ${value.toFixed(value < 100 ? 2 : 0)} ${unit}`).join(', ')}\n`);
    }
    rounds.push(samples);
  }
  return rounds;
}

async function measure({ settings, network, load, say }: Lab, bench: RequestBench, side: Side, device?: DevicePlace): Promise<Sample> {
  const { app, bulk, close = false, connections = settings.connections ?? CONNECTIONS } = bench;
  if (close) await network.renewHostAddress();
  const server = await ServerUnderTest.start(settings, network, { app, side, ...device && { place: device.place } });
  try {
    const options = { url: `http://${(device ?? network).serverAddress}:${PORT}/`, connections, close, cpus: settings.placement.client };
    const loading = bulk === undefined ? load : bulkLoad(bulk);
    if (settings.warmup > 0) await loading({ ...options, seconds: settings.warmup });
    const { errors, collections, ...found } = await server.costOf(() => loading({ ...options, seconds: settings.duration }));
    if (errors > 0) say(`${errors} ERRORS `);
    return { ...found, collections: collections * TEN_SECONDS / settings.duration };
  } finally {
    await server.end();
  }
}

if (process.argv[2] === 'networks') await benchNetworks(process.argv.slice(3));
else await main();

/**
 * `npm run bench`: the same app over the TCP server and over kernel TCP, on one veth network, by turns in one run.
 * The server under test is a process of its own; the load comes from this machine's own namespace.
 */
import { mayMakeNetworks, openNetwork } from '../examples/support/network.js';
import type { Network } from '../examples/support/network.js';
import { BENCHES } from './benches.js';
import type { Bench, RequestBench, SweepBench } from './benches.js';
import { devicePlaces } from './devices.js';
import type { DevicePlace } from './devices.js';
import { bulkLoad, chooseLoader, secondBySecond } from './load.js';
import type { Loader } from './load.js';
import { MICRO_METRICS, measureMicro } from './micro.js';
import { benchNetworks } from './networks.js';
import { OVERLOAD_METRICS, measureOverload } from './overload.js';
import { writePage } from './page.js';
import type { Found } from './page.js';
import type { Point } from './plots.js';
import { placementText } from './placement.js';
import { PORT, ServerUnderTest } from './programs.js';
import { rows, table } from './report.js';
import type { Round, Sample } from './report.js';
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
  say(`load: ${name}, ${settings.duration} s after ${settings.warmup} s of warming up, ${settings.rounds} rounds\n`);
  say(`CPUs: ${placementText(settings.placement)}\n`);

  const network = await openNetwork();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { network.close(); process.exit(1); });
  const lab: Lab = { settings, network, load, say };
  const found: Found[] = [];
  try {
    for (const bench of settings.benches) {
      say(`\n${bench}: ${BENCHES[bench].title}\n`);
      const parts = await measureBench(lab, bench);
      for (const part of parts) {
        say(`${part.name === '' ? '' : `\n${part.name}\n`}${table(part.rows)}\n`);
        if (settings.json) for (const row of part.rows) process.stdout.write(`${JSON.stringify(row)}\n`);
      }
      found.push({ bench, parts });
      if (settings.write !== null) writePage(settings.write, `npm run bench -- ${process.argv.slice(2).join(' ')}`, settings, name, found);
    }
  } finally {
    network.close();
  }
}

async function measureBench(lab: Lab, bench: Bench): Promise<Point[]> {
  const { settings, network, say } = lab;
  const setting: RequestBench | SweepBench = BENCHES[bench];
  switch (setting.kind) {
    case 'requests':
      return [{ name: '', rows: rows(bench, await measureRounds(lab, setting), setting.metrics) }];
    case 'scale':
      return Array.from(await measureScale(settings, network, say), ([count, rounds]) => ({ name: `${count} connections`, rows: rows(`${bench} ${count}`, rounds, SCALE_METRICS) }));
    case 'overload':
      return Array.from(await measureOverload(settings, network, say), ([name, rounds]) => ({ name, rows: rows(`${bench} ${name}`, rounds, OVERLOAD_METRICS) }));
    case 'devices':
      return measureDevices(lab);
    case 'micro':
      return [{ name: '', rows: rows(bench, await measureMicro(settings.rounds, say), MICRO_METRICS) }];
  }
}

async function measureDevices(lab: Lab): Promise<Point[]> {
  const parts: Point[] = [];
  for (const device of await devicePlaces(lab.network)) {
    lab.say(`  ${device.name}\n`);
    try {
      parts.push({ name: device.name, rows: rows(`devices ${device.name}`, await measureRounds(lab, BENCHES.http, device), BENCHES.http.metrics) });
    } catch (error) {
      lab.say(`\n  cannot be measured here: ${(error as Error).message}\n`);
    }
  }
  return parts;
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
  const server = await ServerUnderTest.start(settings, network, { app, side, thread: bench.thread, ...device && { place: device.place } });
  try {
    const options = { url: `http://${(device ?? network).serverAddress}:${PORT}/`, connections, close, cpus: settings.placement.client };
    const loading = bulk !== undefined ? bulkLoad(bulk) : close ? secondBySecond(load, () => network.renewHostAddress()) : load;
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

/**
 * `npm run bench`: the same app over the TCP server and over kernel TCP, on one veth network, by turns in one run.
 * The server under test is a process of its own; the load comes from this machine's own namespace.
 */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { parseArgs } from 'node:util';
import { mayMakeNetworks, openNetwork } from '../examples/support/network.js';
import type { Network } from '../examples/support/network.js';
import { cpuTime } from '../examples/support/threads.js';
import { BENCHES, HELP, benchNames } from './benches.js';
import type { Bench, BenchSetting } from './benches.js';
import { bulkLoad, chooseLoader } from './load.js';
import { benchNetworks } from './networks.js';
import type { Loader } from './load.js';
import { defaultPlacement, parseCpuList } from './placement.js';
import type { Placement } from './placement.js';
import { rows, table } from './report.js';
import type { Round, Sample } from './report.js';
import type { ServerCollections, ServerReady } from './server.js';

type Side = 'offload' | 'kernel';

interface Settings {
  readonly benches: readonly Bench[];
  readonly sides: readonly Side[];
  readonly rounds: number;
  readonly duration: number;
  readonly warmup: number;
  readonly connections: number;
  readonly thread: string;
  readonly placement: Placement;
  readonly json: boolean;
}

const PORT = 8080;
const NOTHING: Sample = { perSecond: NaN, p50: NaN, p99: NaN, appCpu: NaN, serverCpu: NaN, collections: NaN };
const TEN_SECONDS = 10;

async function main(): Promise<void> {
  const settings = readSettings();
  if (!mayMakeNetworks()) fail('the benchmark needs root (CAP_NET_ADMIN, CAP_NET_RAW, CAP_SYS_ADMIN) for its network');
  const { name, load } = chooseLoader();
  const say = (text: string): void => { (settings.json ? process.stderr : process.stdout).write(text); };
  const { server, app, kernel, client } = settings.placement;
  say(`load: ${name}, ${settings.connections} connections, ${settings.duration} s after ${settings.warmup} s of warming up, ${settings.rounds} rounds\n`);
  say(`CPUs: TCP server ${server}, its app ${app}; kernel TCP's app ${kernel}; load ${client}\n`);

  const network = await openNetwork();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { network.close(); process.exit(1); });
  try {
    for (const bench of settings.benches) {
      const { title, metrics } = BENCHES[bench];
      say(`\n${bench}: ${title}\n`);
      const rounds = await measureRounds(settings, bench, network, load, say);
      say(`${table(bench, rounds, metrics)}\n`);
      if (settings.json) for (const row of rows(bench, rounds, metrics)) process.stdout.write(`${JSON.stringify(row)}\n`);
    }
  } finally {
    network.close();
  }
}

/** The sides take turns in going first, so that neither always meets the warmer machine. */
async function measureRounds(settings: Settings, bench: Bench, network: Network, load: Loader, say: (text: string) => void): Promise<Round[]> {
  const rounds: Round[] = [];
  for (let round = 0; round < settings.rounds; round++) {
    const samples: Record<Side, Sample> = { offload: NOTHING, kernel: NOTHING };
    for (const side of round % 2 === 0 ? settings.sides : settings.sides.toReversed()) {
      say(`  round ${round + 1}/${settings.rounds} ${side.padEnd(8)}`);
      samples[side] = await measure(settings, bench, side, network, load, say);
      const said = BENCHES[bench].metrics.map(({ name, unit, of }) => ({ name, unit, value: of(samples[side]) })).filter(({ value }) => !Number.isNaN(value));
      say(`  ${said.map(({ name, unit, value }) => `${name} ${value.toFixed(value < 100 ? 2 : 0)} ${unit}`).join(', ')}\n`);
    }
    rounds.push(samples);
  }
  return rounds;
}

async function measure(settings: Settings, bench: Bench, side: Side, network: Network, load: Loader, say: (text: string) => void): Promise<Sample> {
  await network.setKernelOwnsAddress(side === 'kernel');
  const { app, connections = settings.connections, bulk }: BenchSetting = BENCHES[bench];
  const server = new ServerUnderTest(startServer(settings, app, side, network));
  try {
    const { appThread, serverThread } = await server.answer<ServerReady>();
    const { pid } = server;
    const options = { url: `http://${network.serverAddress}:${PORT}/`, connections, cpus: settings.placement.client };
    const loading = bulk === undefined ? load : bulkLoad(bulk);
    if (settings.warmup > 0) await loading({ ...options, seconds: settings.warmup });
    await server.ask('begin');
    const appBefore = cpuTime(pid, appThread);
    const serverBefore = serverThread === null ? NaN : cpuTime(pid, serverThread);
    const found = await loading({ ...options, seconds: settings.duration });
    const perPiece = 1e-3 / found.requests;
    const appCpu = (cpuTime(pid, appThread) - appBefore) * perPiece;
    const serverCpu = serverThread === null ? NaN : (cpuTime(pid, serverThread) - serverBefore) * perPiece;
    const { collections } = await server.ask<ServerCollections>('end');
    if (found.errors > 0) say(`${found.errors} ERRORS `);
    return { perSecond: found.perSecond, p50: found.p50, p99: found.p99, appCpu, serverCpu, collections: collections * TEN_SECONDS / settings.duration };
  } finally {
    await server.end();
  }
}

function startServer({ placement, thread }: Settings, app: string, side: Side, network: Network): ChildProcess {
  const program = [process.execPath, fileURLToPath(new URL('./server.js', import.meta.url)), '--net', side, '--app', app, '--port', String(PORT)];
  const command = side === 'kernel'
    ? ['ip', 'netns', 'exec', network.namespace, 'taskset', '-c', placement.kernel, ...program]
    : ['taskset', '-c', placement.app, ...program,
        '--device', `packet:${network.serverInterface}`, '--netns', network.namespace, '--address', `${network.serverAddress}/${network.prefix}`,
        '--thread', thread, ...thread !== 'own' || placement.server === 'auto' ? [] : ['--cpu', String(placement.server)]];
  return spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
}

/** The process under test: it says one line of JSON when it is ready, and one for each line that it is sent. */
class ServerUnderTest {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(child: ChildProcess) {
    this.child = child;
    this.lines = createInterface({ input: child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  /** Each program in the command replaces itself by the next: the child's pid is the server's. */
  get pid(): number {
    return this.child.pid as number;
  }

  async answer<T>(): Promise<T> {
    const { value, done } = await this.lines.next() as { value: string; done: boolean };
    if (done) throw new Error(`the server under test has ended (${this.child.exitCode ?? this.child.signalCode ?? 'it closed its output'})`);
    return JSON.parse(value) as T;
  }

  ask<T>(question: 'begin' | 'end'): Promise<T> {
    this.child.stdin?.write(`${question}\n`);
    return this.answer<T>();
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

function readSettings(): Settings {
  const { values, positionals } = parse();
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const number = (name: 'rounds' | 'duration' | 'warmup' | 'connections', least: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least) fail(`--${name} wants a whole number of at least ${least}, not '${values[name]}'`);
    return value;
  };
  const benches = benchNames(positionals);
  if (typeof benches === 'string') fail(benches);
  if (!['own', 'app'].includes(values.thread)) fail(`--thread wants own or app, not '${values.thread}'`);
  if (values.only !== undefined && values.only !== 'offload' && values.only !== 'kernel') fail(`--only wants offload or kernel, not '${values.only}'`);
  return {
    benches,
    sides: values.only === undefined ? ['kernel', 'offload'] : [values.only],
    rounds: number('rounds', 1),
    duration: number('duration', 1),
    warmup: number('warmup', 0),
    connections: number('connections', 1),
    thread: values.thread,
    placement: readPlacement(values),
    json: values.json,
  };
}

function readPlacement(values: ReturnType<typeof parse>['values']): Placement {
  const chosen = defaultPlacement();
  for (const name of ['app-cpu', 'kernel-cpu', 'client-cpu'] as const) if (values[name] !== undefined) parseCpuList(values[name]);
  const server = values['server-cpu'];
  return {
    server: server === undefined ? chosen.server : server === 'auto' ? 'auto' : parseCpuList(server)[0] as number,
    app: values['app-cpu'] ?? chosen.app,
    kernel: values['kernel-cpu'] ?? chosen.kernel,
    client: values['client-cpu'] ?? chosen.client,
  };
}

function parse() {
  try {
    return parseArgs({
      allowPositionals: true,
      options: {
        rounds: { type: 'string', default: '3' },
        duration: { type: 'string', default: '5' },
        warmup: { type: 'string', default: '2' },
        connections: { type: 'string', default: '64' },
        only: { type: 'string' },
        thread: { type: 'string', default: 'own' },
        'server-cpu': { type: 'string' },
        'app-cpu': { type: 'string' },
        'kernel-cpu': { type: 'string' },
        'client-cpu': { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    fail((error as Error).message);
  }
}

/** Ends the run with a sentence instead of a stack trace. */
function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

if (process.argv[2] === 'networks') await benchNetworks(process.argv.slice(3));
else await main();

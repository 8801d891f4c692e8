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
import { chooseLoader } from './load.js';
import { benchNetworks } from './networks.js';
import type { Loader } from './load.js';
import { defaultPlacement, parseCpuList } from './placement.js';
import type { Placement } from './placement.js';
import { rows, table } from './report.js';
import type { Round, Sample } from './report.js';
import type { ServerReady } from './server.js';

const BENCHES = { http: 'node:http, hello world', raw: 'a fixed response on raw sockets' };
type Bench = keyof typeof BENCHES;
type Side = 'offload' | 'kernel';

const HELP = `npm run bench -- [http] [raw] [options]
npm run bench -- networks [options]: goodput over bad links; --help tells its own

  http  ${BENCHES.http}
  raw   ${BENCHES.raw}

  --rounds N        rounds of each, both sides by turns (3)
  --duration S      seconds that a side is measured in a round (5)
  --warmup S        seconds of the same load before that (2)
  --connections N   connections of the load (64)
  --only SIDE       offload or kernel: one side alone
  --thread NAME     thread of the TCP server: own, app, or auto, its own choice (auto)
  --server-cpu N    CPU of the TCP server in a thread of its own; auto: its own choice
  --app-cpu LIST    CPUs of the app over the TCP server
  --kernel-cpu LIST CPUs of the app over kernel TCP
  --client-cpu LIST CPUs of the load
  --json            one JSON object a line on stdout, progress on stderr
  --help

Needs root: it makes a network namespace with a veth pair, and removes it.
`;

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
const NOTHING: Sample = { perSecond: NaN, p50: NaN, p99: NaN, appCpu: NaN, serverCpu: NaN };

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
      say(`\n${bench}: ${BENCHES[bench]}\n`);
      const rounds = await measureRounds(settings, bench, network, load, say);
      say(`${table(bench, rounds)}\n`);
      if (settings.json) for (const row of rows(bench, rounds)) process.stdout.write(`${JSON.stringify(row)}\n`);
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
      const { perSecond, p50, p99, appCpu, serverCpu } = samples[side];
      say(`${perSecond.toFixed(0).padStart(8)} requests/s, p50 ${p50.toFixed(0)} us, p99 ${p99.toFixed(0)} us, app ${appCpu.toFixed(2)} us/request`);
      say(Number.isNaN(serverCpu) ? '\n' : `, TCP server ${serverCpu.toFixed(2)} us/request\n`);
    }
    rounds.push(samples);
  }
  return rounds;
}

async function measure(settings: Settings, bench: Bench, side: Side, network: Network, load: Loader, say: (text: string) => void): Promise<Sample> {
  await network.setKernelOwnsAddress(side === 'kernel');
  const child = startServer(settings, bench, side, network);
  try {
    const { appThread, serverThread } = await readiness(child);
    const pid = child.pid as number;
    const options = { url: `http://${network.serverAddress}:${PORT}/`, connections: settings.connections, cpus: settings.placement.client };
    if (settings.warmup > 0) await load({ ...options, seconds: settings.warmup });
    const appBefore = cpuTime(pid, appThread);
    const serverBefore = serverThread === null ? NaN : cpuTime(pid, serverThread);
    const found = await load({ ...options, seconds: settings.duration });
    const perRequest = 1e-3 / found.requests;
    if (found.errors > 0) say(`${found.errors} ERRORS `);
    return {
      perSecond: found.perSecond,
      p50: found.p50,
      p99: found.p99,
      appCpu: (cpuTime(pid, appThread) - appBefore) * perRequest,
      serverCpu: serverThread === null ? NaN : (cpuTime(pid, serverThread) - serverBefore) * perRequest,
    };
  } finally {
    await end(child);
  }
}

function startServer({ placement, thread }: Settings, bench: Bench, side: Side, network: Network): ChildProcess {
  const program = [process.execPath, fileURLToPath(new URL('./server.js', import.meta.url)), '--net', side, '--app', bench, '--port', String(PORT)];
  const command = side === 'kernel'
    ? ['ip', 'netns', 'exec', network.namespace, 'taskset', '-c', placement.kernel, ...program]
    : ['taskset', '-c', placement.app, ...program,
        '--device', `packet:${network.serverInterface}`, '--netns', network.namespace, '--address', `${network.serverAddress}/${network.prefix}`,
        '--thread', thread, ...thread !== 'own' || placement.server === 'auto' ? [] : ['--cpu', String(placement.server)]];
  return spawn(command[0] as string, command.slice(1), { stdio: ['ignore', 'pipe', 'inherit'] });
}

/** Each program in the command replaces itself by the next: the child's pid is the server's. */
async function readiness(child: ChildProcess): Promise<ServerReady> {
  const lines = createInterface({ input: child.stdout as NodeJS.ReadableStream });
  const first = await Promise.race([once(lines, 'line'), once(child, 'exit')]) as [string | number];
  if (typeof first[0] !== 'string') throw new Error(`the server under test ended with ${String(first[0])} before it listened`);
  return JSON.parse(first[0]) as ServerReady;
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
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
  const unknown = positionals.find((name) => !(name in BENCHES));
  if (unknown !== undefined) fail(`there is no benchmark '${unknown}': choose of ${Object.keys(BENCHES).join(', ')}`);
  if (!['own', 'app', 'auto'].includes(values.thread)) fail(`--thread wants own, app or auto, not '${values.thread}'`);
  if (values.only !== undefined && values.only !== 'offload' && values.only !== 'kernel') fail(`--only wants offload or kernel, not '${values.only}'`);
  return {
    benches: (positionals.length > 0 ? positionals : Object.keys(BENCHES)) as Bench[],
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
        thread: { type: 'string', default: 'auto' },
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

/** The benchmarks that there are: what is served, by whom, and what is measured of it. */
import { BULK_METRICS, REQUEST_METRICS } from './report.js';
import type { Metric } from './report.js';

export interface BenchSetting {
  readonly title: string;
  /** What the server under test runs: see server.ts. */
  readonly app: string;
  /** Connections of the load; left out: those of the command line. */
  readonly connections?: number;
  /** Bytes go one way, on one connection: what the server under test does with them. */
  readonly bulk?: 'send' | 'receive';
  readonly metrics: readonly Metric[];
}

export const BENCHES = {
  http: { title: 'node:http, hello world', app: 'http', metrics: REQUEST_METRICS },
  raw: { title: 'a fixed response: MemNet, its thread waits itself; node:net', app: 'fixed', metrics: REQUEST_METRICS },
  events: { title: 'a fixed response: MemNet out of the event loop; node:net', app: 'events', metrics: REQUEST_METRICS },
  latency: { title: 'a fixed response as raw, one connection, one request at a time', app: 'fixed', connections: 1, metrics: REQUEST_METRICS },
  file: { title: 'a file of 1 MiB: MemNet, sendFile; node:net, a read stream', app: 'file', connections: 16, metrics: REQUEST_METRICS },
  send: { title: 'bulk, one connection, sent by MemNet; by node:net', app: 'source', bulk: 'send', metrics: BULK_METRICS },
  receive: { title: 'bulk, one connection, received by MemNet; by node:net', app: 'sink', bulk: 'receive', metrics: BULK_METRICS },
} as const satisfies Record<string, BenchSetting>;

export type Bench = keyof typeof BENCHES;

/** Names that stand for several. */
const GROUPS: Readonly<Record<string, readonly Bench[]>> = { bulk: ['send', 'receive'] };

/** The benchmarks of a command line, all where it names none; or what is wrong with it. */
export function benchNames(names: readonly string[]): readonly Bench[] | string {
  const all = Object.keys(BENCHES) as Bench[];
  const unknown = names.find((name) => !(name in BENCHES) && !(name in GROUPS));
  if (unknown !== undefined) return `there is no benchmark '${unknown}': choose of ${[...all, ...Object.keys(GROUPS)].join(', ')}`;
  return names.length === 0 ? all : names.flatMap((name) => GROUPS[name] ?? [name as Bench]);
}

export const HELP = `npm run bench -- [BENCH ...] [options]
npm run bench -- networks [options]: goodput over bad links; --help tells its own

${Object.entries(BENCHES).map(([name, { title }]) => `  ${name.padEnd(8)} ${title}`).join('\n')}
  bulk     send and receive

  --rounds N        rounds of each, both sides by turns (3)
  --duration S      seconds that a side is measured in a round (5)
  --warmup S        seconds of the same load before that (2)
  --connections N   connections of the load (64)
  --only SIDE       offload or kernel: one side alone
  --thread NAME     thread of the TCP server: own or app (own)
  --server-cpu N    CPU of the TCP server in a thread of its own; auto: its own choice
  --app-cpu LIST    CPUs of the app over the TCP server
  --kernel-cpu LIST CPUs of the app over kernel TCP
  --client-cpu LIST CPUs of the load
  --json            one JSON object a line on stdout, progress on stderr
  --help

Needs root: it makes a network namespace with a veth pair, and removes it.
`;

/** The benchmarks that there are: what is served, by whom, and what is measured of it. */
import { BULK_METRICS, REQUEST_METRICS } from './report.js';
import type { Metric } from './report.js';

/** A load of requests, or of bytes, that wrk or a program of ours makes. */
export interface RequestBench {
  readonly kind: 'requests';
  readonly title: string;
  /** What the server under test runs: see server.ts. */
  readonly app: string;
  /** Connections of the load; left out: those of the command line. */
  readonly connections?: number;
  /** Thread of the TCP server; left out: that of the command line. */
  readonly thread?: 'own';
  /** Each request has a connection of its own. */
  readonly close?: boolean;
  /** Bytes go one way, on one connection: what the server under test does with them. */
  readonly bulk?: 'send' | 'receive';
  readonly metrics: readonly Metric[];
}

/** What is more, or less, than one load on one server: scale.ts, overload.ts, devices.ts, micro.ts. */
export interface SweepBench {
  readonly kind: 'scale' | 'overload' | 'devices' | 'micro';
  readonly title: string;
}

const requests = (title: string, app: string, more: Partial<RequestBench> = {}): RequestBench => ({ kind: 'requests', title, app, metrics: REQUEST_METRICS, ...more });

export const BENCHES = {
  http: requests('node:http, hello world', 'http'),
  'http-split': requests('node:http, hello world, the TCP server in a thread of its own', 'http', { thread: 'own' }),
  connections: requests('node:http, hello world, a new connection for each request', 'http', { close: true }),
  raw: requests('a fixed response: MemNet, its thread waits itself; node:net', 'fixed'),
  'raw-split': requests('a fixed response as raw, the TCP server in a thread of its own', 'fixed', { thread: 'own' }),
  events: requests('a fixed response: MemNet out of the event loop; node:net', 'events'),
  latency: requests('a fixed response as raw, one connection, one request at a time', 'fixed', { connections: 1 }),
  file: requests('a file of 1 MiB: MemNet, sendFile, the TCP server in a thread of its own; node:net, a read stream', 'file', { connections: 16, thread: 'own' }),
  send: requests('bulk, one connection, sent by MemNet; by node:net', 'source', { bulk: 'send', metrics: BULK_METRICS }),
  receive: requests('bulk, one connection, received by MemNet; by node:net', 'sink', { bulk: 'receive', metrics: BULK_METRICS }),
  scale: { kind: 'scale', title: 'many open connections, idle, and asked in turn: a fixed response as raw' },
  devices: { kind: 'devices', title: 'node:http as http, by each kind of device; kernel TCP over veth' },
  overload: { kind: 'overload', title: 'node:http from a quarter of saturation to twice it, the load open' },
  micro: { kind: 'micro', title: 'steps of the hot path by themselves, of this package alone' },
} as const satisfies Record<string, RequestBench | SweepBench>;

export type Bench = keyof typeof BENCHES;

/** Names that stand for several. */
const GROUPS: Readonly<Record<string, readonly Bench[]>> = { bulk: ['send', 'receive'], idle: ['scale'] };

/** The benchmarks of a command line, all where it names none; or what is wrong with it. */
export function benchNames(names: readonly string[]): readonly Bench[] | string {
  const all = Object.keys(BENCHES) as Bench[];
  const unknown = names.find((name) => !(name in BENCHES) && !(name in GROUPS));
  if (unknown !== undefined) return `there is no benchmark '${unknown}': choose of ${[...all, ...Object.keys(GROUPS)].join(', ')}`;
  return names.length === 0 ? all : names.flatMap((name) => GROUPS[name] ?? [name as Bench]);
}

export const HELP = `npm run bench -- [BENCH ...] [options]
npm run bench -- networks [options]: goodput over bad links; --help tells its own

${Object.entries(BENCHES).map(([name, { title }]) => `  ${name.padEnd(11)} ${title}`).join('\n')}
  bulk        send and receive
  idle        scale

  --rounds N        rounds of each, both sides by turns (3)
  --duration S      seconds that a side is measured in a round (5)
  --warmup S        seconds of the same load before that (2)
  --connections N   connections of the load (64; overload 1000)
  --counts LIST     numbers of open connections for scale (100,10000,100000)
  --page KIND       what overload asks for: static, or dynamic: made for each request (dynamic)
  --bytes N         of a page of overload (1024)
  --only SIDE       offload or kernel: one side alone
  --thread NAME     thread of the TCP server: own, app, or auto: its own choice; http-split, raw-split and file have their own (auto)
  --servers N       TCP servers that share the load, on a packet device (1)
  --server-cpu N    CPU of the TCP server in a thread of its own; auto: its own choice
  --app-cpu LIST    CPUs of the app over the TCP server
  --kernel-cpu LIST CPUs of the app over kernel TCP
  --client-cpu LIST CPUs of the load
  --write FILE      writes what is found into a page, such as docs/benchmarks.md, and plots into a folder of its name
  --json            one JSON object a line on stdout, progress on stderr
  --help

Needs root: it makes a network namespace with a veth pair, and removes it.
`;

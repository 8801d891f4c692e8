/** The command line of `npm run bench`. */
import { parseArgs } from 'node:util';
import { HELP, benchNames } from './benches.js';
import type { Bench } from './benches.js';
import { defaultPlacement, parseCpuList } from './placement.js';
import type { Placement } from './placement.js';

export type Side = 'offload' | 'kernel';

/** Tells people how far it is. */
export type Say = (text: string) => void;

export interface Settings {
  readonly benches: readonly Bench[];
  readonly sides: readonly Side[];
  readonly rounds: number;
  readonly duration: number;
  readonly warmup: number;
  /** Null: what the benchmark itself has. */
  readonly connections: number | null;
  /** Numbers of open connections for `scale`. */
  readonly counts: readonly number[];
  /** What `overload` asks for. */
  readonly page: 'static' | 'dynamic';
  readonly bytes: number;
  readonly thread: string;
  /** TCP servers, on packet devices. */
  readonly servers: number;
  readonly placement: Placement;
  readonly json: boolean;
  /** The page to write; null: none. */
  readonly write: string | null;
}

/** The settings of this process's command line; ends it where they are wrong. */
export function readSettings(): Settings {
  const { values, positionals } = parse();
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  const whole = (name: 'rounds' | 'duration' | 'warmup' | 'connections' | 'counts' | 'bytes' | 'servers', least: number, text = values[name] ?? ''): number => {
    const value = Number(text);
    if (!Number.isInteger(value) || value < least) fail(`--${name} wants a whole number of at least ${least}, not '${text}'`);
    return value;
  };
  const benches = benchNames(positionals);
  if (typeof benches === 'string') fail(benches);
  if (!['own', 'app', 'auto'].includes(values.thread)) fail(`--thread wants own, app or auto, not '${values.thread}'`);
  if (values.page !== 'static' && values.page !== 'dynamic') fail(`--page wants static or dynamic, not '${values.page}'`);
  if (values.only !== undefined && values.only !== 'offload' && values.only !== 'kernel') fail(`--only wants offload or kernel, not '${values.only}'`);
  return {
    benches,
    sides: values.only === undefined ? ['kernel', 'offload'] : [values.only],
    rounds: whole('rounds', 1),
    duration: whole('duration', 1),
    warmup: whole('warmup', 0),
    connections: values.connections === undefined ? null : whole('connections', 1),
    counts: values.counts.split(',').map((count) => whole('counts', 1, count)),
    page: values.page,
    bytes: whole('bytes', 0),
    thread: values.thread,
    servers: whole('servers', 1),
    placement: readPlacement(values),
    json: values.json,
    write: values.write ?? null,
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
        connections: { type: 'string' },
        counts: { type: 'string', default: '100,10000,100000' },
        page: { type: 'string', default: 'dynamic' },
        bytes: { type: 'string', default: '1024' },
        only: { type: 'string' },
        thread: { type: 'string', default: 'auto' },
        servers: { type: 'string', default: '1' },
        'server-cpu': { type: 'string' },
        'app-cpu': { type: 'string' },
        'kernel-cpu': { type: 'string' },
        'client-cpu': { type: 'string' },
        write: { type: 'string' },
        json: { type: 'boolean', default: false },
        help: { type: 'boolean', default: false },
      },
    });
  } catch (error) {
    fail((error as Error).message);
  }
}

/** Ends the run with a sentence instead of a stack trace. */
export function fail(message: string): never {
  process.stderr.write(`${message}\n`);
  process.exit(2);
}

/** The options of `createPool`, and their check. */
import { existsSync } from 'node:fs';
import { availableParallelism, constants } from 'node:os';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { invalidType, invalidValue, outOfRange } from './errors.js';
import type { ListenOptions } from './net_server.js';
import type { TcpServerOptions } from './options.js';
import { DISTRIBUTIONS } from './runtime/messages.js';
import type { Distribution } from './runtime/messages.js';

export interface PoolOptions {
  /**
   * The module that each worker imports: a path or a file: URL. It exports as its default a function `(context: PoolContext) => void` or one
   * that gives a promise, which begins to listen.
   */
  filename: string | URL;
  /** Workers, 1 to 64. Default: as many as there are CPUs beside that of the TCP server. */
  threads?: number;
  /** Where the workers listen; they get it in their context. With port 0 the TCP server chooses one for all of them. Default: that. */
  listen?: Omit<ListenOptions, 'signal' | 'path'>;
  /** Which worker gets a connection; see `Server.distribution`. Default 'least-connections'. */
  distribution?: Distribution;
  /** Anything that can be cloned, for the context of every worker. */
  data?: unknown;
  /** Options of the TCP server, where the pool is to start it. Default: the one there is, else one as the environment says. */
  server?: TcpServerOptions;
  /** Time that the connections of a draining worker have to come to their end, ms, 0 to 2^31 - 1. Default 10,000. */
  drainTimeout?: number;
  /** Time that a worker has until it listens, ms, 1 to 2^31 - 1. Default 30,000. */
  startTimeout?: number;
  /** Signals at which the pool closes. Default: none. */
  closeOn?: NodeJS.Signals | readonly NodeJS.Signals[];
}

/** The options as they hold. */
export interface PoolConfig extends Required<Omit<PoolOptions, 'filename' | 'server' | 'closeOn'>> {
  /** URL. */
  readonly module: string;
  readonly server: TcpServerOptions | undefined;
  readonly closeOn: readonly NodeJS.Signals[];
}

const TIMER_MOST = 2 ** 31 - 1;
const THREADS_MOST = 64;

/** @throws TypeError, RangeError: each names the option, what was given, and what to write instead. */
export function checkPoolOptions(options: PoolOptions): PoolConfig {
  if (typeof options !== 'object' || options === null) throw invalidType('options', ['object'], options, 'Give at least { filename }');
  const { listen = {}, distribution = 'least-connections', closeOn = [] } = options;
  if (typeof listen !== 'object' || listen === null) throw invalidType('options.listen', ['object'], listen, 'Write { port: 8080 }');
  if (!DISTRIBUTIONS.includes(distribution)) {
    throw invalidValue('options.distribution', distribution, `must be one of: ${DISTRIBUTIONS.map((each) => `'${each}'`).join(', ')}`);
  }
  return {
    module: moduleOf(options.filename),
    threads: whole('options.threads', options.threads, Math.min(Math.max(availableParallelism() - 1, 1), THREADS_MOST), 1, THREADS_MOST),
    listen: { ...listen, port: listen.port ?? 0 },
    distribution,
    data: options.data,
    server: options.server,
    drainTimeout: whole('options.drainTimeout', options.drainTimeout, 10_000, 0, TIMER_MOST),
    startTimeout: whole('options.startTimeout', options.startTimeout, 30_000, 1, TIMER_MOST),
    closeOn: signals(closeOn),
  };
}

function signals(given: unknown): readonly NodeJS.Signals[] {
  const list: readonly unknown[] = Array.isArray(given) ? given : [given];
  for (const signal of list) {
    if (typeof signal !== 'string') throw invalidType('options.closeOn', ['string', 'Array'], given, "Write 'SIGTERM', or a list of such names");
    const caught = signal in constants.signals && signal !== 'SIGKILL' && signal !== 'SIGSTOP';
    if (!caught) throw invalidValue('options.closeOn', signal, 'must name a signal that can be caught', "Write 'SIGTERM', or a list of such names");
  }
  return list as readonly NodeJS.Signals[];
}

function moduleOf(filename: unknown): string {
  const mend = 'Write the path of a module whose default export begins to listen';
  if (typeof filename !== 'string' && !(filename instanceof URL)) throw invalidType('options.filename', ['string', 'URL'], filename, mend);
  const text = String(filename);
  const path = text.startsWith('file:') ? fileURLToPath(text) : resolve(text);
  if (!existsSync(path)) throw invalidValue('options.filename', text, `must be a file that exists, and ${path} does not`, mend);
  return pathToFileURL(path).href;
}

function whole(name: string, value: unknown, standard: number, least: number, most: number): number {
  if (value === undefined) return standard;
  if (typeof value !== 'number') throw invalidType(name, ['number'], value, `Write a number from ${least} to ${most}`);
  if (!Number.isInteger(value) || value < least || value > most) throw outOfRange(name, `an integer >= ${least} and <= ${most}`, value);
  return value;
}

/** Load on a URL from outside: wrk, or autocannon where wrk is missing. */
import { execFileSync, spawn } from 'node:child_process';
import { createRequire } from 'node:module';
import { fileURLToPath } from 'node:url';
import type { BulkReport } from './bulk_load.js';
import { median } from './report.js';

export interface Load {
  /** Responses that came in while it was measured. */
  readonly requests: number;
  readonly perSecond: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  /** Connections refused, reset or timed out, and responses other than 2xx and 3xx. */
  readonly errors: number;
}

export interface LoadOptions {
  readonly url: string;
  readonly seconds: number;
  readonly connections: number;
  /** CPUs that the load may use, as taskset takes them. */
  readonly cpus: string;
  /** Each request has a connection of its own. */
  readonly close?: boolean;
}

export type Loader = (options: LoadOptions) => Promise<Load>;

export function chooseLoader(): { name: string; load: Loader } {
  try {
    execFileSync('wrk', ['-v'], { stdio: 'ignore' });
  } catch (error) {
    // wrk ends with 1 after printing its version; only a missing program has a code.
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return { name: 'autocannon', load: autocannon };
  }
  return { name: 'wrk', load: wrk };
}

/**
 * A load second by second, something done before each. Latencies are the medians of those of the seconds.
 *
 * Over kernel TCP the load is the one that closes first, and a source address has ports for 28,000 connections a minute: a load of new connections
 * needs another one each second.
 */
export function secondBySecond(load: Loader, beforeEach: () => Promise<void>): Loader {
  return async ({ seconds, ...options }) => {
    const parts: Load[] = [];
    for (let i = 0; i < seconds; i++) {
      await beforeEach();
      parts.push(await load({ ...options, seconds: 1 }));
    }
    const sum = (of: (part: Load) => number): number => parts.reduce((total, part) => total + of(part), 0);
    const middle = (of: (part: Load) => number): number => median(parts.map(of)) ?? NaN;
    return { requests: sum((part) => part.requests), perSecond: sum((part) => part.perSecond) / seconds, p50: middle((part) => part.p50), p99: middle((part) => part.p99), errors: sum((part) => part.errors) };
  };
}

async function wrk({ url, seconds, connections, cpus, close = false }: LoadOptions): Promise<Load> {
  const header = close ? ['-H', 'Connection: close'] : [];
  const text = await output('taskset', ['-c', cpus, 'wrk', '-t1', `-c${connections}`, `-d${seconds}s`, '--latency', ...header, url]);
  return parseWrk(text);
}

export function parseWrk(text: string): Load {
  const group = (pattern: RegExp): string => {
    const match = pattern.exec(text)?.[1];
    if (match === undefined) throw new Error(`wrk said something unexpected:\n${text}`);
    return match;
  };
  const errors = [...(/Socket errors: (.*)/.exec(text)?.[1] ?? '').matchAll(/\d+/g)].map(Number);
  errors.push(Number(/Non-2xx or 3xx responses: (\d+)/.exec(text)?.[1] ?? 0));
  return {
    requests: Number(group(/(\d+) requests in/)),
    perSecond: Number(group(/Requests\/sec:\s+([\d.]+)/)),
    p50: microseconds(group(/^\s+50%\s+(\S+)/m)),
    p99: microseconds(group(/^\s+99%\s+(\S+)/m)),
    errors: errors.reduce((sum, count) => sum + count, 0),
  };
}

function microseconds(text: string): number {
  const [, number, unit] = /^([\d.]+)(us|ms|s|m)$/.exec(text) ?? [];
  const scale = { us: 1, ms: 1e3, s: 1e6, m: 6e7 }[unit ?? ''];
  if (scale === undefined) throw new Error(`not a time: ${text}`);
  return Number(number) * scale;
}

/** What autocannon's `--json` says, as far as it is read here. Times are milliseconds. */
interface AutocannonResult {
  '2xx': number;
  non2xx: number;
  errors: number;
  timeouts: number;
  duration: number;
  latency: { p50: number; p99: number };
}

async function autocannon({ url, seconds, connections, cpus, close = false }: LoadOptions): Promise<Load> {
  const program = createRequire(import.meta.url).resolve('autocannon');
  const args = ['-c', cpus, process.execPath, program, '--json', '-n', '-c', String(connections), '-d', String(seconds), ...close ? ['-H', 'Connection=close'] : [], url];
  const result = JSON.parse(await output('taskset', args)) as AutocannonResult;
  return {
    requests: result['2xx'],
    perSecond: result['2xx'] / result.duration,
    p50: result.latency.p50 * 1e3,
    p99: result.latency.p99 * 1e3,
    errors: result.errors + result.timeouts + result.non2xx,
  };
}

/** A load of one connection that moves bytes as fast as they go; its requests are MiB. @param direction seen from the server under test. */
export function bulkLoad(direction: 'send' | 'receive'): Loader {
  return async ({ url, seconds, cpus }) => {
    const program = fileURLToPath(new URL('./bulk_load.js', import.meta.url));
    const { hostname, port } = new URL(url);
    const text = await output('taskset', ['-c', cpus, process.execPath, program, direction, hostname, port, String(seconds)]);
    const { bytes, seconds: taken } = JSON.parse(text) as BulkReport;
    const requests = bytes / 2 ** 20;
    return { requests, perSecond: requests / taken, p50: NaN, p99: NaN, errors: 0 };
  };
}

function output(command: string, args: string[]): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'] });
    let text = '';
    let said = '';
    child.stdout.setEncoding('utf8').on('data', (chunk: string) => { text += chunk; });
    child.stderr.setEncoding('utf8').on('data', (chunk: string) => { said += chunk; });
    child.on('error', reject);
    child.on('close', (code) => {
      if (code === 0) resolve(text);
      else reject(new Error(`${command} ${args.join(' ')} ended with ${code}: ${said}`));
    });
  });
}

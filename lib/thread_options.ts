/** The check of the options that say how many TCP servers there are, and which threads and CPUs run them. */
import { readFileSync } from 'node:fs';
import { invalidType, invalidValue, outOfRange } from './errors.js';
import type { ServerConfig } from './runtime/config.js';

const SERVERS_MOST = 16;

/** What is known of the TCP server when its threads are looked at. */
interface Other {
  readonly device: string;
  readonly thread: ServerConfig['thread'];
  readonly cpu: ServerConfig['cpu'];
  /** The addresses are the kernel's, or some come from the network. */
  readonly foreign: boolean;
}

export function checkThread(thread: unknown): ServerConfig['thread'] {
  if (thread === undefined) return 'auto';
  if (thread === 'own' || thread === 'app' || thread === 'auto') return thread;
  throw invalidValue('options.thread', thread, 'names no thread', "Write 'own', 'app' or 'auto'");
}

/** How many TCP servers there are to be. @throws where there cannot be so many. */
export function checkServers(servers: unknown, { device, thread, cpu, foreign }: Other): number {
  if (servers === undefined || servers === 1) return 1;
  const possible = thread !== 'app' && !foreign && (device === 'loopback' || device.startsWith('packet:'));
  if (servers === 'auto') {
    const cpus = Array.isArray(cpu) ? cpu.length : allowedCpus().length >> 1;
    return possible ? Math.min(Math.max(cpus, 1), SERVERS_MOST) : 1;
  }
  if (typeof servers !== 'number') throw invalidType('options.servers', ['number'], servers, "Write how many, or 'auto'");
  if (!Number.isInteger(servers) || servers < 1 || servers > SERVERS_MOST) throw outOfRange('options.servers', `an integer from 1 to ${SERVERS_MOST}`, servers);
  if (possible) return servers;
  if (thread === 'app') throw invalidValue('options.servers', servers, "must be 1 with the thread 'app'", "Write thread: 'own'");
  if (foreign) throw invalidValue('options.servers', servers, 'must be 1 where the addresses are the kernel\'s or come from the network', "Write addresses of the TCP server's own, such as '192.0.2.10/24'");
  throw invalidValue('options.servers', servers, `must be 1 with the device '${device}'`, 'Several share a packet device, or the loopback device');
}

/** CPUs that this process may run on, from a list such as '0-3,8'. */
export function allowedCpus(status = readFileSync('/proc/self/status', 'utf8')): number[] {
  const [, list = ''] = /^Cpus_allowed_list:\s*(\S+)/m.exec(status) ?? [];
  return list.split(',').flatMap((range) => {
    const [first = 0, last = first] = range.split('-').map(Number);
    return Array.from({ length: last - first + 1 }, (_, index) => first + index);
  });
}

export function checkCpu(cpu: unknown): ServerConfig['cpu'] {
  if (cpu === undefined || cpu === 'auto') return 'auto';
  if (cpu === null) return null;
  const listed: readonly unknown[] | null = Array.isArray(cpu) ? cpu : null;
  const mend = "Write a CPU's number, a list of such, 'auto', or null for none";
  if (listed?.length === 0) throw invalidValue('options.cpu', cpu, 'must name a CPU', mend);
  const allowed = allowedCpus();
  const checked = (listed ?? [cpu]).map((each) => {
    if (typeof each !== 'number') throw invalidType('options.cpu', ['number', 'Array'], each, mend);
    if (!allowed.includes(each)) throw outOfRange('options.cpu', `a CPU that this process may run on: ${allowed.join(', ')}`, each, mend);
    return each;
  });
  return listed === null ? checked[0] as number : Object.freeze([...new Set(checked)]);
}

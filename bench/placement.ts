/** Who runs on which CPU during a benchmark. Each side is given its best known placement on the CPUs that there are. */
import { readFileSync } from 'node:fs';

export interface Placement {
  /** The TCP server's CPU; 'auto' leaves the choice to it. */
  readonly server: number | 'auto';
  /** CPUs of the app over the TCP server, as taskset takes them. */
  readonly app: string;
  /** CPUs of the app over kernel TCP. */
  readonly kernel: string;
  /** CPUs of the load. */
  readonly client: string;
}

/**
 * One CPU: all share it. Two or three: the TCP server shares the app's CPU and the load has one of its own, for a TCP
 * server that shares its CPU with the load costs both. Four and more: one each, and the load has the rest.
 */
export function defaultPlacement(cpus: readonly number[] = allowedCpuList()): Placement {
  const [first = 0, second = first, third] = cpus;
  if (cpus.length < 4 || third === undefined) return { server: first, app: String(first), kernel: String(first), client: String(second) };
  return { server: first, app: String(second), kernel: String(second), client: cpus.slice(2).join(',') };
}

/** The CPUs that this process may run on. */
export function allowedCpuList(): number[] {
  const text = /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync('/proc/self/status', 'latin1'))?.[1] ?? '0';
  return parseCpuList(text);
}

/** `0,2-4` as Linux and taskset write sets of CPUs. */
export function parseCpuList(text: string): number[] {
  return text.split(',').flatMap((part) => {
    const [, first, last = first] = /^(\d+)(?:-(\d+))?$/.exec(part) ?? [];
    const from = Number(first);
    const to = Number(last);
    if (!(from <= to)) throw new Error(`not a list of CPUs: '${text}' (wanted: 0 or 0,2-4)`);
    return Array.from({ length: to - from + 1 }, (_, index) => from + index);
  });
}

/** Who runs on which CPU during a benchmark. Each side is given its best known placement on the CPUs that there are. */
import { readFileSync } from 'node:fs';

export interface Placement {
  /** The TCP server's CPU; 'auto' leaves the choice to it. */
  readonly server: number | 'auto';
  /** CPUs of the app over the TCP server, and of the TCP server where the choice is its own; as taskset takes them. */
  readonly app: string;
  /** CPUs of the app over kernel TCP. */
  readonly kernel: string;
  /** CPUs of the load. */
  readonly client: string;
}

/**
 * One CPU: all share it. Two or three: the load has one of its own, for whoever shares it with the load pays for both, and the app and the TCP server
 * have another. Four and more: the load has a quarter, and the rest is theirs, or kernel TCP's app's. How the TCP server and its app share theirs is the
 * runtime's choice.
 */
export function defaultPlacement(cpus: readonly number[] = allowedCpuList()): Placement {
  const [first = 0, second = first] = cpus;
  if (cpus.length < 4) return { server: 'auto', app: String(first), kernel: String(first), client: String(second) };
  const theirs = cpus.length - (cpus.length >> 2);
  const app = cpus.slice(0, theirs).join(',');
  return { server: 'auto', app, kernel: app, client: cpus.slice(theirs).join(',') };
}

/** The placement in words. */
export function placementText({ server, app, kernel, client }: Placement): string {
  const theirs = server === 'auto' ? `app and TCP server ${app}` : `TCP server ${server}, its app ${app}`;
  return `${theirs}; kernel TCP's app ${kernel}; load ${client}`;
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

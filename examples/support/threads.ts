/** The threads of a process as Linux accounts for them: who they are, where they may run, and what CPU they used. */
import { readFileSync, readlinkSync } from 'node:fs';

/** Linux's id of the calling thread: /proc/thread-self points at it. */
export function threadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/')[2]);
}

/** Nanoseconds that a thread has run on a CPU since it began; NaN where it is gone. */
export function cpuTime(pid: number, thread: number): number {
  try {
    return Number(readFileSync(`/proc/${pid}/task/${thread}/schedstat`, 'latin1').split(' ')[0]);
  } catch {
    return NaN;
  }
}

/** The CPUs that a thread may run on, as Linux writes them: `0`, `0-3`. */
export function allowedCpus(pid: number, thread: number): string {
  try {
    return /^Cpus_allowed_list:\s*(\S+)/m.exec(readFileSync(`/proc/${pid}/task/${thread}/status`, 'latin1'))?.[1] ?? '?';
  } catch {
    return '?';
  }
}

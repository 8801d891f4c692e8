/**
 * Which thread the TCP server runs in, on which CPU, and whether it spins.
 *
 * A thread of its own is for a second CPU. Where the process has only one, each batch of requests would cost switches between two threads that
 * can never run at once, so there it runs in the app's thread.
 *
 * With fewer than four CPUs the app threads and whatever else the machine does need them all, so there it is not pinned unless asked. A TCP
 * server that spins on a CPU that an app thread needs takes more than it gives: where it has none to itself it may spin only while all
 * of them sleep. Whoever else wants the CPU is let in by the kernel, as ever.
 */
import { availableParallelism } from 'node:os';
import { canWatchDescriptors } from '../nic/event_loop.js';
import { getAffinity, setAffinity } from '../nic/syscalls.js';
import type { ServerConfig } from './config.js';
import { Spin } from './spin.js';

const CPUS_FOR_ONE_OF_ITS_OWN = 4;
/** What a sleep and its wake-up cost, about. */
const SPIN_US = 50;

export interface Placement {
  /** The CPU that the thread is pinned to, or -1. */
  readonly cpu: number;
  readonly spin: Spin;
  /** App threads may want the CPU that it spins on: it is left to them while they are at work. */
  readonly shares: boolean;
}

/**
 * Which thread is to run the TCP server that the calling thread starts.
 *
 * @param cpus that this process may use. @throws Error where it cannot be the one that was asked for.
 */
export function chooseThread({ thread, servers, cpu, spinUs }: Pick<ServerConfig, 'thread' | 'servers' | 'cpu' | 'spinUs'>, cpus = availableParallelism()): 'own' | 'app' {
  if (thread === 'auto') {
    const wantsOwn = servers > 1 || cpu !== 'auto' || spinUs !== 'auto';
    return cpus === 1 && canWatchDescriptors && !wantsOwn ? 'app' : 'own';
  }
  if (thread === 'app' && !canWatchDescriptors) {
    throw new Error("options.thread: 'app' is for the main thread of Node.js, whose event loop can watch a NIC. Write 'own', or start the TCP server there");
  }
  return thread;
}

/**
 * The CPUs that TCP servers are to have, as many as they are at most; none where they may run anywhere. Left to the policy: the last ones, because interrupts and
 * the first app threads tend to be on the first ones, and no more than half of all there are.
 *
 * @param allowed those that the calling thread may run on.
 */
export function cpusFor({ cpu, servers }: Pick<ServerConfig, 'cpu' | 'servers'>, allowed: readonly number[]): readonly number[] {
  if (cpu === null) return [];
  if (typeof cpu === 'number') return [cpu];
  if (cpu !== 'auto') return cpu;
  return allowed.length < CPUS_FOR_ONE_OF_ITS_OWN ? [] : allowed.slice(-Math.min(servers, allowed.length >> 1));
}

/** Places the calling thread. @throws SystemError where a CPU is not there or not allowed. */
export function place(config: Pick<ServerConfig, 'cpu' | 'servers' | 'spinUs'>): Placement {
  const allowed = getAffinity();
  const cpus = cpusFor(config, allowed);
  if (cpus.length > 0) setAffinity(cpus);
  const alone = allowed.length >= CPUS_FOR_ONE_OF_ITS_OWN && cpus.length >= config.servers;
  return { cpu: cpus.length === 1 ? cpus[0] : -1, spin: spinOf(config), shares: config.spinUs === 'auto' && !alone };
}

/** Looks for as long as it was asked to; else for as long as a sleep and its wake-up would cost, where that has paid lately. */
export function spinOf({ spinUs }: Pick<ServerConfig, 'spinUs'>): Spin {
  return spinUs === 'auto' ? new Spin(SPIN_US, true) : new Spin(spinUs, false);
}

/**
 * Which thread the TCP server runs in, on which CPU, and whether it spins.
 *
 * A TCP server that spins on a CPU that somebody else needs takes more than it gives: it may spin only where it has a CPU
 * to itself. With fewer than four CPUs the app threads and whatever else the machine does need them all, so there it is not
 * pinned unless asked, and sleeps as soon as nothing is left to do.
 */
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
}

/** Which thread is to run the TCP server that the calling thread starts. @throws Error where it cannot be the one that was asked for. */
export function chooseThread({ thread }: ServerConfig): 'own' | 'app' {
  if (thread === 'app' && !canWatchDescriptors) {
    throw new Error("options.thread: 'app' is for the main thread of Node.js, whose event loop can watch a NIC. Write 'own', or start the TCP server there");
  }
  return thread;
}

/** Places the calling thread. @throws SystemError where the CPU is not there or not allowed. */
export function place(cpu: number | 'auto' | null, spinUs: number | 'auto'): Placement {
  const allowed = getAffinity();
  const ample = allowed.length >= CPUS_FOR_ONE_OF_ITS_OWN;
  let chosen = -1;
  if (typeof cpu === 'number') chosen = cpu;
  // The last one: interrupts and the first app threads tend to be on the first ones.
  else if (cpu === 'auto' && ample) chosen = allowed[allowed.length - 1];
  if (chosen >= 0) setAffinity([chosen]);
  const spin = typeof spinUs === 'number' ? new Spin(spinUs, false) : new Spin(ample && chosen >= 0 ? SPIN_US : 0, true);
  return { cpu: chosen, spin };
}

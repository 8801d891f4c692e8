/**
 * Entry of the TCP server's thread: takes its place, opens the TCP server on the shared memory, says that it is there by telling its
 * addresses, and stays in the loop until it is stopped. The build makes one file of it and all that it loads, server_worker.cjs.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { getAffinity, Poller } from '../nic/syscalls.js';
import type { Share } from '../tcp/share.js';
import type { ServerConfig } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { Governor } from './governor.js';
import { CTRL_STATE, Layout, STATE_DEAD, STATE_FAILED, STATE_RUNNING, STATE_STARTING } from './layout.js';
import { cpusFor, place } from './placement.js';
import { OpenServer } from './server_open.js';

export interface ServerWorkerData {
  /** Shared with each of the TCP servers. */
  readonly memories: readonly SharedArrayBuffer[];
  /** Which of them this one is, and its part of the connections. */
  readonly share: Share;
  readonly config: ServerConfig;
}

const { memories, share, config } = workerData as ServerWorkerData;
const servers = memories.map((memory) => new Int32Array(memory));
const words = servers[share.index];
try {
  serve();
} finally {
  // The supervisor does the same, unless its thread is gone or waits; where this one has not come up, it knows why, and is to say so first.
  const before = Atomics.compareExchange(words, CTRL_STATE, STATE_RUNNING, STATE_DEAD);
  if (before === STATE_STARTING) Atomics.store(words, CTRL_STATE, STATE_FAILED);
  Atomics.notify(words, CTRL_STATE);
  ringEveryApp(servers[0], new Layout(config.sizes));
}

function serve(): void {
  const cpus = cpusFor(config, getAffinity());
  const placement = place(config);
  const server = new OpenServer(memories[share.index], config, share, memories[0]);
  try {
    const poller = new Poller(server.descriptors);
    for (let wait = server.settle(); wait > 0; wait = server.settle()) poller.wait(wait);
    const tell = (addresses: readonly string[]): void => parentPort?.postMessage(addresses);
    const governor = share.index === 0 && servers.length > 1 && cpus.length > 1 ? new Governor(servers, cpus) : null;
    const loop = server.start(placement, tell, undefined, governor === null ? undefined : ({ now }) => governor.govern(now));
    tell(server.addresses);
    loop.run();
    server.leave();
  } finally {
    server.close();
  }
}

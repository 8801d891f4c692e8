/**
 * Entry of the TCP server's thread: takes its place, opens the TCP server on the shared memory, says that it is there by telling its
 * addresses, and stays in the loop until it is stopped. The build makes one file of it and all that it loads, server_worker.cjs.
 */
import { parentPort, workerData } from 'node:worker_threads';
import { Poller } from '../nic/syscalls.js';
import type { ServerConfig } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { CTRL_STATE, Layout, STATE_DEAD, STATE_FAILED, STATE_RUNNING, STATE_STARTING } from './layout.js';
import { place } from './placement.js';
import { OpenServer } from './server_open.js';

export interface ServerWorkerData {
  readonly memory: SharedArrayBuffer;
  readonly config: ServerConfig;
}

const { memory, config } = workerData as ServerWorkerData;
const words = new Int32Array(memory);
try {
  serve();
} finally {
  // The supervisor does the same, unless its thread is gone or waits; where this one has not come up, it knows why, and is to say so first.
  const before = Atomics.compareExchange(words, CTRL_STATE, STATE_RUNNING, STATE_DEAD);
  if (before === STATE_STARTING) Atomics.store(words, CTRL_STATE, STATE_FAILED);
  Atomics.notify(words, CTRL_STATE);
  ringEveryApp(words, new Layout(config.sizes));
}

function serve(): void {
  const placement = place(config.cpu, config.spinUs);
  const server = new OpenServer(memory, config);
  try {
    const poller = new Poller(server.descriptors);
    for (let wait = server.settle(); wait > 0; wait = server.settle()) poller.wait(wait);
    const tell = (addresses: readonly string[]): void => parentPort?.postMessage(addresses);
    const loop = server.start(placement, tell);
    tell(server.addresses);
    loop.run();
    server.leave();
  } finally {
    server.close();
  }
}

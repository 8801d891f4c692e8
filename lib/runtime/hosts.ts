/** What carries a TCP server, as the supervisor sees it: a thread of its own, several threads of several TCP servers, or the event loop of an app's thread. */
import { Worker } from 'node:worker_threads';
import { ringServer } from './doorbell.js';
import { CTRL_STATE, CTRL_STOP, STATE_RUNNING, STATE_STARTING } from './layout.js';
import type { ServerWorkerData } from './server_worker.js';

/** Somewhat more than the TCP server gives itself to say farewell. */
const STOP_TIMEOUT_MS = 1500;

export interface ServerHost {
  /** Fulfilled with its own addresses, each with the length of its prefix, once it is up; rejected with what kept it from coming up. */
  readonly ready: Promise<readonly string[]>;
  /** Have a listener told when the addresses are others than at first. */
  watchAddresses(listener: (addresses: readonly string[]) => void): void;
  /** Fulfilled once it has ended: with the error that ended it, where nobody had asked for its end. */
  readonly ended: Promise<Error | null>;
  /** It was told to stop, and somebody waits for its end. */
  stop(): void;
  /** It was told to stop, and the process ends: returns once what was written is sent, or the time for that is over. */
  finish(): void;
}

/** A TCP server is to end. @param words its memory. */
export function tellToStop(words: Int32Array): void {
  if (Atomics.exchange(words, CTRL_STOP, 1) === 0) ringServer(words);
}

/** A thread of its own. */
export class ThreadHost implements ServerHost {
  readonly ready: Promise<readonly string[]>;
  readonly ended: Promise<Error | null>;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  #onAddresses: ((addresses: readonly string[]) => void) | null = null;

  constructor(workerData: ServerWorkerData) {
    const { memories, share } = workerData;
    // Options of the process's own command line, such as --input-type, are not meant for this thread.
    const worker = new Worker(new URL('./server_worker.cjs', import.meta.url), { name: 'tcp-server', workerData, execArgv: [] });
    this.#worker = worker;
    this.#words = new Int32Array(memories[share.index] as SharedArrayBuffer);
    let isUp = false;
    let cause: Error | null = null;
    this.ready = new Promise((resolve, reject) => {
      worker.on('message', (addresses: readonly string[]) => {
        if (isUp) this.#onAddresses?.(addresses);
        isUp = true;
        resolve(addresses);
      });
      worker.on('error', (error: Error) => {
        if (isUp) cause = error;
        reject(error);
      });
      worker.once('exit', () => reject(new Error('the TCP server ended before it was up')));
    });
    this.ended = new Promise((resolve) => void worker.once('exit', () => resolve(cause)));
    worker.unref();
  }

  watchAddresses(listener: (addresses: readonly string[]) => void): void {
    this.#onAddresses = listener;
  }

  stop(): void {
    this.#worker.ref();
    const timeout = setTimeout(() => void this.#worker.terminate(), STOP_TIMEOUT_MS);
    void this.ended.then(() => clearTimeout(timeout));
  }

  finish(): void {
    // A thread that is cut off while it loads native code can take the process down with it.
    Atomics.wait(this.#words, CTRL_STATE, STATE_STARTING, STOP_TIMEOUT_MS);
    if (Atomics.load(this.#words, CTRL_STATE) === STATE_RUNNING) Atomics.wait(this.#words, CTRL_STATE, STATE_RUNNING, STOP_TIMEOUT_MS);
  }
}

/** Several, which live and end together. */
export class HostGroup implements ServerHost {
  readonly ready: Promise<readonly string[]>;
  readonly ended: Promise<Error | null>;
  readonly #hosts: readonly ServerHost[];

  /** @param servers the memory of each. */
  constructor(hosts: readonly ServerHost[], servers: readonly Int32Array[]) {
    this.#hosts = hosts;
    this.ready = Promise.all(hosts.map((host) => host.ready)).then(([first]) => first);
    // Whichever ends first, the others have part of the connections of the same listeners, and go with it.
    for (const host of hosts) {
      void host.ended.then(() => {
        servers.forEach(tellToStop);
        this.stop();
      });
    }
    this.ended = Promise.all(hosts.map((host) => host.ended)).then((errors) => errors.find((error) => error !== null) ?? null);
  }

  watchAddresses(listener: (addresses: readonly string[]) => void): void {
    this.#hosts[0].watchAddresses(listener);
  }

  stop(): void {
    for (const host of this.#hosts) host.stop();
  }

  finish(): void {
    for (const host of this.#hosts) host.finish();
  }
}

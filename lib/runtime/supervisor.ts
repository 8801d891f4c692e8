/** Starts the TCP server's thread, watches over it, and ends it. Runs in the thread that called `TcpServer.start`. */
import { closeSync } from 'node:fs';
import { getEnvironmentData, setEnvironmentData, Worker } from 'node:worker_threads';
import { AppPort } from './app_port.js';
import type { ServerConfig, ServerHandle } from './config.js';
import { ringEveryApp, ringServer } from './doorbell.js';
import { CTRL_EVENTFD, CTRL_SLEEP, CTRL_STATE, CTRL_STOP, CTRL_VERSION, LAYOUT_VERSION, Layout, SLEEP_AWAKE, STATE_DEAD, STATE_RUNNING } from './layout.js';
import type { ServerWorkerData } from './server_worker.js';

/** Key under which threads started later find the TCP server of their process. */
const ENVIRONMENT_KEY = 'tcp-offload.server';
/** Somewhat more than the TCP server gives itself to say farewell. */
const STOP_TIMEOUT_MS = 1500;
/** Nobody holds the doorbell's descriptor in his hand for longer than this after the TCP server has ended. */
const DESCRIPTOR_GRACE_MS = 1000;

export class RunningServer {
  readonly handle: ServerHandle;
  /** This thread's own channel. */
  readonly port: AppPort;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  readonly #layout: Layout;
  readonly #exited: Promise<void>;
  #stopped = false;
  readonly #onProcessExit = (): void => this.#stopAtExit();

  constructor(handle: ServerHandle, layout: Layout, worker: Worker) {
    this.handle = handle;
    this.#worker = worker;
    this.#words = new Int32Array(handle.memory);
    this.#layout = layout;
    // The port's own exit handler comes first: what it still submits is sent before the TCP server stops.
    this.port = new AppPort(handle);
    process.once('exit', this.#onProcessExit);
    this.#exited = new Promise((resolve) => {
      worker.once('exit', () => {
        this.#tellEnd();
        resolve();
      });
    });
    setEnvironmentData(ENVIRONMENT_KEY, handle);
    worker.unref();
  }

  /** Ends the TCP server: what was written is still sent, for a second at most. */
  async stop(): Promise<void> {
    this.port.detach();
    this.#sayStop();
    this.#worker.ref();
    const timeout = setTimeout(() => void this.#worker.terminate(), STOP_TIMEOUT_MS);
    await this.#exited;
    clearTimeout(timeout);
  }

  #sayStop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    Atomics.store(this.#words, CTRL_STOP, 1);
    ringServer(this.#words);
  }

  /** The process ends: nothing asynchronous runs any more, so the farewell is waited for. */
  #stopAtExit(): void {
    this.#sayStop();
    if (Atomics.load(this.#words, CTRL_STATE) === STATE_RUNNING) Atomics.wait(this.#words, CTRL_STATE, STATE_RUNNING, STOP_TIMEOUT_MS);
  }

  /** The thread is no more: every app thread hears of it. */
  #tellEnd(): void {
    const words = this.#words;
    process.removeListener('exit', this.#onProcessExit);
    if (getEnvironmentData(ENVIRONMENT_KEY) === this.handle) setEnvironmentData(ENVIRONMENT_KEY, undefined as never);
    Atomics.store(words, CTRL_STATE, STATE_DEAD);
    // Nobody is to ring a thread that is no more: the descriptor may soon be somebody else's.
    Atomics.store(words, CTRL_SLEEP, SLEEP_AWAKE);
    ringEveryApp(words, this.#layout);
    const eventfd = words[CTRL_EVENTFD];
    if (eventfd > 0) setTimeout(() => closeSync(eventfd), DESCRIPTOR_GRACE_MS).unref();
  }
}

/**
 * Starts a TCP server.
 *
 * @throws the error that kept it from starting, as its thread raised it.
 */
export async function startServer(config: ServerConfig): Promise<RunningServer> {
  const layout = new Layout(config.sizes);
  const memory = new SharedArrayBuffer(layout.byteLength);
  const words = new Int32Array(memory);
  words[CTRL_VERSION] = LAYOUT_VERSION;
  const carrier = config.device.startsWith('raw:') ? (await import('./raw_carrier.js')).openRawCarrier(config, memory, layout) : null;
  const workerData: ServerWorkerData = { memory, config };
  // Options of the process's own command line, such as --input-type, are not meant for this thread.
  const worker = new Worker(new URL('./server_worker.js', import.meta.url), { name: 'tcp-server', workerData, execArgv: [] });
  await new Promise<void>((resolve, reject) => {
    worker.once('message', () => resolve());
    worker.once('error', reject);
    worker.once('exit', () => reject(new Error('the TCP server ended before it was up')));
  }).catch((error: unknown) => {
    carrier?.close();
    throw error;
  });
  worker.removeAllListeners();
  worker.once('exit', () => carrier?.close());
  // An error that ends the thread later reaches every socket as an error of its own; without a listener it would end the process.
  worker.on('error', (error) => reportCrash(error));
  try {
    return new RunningServer({ memory, sizes: config.sizes, sendBuffer: config.sendBuffer }, layout, worker);
  } catch (error) {
    await worker.terminate();
    throw error;
  }
}

/** The TCP server that the thread inherited from the one that started it, or null. */
export function inheritedHandle(): ServerHandle | null {
  return (getEnvironmentData(ENVIRONMENT_KEY) as ServerHandle | undefined) ?? null;
}

function reportCrash(error: Error): void {
  process.emitWarning(`the TCP server has ended by an error: ${error.stack ?? error.message}`, 'TcpServerWarning');
}

/** Starts the TCP server's thread, watches over it, and ends it. Runs in the thread that called `TcpServer.start`. */
import { closeSync } from 'node:fs';
import { getEnvironmentData, setEnvironmentData, Worker } from 'node:worker_threads';
import { AppPort } from './app_port.js';
import type { ServerConfig, ServerHandle } from './config.js';
import { ringEveryApp, ringServer } from './doorbell.js';
import { CTRL_EVENTFD, CTRL_SLEEP, CTRL_STATE, CTRL_STOP, CTRL_VERSION, LAYOUT_VERSION, Layout, SLEEP_AWAKE, STATE_DEAD, STATE_RUNNING,
  STATE_STARTING } from './layout.js';
import { chooseThread } from './placement.js';
import type { ServerWorkerData } from './server_worker.js';

/** Key under which threads started later find the TCP server of their process. */
const ENVIRONMENT_KEY = 'tcp-offload.server';
/** Somewhat more than the TCP server gives itself to say farewell. */
const STOP_TIMEOUT_MS = 1500;
/** Nobody holds the doorbell's descriptor in his hand for longer than this after the TCP server has ended. */
const DESCRIPTOR_GRACE_MS = 1000;

/** What carries a TCP server: a thread of its own, or the event loop of this thread. */
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

export class RunningServer {
  readonly handle: ServerHandle;
  /** This thread's own channel. */
  readonly port: AppPort;
  /** Own addresses with the lengths of their prefixes, once it is up. */
  addresses: readonly string[] = [];
  /** Called when they have changed. */
  onAddresses: (() => void) | null = null;
  readonly #host: ServerHost;
  readonly #words: Int32Array;
  readonly #layout: Layout;
  #stopped = false;
  readonly #onProcessExit = (): void => this.#stopAtExit();

  constructor(handle: ServerHandle, layout: Layout, host: ServerHost, port: AppPort) {
    this.handle = handle;
    this.#host = host;
    this.#words = new Int32Array(handle.memory);
    this.#layout = layout;
    // The port's own exit handler comes first: what it still submits is sent before the TCP server stops.
    this.port = port;
    process.once('exit', this.#onProcessExit);
    // Who waits for it is told; who does not hears of it from sockets and servers.
    host.ready.then((addresses) => { this.addresses = addresses; }, (error: Error) => { port.failure = error; });
    host.watchAddresses((addresses) => {
      this.addresses = addresses;
      this.onAddresses?.();
    });
    void host.ended.then((error) => this.#tellEnd(error));
    setEnvironmentData(ENVIRONMENT_KEY, handle);
  }

  /** Fulfilled once it has ended, whoever has ended it. */
  get ended(): Promise<unknown> {
    return this.#host.ended;
  }

  /** Fulfilled once it is up, and holds the event loop until then; @throws what kept it from coming up. */
  async up(): Promise<void> {
    this.port.ref();
    try {
      await this.#host.ready;
    } finally {
      this.port.unref();
    }
  }

  /** Ends the TCP server: what was written is still sent, for a second at most. */
  async stop(): Promise<void> {
    this.port.detach();
    this.#sayStop();
    this.#host.stop();
    await this.#host.ended;
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
    this.#host.finish();
  }

  /** It is no more: every app thread hears of it. */
  #tellEnd(error: Error | null): void {
    const words = this.#words;
    process.removeListener('exit', this.#onProcessExit);
    if (getEnvironmentData(ENVIRONMENT_KEY) === this.handle) setEnvironmentData(ENVIRONMENT_KEY, undefined as never);
    Atomics.store(words, CTRL_STATE, STATE_DEAD);
    // Nobody is to ring a TCP server that is no more: the descriptor may soon be somebody else's.
    Atomics.store(words, CTRL_SLEEP, SLEEP_AWAKE);
    ringEveryApp(words, this.#layout);
    const eventfd = words[CTRL_EVENTFD];
    if (eventfd > 0) setTimeout(() => closeSync(eventfd), DESCRIPTOR_GRACE_MS).unref();
    // Every socket gets an error of its own.
    if (error !== null) process.emitWarning(`the TCP server has ended by an error: ${error.stack ?? error.message}`, 'TcpServerWarning');
  }
}

/** A thread of its own. */
class ThreadHost implements ServerHost {
  readonly ready: Promise<readonly string[]>;
  readonly ended: Promise<Error | null>;
  readonly #worker: Worker;
  readonly #words: Int32Array;
  #onAddresses: ((addresses: readonly string[]) => void) | null = null;

  constructor(workerData: ServerWorkerData) {
    // Options of the process's own command line, such as --input-type, are not meant for this thread.
    const worker = new Worker(new URL('./server_worker.cjs', import.meta.url), { name: 'tcp-server', workerData, execArgv: [] });
    this.#worker = worker;
    this.#words = new Int32Array(workerData.memory);
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

function isRaw({ device }: ServerConfig): boolean {
  return device.startsWith('raw:');
}

interface NewMemory {
  readonly handle: ServerHandle;
  readonly layout: Layout;
}

/** Memory for a TCP server, empty. */
function newMemory(config: ServerConfig): NewMemory {
  const layout = new Layout(config.sizes);
  const memory = new SharedArrayBuffer(layout.byteLength);
  new Int32Array(memory)[CTRL_VERSION] = LAYOUT_VERSION;
  return { handle: { memory, sizes: config.sizes, sendBuffer: config.sendBuffer }, layout };
}

function startThread(config: ServerConfig, { handle, layout }: NewMemory): RunningServer {
  return new RunningServer(handle, layout, new ThreadHost({ memory: handle.memory, config }), new AppPort(handle));
}

/**
 * Starts a TCP server in a thread of its own, which comes up behind: what is submitted until then waits for it.
 *
 * @throws Error for a raw device, which takes time before that.
 */
export function launchServer(config: ServerConfig): RunningServer {
  if (isRaw(config)) throw new Error('a raw device does not start by itself: await TcpServer.start() before the first listen or connect');
  return startThread(config, newMemory(config));
}

/**
 * Starts a TCP server, in the thread that is best for it. It is up when the promise is fulfilled.
 *
 * @throws what kept it from starting.
 */
export async function startServer(config: ServerConfig): Promise<RunningServer> {
  const place = newMemory(config);
  // This thread carries the packets of a raw device; only one that does loads what it takes.
  const carrier = isRaw(config) ? (await import('./raw_carrier.js')).openRawCarrier(config, place.handle.memory, place.layout) : null;
  try {
    const running = chooseThread(config) === 'own' ? startThread(config, place) : await startHere(config, place);
    await running.up();
    if (carrier !== null) void running.ended.then(() => carrier.close());
    return running;
  } catch (error) {
    carrier?.close();
    throw error;
  }
}

/** Only a thread that runs a TCP server loads it. */
async function startHere(config: ServerConfig, { handle, layout }: NewMemory): Promise<RunningServer> {
  const { startMerged } = await import('./server_merged.js');
  const host = await startMerged(handle.memory, config);
  return new RunningServer(handle, layout, host, new AppPort(handle));
}

/** The TCP server that the thread inherited from the one that started it, or null. */
export function inheritedHandle(): ServerHandle | null {
  return (getEnvironmentData(ENVIRONMENT_KEY) as ServerHandle | undefined) ?? null;
}

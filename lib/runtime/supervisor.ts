/** Starts the TCP server's thread, watches over it, and ends it. Runs in the thread that called `TcpServer.start`. */
import { randomBytes } from 'node:crypto';
import { closeSync } from 'node:fs';
import { getEnvironmentData, setEnvironmentData } from 'node:worker_threads';
import { AppPort } from './app_port.js';
import type { ServerConfig, ServerHandle } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { CTRL_EVENTFD, CTRL_SLEEP, CTRL_STATE, CTRL_VERSION, LAYOUT_VERSION, Layout, SLEEP_AWAKE, STATE_DEAD } from './layout.js';
import { chooseThread } from './placement.js';
import { HostGroup, tellToStop, ThreadHost } from './hosts.js';
import type { ServerHost } from './hosts.js';

/** Key under which threads started later find the TCP server of their process. */
const ENVIRONMENT_KEY = 'tcp-offload.server';
/** Nobody holds the doorbell's descriptor in his hand for longer than this after the TCP server has ended. */
const DESCRIPTOR_GRACE_MS = 1000;

export class RunningServer {
  readonly handle: ServerHandle;
  /** This thread's own channel. */
  readonly port: AppPort;
  /** Own addresses with the lengths of their prefixes, once it is up. */
  addresses: readonly string[] = [];
  /** Called when they have changed. */
  onAddresses: (() => void) | null = null;
  readonly #host: ServerHost;
  /** The memory of each TCP server. */
  readonly #servers: readonly Int32Array[];
  readonly #layout: Layout;
  #stopped = false;
  readonly #onExit = (): void => this.#sayStop();
  /** The process ends: nothing asynchronous runs any more, so the farewell is waited for. */
  readonly #onExitLast = (): void => this.#host.finish();

  /** @param openPort makes this thread's own channel, which the end of the process ends. */
  constructor(handle: ServerHandle, layout: Layout, host: ServerHost, openPort: () => AppPort) {
    this.handle = handle;
    this.#host = host;
    this.#servers = memoriesOf(handle).map((memory) => new Int32Array(memory));
    this.#layout = layout;
    // Between the two the port has its own: what it still submits is sent, because the TCP server waits for it to leave.
    process.once('exit', this.#onExit);
    const port = openPort();
    this.port = port;
    process.once('exit', this.#onExitLast);
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
    this.#sayStop();
    this.port.detach();
    this.#host.stop();
    await this.#host.ended;
  }

  /** Before this thread leaves: who hears of the end of its flows can find out that it is the end of everything. */
  #sayStop(): void {
    if (this.#stopped) return;
    this.#stopped = true;
    this.#servers.forEach(tellToStop);
  }

  /** It is no more: every app thread hears of it. */
  #tellEnd(error: Error | null): void {
    process.removeListener('exit', this.#onExit);
    process.removeListener('exit', this.#onExitLast);
    if (getEnvironmentData(ENVIRONMENT_KEY) === this.handle) setEnvironmentData(ENVIRONMENT_KEY, undefined as never);
    for (const words of this.#servers) markDead(words);
    ringEveryApp(this.#servers[0], this.#layout);
    // Every socket gets an error of its own.
    if (error !== null) process.emitWarning(`the TCP server has ended by an error: ${error.stack ?? error.message}`, 'TcpServerWarning');
  }
}

/** The thread of a TCP server has ended. */
function markDead(words: Int32Array): void {
  Atomics.store(words, CTRL_STATE, STATE_DEAD);
  // Nobody is to ring a TCP server that is no more: the descriptor may soon be somebody else's.
  Atomics.store(words, CTRL_SLEEP, SLEEP_AWAKE);
  const eventfd = words[CTRL_EVENTFD];
  if (eventfd > 0) setTimeout(() => closeSync(eventfd), DESCRIPTOR_GRACE_MS).unref();
}

/** The memory of each TCP server. */
export function memoriesOf({ memory, others }: ServerHandle): readonly SharedArrayBuffer[] {
  return [memory, ...others];
}

function isRaw({ device }: ServerConfig): boolean {
  return device.startsWith('raw:');
}

interface NewMemory {
  readonly handle: ServerHandle;
  readonly layout: Layout;
}

/** Memory for a TCP server, or for each of several, empty. */
function newMemory(config: ServerConfig): NewMemory {
  const layout = new Layout(config.sizes);
  const [memory, ...others] = Array.from({ length: config.servers }, () => {
    const each = new SharedArrayBuffer(layout.byteLength);
    new Int32Array(each)[CTRL_VERSION] = LAYOUT_VERSION;
    return each;
  });
  // Odd, so that every bit of what it is multiplied with counts.
  const key = randomBytes(4).readInt32LE() | 1;
  return { handle: { memory: memory as SharedArrayBuffer, others, key, sizes: config.sizes, sendBuffer: config.sendBuffer }, layout };
}

function startThreads(config: ServerConfig, { handle, layout }: NewMemory): RunningServer {
  const memories = memoriesOf(handle);
  const hosts = memories.map((_, index) => new ThreadHost({ memories, share: { index, count: memories.length, key: handle.key }, config }));
  const host = hosts.length === 1 ? hosts[0] as ThreadHost : new HostGroup(hosts, memories.map((memory) => new Int32Array(memory)));
  return new RunningServer(handle, layout, host, () => new AppPort(handle));
}

/**
 * Starts a TCP server in a thread of its own, which comes up behind: what is submitted until then waits for it.
 *
 * @throws Error for a raw device, which takes time before that.
 */
export function launchServer(config: ServerConfig): RunningServer {
  if (isRaw(config)) throw new Error('a raw device does not start by itself: await TcpServer.start() before the first listen or connect');
  return startThreads(config, newMemory(config));
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
    const running = chooseThread(config) === 'own' ? startThreads(config, place) : await startHere(config, place);
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
  return new RunningServer(handle, layout, host, () => new AppPort(handle));
}

/** The TCP server that the thread inherited from the one that started it, or null. */
export function inheritedHandle(): ServerHandle | null {
  return (getEnvironmentData(ENVIRONMENT_KEY) as ServerHandle | undefined) ?? null;
}

/** `tcp-offload/pool`: an app server of several workers on one TCP server, which is restarted without a lost connection. */
import { EventEmitter } from 'node:events';
import type { AddressInfo } from 'node:net';
import { addUser, existingPort, removeUser } from './attachment.js';
import type { PortUser } from './attachment.js';
import { environmentOptions } from './environment.js';
import { TcpServerError, codedError } from './errors.js';
import { checkPoolOptions } from './pool_options.js';
import type { PoolConfig, PoolOptions } from './pool_options.js';
import { PoolThread, loadPiscina, pauseAfter } from './pool_thread.js';
import type { ServerHandle } from './runtime/config.js';
import { TcpServer, threadServer } from './server.js';

export type { PoolOptions } from './pool_options.js';
export type { PoolContext } from './pool_worker.js';

/** A worker as it stands at the moment. */
export interface PoolWorker {
  /** Number of the worker in the pool, from 0. While one is replaced there are two threads with it. */
  readonly index: number;
  /** The kernel's number of its thread, as in /proc/self/task; 0 until it listens. */
  readonly threadId: number;
  /** Open connections of its servers. */
  readonly connections: number;
  readonly state: 'starting' | 'listening' | 'draining';
}

/** A worker that has lived this long did not die at once; ms. */
const STABLE_MS = 5000;
const MAX_APPS_LEAST = 16;
const MAX_APPS_MOST = 128;

/**
 * Starts a pool: the TCP server, where the process has none, and the workers. Fulfilled when all of them listen.
 *
 * @throws TypeError, RangeError where an option is not as it must be; Error MODULE_NOT_FOUND where the package piscina is not installed,
 *   ERR_POOL_START_TIMEOUT where a worker does not listen; else what kept the TCP server or a worker from starting.
 */
export async function createPool(options: PoolOptions): Promise<Pool> {
  const config = checkPoolOptions(options);
  loadPiscina();
  const server = await startServer(config);
  const pool = new Pool(config, server);
  try {
    await pool._start();
  } catch (error) {
    await pool.close();
    throw error;
  }
  return pool;
}

/** Null where there is one already. */
async function startServer({ server, threads }: PoolConfig): Promise<TcpServer | null> {
  if (server === undefined && hasServer()) return null;
  // A worker that drains has a place beside the one that follows it, and so have the flows that one has left.
  const maxApps = Math.min(Math.max(2 * threads + 2, MAX_APPS_LEAST), MAX_APPS_MOST);
  return TcpServer.start({ maxApps, ...(server ?? environmentOptions()) });
}

function hasServer(): boolean {
  try {
    return existingPort().alive;
  } catch (error) {
    if (error instanceof TcpServerError && error.code !== 'ERR_TCP_SERVER_FULL') return false;
    throw error;
  }
}

/**
 * Workers that listen on one place; made by `createPool`.
 *
 * Events: 'online' (worker: PoolWorker): it listens. 'exit' (worker: PoolWorker, error: Error | null): it is no more, and is replaced; null
 * where it had been asked to end. 'error' (error: TcpServerError): the TCP server has died, and the pool ends with it. 'close': the pool is closed;
 * by `close`, or because the TCP server was.
 */
export class Pool extends EventEmitter {
  readonly #config: PoolConfig;
  /** The TCP server, where the pool has started it. */
  readonly #server: TcpServer | null;
  readonly #handle: ServerHandle;
  readonly #user: PortUser;
  readonly #threads = new Set<PoolThread>();
  /** The thread of each worker that takes connections; undefined while there is none. */
  readonly #current: (PoolThread | undefined)[] = [];
  #address: AddressInfo | null = null;
  #restarting: Promise<void> | null = null;
  #closing: Promise<void> | null = null;
  readonly #timers = new Set<NodeJS.Timeout>();
  readonly #onSignal = (): void => void this.close();

  /** @internal */
  constructor(config: PoolConfig, server: TcpServer | null) {
    super();
    this.#config = config;
    this.#server = server;
    const { handle, port } = threadServer();
    this.#handle = handle;
    this.#user = { port, dismiss: () => void this.close() };
    addUser(this.#user);
    port.onEnd((error) => {
      if (error !== null) this.#serverDied(error);
    });
    for (const signal of config.closeOn) process.once(signal, this.#onSignal);
  }

  /** The threads there are. */
  get workers(): PoolWorker[] {
    return [...this.#threads].map(describe).sort((a, b) => a.index - b.index);
  }

  /** Where the workers listen, as the first of them has said. */
  address(): AddressInfo | null {
    return this.#address;
  }

  /** @internal With a port that the TCP server chooses, the first worker says to the others which. */
  async _start(): Promise<void> {
    this.#address = await this.#startThread(0);
    const others = Array.from({ length: this.#config.threads - 1 }, (_, index) => this.#startThread(index + 1));
    await Promise.all(others);
  }

  /**
   * Replaces every worker, one after the other: the next thread listens before the old one stops, and that ends when its connections have.
   * Where a restart is under way, it is that one.
   *
   * @throws what kept a worker from starting; the one that it was to follow goes on, and so do those behind it. ERR_POOL_CLOSED.
   */
  restart(): Promise<void> {
    this.#restarting ??= this.#restart().finally(() => { this.#restarting = null; });
    return this.#restarting;
  }

  async #restart(): Promise<void> {
    for (let index = 0; index < this.#config.threads; index++) {
      if (this.#closing !== null) throw codedError('ERR_POOL_CLOSED', 'the pool is closed');
      await this.#startThread(index);
      // One that was to take the place of a dead one may have come up beside it.
      const others = [...this.#threads].filter((thread) => thread.index === index && thread !== this.#current[index]);
      await Promise.all(others.map((thread) => thread.drain()));
    }
  }

  /** Ends every worker as its connections end, and then the TCP server, where the pool has started it. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #close(): Promise<void> {
    removeUser(this.#user);
    for (const signal of this.#config.closeOn) process.removeListener(signal, this.#onSignal);
    for (const timer of this.#timers) clearTimeout(timer);
    // A restart may have started another one before it sees that the pool closes.
    while (this.#threads.size > 0) await Promise.all([...this.#threads].map((thread) => thread.drain()));
    await this.#server?.close();
    this.emit('close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }

  async #startThread(index: number, deaths = 0): Promise<AddressInfo> {
    const thread = new PoolThread(this.#config, index, this.#handle, this.#address?.port ?? this.#config.listen.port);
    const started = performance.now();
    this.#threads.add(thread);
    let wasOnline = false;
    void thread.ended.then((error) => {
      this.#threads.delete(thread);
      if (this.#current[index] === thread) this.#current[index] = undefined;
      if (wasOnline) this.#ended(thread, error, performance.now() - started < STABLE_MS ? deaths + 1 : 0);
    });
    const address = await thread.online;
    wasOnline = true;
    this.#current[index] = thread;
    this.emit('online', describe(thread));
    return address;
  }

  #ended(thread: PoolThread, error: Error | null, deaths: number): void {
    const told = this.emit('exit', describe(thread), error);
    if (error === null || this.#closing !== null) return;
    if (!told) process.emitWarning(`worker ${thread.index} of the pool has died and is replaced: ${error.stack ?? error.message}`, 'PoolWarning');
    this.#replace(thread.index, deaths);
  }

  /** Starts the worker again, later and later where it dies at once each time. */
  #replace(index: number, deaths: number): void {
    const timer = setTimeout(() => {
      this.#timers.delete(timer);
      // A restart may have brought one meanwhile.
      if ([...this.#threads].some((thread) => thread.index === index && thread.state !== 'draining')) return;
      this.#startThread(index, deaths).catch((error: Error) => {
        if (this.#closing !== null) return;
        process.emitWarning(`worker ${index} of the pool could not be started again: ${error.message}`, 'PoolWarning');
        this.#replace(index, deaths + 1);
      });
    }, pauseAfter(deaths));
    this.#timers.add(timer);
  }

  #serverDied(cause: Error): void {
    if (this.#closing !== null) return;
    void this.close();
    this.emit('error', new TcpServerError('ERR_TCP_SERVER_DIED', 'The TCP server of the pool has died, and the pool ends with it', { cause }));
  }
}

function describe({ index, threadId, connections, state }: PoolThread): PoolWorker {
  return { index, threadId, connections, state };
}

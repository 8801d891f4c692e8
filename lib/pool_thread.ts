/**
 * One thread of a pool, from its start to its end. Each is a piscina of its own, with one worker: a piscina of several starts no
 * replacement while the old worker drains, and replaces one that has died at once, over and over.
 */
import { createRequire } from 'node:module';
import type { AddressInfo } from 'node:net';
import { MessageChannel } from 'node:worker_threads';
import { codedError } from './errors.js';
import type { PoolConfig } from './pool_options.js';
import type { PoolTask, PoolThreadOnline } from './pool_worker.js';
import type { ServerHandle } from './runtime/config.js';

/** What is used of the package. */
interface Piscina {
  run(task: PoolTask, options: { transferList: readonly unknown[] }): Promise<void>;
  on(event: 'error', listener: () => void): unknown;
  destroy(): Promise<void>;
}

type PiscinaClass = new (options: object) => Piscina;

const PACKAGE = 'piscina';
/** How much longer than `drainTimeout` a thread has that does not answer; ms. */
const GRACE_MS = 500;
/** Pause before one that has died at once twice is started again, doubled each time, ms; and the longest. */
const FIRST_PAUSE_MS = 100;
const LONGEST_PAUSE_MS = 10_000;

/** How long a worker waits for its next start that has died at once so many times in a row, ms. */
export function pauseAfter(deaths: number): number {
  return deaths < 2 ? 0 : Math.min(FIRST_PAUSE_MS * 2 ** (deaths - 2), LONGEST_PAUSE_MS);
}

/** @throws Error MODULE_NOT_FOUND where the package is not there. */
export function loadPiscina(): PiscinaClass {
  try {
    return (createRequire(import.meta.url)(PACKAGE) as { Piscina: PiscinaClass }).Piscina;
  } catch (error) {
    const { code = 'MODULE_NOT_FOUND' } = error as NodeJS.ErrnoException;
    const message = `A pool needs the package ${PACKAGE}, which cannot be loaded: npm install ${PACKAGE}`;
    throw Object.assign(codedError(code, message), { cause: error });
  }
}

export class PoolThread {
  readonly index: number;
  state: 'starting' | 'listening' | 'draining' = 'starting';
  /** The kernel's number of the thread; 0 until it listens. */
  threadId = 0;
  /** Fulfilled once it listens; @throws what kept it from that. */
  readonly online: Promise<AddressInfo>;
  /** Fulfilled once it is no more: with the error that it died of; null where it had been asked to drain. */
  readonly ended: Promise<Error | null>;
  readonly #connections = new Int32Array(new SharedArrayBuffer(4));
  readonly #piscina: Piscina;
  readonly #port: MessageChannel['port1'];
  readonly #drainTimeout: number;

  constructor(config: PoolConfig, index: number, handle: ServerHandle, port: number | string | null | undefined) {
    const { port1, port2 } = new MessageChannel();
    const { module, listen, distribution, data, drainTimeout } = config;
    this.index = index;
    this.#port = port1;
    this.#drainTimeout = drainTimeout;
    this.#piscina = new (loadPiscina())({
      filename: new URL('./pool_worker.js', import.meta.url).href,
      minThreads: 0,
      maxThreads: 1,
      idleTimeout: Infinity,
      // Its own way of waiting for work would hold up the worker's event loop.
      atomics: 'disabled',
    });
    // The same error once more that `run` is rejected with.
    this.#piscina.on('error', () => undefined);
    const task: PoolTask = {
      module, index, handle, listen: { ...listen, port: port ?? 0 }, distribution, data, drainTimeout, connections: this.#connections, port: port2,
    };
    const run = this.#piscina.run(task, { transferList: [port2] });
    this.ended = this.#end(run);
    this.online = this.#comeUp(config.startTimeout);
  }

  get connections(): number {
    return this.#connections[0]!;
  }

  /** Ends it: see pool_worker.ts. Connections that are left when the time is over are closed with it. */
  async drain(): Promise<void> {
    this.state = 'draining';
    this.#port.postMessage('drain');
    const timer = setTimeout(() => void this.#piscina.destroy(), this.#drainTimeout + GRACE_MS);
    await this.ended;
    clearTimeout(timer);
  }

  async #end(run: Promise<void>): Promise<Error | null> {
    const error = await run.then(() => new Error('every server of the worker was closed'), (reason: Error) => reason);
    this.#port.close();
    await this.#piscina.destroy();
    return this.state === 'draining' ? null : error;
  }

  async #comeUp(startTimeout: number): Promise<AddressInfo> {
    const message = `the worker's module did not listen within ${startTimeout} ms: its default export is to call listen(server, context.listen)`;
    let timer: NodeJS.Timeout | undefined;
    try {
      const { threadId, address } = await new Promise<PoolThreadOnline>((resolve, reject) => {
        timer = setTimeout(() => reject(codedError('ERR_POOL_START_TIMEOUT', message)), startTimeout);
        this.#port.once('message', resolve);
        void this.ended.then((error) => reject(error ?? codedError('ERR_POOL_CLOSED', 'the pool was closed while the worker was starting')));
      });
      if (this.state === 'starting') this.state = 'listening';
      this.threadId = threadId;
      return address;
    } catch (error) {
      await this.#piscina.destroy();
      throw error;
    } finally {
      clearTimeout(timer);
    }
  }
}

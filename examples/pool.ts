/**
 * A piscina pool of app workers on one port: each runs the same app in a thread of its own and listens on the same
 * port, and the TCP server gives each new connection to the least loaded of them.
 *
 * A worker of a pool that serves is a task that never settles. So the pool has as many threads as tasks, for good
 * (`minThreads` = `maxThreads`, no idle timeout), and its own way of waiting for work, `Atomics.wait`, is off: it would
 * hold up the worker's event loop.
 */
import { Piscina } from 'piscina';

export interface PoolOptions {
  readonly workers: number;
  readonly port: number;
  /** Address to listen on; left out: every address of the TCP server. */
  readonly host?: string;
  /** One word a worker, which counts the requests that it has begun to serve. */
  readonly requests: Int32Array;
  /** A worker listens, the first time or again. */
  readonly onListening?: (worker: PoolWorker) => void;
  /** A worker died of `error` and is being replaced. */
  readonly onDeath?: (index: number, error: Error) => void;
}

export interface PoolWorker {
  readonly index: number;
  /** Linux's thread id. */
  readonly thread: number;
}

/** What a worker is started with. */
export interface PoolTask {
  readonly index: number;
  readonly port: number;
  readonly host: string | undefined;
  readonly requests: Int32Array;
}

export interface ServingPool {
  /** Ends every worker, and with it its connections. */
  close(): Promise<void>;
}

/** A worker that dies this soon after it was started would die again at once: the next try waits as long. */
const RESTART_PAUSE_MS = 200;

/** Starts the workers; the TCP server runs already. Resolves when every one of them listens. */
export async function startPool(options: PoolOptions): Promise<ServingPool> {
  const { workers } = options;
  const pool = new Piscina<PoolTask, never>({
    filename: new URL('./pool_worker.js', import.meta.url).href,
    minThreads: workers,
    maxThreads: workers,
    concurrentTasksPerWorker: 1,
    idleTimeout: Infinity,
    atomics: 'disabled',
  });
  let closing = false;
  // Errors of workers reach the run() of their task; this is the same error once more.
  pool.on('error', () => undefined);
  const listening = new Set<number>();

  /** piscina replaces a worker that dies, but does not run its task again. */
  async function serve(index: number): Promise<void> {
    while (!closing) {
      const started = Date.now();
      try {
        await pool.run({ index, port: options.port, host: options.host, requests: options.requests });
      } catch (error) {
        if (closing) return;
        // One that never listened has something wrong that a next try would meet again, such as a port in use.
        if (!listening.has(index)) throw error;
        options.onDeath?.(index, error as Error);
      }
      if (Date.now() - started < RESTART_PAUSE_MS) await new Promise((resolve) => setTimeout(resolve, RESTART_PAUSE_MS));
    }
  }

  const all = new Promise<void>((resolve) => {
    pool.on('message', (worker: PoolWorker) => {
      options.onListening?.(worker);
      if (listening.add(worker.index).size === workers) resolve();
    });
  });
  const close = async (): Promise<void> => {
    closing = true;
    await pool.destroy();
  };
  try {
    await Promise.race([all, Promise.all(Array.from({ length: workers }, (_, index) => serve(index)))]);
  } catch (error) {
    await close();
    throw error;
  }
  return { close };
}

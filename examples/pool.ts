/**
 * A pool of app workers on one port: each runs the same app in a thread of its own, and the TCP server gives each new connection to the
 * one that holds the fewest. `kill -HUP` of an app that uses it like this could restart every worker without a lost request:
 *
 *     process.on('SIGHUP', () => void pool.restart());
 */
import { createPool } from '../lib/pool.js';
import type { Pool } from '../lib/pool.js';

/** Starts the workers on the TCP server that runs already. @param requests one word a worker, which counts its requests. */
export function startPool(threads: number, port: number, requests: Int32Array): Promise<Pool> {
  return createPool({ filename: new URL('./pool_worker.js', import.meta.url), threads, listen: { port }, data: requests });
}

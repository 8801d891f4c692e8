/** What each worker of the pool runs. `GET /throw` lets it die of an exception, to show that it is replaced. */
import { createServer } from 'node:http';
import { parentPort } from 'node:worker_threads';
import { listen } from '../lib/index.js';
import { app } from './http.js';
import type { PoolTask, PoolWorker } from './pool.js';
import { threadId } from './support/threads.js';

/** Serves until the worker dies: the promise never settles. */
export default function serve({ index, port, host, requests }: PoolTask): Promise<never> {
  const server = createServer((request, response) => {
    requests[index]!++;
    if (request.url === '/throw') setImmediate(() => { throw new Error('thrown by GET /throw'); });
    else app(request, response);
  });
  return new Promise((_resolve, reject) => {
    server.once('error', reject);
    server.once('listening', () => parentPort?.postMessage({ index, thread: threadId() } satisfies PoolWorker));
    listen(server, host === undefined ? { port } : { port, host });
  });
}

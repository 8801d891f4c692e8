/** What each worker of the pool runs. `GET /throw` lets it die of an exception, to show that it is replaced. */
import { createServer } from 'node:http';
import { listen } from '../lib/index.js';
import type { PoolContext } from '../lib/pool.js';
import { app } from './http.js';

/** @param data one word a worker, which counts the requests that it has begun to serve. */
export default function serve({ index, listen: place, data: requests }: PoolContext<Int32Array>): void {
  const server = createServer((request, response) => {
    requests[index]!++;
    if (request.url === '/throw') setImmediate(() => { throw new Error('thrown by GET /throw'); });
    else app(request, response);
  });
  listen(server, place);
}

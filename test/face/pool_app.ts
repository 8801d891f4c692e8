/** What the workers of pool.test.ts run: says which worker answers; /throw lets it die; listens nowhere, or throws, where `data` says so. */
import { createServer } from 'node:http';
import { threadId } from 'node:worker_threads';
import { listen } from '../../lib/index.js';
import type { PoolContext } from '../../lib/pool.js';

export default function serve({ index, listen: place, data }: PoolContext<string | undefined>): void {
  if (data === 'throw') throw new Error('thrown at the start');
  if (data === 'idle') return;
  listen(createServer((request, response) => {
    if (request.url === '/throw') setImmediate(() => { throw new Error('thrown by GET /throw'); });
    else response.end(`${index} ${threadId}`);
  }), place);
}

/**
 * What the workers of the tests of pools run: says which worker answers; /throw lets it die. `data` may have it listen nowhere ('idle'), throw at
 * the start ('throw'), or count its starts and throw at the second and third (a word). With 'tolerant' an error of the server is nothing to it.
 */
import { createServer } from 'node:http';
import { threadId } from 'node:worker_threads';
import { listen } from '../../lib/index.js';
import type { PoolContext } from '../../lib/pool.js';

export default function serve({ index, listen: place, data }: PoolContext<string | Int32Array | undefined>): void {
  const start = data instanceof Int32Array ? ++data[0]! : 1;
  if (data === 'throw' || start === 2 || start === 3) throw new Error('thrown at the start');
  if (data === 'idle') return;
  const server = createServer((request, response) => {
    if (request.url === '/throw') setImmediate(() => { throw new Error('thrown by GET /throw'); });
    else response.end(`${index} ${threadId}`);
  });
  if (data === 'tolerant') server.on('error', () => undefined);
  listen(server, place);
}

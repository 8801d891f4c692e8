/** Blocking sockets in a worker, and the kernel's TCP at the other end of a veth pair. */
import { once } from 'node:events';
import * as kernelNet from 'node:net';
import { pipeline } from 'node:stream/promises';
import { Readable } from 'node:stream';
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { bytes } from '../../examples/http.js';
import { digest, missing, withServer } from './support.js';

const BYTES = 20_000_000;

t.test('examples/sync_echo.ts and clients of the kernel', { skip: missing('ip'), timeout: 60_000 }, (t) => withServer({}, async (network) => {
  const worker = new Worker(new URL('../../examples/sync_echo_worker.js', import.meta.url), { workerData: { port: 7 } });
  await once(worker, 'message');
  const leaving = kernelNet.connect({ host: network.serverAddress, port: 7 });
  leaving.write('x');
  await once(leaving, 'data');
  leaving.resetAndDestroy();
  const hash = createHash('sha256');
  for (const block of bytes(BYTES)) hash.update(block);
  const sha256 = hash.digest('hex');
  const received = await Promise.all(Array.from({ length: 3 }, async () => {
    const socket = kernelNet.connect({ host: network.serverAddress, port: 7, allowHalfOpen: true });
    const back = digest(socket);
    await pipeline(Readable.from(bytes(BYTES)), socket);
    return back;
  }));
  t.same(received, Array(3).fill({ sha256, length: BYTES }));
}));

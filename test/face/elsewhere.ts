/** A TCP server that another thread has started, and that can die: it goes when that thread is killed. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import type { ServerHandle } from '../../lib/index.js';
import { INDEX } from './program.js';

const PROGRAM = `
  import { parentPort } from 'node:worker_threads';
  import { TcpServer } from '${INDEX.href}';
  const server = await TcpServer.start();
  parentPort.postMessage(server.handle);
  parentPort.once('message', () => server.close());
`;

export interface Elsewhere {
  readonly handle: ServerHandle;
  die(): Promise<unknown>;
  close(): void;
}

export async function startElsewhere(): Promise<Elsewhere> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(PROGRAM)}`));
  const [handle] = await once(worker, 'message') as [ServerHandle];
  return { handle, die: () => worker.terminate(), close: () => worker.postMessage('close') };
}

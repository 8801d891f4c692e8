/** An echo server of blocking sockets (`npm start -- --app sync_echo`): the program of a worker, which has no use for an event loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { threadId } from './support/threads.js';
import { listen, poll, SyncServer } from '../lib/sync.js';
import type { SyncSocket } from '../lib/sync.js';

export interface SyncEchoTask {
  readonly port: number;
  /** One word, which counts the connections. */
  readonly connections: Int32Array;
}

const { port, connections } = workerData as SyncEchoTask;
const buffer = Buffer.alloc(65536);
const open = new Set<SyncServer | SyncSocket>([listen({ port })]);
parentPort?.postMessage(threadId());
try {
  for (;;) poll([...open]).forEach(serve);
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_TCP_SERVER_CLOSED') throw error;
}

function serve(ready: SyncServer | SyncSocket): void {
  if (ready instanceof SyncServer) {
    connections[0]!++;
    open.add(ready.accept());
  } else if (!echo(ready)) {
    open.delete(ready);
    ready.close();
  }
}

/** Sends back what has come. A peer that does not read it, or has reset the connection, is no reason to keep the others waiting. */
function echo(socket: SyncSocket): boolean {
  try {
    const length = socket.read(buffer);
    socket.write(buffer.subarray(0, length), { timeout: 1000 });
    return length > 0;
  } catch {
    return false;
  }
}

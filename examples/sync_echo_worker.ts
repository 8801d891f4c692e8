/** The thread of the blocking echo server: it has no use for an event loop. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveEcho } from './sync_echo.js';
import { threadId } from './support/threads.js';

export interface SyncEchoTask {
  readonly port: number;
}

try {
  serveEcho((workerData as SyncEchoTask).port, () => parentPort?.postMessage(threadId()));
} catch (error) {
  if ((error as NodeJS.ErrnoException).code !== 'ERR_TCP_SERVER_CLOSED') throw error;
}

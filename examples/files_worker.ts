/** The thread of the file server: it waits for MemNet, and for nothing else. */
import { parentPort, workerData } from 'node:worker_threads';
import { serveFiles } from './files.js';
import { threadId } from './support/threads.js';

export interface FilesTask {
  readonly root: string;
  readonly port: number;
  /** One word, which counts the requests. */
  readonly requests: Int32Array;
}

const { root, port, requests } = workerData as FilesTask;
await serveFiles(root, port, () => parentPort?.postMessage(threadId()), () => { requests[0]!++; });

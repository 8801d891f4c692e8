/** A thread of a run: its shares, one after another. */
import { parentPort, workerData } from 'node:worker_threads';
import { runShare } from './run.js';
import type { Share } from './run.js';
import { targetOf } from './targets.js';

const { shares, progress } = workerData as { shares: Share[]; progress: Int32Array };
for (const share of shares) parentPort!.postMessage(runShare(targetOf(share.target), share, progress));

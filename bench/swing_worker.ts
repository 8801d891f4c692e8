/** The other thread of swing.ts. */
import { parentPort } from 'node:worker_threads';
import { swingBack } from './swing.js';

parentPort?.once('message', swingBack);

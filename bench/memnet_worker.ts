/**
 * A thread that serves over MemNet and waits itself, so that its event loop has next to no turn while it serves: a worker, or the main thread
 * where that runs the TCP server.
 */
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { GCProfiler } from 'node:v8';
import { Worker, isMainThread, parentPort, workerData } from 'node:worker_threads';
import { threadId } from '../examples/support/threads.js';
import { MemNet } from '../lib/memnet.js';
import { serve } from './memnet_apps.js';
import type { Control } from './server.js';

interface WaitingData {
  readonly app: string;
  readonly port: number;
  /** One word: how many times the worker was told to begin to count collections, or to end it. */
  readonly told: Int32Array;
}

/** How long the thread waits at most before it looks whether it was told something, ms. */
const LOOK_MS = 50;
/** Batches of events between two turns of the main thread's event loop. */
const BATCHES = 5000;

export async function startWaiting(app: string, port: number): Promise<{ thread: number; control: Control }> {
  const told = new Int32Array(new SharedArrayBuffer(4));
  const data: WaitingData = { app, port, told };
  const worker = new Worker(fileURLToPath(import.meta.url), { workerData: data });
  const [thread] = await once(worker, 'message') as [number];
  const tell = async (): Promise<number> => {
    const answer = once(worker, 'message') as Promise<[number]>;
    Atomics.add(told, 0, 1);
    return (await answer)[0];
  };
  return { thread, control: { begin: async () => void await tell(), end: tell } };
}

async function wait({ app, port, told }: WaitingData): Promise<void> {
  const memnet = new MemNet();
  const take = serve(app);
  await memnet.listen({ port });
  parentPort?.postMessage(threadId());
  let profiler: GCProfiler | null = null;
  for (let heard = 0; memnet.alive; ) {
    if (memnet.wait(LOOK_MS)) take(memnet.events);
    if (heard === told[0]) continue;
    heard++;
    if (profiler === null) {
      profiler = new GCProfiler();
      profiler.start();
      parentPort?.postMessage(0);
    } else {
      parentPort?.postMessage(profiler.stop().statistics.length);
      profiler = null;
    }
  }
}

/** Serves in the main thread, until the TCP server ends. */
export async function waitHere(app: string, port: number, onListening: () => void): Promise<void> {
  const memnet = new MemNet();
  const take = serve(app);
  await memnet.listen({ port });
  onListening();
  while (memnet.alive) {
    for (let batch = 0; batch < BATCHES && memnet.wait(LOOK_MS); batch++) take(memnet.events);
    await setImmediate();
  }
}

if (!isMainThread) await wait(workerData as WaitingData);

/** `npm start -- --net kernel`: the same app on the same network over kernel TCP, to compare with. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import type { KernelReport } from './kernel_server.js';
import { startMonitor } from './monitor.js';
import type { Network } from './network.js';
import type { StartOptions } from './options.js';

export interface KernelServing {
  /** All servers listen: what to tell. */
  readonly onListening: (url: string, threads: string) => { kill(): void } | null;
  readonly stopped: Promise<void>;
}

/** Serves until `stopped`. */
export async function serveOverKernel(options: StartOptions, network: Network, { onListening, stopped }: KernelServing): Promise<void> {
  await network.setKernelOwnsAddress(true);
  const program = fileURLToPath(new URL('./kernel_server.js', import.meta.url));
  const child = spawn('ip', [
    'netns', 'exec', network.namespace,
    process.execPath, program, String(options.workers), String(options.port), network.serverAddress,
  ], { stdio: ['ignore', 'inherit', 'inherit', 'ipc'], detached: true });

  /** By pid: the requests of a process that died stay counted. */
  const requests = new Map<number, number>();
  const names = new Set<string>();
  const monitor = startMonitor(() => [...requests.values()].reduce((sum, count) => sum + count, 0));
  let client: { kill(): void } | null = null;
  child.on('message', ({ name, pid, requests: count }: KernelReport) => {
    if (!requests.has(pid)) monitor.add({ name, pid, thread: pid });
    requests.set(pid, count);
    if (names.has(name)) return;
    if (names.add(name).size === Math.max(1, options.workers)) {
      client = onListening(`http://${network.serverAddress}:${options.port}/`, monitor.describe());
    }
  });
  const exited = once(child, 'exit');
  const ended = await Promise.race([stopped.then(() => null), exited]);
  monitor.stop()
  ;(client as { kill(): void } | null)?.kill();
  if (ended !== null) throw new Error('the server over kernel TCP ended by itself');
  child.disconnect();
  await exited;
}

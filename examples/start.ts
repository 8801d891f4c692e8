/**
 * `npm start`: builds a small network, starts the TCP server on one end of it and serves examples/http.ts there, or the
 * same app over kernel TCP, or runs another example. Prints the URL, the threads with their CPUs, and a live line.
 */
import { spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:http';
import { resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { serveEcho } from './echo.js';
import type { FilesTask } from './files_worker.js';
import type { SyncEchoTask } from './sync_echo_worker.js';
import { app } from './http.js';
import { startPool } from './pool.js';
import { SERVERS, isClient, isServer, serveExample, serveOnKernel, startClient } from './support/apps.js';
import type { ClientName } from './support/apps.js';
import { serveOverKernel } from './support/kernel.js';
import { startMonitor } from './support/monitor.js';
import type { Monitor } from './support/monitor.js';
import { mayMakeNetworks, openNetwork } from './support/network.js';
import type { Network } from './support/network.js';
import { HELP, readOptions } from './support/options.js';
import type { StartOptions } from './support/options.js';
import { threadId } from './support/threads.js';
import { TcpServer, listen } from '../lib/index.js';
import type { TcpServerOptions } from '../lib/index.js';
import type { Pool, PoolWorker } from '../lib/pool.js';

/** Set in the process that runs in a user namespace of its own. */
const ISOLATED = 'TCP_OFFLOAD_ISOLATED';
const ENDING = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

try {
  await main();
} catch (error) {
  process.stderr.write(`${(error as Error).message}\n`);
  process.exitCode = 1;
}

async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  if (options.help) process.stdout.write(HELP);
  else if (options.device !== null || mayMakeNetworks()) await run(options);
  else if (options.app !== 'http') throw new Error(`--app ${options.app} needs root: without it only the built-in client reaches the server, and that asks for http`);
  else await isolate();
}

async function run(options: StartOptions): Promise<void> {
  const network = options.device === null ? await openNetwork() : null;
  const stopped = stopSignal();
  try {
    if (options.net === 'offload') await serve(options, network, stopped);
    else {
      await serveOverKernel(options, network as Network, {
        stopped,
        onListening: (url, threads) => announce('http', 'kernel TCP', url, threads),
      });
    }
  } finally {
    network?.close();
  }
}

/** The app over the TCP server, until the signal. */
async function serve(options: StartOptions, network: Network | null, stopped: Promise<void>): Promise<void> {
  const { app: name, port, workers } = options;
  const server = await TcpServer.start({
    ...place(options, network),
    thread: options.thread,
    servers: options.servers,
    cpu: options.cpu ?? 'auto',
    pcap: options.pcap,
    fault: options.loss === 0 ? null : { loss: options.loss },
  });
  const requests = new Int32Array(new SharedArrayBuffer(4 * Math.max(1, workers)));
  const connections = (): number => server.counters.TcpPassiveOpens;
  const monitor = startMonitor(name === 'sync_echo' ? connections : () => requests.reduce((sum, count) => sum + count, 0));
  const addServer = (): void => {
    for (const { threadId } of server.statuses) monitor.add({ name: 'TCP server', pid: process.pid, thread: threadId });
  };
  let pool: Pool | null = null;
  let endClient: (() => Promise<void>) | null = null;
  try {
    let url = `${schemeOf(name)}://${server.address.includes(':') ? `[${server.address}]` : server.address}:${port}/`;
    if (workers > 0) {
      addServer();
      pool = await servePool(port, workers, requests, monitor);
    } else if (isClient(name)) {
      monitor.add({ name: 'app', pid: process.pid, thread: threadId() });
      addServer();
      ({ url, end: endClient } = await askOver(name, options, network, requests, monitor));
    } else {
      const thread = await serveHere(options, requests);
      monitor.add({ name: thread === server.threadId ? 'app, TCP server' : 'app', pid: process.pid, thread });
      if (thread !== server.threadId) addServer();
    }
    const place = server.threadId === threadId() ? 'the main thread' : 'a thread of its own';
    const client = announce(name, `a TCP server in ${place}`, url, monitor.describe());
    await stopped;
    client?.kill();
  } finally {
    monitor.stop();
    await endClient?.();
    await pool?.close();
    await server.close();
  }
}

/** Which interface the TCP server has, and its address there. */
function place(options: StartOptions, network: Network | null): TcpServerOptions {
  if (network !== null) {
    const { serverInterface, namespace, serverAddress, prefix, hostAddress } = network;
    return { device: `packet:${serverInterface}`, netns: namespace, address: `${serverAddress}/${prefix}`, gateway: hostAddress };
  }
  const { spec = '', address = [], gateway = null } = options.device ?? {};
  return { device: spec, address, gateway };
}

/** The app in the main thread, or in one of its own. @returns the kernel's number of that thread. */
async function serveHere({ app: name, root, port }: StartOptions, requests: Int32Array): Promise<number> {
  const count = (): void => { requests[0]!++; };
  if (name === 'files') return startWorker('files_worker', { root: resolve(root), port, requests });
  if (name === 'sync_echo') return startWorker('sync_echo_worker', { port });
  if (name === 'echo') await serveEcho(port, count);
  else if (isServer(name)) await serveExample(name, port, count);
  else await serveHttp(port, count);
  return threadId();
}

/** A thread of its own, which ends with the TCP server. */
async function startWorker(program: string, task: FilesTask | SyncEchoTask): Promise<number> {
  const worker = new Worker(new URL(`./${program}.js`, import.meta.url), { workerData: task });
  const [thread] = await once(worker, 'message') as [number];
  return thread;
}

async function serveHttp(port: number, onRequest: () => void): Promise<void> {
  const server = createServer((request, response) => {
    onRequest();
    app(request, response);
  });
  listen(server, { port });
  await new Promise<void>((done, reject) => server.once('listening', done).once('error', reject));
}

/** A client asks the URL it was given, or a server of the kernel's at the other end of the network. */
async function askOver(
  name: ClientName, { url: given, port }: StartOptions, network: Network | null, requests: Int32Array, monitor: Monitor,
): Promise<{ url: string; end: () => Promise<void> }> {
  const kernel = given === null ? await serveOnKernel((network as Network).hostAddress, port) : null;
  const url = given ?? (kernel as { url: string }).url;
  const end = await startClient(name, url, (error) => {
    if (error === null) requests[0]!++;
    else monitor.say(`${url}: ${error.message}`);
  });
  return { url, end: () => end().finally(() => kernel?.close()) };
}

async function servePool(port: number, workers: number, requests: Int32Array, monitor: Monitor): Promise<Pool> {
  const watch = ({ index, threadId: thread }: PoolWorker): void => monitor.add({ name: `app ${index}`, pid: process.pid, thread });
  const pool = await startPool(workers, port, requests);
  pool.workers.forEach(watch);
  pool.on('online', watch);
  pool.on('exit', ({ index }: PoolWorker, error: Error | null) => {
    if (error !== null) monitor.say(`app ${index} died and is replaced: ${error.message}`);
  });
  return pool;
}

function schemeOf(name: StartOptions['app']): string {
  if (isServer(name)) return SERVERS[name].scheme;
  return name.endsWith('echo') ? 'tcp' : 'http';
}

/** How a person tries what is served. */
function attempt(name: StartOptions['app'], url: string): string {
  if (isServer(name)) return `Try: ${SERVERS[name].attempt} ${url}.`;
  if (name.endsWith('echo')) return `Try: nc ${new URL(url).host.replace(':', ' ')}.`;
  return `Try: curl ${url}, or wrk -c64 ${url}, or open it in a browser.`;
}

function announce(name: StartOptions['app'], tcp: string, url: string, threads: string): { kill(): void } | null {
  const file = `examples/${name}.ts`;
  process.stdout.write(isClient(name) ? `Asking ${url} with ${file} over ${tcp}\n${threads}` : `Serving ${file} over ${tcp}: ${url}\n${threads}`);
  if (!isIsolated()) {
    process.stdout.write(`${isClient(name) ? '' : `${attempt(name, url)} `}Ctrl-C ends it.\n`);
    return null;
  }
  process.stdout.write('Without root it runs in a user namespace of its own: only the built-in client reaches it. Ctrl-C ends it.\n');
  return spawn(process.execPath, [fileURLToPath(new URL('./support/client.js', import.meta.url)), url], { stdio: ['pipe', 'inherit', 'inherit'] });
}

/** Runs this program again where it may make networks: in user, network and mount namespaces of its own. */
async function isolate(): Promise<void> {
  const namespaces = ['--user', '--map-root-user', '--net', '--mount'];
  const { status, error } = spawnSync('unshare', [...namespaces, 'true'], { stdio: 'ignore' });
  if (error !== undefined) throw new Error('without root this needs the command unshare: install the package util-linux');
  if (status !== 0) {
    throw new Error(process.getuid?.() === 0
      ? 'this root lacks CAP_NET_ADMIN, CAP_NET_RAW or CAP_SYS_ADMIN (docker run: --privileged), and may not make a user namespace either'
      : 'without root this needs user namespaces, which this system does not allow: run it as root (sudo npm start)');
  }

  // `ip netns` keeps its names in /run, which belongs to the real root.
  const inside = 'mount -t tmpfs tmpfs /run && exec "$0" "$@"';
  const program = [process.execPath, fileURLToPath(import.meta.url), ...process.argv.slice(2)];
  const child = spawn('unshare', [...namespaces, 'sh', '-c', inside, ...program], { stdio: 'inherit', env: { ...process.env, [ISOLATED]: '1' } });
  for (const signal of ENDING) process.on(signal, () => child.kill(signal));
  const [code] = await once(child, 'exit') as [number | null];
  process.exitCode = code ?? 1;
}

function isIsolated(): boolean {
  return process.env[ISOLATED] === '1';
}

function stopSignal(): Promise<void> {
  return new Promise((resolve) => {
    for (const signal of ENDING) process.once(signal, () => resolve());
  });
}

/**
 * What a thread of a pool runs (lib/pool.ts): the app's module, and the thread's end without a lost connection.
 *
 * The piscina task that `serve` is settles when the thread has drained. A thread drains in this order: the TCP server gives its listeners
 * no new connection, and what was given before is taken; http responses say `Connection: close`; connections that rest are closed; the
 * others go on to their end.
 */
import { subscribe, tracingChannel } from 'node:diagnostics_channel';
import { once } from 'node:events';
import type { Server as HttpServer, IncomingMessage, ServerResponse } from 'node:http';
import type { AddressInfo, Server } from 'node:net';
import { setTimeout } from 'node:timers/promises';
import type { MessagePort } from 'node:worker_threads';
import { useDistribution } from './attachment.js';
import type { Listener } from './net_listener.js';
import type { ListenOptions } from './net_server.js';
import type { Socket } from './net_socket.js';
import { ownThreadId } from './runtime/app_attach.js';
import type { ServerHandle } from './runtime/config.js';
import type { Distribution } from './runtime/messages.js';
import { attach, leaveInherited } from './server.js';

/** What the function that a pool's module exports as its default is called with. */
export interface PoolContext<Data = unknown> {
  /** Number of the worker, from 0; the thread that follows one that has ended has the same. */
  readonly index: number;
  /** What to listen on: goes to `listen(server, context.listen)` or `server.listen(context.listen)` as it is. */
  readonly listen: ListenOptions;
  /** A copy of the option `data`; shared memory in it is shared. */
  readonly data: Data;
  /** Aborted when the thread begins to drain: the time to take leave of long-lived connections such as WebSockets. */
  readonly draining: AbortSignal;
}

/** What `serve` is started with. */
export interface PoolTask {
  readonly module: string;
  readonly index: number;
  /** The TCP server. */
  readonly handle: ServerHandle;
  readonly listen: ListenOptions;
  readonly distribution: Distribution;
  readonly data: unknown;
  /** One word: the connections that the thread holds. */
  readonly connections: Int32Array;
  /** Tells once of PoolThreadOnline; a message from the other side asks to drain. */
  readonly port: MessagePort;
  /** ms */
  readonly drainTimeout: number;
}

/** The thread listens. */
export interface PoolThreadOnline {
  readonly threadId: number;
  readonly address: AddressInfo;
}

/** A connection without a byte in this time may be closed; ms. Long beside the way of a request that has left its client already. */
const IDLE_MS = 1000;

const servers = new Set<Server>();
const sockets = new Set<Socket>();

/** Settles once the thread has drained, or all its servers are closed. */
export default async function serve(task: PoolTask): Promise<void> {
  const leaving = new AbortController();
  attach(task.handle);
  useDistribution(task.distribution);
  watchSockets(task.connections);
  const ended = watchServers(leaving.signal);
  const asked = once(task.port, 'message');
  const { default: begin } = (await import(task.module)) as { default?: unknown };
  if (typeof begin !== 'function') throw new TypeError(`${task.module} must export a function as its default: it is called in every worker of the pool`);
  const address = listening();
  await (begin as (context: PoolContext) => unknown)({ index: task.index, listen: task.listen, data: task.data, draining: leaving.signal });
  task.port.postMessage({ threadId: ownThreadId(), address: await address } satisfies PoolThreadOnline);
  await Promise.race([asked, ended]);
  leaving.abort();
  await Promise.race([Promise.all([...servers].map(drain)), setTimeout(task.drainTimeout, undefined, { ref: false })]);
  leaveInherited();
}

function watchSockets(connections: Int32Array): void {
  subscribe('net.server.socket', (message) => {
    const { socket } = message as { socket: Socket };
    connections[0] = sockets.add(socket).size;
    socket.once('close', () => {
      sockets.delete(socket);
      connections[0] = sockets.size;
    });
  });
}

/** Follows the servers that listen on the TCP server. Fulfilled when the last of them is closed by itself. */
function watchServers(leaving: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    tracingChannel('net.server.listen').asyncEnd.subscribe((message) => {
      const { server } = message as { server: Server };
      servers.add(server);
      server.once('close', () => {
        servers.delete(server);
        if (servers.size === 0 && !leaving.aborted) resolve();
      });
    });
  });
}

/** Where the first server listens that does. */
function listening(): Promise<AddressInfo> {
  return new Promise((resolve) => {
    tracingChannel('net.server.listen').asyncEnd.subscribe((message) => {
      const { server } = message as { server: Server };
      server.once('listening', () => resolve(server.address() as AddressInfo));
    });
  });
}

/** Closes a server; fulfilled when every connection of it has come to its end. */
async function drain(server: Server): Promise<void> {
  const closed = once(server, 'close');
  server.prependListener('request', sayClose as never);
  await (server as unknown as { _handle: Listener | null })._handle?.drain();
  if (!('closeIdleConnections' in server)) {
    server.close();
    await closed;
    return;
  }
  // Who sends a request is answered with `Connection: close`, so that in the end all that is left rests.
  closeResting(server as HttpServer);
  const timer = setInterval(() => closeResting(server as HttpServer), IDLE_MS);
  await closed;
  clearInterval(timer);
}

function sayClose(_request: IncomingMessage, response: ServerResponse): void {
  response.shouldKeepAlive = false;
}

const readAtLastLook = new WeakMap<Server, number>();

/** Closes the connections that no request is under way on, where none of the server's has brought a byte since the last look. */
function closeResting(server: HttpServer): void {
  const own = [...sockets].filter((socket) => (socket as unknown as { server: Server }).server === server);
  const read = own.reduce((sum, socket) => sum + socket.bytesRead, 0);
  const rests = readAtLastLook.get(server) === read && own.every((socket) => socket.writableLength === 0);
  readAtLastLook.set(server, read);
  if (own.length > 0 && !rests) return;
  // Again, where it was closed before or its listener has failed: it closes the connections that rest, and tells where none is left.
  server.close();
  // To Node a connection that has never brought anything counts as one with a request under way.
  for (const socket of own) if (socket.bytesRead === 0) socket.destroy();
}

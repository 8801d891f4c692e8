/** Puts Node's own `http` and `https` servers on the TCP server. */
import { createServer } from 'node:http';
import type { Server as HttpServer, RequestListener } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Server as NodeServer } from 'node:net';
import { alreadyListening } from './errors.js';
import type { ListenOwner } from './net_listener.js';
import { closeOnAbort, listenArguments, listenAt } from './net_server.js';
import type { ListenOptions } from './net_server.js';

/** What Node's servers count by, for lookups that a `close` or another `listen` outdates. */
interface NodeServerInternals {
  _listeningId: number;
  _handle: unknown;
}

const offloaded = new WeakSet<NodeServer>();

/**
 * Makes `server.listen` listen on the TCP server of the thread that calls it, and returns the server. All else of it stays
 * Node's: its events, `close`, `address`, `ref`, timeouts, `maxConnections`. It serves where something else calls `listen`, as
 * with Fastify: `fastify({ serverFactory: (handler) => offload(http.createServer(handler)) })`.
 *
 * @param server an `http.Server`, `https.Server`, or another server of Node's `net` or `tls`, that does not listen yet.
 */
export function offload<S extends NodeServer>(server: S): S {
  replaceListen(server);
  return server;
}

function replaceListen(server: NodeServer): void {
  if (offloaded.has(server)) return;
  offloaded.add(server);
  const owner = server as unknown as ListenOwner & NodeServerInternals & NodeServer;
  const listenOffloaded = (...args: unknown[]): NodeServer => {
    if (owner._handle) throw alreadyListening();
    const place = listenArguments(args);
    const call = ++owner._listeningId;
    listenAt(owner, place, () => call === owner._listeningId);
    if (place.listener !== null) owner.once('listening', place.listener);
    closeOnAbort(owner, place.signal);
    return server;
  };
  server.listen = listenOffloaded as NodeServer['listen'];
}

/**
 * Has an HTTP server listen on the TCP server of this thread: `listen(http.createServer(app), { port: 8080 })`.
 *
 * 'listening' and `listener` follow; what goes wrong later is an 'error' of the server (EADDRINUSE, EADDRNOTAVAIL).
 *
 * @param target an `http.Server` or `https.Server`; or a request listener, such as an Express app, for a plain `http.Server`.
 * @param options where; default: a port that is free, on every address.
 * @returns the server, whose `close()` and `address()` are as ever.
 * @throws TypeError, RangeError where an option is not as it must be; TcpServerError where this thread has no TCP server.
 */
export function listen<S extends HttpServer | HttpsServer | NodeServer>(target: S, options?: ListenOptions, listener?: () => void): S;
export function listen(target: RequestListener, options?: ListenOptions, listener?: () => void): HttpServer;
export function listen(target: NodeServer | RequestListener, options: ListenOptions = {}, listener?: () => void): NodeServer {
  const server = typeof target === 'function' ? createServer(target) : target;
  const place = { ...options, port: options.port ?? 0 };
  return offload(server).listen(place as Parameters<NodeServer['listen']>[0] & object, listener);
}

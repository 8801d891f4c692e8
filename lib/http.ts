/** Puts Node's own `http` and `https` servers on the TCP server. */
import { createServer } from 'node:http';
import type { Server as HttpServer, RequestListener } from 'node:http';
import type { Server as HttpsServer } from 'node:https';
import type { Server as NodeServer } from 'node:net';
import { isTcpPlace, listenOnTcpServer } from './net_listen.js';
import type { ListenPlace, ListeningServer } from './net_listen.js';
import type { ListenOptions } from './net_server.js';

/**
 * Makes `server.listen` listen on the TCP server of the thread that calls it, and returns the server. All else of it stays
 * Node's: its events, `close`, `address`, `ref`, timeouts, `maxConnections`. It serves where something else calls `listen`, as
 * with Fastify: `fastify({ serverFactory: (handler) => offload(http.createServer(handler)) })`.
 *
 * @param server an `http.Server`, `https.Server`, or another server of Node's `net` or `tls`, that does not listen yet.
 */
export function offload<S extends NodeServer>(server: S): S {
  (server as unknown as ListeningServer)._listen2 = listenOffloaded;
  return server;
}

function listenOffloaded(this: ListeningServer, ...place: ListenPlace): void {
  if (isTcpPlace(this, place)) listenOnTcpServer(this, place);
  // A path or a descriptor is the kernel's.
  else (Object.getPrototypeOf(this) as ListeningServer)._listen2.apply(this, place);
}

/**
 * Has an HTTP server listen on the TCP server of this thread: `listen(http.createServer(app), { port: 8080 })`.
 *
 * 'listening' and `listener` follow; what goes wrong later is an 'error' of the server (EADDRINUSE, EADDRNOTAVAIL).
 *
 * @param target an `http.Server` or `https.Server`; or a request listener, such as an Express app, for a plain `http.Server`.
 * @param options where; default: a port that is free, on every address.
 * @returns the server, whose `close()` and `address()` are as ever.
 * @throws TypeError, RangeError where an option is not as it must be; TcpServerError where this thread can have no TCP server.
 */
export function listen<S extends HttpServer | HttpsServer | NodeServer>(target: S, options?: ListenOptions, listener?: () => void): S;
export function listen(target: RequestListener, options?: ListenOptions, listener?: () => void): HttpServer;
export function listen(target: NodeServer | RequestListener, options: ListenOptions = {}, listener?: () => void): NodeServer {
  const server = typeof target === 'function' ? createServer(target) : target;
  const place = options.path === undefined ? { ...options, port: options.port ?? 0 } : { ...options };
  return offload(server).listen(place as Parameters<NodeServer['listen']>[0] & object, listener);
}

/** `Server`: Node's own, which listens on the TCP server and emits a `Socket` for each connection. */
import type { EventEmitter } from 'node:events';
import type { AddressInfo } from 'node:net';
import { isTcpPlace, listenOnTcpServer } from './net_listen.js';
import type { ListenPlace, ListeningServer } from './net_listen.js';
import { carriesListen } from './net_rules.js';
import { inheritFrom } from './net_socket.js';
import type { Socket } from './net_socket.js';
import { checkTcpOptions } from './net_socket_settings.js';
import type { TcpOptions } from './net_socket_settings.js';
import { NodeServer } from './node_own.js';
import type { Distribution } from './runtime/messages.js';

/** Options of `new Server`; each holds for every socket that it accepts. */
export interface ServerOptions extends TcpOptions {
  /** Keep this side open when the peer ends its own. Default false. */
  allowHalfOpen?: boolean;
  /** Sockets come paused: nothing is read before `resume`. Default false. */
  pauseOnConnect?: boolean;
  /** Bytes that the streams buffer each way. Default: Node's. */
  highWaterMark?: number;
}

/** Options of `listen`. */
export interface ListenOptions {
  /** 0 to 65535. Default 0: the TCP server chooses one that is free. */
  port?: number | string | null;
  /** Name or address; '0.0.0.0' for every IPv4 address. Default '::': every address that the TCP server has, of both families. */
  host?: string;
  /** With '::', take IPv6 alone. Default false. */
  ipv6Only?: boolean;
  /** Connections that may wait for this thread, half-open ones included. Default 511. */
  backlog?: number;
  /** Closes the server when aborted. */
  signal?: AbortSignal;
  /** A Unix domain socket, which the kernel carries, in place of a port. */
  path?: string;
}

/** What an accepted socket brings to its server's events, beside what every emitter has. */
interface ServerEvents {
  on(event: 'connection', listener: (socket: Socket) => void): this;
  on(event: string | symbol, listener: (...args: never[]) => void): this;
  once(event: 'connection', listener: (socket: Socket) => void): this;
  once(event: string | symbol, listener: (...args: never[]) => void): this;
  emit(event: string | symbol, ...args: unknown[]): boolean;
}

/** What is Node's own of a server, in the types of this package. */
interface ServerMethods {
  /** Connections beyond this number are dropped; left out: no bound but the TCP server's. */
  maxConnections?: number;
  /** Whether connections beyond `maxConnections` are refused in a cluster too, as in Node. */
  dropMaxConnection?: boolean;
  /**
   * Which of the threads that listen on one address and port gets a connection; set before `listen`, to the same in all of them, else it is
   * EINVAL. 'least-connections': the one that holds the fewest. 'round-robin': each in its turn. 'source-hash': for one remote address
   * always the same, as long as these threads stay the same. Default 'least-connections'.
   */
  distribution?: Distribution;
  readonly listening: boolean;
  /**
   * Listens: `listen(port?, host?, backlog?, listener?)`, `listen(options, listener?)`, or `listen(path, backlog?, listener?)` for a Unix
   * domain socket. The listener is called at 'listening'.
   *
   * @throws TypeError, RangeError where an argument is not as it must be; ERR_SERVER_ALREADY_LISTEN; TcpServerError where this
   *   thread can have no TCP server.
   */
  listen(port?: number | string | null, host?: string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string | null, host?: string, listener?: () => void): this;
  listen(port?: number | string | null, backlog?: number, listener?: () => void): this;
  listen(port?: number | string | null, listener?: () => void): this;
  listen(options: ListenOptions, listener?: () => void): this;
  listen(listener?: () => void): this;
  /**
   * Stops listening. 'close' follows once every connection has ended.
   *
   * @param callback called at 'close'; with ERR_SERVER_NOT_RUNNING where the server does not listen.
   */
  close(callback?: (error?: Error) => void): this;
  /** Where the server listens; null where it does not. The port that was chosen for 0 is known at once, as in Node. */
  address(): AddressInfo | null;
  /** Tells the number of open connections. */
  getConnections(callback: (error: Error | null, count: number) => void): this;
  /** Lets the server keep the process alive: the default. */
  ref(): this;
  /** Lets the process end though the server listens. */
  unref(): this;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A server for TCP connections: `node:net`'s `Server`, on the TCP server of this thread.
 *
 * Events: 'listening', 'connection', 'drop' (more than `maxConnections`), 'error' (EADDRINUSE, EADDRNOTAVAIL), 'close' once it
 * no longer listens and every connection has ended. Several threads may listen on one port: `distribution` says which gets a connection.
 */
export interface Server extends ServerMethods, ServerEvents, Omit<EventEmitter, keyof ServerEvents> {}

/** `new Server(options, listener)`, `Server(options, listener)`, or `Server.call(this, options, listener)` in a constructor. */
export interface ServerConstructor {
  new (listener?: (socket: Socket) => void): Server;
  new (options?: ServerOptions | null, listener?: (socket: Socket) => void): Server;
  (listener?: (socket: Socket) => void): Server;
  (options?: ServerOptions | null, listener?: (socket: Socket) => void): Server;
  readonly prototype: Server;
}

type Given = ServerOptions | ((socket: Socket) => void) | null;

export const Server = function Server(this: unknown, options?: Given, listener?: (socket: Socket) => void): Server | void {
  if (!(this instanceof NodeServer)) return new ServerClass(options as ServerOptions, listener);
  Reflect.apply(NodeServer, this, [options, listener]);
  const given = typeof options === 'object' && options !== null ? options : {};
  checkTcpOptions(given);
  const { keepAliveInterval = 0, keepAliveCount = 0, userTimeout = 0, typeOfService = 0 } = given;
  Object.assign(this, { keepAliveInterval, keepAliveCount, userTimeout, typeOfService });
  // One that inherits from Node's, and not from this one, has to be told.
  if (!(this instanceof ServerClass)) (this as ListeningServer)._listen2 = listen2;
} as unknown as ServerConstructor;

const ServerClass = Server;
const { _listen2: nodeListen2 } = NodeServer.prototype as ListeningServer;
inheritFrom(Server, NodeServer, Object.create(NodeServer.prototype, {
  _listen2: { value: listen2, writable: true, enumerable: false, configurable: true },
}) as object);

/** What a server's `_listen2` is: on the TCP server listens what is TCP and what the rules give it, all else on the kernel. */
export function listen2(this: ListeningServer, ...place: ListenPlace): void {
  if (isTcpPlace(this, place) && carriesListen(place[0] ?? '::', place[1])) listenOnTcpServer(this, place);
  else nodeListen2.apply(this, place);
}

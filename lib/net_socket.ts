/** `Socket` as its users make it: with `new` and without, and below constructors that inherit from it. */
import { Duplex } from 'node:stream';
import type { SocketOptions } from './net_connect.js';
import type { OnRead } from './net_flow.js';
import { checkTcpOptions } from './net_socket_settings.js';
import { SocketStream } from './net_socket_stream.js';
import type { AcceptOptions, SocketServer } from './net_socket_stream.js';
import { NodeSocket } from './node_own.js';

function isOnRead(value: unknown): value is OnRead {
  if (typeof value !== 'object' || value === null) return false;
  const { buffer, callback } = value as Partial<OnRead>;
  return (buffer instanceof Uint8Array || typeof buffer === 'function') && typeof callback === 'function';
}

/**
 * A TCP connection: `node:net`'s `Socket`, carried by the TCP server of this thread. What is not TCP, a path or a descriptor, and what the
 * rules of `tcp-offload/register` leave to the kernel, is carried as ever.
 *
 * Events: 'lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'connect', 'ready', 'data', 'end', 'drain',
 * 'finish', 'timeout', 'error', 'close' (with whether there was an error). Errors carry Node's codes: ECONNREFUSED, ECONNRESET, ETIMEDOUT,
 * EPIPE, EHOSTUNREACH; and ERR_TCP_SERVER_DIED where the TCP server ended.
 */
export interface Socket extends SocketStream {}

/** `new Socket(options)`, `Socket(options)`, or `Socket.call(this, options)` in a constructor whose instances inherit from it. */
export interface SocketConstructor {
  new (options?: SocketOptions): Socket;
  (options?: SocketOptions): Socket;
  readonly prototype: Socket;
}

export const Socket = function Socket(this: unknown, options?: SocketOptions): Socket | void {
  if (!(this instanceof NodeSocket)) return new SocketClass(options);
  const given = typeof options === 'object' && options !== null ? options : {};
  // Before Node's constructor, which may read and destroy. One of Node's own, such as a TLSSocket, needs nothing more.
  const ours = this instanceof SocketStream;
  if (ours) this._initialise(given, isOnRead(given.onread) ? given.onread : null);
  Reflect.apply(NodeSocket, this, options === undefined ? [] : [options]);
  if (ours) checkTcpOptions(given);
} as unknown as SocketConstructor;

const SocketClass = Socket;
inheritFrom(Socket, NodeSocket, SocketStream.prototype);

// Sockets of Node's own, such as those of TLS and of terminals, count as well: who asks means any of them.
Object.defineProperty(Socket, Symbol.hasInstance, {
  value(this: unknown, value: unknown): boolean {
    return this === Socket ? value instanceof NodeSocket : Function.prototype[Symbol.hasInstance].call(this, value);
  },
});

/** Makes a function a constructor like the classes of Node that came before classes: callable, with an open prototype. */
export function inheritFrom(constructor: object, parent: object, prototype: object): void {
  Object.setPrototypeOf(constructor, parent);
  Object.defineProperty(constructor, 'prototype', { value: prototype, writable: true, enumerable: false, configurable: false });
  Object.defineProperty(prototype, 'constructor', { value: constructor, writable: true, enumerable: false, configurable: true });
}

/** The socket of an accepted connection: as `Socket`, but for what Node's constructor does for sockets that the kernel may carry. */
const AcceptedSocket = function Socket(this: SocketStream, options: AcceptOptions, server: SocketServer): void {
  Reflect.apply(Duplex, this, [{
    allowHalfOpen: options.allowHalfOpen,
    readableHighWaterMark: options.highWaterMark,
    writableHighWaterMark: options.highWaterMark,
    // 'close' is the socket's own: it says whether there was an error.
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  }]);
  this._initialiseAccepted(server);
  this._initialise(options, null, options.keepAliveInitialDelay);
} as unknown as new (options: AcceptOptions, server: SocketServer) => Socket;

Object.defineProperty(AcceptedSocket, 'prototype', { value: SocketStream.prototype });

/** The socket for a connection that a listener has accepted. */
export function acceptedSocket(options: AcceptOptions, server: SocketServer): Socket {
  return new AcceptedSocket(options, server);
}

/**
 * TLS and HTTP/2 over sockets of the TCP server. Node puts them on any stream, in a wrap that passes for a socket with a handle, and asks
 * that handle for addresses and settings; where the stream is a socket of the TCP server it is made to answer.
 */
import tls from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { isIP } from 'node:net';
import { netArguments } from './net_connect.js';
import type { ConnectOptions } from './net_connect.js';
import { carriesConnect } from './net_rules.js';
import { Socket } from './net_socket.js';
import { SocketStream } from './net_socket_stream.js';
import { NodeSocket } from './node_own.js';
import { EPIPE } from './tcp/errno.js';

/** What wraps a stream for TLS and for HTTP/2, and what stands for a handle in it: null once it is closed. */
interface StreamWrap {
  readonly stream?: unknown;
  _handle: Record<string, unknown> | null;
  _read(size: number): void;
  doWrite(request: object, buffers: Uint8Array[]): number;
  doShutdown(request: object): number;
}

interface TlsInternals {
  connecting: boolean;
  _init(socket: unknown, wrap: StreamWrap | null): void;
}

/** Fills in the address, as the kernel's handles do. */
function report(address: object, out: object): number {
  Object.assign(out, address);
  return 0;
}

function lend(socket: SocketStream, handle: Record<string, unknown>): void {
  handle.getpeername = (out: object) => report(socket._getpeername(), out);
  handle.getsockname = (out: object) => report(socket._getsockname(), out);
  handle.setNoDelay = (on: boolean) => void socket.setNoDelay(on);
  handle.setKeepAlive = (on: boolean, seconds: number) => void socket.setKeepAlive(on, seconds * 1000);
  handle.ref = () => void socket.ref();
  handle.unref = () => void socket.unref();
}

/**
 * Has wraps refuse what TLS and HTTP/2 write once they have shut them down, as the kernel's handles do. HTTP/2 writes as late where both sides end
 * at once, and Node's own wrap takes that for a fault and ends the process.
 */
function refuseLateWrites(wraps: StreamWrap): void {
  const { doWrite, doShutdown } = wraps;
  const shutDown = new WeakSet<StreamWrap>();
  wraps.doShutdown = function (this: StreamWrap, request) {
    if (this.stream instanceof SocketStream) shutDown.add(this);
    return doShutdown.call(this, request);
  };
  wraps.doWrite = function (this: StreamWrap, request, buffers) {
    return shutDown.has(this) ? -EPIPE : doWrite.call(this, request, buffers);
  };
}

// Node does not export the class of its wraps: it is that of the first socket of Node's own that wraps one of ours, and reads as it is made.
const node = NodeSocket.prototype as unknown as StreamWrap;
const { _read: nodeRead } = node;

node._read = function _read(this: StreamWrap, size) {
  if (this.stream instanceof SocketStream) {
    node._read = nodeRead;
    refuseLateWrites(Object.getPrototypeOf(this) as StreamWrap);
  }
  return nodeRead.call(this, size);
};

const prototype = tls.TLSSocket.prototype as unknown as TlsInternals;
const { _init: nodeInit } = prototype;

prototype._init = function _init(this: TlsInternals, socket, wrap) {
  nodeInit.call(this, socket, wrap);
  if (!(socket instanceof SocketStream) || wrap === null || wrap._handle === null) return;
  lend(socket, wrap._handle);
  socket._carryTls();
  // Node takes a socket without a handle for one that has yet to connect.
  this.connecting = socket.pending;
};

/** A socket of Node's own that wraps a stream has the addresses of that, where it has any. */
for (const name of ['_getpeername', '_getsockname'] as const) {
  const wraps = NodeSocket.prototype as unknown as Record<typeof name, (this: { stream?: unknown }) => object>;
  const own = wraps[name];
  wraps[name] = function address() {
    return this.stream instanceof SocketStream ? this.stream[name]() : own.call(this);
  };
}

const { connect: nodeConnect } = tls;

/** `tls.connect` with its connection on the TCP server, where the rules give it that. */
export function connectTls(...args: unknown[]): TLSSocket {
  const { options: sorted, listener } = netArguments(args);
  const more = args.slice(1, 3).find((each) => typeof each === 'object' && each !== null);
  const options = { ...sorted, ...more } as Record<string, unknown> & ConnectionOptions;
  const host = options.host || 'localhost';
  const kernel = options.socket || options.path || (isIP(host) !== 0 && !carriesConnect(host, Number(options.port)));
  if (kernel) return (nodeConnect as (...args: unknown[]) => TLSSocket)(...args);
  const { timeout, signal: _signal, onread: _onread, ...tcp } = options;
  const socket = new Socket(tcp as object);
  const secure = nodeConnect({ ...options, socket: socket as unknown as NonNullable<ConnectionOptions['socket']> }, listener ?? undefined);
  if (timeout) secure.setTimeout(timeout);
  for (const event of ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'ready']) {
    socket.on(event, (...details: unknown[]) => secure.emit(event, ...details));
  }
  socket.connect(tcp as unknown as ConnectOptions);
  return secure;
}

/**
 * TLS and HTTP/2 over sockets of the TCP server. Node puts them on any stream, in a wrap that passes for a socket with a handle, and asks
 * that handle for addresses and settings; where the stream is a socket of the TCP server it is made to answer.
 */
import tls from 'node:tls';
import type { ConnectionOptions, TLSSocket } from 'node:tls';
import { isIP } from 'node:net';
import type { NetError } from './errors.js';
import { netArguments } from './net_connect.js';
import type { ConnectOptions } from './net_connect.js';
import { carriesConnect } from './net_rules.js';
import { Socket } from './net_socket.js';
import { SocketStream } from './net_socket_stream.js';
import { NodeSocket } from './node_own.js';
import { EPIPE } from './tcp/errno.js';

/** What stands for a handle in a wrap. */
type Handle = Record<string, unknown> & { finishWrite(request: object, status: number): void };

/** What wraps a stream for TLS and for HTTP/2. Its handle is null once it is closed. */
interface StreamWrap {
  readonly stream?: unknown;
  _handle: Handle | null;
  _read(size: number): void;
  doWrite(request: object, buffers: Uint8Array[]): number;
  finishWrite(handle: Handle, status: number): void;
  doShutdown(request: object): number;
}

/** How far a wrap is with what it writes. */
interface Writing {
  /** The write in progress. */
  request: object | null;
  /** The shutdown that waits for it. */
  shutdown: object | null;
  isShutDown: boolean;
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

const writings = new WeakMap<StreamWrap, Writing>();

function writingOf(wrap: StreamWrap): Writing {
  let writing = writings.get(wrap);
  if (writing === undefined) writings.set(wrap, writing = { request: null, shutdown: null, isShutDown: false });
  return writing;
}

/**
 * Has wraps of sockets of the TCP server write as the kernel's handles do.
 *
 * A write is done in the tick in which the socket takes it. Node's own wraps let a turn of the event loop pass after each, in which the peer may
 * answer the first part of what is to be said: it resets what comes behind that, or its reset, of which nobody would have heard, is an error.
 *
 * What is written behind a shutdown is refused. HTTP/2 does so where both sides end at once, and Node's own wraps take it for a fault and end the process.
 */
function writeAtOnce(wraps: StreamWrap): void {
  const { doWrite, finishWrite, doShutdown } = wraps;

  wraps.doWrite = function (this: StreamWrap, request, buffers) {
    const { stream: socket, _handle: handle } = this;
    if (!(socket instanceof SocketStream)) return doWrite.call(this, request, buffers);
    const writing = writingOf(this);
    if (writing.isShutDown) return -EPIPE;
    if (socket.destroyed || handle === null) return doWrite.call(this, request, buffers);
    let left = buffers.length;
    const done = (error?: Error | null): void => {
      left = error ? 0 : left - 1;
      if (left === 0 && writing.request === request) this.finishWrite(handle, error ? (error as NetError).errno ?? -EPIPE : 0);
    };
    writing.request = request;
    socket._gather();
    socket.cork();
    for (const buffer of buffers) socket.write(buffer, done);
    socket.uncork();
    return 0;
  };

  wraps.finishWrite = function (this: StreamWrap, handle, status) {
    const writing = writings.get(this);
    if (writing === undefined || writing.request === null) {
      finishWrite.call(this, handle, status);
      return;
    }
    const { request, shutdown } = writing;
    writing.request = writing.shutdown = null;
    handle.finishWrite(request, status);
    if (shutdown !== null) this.doShutdown(shutdown);
  };

  wraps.doShutdown = function (this: StreamWrap, request) {
    if (!(this.stream instanceof SocketStream)) return doShutdown.call(this, request);
    const writing = writingOf(this);
    writing.isShutDown = true;
    if (writing.request === null) return doShutdown.call(this, request);
    writing.shutdown = request;
    return 0;
  };
}

// Node does not export the class of its wraps: it is that of the first socket of Node's own that wraps one of ours, and reads as it is made.
const node = NodeSocket.prototype as unknown as StreamWrap;
const { _read: nodeRead } = node;

node._read = function _read(this: StreamWrap, size) {
  if (this.stream instanceof SocketStream) {
    node._read = nodeRead;
    writeAtOnce(Object.getPrototypeOf(this) as StreamWrap);
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

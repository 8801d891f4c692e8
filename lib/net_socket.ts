/** `Socket`: one connection as a stream, with the events, properties and errors of `node:net`'s. */
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import type { DuplexOptions } from 'node:stream';
import { currentPort } from './attachment.js';
import type { Port } from './attachment.js';
import { closedBeforeConnection, connectError, endedByPeer, invalidType, invalidValue, socketClosed } from './errors.js';
import { checkConnectOptions, findAddress, netArguments } from './net_connect.js';
import type { ConnectOptions, SocketOptions } from './net_connect.js';
import { SocketFlow } from './net_flow.js';
import type { FlowOwner, OnRead, WriteCallback, WriteEntry } from './net_flow.js';
import { SocketSettings, checkTcpOptions } from './net_socket_settings.js';
import type { TcpOptions } from './net_socket_settings.js';
import type { SocketAddress } from './net_socket_state.js';
import { IdleTimer, duration } from './net_timeout.js';
import type { Idler } from './net_timeout.js';
import type { AppFlow } from './runtime/app_api.js';

/** What an accepted socket tells its server. */
export interface SocketServer {
  _connections: number;
  _emitCloseIfDrained(): void;
}

/** What a server sets for the sockets that it accepts. */
export interface AcceptOptions extends TcpOptions {
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  /** Seconds, as Node's server keeps it. */
  keepAliveInitialDelay: number;
  highWaterMark: number;
}

/** What a stream can do beyond its documentation, and `node:net` uses. */
interface StreamInternals {
  _undestroy(): void;
  readableFlowing: boolean | null;
}

function internals(socket: Socket): StreamInternals {
  return socket as unknown as StreamInternals;
}

function emitClose(socket: Socket, link: SocketFlow, hadError: boolean): void {
  link.abandonWrite();
  socket.emit('close', hadError);
}

function emitCloseUnconnected(socket: Socket): void {
  socket.emit('close');
}

function isOnRead(value: unknown): value is OnRead {
  if (typeof value !== 'object' || value === null) return false;
  const { buffer, callback } = value as Partial<OnRead>;
  return (buffer instanceof Uint8Array || typeof buffer === 'function') && typeof callback === 'function';
}

/** Refuses what cannot be a socket's options, and gives the stream's. */
function streamOptions(options: SocketOptions): DuplexOptions {
  const modes = options as DuplexOptions;
  if (modes.objectMode) throw invalidValue('options.objectMode', modes.objectMode, 'is not supported');
  if (modes.readableObjectMode) throw invalidValue('options.readableObjectMode', modes.readableObjectMode, 'is not supported');
  if (modes.writableObjectMode) throw invalidValue('options.writableObjectMode', modes.writableObjectMode, 'is not supported');
  checkTcpOptions(options);
  return {
    ...modes,
    allowHalfOpen: Boolean(options.allowHalfOpen),
    // 'close' is the socket's own: it says whether there was an error.
    emitClose: false,
    autoDestroy: true,
    decodeStrings: false,
  };
}

/** What `write` is once the peer has ended the connection and this side was ended with it. */
function writeAfterEnd(this: Socket, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  if (!this.writableEnded) return Duplex.prototype.write.call(this, chunk, encoding as BufferEncoding, callback as WriteCallback);
  const done = typeof encoding === 'function' ? encoding : callback;
  const error = endedByPeer();
  if (typeof done === 'function') process.nextTick(done as WriteCallback, error);
  this.destroy(error);
  return false;
}

function onEnd(this: Socket): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as Socket['write'];
}

/**
 * A TCP connection: `node:net`'s `Socket`, carried by the TCP server of this thread.
 *
 * Events: 'lookup', 'connectionAttempt', 'connect', 'ready', 'data', 'end', 'drain', 'finish', 'timeout', 'error', 'close' (with
 * whether there was an error). Errors carry Node's codes: ECONNREFUSED, ECONNRESET, ETIMEDOUT, EPIPE, EHOSTUNREACH; and
 * ERR_TCP_SERVER_DIED where the TCP server ended.
 */
export class Socket extends SocketSettings implements FlowOwner, Idler {
  /** The server that accepted the socket; null for one that connected. */
  server: SocketServer | null = null;
  /** The time set by `setTimeout`, ms. */
  declare timeout?: number;
  /** @internal The name that was looked up. */
  _host: string | null = null;
  /** @internal */
  _server: SocketServer | null = null;
  /** @internal */
  _parent: null = null;
  /** @internal For the use of `node:http`. */
  _hadError = false;
  private _timer: IdleTimer | null = null;
  private _onread: OnRead | null;
  private _resetting = false;
  private _target: SocketAddress | null = null;
  private _source: { address: string; port: number } | null = null;

  constructor(options: SocketOptions = {}) {
    super(streamOptions(options));
    this._takeOptions(options);
    this._onread = isOnRead(options.onread) ? options.onread : null;
    this.on('end', onEnd);
  }

  /**
   * Connects: `connect(port, host?, listener?)` or `connect(options, listener?)`. The listener is called at 'connect'.
   *
   * @throws TypeError, RangeError where an option is not as it must be; TcpServerError where this thread has no TCP server.
   */
  connect(options: ConnectOptions, listener?: () => void): this;
  connect(port: number | string, host: string, listener?: () => void): this;
  connect(port: number | string, listener?: () => void): this;
  connect(...args: unknown[]): this {
    const { options, listener } = netArguments(args);
    checkConnectOptions(options);
    const link = new SocketFlow(this, currentPort());
    if (listener !== null) this.once('connect', listener);
    // A socket may be used again after its connection has closed.
    if (this.write !== Socket.prototype.write) this.write = Socket.prototype.write;
    internals(this)._undestroy();
    this._peer = null;
    link.onread = this._onread;
    this._link = link;
    this.connecting = true;
    this._touch();
    const host = options.host || 'localhost';
    if (isIP(host) !== 0) process.nextTick(() => this._open(link, host, options));
    else this._lookUp(link, host, options);
    return this;
  }

  private _lookUp(link: SocketFlow, host: string, options: ConnectOptions): void {
    this._host = host;
    findAddress(
      host,
      options,
      (error, address, family) => this.emit('lookup', error, address, family, host),
      (error, address) => {
        if (this._link !== link || !this.connecting) return;
        if (error === null) this._open(link, address, options);
        // The caller of `connect` has had no chance to listen yet where the lookup answered at once.
        else process.nextTick(() => this.destroy(error));
      },
    );
  }

  private _open(link: SocketFlow, address: string, options: ConnectOptions): void {
    if (this._link !== link || !this.connecting) return;
    this._touch();
    const port = Number(options.port);
    const family = isIP(address);
    this._target = { address, family: `IPv${family}`, port };
    this._source = options.localAddress && options.localPort ? { address: options.localAddress, port: options.localPort } : null;
    this.emit('connectionAttempt', address, port, family);
    if (this._link !== link || !this.connecting) return;
    link.connect(address, port, options.localAddress, options.localPort);
  }

  /** @internal */
  _opened(): void {
    const link = this._link;
    if (link === null || this.destroyed) return;
    this.connecting = false;
    this._touch();
    if (link.flow !== null) this._configure(link.flow);
    this.emit('connect');
    this.emit('ready');
    if (!this.destroyed && !this.isPaused()) this.read(0);
  }

  /** @internal */
  _refused(errno: number): void {
    const target = this._target;
    if (target === null || this.destroyed) return;
    const error = connectError(errno, target.address, target.port, this._source ?? undefined);
    this.emit('connectionAttemptFailed', target.address, target.port, target.family === 'IPv6' ? 6 : 4, error);
    this.destroy(error);
  }

  /** @internal Takes a connection that a listener has accepted. */
  _adopt(flow: AppFlow, port: Port, options: AcceptOptions): SocketFlow {
    const link = new SocketFlow(this, port);
    link.onread = this._onread;
    this._link = link;
    link.accept(flow);
    this._takeOptions(options, options.keepAliveInitialDelay);
    this._configure(flow);
    if (options.pauseOnConnect) internals(this).readableFlowing = false;
    else this.read(0);
    return link;
  }

  /** @internal */
  override _read(): void {
    if (this.connecting || this._link === null) this.once('connect', () => this._read());
    else this._link.start();
  }

  /** @internal */
  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, callback: WriteCallback): void {
    if (this.connecting) this._defer(chunk, encoding, callback);
    else if (this._link === null) callback(socketClosed());
    else this._link.write(chunk, encoding, callback);
  }

  /** @internal */
  override _writev(entries: WriteEntry[], callback: WriteCallback): void {
    if (this.connecting) this._defer(entries, 'utf8', callback);
    else if (this._link === null) callback(socketClosed());
    else this._link.writev(entries, callback);
  }

  /** Keeps the first write until there is a connection; the stream keeps those after it. */
  private _defer(chunk: Uint8Array | string | WriteEntry[], encoding: BufferEncoding, callback: WriteCallback): void {
    this._waiting = chunk;
    this._waitingEncoding = encoding;
    const onClose = (): void => callback(closedBeforeConnection());
    this.once('connect', () => {
      this.off('close', onClose);
      this._waiting = null;
      if (Array.isArray(chunk)) this._writev(chunk, callback);
      else this._write(chunk, encoding, callback);
    });
    this.once('close', onClose);
  }

  /** @internal */
  override _final(callback: WriteCallback): void {
    if (this.pending) {
      this.once('connect', () => this._final(callback));
      return;
    }
    this._link?.end();
    // 'finish' comes with the next turn, as from a system call: what follows `end` in this one still finds the socket open.
    setImmediate(callback);
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this.connecting = false;
    this._timer?.clear();
    const link = this._link;
    if (link) {
      this._finalRead = link.bytesRead;
      this._finalWritten = link.bytesWritten;
      this._link = null;
      link.release(this._resetting);
      this._resetting = false;
      // After this turn's events, as Node closes its handles.
      setImmediate(emitClose, this, link, Boolean(error));
      callback(error);
    } else {
      callback(error);
      process.nextTick(emitCloseUnconnected, this);
    }
    const server = this._server;
    if (!server) return;
    server._connections--;
    server._emitCloseIfDrained();
  }

  /** Ends this side, and destroys the socket once everything is written. */
  destroySoon(): void {
    if (this.writable) this.end();
    if (this.writableFinished) this.destroy();
    else this.once('finish', this.destroy);
  }

  /** Resets the connection (RST, RFC 9293 3.10.5) and destroys the socket. One that is connecting is reset once connected. */
  resetAndDestroy(): this {
    if (this._link === null) this.destroy(socketClosed());
    else if (this.connecting) this.once('connect', () => this._resetNow());
    else this._resetNow();
    return this;
  }

  private _resetNow(): void {
    this._resetting = true;
    this.destroy();
  }

  /**
   * Emits 'timeout' after a time without activity on the socket; the connection stays. It does not keep the process alive.
   *
   * @param msecs ms; 0 turns it off.
   * @param callback listener for the next 'timeout'; with 0 it is removed.
   */
  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this;
    this.timeout = msecs;
    const time = duration(msecs, 'msecs');
    if (this._timer === null && time > 0) this._timer = new IdleTimer(this);
    this._timer?.set(time);
    if (callback === undefined) return this;
    if (typeof callback !== 'function') throw invalidType('callback', ['function'], callback);
    if (time === 0) this.removeListener('timeout', callback);
    else this.once('timeout', callback);
    return this;
  }

  /** @internal */
  _idle(): void {
    if (this._link !== null && this._link.advanced()) this._timer?.set(this.timeout ?? 0);
    else this.emit('timeout');
  }

  /** @internal Bytes have moved. */
  _touch(): void {
    if (this._timer !== null) this._timer.touch();
  }

  /** Lets the socket keep the process alive: the default. */
  ref(): this {
    if (this._link === null) this.once('connect', this.ref);
    else this._link.ref();
    return this;
  }

  /** Lets the process end though the socket is open. */
  unref(): this {
    if (this._link === null) this.once('connect', this.unref);
    else this._link.unref();
    return this;
  }

  override pause(): this {
    if (this._onread !== null && !this.connecting) this._link?.stop();
    return super.pause();
  }

  override resume(): this {
    if (this._onread !== null && !this.connecting) this._link?.start();
    return super.resume();
  }

  override read(size?: number): unknown {
    if (this._onread !== null && !this.connecting && size !== 0) this._link?.start();
    return super.read(size);
  }
}

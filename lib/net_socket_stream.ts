/** What a socket does: one connection as a stream, with the events and errors of `node:net`'s. */
import { isIP } from 'node:net';
import { Duplex } from 'node:stream';
import { currentPort } from './attachment.js';
import type { Port } from './attachment.js';
import { closedBeforeConnection, connectError, endedByPeer } from './errors.js';
import { ConnectAttempts } from './net_attempts.js';
import type { ConnectingSocket } from './net_attempts.js';
import { checkPlaceGiven, connectPlan, netArguments } from './net_connect.js';
import type { ConnectOptions, SocketOptions } from './net_connect.js';
import { SocketFlow } from './net_flow.js';
import type { FlowOwner, OnRead, WriteCallback, WriteEntry } from './net_flow.js';
import { carriesConnect } from './net_rules.js';
import { SocketIdle } from './net_socket_idle.js';
import type { TcpOptions } from './net_socket_settings.js';
import { NodeSocket } from './node_own.js';
import type { AppFlow } from './runtime/app_api.js';
import { EALREADY, EISCONN } from './tcp/errno.js';

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

/** Node's own methods, for sockets without a flow. */
interface NodeMethods {
  connect(...args: unknown[]): unknown;
  resetAndDestroy(): unknown;
  ref(): unknown;
  unref(): unknown;
  pause(): unknown;
  resume(): unknown;
  read(size?: number): unknown;
  _read(size: number): void;
  _write(chunk: unknown, encoding: BufferEncoding, callback: WriteCallback): void;
  _writev(entries: unknown, callback: WriteCallback): void;
  _final(callback: WriteCallback): void;
  _destroy(error: Error | null, callback: (error?: Error | null) => void): void;
}

const nodes = NodeSocket.prototype as unknown as NodeMethods;
const streams = Duplex.prototype;

function internals(socket: SocketStream): StreamInternals {
  return socket as unknown as StreamInternals;
}

function emitClose(socket: SocketStream): void {
  socket._emitClose();
}

function finishPlanned(socket: SocketStream): void {
  socket._finishPlanned();
}

function closePlanned(socket: SocketStream): void {
  socket._closePlanned();
}

/** What `write` is once the peer has ended the connection and this side was ended with it. */
function writeAfterEnd(this: SocketStream, chunk: unknown, encoding?: unknown, callback?: unknown): boolean {
  if (!this.writableEnded) return streams.write.call(this, chunk, encoding as BufferEncoding, callback as WriteCallback);
  const done = typeof encoding === 'function' ? encoding : callback;
  const error = endedByPeer();
  if (typeof done === 'function') process.nextTick(done as WriteCallback, error);
  this.destroy(error);
  return false;
}

function onEnd(this: SocketStream): void {
  if (!this.allowHalfOpen) this.write = writeAfterEnd as SocketStream['write'];
}

/** The part of `Socket` that moves bytes: all of it, but for its constructor. */
export class SocketStream extends SocketIdle implements FlowOwner, ConnectingSocket {
  /** The server that accepted the socket; null for one that connected. */
  declare server: SocketServer | null;
  /** Of a name with several addresses, those that were tried, each with its port. */
  declare autoSelectFamilyAttemptedAddresses?: string[];
  /** @internal The name that was looked up. */
  declare _host: string | null;
  /** @internal */
  declare _server: SocketServer | null;
  /** @internal */
  declare _parent: SocketStream | null;
  /** @internal For the use of `node:http`. */
  declare _hadError: boolean;
  private declare _onread: OnRead | null;
  private declare _resetting: boolean;
  private declare _carriesTls: boolean;
  /** What the socket was destroyed with, until 'close' says so. */
  private declare _destroyedLink: SocketFlow | null;
  private declare _destroyedByError: boolean;
  /** The callback of `_final`, until 'finish' is due. */
  private declare _finalCallback: WriteCallback | null;
  private declare _endPlanned: boolean;

  /** @internal Fills in what is the package's own. @param seconds as with `AcceptOptions`; left out: as the options say. */
  _initialise(options: SocketOptions | AcceptOptions, onread: OnRead | null, seconds?: number): void {
    this._initialiseState();
    this._initialiseSettings(options, seconds);
    this._initialiseIdle();
    this._onread = onread;
    this._resetting = false;
    this._carriesTls = false;
    this._destroyedLink = null;
    this._destroyedByError = false;
    this._finalCallback = null;
    this._endPlanned = false;
  }

  /** @internal A TLSSocket takes over the bytes, and with them the decision what follows the peer's FIN: the socket does not end by itself. */
  _carryTls(): void {
    this._carriesTls = true;
    this.allowHalfOpen = true;
  }

  /** @internal What is written now and what follows in this tick are told to the TCP server as one. */
  _gather(): void {
    this._link?.port.gather();
  }

  /** @internal Fills in what Node's constructor does for other sockets. */
  _initialiseAccepted(server: SocketServer): void {
    this.connecting = false;
    this._hadError = false;
    this._parent = null;
    this._host = null;
    this.server = server;
    this._server = server;
    this.on('end', onEnd);
  }

  /**
   * Connects: `connect(port, host?, listener?)`, `connect(options, listener?)`, or `connect(path, listener?)` to a Unix domain socket, which
   * the kernel carries. The listener is called at 'connect'.
   *
   * @throws TypeError, RangeError where an option is not as it must be; TcpServerError where this thread can have no TCP server.
   */
  connect(options: ConnectOptions, listener?: () => void): this;
  connect(port: number | string, host: string, listener?: () => void): this;
  connect(port: number | string, listener?: () => void): this;
  connect(path: string, listener?: () => void): this;
  connect(...args: unknown[]): this {
    const { options, listener } = netArguments(args);
    if (options.path || this._handle) return this._connectNode(options, listener);
    if (listener !== null) this.once('connect', listener);
    if (this._parent?.connecting) return this;
    checkPlaceGiven(options);
    const plan = connectPlan(options);
    if (isIP(plan.host) !== 0 && !carriesConnect(plan.host, plan.port)) return this._connectNode(options, null);
    if (this._link !== null) return this._connectAgain(plan.host, plan.port);
    const link = new SocketFlow(this, currentPort());
    // A socket may be used again after its connection has closed.
    if (this.write !== SocketStream.prototype.write) this.write = SocketStream.prototype.write;
    internals(this)._undestroy();
    this._peer = null;
    if (this._onread !== null) link.readInto(this._onread);
    this._link = link;
    this.connecting = true;
    this._touch();
    if (isIP(plan.host) === 0) this._host = plan.host;
    this._attempts = new ConnectAttempts(this, link, plan);
    this._attempts.begin();
    return this;
  }

  private _connectNode(options: Record<string, unknown>, listener: (() => void) | null): this {
    this._finalRead = this._finalWritten = -1;
    this._peer = null;
    this._idleByKernel();
    if (listener === null) nodes.connect.call(this, options);
    else nodes.connect.call(this, options, listener);
    return this;
  }

  /** What the kernel says to a second `connect` of one socket. */
  private _connectAgain(host: string, port: number): this {
    const errno = this.connecting ? EALREADY : EISCONN;
    process.nextTick(() => this.destroy(connectError(errno, host, port)));
    return this;
  }

  /** @internal */
  _useKernel(options: Record<string, unknown>): void {
    this._link = null;
    this._connectNode(options, null);
  }

  /** @internal */
  _opened(): void {
    const link = this._link;
    if (link === null || this.destroyed) return;
    this._attempts?.opened();
    if (this._link !== link) return;
    this.connecting = false;
    this._touch();
    if (link.flow !== null) this._configure(link.flow);
    this.emit('connect');
    this.emit('ready');
    if (!this.destroyed && !this.isPaused()) this.read(0);
  }

  /** @internal */
  _refused(errno: number): void {
    this._attempts?.refused(errno);
  }

  /** @internal Takes a connection that a listener has accepted. */
  _adopt(flow: AppFlow, port: Port, paused: boolean): SocketFlow {
    const link = new SocketFlow(this, port);
    this._link = link;
    link.accept(flow);
    this._configure(flow);
    if (paused) internals(this).readableFlowing = false;
    else this.read(0);
    return link;
  }

  /** @internal */
  override _read(size: number): void {
    if (this._link === null) nodes._read.call(this, size);
    else if (this.connecting) this.once('connect', () => this._read(size));
    else this._link.start();
  }

  /** @internal A stream that flows and holds nothing would do no more with a chunk than this, but by a longer way. */
  _pushNews(chunk: Uint8Array): boolean {
    if (this.readableFlowing !== true || this.readableLength > 0 || !this.readableDidRead || this.readableEncoding !== null) return this.push(chunk);
    this.emit('data', chunk);
    return true;
  }

  /** @internal */
  override _write(chunk: Uint8Array | string, encoding: BufferEncoding, callback: WriteCallback): void {
    if (this._link === null) nodes._write.call(this, chunk, encoding, callback);
    else if (this.connecting) this._defer(chunk, encoding, callback);
    else this._link.write(chunk, encoding, callback);
  }

  /** @internal */
  override _writev(entries: WriteEntry[], callback: WriteCallback): void {
    if (this._link === null) nodes._writev.call(this, entries, callback);
    else if (this.connecting) this._defer(entries, 'utf8', callback);
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
    if (this._link === null) {
      nodes._final.call(this, callback);
    } else if (this.connecting) {
      this.once('connect', () => this._final(callback));
    } else {
      this._link.end();
      // 'finish' comes with the next turn, as from a system call: what follows `end` in this one still finds the socket open. TLS alone has no
      // use for that: it lets go of a socket that it has ended before what the peer answers can be heard, as over the kernel's handles.
      if (this._carriesTls) process.nextTick(callback);
      else {
        this._finalCallback = callback;
        this._planEnd();
      }
    }
  }

  /**
   * @internal In the next turn of the event loop there is a place for 'finish', and one for 'close' behind it: where the one brings about the
   * other, no timer comes between them, as none does where Node closes a handle.
   */
  _planEnd(): void {
    if (this._endPlanned) return;
    this._endPlanned = true;
    setImmediate(finishPlanned, this);
    setImmediate(closePlanned, this);
  }

  /** @internal */
  _finishPlanned(): void {
    const callback = this._finalCallback;
    this._finalCallback = null;
    callback?.();
  }

  /** @internal */
  _closePlanned(): void {
    this._endPlanned = false;
    this._emitClose();
    // It was asked for behind the place of 'finish'.
    if (this._finalCallback !== null) this._planEnd();
  }

  /** @internal Emits 'close' where it is due. */
  _emitClose(): void {
    const link = this._destroyedLink;
    if (link === null) return;
    this._destroyedLink = null;
    link.abandonWrite();
    this.emit('close', this._destroyedByError);
  }

  /** @internal */
  override _destroy(error: Error | null, callback: (error?: Error | null) => void): void {
    this._idleEnds();
    this._attempts?.end();
    const link = this._link;
    if (link === null) {
      nodes._destroy.call(this, error, callback);
      return;
    }
    this.connecting = false;
    this._finalRead = link.bytesRead;
    this._finalWritten = link.bytesWritten;
    this._link = null;
    link.release(this._resetting);
    this._resetting = false;
    // After this turn's events, as Node closes its handles.
    this._destroyedLink = link;
    this._destroyedByError = Boolean(error);
    if (!this._endPlanned) setImmediate(emitClose, this);
    callback(error);
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
    if (this._link === null) nodes.resetAndDestroy.call(this);
    else if (this.connecting) this.once('connect', () => this._resetNow());
    else this._resetNow();
    return this;
  }

  private _resetNow(): void {
    this._resetting = true;
    this.destroy();
  }

  /** Lets the socket keep the process alive: the default. */
  ref(): this {
    if (this._link === null) nodes.ref.call(this);
    else this._link.ref();
    return this;
  }

  /** Lets the process end though the socket is open. */
  unref(): this {
    if (this._link === null) nodes.unref.call(this);
    else this._link.unref();
    return this;
  }

  override pause(): this {
    if (this._link === null) {
      nodes.pause.call(this);
      return this;
    }
    if (this._onread !== null && !this.connecting) this._link.stop();
    return streams.pause.call(this) as this;
  }

  override resume(): this {
    if (this._link === null) {
      nodes.resume.call(this);
      return this;
    }
    if (this._onread !== null && !this.connecting) this._link.start();
    return streams.resume.call(this) as this;
  }

  override read(size?: number): unknown {
    if (this._link === null) return nodes.read.call(this, size);
    if (this._onread !== null && !this.connecting && size !== 0) this._link.start();
    return streams.read.call(this, size);
  }
}

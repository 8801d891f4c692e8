/** `Server`: listens, and emits a `Socket` for each connection, as `node:net`'s does. */
import { EventEmitter } from 'node:events';
import { isIP } from 'node:net';
import { getDefaultHighWaterMark } from 'node:stream';
import { currentPort } from './attachment.js';
import type { Port } from './attachment.js';
import { alreadyListening, badPort, invalidType, invalidValue, serverNotRunning } from './errors.js';
import { isPort, lookupFirst, netArguments } from './net_connect.js';
import { DEFAULT_BACKLOG, Listener } from './net_listener.js';
import type { ListenOwner } from './net_listener.js';
import type { Socket } from './net_socket.js';
import { checkTcpOptions } from './net_socket_settings.js';
import type { TcpOptions } from './net_socket_settings.js';
import type { SocketAddress } from './net_socket_state.js';

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
}

/** A listening place: where, and how many connections may wait there. */
export interface ListenPlace {
  port: number;
  host: string | undefined;
  backlog: number;
  ipv6Only: boolean;
  signal: AbortSignal | undefined;
  listener: (() => void) | null;
}

/**
 * Sorts and checks the arguments of `listen`: `(port?, host?, backlog?, cb?)` or `(options, cb?)`.
 *
 * @throws TypeError, RangeError with Node's codes.
 */
export function listenArguments(args: readonly unknown[]): ListenPlace {
  const { options, listener } = netArguments(args);
  const { path, fd, host, signal, backlog } = options;
  const unset = args.length === 0 || typeof args[0] === 'function' || options.port === null || ('port' in options && options.port === undefined);
  const port: unknown = unset ? 0 : options.port;
  if (port === undefined) {
    if (path !== undefined) throw invalidValue('options.path', path, 'is not supported: a TCP server has no Unix domain sockets');
    if (fd !== undefined) throw invalidValue('options.fd', fd, 'is not supported: a TCP server does not take over the kernel\'s sockets');
    throw invalidValue('options', options, 'must have the property "port" or "path"');
  }
  if (typeof port !== 'number' && typeof port !== 'string') throw invalidValue('options', options);
  if (!isPort(port)) throw badPort('options.port', port);
  if (signal !== undefined && !(signal instanceof AbortSignal)) throw invalidType('options.signal', ['AbortSignal'], signal);
  return {
    port: Number(port),
    host: typeof host === 'string' && host !== '' ? host : undefined,
    backlog: Number(backlog) || (typeof args[1] === 'number' && args[1]) || (typeof args[2] === 'number' && args[2]) || DEFAULT_BACKLOG,
    ipv6Only: options.ipv6Only === true,
    signal,
    listener,
  };
}

function start(owner: ListenOwner, port: Port, address: string | null, place: ListenPlace): void {
  owner._handle = new Listener(owner, port, address, place.port, place.backlog, place.ipv6Only);
}

/**
 * Has `owner` listen at a place.
 *
 * @param current asked when a host name was looked up: false where the owner was closed meanwhile.
 * @throws TcpServerError where this thread has no TCP server.
 */
export function listenAt(owner: ListenOwner, place: ListenPlace, current: () => boolean): void {
  const port = currentPort();
  const { host } = place;
  if (host === undefined) {
    start(owner, port, null, place);
  } else if (isIP(host) !== 0) {
    process.nextTick(() => {
      if (current()) start(owner, port, host, place);
    });
  } else {
    lookupFirst(host, (error, address) => {
      if (!current()) return;
      if (error === null) start(owner, port, address, place);
      else owner.emit('error', error);
    });
  }
}

function emitCloseNow(server: Server): void {
  server.emit('close');
}

/**
 * A server for TCP connections: `node:net`'s `Server`, on the TCP server of this thread.
 *
 * Events: 'listening', 'connection', 'drop' (more than `maxConnections`), 'error' (EADDRINUSE, EADDRNOTAVAIL), 'close' once it
 * no longer listens and every connection has ended. Several threads may listen on one port: connections go to the least loaded.
 */
export class Server extends EventEmitter implements ListenOwner {
  /** Connections beyond this number are dropped; left out: no bound but the TCP server's. */
  declare maxConnections?: number;
  allowHalfOpen: boolean;
  pauseOnConnect: boolean;
  noDelay: boolean;
  keepAlive: boolean;
  /** Seconds, as Node keeps it; the other times are in ms. */
  keepAliveInitialDelay: number;
  keepAliveInterval: number;
  keepAliveCount: number;
  userTimeout: number;
  typeOfService: number;
  highWaterMark: number;
  /** @internal */
  _connections = 0;
  /** @internal */
  _handle: Listener | null = null;
  private _unref = false;
  /** Counts calls of `listen` and `close`, so that a lookup can tell that it is out of date. */
  private _listeningId = 0;

  constructor(options?: ServerOptions | ((socket: Socket) => void) | null, listener?: (socket: Socket) => void) {
    super();
    const given: ServerOptions = typeof options === 'function' ? {} : (options ?? {});
    if (typeof given !== 'object') throw invalidType('options', ['object'], given);
    const accept = typeof options === 'function' ? options : listener;
    if (typeof accept === 'function') this.on('connection', accept);
    const { keepAliveInitialDelay: delay, highWaterMark: mark } = given;
    checkTcpOptions(given);
    if (mark !== undefined && typeof mark !== 'number') throw invalidType('options.highWaterMark', ['number'], mark);
    this.allowHalfOpen = given.allowHalfOpen ?? false;
    this.pauseOnConnect = Boolean(given.pauseOnConnect);
    this.noDelay = Boolean(given.noDelay);
    this.keepAlive = Boolean(given.keepAlive);
    this.keepAliveInitialDelay = Math.max(0, Math.trunc((delay ?? 0) / 1000));
    this.keepAliveInterval = given.keepAliveInterval ?? 0;
    this.keepAliveCount = given.keepAliveCount ?? 0;
    this.userTimeout = given.userTimeout ?? 0;
    this.typeOfService = given.typeOfService ?? 0;
    this.highWaterMark = mark === undefined || mark < 0 ? getDefaultHighWaterMark(false) : mark;
  }

  /**
   * Listens: `listen(port?, host?, backlog?, listener?)` or `listen(options, listener?)`. The listener is called at 'listening'.
   *
   * @throws TypeError, RangeError where an argument is not as it must be; ERR_SERVER_ALREADY_LISTEN; TcpServerError where this
   *   thread has no TCP server.
   */
  listen(port?: number | string | null, host?: string, backlog?: number, listener?: () => void): this;
  listen(port?: number | string | null, host?: string, listener?: () => void): this;
  listen(port?: number | string | null, backlog?: number, listener?: () => void): this;
  listen(port?: number | string | null, listener?: () => void): this;
  listen(options: ListenOptions, listener?: () => void): this;
  listen(listener?: () => void): this;
  listen(...args: unknown[]): this {
    if (this._handle !== null) throw alreadyListening();
    const place = listenArguments(args);
    const call = ++this._listeningId;
    listenAt(this, place, () => call === this._listeningId);
    if (place.listener !== null) this.once('listening', place.listener);
    if (this._unref) this.once('listening', this.unref);
    closeOnAbort(this, place.signal);
    return this;
  }

  /**
   * Stops listening. 'close' follows once every connection has ended.
   *
   * @param callback called at 'close'; with ERR_SERVER_NOT_RUNNING where the server does not listen.
   */
  close(callback?: (error?: Error) => void): this {
    this._listeningId++;
    if (typeof callback === 'function') {
      if (this._handle === null) this.once('close', () => callback(serverNotRunning()));
      else this.once('close', callback);
    }
    this._handle?.close();
    this._handle = null;
    this._emitCloseIfDrained();
    return this;
  }

  /** @internal */
  _emitCloseIfDrained(): void {
    if (this._handle === null && this._connections === 0) process.nextTick(emitCloseNow, this);
  }

  get listening(): boolean {
    return this._handle !== null;
  }

  /** Where the server listens; null where it does not. The port that was chosen for 0 is known at once, as in Node. */
  address(): SocketAddress | null {
    if (this._handle === null) return null;
    const address: SocketAddress = { address: '', family: 'IPv4', port: 0 };
    this._handle.getsockname(address);
    return address;
  }

  /** Tells the number of open connections. */
  getConnections(callback: (error: Error | null, count: number) => void): this {
    process.nextTick(callback, null, this._connections);
    return this;
  }

  /** Lets the server keep the process alive: the default. */
  ref(): this {
    this._unref = false;
    this._handle?.ref();
    return this;
  }

  /** Lets the process end though the server listens. */
  unref(): this {
    this._unref = true;
    this._handle?.unref();
    return this;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this._handle === null) return;
    await new Promise<void>((resolve, reject) => {
      this.close((error) => (error ? reject(error) : resolve()));
    });
  }
}

/** Closes a server when the signal is aborted. */
export function closeOnAbort(server: { close(): unknown; once(event: 'close', listener: () => void): unknown }, signal: AbortSignal | undefined): void {
  if (signal === undefined) return;
  const close = (): void => void server.close();
  if (signal.aborted) {
    process.nextTick(close);
    return;
  }
  signal.addEventListener('abort', close, { once: true });
  server.once('close', () => signal.removeEventListener('abort', close));
}

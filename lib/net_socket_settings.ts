/** What a socket lets its user set of TCP: kept until there is a connection, told to the flow from then on. */
import { invalidType, outOfRange } from './errors.js';
import { SocketState } from './net_socket_state.js';
import { NodeSocket } from './node_own.js';
import type { AppFlow } from './runtime/app_api.js';

/** Settings of TCP as the options of a socket, and of a server for the sockets that it accepts. */
export interface TcpOptions {
  /** Send without waiting for acknowledgements of what was sent (no Nagle algorithm, RFC 9293 3.7.4). Default false. */
  noDelay?: boolean;
  /** Probe a connection that is silent (RFC 9293 3.8.4). Default false. */
  keepAlive?: boolean;
  /** Silence before the first probe, ms, in whole seconds as in Node. Default 0: the TCP server's own time (`tcp.keepIdleMs`). */
  keepAliveInitialDelay?: number;
  /** Time between probes, ms. Default 0: the TCP server's own (`tcp.keepIntervalMs`). */
  keepAliveInterval?: number;
  /** Probes without an answer before ETIMEDOUT, to 127. Default 0: the TCP server's own number (`tcp.keepCount`). */
  keepAliveCount?: number;
  /** As `setUserTimeout`, ms. Default 0. */
  userTimeout?: number;
  /** As `setTypeOfService`, 0 to 255. Default 0. */
  typeOfService?: number;
}

/** The object form of `setKeepAlive`'s arguments. */
export interface KeepAliveOptions {
  enable?: boolean;
  initialDelay?: number;
  interval?: number;
  count?: number;
}

const NUMBERS = ['keepAliveInitialDelay', 'keepAliveInterval', 'keepAliveCount'] as const satisfies readonly (keyof TcpOptions)[];

/**
 * Refuses what cannot be settings of TCP.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, RangeError ERR_OUT_OF_RANGE.
 */
export function checkTcpOptions(options: TcpOptions): void {
  for (const name of NUMBERS) {
    const value: unknown = options[name];
    if (value !== undefined && typeof value !== 'number') throw invalidType(`options.${name}`, ['number'], value);
  }
  if (options.userTimeout !== undefined) time('options.userTimeout', options.userTimeout);
  if (options.typeOfService !== undefined) octet('options.typeOfService', options.typeOfService);
}

function time(name: string, value: unknown): number {
  if (typeof value !== 'number') throw invalidType(name, ['number'], value);
  if (!(value >= 0 && Number.isFinite(value))) throw outOfRange(name, 'a non-negative finite number', value);
  return Math.ceil(value);
}

function octet(name: string, value: unknown): number {
  if (typeof value !== 'number') throw invalidType(name, ['number'], value);
  if (!Number.isInteger(value) || value < 0 || value > 255) throw outOfRange(name, 'an integer >= 0 and <= 255', value);
  return value;
}

/** Node's own methods, for a socket that the kernel carries and for one that may become such a one. */
const nodes = NodeSocket.prototype as unknown as {
  setNoDelay(noDelay: boolean): unknown;
  setKeepAlive(enable: boolean, initialDelay: number): unknown;
};

/** A positive number in whole units of `unit`, else 0: Node takes anything. */
function positive(value: unknown, unit: number): number {
  return Math.max(0, Math.trunc(Number(value) / unit)) || 0;
}

/** The part of `Socket` that sets. */
export class SocketSettings extends SocketState {
  private declare _noDelay: boolean;
  private declare _keepAlive: boolean;
  private declare _keepAliveSeconds: number;
  private declare _keepAliveInterval: number;
  private declare _keepAliveCount: number;
  private declare _userTimeout: number;
  private declare _finWait: number;
  private declare _typeOfService: number;
  private declare _corked: boolean;

  /** Takes options that were checked. @param seconds of silence before the first probe, as Node's servers keep it. */
  protected _initialiseSettings(options: TcpOptions, seconds = positive(options.keepAliveInitialDelay, 1000)): void {
    this._finWait = 0;
    this._corked = false;
    this._noDelay = Boolean(options.noDelay);
    this._keepAlive = Boolean(options.keepAlive);
    this._keepAliveSeconds = seconds;
    this._keepAliveInterval = positive(options.keepAliveInterval, 1);
    this._keepAliveCount = positive(options.keepAliveCount, 1);
    this._userTimeout = Math.ceil(options.userTimeout ?? 0);
    this._typeOfService = options.typeOfService ?? 0;
  }

  /** Tells a connection that has just come about everything that is not as it would be anyway. */
  protected _configure(flow: AppFlow): void {
    if (this._noDelay) flow.setNoDelay(true);
    if (this._keepAlive) this._tellKeepAlive(flow);
    if (this._userTimeout > 0) flow.setUserTimeout(this._userTimeout);
    if (this._finWait !== 0) flow.setFinWait(this._finWait);
    if (this._typeOfService > 0) flow.setTrafficClass(this._typeOfService);
    if (this._corked) flow.setCork(true);
  }

  /** The connection, once it is made. */
  private get _flow(): AppFlow | null {
    return this.connecting ? null : (this._link?.flow ?? null);
  }

  private _tellKeepAlive(flow: AppFlow): void {
    flow.setKeepAlive(this._keepAlive, this._keepAliveSeconds * 1000, this._keepAliveInterval, this._keepAliveCount);
  }

  /** Turns the Nagle algorithm (RFC 9293 3.7.4) off, or on again. */
  setNoDelay(noDelay = true): this {
    if (this._link === null) nodes.setNoDelay.call(this, noDelay);
    const changed = this._noDelay !== Boolean(noDelay);
    this._noDelay = Boolean(noDelay);
    if (changed) this._flow?.setNoDelay(this._noDelay);
    return this;
  }

  /**
   * Turns keepalive probes (RFC 9293 3.8.4) on or off.
   *
   * @param initialDelay silence before the first probe, ms, in whole seconds as in Node; 0 leaves the time as it was.
   * @param interval time between probes, ms; 0 leaves it as it was.
   * @param count probes without an answer before ETIMEDOUT, to 127; 0 leaves it as it was.
   */
  setKeepAlive(options: KeepAliveOptions): this;
  setKeepAlive(enable?: boolean, initialDelay?: number, interval?: number, count?: number): this;
  setKeepAlive(first: boolean | KeepAliveOptions = false, initialDelay = 0, interval = 0, count = 0): this {
    if (typeof first === 'object' && first !== null) {
      return this.setKeepAlive(first.enable ?? false, first.initialDelay, first.interval, first.count);
    }
    if (this._link === null) nodes.setKeepAlive.call(this, first, initialDelay);
    const wanted = [positive(initialDelay, 1000), positive(interval, 1) || this._keepAliveInterval, positive(count, 1) || this._keepAliveCount] as const;
    const [seconds, every, probes] = wanted;
    const same = this._keepAliveSeconds === seconds && this._keepAliveInterval === every && this._keepAliveCount === probes;
    const changed = this._keepAlive !== Boolean(first) || (Boolean(first) && !same);
    this._keepAlive = Boolean(first);
    [this._keepAliveSeconds, this._keepAliveInterval, this._keepAliveCount] = wanted;
    const flow = this._flow;
    if (changed && flow !== null) this._tellKeepAlive(flow);
    return this;
  }

  /**
   * Bounds the time that what was written may go unacknowledged before the connection ends with ETIMEDOUT (TCP_USER_TIMEOUT of
   * Linux; RFC 5482, but the peer is not told). It is TCP's, unlike `setTimeout`, which looks at the app's activity.
   *
   * @param msecs ms, to a day; 0: as the TCP server's `tcp.dataRetries` say.
   */
  setUserTimeout(msecs: number): this {
    this._userTimeout = time('msecs', msecs);
    this._flow?.setUserTimeout(this._userTimeout);
    return this;
  }

  /**
   * Bounds the time that a connection waits for the peer's end after this socket was destroyed (TCP_LINGER2 of Linux).
   *
   * @param msecs ms; 0: the TCP server's own (`tcp.finWait2Ms`); -1: it does not wait, and the peer is reset where it goes on.
   */
  setFinWait(msecs: number): this {
    this._finWait = msecs === -1 ? -1 : time('msecs', msecs);
    this._flow?.setFinWait(this._finWait);
    return this;
  }

  /** Sets the type of service of the packets sent: the six bits of the DSCP (RFC 2474) above two of ECN, which are TCP's own. */
  setTypeOfService(tos: number): this {
    this._typeOfService = octet('tos', tos);
    this._flow?.setTrafficClass(this._typeOfService);
    return this;
  }

  getTypeOfService(): number {
    return this._typeOfService;
  }

  /**
   * Holds incomplete segments back until more is written, a fifth of a second or so at most, or `setCork(false)` (TCP_CORK of Linux).
   * The stream's own `cork` gathers writes before TCP sees them.
   */
  setCork(on = true): this {
    const changed = this._corked !== Boolean(on);
    this._corked = Boolean(on);
    if (changed) this._flow?.setCork(this._corked);
    return this;
  }
}

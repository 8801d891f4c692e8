/** The idle time of a socket: how long without activity until 'timeout', by the timer of this package or the kernel's. */
import { invalidType } from './errors.js';
import { SocketSettings } from './net_socket_settings.js';
import { IdleTimer, duration } from './net_timeout.js';
import type { Idler } from './net_timeout.js';
import { NodeSocket } from './node_own.js';

/** Node's own methods, for sockets that the kernel carries. */
interface NodeMethods {
  setTimeout(msecs: number, callback?: () => void): unknown;
  _unrefTimer(): void;
}

const nodes = NodeSocket.prototype as unknown as NodeMethods;

/** The part of `Socket` that tells the app of a connection on which nothing moves. */
export class SocketIdle extends SocketSettings implements Idler {
  /** The time set by `setTimeout`, ms. */
  declare timeout?: number;
  private declare _timer: IdleTimer | null;

  protected _initialiseIdle(): void {
    this._timer = null;
  }

  /**
   * Emits 'timeout' after a time without activity on the socket; the connection stays. It does not keep the process alive.
   *
   * @param msecs ms; 0 turns it off.
   * @param callback listener for the next 'timeout'; with 0 it is removed.
   */
  setTimeout(msecs: number, callback?: () => void): this {
    if (this.destroyed) return this;
    if (this._handle) {
      nodes.setTimeout.call(this, msecs, callback);
      return this;
    }
    this.timeout = msecs;
    const time = duration(msecs, 'msecs');
    if (callback !== undefined && typeof callback !== 'function') throw invalidType('callback', ['Function'], callback);
    if (this._timer === null && time > 0) this._timer = new IdleTimer(this);
    this._timer?.set(time);
    if (callback === undefined) return this;
    if (time === 0) this.removeListener('timeout', callback);
    else this.once('timeout', callback);
    return this;
  }

  /** @internal */
  _idle(): void {
    if (this._link !== null && this._link.advanced()) this._timer?.set(this.timeout ?? 0);
    else this._onTimeout();
  }

  /** @internal As Node's code calls it. */
  _onTimeout(): void {
    this.emit('timeout');
  }

  /** @internal Bytes have moved. */
  _touch(): void {
    if (this._timer !== null) this._timer.touch();
  }

  /** @internal As Node's code calls it. */
  _unrefTimer(): void {
    if (this._handle) nodes._unrefTimer.call(this);
    else this._touch();
  }

  /** The kernel carries the socket from now on: what was set holds with Node's own timer. */
  protected _idleByKernel(): void {
    if (this._timer === null) return;
    this._timer.clear();
    this._timer = null;
    if (this.timeout) nodes.setTimeout.call(this, this.timeout);
  }

  /** The socket is destroyed. */
  protected _idleEnds(): void {
    this._timer?.clear();
  }
}

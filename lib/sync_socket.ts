/** A connection whose calls block. */
import { connectError, invalidType, outOfRange, socketClosed, timeOver, transferError } from './errors.js';
import type { Connection } from './sync_connection.js';
import { timeoutOf } from './sync_port.js';
import type { SyncPort, TimeoutOptions } from './sync_port.js';
import { ECONNRESET, EPIPE } from './tcp/errno.js';
import type { TcpInfo } from './tcp/conn/info.js';

/**
 * A connection, from `connect` or `SyncServer.accept`. What nobody reads waits in shared memory until the window closes; what is written is
 * sent whether the thread calls again or not.
 *
 * `read` and `write` throw TcpServerError where the TCP server has ended (ERR_TCP_SERVER_CLOSED, ERR_TCP_SERVER_DIED), and ERR_SOCKET_CLOSED
 * after `close` or `reset`; those two, and `end`, never throw.
 */
export class SyncSocket {
  /** For calls that name no other, ms. Default Infinity: they wait without a bound. */
  timeout = Infinity;
  private readonly port: SyncPort;
  private readonly connection: Connection;
  private isClosed = false;

  /** @internal */
  constructor(port: SyncPort, connection: Connection) {
    this.port = port;
    this.connection = connection;
  }

  get localAddress(): string { return this.connection.flow.localAddress; }
  get localPort(): number { return this.connection.flow.localPort; }
  get remoteAddress(): string { return this.connection.flow.remoteAddress; }
  get remotePort(): number { return this.connection.flow.remotePort; }
  /** `close` or `reset` was called. */
  get closed(): boolean { return this.isClosed; }

  /**
   * Waits until bytes are there, and copies as many of them as there is room for.
   *
   * @returns how many; 0 at the end of the stream, now and ever after, or where the buffer has no room.
   * @throws EAGAIN where the time is over: the connection is as good as before. ECONNRESET where the peer has reset it, ETIMEDOUT where it does
   *   not answer any more, and so on, once everything that came before was read.
   */
  read(buffer: Uint8Array, options?: TimeoutOptions): number {
    if (!(buffer instanceof Uint8Array)) throw invalidType('buffer', ['Buffer', 'Uint8Array'], buffer);
    const timeout = timeoutOf(options, this.timeout);
    this.checkOpen();
    if (buffer.length === 0) return 0;
    const { connection, port } = this;
    const { flow } = connection;
    if (!port.wait(() => connection.readable, performance.now() + timeout)) throw timeOver('read', timeout);
    const length = flow.readInto(buffer, 0, buffer.length);
    if (length === 0 && !flow.ended) throw transferError(connection.errno || ECONNRESET, 'read');
    // The window opens.
    if (length > 0) port.submit();
    return length;
  }

  /**
   * Waits until the send buffer has taken all of it. A string is written in UTF-8.
   *
   * @returns how many bytes that were.
   * @throws EAGAIN where the time is over: its `bytesWritten` were taken and are sent, the rest is not. EPIPE after `end`; ECONNRESET and the
   *   like where the connection is dead.
   */
  write(data: Uint8Array | string, options?: TimeoutOptions): number {
    const bytes = typeof data === 'string' ? Buffer.from(data) : data;
    if (!(bytes instanceof Uint8Array)) throw invalidType('data', ['string', 'Buffer', 'Uint8Array'], data);
    const timeout = timeoutOf(options, this.timeout);
    this.checkOpen();
    if (bytes.length === 0) return 0;
    const { connection, port } = this;
    const until = performance.now() + timeout;
    for (let taken = 0; ; ) {
      if (!port.wait(() => connection.writable, until)) throw Object.assign(timeOver('write', timeout), { bytesWritten: taken });
      if (connection.dead || connection.flow.writesNoMore) throw transferError(connection.errno || EPIPE, 'write');
      taken += connection.flow.write(bytes, taken, bytes.length - taken);
      if (taken < bytes.length) continue;
      port.submit();
      return taken;
    }
  }

  /** Ends this side: FIN after everything written. The peer may go on sending. */
  end(): void {
    this.connection.flow.end();
    this.port.submit();
  }

  /** Lets go of the connection: what was written is still sent, then FIN. Where bytes wait unread it is a reset (RFC 2525 2.17). */
  close(): void {
    this.isClosed = true;
    this.connection.flow.close();
    this.port.submit();
  }

  /** Resets the connection: it is over at once, on both sides. */
  reset(): void {
    this.isClosed = true;
    this.connection.flow.reset();
    this.port.submit();
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** Sends small segments at once (RFC 9293 3.7.4). */
  setNoDelay(noDelay = true): this {
    this.connection.flow.setNoDelay(noDelay);
    return this;
  }

  /**
   * Turns keepalive probes (RFC 9293 3.8.4) on or off. 0 leaves a value as it was.
   *
   * @param initialDelay silence before the first probe, ms.
   * @param interval time between probes, ms.
   * @param count probes without an answer after which the connection is dead.
   * @throws TypeError, RangeError where one of them is not a number from 0 on.
   */
  setKeepAlive(enable = false, initialDelay = 0, interval = 0, count = 0): this {
    for (const [name, value] of Object.entries({ initialDelay, interval, count })) checkNumber(name, value);
    this.connection.flow.setKeepAlive(enable, initialDelay, interval, count);
    return this;
  }

  /**
   * How long what was written may go unacknowledged before the connection ends with ETIMEDOUT.
   *
   * @param msecs ms; 0: the TCP server's own. @throws TypeError, RangeError where it is not a number from 0 on.
   */
  setUserTimeout(msecs: number): this {
    checkNumber('msecs', msecs);
    this.connection.flow.setUserTimeout(msecs);
    return this;
  }

  /** What TCP knows of the connection; null after it is over. */
  tcpInfo(): TcpInfo | null {
    return this.connection.flow.info();
  }

  /** @internal Waits for the connection to be made. */
  _opened(host: string, port: number, until: number): boolean {
    const { connection } = this;
    const answered = this.port.wait(() => connection.opened || connection.dead, until);
    if (connection.dead) throw connectError(connection.errno, host, port);
    return answered;
  }

  /** @internal For `poll`. */
  get _readable(): boolean { return this.connection.readable; }
  /** @internal */
  get _writable(): boolean { return this.connection.writable; }

  /** @internal @throws as every call of a socket that is no more. */
  _check(): void {
    this.port.check();
    this.checkOpen();
  }

  private checkOpen(): void {
    if (this.isClosed) throw socketClosed();
  }
}

function checkNumber(name: string, value: unknown): void {
  if (typeof value !== 'number') throw invalidType(name, ['number'], value);
  if (!(value >= 0)) throw outOfRange(name, '>= 0', value);
}

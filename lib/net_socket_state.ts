/** What a socket shows of its connection, before it, along it and after it. */
import { Duplex } from 'node:stream';
import type { ConnectAttempts } from './net_attempts.js';
import { entryLength } from './net_flow.js';
import type { SocketFlow, WriteEntry } from './net_flow.js';
import { NodeSocket } from './node_own.js';
import type { TcpInfo } from './tcp/conn/info.js';

/** What `address()` returns; empty before there is a connection and after it. */
export interface SocketAddress {
  address: string;
  family: string;
  port: number;
}

/** What Node's own methods and getters say of a socket that the kernel carries. */
interface Carried {
  _getsockname(): SocketAddress | Record<string, never>;
  _getpeername(): SocketAddress | Record<string, never>;
}

const nodes = NodeSocket.prototype as unknown as Carried;

/** Node's getter for a socket that is not on the TCP server. */
function nodeGetter<T>(name: string): (socket: SocketState) => T {
  const { get } = Object.getOwnPropertyDescriptor(NodeSocket.prototype, name) as { get: () => T };
  return (socket) => get.call(socket);
}

const nodeBytesRead = nodeGetter<number>('bytesRead');
const nodeBytesWritten = nodeGetter<number>('bytesWritten');

/**
 * The part of `Socket` that only looks.
 *
 * A socket that has no flow is Node's own: one that is new, and one that the kernel carries, a Unix domain socket for instance.
 */
export class SocketState extends Duplex {
  /** A connection is being made. */
  declare connecting: boolean;
  /** The kernel's handle; null for a socket on the TCP server. */
  declare _handle: unknown;
  /** The flow, from `connect` or accept to the end of the connection. */
  protected declare _link: SocketFlow | null;
  /** @internal The search for a connection, while there is one. */
  declare _attempts: ConnectAttempts | null;
  protected declare _peer: SocketAddress | null;
  /** A write that waits for the connection. */
  protected declare _waiting: Uint8Array | string | WriteEntry[] | null;
  protected declare _waitingEncoding: BufferEncoding;
  /** What was moved in all, once the flow is gone; -1 where there was none. */
  protected declare _finalRead: number;
  protected declare _finalWritten: number;

  protected _initialiseState(): void {
    this._link = null;
    this._attempts = null;
    this._peer = null;
    this._waiting = null;
    this._waitingEncoding = 'utf8';
    this._finalRead = -1;
    this._finalWritten = -1;
  }

  /** @internal It has a connection on the TCP server, or is making one. */
  get _isOnTcpServer(): boolean {
    return this._link !== null;
  }

  /** This side's address; `{}` where there is no connection. */
  address(): SocketAddress | Record<string, never> {
    return this._getsockname();
  }

  /** @internal As Node's code and that of its friends asks. */
  _getsockname(): SocketAddress | Record<string, never> {
    if (this._link === null) return nodes._getsockname.call(this);
    const { flow } = this._link;
    if (!flow || this.connecting) return {};
    return { address: flow.localAddress, family: flow.family, port: flow.localPort };
  }

  /** @internal */
  _getpeername(): SocketAddress | Record<string, never> {
    if (this._peer !== null) return this._peer;
    if (this._link === null) return nodes._getpeername.call(this);
    const { flow } = this._link;
    if (!flow || this.connecting) return {};
    this._peer = { address: flow.remoteAddress, family: flow.family, port: flow.remotePort };
    return this._peer;
  }

  /**
   * What TCP knows of the connection, as Linux's TCP_INFO: state, round-trip time, windows, losses. Read from shared memory, so
   * that it costs the TCP server nothing; the numbers are of one instant, which may lie within the processing of a segment.
   *
   * @returns null where there is no connection: before it is opened, and after the socket was destroyed.
   */
  tcpInfo(): TcpInfo | null {
    return this._link?.flow?.info() ?? null;
  }

  get localAddress(): string | undefined {
    return this._getsockname().address;
  }

  get localPort(): number | undefined {
    return this._getsockname().port;
  }

  get localFamily(): string | undefined {
    return this._getsockname().family;
  }

  get remoteAddress(): string | undefined {
    return this._getpeername().address;
  }

  get remotePort(): number | undefined {
    return this._getpeername().port;
  }

  get remoteFamily(): string | undefined {
    return this._getpeername().family;
  }

  /** There is no connection yet: none asked for, or not made yet. Also true after it has closed. */
  get pending(): boolean {
    return (this._link === null && !this._handle) || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Bytes that were read from the connection. */
  get bytesRead(): number {
    if (this._link) return this._link.bytesRead;
    return this._finalRead >= 0 ? this._finalRead : nodeBytesRead(this);
  }

  /** Bytes that were written, those that still wait included. */
  get bytesWritten(): number {
    if (!this._link && !(this._finalWritten >= 0)) return nodeBytesWritten(this);
    let bytes = this._link?.bytesWritten ?? this._finalWritten;
    const waiting = this._waiting;
    if (Array.isArray(waiting)) for (const entry of waiting) bytes += entryLength(entry);
    else if (waiting !== null) bytes += entryLength({ chunk: waiting, encoding: this._waitingEncoding });
    for (const entry of (this as unknown as { writableBuffer?: WriteEntry[] }).writableBuffer ?? []) bytes += entryLength(entry);
    return bytes;
  }

  /** Bytes that wait to be written. Deprecated in Node: use `writableLength`. */
  get bufferSize(): number | undefined {
    return this._link === null && !this._handle ? undefined : this.writableLength;
  }
}

// To code that asks, every socket is one of `node:net`'s; and what is said above of sockets without a flow comes from there.
Object.setPrototypeOf(SocketState.prototype, NodeSocket.prototype);

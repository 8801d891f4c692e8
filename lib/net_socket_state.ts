/** What a socket shows of its connection, before it, along it and after it. */
import { Duplex } from 'node:stream';
import { entryLength } from './net_flow.js';
import type { SocketFlow, WriteEntry } from './net_flow.js';
import type { TcpInfo } from './tcp/conn/info.js';

/** What `address()` returns; empty before there is a connection and after it. */
export interface SocketAddress {
  address: string;
  family: string;
  port: number;
}

/** The part of `Socket` that only looks. */
export class SocketState extends Duplex {
  /** A connection is being made. */
  connecting = false;
  /** The flow, from `connect` or accept to the end of the connection. */
  protected _link: SocketFlow | null = null;
  protected _peer: SocketAddress | null = null;
  /** A write that waits for the connection. */
  protected _waiting: Uint8Array | string | WriteEntry[] | null = null;
  protected _waitingEncoding: BufferEncoding = 'utf8';
  /** What was moved in all, once the flow is gone. */
  protected _finalRead = 0;
  protected _finalWritten = 0;

  /** This side's address; `{}` where there is no connection. */
  address(): SocketAddress | Record<string, never> {
    const flow = this._link?.flow;
    if (!flow || this.connecting) return {};
    return { address: flow.localAddress, family: flow.family, port: flow.localPort };
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

  private _peerAddress(): SocketAddress | null {
    const flow = this._link?.flow;
    if (this._peer !== null || !flow || this.connecting) return this._peer;
    this._peer = { address: flow.remoteAddress, family: flow.family, port: flow.remotePort };
    return this._peer;
  }

  get localAddress(): string | undefined {
    return this.connecting ? undefined : this._link?.flow?.localAddress;
  }

  get localPort(): number | undefined {
    return this.connecting ? undefined : this._link?.flow?.localPort;
  }

  get localFamily(): string | undefined {
    return this.connecting ? undefined : this._link?.flow?.family;
  }

  get remoteAddress(): string | undefined {
    return this._peerAddress()?.address;
  }

  get remotePort(): number | undefined {
    return this._peerAddress()?.port;
  }

  get remoteFamily(): string | undefined {
    return this._peerAddress()?.family;
  }

  /** There is no connection yet: none asked for, or not made yet. Also true after it has closed. */
  get pending(): boolean {
    return this._link === null || this.connecting;
  }

  get readyState(): 'opening' | 'open' | 'readOnly' | 'writeOnly' | 'closed' {
    if (this.connecting) return 'opening';
    if (this.readable) return this.writable ? 'open' : 'readOnly';
    return this.writable ? 'writeOnly' : 'closed';
  }

  /** Bytes that were read from the connection. */
  get bytesRead(): number {
    return this._link?.bytesRead ?? this._finalRead;
  }

  /** Bytes that were written, those that still wait included. */
  get bytesWritten(): number {
    let bytes = this._link?.bytesWritten ?? this._finalWritten;
    const waiting = this._waiting;
    if (Array.isArray(waiting)) for (const entry of waiting) bytes += entryLength(entry);
    else if (waiting !== null) bytes += entryLength({ chunk: waiting, encoding: this._waitingEncoding });
    for (const entry of (this as unknown as { writableBuffer?: WriteEntry[] }).writableBuffer ?? []) bytes += entryLength(entry);
    return bytes;
  }

  /** Bytes that wait to be written. Deprecated in Node: use `writableLength`. */
  get bufferSize(): number | undefined {
    return this._link === null ? undefined : this.writableLength;
  }
}

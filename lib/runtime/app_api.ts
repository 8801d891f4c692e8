/**
 * What an app thread sees of its TCP server: the calls and callbacks that every face (`net`, `http`) stands on. All of
 * it runs on the app thread's own event loop. Errors are Linux errno numbers, positive; the faces turn them into Node's.
 */
import type { TcpInfo } from '../tcp/conn/info.js';
import type { Distribution } from './messages.js';

/** Callbacks of one flow. */
export interface FlowHandler {
  /** The active open is done. */
  onConnect(): void;
  /** More bytes wait, or the peer's end has come: call `read` until it returns null, then look at `ended`. */
  onReadable(): void;
  /** There is room again after a `write` that took less than was asked. */
  onWritable(): void;
  /** Everything written so far was acknowledged by the peer. Of low urgency: it may come with a later wake-up. */
  onDrained(): void;
  /** The peer has acknowledged more of what was written. As urgent as what else there is to tell. */
  onAcknowledged?(): void;
  /** The peer has acknowledged the last byte of the file. */
  onSent?(): void;
  /** The flow is dead: `onClose` follows, once everything was read. */
  onError(errno: number): void;
  /** The flow is over. The last callback. */
  onClose(): void;
}

/** One connection as the app thread holds it. */
export interface AppFlow {
  handler: FlowHandler;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly family: 'IPv4' | 'IPv6';
  /** Bytes that wait in shared memory. */
  readonly readableLength: number;
  /** The peer has sent its FIN and every byte before it was read. */
  readonly ended: boolean;
  /** Bytes written that the peer has not acknowledged yet, as far as this thread knows. */
  readonly unacknowledged: number;
  /** Copies waiting bytes out (at most `max`) and opens the window for as many; null where none wait. Not to read is back-pressure. */
  read(max?: number): Buffer | null;
  /** As `read`, into memory of the caller. Returns the bytes copied. */
  readInto(target: Uint8Array, offset: number, length: number): number;
  /**
   * Copies bytes into the send buffer; they leave at the end of this tick, with whatever else was written in it.
   * Returns the bytes taken: fewer than `length` where the buffer is at its bound, and `onWritable` follows.
   */
  write(bytes: Uint8Array, offset: number, length: number): number;
  /**
   * Encodes text into the send buffer, with nothing in between. Returns its bytes; -1 where it may not lie there in one piece, and nothing
   * was written.
   */
  writeText(text: string, encoding: BufferEncoding): number;
  /** FIN after everything written. */
  end(): void;
  /** RST: the flow is over at once, on both sides. */
  reset(): void;
  /** The app lets go of the flow: no callback follows. What was written is still sent, the FIN too; unread data makes it a reset (RFC 2525 2.17). */
  close(): void;
  /** What TCP knows of the connection, read in place; null before it is opened and after it was let go. */
  info(): TcpInfo | null;
  setNoDelay(on: boolean): void;
  /** Keepalive probes after `idleMs` without a segment, and so on; 0 keeps a value as it was. */
  setKeepAlive(on: boolean, idleMs: number, intervalMs: number, count: number): void;
  /** How long what was written may go unacknowledged before ETIMEDOUT, ms (RFC 5482); 0: the TCP server's own. */
  setUserTimeout(ms: number): void;
  /** How long the flow waits for the peer's FIN once it was closed, ms (TCP_LINGER2); 0: the TCP server's own; negative: not at all. */
  setFinWait(ms: number): void;
  /** DSCP of its packets: the upper six bits of an octet (RFC 2474). */
  setTrafficClass(octet: number): void;
  /** Holds incomplete segments back for what follows them (TCP_CORK). */
  setCork(on: boolean): void;
}

/** Callbacks of one listener. */
export interface ListenHandler<Flow extends AppFlow = AppFlow> {
  onListening(address: string, port: number): void;
  /** A connection is established; its first bytes may wait already. Set `flow.handler` before returning. */
  onConnection(flow: Flow): void;
  onError(errno: number): void;
  onClose(): void;
}

export interface AppListener {
  /**
   * The port, also before `onListening`: where the TCP server has not answered yet, its answer is waited for, some milliseconds at most.
   * 0 where there is none.
   */
  port(): number;
  /** Stops listening; `onClose` follows, behind the `onConnection` of every connection that was given to it. These live on. */
  close(): void;
}

export interface ListenOptions {
  /** Address of either family; '0.0.0.0' for any of IPv4, '::' or null for any of both. */
  host: string | null;
  /** '::' takes IPv6 alone. */
  ipv6Only?: boolean;
  /** 0: the TCP server chooses. */
  port: number;
  /** Connections that may wait for this app thread, half-open ones included. */
  backlog: number;
  /** How connections are given to the threads that listen there: EINVAL where another one says otherwise. Default 'least-connections'. */
  distribution?: Distribution;
  /** A connection waits until `ChannelFlow.take`. Default false: until `onConnection`. */
  untilTaken?: boolean;
}

export interface ConnectOptions {
  /** Address of either family. */
  host: string;
  port: number;
  localAddress?: string;
  /** 0 or left out: the TCP server chooses at random (RFC 6056). */
  localPort?: number;
}

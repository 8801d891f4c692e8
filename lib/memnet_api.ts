/** What an app sees of MemNet: flows, listeners and the queue of events. `memnet.ts` makes them. */
import type { NetError, TcpServerError } from './errors.js';
import type { TcpInfo } from './tcp/conn/info.js';

/**
 * What an event says of a flow.
 *
 * - `'accept'` a peer has connected to a listener. Its addresses are known, and its first bytes may be there already.
 * - `'connect'` a flow of `MemNet.connect` is open.
 * - `'readable'` bytes wait, or the peer has ended its side (`flow.ended`). Told again when more come, not for what was left.
 * - `'acknowledged'` the peer has acknowledged more of what was written: `flow.unacknowledged` says how much is left.
 * - `'writable'` there is room again, after `reserve` gave 0 or `write` took less than it was given.
 * - `'sent'` the peer has acknowledged the last byte of the file; another may be sent.
 * - `'error'` the flow is dead: `events.error` says why. `'close'` follows, once what was received before was read.
 * - `'close'` both directions are over. The last event of a flow. None follows where the app itself has called `close` or `reset`.
 */
export type MemNetEventType = 'accept' | 'connect' | 'readable' | 'acknowledged' | 'writable' | 'sent' | 'error' | 'close';

/**
 * The events of all flows, one after another. There is one such object: `next` moves it on to the next event and makes nothing, so what is
 * of interest is taken from it before `next` is called again.
 *
 * ```ts
 * while (events.next()) {
 *   if (events.type === 'readable') answer(events.flow);
 * }
 * ```
 *
 * A flow is in the queue once, however much has happened to it; what has is told in the order of `MemNetEventType`.
 */
export interface MemNetEvents<Context = unknown> {
  /** Moves on. @returns false where there is no event left. */
  next(): boolean;
  /** Valid after `next` has returned true. */
  readonly type: MemNetEventType;
  /** Valid after `next` has returned true. */
  readonly flow: MemNetFlow<Context>;
  /**
   * Of an `'error'`, else null: an Error as `node:net` has it (`connect ECONNREFUSED …`, `read ECONNRESET`), one of `sendFile` (EBADF,
   * EIO, ENODATA where the file is too short; `syscall` is 'sendFile'), or TcpServerError ERR_TCP_SERVER_DIED.
   */
  readonly error: NetError | TcpServerError | null;
}

/**
 * One connection. Payload is read and written where it lies, in memory that the TCP server shares; nothing is copied and nothing made:
 *
 * ```ts
 * for (let length = flow.peek(); length > 0; length = flow.peek()) {
 *   parse(flow.memory, flow.dataAt, length);
 *   flow.consume(length);
 * }
 * ```
 *
 * A stream lies in blocks of 16 KiB, so a view is the part of what waits that lies in one piece, and room is what is left of one block:
 * ask again for the rest. All calls return at once. What was submitted in one callback leaves when it returns.
 */
export interface MemNetFlow<Context = unknown> {
  /** For the app: whatever it wants to find again at the flow. Undefined at first. */
  context: Context;
  /** The listener that the flow came by; null for one that was opened here. */
  readonly listener: MemNetListener | null;
  readonly localAddress: string;
  readonly localPort: number;
  readonly remoteAddress: string;
  readonly remotePort: number;

  /**
   * The shared memory that its view and its room lie in, as plain bytes; that of all flows of one TCP server. To touch another place breaks a connection,
   * or all of them. Reading it when the TCP server has ended does no harm.
   */
  readonly memory: Buffer;
  /** Bytes that wait, in all pieces. */
  readonly readableLength: number;
  /** The peer has ended its side, and every byte before that was consumed. */
  readonly ended: boolean;
  /** Bytes written, those of files included, that the peer has not acknowledged as far as this thread knows. */
  readonly unacknowledged: number;
  /** The flow is over, or the app has let go of it: `peek` and `reserve` find nothing, and the rest does nothing. */
  readonly closed: boolean;

  /** The length of the view: bytes that wait in one piece, from `memory[dataAt]` on. 0 where none wait. */
  peek(): number;
  /** Where the view begins that `peek` has found. */
  readonly dataAt: number;
  /**
   * Gives the first `length` waiting bytes back, the view with them, and opens the window for as many. Not to consume is back-pressure.
   *
   * @throws RangeError where fewer wait.
   */
  consume(length: number): void;
  /** The view as a Buffer, for code that wants one; null where nothing waits. It is made anew each time, and holds good until `consume`. */
  peekBuffer(): Buffer | null;

  /**
   * Finds room for at most `length` bytes, from `memory[roomAt]` on, behind everything written. It stands until `commit`, `write` or the next
   * `reserve`.
   *
   * @returns how many: fewer where a block ends; 0 where the send buffer is full, and `'writable'` follows.
   */
  reserve(length: number): number;
  /** Where the room begins that `reserve` has found. */
  readonly roomAt: number;
  /**
   * The first `length` bytes of the room are to be sent, and are not to be changed any more. The rest of the room is given back.
   *
   * @throws RangeError where the room is smaller.
   */
  commit(length: number): void;
  /** The room as a Buffer, for code that wants one; null where there is none. It holds good until `commit`. */
  reserveBuffer(length: number): Buffer | null;
  /**
   * Copies bytes in, from memory of the app or from a view.
   *
   * @returns how many were taken: fewer than `length` where the send buffer is full, and `'writable'` follows.
   */
  write(bytes: Uint8Array, offset?: number, length?: number): number;
  /**
   * Has the TCP server send bytes of a file, behind everything written so far and before everything that is written from now on. The app's
   * thread touches none of them; they are read as the peer makes room. `'sent'` follows when the peer has all of them. Until then, or
   * until the flow is over, the descriptor stays open and the file as it is: so do not `close` before. Where the file cannot be read the flow is reset, and `'error'`
   * says why.
   *
   * @param descriptor of a file that can be read at any place: a regular file or a block device.
   * @param offset first byte.
   * @param length bytes, up to 2^30: more is sent by another call after `'sent'`.
   * @param quiet the thread is not woken to hear of `'sent'`: it comes with the next event that there is, such as the peer's next request.
   *   Default false.
   * @returns false where the file before is not sent yet, or nothing more may be written.
   * @throws RangeError where an argument is out of its range.
   */
  sendFile(descriptor: number, offset: number, length: number, quiet?: boolean): boolean;

  /** Ends this side: FIN after everything written, files included. The peer may go on sending. */
  end(): void;
  /** Resets the connection: it is over at once, on both sides. No event follows. */
  reset(): void;
  /** Lets go: what was written is still sent, then FIN; where bytes wait unread it is a reset (RFC 2525 2.17). No event follows. */
  close(): void;

  /** Sends small segments at once (RFC 9293 3.7.4). Default false. */
  setNoDelay(on: boolean): void;
  /** Keepalive probes; times in ms, 0 keeps a value as it was. */
  setKeepAlive(on: boolean, idleMs?: number, intervalMs?: number, count?: number): void;
  /** How long what was written may go unacknowledged before ETIMEDOUT, ms; 0: the TCP server's own. */
  setUserTimeout(ms: number): void;
  /** Holds incomplete segments back for what follows them. */
  setCork(on: boolean): void;
  /** What TCP knows of the connection; null before it is open and after it was let go. */
  info(): TcpInfo | null;
}

/** A place that MemNet listens at. */
export interface MemNetListener {
  readonly address: string;
  readonly port: number;
  /** Stops listening. Flows live on. */
  close(): void;
}

/** Options of `MemNet.listen`. */
export interface MemNetListenOptions {
  /** Default 0: the TCP server chooses. */
  port?: number;
  /** An address of the TCP server; '0.0.0.0' for all of IPv4. Default '::', all of both families. */
  host?: string;
  /** With '::', take IPv6 alone. Default false. */
  ipv6Only?: boolean;
  /** Connections that may wait for this thread, half-open ones included. Default 511. */
  backlog?: number;
}

/** Options of `MemNet.connect`. */
export interface MemNetConnectOptions {
  port: number;
  /** An address, not a name. Default '127.0.0.1'. */
  host?: string;
  localAddress?: string;
  /** Default 0: chosen at random (RFC 6056). */
  localPort?: number;
}

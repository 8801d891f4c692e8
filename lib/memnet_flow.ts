/** One connection of MemNet: in between a flow of the channel and the queue of events. */
import { connectError, fileError, outOfRange, TcpServerError, transferError } from './errors.js';
import type { NetError } from './errors.js';
import type { MemNetFlow, MemNetListener } from './memnet_api.js';
import { ViewGuard } from './memnet_debug.js';
import { ACCEPT, ACKNOWLEDGED, CLOSE, CONNECT, ERROR, READABLE, SENT, WRITABLE } from './memnet_events.js';
import type { EventQueue } from './memnet_events.js';
import type { FlowHandler } from './runtime/app_api.js';
import type { ChannelFlow } from './runtime/app_flow.js';
import { FILE_BYTES_MOST } from './runtime/messages.js';
import type { TcpInfo } from './tcp/conn/info.js';

/** What a flow needs of its MemNet. */
export interface FlowOwner<Context> {
  readonly _queue: EventQueue<Context>;
  readonly debug: boolean;
  /** False once the TCP server has ended. */
  readonly alive: boolean;
  /** The app has let go of the flow, or it is over. */
  _left(flow: MemFlow<Context>): void;
}

export class MemFlow<Context> implements MemNetFlow<Context>, FlowHandler {
  context = undefined as Context;
  readonly listener: MemNetListener | null;
  /** What has happened and was not told, and the place in the queue. */
  _due = 0;
  _queued = false;
  _behind: MemFlow<Context> | null = null;
  private readonly owner: FlowOwner<Context>;
  /** In debug mode. */
  private guard: ViewGuard | null = null;
  /** Set right after construction: the flow of a `connect` is made with its handler. */
  private flow!: ChannelFlow;
  private errno = 0;
  /** Where it is being opened to; null once it is, and where it was accepted. */
  private target: { readonly host: string; readonly port: number } | null = null;
  private endTold = false;
  private over = false;

  constructor(owner: FlowOwner<Context>, listener: MemNetListener | null) {
    this.owner = owner;
    this.listener = listener;
  }

  /** The flow has been accepted. */
  _accept(flow: ChannelFlow): void {
    this.standOn(flow);
    flow.handler = this;
    this.owner._queue.add(this, ACCEPT);
  }

  /** The flow is being opened. */
  _connect(flow: ChannelFlow, host: string, port: number): void {
    this.standOn(flow);
    this.target = { host, port };
  }

  private standOn(flow: ChannelFlow): void {
    this.flow = flow;
    if (this.owner.debug) this.guard = new ViewGuard(flow.memory);
  }

  get localAddress(): string { return this.flow.localAddress; }
  get localPort(): number { return this.flow.localPort; }
  get remoteAddress(): string { return this.flow.remoteAddress; }
  get remotePort(): number { return this.flow.remotePort; }
  get memory(): Buffer { return this.flow.memory; }
  get readableLength(): number { return this.flow.readableLength; }
  get ended(): boolean { return this.flow.ended; }
  get unacknowledged(): number { return this.flow.unacknowledged; }
  get closed(): boolean { return this.over || this.flow.closed; }
  get dataAt(): number { return this.flow.dataAt; }
  get roomAt(): number { return this.flow.roomAt; }

  // ---- reading

  peek(): number {
    return this.flow.peek();
  }

  consume(length: number): void {
    if (!(length >= 0 && length <= this.flow.readableLength)) throw tooMany('consume', length, this.flow.readableLength, 'wait');
    if (this.guard !== null) this.guard.consumed(this.flow, length);
    else this.flow.consume(length);
  }

  peekBuffer(): Buffer | null {
    const length = this.flow.peek();
    if (length === 0) return null;
    const { dataAt } = this.flow;
    return this.guard === null ? this.flow.memory.subarray(dataAt, dataAt + length) : this.guard.lendView(dataAt, length);
  }

  // ---- writing

  reserve(length: number): number {
    if (!(length >= 0)) throw outOfRange('length', '>= 0', length);
    this.guard?.voidRoom();
    return this.flow.reserve(length);
  }

  commit(length: number): void {
    const { reserved, roomAt } = this.flow;
    if (!(length >= 0 && length <= reserved)) throw tooMany('commit', length, reserved, 'are reserved');
    this.guard?.committed(roomAt, length);
    this.flow.commit(length);
  }

  reserveBuffer(length: number): Buffer | null {
    const room = this.reserve(length);
    if (room === 0) return null;
    const { roomAt } = this.flow;
    return this.guard === null ? this.flow.memory.subarray(roomAt, roomAt + room) : this.guard.lendRoom(room);
  }

  write(bytes: Uint8Array, offset = 0, length = bytes.length - offset): number {
    if (!(offset >= 0 && length >= 0 && offset + length <= bytes.length)) {
      throw outOfRange('offset + length', `>= 0 and <= ${bytes.length}, which is the length of the bytes`, offset + length);
    }
    this.guard?.voidRoom();
    const taken = this.flow.write(bytes, offset, length);
    this.guard?.passed(taken);
    return taken;
  }

  sendFile(descriptor: number, offset: number, length: number, quiet = false): boolean {
    if (!Number.isInteger(descriptor) || descriptor < 0) throw outOfRange('descriptor', 'that of an open file', descriptor);
    if (!Number.isSafeInteger(offset) || offset < 0) throw outOfRange('offset', 'an integer >= 0', offset);
    if (!Number.isInteger(length) || length < 0 || length > FILE_BYTES_MOST) {
      throw outOfRange('length', `an integer >= 0 and <= ${FILE_BYTES_MOST}`, length, "Send more by another call, after 'sent'");
    }
    if (this.flow.writesNoMore || this.flow.sendingFile) return false;
    this.guard?.voidRoom();
    this.guard?.passed(length);
    if (length > 0) return this.flow.sendFile(descriptor, offset, length, quiet);
    this.owner._queue.add(this, SENT);
    return true;
  }

  // ---- the end

  end(): void {
    this.flow.end();
  }

  reset(): void {
    if (this.over) return;
    this.flow.reset();
    this.leave();
  }

  close(): void {
    if (this.over) return;
    this.flow.close();
    this.leave();
  }

  private leave(): void {
    this.over = true;
    this._due = 0;
    this.guard?.end();
    this.owner._left(this);
  }

  // ---- settings

  setNoDelay(on: boolean): void {
    this.flow.setNoDelay(on);
  }

  setKeepAlive(on: boolean, idleMs = 0, intervalMs = 0, count = 0): void {
    this.flow.setKeepAlive(on, idleMs, intervalMs, count);
  }

  setUserTimeout(ms: number): void {
    this.flow.setUserTimeout(ms);
  }

  setCork(on: boolean): void {
    this.flow.setCork(on);
  }

  info(): TcpInfo | null {
    return this.flow.info();
  }

  // ---- what the channel tells

  onConnect(): void {
    this.target = null;
    this.owner._queue.add(this, CONNECT);
  }

  onReadable(): void {
    this.owner._queue.add(this, READABLE);
  }

  onAcknowledged(): void {
    this.guard?.acknowledged(this.flow.unacknowledged);
    this.owner._queue.add(this, ACKNOWLEDGED);
  }

  onWritable(): void {
    this.owner._queue.add(this, WRITABLE);
  }

  onDrained(): void {
    // `unacknowledged` says so at 'acknowledged'.
  }

  onSent(): void {
    this.owner._queue.add(this, SENT);
  }

  onError(errno: number): void {
    this.errno = errno;
    this.owner._queue.add(this, ERROR);
  }

  onClose(): void {
    this.over = true;
    this.guard?.end();
    this.owner._queue.add(this, CLOSE);
    this.owner._left(this);
  }

  // ---- for the queue

  /** Whether there is still something to tell: the app may have done what was to be done before it was asked to. */
  _holds(bit: number): boolean {
    if (bit !== READABLE || this.flow.readableLength > 0) return true;
    if (!this.flow.ended || this.endTold) return false;
    this.endTold = true;
    return true;
  }

  _error(): NetError | TcpServerError {
    if (!this.owner.alive) return new TcpServerError('ERR_TCP_SERVER_DIED', 'The TCP server has ended, and every flow with it');
    if (this.flow.fileFailed) return fileError(this.errno);
    return this.target === null ? transferError(this.errno, 'read') : connectError(this.errno, this.target.host, this.target.port);
  }
}

function tooMany(call: string, length: number, most: number, are: string): RangeError {
  return outOfRange(`${call}(length)`, `>= 0 and <= ${most}, for that many bytes ${are}`, length);
}

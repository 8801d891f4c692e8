/** Moves bytes between a socket's stream and its flow, and keeps the event loop alive while it may still do so. */
import { addUser, removeUser } from './attachment.js';
import type { Port, PortUser } from './attachment.js';
import { serverEnded, transferError } from './errors.js';
import { InContext } from './net_flow_context.js';
import type { AppFlow, FlowHandler } from './runtime/app_api.js';
import { ECONNRESET, EPIPE } from './tcp/errno.js';

/** Largest chunk handed to the stream at once, bytes: what Node reads at once. */
const CHUNK = 65536;

export type WriteCallback = (error?: Error | null) => void;

/** One entry of what `_writev` is given. */
export interface WriteEntry {
  chunk: Uint8Array | string;
  encoding: BufferEncoding;
}

export function entryLength({ chunk, encoding }: WriteEntry): number {
  return typeof chunk === 'string' ? Buffer.byteLength(chunk, encoding) : chunk.length;
}

/** What memory `onread` wants bytes in, and who is told. */
export interface OnRead {
  /** The memory; or what gives it, asked before there is a connection and again after each `callback`. */
  buffer: Uint8Array | (() => Uint8Array);
  /** Called with the socket as `this`. @returns false to stop reading, until `resume` or `read`. */
  callback(length: number, buffer: Uint8Array): boolean | void;
}

/** What a flow needs of its socket. */
export interface FlowOwner {
  readonly destroyed: boolean;
  push(chunk: Uint8Array | null): boolean;
  /** As `push`, where the stream has not asked for bytes just now. */
  _pushNews(chunk: Uint8Array): boolean;
  read(size?: number): unknown;
  destroy(error?: Error): unknown;
  /** The end of the other side is told in the next turn. */
  _planEnd(): void;
  /** Bytes moved: the idle time begins anew. */
  _touch(): void;
  /** The active open is done. */
  _opened(): void;
  /** The active open failed. */
  _refused(errno: number): void;
}

const NOBODY: FlowHandler = { onConnect() {}, onReadable() {}, onWritable() {}, onDrained() {}, onError() {}, onClose() {} };

function pumpAgain(link: SocketFlow): void {
  link.onReadable();
}

/** A socket's end of its flow. */
export class SocketFlow implements FlowHandler, PortUser {
  private readonly owner: FlowOwner;
  readonly port: Port;
  /** Null until the flow is known, and after it was let go. */
  flow: AppFlow | null = null;
  bytesRead = 0;
  /** Bytes of the chunks handed over by the stream, whether the send buffer has taken them yet or not. */
  private handedOver = 0;
  private onread: OnRead | null = null;
  /** With `onread`, where the next bytes go. */
  private target: Uint8Array | null = null;
  /** The stream wants bytes. While it does not, they stay in shared memory and the window closes. */
  private reading = false;
  /** The active open is not done yet. */
  private opening = false;
  /** An accepted socket that the app has not seen yet: its bytes wait. */
  private held = false;
  /** The end has come, and is told in the next turn of the event loop. */
  private endDue = false;
  private ended = false;
  /** Why the flow is dead, and the app was not told: it neither reads nor writes. */
  private failed = 0;
  /** Called once the send buffer has taken the write in progress; null where there is none. */
  private callback: WriteCallback | null = null;
  private rest: Uint8Array | null = null;
  private restOffset = 0;
  private entries: WriteEntry[] | null = null;
  private entry = 0;
  /** Times that the send buffer took part of the write in progress. */
  private progress = 0;
  private progressSeen = 0;
  private wantsRef = true;
  private holdsRef = false;
  /** Of a connection that was asked for here: what its flow calls. */
  private inContext: InContext | null = null;

  constructor(owner: FlowOwner, port: Port) {
    this.owner = owner;
    this.port = port;
  }

  /** Has bytes go into memory of the app. */
  readInto(onread: OnRead): void {
    this.onread = onread;
    this.target = typeof onread.buffer === 'function' ? onread.buffer() : onread.buffer;
  }

  /** Opens a connection, once more where the one before has failed. Only addresses: names were looked up before. */
  connect(host: string, port: number, localAddress: string | undefined, localPort: number | undefined): void {
    this.opening = true;
    this.flow = this.port.connect(
      { host, port, ...(localAddress === undefined ? {} : { localAddress }), ...(localPort === undefined ? {} : { localPort }) },
      this.inContext ??= new InContext(this),
    );
    addUser(this);
    this.settle();
  }

  /** Gives up the connection that is being opened. */
  cancel(): void {
    const flow = this.flow;
    this.flow = null;
    if (flow !== null && this.port.alive) flow.reset();
  }

  /** Takes over a connection that was accepted. Bytes that came with it wait for `begin`. */
  accept(flow: AppFlow): void {
    this.held = true;
    this.flow = flow;
    flow.handler = this;
    addUser(this);
  }

  /** The accepted socket is in the app's hands: its first bytes may follow. */
  begin(): void {
    this.held = false;
    this.settle();
    if (this.reading) this.pump();
  }

  /** The stream wants bytes. */
  start(): void {
    this.reading = !this.ended;
    if (this.opening || this.held) return;
    this.settle();
    this.pump();
    if (this.failed !== 0 && this.readsError && this.flow?.readableLength === 0) this.fail();
  }

  /** The stream wants no more bytes for now. */
  stop(): void {
    this.reading = false;
    this.settle();
  }

  /** Writes one chunk; `callback` once the send buffer has taken it. */
  write(chunk: Uint8Array | string, encoding: BufferEncoding, callback: WriteCallback): void {
    if (this.failed !== 0) {
      callback(transferError(EPIPE, 'write'));
      return;
    }
    this.owner._touch();
    if (this.put(chunk, encoding)) callback();
    else this.wait(callback);
  }

  /** Writes several chunks. */
  writev(entries: WriteEntry[], callback: WriteCallback): void {
    if (this.failed !== 0) {
      callback(transferError(EPIPE, 'write'));
      return;
    }
    this.owner._touch();
    this.entries = entries;
    this.entry = 0;
    if (this.putEntries()) callback();
    else this.wait(callback);
  }

  /** FIN after everything written. */
  end(): void {
    if (this.failed === 0) this.flow?.end();
  }

  /** Bytes that were written, those that wait for room included. */
  get bytesWritten(): number {
    let bytes = this.handedOver;
    for (let i = this.entry; this.entries !== null && i < this.entries.length; i++) bytes += entryLength(this.entries[i] as WriteEntry);
    return bytes;
  }

  /** True where a write has made headway since this was last asked: the socket is not idle then. */
  advanced(): boolean {
    if (this.callback === null || this.progress === this.progressSeen) return false;
    this.progressSeen = this.progress;
    return true;
  }

  /** Lets go of the flow. No callback of it follows. */
  release(reset: boolean): void {
    const flow = this.flow;
    removeUser(this);
    this.flow = null;
    this.reading = false;
    this.opening = false;
    this.rest = null;
    this.entries = null;
    this.settle();
    if (flow === null || !this.port.alive) return;
    if (reset) flow.reset();
    else flow.close();
  }

  /** Ends the write in progress, which can no longer be carried out. */
  abandonWrite(): void {
    const callback = this.callback;
    this.callback = null;
    if (callback !== null) callback(null);
  }

  dismiss(): void {
    this.owner.destroy();
  }

  ref(): void {
    this.wantsRef = true;
    this.settle();
  }

  unref(): void {
    this.wantsRef = false;
    this.settle();
  }

  onConnect(): void {
    if (this.flow === null) return;
    this.opening = false;
    this.owner._opened();
    this.settle();
  }

  onReadable(): void {
    if (this.reading && !this.held) this.pump(true);
  }

  onWritable(): void {
    if (this.callback === null || this.flow === null) return;
    this.progress++;
    const rest = this.rest;
    if (rest !== null) {
      this.rest = null;
      if (!this.putBytes(rest, this.restOffset)) return;
    }
    if (!this.putEntries()) return;
    const callback = this.callback;
    this.callback = null;
    this.owner._touch();
    this.settle();
    callback();
  }

  onDrained(): void {
    // Writes are done for the stream as soon as the send buffer has them, as with the kernel's.
  }

  onError(errno: number): void {
    if (this.flow === null) return;
    if (!this.port.alive) {
      this.owner.destroy(serverEnded(this.port.failure));
      return;
    }
    if (this.opening) {
      this.opening = false;
      // Another may take its place: nothing more is heard of this one.
      this.flow.handler = NOBODY;
      this.flow = null;
      this.owner._refused(errno);
      return;
    }
    this.failed = errno;
    // As with the kernel, an app that neither reads nor writes learns of it when it next does.
    if (this.reading) this.pump();
    if (this.readsError || this.callback !== null) this.fail();
  }

  onClose(): void {
    if (this.flow === null || this.failed !== 0 || this.ended) return;
    if (!this.flow.ended && this.flow.readableLength === 0) this.onError(ECONNRESET);
  }

  /** The stream wants bytes of a flow whose end has not come: where it has, the end is what is read, whatever befalls the flow behind it. */
  private get readsError(): boolean {
    return this.reading && this.flow?.ended === false;
  }

  /** Tells the app that the flow is dead. */
  private fail(): void {
    if (this.flow === null) return;
    const callback = this.callback;
    if (this.readsError || callback === null) {
      this.owner.destroy(transferError(this.failed, 'read'));
      return;
    }
    this.callback = null;
    callback(transferError(this.failed, 'write'));
  }

  /** Hands over what waits in shared memory for as long as the stream wants it. @param news it has come just now, and nobody has asked for it. */
  private pump(news = false): void {
    const flow = this.flow;
    if (flow === null) return;
    const waiting = flow.readableLength > 0;
    if (waiting || flow.ended) this.owner._touch();
    let more = true;
    try {
      while (more && this.reading) more = this.onread === null ? this.pushChunk(flow, news) : this.fillBuffer(flow, this.onread);
    } finally {
      // The app has thrown at a chunk: what lies behind it, the end included, is told all the same.
      if (more && this.reading) setImmediate(pumpAgain, this);
    }
    // Callbacks of the app ran: the flow may be gone.
    if (!this.reading || this.flow === null || !flow.ended) return;
    // As in Node, what the last bytes have set going comes before the end does, and what follows from the end comes before any timer.
    if (!this.endDue) {
      this.endDue = true;
      setImmediate(pumpAgain, this);
      this.owner._planEnd();
      return;
    }
    this.reading = false;
    this.ended = true;
    this.settle();
    this.owner.push(null);
    this.owner.read(0);
  }

  private pushChunk(flow: AppFlow, news: boolean): boolean {
    const chunk = flow.read(CHUNK);
    if (chunk === null) return false;
    this.bytesRead += chunk.length;
    if (!(news ? this.owner._pushNews(chunk) : this.owner.push(chunk))) this.stop();
    return true;
  }

  private fillBuffer(flow: AppFlow, onread: OnRead): boolean {
    const { target } = this;
    const length = target === null ? 0 : flow.readInto(target, 0, target.length);
    if (length === 0) return false;
    this.bytesRead += length;
    if (onread.callback.call(this.owner, length, target as Uint8Array) === false) this.stop();
    if (typeof onread.buffer === 'function') this.target = onread.buffer();
    return true;
  }

  private put(chunk: Uint8Array | string, encoding: BufferEncoding): boolean {
    if (typeof chunk !== 'string') {
      this.handedOver += chunk.length;
      return this.putBytes(chunk, 0);
    }
    const taken = this.flow === null ? -1 : this.flow.writeText(chunk, encoding);
    if (taken > 0) {
      this.handedOver += taken;
      return true;
    }
    // It goes on in another block, or waits for room.
    const bytes = Buffer.from(chunk, encoding);
    this.handedOver += bytes.length;
    return this.putBytes(bytes, 0);
  }

  /** Hands bytes from `offset` on to the flow. Returns false where the send buffer took part of them: the rest is kept. */
  private putBytes(bytes: Uint8Array, offset: number): boolean {
    const left = bytes.length - offset;
    if (left === 0 || this.flow === null) return true;
    const taken = this.flow.write(bytes, offset, left);
    if (taken === left) return true;
    this.rest = bytes;
    this.restOffset = offset + taken;
    return false;
  }

  private putEntries(): boolean {
    const entries = this.entries;
    if (entries === null) return true;
    while (this.entry < entries.length) {
      const { chunk, encoding } = entries[this.entry++] as WriteEntry;
      if (!this.put(chunk, encoding)) return false;
    }
    this.entries = null;
    return true;
  }

  private wait(callback: WriteCallback): void {
    this.callback = callback;
    this.progressSeen = this.progress;
    this.settle();
  }

  /** Holds the event loop while the app may hear of this flow: as in Node, not where it neither reads nor writes. */
  private settle(): void {
    const wanted = this.wantsRef && this.flow !== null && (this.opening || this.held || this.reading || this.callback !== null);
    if (wanted === this.holdsRef) return;
    this.holdsRef = wanted;
    if (wanted) this.port.ref();
    else this.port.unref();
  }
}

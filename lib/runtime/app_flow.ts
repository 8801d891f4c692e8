/** One connection at its app thread: the two streams, and what is to be told to the TCP server. */
import type { AppFlow, FlowHandler } from './app_api.js';
import type { AppChannel } from './app_channel.js';
import { AppFile } from './app_file.js';
import { readInfo } from './app_info.js';
import { AppOptions } from './app_options.js';
import { ReceiveStream, SendStream } from './app_streams.js';
import { FLOW_CLOSE, FLOW_CONNECTED, FLOW_CORK, FLOW_END, FLOW_EOF, FLOW_ERROR, FLOW_FILE_ERROR, FLOW_GONE, FLOW_KEEP_ALIVE, FLOW_NO_DELAY, FLOW_OVER,
  FLOW_RESET, FLOW_TAKEN, FLOW_WAITING, SUBMIT_FLOW } from './messages.js';
import { LOCAL_ADDRESS, LOCAL_PORT, REMOTE_ADDRESS, REMOTE_PORT } from '../tcp/conn/tcb_words.js';
import type { TcpInfo } from '../tcp/conn/info.js';
import { ADDRESS_WORDS, formatAddress, formatAsIPv6, isMapped } from '../tcp/wire/address.js';

/** Bytes read before the TCP server is woken to open the window: well below the smallest buffer. Fewer it learns of when it looks next. */
const CONSUMED_WORTH_WAKING = 4096;

const DUE_CONNECT = 1;
const DUE_READABLE = 2;
const DUE_ROOM = 4;
const DUE_SENT = 8;
const DUE_ERROR = 16;
const DUE_OVER = 32;

const IGNORE: FlowHandler = { onConnect() {}, onReadable() {}, onWritable() {}, onDrained() {}, onError() {}, onClose() {} };

export class ChannelFlow implements AppFlow {
  handler: FlowHandler = IGNORE;
  /** The flow as the queues name it; -1 while the TCP server has not answered the connect. */
  index = -1;
  generation = 0;
  /** It belongs to a socket of IPv6, which shows IPv4 addresses as ::ffff:a.b.c.d. */
  asIPv6 = false;
  /** In the channel's list of flows to submit. */
  dirty = false;
  /** In the channel's list of flows that found no block to write in. */
  starved = false;
  readonly #channel: AppChannel;
  readonly #send: SendStream;
  readonly #receive: ReceiveStream;
  /** Null where the app has sent no file. */
  #file: AppFile | null = null;
  /** Position in the send stream, bytes of files included, up to which the peer has acknowledged. */
  #acknowledged = 0;
  /** Flags of the next submission, and those of the last completion. */
  #submit = 0;
  #completed = 0;
  /** Null where the app has set none of them. */
  #options: AppOptions | null = null;
  /** Position read up to when the TCP server was last woken for it. */
  #wokenAt = 0;
  #closed = false;
  /** DUE_*: what the app is still to be told, in the order of the bits. */
  #due = 0;
  /** With DUE_ERROR. */
  #errno = 0;
  /** It is over, but `onClose` waits until everything was read: until then the bytes are this flow's. */
  #overWaits = false;
  /** Copied from the TCB, laid out as there: both addresses, both ports. Null while they are read there, as long as the app holds the flow. */
  #ownEnds: Int32Array | null = NOWHERE;

  constructor(channel: AppChannel) {
    this.#channel = channel;
    this.#send = new SendStream(channel.memory, channel.sendBuffer);
    this.#receive = new ReceiveStream(channel.memory);
  }

  get localAddress(): string { return this.#format(LOCAL_ADDRESS); }
  get localPort(): number { return this.#end(LOCAL_PORT); }
  get remoteAddress(): string { return this.#format(REMOTE_ADDRESS); }
  get remotePort(): number { return this.#end(REMOTE_PORT); }
  get family(): 'IPv4' | 'IPv6' { return !this.asIPv6 && isMapped(this.#ends, this.#endsAt + REMOTE_ADDRESS) ? 'IPv4' : 'IPv6'; }
  /** The shared memory that its payload lies in. */
  get memory(): Buffer { return this.#channel.memory.bytes; }
  get readableLength(): number { return this.#receive.length; }
  get ended(): boolean { return (this.#completed & FLOW_EOF) !== 0 && this.#receive.length === 0; }
  get unacknowledged(): number { return (this.#written - this.#acknowledged) | 0; }
  /** First byte of what `peek` has found and of the room that `reserve` has found, as places in `AppMemory.bytes`. */
  get dataAt(): number { return this.#receive.dataAt; }
  get roomAt(): number { return this.#send.roomAt; }
  /** Bytes of the room that stands. */
  get reserved(): number { return this.#send.reserved; }
  /** A file of `sendFile` is not acknowledged to its end. */
  get sendingFile(): boolean { return this.#file !== null && this.#file.pending; }
  /** What `onError` tells is what reading the file gave. */
  get fileFailed(): boolean { return (this.#completed & FLOW_FILE_ERROR) !== 0; }
  /** Options, and a file, that are still to be submitted. */
  get optionsChanged(): boolean { return this.#options !== null && this.#options.changed; }
  get fileChanged(): boolean { return this.#file !== null && this.#file.changed; }
  /** The app has let go of it, or it is over. */
  get closed(): boolean { return this.#closed; }

  /** Position behind the last byte of the send stream, those of files included. */
  get #written(): number {
    return this.#file === null ? this.#send.written : this.#file.inStream(this.#send.written);
  }

  /** Where both addresses and both ports lie, as in the TCB. */
  get #ends(): Int32Array { return this.#ownEnds ?? this.#channel.tcb.words; }
  get #endsAt(): number { return this.#ownEnds === null ? this.#channel.tcb.at(this.index).localAt : 0; }

  #end(word: number): number {
    return this.#ends[this.#endsAt + word];
  }

  #format(word: number): string {
    const at = this.#endsAt + word;
    return this.asIPv6 ? formatAsIPv6(this.#ends, at) : formatAddress(this.#ends, at);
  }

  // ---- what the app asks for

  info(): TcpInfo | null {
    return this.index < 0 || this.#closed ? null : readInfo(this.#channel.tcb, this.index, this.generation);
  }

  read(max = 0x7fffffff): Buffer | null {
    const length = Math.min(max, this.#receive.length);
    if (length === 0) return null;
    const target = Buffer.allocUnsafe(length);
    this.readInto(target, 0, length);
    return target;
  }

  readInto(target: Uint8Array, offset: number, length: number): number {
    const count = this.#receive.read(target, offset, length);
    if (count > 0) this.#consumed();
    return count;
  }

  /** Bytes that wait in one piece, from `dataAt` on; more may wait behind them. 0 where none wait. */
  peek(): number {
    return this.#receive.peek();
  }

  /** `length` bytes, no more than wait, were read in place: their memory is given back. */
  consume(length: number): void {
    this.#receive.consume(length);
    if (length > 0) this.#consumed();
  }

  #consumed(): void {
    const wakes = ((this.#receive.consumed - this.#wokenAt) | 0) >= CONSUMED_WORTH_WAKING;
    if (wakes) this.#wokenAt = this.#receive.consumed;
    this.#channel.submitLater(this, wakes);
    if (this.#overWaits && this.#receive.length === 0) this.#channel.callLater(this);
  }

  /** True where nothing more may be written: it was ended, reset or closed. */
  get writesNoMore(): boolean {
    return this.#closed || (this.#submit & (FLOW_END | FLOW_RESET)) !== 0;
  }

  write(bytes: Uint8Array, offset: number, length: number): number {
    if (length === 0 || this.writesNoMore) return 0;
    const taken = this.#send.write(bytes, offset, length);
    if (taken < length) this.#lacksRoom();
    this.#channel.submitLater(this, true);
    return taken;
  }

  writeText(text: string, encoding: BufferEncoding): number {
    if (text.length === 0 || this.writesNoMore) return -1;
    const length = this.#send.writeText(text, encoding);
    if (length > 0) this.#channel.submitLater(this, true);
    return length;
  }

  /**
   * Room for at most `length` bytes in one piece, from `roomAt` on: fewer where a block ends. It stands until `commit`, `write` or the next
   * `reserve`. 0 where the buffer is at its bound, and `onWritable` follows; or where nothing more may be written.
   */
  reserve(length: number): number {
    if (length === 0 || this.writesNoMore) return 0;
    const room = this.#send.reserve(length);
    if (room > 0) return room;
    this.#lacksRoom();
    this.#channel.submitLater(this, true);
    return 0;
  }

  /** The first `length` bytes of the room, no more than it has, are written; the rest of the room is given back. */
  commit(length: number): void {
    this.#send.commit(length);
    if (length > 0) this.#channel.submitLater(this, true);
  }

  #lacksRoom(): void {
    this.#submit |= FLOW_WAITING;
    // No acknowledgement of its own will make room: it waits for a block that another flow gives back.
    if (this.#send.unacknowledged === 0) this.#channel.waitForBlock(this);
  }

  /**
   * Has the TCP server send bytes of a file behind everything written so far. The descriptor stays open, and the file as it is, until
   * `onSent` or the flow's end.
   *
   * @param length 1 to FILE_BYTES_MOST. @param quiet the thread is not woken for `onSent`: it comes with what else there is to tell.
   * @returns false where another file is not acknowledged yet, or nothing more may be written.
   */
  sendFile(descriptor: number, offset: number, length: number, quiet = false): boolean {
    if (this.writesNoMore || this.sendingFile) return false;
    (this.#file ??= new AppFile()).ask(this.#written, descriptor, offset, length, quiet);
    this.#channel.submitLater(this, true);
    return true;
  }

  end(): void {
    this.#request(FLOW_END);
  }

  reset(): void {
    this.#request(FLOW_RESET | FLOW_CLOSE);
    this.#letGo();
  }

  close(): void {
    this.#request(FLOW_CLOSE);
    this.#letGo();
  }

  setNoDelay(on: boolean): void {
    this.#toggle(FLOW_NO_DELAY, on);
  }

  setKeepAlive(on: boolean, idleMs: number, intervalMs: number, count: number): void {
    if (idleMs > 0 || intervalMs > 0 || count > 0) {
      this.#optionsToSet.setKeepAlive(idleMs, intervalMs, count);
      this.#optionsSet();
    }
    this.#toggle(FLOW_KEEP_ALIVE, on);
  }

  setUserTimeout(ms: number): void {
    this.#optionsToSet.setUserTimeout(ms);
    this.#optionsSet();
  }

  setFinWait(ms: number): void {
    this.#optionsToSet.setFinWait(ms);
    this.#optionsSet();
  }

  setTrafficClass(octet: number): void {
    this.#optionsToSet.setTrafficClass(octet);
    this.#optionsSet();
  }

  setCork(on: boolean): void {
    this.#toggle(FLOW_CORK, on);
    // What was held back is wanted now.
    if (!on) this.#channel.submitLater(this, true);
  }

  get #optionsToSet(): AppOptions {
    return this.#options ??= new AppOptions();
  }

  #optionsSet(): void {
    if (this.optionsChanged) this.#channel.submitLater(this, false);
  }

  // ---- for the channel

  /** The flow has its name from now on: it was accepted, or the connect was answered. */
  open(index: number, generation: number): void {
    this.index = index;
    this.generation = generation;
    this.#ownEnds = null;
    if (this.#submit !== 0 || this.#written !== 0 || this.optionsChanged) this.#channel.submitLater(this, true);
  }

  /** The app has the accepted flow in hand: it counts in the backlog no more. With `urgent` the TCP server hears of it at once. */
  take(urgent: boolean): void {
    this.#submit |= FLOW_TAKEN;
    this.#channel.submitLater(this, urgent);
  }

  /** Fills in the entry that comes before the other where options have changed. */
  writeOptions(words: Int32Array, at: number): void {
    this.#options?.write(words, at, this.index, this.generation);
  }

  /** Fills in the entry that comes before the other where there is a file to send. */
  writeFile(words: Int32Array, at: number): void {
    this.#file?.write(words, at, this.index, this.generation);
  }

  /** Fills in the submission entry at word `at`: the whole state of this side. */
  writeSubmission(words: Int32Array, at: number): void {
    words[at] = SUBMIT_FLOW | this.#submit;
    words[at + 1] = this.index;
    words[at + 2] = this.generation;
    words[at + 3] = this.#written;
    words[at + 4] = this.#receive.consumed;
    words[at + 5] = this.#send.chainFirst;
    words[at + 6] = this.#send.chainStart;
    words[at + 7] = 0;
    this.#submit &= ~FLOW_TAKEN;
  }

  /** Takes the completion entry at word `at`. Returns true where the flow is gone: its index may come back as another. */
  complete(words: Int32Array, at: number): boolean {
    const flags = words[at];
    const news = flags & ~this.#completed;
    this.#completed = flags;
    const freed = words[at + 4] !== this.#acknowledged;
    if (freed) this.#acknowledge(words[at + 4]);
    if ((flags & FLOW_GONE) !== 0) {
      this.#send.free();
      return true;
    }
    if (this.#closed) return false;
    const received = this.#receive.written;
    this.#receive.advance(words[at + 3], words[at + 5], words[at + 6]);
    this.#errno = words[at + 7];
    if ((news & FLOW_CONNECTED) !== 0) this.#due |= DUE_CONNECT;
    if (received !== this.#receive.written || (news & FLOW_EOF) !== 0) this.#due |= DUE_READABLE;
    if (freed) this.#due |= DUE_ROOM;
    if ((news & FLOW_ERROR) !== 0) this.#due |= DUE_ERROR;
    if ((news & FLOW_OVER) !== 0) this.#due |= DUE_OVER;
    this.#tell();
    return false;
  }

  #acknowledge(position: number): void {
    const file = this.#file;
    this.#acknowledged = position;
    this.#send.widen(this.#channel.tcb.at(this.index).cwnd);
    this.#send.acknowledge(file === null ? position : file.inChain(position));
    if (file !== null && file.acknowledge(position)) this.#due |= DUE_SENT;
  }

  /** The connect was refused, or the TCP server is no more. */
  fail(errno: number): void {
    this.#send.free();
    if (this.#closed) return;
    try {
      this.handler.onError(errno);
    } finally {
      this.#over();
    }
  }

  /** The thread has left the TCP server: nothing is read any more, because the memory may soon hold other things. */
  abandon(): void {
    this.#letGo();
  }

  /** Called from the event loop after `callLater`. */
  called(): void {
    this.#tell();
    if (this.#overWaits && this.#receive.length === 0) this.#over();
  }

  /** Tells the app what is due. Where the app throws, the rest follows from the event loop. */
  #tell(): void {
    try {
      while (this.#due !== 0) {
        const next = this.#due & -this.#due;
        this.#due ^= next;
        this.#tellOne(next);
      }
    } finally {
      if (this.#due !== 0) this.#channel.callLater(this);
    }
  }

  #tellOne(due: number): void {
    if (due === DUE_CONNECT) this.handler.onConnect();
    else if (due === DUE_READABLE) this.handler.onReadable();
    else if (due === DUE_ROOM) this.#acknowledgementCame();
    else if (due === DUE_SENT) this.handler.onSent?.();
    else if (due === DUE_ERROR) this.handler.onError(this.#errno);
    else if (this.#receive.length === 0) this.#over();
    else this.#overWaits = true;
  }

  #acknowledgementCame(): void {
    this.handler.onAcknowledged?.();
    this.#roomCame();
  }

  /** There are free blocks again after `waitForBlock`. */
  blockCame(): void {
    this.starved = false;
    if (!this.#closed) this.#roomCame();
  }

  #roomCame(): void {
    if ((this.#submit & FLOW_WAITING) !== 0) {
      this.#submit &= ~FLOW_WAITING;
      this.handler.onWritable();
    }
    if (this.unacknowledged === 0) this.handler.onDrained();
  }

  #over(): void {
    const handler = this.handler;
    this.#letGo();
    this.#request(FLOW_CLOSE);
    handler.onClose();
  }

  #letGo(): void {
    this.#ownEnds ??= this.#ends.slice(this.#endsAt, this.#endsAt + NOWHERE.length);
    this.#closed = true;
    this.#due = 0;
    this.#overWaits = false;
    this.#receive.drop();
    this.handler = IGNORE;
  }

  #request(flags: number): void {
    if ((this.#submit & flags) === flags) return;
    this.#submit |= flags;
    this.#channel.submitLater(this, true);
  }

  #toggle(flag: number, on: boolean): void {
    if (((this.#submit & flag) !== 0) === on) return;
    this.#submit = on ? this.#submit | flag : this.#submit & ~flag;
    this.#channel.submitLater(this, false);
  }
}

const NOWHERE = new Int32Array(ADDRESS_WORDS * 2 + 2);

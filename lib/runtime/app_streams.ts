/**
 * Payload memory as an app thread sees it: it writes the send streams of its flows and reads their receive streams. The
 * other side, and the picture of a chain, is in server_payload.ts.
 */
import { BLOCK_BYTES, BLOCK_SHIFT } from './layout.js';
import type { Layout } from './layout.js';
import { BlockPool } from './block_pool.js';

const NONE = -1;

/** What every stream of one app thread stands on. */
export class AppMemory {
  /** The whole shared memory as a plain alias: V8 copies to and from it by `memcpy`, which it does not for shared buffers. */
  readonly bytes: Buffer;
  readonly links: Int32Array;
  readonly blockBase: number;
  readonly arena: BlockPool;

  constructor(layout: Layout, words: Int32Array, bytes: Uint8Array, channel: number) {
    this.bytes = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const blocks = layout.sizes.receiveBlocks + layout.sizes.maxApps * layout.sizes.sendBlocks;
    this.links = words.subarray(layout.linkBase, layout.linkBase + blocks);
    this.blockBase = layout.blockBase;
    this.arena = new BlockPool(layout.arenaBase(channel), layout.sizes.sendBlocks);
  }
}

/** Of a part of an array so many bytes are copied one by one: `set` wants an array of its own for them, which is garbage at once. */
const LOOPED_BYTES = 256;

/** A UTF-16 unit takes at most so many bytes, in any encoding. */
const BYTES_A_UNIT = 3;

/** Bytes that may wait for acknowledgement on a flow whose congestion window is still small. */
export const SEND_BUFFER_INITIAL = 1 << 20;

/** The send stream of one flow, at its writer. */
export class SendStream {
  readonly #memory: AppMemory;
  readonly #most: number;
  #limit: number;
  /** Position behind the last byte written, and behind the last one acknowledged. */
  written = 0;
  acknowledged = 0;
  /** Where the present chain began: its first block, and the position of its first byte. */
  chainFirst = NONE;
  chainStart = 0;
  /** First byte of the room that `reserve` found, as a place in `AppMemory.bytes`. */
  roomAt = 0;
  /** Bytes of room handed out: what `commit` may take. */
  reserved = 0;
  #oldest = NONE;
  #oldestAt = 0;
  #last = NONE;
  #held = 0;
  /** A block that was taken for room and is in the chain only once bytes are in it. */
  #spare = NONE;

  /** @param most bytes that may wait for acknowledgement at most; it begins with SEND_BUFFER_INITIAL of them. */
  constructor(memory: AppMemory, most: number) {
    this.#memory = memory;
    this.#most = most;
    this.#limit = Math.min(most, SEND_BUFFER_INITIAL);
  }

  /**
   * The congestion window is `cwnd` bytes: as much waits behind it, so that it can be filled again at once (as Linux's
   * tcp_sndbuf_expand). A flow on a short path keeps a small share of the arena so.
   */
  widen(cwnd: number): void {
    if (2 * cwnd > this.#limit) this.#limit = Math.min(2 * cwnd, this.#most);
  }

  get unacknowledged(): number {
    return (this.written - this.acknowledged) | 0;
  }

  /** Copies bytes in; returns how many there was room for. */
  write(source: Uint8Array, offset: number, length: number): number {
    const { bytes, blockBase } = this.#memory;
    this.reserved = 0;
    let taken = 0;
    while (taken < length) {
      let used = this.#usedInLast();
      if (used === BLOCK_BYTES) {
        if (!this.#append()) break;
        used = 0;
      }
      const count = Math.min(length - taken, BLOCK_BYTES - used);
      const to = blockBase + (this.#last << BLOCK_SHIFT) + used;
      const from = offset + taken;
      if (source === bytes) bytes.copyWithin(to, from, from + count);
      else if (from === 0 && count === source.length) bytes.set(source, to);
      else if (count <= LOOPED_BYTES) for (let i = 0; i < count; i++) bytes[to + i] = source[from + i];
      else bytes.set(source.subarray(from, from + count), to);
      taken += count;
      this.written = (this.written + count) | 0;
    }
    return taken;
  }

  /** Encodes text in where the most that it may take is room in one piece. Returns its bytes, or -1. */
  writeText(text: string, encoding: BufferEncoding): number {
    const most = text.length * BYTES_A_UNIT;
    const room = this.reserve(most);
    const length = room === most ? this.#memory.bytes.write(text, this.roomAt, most, encoding) : 0;
    this.commit(length);
    return length > 0 ? length : -1;
  }

  /**
   * Room for at most `length` bytes behind what was written, in one piece that begins at `roomAt`: what is left of a block, or a
   * new one. Returns how many; 0 where the buffer is at its bound. The room stands until `commit`, `write` or the next `reserve`.
   */
  reserve(length: number): number {
    const { blockBase } = this.#memory;
    const used = this.#usedInLast();
    if (used < BLOCK_BYTES) {
      this.roomAt = blockBase + (this.#last << BLOCK_SHIFT) + used;
      return (this.reserved = Math.min(length, BLOCK_BYTES - used));
    }
    if (this.#spare === NONE) this.#spare = this.#take();
    if (this.#spare === NONE) return (this.reserved = 0);
    this.roomAt = blockBase + (this.#spare << BLOCK_SHIFT);
    return (this.reserved = Math.min(length, BLOCK_BYTES));
  }

  /** The first `length` bytes of the room are written; the rest of it is given back. */
  commit(length: number): void {
    this.reserved = 0;
    if (length === 0) {
      if (this.unacknowledged === 0) this.free();
      return;
    }
    if (this.#usedInLast() === BLOCK_BYTES) this.#append();
    this.written = (this.written + length) | 0;
  }

  /** The TCP server says that the peer has acknowledged up to `position`. */
  acknowledge(position: number): void {
    this.acknowledged = position;
    // Where room is handed out, the block that it lies in stays.
    if (position === this.written && this.reserved === 0) {
      this.free();
      return;
    }
    while (this.#held > 0 && ((position - this.#oldestAt) | 0) > BLOCK_BYTES) {
      const block = this.#oldest;
      this.#oldest = this.#memory.links[block];
      this.#oldestAt = (this.#oldestAt + BLOCK_BYTES) | 0;
      this.#held--;
      this.#memory.arena.give(block);
    }
  }

  /** Gives every block back: all was acknowledged, or the flow is gone. */
  free(): void {
    const { arena, links } = this.#memory;
    for (let block = this.#oldest; this.#held > 0; this.#held--) {
      const next = links[block];
      arena.give(block);
      block = next;
    }
    this.#oldest = this.#last = NONE;
    if (this.#spare !== NONE) arena.give(this.#spare);
    this.#spare = NONE;
    this.reserved = 0;
  }

  #usedInLast(): number {
    if (this.#last === NONE) return BLOCK_BYTES;
    const used = ((this.written - this.chainStart) | 0) & (BLOCK_BYTES - 1);
    // A block is appended only for bytes that follow, so a last block without any is a full one.
    return used === 0 ? BLOCK_BYTES : used;
  }

  #take(): number {
    if (this.#held > 0 && this.#held * BLOCK_BYTES >= this.#limit) return NONE;
    return this.#memory.arena.take(this.#held);
  }

  #append(): boolean {
    const block = this.#spare === NONE ? this.#take() : this.#spare;
    if (block === NONE) return false;
    this.#spare = NONE;
    if (this.#last === NONE) {
      this.chainFirst = this.#oldest = block;
      this.chainStart = this.#oldestAt = this.written;
    } else {
      this.#memory.links[this.#last] = block;
    }
    this.#last = block;
    this.#held++;
    return true;
  }
}

/** The receive stream of one flow, at its reader. */
export class ReceiveStream {
  readonly #memory: AppMemory;
  /** Position behind the last byte received in order, and behind the last one read. */
  written = 0;
  consumed = 0;
  #chainFirst = NONE;
  #chainStart = 0;
  #block = NONE;
  #blockAt = 0;
  /** First byte that `peek` has found, as a place in `AppMemory.bytes`. */
  dataAt = 0;

  constructor(memory: AppMemory) {
    this.#memory = memory;
  }

  get length(): number {
    return (this.written - this.consumed) | 0;
  }

  /** The TCP server says that bytes lie up to `position`, in the chain that began at `chainStart` in block `chainFirst`. */
  advance(position: number, chainFirst: number, chainStart: number): void {
    if (position === this.written) return;
    this.written = position;
    if (chainFirst !== this.#chainFirst || chainStart !== this.#chainStart) {
      this.#chainFirst = this.#block = chainFirst;
      this.#chainStart = this.#blockAt = chainStart;
    }
  }

  /** What was not read never will be; `consumed` goes on telling how far it was. */
  drop(): void {
    this.written = this.consumed;
  }

  /** Copies at most `length` bytes out. Returns how many there were. */
  read(target: Uint8Array, offset: number, length: number): number {
    const { bytes } = this.#memory;
    const total = Math.min(length, this.length);
    for (let done = 0; done < total; ) {
      const count = Math.min(total - done, this.peek());
      bytes.copy(target, offset + done, this.dataAt, this.dataAt + count);
      done += count;
      this.consumed = (this.consumed + count) | 0;
    }
    return total;
  }

  /** Bytes that wait in one piece, from `dataAt` on: those of one block. 0 where none wait. */
  peek(): number {
    const waiting = this.length;
    if (waiting === 0) return 0;
    let at = (this.consumed - this.#blockAt) | 0;
    if (at === BLOCK_BYTES) {
      this.#follow();
      at = 0;
    }
    this.dataAt = this.#memory.blockBase + (this.#block << BLOCK_SHIFT) + at;
    return Math.min(waiting, BLOCK_BYTES - at);
  }

  /** `length` bytes, which wait, were read in place. */
  consume(length: number): void {
    this.consumed = (this.consumed + length) | 0;
    // A block that was left lies no longer in the chain once the TCP server hears of it: the reader goes on before that.
    while (((this.consumed - this.#blockAt) | 0) > BLOCK_BYTES) this.#follow();
  }

  #follow(): void {
    this.#block = this.#memory.links[this.#block];
    this.#blockAt = (this.#blockAt + BLOCK_BYTES) | 0;
  }
}

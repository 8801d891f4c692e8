/**
 * `sendFile` at the TCP server: files are read into blocks of the receive pool as the send window makes room, and leave from there.
 * The app thread touches none of their bytes.
 *
 * ```
 *   descriptor ──pread──▶ │ block │─▶│ block │─▶│ block │ ──▶ frames
 *                          ▲ first (oldest not acknowledged)  ▲ last
 * ```
 *
 * Nobody waits for a disk: what is not in the page cache is asked for, and looked for again while the others go on.
 *
 * Bounds: one file of a flow at a time; of it no more than what twice the congestion window holds is in memory; all files together hold a
 * quarter of the receive pool at most; and a turn reads no more than TURN_BYTES, of which one file gets FLOW_BYTES before the next has its turn.
 */
import { EAGAIN, EINTR, EOPNOTSUPP } from '../nic/system_error.js';
import { addressOf, pread, preadCached, readAhead } from '../nic/syscalls.js';
import type { PayloadOutput } from '../tcp/payload.js';
import type { BlockPool } from './block_pool.js';
import { FilePart } from './file_part.js';
import { BLOCK_BYTES, BLOCK_SHIFT } from './layout.js';

const NONE = -1;
/** The file ends before the bytes that were asked for do. */
export const ENODATA = 61;

/** Bytes read in a turn, and of one file in a go. */
const TURN_BYTES = 1 << 20;
const FLOW_BYTES = 1 << 18;
/** Bytes of a file that may be in memory while the congestion window is still small. */
const AHEAD_BYTES = 1 << 18;
/** Part of the receive pool that files may hold: one in so many blocks. */
const POOL_SHARE = 4;

/** Times that a file is looked at in vain, some ms apart, before the disk is waited for after all. */
const LOOKS_MOST = 50;

/** How files are read; the places of tests to stand in for a disk. */
export interface FileReader {
  readonly pread: typeof pread;
  readonly preadCached: typeof preadCached;
  readonly readAhead: typeof readAhead;
}

/** The file that a flow sends, or sent last. Offsets count from the first byte that was asked for. */
class FileSend extends FilePart {
  flow = NONE;
  descriptor = NONE;
  /** Where in the file its bytes begin. */
  offset = 0;
  /** The app thread has counted its bytes in what it has written: they may be sent. */
  counted = false;
  /** Bytes that were read. */
  read = 0;
  /** Its last byte was acknowledged, and the app thread has not been woken for it; it need not be. */
  done = false;
  quiet = false;
  /** Blocks: the oldest that is held, the one that was sent from last, with the offsets of their first bytes, and the newest. */
  first = NONE;
  firstAt = 0;
  next = NONE;
  nextAt = 0;
  last = NONE;
  held = 0;
  /** Times in a row that the page cache did not have what comes next. */
  looks = 0;
  /** Its file system cannot tell what it has in the page cache. */
  uncertain = false;
  /** It waits for its turn to be read, and who comes after it. */
  queued = false;
  behind: FileSend | null = null;
}

export class ServerFiles {
  readonly #pool: BlockPool;
  readonly #chains: Int32Array;
  readonly #blockBase: number;
  /** Of byte 0; whoever owns this keeps the memory. */
  readonly #address: number;
  /** For each flow 0, or one more than the index of what it sends. */
  readonly #indexes: Int32Array;
  readonly #sends: FileSend[] = [];
  readonly #unused: number[] = [];
  /** Those that have something to read and may have room for it, in the order they came. */
  #firstQueued: FileSend | null = null;
  #lastQueued: FileSend | null = null;
  /** Blocks that all files hold. */
  #held = 0;
  readonly #most: number;
  readonly #reader: FileReader;
  /** Something was not in the page cache at the last look. */
  waiting = false;

  /**
   * @param pool blocks that are handed out by their number, and `chains` their links.
   * @param blockBase byte of block 0 in `bytes`.
   */
  constructor(
    pool: BlockPool, chains: Int32Array, bytes: Uint8Array, blockBase: number, maxFlows: number, reader: FileReader = { pread, preadCached, readAhead },
  ) {
    this.#pool = pool;
    this.#chains = chains;
    this.#address = addressOf(bytes);
    this.#blockBase = blockBase;
    this.#reader = reader;
    this.#indexes = new Int32Array(maxFlows);
    this.#most = Math.max(1, Math.floor(pool.capacity / POOL_SHARE));
  }

  /** Blocks that files hold. */
  get blocksHeld(): number {
    return this.#held;
  }

  /** What the flow sends or has sent; null where it never sent a file. */
  of(flow: number): FileSend | null {
    const index = this.#indexes[flow];
    return index === 0 ? null : this.#sends[index - 1];
  }

  /** The flow has a file whose bytes are not all read yet: what was written after it, and its end, have to wait. */
  holds(flow: number): boolean {
    const send = this.of(flow);
    return send !== null && send.pending && send.counted && send.read < send.length;
  }

  /** True once after the last byte of the flow's file was acknowledged, unless it is a quiet one. */
  takeDone(flow: number): boolean {
    const send = this.of(flow);
    if (send === null || !send.done) return false;
    send.done = false;
    return true;
  }

  /**
   * The app thread has asked for a file.
   *
   * @param at position in the stream of its first byte. @param quiet the app thread is not woken when it was acknowledged.
   * @returns false where another is not acknowledged yet.
   */
  add(flow: number, at: number, descriptor: number, offset: number, length: number, quiet = false): boolean {
    const send = this.of(flow) ?? this.#open(flow);
    if (send.pending) return false;
    send.at = at;
    send.descriptor = descriptor;
    send.offset = offset;
    send.length = length;
    send.pending = true;
    send.quiet = quiet;
    send.uncertain = false;
    send.counted = send.done = false;
    send.read = send.firstAt = send.nextAt = send.looks = 0;
    send.first = send.next = send.last = NONE;
    return true;
  }

  /** Whether the app thread may have written up to `position`: the file, once asked for, is counted as a whole. */
  mayCount(send: FileSend, position: number): boolean {
    return !send.pending || ((position - send.at) | 0) >= send.length;
  }

  /** The app thread has counted the file in what it has written: it may be read and sent. */
  count(send: FileSend): void {
    if (!send.pending || send.counted) return;
    send.counted = true;
    this.#enqueue(send);
  }

  /** How far the flow's stream can be sent, where the app thread has written up to `written`. */
  available(flow: number, written: number): number {
    const send = this.of(flow);
    if (send === null || !send.pending || send.read === send.length) return written;
    return send.counted ? (send.at + send.read) | 0 : written;
  }

  /** The flow's connection is over: nothing of its file is sent any more. How positions count stays as it is. */
  stop(flow: number): void {
    const send = this.of(flow);
    if (send === null || !send.pending) return;
    this.#free(send);
    send.read = send.length;
  }

  /** Forgets what the flow sends and has sent. */
  drop(flow: number): void {
    const send = this.of(flow);
    if (send === null) return;
    this.#free(send);
    send.flow = NONE;
    send.before = 0;
    send.pending = send.done = false;
    this.#unused.push(this.#indexes[flow]);
    this.#indexes[flow] = 0;
  }

  #open(flow: number): FileSend {
    const index = this.#unused.pop() ?? this.#sends.push(new FileSend());
    const send = this.#sends[index - 1];
    send.flow = flow;
    this.#indexes[flow] = index;
    return send;
  }

  // ---- reading

  /**
   * Reads files on, as far as there is room, and calls `progressed` for each flow of which something was read, or reading failed: with an
   * errno then, else 0.
   *
   * @param room bytes of a flow's file that its congestion window can make use of.
   * @returns the number of pieces read: 0 where nothing more can be read before something is acknowledged.
   */
  read(room: (flow: number) => number, progressed: (flow: number, errno: number) => void): number {
    let budget = TURN_BYTES;
    let pieces = 0;
    this.waiting = false;
    // Who comes back to the end of the queue has had its turn.
    const last = this.#lastQueued;
    for (let send = this.#firstQueued; send !== null && budget > 0; send = send === last ? null : this.#firstQueued) {
      this.#firstQueued = send.behind;
      if (send.behind === null) this.#lastQueued = null;
      send.behind = null;
      send.queued = false;
      // It may have been dropped meanwhile.
      if (!send.pending || !send.counted || send.read === send.length) continue;
      const before = send.read;
      const errno = this.#readOn(send, Math.max(AHEAD_BYTES, room(send.flow)));
      if (send.read > before) pieces++;
      budget -= send.read - before;
      if (send.read > before || errno !== 0) progressed(send.flow, errno);
    }
    return pieces;
  }

  /** Reads until there is no room, the file's part is complete, or others are to have their turn. Returns an errno or 0. */
  #readOn(send: FileSend, room: number): number {
    const end = Math.min(send.length, send.read + FLOW_BYTES);
    while (send.read < end) {
      const used = send.read & (BLOCK_BYTES - 1);
      if (used === 0 && send.read === send.firstAt + send.held * BLOCK_BYTES && !this.#append(send, room)) return 0;
      const count = this.#readPiece(send, this.#blockBase + (send.last << BLOCK_SHIFT) + used, Math.min(BLOCK_BYTES - used, send.length - send.read));
      if (count === -EINTR) continue;
      if (count === -EAGAIN) {
        this.waiting = true;
        break;
      }
      if (count <= 0) return count === 0 ? ENODATA : -count;
      send.read += count;
    }
    if (send.read < send.length) this.#enqueue(send);
    return 0;
  }

  /** Reads what follows to place `to`. Returns how many bytes, 0 at the file's end, or -errno: -EAGAIN where the disk has been asked for it. */
  #readPiece(send: FileSend, to: number, length: number): number {
    const { pread, preadCached, readAhead } = this.#reader;
    const at = send.offset + send.read;
    if (!send.uncertain && send.looks < LOOKS_MOST) {
      const count = preadCached(send.descriptor, this.#address + to, length, at);
      if (count === -EAGAIN) {
        if (send.looks++ === 0) readAhead(send.descriptor, at, Math.min(FLOW_BYTES, send.length - send.read));
        return count;
      }
      send.looks = 0;
      if (count !== -EOPNOTSUPP) return count;
      send.uncertain = true;
    }
    send.looks = 0;
    return pread(send.descriptor, this.#address + to, length, at);
  }

  #append(send: FileSend, room: number): boolean {
    if (send.held > 0 && send.held * BLOCK_BYTES >= room) return false;
    // As in a pool, nobody holds more than is left over, so that a newcomer finds some.
    const block = send.held < this.#most - this.#held ? this.#pool.take(send.held) : NONE;
    if (block === NONE) {
      // Acknowledgements of others make room, too.
      this.#enqueue(send);
      return false;
    }
    if (send.held === 0) {
      send.first = send.next = block;
      send.firstAt = send.nextAt = send.read;
    } else {
      this.#chains[send.last] = block;
    }
    send.last = block;
    send.held++;
    this.#held++;
    return true;
  }

  #enqueue(send: FileSend): void {
    if (send.queued) return;
    send.queued = true;
    if (this.#lastQueued === null) this.#firstQueued = send;
    else this.#lastQueued.behind = send;
    this.#lastQueued = send;
  }

  // ---- sending

  /** Adds bytes of the file from `offset` on to a packet, in at most `spans` spans. Returns how many it added. */
  gather(send: FileSend, offset: number, length: number, spans: number, output: PayloadOutput): number {
    const fromNext = offset >= send.nextAt;
    let block = fromNext ? send.next : send.first;
    let blockAt = fromNext ? send.nextAt : send.firstAt;
    for (; offset - blockAt >= BLOCK_BYTES; blockAt += BLOCK_BYTES) block = this.#chains[block];
    const total = Math.min(length, send.read - offset);
    let gathered = 0;
    for (let used = 0; gathered < total && used < spans; used++) {
      if (offset + gathered - blockAt === BLOCK_BYTES) {
        block = this.#chains[block];
        blockAt += BLOCK_BYTES;
      }
      const at = offset + gathered - blockAt;
      const count = Math.min(total - gathered, BLOCK_BYTES - at);
      output.append(this.#blockBase + (block << BLOCK_SHIFT) + at, count);
      gathered += count;
    }
    if (blockAt > send.nextAt) {
      send.next = block;
      send.nextAt = blockAt;
    }
    return gathered;
  }

  /** The peer has acknowledged the stream up to `position`. */
  acknowledged(send: FileSend, position: number): void {
    if (!send.pending || !send.counted) return;
    const offset = Math.min((position - send.at) | 0, send.length);
    if (offset <= 0) return;
    // A block that was acknowledged to its end goes where it is known that another follows, or none.
    while (send.held > 1 && offset - send.firstAt >= BLOCK_BYTES) {
      const block = send.first;
      send.first = this.#chains[block];
      send.firstAt += BLOCK_BYTES;
      this.#give(send, block);
    }
    if (send.nextAt < send.firstAt) {
      send.next = send.first;
      send.nextAt = send.firstAt;
    }
    if (send.acknowledge(position)) {
      send.done = !send.quiet;
      this.#free(send);
    } else if (send.read < send.length) {
      this.#enqueue(send);
    }
  }

  #give(send: FileSend, block: number): void {
    this.#pool.give(block);
    send.held--;
    this.#held--;
  }

  #free(send: FileSend): void {
    for (let block = send.first; send.held > 0; ) {
      const next = this.#chains[block];
      this.#give(send, block);
      block = next;
    }
    send.first = send.next = send.last = NONE;
  }
}

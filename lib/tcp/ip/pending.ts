/**
 * Packets that wait until the link address of their next hop is known (RFC 1122 2.3.2.2).
 *
 * They lie as chains of blocks in one pool of fixed size, one queue for each neighbour entry. Where a queue has its
 * share or the pool is full, the oldest packets of that queue go first: their senders have waited longest and will
 * send again.
 */
import { copyBytes } from '../wire/bytes.js';

/** A SYN takes one block. */
const BLOCK = 128;
const NONE = -1;

/** Room in which a packet is put together before it is queued: the largest packet, and some for headers. */
const SCRATCH = 65536 + 256;

export class PendingPackets {
  /** The pool, and behind it the room at `scratch`. */
  readonly bytes: Uint8Array;
  /** Offset in `bytes` at which a packet is put together. */
  readonly scratch: number;
  /** What the last `shift` said about its packet: see `Device.commit`. */
  checksumStart = 0;
  segmentSize = 0;
  /** Packets that were dropped for want of room. */
  discards = 0;

  private readonly share: number;
  private free = 0;
  private freeCount: number;
  /** Next block of the packet or of the free list. */
  private readonly nextBlock: Int32Array;
  /** The rest is by the first block of a packet. */
  private readonly nextPacket: Int32Array;
  private readonly lengths: Int32Array;
  private readonly checksumStarts: Int32Array;
  private readonly segmentSizes: Int32Array;
  /** By queue. */
  private readonly heads: Int32Array;
  private readonly tails: Int32Array;
  private readonly held: Int32Array;

  /** @param queues number of queues. @param blocks blocks of 128 bytes in the pool; one queue holds at most 3/4 of them. */
  constructor(queues: number, blocks: number) {
    this.scratch = blocks * BLOCK;
    this.bytes = new Uint8Array(this.scratch + SCRATCH);
    this.share = (blocks * 3) >> 2;
    this.freeCount = blocks;
    this.nextBlock = new Int32Array(blocks);
    for (let i = 0; i < blocks; i++) this.nextBlock[i] = i + 1 < blocks ? i + 1 : NONE;
    this.nextPacket = new Int32Array(blocks);
    this.lengths = new Int32Array(blocks);
    this.checksumStarts = new Int32Array(blocks);
    this.segmentSizes = new Int32Array(blocks);
    this.heads = new Int32Array(queues).fill(NONE);
    this.tails = new Int32Array(queues).fill(NONE);
    this.held = new Int32Array(queues);
  }

  isEmpty(queue: number): boolean {
    return this.heads[queue] === NONE;
  }

  /** Queues a copy of the packet at `offset` of `bytes`. False where it does not fit. */
  push(queue: number, offset: number, length: number, checksumStart: number, segmentSize: number): boolean {
    const need = Math.ceil(length / BLOCK);
    if (need > this.share) {
      this.discards++;
      return false;
    }
    while ((this.held[queue]! + need > this.share || need > this.freeCount) && !this.isEmpty(queue)) {
      this.drop(queue);
      this.discards++;
    }
    if (need > this.freeCount) {
      this.discards++;
      return false;
    }
    const first = this.fill(offset, length);
    this.held[queue] = this.held[queue]! + need;
    this.nextPacket[first] = NONE;
    this.lengths[first] = length;
    this.checksumStarts[first] = checksumStart;
    this.segmentSizes[first] = segmentSize;
    if (this.isEmpty(queue)) this.heads[queue] = first;
    else this.nextPacket[this.tails[queue]!] = first;
    this.tails[queue] = first;
    return true;
  }

  /** Copies the oldest packet of a queue that is not empty to `target` and forgets it. Returns its length. */
  shift(queue: number, target: Uint8Array, targetAt: number): number {
    const first = this.heads[queue]!;
    const length = this.lengths[first]!;
    let block = first;
    for (let done = 0; done < length; done += BLOCK) {
      copyBytes(this.bytes, block * BLOCK, target, targetAt + done, Math.min(BLOCK, length - done));
      block = this.nextBlock[block]!;
    }
    this.checksumStart = this.checksumStarts[first]!;
    this.segmentSize = this.segmentSizes[first]!;
    this.drop(queue);
    return length;
  }

  /** Offset in `bytes` of the first 128 bytes, or all, of the oldest packet of a queue that is not empty. */
  peek(queue: number): number {
    return this.heads[queue]! * BLOCK;
  }

  /** Forgets the oldest packet of a queue that is not empty. */
  drop(queue: number): void {
    const first = this.heads[queue]!;
    this.heads[queue] = this.nextPacket[first]!;
    if (this.isEmpty(queue)) this.tails[queue] = NONE;
    let last = first;
    let count = 1;
    for (let left = this.lengths[first]! - BLOCK; left > 0; left -= BLOCK) {
      last = this.nextBlock[last]!;
      count++;
    }
    this.nextBlock[last] = this.free;
    this.free = first;
    this.freeCount += count;
    this.held[queue] = this.held[queue]! - count;
  }

  /** Forgets all packets of a queue. Returns how many there were. */
  clear(queue: number): number {
    let count = 0;
    for (; !this.isEmpty(queue); count++) this.drop(queue);
    return count;
  }

  /** Copies bytes into blocks from the free list, which has enough. Returns the first. */
  private fill(offset: number, length: number): number {
    const first = this.free;
    let block = first;
    for (let done = 0; ; ) {
      this.bytes.copyWithin(block * BLOCK, offset + done, offset + Math.min(done + BLOCK, length));
      this.freeCount--;
      done += BLOCK;
      this.free = this.nextBlock[block]!;
      if (done >= length) return first;
      block = this.free;
    }
  }
}

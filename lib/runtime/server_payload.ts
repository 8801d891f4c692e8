/**
 * Payload memory as the TCP server sees it: it writes the receive streams and reads the send streams.
 *
 * A stream lies in a chain of blocks. Block k of a chain holds the bytes at positions chainStart + k × BLOCK_BYTES and
 * on; each block's link names the next. The writer of a stream owns its blocks: it begins a chain when bytes are there
 * and frees it when the reader has had all of them, so a flow at rest holds none. Reader and writer tell each other only
 * positions, and where the chain begins.
 *
 * ```
 *            chainStart                consumed          written
 *               ▼                         ▼                 ▼
 *            ┌───────────┐   ┌───────────┐   ┌───────────┐
 *   first ─▶ │ (freed)   │─▶ │ ░░░░░░▓▓▓ │─▶ │ ▓▓▓▓      │        links[block] → next block
 *            └───────────┘   └───────────┘   └───────────┘
 * ```
 */
import { MAX_SPANS, type FrameRest } from '../nic/device.js';
import { Tcb } from '../tcp/conn/tcb.js';
import type { Payload, PayloadOutput } from '../tcp/payload.js';
import { BlockPool } from './block_pool.js';
import { BLOCK_BYTES, BLOCK_SHIFT } from './layout.js';
import type { Layout } from './layout.js';
import { ServerFiles } from './server_files.js';

const NONE = -1;

/** Chains of one flow, as words of a private table. */
const RX_FIRST = 0;
const RX_FIRST_AT = 1;
const RX_TAIL = 2;
const RX_TAIL_AT = 3;
const RX_CHAIN_FIRST = 4;
const RX_CHAIN_START = 5;
/** Position behind the last byte stored, out of order or not. */
const RX_HIGH = 6;
const RX_HELD = 7;
const TX_ARENA = 8;
const TX_UNA = 9;
const TX_UNA_AT = 10;
const TX_NEXT = 11;
const TX_NEXT_AT = 12;
const TX_CHAIN_START = 13;
const TX_WRITTEN = 14;
const TX_ACKED = 15;
const FLOW_WORDS = 16;

export class ServerPayload implements Payload {
  readonly #bytes: Uint8Array;
  /** In shared memory: those of send chains are read from it, each looked at before it is followed. */
  readonly #links: Int32Array;
  /** Links of the receive pool as they are; readers have a copy, and what becomes of it is no matter. */
  readonly #chains: Int32Array;
  readonly #blockBase: number;
  readonly #sendBlocks: number;
  readonly #receive: BlockPool;
  readonly #flows: Int32Array;
  readonly #tcb: Tcb;
  /** What comes out of files, in send streams; where a flow has one, its chain counts without it (file_part.ts). */
  readonly files: ServerFiles;
  /** Spans that the packet at hand may still take. */
  #spans = 0;
  /** Flow whose send chain was found to name a block outside its arena, or -1; cleared by whoever has acted on it. */
  violated = NONE;

  constructor(layout: Layout, words: Int32Array, bytes: Uint8Array) {
    this.#bytes = bytes;
    const blocks = layout.sizes.receiveBlocks + layout.sizes.maxApps * layout.sizes.sendBlocks;
    this.#links = words.subarray(layout.linkBase, layout.linkBase + blocks);
    this.#chains = new Int32Array(layout.sizes.receiveBlocks);
    this.#blockBase = layout.blockBase;
    this.#sendBlocks = layout.sizes.sendBlocks;
    this.#receive = new BlockPool(0, layout.sizes.receiveBlocks);
    this.#flows = new Int32Array(layout.sizes.maxFlows * FLOW_WORDS);
    this.#tcb = new Tcb(words, layout.tcbBase);
    this.files = new ServerFiles(this.#receive, this.#chains, bytes, layout.blockBase, layout.sizes.maxFlows);
  }

  get receiveBlocksFree(): number {
    return this.#receive.available;
  }

  /** A new flow; its send stream lies in the arena that begins with block `arenaBase`. */
  open(flow: number, arenaBase: number): void {
    const r = flow * FLOW_WORDS;
    this.#flows[r + TX_ARENA] = arenaBase;
  }

  /** A flow that the stack has just made, before an app thread owns it. */
  reset(flow: number): void {
    const r = flow * FLOW_WORDS;
    const flows = this.#flows;
    this.#dropReceived(r);
    this.files.drop(flow);
    flows.fill(0, r, r + FLOW_WORDS);
    flows[r + RX_FIRST] = NONE;
    flows[r + TX_ARENA] = NONE;
    flows[r + TX_UNA] = NONE;
    flows[r + TX_NEXT] = NONE;
  }

  // ---- the receive stream: written here, read by the app thread

  store(flow: number, position: number, source: Uint8Array, offset: number, length: number, rest: FrameRest | null): boolean {
    const flows = this.#flows;
    const r = flow * FLOW_WORDS;
    if (flows[r + RX_FIRST] === NONE && !this.#beginChain(r, flow)) return false;
    const end = (position + length) | 0;
    if (((position - flows[r + RX_FIRST_AT]) | 0) < 0 || !this.#extendChain(r, end)) return false;
    const fromTail = ((position - flows[r + RX_TAIL_AT]) | 0) >= 0;
    let block = flows[r + (fromTail ? RX_TAIL : RX_FIRST)];
    let at = (position - flows[r + (fromTail ? RX_TAIL_AT : RX_FIRST_AT)]) | 0;
    for (; at >= BLOCK_BYTES; at -= BLOCK_BYTES) block = this.#chains[block];
    if (rest !== null) rest.from(offset);
    while (length > 0) {
      const count = Math.min(length, BLOCK_BYTES - at);
      const to = this.#blockBase + (block << BLOCK_SHIFT) + at;
      if (rest === null) copy(this.#bytes, to, source, offset, count);
      else rest.into(to, count);
      offset += count;
      length -= count;
      at = 0;
      if (length > 0) block = this.#chains[block];
    }
    if (rest !== null && !rest.fetch()) return false;
    if (((end - flows[r + RX_HIGH]) | 0) > 0) flows[r + RX_HIGH] = end;
    return true;
  }

  receiveRoom(): number {
    return this.#receive.available * BLOCK_BYTES;
  }

  /** The app thread has read up to `position`: blocks before it are free. */
  consumed(flow: number, position: number): void {
    const flows = this.#flows;
    const r = flow * FLOW_WORDS;
    if (flows[r + RX_FIRST] === NONE) return;
    if (position === flows[r + RX_HIGH]) {
      this.#dropReceived(r);
      return;
    }
    // The reader stays on a block that it has read to the end until it reads on: only then is the block left by both.
    while (((position - flows[r + RX_FIRST_AT]) | 0) > BLOCK_BYTES) {
      const block = flows[r + RX_FIRST];
      flows[r + RX_FIRST] = this.#chains[block];
      flows[r + RX_FIRST_AT] = (flows[r + RX_FIRST_AT] + BLOCK_BYTES) | 0;
      flows[r + RX_HELD]--;
      this.#receive.give(block);
    }
  }

  /** Block in which the flow's present receive chain began, and its position: what the reader needs to find the bytes. */
  chainFirst(flow: number): number {
    return this.#flows[flow * FLOW_WORDS + RX_CHAIN_FIRST];
  }

  chainStart(flow: number): number {
    return this.#flows[flow * FLOW_WORDS + RX_CHAIN_START];
  }

  #beginChain(r: number, flow: number): boolean {
    const flows = this.#flows;
    const block = this.#receive.take(0);
    if (block === NONE) return false;
    // Everything in order was consumed, or there would be a chain: the next one begins at the next byte in order.
    const start = this.#tcb.at(flow).received;
    this.#link(block, NONE);
    flows[r + RX_FIRST] = flows[r + RX_TAIL] = flows[r + RX_CHAIN_FIRST] = block;
    flows[r + RX_FIRST_AT] = flows[r + RX_TAIL_AT] = flows[r + RX_CHAIN_START] = flows[r + RX_HIGH] = start;
    flows[r + RX_HELD] = 1;
    return true;
  }

  #extendChain(r: number, end: number): boolean {
    const flows = this.#flows;
    while (((end - flows[r + RX_TAIL_AT]) | 0) > BLOCK_BYTES) {
      const block = this.#receive.take(flows[r + RX_HELD]);
      if (block === NONE) return false;
      this.#link(block, NONE);
      this.#link(flows[r + RX_TAIL], block);
      flows[r + RX_TAIL] = block;
      flows[r + RX_TAIL_AT] = (flows[r + RX_TAIL_AT] + BLOCK_BYTES) | 0;
      flows[r + RX_HELD]++;
    }
    return true;
  }

  #link(block: number, next: number): void {
    this.#chains[block] = next;
    this.#links[block] = next;
  }

  #dropReceived(r: number): void {
    const flows = this.#flows;
    for (let held = flows[r + RX_HELD], block = flows[r + RX_FIRST]; held > 0; held--) {
      const next = this.#chains[block];
      this.#receive.give(block);
      block = next;
    }
    flows[r + RX_HELD] = 0;
    flows[r + RX_FIRST] = NONE;
  }

  // ---- the send stream: written by the app thread, read here; nothing it says is taken on trust

  /**
   * The app thread has written up to `position`, the file it sends included; its chain began at `chainStart` in block `chainFirst`.
   *
   * @returns false where that cannot be: the arena is smaller, the position moves back or lies within the file, the block is not its own.
   */
  written(flow: number, position: number, chainFirst: number, chainStart: number): boolean {
    const file = this.files.of(flow);
    if (file === null) return this.#chainWritten(flow, position, chainFirst, chainStart);
    if (!this.files.mayCount(file, position)) return false;
    if (!this.#chainWritten(flow, file.inChain(position), chainFirst, chainStart)) return false;
    this.files.count(file);
    return true;
  }

  #chainWritten(flow: number, position: number, chainFirst: number, chainStart: number): boolean {
    const flows = this.#flows;
    const r = flow * FLOW_WORDS;
    if (position === flows[r + TX_WRITTEN]) return true;
    const acked = flows[r + TX_ACKED];
    if (((position - flows[r + TX_WRITTEN]) | 0) < 0) return false;
    if (((position - acked) | 0) > this.#sendBlocks * BLOCK_BYTES) return false;
    if (flows[r + TX_NEXT] === NONE || chainStart !== flows[r + TX_CHAIN_START]) {
      // A new chain is begun only when everything before it was acknowledged.
      if (chainStart !== acked || !this.#inArena(r, chainFirst)) return false;
      flows[r + TX_UNA] = flows[r + TX_NEXT] = chainFirst;
      flows[r + TX_UNA_AT] = flows[r + TX_NEXT_AT] = flows[r + TX_CHAIN_START] = chainStart;
    }
    flows[r + TX_WRITTEN] = position;
    return true;
  }

  gather(flow: number, position: number, length: number, output: PayloadOutput): number {
    this.#spans = MAX_SPANS;
    const file = this.files.of(flow);
    if (file === null) return this.#gatherChain(flow, position, length, output);
    let gathered = 0;
    for (let more = 1; gathered < length && more > 0 && this.#spans > 0; gathered += more) {
      const at = (position + gathered) | 0;
      const left = length - gathered;
      const ahead = file.pending ? (at - file.at) | 0 : NONE;
      if (ahead >= 0 && ahead < file.length) {
        more = this.files.gather(file, ahead, left, this.#spans, output);
        this.#spans -= Math.ceil(more / BLOCK_BYTES) + 1;
      } else {
        const most = file.pending && ahead < 0 ? Math.min(left, -ahead) : left;
        more = this.#gatherChain(flow, file.inChain(at), most, output);
      }
    }
    return gathered;
  }

  #gatherChain(flow: number, position: number, length: number, output: PayloadOutput): number {
    const flows = this.#flows;
    const r = flow * FLOW_WORDS;
    let block: number;
    let at: number;
    // New data is sent from the block that was sent from last; only a retransmission starts from the oldest one.
    if (((position - flows[r + TX_NEXT_AT]) | 0) >= 0) {
      block = flows[r + TX_NEXT];
      at = (position - flows[r + TX_NEXT_AT]) | 0;
    } else {
      block = flows[r + TX_UNA];
      at = (position - flows[r + TX_UNA_AT]) | 0;
    }
    for (; at >= BLOCK_BYTES; at -= BLOCK_BYTES) block = this.#next(flow, r, block);
    let blockAt = (position - at) | 0;
    let gathered = 0;
    for (; gathered < length && this.#spans > 0; this.#spans--) {
      if (at === BLOCK_BYTES) {
        block = this.#next(flow, r, block);
        blockAt = (blockAt + BLOCK_BYTES) | 0;
        at = 0;
      }
      const count = Math.min(length - gathered, BLOCK_BYTES - at);
      output.append(this.#blockBase + (block << BLOCK_SHIFT) + at, count);
      gathered += count;
      at += count;
    }
    if (((blockAt - flows[r + TX_NEXT_AT]) | 0) > 0) {
      flows[r + TX_NEXT] = block;
      flows[r + TX_NEXT_AT] = blockAt;
    }
    return gathered;
  }

  acknowledged(flow: number, position: number): void {
    const file = this.files.of(flow);
    if (file === null) {
      this.#chainAcknowledged(flow, position);
      return;
    }
    this.#chainAcknowledged(flow, file.inChain(position));
    this.files.acknowledged(file, position);
  }

  #chainAcknowledged(flow: number, position: number): void {
    const flows = this.#flows;
    const r = flow * FLOW_WORDS;
    flows[r + TX_ACKED] = position;
    // The cursor leaves a block before the app thread is told of the acknowledgement and may use the block again. A block
    // acknowledged to its very end is kept, here and there, until more is: nothing tells yet whether another follows.
    while (((position - flows[r + TX_UNA_AT]) | 0) > BLOCK_BYTES) {
      flows[r + TX_UNA] = this.#next(flow, r, flows[r + TX_UNA]);
      flows[r + TX_UNA_AT] = (flows[r + TX_UNA_AT] + BLOCK_BYTES) | 0;
    }
    if (((flows[r + TX_UNA_AT] - flows[r + TX_NEXT_AT]) | 0) > 0) {
      flows[r + TX_NEXT] = flows[r + TX_UNA];
      flows[r + TX_NEXT_AT] = flows[r + TX_UNA_AT];
    }
  }

  #next(flow: number, r: number, block: number): number {
    const next = this.#links[block];
    if (this.#inArena(r, next)) return next;
    this.violated = flow;
    return this.#flows[r + TX_ARENA];
  }

  #inArena(r: number, block: number): boolean {
    const arena = this.#flows[r + TX_ARENA];
    return block >= arena && block < arena + this.#sendBlocks;
  }
}

/** Below this many bytes a loop beats the call of a built-in. */
const SHORT = 24;

function copy(target: Uint8Array, to: number, source: Uint8Array, from: number, length: number): void {
  if (length <= SHORT) for (let i = 0; i < length; i++) target[to + i] = source[from + i];
  else if (target === source) target.copyWithin(to, from, from + length);
  else target.set(source.subarray(from, from + length), to);
}

/** Memory of the streams of the driver's stack: blocks, taken as they are written and given back as they are done with. */
import type { Payload, PayloadOutput } from '../lib/tcp/payload.js';

const BLOCK_SHIFT = 12;
const BLOCK_BYTES = 1 << BLOCK_SHIFT;
const BLOCK_MASK = BLOCK_BYTES - 1;
/** Blocks to send from, for all flows together: 64 MiB. Only those in use are ever touched. */
const SEND_BLOCKS = 1 << 14;
/** Bytes that one flow may hold for its reader. */
const RECEIVE_MOST = 64 << 20;

/** The blocks of one direction of one flow, by the number of the block in the stream. */
class Blocks<T> {
  readonly byNumber = new Map<number, T>();
  /** First block that is held. */
  first = 0;
}

export class StreamMemory implements Payload {
  /** What spans refer to. */
  readonly memory = new Uint8Array(SEND_BLOCKS * BLOCK_BYTES);
  readonly #free: number[] = [];
  #fresh = 0;
  readonly #send = new Map<number, Blocks<number>>();
  readonly #receive = new Map<number, Blocks<Uint8Array>>();
  readonly #onStore: (flow: number, position: number, length: number) => void;

  /** @param onStore is told what has come, before it is acknowledged. */
  constructor(onStore: (flow: number, position: number, length: number) => void) {
    this.#onStore = onStore;
  }

  /** Blocks in use. */
  get used(): number {
    let count = this.#fresh - this.#free.length;
    for (const { byNumber } of this.#receive.values()) count += byNumber.size;
    return count;
  }

  store(flow: number, position: number, source: Uint8Array, offset: number, length: number): boolean {
    const { byNumber } = blocksOf(this.#receive, flow);
    for (let done = 0; done < length;) {
      const at = (position + done) >>> 0;
      const block = getOrMake(byNumber, at >>> BLOCK_SHIFT, () => new Uint8Array(BLOCK_BYTES))!;
      const within = at & BLOCK_MASK;
      const count = Math.min(length - done, BLOCK_BYTES - within);
      block.set(source.subarray(offset + done, offset + done + count), within);
      done += count;
    }
    this.#onStore(flow, position, length);
    return true;
  }

  receiveRoom(): number {
    return RECEIVE_MOST;
  }

  gather(flow: number, position: number, length: number, output: PayloadOutput): number {
    const { byNumber } = blocksOf(this.#send, flow);
    let added = 0;
    while (added < length) {
      const at = (position + added) >>> 0;
      const block = byNumber.get(at >>> BLOCK_SHIFT);
      if (block === undefined) throw new Error(`bytes to send that were never written: flow ${flow}, position ${at}`);
      const count = Math.min(length - added, BLOCK_BYTES - (at & BLOCK_MASK));
      output.append(block * BLOCK_BYTES + (at & BLOCK_MASK), count);
      added += count;
    }
    return added;
  }

  acknowledged(flow: number, position: number): void {
    const blocks = blocksOf(this.#send, flow);
    for (const block of passed(blocks, position)) this.#free.push(block);
  }

  /** Puts bytes to send at a place. Returns how many there was memory for. */
  put(flow: number, position: number, bytes: Uint8Array): number {
    const { byNumber } = blocksOf(this.#send, flow);
    let done = 0;
    while (done < bytes.length) {
      const at = (position + done) >>> 0;
      const block = getOrMake(byNumber, at >>> BLOCK_SHIFT, () => this.#allocate());
      if (block === undefined) break;
      const count = Math.min(bytes.length - done, BLOCK_BYTES - (at & BLOCK_MASK));
      this.memory.set(bytes.subarray(done, done + count), block * BLOCK_BYTES + (at & BLOCK_MASK));
      done += count;
    }
    return done;
  }

  /** A copy of received bytes. */
  get(flow: number, position: number, length: number): Uint8Array {
    const { byNumber } = blocksOf(this.#receive, flow);
    const bytes = new Uint8Array(length);
    for (let done = 0; done < length;) {
      const at = (position + done) >>> 0;
      const within = at & BLOCK_MASK;
      const count = Math.min(length - done, BLOCK_BYTES - within);
      bytes.set(byNumber.get(at >>> BLOCK_SHIFT)!.subarray(within, within + count), done);
      done += count;
    }
    return bytes;
  }

  /** The bytes received before `position` have been read. */
  consumed(flow: number, position: number): void {
    passed(blocksOf(this.#receive, flow), position);
  }

  /** The flow is over. */
  forget(flow: number): void {
    for (const block of this.#send.get(flow)?.byNumber.values() ?? []) this.#free.push(block);
    this.#send.delete(flow);
    this.#receive.delete(flow);
  }

  #allocate(): number | undefined {
    const block = this.#free.pop();
    if (block !== undefined) return block;
    return this.#fresh < SEND_BLOCKS ? this.#fresh++ : undefined;
  }
}

function blocksOf<T>(table: Map<number, Blocks<T>>, flow: number): Blocks<T> {
  let blocks = table.get(flow);
  if (blocks === undefined) table.set(flow, (blocks = new Blocks<T>()));
  return blocks;
}

function getOrMake<T>(blocks: Map<number, T>, number: number, make: () => T | undefined): T | undefined {
  let block = blocks.get(number);
  if (block === undefined && (block = make()) !== undefined) blocks.set(number, block);
  return block;
}

/** Takes the blocks out that lie wholly before `position`. */
function passed<T>(blocks: Blocks<T>, position: number): T[] {
  const taken: T[] = [];
  const end = (position >>> 0) >>> BLOCK_SHIFT;
  for (; blocks.first !== end; blocks.first = (blocks.first + 1) & (0xffff_ffff >>> BLOCK_SHIFT)) {
    const block = blocks.byNumber.get(blocks.first);
    if (block === undefined) continue;
    blocks.byNumber.delete(blocks.first);
    taken.push(block);
  }
  return taken;
}

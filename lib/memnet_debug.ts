/**
 * MemNet's debug mode: finds out an app that uses a view after it has given it back.
 *
 * | what the app does | how it is found out |
 * | --- | --- |
 * | reads memory that it has consumed | it finds POISON there at once, not by chance the old bytes |
 * | uses a Buffer after `consume` or `commit` | the Buffer is detached: its length is 0, and most methods throw a TypeError |
 * | changes bytes that it has committed | an Error is thrown when the peer acknowledges them, and tells which byte |
 * | writes to memory that it has consumed | it is not: nothing of the app's lies there any more, and who gets it next writes it first |
 *
 * Buffers are copies in this mode, which `commit` copies back: memory that all threads share cannot be taken away from one Buffer.
 */
import type { ChannelFlow } from './runtime/app_flow.js';

/** What lies where a view was. */
export const POISON = 0xdb;

/** Bytes that were committed, as they were then. */
interface Committed {
  /** Bytes of the stream up to their end, modulo 2^32. */
  readonly end: number;
  readonly at: number;
  readonly bytes: Buffer;
}

/** Watches over the views of one flow. */
export class ViewGuard {
  readonly #memory: Buffer;
  readonly #views: Buffer[] = [];
  #room: Buffer | null = null;
  #committed: Committed[] = [];
  /** Bytes written until now, modulo 2^32. */
  #written = 0;

  constructor(memory: Buffer) {
    this.#memory = memory;
  }

  lendView(at: number, length: number): Buffer {
    const view = ownBuffer(length);
    this.#memory.copy(view, 0, at, at + length);
    this.#views.push(view);
    return view;
  }

  lendRoom(length: number): Buffer {
    return (this.#room = ownBuffer(length));
  }

  /** Consumes, and leaves nothing to be read there. */
  consumed(flow: ChannelFlow, length: number): void {
    for (const view of this.#views.splice(0)) detach(view);
    for (let left = length; left > 0; ) {
      const count = Math.min(left, flow.peek());
      this.#memory.fill(POISON, flow.dataAt, flow.dataAt + count);
      flow.consume(count);
      left -= count;
    }
  }

  /** Bytes that need no watching went into the stream. */
  passed(length: number): void {
    this.#written = (this.#written + length) | 0;
  }

  committed(at: number, length: number): void {
    if (this.#room !== null) this.#room.copy(this.#memory, at, 0, length);
    this.voidRoom();
    this.passed(length);
    if (length > 0) this.#committed.push({ end: this.#written, at, bytes: Buffer.from(this.#memory.subarray(at, at + length)) });
  }

  /** The room is no room any more. */
  voidRoom(): void {
    if (this.#room !== null) detach(this.#room);
    this.#room = null;
  }

  /** @throws Error where bytes that the peer has acknowledged were changed after they were committed. */
  acknowledged(unacknowledged: number): void {
    const acknowledged = (this.#written - unacknowledged) | 0;
    let through = 0;
    while (through < this.#committed.length && ((acknowledged - this.#committed[through]!.end) | 0) >= 0) through++;
    for (const { at, bytes, end } of this.#committed.splice(0, through)) {
      const changed = bytes.findIndex((byte, index) => this.#memory[at + index] !== byte);
      if (changed < 0) {
        this.#memory.fill(POISON, at, at + bytes.length);
        continue;
      }
      throw new Error(
        `MemNet, debug mode: byte ${(end - bytes.length + changed) >>> 0} of a flow's stream was changed from ${bytes[changed]} to ` +
          `${this.#memory[at + changed]} after it was committed. What was committed is the peer's: reserve room for what follows`,
      );
    }
  }

  /** The flow is over: nothing of it is the app's. */
  end(): void {
    for (const view of this.#views.splice(0)) detach(view);
    this.voidRoom();
    this.#committed = [];
  }
}

/** A Buffer in memory of its own, which can be detached. */
function ownBuffer(length: number): Buffer {
  return Buffer.from(new ArrayBuffer(length));
}

function detach(buffer: Buffer): void {
  const memory = buffer.buffer as ArrayBuffer;
  structuredClone(memory, { transfer: [memory] });
}

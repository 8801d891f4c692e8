/** Payload memory for tests: for each flow a ring to send from, in one array that spans refer to, and one to receive in. */
import type { Payload, PayloadOutput } from '../../lib/tcp/payload.js';

export class MemoryPayload implements Payload {
  readonly memory: Uint8Array;
  readonly ringBytes: number;
  readonly receiveBytes: number;
  /** Refuse to store, as where memory is short. */
  full = false;
  /** What `receiveRoom` says. */
  receiveBytesFree: number;
  /** Longest span that `gather` appends, and the most spans. */
  spanBytes = 65536;
  spansMost = 18;
  readonly acked: Int32Array;
  readonly #receive: (Uint8Array | undefined)[] = [];

  /** @param ringBytes a power of two. @param receiveBytes of the ring that received bytes lie in, a power of two. */
  constructor(flows: number, ringBytes: number, receiveBytes = 4 * ringBytes) {
    this.ringBytes = ringBytes;
    this.receiveBytes = receiveBytes;
    this.receiveBytesFree = receiveBytes;
    this.memory = new Uint8Array(flows * ringBytes);
    this.acked = new Int32Array(flows);
  }

  store(flow: number, position: number, source: Uint8Array, offset: number, length: number): boolean {
    if (this.full) return false;
    const ring = (this.#receive[flow] ??= new Uint8Array(this.receiveBytes));
    for (let i = 0; i < length; i++) ring[(position + i) & (ring.length - 1)] = source[offset + i]!;
    return true;
  }

  receiveRoom(): number {
    return this.full ? 0 : this.receiveBytesFree;
  }

  gather(flow: number, position: number, length: number, output: PayloadOutput): number {
    let added = 0;
    for (let spans = 0; added < length && spans < this.spansMost; spans++) {
      const at = (position + added) & (this.ringBytes - 1);
      const count = Math.min(length - added, this.ringBytes - at, this.spanBytes);
      output.append(flow * this.ringBytes + at, count);
      added += count;
    }
    return added;
  }

  acknowledged(flow: number, position: number): void {
    this.acked[flow] = position;
  }

  /** Puts bytes into the send ring at `position`. */
  put(flow: number, position: number, bytes: Uint8Array): void {
    for (let i = 0; i < bytes.length; i++) {
      this.memory[flow * this.ringBytes + ((position + i) & (this.ringBytes - 1))] = bytes[i]!;
    }
  }

  /** The received bytes from `from` up to `to`. */
  get(flow: number, from: number, to: number): Uint8Array {
    const ring = this.#receive[flow];
    const bytes = new Uint8Array((to - from) | 0);
    for (let i = 0; i < bytes.length; i++) bytes[i] = ring![(from + i) & (ring!.length - 1)]!;
    return bytes;
  }

  forget(flow: number): void {
    this.#receive[flow] = undefined;
    this.acked[flow] = 0;
  }
}

import { MAX_SPANS } from './device.js';

/** The spans appended to one frame, for devices that copy them out. */
export class Spans {
  /** Sum of their lengths. */
  bytes = 0;
  #count = 0;
  readonly #places = new Int32Array(2 * MAX_SPANS);

  clear(): void {
    this.bytes = 0;
    this.#count = 0;
  }

  append(offset: number, length: number): void {
    if (this.#count === MAX_SPANS) throw new RangeError(`a frame takes at most ${MAX_SPANS} spans`);
    this.#places[2 * this.#count] = offset;
    this.#places[2 * this.#count + 1] = length;
    this.#count++;
    this.bytes += length;
  }

  /** Copies the spans of `memory`, one behind the other, to `target[at]`. Returns the place behind the last. */
  gather(memory: Uint8Array, target: Uint8Array, at: number): number {
    for (let i = 0; i < this.#count; i++) {
      const offset = this.#places[2 * i]!;
      const length = this.#places[2 * i + 1]!;
      copyBytes(memory, offset, target, at, length);
      at += length;
    }
    return at;
  }
}

export function copyBytes(source: Uint8Array, offset: number, target: Uint8Array, at: number, length: number): void {
  if (source === target) target.copyWithin(at, offset, offset + length); // allocates nothing
  else target.set(source.subarray(offset, offset + length), at);
}

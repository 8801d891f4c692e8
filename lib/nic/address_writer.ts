/** Addresses of places in the memory of a device, for structures that the kernel reads. */
import type { DeviceMemory } from './device.js';

export class AddressWriter {
  readonly #words: Int32Array;
  /** The lower half of the memory's own, as uint32, and the upper one. */
  readonly #low: number;
  readonly #high: number;
  readonly #base: bigint;

  constructor({ bytes, address }: DeviceMemory) {
    this.#words = new Int32Array(bytes.buffer, 0, bytes.length >> 2);
    this.#base = address;
    this.#low = Number(address % 2n ** 32n);
    this.#high = Number(address / 2n ** 32n);
  }

  /** Writes the address of a place to the word at `at`, bytes, and the one behind it; without a BigInt. */
  put(at: number, place: number): void {
    const low = this.#low + place;
    this.#words[at >> 2] = low; // modulo 2^32
    this.#words[(at >> 2) + 1] = low < 2 ** 32 ? this.#high : this.#high + 1;
  }

  /** The address of a place, to be kept and handed to system calls: as a number each call would have to make it anew. */
  of(place: number): bigint {
    return this.#base + BigInt(place);
  }
}

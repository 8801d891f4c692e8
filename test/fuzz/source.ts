/** Where a case draws its chance from: seeded, so that target, seed and case number say everything about it. */

export class Source {
  #a: number;
  #b: number;

  /** xoshiro-like state of two words (xoroshiro64*, Blackman and Vigna 2018), spread from both numbers by splitmix32. */
  constructor(seed: number, stream: number) {
    this.#a = mix(seed ^ mix(stream)) | 1;
    this.#b = mix(this.#a ^ stream);
  }

  /** A word, int32. */
  word(): number {
    const result = Math.imul(this.#a, 0x9e3779bb);
    const b = this.#b ^ this.#a;
    this.#a = ((this.#a << 26) | (this.#a >>> 6)) ^ b ^ (b << 9);
    this.#b = (b << 13) | (b >>> 19);
    return result | 0;
  }

  /** 0 to `count` - 1. */
  below(count: number): number {
    return ((this.word() >>> 0) * count / 4_294_967_296) | 0;
  }

  /** From `least` to `most`, both included. */
  between(least: number, most: number): number {
    return least + this.below(most - least + 1);
  }

  /** True once in `n` times. */
  once(n: number): boolean {
    return this.below(n) === 0;
  }

  /** True in `percent` of a hundred. */
  chance(percent: number): boolean {
    return this.below(100) < percent;
  }

  pick<T>(from: readonly T[]): T {
    return from[this.below(from.length)]!;
  }
}

/** The finisher of splitmix32. */
export function mix(value: number): number {
  let z = (value + 0x9e3779b9) | 0;
  z = Math.imul(z ^ (z >>> 16), 0x21f0aaad);
  z = Math.imul(z ^ (z >>> 15), 0x735a2d97);
  return z ^ (z >>> 15);
}

/**
 * Times that are read where they stand, in µs. A number with a fraction that one function hands to another is an object, and so garbage
 * each time; what each turn, and each packet, asks for is not.
 */

/** What time it is. Whoever makes the turns sets it before each. */
export class Clock {
  readonly #at: Float64Array;

  constructor(now = 0) {
    this.#at = Float64Array.of(now);
  }

  get now(): number {
    return this.#at[0]!;
  }

  set now(time: number) {
    this.#at[0] = time;
  }
}

/** The earliest of several times; Infinity while there is none. */
export class Earliest {
  readonly #at = Float64Array.of(Infinity);

  get at(): number {
    return this.#at[0]!;
  }

  /** There is none. */
  clear(): void {
    this.#at[0] = Infinity;
  }

  /** One more of them. */
  take(time: number): void {
    if (time < this.#at[0]!) this.#at[0] = time;
  }
}

/**
 * Sequence numbers: int32, modulo 2^32 (RFC 9293 3.4). A comparison holds for numbers less than 2^31 apart. Stream
 * positions and the ticks of the clock wrap in the same way and are compared by the same functions.
 */

/** a is before b. */
export function before(a: number, b: number): boolean {
  return ((a - b) | 0) < 0;
}

/** a is before b, or b itself. */
export function notAfter(a: number, b: number): boolean {
  return ((a - b) | 0) <= 0;
}

/** a is after b. */
export function after(a: number, b: number): boolean {
  return ((a - b) | 0) > 0;
}

/** The later of two. */
export function later(a: number, b: number): number {
  return ((a - b) | 0) > 0 ? a : b;
}

/** The earlier of two. */
export function earlier(a: number, b: number): number {
  return ((a - b) | 0) < 0 ? a : b;
}

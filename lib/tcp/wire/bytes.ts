/**
 * Big-endian numbers in a byte array, as every header on the wire has them.
 *
 * The caller makes sure that the bytes lie within the array: these functions do not look, and a read past the end gives
 * a meaningless number, never an exception.
 */

/** The 16-bit number at `at`, 0 to 65535. */
export function get16(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

/** The 32-bit number at `at`, as int32. */
export function get32(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 24) | (bytes[at + 1]! << 16) | (bytes[at + 2]! << 8) | bytes[at + 3]!;
}

/** Writes the low 16 bits of `value`. */
export function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

/** Writes the low 32 bits of `value`. */
export function put32(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 24;
  bytes[at + 1] = value >>> 16;
  bytes[at + 2] = value >>> 8;
  bytes[at + 3] = value;
}

/** Copies bytes between arrays, or within one, without making a view of either. */
export function copyBytes(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number, length: number): void {
  if (from === to) {
    to.copyWithin(toAt, fromAt, fromAt + length);
    return;
  }
  for (let i = 0; i < length; i++) to[toAt + i] = from[fromAt + i]!;
}

/** Reads the 16 bytes at `at` as four words: an IPv6 address, for one. */
export function getWords(bytes: Uint8Array, at: number, words: Int32Array, wordAt: number): void {
  for (let i = 0; i < 4; i++) words[wordAt + i] = get32(bytes, at + 4 * i);
}

/** Writes four words as 16 bytes. */
export function putWords(bytes: Uint8Array, at: number, words: Int32Array, wordAt: number): void {
  for (let i = 0; i < 4; i++) put32(bytes, at + 4 * i, words[wordAt + i]!);
}

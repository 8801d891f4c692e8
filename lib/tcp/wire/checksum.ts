/**
 * The Internet checksum (RFC 1071).
 *
 * A sum here is always folded: 0 to 0xffff, in network order. A checksum is the complement of a sum. Spans must lie
 * within their arrays; the caller has checked that.
 */

/** Below this length the plain loop is faster than finding the view of the array. */
const WORDWISE_FROM = 48;

/** Folds a sum of at most 32 bits (taken as unsigned) to 16 bits with the carries added back. */
export function fold(sum: number): number {
  const once = (sum & 0xffff) + (sum >>> 16);
  return (once & 0xffff) + (once >>> 16);
}

/** The checksum field for a folded sum. */
export function complement(sum: number): number {
  return ~sum & 0xffff;
}

/**
 * Adds `length` bytes to a sum. The span begins at an even place of the packet; for any place see `addSpan`.
 *
 * @returns the new folded sum.
 */
export function add(sum: number, bytes: Uint8Array, offset: number, length: number): number {
  if (length >= WORDWISE_FROM) return fold(sum + sumWordwise(bytes, offset, length));
  const end = offset + length;
  let at = offset;
  let total = sum;
  for (; at + 1 < end; at += 2) total += (bytes[at]! << 8) | bytes[at + 1]!;
  if (at < end) total += bytes[at]! << 8;
  return fold(total);
}

/**
 * Adds a span that begins at place `place` of the packet: at an odd place its bytes fall into the other half of each
 * 16-bit word, so its own sum is swapped (RFC 1071 2(B)).
 *
 * @returns the new folded sum.
 */
export function addSpan(sum: number, bytes: Uint8Array, offset: number, length: number, place: number): number {
  if ((place & 1) === 0) return add(sum, bytes, offset, length);
  return fold(sum + swap(add(0, bytes, offset, length)));
}

/** True where a span that contains its checksum is intact; `sum` is that of its pseudo-header, or 0. */
export function verify(sum: number, bytes: Uint8Array, offset: number, length: number): boolean {
  return add(sum, bytes, offset, length) === 0xffff;
}

/** Folded sum of the pseudo-header of IPv4 (RFC 9293 3.1). Addresses are int32; `length` is that of the transport part. */
export function pseudoHeader4(source: number, destination: number, protocol: number, length: number): number {
  return fold(
    (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff) + protocol + (length & 0xffff),
  );
}

/** Folded sum of the pseudo-header of IPv6 (RFC 8200 8.1); addresses are four words each. */
export function pseudoHeader6(
  words: Int32Array, sourceAt: number, destinationAt: number, nextHeader: number, length: number,
): number {
  let sum = nextHeader + (length >>> 16) + (length & 0xffff);
  for (let i = 0; i < 4; i++) {
    const source = words[sourceAt + i]!;
    const destination = words[destinationAt + i]!;
    sum += (source >>> 16) + (source & 0xffff) + (destination >>> 16) + (destination & 0xffff);
  }
  return fold(sum);
}

/** The checksum after one 16-bit word it covers changed from `before` to `after` (RFC 1624 equation 3). */
export function update(checksum: number, before: number, after: number): number {
  return complement(fold(complement(checksum) + complement(before) + after));
}

function swap(sum: number): number {
  return ((sum & 0xff) << 8) | (sum >>> 8);
}

/**
 * Sums 32-bit words as doubles, which hold the carries without any work: six times as fast as byte by byte. A sum of
 * up to 2^21 words is exact.
 */
function sumWordwise(bytes: Uint8Array, offset: number, length: number): number {
  const view = viewOf(bytes);
  const end = offset + length;
  let at = offset;
  let even = 0;
  let odd = 0;
  for (; at + 32 <= end; at += 32) {
    even += view.getUint32(at) + view.getUint32(at + 4) + (view.getUint32(at + 8) + view.getUint32(at + 12));
    odd += view.getUint32(at + 16) + view.getUint32(at + 20) + (view.getUint32(at + 24) + view.getUint32(at + 28));
  }
  for (; at + 4 <= end; at += 4) even += view.getUint32(at);
  let tail = 0;
  for (let shift = 24; at < end; at++, shift -= 8) tail |= bytes[at]! << shift;
  const total = even + odd + (tail >>> 0);
  const carries = Math.floor(total / 4294967296);
  const rest = total - carries * 4294967296;
  return fold((rest & 0xffff) + (rest >>> 16) + fold(carries));
}

/**
 * Views of the few arrays that frames and payload lie in. They are found by identity, so that none is made for a
 * packet; an array that is not among the last few is looked up, and gets its view the first time it is seen.
 */
const KEPT = 4;
const EMPTY = new Uint8Array(0);
const keptBytes: Uint8Array[] = new Array<Uint8Array>(KEPT).fill(EMPTY);
const keptViews: DataView[] = new Array<DataView>(KEPT).fill(new DataView(EMPTY.buffer));
const known = new WeakMap<Uint8Array, DataView>();
let keptNext = 0;

function viewOf(bytes: Uint8Array): DataView {
  for (let i = 0; i < KEPT; i++) {
    if (keptBytes[i] === bytes) return keptViews[i]!;
  }
  return keepView(bytes);
}

function keepView(bytes: Uint8Array): DataView {
  let view = known.get(bytes);
  if (view === undefined) {
    view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    known.set(bytes, view);
  }
  keptBytes[keptNext] = bytes;
  keptViews[keptNext] = view;
  keptNext = (keptNext + 1) % KEPT;
  return view;
}

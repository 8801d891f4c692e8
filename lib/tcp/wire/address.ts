/**
 * Internet addresses as four int32 words, network order within the word, IPv4 as ::ffff:a.b.c.d (RFC 4291 2.5.5.2); and
 * the text of them. Text is handled when something is configured or reported, never for a packet.
 */

/** Words of one address. */
export const ADDRESS_WORDS = 4;
/** Word 2 of an IPv4-mapped address; words 0 and 1 are 0, word 3 is the IPv4 address. */
const MAPPED = 0x0000ffff;

const DOTTED = /^(?:(?:25[0-5]|2[0-4]\d|1\d\d|[1-9]?\d)(?:\.(?!$)|$)){4}$/;

/** True where `text` is a dotted IPv4 address: four decimal numbers of 0 to 255 without leading zeros. */
export function isDotted(text: string): boolean {
  return DOTTED.test(text);
}

/** The IPv4 address of a dotted text as int32. @throws TypeError where `isDotted` says no. */
export function parseDotted(text: string): number {
  if (!isDotted(text)) throw new TypeError(`not a dotted IPv4 address: ${JSON.stringify(text)}`);
  let value = 0;
  for (const part of text.split('.')) value = (value << 8) | Number(part);
  return value;
}

/** Writes the address that a dotted text names to four words. Returns false, and writes nothing, where it names none. */
export function parseAddress(text: string, words: Int32Array, at: number): boolean {
  if (!isDotted(text)) return false;
  setMapped(words, at, parseDotted(text));
  return true;
}

/** The dotted text of an IPv4 address given as int32. */
export function formatDotted(address: number): string {
  return `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
}

/** The text of an address: dotted where it is IPv4-mapped, else that of RFC 5952. */
export function formatAddress(words: Int32Array, at: number): string {
  if (isMapped(words, at)) return formatDotted(words[at + 3]!);
  const groups: number[] = [];
  for (let i = 0; i < 8; i++) groups.push((words[at + (i >> 1)]! >>> (i & 1 ? 0 : 16)) & 0xffff);
  let best = 0;
  let bestLength = 0;
  for (let from = 0; from < 8; from++) {
    let length = 0;
    while (from + length < 8 && groups[from + length] === 0) length++;
    if (length > bestLength) {
      best = from;
      bestLength = length;
    }
  }
  const hex = groups.map((group) => group.toString(16));
  if (bestLength < 2) return hex.join(':');
  return `${hex.slice(0, best).join(':')}::${hex.slice(best + bestLength).join(':')}`;
}

/** True where the four words hold an IPv4 address. */
export function isMapped(words: Int32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && words[at + 2] === MAPPED;
}

/** Writes an IPv4 address to four words. */
export function setMapped(words: Int32Array, at: number, address: number): void {
  words[at] = 0;
  words[at + 1] = 0;
  words[at + 2] = MAPPED;
  words[at + 3] = address;
}

/** True where the four words are the unspecified address of either family: ::, or ::ffff:0.0.0.0. */
export function isUnspecified(words: Int32Array, at: number): boolean {
  return words[at] === 0 && words[at + 1] === 0 && (words[at + 2] === 0 || words[at + 2] === MAPPED) && words[at + 3] === 0;
}

/** True where two addresses are the same. */
export function sameAddress(a: Int32Array, aAt: number, b: Int32Array, bAt: number): boolean {
  return a[aAt + 3] === b[bAt + 3] && a[aAt + 2] === b[bAt + 2] && a[aAt + 1] === b[bAt + 1] && a[aAt] === b[bAt];
}

/** Copies the four words of an address. */
export function copyAddress(from: Int32Array, fromAt: number, to: Int32Array, toAt: number): void {
  to[toAt] = from[fromAt]!;
  to[toAt + 1] = from[fromAt + 1]!;
  to[toAt + 2] = from[fromAt + 2]!;
  to[toAt + 3] = from[fromAt + 3]!;
}

/** The netmask of an IPv4 prefix of 0 to 32 bits, as int32. */
export function netmask(prefix: number): number {
  return prefix === 0 ? 0 : -1 << (32 - prefix);
}

/** 255.255.255.255 */
export const BROADCAST4 = -1;

/** 224.0.0.0/4 (RFC 5771). */
export function isMulticast4(address: number): boolean {
  return address >>> 28 === 14;
}

/** 127.0.0.0/8 (RFC 1122 3.2.1.3 (g)). */
export function isLoopback4(address: number): boolean {
  return address >>> 24 === 127;
}

/** 0.0.0.0/8, "this network" (RFC 1122 3.2.1.3 (a) and (b)): never a destination, and a source only before there is one. */
export function isThisNetwork4(address: number): boolean {
  return address >>> 24 === 0;
}

/** 240.0.0.0/4 (RFC 1112 4), with the limited broadcast. */
export function isReserved4(address: number): boolean {
  return address >>> 28 === 15;
}

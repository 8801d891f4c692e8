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

/**
 * Writes the address that a text names, of either family, to four words. Returns false, and writes nothing, where it names
 * none. A zone ("%eth0") names none.
 */
export function parseAddress(text: string, words: Int32Array, at: number): boolean {
  if (isDotted(text)) {
    setMapped(words, at, parseDotted(text));
    return true;
  }
  const groups = parseGroups(text);
  if (groups === null) return false;
  for (let i = 0; i < ADDRESS_WORDS; i++) words[at + i] = (groups[2 * i]! << 16) | groups[2 * i + 1]!;
  return true;
}

/** The eight groups of an IPv6 address (RFC 4291 2.2), or null where the text is none. */
function parseGroups(text: string): number[] | null {
  const halves = text.split('::');
  if (halves.length > 2) return null;
  const first = groupsOf(halves[0]!, halves.length === 1);
  if (halves.length === 1) return first?.length === 8 ? first : null;
  const last = groupsOf(halves[1]!, true);
  // "::" stands for one group at least.
  if (first === null || last === null || first.length + last.length > 7) return null;
  return [...first, ...new Array<number>(8 - first.length - last.length).fill(0), ...last];
}

/** The groups of one side of "::"; the `last` may end in a dotted IPv4 address (RFC 4291 2.2, form 3). */
function groupsOf(text: string, last: boolean): number[] | null {
  if (text === '') return [];
  const groups: number[] = [];
  const parts = text.split(':');
  for (const [i, part] of parts.entries()) {
    if (/^[0-9a-f]{1,4}$/i.test(part)) {
      groups.push(parseInt(part, 16));
    } else if (last && i === parts.length - 1 && isDotted(part)) {
      const value = parseDotted(part);
      groups.push(value >>> 16, value & 0xffff);
    } else {
      return null;
    }
  }
  return groups;
}

/**
 * The address and prefix length that "address/length" names: the length of 0 to 32 where the address is IPv4, else of 0 to 128.
 *
 * @returns the length; the address is written to four words. @throws TypeError or RangeError where the text names none.
 */
export function parsePrefix(text: string, words: Int32Array, at: number): number {
  const slash = text.indexOf('/');
  const length = text.slice(slash + 1);
  if (slash < 0 || !/^\d{1,3}$/.test(length) || !parseAddress(text.slice(0, slash), words, at)) {
    throw new TypeError(`not an address with a prefix length: ${JSON.stringify(text)}`);
  }
  if (Number(length) > (isMapped(words, at) ? 32 : 128)) throw new RangeError(`no prefix length: ${text}`);
  return Number(length);
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

/** The text of an address as a socket for both families has it: "::ffff:a.b.c.d" where it is IPv4-mapped (RFC 5952 5). */
export function formatAsIPv6(words: Int32Array, at: number): string {
  const text = formatAddress(words, at);
  return isMapped(words, at) ? `::ffff:${text}` : text;
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

/** fe80::/10 (RFC 4291 2.5.6): means something on one link only. */
export function isLinkLocal6(words: Int32Array, at: number): boolean {
  return (words[at]! & 0xffc00000) === (0xfe800000 | 0);
}

/** ff00::/8 (RFC 4291 2.7). */
export function isMulticast6(words: Int32Array, at: number): boolean {
  return words[at]! >>> 24 === 0xff;
}

/** ::1 (RFC 4291 2.5.3). */
export function isLoopback6(words: Int32Array, at: number): boolean {
  return (words[at]! | words[at + 1]! | words[at + 2]!) === 0 && words[at + 3] === 1;
}

/** :: (RFC 4291 2.5.2). */
export function isUnspecified6(words: Int32Array, at: number): boolean {
  return (words[at]! | words[at + 1]! | words[at + 2]! | words[at + 3]!) === 0;
}

/** Bits that two addresses have in common from the first on, 0 to 128. */
export function commonPrefix(a: Int32Array, aAt: number, b: Int32Array, bAt: number): number {
  for (let i = 0; i < ADDRESS_WORDS; i++) {
    const differs = a[aAt + i]! ^ b[bAt + i]!;
    if (differs !== 0) return 32 * i + Math.clz32(differs);
  }
  return 128;
}

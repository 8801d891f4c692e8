/** Frames as a peer might have written them, and the damage that is done to them. */
import { copyAddress, isMapped } from '../../lib/tcp/wire/address.js';
import { emitArp } from '../../lib/tcp/wire/arp.js';
import { get16, get32, put16, put32 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, fold, pseudoHeader4, pseudoHeader6 } from '../../lib/tcp/wire/checksum.js';
import { emitEthernet, TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from '../../lib/tcp/wire/ethernet.js';
import { emitIPv4, PROTOCOL_ICMP, PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { DESTINATION_OPTIONS, emitIPv6, FRAGMENT, HOP_BY_HOP, ICMP6, ROUTING } from '../../lib/tcp/wire/ipv6.js';
import { setGroupMac } from '../../lib/tcp/wire/ndp.js';
import { emitTcp, TCP_CHECKSUM, TCP_URGENT } from '../../lib/tcp/wire/tcp.js';
import { byteOf } from './payload.js';
import type { Source } from './source.js';

export const OWN_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
const BROADCAST = new Uint8Array(6).fill(255);
const DONT_FRAGMENT = 0x4000;

/** Puts one frame together, layer by layer, in one array. `between` comes first. */
export class PacketWriter {
  readonly bytes = new Uint8Array(1 << 17);
  /** Bytes of the frame. */
  length = 0;
  /** Link address that the next frame comes from. */
  readonly mac = Uint8Array.of(2, 0, 0, 0, 0, 2);
  /** Offset of the IP header: 14 on Ethernet, else 0. */
  readonly ipAt: number;
  /** Offset of what IP carries. */
  at: number;
  /** IPv6. */
  six = false;
  /** Hop limit of the next IPv6 packet. */
  hops = 64;
  /** Source and destination, four words each. */
  readonly words = new Int32Array(8);
  readonly #groupMac = new Uint8Array(6);

  constructor(ethernet: boolean) {
    this.ipAt = ethernet ? 14 : 0;
    this.at = this.ipAt + 20;
  }

  /** The frame as it is now; valid until the next one is begun. */
  get frame(): Uint8Array {
    return this.bytes.subarray(0, this.length);
  }

  /** The next packet goes from one address to another. */
  between(source: Int32Array, sourceAt: number, destination: Int32Array, destinationAt: number): void {
    copyAddress(source, sourceAt, this.words, 0);
    copyAddress(destination, destinationAt, this.words, 4);
    this.six = !isMapped(this.words, 4);
    this.at = this.ipAt + (this.six ? 40 : 20);
    this.hops = 64;
  }

  /** A TCP segment; options lie at `at` + 20 already, and `options` bytes of them, a multiple of four. */
  tcp(
    sourcePort: number, destinationPort: number, seq: number, ack: number, flags: number,
    window: number, options: number, text: number, tos: number, urgent: number,
  ): void {
    const { at, bytes } = this;
    const header = 20 + options;
    emitTcp(bytes, at, sourcePort, destinationPort, seq, ack, flags, window, header);
    put16(bytes, at + TCP_URGENT, urgent);
    // A SYN takes the sequence number before its text.
    const first = seq + ((flags >> 1) & 1);
    for (let i = 0; i < text; i++) bytes[at + header + i] = byteOf((first + i) | 0);
    const length = header + text;
    put16(bytes, at + TCP_CHECKSUM, complement(add(this.#pseudo(PROTOCOL_TCP, length), bytes, at, length)));
    this.ip(PROTOCOL_TCP, length, tos, 0, DONT_FRAGMENT);
  }

  #pseudo(protocol: number, length: number): number {
    const { words } = this;
    return this.six ? pseudoHeader6(words, 0, 4, protocol, length) : pseudoHeader4(words[3]!, words[7]!, protocol, length);
  }

  /** An ICMP message whose `rest` bytes behind the eight of the header lie at `at` + 8 already. */
  icmp(type: number, code: number, word: number, rest: number): void {
    const { at, bytes, six } = this;
    put32(bytes, at, (type << 24) | (code << 16));
    put32(bytes, at + 4, word);
    put16(bytes, at + 2, complement(add(six ? this.#pseudo(ICMP6, 8 + rest) : 0, bytes, at, 8 + rest)));
    this.ip(six ? ICMP6 : PROTOCOL_ICMP, 8 + rest, 0, 0, 0);
  }

  /** The headers around `length` bytes of some protocol. */
  ip(protocol: number, length: number, tos: number, identification: number, fragment: number): void {
    const { bytes, ipAt, words } = this;
    if (this.six) emitIPv6(bytes, ipAt, tos, 0, length, protocol, this.hops, words, 0, 4);
    else emitIPv4(bytes, ipAt, tos, 20 + length, identification, fragment, 64, protocol, words[3]!, words[7]!);
    this.length = this.at + length;
    if (ipAt === 0) return;
    const group = this.six && words[4]! >>> 24 === 0xff;
    if (group) setGroupMac(this.#groupMac, 0, words, 4);
    emitEthernet(bytes, 0, group ? this.#groupMac : OWN_MAC, 0, this.mac, 0, this.six ? TYPE_IPV6 : TYPE_IPV4);
  }

  arp(operation: number, sender: number, target: number, broadcast: boolean): void {
    emitArp(this.bytes, 14, operation, this.mac, sender, OWN_MAC, 0, target);
    emitEthernet(this.bytes, 0, broadcast ? BROADCAST : OWN_MAC, 0, this.mac, 0, TYPE_ARP);
    this.length = 14 + 28;
  }

  /** A frame of any bytes. */
  raw(source: Source, length: number): void {
    for (let i = 0; i < length; i++) this.bytes[i] = source.word();
    this.length = length;
    if (this.ipAt === 0) return;
    if (source.chance(80)) this.bytes.set(OWN_MAC, 0);
    if (source.chance(80)) put16(this.bytes, 12, source.pick([TYPE_IPV4, TYPE_ARP, TYPE_IPV6]));
  }

  /** Makes a fragment of the packet that is there: `count` bytes from `from` (a multiple of eight) of what IP carries. */
  fragment(identification: number, from: number, count: number, more: boolean): void {
    const { at, bytes, ipAt, six } = this;
    const protocol = bytes[ipAt + (six ? 6 : 9)]!;
    if (!six) {
      const tos = bytes[ipAt + 1]!;
      bytes.copyWithin(at, at + from, at + from + count);
      this.ip(protocol, count, tos, identification, (from >> 3) | (more ? 0x2000 : 0));
      return;
    }
    bytes.copyWithin(at + 8, at + from, at + from + count);
    put32(bytes, at, (protocol << 24) | from | (more ? 1 : 0));
    put32(bytes, at + 4, identification);
    this.ip(FRAGMENT, 8 + count, 0, 0, 0);
  }

  /** Puts an extension header before what the IPv6 packet carries, good or bad. */
  extend(source: Source): void {
    const { at, bytes, ipAt } = this;
    const size = source.pick([8, 8, 16, 32]);
    const length = this.length - at;
    if (!this.six || length + size > 60_000) return;
    bytes.copyWithin(at + size, at, at + length);
    bytes[at] = bytes[ipAt + 6]!;
    bytes[at + 1] = size / 8 - 1;
    // One option that pads the rest, or anything.
    bytes[at + 2] = 1;
    bytes[at + 3] = size - 4;
    bytes.fill(0, at + 4, at + size);
    if (source.once(4)) for (let i = 1; i < size; i++) bytes[at + i] = source.once(3) ? source.word() : bytes[at + i]!;
    this.ip(source.pick([HOP_BY_HOP, HOP_BY_HOP, DESTINATION_OPTIONS, DESTINATION_OPTIONS, ROUTING, FRAGMENT]), length + size, 0, 0, 0);
  }
}

const WORDS_16 = [0, 1, 2, 7, 8, 19, 20, 39, 40, 255, 256, 536, 1460, 1500, 0x1fff, 0x2000, 0x7fff, 0x8000, 0xfffe, 0xffff];
const WORDS_32 = [0, 1, -1, 0x7fffffff, -0x80000000, 0x10000, 0xffff, -2, 0x01010101, 0x7f000001, -0x20000000];

/** Damages a frame in some way; returns its new length. Sometimes its checksums are made good after it. */
export function damage(source: Source, bytes: Uint8Array, ipAt: number, length: number): number {
  for (let times = source.once(3) ? 3 : 1; times > 0; times--) length = damageOnce(source, bytes, ipAt, length);
  if (source.chance(80)) repairChecksums(bytes, ipAt, length);
  return length;
}

function damageOnce(source: Source, bytes: Uint8Array, ipAt: number, length: number): number {
  if (length < 2) return 2;
  // Headers are where it matters.
  const at = source.below(source.chance(75) ? Math.min(length, 80) : length);
  const tcp = ipAt + (bytes[ipAt]! >> 4 === 6 ? 40 : 20);
  switch (source.below(14)) {
    case 0: bytes[at]! ^= 1 << source.below(8); return length;
    case 1: bytes[at] = source.word(); return length;
    case 2: put16(bytes, at & ~1, source.pick(WORDS_16)); return length;
    case 3: put32(bytes, at & ~3, source.pick(WORDS_32)); return length;
    case 4: return source.below(length) + 1;
    case 5: return Math.min(length + source.between(1, 64), 65000);
    case 6: bytes.copyWithin(at, source.below(length), length); return length;
    case 7: bytes.fill(0, at, Math.min(length, at + source.between(1, 20))); return length;
    case 8: bytes[ipAt] = source.once(2) ? 0x40 | source.below(16) : source.word(); return length;
    case 9: put16(bytes, ipAt + (tcp - ipAt === 40 ? 4 : 2), source.pick(WORDS_16)); return length;
    case 10: put16(bytes, ipAt + 6, source.word() & 0xffff); return length;
    case 11: bytes[tcp + 12] = source.below(16) << 4; return length;
    case 12: bytes[tcp + 13] = source.word(); return length;
    default:
      // Kind and length of an option.
      bytes[tcp + 20 + source.below(24)] = source.pick([0, 1, 2, 3, 4, 5, 8, 10, 11, 18, 19, 28, 29, 30, 34, 40, 253, 255]);
      return length;
  }
}

/** Makes the checksums of a frame good, as far as there is a packet to be seen in it. */
export function repairChecksums(bytes: Uint8Array, ipAt: number, length: number): void {
  const left = length - ipAt;
  if (left < 20) return;
  if (bytes[ipAt]! >> 4 === 4) repair4(bytes, ipAt, left);
  else if (bytes[ipAt]! >> 4 === 6 && left >= 40) repair6(bytes, ipAt, left);
}

function repair4(bytes: Uint8Array, ipAt: number, left: number): void {
  const header = (bytes[ipAt]! & 15) * 4;
  const total = get16(bytes, ipAt + 2);
  if (header < 20 || header > left) return;
  put16(bytes, ipAt + 10, 0);
  put16(bytes, ipAt + 10, complement(add(0, bytes, ipAt, header)));
  if (total > left || (get16(bytes, ipAt + 6) & 0x3fff) !== 0) return;
  const rest = total - header;
  const at = ipAt + header;
  const protocol = bytes[ipAt + 9]!;
  if (protocol === PROTOCOL_TCP && rest >= 20) {
    repairAt(bytes, at + 16, pseudoHeader4(get32(bytes, ipAt + 12), get32(bytes, ipAt + 16), PROTOCOL_TCP, rest), at, rest);
  } else if (protocol === PROTOCOL_ICMP && rest >= 8) {
    repairAt(bytes, at + 2, 0, at, rest);
  }
}

const words = new Int32Array(8);

function repair6(bytes: Uint8Array, ipAt: number, left: number): void {
  const rest = get16(bytes, ipAt + 4);
  if (rest + 40 > left) return;
  for (let i = 0; i < 8; i++) words[i] = get32(bytes, ipAt + 8 + 4 * i);
  const next = bytes[ipAt + 6]!;
  const at = ipAt + 40;
  if (next === PROTOCOL_TCP && rest >= 20) repairAt(bytes, at + 16, pseudoHeader6(words, 0, 4, PROTOCOL_TCP, rest), at, rest);
  else if (next === ICMP6 && rest >= 8) repairAt(bytes, at + 2, pseudoHeader6(words, 0, 4, ICMP6, rest), at, rest);
}

function repairAt(bytes: Uint8Array, field: number, pseudo: number, at: number, length: number): void {
  put16(bytes, field, 0);
  put16(bytes, field, complement(fold(pseudo + add(0, bytes, at, length))));
}

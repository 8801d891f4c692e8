/**
 * Messages of neighbour discovery (RFC 4861 4.3, 4.4), which are ICMPv6 messages, and the groups they are sent to.
 * Accessors may be used on what `checkNdp` has passed.
 */
import { get32, putWords } from './bytes.js';
import { MAC_LENGTH, copyMac } from './ethernet.js';
import { ICMP6_CODE, NEIGHBOUR_ADVERTISEMENT, NEIGHBOUR_SOLICITATION, emitIcmp6 } from './icmp6.js';

/** Bytes of a solicitation or advertisement without options. */
export const NDP_HEADER = 24;
/** Offset of the target address. */
export const NDP_TARGET = 8;
const NDP_OPTIONS = 24;

/** Bits of the first byte of an advertisement's flags. */
const FLAGS = 4;
const SOLICITED_BIT = 0x40;
const OVERRIDE_BIT = 0x20;

/** Options. */
export const SOURCE_LINK_ADDRESS = 1;
export const TARGET_LINK_ADDRESS = 2;
/** RFC 3971 5.3.2: tells a station's own solicitation from that of another (RFC 7527). */
export const NONCE = 14;
/** Bytes of an option with a link address or with a nonce. */
export const NDP_OPTION = 8;

/** The hop limit that shows that a message has not crossed a router (RFC 4861 3.1). */
export const NDP_HOP_LIMIT = 255;

/** ff02::1, all nodes of the link. */
export const ALL_NODES = Int32Array.of(0xff020000, 0, 0, 1);

/** True where a message of `length` bytes has a target and options that can be walked (RFC 4861 7.1). */
export function checkNdp(bytes: Uint8Array, at: number, length: number): boolean {
  return length >= NDP_HEADER && bytes[at + ICMP6_CODE] === 0 && checkOptions(bytes, at + NDP_OPTIONS, at + length);
}

/** True where options from `option` to `end` can be walked: none of them has no length, or leads beyond the end. */
export function checkOptions(bytes: Uint8Array, option: number, end: number): boolean {
  while (option < end) {
    const size = option + 1 < end ? bytes[option + 1]! << 3 : 0;
    if (size === 0 || option + size > end) return false;
    option += size;
  }
  return true;
}

/** Place of the first option of a kind that has the length of a link address, -1 where there is none. */
export function ndpOption(bytes: Uint8Array, at: number, length: number, kind: number): number {
  return findOption(bytes, at + NDP_OPTIONS, at + length, kind);
}

/** The same among the options from `option` to `end`. */
export function findOption(bytes: Uint8Array, option: number, end: number, kind: number): number {
  for (; option < end; option += bytes[option + 1]! << 3) {
    if (bytes[option] === kind && bytes[option + 1] === 1) return option + 2;
  }
  return -1;
}

/** An advertisement that answers a solicitation. */
export function ndpSolicited(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + FLAGS]! & SOLICITED_BIT) !== 0;
}

/** An advertisement that is to replace a link address that is known. */
export function ndpOverride(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + FLAGS]! & OVERRIDE_BIT) !== 0;
}

/**
 * Writes a solicitation without checksum.
 *
 * @param option SOURCE_LINK_ADDRESS or NONCE, with the six bytes at `value`.
 * @returns its length.
 */
export function emitSolicitation(
  bytes: Uint8Array, at: number, words: Int32Array, targetAt: number, option: number, value: Uint8Array,
): number {
  emitIcmp6(bytes, at, NEIGHBOUR_SOLICITATION, 0, 0);
  putWords(bytes, at + NDP_TARGET, words, targetAt);
  return emitOption(bytes, at, option, value);
}

/** Writes an advertisement without checksum, with the target's link address; it overrides what is known. Returns its length. */
export function emitAdvertisement(
  bytes: Uint8Array, at: number, words: Int32Array, targetAt: number, solicited: boolean, mac: Uint8Array,
): number {
  emitIcmp6(bytes, at, NEIGHBOUR_ADVERTISEMENT, 0, (OVERRIDE_BIT | (solicited ? SOLICITED_BIT : 0)) << 24);
  putWords(bytes, at + NDP_TARGET, words, targetAt);
  return emitOption(bytes, at, TARGET_LINK_ADDRESS, mac);
}

function emitOption(bytes: Uint8Array, at: number, kind: number, value: Uint8Array): number {
  bytes[at + NDP_OPTIONS] = kind;
  bytes[at + NDP_OPTIONS + 1] = 1;
  copyMac(value, 0, bytes, at + NDP_OPTIONS + 2);
  return NDP_HEADER + NDP_OPTION;
}

/** Writes the solicited-node group of an address, ff02::1:ffXX:XXXX (RFC 4291 2.7.1). */
export function setSolicitedNode(words: Int32Array, at: number, target: Int32Array, targetAt: number): void {
  words[at] = 0xff020000;
  words[at + 1] = 0;
  words[at + 2] = 1;
  words[at + 3] = 0xff000000 | (target[targetAt + 3]! & 0xffffff);
}

/** Writes the link address of an IPv6 group, 33:33 and its last four bytes (RFC 2464 7). */
export function setGroupMac(mac: Uint8Array, at: number, words: Int32Array, groupAt: number): void {
  const last = words[groupAt + 3]!;
  mac[at] = 0x33;
  mac[at + 1] = 0x33;
  for (let i = 0; i < MAC_LENGTH - 2; i++) mac[at + 2 + i] = last >>> (24 - 8 * i);
}

/** True where the link address at `at` is of an IPv6 group. */
export function isGroupMac6(bytes: Uint8Array, at: number): boolean {
  return get32(bytes, at) >>> 16 === 0x3333;
}

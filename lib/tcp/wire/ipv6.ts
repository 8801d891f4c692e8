/**
 * The IPv6 header and the extension headers behind it (RFC 8200). Accessors may be used on what `checkIPv6` has passed, and
 * on the header embedded in an ICMPv6 error that `checkIPv6Embedded` has passed.
 */
import { get16, get32, put16, put32, putWords } from './bytes.js';

/** Bytes of the header; extension headers come on top. */
export const IPV6_HEADER = 40;
/** Every link carries packets of this size (RFC 8200 5). */
export const IPV6_MTU_MIN = 1280;

/** Offsets in the header. */
export const IPV6_PAYLOAD_LENGTH = 4;
export const IPV6_NEXT_HEADER = 6;
export const IPV6_HOP_LIMIT = 7;
export const IPV6_SOURCE = 8;
export const IPV6_DESTINATION = 24;

/** Values of "next header" (RFC 8200 4). */
export const HOP_BY_HOP = 0;
export const ROUTING = 43;
export const FRAGMENT = 44;
export const ICMP6 = 58;
export const NO_NEXT_HEADER = 59;
export const DESTINATION_OPTIONS = 60;

/** Bytes of a fragment header, and offsets in it. */
export const FRAGMENT_HEADER = 8;
const FRAGMENT_FIELD = 2;
const FRAGMENT_IDENTIFICATION = 4;

/** Extension headers of one packet that are walked (RFC 8504 5.3 asks for a bound). */
const EXTENSIONS_MAX = 8;

/** Results of `checkIPv6`. */
export const IPV6_OK = 0;
/** Fewer bytes than the header says, or than any header has. */
export const IPV6_TRUNCATED = 1;
export const IPV6_BAD_VERSION = 2;

/** Looks whether `length` bytes at `at` begin with a whole IPv6 packet. Bytes beyond it are padding of the link. */
export function checkIPv6(bytes: Uint8Array, at: number, length: number): number {
  const check = checkIPv6Embedded(bytes, at, length);
  if (check !== IPV6_OK) return check;
  return IPV6_HEADER + ipv6PayloadLength(bytes, at) > length ? IPV6_TRUNCATED : IPV6_OK;
}

/** Looks whether `length` bytes at `at` begin with an IPv6 header: what an ICMPv6 error holds of the packet in error. */
export function checkIPv6Embedded(bytes: Uint8Array, at: number, length: number): number {
  if (length < IPV6_HEADER) return IPV6_TRUNCATED;
  return bytes[at]! >>> 4 === 6 ? IPV6_OK : IPV6_BAD_VERSION;
}

/** Traffic class: DSCP in the upper six bits, ECN in the lower two. */
export function ipv6TrafficClass(bytes: Uint8Array, at: number): number {
  return ((bytes[at]! & 15) << 4) | (bytes[at + 1]! >>> 4);
}

/** Flow label, 20 bits (RFC 6437). */
export function ipv6FlowLabel(bytes: Uint8Array, at: number): number {
  return get32(bytes, at) & 0xfffff;
}

/** Bytes behind the header, 0 to 65535. */
export function ipv6PayloadLength(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + IPV6_PAYLOAD_LENGTH);
}

export function ipv6NextHeader(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_NEXT_HEADER]!;
}

export function ipv6HopLimit(bytes: Uint8Array, at: number): number {
  return bytes[at + IPV6_HOP_LIMIT]!;
}

/** Changes the ECN field, 0 to 3. */
export function setIPv6Ecn(bytes: Uint8Array, at: number, ecn: number): void {
  bytes[at + 1] = (bytes[at + 1]! & 0xcf) | (ecn << 4);
}

/**
 * Writes a header.
 *
 * @param flowLabel 0 to 0xfffff. @param payloadLength 0 to 65535. @param words both addresses, four words each.
 */
export function emitIPv6(
  bytes: Uint8Array, at: number, trafficClass: number, flowLabel: number, payloadLength: number, nextHeader: number,
  hopLimit: number, words: Int32Array, sourceAt: number, destinationAt: number,
): void {
  put32(bytes, at, (6 << 28) | (trafficClass << 20) | flowLabel);
  put16(bytes, at + IPV6_PAYLOAD_LENGTH, payloadLength);
  bytes[at + IPV6_NEXT_HEADER] = nextHeader;
  bytes[at + IPV6_HOP_LIMIT] = hopLimit;
  putWords(bytes, at + IPV6_SOURCE, words, sourceAt);
  putWords(bytes, at + IPV6_DESTINATION, words, destinationAt);
}

/** Fragment offset in bytes, a multiple of eight. */
export function fragmentOffset(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + FRAGMENT_FIELD) & 0xfff8;
}

/** More fragments follow. */
export function fragmentMore(bytes: Uint8Array, at: number): boolean {
  return (bytes[at + FRAGMENT_FIELD + 1]! & 1) !== 0;
}

/** Identification of the packet that the fragment is of, int32. */
export function fragmentIdentification(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + FRAGMENT_IDENTIFICATION);
}

/**
 * Place of the header of kind `wanted` of a packet, whatever stands before it, or -1. For a packet that is known to have
 * something wrong with it: nothing is judged, and a header that is not there is not looked for beyond `end`.
 */
export function upperAt(bytes: Uint8Array, packet: number, end: number, wanted: number): number {
  let next = ipv6NextHeader(bytes, packet);
  let at = packet + IPV6_HEADER;
  for (let count = 0; count <= EXTENSIONS_MAX; count++) {
    if (next === wanted) return at;
    const isExtension = next === HOP_BY_HOP || next === ROUTING || next === DESTINATION_OPTIONS || next === FRAGMENT;
    if (!isExtension || at + FRAGMENT_HEADER > end) return -1;
    // What follows in a fragment other than the first is no header.
    if (next === FRAGMENT && fragmentOffset(bytes, at) !== 0) return bytes[at] === wanted ? end : -1;
    const length = next === FRAGMENT ? FRAGMENT_HEADER : (bytes[at + 1]! + 1) << 3;
    next = bytes[at]!;
    at += length;
  }
  return -1;
}

/** Results of `Extensions.walk`: what stands at `at`. */
/** The header of a protocol above IP, of kind `next`, or none at all where it is NO_NEXT_HEADER. */
export const WALK_UPPER = 0;
/** A fragment header, whole. */
export const WALK_FRAGMENT = 1;
/** The packet is to be dropped without a word. */
export const WALK_DROP = 2;
/** The same, and its sender told: code `code` of "parameter problem", about the byte at `pointer`. */
export const WALK_PROBLEM = 3;
/** The headers run over the end of what there is. */
export const WALK_TRUNCATED = 4;

/** Codes of "parameter problem" (RFC 4443 3.4, RFC 7112). */
export const ERRONEOUS_FIELD = 0;
export const UNKNOWN_NEXT_HEADER = 1;
export const UNKNOWN_OPTION = 2;
export const INCOMPLETE_CHAIN = 3;

const PAD_1 = 0;
const PAD_N = 1;
/** RFC 2711: tells routers that the packet is of interest to them; a host passes it over. */
const ROUTER_ALERT = 5;
/** Offsets in a routing header. */
const ROUTING_TYPE = 2;
const SEGMENTS_LEFT = 3;

/** A walk along the extension headers of a packet. One object, used again for each. */
export class Extensions {
  /** Kind of header at which the walk ended. */
  next = 0;
  /** Place of that header. */
  at = 0;
  /** Place of the "next header" field that named it. */
  namedAt = 0;
  /** WALK_PROBLEM: the code, and the place of the byte that is wrong. */
  code = 0;
  pointer = 0;

  /**
   * Walks from the header of kind `next` at `at`, named at `namedAt`, up to the first that is not passed over.
   *
   * @param packet place of the IPv6 header. @param end of the packet. @param toGroup sent to a multicast address.
   * @returns a WALK_* result.
   */
  walk(bytes: Uint8Array, packet: number, next: number, namedAt: number, at: number, end: number, toGroup: boolean): number {
    this.next = next;
    this.namedAt = namedAt;
    this.at = at;
    for (let count = 0; ; count++) {
      const kind = this.next;
      if (kind === FRAGMENT) return this.at + FRAGMENT_HEADER > end ? WALK_TRUNCATED : WALK_FRAGMENT;
      if (kind !== HOP_BY_HOP && kind !== ROUTING && kind !== DESTINATION_OPTIONS) return WALK_UPPER;
      if (count === EXTENSIONS_MAX) return WALK_DROP;
      // RFC 8200 4.1: hop-by-hop options stand right behind the IPv6 header.
      if (kind === HOP_BY_HOP && this.at !== packet + IPV6_HEADER) return this.problem(UNKNOWN_NEXT_HEADER, this.namedAt);
      if (this.at + 8 > end) return WALK_TRUNCATED;
      const length = (bytes[this.at + 1]! + 1) << 3;
      if (this.at + length > end) return WALK_TRUNCATED;
      const result = kind === ROUTING ? this.routing(bytes) : this.options(bytes, this.at + 2, this.at + length, toGroup);
      if (result !== WALK_UPPER) return result;
      this.next = bytes[this.at]!;
      this.namedAt = this.at;
      this.at += length;
    }
  }

  /** RFC 8200 4.4, RFC 5095: what has segments left wants to be sent on, and no type of it is served here. */
  private routing(bytes: Uint8Array): number {
    return bytes[this.at + SEGMENTS_LEFT] === 0 ? WALK_UPPER : this.problem(ERRONEOUS_FIELD, this.at + ROUTING_TYPE);
  }

  /** RFC 8200 4.2: the two highest bits of an unknown option say what becomes of its packet. */
  private options(bytes: Uint8Array, from: number, end: number, toGroup: boolean): number {
    for (let at = from; at < end;) {
      const kind = bytes[at]!;
      if (kind === PAD_1) {
        at++;
        continue;
      }
      if (at + 2 > end || at + 2 + bytes[at + 1]! > end) return this.problem(ERRONEOUS_FIELD, at);
      if (kind !== PAD_N && kind !== ROUTER_ALERT) {
        const action = kind >>> 6;
        if (action === 1 || (action === 3 && toGroup)) return WALK_DROP;
        if (action >= 2) return this.problem(UNKNOWN_OPTION, at);
      }
      at += 2 + bytes[at + 1]!;
    }
    return WALK_UPPER;
  }

  private problem(code: number, pointer: number): number {
    this.code = code;
    this.pointer = pointer;
    return WALK_PROBLEM;
  }
}

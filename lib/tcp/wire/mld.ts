/**
 * Multicast listener discovery, versions 1 (RFC 2710) and 2 (RFC 3810): queries of routers, reports of hosts. Accessors may be used on
 * what `isMldQuery` has passed.
 */
import { get16, put16, putWords } from './bytes.js';
import { ICMP6_HEADER, MLD2_REPORT, emitIcmp6 } from './icmp6.js';
import { HOP_BY_HOP, ICMP6, IPV6_HEADER, ipv6NextHeader } from './ipv6.js';

/** MLD travels with this hop limit, and never crosses a router (RFC 3810 5). */
export const MLD_HOP_LIMIT = 1;

const MAXIMUM_DELAY = 4;
/** Offset of the group that is asked for; the unspecified address asks for all. */
export const MLD_GROUP = 8;
/** Length of a query of version 1; one of version 2 has more (RFC 3810 8.1). */
const LENGTH1 = 24;
const LENGTH2 = 28;

/** What a record of a report says (RFC 3810 5.2.12), of a group that is listened to whatever the source. */
export const MODE_IS_EXCLUDE = 2;
export const CHANGE_TO_INCLUDE = 3;
export const CHANGE_TO_EXCLUDE = 4;
/** Bytes of a record that names no sources. */
export const RECORD_LENGTH = 20;

/** Bytes of the hop-by-hop header that has routers look at the message. */
export const ROUTER_ALERT_LENGTH = 8;
const ROUTER_ALERT = 5;
const PADN = 1;

export function isMldQuery(length: number): boolean {
  return length === LENGTH1 || length >= LENGTH2;
}

export function isMld2Query(length: number): boolean {
  return length >= LENGTH2;
}

/** How long an answer may take at most, ms (RFC 2710 3.4; RFC 3810 5.1.3: above 32767 a floating-point number). */
export function mldMaximumDelay(bytes: Uint8Array, at: number, length: number): number {
  const code = get16(bytes, at + MAXIMUM_DELAY);
  if (!isMld2Query(length) || code < 0x8000) return code;
  return ((code & 0xfff) | 0x1000) << (((code >> 12) & 7) + 3);
}

/** Writes a message of version 1: a report, or that the last listener has left. Returns its length. */
export function emitMld1(bytes: Uint8Array, at: number, type: number, group: Int32Array): number {
  emitIcmp6(bytes, at, type, 0, 0);
  putWords(bytes, at + MLD_GROUP, group, 0);
  return LENGTH1;
}

/** Writes the head of a report of version 2; its records follow. Returns its length. */
export function emitMld2Report(bytes: Uint8Array, at: number, records: number): number {
  emitIcmp6(bytes, at, MLD2_REPORT, 0, records);
  return ICMP6_HEADER;
}

export function emitRecord(bytes: Uint8Array, at: number, type: number, group: Int32Array): void {
  bytes[at] = type;
  bytes[at + 1] = 0;
  put16(bytes, at + 2, 0);
  putWords(bytes, at + 4, group, 0);
}

/** Writes a hop-by-hop header with the router alert of MLD (RFC 2711 2.1), before ICMPv6. */
export function emitRouterAlert(bytes: Uint8Array, at: number): void {
  bytes[at] = ICMP6;
  bytes[at + 1] = 0;
  bytes[at + 2] = ROUTER_ALERT;
  bytes[at + 3] = 2;
  put16(bytes, at + 4, 0);
  bytes[at + 6] = PADN;
  bytes[at + 7] = 0;
}

/** True where the packet whose header is at `at` has a router alert. Its hop-by-hop header has been found to be whole. */
export function hasRouterAlert(bytes: Uint8Array, at: number): boolean {
  if (ipv6NextHeader(bytes, at) !== HOP_BY_HOP) return false;
  const header = at + IPV6_HEADER;
  const end = header + 8 * (bytes[header + 1]! + 1);
  for (let option = header + 2; option < end;) {
    const type = bytes[option]!;
    if (type === ROUTER_ALERT) return true;
    option += type === 0 ? 1 : 2 + bytes[option + 1]!;
  }
  return false;
}

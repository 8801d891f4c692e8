/**
 * The Ethernet II header (RFC 894). Accessors may be used on a frame of at least ETHERNET_HEADER bytes.
 */
import { get16, put16 } from './bytes.js';

/** Bytes of the header. */
export const ETHERNET_HEADER = 14;
/** Bytes of a link address. */
export const MAC_LENGTH = 6;

/** Offsets in the header. */
export const ETHERNET_DESTINATION = 0;
export const ETHERNET_SOURCE = 6;
export const ETHERNET_TYPE = 12;

/** Types. */
export const TYPE_IPV4 = 0x0800;
export const TYPE_ARP = 0x0806;
export const TYPE_IPV6 = 0x86dd;

export function ethernetType(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ETHERNET_TYPE);
}

/** True where the link address at `at` names a group: multicast or broadcast. */
export function isGroupMac(bytes: Uint8Array, at: number): boolean {
  return (bytes[at]! & 1) !== 0;
}

/** True where the link address at `at` is all zeros, which no station has. */
export function isZeroMac(bytes: Uint8Array, at: number): boolean {
  return (bytes[at]! | bytes[at + 1]! | bytes[at + 2]! | bytes[at + 3]! | bytes[at + 4]! | bytes[at + 5]!) === 0;
}

export function sameMac(a: Uint8Array, aAt: number, b: Uint8Array, bAt: number): boolean {
  // The last bytes differ most often.
  for (let i = MAC_LENGTH - 1; i >= 0; i--) {
    if (a[aAt + i] !== b[bAt + i]) return false;
  }
  return true;
}

export function copyMac(from: Uint8Array, fromAt: number, to: Uint8Array, toAt: number): void {
  for (let i = 0; i < MAC_LENGTH; i++) to[toAt + i] = from[fromAt + i]!;
}

/** Writes a header. The link addresses are six bytes at the places given. */
export function emitEthernet(
  bytes: Uint8Array, at: number, destination: Uint8Array, destinationAt: number, source: Uint8Array, sourceAt: number,
  type: number,
): void {
  copyMac(destination, destinationAt, bytes, at + ETHERNET_DESTINATION);
  copyMac(source, sourceAt, bytes, at + ETHERNET_SOURCE);
  put16(bytes, at + ETHERNET_TYPE, type);
}

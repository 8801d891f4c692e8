/**
 * ARP for IPv4 over Ethernet (RFC 826). Accessors may be used on what `checkArp` has passed.
 */
import { get16, get32, put16, put32 } from './bytes.js';
import { MAC_LENGTH, TYPE_IPV4, copyMac } from './ethernet.js';

/** Bytes of a packet. */
export const ARP_LENGTH = 28;

/** Offsets in the packet. */
export const ARP_HARDWARE_TYPE = 0;
export const ARP_PROTOCOL_TYPE = 2;
export const ARP_HARDWARE_LENGTH = 4;
export const ARP_PROTOCOL_LENGTH = 5;
export const ARP_OPERATION = 6;
export const ARP_SENDER_MAC = 8;
export const ARP_SENDER_ADDRESS = 14;
export const ARP_TARGET_MAC = 18;
export const ARP_TARGET_ADDRESS = 24;

export const ARP_REQUEST = 1;
export const ARP_REPLY = 2;

const HARDWARE_ETHERNET = 1;

/** Results of `checkArp`. */
export const ARP_OK = 0;
export const ARP_TRUNCATED = 1;
/** Not Ethernet, not IPv4, or neither a request nor a reply. */
export const ARP_FOREIGN = 2;

/** Looks whether `length` bytes at `at` are an ARP request or reply for IPv4 over Ethernet. */
export function checkArp(bytes: Uint8Array, at: number, length: number): number {
  if (length < ARP_LENGTH) return ARP_TRUNCATED;
  if (get16(bytes, at + ARP_HARDWARE_TYPE) !== HARDWARE_ETHERNET) return ARP_FOREIGN;
  if (get16(bytes, at + ARP_PROTOCOL_TYPE) !== TYPE_IPV4) return ARP_FOREIGN;
  if (bytes[at + ARP_HARDWARE_LENGTH] !== MAC_LENGTH || bytes[at + ARP_PROTOCOL_LENGTH] !== 4) return ARP_FOREIGN;
  const operation = arpOperation(bytes, at);
  return operation === ARP_REQUEST || operation === ARP_REPLY ? ARP_OK : ARP_FOREIGN;
}

export function arpOperation(bytes: Uint8Array, at: number): number {
  return get16(bytes, at + ARP_OPERATION);
}

/** The sender's IPv4 address, int32; 0 in a probe (RFC 5227). */
export function arpSender(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ARP_SENDER_ADDRESS);
}

/** The IPv4 address asked for, int32. */
export function arpTarget(bytes: Uint8Array, at: number): number {
  return get32(bytes, at + ARP_TARGET_ADDRESS);
}

/**
 * Writes a packet.
 *
 * @param targetMac six bytes at `targetMacAt`, or null in a request, where they are not known: zeros.
 */
export function emitArp(
  bytes: Uint8Array, at: number, operation: number, senderMac: Uint8Array, sender: number,
  targetMac: Uint8Array | null, targetMacAt: number, target: number,
): void {
  put16(bytes, at + ARP_HARDWARE_TYPE, HARDWARE_ETHERNET);
  put16(bytes, at + ARP_PROTOCOL_TYPE, TYPE_IPV4);
  bytes[at + ARP_HARDWARE_LENGTH] = MAC_LENGTH;
  bytes[at + ARP_PROTOCOL_LENGTH] = 4;
  put16(bytes, at + ARP_OPERATION, operation);
  copyMac(senderMac, 0, bytes, at + ARP_SENDER_MAC);
  put32(bytes, at + ARP_SENDER_ADDRESS, sender);
  if (targetMac === null) bytes.fill(0, at + ARP_TARGET_MAC, at + ARP_TARGET_ADDRESS);
  else copyMac(targetMac, targetMacAt, bytes, at + ARP_TARGET_MAC);
  put32(bytes, at + ARP_TARGET_ADDRESS, target);
}

/**
 * The header with which the kernel and a device tell each other what is left to do for a frame: struct virtio_net_hdr of
 * linux/virtio_net.h, in the byte order of this machine.
 *
 * ```
 *   flags u8 │ gso_type u8 │ hdr_len u16 │ gso_size u16 │ csum_start u16 │ csum_offset u16
 * ```
 */
import { RX_CHECKSUM_VALID } from './device.js';

/** Bytes of the header; the frame follows. */
export const VNET_HEADER = 10;

const GSO_SIZE = 4;
const NEEDS_CSUM = 1;
const DATA_VALID = 2;
const GSO_TCPV4 = 1;
const GSO_TCPV6 = 4;
const GSO_ECN = 0x80;

const TCP_CHECKSUM_OFFSET = 16;
const TCP_DATA_OFFSET = 12;
const TCP_FLAGS = 13;
const TCP_CWR = 0x80;

/** RX_* flags of a received frame. @param at of its header. */
export function receivedFlags(bytes: Uint8Array, at: number): number {
  return (bytes[at]! & (NEEDS_CSUM | DATA_VALID)) !== 0 ? RX_CHECKSUM_VALID : 0;
}

/** Payload bytes of each segment in a received frame; 0 where it is one segment. @param at of its header. */
export function receivedSegmentSize(bytes: Uint8Array, at: number): number {
  return bytes[at + GSO_SIZE]! | (bytes[at + GSO_SIZE + 1]! << 8);
}

/**
 * Writes the header before a frame that is to be sent.
 *
 * @param halves the same memory as `bytes`. @param frame offset of the frame: even. @param linkHeader bytes before its IP header.
 * @param checksumStart,segmentSize as in `Device.commit`.
 */
export function putOffloads(bytes: Uint8Array, halves: Uint16Array, frame: number, linkHeader: number, checksumStart: number, segmentSize: number): void {
  const half = (frame - VNET_HEADER) >> 1;
  let flags = 0;
  let headerLength = 0;
  if (checksumStart !== 0) {
    flags = NEEDS_CSUM;
    if (segmentSize !== 0) {
      const tcp = frame + checksumStart;
      const family = bytes[frame + linkHeader]! >> 4 === 6 ? GSO_TCPV6 : GSO_TCPV4;
      flags |= (family | ((bytes[tcp + TCP_FLAGS]! & TCP_CWR) !== 0 ? GSO_ECN : 0)) << 8;
      headerLength = checksumStart + ((bytes[tcp + TCP_DATA_OFFSET]! >> 4) << 2);
    }
  }
  halves[half] = flags;
  halves[half + 1] = headerLength;
  halves[half + 2] = segmentSize;
  halves[half + 3] = checksumStart;
  halves[half + 4] = checksumStart === 0 ? 0 : TCP_CHECKSUM_OFFSET;
}

/** Numbers and layouts of AF_XDP sockets: linux/if_xdp.h. */

export const AF_XDP = 44;
export const SOL_XDP = 283;
export const XDP_MMAP_OFFSETS = 1;
export const XDP_RX_RING = 2;
export const XDP_TX_RING = 3;
export const XDP_UMEM_REG = 4;
export const XDP_UMEM_FILL_RING = 5;
export const XDP_UMEM_COMPLETION_RING = 6;
export const XDP_STATISTICS = 7;
export const XDP_OPTIONS = 8;
export const XDP_MAX_TX_SKB_BUDGET = 9;

// Flags of a binding.
export const XDP_SHARED_UMEM = 1 << 0;
export const XDP_COPY = 1 << 1;
export const XDP_USE_NEED_WAKEUP = 1 << 3;
export const XDP_USE_SG = 1 << 4;
/** Of XDP_OPTIONS: the driver moves frames without a copy. */
export const XDP_OPTIONS_ZEROCOPY = 1;
/** Of a ring: the kernel wants to be woken. */
export const XDP_RING_NEED_WAKEUP = 1;

/** Where the rings of a socket are mapped from. */
export const XDP_PGOFF_RX_RING = 0;
export const XDP_PGOFF_TX_RING = 0x80000000;
export const XDP_UMEM_PGOFF_FILL_RING = 0x100000000;
export const XDP_UMEM_PGOFF_COMPLETION_RING = 0x180000000;

/** struct xdp_desc: bytes; its words (int32) are the address in the UMEM in two halves, the length, and options. */
export const DESCRIPTOR = 16;
export const DESC_ADDRESS = 0;
export const DESC_ADDRESS_HIGH = 1;
export const DESC_LENGTH = 2;
export const DESC_OPTIONS = 3;
/** The frame goes on in the next descriptor. */
export const XDP_PKT_CONTD = 1 << 0;
/** Before the frame stands struct xsk_tx_metadata. */
export const XDP_TX_METADATA = 1 << 1;
/** Entry of a fill or completion ring: an address in the UMEM. */
export const ADDRESS_ENTRY = 8;

/** Size of struct xdp_umem_reg, and the flag that says that its last field is given (Linux 6.11). */
export const UMEM_REG = 32;
export const XDP_UMEM_TX_METADATA_LEN = 1 << 2;

/**
 * Bytes of metadata before a frame that is sent: no less than any struct xsk_tx_metadata has. Its words (int32) are flags in two halves, and
 * where the checksum starts, with the place of its field from there in the upper half.
 */
export const TX_METADATA = 32;
export const TXMD_FLAGS = 0;
export const TXMD_CHECKSUM = 2;
export const XDP_TXMD_FLAGS_CHECKSUM = 1 << 1;

/** Bytes that the kernel leaves free before a frame in its chunk, for programs that put something before it. */
export const XDP_PACKET_HEADROOM = 256;

/** struct xdp_statistics, in 64-bit words. */
export const STATISTICS_WORDS = 6;

/** struct sockaddr_xdp. @param flags XDP_* of a binding. @param index of the interface. @param umem the socket whose UMEM is shared; 0: its own. */
export function socketAddress(flags: number, index: number, queue: number, umem: number): Uint8Array {
  const address = new Uint8Array(16);
  const view = new DataView(address.buffer);
  view.setUint16(0, AF_XDP, true);
  view.setUint16(2, flags, true);
  view.setUint32(4, index, true);
  view.setUint32(8, queue, true);
  view.setUint32(12, umem, true);
  return address;
}

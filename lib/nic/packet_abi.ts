/** Numbers and layouts of Linux packet sockets: linux/if_packet.h, linux/if_ether.h, linux/filter.h. */

export const ETH_P_ALL = 0x0003;
export const ETHERNET_HEADER = 14;

export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_DROP_MEMBERSHIP = 2;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_COPY_THRESH = 7;
export const PACKET_VERSION = 10;
export const PACKET_VNET_HDR = 15;
export const PACKET_IGNORE_OUTGOING = 23;
export const TPACKET_V2 = 1;
export const PACKET_MR_MULTICAST = 0;
export const PACKET_MR_UNICAST = 3;
export const SO_ATTACH_FILTER = 26;
/** Sizes of struct packet_mreq, sock_fprog and sock_filter. */
export const PACKET_MREQ = 16;
export const FPROG = 16;
export const SOCK_FILTER = 8;

// Kinds of frame, by whom they are for.
export const PACKET_OTHERHOST = 3;
export const PACKET_OUTGOING = 4;

// struct tpacket2_hdr: words (int32) from the start of a slot, and bytes of its 16-bit fields.
export const TP_STATUS = 0;
export const TP_LEN = 1;
export const TP_SNAPLEN = 2;
export const TP_MAC = 12;
export const TP_VLAN_TCI = 24;
/** sll_pkttype of the sockaddr_ll behind the header. */
export const TP_PKTTYPE = 32 + 10;
/** Bytes of a slot before the frame: header, address, alignment, virtio header. */
export const TP_OVERHEAD = 128;

export const TP_STATUS_KERNEL = 0;
export const TP_STATUS_USER = 1;
export const TP_STATUS_COPY = 2;
export const TP_STATUS_LOSING = 4;
export const TP_STATUS_VLAN_VALID = 16;

/** sockaddr_ll that binds to every protocol on one interface. */
export function linkAddress(index: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, 17, true); // AF_PACKET
  view.setUint16(2, ETH_P_ALL); // in network order
  view.setInt32(4, index, true);
  return address;
}

/** packet_mreq that makes the interface take frames for one more address, or group. @param kind PACKET_MR_* */
export function membership(index: number, kind: number, mac: Uint8Array): Uint8Array {
  const request = new Uint8Array(PACKET_MREQ);
  const view = new DataView(request.buffer);
  view.setInt32(0, index, true);
  view.setUint16(4, kind, true);
  view.setUint16(6, mac.length, true);
  request.set(mac, 8);
  return request;
}

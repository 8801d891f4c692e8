/** Numbers and layouts of Linux packet sockets: linux/if_packet.h, linux/if_ether.h, linux/virtio_net.h, linux/filter.h. */

export const ETH_P_ALL = 0x0003;
export const ETHERTYPE_IPV6 = 0x86dd;
export const ETHERNET_HEADER = 14;

export const SOL_PACKET = 263;
export const PACKET_ADD_MEMBERSHIP = 1;
export const PACKET_RX_RING = 5;
export const PACKET_STATISTICS = 6;
export const PACKET_COPY_THRESH = 7;
export const PACKET_VERSION = 10;
export const PACKET_VNET_HDR = 15;
export const PACKET_IGNORE_OUTGOING = 23;
export const TPACKET_V2 = 1;
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

// struct virtio_net_hdr: flags u8, gso_type u8, hdr_len u16, gso_size u16, csum_start u16, csum_offset u16.
export const VNET_HEADER = 10;
export const VNET_GSO_SIZE = 4;
export const VNET_NEEDS_CSUM = 1;
export const VNET_DATA_VALID = 2;
export const VNET_GSO_TCPV4 = 1;
export const VNET_GSO_TCPV6 = 4;
export const VNET_GSO_ECN = 0x80;

// struct mmsghdr and struct iovec with 64-bit pointers, in bytes; places in int32 words.
export const MMSGHDR = 64;
export const MSG_IOV = 4;
export const MSG_IOVLEN = 6;
export const IOVEC = 16;
export const IOV_BASE = 0;
export const IOV_LEN = 2;

/** sockaddr_ll that binds to every protocol on one interface. */
export function linkAddress(index: number): Uint8Array {
  const address = new Uint8Array(20);
  const view = new DataView(address.buffer);
  view.setUint16(0, 17, true); // AF_PACKET
  view.setUint16(2, ETH_P_ALL); // in network order
  view.setInt32(4, index, true);
  return address;
}

/** packet_mreq that makes the interface take frames for one more address. */
export function unicastMembership(index: number, mac: Uint8Array): Uint8Array {
  const request = new Uint8Array(PACKET_MREQ);
  const view = new DataView(request.buffer);
  view.setInt32(0, index, true);
  view.setUint16(4, PACKET_MR_UNICAST, true);
  view.setUint16(6, mac.length, true);
  request.set(mac, 8);
  return request;
}

/** A classic BPF program (array of sock_filter) that lets through ARP, and IPv4 for one address. `address`: dotted. */
export function addressFilter(address: string): Uint8Array {
  const octets = address.split('.').map(Number);
  if (octets.length !== 4 || octets.some((octet) => !(octet >= 0 && octet <= 255))) {
    throw new TypeError(`"${address}" is not an IPv4 address`);
  }
  const word = octets.reduce((sum, octet) => sum * 256 + octet, 0);
  const LDH = 0x28, LD = 0x20, JEQ = 0x15, RET = 0x06;
  const program: [code: number, jumpTrue: number, jumpFalse: number, k: number][] = [
    [LDH, 0, 0, 12],
    [JEQ, 3, 0, 0x0806],
    [JEQ, 0, 3, 0x0800],
    [LD, 0, 0, 30],
    [JEQ, 0, 1, word],
    [RET, 0, 0, 0x40000],
    [RET, 0, 0, 0],
  ];
  const bytes = new Uint8Array(program.length * SOCK_FILTER);
  const view = new DataView(bytes.buffer);
  program.forEach(([code, jumpTrue, jumpFalse, k], i) => {
    view.setUint16(SOCK_FILTER * i, code, true);
    view.setUint8(SOCK_FILTER * i + 2, jumpTrue);
    view.setUint8(SOCK_FILTER * i + 3, jumpFalse);
    view.setUint32(SOCK_FILTER * i + 4, k, true);
  });
  return bytes;
}

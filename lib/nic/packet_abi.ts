/** Numbers and layouts of Linux packet sockets: linux/if_packet.h, linux/if_ether.h, linux/filter.h. */

export const ETH_P_ALL = 0x0003;
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

/** Instruction of classic BPF: where a jump leads is said by the number of an instruction that follows. */
type Instruction = readonly [code: number, jumpTrue: number, jumpFalse: number, k: number];

const LOAD_HALF = 0x28;
const LOAD_WORD = 0x20;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const RETURN = 0x06;
const TYPE_AT = 12;
const IPV4_TO_AT = ETHERNET_HEADER + 16;
const IPV6_TO_AT = ETHERNET_HEADER + 24;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
const TAKE_ALL = 0x40000;

/**
 * A classic BPF program (array of sock_filter) that lets through ARP, IPv4 for any of the addresses of 4 bytes, and IPv6 for any of
 * those of 16, for groups (ff00::/8) and for link-local addresses (fe80::/10). At most 30 addresses: jumps are short.
 */
export function addressFilter(addresses: readonly Uint8Array[]): Uint8Array {
  const words = (address: Uint8Array): number[] => Array.from({ length: address.length >> 2 }, (_, i) => new DataView(address.buffer, address.byteOffset).getUint32(4 * i));
  const four = addresses.filter(({ length }) => length === 4).map(words);
  const six = addresses.filter(({ length }) => length === 16).map(words);
  if (four.length + six.length !== addresses.length) throw new TypeError('an address has 4 or 16 bytes');
  // Places: the beginning, what IPv4 is asked, what IPv6 is asked, and at the end the two results.
  const at4 = 4;
  const at6 = at4 + 1 + four.length + 1;
  const refuse = at6 + 4 + 8 * six.length;
  const take = refuse + 1;
  const program: Instruction[] = [
    [LOAD_HALF, 0, 0, TYPE_AT],
    [JUMP_EQUAL, take, 2, ETHERTYPE_ARP],
    [JUMP_EQUAL, at4, 3, ETHERTYPE_IPV4],
    [JUMP_EQUAL, at6, refuse, ETHERTYPE_IPV6],
    [LOAD_WORD, 0, 0, IPV4_TO_AT],
    ...four.map(([address], i): Instruction => [JUMP_EQUAL, take, at4 + 2 + i, address!]),
    [RETURN, 0, 0, 0],
    [LOAD_WORD, 0, 0, IPV6_TO_AT],
    [JUMP_AT_LEAST, take, at6 + 2, 0xff000000],
    [JUMP_AT_LEAST, at6 + 4, at6 + 3, 0xfec00000],
    [JUMP_AT_LEAST, take, at6 + 4, 0xfe800000],
    ...six.flatMap((address, i): Instruction[] => {
      const at = at6 + 4 + 8 * i;
      return address.flatMap((word, j): Instruction[] => [
        [LOAD_WORD, 0, 0, IPV6_TO_AT + 4 * j],
        [JUMP_EQUAL, j === 3 ? take : at + 2 * j + 2, at + 8, word],
      ]);
    }),
    [RETURN, 0, 0, 0],
    [RETURN, 0, 0, TAKE_ALL],
  ];
  return assemble(program);
}

function assemble(program: readonly Instruction[]): Uint8Array {
  const bytes = new Uint8Array(program.length * SOCK_FILTER);
  const view = new DataView(bytes.buffer);
  for (const [i, [code, jumpTrue, jumpFalse, k]] of program.entries()) {
    const isJump = code === JUMP_EQUAL || code === JUMP_AT_LEAST;
    if (isJump && Math.max(jumpTrue, jumpFalse) - i - 1 > 255) throw new RangeError('too many addresses for one filter');
    view.setUint16(SOCK_FILTER * i, code, true);
    view.setUint8(SOCK_FILTER * i + 2, isJump ? jumpTrue - i - 1 : 0);
    view.setUint8(SOCK_FILTER * i + 3, isJump ? jumpFalse - i - 1 : 0);
    view.setUint32(SOCK_FILTER * i + 4, k, true);
  }
  return bytes;
}

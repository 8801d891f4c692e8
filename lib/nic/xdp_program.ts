/**
 * The XDP program that takes from an interface what is for a TCP server's own addresses, and leaves everything else to the kernel. It runs in
 * the driver before all of the kernel's network, for each frame:
 *
 * ```
 *   not to the interface's link address, nor to a group    → kernel
 *   ARP from or to an own address                          → socket of the receive queue
 *   IPv4, IPv6 to an own address                           → socket of the receive queue
 *   neighbour solicitation or advertisement about one      → socket of the receive queue
 *   anything else: VLANs, other protocols, what is cut off → kernel
 * ```
 *
 * A frame goes to one of the two. So what is for every station, such as a neighbour's announcement of itself or a router's advertisement, is
 * the kernel's alone.
 */
import { Assembler, type Label, type Register } from './bpf_assembler.js';
import { ICMP6, IPV4_TO_AT, IPV6_NEXT_AT, IPV6_TO_AT, TYPE_AT } from './frame_places.js';
import { ETHERNET_HEADER } from './packet_abi.js';

const BPF_FUNC_REDIRECT_MAP = 51;
const XDP_PASS = 2;
// struct xdp_md, in bytes.
const DATA = 0;
const DATA_END = 4;
const RX_QUEUE_INDEX = 16;

const ETHERTYPE_ARP = Uint8Array.of(0x08, 0x06);
const ETHERTYPE_IPV4 = Uint8Array.of(0x08, 0x00);
const ETHERTYPE_IPV6 = Uint8Array.of(0x86, 0xdd);
const ARP_END = ETHERNET_HEADER + 28;
const ARP_SENDER_AT = ETHERNET_HEADER + 14;
const ARP_TARGET_AT = ETHERNET_HEADER + 24;
const IPV4_END = ETHERNET_HEADER + 20;
const IPV6_END = ETHERNET_HEADER + 40;
const NEIGHBOUR_SOLICITATION = 135;
const NEIGHBOUR_ADVERTISEMENT = 136;
const NDP_TYPE_AT = IPV6_END;
const NDP_TARGET_AT = IPV6_END + 8;
const NDP_END = IPV6_END + 24;
const GROUP = 1;

const RESULT: Register = 0;
/** The argument: struct xdp_md. */
const CONTEXT: Register = 1;
/** The first byte of the frame, and the one behind its last. */
const FRAME: Register = 2;
const END: Register = 3;
const VALUE: Register = 4;

const TAKE: Label = 'take';
const PASS: Label = 'pass';

/**
 * @param mac link address of the interface. @param addresses own ones, 4 or 16 bytes each. @param map descriptor of the XSKMAP that has a socket
 *   for each receive queue; where it has none, the frame is the kernel's.
 */
export function redirectProgram(mac: Uint8Array, addresses: readonly Uint8Array[], map: number): Uint8Array {
  const four = addresses.filter(({ length }) => length === 4);
  const six = addresses.filter(({ length }) => length === 16);
  if (four.length + six.length !== addresses.length) throw new TypeError('an address has 4 or 16 bytes');
  const program = new Assembler();
  program.load(4, FRAME, CONTEXT, DATA).load(4, END, CONTEXT, DATA_END);
  mustReach(program, ETHERNET_HEADER);
  program.load(1, VALUE, FRAME, 0).jumpIfAnyBit(VALUE, GROUP, 'type');
  jumpUnlessSame(program, 0, mac, PASS);
  program.at('type').load(2, VALUE, FRAME, TYPE_AT)
    .jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV4, 0, 2), 'IPv4')
    .jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV6, 0, 2), 'IPv6')
    .jumpIfNotEqual(VALUE, asLoaded(ETHERTYPE_ARP, 0, 2), PASS);
  mustReach(program, ARP_END);
  takeIfAny(program, 'ARP target', ARP_TARGET_AT, four);
  takeIfAny(program, 'ARP sender', ARP_SENDER_AT, four);
  mustReach(program.jump(PASS).at('IPv4'), IPV4_END);
  takeIfAny(program, 'IPv4 destination', IPV4_TO_AT, four);
  mustReach(program.jump(PASS).at('IPv6'), IPV6_END);
  takeIfAny(program, 'IPv6 destination', IPV6_TO_AT, six);
  program.load(1, VALUE, FRAME, IPV6_NEXT_AT).jumpIfNotEqual(VALUE, ICMP6, PASS);
  mustReach(program, NDP_END);
  program.load(1, VALUE, FRAME, NDP_TYPE_AT)
    .jumpIfEqual(VALUE, NEIGHBOUR_SOLICITATION, 'NDP').jumpIfNotEqual(VALUE, NEIGHBOUR_ADVERTISEMENT, PASS).at('NDP');
  takeIfAny(program, 'NDP target', NDP_TARGET_AT, six);
  program.at(PASS).set(RESULT, XDP_PASS).exit();
  // The lower bits of the last argument are the result where the map has no socket. The verifier refuses instructions that nothing leads to.
  if (addresses.length > 0) program.at(TAKE).load(4, 2, CONTEXT, RX_QUEUE_INDEX).loadMap(1, map).set(3, XDP_PASS).call(BPF_FUNC_REDIRECT_MAP).exit();
  return program.assemble();
}

/** Leaves frames of fewer bytes to the kernel; the verifier wants to see this before each part that is looked at. */
function mustReach(program: Assembler, bytes: number): void {
  program.move(VALUE, FRAME).add(VALUE, bytes).jumpIfGreater(VALUE, END, PASS);
}

/** Takes the frame where one of the addresses stands at `at`. @param what stands there, for the labels. */
function takeIfAny(program: Assembler, what: string, at: number, addresses: readonly Uint8Array[]): void {
  for (const [i, address] of addresses.entries()) {
    const other = `${what}: not ${i}`;
    jumpUnlessSame(program, at, address, other);
    program.jump(TAKE).at(other);
  }
}

/**
 * Jumps where the frame has other bytes at `at`. Frames begin 2 bytes before a multiple of 4, so that IP headers lie at one: words are loaded
 * from multiples of 4 alone, since some machines cannot do otherwise and the verifier refuses it there.
 */
function jumpUnlessSame(program: Assembler, at: number, bytes: Uint8Array, label: Label): void {
  for (let i = 0; i < bytes.length;) {
    const size = (at + i + 2) % 4 === 0 && bytes.length - i >= 4 ? 4 : 2;
    program.load(size, VALUE, FRAME, at + i).jumpIfNotEqual(VALUE, asLoaded(bytes, i, size), label);
    i += size;
  }
}

/** What a load of these bytes puts into a register: their order is that of this machine, which is little-endian. */
function asLoaded(bytes: Uint8Array, at: number, size: 2 | 4): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return size === 4 ? view.getInt32(at, true) : view.getUint16(at, true);
}

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
import { Assembler } from './bpf_assembler.js';
import { ETHERTYPE_IPV4, ETHERTYPE_IPV6, ICMP6, IPV4_TO_AT, IPV6_NEXT_AT, IPV6_TO_AT, TYPE_AT } from './frame_places.js';
import { ETHERNET_HEADER } from './packet_abi.js';
import { asLoaded, CONTEXT, findFrame, FRAME, jumpIfAny, jumpUnlessSame, mustReach, pass, PASS, take, TAKE, VALUE } from './xdp_frames.js';

const ETHERTYPE_ARP = Uint8Array.of(0x08, 0x06);
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

/**
 * @param mac link address of the interface. @param addresses own ones, 4 or 16 bytes each. @param sockets descriptor of the XSKMAP that has a socket
 *   for each receive queue; where it has none, the frame is the kernel's.
 */
export function redirectProgram(mac: Uint8Array, addresses: readonly Uint8Array[], sockets: number): Uint8Array {
  const four = addresses.filter(({ length }) => length === 4);
  const six = addresses.filter(({ length }) => length === 16);
  if (four.length + six.length !== addresses.length) throw new TypeError('an address has 4 or 16 bytes');
  const program = new Assembler();
  findFrame(program);
  mustReach(program, ETHERNET_HEADER);
  program.load(1, VALUE, FRAME, 0).jumpIfAnyBit(VALUE, GROUP, 'type');
  jumpUnlessSame(program, 0, mac, PASS);
  program.at('type').load(2, VALUE, FRAME, TYPE_AT)
    .jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV4, 0, 2), 'IPv4')
    .jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV6, 0, 2), 'IPv6')
    .jumpIfNotEqual(VALUE, asLoaded(ETHERTYPE_ARP, 0, 2), PASS);
  mustReach(program, ARP_END);
  jumpIfAny(program, 'ARP target', ARP_TARGET_AT, four, TAKE);
  jumpIfAny(program, 'ARP sender', ARP_SENDER_AT, four, TAKE);
  mustReach(program.jump(PASS).at('IPv4'), IPV4_END);
  jumpIfAny(program, 'IPv4 destination', IPV4_TO_AT, four, TAKE);
  mustReach(program.jump(PASS).at('IPv6'), IPV6_END);
  jumpIfAny(program, 'IPv6 destination', IPV6_TO_AT, six, TAKE);
  program.load(1, VALUE, FRAME, IPV6_NEXT_AT).jumpIfNotEqual(VALUE, ICMP6, PASS);
  mustReach(program, NDP_END);
  program.load(1, VALUE, FRAME, NDP_TYPE_AT)
    .jumpIfEqual(VALUE, NEIGHBOUR_SOLICITATION, 'NDP').jumpIfNotEqual(VALUE, NEIGHBOUR_ADVERTISEMENT, PASS).at('NDP');
  jumpIfAny(program, 'NDP target', NDP_TARGET_AT, six, TAKE);
  pass(program);
  // The verifier refuses instructions that nothing leads to.
  if (addresses.length > 0) take(program, CONTEXT, sockets);
  return program.assemble();
}

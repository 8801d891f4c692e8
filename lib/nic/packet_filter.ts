/** Programs of classic BPF (linux/filter.h) that decide in the kernel which frames of an Ethernet interface a packet socket gets. */
import {
  FRAGMENT_OFFSET, ICMP, ICMP6, ICMP6_INFORMATIONAL, ICMP_ERRORS, IPV4_FRAGMENT_AT, IPV4_PROTOCOL_AT, IPV4_TO_AT, IPV6_NEXT_AT, IPV6_TO_AT, TCP, TYPE_AT,
} from './frame_places.js';
import { ETHERNET_HEADER, SOCK_FILTER } from './packet_abi.js';

const LOAD_WORD = 0x20;
const LOAD_HALF = 0x28;
const LOAD_BYTE = 0x30;
const LOAD_BYTE_BEYOND = 0x50;
const LOAD_HALF_BEYOND = 0x48;
/** Four times the lower half of a byte, into the index: the length of an IPv4 header. */
const INDEX_HEADER_LENGTH = 0xb1;
/** Keep a value, and have it back as the index. */
const STORE = 0x02;
const INDEX_STORED = 0x61;
const XOR_INDEX = 0xac;
const MULTIPLY = 0x24;
const SHIFT_RIGHT = 0x74;
const MODULO = 0x94;
const JUMP_EQUAL = 0x15;
const JUMP_AT_LEAST = 0x35;
const JUMP_ANY_BIT = 0x45;
const RETURN = 0x06;
const TAKE_ALL = 0x40000;

const IPV6_PAYLOAD_AT = ETHERNET_HEADER + 40;
const ETHERTYPE_ARP = 0x0806;
const ETHERTYPE_IPV4 = 0x0800;
const ETHERTYPE_IPV6 = 0x86dd;
/** Any of a packet's fragments: one with an offset, or with more to follow. */
const FRAGMENTED = 0x3fff;
const ARP_OPERATION_AT = ETHERNET_HEADER + 6;
const ARP_REPLY = 2;
const UDP = 17;
const DHCP_CLIENT_PORT = 68;
const NEIGHBOUR_ADVERTISEMENT = 136;
/** Extension headers that TCP, whole or in fragments, may stand behind (RFC 8200): options for each hop, routing, fragment, options. */
const EXTENSIONS = [0, 43, 44, 60];

/** One TCP server's part of all connections of its addresses; see lib/tcp/share.ts, which has the same rule. */
export interface FilterShare {
  readonly index: number;
  readonly count: number;
  readonly key: number;
}

/** A place in a program, or one of the two results. */
type Label = string;
const TAKE: Label = 'take';
const REFUSE: Label = 'refuse';

/** A program that is being written: instructions one after another, with labels for those that are jumped to. */
class Program {
  readonly #code: { code: number; k: number; yes: Label | null; no: Label | null }[] = [];
  readonly #places = new Map<Label, number>();

  at(label: Label): this {
    this.#places.set(label, this.#code.length);
    return this;
  }

  load(code: number, place: number): this {
    return this.#add(code, place, null, null);
  }

  /** Goes on with the next instruction where `yes` or `no` is null. */
  jump(code: number, value: number, yes: Label | null, no: Label | null = null): this {
    return this.#add(code, value, yes, no);
  }

  refuse(): this {
    return this.#add(RETURN, 0, null, null);
  }

  #add(code: number, k: number, yes: Label | null, no: Label | null): this {
    this.#code.push({ code, k, yes, no });
    return this;
  }

  /** An array of sock_filter. @throws RangeError where a jump is too far: they are short. */
  assemble(): Uint8Array {
    this.at(REFUSE).refuse().at(TAKE).load(RETURN, TAKE_ALL);
    const bytes = new Uint8Array(this.#code.length * SOCK_FILTER);
    const view = new DataView(bytes.buffer);
    for (const [i, { code, k, yes, no }] of this.#code.entries()) {
      view.setUint16(SOCK_FILTER * i, code, true);
      view.setUint8(SOCK_FILTER * i + 2, this.#distance(i, yes));
      view.setUint8(SOCK_FILTER * i + 3, this.#distance(i, no));
      view.setUint32(SOCK_FILTER * i + 4, k, true);
    }
    return bytes;
  }

  #distance(from: number, to: Label | null): number {
    const distance = to === null ? 0 : this.#places.get(to)! - from - 1;
    if (distance > 255) throw new RangeError('too many addresses for one filter');
    return distance;
  }
}

/** Takes UDP over IPv4 to the port of DHCP clients, unless it is a later fragment, and goes on with the rest. */
function toDhcpClient(program: Program): void {
  program.load(LOAD_BYTE, IPV4_PROTOCOL_AT).jump(JUMP_EQUAL, UDP, null, 'other IPv4').load(LOAD_HALF, IPV4_FRAGMENT_AT).jump(JUMP_ANY_BIT, FRAGMENT_OFFSET, 'other IPv4');
  program.load(INDEX_HEADER_LENGTH, ETHERNET_HEADER).load(LOAD_HALF_BEYOND, ETHERNET_HEADER + 2).jump(JUMP_EQUAL, DHCP_CLIENT_PORT, TAKE);
  program.at('other IPv4');
}

/** Goes to `then` where the destination of IPv4 is one of the addresses, and is through with the packet where it is not. */
function ofIPv4(program: Program, addresses: readonly Uint8Array[], then: Label): void {
  program.load(LOAD_WORD, IPV4_TO_AT);
  for (const address of addresses) program.jump(JUMP_EQUAL, wordOf(address, 0), then);
  program.refuse();
}

/** The same for IPv6. */
function ofIPv6(program: Program, addresses: readonly Uint8Array[], then: Label): void {
  for (const [i, address] of addresses.entries()) {
    const next = `other than ${i}`;
    for (let word = 0; word < 4; word++) {
      program.load(LOAD_WORD, IPV6_TO_AT + 4 * word).jump(JUMP_EQUAL, wordOf(address, word), word === 3 ? then : null, next);
    }
    program.at(next);
  }
  program.refuse();
}

/** Takes errors of ICMP over IPv4, and refuses everything else. */
function icmpErrors(program: Program): void {
  program.jump(JUMP_EQUAL, ICMP, null, REFUSE).load(LOAD_HALF, IPV4_FRAGMENT_AT).jump(JUMP_ANY_BIT, FRAGMENT_OFFSET, REFUSE);
  program.load(INDEX_HEADER_LENGTH, ETHERNET_HEADER).load(LOAD_BYTE_BEYOND, ETHERNET_HEADER);
  for (const type of ICMP_ERRORS) program.jump(JUMP_EQUAL, type, TAKE);
  program.refuse();
}

/** One port is stored, the other one loaded: takes the segment where it is of this share. */
function ofShare(program: Program, { index, count, key }: FilterShare): void {
  program.load(INDEX_STORED, 0).load(XOR_INDEX, 0).load(MULTIPLY, key >>> 0).load(SHIFT_RIGHT, 16).load(MODULO, count).jump(JUMP_EQUAL, index, TAKE, REFUSE);
}

/**
 * Takes of what is for these addresses the TCP segments of one share. What no share can be told of, fragments and segments behind extension headers, all
 * take; errors of ICMP and what answers their own questions for neighbours too. All the rest is for the first one.
 */
export function shareFilter(addresses: readonly Uint8Array[], share: FilterShare): Uint8Array {
  const [four, six] = byFamily(addresses);
  const first = share.index === 0;
  const program = new Program();
  program.load(LOAD_HALF, TYPE_AT).jump(JUMP_EQUAL, ETHERTYPE_ARP, first ? TAKE : 'ARP').jump(JUMP_EQUAL, ETHERTYPE_IPV4, 'IPv4').jump(JUMP_EQUAL, ETHERTYPE_IPV6, 'IPv6', REFUSE);
  if (!first) program.at('ARP').load(LOAD_HALF, ARP_OPERATION_AT).jump(JUMP_EQUAL, ARP_REPLY, TAKE, REFUSE);

  ofIPv4(program.at('IPv4'), four, 'protocol');
  program.at('protocol').load(LOAD_BYTE, IPV4_PROTOCOL_AT).jump(JUMP_EQUAL, TCP, null, first ? TAKE : 'other IPv4').load(LOAD_HALF, IPV4_FRAGMENT_AT).jump(JUMP_ANY_BIT, FRAGMENTED, TAKE);
  program.load(INDEX_HEADER_LENGTH, ETHERNET_HEADER).load(LOAD_HALF_BEYOND, ETHERNET_HEADER).load(STORE, 0).load(LOAD_HALF_BEYOND, ETHERNET_HEADER + 2);
  ofShare(program, share);
  if (!first) icmpErrors(program.at('other IPv4'));

  toOwnIPv6(program.at('IPv6'), six, 'next header');
  program.at('next header').load(LOAD_BYTE, IPV6_NEXT_AT).jump(JUMP_EQUAL, TCP, 'ports');
  for (const header of EXTENSIONS) program.jump(JUMP_EQUAL, header, TAKE);
  if (!first) {
    program.jump(JUMP_EQUAL, ICMP6, null, REFUSE).load(LOAD_BYTE, IPV6_PAYLOAD_AT);
    program.jump(JUMP_EQUAL, NEIGHBOUR_ADVERTISEMENT, TAKE).jump(JUMP_AT_LEAST, ICMP6_INFORMATIONAL, REFUSE);
  }
  program.load(RETURN, TAKE_ALL);
  program.at('ports').load(LOAD_HALF, IPV6_PAYLOAD_AT).load(STORE, 0).load(LOAD_HALF, IPV6_PAYLOAD_AT + 2);
  ofShare(program, share);
  return program.assemble();
}

/** As `ofIPv6`, and also for groups (ff00::/8) and link-local addresses (fe80::/10). */
function toOwnIPv6(program: Program, addresses: readonly Uint8Array[], then: Label): void {
  program.load(LOAD_WORD, IPV6_TO_AT).jump(JUMP_AT_LEAST, 0xff000000, then).jump(JUMP_AT_LEAST, 0xfec00000, 'addresses').jump(JUMP_AT_LEAST, 0xfe800000, then);
  ofIPv6(program.at('addresses'), addresses, then);
}

/**
 * Lets through ARP, IPv4 for any of the addresses of 4 bytes, and IPv6 for any of those of 16, for groups (ff00::/8) and for link-local
 * addresses (fe80::/10).
 *
 * @param dhcp also UDP over IPv4 to the port of DHCP clients, for whatever address: there may be none yet.
 */
export function addressFilter(addresses: readonly Uint8Array[], dhcp = false): Uint8Array {
  const [four, six] = byFamily(addresses);
  const program = new Program();
  program.load(LOAD_HALF, TYPE_AT).jump(JUMP_EQUAL, ETHERTYPE_ARP, TAKE).jump(JUMP_EQUAL, ETHERTYPE_IPV4, 'IPv4').jump(JUMP_EQUAL, ETHERTYPE_IPV6, 'IPv6', REFUSE);
  program.at('IPv4');
  if (dhcp) toDhcpClient(program);
  ofIPv4(program, four, TAKE);
  toOwnIPv6(program.at('IPv6'), six, TAKE);
  return program.assemble();
}

/**
 * Lets through what can be for the TCP of these addresses: TCP, and errors of ICMP. Neighbours, echoes, UDP and the like are another's. Of
 * IPv6, packets with extension headers pass as well.
 */
export function tcpFilter(addresses: readonly Uint8Array[]): Uint8Array {
  const [four, six] = byFamily(addresses);
  const program = new Program();
  program.load(LOAD_HALF, TYPE_AT).jump(JUMP_EQUAL, ETHERTYPE_IPV4, 'IPv4').jump(JUMP_EQUAL, ETHERTYPE_IPV6, 'IPv6', REFUSE);
  ofIPv4(program.at('IPv4'), four, 'protocol');
  icmpErrors(program.at('protocol').load(LOAD_BYTE, IPV4_PROTOCOL_AT).jump(JUMP_EQUAL, TCP, TAKE));
  ofIPv6(program.at('IPv6'), six, 'next header');
  program.at('next header').load(LOAD_BYTE, IPV6_NEXT_AT).jump(JUMP_EQUAL, TCP, TAKE);
  for (const header of EXTENSIONS) program.jump(JUMP_EQUAL, header, TAKE);
  program.jump(JUMP_EQUAL, ICMP6, null, REFUSE).load(LOAD_BYTE, IPV6_PAYLOAD_AT).jump(JUMP_AT_LEAST, ICMP6_INFORMATIONAL, REFUSE, TAKE);
  return program.assemble();
}

/** Those of IPv4, and those of IPv6. */
function byFamily(addresses: readonly Uint8Array[]): [Uint8Array[], Uint8Array[]] {
  const families = [4, 16].map((bytes) => addresses.filter(({ length }) => length === bytes)) as [Uint8Array[], Uint8Array[]];
  if (families[0].length + families[1].length !== addresses.length) throw new TypeError('an address has 4 or 16 bytes');
  return families;
}

function wordOf(address: Uint8Array, word: number): number {
  return new DataView(address.buffer, address.byteOffset).getUint32(4 * word);
}

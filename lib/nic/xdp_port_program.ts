/**
 * The XDP program that takes from an interface what is for TCP ports of ours on addresses that the kernel has as well, and leaves everything
 * else to the kernel, which sees nothing of what is taken. It runs in the driver before all of the kernel's network, for each frame:
 *
 * ```
 *   not IPv4 or IPv6 to one of the addresses                 → kernel
 *   TCP to a port of ours                                    → socket of the receive queue
 *   fragments of such a segment, behind its first one        → socket of the receive queue
 *   error of ICMP about a segment from a port of ours        → socket of the receive queue
 *   anything else: ARP, VLANs, other ports, what is cut off  → kernel
 * ```
 *
 * Link addresses are not looked at: what is for another station neither of the two wants. A later fragment has no ports: a first one notes its
 * packet for them, so one that overtakes it is the kernel's, and comes to nothing on either side.
 */
import { Assembler, type Label, type Register } from './bpf_assembler.js';
import {
  ETHERTYPE_IPV4, ETHERTYPE_IPV6, FRAGMENT_OFFSET, ICMP, ICMP6, ICMP6_INFORMATIONAL, ICMP_ERRORS, IPV4_FRAGMENT_AT, IPV4_PROTOCOL_AT, IPV4_TO_AT, IPV6_NEXT_AT, IPV6_TO_AT, TCP, TYPE_AT,
} from './frame_places.js';
import { ETHERNET_HEADER } from './packet_abi.js';
import { asLoaded, CONTEXT, findFrame, FRAME, jumpIfAny, mustReach, pass, PASS, RESULT, take, TAKE, VALUE } from './xdp_frames.js';

/** Descriptors of the maps that the program looks into. */
export interface PortMaps {
  /** XSKMAP of a socket for each receive queue. */
  readonly sockets: number;
  /** Of a byte for each port, which is not 0 where the port is ours: PORT_KEYS, `portKey`. */
  readonly ports: number;
  /** Of packets of which later fragments are to be taken. Keys of FRAGMENT_KEY bytes. */
  readonly fragments: number;
}

/** A port is found by its two bytes as segments have them, in a word of this machine. */
export const PORT_KEYS = 65536;
export function portKey(port: number): Uint8Array {
  return Uint8Array.of(port >> 8, port & 255, 0, 0);
}

/** Source and destination of 16 bytes each, of which IPv4 has the first 4, and the identification. */
export const FRAGMENT_KEY = 36;

const BPF_FUNC_MAP_LOOKUP_ELEM = 1;
const BPF_FUNC_MAP_UPDATE_ELEM = 2;
const BPF_FUNC_MAP_DELETE_ELEM = 3;

const IPV4_END = ETHERNET_HEADER + 20;
const IPV4_IDENTIFICATION_AT = ETHERNET_HEADER + 4;
const IPV4_FROM_AT = ETHERNET_HEADER + 12;
const IPV6_END = ETHERNET_HEADER + 40;
const IPV6_FROM_AT = ETHERNET_HEADER + 8;
const MORE_FRAGMENTS = 0x2000;
/** Extension headers that TCP may stand behind (RFC 8200), and how many of them are looked at: more than any order of them has. */
const [HOP_BY_HOP, ROUTING, FRAGMENT, DESTINATION] = [0, 43, 44, 60];
const HEADERS_MOST = 8;
const FRAGMENT_HEADER = 8;
const FRAGMENT_OFFSET6 = 0xfff8;
const MORE_FRAGMENTS6 = 0x0001;
/** In an error of ICMP, the packet that it is about. */
const ABOUT = 8;

/** The header that is looked at, and what it is. */
const HEADER: Register = 5;
const CONTEXT_HELD: Register = 6;
const NEXT: Register = 7;
/** Not 0: it is a first fragment, whose packet is in FRAGMENT_PLACE. */
const FIRST: Register = 8;
const COUNT: Register = 9;
const STACK: Register = 10;
/** Places on the stack. */
const PORT_PLACE = -4;
const NOTE_PLACE = -8;
const FRAGMENT_PLACE = -8 - FRAGMENT_KEY;

const SEGMENT: Label = 'TCP';
/** The port of ours that it would be is in VALUE. */
const PORT: Label = 'port';
const LATER_FRAGMENT: Label = 'later fragment';

/** @param addresses of the kernel's, 4 or 16 bytes each, one at least. */
export function portProgram(addresses: readonly Uint8Array[], maps: PortMaps): Uint8Array {
  const four = addresses.filter(({ length }) => length === 4);
  const six = addresses.filter(({ length }) => length === 16);
  if (addresses.length === 0 || four.length + six.length !== addresses.length) throw new TypeError('there are addresses, of 4 or 16 bytes');
  const program = new Assembler();
  findFrame(program);
  mustReach(program, ETHERNET_HEADER);
  program.move(CONTEXT_HELD, CONTEXT).set(FIRST, 0).load(2, VALUE, FRAME, TYPE_AT);
  // The verifier refuses instructions that nothing leads to.
  if (four.length > 0) program.jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV4, 0, 2), 'IPv4');
  if (six.length > 0) program.jumpIfEqual(VALUE, asLoaded(ETHERTYPE_IPV6, 0, 2), 'IPv6');
  program.jump(PASS);
  if (four.length > 0) ofIPv4(program, four);
  if (six.length > 0) ofIPv6(program, six);
  mustReach(program.at(SEGMENT), 4, HEADER);
  program.load(2, VALUE, HEADER, 2);
  byPort(program, maps);
  pass(program);
  take(program, CONTEXT_HELD, maps.sockets);
  return program.assemble();
}

function ofIPv4(program: Assembler, addresses: readonly Uint8Array[]): void {
  mustReach(program.at('IPv4'), IPV4_END);
  jumpIfAny(program, 'IPv4 destination', IPV4_TO_AT, addresses, 'own IPv4');
  program.jump(PASS).at('own IPv4').move(HEADER, FRAME).add(HEADER, ETHERNET_HEADER);
  skipIPv4Header(program, 0);
  program.load(1, NEXT, FRAME, IPV4_PROTOCOL_AT).load(2, VALUE, FRAME, IPV4_FRAGMENT_AT);
  program.jumpIfNotEqual(NEXT, TCP, 'other IPv4').jumpIfAnyBit(VALUE, asField(MORE_FRAGMENTS | FRAGMENT_OFFSET), 'IPv4 fragment').jump(SEGMENT).at('IPv4 fragment');
  copy(program, 4, FRAME, IPV4_FROM_AT, 0);
  clear(program, 4, 16);
  copy(program, 4, FRAME, IPV4_TO_AT, 16);
  clear(program, 20, 32);
  program.load(2, VALUE, FRAME, IPV4_IDENTIFICATION_AT).store(4, STACK, FRAGMENT_PLACE + 32, VALUE);
  program.set(FIRST, 1).load(2, VALUE, FRAME, IPV4_FRAGMENT_AT).jumpIfAnyBit(VALUE, asField(FRAGMENT_OFFSET), LATER_FRAGMENT).jump(SEGMENT);
  program.at('other IPv4').jumpIfNotEqual(NEXT, ICMP, PASS).jumpIfAnyBit(VALUE, asField(MORE_FRAGMENTS | FRAGMENT_OFFSET), PASS);
  mustReach(program, ABOUT + 20, HEADER);
  program.load(1, VALUE, HEADER, 0);
  for (const type of ICMP_ERRORS) program.jumpIfEqual(VALUE, type, 'IPv4 error');
  program.jump(PASS).at('IPv4 error');
  program.load(1, VALUE, HEADER, ABOUT + IPV4_PROTOCOL_AT - ETHERNET_HEADER).jumpIfNotEqual(VALUE, TCP, PASS);
  program.load(2, VALUE, HEADER, ABOUT + IPV4_FRAGMENT_AT - ETHERNET_HEADER).jumpIfAnyBit(VALUE, asField(FRAGMENT_OFFSET), PASS);
  skipIPv4Header(program, ABOUT);
  mustReach(program, ABOUT + 2, HEADER);
  program.load(2, VALUE, HEADER, ABOUT).jump(PORT);
}

/** Moves HEADER on by the length of the IPv4 header that stands at `at` from there. */
function skipIPv4Header(program: Assembler, at: number): void {
  program.load(1, VALUE, HEADER, at).and(VALUE, 15).shiftLeft(VALUE, 2).addRegister(HEADER, VALUE);
}

function ofIPv6(program: Assembler, addresses: readonly Uint8Array[]): void {
  mustReach(program.at('IPv6'), IPV6_END);
  jumpIfAny(program, 'IPv6 destination', IPV6_TO_AT, addresses, 'own IPv6');
  program.jump(PASS).at('own IPv6').load(1, NEXT, FRAME, IPV6_NEXT_AT).move(HEADER, FRAME).add(HEADER, IPV6_END).set(COUNT, 0);
  program.at('next header').jumpIfEqual(NEXT, TCP, SEGMENT).jumpIfEqual(NEXT, ICMP6, 'ICMPv6').jumpIfEqual(NEXT, FRAGMENT, 'fragment header');
  for (const header of [HOP_BY_HOP, ROUTING, DESTINATION]) program.jumpIfEqual(NEXT, header, 'extension header');
  mustReach(program.jump(PASS).at('extension header'), 8, HEADER);
  program.load(1, NEXT, HEADER, 0).load(1, VALUE, HEADER, 1).add(VALUE, 1).shiftLeft(VALUE, 3).addRegister(HEADER, VALUE);
  program.at('one more').add(COUNT, 1).jumpIfNotEqual(COUNT, HEADERS_MOST + 1, 'next header').jump(PASS);

  mustReach(program.at('fragment header'), FRAGMENT_HEADER, HEADER);
  for (let i = 0; i < 32; i += 4) copy(program, 4, FRAME, IPV6_FROM_AT + i, i);
  copy(program, 4, HEADER, 4, 32);
  program.load(1, NEXT, HEADER, 0).load(2, VALUE, HEADER, 2).add(HEADER, FRAGMENT_HEADER)
    .jumpIfAnyBit(VALUE, asField(FRAGMENT_OFFSET6), LATER_FRAGMENT).and(VALUE, asField(MORE_FRAGMENTS6)).move(FIRST, VALUE).jump('one more');

  program.at('ICMPv6').jumpIfNotEqual(FIRST, 0, PASS);
  mustReach(program, ABOUT + 42, HEADER);
  program.load(1, VALUE, HEADER, 0).jumpIfAnyBit(VALUE, ICMP6_INFORMATIONAL, PASS);
  // What this host sends has no extension headers.
  program.load(1, VALUE, HEADER, ABOUT + 6).jumpIfNotEqual(VALUE, TCP, PASS).load(2, VALUE, HEADER, ABOUT + 40).jump(PORT);
}

/** Decides by the port in VALUE, or by what a first fragment has noted. */
function byPort(program: Assembler, { ports, fragments }: PortMaps): void {
  program.at(PORT).storeValue(4, STACK, PORT_PLACE, 0).store(2, STACK, PORT_PLACE, VALUE);
  keyed(program, PORT_PLACE, ports).call(BPF_FUNC_MAP_LOOKUP_ELEM).jumpIfNull(RESULT, PASS).load(1, NEXT, RESULT, 0);
  program.jumpIfNotEqual(FIRST, 0, 'first fragment').jumpIfEqual(NEXT, 0, PASS).jump(TAKE);

  // One of the kernel's takes back what an earlier packet of the same identification has noted.
  program.at('first fragment').jumpIfNotEqual(NEXT, 0, 'first fragment of ours');
  keyed(program, FRAGMENT_PLACE, fragments).call(BPF_FUNC_MAP_DELETE_ELEM).jump(PASS);
  program.at('first fragment of ours').storeValue(1, STACK, NOTE_PLACE, 1).move(3, STACK).add(3, NOTE_PLACE).set(4, 0);
  keyed(program, FRAGMENT_PLACE, fragments).call(BPF_FUNC_MAP_UPDATE_ELEM).jump(TAKE);

  keyed(program.at(LATER_FRAGMENT), FRAGMENT_PLACE, fragments).call(BPF_FUNC_MAP_LOOKUP_ELEM).jumpIfNull(RESULT, PASS).jump(TAKE);
}

/** The first arguments of a call: a map, and the key that stands on the stack. */
function keyed(program: Assembler, place: number, map: number): Assembler {
  return program.move(2, STACK).add(2, place).loadMap(1, map);
}

/** Copies bytes of the frame to `place` of the key in FRAGMENT_PLACE. */
function copy(program: Assembler, bytes: 2 | 4, from: Register, at: number, place: number): void {
  program.load(bytes, VALUE, from, at).store(bytes, STACK, FRAGMENT_PLACE + place, VALUE);
}

function clear(program: Assembler, from: number, to: number): void {
  for (let place = from; place < to; place += 4) program.storeValue(4, STACK, FRAGMENT_PLACE + place, 0);
}

/** A field of 16 bits as it is loaded. */
function asField(value: number): number {
  return asLoaded(Uint8Array.of(value >> 8, value & 255), 0, 2);
}

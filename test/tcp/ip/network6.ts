/** What the tests of IPv6 share, on top of what all tests of IP do: addresses, packets, messages of neighbour discovery. */
import { formatAddress } from '../../../lib/tcp/wire/address.js';
import { get16, put16, putWords } from '../../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader6 } from '../../../lib/tcp/wire/checksum.js';
import { TYPE_IPV6 } from '../../../lib/tcp/wire/ethernet.js';
import { emitIcmp6, finishIcmp6 } from '../../../lib/tcp/wire/icmp6.js';
import { ICMP6, emitIPv6, ipv6NextHeader } from '../../../lib/tcp/wire/ipv6.js';
import { setGroupMac, setSolicitedNode } from '../../../lib/tcp/wire/ndp.js';
import { ACK, TCP_CHECKSUM, emitTcp } from '../../../lib/tcp/wire/tcp.js';
import { Host, OWN_MAC, PEER_MAC, ethernet, wordsOf } from './network.js';
import type { Sent } from './network.js';

export const OWN6 = '2001:db8::1';
export const PEER6 = '2001:db8::2';
export const ROUTER6 = 'fe80::fe';
export const FAR6 = '2001:db8:7::7';
export const ALL_NODES6 = 'ff02::1';
/** Place of the IPv6 header in a frame, and of what follows it. */
export const IP = 14;
export const UPPER = IP + 40;

/** A host that has an IPv6 address beside its IPv4 address, which it uses at once. */
export function host6(options: { loopback?: boolean; dadTransmits?: number; capabilities?: object } = {}): Host {
  const host = new Host(options.capabilities ?? {}, {
    loopback: options.loopback ?? false, addresses: [`${OWN6}/64`], gateways: [ROUTER6], dadTransmits: options.dadTransmits ?? 0,
  });
  host.ip.announce();
  host.flush();
  // ARP tells of the IPv4 address once more.
  if (options.dadTransmits === undefined) host.wait(2);
  return host;
}

/** A host that knows its peer. */
export function ready6(...options: Parameters<typeof host6>): Host {
  const host = host6(...options);
  host.receive(solicitation(PEER6, OWN6));
  return host;
}

export function solicitedNode(address: string): string {
  const words = new Int32Array(4);
  setSolicitedNode(words, 0, wordsOf(address), 0);
  return formatAddress(words, 0);
}

/** The link address that a packet goes to where nobody says otherwise. */
function macOf(destination: string): Uint8Array {
  const words = wordsOf(destination);
  if (words[0]! >>> 24 !== 0xff) return OWN_MAC;
  const mac = new Uint8Array(6);
  setGroupMac(mac, 0, words, 0);
  return mac;
}

export interface Packet6Options {
  from?: string;
  to?: string;
  trafficClass?: number;
  hopLimit?: number;
}

/** A frame with a packet of which `content` follows the IPv6 header. */
export function packet6(next: number, content: Uint8Array, options: Packet6Options = {}): Uint8Array {
  const { from = PEER6, to = OWN6, trafficClass = 0, hopLimit = 64 } = options;
  const bytes = new Uint8Array(40 + content.length);
  emitIPv6(bytes, 0, trafficClass, 0, content.length, next, hopLimit, wordsOf(from, to), 0, 4);
  bytes.set(content, 40);
  return ethernet(TYPE_IPV6, bytes, macOf(to), PEER_MAC);
}

/** TCP of a segment, with its checksum. */
export function tcp6(payload = 0, from = PEER6, to = OWN6): Uint8Array {
  const content = new Uint8Array(20 + payload).map((_, i) => i * 5);
  emitTcp(content, 0, 2222, 1111, 5, 6, ACK, 100, 20);
  put16(content, TCP_CHECKSUM, complement(add(pseudoHeader6(wordsOf(from, to), 0, 4, 6, content.length), content, 0, content.length)));
  return content;
}

export function segment6(payload = 0, options: Packet6Options = {}): Uint8Array {
  return packet6(6, tcp6(payload, options.from, options.to), options);
}

/** An ICMPv6 message with its checksum. */
export function icmp6(type: number, code: number, parameter: number, data: Uint8Array, from = PEER6, to = OWN6): Uint8Array {
  const bytes = new Uint8Array(8 + data.length);
  emitIcmp6(bytes, 0, type, code, parameter);
  bytes.set(data, 8);
  finishIcmp6(bytes, 0, bytes.length, wordsOf(from, to), 0, 4);
  return bytes;
}

export interface NdpOptions extends Packet6Options {
  /** Link address in the option; null: no option. */
  mac?: Uint8Array | null;
  flags?: number;
  code?: number;
  option?: Uint8Array;
}

function target(address: string, option: number, mac: Uint8Array | null, other?: Uint8Array): Uint8Array {
  const words = wordsOf(address);
  const extra = other ?? (mac === null ? new Uint8Array(0) : Uint8Array.of(option, 1, ...mac));
  const bytes = new Uint8Array(16 + extra.length);
  putWords(bytes, 0, words, 0);
  bytes.set(extra, 16);
  return bytes;
}

/** A frame with a neighbour solicitation, to the group of the target unless `to` says otherwise. */
export function solicitation(from: string, about: string, options: NdpOptions = {}): Uint8Array {
  const { to = solicitedNode(about), mac = PEER_MAC, code = 0, hopLimit = 255, option } = options;
  return packet6(ICMP6, icmp6(135, code, 0, target(about, 1, mac, option), from, to), { from, to, hopLimit });
}

/** A frame with a neighbour advertisement. @param flags 0x40 solicited, 0x20 override; by default both. */
export function advertisement(about: string, options: NdpOptions = {}): Uint8Array {
  const { from = about, to = OWN6, mac = PEER_MAC, flags = 0x60, code = 0, hopLimit = 255, option } = options;
  return packet6(ICMP6, icmp6(136, code, flags << 24, target(about, 2, mac, option), from, to), { from, to, hopLimit });
}

function addressAt(bytes: Uint8Array, at: number): string {
  const words = new Int32Array(4);
  for (let i = 0; i < 4; i++) words[i] = (get16(bytes, at + 4 * i) << 16) | get16(bytes, at + 4 * i + 2);
  return formatAddress(words, 0);
}

/** What sent frames are, in words. */
export function told6(sent: readonly Sent[]): string[] {
  return sent.map(({ bytes }) => {
    const mac = bytes[0] === 0x33 ? 'group' : String(bytes[5]);
    const [from, to] = [addressAt(bytes, IP + 8), addressAt(bytes, IP + 24)];
    if (ipv6NextHeader(bytes, IP) === ICMP6 && bytes[UPPER] === 135) return `who has ${addressAt(bytes, UPPER + 8)}, from ${from} to ${mac}`;
    if (ipv6NextHeader(bytes, IP) === ICMP6 && bytes[UPPER] === 136) return `I have ${addressAt(bytes, UPPER + 8)}, to ${to} at ${mac}`;
    return `packet for ${to}, to ${mac}`;
  });
}

/** True where the checksum of TCP or ICMPv6 behind the IPv6 header is right. */
export function isIntact6(bytes: Uint8Array, at = IP): boolean {
  const words = new Int32Array(8);
  for (let i = 0; i < 8; i++) words[i] = (get16(bytes, at + 8 + 4 * i) << 16) | get16(bytes, at + 10 + 4 * i);
  const length = bytes.length - at - 40;
  return get16(bytes, at + 4) === length
    && add(pseudoHeader6(words, 0, 4, ipv6NextHeader(bytes, at), length), bytes, at + 40, length) === 0xffff;
}

/** A frame with a query for groups. @param group `::` for all. @param version 1 or 2. @param delay its field of the longest delay. */
export function query6(group: string, version: 1 | 2, delay: number, options: Packet6Options & { routerAlert?: boolean; code?: number } = {}): Uint8Array {
  const { from = ROUTER6, to = group === '::' ? ALL_NODES6 : group, hopLimit = 1, routerAlert = true } = options;
  const data = new Uint8Array(version === 1 ? 16 : 20);
  putWords(data, 0, wordsOf(group), 0);
  const message = icmp6(130, 0, delay << 16, data, from, to);
  const alert = routerAlert ? [5, 2, 0, 0, 1, 0] : [1, 4, 0, 0, 0, 0];
  return packet6(0, Uint8Array.of(ICMP6, 0, ...alert, ...message), { from, to, hopLimit });
}

const RECORDS = ['', 'in', 'ex', 'to in', 'to ex'];

/** Of sent frames those about groups: the only ones with options for each hop. */
export function groupFrames6(sent: readonly Sent[]): readonly Sent[] {
  return sent.filter(({ bytes }) => get16(bytes, IP - 2) === TYPE_IPV6 && ipv6NextHeader(bytes, IP) === 0);
}

/** The same in words: what they say, the source, and where they go. */
export function groups6(sent: readonly Sent[]): string[] {
  return groupFrames6(sent).map(({ bytes }) => {
    const [from, to] = [addressAt(bytes, IP + 8), addressAt(bytes, IP + 24)];
    const message = UPPER + 8;
    const type = bytes[message];
    if (type !== 143) return `${type === 131 ? 'report' : 'done'} ${addressAt(bytes, message + 8)}, from ${from} to ${to}`;
    const records = Array.from({ length: get16(bytes, message + 6) }, (_, i) => {
      const at = message + 8 + 20 * i;
      return `${RECORDS[bytes[at]!]!} ${addressAt(bytes, at + 4)}`;
    });
    return `${records.join(', ')}, from ${from} to ${to}`;
  });
}

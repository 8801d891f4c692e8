/** Packets of IPv4 and IPv6 between the stack of a scenario, its peer, and a router on the way. */
import { formatAddress, parseAddress, setMapped } from '../../lib/tcp/wire/address.js';
import { get32, put16, put32 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4, pseudoHeader6 } from '../../lib/tcp/wire/checksum.js';
import { ICMP_NEXT_HOP_MTU, emitIcmp, finishIcmp } from '../../lib/tcp/wire/icmp.js';
import { emitIcmp6, finishIcmp6 } from '../../lib/tcp/wire/icmp6.js';
import { DONT_FRAGMENT, PROTOCOL_ICMP, PROTOCOL_TCP, emitIPv4 } from '../../lib/tcp/wire/ipv4.js';
import { ICMP6, emitIPv6 } from '../../lib/tcp/wire/ipv6.js';
import { TCP_CHECKSUM } from '../../lib/tcp/wire/tcp.js';

export interface Ends {
  readonly version: 4 | 6;
  readonly stack: string;
  readonly peer: string;
  readonly router: string;
  /** Bytes of the IP header. */
  readonly header: number;
}

export const IPV4: Ends = { version: 4, stack: '192.0.2.1', peer: '192.0.2.2', router: '192.0.2.254', header: 20 };
export const IPV6: Ends = { version: 6, stack: '2001:db8::1', peer: '2001:db8::2', router: '2001:db8::fe', header: 40 };

const TTL = 64;
/** Bytes of the packet in error that a router quotes. */
const QUOTED_TCP = 8;

/** Four words each: of two addresses. */
function wordsOf(source: string, destination: string): Int32Array {
  const words = new Int32Array(8);
  parseAddress(source, words, 0);
  parseAddress(destination, words, 4);
  return words;
}

/** A packet with a segment from the peer, or from another; its checksum is filled in. */
export function fromPeer(ends: Ends, segment: Uint8Array, trafficClass: number, from = ends.peer): Uint8Array {
  const words = wordsOf(from, ends.stack);
  const packet = new Uint8Array(ends.header + segment.length);
  packet.set(segment, ends.header);
  const pseudo = ends.version === 4
    ? pseudoHeader4(words[3]!, words[7]!, PROTOCOL_TCP, segment.length)
    : pseudoHeader6(words, 0, 4, PROTOCOL_TCP, segment.length);
  put16(packet, ends.header + TCP_CHECKSUM, 0);
  put16(packet, ends.header + TCP_CHECKSUM, complement(add(pseudo, packet, ends.header, segment.length)));
  emitHeader(ends, packet, 0, trafficClass, packet.length, PROTOCOL_TCP, words);
  return packet;
}

/**
 * An error of a router about a segment of the stack: type and code of ICMP, or of ICMPv6.
 *
 * @param total bytes that the packet had. @param mtu of the next hop, where that is the error.
 */
export function fromRouter(
  ends: Ends, type: number, code: number, stackPort: number, peerPort: number, sequence: number, total: number, mtu: number,
): Uint8Array {
  const { version, header } = ends;
  const length = 8 + header + QUOTED_TCP;
  const packet = new Uint8Array(header + length);
  const words = wordsOf(ends.router, ends.stack);
  const quoted = header + 8;
  emitHeader(ends, packet, quoted, 0, total, PROTOCOL_TCP, wordsOf(ends.stack, ends.peer));
  put16(packet, quoted + header, stackPort);
  put16(packet, quoted + header + 2, peerPort);
  put32(packet, quoted + header + 4, sequence);
  if (version === 4) {
    emitIcmp(packet, header, type, code);
    put16(packet, header + ICMP_NEXT_HOP_MTU, mtu);
    finishIcmp(packet, header, length);
  } else {
    emitIcmp6(packet, header, type, code, mtu);
    finishIcmp6(packet, header, length, words, 0, 4);
  }
  emitHeader(ends, packet, 0, 0, packet.length, version === 4 ? PROTOCOL_ICMP : ICMP6, words);
  return packet;
}

function emitHeader(
  { version, header }: Ends, bytes: Uint8Array, at: number, trafficClass: number, total: number, protocol: number, words: Int32Array,
): void {
  if (version === 4) emitIPv4(bytes, at, trafficClass, total, 0, DONT_FRAGMENT, TTL, protocol, words[3]!, words[7]!);
  else emitIPv6(bytes, at, trafficClass, 0, total - header, protocol, TTL, words, 0, 4);
}

/** What the header of a packet from the stack says; `to` is the text of its destination. */
export function readHeader(bytes: Uint8Array): { header: number; trafficClass: number; ttl: number; to: string } {
  const words = new Int32Array(4);
  if (bytes[0]! >>> 4 === 4) {
    setMapped(words, 0, get32(bytes, 16));
    return { header: (bytes[0]! & 15) * 4, trafficClass: bytes[1]!, ttl: bytes[8]!, to: formatAddress(words, 0) };
  }
  for (let i = 0; i < 4; i++) words[i] = get32(bytes, 24 + 4 * i);
  return { header: 40, trafficClass: (get32(bytes, 0) >>> 20) & 0xff, ttl: bytes[7]!, to: formatAddress(words, 0) };
}

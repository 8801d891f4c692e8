/** What middleboxes do to segments: one becomes two, two become one. Packets without Ethernet. */
import { get32, put16, put32 } from '../../lib/tcp/wire/bytes.js';
import { FIN, PSH, RST, SYN, tcpFlags, tcpHeaderLength } from '../../lib/tcp/wire/tcp.js';
import { repairChecksums } from './packets.js';

const PROTOCOL_TCP = 6;
const PACKET_MAX = 65535;

/** Bytes of the IP header. */
function ipOf(packet: Uint8Array): number {
  return packet[0]! >> 4 === 6 ? 40 : 20;
}

function isText(packet: Uint8Array): boolean {
  const ip = ipOf(packet);
  return packet[ip === 40 ? 6 : 9] === PROTOCOL_TCP && (tcpFlags(packet, ip) & (SYN | RST)) === 0;
}

function finish(packet: Uint8Array): void {
  if (ipOf(packet) === 40) put16(packet, 4, packet.length - 40);
  else put16(packet, 2, packet.length);
  repairChecksums(packet, 0, packet.length);
}

/** Both halves of a segment, or null where there is nothing to be cut. */
export function splitSegment(packet: Uint8Array, draw: number): Uint8Array[] | null {
  if (!isText(packet)) return null;
  const ip = ipOf(packet);
  const header = ip + tcpHeaderLength(packet, ip);
  const text = packet.length - header;
  if (text < 2) return null;
  const cut = 1 + (draw % (text - 1));
  const first = packet.slice(0, header + cut);
  first[ip + 13]! &= ~(FIN | PSH);
  const second = new Uint8Array(packet.length - cut);
  second.set(packet.subarray(0, header));
  second.set(packet.subarray(header + cut), header);
  put32(second, ip + 4, (get32(packet, ip + 4) + cut) | 0);
  finish(first);
  finish(second);
  return [first, second];
}

/** One segment of two that follow each other in a stream, or null where they do not. It says what the second says. */
export function joinSegments(first: Uint8Array, second: Uint8Array): Uint8Array | null {
  const ip = ipOf(first);
  if (ip !== ipOf(second) || !isText(first) || !isText(second) || (tcpFlags(first, ip) & FIN) !== 0) return null;
  const header = ip + tcpHeaderLength(first, ip);
  const secondHeader = ip + tcpHeaderLength(second, ip);
  const text = first.length - header;
  const total = second.length + text;
  if (text === 0 || total > PACKET_MAX || get32(first, ip) !== get32(second, ip)) return null;
  if (get32(second, ip + 4) !== ((get32(first, ip + 4) + text) | 0)) return null;
  const joined = new Uint8Array(total);
  joined.set(second.subarray(0, secondHeader));
  joined.set(first.subarray(header), secondHeader);
  joined.set(second.subarray(secondHeader), secondHeader + text);
  put32(joined, ip + 4, get32(first, ip + 4));
  finish(joined);
  return joined;
}

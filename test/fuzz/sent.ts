/** What holds of every frame that a stack sends, whatever it has been sent. */
import type { Core } from '../../lib/tcp/conn/core.js';
import { ESTABLISHED, FIN_QUEUED, NONE } from '../../lib/tcp/conn/state.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import { setMapped } from '../../lib/tcp/wire/address.js';
import { checkArp, ARP_OK } from '../../lib/tcp/wire/arp.js';
import { DHCP_SERVER_PORT } from '../../lib/tcp/wire/dhcp.js';
import { checkUdp, UDP_OK, udpDestination } from '../../lib/tcp/wire/udp.js';
import { get16, get32, getWords } from '../../lib/tcp/wire/bytes.js';
import { pseudoHeader4, pseudoHeader6, verify } from '../../lib/tcp/wire/checksum.js';
import { TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from '../../lib/tcp/wire/ethernet.js';
import { checkIPv4, IPV4_OK, ipv4TotalLength, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from '../../lib/tcp/wire/ipv4.js';
import { checkIPv6, HOP_BY_HOP, ICMP6, IPV6_OK, ipv6PayloadLength } from '../../lib/tcp/wire/ipv6.js';
import { parseOptions, TcpOptions } from '../../lib/tcp/wire/options.js';
import { checkTcp, FIN, RST, SYN, TCP_OK, tcpAcknowledgement, tcpFlags, tcpHeaderLength, tcpSequence } from '../../lib/tcp/wire/tcp.js';
import { Finding } from './case.js';
import { SEND_RING } from './payload.js';

/** Further than any window: as good as behind. */
const FAR = 1 << 24;

const words = new Int32Array(8);
const options = new TcpOptions();

export interface Link {
  readonly ethernet: boolean;
  readonly mtu: number;
  readonly segmentation: number;
  /** The device sums. */
  readonly checksum: boolean;
}

/** @throws Finding where a frame is none that a stack may send. `t` is a view of its flows, `memory` what it sends from. */
export function checkSent(link: Link, core: Core, t: Tcb, memory: Uint8Array, bytes: Uint8Array, length: number, checksumStart: number, segmentSize: number): void {
  const ipAt = link.ethernet ? 14 : 0;
  if (link.ethernet && get16(bytes, 12) === TYPE_ARP) {
    if (checkArp(bytes, ipAt, length - ipAt) !== ARP_OK) throw new Finding('a bad ARP packet is sent');
    return;
  }
  const six = bytes[ipAt]! >> 4 === 6;
  if (link.ethernet && get16(bytes, 12) !== (six ? TYPE_IPV6 : TYPE_IPV4)) throw new Finding(`a frame of type ${get16(bytes, 12)} is sent`);
  const most = segmentSize > 0 ? link.segmentation : link.mtu;
  if (length - ipAt > most) throw new Finding(`a packet of ${length - ipAt} bytes is sent, ${most} may be`);
  const at = six ? checkHeader6(bytes, ipAt, length) : checkHeader4(bytes, ipAt, length);
  const rest = length - at;
  const protocol = six ? upperOf6(bytes, ipAt, at) : bytes[ipAt + 9]!;
  const pseudo = six ? pseudoHeader6(words, 0, 4, protocol, rest) : pseudoHeader4(words[3]!, words[7]!, protocol, rest);
  if (protocol === PROTOCOL_ICMP || protocol === ICMP6) {
    if (!verify(six ? pseudo : 0, bytes, at, rest)) throw new Finding('a bad ICMP checksum is sent');
    return;
  }
  if (protocol === PROTOCOL_UDP && !six) {
    if (checkUdp(bytes, at, rest, words[3]!, words[7]!, false) !== UDP_OK || udpDestination(bytes, at) !== DHCP_SERVER_PORT) throw new Finding('UDP is sent that is none of DHCP');
    return;
  }
  if (protocol !== PROTOCOL_TCP) throw new Finding(`protocol ${protocol} is sent`);
  if (checkTcp(bytes, at, rest) !== TCP_OK) throw new Finding('a bad TCP header is sent');
  if (checksumStart === 0) {
    if (!verify(pseudo, bytes, at, rest)) throw new Finding('a bad TCP checksum is sent');
  } else if (!link.checksum || checksumStart !== at) {
    throw new Finding(`a checksum is left out at ${checksumStart}`);
  }
  // On Ethernet a packet may have waited for its neighbour, and tell of how things were.
  if (!link.ethernet) checkSegment(core, t, memory, bytes, at, rest, segmentSize);
}

/** Returns where what IP carries begins; both addresses lie in `words` then. */
function checkHeader4(bytes: Uint8Array, ipAt: number, length: number): number {
  if (checkIPv4(bytes, ipAt, length - ipAt) !== IPV4_OK) throw new Finding('a bad IP header is sent');
  if (ipv4TotalLength(bytes, ipAt) !== length - ipAt) throw new Finding('the length of a packet is wrong');
  setMapped(words, 0, get32(bytes, ipAt + 12));
  setMapped(words, 4, get32(bytes, ipAt + 16));
  return ipAt + 20;
}

function checkHeader6(bytes: Uint8Array, ipAt: number, length: number): number {
  if (checkIPv6(bytes, ipAt, length - ipAt) !== IPV6_OK) throw new Finding('a bad IPv6 header is sent');
  if (40 + ipv6PayloadLength(bytes, ipAt) !== length - ipAt) throw new Finding('the length of a packet is wrong');
  getWords(bytes, ipAt + 8, words, 0);
  getWords(bytes, ipAt + 24, words, 4);
  // Reports to routers carry an option for them.
  return bytes[ipAt + 6] === HOP_BY_HOP ? ipAt + 40 + ((bytes[ipAt + 41]! + 1) << 3) : ipAt + 40;
}

function upperOf6(bytes: Uint8Array, ipAt: number, at: number): number {
  return at > ipAt + 40 ? bytes[ipAt + 40]! : bytes[ipAt + 6]!;
}

function checkSegment(core: Core, t: Tcb, memory: Uint8Array, bytes: Uint8Array, at: number, length: number, segmentSize: number): void {
  const header = tcpHeaderLength(bytes, at);
  const text = length - header;
  const flags = tcpFlags(bytes, at);
  parseOptions(bytes, at, options);
  if (options.malformed) throw new Finding('malformed options are sent');
  if ((flags & RST) !== 0 && text > 0) throw new Finding('a reset with text is sent');
  const flow = core.demux.find(words, 0, 4, get16(bytes, at), get16(bytes, at + 2));
  if (flow === NONE) {
    if (text > 0) throw new Finding('text is sent for no flow');
    return;
  }
  t.at(flow);
  if ((flags & (RST | SYN)) !== 0 || t.state < ESTABLISHED) return;
  const seq = tcpSequence(bytes, at);
  if (tcpAcknowledgement(bytes, at) !== t.rcvNxt) throw new Finding('an acknowledgement is not of rcvNxt');
  checkBlocks(t);
  if (text > 0 && segmentSize === 0 && text > t.sndMss) throw new Finding(`a segment of ${text} bytes is sent, ${t.sndMss} may be`);
  const end = (seq + text + (flags & FIN)) | 0;
  if (text === 0 && (flags & FIN) === 0) return;
  if (((seq - t.sndUna) | 0) < 0) throw new Finding('text is sent that the peer has');
  if ((flags & FIN) !== 0 && (!t.has(FIN_QUEUED) || end !== ((t.iss + 2 + t.written) | 0))) throw new Finding('a FIN is sent in the wrong place');
  // What is new lies in the window that the peer offers now; one octet as a probe of it may not.
  if (((end - t.sndNxt) | 0) > 0) {
    if (((seq - t.sndNxt) | 0) > 0) throw new Finding('a segment leaves something out');
    const beyond = (end - t.sndUna - t.sndWnd) | 0;
    if (beyond > 0) throw new Finding(`a segment ends ${beyond} beyond the window`);
  }
  const position = (seq - t.iss - 1) | 0;
  for (const i of [0, text >> 1, text - 1]) {
    if (i >= 0 && i < text && bytes[at + header + i] !== memory[(position + i) & (SEND_RING - 1)]) throw new Finding('other bytes are sent than were written');
  }
}

/** SACK blocks tell of what is held: at most one of something else, first, as RFC 2883 has it. */
function checkBlocks(t: Tcb): void {
  for (let i = 0; i < options.sackCount; i++) {
    const start = options.sack[2 * i]!;
    const end = options.sack[2 * i + 1]!;
    if (((end - start) | 0) <= 0) throw new Finding('an empty SACK block is sent');
    // The first may tell of what came twice, and lies before rcvNxt then, however far.
    const ahead = (start - t.rcvNxt) | 0;
    if (i > 0 && ahead <= 0) throw new Finding(`SACK block ${i} tells of what is acknowledged`);
    if (ahead > 0 && (i > 0 || ahead < FAR) && ((end - t.rcvAdv) | 0) > 0) throw new Finding(`SACK block ${i} ends ${(end - t.rcvAdv) | 0} beyond the window`);
  }
}

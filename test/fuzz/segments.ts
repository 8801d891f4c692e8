/** Segments for a flow, drawn near to what it would take: that is where its decisions lie. */
import { put32, put16 } from '../../lib/tcp/wire/bytes.js';
import type { Core } from '../../lib/tcp/conn/core.js';
import { ACTIVE, FIN_KNOWN, NONE, SACK_ON, SYN_RECEIVED, SYN_SENT, TIMESTAMPS_ON } from '../../lib/tcp/conn/state.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import { ACK, CWR, ECE, FIN, PSH, RST, SYN, URG } from '../../lib/tcp/wire/tcp.js';
import { emitIPv6 } from '../../lib/tcp/wire/ipv6.js';
import { emitSack, emitSynOptions, emitTimestamps } from '../../lib/tcp/wire/options.js';
import type { PacketWriter } from './packets.js';
import type { Source } from './source.js';

const edges = new Int32Array(8);

/**
 * Writes a segment of the peer of the flow at hand, good or bad.
 *
 * @param bold how many of a hundred fields are wild. @param calm little that ends a connection.
 */
export function writeSegment(source: Source, core: Core, t: Tcb, packet: PacketWriter, bold: number, calm: boolean): void {
  packet.between(t.words, t.remoteAt, t.words, t.localAt);
  if (t.state === SYN_SENT || t.state === SYN_RECEIVED) {
    if (source.chance(70)) {
      writeHandshake(source, t, packet);
      return;
    }
  }
  let flags = drawFlags(source);
  if (calm && (flags & (FIN | RST | SYN)) !== 0 && !source.once(8)) flags = ACK | PSH;
  const seq = source.chance(bold) ? source.word() : drawSeq(source, core, t);
  const ack = source.chance(bold) ? source.word() : drawAck(source, core, t);
  const options = (flags & SYN) !== 0 && source.chance(70)
    ? synOptions(source, packet, t) : writeOptions(source, core, t, packet);
  send(source, t, packet, seq, ack, flags, drawWindow(source, t), options, drawLength(source, t));
}

function send(
  source: Source, t: Tcb, packet: PacketWriter, seq: number, ack: number, flags: number, window: number, options: number, text: number,
): void {
  const tos = source.once(20) ? source.below(256) : 0;
  packet.tcp(
    t.remotePort, t.localPort, seq, ack, flags, window, options, text, tos,
    (flags & URG) !== 0 || source.once(30) ? source.below(65536) : 0,
  );
}

/** What a handshake waits for, mostly as it should be. */
function writeHandshake(source: Source, t: Tcb, packet: PacketWriter): void {
  const ack = (t.iss + 1) | 0;
  if (t.state === SYN_SENT) {
    const both = source.chance(75);
    const options = synOptions(source, packet, t);
    const seq = source.chance(80) ? source.word() : source.pick([-1, -2, 0x7fffffff, 0, -1000]);
    send(source, t, packet, seq, both ? ack : 0, both ? SYN | ACK : SYN, drawSynWindow(source), options, source.once(10) ? source.below(1400) : 0);
    return;
  }
  if (t.has(ACTIVE) && source.once(2)) {
    // Both had opened: the peer's answer to our SYN has its own SYN once more.
    send(source, t, packet, t.irs, ack, SYN | ACK, drawSynWindow(source), synOptions(source, packet, t), 0);
    return;
  }
  const flags = ACK | (source.once(12) ? FIN : 0) | (source.once(12) ? PSH : 0);
  let options = 0;
  if (t.has(TIMESTAMPS_ON)) options = emitTimestamps(packet.bytes, packet.at + 20, (t.tsRecent + source.below(3)) | 0, 0);
  send(source, t, packet, t.rcvNxt, ack, flags, drawWindow(source, t), options, source.once(4) ? drawLength(source, t) : 0);
}

/** A SYN from a port of a peer to a listener's; the packet knows between whom. */
export function writeSyn(source: Source, packet: PacketWriter, fromPort: number, toPort: number): void {
  const options = synOptions(source, packet, null);
  const flags = SYN | (source.once(10) ? ECE | CWR : 0) | (source.once(40) ? FIN : 0);
  const seq = source.chance(80) ? source.word() : source.pick([-1, -2, 0x7fffffff, 0, -1000]);
  const text = source.once(15) ? source.below(1000) : 0;
  packet.tcp(fromPort, toPort, seq, 0, flags, drawSynWindow(source), options, text, 0, 0);
}

function synOptions(source: Source, packet: PacketWriter, t: Tcb | null): number {
  if (source.once(20)) return wildOptions(source, packet);
  const mss = source.chance(70) ? 1460 : source.pick([0, 1, 47, 48, 64, 100, 536, 1220, 8960, 65535]);
  const stamps = source.chance(60);
  const shift = source.chance(70) ? source.below(15) : -1;
  const echo = t === null ? 0 : t.tsOffset;
  return emitSynOptions(packet.bytes, packet.at + 20, mss, source.chance(70), stamps, source.word(), echo, shift);
}

function drawSynWindow(source: Source): number {
  return source.chance(80) ? 65535 : source.pick([0, 1, 10, 536, 1460, 4096]);
}

function drawFlags(source: Source): number {
  const draw = source.below(1000);
  if (draw < 640) return ACK;
  if (draw < 860) return ACK | PSH;
  if (draw < 890) return ACK | FIN;
  if (draw < 905) return ACK | PSH | FIN;
  if (draw < 925) return ACK | URG;
  if (draw < 945) return ACK | (source.once(2) ? ECE : CWR);
  if (draw < 955) return RST;
  if (draw < 962) return RST | ACK;
  if (draw < 972) return SYN;
  if (draw < 980) return SYN | ACK;
  if (draw < 985) return 0;
  return source.word() & 0xff;
}

function drawSeq(source: Source, core: Core, t: Tcb): number {
  const next = t.rcvNxt;
  const window = Math.max((t.rcvAdv - next) | 0, 0);
  const draw = source.below(100);
  if (draw < 50) return next;
  if (draw < 62) return (next + source.between(1, 5) * Math.max(t.rcvMss, 1)) | 0;
  if (draw < 72) return (next + source.below(window + 1)) | 0;
  if (draw < 78) return (next - source.between(1, 3000)) | 0;
  if (draw < 82) return (next - 1) | 0;
  if (draw < 86) return (t.rcvAdv + source.between(-3, 3)) | 0;
  if (draw < 88) return t.lastAckSent;
  if (draw < 90) return (t.irs + source.below(3)) | 0;
  if (draw < 91) return t.has(FIN_KNOWN) ? (t.finSeq + source.between(-1, 1)) | 0 : (t.rcvAdv - 1) | 0;
  if (draw < 93) return (next + (source.once(2) ? 0x7fffffff : -0x80000000)) | 0;
  // The edge of something that has come ahead of its turn.
  let range = t.ranges;
  for (let skip = source.below(4); skip > 0 && range !== NONE; skip--) range = core.ranges.nexts[range]!;
  if (range === NONE) return next;
  return ((source.once(2) ? core.ranges.starts[range]! : core.ranges.ends[range]!) + source.between(-2, 2)) | 0;
}

function drawAck(source: Source, core: Core, t: Tcb): number {
  const flight = Math.max((t.sndNxt - t.sndUna) | 0, 0);
  const draw = source.below(100);
  if (draw < 40) return t.sndUna;
  if (draw < 65) return t.sndNxt;
  if (draw < 80) return (t.sndUna + Math.min(source.between(1, 4) * t.sndMss, flight)) | 0;
  if (draw < 88) return (t.sndUna + source.below(flight + 1)) | 0;
  if (draw < 91) return runEdge(source, core, t);
  if (draw < 94) return (t.sndUna - source.between(1, 3000)) | 0;
  if (draw < 96) return (t.sndNxt + source.between(1, 3)) | 0;
  if (draw < 97) return (t.sndUna - t.sndWndMax + source.between(-1, 1)) | 0;
  return source.pick([t.iss, (t.iss + 1) | 0, (t.sndNxt + 0x7fffffff) | 0, (t.recover + source.between(-1, 1)) | 0]);
}

/** The beginning or the end of a run in flight. */
function runEdge(source: Source, core: Core, t: Tcb): number {
  let run = t.runs;
  for (let skip = source.below(6); skip > 0 && run !== NONE; skip--) run = core.runs.nexts[run]!;
  if (run === NONE) return t.sndNxt;
  return source.once(2) ? core.runs.starts[run]! : core.runs.ends[run]!;
}

function drawWindow(source: Source, t: Tcb): number {
  const draw = source.below(100);
  const now = Math.min(t.sndWnd >>> t.sndWndShift, 65535);
  if (draw < 60) return now;
  if (draw < 70) return 65535;
  if (draw < 76) return 0;
  if (draw < 80) return source.between(1, 4);
  if (draw < 90) return source.below(2000);
  return source.below(65536);
}

function drawLength(source: Source, t: Tcb): number {
  const draw = source.below(100);
  if (draw < 45) return 0;
  if (draw < 55) return 1;
  if (draw < 75) return Math.min(t.rcvMss, 1460);
  if (draw < 90) return source.below(300);
  return source.below(1461);
}

/** Options of a segment that is no SYN. Returns their length. */
function writeOptions(source: Source, core: Core, t: Tcb, packet: PacketWriter): number {
  if (source.once(50)) return wildOptions(source, packet);
  const { bytes } = packet;
  const at = packet.at + 20;
  let length = 0;
  const stamps = t.has(TIMESTAMPS_ON) ? !source.once(60) : source.once(60);
  if (stamps) length = emitTimestamps(bytes, at, drawStamp(source, t), drawEcho(source, core, t));
  const blocks = t.has(SACK_ON) ? source.chance(t.sndNxt !== t.sndUna ? 45 : 5) : source.once(60);
  if (!blocks) return length;
  const count = source.between(1, stamps ? 3 : 4);
  for (let i = 0; i < count; i++) drawBlock(source, core, t, i);
  return length + emitSack(bytes, at + length, edges, 0, count);
}

function drawStamp(source: Source, t: Tcb): number {
  const draw = source.below(100);
  if (draw < 50) return t.tsRecent;
  if (draw < 88) return (t.tsRecent + source.below(200)) | 0;
  if (draw < 95) return (t.tsRecent - source.below(200)) | 0;
  return source.once(3) ? source.word() : (t.tsRecent + 0x7fffffff) | 0;
}

function drawEcho(source: Source, core: Core, t: Tcb): number {
  const now = (core.ms + t.tsOffset) | 0;
  const draw = source.below(100);
  if (draw < 80) return (now - source.below(120)) | 0;
  if (draw < 90) return now;
  if (draw < 95) return 0;
  return source.word();
}

/** A SACK block: between segments in flight, a duplicate, or nonsense. */
function drawBlock(source: Source, core: Core, t: Tcb, index: number): void {
  const flight = Math.max((t.sndNxt - t.sndUna) | 0, 0);
  const mss = t.sndMss;
  const draw = source.below(100);
  let start: number;
  let end: number;
  if (draw < 60) {
    const segments = Math.floor(flight / mss);
    start = (t.sndUna + source.below(segments + 1) * mss) | 0;
    end = (start + source.between(1, 3) * mss) | 0;
    if (((end - t.sndNxt) | 0) > 0) end = t.sndNxt;
  } else if (draw < 72) {
    start = runEdge(source, core, t);
    end = runEdge(source, core, t);
  } else if (draw < 82) {
    start = (t.sndUna + source.below(flight + 1)) | 0;
    end = (start + source.below(3000)) | 0;
  } else if (draw < 92) {
    // Below what is acknowledged: a duplicate.
    start = (t.sndUna - source.between(1, 4) * mss) | 0;
    end = (start + source.between(1, 2) * mss) | 0;
  } else if (draw < 96 && index > 0) {
    start = edges[2 * index - 2]!;
    end = edges[2 * index - 1]!;
  } else {
    start = source.word();
    end = source.once(2) ? source.word() : (start + source.between(-2, 2)) | 0;
  }
  edges[2 * index] = start;
  edges[2 * index + 1] = end;
}

/** Options of any kind, of right and wrong length. */
function wildOptions(source: Source, packet: PacketWriter): number {
  const { bytes } = packet;
  const at = packet.at + 20;
  const length = source.between(1, 10) * 4;
  for (let i = 0; i < length; i++) bytes[at + i] = 1;
  for (let i = 0; i < length;) {
    const kind = source.pick([0, 1, 1, 2, 3, 4, 5, 8, 19, 28, 29, 30, 34, 69, 253, 254]);
    const right = [0, 1, 4, 3, 2, 10, 0, 0, 10][kind] ?? 4;
    const size = source.chance(70) ? right : source.below(42);
    bytes[at + i] = kind;
    if (kind <= 1) { i++; continue; }
    if (i + 1 < length) bytes[at + i + 1] = size;
    if (i + 4 < length && source.once(2)) put16(bytes, at + i + 2, source.word() & 0xffff);
    if (i + 8 < length && source.once(2)) put32(bytes, at + i + 2, source.word());
    i += Math.max(size, 1);
  }
  return length;
}

/** The packet that an ICMP error is about, one that the flow at hand has sent, at `at` + 8. Returns its length. */
export function quoteSegment(source: Source, t: Tcb, packet: PacketWriter): number {
  const flight = Math.max((t.sndNxt - t.sndUna) | 0, 0);
  const { bytes, six } = packet;
  const from = packet.at + 8;
  const seq = source.chance(80) ? (t.sndUna + source.below(Math.max(flight, 1))) | 0 : source.word();
  const total = source.pick([40, 52, 576, 1500]);
  let at = from + 20;
  if (six) {
    emitIPv6(bytes, from, 0, 0, total, 6, 64, t.words, t.localAt, t.remoteAt);
    at = from + 40;
  } else {
    put32(bytes, from, 0x45000000 | total);
    put32(bytes, from + 4, 0x4000);
    put32(bytes, from + 8, 0x40060000);
    put32(bytes, from + 12, t.words[t.localAt + 3]!);
    put32(bytes, from + 16, t.words[t.remoteAt + 3]!);
  }
  put16(bytes, at, t.localPort);
  put16(bytes, at + 2, t.remotePort);
  put32(bytes, at + 4, seq);
  if (!six) return 28;
  bytes.fill(0, at + 8, at + 20);
  return source.once(8) ? 44 : 60;
}

/** Fragments of IPv4 packets, and the machine that both families put them together with. */
import t from 'tap';
import type { IpStats } from '../../../lib/tcp/ip/stats.js';
import { put16 } from '../../../lib/tcp/wire/bytes.js';
import { ETHERNET_HEADER as IP, TYPE_IPV4 } from '../../../lib/tcp/wire/ethernet.js';
import { checkIcmp, emitIcmp, finishIcmp } from '../../../lib/tcp/wire/icmp.js';
import { checkIPv4, ipv4Fragment } from '../../../lib/tcp/wire/ipv4.js';
import { randomOf } from '../../support/random.js';
import { Host, OWN, PEER, PEER_MAC, arp, ethernet, packet, segment } from './network.js';

const MORE = 0x2000;

function reassembled(host: Host): Partial<IpStats> {
  return Object.fromEntries(Object.entries(host.stats).filter(([name, count]) => count !== 0 && name.includes('Reasm')));
}

/** The part of a packet's frame from byte `from` to byte `to` of its data. */
function fragment(frame: Uint8Array, from: number, to: number, identification = 7, tos = 0): Uint8Array {
  const data = frame.subarray(IP + 20);
  const part = packet(frame[IP + 9]!, data.subarray(from, to), [...frame.subarray(IP + 12, IP + 16)].join('.'), OWN, tos);
  put16(part, 4, identification);
  put16(part, 6, (from >> 3) | (to < data.length ? MORE : 0));
  return ethernet(TYPE_IPV4, mended(part));
}

function mended(header: Uint8Array): Uint8Array {
  put16(header, 10, 0);
  let sum = 0;
  for (let i = 0; i < 20; i += 2) sum += header[i]! * 256 + header[i + 1]!;
  put16(header, 10, ~((sum & 0xffff) + (sum >>> 16)));
  return header;
}

/** `frame` in pieces of `size` bytes of data. */
function cut(frame: Uint8Array, size: number, identification = 7): Uint8Array[] {
  const length = frame.length - IP - 20;
  const parts: Uint8Array[] = [];
  for (let at = 0; at < length; at += size) parts.push(fragment(frame, at, Math.min(at + size, length), identification));
  return parts;
}

t.test('RFC 791 3.2: a segment in fragments, in any order, is one segment', async (t) => {
  const whole = segment(3000);
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]]) {
    const host = new Host();
    const parts = cut(whole, 1024);
    for (const i of order) {
      t.equal(host.transport.segments.length, 0);
      host.receive(parts[i]!);
    }
    t.equal(host.transport.segments.length, 1);
    t.match(host.transport.segments[0], { from: PEER, to: OWN, segmentSize: 0 });
    t.same(Buffer.from(host.transport.segments[0]!.bytes), Buffer.from(whole.subarray(IP + 20)));
    t.same(reassembled(host), { IpReasmReqds: 3, IpReasmOKs: 1 });
    t.equal(host.pollAt(), Infinity, 'nothing is left');
  }
});

t.test('the checksum of TCP is that of the whole', async (t) => {
  const host = new Host();
  const whole = segment(3000);
  whole[IP + 2500]! ^= 1;
  for (const part of cut(whole, 1024)) {
    host.device.waiting.push({ bytes: part, flags: 1, segmentSize: 0 });
    host.ip.receive(1);
  }
  t.same(host.transport.segments, []);
  t.match(host.stats, { TcpInCsumErrors: 1, IpReasmOKs: 1 });
});

t.test('packets differ by identification, source and protocol', async (t) => {
  const host = new Host();
  const [one, two] = [cut(segment(500), 256, 1), cut(segment(500), 256, 2)];
  const other = cut(segment(500, '198.18.0.9'), 256, 1);
  host.receive(one[0]!, two[1]!, other[2]!, other[0]!);
  t.equal(host.transport.segments.length, 0);
  host.receive(two[0]!, two[2]!, one[2]!, one[1]!, other[1]!);
  t.same(host.transport.segments.map(({ from }) => from), [PEER, PEER, '198.18.0.9']);
  t.match(host.stats, { IpReasmOKs: 3, TcpInErrs: 0 });
});

t.test('an echo request in fragments is answered where the answer fits the link', async (t) => {
  const host = new Host();
  host.receive(arp(1, PEER, PEER_MAC, OWN));
  const echo = new Uint8Array(1008).fill(9);
  emitIcmp(echo, 0, 8, 0);
  finishIcmp(echo, 0, echo.length);
  const [reply] = host.receive(...cut(ethernet(TYPE_IPV4, packet(1, echo)), 256));
  t.equal(reply!.bytes.length, IP + 20 + 1008);
  t.equal(checkIPv4(reply!.bytes, IP, reply!.bytes.length - IP), 0);
  const udp = ethernet(TYPE_IPV4, packet(17, new Uint8Array(600)));
  const [error] = host.receive(...cut(udp, 256, 8));
  t.equal(checkIPv4(error!.bytes, IP + 28, 620), 0);
  t.equal(ipv4Fragment(error!.bytes, IP + 28), 0, 'and shows the packet whole');
});

t.test('RFC 5722 4: an overlap ends the packet, and what is still to come of it', async (t) => {
  const whole = segment(1000);
  const length = 1020;
  const overlaps: [string, Uint8Array[]][] = [
    ['the end', [fragment(whole, 0, 512), fragment(whole, 504, length)]],
    ['the beginning', [fragment(whole, 512, length), fragment(whole, 0, 520)]],
    ['inside', [fragment(whole, 0, 512), fragment(whole, 64, 128)]],
    ['around', [fragment(whole, 64, 128), fragment(whole, 0, 512)]],
    ['the same beginning, shorter', [fragment(whole, 0, 512), fragment(whole, 0, 256)]],
    ['two that were one', [fragment(whole, 0, 256), fragment(whole, 256, 512), fragment(whole, 0, 512)]],
    ['the same place, other bytes', [fragment(whole, 256, 512), fragment(segment(1000).fill(1, 300, 301), 256, 512)]],
  ];
  for (const [name, parts] of overlaps) {
    const host = new Host();
    host.receive(...parts, fragment(whole, 0, 512), fragment(whole, 512, length));
    t.same(host.transport.segments, [], name);
    t.match(host.stats, { IpExtReasmOverlaps: 1, IpReasmFails: 1 }, name);
    host.wait(30);
    t.equal(host.pollAt(), Infinity);
    t.match(host.stats, { IpReasmTimeout: 0 });
  }
});

t.test('RFC 8200 4.5: a fragment that came twice says nothing new', async (t) => {
  const host = new Host();
  const parts = cut(segment(1000), 256);
  host.receive(parts[1]!, parts[1]!, parts[0]!, parts[1]!, parts[3]!, parts[3]!, parts[0]!, parts[2]!);
  t.equal(host.transport.segments.length, 1);
  t.match(host.stats, { IpExtReasmOverlaps: 0, IpReasmFails: 0 });
});

t.test('RFC 1858, RFC 3128: no fragment ends or begins within the TCP header', async (t) => {
  const whole = segment(1000);
  for (const tiny of [fragment(whole, 0, 8), fragment(whole, 0, 16), fragment(whole, 8, 512), fragment(whole, 16, 512)]) {
    const host = new Host();
    host.receive(tiny);
    t.same(reassembled(host), { IpReasmReqds: 1, IpReasmFails: 1 });
    t.equal(host.pollAt(), Infinity, 'it holds no room');
  }
});

t.test('fragments that no packet can have', async (t) => {
  const whole = segment(1000);
  const odd = fragment(whole, 0, 509);
  const long = fragment(whole, 512, 1020);
  put16(long, IP + 6, 0x1ff0);
  const cases: [string, Uint8Array[]][] = [
    ['no multiple of eight', [odd]],
    ['no data', [fragment(whole, 512, 512)]],
    ['beyond 65,535 bytes', [ethernet(TYPE_IPV4, mended(long.slice(IP)))]],
    ['behind the end', [fragment(segment(500), 512, 520), fragment(whole, 512, 768)]],
    ['an end before the end', [fragment(whole, 512, 768), fragment(segment(500), 256, 520)]],
    ['two ends', [fragment(whole, 512, 1020), fragment(segment(900), 512, 920)]],
  ];
  for (const [name, parts] of cases) {
    const host = new Host();
    host.receive(...parts, fragment(whole, 0, 512));
    t.same(host.transport.segments, [], name);
    t.ok(host.stats.IpReasmFails >= 1, name);
  }
  const host = new Host();
  const full = ethernet(TYPE_IPV4, packet(6, new Uint8Array(65515)));
  const parts = cut(full, 32768);
  const options = Uint8Array.from([...parts[0]!.subarray(0, IP + 20), 148, 4, 0, 0, ...parts[0]!.subarray(IP + 20)]);
  options[IP] = 0x46;
  put16(options, IP + 2, options.length - IP);
  let sum = 0;
  put16(options, IP + 10, 0);
  for (let i = IP; i < IP + 24; i += 2) sum += options[i]! * 256 + options[i + 1]!;
  put16(options, IP + 10, ~((sum & 0xffff) + (sum >>> 16)));
  host.receive(options, parts[1]!);
  t.match(reassembled(host), { IpReasmReqds: 2, IpReasmFails: 1 }, 'too long with the header of the first');
});

t.test('RFC 3168 5.3: congestion of a part is that of the whole', async (t) => {
  const whole = segment(100, PEER, OWN, 2);
  const cases: [number, number, number | null][] = [[2, 2, 2], [2, 3, 3], [3, 2, 3], [3, 3, 3], [0, 3, null], [1, 3, 3], [0, 0, 0]];
  for (const [first, second, ecn] of cases) {
    const host = new Host();
    host.receive(fragment(whole, 64, 120, 7, second), fragment(whole, 0, 64, 7, first));
    t.same(host.transport.segments.map((seen) => seen.ecn), ecn === null ? [] : [ecn], `${first} and ${second}`);
  }
});

t.test('RFC 1122 3.3.2: what is not whole after thirty seconds is given up, and the sender told where the first part is there', async (t) => {
  const host = new Host();
  host.receive(arp(1, PEER, PEER_MAC, OWN));
  const parts = cut(segment(1000), 512);
  host.receive(parts[0]!);
  t.equal(host.pollAt(), host.now + 30e6);
  t.same(host.wait(29.9), []);
  t.same(reassembled(host), { IpReasmReqds: 1 });
  const [error] = host.wait(0.1);
  t.same(reassembled(host), { IpReasmReqds: 1, IpReasmFails: 1, IpReasmTimeout: 1 });
  t.same([...error!.bytes.subarray(IP + 20, IP + 22)], [11, 1], 'time exceeded');
  t.equal(checkIcmp(error!.bytes, IP + 20, error!.bytes.length - IP - 20), 0);
  t.same(Buffer.from(error!.bytes.subarray(IP + 28)), Buffer.from(parts[0]!.subarray(IP, IP + 28)), 'it shows the fragment as it came');
  t.equal(host.stats.IcmpOutTimeExcds, 1);
  host.receive(parts[1]!);
  t.same(host.transport.segments, [], 'the rest alone is nothing');
  t.equal(host.wait(40).length, 3, 'and nothing to tell of: the peer is only asked whether it is there still');
  const errors = new Host();
  errors.receive(arp(1, PEER, PEER_MAC, OWN));
  const unreachable = new Uint8Array(1008);
  emitIcmp(unreachable, 0, 3, 1);
  errors.receive(cut(ethernet(TYPE_IPV4, packet(1, unreachable)), 512)[0]!);
  t.same(errors.wait(30), [], 'RFC 1122 3.2.2: no error about an error');
});

t.test('a flood of fragments is bounded, and one source does not drive out another', async (t) => {
  const host = new Host();
  const honest = cut(segment(1000), 512, 1);
  host.receive(honest[0]!);
  for (let i = 0; i < 5000; i++) {
    host.now += 10;
    host.receive(cut(segment(1000, '198.18.0.66'), 512, i)[0]!);
  }
  host.receive(honest[1]!);
  t.equal(host.transport.segments.length, 1);
  t.equal(host.stats.IpReasmFails, 5000 - 16, 'sixteen of one source are kept');
  for (let i = 0; i < 200; i++) {
    host.now += 10;
    host.receive(cut(segment(1000, `198.18.0.${10 + i}`), 512, i)[0]!);
  }
  host.wait(31);
  t.equal(host.stats.IpReasmTimeout, 64, 'and 64 in all');
});

t.test('fragments at random against a model', async (t) => {
  const random = randomOf(5);
  for (let round = 0; round < 300; round++) {
    const host = new Host();
    const payload = 100 + (random() % 4000);
    const whole = segment(payload);
    const length = payload + 20;
    const parts: Uint8Array[] = [];
    for (let at = 0; at < length;) {
      const to = Math.min(length, at + 24 + 8 * (random() % 64));
      parts.push(fragment(whole, at, to));
      at = to;
    }
    if (parts.length === 1) continue;
    for (let i = parts.length - 1; i > 0; i--) {
      const j = random() % (i + 1);
      [parts[i], parts[j]] = [parts[j]!, parts[i]!];
    }
    const lost = random() % 4 === 0 ? parts.pop() : undefined;
    if (random() % 2 === 0) parts.splice(random() % parts.length, 0, parts[random() % parts.length]!);
    host.receive(...parts);
    const seen = host.transport.segments;
    if (seen.length !== (lost === undefined ? 1 : 0)) t.fail(`round ${round}`);
    if (seen.length === 1 && !Buffer.from(seen[0]!.bytes).equals(whole.subarray(IP + 20))) t.fail(`round ${round}: other bytes`);
  }
});

/** Fragments of IPv6 packets. */
import t from 'tap';
import type { IpStats } from '../../../lib/tcp/ip/stats.js';
import { get16, put16, put32 } from '../../../lib/tcp/wire/bytes.js';
import { icmp6Parameter } from '../../../lib/tcp/wire/icmp6.js';
import { randomOf } from '../../support/random.js';
import type { Host, Sent } from './network.js';
import { IP, OWN6, PEER6, UPPER, host6, icmp6, isIntact6, packet6, ready6, segment6, solicitation, tcp6 } from './network6.js';

function reassembled(host: Host): Partial<IpStats> {
  return Object.fromEntries(Object.entries(host.stats).filter(([name, count]) => count !== 0 && name.includes('Reasm')));
}

interface Part {
  from?: string;
  identification?: number;
  trafficClass?: number;
  /** Kind of header that the data begin with. */
  next?: number;
  /** Whether more follow; by default whether the data go on. */
  more?: boolean;
}

/** The part of `data` from byte `from` to byte `to`. */
function fragment(data: Uint8Array, from: number, to: number, part: Part = {}): Uint8Array {
  const header = Uint8Array.of(part.next ?? 6, 0, 0, 0, 0, 0, 0, 0);
  put16(header, 2, from | (part.more ?? to < data.length ? 1 : 0));
  put32(header, 4, part.identification ?? 7);
  const content = Uint8Array.from([...header, ...data.subarray(from, to)]);
  return packet6(44, content, { from: part.from ?? PEER6, trafficClass: part.trafficClass ?? 0 });
}

function cut(data: Uint8Array, size: number, part: Part = {}): Uint8Array[] {
  const parts: Uint8Array[] = [];
  for (let at = 0; at < data.length; at += size) parts.push(fragment(data, at, Math.min(at + size, data.length), part));
  return parts;
}

/** Type, code and pointer of an ICMPv6 message. */
function problem(sent: Sent | undefined): number[] {
  return sent === undefined ? [] : [...sent.bytes.subarray(UPPER, UPPER + 2), icmp6Parameter(sent.bytes, UPPER)];
}

t.test('RFC 8200 4.5: an IPv6 segment in fragments, in any order, is one segment', async (t) => {
  const whole = tcp6(3000);
  for (const order of [[0, 1, 2], [2, 1, 0], [1, 2, 0], [0, 2, 1]]) {
    const host = host6();
    const parts = cut(whole, 1024);
    for (const i of order) {
      t.equal(host.transport.segments.length, 0);
      host.receive(parts[i]!);
    }
    t.match(host.transport.segments, [{ from: PEER6, to: OWN6, segmentSize: 0 }]);
    t.same(Buffer.from(host.transport.segments[0]!.bytes), Buffer.from(whole));
    t.same(reassembled(host), { Ip6ReasmReqds: 3, Ip6ReasmOKs: 1 });
    t.equal(host.pollAt(), Infinity, 'nothing is left');
  }
});

t.test('RFC 8200 4.5: packets differ by identification and addresses; the first fragment says what they hold', async (t) => {
  const host = host6();
  const from = '2001:db8::9';
  const [one, two] = [cut(tcp6(500), 256, { identification: 1 }), cut(tcp6(500), 256, { identification: 2 })];
  const other = cut(tcp6(500, from), 256, { identification: 1, from });
  host.receive(one[0]!, two[1]!, other[2]!, other[0]!);
  t.equal(host.transport.segments.length, 0);
  host.receive(two[0]!, two[2]!, one[2]!, one[1]!, other[1]!);
  t.same(host.transport.segments.map((seen) => seen.from), [PEER6, PEER6, from]);
  const data = tcp6(500);
  host.receive(fragment(data, 256, 520, { next: 17 }), fragment(data, 0, 256));
  t.equal(host.transport.segments.length, 4);
});

t.test('headers before and behind the fragment header', async (t) => {
  const host = ready6();
  const options = Uint8Array.of(6, 0, 1, 4, 0, 0, 0, 0);
  const inner = Uint8Array.from([...options, ...tcp6(100)]);
  const parts = cut(inner, 64, { next: 60 });
  const outer = parts.map((frame) => packet6(0, Uint8Array.from([44, 0, 1, 4, 0, 0, 0, 0, ...frame.subarray(UPPER)])));
  host.receive(...outer);
  t.equal(host.transport.segments[0]!.bytes.length, 120);
  const echo = icmp6(128, 0, 5, new Uint8Array(600));
  const [reply] = host.receive(...cut(echo, 256, { next: 58, identification: 8 }));
  t.ok(isIntact6(reply!.bytes));
  t.equal(reply!.bytes.length, UPPER + 608, 'an echo request in fragments is answered');
  const bad = Uint8Array.from([6, 0, 0x80, 0, 1, 2, 0, 0, ...tcp6(100)]);
  t.same(problem(host.receive(...cut(bad, 64, { next: 60, identification: 9 }))[0]), [4, 2, 42], 'what is wrong behind it is told of the whole');
});

t.test('RFC 6946 4: a fragment that is a whole packet has nothing to do with others', async (t) => {
  const host = host6();
  const data = tcp6(100);
  host.receive(fragment(data, 0, 64), packet6(44, Uint8Array.from([6, 0, 0, 0, 0, 0, 0, 7, ...tcp6(9)])), fragment(data, 64, 120));
  t.same(host.transport.segments.map(({ bytes }) => bytes.length), [29, 120]);
  t.same(reassembled(host), { Ip6ReasmReqds: 2, Ip6ReasmOKs: 1 });
  host.receive(packet6(44, Uint8Array.from([44, 0, 0, 0, 0, 0, 0, 7, 6, 0, 0, 0, 0, 0, 0, 7, ...tcp6(9)])));
  t.equal(host.transport.segments.length, 2, 'but none holds another');
});

t.test('RFC 5722 4: an overlap ends the IPv6 packet, and what is still to come of it', async (t) => {
  const data = tcp6(1000);
  const overlaps: [string, Uint8Array[]][] = [
    ['the end', [fragment(data, 0, 512), fragment(data, 504, 1020)]],
    ['the beginning', [fragment(data, 512, 1020), fragment(data, 0, 520)]],
    ['inside', [fragment(data, 0, 512), fragment(data, 64, 128)]],
    ['the same place, other bytes', [fragment(data, 256, 512), fragment(data.slice().fill(1, 300, 301), 256, 512)]],
  ];
  for (const [name, parts] of overlaps) {
    const host = ready6();
    t.same(host.receive(...parts, fragment(data, 0, 512), fragment(data, 512, 1020)), [], name);
    t.same(host.transport.segments, [], name);
    t.match(host.stats, { Ip6ReasmOverlaps: 1, Ip6ReasmFails: 1 }, name);
    host.wait(60);
    t.equal(host.pollAt(), Infinity);
    t.match(host.stats, { Ip6ReasmTimeout: 0 });
  }
  const host = host6();
  host.receive(fragment(data, 0, 512), fragment(data, 0, 512), fragment(data, 512, 1020));
  t.equal(host.transport.segments.length, 1, 'the same fragment once more says nothing new');
});

t.test('RFC 8200 4.5, RFC 7112 5: fragments that no packet can have are answered', async (t) => {
  const data = tcp6(1000);
  const cases: [string, Uint8Array, number[]][] = [
    ['no multiple of eight', fragment(data, 0, 509), [4, 0, 4]],
    ['beyond 65,535 bytes', fragment(new Uint8Array(65536 + 8), 65528, 65536), [4, 0, 42]],
    ['no whole TCP header in the first', fragment(data, 0, 16), [4, 3, 0]],
    ['no whole option header in the first', fragment(data, 0, 8, { next: 60 }), [4, 3, 0]],
  ];
  for (const [name, frame, told] of cases) {
    const host = ready6();
    t.same(problem(host.receive(frame)[0]), told, name);
    t.same(reassembled(host), { Ip6ReasmReqds: 1, Ip6ReasmFails: 1 }, name);
    host.wait(10);
    t.equal(host.pollAt(), Infinity, 'it holds no room');
  }
});

t.test('RFC 8200 4.5: what is not whole after sixty seconds is given up, and the sender told where the first part is there', async (t) => {
  const data = tcp6(1000);
  const host = ready6();
  host.receive(fragment(data, 0, 512));
  t.same(host.wait(59.9), []);
  const [error] = host.wait(0.1);
  t.same(reassembled(host), { Ip6ReasmReqds: 1, Ip6ReasmFails: 1, Ip6ReasmTimeout: 1 });
  t.same(problem(error), [3, 1, 0]);
  t.ok(isIntact6(error!.bytes));
  t.same(Buffer.from(error!.bytes.subarray(UPPER + 8)), Buffer.from(fragment(data, 0, 512).subarray(IP)), 'it shows the fragment as it came');
  host.receive(fragment(data, 512, 1020));
  t.same(host.transport.segments, [], 'the rest alone is nothing');
  t.same(host.wait(70).filter(({ bytes }) => bytes[UPPER] === 3), [], 'and nothing to tell of');
  const large = tcp6(4000);
  host.receive(solicitation(PEER6, OWN6), fragment(large, 0, 1440, { identification: 10 }));
  const [long] = host.wait(60).filter(({ bytes }) => bytes[UPPER] === 3);
  t.equal(long!.bytes.length, IP + 1280);
  t.equal(get16(long!.bytes, UPPER + 8 + 4), 1448, 'cut off, with the length that it had');
});

t.test('RFC 3168 5.3: congestion of an IPv6 part is that of the whole', async (t) => {
  const cases: [number, number, number | null][] = [[2, 2, 2], [2, 3, 3], [3, 2, 3], [0, 3, null], [1, 3, 3], [0, 0, 0]];
  for (const [first, second, ecn] of cases) {
    const host = host6();
    const data = tcp6(100);
    host.receive(fragment(data, 64, 120, { trafficClass: second }), fragment(data, 0, 64, { trafficClass: first }));
    t.same(host.transport.segments.map((seen) => seen.ecn), ecn === null ? [] : [ecn], `${first} and ${second}`);
  }
});

t.test('a flood of IPv6 fragments is bounded, and does not drive out another source, nor IPv4', async (t) => {
  const host = host6();
  const from = '2001:db8::66';
  host.receive(fragment(tcp6(1000), 0, 512));
  for (let i = 0; i < 5000; i++) {
    host.now += 10;
    host.receive(fragment(tcp6(1000, from), 0, 512, { from, identification: i }));
  }
  host.receive(fragment(tcp6(1000), 512, 1020));
  t.equal(host.transport.segments.length, 1);
  t.equal(host.stats.Ip6ReasmFails, 5000 - 16, 'sixteen of one source are kept');
  host.receive(segment6());
  t.equal(host.transport.segments.length, 2);
});

t.test('IPv6 fragments at random against a model', async (t) => {
  const random = randomOf(6);
  for (let round = 0; round < 200; round++) {
    const host = host6();
    const data = tcp6(100 + (random() % 4000));
    const parts: Uint8Array[] = [];
    for (let at = 0; at < data.length;) {
      const to = Math.min(data.length, at + 24 + 8 * (random() % 64));
      parts.push(fragment(data, at, to));
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
    if (seen.length === 1 && !Buffer.from(seen[0]!.bytes).equals(data)) t.fail(`round ${round}: other bytes`);
  }
  t.pass('all as the model says');
});

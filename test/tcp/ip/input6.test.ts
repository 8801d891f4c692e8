/** IPv6 packets that arrive: headers, extension headers, what is for whom, ICMPv6. */
import t from 'tap';
import { RX_CHECKSUM_VALID } from '../../../lib/nic/device.js';
import { EACCES, ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from '../../../lib/tcp/errno.js';
import type { IpStats } from '../../../lib/tcp/ip/stats.js';
import { put16 } from '../../../lib/tcp/wire/bytes.js';
import { TYPE_IPV6 } from '../../../lib/tcp/wire/ethernet.js';
import { icmp6Parameter } from '../../../lib/tcp/wire/icmp6.js';
import { ipv6HopLimit, ipv6TrafficClass } from '../../../lib/tcp/wire/ipv6.js';
import { randomOf } from '../../support/random.js';
import { ALL_MAC, Host, OTHER_MAC, OWN_MAC, PEER_MAC, ethernet, wordsOf } from './network.js';
import type { Sent } from './network.js';
import {
  ALL_NODES6, FAR6, IP, OWN6, PEER6, UPPER, advertisement, host6, icmp6, isIntact6, packet6, ready6, segment6, solicitation, tcp6, told6,
} from './network6.js';

function counted(host: Host): Partial<IpStats> {
  return Object.fromEntries(Object.entries(host.stats).filter(([name, count]) => (
    count !== 0 && !name.endsWith('Octets') && !/^(Arp|IpOut|Ip6Out(?!No)|Icmp6Out(Msgs|Neighbor|MLD))/.test(name)
  )));
}

/** Options in a header of whole multiples of eight bytes: next header, length, and the rest padded. */
function options(next: number, ...bytes: number[]): Uint8Array {
  const length = Math.ceil((2 + bytes.length) / 8);
  const header = new Uint8Array(8 * length);
  header.set([next, length - 1, ...bytes]);
  return header;
}

function joined(...parts: Uint8Array[]): Uint8Array {
  return Uint8Array.from(Buffer.concat(parts));
}

t.test('an IPv6 segment arrives with its addresses, its bytes and its ECN field', async (t) => {
  const host = host6();
  host.receive(segment6(11, { trafficClass: 0xb8 | 3 }));
  t.match(host.transport.segments, [{ from: PEER6, to: OWN6, ecn: 3, segmentSize: 0, interfaceIndex: 0 }]);
  t.same(Buffer.from(host.transport.segments[0]!.bytes), Buffer.from(tcp6(11)));
  t.same(counted(host), { Ip6InReceives: 1, Ip6InDelivers: 1 });
  host.receive(joined(segment6(0), new Uint8Array(9).fill(0xff)));
  t.equal(host.transport.segments[1]!.bytes.length, 20, 'padding of the link is no payload');
});

t.test('an interface without an IPv6 address does not know IPv6', async (t) => {
  const host = new Host();
  host.receive(segment6(), solicitation(PEER6, OWN6));
  t.same([host.transport.segments, host.stats.LinkInUnknownTypes, host.flush()], [[], 2, []]);
});

t.test('a coalesced IPv6 frame passes whole, its checksum not looked at where the device says so', async (t) => {
  const host = host6({ capabilities: { rxCoalescing: true } });
  const frame = segment6(65535 - 60);
  host.device.waiting.push({ bytes: frame.slice(), flags: 0, segmentSize: 1428 });
  put16(frame, UPPER + 16, 0xbad);
  host.device.waiting.push({ bytes: frame, flags: RX_CHECKSUM_VALID, segmentSize: 1428 }, { bytes: frame, flags: 0, segmentSize: 0 });
  host.ip.receive(10);
  t.same(host.transport.segments.map(({ bytes, segmentSize }) => [bytes.length, segmentSize]), [[65495, 1428], [65495, 1428]]);
  t.match(counted(host), { TcpInErrs: 1, TcpInCsumErrors: 1 });
});

t.test('RFC 8200 3: headers that are broken', async (t) => {
  const cases: [string, Uint8Array, Partial<IpStats>][] = [
    ['version 4', segment6().fill(0x45, IP, IP + 1), { Ip6InHdrErrors: 1 }],
    ['no whole header', segment6().subarray(0, IP + 39), { Ip6InTruncatedPkts: 1 }],
    ['longer than the frame', segment6(9).subarray(0, -1), { Ip6InTruncatedPkts: 1 }],
    ['no room for a TCP header', packet6(6, new Uint8Array(19)), { Ip6InDelivers: 1, TcpInErrs: 1 }],
    ['TCP checksum', segment6().fill(1, UPPER + 14, UPPER + 15), { Ip6InDelivers: 1, TcpInErrs: 1, TcpInCsumErrors: 1 }],
    ['checksum 0 is no sign of its absence', packet6(6, tcp6().fill(0, 16, 18)), { Ip6InDelivers: 1, TcpInErrs: 1, TcpInCsumErrors: 1 }],
  ];
  for (const [name, frame, stats] of cases) {
    const host = host6();
    t.same(host.receive(frame), [], name);
    t.same(host.transport.segments, [], name);
    t.same(counted(host), { Ip6InReceives: 1, ...stats }, name);
  }
});

t.test('RFC 4291 2.7, RFC 4942 2.2: sources that cannot be, and destinations that are not this host', async (t) => {
  for (const from of ['ff02::1', '::1', '::', OWN6, '::7', '::192.0.2.1', '::ffff:192.0.2.1']) {
    const host = host6({ loopback: true });
    host.receive(segment6(0, { from }));
    t.same(counted(host), { Ip6InReceives: 1, Ip6InAddrErrors: 1 }, `from ${from}`);
    t.same(host.transport.segments, []);
  }
  for (const to of [PEER6, FAR6, '::1', '::', '::ffff:198.18.0.1', '2001:db8::']) {
    const host = host6({ loopback: true });
    host.receive(segment6(0, { to }));
    t.same(counted(host), { Ip6InReceives: 1, Ip6InAddrErrors: 1 }, `to ${to}`);
  }
  for (const [to, stats] of [[ALL_NODES6, { Ip6InDiscards: 1 }], ['ff02::2', { Ip6InAddrErrors: 1 }], ['ff0e::1', { Ip6InAddrErrors: 1 }]] as const) {
    const host = host6();
    t.same(host.receive(segment6(0, { to })), []);
    t.same(counted(host), { Ip6InReceives: 1, Ip6InMcastPkts: 1, ...stats }, `to ${to}`);
  }
  const host = host6();
  host.receive(ethernet(TYPE_IPV6, segment6().slice(IP), ALL_MAC), ethernet(TYPE_IPV6, segment6().slice(IP), OTHER_MAC));
  t.same(counted(host), { Ip6InReceives: 1, Ip6InDiscards: 1, LinkInOtherHost: 1 }, 'sent to many stations, or to another');
});

t.test('the loopback carries ::1 and own addresses, and nothing else', async (t) => {
  const host = host6({ loopback: true });
  const take = (from: string, to: string): number => {
    host.loopback.waiting.push({ bytes: segment6(0, { from, to }).subarray(IP), flags: 0, segmentSize: 0 });
    host.ip.receive(10);
    return host.transport.segments.splice(0).length;
  };
  t.same([take('::1', '::1'), take(OWN6, OWN6), take('::1', OWN6), take(PEER6, '::1'), take('::1', PEER6)], [1, 1, 1, 0, 0]);
});

t.test('RFC 8200 4: extension headers are passed over where they ask for nothing', async (t) => {
  const chains: [string, number, Uint8Array][] = [
    ['hop-by-hop with padding', 0, joined(options(6, 1, 4), tcp6(3))],
    ['hop-by-hop with a router alert', 0, joined(options(6, 5, 2, 0, 0), tcp6(3))],
    ['destination options, one by one', 60, joined(options(6, 0, 0, 0, 0, 0, 0), tcp6(3))],
    ['an unknown option that may be skipped', 60, joined(options(6, 0x1e, 2, 9, 9), tcp6(3))],
    ['a routing header with no segments left, of type 0', 43, joined(options(6, 0, 0), tcp6(3))],
    ['a routing header with no segments left, of type 4', 43, joined(options(6, 4, 0), tcp6(3))],
    ['several', 0, joined(options(60, 1, 4), options(43, 1, 4), options(60, 2, 0), options(6, 1, 4), tcp6(3))],
  ];
  for (const [name, next, content] of chains) {
    const host = ready6();
    t.same(host.receive(packet6(next, content)), [], name);
    t.same(host.transport.segments.map(({ bytes }) => bytes.length), [23], name);
  }
});

t.test('RFC 8200 4, RFC 4443 3.4: what is wrong with extension headers is told to the sender', async (t) => {
  const cases: [string, number, Uint8Array, code: number, pointer: number][] = [
    ['an unknown next header', 99, new Uint8Array(8), 1, 6],
    ['an unknown one behind options', 60, joined(options(51, 1, 4), new Uint8Array(16)), 1, 40],
    ['hop-by-hop in the wrong place', 60, joined(options(0, 1, 4), options(6, 1, 4), tcp6()), 1, 40],
    ['an option of kind 10', 60, joined(options(6, 0x80, 0, 1, 2), tcp6()), 2, 42],
    ['an option of kind 11', 0, joined(options(6, 0, 0xc2, 1, 0), tcp6()), 2, 43],
    ['an option that runs over its header', 60, joined(options(6, 1, 9), tcp6()), 0, 42],
    ['a routing header of type 0 with a segment left (RFC 5095 3)', 43, joined(options(6, 0, 1), tcp6()), 0, 42],
    ['a routing header of an unknown type with segments left', 43, joined(options(6, 77, 3), tcp6()), 0, 42],
  ];
  for (const [name, next, content, code, pointer] of cases) {
    const host = ready6();
    const [sent] = host.receive(packet6(next, content));
    t.ok(isIntact6(sent!.bytes), name);
    t.same([...sent!.bytes.subarray(UPPER, UPPER + 2), icmp6Parameter(sent!.bytes, UPPER)], [4, code, pointer], name);
    t.same(Buffer.from(sent!.bytes.subarray(UPPER + 8)), Buffer.from(packet6(next, content).subarray(IP)), 'with the packet itself');
    t.same(host.transport.segments, []);
    t.match(host.stats, { Icmp6OutParmProblems: 1, Ip6InHdrErrors: next === 99 || name.includes('behind') ? 0 : 1 });
  }
});

t.test('RFC 8200 4.2: what is dropped without a word', async (t) => {
  const cases: [string, number, Uint8Array, Partial<IpStats>, string?][] = [
    ['an option of kind 01', 60, joined(options(6, 0x40, 0, 1, 2), tcp6()), { Ip6InDiscards: 1 }],
    ['an option of kind 11 to a group', 60, joined(options(58, 0xc0, 0, 1, 2), new Uint8Array(8)), { Ip6InDiscards: 1 }, ALL_NODES6],
    ['more headers than anyone needs', 60, joined(...Array.from({ length: 9 }, () => options(60, 1, 4)), tcp6()), { Ip6InDiscards: 1 }],
    ['no header at all', 59, new Uint8Array(8), { Ip6InDelivers: 1 }],
    ['a header that runs over the end', 60, Uint8Array.of(6, 3, 1, 4, 0, 0, 0, 0), { Ip6InTruncatedPkts: 1 }],
    ['half a header', 60, Uint8Array.of(6, 0, 1), { Ip6InTruncatedPkts: 1 }],
  ];
  for (const [name, next, content, stats, to = OWN6] of cases) {
    const host = ready6();
    const before = { ...host.stats };
    t.same(host.receive(packet6(next, content, { to })), [], name);
    t.match(host.stats, Object.fromEntries(Object.entries(stats).map(([key, n]) => [key, n + before[key as keyof IpStats]])), name);
  }
  const host = ready6();
  const [sent] = host.receive(packet6(60, joined(options(58, 0x80, 0, 1, 2), new Uint8Array(8).fill(128, 0, 1)), { to: ALL_NODES6 }));
  t.same([...sent!.bytes.subarray(UPPER, UPPER + 2)], [4, 2], 'RFC 4443 2.4 (e.3): of kind 10 even a group is answered');
});

t.test('RFC 4443 4.2: an echo request is answered with what it holds, one to a group as well', async (t) => {
  const host = ready6();
  const data = Uint8Array.from({ length: 77 }, (_, i) => i);
  const [reply] = host.receive(packet6(58, icmp6(128, 0, 0x12340001, data), { trafficClass: 0xb9 }));
  t.same(told6([reply!]), [`packet for ${PEER6}, to 2`]);
  t.same([ipv6TrafficClass(reply!.bytes, IP), ipv6HopLimit(reply!.bytes, IP)], [0xb8, 64]);
  t.same(Buffer.from(reply!.bytes.subarray(UPPER)), Buffer.from(icmp6(129, 0, 0x12340001, data, OWN6, PEER6)));
  const [other] = host.receive(packet6(58, icmp6(128, 0, 1, data, PEER6, ALL_NODES6), { to: ALL_NODES6 }));
  t.same(Buffer.from(other!.bytes.subarray(UPPER)), Buffer.from(icmp6(129, 0, 1, data, OWN6, PEER6)), 'from an own address');
  t.match(counted(host), { Icmp6InEchos: 2, Icmp6OutEchoReplies: 2 });
  const none = (frame: Uint8Array, name: string): void => { t.same(host.receive(frame), [], name); };
  none(packet6(58, icmp6(128, 0, 1, data).fill(1, 2, 3)), 'wrong checksum');
  none(packet6(58, icmp6(128, 0, 1, new Uint8Array(1453))), 'larger than the MTU');
  none(packet6(58, new Uint8Array(3)), 'no whole header');
  none(packet6(58, icmp6(129, 0, 1, data)), 'an answer');
  none(packet6(58, icmp6(134, 0, 1, data)), 'a router');
  none(packet6(58, icmp6(137, 0, 1, data)), 'a redirect');
  t.match(counted(host), { Icmp6InErrors: 2, Icmp6InCsumErrors: 1, Icmp6InRedirects: 1, Icmp6InRouterAdvertisements: 1 });
  host.now += 1e6;
  const many = Array.from({ length: 300 }, () => packet6(58, icmp6(128, 0, 1, data)));
  t.equal(host.receive(...many).length, 200, 'so many at once');
  t.equal(host.stats.Icmp6OutRateLimitHost, 100);
});

t.test('RFC 4443 2.4: errors are limited in size and number, and never answer errors or groups', async (t) => {
  const host = ready6();
  const [sent] = host.receive(packet6(17, new Uint8Array(1400)));
  t.equal(sent!.bytes.length, IP + 1280, 'no more than every link carries');
  t.ok(isIntact6(sent!.bytes));
  t.same([...sent!.bytes.subarray(UPPER, UPPER + 2)], [1, 4], 'port unreachable');
  const none = (frame: Uint8Array, name: string): void => { t.same(host.receive(frame), [], name); };
  none(packet6(17, new Uint8Array(20), { to: ALL_NODES6 }), 'to a group');
  none(packet6(17, new Uint8Array(20), { from: '::', to: ALL_NODES6 }), 'from nobody');
  none(packet6(60, joined(options(58, 0x80, 0, 1, 2), icmp6(1, 0, 0, new Uint8Array(40)))), 'an error behind a bad option');
  none(packet6(60, joined(options(58, 0x80, 0, 1, 2), icmp6(137, 0, 0, new Uint8Array(40)))), 'a redirect behind one');
  none(packet6(60, options(58, 0x80, 0, 1, 2)), 'who knows what');
  t.equal(host.receive(packet6(60, joined(options(58, 0x80, 0, 1, 2), icmp6(128, 0, 0, new Uint8Array(40))))).length, 1, 'but a request');
  host.now += 1e6;
  const many = Array.from({ length: 70 }, () => packet6(17, new Uint8Array(8)));
  t.equal(host.receive(...many).length, 50);
  t.equal(host.stats.Icmp6OutRateLimitHost, 20);
});

/** An error about a segment of this host's. */
function errorAbout(type: number, code: number, parameter: number, quoted = segment6(8, { from: OWN6, to: PEER6 }).slice(IP)): Uint8Array {
  return packet6(58, icmp6(type, code, parameter, quoted));
}

t.test('RFC 4443 2.4 (d), RFC 1122 4.2.3.9: errors about segments reach the transport', async (t) => {
  const cases: [number, number, number, boolean][] = [
    [1, 0, ENETUNREACH, false], [1, 1, EACCES, false], [1, 3, EHOSTUNREACH, false], [1, 4, ECONNREFUSED, true],
    [3, 0, EHOSTUNREACH, false], [4, 0, EHOSTUNREACH, false], [4, 1, ECONNREFUSED, true],
  ];
  for (const [type, code, errno, hard] of cases) {
    const host = host6();
    host.receive(errorAbout(type, code, 0));
    t.same(host.transport.errors, [{ local: OWN6, remote: PEER6, localPort: 2222, remotePort: 1111, sequence: 5, errno, hard, mtu: 0 }]);
  }
  const host = host6();
  host.receive(
    errorAbout(1, 0, 0, segment6(0, { from: PEER6, to: OWN6 }).slice(IP)), errorAbout(1, 0, 0, new Uint8Array(60)),
    errorAbout(1, 0, 0, packet6(17, new Uint8Array(20), { from: OWN6, to: PEER6 }).slice(IP)),
    errorAbout(1, 0, 0, segment6(0, { from: OWN6, to: PEER6 }).slice(IP, IP + 47)), errorAbout(1, 0, 0, new Uint8Array(12)),
  );
  t.same(host.transport.errors, [], 'not about segments of this host');
  t.equal(host.stats.Icmp6InErrors, 2);
});

t.test('RFC 4443 3.2, RFC 8201 4: a smaller path MTU is kept where the transport believes it, for ten minutes, and never below 1280', async (t) => {
  const host = host6();
  const words = wordsOf(PEER6);
  host.receive(errorAbout(2, 0, 1400));
  t.match(host.transport.errors, [{ errno: 0, mtu: 1400, sequence: 5 }]);
  t.equal(host.ip.mtu(words, 0), 1400);
  host.receive(errorAbout(2, 0, 1450));
  t.equal(host.ip.mtu(words, 0), 1400, 'it does not grow');
  host.receive(errorAbout(2, 0, 1279), errorAbout(2, 0, 68), errorAbout(2, 0, 0), errorAbout(2, 0, 0xffffffff));
  t.equal(host.ip.mtu(words, 0), 1400, 'no link carries less than 1280');
  host.receive(errorAbout(2, 0, 1280));
  t.equal(host.ip.mtu(words, 0), 1280);
  t.equal(host.ip.mtu(wordsOf('2001:db8::3'), 0), 1500, 'of this destination only');
  host.wait(600);
  t.equal(host.ip.mtu(words, 0), 1500);
  host.transport.inFlight = false;
  host.receive(errorAbout(2, 0, 1300));
  t.equal(host.ip.mtu(words, 0), 1500, 'RFC 5927 4.1: about nothing in flight');
});

t.test('IPv6 frames of random bytes, and good ones changed at random, never throw', async (t) => {
  const random = randomOf(20);
  const host = ready6({ loopback: true });
  const good = [
    segment6(30), solicitation(PEER6, OWN6), advertisement(PEER6), packet6(58, icmp6(128, 0, 1, new Uint8Array(30))), errorAbout(2, 0, 1300),
    packet6(0, joined(options(60, 5, 2, 0, 0), options(43, 1, 4), options(44, 1, 0), Uint8Array.of(6, 0, 0, 1, 0, 0, 0, 9), tcp6(4))),
    packet6(44, joined(Uint8Array.of(6, 0, 0, 8, 0, 0, 0, 1), tcp6(12))),
  ];
  for (let round = 0; round < 20000; round++) {
    let frame = Uint8Array.from({ length: random() % 120 }, () => random() & 255);
    if (round % 4 !== 0) {
      frame = good[random() % good.length]!.slice();
      for (let i = random() % 4; i > 0; i--) frame[IP + (random() % (frame.length - IP))] = random() & 255;
      frame = frame.subarray(0, random() % 8 === 0 ? random() % frame.length : frame.length);
    } else if (frame.length > IP) {
      frame.set([...OWN_MAC, ...PEER_MAC, 0x86, 0xdd, 0x60]);
    }
    host.now += 100;
    host.receive(frame);
    if (round % 64 === 0) host.wait(0.1);
  }
  const before: Sent[] = host.receive(solicitation(PEER6, OWN6));
  t.equal(before.length, 1, 'it still answers');
  host.wait(100);
  t.equal(host.pollAt(), Infinity, 'and nothing is left');
});

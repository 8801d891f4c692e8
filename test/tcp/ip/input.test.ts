import t from 'tap';
import { RX_CHECKSUM_VALID } from '../../../lib/nic/device.js';
import { ECONNREFUSED, EHOSTUNREACH, ENETUNREACH } from '../../../lib/tcp/errno.js';
import type { IpStats } from '../../../lib/tcp/ip/stats.js';
import { parseDotted } from '../../../lib/tcp/wire/address.js';
import { put16, put32 } from '../../../lib/tcp/wire/bytes.js';
import { TYPE_ARP, TYPE_IPV4, TYPE_IPV6 } from '../../../lib/tcp/wire/ethernet.js';
import { checkIcmp, emitIcmp, finishIcmp } from '../../../lib/tcp/wire/icmp.js';
import { checkIPv4, emitIPv4, ipv4Destination, ipv4Source } from '../../../lib/tcp/wire/ipv4.js';
import { emitTcp } from '../../../lib/tcp/wire/tcp.js';
import { randomOf } from '../../support/random.js';
import { ALL_MAC, FAR, FakeRest, Host, OTHER_MAC, OWN, PEER, PEER_MAC, arp, ethernet, packet, segment, wordsOf } from './network.js';
import { packet6, ready6, segment6, tcp6 } from './network6.js';

const IP = 14;

/** The counters that are not 0. */
function counted(host: Host): Partial<IpStats> {
  return Object.fromEntries(Object.entries(host.stats).filter(([name, count]) => count !== 0 && !name.endsWith('Octets')));
}

/** Writes a changed IPv4 header's checksum anew. */
function mend(frame: Uint8Array): Uint8Array {
  const length = (frame[IP]! & 15) * 4;
  put16(frame, IP + 10, 0);
  let sum = 0;
  for (let i = 0; i < length; i += 2) sum += frame[IP + i]! * 256 + frame[IP + i + 1]!;
  put16(frame, IP + 10, ~((sum & 0xffff) + (sum >>> 16)));
  return frame;
}

t.test('a segment arrives with its addresses, its bytes and its ECN field', async (t) => {
  const host = new Host();
  host.receive(segment(11, PEER, OWN, 0xb8 | 3));
  t.equal(host.transport.segments.length, 1);
  const [seen] = host.transport.segments;
  t.match(seen, { from: PEER, to: OWN, ecn: 3, segmentSize: 0, interfaceIndex: 0 });
  t.same(Buffer.from(seen!.bytes), Buffer.from(segment(11).subarray(34)).fill(seen!.bytes[16]!, 16, 17).fill(seen!.bytes[17]!, 17, 18));
  t.same(counted(host), { IpInReceives: 1, IpInDelivers: 1 });
});

t.test('padding behind a packet is no payload', async (t) => {
  const host = new Host();
  host.receive(Uint8Array.from([...segment(0), ...new Uint8Array(6).fill(0xff)]));
  t.equal(host.transport.segments[0]!.bytes.length, 20);
});

t.test('a coalesced frame of 64 KB passes whole, its checksum not looked at where the device says so', async (t) => {
  const host = new Host({ rxCoalescing: true });
  const frame = segment(65535 - 40);
  host.device.waiting.push({ bytes: frame, flags: 0, segmentSize: 1448 });
  put16(frame, IP + 20 + 16, 0xbad);
  host.device.waiting.push({ bytes: frame, flags: RX_CHECKSUM_VALID, segmentSize: 1448 });
  host.ip.receive(10);
  t.equal(host.transport.segments.length, 1, 'the one whose checksum is known to be good');
  t.match(host.transport.segments[0], { segmentSize: 1448 });
  t.equal(host.transport.segments[0]!.bytes.length, 65515);
  t.match(counted(host), { TcpInErrs: 1, TcpInCsumErrors: 1 });
});

t.test('of a long frame the payload of TCP is left to TCP, and anything else is brought at once', async (t) => {
  const host = ready6({ capabilities: { rxCoalescing: true } });
  const receive = (bytes: Uint8Array, { present = 2000, flags = RX_CHECKSUM_VALID, lost = false } = {}): FakeRest => {
    const rest = new FakeRest(present, lost);
    host.transport.segments.length = 0;
    host.device.waiting.push({ bytes, flags, segmentSize: 1448, rest });
    host.ip.receive(1);
    return rest;
  };
  for (const [frame, length] of [[segment(30_000), 30_020], [segment6(30_000), 30_020]] as const) {
    const rest = receive(frame);
    t.notOk(rest.brought);
    t.equal(host.transport.segments[0]!.rest, rest);
    t.equal(host.transport.segments[0]!.bytes.length, length);
    t.same(host.transport.segments[0]!.bytes.subarray(0, 16), frame.slice(frame.length - length).subarray(0, 16));
    t.ok(receive(frame, { flags: 0 }).brought, 'its checksum is to be looked at');
    t.match(host.transport.segments, [{ rest: null }]);
    t.ok(receive(frame, { present: 200 }).brought, 'too little of it is there');
    t.match(host.transport.segments, [{ rest: null }]);
    t.ok(receive(frame, { flags: 0, lost: true }).brought);
    t.same(host.transport.segments, []);
  }
  host.receive(segment(5));
  t.match(host.transport.segments, [{ rest: null }], 'the next frame is another one');
  const fragment = segment(30_000);
  fragment[IP + 6] = 0x20;
  const extended = packet6(60, Uint8Array.from([6, 0, 1, 4, 0, 0, 0, 0, ...tcp6(3000)]));
  for (const frame of [mend(fragment), ethernet(TYPE_IPV4, packet(17, new Uint8Array(3000))), extended]) t.ok(receive(frame).brought);
  t.match(host.transport.segments, [{ rest: null }], 'TCP behind an extension header');
});

t.test('frames that are not for this station, or not of a type that it knows', async (t) => {
  const host = new Host();
  host.receive(new Uint8Array(0), new Uint8Array(13), segment().fill(9, 5, 6), ethernet(TYPE_IPV6, new Uint8Array(40)));
  t.same(counted(host), { LinkInTruncated: 2, LinkInOtherHost: 1, LinkInUnknownTypes: 1 });
  t.same(host.transport.segments, []);
});

t.test('RFC 1122 3.2.1: packets that are broken', async (t) => {
  const cases: [string, (frame: Uint8Array) => Uint8Array, Partial<IpStats>][] = [
    ['version 6', (frame) => mend(frame.fill(0x65, IP, IP + 1)), { IpInHdrErrors: 1 }],
    ['header of 4 words', (frame) => mend(frame.fill(0x44, IP, IP + 1)), { IpInHdrErrors: 1 }],
    ['header longer than the packet', (frame) => frame.fill(0x4f, IP, IP + 1), { IpInHdrErrors: 1 }],
    ['checksum', (frame) => frame.fill(1, IP + 10, IP + 11), { IpInHdrErrors: 1, IpExtInCsumErrors: 1 }],
    ['total length beyond the frame', (frame) => (put16(frame, IP + 2, 42), mend(frame)), { IpInHdrErrors: 1, IpExtInTruncatedPkts: 1 }],
    ['total length of 0', (frame) => (put16(frame, IP + 2, 0), mend(frame)), { IpInHdrErrors: 1 }],
    ['no room for a TCP header', (frame) => (put16(frame, IP + 2, 39), mend(frame)), { IpInDelivers: 1, TcpInErrs: 1 }],
    ['no payload at all', (frame) => (put16(frame, IP + 2, 20), mend(frame)), { IpInDelivers: 1, TcpInErrs: 1 }],
    ['TCP checksum', (frame) => frame.fill(1, IP + 36, IP + 37), { IpInDelivers: 1, TcpInErrs: 1, TcpInCsumErrors: 1 }],
    ['TCP data offset', (frame) => frame.fill(0x40, IP + 32, IP + 33), { IpInDelivers: 1, TcpInErrs: 1 }],
  ];
  for (const [name, change, stats] of cases) {
    const host = new Host();
    const sent = host.receive(change(segment()));
    t.same(counted(host), { IpInReceives: 1, ...stats }, name);
    t.same([sent, host.transport.segments], [[], []], name);
  }
});

t.test('RFC 1122 3.2.1.8: options are passed over, source routes refused', async (t) => {
  const host = new Host();
  const withOptions = (options: number[]): Uint8Array => {
    const plain = segment(5);
    const frame = Uint8Array.from([...plain.subarray(0, IP + 20), ...options, ...plain.subarray(IP + 20)]);
    frame[IP] = 0x40 | (5 + options.length / 4);
    put16(frame, IP + 2, frame.length - IP);
    return mend(frame);
  };
  host.receive(withOptions([148, 4, 0, 0]), withOptions([131, 3, 4, 0]));
  t.equal(host.transport.segments.length, 1);
  t.equal(host.transport.segments[0]!.bytes.length, 25);
  t.same(counted(host), { IpInReceives: 2, IpInDelivers: 1, IpInDiscards: 1 });
});

t.test('RFC 1122 3.2.1.3: sources that cannot be, and destinations that are not this host', async (t) => {
  for (const source of ['0.0.0.0', '0.1.2.3', '127.0.0.1', '224.0.0.1', '240.0.0.1', '255.255.255.255', '198.18.0.255', OWN]) {
    const host = new Host();
    host.receive(segment(0, source));
    t.same(counted(host), { IpInReceives: 1, IpInAddrErrors: 1, IpExtInMartians: 1 }, `from ${source}`);
  }
  for (const destination of ['198.18.0.3', '198.18.0.255', '255.255.255.255', '224.0.0.1', '127.0.0.1', FAR]) {
    const host = new Host({}, { loopback: true });
    const sent = host.receive(segment(0, PEER, destination));
    t.same(counted(host), { IpInReceives: 1, IpInAddrErrors: 1 }, `to ${destination}`);
    t.same([sent, host.transport.segments], [[], []], 'and nothing is said');
  }
  const host = new Host();
  const frame = segment();
  frame.set(ALL_MAC, 0);
  host.receive(frame);
  t.same(counted(host), { IpInReceives: 1, IpInDiscards: 1 }, 'RFC 1122 3.3.6: by a broadcast of the link');
});

t.test('the loopback carries own addresses and nothing else', async (t) => {
  const host = new Host({}, { loopback: true });
  const deliver = (from: string, to: string): void => {
    host.loopback.waiting.push({ bytes: segment(0, from, to).subarray(IP), flags: 0, segmentSize: 0 });
    host.ip.receive(10);
  };
  deliver('127.0.0.1', '127.0.0.9');
  deliver(OWN, OWN);
  t.match(host.transport.segments, [{ from: '127.0.0.1', to: '127.0.0.9', interfaceIndex: 1 }, { from: OWN, to: OWN }]);
  deliver(PEER, OWN);
  t.equal(host.transport.segments.length, 2);
  t.equal(host.stats.IpExtInMartians, 1);
});

/** An ICMP message with its checksum. */
function icmp(type: number, code: number, rest: number, content: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(8 + content.length);
  emitIcmp(bytes, 0, type, code);
  put32(bytes, 4, rest);
  bytes.set(content, 8);
  finishIcmp(bytes, 0, bytes.length);
  return bytes;
}

t.test('RFC 1122 3.2.2.6: an echo request is answered with what it holds', async (t) => {
  const host = new Host();
  host.receive(arp(1, PEER, PEER_MAC, OWN));
  const data = Uint8Array.from({ length: 57 }, (_, i) => i);
  const [reply] = host.receive(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 0x12340001, data), PEER, OWN, 0xb8)));
  t.same(Buffer.from(reply!.bytes.subarray(0, 6)), Buffer.from(PEER_MAC));
  t.equal(checkIPv4(reply!.bytes, IP, reply!.bytes.length - IP), 0);
  t.equal(reply!.bytes[IP + 1], 0xb8, 'the type of service');
  t.same([ipv4Source(reply!.bytes, IP), ipv4Destination(reply!.bytes, IP)], [parseDotted(OWN), parseDotted(PEER)]);
  t.same(Buffer.from(reply!.bytes.subarray(IP + 20)), Buffer.from(icmp(0, 0, 0x12340001, data)));
  t.match(counted(host), { IcmpInMsgs: 1, IcmpInEchos: 1, IcmpOutMsgs: 1, IcmpOutEchoReps: 1 });
  const [empty] = host.receive(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 0, new Uint8Array(6)))));
  t.same(Buffer.from(empty!.bytes.subarray(IP + 20)), Buffer.from(icmp(0, 0, 0, new Uint8Array(6))), 'a checksum over nothing but zeros');
});

t.test('echo requests that are not answered', async (t) => {
  const host = new Host();
  host.receive(arp(1, PEER, PEER_MAC, OWN));
  const none = (frame: Uint8Array, name: string): void => { t.same(host.receive(frame), [], name); };
  none(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 1, new Uint8Array(9)).fill(1, 2, 3))), 'wrong checksum');
  none(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 1, new Uint8Array(1473)))), 'larger than the MTU');
  none(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 1, new Uint8Array(9)), PEER, '198.18.0.255'), ALL_MAC), 'to a broadcast');
  none(ethernet(TYPE_IPV4, packet(1, new Uint8Array(7))), 'no whole header');
  none(ethernet(TYPE_IPV4, packet(1, icmp(0, 0, 1, new Uint8Array(9)))), 'an answer');
  none(ethernet(TYPE_IPV4, packet(1, icmp(5, 0, 1, new Uint8Array(28)))), 'a redirect');
  t.match(counted(host), { IcmpInErrors: 2, IcmpInCsumErrors: 1, IcmpInRedirects: 1 });
  t.equal(host.receive(ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 1, new Uint8Array(1472))))).length, 1, 'as large as the MTU');
  host.now += 1e6;
  const many = Array.from({ length: 300 }, () => ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 1, new Uint8Array(9)))));
  t.equal(host.receive(...many).length, 200, 'so many at once');
  t.equal(host.stats.IcmpOutRateLimitHost, 100);
  host.now += 0.1e6;
  t.equal(host.receive(...many).length, 100, 'and so many after a tenth of a second');
});

t.test('RFC 1122 3.2.2.1: what nothing here takes is answered with an error, but never an error', async (t) => {
  const host = new Host();
  host.receive(arp(1, PEER, PEER_MAC, OWN));
  const udp = packet(17, new Uint8Array(30).fill(7));
  const [answer] = host.receive(ethernet(TYPE_IPV4, udp));
  t.equal(checkIcmp(answer!.bytes, IP + 20, answer!.bytes.length - IP - 20), 0);
  t.same([...answer!.bytes.subarray(IP + 20, IP + 22)], [3, 3], 'port unreachable');
  t.same(Buffer.from(answer!.bytes.subarray(IP + 28)), Buffer.from(udp.subarray(0, 28)), 'header and eight bytes');
  const [other] = host.receive(ethernet(TYPE_IPV4, packet(132, new Uint8Array(3))));
  t.same([...other!.bytes.subarray(IP + 20, IP + 22)], [3, 2], 'protocol unreachable');
  t.equal(other!.bytes.length, IP + 28 + 23);
  t.same(host.receive(ethernet(TYPE_IPV4, packet(17, new Uint8Array(30), PEER, '198.18.0.255'), ALL_MAC)), []);
  t.same(host.receive(ethernet(TYPE_IPV4, packet(1, icmp(200, 0, 0, udp)))), []);
  host.now += 10e6;
  const many = Array.from({ length: 70 }, () => ethernet(TYPE_IPV4, udp));
  t.equal(host.receive(...many).length, 50, 'so many at once');
  t.match(counted(host), { IpInUnknownProtos: 72, IcmpOutDestUnreachs: 52, IcmpOutRateLimitHost: 20 });
});

/** The first bytes of a segment that the host sent to `to`. */
function quoted(to = FAR, from = OWN, total = 1500): Uint8Array {
  const bytes = new Uint8Array(28);
  emitIPv4(bytes, 0, 0, total, 0, 0x4000, 60, 6, parseDotted(from), parseDotted(to));
  const tcp = new Uint8Array(20);
  emitTcp(tcp, 0, 1111, 2222, 0x89abcdef | 0, 0, 16, 0, 20);
  bytes.set(tcp.subarray(0, 8), 20);
  return bytes;
}

t.test('RFC 1122 4.2.3.9: errors about segments reach the transport', async (t) => {
  const cases: [type: number, code: number, errno: number, hard: boolean][] = [
    [3, 0, ENETUNREACH, false], [3, 1, EHOSTUNREACH, false], [3, 2, ECONNREFUSED, true], [3, 3, ECONNREFUSED, true],
    [3, 5, EHOSTUNREACH, false], [3, 6, ENETUNREACH, false], [3, 13, EHOSTUNREACH, false], [11, 0, EHOSTUNREACH, false],
    [12, 0, EHOSTUNREACH, false],
  ];
  for (const [type, code, errno, hard] of cases) {
    const host = new Host();
    host.receive(ethernet(TYPE_IPV4, packet(1, icmp(type, code, 0, quoted()), '192.0.2.1')));
    t.same(host.transport.errors, [
      { local: OWN, remote: FAR, localPort: 1111, remotePort: 2222, sequence: 0x89abcdef | 0, errno, hard, mtu: 0 },
    ], `type ${type} code ${code}`);
  }
});

t.test('errors that are about nothing of this host', async (t) => {
  const host = new Host();
  const error = (content: Uint8Array): void => { host.receive(ethernet(TYPE_IPV4, packet(1, icmp(3, 3, 0, content)))); };
  for (let length = 0; length < 28; length++) error(quoted().subarray(0, length));
  t.equal(host.stats.IcmpInErrors, 28, 'cut at every length');
  error(quoted(FAR, PEER));
  error(quoted().fill(17, 9, 10));
  error(quoted().fill(1, 7, 8));
  error(quoted().fill(0x65, 0, 1));
  t.same(host.transport.errors, [], 'from another host, of another protocol, a later fragment, another version');
});

t.test('RFC 1191 3, 7.1: a smaller path MTU is kept where the transport believes it, for ten minutes', async (t) => {
  const host = new Host();
  const words = wordsOf(FAR, PEER);
  const tooBig = (mtu: number, total = 1500): void => {
    host.receive(ethernet(TYPE_IPV4, packet(1, icmp(3, 4, mtu, quoted(FAR, OWN, total)), '192.0.2.1')));
  };
  host.transport.inFlight = false;
  tooBig(1400);
  t.match(host.transport.errors, [{ errno: 0, hard: false, mtu: 1400 }]);
  t.equal(host.ip.mtu(words, 0), 1500, 'RFC 5927: about no segment in flight');
  host.transport.inFlight = true;
  tooBig(1400);
  t.equal(host.ip.mtu(words, 0), 1400);
  t.equal(host.ip.mtu(words, 4), 1500, 'others are not concerned');
  tooBig(1450);
  t.equal(host.ip.mtu(words, 0), 1400, 'it does not grow');
  tooBig(0, 1400);
  t.equal(host.ip.mtu(words, 0), 1006, 'RFC 1191 7.1: the next plateau where the router tells none');
  host.receive(arp(2, '198.18.0.254', PEER_MAC, OWN));
  host.now += 599e6;
  host.ip.advance();
  t.equal(host.ip.mtu(words, 0), 1006);
  host.now += 2e6;
  host.ip.advance();
  t.equal(host.ip.mtu(words, 0), 1500, 'forgotten');
});

t.test('RFC 6864 4.1: a tiny path MTU is not followed: packets may be cut on that way instead', async (t) => {
  const host = new Host();
  host.receive(ethernet(TYPE_IPV4, packet(1, icmp(3, 4, 68, quoted(FAR)), '192.0.2.1')));
  t.equal(host.ip.mtu(wordsOf(FAR), 0), 552);
  t.match(host.transport.errors, [{ mtu: 552 }]);
  host.receive(arp(1, '198.18.0.254', PEER_MAC, OWN));
  host.send(FAR);
  host.send(FAR);
  host.send(PEER);
  const [first, second] = host.flush();
  t.equal(first!.bytes[IP + 6], 0, 'no "don\'t fragment"');
  t.not(first!.bytes[IP + 5], second!.bytes[IP + 5], 'RFC 6864 4.1: an identification of their own');
});

t.test('the table of path MTUs is bounded', async (t) => {
  const host = new Host();
  for (let i = 0; i < 2000; i++) {
    const far = `203.0.${i >> 8}.${i & 255}`;
    host.receive(ethernet(TYPE_IPV4, packet(1, icmp(3, 4, 1000, quoted(far)), '192.0.2.1')));
    if (host.ip.mtu(wordsOf(far), 0) !== 1000) t.fail(far);
  }
  let kept = 0;
  for (let i = 0; i < 2000; i++) if (host.ip.mtu(wordsOf(`203.0.${i >> 8}.${i & 255}`), 0) === 1000) kept++;
  t.ok(kept <= 256 && kept > 128, `${kept} are kept`);
});

t.test('frames of random bytes, and good ones changed at random, never throw', async (t) => {
  const random = randomOf(9);
  const host = new Host({}, { loopback: true });
  const good = [
    segment(100), arp(1, PEER, PEER_MAC, OWN), arp(2, PEER, OTHER_MAC, OWN), ethernet(TYPE_IPV4, packet(1, icmp(8, 0, 0, new Uint8Array(30)))),
    ethernet(TYPE_IPV4, packet(1, icmp(3, 4, 1300, quoted()))), ethernet(TYPE_IPV4, packet(17, new Uint8Array(20))),
  ];
  for (let round = 0; round < 30000; round++) {
    host.now += 1000;
    let frame: Uint8Array;
    if (round % 3 === 0) {
      frame = Uint8Array.from({ length: random() % 100 }, () => random() & 255);
      if (frame.length > IP) frame.set(segment().subarray(0, random() % IP), 0);
      if (frame.length > IP && random() & 1) put16(frame, 12, random() & 1 ? TYPE_IPV4 : TYPE_ARP);
    } else {
      frame = Uint8Array.from(good[random() % good.length]!);
      for (let i = random() % 4; i >= 0; i--) frame[random() % frame.length] = random() & 255;
      frame = frame.subarray(0, random() % 4 === 0 ? random() % frame.length : frame.length);
      if (random() & 1 && frame.length >= IP + 60) mend(frame);
    }
    host.device.waiting.push({ bytes: frame, flags: random() & RX_CHECKSUM_VALID, segmentSize: 0 });
    host.ip.receive(1);
    host.ip.advance();
    host.flush();
  }
  t.equal(host.device.readable(), false);
  t.ok(host.stats.IpInReceives > 1000 && host.stats.IpInHdrErrors > 100);
});

import t from 'tap';
import { Clock } from '../../../lib/tcp/clock.js';
import { EHOSTUNREACH } from '../../../lib/tcp/errno.js';
import { PendingPackets } from '../../../lib/tcp/ip/pending.js';
import { RateLimit } from '../../../lib/tcp/ip/rate_limit.js';
import { Routes } from '../../../lib/tcp/ip/routes.js';
import { Ip } from '../../../lib/tcp/ip/ip.js';
import { NO_ROOM, NO_ROUTE } from '../../../lib/tcp/transport.js';
import { formatAddress, formatDotted, parseDotted } from '../../../lib/tcp/wire/address.js';
import { get16 } from '../../../lib/tcp/wire/bytes.js';
import { pseudoHeader4, verify } from '../../../lib/tcp/wire/checksum.js';
import { checkIPv4, ipv4Destination, ipv4Fragment, ipv4Identification, ipv4Source, ipv4TotalLength, ipv4Ttl } from '../../../lib/tcp/wire/ipv4.js';
import { tcpSequence } from '../../../lib/tcp/wire/tcp.js';
import { randomOf } from '../../support/random.js';
import { ALL_MAC, FAR, FakeDevice, FakeTransport, GATEWAY, Host, MEMORY, OTHER_MAC, OWN, OWN_MAC, PEER, PEER_MAC, arp, segment, wordsOf } from './network.js';
import type { Sent } from './network.js';

const IP = 14;
const TCP = IP + 20;
const REQUEST = 1;
const REPLY = 2;

/** What a sent frame is, in words: `ARP 1 target to MAC`, or `TCP destination to MAC`. */
function told(sent: readonly Sent[]): string[] {
  return sent.map(({ bytes }) => {
    const mac = Buffer.from(bytes.subarray(0, 6)).equals(Buffer.from(ALL_MAC)) ? 'all' : String(bytes[5]);
    if (get16(bytes, 12) === 0x0806) return `${bytes[21] === REQUEST ? 'who has' : 'reply to'} ${[...bytes.subarray(38, 42)].join('.')}, to ${mac}`;
    return `packet for ${formatDotted(ipv4Destination(bytes, IP))}, to ${mac}`;
  });
}

function isIntact(bytes: Uint8Array, at = IP): boolean {
  const length = bytes.length - at - 20;
  return checkIPv4(bytes, at, bytes.length - at) === 0 && ipv4TotalLength(bytes, at) === bytes.length - at
    && verify(pseudoHeader4(ipv4Source(bytes, at), ipv4Destination(bytes, at), 6, length), bytes, at + 20, length);
}

/** A host that knows its peer. */
function ready(...options: ConstructorParameters<typeof Host>): Host {
  const host = new Host(...options);
  host.receive(arp(REQUEST, PEER, PEER_MAC, OWN));
  return host;
}

t.test('a segment with its IPv4 header and checksums in software', async (t) => {
  const host = ready();
  host.send(PEER, { ecn: 2 });
  host.send(PEER, { copied: 9 });
  host.send(PEER, { spans: [[5, 100]] });
  host.send(PEER, { copied: 7, spans: [[1, 33], [500, 1], [1001, 700], [0, 0], [3, 3]] });
  const sent = host.flush();
  t.same(told(sent), Array(4).fill(`packet for ${PEER}, to 2`));
  for (const { bytes, checksumStart, segmentSize } of sent) {
    t.ok(isIntact(bytes));
    t.same([checksumStart, segmentSize, ipv4Ttl(bytes, IP), ipv4Fragment(bytes, IP), ipv4Identification(bytes, IP)], [0, 0, 64, 0x4000, 0]);
    t.same(Buffer.from(bytes.subarray(6, 12)), Buffer.from(OWN_MAC));
  }
  t.equal(sent[0]!.bytes[IP + 1], 2);
  t.same(Buffer.from(sent[2]!.bytes.subarray(TCP + 20)), Buffer.from(MEMORY.subarray(5, 105)));
  t.match(host.stats, { IpOutRequests: 4, IpOutDiscards: 0 });
});

t.test('the checksum is left to a device that can, and segments are for it to cut', async (t) => {
  const host = ready({ txChecksum: true, txSegmentation: 65536 });
  host.send(PEER, { spans: [[0, 60000]], segmentSize: 1448 });
  const [frame] = host.flush();
  t.match(frame, { checksumStart: TCP, segmentSize: 1448 });
  t.equal(get16(frame!.bytes, TCP + 16), pseudoHeader4(parseDotted(OWN), parseDotted(PEER), 6, 60020), 'the sum of the pseudo-header');
  t.equal(frame!.bytes.length, TCP + 60020);
  t.equal(host.ip.segmentation(wordsOf(PEER), 0), 65535, 'no more than a packet can be');
  t.equal(host.ip.segmentation(wordsOf('198.18.0.255'), 0), 0);
  t.throws(() => host.send(PEER, { spans: [[0, 65500]] }), RangeError, 'no packet is larger');
  t.throws(() => host.send(PEER, { spans: Array.from({ length: 19 }, () => [0, 1] as [number, number]) }), RangeError, 'nor has more spans');
});

t.test('room: a full batch is flushed once, and only then is there none', async (t) => {
  const host = ready();
  for (let i = 0; i < 4; i++) host.send(PEER);
  t.equal(host.device.sent.length, 0);
  t.ok(host.send(PEER) > 0);
  t.equal(host.device.sent.length, 4);
  host.device.flushes = false;
  for (let i = 0; i < 3; i++) t.ok(host.send(PEER) > 0);
  t.equal(host.send(PEER), NO_ROOM);
  t.equal(host.stats.IpOutDiscards, 1);
  host.device.flushes = true;
  t.ok(host.send(PEER) > 0);
});

t.test('routes: the link, the gateway, this host, and nothing', async (t) => {
  const routes = new Routes();
  routes.add(0, '198.18.0.1', 24, '198.18.0.254');
  routes.add(1, '198.18.0.65', 26, null);
  routes.add(2, '127.0.0.1', 8, null);
  routes.add(3, '192.0.2.9', 31, '192.0.2.8');
  const cases: [to: string, by: number, next: string, from: string][] = [
    [PEER, 0, PEER, '198.18.0.1'], ['198.18.0.66', 1, '198.18.0.66', '198.18.0.65'], [FAR, 0, GATEWAY, '198.18.0.1'],
    ['127.8.8.8', 2, '127.8.8.8', '127.8.8.8'], ['198.18.0.1', 2, '198.18.0.1', '198.18.0.1'],
    ['192.0.2.8', 3, '192.0.2.8', '192.0.2.9'],
  ];
  for (const [to, by, next, from] of cases) {
    t.equal(routes.lookup(parseDotted(to)), by, to);
    t.equal(formatDotted(routes.nextHop[3]!), next);
    t.equal(formatDotted(routes.source(parseDotted(to))), from);
  }
  for (const to of ['0.0.0.0', '0.0.0.1', '224.0.0.1', '255.255.255.255', '240.0.0.1', '198.18.0.255', '198.18.0.127']) {
    t.equal(routes.lookup(parseDotted(to)), -1, to);
    t.equal(routes.source(parseDotted(to)), 0);
  }
  t.ok(routes.isOnLink(0, parseDotted(PEER)));
  t.notOk(routes.isOnLink(0, parseDotted('198.18.0.255')) || routes.isOnLink(0, parseDotted(FAR)));
  const bad: [string, number, string | null][] = [
    ['1.2.3', 24, null], ['1.2.3.4', 33, null], ['1.2.3.4', -1, null], ['1.2.3.4', 1.5, null], ['1.2.3.4', 24, 'x'],
    ['224.0.0.1', 24, null], ['0.0.0.0', 24, null], ['255.255.255.255', 24, null],
  ];
  for (const [address, prefix, gateway] of bad) t.throws(() => new Routes().add(0, address, prefix, gateway), `${address}/${prefix} ${gateway}`);
  const without = new Routes();
  without.add(0, '198.18.0.1', 24, null);
  t.equal(without.lookup(parseDotted(FAR)), -1, 'no gateway');
  t.equal(without.lookup(parseDotted('127.0.0.1')), -1, 'no loopback');
  t.equal(without.lookup(parseDotted('198.18.0.1')), -1, 'own address, and no loopback');
  t.equal(without.source(parseDotted('198.18.0.1')), 0);
  const far = new Routes();
  far.add(0, '198.18.0.1', 32, '10.0.0.1');
  t.ok(far.isOnLink(0, parseDotted('10.0.0.1')), 'a gateway that the prefix does not reach');
});

t.test('what connections ask of IP', async (t) => {
  const host = new Host({}, { loopback: true });
  const words = wordsOf(PEER, '127.0.0.1', FAR, '255.255.255.255', OWN, '0.0.0.0');
  t.same([0, 4, 8, 12, 16].map((at) => host.ip.mtu(words, at)), [1500, 65535, 1500, 0, 65535]);
  t.same([0, 4, 8, 12, 16].map((at) => host.ip.isLocal(words, at)), [false, true, false, false, true]);
  t.same([0, 4, 16].map((at) => host.ip.segmentation(words, at)), [0, 65535, 65535]);
  for (const [at, from] of [[0, OWN], [4, '127.0.0.1'], [8, OWN], [16, OWN]] as const) {
    t.ok(host.ip.selectSource(words, at, 20));
    t.equal(formatAddress(words, 20), from);
  }
  t.notOk(host.ip.selectSource(words, 12, 20));
  t.equal(host.send('255.255.255.255'), NO_ROUTE);
  const six = Int32Array.of(0x20010db8, 0, 0, 1, 0x20010db8, 0, 0, 2);
  t.equal(host.ip.begin(six, 0, 4, 0), NO_ROUTE);
  t.same([host.ip.mtu(six, 4), host.ip.segmentation(six, 4), host.ip.isLocal(six, 0), host.ip.selectSource(six, 4, 0)], [0, 0, false, false]);
  host.ip.confirm(six, 4);
  host.ip.confirm(wordsOf('127.0.0.1'), 0);
  t.match(host.stats, { IpOutNoRoutes: 1, Ip6OutNoRoutes: 1 });
});

t.test('a packet to an own address goes by the loopback, with no link header', async (t) => {
  const host = new Host({}, { loopback: true });
  host.send(OWN, { copied: 4 });
  const [frame] = host.flush();
  t.match(frame, { checksumStart: 20 });
  t.equal(checkIPv4(frame!.bytes, 0, frame!.bytes.length), 0);
  t.equal(host.pollAt(), Infinity, 'nobody is asked for');
});

t.test('RFC 826: requests for the own address are answered, and the sender is known from then on', async (t) => {
  const host = new Host();
  const [reply] = host.receive(arp(REQUEST, PEER, PEER_MAC, OWN, ALL_MAC));
  t.equal(Buffer.from(reply!.bytes).toString('hex'),
    '020000000002' + '020000000001' + '0806' + '0001080006040002' + '020000000001c6120001' + '020000000002c6120002');
  t.same(told([reply!]), [`reply to ${PEER}, to 2`]);
  host.send(PEER);
  t.same(told(host.flush()), [`packet for ${PEER}, to 2`]);
  t.same(host.receive(arp(REQUEST, PEER, PEER_MAC, '198.18.0.77', ALL_MAC)), [], 'for another');
  t.same(told(host.receive(arp(REQUEST, '0.0.0.0', OTHER_MAC, OWN, ALL_MAC))), ['reply to 0.0.0.0, to 3'], 'RFC 5227: a probe');
  t.match(host.stats, { ArpInRequests: 3, ArpOutReplies: 2, ArpInErrors: 0 });
});

t.test('ARP packets that are not believed', async (t) => {
  const host = new Host();
  const foreign = arp(REQUEST, PEER, PEER_MAC, OWN);
  foreign[14 + 7] = 3;
  host.receive(
    foreign, arp(REQUEST, PEER, PEER_MAC, OWN).subarray(0, 41), arp(REQUEST, FAR, PEER_MAC, OWN), arp(REQUEST, PEER, ALL_MAC, OWN),
    arp(REQUEST, PEER, new Uint8Array(6), OWN), arp(REQUEST, '198.18.0.255', PEER_MAC, OWN),
  );
  t.match(host.stats, { ArpInErrors: 6, ArpOutReplies: 0 });
  host.receive(arp(REPLY, PEER, PEER_MAC, OWN));
  host.send(PEER);
  t.same(told(host.flush()), [`who has ${PEER}, to all`], 'an answer that nobody asked for makes no entry');
});

t.test('RFC 5227 2.3: an address is announced twice, two seconds apart', async (t) => {
  const host = new Host();
  host.ip.announce();
  t.same(told(host.flush()), [`who has ${OWN}, to all`]);
  t.equal(host.pollAt(), host.now + 2e6);
  t.same(host.wait(1.999), []);
  t.same(told(host.wait(0.001)), [`who has ${OWN}, to all`]);
  t.equal(host.pollAt(), Infinity);
});

t.test('RFC 5227 2.4: the own address is defended, at most once in ten seconds', async (t) => {
  const host = new Host();
  host.ip.announce();
  t.same(told(host.flush()), [`who has ${OWN}, to all`], 'the announcement');
  t.same(told(host.receive(arp(REQUEST, OWN, PEER_MAC, OWN, ALL_MAC))), [`who has ${OWN}, to all`]);
  t.same(host.receive(arp(REPLY, OWN, PEER_MAC, OWN)), []);
  host.now += 10e6;
  t.equal(host.receive(arp(REPLY, OWN, PEER_MAC, OWN)).length, 1);
  t.same(host.receive(arp(REQUEST, OWN, OWN_MAC, OWN, ALL_MAC)), [], 'our own, handed back by the link');
  t.equal(host.stats.ArpInConflicts, 3);
});

t.test('a flood of requests is answered at a bounded rate', async (t) => {
  const host = new Host();
  const many = Array.from({ length: 150 }, () => arp(REQUEST, PEER, PEER_MAC, OWN));
  t.equal(host.receive(...many).length, 100);
  t.equal(host.stats.ArpOutDiscards, 50);
});

t.test('RFC 1122 2.3.2.2: packets wait for an unknown neighbour, and go out in order when it answers', async (t) => {
  const host = new Host({ txChecksum: true });
  t.ok(host.send(PEER, { sequence: 1, copied: 3, spans: [[10, 200], [1000, 33]] }) >= 0);
  host.send(FAR, { sequence: 2 });
  host.send(PEER, { sequence: 3 });
  t.same(told(host.flush()), [`who has ${PEER}, to all`, `who has ${GATEWAY}, to all`], 'one request each');
  const out = host.receive(arp(REPLY, PEER, PEER_MAC, OWN));
  t.same(told(out), Array(2).fill(`packet for ${PEER}, to 2`));
  t.same(out.map(({ bytes }) => tcpSequence(bytes, TCP)), [1, 3]);
  t.same(Buffer.from(out[0]!.bytes.subarray(TCP + 20)), Buffer.concat([MEMORY.subarray(0, 3), MEMORY.subarray(10, 210), MEMORY.subarray(1000, 1033)]));
  t.equal(out[0]!.checksumStart, TCP);
  t.same(told(host.receive(arp(REPLY, GATEWAY, OTHER_MAC, OWN))), [`packet for ${FAR}, to 3`]);
  t.equal(host.pollAt(), Infinity, 'no timer is left');
});

t.test('packets that wait keep their checksum in software, and their bytes when the sender reuses its memory', async (t) => {
  const host = new Host();
  host.send(PEER, { spans: [[50, 1001], [7, 3]] });
  const before = MEMORY.slice(50, 60);
  MEMORY.fill(0, 50, 60);
  const out = host.receive(arp(REPLY, PEER, PEER_MAC, OWN)).filter(({ bytes }) => get16(bytes, 12) === 0x0800);
  MEMORY.set(before, 50);
  t.equal(out.length, 1);
  t.ok(isIntact(out[0]!.bytes));
});

t.test('5,000 first packets at once to one neighbour all wait, and room is found for them in turns', async (t) => {
  const host = new Host();
  for (let i = 0; i < 5000; i++) host.send(PEER, { sequence: i });
  host.flush();
  const out = host.receive(arp(REPLY, PEER, PEER_MAC, OWN));
  t.same(out.map(({ bytes }) => tcpSequence(bytes, TCP)), Array.from({ length: 5000 }, (_, i) => i));
  t.equal(host.stats.NeighUnresolvedDiscards, 0);
  const stuck = new Host();
  for (let i = 0; i < 10; i++) stuck.send(PEER);
  stuck.device.flushes = false;
  stuck.receive(arp(REPLY, PEER, PEER_MAC, OWN));
  stuck.device.flushes = true;
  t.match(stuck.stats, { NeighUnresolvedDiscards: 7 }, 'what the device has no room for is lost');
});

t.test('RFC 1122 2.3.2.1: one request a second; after three the packets are given back as unreachable', async (t) => {
  const host = new Host();
  host.send(PEER, { sequence: -7 });
  host.send(FAR, { from: OWN });
  t.equal(host.pollAt(), host.now + 1e6);
  host.flush();
  t.same(host.wait(0.999), []);
  t.same(told(host.wait(0.001)), [`who has ${PEER}, to all`, `who has ${GATEWAY}, to all`]);
  t.same(host.wait(0.5), []);
  host.send(PEER);
  t.same(host.flush(), [], 'another packet asks for nothing');
  t.equal(host.wait(0.5).length, 2);
  t.same(host.transport.errors, []);
  t.same(host.wait(1), []);
  const error = { local: OWN, localPort: 1111, remotePort: 2222, errno: EHOSTUNREACH, hard: false, mtu: 0 };
  t.match(host.transport.errors, [
    { ...error, remote: PEER, sequence: -7 }, { ...error, remote: PEER, sequence: 100 }, { ...error, remote: FAR },
  ]);
  t.match(host.stats, { NeighResFailed: 2, NeighUnresolvedDiscards: 3, ArpOutRequests: 6 });
  t.equal(host.pollAt(), Infinity);
  host.send(PEER);
  t.same(told(host.flush()), [`who has ${PEER}, to all`], 'the next packet asks anew');
});

t.test('RFC 4861 7.3.2: a neighbour that is used and not heard of is asked for, and forgotten if it is silent', async (t) => {
  const host = ready();
  host.send(PEER);
  t.equal(host.pollAt(), host.now + 5e6, 'learned from a request: five seconds to show itself');
  host.flush();
  t.same(told(host.wait(5)), [`who has ${PEER}, to 2`], 'asked directly');
  t.same(told(host.receive(arp(REPLY, PEER, PEER_MAC, OWN))), []);
  t.equal(host.pollAt(), Infinity);
  host.wait(29);
  host.send(PEER);
  t.equal(host.pollAt(), Infinity, 'reachable for thirty seconds');
  host.wait(1);
  host.send(PEER);
  t.equal(host.pollAt(), host.now + 5e6);
  host.flush();
  t.same(told(host.wait(7)), Array(3).fill(`who has ${PEER}, to 2`));
  host.send(PEER);
  t.same(told(host.flush()), [`packet for ${PEER}, to 2`], 'still used');
  t.same(host.wait(1), []);
  host.send(PEER);
  t.same(told(host.flush()), [`who has ${PEER}, to all`]);
  t.same(host.transport.errors, [], 'no packet was lost by that');
});

t.test('RFC 4861 7.3.1: progress of a connection stands for an answer', async (t) => {
  const host = ready();
  for (let i = 0; i < 100; i++) {
    host.send(PEER);
    host.flush();
    t.same(host.wait(2), []);
    host.ip.confirm(wordsOf(PEER), 0);
  }
  host.send(FAR);
  host.flush();
  host.ip.confirm(wordsOf(FAR), 0);
  t.same(told(host.wait(1)), [`who has ${GATEWAY}, to all`], 'but not for a neighbour that is not known yet');
});

t.test('RFC 1122 3.3.1.4: connections without answers have the neighbour asked at once, unless it was just heard of', async (t) => {
  const host = ready();
  host.ip.confirm(wordsOf(PEER), 0);
  host.wait(0.9);
  host.ip.suspect(wordsOf(PEER), 0);
  t.same(told(host.flush()), []);
  host.wait(0.1);
  host.ip.suspect(wordsOf(PEER), 0);
  t.same(told(host.flush()), [`who has ${PEER}, to 2`]);
  host.ip.suspect(wordsOf(PEER), 0);
  host.ip.suspect(wordsOf(FAR), 0);
  host.ip.suspect(wordsOf('127.0.0.1'), 0);
  t.same(told(host.flush()), [], 'not twice, and not where there is nothing to ask');
  host.wait(3);
  host.send(PEER);
  t.same(told(host.flush()), [`who has ${PEER}, to all`], 'it did not answer: perhaps another station has its address now');
});

t.test('a neighbour may change its link address, but not in the second after it came', async (t) => {
  const host = ready();
  const used = (): string[] => (host.send(PEER), told(host.flush()));
  host.receive(arp(REPLY, PEER, OTHER_MAC, OWN));
  t.same(used(), [`packet for ${PEER}, to 2`]);
  host.wait(1);
  host.receive(arp(REQUEST, PEER, OTHER_MAC, PEER, ALL_MAC));
  t.same(used(), [`packet for ${PEER}, to 3`], 'an announcement');
  t.same(told(host.wait(5)), [`who has ${PEER}, to 3`], 'which shows nothing of the way there');
  host.receive(arp(REPLY, PEER, PEER_MAC, OWN));
  t.same(used(), [`packet for ${PEER}, to 2`]);
  t.equal(host.pollAt(), Infinity, 'an answer does');
});

t.test('the table is bounded: those not in use are forgotten first', async (t) => {
  const host = ready({}, { prefix: 16 });
  host.send(PEER);
  host.flush();
  for (let i = 0; i < 5000; i++) {
    host.now += 1e4;
    host.receive(arp(REQUEST, `198.18.${8 + (i >> 8)}.${i & 255}`, OTHER_MAC, OWN));
    if (i % 500 === 0) host.send(PEER);
  }
  host.flush();
  host.send(PEER);
  t.same(told(host.flush()), [`packet for ${PEER}, to 2`], 'the one in use is known still');
  t.ok(host.stats.NeighForcedGc >= 5000 - 1024);
  const asked = new Host({}, { prefix: 16 });
  for (let i = 0; i < 2000; i++) asked.send(`198.18.${8 + (i >> 8)}.${i & 255}`);
  t.equal(asked.stats.NeighForcedGc, 2000 - 1024);
  t.equal(asked.stats.NeighUnresolvedDiscards, 2000 - 1024, 'with what waited for them');
  asked.wait(3);
  t.equal(asked.transport.errors.length, 1024);
  t.equal(asked.pollAt(), Infinity);
});

t.test('several interfaces share a budget in turns, and each is asked what it has', async (t) => {
  const host = new Host({}, { loopback: true });
  t.notOk(host.ip.readable());
  for (let i = 0; i < 5; i++) {
    host.device.waiting.push({ bytes: segment(), flags: 0, segmentSize: 0 });
    host.loopback.waiting.push({ bytes: segment(0, OWN, OWN).subarray(IP), flags: 0, segmentSize: 0 });
  }
  t.ok(host.ip.readable());
  t.equal(host.ip.receive(3), 3);
  t.equal(host.ip.receive(3), 3);
  t.same(host.transport.segments.map(({ interfaceIndex }) => interfaceIndex), [0, 0, 0, 1, 1, 1]);
  t.equal(host.ip.receive(100), 4);
  t.notOk(host.ip.readable());
});

t.test('an Ethernet device must have a link address', async (t) => {
  const device = new FakeDevice({ mac: null });
  const interfaces = [{ device, memory: MEMORY, addresses: [`${OWN}/24`] }];
  t.throws(() => new Ip({ interfaces, transport: new FakeTransport(), random: randomOf(1), clock: new Clock() }), TypeError);
});

t.test('a token bucket', async (t) => {
  const limit = new RateLimit(10, 3);
  const taken = (now: number): number => {
    let count = 0;
    while (limit.take(now)) count++;
    return count;
  };
  t.same([0, 0, 99999, 100000, 350000, 9e6].map(taken), [3, 0, 0, 1, 2, 3]);
});

t.test('the pool of packets that wait, against a model', async (t) => {
  const random = randomOf(11);
  const queues = 5;
  const blocks = 64;
  const pending = new PendingPackets(queues, blocks);
  const model: Uint8Array[][] = Array.from({ length: queues }, () => []);
  const blocksOf = (packets: Uint8Array[]): number => packets.reduce((sum, { length }) => sum + Math.ceil(length / 128), 0);
  const out = new Uint8Array(70000);
  for (let round = 0; round < 20000; round++) {
    const queue = random() % queues;
    const packets = model[queue]!;
    const choice = random() % 8;
    if (choice < 4) {
      const packet = Uint8Array.from({ length: 1 + (random() % (random() % 8 === 0 ? 9000 : 400)) }, () => random() & 255);
      pending.bytes.set(packet, pending.scratch + 6);
      const held = pending.push(queue, pending.scratch + 6, packet.length, packet.length & 63, packet.length & 7);
      const need = blocksOf([packet]);
      if (need <= (blocks * 3) / 4) {
        while (packets.length > 0 && (blocksOf(packets) + need > (blocks * 3) / 4 || blocksOf(model.flat()) + need > blocks)) packets.shift();
      }
      const fits = need <= (blocks * 3) / 4 && blocksOf(model.flat()) + need <= blocks;
      if (fits) packets.push(packet);
      if (held !== fits) t.fail(`round ${round}: push`);
    } else if (choice < 7) {
      if (pending.isEmpty(queue) !== (packets.length === 0)) t.fail(`round ${round}: isEmpty`);
      if (packets.length === 0) continue;
      const packet = packets.shift()!;
      if (pending.bytes[pending.peek(queue)] !== packet[0]) t.fail(`round ${round}: peek`);
      const length = pending.shift(queue, out, 1);
      const same = Buffer.from(packet).equals(out.subarray(1, 1 + length)) && pending.checksumStart === (length & 63) && pending.segmentSize === (length & 7);
      if (!same) t.fail(`round ${round}: shift`);
    } else if (random() % 8 === 0 && pending.clear(queue) !== packets.splice(0).length) t.fail(`round ${round}: clear`);
  }
});

/** Neighbour discovery, duplicate address detection, and IPv6 packets that leave. */
import t from 'tap';
import { Clock } from '../../../lib/tcp/clock.js';
import { EHOSTUNREACH } from '../../../lib/tcp/errno.js';
import { Routes6, TENTATIVE } from '../../../lib/tcp/ip/routes6.js';
import { Ip } from '../../../lib/tcp/ip/ip.js';
import { NO_ROUTE } from '../../../lib/tcp/transport.js';
import { formatAddress } from '../../../lib/tcp/wire/address.js';
import { get16 } from '../../../lib/tcp/wire/bytes.js';
import { pseudoHeader6 } from '../../../lib/tcp/wire/checksum.js';
import { ipv6FlowLabel, ipv6HopLimit, ipv6TrafficClass } from '../../../lib/tcp/wire/ipv6.js';
import { tcpSequence } from '../../../lib/tcp/wire/tcp.js';
import { randomOf } from '../../support/random.js';
import { ALL_MAC, FakeDevice, FakeTransport, Host, MEMORY, OTHER_MAC, OWN_MAC, PEER, PEER_MAC, wordsOf } from './network.js';
import {
  ALL_NODES6, FAR6, IP, OWN6, PEER6, ROUTER6, UPPER, advertisement, host6, isIntact6, packet6, ready6, segment6, solicitation,
  solicitedNode, told6,
} from './network6.js';

const SOLICITED = 0x40;
const OVERRIDE = 0x20;

function send(host: Host, to = PEER6, more: Parameters<Host['send']>[1] = {}): string[] {
  host.send(to, { from: OWN6, ...more });
  return told6(host.flush());
}

function conflicts(host: Host): number[] {
  return [host.stats.NdpDuplicates, host.stats.NdpInConflicts];
}

t.test('RFC 4862 5.4: an address is used only when nobody has said for a second that it is theirs', async (t) => {
  const host = host6({ dadTransmits: 1 });
  t.ok(host.ip.settling);
  t.same(host.device.groups.sort(), ['333300000001', '3333ff000001', `3333${solicitedNode(linkLocal(host)).replaceAll(':', '').slice(-8)}`].sort());
  t.equal(host.wait(0.999999).filter(({ bytes }) => bytes[UPPER] === 135 || bytes[UPPER] === 136).length, 0);
  t.ok(host.ip.settling);
  t.notOk(host.ip.isLocal(wordsOf(OWN6), 0), 'it is not an own address yet');
  t.notOk(host.ip.selectSource(wordsOf(PEER6, OWN6), 0, 4));
  host.receive(segment6(), solicitation(PEER6, OWN6));
  t.same(host.transport.segments, [], 'packets for it are not taken, and nobody is told of it');
  const out = host.wait(0.000001);
  t.same(told6(out).filter((text) => text.includes(OWN6)), [`I have ${OWN6}, to ${ALL_NODES6} at group`], 'and then everybody is');
  t.notOk(host.ip.settling);
  t.same([host.ip.duplicates, conflicts(host)], [[], [0, 0]]);
  host.receive(segment6());
  t.equal(host.transport.segments.length, 1);
});

/** The link-local address of a host: what its advertisements to all nodes name beside OWN6. */
function linkLocal(host: Host): string {
  const words = wordsOf('fe80::1', '::');
  host.ip.selectSource(words, 0, 4);
  if (words[4] !== 0) return formatAddress(words, 4);
  const twin = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 0 });
  twin.ip.announce();
  return linkLocal(twin);
}

t.test('RFC 4862 5.4.2: the question itself', async (t) => {
  const host = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 2 });
  host.ip.announce();
  const asked = host.flush().filter(({ bytes }) => bytes[0] === 0x33 && bytes[UPPER] === 135);
  t.match(told6(asked)[0], `who has ${OWN6}, from :: to group`);
  t.equal(Buffer.from(asked[0]!.bytes.subarray(0, 6)).toString('hex'), '3333ff000001');
  t.ok(isIntact6(asked[0]!.bytes));
  t.equal(ipv6HopLimit(asked[0]!.bytes, IP), 255);
  t.equal(asked[0]!.bytes[UPPER + 24], 14, 'with a nonce and no link address (RFC 7527)');
  t.equal(host.receive(asked[0]!.bytes).length, 0, 'handed back by the link it is no conflict');
  t.ok(host.ip.settling);
  t.same(conflicts(host), [0, 0]);
  t.equal(told6(host.wait(1)).filter((text) => text.startsWith(`who has ${OWN6}`)).length, 1, 'asked as often as was said');
  host.wait(1);
  t.notOk(host.ip.settling);
});

t.test('RFC 4862 5.4.3, 5.4.4: an address that another station has, or wants, is never used', async (t) => {
  const claims: [string, Uint8Array][] = [
    ['has it', advertisement(OWN6, { to: ALL_NODES6, flags: OVERRIDE })],
    ['has it, and names no link address', advertisement(OWN6, { to: ALL_NODES6, flags: 0, mac: null })],
    ['wants it too', solicitation('::', OWN6, { mac: null })],
  ];
  for (const [name, frame] of claims) {
    const host = host6({ dadTransmits: 1 });
    host.receive(frame);
    host.wait(10);
    t.same([host.ip.duplicates, host.ip.settling, conflicts(host)], [[OWN6], false, [1, 0]], name);
    t.notOk(host.ip.isLocal(wordsOf(OWN6), 0));
    t.equal(host.receive(solicitation(PEER6, OWN6), segment6()).length, 0, 'it is left to the other');
    t.same(host.transport.segments, []);
  }
  const host = host6({ dadTransmits: 1 });
  host.receive(solicitation(PEER6, OWN6), solicitation('::', OWN6, { mac: null, hopLimit: 64 }), solicitation('::', OWN6), advertisement(OWN6, { hopLimit: 254 }));
  host.wait(2);
  t.same(host.ip.duplicates, [], 'a station that resolves it wants nothing; from beyond a router nobody can say so');
});

t.test('RFC 4862 5.4.4: an address in use is defended, at most once in ten seconds', async (t) => {
  const host = host6();
  t.same(told6(host.receive(advertisement(OWN6, { to: ALL_NODES6, flags: OVERRIDE }))), [`I have ${OWN6}, to ${ALL_NODES6} at group`]);
  t.same(host.receive(advertisement(OWN6, { to: ALL_NODES6, flags: OVERRIDE })), []);
  host.now += 10e6;
  t.equal(host.receive(advertisement(OWN6, { to: ALL_NODES6, flags: OVERRIDE })).length, 1);
  t.same(host.receive(advertisement(OWN6, { to: ALL_NODES6, flags: OVERRIDE, mac: OWN_MAC })), [], 'our own, handed back by the link');
  t.same(conflicts(host), [0, 3]);
  host.receive(solicitation(OWN6, PEER6, { to: OWN6 }), solicitation(OWN6, PEER6, { to: OWN6, mac: OWN_MAC }), segment6(0, { from: OWN6 }));
  t.same(conflicts(host), [0, 4], 'who asks from it claims it, too');
  t.equal(host.stats.Ip6InAddrErrors, 1, 'and nothing else is taken from it');
  t.ok(host.ip.isLocal(wordsOf(OWN6), 0));
});

t.test('RFC 4861 7.2.4: a solicitation is answered, and its sender known from then on', async (t) => {
  const host = host6();
  const [reply] = host.receive(solicitation(PEER6, OWN6));
  t.equal(Buffer.from(reply!.bytes).toString('hex'),
    '020000000002' + '020000000001' + '86dd' + '60000000' + '0020' + '3aff' + '20010db8000000000000000000000001' + '20010db8000000000000000000000002'
    + '8800' + Buffer.from(reply!.bytes.subarray(UPPER + 2, UPPER + 4)).toString('hex') + '60000000' + '20010db8000000000000000000000001'
    + '0201020000000001');
  t.ok(isIntact6(reply!.bytes));
  t.same(send(host), [`packet for ${PEER6}, to 2`]);
  t.same(told6(host.receive(solicitation('::', OWN6, { mac: null }))), [`I have ${OWN6}, to ${ALL_NODES6} at group`], 'a station that looks for duplicates');
  t.same(host.receive(solicitation(PEER6, '2001:db8::77', { to: ALL_NODES6 })), [], 'for another');
  t.same(told6(host.receive(solicitation(PEER6, OWN6, { to: OWN6, mac: null }))), [`I have ${OWN6}, to ${PEER6} at 2`], 'asked directly, by one that is known');
  t.match(host.stats, { Icmp6InNeighborSolicits: 4, Icmp6InErrors: 0 });
  const stranger = host6();
  const out = stranger.receive(solicitation(PEER6, OWN6, { to: OWN6, mac: null }));
  t.match(told6(out), [`who has ${PEER6}, from ${OWN6} to group`], 'by one that is not: it is asked for first');
  t.same(told6(stranger.receive(advertisement(PEER6))), [`I have ${OWN6}, to ${PEER6} at 2`]);
});

t.test('RFC 4861 7.1: messages that are not believed', async (t) => {
  const bad: [string, Uint8Array][] = [
    ['has crossed a router', solicitation(PEER6, OWN6, { hopLimit: 254 })],
    ['code', solicitation(PEER6, OWN6, { code: 1 })],
    ['an option of length 0', solicitation(PEER6, OWN6, { option: Uint8Array.of(1, 0, 0, 0, 0, 0, 0, 0) })],
    ['an option that runs over the end', solicitation(PEER6, OWN6, { option: Uint8Array.of(1, 2, 0, 0, 0, 0, 0, 0) })],
    ['a target that is a group', solicitation(PEER6, ALL_NODES6, { to: OWN6 })],
    ['nobody names a link address', solicitation('::', OWN6)],
    ['nobody asks a group only', solicitation('::', OWN6, { mac: null, to: OWN6 })],
    ['the link address of a group', solicitation(PEER6, OWN6, { mac: ALL_MAC })],
    ['no link address', solicitation(PEER6, OWN6, { mac: new Uint8Array(6) })],
    ['a solicited advertisement to a group', advertisement(PEER6, { to: ALL_NODES6, flags: SOLICITED })],
    ['too short', packet6(58, Uint8Array.of(135, 0, 0, 0))],
    ['in a fragment (RFC 6980)', fragmented(solicitation(PEER6, OWN6, { to: OWN6 }))],
  ];
  for (const [name, frame] of bad) {
    const host = host6();
    t.same(host.receive(frame), [], name);
    if (!name.startsWith('nobody asks')) t.equal(host.stats.Icmp6InErrors, 1, name);
    t.match(send(host), [`who has ${PEER6}`], `${name}: nothing is learned`);
  }
  const host = host6();
  host.receive(advertisement(PEER6));
  t.match(send(host), [/^who has/], 'an answer that nobody asked for makes no entry');
  host.receive(solicitation(FAR6, OWN6));
  t.match(send(host, FAR6), [`who has ${ROUTER6}`], 'nor does a neighbour that is on no link of ours');
});

/** The same packet, as an atomic fragment. */
function fragmented(frame: Uint8Array): Uint8Array {
  const words = [...frame.subarray(IP + 8, IP + 40)];
  const changed = packet6(44, Uint8Array.from([58, 0, 0, 0, 0, 0, 0, 1, ...frame.subarray(UPPER)]), { hopLimit: 255 });
  changed.set(words, IP + 8);
  return changed;
}

t.test('RFC 4443 2.4 (f): a flood of solicitations is answered at a bounded rate', async (t) => {
  const host = host6();
  t.equal(host.receive(...Array.from({ length: 150 }, () => solicitation(PEER6, OWN6))).length, 100);
  t.equal(host.stats.Icmp6OutRateLimitHost, 50);
});

t.test('RFC 4861 7.2.2: packets wait for an unknown neighbour, and go out in order when it answers', async (t) => {
  const host = host6({ capabilities: { txChecksum: true } });
  host.send(PEER6, { from: OWN6, sequence: 1, copied: 3, spans: [[10, 200], [1000, 33]] });
  host.send(FAR6, { from: OWN6, sequence: 2 });
  host.send(PEER6, { from: OWN6, sequence: 3 });
  const asked = host.flush();
  t.same(told6(asked).map((text) => text.replace(/fe80::[^f][0-9a-f:]*/, 'fe80::own')), [
    `who has ${PEER6}, from ${OWN6} to group`, `who has ${ROUTER6}, from fe80::own to group`,
  ], 'one question each, to the router from the link-local address');
  t.equal(asked[0]!.bytes[UPPER + 24], 1, 'with the own link address');
  const out = host.receive(advertisement(PEER6));
  t.same(told6(out), Array(2).fill(`packet for ${PEER6}, to 2`));
  t.same(out.map(({ bytes }) => tcpSequence(bytes, UPPER)), [1, 3]);
  t.same(Buffer.from(out[0]!.bytes.subarray(UPPER + 20)), Buffer.concat([MEMORY.subarray(0, 3), MEMORY.subarray(10, 210), MEMORY.subarray(1000, 1033)]));
  t.equal(out[0]!.checksumStart, UPPER);
  t.same(told6(host.receive(advertisement(ROUTER6, { mac: OTHER_MAC }))), [`packet for ${FAR6}, to 3`]);
  t.equal(host.pollAt(), Infinity, 'no timer is left');
});

t.test('RFC 4861 7.2.2, 10: three questions a second apart, then the packets are given back as unreachable', async (t) => {
  const host = host6();
  send(host, PEER6, { sequence: -7 });
  t.equal(host.pollAt(), host.now + 1e6);
  t.equal(host.wait(1).length + host.wait(1).length, 2);
  t.same(host.transport.errors, []);
  t.same(host.wait(1), []);
  t.match(host.transport.errors, [{ local: OWN6, remote: PEER6, localPort: 1111, remotePort: 2222, sequence: -7, errno: EHOSTUNREACH, hard: false }]);
  t.match(host.stats, { NeighResFailed: 1, Icmp6OutNeighborSolicits: 3 });
  t.match(send(host), [/^who has/], 'the next packet asks anew');
});

t.test('RFC 4861 7.3.3: a neighbour that is used and not heard of is asked for directly, and forgotten if it is silent', async (t) => {
  const host = ready6();
  send(host);
  t.equal(host.pollAt(), host.now + 5e6);
  t.same(told6(host.wait(5)), [`who has ${PEER6}, from ${OWN6} to 2`]);
  host.receive(advertisement(PEER6, { flags: SOLICITED }));
  t.equal(host.pollAt(), Infinity, 'reachable');
  host.wait(14);
  send(host);
  t.equal(host.pollAt(), Infinity, 'for half of thirty seconds at least');
  host.wait(31);
  send(host);
  t.equal(host.wait(7).length, 3);
  host.wait(1);
  t.match(send(host), [/^who has .* to group/], 'forgotten');
  const held = ready6();
  for (let i = 0; i < 50; i++) {
    send(held);
    t.same(held.wait(2), []);
    held.ip.confirm(wordsOf(PEER6), 0);
  }
});

t.test('RFC 4861 7.2.5: what an advertisement does to a neighbour that is known', async (t) => {
  const reachable = (): Host => {
    const host = host6();
    send(host);
    host.receive(advertisement(PEER6));
    return host;
  };
  const cases: [string, number, Uint8Array | null, mac: number, asks: boolean][] = [
    ['the same address, solicited', SOLICITED, PEER_MAC, 2, false],
    ['another, without override: doubt', 0, OTHER_MAC, 2, true],
    ['another, solicited, without override: doubt', SOLICITED, OTHER_MAC, 2, true],
    ['another, with override', OVERRIDE, OTHER_MAC, 3, true],
    ['another, with override, solicited', OVERRIDE | SOLICITED, OTHER_MAC, 3, false],
    ['none', SOLICITED, null, 2, false],
  ];
  for (const [name, flags, mac, to, asks] of cases) {
    const host = reachable();
    host.receive(advertisement(PEER6, { flags, mac }));
    t.same(send(host), [`packet for ${PEER6}, to ${to}`], name);
    t.equal(host.pollAt() < Infinity, asks, name);
  }
  const waiting = host6();
  send(waiting);
  t.same(waiting.receive(advertisement(PEER6, { mac: null })), [], 'an answer without a link address resolves nothing');
  t.equal(waiting.receive(advertisement(PEER6, { flags: 0 })).length, 1, 'any other does');
});

t.test('the table of IPv6 neighbours is bounded too', async (t) => {
  const host = ready6();
  send(host);
  for (let i = 0; i < 5000; i++) {
    host.now += 1e4;
    host.receive(solicitation(`2001:db8::${(i + 4096).toString(16)}`, OWN6));
    if (i % 500 === 0) send(host);
  }
  t.same(send(host), [`packet for ${PEER6}, to 2`], 'the one in use is known still');
  t.ok(host.stats.NeighForcedGc >= 5000 - 1024);
});

t.test('RFC 8200 8.1: IPv6 segments leave with header, flow label and checksum', async (t) => {
  const host = ready6();
  host.send(PEER6, { from: OWN6, ecn: 2 });
  host.send(PEER6, { from: OWN6, copied: 7, spans: [[1, 33], [500, 1], [1001, 700], [0, 0], [3, 3]] });
  const sent = host.flush();
  for (const { bytes, checksumStart } of sent) {
    t.ok(isIntact6(bytes));
    t.same([checksumStart, ipv6HopLimit(bytes, IP)], [0, 64]);
    t.same(Buffer.from(bytes.subarray(6, 12)), Buffer.from(OWN_MAC));
  }
  t.same(sent.map(({ bytes }) => ipv6TrafficClass(bytes, IP)), [2, 0]);
  t.match(host.stats, { Ip6OutDiscards: 0, IpOutRequests: 0 });
  const able = ready6({ capabilities: { txChecksum: true, txSegmentation: 65536 } });
  able.send(PEER6, { from: OWN6, spans: [[0, 60000]], segmentSize: 1428 });
  const [frame] = able.flush();
  t.match(frame, { checksumStart: UPPER, segmentSize: 1428 });
  t.equal(get16(frame!.bytes, UPPER + 16), pseudoHeader6(wordsOf(OWN6, PEER6), 0, 4, 6, 60020), 'the sum of the pseudo-header');
  t.equal(able.ip.segmentation(wordsOf(PEER6), 0), 65535);
  t.throws(() => able.send(PEER6, { from: OWN6, spans: [[0, 65480]] }), RangeError);
});

t.test('RFC 6437 3: the flow label is the same for all of a flow, and tells nothing of it', async (t) => {
  const labels = (host: Host, to: string): number[] => {
    host.receive(solicitation(to, OWN6));
    for (let i = 0; i < 3; i++) host.send(to, { from: OWN6, sequence: i });
    return host.flush().map(({ bytes }) => ipv6FlowLabel(bytes, IP));
  };
  const host = host6();
  const seen = [PEER6, '2001:db8::3', '2001:db8::4'].map((to) => labels(host, to));
  for (const each of seen) t.equal(new Set(each).size, 1);
  t.equal(new Set(seen.flat()).size, 3);
  const other = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 0, seed: 99 });
  other.ip.announce();
  other.flush();
  t.notSame(labels(other, PEER6), seen[0], 'nor from one host to the next');
});

t.test('RFC 4861 5.2: routes of IPv6: the link, the router, this host, and nothing', async (t) => {
  const routes = new Routes6();
  const add = (index: number, text: string, prefix: number): void => { routes.add(index, wordsOf(text), prefix); };
  add(0, OWN6, 64);
  add(0, 'fe80::1', 64);
  add(1, '2001:db8:0:0:8000::1', 65);
  add(2, '::1', 128);
  routes.setRouter(0, ROUTER6);
  routes.setRouter(1, '2001:db8::9');
  const cases: [to: string, by: number, next: string, from: string][] = [
    [PEER6, 0, PEER6, OWN6], ['2001:db8::8000:0:0:2', 1, '2001:db8::8000:0:0:2', '2001:db8::8000:0:0:1'], [FAR6, 0, ROUTER6, OWN6],
    ['fe80::9', 0, 'fe80::9', 'fe80::1'], ['::1', 2, '::1', '::1'], [OWN6, 2, OWN6, OWN6],
  ];
  for (const [to, by, next, from] of cases) {
    const words = wordsOf(to, '::');
    t.equal(routes.lookup(words, 0), by, to);
    t.equal(formatAddress(routes.nextHop, 0), next, `${to} by`);
    t.ok(routes.source(words, 0, words, 4));
    t.equal(formatAddress(words, 4), from, `${to} from`);
  }
  for (const to of ['::', 'ff02::1', 'ff0e::5', '::192.0.2.1']) {
    t.equal(routes.lookup(wordsOf(to), 0), -1, to);
    t.notOk(routes.source(wordsOf(to, '::'), 0, new Int32Array(4), 0));
  }
  t.ok(routes.isOnLink(0, wordsOf(PEER6), 0) && routes.isOnLink(0, wordsOf(ROUTER6), 0));
  t.notOk(routes.isOnLink(0, wordsOf(FAR6), 0) || routes.isOnLink(1, wordsOf(PEER6), 0) || routes.isOnLink(0, wordsOf('ff02::1'), 0));
  for (const bad of ['::', 'ff02::1']) t.throws(() => new Routes6().add(0, wordsOf(bad), 64), RangeError);
  for (const bad of ['192.0.2.1', 'x', '']) t.throws(() => routes.setRouter(0, bad), TypeError);
  const alone = new Routes6();
  alone.add(0, wordsOf('fe80::1'), 64);
  t.same([alone.lookup(wordsOf(PEER6), 0), alone.lookup(wordsOf('fe81::1'), 0), alone.lookup(wordsOf('fe80::1'), 0)], [-1, -1, -1]);
});

t.test('RFC 6724 5: the source address fits the destination', async (t) => {
  const routes = new Routes6();
  const own = ['fe80::1', '2001:db8:1::1', '2001:db8:2::1', 'fd00:1::1', '2002:c000:201::1'];
  for (const text of own) routes.add(0, wordsOf(text), 64);
  routes.setRouter(0, ROUTER6);
  const from = (to: string): string => {
    const words = wordsOf(to, '::');
    return routes.source(words, 0, words, 4) ? formatAddress(words, 4) : 'none';
  };
  t.equal(from('fe80::9'), 'fe80::1', 'rule 2: the smallest scope that reaches');
  t.equal(from('2001:db8:2::99'), '2001:db8:2::1', 'rule 8: the longest matching prefix');
  t.equal(from('2001:db8:1::99'), '2001:db8:1::1');
  t.equal(from('fd00:77::1'), 'fd00:1::1', 'rule 6: unique local to unique local');
  t.equal(from('2002:c633:6401::1'), '2002:c000:201::1', 'and 6to4 to 6to4');
  t.equal(from('2600::1'), '2001:db8:1::1', 'and others otherwise');
  routes.addresses[1]!.state = TENTATIVE;
  t.equal(from('2001:db8:1::99'), '2001:db8:2::1', 'not one that is not in use yet');
  const local = new Routes6();
  local.add(0, wordsOf('fe80::1'), 64);
  local.setRouter(0, ROUTER6);
  const words = wordsOf(FAR6, '::');
  t.ok(local.source(words, 0, words, 4));
  t.equal(formatAddress(words, 4), 'fe80::1', 'the best there is');
});

t.test('what connections ask of IP about IPv6', async (t) => {
  const host = host6({ loopback: true });
  const words = wordsOf(PEER6, '::1', FAR6, 'ff02::1', OWN6, '::');
  t.same([0, 4, 8, 12, 16].map((at) => host.ip.mtu(words, at)), [1500, 65535, 1500, 0, 65535]);
  t.same([0, 4, 8, 12, 16].map((at) => host.ip.isLocal(words, at)), [false, true, false, false, true]);
  for (const [at, from] of [[0, OWN6], [4, '::1'], [8, OWN6], [16, OWN6]] as const) {
    t.ok(host.ip.selectSource(words, at, 20));
    t.equal(formatAddress(words, 20), from);
  }
  t.equal(host.send('ff02::1', { from: OWN6 }), NO_ROUTE);
  t.equal(host.send(PEER6), NO_ROUTE, 'from an IPv4 address');
  t.equal(host.send(PEER, { from: OWN6 }), NO_ROUTE, 'to one');
  host.send(OWN6, { from: OWN6, copied: 4 });
  const [frame] = host.flush();
  t.match(frame, { checksumStart: 40 });
  t.same(frame!.bytes.subarray(0, 1), Uint8Array.of(0x60), 'an own address by the loopback, with no link header');
});

t.test('addresses that an interface cannot have', async (t) => {
  const make = (addresses: string[], gateways: string[] = []): Ip => new Ip({
    interfaces: [{ device: new FakeDevice(), memory: MEMORY, addresses, gateways }], transport: new FakeTransport(), random: randomOf(1), clock: new Clock(),
  });
  for (const text of ['2001:db8::1', '2001:db8::1/129', '2001:db8::1/-1', '2001:db8::1/x', 'ff02::1/64', '::/0', '192.0.2.1/33', 'x/1', '/64']) {
    t.throws(() => make([text]), text);
  }
  t.throws(() => make(['192.0.2.1/24', '192.0.2.2/24']), /one IPv4 address/);
  t.throws(() => make([`${OWN6}/64`], ['fe80::1%eth0']), TypeError);
  const own = make([`${OWN6}/64`, 'fe80::5/64']);
  own.announce();
  t.same(own.duplicates, []);
});

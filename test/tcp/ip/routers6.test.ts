/** Routers and prefixes that are advertised (RFC 4861 6.3), and the addresses that are formed of them (RFC 4862 5.5, RFC 7217). */
import t from 'tap';
import { InterfaceIdentifiers, isReserved } from '../../../lib/tcp/ip/interface_identifier.js';
import { ADDRESSES_MOST, PREFIXES_MOST, ROUTERS_MOST } from '../../../lib/tcp/ip/router_discovery.js';
import { NO_ROUTE } from '../../../lib/tcp/transport.js';
import { formatAddress } from '../../../lib/tcp/wire/address.js';
import { putWords } from '../../../lib/tcp/wire/bytes.js';
import { ipv6HopLimit } from '../../../lib/tcp/wire/ipv6.js';
import { ALL_MAC, Host, OTHER_MAC, OWN_MAC, PEER_MAC, wordsOf } from './network.js';
import type { Sent } from './network.js';
import {
  ALL_NODES6, FAR6, IP, ROUTER6, UPPER, advertisement, icmp6, isIntact6, packet6, segment6, solicitation, solicitedNode, told6,
} from './network6.js';

const SECRET = Uint8Array.from({ length: 16 }, (_, i) => i * 11);
const PREFIX = '2001:db8:5::';
const OTHER_PREFIX = '2001:db8:6::';
const HOUR = 3600;

interface Prefix {
  readonly prefix?: string;
  readonly length?: number;
  /** s. */
  readonly valid?: number;
  readonly preferred?: number;
  /** 0x80 on the link, 0x40 to form addresses of; by default both. */
  readonly flags?: number;
}

interface Advertised {
  readonly from?: string;
  readonly lifetime?: number;
  readonly hopLimit?: number;
  readonly reachable?: number;
  readonly mtu?: number;
  readonly mac?: Uint8Array | null;
  readonly prefixes?: readonly Prefix[];
  /** Of the packet. */
  readonly hops?: number;
  readonly code?: number;
  readonly extra?: Uint8Array;
}

function prefixOption({ prefix = PREFIX, length = 64, valid = 4 * HOUR, preferred = 2 * HOUR, flags = 0xc0 }: Prefix): Uint8Array {
  const bytes = new Uint8Array(32);
  const view = new DataView(bytes.buffer);
  bytes.set([3, 4, length, flags]);
  view.setUint32(4, valid);
  view.setUint32(8, preferred);
  putWords(bytes, 16, wordsOf(prefix), 0);
  return bytes;
}

/** A frame with the advertisement of a router. */
function ra(options: Advertised = {}): Uint8Array {
  const { from = ROUTER6, lifetime = 1800, hopLimit = 0, reachable = 0, mtu = 0, mac = PEER_MAC, prefixes = [{}], hops = 255, code = 0, extra = new Uint8Array(0) } = options;
  const parts: Uint8Array[] = [new Uint8Array(8)];
  new DataView(parts[0]!.buffer as ArrayBuffer).setUint32(0, reachable);
  if (mac !== null) parts.push(Uint8Array.of(1, 1, ...mac));
  if (mtu > 0) parts.push(Uint8Array.of(5, 1, 0, 0, mtu >>> 24, (mtu >>> 16) & 255, (mtu >>> 8) & 255, mtu & 255));
  parts.push(...prefixes.map(prefixOption), extra);
  return packet6(58, icmp6(134, code, (hopLimit << 24) | lifetime, Uint8Array.from(Buffer.concat(parts)), from, ALL_NODES6), { from, to: ALL_NODES6, hopLimit: hops });
}

/** A host that follows the routers of its link. */
function follower(options: { secret?: Uint8Array; seed?: number; dadTransmits?: number; capabilities?: object } = {}): Host {
  const host = new Host(options.capabilities ?? {}, { slaac: { secret: options.secret ?? SECRET }, ...options });
  host.ip.announce();
  host.flush();
  return host;
}

/** The same, with what it has of a first advertisement in use. */
function settled(options: Advertised = {}): Host {
  const host = follower();
  host.receive(ra(options));
  host.wait(2);
  return host;
}

function address(host: Host, prefix = PREFIX): string {
  const found = host.ip.formed(0).find((text) => text.startsWith(prefix.slice(0, -1)));
  return found === undefined ? '' : found.slice(0, found.indexOf('/'));
}

function solicitations(sent: readonly Sent[]): Sent[] {
  return sent.filter(({ bytes }) => bytes[IP + 6] === 58 && bytes[UPPER] === 133);
}

function probes(sent: readonly Sent[]): string[] {
  return told6(sent).filter((text) => text.startsWith('who has') && text.includes('from :: '));
}

t.test('RFC 4861 6.3.7, RFC 7559 2: routers are asked for after up to a second, then ever more seldom, until one answers', async (t) => {
  const host = follower();
  const times: number[] = [];
  const start = host.now;
  let first: Sent | undefined;
  for (let last = start; host.now < start + 70e6;) {
    const sent = solicitations(host.wait((host.pollAt() - host.now) / 1e6));
    if (sent.length === 0) continue;
    first ??= sent[0];
    times.push((host.now - last) / 1e6);
    last = host.now;
  }
  t.ok(times[0]! <= 1);
  for (const [i, wait] of [4, 8, 16, 32].entries()) t.ok(Math.abs(times[i + 1]! / wait - 1) <= 0.1 + 1e-9, `${times[i + 1]} s`);
  t.ok(isIntact6(first!.bytes));
  t.equal(ipv6HopLimit(first!.bytes, IP), 255);
  t.equal(told6([first!])[0], 'packet for ff02::2, to group');
  const [later] = solicitations(host.wait(150));
  t.equal(later!.bytes.length, UPPER + 16, 'with the link address, once there is an address to send from');
  host.receive(ra());
  t.same(solicitations(host.wait(2 * HOUR)), []);
});

t.test('RFC 4862 5.5.3: an address is formed of an advertised prefix, probed for, and used', async (t) => {
  const host = follower();
  t.ok(host.ip.settling);
  t.same(host.ip.awaited, [{ from: 'slaac', answered: false }]);
  host.wait(3);
  t.ok(host.ip.settling, 'the link-local address alone is none that was asked for');
  t.same(host.ip.formed(0), []);
  const asked = probes([...host.receive(ra()), ...host.wait(0)]);
  t.equal(asked.length, 1);
  t.same(host.ip.awaited, []);
  const formed = /who has (\S+),/.exec(asked[0]!)![1]!;
  t.ok(formed.startsWith('2001:db8:5:'));
  t.notOk(host.ip.isLocal(wordsOf(formed), 0));
  host.receive(segment6(0, { to: formed }));
  t.same(host.transport.segments, []);
  host.wait(1);
  t.notOk(host.ip.settling);
  t.same(host.ip.formed(0), [`${formed}/64`]);
  host.receive(segment6(0, { to: formed }));
  t.equal(host.transport.segments.length, 1);
  const words = wordsOf(FAR6, '::');
  t.ok(host.ip.selectSource(words, 0, 4));
  t.equal(formatAddress(words, 4), formed);
  host.send(FAR6, { from: formed });
  t.same(told6(host.flush()), [`packet for ${FAR6}, to 2`], 'by the router, whose link address is known');
  t.equal(host.device.addresses.length, 3, 'the device knows them: two of IPv6, and that of IPv4');
});

t.test('RFC 4862 5.5.3: prefixes of which no address is formed', async (t) => {
  const host = follower();
  host.receive(ra({ prefixes: [
    { flags: 0x80 }, { prefix: 'fe80::' }, { prefix: 'ff02::' }, { valid: HOUR, preferred: 2 * HOUR }, { length: 63 }, { length: 65 }, { length: 129 }, { valid: 0, preferred: 0 },
  ] }));
  host.wait(3);
  t.same(host.ip.formed(0), []);
  t.ok(host.ip.settling);
  t.same(host.ip.awaited, [{ from: 'slaac', answered: true }]);
});

t.test('RFC 4862 5.5.3 (e): an advertisement prolongs an address, and does not shorten what is left of it below two hours', async (t) => {
  const host = settled({ prefixes: [{ valid: 10 * HOUR, preferred: 10 * HOUR }] });
  const formed = address(host);
  host.receive(ra({ prefixes: [{ valid: 1, preferred: 1 }] }));
  host.wait(HOUR);
  t.equal(address(host), formed, 'two hours are left');
  host.receive(ra({ prefixes: [{ valid: 1, preferred: 1 }] }));
  host.wait(HOUR - 10);
  t.equal(address(host), formed, 'and are not begun anew');
  host.receive(ra({ prefixes: [{ valid: 0, preferred: 0 }] }));
  host.wait(5);
  t.equal(address(host), formed);
  host.wait(10);
  t.equal(address(host), '', 'until they are over');
  const other = settled({ prefixes: [{ valid: HOUR, preferred: HOUR }] });
  other.receive(ra({ prefixes: [{ valid: 1.5 * HOUR, preferred: HOUR }] }));
  other.wait(1.25 * HOUR);
  t.not(address(other), '', 'more than what is left is taken, however short');
  other.receive(ra({ prefixes: [{ valid: 3 * HOUR, preferred: HOUR }] }));
  other.wait(2.9 * HOUR);
  t.not(address(other), '');
});

t.test('RFC 4862 5.5.4: a deprecated address serves on, new connections begin from others; one that is not valid any more is none', async (t) => {
  const host = settled({ lifetime: 9000, prefixes: [{ valid: 4 * HOUR, preferred: HOUR }, { prefix: OTHER_PREFIX, valid: 8 * HOUR, preferred: 8 * HOUR }] });
  const [old, fresh] = [address(host), address(host, OTHER_PREFIX)];
  const source = (to: string): string => {
    const words = wordsOf(to, '::');
    return host.ip.selectSource(words, 0, 4) ? formatAddress(words, 4) : '';
  };
  t.equal(source('2001:db8:5::9'), old);
  const revision = host.ip.revision;
  host.wait(HOUR);
  t.equal(source('2001:db8:5::9'), fresh, 'RFC 6724 5 rule 3');
  t.ok(host.ip.isLocal(wordsOf(old), 0));
  host.receive(segment6(0, { to: old }));
  t.equal(host.transport.segments.length, 1, 'what stands goes on');
  t.same(host.transport.withdrawals, []);
  t.equal(host.device.groups.includes(`3333${solicitedNode(old).replaceAll(':', '').slice(-8)}`), true);
  host.wait(3 * HOUR);
  t.same(host.transport.withdrawals, [old]);
  t.notOk(host.ip.isLocal(wordsOf(old), 0));
  t.same(host.ip.formed(0).length, 1);
  t.ok(host.ip.revision > revision);
  t.notOk(host.device.addresses.includes(Buffer.from(Uint8Array.from(wordsOf(old))).toString('hex')));
  const lone = settled({ prefixes: [{ valid: 4 * HOUR, preferred: 0 }] });
  const words = wordsOf('2001:db8:5::9', '::');
  t.ok(lone.ip.selectSource(words, 0, 4));
  t.equal(formatAddress(words, 4), address(lone), 'where there is no other it is better than none');
});

t.test('RFC 7217 5: the identifier is the same on one network, and another on each other one, interface and secret', async (t) => {
  const of = (secret: Uint8Array, mac: Uint8Array, prefix: string, counter = 0): string => {
    const words = new Int32Array(4);
    new InterfaceIdentifiers(secret, mac).form(wordsOf(prefix), counter, words);
    return formatAddress(words, 0);
  };
  const first = of(SECRET, OWN_MAC, PREFIX);
  t.equal(of(SECRET, OWN_MAC, PREFIX), first);
  const others = [of(SECRET.map((byte) => byte ^ 1), OWN_MAC, PREFIX), of(SECRET, OTHER_MAC, PREFIX), of(SECRET, OWN_MAC, OTHER_PREFIX), of(SECRET, OWN_MAC, PREFIX, 1)];
  t.equal(new Set([first, ...others].map((text) => text.slice(-19))).size, 5);
  t.equal(address(settled()), first);
  t.ok(isReserved(0, 0) && isReserved(0xfdffffff | 0, 0xffffff80 | 0) && isReserved(0xfdffffff | 0, -1), 'RFC 5453 3');
  t.notOk(isReserved(0, 1) || isReserved(0xfdffffff | 0, 0xffffff7f | 0));
});

t.test('RFC 7217 6, RFC 4862 5.4: an address that another station has is followed by another one, three times', async (t) => {
  const host = follower();
  let asked = probes([...host.receive(ra()), ...host.wait(0)]).filter((text) => text.includes('2001:db8:5:'));
  const tried: string[] = [];
  for (let i = 0; i < 4; i++) {
    const taken = /who has (\S+),/.exec(asked[0]!)![1]!;
    tried.push(taken);
    host.receive(advertisement(taken, { to: ALL_NODES6, flags: 0x20 }));
    t.notOk(host.ip.isLocal(wordsOf(taken), 0));
    if (i === 0) t.same(probes(host.wait(0.9)).filter((text) => text.includes('2001:db8:5:')), [], 'a second later');
    asked = probes(host.wait(i === 0 ? 0.15 : 1.05)).filter((text) => text.includes('2001:db8:5:'));
  }
  t.equal(new Set(tried).size, 4);
  t.same(asked, []);
  t.same([host.ip.settling, host.ip.duplicates], [false, [tried[3]]]);
  t.equal(host.stats.NdpDuplicates, 4);
  const lucky = follower();
  const [one] = probes([...lucky.receive(ra()), ...lucky.wait(0)]).filter((text) => text.includes('2001:db8:5:'));
  lucky.receive(solicitation('::', /who has (\S+),/.exec(one!)![1]!, { mac: null }));
  lucky.wait(3);
  t.same([lucky.ip.settling, lucky.ip.duplicates, lucky.ip.formed(0).length], [false, [], 1]);
});

t.test('RFC 4861 6.1.2: advertisements that are not believed', async (t) => {
  const host = follower();
  const wrong: [string, Uint8Array][] = [
    ['from beyond a router', ra({ hops: 254 })],
    ['from no link-local address', ra({ from: '2001:db8:5::1' })],
    ['with a code', ra({ code: 1 })],
    ['with an option of no length', ra({ extra: Uint8Array.of(3, 0, 0, 0, 0, 0, 0, 0) })],
    ['with an option that leads beyond the end', ra({ extra: Uint8Array.of(3, 4, 64, 0xc0, 0, 0, 0, 0) })],
  ];
  for (const [name, frame] of wrong) {
    const before = host.stats.Icmp6InErrors;
    host.receive(frame);
    t.equal(host.stats.Icmp6InErrors, before + 1, name);
  }
  t.same(host.ip.awaited, [{ from: 'slaac', answered: false }]);
  const deaf = new Host({}, { addresses: ['2001:db8::1/64'] });
  deaf.ip.announce();
  deaf.receive(ra());
  deaf.wait(3);
  t.equal(deaf.send(FAR6, { from: '2001:db8::1' }), NO_ROUTE, 'where addresses are configured routers are, too');
});

t.test('RFC 4861 6.3.4: default routers, what is on the link, MTU, hop limit and reachable time', async (t) => {
  const host = settled({ mtu: 1400, hopLimit: 200, reachable: 10_000, prefixes: [{ flags: 0x40 }, { prefix: OTHER_PREFIX, length: 48, flags: 0x80 }] });
  const own = address(host);
  const nextHop = (to: string): string[] => {
    host.send(to, { from: own });
    return told6(host.flush());
  };
  t.same(nextHop('2001:db8:5::9'), ['packet for 2001:db8:5::9, to 2'], 'RFC 5942: an address says nothing of what is on the link');
  t.match(nextHop('2001:db8:6:1::9'), [/^who has 2001:db8:6:1::9/], 'a prefix of any length does');
  t.equal(host.ip.mtu(wordsOf(FAR6), 0), 1400);
  t.equal(host.ip.mtu(wordsOf('198.18.0.2'), 0), 1500, 'of IPv6 alone');
  host.send(FAR6, { from: own });
  t.equal(ipv6HopLimit(host.flush()[0]!.bytes, IP), 200);
  for (const mtu of [1279, 1501, 0xffffffff]) host.receive(ra({ mtu, hopLimit: 1 }));
  t.equal(host.ip.mtu(wordsOf(FAR6), 0), 1400, 'none that IPv6 or the link does not have');
  host.send(FAR6, { from: own });
  t.equal(ipv6HopLimit(host.flush()[0]!.bytes, IP), 64, 'and no hop limit that ends connections');
  host.receive(ra({ lifetime: 0 }));
  t.equal(host.send(FAR6, { from: own }), NO_ROUTE, 'a router that says it is none any more');
  host.receive(ra({ lifetime: 30, prefixes: [{ prefix: OTHER_PREFIX, length: 48, flags: 0x80, valid: 0, preferred: 0 }] }));
  t.same(nextHop('2001:db8:6:1::9'), ['packet for 2001:db8:6:1::9, to 2'], 'that prefix is on the link no more');
  host.wait(31);
  t.equal(host.send(FAR6, { from: own }), NO_ROUTE, 'its time is over');
});

t.test('RFC 4861 6.3.6: where a router does not answer another one is taken', async (t) => {
  const host = settled({ mac: null });
  host.receive(ra({ from: 'fe80::fd', mac: OTHER_MAC }));
  const own = address(host);
  host.send(FAR6, { from: own });
  t.match(told6(host.flush()), [/^who has fe80::fe/]);
  host.wait(4);
  host.send(FAR6, { from: own });
  t.same(told6(host.flush()), [`packet for ${FAR6}, to 3`]);
});

t.test('what routers make a host keep is bounded', async (t) => {
  const host = follower();
  for (let i = 0; i < 40; i++) host.receive(ra({ from: `fe80::${(i + 1).toString(16)}`, prefixes: [{ prefix: `2001:db8:${(i + 1).toString(16)}::` }] }));
  host.wait(3);
  t.equal(host.ip.formed(0).length, ADDRESSES_MOST);
  t.ok(host.device.groups.length <= ADDRESSES_MOST + 2);
  host.wait(5 * HOUR);
  t.same(host.ip.formed(0), []);
  t.equal(host.device.groups.length, 2, 'the groups of addresses that are none any more are left');
  t.ok(ROUTERS_MOST > 0 && PREFIXES_MOST > 0);
  t.ok(host.stats.Icmp6InErrors === 0 && ALL_MAC.length === 6);
});

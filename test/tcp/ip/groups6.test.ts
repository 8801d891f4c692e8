/** Multicast listener discovery: how a host tells the link of the groups that it is in. */
import t from 'tap';
import { Mld } from '../../../lib/tcp/ip/mld.js';
import { IpStats } from '../../../lib/tcp/ip/stats.js';
import { get16 } from '../../../lib/tcp/wire/bytes.js';
import { pseudoHeader6, verify } from '../../../lib/tcp/wire/checksum.js';
import { ipv6HopLimit } from '../../../lib/tcp/wire/ipv6.js';
import { mldMaximumDelay } from '../../../lib/tcp/wire/mld.js';
import { randomOf } from '../../support/random.js';
import { FakeDevice, Host, OWN_MAC, PEER_MAC, dueAt, wordsOf } from './network.js';
import { IP, OWN6, UPPER, groupFrames6, groups6, host6, packet6, query6, solicitedNode } from './network6.js';

const GROUP = solicitedNode(OWN6);
const ALL_ROUTERS = 'ff02::16';

/** A host whose groups are told of, and its link-local address. */
function settled(): { host: Host; local: string; localGroup: string } {
  const host = host6();
  const told = groups6(host.receive(query6('::', 2, 0)).concat(host.wait(0)))[0]!;
  const local = /from (\S+) to/.exec(told)![1]!;
  host.wait(10);
  return { host, local, localGroup: solicitedNode(local) };
}

t.test('RFC 3810 6.1: a group that was joined is told of at once, and once more within a second', async (t) => {
  const host = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 2 });
  host.ip.announce();
  const sent = host.flush();
  const first = groups6(sent);
  t.equal(first.length, 1);
  t.match(first[0], `to ex ${GROUP}`);
  t.match(first[0], `from :: to ${ALL_ROUTERS}`);
  t.ok(sent.indexOf(groupFrames6(sent)[0]!) < sent.findIndex(({ bytes }) => bytes[UPPER] === 135), 'before the address is asked for');
  const again = groups6(host.wait(1));
  t.equal(again.filter((text) => text.includes(`to ex ${GROUP}`)).length, 1);
  t.equal(host.stats.Icmp6OutMLDv2Reports, 1 + again.length);
});

t.test('the report itself', async (t) => {
  const host = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 2 });
  host.ip.announce();
  const { bytes } = groupFrames6(host.flush())[0]!;
  t.equal(Buffer.from(bytes.subarray(0, 14)).toString('hex'), '333300000016' + Buffer.from(OWN_MAC).toString('hex') + '86dd');
  t.equal(ipv6HopLimit(bytes, IP), 1);
  t.equal(Buffer.from(bytes.subarray(UPPER, UPPER + 8)).toString('hex'), '3a00050200000100', 'a router alert');
  const length = get16(bytes, IP + 4) - 8;
  t.equal(bytes.length, UPPER + 8 + length);
  t.ok(verify(pseudoHeader6(wordsOf('::', ALL_ROUTERS), 0, 4, 58, length), bytes, UPPER + 8, length));
  t.equal(length, 8 + 2 * 20, 'of two groups, one for each address');
});

t.test('RFC 3590 4: from no address while there is none, and again once there is a link-local one', async (t) => {
  const host = new Host({}, { addresses: [`${OWN6}/64`], dadTransmits: 1 });
  host.ip.announce();
  t.match(groups6(host.flush()), [/from :: to/]);
  const later = groups6(host.wait(5));
  const local = later.filter((text) => /from fe80::\S+ to ff02::16/.test(text));
  t.ok(local.some((text) => text.includes(`to ex ${GROUP}`)));
  t.match(later.at(-1), /from fe80::/);
});

t.test('RFC 3810 6.2: a query for all groups is answered by one report, within the time it gives', async (t) => {
  const { host, local, localGroup } = settled();
  t.same(groups6(host.receive(query6('::', 2, 10_000))), []);
  const due = host.pollAt() - host.now;
  t.ok(due > 0 && due <= 10e6);
  t.same(groups6(host.wait(10)).map((text) => text.split(', ').sort()), [[`ex ${GROUP}`, `ex ${localGroup}`, `from ${local} to ${ALL_ROUTERS}`].sort()]);
  t.same(groups6(host.wait(100)), [], 'once');
});

t.test('RFC 3810 6.2: a query for one group is answered for that one, and only by its members', async (t) => {
  const { host, local } = settled();
  host.receive(query6(GROUP, 2, 1000));
  t.same(groups6(host.wait(1)), [`ex ${GROUP}, from ${local} to ${ALL_ROUTERS}`]);
  const other = query6('ff02::1:ff99:9999', 2, 1000, { to: 'ff02::1' });
  host.receive(other);
  t.same(groups6(host.wait(2)), []);
  t.ok(host.stats.Icmp6InGroupMembQueries >= 3);
});

t.test('RFC 3810 6.2: of two queries the nearer time stands', async (t) => {
  const { host } = settled();
  host.receive(query6('::', 2, 32_000));
  host.receive(query6('::', 2, 10));
  t.equal(groups6(host.wait(0.011)).length, 1);
  t.same(groups6(host.wait(40)), []);
});

t.test('RFC 3810 5.1.14: queries that are not valid are counted and not answered', async (t) => {
  const { host } = settled();
  const errors = host.stats.Icmp6InErrors;
  const bad = {
    'not from a link-local address': query6('::', 2, 100, { from: '2001:db8::99' }),
    'has crossed a router': query6('::', 2, 100, { hopLimit: 64 }),
    'no router alert': query6('::', 2, 100, { routerAlert: false }),
    'no options at all': packet6(58, query6('::', 2, 100).subarray(UPPER + 8), { from: 'fe80::fe', to: 'ff02::1', hopLimit: 1 }),
  };
  let count = 0;
  for (const [what, frame] of Object.entries(bad)) {
    host.receive(frame);
    t.equal(host.stats.Icmp6InErrors, errors + ++count, what);
  }
  t.same(groups6(host.wait(5)), []);
});

t.test('RFC 3810 8.2.1, RFC 2710 4: while a router of version 1 is there, its version is spoken', async (t) => {
  const { host, local, localGroup } = settled();
  host.receive(query6('::', 1, 5000));
  t.same(groups6(host.wait(5)).sort(), [
    `report ${GROUP}, from ${local} to ${GROUP}`, `report ${localGroup}, from ${local} to ${localGroup}`,
  ].sort(), 'a report for each group, to the group');
  host.receive(query6('::', 2, 100));
  t.match(groups6(host.wait(1)), [/^report /, /^report /], 'even to one of version 2');
  host.wait(261);
  host.receive(query6('::', 2, 100));
  t.match(groups6(host.wait(1)), [/^ex /], 'until it has not been heard of for 260 s');
});

/** What tells of groups by itself, on a device of its own. */
function mld(): { device: FakeDevice; stats: IpStats; groups: Mld; flush: () => string[] } {
  const device = new FakeDevice({});
  const stats = new IpStats();
  const groups = new Mld(device, OWN_MAC, stats, randomOf(1), (words, at) => {
    words.set(wordsOf('fe80::1'), at);
    return true;
  });
  const flush = (): string[] => {
    device.flush();
    return groups6(device.sent.splice(0));
  };
  return { device, stats, groups, flush };
}

t.test('RFC 3810 6.1: a group that was left is told of twice, and forgotten', async (t) => {
  const { groups, flush } = mld();
  const group = wordsOf('ff02::1:ff00:1');
  groups.join(group);
  groups.join(group);
  groups.advance(1);
  groups.advance(2_000_000);
  t.same(flush(), Array(2).fill('to ex ff02::1:ff00:1, from fe80::1 to ff02::16'));
  t.equal(dueAt(groups), Infinity);
  t.notOk(groups.leave(group), 'another address has the same group');
  t.ok(groups.leave(group));
  groups.advance(3_000_000);
  groups.advance(5_000_000);
  groups.advance(9_000_000);
  t.same(flush(), Array(2).fill('to in ff02::1:ff00:1, from fe80::1 to ff02::16'));
  t.equal(dueAt(groups), Infinity);
  t.notOk(groups.leave(group), 'it is not there any more');
  groups.join(group);
  groups.advance(10_000_000);
  t.equal(flush().length, 1);
});

t.test('RFC 2710 4: a router of version 1 is told once that a group was left', async (t) => {
  const { groups, flush } = mld();
  const group = wordsOf('ff02::1:ff00:1');
  groups.join(group);
  groups.advance(1);
  groups.advance(2_000_000);
  flush();
  const query = query6('::', 1, 0).subarray(UPPER + 8);
  t.ok(groups.receive(query, 0, query.length, wordsOf('fe80::fe', 'ff02::1'), 3_000_000));
  groups.advance(3_000_000);
  t.same(flush(), ['report ff02::1:ff00:1, from fe80::1 to ff02::1:ff00:1']);
  groups.leave(group);
  groups.advance(4_000_000);
  t.same(flush(), ['done ff02::1:ff00:1, from fe80::1 to ff02::2']);
  t.equal(dueAt(groups), Infinity);
});

t.test('more groups than one report carries', async (t) => {
  const { groups, flush } = mld();
  for (let i = 0; i < 200; i++) groups.join(wordsOf(`ff02::1:ff00:${i.toString(16)}`));
  groups.advance(1);
  const told = flush();
  t.equal(told.length, 3, '72 records in 1,500 bytes');
  t.equal(told.join(', ').match(/to ex/g)!.length, 200);
});

t.test('a report that the link has no room for is counted, and the group is told of with the next one', async (t) => {
  const { device, stats, groups, flush } = mld();
  device.batch = 0;
  groups.join(wordsOf('ff02::1:ff00:1'));
  groups.advance(1);
  t.same([stats.Ip6OutDiscards, stats.Icmp6OutMLDv2Reports], [1, 0]);
  device.batch = 4;
  groups.advance(2_000_000);
  t.same(flush(), ['to ex ff02::1:ff00:1, from fe80::1 to ff02::16']);
});

t.test('the longest delay: milliseconds, and for longer ones a floating-point number in version 2', async (t) => {
  const delay = (code: number, length: number): number => mldMaximumDelay(Uint8Array.of(130, 0, 0, 0, code >> 8, code & 255), 0, length);
  t.equal(delay(0x7fff, 28), 32_767);
  t.equal(delay(0x8000, 28), 0x1000 << 3);
  t.equal(delay(0xffff, 28), 0x1fff << 10);
  t.equal(delay(0xffff, 24), 65_535);
});

t.test('a query for another host does no harm', async (t) => {
  const { host } = settled();
  const frame = query6('::', 2, 100, { to: 'ff02::1' });
  frame.set(PEER_MAC, 0);
  t.same(groups6(host.receive(frame)), []);
});

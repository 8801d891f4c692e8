/** An IPv4 address that is leased (RFC 2131), and what is done before an address is used (RFC 5227 2.1.1). */
import t from 'tap';
import { NO_ROUTE } from '../../../lib/tcp/transport.js';
import { parseDotted } from '../../../lib/tcp/wire/address.js';
import { get16, get32 } from '../../../lib/tcp/wire/bytes.js';
import { ACK, LEASED, NAK, OFFER, SERVER, addressOption, asked, frameOf, message, reply, types, wordOption } from './dhcp_server.js';
import type { Asked, ReplyOptions } from './dhcp_server.js';
import { ALL_MAC, FAR, Host, OTHER_MAC, OWN, OWN_MAC, PEER, PEER_MAC, arp, segment, wordsOf } from './network.js';
import type { Sent } from './network.js';

const CLIENT = { clientId: null };

/** ARP packets that were sent, as "sender asks for target". */
function arps(sent: readonly Sent[]): string[] {
  const dotted = (bytes: Uint8Array, at: number): string => [...bytes.subarray(at, at + 4)].join('.');
  return sent.filter(({ bytes }) => get16(bytes, 12) === 0x0806).map(({ bytes }) => `${dotted(bytes, 28)} asks for ${dotted(bytes, 38)}`);
}

/** A client that has begun, and its first message. */
function begun(options: ConstructorParameters<typeof Host>[1] = {}): { host: Host; discover: Asked } {
  const host = new Host({}, { dhcp: CLIENT, ...options });
  host.ip.announce();
  return { host, discover: asked(host.flush())[0]! };
}

/** A client whose address was acknowledged; the probe is still to come. */
function acknowledged(options: ReplyOptions = {}): { host: Host; request: Asked } {
  const { host, discover } = begun();
  const [request] = asked(host.receive(reply(OFFER, discover, options)));
  host.receive(reply(ACK, request!, options));
  return { host, request: request! };
}

/** A client that uses its address, with its announcements behind it. Seven seconds have passed since the acknowledgement. */
function bound(options: ReplyOptions = {}): { host: Host; request: Asked } {
  const client = acknowledged(options);
  client.host.wait(7);
  client.host.wait(3);
  return client;
}

t.test('RFC 2131 4.4.1, 4.4.4: DISCOVER and REQUEST go to all, from no address, the request with what was offered and by whom', async (t) => {
  const { host, discover } = begun();
  t.match(discover, { type: 'DISCOVER', ciaddr: '0.0.0.0', from: '0.0.0.0', to: '255.255.255.255', at: 255, secs: 0 });
  t.equal(discover.options.get(61), `01${Buffer.from(OWN_MAC).toString('hex')}`, 'the client identifier is the link address');
  t.equal(discover.options.get(55)!.slice(0, 6), '017903', 'RFC 3442: its routes are asked for before the routers');
  t.notOk(discover.options.has(50));
  t.ok(Number.parseInt(discover.options.get(57)!, 16) >= 576);
  host.wait(2);
  const [request] = asked(host.receive(reply(OFFER, discover)));
  t.match(request, { type: 'REQUEST', ciaddr: '0.0.0.0', from: '0.0.0.0', to: '255.255.255.255', at: 255, secs: 0, xid: discover.xid });
  t.equal(request!.options.get(50), Buffer.from(LEASED.split('.').map(Number)).toString('hex'));
  t.equal(request!.options.get(54), Buffer.from(SERVER.split('.').map(Number)).toString('hex'));
  t.ok(host.ip.settling);
  t.equal(host.ip.leased(0), null);
  const named = begun({ dhcp: { clientId: Uint8Array.of(0, 0x61, 0x62) } });
  t.equal(named.discover.options.get(61), '006162');
});

t.test('RFC 2131 4.4.1, RFC 5227 2.1.1: the address that was given is probed for three times, then used and announced', async (t) => {
  const { host } = acknowledged({ more: [addressOption(3, '198.18.0.254')] });
  t.notOk(host.ip.isLocal(wordsOf(LEASED), 0));
  const started = host.now;
  const sent: [number, string][] = [];
  while (!host.ip.isLocal(wordsOf(LEASED), 0)) {
    const at = host.pollAt();
    for (const text of arps(host.wait((at - host.now) / 1e6))) sent.push([(host.now - started) / 1e6, text]);
  }
  t.same(sent.map(([, text]) => text), [...Array<string>(3).fill(`0.0.0.0 asks for ${LEASED}`), `${LEASED} asks for ${LEASED}`]);
  const times = sent.map(([at]) => at);
  t.ok(times[0]! <= 1 && times[1]! - times[0]! >= 1 && times[1]! - times[0]! <= 2 && times[2]! - times[1]! >= 1 && times[2]! - times[1]! <= 2, `${times}`);
  t.equal(Math.round((times[3]! - times[2]!) * 1e6), 2e6, 'two seconds behind the last probe');
  t.same(arps(host.wait(2)), [`${LEASED} asks for ${LEASED}`], 'announced once more');
  t.notOk(host.ip.settling);
  t.equal(host.ip.leased(0), `${LEASED}/24`);
  t.same(host.device.addresses, [Buffer.from(LEASED.split('.').map(Number)).toString('hex')], 'the device knows it');
  host.receive(segment(0, PEER, LEASED));
  t.equal(host.transport.segments.length, 1);
  const words = wordsOf(FAR, '::');
  t.ok(host.ip.selectSource(words, 0, 4), 'there is a router');
  t.same(arps(host.receive(arp(1, PEER, PEER_MAC, LEASED, ALL_MAC))).length, 1, 'who asks for it is answered');
  t.equal(host.ip.revision > 0, true);
});

t.test('RFC 2131 4.1: messages are sent again after 4, 8, 16, 32 and 64 s, each a second more or less', async (t) => {
  const { host } = begun();
  let last = host.now;
  for (const seconds of [4, 8, 16, 32, 64, 64]) {
    const at = host.pollAt();
    t.ok(Math.abs((at - last) / 1e6 - seconds) <= 1, `${(at - last) / 1e6} s`);
    const [again] = asked(host.wait((at - host.now) / 1e6));
    t.match(again, { type: 'DISCOVER', secs: Math.floor((at - 1e6) / 1e6) });
    last = at;
  }
  const seeds = new Set([1, 2, 3, 4].map((seed) => Math.round(begun({ seed }).host.pollAt())));
  t.equal(seeds.size, 4, 'not in step with others');
  const { host: silent, discover } = begun();
  t.same(types(silent.receive(reply(OFFER, discover))), ['REQUEST']);
  const sent = types(silent.wait(70));
  t.same(sent.slice(0, 4), ['REQUEST', 'REQUEST', 'REQUEST', 'DISCOVER'], 'a server that acknowledges nothing is given up after four');
});

t.test('RFC 2131 4.4.5: the lease is extended from its half on by its server, from seven eighths on by any, and ends at its end', async (t) => {
  const { host } = bound({ lease: 800 });
  const start = host.now - 10e6;
  t.equal(Math.round((host.pollAt() - start) / 1e6), 400);
  const renewal = asked(host.wait(391));
  t.match(renewal, [{ type: 'REQUEST', ciaddr: LEASED, from: LEASED, to: SERVER, at: 2 }]);
  t.notOk(renewal[0]!.options.has(50) || renewal[0]!.options.has(54), 'RFC 2131 table 5: neither is named');
  const times: number[] = [];
  let rebinding: Asked[] = [];
  for (let i = 0; host.now < start + 699e6 && i < 20; i++) {
    const messages = asked(host.wait((host.pollAt() - host.now) / 1e6));
    if (messages[0]?.to === '255.255.255.255') rebinding = messages;
    else times.push(Math.round((host.now - start) / 1e6));
  }
  t.same(times, [550, 625, 685], 'half of what is left, a minute at least');
  t.match(rebinding, [{ type: 'REQUEST', ciaddr: LEASED, from: LEASED, to: '255.255.255.255', at: 255 }]);
  host.receive(reply(ACK, rebinding[0]!, { lease: 800, server: '198.18.0.3' }));
  t.equal(host.stats.DhcpRenewals, 1);
  t.equal(Math.round((host.pollAt() - host.now) / 1e6), 400, 'the lease counts from the request');
  t.same(host.transport.withdrawals, []);
  const revision = host.ip.revision;
  const sent = asked(host.wait(800));
  t.ok(sent.length > 4);
  t.same(host.transport.withdrawals, [LEASED], 'the connections from it end');
  t.equal(host.ip.leased(0), null);
  t.equal(host.send(PEER, { from: LEASED }), NO_ROUTE);
  t.same(host.device.addresses, []);
  t.equal(host.ip.revision, revision + 1);
  t.equal(sent[sent.length - 1]!.type, 'DISCOVER', 'and it begins anew');
  t.same(arps(host.receive(arp(1, PEER, PEER_MAC, LEASED, ALL_MAC))), [], 'who asks for it gets no answer');
});

t.test('RFC 2131 4.4.5: times that the server tells, times that make no sense, and a lease for ever', async (t) => {
  const told = bound({ lease: 800, more: [wordOption(58, 100), wordOption(59, 200)] });
  t.equal(Math.round((told.host.pollAt() - told.host.now) / 1e6), 90);
  const twisted = bound({ lease: 800, more: [wordOption(58, 790), wordOption(59, 100)] });
  t.equal(Math.round((twisted.host.pollAt() - twisted.host.now) / 1e6), 390);
  const ever = bound({ lease: 0xffffffff });
  t.equal(ever.host.pollAt(), Infinity);
  t.same(ever.host.wait(1e6), []);
  t.equal(ever.host.ip.leased(0), `${LEASED}/24`);
});

t.test('RFC 2131 4.4.5: a renewal that brings other settings changes them, and no connection', async (t) => {
  const { host } = bound({ more: [addressOption(3, '198.18.0.254')] });
  host.receive(arp(2, '198.18.0.254', OTHER_MAC, LEASED));
  const revision = host.ip.revision;
  const [renewal] = asked(host.wait(1800));
  host.receive(reply(ACK, renewal!, { more: [addressOption(3, '198.18.0.253'), [26, 1400 >> 8, 1400 & 255]] }));
  t.equal(host.ip.revision, revision + 1);
  t.equal(host.ip.mtu(wordsOf(PEER), 0), 1400);
  host.send(FAR, { from: LEASED });
  t.same(arps(host.flush()), [`${LEASED} asks for 198.18.0.253`]);
  const [again] = asked(host.wait(1800));
  host.receive(reply(ACK, again!, { more: [addressOption(3, '198.18.0.253'), [26, 1400 >> 8, 1400 & 255]] }));
  t.equal(host.ip.revision, revision + 1, 'the same again: nothing has changed');
  t.same(host.transport.withdrawals, []);
});

t.test('RFC 2131 3.1: a NAK takes the address away, and everything begins anew', async (t) => {
  const { host } = bound();
  const [renewal] = asked(host.wait(1800));
  t.same(types(host.receive(reply(NAK, renewal!))), []);
  t.same(host.transport.withdrawals, [LEASED]);
  t.same(types(host.wait(0)), ['DISCOVER']);
  const { host: other, discover } = begun();
  const [request] = asked(other.receive(reply(OFFER, discover)));
  other.receive(reply(NAK, request!, { server: '198.18.0.9' }));
  t.same(types(other.wait(0)), [], 'that of another server than the one that was chosen is passed over');
  other.receive(reply(NAK, request!));
  const [second] = asked(other.wait(0));
  t.equal(second!.type, 'DISCOVER');
  const [again] = asked(other.receive(reply(OFFER, second!)));
  other.receive(reply(NAK, again!));
  t.same(types(other.wait(2)), [], 'not at once where it happens again and again');
  t.same(types(other.wait(4)), ['DISCOVER']);
  t.same(other.transport.withdrawals, []);
});

t.test('RFC 2131 3.1, RFC 5227 2.1.1: an address that another station has is declined, and another asked for ten seconds later', async (t) => {
  for (const [name, frame] of [
    ['it answers', arp(2, LEASED, OTHER_MAC, '0.0.0.0')],
    ['it asks for something else', arp(1, LEASED, OTHER_MAC, PEER, ALL_MAC)],
    ['it probes for the same', arp(1, '0.0.0.0', OTHER_MAC, LEASED, ALL_MAC)],
  ] as const) {
    const { host, request } = acknowledged();
    host.wait(1.5);
    const [decline] = asked(host.receive(frame));
    t.match(decline, { type: 'DECLINE', from: '0.0.0.0', to: '255.255.255.255', ciaddr: '0.0.0.0' }, name);
    t.equal(decline!.options.get(50), request.options.get(50));
    t.equal(decline!.options.get(54), request.options.get(54));
    t.same(host.ip.conflict, { address: LEASED, mac: '02:00:00:00:00:03' });
    t.notOk(host.ip.isLocal(wordsOf(LEASED), 0));
    t.same(types(host.wait(9.9)), []);
    t.same(types(host.wait(0.2)), ['DISCOVER']);
  }
  const { host } = acknowledged();
  host.wait(1.5);
  t.same(host.receive(arp(1, '0.0.0.0', OWN_MAC, LEASED, ALL_MAC), arp(1, PEER, PEER_MAC, LEASED, ALL_MAC)), [], 'our own probe, and who looks for the address');
  host.wait(6);
  t.ok(host.ip.isLocal(wordsOf(LEASED), 0));
});

t.test('RFC 5227 2.1.1: after ten conflicts addresses are tried once a minute', async (t) => {
  const { host, discover } = begun();
  let message = discover;
  for (let i = 1; i <= 11; i++) {
    const [request] = asked(host.receive(reply(OFFER, message)));
    host.receive(reply(ACK, request!));
    host.receive(arp(1, LEASED, OTHER_MAC, PEER, ALL_MAC));
    const wait = i < 10 ? 10 : 60;
    t.equal(Math.round((host.pollAt() - host.now) / 1e6), wait);
    message = asked(host.wait(wait))[0]!;
  }
});

t.test('RFC 5227 2.1.1: a configured address is probed for where that is asked for', async (t) => {
  const host = new Host({}, { probe: true });
  host.ip.announce();
  t.ok(host.ip.settling);
  t.notOk(host.ip.isLocal(wordsOf(OWN), 0));
  host.receive(segment());
  t.same(host.transport.segments, []);
  t.same(arps(host.wait(7)), [...Array<string>(3).fill(`0.0.0.0 asks for ${OWN}`), `${OWN} asks for ${OWN}`]);
  t.notOk(host.ip.settling);
  t.ok(host.ip.isLocal(wordsOf(OWN), 0));
  t.equal(host.ip.conflict, null);

  const taken = new Host({}, { probe: true });
  taken.ip.announce();
  taken.wait(1);
  taken.receive(arp(2, OWN, OTHER_MAC, '0.0.0.0'));
  taken.wait(20);
  t.notOk(taken.ip.settling);
  t.same(taken.ip.conflict, { address: OWN, mac: '02:00:00:00:00:03' });
  t.notOk(taken.ip.isLocal(wordsOf(OWN), 0), 'it is never used');
  t.equal(taken.stats.ArpInConflicts, 1);
});

t.test('RFC 2131 4.4.6: a lease is given back to its server, and nothing asked for any more', async (t) => {
  const { host } = bound();
  host.ip.leave();
  const [release, ...others] = asked(host.flush());
  t.match(release, { type: 'RELEASE', ciaddr: LEASED, from: LEASED, to: SERVER, at: 2 });
  t.equal(release!.options.get(54), Buffer.from(SERVER.split('.').map(Number)).toString('hex'));
  t.same(others, []);
  t.equal(host.pollAt(), Infinity);
  const { host: early } = acknowledged();
  early.ip.leave();
  t.same(asked(early.flush()), [], 'an address that was never used was never had');
});

t.test('RFC 2131 4.4.1: what is no answer to this client, or no lease, is passed over', async (t) => {
  const { host, discover } = begun();
  const wrong: [string, Uint8Array][] = [
    ['another transaction', reply(OFFER, discover, { xid: discover.xid ^ 1 })],
    ['another client', reply(OFFER, discover, { mac: OTHER_MAC })],
    ['no magic cookie', reply(OFFER, discover, { cookie: 0x63825362 })],
    ['no server identifier', reply(OFFER, discover, { server: null })],
    ['no lease time', reply(OFFER, discover, { lease: null })],
    ['a lease of a second', reply(OFFER, discover, { lease: 1 })],
    ['the address of nobody', reply(OFFER, discover, { address: '0.0.0.0', broadcast: true })],
    ['a group', reply(OFFER, discover, { address: '224.0.0.9', broadcast: true })],
    ['loopback', reply(OFFER, discover, { address: '127.0.0.9', broadcast: true })],
    ['the network', reply(OFFER, discover, { address: '198.18.0.0' })],
    ['the broadcast address of the network', reply(OFFER, discover, { address: '198.18.0.255' })],
    ['an acknowledgement of what was not asked for', reply(ACK, discover)],
    ['a NAK of what was not asked for', reply(NAK, discover)],
    ['a request of another client', reply(3, discover)],
    ['options that lead beyond the end', frameOf(message(OFFER, discover.xid).subarray(0, 250))],
  ];
  for (const [name, frame] of wrong) t.same(host.receive(frame), [], name);
  t.equal(host.stats.DhcpInErrors, wrong.length);
  const damaged = reply(OFFER, discover);
  damaged[damaged.length - 3]! ^= 1;
  t.same(host.receive(damaged), [], 'a checksum that is wrong');
  t.same(types(host.receive(reply(OFFER, discover, { broadcast: true }))), ['REQUEST'], 'to all stations it is good as well');
  t.same(host.receive(reply(OFFER, discover)), [], 'a second offer comes too late');
  t.equal(host.stats.IcmpOutDestUnreachs, 0);
});

t.test('RFC 2131 4.1: options go on in the fields for names where the server says so', async (t) => {
  const { host, discover } = begun();
  const bytes = message(OFFER, discover.xid, { lease: null, mask: null, more: [[52, 3]] });
  bytes.set([51, 4, 0, 0, 1, 0, 255], 108);
  bytes.set([1, 4, 255, 255, 0, 0, 255], 44);
  const [request] = asked(host.receive(frameOf(bytes)));
  t.equal(request!.type, 'REQUEST');
  bytes[242] = ACK;
  host.receive(frameOf(bytes));
  host.wait(7);
  t.equal(host.ip.leased(0), `${LEASED}/16`);
});

t.test('RFC 2132 5.1, 3.3: an MTU within bounds, a mask, and the one of its class where there is none', async (t) => {
  for (const [mtu, effect] of [[1400, 1400], [576, 576], [575, 1500], [68, 1500], [9000, 1500]] as const) {
    const { host } = bound({ more: [[26, mtu >> 8, mtu & 255]] });
    t.equal(host.ip.mtu(wordsOf(PEER), 0), effect, `${mtu}`);
  }
  t.equal(bound({ mask: null }).host.ip.leased(0), `${LEASED}/24`);
  t.equal(bound({ mask: null, address: '10.1.2.3' }).host.ip.leased(0), '10.1.2.3/8');
  t.equal(bound({ mask: null, address: '172.16.2.3' }).host.ip.leased(0), '172.16.2.3/16');
  t.equal(bound({ mask: '255.0.255.0' }).host.ip.leased(0), `${LEASED}/24`, 'no mask');
});

t.test('RFC 3442: classless routes, in parts, stand in place of the routers', async (t) => {
  const { host } = bound({ more: [
    addressOption(3, '198.18.0.254'),
    [121, 24, 203, 0, 113, 198, 18, 0, 253, 32, 192, 0],
    [121, 2, 9, 198, 18, 0, 252, 16, 10, 9, 0, 0, 0, 0],
  ] });
  const nextHop = (to: string): string[] => {
    host.send(to, { from: LEASED });
    return arps(host.flush());
  };
  t.same(nextHop('203.0.113.7'), [`${LEASED} asks for 198.18.0.253`]);
  t.same(nextHop('192.0.2.9'), [`${LEASED} asks for 198.18.0.252`]);
  t.same(nextHop('10.9.8.7'), [`${LEASED} asks for 10.9.8.7`], 'on the link');
  t.same(nextHop('198.18.0.9'), [`${LEASED} asks for 198.18.0.9`]);
  t.equal(host.send('192.0.2.10', { from: LEASED }), NO_ROUTE, 'the router of option 3 does not count');
  const full = bound({ more: [[121, 0, 198, 18, 0, 251]] });
  full.host.send('192.0.2.10', { from: LEASED });
  t.same(arps(full.host.flush()), [`${LEASED} asks for 198.18.0.251`], 'a default route');
  t.equal(get32(Uint8Array.from(LEASED.split('.').map(Number)), 0), parseDotted(LEASED));
});

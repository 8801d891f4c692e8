/** An interface that is shared with a kernel: its neighbours and routes hold, and nobody hears from here what is the kernel's to say. */
import t from 'tap';
import type { HostEvents, HostNetwork, HostRoute } from '../../../lib/nic/device.js';
import { Clock } from '../../../lib/tcp/clock.js';
import { TCB_WORDS } from '../../../lib/tcp/conn/tcb_words.js';
import { EHOSTUNREACH, ENETUNREACH } from '../../../lib/tcp/errno.js';
import { Stack } from '../../../lib/tcp/stack.js';
import { NO_ROUTE } from '../../../lib/tcp/transport.js';
import { formatAddress } from '../../../lib/tcp/wire/address.js';
import { emitIcmp, finishIcmp } from '../../../lib/tcp/wire/icmp.js';
import { MemoryPayload } from '../../support/memory_payload.js';
import { randomOf } from '../../support/random.js';
import { ALL_MAC, FAR, FakeDevice, GATEWAY, Host, OTHER_MAC, OWN, PEER, PEER_MAC, arp, ethernet, packet, segment, wordsOf } from './network.js';
import { FAR6, OWN6, PEER6, ROUTER6, packet6, segment6, solicitation, solicitedNode } from './network6.js';

const bytesOf = (address: string): Uint8Array => {
  const bytes = Buffer.alloc(16);
  wordsOf(address).forEach((word, i) => bytes.writeInt32BE(word, 4 * i));
  return address.includes(':') ? bytes : bytes.subarray(12);
};

const route = (network: string, prefix: number, gateway: string | null = null, here = true): HostRoute => ({
  network: bytesOf(network), prefix, gateway: gateway === null ? null : bytesOf(gateway), here,
});

/** A kernel's network that the test plays. */
class FakeNetwork implements HostNetwork {
  readonly asked: string[] = [];
  news: ((events: HostEvents) => void)[] = [(events) => events.routes(this.table)];
  dueAt = Infinity;
  nextLook = 0;
  table: HostRoute[] = [
    route('203.0.113.128', 25, null, false), route('198.18.0.0', 24), route('203.0.113.0', 24, '198.18.0.9'), route('0.0.0.0', 0, GATEWAY),
    route('2001:db8::', 64), route('fe80::', 64), route('2001:db8:8::', 48, null, false), route('::', 0, ROUTER6),
  ];

  resolve(address: Uint8Array, doubted: boolean): void {
    const words = address.length === 4 ? wordsOf([...address].join('.')) : Int32Array.from({ length: 4 }, (_, i) => Buffer.from(address).readInt32BE(4 * i));
    this.asked.push(`${formatAddress(words, 0)}${doubted ? '?' : ''}`);
  }

  poll(now: number, events: HostEvents, fresh: boolean): void {
    if (now < this.nextLook && !fresh) return;
    for (const tell of this.news.splice(0)) tell(events);
  }

  pollAt(): number {
    return this.dueAt;
  }

  neighbour(address: string, mac: Uint8Array | null, confirmed = true): void {
    this.news.push((events) => events.neighbour(bytesOf(address), mac, confirmed));
  }
}

const OPEN_PORTS = [1111];

function shared(): { host: Host; network: FakeNetwork } {
  const network = new FakeNetwork();
  const host = new Host({}, { addresses: [`${OWN6}/64`, '198.18.7.1/24'], gateways: [ROUTER6], loopback: true, host: network, ports: { of: (port) => Number(OPEN_PORTS.includes(port)) } });
  host.ip.announce();
  host.receive();
  return { host, network };
}

/** The link address that a frame goes to. */
const to = ({ bytes }: { bytes: Uint8Array }): string => Buffer.from(bytes.subarray(0, 6)).toString('hex');
const hex = (mac: Uint8Array): string => Buffer.from(mac).toString('hex');

t.test('it neither announces its addresses nor asks whether they are in use', async (t) => {
  const { host } = shared();
  t.same(host.wait(10), []);
  t.notOk(host.ip.settling);
  t.same(host.device.groups, []);
  t.ok(host.ip.isLocal(wordsOf(OWN6), 0));
});

t.test('nobody is answered: not ARP, echoes, UDP, solicitations, or segments to ports that are not in use here', async (t) => {
  const { host, network } = shared();
  network.neighbour(PEER, PEER_MAC);
  network.neighbour(PEER6, PEER_MAC);
  const echo = new Uint8Array(16);
  emitIcmp(echo, 0, 8, 0);
  finishIcmp(echo, 0, 16);
  const other = segment(4);
  other[14 + 20 + 2] = 0x22;
  const other6 = segment6(4);
  other6[14 + 40 + 2] = 0x22;
  const quiet = [
    arp(1, PEER, PEER_MAC, OWN), arp(1, PEER, PEER_MAC, OWN, ALL_MAC), arp(1, OWN, OTHER_MAC, OWN, ALL_MAC),
    ethernet(0x0800, packet(1, echo)), ethernet(0x0800, packet(17, new Uint8Array(20))), ethernet(0x0800, packet(99, new Uint8Array(20))),
    solicitation(PEER6, OWN6), solicitation(PEER6, OWN6, { to: solicitedNode(OWN6) }), packet6(17, new Uint8Array(20)), packet6(99, new Uint8Array(20)),
    packet6(60, Uint8Array.of(17, 0, 0x80, 4, 0, 0, 0, 0)), other, other6,
  ];
  for (const [i, frame] of quiet.entries()) t.same(host.receive(frame), [], `frame ${i}`);
  t.same(host.wait(120), []);
  t.same([host.transport.segments, host.transport.errors, network.asked], [[], [], []]);
  host.receive(segment(4), segment6(4));
  t.same(host.transport.segments.map(({ from }) => from), [PEER, PEER6], 'those to a port in use are taken');
});

t.test('fragments that do not become whole are not answered', async (t) => {
  const { host } = shared();
  const fragment = segment(44);
  fragment[14 + 6] = 0x20;
  fragment.fill(0, 14 + 10, 14 + 12);
  let sum = 0;
  for (let i = 14; i < 34; i += 2) sum += (fragment[i]! << 8) | fragment[i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  fragment.set([(~sum >> 8) & 255, ~sum & 255], 14 + 10);
  host.receive(fragment);
  t.equal(host.stats.IpReasmReqds, 1);
  t.same(host.wait(120), []);
  t.equal(host.stats.IpReasmTimeout, 1);
});

t.test('a neighbour is the kernel\'s to find: packets wait for it', async (t) => {
  const { host, network } = shared();
  host.send(PEER);
  host.send(PEER, { sequence: 101 });
  host.send(PEER6, { from: OWN6 });
  t.same(host.flush(), []);
  t.same(network.asked.splice(0), [PEER, PEER6]);
  t.same(host.wait(1), []);
  t.same(network.asked.splice(0), [PEER, PEER6], 'it is asked again');
  network.neighbour(PEER, PEER_MAC);
  network.neighbour(PEER6, OTHER_MAC);
  t.same(host.receive().map(to), [hex(PEER_MAC), hex(PEER_MAC), hex(OTHER_MAC)]);
  host.send(PEER);
  t.same(host.flush().map(to), [hex(PEER_MAC)]);
  network.neighbour(PEER, OTHER_MAC);
  host.receive();
  host.send(PEER);
  t.same(host.flush().map(to), [hex(OTHER_MAC)], 'it has another link address now, as the kernel says');
  network.neighbour('198.18.0.77', OTHER_MAC);
  t.same(host.receive(), [], 'one that is nobody\'s next hop here');
});

t.test('one that the kernel does not find, and one that it forgets', async (t) => {
  const { host, network } = shared();
  host.send(PEER);
  network.neighbour(PEER, null);
  host.receive();
  t.match(host.transport.errors, [{ remote: PEER, errno: EHOSTUNREACH, hard: false }]);
  network.asked.splice(0);
  host.send(PEER);
  t.same(network.asked, [PEER], 'the next packet has it looked for anew');
  network.neighbour(PEER, PEER_MAC);
  t.equal(host.receive().length, 1);
  network.neighbour(PEER, null);
  host.receive();
  host.send(PEER);
  t.same(host.flush(), []);
  t.same(network.asked, [PEER, PEER]);
});

t.test('one in use is doubted when nothing was heard of it for long, and the kernel asks it', async (t) => {
  const { host, network } = shared();
  host.send(PEER);
  network.neighbour(PEER, PEER_MAC);
  host.receive();
  network.asked.splice(0);
  const rest = (): void => {
    host.wait(31);
    host.send(PEER);
    t.equal(host.flush().length, 1);
    host.wait(5);
    t.same(network.asked.splice(0), [`${PEER}?`]);
  };
  rest();
  network.neighbour(PEER, PEER_MAC, false);
  host.receive();
  host.wait(1);
  t.same(network.asked.splice(0), [`${PEER}?`], 'the kernel is asking it');
  network.neighbour(PEER, PEER_MAC);
  host.receive();
  host.wait(20);
  t.same(network.asked, [], 'it has answered');
  rest();
  host.wait(10);
  host.send(PEER);
  t.same(host.flush(), [], 'it has not: it is looked for anew');
  t.same(network.asked.slice(-1), [PEER]);
});

t.test('routes are the kernel\'s', async (t) => {
  const { host, network } = shared();
  const next = (destination: string, from = OWN): string | number => {
    network.asked.splice(0);
    const at = host.send(destination, { from });
    return at < 0 ? at : network.asked[0]!;
  };
  t.equal(next(FAR), '198.18.0.9', 'the more specific one');
  t.equal(next('203.0.113.200'), NO_ROUTE, 'a still more specific one leads by another interface');
  t.equal(next('192.0.2.1'), GATEWAY);
  t.equal(next('198.18.0.55'), '198.18.0.55');
  t.equal(next('2001:db8::55', OWN6), '2001:db8::55');
  t.equal(next('2001:db8:8::1', OWN6), NO_ROUTE);
  t.equal(next(FAR6, OWN6), ROUTER6);
  network.table = [route('198.18.0.0', 24)];
  network.news.push((events) => events.routes(network.table));
  host.receive();
  for (const [destination, from] of [[FAR, OWN], ['192.0.2.1', OWN], [FAR6, OWN6], ['2001:db8::56', OWN6]] as const) t.equal(next(destination, from), NO_ROUTE, destination);
  t.equal(next('198.18.0.56'), '198.18.0.56');
  host.send(OWN);
  t.equal(host.flush().length, 1, 'to itself it needs none');
});

t.test('a connection is opened by the routes of that moment, however short a time ago they were looked at', async (t) => {
  const network = new FakeNetwork();
  const payload = new MemoryPayload(4, 1 << 12);
  const stack = new Stack({
    words: new Int32Array(4 * TCB_WORDS), tcbBase: 0, maxFlows: 4, payload, random: randomOf(1), clock: new Clock(), secret: new Uint8Array(16),
    interfaces: [{ device: new FakeDevice(), memory: payload.memory, addresses: [`${OWN}/24`], host: network }],
    claims: { claim: () => 0, release: () => undefined },
  });
  stack.receive(1);
  network.nextLook = 1;
  const change = (table: HostRoute[]): void => { network.news.push((events) => events.routes(table)); };
  const connect = (): number => stack.connect(wordsOf(FAR), 80, null, 0);
  t.ok(connect() >= 0);
  change([route('198.18.0.0', 24)]);
  t.equal(connect(), -ENETUNREACH);
  change(network.table);
  t.ok(connect() >= 0);
});

t.test('of several addresses the one on the way to the next hop is the source', async (t) => {
  const { host, network } = shared();
  network.table.unshift(route('198.18.7.0', 24), route('192.0.2.0', 24, '198.18.7.9'));
  network.news.push((events) => events.routes(network.table));
  host.receive();
  const source = (destination: string): string => {
    const words = wordsOf(destination, '::');
    host.ip.selectSource(words, 0, 4);
    return formatAddress(words, 4);
  };
  t.same([PEER, '198.18.7.2', '192.0.2.1', FAR].map(source), [OWN, '198.18.7.1', '198.18.7.1', OWN]);
});

t.test('it is called when it wants to be', async (t) => {
  const { host, network } = shared();
  t.equal(host.pollAt(), Infinity);
  network.dueAt = host.now + 5;
  t.equal(host.pollAt(), host.now + 5);
});

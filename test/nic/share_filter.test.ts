/** The filter of several TCP servers on one interface, run by the kernel: what each of them gets. */
import t from 'tap';
import { shareFilter } from '../../lib/nic/packet_filter.js';
import { shareOf } from '../../lib/tcp/share.js';
import { drainDevice, macBytes, needsRoot, network, openEnd, OWN, PEER, sendFrame } from './support.js';

const KEY = 0x9e3779b1 | 0;
const COUNT = 3;
const ADDRESS = [198, 18, 77, 2];
const ADDRESS6 = [0x20, 0x01, 0x0d, 0xb8, ...new Array<number>(11).fill(0), 2];
const EVERY = [0, 1, 2];
const FIRST = [0];
const NOBODY: number[] = [];

const TCP = 6;
const UDP = 17;
const ICMP = 1;
const ICMP6 = 58;

interface Sent {
  readonly what: string;
  readonly bytes: Uint8Array;
  readonly takenBy: readonly number[];
}

let mac = '';

function ethernet(type: number, payload: readonly number[]): Uint8Array {
  const frame = new Uint8Array(74);
  frame.set([...macBytes(mac), ...macBytes('02:00:00:00:00:99'), type >> 8, type & 255, ...payload]);
  return frame;
}

function ipv4(options: { to?: number[]; protocol?: number; fragment?: number; words?: number; payload?: number[] }): Uint8Array {
  const { to = ADDRESS, protocol = TCP, fragment = 0, words = 5, payload = [] } = options;
  return ethernet(0x0800, [0x40 | words, 0, 0, 60, 0, 0, fragment >> 8, fragment & 255, 64, protocol, 0, 0, 198, 18, 77, 1, ...to,
    ...new Array<number>(4 * (words - 5)).fill(1), ...payload]);
}

function ipv6(options: { to?: number[]; next?: number; payload?: number[] }): Uint8Array {
  const { to = ADDRESS6, next = TCP, payload = [] } = options;
  return ethernet(0x86dd, [0x60, 0, 0, 0, 0, 20, next, 64, ...new Array<number>(16).fill(3), ...to, ...payload]);
}

const ports = (source: number, destination: number): number[] => [source >> 8, source & 255, destination >> 8, destination & 255];

const frames = (): Sent[] => {
  const sent: Sent[] = [];
  for (let port = 40000; port < 40040; port++) {
    const takenBy = [shareOf(80, port, COUNT, KEY)];
    sent.push({ what: `TCP over IPv4 from port ${port}`, bytes: ipv4({ payload: ports(port, 80) }), takenBy });
    sent.push({ what: `the same behind options of IP`, bytes: ipv4({ words: 7, payload: ports(port, 80) }), takenBy });
    sent.push({ what: `TCP over IPv6 from port ${port}`, bytes: ipv6({ payload: ports(port, 80) }), takenBy });
  }
  const linkLocal = [0xfe, 0x80, ...new Array<number>(13).fill(0), 9];
  const group = [0xff, 0x02, ...new Array<number>(13).fill(0), 1];
  sent.push(
    { what: 'a first fragment', bytes: ipv4({ fragment: 0x2000, payload: ports(40000, 80) }), takenBy: EVERY },
    { what: 'a later fragment', bytes: ipv4({ fragment: 0x00b9 }), takenBy: EVERY },
    { what: 'DF is no fragment', bytes: ipv4({ fragment: 0x4000, payload: ports(40000, 80) }), takenBy: [shareOf(80, 40000, COUNT, KEY)] },
    { what: 'UDP', bytes: ipv4({ protocol: UDP, payload: ports(40000, 53) }), takenBy: FIRST },
    { what: 'an echo', bytes: ipv4({ protocol: ICMP, payload: [8] }), takenBy: FIRST },
    { what: 'unreachable', bytes: ipv4({ protocol: ICMP, payload: [3] }), takenBy: EVERY },
    { what: 'TCP for another address', bytes: ipv4({ to: [198, 18, 77, 3], payload: ports(40000, 80) }), takenBy: NOBODY },
    { what: 'a question of ARP', bytes: ethernet(0x0806, [0, 1, 8, 0, 6, 4, 0, 1]), takenBy: FIRST },
    { what: 'an answer of ARP', bytes: ethernet(0x0806, [0, 1, 8, 0, 6, 4, 0, 2]), takenBy: EVERY },
    { what: 'TCP behind options for each hop', bytes: ipv6({ next: 0 }), takenBy: EVERY },
    { what: 'a fragment of IPv6', bytes: ipv6({ next: 44 }), takenBy: EVERY },
    { what: 'UDP over IPv6', bytes: ipv6({ next: UDP }), takenBy: FIRST },
    { what: 'packet too big', bytes: ipv6({ next: ICMP6, payload: [2] }), takenBy: EVERY },
    { what: 'an echo over IPv6', bytes: ipv6({ next: ICMP6, payload: [128] }), takenBy: FIRST },
    { what: 'a router to all', bytes: ipv6({ to: group, next: ICMP6, payload: [134] }), takenBy: FIRST },
    { what: 'a question for a neighbour', bytes: ipv6({ to: group, next: ICMP6, payload: [135] }), takenBy: FIRST },
    { what: 'its answer', bytes: ipv6({ next: ICMP6, payload: [136] }), takenBy: EVERY },
    { what: 'its answer, to a link-local address', bytes: ipv6({ to: linkLocal, next: ICMP6, payload: [136] }), takenBy: EVERY },
    { what: 'TCP to a link-local address', bytes: ipv6({ to: linkLocal, payload: ports(40001, 80) }), takenBy: [shareOf(80, 40001, COUNT, KEY)] },
    { what: 'IPv6 for another address', bytes: ipv6({ to: [...ADDRESS6.slice(0, 15), 3], payload: ports(40000, 80) }), takenBy: NOBODY },
    { what: 'another protocol', bytes: ethernet(0x88b5, []), takenBy: NOBODY },
  );
  // Told apart by what no filter looks at.
  for (const [index, { bytes }] of sent.entries()) bytes.set([index >> 8, index & 255], 72);
  return sent;
};

t.test('each connection is for one of them, the rest for the first, and what cannot be told for all', needsRoot, async (t) => {
  const net = network(t);
  mac = net.leftMac;
  const addresses = [Uint8Array.from(ADDRESS), Uint8Array.from(ADDRESS6)];
  const ends = EVERY.map((index) => openEnd(t, net.left, OWN, { filter: shareFilter(addresses, { index, count: COUNT, key: KEY }) }));
  const right = openEnd(t, net.right, PEER);
  const sent = frames();
  for (const { bytes } of sent) {
    sendFrame(right.device, bytes);
    right.device.flush();
  }
  const got = ends.map(({ device }) => new Set(drainDevice(device).map(({ bytes }) => bytes.readUInt16BE(72))));
  for (const [index, { what, takenBy }] of sent.entries()) t.strictSame(EVERY.filter((server) => got[server]!.has(index)), takenBy, what);
});

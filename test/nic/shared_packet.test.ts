/** A packet device beside the kernel on its addresses: what each of the two gets to see, ports, and the kernel's neighbours and routes. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import t from 'tap';
import { AfPacketDevice } from '../../lib/nic/af_packet.js';
import type { HostEvents, HostRoute } from '../../lib/nic/device.js';
import { openDevice } from '../../lib/nic/open.js';
import { inNamespace } from '../../lib/nic/netns.js';
import { tcpFilter } from '../../lib/nic/packet_filter.js';
import type { SharedPacketDevice } from '../../lib/nic/shared_packet.js';
import { Poller } from '../../lib/nic/syscalls.js';
import { IPV4, fromPeer } from '../scenario/packet.js';
import { drainDevice, KERNEL_ADDRESS, macBytes, needsRoot, network, newMemory, openEnd, OWN, OWN_ADDRESS, PEER, sendFrame } from './support.js';
import type { Teardown, VethNetwork } from './support.js';

const EADDRINUSE = -98;

/** The device beside the kernel, at the end that has an address. */
function openShared(test: Teardown, net: VethNetwork): SharedPacketDevice {
  const { shared, memory } = newMemory();
  const device = openDevice(`packet:${PEER}`, memory, shared, { netns: net.right, beside: true }) as SharedPacketDevice;
  test.teardown(() => device.close());
  return device;
}

function ethernet(net: VethNetwork, type: number, content: Uint8Array): Buffer {
  const frame = Buffer.alloc(Math.max(60, 14 + content.length));
  frame.set([...macBytes(net.rightMac), ...macBytes(net.leftMac)]);
  frame.writeUInt16BE(type, 12);
  frame.set(content, 14);
  return frame;
}

/** A SYN to a port of the kernel's address. */
function syn(net: VethNetwork, port: number): Buffer {
  const segment = Buffer.from('9c400000000000010000000050021000' + '00000000', 'hex');
  segment.writeUInt16BE(port, 2);
  return ethernet(net, 0x0800, fromPeer({ ...IPV4, stack: KERNEL_ADDRESS, peer: OWN_ADDRESS }, segment, 0));
}

function send(device: AfPacketDevice, frames: Uint8Array[]): void {
  for (const frame of frames) sendFrame(device, frame);
  device.flush();
}

const PORTS = [80, 443, 8080];
const portOf = ({ bytes }: { bytes: Buffer }, at: number): number => bytes.readUInt16BE(at);

t.test('segments to the ports in use stay from the kernel, which answers the others; the device gets them all', needsRoot, async (t) => {
  const net = network(t);
  const other = openEnd(t, net.left, OWN).device;
  const device = openShared(t, net);
  /** Sends a SYN to each port; the ports that the kernel's reset comes back from. */
  const refused = (): number[] => {
    send(other, PORTS.map((port) => syn(net, port)));
    const segments = drainDevice(other).filter(({ bytes }) => bytes.readUInt16BE(12) === 0x0800 && bytes[23] === 6 && (bytes[47]! & 4) !== 0);
    return segments.map((frame) => portOf(frame, 34));
  };
  t.same(device.kernel.addresses.map(({ address, prefix, tentative }) => [[...address].join('.'), prefix, tentative]), [[KERNEL_ADDRESS, 24, false]]);
  t.same(refused(), PORTS);
  t.same(drainDevice(device).map((frame) => portOf(frame, 36)), PORTS);
  t.equal(device.kernel.claim(443), 0);
  t.same(refused(), [80, 8080]);
  t.same(drainDevice(device).map((frame) => portOf(frame, 36)), PORTS);
  t.equal(device.kernel.claim(80), 0);
  device.kernel.release(443);
  device.kernel.release(443);
  t.same(refused(), [443, 8080]);
  const second = openShared(t, net);
  t.equal(second.kernel.claim(80), EADDRINUSE);
  t.equal(second.kernel.claim(8080), 0);
  t.same(refused(), [443], 'two do not know of each other, but of their ports');
  device.close();
  t.same(refused(), [80, 443]);
  second.close();
  t.same(refused(), PORTS);
});

/** Keeps a program in the namespace that listens or tries to; what it says. */
async function listenInKernel(test: Teardown, net: VethNetwork, port: number, host: string): Promise<string> {
  const program = `require('node:net').createServer().listen(${port}, '${host}', () => console.log('listening')).on('error', (error) => { console.log(error.code); process.exit(); })`;
  const child = spawn('ip', ['netns', 'exec', net.right, process.execPath, '-e', program]);
  test.teardown(() => child.kill('SIGKILL'));
  const [said] = await once(child.stdout, 'data') as [Buffer];
  return String(said).trim();
}

t.test('a port is the kernel\'s or ours', needsRoot, async (t) => {
  const net = network(t);
  const device = openShared(t, net);
  t.equal(await listenInKernel(t, net, 8080, '0.0.0.0'), 'listening');
  t.equal(device.kernel.claim(8080), EADDRINUSE);
  t.equal(device.kernel.claim(80), 0);
  for (const host of ['0.0.0.0', KERNEL_ADDRESS, '::']) t.equal(await listenInKernel(t, net, 80, host), 'EADDRINUSE', host);
  t.equal(await listenInKernel(t, net, 80, '127.0.0.1'), 'EADDRNOTAVAIL', 'of other addresses it is not ours: here lo is down');
  device.kernel.release(80);
  t.equal(await listenInKernel(t, net, 80, KERNEL_ADDRESS), 'listening');
});

t.test('of the addresses the packet filter lets TCP and errors of ICMP through', needsRoot, async (t) => {
  const net = network(t);
  const other = openEnd(t, net.left, OWN).device;
  const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
  const own6 = hex('20010db8000000000000000000000001');
  const { shared, memory } = newMemory();
  const device = inNamespace(net.right, () => new AfPacketDevice(PEER, memory, shared, { filter: tcpFilter([Uint8Array.of(198, 18, 77, 1), Uint8Array.of(198, 18, 77, 9), own6]) }));
  t.teardown(() => device.close());
  /** @param header words of it, 20 or 24 bytes. */
  const four = (protocol: number, content: string, { to = 'c6124d01', fragment = '0000', options = '' } = {}): Buffer => ethernet(net, 0x0800, hex(
    `4${5 + options.length / 8} 00 0040 0000 ${fragment} 40 ${protocol.toString(16).padStart(2, '0')} 0000 c6124d02 ${to} ${options} ${content}`));
  const six = (next: number, content: string, to = own6): Buffer => ethernet(net, 0x86dd, hex(
    `60000000 0010 ${next.toString(16).padStart(2, '0')} 40 ${'fe80000000000000000000000000 0009'} ${to.toString('hex')} ${content}`));
  const taken = [
    four(6, '9c4000500000'), four(6, '9c4000500000', { to: 'c6124d09' }), four(6, '9c4000500000', { fragment: '00b9' }), four(1, '0301'), four(1, '0b00'),
    four(1, '0c00', { options: '01010100' }), six(6, '9c400050'), six(60, '06'), six(44, '06'), six(0, '06'), six(43, '06'), six(58, '0100'), six(58, '0200'), six(58, '0400'),
  ];
  const passed = [
    ethernet(net, 0x0806, hex('0001')), ethernet(net, 0x88b5, hex('00')), four(17, '0035'), four(1, '0800'), four(1, '0000'), four(1, '0500'), four(1, '0300', { fragment: '00b9' }),
    four(6, '9c400050', { to: 'c6124d02' }), six(17, '0035'), six(58, '8000'), six(58, '8700'), six(58, '8800'), six(6, '9c400050', hex('ff020000000000000000000000000001')),
    six(6, '9c400050', hex('20010db8000000000000000000000002')),
  ];
  send(other, [...passed, ...taken, ...passed]);
  t.same(drainDevice(device).map(({ bytes }) => bytes.toString('hex')), taken.map((frame) => frame.toString('hex')));
});

/** Notes what the kernel's network tells. */
class Notes implements HostEvents {
  readonly neighbours: [address: string, mac: string | null, confirmed: boolean][] = [];
  table: string[] = [];

  neighbour(address: Uint8Array, mac: Uint8Array | null, confirmed: boolean): void {
    this.neighbours.push([[...address].join('.'), mac === null ? null : Buffer.from(mac).toString('hex'), confirmed]);
  }

  routes(routes: readonly HostRoute[]): void {
    this.table = routes.filter(({ network: { length } }) => length === 4)
      .map(({ network, prefix, gateway, here }) => `${[...network].join('.')}/${prefix} ${here ? gateway === null ? 'link' : [...gateway].join('.') : 'elsewhere'}`);
  }
}

t.test('routes are told in the order of preference, and again when they have changed', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.right, 'link', 'set', 'lo', 'up');
  net.ip(net.right, 'route', 'add', 'default', 'via', '198.18.77.254', 'metric', '200');
  net.ip(net.right, 'route', 'add', 'default', 'via', '198.18.77.253', 'metric', '100');
  net.ip(net.right, 'route', 'add', 'default', 'dev', 'lo', 'metric', '50');
  net.ip(net.right, 'route', 'add', 'blackhole', '203.0.113.0/24');
  net.ip(net.right, 'route', 'add', '203.0.113.128/25', 'nexthop', 'dev', 'lo', 'nexthop', 'via', '198.18.77.7', 'dev', PEER);
  net.ip(net.right, 'route', 'add', '192.0.2.0/24', 'via', '198.18.77.8', 'table', '99');
  const { network: kernel } = openShared(t, net).kernel;
  const notes = new Notes();
  let now = 0;
  const poll = (later = 1e6, fresh = false): string[] => {
    kernel.poll(now += later, notes, fresh);
    return notes.table;
  };
  const first = ['203.0.113.128/25 198.18.77.7', '203.0.113.0/24 elsewhere', '198.18.77.0/24 link', '0.0.0.0/0 198.18.77.253', '0.0.0.0/0 198.18.77.254', '0.0.0.0/0 elsewhere'];
  t.same([...poll()].sort(), [...first].sort());
  t.same(poll().filter((text) => text.startsWith('0.')), first.slice(-3), 'those by the interface first, by their metric');
  t.equal(kernel.pollAt(), Infinity);
  net.ip(net.right, 'route', 'add', '192.0.2.0/24', 'via', '198.18.77.8');
  t.equal(new Poller([kernel.fd]).wait(5e6), 1);
  t.ok(poll().includes('192.0.2.0/24 198.18.77.8'));
  net.ip(net.right, 'route', 'del', '192.0.2.0/24');
  t.ok(poll(0).includes('192.0.2.0/24 198.18.77.8'), 'it has just looked');
  t.notOk(poll(0, true).includes('192.0.2.0/24 198.18.77.8'), 'asked for what is new at this moment');
  net.ip(net.right, 'link', 'set', PEER, 'down');
  t.notMatch(poll().join(), /198\.18\.77/);
});

t.test('a neighbour that is asked for is told of, and what becomes of it', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.left, 'address', 'add', '198.18.77.3/24', 'dev', OWN);
  net.ip(net.right, 'neigh', 'flush', 'all');
  const { network: kernel } = openShared(t, net).kernel;
  const notes = new Notes();
  const poller = new Poller([kernel.fd]);
  let now = 0;
  /** What is told next; unless said otherwise, of what is certain. */
  const next = (address: string, certain = true): string | null => {
    for (;;) {
      kernel.poll(now += 1e6, notes, false);
      const found = notes.neighbours.splice(0).find(([of, mac, confirmed]) => of === address && (mac === null || confirmed === certain));
      if (found !== undefined) return found[1];
      if (poller.wait(20e6) === 0) throw new Error('nothing is told');
    }
  };
  const ask = (last: number, doubted = false): void => kernel.resolve(Uint8Array.of(198, 18, 77, last), doubted);
  const mac = net.leftMac.replaceAll(':', '');
  ask(3);
  t.equal(next('198.18.77.3'), mac, 'the kernel asks for it');
  ask(3);
  t.equal(next('198.18.77.3'), mac, 'the kernel knows it already');
  ask(3, true);
  t.equal(next('198.18.77.3', false), mac, 'it is doubted');
  t.equal(next('198.18.77.3'), mac, 'it has answered');
  net.ip(net.right, 'neigh', 'replace', '198.18.77.4', 'lladdr', '02:00:00:00:00:44', 'dev', PEER, 'nud', 'permanent');
  t.equal(next('198.18.77.4'), '020000000044', 'news without a question');
  net.ip(net.right, 'neigh', 'replace', '198.18.77.4', 'lladdr', '02:00:00:00:00:45', 'dev', PEER, 'nud', 'permanent');
  t.equal(next('198.18.77.4'), '020000000045');
  ask(4, true);
  t.equal(next('198.18.77.4'), '020000000045', 'for good is for good');
  t.match(net.ip(net.right, 'neigh', 'show', '198.18.77.4'), /02:00:00:00:00:45 PERMANENT/);
  net.ip(net.right, 'neigh', 'del', '198.18.77.4', 'dev', PEER);
  t.equal(next('198.18.77.4'), null);
  net.ip(net.left, 'link', 'set', OWN, 'address', '02:00:00:00:00:33', 'arp', 'off');
  ask(3, true);
  t.equal(next('198.18.77.3'), null, 'it is not there any more');
  net.ip(net.left, 'link', 'set', OWN, 'arp', 'on');
  ask(3);
  t.equal(next('198.18.77.3'), '020000000033', 'it is elsewhere');
  ask(99);
  t.equal(next('198.18.77.99'), null, 'one that is not there');
});

t.test('an address that is not settled is waited for; where there is none that is an error', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.right, 'address', 'flush', 'dev', PEER);
  t.throws(() => openShared(t, net), { code: 'EADDRNOTAVAIL', message: /no address on interface "peer0" to be shared.*ip address add A\.B\.C\.D\/LENGTH dev peer0/ });
  await promisify(execFile)('ip', ['netns', 'exec', net.right, 'sh', '-c', `echo 0 > /proc/sys/net/ipv6/conf/${PEER}/disable_ipv6`]);
  net.ip(net.right, 'address', 'add', '2001:db8:77::1/64', 'dev', PEER);
  net.ip(net.right, 'address', 'add', '2001:db8:77::2/64', 'dev', PEER, 'nodad');
  const device = openShared(t, net);
  const found = device.kernel.addresses.map(({ address }) => Buffer.from(address).toString('hex'));
  for (const address of ['20010db8007700000000000000000001', '20010db8007700000000000000000002']) t.ok(found.includes(address), address);
  t.notOk(device.kernel.addresses.some(({ tentative }) => tentative));
  t.equal(device.kernel.claim(80), 0, 'a link-local one is among them');
  t.equal(await listenInKernel(t, net, 80, '2001:db8:77::1'), 'EADDRINUSE');
  t.throws(() => openDevice('packet:nothere', newMemory().memory, newMemory().shared, { netns: net.right, beside: true }), { code: 'ENODEV', message: /no interface "nothere"/ });
  t.throws(() => openDevice('tap:tap0', newMemory().memory, newMemory().shared, { beside: true }), /beside the kernel stands a packet or AF_XDP device, not 'tap:tap0'/);
});

t.test('without CAP_NET_ADMIN the error names it', needsRoot, async (t) => {
  const net = network(t);
  const program = `
    const { openDevice } = await import('${new URL('../../lib/nic/open.js', import.meta.url)}');
    const { newMemory } = await import('${new URL('./support.js', import.meta.url)}');
    const { shared, memory } = newMemory();
    try { openDevice('packet:${PEER}', memory, shared, { beside: true }); } catch (error) { console.log(JSON.stringify({ ...error, message: error.message })); }`;
  const args = ['netns', 'exec', net.right, 'setpriv', '--bounding-set=-net_admin', process.execPath, '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)('ip', args);
  t.match(JSON.parse(stdout), { code: 'EPERM', message: /ports on "peer0" from the kernel.* needs CAP_NET_ADMIN, and Linux 5\.12/ });
});

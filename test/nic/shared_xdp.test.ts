/** An AF_XDP device beside the kernel on its addresses: what each of the two gets to see, and ports. */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import type { AfPacketDevice } from '../../lib/nic/af_packet.js';
import { openDevice } from '../../lib/nic/open.js';
import type { SharedPacketDevice } from '../../lib/nic/shared_packet.js';
import type { SharedXdpDevice } from '../../lib/nic/shared_xdp.js';
import { IPV4, fromPeer } from '../scenario/packet.js';
import {
  drainDevice, KERNEL_ADDRESS, macBytes, needsRoot, network, newMemory, openEnd, OWN, OWN_ADDRESS, PEER, sendFrame, type Teardown, until, type VethNetwork,
} from './support.js';

const EADDRINUSE = -98;
const PORTS = [80, 443, 8080];

/** The device beside the kernel, at the end that has an address. */
function openShared<T extends SharedXdpDevice | SharedPacketDevice = SharedXdpDevice>(test: Teardown, net: VethNetwork, kind = 'xdp'): T {
  const { shared, memory } = newMemory();
  const device = openDevice(`${kind}:${PEER}`, memory, shared, { netns: net.right, beside: true }) as T;
  test.teardown(() => device.close());
  return device;
}

/** A SYN to a port of the kernel's address. */
function syn(net: VethNetwork, port: number, from: number): Buffer {
  const segment = Buffer.from('9c400000000000010000000050021000' + '00000000', 'hex');
  segment.writeUInt16BE(from, 0);
  segment.writeUInt16BE(port, 2);
  const packet = fromPeer({ ...IPV4, stack: KERNEL_ADDRESS, peer: OWN_ADDRESS }, segment, 0);
  return Buffer.concat([Buffer.from([...macBytes(net.rightMac), ...macBytes(net.leftMac), 8, 0]), packet, Buffer.alloc(6)]);
}

/** Sends a SYN to each port, and waits until each has come to the device or been reset by the kernel: the ports of the two. */
async function sent(net: VethNetwork, other: AfPacketDevice, device: SharedXdpDevice, from = 40000): Promise<{ taken: number[]; reset: number[] }> {
  const taken: number[] = [];
  const reset: number[] = [];
  for (const port of PORTS) sendFrame(other, syn(net, port, from));
  other.flush();
  await until(() => {
    for (const { bytes } of drainDevice(device)) taken.push(bytes.readUInt16BE(36));
    for (const { bytes } of drainDevice(other)) if (bytes.readUInt16BE(12) === 0x0800 && bytes[23] === 6 && (bytes[47]! & 4) !== 0) reset.push(bytes.readUInt16BE(34));
    return taken.length + reset.length >= PORTS.length;
  });
  return { taken, reset };
}

t.test('segments to the ports in use come to the device alone, all others to the kernel', needsRoot, async (t) => {
  const net = network(t);
  const other = openEnd(t, net.left, OWN).device;
  const device = openShared(t, net);
  t.match(device.description, /^native mode, copied, 1 receive queue$/);
  t.same(device.kernel.addresses.map(({ address, prefix }) => [[...address].join('.'), prefix]), [[KERNEL_ADDRESS, 24]]);
  t.same(await sent(net, other, device), { taken: [], reset: PORTS });
  t.equal(device.kernel.claim(443), 0);
  t.same(await sent(net, other, device), { taken: [443], reset: [80, 8080] });
  t.equal(device.kernel.claim(80), 0);
  device.kernel.release(443);
  device.kernel.release(443);
  t.same(await sent(net, other, device), { taken: [80], reset: [443, 8080] });
  device.close();
  device.close();
  sendFrame(other, syn(net, 80, 40000));
  other.flush();
  await until(() => drainDevice(other).some(({ bytes }) => bytes[23] === 6 && (bytes[47]! & 4) !== 0));
  t.notMatch(net.ip(net.right, 'link', 'show', PEER), /xdp/);
  t.equal(openShared(t, net).kernel.claim(80), 0, 'the next one may have the port');
});

t.test('with several queues, whichever a segment comes by', needsRoot, async (t) => {
  const net = network(t, 4);
  const other = openEnd(t, net.left, OWN).device;
  const device = openShared(t, net);
  t.match(device.description, /4 receive queues$/);
  t.equal(device.kernel.claim(443), 0);
  for (let from = 40000; from < 40016; from++) t.same(await sent(net, other, device, from), { taken: [443], reset: [80, 8080] });
});

t.test('a packet device and one of AF_XDP beside the kernel know of each other\'s ports; a second one of AF_XDP is refused', needsRoot, async (t) => {
  const net = network(t);
  const device = openShared(t, net);
  const packet = openShared<SharedPacketDevice>(t, net, 'packet');
  t.equal(device.kernel.claim(443), 0);
  t.equal(packet.kernel.claim(443), EADDRINUSE);
  t.equal(packet.kernel.claim(80), 0);
  t.equal(device.kernel.claim(80), EADDRINUSE);
  t.throws(() => openShared(t, net), { code: 'EBUSY', message: /"peer0" has an XDP program already/ });
});

t.test('what keeps it from being opened is named', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.right, 'address', 'flush', 'dev', PEER);
  t.throws(() => openShared(t, net), { code: 'EADDRNOTAVAIL', message: /the kernel has no address on interface "peer0" to be shared/ });
  net.ip(net.right, 'address', 'add', `${KERNEL_ADDRESS}/24`, 'dev', PEER);
  const program = `
    const { openDevice } = await import('${new URL('../../lib/nic/open.js', import.meta.url)}');
    const { newMemory } = await import('${new URL('./support.js', import.meta.url)}');
    const { shared, memory } = newMemory();
    try { openDevice('xdp:${PEER}', memory, shared, { beside: true }); } catch (error) { console.log(JSON.stringify({ ...error, message: error.message })); }`;
  const without = async (...capabilities: string[]): Promise<unknown> => {
    const bounding = `--bounding-set=${capabilities.map((each) => `-${each}`).join()}`;
    const { stdout } = await promisify(execFile)('ip', ['netns', 'exec', net.right, 'setpriv', bounding, process.execPath, '--input-type=module', '-e', program]);
    return JSON.parse(stdout);
  };
  t.match(await without('perfmon', 'sys_admin'), { code: 'EPERM', message: /to load this XDP program needs CAP_PERFMON besides; run as root, or grant it: setcap cap_bpf,cap_net_admin,cap_net_raw,cap_ipc_lock,cap_perfmon\+ep/ });
  t.match(await without('bpf', 'sys_admin'), { code: 'EPERM', message: /to make a map of BPF needs CAP_BPF and CAP_NET_ADMIN/ });
  t.match(await without('net_raw'), { code: 'EPERM', message: /an AF_XDP socket on "peer0" needs CAP_NET_RAW/ });
  t.notMatch(net.ip(net.right, 'link', 'show', PEER), /xdp/);
});

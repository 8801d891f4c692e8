/** The AF_XDP device over a veth pair, at whose other end stands a packet socket. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { setImmediate } from 'node:timers/promises';
import t from 'tap';
import { AfPacketDevice } from '../../lib/nic/af_packet.js';
import { createSocketMap, loadXdpProgram } from '../../lib/nic/bpf.js';
import { Assembler } from '../../lib/nic/bpf_assembler.js';
import { isLeftOut } from '../../lib/nic/checksum_watch.js';
import { type DeviceMemory, MAX_SPANS } from '../../lib/nic/device.js';
import { inNamespace } from '../../lib/nic/netns.js';
import { openDevice } from '../../lib/nic/open.js';
import { close, Poller } from '../../lib/nic/syscalls.js';
import type { XdpDevice, XdpOptions } from '../../lib/nic/xdp.js';
import { redirectProgram } from '../../lib/nic/xdp_program.js';
import {
  Collector, collectGarbage, drainDevice, isRoot, newMemory, OWN, pattern, PEER, sendFrame, until, type VethNetwork, vethNetwork,
} from './support.js';

const needsRoot = isRoot ? {} : { skip: 'needs root' };

interface Teardown {
  teardown(task: () => void): unknown;
}

interface Ends {
  net: VethNetwork;
  device: XdpDevice;
  memory: DeviceMemory;
  peer: AfPacketDevice;
}

const OWN4 = Uint8Array.of(198, 18, 77, 2);
/** The kernel's, on the same interface. */
const KERNEL4 = Uint8Array.of(198, 18, 77, 3);
const OWN6 = Uint8Array.from(Buffer.from('20010db8000000000000000000000002', 'hex'));

/** @param queues of each end. */
function network(test: Teardown, mtu = 1500, queues = 1): VethNetwork {
  const net = vethNetwork(queues);
  test.teardown(net.remove);
  for (const [space, name] of [[net.left, OWN], [net.right, PEER]] as const) net.ip(space, 'link', 'set', name, 'mtu', String(mtu));
  return net;
}

function openXdp(test: Teardown, net: VethNetwork, options: XdpOptions = {}): { device: XdpDevice; memory: DeviceMemory } {
  const { shared, memory } = newMemory();
  const device = openDevice(`xdp:${OWN}`, memory, shared, { netns: net.left, filterAddresses: [OWN4], ...options }) as XdpDevice;
  test.teardown(() => device.close());
  return { device, memory };
}

function openEnds(test: Teardown, net: VethNetwork, options: XdpOptions = {}): Ends {
  const { device, memory } = openXdp(test, net, options);
  const other = newMemory();
  const peer = inNamespace(net.right, () => new AfPacketDevice(PEER, other.memory, other.shared));
  test.teardown(() => peer.close());
  return { net, device, memory, peer };
}

/** A packet of IPv4 with a payload of its own, for its destination. */
function packetFor(to: Uint8Array, mac: Uint8Array, index: number, length = 60): Uint8Array {
  const frame = pattern(length, index);
  frame.set(mac, 0);
  frame.set([2, 0, 0, 0, 0, 0x99, 0x08, 0x00, 0x45], 6);
  frame.set(to, 30);
  return frame;
}

function testFrame(mac: Uint8Array, index: number, length = 60): Uint8Array {
  const frame = packetFor(OWN4, mac, index, length);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

for (const [what, mtu] of [['of one chunk', 1500], ['of several chunks', 9000]] as const) {
  t.test(`frames ${what} with spans arrive at the peer as they were sent, in order, over many batches`, needsRoot, async (t) => {
    const { device, memory, peer } = openEnds(t, network(t, mtu));
    t.match(device.capabilities, { medium: 'ethernet', mtu, txChecksum: mtu === 1500, txSegmentation: 0, rxCoalescing: false });
    t.equal(device.description, 'native mode, copied, 1 receive queue');
    const to = peer.capabilities.mac!;
    memory.bytes.set(pattern(100_000, 1), 0);
    const expected: Buffer[] = [];
    const got = new Collector();
    const flush = async (): Promise<void> => {
      device.flush();
      await until(() => {
        while (peer.receive(got, 64) > 0);
        return got.frames.length === expected.length;
      });
    };
    const longest = Math.floor((mtu - 80) / MAX_SPANS);
    for (let i = 0; i < 3000; i++) {
      const header = testFrame(to, i, 60 + (i % 7));
      const spans = Array.from({ length: i % (MAX_SPANS + 1) }, (_, s): [number, number] => [(i * 331 + s * 1009) % 90_000, 1 + ((i * 7 + s) % longest)]);
      if (!sendFrame(device, header, spans)) {
        await flush();
        t.ok(sendFrame(device, header, spans));
      }
      expected.push(Buffer.concat([header, ...spans.map(([offset, length]) => memory.bytes.subarray(offset, offset + length))]));
    }
    await flush();
    t.ok(got.frames.every((frame, i) => frame.bytes.equals(expected[i]!)), 'byte for byte');
    t.match(device.stats, { txFrames: 3000, txBytes: expected.reduce((sum, frame) => sum + frame.length, 0), txDropped: 0, txInvalid: 0 });
  });

  t.test(`frames ${what} for the own address are received, within the budget, more of them than the ring has`, needsRoot, async (t) => {
    const { device, peer } = openEnds(t, network(t, mtu), { rxChunks: 64 });
    const poller = new Poller([device.fd]);
    t.equal(poller.wait(0), 0);
    t.notOk(device.readable());
    const mac = device.capabilities.mac!;
    const expected: Uint8Array[] = [];
    const got = new Collector();
    for (let round = 0; round < 50; round++) {
      for (let i = 0; i < 15; i++) {
        const frame = packetFor(OWN4, mac, expected.length, i % 5 === 0 ? mtu + 14 : 60 + i);
        expected.push(frame);
        sendFrame(peer, frame);
        sendFrame(peer, packetFor(KERNEL4, mac, i));
      }
      t.equal(peer.flush(), 30);
      if (poller.wait(1e6) !== 1 || !device.readable()) t.fail('it does not poll readable');
      await until(() => {
        if (device.receive(got, 4) > 4) t.fail('more than the budget');
        return got.frames.length === expected.length;
      });
    }
    t.notOk(device.readable());
    t.equal(device.receive(got, 10), 0);
    t.ok(got.frames.every((frame, i) => frame.bytes.equals(Buffer.from(expected[i]!))), 'byte for byte, and none for another');
    t.match(device.stats, { rxFrames: expected.length, rxBytes: expected.reduce((sum, frame) => sum + frame.length, 0), rxDropped: 0, rxInvalid: 0 });
  });
}

t.test('a checksum that is left to the device is filled in, or left out as between any virtual interfaces', needsRoot, async (t) => {
  const { device, peer } = openEnds(t, network(t));
  const frame = packetFor(Uint8Array.of(198, 18, 77, 1), peer.capabilities.mac!, 1, 100);
  frame[23] = 6;
  sendFrame(device, frame, [], 34);
  device.flush();
  await until(() => peer.readable());
  const [received] = drainDevice(peer);
  t.ok(received!.flags !== 0, 'the peer need not look at it');
  t.ok(received!.bytes.equals(Buffer.from(frame)));
});

t.test('every receive queue is served', needsRoot, async (t) => {
  const { device, peer } = openEnds(t, network(t, 1500, 4));
  t.equal(device.description, 'native mode, copied, 4 receive queues');
  const poller = new Poller([device.fd]);
  t.equal(poller.wait(0), 0);
  const got = new Collector();
  // The kernel spreads what it sends by its own measure; flows of many ports come by all queues.
  for (let i = 0; i < 64; i++) {
    const frame = packetFor(OWN4, device.capabilities.mac!, i, 80);
    frame.set([0, 66, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 77, 1], 16);
    sendFrame(peer, frame);
  }
  peer.flush();
  t.equal(poller.wait(1e6), 1);
  await until(() => device.receive(got, 1) >= 0 && got.frames.length === 64);
  t.equal(new Set(got.frames.map(({ bytes }) => bytes.toString('hex'))).size, 64);
  t.notOk(device.readable());
  t.equal(poller.wait(0), 0);
});

t.test('an address that is told later is taken, too', needsRoot, async (t) => {
  const { device, peer } = openEnds(t, network(t));
  const frame = new Uint8Array(80);
  frame.set(device.capabilities.mac!, 0);
  frame.set([2, 0, 0, 0, 0, 0x99, 0x86, 0xdd, 0x60], 6);
  frame.set(OWN6, 38);
  sendFrame(peer, frame);
  sendFrame(peer, packetFor(OWN4, device.capabilities.mac!, 1));
  peer.flush();
  await until(() => device.readable());
  t.equal(drainDevice(device).length, 1, 'the other one was the kernel\'s');
  device.takeAddress(OWN6);
  device.takeAddress(OWN6);
  sendFrame(peer, frame);
  sendFrame(peer, packetFor(OWN4, device.capabilities.mac!, 1));
  peer.flush();
  await until(() => drainDevice(device).length + device.stats.rxFrames >= 3);
});

t.test('the kernel answers an echo request to its own address, and ARP', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.left, 'address', 'add', '198.18.77.3/24', 'dev', OWN);
  const { device, peer } = openEnds(t, net);
  const request = Buffer.from('45000024000040004001' + '0000' + 'c6124d01' + 'c6124d03' + '0800' + '0000' + '00070001' + '6563686f6563686f', 'hex');
  request.writeUInt16BE(checksum(request.subarray(0, 20)), 10);
  request.writeUInt16BE(checksum(request.subarray(20)), 22);
  sendFrame(peer, Buffer.concat([device.capabilities.mac!, peer.capabilities.mac!, Buffer.from([8, 0]), request]));
  peer.flush();
  const got = new Collector();
  await until(() => {
    while (peer.receive(got, 64) > 0);
    return got.frames.some(({ bytes }) => bytes.readUInt16BE(12) === 0x0800 && bytes.subarray(26, 34).toString('hex') === 'c6124d03c6124d01');
  });
  t.same(drainDevice(device), []);
});

function checksum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

t.test('frames that find no free chunk are counted, and those after them arrive', needsRoot, async (t) => {
  const { device, peer } = openEnds(t, network(t), { rxChunks: 16 });
  const send = (count: number): void => {
    for (let i = 0; i < count; i++) sendFrame(peer, packetFor(OWN4, device.capabilities.mac!, i));
    peer.flush();
  };
  send(100);
  await until(() => device.stats.rxDropped === 84);
  t.ok(device.stats.fillRingEmpty + device.stats.rxRingFull >= 84);
  t.equal(drainDevice(device).length, 16);
  send(10);
  await until(() => device.receive(new Collector(), 64) >= 0 && device.stats.rxFrames === 26);
  device.close();
  t.match(device.stats, { rxDropped: 84, rxFrames: 26 }, 'what was counted stays when it is closed');
});

t.test('an interface that goes down costs its frames, and works again when it is up', needsRoot, async (t) => {
  const { net, device, peer } = openEnds(t, network(t));
  const poller = new Poller([device.fd]);
  const to = peer.capabilities.mac!;
  net.ip(net.left, 'link', 'set', OWN, 'down');
  sendFrame(device, testFrame(to, 0));
  t.equal(device.flush(), 0);
  t.equal(device.down, true);
  for (let i = 0; i < 3; i++) sendFrame(device, testFrame(to, i));
  t.equal(device.flush(), 0);
  t.match(device.stats, { txDropped: 3 });
  t.equal(poller.wait(0), 0, 'it keeps no poll busy');
  net.ip(net.left, 'link', 'set', OWN, 'up');
  await until(() => {
    sendFrame(device, testFrame(to, 9));
    return device.flush() === 1;
  });
  t.equal(device.down, false);
  await until(() => drainDevice(peer).some(({ bytes }) => bytes.equals(Buffer.from(testFrame(to, 9)))));
  await until(() => {
    sendFrame(peer, packetFor(OWN4, device.capabilities.mac!, 1));
    peer.flush();
    return drainDevice(device).length > 0;
  });
});

t.test('an interface that is removed counts as down, throws nothing, and keeps no poll busy', needsRoot, async (t) => {
  for (const queues of [1, 2]) {
    const { net, device, peer } = openEnds(t, network(t, 1500, queues));
    const poller = new Poller([device.fd]);
    net.ip(net.left, 'link', 'del', OWN);
    poller.wait(0);
    t.equal(poller.wait(0), 0);
    sendFrame(device, testFrame(peer.capabilities.mac!, 1));
    t.equal(device.flush(), 0);
    t.equal(device.down, true);
    t.same(drainDevice(device), []);
    t.notOk(device.readable());
    device.close();
  }
});

t.test('frames longer than the MTU allows are dropped and counted; a full batch says so', needsRoot, async (t) => {
  const { device, peer } = openEnds(t, network(t), { batch: 4 });
  const to = peer.capabilities.mac!;
  sendFrame(device, testFrame(to, 0, 60), [[0, 4000]]);
  t.match(device.stats, { txDropped: 1 });
  for (let i = 0; i < 4; i++) t.ok(sendFrame(device, testFrame(to, i)));
  t.equal(device.reserve(), -1);
  t.equal(device.flush(), 4);
  t.not(device.reserve(), -1);
  t.equal(device.reserve(), device.reserve(), 'asked again');
});

t.test('closed, it takes no frames, and the memory and the interface are as before', needsRoot, async (t) => {
  const { net, device, memory, peer } = openEnds(t, network(t));
  t.match(net.ip(net.left, 'link', 'show', OWN), /xdp/);
  sendFrame(device, testFrame(peer.capabilities.mac!, 0));
  device.flush();
  sendFrame(device, testFrame(peer.capabilities.mac!, 1));
  device.close();
  device.close();
  t.throws(() => device.flush(), { code: 'EBADF', syscall: 'send' });
  t.notMatch(net.ip(net.left, 'link', 'show', OWN), /xdp/);
  t.ok(memory.bytes.subarray(memory.regionOffset, memory.regionOffset + 4096 * 4000).every((byte) => byte === 0));
  collectGarbage();
  openXdp(t, net).device.close();
});

t.test('what keeps it from being opened is named, and nothing is left', needsRoot, async (t) => {
  const net = network(t);
  const { shared, memory } = newMemory();
  const open = (spec: string, options: XdpOptions = {}) => () => openDevice(spec, memory, shared, { netns: net.left, filterAddresses: [OWN4], ...options });
  t.throws(open('xdp:none0'), { code: 'ENODEV', message: /there is no interface "none0" here; there is lo, own0/ });
  t.throws(open('xdp:lo'), { code: 'ENODEV', message: /does not speak Ethernet/ });
  t.throws(open('xdp:own0:2'), TypeError);
  const first = openXdp(t, net);
  t.throws(open(`xdp:${OWN}`), { code: 'EBUSY', syscall: 'bpf', message: /"own0" has an XDP program already.*ip link set own0 xdp off/ });
  first.device.close();
  const small = newMemory(1 << 20);
  t.throws(() => openDevice(`xdp:${OWN}`, small.memory, small.shared, { netns: net.left }), RangeError);
  net.ip(net.left, 'link', 'add', 'many0', 'numrxqueues', '20', 'numtxqueues', '20', 'type', 'veth', 'peer', 'name', 'many1');
  net.ip(net.left, 'link', 'set', 'many0', 'up');
  t.throws(open('xdp:many0'), { code: 'EINVAL', message: /"many0" has 20 receive queues, of which at most 16 can be served; have fewer: ethtool -L many0 combined 16/ });
  net.ip(net.left, 'link', 'set', OWN, 'down');
  t.throws(open(`xdp:${OWN}`), { code: 'ENETDOWN', message: /"own0" is down; bring it up: ip link set own0 up/ });
  t.notMatch(net.ip(net.left, 'link'), /xdp/);
});

t.test('a program that the kernel refuses is refused with what it says', needsRoot, (t) => {
  t.throws(() => loadXdpProgram(new Assembler().exit().assemble()), { code: 'EACCES', syscall: 'bpf', message: /the kernel refuses the XDP program: [^]*R0 !read_ok/ });
  t.end();
});

t.test('signals that come while a program is looked at do not keep it from being loaded', needsRoot, async (t) => {
  const ignore = (): void => undefined;
  process.on('SIGUSR2', ignore);
  t.teardown(() => process.off('SIGUSR2', ignore));
  const map = createSocketMap(1);
  t.teardown(() => { close(map); });
  const program = redirectProgram(OWN6.subarray(0, 6), [OWN4, OWN6], map);
  const sender = spawn('sh', ['-c', `for i in $(seq 300); do kill -USR2 ${process.pid}; sleep 0.001; done`], { stdio: 'ignore' });
  let over = false;
  const ended = once(sender, 'exit').then(() => { over = true; });
  let loaded = 0;
  while (!over) {
    for (let i = 0; i < 100; i++, loaded++) close(loadXdpProgram(program));
    await setImmediate();
  }
  await ended;
  t.ok(loaded > 0, `${loaded} times`);
});

t.test('where the driver runs no program the kernel does', needsRoot, async (t) => {
  const net = network(t);
  net.ip(net.left, 'link', 'add', 'plain0', 'type', 'bridge');
  net.ip(net.left, 'link', 'set', 'plain0', 'up');
  const { shared, memory } = newMemory();
  const device = openDevice('xdp:plain0', memory, shared, { netns: net.left, filterAddresses: [OWN4] });
  t.match(device.description, /^generic mode, copied, 1 receive queue$/);
  t.match(net.ip(net.left, 'link', 'show', 'plain0'), /xdpgeneric/);
  device.close();
  const here = openXdp(t, net, { onlyGeneric: true });
  t.match(here.device.description, /^generic mode/, 'or where it is asked for');
  const other = newMemory();
  const peer = inNamespace(net.right, () => new AfPacketDevice(PEER, other.memory, other.shared));
  t.teardown(() => peer.close());
  const frame = packetFor(OWN4, here.device.capabilities.mac!, 1);
  sendFrame(peer, frame);
  peer.flush();
  await until(() => here.device.readable());
  t.same(drainDevice(here.device).map(({ bytes }) => bytes), [Buffer.from(frame)]);
  sendFrame(here.device, testFrame(peer.capabilities.mac!, 2));
  t.equal(here.device.flush(), 1);
  await until(() => peer.readable());
});

t.test('checksums that are left out are told from those that are not', (t) => {
  const four = Buffer.from('020000000001020000000002' + '0800' + '4500002800004000400600000a0000010a000002' + '0050005000000000000000005002ffff00000000', 'hex');
  const pseudo = [0x0a00, 0x0001, 0x0a00, 0x0002, 6, 20].reduce((sum, word) => sum + word);
  t.notOk(isLeftOut(four, 0, four.length));
  four.writeUInt16BE(pseudo, 50);
  t.ok(isLeftOut(four, 0, four.length));
  t.notOk(isLeftOut(four, 0, four.length - 1));
  const six = Buffer.from('020000000001020000000002' + '86dd' + '6000000000140640' + '20010db8000000000000000000000001' + '20010db8000000000000000000000002' + '0050005000000000000000005002ffff00000000', 'hex');
  t.notOk(isLeftOut(six, 0, six.length));
  six.writeUInt16BE([0x2001, 0x0db8, 1, 0x2001, 0x0db8, 2, 6, 20].reduce((sum, word) => sum + word), 70);
  t.ok(isLeftOut(six, 0, six.length));
  six[20] = 17;
  t.notOk(isLeftOut(six, 0, six.length));
  t.end();
});

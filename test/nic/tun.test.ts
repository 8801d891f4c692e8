/** TAP and TUN devices; at the kernel's end stands a packet socket on the same interface, or the kernel itself. */
import { execFile } from 'node:child_process';
import type { ExecFileException } from 'node:child_process';
import { existsSync, readdirSync } from 'node:fs';
import { promisify } from 'node:util';
import t from 'tap';
import { AfPacketDevice } from '../../lib/nic/af_packet.js';
import { type DeviceMemory, MAX_SPANS, RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import { interfaceInfo } from '../../lib/nic/interfaces.js';
import { inNamespace } from '../../lib/nic/netns.js';
import { openDevice } from '../../lib/nic/open.js';
import { Poller } from '../../lib/nic/syscalls.js';
import type { TunDevice, TunOptions } from '../../lib/nic/tun.js';
import { Collector, drainDevice, isRoot, type Namespace, newMemory, newNamespace, pattern, sendFrame, until } from './support.js';

const run = promisify(execFile);

const lacking = !isRoot ? 'needs root' : !existsSync('/dev/net/tun') && process.env['CI_REQUIRE_ALL'] === undefined && 'needs /dev/net/tun';
const needsTun = lacking === false ? {} : { skip: lacking };

interface Teardown {
  teardown(task: () => void): unknown;
}

interface Ends {
  space: Namespace;
  device: TunDevice;
  memory: DeviceMemory;
  /** At the kernel's end of the wire. */
  kernel: AfPacketDevice;
}

const NAME = 'tap0';

function namespace(test: Teardown): Namespace {
  const made = newNamespace();
  test.teardown(made.remove);
  return made;
}

function openTap(test: Teardown, options: TunOptions = {}): Ends {
  const space = namespace(test);
  const { shared, memory } = newMemory();
  const device = openDevice(`tap:${NAME}`, memory, shared, { netns: space.name, ...options }) as TunDevice;
  test.teardown(() => device.close());
  const other = newMemory();
  const kernel = inNamespace(space.name, () => new AfPacketDevice(NAME, other.memory, other.shared));
  test.teardown(() => kernel.close());
  return { space, device, memory, kernel };
}

/** An Ethernet frame of type 0x88b5 (for experiments) with a payload of its own. */
function testFrame(to: Uint8Array, index: number, length = 60): Uint8Array {
  const frame = pattern(length, index);
  frame.set(to, 0);
  frame.set([2, 0, 0, 0, 0, 0x99], 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

/** The headers of a super-segment whose checksum is left to the device. */
function superHeader(to: Uint8Array, payload: number): Buffer {
  const header = Buffer.alloc(54);
  header.set(to, 0);
  header.set([0x08, 0x00, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6], 12);
  header.writeUInt16BE(40 + payload, 16);
  header[46] = 0x50;
  return header;
}

t.test('frames with spans reach the kernel as they were sent, in order, over several batches', needsTun, async (t) => {
  const { device, memory, kernel } = openTap(t);
  t.match(device.capabilities, { medium: 'ethernet', mtu: 1500, txChecksum: true, txSegmentation: 65535, rxCoalescing: true });
  const to = kernel.capabilities.mac!;
  memory.bytes.set(pattern(100_000, 1), 0);
  const expected: Buffer[] = [];
  const got = new Collector();
  for (let i = 0; i < 300; i++) {
    const header = testFrame(to, i, 60 + (i % 7));
    const spans = Array.from({ length: i % (MAX_SPANS + 1) }, (_, s): [number, number] => [(i * 331 + s * 1009) % 90_000, 1 + ((i + s) % 70)]);
    if (!sendFrame(device, header, spans)) {
      t.equal(device.flush(), 128, 'a full batch');
      while (kernel.receive(got, 64) > 0);
      sendFrame(device, header, spans);
    }
    expected.push(Buffer.concat([header, ...spans.map(([offset, length]) => memory.bytes.subarray(offset, offset + length))]));
  }
  device.flush();
  while (kernel.receive(got, 64) > 0);
  t.ok(got.frames.length === 300 && got.frames.every((frame, i) => frame.bytes.equals(expected[i]!)), 'byte for byte');
  t.match(device.stats, { txFrames: 300, txBytes: expected.reduce((sum, frame) => sum + frame.length, 0), txDropped: 0 });
  t.same(drainDevice(device), [], 'its own frames do not come back');
});

t.test('frames of the kernel arrive as they were sent, within the budget; what readable() has read is not lost', needsTun, async (t) => {
  const { device, kernel } = openTap(t);
  const poller = new Poller([device.fd]);
  t.equal(poller.wait(0), 0);
  t.notOk(device.readable());
  const frames = Array.from({ length: 100 }, (_, i) => testFrame(device.capabilities.mac!, i, 60 + i));
  for (const frame of frames) sendFrame(kernel, frame);
  kernel.flush();
  t.equal(poller.wait(1e6), 1);
  const got = new Collector();
  for (let taken = 0; taken < 100; taken += 10) {
    t.ok(device.readable());
    t.ok(device.readable(), 'asked again');
    t.equal(device.receive(got, 10), 10);
  }
  t.notOk(device.readable());
  t.equal(device.receive(got, 10), 0);
  t.same(got.frames.map((frame) => frame.bytes), frames.map((frame) => Buffer.from(frame)));
  t.match(device.stats, { rxFrames: 100, rxBytes: frames.reduce((sum, frame) => sum + frame.length, 0) });
});

t.test('a super-segment passes whole, with its checksum left out, both ways', needsTun, async (t) => {
  const { device, memory, kernel } = openTap(t);
  const payload = MAX_SPANS * 3600;
  memory.bytes.set(pattern(payload, 5), 0);
  sendFrame(device, superHeader(kernel.capabilities.mac!, payload), Array.from({ length: MAX_SPANS }, (_, i): [number, number] => [i * 3600, 3600]), 34, 1460);
  t.equal(device.flush(), 1);
  const [there] = drainDevice(kernel);
  t.same([there!.bytes.length, there!.segmentSize, there!.flags], [54 + payload, 1460, RX_CHECKSUM_VALID]);
  t.ok(there!.bytes.subarray(54).equals(Buffer.from(memory.bytes.subarray(0, payload))));

  sendFrame(kernel, Buffer.concat([superHeader(device.capabilities.mac!, payload), memory.bytes.subarray(0, payload)]), [], 34, 1460);
  t.equal(kernel.flush(), 1);
  const [back] = drainDevice(device);
  t.same([back!.bytes.length, back!.segmentSize, back!.flags], [54 + payload, 1460, RX_CHECKSUM_VALID]);
  t.ok(back!.bytes.subarray(54).equals(Buffer.from(memory.bytes.subarray(0, payload))));
});

t.test('the two ends of the wire have link addresses of their own', needsTun, async (t) => {
  const { device, kernel } = openTap(t);
  const [own, kernels] = [device.capabilities.mac!, kernel.capabilities.mac!];
  t.not(Buffer.compare(own, kernels), 0);
  t.equal(own[0]! & 3, 2, 'one host, administered locally');
  const given = openTap(t, { mac: Uint8Array.of(2, 0, 0, 0, 0, 0x42) });
  t.same([...given.device.capabilities.mac!], [2, 0, 0, 0, 0, 0x42]);
});

t.test('the kernel answers an echo request that is sent by tun, which has no link header', needsTun, async (t) => {
  const space = namespace(t);
  space.ip('tuntap', 'add', 'dev', 'tun0', 'mode', 'tun');
  space.ip('address', 'add', '198.18.77.1/24', 'dev', 'tun0');
  // Not up yet: where it is up before it has a carrier, the kernel drops what it sends until its link watch has seen one.
  space.ip('link', 'set', 'tun0', 'mtu', '1400');
  const { shared, memory } = newMemory();
  const device = openDevice('tun:tun0', memory, shared, { netns: space.name });
  t.teardown(() => device.close());
  t.match(device.capabilities, { medium: 'ip', mtu: 1400, mac: null });
  const packet = Buffer.from('45000024000040004001' + '0000' + 'c6124d02' + 'c6124d01' + '0800' + '0000' + '00070001' + '6563686f6563686f', 'hex');
  packet.writeUInt16BE(checksum(packet.subarray(0, 20)), 10);
  packet.writeUInt16BE(checksum(packet.subarray(20)), 22);
  sendFrame(device, packet);
  t.equal(device.flush(), 1);
  // The kernel answers when its turn has come, and may have IPv6 of its own to send before.
  let reply: ReturnType<typeof drainDevice>[number] | undefined;
  await until(() => (reply = drainDevice(device).find(({ bytes }) => bytes[0] === 0x45)) !== undefined);
  t.equal(reply?.bytes.subarray(12, 21).toString('hex'), 'c6124d01' + 'c6124d02' + '00', 'an echo reply, from the kernel to us');
  t.equal(reply?.bytes.subarray(24).toString('hex'), packet.subarray(24).toString('hex'));
});

/** RFC 1071. */
function checksum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return ~total & 0xffff;
}

t.test('an interface is made, up, where there is none, and goes with the device; one that was there stays', needsTun, async (t) => {
  const space = namespace(t);
  const { shared, memory } = newMemory();
  const open = (spec: string): TunDevice => openDevice(spec, memory, shared, { netns: space.name }) as TunDevice;
  const isThere = (name: string): boolean => space.ip('-o', 'link').includes(` ${name}:`);
  const made = open('tap:made0');
  t.equal(inNamespace(space.name, () => interfaceInfo('made0')).up, true);
  made.close();
  made.close();
  t.notOk(isThere('made0'));
  t.throws(() => { sendFrame(made, testFrame(new Uint8Array(6), 1)); made.flush(); }, { code: 'EBADF' });
  t.notOk(made.readable());

  space.ip('tuntap', 'add', 'dev', 'kept0', 'mode', 'tap');
  space.ip('tuntap', 'add', 'dev', 'queues0', 'mode', 'tun', 'multi_queue');
  for (const spec of ['tap:kept0', 'tap:kept0', 'tun:queues0']) open(spec).close();
  t.ok(isThere('kept0') && isThere('queues0'));
  t.throws(() => openDevice('tap:small0', ...small(), { netns: space.name }), RangeError);
});

function small(): [DeviceMemory, SharedArrayBuffer] {
  const { memory, shared } = newMemory(1 << 20);
  return [memory, shared];
}

t.test('several queues: one that was made for them and one that is made here; what comes by any of them is read, what is sent arrives', needsTun, async (t) => {
  const space = namespace(t);
  space.ip('tuntap', 'add', 'dev', 'tap4', 'mode', 'tap', 'multi_queue');
  space.ip('tuntap', 'add', 'dev', 'tap1', 'mode', 'tap');
  const { shared, memory } = newMemory();
  const open = (spec: string): TunDevice => openDevice(spec, memory, shared, { netns: space.name }) as TunDevice;
  const descriptors = (): number => readdirSync('/proc/self/fd').length;
  for (const name of ['tap4', 'made4']) {
    const before = descriptors();
    const device = open(`tap:${name}:4`);
    t.equal(descriptors(), before + 5, 'one for each queue, and one to wait for all');
    const other = newMemory();
    const kernel = inNamespace(space.name, () => new AfPacketDevice(name, other.memory, other.shared));
    const poller = new Poller([device.fd]);
    t.equal(poller.wait(0), 0);
    const got = new Collector();
    // The kernel spreads them by their addresses and ports.
    for (let i = 0; i < 64; i++) {
      const frame = Buffer.from(testFrame(device.capabilities.mac!, i, 80));
      frame.set([8, 0, 0x45, 0, 0, 66, 0, 0, 0, 0, 64, 17, 0, 0, 198, 18, 77, 1, 198, 18, 77, 2], 12);
      sendFrame(kernel, frame);
    }
    kernel.flush();
    t.equal(poller.wait(1e6), 1);
    await until(() => {
      if (device.receive(got, 5) > 5) t.fail('more than the budget');
      return got.frames.length === 64;
    });
    t.equal(new Set(got.frames.map(({ bytes }) => bytes.toString('hex'))).size, 64);
    t.notOk(device.readable());
    t.equal(poller.wait(0), 0);
    const sent = Array.from({ length: 64 }, (_, i) => testFrame(kernel.capabilities.mac!, i, 80));
    for (const frame of sent) sendFrame(device, frame);
    t.equal(device.flush(), 64);
    t.same(drainDevice(kernel).map(({ bytes }) => bytes), sent.map((frame) => Buffer.from(frame)));
    kernel.close();
    if (name === 'tap4') {
      space.ip('link', 'del', name);
      poller.wait(0);
      t.notOk(device.readable());
      t.equal(poller.wait(0), 0, 'one that was removed keeps no poll busy');
    }
    device.close();
    t.equal(descriptors(), before);
  }
  t.notMatch(space.ip('-o', 'link'), /made4/);
  t.throws(() => open('tap:tap1:2'), { code: 'EINVAL', message: /"tap1" is no tap interface with several queues; .*ip tuntap add dev tap1 mode tap multi_queue user/ });
  for (const spec of ['tap:tap1:', 'tap:tap1:x', 'packet:tap1:2']) t.throws(() => open(spec), TypeError);
});

t.test('an interface that goes down costs its frames, and works again when it is up', needsTun, async (t) => {
  const { space, device, kernel } = openTap(t);
  const poller = new Poller([device.fd]);
  space.ip('link', 'set', NAME, 'down');
  t.equal(poller.wait(0), 0);
  for (let i = 0; i < 3; i++) sendFrame(device, testFrame(kernel.capabilities.mac!, i));
  t.equal(device.flush(), 0);
  t.match(device, { down: true, stats: { txDropped: 3 } });
  space.ip('link', 'set', NAME, 'up');
  sendFrame(device, testFrame(kernel.capabilities.mac!, 9));
  t.equal(device.flush(), 1);
  t.equal(device.down, false);
  t.same(drainDevice(kernel).map((frame) => frame.bytes), [Buffer.from(testFrame(kernel.capabilities.mac!, 9))]);
});

t.test('an interface that is removed counts as down, throws nothing, and keeps no poll busy', needsTun, async (t) => {
  const { space, device, kernel } = openTap(t);
  const poller = new Poller([device.fd]);
  space.ip('link', 'del', NAME);
  poller.wait(0); // the error is told once
  t.equal(poller.wait(0), 0);
  sendFrame(device, testFrame(kernel.capabilities.mac!, 1));
  t.equal(device.flush(), 0);
  t.equal(device.down, true);
  t.same(drainDevice(device), []);
  t.notOk(device.readable());
});

t.test('an interface that is in use or of another kind is refused with the mend', needsTun, async (t) => {
  const { space } = openTap(t);
  const { shared, memory } = newMemory();
  const open = (spec: string) => () => openDevice(spec, memory, shared, { netns: space.name });
  t.throws(open(`tap:${NAME}`), { code: 'EBUSY', syscall: 'ioctl', message: /"tap0" is in use by another program/ });
  t.throws(open(`tun:${NAME}`), { code: 'EINVAL', message: /"tap0" is no tun interface; .*ip tuntap add dev tap0 mode tun/ });
  t.throws(open('tap:lo'), { code: 'EINVAL', message: /"lo" is no tap interface/ });
  t.throws(open('tap:abcdefghijklmnop'), { code: 'EINVAL', message: /1 to 15 bytes/ });
  t.throws(open('tap:'), TypeError);
});

/** What `openDevice` says to each spec, in a process of its own that is started by `command`. */
async function refusals(command: string[], specs: string[]): Promise<unknown[]> {
  const program = `
    const { newMemory } = await import('${new URL('./support.js', import.meta.url)}');
    const { openDevice } = await import('${new URL('../../lib/nic/open.js', import.meta.url)}');
    const { shared, memory } = newMemory();
    const said = ${JSON.stringify(specs)}.map((spec) => {
      try { openDevice(spec, memory, shared).close(); } catch (error) { return { ...error, message: error.message }; }
      return 'open';
    });
    console.log(JSON.stringify(said));`;
  const [file, ...args] = [...command, process.execPath, '--input-type=module', '-e', program];
  try {
    return JSON.parse((await run(file!, args)).stdout) as unknown[];
  } catch (error) {
    throw new Error((error as ExecFileException).stderr);
  }
}

t.test('without CAP_NET_ADMIN an interface of this user that is up will do; else the error says what is wanting', needsTun, async (t) => {
  const space = namespace(t);
  for (const name of ['mine0', 'down0']) space.ip('tuntap', 'add', 'dev', name, 'mode', 'tap', 'user', '0');
  space.ip('link', 'set', 'mine0', 'up');
  const said = await refusals(['ip', 'netns', 'exec', space.name, 'setpriv', '--bounding-set=-net_admin'], ['tap:mine0', 'tap:down0', 'tun:none0']);
  t.match(said, [
    'open',
    { code: 'ENETDOWN', message: /"down0" is down, and to bring it up needs CAP_NET_ADMIN; as root: ip link set down0 up/ },
    { code: 'EPERM', syscall: 'ioctl', message: /a tun device needs CAP_NET_ADMIN; run as root, or .*: ip tuntap add dev none0 mode tun user 0/ },
  ]);
});

t.test('where the system has no /dev/net/tun the error says how to get it', needsTun, async (t) => {
  const hidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /dev/net && exec "$0" "$@"'];
  t.match(await refusals(hidden, ['tap:tcp0']), [{ code: 'ENOENT', syscall: 'open', message: /modprobe tun.*mknod \/dev\/net\/tun c 10 200/ }]);
  const forbidden = ['unshare', '--mount', 'sh', '-c', 'mount -t tmpfs tmpfs /dev/net && touch /dev/net/tun && chmod 600 /dev/net/tun && chown 65534 /dev/net/tun && exec setpriv --bounding-set=-dac_override,-dac_read_search "$0" "$@"'];
  t.match(await refusals(forbidden, ['tap:tcp0']), [{ code: 'EACCES', message: /chmod 666 \/dev\/net\/tun/ }]);
});

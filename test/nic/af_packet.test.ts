/** The packet socket device over a veth pair, against the kernel's TCP and against a second such device. */
import { type ChildProcess, execFile, spawn } from 'node:child_process';
import { promisify } from 'node:util';
import t from 'tap';
import { addressFilter } from '../../lib/nic/packet_filter.js';
import type { AfPacketDevice } from '../../lib/nic/af_packet.js';
import { type FrameRest, type FrameSink, MAX_SPANS, RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import { openDevice } from '../../lib/nic/open.js';
import { Poller } from '../../lib/nic/syscalls.js';
import {
  Collector, drainDevice, macBytes, needsRoot, network, newMemory, openEnd, OWN, OWN_ADDRESS, pattern, PEER, sendFrame, until,
} from './support.js';

const OTHER_MAC = '02:00:00:00:00:99';

/** An Ethernet frame of type 0x88b5 (for experiments) with a payload of its own. */
function testFrame(to: string, index: number, length = 60): Uint8Array {
  const frame = pattern(length, index);
  frame.set(macBytes(to), 0);
  frame.set(macBytes(OTHER_MAC), 6);
  frame.set([0x88, 0xb5], 12);
  return frame;
}

t.test('frames with spans arrive at the peer as they were sent, in order, over several batches', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN);
  const right = openEnd(t, net.right, PEER);
  t.same(Buffer.from(left.device.capabilities.mac!), Buffer.from(macBytes(net.leftMac)));
  t.match(left.device.capabilities, { medium: 'ethernet', mtu: 1500, txChecksum: true, txSegmentation: 65535, rxCoalescing: true });
  left.memory.bytes.set(pattern(100_000, 1), 0);
  const expected: Buffer[] = [];
  const got = new Collector();
  for (let i = 0; i < 300; i++) {
    const header = testFrame(net.rightMac, i, 60 + (i % 7));
    const spans = Array.from({ length: i % (MAX_SPANS + 1) }, (_, s): [number, number] => [(i * 331 + s * 1009) % 90_000, 1 + ((i + s) % 70)]);
    if (!sendFrame(left.device, header, spans)) {
      t.equal(left.device.flush(), 128, 'a full batch');
      while (right.device.receive(got, 64) > 0);
      sendFrame(left.device, header, spans);
    }
    expected.push(Buffer.concat([header, ...spans.map(([offset, length]) => left.memory.bytes.subarray(offset, offset + length))]));
  }
  left.device.flush();
  while (right.device.receive(got, 64) > 0);
  t.equal(got.frames.length, 300);
  t.ok(got.frames.every((frame, i) => frame.bytes.equals(expected[i]!)), 'byte for byte');
  const bytes = expected.reduce((sum, frame) => sum + frame.length, 0);
  t.match(left.device.stats, { txFrames: 300, txBytes: bytes, txDropped: 0 });
  t.match(right.device.stats, { rxFrames: 300, rxBytes: bytes, rxDropped: 0 });
  t.same(drainDevice(left.device), [], 'its own frames do not come back');
});

for (const [what, slotPacket] of [['fetched beside the ring', 16384], ['in one slot of the ring', 65535]] as const) {
  t.test(`64 KB of a kernel TCP sender arrive whole as one frame, ${what}, checksum left out`, needsRoot, async (t) => {
    const net = network(t);
    const { device } = openEnd(t, net.left, OWN, { slotPacket });
    net.ip(net.right, 'route', 'replace', '198.18.77.0/24', 'dev', PEER, 'initcwnd', '200');
    const client = kernelSender(net.right);
    t.teardown(() => client.kill());
    const peer = new TcpByHand(device, net.rightMac);
    await until(() => {
      while (device.receive(peer, 64) > 0);
      device.flush();
      return peer.contiguous() >= WANTED;
    });
    client.kill();
    t.ok(peer.stream.equals(streamBytes(WANTED)), 'the bytes are those that were sent');
    t.ok(peer.longest > 60_000, `the longest frame has ${peer.longest} bytes`);
    t.ok(peer.coalesced > 0 && peer.segmentSizes.size <= 2, `segments of ${[...peer.segmentSizes].join()} bytes`);
    t.equal(peer.unchecked, 0, 'every frame says that its checksum need not be looked at');
  });
}

const WANTED = 150_000;

/** What the kernel's sender sends: byte i is a function of i alone. */
function streamBytes(length: number): Buffer {
  return Buffer.from(Uint8Array.from({ length }, (_, i) => (i * 31 + (i >> 8)) & 255));
}

function kernelSender(namespace: string): ChildProcess {
  const program = `
    require('node:fs').writeFileSync('/proc/sys/net/ipv4/tcp_wmem', '4096 4194304 8388608');
    const bytes = Uint8Array.from({ length: 1 << 20 }, (_, i) => (i * 31 + (i >> 8)) & 255);
    require('node:net').connect(4242, '${OWN_ADDRESS}', function () { this.write(bytes); }).on('error', () => {});`;
  return spawn('ip', ['netns', 'exec', namespace, process.execPath, '-e', program], { stdio: 'inherit' });
}

/** Answers a handshake, then keeps what comes. The checksum of the answer is left to the device. */
class TcpByHand implements FrameSink {
  readonly stream = Buffer.alloc(WANTED);
  longest = 0;
  coalesced = 0;
  unchecked = 0;
  readonly segmentSizes = new Set<number>();
  readonly #device: AfPacketDevice;
  readonly #peerMac: number[];
  #start = 0;
  #isOpen = false;
  readonly #arrived: [from: number, to: number][] = [];

  constructor(device: AfPacketDevice, peerMac: string) {
    this.#device = device;
    this.#peerMac = macBytes(peerMac);
  }

  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    const frame = Buffer.from(bytes.buffer, bytes.byteOffset + offset, length);
    if (frame.readUInt16BE(12) !== 0x0800 || frame[23] !== 6) return;
    if ((flags & RX_CHECKSUM_VALID) === 0) this.unchecked++;
    const sequence = frame.readUInt32BE(38);
    if ((frame[47]! & 2) !== 0) {
      this.#start = (sequence + 1) >>> 0;
      this.#answer(frame, 1000, 0x12, [2, 4, 0x05, 0xb4, 1, 3, 3, 10]); // SYN and ACK; MSS 1460, window scale 10
      return;
    }
    if (!this.#isOpen) this.#answer(frame, 1001, 0x10, [1, 1, 1, 1, 1, 1, 1, 1]); // the window of a SYN is not scaled: open it now
    this.#isOpen = true;
    const payloadAt = 34 + (frame[46]! >> 4) * 4;
    const from = (sequence - this.#start) | 0;
    const to = from + 14 + frame.readUInt16BE(16) - payloadAt;
    if (to > from) this.#arrived.push([from, to]);
    if (from >= 0 && from < WANTED) frame.copy(this.stream, from, payloadAt, 14 + frame.readUInt16BE(16));
    this.longest = Math.max(this.longest, length);
    if (segmentSize > 0) {
      this.coalesced++;
      this.segmentSizes.add(segmentSize);
    }
  }

  /** Bytes of the stream that are there without a gap. */
  contiguous(): number {
    let reached = 0;
    for (const [from, to] of this.#arrived.toSorted((a, b) => a[0] - b[0])) if (from <= reached) reached = Math.max(reached, to);
    return reached;
  }

  /** Sends a header with eight bytes of options back to where `frame` came from. */
  #answer(frame: Buffer, sequence: number, flags: number, options: number[]): void {
    const reply = Buffer.alloc(14 + 20 + 28);
    reply.set(this.#peerMac, 0);
    frame.copy(reply, 6, 0, 6);
    reply.set([0x08, 0x00, 0x45, 0, 0, 48, 0, 0, 0x40, 0, 64, 6], 12);
    frame.copy(reply, 26, 30, 34);
    frame.copy(reply, 30, 26, 30);
    reply.writeUInt16BE(~sum(reply.subarray(14, 34)) & 0xffff, 24);
    frame.copy(reply, 34, 36, 38);
    frame.copy(reply, 36, 34, 36);
    reply.writeUInt32BE(sequence, 38);
    reply.writeUInt32BE(this.#start, 42);
    reply.set([0x70, flags, 0xff, 0xff, 0, 0, 0, 0, ...options], 46);
    reply.writeUInt16BE(sum(Buffer.concat([reply.subarray(26, 34), Buffer.from([0, 6, 0, 28])])), 50);
    sendFrame(this.#device, reply, [], 34);
  }
}

/** One's complement sum of 16-bit words. */
function sum(bytes: Uint8Array): number {
  let total = 0;
  for (let i = 0; i < bytes.length; i += 2) total += (bytes[i]! << 8) | bytes[i + 1]!;
  while (total > 0xffff) total = (total & 0xffff) + (total >>> 16);
  return total;
}

t.test('a super-segment with 18 spans reaches the peer as one coalesced frame', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN);
  const right = openEnd(t, net.right, PEER);
  left.memory.bytes.set(pattern(65_000, 5), 0);
  const header = Buffer.alloc(54);
  header.set(macBytes(net.rightMac), 0);
  header.set([0x08, 0x00, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6], 12);
  header.writeUInt16BE(40 + 18 * 3600, 16);
  header[46] = 0x50;
  sendFrame(left.device, header, Array.from({ length: 18 }, (_, i): [number, number] => [i * 3600, 3600]), 34, 1460);
  t.equal(left.device.flush(), 1);
  const [frame] = drainDevice(right.device);
  t.same([frame!.bytes.length, frame!.segmentSize, frame!.flags], [54 + 64_800, 1460, RX_CHECKSUM_VALID]);
  t.ok(frame!.bytes.subarray(54).equals(Buffer.from(left.memory.bytes.subarray(0, 64_800))));
});

/** What `LongSink` does with a frame. */
type Wish = 'whole' | 'parts' | 'nothing' | 'too much' | 'twice';

/** Has the bytes of long frames put where its wishes say, one a frame. */
class LongSink implements FrameSink {
  readonly got: (Buffer | null)[] = [];
  readonly #memory: Uint8Array;
  readonly #wishes: Wish[];

  constructor(memory: Uint8Array, wishes: readonly Wish[]) {
    this.#memory = memory;
    this.#wishes = [...wishes];
  }

  frame(bytes: Uint8Array, offset: number, length: number): void {
    this.got.push(Buffer.from(bytes.subarray(offset, offset + length)));
  }

  longFrame(bytes: Uint8Array, offset: number, present: number, length: number, _flags: number, _segmentSize: number, rest: FrameRest): void {
    const head = bytes.slice(offset, offset + 1000);
    const wish = this.#wishes.shift();
    if (wish === 'whole' || wish === 'twice') {
      const at = rest.whole();
      this.got.push(at < 0 ? null : Buffer.from(bytes.subarray(at, at + length)));
      if (wish === 'twice' && rest.whole() >= 0) throw new Error('it comes once');
    } else if (wish === 'nothing') {
      this.got.push(null);
    } else {
      // The parts behind the first 1000 bytes, in an order of places that is not theirs.
      const behind = length - 1000 + (wish === 'too much' ? 1 : 0);
      const middle = present >> 1;
      rest.from(offset + 1000);
      rest.into(500_000, middle);
      rest.into(400_000, behind - middle);
      const parts = [head, this.#memory.subarray(500_000, 500_000 + middle), this.#memory.subarray(400_000, 400_000 + behind - middle)];
      this.got.push(rest.fetch() ? Buffer.concat(parts) : null);
    }
  }
}

t.test('of a frame that is longer than its slot the bytes go where they are wanted, or nowhere, and the next ones stay in step', needsRoot, async (t) => {
  const net = network(t);
  const { device, memory } = openEnd(t, net.left, OWN, { slotPacket: 2048 });
  const right = openEnd(t, net.right, PEER);
  const wishes: Wish[] = ['parts', 'whole', 'nothing', 'parts', 'too much', 'twice', 'parts'];
  const sent: Buffer[] = [];
  for (const [i] of wishes.entries()) {
    // Every second one is a short one, which comes by the ring alone.
    right.memory.bytes.set(pattern(60_000, i), 0);
    const header = Buffer.alloc(54);
    header.set(macBytes(net.leftMac), 0);
    header.set([0x08, 0x00, 0x45, 0, 0, 0, 0, 1, 0x40, 0, 64, 6], 12);
    header.writeUInt16BE(40 + 60_000 - i, 16);
    header[46] = 0x50;
    sendFrame(right.device, header, [[0, 60_000 - i]], 34, 1460);
    right.device.flush();
    sent.push(Buffer.concat([header, right.memory.bytes.subarray(0, 60_000 - i)]));
    const short = testFrame(net.leftMac, i);
    sendFrame(right.device, short);
    right.device.flush();
    sent.push(Buffer.from(short));
  }
  const sink = new LongSink(memory.bytes, wishes);
  while (device.receive(sink, 3) > 0);
  const lost = (i: number): boolean => i % 2 === 0 && ['nothing', 'too much'].includes(wishes[i / 2]!);
  t.same(sink.got.map((frame) => frame?.length), sent.map((frame, i) => lost(i) ? undefined : frame.length));
  // What the sender's kernel has put into the TCP checksum is its own affair.
  const withoutChecksum = (frame: Buffer): Buffer => Buffer.concat([frame.subarray(0, 50), frame.subarray(52)]);
  t.ok(sink.got.every((frame, i) => frame === null || withoutChecksum(frame).equals(withoutChecksum(sent[i]!))), 'byte for byte');
  t.match(device.stats, { rxFrames: sent.length, rxDropped: 0 });
});

t.test('frames for other hosts and of other VLANs are passed over, an own link address is not', needsRoot, async (t) => {
  const net = network(t);
  const plain = openEnd(t, net.left, OWN);
  const own = openEnd(t, net.left, OWN, { mac: Uint8Array.from(macBytes('02:00:00:00:00:42')) });
  const right = openEnd(t, net.right, PEER);
  t.same(Buffer.from(own.device.capabilities.mac!), Buffer.from(macBytes('02:00:00:00:00:42')));
  const tagged = testFrame(net.leftMac, 3);
  tagged.set([0x81, 0x00, 0x00, 0x05, 0x88, 0xb5], 12);
  const frames = [testFrame(net.leftMac, 0), testFrame('02:00:00:00:00:42', 1), testFrame('ff:ff:ff:ff:ff:ff', 2), tagged, testFrame('02:00:00:00:00:43', 4)];
  for (const frame of frames) sendFrame(right.device, frame);
  right.device.flush();
  const [toInterface, toOwn, toAll] = frames.map((frame) => Buffer.from(frame));
  t.same(drainDevice(plain.device).map((frame) => frame.bytes), [toInterface, toAll]);
  t.same(drainDevice(own.device).map((frame) => frame.bytes), [toInterface, toOwn, toAll]);
});

t.test('with a filter only ARP and IPv4 for the address use up slots of the ring', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN, { filter: addressFilter([Uint8Array.of(198, 18, 77, 2)]) });
  const right = openEnd(t, net.right, PEER);
  const arp = testFrame(net.leftMac, 1);
  arp.set([0x08, 0x06], 12);
  const packet = (index: number, to: number[]): Uint8Array => {
    const frame = testFrame(net.leftMac, index);
    frame.set([0x08, 0x00], 12);
    frame.set(to, 30);
    return frame;
  };
  const ours = packet(2, [198, 18, 77, 2]);
  for (const frame of [testFrame(net.leftMac, 0), arp, ours, packet(3, [198, 18, 77, 3])]) sendFrame(right.device, frame);
  right.device.flush();
  t.same(drainDevice(left.device).map((frame) => frame.bytes), [Buffer.from(arp), Buffer.from(ours)]);
  t.throws(() => openEnd(t, net.left, OWN, { filter: addressFilter([Uint8Array.of(198, 18, 77)]) }), /4 or 16 bytes/);
});

t.test('the filter follows the own addresses, and lets messages to DHCP clients through where there may be none', needsRoot, async (t) => {
  const net = network(t);
  const make = (addresses: readonly Uint8Array[]): Uint8Array => addressFilter(addresses, true);
  const left = openEnd(t, net.left, OWN, { filter: make([]), addressFilter: make });
  const right = openEnd(t, net.right, PEER);
  const packet = (index: number, options: { to?: number[]; port?: number; protocol?: number; fragment?: number; header?: number }): Uint8Array => {
    const { to = [198, 18, 77, 9], port = 68, protocol = 17, fragment = 0, header = 5 } = options;
    const frame = testFrame(net.leftMac, index);
    frame.set([0x08, 0x00, 0x40 | header], 12);
    frame.set([fragment >> 8, fragment & 255], 20);
    frame[23] = protocol;
    frame.set(to, 30);
    frame.set([0, 67, port >> 8, port & 255], 14 + 4 * header);
    return frame;
  };
  const dhcp = [packet(0, {}), packet(1, { to: [255, 255, 255, 255] }), packet(2, { header: 6 }), packet(3, { fragment: 0x2000 })];
  const others = [packet(4, { port: 67 }), packet(5, { protocol: 6 }), packet(6, { fragment: 1 }), packet(7, { header: 6, port: 53 })];
  const own = [packet(8, { to: [198, 18, 77, 2], protocol: 6 })];
  const received = (): Buffer[] => {
    for (const frame of [...dhcp, ...others, ...own]) sendFrame(right.device, frame);
    right.device.flush();
    return drainDevice(left.device).map(({ bytes }) => bytes);
  };
  const framesOf = (...frames: Uint8Array[]): Buffer[] => frames.map((frame) => Buffer.from(frame));
  t.same(received(), framesOf(...dhcp));
  left.device.setAddresses([Uint8Array.of(198, 18, 77, 2)]);
  t.same(received(), framesOf(...dhcp, ...own));
  left.device.setAddresses([]);
  t.same(received(), framesOf(...dhcp));
  const fixed = openEnd(t, net.left, OWN, { filter: addressFilter([Uint8Array.of(198, 18, 77, 2)]) });
  fixed.device.setAddresses([]);
  for (const frame of own) sendFrame(right.device, frame);
  right.device.flush();
  t.same(drainDevice(fixed.device).map(({ bytes }) => bytes), framesOf(...own), 'one that was opened for good stays');
});

t.test('with a filter IPv6 comes in for own addresses, groups and link-local ones, and groups that were joined reach the interface', needsRoot, async (t) => {
  const net = network(t);
  const address = (text: string): Uint8Array => Uint8Array.from(Buffer.from(text, 'hex'));
  const own = ['20010db8000000000000000000000001', '20010db80000000000000000ffffff02'].map(address);
  const left = openEnd(t, net.left, OWN, { filter: addressFilter([Uint8Array.of(198, 18, 77, 2), ...own]) });
  const right = openEnd(t, net.right, PEER);
  const packet = (index: number, to: Uint8Array, mac = net.leftMac): Uint8Array => {
    const frame = testFrame(mac, index);
    frame.set([0x86, 0xdd], 12);
    frame.set(to, 38);
    return frame;
  };
  const taken = [
    packet(0, own[0]!), packet(1, own[1]!), packet(2, address('ff020000000000000000000000000001'), '33:33:00:00:00:01'),
    packet(3, address('fe800000000000000000000000000009')), packet(4, address('febf0000000000000000000000000009')),
  ];
  const passed = [
    packet(5, address('20010db8000000000000000000000002')), packet(6, address('20010db80000000000000001ffffff02')),
    packet(7, address('20010db9000000000000000000000001')), packet(8, address('fec00000000000000000000000000001')),
    packet(9, address('fe7f0000000000000000000000000001')), packet(10, new Uint8Array(16)),
  ];
  for (const frame of [...passed, ...taken, ...passed]) sendFrame(right.device, frame);
  right.device.flush();
  t.same(drainDevice(left.device).map((frame) => frame.bytes), taken.map((frame) => Buffer.from(frame)));
  left.device.joinGroup(Uint8Array.of(0x33, 0x33, 0xff, 0, 0, 1));
  t.match(net.ip(net.left, 'maddress', 'show', 'dev', OWN), '33:33:ff:00:00:01');
  left.device.leaveGroup(Uint8Array.of(0x33, 0x33, 0xff, 0, 0, 1));
  t.notMatch(net.ip(net.left, 'maddress', 'show', 'dev', OWN), '33:33:ff:00:00:01');
  const most = [Uint8Array.of(198, 18, 77, 2), ...Array.from({ length: 15 + 9 }, () => own[0]!)];
  t.doesNotThrow(() => addressFilter(most, true), 'as many as options and routers together can bring about');
  t.throws(() => addressFilter(Array.from({ length: 40 }, () => own[0]!)), RangeError, 'a filter has a bound');
});

t.test('frames that find no slot are counted, the others stay in order', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN, { ringBytes: 1 << 20 });
  const right = openEnd(t, net.right, PEER);
  for (let i = 0; i < 100; i++) sendFrame(right.device, testFrame(net.leftMac, i));
  right.device.flush();
  const early = drainDevice(left.device);
  t.ok(early.length > 50 && early.length < 100);
  t.ok(early.every((frame, i) => frame.bytes.equals(Buffer.from(testFrame(net.leftMac, i)))));
  sendFrame(right.device, testFrame(net.leftMac, 100));
  right.device.flush();
  t.same(drainDevice(left.device)[0]!.bytes, Buffer.from(testFrame(net.leftMac, 100)));
  t.equal(left.device.stats.rxDropped, 100 - early.length);
});

t.test('the ring is used over and over: 20 times its slots, each frame intact', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN, { ringBytes: 2 << 20 });
  const right = openEnd(t, net.right, PEER);
  let wrong = 0;
  let received = 0;
  const check: FrameSink = {
    frame(bytes, offset, length) {
      const expected = testFrame(net.leftMac, received, 60 + (received % 1400));
      if (Buffer.compare(bytes.subarray(offset, offset + length), expected) !== 0) wrong++;
      received++;
    },
  };
  for (let i = 0; i < 2520; i++) {
    sendFrame(right.device, testFrame(net.leftMac, i, 60 + (i % 1400)));
    if (i % 100 !== 99) continue;
    right.device.flush();
    while (left.device.receive(check, 64) > 0);
  }
  t.equal(received, 2500);
  t.equal(wrong, 0);
});

t.test('the descriptor polls readable when a frame waits', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN);
  const right = openEnd(t, net.right, PEER);
  const poller = new Poller([left.device.fd]);
  t.equal(poller.wait(0), 0);
  t.notOk(left.device.readable());
  sendFrame(right.device, testFrame(net.leftMac, 1));
  right.device.flush();
  t.equal(poller.wait(1e6), 1);
  t.ok(left.device.readable());
  drainDevice(left.device);
  t.equal(poller.wait(0), 0);
});

t.test('an interface that goes down costs its frames, keeps no poll busy, and works again when it is up', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN);
  const right = openEnd(t, net.right, PEER);
  const poller = new Poller([left.device.fd]);
  net.ip(net.left, 'link', 'set', OWN, 'down');
  poller.wait(0); // the error is told once
  t.equal(poller.wait(0), 0);
  for (let i = 0; i < 3; i++) sendFrame(left.device, testFrame(net.rightMac, i));
  t.equal(left.device.flush(), 0);
  t.match(left.device, { down: true, stats: { txDropped: 3 } });
  net.ip(net.left, 'link', 'set', OWN, 'up');
  await until(() => sendFrame(left.device, testFrame(net.rightMac, 9)) && left.device.flush() === 1 && right.device.readable());
  t.equal(left.device.down, false);
  sendFrame(right.device, testFrame(net.leftMac, 10));
  right.device.flush();
  t.same(drainDevice(left.device).map((frame) => frame.bytes), [Buffer.from(testFrame(net.leftMac, 10))]);
});

t.test('an interface that is removed counts as down and throws nothing', needsRoot, async (t) => {
  const net = network(t);
  const left = openEnd(t, net.left, OWN);
  const poller = new Poller([left.device.fd]);
  net.ip(net.left, 'link', 'del', OWN);
  poller.wait(0);
  t.equal(poller.wait(0), 0);
  sendFrame(left.device, testFrame(net.rightMac, 1));
  t.equal(left.device.flush(), 0);
  t.equal(left.device.down, true);
  t.same(drainDevice(left.device), []);
});

t.test('a closed device gives its memory back, and refuses to send', needsRoot, async (t) => {
  const net = network(t);
  const { shared, memory } = newMemory();
  const open = (): AfPacketDevice => openDevice(`packet:${OWN}`, memory, shared, { netns: net.left }) as AfPacketDevice;
  for (let i = 0; i < 3; i++) {
    const device = open();
    memory.bytes[memory.regionOffset + 60] = 1;
    sendFrame(device, testFrame(net.rightMac, 1));
    device.close();
    device.close();
    t.throws(() => device.flush(), { code: 'EBADF' });
    t.equal(memory.bytes[memory.regionOffset + 60], 0);
  }
});

t.test('an interface that is missing, down or without Ethernet is refused with the mend', needsRoot, async (t) => {
  const net = network(t);
  const { shared, memory } = newMemory();
  const open = (spec: string, netns: string) => () => openDevice(spec, memory, shared, { netns });
  t.throws(open('packet:nosuch0', net.left), { code: 'ENODEV', message: new RegExp(`there is no interface "nosuch0" here; there is .*${OWN}`) });
  t.throws(open('packet:lo', net.left), { code: 'ENODEV', message: /"lo" does not speak Ethernet/ });
  net.ip(net.left, 'link', 'set', OWN, 'down');
  t.throws(open(`packet:${OWN}`, net.left), { code: 'ENETDOWN', message: new RegExp(`ip link set ${OWN} up`) });
  t.throws(open(`packet:${OWN}`, 'nosuch'), { code: 'ENOENT', message: /no network namespace "nosuch"/ });
  const small = newMemory(1 << 20);
  t.throws(() => openDevice(`packet:${OWN}`, small.memory, small.shared, { netns: net.left }), RangeError);
});

t.test('without CAP_NET_RAW the error names the capability and how to grant it', needsRoot, async (t) => {
  const net = network(t);
  const program = `
    const { newMemory } = await import('${new URL('./support.js', import.meta.url)}');
    const { AfPacketDevice } = await import('${new URL('../../lib/nic/af_packet.js', import.meta.url)}');
    const { shared, memory } = newMemory();
    try { new AfPacketDevice('${OWN}', memory, shared); } catch (error) { console.log(JSON.stringify({ ...error, message: error.message })); }`;
  const args = ['netns', 'exec', net.left, 'setpriv', '--bounding-set=-net_raw', process.execPath, '--input-type=module', '-e', program];
  const { stdout } = await promisify(execFile)('ip', args);
  t.match(JSON.parse(stdout), { code: 'EPERM', errno: -1, syscall: 'socket', message: /needs CAP_NET_RAW; run as root, or grant it: setcap cap_net_raw/ });
});

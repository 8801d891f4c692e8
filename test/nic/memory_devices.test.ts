/** Devices that are memory only: the pipe, the loopback, and the queue of frames below both. */
import t from 'tap';
import { type FrameSink, MAX_SPANS, RX_CHECKSUM_VALID, TX_ROOM } from '../../lib/nic/device.js';
import { FrameQueue } from '../../lib/nic/frame_queue.js';
import { LoopbackDevice } from '../../lib/nic/loopback.js';
import { openDevice } from '../../lib/nic/open.js';
import { pipe } from '../../lib/nic/pipe.js';
import { drainDevice, newMemory, pattern, sendFrame } from './support.js';

t.test('frames of random lengths pass a full and wrapping queue in order and intact', async (t) => {
  const bytes = new Uint8Array(3 * TX_ROOM);
  const queue = new FrameQueue(bytes, 64, 3 * TX_ROOM - 64, 16);
  let sent = 0;
  let received = 0;
  let refused = 0;
  const sink: FrameSink = {
    frame(memory, offset, length, flags, segmentSize): void {
      const expected = pattern(lengthOf(received), received);
      t.equal(Buffer.compare(memory.subarray(offset, offset + length), expected), 0, `frame ${received}`);
      t.equal(flags, received & 1);
      t.equal(segmentSize, received);
      received++;
    },
  };
  while (received < 300) {
    const at = queue.reserve();
    if (at < 0) {
      refused++;
      queue.publish();
      for (let i = 0; i <= sent % 5 && queue.waiting > 0; i++) queue.deliver(sink);
      continue;
    }
    t.equal(queue.reserve(), at, 'asking again gives the same room');
    bytes.set(pattern(lengthOf(sent), sent), at);
    queue.commit(lengthOf(sent), sent & 1, sent);
    sent++;
  }
  t.ok(refused > 10, 'it was full many times');
});

function lengthOf(index: number): number {
  return 1 + ((index * 7919) % (index % 3 === 0 ? 65000 : 1500));
}

t.test('what one end of a pipe sends, the other receives, after the flush and not before', async (t) => {
  const [a, b] = pipe();
  t.ok(sendFrame(a, pattern(100, 1)));
  t.ok(sendFrame(a, pattern(1514, 2)));
  t.notOk(b.readable());
  t.equal(a.flush(), 2);
  t.ok(b.readable());
  t.notOk(a.readable());
  const frames = drainDevice(b);
  t.same(frames.map((frame) => frame.bytes), [Buffer.from(pattern(100, 1)), Buffer.from(pattern(1514, 2))]);
  t.equal(frames[0]!.flags, 0, 'the receiver has to look at the checksum');
  t.match(a.stats, { txFrames: 2, txBytes: 1614 });
  t.match(b.stats, { rxFrames: 2, rxBytes: 1614 });
});

t.test('a budget leaves the rest of the frames for the next call', async (t) => {
  const [a, b] = pipe();
  for (let i = 0; i < 5; i++) sendFrame(a, pattern(60, i));
  a.flush();
  const none: FrameSink = { frame() {} };
  t.equal(b.receive(none, 3), 3);
  t.equal(b.receive(none, 3), 2);
  t.equal(b.receive(none, 3), 0);
});

t.test('payload spans follow the bytes in the room, as many as a frame may have', async (t) => {
  const payload = pattern(4096, 7);
  const [a, b] = pipe({ memory: [payload, payload] });
  const spans = Array.from({ length: MAX_SPANS }, (_, i): [number, number] => [i * 100, 10 + i]);
  sendFrame(a, pattern(54, 3), spans);
  a.flush();
  const expected = Buffer.concat([pattern(54, 3), ...spans.map(([offset, length]) => payload.subarray(offset, offset + length))]);
  t.same(drainDevice(b)[0]!.bytes, expected);
  a.reserve();
  for (let i = 0; i < MAX_SPANS; i++) a.append(0, 1);
  t.throws(() => a.append(0, 1), RangeError);
});

t.test('a pipe that leaves checksums out says so to the receiver', async (t) => {
  const [a, b] = pipe({ checksum: 'left-out', segmentation: 65535 });
  sendFrame(a, pattern(60, 1), [], 34);
  sendFrame(a, pattern(60000, 2), [], 34, 1448);
  sendFrame(a, pattern(60, 3));
  a.flush();
  t.same(drainDevice(b).map((frame) => [frame.flags, frame.segmentSize]), [[RX_CHECKSUM_VALID, 0], [RX_CHECKSUM_VALID, 1448], [0, 0]]);
});

t.test('a pipe that completes checksums sums from the place it was given to the end of the frame', async (t) => {
  for (const length of [60, 61]) {
    const [a, b] = pipe({ checksum: 'completed' });
    const frame = pattern(length, length);
    frame.set([0x12, 0x34], 34 + 16); // sum of the pseudo-header
    sendFrame(a, frame, [], 34);
    a.flush();
    const received = drainDevice(b)[0]!;
    t.equal(received.flags, 0);
    // With the field's own part taken as it was sent, everything sums up to all ones (RFC 1071).
    let sum = 0x1234;
    for (let i = 34; i < length; i += 2) sum += (received.bytes[i]! << 8) | (received.bytes[i + 1] ?? 0);
    while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
    t.equal(sum, 0xffff);
  }
});

t.test('a frame longer than the link takes is refused and counted', async (t) => {
  const [a, b] = pipe({ mtu: 1500 });
  sendFrame(a, pattern(1515, 1));
  t.equal(a.flush(), 0);
  t.equal(a.stats.txDropped, 1);
  t.same(drainDevice(b), []);
  t.throws(() => pipe({ segmentation: 65535 }), TypeError);
});

t.test('a full pipe gives no room until the other end has received', async (t) => {
  const [a, b] = pipe({ queueFrames: 4 });
  for (let i = 0; i < 4; i++) t.ok(sendFrame(a, pattern(60, i)));
  t.notOk(sendFrame(a, pattern(60, 5)));
  a.flush();
  t.notOk(sendFrame(a, pattern(60, 5)));
  t.equal(drainDevice(b).length, 4);
  t.ok(sendFrame(a, pattern(60, 5)));
});

t.test('the loopback delivers to itself, checksum good, payload gathered out of the same memory', async (t) => {
  const { shared, memory } = newMemory();
  const device = openDevice('loopback', memory, shared);
  t.same([device.capabilities.medium, device.capabilities.mtu, device.capabilities.mac, device.fd], ['ip', 65535, null, -1]);
  memory.bytes.set(pattern(60000, 9), 1000);
  sendFrame(device, pattern(40, 1), [[1000, 30000], [31000, 30000]], 20);
  t.notOk(device.readable());
  t.equal(device.flush(), 1);
  t.ok(device.readable());
  const [frame] = drainDevice(device);
  t.same(frame!.bytes, Buffer.concat([pattern(40, 1), pattern(60000, 9)]));
  t.equal(frame!.flags, RX_CHECKSUM_VALID);
  t.match(device.stats, { rxFrames: 1, txFrames: 1, rxBytes: 60040, txBytes: 60040 });
});

t.test('a frame sent by the sink while it is being handed one is received afterwards', async (t) => {
  const { memory } = newMemory();
  const device = new LoopbackDevice(memory);
  const seen: number[] = [];
  const sink: FrameSink = {
    frame(bytes, offset) {
      seen.push(bytes[offset]!);
      if (seen.length < 4) sendFrame(device, Uint8Array.of(bytes[offset]! + 1));
    },
  };
  sendFrame(device, Uint8Array.of(1));
  device.flush();
  t.equal(device.receive(sink, 64), 1, 'what was not flushed has not left');
  for (let i = 0; i < 3; i++) {
    device.flush();
    device.receive(sink, 64);
  }
  t.same(seen, [1, 2, 3, 4]);
});

t.test('a device that is not known is refused with what there is', async (t) => {
  const { shared, memory } = newMemory();
  for (const spec of ['', 'eth0', 'packet:', 'tap:', 'wire:x']) {
    t.throws(() => openDevice(spec, memory, shared), { name: 'TypeError', message: /'loopback', or 'packet:', 'xdp:', 'macvlan:', 'tap:', 'tun:' or 'raw:' and the name of an interface/ });
  }
});

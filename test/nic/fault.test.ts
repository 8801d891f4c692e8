/** The bad link, on a virtual clock. */
import t from 'tap';
import { RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import { type FaultOptions, fault, type FaultDevice } from '../../lib/nic/fault.js';
import { HeldFrames } from '../../lib/nic/held_frames.js';
import { pipe, type PipeDevice, type PipeOptions } from '../../lib/nic/pipe.js';
import { seededRandom } from '../../lib/nic/random.js';
import { type Captured, drainDevice, sendFrame } from './support.js';

interface Bad {
  sender: PipeDevice;
  device: FaultDevice;
  clock: { now: number };
}

/** A pipe whose second end has the faults. */
function badPipe(options: FaultOptions, pipeOptions: PipeOptions = {}): Bad {
  const clock = { now: 0 };
  const [sender, receiver] = pipe({ medium: 'ip', queueFrames: 16384, queueBytes: 1 << 24, ...pipeOptions });
  return { sender, device: fault(receiver, new Uint8Array(0), options, () => clock.now), clock };
}

/** A numbered frame: the number, then zeros. */
function numbered(index: number, length = 64): Uint8Array {
  const bytes = new Uint8Array(length);
  new DataView(bytes.buffer).setUint32(0, index);
  return bytes;
}

function numbers(frames: Captured[]): number[] {
  return frames.map((frame) => frame.bytes.readUInt32BE(0));
}

/** Sends `count` frames at once and takes what arrives, in the order of time, with the times. */
function run(bad: Bad, count: number, length = 64): { frames: Captured[]; times: number[] } {
  for (let i = 0; i < count; i++) sendFrame(bad.sender, numbered(i, length));
  bad.sender.flush();
  const frames: Captured[] = [];
  const times: number[] = [];
  while (bad.device.readable() || bad.device.nextEvent() < Infinity) {
    if (!bad.device.readable()) bad.clock.now = bad.device.nextEvent();
    for (const frame of drainDevice(bad.device)) {
      frames.push(frame);
      times.push(bad.clock.now);
    }
  }
  return { frames, times };
}

t.test('without faults every frame passes at once, in order, flags kept', async (t) => {
  const bad = badPipe({}, { checksum: 'left-out', segmentation: 65535 });
  sendFrame(bad.sender, numbered(1), [], 20);
  sendFrame(bad.sender, numbered(2, 60000), [], 20, 1448);
  bad.sender.flush();
  const frames = drainDevice(bad.device);
  t.same(frames.map((frame) => [frame.bytes.length, frame.flags, frame.segmentSize]), [[64, RX_CHECKSUM_VALID, 0], [60000, RX_CHECKSUM_VALID, 1448]]);
  t.equal(bad.device.nextEvent(), Infinity);
});

t.test('the same seed gives the same faults, another seed others', async (t) => {
  const all: FaultOptions = { loss: 0.1, delay: 500, jitter: 300, reorder: 0.1, duplicate: 0.1, corrupt: 0.1, rate: 1e9 };
  const outcome = (seed: number): string => {
    const { frames, times } = run(badPipe({ ...all, seed }), 500);
    return JSON.stringify([frames.map((frame) => frame.bytes.toString('hex')), times]);
  };
  t.equal(outcome(5), outcome(5));
  t.not(outcome(5), outcome(6));
});

t.test('as many frames are lost, doubled, late and damaged as was asked', async (t) => {
  const count = 10_000;
  const bad = badPipe({ loss: 0.1, duplicate: 0.05, reorder: 0.02, corrupt: 0.01 });
  const { frames } = run(bad, count);
  const counts = bad.device.receiving.counts;
  const near = (value: number, share: number, what: string): void => {
    const sigma = Math.sqrt(count * share * (1 - share));
    t.ok(Math.abs(value - count * share) < 5 * sigma, `${what}: ${value} of ${count * share}`);
  };
  near(counts.lost, 0.1, 'lost');
  near(counts.duplicated, 0.9 * 0.05, 'doubled');
  near(counts.reordered, 0.9 * 0.02, 'late');
  near(counts.corrupted, 0.9 * 0.01, 'damaged');
  t.equal(frames.length, count - counts.lost + counts.duplicated);
  t.equal(bad.device.stats.rxDropped, counts.lost);
});

t.test('a delayed frame arrives exactly that much later, and nextEvent tells when', async (t) => {
  const bad = badPipe({ delay: 2500 });
  bad.clock.now = 1000;
  sendFrame(bad.sender, numbered(1));
  bad.sender.flush();
  t.same(drainDevice(bad.device), []);
  t.equal(bad.device.nextEvent(), 3500);
  bad.clock.now = 3499.5;
  t.notOk(bad.device.readable());
  bad.clock.now = 3500;
  t.ok(bad.device.readable());
  t.same(numbers(drainDevice(bad.device)), [1]);
});

t.test('a delay alone keeps the order; reordering lets later frames overtake', async (t) => {
  t.same(numbers(run(badPipe({ delay: 700 }), 200).frames), Array.from({ length: 200 }, (_, i) => i));
  const bad = badPipe({ reorder: 0.1, reorderDelay: 50 });
  const order = numbers(run(bad, 200).frames);
  const late = bad.device.receiving.counts.reordered;
  t.ok(late > 5);
  t.not(JSON.stringify(order), JSON.stringify(order.toSorted((a, b) => a - b)));
  t.same(order.toSorted((a, b) => a - b), Array.from({ length: 200 }, (_, i) => i), 'none is missing');
});

t.test('a rate spreads frames as their bits pass the link, and a full queue loses the rest', async (t) => {
  const { times } = run(badPipe({ rate: 8e6 }), 5, 1000); // one byte a µs
  t.same(times, [1000, 2000, 3000, 4000, 5000]);
  const bad = badPipe({ rate: 8e6, queue: 3 });
  t.equal(run(bad, 10, 1000).frames.length, 3);
  t.equal(bad.device.receiving.counts.overflowed, 7);
});

t.test('damage flips one bit of an IP packet, and the receiver has to look at the checksum', async (t) => {
  const bad = badPipe({ corrupt: 1 }, { checksum: 'left-out' });
  sendFrame(bad.sender, new Uint8Array(100), [], 20);
  bad.sender.flush();
  const [frame] = drainDevice(bad.device);
  t.equal(frame!.flags, 0);
  const bits = [...frame!.bytes].reduce((sum, byte) => sum + byte.toString(2).replaceAll('0', '').length, 0);
  t.equal(bits, 1);

  const ethernet = badPipe({ corrupt: 1 }, { medium: 'ethernet' });
  const arp = new Uint8Array(60);
  arp.set([0x08, 0x06], 12);
  sendFrame(ethernet.sender, arp);
  ethernet.sender.flush();
  t.same(drainDevice(ethernet.device)[0]!.bytes, Buffer.from(arp), 'ARP has no checksum to find it by');
});

t.test('sent frames meet the faults too: spans gathered, held, sent when due', async (t) => {
  const clock = { now: 0 };
  const payload = new Uint8Array(100).fill(7);
  const [near, far] = pipe({ medium: 'ip', checksum: 'left-out', segmentation: 65535 });
  const device = fault(near, payload, { delay: 100, corrupt: 0.5, direction: 'transmit' }, () => clock.now);
  t.equal(device.capabilities.txSegmentation, 0, 'no super-segments');
  t.equal(device.capabilities.txChecksum, false, 'a device that sums damaged frames would make them good');
  sendFrame(device, numbered(1), [[10, 20]]);
  t.equal(device.flush(), 0);
  t.notOk(far.readable());
  t.equal(device.nextEvent(), 100);
  clock.now = 100;
  t.ok(device.readable());
  device.receive({ frame() {} }, 1);
  t.equal(drainDevice(far)[0]!.bytes.length, 84);
});

t.test('faults in one direction leave the other alone', async (t) => {
  const clock = { now: 0 };
  const [near, far] = pipe({ medium: 'ip', checksum: 'left-out' });
  const device = fault(near, new Uint8Array(0), { loss: 1, direction: 'receive' }, () => clock.now);
  t.equal(device.capabilities.txChecksum, true);
  sendFrame(device, numbered(1));
  sendFrame(far, numbered(2));
  t.equal(device.flush(), 1);
  far.flush();
  t.equal(drainDevice(far).length, 1);
  t.equal(drainDevice(device).length, 0);
});

t.test('options out of range are refused by name', async (t) => {
  t.throws(() => badPipe({ loss: 1.5 }), /fault\.loss is a probability/);
  t.throws(() => badPipe({ corrupt: NaN }), /fault\.corrupt is a probability/);
  t.throws(() => badPipe({ delay: -1 }), /fault\.delay is not negative/);
});

t.test('held frames come out by time, then by age, against a sorted list', async (t) => {
  const random = seededRandom(3);
  const held = new HeldFrames();
  const model: { time: number; index: number }[] = [];
  const source = new Uint8Array(8);
  const view = new DataView(source.buffer);
  for (let i = 0; i < 2000; i++) {
    if (random() < 0.6 || model.length === 0) {
      const time = Math.floor(random() * 50);
      view.setUint32(0, i);
      held.add(time, source, 0, 8, 0, 0);
      model.push({ time, index: i });
      model.sort((a, b) => a.time - b.time || a.index - b.index);
    } else {
      t.equal(held.next, model[0]!.time);
      const frame = held.take(Infinity)!;
      t.equal(new DataView(frame.bytes.buffer).getUint32(0), model.shift()!.index);
      held.free(frame);
    }
    t.equal(held.count, model.length);
  }
  const next = held.next;
  t.equal(held.take(next - 1), null);
});

t.test('losses in bursts: as many as was asked, in rows of the length that was asked', async (t) => {
  const count = 20_000;
  const { frames } = run(badPipe({ loss: 0.05, lossBurst: 5 }, { queueFrames: 32_768 }), count);
  const lost = count - frames.length;
  t.ok(lost > 700 && lost < 1300, `${lost} of 1000`);
  let bursts = 0;
  numbers(frames).forEach((number, index, all) => { if (index > 0 && number !== all[index - 1]! + 1) bursts++; });
  t.ok(lost / bursts > 4 && lost / bursts < 6, `${(lost / bursts).toFixed(2)} in a row`);
  t.throws(() => badPipe({ loss: 0.1, lossBurst: 0.5 }), RangeError);
});

t.test('a frame that finds the queue full takes none of the time of the link', async (t) => {
  // 1000 bits a frame at 1 Mb/s: one each millisecond.
  const { frames, times } = run(badPipe({ rate: 1e6, queue: 3 }), 10, 125);
  t.equal(frames.length, 3);
  t.same(times, [1000, 2000, 3000]);
});

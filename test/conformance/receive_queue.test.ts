/** The receive buffer of the driver, counted as Linux counts it: on its own, and as windows that are offered. */
import t from 'tap';
import { ReceiveQueue } from '../../conformance/receive_queue.js';
import { Client } from './client.js';

const SEGMENT = 1460;
const HEADERS = 40;

/** A queue for 300,000 bytes of memory, after the handshake. */
function opened(): ReceiveQueue {
  const queue = new ReceiveQueue(300_000, 1_000_000);
  queue.begin(65_535, SEGMENT);
  return queue;
}

t.test('the window begins with that of the SYN and grows by what comes, as far as the memory allows', async (t) => {
  const queue = opened();
  const offer = (told: number): number => queue.offer({ told, shift: 7, segment: SEGMENT, shrinks: false });
  t.equal(offer(65_535), 65_536, 'rounded up to what the field can tell');
  t.equal(queue.whole, 150_000, 'half of the memory is taken to be text');
  queue.add(SEGMENT, SEGMENT, SEGMENT + HEADERS, SEGMENT, SEGMENT);
  t.equal(queue.whole, 189_843, 'a full segment lies in 2304 bytes: 162 of 256 are text');
  t.equal(offer(65_536), 68_480, 'by two segments');
  queue.add(SEGMENT + 30_000, 30_000, 30_000 + HEADERS, SEGMENT, SEGMENT);
  t.equal(offer(68_480), 128_512, 'by twice a coalesced packet');
  const before = queue.free;
  queue.read(SEGMENT + 29_999);
  t.ok(queue.free > before && queue.free < queue.whole, 'a packet is held until its last byte is read');
  queue.read(SEGMENT + 30_000);
  t.equal(queue.free, queue.whole);
});

t.test('small packets take more memory than they have text: the window closes before the bytes fill it', async (t) => {
  const queue = opened();
  let end = 0;
  for (; queue.offer({ told: 65_536, shift: 7, segment: 100, shrinks: false }) > 0 && end < 1e6; end += 100) queue.add(end + 100, 100, 100 + HEADERS, 100, SEGMENT);
  t.ok(end > 25_000 && end < 32_000, `${end} bytes`);
  queue.read(end);
  t.ok(queue.offer({ told: 0, shift: 7, segment: 100, shrinks: false }) >= 65_536, 'and is as large as before when they are read');
});

t.test('a reader that is fast has the buffer grow, up to its bound; not where its size was set', async (t) => {
  const queue = opened();
  queue.grow(400_000);
  t.equal(queue.whole, 400_000);
  queue.grow(5_000_000);
  t.equal(queue.whole, 500_000, 'half of the largest');
  queue.fix(40_000);
  queue.grow(400_000);
  t.equal(queue.whole, 20_000);
});

t.test('SO_RCVBUF: windows of whole segments, none while the memory is full, and one packet that may overrun it', async (t) => {
  const client = await Client.start(t, { tcp_window_scaling: '0' });
  const fd = await client.accept(await client.listen(16, [['SO_RCVBUF', 12_000]]), { options: [2, 4, 3, 32] });
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 5000 });
  t.match(client.next(), { flags: 'A', ack: 5001, win: 8800 }, 'eleven segments of the 800 that the peer asks for');
  await client.inject({ flags: 'PA', seq: 5001, ack: 1, data: 9000 });
  t.match(client.next(), { flags: 'A', ack: 5001, win: 8800 }, 'too much, while something waits to be read');
  await client.inject({ flags: 'PA', seq: 6001, ack: 1, data: 9000 });
  t.match(client.next(), { flags: 'A', ack: 5001, win: 8800 }, 'nor ahead of its turn');
  t.match(await client.recv(fd), { ret: 5000 });
  t.strictSame(client.sent(), [], 'no window twice as large');
  await client.inject({ flags: 'PA', seq: 5001, ack: 1, data: 40_000 });
  await client.pass(100);
  t.match(client.next(), { flags: 'A', ack: 45_001, win: 0 });
  t.match(await client.recv(fd), { ret: 40_000 });
  t.match(client.next(), { flags: 'A', ack: 45_001, win: 10_400 });
});

t.test('tcp_shrink_window: the window is what there is room for; what was told before is taken all the same', async (t) => {
  const client = await Client.start(t, { tcp_shrink_window: '1', tcp_rmem: '4096 60000 9000000' });
  const fd = await client.accept(await client.listen(), { options: [2, 4, 3, 32, 1, 3, 3, 7] });
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 16_000 });
  const unit = 256;
  const { win } = client.next();
  const edge = 16_001 + win * unit;
  await client.inject({ flags: 'PA', seq: 16_001, ack: 1, data: 700 });
  await client.pass(100);
  const less = client.next();
  t.match(less, { flags: 'A', ack: 16_701 });
  t.ok(16_701 + less.win * unit < edge, `${win} and ${less.win}`);
  await client.inject({ flags: 'PA', seq: 16_701, ack: 1, data: edge - 16_701 + 1 });
  t.match(client.next(), { flags: 'A', ack: 16_701, win: less.win }, 'a byte too much');
  await client.inject({ flags: 'PA', seq: 16_701, ack: 1, data: edge - 16_701 });
  await client.pass(100);
  t.match(client.next(), { flags: 'A', ack: edge });
  t.match(await client.recv(fd, 100_000), { ret: edge - 1 });
});

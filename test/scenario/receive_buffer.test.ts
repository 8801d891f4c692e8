/** The receive buffer: it follows what the reader takes in a round trip, and the memory that there is. */
import t from 'tap';
import { Trace } from './trace.js';

const MiB = 1 << 20;
/** Bytes of a super-segment that the device hands over. */
const LARGE = 43 * 1460;

interface Sender {
  rttMs: number;
  /** Bytes that the path carries in a round trip; the sender doubles its rate up to there. */
  most: number;
  trips: number;
  /** What the reader takes after each arrival: all, where it is left out. */
  read?: number;
  stamps: boolean;
}

/** A peer in slow start, which the window alone holds up. Returns the bytes that it could send in each round trip. */
function slowStart(p: Trace, { rttMs, most, trips, read = Infinity, stamps }: Sender): number[] {
  let stamp = stamps ? 500_000 : 0;
  p.ts = stamps ? [stamp, 0] : null;
  p.listen();
  p.put({ flags: 'S', seq: 0, mss: 1460, ws: 7, sackOk: true });
  p.turn();
  const synAck = p.expect({ flags: 'SA', seq: 0, ack: 1 });
  const shift = synAck.ws;
  let echo = synAck.ts?.[0] ?? 0;
  let edge = 1 + synAck.win;
  let seq = 1;
  let wanted = 14_600;
  const sent: number[] = [];
  p.advance(rttMs);
  p.ts = stamps ? [stamp += rttMs, echo] : null;
  p.inject({ flags: 'A', seq, ack: 1 });
  for (let trip = 0; trip < trips; trip++) {
    const end = Math.min(seq + wanted, edge);
    const parts = Math.max(Math.ceil((end - seq) / LARGE), 1);
    const from = seq;
    for (let part = 0; part < parts; part++) {
      const data = Math.min(LARGE, end - seq);
      if (data > 0) p.put({ flags: 'A', seq, ack: 1, data }, data > 1460 ? 1460 : 0);
      seq += data;
      p.turn();
      if (data > 0) p.read(read);
      for (const { ack, win, ts } of p.discard()) {
        edge = Math.max(edge, ((ack - p.irs) | 0) + (win << shift));
        echo = ts?.[0] ?? 0;
      }
      p.advance(rttMs / parts);
    }
    for (const { ack, win } of p.discard()) edge = Math.max(edge, ((ack - p.irs) | 0) + (win << shift));
    if (stamps) p.ts = [stamp += rttMs, echo];
    sent.push(end - from);
    wanted = Math.min(2 * wanted, most);
  }
  return sent;
}

const LIMITS = { receiveBuffer: 16 * MiB };
const RING = 32 * MiB;

t.test('RFC 7323 2.2: a path of 100 ms and 1 Gb/s gets the 12.5 MB of window that fill it, as fast as slow start asks', async (t) => {
  for (const stamps of [true, false]) {
    const p = new Trace(t, { limits: LIMITS, receiveRing: RING, segmentation: 65535 });
    const sent = slowStart(p, { rttMs: 100, most: 12.5e6, trips: 14, stamps });
    const asked = sent.map((_, trip) => Math.min(14_600 * 2 ** trip, 12.5e6));
    t.strictSame(sent, asked, `${stamps ? 'with' : 'without'} timestamps: no round trip is held up by the window`);
    t.ok(p.stack.tcb.at(p.flow).rcvBuf <= 16 * MiB);
  }
});

t.test('the bound is what it grows to: a path that wants more is filled to it', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 2 * MiB }, receiveRing: RING, segmentation: 65535 });
  const sent = slowStart(p, { rttMs: 100, most: 12.5e6, trips: 14, stamps: true });
  t.equal(p.stack.tcb.at(p.flow).rcvBuf, 2 * MiB);
  t.ok(sent.at(-1)! > 1.9 * MiB && sent.at(-1)! <= 2 * MiB, `${sent.at(-1)} bytes in the last round trip`);
});

t.test('a short path gets a small buffer: some times what it carries in a round trip, not the bound', async (t) => {
  const p = new Trace(t, { limits: LIMITS, receiveRing: RING, segmentation: 65535 });
  slowStart(p, { rttMs: 4, most: 100_000, trips: 400, stamps: true });
  const { rcvBuf } = p.stack.tcb.at(p.flow);
  t.ok(rcvBuf <= 600_000, `${rcvBuf} bytes`);
});

t.test('a slow reader gets no larger buffer, however long it takes', async (t) => {
  const p = new Trace(t, { limits: LIMITS, receiveRing: RING, segmentation: 65535 });
  slowStart(p, { rttMs: 20, most: 1e6, trips: 500, read: 4000, stamps: true });
  t.equal(p.stack.tcb.at(p.flow).rcvBuf, 128 * 1024);
});

t.test('a reader that takes everything, but only every ten seconds, is slow as well', async (t) => {
  const p = new Trace(t, { limits: LIMITS, receiveRing: RING });
  p.accept({ mss: 1460, ws: 7 });
  let seq = 1;
  for (let round = 0; round < 20; round++) {
    const { rcvAdv, rcvNxt } = p.stack.tcb.at(p.flow);
    for (let left = (rcvAdv - rcvNxt) | 0; left >= 1460; left -= 1460) {
      p.inject({ flags: 'A', seq, ack: 1, data: 1460 });
      seq += 1460;
    }
    p.advance(10_000);
    p.read();
    p.discard();
  }
  t.ok(seq > 1_000_000);
  t.equal(p.stack.tcb.at(p.flow).rcvBuf, 128 * 1024);
});

t.test('RFC 7323 2.3: the shift of the window follows the bound of the buffer', async (t) => {
  for (const [receiveBuffer, shift] of [[65_535, 0], [65_536, 1], [MiB, 5], [6 * MiB, 7], [16 * MiB, 9], [1 << 30, 14]] as const) {
    const p = new Trace(t, { limits: { receiveBuffer } });
    p.listen();
    p.inject({ flags: 'S', seq: 0, mss: 1460, ws: 7 });
    p.expect({ flags: 'SA', ws: shift });
  }
});

t.test('SHLD-14: memory runs short: the buffer gets smaller, and the window that was offered stands', async (t) => {
  const p = new Trace(t, { limits: LIMITS, receiveRing: RING, segmentation: 65535 });
  slowStart(p, { rttMs: 100, most: 4e6, trips: 12, stamps: false });
  const tcb = p.stack.tcb.at(p.flow);
  const grown = tcb.rcvBuf;
  t.ok(grown > 4e6, `${grown} bytes`);
  const edge = tcb.rcvAdv;
  const offered = (edge - tcb.rcvNxt) | 0;
  p.payload.receiveBytesFree = 256 * 1024;
  let seq = (tcb.rcvNxt - p.irs) | 0;
  for (let trip = 0; trip < 20; trip++) {
    p.inject({ flags: 'A', seq, ack: 1, data: 1460 });
    seq += 1460;
    p.read();
    p.advance(200);
  }
  t.equal(p.stack.tcb.at(p.flow).rcvBuf, 256 * 1024);
  for (const { ack, win } of p.discard()) t.ok(((ack + (win << 9) - edge) | 0) > -512, 'the edge stays');
  // Up to the edge everything is still taken.
  for (let left = offered - 20 * 1460; left >= LARGE; left -= LARGE) {
    p.put({ flags: 'A', seq, ack: 1, data: LARGE }, 1460);
    p.turn();
    seq += LARGE;
  }
  t.equal((p.stack.tcb.at(p.flow).rcvNxt - p.irs) | 0, seq);
  t.equal(p.stat('TcpExtTCPRcvQDrop'), 0);
});

t.test('a window may get smaller where that is asked for; what was offered once is taken all the same', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: MiB, receiveBufferInitial: 64_000, windowShrinks: true } });
  p.accept({ mss: 1460, ws: 7 });
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 1001, win: 63_000 >> 5 });
  p.stack.settings.setReceiveBuffer(p.flow, 16_000);
  p.inject({ flags: 'PA', seq: 1001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 2001, win: 14_000 >> 5 }, 'the buffer is a smaller one');
  p.inject({ flags: 'PA', seq: 2001, ack: 1, data: 14_500 });
  p.expect({ flags: 'A', ack: 16_501, win: 0 }, 'more than was last offered, and less than at first');
  p.read(3000);
  p.expect({ flags: 'A', ack: 16_501, win: 2500 >> 5 }, 'counted from what was told last');
});

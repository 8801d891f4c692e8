/** When what arrives is acknowledged, and what the acknowledgement says. */
import t from 'tap';
import { Trace } from './trace.js';

t.test('RFC 2883 4: a segment that closes a gap and repeats what was there tells of the first part that came twice', async (t) => {
  const p = new Trace(t);
  p.accept({ sackOk: true });
  p.inject({ flags: 'A', seq: 501, ack: 1, data: 200 });
  p.expect({ flags: 'A', ack: 1, sack: [[501, 701]] });
  p.inject({ flags: 'A', seq: 901, ack: 1, data: 100 });
  p.expect({ flags: 'A', ack: 1, sack: [[901, 1001], [501, 701]] });
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 800 });
  p.expect({ flags: 'A', ack: 801, sack: [[501, 701], [901, 1001]] });
  p.inject({ flags: 'A', seq: 801, ack: 1, data: 150 });
  p.expect({ flags: 'A', ack: 1001, sack: [[901, 951]] }, 'only what came twice of it');
  t.equal(p.stat('TcpExtTCPDSACKOldSent'), 2);
});

t.test('RFC 7323 4.3: the timestamp of a segment whose acknowledgement cannot be true is not echoed', async (t) => {
  const p = new Trace(t);
  p.ts = [100, 0];
  p.accept();
  p.ts = [90_000, 0];
  p.inject({ flags: 'A', seq: 1, ack: 5000 });
  t.equal(p.expect({ flags: 'A', seq: 1, ack: 1 }).ts![1], 100);
  p.ts = [101, 0];
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 10 });
  t.equal(p.expect({ flags: 'A', seq: 1, ack: 11 }).ts![1], 101);
});

t.test('RFC 7323 3.2: without its timestamps a segment is dropped, or taken where the limits allow it', async (t) => {
  for (const required of [true, false]) {
    const p = new Trace(t, { limits: { timestampsRequired: required } });
    p.ts = [100, 0];
    p.accept();
    p.inject({ flags: 'PA', seq: 1, ack: 1, data: 10, ts: null });
    if (required) p.expectNothing();
    else t.equal(p.expect({ flags: 'A', seq: 1, ack: 11 }).ts![1], 100);
  }
});

t.test('RFC 9293 3.6: the answer to the peer\'s FIN waits for our own, as long as for data', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 10 });
  p.expect({ flags: 'A', ack: 11 }, 'the first data are acknowledged at once');
  p.inject({ flags: 'FA', seq: 11, ack: 1 });
  p.expectNothing();
  p.read();
  p.release();
  p.expect({ flags: 'FA', seq: 1, ack: 12 });
  p.inject({ flags: 'A', seq: 12, ack: 2 });
  p.leftNothing();
});

t.test('RFC 9293 3.8.6: the first window is a whole number of segments', async (t) => {
  for (const [buffer, ts, window] of [[65_536, null, 44 * 1460], [65_536, [1, 0], 45 * 1448], [20_000, null, 13 * 1460], [1000, null, 1000], [1 << 20, null, 65_535]] as const) {
    const p = new Trace(t, { limits: { receiveBufferInitial: buffer } });
    p.ts = ts === null ? null : [...ts];
    p.listen();
    p.inject({ flags: 'S', seq: 0, mss: 1460 });
    p.expect({ flags: 'SA', win: window });
  }
});

t.test('RFC 9293 3.10.7.4: a FIN without text is taken though the window is closed', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 2920, receiveBufferInitial: 2920 } });
  p.accept();
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 1460 });
  p.inject({ flags: 'A', seq: 1461, ack: 1, data: 1460 });
  t.equal(p.discard().at(-1)!.win, 0);
  p.inject({ flags: 'FA', seq: 2921, ack: 1 });
  p.expect({ flags: 'A', ack: 2922, win: 0 });
  t.equal(p.state, 'CLOSE-WAIT');
});

t.test('RFC 9293 3.8.6.3: every second segment is acknowledged, or, as Linux does, none while more than half of the buffer waits to be read', async (t) => {
  for (const ackPolicy of ['second', 'linux'] as const) {
    const p = new Trace(t, { limits: { receiveBuffer: 14_600, receiveBufferInitial: 14_600, quickAcks: 0, ackPolicy } });
    p.accept();
    const arrive = (from: number, count: number): number => {
      for (let i = from; i < from + count; i++) p.inject({ flags: 'A', seq: 1 + 1460 * i, ack: 1, data: 1460 });
      return p.discard().length;
    };
    t.equal(arrive(0, 4), 2, 'there is room');
    t.equal(arrive(4, 4), ackPolicy === 'second' ? 2 : 0, 'there is less');
    if (ackPolicy === 'linux') {
      p.read(1460);
      p.expect({ flags: 'A', ack: 1 + 8 * 1460 }, 'the reader has read on');
      t.equal(arrive(8, 2), 0);
      t.equal(p.untilSent(1000), 40);
    }
  }
});

t.test('RFC 9293 3.10.7.4: what is beyond the window is cut off; or, where it may overrun an empty buffer, taken once', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 7300, receiveBufferInitial: 7300, overrun: true } });
  p.accept();
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 9000 });
  p.expect({ flags: 'A', ack: 9001, win: 0 }, 'nothing waited to be read');
  p.read(1700);
  p.expectNothing('there is as much as the buffer holds');
  p.read(2300);
  p.expect({ flags: 'A', ack: 9001, win: 2300 });
  p.read(3000);
  p.expect({ flags: 'A', ack: 9001, win: 5300 });
  p.inject({ flags: 'A', seq: 9001, ack: 1, data: 6000 });
  p.expect({ flags: 'A', ack: 9001, win: 5300 }, 'the buffer is not empty: the segment is dropped as a whole');
  p.inject({ flags: 'A', seq: 9001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 10_001 });
  p.read(3000);
  p.inject({ flags: 'A', seq: 12_001, ack: 1, data: 6000 });
  p.expect({ flags: 'A', ack: 10_001 }, 'ahead of its turn: as a whole as well');
  p.inject({ flags: 'A', seq: 10_001, ack: 1, data: 2000 });
  p.expect({ flags: 'A', ack: 18_001 });
});

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

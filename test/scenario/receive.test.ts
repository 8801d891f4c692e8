/** Receiving: acknowledgements, order, the window, timestamps; and segments that are not what they should be. */
import t from 'tap';
import { EV_EOF, EV_READABLE } from '../../lib/tcp/conn/state.js';
import { randomOf } from '../support/random.js';
import { Trace } from './trace.js';

t.test('SHLD-18, MUST-40, SHLD-19: the first segments are acknowledged at once, later ones after 40 ms, or every second', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  for (let i = 0; i < 15; i++) {
    p.inject({ flags: 'A', seq: 1 + 1000 * i, ack: 1, data: 1000 });
    p.expect({ flags: 'A', ack: 1001 + 1000 * i }, 'quick');
  }
  p.inject({ flags: 'A', seq: 15_001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 16_001 });
  p.inject({ flags: 'A', seq: 16_001, ack: 1, data: 1000 });
  p.expectNothing();
  t.equal(p.untilSent(100), 40);
  p.expect({ flags: 'A', ack: 17_001 });
  p.inject({ flags: 'A', seq: 17_001, ack: 1, data: 1000 });
  p.advance(39);
  p.expectNothing();
  p.inject({ flags: 'A', seq: 18_001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 19_001 }, 'SHLD-19: at least every second segment');
  t.equal(p.stat('TcpExtDelayedACKs'), 1);
});

t.test('MUST-58, MUST-59: one acknowledgement for all that arrives in a turn', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  for (let i = 0; i < 10; i++) p.put({ flags: 'A', seq: 1 + 1000 * i, ack: 1, data: 1000 });
  p.turn();
  p.expect({ flags: 'A', ack: 10_001 });
  p.expectNothing();
  t.equal(p.takeEvents(), EV_READABLE);
  t.equal(p.read().length, 10_000);
});

t.test('data that answers data carries the acknowledgement, and no more quick ones are sent', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 'GET' });
  p.expect({ flags: 'A', ack: 4 });
  p.write('page');
  p.expect({ flags: 'PA', seq: 1, ack: 4, data: 'page' });
  p.inject({ flags: 'PA', seq: 4, ack: 5, data: 'GET' });
  p.expectNothing();
  p.advance(10);
  p.write('page');
  p.expect({ flags: 'PA', seq: 5, ack: 7, data: 'page' });
  p.advance(100);
  p.discard();
});

t.test('SHLD-31, MAY-13, RFC 5681 4.2, RFC 9293 3.10.7.4: segments out of order are kept and told of at once; overlapping, and again', async (t) => {
  const p = new Trace(t, { limits: { sack: false } });
  p.accept({ mss: 1000 });
  p.inject({ flags: 'A', seq: 5, ack: 1, data: 'efgh' });
  p.expect({ flags: 'A', seq: 1, ack: 1 }, 'RFC 5681 4.2: a duplicate acknowledgement at once');
  p.inject({ flags: 'A', seq: 11, ack: 1, data: 'kl' });
  p.expect({ flags: 'A', ack: 1 });
  t.equal(p.takeEvents(), 0);
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'abcdEF' });
  p.expect({ flags: 'A', ack: 9 });
  t.equal(p.stack.rangesInUse, 1);
  p.inject({ flags: 'A', seq: 7, ack: 1, data: 'ghij' });
  p.expect({ flags: 'A', ack: 13 });
  t.equal(p.stack.rangesInUse, 0);
  t.equal(p.read(), 'abcdEFghijkl');
  p.inject({ flags: 'A', seq: 3, ack: 1, data: 'old' });
  p.expect({ flags: 'A', ack: 13 }, 'known already');
  p.put({ flags: 'A', seq: 13, ack: 1, data: 'm' });
  p.put({ flags: 'A', seq: 15, ack: 1, data: 'o' });
  p.put({ flags: 'A', seq: 16, ack: 1, data: 'p' });
  p.turn();
  p.expect({ flags: 'A', ack: 14 });
  p.expect({ flags: 'A', ack: 14 }, 'one for each: the sender counts them');
  p.expectNothing();
});

t.test('RFC 2018 4: SACK blocks, the latest first', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000, sackOk: true });
  p.inject({ flags: 'A', seq: 1001, ack: 1, data: 500 });
  p.expect({ flags: 'A', ack: 1, sack: [[1001, 1501]] });
  p.inject({ flags: 'A', seq: 3001, ack: 1, data: 500 });
  p.expect({ flags: 'A', ack: 1, sack: [[3001, 3501], [1001, 1501]] });
  p.inject({ flags: 'A', seq: 1501, ack: 1, data: 500 });
  p.expect({ flags: 'A', ack: 1, sack: [[1001, 2001], [3001, 3501]] });
  for (const seq of [5001, 7001, 9001]) p.inject({ flags: 'A', seq, ack: 1, data: 500 });
  p.expect({ flags: 'A' });
  p.expect({ flags: 'A' });
  p.expect({ flags: 'A', ack: 1, sack: [[9001, 9501], [7001, 7501], [5001, 5501], [1001, 2001]] });
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 2001, sack: [[9001, 9501], [7001, 7501], [5001, 5501], [3001, 3501]] });
  t.test('RFC 2018 3: three beside timestamps', async () => {
    const q = new Trace(t);
    q.ts = [1, 0];
    q.accept({ mss: 1000, sackOk: true });
    for (const seq of [5001, 7001, 9001]) q.inject({ flags: 'A', seq, ack: 1, data: 500 });
    q.inject({ flags: 'A', seq: 11_001, ack: 1, data: 500 });
    const last = q.discard().at(-1)!;
    t.equal(last.sack.length, 3);
    t.strictSame(last.ts?.[1], 1);
  });
});

t.test('RFC 9293 3.10.7.4: FIN ahead of its turn, with text, and again', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.inject({ flags: 'FPA', seq: 4, ack: 1, data: 'def' });
  p.expect({ flags: 'A', ack: 1 });
  t.equal(p.state, 'ESTABLISHED');
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'abc' });
  p.expect({ flags: 'A', ack: 8 });
  t.equal(p.takeEvents(), EV_READABLE | EV_EOF);
  t.equal(p.read(), 'abcdef');
  t.equal(p.state, 'CLOSE-WAIT');
  p.inject({ flags: 'FPA', seq: 4, ack: 1, data: 'def' });
  p.expect({ flags: 'A', ack: 8 });
  p.inject({ flags: 'A', seq: 8, ack: 1, data: 'beyond the end' });
  t.equal(p.stack.tcb.at(p.flow).received, 6);
  p.discard();
  p.release();
  p.inject({ flags: 'A', seq: 8, ack: 2 });
  p.discard();
  p.leftNothing();
});

t.test('MUST-39, MAY-8: the window closes as bytes wait, and opens by useful steps', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 7300, receiveBufferInitial: 7300 } });
  p.accept({ mss: 1000 });
  for (let i = 0; i < 7; i++) p.inject({ flags: 'A', seq: 1 + 1000 * i, ack: 1, data: 1000 });
  t.equal(p.discard().at(-1)!.win, 300);
  p.inject({ flags: 'A', seq: 7001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 7301, win: 0 }, 'what is beyond the window is cut off');
  t.equal(p.stack.tcb.at(p.flow).received, 7300);
  t.test('a probe of the closed window is answered, its text not taken, its acknowledgement is', async (t) => {
    p.write('x');
    p.expect({ flags: 'PA', seq: 1, win: 0 });
    p.inject({ flags: 'A', seq: 7301, ack: 2, data: 1 });
    p.expect({ flags: 'A', ack: 7301, win: 0 });
    t.equal(p.stack.tcb.at(p.flow).acknowledged, 1);
    p.inject({ flags: 'A', seq: 7300, ack: 2 });
    p.expect({ flags: 'A', ack: 7301, win: 0 });
  });
  t.test('reading little does not open it, reading more does, unasked', async () => {
    p.read(500);
    p.expectNothing();
    p.read(500);
    p.expect({ flags: 'A', ack: 7301, win: 1000 });
    p.read(800);
    p.expectNothing();
    p.read(7000);
    p.expect({ flags: 'A', ack: 7301, win: 7300 });
  });
});

t.test('SHLD-14: the right edge of the window never moves left', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 1 << 20, receiveBufferInitial: 100_000 } });
  p.accept({ mss: 1460, ws: 7 });
  const random = randomOf(3);
  let seq = 1;
  let edge = 0;
  for (let i = 0; i < 2000; i++) {
    const size = 1 + (random() % 1460);
    p.inject({ flags: 'A', seq, ack: 1, data: size });
    seq = (1 + p.stack.tcb.at(p.flow).received) | 0;
    if (random() % 50 === 0) p.read(random() % 60_000);
    for (const sent of p.discard()) {
      const right = ((sent.ack - p.irs) | 0) + (sent.win << 5);
      if (right < edge - 31) t.fail(`edge ${edge} became ${right}`);
      edge = Math.max(right, edge);
    }
    const tcb = p.stack.tcb.at(p.flow);
    if (tcb.received - tcb.consumed > tcb.rcvBuf + 31) t.fail('more is held than the buffer');
  }
  t.pass('after 2000 segments of odd sizes');
});

t.test('memory is short: the segment counts as lost', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.payload.full = true;
  p.inject({ flags: 'FA', seq: 1, ack: 1, data: 'abc' });
  p.expect({ flags: 'A', ack: 1 });
  p.inject({ flags: 'A', seq: 10, ack: 1, data: 'abc' });
  p.expect({ flags: 'A', ack: 1, sack: [] });
  t.equal(p.stack.rangesInUse, 0);
  p.payload.full = false;
  p.inject({ flags: 'FA', seq: 1, ack: 1, data: 'abc' });
  p.untilSent(100);
  p.expect({ flags: 'A', ack: 5 });
  t.equal(p.stat('TcpExtTCPRcvQDrop'), 2);
});

t.test('RFC 7323 3.2, 4.3, 5.3: timestamps and PAWS', async (t) => {
  const p = new Trace(t);
  p.ts = [-10, 0];
  p.accept({ mss: 1000 });
  p.ts = [5, 0];
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'abc' });
  t.equal(p.expect({ flags: 'A', ack: 4 }).ts![1], 5, 'TS.Recent wraps');
  p.ts = [4, 0];
  p.inject({ flags: 'A', seq: 4, ack: 1, data: 'old' });
  t.equal(p.expect({ flags: 'A', ack: 4 }, 'R1: from before, though its sequence number fits').ts![1], 5);
  t.equal(p.stat('TcpExtPAWSEstab'), 1);
  p.ts = [9, 0];
  p.inject({ flags: 'A', seq: 7, ack: 1, data: 'ghi' });
  t.equal(p.expect({ flags: 'A', ack: 4 }).ts![1], 5, '4.3: an out-of-order segment is not the one to echo');
  p.ts = null;
  p.inject({ flags: 'A', seq: 4, ack: 1, data: 'def' });
  p.expectNothing('3.2: once agreed on, every segment has them');
  p.ts = [8, 0];
  p.inject({ flags: 'A', seq: 4, ack: 1, data: 'def' });
  t.equal(p.expect({ flags: 'A', ack: 10 }).ts![1], 8);
  t.test('a reset needs none', async (t) => {
    p.ts = null;
    p.inject({ flags: 'R', seq: 10 });
    t.equal(p.state, 'CLOSED');
  });
  t.test('RFC 7323 5.5: after 24 days of silence any timestamp is good', async (t) => {
    const q = new Trace(t);
    q.ts = [1000, 0];
    q.accept();
    q.now += 25 * 86_400_000_000;
    q.turn();
    q.ts = [-2_000_000_000, 0];
    q.inject({ flags: 'A', seq: 1, ack: 1, data: 'x' });
    t.equal(q.stack.tcb.at(q.flow).received, 1);
  });
});

t.test('RFC 5961 3.2: only a reset with the very next sequence number resets', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'R', seq: 2 });
  p.expect({ flags: 'A', seq: 1, ack: 1 }, 'challenge');
  p.inject({ flags: 'R', seq: 70_000 });
  p.inject({ flags: 'R', seq: 0 });
  p.expectNothing('outside the window: nothing');
  t.equal(p.state, 'ESTABLISHED');
  p.inject({ flags: 'R', seq: 3 });
  p.expectNothing('one challenge in 500 ms');
  t.equal(p.stat('TcpExtTCPChallengeACK'), 1);
  t.equal(p.stat('TcpExtTCPACKSkippedChallenge'), 1);
  p.advance(500);
  p.inject({ flags: 'R', seq: 3 });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.inject({ flags: 'R', seq: 1 });
  t.equal(p.state, 'CLOSED');
});

t.test('RFC 5961 4.2: a SYN on a connection is challenged, wherever it lies', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'S', seq: 100 });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.advance(1000);
  p.inject({ flags: 'S', seq: -100_000 });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.advance(1000);
  p.inject({ flags: 'SA', seq: 0, ack: 1 });
  p.expect({ flags: 'A', seq: 1, ack: 1 }, 'a SYN-ACK that comes again: our acknowledgement was lost');
  t.equal(p.state, 'ESTABLISHED');
});

t.test('MAY-12, RFC 5961 5.2: acknowledgements of what was never sent, or very long ago', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'A', seq: 1, ack: 2, data: 'bad' });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.advance(1000);
  p.inject({ flags: 'A', seq: 1, ack: -70_000, data: 'bad' });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.inject({ flags: 'A', seq: 1, ack: -60_000, data: 'ok' });
  p.expect({ flags: 'A', seq: 1, ack: 3 });
  p.inject({ flags: 'P', seq: 3, data: 'no ACK' });
  p.expectNothing('fifth step: without ACK it is dropped');
});

t.test('RFC 5961 7: challenges of all flows together are rationed', async (t) => {
  const p = new Trace(t, { limits: { challengeAcks: 3, invalidAckMs: 0 } });
  p.accept();
  for (let second = 0; second < 10; second++) {
    for (let i = 0; i < 10; i++) p.inject({ flags: 'R', seq: 5 });
    const count = p.discard().length;
    t.ok(count >= 2 && count <= 4, `${count}: half of the setting, and up to all of it by chance`);
    p.advance(1000);
  }
});

t.test('coalesced segments: taken whole, acknowledged by the segments in them', async (t) => {
  const p = new Trace(t, { segmentation: 65535, limits: { quickAcks: 0 } });
  p.accept({ mss: 1000, ws: 7 });
  p.put({ flags: 'PA', seq: 1, ack: 1, data: 20_000 }, 1000);
  p.turn();
  p.expect({ flags: 'A', ack: 20_001 });
  t.equal(p.stack.tcb.at(p.flow).rcvMss, 1000);
});

t.test('RFC 9293 3.4: sequence numbers that wrap in the middle of everything', async (t) => {
  for (const irs of [-1, -2, -1000, 0x7fff_ffff, 0x7fff_fc00]) {
    const p = new Trace(t, { irs });
    p.accept({ mss: 1000 });
    p.inject({ flags: 'A', seq: 1001, ack: 1, data: 1000 });
    p.expect({ flags: 'A', ack: 1 });
    p.inject({ flags: 'A', seq: 1, ack: 1, data: 1000 });
    p.expect({ flags: 'A', ack: 2001 });
    p.inject({ flags: 'FA', seq: 2001, ack: 1, data: 500 });
    p.untilSent(100);
    p.expect({ flags: 'A', ack: 2502 });
    t.equal(p.read().length, 2500);
    p.abort();
    p.discard();
    p.leftNothing();
  }
});

t.test('what is malformed or random is survived, counted, and leaves nothing', async (t) => {
  const p = new Trace(t, { segmentation: 65535 });
  p.accept({ mss: 1000, sackOk: true });
  const random = randomOf(99);
  const flags = ['S', 'A', 'FA', 'R', 'RA', 'SA', 'PA', 'FSRPAU', '', 'F', 'U', 'SF'];
  for (let i = 0; i < 30_000; i++) {
    const near = random() % 3 !== 0;
    const tcb = p.stack.tcb.at(p.flow);
    const state = p.flow >= 0 ? tcb.state : 0;
    const rcv = state > 1 ? (tcb.rcvNxt - p.irs) | 0 : 0;
    const snd = state > 1 ? (tcb.sndNxt - p.iss) | 0 : 0;
    p.put({
      flags: flags[random() % flags.length]!, port: 40_000 + (random() % 4), to: random() % 8 === 0 ? 81 : 80,
      seq: near ? rcv + (random() % 3000) - 1000 : random() | 0, ack: near ? snd + (random() % 5) - 2 : random() | 0,
      win: random() & 0xffff, data: random() % 4 === 0 ? random() % 2000 : 0,
      ts: random() % 4 === 0 ? [random() | 0, random() | 0] : null,
    });
    if (random() % 5 === 0) {
      const packet = p.device.waiting.at(-1)!.bytes;
      packet[20 + (random() % (packet.length - 20))] = random();
    }
    if (random() % 4 === 0) p.turn();
    if (random() % 50 === 0) p.advance(random() % 1000);
    if (p.accepted.length > 0 && random() % 20 === 0) {
      const flow = p.accepted.pop()!;
      if (p.stack.tcb.at(flow).state > 1) {
        p.flow = flow;
        p.write(random() % 3000);
        if (random() % 2 === 0) p.release();
        else p.abort();
      } else {
        p.stack.release(flow);
      }
      if (p.accepted.length > 0) p.flow = p.accepted[0]!;
    }
    if (i % 100 === 0) p.discard();
  }
  for (let flow = 0; flow < 32; flow++) p.stack.release(flow);
  p.turn();
  p.advance(3_000_000);
  p.discard();
  p.leftNothing();
});

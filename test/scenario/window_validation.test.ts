/** Use of the congestion window: what is not used does not grow, and is given up in time. And how slow start goes by it. */
import t from 'tap';
import type { Test } from 'tap';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import type { StackLimits } from '../../lib/tcp/limits.js';
import { Trace } from './trace.js';

const MSS = 1000;

/** A connection with SACK, segments of 1000 bytes and a round trip of 100 ms. */
function open(t: Test, limits: Partial<StackLimits> = {}): Trace {
  const p = new Trace(t, { limits });
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: MSS, sackOk: true, ws: 7 });
  p.expect({ flags: 'SA' });
  p.advance(100);
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 4000 });
  return p;
}

function tcb(p: Trace): Tcb {
  return p.stack.tcb.at(p.flow);
}

function acknowledge(p: Trace, ack: number): void {
  p.inject({ flags: 'A', seq: 1, ack, win: 4000 });
}

t.test('RFC 7661 4.3: slow start goes on while more than half of the window is in use, to twice what was in flight', async (t) => {
  const p = open(t);
  p.write(6 * MSS);
  t.equal(p.discard().length, 6);
  p.advance(100);
  acknowledge(p, 1 + 2 * MSS);
  t.equal(tcb(p).cwnd, 12 * MSS, 'six in flight are more than half of ten');
  acknowledge(p, 1 + 6 * MSS);
  t.equal(tcb(p).cwnd, 12 * MSS, 'and no more than half of twelve');
});

t.test('RFC 7661 4.2, RFC 9438 5.8: above ssthresh a window that is not full does not grow', async (t) => {
  const p = open(t);
  tcb(p).ssthresh = 10 * MSS;
  p.write(9 * MSS);
  p.discard();
  p.advance(100);
  acknowledge(p, 1 + 9 * MSS);
  t.equal(tcb(p).cwnd, 10 * MSS);
  for (let round = 0, ack = 1 + 9 * MSS; round < 20; round++) {
    p.write(10 * MSS);
    t.equal(p.discard().length, 10);
    p.advance(100);
    acknowledge(p, ack += 10 * MSS);
  }
  t.ok(tcb(p).cwnd > 10 * MSS, `a full one does: ${tcb(p).cwnd}`);
});

t.test('RFC 2861 3.2, RFC 5681 4.1: after an idle time the window is halved for each RTO of it, down to that of a new flow', async (t) => {
  for (const [idle, expected] of [[50, 64], [200, 32], [450, 16], [5000, 10]] as const) {
    const p = open(t);
    p.write(MSS);
    p.discard();
    p.advance(100);
    acknowledge(p, 1 + MSS);
    const { rto } = tcb(p);
    t.ok(rto >= 300_000 && rto < 345_000, `RTO ${rto}`);
    tcb(p).cwnd = 64 * MSS;
    tcb(p).ssthresh = 20 * MSS;
    tcb(p).rto = 210_000;
    p.advance(idle);
    p.write(100 * MSS);
    t.equal(p.discard().length, expected, `${idle + 100} ms after the last segment`);
    t.equal(tcb(p).ssthresh, (expected === 64 ? 20 : 48) * MSS, 'slow start leads back to three quarters of what it was');
  }
});

t.test('RFC 2861 3.2: where less than the window is sent for an RTO, half of the difference goes', async (t) => {
  const p = open(t);
  tcb(p).cwnd = 50 * MSS;
  tcb(p).ssthresh = 20 * MSS;
  let ack = 1;
  for (let round = 0; round < 5; round++) {
    p.write(20 * MSS);
    t.equal(p.discard().length, 20);
    p.advance(100);
    acknowledge(p, ack += 20 * MSS);
  }
  t.equal(tcb(p).ssthresh, 37_500, 'three quarters of fifty');
  const { cwnd } = tcb(p);
  t.ok(cwnd >= 37_500 && cwnd < 38_500, `half of fifty and twenty, then slow start up to the threshold, and congestion avoidance: ${cwnd}`);
});

t.test('the window stays where it is not to be restarted (Linux: tcp_slow_start_after_idle)', async (t) => {
  const p = open(t, { idleRestart: false });
  p.write(MSS);
  p.discard();
  p.advance(100);
  acknowledge(p, 1 + MSS);
  tcb(p).cwnd = 64 * MSS;
  p.advance(5000);
  p.write(100 * MSS);
  t.equal(p.discard().length, 64);
});

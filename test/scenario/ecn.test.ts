/** Explicit congestion notification (RFC 3168): agreement, marks that come, and marks that are told of. */
import t from 'tap';
import type { Test } from 'tap';
import { RECOVERY_CWR, RECOVERY_FAST, RECOVERY_OPEN } from '../../lib/tcp/conn/state.js';
import type { StackLimits } from '../../lib/tcp/limits.js';
import { Trace } from './trace.js';

const MSS = 1000;
const ECT0 = 2;
const CE = 3;

/** A connection that the peer has opened with ECN. */
function agreed(t: Test, limits: Partial<StackLimits> = {}, sackOk = true): Trace {
  const p = new Trace(t, { limits });
  p.listen();
  p.inject({ flags: 'SEC', seq: 0, mss: MSS, sackOk, ws: 7 });
  p.expect({ flags: 'SAE', tos: 0 });
  p.advance(20);
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 4000 });
  p.expectNothing();
  return p;
}

t.test('SHLD-8, RFC 3168 6.1.1: a SYN with ECE and CWR is answered with ECE, unless ECN is off or the SYN itself can be marked', async (t) => {
  for (const [ecn, flags, tos, answer] of [
    ['accept', 'SEC', 0, 'SAE'], ['on', 'SEC', 0, 'SAE'], ['off', 'SEC', 0, 'SA'],
    ['accept', 'S', 0, 'SA'], ['accept', 'SE', 0, 'SA'], ['accept', 'SC', 0, 'SA'], ['accept', 'SEC', ECT0, 'SA'],
  ] as const) {
    const p = new Trace(t, { limits: { ecn } });
    p.listen();
    p.inject({ flags, seq: 0, mss: MSS, tos });
    p.expect({ flags: answer, tos: 0 });
    p.advance(20);
    p.inject({ flags: 'A', seq: 1, ack: 1 });
    p.write('x');
    p.expect({ flags: 'PA', tos: answer === 'SAE' ? ECT0 : 0 });
  }
});

t.test('RFC 3168 6.1.1: an active open asks only where it is told to, and believes a SYN-ACK with ECE alone', async (t) => {
  for (const [ecn, flags, answer, tos] of [
    ['on', 'SEC', 'SAE', ECT0], ['on', 'SEC', 'SA', 0], ['on', 'SEC', 'SAEC', 0], ['accept', 'S', 'SAE', 0], ['off', 'S', 'SAE', 0],
  ] as const) {
    const p = new Trace(t, { limits: { ecn } });
    p.connect();
    p.expect({ flags, tos: 0 });
    p.inject({ flags: answer, seq: 0, ack: 1, mss: MSS });
    p.expect({ flags: 'A', tos: 0 });
    p.write('x');
    p.expect({ flags: 'PA', tos });
  }
});

t.test('RFC 3168 6.1.1.1: a SYN that was not answered is sent again without ECN', async (t) => {
  const p = new Trace(t, { limits: { ecn: 'on' } });
  p.connect();
  p.expect({ flags: 'SEC' });
  p.untilSent(1100);
  p.expect({ flags: 'S' });
});

t.test('RFC 3168 6.1.3: a mark is told of with ECE, in every segment, until CWR comes', async (t) => {
  const p = agreed(t);
  p.inject({ flags: 'A', seq: 1, ack: 1, data: MSS, tos: ECT0 });
  p.expect({ flags: 'A', ack: MSS + 1 });
  p.inject({ flags: 'A', seq: MSS + 1, ack: 1, data: MSS, tos: CE });
  p.expect({ flags: 'AE', ack: 2 * MSS + 1 });
  p.inject({ flags: 'A', seq: 2 * MSS + 1, ack: 1, data: MSS, tos: ECT0 });
  p.expect({ flags: 'AE', ack: 3 * MSS + 1 });
  p.write('x');
  p.expect({ flags: 'PAE', tos: ECT0 });
  p.inject({ flags: 'AC', seq: 3 * MSS + 1, ack: 2, data: MSS, tos: ECT0 });
  p.expect({ flags: 'A', ack: 4 * MSS + 1 });
  p.inject({ flags: 'AC', seq: 4 * MSS + 1, ack: 2, data: MSS, tos: CE });
  p.expect({ flags: 'AE', ack: 5 * MSS + 1 }, 'CWR and a new mark in one');
});

t.test('RFC 3168 6.1.2: ECE reduces the window once for what is in flight, and the next new text says CWR', async (t) => {
  const p = agreed(t);
  const tcb = () => p.stack.tcb.at(p.flow);
  p.write(40 * MSS);
  t.equal(p.discard().length, 10);
  p.advance(20);
  p.inject({ flags: 'AE', seq: 1, ack: 2 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_CWR);
  t.equal(tcb().ssthresh, 7000, '0.7 of ten segments: an acknowledgement that tells of a mark makes the window no larger');
  const first = p.discard();
  t.same(first.map(({ flags, tos }) => [flags, tos]), [['AC', ECT0]]);
  for (let ack = 3; ack <= 10; ack++) p.inject({ flags: 'AE', seq: 1, ack: ack * MSS + 1, win: 4000 });
  t.equal(tcb().ssthresh, 7000, 'no more for the same window');
  t.ok(p.discard().every(({ flags }) => !flags.includes('C')), 'CWR once');
  t.equal(tcb().recovery, RECOVERY_CWR, 'until what said CWR is through');
  p.inject({ flags: 'A', seq: 1, ack: 11 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_OPEN);
  t.ok(tcb().cwnd >= 7000 && tcb().cwnd < 7100, `${tcb().cwnd}`);
  p.inject({ flags: 'AE', seq: 1, ack: 12 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_CWR, 'a mark after that is a new one');
});

t.test('RFC 3168 6.1.2, 6.1.5: a loss in the window that was reduced for a mark does not reduce it again; what goes again cannot be marked', async (t) => {
  const p = agreed(t);
  const tcb = () => p.stack.tcb.at(p.flow);
  p.write(40 * MSS);
  p.discard();
  p.advance(20);
  p.inject({ flags: 'AE', seq: 1, ack: MSS + 1, win: 4000 });
  const { ssthresh } = tcb();
  p.discard();
  p.inject({ flags: 'A', seq: 1, ack: MSS + 1, win: 4000, sack: [[2 * MSS + 1, 6 * MSS + 1]] });
  t.equal(tcb().recovery, RECOVERY_FAST);
  t.equal(tcb().ssthresh, ssthresh);
  const again = p.discard().find(({ seq }) => ((seq - p.iss) | 0) === MSS + 1);
  t.equal(again?.tos, 0, '6.1.5: not retransmissions');
});

t.test('RFC 3168 6.1.2: after a loss CWR is said as well, and a peer without SACK is dealt with alike', async (t) => {
  const p = agreed(t, {}, false);
  const tcb = () => p.stack.tcb.at(p.flow);
  p.write(40 * MSS);
  p.discard();
  p.advance(20);
  p.inject({ flags: 'AE', seq: 1, ack: 2 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_CWR);
  t.ok(p.discard().some(({ flags }) => flags.includes('C')));
  p.inject({ flags: 'A', seq: 1, ack: 10 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_CWR);
  p.inject({ flags: 'A', seq: 1, ack: 11 * MSS + 1, win: 4000 });
  t.equal(tcb().recovery, RECOVERY_OPEN);
  t.equal(tcb().cwnd, tcb().ssthresh);
  const q = agreed(t);
  q.write(20 * MSS);
  q.discard();
  q.advance(20);
  q.inject({ flags: 'A', seq: 1, ack: 1, win: 4000, sack: [[MSS + 1, 5 * MSS + 1]] });
  q.inject({ flags: 'A', seq: 1, ack: 10 * MSS + 1, win: 4000 });
  t.same(q.discard().filter(({ flags }) => flags.includes('C')).length, 1);
});

t.test('RFC 3168 6.1.4, 6.1.6: acknowledgements and probes of a window cannot be marked', async (t) => {
  const p = agreed(t);
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 10, tos: ECT0 });
  p.expect({ flags: 'A', tos: 0 });
  p.inject({ flags: 'A', seq: 11, ack: 1, win: 0 });
  p.write('held back');
  p.untilSent(1000);
  p.expect({ flags: 'A', tos: 0 });
});

t.test('RFC 4987 3.6, RFC 3168 6.1.1: a SYN cookie keeps what was agreed on, in the timestamp', async (t) => {
  for (const [flags, answer, tos] of [['SEC', 'SAE', ECT0], ['S', 'SA', 0]] as const) {
    const p = new Trace(t, { limits: { synCookies: 'always' } });
    p.listen();
    p.ts = [1000, 0];
    p.inject({ flags, seq: 0, mss: MSS, sackOk: true, ws: 7 });
    const synAck = p.expect({ flags: answer });
    p.advance(20);
    p.ts = [1020, synAck.ts![0]];
    p.inject({ flags: 'A', seq: 1, ack: 1 });
    p.write('x');
    p.expect({ flags: 'PA', tos });
  }
});

/** Loss and its repair with a peer that takes SACK: scoreboard, RACK, tail loss probes, PRR, what is undone. */
import t from 'tap';
import type { Test } from 'tap';
import { RECOVERY_FAST, RECOVERY_LOSS, RECOVERY_OPEN, REORDERED } from '../../lib/tcp/conn/state.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import { parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { PEER_ADDRESS, STACK_ADDRESS, Trace } from './trace.js';
import type { TraceOptions } from './trace.js';

/** A connection with SACK and segments of 1000 bytes, on a path of 20 ms that was measured once. */
function path(t: Test, options: TraceOptions = {}, stamped = false): Trace {
  const p = new Trace(t, options);
  if (stamped) p.ts = [1000, 0];
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: stamped ? 1012 : 1000, sackOk: true, ws: 7 });
  const synAck = p.expect({ flags: 'SA', sackOk: true });
  p.advance(20);
  if (stamped) p.ts = [1020, synAck.ts![0]];
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 4000 });
  p.expectNothing();
  t.equal(tcb(p).srtt, 20_000);
  return p;
}

function tcb(p: Trace): Tcb {
  return p.stack.tcb.at(p.flow);
}

/** The peer acknowledges `ack` and has `blocks`. */
function sack(p: Trace, ack: number, ...blocks: [number, number][]): void {
  const script = { flags: 'A', seq: 1, ack, win: 4000 };
  p.inject(blocks.length > 0 ? { ...script, sack: blocks } : script);
}

/** Sequence numbers of the segments that were sent. */
function sent(p: Trace): number[] {
  return p.discard().filter(({ length }) => length > 0).map(({ seq }) => (seq - p.iss) | 0);
}

t.test('RFC 6675 4, RFC 3042 2: what the peer has by SACK has left the network: new segments go', async (t) => {
  const p = path(t);
  p.write(30_000);
  t.equal(sent(p).length, 10);
  p.advance(20);
  sack(p, 1, [1001, 2001]);
  t.strictSame(sent(p), [10_001]);
  sack(p, 1, [1001, 3001]);
  t.strictSame(sent(p), [11_001]);
  t.equal(tcb(p).recovery, RECOVERY_OPEN);
  t.equal(tcb(p).sacked, 2000);
});

t.test('RFC 8985 6.2: the third segment above it shows the loss at once, where segments keep their order', async (t) => {
  const p = path(t);
  p.write(30_000);
  p.discard();
  p.advance(20);
  sack(p, 1, [1001, 2001]);
  sack(p, 1, [1001, 3001]);
  t.strictSame(sent(p), [10_001, 11_001]);
  sack(p, 1, [1001, 4001]);
  t.strictSame(sent(p), [1]);
  t.equal(tcb(p).recovery, RECOVERY_FAST);
  t.equal(tcb(p).ssthresh, 7000, 'RFC 9438 4.6: 0.7 of the window');
  t.equal(p.stat('TcpExtTCPSackRecovery'), 1);
  t.test('RFC 6675 5: several holes in one round trip, nothing else again, one reduction', async (t) => {
    sack(p, 1, [6001, 7001], [1001, 4001]);
    sack(p, 1, [6001, 9001], [1001, 4001]);
    const again = sent(p).filter((seq) => seq < 10_001);
    t.strictSame(again, [4001, 5001]);
    p.advance(20);
    sack(p, 12_001);
    t.equal(tcb(p).recovery, RECOVERY_OPEN);
    t.ok(tcb(p).cwnd >= 7000 && tcb(p).cwnd < 7500);
    t.equal(p.stat('TcpRetransSegs'), 3);
  });
});

t.test('RFC 8985 6.2 step 5: fewer than three: it counts as lost a quarter of the least round trip later', async (t) => {
  const p = path(t);
  p.write(10_000);
  p.discard();
  p.advance(20);
  sack(p, 1, [1001, 2001]);
  p.expectNothing();
  t.equal(p.untilSent(100), 5);
  t.strictSame(sent(p), [1]);
  t.test('or it was late only, and nothing happens', async (t) => {
    const q = path(t);
    q.write(10_000);
    q.discard();
    q.advance(20);
    sack(q, 1, [1001, 3001]);
    q.advance(4);
    sack(q, 3001);
    q.advance(4);
    q.expectNothing();
    t.ok(tcb(q).has(REORDERED), 'RACK.reordering_seen');
    t.equal(q.stat('TcpExtTCPSACKReorder'), 1);
    sack(q, 3001, [4001, 8001]);
    q.expectNothing('RFC 8985 6.2.1: from now on three are no sign of a loss');
    q.advance(5);
    t.strictSame(sent(q), [3001]);
  });
});

t.test('RFC 8985 6.2: a segment that is sent again and lost again is found by what was sent after it', async (t) => {
  const p = path(t);
  p.write(40_000);
  p.discard();
  p.advance(20);
  sack(p, 1, [1001, 4001]);
  p.discard();
  p.advance(1);
  sack(p, 1, [1001, 10_001]);
  const after = sent(p).filter((seq) => seq > 10_000);
  t.ok(after.length >= 2);
  p.advance(20);
  const last = after.at(-1)! + 1000;
  sack(p, 1, [1001, last]);
  t.ok(sent(p).includes(1), 'the third copy');
  t.equal(p.stat('TcpExtTCPLostRetransmit'), 1);
});

t.test('RFC 6937 3: in recovery as much is sent as the window shrinks, in proportion to what is delivered', async (t) => {
  const p = path(t, { limits: { congestion: 'newreno' } });
  tcb(p).cwnd = 20_000;
  p.write(60_000);
  t.equal(sent(p).length, 20);
  p.advance(20);
  sack(p, 1, [1001, 4001]);
  t.equal(tcb(p).ssthresh, 10_000);
  let count = sent(p).length;
  t.ok(count >= 1);
  for (let edge = 5001; edge <= 20_001; edge += 1000) {
    sack(p, 1, [1001, edge]);
    const now = sent(p).length;
    t.ok(now <= 1, 'no burst');
    count += now;
  }
  t.ok(count >= 9 && count <= 11, `half of 20 segments: ${count}`);
  p.advance(20);
  sack(p, 20_001 );
  t.equal(tcb(p).cwnd, 10_000);
});

t.test('RFC 8985 7.2, 7.3: a tail loss probe after two round trips; it carries new text where there is some', async (t) => {
  const p = path(t);
  p.write(3000);
  p.discard();
  t.equal(p.untilSent(1000), 42);
  t.strictSame(sent(p), [2001], 'the last segment again');
  t.equal(p.stat('TcpExtTCPLossProbes'), 1);
  t.test('RFC 8985 7.4: its SACK shows the loss of those before it', async (t) => {
    p.advance(20);
    sack(p, 1, [2001, 3001]);
    p.advance(5);
    t.strictSame(sent(p), [1]);
    p.advance(20);
    sack(p, 1001, [2001, 3001]);
    t.strictSame(sent(p), [1001]);
    p.advance(20);
    sack(p, 3001);
    t.equal(tcb(p).recovery, RECOVERY_OPEN);
  });
  t.test('one probe, then the timeout', async (t) => {
    const q = path(t);
    q.write(3000);
    q.discard();
    q.untilSent(1000);
    t.strictSame(sent(q), [2001]);
    t.equal(q.untilSent(1000), 220);
    t.strictSame(sent(q), [1]);
    t.equal(tcb(q).recovery, RECOVERY_LOSS);
  });
  t.test('a single segment waits for the delayed acknowledgement, at most the RTO', async (t) => {
    const q = path(t);
    q.write(100);
    q.discard();
    t.equal(q.untilSent(1000), 220);
    t.strictSame(sent(q), [1]);
    t.equal(tcb(q).backoff, 0, 'a probe, no timeout');
  });
  t.test('new text goes where the congestion window alone held it', async (t) => {
    const q = path(t);
    q.write(11_000);
    t.equal(sent(q).length, 10);
    q.untilSent(1000);
    t.strictSame(sent(q), [10_001]);
    sack(q, 11_001);
    t.equal(tcb(q).ssthresh, 0x7fffffff, 'nothing was lost');
  });
});

t.test('RFC 8985 7.4: a probe that repaired the only loss has the window reduced; a DSACK shows that there was none', async (t) => {
  for (const dsack of [false, true]) {
    const p = path(t);
    p.write(3000);
    p.discard();
    p.untilSent(1000);
    p.discard();
    p.advance(20);
    if (dsack) sack(p, 3001, [2001, 3001]);
    else sack(p, 3001);
    p.write(1000);
    p.discard();
    p.advance(20);
    sack(p, 4001);
    t.equal(tcb(p).ssthresh, dsack ? 0x7fffffff : 7000);
    t.equal(p.stat('TcpExtTCPLossProbeRecovery'), dsack ? 0 : 1);
  }
});

t.test('RFC 8985 6.3, RFC 2018 8: at a timeout only what was sent long ago is lost, and SACK blocks may be forgotten', async (t) => {
  const p = path(t);
  p.write(4000);
  p.discard();
  p.untilSent(1000);
  p.discard();
  p.advance(215);
  p.write(1000);
  p.discard();
  p.advance(5);
  t.strictSame(sent(p), [1]);
  t.equal(tcb(p).lost, 3000, 'not the new segment: it may be under way');
  t.test('the peer has thrown away what it had reported', async (t) => {
    const q = path(t);
    q.write(4000);
    q.discard();
    q.advance(20);
    sack(q, 1, [1001, 4001]);
    t.strictSame(sent(q), [1]);
    q.advance(20);
    sack(q, 1001);
    q.discard();
    q.advance(300);
    t.ok(sent(q).includes(1001), 'sent again');
    t.equal(tcb(q).sacked, 0);
    t.equal(q.stat('TcpExtTCPSACKReneging'), 1);
    sack(q, 4001);
    t.equal(tcb(q).recovery, RECOVERY_OPEN);
  });
});

t.test('RFC 6675 5.1, RFC 2018 5: after a timeout slow start over what is lost, nothing twice', async (t) => {
  const p = path(t);
  p.write(10_000);
  p.discard();
  p.untilSent(1000);
  p.discard();
  p.untilSent(1000);
  t.strictSame(sent(p), [1]);
  p.advance(20);
  sack(p, 1001);
  t.equal(tcb(p).recovery, RECOVERY_LOSS);
  const round = sent(p);
  t.ok(round.length >= 1 && round.length <= 2 && round[0] === 1001);
  p.advance(20);
  sack(p, 10_001);
  t.equal(tcb(p).recovery, RECOVERY_OPEN);
  t.equal(tcb(p).lost, 0);
  p.expectNothing();
});

t.test('RFC 2883 4: bytes that come a second time are reported once, ahead of other blocks', async (t) => {
  const p = path(t);
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 1001, sack: [] });
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 1001, sack: [[1, 1001]] }, '4.1: a whole segment');
  p.inject({ flags: 'A', seq: 2001, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 1001, sack: [[2001, 3001]] });
  p.inject({ flags: 'A', seq: 2001, ack: 1, data: 500 });
  p.expect({ flags: 'A', ack: 1001, sack: [[2001, 2501], [2001, 3001]] }, '4.2: part of a block');
  p.inject({ flags: 'A', seq: 501, ack: 1, data: 1000 });
  p.expect({ flags: 'A', ack: 1501, sack: [[501, 1001], [2001, 3001]] }, '4.3: the front of a segment');
  p.inject({ flags: 'A', seq: 1501, ack: 1, data: 500 });
  p.expect({ flags: 'A', ack: 3001, sack: [] });
  t.equal(p.stat('TcpExtTCPDSACKOldSent'), 2);
  t.equal(p.stat('TcpExtTCPDSACKOfoSent'), 1);
});

t.test('RFC 2883 4: bytes half the sequence space ahead did not come twice', async (t) => {
  const p = new Trace(t);
  p.accept({ sackOk: true });
  // Its last byte lies so far ahead that it is behind.
  p.inject({ flags: 'A', seq: 1 + 0x7fff_fff0, ack: 1, data: 100 });
  p.expect({ flags: 'A', ack: 1, sack: [] });
  t.equal(p.stat('TcpExtTCPDSACKOldSent'), 0);
  p.abort();
  p.discard();
  p.leftNothing();
});

t.test('RFC 2883 5, RFC 4015 3: every byte sent again came twice: the window is again what it was, and RACK waits longer', async (t) => {
  const p = path(t);
  p.write(30_000);
  p.discard();
  p.advance(20);
  sack(p, 1, [1001, 4001]);
  t.ok(sent(p).includes(1));
  t.equal(tcb(p).recovery, RECOVERY_FAST);
  p.advance(5);
  sack(p, 4001);
  t.equal(tcb(p).recovery, RECOVERY_FAST);
  p.advance(15);
  sack(p, 10_001, [1, 1001]);
  t.equal(tcb(p).recovery, RECOVERY_OPEN);
  t.ok(tcb(p).cwnd >= 10_000);
  t.equal(tcb(p).ssthresh, 0x7fffffff);
  t.equal(tcb(p).reoMult, 1, 'RFC 8985 6.2 step 4');
  t.equal(p.stat('TcpExtTCPDSACKUndo'), 1);
});

t.test('RFC 3522 3.2, RFC 4015 3: the acknowledgement echoes a timestamp from before the segment was sent again', async (t) => {
  for (const spurious of [true, false]) {
    const p = path(t, {}, true);
    p.write(10_000);
    const first = p.discard()[0]!;
    p.advance(20);
    p.ts = [1040, first.ts![0]];
    p.untilSent(1000);
    p.discard();
    p.untilSent(1000);
    const again = p.expect({ flags: 'A', seq: 1, data: 1000 }, 'the timeout');
    t.equal(tcb(p).cwnd < 10_000, true);
    p.advance(20);
    p.ts = [1200, spurious ? first.ts![0] : again.ts![0]];
    sack(p, 1001);
    t.equal(tcb(p).recovery, spurious ? RECOVERY_OPEN : RECOVERY_LOSS);
    t.equal(tcb(p).ssthresh, spurious ? 0x7fffffff : 7000);
    t.equal(p.stat('TcpExtTCPLossUndo'), spurious ? 1 : 0);
    t.equal(tcb(p).lost === 0, spurious, 'what is in flight is left alone');
  }
});

t.test('RFC 5682 3.1: after a timeout two new segments show whether the old ones are lost', async (t) => {
  for (const spurious of [true, false]) {
    const p = path(t);
    p.write(10_000);
    p.discard();
    p.untilSent(1000);
    p.discard();
    p.untilSent(1000);
    t.strictSame(sent(p), [1]);
    t.equal(tcb(p).recovery, RECOVERY_LOSS);
    p.write(10_000);
    p.discard();
    sack(p, 1001);
    t.strictSame(sent(p), [10_001, 11_001], 'step 2b');
    if (spurious) {
      sack(p, 2001);
      t.equal(tcb(p).recovery, RECOVERY_OPEN, 'step 3b: it was only late');
      t.ok(tcb(p).cwnd >= 10_000);
      t.equal(tcb(p).ssthresh, 0x7fffffff);
    } else {
      sack(p, 1001, [10_001, 11_001]);
      t.equal(tcb(p).recovery, RECOVERY_LOSS, 'step 3a');
      t.equal(sent(p)[0], 1001);
    }
    t.equal(p.stat('TcpExtTCPSpuriousRTOs'), spurious ? 1 : 0);
  }
});

t.test('RFC 1191 6.4: with SACK what is in flight is sent again in smaller segments, the window stays', async (t) => {
  const p = path(t);
  p.write(5000);
  p.discard();
  const words = new Int32Array(8);
  setMapped(words, 0, parseDotted(STACK_ADDRESS));
  setMapped(words, 4, parseDotted(PEER_ADDRESS));
  t.ok(p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss + 1, 0, false, 640));
  p.turn();
  const again = p.discard();
  t.strictSame(again.map(({ length }) => length), [600, 600, 600, 600, 600, 600, 600, 600, 200]);
  t.equal(tcb(p).cwnd, 10_000);
  p.advance(20);
  sack(p, 5001);
  t.equal(tcb(p).recovery, RECOVERY_OPEN);
  t.equal(tcb(p).ssthresh, 0x7fffffff);
  p.abort();
  p.discard();
  p.leftNothing();
  t.equal(p.stack.runsInUse, 0);
});

t.test('blocks that are damaged, old or a lie change nothing', async (t) => {
  const p = path(t);
  p.write(10_000);
  p.discard();
  p.advance(20);
  sack(p, 1, [5001, 4001], [9001, 20_001], [-5000, -4000]);
  t.equal(tcb(p).sacked, 0);
  sack(p, 1, [2, 900], [1100, 1900], [3001, 3002]);
  t.equal(tcb(p).sacked, 0, 'segments are whole or not');
  t.ok(p.stack.runsInUse <= 2);
  sack(p, 10_001, [5001, 6001]);
  t.equal(tcb(p).sacked, 0);
  t.equal(p.stack.runsInUse, 0);
});


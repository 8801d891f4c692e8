/** The stack under attack: from one who can only guess, and from a peer that lies. */
import t from 'tap';
import { EV_ACCEPTED, FREE } from '../../lib/tcp/conn/state.js';
import { Trace } from './trace.js';

const LEFT_HALF = 0x4000_0000;

t.test('RFC 5961 3.2: of 2000 guessed resets none ends a connection unless it meets the very next sequence number', async (t) => {
  const p = new Trace(t);
  p.accept();
  for (let i = 0; i < 2000; i++) p.put({ flags: i % 2 === 0 ? 'R' : 'RA', seq: 2 + i * 32, ack: 1 });
  while (p.stack.readable()) p.turn();
  t.equal(p.state, 'ESTABLISHED');
  t.equal(p.discard().length, 1, 'one challenge is the answer to all of them');
  p.inject({ flags: 'R', seq: 1 });
  t.equal(p.state, 'CLOSED');
});

t.test('RFC 5961 7: one flow cannot use up the challenges of the others', async (t) => {
  const p = new Trace(t, { limits: { challengeAcks: 4 } });
  p.accept();
  const first = p.peerPort;
  p.peerPort++;
  p.accept();
  for (let i = 0; i < 100; i++) p.put({ flags: 'R', seq: 10 + i, port: first });
  p.turn();
  t.equal(p.discard().length, 1);
  p.inject({ flags: 'R', seq: 10 });
  t.equal(p.discard().length, 1, 'another flow still has its own');
});

t.test('RFC 5961 10: how many challenges a second has is another number each second, so counting them tells nothing', async (t) => {
  const p = new Trace(t, { limits: { challengeAcks: 100, invalidAckMs: 0 } });
  p.accept();
  const counts = new Set<number>();
  for (let second = 0; second < 20; second++) {
    for (let i = 0; i < 300; i++) p.put({ flags: 'R', seq: 10 });
    p.turn();
    counts.add(p.discard().length);
    p.advance(1000);
    p.discard();
  }
  t.ok(counts.size >= 10, `${counts.size} different numbers in 20 s`);
  t.ok(Math.min(...counts) >= 50 && Math.max(...counts) < 150, 'between half of the setting and one and a half of it');
});

t.test('RFC 5961 5.2: text with an acknowledgement that cannot be true is not taken', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'PA', seq: 1, ack: 2, data: 'forged' });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  p.inject({ flags: 'PA', seq: 1, ack: -LEFT_HALF, data: 'forged' });
  p.expectNothing('one challenge in 500 ms');
  p.inject({ flags: 'P', seq: 1, data: 'forged' });
  p.expectNothing('without an acknowledgement none is');
  t.equal(p.read(), '');
});

t.test('RFC 5961 4.2: a SYN into a connection changes nothing, whatever comes with it', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'SF', seq: 1, data: 'forged' });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  t.equal(p.state, 'ESTABLISHED');
  t.equal(p.read(), '');
});

t.test('RFC 1337 3: where it is set so, a reset does not end TIME-WAIT', async (t) => {
  for (const resetsPassTimeWait of [true, false]) {
    const p = new Trace(t, { limits: { resetsPassTimeWait } });
    p.accept();
    p.release();
    p.inject({ flags: 'FA', seq: 1, ack: 2 });
    t.equal(p.state, 'TIME-WAIT');
    p.inject({ flags: 'R', seq: 2 });
    t.equal(p.stack.timeWaitCount, resetsPassTimeWait ? 1 : 0);
  }
});

t.test('RFC 1337 2: an old duplicate in TIME-WAIT is answered and does not reach the next connection', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.release();
  p.discard();
  p.inject({ flags: 'FA', seq: 1, ack: 2 });
  p.discard();
  p.inject({ flags: 'PA', seq: -100, ack: 2, data: 'old' });
  p.expect({ flags: 'A', seq: 2, ack: 2 });
  t.equal(p.state, 'TIME-WAIT');
});

t.test('RFC 6191 2: a SYN that finds no room does not end the TIME-WAIT whose place it wants', async (t) => {
  const p = new Trace(t, { limits: { synBacklog: 1 } });
  p.listen(80, 1);
  p.inject({ flags: 'S', seq: 0 });
  p.expect({ flags: 'SA' });
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.release();
  p.discard();
  p.inject({ flags: 'FA', seq: 1, ack: 2 });
  p.discard();
  p.inject({ flags: 'S', seq: 0, port: 1000 });
  p.expect({ flags: 'SA' });
  p.inject({ flags: 'S', seq: 9000 });
  p.expectNothing();
  t.equal(p.stack.timeWaitCount, 1);
  t.equal(p.stat('TcpExtTCPReqQFullDrop'), 1);
  p.inject({ flags: 'R', seq: 1, port: 1000 });
  p.inject({ flags: 'S', seq: 9000 });
  p.expect({ flags: 'SA' }, 'and does where there is some');
  t.equal(p.stack.timeWaitCount, 0);
});

t.test('RFC 6528 3: initial sequence numbers of one peer ascend with time; those of another tell nothing of them', async (t) => {
  const p = new Trace(t);
  p.listen();
  const isn = (port: number): number => {
    p.inject({ flags: 'S', seq: 0, port });
    const { seq } = p.expect({ flags: 'SA' });
    p.inject({ flags: 'R', seq: 1, port });
    return seq;
  };
  const first = isn(1000);
  const others = Array.from({ length: 50 }, (_, i) => isn(1001 + i));
  p.advance(1000);
  t.equal((isn(1000) - first) | 0, 250_000, 'one each 4 µs');
  const steps = new Set(others.map((seq, i) => (seq - (others[i - 1] ?? first)) | 0));
  t.equal(steps.size, 50, 'no step between neighbours comes twice');
});

t.test('RFC 7323 5.4, 7.1: the clock of timestamps of one 4-tuple never runs backwards, and each has another one', async (t) => {
  const p = new Trace(t);
  p.listen();
  const stamp = (port: number): number => {
    p.inject({ flags: 'S', seq: 0, port, ts: [1, 0] });
    const { ts } = p.expect({ flags: 'SA' });
    p.inject({ flags: 'R', seq: 1, port });
    return ts![0];
  };
  const first = stamp(1000);
  t.not(stamp(1001), first);
  p.advance(70_000);
  t.equal((stamp(1000) - first) | 0, 70_000);
});

t.test('RFC 6056 3.3.4: ephemeral ports to one peer go on step by step, those to another from another place', async (t) => {
  const p = new Trace(t);
  const open = (port: number): number => {
    p.connect(port);
    p.expect({ flags: 'S' });
    const { stackPort } = p;
    p.abort();
    return stackPort;
  };
  const count = 60999 - 32768 + 1;
  const ports = Array.from({ length: 200 }, () => open(443));
  t.equal(new Set(ports).size, 200, 'none comes twice');
  const steps = new Set(ports.slice(1).map((port, i) => (port - ports[i]! + count) % count));
  t.same([...steps].sort(), [1, 2], 'now and then one is left out');
  const starts = Array.from({ length: 20 }, (_, i) => open(500 + i));
  t.ok(new Set(starts.map((port) => port >> 6)).size > 10, 'each peer has its own');
});

t.test('RFC 2018 8: a peer that sends every other byte holds a bounded number of ranges, and what comes in order still gets in', async (t) => {
  const p = new Trace(t, { limits: { ranges: 64, rangesPerFlow: 512, invalidAckMs: 0 } });
  p.accept();
  for (let i = 0; i < 1000; i++) p.put({ flags: 'A', seq: 3 + 2 * i, ack: 1, data: 'x' });
  p.turn();
  t.equal(p.stack.rangesInUse, 32, 'half of what there is');
  t.equal(p.stat('TcpExtTCPOFODrop'), 1000 - 32);
  p.discard();
  const greedy = { flow: p.flow, iss: p.iss };
  p.peerPort++;
  p.accept();
  p.inject({ flags: 'A', seq: 5, ack: 1, data: 'later' });
  p.discard();
  t.equal(p.stack.rangesInUse, 33, 'a newcomer finds some');
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'soon' });
  t.equal(p.read(), 'soonlater');
  p.peerPort--;
  Object.assign(p, greedy);
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'y'.repeat(70) });
  t.equal(p.read(), `${'y'.repeat(70)}`, 'the stream goes on');
  t.equal(p.stack.rangesInUse, 0);
});

t.test('RFC 6675 4: SACK blocks for every other segment, again and again, cost a bounded number of runs', async (t) => {
  const p = new Trace(t, { limits: { runs: 16 } });
  p.accept({ mss: 100, sackOk: true });
  for (let i = 0; i < 10; i++) {
    p.write(1000);
    p.discard();
    for (let k = 0; k < 40; k++) p.put({ flags: 'A', seq: 1, ack: 1, sack: [[1 + 200 * k + 100, 1 + 200 * k + 200]] });
    p.turn();
    p.discard();
  }
  t.ok(p.stack.runsInUse <= 16 + 32, `${p.stack.runsInUse} runs`);
  t.equal(p.state, 'ESTABLISHED');
});

t.test('RFC 3465 2.3: an acknowledgement in a thousand pieces opens the window no further than one in one piece', async (t) => {
  const grown = (pieces: number): number => {
    const p = new Trace(t);
    p.accept();
    p.write(100_000);
    p.discard();
    const { cwnd } = p.stack.tcb.at(p.flow);
    for (let i = 1; i <= pieces; i++) p.put({ flags: 'A', seq: 1, ack: 1 + Math.floor((i * 2920) / pieces) });
    p.turn();
    return p.stack.tcb.at(p.flow).cwnd - cwnd;
  };
  const once = grown(1);
  t.ok(once > 0);
  t.ok(grown(1000) <= once, 'bytes count, not acknowledgements');
});

t.test('Security: acknowledgements of what was never sent do not open the window', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.write(100_000);
  p.discard();
  const { cwnd, sndUna } = p.stack.tcb.at(p.flow);
  for (let i = 1; i < 50; i++) p.put({ flags: 'A', seq: 1, ack: 1 + 14_600 + i * 1460 });
  p.turn();
  const after = p.stack.tcb.at(p.flow);
  t.same([after.cwnd, after.sndUna], [cwnd, sndUna]);
});

t.test('RFC 6429 5: a released flow whose peer never opens its window is the first to go when released flows are too many', async (t) => {
  const p = new Trace(t, { limits: { orphans: 2 } });
  p.accept({}, { win: 0 });
  p.write('held back');
  p.release();
  p.advance(60_000);
  for (const sent of p.discard()) t.equal(sent.length, 0, 'only probes');
  const slow = p.flow;
  const sent: string[] = [];
  for (const port of [1000, 1001]) {
    p.peerPort = port;
    p.accept();
    p.release();
    sent.push(...p.discard().map(({ flags, destination }) => `${flags} ${destination}`));
  }
  t.same(sent, ['FA 1000', 'RA 40000', 'FA 1001'], 'the newcomers close as they should');
  t.equal(p.stat('TcpExtTCPAbortOnMemory'), 1);
  t.equal(p.stack.orphanCount, 2);
  t.equal(p.stack.tcb.at(slow).state, FREE);
});

t.test('Security: a storm of FINs, in each state after one, leaves the state as it is and is answered once each', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'FA', seq: 1, ack: 1 });
  p.expect({ flags: 'A', ack: 2 });
  for (let i = 0; i < 1000; i++) p.put({ flags: 'FA', seq: 1, ack: 1 });
  p.turn();
  t.equal(p.state, 'CLOSE-WAIT');
  t.ok(p.discard().length <= 1000);
  p.release();
  p.expect({ flags: 'FA', seq: 1, ack: 2 });
  for (let i = 0; i < 1000; i++) p.put({ flags: 'FA', seq: 1, ack: 1 });
  p.turn();
  t.equal(p.state, 'LAST-ACK');
  t.ok(p.discard().length <= 1000);
  p.inject({ flags: 'A', seq: 2, ack: 2 });
  p.leftNothing();
});

t.test('RFC 9293 3.5: a SYN may carry text: it is not acknowledged, and comes again with the handshake done', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'S', seq: 0, data: 'early' });
  p.expect({ flags: 'SA', ack: 1 });
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 'early' });
  t.equal(p.takeEvents() & EV_ACCEPTED, EV_ACCEPTED);
  t.equal(p.read(), 'early');
});

t.test('RFC 9293 3.7.1: a peer that asks for segments of one byte gets segments of 36 at least', async (t) => {
  const p = new Trace(t);
  p.ts = [1, 0];
  p.accept({ mss: 1 });
  p.write(1000);
  t.ok(p.outbox.length <= 10 && p.outbox.every((sent) => sent.length === 36 || sent.length === 1000 % 36));
});

t.test('RFC 792, RFC 6633 3: source quench is passed over', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.write(50_000);
  p.discard();
  const { cwnd } = p.stack.tcb.at(p.flow);
  p.icmp(4, 0, 1);
  t.equal(p.stack.tcb.at(p.flow).cwnd, cwnd);
  t.equal(p.state, 'ESTABLISHED');
});

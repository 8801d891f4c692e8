/** Sending: loss and its repair, the peer's window, Nagle, segmentation. */
import t from 'tap';
import { EV_ACKED, EV_CLOSED, EV_ERROR } from '../../lib/tcp/conn/state.js';
import { EHOSTUNREACH, ECONNREFUSED, ETIMEDOUT } from '../../lib/tcp/errno.js';
import { PEER_ADDRESS, STACK_ADDRESS, Trace } from './trace.js';
import { parseDotted, setMapped } from '../../lib/tcp/wire/address.js';

t.test('RFC 6298 2, 5: RTO of 1 s at first, doubled at each timeout, 15 times; then ETIMEDOUT', async (t) => {
  const p = new Trace(t);
  // The handshake takes 1 ms and is measured, so the RTO is 200 ms more than that.
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: 1000 });
  p.expect({ flags: 'SA' });
  p.advance(1);
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  t.equal(p.stack.tcb.at(p.flow).srtt, 1000);
  t.equal(p.stack.tcb.at(p.flow).rto, 201_000);
  p.write('hello');
  p.expect({ flags: 'PA', seq: 1, data: 'hello' });
  let rto = 201;
  for (let i = 0; i < 15; i++) {
    t.equal(p.untilSent(130_000), rto);
    p.expect({ flags: 'PA', seq: 1, data: 'hello' });
    rto = Math.min(rto * 2, 120_000);
  }
  p.takeEvents();
  p.advance(119_999);
  t.equal(p.takeEvents(), 0);
  p.advance(1);
  p.expectNothing();
  t.equal(p.takeEvents(), EV_ERROR | EV_CLOSED);
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  t.ok(p.now - p.start > 100e6, 'R2 is more than 100 s (RFC 9293 3.8.3)');
  p.release();
  p.leftNothing();
});

t.test('MUST-18, RFC 6298 3: what was sent twice is not measured; the back-off stays until something is', async (t) => {
  const p = new Trace(t, { irs: 77 });
  p.accept();
  p.write('one');
  p.expect({ flags: 'PA', seq: 1 });
  p.untilSent(1000);
  p.expect({ flags: 'PA', seq: 1 });
  const srtt = p.stack.tcb.at(p.flow).srtt;
  p.advance(100);
  p.inject({ flags: 'A', seq: 1, ack: 4 });
  t.equal(p.stack.tcb.at(p.flow).srtt, srtt);
  t.equal(p.stack.tcb.at(p.flow).backoff, 1);
  p.write('two');
  p.expect({ flags: 'PA', seq: 4 });
  p.advance(8);
  p.inject({ flags: 'A', seq: 1, ack: 7 });
  t.equal(p.stack.tcb.at(p.flow).backoff, 0);
});

t.test('RFC 7323 4.1: with timestamps what was sent twice is measured too', async (t) => {
  const p = new Trace(t);
  p.ts = [100, 0];
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  const synAck = p.expect({ flags: 'SA', seq: 0, ack: 1 });
  t.equal(synAck.ts![1], 100, 'TSecr is the TSval of the SYN');
  p.ts = [101, synAck.ts![0]];
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.write('one');
  p.expect({ flags: 'PA', seq: 1 });
  p.untilSent(1000);
  const again = p.expect({ flags: 'PA', seq: 1 });
  p.advance(40);
  p.ts = [102, again.ts![0]];
  p.inject({ flags: 'A', seq: 1, ack: 4 });
  t.equal(p.stack.tcb.at(p.flow).backoff, 0);
  t.ok(p.stack.tcb.at(p.flow).srtt >= 5000, 'an eighth of 40 ms');
});

t.test('RFC 5681 3.1, RFC 6928 2: initial window of ten segments, then two for each one acknowledged', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write(40_000);
  for (let i = 0; i < 10; i++) p.expect({ flags: 'A', seq: 1 + 1000 * i, data: 1000 });
  p.expectNothing();
  t.equal(p.stack.tcb.at(p.flow).cwnd, 10_000);
  p.inject({ flags: 'A', seq: 1, ack: 2001 });
  for (let i = 10; i < 14; i++) p.expect({ flags: 'A', seq: 1 + 1000 * i, data: 1000 });
  p.expectNothing();
  t.equal(p.takeEvents(), EV_ACKED);
  t.equal(p.stack.tcb.at(p.flow).acknowledged, 2000);
});

t.test('RFC 5681 3.2, RFC 3042 2: the third duplicate acknowledgement sends the segment again; the first two let new ones go', async (t) => {
  const p = new Trace(t, { limits: { congestion: 'newreno' } });
  p.accept({ mss: 1000 });
  p.write(30_000);
  p.discard();
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'A', seq: 10_001, data: 1000 }, 'limited transmit');
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'A', seq: 11_001, data: 1000 }, 'limited transmit');
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'A', seq: 1, data: 1000 }, 'fast retransmit');
  p.expectNothing();
  const tcb = p.stack.tcb.at(p.flow);
  t.equal(tcb.ssthresh, 6000, 'half of what was in flight');
  t.equal(tcb.cwnd, 9000, 'and three segments');
  for (let i = 0; i < 4; i++) p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'A', seq: 12_001, data: 1000 }, 'more duplicates: more has left the network');
  p.expectNothing();
  t.test('RFC 6582 3.2: a partial acknowledgement sends the next hole; a full one ends recovery', async (t) => {
    p.inject({ flags: 'A', seq: 1, ack: 5001 });
    p.expect({ flags: 'A', seq: 5001, data: 1000 });
    p.discard();
    t.equal(p.stack.tcb.at(p.flow).recovery, 1);
    p.inject({ flags: 'A', seq: 1, ack: 12_001 });
    t.equal(p.stack.tcb.at(p.flow).recovery, 0);
    t.ok(p.stack.tcb.at(p.flow).cwnd <= 6000);
    t.equal(p.stat('TcpExtTCPFastRetrans'), 1);
  });
});

t.test('RFC 5681 2: no duplicate acknowledgement where text, FIN or another window comes with it', async (t) => {
  const p = new Trace(t, { limits: { quickAcks: 0 } });
  p.accept({ mss: 1000 });
  p.write(10_000);
  p.discard();
  for (let i = 0; i < 5; i++) p.inject({ flags: 'A', seq: 1 + i, ack: 1, data: 'x' });
  for (let i = 0; i < 5; i++) p.inject({ flags: 'A', seq: 6, ack: 1, win: 60_000 + i });
  t.equal(p.stack.tcb.at(p.flow).dupAcks, 0);
  t.equal(p.stat('TcpRetransSegs'), 0);
});

t.test('RFC 6582 4.1: after a timeout duplicates of what was sent before it start no fast recovery', async (t) => {
  const p = new Trace(t, { limits: { congestion: 'newreno' } });
  p.accept({ mss: 1000 });
  p.write(6000);
  p.discard();
  p.untilSent(2000);
  p.expect({ flags: 'A', seq: 1, data: 1000 });
  t.equal(p.stack.tcb.at(p.flow).cwnd, 1000);
  for (let i = 0; i < 4; i++) p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expectNothing();
  p.inject({ flags: 'A', seq: 1, ack: 1001 });
  p.expect({ flags: 'A', seq: 1001, data: 1000 }, 'slow start: the lost ones first');
  p.expect({ flags: 'A', seq: 2001, data: 1000 });
  p.expectNothing();
  p.inject({ flags: 'A', seq: 1, ack: 6001 }, );
  p.expectNothing();
  t.equal(p.stack.tcb.at(p.flow).recovery, 0);
  t.equal(p.stack.tcb.at(p.flow).ssthresh, 3000);
});

t.test('MUST-36, MUST-37, SHLD-30: a closed window is probed, with doubling intervals, for as long as the peer answers', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write(1000);
  p.expect({ flags: 'PA', seq: 1 });
  p.inject({ flags: 'A', seq: 1, ack: 1001, win: 0 });
  p.write(1000);
  p.expectNothing();
  let interval = 0;
  let doubled = 0;
  for (let i = 0; i < 20; i++) {
    const ms = p.untilSent(130_000);
    if (ms >= interval * 1.99) doubled++;
    interval = ms;
    p.expect({ flags: 'A', seq: 1000, data: 0, ack: 1 }, 'a segment before the window, that the peer must answer');
    p.inject({ flags: 'A', seq: 1, ack: 1001, win: 0 });
    p.expectNothing();
  }
  t.equal(interval, 120_000);
  t.ok(doubled >= 8);
  p.inject({ flags: 'A', seq: 1, ack: 1001, win: 1000 });
  p.expect({ flags: 'PA', seq: 1001, data: 1000 }, 'the window opens');
  p.inject({ flags: 'A', seq: 1, ack: 2001, win: 0 });
  p.write('end');
  p.expectNothing();
  p.advance(100_000);
  t.ok(p.discard().length >= 7);
  t.test('a peer that does not answer is given up', async (t) => {
    p.advance(3_000_000);
    t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
    p.release();
    p.leftNothing();
  });
});

t.test('MUST-38: no silly small segments into a small window, but not for ever', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 4000 });
  p.write(4000);
  t.equal(p.discard().length, 4);
  p.inject({ flags: 'A', seq: 1, ack: 4001, win: 300 });
  p.write(1000);
  p.expectNothing('300 of 65535 bytes are not worth a segment');
  t.equal(Math.floor(p.untilSent(2000)), 200);
  p.expect({ flags: 'A', seq: 4001, data: 300 }, 'the override timeout');
  p.inject({ flags: 'A', seq: 1, ack: 4301, win: 4000 });
  p.expect({ flags: 'PA', seq: 4301, data: 700 });
});

t.test('RFC 9293 3.8.6: a window that shrinks does no harm; old segments do not set it', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write(3000);
  p.discard();
  p.inject({ flags: 'A', seq: 1, ack: 1001, win: 500 });
  p.write(5000);
  p.expectNothing();
  p.inject({ flags: 'A', seq: 1, ack: 3001, win: 2000 });
  p.expect({ flags: 'A', seq: 3001, data: 1000 });
  p.expect({ flags: 'A', seq: 4001, data: 1000 });
  p.expectNothing();
  p.inject({ flags: 'A', seq: 1, ack: 2001, win: 50_000 });
  p.expectNothing('SND.WL2 is later');
});

t.test('RFC 9293 3.10.7.4: text that comes again may acknowledge something new: its window counts, or more would be sent than was ever offered', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 }, { win: 4000 });
  p.write(8000);
  t.equal(p.discard().length, 4);
  p.inject({ flags: 'A', seq: 101, ack: 1, win: 4000, data: 100 });
  p.inject({ flags: 'A', seq: 1, ack: 1001, win: 3000, data: 100 });
  p.advance(50);
  t.strictSame(p.discard().filter(({ length }) => length > 0), [], 'the window ends where it did');
  p.inject({ flags: 'A', seq: 201, ack: 2001, win: 4000 });
  t.strictSame(p.discard().map(({ seq, length }) => [(seq - p.iss) | 0, length]), [[4001, 1000], [5001, 1000]]);
});

t.test('RFC 7323 2.2: windows are scaled in both directions, but for those of SYNs', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: 1460, ws: 7, win: 65535 });
  const synAck = p.expect({ flags: 'SA', ws: 7, win: 65535 });
  t.ok(synAck);
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 512 });
  t.equal(p.stack.tcb.at(p.flow).sndWnd, 512 * 128);
  p.write('x');
  p.expect({ flags: 'PA', win: (128 * 1024) >> 7 });
});

t.test('RFC 7323 2.3: a shift of more than 14 counts as 14', async (t) => {
  const p = new Trace(t);
  p.accept({ ws: 200 }, { win: 1 });
  t.equal(p.stack.tcb.at(p.flow).sndWnd, 1 << 14);
});

t.test('SHLD-7, MUST-17: Nagle holds a small segment while another is in flight, until the owner switches it off', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write('a');
  p.expect({ flags: 'PA', seq: 1, data: 'a' }, 'nothing is in flight: at once');
  p.write('b');
  p.write('c');
  p.expectNothing('a small segment is in flight');
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  p.expect({ flags: 'PA', seq: 2, data: 'bc' });
  p.write(1000);
  p.expect({ flags: 'PA', seq: 4, data: 1000 }, 'a full segment does not wait');
  p.write('tail');
  p.expectNothing();
  p.stack.settings.setNoDelay(p.flow, true);
  p.turn();
  p.expect({ flags: 'PA', seq: 1004, data: 'tail' }, 'switched off: it goes at once');
  p.write('more');
  p.expect({ flags: 'PA', seq: 1008, data: 'more' });
  p.stack.settings.setNoDelay(p.flow, false);
  p.write('end');
  p.expectNothing();
  p.shutdown();
  p.expect({ flags: 'FPA', seq: 1012, data: 'end' }, 'the end never waits');
});

t.test('SHLD-7: in Minshall\'s form: the small end of a large message does not wait for the message', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write(2500);
  p.expect({ flags: 'A', seq: 1, data: 1000 });
  p.expect({ flags: 'A', seq: 1001, data: 1000 });
  p.expect({ flags: 'PA', seq: 2001, data: 500 });
  p.write('next');
  p.expectNothing();
});

t.test('MUST-15 (IPv4), MUST-16: segments of 536 where the peer says none, not less than 48, not more than the link, less the timestamps', async (t) => {
  const sizes: [number, number, number][] = [[0, 1500, 536], [20, 1500, 48], [9000, 1500, 1460], [9000, 9000, 8960], [1460, 576, 536]];
  for (const [mss, mtu, expected] of sizes) {
    const p = new Trace(t, { mtu });
    p.accept({ mss });
    t.equal(p.stack.tcb.at(p.flow).sndMss, expected, `MSS ${mss} on a link of ${mtu}`);
  }
  const p = new Trace(t);
  p.ts = [1, 0];
  p.accept({ mss: 1460 });
  t.equal(p.stack.tcb.at(p.flow).sndMss, 1448);
});

t.test('SHLD-28: super-segments: as much as the device cuts, a whole number of segments', async (t) => {
  const p = new Trace(t, { segmentation: 65535 });
  p.accept({ mss: 1000, ws: 7 }, { win: 1000 });
  p.write(7500);
  p.expect({ flags: 'PA', seq: 1, data: 7500 });
  t.equal(p.device.sizes.at(-1), 1000);
  p.inject({ flags: 'A', seq: 1, ack: 7501, win: 1000 });
  p.stack.tcb.at(p.flow).cwnd = 200_000;
  p.write(100_500);
  p.expect({ flags: 'A', seq: 7501, data: 65_000 });
  p.expect({ flags: 'PA', seq: 72_501, data: 35_500 });
  p.inject({ flags: 'A', seq: 1, ack: 108_001, win: 1000 });
  t.test('text in more pieces than a frame takes: what fits, then the rest', async (t) => {
    p.payload.spanBytes = 100;
    p.write(4000);
    p.expect({ flags: 'A', seq: 108_001, data: 1800 });
    p.expect({ flags: 'A', seq: 109_801, data: 1800 });
    p.expect({ flags: 'PA', seq: 111_601, data: 400 });
    t.equal(p.stack.tcb.at(p.flow).sndNxt, (p.iss + 112_001) | 0);
  });
});

t.test('a device without room: what is to be sent goes when there is some', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.device.full = true;
  p.write('patience');
  p.expectNothing();
  t.ok(p.stack.pollAt() <= p.now + 1000, 'the stack asks for another turn');
  p.device.full = false;
  p.advance(1);
  p.expect({ flags: 'PA', seq: 1, data: 'patience' });
  p.device.full = true;
  p.inject({ flags: 'A', seq: 1, ack: 9, data: 'ping' });
  p.device.full = false;
  p.advance(1);
  p.expect({ flags: 'A', seq: 9, ack: 5 });
});

t.test('RFC 5681 4.1: after an idle time the window is that of a new connection', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000, ws: 7 }, { win: 2000 });
  p.write('x');
  p.inject({ flags: 'A', seq: 1, ack: 2, win: 2000 });
  p.discard();
  p.stack.tcb.at(p.flow).cwnd = 50_000;
  p.advance(100);
  p.write(40_000);
  t.equal(p.discard().length, 40);
  p.inject({ flags: 'A', seq: 1, ack: 40_002, win: 2000 });
  p.advance(1000);
  p.write(40_000);
  t.equal(p.discard().length, 10);
});

t.test('ICMP errors', async (t) => {
  const words = new Int32Array(8);
  setMapped(words, 0, parseDotted(STACK_ADDRESS));
  setMapped(words, 4, parseDotted(PEER_ADDRESS));
  t.test('while opening they end the attempt', async (t) => {
    for (const errno of [EHOSTUNREACH, ECONNREFUSED]) {
      const p = new Trace(t);
      p.connect();
      p.expect({ flags: 'S' });
      t.notOk(p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss + 100, errno, true, 0), 'not ours');
      t.ok(p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss, errno, errno === ECONNREFUSED, 0));
      p.turn();
      t.equal(p.stack.tcb.at(p.flow).error, errno);
      p.release();
      p.leftNothing();
    }
  });
  t.test('an established connection stays', async (t) => {
    const p = new Trace(t);
    p.accept();
    p.write('x');
    p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss + 1, ECONNREFUSED, true, 0);
    p.turn();
    t.equal(p.state, 'ESTABLISHED');
  });
  t.test('RFC 1191 6.4: packet too big: smaller segments, at once', async (t) => {
    const p = new Trace(t);
    p.accept({ mss: 1460 });
    p.write(3000);
    p.discard();
    t.notOk(p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss + 9000, 0, false, 1000), 'not in flight: not believed');
    t.ok(p.stack.unreachable(words, p.stackPort, p.peerPort, p.iss + 1, 0, false, 1000));
    p.turn();
    p.expect({ flags: 'A', seq: 1, data: 960 });
    p.discard();
    p.inject({ flags: 'A', seq: 1, ack: 3001 });
    p.write(2000);
    p.expect({ flags: 'A', seq: 3001, data: 960 });
  });
});

t.test('MAY-5, MUST-24, MUST-27, MUST-29, SHLD-12: keepalive probes carry no text; only when none of several is answered the connection is dead', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.stack.settings.setKeepAlive(p.flow, true, 10_000, 1000, 3);
  t.equal(p.untilSent(60_000), 10_000);
  p.expect({ flags: 'A', seq: 0, ack: 1, data: 0 });
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.advance(5000);
  p.inject({ flags: 'PA', seq: 1, ack: 1, data: 'x' });
  p.expect({ flags: 'A', ack: 2 });
  t.equal(p.untilSent(60_000), 10_000, 'idle time counts from what was last heard');
  p.expect({ flags: 'A', seq: 0, ack: 2 });
  t.equal(p.untilSent(60_000), 1000);
  p.expect({ flags: 'A', seq: 0, ack: 2 });
  t.equal(p.untilSent(60_000), 1000);
  p.expect({ flags: 'A', seq: 0, ack: 2 });
  t.equal(p.untilSent(60_000), 1000);
  p.expect({ flags: 'RA', seq: 1 });
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  p.release();
  p.leftNothing();
  t.test('MUST-25: is off unless asked for, and when switched off', async () => {
    p.peerPort++;
    p.accept();
    p.advance(86_400_000);
    p.expectNothing();
    p.stack.settings.setKeepAlive(p.flow, true, 10_000, 1000, 3);
    p.stack.settings.setKeepAlive(p.flow, false, 10_000, 1000, 3);
    p.advance(100_000);
    p.expectNothing();
  });
});

t.test('a released flow that the peer does not answer is given up sooner', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.write('data');
  p.release();
  p.advance(200_000);
  p.discard();
  p.leftNothing();
});

t.test('RFC 9293 3.8.6.1: keepalive beside a closed window does not keep a dead peer alive', async (t) => {
  const p = new Trace(t);
  p.accept({}, { win: 0 });
  p.stack.settings.setKeepAlive(p.flow, true, 1000, 1000, 3);
  p.write('waits');
  p.discard();
  p.advance(3_600_000);
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  t.equal(p.stat('TcpExtTCPWinProbe'), 15);
  p.release();
  p.leftNothing();
});

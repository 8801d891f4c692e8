/** What Appendix B of RFC 9293 asks for and no other scenario shows: opening, resets, keepalive, the persist timer, the RTO. */
import t from 'tap';
import { Trace } from './trace.js';

t.test('MUST-41: a passive open leaves the connections that are there as they are', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  const [first, second] = [p.flow, p.stack.listen(new Int32Array(4), 81, 5)];
  t.ok(second >= 0);
  p.script(`
    < PA 1 ack 1 "still here"
    > A 1 ack 11
    read "still here"
  `);
  p.stack.unlisten(second);
  p.turn();
  p.script('= ESTABLISHED');
  p.peerPort++;
  p.accept({ mss: 1000 });
  t.not(p.flow, first, 'and the listener of its own port goes on to listen');
});

t.test('MUST-42: a port may be listened on while connections of that port are opening', async (t) => {
  const p = new Trace(t);
  p.flow = p.stack.connect(Int32Array.of(0, 0, 0xffff, 0xc0000202 | 0), 40_000, null, 5000);
  p.stackPort = 5000;
  p.turn();
  p.script(`
    > S 0
    = SYN-SENT
  `);
  const active = p.flow;
  t.ok(p.stack.listen(new Int32Array(4), 5000, 5) >= 0);
  p.script(`
    < S 0 port 41000 mss 1000
    > SA 0 ack 1 port 41000
    < A 1 ack 1 port 41000
    ! accepted
    = ESTABLISHED
  `);
  t.not(p.flow, active);
  t.equal(p.stack.tcb.at(active).state, 2, 'SYN-SENT');
});

t.test('MUST-11: after a simultaneous open a reset is an error of the owner, after a passive one nobody hears of it', async (t) => {
  const p = new Trace(t);
  p.script(`
    connect
    > S 0
    < S 0 mss 1000
    > SA 0 ack 1
    = SYN-RECEIVED
    < R 1
    ! error ECONNREFUSED closed
    release
  `);
  p.leftNothing();
  const q = new Trace(t);
  q.script(`
    listen
    < S 0 mss 1000
    > SA 0 ack 1
    < R 1
    < S 0 port 41000 mss 1000
    > SA 0 ack 1 port 41000
  `);
  t.equal(q.events.size, 0, 'the listener listens on');
});

t.test('SHLD-2: a reset may carry text', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < R 1 "because I say so"
    ! error ECONNRESET closed
  `);
  const q = new Trace(t);
  q.script(`
    connect
    > S 0
    < RA 0 ack 1 "no such service"
    ! error ECONNREFUSED closed
  `);
});

t.test('RFC 9293 3.5.2: a reset is made from what it answers, and none answers a reset', async (t) => {
  const p = new Trace(t);
  p.script(`
    < S 100
    > RA ack 101                           # no ACK to take a sequence number from: 0, and all of it acknowledged
    < FPA 100 ack 77 "text"
    > R 77
    < R 100
    < RA 100 ack 77
  `);
  p.leftNothing();
});

t.test('RFC 9293 3.10.5: ABORT resets the peer where it has a connection, and frees the flow', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write 3000
    > ...
    abort
    > RA 3001 ack 1
  `);
  p.leftNothing();
  const q = new Trace(t);
  q.script(`
    connect
    > S 0
    abort                                  # the peer has nothing to be reset
  `);
  q.leftNothing();
});

t.test('MUST-26: keepalive probes only where nothing is outstanding, and nothing was heard for the interval', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setKeepAlive(p.flow, true, 10_000, 1000, 3);
  p.script(`
    +9s
    < PA 1 ack 1 "x"
    > A 1 ack 2
    +9999ms
    +1ms > A 0 ack 2                       # ten seconds from what was heard last
    < A 2 ack 1
    write "y"
    > PA 1 "y"
  `);
  p.advance(60_000);
  t.ok(p.discard().every(({ length }) => length === 1), 'with text in flight only that is sent again');
});

t.test('MUST-28: an idle time of two hours is the default of keepalive', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setKeepAlive(p.flow, true, 0, 0, 0);
  p.script('+7200s > A 0 ack 1');
});

t.test('MUST-29: a probe that is lost, or its answer, is no dead connection', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setKeepAlive(p.flow, true, 10_000, 1000, 9);
  p.script('+10s > A 0 ack 1');
  for (let i = 0; i < 8; i++) p.script('+1s > A 0 ack 1');
  p.script(`
    < A 1 ack 1                            # the ninth is answered
    +10s > A 0 ack 1
    = ESTABLISHED
  `);
});

t.test('SHLD-29, SHLD-30: a closed window is probed after an RTO, then after twice that, and so on', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.script(`
    < S 0 mss 1000
    > SA 0 ack 1
    +1ms
    < A 1 ack 1 win 0
    write "patience"
    +201ms > A 0 ack 1
    < A 1 ack 1 win 0
    +402ms > A 0 ack 1
    < A 1 ack 1 win 0
    +804ms > A 0 ack 1
    < A 1 ack 1 win 0
    +1608ms > A 0 ack 1
    < A 1 ack 1 win 100
    > PA 1 "patience"
  `);
});

t.test('MUST-19, RFC 6298 5: back-off, slow start and congestion avoidance after a loss', async (t) => {
  const p = new Trace(t, { limits: { congestion: 'newreno' } });
  p.script(`
    listen
    < S 0 mss 1000
    > SA 0 ack 1
    +1ms
    < A 1 ack 1
    write 8000
    > ...
    +201ms > A 1:1001                      # cwnd is one segment, ssthresh half of the eight in flight
    +402ms > A 1:1001                      # twice as long
    < A 1 ack 1001
    > A 1001:2001                          # slow start: two
    > A 2001:3001
    < A 1 ack 3001
    > A 3001:4001                          # three: an acknowledgement counts as one segment after a timeout (RFC 3465 2.2)
    > A 4001:5001
    > A 5001:6001
    < A 1 ack 6001
    > A 6001:7001
    > PA 7001:8001
  `);
  const tcb = p.stack.tcb.at(p.flow);
  t.equal(tcb.ssthresh, 4000);
  p.script(`
    < A 1 ack 8001
    write 40000
    > ...
  `);
  const before = p.stack.tcb.at(p.flow).cwnd;
  t.ok(before >= 4000);
  const { sndNxt } = p.stack.tcb.at(p.flow);
  const flight = (sndNxt - p.iss - 8001) | 0;
  p.inject({ flags: 'A', seq: 1, ack: 8001 + flight });
  const grown = p.stack.tcb.at(p.flow).cwnd - before;
  t.ok(grown > 0 && grown <= 1000, `congestion avoidance: at most one segment a round trip, ${grown} bytes`);
});

t.test('RFC 7323 5.4: timestamps of different connections tell nothing of each other', async (t) => {
  const p = new Trace(t);
  const values: number[] = [];
  for (let i = 0; i < 8; i++) {
    p.connect(81 + i);
    values.push(p.outbox.at(-1)!.ts![0]);
  }
  const gaps = values.slice(1).map((value, i) => Math.abs((value - values[i]!) | 0));
  t.ok(gaps.every((gap) => gap > 10_000), 'in the same instant: no two begin near each other');
  t.equal(new Set(values).size, values.length);
});

t.test('RFC 2018 5: what the peer has told it has is not sent again', async (t) => {
  const p = new Trace(t);
  p.script(`
    listen
    < S 0 mss 1000 sackOK
    > SA 0 ack 1 sackOK
    +20ms
    < A 1 ack 1
    write 6000
    > ...
    +20ms
    < A 1 ack 1 sack 1001:4001
    > A 1:1001                             # the only one that three above it show to be lost
    < A 1 ack 4001 sack 5001:6001
    > A 4001:5001
    < A 1 ack 6001
    +10s
  `);
});

t.test('RFC 8985 6.1: a super-segment is known segment by segment, where a part of it is lost', async (t) => {
  const p = new Trace(t, { segmentation: 65535 });
  p.script(`
    listen
    < S 0 mss 1000 sackOK ws 7
    > SA 0 ack 1
    +20ms
    < A 1 ack 1 win 4000
    write 10000
    > PA 1:10001
    +20ms
    < A 1 ack 3001 win 4000 sack 4001:8001
    > A 3001:4001                          # one segment, though all left in one frame
  `);
});

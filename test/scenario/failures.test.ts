/** Connections that fail: R1 and R2, reports to the owner, windows that are taken back (RFC 9293 3.8.3, 3.9.1.8, 3.8.6). */
import t from 'tap';
import type { Test } from 'tap';
import { ECONNREFUSED, EHOSTUNREACH, ETIMEDOUT } from '../../lib/tcp/errno.js';
import { Trace } from './trace.js';
import type { TraceOptions } from './trace.js';

/** A connection with a round trip of 1 ms, so an RTO of 201 ms; segments of 1000 bytes; no SACK. */
function connection(t: Test, options: TraceOptions = {}): Trace {
  const p = new Trace(t, options);
  p.listen();
  p.script(`
    < S 0 mss 1000
    > SA 0 ack 1
    +1ms
    < A 1 ack 1
    ! accepted
  `);
  return p;
}

t.test('MUST-20 (R1), SHLD-10: three retransmissions have IP look after the neighbour', async (t) => {
  const p = connection(t);
  const suspected: number[] = [];
  p.stack.ip.suspect = (words, at) => { suspected.push(words[at + 3]!); };
  p.script(`
    write "hello"
    > PA 1:6
    +201ms > PA 1:6
    +402ms > PA 1:6
  `);
  t.equal(suspected.length, 0);
  p.script('+804ms > PA 1:6');
  t.strictSame(suspected, [p.stack.tcb.words[p.stack.tcb.at(p.flow).remoteAt + 3]!]);
  p.script(`
    +1608ms > PA 1:6
    < A 1 ack 6
  `);
  t.equal(suspected.length, 1, 'once');
});

t.test('MUST-20 (R2), SHLD-11: fifteen retransmissions, more than 100 s, and the connection is closed', async (t) => {
  const p = connection(t);
  p.script(`
    write "hello"
    > PA 1:6
  `);
  const from = p.now;
  let count = 0;
  while (p.untilSent(200_000) < 200_000) {
    p.script('> PA 1:6');
    count++;
    if (p.stack.tcb.at(p.flow).retries === 15) break;
  }
  t.equal(count, 15);
  p.script(`
    +119s
    ! none
    +1s
    ! error ETIMEDOUT closed
    = CLOSED
  `);
  t.ok(p.now - from > 100e6, `${(p.now - from) / 1e6} s`);
  p.release();
  p.leftNothing();
});

t.test('MUST-21: the owner sets R2 of its connection, in time', async (t) => {
  const p = connection(t);
  p.stack.settings.setUserTimeout(p.flow, 1000);
  p.script(`
    write "hello"
    > PA 1:6
    +201ms > PA 1:6
    +402ms > PA 1:6
    +500ms
    ! none
    +200ms
    > ...
    ! error ETIMEDOUT closed
  `);
  p.release();
  p.leftNothing();
});

t.test('SHLD-9: between R1 and R2 the owner hears that nothing gets through', async (t) => {
  const p = connection(t);
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    write "hello"
    > PA 1:6
    +201ms > PA 1:6
    +402ms > PA 1:6
    ! none
    +804ms > PA 1:6
    ! report
    = ESTABLISHED
  `);
  t.equal(p.stack.tcb.at(p.flow).softError, ETIMEDOUT);
  p.script(`
    +1608ms > PA 1:6
    ! none
    < A 1 ack 6
    ! acked
  `);
  t.equal(p.stack.tcb.at(p.flow).softError, 0, 'and it is over');
});

t.test('MUST-47: what does not end a connection is told of as it happens: ICMP, retransmissions, urgent data', async (t) => {
  const p = connection(t);
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    write "hello"
    > PA 1:6
    < icmp 3/1 about 1
    ! report
    +201ms > PA 1:6
    +402ms > PA 1:6
    +804ms > PA 1:6
    ! report
    < UA 1 ack 1 urg 9
    ! urgent
    = ESTABLISHED
  `);
  t.equal(p.stack.tcb.at(p.flow).softError, EHOSTUNREACH, 'what a router said tells more than silence');
  t.test('and it is the reason, where the connection dies of it', async () => {
    p.script(`
      +2000s
      > ...
      ! error EHOSTUNREACH closed
    `);
    p.release();
    p.leftNothing();
  });
});

t.test('SHLD-20: no reports where the owner does not want them', async (t) => {
  const p = connection(t);
  const q = connection(t);
  q.stack.settings.setReports(q.flow, true);
  q.stack.settings.setReports(q.flow, false);
  for (const each of [p, q]) {
    each.script(`
      write "hello"
      > PA 1:6
      < icmp 3/1 about 1
      +201ms > PA 1:6
      +402ms > PA 1:6
      +804ms > PA 1:6
      ! none
    `);
    t.equal(each.stack.tcb.at(each.flow).softError, EHOSTUNREACH, 'it can still ask');
  }
});

t.test('MUST-22: a SYN that is not answered is handled as data are: R1, then R2', async (t) => {
  const p = new Trace(t);
  let suspected = 0;
  p.stack.ip.suspect = () => { suspected++; };
  p.connect();
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    > S 0
    +1s > S 0
    +2s > S 0
    ! none
    +4s > S 0
    ! report
    = SYN-SENT
  `);
  t.equal(suspected, 1);
  p.script(`
    +1000s
    > ...
    ! error ETIMEDOUT closed
  `);
  p.release();
  p.leftNothing();
});

t.test('MUST-23: a SYN is sent again for at least three minutes', async (t) => {
  const p = new Trace(t);
  p.connect();
  const from = p.now;
  p.script(`
    > S 0
    +1s > S 0
    +2s > S 0
    +4s > S 0
    +8s > S 0
    +16s > S 0
    +32s > S 0
    +64s > S 0
    +119s
    ! none
    +1s
    ! error ETIMEDOUT closed
  `);
  t.ok(p.now - from >= 180e6, `${(p.now - from) / 1e6} s`);
  p.release();
  p.leftNothing();
});

t.test('MUST-12: a reset, and the end of all patience, are told to the owner', async (t) => {
  const p = connection(t);
  p.script(`
    < R 1
    ! error ECONNRESET closed
    = CLOSED
  `);
  p.release();
  p.leftNothing();
  const q = new Trace(t);
  q.script(`
    connect
    > S 0
    < RA 0 ack 1
    ! error ECONNREFUSED closed
  `);
  t.equal(q.stack.tcb.at(q.flow).error, ECONNREFUSED);
});

t.test('MUST-34, SHLD-15: the peer takes back window that is in use: nothing new is sent, the rest goes on', async (t) => {
  const p = connection(t);
  p.script(`
    write 3000
    > A 1:1001
    > A 1001:2001
    > PA 2001:3001
    < A 1 ack 1001 win 500              # 2000 bytes are in flight, 500 are allowed: usable is -1500
    write 1000
    < A 1 ack 2001 win 500
    < A 1 ack 3001 win 2000
    > PA 3001:4001
  `);
});

t.test('SHLD-16, MAY-7: what was sent before the window shrank is sent again as ever, also beyond it', async (t) => {
  const p = connection(t);
  p.script(`
    write 2000
    > A 1:1001
    > PA 1001:2001
    < A 1 ack 1 win 1500                # the second segment lies half beyond the window
    +201ms > A 1:1001
    < A 1 ack 1001 win 500
    > PA 1001:2001
    < A 1 ack 2001 win 5000
  `);
});

t.test('SHLD-17, MUST-35: data beyond a window that was taken back are no reason to give up, as long as the peer answers', async (t) => {
  const p = connection(t);
  p.script(`
    write 1000
    > PA 1:1001
    < A 1 ack 1 win 0
  `);
  for (let i = 0; i < 40; i++) {
    p.untilSent(200_000);
    p.script(`
      > PA 1:1001
      < A 1 ack 1 win 0
    `);
  }
  t.ok(p.now - p.start > 3600e6, 'for more than an hour');
  p.script(`
    ! none
    < A 1 ack 1 win 1000
    < A 1 ack 1001 win 1000
    ! acked
    = ESTABLISHED
  `);
  t.test('a peer that does not answer is given up', async () => {
    p.script(`
      write 1000
      > PA 1001:2001
      < A 1 ack 1001 win 0
      +4000s
      > ...
      ! error ETIMEDOUT closed
    `);
    p.release();
    p.leftNothing();
  });
});

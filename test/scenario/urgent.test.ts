/** The urgent mechanism (RFC 9293 3.8.5): new applications should not use it, a stack must have it. */
import t from 'tap';
import { Trace } from './trace.js';

t.test('MUST-30, MUST-62: urgent data is sent with a pointer to the octet that follows it, until it is acknowledged', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write "calm"
    > PA 1 ack 1 urg 0 "calm"
    < A 1 ack 5
    write "hurry!" urgent
    > PUA 5:11 urg 6 "hurry!"             # 5 + 6 = 11: the first octet that is not urgent
    nodelay on
    write "calm again"
    > PA 11:21 urg 0 "calm again"         # beyond the pointer the flag is off
    +1s
    > ...
    < A 1 ack 11
    write "later"
    > PA 21 urg 0 "later"
  `);
});

t.test('MUST-30: what is sent again is as urgent as it was; with a closed window the pointer goes by itself', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.script(`
    < S 0 mss 1000
    > SA 0 ack 1
    +1ms
    < A 1 ack 1
    write "now" urgent
    > PUA 1:4 urg 3
    +201ms > PUA 1:4 urg 3
    < A 1 ack 4 win 0
    write "at once" urgent
    > UA 4 ack 1 urg 7                    # no text, the window is closed; but the peer knows
  `);
  t.match(p.untilSent(1000), Number);
  p.script(`
    > UA 3 ack 1 urg 8                    # so does the probe: 3 + 8 = 11
    < A 1 ack 4 win 1000
    > PUA 4:11 urg 7
    < A 1 ack 11
    write "calm"
    > PA 11 urg 0 "calm"
  `);
});

t.test('MUST-31: urgent data of any length: each segment points to the end of it, as far as 16 bits reach', async (t) => {
  const p = new Trace(t, { segmentation: 65535 });
  p.accept({ mss: 1000, ws: 7 }, { win: 4000 });
  p.stack.tcb.at(p.flow).cwnd = 200_000;
  p.write(70_000, true);
  const sent = p.discard();
  t.equal(sent.length, 70, 'no packet is left to the device to cut: the pointer counts from each segment');
  t.ok(sent.every(({ flags }) => flags.includes('U')));
  t.strictSame(sent.map(({ urg }) => urg), sent.map(({ seq }) => Math.min(70_001 - ((seq - p.iss) | 0), 65_535)));
});

t.test('MUST-32: the owner hears of urgent data at once, before it arrives, and whenever the pointer advances', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < UA 1 ack 1 urg 100                  # no text at all: 99 bytes are to come
    ! urgent
    < PUA 1:11 ack 1 urg 100
    > A 1 ack 11
    ! readable                            # nothing new is urgent
    < PUA 11:21 ack 1 urg 200
    > A 1 ack 21
    ! readable urgent                     # 11 + 200: it has advanced
    < PUA 21:31 ack 1 urg 50
    > A 1 ack 31
    ! readable                            # it cannot recede
  `);
});

t.test('MUST-33: the owner can ask how many bytes are left until it is through with what is urgent', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < PUA 1 ack 1 urg 6 "hurry, calm"
    > A 1 ack 12
    ! readable urgent
  `);
  t.equal(p.stack.urgentBytes(p.flow), 6);
  p.script('read 4');
  t.equal(p.stack.urgentBytes(p.flow), 2);
  p.script('read "y, calm"');
  t.equal(p.stack.urgentBytes(p.flow), 0);
  p.script(`
    < PA 12 ack 1 "calm"
    > A 1 ack 16
    ! readable
  `);
  t.equal(p.stack.urgentBytes(p.flow), 0);
});

t.test('MUST-66: RST and URG count even while the receive window is zero', async (t) => {
  const p = new Trace(t, { limits: { receiveBuffer: 1000, receiveBufferInitial: 1000 } });
  p.accept({ mss: 1000 });
  p.script(`
    < A 1:1001 ack 1
    > A 1 ack 1001 win 0
    ! readable
    < UA 1001:1101 ack 1 urg 100          # its text is not taken, its pointer is
    > A 1 ack 1001 win 0
    ! urgent
    < R 1001
    ! error ECONNRESET closed
  `);
});

t.test('RFC 6093 6: urgent data stays in its place in the stream', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < PUA 1 ack 1 urg 1 "!and the rest"
    > A 1 ack 14
    read "!and the rest"
  `);
});

t.test('RFC 9293 3.8.5: pointers that make no sense do no harm', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < UA 1 ack 1 urg 0
    ! none
    < PUA 1 ack 1 urg 2 "ab"
    > A 1 ack 3
    ! readable urgent
    read "ab"
    < PUA 1 ack 1 urg 2 "ab"              # the same again
    > A 1 ack 3
    ! none
    < UA 3 ack 1 urg 65535
    ! urgent
    < FA 3 ack 1                          # the stream ends before its pointer
    ! eof
    < UA 4 ack 1 urg 1000
    ! none
    release
    > FA 1 ack 4
    < A 4 ack 2
  `);
  p.leftNothing();
});

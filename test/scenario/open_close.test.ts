/** Opening and closing, state by state. */
import t from 'tap';
import {
  EV_ACCEPTED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, EV_READABLE,
} from '../../lib/tcp/conn/state.js';
import {
  EADDRINUSE, EADDRNOTAVAIL, ECONNREFUSED, ECONNRESET, ENETUNREACH, ENOBUFS,
} from '../../lib/tcp/errno.js';
import { parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { PEER_ADDRESS, Trace } from './trace.js';

t.test('RFC 9293 3.5, RFC 9293 3.6: three-way handshake, passive; close by the peer first', async (t) => {
  const p = new Trace(t);
  p.listen(80);
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1, mss: 1460, ws: -1, sackOk: false, ts: null });
  t.strictSame(p.accepted, [], 'no flow before the handshake is done');
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expectNothing();
  t.equal(p.takeEvents(), EV_ACCEPTED);
  t.equal(p.state, 'ESTABLISHED');
  p.inject({ flags: 'FA', seq: 1, ack: 1 });
  t.equal(p.takeEvents(), EV_EOF);
  t.equal(p.state, 'CLOSE-WAIT');
  p.expect({ flags: 'A', seq: 1, ack: 2 });
  p.shutdown();
  p.expect({ flags: 'FA', seq: 1, ack: 2 });
  t.equal(p.state, 'LAST-ACK');
  p.inject({ flags: 'A', seq: 2, ack: 2 });
  p.expectNothing();
  t.equal(p.takeEvents(), EV_CLOSED);
  t.equal(p.state, 'CLOSED');
  p.release();
  t.equal(p.takeEvents() & EV_FREED, EV_FREED);
  p.leftNothing();
});

t.test('MUST-13, RFC 9293 3.5, RFC 9293 3.6: three-way handshake, active; close by us first; TIME-WAIT lasts 60 s', async (t) => {
  const p = new Trace(t, { irs: 5000 });
  p.connect();
  p.expect({ flags: 'S', seq: 0, mss: 1460, ws: 7, sackOk: true });
  t.equal(p.state, 'SYN-SENT');
  p.inject({ flags: 'SA', seq: 0, ack: 1, mss: 1400 });
  p.expect({ flags: 'A', seq: 1, ack: 1, ts: null });
  t.equal(p.takeEvents(), EV_CONNECTED);
  p.shutdown();
  p.expect({ flags: 'FA', seq: 1, ack: 1 });
  t.equal(p.state, 'FIN-WAIT-1');
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  t.equal(p.state, 'FIN-WAIT-2');
  p.inject({ flags: 'A', seq: 1, ack: 2, data: 'late words' });
  p.expect({ flags: 'A', seq: 2, ack: 11 }, 'half-close: the other direction goes on');
  t.equal(p.read(), 'late words');
  p.inject({ flags: 'FA', seq: 11, ack: 2 });
  p.expect({ flags: 'A', seq: 2, ack: 12 });
  t.equal(p.state, 'TIME-WAIT');
  t.equal(p.takeEvents() & (EV_EOF | EV_CLOSED), EV_EOF | EV_CLOSED);
  p.release();
  p.advance(59_999);
  t.equal(p.state, 'TIME-WAIT');
  p.advance(1);
  p.leftNothing();
});

t.test('MUST-10, RFC 9293 3.5 figure 7: simultaneous open', async (t) => {
  const p = new Trace(t);
  p.connect();
  p.expect({ flags: 'S', seq: 0 });
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1 });
  t.equal(p.state, 'SYN-RECEIVED');
  p.inject({ flags: 'SA', seq: 0, ack: 1 });
  p.expect({ flags: 'A', seq: 1, ack: 1 });
  t.equal(p.state, 'ESTABLISHED');
  t.equal(p.takeEvents(), EV_CONNECTED);
  p.abort();
  p.expect({ flags: 'RA', seq: 1, ack: 1 });
  p.leftNothing();
});

t.test('RFC 9293 3.6 figure 13: simultaneous close', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.shutdown();
  p.expect({ flags: 'FA', seq: 1, ack: 1 });
  p.inject({ flags: 'FA', seq: 1, ack: 1 });
  p.expect({ flags: 'A', seq: 2, ack: 2 });
  t.equal(p.state, 'CLOSING');
  p.inject({ flags: 'A', seq: 2, ack: 2 });
  t.equal(p.state, 'TIME-WAIT');
  p.release();
  p.advance(60_000);
  p.leftNothing();
});

t.test('RFC 9293 3.6: FIN-WAIT-1 to TIME-WAIT where the FIN acknowledges ours', async (t) => {
  const p = new Trace(t, { irs: -5 });
  p.accept();
  p.release();
  p.expect({ flags: 'FA', seq: 1, ack: 1 });
  p.inject({ flags: 'FA', seq: 1, ack: 2 });
  p.expect({ flags: 'A', seq: 2, ack: 2 });
  t.equal(p.state, 'TIME-WAIT');
  t.test('a FIN that comes again is answered and starts the wait anew', async (t) => {
    p.advance(30_000);
    p.inject({ flags: 'FA', seq: 1, ack: 2 });
    p.expect({ flags: 'A', seq: 2, ack: 2 });
    p.advance(59_000);
    t.equal(p.state, 'TIME-WAIT');
    p.advance(1_000);
    p.leftNothing();
  });
});

t.test('RFC 9293 3.10.7.1: a segment to no connection is reset, a reset is not', async (t) => {
  const p = new Trace(t);
  p.inject({ flags: 'S', seq: 0 });
  p.expect({ flags: 'RA', ack: 1 });
  p.inject({ flags: 'A', seq: 7, ack: 1000, absolute: true, data: 'x' });
  p.expect({ flags: 'R', seq: 1000, ack: 0, absolute: true });
  p.inject({ flags: 'FP', seq: 7, absolute: true, data: 'abc' });
  p.expect({ flags: 'RA', seq: 0, ack: 11, absolute: true });
  p.inject({ flags: 'R', seq: 0 });
  p.inject({ flags: 'RA', seq: 0 });
  p.expectNothing();
});

t.test('RFC 9293 3.10.7.2: LISTEN answers an ACK with a reset, passes over a reset and the rest', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'SA', seq: 0, ack: 77, absolute: true });
  p.expect({ flags: 'R', seq: 77, absolute: true });
  p.inject({ flags: 'R', seq: 0 });
  p.inject({ flags: 'F', seq: 0 });
  p.expectNothing();
  t.equal(p.stack.flowsInUse, 0);
});

t.test('RFC 9293 3.10.7.3: in SYN-SENT a reset, a wrong acknowledgement, text', async (t) => {
  t.test('a reset that acknowledges the SYN: refused', async (t) => {
    const p = new Trace(t);
    p.connect();
    p.expect({ flags: 'S' });
    p.inject({ flags: 'R', seq: 0 });
    t.equal(p.takeEvents(), 0, 'one without ACK is not meant');
    p.inject({ flags: 'RA', seq: 0, ack: 9 });
    p.expectNothing('nor one of another connection');
    t.equal(p.state, 'SYN-SENT');
    p.inject({ flags: 'RA', seq: 0, ack: 1 });
    t.equal(p.takeEvents(), EV_ERROR | EV_CLOSED);
    t.equal(p.stack.tcb.at(p.flow).error, ECONNREFUSED);
    p.release();
    p.leftNothing();
  });
  t.test('figure 8: an acknowledgement of something never sent is reset, and the open goes on', async (t) => {
    const p = new Trace(t);
    p.connect();
    p.expect({ flags: 'S' });
    p.inject({ flags: 'A', seq: 300, ack: 91 });
    p.expect({ flags: 'R', seq: 91 });
    p.advance(1000);
    p.expect({ flags: 'S', seq: 0 });
    p.inject({ flags: 'SA', seq: 0, ack: 1 });
    p.expect({ flags: 'A', seq: 1, ack: 1 });
    p.abort();
    p.discard();
    p.leftNothing();
  });
  t.test('a SYN-ACK may carry text', async (t) => {
    const p = new Trace(t);
    p.connect();
    p.expect({ flags: 'S' });
    p.inject({ flags: 'SA', seq: 0, ack: 1, data: 'hello' });
    p.expect({ flags: 'A', seq: 1, ack: 6 });
    t.equal(p.takeEvents(), EV_CONNECTED | EV_READABLE);
    t.equal(p.read(), 'hello');
    p.abort();
    p.discard();
    p.leftNothing();
  });
});

t.test('after days without a connection timers are due when they should be', async (t) => {
  const p = new Trace(t);
  p.listen(80);
  // Nothing is due for longer than the ticks of the wheel tell apart, so nobody has it turn.
  p.now += 40 * 3600e6;
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1 });
  t.equal(p.untilSent(10_000), 1000);
  p.expect({ flags: 'SA', seq: 0, ack: 1 }, 'once more after a second');
});

t.test('RFC 9293 3.5: a half-open flow: SYN-ACK again 5 times, then dropped without a word', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1 });
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1 }, 'the SYN came again');
  for (const ms of [1000, 2000, 4000, 8000, 16000]) {
    t.equal(p.untilSent(70_000), ms);
    p.expect({ flags: 'SA', seq: 0, ack: 1 });
  }
  p.advance(32_000);
  p.expectNothing();
  t.equal(p.events.size, 0);
  p.leftNothing();
});

t.test('RFC 9293 3.10.7.4: in SYN-RECEIVED a reset, a wrong acknowledgement, text, the end of the listener', async (t) => {
  t.test('MUST-11: a reset puts the listener back to where it was; the owner hears nothing', async (t) => {
    const p = new Trace(t);
    p.listen();
    p.inject({ flags: 'S', seq: 0 });
    p.expect({ flags: 'SA' });
    p.inject({ flags: 'R', seq: 1 });
    p.expectNothing();
    t.equal(p.events.size, 0);
    p.leftNothing();
  });
  t.test('a wrong acknowledgement is reset', async (t) => {
    const p = new Trace(t);
    p.listen();
    p.inject({ flags: 'S', seq: 0 });
    p.expect({ flags: 'SA' });
    p.inject({ flags: 'A', seq: 1, ack: 5 });
    p.expect({ flags: 'R', seq: 5 });
    p.inject({ flags: 'A', seq: 1, ack: 1 });
    t.equal(p.state, 'ESTABLISHED');
    p.abort();
    p.discard();
    p.leftNothing();
  });
  t.test('the acknowledgement may carry text, and the FIN', async (t) => {
    const p = new Trace(t);
    p.listen();
    p.inject({ flags: 'S', seq: 0 });
    p.expect({ flags: 'SA' });
    p.inject({ flags: 'FA', seq: 1, ack: 1, data: 'all of it' });
    t.equal(p.takeEvents(), EV_ACCEPTED | EV_READABLE | EV_EOF);
    t.equal(p.read(), 'all of it');
    p.release();
    p.expect({ flags: 'FA', seq: 1, ack: 11 });
    p.inject({ flags: 'A', seq: 11, ack: 2 });
    p.leftNothing();
  });
  t.test('the end of the listener resets it', async (t) => {
    const p = new Trace(t);
    const listener = p.listen();
    p.inject({ flags: 'S', seq: 0 });
    p.expect({ flags: 'SA' });
    p.stack.unlisten(listener);
    p.turn();
    p.expect({ flags: 'RA', seq: 1, ack: 1 });
    p.leftNothing();
  });
});

t.test('MUST-12, RFC 9293 3.5.3: a reset in any state with a connection ends it, and the owner hears why', async (t) => {
  for (const state of ['ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT'] as const) {
    const p = new Trace(t);
    p.accept();
    let seq = 1;
    if (state === 'CLOSE-WAIT') {
      p.inject({ flags: 'FA', seq: 1, ack: 1 });
      seq = 2;
    } else if (state !== 'ESTABLISHED') {
      p.shutdown();
      if (state === 'FIN-WAIT-2') p.inject({ flags: 'A', seq: 1, ack: 2 });
    }
    t.equal(p.state, state);
    p.discard();
    p.takeEvents();
    p.inject({ flags: 'R', seq });
    t.equal(p.takeEvents(), EV_ERROR | EV_CLOSED);
    t.equal(p.stack.tcb.at(p.flow).error, ECONNRESET);
    p.release();
    p.expectNothing();
    p.leftNothing();
  }
});

t.test('RFC 9293 3.10.5: a connection given up before its FIN has left is reset, in LAST-ACK and CLOSING too', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'PAF', seq: 1, ack: 1, data: 'unread' });
  p.discard();
  // In one turn: the FIN has had no time to leave.
  p.stack.shutdown(p.flow);
  t.equal(p.state, 'LAST-ACK');
  p.abort();
  p.expect({ flags: 'RA', seq: 1 });
  p.leftNothing();

  p.peerPort++;
  p.accept({}, { win: 0 });
  p.stack.write(p.flow, 10);
  p.shutdown();
  p.discard();
  p.inject({ flags: 'AF', seq: 1, ack: 1, win: 0 });
  t.equal(p.state, 'CLOSING');
  p.discard();
  p.abort();
  p.expect({ flags: 'RA', seq: 1 });
  p.leftNothing();
});

t.test('RFC 9293 3.10.5: once its FIN has left a connection in LAST-ACK ends without a reset', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'AF', seq: 1, ack: 1 });
  p.discard();
  p.shutdown();
  p.expect({ flags: 'FA', seq: 1, ack: 2 });
  p.abort();
  p.expectNothing();
  p.leftNothing();
});

t.test('SHLD-3, MAY-1, RFC 2525 2.17, RFC 9293 3.6.1: a flow released with unread bytes is reset, and one that more bytes come for', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.inject({ flags: 'A', seq: 1, ack: 1, data: 'unread' });
  p.expect({ flags: 'A', ack: 7 });
  p.release();
  p.expect({ flags: 'RA', seq: 1, ack: 7 });
  p.leftNothing();

  p.peerPort++;
  p.accept();
  p.release();
  p.expect({ flags: 'FA', seq: 1, ack: 1 });
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  p.inject({ flags: 'PA', seq: 1, ack: 2, data: 'too late' });
  p.expect({ flags: 'R', seq: 2 });
  t.equal(p.stat('TcpExtTCPAbortOnData'), 1);
  p.leftNothing();
});

t.test('RFC 2525 2.17: the peer has all that was written before it is reset: its window, and losses, hold the reset up', async (t) => {
  t.test('bytes come for a flow that was released', async (t) => {
    const p = new Trace(t);
    p.accept({ win: 6 }, { win: 6 });
    p.write('answer, and more');
    t.equal(p.expect({ flags: 'A', seq: 1 }).text, 'answer');
    p.release();
    p.inject({ flags: 'PA', seq: 1, ack: 1, data: 'too', win: 6 });
    p.expect({ flags: 'A', seq: 7, ack: 4 }, 'they are acknowledged, and thrown away');
    p.inject({ flags: 'PA', seq: 6, ack: 1, data: 'te', win: 6 });
    p.expect({ flags: 'A', seq: 7, ack: 4 });
    p.inject({ flags: 'FPA', seq: 4, ack: 1, data: 'late', win: 6 });
    p.expect({ flags: 'A', seq: 7, ack: 9 });
    t.equal(p.state, 'CLOSING');
    t.equal(p.untilSent(10_000) > 0, true);
    t.equal(p.expect({ flags: 'A', seq: 1, ack: 9 }).text, 'answer', 'it was lost');
    p.inject({ flags: 'A', seq: 9, ack: 7, win: 100 });
    t.equal(p.expect({ flags: 'FPA', seq: 7, ack: 9 }).text, ', and more');
    p.inject({ flags: 'A', seq: 9, ack: 17 });
    p.expectNothing();
    p.inject({ flags: 'A', seq: 9, ack: 18 });
    p.expect({ flags: 'RA', seq: 18, ack: 9 });
    t.equal(p.stat('TcpExtTCPAbortOnData'), 1);
    p.leftNothing();
  });
  t.test('bytes are unread when it is released: the reset stands for the FIN', async (t) => {
    const p = new Trace(t);
    p.accept({ win: 6, sackOk: true }, { win: 6 });
    p.write('answer, and more');
    t.equal(p.expect({ flags: 'A', seq: 1 }).text, 'answer');
    p.inject({ flags: 'A', seq: 1, ack: 1, data: 'unread', win: 6 });
    p.inject({ flags: 'A', seq: 9, ack: 1, data: 'ahead', win: 6 });
    p.discard();
    p.release();
    p.expectNothing();
    p.inject({ flags: 'A', seq: 7, ack: 1, data: 'is', win: 6 });
    p.expect({ flags: 'A', ack: 9, sack: [] }, 'what was ahead is thrown away as well');
    p.inject({ flags: 'A', seq: 9, ack: 7, win: 100 });
    t.equal(p.expect({ flags: 'PA', seq: 7, ack: 9 }).text, ', and more');
    p.inject({ flags: 'A', seq: 9, ack: 17, win: 100 });
    p.expect({ flags: 'RA', seq: 17, ack: 9 });
    t.equal(p.stat('TcpExtTCPAbortOnClose'), 1);
    p.leftNothing();
  });
  t.test('what is thrown away closes no window: the peer gets to its end, and need not ask again', async (t) => {
    const p = new Trace(t, { limits: { receiveBuffer: 4380, receiveBufferInitial: 4380 } });
    p.accept({ win: 6 }, { win: 6 });
    p.write('answer, and more');
    p.expect({ flags: 'A', seq: 1 });
    for (let seq = 1; seq < 4381; seq += 1460) p.inject({ flags: 'A', seq, ack: 1, data: 1460, win: 6 });
    p.discard();
    p.release();
    p.inject({ flags: 'A', seq: 4380, ack: 1, win: 6 });
    p.expect({ flags: 'A', ack: 4381, win: 4380 });
    let seq = 4381;
    for (; seq < 20_000; seq += 1460) {
      p.inject({ flags: 'A', seq, ack: 1, data: 1460, win: 6 });
      p.expect({ flags: 'A', ack: seq + 1460, win: 4380 });
    }
    p.inject({ flags: 'FA', seq, ack: 1, win: 6 });
    p.untilSent(100);
    p.expect({ flags: 'A', ack: seq + 1 });
    p.inject({ flags: 'A', seq: seq + 1, ack: 7 });
    p.expect({ flags: 'PA', seq: 7, data: 10 });
    p.inject({ flags: 'A', seq: seq + 1, ack: 17 });
    p.expect({ flags: 'RA', seq: 17 });
    p.leftNothing();
  });
  t.test('somebody still writes for the owner that has let go', async (t) => {
    const p = new Trace(t);
    p.accept();
    p.inject({ flags: 'A', seq: 1, ack: 1, data: 'unread' });
    p.discard();
    p.stack.release(p.flow, false);
    p.write('part');
    p.expect({ flags: 'PA', seq: 1, ack: 7 });
    p.inject({ flags: 'A', seq: 7, ack: 5 });
    p.expectNothing();
    p.write('rest');
    p.shutdown();
    p.expect({ flags: 'PA', seq: 5, ack: 7 });
    p.expect({ flags: 'FA', seq: 9, ack: 7 });
    p.inject({ flags: 'A', seq: 7, ack: 10 });
    p.expect({ flags: 'RA', seq: 10, ack: 7 });
    p.leftNothing();
  });
});

t.test('RFC 2525 2.17: at once (Linux), what was written, and shut down, in the turn in which a flow with unread bytes is released goes before the reset', async (t) => {
  const p = new Trace(t, { limits: { resetsAtOnce: true } });
  const answer = (ends: boolean, flags = 'A'): void => {
    p.peerPort++;
    p.accept();
    p.inject({ flags, seq: 1, ack: 1, data: 'unread' });
    p.discard();
    p.payload.put(p.flow, 0, Buffer.from('answer'));
    p.stack.write(p.flow, 6);
    if (ends) p.stack.shutdown(p.flow);
    p.release();
  };
  answer(false);
  t.equal(p.expect({ flags: 'PA', seq: 1, ack: 7 }).text, 'answer');
  p.expect({ flags: 'RA', seq: 7, ack: 7 }, 'no FIN: the peer is not to take the end for a good one');
  p.leftNothing();

  answer(true);
  t.equal(p.expect({ flags: 'FPA', seq: 1, ack: 7 }).text, 'answer');
  p.expect({ flags: 'RA', seq: 8, ack: 7 });
  p.leftNothing();

  answer(true, 'FA');
  t.equal(p.expect({ flags: 'FPA', seq: 1, ack: 8 }).text, 'answer');
  p.expect({ flags: 'RA', seq: 8, ack: 8 });
  p.leftNothing();
});

t.test('Linux tcp_fin_timeout: a released flow waits 60 s in FIN-WAIT-2, one that is held does not end', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.shutdown();
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  p.discard();
  p.advance(600_000);
  t.equal(p.state, 'FIN-WAIT-2');
  p.release();
  p.advance(59_999);
  t.equal(p.state, 'FIN-WAIT-2');
  p.advance(1);
  p.expectNothing();
  p.leftNothing();
});

t.test('MAY-2: a SYN opens a connection in TIME-WAIT anew', async (t) => {
  t.test('RFC 1122 4.2.2.13: by sequence number', async (t) => {
    const p = new Trace(t);
    p.accept();
    p.release();
    p.expect({ flags: 'FA', seq: 1 });
    p.inject({ flags: 'FA', seq: 1, ack: 2 });
    p.expect({ flags: 'A', ack: 2 });
    const before = p.iss;
    p.inject({ flags: 'S', seq: 1 });
    p.expect({ flags: 'A', seq: 2, ack: 2 }, 'not one that could be old');
    p.inject({ flags: 'S', seq: 5000, mss: 1460 });
    const synAck = p.expect({ flags: 'SA', ack: 5001 });
    t.ok(((synAck.seq - before) | 0) > 65536, 'our numbers go on too');
    p.inject({ flags: 'A', seq: 5001, ack: 1 });
    t.equal(p.state, 'ESTABLISHED');
    t.equal(p.stack.timeWaitCount, 0);
    p.abort();
    p.discard();
    p.leftNothing();
  });
  t.test('SHLD-4, RFC 6191 2: by timestamp, though the sequence number is lower', async (t) => {
    const p = new Trace(t);
    p.ts = [1000, 0];
    p.accept();
    p.release();
    p.expect({ flags: 'FA', seq: 1 });
    p.inject({ flags: 'FA', seq: 1, ack: 2 });
    p.expect({ flags: 'A', ack: 2 });
    p.ts = [999, 0];
    p.inject({ flags: 'S', seq: 9000 });
    p.expect({ flags: 'A', seq: 2, ack: 2 });
    p.ts = [1001, 0];
    p.inject({ flags: 'S', seq: -9000 });
    p.expect({ flags: 'SA', ack: -8999 });
    p.inject({ flags: 'R', seq: -8999 });
    p.leftNothing();
  });
});

t.test('bounds: flow table, TIME-WAIT and orphans', async (t) => {
  t.test('the oldest flow in TIME-WAIT makes room', async (t) => {
    const p = new Trace(t, { limits: { timeWait: 4 } });
    for (let i = 0; i < 40; i++) {
      p.peerPort = 2000 + i;
      p.accept();
      p.release();
      p.expect({ flags: 'FA', seq: 1 });
      p.inject({ flags: 'FA', seq: 1, ack: 2 });
      p.expect({ flags: 'A', ack: 2 });
    }
    t.equal(p.stack.timeWaitCount, 4);
    t.equal(p.stack.flowsInUse, 4);
    p.advance(60_000);
    p.leftNothing();
  });
  t.test('a full table refuses, and forgets TIME-WAIT first', async (t) => {
    const p = new Trace(t, { limits: { timeWait: 100 } });
    for (let i = 0; i < 40; i++) {
      p.peerPort = 2000 + i;
      p.accept();
      p.release();
      p.inject({ flags: 'FA', seq: 1, ack: 2 });
      p.discard();
    }
    t.equal(p.stack.flowsInUse, 28, 'a share of the records is kept free');
    p.advance(60_000);
    for (let i = 0; i < 33; i++) p.put({ flags: 'S', seq: 0, port: 5000 + i });
    p.stack.limits.synAckRetries = 0;
    p.turn();
    t.equal(p.stack.halfOpenCount, 8, 'half-open flows take a quarter of the records at most');
    t.equal(p.stat('TcpExtSyncookiesSent'), 33 - 8, 'and the others get cookies');
    p.discard();
    p.advance(5000);
    p.leftNothing();
  });
  t.test('an orphan too many is reset', async (t) => {
    const p = new Trace(t, { limits: { orphans: 1 } });
    p.accept();
    p.release();
    p.expect({ flags: 'FA' });
    p.peerPort++;
    p.accept();
    p.release();
    p.expect({ flags: 'RA' });
    t.equal(p.stat('TcpExtTCPAbortOnMemory'), 1);
  });
});

t.test('RFC 9293 3.9.1: text written before and after shutdown() and release()', async (t) => {
  const p = new Trace(t);
  p.open();
  p.write('last words');
  p.expect({ flags: 'PA', seq: 1, data: 'last words' });
  p.shutdown();
  p.expect({ flags: 'FA', seq: 11, data: 0 });
  p.inject({ flags: 'A', seq: 1, ack: 12 });
  p.release();
  p.inject({ flags: 'FA', seq: 1, ack: 12 });
  p.expect({ flags: 'A', seq: 12, ack: 2 });
  p.advance(60_000);
  p.leftNothing();

  p.open();
  p.stack.settings.setNoDelay(p.flow, false);
  const position = p.stack.tcb.at(p.flow).written;
  p.payload.put(p.flow, position, Buffer.from('with its end'));
  p.stack.write(p.flow, position + 12);
  p.stack.release(p.flow);
  p.turn();
  p.expect({ flags: 'FPA', seq: 1, data: 'with its end' }, 'text and FIN in one segment');
  p.inject({ flags: 'FA', seq: 1, ack: 14 });
  p.expect({ flags: 'A', seq: 14, ack: 2 });
  p.advance(60_000);
  p.leftNothing();
});

t.test('RFC 9293 3.10.1: addresses and ports that cannot be', async (t) => {
  const p = new Trace(t);
  const near = new Int32Array(4);
  const far = new Int32Array(4);
  setMapped(near, 0, parseDotted(PEER_ADDRESS));
  setMapped(far, 0, parseDotted('198.51.100.1'));
  t.equal(p.stack.connect(far, 80, null, 0), -ENETUNREACH);
  t.equal(p.stack.connect(near, 80, far, 0), -EADDRNOTAVAIL);
  const flow = p.stack.connect(near, 80, null, 5000);
  t.ok(flow >= 0);
  t.equal(p.stack.connect(near, 80, null, 5000), -EADDRINUSE);
  t.equal(p.stack.listen(far, 80, 1), -EADDRNOTAVAIL);
  const listener = p.stack.listen(new Int32Array(4), 0, 1);
  t.ok(p.stack.listenerPort(listener) >= 32768);
  t.equal(p.stack.listen(new Int32Array(4), p.stack.listenerPort(listener), 1), -EADDRINUSE);
  t.equal(p.stack.connect(near, 81, null, p.stack.listenerPort(listener)), -EADDRINUSE);
  p.stack.unlisten(listener);
  p.stack.unlisten(listener);
  p.stack.abort(flow);
  p.turn();
  p.discard();
  p.leftNothing();
  t.test('a full table, and every port taken', async (t) => {
    const q = new Trace(t, { limits: { ephemeralFirst: 40_000, ephemeralLast: 40_002 } });
    const flows = [1, 2, 3].map(() => q.stack.connect(near, 80, null, 0));
    t.strictSame(flows.map((each) => q.stack.tcb.at(each).localPort).sort(), [40_000, 40_001, 40_002]);
    t.equal(q.stack.connect(near, 80, null, 0), -EADDRNOTAVAIL);
    for (let port = 1; q.stack.flowsInUse < 32; port++) flows.push(q.stack.connect(near, 1000 + port, null, 0));
    t.equal(q.stack.connect(near, 99, null, 0), -ENOBUFS);
    t.equal(q.stat('TcpExtFlowTableFull'), 1);
    for (const each of flows) q.stack.release(each);
    q.turn();
    q.discard();
    q.leftNothing();
  });
});

t.test('RFC 9293 3.10.7.4: a reset in CLOSING, LAST-ACK and TIME-WAIT ends the flow without an error', async (t) => {
  for (const state of ['CLOSING', 'LAST-ACK', 'TIME-WAIT'] as const) {
    const p = new Trace(t, { irs: -2 });
    p.accept();
    if (state === 'LAST-ACK') {
      p.inject({ flags: 'FA', seq: 1, ack: 1 });
      p.shutdown();
    } else {
      p.shutdown();
      p.inject({ flags: 'FA', seq: 1, ack: state === 'CLOSING' ? 1 : 2 });
    }
    t.equal(p.state, state);
    p.inject({ flags: 'R', seq: 2 });
    t.equal(p.state, 'CLOSED');
    t.equal(p.takeEvents() & (EV_ERROR | EV_CLOSED), EV_CLOSED);
    p.release();
    p.discard();
    p.leftNothing();
  }
});

t.test('RFC 9293 3.8.1: a FIN that is lost is sent again, from each state that waits for its acknowledgement', async (t) => {
  for (const state of ['FIN-WAIT-1', 'CLOSING', 'LAST-ACK'] as const) {
    const p = new Trace(t);
    p.accept();
    if (state === 'LAST-ACK') p.inject({ flags: 'FA', seq: 1, ack: 1 });
    p.write('bye');
    p.shutdown();
    if (state === 'CLOSING') p.inject({ flags: 'FA', seq: 1, ack: 1 });
    t.equal(p.state, state);
    p.discard();
    p.untilSent(1000);
    p.expect({ flags: 'FPA', seq: 1, data: 'bye' });
    p.inject({ flags: 'A', seq: state === 'FIN-WAIT-1' ? 1 : 2, ack: 4 });
    p.discard();
    p.untilSent(2000);
    p.expect({ flags: 'FA', seq: 4, data: 0 });
    p.abort();
    p.discard();
    p.leftNothing();
  }
});

t.test('RFC 9293 3.9.1: release() before the connection is there', async (t) => {
  const p = new Trace(t);
  p.connect();
  p.expect({ flags: 'S' });
  p.release();
  p.expectNothing();
  p.leftNothing();
  p.inject({ flags: 'SA', seq: 0, ack: 1 });
  p.expect({ flags: 'R', seq: 1 }, 'the answer comes too late');
  t.test('shutdown() before it: FIN follows the handshake', async (t) => {
    const q = new Trace(t);
    q.connect();
    q.expect({ flags: 'S' });
    q.write('early');
    q.shutdown();
    q.expectNothing();
    q.inject({ flags: 'SA', seq: 0, ack: 1 });
    q.expect({ flags: 'FPA', seq: 1, ack: 1, data: 'early' });
    t.equal(q.state, 'FIN-WAIT-1');
    q.abort();
    q.discard();
    q.leftNothing();
  });
});

t.test('a record comes back only when its owner has recycled it, with another generation', async (t) => {
  const p = new Trace(t);
  p.accept();
  const flow = p.flow;
  const generation = p.stack.tcb.at(flow).generation;
  p.stack.recycle(flow);
  t.equal(p.stack.flowsInUse, 1, 'not while it lives');
  p.stack.abort(flow);
  t.equal(p.stack.flowsInUse, 1);
  p.stack.abort(flow);
  p.stack.release(flow);
  p.stack.write(flow, 100);
  p.stack.consume(flow, 100);
  p.turn();
  p.expect({ flags: 'RA' });
  p.expectNothing();
  t.equal(p.stack.flowsInUse, 0);
  t.equal(p.stack.tcb.at(flow).generation, generation + 1);
  p.stack.recycle(flow);
  t.equal(p.stack.tcb.at(flow).generation, generation + 1);
  t.equal(p.stack.takeChanged(), -1);
});

t.test('a port is claimed of the other TCP on the address before its first use, and given back after its last', async (t) => {
  const told: string[] = [];
  const theirs = new Set([22, 40_001]);
  const claims = {
    claim(port: number): number {
      told.push(`claim ${port}`);
      return theirs.has(port) ? -EADDRINUSE : port === 23 ? -ENOBUFS : 0;
    },
    release(port: number): void { told.push(`release ${port}`); },
  };
  const tell = (): string[] => told.splice(0);
  const any = new Int32Array(4);
  const p = new Trace(t, { claims, limits: { ephemeralFirst: 40_001, ephemeralLast: 40_002 } });
  t.strictSame([p.stack.listen(any, 22, 5), p.stack.listen(any, 23, 5)], [-EADDRINUSE, -ENOBUFS]);
  t.strictSame(tell(), ['claim 22', 'claim 23']);

  const listener = p.listen(80);
  t.strictSame(tell(), ['claim 80']);
  p.accept();
  p.stack.unlisten(listener);
  t.strictSame(tell(), [], 'the connection still has the port');
  p.abort();
  t.strictSame(tell(), ['release 80']);

  const remote = Int32Array.of(0, 0, 0xffff, parseDotted(PEER_ADDRESS));
  t.equal(p.stack.connect(remote, 80, null, 22), -EADDRINUSE);
  t.equal(p.stack.connect(remote, 80, null, 23), -ENOBUFS);
  tell();
  for (const port of [81, 82]) {
    p.connect(port);
    t.equal(p.stackPort, 40_002, 'the one that is not theirs');
    p.abort();
  }
  t.match(tell().filter((each) => !each.includes('40001')), ['claim 40002', 'release 40002', 'claim 40002', 'release 40002']);
  const chosen = p.stack.listen(any, 0, 5);
  t.equal(p.stack.listenerPort(chosen), 40_002);
  t.equal(p.stack.listen(any, 0, 5), -EADDRINUSE);
  theirs.clear();
  t.ok(p.stack.listen(any, 0, 5) >= 0);
});

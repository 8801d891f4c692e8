/** What the owner of a flow may set: how long to try, how much to wait for, how large, with which DSCP. */
import t from 'tap';
import { EV_CLOSED, EV_ERROR } from '../../lib/tcp/conn/state.js';
import { ETIMEDOUT } from '../../lib/tcp/errno.js';
import { Trace } from './trace.js';

t.test('MUST-20 (R2), MUST-21, RFC 5482 2: a user timeout ends retransmission when it has passed, on the very millisecond', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.stack.settings.setUserTimeout(p.flow, 3000);
  p.write('hello');
  p.expect({ flags: 'PA', seq: 1 });
  const start = p.now;
  // The first retransmission, 200 ms on, is where the count begins; the last wait is cut to what is left of the 3 s.
  for (const wait of [200, 400, 800, 1600]) {
    t.equal(Math.round(p.untilSent(10_000)), wait);
    p.expect({ flags: 'PA', seq: 1 });
  }
  p.takeEvents();
  p.advance(199);
  t.equal(p.takeEvents(), 0);
  p.advance(1);
  t.equal(p.takeEvents(), EV_ERROR | EV_CLOSED);
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  t.equal(Math.round((p.now - start) / 1000), 3200);
  p.release();
  p.leftNothing();
});

t.test('RFC 5482 2: a user timeout ends the wait for a closed window too, though the peer answers every probe', async (t) => {
  const p = new Trace(t);
  p.accept({}, { win: 0 });
  p.stack.settings.setUserTimeout(p.flow, 2000);
  p.write('hello');
  let probes = 0;
  for (let i = 0; i < 9 && p.stack.pollAt() < Infinity; i++) {
    p.untilSent(10_000);
    if (p.discard().length === 0) break;
    probes++;
    p.inject({ flags: 'A', seq: 1, ack: 1, win: 0 });
  }
  t.equal(probes, 3, 'after 0.2, 0.4 and 0.8 s; the wait of 1.6 s is cut to the 0.8 s that are left');
  t.equal(p.takeEvents() & EV_ERROR, EV_ERROR);
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  p.release();
  p.leftNothing();
});

t.test('RFC 5482 2: with a user timeout keepalive gives up by it, not by the count of probes', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.stack.settings.setKeepAlive(p.flow, true, 1000, 1000, 9);
  p.stack.settings.setUserTimeout(p.flow, 3000);
  p.advance(2999);
  t.equal(p.discard().length, 2);
  p.advance(1);
  p.expect({ flags: 'RA', seq: 1 });
  t.equal(p.stack.tcb.at(p.flow).error, ETIMEDOUT);
  p.release();
  p.leftNothing();
});

t.test('RFC 9293 3.6: FIN-WAIT-2 of a released flow lasts as long as its owner said, and may be none at all', async (t) => {
  const p = new Trace(t);
  p.accept();
  p.stack.settings.setFinWait(p.flow, 2000);
  p.release();
  p.expect({ flags: 'FA', seq: 1 });
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  p.advance(1999);
  t.equal(p.state, 'FIN-WAIT-2');
  p.advance(1);
  p.expectNothing();
  p.leftNothing();

  p.peerPort++;
  p.accept();
  p.stack.settings.setFinWait(p.flow, -1);
  p.release();
  p.expect({ flags: 'FA', seq: 1 });
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  p.expect({ flags: 'RA', seq: 2 });
  t.equal(p.stat('TcpExtTCPAbortOnLinger'), 1);
  p.leftNothing();
});

t.test('RFC 6691 2: a bound of segments holds both ways, in what is announced and in what is sent', async (t) => {
  const p = new Trace(t);
  const listener = p.listen();
  p.stack.setInherited(listener, 0, 700, 0);
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', mss: 700 });
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.write(1400);
  p.expect({ flags: 'A', seq: 1, data: 700 });
  p.expect({ flags: 'PA', seq: 701, data: 700 });

  const q = new Trace(t);
  q.ts = [1, 0];
  const remote = new Int32Array([0, 0, 0xffff, (192 << 24) | (2 << 8) | 2]);
  q.flow = q.stack.connect(remote, 9, null, 0);
  q.stack.settings.setMaxSegment(q.flow, 700);
  q.peerPort = 9;
  q.stackPort = q.stack.tcb.at(q.flow).localPort;
  q.turn();
  q.expect({ flags: 'S', mss: 700 });
  q.inject({ flags: 'SA', seq: 0, ack: 1, mss: 1460 });
  q.expect({ flags: 'A', seq: 1 });
  q.write(1000);
  q.expect({ flags: 'A', seq: 1, data: 688 }, 'the timestamps are part of it');
});

t.test('RFC 7323 2.3: a receive buffer that is set before the handshake is the window it offers, and the shift fits it', async (t) => {
  const p = new Trace(t);
  const listener = p.listen();
  p.stack.setInherited(listener, 20_000, 0, 0);
  p.inject({ flags: 'S', seq: 0, mss: 1460, ws: 7 });
  const synAck = p.expect({ flags: 'SA', ws: 0 });
  t.ok(synAck.win > 18_000 && synAck.win <= 20_000, `${synAck.win}`);
});

t.test('MUST-48: the traffic class of a flow stands in each of its packets, the SYN among them', async (t) => {
  const p = new Trace(t);
  const listener = p.listen();
  p.stack.setInherited(listener, 0, 0, 0xb8);
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  t.equal(p.expect({ flags: 'SA' }).bytes[1], 0xb8);
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.write('x');
  t.equal(p.expect({ flags: 'PA' }).bytes[1], 0xb8);
  p.stack.settings.setTrafficClass(p.flow, 0x2f);
  p.write('y');
  p.inject({ flags: 'A', seq: 1, ack: 2 });
  t.equal(p.expect({ flags: 'PA' }).bytes[1], 0x2c, 'the bits of ECN are not the owner\'s');
});

t.test('MAY-16: what is written with more to come waits for it, for an acknowledgement, or for one RTO', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  const more = (count: number): void => {
    const from = p.stack.tcb.at(p.flow).written;
    p.payload.put(p.flow, from, Buffer.alloc(count, 'm'));
    p.stack.write(p.flow, (from + count) | 0, true);
    p.turn();
  };
  more(300);
  more(400);
  p.expectNothing();
  p.write(50);
  p.expect({ flags: 'PA', seq: 1, data: 750 });
  p.inject({ flags: 'A', seq: 1, ack: 751 });
  more(2100);
  p.expect({ flags: 'A', seq: 751, data: 1000 });
  p.expect({ flags: 'A', seq: 1751, data: 1000 });
  p.expectNothing('the rest is incomplete');
  p.inject({ flags: 'A', seq: 1, ack: 1751 });
  p.expect({ flags: 'A', seq: 2751, data: 100 }, 'not pushed: more is to come');
  p.inject({ flags: 'A', seq: 1, ack: 2851 });
  more(10);
  t.equal(Math.round(p.untilSent(1000)), 200);
  p.expect({ flags: 'PA', seq: 2851, data: 10 }, 'pushed: nothing more has come');

  p.inject({ flags: 'A', seq: 1, ack: 2861 });
  p.stack.settings.setCork(p.flow, true);
  p.write(20);
  p.write(20);
  p.expectNothing('corked');
  p.shutdown();
  p.expect({ flags: 'FPA', seq: 2861, data: 40 }, 'the end of the stream waits for nothing');
});

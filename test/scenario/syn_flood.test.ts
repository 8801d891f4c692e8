/** More SYNs than there is room for: the queues of a listener, SYN cookies, and a flood of forged SYNs. */
import t from 'tap';
import type { Test } from 'tap';
import { EV_ACCEPTED } from '../../lib/tcp/conn/state.js';
import { shiftFor } from '../../lib/tcp/conn/window.js';
import { STACK_ADDRESS, Trace } from './trace.js';
import type { Script, TraceOptions } from './trace.js';

/** The clock at its start, the first full minute of it, and what is left of the minute before. */
const MINUTE_MS = 60_000;

function listening(t: Test, limits: TraceOptions['limits'] = {}, backlog = 16): Trace {
  const p = new Trace(t, { limits: { synCookies: 'always', ...limits } });
  p.listen(80, backlog);
  return p;
}

/** A connection opened by a cookie. */
function byCookie(p: Trace, syn: Partial<Script> = {}, ack: Partial<Script> = {}): void {
  p.inject({ flags: 'S', seq: 0, mss: 1460, ...syn });
  p.t.equal(p.stack.flowsInUse, 0, 'nothing is kept');
  p.expect({ flags: 'SA', seq: 0, ack: 1 });
  p.inject({ flags: 'A', seq: 1, ack: 1, ...ack });
  p.t.equal(p.takeEvents() & EV_ACCEPTED, EV_ACCEPTED);
  p.t.equal(p.state, 'ESTABLISHED');
}

t.test('RFC 4987 3.6: a SYN that finds no room is answered with a cookie, and its ACK opens the connection', async (t) => {
  const p = new Trace(t, { limits: { synBacklog: 2 } });
  p.listen(80, 2);
  for (let i = 0; i < 2; i++) p.put({ flags: 'S', seq: 0, port: 1000 + i });
  p.turn();
  t.equal(p.discard().length, 2);
  p.inject({ flags: 'S', seq: 0, mss: 1460 });
  p.expect({ flags: 'SA', seq: 0, ack: 1, mss: 1460 });
  t.equal(p.stack.flowsInUse, 2, 'no record is kept for it');
  t.equal(p.stat('TcpExtTCPReqQFullDoCookies'), 1);
  t.equal(p.stat('TcpExtSyncookiesSent'), 1);
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expectNothing();
  t.equal(p.state, 'ESTABLISHED');
  t.equal(p.stat('TcpExtSyncookiesRecv'), 1);
  t.equal(p.stat('TcpPassiveOpens'), 1);
  p.write('hello');
  p.expect({ flags: 'PA', seq: 1, ack: 1, data: 'hello' });
  p.inject({ flags: 'PA', seq: 1, ack: 6, data: 'good day' });
  t.equal(p.read(), 'good day');
});

t.test('RFC 4987 3.6: the first text may come with the ACK of a cookie, or in its place', async (t) => {
  const p = listening(t);
  byCookie(p, {}, { flags: 'PA', data: 'GET /' });
  t.equal(p.read(), 'GET /');
  p.expect({ flags: 'A', seq: 1, ack: 6 });
});

t.test('RFC 4987 3.6: a cookie holds the MSS, rounded down to one of four', async (t) => {
  for (const [said, used] of [[0, 536], [100, 536], [536, 536], [1299, 536], [1300, 1300], [1452, 1440], [1460, 1460], [9000, 1460]]) {
    const p = listening(t);
    byCookie(p, { mss: said! });
    p.write(1460);
    t.equal(p.outbox[0]?.length, used, `${said}: ${used}`);
  }
});

t.test('RFC 7323 2, RFC 2018 2: with timestamps a cookie keeps scaling and SACK in the echo, without them neither is agreed on', async (t) => {
  for (const sackOk of [true, false]) {
    for (const ws of [-1, 0, 7, 14]) {
      const p = listening(t);
      p.ts = [500, 0];
      p.inject({ flags: 'S', seq: 0, mss: 1460, ws, sackOk });
      const synAck = p.expect({ flags: 'SA', seq: 0, ack: 1, sackOk, ws: ws < 0 ? -1 : shiftFor(p.stack.limits.receiveBuffer) });
      p.ts = [501, synAck.ts![0]];
      p.inject({ flags: 'A', seq: 1, ack: 1, win: 100 });
      const tcb = p.stack.tcb.at(p.flow);
      t.equal(tcb.sndWnd, 100 << Math.max(ws, 0), `a shift of ${ws}`);
      t.equal(tcb.sndMss, 1460 - 12);
      p.write('x');
      const sent = p.expect({ flags: 'PA', seq: 1, data: 'x' });
      t.ok(((sent.ts![0] - synAck.ts![0]) | 0) >= 0, 'the clock of timestamps does not run backwards');
      p.inject({ flags: 'A', seq: 10, ack: 2, data: 'y' });
      p.expect({ flags: 'A', sack: sackOk ? [[10, 11]] : [] });
    }
  }
  const p = listening(t);
  p.inject({ flags: 'S', seq: 0, mss: 1460, ws: 7, sackOk: true });
  p.expect({ flags: 'SA', ws: -1, sackOk: false, ts: null });
});

t.test('RFC 4987 3.6: a cookie is good for one to two minutes, and for nobody else', async (t) => {
  const p = listening(t);
  const cookie = (): { flags: string; seq: number; ack: number; absolute: true } => {
    p.inject({ flags: 'S', seq: 0, mss: 1460 });
    return { flags: 'A', seq: p.irs + 1, ack: p.expect({ flags: 'SA' }).seq + 1, absolute: true };
  };
  const refused = (ack: Script, why: string): void => {
    const failed = p.stat('TcpExtSyncookiesFailed');
    p.inject(ack);
    p.expect({ flags: 'R' }, why);
    t.equal(p.stat('TcpExtSyncookiesFailed'), failed + 1, why);
    t.equal(p.stack.flowsInUse, 0);
  };
  // To the beginning of a minute.
  p.advance(MINUTE_MS - (p.now / 1000) % MINUTE_MS);
  let ack = cookie();
  refused({ ...ack, ack: ack.ack + 9 }, 'another cookie');
  refused({ ...ack, seq: ack.seq + 9 }, 'for another SYN');
  refused({ ...ack, port: p.peerPort + 1 }, 'for another port');
  refused({ ...ack, from: '192.0.2.3' }, 'for another address');
  p.advance(2 * MINUTE_MS - 1);
  p.inject(ack);
  t.equal(p.state, 'ESTABLISHED', 'late in the second minute');
  p.abort();
  p.discard();
  ack = cookie();
  p.advance(MINUTE_MS);
  cookie();
  p.advance(MINUTE_MS);
  refused(ack, 'too old, though others were given out since');
});

t.test('RFC 4987 3.6: where no cookie was given out of late, an ACK is not taken for one', async (t) => {
  const p = listening(t);
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'R' });
  t.equal(p.stat('TcpExtSyncookiesFailed'), 0, 'none was ever given out');
  p.inject({ flags: 'S', seq: 0 });
  p.expect({ flags: 'SA' });
  p.advance(2 * MINUTE_MS);
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  p.expect({ flags: 'R' });
  t.equal(p.stat('TcpExtSyncookiesFailed'), 0, 'the last one is too old to be good');
});

t.test('RFC 4987 3.6: a segment a few bytes further on does not open the connection without those before it', async (t) => {
  for (let off = -4; off <= 4; off++) {
    if (off === 0) continue;
    const p = listening(t);
    p.inject({ flags: 'S', seq: 0, mss: 1300 });
    p.expect({ flags: 'SA', seq: 0, ack: 1 });
    p.inject({ flags: 'PA', seq: 1 + off, ack: 1, data: 'without its beginning' });
    p.expect({ flags: 'R', seq: 1 });
    t.equal(p.stack.flowsInUse, 0);
    t.equal(p.stat('TcpExtSyncookiesFailed'), 1);
  }
});

t.test('RFC 4987 3.6: nor does an acknowledgement of bytes that a connection since gone had sent', async (t) => {
  for (let off = -4; off <= 4; off++) {
    if (off === 0) continue;
    const p = listening(t);
    p.inject({ flags: 'S', seq: 0, mss: 1300 });
    p.expect({ flags: 'SA', seq: 0, ack: 1 });
    p.inject({ flags: 'A', seq: 1, ack: 1 + off });
    p.expect({ flags: 'R', seq: 1 + off });
    t.equal(p.stack.flowsInUse, 0);
    t.equal(p.stat('TcpExtSyncookiesFailed'), 1);
  }
});

t.test('RFC 4987 3.6: of 100 000 guesses at a cookie none opens a connection', async (t) => {
  const p = listening(t);
  p.inject({ flags: 'S', seq: 0 });
  p.discard();
  for (let i = 0; i < 100; i++) {
    for (let k = 0; k < 1000; k++) p.put({ flags: 'A', seq: 1, ack: Math.imul(i * 1000 + k, 0x9e3779b1), absolute: true });
    p.turn();
    p.discard();
  }
  t.equal(p.stack.flowsInUse, 0);
  t.equal(p.stat('TcpExtSyncookiesFailed'), 100_000);
  t.equal(p.stat('TcpExtSyncookiesRecv'), 0);
});

t.test('RFC 4987 3.5: with cookies off, a SYN that finds no room is dropped and counted', async (t) => {
  const p = new Trace(t, { limits: { synBacklog: 3, synCookies: 'never' } });
  p.listen(80, 3);
  for (let i = 0; i < 5; i++) p.put({ flags: 'S', seq: 0, port: 1000 + i });
  p.turn();
  t.equal(p.discard().length, 3);
  t.equal(p.stat('TcpExtTCPReqQFullDrop'), 2);
  t.equal(p.stat('TcpExtListenDrops'), 2);
  p.advance(64_000);
  p.leftNothing();
});

t.test('RFC 4987 3.3: while half-open connections take more than half their room, a SYN-ACK is sent again twice, not five times', async (t) => {
  const p = new Trace(t, { limits: { synBacklog: 4 } });
  p.listen(80, 2);
  for (let i = 0; i < 4; i++) p.put({ flags: 'S', seq: 0, port: 1000 + i });
  p.turn();
  p.advance(120_000);
  t.equal(p.discard().length, 2 * 3 + 2 * 6, 'once two of four are gone the others have their time');
  p.leftNothing();
});

t.test('RFC 9293 3.10.1: the backlog bounds connections that nobody takes over; the last step of a handshake waits until there is room', async (t) => {
  const p = new Trace(t);
  p.taking = false;
  p.listen(80, 2);
  const ports = [1000, 1001, 1002];
  for (const port of ports) p.put({ flags: 'S', seq: 0, port });
  p.turn();
  const isns = p.discard().map((sent) => sent.seq);
  ports.forEach((port, i) => p.put({ flags: 'A', seq: p.irs + 1, ack: isns[i]! + 1, port, absolute: true }));
  p.turn();
  p.expectNothing('the ACK that finds no room is as if it had not come');
  t.equal(p.accepted.length, 2);
  t.equal(p.stat('TcpExtListenOverflows'), 1);
  t.equal(p.stat('TcpExtListenDrops'), 1);
  p.inject({ flags: 'S', seq: 0, port: 1003 });
  p.expectNothing('nor is a SYN answered');
  t.equal(p.stat('TcpExtListenOverflows'), 2);
  p.advance(1000);
  t.equal(p.expect({ flags: 'SA' }, 'the SYN-ACK is sent again').destination, 1002);
  p.stack.taken(p.accepted[0]!);
  p.stack.taken(p.accepted[0]!);
  p.inject({ flags: 'A', seq: p.irs + 1, ack: isns[2]! + 1, port: 1002, absolute: true });
  t.equal(p.accepted.length, 3, 'and its answer finds room');
  p.inject({ flags: 'S', seq: 0, port: 1004 });
  p.expectNothing('which one that is taken over twice makes once');
  p.stack.abort(p.accepted[1]!);
  p.inject({ flags: 'S', seq: 0, port: 1005 });
  p.expect({ flags: 'RA' });
  p.expect({ flags: 'SA' }, 'a connection that is let go of makes room too');
});

t.test('RFC 9293 3.10.1: a listener that takes the place of another does not inherit what waited for it', async (t) => {
  const p = new Trace(t);
  p.taking = false;
  const first = p.listen(80, 1);
  p.inject({ flags: 'S', seq: 0 });
  p.expect({ flags: 'SA' });
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  t.equal(p.accepted.length, 1);
  p.stack.unlisten(first);
  t.equal(p.listen(80, 1), first, 'in the same place');
  p.inject({ flags: 'S', seq: 0, port: 1000 });
  p.expect({ flags: 'SA' }, 'and there is room');
  p.inject({ flags: 'A', seq: 1, ack: 1, port: 1000 });
  p.stack.taken(p.accepted[0]!);
  p.inject({ flags: 'S', seq: 0, port: 1001 });
  p.expectNothing('the connection of the first does not count for the second');
});

t.test('RFC 4987 4: 100 000 forged SYNs: one answer each, a bounded number of records, and an honest peer is served', async (t) => {
  const p = new Trace(t);
  p.listen(80, 16);
  let word = 1;
  const random = (): number => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return word >>> 0;
  };
  let answers = 0;
  let most = 0;
  let served = 0;
  for (let i = 0; i < 100; i++) {
    for (let k = 0; k < 1000; k++) {
      const from = `198.${18 + (random() & 1)}.${random() & 255}.${1 + random() % 254}`;
      p.put({ flags: 'S', seq: random() | 0, port: 1024 + random() % 60000, from, mss: 1460, absolute: true });
    }
    p.turn();
    answers += p.discard().length;
    most = Math.max(most, p.stack.flowsInUse);
    p.peerPort = 20_000 + i;
    p.inject({ flags: 'S', seq: 0, mss: 1460 });
    const synAck = p.outbox.find((sent) => sent.to === '192.0.2.2');
    p.iss = synAck?.seq ?? 0;
    p.inject({ flags: 'PA', seq: 1, ack: 1, data: 'request' });
    served += Number(p.read() === 'request');
    p.abort();
    p.discard();
    p.advance(10);
    answers += p.discard().filter((sent) => sent.flags === 'SA').length;
  }
  t.equal(served, 100, 'each honest connection opens at once');
  t.ok(most <= 8, `${most} records in use, at most a quarter of 32`);
  t.equal(p.stat('TcpExtSyncookiesSent') + p.stack.halfOpenCount, 100_100);
  t.equal(p.stat('TcpExtSyncookiesRecv'), 100);
  t.ok(answers <= 100_000 + 2 * 8, `${answers} answers to 100 000 SYNs`);
  p.advance(120_000);
  p.discard();
  p.leftNothing();
});

t.test('Security: a SYN with FIN, from a group or a broadcast, or from the listener itself is not answered', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'SF', seq: 0 });
  p.inject({ flags: 'SFRPU', seq: 0 });
  p.inject({ flags: '', seq: 0 });
  p.inject({ flags: 'F', seq: 0 });
  for (const from of [STACK_ADDRESS, '127.0.0.1', '224.0.0.1', '255.255.255.255', '192.0.2.255', '0.0.0.0', '240.0.0.1']) {
    p.inject({ flags: 'S', seq: 0, from, port: 80 });
  }
  p.expectNothing();
  p.leftNothing();
});

/** TCP and the layer below it: what IP is told, what it tells, and what is not believed (RFC 9293 3.9.2). */
import t from 'tap';
import { EADDRNOTAVAIL, EHOSTUNREACH, ENETUNREACH } from '../../lib/tcp/errno.js';
import { formatDotted, parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { get32, put16, put32 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4 } from '../../lib/tcp/wire/checksum.js';
import { PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { PEER_ADDRESS, STACK_ADDRESS, Trace } from './trace.js';
import type { Script } from './trace.js';

/** A segment from one address to another, with options in its IP header. */
function packet(p: Trace, script: Script, source = PEER_ADDRESS, destination = STACK_ADDRESS, options: number[] = []): Uint8Array {
  p.put(script);
  const plain = p.device.waiting.pop()!.bytes;
  const header = 20 + options.length;
  const bytes = Uint8Array.from([...plain.subarray(0, 20), ...options, ...plain.subarray(20)]);
  bytes[0] = 0x40 | (header / 4);
  put16(bytes, 2, bytes.length);
  put32(bytes, 12, parseDotted(source));
  put32(bytes, 16, parseDotted(destination));
  put16(bytes, 10, 0);
  put16(bytes, 10, complement(add(0, bytes, 0, header)));
  const length = bytes.length - header;
  put16(bytes, header + 16, 0);
  const pseudo = pseudoHeader4(parseDotted(source), parseDotted(destination), PROTOCOL_TCP, length);
  put16(bytes, header + 16, complement(add(pseudo, bytes, header, length)));
  return bytes;
}

function mapped(address: string): Int32Array {
  const words = new Int32Array(4);
  setMapped(words, 0, parseDotted(address));
  return words;
}

t.test('MUST-49: the time to live of all segments is a setting', async (t) => {
  const p = new Trace(t);
  p.script(`
    connect
    > S 0 ttl 64
  `);
  const q = new Trace(t, { limits: { timeToLive: 3 } });
  q.accept({ mss: 1000 });
  q.script(`
    write "hop hop hop"
    > PA 1 ttl 3 "hop hop hop"
    abort
    > RA 12 ttl 3
  `);
});

t.test('MUST-48, SHLD-21, SHLD-22: the owner says the Diffserv field, may change it, and IP sends it as it is', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write "plain"
    > PA 1 tos 0 "plain"
    < A 1 ack 6
  `);
  p.stack.settings.setTrafficClass(p.flow, 46 << 2);
  p.script(`
    write "expedited"
    > PA 6 tos 0xb8 "expedited"
    < PA 1 ack 15 "answer"
    > A 15 tos 0xb8
  `);
  p.stack.settings.setTrafficClass(p.flow, 0);
  p.script(`
    write "plain"
    > PA 15 tos 0 "plain"
  `);
});

t.test('MUST-50: IP options that TCP does not understand are passed over', async (t) => {
  const p = new Trace(t);
  p.listen();
  const routerAlert = [148, 4, 0, 0];
  const timestamp = [68, 8, 5, 0, 0, 0, 0, 0];
  const recordRoute = [7, 7, 4, 0, 0, 0, 0, 0];
  const unknown = [0x9e, 6, 1, 2, 3, 4, 0, 0];
  for (const [i, options] of [routerAlert, timestamp, recordRoute, unknown].entries()) {
    p.peerPort = 41_000 + i;
    p.injectRaw(packet(p, { flags: 'S', seq: 0, mss: 1000 }, PEER_ADDRESS, STACK_ADDRESS, options));
    p.expect({ flags: 'SA', seq: 0, ack: 1 });
  }
});

t.test('RFC 7126 4.3: a segment that was routed by its source is thrown away', async (t) => {
  const p = new Trace(t);
  p.listen();
  for (const kind of [131, 137]) {
    p.injectRaw(packet(p, { flags: 'S', seq: 0, mss: 1000 }, PEER_ADDRESS, STACK_ADDRESS, [kind, 7, 8, 192, 0, 2, 9, 0]));
  }
  p.expectNothing();
  p.leftNothing();
});

t.test('MUST-54: an ICMP error goes to the connection that it is about, and to no other', async (t) => {
  const p = new Trace(t);
  p.connect(81);
  const other = p.flow;
  p.discard();
  p.script(`
    connect
    > S 0
    < icmp 3/1 about 0
    ! error EHOSTUNREACH closed
  `);
  t.equal(p.stack.tcb.at(other).error, 0);
  t.equal(p.stack.tcb.at(other).state, 2, 'SYN-SENT');
});

t.test('SHLD-25: unreachable for now (codes 0, 1, 5): the owner is told', async (t) => {
  for (const [code, error] of [[0, ENETUNREACH], [1, EHOSTUNREACH], [5, EHOSTUNREACH]] as const) {
    const p = new Trace(t);
    p.accept({ mss: 1000 });
    p.stack.settings.setReports(p.flow, true);
    p.script(`
      write "hello"
      > PA 1:6
      < icmp 3/${code} about 1
      ! report
      = ESTABLISHED
      < A 1 ack 6
      ! acked
    `);
    p.write('x');
    p.script('> ...');
    p.icmp(3, code, 6);
    t.equal(p.stack.tcb.at(p.flow).softError, error);
  }
});

t.test('MUST-56 (unreachable): unreachable for now (codes 0, 1, 5) ends no connection', async (t) => {
  for (const code of [0, 1, 5]) {
    const p = new Trace(t, { limits: { softErrorsEndOpening: false } });
    p.script(`
      connect
      > S 0
      < icmp 3/${code} about 0
      ! none
      = SYN-SENT
      +1s > S 0
      < SA 0 ack 1 mss 1000
      > A 1 ack 1
      ! connected
      write "hello"
      > PA 1:6
      < icmp 3/${code} about 1
      ! none
      = ESTABLISHED
    `);
  }
});

t.test('MUST-56 (time exceeded): nor does a packet that lived too long', async (t) => {
  for (const code of [0, 1]) {
    const p = new Trace(t, { limits: { softErrorsEndOpening: false } });
    p.script(`
      connect
      > S 0
      < icmp 11/${code} about 0
      ! none
      < SA 0 ack 1 mss 1000
      > A 1 ack 1
      ! connected
      write "hello"
      > PA 1:6
      < icmp 11/${code} about 1
      ! none
      = ESTABLISHED
    `);
  }
});

t.test('MUST-56 (parameter problem): nor a header that a router did not like', async (t) => {
  const p = new Trace(t, { limits: { softErrorsEndOpening: false } });
  p.script(`
    connect
    > S 0
    < icmp 12/0 about 0
    ! none
    < SA 0 ack 1 mss 1000
    > A 1 ack 1
    ! connected
    write "hello"
    > PA 1:6
    < icmp 12/0 about 1
    ! none
    = ESTABLISHED
  `);
});

t.test('RFC 5461 4: while opening, an error that may pass ends the attempt, unless that is switched off', async (t) => {
  const p = new Trace(t);
  p.script(`
    connect
    > S 0
    < icmp 3/1 about 0
    ! error EHOSTUNREACH closed
    release
  `);
  p.leftNothing();
});

t.test('SHLD-26 (opening): unreachable for good (codes 2, 3) ends an opening connection, active or passive', async (t) => {
  for (const code of [2, 3]) {
    const p = new Trace(t, { limits: { softErrorsEndOpening: false } });
    p.script(`
      connect
      > S 0
      < icmp 3/${code} about 0
      ! error ECONNREFUSED closed
      release
    `);
    p.leftNothing();
    const q = new Trace(t);
    q.script(`
      listen
      < S 0 mss 1000
      > SA 0 ack 1
      < icmp 3/${code} about 0
    `);
    q.leftNothing();
  }
});

t.test('RFC 5927 5.2: a hard error is a soft one to a connection that stands: it may be forged', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    write "hello"
    > PA 1:6
    < icmp 3/3 about 1
    ! report
    = ESTABLISHED
    < A 1 ack 6
    ! acked
  `);
});

t.test('RFC 5927 4.1: an error about a segment that is not in flight is not believed', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    write "hello"
    > PA 1:6
    < A 1 ack 6
    ! acked
    write "again"
    > PA 6:11
    < icmp 3/1 about 1
    < icmp 3/1 about 11
    < icmp 3/4 about 2000 mtu 576
    ! none
  `);
  t.equal(p.stack.tcb.at(p.flow).softError, 0);
  t.equal(p.stack.tcb.at(p.flow).sndMss, 1000);
  t.equal(p.stat('TcpExtOutOfWindowIcmps'), 3);
});

t.test('MUST-55: a source quench is thrown away without a word', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.stack.settings.setReports(p.flow, true);
  p.script(`
    write 5000
    > ...
  `);
  const { cwnd, ssthresh } = p.stack.tcb.at(p.flow);
  p.script(`
    < icmp 4/0 about 1
    ! none
    = ESTABLISHED
  `);
  t.strictSame([p.stack.tcb.at(p.flow).cwnd, p.stack.tcb.at(p.flow).ssthresh], [cwnd, ssthresh]);
});

t.test('MUST-46: a connection to an address that no single host has is refused', async (t) => {
  const p = new Trace(t);
  for (const address of ['255.255.255.255', '192.0.2.255', '224.0.0.1', '239.255.255.250', '240.0.0.1', '0.0.0.0']) {
    t.equal(p.stack.connect(mapped(address), 80, null, 0), -ENETUNREACH, address);
  }
  p.turn();
  p.expectNothing();
  p.leftNothing();
});

t.test('MUST-57: a segment to a broadcast or multicast address is thrown away without a word', async (t) => {
  const p = new Trace(t);
  p.listen();
  for (const address of ['255.255.255.255', '192.0.2.255', '224.0.0.1']) {
    p.injectRaw(packet(p, { flags: 'S', seq: 0, mss: 1000 }, PEER_ADDRESS, address));
    p.injectRaw(packet(p, { flags: 'A', seq: 0, ack: 0 }, PEER_ADDRESS, address));
  }
  p.expectNothing();
  p.leftNothing();
});

t.test('MUST-63: a SYN from an address that no host can have is passed over', async (t) => {
  const p = new Trace(t);
  p.listen();
  for (const address of ['0.0.0.0', '127.0.0.1', '224.0.0.1', '255.255.255.255', '192.0.2.255', STACK_ADDRESS, '240.0.0.1']) {
    p.injectRaw(packet(p, { flags: 'S', seq: 0, mss: 1000 }, address));
  }
  p.expectNothing();
  p.leftNothing();
});

t.test('MUST-43, MUST-44, MUST-45: the source address is the owner\'s choice, else that of the route, and stays the same', async (t) => {
  const p = new Trace(t);
  p.script(`
    connect
    > S 0
  `);
  const source = (): string => formatDotted(get32(p.outbox[0]!.bytes, 12));
  p.advance(1000);
  t.equal(source(), STACK_ADDRESS, 'the address of the interface that leads there');
  p.script('> S 0');
  p.inject({ flags: 'SA', seq: 0, ack: 1, mss: 1000 });
  t.equal(source(), STACK_ADDRESS);
  p.script('> A 1 ack 1');
  const flow = p.stack.connect(mapped(PEER_ADDRESS), 81, mapped(STACK_ADDRESS), 0);
  t.ok(flow >= 0, 'the owner chooses it');
  p.turn();
  t.equal(source(), STACK_ADDRESS);
  t.equal(p.stack.connect(mapped(PEER_ADDRESS), 82, mapped('192.0.2.77'), 0), -EADDRNOTAVAIL, 'but it must be one of this host');
});

t.test('RFC 8201 5.4, RFC 6691 2: the MSS announced is that of the link, whatever the path to the peer carries', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1460 });
  p.script(`
    write 3000
    > A 1:1461
    > A 1461:2921
    > PA 2921:3001
    < icmp 3/4 about 1 mtu 1000
    > A 1:961
    > A 961:1921
    > A 1921:2881
    > PA 2881:3001
    < A 1 ack 3001
    > ...
  `);
  p.peerPort++;
  p.script(`
    < S 0 mss 1460
    > SA 0 ack 1 mss 1460
    < A 1 ack 1
    write 960
    > PA 1:961
  `);
  t.equal(p.stack.tcb.at(p.flow).sndMss, 960, 'RFC 1191 5: what is known of the path holds for new connections');
});

t.test('RFC 2131 4.4.5, RFC 4862 5.5.4: an address that is taken away ends its connections, the peers unasked; listeners stay', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  const [standing] = p.accepted;
  p.peerPort++;
  p.inject({ flags: 'S', seq: 0, mss: 1000 });
  p.discard();
  p.connect(81);
  p.discard();
  const opening = p.flow;
  t.equal(p.stack.halfOpenCount, 1);
  p.flow = standing!;
  p.takeEvents();
  p.stack.withdrawn(mapped('192.0.2.99'), 0);
  p.turn();
  t.equal(p.stack.flowsInUse, 3, 'that of another address concerns nobody');
  p.stack.withdrawn(mapped(STACK_ADDRESS), 0);
  p.turn();
  p.expectNothing();
  t.equal(p.stack.tcb.at(standing!).error, EADDRNOTAVAIL);
  t.equal(p.stack.tcb.at(opening).error, EADDRNOTAVAIL);
  t.same([p.stack.halfOpenCount, p.stack.timersArmed], [0, 0]);
  for (const flow of [standing!, opening]) p.stack.release(flow);
  p.turn();
  t.equal(p.stack.flowsInUse, 0);
  p.stackPort = 80;
  p.peerPort++;
  p.inject({ flags: 'S', seq: 0, mss: 1000 });
  p.expect({ flags: 'SA', seq: 0, ack: 1 });
});

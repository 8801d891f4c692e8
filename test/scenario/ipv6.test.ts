/** The same TCP over IPv6: where the family makes a difference. */
import t from 'tap';
import { get32 } from '../../lib/tcp/wire/bytes.js';
import { pseudoHeader6, verify } from '../../lib/tcp/wire/checksum.js';
import { PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { Trace } from './trace.js';

const PACKET_TOO_BIG = '2/0';
const NO_ROUTE = '1/0';

t.test('MUST-15 (IPv6): a peer that says no MSS is sent segments of 1220 bytes', async (t) => {
  const p = new Trace(t, { ipv6: true });
  p.script(`
    listen
    < S 0
    > SA 0 ack 1
    < A 1 ack 1
    write 3000
    > A 1:1221
    > A 1221:2441
    > PA 2441:3001
  `);
});

t.test('MUST-16, SHLD-5 (IPv6), MAY-3: every SYN says the MSS, which is the MTU less 60', async (t) => {
  for (const mtu of [1280, 1500, 9000]) {
    const p = new Trace(t, { ipv6: true, mtu });
    p.script(`
      connect
      > S 0 mss ${mtu - 60}
      < SA 0 ack 1 mss 65535
      > A 1 ack 1
      write 30000
      > A 1:${mtu - 59}
      > ...
    `);
  }
});

t.test('MUST-2, RFC 8200 8.1: the checksum covers the addresses of IPv6', async (t) => {
  const p = new Trace(t, { ipv6: true });
  p.accept({ mss: 1000 });
  p.write(2001);
  p.inject({ flags: 'FA', seq: 1, ack: 1 });
  p.abort();
  p.turn();
  const sent = p.discard();
  t.ok(sent.length >= 4);
  for (const { bytes } of sent) {
    const words = Int32Array.from({ length: 8 }, (_, i) => get32(bytes, 8 + 4 * i));
    t.ok(verify(pseudoHeader6(words, 0, 4, PROTOCOL_TCP, bytes.length - 40), bytes, 40, bytes.length - 40));
  }
  p.peerPort++;
  p.put({ flags: 'S', seq: 0, mss: 1000 });
  const damaged = p.device.waiting.pop()!.bytes;
  damaged[23] = damaged[23]! ^ 1;
  p.injectRaw(damaged);
  p.expectNothing('from another address than the checksum says');
});

t.test('RFC 4443 3.2: "packet too big" has what was lost sent again in smaller segments', async (t) => {
  const p = new Trace(t, { ipv6: true });
  p.script(`
    listen
    < S 0 mss 1440
    > SA 0 ack 1
    < A 1 ack 1
    write 2880
    > A 1:1441
    > PA 1441:2881
    < icmp ${PACKET_TOO_BIG} about 1 mtu 1300
    > A 1:1241
    > A 1241:2481
    > PA 2481:2881
    < A 1 ack 2881
    write 1240
    > PA 2881:4121
  `);
});

t.test('MUST-54: errors of ICMPv6 reach the connection that they are about', async (t) => {
  const p = new Trace(t, { ipv6: true });
  p.script(`
    connect
    > S 0
    < icmp ${NO_ROUTE} about 0
    ! error ENETUNREACH closed
    release
  `);
  p.leftNothing();
  const q = new Trace(t, { ipv6: true });
  q.accept({ mss: 1000 });
  q.stack.settings.setReports(q.flow, true);
  q.script(`
    write "hello"
    > PA 1:6
    < icmp ${NO_ROUTE} about 1
    ! report
    = ESTABLISHED
  `);
});

t.test('MUST-48, MUST-49: the traffic class and the hop limit are the owner\'s', async (t) => {
  const p = new Trace(t, { ipv6: true, limits: { timeToLive: 3 } });
  p.accept({ mss: 1000 });
  p.stack.settings.setTrafficClass(p.flow, 46 << 2);
  p.script(`
    write "expedited"
    > PA 1 tos 0xb8 ttl 3 "expedited"
  `);
});

t.test('RFC 9293 3.5, 3.6: handshake, text both ways, and close', async (t) => {
  const p = new Trace(t, { ipv6: true });
  p.script(`
    connect
    > S 0
    < SA 0 ack 1 mss 1000
    > A 1 ack 1
    ! connected
    write "GET /"
    > PA 1 ack 1 "GET /"
    < PA 1 ack 6 "200 OK"
    > A 6 ack 7
    read "200 OK"
    shutdown
    > FA 6 ack 7
    < FA 7 ack 7
    > A 7 ack 8
    = TIME-WAIT
    release
    +60s
  `);
  p.leftNothing();
});

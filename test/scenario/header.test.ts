/** The TCP header: options, checksum, window and PSH (RFC 9293 3.1, 3.7.1, 3.9.1.2). */
import t from 'tap';
import { get16, get32, put16 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4, verify } from '../../lib/tcp/wire/checksum.js';
import { PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { tcpHeaderLength } from '../../lib/tcp/wire/tcp.js';
import { Trace } from './trace.js';
import type { Sent } from './trace.js';

/** The options of a segment, byte by byte. */
function optionsOf({ bytes }: Sent): number[] {
  return [...bytes.subarray(40, 20 + tcpHeaderLength(bytes, 20))];
}

/** Kind and length of each option; the length of those without one is 1. */
function walk(options: number[]): [number, number][] {
  const found: [number, number][] = [];
  for (let at = 0; at < options.length;) {
    const length = options[at]! < 2 ? 1 : options[at + 1]!;
    found.push([options[at]!, length]);
    if (length === 0) break;
    at += length;
  }
  return found;
}

t.test('MUST-4, MUST-14: end of options, no-operation and MSS are understood', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.script(`
    < S 0 opt 01010204040000000000        # nop nop, MSS 1024, end of options, and zeros
    > SA 0 ack 1
    < A 1 ack 1
    write 2000
    > A 1:1025
    > PA 1025:2001
  `);
});

t.test('MUST-14, SHLD-5 (IPv4), MAY-3: every SYN says the MSS, and so does every SYN-ACK', async (t) => {
  for (const mtu of [1500, 576]) {
    const p = new Trace(t, { mtu });
    p.script(`
      connect
      > S 0 mss ${mtu - 40}
      < SA 0 ack 1 mss 1460
      > A 1 ack 1
      abort
      > RA 1
    `);
    const q = new Trace(t, { mtu });
    q.script(`
      listen
      < S 0
      > SA 0 ack 1 mss ${mtu - 40}
    `);
  }
});

t.test('MUST-67, SHLD-6: the MSS announced is what the link takes, less 40 for both headers', async (t) => {
  for (const mtu of [576, 1280, 1500, 9000, 65535]) {
    const p = new Trace(t, { mtu });
    p.connect();
    const { mss } = p.expect({ flags: 'S', seq: 0, mss: mtu - 40 });
    t.ok(mss <= mtu - 40, 'MMS_R is the MTU less the IP header');
  }
});

t.test('MUST-65: only SYNs have an MSS option, and elsewhere it is not believed', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    < A 1 ack 1 opt 02040064              # MSS 100
    write 2000
    > A 1:1001 mss 0
    > PA 1001:2001 mss 0
    < A 1 ack 2001
    shutdown
    > FA 2001 mss 0
    abort
    > RA 2002 mss 0
  `);
});

t.test('MUST-5: an option may come in any segment', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.script(`
    < S 0 mss 1000 opt fd0412340101010100000000
    > SA 0 ack 1
    < A 1 ack 1 opt fd041234
    < PA 1 ack 1 opt 0101fd0412340100 "abc"
    > A 1 ack 4
    < FA 4 ack 1 opt 01fd0400
    +40ms > A 1 ack 5
    read "abc"
  `);
});

t.test('MUST-6: an option that nobody knows is passed over, and what follows it counts', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.script(`
    < S 0 opt fe06aabbccdd020403e80101    # 254 of six bytes, then MSS 1000
    > SA 0 ack 1
    < A 1 ack 1
    write 2000
    > A 1:1001
    > PA 1001:2001
  `);
});

t.test('MUST-7: an option whose length cannot be ends the options, and does no harm', async (t) => {
  const p = new Trace(t);
  p.listen();
  for (const [i, options] of ['fe000000', 'fe010000', 'fe080000', '020403e8 0300 0000', 'ff', '02'].entries()) {
    p.peerPort = 42_000 + i;
    p.script(`
      < S 0 opt ${options.replaceAll(' ', '').padEnd(8, '0')}
      > SA 0 ack 1
      < PA 1 ack 1 opt fe000000 "abc"
      > A 1 ack 4
      read "abc"
    `);
  }
});

t.test('MUST-64: options are read wherever they begin', async (t) => {
  for (const pad of ['', '01', '0101', '010101']) {
    const p = new Trace(t);
    const options = `${pad}020403e8`;
    p.listen();
    p.script(`
      < S 0 opt ${options.padEnd(Math.ceil(options.length / 8) * 8, '0')}
      > SA 0 ack 1
      < A 1 ack 1
      write 1001
      > A 1:1001
      > PA 1001
    `.replace('> PA 1001\n', '> PA 1001:1002\n'));
  }
});

t.test('MUST-68, MUST-69: each option that is sent has its length; what fills up the header is no-operation, or zero', async (t) => {
  for (const timestamps of [true, false]) {
    for (const sack of [true, false]) {
      const p = new Trace(t, { limits: { timestamps, sack } });
      if (timestamps) p.ts = [1, 0];
      p.listen();
      p.inject({ flags: 'S', seq: 0, mss: 1000, sackOk: true, ws: 7 });
      p.inject({ flags: 'A', seq: 1, ack: 1 });
      p.inject({ flags: 'A', seq: 1001, ack: 1, data: 10 });
      p.write('x');
      for (const sent of p.discard()) {
        if (sent.flags === 'SA') p.iss = sent.seq;
        const options = optionsOf(sent);
        t.equal(options.length % 4, 0);
        const found = walk(options);
        t.equal(found.reduce((sum, [, length]) => sum + length, 0), options.length, 'lengths add up to the header');
        const end = found.findIndex(([kind]) => kind === 0);
        if (end >= 0) t.ok(found.slice(end).every(([kind]) => kind === 0), 'zeros to the end');
      }
    }
  }
});

t.test('MUST-2: every segment has the checksum of its bytes and addresses', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.write(2001);
  p.inject({ flags: 'FA', seq: 1, ack: 1 });
  p.abort();
  p.peerPort++;
  p.inject({ flags: 'A', seq: 1, ack: 1 });
  const sent = p.discard();
  t.ok(sent.length >= 5);
  for (const { bytes } of sent) {
    const pseudo = pseudoHeader4(get32(bytes, 12), get32(bytes, 16), PROTOCOL_TCP, bytes.length - 20);
    t.ok(verify(pseudo, bytes, 20, bytes.length - 20));
  }
});

t.test('MUST-3: a segment whose checksum is wrong is thrown away without a word', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.put({ flags: 'PA', seq: 1, ack: 1, data: 'hello' });
  const packet = p.device.waiting.pop()!.bytes;
  for (let i = 20; i < packet.length; i++) {
    const damaged = packet.slice();
    damaged[i] = damaged[i]! ^ 0x10;
    p.injectRaw(damaged);
  }
  const elsewhere = packet.slice();
  elsewhere[12] = 10;
  put16(elsewhere, 10, 0);
  put16(elsewhere, 10, complement(add(0, elsewhere, 0, 20)));
  p.injectRaw(elsewhere);
  p.expectNothing();
  t.equal(p.stack.tcb.at(p.flow).received, 0);
  p.injectRaw(packet);
  p.script(`
    > A 1 ack 6
    read "hello"
  `);
});

t.test('MUST-1, REC-1: windows are unsigned, and kept as 32-bit numbers', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 }, { win: 0xffff });
  t.equal(p.stack.tcb.at(p.flow).sndWnd, 65_535, 'half of the values would be negative as 16-bit numbers');
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 0x8000 });
  t.equal(p.stack.tcb.at(p.flow).sndWnd, 32_768);
  const q = new Trace(t);
  q.accept({ mss: 1000, ws: 14 }, { win: 0xffff });
  t.equal(q.stack.tcb.at(q.flow).sndWnd, 65_535 << 14, 'scaled, a window takes 30 bits');
  q.stack.tcb.at(q.flow).cwnd = 500_000;
  q.write(400_000);
  t.equal(q.discard().length, 400);
  const r = new Trace(t, { limits: { receiveBuffer: 65_535, receiveBufferInitial: 65_535 } });
  r.connect();
  const { win, bytes } = r.expect({ flags: 'S' });
  t.ok(win > 32_767 && win === get16(bytes, 34), `${win}`);
});

t.test('MUST-61, SHLD-27: the last segment of what is queued has PSH, and only that', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write 2500
    > A 1:1001
    > A 1001:2001
    > PA 2001:2501
    write 300
    write 400
    write 200                              # three writes, each of which would have had its PSH
    < A 1 ack 2501
    > PA 2501:3401
  `);
});

t.test('PSH at the end of each step as well, where that is asked for: half a window or a millisecond, of two segments or more', async (t) => {
  const opened = (pushSteps: number): Trace => {
    const p = new Trace(t, { limits: { pushSteps, timestamps: false } });
    p.script(`
      listen
      < S 0 mss 500 sackOK
      > SA 0
      +60ms
      < A 1 ack 1
    `);
    return p;
  };
  opened(2).script(`
    write 6500
    > A 1:501                              # ten segments in 60 ms: a step is two
    > PA 501:1001
    > A 1001:1501
    > PA 1501:2001
    > A 2001:2501
    > PA 2501:3001
    > A 3001:3501
    > PA 3501:4001
    > A 4001:4501
    > PA 4501:5001
    < A 1 ack 501                          # which makes room for two
    > A 5001:5501
    > PA 5501:6001
    < A 1 ack 6001
    > PA 6001:6501                         # the last of all
  `);
  opened(4).script(`
    write 3001
    > A 1:501
    > A 501:1001
    > A 1001:1501
    > PA 1501:2001                         # four at least
    > A 2001:2501
    > A 2501:3001
    > PA 3001:3002
  `);
});

t.test('MUST-60: text is never held back for ever: by an acknowledgement at the latest, or by the end of the stream', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write "a"
    > PA 1 "a"
    write "b"
    < A 1 ack 2
    > PA 2 "b"
    write "c"
    shutdown
    > FPA 3 "c"
  `);
  const q = new Trace(t);
  q.accept({ mss: 1000 });
  q.stack.settings.setCork(q.flow, true);
  q.write('corked');
  q.expectNothing();
  t.ok(q.untilSent(10_000) < 10_000, 'nor where the owner holds it back');
  q.script('> PA 1 "corked"');
});

t.test('SHLD-28: segments are as large as the peer takes, however small the writes', async (t) => {
  const p = new Trace(t);
  p.accept({ mss: 1000 });
  p.script(`
    write "x"
    > PA 1 "x"
  `);
  for (let i = 0; i < 30; i++) p.write(99);
  p.script(`
    > A 2:1002
    > A 1002:2002
    < A 1 ack 2002
    > PA 2002:2972
  `);
});

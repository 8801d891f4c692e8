/** What the path carries: told by routers, found out where they say nothing, and believed for a while. */
import t from 'tap';
import type { Test } from 'tap';
import { MTU_FIXED, MTU_FOUND, MTU_SEARCH, MTU_TOLD, RECOVERY_OPEN } from '../../lib/tcp/conn/state.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import { Trace } from './trace.js';
import type { TraceOptions } from './trace.js';

const RTT_MS = 20;
const FRAGMENTATION_NEEDED = 4;
const HEADERS = 40;

/** A peer behind a path that carries packets of so many bytes, and drops larger ones; a router may tell of it, or not. */
class Path {
  readonly p: Trace;
  mtu: number;
  tells = false;
  /** Nothing gets through. */
  down = false;
  /** Largest payload that got through, and sizes of the segments that did not, in the order in which they left. */
  arrived = 0;
  readonly dropped: number[] = [];
  readonly #sack: boolean;
  /** What has arrived, as byte ranges in order. */
  #ranges: [number, number][] = [[0, 1]];

  constructor(t: Test, mtu: number, options: TraceOptions = {}, sack = true, mss = 1460) {
    this.p = new Trace(t, options);
    this.mtu = mtu;
    this.#sack = sack;
    this.p.accept({ mss, sackOk: sack, ws: 7 }, { win: 32_000 });
  }

  get tcb(): Tcb { return this.p.stack.tcb.at(this.p.flow); }
  get acked(): number { return this.#ranges[0]![1]; }

  /** One round trip: what has left arrives, or not, and is acknowledged. */
  trip(): void {
    const { p } = this;
    const before = this.acked;
    for (const { seq, length } of p.discard()) {
      const at = (seq - p.iss) | 0;
      if (this.down || length + HEADERS > this.mtu) {
        this.dropped.push(length);
        if (this.tells && !this.down) p.icmp(3, FRAGMENTATION_NEEDED, at, this.mtu);
        continue;
      }
      if (length === 0) continue;
      this.arrived = Math.max(this.arrived, length);
      this.#add(at, at + length);
      const blocks = this.#sack ? this.#ranges.slice(1, 4) : [];
      // One acknowledgement for each segment, all at the end of the trip.
      p.put({ flags: 'A', seq: 1, ack: this.acked, win: 32_000, ...(blocks.length > 0 ? { sack: blocks } : {}) });
    }
    p.advance(RTT_MS);
    if (before === this.acked && this.p.device.sent.length === 0) p.turn();
  }

  trips(count: number): void {
    for (let trip = 0; trip < count; trip++) this.trip();
  }

  /** Writes and lets it arrive, `bytes` in all. Returns the bytes that were sent in more than one way. */
  transfer(bytes: number): void {
    const end = 1 + this.tcb.written + bytes;
    for (let left = bytes, idle = 0; this.acked < end && idle < 100_000;) {
      const room = 200_000 - ((this.tcb.written - this.tcb.acknowledged) | 0);
      const now = Math.min(left, room);
      if (now > 0) this.p.write(now);
      left -= Math.max(now, 0);
      this.trip();
      idle++;
    }
    this.p.t.equal(this.acked, end, 'everything arrives');
  }

  #add(start: number, end: number): void {
    const all = [...this.#ranges, [start, end] as [number, number]].sort((a, b) => a[0] - b[0]);
    const merged: [number, number][] = [];
    for (const [from, to] of all) {
      const last = merged.at(-1);
      if (last !== undefined && from <= last[1]) last[1] = Math.max(last[1], to);
      else merged.push([from, to]);
    }
    this.#ranges = merged;
  }
}

for (const sack of [true, false]) {
  const kind = sack ? 'with SACK' : 'without SACK';

  t.test(`RFC 1191 6.4, RFC 8201 5.4: ${kind}: what did not fit is sent again at once, in the size told, and the window stays`, async (t) => {
    const path = new Path(t, 1500, {}, sack);
    path.transfer(100_000);
    const { cwnd, ssthresh } = path.tcb;
    path.mtu = 1200;
    path.tells = true;
    path.p.write(20_000);
    path.trip();
    t.equal(path.tcb.sndMss, 1160);
    t.equal(path.tcb.mtuState, MTU_TOLD);
    const again = path.p.discard();
    t.ok(again.length > 5 && again.every(({ length }) => length <= 1160), 'all of it goes again in the same instant');
    t.ok(path.tcb.cwnd >= cwnd && path.tcb.ssthresh === ssthresh, 'not congestion');
    t.equal(path.p.stat('TcpExtTCPTimeouts'), 0);
  });

  t.test(`RFC 4821 7.7, RFC 2923 2.1: ${kind}: a black hole: full segments time out three times, then smaller ones go, and larger ones are tried`, async (t) => {
    const path = new Path(t, 1500, {}, sack);
    path.transfer(50_000);
    path.mtu = 1400;
    path.transfer(600_000);
    t.equal(path.p.stat('TcpExtTCPMTUPBlackHole'), 1);
    t.ok(1360 - path.tcb.sndMss < 8 && path.tcb.sndMss <= 1360, `found ${path.tcb.sndMss} of 1360 bytes`);
    t.equal(path.tcb.mtuState, MTU_FOUND, 'the search has come to its end');
    const { dropped } = path;
    t.ok(path.p.stat('TcpExtTCPMTUPSuccess') >= 2 && path.p.stat('TcpExtTCPMTUPFail') >= 2);
    t.ok(path.p.stat('TcpExtTCPMTUPSuccess') + path.p.stat('TcpExtTCPMTUPFail') <= 8, 'a search by halves');
    path.transfer(300_000);
    t.equal(path.dropped.length, dropped.length, 'nothing more is lost');
  });

  t.test(`RFC 4821 7.5, 7.6: ${kind}: a larger segment that is lost is no sign of congestion, and its bytes go again in small ones`, async (t) => {
    const path = new Path(t, 1500, { limits: { mtuProbing: 'always' } }, sack);
    path.mtu = 1200;
    t.equal(path.tcb.sndMss, 1024, 'the base, before anything is known');
    path.transfer(400_000);
    t.ok(1160 - path.tcb.sndMss < 8 && path.tcb.sndMss <= 1160, `found ${path.tcb.sndMss} of 1160 bytes`);
    t.equal(path.tcb.ssthresh, 0x7fffffff, 'the window was never reduced');
    t.equal(path.p.stat('TcpExtTCPTimeouts'), 0);
    t.equal(path.p.stat('TcpExtTCPMTUPFail'), path.dropped.length, 'each loss was a trial');
    t.equal(path.tcb.recovery, RECOVERY_OPEN);
  });

  t.test(`RFC 4821 7.3: ${kind}: one larger segment at a time, with four behind it, as far as data and window allow`, async (t) => {
    const path = new Path(t, 1500, { limits: { mtuProbing: 'always' } }, sack);
    path.transfer(4000);
    t.equal(path.arrived, 1024, 'too little to send: no trial');
    path.p.write(20_000);
    const large = path.p.discard();
    t.strictSame(large.slice(0, 6).map(({ length }) => length), [1460, 1024, 1024, 1024, 1024, 1024]);
    t.equal(large.filter(({ length }) => length > 1024).length, 1);
  });
}

t.test('RFC 4821 7.7: a path that was down is no black hole for long: the first trial is of the full size', async (t) => {
  const path = new Path(t, 1500);
  path.transfer(50_000);
  path.down = true;
  path.p.write(20_000);
  path.trips(150);
  t.equal(path.tcb.sndMss, 1024);
  path.down = false;
  path.transfer(200_000);
  t.equal(path.tcb.sndMss, 1460);
  t.equal(path.p.stat('TcpExtTCPMTUPSuccess'), 1);
  t.equal(path.p.stat('TcpExtTCPMTUPFail'), 0);
});

t.test('RFC 4821 7.7: small segments that time out say nothing about the path', async (t) => {
  const path = new Path(t, 1500);
  path.transfer(1000);
  path.down = true;
  path.p.write(900);
  path.trips(300);
  t.ok(path.tcb.retries > 3);
  t.equal(path.tcb.sndMss, 1460);
  t.equal(path.tcb.mtuState, MTU_FIXED);
});

t.test('a path that does not even carry the base: further timeouts lower it, no further than 552 bytes', async (t) => {
  const path = new Path(t, 1500);
  path.transfer(50_000);
  path.mtu = 600;
  path.transfer(100_000);
  t.ok(path.tcb.sndMss >= 512 && path.tcb.sndMss <= 560, `${path.tcb.sndMss} bytes`);
  path.down = true;
  path.p.write(20_000);
  path.trips(1000);
  t.ok(path.tcb.sndMss >= 512, `${path.tcb.sndMss} bytes after ${path.tcb.retries} timeouts`);
});

t.test('RFC 8200 5: over IPv6 segments get no smaller than what 1280 bytes hold, whatever disappears', async (t) => {
  const path = new Path(t, 1500, { ipv6: true }, true, 1440);
  path.transfer(50_000);
  t.equal(path.tcb.sndMss, 1440);
  path.down = true;
  path.p.write(20_000);
  path.trips(1000);
  t.ok(path.tcb.retries > 4);
  t.equal(path.tcb.sndMss, 1220);
});

t.test('mtuProbing off: a black hole ends the connection in the end, as RFC 2923 2.1 tells', async (t) => {
  const path = new Path(t, 1500, { limits: { mtuProbing: 'off', dataRetries: 5 } });
  path.transfer(50_000);
  path.mtu = 1400;
  path.p.write(20_000);
  path.trips(2000);
  t.equal(path.p.stat('TcpExtTCPAbortOnTimeout'), 1);
  t.equal(path.p.stat('TcpExtTCPMTUPBlackHole'), 0);
});

t.test('RFC 4821 7.7: ten minutes after a search the full size is tried again', async (t) => {
  const path = new Path(t, 1500, { limits: { mtuProbing: 'always' } });
  path.mtu = 1300;
  path.transfer(900_000);
  t.equal(path.tcb.mtuState, MTU_FOUND);
  t.ok(path.tcb.sndMss <= 1260);
  path.mtu = 1500;
  path.transfer(400_000);
  t.ok(path.tcb.sndMss <= 1260, 'not before');
  path.p.advance(600_000);
  path.transfer(400_000);
  t.equal(path.tcb.sndMss, 1460);
});

t.test('RFC 1191 6.3: ten minutes after a router has told of a smaller MTU the former one is used again', async (t) => {
  const path = new Path(t, 1200);
  path.tells = true;
  path.transfer(50_000);
  t.equal(path.tcb.sndMss, 1160);
  path.p.advance(500_000);
  path.transfer(50_000);
  t.equal(path.tcb.sndMss, 1160, 'not before');
  const lost = path.dropped.length;
  path.p.advance(102_000);
  path.transfer(50_000);
  t.ok(path.dropped.length > lost, 'it was tried');
  t.equal(path.tcb.sndMss, 1160, 'and the router has told again');
  path.mtu = 1500;
  path.p.advance(602_000);
  path.transfer(50_000);
  t.equal(path.tcb.sndMss, 1460);
  t.equal(path.tcb.mtuState, MTU_FIXED);
});

t.test('RFC 1191 6.3: a congestion window of one small segment does not hold the larger ones back', async (t) => {
  const path = new Path(t, 1400);
  const { p } = path;
  path.tells = true;
  path.transfer(20_000);
  t.equal(path.tcb.sndMss, 1360);
  // A loss that only the timeout finds.
  p.write(1360);
  p.discard();
  p.advance(1000);
  t.equal(path.tcb.cwnd, 1360);
  p.discard();
  p.inject({ flags: 'A', seq: 1, ack: 1 + path.tcb.written, win: 32_000 });
  p.advance(700_000);
  // As it stays where little is sent.
  path.tcb.cwnd = 1360;
  p.write(5000);
  t.ok(p.discard().length > 0, 'something leaves');
  t.equal(path.tcb.sndMss, 1460);
  t.ok(path.tcb.cwnd >= 1460);
  p.abort();
  p.discard();
  p.leftNothing();
});

t.test('RFC 5927 7: a forged MTU makes segments no smaller than those of 552 bytes, and larger ones none larger', async (t) => {
  const path = new Path(t, 1500);
  path.transfer(10_000);
  path.p.write(20_000);
  path.p.icmp(3, FRAGMENTATION_NEEDED, path.acked, 9000);
  t.equal(path.tcb.sndMss, 1460);
  path.p.icmp(3, FRAGMENTATION_NEEDED, path.acked, 68);
  t.equal(path.tcb.sndMss, 512);
  path.p.icmp(3, FRAGMENTATION_NEEDED, path.acked, 1400);
  t.equal(path.tcb.sndMss, 512);
});

t.test('RFC 1191 4: a router that names no MTU: the next smaller one that links have', async (t) => {
  const path = new Path(t, 1500);
  path.transfer(10_000);
  path.p.write(20_000);
  path.p.icmp(3, FRAGMENTATION_NEEDED, path.acked, 0);
  t.equal(path.tcb.sndMss, 1492 - HEADERS);
});

t.test('RFC 4821 7.2: a router that tells of the MTU during a search shortens it', async (t) => {
  const path = new Path(t, 1500, { limits: { mtuProbing: 'always' } });
  path.mtu = 1300;
  path.tells = true;
  path.transfer(400_000);
  t.equal(path.tcb.sndMss, 1260);
  t.equal(path.tcb.ssthresh, 0x7fffffff);
  t.ok(path.dropped.length <= 2, `${path.dropped.length} trials were lost`);
});

t.test('RFC 4821 7.3: jumbo frames: Ethernet is tried before anything between', async (t) => {
  const path = new Path(t, 1500, { mtu: 9000, limits: { mtuProbing: 'always' } }, true, 8960);
  path.transfer(3_000_000);
  t.equal(path.dropped[0], 8960);
  t.equal(path.tcb.mtuState === MTU_SEARCH || path.tcb.mtuState === MTU_FOUND, true);
  t.equal(path.tcb.sndMss, 1460);
});

t.test('RFC 4821 7.2: super-segments are cut to the size that was found, and a trial is cut by nobody', async (t) => {
  const path = new Path(t, 1500, { segmentation: 65535, limits: { mtuProbing: 'always' } });
  path.p.device.sizes.length = 0;
  path.p.write(20_000);
  const { sizes } = path.p.device;
  const sent = path.p.discard();
  t.strictSame(sent.slice(0, 1).map(({ length }) => length), [1460]);
  t.equal(sizes[0], 0, 'one segment');
  t.ok(sent.slice(1).every(({ length }, index) => length <= 1024 || sizes[index + 1] === 1024), 'the others are cut');
});

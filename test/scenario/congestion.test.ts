/** Congestion control: CUBIC and HyStart++ by their numbers, and what TcpInfo tells of it. */
import t from 'tap';
import { Cubic } from '../../lib/tcp/conn/cc/cubic.js';
import { tcpInfo } from '../../lib/tcp/conn/info.js';
import { CWND_LIMITED } from '../../lib/tcp/conn/state.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Trace } from './trace.js';

const MSS = 1000;

/** A flow that only congestion control looks at. */
function record(): Tcb {
  const tcb = new Tcb(new Int32Array(TCB_WORDS), 0);
  tcb.sndMss = MSS;
  tcb.mark(CWND_LIMITED);
  return tcb;
}

/** Round trips of `rttMs` in each of which the whole window is acknowledged, segment by segment, for `ms`. Returns the clock. */
function rounds(cubic: Cubic, tcb: Tcb, from: number, ms: number, rttMs: number): number {
  let now = from;
  for (; now < from + ms; now += rttMs) {
    const window = tcb.cwnd;
    for (let sent = 0; sent < window; sent += MSS) {
      tcb.sndUna = (tcb.sndUna + MSS) | 0;
      cubic.acknowledged(tcb, MSS, now + Math.floor((rttMs * sent) / window), rttMs * 1000);
    }
    tcb.sndNxt = (tcb.sndUna + tcb.cwnd) | 0;
  }
  return now;
}

t.test('MAY-18, RFC 9438 4.2, 4.6: 0.7 of the window at a loss; its former size after K; beyond it, slowly, then faster', async (t) => {
  const cubic = new Cubic();
  const tcb = record();
  cubic.begin(tcb);
  tcb.cwnd = 500 * MSS;
  tcb.srtt = 100_000;
  cubic.lost(tcb);
  t.equal(tcb.ssthresh, 350 * MSS);
  tcb.cwnd = tcb.ssthresh;
  // K = cbrt(500 × 0.3 / 0.4) s = 7.21 s.
  let now = rounds(cubic, tcb, 0, 3600, 100);
  const half = tcb.cwnd / MSS;
  // W_cubic(K/2) = 500 - 0.4 × 3.6^3.
  t.ok(half > 475 && half < 490, `concave: ${half}`);
  now = rounds(cubic, tcb, now, 3600, 100);
  t.ok(tcb.cwnd > 495 * MSS && tcb.cwnd < 505 * MSS, `the plateau: ${tcb.cwnd / MSS}`);
  now = rounds(cubic, tcb, now, 3600, 100);
  const third = tcb.cwnd / MSS;
  t.ok(third > 512 && third < 530, `convex: ${third}`);
  t.test('RFC 9438 4.7: fast convergence: a loss below the last peak gives up more', async (t) => {
    tcb.cc2 = 600 * MSS;
    tcb.cwnd = 400 * MSS;
    cubic.lost(tcb);
    t.equal(tcb.cc2, 340 * MSS);
    t.equal(tcb.ssthresh, 280 * MSS);
  });
  t.test('RFC 9438 5.8: what was not asked for does not let it grow', async (t) => {
    tcb.cwnd = tcb.ssthresh;
    tcb.unmark(CWND_LIMITED);
    rounds(cubic, tcb, now, 10_000, 100);
    t.equal(tcb.cwnd, 280 * MSS);
  });
});

t.test('RFC 9438 4.3: on a short path it is as fast as Reno', async (t) => {
  const cubic = new Cubic();
  const tcb = record();
  cubic.begin(tcb);
  tcb.cwnd = 40 * MSS;
  tcb.srtt = 10_000;
  cubic.lost(tcb);
  tcb.cwnd = tcb.ssthresh;
  rounds(cubic, tcb, 0, 200, 10);
  // 28 segments, and 0.53 of one in each of 20 round trips.
  t.ok(tcb.cwnd >= 38 * MSS && tcb.cwnd <= 40 * MSS, `${tcb.cwnd / MSS}`);
});

t.test('RFC 9438 4.8, 4.9: after a timeout slow start to 0.7 of the window; undone, it is what it was', async (t) => {
  const cubic = new Cubic();
  const tcb = record();
  cubic.begin(tcb);
  tcb.cwnd = 100 * MSS;
  cubic.timeout(tcb, 100 * MSS, true);
  t.equal(tcb.cwnd, MSS);
  t.equal(tcb.ssthresh, 70 * MSS);
  cubic.timeout(tcb, MSS, false);
  t.equal(tcb.ssthresh, 70 * MSS);
  rounds(cubic, tcb, 0, 600, 100);
  t.ok(tcb.cwnd >= 64 * MSS && tcb.cwnd <= 71 * MSS, 'doubled each round trip, up to ssthresh');
  rounds(cubic, tcb, 600, 2000, 100);
  const inSearch = tcb.cwnd;
  t.ok(inSearch < 85 * MSS, `${inSearch / MSS}: no faster than Reno at first, not back to the 100 of before`);
});

t.test('RFC 9406 4.2: slow start goes on at a quarter of its pace where the delay grows, and ends after five rounds', async (t) => {
  const cubic = new Cubic();
  const tcb = record();
  cubic.begin(tcb);
  tcb.sndNxt = 10 * MSS;
  let now = rounds(cubic, tcb, 0, 90, 30);
  t.equal(tcb.cwnd, 80 * MSS, 'doubled in each of three rounds');
  now = rounds(cubic, tcb, now, 30, 36);
  const entered = tcb.cwnd;
  t.ok(entered < 160 * MSS, `${entered / MSS}: 6 ms more than the 30 before, the threshold is 4`);
  t.equal(tcb.ssthresh, 0x7fffffff);
  t.test('back to slow start where the delay was a passing one', async (t) => {
    const copy = record();
    copy.words.set(tcb.words);
    rounds(cubic, copy, now, 60, 30);
    t.ok(copy.cwnd > 3 * entered, `${copy.cwnd / MSS}`);
  });
  rounds(cubic, tcb, now, 5 * 36, 36);
  t.ok(tcb.ssthresh < 0x7fffffff, 'congestion avoidance');
  t.ok(tcb.cwnd < 3.2 * entered, `${tcb.cwnd / MSS}: 1.25^5 at most`);
});

t.test('TcpInfo: what any thread may know of a connection', async (t) => {
  const p = new Trace(t);
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: 1000, sackOk: true, ws: 7 });
  p.expect({ flags: 'SA' });
  p.advance(20);
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 1000 });
  p.discard();
  const view = new Tcb(p.stack.tcb.words, 0);
  const flow = p.flow;
  p.write(12_000);
  p.advance(20);
  p.inject({ flags: 'A', seq: 1, ack: 2001, win: 1000, data: 'hello', sack: [[4001, 7001]] });
  const info = tcpInfo(view, flow)!;
  t.match(info, {
    state: 'ESTABLISHED', congestionState: 'recovery', sack: true, timestamps: false, windowScaling: true, sendMss: 1000,
    rttUs: 20_000, minRttUs: 20_000, slowStartThreshold: 7000, sendWindow: 128_000, sacked: 3000, retransmits: 2,
    bytesRetransmitted: 2000, bytesLost: 2000, bytesDelivered: 5000, bytesAcknowledged: 2000, bytesReceived: 5, lost: 0,
    reordering: false, timeouts: 0, notSent: 0, unacknowledged: 10_000,
  });
  p.abort();
  t.not(tcpInfo(view, flow)?.state, 'ESTABLISHED');
  t.equal(tcpInfo(view, 9), null);
});

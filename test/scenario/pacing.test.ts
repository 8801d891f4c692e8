/** Pacing: what the window allows leaves in steps, not at once. */
import t from 'tap';
import type { Test } from 'tap';
import type { StackLimits } from '../../lib/tcp/limits.js';
import { Trace } from './trace.js';

const MSS = 1000;

/** A connection on a path of 20 ms, with a window of ten segments. */
function open(t: Test, limits: Partial<StackLimits>): Trace {
  const p = new Trace(t, { limits });
  p.listen();
  p.inject({ flags: 'S', seq: 0, mss: MSS, sackOk: true, ws: 7 });
  p.expect({ flags: 'SA' });
  p.advance(20);
  p.inject({ flags: 'A', seq: 1, ack: 1, win: 4000 });
  return p;
}

/** ms at which each segment leaves, and how many then. */
function steps(p: Trace, ms: number): [number, number][] {
  const from = p.now;
  p.advance(ms);
  const found = new Map<number, number>();
  for (const { time, length } of p.discard()) {
    const at = Math.round((time - from) / 100) / 10;
    if (length > 0) found.set(at, (found.get(at) ?? 0) + 1);
  }
  return [...found];
}

t.test('RFC 9406 4.2, RFC 6928 2: a paced slow start sends two windows in a round trip, two segments at a time', async (t) => {
  const p = open(t, { pacing: true });
  p.write(30 * MSS);
  t.same(steps(p, 15), [[0, 2], [2, 2], [4, 2], [6, 2], [8, 2]], 'ten segments in 20 ms are one each 2 ms, and twice that');
});

t.test('a paced flow above ssthresh sends 1.2 windows in a round trip', async (t) => {
  const p = open(t, { pacing: true });
  p.stack.tcb.at(p.flow).ssthresh = 10 * MSS;
  p.write(30 * MSS);
  t.same(steps(p, 18), [[0, 2], [3.4, 2], [6.7, 2], [10.1, 2], [13.4, 2]]);
});

t.test('a flow can be paced by itself, to a rate, and no more', async (t) => {
  const p = open(t, {});
  p.stack.settings.setPacing(p.flow, 100_000);
  p.write(6 * MSS);
  t.same(steps(p, 45), [[0, 2], [20, 2], [40, 2]]);
  p.inject({ flags: 'A', seq: 1, ack: 6 * MSS + 1, win: 4000 });
  p.stack.settings.setPacing(p.flow, -1);
  p.write(6 * MSS);
  t.same(steps(p, 10), [[0, 6]]);
});

/**
 * How large the receive buffer is: it follows what the reader takes in a round trip (dynamic right-sizing: Fisk and Feng,
 * 2001), so a long fat path fills, and a slow reader gets no large buffer. It bounds what the peer may send; memory is
 * held only for bytes that are there.
 */
import type { Core } from './core.js';
import { tsNow } from './output.js';
import { before } from './seq.js';
import { TIMESTAMPS_ON } from './state.js';
import type { Tcb } from './tcb.js';

/** Segments that a peer begins with (RFC 6928): what the first round trip is measured by. */
const INITIAL_SEGMENTS = 10;
/** A reader that looks more seldom than this, in µs, is slow, and no longer counts as held up by the buffer. */
const PATIENCE_US = 200_000;

/** The connection is established: begins to measure. */
export function beginReceive(core: Core, t: Tcb): void {
  t.rcvRtt = t.srtt;
  t.rcvSpace = Math.min(INITIAL_SEGMENTS * t.rcvMss, t.rcvBuf);
  t.rcvSpaceAt = core.us;
  t.rcvSpaceFrom = t.consumed;
  beginTrip(core, t);
}

/** What leaves from now on will be answered a round trip later: by an echo of its time, or by the end of the window. */
function beginTrip(core: Core, t: Tcb): void {
  t.rcvRttMark = t.has(TIMESTAMPS_ON) ? (tsNow(core, t) + 1) | 0 : t.rcvAdv;
  t.rcvRttAt = core.us;
}

/** The segment at hand has brought bytes in order: is it the answer to what began the measurement? */
export function timeTrip(core: Core, t: Tcb): void {
  if (before(t.has(TIMESTAMPS_ON) ? core.segment.options.tsEcr : t.rcvNxt, t.rcvRttMark)) return;
  const trip = Math.max((core.us - t.rcvRttAt) | 0, 1);
  const rtt = t.rcvRtt;
  if (rtt === 0) t.rcvRtt = trip;
  // A peer that had nothing to send for a while says little, so the estimate rises by an eighth at most.
  else t.rcvRtt = Math.max(rtt + (Math.min(trip - rtt, rtt) >> 3), 1);
  beginTrip(core, t);
}

/** The owner has read on: once in a round trip the buffer is looked at. */
export function rightSize(core: Core, t: Tcb): void {
  const elapsed = (core.us - t.rcvSpaceAt) | 0;
  if (t.rcvRtt === 0 || (elapsed >= 0 && elapsed < t.rcvRtt)) return;
  let copied = (t.consumed - t.rcvSpaceFrom) | 0;
  const patience = Math.max(2 * t.rcvRtt, PATIENCE_US);
  if (elapsed < 0 || elapsed > patience) copied = elapsed < 0 ? 0 : (copied * patience / elapsed) | 0;
  t.rcvSpaceAt = core.us;
  t.rcvSpaceFrom = t.consumed;
  const available = core.payload.receiveRoom();
  if (t.rcvBuf > available) t.rcvBuf = Math.min(t.rcvBuf, Math.max(available, core.limits.receiveBufferInitial));
  if (copied <= t.rcvSpace) return;
  // Twice that, so that the window holds nobody up; in slow start what is on the way now is twice as much already, and
  // what it makes the peer send twice that again.
  const wanted = 2 * copied + 4 * (copied - t.rcvSpace);
  t.rcvSpace = copied;
  if (wanted > t.rcvBuf) t.rcvBuf = Math.max(Math.min(wanted, t.rcvBufMax, available), t.rcvBuf);
}

/** Memory for arriving bytes is short: the window grows no further than what a flow begins with. */
export function relieve(core: Core, t: Tcb): void {
  t.rcvBuf = Math.min(t.rcvBuf, core.limits.receiveBufferInitial);
  t.rcvSpace = Math.min(t.rcvSpace, t.rcvBuf);
}

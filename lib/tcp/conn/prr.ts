/** Proportional rate reduction (RFC 9937, before it RFC 6937): how much is sent for each acknowledgement in fast recovery. */
import { pipe } from './runs.js';
import type { Tcb } from './tcb.js';

/** Recovery begins. */
export function beginPrr(t: Tcb): void {
  t.prrDelivered = 0;
  t.prrOut = 0;
  t.prrFlight = Math.max((t.sndNxt - t.sndUna) | 0, 1);
}

/**
 * Sets `cwnd` to what is in the network and what may join it, after `delivered` bytes have left it.
 *
 * @param safe the acknowledgement moved on and showed no further loss: only then the window is filled up by more than what
 *   was delivered (SafeACK of RFC 9937).
 */
export function proportion(t: Tcb, delivered: number, safe: boolean): void {
  t.prrDelivered += delivered;
  const inNetwork = pipe(t);
  const below = t.ssthresh - inNetwork;
  let more: number;
  if (below < 0) {
    more = Math.ceil((t.prrDelivered * t.ssthresh) / t.prrFlight) - t.prrOut;
  } else {
    more = Math.min(Math.max(t.prrDelivered - t.prrOut, delivered) + (safe ? t.sndMss : 0), below);
  }
  // The first retransmission leaves in any case.
  const least = t.prrOut > 0 ? 0 : t.sndMss;
  t.cwnd = Math.max(inNetwork + Math.max(more, least), t.sndMss);
}

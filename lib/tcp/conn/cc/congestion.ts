/**
 * Congestion control: how much may be in flight. It sets `cwnd` and `ssthresh`; recovery moves `cwnd` only between a
 * `lost` or `timeout` and the end of the repair. `cc0` to `cc13` are its own.
 */
import type { Tcb } from '../tcb.js';

export { UNLIMITED } from '../state.js';

export interface CongestionControl {
  /** The connection is established; `sndMss` is known. */
  begin(t: Tcb): void;
  /**
   * New data was acknowledged, outside fast recovery.
   *
   * @param acked bytes. @param ms the clock, int32 that wraps.
   * @param rtt a round-trip time that the acknowledgement showed, in µs, or -1.
   */
  acknowledged(t: Tcb, acked: number, ms: number, rtt: number): void;
  /** A loss was found: sets `ssthresh`. Fast recovery begins, and ends with that window. */
  lost(t: Tcb): void;
  /** The retransmission timer ran out, with `flight` bytes out; `first` where it is the first time for this data. */
  timeout(t: Tcb, flight: number, first: boolean): void;
  /** The last `lost` or `timeout` was a mistake; `cwnd` and `ssthresh` are again what they were. */
  undone(t: Tcb): void;
  /** Nothing was sent for longer than the retransmission timeout; `cwnd` is reduced already. */
  idle(t: Tcb): void;
}

/** Segments of the initial window, and bytes below which it may always reach that many (RFC 6928 2). */
const INITIAL_SEGMENTS = 10;
const INITIAL_BYTES = 14600;
/** Of `cwnd`. */
export const CWND_MAX = 1 << 30;

export function initialWindow(mss: number): number {
  return Math.min(INITIAL_SEGMENTS * mss, Math.max(2 * mss, INITIAL_BYTES));
}

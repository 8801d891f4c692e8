/** Congestion control: how much may be in flight. It alone writes `cwnd`, `ssthresh` and `cc0` to `cc3`. */
import type { Tcb } from '../tcb.js';

export interface CongestionControl {
  /** The connection is established; `sndMss` is known. */
  begin(t: Tcb): void;
  /** New data was acknowledged, `acked` bytes, outside fast recovery. */
  acknowledged(t: Tcb, acked: number): void;
  /** A loss was found by duplicate acknowledgements, with `flight` bytes out: fast recovery begins. */
  lost(t: Tcb, flight: number): void;
  /** One more duplicate acknowledgement in fast recovery: a segment has left the network. */
  inflate(t: Tcb): void;
  /** In fast recovery `acked` bytes were acknowledged, but not all that was out when it began. */
  partial(t: Tcb, acked: number): void;
  /** Fast recovery is over, with `flight` bytes out. */
  recovered(t: Tcb, flight: number): void;
  /** The retransmission timer ran out; `first` where it is the first time for this data. */
  timeout(t: Tcb, flight: number, first: boolean): void;
  /** Nothing was sent for longer than the retransmission timeout. */
  idle(t: Tcb): void;
}

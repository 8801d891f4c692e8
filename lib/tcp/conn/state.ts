/** The words of a connection's state: constants that more than one file of this folder names. */

/** States (RFC 9293 3.3.2), in the order of a life. FREE is no state of TCP: the record is not in use. */
export const FREE = 0;
export const CLOSED = 1;
export const SYN_SENT = 2;
export const SYN_RECEIVED = 3;
export const ESTABLISHED = 4;
export const FIN_WAIT_1 = 5;
export const FIN_WAIT_2 = 6;
export const CLOSE_WAIT = 7;
export const CLOSING = 8;
export const LAST_ACK = 9;
export const TIME_WAIT = 10;

/** Names of the states, by number. LISTEN has no flow: listeners are a table of their own. */
export const STATE_NAMES: readonly string[] = [
  'FREE', 'CLOSED', 'SYN-SENT', 'SYN-RECEIVED', 'ESTABLISHED', 'FIN-WAIT-1', 'FIN-WAIT-2', 'CLOSE-WAIT', 'CLOSING',
  'LAST-ACK', 'TIME-WAIT',
];

/** Event bits of `Tcb.events`: what has happened since the owner of the flow last cleared them. */
/** A passive open reached ESTABLISHED; `listener` says whose. */
export const EV_ACCEPTED = 1;
/** The active open is done. */
export const EV_CONNECTED = 2;
/** `received` has advanced. */
export const EV_READABLE = 4;
/** `acknowledged` has advanced. */
export const EV_ACKED = 8;
/** The peer's FIN was reached in order: `received` is the end of the stream. */
export const EV_EOF = 16;
/** The flow is dead; `error` says why. */
export const EV_ERROR = 32;
/** Both directions are done. */
export const EV_CLOSED = 64;
/** The stack is done with the record: it waits for `recycle`. */
export const EV_FREED = 128;

/** The peer has urgent data on its way, more than was known (RFC 9293 3.8.5): `Stack.urgentBytes` tells how much. */
export const EV_URGENT = 256;
/** Something that does not end the connection: `softError` says what (RFC 9293 3.9.1.8). Only where reports are on. */
export const EV_REPORT = 512;

/** Flag bits of `Tcb.flags`. */
/** Opened by `connect`. */
export const ACTIVE = 1 << 0;
/** The owner has been told of the flow (EV_ACCEPTED), or has made it (`connect`). */
export const OWNED = 1 << 1;
/** The owner has let go: `release` or `abort`. */
export const RELEASED = 1 << 2;
/** FIN follows what was written. */
export const FIN_QUEUED = 1 << 3;
/** The peer's FIN was reached in order. */
export const FIN_RECEIVED = 1 << 4;
/** The peer's FIN has arrived ahead of its turn: `finSeq` is its sequence number. */
export const FIN_KNOWN = 1 << 5;
/** An acknowledgement leaves with this turn. */
export const ACK_NOW = 1 << 6;
/** SYN or SYN-ACK is to be sent (again). */
export const SYN_DUE = 1 << 7;
/** The segment at `sndUna` is to be sent again. */
export const RETRANSMIT_NOW = 1 << 8;
/** RFC 7323 timestamps are in use. */
export const TIMESTAMPS_ON = 1 << 9;
/** The peer takes SACK blocks (RFC 2018). */
export const SACK_ON = 1 << 10;
/** Window scaling is in use, both ways (RFC 7323 2.2). */
export const SCALING_ON = 1 << 11;
/** Nagle's algorithm is off. */
export const NO_DELAY = 1 << 12;
export const KEEP_ALIVE = 1 << 13;
/** `rttSeq` and `rttAt` time a segment that was sent once (Karn). */
export const RTT_TIMING = 1 << 14;
/** The retransmission timer is in its other use: probing a window that is closed. */
export const PERSISTING = 1 << 15;
/** What held the last send back was cwnd: growth of it is earned (RFC 7661 4.1 says why). */
export const CWND_LIMITED = 1 << 16;
/** Data is answered with data, so acknowledgements may ride on it: no quick ones. */
export const INTERACTIVE = 1 << 17;
/** In the list of changed flows. */
export const IN_CHANGED = 1 << 18;
/** In the list of touched flows. */
export const IN_TOUCHED = 1 << 19;
/** In the queue of TIME-WAIT flows. */
export const IN_TIME_WAIT = 1 << 20;
/** In the queue of half-open flows of its listener. */
export const IN_HALF_OPEN = 1 << 21;
/** Counted among the orphans. */
export const IS_ORPHAN = 1 << 22;
/** The persist timer has run out: a segment smaller than silly-window avoidance wants may go. */
export const SWS_OVERRIDE = 1 << 23;
/** EV_FREED was reported: the record is idle and waits for `recycle`. */
export const RECYCLABLE = 1 << 24;
/** In the hash table of the demultiplexer. */
export const IN_DEMUX = 1 << 25;
/** To be freed when the list of touched flows lets go of it. */
export const FREE_PENDING = 1 << 26;
/** The retransmission timer is set for a tail loss probe (RFC 8985 7.2). */
export const PROBING = 1 << 27;
/** A tail loss probe is out: `tlpEnd` tells what answers it. */
export const TLP_OUT = 1 << 28;
/** It carried bytes that had been sent before. */
export const TLP_RETRANS = 1 << 29;
/** Segments of this flow have changed places (RACK.reordering_seen). */
export const REORDERED = 1 << 30;
/** The next empty segment tells of bytes that came twice: `dsackStart` to `dsackEnd` (RFC 2883). */
export const DSACK_DUE = 1 << 31;

/** Timer bits of `Tcb.timers`. */
/** Retransmission, or zero-window probe with PERSISTING. */
export const TIMER_RETRANSMIT = 1;
/** Delayed acknowledgement. */
export const TIMER_ACK = 2;
/** Keepalive, FIN-WAIT-2 or TIME-WAIT: they follow one another. */
export const TIMER_LIFE = 4;
/** Segments that may only be late count as lost when it runs out (RFC 8985 6.2 step 5). */
export const TIMER_REORDER = 8;
/** The next step of a flow that is paced. */
export const TIMER_PACE = 16;

/** Values of `Tcb.recovery`. */
/** No loss is being repaired. */
export const RECOVERY_OPEN = 0;
/** Fast recovery: by the scoreboard, or RFC 6582 for a peer without SACK. */
export const RECOVERY_FAST = 1;
/** After a retransmission timeout. Without SACK everything from `rtxNxt` to `recover` counts as lost. */
export const RECOVERY_LOSS = 2;
/** The window shrinks as in fast recovery, because a router has marked a packet; nothing is lost (RFC 3168 6.1.2). */
export const RECOVERY_CWR = 3;

/** Values of `Tcb.frto`. */
/** The timeout is taken for what it was, or there was none. */
export const FRTO_OFF = 0;
/** What the next acknowledgements say tells whether it was spurious. */
export const FRTO_WATCH = 1;
/** Something new is to be sent now, rather than what counts as lost. */
export const FRTO_NEW = 2;

/** Of `ssthresh` before the first loss: beyond any window that the peer can offer. */
export const UNLIMITED = 0x7fffffff;

/** Bits of `Tcb.hold`: an incomplete segment waits for what follows it. */
/** Until the owner lets it go, or for one RTO (Linux: TCP_CORK). */
export const HOLD_CORK = 1;
/** Until the next write, or the next acknowledgement (Linux: MSG_MORE). */
export const HOLD_MORE = 2;
/** Either of them. */
export const HOLD_ANY = HOLD_CORK | HOLD_MORE;
/** No reason to wait: what was written last was written with more to come, so it is not pushed (PSH). */
export const UNPUSHED = 4;

/** Bits of `Tcb.asides`. */
/** Urgent data was written, up to `sndUp`, and is not acknowledged as far as that. */
export const URGENT_OUT = 1;
/** The peer has told of urgent data, up to `rcvUp`. */
export const URGENT_IN = 2;
/** The owner wants to hear of soft errors by EV_REPORT. */
export const REPORTS_ON = 4;
/** The owner has let go, and there are bytes that it has not read: a reset follows once the peer has what was written. */
export const RESET_DUE = 8;
/** The owner has let go, and somebody still writes for it. */
export const WRITES_ON = 16;

/** Values of `Tcb.mtuState`: how `sndMss` has come about (mtu.ts). */
/** By the handshake. */
export const MTU_FIXED = 0;
/** A router has told of a smaller one, which is believed until `mtuAt`. */
export const MTU_TOLD = 1;
/** The path carries it; larger segments are tried, up to `probeHigh`. */
export const MTU_SEARCH = 2;
/** The path carries it, and no more, which is believed until `mtuAt`. */
export const MTU_FOUND = 3;

/** No flow, no range, no listener: the end of an intrusive list. */
export const NONE = -1;

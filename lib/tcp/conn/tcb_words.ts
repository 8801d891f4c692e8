/**
 * The transmission control block (RFC 9293 3.3.1): what is remembered of one connection, as int32 words of memory that
 * is handed in. Data only: tcb.ts reads and writes it, and what is done with it stands in the other files of this folder.
 *
 * One record is TCB_WORDS words; words not named are spare. Sequence numbers, positions and times wrap (seq.ts).
 */

/** Words of one record: eleven cache lines. */
export const TCB_WORDS = 176;

// Who.
/** Four words, network order within the word, IPv4 as ::ffff:a.b.c.d. */
export const LOCAL_ADDRESS = 0;
/** Four words, right behind the local ones. */
export const REMOTE_ADDRESS = 4;
/** 0 to 65535. */
export const LOCAL_PORT = 8;
/** 0 to 65535. */
export const REMOTE_PORT = 9;
/** FREE, CLOSED, SYN_SENT, ... (state.ts). */
export const STATE = 10;
/** Counts the uses of the record: bumped each time it is freed. */
export const GENERATION = 11;
/** Listener of a passive open, else NONE. */
export const LISTENER = 12;
/** EV_* bits since the owner of the flow cleared them. */
export const EVENTS = 13;
/** Errno with EV_ERROR, else 0. */
export const ERROR = 14;
/** Flag bits (state.ts). */
export const FLAGS = 15;

// Stream positions, in bytes from the one after the SYN.
/** End of the bytes received in order. */
export const RECEIVED = 16;
/** Up to here the owner has read. */
export const CONSUMED = 17;
/** Up to here the peer has acknowledged. */
export const ACKNOWLEDGED = 18;
/** Up to here the owner has written. */
export const WRITTEN = 19;

// Intrusive lists; a link names a flow, NONE is the end.
/** Chain of the demultiplexer; of the free list while FREE. */
export const HASH_NEXT = 20;
/** List of flows with events. */
export const CHANGED_NEXT = 21;
/** List of flows that need a send decision. */
export const TOUCHED_NEXT = 22;
/** Queue of TIME-WAIT flows, or of half-open flows of a listener. */
export const QUEUE_PREVIOUS = 23;
/** See queuePrevious. */
export const QUEUE_NEXT = 24;

// Send sequence space (RFC 9293 3.3.1).
/** Initial send sequence number. */
export const ISS = 25;
/** Oldest sequence number not acknowledged. */
export const SND_UNA = 26;
/** Next sequence number to send for the first time; a timeout does not pull it back. */
export const SND_NXT = 27;
/** Window of the peer in bytes, scaled, from sndUna. */
export const SND_WND = 28;
/** Sequence number of the segment that last updated the window. */
export const SND_WL1 = 29;
/** Acknowledgement number of that segment. */
export const SND_WL2 = 30;
/** Largest window that the peer has offered, in bytes (RFC 9293 3.8.6.2.1). */
export const SND_WND_MAX = 31;
/** Shift of the windows that the peer sends, 0 to 14. */
export const SND_WND_SHIFT = 32;
/** Largest payload of a segment in bytes, options allowed for. */
export const SND_MSS = 33;
/** End of the last segment that was smaller than sndMss (Minshall's form of Nagle). */
export const SND_SML = 34;

// Loss recovery and congestion control.
/** With RECOVERY_LOSS: next sequence number to send again. */
export const RTX_NXT = 35;
/** sndNxt when recovery began (RFC 6582). */
export const RECOVER = 36;
/** RECOVERY_* (state.ts). */
export const RECOVERY = 37;
/** Duplicate acknowledgements in a row. */
export const DUP_ACKS = 38;
/** Congestion window in bytes. */
export const CWND = 39;
/** Slow start threshold in bytes. */
export const SSTHRESH = 40;
/** Of the congestion control alone. */
export const CC_0 = 41;
/** Of the congestion control alone. */
export const CC_1 = 42;
/** Of the congestion control alone. */
export const CC_2 = 43;
/** Of the congestion control alone. */
export const CC_3 = 44;

// Round trip and retransmission timeout (RFC 6298).
/** Smoothed round-trip time in µs; 0 before the first measurement. */
export const SRTT = 45;
/** Its variation in µs. */
export const RTTVAR = 46;
/** Retransmission timeout before back-off, in µs. */
export const RTO = 47;
/** Doublings of it: the timer runs rto << backoff. */
export const BACKOFF = 48;
/** Timeouts since the peer last acknowledged something new. */
export const RETRIES = 49;
/** Zero-window or keepalive probes since the peer was last heard. */
export const PROBES = 50;
/** Doublings of the interval of zero-window probes. */
export const PERSIST_BACKOFF = 51;
/** With RTT_TIMING: the acknowledgement number that ends the measurement. */
export const RTT_SEQ = 52;
/** With RTT_TIMING: when it began, in µs of the core's clock. */
export const RTT_AT = 53;
/** When data was last sent, in ticks. */
export const SENT_AT = 54;
/** Segments sent again, in all. */
export const RETRANSMITTED = 55;

// Receive sequence space (RFC 9293 3.3.1).
/** Initial receive sequence number. */
export const IRS = 56;
/** Next sequence number expected. */
export const RCV_NXT = 57;
/** Right edge of the window as advertised: rcvNxt + RCV.WND. It never moves left. */
export const RCV_ADV = 58;
/** Shift of the windows that we send, 0 to 14. */
export const RCV_WND_SHIFT = 59;
/** Bytes the flow may hold for its reader now. */
export const RCV_BUF = 60;
/** Bound that rcvBuf may grow to. */
export const RCV_BUF_MAX = 61;
/** What ends the measurement of the peer's round trip: with timestamps the TSecr, else the sequence number. */
export const RCV_RTT_MARK = 62;
/** Size of the peer's full segments, as seen, in bytes. */
export const RCV_MSS = 63;
/** Acknowledgement number last sent (Last.ACK.sent of RFC 7323). */
export const LAST_ACK_SENT = 64;
/** Acknowledgements still to be sent at once. */
export const QUICK_ACKS = 65;
/** With FIN_KNOWN: sequence number of the peer's FIN. */
export const FIN_SEQ = 66;
/** First out-of-order range, or NONE. */
export const RANGES = 67;
/** How many. */
export const RANGE_COUNT = 68;
/** Sequence numbers within the ranges that last grew, latest first (RFC 2018 4). */
export const SACK_RECENT = 69;

// Timestamps (RFC 7323).
/** TS.Recent. */
export const TS_RECENT = 73;
/** When it was set, in s of the core's clock. */
export const TS_RECENT_AT = 74;
/** Added to the clock in ms to make TSval. */
export const TS_OFFSET = 75;

// Timers; deadlines in ticks of the core's clock.
/** TIMER_* bits that are armed. */
export const TIMERS = 76;
/** Of TIMER_RETRANSMIT. */
export const RETRANSMIT_AT = 77;
/** Of TIMER_ACK. */
export const ACK_AT = 78;
/** Of TIMER_LIFE. */
export const LIFE_AT = 79;

// Read and written with every acknowledgement, so they lie beside what else is (RFC 8985).
/** Least round-trip time of late in µs, 0 before the first. */
export const MIN_RTT = 80;
/** When it was measured, in s of the core's clock. */
export const MIN_RTT_AT = 81;

// Keepalive and rations; the other words of keepalive lie further on.
/** Probes without an answer before ETIMEDOUT. */
export const KEEP_COUNT = 82;
/** When a segment of the flow last arrived, in ticks. */
export const HEARD_AT = 83;
/** When an out-of-window segment was last answered, in ticks. */
export const INVALID_AT = 84;
/** When the neighbour was last confirmed, in ticks. */
export const CONFIRMED_AT = 85;

// Segments in flight and the scoreboard (RFC 2018, RFC 6675), where the peer takes SACK.
/** First run of what is in flight (runs.ts), or NONE. */
export const RUNS = 86;
/** Last one, or NONE. */
export const RUN_TAIL = 87;
/** Bytes in flight that the peer has by its SACK blocks. */
export const SACKED = 88;
/** Bytes in flight that count as lost and were not sent again since. */
export const LOST = 89;
/** End of the highest bytes that were ever sent again. */
export const RTX_HIGH = 90;
/** Bytes that the peer has by ACK or SACK, in all, modulo 2^32. */
export const DELIVERED = 91;

// RACK-TLP (RFC 8985).
/** RACK.xmit_ts: when the most recently sent of the delivered segments was sent, in µs of the core's clock. */
export const RACK_AT = 92;
/** RACK.end_seq: its end. */
export const RACK_END = 93;
/** RACK.rtt: its round-trip time in µs. */
export const RACK_RTT = 94;
/** RACK.fack: end of the highest bytes that the peer has. */
export const RACK_FACK = 95;

// Keepalive.
/** Idle time in ms. */
export const KEEP_IDLE = 96;
/** Between probes, in ms. */
export const KEEP_INTERVAL = 97;

// More of RACK-TLP.
/** Quarters of minRtt added to the reordering window. */
export const REO_MULT = 98;
/** Recoveries until they are taken back. */
export const REO_PERSIST = 99;
/** sndNxt when the last one was added. */
export const REO_ROUND = 100;
/** With TLP_OUT: sndNxt when the tail loss probe was sent. */
export const TLP_END = 101;

// Sending in recovery (RFC 6937), and its undoing (RFC 2883, RFC 4015).
/** Bytes delivered since recovery began. */
export const PRR_DELIVERED = 102;
/** Bytes sent since recovery began. */
export const PRR_OUT = 103;
/** Bytes in flight when it began (RecoverFS). */
export const PRR_FLIGHT = 104;
/** cwnd before the last reduction, 0 where it is not to be undone. */
export const UNDO_CWND = 105;
/** ssthresh before it. */
export const UNDO_SSTHRESH = 106;
/** sndUna at that time. */
export const UNDO_SEQ = 107;
/** Bytes sent again since then that no DSACK has shown to have been needless. */
export const UNDO_RETRANS = 108;
/** TSval of the first of them (RFC 3522). */
export const RETRANS_STAMP = 109;
/** With DSACK_DUE: first byte that arrived twice. */
export const DSACK_START = 110;
/** And the end of them. */
export const DSACK_END = 111;

// Counted for reports, modulo 2^32.
/** Bytes sent again. */
export const BYTES_RETRANSMITTED = 112;
/** Bytes that ever counted as lost. */
export const LOST_COUNT = 113;
/** DSACK blocks received. */
export const DSACKS = 114;
/** Acknowledgements that showed segments to have changed places. */
export const REORDERINGS = 115;

// More of the congestion control, and a timer.
/** Of the congestion control alone. */
export const CC_4 = 116;
/** Of the congestion control alone. */
export const CC_5 = 117;
/** Of the congestion control alone. */
export const CC_6 = 118;
/** Of the congestion control alone. */
export const CC_7 = 119;
/** Of the congestion control alone. */
export const CC_8 = 120;
/** Of the congestion control alone. */
export const CC_9 = 121;
/** Of the congestion control alone. */
export const CC_10 = 122;
/** Of the congestion control alone. */
export const CC_11 = 123;
/** Of the congestion control alone. */
export const CC_12 = 124;
/** Of the congestion control alone. */
export const CC_13 = 125;
/** Deadline of TIMER_REORDER, in ticks. */
export const REORDER_AT = 126;
/** FRTO_* (state.ts): is the timeout being looked into? */
export const FRTO = 127;

// Looked at with most segments, so they lie together: use of the congestion window (cc/validation.ts),
/** sndNxt when its use was last noted: from there on another window of data counts. */
export const USAGE_END = 128;
/** Most bytes in flight in this window of data, where cwnd did not limit them. */
export const FLIGHT_MAX = 129;
/** Most bytes in flight since `usedAt`. */
export const CWND_USED = 130;
/** When the window was last in use, or part of it given up, in ticks. */
export const USED_AT = 131;

// what is read in a round trip (conn/receive_buffer.ts),
/** Round trip as the receiver sees it, in µs; 0 before the first measurement. */
export const RCV_RTT = 132;
/** When the measurement of it began, in µs of the core's clock. */
export const RCV_RTT_AT = 133;
/** When the present round trip began, in µs of the core's clock. */
export const RCV_SPACE_AT = 134;
/** Position consumed then. */
export const RCV_SPACE_FROM = 135;

// and what is 0 for most flows.
/** Explicit congestion notification: bits of ecn.ts, 0 where it is not used. */
export const ECN = 136;
/** Pacing (cc/pacing.ts): 0 off, 1 by the congestion window, else bytes a second at most. */
export const PACING = 137;
/** HOLD_* (state.ts): why an incomplete segment waits. */
export const HOLD = 138;
/** DSCP of what is sent, where it stands in the IP header: the upper six bits of an octet. */
export const TRAFFIC_CLASS = 139;
/** MTU_* (state.ts). */
export const MTU_STATE = 140;
/** URGENT_* and REPORTS_ON (state.ts; RFC 9293 3.8.5, 3.9.1.8). */
export const ASIDES = 141;
/** The last error that did not end the connection, as an errno; 0: none since something was last acknowledged. */
export const SOFT_ERROR = 142;
/** Runs of the flow (runs.ts). */
export const RUN_COUNT = 143;

// More of the receive buffer's size, loss recovery and pacing (cc/pacing.ts).
/** Most bytes that were read in a round trip so far. */
export const RCV_SPACE = 144;
/** Bytes in flight that were sent again. */
export const RETRANS_OUT = 145;
/** By how many segments some were overtaken at most, 3 to 300; 0: none was (Linux: tcpi_reordering). */
export const REO_DEGREE = 146;
/** With pacing: when the next step may leave, in µs of the core's clock. */
export const PACE_AT = 147;
/** Deadline of TIMER_PACE, in ticks. */
export const PACE_DUE = 148;

// Options of the socket.
/** How long what was sent, or a closed window, may go without progress, in ms; 0: as the limits say (RFC 5482). */
export const USER_TIMEOUT = 149;
/** With retries, or once the window is probed: when the peer was first asked again, in ticks. */
export const ASKING_SINCE = 150;
/** How long a released flow stays in FIN-WAIT-2, in ms; 0: as the limits say; negative: not at all. */
export const FIN_WAIT = 151;
/** Bound of the segments of both directions in bytes, 0: none but the path's. */
export const MAX_SEGMENT = 152;

// The queue of established flows that the owner has not taken over.
/** Generation of the listener in whose queue the flow counts, or 0: in none. */
export const LISTENER_GENERATION = 153;

// The urgent mechanism (RFC 9293 3.8.5).
/** With URGENT_OUT: SND.UP, the sequence number that follows the last urgent byte written. */
export const SND_UP = 154;
/** With URGENT_IN: RCV.UP, the sequence number that follows the last urgent byte that the peer has told of. */
export const RCV_UP = 155;

// The largest segment that the path carries (conn/mtu.ts).
/** sndMss as the handshake has found it, in bytes. */
export const MSS_MOST = 156;
/** With MTU_SEARCH: largest payload that is still worth trying, in bytes. */
export const PROBE_HIGH = 157;
/** Payload of the larger segment that is out, in bytes; 0: none is. */
export const PROBE_SIZE = 158;
/** With probeSize: sequence number behind it. */
export const PROBE_END = 159;
/** With MTU_TOLD and MTU_FOUND: when to look again, in s of the core's clock. */
export const MTU_AT = 160;

// What the owner keeps back of the receive buffer.
/** Bytes of it that are not offered to the peer. */
export const RCV_HELD = 161;
/** Where windows may shrink: right edge of the window as last told; rcvAdv is the rightmost ever told. */
export const RCV_TOLD = 162;

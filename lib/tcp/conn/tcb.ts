/**
 * The transmission control block (RFC 9293 3.3.1): what is remembered of one connection, as int32 words of memory that
 * is handed in. Data only; what is done with it stands in the other files of this folder.
 *
 * One record is TCB_WORDS words; words not named are spare. Sequence numbers, positions and times wrap (seq.ts).
 */

/** Words of one record: eight cache lines. */
export const TCB_WORDS = 128;

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
/** Position consumed when rcvBuf last grew. */
export const RCV_GROWN = 62;
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

/**
 * A view of one record at a time: `tcb.at(flow).sndUna`. It is one object that moves, so a value that is needed after
 * the next `at` must be read before it. Any thread may have its own over the same memory.
 */
export class Tcb {
  readonly words: Int32Array;
  /** Word of flow 0. */
  readonly origin: number;
  /** Word of the flow at hand. */
  base: number;
  /** The flow at hand. */
  flow = 0;

  constructor(words: Int32Array, origin: number) {
    this.words = words;
    this.origin = origin;
    this.base = origin;
  }

  /** Moves to the record of `flow`. */
  at(flow: number): this {
    this.flow = flow;
    this.base = this.origin + flow * TCB_WORDS;
    return this;
  }

  /** Word of the local address, four words, followed by the remote one. */
  get localAt(): number { return this.base + LOCAL_ADDRESS; }
  /** Word of the remote address. */
  get remoteAt(): number { return this.base + REMOTE_ADDRESS; }

  /** True where any of the flag bits is set. */
  has(flag: number): boolean { return (this.words[this.base + FLAGS] & flag) !== 0; }
  /** Sets flag bits. */
  mark(flag: number): void { this.words[this.base + FLAGS] |= flag; }
  /** Clears flag bits. */
  unmark(flag: number): void { this.words[this.base + FLAGS] &= ~flag; }

  // Who.
  get localPort(): number { return this.words[this.base + LOCAL_PORT]; }
  set localPort(value: number) { this.words[this.base + LOCAL_PORT] = value; }
  get remotePort(): number { return this.words[this.base + REMOTE_PORT]; }
  set remotePort(value: number) { this.words[this.base + REMOTE_PORT] = value; }
  get state(): number { return this.words[this.base + STATE]; }
  set state(value: number) { this.words[this.base + STATE] = value; }
  get generation(): number { return this.words[this.base + GENERATION]; }
  set generation(value: number) { this.words[this.base + GENERATION] = value; }
  get listener(): number { return this.words[this.base + LISTENER]; }
  set listener(value: number) { this.words[this.base + LISTENER] = value; }
  get events(): number { return this.words[this.base + EVENTS]; }
  set events(value: number) { this.words[this.base + EVENTS] = value; }
  get error(): number { return this.words[this.base + ERROR]; }
  set error(value: number) { this.words[this.base + ERROR] = value; }
  get flags(): number { return this.words[this.base + FLAGS]; }
  set flags(value: number) { this.words[this.base + FLAGS] = value; }

  // Stream positions, in bytes from the one after the SYN.
  get received(): number { return this.words[this.base + RECEIVED]; }
  set received(value: number) { this.words[this.base + RECEIVED] = value; }
  get consumed(): number { return this.words[this.base + CONSUMED]; }
  set consumed(value: number) { this.words[this.base + CONSUMED] = value; }
  get acknowledged(): number { return this.words[this.base + ACKNOWLEDGED]; }
  set acknowledged(value: number) { this.words[this.base + ACKNOWLEDGED] = value; }
  get written(): number { return this.words[this.base + WRITTEN]; }
  set written(value: number) { this.words[this.base + WRITTEN] = value; }

  // Intrusive lists; a link names a flow, NONE is the end.
  get hashNext(): number { return this.words[this.base + HASH_NEXT]; }
  set hashNext(value: number) { this.words[this.base + HASH_NEXT] = value; }
  get changedNext(): number { return this.words[this.base + CHANGED_NEXT]; }
  set changedNext(value: number) { this.words[this.base + CHANGED_NEXT] = value; }
  get touchedNext(): number { return this.words[this.base + TOUCHED_NEXT]; }
  set touchedNext(value: number) { this.words[this.base + TOUCHED_NEXT] = value; }
  get queuePrevious(): number { return this.words[this.base + QUEUE_PREVIOUS]; }
  set queuePrevious(value: number) { this.words[this.base + QUEUE_PREVIOUS] = value; }
  get queueNext(): number { return this.words[this.base + QUEUE_NEXT]; }
  set queueNext(value: number) { this.words[this.base + QUEUE_NEXT] = value; }

  // Send sequence space (RFC 9293 3.3.1).
  get iss(): number { return this.words[this.base + ISS]; }
  set iss(value: number) { this.words[this.base + ISS] = value; }
  get sndUna(): number { return this.words[this.base + SND_UNA]; }
  set sndUna(value: number) { this.words[this.base + SND_UNA] = value; }
  get sndNxt(): number { return this.words[this.base + SND_NXT]; }
  set sndNxt(value: number) { this.words[this.base + SND_NXT] = value; }
  get sndWnd(): number { return this.words[this.base + SND_WND]; }
  set sndWnd(value: number) { this.words[this.base + SND_WND] = value; }
  get sndWl1(): number { return this.words[this.base + SND_WL1]; }
  set sndWl1(value: number) { this.words[this.base + SND_WL1] = value; }
  get sndWl2(): number { return this.words[this.base + SND_WL2]; }
  set sndWl2(value: number) { this.words[this.base + SND_WL2] = value; }
  get sndWndMax(): number { return this.words[this.base + SND_WND_MAX]; }
  set sndWndMax(value: number) { this.words[this.base + SND_WND_MAX] = value; }
  get sndWndShift(): number { return this.words[this.base + SND_WND_SHIFT]; }
  set sndWndShift(value: number) { this.words[this.base + SND_WND_SHIFT] = value; }
  get sndMss(): number { return this.words[this.base + SND_MSS]; }
  set sndMss(value: number) { this.words[this.base + SND_MSS] = value; }
  get sndSml(): number { return this.words[this.base + SND_SML]; }
  set sndSml(value: number) { this.words[this.base + SND_SML] = value; }

  // Loss recovery and congestion control.
  get rtxNxt(): number { return this.words[this.base + RTX_NXT]; }
  set rtxNxt(value: number) { this.words[this.base + RTX_NXT] = value; }
  get recover(): number { return this.words[this.base + RECOVER]; }
  set recover(value: number) { this.words[this.base + RECOVER] = value; }
  get recovery(): number { return this.words[this.base + RECOVERY]; }
  set recovery(value: number) { this.words[this.base + RECOVERY] = value; }
  get dupAcks(): number { return this.words[this.base + DUP_ACKS]; }
  set dupAcks(value: number) { this.words[this.base + DUP_ACKS] = value; }
  get cwnd(): number { return this.words[this.base + CWND]; }
  set cwnd(value: number) { this.words[this.base + CWND] = value; }
  get ssthresh(): number { return this.words[this.base + SSTHRESH]; }
  set ssthresh(value: number) { this.words[this.base + SSTHRESH] = value; }
  get cc0(): number { return this.words[this.base + CC_0]; }
  set cc0(value: number) { this.words[this.base + CC_0] = value; }
  get cc1(): number { return this.words[this.base + CC_1]; }
  set cc1(value: number) { this.words[this.base + CC_1] = value; }
  get cc2(): number { return this.words[this.base + CC_2]; }
  set cc2(value: number) { this.words[this.base + CC_2] = value; }
  get cc3(): number { return this.words[this.base + CC_3]; }
  set cc3(value: number) { this.words[this.base + CC_3] = value; }

  // Round trip and retransmission timeout (RFC 6298).
  get srtt(): number { return this.words[this.base + SRTT]; }
  set srtt(value: number) { this.words[this.base + SRTT] = value; }
  get rttvar(): number { return this.words[this.base + RTTVAR]; }
  set rttvar(value: number) { this.words[this.base + RTTVAR] = value; }
  get rto(): number { return this.words[this.base + RTO]; }
  set rto(value: number) { this.words[this.base + RTO] = value; }
  get backoff(): number { return this.words[this.base + BACKOFF]; }
  set backoff(value: number) { this.words[this.base + BACKOFF] = value; }
  get retries(): number { return this.words[this.base + RETRIES]; }
  set retries(value: number) { this.words[this.base + RETRIES] = value; }
  get probes(): number { return this.words[this.base + PROBES]; }
  set probes(value: number) { this.words[this.base + PROBES] = value; }
  get persistBackoff(): number { return this.words[this.base + PERSIST_BACKOFF]; }
  set persistBackoff(value: number) { this.words[this.base + PERSIST_BACKOFF] = value; }
  get rttSeq(): number { return this.words[this.base + RTT_SEQ]; }
  set rttSeq(value: number) { this.words[this.base + RTT_SEQ] = value; }
  get rttAt(): number { return this.words[this.base + RTT_AT]; }
  set rttAt(value: number) { this.words[this.base + RTT_AT] = value; }
  get sentAt(): number { return this.words[this.base + SENT_AT]; }
  set sentAt(value: number) { this.words[this.base + SENT_AT] = value; }
  get retransmitted(): number { return this.words[this.base + RETRANSMITTED]; }
  set retransmitted(value: number) { this.words[this.base + RETRANSMITTED] = value; }

  // Receive sequence space (RFC 9293 3.3.1).
  get irs(): number { return this.words[this.base + IRS]; }
  set irs(value: number) { this.words[this.base + IRS] = value; }
  get rcvNxt(): number { return this.words[this.base + RCV_NXT]; }
  set rcvNxt(value: number) { this.words[this.base + RCV_NXT] = value; }
  get rcvAdv(): number { return this.words[this.base + RCV_ADV]; }
  set rcvAdv(value: number) { this.words[this.base + RCV_ADV] = value; }
  get rcvWndShift(): number { return this.words[this.base + RCV_WND_SHIFT]; }
  set rcvWndShift(value: number) { this.words[this.base + RCV_WND_SHIFT] = value; }
  get rcvBuf(): number { return this.words[this.base + RCV_BUF]; }
  set rcvBuf(value: number) { this.words[this.base + RCV_BUF] = value; }
  get rcvBufMax(): number { return this.words[this.base + RCV_BUF_MAX]; }
  set rcvBufMax(value: number) { this.words[this.base + RCV_BUF_MAX] = value; }
  get rcvGrown(): number { return this.words[this.base + RCV_GROWN]; }
  set rcvGrown(value: number) { this.words[this.base + RCV_GROWN] = value; }
  get rcvMss(): number { return this.words[this.base + RCV_MSS]; }
  set rcvMss(value: number) { this.words[this.base + RCV_MSS] = value; }
  get lastAckSent(): number { return this.words[this.base + LAST_ACK_SENT]; }
  set lastAckSent(value: number) { this.words[this.base + LAST_ACK_SENT] = value; }
  get quickAcks(): number { return this.words[this.base + QUICK_ACKS]; }
  set quickAcks(value: number) { this.words[this.base + QUICK_ACKS] = value; }
  get finSeq(): number { return this.words[this.base + FIN_SEQ]; }
  set finSeq(value: number) { this.words[this.base + FIN_SEQ] = value; }
  get ranges(): number { return this.words[this.base + RANGES]; }
  set ranges(value: number) { this.words[this.base + RANGES] = value; }
  get rangeCount(): number { return this.words[this.base + RANGE_COUNT]; }
  set rangeCount(value: number) { this.words[this.base + RANGE_COUNT] = value; }

  // Timestamps (RFC 7323).
  get tsRecent(): number { return this.words[this.base + TS_RECENT]; }
  set tsRecent(value: number) { this.words[this.base + TS_RECENT] = value; }
  get tsRecentAt(): number { return this.words[this.base + TS_RECENT_AT]; }
  set tsRecentAt(value: number) { this.words[this.base + TS_RECENT_AT] = value; }
  get tsOffset(): number { return this.words[this.base + TS_OFFSET]; }
  set tsOffset(value: number) { this.words[this.base + TS_OFFSET] = value; }

  // Timers; deadlines in ticks of the core's clock.
  get timers(): number { return this.words[this.base + TIMERS]; }
  set timers(value: number) { this.words[this.base + TIMERS] = value; }
  get retransmitAt(): number { return this.words[this.base + RETRANSMIT_AT]; }
  set retransmitAt(value: number) { this.words[this.base + RETRANSMIT_AT] = value; }
  get ackAt(): number { return this.words[this.base + ACK_AT]; }
  set ackAt(value: number) { this.words[this.base + ACK_AT] = value; }
  get lifeAt(): number { return this.words[this.base + LIFE_AT]; }
  set lifeAt(value: number) { this.words[this.base + LIFE_AT] = value; }
  get keepIdle(): number { return this.words[this.base + KEEP_IDLE]; }
  set keepIdle(value: number) { this.words[this.base + KEEP_IDLE] = value; }
  get keepInterval(): number { return this.words[this.base + KEEP_INTERVAL]; }
  set keepInterval(value: number) { this.words[this.base + KEEP_INTERVAL] = value; }
  get keepCount(): number { return this.words[this.base + KEEP_COUNT]; }
  set keepCount(value: number) { this.words[this.base + KEEP_COUNT] = value; }
  get heardAt(): number { return this.words[this.base + HEARD_AT]; }
  set heardAt(value: number) { this.words[this.base + HEARD_AT] = value; }
  get invalidAt(): number { return this.words[this.base + INVALID_AT]; }
  set invalidAt(value: number) { this.words[this.base + INVALID_AT] = value; }
  get confirmedAt(): number { return this.words[this.base + CONFIRMED_AT]; }
  set confirmedAt(value: number) { this.words[this.base + CONFIRMED_AT] = value; }

  // Segments in flight and the scoreboard (RFC 2018, RFC 6675), where the peer takes SACK.
  get runs(): number { return this.words[this.base + RUNS]; }
  set runs(value: number) { this.words[this.base + RUNS] = value; }
  get runTail(): number { return this.words[this.base + RUN_TAIL]; }
  set runTail(value: number) { this.words[this.base + RUN_TAIL] = value; }
  get sacked(): number { return this.words[this.base + SACKED]; }
  set sacked(value: number) { this.words[this.base + SACKED] = value; }
  get lost(): number { return this.words[this.base + LOST]; }
  set lost(value: number) { this.words[this.base + LOST] = value; }
  get rtxHigh(): number { return this.words[this.base + RTX_HIGH]; }
  set rtxHigh(value: number) { this.words[this.base + RTX_HIGH] = value; }
  get delivered(): number { return this.words[this.base + DELIVERED]; }
  set delivered(value: number) { this.words[this.base + DELIVERED] = value; }

  // RACK-TLP (RFC 8985).
  get rackAt(): number { return this.words[this.base + RACK_AT]; }
  set rackAt(value: number) { this.words[this.base + RACK_AT] = value; }
  get rackEnd(): number { return this.words[this.base + RACK_END]; }
  set rackEnd(value: number) { this.words[this.base + RACK_END] = value; }
  get rackRtt(): number { return this.words[this.base + RACK_RTT]; }
  set rackRtt(value: number) { this.words[this.base + RACK_RTT] = value; }
  get rackFack(): number { return this.words[this.base + RACK_FACK]; }
  set rackFack(value: number) { this.words[this.base + RACK_FACK] = value; }
  get minRtt(): number { return this.words[this.base + MIN_RTT]; }
  set minRtt(value: number) { this.words[this.base + MIN_RTT] = value; }
  get minRttAt(): number { return this.words[this.base + MIN_RTT_AT]; }
  set minRttAt(value: number) { this.words[this.base + MIN_RTT_AT] = value; }
  get reoMult(): number { return this.words[this.base + REO_MULT]; }
  set reoMult(value: number) { this.words[this.base + REO_MULT] = value; }
  get reoPersist(): number { return this.words[this.base + REO_PERSIST]; }
  set reoPersist(value: number) { this.words[this.base + REO_PERSIST] = value; }
  get reoRound(): number { return this.words[this.base + REO_ROUND]; }
  set reoRound(value: number) { this.words[this.base + REO_ROUND] = value; }
  get tlpEnd(): number { return this.words[this.base + TLP_END]; }
  set tlpEnd(value: number) { this.words[this.base + TLP_END] = value; }

  // Sending in recovery (RFC 6937), and its undoing (RFC 2883, RFC 4015).
  get prrDelivered(): number { return this.words[this.base + PRR_DELIVERED]; }
  set prrDelivered(value: number) { this.words[this.base + PRR_DELIVERED] = value; }
  get prrOut(): number { return this.words[this.base + PRR_OUT]; }
  set prrOut(value: number) { this.words[this.base + PRR_OUT] = value; }
  get prrFlight(): number { return this.words[this.base + PRR_FLIGHT]; }
  set prrFlight(value: number) { this.words[this.base + PRR_FLIGHT] = value; }
  get undoCwnd(): number { return this.words[this.base + UNDO_CWND]; }
  set undoCwnd(value: number) { this.words[this.base + UNDO_CWND] = value; }
  get undoSsthresh(): number { return this.words[this.base + UNDO_SSTHRESH]; }
  set undoSsthresh(value: number) { this.words[this.base + UNDO_SSTHRESH] = value; }
  get undoSeq(): number { return this.words[this.base + UNDO_SEQ]; }
  set undoSeq(value: number) { this.words[this.base + UNDO_SEQ] = value; }
  get undoRetrans(): number { return this.words[this.base + UNDO_RETRANS]; }
  set undoRetrans(value: number) { this.words[this.base + UNDO_RETRANS] = value; }
  get retransStamp(): number { return this.words[this.base + RETRANS_STAMP]; }
  set retransStamp(value: number) { this.words[this.base + RETRANS_STAMP] = value; }
  get dsackStart(): number { return this.words[this.base + DSACK_START]; }
  set dsackStart(value: number) { this.words[this.base + DSACK_START] = value; }
  get dsackEnd(): number { return this.words[this.base + DSACK_END]; }
  set dsackEnd(value: number) { this.words[this.base + DSACK_END] = value; }

  // Counted for reports, modulo 2^32.
  get bytesRetransmitted(): number { return this.words[this.base + BYTES_RETRANSMITTED]; }
  set bytesRetransmitted(value: number) { this.words[this.base + BYTES_RETRANSMITTED] = value; }
  get lostCount(): number { return this.words[this.base + LOST_COUNT]; }
  set lostCount(value: number) { this.words[this.base + LOST_COUNT] = value; }
  get dsacks(): number { return this.words[this.base + DSACKS]; }
  set dsacks(value: number) { this.words[this.base + DSACKS] = value; }
  get reorderings(): number { return this.words[this.base + REORDERINGS]; }
  set reorderings(value: number) { this.words[this.base + REORDERINGS] = value; }

  // More of the congestion control, and a timer.
  get cc4(): number { return this.words[this.base + CC_4]; }
  set cc4(value: number) { this.words[this.base + CC_4] = value; }
  get cc5(): number { return this.words[this.base + CC_5]; }
  set cc5(value: number) { this.words[this.base + CC_5] = value; }
  get cc6(): number { return this.words[this.base + CC_6]; }
  set cc6(value: number) { this.words[this.base + CC_6] = value; }
  get cc7(): number { return this.words[this.base + CC_7]; }
  set cc7(value: number) { this.words[this.base + CC_7] = value; }
  get cc8(): number { return this.words[this.base + CC_8]; }
  set cc8(value: number) { this.words[this.base + CC_8] = value; }
  get cc9(): number { return this.words[this.base + CC_9]; }
  set cc9(value: number) { this.words[this.base + CC_9] = value; }
  get cc10(): number { return this.words[this.base + CC_10]; }
  set cc10(value: number) { this.words[this.base + CC_10] = value; }
  get cc11(): number { return this.words[this.base + CC_11]; }
  set cc11(value: number) { this.words[this.base + CC_11] = value; }
  get cc12(): number { return this.words[this.base + CC_12]; }
  set cc12(value: number) { this.words[this.base + CC_12] = value; }
  get cc13(): number { return this.words[this.base + CC_13]; }
  set cc13(value: number) { this.words[this.base + CC_13] = value; }
  get reorderAt(): number { return this.words[this.base + REORDER_AT]; }
  set reorderAt(value: number) { this.words[this.base + REORDER_AT] = value; }
  get frto(): number { return this.words[this.base + FRTO]; }
  set frto(value: number) { this.words[this.base + FRTO] = value; }
}

import {
  ACKNOWLEDGED, ACK_AT, ASIDES, ASKING_SINCE, BACKOFF, BYTES_RETRANSMITTED, CC_0, CC_1, CC_10, CC_11, CC_12, CC_13,
  CC_2, CC_3, CC_4, CC_5, CC_6, CC_7, CC_8, CC_9, CHANGED_NEXT, CONFIRMED_AT, CONSUMED, CWND, CWND_USED, DELIVERED,
  DSACKS, DSACK_END, DSACK_START, DUP_ACKS, ECN, ERROR, EVENTS, FIN_SEQ, FIN_WAIT, FLAGS, FLIGHT_MAX, FRTO, GENERATION,
  HASH_NEXT, HEARD_AT, HOLD, INVALID_AT, IRS, ISS, KEEP_COUNT, KEEP_IDLE, KEEP_INTERVAL, LAST_ACK_SENT, LIFE_AT,
  LISTENER, LISTENER_GENERATION, LOCAL_ADDRESS, LOCAL_PORT, LOST, LOST_COUNT, MAX_SEGMENT, MIN_RTT, MIN_RTT_AT,
  MSS_MOST, MTU_AT, MTU_STATE, PACE_AT, PACE_DUE, PACING, PERSIST_BACKOFF, PROBES, PROBE_END, PROBE_HIGH, PROBE_SIZE,
  PRR_DELIVERED, PRR_FLIGHT, PRR_OUT, QUEUE_NEXT, QUEUE_PREVIOUS, QUICK_ACKS, RACK_AT, RACK_END, RACK_FACK, RACK_RTT,
  RANGES, RANGE_COUNT, RCV_ADV, RCV_BUF, RCV_BUF_MAX, RCV_HELD, RCV_MSS, RCV_NXT, RCV_RTT, RCV_RTT_AT, RCV_RTT_MARK, RCV_SPACE,
  RCV_SPACE_AT, RCV_SPACE_FROM, RCV_TOLD, RCV_UP, RCV_WND_SHIFT, RECEIVED, RECOVER, RECOVERY, REMOTE_ADDRESS, REMOTE_PORT,
  REORDERINGS, REORDER_AT, REO_DEGREE, REO_MULT, REO_PERSIST, REO_ROUND, RETRANSMITTED, RETRANSMIT_AT, RETRANS_OUT,
  RETRANS_STAMP, RETRIES, RTO, RTTVAR, RTT_AT, RTT_SEQ, RTX_HIGH, RTX_NXT, RUNS, RUN_COUNT, RUN_TAIL, SACKED, SENT_AT,
  SND_MSS, SND_NXT, SND_SML, SND_UNA, SND_UP, SND_WL1, SND_WL2, SND_WND, SND_WND_MAX, SND_WND_SHIFT, SOFT_ERROR, SRTT,
  SSTHRESH, STATE, TCB_WORDS, TIMERS, TLP_END, TOUCHED_NEXT, TRAFFIC_CLASS, TS_OFFSET, TS_RECENT, TS_RECENT_AT,
  UNDO_CWND, UNDO_RETRANS, UNDO_SEQ, UNDO_SSTHRESH, USAGE_END, USED_AT, USER_TIMEOUT, WRITTEN,
} from './tcb_words.js';

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
  get rcvHeld(): number { return this.words[this.base + RCV_HELD]; }
  set rcvHeld(value: number) { this.words[this.base + RCV_HELD] = value; }
  get rcvTold(): number { return this.words[this.base + RCV_TOLD]; }
  set rcvTold(value: number) { this.words[this.base + RCV_TOLD] = value; }
  get rcvRttMark(): number { return this.words[this.base + RCV_RTT_MARK]; }
  set rcvRttMark(value: number) { this.words[this.base + RCV_RTT_MARK] = value; }
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

  // Use of the congestion window.
  get usageEnd(): number { return this.words[this.base + USAGE_END]; }
  set usageEnd(value: number) { this.words[this.base + USAGE_END] = value; }
  get flightMax(): number { return this.words[this.base + FLIGHT_MAX]; }
  set flightMax(value: number) { this.words[this.base + FLIGHT_MAX] = value; }
  get cwndUsed(): number { return this.words[this.base + CWND_USED]; }
  set cwndUsed(value: number) { this.words[this.base + CWND_USED] = value; }
  get usedAt(): number { return this.words[this.base + USED_AT]; }
  set usedAt(value: number) { this.words[this.base + USED_AT] = value; }
  get retransOut(): number { return this.words[this.base + RETRANS_OUT]; }
  set retransOut(value: number) { this.words[this.base + RETRANS_OUT] = value; }
  get reoDegree(): number { return this.words[this.base + REO_DEGREE]; }
  set reoDegree(value: number) { this.words[this.base + REO_DEGREE] = value; }
  get ecn(): number { return this.words[this.base + ECN]; }
  set ecn(value: number) { this.words[this.base + ECN] = value; }
  get pacing(): number { return this.words[this.base + PACING]; }
  set pacing(value: number) { this.words[this.base + PACING] = value; }
  get paceAt(): number { return this.words[this.base + PACE_AT]; }
  set paceAt(value: number) { this.words[this.base + PACE_AT] = value; }
  get paceDue(): number { return this.words[this.base + PACE_DUE]; }
  set paceDue(value: number) { this.words[this.base + PACE_DUE] = value; }

  // Options of the socket.
  get userTimeout(): number { return this.words[this.base + USER_TIMEOUT]; }
  set userTimeout(value: number) { this.words[this.base + USER_TIMEOUT] = value; }
  get askingSince(): number { return this.words[this.base + ASKING_SINCE]; }
  set askingSince(value: number) { this.words[this.base + ASKING_SINCE] = value; }
  get finWait(): number { return this.words[this.base + FIN_WAIT]; }
  set finWait(value: number) { this.words[this.base + FIN_WAIT] = value; }
  get maxSegment(): number { return this.words[this.base + MAX_SEGMENT]; }
  set maxSegment(value: number) { this.words[this.base + MAX_SEGMENT] = value; }
  get trafficClass(): number { return this.words[this.base + TRAFFIC_CLASS]; }
  set trafficClass(value: number) { this.words[this.base + TRAFFIC_CLASS] = value; }
  get hold(): number { return this.words[this.base + HOLD]; }
  set hold(value: number) { this.words[this.base + HOLD] = value; }

  // The queue of established flows that the owner has not taken over.
  get listenerGeneration(): number { return this.words[this.base + LISTENER_GENERATION]; }
  set listenerGeneration(value: number) { this.words[this.base + LISTENER_GENERATION] = value; }
  get runCount(): number { return this.words[this.base + RUN_COUNT]; }
  set runCount(value: number) { this.words[this.base + RUN_COUNT] = value; }

  // The urgent mechanism, and reports.
  get sndUp(): number { return this.words[this.base + SND_UP]; }
  set sndUp(value: number) { this.words[this.base + SND_UP] = value; }
  get rcvUp(): number { return this.words[this.base + RCV_UP]; }
  set rcvUp(value: number) { this.words[this.base + RCV_UP] = value; }
  get asides(): number { return this.words[this.base + ASIDES]; }
  set asides(value: number) { this.words[this.base + ASIDES] = value; }
  get softError(): number { return this.words[this.base + SOFT_ERROR]; }
  set softError(value: number) { this.words[this.base + SOFT_ERROR] = value; }

  // The receive buffer's size.
  get rcvRtt(): number { return this.words[this.base + RCV_RTT]; }
  set rcvRtt(value: number) { this.words[this.base + RCV_RTT] = value; }
  get rcvRttAt(): number { return this.words[this.base + RCV_RTT_AT]; }
  set rcvRttAt(value: number) { this.words[this.base + RCV_RTT_AT] = value; }
  get rcvSpace(): number { return this.words[this.base + RCV_SPACE]; }
  set rcvSpace(value: number) { this.words[this.base + RCV_SPACE] = value; }
  get rcvSpaceAt(): number { return this.words[this.base + RCV_SPACE_AT]; }
  set rcvSpaceAt(value: number) { this.words[this.base + RCV_SPACE_AT] = value; }
  get rcvSpaceFrom(): number { return this.words[this.base + RCV_SPACE_FROM]; }
  set rcvSpaceFrom(value: number) { this.words[this.base + RCV_SPACE_FROM] = value; }

  // The largest segment that the path carries.
  get mtuState(): number { return this.words[this.base + MTU_STATE]; }
  set mtuState(value: number) { this.words[this.base + MTU_STATE] = value; }
  get mssMost(): number { return this.words[this.base + MSS_MOST]; }
  set mssMost(value: number) { this.words[this.base + MSS_MOST] = value; }
  get probeHigh(): number { return this.words[this.base + PROBE_HIGH]; }
  set probeHigh(value: number) { this.words[this.base + PROBE_HIGH] = value; }
  get probeSize(): number { return this.words[this.base + PROBE_SIZE]; }
  set probeSize(value: number) { this.words[this.base + PROBE_SIZE] = value; }
  get probeEnd(): number { return this.words[this.base + PROBE_END]; }
  set probeEnd(value: number) { this.words[this.base + PROBE_END] = value; }
  get mtuAt(): number { return this.words[this.base + MTU_AT]; }
  set mtuAt(value: number) { this.words[this.base + MTU_AT] = value; }
}

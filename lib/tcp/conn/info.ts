/**
 * What is known of one connection, as Linux's TCP_INFO has it. Read from its record by any thread, without a word to the
 * TCP server; so the numbers may be of two neighbouring moments.
 */
import {
  FREE, NO_DELAY, RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, REORDERED, SACK_ON, SCALING_ON, STATE_NAMES, TIMESTAMPS_ON, UNLIMITED,
} from './state.js';
import type { Tcb } from './tcb.js';

export interface TcpInfo {
  /** RFC 9293 3.3.2, as `ESTABLISHED`. */
  state: string;
  /** `disorder`: some segments are missing and not yet lost; `cwr`: a router has told of congestion (RFC 3168). */
  congestionState: 'open' | 'disorder' | 'cwr' | 'recovery' | 'loss';
  timestamps: boolean;
  sack: boolean;
  windowScaling: boolean;
  noDelay: boolean;
  /** Shifts of the peer's windows and of ours, 0 to 14. */
  sendWindowScale: number;
  receiveWindowScale: number;
  /** Payload of a full segment that we send, and of the peer's as seen, in bytes. */
  sendMss: number;
  receiveMss: number;
  /** Smoothed round-trip time, its variation, and the least one of the last minutes, in µs; 0: not measured yet. */
  rttUs: number;
  rttVariationUs: number;
  minRttUs: number;
  /** Retransmission timeout in µs, and how often it is doubled now. */
  rtoUs: number;
  backoff: number;
  /** Timeouts since the peer last acknowledged something new; zero-window or keepalive probes without an answer. */
  timeouts: number;
  probes: number;
  /** Congestion window in bytes, and slow start threshold, null before the first loss. */
  congestionWindow: number;
  slowStartThreshold: number | null;
  /** The peer's window and ours, in bytes. */
  sendWindow: number;
  receiveWindow: number;
  /** Bytes in flight; those of them that the peer has by SACK; those that count as lost. */
  unacknowledged: number;
  sacked: number;
  lost: number;
  /** Bytes written that have not been sent. */
  notSent: number;
  /** Out-of-order ranges that are held. */
  outOfOrderRanges: number;
  /** Segments have changed places on the way, and in how many acknowledgements that was seen (modulo 2^32, as all that follows). */
  reordering: boolean;
  reorderingSeen: number;
  /** Packets sent again, and bytes; bytes that ever counted as lost; segments that the peer got twice. */
  retransmits: number;
  bytesRetransmitted: number;
  bytesLost: number;
  duplicatesReported: number;
  /** Bytes that the peer has (ACK or SACK), those of them acknowledged, and those received in order. */
  bytesDelivered: number;
  bytesAcknowledged: number;
  bytesReceived: number;
}

/** What is known of `flow`, or null where the record is not in use. `tcb` may be a view that the calling thread has made. */
export function tcpInfo(tcb: Tcb, flow: number): TcpInfo | null {
  const t = tcb.at(flow);
  const state = t.state;
  if (state === FREE) return null;
  const flight = Math.max((t.sndNxt - t.sndUna) | 0, 0);
  const threshold = t.ssthresh;
  return {
    state: STATE_NAMES[state] ?? `${state}`,
    congestionState: congestionState(t),
    timestamps: t.has(TIMESTAMPS_ON),
    sack: t.has(SACK_ON),
    windowScaling: t.has(SCALING_ON),
    noDelay: t.has(NO_DELAY),
    sendWindowScale: t.sndWndShift,
    receiveWindowScale: t.has(SCALING_ON) ? t.rcvWndShift : 0,
    sendMss: t.sndMss,
    receiveMss: t.rcvMss,
    rttUs: t.srtt,
    rttVariationUs: t.rttvar,
    minRttUs: t.minRtt,
    rtoUs: t.rto,
    backoff: t.backoff,
    timeouts: t.retries,
    probes: t.probes,
    congestionWindow: t.cwnd,
    slowStartThreshold: threshold === UNLIMITED ? null : threshold,
    sendWindow: t.sndWnd,
    receiveWindow: Math.max((t.rcvAdv - t.rcvNxt) | 0, 0),
    unacknowledged: flight,
    sacked: t.sacked,
    lost: t.lost,
    notSent: Math.max((t.iss + 1 + t.written - t.sndNxt) | 0, 0),
    outOfOrderRanges: t.rangeCount,
    reordering: t.has(REORDERED),
    reorderingSeen: t.reorderings >>> 0,
    retransmits: t.retransmitted >>> 0,
    bytesRetransmitted: t.bytesRetransmitted >>> 0,
    bytesLost: t.lostCount >>> 0,
    duplicatesReported: t.dsacks >>> 0,
    bytesDelivered: t.delivered >>> 0,
    bytesAcknowledged: t.acknowledged >>> 0,
    bytesReceived: t.received >>> 0,
  };
}

function congestionState(t: Tcb): TcpInfo['congestionState'] {
  if (t.recovery === RECOVERY_FAST) return 'recovery';
  if (t.recovery === RECOVERY_LOSS) return 'loss';
  if (t.recovery === RECOVERY_CWR) return 'cwr';
  return t.sacked > 0 || t.dupAcks > 0 ? 'disorder' : 'open';
}

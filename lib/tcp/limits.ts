/** Every bound and every period of the TCP core, in one table. What a bound refuses is counted (stats.ts). */

export interface StackLimits {
  /** Flows in TIME-WAIT; the oldest makes room for the next. */
  timeWait: number;
  /** Flows that their owner has released and that are not in TIME-WAIT; one more, and the oldest is reset. */
  orphans: number;
  /** Listeners. */
  listeners: number;
  /** Half-open flows of all listeners together. */
  halfOpen: number;
  /** Half-open flows of one listener, where its backlog is not larger (Linux: tcp_max_syn_backlog). */
  synBacklog: number;
  /** Out-of-order ranges of all flows together. */
  ranges: number;
  /** Out-of-order ranges of one flow. */
  rangesPerFlow: number;
  /** Runs of segments in flight (conn/runs.ts) of all flows together, beyond the one that each flow has. */
  runs: number;
  /** Receive buffer of a new flow in bytes: the window it begins with (Linux: tcp_rmem[1]). */
  receiveBufferInitial: number;
  /** Largest receive buffer of a flow in bytes, at most 2^30; it grows with what is read in a round trip (Linux: tcp_rmem[2]). */
  receiveBuffer: number;
  /** Challenge ACKs a second, all flows together (RFC 5961 7): by chance half as many to half as many again. */
  challengeAcks: number;
  /** Least time between two answers to out-of-window segments without data, for one flow, in ms (RFC 5961 7). */
  invalidAckMs: number;
  /** Retransmissions of a SYN before ETIMEDOUT: R2 for SYNs, by default 4 minutes; RFC 9293 3.8.3 wants 3 (Linux: tcp_syn_retries, 6). */
  synRetries: number;
  /** Retransmissions of a SYN-ACK before the half-open flow is dropped (Linux: tcp_synack_retries). */
  synAckRetries: number;
  /** Retransmissions of data before ETIMEDOUT: R2 of RFC 9293 3.8.3 (Linux: tcp_retries2). */
  dataRetries: number;
  /** The same for a released flow (Linux: tcp_orphan_retries). */
  orphanRetries: number;
  /** RTO before the first measurement, in ms (RFC 6298 2.1). */
  rtoInitialMs: number;
  /** Least RTO in ms; RFC 6298 2.4 says 1 s, this is Linux's and that of every stack met in the field. */
  rtoMinMs: number;
  /** Largest RTO, and longest interval of zero-window probes, in ms, at most 500 000 (RFC 6298 2.5). */
  rtoMaxMs: number;
  /** Longest delay of an acknowledgement, in ms (RFC 9293 3.8.6.3 allows 500; Linux's least is 40). */
  delayedAckMs: number;
  /** Segments acknowledged at once at the start of a flow, so that a sender's slow start is not held up. */
  quickAcks: number;
  /** TIME-WAIT, 2 MSL, in ms. */
  timeWaitMs: number;
  /** FIN-WAIT-2 of a released flow, in ms (Linux: tcp_fin_timeout). */
  finWait2Ms: number;
  /** Keepalive, where it is on and nothing else was set (RFC 9293 3.8.4, Linux). */
  keepIdleMs: number;
  keepIntervalMs: number;
  keepCount: number;
  /** Ephemeral ports, both included (Linux: ip_local_port_range). */
  ephemeralFirst: number;
  ephemeralLast: number;
  /** Time to live, or hop limit, of what is sent (RFC 9293 3.9.2, Linux: ip_default_ttl). */
  timeToLive: number;
  /**
   * An ICMP error that may pass, as "host unreachable", ends an opening connection (RFC 5461 4, Linux): another address may do
   * better. Off, only one that will stay does (RFC 9293 3.9.2.2).
   */
  softErrorsEndOpening: boolean;
  /** What SYNs offer. */
  timestamps: boolean;
  sack: boolean;
  windowScaling: boolean;
  /** Once timestamps are agreed on, a segment without them is dropped (RFC 7323 3.2: SHOULD); Linux takes it. */
  timestampsRequired: boolean;
  /**
   * How often text is acknowledged: every second full segment at least (RFC 9293 3.8.6.3), or, as Linux does, only while half
   * of the buffer is free; beyond that the delay, or the reader, decides.
   */
  ackPolicy: 'second' | 'linux';
  /**
   * While nothing waits to be read, a segment is taken as a whole where only its end is beyond the window (Linux); else that
   * end is cut off (RFC 9293 3.10.7.4). While something waits, such a segment is dropped, not cut.
   */
  overrun: boolean;
  /** With window scaling a window may be smaller than what was told before (RFC 9293 3.8.6: SHOULD NOT; Linux: tcp_shrink_window). */
  windowShrinks: boolean;
  /**
   * Least segments of the steps (conn/push.ts) at whose ends PSH is set, and not only where nothing follows that was written; 0:
   * only there (Linux: tcp_min_tso_segs).
   */
  pushSteps: number;
  /** A congestion window that is not used shrinks: after an idle time, and while less is sent (Linux: tcp_slow_start_after_idle). */
  idleRestart: boolean;
  /** A reset does not end TIME-WAIT (RFC 1337 3, F1; Linux: tcp_rfc1337); RFC 9293 3.10.7.4 has it end. */
  resetsPassTimeWait: boolean;
  /**
   * A flow that is released with bytes unread, or that bytes come for after that, is reset at once, and what was written may be lost
   * (Linux); else it is reset when the peer has what was written (RFC 1122 4.2.2.13 does not say when).
   */
  resetsAtOnce: boolean;
  /** SYN cookies (RFC 4987 3.6): where half-open flows have no more room, for every SYN, or not at all (Linux: tcp_syncookies 1, 2, 0). */
  synCookies: 'pressure' | 'always' | 'never';
  /** Every flow is paced from its beginning (Stack.setPacing). */
  pacing: boolean;
  /** Explicit congestion notification (RFC 3168): not at all, where the peer asks for it, or asked for as well (Linux: tcp_ecn 0, 2, 1). */
  ecn: 'off' | 'accept' | 'on';
  /** CUBIC (RFC 9438) with HyStart++, or what RFC 5681 says. */
  congestion: 'cubic' | 'newreno';
  /**
   * Finding what the path carries by segments of different sizes (RFC 4821), beside what routers tell: never, where full
   * segments disappear, or from the start (Linux: tcp_mtu_probing 0, 1, 2).
   */
  mtuProbing: 'off' | 'blackhole' | 'always';
}

const DEFAULTS: StackLimits = {
  timeWait: 0,
  orphans: 0,
  listeners: 1024,
  halfOpen: 0,
  synBacklog: 1024,
  ranges: 0,
  rangesPerFlow: 512,
  runs: 0,
  receiveBufferInitial: 128 * 1024,
  receiveBuffer: 6 * 1024 * 1024,
  challengeAcks: 1000,
  invalidAckMs: 500,
  synRetries: 7,
  synAckRetries: 5,
  dataRetries: 15,
  orphanRetries: 8,
  rtoInitialMs: 1000,
  rtoMinMs: 200,
  rtoMaxMs: 120_000,
  delayedAckMs: 40,
  quickAcks: 16,
  timeWaitMs: 60_000,
  finWait2Ms: 60_000,
  keepIdleMs: 7_200_000,
  keepIntervalMs: 75_000,
  keepCount: 9,
  ephemeralFirst: 32768,
  ephemeralLast: 60999,
  timeToLive: 64,
  softErrorsEndOpening: true,
  timestamps: true,
  sack: true,
  windowScaling: true,
  timestampsRequired: true,
  ackPolicy: 'second',
  overrun: false,
  windowShrinks: false,
  pushSteps: 0,
  idleRestart: true,
  resetsPassTimeWait: false,
  resetsAtOnce: false,
  synCookies: 'pressure',
  pacing: false,
  ecn: 'accept',
  congestion: 'cubic',
  mtuProbing: 'blackhole',
};

type Numeric = { [K in keyof StackLimits]: StackLimits[K] extends number ? K : never }[keyof StackLimits];

/** Least and most of each number; what is 0 in the table of defaults follows the number of flows. */
export const LIMIT_RANGES: Readonly<Record<Numeric, readonly [least: number, most: number]>> = {
  timeWait: [1, 1_000_000],
  orphans: [1, 1_000_000],
  listeners: [1, 65_536],
  halfOpen: [1, 1_000_000],
  synBacklog: [1, 1_000_000],
  ranges: [16, 1_000_000],
  rangesPerFlow: [1, 65_536],
  runs: [16, 1_000_000],
  receiveBufferInitial: [2048, 1 << 30],
  receiveBuffer: [2048, 1 << 30],
  challengeAcks: [1, 1_000_000],
  invalidAckMs: [0, 60_000],
  synRetries: [0, 127],
  synAckRetries: [0, 127],
  dataRetries: [1, 127],
  orphanRetries: [1, 127],
  rtoInitialMs: [1, 500_000],
  rtoMinMs: [1, 500_000],
  rtoMaxMs: [1, 500_000],
  delayedAckMs: [1, 500],
  quickAcks: [0, 65_536],
  pushSteps: [0, 65_536],
  timeWaitMs: [0, 3_600_000],
  finWait2Ms: [0, 3_600_000],
  keepIdleMs: [1, 86_400_000],
  keepIntervalMs: [1, 86_400_000],
  keepCount: [1, 127],
  ephemeralFirst: [1024, 65_535],
  ephemeralLast: [1024, 65_535],
  timeToLive: [1, 255],
};

/** The words that each of the others takes. */
export const LIMIT_CHOICES: { readonly [K in keyof StackLimits as StackLimits[K] extends string ? K : never]: readonly StackLimits[K][] } = {
  ackPolicy: ['second', 'linux'],
  synCookies: ['pressure', 'always', 'never'],
  congestion: ['cubic', 'newreno'],
  ecn: ['off', 'accept', 'on'],
  mtuProbing: ['off', 'blackhole', 'always'],
};

/** The limits of a stack: defaults for what is not given. Bounds of tables follow the number of flows. */
export function stackLimits(given: Partial<StackLimits>, maxFlows: number): StackLimits {
  const limits: StackLimits = { ...DEFAULTS, ...given };
  if (given.timeWait === undefined) limits.timeWait = Math.max(1, maxFlows >> 1);
  if (given.orphans === undefined) limits.orphans = Math.max(1, maxFlows >> 1);
  if (given.halfOpen === undefined) limits.halfOpen = Math.max(1, maxFlows >> 2);
  if (given.ranges === undefined) limits.ranges = Math.max(4096, Math.min(65536, maxFlows * 4));
  if (given.runs === undefined) limits.runs = Math.max(4096, Math.min(262_144, maxFlows * 4));
  limits.receiveBuffer = Math.min(limits.receiveBuffer, 1 << 30);
  limits.rtoMaxMs = Math.min(limits.rtoMaxMs, 500_000);
  limits.receiveBufferInitial = Math.min(limits.receiveBufferInitial, limits.receiveBuffer);
  return limits;
}

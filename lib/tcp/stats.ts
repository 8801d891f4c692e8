/** Counters of a stack: places in one Float64Array, named as `nstat` names Linux's. They only ever grow. */

export const ACTIVE_OPENS = 0;
export const PASSIVE_OPENS = 1;
export const ATTEMPT_FAILS = 2;
export const ESTAB_RESETS = 3;
export const IN_SEGS = 4;
export const OUT_SEGS = 5;
export const RETRANS_SEGS = 6;
export const IN_ERRS = 7;
export const OUT_RSTS = 8;
export const LISTEN_OVERFLOWS = 9;
export const LISTEN_DROPS = 10;
/** No flow record was free: a SYN was dropped or a connect refused. */
export const FLOW_TABLE_FULL = 11;
export const TW = 12;
export const TW_RECYCLED = 13;
export const TIME_WAIT_OVERFLOW = 14;
export const DELAYED_ACKS = 15;
export const PURE_ACKS = 16;
export const FAST_RETRANS = 17;
export const SLOW_START_RETRANS = 18;
export const TIMEOUTS = 19;
export const RENO_RECOVERY = 20;
export const OFO_QUEUE = 21;
export const OFO_DROP = 22;
export const RCV_DROP = 23;
export const PAWS_ACTIVE = 24;
export const PAWS_ESTAB = 25;
export const ABORT_ON_DATA = 26;
export const ABORT_ON_CLOSE = 27;
export const ABORT_ON_MEMORY = 28;
export const ABORT_ON_TIMEOUT = 29;
export const ABORT_ON_LINGER = 30;
export const ABORT_FAILED = 31;
export const CHALLENGE_ACK = 32;
export const SYN_CHALLENGE = 33;
export const ACK_SKIPPED = 34;
export const WIN_PROBE = 35;
export const KEEP_ALIVE_PROBES = 36;
export const SYN_RETRANS = 37;
export const TO_ZERO_WINDOW = 38;
export const FROM_ZERO_WINDOW = 39;
export const DUPLICATE_DATA = 40;
export const OUT_OF_WINDOW_ICMPS = 41;
export const NO_PORTS = 42;
export const SACK_RECOVERY = 43;
export const SACK_RENEGING = 44;
export const SACK_REORDER = 45;
export const LOST_RETRANSMIT = 46;
export const LOSS_PROBES = 47;
export const LOSS_PROBE_RECOVERY = 48;
export const FULL_UNDO = 49;
export const LOSS_UNDO = 50;
export const DSACK_UNDO = 51;
export const DSACK_RECV = 52;
export const DSACK_OLD_SENT = 53;
export const DSACK_OFO_SENT = 54;
export const SPURIOUS_RTOS = 55;
export const MTUP_FAIL = 56;
export const MTUP_SUCCESS = 57;
/** Full segments disappeared again and again: smaller ones from then on. */
export const MTUP_BLACK_HOLE = 58;
export const COOKIES_SENT = 59;
export const COOKIES_RECV = 60;
export const COOKIES_FAILED = 61;
export const REQ_QUEUE_FULL_COOKIES = 62;
export const REQ_QUEUE_FULL_DROP = 63;
export const STATS_LENGTH = 64;

/** Their names, by place. */
export const STAT_NAMES = [
  'TcpActiveOpens', 'TcpPassiveOpens', 'TcpAttemptFails', 'TcpEstabResets', 'TcpInSegs', 'TcpOutSegs',
  'TcpRetransSegs', 'TcpInErrs', 'TcpOutRsts', 'TcpExtListenOverflows', 'TcpExtListenDrops', 'TcpExtFlowTableFull',
  'TcpExtTW', 'TcpExtTWRecycled', 'TcpExtTCPTimeWaitOverflow', 'TcpExtDelayedACKs', 'TcpExtTCPPureAcks',
  'TcpExtTCPFastRetrans', 'TcpExtTCPSlowStartRetrans', 'TcpExtTCPTimeouts', 'TcpExtTCPRenoRecovery',
  'TcpExtTCPOFOQueue', 'TcpExtTCPOFODrop', 'TcpExtTCPRcvQDrop', 'TcpExtPAWSActive', 'TcpExtPAWSEstab',
  'TcpExtTCPAbortOnData', 'TcpExtTCPAbortOnClose', 'TcpExtTCPAbortOnMemory', 'TcpExtTCPAbortOnTimeout',
  'TcpExtTCPAbortOnLinger', 'TcpExtTCPAbortFailed', 'TcpExtTCPChallengeACK', 'TcpExtTCPSYNChallenge',
  'TcpExtTCPACKSkippedChallenge', 'TcpExtTCPWinProbe', 'TcpExtTCPKeepAlive', 'TcpExtTCPSynRetrans',
  'TcpExtTCPToZeroWindowAdv', 'TcpExtTCPFromZeroWindowAdv', 'TcpExtTCPDuplicateData', 'TcpExtOutOfWindowIcmps',
  'TcpExtTCPNoEphemeralPorts', 'TcpExtTCPSackRecovery', 'TcpExtTCPSACKReneging', 'TcpExtTCPSACKReorder',
  'TcpExtTCPLostRetransmit', 'TcpExtTCPLossProbes', 'TcpExtTCPLossProbeRecovery', 'TcpExtTCPFullUndo',
  'TcpExtTCPLossUndo', 'TcpExtTCPDSACKUndo', 'TcpExtTCPDSACKRecv', 'TcpExtTCPDSACKOldSent', 'TcpExtTCPDSACKOfoSent',
  'TcpExtTCPSpuriousRTOs',
  'TcpExtTCPMTUPFail', 'TcpExtTCPMTUPSuccess', 'TcpExtTCPMTUPBlackHole',
  'TcpExtSyncookiesSent', 'TcpExtSyncookiesRecv', 'TcpExtSyncookiesFailed',
  'TcpExtTCPReqQFullDoCookies', 'TcpExtTCPReqQFullDrop',
] as const;

export type StatName = (typeof STAT_NAMES)[number];

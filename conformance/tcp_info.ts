/** Linux's struct tcp_info (include/uapi/linux/tcp.h) of a flow, as far as the stack knows its fields; the rest are 0. */
import {
  CLOSED, CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_WAIT_1, FIN_WAIT_2, LAST_ACK, PERSISTING, RECOVERY_CWR, RECOVERY_FAST, RECOVERY_LOSS, SACK_ON,
  SCALING_ON, SYN_RECEIVED, SYN_SENT, TIMESTAMPS_ON, TIME_WAIT,
} from '../lib/tcp/conn/state.js';
import { ECN_ON, ECN_SEEN } from '../lib/tcp/conn/ecn.js';
import { TICK_US } from '../lib/tcp/conn/core.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';
import type { StackLimits } from '../lib/tcp/limits.js';

export const TCP_INFO_LENGTH = 248;

/** Linux's numbers of the states. */
const LINUX_STATE = new Map([
  [ESTABLISHED, 1], [SYN_SENT, 2], [SYN_RECEIVED, 3], [FIN_WAIT_1, 4], [FIN_WAIT_2, 5], [TIME_WAIT, 6], [CLOSED, 7],
  [CLOSE_WAIT, 8], [LAST_ACK, 9], [CLOSING, 11],
]);
/** TCP_CA_* */
const CA_OPEN = 0;
const CA_DISORDER = 1;
const CA_CWR = 2;
const CA_RECOVERY = 3;
const CA_LOSS = 4;
/** TCPI_OPT_* */
const OPT_TIMESTAMPS = 1;
const OPT_SACK = 2;
const OPT_WSCALE = 4;
const OPT_ECN = 8;
const OPT_ECN_SEEN = 16;
/** Linux counts what it has not lost into an "infinite" threshold. */
const SSTHRESH_INFINITE = 0x7fff_ffff;

/** @param elapsed µs since the stack began: its times count from there. */
export function tcpInfo(t: Tcb, limits: StackLimits, elapsed: number): Uint8Array {
  const view = new DataView(new ArrayBuffer(TCP_INFO_LENGTH));
  const mss = Math.max(t.sndMss, 1);
  const flight = (t.sndNxt - t.sndUna) | 0;
  const persisting = t.has(PERSISTING);
  view.setUint8(0, LINUX_STATE.get(t.state) ?? 7);
  view.setUint8(1, caState(t));
  view.setUint8(2, persisting ? 0 : t.retries);
  view.setUint8(3, t.probes);
  view.setUint8(4, persisting ? t.persistBackoff : t.backoff);
  view.setUint8(5, (t.has(TIMESTAMPS_ON) ? OPT_TIMESTAMPS : 0) | (t.has(SACK_ON) ? OPT_SACK : 0) | (t.has(SCALING_ON) ? OPT_WSCALE : 0)
    | ((t.ecn & ECN_ON) !== 0 ? OPT_ECN : 0) | ((t.ecn & ECN_SEEN) !== 0 ? OPT_ECN_SEEN : 0));
  view.setUint8(6, t.has(SCALING_ON) ? (t.sndWndShift & 15) | (t.rcvWndShift << 4) : 0);
  const put = (at: number, value: number): void => view.setUint32(at, value, true);
  const put64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(Math.max(Math.round(value), 0)), true);
  put(8, t.rto * 2 ** t.backoff);
  put(12, limits.delayedAckMs * 1000);
  put(16, t.sndMss);
  put(20, t.rcvMss);
  put(24, Math.ceil(flight / mss));
  put(28, Math.ceil(t.sacked / mss));
  // Linux goes on counting what it has sent again.
  put(32, Math.ceil((t.lost + t.retransOut) / mss));
  put(36, Math.ceil(t.retransOut / mss));
  const sinceSent = msSince(elapsed, t.sentAt);
  const sinceHeard = msSince(elapsed, t.heardAt);
  put(44, sinceSent);
  put(52, sinceHeard);
  put(56, sinceHeard);
  put(60, t.sndMss + 40 + (t.has(TIMESTAMPS_ON) ? 12 : 0));
  put(64, t.rcvBuf);
  put(68, t.srtt);
  put(72, t.rttvar);
  put(76, t.ssthresh >= SSTHRESH_INFINITE || t.ssthresh <= 0 ? SSTHRESH_INFINITE : Math.floor(t.ssthresh / mss));
  put(80, Math.floor(t.cwnd / mss));
  put(84, t.rcvMss);
  put(88, Math.max(t.reoDegree, 3));
  put(96, t.rcvBuf);
  put(100, t.retransmitted);
  put64(120, t.acknowledged >>> 0);
  put64(128, t.received >>> 0);
  put(144, Math.max((t.written - ((t.sndNxt - t.iss - 1) | 0)) | 0, 0));
  put(228, t.sndWnd);
  put(232, Math.max((t.rcvAdv - t.rcvNxt) | 0, 0));
  return new Uint8Array(view.buffer);
}

function caState(t: Tcb): number {
  if (t.recovery === RECOVERY_LOSS) return CA_LOSS;
  if (t.recovery === RECOVERY_CWR) return CA_CWR;
  if (t.recovery === RECOVERY_FAST) return CA_RECOVERY;
  return t.dupAcks > 0 || t.sacked > 0 ? CA_DISORDER : CA_OPEN;
}

/** ms since a time in ticks of the core's clock, which wraps. */
function msSince(elapsed: number, ticks: number): number {
  const since = (Math.floor(elapsed / TICK_US) - ticks) | 0;
  return Math.max(Math.floor((since * TICK_US) / 1000), 0);
}

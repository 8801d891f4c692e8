/** ICMP errors about our segments (RFC 9293 3.9.2.2, RFC 1122 4.2.3.9), with the checks of RFC 5927. */
import * as stat from '../stats.js';
import { TCP_HEADER } from '../wire/tcp.js';
import { fail } from './close.js';
import type { Core } from './core.js';
import { ipHeader } from './output.js';
import { resendAll } from './repair.js';
import { report } from './report.js';
import { after, before } from './seq.js';
import { ESTABLISHED, NONE, RETRANSMIT_NOW, RTT_TIMING, SACK_ON, SYN_RECEIVED, SYN_SENT, TIMESTAMPS_ON, TIME_WAIT } from './state.js';
import type { Tcb } from './tcb.js';

/** No path is believed to carry less (RFC 9293 3.7.2 leaves it open; Linux: min_pmtu). */
const MTU_LEAST = 552;
const TIMESTAMPS_BYTES = 12;

/** See `TransportSink.unreachable`. Returns true where the error is about a segment in flight. */
export function unreachable(
  core: Core, words: Int32Array, localPort: number, remotePort: number, sequence: number, errno: number, hard: boolean,
  mtu: number,
): boolean {
  const flow = core.demux.find(words, 0, 4, localPort, remotePort);
  if (flow === NONE) return false;
  const t = core.t.at(flow);
  // RFC 5927 4.1: only what was sent and is not acknowledged can have met an error.
  if (before(sequence, t.sndUna) || !before(sequence, t.sndNxt)) {
    core.stats[stat.OUT_OF_WINDOW_ICMPS]++;
    return false;
  }
  if (errno === 0) {
    if (t.state >= ESTABLISHED && t.state !== TIME_WAIT) shrink(core, t, mtu);
    return true;
  }
  // While opening, another address may do better (RFC 5461 4). On a connection that stands even a hard error is no reason to
  // give it up (RFC 5927 5.2): it may be forged.
  const opening = t.state === SYN_SENT || t.state === SYN_RECEIVED;
  if (opening && (hard || (t.state === SYN_SENT && core.limits.softErrorsEndOpening))) fail(core, t, errno);
  else report(core, t, errno);
  return true;
}

/** The path carries less than was thought: smaller segments, beginning with the one that did not get through (RFC 1191 6). */
function shrink(core: Core, t: Tcb, mtu: number): void {
  const options = t.has(TIMESTAMPS_ON) ? TIMESTAMPS_BYTES : 0;
  const mss = Math.max(mtu, MTU_LEAST) - ipHeader(core.words, t.remoteAt) - TCP_HEADER - options;
  if (mss >= t.sndMss) return;
  t.sndMss = mss;
  t.unmark(RTT_TIMING);
  if (!after(t.sndNxt, t.sndUna)) return;
  if (t.has(SACK_ON)) resendAll(core, t);
  t.mark(RETRANSMIT_NOW);
  core.flows.touch(t);
}

/** ICMP errors about our segments (RFC 9293 3.9.2.2, RFC 1122 4.2.3.9), with the checks of RFC 5927. */
import * as stat from '../stats.js';
import { fail } from './close.js';
import type { Core } from './core.js';
import { lower } from './mtu.js';
import { report } from './report.js';
import { before } from './seq.js';
import { ESTABLISHED, NONE, SYN_RECEIVED, SYN_SENT, TIME_WAIT } from './state.js';

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
    if (t.state >= ESTABLISHED && t.state !== TIME_WAIT) lower(core, t, mtu);
    return true;
  }
  // While opening, another address may do better (RFC 5461 4). On a connection that stands even a hard error is no reason to
  // give it up (RFC 5927 5.2): it may be forged.
  const opening = t.state === SYN_SENT || t.state === SYN_RECEIVED;
  if (opening && (hard || (t.state === SYN_SENT && core.limits.softErrorsEndOpening))) fail(core, t, errno);
  else report(core, t, errno);
  return true;
}

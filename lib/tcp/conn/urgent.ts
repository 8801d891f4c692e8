/**
 * The urgent mechanism (RFC 9293 3.8.5): a point in the stream that the sender wants the reader to hurry to.
 *
 * Urgent data stays in its place in the stream (RFC 6093 6); what is told apart from it is how far it reaches.
 */
import { tcpUrgent } from '../wire/tcp.js';
import { ackNow } from './ack.js';
import type { Core } from './core.js';
import { endOfText } from './sender.js';
import { after } from './seq.js';
import { ESTABLISHED, EV_URGENT, FIN_QUEUED, FIN_RECEIVED, FIN_WAIT_2, URGENT_IN, URGENT_OUT } from './state.js';
import type { Tcb } from './tcb.js';

/** All that was written so far is urgent. The peer hears of it at once, whatever its window. */
export function sendUrgent(core: Core, t: Tcb): void {
  if (t.has(FIN_QUEUED)) return;
  const up = endOfText(t);
  if (!after(up, t.sndUna) || t.written === 0) return;
  t.sndUp = up;
  t.asides |= URGENT_OUT;
  if (t.state >= ESTABLISHED) ackNow(core, t);
}

/** Sixth (3.10.7.4): takes the urgent pointer of the segment at hand, before its text is cut to the window. */
export function takeUrgent(core: Core, t: Tcb): void {
  const segment = core.segment;
  if (t.state < ESTABLISHED || t.state > FIN_WAIT_2 || t.has(FIN_RECEIVED)) return;
  const up = (segment.seq + tcpUrgent(segment.bytes, segment.at)) | 0;
  if (!after(up, consumedTo(t)) || ((t.asides & URGENT_IN) !== 0 && !after(up, t.rcvUp))) return;
  t.rcvUp = up;
  t.asides |= URGENT_IN;
  core.flows.changed(t, EV_URGENT);
}

/** Bytes that the reader has yet to read until it has read all that is known to be urgent; 0 where nothing is. */
export function urgentBytes(t: Tcb): number {
  return (t.asides & URGENT_IN) !== 0 ? Math.max((t.rcvUp - consumedTo(t)) | 0, 0) : 0;
}

/** Sequence number of the next byte that the owner has not read. */
function consumedTo(t: Tcb): number {
  return (t.irs + 1 + t.consumed) | 0;
}

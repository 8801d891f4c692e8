/** The receive window: what is offered to the peer, and when a change of it is worth a segment. */
import * as stat from '../stats.js';
import type { Core } from './core.js';
import { after } from './seq.js';
import { SCALING_ON } from './state.js';
import type { Tcb } from './tcb.js';

/** Largest window that fits the field of the header. */
export const FIELD_MAX = 65535;

/** Shift with which windows up to `bytes` can be told (RFC 7323 2.3), 0 to 14. */
export function shiftFor(bytes: number): number {
  let shift = 0;
  while (shift < 14 && FIELD_MAX << shift < bytes) shift++;
  return shift;
}

/** A receive buffer that is neither to grow nor to shrink, before the handshake has told the peer of it. */
export function fixReceiveBuffer(t: Tcb, bytes: number): void {
  t.rcvBuf = bytes;
  t.rcvBufMax = bytes;
  t.rcvWndShift = shiftFor(bytes);
}

/** Bytes that the flow can take beyond `rcvNxt`; negative where the buffer has been made smaller. */
export function room(t: Tcb): number {
  return t.rcvBuf - ((t.received - t.consumed) | 0);
}

/** Shift of the windows in segments that are no SYN. */
function shiftOf(t: Tcb): number {
  return t.has(SCALING_ON) ? t.rcvWndShift : 0;
}

/** RCV.WND: what the peer may still send, as advertised. */
export function rcvWnd(t: Tcb): number {
  const window = (t.rcvAdv - t.rcvNxt) | 0;
  return window > 0 ? window : 0;
}

/**
 * The window field for a segment that leaves now; `rcvAdv` moves with it.
 *
 * The right edge moves only by as much as makes a useful segment (RFC 9293 3.8.6.2.2, against silly windows), and never
 * back (SHLD-14). With scaling the edge would fall back by the bits that are cut off, so a window that does not grow is
 * rounded up, as long as the buffer is exceeded by less than one unit of it.
 */
export function advertise(core: Core, t: Tcb): number {
  const shift = shiftOf(t);
  if (shift > 0 && core.limits.windowShrinks) return advertiseRoom(t, shift);
  const current = rcvWnd(t);
  const space = room(t);
  const step = Math.min(t.rcvBuf >> 1, t.rcvMss);
  const wanted = space - current >= step ? space - t.rcvHeld : current;
  const unit = 1 << shift;
  let field = wanted >>> shift;
  const kept = (current + unit - 1) >>> shift;
  if (field < kept) field = kept * unit - space < unit || kept * unit === current ? kept : current >>> shift;
  if (field > FIELD_MAX) field = FIELD_MAX;
  const edge = (t.rcvNxt + field * unit) | 0;
  if (after(edge, t.rcvAdv)) {
    if (t.rcvAdv === t.lastAckSent) core.stats[stat.FROM_ZERO_WINDOW]++;
    t.rcvAdv = edge;
  }
  // What was last offered counted from what was last acknowledged.
  if (field === 0 && t.rcvAdv !== t.lastAckSent) core.stats[stat.TO_ZERO_WINDOW]++;
  return field;
}

/** The same where windows may shrink: what there is room for, be it less than was told before. That is taken all the same. */
function advertiseRoom(t: Tcb, shift: number): number {
  const field = Math.min(Math.max(room(t) - t.rcvHeld, 0) >>> shift, FIELD_MAX);
  t.rcvTold = (t.rcvNxt + (field << shift)) | 0;
  if (after(t.rcvTold, t.rcvAdv)) t.rcvAdv = t.rcvTold;
  return field;
}

/** True where the reader has made so much room that the peer should hear of it: the window would at least double. */
export function updateDue(core: Core, t: Tcb): boolean {
  const shrinks = core.limits.windowShrinks && t.has(SCALING_ON);
  const current = shrinks ? Math.max((t.rcvTold - t.rcvNxt) | 0, 0) : rcvWnd(t);
  const space = Math.min(room(t) - t.rcvHeld, FIELD_MAX << shiftOf(t));
  return space - current >= Math.min(t.rcvBuf >> 1, t.rcvMss) && space >= 2 * current;
}

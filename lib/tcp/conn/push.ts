/**
 * PSH within the stream, where it is asked for: at the end of every step of several segments. It tells a receiver that
 * coalesces segments on their way up that it need not wait for the next one. Steps are those of Linux: what it hands to a
 * device in one piece, at most half of the congestion window, and no more than leaves in a millisecond (tcp_tso_autosize).
 */
import { rate } from './cc/pacing.js';
import type { Core } from './core.js';
import type { Tcb } from './tcb.js';

const STEP_US = 1000;
/** Bytes of the largest step. */
const STEP_MOST = 65_536;
/** On a short path steps may be larger: by all of STEP_MOST below this round trip, by half of it below twice that, in µs. */
const SHORT_RTT_US = 512;
/** Halvings after which nothing is left. */
const HALVINGS_MOST = 31;

/** The next `length` bytes leave, of `room` that may leave now. Returns whether a step ends with them. */
export function endsStep(core: Core, t: Tcb, length: number, room: number): boolean {
  if (core.stepLeft <= 0) {
    core.step = Math.min(stepOf(t, core.limits.pushSteps), room);
    core.stepLeft = core.step;
  }
  core.stepLeft -= length;
  return core.stepLeft <= 0 && core.step > t.sndMss;
}

/** Bytes of a step: whole segments, `least` of them where the congestion window is large enough. */
function stepOf(t: Tcb, least: number): number {
  const mss = t.sndMss;
  const closer = STEP_MOST >> Math.min(Math.floor(t.minRtt / SHORT_RTT_US), HALVINGS_MOST);
  const bytes = Math.min(rate(t) * STEP_US + closer, STEP_MOST);
  const segments = Math.max(Math.floor(bytes / mss), least);
  return Math.max(Math.min(segments, Math.floor(t.cwnd / mss) >> 1), 1) * mss;
}

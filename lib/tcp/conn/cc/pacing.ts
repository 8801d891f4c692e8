/**
 * Pacing: new text leaves in small steps over the round trip instead of in bursts that fill the queues on the way. The rate is
 * Linux's: a window in each round trip, times two in slow start and 1.2 after it, so that pacing itself never holds growth up.
 */
import { TICK_US } from '../core.js';
import type { Core } from '../core.js';
import { TIMER_PACE } from '../state.js';
import type { Tcb } from '../tcb.js';
import { armIn } from '../timers.js';

/** Of `Tcb.pacing`: by the window alone. Any larger number bounds the rate, in bytes a second. */
export const BY_WINDOW = 1;

const SLOW_START_RATIO = 2;
const AVOIDANCE_RATIO = 1.2;
/** Least segments of a step, and how long a step of a fast flow lasts, in µs. */
const LEAST_SEGMENTS = 2;
const STEP_US = 1000;
/** Bytes of the largest step. */
const STEP_MOST = 1 << 20;
/** A wait longer than this is none: the clock has wrapped since (µs). */
const LONGEST_US = 60_000_000;

/** Begins a step, of `core.paceLeft` bytes, where one is due; else the timer is armed for it. Returns whether it was due. */
export function beginStep(core: Core, t: Tcb): boolean {
  const wait = (t.paceAt - core.us) | 0;
  if (wait >= TICK_US && wait <= LONGEST_US) {
    armIn(core, t, TIMER_PACE, wait);
    return false;
  }
  const bytes = Math.min(rate(t) * STEP_US, STEP_MOST);
  core.paceLeft = Math.max(Math.floor(bytes / t.sndMss), LEAST_SEGMENTS) * t.sndMss;
  return true;
}

/** `sent` bytes have left: the next ones have to wait for as long as they take. */
export function notePaced(core: Core, t: Tcb, sent: number): void {
  const since = (core.us - t.paceAt) | 0;
  // Time that was not used is not made up for.
  const from = since > 0 || since < -LONGEST_US ? core.us : t.paceAt;
  core.paceLeft -= sent;
  t.paceAt = (from + Math.min(Math.ceil(sent / rate(t)), LONGEST_US)) | 0;
}

/** Bytes in a µs; Infinity while no round trip is measured. */
export function rate(t: Tcb): number {
  const bound = t.pacing > BY_WINDOW ? t.pacing / 1e6 : Infinity;
  if (t.srtt === 0) return bound;
  const window = Math.max(t.cwnd, (t.sndNxt - t.sndUna) | 0);
  const ratio = t.cwnd < t.ssthresh >> 1 ? SLOW_START_RATIO : AVOIDANCE_RATIO;
  return Math.min((window * ratio) / t.srtt, bound);
}

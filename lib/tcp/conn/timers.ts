/** The timers of a flow. They share one node of the wheel, which expires at the earliest of them or before it. */
import { TICK_US, TICKS_PER_MS } from './core.js';
import type { Core } from './core.js';
import { TIMER_ACK, TIMER_LIFE, TIMER_PACE, TIMER_REORDER, TIMER_RETRANSMIT } from './state.js';
import type { Tcb } from './tcb.js';

/** Arms one timer of the flow at hand to run out in `us` microseconds, at most 2^30. */
export function armIn(core: Core, t: Tcb, timer: number, us: number): void {
  armAt(core, t, timer, (core.ticks + (((us + TICK_US - 1) / TICK_US) | 0)) | 0);
}

/** As `armIn`, in milliseconds; what does not fit in a day counts as a day. */
export function armInMs(core: Core, t: Tcb, timer: number, ms: number): void {
  armAt(core, t, timer, (core.ticks + Math.min(ms, 86_400_000) * TICKS_PER_MS) | 0);
}

function armAt(core: Core, t: Tcb, timer: number, tick: number): void {
  if (timer === TIMER_RETRANSMIT) t.retransmitAt = tick;
  else if (timer === TIMER_ACK) t.ackAt = tick;
  else if (timer === TIMER_REORDER) t.reorderAt = tick;
  else if (timer === TIMER_PACE) t.paceDue = tick;
  else t.lifeAt = tick;
  t.timers |= timer;
  core.wheel.armBy(t.flow, tick);
}

/** The wheel is left as it is: it wakes the flow once for nothing, which costs less than to unlink it each time. */
export function disarm(t: Tcb, timer: number): void {
  t.timers &= ~timer;
}

export function isArmed(t: Tcb, timer: number): boolean {
  return (t.timers & timer) !== 0;
}

function deadline(t: Tcb, timer: number): number {
  if (timer === TIMER_RETRANSMIT) return t.retransmitAt;
  if (timer === TIMER_ACK) return t.ackAt;
  if (timer === TIMER_REORDER) return t.reorderAt;
  return timer === TIMER_PACE ? t.paceDue : t.lifeAt;
}

/** True where the timer is armed and its time has come; it is disarmed then. */
export function takeDue(core: Core, t: Tcb, timer: number): boolean {
  if ((t.timers & timer) === 0) return false;
  if (((deadline(t, timer) - core.ticks) | 0) > 0) return false;
  t.timers &= ~timer;
  return true;
}

/** Arms the wheel for the earliest timer that is armed, after the flow's node has expired. */
export function rearm(core: Core, t: Tcb): void {
  const timers = t.timers;
  if ((timers & TIMER_RETRANSMIT) !== 0) core.wheel.armBy(t.flow, t.retransmitAt);
  if ((timers & TIMER_ACK) !== 0) core.wheel.armBy(t.flow, t.ackAt);
  if ((timers & TIMER_REORDER) !== 0) core.wheel.armBy(t.flow, t.reorderAt);
  if ((timers & TIMER_PACE) !== 0) core.wheel.armBy(t.flow, t.paceDue);
  if ((timers & TIMER_LIFE) !== 0) core.wheel.armBy(t.flow, t.lifeAt);
}

/** Ends all timers of a flow that is over. */
export function disarmAll(core: Core, t: Tcb): void {
  t.timers = 0;
  core.wheel.cancel(t.flow);
}

/** The idle timer of a socket: an app sets it often and it seldom fires, so setting it and noting activity cost no timer call. */
import { invalidType, outOfRange } from './errors.js';

/** What may be idle. */
export interface Idler {
  /** The time has passed without activity. */
  _idle(): void;
}

/** Longest time a timer can run, ms: what Node's own timers take. */
const LONGEST = 2 ** 31 - 1;

/** Checks a time in ms as Node's timers do. */
export function duration(value: unknown, name: string): number {
  if (typeof value !== 'number') throw invalidType(name, ['number'], value);
  if (!(value >= 0 && Number.isFinite(value))) throw outOfRange(name, 'a non-negative finite number', value);
  if (value <= LONGEST) return value;
  process.emitWarning(`${value} does not fit into a 32-bit signed integer.\nTimer duration was truncated to ${LONGEST}.`, 'TimeoutOverflowWarning');
  return LONGEST;
}

function look(timer: IdleTimer): void {
  timer.fire();
}

/**
 * Calls `_idle` once `set` milliseconds have passed since the last `touch`.
 *
 * The timer behind it is armed once and left alone. When it fires early, because of activity since or a longer time set
 * since, it is armed again for what is left. It never keeps the process alive.
 */
export class IdleTimer {
  private readonly owner: Idler;
  private time = 0;
  private since = 0;
  private timer: NodeJS.Timeout | null = null;
  /** When `timer` fires, ms of `performance.now`. */
  private due = 0;

  constructor(owner: Idler) {
    this.owner = owner;
  }

  /** Sets the time, counted from now; 0 turns the timer off. */
  set(ms: number): void {
    // Node's timers count from 1 ms.
    this.time = ms > 0 ? Math.max(1, ms) : 0;
    if (this.time === 0) return;
    this.since = performance.now();
    if (this.timer !== null && this.due <= this.since + this.time) return;
    if (this.timer !== null) clearTimeout(this.timer);
    this.arm(this.time);
  }

  /** Something happened: the time begins anew. */
  touch(): void {
    if (this.time !== 0) this.since = performance.now();
  }

  /** Ends the timer for good. */
  clear(): void {
    this.time = 0;
    if (this.timer !== null) clearTimeout(this.timer);
    this.timer = null;
  }

  /** The timer's callback. */
  fire(): void {
    this.timer = null;
    if (this.time === 0) return;
    const left = this.since + this.time - performance.now();
    if (left > 0.5) this.arm(left);
    else this.owner._idle();
  }

  private arm(ms: number): void {
    this.due = performance.now() + ms;
    this.timer = setTimeout(look, Math.ceil(ms), this);
    this.timer.unref();
  }
}

/** The time of the system, for turns that leave nothing for the collector: `performance.now()` makes a new number each time. */
import { readMonotonicTime } from '../nic/syscalls.js';
import { Clock } from '../tcp/clock.js';

/** µs on a clock that never jumps (CLOCK_MONOTONIC). */
export class SystemClock extends Clock {
  constructor() {
    super();
    this.tick();
  }

  /** It is now. */
  tick(): void {
    const time = readMonotonicTime();
    this.now = time[0]! * 1e6 + time[2]! / 1000;
  }
}

/**
 * Whether the TCP server looks again before it sleeps, learnt from how long it had nothing to do before.
 *
 * To sleep and to be woken costs about as much as `mostUs` of looking. So a pause shorter than that is better spent looking, and a longer one
 * asleep; and most pauses are like those just before them. Each pause counts for or against, whether it was spent looking or asleep,
 * so a TCP server that has given up looking finds out by itself when it would pay again.
 */
import type { Clock } from '../tcp/clock.js';

/** Pauses that it takes to change from one to the other, and back. */
const MEMORY = 16;

export class Spin {
  readonly #mostUs: number;
  readonly #learns: boolean;
  /** 0 to MEMORY: how many more of the last pauses were short than long. */
  #score = MEMORY;
  /** When the pause began, µs; negative: there is none. */
  #since = -1;

  /** @param mostUs longest time of looking, µs; 0: none. @param learns false: it is looked for as long as that in each pause. */
  constructor(mostUs: number, learns: boolean) {
    this.#mostUs = mostUs;
    this.#learns = learns;
  }

  /** Nothing is there to do: true where it is worth looking again at once, false where it is time to sleep. */
  again({ now }: Clock): boolean {
    if (this.#since < 0) this.#since = now;
    if (this.#learns && this.#score < MEMORY / 2) return false;
    return now - this.#since < this.#mostUs;
  }

  /** There was something to do. */
  worked({ now }: Clock): void {
    if (this.#since < 0) return;
    const pause = now - this.#since;
    this.#since = -1;
    // Of a pause that was slept through, the wake-up is a part.
    const bound = this.#score < MEMORY / 2 ? 2 * this.#mostUs : this.#mostUs;
    this.#score = pause < bound ? Math.min(this.#score + 1, MEMORY) : Math.max(this.#score - 1, 0);
  }
}

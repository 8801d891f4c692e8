/** Socket calls as they are asked for and answered, and those that wait. */
import { errnoName } from './errno.js';

/** The result of a call: its return value, and what else belongs into the answer. */
export interface Result {
  ret: number;
  errno?: string;
  [field: string]: unknown;
}

export function done(ret = 0, more: Record<string, unknown> = {}): Result {
  return { ret, ...more };
}

/** @param errno its name, or its number. */
export function failed(errno: string | number): Result {
  return { ret: -1, errno: typeof errno === 'number' ? errnoName(errno) : errno };
}

/** Does the call, or as much of it as can be done. Returns null where it has to wait. */
export type Attempt = () => Result | null;

interface Waiting {
  attempt: Attempt;
  finish: (result: Result) => void;
}

/** Calls that block, oldest first. They are tried again whenever something has changed. */
export class Calls {
  #waiting: Waiting[] = [];
  #retrying = false;

  /** Makes a call. Returns its result where it is done at once; else null, and `finish` is called when it is. */
  make(attempt: Attempt, finish: (result: Result) => void): Result | null {
    const result = attempt();
    if (result === null) this.#waiting.push({ attempt, finish });
    return result;
  }

  /** Something has changed. */
  retry(): void {
    if (this.#retrying) return;
    this.#retrying = true;
    const waiting = this.#waiting;
    this.#waiting = [];
    const still = waiting.filter(({ attempt, finish }) => {
      const result = attempt();
      if (result !== null) finish(result);
      return result === null;
    });
    this.#waiting = [...still, ...this.#waiting];
    this.#retrying = false;
  }
}

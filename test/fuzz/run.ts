/** A run over many cases, in one thread or several. */
import { runCase, Coverage } from './case.js';
import type { Failure, Target } from './case.js';

export interface Share {
  readonly target: string;
  readonly seed: number;
  /** The cases are `first`, `first + step`, ... */
  readonly first: number;
  readonly step: number;
  /** Inputs after which no further case is begun. */
  readonly inputs: number;
}

export interface Result {
  readonly target: string;
  inputs: number;
  cases: number;
  failure: Failure | null;
  /** Counters and how often each was reached. */
  readonly coverage: [string, number][];
}

/** Words of shared memory by which a run tells where it is (the case at hand, inputs so far), and is told to end early. */
export const PROGRESS_CASE = 0;
export const PROGRESS_INPUTS = 1;
export const PROGRESS_STOP = 2;
export const PROGRESS_WORDS = 3;

/** Runs cases until the inputs are used up or one fails. */
export function runShare(target: Target, share: Share, progress: Int32Array | null): Result {
  const coverage = new Coverage();
  const result: Result = { target: target.name, inputs: 0, cases: 0, failure: null, coverage: [] };
  for (let number = share.first; result.inputs < share.inputs && result.failure === null; number += share.step) {
    if (progress !== null) {
      if (Atomics.load(progress, PROGRESS_STOP) !== 0) break;
      Atomics.store(progress, PROGRESS_CASE, number);
    }
    const outcome = runCase(target, share.seed, number, coverage);
    result.inputs += Math.max(outcome.inputs, 1);
    result.cases++;
    result.failure = outcome.failure;
    if (progress !== null) Atomics.add(progress, PROGRESS_INPUTS, outcome.inputs);
  }
  result.coverage.push(...coverage.counts);
  return result;
}

/**
 * A case: a world, and steps that are drawn from what the world is like at that moment and then done to it. A step says
 * in plain numbers and bytes what it does, so a list of steps can be done again without the chance that made it, in
 * part, and is what a kept seed consists of.
 */
import { mix, Source } from './source.js';

export interface Step {
  readonly do: string;
  readonly a?: number;
  readonly b?: number;
  readonly c?: number;
  /** Valid until the next step is drawn. */
  readonly bytes?: Uint8Array;
}

/** What must not be. */
export class Finding extends Error {
  override readonly name = 'Finding';
}

/** How often each counter, state and step was reached. */
export class Coverage {
  readonly counts = new Map<string, number>();

  add(name: string, count: number): void {
    if (count !== 0) this.counts.set(name, (this.counts.get(name) ?? 0) + count);
  }

  merge(entries: Iterable<readonly [string, number]>): void {
    for (const [name, count] of entries) this.add(name, count);
  }
}

export interface World {
  /** Frames that stacks have taken in, or entries of queues for a target that has no frames. */
  readonly inputs: number;
  /** Draws the next step; changes nothing. */
  next(source: Source): Step;
  /** @throws Finding, or whatever the code under test throws. */
  apply(step: Step): void;
  /** Ends everything in good order or bad. @throws Finding where something is left, or never ends. */
  finish(): void;
  report(coverage: Coverage): void;
}

export interface Target {
  readonly name: string;
  /** What is counted: 'frames' or 'entries'. */
  readonly unit: 'frames' | 'entries' | 'inputs';
  /** Steps of one case. */
  readonly steps: number;
  /** Share of the whole run, in inputs. */
  readonly share: number;
  /** `setting` decides what the world is made of. */
  open(setting: number): World;
}

export interface Failure {
  readonly target: string;
  readonly seed: number;
  readonly number: number;
  readonly setting: number;
  readonly message: string;
  readonly stack: string;
  readonly steps: readonly Step[];
}

export interface Outcome {
  readonly inputs: number;
  readonly failure: Failure | null;
}

function settingOf(seed: number, number: number): number {
  return mix(mix(seed) ^ number);
}

/** Runs one case. A failure comes with its steps. */
export function runCase(target: Target, seed: number, number: number, coverage: Coverage | null): Outcome {
  const setting = settingOf(seed, number);
  const source = new Source(seed, number);
  let world: World | null = null;
  try {
    world = target.open(setting);
    for (let i = 0; i < target.steps; i++) world.apply(world.next(source));
    world.finish();
  } catch (error) {
    return { inputs: world?.inputs ?? 0, failure: record(target, seed, number, error as Error) };
  }
  if (coverage !== null) world.report(coverage);
  return { inputs: world.inputs, failure: null };
}

/** Runs a case that has failed once more and notes its steps. */
function record(target: Target, seed: number, number: number, error: Error): Failure {
  const setting = settingOf(seed, number);
  const steps: Step[] = [];
  const source = new Source(seed, number);
  let message = describe(error);
  try {
    const world = target.open(setting);
    for (let i = 0; i < target.steps; i++) {
      const step = world.next(source);
      steps.push(step.bytes === undefined ? { ...step } : { ...step, bytes: step.bytes.slice() });
      world.apply(step);
    }
    world.finish();
    message = `${message} (and not when it ran again: something outlives a case)`;
  } catch (again) {
    if (describe(again as Error) !== message) message = `${message}; when it ran again: ${describe(again as Error)}`;
  }
  return { target: target.name, seed, number, setting, message, stack: error.stack ?? '', steps };
}

/** Does the steps to a world. Returns what went wrong, or null. */
export function replay(target: Target, setting: number, steps: readonly Step[]): Error | null {
  try {
    const world = target.open(setting);
    for (const step of steps) world.apply(step);
    world.finish();
    return null;
  } catch (error) {
    return error as Error;
  }
}

function describe(error: Error): string {
  return error instanceof Finding ? error.message : `${error.name}: ${error.message}`;
}

/** The kind of a failure: its message without the numbers in it. */
function kindOf(error: Error): string {
  return describe(error).replace(/-?\d+/g, '#');
}

/** Leaves steps out as long as the same goes wrong: halves, quarters, ... single ones (Zeller's ddmin). */
export function shrink(target: Target, failure: Failure, tries = 3000): readonly Step[] {
  const first = replay(target, failure.setting, failure.steps);
  if (first === null) return failure.steps;
  const kind = kindOf(first);
  let steps = failure.steps;
  for (let size = steps.length >> 1; size >= 1 && tries > 0; size = size > 1 ? size >> 1 : 0) {
    for (let at = 0; at < steps.length && tries > 0;) {
      const fewer = [...steps.slice(0, at), ...steps.slice(at + size)];
      const error = replay(target, failure.setting, fewer);
      tries--;
      if (error !== null && kindOf(error) === kind) steps = fewer;
      else at += size;
    }
    const joined = joinTimes(steps);
    const error = joined.length < steps.length ? replay(target, failure.setting, joined) : null;
    if (error !== null && kindOf(error) === kind) steps = joined;
  }
  return steps;
}

/** Joins neighbouring steps of time. */
function joinTimes(steps: readonly Step[]): Step[] {
  const joined: Step[] = [];
  for (const step of steps) {
    const last = joined.at(-1);
    if (step.do === 'time' && last?.do === 'time') joined[joined.length - 1] = { do: 'time', a: (last.a ?? 0) + (step.a ?? 0) };
    else joined.push(step);
  }
  return joined;
}

export interface Seed {
  readonly target: string;
  readonly setting: number;
  /** What went wrong once. */
  readonly was: string;
  readonly steps: readonly unknown[];
}

/** Steps as JSON: an array of its words each, bytes as hex. */
export function toJson(steps: readonly Step[]): unknown[] {
  return steps.map(({ do: name, a, b, c, bytes }) => {
    const words: unknown[] = [name, a ?? 0, b ?? 0, c ?? 0];
    while (words.length > 1 && words.at(-1) === 0) words.pop();
    if (bytes !== undefined) {
      while (words.length < 4) words.push(0);
      words.push(Buffer.from(bytes).toString('hex'));
    }
    return words;
  });
}

export function fromJson(steps: readonly unknown[]): Step[] {
  return steps.map((step) => {
    const [name, a, b, c, hex] = step as [string, number?, number?, number?, string?];
    const numbers = { do: name, a: a ?? 0, b: b ?? 0, c: c ?? 0 };
    return hex === undefined ? numbers : { ...numbers, bytes: new Uint8Array(Buffer.from(hex, 'hex')) };
  });
}

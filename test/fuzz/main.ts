/** `npm run fuzz`: see USAGE. */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { Worker } from 'node:worker_threads';
import { Coverage, fromJson, replay, runCase, shrink, toJson } from './case.js';
import type { Failure } from './case.js';
import { PROGRESS_CASE, PROGRESS_INPUTS, PROGRESS_STOP, PROGRESS_WORDS } from './run.js';
import type { Result, Share } from './run.js';
import { readSeed } from './seeds.js';
import { allCounters, TARGETS, targetOf } from './targets.js';

const USAGE = `usage: npm run fuzz -- [--frames N] [--seed S] [--target T] [--threads N] [--case N] [--replay FILE] [--json] [--help]

  --frames N    frames that stacks take in, over all targets (default 1000000); k and M are understood
  --seed S      what chance begins with (default: of the day)
  --target T    one target, or several with commas: ${TARGETS.map(({ name }) => name).join(', ')}
  --threads N   threads (default 1)
  --case N      this case of the target and seed alone
  --replay FILE a kept seed: its steps alone
  --json        the summary as JSON, on standard output

A first ^C ends it early, with the summary. It ends with 0, with 1 where something was found, and with 2 where it does not
understand. What was found is written to standard output as steps that do it again, and as the command that does it again.
`;

/** Nothing moved for so long: a case hangs. */
const HANG_MS = 60_000;
const PROGRESS_MS = 2000;

function usage(problem: string): never {
  process.stderr.write(`${problem}\n${USAGE}`);
  process.exit(2);
}

function readArguments(): { frames: number; seed: number; targets: string[]; threads: number; case: number | null; replay: string | null; json: boolean } {
  const text = { type: 'string' } as const;
  let values;
  try {
    ({ values } = parseArgs({
      options: {
        frames: text, seed: text, target: text, threads: text, case: text, replay: text,
        json: { type: 'boolean' }, help: { type: 'boolean', short: 'h' },
      },
    }));
  } catch (error) {
    usage((error as Error).message);
  }
  if (values.help === true) {
    process.stdout.write(USAGE);
    process.exit(0);
  }
  const targets = values.target === undefined ? TARGETS.map(({ name }) => name) : values.target.split(',');
  for (const name of targets) if (!TARGETS.some((target) => target.name === name)) usage(`no such target: ${name}`);
  return {
    frames: number('frames', values.frames, 1_000_000),
    seed: number('seed', values.seed, Math.floor(Date.now() / 86_400_000)),
    targets,
    threads: number('threads', values.threads, 1),
    case: values.case === undefined ? null : number('case', values.case, 0),
    replay: values.replay ?? null,
    json: values.json === true,
  };
}

function number(name: string, text: string | undefined, standard: number): number {
  if (text === undefined) return standard;
  const [, digits, unit] = /^([0-9]+)([kM]?)$/.exec(text) ?? usage(`--${name} is a number; it is ${text}`);
  return Number(digits) * (unit === 'k' ? 1000 : unit === 'M' ? 1_000_000 : 1);
}

const given = readArguments();
if (given.replay !== null) process.exit(replayFile(given.replay));
else if (given.case !== null) process.exit(oneCase(given.targets[0]!, given.seed, given.case));
else await runAll();

function replayFile(path: string): number {
  const seed = readSeed(path);
  const error = replay(targetOf(seed.target), seed.setting, fromJson(seed.steps));
  process.stdout.write(error === null ? `nothing is wrong (it was: ${seed.was})\n` : `${error.stack}\n`);
  return error === null ? 0 : 1;
}

function oneCase(name: string, seed: number, which: number): number {
  const { failure, inputs } = runCase(targetOf(name), seed, which, null);
  if (failure === null) process.stdout.write(`nothing is wrong, after ${inputs} inputs\n`);
  else tell(failure);
  return failure === null ? 0 : 1;
}

/** What was found, as small as it can be made, and how it is found again. */
function tell(failure: Failure): void {
  const steps = toJson(shrink(targetOf(failure.target), failure));
  const kept = { target: failure.target, setting: failure.setting, was: failure.message, steps };
  const file = `fuzz-${failure.target}-${failure.seed}-${failure.number}.json`;
  writeFileSync(file, `{"target":${JSON.stringify(kept.target)},"setting":${kept.setting},"was":${JSON.stringify(kept.was)},"steps":[\n` +
    `${steps.map((step) => JSON.stringify(step)).join(',\n')}\n]}\n`);
  process.stdout.write([
    '', `FOUND in ${failure.target}, seed ${failure.seed}, case ${failure.number}: ${failure.message}`, failure.stack, '',
    `${steps.length} of ${failure.steps.length} steps do it (target, setting, steps; frames as hex), kept in ${file}:`,
    ...steps.map((step) => JSON.stringify(step)), '',
    'again:', `  npm run fuzz -- --target ${failure.target} --seed ${failure.seed} --case ${failure.number}`, `  npm run fuzz -- --replay ${file}`, '',
  ].join('\n'));
}

async function runAll(): Promise<void> {
  const chosen = given.targets.map(targetOf);
  const whole = chosen.reduce((sum, { share, unit }) => sum + (unit === 'frames' ? share : 0), 0) || 1;
  const threads = Math.max(given.threads, 1);
  const progress = new Int32Array(new SharedArrayBuffer(4 * PROGRESS_WORDS * threads));
  const started = performance.now();
  const results: Result[] = [];
  const workers = Array.from({ length: threads }, (_, thread) => {
    const shares: Share[] = chosen.map((target) => ({
      target: target.name, seed: given.seed, first: thread, step: threads, inputs: Math.ceil((given.frames * target.share) / whole / threads),
    }));
    const own = progress.subarray(thread * PROGRESS_WORDS, (thread + 1) * PROGRESS_WORDS);
    const worker = new Worker(new URL('./worker.js', import.meta.url), { workerData: { shares, progress: own } });
    worker.on('message', (result: Result) => results.push(result));
    return worker;
  });
  const watch = watchProgress(progress, started);
  // Told to end, it tells what it has done so far.
  for (const signal of ['SIGINT', 'SIGTERM'] as const) {
    process.once(signal, () => {
      for (let at = PROGRESS_STOP; at < progress.length; at += PROGRESS_WORDS) Atomics.store(progress, at, 1);
    });
  }
  await Promise.all(workers.map((worker) => new Promise<void>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('exit', () => resolve());
  })));
  clearInterval(watch);
  summarise(results, (performance.now() - started) / 1000);
}

/** Tells how far it is, and ends the run where a case does not come to an end. */
function watchProgress(progress: Int32Array, started: number): NodeJS.Timeout {
  let last = -1;
  let moved = performance.now();
  return setInterval(() => {
    let inputs = 0;
    for (let at = PROGRESS_INPUTS; at < progress.length; at += PROGRESS_WORDS) inputs += Atomics.load(progress, at);
    const now = performance.now();
    const seconds = (now - started) / 1000;
    process.stderr.write(`${process.stderr.isTTY ? '\r' : ''}${inputs} inputs, ${Math.round(inputs / seconds)}/s${process.stderr.isTTY ? '   ' : '\n'}`);
    if (inputs !== last) moved = now;
    last = inputs;
    if (now - moved < HANG_MS) return;
    const cases = Array.from({ length: progress.length / PROGRESS_WORDS }, (_, i) => Atomics.load(progress, i * PROGRESS_WORDS + PROGRESS_CASE));
    process.stdout.write(`\nFOUND: nothing moves any more; the cases at hand are ${cases.join(', ')} of seed ${given.seed}, targets ${given.targets.join()}\n`);
    process.exit(1);
  }, PROGRESS_MS);
}

function summarise(results: readonly Result[], seconds: number): void {
  const coverage = new Coverage();
  const byTarget: Record<string, { cases: number; inputs: number; unit: string }> = {};
  for (const { target, cases, inputs, coverage: counts } of results) {
    const sum = (byTarget[target] ??= { cases: 0, inputs: 0, unit: targetOf(target).unit });
    sum.cases += cases;
    sum.inputs += inputs;
    coverage.merge(counts);
  }
  const frames = Object.values(byTarget).reduce((sum, { inputs, unit }) => sum + (unit === 'frames' ? inputs : 0), 0);
  const failures = results.flatMap(({ failure }) => failure ?? []);
  const counters = allCounters();
  const missed = counters.filter((name) => !coverage.counts.has(name));
  const summary = {
    frames, seconds: Number(seconds.toFixed(1)), framesPerSecond: Math.round(frames / seconds), seed: given.seed, targets: byTarget,
    found: failures.map(({ target, seed, number: which, message }) => ({ target, seed, case: which, message })),
    reached: Object.fromEntries([...coverage.counts].sort(([a], [b]) => (a < b ? -1 : 1))), neverReached: missed,
  };
  if (given.json) {
    process.stdout.write(`${JSON.stringify(summary, null, 1)}\n`);
  } else {
    for (const failure of failures) tell(failure);
    process.stdout.write('\nreached:\n');
    for (const [name, count] of Object.entries(summary.reached)) process.stdout.write(`  ${name.padEnd(40)} ${count}\n`);
    process.stdout.write(`never reached: ${missed.join(' ') || 'none'}\n\n`);
    for (const [name, { cases, inputs, unit }] of Object.entries(byTarget)) {
      process.stdout.write(`${name}: ${inputs} ${unit} in ${cases} cases\n`);
    }
    process.stdout.write(
      `${frames} frames in ${summary.seconds} s, ${summary.framesPerSecond}/s, seed ${given.seed}: ` +
      `${counters.length - missed.length} of ${counters.length} counters reached, ${failures.length} found\n`,
    );
  }
  process.exitCode = failures.length > 0 ? 1 : 0;
}

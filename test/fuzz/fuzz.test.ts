/** A short run of every fuzz target with fixed seeds, and every case that once went wrong. `npm run fuzz` runs long ones. */
import t from 'tap';
import { fromJson, replay } from './case.js';
import { runShare } from './run.js';
import { keptSeeds } from './seeds.js';
import { TARGETS, targetOf } from './targets.js';

/** Inputs of one target: as many as take about a second. */
const INPUTS = 12_000;

for (const target of TARGETS) {
  t.test(`${target.name}: damaged and hostile input throws nothing, hangs nothing, leaves nothing`, async (t) => {
    const result = runShare(target, { target: target.name, seed: 1, first: 0, step: 1, inputs: INPUTS }, null);
    const { failure } = result;
    t.equal(failure, null, failure === null ? '' : `${failure.message} (npm run fuzz -- --target ${target.name} --seed 1 --case ${failure.number})`);
    t.ok(result.inputs >= INPUTS);
  });
}

t.test('what once went wrong goes right', async (t) => {
  for (const { name, seed } of keptSeeds()) {
    const error = replay(targetOf(seed.target), seed.setting, fromJson(seed.steps));
    t.equal(error, null, `${name} (it was: ${seed.was})${error === null ? '' : `: ${error.message}`}`);
  }
});

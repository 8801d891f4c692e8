/** Cases that once went wrong, kept as their steps: test/fuzz/seeds. */
import { readdirSync, readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import type { Seed } from './case.js';

const FOLDER = fileURLToPath(new URL('../../../test/fuzz/seeds/', import.meta.url));

export function readSeed(path: string): Seed {
  return JSON.parse(readFileSync(path, 'utf8')) as Seed;
}

export function keptSeeds(): { name: string; seed: Seed }[] {
  return readdirSync(FOLDER).filter((name) => name.endsWith('.json')).sort().map((name) => ({ name, seed: readSeed(FOLDER + name) }));
}

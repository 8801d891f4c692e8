// `npm run conformance`: runs the scenarios and writes docs/conformance.md from what has passed. With --check it writes nothing,
// and fails where the page would be another.
import { spawnSync } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));
process.chdir(root);
run(join(root, 'tools/build.js'), []);
const { render, rowsOf, unknownReferences } = await import('../dist/test/proof/page.js');
const { scenarios } = await import('../dist/test/proof/titles.js');

const all = scenarios(root);
for (const unknown of unknownReferences(all)) process.stderr.write(`in no table: ${unknown}\n`);
const files = [...new Set(all.map(({ file }) => file))];
const results = resultsOf(run(tap(), ['--reporter=tap', ...files.map(compiled)], { stdio: ['ignore', 'pipe', 'inherit'], maxBuffer: 1 << 30 }));
const passed = all.filter(hasPassed);
for (const { file, title } of all.filter((scenario) => !hasPassed(scenario))) process.stderr.write(`did not pass: ${file}: ${title}\n`);

const rows = rowsOf(passed);
const page = render(rows);
const path = join(root, 'docs/conformance.md');
const check = process.argv.includes('--check');
const differs = check && readFileSync(path, 'utf8') !== page;
if (!check) writeFileSync(path, page);
const count = (result) => rows.filter((row) => row.result === result).length;
process.stdout.write(`${passed.length} of ${all.length} scenarios passed; ${count('met')} requirements met, ${count('not met')} not met, `
  + `${count('not applicable')} not applicable${differs ? '; docs/conformance.md says something else' : ''}\n`);
process.exitCode = passed.length === all.length && !differs && unknownReferences(all).length === 0 ? 0 : 1;

/** A title with a part that is filled in passes where every test that it fits does, and there is one. */
function hasPassed({ file, title }) {
  const key = `${compiled(file)}\n${title}`;
  if (!title.includes('…')) return results.get(key) === true;
  const parts = key.split('…').map((part) => part.replace(/[.*+?^${}()|[\]\\]/g, '\\$&'));
  const fits = new RegExp(`^${parts.join('.*')}$`, 's');
  const found = [...results].filter(([name]) => fits.test(name));
  return found.length > 0 && found.every(([, good]) => good);
}

function run(script, args, options = { stdio: 'inherit' }) {
  const { status, stdout } = spawnSync(process.execPath, [script, ...args], { encoding: 'utf8', ...options });
  if (status !== 0 && stdout === null) process.exit(status ?? 1);
  return stdout;
}

function tap() {
  const path = createRequire(import.meta.url).resolve('tap/package.json');
  const { bin } = JSON.parse(readFileSync(path, 'utf8'));
  return join(dirname(path), typeof bin === 'string' ? bin : bin.tap);
}

function compiled(file) {
  return join('dist', file.replace(/\.ts$/, '.js'));
}

/** Whether each test and subtest has passed, by file and title; one that was skipped has not. A title that is there twice must pass twice. */
function resultsOf(report) {
  const results = new Map();
  let file = '';
  for (const line of report.split('\n')) {
    const [, opened] = /^# Subtest: (\S+\.test\.js)$/.exec(line) ?? [];
    if (opened !== undefined) file = opened;
    const [, not, escaped, directive] = /^ {4,}(not )?ok \d+ - (.*?)(?: # (SKIP|TODO|time=)\S*.*)?$/.exec(line) ?? [];
    if (escaped === undefined) continue;
    const key = `${file}\n${escaped.replace(/\\([\\#])/g, '$1')}`;
    const good = not === undefined && directive !== 'SKIP' && directive !== 'TODO';
    results.set(key, good && results.get(key) !== false);
  }
  return results;
}

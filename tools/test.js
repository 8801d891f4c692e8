// `npm test`: build, lint, every test by tap; then what failed, once more, and a closing line with tap's own totals.
// Arguments name test files (below test/, with .ts) to run only these; --no-build and --no-lint leave that step out.
import { spawn, spawnSync } from 'node:child_process';
import { readFileSync, readdirSync } from 'node:fs';
import { createRequire } from 'node:module';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { TapFailures } from './tap_failures.js';

const root = fileURLToPath(new URL('..', import.meta.url));
const require = createRequire(import.meta.url);
const options = process.argv.slice(2).filter((argument) => argument.startsWith('--'));
const names = process.argv.slice(2).filter((argument) => !argument.startsWith('--'));
process.chdir(root);

if (!options.includes('--no-build')) step('build', [join(root, 'tools/build.js')]);
if (!options.includes('--no-lint') && names.length === 0) step('lint', [binary('eslint'), '--max-warnings', '0', '.']);
await test(names.length > 0 ? names.map(compiled) : tests());

function step(title, args) {
  process.stdout.write(`# ${title}\n`);
  const { status } = spawnSync(process.execPath, args, { stdio: 'inherit' });
  if (status !== 0) {
    process.stdout.write(`# ${title} failed\n0 passed, 1 failed\n`);
    process.exit(1);
  }
}

/** Runs tap, passes its report through, and closes with what failed, once more, and tap's totals. */
async function test(files) {
  const tap = spawn(process.execPath, [binary('tap'), '--reporter=tap', ...files], { stdio: ['ignore', 'pipe', 'inherit'] });
  const failures = new TapFailures();
  let rest = '';
  let totals = null;
  tap.stdout.setEncoding('utf8');
  tap.stdout.on('data', (text) => {
    process.stdout.write(text);
    const lines = (rest + text).split('\n');
    rest = lines.pop();
    for (const line of lines) {
      if (line.startsWith('# { total:')) totals = line;
      failures.read(line);
    }
  });
  for (const signal of ['SIGINT', 'SIGTERM']) process.on(signal, () => tap.kill(signal));
  const status = await new Promise((resolve) => tap.on('close', resolve));
  const { passed, failed } = count(totals, status);
  process.stdout.write(`${failures.text}${passed} passed, ${failed} failed\n`);
  process.exitCode = status === 0 && failed === 0 ? 0 : 1;
}

/** tap leaves counts of zero out; a run that ends in failure without a failed assertion counts as one. */
function count(totals, status) {
  const number = (name) => Number(new RegExp(`\\b${name}: (\\d+)`).exec(totals ?? '')?.[1] ?? 0);
  const failed = number('fail');
  return { passed: number('pass'), failed: failed === 0 && status !== 0 ? 1 : failed };
}

function tests() {
  return readdirSync(join(root, 'dist/test'), { recursive: true })
    .filter((path) => path.endsWith('.test.js'))
    .sort()
    .map((path) => join('dist/test', path));
}

function compiled(name) {
  return name.startsWith('dist/') ? name : join('dist', name.replace(/\.ts$/, '.js'));
}

function binary(name) {
  const path = require.resolve(`${name}/package.json`);
  const { bin } = JSON.parse(readFileSync(path, 'utf8'));
  return join(dirname(path), typeof bin === 'string' ? bin : bin[name]);
}

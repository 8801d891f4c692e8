// `npm run compat -- DIR`: Node's own tests of `net` and `http` with this package in place of `net`. DIR is a folder with Node's
// test/ tree, or that tree itself. Each test runs in a process of its own, started with `--import tcp-offload/register`.
import { spawn } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, readdirSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { availableParallelism, tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import { parseArgs } from 'node:util';

const root = fileURLToPath(new URL('..', import.meta.url));
const register = join(root, 'dist/lib/register.js');

const HELP = `usage: npm run compat -- DIR [options]
       npm run compat -- --page

Runs test-net-* and test-http-* of Node's test/parallel with tcp-offload in place of net, and prints which pass.

  DIR             a checkout of Node.js of the version that runs this, or its test/ folder
  --filter TEXT   only files whose name has this in it; may be given several times
  --jobs N        tests at once (default: the CPUs of this process, ${availableParallelism()})
  --timeout SEC   time for one test (default: 60)
  --kernel        leave the package out: which tests this machine fails anyway
  --output        print what a failing test wrote
  --json          print the result as JSON; progress goes to stderr
  --page          run nothing; write docs/net-compatibility.md from the table of members
  --help

Ends with 0 where no test has failed. compat/excluded.json holds what is left out, and why.
`;

const settings = readArguments();
const say = (text) => (settings.json ? process.stderr : process.stdout).write(`${text}\n`);
if (settings.page) {
  const { render } = await import('../dist/test/compat/page.js');
  writeFileSync(join(root, 'docs/net-compatibility.md'), render());
  process.exit();
}
const folder = testFolder(settings.folder);
const excluded = JSON.parse(readFileSync(join(root, 'compat/excluded.json'), 'utf8'));
const results = await runAll();
report(results);

function readArguments() {
  const options = {
    filter: { type: 'string', multiple: true, default: [] },
    jobs: { type: 'string', default: String(availableParallelism()) },
    timeout: { type: 'string', default: '60' },
    kernel: { type: 'boolean', default: false },
    output: { type: 'boolean', default: false },
    json: { type: 'boolean', default: false },
    page: { type: 'boolean', default: false },
    help: { type: 'boolean', default: false },
  };
  let parsed;
  try {
    parsed = parseArgs({ options, allowPositionals: true });
  } catch (error) {
    fail(error.message);
  }
  const { values, positionals } = parsed;
  if (values.help) {
    process.stdout.write(HELP);
    process.exit(0);
  }
  if (values.page) return values;
  if (positionals.length !== 1) fail(`one DIR is wanted, and there ${positionals.length === 0 ? 'is none' : `are ${positionals.length}`}`);
  return {
    ...values,
    folder: resolve(positionals[0]),
    jobs: wholeNumber('--jobs', values.jobs),
    timeoutMs: wholeNumber('--timeout', values.timeout) * 1000,
  };
}

function wholeNumber(name, text) {
  const number = Number(text);
  if (!Number.isInteger(number) || number < 1) fail(`${name} must be a whole number from 1, and is '${text}'`);
  return number;
}

function fail(message) {
  process.stderr.write(`npm run compat: ${message}\n\n${HELP}`);
  process.exit(2);
}

/** The folder test/parallel of what was given. */
function testFolder(given) {
  const candidates = [join(given, 'test/parallel'), join(given, 'parallel')];
  const found = candidates.find((path) => statSync(path, { throwIfNoEntry: false })?.isDirectory());
  return found ?? fail(`${given} has no folder test/parallel`);
}

async function runAll() {
  const names = readdirSync(folder).filter((name) => /^test-(net|http)-.*\.m?js$/.test(name)).sort();
  const chosen = names.filter((name) => settings.filter.length === 0 || settings.filter.some((text) => name.includes(text)));
  if (chosen.length === 0) fail(`${folder} has no test-net-* or test-http-* file${settings.filter.length > 0 ? ' that --filter lets pass' : ''}`);
  say(`${chosen.length} tests of ${folder}, ${settings.kernel ? "on the kernel's TCP" : 'on tcp-offload'}, Node.js ${process.version}`);
  const temporary = mkdtempSync(join(tmpdir(), 'tcp-offload-compat-'));
  const results = [];
  let next = 0;
  const worker = async (thread) => {
    while (next < chosen.length) {
      const name = chosen[next++];
      const result = await runOne(name, thread, temporary);
      results.push(result);
      tell(result, results.length, chosen.length);
    }
  };
  try {
    await Promise.all(Array.from({ length: settings.jobs }, (_, thread) => worker(thread)));
  } finally {
    rmSync(temporary, { recursive: true, force: true });
  }
  return results.sort((a, b) => (a.name < b.name ? -1 : 1));
}

function tell({ name, outcome, reason, seconds, output }, done, all) {
  const time = seconds === undefined ? '' : ` (${seconds.toFixed(1)} s)`;
  say(`[${done}/${all}] ${outcome.padEnd(8)} ${name}${time}${reason ? `: ${reason}` : ''}`);
  if (settings.output && outcome === 'failed') say(output.replace(/^/gm, '    '));
}

/** Why a test is left out; undefined where it is not. */
function exclusion(name, flags) {
  const flag = flags.find((each) => excluded.flags[each] !== undefined);
  if (flag !== undefined) return excluded.flags[flag];
  const pattern = Object.keys(excluded.files).find((each) => matches(name, each));
  return pattern === undefined ? undefined : excluded.files[pattern];
}

/** Whether a name fits a pattern, in which `*` stands for anything. */
function matches(name, pattern) {
  const parts = pattern.split('*').map((part) => part.replace(/[.+?^${}()|[\]\\]/g, '\\$&'));
  return new RegExp(`^${parts.join('.*')}$`).test(name);
}

/** Command line options that a test asks for in its first lines. */
function flagsOf(source) {
  return [...source.matchAll(/^\/\/ Flags: (.+)$/gm)].flatMap(([, flags]) => flags.trim().split(/\s+/));
}

async function runOne(name, thread, temporary) {
  const path = join(folder, name);
  const flags = flagsOf(readFileSync(path, 'utf8'));
  const reason = exclusion(name, flags);
  if (reason !== undefined) return { name, outcome: 'excluded', reason };
  const place = settings.kernel ? [] : ['--import', pathToFileURL(register).href];
  mkdirSync(join(temporary, String(thread)), { recursive: true });
  const started = performance.now();
  const { status, signal, output, expired } = await execute([...flags, ...place, path], {
    ...process.env,
    NODE_TEST_DIR: join(temporary, String(thread)),
    TEST_THREAD_ID: String(thread),
    TEST_PARALLEL: '1',
  });
  const seconds = (performance.now() - started) / 1000;
  const skipped = /^1\.\.0 # Skipped: (.*)$/m.exec(output);
  if (status === 0 && skipped !== null) return { name, outcome: 'skipped', reason: `by itself: ${skipped[1]}`, seconds };
  if (status === 0) return { name, outcome: 'passed', seconds };
  const why = expired ? `does not end in ${settings.timeoutMs / 1000} s` : signal !== null ? `ended by ${signal}` : firstError(output, status);
  return { name, outcome: 'failed', reason: why, seconds, output };
}

/** The line of a test's output that says most. */
function firstError(output, status) {
  const line = output.split('\n').find((each) => /^\s*(\w*Error\b.*|Mismatched .*)/.test(each));
  return line === undefined ? `exit status ${status}` : line.trim().slice(0, 160);
}

/** Runs Node in a process group of its own, so that a test that hangs leaves no child behind. */
function execute(args, env) {
  return new Promise((settle) => {
    const child = spawn(process.execPath, args, { env, cwd: folder, stdio: ['ignore', 'pipe', 'pipe'], detached: true });
    let output = '';
    let expired = false;
    for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text) => (output += text));
    const timer = setTimeout(() => {
      expired = true;
      killGroup(child.pid);
    }, settings.timeoutMs);
    child.on('exit', () => {
      clearTimeout(timer);
      killGroup(child.pid);
    });
    child.on('close', (status, signal) => settle({ status, signal, output, expired }));
  });
}

function killGroup(pid) {
  try {
    process.kill(-pid, 'SIGKILL');
  } catch (error) {
    // Nobody is left.
    if (error.code !== 'ESRCH') throw error;
  }
}

function report(all) {
  const groups = Object.fromEntries(['net', 'http'].map((group) => [group, summary(all.filter(({ name }) => name.startsWith(`test-${group}-`)))]));
  const total = summary(all);
  if (settings.json) {
    process.stdout.write(`${JSON.stringify({ node: process.version, kernel: settings.kernel, total, groups, results: all }, null, 2)}\n`);
  } else {
    for (const outcome of ['excluded', 'skipped', 'failed']) list(outcome, all.filter((result) => result.outcome === outcome));
    say('');
    for (const [group, counts] of Object.entries(groups)) say(line(group, counts));
    say(line('all', total));
  }
  process.exitCode = total.failed === 0 ? 0 : 1;
}

function summary(results) {
  const count = (outcome) => results.filter((result) => result.outcome === outcome).length;
  const [passed, failed] = [count('passed'), count('failed')];
  const percent = passed + failed === 0 ? null : Math.floor((passed / (passed + failed)) * 1000) / 10;
  return { tests: results.length, passed, failed, skipped: count('skipped'), excluded: count('excluded'), percent };
}

function list(outcome, results) {
  if (results.length === 0) return;
  say(`\n${outcome}:`);
  for (const { name, reason } of results) say(`  ${name}: ${reason}`);
}

function line(title, { passed, failed, skipped, excluded, percent }) {
  const share = percent === null ? 'none was run' : `${percent.toFixed(1)} % of those run`;
  return `${title}: ${passed} passed, ${failed} failed, ${skipped} skipped by themselves, ${excluded} excluded; ${share}`;
}

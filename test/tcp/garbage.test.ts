/** The hot path makes no garbage. */
import { spawnSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import t from 'tap';

t.test('a million requests and answers: the collector has nothing to do with each of them', async (t) => {
  const program = fileURLToPath(new URL('./support/steady.js', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, ['--trace-gc', program, '16000'], {
    encoding: 'utf8', env: { PATH: process.env['PATH'] },
  });
  t.equal(status, 0);
  const lines = stdout.split('\n');
  const collections = lines.slice(lines.indexOf('begin'), lines.indexOf('end')).filter((line) => /Scavenge|Mark-/.test(line));
  t.comment(lines.at(-2) ?? '');
  // What a turn makes (a double for its time) is allowed for; one object a request would be more than 20 collections.
  t.ok(collections.length <= 3, `${collections.length} collections`);
});

/** How pools and their workers come to an end that nobody has asked `pool.close` for, and what stands in the way of a beginning. */
import { once } from 'node:events';
import { cpSync, mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import * as http from 'node:http';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import t from 'tap';
import { TcpServer, attach, net } from '../../lib/index.js';
import { createPool } from '../../lib/pool.js';
import type { Pool } from '../../lib/pool.js';
import { pauseAfter } from '../../lib/pool_thread.js';
import { startElsewhere } from './elsewhere.js';
import { runNode } from './program.js';

const filename = new URL('./pool_app.js', import.meta.url);
const PATIENCE = { timeout: 60_000 };
/** Beyond that: nothing here ends because the time for draining is over. */
const drainTimeout = 600_000;

/** What a pool tells, in order, without the numbers of the workers. */
function trace(pool: Pool): string[] {
  const told: string[] = [];
  for (const event of ['online', 'exit', 'error', 'close']) {
    pool.on(event, (first?: unknown, error?: Error | null) => {
      const code = (first as { code?: string } | undefined)?.code;
      told.push([event, code ?? error?.message].filter((part) => part !== undefined).join(' '));
    });
  }
  return told;
}

/** Has the worker die that gets the request. */
async function kill(pool: Pool): Promise<void> {
  const request = http.get({ host: '127.0.0.1', port: pool.address()?.port, path: '/throw', createConnection: (() => net.connect(pool.address()!.port)) as never });
  await once(request, 'error');
}

function warnings(): { text: string[]; end: () => void } {
  const text: string[] = [];
  const take = ({ name, message }: Error): void => void (name === 'PoolWarning' && text.push(message));
  process.on('warning', take);
  return { text, end: () => process.removeListener('warning', take) };
}

t.test('who dies at once waits longer each time', (t) => {
  t.strictSame([0, 1, 2, 3, 4, 8, 9, 1000].map(pauseAfter), [0, 0, 100, 200, 400, 6400, 10_000, 10_000]);
  t.end();
});

t.test('a worker that dies at its start is started again, until it listens or the pool is closed', PATIENCE, async (t) => {
  const starts = new Int32Array(new SharedArrayBuffer(4));
  const warned = warnings();
  const pool = await createPool({ filename, threads: 1, drainTimeout, server: {}, data: starts });
  const told = trace(pool);
  const online = once(pool, 'online');
  await kill(pool);
  await online;
  t.equal(starts[0], 4);
  t.strictSame(told, ['exit thrown by GET /throw', 'online']);
  t.strictSame(warned.text, Array(2).fill('worker 0 of the pool could not be started again: thrown at the start'));
  starts[0] = 1;
  const exit = once(pool, 'exit');
  await kill(pool);
  await exit;
  await pool.close();
  const at = starts[0];
  t.strictSame(told.slice(2), ['exit thrown by GET /throw', 'close']);
  await new Promise((resolve) => setImmediate(resolve));
  t.equal(starts[0], at, 'no other start follows');
  warned.end();
});

t.test('closeOn: a signal closes the pool', PATIENCE, async (t) => {
  const listeners = (): number[] => ['SIGUSR2', 'SIGWINCH'].map((signal) => process.listenerCount(signal));
  const before = listeners();
  const pool = await createPool({ filename, threads: 2, drainTimeout, server: {}, closeOn: ['SIGUSR2', 'SIGWINCH'] });
  const told = trace(pool);
  const closed = once(pool, 'close');
  process.kill(process.pid, 'SIGUSR2');
  await closed;
  t.strictSame(told, ['exit', 'exit', 'close']);
  t.strictSame(listeners(), before);
  t.strictSame(pool.workers, []);
});

t.test('a TCP server that the app closes closes its pool, without an error', PATIENCE, async (t) => {
  const server = await TcpServer.start();
  const pool = await createPool({ filename, threads: 2, drainTimeout });
  const told = trace(pool);
  const closed = once(pool, 'close');
  await server.close();
  await closed;
  t.strictSame(told, ['exit', 'exit', 'close']);
});

for (const [end, data] of [['die', undefined], ['die', 'tolerant'], ['close', undefined]] as const) {
  t.test(`a TCP server of another thread: workers are on it, ${data ?? 'strict'}; then it ${end}s`, PATIENCE, async (t) => {
    const elsewhere = await startElsewhere();
    attach(elsewhere.handle);
    const pool = await createPool({ filename, threads: 2, drainTimeout, data });
    const told = trace(pool);
    const closed = new Promise((resolve) => pool.once('close', resolve));
    const socket = net.connect(pool.address()!.port);
    await once(socket, 'connect');
    socket.on('error', () => undefined);
    await elsewhere[end]();
    await closed;
    t.strictSame(told.filter((each) => !each.startsWith('exit')), end === 'die' ? ['error ERR_TCP_SERVER_DIED', 'close'] : ['close']);
    t.equal(pool.workers.length, 0);
  });
}

t.test('without the package piscina', async (t) => {
  // Not below the repository, whose node_modules has it.
  const folder = mkdtempSync(join(tmpdir(), 'tcp-offload-'));
  t.teardown(() => rmSync(folder, { recursive: true }));
  cpSync(fileURLToPath(new URL('../../lib', import.meta.url)), join(folder, 'lib'), { recursive: true });
  writeFileSync(join(folder, 'package.json'), '{ "type": "module" }');
  mkdirSync(join(folder, 'node_modules'));
  symlinkSync(fileURLToPath(new URL('../../../node_modules/koffi', import.meta.url)), join(folder, 'node_modules/koffi'));
  const program = `
    const { createPool } = await import('${pathToFileURL(join(folder, 'lib/pool.js')).href}');
    await createPool({ filename: '${fileURLToPath(filename)}' }).catch(({ code, message }) => console.log(code, message));
  `;
  t.equal(await runNode(['--input-type=module', '-e', program], { NODE_PATH: '' }), 'MODULE_NOT_FOUND A pool needs the package piscina, which cannot be loaded: npm install piscina\n');
});

/** A pool's life, with real workers over the loopback device. */
import { once } from 'node:events';
import * as http from 'node:http';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { TestBase } from '@tapjs/core';
import { net } from '../../lib/index.js';
import { createPool } from '../../lib/pool.js';
import type { Pool, PoolOptions, PoolWorker } from '../../lib/pool.js';

const filename = new URL('./pool_app.js', import.meta.url);
const PATIENCE = { timeout: 120_000 };

async function open(t: TestBase & { teardown(end: () => Promise<void>): void }, options: Partial<PoolOptions> = {}): Promise<Pool> {
  const pool = await createPool({ filename, threads: 2, server: { device: 'loopback', maxFlows: 4096 }, ...options });
  t.teardown(() => pool.close());
  return pool;
}

function agentOf(options: http.AgentOptions): http.Agent {
  return Object.assign(new http.Agent(options), { createConnection: (to: { host: string; port: number }) => net.connect(to) });
}

/** The body of an answer: index and thread of the worker that gave it. */
async function ask(pool: Pool, agent: http.Agent, options: http.RequestOptions = {}): Promise<string> {
  const request = http.get({ host: '127.0.0.1', port: pool.address()?.port, agent, ...options });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  return Buffer.concat(await response.toArray() as Buffer[]).toString();
}

const single = (): http.Agent => agentOf({ keepAlive: false });

t.test('workers listen on one port and share its connections in turn; a client that has an address of its own keeps its worker', PATIENCE, async (t) => {
  const turns = await open(t, { distribution: 'round-robin' });
  t.strictSame(turns.workers.map(({ index, state }) => [index, state]), [[0, 'listening'], [1, 'listening']]);
  t.ok(turns.workers.every(({ threadId, connections }) => threadId > 0 && connections === 0));
  const answers = [];
  for (let i = 0; i < 6; i++) answers.push((await ask(turns, single()))[0]);
  t.strictSame(answers.sort(), ['0', '0', '0', '1', '1', '1']);
  await turns.close();
  t.strictSame(turns.workers, []);
  const sources = await open(t, { distribution: 'source-hash', threads: 3 });
  const workers = new Set<string>();
  for (let client = 1; client <= 16; client++) {
    const localAddress = `127.0.1.${client}`;
    const first = await ask(sources, single(), { localAddress });
    t.equal(await ask(sources, single(), { localAddress }), first);
    workers.add(first);
  }
  t.ok(workers.size > 1);
});

t.test('a restart of every worker loses no request of clients that are busy all along, and closes the connections that rest', PATIENCE, async (t) => {
  const pool = await open(t);
  const before = new Set(pool.workers.map(({ threadId }) => threadId));
  let busy = true;
  const agents = [agentOf({ keepAlive: true, maxSockets: 8 }), single()];
  const answered = [0, 0];
  const failures: unknown[] = [];
  const clients = Array.from({ length: 16 }, async (_, client) => {
    while (busy) {
      await ask(pool, agents[client % 2]!).then(() => answered[client % 2]!++, (error: unknown) => failures.push(error));
    }
  });
  const resting = [net.connect(pool.address()!.port, '127.0.0.1'), net.connect(pool.address()!.port, '127.0.0.1')];
  resting[0]!.write('GET / HTTP/1.1\r\nHost: a\r\n\r\n');
  const ended = resting.map((socket) => once(socket.resume(), 'end'));
  const exits: (Error | null)[] = [];
  pool.on('exit', (_worker: PoolWorker, error: Error | null) => exits.push(error));
  await pool.restart();
  await pool.restart();
  busy = false;
  await Promise.all(clients);
  await Promise.all(ended);
  t.strictSame(failures, []);
  t.ok(answered.every((count) => count > 0), `${answered.join(' and ')} requests were answered`);
  t.strictSame(exits, [null, null, null, null]);
  t.notOk(pool.workers.some(({ threadId }) => before.has(threadId)), 'every thread is another one');
  agents.forEach((agent) => agent.destroy());
});

t.test('a worker that dies is told of and replaced', PATIENCE, async (t) => {
  const pool = await open(t, { threads: 1 });
  const before = await ask(pool, single());
  const exit = once(pool, 'exit') as Promise<[PoolWorker, Error]>;
  const online = once(pool, 'online');
  await t.rejects(ask(pool, single(), { path: '/throw' }));
  const [worker, error] = await exit;
  t.equal(worker.index, 0);
  t.equal(error.message, 'thrown by GET /throw');
  await online;
  t.not(await ask(pool, single()), before);
});

t.test('connections that do not end are closed when their time is over', PATIENCE, async (t) => {
  const pool = await open(t, { threads: 1, drainTimeout: 0 });
  const socket = net.connect(pool.address()!.port, '127.0.0.1');
  socket.write('GET / HT');
  await once(socket, 'connect');
  const closed = new Promise((resolve) => socket.on('error', () => undefined).once('close', resolve));
  await pool.close();
  await closed;
  t.equal(pool.workers.length, 0);
  await t.rejects(pool.restart(), { code: 'ERR_POOL_CLOSED' });
});

t.test('refusals name the option and the mend', PATIENCE, async (t) => {
  const refused = (options: object, says: object): Promise<unknown> => t.rejects(createPool({ filename, threads: 1, server: {}, ...options } as PoolOptions), says as Error);
  await refused({ filename: undefined }, { code: 'ERR_INVALID_ARG_TYPE', message: /filename.*Write the path/ });
  await refused({ filename: './nowhere.js' }, { code: 'ERR_INVALID_ARG_VALUE', message: /nowhere.js does not/ });
  await refused({ threads: 0 }, { code: 'ERR_OUT_OF_RANGE', message: /options.threads/ });
  await refused({ distribution: 'fair' }, { code: 'ERR_INVALID_ARG_VALUE', message: /'round-robin'/ });
  await refused({ drainTimeout: '1' }, { code: 'ERR_INVALID_ARG_TYPE', message: /options.drainTimeout/ });
  await refused({ closeOn: 15 }, { code: 'ERR_INVALID_ARG_TYPE', message: /options.closeOn.*'SIGTERM'/ });
  await refused({ closeOn: ['SIGTERM', 'SIGHUB'] }, { code: 'ERR_INVALID_ARG_VALUE', message: /options.closeOn.*'SIGHUB'/ });
  await refused({ closeOn: 'SIGKILL' }, { code: 'ERR_INVALID_ARG_VALUE', message: /can be caught/ });
  await refused({ data: 'throw' }, { message: 'thrown at the start' });
  await refused({ data: 'idle', startTimeout: 500 }, { code: 'ERR_POOL_START_TIMEOUT', message: /listen\(server, context.listen\)/ });
  await refused({ filename: fileURLToPath(new URL('./program.js', import.meta.url)) }, { message: /must export a function/ });
});

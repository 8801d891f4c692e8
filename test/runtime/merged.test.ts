/** The TCP server in the app's own thread: the same loop, driven by the thread's event loop. */
import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import * as http from 'node:http';
import type { AddressInfo } from 'node:net';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { TcpServer, listen, net } from '../../lib/index.js';
import { MemNet } from '../../lib/memnet.js';
import type { MemNetEvents } from '../../lib/memnet.js';
import { checkOptions } from '../../lib/options.js';
import type { TcpServerOptions } from '../../lib/options.js';
import { chooseThread } from '../../lib/runtime/placement.js';
import { allowedCpus } from '../../lib/thread_options.js';
import { threadId } from '../../examples/support/threads.js';
import { portOf } from '../face/subjects.js';

const INDEX = new URL('../../lib/index.js', import.meta.url).href;

t.test('it serves, is looked at, ends, and starts again', async (t) => {
  for (const text of ['once', 'again']) {
    const tcp = await TcpServer.start({ thread: 'app' });
    t.teardown(() => tcp.close());
    t.equal(tcp.threadId, threadId(), 'in this thread');
    t.equal(tcp.cpu, -1);
    const server = listen(http.createServer((request, response) => request.pipe(response)), { port: 0 });
    await once(server, 'listening');
    t.equal(await post((server.address() as AddressInfo).port, text), text);
    t.ok(tcp.status.turns > 0 && tcp.counters.TcpPassiveOpens === 1);
    server.close();
    server.closeAllConnections();
    const ended = once(tcp, 'close');
    await Promise.all([tcp.close(), ended]);
    t.notOk(tcp.listening);
  }
});

t.test('it sleeps while nothing is to be done, until its timers are due', async (t) => {
  const tcp = await TcpServer.start({ thread: 'app', fault: { loss: 1 }, tcp: { rtoInitialMs: 50, synRetries: 2 } });
  t.teardown(() => tcp.close());
  const before = tcp.status;
  const socket = net.connect(80, '127.0.0.1');
  const [error] = await once(socket, 'error').catch((reason: unknown) => [reason]) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ETIMEDOUT');
  t.equal(tcp.counters.TcpRetransSegs, 2);
  const turns = tcp.status.turns - before.turns;
  const sleeps = tcp.status.sleeps - before.sleeps;
  // What else the thread does makes the event loop go round, and each round is a turn.
  t.ok(turns - sleeps <= 20, `${sleeps} of ${turns} turns found nothing to do, and let the event loop sleep`);
});

t.test('other threads are attached to it, and wake it', { timeout: 30_000 }, async (t) => {
  const tcp = await TcpServer.start({ thread: 'app' });
  t.teardown(() => tcp.close());
  const program = `
    const { net } = await import('${INDEX}');
    const { parentPort } = await import('node:worker_threads');
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0, () => parentPort.postMessage(server.address().port));
    parentPort.on('message', () => process.exit());
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  const [port] = await once(worker, 'message') as [number];
  for (let i = 0; i < 20; i++) {
    const socket = net.connect(port);
    socket.end(`echo ${i}`);
    t.equal(String((await once(socket, 'data') as [Buffer])[0]), `echo ${i}`);
    await once(socket, 'close');
  }
  worker.postMessage('leave');
  await once(worker, 'exit');
});

t.test('MemNet in the same thread: out of the event loop, and blocking it', async (t) => {
  const tcp = await TcpServer.start({ thread: 'app' });
  t.teardown(() => tcp.close());
  const memnet = new MemNet();
  t.teardown(() => memnet.close());
  const { port } = await memnet.listen();
  const echo = (event: MemNetEvents): string | null => {
    const { flow, type } = event;
    if (type !== 'readable') return null;
    const text = flow.peekBuffer()!.toString();
    flow.consume(text.length);
    if (flow.listener === null) return text;
    flow.write(Buffer.from(text.toUpperCase()));
    return null;
  };
  const near = memnet.connect({ port });
  near.write(Buffer.from('blocking'));
  let said: string | null = null;
  while (said === null && memnet.wait(1000)) while (memnet.events.next()) said ??= echo(memnet.events);
  t.equal(said, 'BLOCKING');
  const from = performance.now();
  for (let events = memnet.wait(20); events; events = memnet.wait(20)) while (memnet.events.next()) t.equal(memnet.events.type, 'acknowledged');
  t.ok(performance.now() - from >= 19, 'nothing more is to come: the time is over');
  const answered = new Promise<string>((resolve) => {
    memnet.onEvents = (events) => {
      while (events.next()) {
        const text = echo(events);
        if (text !== null) resolve(text);
      }
    };
  });
  near.write(Buffer.from('by turns'));
  t.equal(await answered, 'BY TURNS');
});

t.test('a thread that waits itself looks before it sleeps, but not where others are attached, which may want the CPU', async (t) => {
  const tcp = await TcpServer.start({ thread: 'app', spin: 10_000 });
  t.teardown(() => tcp.close());
  const memnet = new MemNet();
  t.teardown(() => memnet.close());
  const looks = (): number => {
    const before = tcp.status;
    t.notOk(memnet.wait(20));
    return tcp.status.turns - before.turns - (tcp.status.sleeps - before.sleeps);
  };
  const program = `
    const { attach } = await import('${INDEX}');
    const { parentPort } = await import('node:worker_threads');
    attach();
    parentPort.postMessage('attached');
    parentPort.on('message', () => process.exit());
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  await once(worker, 'message');
  const beside = looks();
  t.ok(beside <= 2, `${beside} turns without a sleep, of the wait's beginning and end`);
  worker.postMessage('leave');
  await once(worker, 'exit');
  const alone = looks();
  t.ok(alone > beside, `${alone} turns without a sleep`);
});

t.test('what an app\'s callback throws is an uncaught exception, and the TCP server goes on', async (t) => {
  const tcp = await TcpServer.start({ thread: 'app' });
  t.teardown(() => tcp.close());
  const server = net.createServer((socket) => socket.on('data', (text) => {
    if (String(text) === 'throw') throw new Error('thrown by the app');
    socket.end(text);
  })).listen(0);
  const thrown = once(process, 'uncaughtException');
  const handlers = process.listeners('uncaughtException').slice(0, -1);
  for (const handler of handlers) process.removeListener('uncaughtException', handler);
  const bad = net.connect(portOf(server));
  bad.write('throw');
  t.match((await thrown)[0], { message: 'thrown by the app' });
  for (const handler of handlers) process.on('uncaughtException', handler);
  const good = net.connect(portOf(server));
  good.write('fine');
  t.equal(String((await once(good, 'data') as [Buffer])[0]), 'fine');
  bad.destroy();
  server.close();
});

t.test('by itself it runs there where the process has one CPU, and nothing is asked for that takes a thread of its own', async (t) => {
  const auto = checkOptions();
  t.equal(chooseThread(auto, 1), 'app');
  t.equal(chooseThread(auto, 2), 'own');
  for (const own of [{ thread: 'own' }, { servers: 2 }, { cpu: allowedCpus()[0] }, { cpu: null }, { spin: 0 }]) {
    t.equal(chooseThread(checkOptions(own as TcpServerOptions), 1), 'own', JSON.stringify(own));
  }
  t.equal(chooseThread(checkOptions({ thread: 'app' }), 2), 'app');
  const program = `
    const { TcpServer } = await import('${INDEX}');
    const tcp = await TcpServer.start();
    console.log(tcp.threadId === process.pid);
    await tcp.close();
  `;
  const text = execFileSync('taskset', ['-c', String(allowedCpus()[0]), process.execPath, '--input-type=module', '-e', program], { encoding: 'utf8' });
  t.equal(text, 'true\n', 'in the main thread');
});

t.test('a worker has no event loop that could run one', async (t) => {
  const program = `
    const { TcpServer } = await import('${INDEX}');
    const { parentPort } = await import('node:worker_threads');
    parentPort.postMessage(await TcpServer.start({ thread: 'app' }).catch((error) => error.message));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`));
  t.match((await once(worker, 'message'))[0], /main thread.*'own'/);
});

async function post(port: number, body: string): Promise<string> {
  const request = http.request({ method: 'POST', port, host: '127.0.0.1', createConnection: (to) => net.connect(to as { port: number }) as never });
  request.end(body);
  const [response] = await once(request, 'response') as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

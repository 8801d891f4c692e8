/** The package as a process meets it: started and ended, in other threads, loaded both ways, and leaving by itself. */
import { once } from 'node:events';
import * as http from 'node:http';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { TcpServer, attach, net } from '../../lib/index.js';
import { INDEX, ROUND_TRIP, runUsing } from './program.js';
import { portOf } from './subjects.js';

t.test('a process leaves by itself', { timeout: 60_000 }, async (t) => {
  t.equal(await runUsing('await TcpServer.start(); console.log("up")'), 'up\n', 'with a TCP server and nothing on it');
  t.equal(await runUsing(`await TcpServer.start(); ${ROUND_TRIP} server.close();`), 'served\n', 'when its server is closed');
  t.equal(await runUsing(`await TcpServer.start(); ${ROUND_TRIP} server.unref();`), 'served\n', 'when its server has no reference');
  t.equal(await runUsing(`const tcp = await TcpServer.start(); ${ROUND_TRIP} await tcp.close();`), 'served\n', 'when its TCP server is closed');
  const waiting = await runUsing(`
    await TcpServer.start();
    const server = net.createServer((socket) => setTimeout(() => socket.end('late'), 200)).listen(0);
    await once(server, 'listening');
    net.connect(server.address().port).on('data', (text) => console.log(String(text))).on('close', () => server.close());
  `);
  t.equal(waiting, 'late\n', 'and not before what it waits for has come');
});

t.test('require gives what import gives', { timeout: 30_000 }, async (t) => {
  t.equal(await runUsing(`await TcpServer.start(); ${ROUND_TRIP} server.close();`, 'require'), 'served\n');
  const both = `const imported = await import('${INDEX.href}'); console.log(imported.TcpServer === TcpServer && imported.net.Socket === net.Socket)`;
  t.equal(await runUsing(both, 'require'), 'true\n');
});

t.test('start, close and start again', async (t) => {
  const server = await TcpServer.start();
  t.ok(server.listening && server.threadId > 0 && server.address === '127.0.0.1');
  await t.rejects(TcpServer.start(), { code: 'ERR_TCP_SERVER_ALREADY_STARTED', message: /close/ });
  await t.rejects(TcpServer.start({ device: 'nothing' }), { code: 'ERR_INVALID_ARG_VALUE' });
  const ended = once(server, 'close');
  await Promise.all([server.close(), server.close(), ended]);
  t.notOk(server.listening);
  t.throws(() => net.connect(80), { code: 'ERR_TCP_SERVER_CLOSED' });
  await t.rejects(TcpServer.start({ device: 'packet:no-such-if', address: '198.18.0.2/24' }), { message: /no-such-if/ }, 'an interface that there is not');
  const again = await TcpServer.start();
  const echo = net.createServer((socket) => socket.pipe(socket)).listen(0);
  const early = portOf(echo);
  t.ok(early > 0, 'the port that was chosen is known before it listens');
  await once(echo, 'listening');
  t.equal(portOf(echo), early);
  const socket = net.connect(portOf(echo));
  socket.end('again');
  t.equal(String((await once(socket, 'data'))[0]), 'again');
  echo.close();
  await again.close();
});

/** A worker that serves over HTTP on a port that it is told, and says what happens to it. */
const WORKER = `
  import http from 'node:http';
  import { parentPort, workerData } from 'node:worker_threads';
  import { attach, listen } from '${INDEX.href}';
  if (workerData.handle) attach(workerData.handle);
  const server = http.createServer((request, response) => response.end(String(workerData.name)));
  server.on('error', (error) => parentPort.postMessage(error.code)).on('close', () => parentPort.postMessage('closed'));
  listen(server, { port: workerData.port }, () => parentPort.postMessage(server.address().port));
  parentPort.on('message', () => process.exit());
`;

async function startWorker(data: object): Promise<{ worker: Worker; port: number }> {
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WORKER)}`), { workerData: data });
  const [port] = (await once(worker, 'message')) as [number];
  return { worker, port };
}

async function get(port: number): Promise<string> {
  const request = http.get({ port, host: '127.0.0.1', createConnection: (to) => net.connect(to as { port: number }) as never });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  let text = '';
  for await (const chunk of response) text += String(chunk);
  return text;
}

t.test('worker threads are attached by themselves, share a port, and leave', { timeout: 30_000 }, async (t) => {
  const server = await TcpServer.start();
  const first = await startWorker({ name: 'first', port: 0 });
  const second = await startWorker({ name: 'second', port: first.port, handle: server.handle });
  t.equal(second.port, first.port);
  const answers = new Set<string>();
  for (let i = 0; i < 50; i++) answers.add(await get(first.port));
  t.same([...answers].sort(), ['first', 'second'], 'connections go to both');
  first.worker.postMessage('leave');
  await once(first.worker, 'exit');
  for (let i = 0; i < 10; i++) t.equal(await get(second.port), 'second');
  const told = once(second.worker, 'message');
  await server.close();
  t.same(await told, ['closed'], 'the end of the TCP server reaches the other thread, which is no error');
  await second.worker.terminate();
});

t.test('what a callback of the app throws keeps nothing else from it', { timeout: 30_000 }, async (t) => {
  const output = await runUsing(`
    process.on('uncaughtException', (error) => console.log('thrown', error.message));
    await TcpServer.start();
    const server = net.createServer((socket) => {
      socket.on('data', (text) => socket.end('heard ' + text));
      throw new Error('at the connection');
    }).listen(0);
    await once(server, 'listening');
    const socket = net.connect(server.address().port);
    socket.write('this');
    socket.on('ready', () => {
      throw new Error('at ready');
    });
    socket.on('data', (text) => {
      console.log(String(text));
      throw new Error('at data');
    });
    socket.on('close', () => {
      console.log('closed');
      server.close();
    });
  `);
  t.same(output.trim().split('\n').sort(), ['closed', 'heard this', 'thrown at data', 'thrown at ready', 'thrown at the connection']);
});

/** A worker that starts the TCP server, says so, and ends as it is told. */
const STARTER = `
  import { parentPort } from 'node:worker_threads';
  import { TcpServer, net } from '${INDEX.href}';
  const server = await TcpServer.start();
  const listener = net.createServer((socket) => socket.write('hello')).listen(0, () => {
    parentPort.postMessage({ handle: server.handle, port: listener.address().port });
  });
  parentPort.on('message', () => process.exit());
`;

t.test('the thread that started the TCP server ends, and takes it along: the others hear of it', { timeout: 30_000 }, async (t) => {
  const PROGRAM = (end: string): string => `
    import { Worker } from 'node:worker_threads';
    const worker = new Worker(new URL('data:text/javascript,' + encodeURIComponent(${JSON.stringify(STARTER)})));
    const [{ handle, port }] = await once(worker, 'message');
    attach(handle);
    attach(handle);
    const socket = net.connect(port);
    socket.on('error', (error) => console.log(error.code)).on('close', () => console.log('closed'));
    console.log(String((await once(socket, 'data'))[0]));
    attach(handle);
    ${end};
    await once(socket, 'close').catch(() => once(socket, 'close'));
    try { net.connect(port); } catch (error) { console.log(error.code); }
  `;
  t.equal(await runUsing(PROGRAM('worker.postMessage("leave")')), 'hello\nclosed\nERR_TCP_SERVER_CLOSED\n', 'as an orderly end, where the thread leaves');
  t.equal(await runUsing(PROGRAM('worker.terminate()')), 'hello\nERR_TCP_SERVER_DIED\nclosed\nERR_TCP_SERVER_CLOSED\n', 'as its death, where the thread is killed');
});

t.test('a place is wanting, or the TCP server is over', async (t) => {
  const server = await TcpServer.start({ maxApps: 1 });
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { attach, net } from '${INDEX.href}';
    const tell = (act) => { try { act(); } catch (error) { parentPort.postMessage(error.code); } };
    tell(() => attach(workerData));
    parentPort.once('message', () => tell(() => net.connect(1)));
  `;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: server.handle });
  t.same(await once(worker, 'message'), ['ERR_TCP_SERVER_FULL']);
  await server.close();
  worker.postMessage('again');
  t.same(await once(worker, 'message'), ['ERR_TCP_SERVER_CLOSED']);
});

t.test('attach without a TCP server', async (t) => {
  t.throws(() => attach(), { message: /TcpServer\.start/ });
});

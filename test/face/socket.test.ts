/** What a socket asks of its flow, which node:net has no word for: back-pressure into shared memory, references, the end of the TCP server. */
import { once } from 'node:events';
import * as http from 'node:http';
import t from 'tap';
import { dismissUsers, usePort } from '../../lib/attachment.js';
import { listen } from '../../lib/http.js';
import * as net from '../../lib/net.js';
import type { Socket } from '../../lib/net.js';
import { IdleTimer } from '../../lib/net_timeout.js';
import { ECONNRESET } from '../../lib/tcp/errno.js';
import { socketPath } from '../support/socket_path.js';
import { FakePort } from './fake_port.js';
import type { FakeFlow } from './fake_port.js';
import { Trace, next, portOf } from './subjects.js';

let port = new FakePort();

t.beforeEach(() => {
  port = new FakePort();
  usePort(port);
});

t.teardown(() => usePort(null));

async function pair(options: net.ServerOptions = {}): Promise<{ server: net.Server; here: Socket; there: Socket; flows: FakeFlow[] }> {
  const server = net.createServer(options).listen(0);
  await next(server, 'listening');
  const here = net.connect(portOf(server));
  const [there] = (await once(server, 'connection')) as [Socket];
  for (const socket of [here, there]) socket.on('error', () => {});
  return { server, here, there, flows: [...port.flows] };
}

async function turns(count: number): Promise<void> {
  for (let i = 0; i < count; i++) await new Promise((resolve) => setImmediate(resolve));
}

t.test('bytes that the app does not read stay in shared memory', async (t) => {
  const { here, there, flows } = await pair({ highWaterMark: 1000 });
  const flow = flows.find((each) => each.localPort === there.localPort) as FakeFlow;
  for (let i = 0; i < 10; i++) {
    here.write(Buffer.alloc(1000));
    await turns(2);
  }
  t.equal(there.readableLength, 1000, 'the stream holds no more than its mark');
  t.equal(flow.readableLength, 9000);
  there.resume();
  await turns(20);
  t.equal(flow.readableLength, 0);
  t.equal(there.bytesRead, 10_000);
  there.pause();
  for (let i = 0; i < 5; i++) here.write(Buffer.alloc(1000));
  await turns(5);
  t.equal(flow.readableLength, 4000, 'paused again, it takes what fills it up to the mark');
  there.destroy();
  t.ok(flow.calls.includes('reset'), 'unread data makes the close a reset');
});

t.test('a write is done when the send buffer has taken all of it', async (t) => {
  const { here, there } = await pair();
  there.pause();
  here.pause();
  let done = 0;
  here.write(Buffer.alloc(50_000), () => done++);
  here.write(Buffer.alloc(50_000), () => done++);
  here.write('x'.repeat(50_000), () => done++);
  here.write('y'.repeat(50_000), () => done++);
  await turns(5);
  t.ok(done < 4);
  t.equal(here.bytesWritten, 200_000, 'what waits counts too');
  t.equal(here.bufferSize, here.writableLength);
  t.not(here.writableLength, 0);
  there.resume();
  await turns(20);
  t.equal(done, 4);
  t.equal(there.bytesRead, 200_000);
  t.equal(here.bytesWritten, 200_000);
});

t.test('text longer than the room that it is encoded in', async (t) => {
  const { here, there } = await pair();
  const text = 'grüße, 世界 '.repeat(20_000);
  const chunks: Buffer[] = [];
  there.on('data', (chunk: Buffer) => chunks.push(chunk));
  here.write('short ü', 'latin1');
  here.write('short 世', 'utf16le');
  here.end(text);
  await next(there, 'end');
  t.ok(Buffer.concat(chunks).equals(Buffer.concat([Buffer.from('short ü', 'latin1'), Buffer.from('short 世', 'utf16le'), Buffer.from(text)])));
});

t.test('settings of TCP that node:net does not have, and those that it has of late', async (t) => {
  const { here, there, flows } = await pair({ keepAlive: true, keepAliveInterval: 500, keepAliveCount: 3, userTimeout: 2000.5, typeOfService: 0x28 });
  const [client, accepted] = [here, there].map((socket) => flows.find((flow) => flow.localPort === socket.localPort) as FakeFlow);
  t.same(accepted?.calls, ['keepAlive true 0 500 3', 'userTimeout 2001', 'trafficClass 40'], 'a server sets them for what it accepts');
  t.equal(there.getTypeOfService(), 40);
  here.setKeepAlive({ enable: true, initialDelay: 3000, interval: 100, count: 2 }).setKeepAlive(true, 3000, 100, 2).setKeepAlive(true, 3000);
  here.setUserTimeout(1000).setFinWait(-1).setTypeOfService(184).setCork().setCork(true).setCork(false);
  t.same(client?.calls, ['keepAlive true 3000 100 2', 'userTimeout 1000', 'finWait -1', 'trafficClass 184', 'cork true', 'cork false']);
  const early = new net.Socket({ userTimeout: 7 }).setFinWait(30).setCork();
  const opened = net.connect({ port: portOf(there.server as unknown as net.Server), typeOfService: 4 });
  early.connect(portOf(there.server as unknown as net.Server));
  await Promise.all([next(early, 'connect'), next(opened, 'connect')]);
  const of = (socket: Socket): string[] | undefined => [...port.flows].find((flow) => flow.localPort === socket.localPort)?.calls;
  t.same(of(early), ['userTimeout 7', 'finWait 30', 'cork true'], 'what was set before there is a connection is told when it comes');
  t.same(of(opened), ['trafficClass 4']);
  for (const wrong of [-1, NaN, Infinity]) t.throws(() => here.setUserTimeout(wrong), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => here.setFinWait(-2), { code: 'ERR_OUT_OF_RANGE' });
  for (const wrong of [-1, 256, 1.5]) t.throws(() => here.setTypeOfService(wrong), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => here.setTypeOfService('high' as never), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => new net.Socket({ keepAliveCount: '3' as never }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.keepAliveCount/ });
  t.throws(() => net.createServer({ typeOfService: 300 }), { code: 'ERR_OUT_OF_RANGE', message: /options\.typeOfService/ });
  for (const socket of [here, there, early, opened]) socket.destroy();
});

t.test('options of the socket reach the flow, once', async (t) => {
  const { here, there, flows } = await pair({ noDelay: true, keepAlive: true, keepAliveInitialDelay: 5000 });
  const [client, accepted] = [here, there].map((socket) => flows.find((flow) => flow.localPort === socket.localPort) as FakeFlow);
  t.same(accepted?.calls, ['noDelay true', 'keepAlive true 5000']);
  here.setNoDelay().setNoDelay(true).setKeepAlive(true, 1500).setKeepAlive(true, 1500).setKeepAlive();
  t.same(client?.calls, ['noDelay true', 'keepAlive true 1000', 'keepAlive false 0']);
  here.resetAndDestroy();
  t.equal(client?.calls.at(-1), 'reset');
  there.destroy();
  t.match(accepted?.calls, ['noDelay true', 'keepAlive true 5000', 'close']);
});

t.test('a reset is told to who reads or writes, and else when it next does', async (t) => {
  for (const told of ['resume', 'write'] as const) {
    const { here, there, flows } = await pair({ pauseOnConnect: true });
    const flow = flows.find((each) => each.localPort === there.localPort) as FakeFlow;
    flow.fail(ECONNRESET);
    await turns(2);
    t.notOk(there.destroyed);
    const failed = once(there, 'error');
    if (told === 'resume') there.resume();
    else there.write('x');
    t.match((await failed)[0], told === 'resume' ? { message: 'read ECONNRESET' } : { message: 'write EPIPE' });
    here.destroy();
  }
});

t.test('a reset behind the end of the stream is told to who writes, and not to who reads', async (t) => {
  const { here, there, flows } = await pair({ pauseOnConnect: true, allowHalfOpen: true });
  const flow = flows.find((each) => each.localPort === there.localPort) as FakeFlow;
  const trace = new Trace(there);
  here.end('last words');
  await turns(4);
  flow.fail(ECONNRESET);
  there.resume();
  await next(there, 'end');
  t.notOk(there.destroyed);
  there.write('x');
  await next(there, 'close');
  t.strictSame(trace.events.map((event) => event.split(' | ')[0]), ['data', 'end', 'error EPIPE', 'close true']);
  here.destroy();
});

t.test('a reset ends a write that waits', async (t) => {
  const { there, flows } = await pair({ pauseOnConnect: true });
  const flow = flows.find((each) => each.localPort === there.localPort) as FakeFlow;
  let result: Error | null | undefined;
  there.write(Buffer.alloc(300_000), (error) => (result = error));
  await turns(5);
  flow.fail(ECONNRESET);
  await next(there, 'close');
  t.match(result, { message: 'write ECONNRESET' });
});

t.test('the event loop is held by who waits for something, as in Node', async (t) => {
  const server = net.createServer({ pauseOnConnect: true });
  server.listen(0);
  t.equal(port.refs, 1, 'a server that starts to listen');
  await next(server, 'listening');
  server.unref();
  t.equal(port.refs, 0, 'and one without reference');
  server.ref();
  const here = net.connect(portOf(server), '127.0.0.1');
  await new Promise((resolve) => process.nextTick(resolve));
  t.equal(port.refs, 2, 'a socket that connects');
  const [there] = (await once(server, 'connection')) as [Socket];
  await turns(1);
  t.equal(port.refs, 2, 'the one that reads, and not the one that is paused');
  there.write(Buffer.alloc(100_000));
  here.pause();
  t.equal(port.refs, 3, 'one whose write waits');
  here.unref();
  t.equal(port.refs, 2);
  here.resume();
  there.resume();
  here.end();
  there.end();
  server.close();
  await Promise.all([next(here, 'close'), next(there, 'close'), next(server, 'close')]);
  t.equal(port.refs, 0, 'nothing is left');
  t.equal(port.flows.size, 0);
});

t.test('the end of the TCP server is an error of every socket and server', async (t) => {
  const { server, here, there } = await pair();
  const connecting = net.connect(portOf(server));
  await turns(1);
  const errors = Promise.all([here, there, connecting, server].map((user) => once(user, 'error')));
  port.die();
  for (const [error] of await errors) t.match(error, { code: 'ERR_TCP_SERVER_DIED', name: 'TcpServerError' });
  t.notOk(server.listening);
  t.equal(port.refs, 0);
  t.throws(() => net.connect(1), { code: 'ERR_TCP_SERVER_CLOSED', message: /TcpServer\.start/ });
});

t.test('closing the TCP server closes sockets and servers', async (t) => {
  const { server, here, there } = await pair();
  const web = http.createServer();
  listen(web, { port: 0 });
  await once(web, 'listening');
  const closed = Promise.all([once(here, 'close'), once(there, 'close'), once(server, 'close'), once(web, 'close')]);
  dismissUsers(port);
  await closed;
  t.equal(port.refs, 0);
});

t.test('forms of listen and connect', async (t) => {
  const server = net.createServer();
  const forms: unknown[][] = [[], [0], [null], ['0'], [0, '127.0.0.1'], [0, '127.0.0.1', 5], [0, 5], [{ port: 0 }], [{ port: undefined }], [{ port: 0, host: 'localhost' }]];
  for (const form of forms) {
    await new Promise<void>((resolve) => void server.listen(...[...form, resolve] as [() => void]));
    const { port: chosen = 0 } = server.address() ?? {};
    for (const target of [[chosen], [String(chosen)], [chosen, '127.0.0.1'], [{ port: chosen }], [{ port: String(chosen), host: 'localhost' }]]) {
      const socket = net.connect(...[...target, (): void => void socket.destroy()] as unknown as [number]);
      await next(socket, 'close');
    }
    server.close();
    await next(server, 'close');
  }
  t.throws(() => server.listen({ port: 0, signal: 1 } as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

t.test('a path is the kernel\'s, with all that a socket can do', async (t) => {
  const path = socketPath(t);
  const server = net.createServer((socket) => socket.pipe(socket));
  await new Promise<void>((resolve) => void server.listen({ path }, resolve));
  t.equal(server.address() as unknown, path);
  const forms = [() => net.connect(path), () => net.createConnection({ path, timeout: 60_000 }), () => new net.Socket().setTimeout(60_000).connect(path)];
  for (const [index, form] of forms.entries()) {
    const socket = form();
    t.equal(socket.timeout, index === 0 ? undefined : 60_000);
    socket.write('there ');
    await next(socket, 'connect');
    t.ok(socket._handle, 'it has a handle');
    t.match([socket.pending, socket.readyState, socket.localAddress, socket.remoteAddress, socket.tcpInfo()], [false, 'open', undefined, undefined, null]);
    socket.setNoDelay().setKeepAlive(true).pause().resume().unref().ref();
    socket.end('and back');
    const text = await socket.setEncoding('utf8').reduce((all: string, chunk: string) => all + chunk, '');
    t.equal(text, 'there and back');
    t.same([socket.bytesRead, socket.bytesWritten, socket.destroyed], [14, 14, true]);
  }
  server.close();
  await next(server, 'close');
  t.equal(port.refs, 0, 'the TCP server hears nothing of it');
});

t.test('a descriptor is the kernel\'s', async (t) => {
  t.throws(() => new net.Socket({ fd: -1 }), { code: 'ERR_OUT_OF_RANGE' });
  const [reading] = await once(net.createServer().listen({ fd: 123_456 } as never), 'error');
  t.match(reading, { code: 'EINVAL', syscall: 'listen' });
});

t.test('close before the lookup of listen has ended', async (t) => {
  const server = net.createServer().listen(0, 'localhost');
  server.on('listening', () => t.fail('listens'));
  server.close((error) => t.match(error, { code: 'ERR_SERVER_NOT_RUNNING' }));
  await next(server, 'close');
  await turns(5);
  t.equal(port.refs, 0);
});

t.test('a signal closes a server', async (t) => {
  const controller = new AbortController();
  const server = net.createServer().listen({ port: 0, signal: controller.signal });
  await next(server, 'listening');
  controller.abort();
  await next(server, 'close');
  const aborted = net.createServer().listen({ port: 0, signal: AbortSignal.abort() });
  await next(aborted, 'close');
  await net.createServer()[Symbol.asyncDispose]();
  const disposed = net.createServer().listen(0);
  await disposed[Symbol.asyncDispose]();
  t.notOk(disposed.listening);
});

t.test('the idle timer', async (t) => {
  let fired = 0;
  const timer = new IdleTimer({ _idle: () => fired++ });
  const awake = setInterval(() => timer.touch(), 5);
  timer.set(40);
  await new Promise((resolve) => setTimeout(resolve, 100));
  t.equal(fired, 0, 'activity holds it off');
  clearInterval(awake);
  const since = performance.now();
  timer.touch();
  while (fired === 0) await new Promise((resolve) => setTimeout(resolve, 1));
  t.ok(performance.now() - since >= 39, 'the time counts from the last activity');
  timer.set(10_000);
  timer.set(1);
  while (fired === 1) await new Promise((resolve) => setTimeout(resolve, 1));
  t.equal(fired, 2, 'a shorter time takes the place of a longer one');
  timer.set(1);
  timer.set(0);
  timer.clear();
  await new Promise((resolve) => setTimeout(resolve, 10));
  t.equal(fired, 2, 'turned off, it is silent');
});

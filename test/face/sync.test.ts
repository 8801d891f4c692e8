/** Blocking sockets over the loopback device: both ends in this thread where none has to wait for the other, else one in a worker. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { TcpServer, net } from '../../lib/index.js';
import { connect, listen, poll } from '../../lib/sync.js';
import type { SyncServer, SyncSocket } from '../../lib/sync.js';
import { startElsewhere } from './elsewhere.js';
import { INDEX, runUsing } from './program.js';

const MiB = 1 << 20;
const SYNC = new URL('../../lib/sync.js', import.meta.url).href;

t.setTimeout(60_000);

interface Pair {
  readonly server: SyncServer;
  readonly near: SyncSocket;
  readonly far: SyncSocket;
}

function pair(): Pair {
  const server = listen();
  const near = connect({ port: server.address().port });
  return { server, near, far: server.accept() };
}

/** What `read` gives until the end, or until it throws. */
function readAll(socket: SyncSocket, buffer = Buffer.alloc(65536)): Buffer {
  const chunks: Buffer[] = [];
  for (let length = socket.read(buffer); length > 0; length = socket.read(buffer)) chunks.push(Buffer.from(buffer.subarray(0, length)));
  return Buffer.concat(chunks);
}

function hashOf(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/** A thread of blocking sockets: `sync` and `tell` are at hand. Its messages come one by one. */
function thread(program: string, workerData?: unknown): { worker: Worker; next: () => Promise<unknown> } {
  const head = `import { parentPort } from 'node:worker_threads'; import * as sync from '${SYNC}'; const tell = (what) => parentPort.postMessage(what);`;
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(head + program)}`), { workerData });
  const messages: unknown[] = [];
  let wanted: ((message: unknown) => void) | null = null;
  worker.on('message', (message: unknown) => {
    if (wanted === null) messages.push(message);
    else wanted(message);
    wanted = null;
  });
  const next = (): Promise<unknown> => new Promise((resolve) => {
    if (messages.length > 0) resolve(messages.shift());
    else wanted = resolve;
  });
  return { worker, next };
}

for (const where of ['own', 'app'] as const) {
  t.test(`a connection from its opening to its end, the TCP server in a thread of ${where === 'own' ? 'its own' : 'the app'}`, async (t) => {
    const tcp = await TcpServer.start({ thread: where });
    t.teardown(() => tcp.close());
    const server = listen({ host: '127.0.0.1' });
    const { port } = server.address();
    t.same(server.address(), { address: '127.0.0.1', family: 'IPv4', port });
    const near = connect({ port, host: 'localhost', localAddress: '127.0.0.5', localPort: 4711 });
    const far = server.accept();
    t.same([near.localAddress, near.localPort, near.remoteAddress, near.remotePort], ['127.0.0.5', 4711, '127.0.0.1', port]);
    t.same([far.localAddress, far.localPort, far.remoteAddress, far.remotePort], ['127.0.0.1', port, '127.0.0.5', 4711]);
    near.setNoDelay().setKeepAlive(true, 5000).setUserTimeout(1000).write('a request');
    t.match(near.tcpInfo(), { state: 'ESTABLISHED' });
    const buffer = Buffer.alloc(4);
    t.equal(far.read(Buffer.alloc(0)), 0);
    t.equal(far.read(buffer), 4, 'no more than there is room for');
    t.equal(String(buffer) + String(readSome(far)), 'a request');
    near.end();
    t.throws(() => near.write('x'), { code: 'EPIPE', syscall: 'write', message: 'write EPIPE' });
    t.same([far.read(buffer), far.read(buffer)], [0, 0], 'the end, and again');
    t.same([far.write(Buffer.from('an answer')), far.write(''), far.write('ü')], [9, 0, 2]);
    t.equal(far.closed, false);
    far.close();
    t.equal(far.closed, true);
    t.equal(String(readAll(near)), 'an answerü', 'a half-closed connection still carries bytes, and close sends the end behind them');
    near.close();
    near.close();
    near.reset();
    for (const call of [() => near.read(buffer), () => near.write('x'), () => poll([near])]) t.throws(call, { code: 'ERR_SOCKET_CLOSED' });
    t.equal(server.closed, false);
    server.close();
    server.close();
    t.equal(server.closed, true);
    for (const call of [() => server.accept(), () => poll([server])]) t.throws(call, { code: 'ERR_SERVER_NOT_RUNNING' });
    t.throws(() => connect({ port }), { code: 'ECONNREFUSED', syscall: 'connect', message: `connect ECONNREFUSED 127.0.0.1:${port}`, address: '127.0.0.1', port });
    t.throws(() => connect({ port: 0 }), { code: 'ECONNREFUSED' });
    listen({ port, host: '127.0.0.1' }).close();
  });
}

function readSome(socket: SyncSocket): Buffer {
  const buffer = Buffer.alloc(65536);
  return buffer.subarray(0, socket.read(buffer));
}

t.test('over one TCP server', async (t) => {
  const tcp = await TcpServer.start();
  t.teardown(() => tcp.close());

  t.test('a call whose time is over leaves the connection as it is', async (t) => {
    const { server, near, far } = pair();
    for (const timeout of [0, 5]) {
      t.throws(() => server.accept({ timeout }), { code: 'EAGAIN', syscall: 'accept', errno: -11, message: `accept EAGAIN: not done within ${timeout} ms` });
      t.throws(() => far.read(Buffer.alloc(1), { timeout }), { code: 'EAGAIN', syscall: 'read' });
    }
    server.timeout = far.timeout = near.timeout = 5;
    t.throws(() => server.accept(), { code: 'EAGAIN' });
    t.throws(() => far.read(Buffer.alloc(1)), { code: 'EAGAIN' });
    const bytes = Buffer.alloc(16 * MiB, 'far more than there is room for, ');
    let taken = 0;
    try {
      near.write(bytes);
    } catch (error) {
      t.match(error, { code: 'EAGAIN', syscall: 'write' });
      taken = (error as { bytesWritten: number }).bytesWritten;
    }
    t.ok(taken > 0 && taken < bytes.length, `${taken} bytes were taken`);
    near.close();
    far.timeout = Infinity;
    t.ok(readAll(far).equals(bytes.subarray(0, taken)), 'which are sent, and no more');
    far.close();
    server.close();
  });

  t.test('what came before a reset is read first', async (t) => {
    const { server, near, far } = pair();
    near.write('last words');
    t.same(poll([far]), [far]);
    near.reset();
    t.equal(String(readSome(far)), 'last words');
    for (let i = 0; i < 2; i++) t.throws(() => far.read(Buffer.alloc(1)), { code: 'ECONNRESET', syscall: 'read', errno: -104, message: 'read ECONNRESET' });
    t.throws(() => far.write('x'), { code: 'ECONNRESET', message: 'write ECONNRESET' });
    t.same(poll([far], { writers: [far] }), [far], 'neither would wait');
    far.close();
    server.close();
  });

  t.test('who lets go of what was not read resets; so does a server that closes what was not accepted', async (t) => {
    const { server, near, far } = pair();
    near.write('x');
    poll([far]);
    far.close();
    t.throws(() => near.read(Buffer.alloc(1)), { code: 'ECONNRESET' });
    const waiting = connect({ port: server.address().port });
    server.close();
    t.throws(() => waiting.read(Buffer.alloc(1)), { code: 'ECONNRESET' });
    near.close();
    waiting.close();
  });

  t.test('the backlog bounds what waits for accept, and has room again behind it', async (t) => {
    const server = listen({ backlog: 2 });
    const { port } = server.address();
    const waiting = [connect({ port }), connect({ port })];
    t.throws(() => connect({ port, timeout: 20 }), { code: 'ETIMEDOUT', syscall: 'connect', message: `connect ETIMEDOUT 127.0.0.1:${port}` });
    t.ok(tcp.counters.TcpExtListenDrops > 0);
    t.equal(server.accept().remotePort, waiting[0]!.localPort, 'in the order they came');
    t.equal(server.accept().remotePort, waiting[1]!.localPort);
    const later = connect({ port });
    t.equal(server.accept().remotePort, later.localPort);
    server.close();
    for (const socket of [...waiting, later]) socket.close();
  });

  t.test('poll tells of servers, readers and writers', async (t) => {
    const { server, near, far } = pair();
    t.same(poll([], { timeout: 1 }), []);
    t.same(poll([server, near, far], { timeout: 0 }), []);
    t.same(poll([server, near, far], { timeout: 5 }), []);
    near.write('x');
    t.same(poll([server, near, far]), [far]);
    const other = connect({ port: server.address().port });
    t.same(poll([far, server]).includes(far), true, 'still: nothing was read');
    t.same(poll([server]), [server]);
    t.same(poll([near], { writers: [near] }), [near]);
    t.same(poll([far], { writers: [far] }), [far], 'once');
    while (poll([], { writers: [near], timeout: 20 }).length > 0) t.throws(() => near.write(Buffer.alloc(32 * MiB), { timeout: 0 }), { code: 'EAGAIN' });
    for (const buffer = Buffer.alloc(MiB); !poll([far], { writers: [near] }).includes(near); ) far.read(buffer);
    t.pass('there is room once the peer has read');
    for (const socket of [near, far, other]) socket.reset();
    server.close();
  });

  t.test('listen: several servers, and what keeps one from listening', async (t) => {
    const server = listen();
    const { port } = server.address();
    t.throws(() => listen({ port }), {
      code: 'EADDRINUSE', syscall: 'listen', message: `listen EADDRINUSE: address already in use :::${port}`, address: '::', port,
    });
    t.throws(() => listen({ host: '192.0.2.1' }), { code: 'EADDRNOTAVAIL' });
    const other = listen({ host: '::1' });
    const socket = connect({ host: '::1', port: other.address().port });
    t.equal(other.accept().remoteAddress, '::1');
    t.equal(other.address().family, 'IPv6');
    socket[Symbol.dispose]();
    server[Symbol.dispose]();
    other.close();
    t.throws(() => connect({ host: '192.0.2.1', port: 1 }), { code: 'ENETUNREACH', syscall: 'connect' });
  });

  t.test('what is wrong with an argument', async (t) => {
    const { server, near, far } = pair();
    t.throws(() => listen(7 as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"options"/ });
    t.throws(() => listen({ port: '7' as never }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.port/ });
    t.throws(() => listen({ port: 70_000 }), { code: 'ERR_SOCKET_BAD_PORT' });
    t.throws(() => listen({ backlog: -1 }), { code: 'ERR_OUT_OF_RANGE', message: /options\.backlog/ });
    t.throws(() => listen({ backlog: 'all' as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => listen({ host: 'here' }), { code: 'ERR_INVALID_IP_ADDRESS' });
    t.throws(() => connect({ host: 'example.org', port: 80 }), { code: 'ERR_INVALID_IP_ADDRESS', message: /example\.org\. Look a name up first: \(await dns/ });
    t.throws(() => connect(undefined as never), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => connect({} as never), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.port/ });
    t.throws(() => connect({ port: 1, timeout: -1 }), { code: 'ERR_OUT_OF_RANGE', message: /options\.timeout.*milliseconds/ });
    t.throws(() => server.accept(100 as never), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => near.read('text' as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"buffer"/ });
    t.throws(() => near.read(Buffer.alloc(1), { timeout: NaN }), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => near.read(Buffer.alloc(1), { timeout: '1' as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    t.throws(() => near.write(7 as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"data"/ });
    t.throws(() => near.setKeepAlive(true, -1), { code: 'ERR_OUT_OF_RANGE', message: /initialDelay/ });
    t.throws(() => near.setUserTimeout('1' as never), { code: 'ERR_INVALID_ARG_TYPE', message: /msecs/ });
    t.throws(() => near.setUserTimeout(NaN), { code: 'ERR_OUT_OF_RANGE' });
    t.throws(() => poll(near as never), { code: 'ERR_INVALID_ARG_TYPE', message: /"readers"/ });
    t.throws(() => poll([]), { code: 'ERR_INVALID_ARG_VALUE', message: /no timeout/ });
    t.throws(() => poll([near, {} as never]), { code: 'ERR_INVALID_ARG_TYPE', message: /readers\[1\].*SyncServer or SyncSocket/ });
    t.throws(() => poll([], { writers: [server as never] }), { code: 'ERR_INVALID_ARG_TYPE', message: /options\.writers\[0\]/ });
    t.throws(() => poll([], { writers: near as never }), { code: 'ERR_INVALID_ARG_TYPE' });
    near.close();
    far.close();
    server.close();
  });

  t.test('megabytes there and back at once, with small buffers', async (t) => {
    const { worker, next } = thread(`
      const server = sync.listen();
      tell(server.address().port);
      const socket = server.accept();
      const buffer = Buffer.alloc(3000);
      for (let length = socket.read(buffer); length > 0; length = socket.read(buffer)) socket.write(buffer.subarray(0, length));
      socket.close();
    `);
    const socket = connect({ port: await next() as number });
    const bytes = Buffer.alloc(5 * MiB, 'there and back again, ');
    const back: Buffer[] = [];
    const buffer = Buffer.alloc(5000);
    for (let at = 0; at < bytes.length; ) {
      poll([socket], { writers: [socket] });
      try {
        socket.write(bytes.subarray(at), { timeout: 0 });
        at = bytes.length;
      } catch (error) {
        at += (error as { bytesWritten: number }).bytesWritten;
      }
      if (poll([socket], { timeout: 0 }).length > 0) back.push(Buffer.from(buffer.subarray(0, socket.read(buffer))));
    }
    socket.end();
    back.push(readAll(socket, buffer));
    t.equal(hashOf(Buffer.concat(back)), hashOf(bytes));
    socket.close();
    await once(worker, 'exit');
  });

  t.test('one write of megabytes waits for a reader that takes its time', async (t) => {
    const { worker, next } = thread(`
      const server = sync.listen();
      tell(server.address().port);
      const socket = server.accept();
      socket.write(Buffer.alloc(${4 * MiB}, 'in one piece, '));
      socket.close();
    `);
    const socket = connect({ port: await next() as number });
    t.equal(hashOf(readAll(socket, Buffer.alloc(700))), hashOf(Buffer.alloc(4 * MiB, 'in one piece, ')));
    socket.close();
    await once(worker, 'exit');
  });

  t.test('beside net: its server in this thread, a worker that blocks at the other end', async (t) => {
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0);
    await once(server, 'listening');
    const { next } = thread(`
      const socket = sync.connect({ port: ${server.address()!.port} });
      socket.write('hello');
      const buffer = Buffer.alloc(5);
      let length = 0;
      while (length < 5) length += socket.read(buffer.subarray(length));
      socket.close();
      tell(String(buffer));
    `);
    t.equal(await next(), 'hello');
    await new Promise((resolve) => server.close(resolve));
    const { server: own, near, far } = pair();
    const through = net.connect(own.address().port);
    // What net asks for leaves by the event loop, which a call that waits holds up.
    await once(through, 'connect');
    const accepted = own.accept();
    accepted.write('from a call that blocks');
    accepted.end();
    t.match(await once(through, 'data'), [Buffer.from('from a call that blocks')], 'and both in one thread');
    through.destroy();
    for (const one of [near, far, accepted, own]) one.close();
  });
});

t.test('a TCP server that is closed ends every call that waits', async (t) => {
  const tcp = await TcpServer.start();
  const waits = `
    const server = sync.listen();
    const near = sync.connect({ port: server.address().port });
    const far = server.accept();
    tell('waits');
  `;
  const calls = ['server.accept()', 'near.read(Buffer.alloc(1))', 'near.write(Buffer.alloc(1 << 26))'];
  const threads = calls.map((call) => thread(`${waits} try { ${call}; } catch (error) { tell(error.code); } far.end(); far.close(); server.close();`));
  for (const { next } of threads) t.equal(await next(), 'waits');
  const server = listen();
  await tcp.close();
  for (const { next } of threads) t.equal(await next(), 'ERR_TCP_SERVER_CLOSED');
  t.throws(() => server.accept(), { code: 'ERR_TCP_SERVER_CLOSED' });
  t.throws(() => poll([server]), { code: 'ERR_TCP_SERVER_CLOSED' });
  t.throws(() => listen(), { code: 'ERR_TCP_SERVER_CLOSED' });
  server.close();
  t.equal(server.closed, true);
  const next = await TcpServer.start();
  listen().close();
  await next.close();
});

t.test('a TCP server that dies fails every call that waits', async (t) => {
  const elsewhere = await startElsewhere();
  const calls = ['server.accept()', 'near.read(Buffer.alloc(1))', 'near.write(Buffer.alloc(1 << 26))', 'sync.poll([server, near])'];
  const threads = calls.map((call) => thread(`
    import { workerData } from 'node:worker_threads';
    import { attach } from '${INDEX.href}';
    attach(workerData);
    const server = sync.listen();
    const near = sync.connect({ port: server.address().port });
    const far = server.accept();
    tell('waits');
    for (const call of [() => ${call}, () => near.read(Buffer.alloc(1)), () => sync.connect({ port: 1 })]) try { call(); } catch (error) { tell(error.code); }
    far.end();
    for (const one of [near, far, server]) one.close();
  `, elsewhere.handle));
  for (const { next } of threads) t.equal(await next(), 'waits');
  const exits = threads.map(({ worker }) => once(worker, 'exit'));
  await elsewhere.die();
  for (const { next } of threads) t.strictSame([await next(), await next(), await next()], ['ERR_TCP_SERVER_DIED', 'ERR_TCP_SERVER_DIED', 'ERR_TCP_SERVER_CLOSED']);
  t.strictSame(await Promise.all(exits), Array(4).fill([0]));
});

t.test('a TCP server that starts by itself, without an event loop', async (t) => {
  const head = `const { listen: open, connect } = await import('${SYNC}');`;
  t.equal(await runUsing(`${head}
    const server = open();
    const socket = connect({ port: server.address().port });
    server.accept().write('by itself');
    const buffer = Buffer.alloc(20);
    console.log(buffer.toString('latin1', 0, socket.read(buffer)));
  `), 'by itself\n', 'sockets that are open keep no process alive');
  const nowhere = { TCP_OFFLOAD_DEVICE: 'packet:no-such-if', TCP_OFFLOAD_ADDRESS: '198.18.0.2/24' };
  const failing = await runUsing(`${head} try { open(); } catch (error) { console.log(error.code, error.message); }`, 'import', nowhere);
  t.match(failing, /^ERR_TCP_SERVER_START The TCP server could not be started: .*TcpServer\.start/);
});

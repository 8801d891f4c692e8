/** Many connections, slow ones, and a bad network: over a TCP server with the loopback device. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import t from 'tap';
import type { TestBase } from '@tapjs/core';
import { TcpServer, net } from '../../lib/index.js';
import type { Server, Socket, TcpServerOptions } from '../../lib/index.js';
import { next, portOf } from './subjects.js';

const MiB = 2 ** 20;

async function serve(t: TestBase & { teardown(end: () => Promise<void>): void }, options: TcpServerOptions, onSocket: (socket: Socket) => void): Promise<Server> {
  const tcp = await TcpServer.start(options);
  t.teardown(() => tcp.close());
  const server = net.createServer(onSocket).listen({ port: 0, backlog: 8192 });
  await next(server, 'listening');
  return server;
}

/** Bytes that look wrong in any other place. */
function noise(length: number): Buffer {
  const bytes = Buffer.alloc(length);
  for (let i = 0, word = 1; i + 4 <= length; i += 4) {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    bytes.writeInt32LE(word, i);
  }
  return bytes;
}

/** Opens `count` connections at once, has each echo a text of its own, and ends them. */
async function echoAll(port: number, count: number): Promise<number> {
  const sockets = Array.from({ length: count }, () => net.connect(port, '127.0.0.1'));
  const echoes = await Promise.all(sockets.map(async (socket, index) => {
    socket.write(`text ${index}`);
    const [echo] = (await once(socket, 'data')) as [Buffer];
    return echo.toString() === `text ${index}`;
  }));
  await Promise.all(sockets.map((socket) => {
    socket.end();
    return next(socket, 'close');
  }));
  return echoes.filter(Boolean).length;
}

t.test('5,000 connections at once', { timeout: 120_000 }, async (t) => {
  const server = await serve(t, {}, (socket) => void socket.pipe(socket));
  t.equal(await echoAll(portOf(server), 5000), 5000);
  await new Promise<void>((resolve) => void server.getConnections((_error, count) => {
    t.ok(count >= 0);
    resolve();
  }));
});

t.test('more connections than there is send memory for take turns', { timeout: 60_000 }, async (t) => {
  const server = await serve(t, { sendMemory: 256 * 1024 }, (socket) => void socket.pipe(socket));
  t.equal(await echoAll(portOf(server), 300), 300);
});

t.test('a client that reads nothing while 100 MB are written to it', { timeout: 120_000 }, async (t) => {
  const total = 100 * MiB;
  const block = Buffer.alloc(65536, 1);
  let written = 0;
  const server = await serve(t, {}, (socket) => {
    let left = total;
    const write = (): void => {
      while (left > 0) {
        left -= block.length;
        written += block.length;
        if (socket.write(block)) continue;
        socket.once('drain', write);
        return;
      }
      socket.end();
    };
    write();
  });
  const stuck = net.connect(portOf(server), '127.0.0.1');
  stuck.pause();
  await next(stuck, 'connect');
  await new Promise((resolve) => setTimeout(resolve, 500));
  const held = written;
  t.ok(held < 8 * MiB, `the app is stopped early: after ${held} bytes`);
  const other = net.connect(portOf(server), '127.0.0.1');
  other.resume();
  await next(other, 'end');
  t.equal(other.bytesRead, total, 'another client gets all of it meanwhile');
  t.equal(written, held + total, 'and the stuck one nothing more');
  stuck.resume();
  await next(stuck, 'end');
  t.equal(stuck.bytesRead, total, 'which gets the rest when it reads on');
});

t.test('bytes stay intact over loss, reordering, duplication and corruption, both ways at once', { timeout: 120_000 }, async (t) => {
  const fault = { loss: 0.01, reorder: 0.02, duplicate: 0.01, corrupt: 0.005, delay: 1, seed: 7 };
  const server = await serve(t, { fault }, (socket) => void socket.pipe(socket));
  const bytes = noise(4 * MiB);
  const socket = net.connect(portOf(server), '127.0.0.1');
  socket.end(bytes);
  const hash = createHash('sha256');
  for await (const chunk of socket) hash.update(chunk as Buffer);
  t.equal(hash.digest('hex'), createHash('sha256').update(bytes).digest('hex'));
});

t.test('an app thread that is busy holds up nobody\'s connections but its own', { timeout: 60_000 }, async (t) => {
  const server = await serve(t, {}, (socket) => void socket.pipe(socket));
  const socket = net.connect(portOf(server), '127.0.0.1');
  await next(socket, 'connect');
  socket.write(noise(MiB));
  // Long past any delayed acknowledgement and retransmission.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3000);
  let length = 0;
  socket.on('data', (chunk: Buffer) => {
    length += chunk.length;
    if (length === MiB) socket.end();
  });
  await next(socket, 'close');
  t.equal(length, MiB, 'it finds its connections as they were');
});

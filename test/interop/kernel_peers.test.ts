/** The TCP server against the kernel's TCP, over a veth pair: who connects, and which way the bytes run. */
import { createHash } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { AddressInfo } from 'node:net';
import * as kernelNet from 'node:net';
import t from 'tap';
import { app, bytes } from '../../examples/http.js';
import { listen, net } from '../../lib/index.js';
import type { Socket } from '../../lib/index.js';
import { BULK, digest, missing, noise, shell, withServer } from './support.js';

const folder = t.testdir();
const file = join(folder, 'noise');
const sha256 = noise(file, BULK);

t.test('kernel clients and our server', { skip: missing('ip', 'curl', 'nc', 'wrk') }, (t) => withServer({}, async (network) => {
  const host = network.serverAddress;
  const http = listen(createHttpServer(app), { port: 80 });
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(7);
  const sink = net.createServer({ allowHalfOpen: true }, (socket) => { void digest(socket).then(({ sha256 }) => socket.end(sha256)); }).listen(9);
  await Promise.all([echo, sink].map((server) => new Promise((resolve) => server.once('listening', resolve))));

  await t.test('curl gets a page', async (t) => {
    t.match(await shell(`curl -sS -m 20 http://${host}/`), 'It works');
  });
  await t.test('curl downloads 200 MB intact', async (t) => {
    t.equal(await shell(`curl -sS -m 100 'http://${host}/bytes?n=${BULK}' | sha256sum | cut -d ' ' -f 1`), sha256);
  });
  await t.test('curl uploads 200 MB intact', async (t) => {
    t.equal(await shell(`curl -sS -m 100 -X POST -T ${file} http://${host}/upload`), sha256);
  });
  await t.test('nc: half-close, then the answer', async (t) => {
    t.equal(await shell(`nc -N -w 100 ${host} 9 < ${file}`), sha256);
  });
  await t.test('nc: 200 MB there and back at once', async (t) => {
    t.equal(await shell(`nc -N -w 100 ${host} 7 < ${file} | sha256sum | cut -d ' ' -f 1`), sha256);
  });
  await t.test('wrk with 64 connections meets no error', async (t) => {
    const said = await shell(`wrk -t1 -c64 -d3s http://${host}/`);
    t.notMatch(said, 'Socket errors');
    t.notMatch(said, 'Non-2xx');
    t.ok(Number(/(\d+) requests in/.exec(said)?.[1]) > 1000, said);
  });
  await t.test('a port on which nobody listens refuses', async (t) => {
    await t.rejects(shell(`curl -sS -m 20 http://${host}:4444/`), /ended with 7/);
  });

  http.close();
  http.closeAllConnections();
  echo.close();
  sink.close();
}));

t.setTimeout(100_000);

t.test('our client and kernel servers', { skip: missing('ip', 'nc', 'curl') }, (t) => withServer({}, async (network) => {
  const host = network.hostAddress;

  await t.test('nc sends 200 MB', async (t) => {
    const server = shell(`nc -l -N -w 100 ${host} 4001 < ${file}`);
    const { sha256: received, length } = await digest(await connect(host, 4001));
    t.strictSame({ received, length }, { received: sha256, length: BULK });
    await server;
  });
  await t.test('nc receives 200 MB', async (t) => {
    const server = shell(`nc -l -w 100 ${host} 4002 | sha256sum | cut -d ' ' -f 1`);
    const socket = await connect(host, 4002);
    await pipeline(createReadStream(file), socket);
    t.equal(await server, sha256);
  });
  await t.test('a Node server of the kernel echoes 200 MB, both ways at once', async (t) => {
    const server = kernelNet.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const socket = await connect(host, (server.address() as AddressInfo).port);
    const back = digest(socket);
    await pipeline(Readable.from(bytes(BULK)), socket, { end: true });
    t.strictSame(await back, { sha256, length: BULK });
    server.close();
  });
  await t.test('a thousand short connections, one after another and side by side', async (t) => {
    const server = kernelNet.createServer((socket) => socket.end(createHash('sha256').update(String(socket.remotePort)).digest('hex')));
    await new Promise<void>((resolve) => server.listen(0, host, resolve));
    const { port } = server.address() as AddressInfo;
    let right = 0;
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(Array.from({ length: 50 }, async () => {
        const socket = await connect(host, port);
        const wanted = createHash('sha256').update(String(socket.localPort)).digest('hex');
        let text = '';
        for await (const chunk of socket) text += String(chunk);
        if (text === wanted) right++;
      }));
    }
    t.equal(right, 1000);
    server.close();
  });
  await t.test('a port on which nobody listens refuses', async (t) => {
    await t.rejects(connect(host, 4444, 0), { code: 'ECONNREFUSED', syscall: 'connect', address: host, port: 4444 });
  });
}));

/** Connects; tries again while a server that is being started refuses. */
async function connect(host: string, port: number, tries = 100): Promise<Socket> {
  for (;;) {
    const socket = net.connect({ host, port });
    try {
      await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
      return socket;
    } catch (error) {
      if (tries-- <= 0 || (error as NodeJS.ErrnoException).code !== 'ECONNREFUSED') throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

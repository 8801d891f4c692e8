/** What a server must stand, over a real interface with kernel peers: many, slow, silent and busy ones, and a bad network. */
import { createServer as createHttpServer } from 'node:http';
import * as kernelNet from 'node:net';
import { join } from 'node:path';
import t from 'tap';
import { app } from '../../examples/http.js';
import { listen, net } from '../../lib/index.js';
import type { Server } from '../../lib/index.js';
import { missing, noise, shell, withServer } from './support.js';

const MB = 1_000_000;

t.test('5,000 connections at once', { skip: missing('ip') }, (t) => withServer({}, async (network) => {
  const COUNT = 5000;
  const server = net.createServer((socket) => socket.pipe(socket));
  await listening(server);
  const clients: kernelNet.Socket[] = [];
  // In batches below the usual backlog of half-open connections.
  while (clients.length < COUNT) {
    clients.push(...await Promise.all(Array.from({ length: 100 }, () => kernelConnect(network.serverAddress))));
  }
  const answers = await Promise.all(clients.map((client, index) => exchange(client, `number ${index}\n`)));
  t.strictSame(answers.filter((text, index) => text !== `number ${index}\n`), []);
  t.equal(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count))), COUNT);
  const closed = Promise.all(clients.map((client) => new Promise((resolve) => client.once('close', resolve).end())));
  await closed;
  await close(server);
  t.equal(await new Promise((resolve) => server.getConnections((_error, count) => resolve(count))), 0);
}));

t.test('a client that reads nothing while the app writes 100 MB', { skip: missing('ip', 'curl') }, (t) => withServer({}, async (network) => {
  const http = listen(createHttpServer(app), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  const before = process.memoryUsage().rss;
  const client = await kernelConnect(network.serverAddress, 80);
  client.pause();
  client.write('GET /bytes?n=100000000 HTTP/1.1\r\nHost: x\r\n\r\n');
  // Other clients move much more meanwhile than the one could have taken.
  for (let round = 0; round < 3; round++) {
    t.equal(await shell(`curl -sS -m 60 -o /dev/null -w '%{size_download}' 'http://${network.serverAddress}/bytes?n=${50 * MB}'`), String(50 * MB));
  }
  const grown = process.memoryUsage().rss - before;
  t.ok(grown < 100 * MB, `memory grew by ${grown} bytes`);
  let received = 0;
  client.on('data', (chunk) => { received += chunk.length; });
  client.resume();
  while (received < 100 * MB) await new Promise((resolve) => client.once('data', resolve));
  t.pass('and once it reads, it gets everything');
  client.destroy();
  http.close();
  http.closeAllConnections();
}));

t.test('an app thread that is busy for ten seconds', { skip: missing('ip', 'curl') }, (t) => withServer({}, async (network) => {
  const http = listen(createHttpServer((request, response) => {
    if (request.url === '/busy') for (const end = Date.now() + 10_000; Date.now() < end;);
    response.end('still here');
  }), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  const busy = shell(`curl -sS -m 60 http://${network.serverAddress}/busy`);
  const waiting = Array.from({ length: 20 }, (_, index) => shell(`sleep ${1 + index % 3}; curl -sS -m 60 http://${network.serverAddress}/`));
  t.equal(await busy, 'still here');
  t.strictSame(new Set(await Promise.all(waiting)), new Set(['still here']), 'who connected meanwhile was kept, and is served');
  http.close();
  http.closeAllConnections();
}));

t.test('1 % loss and reordering both ways', { skip: missing('ip', 'curl') }, (t) => withServer({ fault: { loss: 0.01, reorder: 0.02, duplicate: 0.01, seed: 7 } }, async (network) => {
  const http = listen(createHttpServer(app), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  const file = join(t.testdir(), 'noise');
  const sha256 = noise(file, 20 * MB);
  t.equal(await shell(`curl -sS -m 100 'http://${network.serverAddress}/bytes?n=${20 * MB}' | sha256sum | cut -d ' ' -f 1`), sha256);
  t.equal(await shell(`curl -sS -m 100 -X POST -T ${file} http://${network.serverAddress}/upload`), sha256);
  http.close();
  http.closeAllConnections();
}));

t.test('clients that leave in the middle', { skip: missing('ip', 'curl') }, (t) => withServer({}, async (network) => {
  const http = listen(createHttpServer(app), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  for (let round = 0; round < 50; round++) {
    const [half, reset, reading] = await Promise.all([0, 1, 2].map(() => kernelConnect(network.serverAddress, 80)));
    half?.end('POST /upload HTTP/1.1\r\nHost: x\r\nContent-Length: 1000\r\n\r\nonly this');
    reset?.write('GET /bytes?n=1000000 HTTP/1.1\r\nHost: x\r\n', () => reset.resetAndDestroy());
    reading?.write('GET /bytes?n=1000000 HTTP/1.1\r\nHost: x\r\n\r\n');
    reading?.once('data', () => reading.resetAndDestroy());
    await Promise.all([half, reset, reading].map((socket) => new Promise((resolve) => socket?.resume().on('error', () => undefined).once('close', resolve))));
  }
  t.match(await shell(`curl -sS -m 20 http://${network.serverAddress}/`), 'It works');
  const left = await new Promise<number>((resolve) => http.getConnections((_error, count) => resolve(count)));
  t.ok(left <= 1, `${left} connections are left`);
  http.close();
  http.closeAllConnections();
}));

function listening(server: Server, port = 7): Promise<unknown> {
  return new Promise((resolve, reject) => server.listen(port).once('listening', resolve).once('error', reject));
}

function close(server: Server): Promise<unknown> {
  return new Promise((resolve) => server.close(resolve));
}

function kernelConnect(host: string, port = 7): Promise<kernelNet.Socket> {
  return new Promise((resolve, reject) => {
    const socket = kernelNet.connect(port, host, () => resolve(socket)).once('error', reject);
  });
}

/** Writes a line and reads one. */
function exchange(socket: kernelNet.Socket, line: string): Promise<string> {
  return new Promise((resolve, reject) => {
    let text = '';
    socket.setEncoding('utf8').on('data', (chunk: string) => {
      text += chunk;
      if (text.endsWith('\n')) resolve(text);
    }).on('error', reject);
    socket.write(line);
  });
}

/** What is read of the TCP server's memory while it writes it. */
import t from 'tap';
import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import { connect as kernelConnect, createServer as kernelServer } from 'node:net';
import type { AddressInfo } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { Worker } from 'node:worker_threads';
import { TcpServer, counters, listen, net, tcpInfo } from '../../lib/index.js';
import type { TcpInfo } from '../../lib/index.js';
import { collectStable } from '../../lib/runtime/app_info.js';
import { CERTIFICATE, KEY } from '../../examples/support/certificate.js';

const INDEX = new URL('../../lib/index.js', import.meta.url);

t.test('a record that changes while it is read is read again', (t) => {
  const words = new Int32Array(64);
  let loads = 0;
  /** The writer moves every word of the record from n to n + 1, one word for each that is read, and rests after three rounds. */
  const load = (memory: Int32Array, at: number): number => {
    if (loads < 32 * 3) words[16 + ((loads * 7) % 32)]++;
    loads++;
    return memory[at];
  };
  const copy = new Int32Array(32);
  t.equal(collectStable(words, 16, new Int32Array(32), copy, load), true);
  t.same([...copy], new Array(32).fill(3), 'all words of one instant');
  t.ok(loads <= 32 * 5, 'as soon as two copies are alike');
  loads = 0;
  t.equal(collectStable(words, 16, new Int32Array(32), copy, (memory, at) => (loads++, words[16 + (at & 31)]++, memory[at])), false);
  t.equal(loads, 32 * 64, 'a record that never rests is read a bounded number of times');
  t.end();
});

t.test('there are no counters without a TCP server', (t) => {
  t.throws(() => counters(), { code: 'ERR_TCP_SERVER_NOT_STARTED' });
  t.end();
});

t.test('tcpInfo of a socket, from its opening to its end', async (t) => {
  const server = await TcpServer.start({ spin: 0 });
  const echo = net.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket)).listen(0);
  await once(echo, 'listening');
  const accepted = once(echo, 'connection') as Promise<[net.Socket]>;
  const socket = net.connect({ port: (echo.address() as AddressInfo).port, host: '127.0.0.1', noDelay: true });
  t.equal(socket.tcpInfo(), null, 'nothing is known before it is opened');
  await once(socket, 'connect');
  const [peer] = await accepted;
  socket.write(Buffer.alloc(100_000));
  let read = 0;
  await new Promise<void>((resolve) => {
    socket.on('data', (chunk: Buffer) => {
      if ((read += chunk.length) === 100_000) resolve();
    });
  });
  const info = tcpInfo(peer) as TcpInfo;
  t.equal(info.state, 'ESTABLISHED');
  t.equal(info.bytesReceived, 100_000);
  t.equal(tcpInfo(socket)?.noDelay, true);
  t.ok(info.rttUs > 0 && info.minRttUs > 0 && info.rtoUs >= 200_000, `${info.rttUs} µs`);
  t.ok(info.congestionWindow >= 10 * info.sendMss || info.congestionWindow > 65_535);
  t.same([info.sack, info.timestamps, info.windowScaling, info.noDelay], [true, true, true, false]);
  socket.destroy();
  peer.destroy();
  await once(peer, 'close');
  t.equal(peer.tcpInfo(), null, 'nor after it was destroyed');
  echo.close();
  await server.close();
});

t.test('tcpInfo of sockets of Node\'s own types', async (t) => {
  const server = await TcpServer.start({ spin: 0 });
  const seen: (TcpInfo | null)[] = [];
  const plain = listen(http.createServer((request, response) => {
    seen.push(tcpInfo(request.socket));
    response.end();
  }), { port: 0 });
  await once(plain, 'listening');
  const request = http.get({ port: (plain.address() as AddressInfo).port, createConnection: (to) => net.connect(to as { port: number }) as never });
  const [response] = (await once(request, 'response')) as [http.IncomingMessage];
  response.resume();
  t.equal(seen[0]?.state, 'ESTABLISHED', 'of an HTTP request');
  const secure = listen(https.createServer({ cert: CERTIFICATE, key: KEY }, (request, response) => {
    seen.push(tcpInfo(request.socket));
    response.end();
  }), { port: 0 });
  await once(secure, 'listening');
  const below = net.connect((secure.address() as AddressInfo).port, '127.0.0.1');
  const tls = tlsConnect({ socket: below as never, ca: CERTIFICATE, servername: 'localhost' });
  await once(tls, 'secureConnect');
  t.equal(tcpInfo(tls)?.state, 'ESTABLISHED', 'of TLS, at the client');
  tls.write('GET / HTTP/1.0\r\n\r\n');
  await once(tls, 'data');
  t.equal(seen[1]?.state, 'ESTABLISHED', 'and at the server');
  tls.destroy();
  plain.closeAllConnections();
  plain.close();
  secure.close();
  await server.close();
  const kernel = kernelServer().listen(0, '127.0.0.1');
  await once(kernel, 'listening');
  const foreign = kernelConnect((kernel.address() as AddressInfo).port, '127.0.0.1');
  t.equal(tcpInfo(foreign), null, 'a socket of the kernel has none');
  foreign.destroy();
  kernel.close();
});

t.test('counters are read from any thread, and nobody is attached for it', async (t) => {
  const server = await TcpServer.start({ spin: 0, maxApps: 1 });
  const source = `
    import { parentPort, workerData } from 'node:worker_threads';
    import { counters } from '${INDEX.href}';
    parentPort.postMessage([counters().TcpActiveOpens, counters(workerData).TcpActiveOpens]);
  `;
  const refused = net.connect(9, '127.0.0.1');
  await once(refused, 'error').catch(() => {});
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(source)}`), { workerData: server.handle });
  const [seen] = (await once(worker, 'message')) as [number[]];
  t.same(seen, [1, 1]);
  t.equal(counters().TcpActiveOpens, 1);
  t.same(server.counters, counters(server.handle));
  await server.close();
  t.equal(counters().TcpActiveOpens, 1, 'also after its end');
});

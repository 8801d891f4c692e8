/** Several TCP servers with one address against the kernel's TCP, over a veth pair. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer as createHttpServer } from 'node:http';
import * as kernelNet from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { app, bytes } from '../../examples/http.js';
import { listen, net } from '../../lib/index.js';
import type { TcpServer } from '../../lib/index.js';
import { readCounters } from '../../lib/runtime/app_info.js';
import type { StackCounters } from '../../lib/runtime/app_info.js';
import { memoriesOf } from '../../lib/runtime/supervisor.js';
import { BULK, digest, missing, noise, shell, withServer } from './support.js';

const SERVERS = 3;
const file = join(t.testdir(), 'noise');
const sha256 = noise(file, BULK);

const countersOf = ({ handle }: TcpServer): StackCounters[] => memoriesOf(handle).map((memory) => readCounters([memory]));

t.setTimeout(200_000);

t.test('the kernel sees one host', { skip: missing('ip', 'curl', 'wrk', 'nc') }, (t) => withServer({ servers: SERVERS }, async (network, server) => {
  const host = network.serverAddress;
  t.equal(server.statuses.length, SERVERS);
  t.equal(new Set(server.statuses.map(({ threadId }) => threadId)).size, SERVERS, 'each has a thread');
  const http = listen(createHttpServer(app), { port: 80 });
  await once(http, 'listening');

  await t.test('wrk with 64 connections meets no error, and each TCP server has its share of them', async (t) => {
    const said = await shell(`wrk -t1 -c64 -d3s http://${host}/`);
    t.notMatch(said, 'Socket errors');
    t.notMatch(said, 'Non-2xx');
    const each = countersOf(server).map(({ TcpPassiveOpens }) => TcpPassiveOpens);
    t.ok(each.every((count) => count >= 5), `connections of each: ${each.join(', ')}`);
    t.equal(server.counters.TcpPassiveOpens, each.reduce((sum, count) => sum + count, 0), 'counters are of all together');
  });
  await t.test('200 MB each way', async (t) => {
    t.equal(await shell(`curl -sS -m 100 'http://${host}/bytes?n=${BULK}' | sha256sum | cut -d ' ' -f 1`), sha256);
    t.equal(await shell(`curl -sS -m 100 -X POST -T ${file} http://${host}/upload`), sha256);
  });
  await t.test('a closed port is refused once', async (t) => {
    const before = server.counters.TcpOutRsts;
    await t.rejects(shell(`curl -sS -m 20 http://${host}:4444/`), /ended with 7/);
    t.equal(server.counters.TcpOutRsts, before + 1);
  });
  await t.test('connections that we open: a thousand short ones, and 200 MB there and back', async (t) => {
    const echo = kernelNet.createServer({ allowHalfOpen: true }, (socket) => socket.pipe(socket));
    await new Promise<void>((resolve) => echo.listen(0, network.hostAddress, resolve));
    const { port } = echo.address() as AddressInfo;
    let right = 0;
    for (let batch = 0; batch < 20; batch++) {
      await Promise.all(Array.from({ length: 50 }, async (_, i) => {
        const socket = net.connect({ host: network.hostAddress, port });
        const text = createHash('sha256').update(`${batch} ${i}`).digest('hex');
        socket.end(text);
        let back = '';
        for await (const chunk of socket) back += String(chunk);
        if (back === text) right++;
      }));
    }
    t.equal(right, 1000);
    const socket = net.connect({ host: network.hostAddress, port });
    const back = digest(socket);
    await pipeline(Readable.from(bytes(BULK)), socket, { end: true });
    t.strictSame(await back, { sha256, length: BULK });
    const each = countersOf(server).map(({ TcpActiveOpens }) => TcpActiveOpens);
    t.ok(Math.max(...each) - Math.min(...each) <= 1, `connections that each has opened: ${each.join(', ')}`);
    echo.close();
  });

  http.close();
  http.closeAllConnections();
}));

t.test('IPv6, and a CPU for each where the load asks for it', { skip: missing('ip', 'curl', 'wrk') }, (t) => withServer((network) => ({
  servers: 2, cpu: [0, 1], address: [`${network.serverAddress}/${network.prefix}`, '2001:db8:77::2/64'],
}), async (network, server) => {
  await shell(`ip address add 2001:db8:77::1/64 dev ${network.hostInterface} nodad`);
  const http = listen(createHttpServer(app), { port: 80 });
  await once(http, 'listening');
  const cpus = (): number => new Set(server.statuses.map(({ cpu }) => cpu)).size;
  for (let i = 0; i < 100 && cpus() !== 1; i++) await new Promise((resolve) => setTimeout(resolve, 50));
  t.equal(cpus(), 1, 'they share a CPU while little happens');
  const load = shell('wrk -t1 -c64 -d4s http://[2001:db8:77::2]/');
  let most = 1;
  const watch = setInterval(() => { most = Math.max(most, cpus()); }, 20);
  t.notMatch(await load, 'Socket errors');
  clearInterval(watch);
  t.ok(countersOf(server).every(({ TcpPassiveOpens }) => TcpPassiveOpens > 0));
  t.comment(`CPUs under load: ${most}`);
  http.close();
  http.closeAllConnections();
}));

t.test('a device that cannot be opened is told once, and no thread stays', { skip: missing('ip') }, async (t) => {
  const { TcpServer } = await import('../../lib/index.js');
  await t.rejects(TcpServer.start({ servers: SERVERS, device: 'packet:nosuch0', address: '198.18.99.2/24' }), { code: 'ENODEV' });
  const server = await TcpServer.start({ servers: SERVERS });
  await server.close();
});

/** The TCP server and the kernel's TCP over IPv6: both directions, both families on one port, a narrow path, an address that is taken. */
import { execFileSync } from 'node:child_process';
import { createReadStream, existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import * as kernelNet from 'node:net';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import t from 'tap';
import { app, bytes } from '../../examples/http.js';
import type { Network } from '../../examples/support/network.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { digest, missing, noise, shell, withServer } from './support.js';

const MB = 1_000_000;
const BULK = 50 * MB;
const lacking = (...commands: string[]): string | false => (existsSync('/proc/net/if_inet6') ? missing('ip', ...commands) : 'the kernel has no IPv6');

const folder = t.testdir();
const file = join(folder, 'noise');
const sha256 = noise(file, BULK);

/** A network with a TCP server of both families. */
function withBoth(test: (network: Network, server: TcpServer) => Promise<void>): Promise<void> {
  const options = (network: Network): object => ({
    address: [`${network.serverAddress}/${network.prefix}`, `${network.serverAddress6}/${network.prefix6}`],
    gateway: [network.hostAddress, network.hostAddress6],
  });
  return withServer(options, test);
}

t.test('kernel clients and our server over IPv6', { skip: lacking('curl') }, (t) => withBoth(async (network, server) => {
  t.same(server.addresses, [network.serverAddress, network.serverAddress6]);
  const url = `http://[${network.serverAddress6}]`;
  const http = listen(createHttpServer(app), { port: 80 });
  const seen: (string | undefined)[] = [];
  http.on('connection', (socket: kernelNet.Socket) => seen.push(socket.remoteAddress, socket.remoteFamily));
  await once(http, 'listening');
  t.match(await shell(`curl -gsS -m 20 ${url}/`), 'It works');
  t.match(await shell(`curl -gsS -m 20 http://${network.serverAddress}/`), 'It works');
  t.same(seen, [network.hostAddress6, 'IPv6', `::ffff:${network.hostAddress}`, 'IPv6'], 'one listener for both families');
  t.equal(await shell(`curl -gsS -m 60 '${url}/bytes?n=${BULK}' | sha256sum | cut -d ' ' -f 1`), sha256, 'to the kernel');
  t.equal(await shell(`curl -gsS -m 60 -X POST -T ${file} ${url}/upload`), sha256, 'from the kernel');
  const many = Array.from({ length: 50 }, () => shell(`curl -gsS -m 60 '${url}/bytes?n=100000' | wc -c`));
  t.same(new Set(await Promise.all(many)), new Set(['100000']));
  http.close();
  http.closeAllConnections();
}));

t.test('our client and a kernel server over IPv6', { skip: lacking() }, (t) => withBoth(async (network) => {
  const server = kernelNet.createServer({ allowHalfOpen: true }, (socket) => {
    void pipeline(Readable.from(bytes(BULK)), socket).catch(() => undefined);
    void digest(socket).then((received) => server.emit('received', received));
  }).listen(0, network.hostAddress6);
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;
  const socket = net.connect({ port, host: network.hostAddress6, allowHalfOpen: true });
  await once(socket, 'connect');
  t.same([socket.localAddress, socket.remoteAddress, socket.remoteFamily], [network.serverAddress6, network.hostAddress6, 'IPv6']);
  const received = digest(socket as unknown as Readable);
  const [sent] = await Promise.all([once(server, 'received'), pipeline(createReadStream(file), socket as unknown as NodeJS.WritableStream)]);
  t.match(sent, [{ sha256, length: BULK }], 'to the kernel');
  t.match(await received, { sha256, length: BULK }, 'from the kernel, at the same time');
  server.close();
  const refused = net.connect({ port, host: network.hostAddress6 });
  t.match((await once(refused, 'error'))[0], { code: 'ECONNREFUSED', message: `connect ECONNREFUSED ${network.hostAddress6}:${port}` });
  const silent = net.connect({ port, host: network.serverAddress6.replace(/::2$/, '::77') });
  t.match((await once(silent, 'error'))[0], { code: 'EHOSTUNREACH' }, 'RFC 4861 7.2.2: nobody answers for the address');
}));

t.test('link-local addresses: ours to the kernel, and the kernel to ours', { skip: lacking('curl') }, (t) => withBoth(async (network) => {
  const shown = execFileSync('ip', ['-6', 'address', 'show', 'dev', network.hostInterface, 'scope', 'link'], { encoding: 'utf8' });
  const [, host = ''] = /inet6 (fe80::[0-9a-f:]+)/.exec(shown) ?? [];
  const server = kernelNet.createServer((socket) => socket.end(`${socket.remoteAddress ?? ''}`)).listen(0, '::');
  await once(server, 'listening');
  const socket = net.connect({ port: (server.address() as AddressInfo).port, host: `${host}%${network.serverInterface}` });
  const [seen] = await once(socket.setEncoding('utf8'), 'data') as [string];
  const own = socket.localAddress ?? '';
  t.match(own, /^fe80::/);
  t.equal(seen, `${own}%${network.hostInterface}`);
  const http = listen(createHttpServer(app), { port: 80, host: '::' });
  await once(http, 'listening');
  t.match(await shell(`curl -gsS -m 20 'http://[${own}%25${network.hostInterface}]/'`), 'It works');
  const neighbours = execFileSync('ip', ['-6', 'neigh', 'show', 'dev', network.hostInterface], { encoding: 'utf8' });
  t.match(neighbours, `${own} lladdr`, 'found by neighbour discovery');
  server.close();
  http.close();
  http.closeAllConnections();
}));

t.test('an address that another station has', { skip: lacking() }, async (t) => {
  await withBoth(async (network, server) => {
    await server.close();
    execFileSync('ip', ['-6', 'address', 'add', `${network.serverAddress6}/${network.prefix6}`, 'dev', network.hostInterface, 'nodad']);
    const again = TcpServer.start({
      device: `packet:${network.serverInterface}`, netns: network.namespace, address: `${network.serverAddress6}/${network.prefix6}`,
    });
    await t.rejects(again, { code: 'EADDRINUSE', message: new RegExp(`another station.*${network.serverAddress6}`) });
  });
});

/** Two namespaces behind a TCP server's: a router, and beyond it a host, the way to which carries less, as only the router knows. */
function narrow(network: Network, mtu: number): { router: string; far: string; close(): void } {
  const id = `${network.namespace}n`;
  const [router, far] = [`${id}r`, `${id}f`];
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  const close = (): void => {
    for (const name of [router, far]) try { ip('netns', 'del', name); } catch { /* it was not made */ }
  };
  try {
    ip('netns', 'add', router);
    ip('netns', 'add', far);
    // The host's end of the server's link becomes the router's.
    ip('link', 'set', network.hostInterface, 'netns', router);
    ip('-n', router, 'link', 'add', 'far0', 'type', 'veth', 'peer', 'name', 'near0', 'netns', far);
    for (const [name, device] of [[router, 'far0'], [far, 'near0']] as const) ip('-n', name, 'link', 'set', device, 'up');
    ip('-n', router, 'link', 'set', network.hostInterface, 'up');
    const add = (name: string, device: string, four: string, six: string): void => {
      ip('-n', name, 'address', 'add', `${four}/24`, 'dev', device);
      ip('-n', name, '-6', 'address', 'add', `${six}/64`, 'dev', device, 'nodad');
    };
    const six = network.hostAddress6.replace('6f66', '6f67').replace(/::1$/, '');
    add(router, network.hostInterface, network.hostAddress, network.hostAddress6);
    add(router, 'far0', '192.0.2.1', `${six}::1`);
    add(far, 'near0', '192.0.2.2', `${six}::2`);
    ip('-n', far, 'route', 'add', 'default', 'via', '192.0.2.1');
    ip('-n', far, '-6', 'route', 'add', 'default', 'via', `${six}::1`);
    ip('-n', router, 'route', 'add', '192.0.2.2/32', 'dev', 'far0', 'mtu', 'lock', String(mtu));
    ip('-n', router, '-6', 'route', 'add', `${six}::2/128`, 'dev', 'far0', 'mtu', 'lock', String(mtu));
    ip('netns', 'exec', router, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv4/ip_forward; echo 1 > /proc/sys/net/ipv6/conf/all/forwarding');
    return { router, far, close };
  } catch (error) {
    close();
    throw error;
  }
}

t.test('RFC 1191, RFC 8201: a path that carries less than the link is found out, over both families', { skip: lacking('curl') }, (t) => withBoth(async (network) => {
  const path = narrow(network, 1300);
  t.teardown(() => path.close());
  const http = listen(createHttpServer(app), { port: 80 });
  await once(http, 'listening');
  for (const host of [network.serverAddress, `[${network.serverAddress6}]`]) {
    const curl = `ip netns exec ${path.far} curl -gsS -m 60`;
    t.equal(await shell(`${curl} 'http://${host}/bytes?n=${BULK}' | sha256sum | cut -d ' ' -f 1`), sha256, `down, ${host}`);
    t.equal(await shell(`${curl} -X POST -T ${file} http://${host}/upload`), sha256, `up, ${host}`);
  }
  const counters = await shell(`ip netns exec ${path.router} cat /proc/net/snmp6`);
  t.notMatch(counters, /Icmp6OutPktTooBigs\s+0\b/, 'the router has said so');
  const [names = '', values = ''] = (await shell(`ip netns exec ${path.router} grep ^Ip: /proc/net/snmp`)).split('\n');
  t.not(values.split(' ')[names.split(' ').indexOf('FragFails')], '0', 'of IPv4, too');
  http.close();
  http.closeAllConnections();
}));

t.test('a switch that forwards groups only to who has asked for them: it hears which ones, and the server is found', { skip: lacking('curl', 'bridge') }, (t) => withBoth(async (network) => {
  const id = `tcps-${process.pid}`;
  const far = `${id}f`;
  const ip = (...args: string[]): void => void execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(() => {
    for (const name of [id, far]) try { ip('netns', 'del', name); } catch { /* it was not made */ }
  });
  ip('netns', 'add', id);
  ip('netns', 'add', far);
  // It asks every second, as soon as it has an address of its own to ask from, and believes a second later that it knows everybody who listens.
  ip('-n', id, 'link', 'add', 'switch', 'type', 'bridge', 'mcast_snooping', '1', 'mcast_querier', '1', 'mcast_query_response_interval', '100', 'mcast_startup_query_interval', '100', 'mcast_startup_query_count', '30');
  ip('-n', id, 'link', 'set', 'switch', 'up');
  ip('link', 'set', network.hostInterface, 'netns', id);
  ip('-n', id, 'link', 'add', 'far0', 'type', 'veth', 'peer', 'name', 'near0', 'netns', far);
  for (const port of [network.hostInterface, 'far0']) ip('-n', id, 'link', 'set', port, 'master', 'switch', 'up');
  ip('-n', far, '-6', 'address', 'add', `${network.hostAddress6}/64`, 'dev', 'near0', 'nodad');
  ip('-n', far, 'link', 'set', 'near0', 'up');
  const http = listen(createHttpServer(app), { port: 80 });
  await once(http, 'listening');
  const group = `ff02::1:ff00:${Number.parseInt(network.serverAddress6.split(':').at(-1) as string, 16).toString(16)}`;
  const heard = `timeout 20 sh -c 'until ip netns exec ${id} bridge mdb show dev switch | grep -q "port ${network.hostInterface} grp ${group} "; do sleep 0.1; done'; ip netns exec ${id} bridge mdb show dev switch`;
  t.match(await shell(heard), `port ${network.hostInterface} grp ${group} `);
  t.match(await shell(`ip netns exec ${far} curl -gsS -m 20 http://[${network.serverAddress6}]/`), 'It works');
  http.close();
  http.closeAllConnections();
}));

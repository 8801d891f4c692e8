/** Addresses that the network gives: by a DHCP server and by the advertisements of a router, both dnsmasq's; and networks that give none. */
import { spawn } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { Interface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { app } from '../../examples/http.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { Link, PEER6, within } from './peers.js';
import { missing } from './support.js';

const START = fileURLToPath(new URL('../../examples/start.js', import.meta.url));
const lacking = missing('ip', 'curl', 'dnsmasq');

t.setTimeout(120_000);

const FOUR = ['--dhcp-range=198.51.100.50,198.51.100.59,255.255.255.0,2m', '--dhcp-option=option:router,198.51.100.1', '--dhcp-option=26,1400', '--dhcp-authoritative'];
const SIX = ['--enable-ra', '--dhcp-range=2001:db8:77::,ra-only,64,10m'];

interface Dnsmasq {
  /** Fulfilled with the next line of its log that fits, those that it has written already included. */
  says(pattern: RegExp): Promise<string>;
  leases(): string;
}

async function openLink(t: Test): Promise<Link> {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.inPeer('ip', 'address', 'add', `${PEER6}/64`, 'dev', link.peerInterface, 'nodad');
  return link;
}

/** A DHCP server, a router, or both, at the kernel's end of the link. */
async function serveAddresses(t: Test, link: Link, options: readonly string[]): Promise<Dnsmasq> {
  const leaseFile = join(t.testdir(), 'leases');
  const common = ['--keep-in-foreground', '--conf-file=/dev/null', '--no-resolv', '--no-hosts', '--port=0', '--user=root', '--pid-file=', '--log-facility=-', '--log-dhcp',
    '--no-ping', `--interface=${link.peerInterface}`, `--dhcp-leasefile=${leaseFile}`];
  const child = spawn('ip', ['netns', 'exec', link.peerNamespace, 'dnsmasq', ...common, ...options], { stdio: ['ignore', 'ignore', 'pipe'] });
  t.teardown(async () => {
    child.kill();
    if (child.exitCode === null && child.signalCode === null) await once(child, 'exit');
  });
  const log: Interface = createInterface({ input: child.stderr });
  const lines: string[] = [];
  log.on('line', (line) => lines.push(line));
  const says = async (pattern: RegExp): Promise<string> => {
    for (let read = 0; ; await once(log, 'line')) for (; read < lines.length; read++) if (pattern.test(lines[read]!)) return lines[read]!;
  };
  await within(20, 'dnsmasq starts', says(/started/));
  return { says, leases: () => readFileSync(leaseFile, 'latin1') };
}

async function serveHttp(t: Test): Promise<void> {
  const http = listen(createHttpServer(app), { port: 80 });
  await once(http, 'listening');
  t.teardown(() => {
    http.close();
    http.closeAllConnections();
  });
}

/** What the kernel at the other end says of a connection to `address`, while it stands. */
async function peersView(link: Link, address: string): Promise<string> {
  const server = net.createServer().listen(81);
  const request = link.inPeer('curl', '-gsS', '-m', '20', `http://${address}:81/`);
  const [socket] = await once(server, 'connection') as [net.Socket];
  const view = await link.inPeer('ss', '-tinH', 'dst', `${address}:81`);
  socket.end('HTTP/1.0 200 OK\r\n\r\n');
  await request;
  server.close();
  return view;
}

for (const device of ['packet:s0', 'macvlan:s0']) {
  for (const thread of ['own', 'app'] as const) {
    t.test(`${device}, thread '${thread}': an address of a DHCP server, which is given back at the end`, { skip: lacking }, async (t) => {
      const link = await openLink(t);
      const dnsmasq = await serveAddresses(t, link, FOUR);
      await link.withServer(t, { device, thread, address: 'dhcp', gateway: null, pcap: null, clientId: 'tcp-offload test' }, async (server) => {
        t.match(server.address, /^198\.51\.100\.5\d$/);
        t.strictSame(server.addresses, [server.address]);
        t.match(dnsmasq.leases(), `${server.address} * 00:74:63:70`, 'the server knows it by the identifier that it was given');
        await serveHttp(t);
        t.match(await link.inPeer('curl', '-gsS', '-m', '20', `http://${server.address}/`), 'It works');
        t.match(await peersView(link, server.address), / mss:1348 /, 'the MTU of the lease holds');
      });
      await within(10, 'the release', dnsmasq.says(/DHCPRELEASE/));
    });
  }
}

t.test('tap:p0: addresses of both families from the kernel at its other end', { skip: lacking }, async (t) => {
  const link = await Link.open({ kind: 'tap' });
  t.teardown(() => link.close());
  const dnsmasq = await serveAddresses(t, link, [...FOUR, ...SIX]);
  await link.withServer(t, { address: ['dhcp', 'slaac'], gateway: null, pcap: null }, async (server) => {
    t.match(server.addresses, [/^198\.51\.100\.5\d$/, /^2001:db8:77:0?:/]);
    await serveHttp(t);
    for (const host of [server.addresses[0], `[${server.addresses[1]}]`]) t.match(await link.inPeer('curl', '-gsS', '-m', '20', `http://${host}/`), 'It works');
  });
  await within(10, 'the release', dnsmasq.says(/DHCPRELEASE/));
});

t.test('addresses of both families, and an app that knows nothing of it', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const dnsmasq = await serveAddresses(t, link, [...FOUR, ...SIX]);
  const options = { address: ['slaac', 'dhcp'], gateway: null, pcap: null, addressSecret: 'test' };
  let first: readonly string[] = [];
  await link.withServer(t, options, async (server) => {
    first = server.addresses;
    t.equal(first.length, 2);
    t.match(first[0], /^2001:db8:77:0?:/, 'in the order of the option');
    t.match(first[1], /^198\.51\.100\.5\d$/);
    await serveHttp(t);
    for (const host of [`[${first[0]}]`, first[1]]) t.match(await link.inPeer('curl', '-gsS', '-m', '20', `http://${host}/`), 'It works');
  });
  await within(10, 'the release', dnsmasq.says(/DHCPRELEASE/));
  await link.withServer(t, { ...options, address: 'slaac' }, async (server) => {
    t.equal(server.address, first[0], 'the same secret, network and interface: the same address');
    await Promise.resolve();
  });

  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const program = [START, '--device', 's0', '--address', 'dhcp', '--port', '80'];
  const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, ...program], { stdio: ['ignore', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  const [said] = await once(child.stdout.setEncoding('utf8'), 'data') as [string];
  const [, url] = /(http:\/\/198\.51\.100\.5\d):80\//.exec(said) ?? [];
  t.ok(url, said);
  t.match(await link.inPeer('curl', '-sS', '-m', '20', `${url}/`), 'It works');
  child.kill('SIGINT');
  await once(child, 'exit');
});

for (const thread of ['own', 'app'] as const) {
  t.test(`thread '${thread}': what routers advertise later is heard of, and listened on`, { skip: lacking }, async (t) => {
    const link = await openLink(t);
    await serveAddresses(t, link, SIX);
    await link.withServer(t, { thread, address: 'slaac', gateway: null, pcap: null }, async (server) => {
      const [first] = server.addresses;
      await serveHttp(t);
      const changed = once(server, 'addresses') as Promise<[string[]]>;
      await link.inPeer('ip', 'address', 'add', '2001:db8:78::1/64', 'dev', link.peerInterface, 'nodad');
      await serveAddresses(t, link, ['--enable-ra', '--dhcp-range=2001:db8:78::,ra-only,64,10m', '--bind-interfaces']);
      const [addresses] = await within(30, 'the event', changed);
      t.strictSame([addresses.length, addresses[0]], [2, first]);
      t.match(addresses[1], /^2001:db8:78:/);
      t.strictSame(server.addresses, addresses);
      t.match(await link.inPeer('curl', '-gsS', '-m', '20', `http://[${addresses[1] ?? ''}]/`), 'It works');
    });
  });
}

t.test('a network that gives no address, or one that is in use: what is wrong and what to do', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const start = (options: object): Promise<TcpServer> => TcpServer.start({ device: 'packet:s0', netns: link.serverNamespace, addressTimeout: 2000, ...options });
  await t.rejects(start({ address: 'dhcp' }), { code: 'ETIMEDOUT', message: /no DHCP server on the link of 'packet:s0' has answered within 2 s.*options\.address/ });
  await t.rejects(start({ address: 'slaac' }), { code: 'ETIMEDOUT', message: /no router on the link of 'packet:s0' has advertised itself within 2 s/ });
  await t.rejects(start({ address: 'slaac', thread: 'app' }), { code: 'ETIMEDOUT' });
  const mac = (await link.inPeer('cat', `/sys/class/net/${link.peerInterface}/address`)).trim();
  const taken = { code: 'EADDRINUSE', message: new RegExp(`the station ${mac} on the link has the address 198\\.51\\.100\\.1`) };
  await t.rejects(start({ address: '198.51.100.1/24', probeAddress: true }), taken);
  await serveAddresses(t, link, [...FOUR.slice(1), '--dhcp-range=198.51.100.70,198.51.100.70,255.255.255.0,2m']);
  await link.inServer('ip', 'address', 'add', '198.51.100.70/24', 'dev', 's0');
  await t.rejects(start({ address: 'dhcp', addressTimeout: 9000 }), { code: 'EADDRINUSE', message: /the kernel has the address 198\.51\.100\.70 itself/ });
  await link.inServer('ip', 'address', 'del', '198.51.100.70/24', 'dev', 's0');
  // One more station on the link, whose kernel only happens to be the same.
  await link.inPeer('ip', 'link', 'add', 'm0', 'link', link.peerInterface, 'address', '02:00:00:00:00:70', 'netns', link.serverNamespace, 'type', 'macvlan', 'mode', 'bridge');
  await link.inServer('ip', 'address', 'add', '198.51.100.70/24', 'dev', 'm0');
  await link.inServer('ip', 'link', 'set', 'm0', 'up');
  const message = /the station 02:00:00:00:00:70 has the address 198\.51\.100\.70 that the DHCP server/;
  await t.rejects(start({ address: 'dhcp', addressTimeout: 9000 }), { code: 'ETIMEDOUT', message });
});

t.test('an address that is asked for, and is nobody else\'s', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  await link.withServer(t, { probeAddress: true, pcap: null }, async (server) => {
    await serveHttp(t);
    t.match(await link.inPeer('curl', '-sS', '-m', '20', `http://${server.address}/`), 'It works');
  });
});

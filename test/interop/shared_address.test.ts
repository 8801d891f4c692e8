/** The TCP server beside the kernel on the kernel's own addresses: both serve, each on its ports, and neither speaks for the other. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { app } from '../../examples/http.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { ask, serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, PEER6, SERVER6, within } from './peers.js';
import type { LinkOptions } from './peers.js';
import { BULK, missing } from './support.js';

const MB = 1_000_000;
const START = fileURLToPath(new URL('../../examples/start.js', import.meta.url));
const REGISTER = new URL('../../lib/register.js', import.meta.url).href;
const ours = net as unknown as Net;
const lacking = missing('ip', 'curl', 'wrk', 'tcpdump', 'setpriv', 'ss', 'ethtool');
/** The kernel may have several addresses of IPv4. */
const SECOND = '198.51.100.22';
type Kind = 'packet' | 'xdp';
const KINDS: readonly Kind[] = ['packet', 'xdp'];
const shared = (kind: Kind) => ({ device: `${kind}:s0`, address: 'shared', gateway: null, pcap: null }) as const;

t.setTimeout(200_000);

interface Teardown {
  teardown(task: () => unknown): unknown;
}

/** A link on whose near end the kernel has addresses of both families. */
async function openLink(t: Teardown, kind: Kind, options: LinkOptions = {}): Promise<Link> {
  const link = await Link.open(options);
  t.teardown(() => link.close());
  if (kind === 'xdp') await link.fillInChecksums();
  for (const address of [link.serverAddress, SECOND]) await link.inServer('ip', 'address', 'add', `${address}/24`, 'dev', 's0');
  if (options.router !== undefined) return link;
  await link.inServer('ip', 'address', 'add', `${SERVER6}/64`, 'dev', 's0', 'nodad');
  await link.inPeer('ip', 'address', 'add', `${PEER6}/64`, 'dev', link.peerInterface, 'nodad');
  return link;
}

/** A program in a namespace, once it has said something. */
async function started(t: Teardown, namespace: string, command: string, args: string[]): Promise<{ child: ChildProcess; said: string }> {
  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const child = spawn('ip', ['netns', 'exec', namespace, command, ...args], { stdio: ['ignore', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  const [said] = await once(child.stdout, 'data') as [Buffer];
  return { child, said: String(said) };
}

/** A plain `http` server of Node's over the kernel's TCP, beside the TCP server. */
async function kernelService(t: Teardown, link: Link, port: number, host = '::'): Promise<string> {
  const program = `
    require('node:http').createServer((request, response) => response.end('the kernel'))
      .listen(${port}, '${host}', () => console.log('listening')).on('error', (error) => { console.log(error.code); process.exit(1); });`;
  return (await started(t, link.serverNamespace, process.execPath, ['-e', program])).said.trim();
}

const curl = (link: Link, port: number, host = link.serverAddress): Promise<string> => link.inPeer('curl', '-sS', '-m', '60', `http://${host}:${port}/`);

/** UDP port of the datagram that ends a capture. */
const LAST = 65001;

/** Watches at the peer's end. Returns what to call to hear what tcpdump has said of everything until then. */
async function capture(t: Teardown, link: Link, filter: string): Promise<() => Promise<string[]>> {
  const args = ['-i', link.peerInterface, '-nn', '-l', '--immediate-mode', '-Z', 'root', `(${filter}) or udp dst port ${LAST}`];
  const child = spawn('ip', ['netns', 'exec', link.peerNamespace, 'tcpdump', ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  t.teardown(() => child.kill('SIGKILL'));
  const lines: string[] = [];
  const ended = new Promise<void>((resolve) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      if (line.includes(`.${LAST}: UDP`)) resolve();
      else lines.push(line);
    });
  });
  for await (const line of createInterface({ input: child.stderr })) if (line.includes('listening on')) break;
  child.stderr.resume();
  return async () => {
    await link.inPeer('bash', '-c', `echo > /dev/udp/${link.serverAddress}/${LAST}`);
    await ended;
    child.kill();
    return lines;
  };
}

/** Resets that come from the shared addresses, whoever sends them. */
const resetsOf = (link: Link): string =>
  `(src host ${link.serverAddress} and tcp[tcpflags] & tcp-rst != 0) or (src host ${SERVER6} and ip6[6] = 6 and ip6[53] & 4 != 0)`;

interface Case {
  readonly kind: Kind;
  readonly thread: 'own' | 'app';
  readonly count: number;
  readonly link?: LinkOptions;
}

const CASES: readonly Case[] = [
  { kind: 'packet', thread: 'own', count: BULK },
  { kind: 'packet', thread: 'app', count: 20 * MB },
  { kind: 'xdp', thread: 'own', count: BULK },
  { kind: 'xdp', thread: 'app', count: 20 * MB },
  { kind: 'xdp', thread: 'own', count: 20 * MB, link: { mtu: 9000, queues: 4 } },
];

for (const { kind, thread, count, link: options = {} } of CASES) {
  const { queues = 1 } = options;
  t.test(`${kind}, thread '${thread}', ${queues} queue${queues === 1 ? '' : 's'}: a service of the kernel and the TCP server on one address under load, transfers each way, no reset that does not belong`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind, options);
    t.equal(await kernelService(t, link, 8080), 'listening');
    const resets = await capture(t, link, resetsOf(link));
    await link.withServer(t, { ...shared(kind), thread }, async (server) => {
      t.equal(server.address, link.serverAddress);
      t.ok(server.addresses.includes(SERVER6));
      const http = listen(createHttpServer(app), { port: 80 });
      await once(http, 'listening');
      const served = await serve(ours);
      for (const host of [link.serverAddress, SECOND, `[${SERVER6}]`]) {
        t.match(await curl(link, 80, host), 'It works');
        t.equal(await curl(link, 8080, host), 'the kernel');
      }
      const wrk = (host: string, port: number): Promise<string> => link.inPeer('wrk', '-t1', '-c16', '-d2s', `http://${host}:${port}/`);
      const both = await Promise.all([wrk(link.serverAddress, 80), wrk(link.serverAddress, 8080), wrk(`[${SERVER6}]`, 80)]);
      for (const said of both) t.notMatch(said, /Socket errors|Non-2xx/);

      t.equal(await link.order('upload', count), sumOf(count), 'the kernel connects and sends');
      t.equal(await link.order('download', count), sumOf(count), 'the kernel connects and receives');
      for (const peer of [link.peerAddress, PEER6]) {
        t.equal(await ask(ours, 'upload', peer, 5 * MB), sumOf(5 * MB), 'we connect and send');
        t.equal(await ask(ours, 'download', peer, 5 * MB), sumOf(5 * MB), 'we connect and receive');
      }

      await t.rejects(once(listen(createHttpServer(), { port: 8080 }), 'listening'), { code: 'EADDRINUSE' }, "the kernel's port is the kernel's");
      for (const host of ['::', link.serverAddress, SERVER6]) t.equal(await kernelService(t, link, 80, host), 'EADDRINUSE', `ours is ours: ${host}`);
      t.strictSame(await resets(), [], 'not one reset from these addresses');
      const refusals = await capture(t, link, resetsOf(link));
      await t.rejects(curl(link, 81), { code: 7 });
      t.equal((await refusals()).length, 1, 'where nobody listens one of the two refuses, once');
      served.close();
      http.close();
      http.closeAllConnections();
    });
    t.equal(await curl(link, 8080), 'the kernel');
  });
}

for (const kind of KINDS) {
  t.test(`${kind}: questions about the address are the kernel's to answer, and each is answered once`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind);
    await link.withServer(t, shared(kind), async () => {
      const http = listen(createHttpServer(app), { port: 80 });
      await once(http, 'listening');
      const seen = await capture(t, link, 'arp or icmp or icmp6');
      await link.inPeer('ip', 'neigh', 'flush', 'dev', link.peerInterface);
      t.match(await curl(link, 80), 'It works');
      t.match(await curl(link, 80, `[${SERVER6}]`), 'It works');
      // A datagram to a port where nobody listens: the error of ICMP comes back as the error of the next send.
      const program = `
        const socket = require('node:dgram').createSocket('udp4');
        socket.on('error', (error) => { console.log(error.code); socket.close(); });
        socket.connect(7777, '${link.serverAddress}', () => socket.send('x'));`;
      t.equal((await link.inPeer(process.execPath, '-e', program)).trim(), 'ECONNREFUSED');
      const lines = await seen();
      const count = (what: RegExp): number => lines.filter((line) => what.test(line)).length;
      const asked = count(new RegExp(`Request who-has ${link.serverAddress.replaceAll('.', '\\.')} `));
      t.ok(asked > 0);
      t.equal(count(new RegExp(`Reply ${link.serverAddress.replaceAll('.', '\\.')} is-at`)), asked);
      const asked6 = count(new RegExp(`neighbor solicitation, who has ${SERVER6}\\b`));
      t.ok(asked6 > 0);
      t.equal(count(new RegExp(`neighbor advertisement, tgt is ${SERVER6}\\b`)), asked6);
      t.equal(count(/udp port 7777 unreachable/), 1);
      http.close();
      http.closeAllConnections();
    });
  });

  t.test(`${kind}: a process that is killed leaves no rule behind, and the kernel serves on; the next one starts at once`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind);
    t.equal(await kernelService(t, link, 8080), 'listening');
    const program = [START, '--device', `${kind}:s0`, '--address', 'shared', '--port', '80'];
    for (let round = 0; round < 2; round++) {
      const { child } = await started(t, link.serverNamespace, process.execPath, program);
      t.match(await curl(link, 80), 'It works');
      t.equal(await curl(link, 8080), 'the kernel');
      child.kill('SIGKILL');
      await once(child, 'exit');
      await t.rejects(curl(link, 80), { code: 7 }, 'the kernel answers with a reset, at once');
      t.equal(await curl(link, 8080), 'the kernel');
    }
    t.equal(await kernelService(t, link, 80), 'listening', 'the port is nobody\'s');
    t.equal(await curl(link, 80), 'the kernel');
  });

  t.test(`${kind}: an app without an edit, by the environment`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind);
    t.equal(await kernelService(t, link, 8080), 'listening');
    const program = `
      const server = require('node:http').createServer((request, response) => response.end('the app'));
      server.listen(80, () => console.log(JSON.stringify(server.address())));`;
    const env = [`TCP_OFFLOAD_DEVICE=${kind}:s0`, 'TCP_OFFLOAD_ADDRESS=shared', process.execPath, '--import', REGISTER, '-e', program];
    const { child } = await started(t, link.serverNamespace, 'env', env);
    for (const host of [link.serverAddress, `[${SERVER6}]`]) t.equal(await curl(link, 80, host), 'the app');
    t.equal(await curl(link, 8080), 'the kernel');
    t.equal((await link.inServer('ss', '-Htln', 'sport = :80')).trim(), '', 'the kernel listens on no such port');
    child.kill();
    await once(child, 'exit');
  });

  t.test(`${kind}: routes are the kernel's, and followed as they change`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind, { router: 'tells', mtu: 1400 });
    const pcap = join(t.testdir(), 'capture');
    await link.withServer(t, { ...shared(kind), pcap }, async () => {
      const served = await serve(ours);
      await t.rejects(ask(ours, 'download', link.peerAddress, MB), { code: 'ENETUNREACH' });
      await link.inServer('ip', 'route', 'add', 'default', 'via', '198.51.100.1');
      t.equal(await ask(ours, 'download', link.peerAddress, MB), sumOf(MB));
      t.equal(await ask(ours, 'upload', link.peerAddress, MB), sumOf(MB), 'with the MTU that the router tells');
      t.equal(await link.order('download', 5 * MB), sumOf(5 * MB));
      await link.inServer('ip', 'route', 'del', 'default');
      await t.rejects(ask(ours, 'download', link.peerAddress, MB), { code: 'ENETUNREACH' });
      served.close();
    });
    t.match(await link.inPeer('tcpdump', '-nr', pcap, 'icmp'), /198\.51\.100\.1 > 198\.51\.100\.2: ICMP 203\.0\.113\.2 unreachable - need to frag \(mtu 1400\)/);
  });

  t.test(`${kind}: a neighbour that comes with another link address, and an interface that goes down and up, under load`, { skip: lacking }, async (t) => {
    const link = await openLink(t, kind);
    await link.withServer(t, { ...shared(kind), tcp: { rtoMaxMs: 1000 } }, async () => {
      const served = await serve(ours);
      const download = link.order('download', 50 * MB);
      await served.connected(1);
      for (const mac of ['02:00:00:00:00:51', '02:00:00:00:00:52']) await link.inPeer('ip', 'link', 'set', link.peerInterface, 'address', mac);
      t.equal(await within(60, 'the first transfer', download), sumOf(50 * MB));
      const transfers = (['upload', 'download'] as const).map((way) => link.order(way, 20 * MB));
      await served.connected(2);
      for (let round = 0; round < 2; round++) {
        await link.inServer('ip', 'link', 'set', 's0', 'down');
        await link.inServer('ip', 'link', 'set', 's0', 'up');
      }
      t.strictSame(await within(60, 'the transfers', Promise.all(transfers)), [sumOf(20 * MB), sumOf(20 * MB)]);
      served.close();
    });
  });
}

t.test('what keeps it from starting is named', { skip: lacking }, async (t) => {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.inServer('sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/s0/disable_ipv6');
  const options = { device: 'packet:s0', netns: link.serverNamespace, address: 'shared' };
  await t.rejects(TcpServer.start(options), { code: 'EADDRNOTAVAIL', message: /no address on interface "s0" to be shared/ });
  await t.rejects(TcpServer.start({ ...options, device: 'packet:s9' }), { code: 'ENODEV', message: /no interface "s9"/ });
  await link.inServer('ip', 'address', 'add', `${link.serverAddress}/24`, 'dev', 's0');
  await link.inServer('ip', 'link', 'set', 's0', 'down');
  await t.rejects(TcpServer.start(options), { code: 'ENETDOWN', message: /"s0" is down; bring it up/ });
  await link.inServer('ip', 'link', 'set', 's0', 'up');
  const program = [START, '--device', 's0', '--address', 'shared'];
  const without = (capability: string): Promise<string> =>
    link.inServer('setpriv', `--bounding-set=-${capability}`, process.execPath, ...program).catch(({ stderr }: { stderr: string }) => stderr);
  t.match(await without('net_raw'), /EPERM: a packet socket on "s0" needs CAP_NET_RAW/);
  t.match(await without('net_admin'), /EPERM: .* by a rule of nftables; it needs CAP_NET_ADMIN/);
});

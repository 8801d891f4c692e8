/** The TCP server through AF_XDP: on addresses of its own, beside the kernel on the same interface and link address. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { Test } from 'tap';
import { app } from '../../examples/http.js';
import { TcpServer, counters, listen, net } from '../../lib/index.js';
import type { TcpServerOptions } from '../../lib/index.js';
import { ask, serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, PEER6, SERVER6 } from './peers.js';
import type { LinkOptions } from './peers.js';
import { BULK, missing } from './support.js';

const MB = 1_000_000;
const START = fileURLToPath(new URL('../../examples/start.js', import.meta.url));
const ours = net as unknown as Net;
const lacking = missing('ip', 'curl', 'ethtool', 'setpriv');
const DEVICE = 'xdp:s0';
/** The kernel's own addresses on the interface. */
const KERNEL = '198.51.100.3';
const KERNEL6 = '2001:db8:77::3';

t.setTimeout(100_000);

/** A link whose far end fills in checksums, with addresses of the kernel's beside those meant for the TCP server. */
async function openLink(t: { teardown(task: () => unknown): unknown }, options?: LinkOptions): Promise<Link> {
  const link = await Link.open(options);
  t.teardown(() => link.close());
  await link.fillInChecksums();
  await link.inServer('ip', 'address', 'add', `${KERNEL}/24`, 'dev', 's0');
  await link.inServer('ip', 'address', 'add', `${KERNEL6}/64`, 'dev', 's0', 'nodad');
  await link.inPeer('ip', 'address', 'add', `${PEER6}/64`, 'dev', link.peerInterface, 'nodad');
  return link;
}

/** An HTTP server of the kernel's, in a process of its own in the TCP server's namespace. */
async function kernelHttp(t: { teardown(task: () => unknown): unknown }, link: Link): Promise<void> {
  const program = "require('node:http').createServer((request, response) => response.end('of the kernel')).listen(8080, '::', () => console.log('ready'))";
  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
}

/** True where an XDP program is attached. */
async function isAttached(link: Link): Promise<boolean> {
  return /xdp/.test(await link.inServer('ip', 'link', 'show', 's0'));
}

async function curl(link: Link, url: string): Promise<string> {
  return link.inPeer('curl', '-gsS', '-m', '20', url);
}

async function exchangeAll(t: Test, link: Link, options: TcpServerOptions, bulk: number): Promise<void> {
  await link.withServer(t, { device: DEVICE, address: [`${link.serverAddress}/24`, `${SERVER6}/64`], pcap: null, ...options }, async () => {
    t.ok(await isAttached(link));
    const http = listen(createHttpServer(app), { port: 80 });
    await once(http, 'listening');
    const served = await serve(ours);
    for (const host of [link.serverAddress, `[${SERVER6}]`]) t.match(await curl(link, `http://${host}/`), 'It works');
    const transfers = [link.order('upload', bulk), link.order('download', bulk)];
    for (const host of [KERNEL, `[${KERNEL6}]`]) t.equal(await curl(link, `http://${host}:8080/`), 'of the kernel', 'a server of the kernel answers meanwhile');
    t.strictSame(await Promise.all(transfers), [sumOf(bulk), sumOf(bulk)], 'the kernel connects, sends and receives');
    t.equal(await ask(ours, 'upload', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and send');
    t.equal(await ask(ours, 'download', PEER6, 5 * MB), sumOf(5 * MB), 'we connect and receive');
    await t.rejects(curl(link, `http://${KERNEL}/`), { code: 7 }, 'its port 80 is not the kernel\'s');
    served.close();
    http.close();
    http.closeAllConnections();
  });
  t.notOk(await isAttached(link), 'the program has gone');
}

for (const thread of ['own', 'app'] as const) {
  t.test(`thread '${thread}': the HTTP example, 200 MB each way, and the kernel beside it`, { skip: lacking }, async (t) => {
    const link = await openLink(t);
    await kernelHttp(t, link);
    await exchangeAll(t, link, { thread }, BULK);
  });
}

t.test('several receive queues, and frames of several chunks', { skip: lacking }, async (t) => {
  const link = await openLink(t, { mtu: 9000, queues: 4 });
  await kernelHttp(t, link);
  await exchangeAll(t, link, {}, 20 * MB);
});

t.test('a program that is killed leaves nothing attached, and the next one starts', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const program = [START, '--device', DEVICE, '--address', `${link.serverAddress}/24`, '--port', '80'];
  for (let round = 0; round < 2; round++) {
    const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, ...program], { stdio: ['ignore', 'pipe', 'inherit'], env });
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    t.match(await curl(link, `http://${link.serverAddress}/`), 'It works');
    t.ok(await isAttached(link));
    if (round === 0) {
      await t.rejects(TcpServer.start({ device: DEVICE, netns: link.serverNamespace, address: '198.51.100.9/24' }), { code: 'EBUSY', syscall: 'bpf', message: /"s0" has an XDP program already/ });
    }
    child.kill('SIGKILL');
    await once(child, 'exit');
    for (let wait = 0; await isAttached(link); wait++) {
      if (wait === 50) throw new Error('the program stays attached');
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
});

t.test('checksums that the other end of a veth pair leaves out: nothing is taken for good, until it fills them in', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  await link.inPeer('ethtool', '-K', link.peerInterface, 'tx', 'on');
  const pcap = join(t.testdir(), 'capture');
  await link.withServer(t, { device: DEVICE, thread: 'app', pcap }, async () => {
    const warned = once(process, 'warning') as Promise<[Error]>;
    const http = listen(createHttpServer(app), { port: 80 });
    await once(http, 'listening');
    await t.rejects(link.inPeer('curl', '-sS', '-m', '4', `http://${link.serverAddress}/`), { code: 28 });
    t.equal(counters().TcpPassiveOpens, 0, 'what looks damaged is dropped');
    t.match((await warned)[0].message, /the other end of "s0" leaves TCP checksums to hardware that is not there.*ethtool -K PEER tx off/);
    await link.inPeer('ethtool', '-K', link.peerInterface, 'tx', 'off');
    t.match(await curl(link, `http://${link.serverAddress}/`), 'It works');
    http.close();
    http.closeAllConnections();
  });
  t.ok(readFileSync(pcap).includes('It works'), 'a capture shows it');
});

t.test('what keeps it from starting is named, and leaves nothing behind', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const options = { device: DEVICE, netns: link.serverNamespace, address: `${link.serverAddress}/24` };
  await t.rejects(TcpServer.start({ ...options, device: 'xdp:s9' }), { code: 'ENODEV', message: /no interface "s9"/ });
  await t.rejects(TcpServer.start({ ...options, device: 'xdp:lo' }), { code: 'ENODEV', message: /"lo" does not speak Ethernet/ });
  await t.rejects(TcpServer.start({ ...options, address: `${KERNEL}/24` }), { code: 'EADDRINUSE', message: /the kernel has the address/ });
  await link.inServer('ip', 'link', 'set', 's0', 'down');
  await t.rejects(TcpServer.start(options), { code: 'ENETDOWN', message: /"s0" is down; bring it up/ });
  await link.inServer('ip', 'link', 'set', 's0', 'up');
  const { NODE_OPTIONS: _, ...env } = process.env;
  const program = [process.execPath, START, '--device', DEVICE, '--address', options.address];
  const refusals = [
    ['setpriv --bounding-set=-net_raw', /EPERM: an AF_XDP socket on "s0" needs CAP_NET_RAW/],
    ['setpriv --bounding-set=-net_admin,-sys_admin', /EPERM: to make a map of AF_XDP sockets needs CAP_BPF and CAP_NET_ADMIN/],
    ['setpriv --bounding-set=-bpf,-sys_admin', /EPERM: to .* needs CAP_BPF and CAP_NET_ADMIN.*seccomp/],
    ['sh -c \'ulimit -l 4096; exec setpriv --bounding-set=-ipc_lock "$0" "$@"\'', /ENOBUFS: AF_XDP on "s0" keeps 12 MiB in physical memory, more than RLIMIT_MEMLOCK allows/],
  ] as const;
  for (const [limit, wanted] of refusals) {
    const child = spawn('sh', ['-c', `exec ip netns exec ${link.serverNamespace} ${limit} "$@"`, 'sh', ...program], { stdio: ['ignore', 'ignore', 'pipe'], env });
    let said = '';
    for await (const text of child.stderr) said += String(text);
    t.match(said, wanted);
  }
  t.notOk(await isAttached(link));
});

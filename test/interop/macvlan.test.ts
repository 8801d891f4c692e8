/** The TCP server on an interface that it makes on another: one more host on the link, beside the kernel on the interface below. */
import { spawn } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { app } from '../../examples/http.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { ask, serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, PEER6, SERVER6 } from './peers.js';
import { BULK, missing } from './support.js';

const MB = 1_000_000;
const START = fileURLToPath(new URL('../../examples/start.js', import.meta.url));
const ours = net as unknown as Net;
const lacking = missing('ip', 'curl', 'setpriv');
const DEVICE = 'macvlan:s0';
/** The kernel's own address on the interface below. */
const KERNEL = '198.51.100.3';

t.setTimeout(100_000);

async function openLink(t: { teardown(task: () => unknown): unknown }): Promise<Link> {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.inServer('ip', 'address', 'add', `${KERNEL}/24`, 'dev', 's0');
  await link.inServer('sh', '-c', 'for family in 4/ip_forward 6/conf/all/forwarding; do echo 1 > /proc/sys/net/ipv$family; done'); // a router
  await link.inPeer('ip', 'address', 'add', `${PEER6}/64`, 'dev', link.peerInterface, 'nodad');
  return link;
}

interface Shown {
  readonly ifname: string;
  readonly flags: readonly string[];
  readonly address: string;
  readonly addr_info: readonly unknown[];
}

/** Interfaces of the kind that there are. */
async function made(link: Link): Promise<Shown[]> {
  return JSON.parse(await link.inServer('ip', '-j', 'address', 'show', 'type', 'macvlan') || '[]') as Shown[];
}

for (const thread of ['own', 'app'] as const) {
  t.test(`thread '${thread}': the HTTP example, 200 MB each way, and the kernel beside it`, { skip: lacking }, async (t) => {
    const link = await openLink(t);
    await link.withServer(t, { device: DEVICE, thread, address: [`${link.serverAddress}/24`, `${SERVER6}/64`], pcap: null }, async () => {
      const [device, ...others] = await made(link);
      t.strictSame(others, []);
      t.match(device, { ifname: /^tcpo-[0-9a-f]{8}$/, addr_info: [] }, 'the kernel has no address there');
      t.ok(['UP', 'NOARP'].every((flag) => device?.flags.includes(flag)), 'it answers no ARP');
      const settings = ['ipv4/conf/*/forwarding', 'ipv6/conf/*/disable_ipv6'].map((name) => `/proc/sys/net/${name.replace('*', device?.ifname ?? '')}`);
      t.equal(await link.inServer('cat', ...settings), '0\n1\n', 'it forwards nothing, and has no IPv6');
      const http = listen(createHttpServer(app), { port: 80 });
      await once(http, 'listening');
      const served = await serve(ours);
      for (const host of [link.serverAddress, `[${SERVER6}]`]) t.match(await link.inPeer('curl', '-gsS', '-m', '20', `http://${host}/`), 'It works');
      t.equal(await link.order('upload', BULK), sumOf(BULK), 'the kernel connects and sends');
      t.equal(await link.order('download', BULK), sumOf(BULK), 'the kernel connects and receives');
      t.equal(await ask(ours, 'upload', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and send');
      t.equal(await ask(ours, 'download', PEER6, 5 * MB), sumOf(5 * MB), 'we connect and receive');
      await t.rejects(link.inPeer('curl', '-sS', '-m', '20', `http://${KERNEL}/`), { code: 7 }, 'the kernel below answers for its own address');
      const neighbours = await link.inPeer('ip', 'neigh', 'show', 'dev', link.peerInterface);
      t.match(neighbours, new RegExp(`^${link.serverAddress} lladdr ${device?.address ?? ''} `, 'm'));
      t.notMatch(neighbours, new RegExp(`^${KERNEL} lladdr ${device?.address ?? ''} `, 'm'));
      served.close();
      http.close();
      http.closeAllConnections();
    });
    t.strictSame(await made(link), [], 'the interface has gone');
  });
}

t.test('what a killed one left is removed by the next, and those in use are not', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const start = async (address: string): Promise<() => Promise<void>> => {
    const program = [START, '--device', DEVICE, '--address', `${address}/24`, '--port', '80'];
    const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, ...program], { stdio: ['ignore', 'pipe', 'inherit'], env });
    t.teardown(() => child.kill('SIGKILL'));
    await once(child.stdout, 'data');
    return async () => {
      child.kill('SIGKILL');
      await once(child, 'exit');
    };
  };
  const killFirst = await start('198.51.100.4');
  const [first] = await made(link);
  const killSecond = await start('198.51.100.5');
  t.equal((await made(link)).length, 2, 'one that is in use stays');
  for (const host of ['198.51.100.4', '198.51.100.5']) t.match(await link.inPeer('curl', '-sS', '-m', '20', `http://${host}/`), 'It works');
  await killFirst();
  t.equal((await made(link)).length, 2);
  await link.inServer('ip', 'link', 'add', 'mine', 'link', 's0', 'type', 'macvlan');
  const killThird = await start('198.51.100.4');
  const names = (await made(link)).map(({ ifname }) => ifname);
  t.equal(names.length, 3);
  t.notOk(names.includes(first?.ifname ?? ''), 'the dead one has gone');
  t.ok(names.includes('mine'), 'what is another\'s stays');
  for (const host of ['198.51.100.4', '198.51.100.5']) t.match(await link.inPeer('curl', '-sS', '-m', '20', `http://${host}/`), 'It works');
  await killSecond();
  await killThird();
});

t.test('what keeps it from starting is named, and leaves nothing behind', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const options = { device: DEVICE, netns: link.serverNamespace, address: `${link.serverAddress}/24` };
  await t.rejects(TcpServer.start({ ...options, device: 'macvlan:s9' }), { code: 'ENODEV', message: /no interface "s9"/ });
  await t.rejects(TcpServer.start({ ...options, device: 'macvlan:lo' }), { code: 'EINVAL', message: /"lo" takes no interfaces of the kind macvlan on it: it must speak Ethernet/ });
  await t.rejects(TcpServer.start({ ...options, address: `${KERNEL}/24` }), { code: 'EADDRINUSE', message: /the kernel has the address/ });
  await t.rejects(TcpServer.start({ ...options, address: 'shared' }), { code: 'ERR_INVALID_ARG_VALUE', message: /packet or AF_XDP device, not with 'macvlan:s0'/ });
  await link.inServer('ip', 'link', 'set', 's0', 'down');
  await t.rejects(TcpServer.start(options), { code: 'ENETDOWN', message: /"s0" is down; bring it up/ });
  await link.inServer('ip', 'link', 'set', 's0', 'up');
  const { NODE_OPTIONS: _, ...env } = process.env;
  const program = [process.execPath, START, '--device', DEVICE, '--address', options.address];
  for (const [capability, wanted] of [['net_admin', /EPERM: .*macvlan\) needs CAP_NET_ADMIN/], ['net_raw', /EPERM: a packet socket .* needs CAP_NET_RAW/]] as const) {
    const child = spawn('ip', ['netns', 'exec', link.serverNamespace, 'setpriv', `--bounding-set=-${capability}`, ...program], { stdio: ['ignore', 'ignore', 'pipe'], env });
    let said = '';
    for await (const text of child.stderr) said += String(text);
    t.match(said, wanted);
  }
  t.strictSame(await made(link), []);
});

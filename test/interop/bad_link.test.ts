/**
 * The TCP server and the kernel's TCP over links of all kinds: each serves and each asks, bytes run both ways, and whatever
 * becomes of the frames, what arrives is what was sent, in bounded time. With TCPO_INTEROP=long more bytes and seeds.
 */
import { once } from 'node:events';
import t from 'tap';
import { net } from '../../lib/index.js';
import type { FaultOptions, Socket, TcpServer, TcpServerOptions } from '../../lib/index.js';
import { ask, serve, SILENT, sumOf } from './exchange.js';
import type { Net, Request } from './exchange.js';
import { Link, within } from './peers.js';
import { missing } from './support.js';

const LONG = process.env['TCPO_INTEROP'] === 'long';
const COUNT = LONG ? 5_000_000 : 300_000;
const SECONDS = LONG ? 120 : 20;
const ours = net as unknown as Net;

/** What a kernel may be set to. */
const KERNELS: Record<string, Record<string, string>> = {
  'as it is': {},
  'without SACK': { 'ipv4.tcp_sack': '0' },
  'without timestamps': { 'ipv4.tcp_timestamps': '0' },
  'without window scaling': { 'ipv4.tcp_window_scaling': '0' },
  'with no option at all': { 'ipv4.tcp_sack': '0', 'ipv4.tcp_timestamps': '0', 'ipv4.tcp_window_scaling': '0' },
  'with tiny buffers': { 'ipv4.tcp_rmem': '4096 4096 4096', 'ipv4.tcp_wmem': '4096 4096 4096' },
};
const USUAL = {
  'ipv4.tcp_sack': '1', 'ipv4.tcp_timestamps': '1', 'ipv4.tcp_window_scaling': '1', 'ipv4.tcp_rmem': '4096 131072 6291456',
  'ipv4.tcp_wmem': '4096 16384 4194304',
};

const FAULTS: Record<string, FaultOptions | null> = {
  'a clean link': null,
  'a link that loses, doubles, reorders and damages': { loss: 0.01, reorder: 0.02, duplicate: 0.02, corrupt: 0.005, delay: 1 },
};

/** Both ends serve, both ask, all at once. */
async function exchange(t: Tap, link: Link, name: string, count: number, uploads: Request, downloads: Request): Promise<void> {
  const all = Promise.all([
    ask(ours, uploads, link.peerAddress, count), ask(ours, downloads, link.peerAddress, count),
    link.order(uploads, count), link.order(downloads, count),
  ]);
  t.strictSame(await within(SECONDS, name, all), new Array<string>(4).fill(sumOf(count)), `${name}: everything arrives, both ways, whoever asks`);
}

type Tap = typeof t;

/** A link with the TCP server at one end, which serves. */
async function linked(t: Tap, options: TcpServerOptions, test: (link: Link, server: TcpServer) => Promise<void>, before?: (link: Link) => Promise<void>): Promise<void> {
  const link = await Link.open();
  t.teardown(() => link.close());
  await before?.(link);
  await link.withServer(t as never, options, async (server) => {
    const serving = await serve(ours);
    await test(link, server);
    serving.close();
  });
}

for (const [name, fault] of Object.entries(FAULTS)) {
  for (const seed of LONG && fault !== null ? [1, 2, 3, 4, 5] : [1]) {
    t.test(`${name}, and kernels of all kinds, seed ${seed}`, { skip: missing('ip') }, (t) => linked(t as Tap, { fault: fault === null ? null : { ...fault, seed } }, async (link) => {
      for (const [kernel, settings] of Object.entries(KERNELS)) {
        await link.set({ ...USUAL, ...settings });
        const count = kernel === 'with tiny buffers' ? COUNT / 10 : COUNT;
        await exchange(t as Tap, link, `a kernel ${kernel}`, count, 'upload', 'download');
      }
    }));
  }
}

for (const mtu of [576, 1280, 9000]) {
  t.test(`an MTU of ${mtu}, with losses`, { skip: missing('ip') }, (t) => linked(t as Tap, { fault: { loss: 0.01, delay: 1 } }, async (link) => {
    await exchange(t as Tap, link, `MTU ${mtu}`, COUNT, 'upload', 'download');
  }, (link) => link.setMtu(mtu)));
}

t.test('readers that stop until the window is closed, and go on', { skip: missing('ip') }, (t) => linked(t as Tap, { receiveBuffer: 65536, sendBuffer: 65536 }, async (link, server) => {
  await link.set({ 'ipv4.tcp_rmem': '4096 65536 65536' });
  await exchange(t as Tap, link, 'late readers', 1_000_000, 'upload to a late reader', 'download as a late reader');
  const { TcpExtTCPToZeroWindowAdv: closed, TcpExtTCPWinProbe: probes } = server.counters;
  t.ok(closed > 0 && probes > 0, `our window was closed ${closed} times, the kernel's was probed ${probes} times`);
}));

t.test('the link goes down in the middle of a transfer, and comes back', { skip: missing('ip') }, (t) => linked(t as Tap, { fault: { rate: 4e7 } }, async (link) => {
  const done = exchange(t as Tap, link, 'a link that flaps', 1_500_000, 'upload', 'download');
  for (const pause of [300, 200]) {
    await new Promise((resolve) => setTimeout(resolve, pause));
    await link.setUp(false);
    await new Promise((resolve) => setTimeout(resolve, 300));
    await link.setUp(true);
  }
  await done;
}));

t.test('keepalive finds that a peer has vanished', { skip: missing('ip') }, (t) => linked(t as Tap, { tcp: { keepIdleMs: 200, keepIntervalMs: 100, keepCount: 3 } }, async (link) => {
  const socket = await connected(link);
  socket.setKeepAlive(true);
  await link.setUp(false);
  const [error] = await within(SECONDS, 'keepalive', once(socket, 'error')) as [NodeJS.ErrnoException];
  t.equal(error.code, 'ETIMEDOUT');
}));

t.test('RST, both ways', { skip: missing('ip') }, async (t) => {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.withServer(t as never, {}, async () => {
    const taken: Socket[] = [];
    const serving = await serve(ours, (socket) => { taken.push((socket as Socket).resume()); });

    const socket = await connected(link);
    const reset = once(socket, 'error') as Promise<[NodeJS.ErrnoException]>;
    for (let waiting = '0'; waiting === '0';) waiting = await link.order('reset what waits');
    t.equal((await within(SECONDS, 'a reset', reset))[0].code, 'ECONNRESET', 'the kernel resets ours');

    await link.order('connect and reset');
    while (taken.length < 1) await new Promise((resolve) => setTimeout(resolve, 10));
    if (!taken[0]!.destroyed) await within(SECONDS, 'a reset', new Promise((resolve) => taken[0]!.once('close', resolve)));
    t.equal(taken[0]!.errored?.message.includes('ECONNRESET'), true, 'and what it has opened itself');

    const waits = link.order('connect and wait');
    while (taken.length < 2) await new Promise((resolve) => setTimeout(resolve, 10));
    taken[1]!.resetAndDestroy();
    await t.rejects(within(SECONDS, 'a reset', waits), { message: 'ECONNRESET' }, 'we reset the kernel\'s');
    serving.close();
  });
});

t.test('what the kernel says of a connection with us', { skip: missing('ip', 'ss') }, (t) => linked(t as Tap, {}, async (link) => {
  const socket = await connected(link);
  socket.write('x');
  const said = await link.inPeer('ss', '-tinH', 'state', 'established', `sport = :${SILENT}`);
  t.match(said, /wscale:7,\d+/);
  t.match(said, /mss:1448\b/);
  t.match(said, /pmtu:1500\b/);
  socket.destroy();
}));

async function connected(link: Link): Promise<Socket> {
  const socket = net.connect({ host: link.peerAddress, port: SILENT });
  await within(SECONDS, 'connect', once(socket, 'connect'));
  return socket;
}

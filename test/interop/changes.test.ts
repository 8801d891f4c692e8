/** What may be wrong with an interface when a TCP server starts on it, or go wrong while it runs, over each kind of device. */
import t from 'tap';
import type { Test } from 'tap';
import { TcpServer, net } from '../../lib/index.js';
import type { TcpServerOptions } from '../../lib/index.js';
import { serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, within } from './peers.js';
import { missing, rawSocketMissing } from './support.js';

const MB = 1_000_000;
const ours = net as unknown as Net;
const lacking = missing('ip', 'ethtool');

t.setTimeout(100_000);

interface Kind {
  readonly link?: Parameters<typeof Link.open>[0];
  readonly options?: TcpServerOptions;
  /** The kernel has the TCP server's address, too. */
  readonly beside?: boolean;
  readonly skip?: string | false;
  readonly prepare?: (link: Link) => Promise<unknown>;
  /** Bytes of a transfer that takes longer than the changes. */
  readonly count: number;
}

const KINDS: Readonly<Record<string, Kind>> = {
  'packet': { count: 60 * MB },
  'packet, shared address': { options: { address: 'shared', gateway: null }, beside: true, count: 60 * MB },
  // What the kernel's end sends has its checksums filled in: AF_XDP is not told that they are left out.
  'xdp': { options: { device: 'xdp:s0' }, prepare: (link) => link.fillInChecksums(), count: 60 * MB },
  'xdp, shared address': { options: { device: 'xdp:s0', address: 'shared', gateway: null }, beside: true, prepare: (link) => link.fillInChecksums(), count: 60 * MB },
  'macvlan': { options: { device: 'macvlan:s0' }, count: 60 * MB },
  'tap': { link: { kind: 'tap' }, count: 60 * MB },
  'tun': { link: { kind: 'tun' }, count: 60 * MB },
  'raw': { options: { device: 'raw:s0', gateway: null }, beside: true, skip: rawSocketMissing(), count: 10 * MB },
};

for (const [name, { link: options, options: server, beside, skip, prepare, count }] of Object.entries(KINDS)) {
  const open = async (t: { teardown(task: () => unknown): unknown }): Promise<Link> => {
    const link = await Link.open(options);
    t.teardown(() => link.close());
    await prepare?.(link);
    if (beside === true) await link.inServer('ip', 'address', 'add', `${link.serverAddress}/24`, 'dev', 's0');
    return link;
  };
  const ends = options?.kind === undefined ? { own: 's0', peer: 'p0' } : { own: 'p0' };
  /** Transfers both ways, in the midst of which something happens. */
  const changed = async (t: Test, link: Link, change: () => Promise<void>): Promise<void> => {
    await link.withServer(t, { pcap: null, tcp: { rtoMaxMs: 1000 }, ...server }, async () => {
      const serving = await serve(ours);
      const transfers = (['upload', 'download'] as const).map((way) => link.order(way, count));
      await serving.connected(2);
      await change();
      t.strictSame(await within(60, 'the transfers', Promise.all(transfers)), [sumOf(count), sumOf(count)]);
      serving.close();
    });
  };

  t.test(`${name}: an end of the link goes down and up in the midst of transfers`, { skip: lacking || (skip ?? false) }, async (t) => {
    const link = await open(t);
    await changed(t, link, async () => {
      for (const end of Object.values(ends)) {
        const [inEnd, device] = end === 's0' ? [link.inServer.bind(link), 's0'] as const : [link.inPeer.bind(link), 'p0'] as const;
        await inEnd('ip', 'link', 'set', device, 'down');
        await inEnd('ip', 'link', 'set', device, 'up');
      }
    });
  });

  t.test(`${name}: the MTU becomes smaller, and larger, in the midst of transfers`, { skip: lacking || (skip ?? false) }, async (t) => {
    const link = await open(t);
    await changed(t, link, async () => {
      await link.setMtu(1280);
      await link.setMtu(9000);
      await link.setMtu(1300);
    });
  });
}

t.test('an address that the kernel has is refused, on whatever interface it has it', { skip: lacking }, async (t) => {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.inServer('ip', 'address', 'add', '198.51.100.2/24', 'dev', 's0');
  await link.inServer('ip', 'address', 'add', '2001:db8:77::2/64', 'dev', 'lo');
  const options = { device: 'packet:s0', netns: link.serverNamespace };
  const refused = (address: string): RegExp => new RegExp(`EADDRINUSE: the kernel has the address ${address} itself; .*'shared'`);
  await t.rejects(TcpServer.start({ ...options, address: '198.51.100.2/24' }), { code: 'EADDRINUSE', message: refused('198.51.100.2') });
  await t.rejects(TcpServer.start({ ...options, address: ['198.51.100.3/24', '2001:db8:77::2/64'] }), { message: refused('2001:db8:77::2') });
  for (const kind of ['tap', 'tun']) {
    await t.rejects(TcpServer.start({ ...options, device: `${kind}:t0`, address: '198.51.100.2/24' }), { message: refused('198.51.100.2') });
  }
  const server = await TcpServer.start({ ...options, address: '198.51.100.3/24' });
  await server.close();
});

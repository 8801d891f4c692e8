/** The TCP server on a TAP and on a TUN interface, and the kernel's TCP at the other end of it. */
import { existsSync } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { once } from 'node:events';
import t from 'tap';
import { app } from '../../examples/http.js';
import { listen, net } from '../../lib/index.js';
import { ask, serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link, PEER6, SERVER6, within } from './peers.js';
import { BULK, missing } from './support.js';

const MB = 1_000_000;
const ours = net as unknown as Net;
const lacking = missing('ip', 'curl') || (!existsSync('/dev/net/tun') && process.env['CI_REQUIRE_ALL'] === undefined && 'needs /dev/net/tun');

t.setTimeout(100_000);

for (const kind of ['tap', 'tun'] as const) {
  t.test(`${kind}: the HTTP example, and 200 MB each way in super-segments`, { skip: lacking }, async (t) => {
    const link = await Link.open({ kind });
    t.teardown(() => link.close());
    const has6 = existsSync('/proc/net/if_inet6');
    const address = [`${link.serverAddress}/24`, ...(has6 ? [`${SERVER6}/64`] : [])];
    await link.withServer(t, { address, pcap: null }, async () => {
      const http = listen(createHttpServer(app), { port: 80 });
      await once(http, 'listening');
      const served = await serve(ours);
      const curl = (url: string): Promise<string> => link.inPeer('curl', '-gsS', '-m', '60', url);
      t.match(await curl(`http://${link.serverAddress}/`), 'It works');
      if (has6) {
        t.match(await curl(`http://[${SERVER6}]/`), 'It works');
        t.equal(await ask(ours, 'upload', PEER6, 5 * MB), sumOf(5 * MB), 'IPv6, from us');
        t.equal(await ask(ours, 'download', PEER6, 5 * MB), sumOf(5 * MB), 'IPv6, to us');
      }
      t.equal(await link.order('upload', BULK), sumOf(BULK), 'the kernel connects and sends');
      t.equal(await link.order('download', BULK), sumOf(BULK), 'the kernel connects and receives');
      t.equal(await ask(ours, 'upload', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and send');
      t.equal(await ask(ours, 'download', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and receive');
      await t.rejects(curl(`http://${link.serverAddress}:4444/`), { code: 7 }, 'a port on which nobody listens refuses');

      const [{ stats64 }] = JSON.parse(await link.inPeer('ip', '-j', '-s', 'link', 'show', 'dev', link.peerInterface)) as [{ stats64: Record<'rx' | 'tx', { bytes: number; packets: number }> }];
      for (const way of ['rx', 'tx'] as const) t.ok(stats64[way].bytes > BULK, `${stats64[way].bytes} bytes ${way}`);
      // Each way carries the acknowledgements of the other besides, one a super-segment.
      for (const way of ['rx', 'tx'] as const) {
        const mean = stats64[way].bytes / stats64[way].packets;
        t.ok(mean > 2 * 1500, `${mean} bytes a packet ${way}, all acknowledgements among them`);
      }
      served.close();
      http.close();
      http.closeAllConnections();
    });
  });

  t.test(`${kind}: an interface that goes down and up under load, and one that is removed`, { skip: lacking }, async (t) => {
    const link = await Link.open({ kind });
    t.teardown(() => link.close());
    await link.withServer(t, { pcap: null, tcp: { rtoMaxMs: 1000 } }, async () => {
      const served = await serve(ours);
      const upload = link.order('upload', 20 * MB);
      const download = link.order('download', 20 * MB);
      // A connection that is to be opened while the interface is down has no way to go.
      await served.connected(2);
      for (let round = 0; round < 3; round++) {
        await link.setUp(false);
        await link.setUp(true);
      }
      t.strictSame(await within(60, 'the transfers', Promise.all([upload, download])), [sumOf(20 * MB), sumOf(20 * MB)]);
      const silent = net.connect({ host: link.peerAddress, port: 9 });
      await once(silent, 'connect');
      await link.inPeer('ip', 'link', 'del', 'dev', link.peerInterface);
      silent.setUserTimeout(500);
      silent.write('into the void');
      const [error] = await within(20, 'the end of the connection', once(silent, 'error')) as [NodeJS.ErrnoException];
      t.equal(error.code, 'ETIMEDOUT');
      served.close();
    });
  });
}

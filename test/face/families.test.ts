/** IPv4 and IPv6 side by side: what node:net shows of addresses and families, the face shows, over a TCP server's loopback. */
import { existsSync, readFileSync } from 'node:fs';
import { once } from 'node:events';
import t from 'tap';
import type { Server } from '../../lib/net.js';
import { describe, loopback, next, node, portOf } from './subjects.js';
import type { Net } from './subjects.js';

/** Without an IPv6 loopback the kernel's node:net has nothing to show. */
const has6 = existsSync('/proc/net/if_inet6') && readFileSync('/proc/net/if_inet6', 'latin1').includes('00000000000000000000000000000001');
const skip = has6 ? false : 'the kernel has no IPv6';

interface ListenAt {
  host?: string;
  ipv6Only?: boolean;
}

/** What both ends see of a connection to `host`, or why there is none. */
async function meet(net: Net, server: Server, host: string, localAddress?: string): Promise<unknown> {
  const accepted = once(server, 'connection');
  const here = net.connect({ port: portOf(server), host, ...(localAddress === undefined ? {} : { localAddress }) });
  const outcome = await Promise.race([once(here, 'connect').then(() => null), once(here, 'error').then(([error]) => error as Error)].map(
    // A connection that fails has its error told by both.
    (promise) => promise.catch((error: Error) => error),
  ));
  if (outcome !== null) return describe(outcome);
  const [there] = await accepted as [typeof here];
  const seen = [here, there].map((socket) => [
    socket.localAddress, socket.localFamily, socket.remoteAddress, socket.remoteFamily, (socket.address() as { family: string }).family,
  ]);
  here.resume().end();
  there.resume().end();
  await Promise.all([next(here, 'close'), next(there, 'close')]);
  return seen;
}

const PLACES: [string, ListenAt][] = [
  ['every address', {}], ['::', { host: '::' }], ['0.0.0.0', { host: '0.0.0.0' }], [':: for IPv6 alone', { host: '::', ipv6Only: true }],
  ['::1', { host: '::1' }], ['127.0.0.1', { host: '127.0.0.1' }], ['::ffff:127.0.0.1', { host: '::ffff:127.0.0.1' }],
];

for (const [name, place] of PLACES) {
  t.test(`listening on ${name}`, { skip }, async (t) => {
    const results: unknown[] = [];
    for (const subject of [node, loopback]) {
      await subject.open();
      const server = subject.net.createServer();
      server.listen({ port: 0, ...place });
      await next(server, 'listening');
      const { address, family } = server.address() ?? {};
      const seen: unknown[] = [address, family];
      for (const host of ['127.0.0.1', '::1', '::ffff:127.0.0.1']) seen.push([host, await meet(subject.net, server, host)]);
      results.push(seen);
      server.close();
      await next(server, 'close');
      await subject.close();
    }
    t.same(results[1], results[0]);
  });
}

t.test('ports of the families, side by side', { skip }, async (t) => {
  const results: unknown[] = [];
  for (const subject of [node, loopback]) {
    await subject.open();
    const first = subject.net.createServer().listen({ port: 0, host: '0.0.0.0' });
    await next(first, 'listening');
    const port = portOf(first);
    const told: string[] = [];
    for (const place of [{ host: '::' }, { host: '::', ipv6Only: true }, { host: '::1' }, { host: '127.0.0.1' }]) {
      const other = subject.net.createServer().listen({ port, ...place });
      const outcome = await Promise.race([once(other, 'listening').then(() => 'listens'), once(other, 'error').then(([error]) => describe(error as Error))]
        .map((promise) => promise.catch((error: Error) => describe(error))));
      told.push(outcome);
      if (outcome !== 'listens') continue;
      other.close();
      await next(other, 'close');
    }
    first.close();
    await next(first, 'close');
    results.push(told);
    await subject.close();
  }
  t.same(results[1], results[0]);
});

t.test('names, zones and local addresses on the loopback device', async (t) => {
  await loopback.open();
  const { net } = loopback;
  const server = net.createServer().listen(0, 'localhost');
  await next(server, 'listening');
  t.match(await meet(net, server, 'localhost'), [['127.0.0.1', 'IPv4'], ['127.0.0.1', 'IPv4']], 'localhost finds localhost');
  server.close();
  const any = net.createServer().listen(0);
  await next(any, 'listening');
  t.match(await meet(net, any, 'localhost'), [['127.0.0.1', 'IPv4'], ['::ffff:127.0.0.1', 'IPv6']]);
  t.match(await meet(net, any, '::1', '::1'), [['::1', 'IPv6'], ['::1', 'IPv6']]);
  t.match(await meet(net, any, '::1', '127.0.0.1'), /EINVAL/, 'from the one family to the other');
  t.match(await meet(net, any, '::1', '2001:db8::1'), /EADDRNOTAVAIL/);
  t.match(await meet(net, any, '2001:db8::1'), /ENETUNREACH/, 'nothing leads there');
  t.match(await meet(net, any, 'fe80::1%lo'), /ENETUNREACH/);
  any.close();
  const nowhere = net.createServer().listen(0, '2001:db8::1');
  t.match(describe((await once(nowhere, 'error'))[0] as Error), 'EADDRNOTAVAIL');
  await loopback.close();
});

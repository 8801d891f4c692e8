/** The TCP server as a thread of its own: what can be seen of it, and how it ends. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { net, TcpServer } from '../../lib/index.js';

t.test('a TCP server can be looked at while it serves', async (t) => {
  const server = await TcpServer.start({ spin: 0 });
  const listener = net.createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const client = net.connect(port, '127.0.0.1');
    client.resume();
    await once(client, 'close');
  }
  const counters = server.counters;
  t.equal(counters['TcpPassiveOpens'], 3);
  t.equal(counters['TcpActiveOpens'], 3);
  t.ok(counters['TcpOutSegs'] > 9, 'segments were counted');
  t.ok(server.status.turns > 0);
  t.match(readFileSync(`/proc/self/task/${server.threadId}/stat`, 'latin1'), /^\d+ /, 'its thread is one of this process');
  listener.close();
  await server.close();
  t.notOk(server.listening);
});

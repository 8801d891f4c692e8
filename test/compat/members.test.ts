/** The table of members, against what is really there; and the page, against the table. */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import kernel from 'node:net';
import t from 'tap';
import * as net from '../../lib/net.js';
import { TcpServer } from '../../lib/server.js';
import { groups } from './members.js';
import type { Group, Place } from './members.js';
import { render } from './page.js';

/** What later versions export and the TCP server has no use for: a socket of the kernel's that is bound before it listens or connects. */
const LATER = ['BoundSocket'];

/** 'socket.end([data])' as 'end'; what is written with a symbol stays. */
function bare(name: string): string {
  return /^\w+\.(\w+)/.exec(name)?.[1] ?? name;
}

function of(place: Place): Group[] {
  return groups.filter((group) => group.place === place);
}

function namesOf(place: Place): string[] {
  return [...new Set(of(place).flatMap(({ members }) => members.map(({ name }) => bare(name).replace(/^'|'$/g, ''))))];
}

t.test('the page says what the table says', async (t) => {
  t.equal(readFileSync('docs/net-compatibility.md', 'utf8'), render(), 'run `npm run compat -- --page`');
});

t.test('every member is there', async (t) => {
  t.same(namesOf('exports').filter((name) => typeof (net as Record<string, unknown>)[name] !== 'function'), []);
  for (const name of Object.keys(kernel).filter((each) => !LATER.includes(each))) t.ok(name in net && name in net.default, `node:net exports ${name}`);
  const objects: [Place, object][] = [
    ['BlockList', new net.BlockList()], ['SocketAddress', new net.SocketAddress({})], ['Server', net.Server.prototype], ['Socket', net.Socket.prototype],
  ];
  // These are there once they were set or used.
  const later = ['maxConnections', 'timeout', 'autoSelectFamilyAttemptedAddresses', 'connecting'];
  for (const [place, object] of objects) {
    t.same(namesOf(place).filter((name) => name !== 'server[Symbol.asyncDispose]()' && !later.includes(name) && !(name in object)), [], place);
  }
  t.ok(Symbol.asyncDispose in net.Server.prototype);
  t.equal(new net.Socket().connecting, false);
  t.equal(new net.Socket().setTimeout(5).timeout, 5);
});

t.test('what Node itself has, and only later versions document', async (t) => {
  for (const [ours, theirs] of [[net.Socket, kernel.Socket], [net.Server, kernel.Server]] as const) {
    const missing = Object.getOwnPropertyNames(theirs.prototype).filter((name) => !(name in ours.prototype));
    t.same(missing, []);
  }
  t.ok(new net.Socket() instanceof kernel.Socket && new net.Server() instanceof kernel.Server);
});

/** Everything that an emitter emits, by name. */
function listened(emitter: { emit(event: string, ...args: unknown[]): boolean }, seen: Set<string>): void {
  const emit = emitter.emit.bind(emitter);
  emitter.emit = (event: string, ...args: unknown[]) => {
    seen.add(event);
    return emit(event, ...args);
  };
}

t.test('every event is emitted', async (t) => {
  await using _tcp = await TcpServer.start();
  const [sockets, servers] = [new Set<string>(), new Set<string>()];
  const server = net.createServer((socket) => socket.pipe(socket));
  server.maxConnections = 1;
  listened(server, servers);
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  const lookup = ((_host: string, _options: object, found: (error: null, all: object[]) => void) => {
    setImmediate(found, null, [{ address: '::1', family: 6 }, { address: '127.0.0.1', family: 4 }]);
  }) as never;
  const socket = net.connect({ port, host: 'name.test', lookup });
  listened(socket, sockets);
  await once(socket, 'connect');
  t.same(socket.autoSelectFamilyAttemptedAddresses, [`::1:${port}`, `127.0.0.1:${port}`]);
  const dropped = net.connect({ port, host: '127.0.0.1' }).on('error', () => {}).resume();
  await once(server, 'drop');
  socket.setTimeout(1);
  await once(socket, 'timeout');
  socket.setTimeout(0).resume();
  while (socket.write(Buffer.alloc(1 << 20)));
  await once(socket, 'drain');
  socket.end();
  await Promise.all([once(socket, 'close'), dropped.closed || once(dropped, 'close')]);
  const refused = net.connect({ port: 1, host: '127.0.0.1' });
  listened(refused, sockets);
  await once(refused, 'error');
  const other = net.createServer();
  listened(other, servers);
  other.listen(port, '127.0.0.1');
  await once(other, 'error');
  server.close();
  await once(server, 'close');
  t.same(namesOf('Server events').filter((name) => !servers.has(name)), []);
  // That of an attempt that takes too long has a test of its own: test/face/connect.test.ts.
  t.same(namesOf('Socket events').filter((name) => !sockets.has(name)), ['connectionAttemptTimeout']);
});

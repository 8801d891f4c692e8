/** Active opens: names with several addresses, where to connect from, and what Node says to what cannot be. Each as with `node:net`. */
import { AsyncLocalStorage } from 'node:async_hooks';
import { once } from 'node:events';
import { inherits } from 'node:util';
import t from 'tap';
import { usePort } from '../../lib/attachment.js';
import type { Port } from '../../lib/attachment.js';
import * as face from '../../lib/net.js';
import { TcpServer } from '../../lib/server.js';
import { describe, loopback, next, node, portOf } from './subjects.js';
import type { Net } from './subjects.js';

type Found = { address: string; family: number }[];
type Script = (net: Net) => Promise<unknown>;

const EVENTS = ['lookup', 'connectionAttempt', 'connectionAttemptFailed', 'connectionAttemptTimeout', 'connect', 'error', 'close'];

/** A lookup that finds what it is told to. */
function finds(...found: unknown[]): never {
  return ((_host: string, options: { all?: boolean }, callback: (...args: unknown[]) => void) => {
    const entries = found as Found;
    if (options.all) callback(null, entries);
    else callback(null, entries[0]?.address, entries[0]?.family);
  }) as never;
}

const V4 = { address: '127.0.0.1', family: 4 };
const V6 = { address: '::1', family: 6 };

/** Connects and tells all that came of it; ports that were chosen are left out. */
async function attempt(net: Net, options: Record<string, unknown>): Promise<unknown> {
  const said: string[] = [];
  const socket = new net.Socket();
  for (const event of EVENTS) {
    socket.on(event, (...args: unknown[]) => said.push([event, ...args.map(shown)].join(' ').replace(/\b\d{4,5}\b/g, 'PORT')));
  }
  socket.on('connect', () => socket.end());
  socket.on('error', (error: AggregateError) => said.push(...(error.errors ?? []).map((each: Error) => `- ${describe(each)}`)));
  socket.connect({ host: 'name.test', ...options } as never);
  socket.resume();
  await next(socket, 'close');
  return { said, tried: socket.autoSelectFamilyAttemptedAddresses?.map((place) => place.replace(/\d+$/, 'PORT')) };
}

function shown(value: unknown): string {
  return value instanceof Error ? `${value.name} ${describe(value)}` : String(value);
}

/** With a server on 127.0.0.1 alone, at `port`. */
function withServer(act: (net: Net, port: number) => Promise<unknown>): Script {
  return async (net) => {
    const seen: unknown[] = [];
    const server = net.createServer((socket) => {
      seen.push(socket.remoteAddress);
      socket.resume().end();
    });
    server.listen(0, '127.0.0.1');
    await next(server, 'listening');
    const result = await act(net, portOf(server));
    server.close();
    await next(server, 'close');
    return { result, seen };
  };
}

const to = (options: Record<string, unknown>): Script => withServer((net, port) => attempt(net, { port, ...options }));

const scripts: Record<string, Script> = {
  'the second address answers': to({ lookup: finds(V6, V4) }),
  'the first address answers': to({ lookup: finds(V4, V6) }),
  'no address answers': (net) => attempt(net, { port: 1, lookup: finds(V6, V4) }),
  'the same address twice is one': (net) => attempt(net, { port: 1, lookup: finds(V4, V4) }),
  'families by turns': (net) => attempt(net, { port: 1, lookup: finds(V4, { address: '127.0.0.2', family: 4 }, V6) }),
  'one address, by choice': to({ lookup: finds(V6, V4), autoSelectFamily: false }),
  'one address, for its family': to({ lookup: finds(V4), family: 4 }),
  'one address, for the place to connect from': to({ lookup: finds(V4, V6), localAddress: '127.0.0.1' }),
  'family by its name': to({ lookup: finds(V4), family: 'IPv4' }),
  'what is found is no address': (net) => attempt(net, { port: 1, lookup: finds({ address: 'x', family: 4 }) }),
  'what is found is of no family': (net) => attempt(net, { port: 1, lookup: finds({ address: '127.0.0.1', family: 5 }) }),
  'one that is found is no address': (net) => attempt(net, { port: 1, family: 4, lookup: finds({ address: 'x', family: 4 }) }),
  'one that is found is of no family': (net) => attempt(net, { port: 1, family: 4, lookup: finds({ address: '127.0.0.1', family: 5 }) }),
  'no address at all': (net) => attempt(net, { port: 1, host: '0.0.0.0' }),
  'no port': (net) => attempt(net, { port: 0, host: '127.0.0.1' }),
  'from an address': to({ host: '127.0.0.1', localAddress: '127.0.0.2' }),
  'from an address that is not ours': to({ host: '127.0.0.1', localAddress: '192.0.2.1' }),
  'from an address of the other family': to({ host: '127.0.0.1', localAddress: '::1' }),
  'from a port that is taken': withServer((net, port) => attempt(net, { port: 1, host: '127.0.0.1', localAddress: '127.0.0.1', localPort: port })),
  'from a port, and refused': async (net) => {
    const error = (await once(net.connect({ port: 1, host: '127.0.0.1', localPort: 23_456 }), 'error'))[0] as Error & { localPort: number; localAddress: string };
    return [describe(error), error.localAddress, error.localPort];
  },

  'what a socket of the wrong kind is told': async (net) => {
    const wrong: Record<string, unknown>[] = [
      { autoSelectFamily: 1 }, { autoSelectFamilyAttemptTimeout: 'x' }, { autoSelectFamilyAttemptTimeout: 1.5 }, { autoSelectFamilyAttemptTimeout: 0 },
      { localPort: 'x' }, { hints: 12_345 }, { port: '' }, { port: '0x' }, { port: NaN }, { port: null }, { port: true },
    ];
    return wrong.map((options) => {
      try {
        net.connect({ port: 1, ...options } as never).on('error', () => {});
      } catch (error) {
        return `${(error as Error).name} ${describe(error as Error)}`;
      }
      return 'taken';
    });
  },

  'constructors without new, and below others': async (net) => {
    const Plain = net.Socket as unknown as (options?: object) => face.Socket;
    function Old(this: face.Socket): void {
      Plain.call(this, { allowHalfOpen: true });
    }
    inherits(Old, net.Socket);
    class New extends net.Socket {}
    function OldServer(this: face.Server): void {
      (net.Server as unknown as () => void).call(this);
    }
    inherits(OldServer, net.Server);
    const sockets = [Plain(), new (Old as unknown as new () => face.Socket)(), new New()];
    const servers = [(net.Server as unknown as () => face.Server)(), new (OldServer as unknown as new () => face.Server)()];
    const facts: unknown[] = sockets.map((socket) => [socket instanceof net.Socket, socket instanceof New, socket.allowHalfOpen, socket.pending, socket.readyState]);
    for (const server of servers) {
      server.on('connection', (socket: face.Socket) => {
        facts.push([socket instanceof net.Socket, socket.constructor.name, (socket.server as unknown) === server]);
        socket.end('hello');
      });
      server.listen(0);
      await next(server, 'listening');
      facts.push([server instanceof net.Server, server.listening]);
      const socket = sockets.shift() as face.Socket;
      facts.push(await socket.connect(portOf(server)).setEncoding('utf8').reduce((all: string, chunk: string) => all + chunk, ''));
      socket.end();
      server.close();
      await next(server, 'close');
    }
    return facts;
  },

  'asynchronous contexts': async (net) => {
    const context = new AsyncLocalStorage<string>();
    const seen: Record<string, unknown> = {};
    const note = (name: string) => (): void => void (seen[name] = context.getStore());
    const server = net.createServer((socket) => {
      note('connection')();
      context.run('another', () => socket.write('hello'));
      socket.resume();
    });
    context.run('server', () => server.listen(0, '127.0.0.1', note('listening')));
    await next(server, 'listening');
    const socket = context.run('client', () => net.connect(portOf(server), '127.0.0.1'));
    for (const event of ['connect', 'data', 'end', 'close']) socket.on(event, note(event));
    await next(socket, 'data');
    context.run('yet another', () => socket.end());
    await next(socket, 'close');
    server.close();
    await next(server, 'close');
    return seen;
  },

  'the prototype is open': async (net) => {
    const prototype = net.Socket.prototype as unknown as Record<string, unknown>;
    const original = prototype.end as (...args: unknown[]) => unknown;
    let calls = 0;
    prototype.end = function end(...args: unknown[]) {
      calls++;
      return original.apply(this, args);
    };
    const server = net.createServer((socket) => socket.end('x')).listen(0);
    await next(server, 'listening');
    const socket = net.connect(portOf(server));
    socket.resume();
    await next(socket, 'close');
    if (Object.hasOwn(net.Socket.prototype, 'end')) prototype.end = original;
    server.close();
    return calls > 0;
  },
};

t.test('as node:net', async (t) => {
  await loopback.open();
  t.teardown(() => loopback.close());
  for (const [name, script] of Object.entries(scripts)) {
    await t.test(name, { timeout: 10_000 }, async (t) => {
      const wanted = await script(node.net);
      t.same(await script(loopback.net), wanted);
    });
  }
});

t.test('the defaults of autoSelectFamily are those of node:net', async (t) => {
  const kernel = node.net;
  const [select, timeout] = [face.getDefaultAutoSelectFamily(), face.getDefaultAutoSelectFamilyAttemptTimeout()];
  face.setDefaultAutoSelectFamily(!select);
  face.setDefaultAutoSelectFamilyAttemptTimeout(timeout + 1);
  t.same([kernel.getDefaultAutoSelectFamily(), kernel.getDefaultAutoSelectFamilyAttemptTimeout()], [!select, timeout + 1]);
  face.setDefaultAutoSelectFamily(select);
  face.setDefaultAutoSelectFamilyAttemptTimeout(timeout);
  t.throws(() => face.setDefaultAutoSelectFamily(1 as never), { code: 'ERR_INVALID_ARG_TYPE' });
});

t.test('an address that does not answer in its time', async (t) => {
  const resets: number[] = [];
  const silence = { alive: true, isOpen: true, ref() {}, unref() {}, connect: () => ({ handler: null, reset: () => resets.push(1), close() {} }) };
  usePort(silence as unknown as Port);
  t.teardown(() => usePort(null));
  const socket = new face.Socket();
  const said: unknown[] = [];
  for (const event of EVENTS.filter((each) => each.startsWith('connection'))) socket.on(event, (...args: unknown[]) => said.push([event, ...args]));
  socket.connect({ port: 1, host: 'name.test', lookup: finds(V4, V6), autoSelectFamilyAttemptTimeout: 10 });
  await once(socket, 'connectionAttemptTimeout');
  t.same(said, [['connectionAttempt', '127.0.0.1', 1, 4], ['connectionAttemptTimeout', '127.0.0.1', 1, 4], ['connectionAttempt', '::1', 1, 6]]);
  t.equal(resets.length, 1, 'the first is given up');
  socket.destroy();
  await once(socket, 'close');
});

t.test('an abort ends a search', async (t) => {
  await using _server = await TcpServer.start();
  const controller = new AbortController();
  const socket = face.connect({ port: 1, host: 'name.test', signal: controller.signal, lookup: (() => {}) as never });
  controller.abort();
  t.match((await once(socket, 'error'))[0], { name: 'AbortError' });
});

/** Scripts that run against `node:net` and against the face: what each socket and server emits must be the same, in the same order. */
import t from 'tap';
import type { ServerOptions, Socket, SocketOptions } from '../../lib/net.js';
import { Trace, describe, loopback, memory, next, node, portOf } from './subjects.js';
import type { Net, Subject } from './subjects.js';

/** Both ends of one connection, and what happened at each. */
interface Pair {
  net: Net;
  server: ReturnType<Net['createServer']>;
  here: Socket;
  there: Socket;
  client: Trace;
  accepted: Trace;
}

interface PairOptions {
  server?: ServerOptions;
  client?: Partial<SocketOptions>;
  /** Called with each end before anything happens to it. */
  onAccept?: (socket: Socket) => void;
}

async function pair(net: Net, options: PairOptions = {}): Promise<Pair> {
  const server = net.createServer(options.server ?? {});
  const accepted = new Promise<[Socket, Trace]>((resolve) => {
    server.once('connection', (socket: Socket) => {
      const trace = new Trace(socket);
      socket.on('error', () => {});
      options.onAccept?.(socket);
      resolve([socket, trace]);
    });
  });
  server.listen(0, '127.0.0.1');
  await next(server, 'listening');
  const here = net.connect({ port: portOf(server), host: '127.0.0.1', ...options.client });
  const client = new Trace(here);
  here.on('error', () => {});
  await next(here, 'connect');
  const [there, trace] = await accepted;
  return { net, server, here, there, client, accepted: trace };
}

async function closed({ here, there, server }: Pair): Promise<void> {
  await Promise.all([here, there].map((socket) => (socket.closed ? Promise.resolve() : next(socket, 'close'))));
  server.close();
  await next(server, 'close');
}

/** Has a timer of 1 ms that is set now due as soon as the event loop looks. */
function passMillisecond(): void {
  const until = performance.now() + 2;
  while (performance.now() < until);
}

type Script = (net: Net) => Promise<unknown>;

/** Runs a script with a pair and reports what each end saw. */
function withPair(options: PairOptions, act: (ends: Pair) => Promise<void> | void): Script {
  return async (net) => {
    const ends = await pair(net, options);
    await act(ends);
    await closed(ends);
    return { client: ends.client.events, accepted: ends.accepted.events, bytes: [ends.client.bytes, ends.accepted.bytes] };
  };
}

/** For scripts whose order depends on how fast bytes move: what happened, each kind of it once. */
function sorted(script: Script): Script {
  return async (net) => {
    const { client, accepted, bytes } = (await script(net)) as { client: string[]; accepted: string[]; bytes: number[] };
    const kinds = (events: string[]): string[] => [...new Set(events.filter((event) => event !== 'drain'))].sort();
    return { client: kinds(client), accepted: kinds(accepted), bytes };
  };
}

const scripts: Record<string, Script> = {
  'the client ends after an echo': withPair({}, ({ here, there }) => {
    there.on('data', (bytes) => there.write(bytes));
    here.on('data', () => here.end());
    here.write('hello');
  }),

  'the server ends first': withPair({}, ({ here, there }) => {
    here.resume();
    there.resume();
    there.end('bye');
  }),

  'the close that follows from the end of the peer comes before any timer': withPair({}, async ({ here, there, client }) => {
    const timer = new Promise<void>((resolve) => {
      here.resume().once('end', () => {
        setTimeout(() => {
          client.say('timer');
          resolve();
        }, 1);
        passMillisecond();
      });
    });
    there.destroy();
    await timer;
  }),

  // What the peer sends and what this side finishes come in any order.
  'data and end in one go, both ways': sorted(withPair({}, ({ here, there }) => {
    here.resume();
    there.resume();
    there.end('x'.repeat(10_000));
    here.end('y'.repeat(10_000));
  })),

  'half-open: the server goes on after the client has ended': withPair({ server: { allowHalfOpen: true } }, async ({ here, there }) => {
    here.resume();
    there.resume();
    here.end('question');
    await next(there, 'end');
    there.write('ans');
    there.end('wer');
  }),

  'half-open: the client goes on after the server has ended': withPair({ client: { allowHalfOpen: true } }, async ({ here, there }) => {
    here.resume();
    there.on('error', () => {});
    there.resume();
    there.end('bye');
    await next(here, 'end');
    here.end();
  }),

  'destroy of an idle socket': withPair({}, ({ here, there }) => {
    there.resume();
    here.destroy();
  }),

  'destroy after a write still sends it': withPair({}, ({ here, there }) => {
    there.resume();
    here.write('last words');
    here.destroy();
  }),

  'destroy with an error': withPair({}, ({ here, there }) => {
    there.resume();
    here.destroy(Object.assign(new Error('mine'), { code: 'EMINE' }));
  }),

  'resetAndDestroy': withPair({}, ({ here, there }) => {
    there.resume();
    here.resetAndDestroy();
  }),

  'destroySoon sends what was written': withPair({}, ({ here, there }) => {
    there.resume();
    here.resume();
    here.write('one');
    here.write('two');
    here.destroySoon();
  }),

  'writes after end fail': withPair({}, ({ here, there, client }) => {
    there.resume();
    here.resume();
    here.end('done');
    here.write('more', (error) => client.say(`callback ${describe(error as Error)}`));
  }),

  'a write after the peer has ended fails with EPIPE': withPair({}, async ({ here, there, client }) => {
    here.resume();
    there.end();
    await next(here, 'end');
    here.write('late', (error) => client.say(`callback ${describe(error as Error)}`));
    there.resume();
  }),

  'timeout of an idle socket, and no other': withPair({}, async ({ here, there, client }) => {
    there.resume();
    here.resume();
    here.setTimeout(30, () => client.say('callback'));
    await next(here, 'timeout');
    here.setTimeout(0);
    here.end();
  }),

  'pauseOnConnect': withPair({ server: { pauseOnConnect: true } }, async ({ here, there, accepted }) => {
    here.resume();
    there.on('data', () => {});
    here.end('waits');
    accepted.say(`paused ${there.isPaused()}`);
    await new Promise((resolve) => setTimeout(resolve, 20));
    accepted.say('resumes');
    there.resume();
  }),

  'callbacks of writes, drain and finish': withPair({}, async ({ here, there, client }) => {
    here.resume();
    there.pause();
    const chunk = Buffer.alloc(100_000, 7);
    let writes = 0;
    while (here.write(chunk) || writes < 100) writes++;
    client.say(`needs drain ${here.writableNeedDrain}`);
    there.resume();
    await next(here, 'drain');
    here.end(() => client.say('end callback'));
  }),

  'cork and uncork, strings and bytes': withPair({}, ({ here, there }) => {
    here.resume();
    there.setEncoding('utf8');
    there.resume();
    here.cork();
    here.write('grüße ', 'utf8');
    here.write(Buffer.from('bytes '));
    here.write('ÿ', 'latin1');
    here.write('414243', 'hex');
    here.uncork();
    here.end();
  }),

  'empty writes are done': withPair({}, ({ here, there, client }) => {
    here.resume();
    there.resume();
    here.write('', () => client.say('empty text'));
    here.write(Buffer.alloc(0), () => client.say('empty bytes'));
    here.end();
  }),

  'async iteration': withPair({}, async ({ here, there, accepted }) => {
    here.resume();
    here.end('some bytes');
    let length = 0;
    for await (const chunk of there) length += (chunk as Buffer).length;
    accepted.say(`${length} bytes`);
  }),

  'pipe back and forth': sorted(withPair({ server: { allowHalfOpen: true } }, ({ here, there }) => {
    there.pipe(there);
    here.resume();
    here.end(Buffer.alloc(300_000, 1));
  })),

  'an abort signal destroys the socket': async (net) => {
    const controller = new AbortController();
    const ends = await pair(net, { client: { signal: controller.signal } });
    ends.there.resume();
    controller.abort();
    await closed(ends);
    return { client: ends.client.events, accepted: ends.accepted.events };
  },

  'connection refused': async (net) => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await next(server, 'listening');
    const port = portOf(server);
    server.close();
    await next(server, 'close');
    const socket = net.connect(port, '127.0.0.1');
    const trace = new Trace(socket);
    let fields: object = {};
    socket.on('error', (error) => {
      const { address, port: to, ...rest } = error as Error & { address: string; port: number };
      fields = { ...rest, address, same: to === port };
    });
    await next(socket, 'close');
    return { events: trace.events, fields };
  },

  'writes and end before the connection': async (net) => {
    const server = net.createServer((socket) => socket.pipe(socket)).listen(0, '127.0.0.1');
    await next(server, 'listening');
    const socket = net.connect(portOf(server), '127.0.0.1');
    const trace = new Trace(socket);
    socket.write('one', () => trace.say('one is written'));
    socket.write('two', () => trace.say('two is written'));
    trace.say(`${socket.connecting} ${socket.pending} ${socket.readyState} ${socket.bytesWritten}`);
    socket.end('three');
    socket.resume();
    await next(socket, 'close');
    server.close();
    await next(server, 'close');
    return { events: trace.events, bytes: trace.bytes, read: socket.bytesRead, written: socket.bytesWritten };
  },

  'destroy before the connection': async (net) => {
    const server = net.createServer().listen(0, '127.0.0.1');
    await next(server, 'listening');
    const socket = net.connect(portOf(server), '127.0.0.1');
    const trace = new Trace(socket);
    socket.on('error', () => {});
    socket.write('never', (error) => trace.say(`callback ${describe(error as Error)}`));
    socket.destroy();
    await next(socket, 'close');
    server.close();
    await next(server, 'close');
    return trace.events;
  },

  'a socket that was never connected': async (net) => {
    const socket = new net.Socket();
    const trace = new Trace(socket);
    const seen = [socket.pending, socket.readyState, socket.address(), socket.remoteAddress, socket.bytesRead, socket.bytesWritten, socket.bufferSize];
    socket.destroy();
    await next(socket, 'close');
    return { seen, events: trace.events };
  },

  'resetAndDestroy of a socket that was never connected': async (net) => {
    const socket = new net.Socket();
    const trace = new Trace(socket);
    socket.on('error', () => {});
    socket.resetAndDestroy();
    await next(socket, 'close');
    return trace.events;
  },

  'a socket is used again': async (net) => {
    const server = net.createServer((socket) => socket.end('hi')).listen(0, '127.0.0.1');
    await next(server, 'listening');
    const socket = new net.Socket();
    const trace = new Trace(socket);
    for (let round = 0; round < 2; round++) {
      socket.connect(portOf(server), '127.0.0.1', () => trace.say(`round ${round}`));
      socket.resume();
      await next(socket, 'close');
    }
    server.close();
    await next(server, 'close');
    return trace.events;
  },

  'properties along a connection': async (net) => {
    const ends = await pair(net, {});
    const { here, there } = ends;
    const state = (socket: Socket): unknown[] => [
      socket.connecting, socket.pending, socket.readyState, socket.destroyed, socket.bytesRead, socket.bytesWritten, socket.bufferSize,
      socket.remoteAddress, socket.remoteFamily, socket.localAddress, socket.localFamily, Object.keys(socket.address()).sort(),
      socket.timeout, socket.allowHalfOpen, socket.readableHighWaterMark,
    ];
    const seen = [state(here), state(there), here.remotePort === there.localPort, here.localPort === there.remotePort];
    there.resume();
    here.resume();
    here.end('bytes');
    await closed(ends);
    return [seen, state(here), state(there)];
  },

  'the server: listen, close, and what is refused': async (net) => {
    const server = net.createServer();
    const trace = new Trace(server);
    trace.say(`${server.listening} ${JSON.stringify(server.address())}`);
    server.close((error) => trace.say(`close: ${error?.message}`));
    await next(server, 'close');
    server.listen({ port: 0, host: '127.0.0.1' }, () => trace.say('callback'));
    await next(server, 'listening');
    const { address, family } = server.address() ?? {};
    trace.say(`${server.listening} ${address} ${family}`);
    try {
      server.listen(0);
    } catch (error) {
      trace.say(describe(error as Error));
    }
    const other = net.createServer();
    const refused = new Trace(other);
    other.on('error', () => {});
    other.listen(portOf(server), '127.0.0.1');
    await next(other, 'error');
    refused.say(String(other.listening));
    server.close((error) => trace.say(`close: ${String(error)}`));
    trace.say(`${server.listening} ${JSON.stringify(server.address())}`);
    await next(server, 'close');
    return { server: trace.events, refused: refused.events };
  },

  'the server closes once its connections have ended': async (net) => {
    const ends = await pair(net, {});
    const trace = new Trace(ends.server);
    ends.there.resume();
    ends.here.resume();
    ends.server.close(() => trace.say('closed'));
    const counted = await new Promise((resolve) => void ends.server.getConnections((_error, count) => resolve(count)));
    trace.say(`${String(counted)} connection`);
    ends.here.end('still works');
    await Promise.all([next(ends.server, 'close'), next(ends.here, 'close')]);
    return { server: trace.events, client: ends.client.events, bytes: ends.accepted.bytes };
  },

  'maxConnections drops': async (net) => {
    const server = net.createServer((socket) => socket.resume());
    server.maxConnections = 1;
    const drops: unknown[] = [];
    server.on('drop', (data: Record<string, unknown>) => drops.push(Object.keys(data).sort()));
    server.listen(0, '127.0.0.1');
    await next(server, 'listening');
    const first = net.connect(portOf(server), '127.0.0.1');
    await next(first, 'connect');
    const second = net.connect(portOf(server), '127.0.0.1');
    second.on('error', () => {});
    second.resume();
    await next(second, 'close');
    first.end();
    first.resume();
    await next(first, 'close');
    server.close();
    await next(server, 'close');
    return drops;
  },

  'onread reads into memory of the app': async (net) => {
    const server = net.createServer((socket) => socket.end('0123456789'.repeat(1000))).listen(0, '127.0.0.1');
    await next(server, 'listening');
    let bytes = 0;
    const buffer = Buffer.alloc(1024);
    const callback = (length: number): boolean => {
      bytes += length;
      return true;
    };
    const socket = net.connect({ port: portOf(server), host: '127.0.0.1', onread: { buffer, callback } });
    const trace = new Trace(socket);
    await next(socket, 'close');
    server.close();
    await next(server, 'close');
    return { events: trace.events, bytes };
  },

  'lookup': async (net) => {
    const server = net.createServer((socket) => socket.end()).listen(0, '127.0.0.1');
    await next(server, 'listening');
    const found: unknown[] = [];
    const lookup = (host: string, _options: object, done: (error: null, address: string, family: number) => void): void => {
      found.push(host);
      done(null, '127.0.0.1', 4);
    };
    const socket = net.connect({ port: portOf(server), host: 'somewhere.test', lookup: lookup as never, family: 4 });
    socket.on('lookup', (...args: unknown[]) => found.push(args));
    const trace = new Trace(socket);
    socket.resume();
    await next(socket, 'close');
    const failing = net.connect({ port: 1, host: 'nowhere.test', family: 4, lookup: ((_host: string, _options: object, done: (error: Error) => void) => {
      done(Object.assign(new Error('none'), { code: 'ENOTFOUND' }));
    }) as never });
    const failed = new Trace(failing);
    failing.on('error', () => {});
    await next(failing, 'close');
    server.close();
    await next(server, 'close');
    return { found, events: trace.events, failed: failed.events };
  },
};

const REFUSALS: Record<string, (net: Net) => unknown> = {
  'connect without a port': (net) => net.connect({} as never),
  'connect to port 70000': (net) => net.connect({ port: 70000 }),
  'connect to a port that is an object': (net) => net.connect({ port: {} as never }),
  'connect from no address': (net) => net.connect({ port: 1, localAddress: 'x' }),
  'connect with a lookup that is no function': (net) => net.connect({ port: 1, host: 'a', lookup: 1 as never }),
  'a server from a number': (net) => net.createServer(5 as never),
  'listen on port 70000': (net) => net.createServer().listen(70000),
  'listen on nothing': (net) => net.createServer().listen({}),
  'a socket of objects': (net) => new net.Socket({ objectMode: true } as never),
  'a timeout that is text': (net) => new net.Socket().setTimeout('x' as never),
  'a negative timeout': (net) => new net.Socket().setTimeout(-1),
  'a delay that is text': (net) => new net.Socket({ keepAliveInitialDelay: 'x' as never }),
};

for (const [name, act] of Object.entries(REFUSALS)) {
  scripts[`refused: ${name}`] = async (net) => {
    try {
      act(net);
    } catch (error) {
      return `${(error as Error).name} ${describe(error as Error)}`;
    }
    return 'taken';
  };
}

async function compare(subject: Subject): Promise<void> {
  await t.test(subject.name, async (t) => {
    await subject.open();
    t.teardown(() => subject.close());
    for (const [name, script] of Object.entries(scripts)) {
      await t.test(name, { timeout: 10_000 }, async (t) => {
        const wanted = await script(node.net);
        t.same(await script(subject.net), wanted);
      });
    }
  });
}

await compare(memory);
if (process.env['FACE_LOOPBACK'] !== '0') await compare(loopback);

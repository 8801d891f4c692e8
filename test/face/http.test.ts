/** `node:http` and what stands on it, unmodified, over kernel TCP and over the face: clients must see the same. */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as http from 'node:http';
import * as https from 'node:https';
import type { Server as NodeServer, AddressInfo } from 'node:net';
import type { Duplex } from 'node:stream';
import * as tls from 'node:tls';
import express from 'express';
import fastify from 'fastify';
import t from 'tap';
import { listen, offload } from '../../lib/http.js';
import type { Socket } from '../../lib/net.js';
import { CERTIFICATE, KEY } from '../../examples/support/certificate.js';
import { describe, loopback, memory, next, node } from './subjects.js';
import type { Subject } from './subjects.js';

/** One TCP, as the scripts use it. */
class Host {
  readonly subject: Subject;
  private readonly servers: NodeServer[] = [];

  constructor(subject: Subject) {
    this.subject = subject;
  }

  async serve<S extends NodeServer>(server: S): Promise<S> {
    if (this.subject === node) server.listen(0, '127.0.0.1');
    else listen(server, { port: 0, host: '127.0.0.1' });
    this.servers.push(server);
    await once(server, 'listening');
    return server;
  }

  port(server: NodeServer): number {
    return (server.address() as AddressInfo).port;
  }

  connect(server: NodeServer): Socket {
    const socket = this.subject.net.connect(this.port(server), '127.0.0.1');
    socket.on('error', () => {});
    return socket;
  }

  agent(options: http.AgentOptions = {}): http.Agent {
    const agent = new http.Agent(options);
    Object.assign(agent, { createConnection: (to: { host: string; port: number }) => this.subject.net.connect(to) });
    return agent;
  }

  async request(server: NodeServer, options: http.RequestOptions = {}, body: Buffer | string = ''): Promise<[number | undefined, string]> {
    const request = http.request({ host: '127.0.0.1', port: this.port(server), agent: this.agent(), ...options });
    request.end(body);
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    return [response.statusCode, await text(response)];
  }

  /** Sends bytes as they are, and gives what came back until the server closed. */
  async exchange(server: NodeServer, ...parts: string[]): Promise<string> {
    const socket = this.connect(server);
    const answer = text(socket);
    await next(socket, 'connect');
    for (const part of parts) {
      socket.write(part);
      await new Promise((resolve) => setImmediate(resolve));
    }
    return mask(await answer);
  }
}

async function text(stream: AsyncIterable<Buffer>): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of stream) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

function mask(response: string): string {
  return response.replace(/Date: .*GMT/g, 'Date: then').replace(/ETag: .*/g, 'ETag: some');
}

async function stop(server: NodeServer): Promise<void> {
  server.close();
  await once(server, 'close');
}

const hash = (bytes: Buffer): string => createHash('sha256').update(bytes).digest('hex');
const CLOSE = 'Connection: close\r\n\r\n';
const hello: http.RequestListener = (request, response) => void response.end(`${request.method} ${request.url}`);

type Script = (host: Host) => Promise<unknown>;

const scripts: Record<string, Script> = {
  'a request, and the connection closes': async (host) => {
    const server = await host.serve(http.createServer(hello));
    const answer = await host.exchange(server, `GET / HTTP/1.1\r\nHost: h\r\n${CLOSE}`);
    await stop(server);
    return answer;
  },

  'keep-alive: request after request on one connection': async (host) => {
    const server = await host.serve(http.createServer(hello));
    let connections = 0;
    server.on('connection', () => connections++);
    const agent = host.agent({ keepAlive: true, maxSockets: 1 });
    const answers = [];
    for (let i = 0; i < 5; i++) answers.push(await host.request(server, { agent, path: `/${i}` }));
    agent.destroy();
    await stop(server);
    return { answers, connections };
  },

  'pipelined requests are answered in order': async (host) => {
    const server = await host.serve(http.createServer((request, response) => {
      // The first answer comes last.
      setTimeout(() => response.end(`${request.url};`), request.url === '/1' ? 10 : 0);
    }));
    const get = (n: number): string => `GET /${n} HTTP/1.1\r\nHost: h\r\n`;
    const answer = await host.exchange(server, `${get(1)}\r\n${get(2)}\r\n${get(3)}${CLOSE}`);
    await stop(server);
    return answer;
  },

  'chunked, both ways': async (host) => {
    const server = await host.serve(http.createServer((request, response) => void request.pipe(response)));
    const answer = await host.exchange(
      server, `POST / HTTP/1.1\r\nHost: h\r\nTransfer-Encoding: chunked\r\n${CLOSE}`, '5\r\nhello\r\n', '6\r\n world\r\n', '0\r\n\r\n',
    );
    await stop(server);
    // Which chunks come together is a matter of time.
    return answer.replace(/\r\n[0-9a-f]+\r\n/g, '');
  },

  'expect: 100-continue': async (host) => {
    const server = await host.serve(http.createServer(async (request, response) => void response.end(`got ${await text(request)}`)));
    const socket = host.connect(server);
    const answer = text(socket);
    socket.write(`POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 4\r\nExpect: 100-continue\r\n${CLOSE}`);
    await next(socket, 'readable');
    socket.write('body');
    const all = mask(await answer);
    await stop(server);
    return all;
  },

  'uploads and downloads of 8 MB keep their bytes': async (host) => {
    const bytes = Buffer.alloc(8 << 20);
    for (let i = 0; i < bytes.length; i += 4) bytes.writeUInt32LE(Math.imul(i, 2654435761) >>> 0, i);
    const server = await host.serve(http.createServer(async (request, response) => {
      if (request.method === 'GET') response.end(bytes);
      else response.end(hash(Buffer.from(await text(request), 'latin1')));
    }));
    const up = await host.request(server, { method: 'POST' }, bytes);
    const [, down] = await host.request(server);
    await stop(server);
    return [up[1] === hash(bytes), hash(Buffer.from(down, 'latin1')) === hash(bytes)];
  },

  'a client that reads slowly holds up the response, and gets all of it': async (host) => {
    let stalled = false;
    const server = await host.serve(http.createServer(async (_request, response) => {
      for (let i = 0; i < 100; i++) {
        if (response.write(Buffer.alloc(65536, i))) continue;
        stalled = true;
        await once(response, 'drain');
      }
      response.end();
    }));
    const request = http.get({ host: '127.0.0.1', port: host.port(server), agent: host.agent() });
    const [response] = (await once(request, 'response')) as [http.IncomingMessage];
    await new Promise((resolve) => setTimeout(resolve, 50));
    const length = (await text(response)).length;
    await stop(server);
    return { length, stalled };
  },

  'a client that vanishes in the middle of a request': async (host) => {
    const seen: string[] = [];
    let done = (): void => {};
    const gone = new Promise<void>((resolve) => (done = resolve));
    const server = await host.serve(http.createServer((request, response) => {
      request.on('error', (error) => seen.push(`request ${describe(error)}`));
      request.on('close', () => seen.push(`request closed, complete ${request.complete}`));
      response.on('close', () => {
        seen.push(`response closed, ended ${response.writableEnded}`);
        done();
      });
      request.resume();
    }));
    const socket = host.connect(server);
    socket.write('POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 100\r\n\r\nonly this');
    await once(server, 'request');
    socket.resetAndDestroy();
    await gone;
    await stop(server);
    return seen.sort();
  },

  'what is no HTTP gets 400': async (host) => {
    const server = await host.serve(http.createServer(hello));
    const answer = await host.exchange(server, 'what is this?\r\n\r\n');
    await stop(server);
    return answer;
  },

  'an idle connection is closed after keepAliveTimeout, a busy one is not': async (host) => {
    const server = await host.serve(http.createServer({ keepAliveTimeout: 60 }, (_request, response) => {
      setTimeout(() => response.end('late'), 150);
    }));
    // Node adds a second of its own to what the client was told.
    Object.assign(server, { keepAliveTimeoutBuffer: 0 });
    const answer = await host.exchange(server, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await stop(server);
    return answer;
  },

  'a request that does not come gets 408 after requestTimeout': async (host) => {
    const server = await host.serve(http.createServer({ requestTimeout: 100, headersTimeout: 100, connectionsCheckingInterval: 20 }, hello));
    const answer = await host.exchange(server, 'GET / HTTP/1.1\r\n');
    await stop(server);
    return answer;
  },

  'server.setTimeout ends a connection without traffic': async (host) => {
    const server = await host.serve(http.createServer(() => {}));
    server.setTimeout(50);
    const answer = await host.exchange(server, 'GET / HTTP/1.1\r\nHost: h\r\n\r\n');
    await stop(server);
    return answer;
  },

  'close() ends idle connections and lets the busy one finish': async (host) => {
    let answerNow = (): void => {};
    const server = await host.serve(http.createServer((request, response) => {
      if (request.url === '/busy') answerNow = (): void => void response.end('done');
      else response.end('quick');
    }));
    const agent = host.agent({ keepAlive: true });
    await host.request(server, { agent, path: '/idle' });
    const busy = host.request(server, { path: '/busy', headers: { connection: 'close' } });
    await once(server, 'request');
    const closed = once(server, 'close');
    server.close();
    const states = [server.listening, server.address()];
    answerNow();
    const answer = await busy;
    await closed;
    agent.destroy();
    return { states, answer };
  },

  'upgrade hands the socket over': async (host) => {
    const server = await host.serve(http.createServer(hello));
    server.on('upgrade', (_request, socket: Duplex, head: Buffer) => {
      socket.write(`HTTP/1.1 101 Switching Protocols\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\n${head.toString()}`);
      socket.pipe(socket);
    });
    const socket = host.connect(server);
    const answer = text(socket);
    socket.end('GET / HTTP/1.1\r\nHost: h\r\nUpgrade: echo\r\nConnection: Upgrade\r\n\r\nraw bytes');
    const all = await answer;
    await stop(server);
    return all;
  },

  'HEAD, 304 and empty answers': async (host) => {
    const server = await host.serve(http.createServer((request, response) => {
      response.statusCode = request.url === '/304' ? 304 : 200;
      if (request.url === '/204') response.writeHead(204);
      response.end();
    }));
    const request = (line: string, last = '\r\n'): string => `${line} HTTP/1.1\r\nHost: h\r\n${last}`;
    const answer = await host.exchange(server, request('HEAD /') + request('GET /304') + request('GET /204') + request('GET /', CLOSE));
    await stop(server);
    return answer;
  },

  'EADDRINUSE is an error of the http server': async (host) => {
    const server = await host.serve(http.createServer(hello));
    const second = http.createServer(hello);
    const failed = once(second, 'error');
    if (host.subject === node) second.listen(host.port(server), '127.0.0.1');
    else listen(second, { port: host.port(server), host: '127.0.0.1' });
    const [error] = (await failed) as [Error];
    const address = (error as Error & { address: string }).address;
    await stop(server);
    return [describe(error), address, second.listening];
  },

  'https': async (host) => {
    const server = await host.serve(https.createServer({ key: KEY, cert: CERTIFICATE }, (request, response) => {
      response.end(`${request.method} ${request.url} ${String((request.socket as { encrypted?: boolean }).encrypted)}`);
    }));
    const secure = tls.connect({ socket: host.connect(server) as unknown as Duplex, ca: CERTIFICATE, servername: 'localhost' });
    secure.write(`GET /secret HTTP/1.1\r\nHost: h\r\n${CLOSE}`);
    const answer = mask(await text(secure));
    await stop(server);
    return answer;
  },

  'https: clients that end their half behind the request get all of a long answer': async (host) => {
    const server = await host.serve(https.createServer({ key: KEY, cert: CERTIFICATE }, (_request, response) => void response.end(Buffer.alloc(200_000, 'x'))));
    const ask = async (): Promise<number> => {
      const secure = tls.connect({ socket: host.connect(server) as unknown as Duplex, ca: CERTIFICATE, servername: 'localhost' });
      secure.end(`GET / HTTP/1.1\r\nHost: h\r\n${CLOSE}`);
      return (await text(secure)).length;
    };
    const lengths = [];
    for (let i = 0; i < 30; i++) lengths.push(await ask());
    await stop(server);
    return lengths;
  },

  'TLS: the peer ends before everything is written': async (host) => {
    const server = await host.serve(tls.createServer({ key: KEY, cert: CERTIFICATE }));
    const secure = tls.connect({ socket: host.connect(server) as unknown as Duplex, ca: CERTIFICATE, servername: 'localhost' });
    secure.end('all of it, please');
    const [accepted] = (await once(server, 'secureConnection')) as [tls.TLSSocket];
    const errors: string[] = [];
    accepted.on('error', (error) => errors.push(describe(error)));
    accepted.write(Buffer.alloc(20_000_000, 'x'));
    await once(accepted.resume(), 'end');
    const { length } = await text(secure);
    await stop(server);
    return [length, errors];
  },

  'an Express app': async (host) => {
    const app = express();
    app.use(express.json());
    app.get('/hello/:name', (request, response) => void response.send(`hello ${request.params.name}`));
    app.post('/sum', (request, response) => void response.json({ sum: (request.body as { numbers: number[] }).numbers.reduce((a, b) => a + b, 0) }));
    app.get('/fails', () => {
      throw new Error('meant to');
    });
    app.set('env', 'test');
    const server = await host.serve(http.createServer(app));
    const json = { 'Content-Type': 'application/json' };
    const answers = [
      await host.request(server, { path: '/hello/you' }),
      await host.request(server, { path: '/sum', method: 'POST', headers: json }, '{"numbers":[1,2,3]}'),
      await host.request(server, { path: '/none' }),
      (await host.request(server, { path: '/fails' }))[0],
    ];
    await stop(server);
    return answers;
  },

  'a Fastify app': async (host) => {
    const app = fastify(host.subject === node ? {} : { serverFactory: (handler) => offload(http.createServer(handler)) });
    app.get('/hello/:name', async (request) => ({ hello: (request.params as { name: string }).name }));
    app.post('/echo', async (request) => request.body);
    const url = await app.listen({ port: 0, host: '127.0.0.1' });
    const { server } = app;
    const answers = [
      /^http:\/\/127\.0\.0\.1:\d+$/.test(url),
      await host.request(server, { path: '/hello/you' }),
      await host.request(server, { path: '/echo', method: 'POST', headers: { 'Content-Type': 'application/json' } }, '{"a":[1,2]}'),
      (await host.request(server, { path: '/none' }))[0],
    ];
    await app.close();
    return answers;
  },

  'many clients at once': async (host) => {
    const server = await host.serve(http.createServer(hello));
    const agent = host.agent({ keepAlive: true, maxSockets: 50 });
    const answers = await Promise.all(Array.from({ length: 500 }, (_, i) => host.request(server, { agent, path: `/${i}` })));
    agent.destroy();
    await stop(server);
    return answers;
  },
};

t.test('a request listener alone will do for listen', async (t) => {
  await memory.open();
  const server = listen(hello, { port: 0 });
  await once(server, 'listening');
  t.match(server.address(), { address: '::', family: 'IPv6' });
  t.equal((await new Host(memory).request(server))[1], 'GET /');
  await stop(server);
  await memory.close();
});

t.test('TLS lets go of the socket below it in the turn in which it ends it: what the peer answers is no longer heard', async (t) => {
  await memory.open();
  const host = new Host(memory);
  const server = await host.serve(tls.createServer({ key: KEY, cert: CERTIFICATE }, (socket) => {
    socket.write('bye');
    socket.destroySoon();
  }));
  const gone = once(server, 'connection').then(([below]: Socket[]) => new Promise((resolve) => {
    const { end } = below!;
    below!.end = function (this: Socket, ...args: Parameters<Socket['end']>) {
      setImmediate(() => resolve(below!.destroyed));
      return end.apply(this, args);
    } as Socket['end'];
  }));
  const secure = tls.connect({ socket: host.connect(server) as unknown as Duplex, ca: CERTIFICATE, servername: 'localhost' });
  t.equal(await text(secure), 'bye');
  t.equal(await gone, true);
  await stop(server);
  await memory.close();
});

t.test('TLS says in one turn of the event loop what it has to say: the peer cannot answer one half before the other is written', async (t) => {
  await memory.open();
  const host = new Host(memory);
  const server = await host.serve(tls.createServer({ key: KEY, cert: CERTIFICATE }, (socket) => void socket.resume()));
  const below = host.connect(server);
  const secure = tls.connect({ socket: below as unknown as Duplex, ca: CERTIFICATE, servername: 'localhost' });
  await once(secure.resume(), 'secureConnect');
  await new Promise((resolve) => setImmediate(resolve));
  const said: string[] = [];
  const write = below._write.bind(below);
  below._write = (...args: Parameters<typeof write>) => {
    said.push('write');
    write(...args);
  };
  below._gather = () => void said.push('gather');
  below.once('prefinish', () => said.push('end'));
  secure.end('all of it');
  setImmediate(() => said.push('next turn'));
  await once(secure, 'close');
  t.same(said, ['gather', 'write', 'gather', 'write', 'end', 'next turn'], 'the text, close_notify and the end');
  await stop(server);
  await memory.close();
});

async function compare(subject: Subject): Promise<void> {
  await t.test(subject.name, async (t) => {
    await subject.open();
    t.teardown(() => subject.close());
    for (const [name, script] of Object.entries(scripts)) {
      await t.test(name, { timeout: 20_000 }, async (t) => {
        const wanted = await script(new Host(node));
        t.same(await script(new Host(subject)), wanted);
      });
    }
  });
}

await compare(memory);
if (process.env['FACE_LOOPBACK'] !== '0') await compare(loopback);

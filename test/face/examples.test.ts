/** The examples that are servers of Node's and of packages, and clients: each is asked, or asks, over the loopback device. */
import { once } from 'node:events';
import * as http from 'node:http';
import type { IncomingMessage } from 'node:http';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import type { AddressInfo, Server } from 'node:net';
import { text } from 'node:stream/consumers';
import * as tls from 'node:tls';
import t from 'tap';
import { WebSocket } from 'ws';
import * as agent from '../../examples/agent.js';
import type { ClientName, ServerName } from '../../examples/support/apps.js';
import { serve as serveExpress } from '../../examples/express.js';
import { serve as serveFastify } from '../../examples/fastify.js';
import { app } from '../../examples/http.js';
import { serve as serveHttp2 } from '../../examples/http2.js';
import { serve as serveClearHttp2 } from '../../examples/http2_clear.js';
import { serve as serveHttps } from '../../examples/https.js';
import { serve as serveKoa } from '../../examples/koa.js';
import * as undici from '../../examples/undici.js';
import { serve as serveWebSocket } from '../../examples/ws.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { CERTIFICATE } from '../../examples/support/certificate.js';

const BODY = 'there and back again, '.repeat(4000);
const identity = { servername: 'localhost', ca: CERTIFICATE };

t.setTimeout(60_000);

function connectTls(port: number, ...ALPNProtocols: string[]): tls.TLSSocket {
  return tls.connect({ socket: net.connect(port) as never, ALPNProtocols, ...identity });
}

async function ask(port: number, secure: boolean, method: string, path: string, body = ''): Promise<string> {
  const options = {
    method, path, port, headers: { 'Content-Type': 'text/plain' }, createConnection: () => (secure ? connectTls(port) : net.connect(port)) as never,
  };
  const request = (secure ? https : http).request(options).end(body);
  // A server that is closed while the two ends take leave of each other resets the connection.
  const over = once(request, 'close');
  const [response] = await once(request, 'response') as [IncomingMessage];
  const answer = `${response.statusCode} ${await text(response)}`;
  await over;
  return answer;
}

async function askHttp2(port: number, secure: boolean): Promise<string[]> {
  const session = http2.connect(`${secure ? 'https' : 'http'}://localhost:${port}`, {
    createConnection: () => (secure ? connectTls(port, 'h2') : net.connect(port)) as never,
  });
  const answers = await Promise.all([text(session.request()), text(session.request({ ':method': 'POST' }).end(BODY))]);
  session.close();
  await once(session, 'close');
  return answers;
}

async function askWebSocket(port: number): Promise<string[]> {
  const socket = new WebSocket(`ws://localhost:${port}`, { createConnection: (() => net.connect(port)) as never });
  const [greeting] = await once(socket, 'message') as [Buffer];
  socket.send(BODY);
  const [answer, binary] = await once(socket, 'message') as [Buffer, boolean];
  socket.close(1000);
  const [code] = await once(socket, 'close') as [number];
  return [String(greeting), String(answer), `${binary} ${code}`];
}

const greets = (name: string): string => `200 hello from ${name}\n`;
/** By the names of `npm start`: what is served, what is asked, and what has to come. */
const servers: Record<ServerName, [serve: (port: number) => Promise<Server>, asks: (port: number) => Promise<string[]>, wanted: string[]]> = {
  express: [serveExpress, (port) => both(port, '/echo'), [greets('Express'), `200 ${BODY}`]],
  fastify: [serveFastify, (port) => both(port, '/echo'), [greets('Fastify'), `200 ${BODY}`]],
  koa: [serveKoa, (port) => both(port, '/echo'), [greets('Koa'), `200 ${BODY}`]],
  https: [serveHttps, async (port) => [await ask(port, true, 'GET', '/nowhere')], ['404 There is nothing at /nowhere\n']],
  http2: [serveHttp2, (port) => askHttp2(port, true), ['hello from HTTP/2\n', BODY]],
  http2_clear: [serveClearHttp2, (port) => askHttp2(port, false), ['hello from HTTP/2\n', BODY]],
  ws: [serveWebSocket, askWebSocket, ['hello from WebSocket', BODY, 'false 1000']],
};

async function both(port: number, path: string): Promise<string[]> {
  return [await ask(port, false, 'GET', '/'), await ask(port, false, 'POST', path, BODY)];
}

t.test('over one TCP server', async (t) => {
  const tcp = await TcpServer.start({ device: 'loopback' });
  t.teardown(() => tcp.close());
  for (const [name, [serve, asks, wanted]] of Object.entries(servers)) {
    await t.test(`${name} is asked`, async (t) => {
      const server = await serve(0);
      t.strictSame(await asks((server.address() as AddressInfo).port), wanted);
      server.close();
      await once(server, 'close');
    });
  }
  await t.test('undici asks over TLS', async (t) => {
    const server = await serveHttps(0);
    const { port } = server.address() as AddressInfo;
    await t.rejects(undici.ask(`https://localhost:${port}/`), { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' });
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0';
    t.match(await undici.ask(`https://localhost:${port}/`), 'It works');
    delete process.env['NODE_TLS_REJECT_UNAUTHORIZED'];
    server.closeAllConnections();
    server.close();
    await once(server, 'close');
  });
  const clients = { agent, undici } satisfies Record<ClientName, object>;
  for (const [name, client] of Object.entries(clients)) {
    await t.test(`${name} asks`, async (t) => {
      const open = listen(app, { port: 0, host: '127.0.0.1' });
      await once(open, 'listening');
      const { port } = open.address() as AddressInfo;
      let connections = 0;
      open.on('connection', () => connections++);
      const answers = await Promise.all(Array.from({ length: 32 }, () => client.ask(`http://127.0.0.1:${port}/`)));
      t.ok(answers.every((answer) => answer.includes('It works')));
      t.ok(connections <= 8, `${connections} connections for 32 requests`);
      await t.rejects(client.ask('http://127.0.0.1:1/'), { code: 'ECONNREFUSED' });
      await client.close();
      open.close();
      await once(open, 'close');
    });
  }
});

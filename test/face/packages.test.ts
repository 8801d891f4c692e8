/** Packages that many servers are built of, in a program that is started with `--import tcp-offload/register`; bytes are counted and hashed. */
import { createRequire } from 'node:module';
import t from 'tap';
import { CERTIFICATE, KEY } from '../../examples/support/certificate.js';
import { runNode } from './program.js';

const REGISTER = new URL('../../lib/register.js', import.meta.url).href;
const { resolve } = createRequire(import.meta.url);
const PATIENCE_MS = 60_000;

const HEAD = `
  const { createHash } = require('node:crypto'); const { once } = require('node:events'); const { Readable, pipeline } = require('node:stream');
  const http = require('node:http'); const http2 = require('node:http2'); const net = require('node:net'); const tls = require('node:tls');
  const [KEY, CERTIFICATE] = ${JSON.stringify([KEY, CERTIFICATE])};
  const listening = async (server) => { server.listen(0); await once(server, 'listening'); return server.address().port; };
  const text = async (stream) => { let all = ''; for await (const chunk of stream) all += chunk; return all; };
  const bytes = Buffer.from(Array.from({ length: 1 << 20 }, (_, i) => i * i >> 3));
  const hash = (data) => createHash('sha1').update(data).digest('hex');
`;

/** Runs a program with some packages, which has its servers on the TCP server only; gives what it wrote, once it has ended by itself. */
async function run(packages: Record<string, string>, program: string): Promise<string> {
  const loads = Object.entries(packages).map(([names, name]) => `const ${names} = require(${JSON.stringify(resolve(name))});`).join(' ');
  return runNode(['--import', REGISTER, '-e', `${HEAD} ${loads} (async () => { ${program} })();`]);
}

t.test('ws: messages both ways, clear and over TLS', { timeout: PATIENCE_MS }, async (t) => {
  t.equal(await run({ '{ WebSocket, WebSocketServer }': 'ws' }, `
    for (const [scheme, server] of [['ws', http.createServer()], ['wss', require('node:https').createServer({ key: KEY, cert: CERTIFICATE })]]) {
      new WebSocketServer({ server }).on('connection', (socket) => socket.on('message', (data, isBinary) => socket.send(data, { binary: isBinary })));
      const client = new WebSocket(scheme + '://localhost:' + await listening(server), { ca: CERTIFICATE });
      await once(client, 'open');
      client.send(bytes);
      const [echo] = await once(client, 'message');
      console.log(scheme, echo.length, hash(echo) === hash(bytes), client._socket instanceof net.Socket);
      client.close();
      await once(client, 'close');
      server.close();
    }
  `), 'ws 1048576 true true\nwss 1048576 true true\n');
});

t.test('koa and undici: requests, a pool of connections', { timeout: PATIENCE_MS }, async (t) => {
  t.equal(await run({ Koa: 'koa', '{ Pool, request }': 'undici' }, `
    const app = new Koa();
    app.use(async (context) => { context.body = context.method === 'POST' ? { hash: hash(Buffer.concat(await context.req.toArray())), ip: context.ip } : 'hello'; });
    const server = http.createServer(app.callback());
    const origin = 'http://127.0.0.1:' + await listening(server);
    const { statusCode, body } = await request(origin);
    console.log(statusCode, await body.text());
    const pool = new Pool(origin, { connections: 4 });
    const answers = await Promise.all(Array.from({ length: 16 }, async () => (await pool.request({ path: '/', method: 'POST', body: bytes })).body.json()));
    console.log(answers.length, answers.every((answer) => answer.hash === hash(bytes)), answers[0].ip);
    await pool.close();
    server.close();
    server.closeAllConnections();
  `), '200 hello\n16 true ::ffff:127.0.0.1\n');
});

t.test('http2: streams both ways, clear and over TLS', { timeout: PATIENCE_MS }, async (t) => {
  t.equal(await run({}, `
    const echo = (stream) => { stream.respond({ ':status': 200 }); stream.pipe(stream); };
    for (const [scheme, server] of [['http', http2.createServer()], ['https', http2.createSecureServer({ key: KEY, cert: CERTIFICATE })]]) {
      server.on('stream', echo);
      const session = http2.connect(scheme + '://localhost:' + await listening(server), { ca: CERTIFICATE });
      const sent = await Promise.all([1, 2, 3].map(async () => {
        const stream = session.request({ ':method': 'POST', ':path': '/' });
        stream.end(bytes);
        return hash(Buffer.concat(await stream.toArray())) === hash(bytes);
      }));
      console.log(scheme, sent.join(), session.socket.remoteAddress);
      session.close();
      server.close();
    }
  `), 'http true,true,true 127.0.0.1\nhttps true,true,true 127.0.0.1\n');
});

t.test('TLS and HTTP/2: what is written behind the end is refused, as by the handles of the kernel', { timeout: PATIENCE_MS }, async (t) => {
  t.equal(await run({}, `
    const server = tls.createServer({ key: KEY, cert: CERTIFICATE }, (socket) => socket.on('error', () => {}).resume());
    const client = tls.connect(await listening(server), { ca: CERTIFICATE });
    await once(client, 'secureConnect');
    const { _parentWrap: wrap } = client._handle;
    client.end('the last');
    await once(client, 'finish');
    console.log(wrap.doWrite({}, [Buffer.from('late')]));
    client.destroy();
    await once(client, 'close');
    server.close();

    const clear = http2.createServer((request, response) => response.end());
    const session = http2.connect('http://localhost:' + await listening(clear));
    await once(session, 'connect');
    const socket = session[Object.getOwnPropertySymbols(session).find(({ description }) => description === 'socket')];
    console.log(socket.constructor === wrap.constructor);
    session.close();
    await once(session, 'close');
    console.log(socket.doWrite({}, [Buffer.from('late')]));
    clear.close();
  `), '-32\ntrue\n-32\n');
});

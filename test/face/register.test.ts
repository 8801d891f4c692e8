/** A program that knows nothing of the package, started with `--import tcp-offload/register`. */
import t from 'tap';
import { CERTIFICATE, KEY } from '../../examples/support/certificate.js';
import { runNode } from './program.js';

const REGISTER = new URL('../../lib/register.js', import.meta.url).href;
const folder = t.testdir({ 'key.pem': KEY, 'certificate.pem': CERTIFICATE });

const HEAD = `
  import { createServer } from 'node:net';
  import { createRequire } from 'node:module';
  import { once } from 'node:events';
  import { readFileSync } from 'node:fs';
  import http from 'node:http'; import http2 from 'node:http2'; import https from 'node:https'; import net from 'node:net'; import tls from 'node:tls';
  const require = createRequire(import.meta.url);
  const folder = ${JSON.stringify(folder)};
  const [key, cert] = ['key', 'certificate'].map((name) => readFileSync(folder + '/' + name + '.pem'));
  const listening = async (server, ...place) => { server.listen(...place); await once(server, 'listening'); return server.address().port; };
  const text = async (stream) => { let all = ''; for await (const chunk of stream) all += chunk; return all; };
  const got = async (request) => { const [response] = await once(request, 'response'); return text(response); };
`;

/** Gives what a program wrote, once it has ended by itself. */
function run(program: string, env: Record<string, string> = {}): Promise<string> {
  return runNode(['--import', REGISTER, '--input-type=module', '-e', HEAD + program], env);
}

t.test('what stands on node:net stands on the TCP server', { timeout: 60_000 }, async (t) => {
  const said = await run(`
    console.log(require('net').Socket === net.Socket, require('node:net').createServer === createServer);
    const handles = [];
    const web = http.createServer((request, response) => { handles.push(request.socket._handle); response.end('http from ' + request.socket.remoteAddress); });
    const port = await listening(web, 0);
    console.log(await got(http.get({ port })), typeof web._handle.listener, handles[0] == null);
    console.log(await got(http.get({ port, agent: false })), await got(http.get({ port, agent: new http.Agent({ keepAlive: false }) })));
    console.log(await (await fetch('http://127.0.0.1:' + port)).text());
    web.close();
    web.closeIdleConnections();

    const secure = https.createServer({ key, cert }, (request, response) => response.end('https from ' + request.socket.remoteAddress));
    const securePort = await listening(secure, 0);
    const request = https.get({ port: securePort, ca: cert });
    const events = [];
    request.on('socket', (socket) => { for (const name of ['lookup', 'connect', 'secureConnect']) socket.once(name, () => events.push(name)); });
    console.log(await got(request), events.join(), request.socket instanceof net.Socket, request.socket.remotePort === securePort);
    const refused = tls.connect(1, '127.0.0.1');
    console.log((await once(refused, 'error'))[0].message);
    secure.close();

    const h2 = http2.createServer((request, response) => response.end('http2'));
    const session = http2.connect('http://localhost:' + await listening(h2, 0));
    console.log(await text(session.request({ ':path': '/' })));
    session.close();
    h2.close();

    const path = createServer((socket) => socket.end('a path'));
    path.listen(folder + '/socket');
    await once(path, 'listening');
    console.log(await text(net.connect(folder + '/socket')));
    path.close();
  `);
  t.equal(said, [
    'true true',
    'http from ::ffff:127.0.0.1 object true',
    'http from ::ffff:127.0.0.1 http from ::ffff:127.0.0.1',
    'http from ::ffff:127.0.0.1',
    'https from ::ffff:127.0.0.1 lookup,connect,secureConnect true true',
    'connect ECONNREFUSED 127.0.0.1:1',
    'http2',
    'a path',
    '',
  ].join('\n'));
});

t.test('the rules leave the rest to the kernel', { timeout: 60_000 }, async (t) => {
  const TALK = `
    const kinds = [];
    const server = createServer((socket) => { kinds.push(socket._handle ? 'kernel' : 'TCP server'); socket.end('hello'); });
    const port = await listening(server, 0, '127.0.0.1');
    for (const host of ['127.0.0.1', 'localhost']) {
      const socket = new net.Socket();
      const looked = [];
      socket.on('lookup', (error, address) => looked.push(address));
      socket.setTimeout(9000).setNoDelay().connect(port, host).on('error', (error) => console.log(error.code));
      socket.write('before');
      console.log(await text(socket), kinds.pop(), looked.length);
    }
    server.close();
  `;
  t.equal(await run(TALK, { TCP_OFFLOAD_LISTEN: 'none', TCP_OFFLOAD_CONNECT: '192.0.2.0/24' }), 'hello kernel 0\nhello kernel 1\n');
  t.equal(await run(TALK, { TCP_OFFLOAD_LISTEN: '127.0.0.0/8', TCP_OFFLOAD_CONNECT: '!:5432' }), 'hello TCP server 0\nhello TCP server 1\n');
  t.match(await run('', { TCP_OFFLOAD_LISTEN: 'http' }), /TCP_OFFLOAD_LISTEN.*has an address that there is not/);
});

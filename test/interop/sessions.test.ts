/** A hundred megabytes each way through TLS, HTTP/2 and WebSocket, the TCP server at one end and the kernel's TCP at the other. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import * as tls from 'node:tls';
import t from 'tap';
import { net, offload } from '../../lib/index.js';
import { CERTIFICATE } from '../../examples/support/certificate.js';
import { HTTP2, HTTP2_TLS, HTTPS, askHttp2, askHttps, askWebSocket, serve } from './sessions.js';
import type { Connect } from './sessions.js';
import { missing, noise, shell, withServer } from './support.js';

const COUNT = 100_000_000;
const PATIENCE = { timeout: 120_000 };
const PEER = fileURLToPath(new URL('./session_peer.js', import.meta.url));

const folder = t.testdir();
const file = join(folder, 'noise');
const authority = join(folder, 'localhost.pem');
const sha256 = noise(file, COUNT);
writeFileSync(authority, CERTIFICATE);

t.test('kernel clients and our servers', { skip: missing('ip', 'curl', 'h2load'), ...PATIENCE }, (t) => withServer({}, async ({ serverAddress: host }) => {
  const end = await serve((server, port) => offload(server).listen(port));
  const curl = (args: string, port: number): Promise<string> => (
    shell(`curl -sS -m 100 --cacert ${authority} --connect-to localhost:${port}:${host}:${port} ${args}`)
  );
  const ways: [name: string, args: string, url: string, port: number][] = [
    ['TLS', '--http1.1', 'https', HTTPS], ['HTTP/2', '--http2-prior-knowledge', 'http', HTTP2], ['HTTP/2 over TLS', '--http2', 'https', HTTP2_TLS],
  ];
  for (const [name, args, scheme, port] of ways) {
    await t.test(`${name}: curl downloads and uploads 100 MB intact`, async (t) => {
      const url = `${scheme}://localhost:${port}`;
      t.equal(await curl(`${args} '${url}/bytes?n=${COUNT}' | sha256sum | cut -d ' ' -f 1`, port), sha256);
      const said = await curl(`${args} -w '%{http_version}' -X POST -T ${file} ${url}/upload`, port);
      t.equal(said, `${sha256}\n${name === 'TLS' ? '1.1' : '2'}`);
    });
  }
  for (const [scheme, port] of [['http', HTTP2], ['https', HTTP2_TLS]] as const) {
    await t.test(`h2load: 1600 streams in 4 sessions, ${scheme}`, async (t) => {
      const said = await shell(`h2load -n 1600 -c 4 -m 32 '${scheme}://${host}:${port}/bytes?n=65536'`);
      t.match(said, /1600 succeeded, 0 failed, 0 errored, 0 timeout/);
      t.match(said, /1600 2xx/);
      t.match(said, /\(104857600\) data/);
    });
  }
  await t.test('WebSocket over TLS: ws sends 100 MB in messages, and has them back', async (t) => {
    t.equal(await shell(`${process.execPath} ${PEER} ask ${host} ${COUNT}`), sha256);
  });
  end();
}));

t.test('our clients and kernel servers', { skip: missing('ip'), ...PATIENCE }, (t) => withServer({}, async ({ hostAddress: host }) => {
  const peer = spawn(process.execPath, [PEER, 'serve', host], { stdio: ['pipe', 'pipe', 'inherit'] });
  await once(peer.stdout, 'data');
  const connect: Connect = (port, ALPNProtocols) => {
    const socket = net.connect({ host, port });
    return ALPNProtocols === undefined ? socket : tls.connect({ socket: socket as never, servername: 'localhost', ca: CERTIFICATE, ALPNProtocols });
  };
  const both = { down: sha256, up: sha256 };
  await t.test('https: 100 MB down and up', async (t) => t.strictSame(await askHttps(connect, COUNT), both));
  await t.test('http2: 100 MB down and up in one session', async (t) => t.strictSame(await askHttp2(connect, false, COUNT), both));
  await t.test('http2 over TLS: 100 MB down and up in one session', async (t) => t.strictSame(await askHttp2(connect, true, COUNT), both));
  await t.test('ws over TLS: 100 MB of messages there and back', async (t) => t.equal(await askWebSocket(connect, COUNT), sha256));
  peer.stdin.end();
  await once(peer, 'exit');
}));

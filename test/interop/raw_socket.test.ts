/** The TCP server by raw IP sockets, on an address of the kernel's, where the package raw-socket is; and what is said where it is not. */
import { execFile, spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { createServer as createHttpServer } from 'node:http';
import { createRequire } from 'node:module';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { app } from '../../examples/http.js';
import { TcpServer, listen, net } from '../../lib/index.js';
import { ask, serve, sumOf } from './exchange.js';
import type { Net } from './exchange.js';
import { Link } from './peers.js';
import { BULK, missing, rawSocketMissing } from './support.js';

const MB = 1_000_000;
const START = fileURLToPath(new URL('../../examples/start.js', import.meta.url));
const ours = net as unknown as Net;

function isInstalled(): boolean {
  try {
    createRequire(import.meta.url).resolve('raw-socket');
    return true;
  } catch {
    return false;
  }
}

const lacking = missing('ip', 'curl', 'wrk') || rawSocketMissing();

t.setTimeout(100_000);

/** A link on whose near end the kernel has the TCP server's address. */
async function openLink(t: Teardown): Promise<Link> {
  const link = await Link.open();
  t.teardown(() => link.close());
  await link.inServer('ip', 'address', 'add', `${link.serverAddress}/24`, 'dev', 's0');
  return link;
}

interface Teardown {
  teardown(task: () => unknown): unknown;
}

/** Connections that were reset from outside, as the kernel at the peer's end counts them. */
async function resetsAtPeer(link: Link): Promise<number> {
  const [names = '', values = ''] = (await link.inPeer('grep', '^Tcp:', '/proc/net/snmp')).split('\n');
  return Number(values.split(' ')[names.split(' ').indexOf('EstabResets')]);
}

for (const thread of ['own', 'app'] as const) {
  t.test(`beside the kernel on its address, thread '${thread}': the HTTP example, transfers each way, and a service of the kernel`, { skip: lacking }, async (t) => {
    const link = await openLink(t);
    const kernel = await kernelService(link, 8080);
    t.teardown(() => kernel.kill());
    await link.withServer(t, { device: 'raw:s0', thread, gateway: null, pcap: null }, async () => {
      const http = listen(createHttpServer(app), { port: 80 });
      await once(http, 'listening');
      const served = await serve(ours);
      const curl = (port: number): Promise<string> => link.inPeer('curl', '-sS', '-m', '60', `http://${link.serverAddress}:${port}/`);
      t.match(await curl(80), 'It works');
      t.equal(await curl(8080), 'the kernel');
      await t.rejects(curl(81), { code: 7 }, 'the kernel refuses where nobody listens');
      t.equal(await link.order('upload', BULK), sumOf(BULK), 'the kernel connects and sends');
      t.equal(await link.order('download', BULK), sumOf(BULK), 'the kernel connects and receives');
      t.equal(await ask(ours, 'upload', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and send');
      t.equal(await ask(ours, 'download', link.peerAddress, 5 * MB), sumOf(5 * MB), 'we connect and receive');

      t.equal(await resetsAtPeer(link), 0, 'not one reset of an open connection');

      const wrk = (port: number): Promise<string> => link.inPeer('wrk', '-t1', '-c16', '-d1s', `http://${link.serverAddress}:${port}/`);
      const both = await Promise.all([wrk(80), wrk(8080)]);
      for (const said of both) t.notMatch(said, /Socket errors|Non-2xx/);
      await t.rejects(once(listen(createHttpServer(), { port: 8080 }), 'listening'), { code: 'EADDRINUSE' }, "the kernel's port is the kernel's");
      await t.rejects(kernelService(link, 80), /EADDRINUSE/, 'ours is ours');
      served.close();
      http.close();
      http.closeAllConnections();
    });
    t.equal(await link.inPeer('curl', '-sS', '-m', '60', `http://${link.serverAddress}:8080/`), 'the kernel');
  });
}

t.test('a process that is killed leaves no rule behind, and the kernel serves on', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const kernel = await kernelService(link, 8080);
  t.teardown(() => kernel.kill());
  const { NODE_OPTIONS: _, ...env } = process.env; // tap's own hooks are not for this one
  const program = [START, '--device', 'raw:s0', '--address', `${link.serverAddress}/24`, '--port', '80'];
  const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, ...program], { stdio: ['ignore', 'pipe', 'inherit'], env });
  t.teardown(() => child.kill('SIGKILL'));
  await once(child.stdout, 'data');
  const curl = (port: number): Promise<string> => link.inPeer('curl', '-sS', '-m', '20', `http://${link.serverAddress}:${port}/`);
  t.match(await curl(80), 'It works');
  child.kill('SIGKILL');
  await once(child, 'exit');
  await t.rejects(curl(80), { code: 7 }, 'the kernel answers with a reset, at once');
  t.equal(await curl(8080), 'the kernel');
});

t.test('without a capability the error names those that it takes', { skip: lacking }, async (t) => {
  const link = await openLink(t);
  const { NODE_OPTIONS: _, ...env } = process.env;
  const program = [process.execPath, START, '--device', 'raw:s0', '--address', `${link.serverAddress}/24`];
  for (const capability of ['net_raw', 'net_admin']) {
    const args = ['netns', 'exec', link.serverNamespace, 'setpriv', `--bounding-set=-${capability}`, ...program];
    const { stderr } = await promisify(execFile)('ip', args, { env }).catch((error: { stderr: string }) => error);
    t.match(stderr, /EPERM: .*'raw:s0' needs CAP_NET_RAW and CAP_NET_ADMIN; run as root, or grant them: setcap/);
  }
});

/** A plain `http` server of Node's over the kernel's TCP, in the namespace of the TCP server. */
async function kernelService(link: Link, port: number): Promise<ChildProcess> {
  const program = `
    require('node:http').createServer((request, response) => response.end('the kernel'))
      .listen(${port}, '${link.serverAddress}', () => console.log('listening')).on('error', (error) => { console.log(error.code); process.exit(1); });`;
  const child = spawn('ip', ['netns', 'exec', link.serverNamespace, process.execPath, '-e', program], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [said] = await once(child.stdout, 'data') as [Buffer];
  if (!String(said).includes('listening')) throw new Error(String(said));
  return child;
}

t.test('without the package, and in a worker, the error says what to do', { skip: isInstalled() && 'the package is there' }, async (t) => {
  const options = { device: 'raw:lo', address: '192.0.2.1/24' };
  await t.rejects(TcpServer.start(options), { code: 'MODULE_NOT_FOUND', message: /'raw:lo' needs the package raw-socket.*npm install raw-socket; building it takes python3, make and g\+\+/ });
  const program = `
    import(${JSON.stringify(new URL('../../lib/index.js', import.meta.url).href)})
      .then(({ TcpServer }) => TcpServer.start(${JSON.stringify(options)}))
      .catch((error) => require('node:worker_threads').parentPort.postMessage(error.message));`;
  const [message] = await once(new Worker(program, { eval: true }), 'message') as [string];
  t.match(message, /'raw:lo' works in the main thread alone/);
});

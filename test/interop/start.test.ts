/** `npm start` as a person runs it: both kinds of TCP, a pool, without root, and what is left when it has ended. */
import { spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import { WebSocket } from 'ws';
import { CLIENTS } from '../../examples/support/apps.js';
import type { ServerName } from '../../examples/support/apps.js';
import { missing, shell } from './support.js';

const PROGRAM = fileURLToPath(new URL('../../examples/start.js', import.meta.url));

interface Started {
  readonly child: ChildProcess;
  readonly url: string;
  /** What it has printed until now. */
  readonly said: () => string;
}

async function start(command: string, ...args: string[]): Promise<Started> {
  // tap's own hooks would want to write where another user may not.
  const { NODE_OPTIONS: _, ...env } = process.env;
  const child = spawn(command, args, { stdio: ['ignore', 'pipe', 'pipe'], env });
  let said = '';
  const listening = new Promise<void>((resolve, reject) => {
    for (const stream of [child.stdout, child.stderr]) {
      stream.setEncoding('utf8').on('data', (text: string) => {
        said += text;
        if (/Ctrl-C ends it/.test(said)) resolve();
      });
    }
    child.once('exit', (code) => reject(new Error(`ended with ${code}: ${said}`)));
  });
  await listening;
  return { child, url: /(https?|ws):\/\/\S+/.exec(said)?.[0] ?? '', said: () => said };
}

async function stop({ child }: Started): Promise<number | null> {
  if (child.exitCode !== null) return child.exitCode;
  child.kill('SIGTERM');
  const [code] = await once(child, 'exit') as [number | null];
  return code;
}

/** Namespaces and interfaces that a process has made. */
async function networksOf(pid: number): Promise<string[]> {
  const said = `${await shell('ip netns')}\n${await shell('ip -o link')}`;
  return said.match(new RegExp(`tcpo-${pid}-\\d+|\\bto${pid}x\\d+`, 'g')) ?? [];
}

const THREADS = { 'own': ['app', 'TCP server'], 'app': ['app, TCP server'], 'kernel': ['app'] };

for (const [thread, names] of Object.entries(THREADS)) {
  const args = thread === 'kernel' ? ['--net', 'kernel'] : ['--thread', thread];
  t.test(`${args.join(' ')} serves, and leaves nothing behind`, { skip: missing('ip', 'curl', 'wrk') }, async (t) => {
    const started = await start(process.execPath, PROGRAM, ...args);
    const { url, said, child } = started;
    t.teardown(() => stop(started));
    t.match(await shell(`curl -sS -m 20 ${url}`), 'It works');
    t.notMatch(await shell(`wrk -t1 -c64 -d2s ${url}`), 'Socket errors');
    for (const name of names) {
      t.match(said(), new RegExp(`${name} +thread \\d+, CPU [\\d,-]+`));
      t.match(said(), new RegExp(`\\d+ requests/s  .*${name} \\d+ %`));
    }
    t.equal(await stop(started), 0);
    t.strictSame(await networksOf(child.pid ?? 0), []);
  });
}

for (const net of ['offload', 'kernel']) {

  t.test(`--net ${net} --workers 2: both serve, and one that throws is replaced`, { skip: missing('ip', 'curl', 'wrk') }, async (t) => {
    const started = await start(process.execPath, PROGRAM, '--net', net, '--workers', '2');
    const { url, said } = started;
    t.teardown(() => stop(started));
    t.match(said(), /app 0 +thread[^]*app 1 +thread/);
    t.notMatch(await shell(`wrk -t1 -c64 -d2s ${url}`), 'Socket errors');
    if (net === 'offload') {
      await t.rejects(shell(`curl -sS -m 20 ${url}throw`), /ended with (52|56)/, 'the connection of the dead worker is reset');
      for (let request = 0; request < 20; request++) t.match(await shell(`curl -sS -m 20 --retry 5 --retry-all-errors --retry-delay 0 ${url}`), 'It works');
      t.match(said(), /app \d died and is replaced: thrown by GET \/throw/);
    }
    t.equal(await stop(started), 0);
  });
}

t.test('--app files serves a folder, and nothing above it', { skip: missing('ip', 'curl') }, async (t) => {
  const content = Buffer.from(Uint8Array.from({ length: 3_000_000 }, (_, place) => (place * 31) ^ (place >>> 8)));
  const root = t.testdir({ 'index.html': '<h1>of the folder</h1>', empty: '', folder: {} });
  writeFileSync(join(root, 'large'), content);
  const started = await start(process.execPath, PROGRAM, '--app', 'files', '--root', root);
  t.teardown(() => stop(started));
  const { url } = started;
  const urls = ['', 'large', 'empty', 'index.html', 'large'].map((name) => `${url}${name}`).join(' ');
  // One connection for all of them; and each file is as it is on disk.
  const wanted = await shell(`cd ${root} && cat index.html large empty index.html large | sha256sum`);
  t.equal(await shell(`curl -sS -m 20 ${urls} | sha256sum`), wanted);
  t.match(await shell(`curl -sS -m 20 -I ${url}large`), /200 OK[^]*Content-Length: 3000000/);
  const status = (args: string): Promise<string> => shell(`curl -sS -m 20 -o /dev/null -w '%{http_code}' --path-as-is ${args}`);
  t.equal(await status(`${url}../../../../../../etc/passwd`), '404');
  t.equal(await status(`${url}%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd`), '404');
  t.equal(await status(`${url}folder`), '404');
  t.equal(await status(`-d x ${url}index.html`), '405');
  t.equal(await status(`-H 'x: ${'y'.repeat(17_000)}' ${url}index.html`), '431');
  t.equal(await shell(`curl -sS -m 20 --http1.0 ${url}index.html`), '<h1>of the folder</h1>');
  t.equal(await stop(started), 0);
});

for (const app of ['echo', 'sync_echo']) {
  t.test(`--app ${app} sends back what comes`, { skip: missing('ip', 'nc') }, async (t) => {
    const started = await start(process.execPath, PROGRAM, '--app', app);
    t.teardown(() => stop(started));
    const { hostname, port } = new URL(/tcp:\S+/.exec(started.said())?.[0] ?? '');
    t.equal(await shell(`seq 300000 | nc -N -w 20 ${hostname} ${port} | sha256sum`), await shell('seq 300000 | sha256sum'));
    t.equal(await stop(started), 0);
  });
}

/** By the names of `npm start`: how curl asks, and what has to come. */
const ANSWERS: Record<Exclude<ServerName, 'ws'>, [options: string, answer: string]> = {
  https: ['-k', 'It works'], http2: ['-k --http2', 'hello from HTTP/2'], http2_clear: ['--http2-prior-knowledge', 'hello from HTTP/2'],
  express: ['', 'hello from Express'], fastify: ['', 'hello from Fastify'], koa: ['', 'hello from Koa'],
};

for (const [app, [options, answer]] of Object.entries(ANSWERS)) {
  t.test(`--app ${app} serves`, { skip: missing('ip', 'curl') }, async (t) => {
    const started = await start(process.execPath, PROGRAM, '--app', app);
    t.teardown(() => stop(started));
    t.match(await shell(`curl -sS -m 20 ${options} ${started.url}`), answer);
    t.equal(await stop(started), 0);
  });
}

t.test('--app ws serves', { skip: missing('ip') }, async (t) => {
  const started = await start(process.execPath, PROGRAM, '--app', 'ws');
  t.teardown(() => stop(started));
  const socket = new WebSocket(started.url);
  const [greeting] = await once(socket, 'message') as [Buffer];
  t.equal(String(greeting), 'hello from WebSocket');
  socket.close();
  await once(socket, 'close');
  t.equal(await stop(started), 0);
});

for (const app of CLIENTS) {
  t.test(`--app ${app} asks a server of the kernel's`, { skip: missing('ip') }, async (t) => {
    const started = await start(process.execPath, PROGRAM, '--app', app);
    t.teardown(() => stop(started));
    while (!/[1-9]\d* requests\/s/.test(started.said())) await once(started.child.stdout!, 'data');
    t.notMatch(started.said(), /: .*(refused|reset|error)/i);
    t.equal(await stop(started), 0);
  });
}

t.test('what a killed one left is removed at the next start', { skip: missing('ip', 'curl') }, async (t) => {
  const killed = await start(process.execPath, PROGRAM);
  killed.child.kill('SIGKILL');
  await once(killed.child, 'exit');
  t.not((await networksOf(killed.child.pid ?? 0)).length, 0);
  const next = await start(process.execPath, PROGRAM);
  t.strictSame(await networksOf(killed.child.pid ?? 0), []);
  t.match(await shell(`curl -sS -m 20 ${next.url}`), 'It works');
  t.equal(await stop(next), 0);
});

t.test('a capture and losses', { skip: missing('ip', 'curl', 'tcpdump') }, async (t) => {
  const pcap = join(t.testdir(), 'a.pcap');
  const started = await start(process.execPath, PROGRAM, '--pcap', pcap, '--loss', '0.02');
  t.teardown(() => stop(started));
  const there = await shell(`curl -sS -m 60 '${started.url}bytes?n=5000000' | sha256sum | cut -d ' ' -f 1`);
  t.equal(there, await shell(`curl -sS -m 60 '${started.url}sha256?n=5000000'`));
  t.equal(await stop(started), 0);
  t.match(await shell(`tcpdump -nr ${pcap} -c 20 2>/dev/null`), /Flags \[S\]/);
});

t.test('without root, in a user namespace', { skip: missing('ip') || mayNotIsolate() }, async (t) => {
  const started = await start('setpriv', '--reuid', '65534', '--regid', '65534', '--clear-groups', process.execPath, PROGRAM);
  t.teardown(() => stop(started));
  t.match(started.said(), /Without root/);
  while (!/[1-9]\d* requests\/s/.test(started.said())) await once(started.child.stdout!, 'data');
  t.notMatch(started.said(), /client:/);
  t.equal(await stop(started), 0);
});

t.test('refusals name the option and the mend', (t) => {
  const cases: [args: string[], says: RegExp][] = [
    [['--net', 'smoke'], /--net wants offload or kernel/],
    [['--workers', 'many'], /--workers wants a whole number/],
    [['--port', '0'], /--port wants a whole number from 1/],
    [['--thread', 'mine'], /--thread wants own, app or auto/],
    [['--loss', '2'], /--loss wants a share/],
    [['--app', 'chess'], /--app wants one of http, files, echo, sync_echo, https.*, undici, not 'chess'/],
    [['--app', 'files', '--net', 'kernel'], /--app files runs over the TCP server/],
    [['--url', 'http://198.18.0.1/'], /--url goes with a client: --app agent or undici/],
    [['--app', 'agent', '--device', 'eth0', '--address', '198.18.0.2/24'], /--app agent with --device wants a --url/],
    [['--root', '/'], /--root goes with --app files/],
    [['--device', 'eth0'], /--device wants an --address/],
    [['--net', 'kernel', '--pcap', 'x'], /--pcap concerns the TCP server/],
    [['--nonsense'], /nonsense/],
  ];
  for (const [args, says] of cases) {
    const { status, stderr } = spawnSync(process.execPath, [PROGRAM, ...args], { encoding: 'utf8' });
    t.equal(status, 1);
    t.match(stderr, says);
    t.notMatch(stderr, /\n +at /, 'no stack trace');
  }
  t.match(spawnSync(process.execPath, [PROGRAM, '--help'], { encoding: 'utf8' }).stdout, /--workers N/);
  t.end();
});

t.test('an interface that is not there', { skip: missing('ip') }, (t) => {
  const { status, stderr } = spawnSync(process.execPath, [PROGRAM, '--device', 'nowhere0', '--address', '198.18.0.2/24'], { encoding: 'utf8' });
  t.equal(status, 1);
  t.match(stderr, /nowhere0/);
  t.end();
});

t.test('a tap that was made for this user, without any capability', { skip: missing('ip', 'curl') }, async (t) => {
  const space = `tcpo-${process.pid}-2000`;
  await shell(`ip netns add ${space} && ip -n ${space} tuntap add dev tcp0 mode tap user 0 && ip -n ${space} address add 198.18.0.1/24 dev tcp0 && ip -n ${space} link set tcp0 up`);
  t.teardown(() => shell(`ip netns del ${space}`));
  const started = await start('ip', 'netns', 'exec', space, 'setpriv', '--bounding-set=-all', process.execPath, PROGRAM, '--device', 'tap:tcp0', '--address', '198.18.0.2/24');
  t.teardown(() => stop(started));
  t.match(await shell(`ip netns exec ${space} curl -sS -m 20 ${started.url}`), 'It works');
  t.equal(await stop(started), 0);
});

/** Some systems and containers forbid user namespaces, or another user cannot read the repository. */
function mayNotIsolate(): string | false {
  const user = ['--reuid', '65534', '--regid', '65534', '--clear-groups'];
  if (spawnSync('setpriv', [...user, 'unshare', '-Urn', 'true']).status !== 0) return 'needs user namespaces';
  if (spawnSync('setpriv', [...user, 'unshare', '-Urn', process.execPath, PROGRAM, '--help']).status !== 0) return 'another user cannot read this folder';
  return false;
}

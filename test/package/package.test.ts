/** The package as its users get it: packed, installed, loaded both ways, and compiled against both ways. */
import { execFile } from 'node:child_process';
import { readFileSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import { join, resolve } from 'node:path';
import { promisify } from 'node:util';
import t from 'tap';

const run = promisify(execFile);
const root = resolve('.');
const folder = t.testdir({ 'package.json': '{ "private": true }' });

t.before(async () => {
  // The scripts would build again, below the feet of the tests that run beside this one.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: root });
  const { version } = JSON.parse(readFileSync('package.json', 'utf8')) as { version: string };
  await run('npm', ['install', '--prefer-offline', '--no-audit', '--no-fund', `./tcp-offload-${version}.tgz`], { cwd: folder });
});

/** Runs a program in the folder. */
async function program(name: string, source: string): Promise<{ stdout: string; stderr: string }> {
  writeFileSync(join(folder, name), source);
  return run(process.execPath, [name], { cwd: folder });
}

t.test('require and import load one package, without a warning', async (t) => {
  const { stdout, stderr } = await program('both.cjs', `
    const required = require('tcp-offload');
    import('tcp-offload').then((imported) => {
      const same = Object.keys(imported).filter((name) => name !== 'default' && required[name] !== imported[name]);
      console.log(JSON.stringify({ different: same, names: Object.keys(imported).sort() }));
    });
  `);
  t.equal(stderr, '');
  const { different, names } = JSON.parse(stdout) as { different: string[]; names: string[] };
  t.strictSame(different, []);
  for (const name of ['TcpServer', 'attach', 'listen', 'net']) t.ok(names.includes(name), name);
});

t.test('so do those of MemNet, and it finds the TCP server that the rest of the package has started', async (t) => {
  const { stdout, stderr } = await program('memnet.cjs', `
    const { MemNet } = require('tcp-offload/memnet');
    const { TcpServer } = require('tcp-offload');
    import('tcp-offload/memnet').then(async (imported) => {
      const tcpServer = await TcpServer.start();
      const memnet = new MemNet();
      const { port } = await memnet.listen();
      console.log(imported.MemNet === MemNet, port > 0);
      memnet.close();
      await tcpServer.close();
    });
  `);
  t.equal(stderr, '');
  t.equal(stdout, 'true true\n');
});

t.test('so do those of the blocking sockets', async (t) => {
  const { stdout, stderr } = await program('sync.cjs', `
    const { listen } = require('tcp-offload/sync');
    const { TcpServer } = require('tcp-offload');
    import('tcp-offload/sync').then(async (imported) => {
      const tcpServer = await TcpServer.start();
      console.log(imported.listen === listen, listen().address().port > 0);
      await tcpServer.close();
    });
  `);
  t.equal(stderr, '');
  t.equal(stdout, 'true true\n');
});

t.test('a TCP server that one half of a program started serves the other half', async (t) => {
  const { stdout } = await program('state.cjs', `
    const { TcpServer, net } = require('tcp-offload');
    (async () => {
      const { net: imported } = await import('tcp-offload');
      const tcpServer = await TcpServer.start({ device: 'loopback' });
      const server = imported.createServer((socket) => socket.end('hello'));
      await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
      const socket = net.connect(server.address().port, '127.0.0.1');
      let text = '';
      socket.setEncoding('utf8').on('data', (chunk) => { text += chunk; });
      await new Promise((resolve) => socket.on('close', resolve));
      server.close();
      await tcpServer.close();
      console.log(text);
    })();
  `);
  t.equal(stdout, 'hello\n');
});

t.test('tcp-offload/net is what node:net is, and tcp-offload/register puts it there', async (t) => {
  // BoundSocket: see test/compat/members.test.ts.
  const names = 'Object.keys(require("node:net")).filter((name) => !(name in net) && name !== "BoundSocket")';
  const required = await program('net.cjs', `const net = require('tcp-offload/net'); console.log(${names}, net.default.Socket === net.Socket)`);
  t.equal(required.stdout, '[] true\n');
  const imported = await program('net.mjs', `
    import net, { Server, createServer } from 'tcp-offload/net';
    import { createRequire } from 'node:module';
    const require = createRequire(import.meta.url);
    console.log(${names}, net.Server === Server, require('tcp-offload/net').createServer === createServer);
  `);
  t.equal(imported.stdout, '[] true true\n');
  writeFileSync(join(folder, 'app.cjs'), 'console.log(require("net").Socket === require("tcp-offload/net").Socket)');
  const { stdout } = await run(process.execPath, ['--import', 'tcp-offload/register', 'app.cjs'], { cwd: folder });
  t.equal(stdout, 'true\n');
});

t.test('its command is installed', async (t) => {
  const command = join(folder, 'node_modules/.bin/tcp-offload');
  t.match((await run(command, ['--help'])).stdout, /tcp-offload doctor/);
  t.match(JSON.parse((await run(command, ['devices', '--json'], { cwd: '/' })).stdout), [{ name: 'lo', kind: 'loopback', uses: [] }]);
});

const consumer = `
  import * as http from 'node:http';
  import { TcpServer, attach, listen, net } from 'tcp-offload';
  import { MemNet } from 'tcp-offload/memnet';
  import type { MemNetFlow } from 'tcp-offload/memnet';
  import * as dropIn from 'tcp-offload/net';
  import * as sync from 'tcp-offload/sync';
  import 'tcp-offload/register';

  export class Talker extends dropIn.Socket {
    talk(): void { this.connect({ port: 7, host: 'localhost', autoSelectFamily: true }); }
  }

  export async function serve(): Promise<TcpServer> {
    const server: TcpServer = await TcpServer.start({ device: 'packet:eth0', address: '198.18.0.2/24', gateway: '198.18.0.1', cpu: 0 });
    attach();
    listen(http.createServer((_request, response) => { response.end('hello'); }), { port: 80 });
    const echo = net.createServer((socket) => { socket.pipe(socket); });
    echo.listen(7, '198.18.0.2');
    // @ts-expect-error a device is named by a string
    await TcpServer.start({ device: 1 });
    const memnet = new MemNet<string>();
    memnet.onEvents = (events) => {
      while (events.next()) if (events.type === 'readable') sink(events.flow);
    };
    await memnet.listen({ port: 9 });
    return server;
  }

  export function ask(request: string): Buffer {
    const socket: sync.SyncSocket = sync.connect({ port: 7, timeout: 100 });
    socket.write(request);
    const buffer = Buffer.alloc(100);
    const length: number = sync.poll([socket], { timeout: 5 }).length > 0 ? socket.read(buffer) : 0;
    return buffer.subarray(0, length);
  }

  function sink(flow: MemNetFlow<string>): void {
    for (let length: number = flow.peek(); length > 0; length = flow.peek()) flow.consume(length);
    flow.context += 'x';
  }
`;

for (const module of ['node16', 'nodenext']) {
  t.test(`consumers compile, as ES modules and as CommonJS: module ${module}`, async (t) => {
    for (const extension of ['mts', 'cts']) writeFileSync(join(folder, `consumer.${extension}`), consumer);
    writeFileSync(join(folder, 'tsconfig.json'), JSON.stringify({
      compilerOptions: {
        module, target: 'es2022', strict: true, noEmit: true, types: ['node'], typeRoots: [join(root, 'node_modules/@types')],
      },
      files: ['consumer.mts', 'consumer.cts'],
    }));
    const tsc = createRequire(import.meta.url).resolve('typescript/bin/tsc');
    const said = await run(process.execPath, [tsc, '-p', folder]).catch((error: { stdout: string }) => error);
    t.equal(said.stdout, '');
  });
}

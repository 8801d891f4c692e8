/** An app thread makes no socket system call while it serves, where the TCP server has a thread of its own: strace looks on. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import t from 'tap';
import type { ServerReady } from '../../bench/server.js';
import { openNetwork } from '../../examples/support/network.js';
import { missing, shell } from './support.js';

t.test('under load', { skip: missing('ip', 'strace', 'wrk') }, async (t) => {
  const network = await openNetwork();
  t.teardown(() => network.close());
  const program = fileURLToPath(new URL('../../bench/server.js', import.meta.url));
  const server = spawn(process.execPath, [program, '--net', 'offload', '--app', 'http', '--port', '80', '--thread', 'own',
    '--device', `packet:${network.serverInterface}`, '--netns', network.namespace, '--address', `${network.serverAddress}/${network.prefix}`,
  ], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => server.kill('SIGKILL'));
  const [line] = await once(createInterface({ input: server.stdout }), 'line') as [string];
  const { appThread, serverThreads } = JSON.parse(line) as ServerReady;

  const trace = join(t.testdir(), 'trace');
  // -yy tells of each descriptor whether it is a socket.
  const strace = spawn('strace', ['-f', '-yy', '-e', 'trace=%network,%desc', '-o', trace, '-p', String(server.pid)], { stdio: ['ignore', 'ignore', 'pipe'] });
  await once(strace.stderr, 'data');
  t.notMatch(await shell(`wrk -t1 -c16 -d3s http://${network.serverAddress}/`), 'Socket errors');
  strace.kill('SIGINT');
  await once(strace, 'exit');

  const calls = readFileSync(trace, 'utf8').split('\n').map((text) => ({ thread: Number(text.split(' ')[0]), text }));
  const ofApp = calls.filter(({ thread }) => thread === appThread);
  const socketCall = /^\d+ +(socket|bind|listen|accept|connect|send|recv|shutdown|[gs]etsockopt)|<(TCP|UDP|UNIX|NETLINK|PACKET|socket)/;
  t.strictSame(ofApp.filter(({ text }) => socketCall.test(text)).slice(0, 10).map(({ text }) => text), []);
  t.ok(calls.some(({ thread, text }) => serverThreads.includes(thread) && socketCall.test(text)), 'the TCP server makes them');
});

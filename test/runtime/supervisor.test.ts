/** The TCP server as a thread of its own: what can be seen of it, and how it ends. */
import { readFileSync } from 'node:fs';
import { once } from 'node:events';
import type { AddressInfo } from 'node:net';
import t from 'tap';
import { MemNet } from '../../lib/memnet.js';
import { net, TcpServer } from '../../lib/index.js';
import { checkOptions } from '../../lib/options.js';
import type { AppPort } from '../../lib/runtime/app_port.js';
import { tellToStop } from '../../lib/runtime/hosts.js';
import { CTRL_STOP, Layout } from '../../lib/runtime/layout.js';
import { RunningServer } from '../../lib/runtime/supervisor.js';

t.test('a TCP server can be looked at while it serves', async (t) => {
  const server = await TcpServer.start({ spin: 0 });
  const listener = net.createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
  await once(listener, 'listening');
  const { port } = listener.address() as AddressInfo;
  for (let i = 0; i < 3; i++) {
    const client = net.connect(port, '127.0.0.1');
    client.resume();
    await once(client, 'close');
  }
  const counters = server.counters;
  t.equal(counters['TcpPassiveOpens'], 3);
  t.equal(counters['TcpActiveOpens'], 3);
  t.ok(counters['TcpOutSegs'] > 9, 'segments were counted');
  t.ok(server.status.turns > 0);
  t.match(readFileSync(`/proc/self/task/${server.threadId}/stat`, 'latin1'), /^\d+ /, 'its thread is one of this process');
  listener.close();
  await server.close();
  t.notOk(server.listening);
});

t.test('it is told to end before the thread that started it leaves: who hears of the one knows of the other', async (t) => {
  const { sizes, sendBuffer } = checkOptions({});
  const layout = new Layout(sizes);
  for (const end of ['stop', 'exit'] as const) {
    const memory = new SharedArrayBuffer(layout.byteLength);
    const words = new Int32Array(memory);
    const order: string[] = [];
    let over = (_error: null): void => {};
    const ended = new Promise<null>((resolve) => { over = resolve; });
    const leave = (): void => { order.push(Atomics.load(words, CTRL_STOP) === 1 ? 'leaves a TCP server that was told to end' : 'leaves'); };
    const host = {
      ready: Promise.resolve([]),
      ended,
      watchAddresses: () => {},
      stop: () => {
        order.push('ends');
        over(null);
      },
      finish: () => order.push('waited for its end'),
    };
    const before = process.listeners('exit');
    const app = (): void => { if (Atomics.load(words, CTRL_STOP) === 0) order.push('the app does what it has to'); };
    process.on('exit', app);
    const running = new RunningServer({ memory, others: [], key: 1, sizes, sendBuffer }, layout, host, () => {
      process.on('exit', leave);
      return { detach: leave } as AppPort;
    });
    if (end === 'stop') await running.stop();
    else process.listeners('exit').filter((each) => !before.includes(each)).forEach((listener) => listener(0));
    const leaves = 'leaves a TCP server that was told to end';
    t.same(order, end === 'stop' ? [leaves, 'ends'] : ['the app does what it has to', leaves, 'waited for its end'], end);
    over(null);
    await ended;
    for (const listener of [app, leave]) process.removeListener('exit', listener);
    t.same(process.listeners('exit'), before, 'nothing of it stays');
  }
});

t.test('nothing is asked of a TCP server that was told to end, though the thread has not heard of it', async (t) => {
  const server = await TcpServer.start();
  const memnet = new MemNet();
  tellToStop(new Int32Array(server.handle.memory));
  for (const ask of [() => net.connect(1), () => net.createServer().listen(0), () => memnet.connect({ port: 1 })]) {
    t.throws(ask, { code: 'ERR_TCP_SERVER_CLOSED' });
  }
  await once(server, 'close');
});

/** MemNet: its events, views and room over a TCP server whose turns the test makes; then over one in a thread of its own. */
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { TcpServer, net } from '../../lib/index.js';
import { MemNet, POISON } from '../../lib/memnet.js';
import type { MemNetEvents, MemNetFlow, MemNetListener, MemNetOptions } from '../../lib/memnet.js';
import { APP_BLOCKED, BLOCK_BYTES, CH_SLEEP, Layout } from '../../lib/runtime/layout.js';
import { Turns } from '../support/turns.js';

const MiB = 1 << 20;

/** Everything that a MemNet tells, as text, by the order of its flows. */
class Log {
  readonly texts: string[] = [];
  readonly flows: MemNetFlow[] = [];
  readonly memnet: MemNet;
  /** Bytes read of each flow; null: nothing is read. */
  read: Buffer[] | null = [];

  constructor(memnet: MemNet) {
    this.memnet = memnet;
    memnet.onEvents = (events) => this.take(events);
  }

  take(events: MemNetEvents): void {
    while (events.next()) {
      const { flow, type } = events;
      if (!this.flows.includes(flow)) this.flows.push(flow);
      this.texts.push(events.error === null ? type : `${type} ${events.error.message}`);
      if (type === 'readable' && this.read !== null) this.readAll(flow);
    }
  }

  readAll(flow: MemNetFlow): void {
    for (let length = flow.peek(); length > 0; length = flow.peek()) {
      this.read?.push(Buffer.from(flow.memory.subarray(flow.dataAt, flow.dataAt + length)));
      flow.consume(length);
    }
  }

  has(text: string): boolean {
    return this.texts.includes(text);
  }

  get length(): number {
    return (this.read ?? []).reduce((sum, { length }) => sum + length, 0);
  }
}

interface World {
  readonly turns: Turns;
  readonly server: Log;
  readonly client: Log;
  readonly listener: MemNetListener;
  /** Both ends of a connection. */
  readonly near: MemNetFlow;
  readonly far: MemNetFlow;
}

async function world(options: MemNetOptions = {}, sendBuffer?: number): Promise<World> {
  const turns = new Turns({}, sendBuffer);
  const [server, client] = [0, 1].map(() => new Log(new MemNet({ handle: turns.handle, ...options }))) as [Log, Log];
  const listening = server.memnet.listen();
  await turns.until(() => false, 3);
  const listener = await listening;
  const near = client.memnet.connect({ port: listener.port });
  await turns.until(() => client.has('connect') && server.has('accept'));
  return { turns, server, client, listener, near, far: server.flows[0]! };
}

function end({ turns, server, client }: World): void {
  server.memnet.close();
  client.memnet.close();
  turns.end();
}

/** Writes in place, as much as there is room for. */
function fill(flow: MemNetFlow, bytes: Buffer, from = 0): number {
  let at = from;
  for (let room = flow.reserve(bytes.length - at); room > 0; room = flow.reserve(bytes.length - at)) {
    bytes.copy(flow.memory, flow.roomAt, at, at + room);
    flow.commit(room);
    at += room;
    if (at === bytes.length) break;
  }
  return at;
}

t.test('a connection from its opening to its end', async (t) => {
  const it = await world();
  const { turns, server, client, near, far, listener } = it;
  const free = turns.payload.receiveBlocksFree;
  t.equal(far.listener, listener);
  t.equal(near.listener, null);
  t.same([near.remoteAddress, near.remotePort, near.localPort], ['127.0.0.1', listener.port, far.remotePort]);
  const sent = Buffer.alloc(MiB, 'The quick brown fox. ');
  let at = 0;
  const goOn = (): void => { at = fill(near, sent, at); };
  client.memnet.onEvents = (events) => {
    while (events.next()) {
      client.texts.push(events.type);
      if (events.type === 'writable') goOn();
      else if (events.type === 'readable') client.readAll(events.flow);
    }
  };
  goOn();
  t.ok(at > 0 && at < sent.length, `${at} bytes are taken at first`);
  t.equal(near.reserve(1), 0, 'and no more');
  t.ok(await turns.until(() => server.length === sent.length));
  t.ok(Buffer.concat(server.read!).equals(sent));
  t.ok(server.read!.every(({ length }) => length <= BLOCK_BYTES), 'a view lies in one block');
  near.end();
  t.equal(near.reserve(1), 0, 'nothing is written after the end');
  t.ok(await turns.until(() => far.ended));
  t.notOk(far.closed);
  far.write(Buffer.from('--farewell--'), 2, 8);
  far.end();
  t.ok(await turns.until(() => client.has('close') && server.has('close')));
  t.equal(String(client.read), 'farewell', 'a half-closed flow still carries bytes');
  t.equal(far.unacknowledged, 0);
  t.equal(server.texts.at(-1), 'close');
  for (const flow of [near, far]) {
    t.ok(flow.closed);
    flow.end();
    flow.close();
    flow.reset();
    t.same([flow.peek(), flow.reserve(1), flow.write(sent), flow.sendFile(0, 0, 1), flow.info()], [0, 0, 0, false, null], 'what is over does nothing');
  }
  turns.pass(61_000_000);
  await turns.until(() => false, 5);
  t.equal(turns.payload.receiveBlocksFree, free, 'no receive block is held');
  end(it);
});

t.test('the accept event has the addresses and the first bytes', async (t) => {
  const it = await world();
  const { turns, server, client, listener } = it;
  let first = '';
  server.memnet.onEvents = (events) => {
    while (events.next()) {
      server.texts.push(events.type);
      if (events.type !== 'accept') continue;
      first = events.flow.memory.toString('latin1', events.flow.dataAt, events.flow.dataAt + events.flow.peek());
      first += ` from ${events.flow.remotePort}`;
      events.flow.consume(events.flow.peek());
    }
  };
  server.texts.length = 0;
  const early = client.memnet.connect({ port: listener.port });
  t.equal(early.write(Buffer.from('hello')), 5, 'it may be written to at once');
  await new Promise(setImmediate);
  turns.pass(10_000);
  t.ok(await turns.until(() => first !== ''));
  t.match(first, new RegExp(`(hello)? from ${early.localPort}`));
  await turns.until(() => false, 5);
  if (first.startsWith('hello')) t.notOk(server.texts.includes('readable'), 'and what was consumed there is not told again');
  end(it);
});

t.test('many events are one entry, and tell the state that there is', async (t) => {
  const it = await world();
  const { turns, server, client, near, far } = it;
  server.memnet.onEvents = null;
  for (let i = 0; i < 10; i++) {
    near.write(Buffer.from('0123456789'));
    await turns.until(() => false, 3);
  }
  near.end();
  await turns.until(() => false, 5);
  const texts = (): string[] => {
    const before = server.texts.length;
    server.take(server.memnet.events);
    return server.texts.slice(before);
  };
  server.read = null;
  t.ok(server.memnet.poll());
  t.same(texts(), ['readable']);
  t.equal(far.readableLength, 100);
  t.notOk(far.ended);
  t.same(texts(), [], 'what was left is not told again');
  far.consume(far.peek());
  t.ok(far.ended);
  far.write(Buffer.from('x'));
  far.close();
  await turns.until(() => client.has('close'));
  t.same(texts(), [], 'nor anything of a flow that was let go');
  end(it);
});

t.test('errors: who refuses, who resets, and what is wrong with an argument', async (t) => {
  const it = await world();
  const { turns, server, client, near, far, listener } = it;
  client.memnet.connect({ port: 9 });
  t.ok(await turns.until(() => client.has('close')));
  t.ok(client.has('error connect ECONNREFUSED 127.0.0.1:9'), client.texts.join());
  far.reset();
  t.ok(await turns.until(() => client.has('error read ECONNRESET')));
  t.ok(await turns.until(() => client.texts.filter((text) => text === 'close').length === 2));
  t.ok(near.closed);
  const taken = client.memnet.listen({ port: listener.port });
  const refused = t.rejects(server.memnet.listen({ port: listener.port }), { code: 'EADDRINUSE' });
  await turns.until(() => false, 5);
  t.equal((await taken).port, listener.port, 'several threads may listen on one port');
  await refused;
  const { memnet } = client;
  t.throws(() => memnet.connect({ port: 70_000 }), { code: 'ERR_SOCKET_BAD_PORT' });
  t.throws(() => memnet.connect({ port: '80' as never }), { code: 'ERR_INVALID_ARG_TYPE' });
  t.throws(() => memnet.connect({ port: 80, host: 'localhost' }), { code: 'ERR_INVALID_IP_ADDRESS' });
  t.throws(() => memnet.listen({ host: 'nowhere' }), { code: 'ERR_INVALID_IP_ADDRESS' });
  const flow = memnet.connect({ port: listener.port, host: '127.0.0.1', localAddress: '127.0.0.5', localPort: 4711 });
  t.throws(() => flow.consume(1), { code: 'ERR_OUT_OF_RANGE', message: /0, for that many bytes wait/ });
  t.throws(() => flow.commit(1), { code: 'ERR_OUT_OF_RANGE', message: /are reserved/ });
  t.equal(flow.reserve(100), 100);
  t.throws(() => flow.commit(101), { code: 'ERR_OUT_OF_RANGE' });
  flow.write(Buffer.from('voids the room'));
  t.throws(() => flow.commit(1), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => flow.write(Buffer.alloc(3), 2, 2), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => flow.reserve(NaN), { code: 'ERR_OUT_OF_RANGE' });
  t.throws(() => flow.sendFile(-1, 0, 1), { code: 'ERR_OUT_OF_RANGE', message: /descriptor/ });
  t.throws(() => flow.sendFile(1, -1, 1), { code: 'ERR_OUT_OF_RANGE', message: /offset/ });
  t.throws(() => flow.sendFile(1, 0, 2 ** 31), { code: 'ERR_OUT_OF_RANGE', message: /another call/ });
  await turns.until(() => client.texts.filter((text) => text === 'connect').length === 2);
  t.same([flow.localAddress, flow.localPort], ['127.0.0.5', 4711]);
  flow.setNoDelay(true);
  flow.setKeepAlive(true, 5000);
  flow.setUserTimeout(1000);
  flow.setCork(false);
  await turns.until(() => false, 5);
  t.match(flow.info(), { state: 'ESTABLISHED', noDelay: true });
  end(it);
});

t.test('a file is sent, and told of; one that is too short resets the connection', async (t) => {
  const it = await world();
  const { turns, server, client, near, far } = it;
  const path = join(t.testdir(), 'file');
  const content = Buffer.alloc(300_000, 'content of a file, ');
  writeFileSync(path, content);
  const file = openSync(path, 'r');
  t.teardown(() => closeSync(file));
  near.write(Buffer.from('<'));
  t.ok(near.sendFile(file, 0, content.length));
  t.notOk(near.sendFile(file, 0, 1), 'one at a time');
  near.write(Buffer.from('>'));
  for (let i = 0; i < 20 && !client.has('sent'); i++) {
    await turns.until(() => client.has('sent'), 50);
    turns.pass(50_000);
  }
  t.ok(client.has('sent'));
  t.ok(Buffer.concat(server.read!).equals(Buffer.concat([Buffer.from('<'), content, Buffer.from('>')])));
  client.texts.length = 0;
  t.ok(near.sendFile(file, 0, 0));
  t.ok(await turns.until(() => client.has('sent')), 'of no bytes, too');
  near.sendFile(file, 10, content.length);
  t.ok(await turns.until(() => client.has('close')));
  t.ok(client.texts.some((text) => /^error sendFile ENODATA: the file ends before/.test(text)), client.texts.join());
  t.ok(await turns.until(() => server.has('error read ECONNRESET') && far.closed));
  end(it);
});

t.test('debug mode finds out who uses what was given back', async (t) => {
  const it = await world({ debug: true });
  const { turns, server, client, near, far } = it;
  server.read = null;
  const room = near.reserveBuffer(12)!;
  room.write('twelve bytes');
  near.commit(12);
  t.equal(room.length, 0, 'the room is gone');
  t.ok(await turns.until(() => far.readableLength === 12));
  const view = far.peekBuffer()!;
  t.equal(view.toString(), 'twelve bytes');
  const at = far.dataAt;
  far.peek();
  far.consume(6);
  t.equal(view.length, 0, 'the view is gone');
  t.throws(() => view.readUInt8(0));
  t.ok(far.memory.subarray(at, at + 6).every((byte) => byte === POISON), 'and what lay there');
  t.equal(far.peekBuffer()!.toString(), ' bytes', 'what was not consumed is there');
  far.consume(6);
  near.reserve(5);
  near.memory.write('hello', near.roomAt);
  near.commit(5);
  const { roomAt } = near;
  client.memnet.onEvents = null;
  await new Promise(setImmediate);
  for (let i = 0; i < 5; i++) turns.turn();
  near.memory[roomAt + 1] = 65;
  turns.pass(300_000);
  t.throws(() => { for (let i = 0; i < 100; i++) client.memnet.poll(); }, { message: /byte 13 of a flow's stream was changed from 101 to 65 after it was committed/ });
  end(it);
});

t.test('without debug mode a Buffer is the memory itself', async (t) => {
  const it = await world();
  const { turns, server, near, far } = it;
  server.read = null;
  t.equal(far.peekBuffer(), null);
  near.reserveBuffer(5)!.write('hello');
  near.commit(5);
  t.ok(await turns.until(() => far.readableLength === 5));
  t.equal(far.peekBuffer()!.toString(), 'hello');
  t.equal(far.peekBuffer()!.buffer, far.memory.buffer);
  far.consume(5);
  end(it);
});

t.test('an app that throws at one event is told the others', async (t) => {
  const it = await world();
  const { turns, server, client, listener } = it;
  let thrown = 0;
  const told: number[] = [];
  server.memnet.onEvents = (events) => {
    while (events.next()) {
      if (events.type !== 'accept') continue;
      told.push(events.flow.remotePort);
      if (thrown++ === 0) throw new Error('at the first');
    }
  };
  // What the callback throws is an uncaught exception, as with any other callback.
  const uncaught = new Promise<Error>((resolve) => process.setUncaughtExceptionCaptureCallback(resolve));
  const flows = Array.from({ length: 5 }, () => client.memnet.connect({ port: listener.port }));
  t.ok(await turns.until(() => told.length === 5));
  t.same(told.sort(), flows.map(({ localPort }) => localPort).sort());
  t.match(await uncaught, { message: 'at the first' });
  process.setUncaughtExceptionCaptureCallback(null);
  end(it);
});

t.test('a hundred thousand requests and answers: the collector has nothing to do with each of them', async (t) => {
  const program = fileURLToPath(new URL('./support/memnet_steady.js', import.meta.url));
  const { stdout, status } = spawnSync(process.execPath, ['--trace-gc', program], { encoding: 'utf8', env: { PATH: process.env['PATH'] } });
  t.equal(status, 0);
  const lines = stdout.split('\n');
  const collections = lines.slice(lines.indexOf('begin'), lines.indexOf('end')).filter((line) => /Scavenge|Mark-/.test(line));
  t.comment(lines.at(-2) ?? '');
  // What a turn of the TCP server makes (a double for its time) is allowed for; one object a request would be five collections.
  t.ok(collections.length <= 2, `${collections.length} collections`);
});

/** Sends back what comes. */
function echo(): (events: MemNetEvents) => void {
  const sendBack = (flow: MemNetFlow): void => {
    for (let length = flow.peek(); length > 0; length = flow.peek()) {
      const taken = flow.write(flow.memory, flow.dataAt, length);
      flow.consume(taken);
      if (taken < length) return;
    }
    if (flow.ended) flow.close();
  };
  return (events) => {
    while (events.next()) if (events.type === 'readable' || events.type === 'writable') sendBack(events.flow);
  };
}

async function hashOf(port: number, bytes: Buffer): Promise<string> {
  const socket = net.connect(port, '127.0.0.1');
  socket.end(bytes);
  const hash = createHash('sha256');
  for await (const chunk of socket) hash.update(chunk as Buffer);
  return hash.digest('hex');
}

t.test('beside net, over a TCP server in a thread of its own', { timeout: 60_000 }, async (t) => {
  const tcp = await TcpServer.start();
  t.teardown(() => tcp.close());
  const memnet = new MemNet();
  memnet.onEvents = echo();
  const { port } = await memnet.listen();
  const bytes = Buffer.alloc(3 * MiB, 'sent there and back again, ');
  const hashes = await Promise.all(Array.from({ length: 8 }, (_, i) => hashOf(port, bytes.subarray(i))));
  t.same(hashes, Array.from({ length: 8 }, (_, i) => createHash('sha256').update(bytes.subarray(i)).digest('hex')));
  memnet.close();
  t.throws(() => memnet.connect({ port }), { code: 'ERR_TCP_SERVER_CLOSED' });
});

/** A worker that waits itself, and echoes. */
const WAITING = `
  import { parentPort } from 'node:worker_threads';
  import { MemNet } from '${new URL('../../lib/memnet.js', import.meta.url).href}';
  const memnet = new MemNet();
  const { port } = await memnet.listen();
  parentPort.postMessage(port);
  const { events } = memnet;
  while (memnet.alive) {
    if (!memnet.wait(1000)) continue;
    while (events.next()) {
      const { flow } = events;
      for (let length = flow.peek(); length > 0; length = flow.peek()) {
        const taken = flow.write(flow.memory, flow.dataAt, length);
        flow.consume(taken);
        if (taken < length) break;
      }
      if (flow.ended) flow.close();
    }
  }
  parentPort.postMessage('left');
`;

t.test('a thread that waits itself', { timeout: 60_000 }, async (t) => {
  const tcp = await TcpServer.start();
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(WAITING)}`));
  const [port] = (await once(worker, 'message')) as [number];
  const bytes = Buffer.alloc(MiB, 'waited for, ');
  t.equal(await hashOf(port, bytes), createHash('sha256').update(bytes).digest('hex'));
  const memnet = new MemNet();
  t.notOk(memnet.wait(0), 'nothing has happened');
  t.notOk(memnet.wait(5), 'nor a little later');
  const flow = memnet.connect({ port });
  flow.write(Buffer.from('hello'));
  const types: string[] = [];
  while (flow.readableLength < 5 && memnet.wait(10_000)) while (memnet.events.next()) types.push(memnet.events.type);
  t.equal(flow.peekBuffer()?.toString(), 'hello');
  t.equal(types[0], 'connect');
  let ended: unknown = 'not yet';
  memnet.onEnd = (error) => { ended = error; };
  const left = once(worker, 'message');
  await tcp.close();
  t.same(await left, ['left'], 'it hears of the end');
  t.notOk(memnet.wait(1000));
  t.equal(ended, null);
  t.throws(() => new MemNet(), { code: 'ERR_TCP_SERVER_CLOSED' });
  await worker.terminate();
});

t.test('a thread that waits without a bound is ended by worker.terminate()', { timeout: 60_000 }, async (t) => {
  const tcp = await TcpServer.start({ device: 'loopback' });
  t.teardown(() => tcp.close());
  const program = `
    const { workerData, parentPort } = require('node:worker_threads');
    import(workerData.memnet).then(({ MemNet }) => {
      const memnet = new MemNet({ handle: workerData.handle });
      parentPort.postMessage('waits');
      memnet.wait(Infinity);
    });`;
  const words = new Int32Array(tcp.handle.memory);
  const layout = new Layout(tcp.handle.sizes);
  const sleepWords = Array.from({ length: layout.sizes.maxApps }, (_, channel) => layout.channelBase(channel) + CH_SLEEP);
  const worker = new Worker(program, { eval: true, workerData: { memnet: new URL('../../lib/memnet.js', import.meta.url).href, handle: tcp.handle } });
  await once(worker, 'message');
  while (!sleepWords.some((at) => (Atomics.load(words, at) & APP_BLOCKED) !== 0)) await new Promise(setImmediate);
  t.equal(await worker.terminate(), 1);
});

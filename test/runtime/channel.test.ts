/** Channels: the TCP server and app threads over the loopback device, turn by turn, in one thread. */
import t from 'tap';
import { CHANNEL_ATTACHED, CHANNEL_FAILED, CHANNEL_FREE, CH_STATE, CH_SUBMIT_HEAD, CH_TID, CTRL_SLEEP, ENTRY_WORDS, QUEUE_ENTRIES, SLEEP_AWAKE, SLEEP_WAIT } from '../../lib/runtime/layout.js';
import { SUBMIT_FLOW, SUBMIT_OPTIONS } from '../../lib/runtime/messages.js';
import { SystemClock } from '../../lib/runtime/system_clock.js';
import { KEEP_ALIVE } from '../../lib/tcp/conn/state.js';
import * as stats from '../../lib/tcp/stats.js';
import { EADDRINUSE, ECONNREFUSED, ECONNRESET, EINVAL } from '../../lib/tcp/errno.js';
import { randomOf } from '../support/random.js';
import { Accepting, Recorder, connect, pair } from '../support/recorder.js';
import { Turns } from '../support/turns.js';

t.test('a connection: bytes both ways, half-close, end, and nothing is left', async (t) => {
  const turns = new Turns();
  const free = turns.payload.receiveBlocksFree;
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far] = await pair(turns, server, client);
  t.equal(near.flow!.remoteAddress, '127.0.0.1');
  t.equal(near.flow!.localPort, far.flow!.remotePort);
  t.equal(near.flow!.remotePort, far.flow!.localPort);
  const sent = Buffer.alloc(1_000_000, 'The quick brown fox. ');
  let offset = 0;
  const push = (): void => { offset += near.flow!.write(sent, offset, sent.length - offset); };
  near.onWritable = push;
  push();
  t.ok(offset < sent.length, 'the send buffer has a bound');
  t.ok(await turns.until(() => far.length === sent.length), 'all of it arrives');
  t.ok(Buffer.concat(far.chunks).equals(sent), 'intact');
  near.flow!.end();
  t.ok(await turns.until(() => far.events.includes('end')), 'the end arrives');
  far.flow!.write(Buffer.from('still open'), 0, 10);
  far.flow!.end();
  t.ok(await turns.until(() => near.events.includes('close') && far.events.includes('close')), 'both are over');
  t.equal(Buffer.concat(near.chunks).toString(), 'still open', 'a half-closed flow still carries bytes');
  turns.pass(61_000_000);
  await turns.until(() => false, 5);
  t.equal(turns.payload.receiveBlocksFree, free, 'no receive block is held');
  t.equal(client.channels[0]!.memory.arena.available, 128, 'no send block is held');
  t.equal(server.channels[0]!.memory.arena.available, 128);
  turns.end();
});

t.test('an app that stops listening when its own client is connected has the connection accepted already', async (t) => {
  const turns = new Turns();
  const app = turns.attach();
  const accepting = new Accepting();
  const listener = app.listen({ host: null, port: 0, backlog: 511 }, accepting);
  await turns.until(() => accepting.port > 0);
  const near = connect(app, accepting.port);
  near.onConnect = (): void => {
    near.events.push(`connect, ${accepting.accepted.length} accepted`);
    listener.close();
  };
  t.ok(await turns.until(() => accepting.events.includes('close')), 'it has stopped');
  near.flow!.write(Buffer.from('after all'), 0, 9);
  t.ok(await turns.until(() => accepting.accepted[0]?.length === 9), 'and the connection lives');
  t.strictSame(near.events.filter((event) => event !== 'drained'), ['connect, 1 accepted']);
  turns.end();
});

t.test('callbacks that take long leave room for what they have written to be sent', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const accepting = new Accepting();
  server.listen({ host: null, port: 0, backlog: 511 }, accepting);
  await turns.until(() => accepting.port > 0);
  const near = Array.from({ length: 30 }, () => connect(client, accepting.port));
  t.ok(await turns.until(() => accepting.accepted.length === 30 && near.every(({ events }) => events.includes('connect'))));
  const tell = (): void => {
    for (const { flow } of near) flow!.write(Buffer.of(1), 0, 1);
    client.poll();
    for (let i = 0; i < 10; i++) turns.turn();
  };
  let now = 0;
  let cost = 0;
  for (const { flow } of accepting.accepted) {
    flow!.handler!.onReadable = (): void => {
      now += cost;
      flow!.read();
    };
  }
  /** What comes at once where each callback takes so many ms. */
  const batches = (ms: number): number[] => {
    cost = ms;
    tell();
    const { tick } = SystemClock.prototype;
    SystemClock.prototype.tick = function (): void { this.now = now * 1000; };
    const found = [];
    try {
      for (let taken = server.pump(); taken > 0; taken = server.pump()) found.push(taken);
    } finally {
      SystemClock.prototype.tick = tick;
    }
    return found;
  };
  t.strictSame(batches(0), [30]);
  t.strictSame(batches(0.1), [16, 14]);
  t.strictSame(batches(5), [8, 8, 8, 6]);
  turns.end();
});

t.test('an app that does not read holds its peer back, and bounded memory', async (t) => {
  const turns = new Turns({}, 1 << 20);
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far] = await pair(turns, server, client);
  far.reading = false;
  const block = Buffer.alloc(65536, 1);
  let written = 0;
  const push = (): void => { for (let n = -1; n !== 0; ) written += n = near.flow!.write(block, 0, block.length); };
  near.onWritable = push;
  push();
  await turns.until(() => false, 500);
  turns.pass(2_000_000);
  await turns.until(() => false, 100);
  const held = far.flow!.readableLength;
  t.ok(held > 0 && held <= 1 << 20, `it holds ${held} bytes`);
  t.ok(written < 3 << 20, `${written} bytes were taken from the writer`);
  far.reading = true;
  near.onWritable = (): void => {};
  far.readAll();
  for (let i = 0; i < 200 && far.length < written; i++) {
    turns.pass(100_000);
    await turns.until(() => far.length === written, 20);
  }
  t.equal(far.length, written, 'and goes on when it reads');
  turns.end();
});

t.test('an app that closes with bytes unread: the peer gets what was written, then hears of the reset; the unread bytes take no memory', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  const free = turns.payload.receiveBlocksFree;
  near.reading = far.reading = false;
  near.flow!.write(Buffer.alloc(100_000), 0, 100_000);
  await turns.until(() => far.flow!.readableLength === 100_000);
  t.equal(far.flow!.write(Buffer.alloc(250_000), 0, 250_000), 250_000);
  await turns.until(() => false, 50);
  const held = near.flow!.readableLength;
  t.ok(held < 250_000, 'the window is closed');
  far.flow!.close();
  await turns.until(() => false, 50);
  t.strictSame([near.length, near.flow!.readableLength, near.events.includes(`error ${ECONNRESET}`)], [0, held, false]);
  t.ok(turns.payload.receiveBlocksFree >= free - Math.ceil(held / 16_384) - 1, 'the blocks of what is unread are free');
  near.reading = true;
  near.readAll();
  for (let i = 0; i < 200 && near.length < 250_000; i++) {
    turns.pass(100_000);
    await turns.until(() => near.length === 250_000, 20);
  }
  t.equal(near.length, 250_000);
  t.ok(await turns.until(() => near.events.includes(`error ${ECONNRESET}`)), 'and then it is reset');
  t.notOk(near.events.includes('end'));
  turns.end();
});

t.test('a reader in small pieces wakes a TCP server that sleeps, so that the window opens', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  far.reading = false;
  near.flow!.write(Buffer.alloc(16_384), 0, 16_384);
  await turns.until(() => far.flow!.readableLength === 16_384);
  await turns.until(() => false, 10);
  for (const expected of [SLEEP_WAIT, SLEEP_WAIT, SLEEP_WAIT, SLEEP_WAIT, SLEEP_AWAKE]) {
    turns.words[CTRL_SLEEP] = SLEEP_WAIT;
    far.flow!.read(1000);
    await new Promise(setImmediate);
    t.equal(turns.words[CTRL_SLEEP], expected);
  }
  turns.end();
});

t.test('settings of a flow reach TCP whole, before and after it has a name', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far, accepting] = await pair(turns, server, client);
  const settings = (index: number): number[] => {
    const { keepIdle, keepInterval, keepCount, userTimeout, finWait, trafficClass } = turns.stack.tcb.at(index);
    return [keepIdle, keepInterval, keepCount, userTimeout, finWait, trafficClass];
  };
  const index = (port: number): number => {
    for (let flow = 0; flow < turns.layout.sizes.maxFlows; flow++) if (turns.stack.tcb.at(flow).localPort === port) return flow;
    return -1;
  };
  near.flow!.setKeepAlive(true, 1000, 200, 5);
  near.flow!.setUserTimeout(3000);
  near.flow!.setFinWait(-1);
  near.flow!.setTrafficClass(0xb8);
  await turns.until(() => false, 3);
  t.same(settings(index(near.flow!.localPort)), [1000, 200, 5, 3000, -1, 0xb8]);
  t.equal(turns.stack.tcb.has(KEEP_ALIVE), true);
  near.flow!.setKeepAlive(false, 0, 0, 0);
  near.flow!.setUserTimeout(0);
  await turns.until(() => false, 3);
  t.same(settings(index(near.flow!.localPort)), [1000, 200, 5, 0, -1, 0xb8], 'what is not named stays');
  t.equal(turns.stack.tcb.has(KEEP_ALIVE), false);
  const early = connect(client, accepting.port);
  early.flow!.setUserTimeout(4321);
  await turns.until(() => early.events.includes('connect'));
  await turns.until(() => false, 3);
  t.equal(settings(index(early.flow!.localPort))[3], 4321, 'set before the connect was answered');
  far.flow!.setCork(true);
  far.flow!.write(Buffer.from('held'), 0, 4);
  await turns.until(() => false, 20);
  t.equal(near.length, 0, 'a cork holds back what does not fill a segment');
  far.flow!.setCork(false);
  t.ok(await turns.until(() => near.length === 4));
  turns.end();
});

t.test('what is gathered leaves as one submission, when the ticks that followed from it are done', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  const { ports: [, client] } = turns;
  const headAt = turns.layout.channelBase(1) + CH_SUBMIT_HEAD;
  const write = (text: string): void => {
    client!.gather();
    near.flow!.write(Buffer.from(text), 0, text.length);
  };
  await turns.until(() => false, 5);
  // As with any submission, that it is due may be known before the first word is gathered.
  near.flow!.setNoDelay(true);
  const before = turns.words[headAt]!;
  write('re');
  process.nextTick(() => {
    write('que');
    process.nextTick(() => {
      write('st');
      void Promise.resolve().then(() => {
        write('ed');
        process.nextTick(() => near.flow!.end());
      });
    });
  });
  await new Promise(setImmediate);
  t.equal(turns.words[headAt]! - before, 1);
  turns.turn();
  turns.turn();
  await new Promise(setImmediate);
  t.equal(Buffer.concat(far.chunks).toString(), 'requested');
  t.ok(far.events.includes('end'), 'one segment has brought all of it');
  turns.end();
});

t.test('refused, reset and twice asked for', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const refused = connect(client, 9);
  t.ok(await turns.until(() => refused.events.includes('close')));
  t.same(refused.events, [`error ${ECONNREFUSED}`, 'close']);
  const [near, far, accepting] = await pair(turns, server, client);
  const again = new Accepting();
  server.listen({ host: null, port: accepting.port, backlog: 1 }, again);
  t.ok(await turns.until(() => again.events.length > 1));
  t.same(again.events, [`error ${EADDRINUSE}`, 'close']);
  far.flow!.reset();
  t.ok(await turns.until(() => near.events.includes('close')));
  t.same(near.events.filter((event) => event !== 'connect'), [`error ${ECONNRESET}`, 'close']);
  turns.end();
});

t.test('several app threads on one port: new connections go to the one with the fewest', async (t) => {
  const turns = new Turns();
  const servers = [turns.attach(), turns.attach(), turns.attach()];
  const client = turns.attach();
  const accepting = servers.map(() => new Accepting());
  servers[0].listen({ host: null, port: 8000, backlog: 100 }, accepting[0]);
  servers[1].listen({ host: null, port: 8000, backlog: 100 }, accepting[1]);
  servers[2].listen({ host: null, port: 8000, backlog: 100 }, accepting[2]);
  await turns.until(() => accepting.every((each) => each.port === 8000));
  for (let i = 0; i < 30; i++) connect(client, 8000);
  t.ok(await turns.until(() => accepting.reduce((sum, each) => sum + each.accepted.length, 0) === 30));
  t.same(accepting.map((each) => each.accepted.length), [10, 10, 10]);
  servers[1].detach();
  for (let i = 0; i < 10; i++) connect(client, 8000);
  t.ok(await turns.until(() => accepting[0].accepted.length + accepting[2].accepted.length === 30), 'who has left gets none');
  turns.end();
});

t.test('distributions: in turn, and by the source; who joins must name the same one', async (t) => {
  for (const distribution of ['round-robin', 'source-hash'] as const) {
    const turns = new Turns();
    const servers = [turns.attach(), turns.attach(), turns.attach()];
    const client = turns.attach();
    const accepting = servers.map(() => new Accepting());
    const place = { host: null, port: 8000, backlog: 100 };
    const listener = servers[0].listen({ ...place, distribution }, accepting[0]);
    servers[1].listen({ ...place, distribution }, accepting[1]);
    await turns.until(() => accepting[0].port + accepting[1].port === 16_000);
    servers[2].listen(place, accepting[2]);
    t.ok(await turns.until(() => accepting[2].events.includes(`error ${EINVAL}`)));
    for (let i = 0; i < 40; i++) client.connect({ host: '127.0.0.1', port: 8000, localAddress: `127.0.1.${i % 20}` }, new Recorder());
    t.ok(await turns.until(() => accepting[0].accepted.length + accepting[1].accepted.length === 40));
    const sources = accepting.map(({ accepted }) => accepted.map(({ flow }) => flow!.remoteAddress));
    if (distribution === 'round-robin') t.same(sources.map((each) => each.length), [20, 20, 0]);
    else {
      t.ok(sources[0].length > 0 && sources[1].length > 0);
      t.notOk(sources[0].some((address) => sources[1].includes(address)), 'a source has one app thread');
    }
    listener.close();
    client.connect({ host: '127.0.0.1', port: 8000 }, new Recorder());
    t.ok(await turns.until(() => accepting[1].accepted.length === sources[1].length + 1), 'who has stopped gets none');
    turns.end();
  }
});

t.test('a listener that is closed is told of every connection that it was given, and only then that it is closed', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const accepting = new Accepting();
  const listener = server.listen({ host: null, port: 8000, backlog: 100 }, accepting);
  await turns.until(() => accepting.port === 8000);
  for (let i = 0; i < 5; i++) connect(client, 8000);
  await new Promise((resolve) => process.nextTick(resolve));
  // The event loop does not get a turn: the connections are given, and the app thread has not seen them when it closes.
  turns.pass(50_000);
  t.equal(accepting.accepted.length, 0);
  listener.close();
  t.ok(await turns.until(() => accepting.events.includes('close')));
  t.equal(accepting.accepted.length, 5);
  turns.end();
});

t.test('a busy app thread: a backlog bounds what waits for it, and the rest comes in later', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const accepting = new Accepting();
  server.listen({ host: null, port: 0, backlog: 8 }, accepting);
  await turns.until(() => accepting.port > 0);
  const clients = Array.from({ length: 20 }, () => connect(client, accepting.port));
  await new Promise((resolve) => process.nextTick(resolve));
  // The event loop does not get a turn, so the app takes nothing over.
  turns.pass(500_000);
  t.equal(turns.stack.stats[stats.LISTEN_OVERFLOWS] > 0, true, 'what does not fit is dropped and counted');
  t.equal(turns.stack.stats[stats.PASSIVE_OPENS], 8, 'as many as the backlog says are established');
  for (let i = 0; i < 10; i++) {
    await turns.until(() => false, 10);
    turns.pass(1_000_000);
  }
  await turns.until(() => accepting.accepted.length === 20);
  t.equal(accepting.accepted.length, 20, 'the others got in when they tried again');
  t.ok(clients.every((each) => each.events.includes('connect')));
  turns.end();
});

t.test('an app thread that dies: its connections are reset, its channel and memory come back', async (t) => {
  const turns = new Turns();
  const free = turns.payload.receiveBlocksFree;
  const server = turns.attach();
  const base = turns.layout.channelBase(0);
  const DEAD_THREAD = 1;
  turns.words[base + CH_TID] = DEAD_THREAD;
  const client = turns.attach();
  const [near, far] = await pair(turns, server, client);
  far.reading = false;
  near.flow!.write(Buffer.alloc(100_000), 0, 100_000);
  await turns.until(() => far.flow!.readableLength === 100_000);
  turns.apps.reap((tid) => tid !== DEAD_THREAD);
  t.ok(await turns.until(() => near.events.includes('close')));
  t.ok(near.events.includes(`error ${ECONNRESET}`));
  t.equal(turns.words[base + CH_STATE], CHANNEL_FREE);
  t.equal(turns.payload.receiveBlocksFree, free);
  turns.end();
});

t.test('what an app thread must not write ends its channel, and no other', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const turns = new Turns({ maxFlows: 64 });
    const [server, bad] = [turns.attach(), turns.attach()];
    const good = turns.attach();
    const [near, far] = await pair(turns, server, good);
    await pair(turns, server, bad);
    const base = turns.layout.channelBase(1);
    const entries = turns.layout.submissionBase(1);
    for (let i = 0; i < 200; i++) {
      const head = turns.words[base + CH_SUBMIT_HEAD];
      const at = entries + (head & (QUEUE_ENTRIES - 1)) * ENTRY_WORDS;
      for (let word = 0; word < ENTRY_WORDS; word++) turns.words[at + word] = random() % 3 === 0 ? random() % 80 : random() | 0;
      if (random() % 2 === 0) {
        turns.words[at] = (random() % 4 === 0 ? SUBMIT_OPTIONS : SUBMIT_FLOW) | (random() & 0xff00);
        turns.words[at + 1] = random() % 64;
        turns.words[at + 2] = random() % 4;
      }
      turns.words[base + CH_SUBMIT_HEAD] = random() % 50 === 0 ? random() | 0 : (head + 1) | 0;
      turns.turn();
    }
    const state = turns.words[base + CH_STATE];
    if (state !== CHANNEL_FAILED && state !== CHANNEL_ATTACHED && state !== CHANNEL_FREE) t.fail(`seed ${seed}: state ${state}`);
    near.flow!.write(Buffer.from('hello'), 0, 5);
    if (!(await turns.until(() => far.length === 5, 200))) t.fail(`seed ${seed}: another channel was disturbed`);
    turns.end();
  }
  t.pass('40 seeds');
});

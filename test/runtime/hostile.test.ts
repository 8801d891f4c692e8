/** App threads that break their word, die at the wrong place, or leave in the middle of things: the TCP server goes on, and so do the others. */
import t from 'tap';
import type { AppFlow } from '../../lib/runtime/app_api.js';
import { BLOCK_BYTES, CHANNEL_ATTACHED, CHANNEL_CLAIMED, CHANNEL_FAILED, CHANNEL_FREE, CHANNEL_LEFT, CH_STATE, CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID,
  CH_VIOLATION, CLAIM_SHIFT, ENTRY_WORDS, QUEUE_ENTRIES } from '../../lib/runtime/layout.js';
import { SUBMIT_UNLISTEN, violationText } from '../../lib/runtime/messages.js';
import type { ServerChannel } from '../../lib/runtime/server_channel.js';
import { ServerListeners } from '../../lib/runtime/server_listeners.js';
import { ECONNRESET } from '../../lib/tcp/errno.js';
import type { Stack } from '../../lib/tcp/stack.js';
import { LISTEN_OVERFLOWS, STATS_LENGTH } from '../../lib/tcp/stats.js';
import { Recorder, pair } from '../support/recorder.js';
import { Turns } from '../support/turns.js';

const DEAD_THREAD = 1;

t.test('who takes no answers is asked nothing more, and the TCP server may sleep', async (t) => {
  const turns = new Turns();
  turns.attach();
  turns.turn();
  const base = turns.layout.channelBase(0);
  const entries = turns.layout.submissionBase(0);
  /** Submits as many requests as there is room for, all without an event loop to take the answers. */
  const submit = (): number => {
    const tail = turns.words[base + CH_SUBMIT_TAIL];
    let head = turns.words[base + CH_SUBMIT_HEAD];
    for (; ((head - tail) | 0) < QUEUE_ENTRIES; head++) {
      turns.words.fill(0, entries + (head & (QUEUE_ENTRIES - 1)) * ENTRY_WORDS, entries + ((head & (QUEUE_ENTRIES - 1)) + 1) * ENTRY_WORDS);
      turns.words[entries + (head & (QUEUE_ENTRIES - 1)) * ENTRY_WORDS] = SUBMIT_UNLISTEN;
    }
    turns.words[base + CH_SUBMIT_HEAD] = head;
    return head;
  };
  let head = 0;
  for (let i = 0; i < 100; i++) {
    head = submit();
    turns.turn();
  }
  const taken = turns.words[base + CH_SUBMIT_TAIL];
  t.ok(taken <= 3 * QUEUE_ENTRIES, `${taken} requests were taken: a queue of answers told, and about one kept`);
  t.ok(head - taken > 1000, 'others wait in its own queue');
  t.equal(turns.apps.pending, false, 'and keep nobody awake');
  t.ok(await turns.until(() => turns.words[base + CH_SUBMIT_TAIL] === head), 'it is heard again when it has taken the answers');
  turns.end();
});

t.test('a thread that has left is not there any more: what it wrote is sent all the same', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const base = turns.layout.channelBase(1);
  turns.words[base + CH_TID] = DEAD_THREAD;
  const [near, far] = await pair(turns, server, client);
  far.reading = false;
  const sent = Buffer.alloc(200_000, 'to be sent all the same ');
  t.equal(near.flow!.write(sent, 0, sent.length), sent.length);
  client.detach();
  await turns.until(() => false, 50);
  t.equal(turns.words[base + CH_STATE], CHANNEL_LEFT);
  turns.apps.reap((tid) => tid !== DEAD_THREAD);
  far.reading = true;
  far.readAll();
  t.ok(await turns.until(() => far.events.includes('end')), 'the end comes');
  t.ok(Buffer.concat(far.chunks).equals(sent), 'after every byte');
  far.flow!.close();
  turns.pass(61_000_000);
  t.equal(turns.words[base + CH_STATE], CHANNEL_FREE, 'then its channel is free');
  turns.end();
});

t.test('connections that a thread leaves unaccepted are reset', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [, , accepting] = await pair(turns, server, client);
  const late = new Recorder();
  late.flow = client.connect({ host: '127.0.0.1', port: accepting.port }, late);
  await new Promise((resolve) => process.nextTick(resolve));
  turns.pass(5000);
  server.detach();
  t.ok(await turns.until(() => late.events.includes('close')));
  t.ok(late.events.includes(`error ${ECONNRESET}`), late.events.join(', '));
  t.equal(accepting.accepted.length, 1, 'which the app never saw');
  turns.end();
});

t.test('a thread can die at any place, and its slot comes back', async (t) => {
  const turns = new Turns();
  const at = (channel: number): number => turns.layout.channelBase(channel) + CH_STATE;
  turns.words[at(0)] = CHANNEL_CLAIMED | (DEAD_THREAD << CLAIM_SHIFT);
  turns.words[at(1)] = CHANNEL_CLAIMED | (4711 << CLAIM_SHIFT);
  turns.words[at(2)] = CHANNEL_FAILED;
  turns.words[turns.layout.channelBase(2) + CH_TID] = DEAD_THREAD;
  turns.words[at(3)] = CHANNEL_LEFT;
  turns.apps.reap((tid) => tid !== DEAD_THREAD);
  t.same([0, 1, 2, 3].map((channel) => turns.words[at(channel)]), [CHANNEL_FREE, CHANNEL_CLAIMED | (4711 << CLAIM_SHIFT), CHANNEL_FREE, CHANNEL_FREE]);
  turns.attach();
  turns.end();
});

t.test('a channel that calls itself free while a thread is in it is ended: nobody comes into its flows', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [, far] = await pair(turns, server, client);
  const at = turns.layout.channelBase(1) + CH_STATE;
  t.equal(turns.words[at], CHANNEL_ATTACHED);
  turns.words[at] = CHANNEL_FREE;
  turns.apps.reap(() => true);
  t.equal(turns.words[at], CHANNEL_FAILED);
  t.match(violationText(turns.words[turns.layout.channelBase(1) + CH_VIOLATION]!), /state of its channel/);
  t.ok(await turns.until(() => far.events.includes(`error ${ECONNRESET}`)), 'its connections are reset');
  turns.end();
});

t.test('a request never overtakes another, also where the queue is full', async (t) => {
  const turns = new Turns({ maxFlows: 8192 });
  const client = turns.attach();
  const flows: AppFlow[] = [];
  const hosts = ['127.0.0.2', '127.0.0.3', '127.0.0.4'];
  for (let i = 0; i < 3000; i++) flows.push(client.connect({ host: '127.0.0.1', port: 9, localAddress: hosts[i % 3]! }, new Recorder()));
  t.ok(await turns.until(() => flows.every((flow) => flow.localPort !== 0)), 'all are answered');
  t.equal(flows.findIndex((flow, i) => flow.localAddress !== hosts[i % 3]), -1, 'each comes from its own address');
  turns.end();
});

t.test('what has come before a reset is read after it, and is not another connection\'s', async (t) => {
  const turns = new Turns({ receiveBlocks: 8 });
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far, accepting] = await pair(turns, server, client);
  far.reading = false;
  near.flow!.write(Buffer.from('from before'), 0, 11);
  await turns.until(() => far.flow!.readableLength === 11);
  near.flow!.reset();
  t.ok(await turns.until(() => far.events.includes(`error ${ECONNRESET}`)));
  const other = new Recorder();
  other.flow = client.connect({ host: '127.0.0.1', port: accepting.port }, other);
  await turns.until(() => accepting.accepted.length === 2);
  for (let i = 0; i < 40; i++) {
    other.flow.write(Buffer.alloc(BLOCK_BYTES, 'x'), 0, BLOCK_BYTES);
    await turns.until(() => accepting.accepted[1]!.length === (i + 1) * BLOCK_BYTES);
  }
  t.notOk(far.events.includes('close'), 'it is not over while bytes wait');
  far.readAll();
  t.equal(Buffer.concat(far.chunks).toString(), 'from before');
  t.ok(await turns.until(() => far.events.includes('close')));
  turns.end();
});

t.test('who has left reads nothing any more', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far] = await pair(turns, server, client);
  far.reading = false;
  near.flow!.write(Buffer.from('hello'), 0, 5);
  await turns.until(() => far.flow!.readableLength === 5);
  server.detach();
  t.equal(far.flow!.readableLength, 0);
  t.equal(far.flow!.read(), null);
  t.ok(await turns.until(() => near.events.includes(`error ${ECONNRESET}`)), 'and as with any close, unread bytes make it a reset');
  turns.end();
});

t.test('links of the receive pool that an app thread has overwritten lead the TCP server nowhere', async (t) => {
  const turns = new Turns();
  const free = turns.payload.receiveBlocksFree;
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far] = await pair(turns, server, client);
  far.reading = false;
  const sent = Buffer.alloc(100_000, 1);
  near.flow!.write(sent, 0, sent.length);
  await turns.until(() => far.flow!.readableLength === sent.length);
  turns.words.fill(0x7fffffff, turns.layout.linkBase, turns.layout.linkBase + turns.layout.sizes.receiveBlocks);
  far.flow!.close();
  await turns.until(() => near.events.includes('close'));
  t.equal(turns.payload.receiveBlocksFree, free, 'every block comes back');
  const [again, other] = await pair(turns, server, client);
  again.flow!.write(sent, 0, sent.length);
  t.ok(await turns.until(() => other.length === sent.length));
  t.ok(Buffer.concat(other.chunks).equals(sent), 'and each is a block');
  turns.end();
});

t.test('a connection counts in the backlog of the listener it came by, not of one that follows it', (t) => {
  const stack = { listen: () => 0, listenerPort: () => 80, unlisten: () => {}, stats: new Float64Array(STATS_LENGTH) };
  const channel = { flows: 0 } as ServerChannel;
  const listeners = new ServerListeners(stack as unknown as Stack);
  listeners.listen(channel, 1, new Int32Array(4), 80, 1);
  const { group } = listeners.give(0, 0)!;
  listeners.unlisten(channel, 1);
  listeners.listen(channel, 2, new Int32Array(4), 80, 1);
  const second = listeners.give(0, 0)!;
  listeners.taken(group, channel);
  t.equal(listeners.give(0, 0), undefined, 'the one before it makes no room here');
  t.equal(stack.stats[LISTEN_OVERFLOWS], 1);
  listeners.taken(second.group, channel);
  t.equal(listeners.give(0, 0)?.request, 2);
  t.end();
});

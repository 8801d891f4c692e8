/** Several TCP servers with the same addresses, and app threads that have a channel to each, turn by turn, in one thread. */
import t from 'tap';
import { getAffinity, gettid, setAffinity } from '../../lib/nic/syscalls.js';
import { AppPort } from '../../lib/runtime/app_port.js';
import type { ServerHandle } from '../../lib/runtime/config.js';
import { Governor, cpusWanted, spread } from '../../lib/runtime/governor.js';
import { CHANNEL_ATTACHED, CHANNEL_FREE, CHANNEL_LEFT, CH_SLEEP, CH_STATE, CH_SUBMIT_HEAD, CTRL_BUSY, CTRL_CPU, CTRL_CROWDED, CTRL_STATE, CTRL_STOP, CTRL_TID, Layout, STATE_DEAD } from '../../lib/runtime/layout.js';
import { OP_MASK } from '../../lib/runtime/messages.js';
import { cpusFor } from '../../lib/runtime/placement.js';
import { HostGroup } from '../../lib/runtime/hosts.js';
import type { ServerHost } from '../../lib/runtime/hosts.js';
import { EADDRINUSE } from '../../lib/tcp/errno.js';
import { shareOf } from '../../lib/tcp/share.js';
import { Accepting, Recorder, connect } from '../support/recorder.js';
import { Turns } from '../support/turns.js';

const KEY = 0x2545f491;

class Servers {
  readonly each: Turns[];
  readonly handle: ServerHandle;
  readonly ports: AppPort[] = [];

  constructor(count: number) {
    const first = new Turns({}, undefined, { index: 0, count, key: KEY });
    this.each = [first];
    for (let index = 1; index < count; index++) this.each.push(new Turns({}, undefined, { index, count, key: KEY }, first));
    this.handle = { ...first.handle, others: this.each.slice(1).map(({ handle }) => handle.memory), key: KEY };
  }

  attach(): AppPort {
    const port = new AppPort(this.handle);
    this.ports.push(port);
    return port;
  }

  async until(done: () => boolean, turning: readonly Turns[] = this.each, most = 5000): Promise<boolean> {
    for (let i = 0; i < most; i++) {
      for (const turns of turning) turns.turn();
      await new Promise(setImmediate);
      if (done()) return true;
    }
    return false;
  }

  end(): void {
    for (const port of this.ports) port.detach();
    for (const turns of this.each) turns.turn();
  }
}

/** The listeners that each has. */
function listening(servers: Servers): number[] {
  return servers.each.map(({ stack }) => stack.core.listeners.ports.filter((port) => port !== 0).length);
}

t.test('the part of a connection is told from its ports, either way round, and all have their share of them', async (t) => {
  for (const count of [2, 3, 4, 7]) {
    for (const step of [1, 2, 64]) { // Linux takes every second port
      const connections = new Array<number>(count).fill(0);
      for (let port = 32768; port < 60000; port += step) {
        const index = shareOf(port, 80, count, KEY);
        connections[index]!++;
        if (shareOf(80, port, count, KEY) !== index) t.fail(`${port}: not the same from the other end`);
      }
      const even = connections.reduce((sum, each) => sum + each, 0) / count;
      t.ok(connections.every((each) => each > even / 2 && each < even * 2), `${count} servers, ports ${step} apart: ${connections.join(', ')}`);
    }
  }
});

t.test('a listener has the same port at all of them, connections of any are accepted, and bytes go both ways', async (t) => {
  const servers = new Servers(3);
  const app = servers.attach();
  const accepting = new Accepting();
  const listener = app.listen({ host: null, port: 0, backlog: 511 }, accepting);
  t.ok(await servers.until(() => accepting.events.length > 0));
  t.strictSame(accepting.events, ['listening ::']);
  t.strictSame(listening(servers), [1, 1, 1]);
  t.ok(servers.each.every(({ stack }) => stack.core.listeners.ports.includes(accepting.port)), 'one port');

  const client = servers.attach();
  const near = Array.from({ length: 30 }, () => connect(client, accepting.port));
  t.ok(await servers.until(() => near.every(({ events }) => events.includes('connect')) && accepting.accepted.length === 30));
  t.strictSame(servers.each.map(({ stack }) => stack.flowsInUse), [20, 20, 20], 'who may go anywhere goes by turns');
  for (const { flow } of near) flow!.write(Buffer.from(`from ${flow!.localPort}`), 0, `from ${flow!.localPort}`.length);
  t.ok(await servers.until(() => accepting.accepted.every((far) => far.length > 0)));
  for (const { flow, chunks } of accepting.accepted) t.equal(Buffer.concat(chunks).toString(), `from ${flow!.remotePort}`);
  for (const { flow } of [...near, ...accepting.accepted]) flow!.end();
  t.ok(await servers.until(() => [...near, ...accepting.accepted].every(({ events }) => events.includes('close'))));

  listener.close();
  t.ok(await servers.until(() => accepting.events.includes('close')));
  t.strictSame(listening(servers), [0, 0, 0]);
  servers.end();
});

t.test('a local port leads to the TCP server that has its connections', async (t) => {
  const servers = new Servers(2);
  const app = servers.attach();
  const accepting = new Accepting();
  app.listen({ host: null, port: 7000, backlog: 511 }, accepting);
  await servers.until(() => accepting.port > 0);
  const ports = Array.from({ length: 20 }, (_, i) => 40000 + i);
  const near = ports.map((localPort) => {
    const recorder = new Recorder();
    recorder.flow = app.connect({ host: '127.0.0.1', port: 7000, localPort }, recorder);
    return recorder;
  });
  t.ok(await servers.until(() => near.every(({ events }) => events.includes('connect'))));
  t.strictSame(near.map(({ flow }) => flow!.localPort), ports);
  const wanted = [0, 1].map((index) => 2 * ports.filter((port) => shareOf(port, 7000, 2, KEY) === index).length);
  t.strictSame(servers.each.map(({ stack }) => stack.flowsInUse), wanted);
  servers.end();
});

t.test('the first one decides who listens; a refusal of another leaves nothing behind', async (t) => {
  const servers = new Servers(2);
  const [first, second] = servers.each as [Turns, Turns];
  const [one, two] = [servers.attach(), servers.attach()];
  const accepting = new Accepting();
  one.listen({ host: null, port: 7000, backlog: 511 }, accepting);
  await servers.until(() => accepting.port > 0);
  const refused = new Accepting();
  two.listen({ host: null, port: 7000, backlog: 511, distribution: 'round-robin' }, refused);
  t.ok(await servers.until(() => refused.events.includes('close')));
  t.match(refused.events, [/error/, 'close']);
  t.strictSame(listening(servers), [1, 1]);

  // Somebody has the port at the second one alone, as no app thread can.
  second.stack.listen(new Int32Array(4), 7001, 5);
  const halfway = new Accepting();
  one.listen({ host: null, port: 7001, backlog: 511 }, halfway);
  t.ok(await servers.until(() => halfway.events.includes('close')));
  t.strictSame(halfway.events, [`error ${EADDRINUSE}`, 'close']);
  t.strictSame(listening(servers), [1, 2]);

  // Until the others have given it up nobody else gets it.
  const next = new Accepting();
  const closing = new Accepting();
  const listener = one.listen({ host: null, port: 7002, backlog: 511 }, closing);
  await servers.until(() => closing.port > 0);
  listener.close();
  t.notOk(await servers.until(() => closing.events.includes('close'), [first], 5));
  t.strictSame(closing.events, ['listening ::'], 'the second one has not answered');
  t.strictSame(listening(servers), [2, 3], 'and so the first one has not been told');
  two.listen({ host: null, port: 7002, backlog: 511 }, next);
  t.ok(await servers.until(() => closing.events.includes('close') && next.events.length > 0));
  t.strictSame(next.events, ['listening ::'], 'and joined those who listen there');
  servers.end();
});

t.test('a connection that comes before all of them listen waits until the app knows of the port', async (t) => {
  const servers = new Servers(2);
  const [first] = servers.each as [Turns, Turns];
  const [app, client] = [servers.attach(), servers.attach()];
  const accepting = new Accepting();
  app.listen({ host: null, port: 7000, backlog: 511 }, accepting);
  t.notOk(await servers.until(() => accepting.events.length > 0, [first], 5), 'the second one has no turn');
  const localPort = Array.from({ length: 100 }, (_, i) => 40000 + i).find((port) => shareOf(port, 7000, 2, KEY) === 0)!;
  const near = new Recorder();
  near.flow = client.connect({ host: '127.0.0.1', port: 7000, localPort }, near);
  t.ok(await servers.until(() => near.events.includes('connect'), [first]));
  t.equal(accepting.accepted.length, 0);
  t.ok(await servers.until(() => accepting.accepted.length === 1));
  t.strictSame(accepting.events, ['listening ::']);

  // And one that is closed before that ends in good order.
  const hasty = new Accepting();
  app.listen({ host: null, port: 7001, backlog: 511 }, hasty).close();
  t.ok(await servers.until(() => hasty.events.includes('close')));
  t.strictSame(hasty.events, ['listening ::', 'close']);
  t.strictSame(listening(servers), [1, 1]);
  servers.end();
});

t.test('an app may connect to where it has just begun to listen', async (t) => {
  const servers = new Servers(3);
  const app = servers.attach();
  const accepting = new Accepting();
  app.listen({ host: null, port: 7000, backlog: 511 }, accepting);
  const near = Array.from({ length: 9 }, () => connect(app, 7000));
  t.ok(await servers.until(() => near.every(({ events }) => events.length > 0) && accepting.accepted.length === 9));
  for (const { events } of near) t.strictSame(events, ['connect']);
  const refused = new Accepting();
  app.listen({ host: null, port: 7000, backlog: 511, distribution: 'round-robin' }, refused);
  const last = connect(app, 7000);
  t.ok(await servers.until(() => last.events.length > 0));
  t.strictSame(last.events, ['connect'], 'also where it may not listen there once more');
  servers.end();
});

t.test('whichever of them wakes an app thread, it sleeps in the memory of the first', async (t) => {
  const servers = new Servers(2);
  const [first, second] = servers.each as [Turns, Turns];
  const app = servers.attach();
  await servers.until(() => false, servers.each, 10);
  const sleepAt = first.layout.channelBase(0) + CH_SLEEP;
  t.equal(first.words[sleepAt], 1, 'it sleeps');
  t.equal(second.words[sleepAt], 0);
  const base = second.layout.channelBase(0);
  second.words[second.layout.submissionBase(0)] = OP_MASK; // no operation: the channel is ended
  second.words[base + CH_SUBMIT_HEAD] = 1;
  second.turn();
  t.equal(first.words[sleepAt], 0);
  t.ok(await servers.until(() => !app.alive, [first]));
  servers.end();
});

t.test('a thread has a channel of one number at all of them, and leaves all of them', async (t) => {
  const servers = new Servers(2);
  const [first, second] = servers.each as [Turns, Turns];
  const stateAt = (number: number): number => first.layout.channelBase(number) + CH_STATE;
  // The first place is still being left at the second one.
  second.words[stateAt(0)] = CHANNEL_LEFT;
  const app = servers.attach();
  t.strictSame(servers.each.map(({ words }) => words[stateAt(0)]), [CHANNEL_FREE, CHANNEL_LEFT]);
  t.strictSame(servers.each.map(({ words }) => words[stateAt(1)]), [CHANNEL_ATTACHED, CHANNEL_ATTACHED]);
  await servers.until(() => false, servers.each, 5);
  app.detach();
  for (const turns of servers.each) turns.turn();
  t.strictSame(servers.each.map(({ words }) => words[stateAt(1)]), [CHANNEL_FREE, CHANNEL_FREE]);
});

t.test('where one of them ends every connection is over', async (t) => {
  const servers = new Servers(2);
  const app = servers.attach();
  const accepting = new Accepting();
  app.listen({ host: null, port: 0, backlog: 511 }, accepting);
  await servers.until(() => accepting.port > 0);
  const near = [connect(app, accepting.port), connect(app, accepting.port)];
  await servers.until(() => near.every(({ events }) => events.includes('connect')));
  let ended: Error | null = null;
  app.onEnd((error) => { ended = error; });
  servers.each[1]!.words[CTRL_STATE] = STATE_DEAD;
  app.pump();
  t.match(ended, /the TCP server has ended/);
  t.notOk(app.alive);
  for (const { events } of near) t.match(events.slice(-2), [/error/, 'close']);
});

t.test('hosts live and end together', async (t) => {
  const memories = [0, 1].map(() => new Int32Array(new SharedArrayBuffer(new Layout({ maxApps: 1, maxFlows: 16, receiveBlocks: 1, sendBlocks: 1 }).byteLength)));
  const ends: ((error: Error | null) => void)[] = [];
  const stopped: number[] = [];
  const hosts = memories.map((_, index): ServerHost => ({
    ready: Promise.resolve([`192.0.2.${index}/24`]),
    ended: new Promise((resolve) => { ends[index] = resolve; }),
    watchAddresses() {},
    stop() { stopped.push(index); },
    finish() {},
  }));
  const group = new HostGroup(hosts, memories);
  t.strictSame(await group.ready, ['192.0.2.0/24'], 'the addresses that the first one tells');
  let over = false;
  void group.ended.then(() => { over = true; });
  const why = new Error('why');
  ends[1]!(why);
  await new Promise(setImmediate);
  t.strictSame(memories.map((words) => words[CTRL_STOP]), [1, 1], 'all are told to stop');
  t.strictSame(stopped, [0, 1]);
  t.notOk(over, 'not before the last one has ended');
  ends[0]!(null);
  t.equal(await group.ended, why);
});

t.test('CPUs follow the load, with a distance between more and fewer', async (t) => {
  t.equal(cpusWanted(0.7, 1, 4), 1);
  t.equal(cpusWanted(0.81, 1, 4), 2);
  t.equal(cpusWanted(0.81, 2, 4), 2, '1.19 are idle');
  t.equal(cpusWanted(0.74, 2, 4), 1);
  t.equal(cpusWanted(0, 1, 4), 1, 'one at least');
  t.equal(cpusWanted(4, 4, 4), 4, 'no more than there are');
  let cpus = 1;
  for (let load = 0; load <= 4; load += 0.05) {
    const next = cpusWanted(load, cpus, 4);
    t.equal(cpusWanted(load, next, 4), Math.max(next, cpusWanted(load, next, 4)), `${load.toFixed(2)}: what was added is not taken back`);
    cpus = next;
  }
  t.equal(cpus, 4);
});

const cpus = getAffinity();

t.test('threads are together on one CPU while little happens, and apart when much does', { skip: cpus.length < 2 && 'needs two CPUs' }, async (t) => {
  const memories = [0, 1].map(() => new Int32Array(new SharedArrayBuffer(4096)));
  const [first, second] = cpus as [number, number];
  const governor = new Governor(memories, [first, second]);
  let now = 1_000_000;
  /** So much later, in which each was busy for a share of the time. */
  const look = (us: number, ...shares: number[]): unknown[] => {
    now += us;
    memories.forEach((words, server) => { words[CTRL_BUSY] = (words[CTRL_BUSY]! + us * shares[server]!) | 0; });
    governor.govern(now);
    return memories.map((words) => [words[CTRL_CPU], words[CTRL_CROWDED]]);
  };
  memories[0]![CTRL_CPU] = memories[1]![CTRL_CPU] = -1;
  memories[0]![CTRL_TID] = gettid();
  t.teardown(() => setAffinity(cpus));
  t.strictSame(look(0, 0, 0), [[-1, 0], [-1, 0]], 'one of them is not up');
  memories[1]![CTRL_TID] = gettid();
  t.strictSame(look(50_000, 1, 1), [[-1, 0], [-1, 0]], 'it was looked at a moment ago');
  t.strictSame(look(100_000, 0, 0), [[first, 1], [first, 1]]);
  t.strictSame(getAffinity(), [first]);
  memories[0]![CTRL_BUSY] = 0x7fffff00; // which wraps
  look(100_000, 0, 0);
  t.strictSame(look(100_000, 0.3, 0.4), [[first, 1], [first, 1]]);
  t.strictSame(look(100_000, 0.3, 0.6), [[second, 0], [first, 0]], 'the busier one stays');
  t.strictSame(look(100_000, 0.5, 0.4), [[second, 0], [first, 0]]);
  t.strictSame(look(100_000, 0.3, 0.3), [[first, 1], [first, 1]]);
});

t.test('loads are spread evenly over the CPUs', async (t) => {
  t.strictSame(spread([0.5, 0.1, 0.4, 0.3], 1), [0, 0, 0, 0]);
  t.strictSame(spread([0.5, 0.1, 0.4, 0.3], 2), [0, 0, 1, 1]);
  t.strictSame(spread([0, 0, 0], 2), [0, 1, 0], 'those without load, too');
  t.strictSame([...spread([0.2, 0.9, 0.3], 3)].sort(), [0, 1, 2]);
});

t.test('the policy gives them the last CPUs, half of all at most', async (t) => {
  const eight = [0, 1, 2, 3, 4, 5, 6, 7];
  t.strictSame(cpusFor({ cpu: 'auto', servers: 1 }, eight), [7]);
  t.strictSame(cpusFor({ cpu: 'auto', servers: 3 }, eight), [5, 6, 7]);
  t.strictSame(cpusFor({ cpu: 'auto', servers: 8 }, eight), [4, 5, 6, 7]);
  t.strictSame(cpusFor({ cpu: 'auto', servers: 2 }, [0, 1]), [], 'none to spare');
  t.strictSame(cpusFor({ cpu: [1, 3], servers: 2 }, eight), [1, 3]);
  t.strictSame(cpusFor({ cpu: 2, servers: 2 }, eight), [2]);
  t.strictSame(cpusFor({ cpu: null, servers: 2 }, eight), []);
});

/** Tables and wheels against the plainest code that does the same. */
import t from 'tap';
import { FlowQueues } from '../../lib/tcp/conn/flow_queues.js';
import { RangePool } from '../../lib/tcp/conn/ranges.js';
import { after, before, earlier, later, notAfter } from '../../lib/tcp/conn/seq.js';
import { LOCAL_ADDRESS, LOCAL_PORT, REMOTE_ADDRESS, REMOTE_PORT, TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Demux } from '../../lib/tcp/demux.js';
import { EADDRINUSE, ENOBUFS } from '../../lib/tcp/errno.js';
import { IsnGenerator } from '../../lib/tcp/isn.js';
import { Listeners } from '../../lib/tcp/listeners.js';
import { PortUses } from '../../lib/tcp/port_uses.js';
import { WHOLE } from '../../lib/tcp/share.js';
import { SipHash } from '../../lib/tcp/siphash.js';
import { STATS_LENGTH, STAT_NAMES } from '../../lib/tcp/stats.js';
import { TimerWheel } from '../../lib/tcp/timer_wheel.js';
import { randomOf } from '../support/random.js';

const NONE = -1;

t.test('RFC 9293 3.4: comparison of sequence numbers, also where they wrap', async (t) => {
  const random = randomOf(1);
  let wrong = 0;
  for (let i = 0; i < 100_000; i++) {
    const a = random() | 0;
    const distance = (random() % 0x7fff_ffff) + 1;
    const b = (a + distance) | 0;
    if (!before(a, b) || before(b, a) || before(a, a) || !notAfter(a, b) || !notAfter(a, a) || !after(b, a)) wrong++;
    if (later(a, b) !== b || earlier(a, b) !== a || later(b, a) !== b || earlier(b, a) !== a) wrong++;
  }
  t.equal(wrong, 0);
});

t.test('timer wheel: as a sorted list, over wraps of the tick counter', async (t) => {
  for (let seed = 1; seed <= 12; seed++) {
    const random = randomOf(seed);
    const nodes = seed % 3 === 0 ? 400 : 20;
    let now = seed % 2 === 0 ? 0x7fff_ff00 : (random() | 0);
    const wheel = new TimerWheel(nodes, now);
    const model = new Map<number, number>();
    let wrong = 0;
    let last = 0;
    const sink = {
      expired(node: number): void {
        const left = (model.get(node)! - now) | 0;
        const early = [...model.values()].some((deadline) => ((deadline - model.get(node)!) | 0) < 0);
        if (!model.has(node) || left > 0 || early) wrong++;
        model.delete(node);
        last++;
        // Some are armed again at once, as a connection does.
        if (random() % 4 === 0) arm(node, random() % 100);
      },
    };
    const arm = (node: number, ticks: number): void => {
      const deadline = (wheel.time + Math.max(ticks, 1)) | 0;
      wheel.arm(node, (wheel.time + ticks) | 0);
      model.set(node, deadline);
    };
    const spans = [1, 3, 64, 70, 5000, 300_000, 20_000_000, 0x7fff_0000];
    for (let i = 0; i < 5000; i++) {
      const node = random() % nodes;
      const what = random() % 5;
      if (what < 2) arm(node, random() % spans[random() % spans.length]!);
      else if (what === 2) { wheel.cancel(node); model.delete(node); } else {
        const step = random() % spans[random() % (spans.length - 1)]!;
        // Deadlines must stay less than 2^31 ahead of the present.
        now = (now + step) | 0;
        wheel.advance(now, sink);
        if ([...model.values()].some((deadline) => ((deadline - now) | 0) <= 0)) wrong++;
      }
      if (wheel.armed !== model.size) wrong++;
      if (model.size > 0) {
        const least = Math.min(...[...model.values()].map((deadline) => (deadline - now) | 0));
        const next = (wheel.next() - now) | 0;
        if (next <= 0 || (model.size <= 32 ? next !== least : next > least)) wrong++;
      }
    }
    t.equal(wrong, 0, `seed ${seed}: ${last} expired`);
  }
});

t.test('timer wheel: a deadline that moves back costs no move', async (t) => {
  const wheel = new TimerWheel(2, 0);
  wheel.armBy(0, 100);
  wheel.armBy(0, 500);
  t.equal(wheel.next(), 100);
  wheel.armBy(0, 50);
  t.equal(wheel.deadline(0), 50);
  t.ok(wheel.isArmed(0));
  wheel.cancel(0);
  wheel.cancel(0);
  t.equal(wheel.armed, 0);
});

t.test('out-of-order ranges: as a set of bytes', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const origin = seed % 2 === 0 ? -300 : random() | 0;
    const pool = new RangePool(64);
    const bytes = new Set<number>();
    let head = NONE;
    let next = 0;
    let count = 0;
    let wrong = 0;
    for (let i = 0; i < 400; i++) {
      const start = next + 1 + (random() % 400);
      const end = start + 1 + (random() % 60);
      const seqStart = (origin + start) | 0;
      const seqEnd = (origin + end) | 0;
      if (random() % 8 === 0) {
        // The stream reaches on, by itself or over what is there.
        next += random() % 50;
        let reach = next;
        while (bytes.has(reach)) reach++;
        head = pool.absorb(head, (origin + next) | 0);
        count += pool.change;
        const got = pool.reached;
        if (got !== ((origin + reach) | 0)) wrong++;
        next = (got - origin) | 0;
        for (const byte of bytes) if (byte < next) bytes.delete(byte);
        continue;
      }
      const touching = rangesOf(bytes).some(([a, b]) => a <= end && start <= b);
      if (pool.touches(head, seqStart, seqEnd) !== touching) wrong++;
      let covered = true;
      for (let byte = start; byte < end; byte++) if (!bytes.has(byte)) covered = false;
      if (pool.covers(head, seqStart, seqEnd) !== covered) wrong++;
      if (pool.available === 0 && !touching) continue;
      head = pool.insert(head, seqStart, seqEnd);
      count += pool.change;
      for (let byte = start; byte < end; byte++) bytes.add(byte);
      const expected = rangesOf(bytes);
      const found: [number, number][] = [];
      for (let at = head; at !== NONE; at = pool.nexts[at]!) {
        found.push([(pool.starts[at]! - origin) | 0, (pool.ends[at]! - origin) | 0]);
      }
      if (JSON.stringify(expected) !== JSON.stringify(found) || count !== found.length || pool.available !== 64 - count) wrong++;
      const probe = next + (random() % 500);
      if ((pool.holding(head, (origin + probe) | 0) !== NONE) !== bytes.has(probe)) wrong++;
    }
    t.equal(wrong, 0, `seed ${seed}`);
    pool.drop(head);
    t.equal(pool.available, 64);
  }
});

function rangesOf(bytes: Set<number>): [number, number][] {
  const ranges: [number, number][] = [];
  for (const byte of [...bytes].sort((a, b) => a - b)) {
    const last = ranges.at(-1);
    if (last !== undefined && last[1] === byte) last[1]++;
    else ranges.push([byte, byte + 1]);
  }
  return ranges;
}

t.test('SipHash-2-4: the vectors of its authors', async (t) => {
  const hash = new SipHash(Uint8Array.from({ length: 16 }, (_, i) => i));
  const input = Int32Array.of(0x03020100, 0x07060504);
  hash.hash(input, 0, 0);
  t.strictSame([hash.high >>> 0, hash.low >>> 0], [0x726fdb47, 0xdd0e0e31]);
  hash.hash(input, 0, 1);
  t.strictSame([hash.high >>> 0, hash.low >>> 0], [0xcf2794e0, 0x277187b7]);
  hash.hash(input, 0, 2);
  t.strictSame([hash.high >>> 0, hash.low >>> 0], [0x93f5f579, 0x9a932462]);
});

t.test('MUST-8, SHLD-1, MUST-9, RFC 6528 3: sequence numbers ascend with time, and tell nothing of other connections', async (t) => {
  const isn = new IsnGenerator(new Uint8Array(16).fill(3));
  const words = Int32Array.of(0, 0, 0xffff, 1, 0, 0, 0xffff, 2);
  isn.generate(1e15, words, 0, 4, 80, 1000);
  const first = isn.isn;
  isn.generate(1e15 + 4000, words, 0, 4, 80, 1000);
  t.equal((isn.isn - first) | 0, 1000);
  isn.generate(1e15, words, 0, 4, 80, 1001);
  t.not(isn.isn, first);
  const other = new IsnGenerator(new Uint8Array(16).fill(4));
  other.generate(1e15, words, 0, 4, 80, 1000);
  t.not(other.isn, first);
});

t.test('demultiplexer: as a map', async (t) => {
  const random = randomOf(5);
  const flows = 300;
  const words = new Int32Array(flows * TCB_WORDS + 10);
  const demux = new Demux(words, 10, flows, new Uint8Array(16).fill(9));
  const model = new Map<string, number>();
  const key = new Int32Array(8);
  const keys = new Map<number, string>();
  let wrong = 0;
  for (let i = 0; i < 20_000; i++) {
    const flow = random() % flows;
    if (keys.has(flow)) {
      demux.remove(flow);
      model.delete(keys.get(flow)!);
      keys.delete(flow);
    } else {
      const ipv6 = random() % 3 === 0;
      for (let word = 0; word < 8; word++) key[word] = ipv6 ? random() % 3 : word % 4 === 3 ? random() % 4 : word % 4 === 2 ? 0xffff : 0;
      const local = random() % 3;
      const remote = random() % 20;
      const name = `${key.join()} ${local} ${remote}`;
      const found = demux.find(key, 0, 4, local, remote);
      if (found !== (model.get(name) ?? NONE)) wrong++;
      if (found !== NONE) continue;
      const base = 10 + flow * TCB_WORDS;
      for (let word = 0; word < 4; word++) {
        words[base + LOCAL_ADDRESS + word] = key[word]!;
        words[base + REMOTE_ADDRESS + word] = key[4 + word]!;
      }
      words[base + LOCAL_PORT] = local;
      words[base + REMOTE_PORT] = remote;
      demux.add(flow);
      model.set(name, flow);
      keys.set(flow, name);
    }
    if (demux.count !== model.size) wrong++;
  }
  t.equal(wrong, 0);
});

t.test('RFC 6056 3.3: ephemeral ports differ, are shared between peers, and run out', async (t) => {
  const words = new Int32Array(8 * TCB_WORDS);
  const uses = new PortUses();
  const demux = new Demux(words, 0, 8, new Uint8Array(16), uses);
  const listeners = new Listeners(4);
  const any = new Int32Array(4);
  t.equal(listeners.add(any, 0, 1003, 5), 0);
  const ask = (remote: number): number => demux.ephemeralPort(words, LOCAL_ADDRESS, REMOTE_ADDRESS, remote, 1000, 1003, 2, listeners, WHOLE);
  const seen: number[] = [];
  for (let flow = 0; flow < 3; flow++) {
    const port = ask(80);
    seen.push(port);
    words[flow * TCB_WORDS + LOCAL_PORT] = port;
    words[flow * TCB_WORDS + REMOTE_PORT] = 80;
    demux.add(flow);
  }
  t.strictSame(seen, [1002, 1000, 1001], 'from a random place on, a listening port left out');
  t.equal(ask(80), NONE);
  t.equal(ask(81), 1002);
  t.equal(uses.of(1000), 1);
});

t.test('RFC 3493 3.7, 5.3: any address of both families, of IPv4, of IPv6 alone', async (t) => {
  const both = new Int32Array(4);
  const four = Int32Array.of(0, 0, 0xffff, 0);
  const one4 = Int32Array.of(0, 0, 0xffff, 0x0a000001);
  const one6 = Int32Array.of(0x20010db8, 0, 0, 0);
  const kinds: [string, Int32Array, boolean][] = [
    ['both', both, false], ['IPv4', four, false], ['IPv6', both, true], ['10.0.0.1', one4, false], ['2001:db8::', one6, false],
  ];
  // Which of them may stand beside which on one port.
  const beside: Record<string, string[]> = {
    both: [], IPv4: ['IPv6', '2001:db8::'], IPv6: ['IPv4', '10.0.0.1'], '10.0.0.1': ['IPv6', '2001:db8::'], '2001:db8::': ['IPv4', '10.0.0.1'],
  };
  for (const [name, address, only] of kinds) {
    const listeners = new Listeners(4);
    const id = listeners.add(address, 0, 80, 5, only);
    for (const [other, words, otherOnly] of kinds) {
      t.equal(listeners.taken(words, 0, 80, otherOnly), !beside[name]!.includes(other), `${other} beside ${name}`);
    }
    const takes4 = ['both', 'IPv4', '10.0.0.1'].includes(name);
    const takes6 = ['both', 'IPv6', '2001:db8::'].includes(name);
    t.strictSame([listeners.find(one4, 0, 80), listeners.find(one6, 0, 80)], [takes4 ? id : NONE, takes6 ? id : NONE], `${name} takes`);
  }
  const listeners = new Listeners(4);
  const a = listeners.add(four, 0, 80, 5);
  const b = listeners.add(both, 0, 80, 5, true);
  const c = listeners.add(one6, 0, 81, 5);
  t.strictSame([listeners.find(one4, 0, 80), listeners.find(one6, 0, 80), listeners.find(one6, 0, 81)], [a, b, c]);
});

t.test('listeners: any address and one of its own, in use, and a bound', async (t) => {
  const listeners = new Listeners(3);
  const any = new Int32Array(4);
  const one = Int32Array.of(0, 0, 0xffff, 1);
  const two = Int32Array.of(0, 0, 0xffff, 2);
  const a = listeners.add(one, 0, 80, 5);
  t.equal(listeners.add(any, 0, 80, 5), -EADDRINUSE);
  const b = listeners.add(two, 0, 80, 5);
  const c = listeners.add(any, 0, 96, 5);
  t.equal(listeners.add(any, 0, 97, 5), -ENOBUFS);
  t.equal(listeners.find(one, 0, 80), a);
  t.equal(listeners.find(two, 0, 80), b);
  t.equal(listeners.find(two, 0, 96), c);
  t.equal(listeners.find(two, 0, 81), NONE);
  listeners.remove(a);
  t.equal(listeners.find(one, 0, 80), NONE);
  t.notOk(listeners.isOpen(a));
  t.equal(listeners.add(any, 0, 81, 5), a);
});

t.test('listeners: any address of IPv4, of IPv6, or of both', async (t) => {
  const listeners = new Listeners(4);
  const any = new Int32Array(4);
  const anyFour = Int32Array.of(0, 0, 0xffff, 0);
  const four = Int32Array.of(0, 0, 0xffff, 1);
  const six = Int32Array.of(0xfd << 24, 0, 0, 0);
  const a = listeners.add(anyFour, 0, 80, 1);
  t.equal(listeners.add(any, 0, 80, 1), -EADDRINUSE);
  t.equal(listeners.find(six, 0, 80), NONE);
  const b = listeners.add(any, 0, 80, 1, true);
  t.strictSame([listeners.find(four, 0, 80), listeners.find(six, 0, 80)], [a, b]);
  t.equal(listeners.add(six, 0, 80, 1), -EADDRINUSE);
  const c = listeners.add(any, 0, 81, 1);
  t.strictSame([listeners.find(four, 0, 81), listeners.find(six, 0, 81)], [c, c]);
  t.equal(listeners.add(anyFour, 0, 81, 1), -EADDRINUSE);
});

t.test('queues through the records: as arrays', async (t) => {
  const random = randomOf(8);
  const queues = new FlowQueues(new Int32Array(40 * TCB_WORDS), 0, 3);
  const model: number[][] = [[], [], []];
  let wrong = 0;
  for (let i = 0; i < 5000; i++) {
    const flow = random() % 40;
    const at = model.findIndex((queue) => queue.includes(flow));
    if (at < 0) {
      const queue = random() % 3;
      queues.append(queue, flow);
      model[queue]!.push(flow);
    } else {
      queues.remove(at, flow);
      model[at]!.splice(model[at]!.indexOf(flow), 1);
    }
    for (let queue = 0; queue < 3; queue++) {
      if (queues.firsts[queue] !== (model[queue]![0] ?? NONE) || queues.counts[queue] !== model[queue]!.length) wrong++;
    }
  }
  t.equal(wrong, 0);
});

t.test('every counter has a name', async (t) => {
  t.equal(STAT_NAMES.length, STATS_LENGTH);
  t.equal(new Set(STAT_NAMES).size, STATS_LENGTH);
});

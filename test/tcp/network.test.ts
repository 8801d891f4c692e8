/** Two stacks over a bad link, on a virtual clock: what comes out is what went in, and nothing is left. */
import t from 'tap';
import { fault, type FaultOptions } from '../../lib/nic/fault.js';
import type { Device } from '../../lib/nic/device.js';
import { pipe } from '../../lib/nic/pipe.js';
import {
  EV_ACCEPTED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, STATE_NAMES,
} from '../../lib/tcp/conn/state.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb.js';
import { Stack } from '../../lib/tcp/stack.js';
import type { StackLimits } from '../../lib/tcp/limits.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import { parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { MemoryPayload } from '../support/memory_payload.js';
import { randomOf } from '../support/random.js';

const FLOWS = 64;
const RING = 1 << 17;
/** What one flow keeps in its send ring at most. */
const SEND_BUFFER = 1 << 16;

/** A byte of a stream: differs by flow, direction and place. */
function byteAt(key: number, position: number): number {
  return (Math.imul(position ^ (position >>> 9), 0x9e3779b1) >>> 24) ^ key;
}

class Side {
  readonly stack: Stack;
  readonly payload: MemoryPayload;
  readonly toSend: number;
  /** Bytes that each flow had received when it closed. */
  readonly received: number[] = [];
  readonly ended = new Set<number>();
  readonly errors: number[] = [];
  readonly live = new Set<number>();
  closed = 0;
  wrong = 0;
  /** Nothing is read while this is set. */
  asleep = false;

  constructor(device: Device,
    payload: MemoryPayload, address: string, seed: number, now: number, toSend: number, limits: Partial<StackLimits>) {
    this.payload = payload;
    this.toSend = toSend;
    this.stack = new Stack({
      words: new Int32Array(FLOWS * TCB_WORDS), tcbBase: 0, maxFlows: FLOWS, payload, random: randomOf(seed), now, limits,
      interfaces: [{ device, memory: payload.memory, address, prefix: 24, gateway: null }],
      secret: new Uint8Array(16).fill(seed),
    });
  }

  turn(now: number): void {
    this.stack.receive(now, 1000);
    this.stack.advance(now);
    this.#take();
    for (const flow of this.live) this.#work(flow);
    this.stack.transmit(now);
    this.#take();
  }

  #take(): void {
    for (let flow = this.stack.takeChanged(); flow >= 0; flow = this.stack.takeChanged()) {
      const tcb = this.stack.tcb.at(flow);
      const events = tcb.events;
      tcb.events = 0;
      if ((events & (EV_ACCEPTED | EV_CONNECTED)) !== 0) {
        this.live.add(flow);
        this.stack.setNoDelay(flow, flow % 2 === 0);
      }
      if ((events & EV_EOF) !== 0) this.ended.add(flow);
      if ((events & EV_ERROR) !== 0) this.errors.push(this.stack.tcb.at(flow).error);
      if ((events & (EV_CLOSED | EV_ERROR)) !== 0 && (events & EV_FREED) === 0) {
        this.#work(flow);
        this.live.delete(flow);
        this.closed++;
        this.received.push(this.stack.tcb.at(flow).received);
        this.stack.release(flow);
      }
      if ((events & EV_FREED) !== 0) {
        this.payload.forget(flow);
        this.stack.recycle(flow);
      }
    }
  }

  /** Writes as much as the ring takes, reads what is there, closes at the end. */
  #work(flow: number): void {
    const tcb = this.stack.tcb.at(flow);
    const acked = tcb.acknowledged;
    const from = tcb.written;
    const read = tcb.consumed;
    const there = tcb.received;
    const port = Math.min(tcb.localPort, tcb.remotePort);
    const mine = (tcb.localPort + port) & 255;
    const peers = (tcb.remotePort + port) & 255;
    const to = Math.min(this.toSend, acked + SEND_BUFFER, from + 5000 + (flow * 977) % 4000);
    if (to > from) {
      const bytes = new Uint8Array(to - from);
      for (let i = 0; i < bytes.length; i++) bytes[i] = byteAt(mine, from + i);
      this.payload.put(flow, from, bytes);
      this.stack.write(flow, to);
      if (to === this.toSend) this.stack.shutdown(flow);
    }
    if (there > read && !this.asleep) {
      const bytes = this.payload.get(flow, read, there);
      for (let i = 0; i < bytes.length; i++) if (bytes[i] !== byteAt(peers, read + i)) this.wrong++;
      this.stack.consume(flow, there);
    }
  }

  stat(name: string): number { return this.stack.stats[STAT_NAMES.indexOf(name)]!; }
}

interface Setting {
  seed: number;
  faults: FaultOptions;
  bytes: [number, number];
  flows: number;
  segmentation?: number;
  limits?: Partial<StackLimits>;
}

class Network {
  now = 1_700_000_000_000_000;
  readonly start = this.now;
  readonly a: Side;
  readonly b: Side;
  readonly #next: () => number;

  constructor(setting: Setting) {
    const memories = [new MemoryPayload(FLOWS, RING), new MemoryPayload(FLOWS, RING)] as const;
    const segmentation = setting.segmentation ?? 0;
    const [left, right] = pipe({
      memory: [memories[0].memory, memories[1].memory], segmentation, checksum: segmentation > 0 ? 'left-out' : 'software',
    });
    const clock = (): number => this.now;
    const bad = fault(left, memories[0].memory, { ...setting.faults, seed: setting.seed }, clock);
    this.#next = () => bad.nextEvent?.() ?? Infinity;
    const limits = setting.limits ?? {};
    this.a = new Side(segmentation > 0 && Object.keys(setting.faults).length === 0 ? left : bad, memories[0], '192.0.2.1', setting.seed, this.now, setting.bytes[0], limits);
    this.b = new Side(right, memories[1], '192.0.2.2', setting.seed + 1000, this.now, setting.bytes[1], limits);
    this.b.stack.listen(new Int32Array(4), 80, 64);
    const remote = new Int32Array(4);
    setMapped(remote, 0, parseDotted('192.0.2.2'));
    for (let i = 0; i < setting.flows; i++) this.a.stack.connect(remote, 80, null, 0);
  }

  /** One instant: both take their turns until neither has anything left to do in it. */
  step(): void {
    for (let i = 0; i < 1000; i++) {
      this.a.turn(this.now);
      this.b.turn(this.now);
      if (!this.a.stack.readable() && !this.b.stack.readable() && this.#due() > this.now) return;
    }
    throw new Error('the network does not come to rest');
  }

  #due(): number {
    return Math.min(this.a.stack.pollAt(), this.b.stack.pollAt(), this.#next());
  }

  /** Runs until `done`, or `seconds` have passed. */
  run(seconds: number, done: () => boolean): boolean {
    const until = this.now + seconds * 1e6;
    this.step();
    while (!done()) {
      const due = this.#due();
      if (due > until) {
        this.now = until;
        this.step();
        return done();
      }
      this.now = due;
      this.step();
    }
    return true;
  }

  report(): string {
    const states = (side: Side): string => [...side.live].map((flow) => {
      const tcb = side.stack.tcb.at(flow);
      return `${flow}:${STATE_NAMES[tcb.state]} w${tcb.written} a${tcb.acknowledged} r${tcb.received} cwnd${tcb.cwnd} wnd${tcb.sndWnd}` +
        ` flight${tcb.sndNxt - tcb.sndUna} rec${tcb.recovery} timers${tcb.timers} retries${tcb.retries} backoff${tcb.backoff}`;
    }).join('; ');
    return `${(this.now - this.start) / 1e6} s a[${states(this.a)}] b[${states(this.b)}] errors ${this.a.errors} ${this.b.errors}`;
  }
}

function check(t: Tap, network: Network, setting: Setting, finished: boolean): void {
  const { a, b } = network;
  const good = finished && a.wrong === 0 && b.wrong === 0 && a.errors.length === 0 && b.errors.length === 0;
  t.ok(good, `seed ${setting.seed}: bytes intact both ways in ${((network.now - network.start) / 1e6).toFixed(1)} s` + (good ? '' : network.report()));
  for (const side of [a, b]) {
    const expected = side === a ? setting.bytes[1] : setting.bytes[0];
    t.strictSame(side.received, new Array<number>(setting.flows).fill(expected), 'all of it');
  }
  network.run(200, () => false);
  for (const side of [a, b]) {
    t.strictSame(
      [side.stack.flowsInUse, side.stack.timersArmed, side.stack.rangesInUse, side.stack.orphanCount, side.stack.timeWaitCount],
      [0, 0, 0, 0, 0], 'no flow, timer, range, orphan or TIME-WAIT is left',
    );
  }
}

type Tap = typeof t;

function transfer(t: Tap, setting: Setting, seconds: number): Network {
  const network = new Network(setting);
  const done = (): boolean => network.a.closed === setting.flows && network.b.closed === setting.flows;
  const finished = network.run(seconds, done);
  check(t, network, setting, finished);
  return network;
}

t.test('5 % loss, reordering and duplication: 20 seeds', async (t) => {
  let retransmitted = 0;
  let reordered = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const faults = { loss: 0.05, reorder: 0.1, reorderDelay: 3000, duplicate: 0.05, delay: 5000, jitter: 1000 };
    const network = transfer(t as Tap, { seed, faults, bytes: [150_000 + seed, 90_000 + seed * 7], flows: 3 }, 3000);
    retransmitted += network.a.stat('TcpRetransSegs') + network.b.stat('TcpRetransSegs');
    reordered += network.a.stat('TcpExtTCPOFOQueue') + network.b.stat('TcpExtTCPOFOQueue');
  }
  t.ok(retransmitted > 100, `${retransmitted} segments were sent again`);
  t.ok(reordered > 100, `${reordered} segments came out of order`);
});

t.test('corruption, heavy loss, and sequence numbers without timestamps or scaling', async (t) => {
  for (let seed = 30; seed < 36; seed++) {
    const faults = { loss: 0.15, corrupt: 0.05, duplicate: 0.2, delay: 20_000, jitter: 15_000 };
    const limits = seed % 2 === 0 ? {} : { timestamps: false, sack: false, windowScaling: false };
    transfer(t as Tap, { seed, faults, bytes: [40_000, 40_000], flows: 2, limits }, 3000);
  }
});

t.test('a clean link: nothing is sent twice, super-segments or not', async (t) => {
  for (const segmentation of [0, 65535]) {
    const setting = { seed: 50, faults: {}, bytes: [2_000_000, 1_000_000] as [number, number], flows: 4, segmentation };
    const network = transfer(t as Tap, setting, 100);
    t.equal(network.a.stat('TcpRetransSegs') + network.b.stat('TcpRetransSegs'), 0);
    if (segmentation > 0) {
      t.ok(network.a.stat('TcpOutSegs') < 8_000_000 / 1448, `${network.a.stat('TcpOutSegs')} packets are fewer than segments`);
    }
  }
});

t.test('out-of-order ranges run out: it takes longer, and is right', async (t) => {
  const faults = { loss: 0.1, jitter: 20_000, delay: 5000 };
  const network = transfer(t as Tap, { seed: 60, faults, bytes: [200_000, 200_000], flows: 4, limits: { ranges: 3, rangesPerFlow: 2 } }, 3000);
  t.ok(network.a.stat('TcpExtTCPOFODrop') + network.b.stat('TcpExtTCPOFODrop') > 0);
});

t.test('receive memory runs out, then comes back', async (t) => {
  const setting = { seed: 70, faults: { delay: 1000 }, bytes: [300_000, 10] as [number, number], flows: 2 };
  const network = new Network(setting);
  network.run(0.006, () => false);
  network.b.payload.full = true;
  network.run(20, () => false);
  t.equal(network.b.closed, 0);
  network.b.payload.full = false;
  const finished = network.run(200, () => network.a.closed === 2 && network.b.closed === 2);
  check(t as Tap, network, setting, finished);
});

t.test('a reader that stops: the writer waits, asks, and goes on', async (t) => {
  const setting = { seed: 80, faults: { loss: 0.02, delay: 1000 }, bytes: [900_000, 10] as [number, number], flows: 2 };
  const network = new Network(setting);
  network.run(0.02, () => false);
  network.b.asleep = true;
  network.run(600, () => false);
  t.equal(network.b.closed, 0);
  t.ok(network.a.stat('TcpExtTCPWinProbe') > 5, 'zero-window probes');
  network.b.asleep = false;
  const finished = network.run(600, () => network.a.closed === 2 && network.b.closed === 2);
  check(t as Tap, network, setting, finished);
});

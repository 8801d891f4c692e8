/** Two stacks over a link with faults, on a virtual clock, and owners that write and read a known stream. */
import { fault, type FaultOptions } from '../../../lib/nic/fault.js';
import type { Device } from '../../../lib/nic/device.js';
import { pipe } from '../../../lib/nic/pipe.js';
import {
  EV_ACCEPTED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, STATE_NAMES,
} from '../../../lib/tcp/conn/state.js';
import { Clock } from '../../../lib/tcp/clock.js';
import { TCB_WORDS } from '../../../lib/tcp/conn/tcb_words.js';
import { Stack } from '../../../lib/tcp/stack.js';
import type { StackLimits } from '../../../lib/tcp/limits.js';
import { STAT_NAMES } from '../../../lib/tcp/stats.js';
import { parsePrefix } from '../../../lib/tcp/wire/address.js';
import { MemoryPayload } from '../../support/memory_payload.js';
import { randomOf } from '../../support/random.js';

const FLOWS = 64;
const RING = 1 << 17;

/** A byte of a stream: differs by flow, direction and place. */
function byteAt(key: number, position: number): number {
  return (Math.imul(position ^ (position >>> 9), 0x9e3779b1) >>> 24) ^ key;
}

export class Side {
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
    payload: MemoryPayload, address: string, seed: number, clock: Clock, toSend: number, limits: Partial<StackLimits>) {
    this.payload = payload;
    this.toSend = toSend;
    this.stack = new Stack({
      words: new Int32Array(FLOWS * TCB_WORDS), tcbBase: 0, maxFlows: FLOWS, payload, random: randomOf(seed), clock, limits,
      interfaces: [{ device, memory: payload.memory, addresses: [address], dadTransmits: 0 }],
      secret: new Uint8Array(16).fill(seed),
    });
  }

  turn(): void {
    this.stack.receive(1000);
    this.stack.advance();
    this.#take();
    for (const flow of this.live) this.#work(flow);
    this.stack.transmit();
    this.#take();
  }

  #take(): void {
    for (let flow = this.stack.takeChanged(); flow >= 0; flow = this.stack.takeChanged()) {
      const tcb = this.stack.tcb.at(flow);
      const events = tcb.events;
      tcb.events = 0;
      if ((events & (EV_ACCEPTED | EV_CONNECTED)) !== 0) {
        this.live.add(flow);
        this.stack.settings.setNoDelay(flow, flow % 2 === 0);
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
    const to = Math.min(this.toSend, acked + (this.payload.ringBytes >> 1), from + (this.payload.ringBytes >> 4) + (flow * 977) % 4000);
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

  stat(name: string): number { return this.stack.stats[(STAT_NAMES as readonly string[]).indexOf(name)]!; }
}

export interface Setting {
  seed: number;
  faults: FaultOptions;
  bytes: [number, number];
  flows: number;
  /** Addresses of both ends, each with its prefix. Default: two of IPv4. */
  addresses?: readonly [string, string];
  segmentation?: number;
  limits?: Partial<StackLimits>;
  /** Bytes of the send ring of a flow, a power of two; half of them are in use at most. */
  ring?: number;
}

export class Network {
  readonly clock = new Clock(1_700_000_000_000_000);
  readonly start = this.now;
  readonly a: Side;
  readonly b: Side;
  readonly #next: () => number;
  readonly #remote: Int32Array;
  /** Asked for each frame of so many bytes that would arrive. */
  passes: (length: number) => boolean = () => true;

  constructor(setting: Setting) {
    const ring = setting.ring ?? RING;
    const memories = [new MemoryPayload(FLOWS, ring), new MemoryPayload(FLOWS, ring)] as const;
    const segmentation = setting.segmentation ?? 0;
    const [left, right] = pipe({
      memory: [memories[0].memory, memories[1].memory], segmentation, checksum: segmentation > 0 ? 'left-out' : 'software',
    });
    const bad = fault(left, memories[0].memory, { ...setting.faults, seed: setting.seed }, () => this.now);
    this.#next = () => bad.nextEvent?.() ?? Infinity;
    const limits = setting.limits ?? {};
    const [here, there] = setting.addresses ?? ['192.0.2.1/24', '192.0.2.2/24'];
    this.a = new Side(segmentation > 0 && Object.keys(setting.faults).length === 0 ? left : bad, memories[0], here, setting.seed, this.clock, setting.bytes[0], limits);
    this.b = new Side(right, memories[1], there, setting.seed + 1000, this.clock, setting.bytes[1], limits);
    this.b.stack.listen(new Int32Array(4), 80, 64);
    const remote = new Int32Array(4);
    parsePrefix(there, remote, 0);
    this.#remote = remote;
    this.connect(setting.flows);
    for (const device of [bad, right]) this.#filter(device);
  }

  get now(): number {
    return this.clock.now;
  }

  set now(time: number) {
    this.clock.now = time;
  }

  /** Opens connections from `a` to `b`. */
  connect(count: number): void {
    for (let i = 0; i < count; i++) this.a.stack.connect(this.#remote, 80, null, 0);
  }

  /** What `passes` refuses does not arrive, whichever way it goes. */
  #filter(device: Device): void {
    const receive = device.receive.bind(device);
    device.receive = (sink, budget) => receive({
      frame: (bytes, offset, length, flags, size) => { if (this.passes(length)) sink.frame(bytes, offset, length, flags, size); },
    }, budget);
  }

  /** One instant: both take their turns until neither has anything left to do in it. */
  step(): void {
    for (let i = 0; i < 1000; i++) {
      this.a.turn();
      this.b.turn();
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


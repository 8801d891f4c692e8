/**
 * Two stacks, each with an owner, over a wire that drops, doubles, reorders, delays, damages, cuts and joins what passes.
 * What arrives is a prefix of what was sent, and once the wire is good again everything arrives.
 */
import { RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import { Clock } from '../../lib/tcp/clock.js';
import {
  CLOSED, EV_ACCEPTED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, FREE, NONE, OWNED, RELEASED, STATE_NAMES,
} from '../../lib/tcp/conn/state.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Stack } from '../../lib/tcp/stack.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import { parseAddress } from '../../lib/tcp/wire/address.js';
import { Finding } from './case.js';
import type { Coverage, Step, World } from './case.js';
import { FuzzDevice } from './device.js';
import { checkEmpty, checkStack } from './invariants.js';
import { damage } from './packets.js';
import { FuzzPayload, SEND_RING } from './payload.js';
import { checkSent } from './sent.js';
import type { Link } from './sent.js';
import { Source } from './source.js';
import { drawLimits, OPTIONS, setOption } from './stack_world.js';
import { joinSegments, splitSegment } from './wire.js';

const ADDRESSES = [['198.18.0.1', '198.18.0.2'], ['2001:db8::1', '2001:db8::2']];
const PORT = 80;
const FLOWS = 12;
const SEND_MOST = SEND_RING >> 1;
/** Frames that the wire holds in each direction; more are lost. */
const WIRE_MOST = 200;
const START = 1_700_000_000_000_000;
const SECOND = 1_000_000;
/** How long a device stays without room while time passes. */
const FULL_MOST = 50_000;
const REST = 20;
const INSTANTS = 40_000;
/** Within this time everything arrives once the wire is good: the longest timers are 120 s. */
const PATIENCE = 2 * 3600 * SECOND;
/** Times that both ends take what the other sent in one instant, at most: a window of a few bytes makes for many. */
const ROUNDS = 5000;

/** What the wire does to a frame. */
const DELIVER = 0;
const DROP = 1;
const DOUBLE = 2;
const FLIP = 3;
const DAMAGE = 4;
const TRUNCATE = 5;
const SPLIT = 6;
const JOIN = 7;

interface Frame {
  readonly bytes: Uint8Array;
  readonly flags: number;
  readonly segmentSize: number;
}

/** What is known of one connection, by the port and initial sequence number of who opened it. */
interface Connection {
  /** Bytes that each side has written. */
  readonly written: [number, number];
  readonly eof: [boolean, boolean];
  /** A side has given it up, or was told that it is dead: not all has to arrive. */
  broken: boolean;
}

class Side {
  readonly stack: Stack;
  readonly device: FuzzDevice;
  readonly payload: FuzzPayload;
  readonly t: Tcb;
  readonly states = new Float64Array(STATE_NAMES.length);
  readonly wire: Frame[] = [];
  readonly index: number;

  constructor(index: 0 | 1, setting: number, source: Source, link: Link, clock: Clock) {
    this.index = index;
    this.payload = new FuzzPayload(FLOWS, source.pick([65536, 1000, 100]), index === 0 ? 1 : 2);
    const words = new Int32Array(FLOWS * TCB_WORDS);
    this.t = new Tcb(words, 0);
    this.payload.tcb = new Tcb(words, 0);
    const sent = new Tcb(words, 0);
    this.device = new FuzzDevice(this.payload.memory, {
      medium: 'ip', mtu: link.mtu, mac: null, txChecksum: link.checksum, txSegmentation: link.segmentation, rxCoalescing: link.segmentation > 0,
    }, (bytes, length, checksumStart, segmentSize) => {
      checkSent(link, this.stack.core, sent, this.payload.memory, bytes, length, checksumStart, segmentSize);
      if (this.wire.length < WIRE_MOST) this.wire.push({ bytes: bytes.slice(0, length), flags: checksumStart > 0 ? RX_CHECKSUM_VALID : 0, segmentSize });
    });
    const random = new Source(setting, 2 + index);
    this.stack = new Stack({
      words, tcbBase: 0, maxFlows: FLOWS, payload: this.payload, random: () => random.word() >>> 0, clock,
      secret: new Uint8Array(16).fill((setting + index) & 255), limits: drawLimits(source, FLOWS),
      interfaces: [{ device: this.device, memory: this.payload.memory, addresses: [`${ADDRESSES[0]![index]}/24`, `${ADDRESSES[1]![index]}/64`] }],
    });
  }

  isOwned(flow: number): boolean {
    if (flow < 0 || flow >= FLOWS) return false;
    const t = this.t.at(flow);
    return t.state !== FREE && t.has(OWNED) && !t.has(RELEASED);
  }

  anyOwned(source: Source): number {
    const first = source.below(FLOWS);
    for (let i = 0; i < FLOWS; i++) if (this.isOwned((first + i) % FLOWS)) return (first + i) % FLOWS;
    return NONE;
  }
}

export class PairWorld implements World {
  readonly #sides: readonly [Side, Side];
  readonly #connections = new Map<string, Connection>();
  readonly #steps = new Map<string, number>();
  readonly #errors = new Map<number, number>();
  readonly #segmentation: number;
  /** Of a hundred frames, how many meet something. */
  readonly #bad: number;
  readonly #lies: boolean;
  readonly #listener: number;
  readonly #clock = new Clock(START);
  #delivered = 0;

  constructor(setting: number) {
    const source = new Source(setting, 1);
    this.#segmentation = source.once(3) ? 65535 : 0;
    const link: Link = { ethernet: false, mtu: source.pick([1500, 1280, 9000]), segmentation: this.#segmentation, checksum: this.#segmentation > 0 };
    this.#bad = source.pick([2, 10, 30, 60]);
    this.#lies = source.once(4);
    this.#sides = [new Side(0, setting, source, link, this.#clock), new Side(1, setting, source, link, this.#clock)];
    this.#listener = this.#sides[1].stack.listen(new Int32Array(4), PORT, 10);
  }

  get inputs(): number {
    return this.#sides[0].device.received + this.#sides[1].device.received;
  }

  // ---- what may come next

  next(source: Source): Step {
    const [a, b] = this.#sides;
    const waiting = a.wire.length + b.wire.length;
    const draw = source.below(100);
    if (waiting > 0 && draw < 78) return this.#nextCarry(source);
    if (draw < 88) {
      const due = Math.min(a.stack.pollAt(), b.stack.pollAt()) - this.#clock.now;
      const wait = source.once(3) ? source.below(50_000) : Math.min(due, SECOND * 10);
      return { do: 'time', a: Math.max(Math.ceil(wait), 1) };
    }
    return this.#nextCall(source);
  }

  #nextCarry(source: Source): Step {
    const [a, b] = this.#sides;
    const side = a.wire.length === 0 || (b.wire.length > 0 && source.once(2)) ? 1 : 0;
    const { length } = this.#sides[side].wire;
    const isBad = source.chance(this.#bad);
    const index = isBad && source.once(3) ? source.below(length) : 0;
    let kind = isBad ? source.pick([DELIVER, DROP, DROP, DROP, DOUBLE, FLIP, TRUNCATE, SPLIT, JOIN, DAMAGE]) : DELIVER;
    if (kind === DAMAGE && !this.#lies) kind = DROP;
    // Some wait for the next turn, so that several are taken at once.
    return { do: source.once(4) ? 'carry-on' : 'carry', a: side, b: index, c: kind | (source.below(1 << 24) << 4) };
  }

  #nextCall(source: Source): Step {
    const side = source.below(2);
    const flow = this.#sides[side]!.anyOwned(source);
    const at = side | (flow << 1);
    const draw = source.below(100);
    if (flow === NONE || draw < 5) return { do: 'connect', b: source.below(2) };
    if (draw < 50) return { do: 'write', a: at, b: source.pick([1, 100, 1460, 4000, 20_000, 100_000]), c: source.once(10) ? 1 : 0 };
    if (draw < 86) return { do: 'read', a: at, b: source.pick([1, 100, 1460, 65536, 65536, 65536]) };
    if (draw < 90) return { do: 'option', a: at, b: source.below(OPTIONS), c: source.word() };
    if (draw < 93) return { do: 'shutdown', a: at };
    if (draw < 94) return { do: source.once(2) ? 'release' : 'abort', a: at };
    if (draw < 97) return { do: 'memory', a: side, b: source.once(3) ? 1 : 0 };
    return { do: 'device', a: side, b: source.once(3) ? 1 : 0 };
  }

  // ---- what is done

  apply(step: Step): void {
    this.#steps.set(step.do, (this.#steps.get(step.do) ?? 0) + 1);
    const side = this.#sides[(step.a ?? 0) & 1]!;
    const flow = (step.a ?? 0) >> 1;
    const b = step.b ?? 0;
    switch (step.do) {
      case 'carry': this.#carry(side, b, step.c ?? 0, false); break;
      case 'carry-on': this.#carry(side, b, step.c ?? 0, true); break;
      case 'time': this.#pass(step.a ?? 0); break;
      case 'connect': this.#connect(b); break;
      case 'memory': side.payload.full = b === 1; break;
      case 'device': side.device.full = b === 1; break;
      default: if (side.isOwned(flow)) this.#call(side, flow, step);
    }
    this.#rest();
    this.#check();
  }

  #call(side: Side, flow: number, step: Step): void {
    const b = step.b ?? 0;
    switch (step.do) {
      case 'write': this.#write(side, flow, b, step.c === 1); break;
      case 'read': this.#read(side, flow, b); break;
      case 'shutdown': side.stack.shutdown(flow); break;
      case 'release':
      case 'abort':
        this.#connection(side, flow).broken = true;
        if (step.do === 'abort') side.stack.abort(flow);
        else side.stack.release(flow);
        break;
      case 'option': setOption(side.stack, flow, b, step.c ?? 0); break;
      default: throw new Error(`no such step: ${step.do}`);
    }
  }

  #connect(six: number): void {
    const [side] = this.#sides;
    const remote = new Int32Array(4);
    parseAddress(ADDRESSES[six & 1]![1]!, remote, 0);
    // Initial sequence numbers are those of the clock: no two in one instant.
    this.#pass(100);
    const flow = side.stack.connect(remote, PORT, null, 0);
    if (flow >= 0) this.#connection(side, flow);
  }

  #write(side: Side, flow: number, count: number, more: boolean): void {
    const t = side.t.at(flow);
    const room = SEND_MOST - ((t.written - t.acknowledged) | 0);
    if (room <= 0) return;
    side.stack.write(flow, (t.written + Math.min(count, room)) | 0, more);
    this.#connection(side, flow).written[side.index] = side.t.at(flow).written;
  }

  #read(side: Side, flow: number, count: number): void {
    const t = side.t.at(flow);
    const to = (t.consumed + Math.min(count, (t.received - t.consumed) | 0)) | 0;
    side.payload.read(flow, to);
    side.stack.consume(flow, to);
  }

  /** What is known of the connection that a flow is one end of. */
  #connection(side: Side, flow: number): Connection {
    const t = side.t.at(flow);
    const key = side.index === 0 ? `${t.localPort} ${t.iss}` : `${t.remotePort} ${t.irs}`;
    let known = this.#connections.get(key);
    if (known === undefined) {
      known = { written: [0, 0], eof: [false, false], broken: false };
      this.#connections.set(key, known);
    }
    return known;
  }

  // ---- the wire

  #carry(from: Side, index: number, what: number, stays: boolean): void {
    const frame = from.wire[index];
    if (frame === undefined) return;
    const to = this.#sides[from.index ^ 1]!;
    const kind = what & 15;
    if (kind !== DOUBLE) from.wire.splice(index, 1);
    switch (kind) {
      case DROP: return;
      case FLIP: this.#flip(to, frame, what >>> 4); break;
      case DAMAGE: this.#damage(to, frame, what >>> 4); break;
      case TRUNCATE: this.#put(to, { ...frame, bytes: frame.bytes.subarray(0, (what >>> 4) % frame.bytes.length) }); break;
      case SPLIT: this.#split(to, frame, what >>> 4); break;
      case JOIN: this.#join(from, to, frame, index); break;
      default: this.#put(to, frame);
    }
    if (!stays) this.#turn(to);
  }

  #put(to: Side, frame: Frame): void {
    this.#delivered++;
    to.device.put(frame.bytes, frame.flags, frame.segmentSize);
  }

  /** One bit is another: every checksum finds that. */
  #flip(to: Side, frame: Frame, draw: number): void {
    if (frame.flags !== 0) return;
    const bytes = frame.bytes.slice();
    bytes[draw % bytes.length]! ^= 1 << ((draw >>> 16) & 7);
    this.#put(to, { ...frame, bytes });
  }

  /** Damage that no checksum tells of: what is received says nothing then, nor does who is waiting for what. */
  #damage(to: Side, frame: Frame, draw: number): void {
    const bytes = new Uint8Array(70_000);
    bytes.set(frame.bytes);
    const length = damage(new Source(draw, 7), bytes, 0, frame.bytes.length);
    for (const side of this.#sides) side.payload.exact = false;
    this.#put(to, { ...frame, bytes: bytes.slice(0, length) });
  }

  #split(to: Side, frame: Frame, draw: number): void {
    const parts = frame.flags === 0 ? splitSegment(frame.bytes, draw) : null;
    for (const bytes of parts ?? [frame.bytes]) this.#put(to, { ...frame, bytes });
  }

  /** With the frame behind it, where both are neighbours in a stream. */
  #join(from: Side, to: Side, frame: Frame, index: number): void {
    const next = from.wire[index];
    const joined = next === undefined || frame.flags !== 0 ? null : joinSegments(frame.bytes, next.bytes);
    if (joined === null) {
      this.#put(to, frame);
      return;
    }
    from.wire.splice(index, 1);
    this.#put(to, { ...frame, bytes: joined });
  }

  // ---- turns and time

  #turn(side: Side): void {
    const { stack } = side;
    stack.receive(1000);
    stack.advance();
    this.#take(side);
    stack.transmit();
    this.#take(side);
  }

  #rest(): void {
    for (const side of this.#sides) {
      for (let i = 0; side.stack.pollAt() <= this.#clock.now; i++) {
        if (i === REST) throw new Finding('the stack does not come to rest');
        this.#turn(side);
      }
    }
  }

  #pass(us: number): void {
    const [a, b] = this.#sides;
    const until = this.#clock.now + (a.device.full || b.device.full ? Math.min(us, FULL_MOST) : us);
    for (let i = 0; i < INSTANTS; i++) {
      const at = Math.min(a.stack.pollAt(), b.stack.pollAt());
      if (at > until) {
        this.#clock.now = until;
        for (const side of this.#sides) this.#turn(side);
        return;
      }
      this.#clock.now = Math.max(at, this.#clock.now);
      this.#rest();
    }
    throw new Finding(`${INSTANTS} instants in ${us} µs`);
  }

  #take(side: Side): void {
    const { stack, t } = side;
    for (let flow = stack.takeChanged(); flow !== NONE; flow = stack.takeChanged()) {
      t.at(flow);
      const { events } = t;
      t.events = 0;
      if ((events & EV_ACCEPTED) !== 0) stack.taken(flow);
      if ((events & (EV_ACCEPTED | EV_CONNECTED)) !== 0) this.#connection(side, flow);
      t.at(flow);
      if ((events & EV_EOF) !== 0) this.#ended(side, flow);
      if ((events & EV_ERROR) !== 0) {
        this.#errors.set(t.error, (this.#errors.get(t.error) ?? 0) + 1);
        this.#connection(side, flow).broken = true;
      }
      if ((events & (EV_CLOSED | EV_ERROR)) !== 0 && (events & EV_FREED) === 0 && !t.has(RELEASED)) {
        this.#read(side, flow, Infinity);
        stack.release(flow);
      }
      if ((events & EV_FREED) === 0) continue;
      side.payload.forget(flow);
      stack.recycle(flow);
    }
  }

  /** The peer's stream has come to its end: it is as long as the peer wrote it. */
  #ended(side: Side, flow: number): void {
    const connection = this.#connection(side, flow);
    connection.eof[side.index] = true;
    // One that was given up may have begun again, by a SYN cookie that is still good.
    if (!side.payload.exact || connection.broken) return;
    const { received } = side.t.at(flow);
    const written = connection.written[side.index ^ 1]!;
    if (received !== written) throw new Finding(`the stream ended after ${received} bytes of ${written}`);
  }

  #check(): void {
    for (const side of this.#sides) checkStack(side.stack, side.t, side.states);
  }

  // ---- the end

  finish(): void {
    for (const side of this.#sides) side.device.full = side.payload.full = false;
    for (const side of this.#sides) this.#eachOwned(side, (flow) => side.stack.settings.setUserTimeout(flow, 0));
    const until = this.#clock.now + PATIENCE;
    let idle = 0;
    for (let i = 0; i < INSTANTS && this.#clock.now < until && idle < 3; i++) {
      this.#deliverAll();
      const next = Math.min(...this.#sides.map(({ stack }) => stack.pollAt()));
      if (next === Infinity) idle++;
      else this.#clock.now = Math.max(this.#clock.now, next);
    }
    this.#check();
    for (const [key, { broken, eof }] of this.#connections) {
      if (broken || (eof[0] && eof[1]) || !this.#sides[0].payload.exact) continue;
      throw new Finding(`a connection does not come to its end (${key}, ${eof}): ${this.#describe()}`);
    }
    for (const side of this.#sides) this.#eachOwned(side, (flow) => side.stack.abort(flow));
    this.#sides[1].stack.unlisten(this.#listener);
    for (const side of this.#sides) side.wire.length = 0;
    this.#pass(2 * 3600 * SECOND);
    for (const side of this.#sides) this.#eachOwned(side, (flow) => side.stack.abort(flow));
    this.#pass(1);
    for (const side of this.#sides) checkEmpty(side.stack);
  }

  /** One instant over a good wire; owners read all that is there and have nothing more to say. */
  #deliverAll(): void {
    for (let round = 0; round < ROUNDS; round++) {
      for (const side of this.#sides) {
        const other = this.#sides[side.index ^ 1]!;
        for (const frame of side.wire.splice(0)) this.#put(other, frame);
        this.#eachOwned(side, (flow) => {
          this.#read(side, flow, Infinity);
          side.stack.settings.setCork(flow, false);
          side.stack.shutdown(flow);
        });
      }
      for (const side of this.#sides) this.#turn(side);
      this.#rest();
      if (this.#sides.every(({ wire, device }) => wire.length === 0 && device.waiting === 0)) return;
    }
    throw new Finding(`two stacks do not stop to talk: ${this.#describe()}`);
  }

  #eachOwned(side: Side, visit: (flow: number) => void): void {
    for (let flow = 0; flow < FLOWS; flow++) if (side.isOwned(flow)) visit(flow);
  }

  #describe(): string {
    return this.#sides.map(({ t, index }) => {
      const flows: string[] = [];
      for (let flow = 0; flow < FLOWS; flow++) {
        t.at(flow);
        if (t.state <= CLOSED) continue;
        flows.push(`${index}.${flow} ${STATE_NAMES[t.state]} flags ${t.flags} written ${t.written} una ${t.acknowledged} ` +
          `flight ${(t.sndNxt - t.sndUna) | 0} wnd ${t.sndWnd} cwnd ${t.cwnd} received ${t.received} read ${t.consumed} ` +
          `adv ${(t.rcvAdv - t.rcvNxt) | 0} ranges ${t.rangeCount} timers ${t.timers}`);
      }
      return flows.join('; ');
    }).join(' | ');
  }

  report(coverage: Coverage): void {
    for (const { stack, states } of this.#sides) {
      for (let i = 0; i < stack.stats.length; i++) coverage.add(STAT_NAMES[i]!, stack.stats[i]!);
      for (const [name, value] of Object.entries(stack.ip.stats) as [string, number][]) coverage.add(name, value);
      for (let state = CLOSED; state < states.length; state++) coverage.add(`state ${STATE_NAMES[state]}`, states[state]!);
    }
    for (const [errno, count] of this.#errors) coverage.add(`error ${errno}`, count);
    for (const [name, count] of this.#steps) coverage.add(`step ${name}`, count);
    for (const { broken, eof } of this.#connections.values()) {
      coverage.add(broken ? 'connections broken' : eof[0] && eof[1] ? 'connections whole' : 'connections open', 1);
    }
  }
}

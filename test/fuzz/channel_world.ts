/**
 * The TCP server's side of the channels, over its own loopback device, without threads: two app threads that keep to the
 * rules, and one that writes what it likes into its channel. That one is ended with a reason or served; the others never
 * notice, and nothing is left in the end.
 */
import { openSync } from 'node:fs';
import { LoopbackDevice } from '../../lib/nic/loopback.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { BLOCK_BYTES, CHANNEL_ATTACHED, CHANNEL_FAILED, CHANNEL_LEFT, CH_COMPLETE_TAIL, CH_SLEEP, CH_STATE, CH_SUBMIT_HEAD,
  CH_VIOLATION, CTRL_CHANNELS, CTRL_SLEEP, CTRL_STATE, CTRL_VERSION, ENTRY_WORDS, Layout, LAYOUT_VERSION, QUEUE_ENTRIES,
  STATE_RUNNING } from '../../lib/runtime/layout.js';
import { FLOW_CLOSE, FLOW_END, FLOW_RESET, OP_MASK, SUBMIT_FILE, SUBMIT_FLOW, SUBMIT_OPTIONS, violationText } from '../../lib/runtime/messages.js';
import { ServerApps } from '../../lib/runtime/server_apps.js';
import { ServerPayload } from '../../lib/runtime/server_payload.js';
import { Clock } from '../../lib/tcp/clock.js';
import { CLOSED, STATE_NAMES } from '../../lib/tcp/conn/state.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { ETIMEDOUT } from '../../lib/tcp/errno.js';
import { Stack } from '../../lib/tcp/stack.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import { Finding } from './case.js';
import type { Coverage, Step, World } from './case.js';
import { checkEmpty, checkStack } from './invariants.js';
import { ACT_CLOSE, ACT_CONNECT, ACT_END, ACT_NO_DELAY, ACT_READ, ACT_RESET, ACT_WRITE, PlainApp } from './plain_app.js';
import { Source } from './source.js';

const LAYOUT = new Layout({ maxApps: 4, maxFlows: 48, receiveBlocks: 48, sendBlocks: 16 });
const BAD = 2;
/** Ports of the first app for the second and for the bad one, and one of the bad one. */
const PORT_GOOD = 80;
const PORT_BAD = 81;
const PORT_OF_BAD = 82;
const START = 1_000_000;
const SECOND = 1_000_000;

/** A file of some hundred kilobytes and more, which the bad one has the TCP server send. */
const FILE = openSync(process.execPath, 'r');

/** Places that the bad one writes to beside its queue. */
const POKES = 12;

// One memory for all cases of a thread: its first part is cleared for each.
const memory = new SharedArrayBuffer(LAYOUT.byteLength);
const words = new Int32Array(memory);
const plain = alias(memory);

export class ChannelWorld implements World {
  readonly #stack: Stack;
  readonly #apps: ServerApps;
  readonly #payload: ServerPayload;
  readonly #good: readonly [PlainApp, PlainApp];
  readonly #bad: PlainApp;
  readonly #t = new Tcb(words, LAYOUT.tcbBase);
  readonly #states = new Float64Array(STATE_NAMES.length);
  readonly #free: number;
  readonly #steps = new Map<string, number>();
  /** The bad one submits nonsense all the time, or keeps to the rules for long stretches. */
  readonly #wild: boolean;
  /** It takes what it is told. */
  readonly #pumps: boolean;
  /** Its links are not what it has made them. */
  #linked = false;
  #entries = 0;
  /** 1 where some of a file was in memory at the end of a turn. */
  #files = 0;
  readonly #clock = new Clock(START);

  constructor(setting: number) {
    this.#wild = (setting & 1) === 0;
    this.#pumps = (setting & 6) !== 0;
    words.fill(0, 0, LAYOUT.blockBase / 4);
    words[CTRL_VERSION] = LAYOUT_VERSION;
    words[CTRL_STATE] = STATE_RUNNING;
    const random = new Source(setting, 3);
    this.#payload = new ServerPayload(LAYOUT, words, plain.bytes);
    const device = new LoopbackDevice(deviceMemory(plain, LAYOUT.deviceBase, LAYOUT.byteLength - LAYOUT.deviceBase));
    this.#stack = new Stack({
      words, tcbBase: LAYOUT.tcbBase, maxFlows: LAYOUT.sizes.maxFlows, payload: this.#payload, clock: this.#clock,
      interfaces: [{ device, memory: plain.bytes, addresses: ['127.0.0.1/8'] }],
      random: () => random.word() >>> 0, secret: new Uint8Array(16).fill(setting & 255),
      limits: { timeWaitMs: 1000, finWait2Ms: 1000 },
    });
    this.#apps = new ServerApps(LAYOUT, words, this.#stack, this.#payload);
    this.#free = this.#payload.receiveBlocksFree;
    const [a, b, bad] = [0, 1, BAD].map((index) => (
      new PlainApp(LAYOUT, words, plain.bytes, index, (port) => index !== BAD && port === PORT_GOOD)
    )) as [PlainApp, PlainApp, PlainApp];
    this.#good = [a, b];
    this.#bad = bad;
    a.listen(PORT_GOOD);
    a.listen(PORT_BAD);
    bad.listen(PORT_OF_BAD);
    this.#turn(10);
  }

  get inputs(): number {
    return this.#entries;
  }

  // ---- what may come next

  next(source: Source): Step {
    const draw = source.below(100);
    if (draw < 25) return { do: 'turn', a: source.once(8) ? source.below(2 * SECOND) : source.below(1000) };
    if (draw < 50) return { do: 'act', a: this.#drawAct(source, source.below(2)), b: source.below(64), c: this.#drawCount(source) };
    if (draw < 65) return { do: 'act', a: this.#drawAct(source, BAD), b: source.below(64), c: source.once(2) ? PORT_BAD : PORT_OF_BAD };
    if (draw < (this.#wild ? 94 : 68)) return { do: 'entry', bytes: this.#drawEntry(source) };
    if (!this.#wild && draw < 97) return { do: 'act', a: this.#drawAct(source, BAD), b: source.below(64), c: this.#drawCount(source) };
    return { do: 'poke', a: source.below(POKES), b: source.once(2) ? source.word() : source.between(-2, 70), c: source.once(2) ? source.word() : source.between(-2, 200) };
  }

  #drawCount(source: Source): number {
    return source.pick([1, 100, 5000, 20_000, BLOCK_BYTES, 60_000]);
  }

  /** Who, and what it does: app | what << 4. */
  #drawAct(source: Source, app: number): number {
    const few = (app === BAD ? this.#bad : this.#good[app]!).flows.size < 3;
    if (app !== 0 && (few ? source.once(4) : source.once(60))) return app | (ACT_CONNECT << 4);
    const what = source.chance(45) ? ACT_WRITE : source.chance(80) ? ACT_READ : source.pick([ACT_END, ACT_CLOSE, ACT_RESET, ACT_NO_DELAY]);
    return app | (what << 4);
  }

  readonly #entry = new Int32Array(ENTRY_WORDS);

  /** An entry that is nearly right. */
  #drawEntry(source: Source): Uint8Array {
    const entry = this.#entry;
    for (let i = 0; i < ENTRY_WORDS; i++) entry[i] = source.once(3) ? source.word() : source.between(-1, 80);
    if (source.chance(90)) {
      const flows = [...this.#bad.flows.values()];
      const flow = flows[source.below(Math.max(flows.length, 1))];
      if (flow !== undefined && source.chance(95)) {
        const { send, receive } = flow;
        entry.set([
          SUBMIT_FLOW | (source.word() & 0xf900) | (source.once(20) ? FLOW_END | FLOW_CLOSE : 0) | (source.once(20) ? FLOW_RESET : 0),
          flow.index, flow.generation, (send.written + flow.files) | 0, receive.consumed, send.chainFirst, send.chainStart, 0,
        ]);
        if (source.once(8)) this.#makeFile(source);
        else this.#twist(source, receive.written);
      } else if (source.once(2)) {
        entry[0] = SUBMIT_FLOW | (source.word() & 0xff00);
        entry[1] = source.below(LAYOUT.sizes.maxFlows);
        entry[2] = source.below(4);
      } else {
        entry[0] = source.between(0, 7);
      }
    }
    return new Uint8Array(entry.buffer);
  }

  /** The next entry of the flow counts the file, as long as nothing else is wrong. */
  #makeFile(source: Source): void {
    const entry = this.#entry;
    const written = entry[3]!;
    entry[0] = SUBMIT_FILE | (source.word() & 0xff00);
    entry[3] = source.once(8) ? -1 : 0;
    entry[4] = source.once(8) ? source.word() : source.below(100_000);
    entry[5] = source.once(20) ? source.word() : 0;
    entry[6] = source.once(20) ? source.word() : written;
    entry[7] = source.once(8) ? source.word() : source.between(1, 100_000);
  }

  #twist(source: Source, received: number): void {
    const entry = this.#entry;
    if (source.once(6)) {
      entry[0] = SUBMIT_OPTIONS;
      for (let i = 3; i < ENTRY_WORDS; i++) entry[i] = source.once(2) ? source.word() : source.below(5000);
      return;
    }
    // Mostly what may be: it is to live long enough to get somewhere.
    if (source.once(3)) entry[3] += source.once(12) ? source.between(-2, 300_000) : source.below(2000);
    if (source.once(3)) entry[4] += source.once(12) ? source.between(-2, 70_000) : source.below(Math.max((received - entry[4]!) | 0, 0) + 1);
    if (source.once(3)) entry[5] = source.once(12) ? source.between(-1, 120) : LAYOUT.arenaBase(BAD) + source.below(16);
    if (source.once(12)) entry[6] += source.between(-2, 20_000);
  }

  // ---- what is done

  apply(step: Step): void {
    this.#steps.set(step.do, (this.#steps.get(step.do) ?? 0) + 1);
    const a = step.a ?? 0;
    switch (step.do) {
      case 'turn': this.#turn(a); break;
      case 'act': {
        const what = a >> 4;
        if ((a & 15) === BAD) this.#actBadly(what, step.b ?? 0, step.c ?? 0);
        else this.#good[(a & 15) % 2]!.act(what, step.b ?? 0, what === ACT_CONNECT ? PORT_GOOD : step.c ?? 0);
        break;
      }
      case 'entry': this.#submit(step.bytes!); break;
      case 'poke': this.#poke(a, step.b ?? 0, step.c ?? 0); break;
      default: throw new Error(`no such step: ${step.do}`);
    }
  }

  /** What it has written to its own memory may be in its own way. */
  #actBadly(what: number, which: number, count: number): void {
    // Blocks that it takes for its own by then are those of others: no memory keeps a thread from writing there.
    if (this.#linked && what === ACT_WRITE) return;
    try {
      this.#bad.act(what, which, what === ACT_CONNECT ? PORT_BAD + (count & 1) : count);
    } catch {
      // That is nobody else's trouble.
    }
  }

  #submit(bytes: Uint8Array): void {
    this.#entries++;
    const head = words[this.#bad.base + CH_SUBMIT_HEAD]!;
    const at = this.#bad.entries + (head & (QUEUE_ENTRIES - 1)) * ENTRY_WORDS;
    plain.bytes.set(bytes.subarray(0, 4 * ENTRY_WORDS), at * 4);
    if ((words[at]! & OP_MASK) !== SUBMIT_FILE) return this.#publish(head);
    // The descriptor is another one in each process.
    if (words[at + 3]! >= 0) words[at + 3] = FILE;
    const flow = this.#bad.flows.get(words[at + 1]!);
    if (flow !== undefined) flow.files = (flow.files + words[at + 7]!) | 0;
    this.#publish(head);
  }

  #publish(head: number): void {
    words[this.#bad.base + CH_SUBMIT_HEAD] = (head + 1) | 0;
  }

  #poke(where: number, value: number, other: number): void {
    const { base } = this.#bad;
    switch (where) {
      case 0: words[base + CH_SUBMIT_HEAD]! += value & 7; break;
      case 1: if ((other & 31) === 0) words[base + CH_SUBMIT_HEAD] = value; break;
      case 2: if ((other & 3) === 0) words[base + CH_COMPLETE_TAIL] = value; break;
      case 3: if ((other & 15) === 0 && (value & 7) !== CHANNEL_FAILED) words[base + CH_STATE] = value & 7; break;
      case 4: words[base + CH_SLEEP] = value; break;
      case 5: words[CTRL_SLEEP] = 0; break;
      case 6: words[CTRL_CHANNELS]! += value & 3; break;
      case 7: this.#bad.listen(value % 3 === 0 ? PORT_BAD : 83); break;
      default:
        this.#linked = true;
        words[LAYOUT.linkBase + LAYOUT.arenaBase(BAD) + (value & 15)] = other;
    }
  }

  #turn(us: number): void {
    this.#clock.now += us;
    this.#stack.receive(256);
    this.#apps.takeSubmissions();
    this.#stack.advance();
    this.#apps.takeArrivals();
    this.#stack.transmit();
    this.#apps.takeChanges();
    this.#apps.publish();
    if (this.#payload.files.blocksHeld > 0) this.#files = 1;
    for (const app of this.#good) this.#look(app);
    this.#lookAtBad();
    checkStack(this.#stack, this.#t, this.#states);
  }

  /** A good app is served, and its connections with the other good one stand. */
  #look(app: PlainApp): void {
    if (app.state !== CHANNEL_ATTACHED) throw new Finding(`a good channel is in state ${app.state}: ${violationText(words[app.base + CH_VIOLATION]!)}`);
    app.pump();
    for (const flow of app.flows.values()) {
      if (!flow.trusted || flow.closed || flow.errno === 0 || flow.errno === ETIMEDOUT) continue;
      if (!this.#resets) throw new Finding(`a connection of two good apps got error ${flow.errno}`);
    }
  }

  /** Good apps have reset connections of their own, or let go of what they had not read. */
  get #resets(): boolean {
    return (this.#steps.get('act') ?? 0) > 0;
  }

  /** The bad one listens to what it is told as long as that makes sense. */
  #lookAtBad(): void {
    const bad = this.#bad;
    const { state } = bad;
    if (state === CHANNEL_FAILED && violationText(words[bad.base + CH_VIOLATION]!) === '') throw new Finding('a channel is ended without a reason');
    if (state !== CHANNEL_ATTACHED || (!this.#pumps && (this.#clock.now & 0x4000) !== 0)) return;
    try {
      bad.pump();
    } catch {
      // It has lied about where it is itself.
    }
  }

  // ---- the end

  finish(): void {
    if (this.#bad.state === CHANNEL_ATTACHED || this.#bad.state === CHANNEL_FAILED) this.#bad.announce(CHANNEL_LEFT);
    const sent = new Map<PlainApp, number>();
    for (const app of this.#good) sent.set(app, app.flows.size);
    // What was written arrives: the good ones read everything, end, and close when the other has ended too.
    for (let i = 0; i < 4000 && this.#good.some(({ flows }) => flows.size > 0); i++) {
      for (const app of this.#good) this.#wind(app);
      this.#turn(i < 1000 ? 1000 : SECOND);
    }
    for (const app of this.#good) {
      if (app.flows.size > 0) throw new Finding(`${app.flows.size} flows of a good app do not come to their end: ${this.#describe()}`);
      if (app.memory.arena.available !== LAYOUT.sizes.sendBlocks) throw new Finding(`${LAYOUT.sizes.sendBlocks - app.memory.arena.available} send blocks are left`);
    }
    this.#apps.reap((tid) => tid < 1000 + BAD);
    for (let i = 0; i < 700; i++) this.#turn(SECOND);
    for (const app of this.#good) app.leave();
    this.#quiet();
    if (this.#payload.receiveBlocksFree !== this.#free) throw new Finding(`${this.#free - this.#payload.receiveBlocksFree} receive blocks are left`);
    checkEmpty(this.#stack);
  }

  /** Turns of the TCP server alone, until it has nothing more to do. */
  #quiet(): void {
    for (let i = 0; i < 2000 && (i < 5 || this.#stack.pollAt() !== Infinity); i++) {
      this.#clock.now = Math.max(this.#clock.now + 10, Math.min(this.#stack.pollAt(), this.#clock.now + 10 * SECOND));
      this.#stack.receive(256);
      this.#apps.takeSubmissions();
      this.#stack.advance();
      this.#apps.takeArrivals();
      this.#stack.transmit();
      this.#apps.takeChanges();
      this.#apps.publish();
    }
  }

  #wind(app: PlainApp): void {
    for (const flow of app.flows.values()) {
      if (flow.closed) continue;
      for (let before = -1; before !== flow.receive.length;) {
        before = flow.receive.length;
        app.act(ACT_READ, [...app.flows.keys()].indexOf(flow.index), 1 << 16);
      }
      flow.flags |= FLOW_END;
      const done = flow.over || flow.errno !== 0 || (flow.eof && flow.send.unacknowledged === 0) || !flow.trusted;
      if (done) app.close(flow, FLOW_CLOSE);
      else app.submit(flow);
    }
  }

  #describe(): string {
    return this.#good.map((app, i) => [...app.flows.values()].map((flow) => {
      const t = this.#t.at(flow.index);
      return `${i}.${flow.index} ${STATE_NAMES[t.state]} generation ${flow.generation}/${t.generation} written ${flow.send.written}/${t.written} acknowledged ` +
        `${flow.send.acknowledged}/${t.acknowledged} received ${flow.receive.written}/${t.received} eof ${flow.eof} over ${flow.over} closed ${flow.closed} trusted ${flow.trusted}`;
    }).join('; ')).join(' | ');
  }

  report(coverage: Coverage): void {
    const { stats } = this.#stack;
    for (let i = 0; i < stats.length; i++) coverage.add(STAT_NAMES[i]!, stats[i]!);
    for (let state = CLOSED; state < this.#states.length; state++) coverage.add(`state ${STATE_NAMES[state]}`, this.#states[state]!);
    coverage.add('files sent', this.#files);
    for (const [name, count] of this.#steps) coverage.add(`step ${name}`, count);
    coverage.add(`channel ended: ${violationText(words[this.#bad.base + CH_VIOLATION]!)}`, 1);
  }
}

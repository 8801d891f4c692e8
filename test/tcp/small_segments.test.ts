/**
 * Writers and readers in small pieces, at random: nobody is silly about windows (RFC 9293 3.8.6.2), Nagle's algorithm holds
 * small segments back as Minshall's form says, acknowledgements are neither late nor too many, and nobody waits for ever.
 * Each end's device is watched: every segment is judged by what its sender knew.
 */
import t from 'tap';
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from '../../lib/nic/device.js';
import { fault } from '../../lib/nic/fault.js';
import { pipe } from '../../lib/nic/pipe.js';
import { Clock } from '../../lib/tcp/clock.js';
import { EV_ACCEPTED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED } from '../../lib/tcp/conn/state.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Stack } from '../../lib/tcp/stack.js';
import { parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { get16, get32 } from '../../lib/tcp/wire/bytes.js';
import { TcpOptions, parseOptions } from '../../lib/tcp/wire/options.js';
import { ACK, FIN, RST, SYN, tcpFlags, tcpHeaderLength } from '../../lib/tcp/wire/tcp.js';
import { MemoryPayload } from '../support/memory_payload.js';
import { randomOf } from '../support/random.js';

const IP = 20;
const MSS = 1448;
const RTT_US = 10_000;
const RTO_US = 200_000;
const DELAYED_ACK_US = 40_000;
/** Deadlines are whole ticks. */
const TICK_US = 50;

interface Setting {
  seed: number;
  /** Receive buffer of both ends; it does not grow. */
  buffer: number;
  bytes: number;
  /** Most bytes and ms of a write and of a read. */
  piece: number;
  pause: number;
  loss: number;
  noDelay: boolean;
}

/** One segment as it is on the wire. */
interface Seen { flags: number; seq: number; ack: number; win: number; length: number }

/** Shows every frame of a device to its end. */
class Watched implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats;
  readonly fd = -1;
  readonly tx = new Uint8Array(70_000);
  readonly #device: Device;
  readonly #memory: Uint8Array;
  #parts: Uint8Array[] = [];
  onSent: (bytes: Uint8Array) => void = () => undefined;
  onTaken: (bytes: Uint8Array) => void = () => undefined;

  constructor(device: Device, memory: Uint8Array) {
    this.#device = device;
    this.#memory = memory;
    this.capabilities = device.capabilities;
    this.stats = device.stats;
  }

  receive(sink: FrameSink, budget: number): number {
    return this.#device.receive({
      frame: (bytes, offset, length, flags, size) => {
        this.onTaken(bytes.slice(offset, offset + length));
        sink.frame(bytes, offset, length, flags, size);
      },
    }, budget);
  }

  readable(): boolean { return this.#device.readable(); }
  nextEvent(): number { return this.#device.nextEvent?.() ?? Infinity; }

  reserve(): number {
    this.#parts = [];
    return 0;
  }

  append(offset: number, length: number): void { this.#parts.push(this.#memory.slice(offset, offset + length)); }

  commit(length: number, checksumStart: number, size: number): void {
    const frame = Buffer.concat([this.tx.subarray(0, length), ...this.#parts]);
    this.onSent(frame);
    const at = this.#device.reserve();
    this.#device.tx.set(frame, at);
    this.#device.commit(frame.length, checksumStart, size);
  }

  flush(): number { return this.#device.flush(); }
  close(): void { this.#device.close(); }
}

const options = new TcpOptions();

function see(bytes: Uint8Array): Seen {
  const header = tcpHeaderLength(bytes, IP);
  parseOptions(bytes, IP, options);
  return { flags: tcpFlags(bytes, IP), seq: get32(bytes, IP + 4) | 0, ack: get32(bytes, IP + 8) | 0, win: get16(bytes, IP + 14), length: bytes.length - IP - header };
}

/** One end: it writes and reads in random pieces, and judges what it sends. */
class End {
  readonly stack: Stack;
  readonly faults: string[] = [];
  readonly #setting: Setting;
  readonly #random: () => number;
  readonly #payload: MemoryPayload;
  readonly #device: Watched;
  flow = -1;
  ended = false;
  freed = false;
  wrong = 0;
  /** When the owner next writes and reads, in µs. */
  nextWrite = Infinity;
  nextRead = Infinity;

  readonly #clock: Clock;
  dataTaken = 0;
  pureAcks = 0;
  updates = 0;
  smallSent = 0;
  /** What this end knows of its sending side. */
  #una = 0;
  #wnd = 0;
  #wndMost = 0;
  #shift = 0;
  #sentTo = 0;
  #smallEnd = 0;
  #sentAt = 0;
  #synSent = false;
  /** Right edge of the window that it has offered, and the last acknowledgement. */
  #edge: number | null = null;
  #ownShift = 0;
  #acked = 0;
  /** Since when something waits for its acknowledgement. */
  #waitsSince = -1;

  constructor(device: Device, payload: MemoryPayload, address: string, setting: Setting, seed: number, clock: Clock) {
    this.#clock = clock;
    this.#setting = setting;
    this.#random = randomOf(seed);
    this.#payload = payload;
    this.#device = new Watched(device, payload.memory);
    this.#device.onSent = (bytes) => this.#sent(see(bytes));
    this.#device.onTaken = (bytes) => this.#taken(see(bytes));
    this.stack = new Stack({
      words: new Int32Array(4 * TCB_WORDS), tcbBase: 0, maxFlows: 4, payload, random: randomOf(seed + 7), clock,
      interfaces: [{ device: this.#device, memory: payload.memory, addresses: [`${address}/24`] }],
      secret: new Uint8Array(16).fill(seed), limits: { receiveBuffer: setting.buffer, receiveBufferInitial: setting.buffer, timeWaitMs: 1000 },
    });
  }

  get due(): number {
    return Math.min(this.stack.pollAt(), this.#device.nextEvent(), this.nextWrite, this.nextRead);
  }

  get done(): boolean { return this.freed; }

  get now(): number { return this.#clock.now; }

  turn(): void {
    const { now } = this;
    this.stack.receive(1000);
    this.stack.advance();
    this.#take();
    if (now >= this.nextWrite) this.#write();
    if (now >= this.nextRead) this.#read();
    this.stack.transmit();
    this.#take();
    this.#judgeWaiting();
  }

  #fault(what: string): void {
    if (this.faults.length < 5) this.faults.push(`${what} at ${this.now}`);
  }

  #later(): number { return this.now + (this.#random() % (this.#setting.pause * 1000)) + 1; }

  #take(): void {
    for (let flow = this.stack.takeChanged(); flow >= 0; flow = this.stack.takeChanged()) {
      const tcb = this.stack.tcb.at(flow);
      const { events } = tcb;
      tcb.events = 0;
      if ((events & (EV_ACCEPTED | EV_CONNECTED)) !== 0) {
        this.flow = flow;
        this.stack.settings.setNoDelay(flow, this.#setting.noDelay);
        this.nextWrite = this.#later();
        this.nextRead = this.#later();
      }
      if ((events & EV_EOF) !== 0) this.ended = true;
      if ((events & EV_ERROR) !== 0) this.#fault(`error ${tcb.error}`);
      if ((events & EV_FREED) !== 0) {
        this.stack.recycle(flow);
        this.freed = true;
        this.nextRead = this.nextWrite = Infinity;
      }
    }
  }

  #write(): void {
    const tcb = this.stack.tcb.at(this.flow);
    const { written, acknowledged } = tcb;
    const room = (this.#payload.ringBytes >> 1) - ((written - acknowledged) | 0);
    const count = Math.min(1 + (this.#random() % this.#setting.piece), this.#setting.bytes - written, room);
    if (count > 0) {
      this.#payload.put(this.flow, written, Uint8Array.from({ length: count }, (_, i) => (written + i) * 31));
      this.stack.write(this.flow, written + count);
    }
    if (written + count === this.#setting.bytes) {
      this.stack.shutdown(this.flow);
      this.nextWrite = Infinity;
    } else {
      this.nextWrite = this.#later();
    }
  }

  #read(): void {
    const { received, consumed } = this.stack.tcb.at(this.flow);
    const count = Math.min(1 + (this.#random() % this.#setting.piece), received - consumed);
    if (count > 0) {
      const bytes = this.#payload.get(this.flow, consumed, consumed + count);
      for (let i = 0; i < count; i++) if (bytes[i] !== (((consumed + i) * 31) & 255)) this.wrong++;
      this.stack.consume(this.flow, consumed + count);
    }
    if (this.ended && consumed + count === received && this.nextWrite === Infinity) {
      this.stack.release(this.flow);
      this.nextRead = Infinity;
    } else {
      this.nextRead = this.#later();
    }
  }

  // ---- the judge

  #taken({ flags, seq, ack, win, length }: Seen): void {
    if (length > 0) this.dataTaken++;
    if ((flags & SYN) !== 0) {
      this.#shift = Math.max(options.windowScale, 0);
      this.#wnd = this.#wndMost = win;
      this.#acked = (seq + 1) | 0;
      return;
    }
    if ((flags & ACK) === 0 || ((ack - this.#una) | 0) < 0) return;
    this.#una = ack;
    this.#wnd = win << this.#shift;
    this.#wndMost = Math.max(this.#wndMost, this.#wnd);
  }

  #sent({ flags, seq, ack, win, length }: Seen): void {
    if ((flags & RST) !== 0) return;
    if ((flags & SYN) !== 0) {
      this.#ownShift = Math.max(options.windowScale, 0);
      this.#una = this.#sentTo = this.#smallEnd = (seq + 1) | 0;
      this.#synSent = true;
      if ((flags & ACK) !== 0) this.#edge = (ack + win) | 0;
      return;
    }
    if (!this.#synSent) return;
    this.#judgeWindow(ack, win, length);
    if (length > 0 && ((seq - this.#sentTo) | 0) >= 0) this.#judgeSize(seq, length, flags);
    this.#acked = ack;
  }

  /** The receiver: the edge never moves back, and forward only by what is worth it (SHLD-14, MUST-39). */
  #judgeWindow(ack: number, win: number, length: number): void {
    const tcb = this.stack.tcb.at(Math.max(this.flow, 0));
    const unit = 1 << this.#ownShift;
    const edge = (ack + (win << this.#ownShift)) | 0;
    const moved = this.#edge === null ? 0 : (edge - this.#edge) | 0;
    if (length === 0) {
      this.pureAcks++;
      if (ack === this.#acked && moved > 0) this.updates++;
    }
    if (moved <= -unit) this.#fault(`the edge of the window moved back by ${-moved}`);
    // The first after the handshake has room that the field of a SYN cannot tell.
    const step = Math.min(tcb.rcvBuf >> 1, tcb.rcvMss);
    if (this.#edge !== null && moved > 0 && moved <= step - unit) this.#fault(`a window update of ${moved}, below ${step}`);
    if (this.#edge === null || moved > 0) this.#edge = edge;
  }

  /** The sender: whole segments, or one of the reasons for a small one (MUST-38, SHLD-7). */
  #judgeSize(seq: number, length: number, flags: number): void {
    const end = (seq + length) | 0;
    const usable = (this.#una + this.#wnd - seq) | 0;
    if (length > usable) this.#fault(`${length} bytes into a window of ${usable}`);
    if (length % MSS !== 0) {
      this.smallSent++;
      const fitsNoMore = length === usable && length >= this.#wndMost >> 1;
      // The persist timer has run out, or that of a tail loss probe, which may be of something new.
      const waited = this.now - this.#sentAt >= (this.#setting.loss > 0 ? 2 * RTT_US : RTO_US);
      const smallIsOut = ((this.#smallEnd - this.#una) | 0) > 0;
      const minshall = !smallIsOut && length < usable + 1;
      if ((flags & FIN) === 0 && !fitsNoMore && !waited && !minshall && !this.#setting.noDelay && !this.#allWritten(end)) {
        this.#fault(`a segment of ${length} of ${usable} usable bytes while a small one is out`);
      }
      this.#smallEnd = end;
    }
    this.#sentTo = end;
    this.#sentAt = this.now;
  }

  /** The last segment of a stream waits for nothing, though its FIN may still have no room. */
  #allWritten(end: number): boolean {
    const tcb = this.stack.tcb.at(this.flow);
    return ((end - tcb.iss - 1) | 0) === this.#setting.bytes;
  }

  /** No acknowledgement is delayed for longer than 40 ms, and two full segments never wait (MUST-40, SHLD-19). */
  #judgeWaiting(): void {
    if (this.flow < 0 || this.freed) return;
    const { rcvNxt, lastAckSent, rcvMss } = this.stack.tcb.at(this.flow);
    const waiting = (rcvNxt - lastAckSent) | 0;
    if (waiting <= 0) {
      this.#waitsSince = -1;
      return;
    }
    if (this.#waitsSince < 0) this.#waitsSince = this.now;
    if (this.now - this.#waitsSince > DELAYED_ACK_US + TICK_US) this.#fault(`${waiting} bytes wait for their acknowledgement since ${this.#waitsSince}`);
    if (waiting > rcvMss) this.#fault(`${waiting} bytes wait for their acknowledgement, more than a segment of ${rcvMss}`);
  }
}

function run(setting: Setting): { ends: [End, End]; seconds: number; finished: boolean } {
  const start = 1_700_000_000_000_000;
  const clock = new Clock(start);
  const memories = [new MemoryPayload(4, 1 << 15), new MemoryPayload(4, 1 << 15)] as const;
  const [left, right] = pipe({ medium: 'ip', memory: [memories[0].memory, memories[1].memory] });
  const bad = fault(left, memories[0].memory, { seed: setting.seed, delay: RTT_US / 2, loss: setting.loss }, () => clock.now);
  const a = new End(bad, memories[0], '192.0.2.1', setting, setting.seed, clock);
  const b = new End(right, memories[1], '192.0.2.2', setting, setting.seed + 1000, clock);
  b.stack.listen(new Int32Array(4), 80, 4);
  const remote = new Int32Array(4);
  setMapped(remote, 0, parseDotted('192.0.2.2'));
  a.stack.connect(remote, 80, null, 0);
  const until = start + 900e6;
  for (let turns = 0; clock.now < until && turns < 2_000_000; turns++) {
    a.turn();
    b.turn();
    if (a.done && b.done) break;
    if (!a.stack.readable() && !b.stack.readable()) clock.now = Math.max(clock.now, Math.min(a.due, b.due, until));
  }
  return { ends: [a, b], seconds: (clock.now - start) / 1e6, finished: a.done && b.done };
}

const SHAPES: [name: string, shape: Omit<Setting, 'seed' | 'loss' | 'noDelay'>][] = [
  ['tiny writes and reads', { buffer: 8192, bytes: 20_000, piece: 100, pause: 5 }],
  ['large writes into a tiny buffer', { buffer: 2048, bytes: 40_000, piece: 3000, pause: 20 }],
  ['a buffer of three segments', { buffer: 4500, bytes: 60_000, piece: 4000, pause: 30 }],
  ['a large buffer, and reads that lag behind', { buffer: 65_535, bytes: 200_000, piece: 6000, pause: 15 }],
];

for (const [name, shape] of SHAPES) {
  for (const noDelay of [false, true]) {
    t.test(`RFC 9293 3.8.6.2, 3.8.6.3, 3.7.4: ${name}${noDelay ? ', without Nagle' : ''}: no silly window, no late acknowledgement, no deadlock`, async (t) => {
      for (let seed = 1; seed <= 8; seed++) {
        const loss = seed % 2 === 0 ? 0.02 : 0;
        const { ends: [a, b], seconds, finished } = run({ ...shape, seed, loss, noDelay });
        const label = `seed ${seed}: ${seconds.toFixed(1)} s`;
        t.ok(finished, `${label}: both streams come to their end`);
        t.strictSame([...a.faults, ...b.faults], [], `${label}: no rule is broken`);
        t.equal(a.wrong + b.wrong, 0);
        for (const end of [a, b]) {
          t.ok(end.pureAcks <= end.dataTaken + end.updates + 8, `${end.pureAcks} acknowledgements for ${end.dataTaken} segments and ${end.updates} openings of the window`);
        }
      }
    });
  }
}

/**
 * Scenarios as packet traces: one stack on a virtual clock, and a peer that is scripted segment by segment.
 *
 * Sequence and acknowledgement numbers of a script are relative: `seq` of what the peer sends and `ack` of what the stack
 * sends count from the peer's initial sequence number, the others from the stack's.
 *
 * A scenario may be written in two ways over the same engine: by calls (`inject`, `expect`, `advance`), or as the lines of
 * a trace (`script`, in the language of script.ts), and in both by turns.
 */
import type { Test } from 'tap';
import { Clock } from '../../lib/tcp/clock.js';
import { EV_FREED, STATE_NAMES } from '../../lib/tcp/conn/state.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Stack } from '../../lib/tcp/stack.js';
import type { StackLimits } from '../../lib/tcp/limits.js';
import type { PortClaims } from '../../lib/tcp/port_uses.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import { parseAddress } from '../../lib/tcp/wire/address.js';
import { get16, get32, put16 } from '../../lib/tcp/wire/bytes.js';
import { TcpOptions, emitSack, emitSynOptions, emitTimestamps, parseOptions } from '../../lib/tcp/wire/options.js';
import { TCP_URGENT, emitTcp, tcpHeaderLength, tcpUrgent } from '../../lib/tcp/wire/tcp.js';
import { MemoryPayload } from '../support/memory_payload.js';
import { randomOf } from '../support/random.js';
import { IPV4, IPV6, fromPeer, fromRouter, readHeader } from './packet.js';
import type { Ends } from './packet.js';
import { runScript } from './script.js';
import { WireDevice } from './wire_device.js';

export const STACK_ADDRESS = IPV4.stack;
export const PEER_ADDRESS = IPV4.peer;
const MAX_FLOWS = 32;
const RING = 1 << 19;

/** A segment as a script writes it. What the peer does not say has a plain value; what is expected and not said is not looked at. */
export interface Script {
  /** Letters of F S R P A U E (ECE) C (CWR), as `SA`. */
  flags: string;
  seq?: number;
  ack?: number;
  win?: number;
  /** Text, or how many bytes of it. */
  data?: string | number;
  mss?: number;
  ws?: number;
  sackOk?: boolean;
  ts?: [number, number] | null;
  sack?: [number, number][];
  /** Urgent pointer. */
  urg?: number;
  /** DSCP and ECN field of the IP header. */
  tos?: number;
  /** Time to live, of what the stack sends. */
  ttl?: number;
  /** Bytes of options, behind the others, of what the peer sends. */
  options?: number[];
  /** Sequence numbers as they are. */
  absolute?: boolean;
  port?: number;
  to?: number;
  /** Who sends it; the peer where nothing is said. */
  from?: string;
}

export interface Sent {
  time: number;
  flags: string;
  seq: number;
  ack: number;
  win: number;
  length: number;
  text: string;
  mss: number;
  ws: number;
  sackOk: boolean;
  ts: [number, number] | null;
  sack: [number, number][];
  urg: number;
  tos: number;
  ttl: number;
  source: number;
  destination: number;
  to: string;
  bytes: Uint8Array;
}

const LETTERS = 'FSRPAUEC';

export interface TraceOptions {
  limits?: Partial<StackLimits>;
  mtu?: number;
  segmentation?: number;
  /** The peer's initial sequence number. */
  irs?: number;
  /** Bytes of the ring that received bytes lie in, a power of two. */
  receiveRing?: number;
  seed?: number;
  /** Over IPv6. */
  ipv6?: boolean;
  /** Another TCP on the stack's address. */
  claims?: PortClaims;
}

export class Trace {
  readonly t: Test;
  readonly stack: Stack;
  readonly device: WireDevice;
  readonly payload: MemoryPayload;
  /** µs. */
  readonly clock = new Clock(1_000_000_000);
  readonly start = this.now;
  /** The peer's initial sequence number, and the stack's as far as it has been seen. */
  irs: number;
  iss = 0;
  peerPort = 40000;
  stackPort = 80;
  /** Event bits by flow since they were last asked for. */
  readonly events = new Map<number, number>();
  readonly accepted: number[] = [];
  /** The owner takes each connection over as soon as it hears of it. */
  taking = true;
  /** The flow that most of a script is about. */
  flow = -1;
  /** The peer's timestamps are sent with every segment where this is set: [TSval, TSecr]. */
  ts: [number, number] | null = null;
  readonly #ends: Ends;
  readonly #mtu: number;
  readonly #outbox: Sent[] = [];
  readonly #options = new TcpOptions();

  constructor(t: Test, options: TraceOptions = {}) {
    const ends = options.ipv6 === true ? IPV6 : IPV4;
    this.#ends = ends;
    this.#mtu = options.mtu ?? 1500;
    this.t = t;
    this.irs = options.irs ?? 0xffff_ff00 | 0;
    this.payload = new MemoryPayload(MAX_FLOWS, RING, options.receiveRing);
    this.device = new WireDevice(this.payload.memory, options.mtu ?? 1500, options.segmentation ?? 0);
    this.stack = new Stack({
      words: new Int32Array(MAX_FLOWS * TCB_WORDS), tcbBase: 0, maxFlows: MAX_FLOWS, payload: this.payload,
      interfaces: [{ device: this.device, memory: this.payload.memory, addresses: [`${this.#ends.stack}/${ends.version === 4 ? 24 : 64}`] }],
      random: randomOf(options.seed ?? 1), secret: new Uint8Array(16).fill(options.seed ?? 1), clock: this.clock,
      limits: options.limits ?? {}, claims: options.claims ?? null,
    });
  }

  get now(): number {
    return this.clock.now;
  }

  set now(time: number) {
    this.clock.now = time;
  }

  // ---- the clock

  /** One turn of the stack, now. */
  turn(): void {
    this.stack.receive(1000);
    this.stack.advance();
    this.take();
    this.stack.transmit();
    this.take();
    this.#collect();
  }

  /** `ms` milliseconds pass, timer by timer. */
  advance(ms: number): void {
    const until = this.now + ms * 1000;
    for (let at = this.stack.pollAt(); at <= until; at = this.stack.pollAt()) {
      this.now = Math.max(at, this.now);
      this.turn();
    }
    this.now = until;
    this.turn();
  }

  /** Until a segment leaves, or `ms` have passed. Returns the ms that it took. */
  untilSent(ms: number): number {
    const from = this.now;
    const until = from + ms * 1000;
    while (this.#outbox.length === 0 && this.stack.pollAt() <= until) {
      this.now = Math.max(this.stack.pollAt(), this.now);
      this.turn();
    }
    if (this.#outbox.length === 0) this.now = until;
    return (this.now - from) / 1000;
  }

  // ---- the owner's side

  take(): void {
    for (let flow = this.stack.takeChanged(); flow >= 0; flow = this.stack.takeChanged()) {
      const tcb = this.stack.tcb.at(flow);
      const events = tcb.events;
      tcb.events = 0;
      this.events.set(flow, (this.events.get(flow) ?? 0) | events);
      if ((events & 1) !== 0) {
        this.accepted.push(flow);
        this.flow = flow;
        if (this.taking) this.stack.taken(flow);
      }
      if ((events & EV_FREED) !== 0) {
        this.payload.forget(flow);
        this.stack.recycle(flow);
      }
    }
  }

  /** Events of the flow since they were last taken. */
  takeEvents(flow = this.flow): number {
    const events = this.events.get(flow) ?? 0;
    this.events.delete(flow);
    return events;
  }

  listen(port = 80, backlog = 16): number {
    this.stackPort = port;
    return this.stack.listen(new Int32Array(4), port, backlog);
  }

  connect(port = this.peerPort): void {
    const remote = new Int32Array(4);
    parseAddress(this.#ends.peer, remote, 0);
    this.peerPort = port;
    this.flow = this.stack.connect(remote, port, null, 0);
    this.t.ok(this.flow >= 0, `connect: ${this.flow}`);
    this.stackPort = this.stack.tcb.at(this.flow).localPort;
    this.turn();
  }

  write(data: string | number, urgent = false): void {
    const bytes = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.alloc(data, 'x');
    const position = this.stack.tcb.at(this.flow).written;
    this.payload.put(this.flow, position, bytes);
    this.stack.write(this.flow, (position + bytes.length) | 0);
    if (urgent) this.stack.urgent(this.flow);
    this.turn();
  }

  /** Reads all that is there, or `most` bytes. */
  read(most = Infinity): string {
    const tcb = this.stack.tcb.at(this.flow);
    const from = tcb.consumed;
    const count = Math.min((tcb.received - from) | 0, most);
    const bytes = this.payload.get(this.flow, from, from + count);
    this.stack.consume(this.flow, (from + count) | 0);
    this.turn();
    return Buffer.from(bytes).toString('latin1');
  }

  shutdown(): void { this.stack.shutdown(this.flow); this.turn(); }
  release(): void { this.stack.release(this.flow); this.turn(); }
  abort(): void { this.stack.abort(this.flow); this.turn(); }

  get state(): string { return STATE_NAMES[this.stack.tcb.at(this.flow).state]!; }

  stat(name: string): number { return this.stack.stats[(STAT_NAMES as readonly string[]).indexOf(name)]!; }

  // ---- the peer's side

  /** The peer sends a segment; the stack takes it in this instant. */
  inject(script: Script): void {
    this.put(script);
    this.turn();
  }

  /** The peer sends a segment, which waits for the next turn. */
  put(script: Script, segmentSize = 0): void {
    const data = script.data ?? 0;
    const text = typeof data === 'string' ? Buffer.from(data, 'latin1') : Buffer.alloc(data, 'y');
    const segment = new Uint8Array(60 + text.length);
    let header = 20;
    const isSyn = script.flags.includes('S');
    const ts = script.ts === undefined ? this.ts : script.ts;
    if (isSyn) {
      header += emitSynOptions(
        segment, header, script.mss ?? 0, script.sackOk ?? false, ts !== null, ts?.[0] ?? 0, ts?.[1] ?? 0, script.ws ?? -1,
      );
    } else if (ts !== null) {
      header += emitTimestamps(segment, header, ts[0], ts[1]);
    }
    if (script.sack !== undefined) {
      header += emitSack(segment, header, Int32Array.from(script.sack.flat(), (edge) => (edge + this.iss) | 0), 0, script.sack.length);
    }
    if (script.options !== undefined) {
      segment.set(script.options, header);
      header += script.options.length;
    }
    let flags = 0;
    for (let i = 0; i < LETTERS.length; i++) if (script.flags.includes(LETTERS[i]!)) flags |= 1 << i;
    const seq = script.absolute === true ? script.seq ?? 0 : (script.seq ?? 0) + this.irs;
    const ack = script.absolute === true ? script.ack ?? 0 : script.ack === undefined ? 0 : script.ack + this.iss;
    emitTcp(segment, 0, script.port ?? this.peerPort, script.to ?? this.stackPort, seq | 0, ack | 0, flags, script.win ?? 65535, header);
    put16(segment, TCP_URGENT, script.urg ?? 0);
    segment.set(text, header);
    const bytes = fromPeer(this.#ends, segment.subarray(0, header + text.length), script.tos ?? 0, script.from);
    this.device.waiting.push({ bytes, segmentSize });
  }

  /**
   * A router on the way tells of an error about the stack's segment `seq` (relative) to the peer: ICMP `type` and `code`
   * (RFC 792, or RFC 4443), and the MTU of the next hop where it says one.
   */
  icmp(type: number, code: number, seq: number, mtu = 0): void {
    const packet = fromRouter(this.#ends, type, code, this.stackPort, this.peerPort, (seq + this.iss) | 0, this.#mtu, mtu);
    this.injectRaw(packet);
  }

  /** A packet of any bytes. */
  injectRaw(bytes: Uint8Array): void {
    this.device.waiting.push({ bytes, segmentSize: 0 });
    this.turn();
  }

  /** The next segment that the stack has sent is this one. Returns all of it. */
  expect(script: Script, what = ''): Sent {
    const sent = this.#outbox.shift();
    const label = `${what === '' ? '' : `${what}: `}${describe(script)}`;
    if (sent === undefined) {
      this.t.fail(`${label}: nothing was sent`);
      throw new Error(`nothing was sent: ${label}`);
    }
    if (sent.flags.includes('S')) this.iss = sent.seq;
    const found: Script = { flags: sent.flags };
    const wanted: Script = { ...script, flags: sortFlags(script.flags) };
    if (script.seq !== undefined) found.seq = script.absolute ? sent.seq : (sent.seq - this.iss) | 0;
    if (script.ack !== undefined) found.ack = script.absolute ? sent.ack : (sent.ack - this.irs) | 0;
    if (script.win !== undefined) found.win = sent.win;
    if (script.data !== undefined) found.data = typeof script.data === 'number' ? sent.length : sent.text;
    if (script.mss !== undefined) found.mss = sent.mss;
    if (script.ws !== undefined) found.ws = sent.ws;
    if (script.sackOk !== undefined) found.sackOk = sent.sackOk;
    if (script.ts !== undefined) found.ts = sent.ts;
    if (script.sack !== undefined) found.sack = sent.sack.map(([a, b]) => [(a - this.irs) | 0, (b - this.irs) | 0]);
    if (script.urg !== undefined) found.urg = sent.urg;
    if (script.tos !== undefined) found.tos = sent.tos;
    if (script.ttl !== undefined) found.ttl = sent.ttl;
    if (script.absolute !== undefined) found.absolute = script.absolute;
    this.t.strictSame(found, wanted, label);
    return sent;
  }

  expectNothing(what = 'nothing is sent'): void {
    this.t.strictSame(this.#outbox.map((sent) => `${sent.flags} ${(sent.seq - this.iss) | 0} ${sent.length}`), [], what);
    this.#outbox.length = 0;
  }

  /** Lines of a trace: see script.ts. */
  script(text: string): void {
    runScript(this, text);
  }

  /** What was sent and is not yet expected. */
  get outbox(): Sent[] {
    return this.#outbox;
  }

  /** Forgets what was sent. */
  discard(): Sent[] {
    return this.#outbox.splice(0);
  }

  // ---- usual beginnings

  /** A passive open, done: the peer has 0..0 sent, the stack 0..0. */
  accept(syn: Partial<Script> = {}, ack: Partial<Script> = {}): void {
    if (!this.#listening) {
      this.listen(this.stackPort);
      this.#listening = true;
    }
    this.inject({ flags: 'S', seq: 0, mss: 1460, ...syn });
    this.expect({ flags: 'SA', seq: 0, ack: 1 });
    this.inject({ flags: 'A', seq: 1, ack: 1, ...ack });
    this.expectNothing();
    this.t.equal(this.state, 'ESTABLISHED');
    this.takeEvents();
  }

  #listening = false;

  /** An active open, done. */
  open(synAck: Partial<Script> = {}): void {
    this.connect();
    this.expect({ flags: 'S', seq: 0 });
    this.inject({ flags: 'SA', seq: 0, ack: 1, mss: 1460, ...synAck });
    this.expect({ flags: 'A', seq: 1, ack: 1 });
    this.t.equal(this.state, 'ESTABLISHED');
    this.takeEvents();
  }

  /** Nothing is left: no flow, timer or range. */
  leftNothing(): void {
    this.t.equal(this.stack.flowsInUse, 0, 'no flow is left');
    this.t.equal(this.stack.timersArmed, 0, 'no timer is left');
    this.t.equal(this.stack.rangesInUse, 0, 'no range is left');
    this.t.equal(this.stack.orphanCount, 0, 'no orphan is left');
  }

  #collect(): void {
    for (const bytes of this.device.sent) {
      const { header: ip, trafficClass, ttl, to } = readHeader(bytes);
      const header = tcpHeaderLength(bytes, ip);
      parseOptions(bytes, ip, this.#options);
      const o = this.#options;
      const flags = bytes[ip + 13]!;
      let letters = '';
      for (let i = 0; i < LETTERS.length; i++) if ((flags & (1 << i)) !== 0) letters += LETTERS[i];
      const sack: [number, number][] = [];
      for (let i = 0; i < o.sackCount; i++) sack.push([o.sack[2 * i]!, o.sack[2 * i + 1]!]);
      this.#outbox.push({
        time: this.now, flags: letters, seq: get32(bytes, ip + 4), ack: get32(bytes, ip + 8), win: get16(bytes, ip + 14),
        length: bytes.length - ip - header, text: Buffer.from(bytes.subarray(ip + header)).toString('latin1'), mss: o.mss,
        ws: o.windowScale, sackOk: o.sackPermitted, ts: o.hasTimestamps ? [o.tsVal, o.tsEcr] : null, sack,
        urg: tcpUrgent(bytes, ip), tos: trafficClass, ttl, source: get16(bytes, ip), destination: get16(bytes, ip + 2), to, bytes,
      });
    }
    this.device.sent = [];
  }
}

function sortFlags(flags: string): string {
  return [...LETTERS].filter((letter) => flags.includes(letter)).join('');
}

function describe(script: Script): string {
  const { flags, ...rest } = script;
  return `${flags} ${JSON.stringify(rest)}`;
}

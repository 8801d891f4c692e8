/**
 * One stack, its owner and the wire: segments of peers that know where the stack stands, calls of the owner, and time.
 * Two targets are made of it: `frames` (Ethernet, many flows, damaged and raw frames) and `sequences` (few flows, deep).
 */
import { RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import {
  CLOSED, EV_ACCEPTED, EV_CONNECTED, EV_ERROR, EV_FREED, FREE, NONE, OWNED, RECYCLABLE, RELEASED, STATE_NAMES,
} from '../../lib/tcp/conn/state.js';
import { Clock } from '../../lib/tcp/clock.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import type { StackLimits } from '../../lib/tcp/limits.js';
import { Stack } from '../../lib/tcp/stack.js';
import { STAT_NAMES } from '../../lib/tcp/stats.js';
import { isMapped, parseAddress, parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { get16, get32, getWords, putWords } from '../../lib/tcp/wire/bytes.js';
import { emitTimestamps, parseOptions, TcpOptions } from '../../lib/tcp/wire/options.js';
import { IPV6_MTU_MIN } from '../../lib/tcp/wire/ipv6.js';
import { Finding } from './case.js';
import type { Coverage, Step, World } from './case.js';
import { FuzzDevice } from './device.js';
import { checkEmpty, checkStack } from './invariants.js';
import { damage, OWN_MAC, PacketWriter } from './packets.js';
import { FuzzPayload, SEND_RING } from './payload.js';
import { quoteSegment, writeSegment, writeSyn } from './segments.js';
import { checkSent } from './sent.js';
import type { Link } from './sent.js';
import { Source } from './source.js';

function addressOf(text: string): Int32Array {
  const words = new Int32Array(4);
  parseAddress(text, words, 0);
  return words;
}

/** Own addresses and those of peers, in pairs of one family. */
const OWN = ['198.18.0.1', '2001:db8::1'].map(addressOf);
const PEERS = ['198.18.0.2', '2001:db8::2', '198.18.0.3', '2001:db8::3', '203.0.113.7', '2001:db8:7::7'].map(addressOf);
const LINK_LOCAL = addressOf('fe80::2');
const ROUTER = addressOf('fe80::fe');
const ALL_NODES = addressOf('ff02::1');
const SOLICITED = addressOf('ff02::1:ff00:1');
const UNSPECIFIED = new Int32Array(4);
const ARP_SENDERS = ['198.18.0.2', '198.18.0.3', '198.18.0.254', '198.18.0.1', '198.18.0.77'].map(parseDotted);
/** Ports that are listened on at first, and one that nobody has. */
const PORTS = [80, 81];
const CLOSED_PORT = 9;
/** Bytes that an owner has written and the peer not acknowledged, at most. */
const SEND_MOST = SEND_RING >> 1;
/** Turns that one instant may take. */
const REST = 20;
/** Instants that one step of time may take. */
const INSTANTS = 6000;
const START = 1_700_000_000_000_000;
const SECOND = 1_000_000;
/** How long a device stays without room while time passes. */
const FULL_MOST = 50_000;
const MINUTE = 60 * SECOND;

export interface Profile {
  readonly ethernet: boolean;
  /** Flows that are kept open. */
  readonly flows: number;
  /** Of a hundred frames, how many are damaged, and how many are raw. */
  readonly damaged: number;
  readonly raw: number;
  /** Of a hundred fields of a segment, how many have nothing to do with the flow. */
  readonly bold: number;
  /** Of a hundred steps, how many are the owner's, and how many are time. */
  readonly calls: number;
  readonly time: number;
}

/** Limits that a setting chooses among: small ones, so that their ends are reached. */
export function drawLimits(source: Source, maxFlows: number): Partial<StackLimits> {
  const receiveBuffer = source.pick([2048, 8192, 65535, 65536]);
  return {
    congestion: source.once(3) ? 'newreno' : 'cubic',
    sack: !source.once(5),
    timestamps: !source.once(4),
    windowScaling: !source.once(4),
    listeners: 4,
    halfOpen: source.pick([1, 3, maxFlows]),
    synBacklog: source.pick([1, 4, 1024]),
    synCookies: source.pick(['pressure', 'pressure', 'always', 'never']),
    mtuProbing: source.pick(['blackhole', 'always', 'off']),
    ranges: source.pick([16, 64]),
    rangesPerFlow: source.pick([2, 8, 64]),
    runs: source.pick([16, 16, 256]),
    receiveBuffer,
    receiveBufferInitial: Math.min(receiveBuffer, source.pick([2048, 4096, 65536])),
    timeWait: source.pick([1, 4, maxFlows]),
    orphans: source.pick([1, 4, maxFlows]),
    timestampsRequired: source.once(3),
    softErrorsEndOpening: source.once(2),
    challengeAcks: source.pick([2, 1000]),
    synRetries: source.pick([1, 6]),
    synAckRetries: source.pick([1, 5]),
    dataRetries: source.pick([3, 15]),
    orphanRetries: source.pick([1, 8]),
    rtoMaxMs: source.pick([2000, 120_000]),
    timeWaitMs: source.pick([1000, 60_000]),
    finWait2Ms: source.pick([1000, 60_000]),
    keepIdleMs: source.pick([1000, 7_200_000]),
    keepIntervalMs: 1000,
    keepCount: 3,
    delayedAckMs: source.pick([10, 40, 200]),
    quickAcks: source.pick([0, 16]),
    ephemeralFirst: 40_000,
    ephemeralLast: source.pick([40_002, 60_000]),
  };
}

/** SYN-ACKs that are remembered. */
const ANSWERS = 8;

interface SynAck {
  /** Source and destination, four words each. */
  readonly words: Int32Array;
  readonly from: number;
  readonly to: number;
  readonly seq: number;
  readonly ack: number;
  readonly stamps: boolean;
  readonly tsVal: number;
}

/** Kinds of options. */
export const OPTIONS = 11;

/** Sets one of the options that owners have, to something that `value` decides. */
export function setOption(stack: Stack, flow: number, which: number, value: number): void {
  const small = (value >>> 8) % 5000;
  switch (which) {
    case 0: stack.settings.setNoDelay(flow, (value & 1) !== 0); break;
    case 1: stack.settings.setCork(flow, (value & 1) !== 0); break;
    case 2: stack.settings.setKeepAlive(flow, (value & 1) !== 0, 1000 + small, (value >>> 20) % 3000, (value >>> 4) & 3); break;
    case 3: stack.settings.setReceiveBuffer(flow, (value >>> 8) & 0xffff); break;
    case 4: stack.settings.setUserTimeout(flow, (value & 1) !== 0 ? small : 0); break;
    case 5: stack.settings.setFinWait(flow, (value & 3) - 1); break;
    case 6: stack.settings.setMaxSegment(flow, (value & 1) !== 0 ? small : 0); break;
    case 7: stack.settings.setTrafficClass(flow, value & 255); break;
    case 8: stack.urgent(flow); break;
    case 9: stack.urgentBytes(flow); break;
    default: stack.settings.setReports(flow, (value & 1) !== 0); break;
  }
}

export class StackWorld implements World {
  readonly stack: Stack;
  readonly device: FuzzDevice;
  readonly payload: FuzzPayload;
  readonly #profile: Profile;
  readonly #t: Tcb;
  readonly #link: Link;
  readonly #packet: PacketWriter;
  readonly #maxFlows: number;
  readonly #states = new Float64Array(STATE_NAMES.length);
  readonly #before: Float64Array;
  readonly #errors = new Map<number, number>();
  readonly #steps = new Map<string, number>();
  readonly #listeners: number[] = [];
  readonly #calm: boolean;
  readonly #clock = new Clock(START);
  #peerPort = 1024;
  readonly #answers: SynAck[] = [];
  readonly #options = new TcpOptions();
  readonly #pieces: Uint8Array[] = [];
  #identification = 0;

  constructor(profile: Profile, setting: number) {
    const source = new Source(setting, 1);
    this.#profile = profile;
    this.#calm = source.chance(60);
    this.#maxFlows = source.between(profile.flows, profile.flows * 3);
    const segmentation = source.once(4) ? 65535 : 0;
    this.#link = { ethernet: profile.ethernet, mtu: source.pick([1500, 1500, 1280, 576, 9000]), segmentation, checksum: segmentation > 0 };
    this.payload = new FuzzPayload(this.#maxFlows, source.pick([65536, 1000, 100]));
    this.#packet = new PacketWriter(profile.ethernet);
    const words = new Int32Array(this.#maxFlows * TCB_WORDS);
    this.#t = new Tcb(words, 0);
    this.payload.tcb = new Tcb(words, 0);
    const sent = new Tcb(words, 0);
    this.device = new FuzzDevice(this.payload.memory, {
      medium: profile.ethernet ? 'ethernet' : 'ip', mtu: this.#link.mtu, mac: profile.ethernet ? OWN_MAC : null,
      txChecksum: this.#link.checksum, txSegmentation: segmentation, rxCoalescing: segmentation > 0,
    }, (bytes, length, checksumStart, segmentSize) => {
      if (this.stack === undefined) return;
      this.#noteSent(bytes, length);
      checkSent(this.#link, this.stack.core, sent, this.payload.memory, bytes, length, checksumStart, segmentSize);
    });
    const random = new Source(setting, 2);
    this.stack = new Stack({
      words, tcbBase: 0, maxFlows: this.#maxFlows, payload: this.payload, random: () => random.word() >>> 0, clock: this.#clock,
      secret: new Uint8Array(16).fill(setting & 255), limits: drawLimits(source, this.#maxFlows),
      interfaces: [{
        device: this.device, memory: this.payload.memory, // A link of less has no IPv6 (RFC 8200 5).
        addresses: this.#link.mtu < IPV6_MTU_MIN ? ['198.18.0.1/24'] : ['198.18.0.1/24', '2001:db8::1/64'],
        gateways: ['198.18.0.254', 'fe80::fe'], dadTransmits: source.once(3) ? 1 : 0,
      }],
    });
    this.#before = new Float64Array(this.stack.stats.length);
    for (const port of PORTS) this.#listen(port, source.pick([1, 4, 100]));
    this.#turn();
  }

  get inputs(): number {
    return this.device.received;
  }

  // ---- what may come next

  next(source: Source): Step {
    const profile = this.#profile;
    const draw = source.below(100);
    if (draw < profile.time) return { do: 'time', a: drawTime(source) };
    if (draw < profile.time + profile.calls) return this.#nextCall(source);
    const { a, segment } = this.#nextFrame(source);
    const raw = (a & 1) !== 0;
    return { do: 'frame', a, b: segment, c: source.once(raw ? 2 : 4) ? 1 : 0, bytes: this.#packet.frame };
  }

  /** Puts a frame together. Returns bit 0: its bytes may lie; bit 1: the device has looked at its checksum. And the size of coalesced segments. */
  #nextFrame(source: Source): { a: number; segment: number } {
    const packet = this.#packet;
    const profile = this.#profile;
    packet.mac[5] = source.between(2, 4);
    if (this.#pieces.length > 0 && !source.once(6)) {
      // Other parts of a packet that was cut, in any order; a few are lost.
      const [piece] = this.#pieces.splice(source.once(4) ? source.below(this.#pieces.length) : 0, 1);
      packet.bytes.set(piece!);
      packet.length = piece!.length;
      return { a: 0, segment: 0 };
    }
    if (source.chance(profile.raw)) {
      packet.raw(source, source.between(0, source.once(3) ? 1514 : 80));
      return { a: 1, segment: 0 };
    }
    const lies = this.#write(source) ? 1 : 0;
    if (packet.ipAt > 0 && source.once(40)) this.#cut(source);
    if (source.chance(profile.damaged)) {
      packet.length = damage(source, packet.bytes, packet.ipAt, packet.length);
      return { a: 1 | (source.once(4) ? 2 : 0), segment: 0 };
    }
    const coalesced = this.#link.segmentation > 0 && packet.length > 1000 && source.once(3);
    return { a: lies | (source.once(10) ? 2 : 0), segment: coalesced ? source.between(100, 1460) : 0 };
  }

  /** One valid packet of some kind. Returns whether its bytes may lie. */
  #write(source: Source): boolean {
    const packet = this.#packet;
    const at = source.below(PEERS.length);
    const own = OWN[at & 1]!;
    packet.between(PEERS[at]!, 0, own, 0);
    const draw = source.below(1000);
    if (packet.ipAt > 0 && draw < 40) {
      this.#writeNeighbour(source);
      return false;
    }
    if (draw < 55) {
      const rest = source.below(source.once(4) ? 1400 : 60);
      const types = packet.six ? [128, 128, 129, 130, 133, 200, 100] : [8, 8, 8, 0, 13, 5, 200];
      packet.icmp(source.pick(types), 0, source.word(), rest);
      return false;
    }
    if (draw < 62) {
      // What is in it is left of the packets before: behind an extension header perhaps a segment with another's text.
      packet.ip(source.pick([17, 47, 0, 43, 44, 59, 60, 255]), source.below(100), 0, 0, 0);
      return true;
    }
    if (draw < 70 && this.#answers.length > 0) {
      this.#writeAnswer(source);
      return false;
    }
    const flow = this.#anyFlow(source);
    if (flow === NONE || draw < 62 + this.#wish()) {
      this.#peerPort = 1024 + ((this.#peerPort + 1) & 63);
      const port = source.once(30) ? CLOSED_PORT : source.pick(PORTS);
      writeSyn(source, packet, source.once(40) ? 1024 + source.below(64) : this.#peerPort, port);
    } else if (draw > 985) {
      this.#writeError(source, this.#t.at(flow));
    } else {
      writeSegment(source, this.stack.core, this.#t.at(flow), packet, this.#profile.bold, this.#calm);
    }
    if (packet.six && source.once(20)) packet.extend(source);
    return false;
  }

  /** The third segment of a handshake, to a SYN-ACK that was sent lately: of a half-open flow, or one that nothing is kept of. */
  #writeAnswer(source: Source): void {
    const packet = this.#packet;
    const { words, from, to, seq, ack, stamps, tsVal } = source.pick(this.#answers);
    packet.between(words, 4, words, 0);
    const options = stamps || source.once(10) ? emitTimestamps(packet.bytes, packet.at + 20, source.word(), source.once(10) ? source.word() : tsVal) : 0;
    const off = source.once(6) ? source.between(-2, 2) : 0;
    packet.tcp(to, from, ack, (seq + 1 + off) | 0, source.once(10) ? 0x11 : 0x10, 65535, options, source.once(3) ? source.below(500) : 0, 0, 0);
  }

  /** Remembers a SYN-ACK. */
  #noteSent(bytes: Uint8Array, length: number): void {
    const ipAt = this.#packet.ipAt;
    const six = bytes[ipAt]! >> 4 === 6;
    const at = ipAt + (six ? 40 : 20);
    if (length < at + 20 || bytes[ipAt + (six ? 6 : 9)] !== 6 || (bytes[at + 13]! & 0x12) !== 0x12) return;
    const words = new Int32Array(8);
    if (six) {
      getWords(bytes, ipAt + 8, words, 0);
      getWords(bytes, ipAt + 24, words, 4);
    } else {
      setMapped(words, 0, get32(bytes, ipAt + 12));
      setMapped(words, 4, get32(bytes, ipAt + 16));
    }
    parseOptions(bytes, at, this.#options);
    const { hasTimestamps: stamps, tsVal } = this.#options;
    if (this.#answers.length === ANSWERS) this.#answers.shift();
    this.#answers.push({ words, from: get16(bytes, at), to: get16(bytes, at + 2), seq: get32(bytes, at + 4), ack: get32(bytes, at + 8), stamps, tsVal });
  }

  /** ARP and neighbour discovery: questions, answers, and those of routers. */
  #writeNeighbour(source: Source): void {
    const packet = this.#packet;
    if (!packet.six) {
      packet.arp(source.once(2) ? 1 : 2, source.pick(ARP_SENDERS), source.once(4) ? source.pick(ARP_SENDERS) : OWN[0]![3]!, source.once(2));
      return;
    }
    const sender = source.pick([...PEERS.filter((_, i) => (i & 1) === 1), LINK_LOCAL, ROUTER, ROUTER, OWN[1]!, UNSPECIFIED]);
    packet.between(sender, 0, source.pick([OWN[1]!, OWN[1]!, ALL_NODES, SOLICITED]), 0);
    packet.hops = source.once(15) ? 64 : 255;
    const { bytes, at, mac } = packet;
    const target = source.once(4) ? source.pick([OWN[1]!, LINK_LOCAL, ALL_NODES]) : source.once(2) ? sender : OWN[1]!;
    const solicits = source.once(2);
    putWords(bytes, at + 8, target, 0);
    bytes[at + 24] = source.once(10) ? source.below(16) : solicits ? 1 : 2;
    bytes[at + 25] = source.once(20) ? source.below(3) : 1;
    bytes.set(mac, at + 26);
    const type = source.once(12) ? source.pick([134, 137, 130, 143]) : solicits ? 135 : 136;
    packet.icmp(type, 0, source.pick([0, 0x60000000, 0x40000000, 0x20000000, -0x20000000]), source.once(6) ? 16 : 24);
  }

  #writeError(source: Source, t: Tcb): void {
    const packet = this.#packet;
    if (source.once(2)) packet.between(t.words, t.remoteAt, t.words, t.localAt);
    else packet.between(PEERS[isMapped(t.words, t.remoteAt) ? 2 : 3]!, 0, t.words, t.localAt);
    const rest = quoteSegment(source, t, packet);
    const [type, code] = packet.six
      ? source.pick([[1, 0], [1, 1], [1, 3], [1, 4], [2, 0], [2, 0], [3, 0], [4, 1], [100, 0]] as const)
      : source.pick([[3, 0], [3, 1], [3, 2], [3, 3], [3, 4], [3, 4], [3, 13], [11, 0], [12, 0], [4, 0]] as const);
    packet.icmp(type, code, source.pick([0, 68, 296, 552, 576, 1006, 1280, 1492, 1499, 1500, 65535]), rest);
  }

  /** Of a thousand frames, how many open a connection: many where few are there. */
  #wish(): number {
    const used = this.stack.flowsInUse;
    return used < this.#profile.flows ? 200 : 12;
  }

  /** Cuts the packet that is there: its first part stays, the others are drawn later. */
  #cut(source: Source): void {
    const packet = this.#packet;
    const total = packet.length - packet.at;
    if (total < 24) return;
    const whole = packet.frame.slice();
    const size = Math.max(24, Math.ceil(total / source.between(2, 4) / 8) * 8);
    this.#identification = (this.#identification + 1) & 0xffff;
    this.#pieces.length = 0;
    for (let from = 0; from < total; from += size) {
      packet.bytes.set(whole);
      const odd = source.once(12) ? source.between(-8, 8) : 0;
      packet.fragment(this.#identification, from, Math.max(Math.min(size, total - from) + odd, 1), source.once(30) ? source.once(2) : from + size < total);
      this.#pieces.push(packet.frame.slice());
    }
    const first = this.#pieces.shift()!;
    packet.bytes.set(first);
    packet.length = first.length;
  }

  #anyFlow(source: Source): number {
    const first = source.below(this.#maxFlows);
    for (let i = 0; i < this.#maxFlows; i++) {
      const flow = (first + i) % this.#maxFlows;
      const { state } = this.#t.at(flow);
      if (state !== FREE && (state !== CLOSED || source.once(8))) return flow;
    }
    return NONE;
  }

  #nextCall(source: Source): Step {
    const draw = source.below(100);
    const flow = source.once(60) ? source.between(-2, this.#maxFlows + 2) : this.#ownedFlow(source);
    if (draw < 45) return { do: 'write', a: flow, b: source.pick([1, 100, 1460, 4000, 20_000, 60_000]), c: source.once(8) ? 1 : 0 };
    if (draw < 70) return { do: 'read', a: flow, b: source.pick([1, 100, 1460, 65536, 65536]) };
    if (source.once(12)) return { do: 'taken', a: flow };
    if (draw < 82) {
      // Where it is calm connections live long, and get into what only a long life leads to.
      if (this.#calm && !source.once(8)) return { do: 'read', a: flow, b: 65536 };
      return { do: draw < 74 ? 'shutdown' : draw < 80 ? 'release' : 'abort', a: flow };
    }
    if (draw < 90) return { do: 'option', a: flow, b: source.below(OPTIONS), c: source.word() };
    if (draw < 93) return { do: 'connect', a: source.below(PEERS.length), b: source.once(6) ? CLOSED_PORT : 7, c: source.once(5) ? source.between(80, 90) : 0 };
    if (draw < 94) return { do: 'listen', a: source.once(3) ? 0 : source.between(80, 84), b: source.pick([0, 1, 10]), c: source.below(3) };
    if (draw < 95) return source.once(2) ? { do: 'unlisten', a: source.below(4) } : { do: 'inherit', a: source.below(4), b: source.below(3), c: source.word() };
    if (draw < 96) return { do: 'backlog', a: source.between(-1, 5), b: source.pick([0, 1, 4, 100]) };
    if (draw < 98) return { do: 'memory', a: source.once(3) ? 1 : 0 };
    return { do: 'device', a: source.once(3) ? 1 : 0 };
  }

  /** A flow that its owner holds, or NONE. */
  #ownedFlow(source: Source): number {
    const first = source.below(this.#maxFlows);
    for (let i = 0; i < this.#maxFlows; i++) {
      const flow = (first + i) % this.#maxFlows;
      if (this.#isOwned(flow)) return flow;
    }
    return NONE;
  }

  #isOwned(flow: number): boolean {
    if (flow < 0 || flow >= this.#maxFlows) return false;
    const t = this.#t.at(flow);
    return t.state !== FREE && t.has(OWNED) && !t.has(RELEASED);
  }

  // ---- what is done

  apply(step: Step): void {
    this.#count(step.do);
    switch (step.do) {
      case 'frame': this.#frame(step); break;
      case 'time': this.#pass(step.a ?? 0); break;
      default: this.#call(step); break;
    }
    this.#check();
  }

  #frame(step: Step): void {
    const a = step.a ?? 0;
    // What a good frame says lies where it says it; of a bad one nothing is known.
    if ((a & 1) !== 0) this.payload.exact = false;
    this.device.put(step.bytes!, (a & 2) !== 0 ? RX_CHECKSUM_VALID : 0, step.b ?? 0);
    // Some wait, and are taken in one turn with those that follow.
    if ((step.c ?? 0) === 0) this.#rest();
  }

  #call(step: Step): void {
    const { stack } = this;
    const flow = step.a ?? 0;
    const b = step.b ?? 0;
    switch (step.do) {
      case 'write': this.#owns(flow, () => this.#writeText(flow, b, step.c === 1)); break;
      case 'read': this.#owns(flow, () => this.#read(flow, b)); stack.taken(flow); break;
      case 'shutdown': this.#owns(flow, () => stack.shutdown(flow)); break;
      case 'release': this.#owns(flow, () => stack.release(flow)); break;
      case 'abort': this.#owns(flow, () => stack.abort(flow)); break;
      case 'option': this.#owns(flow, () => setOption(stack, flow, b, step.c ?? 0)); break;
      case 'connect': this.#connect(flow, b, step.c ?? 0); break;
      case 'listen': this.#listen(flow, b, step.c === 0 ? UNSPECIFIED : OWN[(step.c ?? 0) & 1]); break;
      case 'unlisten': stack.unlisten(this.#listeners[flow] ?? flow); break;
      case 'inherit': stack.setInherited(flow, b === 0 ? 0 : (step.c ?? 0) >>> 16, b === 1 ? 0 : ((step.c ?? 0) >>> 4) & 0xfff, (step.c ?? 0) & 255); break;
      case 'taken': this.#owns(flow, () => stack.taken(flow)); break;
      case 'backlog': stack.setBacklog(flow, b); break;
      case 'memory': this.payload.full = flow === 1; break;
      case 'device': this.device.full = flow === 1; break;
      default: throw new Error(`no such step: ${step.do}`);
    }
    this.#rest();
  }

  /** The stack's owner acts on its own flows, and on numbers that are none. */
  #owns(flow: number, act: () => void): void {
    if (flow < 0 || flow >= this.#maxFlows || this.#isOwned(flow)) act();
  }

  #writeText(flow: number, count: number, more: boolean): void {
    if (!this.#isOwned(flow)) {
      this.stack.write(flow, count);
      return;
    }
    const t = this.#t.at(flow);
    const room = SEND_MOST - ((t.written - t.acknowledged) | 0);
    if (room > 0) this.stack.write(flow, (t.written + Math.min(count, room)) | 0, more);
  }

  #read(flow: number, count: number): void {
    if (!this.#isOwned(flow)) {
      this.stack.consume(flow, count);
      return;
    }
    const t = this.#t.at(flow);
    const to = (t.consumed + Math.min(count, (t.received - t.consumed) | 0)) | 0;
    this.payload.read(flow, to);
    this.stack.consume(flow, to);
  }

  #connect(peer: number, port: number, localPort: number): void {
    this.stack.connect(PEERS[peer % PEERS.length]!, port, null, localPort);
  }

  #listen(port: number, backlog: number, address: Int32Array = UNSPECIFIED): void {
    const id = this.stack.listen(address, port, backlog);
    if (id >= 0 && !this.#listeners.includes(id)) this.#listeners.push(id);
  }

  // ---- turns and time

  #turn(): void {
    const { stack } = this;
    stack.receive(1000);
    stack.advance();
    this.#take();
    stack.transmit();
    this.#take();
  }

  /** Turns until nothing is left to do in this instant. */
  #rest(): void {
    const { stack, device } = this;
    for (let i = 0; i < REST; i++) {
      const before = device.sent;
      const frames = device.waiting;
      this.#turn();
      // One frame has a bounded answer: its own, and what it lets go of what waits.
      const answers = device.sent - before;
      const most = 4 * (frames + this.#maxFlows) + this.#maxFlows * (SEND_MOST / 48 + 2);
      if (answers > most) throw new Finding(`${answers} frames are sent in a turn that took ${frames}`);
      if (!stack.readable() && stack.pollAt() > this.#clock.now) return;
    }
    throw new Finding('the stack does not come to rest');
  }

  /** µs pass, and at each instant at which the stack wants it there is a turn. */
  #pass(us: number): void {
    // A device without room is asked again each millisecond.
    const until = this.#clock.now + (this.device.full ? Math.min(us, FULL_MOST) : us);
    this.#rest();
    for (let i = 0; i < INSTANTS; i++) {
      const at = this.stack.pollAt();
      if (at > until) {
        this.#clock.now = until;
        this.#rest();
        return;
      }
      this.#clock.now = Math.max(at, this.#clock.now);
      this.#rest();
    }
    throw new Finding(`${INSTANTS} instants in ${us} µs, ${until - this.#clock.now} left: ${describeFlows(this.#t, this.#maxFlows)}`);
  }

  #take(): void {
    const { stack } = this;
    const t = this.#t;
    let count = 0;
    for (let flow = stack.takeChanged(); flow !== NONE; flow = stack.takeChanged()) {
      if (++count > 4 * this.#maxFlows) throw new Finding('the list of changed flows does not end');
      t.at(flow);
      const { events } = t;
      t.events = 0;
      if (t.state === FREE) throw new Finding('events of a record that is not in use');
      if (events === 0) throw new Finding('a flow has changed and has no event');
      if ((events & EV_ERROR) !== 0) this.#errors.set(t.error, (this.#errors.get(t.error) ?? 0) + 1);
      if ((events & (EV_ACCEPTED | EV_CONNECTED)) !== 0 && !t.has(OWNED)) throw new Finding('an event for an owner who does not own');
      if ((events & EV_FREED) === 0) continue;
      if (!t.has(RECYCLABLE)) throw new Finding('freed, and not to be recycled');
      this.payload.forget(flow);
      stack.recycle(flow);
    }
  }

  #check(): void {
    const { stats } = this.stack;
    for (let i = 0; i < stats.length; i++) {
      if (stats[i]! < this.#before[i]!) throw new Finding(`counter ${STAT_NAMES[i]} falls`);
    }
    this.#before.set(stats);
    checkStack(this.stack, this.#t, this.#states);
  }

  // ---- the end

  finish(): void {
    const { stack } = this;
    this.device.full = false;
    this.payload.full = false;
    // Some are let go in good order, to a peer that does not answer any more; some are reset.
    for (let flow = 0; flow < this.#maxFlows; flow++) {
      if (!this.#isOwned(flow)) continue;
      if (flow % 3 === 0) stack.abort(flow);
      else stack.release(flow);
    }
    for (const listener of this.#listeners) stack.unlisten(listener);
    this.#rest();
    this.#check();
    for (let i = 0; i < INSTANTS && stack.pollAt() !== Infinity; i++) {
      this.#clock.now = Math.max(stack.pollAt(), this.#clock.now);
      this.#rest();
      // What a peer had opened and the owner not heard of yet is its own only then.
      for (let flow = 0; flow < this.#maxFlows; flow++) if (this.#isOwned(flow)) stack.release(flow);
    }
    this.#pass(10 * MINUTE);
    checkEmpty(stack);
  }

  #count(name: string): void {
    this.#steps.set(name, (this.#steps.get(name) ?? 0) + 1);
  }

  report(coverage: Coverage): void {
    const { stats, ip } = this.stack;
    for (let i = 0; i < stats.length; i++) coverage.add(STAT_NAMES[i]!, stats[i]!);
    for (const [name, value] of Object.entries(ip.stats) as [string, number][]) coverage.add(name, value);
    for (let state = CLOSED; state < this.#states.length; state++) coverage.add(`state ${STATE_NAMES[state]}`, this.#states[state]!);
    for (const [errno, count] of this.#errors) coverage.add(`error ${errno}`, count);
    for (const [name, count] of this.#steps) coverage.add(`step ${name}`, count);
    coverage.add('frames sent', this.device.sent);
  }
}

function describeFlows(t: Tcb, count: number): string {
  const flows: string[] = [];
  for (let flow = 0; flow < count; flow++) {
    t.at(flow);
    if (t.state > CLOSED) flows.push(`${STATE_NAMES[t.state]} timers ${t.timers} retries ${t.retries} probes ${t.probes} rto ${t.rto} flags ${t.flags}`);
  }
  return flows.join('; ');
}


function drawTime(source: Source): number {
  const draw = source.below(100);
  if (draw < 30) return source.below(2000);
  if (draw < 55) return source.below(60_000);
  if (draw < 75) return source.below(500_000);
  if (draw < 90) return source.below(3_000_000);
  if (draw < 97) return source.below(2 * MINUTE);
  return source.pick([3600_000_000, 86_400_000_000, 25 * 86_400_000_000]);
}

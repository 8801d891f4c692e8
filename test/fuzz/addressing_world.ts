/**
 * One stack that has the network give it its addresses, and whoever is on the link: DHCP servers and routers that answer what it has asked,
 * well or badly, stations that claim its addresses, and time.
 */
import { Clock } from '../../lib/tcp/clock.js';
import { IpStats } from '../../lib/tcp/ip/stats.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { Stack } from '../../lib/tcp/stack.js';
import { parseAddress, parseDotted, setMapped } from '../../lib/tcp/wire/address.js';
import { get16, get32, getWords, put16, put32, putWords } from '../../lib/tcp/wire/bytes.js';
import { PROTOCOL_UDP } from '../../lib/tcp/wire/ipv4.js';
import { emitUdp } from '../../lib/tcp/wire/udp.js';
import { Finding } from './case.js';
import type { Coverage, Step, World } from './case.js';
import { FuzzDevice } from './device.js';
import { OWN_MAC, PacketWriter, damage } from './packets.js';
import { FuzzPayload } from './payload.js';
import { checkSent } from './sent.js';
import { Source } from './source.js';

const FLOWS = 4;
const SECOND = 1_000_000;
const START = 1_700_000_000_000_000;
/** Turns that one instant may take, and instants that one step of time may take. */
const REST = 20;
const INSTANTS = 20_000;
/** Addresses and routers that the network can make a host have (router_discovery.ts), and the link-local address. */
const FORMED_MOST = 9;

function addressOf(text: string): Int32Array {
  const words = new Int32Array(4);
  parseAddress(text, words, 0);
  return words;
}

const SERVERS = ['198.18.0.2', '198.18.0.3'].map(addressOf);
const OFFERED = ['198.18.0.77', '198.18.0.78', '198.18.0.255', '0.0.0.0', '127.0.0.1', '224.0.0.1', '10.0.0.1'].map(parseDotted);
const ROUTERS = ['fe80::fe', 'fe80::fd', 'fe80::1', '2001:db8::1', '::'].map(addressOf);
const PREFIXES = ['2001:db8:5::', '2001:db8:6::', '2001:db8:7::', 'fe80::', 'ff02::', '::'].map(addressOf);
const ALL_NODES = addressOf('ff02::1');
const LIFETIMES = [0, 1, 60, 3600, 7199, 7201, 100_000, -1, 0x7fffffff];
const TIMES = [1, 1000, 400_000, SECOND, 2 * SECOND, 5 * SECOND, 20 * SECOND, 100 * SECOND, 4000 * SECOND];

export class AddressingWorld implements World {
  readonly #stack: Stack;
  readonly #device: FuzzDevice;
  readonly #packet = new PacketWriter(true);
  readonly #clock = new Clock(START);
  /** Transaction of the last DHCP message that was sent. */
  #xid = 0;
  /** The address that was probed for or claimed last, int32, and of IPv6. */
  #claimed = 0;
  readonly #claimed6 = new Int32Array(4);

  constructor(setting: number) {
    const source = new Source(setting, 1);
    const payload = new FuzzPayload(FLOWS, 1000);
    const words = new Int32Array(FLOWS * TCB_WORDS);
    const sent = new Tcb(words, 0);
    payload.tcb = new Tcb(words, 0);
    const link = { ethernet: true, mtu: 1500, segmentation: 0, checksum: false };
    this.#device = new FuzzDevice(payload.memory, {
      medium: 'ethernet', mtu: 1500, mac: OWN_MAC, txChecksum: false, txSegmentation: 0, rxCoalescing: false,
    }, (bytes, length, checksumStart, segmentSize) => {
      this.#note(bytes);
      if (this.#stack !== undefined) checkSent(link, this.#stack.core, sent, payload.memory, bytes, length, checksumStart, segmentSize);
    });
    const random = new Source(setting, 2);
    this.#stack = new Stack({
      words, tcbBase: 0, maxFlows: FLOWS, payload, random: () => random.word() >>> 0, clock: this.#clock, secret: new Uint8Array(16).fill(setting & 255),
      interfaces: [{ device: this.#device, memory: payload.memory, addresses: [], dhcp: { clientId: null }, slaac: { secret: new Uint8Array(16).fill(7) }, dadTransmits: source.below(3) }],
    });
    this.#stack.listen(new Int32Array(4), 80, 4);
    this.#rest();
  }

  get inputs(): number {
    return this.#device.received;
  }

  /** What the stack asks is what is answered. */
  #note(bytes: Uint8Array): void {
    const type = get16(bytes, 12);
    if (type === 0x0806) this.#claimed = get32(bytes, 38);
    else if (type === 0x0800 && bytes[23] === PROTOCOL_UDP) this.#xid = get32(bytes, 42 + 4);
    else if (bytes[20] === 58 && bytes[54]! >= 135) getWords(bytes, 62, this.#claimed6, 0);
  }

  next(source: Source): Step {
    if (source.once(5)) return { do: 'time', a: source.pick(TIMES) };
    const packet = this.#packet;
    packet.mac[5] = source.between(2, 4);
    const draw = source.below(10);
    if (draw < 5) this.#writeDhcp(source);
    else if (draw < 8) this.#writeRouter(source);
    else if (draw < 9) this.#writeClaim(source);
    else packet.raw(source, source.below(400));
    if (source.once(6)) packet.length = damage(source, packet.bytes, packet.ipAt, packet.length);
    return { do: 'frame', a: source.once(8) ? 1 : 0, bytes: packet.frame };
  }

  /** What a server says to the last message. */
  #writeDhcp(source: Source): void {
    const packet = this.#packet;
    const server = source.pick(SERVERS);
    const target = new Int32Array(4);
    const address = source.once(6) ? source.pick(OFFERED) : OFFERED[0]!;
    setMapped(target, 0, source.once(2) ? -1 : address);
    packet.between(server, 0, target, 0);
    const { bytes, at } = packet;
    const message = at + 8;
    bytes.fill(0, at, at + 700);
    bytes.set([2, 1, 6], message);
    put32(bytes, message + 4, source.once(12) ? source.word() : this.#xid);
    put32(bytes, message + 16, address);
    bytes.set(OWN_MAC, message + 28);
    put32(bytes, message + 236, 0x63825363);
    let next = message + 240;
    const option = (kind: number, ...value: number[]): void => {
      bytes.set([kind, value.length, ...value], next);
      next += 2 + value.length;
    };
    const word = (value: number): number[] => [value >>> 24, (value >>> 16) & 255, (value >>> 8) & 255, value & 255];
    option(53, source.once(12) ? source.below(9) : source.pick([2, 2, 5, 5, 5, 6]));
    if (!source.once(20)) option(54, ...word(server[3]!));
    if (!source.once(20)) option(51, ...word(source.pick([30, 60, 600, 600, 86_400, -1, 0, source.word()])));
    if (!source.once(8)) option(1, ...word(source.once(8) ? source.word() : 0xffffff00));
    if (source.once(3)) option(58, ...word(source.pick(LIFETIMES)));
    if (source.once(3)) option(59, ...word(source.pick(LIFETIMES)));
    if (source.once(3)) option(26, source.below(256), source.below(256));
    if (source.once(2)) option(3, ...word(source.once(3) ? source.word() : parseDotted('198.18.0.254')));
    if (source.once(4)) option(121, ...Array.from({ length: source.below(60) }, () => source.below(source.once(2) ? 33 : 256)));
    if (source.once(10)) option(52, source.below(4));
    bytes[next++] = 255;
    const length = next - message;
    emitUdp(bytes, at, packet.words[3]!, 67, packet.words[7]!, 68, length);
    packet.ip(PROTOCOL_UDP, 8 + length, 0, 0, 0);
    if (packet.words[7] === -1) bytes.fill(255, 0, 6);
  }

  /** The advertisement of a router. */
  #writeRouter(source: Source): void {
    const packet = this.#packet;
    packet.between(source.once(8) ? source.pick(ROUTERS) : ROUTERS[source.below(2)]!, 0, ALL_NODES, 0);
    if (!source.once(15)) packet.hops = 255;
    const { bytes, at } = packet;
    let next = at + 16;
    put32(bytes, at + 8, source.once(3) ? source.word() : 0);
    put32(bytes, at + 12, 0);
    for (let i = source.below(4); i > 0; i--) {
      const kind = source.pick([1, 3, 3, 3, 5, 24]);
      const length = source.once(20) ? source.below(6) : kind === 3 ? 4 : 1;
      for (let k = 2; k < 8 * length; k++) bytes[next + k] = source.word();
      bytes[next] = kind;
      bytes[next + 1] = length;
      if (kind === 3) {
        bytes[next + 2] = source.once(5) ? source.word() : 64;
        bytes[next + 3] = source.once(5) ? source.word() : 0xc0;
        put32(bytes, next + 4, source.pick(LIFETIMES));
        put32(bytes, next + 8, source.pick(LIFETIMES));
        putWords(bytes, next + 16, source.pick(PREFIXES), 0);
        put16(bytes, next + 20, source.once(3) ? source.below(50) : 0);
      } else if (kind === 5) {
        put32(bytes, next + 4, source.pick([0, 1279, 1280, 1400, 1500, 9000, -1]));
      }
      next += 8 * length;
    }
    packet.icmp(134, source.once(30) ? 1 : 0, (source.pick([0, 64, 255, 1]) << 24) | source.pick([0, 1, 30, 1800, 65535]), next - at - 8);
  }

  /** Another station says that an address is its own, or asks who has it. */
  #writeClaim(source: Source): void {
    const packet = this.#packet;
    if (source.once(2)) {
      packet.between(SERVERS[0]!, 0, SERVERS[1]!, 0);
      packet.arp(source.between(1, 2), source.once(3) ? 0 : this.#claimed, this.#claimed, source.once(2));
      return;
    }
    const probe = source.once(2);
    packet.between(probe ? ROUTERS[4]! : this.#claimed6, 0, ALL_NODES, 0);
    packet.hops = 255;
    putWords(packet.bytes, packet.at + 8, this.#claimed6, 0);
    packet.icmp(probe ? 135 : 136, 0, probe ? 0 : 0x20000000, 16);
  }

  apply(step: Step): void {
    if (step.do === 'time') {
      this.#pass(step.a ?? 0);
    } else {
      this.#device.put(step.bytes!, step.a === 1 ? 1 : 0, 0);
      this.#rest();
    }
    this.#check();
  }

  /** Time passes, each thing when it is due. */
  #pass(time: number): void {
    const end = this.#clock.now + time;
    for (let instants = 0; this.#stack.pollAt() <= end; instants++) {
      if (instants === INSTANTS) throw new Finding(`more than ${INSTANTS} things to do in ${time / SECOND} s`);
      this.#clock.now = Math.max(this.#clock.now, this.#stack.pollAt());
      this.#rest();
    }
    this.#clock.now = end;
  }

  /** Turns until nothing is left to do at this instant. */
  #rest(): void {
    const stack = this.#stack;
    for (let turns = 0; turns === 0 || stack.readable() || stack.pollAt() <= this.#clock.now; turns++) {
      if (turns === REST) throw new Finding('no end of things to do');
      stack.receive(64);
      stack.advance();
      for (let flow = stack.takeChanged(); flow >= 0; flow = stack.takeChanged()) stack.abort(flow);
      stack.transmit();
    }
  }

  #check(): void {
    const { ip } = this.#stack;
    const formed = ip.formed(0);
    if (formed.length > FORMED_MOST || new Set(formed).size < formed.length) throw new Finding(`addresses: ${formed.join(', ')}`);
    if (ip.leased(0) !== null && /^(?:0|127|22[4-9]|2[3-5]\d)\./.test(ip.leased(0)!)) throw new Finding(`${ip.leased(0)} is leased`);
  }

  finish(): void {
    this.#stack.ip.leave();
    this.#stack.ip.flush();
    this.#pass(100 * SECOND);
    this.#check();
  }

  report(coverage: Coverage): void {
    const { stats } = this.#stack.ip;
    for (const name of Object.keys(new IpStats())) coverage.add(name, stats[name as keyof IpStats] as number);
  }
}

/** What the tests of IP share: a device that the test plays the link of, a transport that notes what it is told, frames. */
import { TX_ROOM } from '../../../lib/nic/device.js';
import type { Device, DeviceCapabilities, DeviceStats, FrameRest, FrameSink, HostNetwork } from '../../../lib/nic/device.js';
import { Clock, Earliest } from '../../../lib/tcp/clock.js';
import { Ip } from '../../../lib/tcp/ip/ip.js';
import type { InterfaceConfig } from '../../../lib/tcp/ip/interface_config.js';
import type { PortsInUse } from '../../../lib/tcp/ip/input.js';
import type { Arrival, TransportSink } from '../../../lib/tcp/transport.js';
import { formatAddress, parseAddress, parseDotted } from '../../../lib/tcp/wire/address.js';
import { ARP_LENGTH, emitArp } from '../../../lib/tcp/wire/arp.js';
import { put16 } from '../../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4 } from '../../../lib/tcp/wire/checksum.js';
import { ETHERNET_HEADER, TYPE_ARP, TYPE_IPV4, emitEthernet } from '../../../lib/tcp/wire/ethernet.js';
import { PROTOCOL_TCP, emitIPv4 } from '../../../lib/tcp/wire/ipv4.js';
import { ACK, TCP_CHECKSUM, emitTcp } from '../../../lib/tcp/wire/tcp.js';
import { randomOf } from '../../support/random.js';

export const OWN = '198.18.0.1';
export const PEER = '198.18.0.2';
export const GATEWAY = '198.18.0.254';
export const FAR = '203.0.113.7';
export const OWN_MAC = Uint8Array.of(2, 0, 0, 0, 0, 1);
export const PEER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 2);
export const OTHER_MAC = Uint8Array.of(2, 0, 0, 0, 0, 3);
export const ALL_MAC = new Uint8Array(6).fill(255);
/** Payload memory of every device here. */
export const MEMORY = Uint8Array.from({ length: 1 << 17 }, (_, i) => (i * 7 + (i >> 8)) & 255);

export interface Sent {
  bytes: Uint8Array;
  checksumStart: number;
  segmentSize: number;
}

/** The rest of a frame of which only so many bytes are there at first. */
export class FakeRest implements FrameRest {
  /** Somebody had the whole frame brought. */
  brought = false;
  readonly present: number;
  readonly #lost: boolean;
  #ring: Uint8Array = new Uint8Array(0);
  #frame: Uint8Array = new Uint8Array(0);

  constructor(present: number, lost = false) {
    this.present = present;
    this.#lost = lost;
  }

  begin(ring: Uint8Array, frame: Uint8Array): void {
    this.#ring = ring;
    this.#frame = frame;
  }

  whole(): number {
    this.brought = true;
    if (this.#lost) return -1;
    this.#ring.set(this.#frame, 3);
    return 3;
  }

  from(): void {}
  into(): void {}
  fetch(): boolean { return false; }
}

/** A device whose link is two lists: what waits to be received, and what was sent. */
export class FakeDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx: Uint8Array;
  readonly waiting: { bytes: Uint8Array; flags: number; segmentSize: number; rest?: FakeRest }[] = [];
  /** Frames that were flushed. */
  readonly sent: Sent[] = [];
  /** Frames that one batch holds. */
  batch = 4;
  /** What it was told last that the own addresses are, in hex. */
  addresses: string[] = [];
  /** Groups that were joined, link addresses in hex. */
  readonly groups: string[] = [];
  /** False: `flush` makes no room, as where the link is stuck. */
  flushes = true;
  private readonly committed: Sent[] = [];
  private spans: Uint8Array[] = [];

  constructor(capabilities: Partial<DeviceCapabilities> = {}) {
    this.capabilities = {
      medium: 'ethernet', mtu: 1500, mac: OWN_MAC, txChecksum: false, txSegmentation: 0, rxCoalescing: false, ...capabilities,
    };
    this.tx = new Uint8Array(TX_ROOM + 6);
  }

  receive(sink: FrameSink, budget: number): number {
    let taken = 0;
    for (; taken < budget && this.waiting.length > 0; taken++) {
      const { bytes, flags, segmentSize, rest } = this.waiting.shift()!;
      // In the midst of other bytes, as frames lie in a ring.
      const ring = new Uint8Array(bytes.length + 10).fill(0xee);
      if (rest !== undefined) {
        ring.set(bytes.subarray(0, rest.present), 3);
        rest.begin(ring, bytes);
        sink.longFrame!(ring, 3, rest.present, bytes.length, flags, segmentSize, rest);
        continue;
      }
      ring.set(bytes, 3);
      sink.frame(ring, 3, bytes.length, flags, segmentSize);
    }
    return taken;
  }

  readable(): boolean {
    return this.waiting.length > 0;
  }

  reserve(): number {
    this.spans = [];
    return this.committed.length < this.batch ? 6 : -1;
  }

  append(offset: number, length: number): void {
    this.spans.push(MEMORY.subarray(offset, offset + length));
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    const bytes = Uint8Array.from(Buffer.concat([this.tx.subarray(6, 6 + length), ...this.spans]));
    this.committed.push({ bytes, checksumStart, segmentSize });
  }

  flush(): number {
    if (!this.flushes) return 0;
    this.sent.push(...this.committed);
    return this.committed.splice(0).length;
  }

  joinGroup(mac: Uint8Array): void {
    this.groups.push(Buffer.from(mac).toString('hex'));
  }

  leaveGroup(mac: Uint8Array): void {
    this.groups.splice(this.groups.indexOf(Buffer.from(mac).toString('hex')), 1);
  }

  setAddresses(addresses: readonly Uint8Array[]): void {
    this.addresses = addresses.map((bytes) => Buffer.from(bytes).toString('hex'));
  }

  close(): void {}
}

export interface SeenSegment {
  bytes: Uint8Array;
  from: string;
  to: string;
  ecn: number;
  segmentSize: number;
  interfaceIndex: number;
  rest: FrameRest | null;
}

export interface SeenError {
  local: string;
  remote: string;
  localPort: number;
  remotePort: number;
  sequence: number;
  errno: number;
  hard: boolean;
  mtu: number;
}

export class FakeTransport implements TransportSink {
  readonly segments: SeenSegment[] = [];
  readonly errors: SeenError[] = [];
  readonly withdrawals: string[] = [];
  /** What `unreachable` answers. */
  inFlight = true;

  segment(arrival: Arrival): void {
    this.segments.push({
      bytes: arrival.bytes.slice(arrival.offset, arrival.offset + arrival.length),
      from: formatAddress(arrival.addresses, 0),
      to: formatAddress(arrival.addresses, 4),
      ecn: arrival.ecn,
      segmentSize: arrival.segmentSize,
      interfaceIndex: arrival.interfaceIndex,
      rest: arrival.rest,
    });
  }

  withdrawn(words: Int32Array, at: number): void {
    this.withdrawals.push(formatAddress(words, at));
  }

  unreachable(
    words: Int32Array, localPort: number, remotePort: number, sequence: number, errno: number, hard: boolean, mtu: number,
  ): boolean {
    const [local, remote] = [formatAddress(words, 0), formatAddress(words, 4)];
    this.errors.push({ local, remote, localPort, remotePort, sequence, errno, hard, mtu });
    return this.inFlight;
  }
}

/** When that has something to do next, µs; Infinity where it has not. */
export function dueAt(of: { dueBy(next: Earliest): void }): number {
  const next = new Earliest();
  of.dueBy(next);
  return next.at;
}

/** A host with one device (and a loopback, where asked for), and time in seconds. */
export class Host {
  readonly device: FakeDevice;
  readonly loopback = new FakeDevice({ medium: 'ip', mtu: 65536, mac: null, txChecksum: true, txSegmentation: 65535 });
  readonly transport = new FakeTransport();
  readonly ip: Ip;
  readonly clock = new Clock(1e6);

  constructor(
    capabilities: Partial<DeviceCapabilities> = {},
    options: {
      loopback?: boolean; prefix?: number; addresses?: string[]; gateways?: string[]; dadTransmits?: number; seed?: number; host?: HostNetwork; ports?: PortsInUse;
      dhcp?: InterfaceConfig['dhcp']; slaac?: InterfaceConfig['slaac']; probe?: boolean;
    } = {},
  ) {
    this.device = new FakeDevice(capabilities);
    const { dhcp = null, slaac = null, probe = false } = options;
    const four = dhcp === null ? [`${OWN}/${options.prefix ?? 24}`] : [];
    const interfaces: InterfaceConfig[] = [
      { device: this.device, memory: MEMORY, addresses: [...four, ...options.addresses ?? []], gateways: dhcp === null ? [GATEWAY, ...options.gateways ?? []] : [],
        dadTransmits: options.dadTransmits ?? 1, host: options.host ?? null, dhcp, slaac, probe },
    ];
    if (options.loopback === true) {
      interfaces.push({ device: this.loopback, memory: MEMORY, addresses: ['127.0.0.1/8', '::1/128'] });
    }
    this.ip = new Ip({ interfaces, transport: this.transport, random: randomOf(options.seed ?? 1), clock: this.clock, ...(options.ports === undefined ? {} : { ports: options.ports }) });
  }

  get now(): number {
    return this.clock.now;
  }

  set now(time: number) {
    this.clock.now = time;
  }

  get stats(): Ip['stats'] {
    return this.ip.stats;
  }

  /** The host receives frames; returns what it sends at once. */
  receive(...frames: Uint8Array[]): Sent[] {
    for (const bytes of frames) this.device.waiting.push({ bytes, flags: 0, segmentSize: 0 });
    this.ip.receive(1000);
    return this.flush();
  }

  /** When IP next has something to do, µs; Infinity where it has not. */
  pollAt(): number {
    return dueAt(this.ip);
  }

  /** Time passes; the host does each thing when `pollAt` says it is due. Returns what it sends. */
  wait(seconds: number): Sent[] {
    const end = this.now + seconds * 1e6;
    while (this.pollAt() <= end) {
      this.now = Math.max(this.now, this.pollAt());
      this.ip.advance();
      this.ip.flush();
    }
    this.now = end;
    this.ip.advance();
    return this.flush();
  }

  /** Sends a segment of 20 + `copied` bytes, with the spans behind it; returns what `begin` said. */
  send(to: string, options: { from?: string; copied?: number; spans?: [number, number][]; segmentSize?: number; ecn?: number; sequence?: number } = {}): number {
    const words = new Int32Array(8);
    parseAddress(options.from ?? OWN, words, 0);
    parseAddress(to, words, 4);
    const at = this.ip.begin(words, 0, 4, options.ecn ?? 0);
    if (at < 0) return at;
    const copied = options.copied ?? 0;
    emitTcp(this.ip.bytes, at, 1111, 2222, options.sequence ?? 100, 200, ACK, 300, 20);
    this.ip.bytes.set(MEMORY.subarray(0, copied), at + 20);
    for (const [offset, length] of options.spans ?? []) this.ip.append(offset, length);
    this.ip.end(20 + copied, options.segmentSize ?? 0);
    return at;
  }

  flush(): Sent[] {
    this.ip.flush();
    return [...this.device.sent.splice(0), ...this.loopback.sent.splice(0)];
  }
}

export function wordsOf(...addresses: string[]): Int32Array {
  const words = new Int32Array(4 * addresses.length);
  addresses.forEach((address, i) => parseAddress(address, words, 4 * i));
  return words;
}

export function ethernet(type: number, content: Uint8Array, to: Uint8Array = OWN_MAC, from: Uint8Array = PEER_MAC): Uint8Array {
  const bytes = new Uint8Array(ETHERNET_HEADER + content.length);
  emitEthernet(bytes, 0, to, 0, from, 0, type);
  bytes.set(content, ETHERNET_HEADER);
  return bytes;
}

export function arp(operation: number, sender: string, senderMac: Uint8Array, target: string, to: Uint8Array = OWN_MAC): Uint8Array {
  const bytes = new Uint8Array(ARP_LENGTH);
  emitArp(bytes, 0, operation, senderMac, parseDotted(sender), OWN_MAC, 0, parseDotted(target));
  return ethernet(TYPE_ARP, bytes, to, senderMac);
}

export function packet(protocol: number, content: Uint8Array, from = PEER, to = OWN, tos = 0): Uint8Array {
  const bytes = new Uint8Array(20 + content.length);
  emitIPv4(bytes, 0, tos, bytes.length, 7, 0x4000, 64, protocol, parseDotted(from), parseDotted(to));
  bytes.set(content, 20);
  return bytes;
}

/** A frame with a TCP segment. */
export function segment(payload = 0, from = PEER, to = OWN, tos = 0): Uint8Array {
  const content = new Uint8Array(20 + payload).fill(0x61);
  emitTcp(content, 0, 2222, 1111, 5, 6, ACK, 100, 20);
  const sum = add(pseudoHeader4(parseDotted(from), parseDotted(to), PROTOCOL_TCP, content.length), content, 0, content.length);
  put16(content, TCP_CHECKSUM, complement(sum));
  return ethernet(TYPE_IPV4, packet(PROTOCOL_TCP, content, from, to, tos));
}

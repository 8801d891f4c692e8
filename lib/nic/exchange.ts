/**
 * A device whose link is another thread: whole IP packets through two rings of slots in shared memory, one for each direction. The carrier of
 * a raw socket (raw.ts) exchanges packets with a TCP server this way, and so do foreign test tools.
 *
 * ```
 *   ExchangePeer.send ─▶ │ slots in  │ ─▶ ExchangeDevice.receive       each ring: one producer, one consumer;
 *   ExchangePeer.take ◀─ │ slots out │ ◀─ ExchangeDevice.commit        positions on lines of their own, modulo 2^32
 * ```
 *
 * Who puts a packet in wakes the TCP server himself, as with any device that is memory. The device wakes a peer that waits.
 */
import { TX_ROOM } from './device.js';
import type { Device, DeviceCapabilities, DeviceMemory, DeviceStats, FrameSink } from './device.js';
import { alias, deviceMemory } from './memory.js';
import { Spans } from './spans.js';

const LINE = 16;
/** Positions behind the last packet put in and of the next one to take out, for both directions. Writers: peer, device, device, peer. */
const IN_HEAD = 0;
const IN_TAIL = 1 * LINE;
const OUT_HEAD = 2 * LINE;
const OUT_TAIL = 3 * LINE;
/** 1: the peer waits on this word. Writer: the peer sets it, the device clears it by compare-exchange. */
const PEER_SLEEP = 4 * LINE;
const WORDS = 5 * LINE;

const HEADER_BYTES = 4096;
/** Packets that may be on their way in each direction: a power of two. */
const SLOTS = 256;
/** A slot begins with the length of its packet, as int32; the packet follows a line further on. */
const PACKET_AT = 64;
const SLOT_BYTES = PACKET_AT + TX_ROOM;
const MTU = 1500;

/** Where the rings lie in the device's region. */
class Rings {
  readonly words: Int32Array;
  readonly bytes: Uint8Array;
  readonly #view: DataView;
  readonly #base: number;

  constructor(shared: SharedArrayBuffer, memory: DeviceMemory) {
    if (memory.regionLength < HEADER_BYTES + 2 * SLOTS * SLOT_BYTES) throw new RangeError('the region of the device is too small');
    this.words = new Int32Array(shared, memory.regionOffset, WORDS);
    this.bytes = memory.bytes;
    this.#view = new DataView(memory.bytes.buffer, memory.bytes.byteOffset, memory.bytes.byteLength);
    this.#base = memory.regionOffset + HEADER_BYTES;
  }

  /** Byte of the packet in a slot of a ring: 0 in, 1 out. */
  packetAt(ring: 0 | 1, position: number): number {
    return this.#base + (ring * SLOTS + (position & (SLOTS - 1))) * SLOT_BYTES + PACKET_AT;
  }

  length(packetAt: number): number {
    return this.#view.getInt32(packetAt - PACKET_AT, true);
  }

  setLength(packetAt: number, length: number): void {
    this.#view.setInt32(packetAt - PACKET_AT, length, true);
  }
}

/** The TCP server's end. */
export class ExchangeDevice implements Device {
  readonly capabilities: DeviceCapabilities = { medium: 'ip', mtu: MTU, mac: null, txChecksum: false, txSegmentation: 0, rxCoalescing: false };
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx: Uint8Array;
  readonly #rings: Rings;
  readonly #spans = new Spans();
  /** Behind the last packet committed; what is before OUT_HEAD was flushed. */
  #committed = 0;
  #flushed = 0;
  #taken = 0;

  constructor(memory: DeviceMemory, shared: SharedArrayBuffer) {
    this.tx = memory.bytes;
    this.#rings = new Rings(shared, memory);
  }

  readable(): boolean {
    return Atomics.load(this.#rings.words, IN_HEAD) !== this.#taken;
  }

  receive(sink: FrameSink, budget: number): number {
    const { words, bytes } = this.#rings;
    const waiting = (Atomics.load(words, IN_HEAD) - this.#taken) | 0;
    const count = Math.min(waiting, budget);
    for (let i = 0; i < count; i++) {
      const at = this.#rings.packetAt(0, this.#taken);
      const length = this.#rings.length(at);
      this.#taken = (this.#taken + 1) | 0;
      this.stats.rxBytes += length;
      sink.frame(bytes, at, length, 0, 0);
    }
    if (count > 0) Atomics.store(words, IN_TAIL, this.#taken);
    this.stats.rxFrames += count;
    return count;
  }

  reserve(): number {
    this.#spans.clear();
    const used = (this.#committed - Atomics.load(this.#rings.words, OUT_TAIL)) | 0;
    return used < SLOTS ? this.#rings.packetAt(1, this.#committed) : -1;
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  commit(length: number, _checksumStart: number, _segmentSize: number): void {
    const at = this.#rings.packetAt(1, this.#committed);
    const total = length + this.#spans.bytes;
    this.#spans.gather(this.tx, this.tx, at + length);
    this.#spans.clear();
    this.#rings.setLength(at, total);
    this.#committed = (this.#committed + 1) | 0;
    this.stats.txBytes += total;
  }

  flush(): number {
    const count = (this.#committed - this.#flushed) | 0;
    if (count === 0) return 0;
    this.#flushed = this.#committed;
    this.stats.txFrames += count;
    const { words } = this.#rings;
    Atomics.store(words, OUT_HEAD, this.#committed);
    if (Atomics.compareExchange(words, PEER_SLEEP, 1, 0) === 1) Atomics.notify(words, PEER_SLEEP);
    return count;
  }

  close(): void {}
}

/** The other end, for one thread. */
export class ExchangePeer {
  readonly #rings: Rings;
  #sent = 0;
  #taken = 0;

  /** @param from where the device's region was asked for, in bytes of the shared memory. */
  constructor(shared: SharedArrayBuffer, from: number) {
    const memory = alias(shared);
    this.#rings = new Rings(shared, deviceMemory(memory, from, HEADER_BYTES + 2 * SLOTS * SLOT_BYTES + HEADER_BYTES));
  }

  /** Every packet of either direction was taken. */
  get idle(): boolean {
    const { words } = this.#rings;
    return Atomics.load(words, IN_TAIL) === this.#sent && Atomics.load(words, OUT_HEAD) === this.#taken;
  }

  /** Puts a packet in; the TCP server is still to be woken. Returns false where there is no room. */
  send(packet: Uint8Array): boolean {
    const { words, bytes } = this.#rings;
    if (packet.length > TX_ROOM) throw new RangeError(`a packet of ${packet.length} bytes`);
    if (((this.#sent - Atomics.load(words, IN_TAIL)) | 0) >= SLOTS) return false;
    const at = this.#rings.packetAt(0, this.#sent);
    bytes.set(packet, at);
    this.#rings.setLength(at, packet.length);
    this.#sent = (this.#sent + 1) | 0;
    Atomics.store(words, IN_HEAD, this.#sent);
    return true;
  }

  /** A copy of the next packet that the TCP server has sent, or null. */
  take(): Uint8Array | null {
    const at = this.find(0);
    if (at < 0) return null;
    const packet = this.bytes.slice(at, at + this.lengthOf(at));
    this.free();
    return packet;
  }

  /** The memory that `find` refers to. */
  get bytes(): Uint8Array {
    return this.#rings.bytes;
  }

  /** Where the packet lies that the TCP server has sent `ahead` packets after the oldest that is not freed; -1 where there is none. */
  find(ahead: number): number {
    const sent = (Atomics.load(this.#rings.words, OUT_HEAD) - this.#taken) | 0;
    return ahead < sent ? this.#rings.packetAt(1, this.#taken + ahead) : -1;
  }

  /** Bytes of the packet that `find` has found. */
  lengthOf(at: number): number {
    return this.#rings.length(at);
  }

  /** The oldest packet is done with. */
  free(): void {
    this.#taken = (this.#taken + 1) | 0;
    Atomics.store(this.#rings.words, OUT_TAIL, this.#taken);
  }

  /** Until `find(ahead)` finds a packet, or `wake`. */
  async wait(ahead = 0): Promise<void> {
    const { words } = this.#rings;
    Atomics.store(words, PEER_SLEEP, 1);
    if (this.find(ahead) < 0) await Atomics.waitAsync(words, PEER_SLEEP, 1).value;
    else Atomics.store(words, PEER_SLEEP, 0);
  }

  /** Ends a `wait`. */
  wake(): void {
    Atomics.store(this.#rings.words, PEER_SLEEP, 0);
    Atomics.notify(this.#rings.words, PEER_SLEEP);
  }
}

/**
 * A bad link around a device: loses, holds back, reorders, doubles and damages frames, and slows them down. The same
 * seed, frames and times give the same faults. It lives on the clock it is given, so it runs on a virtual one.
 *
 * A fault meets a whole frame as the device hands it over. Frames to send are never super-segments, because this device
 * offers no segmentation; received frames may be coalesced ones, and then all of their segments share one fate.
 */
import { type Device, type DeviceCapabilities, type DeviceStats, type FrameSink, RX_CHECKSUM_VALID, TX_ROOM } from './device.js';
import { HeldFrames } from './held_frames.js';
import { seededRandom } from './random.js';
import { Spans } from './spans.js';

/** Probabilities are for each frame, 0 to 1. */
export interface FaultOptions {
  /** Probability that a frame is lost. */
  readonly loss?: number;
  /** Frames that are lost in a row, on average, where some are (Gilbert and Elliott); each for itself where it is left out. */
  readonly lossBurst?: number;
  /** µs that every frame takes longer. */
  readonly delay?: number;
  /** Up to so many µs more for each frame, at random; frames closer together than this may change places. */
  readonly jitter?: number;
  /** Probability that a frame is held back by `reorderDelay`, so that later ones overtake it. */
  readonly reorder?: number;
  /** µs; default 1000. */
  readonly reorderDelay?: number;
  /** Probability that a frame comes twice. */
  readonly duplicate?: number;
  /** Probability that one bit of an IP packet is flipped. */
  readonly corrupt?: number;
  /** Bits per second that the link carries; 0: no limit. */
  readonly rate?: number;
  /** Most frames that the link holds in each direction; more are lost. Default 4096. */
  readonly queue?: number;
  /** Default 1. */
  readonly seed?: number;
  /** Which direction is bad. Default both. */
  readonly direction?: 'receive' | 'transmit' | 'both';
}

/** What was done to frames. */
export interface FaultCounts {
  lost: number;
  /** Lost because the link held its most already. */
  overflowed: number;
  duplicated: number;
  corrupted: number;
  reordered: number;
}

/**
 * @param memory the payload memory that spans refer to.
 * @param now a clock in µs.
 */
export function fault(device: Device, memory: Uint8Array, options: FaultOptions, now: () => number): FaultDevice {
  return new FaultDevice(device, memory, options, now);
}

export class FaultDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly fd: number;
  readonly tx = new Uint8Array(TX_ROOM);
  /** Received frames. */
  readonly receiving: FaultyPath;
  /** Sent frames. */
  readonly sending: FaultyPath;
  readonly #device: Device;
  readonly #memory: Uint8Array;
  readonly #now: () => number;
  readonly #spans = new Spans();
  readonly #stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };

  constructor(device: Device, memory: Uint8Array, options: FaultOptions, now: () => number) {
    checkOptions(options);
    const direction = options.direction ?? 'both';
    const seed = options.seed ?? 1;
    const inner = device.capabilities;
    const isIp = inner.medium === 'ip';
    this.receiving = new FaultyPath(direction === 'transmit' ? {} : options, seed * 2, isIp, now);
    this.sending = new FaultyPath(direction === 'receive' ? {} : options, seed * 2 + 1, isIp, now);
    // A device that sums a damaged frame makes the damage good.
    const damagesSent = direction !== 'receive' && (options.corrupt ?? 0) > 0;
    this.capabilities = { ...inner, txChecksum: inner.txChecksum && !damagesSent, txSegmentation: 0 };
    this.fd = device.fd;
    this.#device = device;
    this.#memory = memory;
    this.#now = now;
  }

  get stats(): DeviceStats {
    const inner = this.#device.stats;
    const { lost, overflowed } = this.receiving.counts;
    return { ...this.#stats, rxDropped: inner.rxDropped + lost + overflowed, txDropped: inner.txDropped };
  }

  get description(): string {
    return this.#device.description ?? '';
  }

  get down(): boolean {
    return this.#device.down ?? false;
  }

  readable(): boolean {
    return this.#device.readable() || this.nextEvent() <= this.#now();
  }

  nextEvent(): number {
    return Math.min(this.receiving.next, this.sending.next, this.#device.nextEvent?.() ?? Infinity);
  }

  receive(sink: FrameSink, budget: number): number {
    this.#device.receive(this.receiving, budget);
    if (this.sending.next <= this.#now()) this.#sendDue();
    let taken = 0;
    while (taken < budget) {
      const frame = this.receiving.take();
      if (frame === null) break;
      sink.frame(frame.bytes, 0, frame.length, frame.flags, frame.segmentSize);
      this.#stats.rxBytes += frame.length;
      this.receiving.free(frame);
      taken++;
    }
    this.#stats.rxFrames += taken;
    return taken;
  }

  reserve(): number {
    this.#spans.clear();
    return 0;
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    const total = this.#spans.gather(this.#memory, this.tx, length);
    this.#spans.clear();
    this.sending.frame(this.tx, 0, total, checksumStart, segmentSize);
    this.#stats.txFrames++;
    this.#stats.txBytes += total;
  }

  joinGroup(mac: Uint8Array): void {
    this.#device.joinGroup?.(mac);
  }

  takeAddress(address: Uint8Array): void {
    this.#device.takeAddress?.(address);
  }

  leaveGroup(mac: Uint8Array): void {
    this.#device.leaveGroup?.(mac);
  }

  setAddresses(addresses: readonly Uint8Array[]): void {
    this.#device.setAddresses?.(addresses);
  }

  /** Sends what is due. Returns how many frames the link under the faults took. */
  flush(): number {
    return this.#sendDue();
  }

  #sendDue(): number {
    const device = this.#device;
    let sent = 0;
    for (;;) {
      const frame = this.sending.take();
      if (frame === null) break;
      let at = device.reserve();
      if (at < 0) {
        sent += device.flush();
        at = device.reserve();
      }
      if (at < 0) {
        this.sending.counts.overflowed++;
      } else {
        device.tx.set(frame.bytes.subarray(0, frame.length), at);
        device.commit(frame.length, frame.flags, frame.segmentSize);
      }
      this.sending.free(frame);
    }
    return sent + device.flush();
  }

  close(): void {
    this.#device.close();
  }
}

/** One direction of a bad link. */
class FaultyPath implements FrameSink {
  readonly counts: FaultCounts = { lost: 0, overflowed: 0, duplicated: 0, corrupted: 0, reordered: 0 };
  readonly #options: Required<Omit<FaultOptions, 'direction' | 'seed'>>;
  readonly #random: () => number;
  readonly #isIp: boolean;
  readonly #now: () => number;
  readonly #held = new HeldFrames();
  #isBad = false;
  /** When the last bit of the frame before has left, where there is a rate. */
  #busyUntil = -Infinity;

  constructor(options: FaultOptions, seed: number, isIp: boolean, now: () => number) {
    this.#options = {
      loss: 0, lossBurst: 0, delay: 0, jitter: 0, reorder: 0, reorderDelay: 1000, duplicate: 0, corrupt: 0, rate: 0, queue: 4096, ...options,
    };
    this.#random = seededRandom(seed);
    this.#isIp = isIp;
    this.#now = now;
  }

  get next(): number {
    return this.#held.next;
  }

  take(): ReturnType<HeldFrames['take']> {
    return this.#held.take(this.#now());
  }

  free(frame: NonNullable<ReturnType<HeldFrames['take']>>): void {
    this.#held.free(frame);
  }

  /** Decides on one frame. As many random numbers are drawn for each, so that one fault does not shift the next. */
  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    const options = this.#options;
    const isLost = this.#isLost(this.#random());
    const isDoubled = this.#random() < options.duplicate;
    const isDamaged = this.#random() < options.corrupt;
    const isLate = this.#random() < options.reorder;
    const jitter = this.#random() * options.jitter;
    const damage = this.#random();
    if (isLost) {
      this.counts.lost++;
      return;
    }
    if (this.#held.count >= this.#options.queue) {
      this.counts.overflowed++;
      return;
    }
    if (isLate) this.counts.reordered++;
    const time = this.#leaves(length) + options.delay + jitter + (isLate ? options.reorderDelay : 0);
    if (isDamaged && this.#isPacket(bytes, offset, length)) {
      this.#hold(time, bytes, offset, length, flags, segmentSize, damage);
      this.counts.corrupted++;
    } else {
      this.#hold(time, bytes, offset, length, flags, segmentSize, -1);
    }
    if (isDoubled) {
      this.#hold(time, bytes, offset, length, flags, segmentSize, -1);
      this.counts.duplicated++;
    }
  }

  /** With bursts: good and bad times follow one another, and what comes in a bad one is lost. */
  #isLost(chance: number): boolean {
    const { loss, lossBurst } = this.#options;
    if (lossBurst === 0) return chance < loss;
    const leaving = 1 / lossBurst;
    this.#isBad = this.#isBad ? chance >= leaving : chance < (loss * leaving) / (1 - loss);
    return this.#isBad;
  }

  /** When the frame has passed the rate limit. */
  #leaves(length: number): number {
    const now = this.#now();
    if (this.#options.rate === 0) return now;
    this.#busyUntil = Math.max(now, this.#busyUntil) + (length * 8e6) / this.#options.rate;
    return this.#busyUntil;
  }

  /** Only packets with checksums of their own are damaged: what a link damages otherwise, its own check finds. */
  #isPacket(bytes: Uint8Array, offset: number, length: number): boolean {
    if (length <= this.#packetAt()) return false;
    if (this.#isIp) return true;
    const type = (bytes[offset + 12]! << 8) | bytes[offset + 13]!;
    return type === 0x0800 || type === 0x86dd;
  }

  #packetAt(): number {
    return this.#isIp ? 0 : 14;
  }

  /** @param damage where to flip a bit, 0 to 1 of the packet; -1: nowhere. */
  #hold(time: number, bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number, damage: number): void {
    if (this.#held.count >= this.#options.queue) {
      this.counts.overflowed++;
      return;
    }
    const frame = this.#held.add(time, bytes, offset, length, flags, segmentSize);
    if (damage < 0) return;
    const bit = Math.floor(damage * (length - this.#packetAt()) * 8);
    frame.bytes[this.#packetAt() + (bit >> 3)]! ^= 1 << (bit & 7);
    // Frames to send have their checksumStart here, which is 0 where there is damage: capabilities say so.
    frame.flags = flags & ~RX_CHECKSUM_VALID;
  }
}

function checkOptions(options: FaultOptions): void {
  for (const name of ['loss', 'reorder', 'duplicate', 'corrupt'] as const) {
    const value = options[name] ?? 0;
    if (!(value >= 0 && value <= 1)) throw new RangeError(`fault.${name} is a probability from 0 to 1; it is ${value}`);
  }
  for (const name of ['delay', 'jitter', 'reorderDelay', 'rate', 'queue'] as const) {
    const value = options[name] ?? 0;
    if (!(value >= 0)) throw new RangeError(`fault.${name} is not negative; it is ${value}`);
  }
  const { loss = 0, lossBurst } = options;
  if (lossBurst !== undefined && !(lossBurst >= 1 && loss < 1)) {
    throw new RangeError(`fault.lossBurst is at least 1, with a loss below 1; it is ${lossBurst}, with ${loss}`);
  }
}

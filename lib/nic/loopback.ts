/** The device that delivers to itself what it is given: 127.0.0.0/8 inside the TCP server. It needs no privileges. */
import { type Device, type DeviceCapabilities, type DeviceMemory, type DeviceStats, type FrameSink, RX_CHECKSUM_VALID } from './device.js';
import { FrameQueue } from './frame_queue.js';
import { Spans } from './spans.js';

const QUEUE_BYTES = 8 * 1024 * 1024;
const QUEUE_FRAMES = 8192;

export class LoopbackDevice implements Device {
  readonly capabilities: DeviceCapabilities = {
    medium: 'ip', mtu: 65535, mac: null, txChecksum: true, txSegmentation: 0, rxCoalescing: false,
  };
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx: Uint8Array;
  readonly #queue: FrameQueue;
  readonly #spans = new Spans();
  #at = 0;

  constructor(memory: DeviceMemory) {
    this.tx = memory.bytes;
    this.#queue = new FrameQueue(memory.bytes, memory.regionOffset, Math.min(memory.regionLength, QUEUE_BYTES), QUEUE_FRAMES);
  }

  readable(): boolean {
    return this.#queue.waiting > 0;
  }

  receive(sink: FrameSink, budget: number): number {
    let taken = 0;
    while (taken < budget && this.#queue.waiting > 0) {
      this.stats.rxBytes += this.#queue.deliver(sink);
      taken++;
    }
    this.stats.rxFrames += taken;
    return taken;
  }

  reserve(): number {
    this.#spans.clear();
    return (this.#at = this.#queue.reserve());
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  /** Nothing damages a frame in memory, so a checksum left to this device is never completed nor looked at; a complete one is. */
  commit(length: number, checksumStart: number, _segmentSize: number): void {
    const total = length + this.#spans.bytes;
    this.#spans.gather(this.tx, this.tx, this.#at + length);
    this.#spans.clear();
    this.#queue.commit(total, checksumStart === 0 ? 0 : RX_CHECKSUM_VALID, 0);
    this.stats.txBytes += total;
  }

  flush(): number {
    const count = this.#queue.committed;
    this.#queue.publish();
    this.stats.txFrames += count;
    return count;
  }

  close(): void {}
}

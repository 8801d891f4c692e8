/** The device of a scenario. */
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from '../../lib/nic/device.js';

/** The wire: what the stack sends is kept, what the script injects is handed over. */
export class WireDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx = new Uint8Array(70_000);
  readonly memory: Uint8Array;
  readonly waiting: { bytes: Uint8Array; segmentSize: number }[] = [];
  sent: Uint8Array[] = [];
  sizes: number[] = [];
  /** The device has no room. */
  full = false;
  #spans: [number, number][] = [];

  constructor(memory: Uint8Array, mtu: number, segmentation: number) {
    this.memory = memory;
    this.capabilities = {
      medium: 'ip', mtu, mac: null, txChecksum: segmentation > 0, txSegmentation: segmentation, rxCoalescing: segmentation > 0,
    };
  }

  receive(sink: FrameSink, budget: number): number {
    let count = 0;
    for (; count < budget && this.waiting.length > 0; count++) {
      const { bytes, segmentSize } = this.waiting.shift()!;
      sink.frame(bytes, 0, bytes.length, 0, segmentSize);
    }
    return count;
  }

  readable(): boolean { return this.waiting.length > 0; }

  reserve(): number {
    this.#spans = [];
    return this.full ? -1 : 0;
  }

  append(offset: number, length: number): void { this.#spans.push([offset, length]); }

  commit(length: number, _checksumStart: number, segmentSize: number): void {
    const parts = [this.tx.slice(0, length)];
    for (const [offset, count] of this.#spans) parts.push(this.memory.slice(offset, offset + count));
    this.sent.push(new Uint8Array(Buffer.concat(parts)));
    this.sizes.push(segmentSize);
  }

  flush(): number { return 0; }
  close(): void { /* nothing to give back */ }
}

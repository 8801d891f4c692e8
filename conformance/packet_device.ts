/** A device whose link is a callback: whole IP packets, one at a time, in order. */
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from '../lib/nic/device.js';
import { TX_ROOM } from '../lib/nic/device.js';
import { Spans } from '../lib/nic/spans.js';

export class PacketDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx = new Uint8Array(TX_ROOM);
  readonly #memory: Uint8Array;
  readonly #send: (packet: Uint8Array) => void;
  readonly #spans = new Spans();
  readonly #waiting: Uint8Array[] = [];

  /** @param send takes each packet that leaves, at the moment in which the stack ends it. */
  constructor(memory: Uint8Array, mtu: number, send: (packet: Uint8Array) => void) {
    this.#memory = memory;
    this.#send = send;
    this.capabilities = { medium: 'ip', mtu, mac: null, txChecksum: false, txSegmentation: 0, rxCoalescing: false };
  }

  /** A packet arrives; it waits for `receive`. */
  arrive(packet: Uint8Array): void {
    this.#waiting.push(packet);
  }

  readable(): boolean {
    return this.#waiting.length > 0;
  }

  receive(sink: FrameSink, budget: number): number {
    let taken = 0;
    for (; taken < budget && this.#waiting.length > 0; taken++) {
      const packet = this.#waiting.shift()!;
      this.stats.rxFrames++;
      this.stats.rxBytes += packet.length;
      sink.frame(packet, 0, packet.length, 0, 0);
    }
    return taken;
  }

  reserve(): number {
    this.#spans.clear();
    return 0;
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  commit(length: number): void {
    const packet = new Uint8Array(length + this.#spans.bytes);
    packet.set(this.tx.subarray(0, length));
    this.#spans.gather(this.#memory, packet, length);
    this.#spans.clear();
    this.stats.txFrames++;
    this.stats.txBytes += packet.length;
    this.#send(packet);
  }

  flush(): number {
    return 0;
  }

  close(): void {
    this.#waiting.length = 0;
  }
}

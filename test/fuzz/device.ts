/** The wire of a fuzzed stack: frames that wait to be received, and a look at every frame that it sends. */
import { MAX_SPANS, TX_ROOM } from '../../lib/nic/device.js';
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from '../../lib/nic/device.js';
import { Finding } from './case.js';

const WAITING_BYTES = 1 << 19;
const WAITING_MOST = 64;

export class FuzzDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx = new Uint8Array(2 * TX_ROOM);
  /** Frames handed over in all. */
  received = 0;
  /** Frames that the stack has sent in all. */
  sent = 0;
  /** The device has no room. */
  full = false;
  readonly #memory: Uint8Array;
  readonly #onSent: (bytes: Uint8Array, length: number, checksumStart: number, segmentSize: number) => void;
  readonly #waiting = new Uint8Array(WAITING_BYTES);
  readonly #lengths: number[] = [];
  readonly #flags: number[] = [];
  readonly #segments: number[] = [];
  #end = 0;
  #reserved = false;
  #spans = 0;
  readonly #offsets = new Int32Array(MAX_SPANS);
  readonly #counts = new Int32Array(MAX_SPANS);

  /** @param onSent takes each frame that is sent, whole, lent for the call. */
  constructor(
    memory: Uint8Array, capabilities: DeviceCapabilities,
    onSent: (bytes: Uint8Array, length: number, checksumStart: number, segmentSize: number) => void,
  ) {
    this.#memory = memory;
    this.capabilities = capabilities;
    this.#onSent = onSent;
  }

  /** A frame has arrived; where too many wait it is lost. */
  put(bytes: Uint8Array, flags: number, segmentSize: number): void {
    if (this.#lengths.length >= WAITING_MOST || this.#end + bytes.length > WAITING_BYTES) return;
    this.#waiting.set(bytes, this.#end);
    this.#end += bytes.length;
    this.#lengths.push(bytes.length);
    this.#flags.push(flags);
    this.#segments.push(segmentSize);
  }

  get waiting(): number {
    return this.#lengths.length;
  }

  receive(sink: FrameSink, budget: number): number {
    const count = Math.min(this.#lengths.length, budget);
    let at = 0;
    for (let i = 0; i < count; i++) {
      this.received++;
      sink.frame(this.#waiting, at, this.#lengths[i]!, this.#flags[i]!, this.#segments[i]!);
      at += this.#lengths[i]!;
    }
    if (count === this.#lengths.length) {
      this.#lengths.length = this.#flags.length = this.#segments.length = 0;
      this.#end = 0;
    } else {
      this.#lengths.splice(0, count);
      this.#flags.splice(0, count);
      this.#segments.splice(0, count);
      this.#waiting.copyWithin(0, at, this.#end);
      this.#end -= at;
    }
    return count;
  }

  readable(): boolean {
    return this.#lengths.length > 0;
  }

  reserve(): number {
    this.#spans = 0;
    this.#reserved = !this.full;
    return this.full ? -1 : 0;
  }

  append(offset: number, length: number): void {
    if (!this.#reserved) throw new Finding('a span is appended to no frame');
    if (this.#spans === MAX_SPANS) throw new Finding(`more than ${MAX_SPANS} spans in a frame`);
    if (length <= 0 || offset < 0 || offset + length > this.#memory.length) throw new Finding(`a span of ${length} bytes at ${offset}`);
    this.#offsets[this.#spans] = offset;
    this.#counts[this.#spans++] = length;
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    if (!this.#reserved) throw new Finding('a frame is committed that was not begun');
    this.#reserved = false;
    let at = length;
    for (let i = 0; i < this.#spans; i++) {
      const from = this.#offsets[i]!;
      this.tx.set(this.#memory.subarray(from, from + this.#counts[i]!), at);
      at += this.#counts[i]!;
    }
    this.sent++;
    this.#onSent(this.tx, at, checksumStart, segmentSize);
  }

  flush(): number {
    return 0;
  }

  close(): void {}
}

/** Two devices joined in memory, for one thread: what one sends, the other receives. Two stacks talk over it in tests. */
import { type Device, type DeviceCapabilities, type DeviceStats, type FrameSink, RX_CHECKSUM_VALID } from './device.js';
import { FrameQueue } from './frame_queue.js';
import { Spans } from './spans.js';

export interface PipeOptions {
  readonly medium?: 'ethernet' | 'ip';
  /** Largest IP packet, in bytes. Default 1500. */
  readonly mtu?: number;
  /**
   * Who sums the transport checksum. 'software' (the default): the sender, and the receiver has to look. 'left-out': nobody, as between
   * virtual interfaces; frames arrive with RX_CHECKSUM_VALID. 'completed': the device, and the receiver has to look.
   */
  readonly checksum?: 'software' | 'left-out' | 'completed';
  /** Largest IP packet handed over for segmentation. It is not cut: it arrives as a coalesced frame. Default 0: none. */
  readonly segmentation?: number;
  /** Payload memory of the first and of the second end, which `append` refers to. */
  readonly memory?: readonly [Uint8Array, Uint8Array];
  /** Bytes and frames (a power of two) that may be on their way in each direction. Default 4 MiB, 1024. */
  readonly queueBytes?: number;
  readonly queueFrames?: number;
}

const ETHERNET_HEADER = 14;
const TCP_CHECKSUM_OFFSET = 16;

/** Both ends of a new pipe. */
export function pipe(options: PipeOptions = {}): [PipeDevice, PipeDevice] {
  const first = new PipeDevice(options, 0);
  const second = new PipeDevice(options, 1);
  first.join(second);
  second.join(first);
  return [first, second];
}

export class PipeDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx: Uint8Array;
  readonly #completes: boolean;
  readonly #payload: Uint8Array;
  /** What this end has sent and the other has not taken. */
  readonly #sent: FrameQueue;
  #received: FrameQueue;
  readonly #spans = new Spans();
  #at = 0;

  constructor(options: PipeOptions, end: 0 | 1) {
    const medium = options.medium ?? 'ethernet';
    const checksum = options.checksum ?? 'software';
    const segmentation = options.segmentation ?? 0;
    if (segmentation > 0 && checksum === 'software') throw new TypeError('a device that cuts segments has to sum their checksums');
    this.capabilities = {
      medium, mtu: options.mtu ?? 1500, mac: medium === 'ethernet' ? Uint8Array.of(2, 0, 0, 0, 0, 1 + end) : null,
      txChecksum: checksum !== 'software', txSegmentation: segmentation, rxCoalescing: segmentation > 0,
    };
    this.#completes = checksum === 'completed';
    this.#payload = options.memory?.[end] ?? new Uint8Array(0);
    this.tx = new Uint8Array(options.queueBytes ?? 4 * 1024 * 1024);
    this.#sent = this.#received = new FrameQueue(this.tx, 0, this.tx.length, options.queueFrames ?? 1024);
  }

  /** Makes this end receive what `other` sends. */
  join(other: PipeDevice): void {
    this.#received = other.#sent;
  }

  readable(): boolean {
    return this.#received.waiting > 0;
  }

  receive(sink: FrameSink, budget: number): number {
    let taken = 0;
    while (taken < budget && this.#received.waiting > 0) {
      this.stats.rxBytes += this.#received.deliver(sink);
      taken++;
    }
    this.stats.rxFrames += taken;
    return taken;
  }

  reserve(): number {
    this.#spans.clear();
    return (this.#at = this.#sent.reserve());
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    const at = this.#at;
    const total = length + this.#spans.bytes;
    this.#spans.gather(this.#payload, this.tx, at + length);
    this.#spans.clear();
    if (total > this.#longest(segmentSize)) {
      this.stats.txDropped++;
      return;
    }
    let flags = 0;
    if (checksumStart !== 0) {
      if (this.#completes) completeChecksum(this.tx, at + checksumStart, at + total);
      else flags = RX_CHECKSUM_VALID;
    }
    this.#sent.commit(total, flags, segmentSize);
    this.stats.txBytes += total;
  }

  #longest(segmentSize: number): number {
    const packet = segmentSize > 0 ? this.capabilities.txSegmentation : this.capabilities.mtu;
    return packet + (this.capabilities.medium === 'ethernet' ? ETHERNET_HEADER : 0);
  }

  flush(): number {
    const count = this.#sent.committed;
    this.#sent.publish();
    this.stats.txFrames += count;
    return count;
  }

  close(): void {}
}

/** Does the device's part of the checksum (RFC 1071): the field holds the sum of the pseudo-header already. */
function completeChecksum(bytes: Uint8Array, from: number, end: number): void {
  let sum = 0;
  for (let i = from; i + 1 < end; i += 2) sum += (bytes[i]! << 8) | bytes[i + 1]!;
  if (((end - from) & 1) !== 0) sum += bytes[end - 1]! << 8;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  const checksum = ~sum & 0xffff;
  bytes[from + TCP_CHECKSUM_OFFSET] = checksum >> 8;
  bytes[from + TCP_CHECKSUM_OFFSET + 1] = checksum & 0xff;
}

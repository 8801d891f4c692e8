/**
 * A network interface through AF_XDP sockets: frames for the TCP server's own addresses are taken from the driver before the kernel's network
 * sees them, or makes anything of them (xdp_program.ts); everything else goes on to the kernel, whose addresses on the interface stay as they are.
 * Frames lie in memory that the kernel, or the hardware itself, writes and reads (xdp_socket.ts).
 *
 * The program is attached by a link of BPF, which the kernel takes off with the process, however that ends.
 *
 * Receiving: the descriptors of the RX rings name chunks, which are read where they lie and go back by the fill ring: no system call, unless the
 * driver asks to be woken. Sending: a frame is written into chunks of ours, payload is copied behind its headers, and one call sends the batch.
 *
 * What is still to be done for a frame is not told to an XDP program: over veth, a kernel's frames come with checksums that nobody has filled in, and
 * the TCP server drops them as damaged, until that is switched off at the other end: `ethtool -K PEER tx off`. checksum_watch.ts says so.
 * Where the hardware strips VLAN tags (`ethtool -k`: rx-vlan-offload), tagged frames look like those without a tag.
 *
 * ```
 * device region: │ UMEM: chunks of received frames, slots of frames to send │ rings │ buffer for a frame of several chunks │
 * ```
 */
import { ChecksumWatch } from './checksum_watch.js';
import { type Device, type DeviceCapabilities, type DeviceMemory, type FrameSink, TX_ROOM } from './device.js';
import { ethernetInterface, receiveQueues } from './interfaces.js';
import { ETHERNET_HEADER } from './packet_abi.js';
import { joinGroup, openMembership } from './packet_socket.js';
import { PollGroup } from './poll_group.js';
import { Spans } from './spans.js';
import { EBADF, EBUSY, EINVAL, ENETDOWN, ENODEV, ENXIO, SystemError } from './system_error.js';
import { close, recv, unmapOver } from './syscalls.js';
import {
  DESC_ADDRESS, DESC_ADDRESS_HIGH, DESC_LENGTH, DESC_OPTIONS, TX_METADATA, TXMD_CHECKSUM, TXMD_FLAGS, XDP_PACKET_HEADROOM, XDP_PKT_CONTD, XDP_TX_METADATA, XDP_TXMD_FLAGS_CHECKSUM,
} from './xdp_abi.js';
import { XdpCounters } from './xdp_counters.js';
import { XdpLink, type XdpLinkOptions } from './xdp_link.js';
import type { ConsumerRing, ProducerRing } from './xdp_ring.js';
import { CHUNK, kick, xdpLayout, type XdpLayout, type XdpQueue, XdpSockets } from './xdp_socket.js';

export interface XdpOptions extends XdpLinkOptions {
  /** Frames in one batch of `flush`. Default 128. */
  readonly batch?: number;
  /** Received frames that may wait in a queue, a power of two. Default: 2,048, or less where there are many queues. */
  readonly rxChunks?: number;
}

/** Receive queues that are served. */
export const QUEUES_MOST = 16;
const DEFAULT_BATCH = 128;
/** Bytes of a frame that fit one chunk when it is received. */
const ONE_CHUNK = CHUNK - XDP_PACKET_HEADROOM;
/** Where a frame to be sent begins in its first chunk, so that its headers lie at the beginning of a cache line. */
const TX_FRAME = 64;
/** Chunks that one frame may have: the kernel's MAX_SKB_FRAGS. */
const CHUNKS_MOST = 17;
const LONG_FRAME = TX_ROOM;
const TCP_CHECKSUM_OFFSET = 16;

export class XdpDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly description: string;
  readonly stats: XdpCounters;
  readonly fd: number;
  readonly tx: Uint8Array;
  down = false;

  readonly #bytes: Uint8Array;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #index: number;
  /** What was opened, to be closed in the opposite order. */
  readonly #opened: (() => void)[] = [];
  #open = true;

  readonly #link: XdpLink;
  readonly #membership: number;
  readonly #queues: readonly XdpQueue[];
  readonly #umemAt: number;
  /** The queue to look at first. */
  #nextQueue = 0;
  readonly #longAt: number;
  /** Bytes of a frame of several chunks of which the last is still to come, in the buffer; -1: it is too long. */
  #longBytes = 0;

  readonly #watch: ChecksumWatch;

  readonly #socket: number;
  readonly #ring: ProducerRing;
  readonly #completion: ConsumerRing;
  readonly #zeroCopy: boolean;
  readonly #most: number;
  /** Address of the first slot in the UMEM, and bytes of each. */
  readonly #slotsAt: number;
  readonly #slotBytes: number;
  /** Slots that no frame is in, by their addresses: a stack, so that the same lines of cache serve a quiet link. */
  readonly #free: Int32Array;
  #freeCount: number;
  #committed = 0;
  /** Published frames may wait in the ring, because the link took no more. */
  #waiting = false;
  readonly #spans = new Spans();

  /**
   * @param name of an interface in the network namespace of the calling thread. @param addresses own ones, 4 or 16 bytes each.
   * @param shared the buffer that `memory` is an alias of.
   * @throws SystemError as `XdpLink` and `XdpSockets`; EINVAL where there are too many queues or the MTU is too large; ENODEV, ENETDOWN.
   */
  constructor(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, addresses: readonly Uint8Array[], options: XdpOptions = {}) {
    this.#bytes = this.tx = memory.bytes;
    this.#words = new Int32Array(memory.bytes.buffer, 0, memory.bytes.length >> 2);
    this.#base = Number(memory.address);
    this.#umemAt = memory.regionOffset;
    this.#most = options.batch ?? DEFAULT_BATCH;
    this.#watch = new ChecksumWatch(() => process.emitWarning(checksumsLeftOut(name)));
    const target = ethernetInterface(name);
    this.#index = target.index;
    const chunks = Math.ceil((target.mtu + ETHERNET_HEADER + TX_FRAME) / CHUNK);
    if (chunks > CHUNKS_MOST) throw new SystemError(EINVAL, 'ioctl', `the MTU of "${name}" is ${target.mtu}, of which AF_XDP carries at most ${CHUNKS_MOST * CHUNK - TX_FRAME - ETHERNET_HEADER}; make it smaller: ip link set ${name} mtu 1500`);
    const layout = xdpLayout(queuesOf(name), options.rxChunks);
    const mapped = layout.umemBytes + layout.ringBytes;
    if (mapped + LONG_FRAME > memory.regionLength) throw new RangeError('the region of the device is too small');
    this.#longAt = this.#umemAt + mapped;
    this.#slotsAt = layout.queues * layout.rxChunks * CHUNK;
    this.#slotBytes = chunks * CHUNK;
    this.#free = this.#slots(layout, chunks);
    this.#freeCount = this.#free.length;
    try {
      this.#link = new XdpLink(target, addresses, layout.queues, options);
      this.#opened.push(() => this.#link.close());
      this.#opened.push(() => unmapOver(this.#base + this.#umemAt, mapped));
      const severalChunks = target.mtu + ETHERNET_HEADER > ONE_CHUNK;
      const sockets = new XdpSockets(target, memory, new Int32Array(shared), this.#umemAt, layout, { severalChunks, copy: this.#link.mode === 'generic' });
      this.#opened.push(() => sockets.close());
      this.#queues = sockets.queues;
      this.#socket = sockets.queues[0]!.fd;
      this.#ring = sockets.tx;
      this.#completion = sockets.completion;
      this.#zeroCopy = sockets.zeroCopy;
      this.stats = new XdpCounters(sockets.queues.map(({ fd }) => fd));
      this.#membership = openMembership(name);
      this.#opened.push(() => close(this.#membership));
      this.fd = this.#pollDescriptor();
      sockets.queues.forEach(({ fd }, queue) => this.#link.setSocket(queue, fd));
      this.capabilities = {
        medium: 'ethernet', mtu: target.mtu, mac: target.mac, txChecksum: sockets.metadata && !sockets.zeroCopy, txSegmentation: 0, rxCoalescing: false,
      };
      this.description = `${this.#link.mode} mode, ${this.#zeroCopy ? 'zero copy' : 'copied'}, ${layout.queues} receive queue${layout.queues === 1 ? '' : 's'}`;
    } catch (error) {
      this.#release();
      throw error;
    }
  }

  /** Addresses in the UMEM of the slots that hold `chunks` chunks each. */
  #slots({ txChunks }: XdpLayout, chunks: number): Int32Array {
    const slots = new Int32Array(Math.floor(txChunks / chunks));
    for (let i = 0; i < slots.length; i++) slots[i] = this.#slotsAt + (slots.length - 1 - i) * this.#slotBytes;
    return slots;
  }

  #pollDescriptor(): number {
    if (this.#queues.length === 1) return this.#socket;
    const group = new PollGroup(this.#queues.map(({ fd }) => fd));
    this.#opened.push(() => group.close());
    return group.fd;
  }

  // --- receiving

  readable(): boolean {
    for (let i = 0; i < this.#queues.length; i++) if (this.#queues[i]!.rx.hasMore) return true;
    return false;
  }

  receive(sink: FrameSink, budget: number): number {
    const queues = this.#queues;
    let taken = 0;
    for (let i = 0; i < queues.length && taken < budget; i++) {
      taken += this.#receiveFrom(queues[this.#nextQueue]!, sink, budget - taken);
      if (this.#longBytes !== 0) break; // the rest of the frame comes by the same queue
      if (++this.#nextQueue === queues.length) this.#nextQueue = 0;
    }
    this.stats.rxFrames += taken;
    if (taken > 0) this.down = false;
    return taken;
  }

  #receiveFrom({ fd, rx, fill }: XdpQueue, sink: FrameSink, budget: number): number {
    const words = this.#words;
    let taken = 0;
    while (taken < budget && rx.hasMore) {
      const descriptor = rx.next();
      const address = words[descriptor + DESC_ADDRESS]!;
      const length = words[descriptor + DESC_LENGTH]!;
      // Written now and published below: the chunk is not lost where the sink throws. There is room, since the ring has an entry for each chunk.
      const entry = fill.next();
      words[entry] = address & -CHUNK;
      words[entry + 1] = 0;
      if (words[descriptor + DESC_OPTIONS] === 0 && this.#longBytes === 0) {
        taken++;
        this.stats.rxBytes += length;
        this.#watch.look(this.#bytes, this.#umemAt + address, length);
        sink.frame(this.#bytes, this.#umemAt + address, length, 0, 0);
      } else if (this.#gather(words[descriptor + DESC_OPTIONS]!, address, length, sink)) {
        taken++;
      }
    }
    rx.release();
    if (fill.publish() > 0 && fill.needsWakeup) recv(fd, 0, 0);
    return taken;
  }

  /** Takes one chunk of a frame of several. True where it was the last, and the frame was handed over. */
  #gather(options: number, address: number, length: number, sink: FrameSink): boolean {
    const before = this.#longBytes;
    const isLast = (options & XDP_PKT_CONTD) === 0;
    if (before < 0 || before + length > LONG_FRAME) {
      this.#longBytes = isLast ? 0 : -1;
      if (isLast) this.stats.tooLong++;
      return false;
    }
    const from = this.#umemAt + address;
    this.#bytes.copyWithin(this.#longAt + before, from, from + length);
    this.#longBytes = isLast ? 0 : before + length;
    if (!isLast) return false;
    this.stats.rxBytes += before + length;
    this.#watch.look(this.#bytes, this.#longAt, before + length);
    sink.frame(this.#bytes, this.#longAt, before + length, 0, 0);
    return true;
  }

  joinGroup(mac: Uint8Array): void {
    joinGroup(this.#membership, this.#index, mac);
  }

  takeAddress(address: Uint8Array): void {
    this.#link.take(address);
  }

  // --- sending

  reserve(): number {
    if (this.#committed === this.#most) return -1;
    if (this.#committed === 0) {
      this.#reclaim();
      if (this.down) this.#send(); // it may be up again
    }
    if (this.#freeCount === 0) this.#reclaim();
    if (this.#freeCount === 0) return -1;
    this.#spans.clear();
    return this.#umemAt + this.#free[this.#freeCount - 1]! + TX_FRAME;
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
  }

  commit(length: number, checksumStart: number, _segmentSize: number): void {
    const slot = this.#free[this.#freeCount - 1]!;
    const total = length + this.#spans.bytes;
    if (total > this.#slotBytes - TX_FRAME || this.down) {
      this.stats.txDropped++;
      return;
    }
    this.#freeCount--;
    const at = this.#umemAt + slot + TX_FRAME;
    this.#spans.gather(this.#bytes, this.#bytes, at + length);
    let options = 0;
    if (checksumStart !== 0) {
      options = XDP_TX_METADATA;
      const metadata = (at - TX_METADATA) >> 2;
      this.#words[metadata + TXMD_FLAGS] = XDP_TXMD_FLAGS_CHECKSUM;
      this.#words[metadata + TXMD_CHECKSUM] = checksumStart | (TCP_CHECKSUM_OFFSET << 16);
    }
    this.#describe(slot + TX_FRAME, total, options);
    this.#committed++;
    this.stats.txBytes += total;
  }

  /** Writes the descriptors of a frame, one for each of its chunks. There is room, since the ring has an entry for each chunk. */
  #describe(address: number, length: number, options: number): void {
    const words = this.#words;
    for (let left = length; left > 0;) {
      const part = Math.min(left, CHUNK - (address & (CHUNK - 1)));
      left -= part;
      const descriptor = this.#ring.next();
      words[descriptor + DESC_ADDRESS] = address;
      words[descriptor + DESC_ADDRESS_HIGH] = 0;
      words[descriptor + DESC_LENGTH] = part;
      words[descriptor + DESC_OPTIONS] = options | (left > 0 ? XDP_PKT_CONTD : 0);
      address += part;
      options = 0;
    }
  }

  flush(): number {
    const count = this.#committed;
    if (count === 0 && !(this.#waiting && this.#open)) return 0;
    if (!this.#open) throw new SystemError(EBADF, 'send', 'the device is closed');
    this.#committed = 0;
    this.#ring.publish();
    const dropped = this.#send();
    this.stats.txFrames += count - dropped;
    this.stats.txDropped += dropped;
    return this.down ? 0 : count - dropped;
  }

  /**
   * Has the kernel send what is published, as far as the link takes it; what it does not take now waits in the ring for the next call. Returns
   * the frames that the driver has dropped.
   */
  #send(): number {
    const ring = this.#ring;
    let dropped = 0;
    if (this.#zeroCopy) {
      if (ring.needsWakeup) this.down = isDown(kick(this.#socket));
      return 0;
    }
    let waiting = ring.waiting;
    while (waiting > 0) {
      const result = kick(this.#socket);
      this.down = isDown(result);
      if (this.down) break;
      if (result === -EBUSY) dropped++;
      const left = ring.waiting;
      if (left === waiting) break; // a queue or the socket's share of memory is full
      waiting = left;
    }
    this.#waiting = waiting > 0;
    return dropped;
  }

  /** Takes back the slots of frames that were sent. */
  #reclaim(): void {
    const completion = this.#completion;
    while (completion.hasMore) {
      const address = this.#words[completion.next()]!;
      // Each chunk of a frame comes back; the first one stands for the slot.
      if ((address - this.#slotsAt) % this.#slotBytes === TX_FRAME) this.#free[this.#freeCount++] = address - TX_FRAME;
    }
    completion.release();
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.stats.freeze();
    this.#release();
  }

  #release(): void {
    for (const undo of this.#opened.splice(0).reverse()) undo();
  }
}

/** Down, unbound because the interface was removed, or gone. */
function isDown(result: number): boolean {
  return result === -ENETDOWN || result === -ENXIO || result === -ENODEV;
}

function checksumsLeftOut(name: string): string {
  return `the other end of "${name}" leaves TCP checksums to hardware that is not there, and what it sends is dropped as damaged; have it fill them in, in its namespace: ethtool -K PEER tx off`;
}

/** A program sees every queue, so there has to be a socket for each. */
function queuesOf(name: string): number {
  const queues = receiveQueues(name);
  if (queues <= QUEUES_MOST) return queues;
  throw new SystemError(EINVAL, 'ioctl', `interface "${name}" has ${queues} receive queues, of which at most ${QUEUES_MOST} can be served; have fewer: ethtool -L ${name} combined ${QUEUES_MOST}`);
}

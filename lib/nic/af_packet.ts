/**
 * A network interface through a packet socket (packet(7)): the kernel hands over whole frames before its own IP sees
 * them, and takes whole frames.
 *
 * Receiving: the kernel writes frames into a TPACKET_V2 ring, mapped over a part of the device region, and they are read
 * where they lie, without a system call. V2 hands over frame by frame; V3 would wait for a block to fill. Frames longer
 * than a slot (coalesced ones) lie in the ring cut off and whole in the socket's queue, one system call away (long_frame.ts).
 *
 * Sending: `sendmmsg` of the slots of tx_slots.ts, which are free again when it returns.
 *
 * ```
 * device region: │ ring: slots in blocks │ tx slots and their vectors │ long frame │
 * ```
 */
import { type Device, type DeviceCapabilities, type DeviceMemory, type DeviceStats, type FrameSink } from './device.js';
import {
  ETHERNET_HEADER, PACKET_OTHERHOST, PACKET_OUTGOING, PACKET_STATISTICS, SOL_PACKET, TP_LEN, TP_MAC, TP_OVERHEAD, TP_PKTTYPE, TP_SNAPLEN,
  TP_STATUS, TP_STATUS_COPY, TP_STATUS_KERNEL, TP_STATUS_LOSING, TP_STATUS_USER, TP_STATUS_VLAN_VALID, TP_VLAN_TCI,
} from './packet_abi.js';
import { LongFrame } from './long_frame.js';
import { attachFilter, joinGroup, leaveGroup, openPacketSocket, type RingGeometry, ringGeometry } from './packet_socket.js';
import { EAGAIN, EBADF, EINTR, ENETDOWN, ENODEV, ENXIO, SystemError } from './system_error.js';
import { close, getsockopt, sendmmsg, unmapOver } from './syscalls.js';
import { TxSlots } from './tx_slots.js';
import { receivedFlags, receivedSegmentSize, VNET_HEADER } from './virtio_net.js';

export interface AfPacketOptions {
  /** Link address to use instead of the interface's own, 6 bytes. The kernel then sees nothing of this traffic as its own. */
  readonly mac?: Uint8Array;
  /** Program that decides in the kernel what is received (packet_filter.ts). Default: everything. */
  readonly filter?: Uint8Array;
  /** Makes the program for other own addresses than those that it was opened with. Default: the program stays. */
  readonly addressFilter?: (addresses: readonly Uint8Array[]) => Uint8Array;
  /** Longest IP packet that a slot of the ring takes; longer ones cost a system call each. Default 16384. */
  readonly slotPacket?: number;
  /** Bytes of the receive ring, which stay in physical memory. Default 32 MiB: 2,016 slots. */
  readonly ringBytes?: number;
  /** Frames in one batch of `flush`. Default 128. */
  readonly batch?: number;
}

// Slots for the longest frames would make the ring four times as short, or as large. Smaller ones spare the sender a part of a copy, but not enough
// to be seen (docs/performance.md).
const DEFAULT_SLOT_PACKET = 16384;
const DEFAULT_RING_BYTES = 32 * 1024 * 1024;
const DEFAULT_BATCH = 128;

export class AfPacketDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd: number;
  readonly tx: Uint8Array;
  down = false;

  /** The memory as int32 words: as shared memory for the words that the kernel changes, and plain for the rest. */
  readonly #shared: Int32Array;
  readonly #words: Int32Array;
  readonly #halves: Uint16Array;
  readonly #bytes: Uint8Array;
  readonly #ownMac: Uint8Array | null;
  /** The kernel's number of the interface. */
  readonly #index: number;
  #open = true;

  readonly #ring: RingGeometry;
  readonly #ringBytes: number;
  readonly #ringAt: number;
  #block = 0;
  #slotInBlock = 0;
  #slotAt: number;
  readonly #statistics = new Uint32Array(2);

  readonly #slots: TxSlots;
  readonly #long: LongFrame;
  readonly #base: number;
  readonly #addressFilter: ((addresses: readonly Uint8Array[]) => Uint8Array) | null;

  /**
   * @param name of an interface in the network namespace of the calling thread.
   * @param shared the buffer that `memory` is an alias of.
   * @throws SystemError where the interface is not there, down or not Ethernet, or the process may not.
   */
  constructor(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, options: AfPacketOptions = {}) {
    this.#shared = new Int32Array(shared);
    this.#bytes = this.tx = memory.bytes;
    this.#words = new Int32Array(memory.bytes.buffer, 0, memory.bytes.length >> 2);
    this.#halves = new Uint16Array(memory.bytes.buffer, 0, memory.bytes.length >> 1);
    this.#base = Number(memory.address);

    const batch = options.batch ?? DEFAULT_BATCH;
    const sendBytes = TxSlots.bytesFor(batch) + LongFrame.bytes;
    this.#ring = ringGeometry(Math.min(memory.regionLength - sendBytes, options.ringBytes ?? DEFAULT_RING_BYTES), options.slotPacket ?? DEFAULT_SLOT_PACKET, TP_OVERHEAD);
    this.#ringBytes = this.#ring.blockBytes * this.#ring.blocks;
    this.#ringAt = this.#slotAt = memory.regionOffset;
    this.#slots = new TxSlots(memory, this.#ringAt + this.#ringBytes, batch, ETHERNET_HEADER);
    this.#ownMac = options.mac ?? null;
    this.#addressFilter = options.addressFilter ?? null;
    const opened = openPacketSocket(name, this.#ring, this.#base + this.#ringAt, this.#ownMac, options.filter ?? null);
    this.fd = opened.fd;
    this.#long = new LongFrame(opened.fd, memory, this.#ringAt + this.#ringBytes + TxSlots.bytesFor(batch));
    this.#index = opened.interface.index;
    this.capabilities = {
      medium: 'ethernet', mtu: Math.min(opened.interface.mtu, 65535), mac: this.#ownMac ?? opened.interface.mac,
      txChecksum: true, txSegmentation: 65535, rxCoalescing: true,
    };
  }

  // --- receiving

  readable(): boolean {
    return (Atomics.load(this.#shared, this.#slotAt >> 2) & TP_STATUS_USER) !== 0;
  }

  receive(sink: FrameSink, budget: number): number {
    const shared = this.#shared;
    let taken = 0;
    while (taken < budget) {
      const slot = this.#slotAt;
      // The load orders the reads of the slot behind it, and the store returns it; neither can be moved by the compiler.
      const status = Atomics.load(shared, (slot >> 2) + TP_STATUS);
      if ((status & TP_STATUS_USER) === 0) break;
      if (this.#take(sink, slot, status)) taken++;
      Atomics.store(shared, (slot >> 2) + TP_STATUS, TP_STATUS_KERNEL);
      this.#nextSlot();
    }
    if (taken > 0) this.down = false;
    return taken;
  }

  #nextSlot(): void {
    if (++this.#slotInBlock < this.#ring.perBlock) {
      this.#slotAt += this.#ring.slotBytes;
      return;
    }
    this.#slotInBlock = 0;
    if (++this.#block === this.#ring.blocks) this.#block = 0;
    this.#slotAt = this.#ringAt + this.#block * this.#ring.blockBytes;
  }

  /** Hands the frame in a slot to the sink. False where it is none of ours. */
  #take(sink: FrameSink, slot: number, status: number): boolean {
    const words = this.#words;
    if ((status & TP_STATUS_LOSING) !== 0) this.#countLosses();
    const present = words[(slot >> 2) + TP_SNAPLEN]!;
    const length = words[(slot >> 2) + TP_LEN]!;
    const at = slot + this.#halves[(slot + TP_MAC) >> 1]!;
    if (present < length) return this.#takeLong(sink, slot, at, present, length, status);
    if (!this.#isOurs(slot, at, status)) return false;
    this.#deliver(sink, at, length);
    return true;
  }

  #deliver(sink: FrameSink, at: number, length: number): void {
    const bytes = this.#bytes;
    const header = at - VNET_HEADER;
    this.stats.rxFrames++;
    this.stats.rxBytes += length;
    sink.frame(bytes, at, length, receivedFlags(bytes, header), receivedSegmentSize(bytes, header));
  }

  /** As `#take`, for a frame of which only the beginning lies in its slot. */
  #takeLong(sink: FrameSink, slot: number, at: number, present: number, length: number, status: number): boolean {
    if ((status & TP_STATUS_COPY) === 0) {
      this.stats.rxDropped++;
      return false;
    }
    const long = this.#long;
    long.begin(at, length);
    const ours = this.#isOurs(slot, at, status);
    if (ours && sink.longFrame !== undefined) {
      const bytes = this.#bytes;
      const header = at - VNET_HEADER;
      this.stats.rxFrames++;
      this.stats.rxBytes += length;
      sink.longFrame(bytes, at, present, length, receivedFlags(bytes, header), receivedSegmentSize(bytes, header), long);
    } else if (ours) {
      const wholeAt = long.whole();
      if (wholeAt >= 0) this.#deliver(sink, wholeAt, length);
    }
    long.end();
    if (long.lost) this.stats.rxDropped++;
    return ours;
  }

  #isOurs(slot: number, at: number, status: number): boolean {
    const kind = this.#bytes[slot + TP_PKTTYPE]!;
    if (kind >= PACKET_OUTGOING) return false;
    if (kind === PACKET_OTHERHOST && !this.#isToOwnMac(at)) return false;
    // A tag that names a VLAN (not only a priority): the frame belongs to another, virtual interface.
    return (status & TP_STATUS_VLAN_VALID) === 0 || (this.#halves[(slot + TP_VLAN_TCI) >> 1]! & 0x0fff) === 0;
  }

  #isToOwnMac(at: number): boolean {
    const mac = this.#ownMac;
    if (mac === null) return false;
    for (let i = 0; i < 6; i++) if (mac[i] !== this.#bytes[at + i]) return false;
    return true;
  }

  joinGroup(mac: Uint8Array): void {
    joinGroup(this.fd, this.#index, mac);
  }

  leaveGroup(mac: Uint8Array): void {
    leaveGroup(this.fd, this.#index, mac);
  }

  setAddresses(addresses: readonly Uint8Array[]): void {
    if (this.#open && this.#addressFilter !== null) attachFilter(this.fd, this.#addressFilter(addresses));
  }

  /** The kernel's count of frames that found no slot; reading it resets it. */
  #countLosses(): void {
    if (getsockopt(this.fd, SOL_PACKET, PACKET_STATISTICS, this.#statistics) === 0) this.stats.rxDropped += this.#statistics[1]!;
  }

  // --- sending

  reserve(): number {
    return this.#slots.reserve();
  }

  append(offset: number, length: number): void {
    this.#slots.append(offset, length);
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    this.stats.txBytes += this.#slots.commit(length, checksumStart, segmentSize);
  }

  flush(): number {
    const count = this.#slots.committed;
    if (count === 0) return 0;
    if (!this.#open) throw new SystemError(EBADF, 'sendmmsg', 'the device is closed');
    let at = 0;
    let dropped = 0;
    while (at < count) {
      const sent = sendmmsg(this.fd, this.#slots.messageAddress(at), count - at);
      if (sent > 0) {
        at += sent;
        this.down = false;
        continue;
      }
      const refused = this.#refused(-sent, count - at);
      dropped += refused;
      at += refused;
    }
    this.#slots.committed = 0;
    this.stats.txFrames += count - dropped;
    this.stats.txDropped += dropped;
    return count - dropped;
  }

  /** How many of the `left` frames to give up after an error on the first of them. */
  #refused(error: number, left: number): number {
    switch (error) {
      case EINTR:
        return 0;
      case EAGAIN: // the socket's share of memory is in the link's hands: the rest would fare no better
        return left;
      case ENETDOWN:
      case ENODEV:
      case ENXIO:
        this.down = true;
        return left;
      default: // ENOBUFS: a queue is full, the next frame may fit; EMSGSIZE, EINVAL: this one frame does not
        return 1;
    }
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    unmapOver(this.#base + this.#ringAt, this.#ringBytes);
    close(this.fd);
  }
}

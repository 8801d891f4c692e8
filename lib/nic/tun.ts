/**
 * A TAP or TUN interface: what the kernel sends by it is received here, and what is sent here the kernel receives by it. TAP carries
 * Ethernet frames, TUN IP packets.
 *
 * With several queues there is a descriptor for each, and all are read in turn. The kernel sends a connection's frames by the queue that the
 * last one of it came by, and so a connection's frames are all sent here by the same one: between queues there is no order.
 *
 * A descriptor takes one frame a call: a `read` for each that is received, a `writev` for each that is sent. With its offloads a frame
 * carries up to 64 KB of TCP, cut into segments by nobody, its checksum left out: so the calls are few where there is much to carry.
 * Measured on a small virtual machine, CPU of the thread: to receive a small frame costs 3 µs, over a packet socket's ring 0.2; one of 60 KB
 * 10 µs, over the packet socket 11 to 15; to send, about the same by both.
 *
 * ```
 * device region: │ tx slots and their vectors │ buffer for a received frame │
 * ```
 */
import { closeSync } from 'node:fs';
import { type Device, type DeviceCapabilities, type DeviceMemory, type DeviceStats, type FrameSink, TX_ROOM } from './device.js';
import { ETHERNET_HEADER } from './packet_abi.js';
import { PollGroup } from './poll_group.js';
import { read, writev } from './syscalls.js';
import { EAGAIN, EBADF, EBADFD, EIO, SystemError } from './system_error.js';
import { openTunInterface, type TunMode } from './tun_interface.js';
import { TxSlots } from './tx_slots.js';
import { receivedFlags, receivedSegmentSize, VNET_HEADER } from './virtio_net.js';

export interface TunOptions {
  /** Own link address of a TAP device, 6 bytes. Default: one made from the interface's own, which is that of the kernel's end. */
  readonly mac?: Uint8Array;
  /** Frames in one batch of `flush`. Default 128. */
  readonly batch?: number;
}

const DEFAULT_BATCH = 128;
/** Headers without options, as they are sent here. */
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
/** Any frame with its virtio header. */
const RX_ROOM = TX_ROOM + VNET_HEADER;

export class TunDevice implements Device {
  readonly capabilities: DeviceCapabilities;
  /** Frames for which the kernel's queue had no room are counted at its interface alone, as `ip -s link` shows. */
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd: number;
  readonly tx: Uint8Array;
  down = false;

  readonly #descriptors: readonly number[];
  /** Waits for all of several queues; null where there is one. */
  readonly #group: PollGroup | null;
  /** The queue to look at first. */
  #nextQueue = 0;
  readonly #slots: TxSlots;
  readonly #receiveAt: number;
  readonly #receiveAddress: number;
  /** Bytes in the buffer of a frame that `readable` has read and that was not handed over; else 0. */
  #ahead = 0;
  #open = true;
  readonly #linkHeader: number;

  /**
   * @param name of an interface in the network namespace of the calling thread; it is made where there is none.
   * @param queues of it that are used.
   * @throws SystemError as `openTunInterface`.
   */
  constructor(mode: TunMode, name: string, memory: DeviceMemory, options: TunOptions = {}, queues = 1) {
    const batch = options.batch ?? DEFAULT_BATCH;
    const linkHeader = mode === 'tap' ? ETHERNET_HEADER : 0;
    if (TxSlots.bytesFor(batch) + RX_ROOM > memory.regionLength) throw new RangeError('the region of the device is too small');
    this.tx = memory.bytes;
    this.#slots = new TxSlots(memory, memory.regionOffset, batch, linkHeader);
    this.#receiveAt = memory.regionOffset + TxSlots.bytesFor(batch);
    this.#receiveAddress = Number(memory.address) + this.#receiveAt;
    const opened = openTunInterface(mode, name, queues);
    this.#descriptors = opened.descriptors;
    this.#linkHeader = linkHeader;
    try {
      this.#group = queues > 1 ? new PollGroup(opened.descriptors) : null;
    } catch (error) {
      opened.descriptors.forEach((fd) => closeSync(fd));
      throw error;
    }
    this.fd = this.#group?.fd ?? opened.descriptors[0]!;
    this.capabilities = {
      medium: mode === 'tap' ? 'ethernet' : 'ip', mtu: Math.min(opened.interface.mtu, 65535),
      mac: mode === 'tap' ? options.mac ?? neighbourOf(opened.interface.mac) : null,
      txChecksum: true, txSegmentation: 65535, rxCoalescing: true,
    };
  }

  readable(): boolean {
    if (this.#ahead === 0) this.#ahead = this.#read();
    return this.#ahead > 0;
  }

  receive(sink: FrameSink, budget: number): number {
    const bytes = this.tx;
    const at = this.#receiveAt;
    let taken = 0;
    if (++this.#nextQueue >= this.#descriptors.length) this.#nextQueue = 0;
    while (taken < budget) {
      const length = this.#ahead > 0 ? this.#ahead : this.#read();
      this.#ahead = 0;
      if (length === 0) break;
      taken++;
      this.stats.rxBytes += length - VNET_HEADER;
      sink.frame(bytes, at + VNET_HEADER, length - VNET_HEADER, receivedFlags(bytes, at), receivedSegmentSize(bytes, at));
    }
    this.stats.rxFrames += taken;
    return taken;
  }

  /** Reads the next frame of any queue into the buffer. Returns its bytes with the header, 0 where there is none. */
  #read(): number {
    const descriptors = this.#descriptors;
    for (let i = 0; i < descriptors.length && this.#open; i++) {
      const length = this.#readFrom(descriptors[this.#nextQueue]!);
      if (length > 0) return length;
      if (++this.#nextQueue === descriptors.length) this.#nextQueue = 0;
    }
    return 0;
  }

  #readFrom(fd: number): number {
    const length = read(fd, this.#receiveAddress, RX_ROOM);
    if (length > VNET_HEADER) {
      this.down = false;
      return length;
    }
    if (length === -EBADFD) this.#group?.remove(fd); // the interface is gone
    if (length < 0 && length !== -EAGAIN) this.#failed(-length);
    return 0;
  }

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
    const slots = this.#slots;
    const count = slots.committed;
    if (count === 0) return 0;
    if (!this.#open) throw new SystemError(EBADF, 'writev', 'the device is closed');
    let sent = 0;
    for (let i = 0; i < count; i++) {
      const written = writev(this.#senderOf(i), slots.vectorAddress(i), slots.vectorCount(i));
      if (written > 0) {
        sent++;
        this.down = false;
      } else if (this.#failed(-written)) break;
    }
    slots.committed = 0;
    this.stats.txFrames += sent;
    this.stats.txDropped += count - sent;
    return sent;
  }

  /** Descriptor that a frame is sent by: the same one for all that have the same ports, where it is of TCP. */
  #senderOf(index: number): number {
    const count = this.#descriptors.length;
    if (count === 1) return this.fd;
    const bytes = this.tx;
    const packet = this.#slots.frameAt(index) + this.#linkHeader;
    const ports = packet + (bytes[packet]! >> 4 === 6 ? IPV6_HEADER : IPV4_HEADER);
    return this.#descriptors[(bytes[ports]! ^ bytes[ports + 1]! ^ bytes[ports + 2]! ^ bytes[ports + 3]!) % count]!;
  }

  /** Takes note of an error. True where it would meet the next frame as well. */
  #failed(errno: number): boolean {
    const isDown = errno === EIO || errno === EBADFD; // set down; removed
    if (isDown) this.down = true;
    return isDown || errno === EAGAIN;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    this.#group?.close();
    for (const fd of this.#descriptors) closeSync(fd);
  }
}

/** A link address for our end of the wire, of which the kernel's end has `mac`: another one, the same each time, given by nobody else. */
function neighbourOf(mac: Uint8Array): Uint8Array {
  const own = Uint8Array.from(mac);
  own[0] = (mac[0]! | 0x02) ^ 0x04; // administered locally (IEEE 802, 8.2.2)
  return own;
}

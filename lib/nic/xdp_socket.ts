/**
 * Opens the AF_XDP sockets of an interface, one for each receive queue, over one UMEM: the memory that the kernel, or the hardware itself,
 * writes received frames to and takes frames from. The first socket sends as well.
 *
 * ```
 *   UMEM:  │ chunks of queue 0 │ chunks of queue 1 │ ... │ chunks of frames to send │
 *   rings: │ RX, fill of queue 0 │ RX, fill of queue 1 │ ... │ TX, completion │
 * ```
 */
import type { DeviceMemory } from './device.js';
import type { InterfaceInfo } from './interfaces.js';
import {
  bind, bindCall, close, errno, getsockopt, mapOver, mapSharedOver, PAGE_SIZE, setSocketBuffers, setsockopt, setsockoptInt, SOCK_NONBLOCK, SOCK_RAW, socket,
  MSG_DONTWAIT,
} from './syscalls.js';
import { EAFNOSUPPORT, EBUSY, EINVAL, ENOBUFS, EPERM, SystemError } from './system_error.js';
import {
  ADDRESS_ENTRY, AF_XDP, DESCRIPTOR, socketAddress, SOL_XDP, TX_METADATA, UMEM_REG, XDP_COPY, XDP_MAX_TX_SKB_BUDGET, XDP_MMAP_OFFSETS, XDP_OPTIONS, XDP_OPTIONS_ZEROCOPY,
  XDP_PGOFF_RX_RING, XDP_PGOFF_TX_RING, XDP_RX_RING, XDP_SHARED_UMEM, XDP_TX_RING, XDP_UMEM_COMPLETION_RING, XDP_UMEM_FILL_RING, XDP_UMEM_PGOFF_COMPLETION_RING,
  XDP_UMEM_PGOFF_FILL_RING, XDP_UMEM_REG, XDP_UMEM_TX_METADATA_LEN, XDP_USE_NEED_WAKEUP, XDP_USE_SG,
} from './xdp_abi.js';
import { ConsumerRing, ProducerRing, type RingPlace } from './xdp_ring.js';

/** Bytes of the pieces that the UMEM consists of: a page, which is the most that they may have. */
export const CHUNK = 4096;
/** Chunks of frames to send. */
const TX_CHUNKS = 1024;
/** Chunks of received frames: all queues together, and one queue at most. */
const RX_CHUNKS = 8192;
const RX_CHUNKS_QUEUE = 2048;
/** Of queues that only receive, whose completion rings stay empty. */
const NO_COMPLETIONS = 8;
/** Bytes of frames that the link may have not taken yet. */
const SEND_BUFFER = 32 * 1024 * 1024;
const RECEIVE_BUFFER = 65536;

const nativeSend = bindCall('send', 'long', ['int', 'void *', 'size_t', 'int']);

/** Has the kernel look at the TX ring. Returns 0 or -errno. */
export function kick(fd: number): number {
  return nativeSend(fd, null, 0, MSG_DONTWAIT) < 0 ? -errno() : 0;
}

/** How the memory is divided, in chunks and bytes. */
export interface XdpLayout {
  readonly queues: number;
  /** Chunks of each receive queue, and entries of its rings: a power of two. */
  readonly rxChunks: number;
  /** The same for sending. */
  readonly txChunks: number;
  readonly umemBytes: number;
  readonly ringBytes: number;
}

/** @param most chunks of a queue at most: a power of two. */
export function xdpLayout(queues: number, most = RX_CHUNKS_QUEUE): XdpLayout {
  const rxChunks = Math.min(most, 2 ** Math.floor(Math.log2(RX_CHUNKS / queues)));
  const ringBytes = queues * (ringRoom(rxChunks, DESCRIPTOR) + ringRoom(rxChunks, ADDRESS_ENTRY)) + ringRoom(TX_CHUNKS, DESCRIPTOR) + ringRoom(TX_CHUNKS, ADDRESS_ENTRY);
  return { queues, rxChunks, txChunks: TX_CHUNKS, umemBytes: (queues * rxChunks + TX_CHUNKS) * CHUNK, ringBytes };
}

/** Whole pages that the ring fits with the positions before its entries. */
function ringRoom(count: number, entryBytes: number): number {
  return Math.ceil((count * entryBytes) / PAGE_SIZE + 1) * PAGE_SIZE;
}

export interface XdpQueue {
  readonly fd: number;
  readonly rx: ConsumerRing;
  readonly fill: ProducerRing;
}

/** How frames of the interface are to be exchanged. */
export interface XdpBinding {
  /** Frames may take several chunks. */
  readonly severalChunks: boolean;
  /** Without the driver's own way: for a program that the driver does not run itself. */
  readonly copy: boolean;
}

export class XdpSockets {
  readonly queues: readonly XdpQueue[];
  readonly tx: ProducerRing;
  readonly completion: ConsumerRing;
  /** The driver uses the UMEM itself. */
  readonly zeroCopy: boolean;
  /** Before a frame that is sent stands metadata of TX_METADATA bytes where its descriptor says so. */
  readonly metadata: boolean;
  readonly #shared: Int32Array;
  readonly #base: number;
  readonly #target: InterfaceInfo;
  #ringAt: number;

  /**
   * @param shared the memory as words that the kernel writes, too. @param at where the UMEM lies in the memory, and the rings behind it.
   * @throws SystemError EPERM without CAP_NET_RAW, ENOBUFS where RLIMIT_MEMLOCK is too small, EBUSY where a queue is another's, and the like.
   */
  constructor(target: InterfaceInfo, memory: DeviceMemory, shared: Int32Array, at: number, layout: XdpLayout, binding: XdpBinding) {
    this.#shared = shared;
    this.#base = Number(memory.address);
    this.#target = target;
    this.#ringAt = at + layout.umemBytes;
    mapSharedOver(this.#base + at, layout.umemBytes, 'cannot have memory for frames');
    const descriptors: number[] = [];
    try {
      for (let i = 0; i < layout.queues; i++) descriptors.push(openSocket(target.name));
      const [first, ...others] = descriptors as [number, ...number[]];
      this.metadata = registerUmem(first, this.#base + at, layout.umemBytes, target.name, !binding.severalChunks);
      this.queues = descriptors.map((fd, i) => this.#rings(fd, i, layout));
      const txPlaces = this.#sendRings(first, layout);
      this.tx = new ProducerRing(shared, txPlaces.tx);
      this.completion = new ConsumerRing(shared, txPlaces.completion);
      this.#bind(first, 0, XDP_USE_NEED_WAKEUP | (binding.copy ? XDP_COPY : 0) | (binding.severalChunks ? XDP_USE_SG : 0), 0);
      others.forEach((fd, i) => this.#bind(fd, i + 1, XDP_SHARED_UMEM, first));
      const options = new Uint32Array(1);
      this.zeroCopy = getsockopt(first, SOL_XDP, XDP_OPTIONS, options) === 0 && (options[0]! & XDP_OPTIONS_ZEROCOPY) !== 0;
    } catch (error) {
      descriptors.forEach(close);
      throw error;
    }
  }

  /** The rings by which a queue receives, with all of its chunks given to the kernel. */
  #rings(fd: number, index: number, { rxChunks }: XdpLayout): XdpQueue {
    setsockoptInt(fd, SOL_XDP, XDP_UMEM_FILL_RING, rxChunks, 'cannot have a fill ring');
    setsockoptInt(fd, SOL_XDP, XDP_RX_RING, rxChunks, 'cannot have an RX ring');
    if (index > 0) setsockoptInt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, NO_COMPLETIONS, 'cannot have a completion ring');
    const rx = new ConsumerRing(this.#shared, this.#map(fd, RX, rxChunks));
    const fill = new ProducerRing(this.#shared, this.#map(fd, FILL, rxChunks));
    for (let i = 0; i < rxChunks; i++) {
      const word = fill.next();
      this.#shared[word] = (index * rxChunks + i) * CHUNK;
      this.#shared[word + 1] = 0;
    }
    fill.publish();
    return { fd, rx, fill };
  }

  #sendRings(fd: number, { txChunks }: XdpLayout): { tx: RingPlace; completion: RingPlace } {
    setsockoptInt(fd, SOL_XDP, XDP_UMEM_COMPLETION_RING, txChunks, 'cannot have a completion ring');
    setsockoptInt(fd, SOL_XDP, XDP_TX_RING, txChunks, 'cannot have a TX ring');
    try {
      setsockoptInt(fd, SOL_XDP, XDP_MAX_TX_SKB_BUDGET, txChunks, '');
    } catch {
      // Before Linux 6.17 a call sends 32 frames, and one of more takes several.
    }
    setSocketBuffers(fd, RECEIVE_BUFFER, SEND_BUFFER);
    return { tx: this.#map(fd, TX, txChunks), completion: this.#map(fd, COMPLETION, txChunks) };
  }

  /** Maps a ring behind those that are there. */
  #map(fd: number, kind: RingKind, count: number): RingPlace {
    // struct xdp_mmap_offsets: for each ring the places of producer, consumer, entries and flags.
    const offsets = new BigUint64Array(16);
    const result = getsockopt(fd, SOL_XDP, XDP_MMAP_OFFSETS, offsets);
    if (result < 0) throw new SystemError(-result, 'getsockopt', 'cannot find the rings of an AF_XDP socket');
    const at = this.#ringAt;
    const [producer, consumer, entries, flags] = [0, 1, 2, 3].map((i) => at + Number(offsets[4 * kind.index + i])) as [number, number, number, number];
    mapOver(this.#base + at, entries - at + count * kind.entryBytes, fd, 'cannot map a ring of an AF_XDP socket', kind.offset);
    this.#ringAt += ringRoom(count, kind.entryBytes);
    return { producer, consumer, entries, flags, entryBytes: kind.entryBytes, count };
  }

  #bind(fd: number, queue: number, flags: number, umem: number): void {
    const { name, index } = this.#target;
    try {
      bind(fd, socketAddress(flags, index, queue, umem), `cannot bind an AF_XDP socket to receive queue ${queue} of "${name}"`);
    } catch (error) {
      const number = -(error as SystemError).errno;
      if (number === EBUSY) throw new SystemError(number, 'bind', `receive queue ${queue} of "${name}" has an AF_XDP socket already; end the program that it is of`);
      if (number === EINVAL && (flags & XDP_USE_SG) !== 0) {
        throw new SystemError(number, 'bind', `an MTU of ${this.#target.mtu} on "${name}" takes frames of several buffers, for which AF_XDP needs Linux 6.6 or later; or make it smaller: ip link set ${name} mtu 1500`);
      }
      throw error;
    }
  }

  close(): void {
    for (const { fd } of this.queues) close(fd);
  }
}

interface RingKind {
  /** Of its places in struct xdp_mmap_offsets. */
  readonly index: number;
  readonly offset: number;
  readonly entryBytes: number;
}

const RX: RingKind = { index: 0, offset: XDP_PGOFF_RX_RING, entryBytes: DESCRIPTOR };
const TX: RingKind = { index: 1, offset: XDP_PGOFF_TX_RING, entryBytes: DESCRIPTOR };
const FILL: RingKind = { index: 2, offset: XDP_UMEM_PGOFF_FILL_RING, entryBytes: ADDRESS_ENTRY };
const COMPLETION: RingKind = { index: 3, offset: XDP_UMEM_PGOFF_COMPLETION_RING, entryBytes: ADDRESS_ENTRY };

function openSocket(name: string): number {
  try {
    return socket(AF_XDP, SOCK_RAW | SOCK_NONBLOCK, 0, `cannot open an AF_XDP socket for "${name}"`);
  } catch (error) {
    const number = -(error as SystemError).errno;
    if (number === EPERM) throw new SystemError(number, 'socket', `an AF_XDP socket on "${name}" needs CAP_NET_RAW; run as root, or grant it: setcap cap_bpf,cap_net_admin,cap_net_raw,cap_ipc_lock+ep ${process.execPath}`);
    if (number === EAFNOSUPPORT) throw new SystemError(number, 'socket', 'the kernel does no AF_XDP; it needs CONFIG_XDP_SOCKETS');
    throw error;
  }
}

/**
 * Makes the memory the UMEM of a socket. Returns whether frames to be sent may have metadata, as from Linux 6.11 on.
 *
 * @param wanted they shall. Then each descriptor needs the room for it before its bytes, in the same chunk: frames of several chunks do not lie in one piece.
 */
function registerUmem(fd: number, address: number, bytes: number, name: string, wanted: boolean): boolean {
  for (const metadata of wanted ? [true, false] : [false]) {
    try {
      register(fd, address, bytes, metadata ? XDP_UMEM_TX_METADATA_LEN : 0);
      return metadata;
    } catch (error) {
      if (!metadata || (error as SystemError).errno !== -EINVAL) throw umemRefusal(error as SystemError, bytes, name);
    }
  }
  return false;
}

/** struct xdp_umem_reg. */
function register(fd: number, address: number, bytes: number, flags: number): void {
  const request = new Uint8Array(UMEM_REG);
  const view = new DataView(request.buffer);
  view.setBigUint64(0, BigInt(address), true);
  view.setBigUint64(8, BigInt(bytes), true);
  view.setUint32(16, CHUNK, true);
  view.setUint32(24, flags, true);
  view.setUint32(28, (flags & XDP_UMEM_TX_METADATA_LEN) !== 0 ? TX_METADATA : 0, true);
  setsockopt(fd, SOL_XDP, XDP_UMEM_REG, request, UMEM_REG, 'cannot give memory to an AF_XDP socket');
}

function umemRefusal(error: SystemError, bytes: number, name: string): SystemError {
  if (error.errno !== -ENOBUFS) return error;
  const megabytes = Math.ceil(bytes / 2 ** 20);
  return new SystemError(ENOBUFS, 'setsockopt', `AF_XDP on "${name}" keeps ${megabytes} MiB in physical memory, more than RLIMIT_MEMLOCK allows; run as root, grant CAP_IPC_LOCK, or raise the limit: ulimit -l ${megabytes * 1024}, with systemd LimitMEMLOCK=${megabytes}M`);
}

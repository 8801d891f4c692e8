/**
 * Raw IP sockets (raw(7)): the kernel keeps its address, its neighbours and its routes, hands over a copy of each TCP packet that it delivers,
 * and sends whole packets. The npm package raw-socket has them in the main thread, where a carrier (lib/runtime/raw_carrier.ts) takes packets
 * from one to the other of it and this device, which is the TCP server's.
 *
 * ```
 *   kernel ◀─▶ raw-socket ◀─▶ carrier, in the main thread ◀─▶ two rings (exchange.ts) ◀─▶ RawDevice, in the TCP server's thread
 * ```
 *
 * The kernel's TCP gets every packet as well, and would answer RST to those that are for us: own_ports.ts.
 */
import type { Device, DeviceCapabilities, DeviceMemory, DeviceStats, FrameSink } from './device.js';
import { RX_CHECKSUM_VALID } from './device.js';
import { ExchangeDevice } from './exchange.js';
import { interfaceInfo } from './interfaces.js';
import { hold, OwnPorts } from './own_ports.js';
import { ResetFilter } from './reset_filter.js';
import { close } from './syscalls.js';
import { EADDRNOTAVAIL, SystemError } from './system_error.js';

/** SO_MARK of the packets that we send, which tells our resets from the kernel's. */
export const RAW_MARK = 0x7463_7073;

const PROTOCOL_AT = 9;
const SOURCE_AT = 12;
const ADDRESSES = 8;
const PROTOCOL_TCP = 6;
const TCP_DESTINATION = 2;
const TCP_DATA_OFFSET = 12;
const TCP_CHECKSUM = 16;
const IPV4_HEADER = 20;
const TCP_HEADER = 20;

export class RawDevice implements Device, FrameSink {
  readonly capabilities: DeviceCapabilities;
  readonly fd = -1;
  readonly tx: Uint8Array;
  readonly #rings: ExchangeDevice;
  readonly #ports: OwnPorts;
  #sink: FrameSink = this;

  /**
   * @param name of the interface that packets come and go by, in the namespace of the calling thread.
   * @param address own one, of IPv4, which the kernel has as well. @param netns that namespace, where the thread is in another later; else null.
   * @throws SystemError ENODEV where there is no such interface, EADDRNOTAVAIL where the kernel does not have the address; and as `ResetFilter`.
   */
  constructor(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, address: Uint8Array, netns: string | null) {
    const { mtu, index } = interfaceInfo(name);
    mustBeOfKernel(address);
    this.capabilities = { medium: 'ip', mtu: Math.min(mtu, 65535), mac: null, txChecksum: false, txSegmentation: 0, rxCoalescing: true };
    this.tx = memory.bytes;
    this.#rings = new ExchangeDevice(memory, shared);
    this.#ports = new OwnPorts([address], index, new ResetFilter(address, RAW_MARK), netns);
  }

  /** Frames that were handed over; those that were the kernel's are counted nowhere. */
  get stats(): DeviceStats {
    return this.#rings.stats;
  }

  readable(): boolean {
    return this.#rings.readable();
  }

  receive(sink: FrameSink, budget: number): number {
    this.#sink = sink;
    return this.#rings.receive(this, budget);
  }

  /** A packet from the rings: one of another connection is the kernel's, and passed over. */
  frame(bytes: Uint8Array, offset: number, length: number): void {
    const header = (bytes[offset]! & 15) << 2;
    if (header < IPV4_HEADER || length < header + TCP_HEADER || bytes[offset + PROTOCOL_AT] !== PROTOCOL_TCP) return;
    const tcp = offset + header;
    if (!this.#ports.has((bytes[tcp + TCP_DESTINATION]! << 8) | bytes[tcp + TCP_DESTINATION + 1]!)) return;
    const flags = isChecksumLeftOut(bytes, offset, tcp, length - header) ? RX_CHECKSUM_VALID : 0;
    const headers = header + ((bytes[tcp + TCP_DATA_OFFSET]! >> 4) << 2);
    this.#sink.frame(bytes, offset, length, flags, length > this.capabilities.mtu ? this.capabilities.mtu - headers : 0);
  }

  /** A port is ours from now on. Returns 0, or -errno: EADDRINUSE where it is a kernel's program's. */
  claim(port: number): number {
    return this.#ports.claim(port);
  }

  release(port: number): void {
    this.#ports.release(port);
  }

  reserve(): number {
    return this.#rings.reserve();
  }

  append(offset: number, length: number): void {
    this.#rings.append(offset, length);
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    this.#rings.commit(length, checksumStart, segmentSize);
  }

  flush(): number {
    return this.#rings.flush();
  }

  close(): void {
    this.#ports.close();
  }
}

function mustBeOfKernel(address: Uint8Array): void {
  try {
    hold([address], 0, 0).forEach(close);
  } catch (error) {
    if ((error as SystemError).errno !== -EADDRNOTAVAIL) throw error;
    const text = address.join('.');
    throw new SystemError(EADDRNOTAVAIL, 'bind', `a raw device wants an address that the kernel has, which ${text} is not; give it one: ip address add ${text}/LENGTH dev IFNAME`);
  }
}

/**
 * True where the field of the checksum holds the sum of the pseudo-header alone, as in packets that never saw a wire and in those that the
 * kernel has coalesced and summed: a raw socket does not say so beside the packet.
 */
function isChecksumLeftOut(bytes: Uint8Array, ip: number, tcp: number, length: number): boolean {
  let sum = PROTOCOL_TCP + length;
  for (let i = 0; i < ADDRESSES; i += 2) sum += (bytes[ip + SOURCE_AT + i]! << 8) | bytes[ip + SOURCE_AT + i + 1]!;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ((bytes[tcp + TCP_CHECKSUM]! << 8) | bytes[tcp + TCP_CHECKSUM + 1]!) === sum;
}

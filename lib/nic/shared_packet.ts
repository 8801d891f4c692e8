/**
 * A network interface through a packet socket, on the addresses that the kernel has there: beside it, and not in its place (kernel_share.ts).
 * Segments to the TCP ports that are in use here are dropped behind the packet socket's tap, before the kernel's IP sees them
 * (ingress_filter.ts).
 */
import { AfPacketDevice } from './af_packet.js';
import type { DeviceMemory } from './device.js';
import { IngressFilter } from './ingress_filter.js';
import { ARPHRD_ETHER, interfaceInfo } from './interfaces.js';
import { KernelShare, settledAddresses } from './kernel_share.js';
import { tcpFilter } from './packet_filter.js';
import type { InterfaceAddress } from './route_netlink.js';
import { ENODEV, SystemError } from './system_error.js';

export class SharedPacketDevice extends AfPacketDevice {
  readonly kernel: KernelShare;

  private constructor(name: string, index: number, memory: DeviceMemory, shared: SharedArrayBuffer, addresses: readonly InterfaceAddress[], netns: string | null) {
    const own = addresses.map(({ address }) => address);
    super(name, memory, shared, { filter: tcpFilter(own) });
    try {
      this.kernel = new KernelShare(index, addresses, () => new IngressFilter(name, own), netns);
    } catch (error) {
      super.close();
      throw error;
    }
  }

  /**
   * @param name of an interface in the network namespace of the calling thread. @param netns that namespace, where the thread is in another
   *   later; else null.
   * @throws SystemError as `AfPacketDevice`, `settledAddresses` and `IngressFilter`.
   */
  static open(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, netns: string | null): SharedPacketDevice {
    const { index, hardware } = interfaceInfo(name);
    if (hardware !== ARPHRD_ETHER) throw new SystemError(ENODEV, 'ioctl', `interface "${name}" does not speak Ethernet; choose one that does`);
    return new SharedPacketDevice(name, index, memory, shared, settledAddresses(name, index), netns);
  }

  override close(): void {
    super.close();
    this.kernel.close();
  }
}

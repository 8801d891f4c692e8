/**
 * A network interface through AF_XDP, on the addresses that the kernel has there: beside it, and not in its place (kernel_share.ts). What is
 * for the TCP ports in use here is taken before the kernel's network sees it (xdp_port_program.ts), so that nothing has to be kept from it.
 */
import type { DeviceMemory } from './device.js';
import { ethernetInterface } from './interfaces.js';
import { KernelShare, settledAddresses } from './kernel_share.js';
import type { InterfaceAddress } from './route_netlink.js';
import { XdpDevice, type XdpOptions } from './xdp.js';
import { portProgram } from './xdp_port_program.js';
import { XdpPorts } from './xdp_ports.js';

export class SharedXdpDevice extends XdpDevice {
  readonly kernel: KernelShare;

  private constructor(
    name: string, index: number, memory: DeviceMemory, shared: SharedArrayBuffer, addresses: readonly InterfaceAddress[], ports: XdpPorts, netns: string | null,
    options: XdpOptions,
  ) {
    super(name, memory, shared, addresses.map(({ address }) => address), {
      ...options, program: (_mac, own, sockets) => portProgram(own, { sockets, ports: ports.ports, fragments: ports.fragments }),
    });
    try {
      this.kernel = new KernelShare(index, addresses, () => ports, netns);
    } catch (error) {
      super.close();
      throw error;
    }
  }

  /**
   * @param name of an interface in the network namespace of the calling thread. @param netns that namespace, where the thread is in another
   *   later; else null.
   * @throws SystemError as `XdpDevice` and `settledAddresses`; EPERM without CAP_PERFMON.
   */
  static open(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, netns: string | null, options: XdpOptions = {}): SharedXdpDevice {
    const { index } = ethernetInterface(name);
    const addresses = settledAddresses(name, index);
    const ports = new XdpPorts();
    try {
      return new SharedXdpDevice(name, index, memory, shared, addresses, ports, netns, options);
    } catch (error) {
      ports.close();
      throw error;
    }
  }

  override close(): void {
    super.close();
    this.kernel.close();
  }
}

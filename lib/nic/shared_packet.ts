/**
 * A network interface through a packet socket, on the addresses that the kernel has there: beside it, and not in its place. The kernel keeps
 * everything but the TCP ports that are in use here (own_ports.ts): those segments are dropped behind the packet socket's tap, before its IP
 * sees them (ingress_filter.ts). Neighbours and routes are the kernel's (kernel_network.ts).
 */
import { AfPacketDevice } from './af_packet.js';
import type { DeviceMemory } from './device.js';
import { IngressFilter } from './ingress_filter.js';
import { ARPHRD_ETHER, interfaceInfo } from './interfaces.js';
import { KernelNetwork } from './kernel_network.js';
import { OwnPorts } from './own_ports.js';
import { tcpFilter } from './packet_filter.js';
import { type InterfaceAddress, readAddresses, RouteSocket, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR } from './route_netlink.js';
import { EADDRNOTAVAIL, ENODEV, ETIMEDOUT, SystemError } from './system_error.js';
import { Poller } from './syscalls.js';

/** Addresses that the packet filter can look through. */
const ADDRESSES_MOST = 16;
/** How long the kernel may take to know that an address is this machine's alone, µs: RFC 4862 asks for one second by default. */
const SETTLING_MOST = 5e6;

export class SharedPacketDevice extends AfPacketDevice {
  /** The addresses of the interface when it was opened. */
  readonly addresses: readonly InterfaceAddress[];
  readonly network: KernelNetwork;
  readonly #ports: OwnPorts;

  private constructor(name: string, index: number, memory: DeviceMemory, shared: SharedArrayBuffer, addresses: readonly InterfaceAddress[], netns: string | null) {
    const own = addresses.map(({ address }) => address);
    super(name, memory, shared, { filter: tcpFilter(own) });
    this.addresses = addresses;
    let network: KernelNetwork | null = null;
    try {
      this.network = network = new KernelNetwork(index);
      this.#ports = new OwnPorts(own, index, new IngressFilter(name, own), netns);
    } catch (error) {
      network?.close();
      super.close();
      throw error;
    }
  }

  /**
   * @param name of an interface in the network namespace of the calling thread. @param netns that namespace, where the thread is in another
   *   later; else null.
   * @throws SystemError as `AfPacketDevice` and `IngressFilter`; EADDRNOTAVAIL where the kernel has no address there.
   */
  static open(name: string, memory: DeviceMemory, shared: SharedArrayBuffer, netns: string | null): SharedPacketDevice {
    const { index, hardware } = interfaceInfo(name);
    if (hardware !== ARPHRD_ETHER) throw new SystemError(ENODEV, 'ioctl', `interface "${name}" does not speak Ethernet; choose one that does`);
    return new SharedPacketDevice(name, index, memory, shared, settledAddresses(name, index), netns);
  }

  /** A port is ours from now on. Returns 0, or -errno: EADDRINUSE where it is a kernel's program's. */
  claim(port: number): number {
    return this.#ports.claim(port);
  }

  release(port: number): void {
    this.#ports.release(port);
  }

  override close(): void {
    super.close();
    this.#ports.close();
    this.network.close();
  }
}

/** The addresses of an interface, once the kernel may use all of them. */
function settledAddresses(name: string, index: number): InterfaceAddress[] {
  const tables = new RouteSocket();
  const news = new RouteSocket(RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR);
  try {
    const poller = new Poller([news.fd]);
    for (;;) {
      const addresses = readAddresses(index, tables);
      if (!addresses.some(({ tentative }) => tentative)) return mustBeSome(name, addresses);
      if (poller.wait(SETTLING_MOST) === 0) {
        throw new SystemError(ETIMEDOUT, 'recv', `the kernel does not come to an end with its addresses on "${name}" (ip address show dev ${name}): is the interface up, and has it a carrier?`);
      }
      news.receive(() => undefined);
    }
  } finally {
    tables.close();
    news.close();
  }
}

function mustBeSome(name: string, addresses: InterfaceAddress[]): InterfaceAddress[] {
  if (addresses.length === 0) {
    throw new SystemError(EADDRNOTAVAIL, 'recv', `the kernel has no address on interface "${name}" to be shared; give it one: ip address add A.B.C.D/LENGTH dev ${name}; or give the TCP server one of its own`);
  }
  if (addresses.length > ADDRESSES_MOST) {
    throw new SystemError(EADDRNOTAVAIL, 'recv', `the kernel has ${addresses.length} addresses on interface "${name}", of which at most ${ADDRESSES_MOST} can be shared`);
  }
  return addresses;
}

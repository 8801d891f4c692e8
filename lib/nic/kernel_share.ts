/**
 * What a TCP server and the kernel have in common where it stands on the kernel's addresses of an interface: the addresses; TCP ports, of
 * which each is one's or the other's (own_ports.ts); neighbours and routes, which are the kernel's (kernel_network.ts).
 */
import { KernelNetwork } from './kernel_network.js';
import { OwnPorts, type PortFilter } from './own_ports.js';
import { type InterfaceAddress, readAddresses, RouteSocket, RTMGRP_IPV4_IFADDR, RTMGRP_IPV6_IFADDR } from './route_netlink.js';
import { EADDRNOTAVAIL, ETIMEDOUT, SystemError } from './system_error.js';
import { Poller } from './syscalls.js';

/** Addresses that a filter in the kernel can look through. */
const ADDRESSES_MOST = 16;
/** How long the kernel may take to know that an address is this machine's alone, µs: RFC 4862 asks for one second by default. */
const SETTLING_MOST = 5e6;

export class KernelShare {
  /** The addresses of the interface when it was opened. */
  readonly addresses: readonly InterfaceAddress[];
  readonly network: KernelNetwork;
  readonly #ports: OwnPorts;

  /**
   * @param index of the interface, in the namespace of the calling thread. @param filter makes what keeps the kernel out of our ports, which is
   *   closed with this. @param netns that namespace, where the thread is in another later; else null.
   * @throws as `filter`.
   */
  constructor(index: number, addresses: readonly InterfaceAddress[], filter: () => PortFilter, netns: string | null) {
    this.addresses = addresses;
    this.network = new KernelNetwork(index);
    try {
      this.#ports = new OwnPorts(addresses.map(({ address }) => address), index, filter(), netns);
    } catch (error) {
      this.network.close();
      throw error;
    }
  }

  /** A port is ours from now on. Returns 0, or -errno: EADDRINUSE where it is a kernel's program's. */
  claim(port: number): number {
    return this.#ports.claim(port);
  }

  release(port: number): void {
    this.#ports.release(port);
  }

  close(): void {
    this.#ports.close();
    this.network.close();
  }
}

/** The addresses of an interface, once the kernel may use all of them. @throws SystemError EADDRNOTAVAIL where there is none. */
export function settledAddresses(name: string, index: number): InterfaceAddress[] {
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

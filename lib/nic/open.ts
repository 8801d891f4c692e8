/** Opens a device by its name. */
import { AfPacketDevice, type AfPacketOptions } from './af_packet.js';
import type { Device, DeviceMemory } from './device.js';
import { ExchangeDevice } from './exchange.js';
import { LoopbackDevice } from './loopback.js';
import { MacvlanDevice } from './macvlan.js';
import { inNamespace } from './netns.js';
import { addressFilter, shareFilter } from './packet_filter.js';
import type { FilterShare } from './packet_filter.js';
import { RawDevice } from './raw.js';
import { addressText, readAddresses, RouteSocket } from './route_netlink.js';
import { SharedPacketDevice } from './shared_packet.js';
import { SharedXdpDevice } from './shared_xdp.js';
import { EADDRINUSE, SystemError } from './system_error.js';
import { TunDevice, type TunOptions } from './tun.js';
import type { TunMode } from './tun_interface.js';
import { XdpDevice, type XdpOptions } from './xdp.js';

export interface OpenOptions extends AfPacketOptions, TunOptions, XdpOptions {
  /** Network namespace of the interface: a name as in `ip netns`, or a path. The calling thread does not stay in it. Default: its own. */
  readonly netns?: string | null;
  /**
   * Own addresses, 4 or 16 bytes each. Of a packet device the kernel filters out everything but ARP, IPv4 for these, and IPv6 for these, for
   * groups and for link-local addresses; an XDP device takes from the kernel what is for these; a raw device has the first one of IPv4.
   */
  readonly filterAddresses?: readonly Uint8Array[];
  /** Besides, addresses come from the network: 'dhcp' lets the messages of DHCP through, and `Device.setAddresses` tells the addresses later. */
  readonly networkAddresses?: 'dhcp' | 'ipv6';
  /** A packet or AF_XDP device is to have the addresses of the kernel on the interface, beside it. */
  readonly beside?: boolean;
  /** A packet device has one part of the connections: other TCP servers have the same addresses, and the rest of them. */
  readonly share?: FilterShare;
}

/**
 * @param spec 'loopback', 'packet:INTERFACE', 'xdp:INTERFACE', 'macvlan:INTERFACE', 'tap:INTERFACE', 'tun:INTERFACE' or 'raw:INTERFACE', where a TAP or TUN
 *   interface may be followed by how many queues of it are used, as in 'tap:INTERFACE:4'; 'exchange' for test tools (exchange.ts).
 * @param memory the memory for payload and for the device.
 * @param shared the buffer that `memory` is an alias of.
 * @throws TypeError for a spec that names no device, SystemError where the system refuses.
 */
export function openDevice(spec: string, memory: DeviceMemory, shared: SharedArrayBuffer, options: OpenOptions = {}): Device {
  if (spec === 'loopback') return new LoopbackDevice(memory);
  if (spec === 'exchange') return new ExchangeDevice(memory, shared);
  const { kind, name, queues } = partsOf(spec);
  const { netns = null, filterAddresses, beside = false } = options;
  if (beside && kind !== 'packet' && kind !== 'xdp') throw new TypeError(`beside the kernel stands a packet or AF_XDP device, not '${spec}'`);
  const open = (): Device => {
    if (kind !== 'raw' && !beside) mustNotBeOfKernel(filterAddresses ?? []);
    if (beside && kind === 'packet') return SharedPacketDevice.open(name, memory, shared, netns);
    if (beside) return SharedXdpDevice.open(name, memory, shared, netns, options);
    const filtered = filterOf(options);
    if (kind === 'macvlan') return MacvlanDevice.open(name, memory, shared, filtered);
    if (kind === 'packet') return new AfPacketDevice(name, memory, shared, { ...options, ...filtered });
    if (kind === 'raw') return new RawDevice(name, memory, shared, ownAddress4(options), netns);
    if (kind === 'xdp') return new XdpDevice(name, memory, shared, filterAddresses ?? [], options);
    return new TunDevice(kind as TunMode, name, memory, options, queues);
  };
  return netns === null ? open() : inNamespace(netns, open);
}

/** @throws TypeError. */
function partsOf(spec: string): { kind: string; name: string; queues: number } {
  const [, kind, name, queues] = /^(packet|xdp|macvlan|tap|tun|raw):([^:]+)(?::(\d+))?$/.exec(spec) ?? [];
  if (kind === undefined || name === undefined || (queues !== undefined && kind !== 'tap' && kind !== 'tun')) {
    throw new TypeError(`device is 'loopback', or 'packet:', 'xdp:', 'macvlan:', 'tap:', 'tun:' or 'raw:' and the name of an interface, such as 'packet:eth0'; it is '${spec}'`);
  }
  return { kind, name, queues: Number(queues ?? 1) };
}

/** What a device with own addresses receives. */
function filterOf({ filter, filterAddresses, networkAddresses, share }: OpenOptions): Pick<AfPacketOptions, 'filter' | 'addressFilter'> {
  if (filterAddresses === undefined) return filter === undefined ? {} : { filter };
  if (share !== undefined) return { filter: shareFilter(filterAddresses, share) };
  const make = (addresses: readonly Uint8Array[]): Uint8Array => addressFilter(addresses, networkAddresses === 'dhcp');
  return networkAddresses === undefined ? { filter: make(filterAddresses) } : { filter: make(filterAddresses), addressFilter: make };
}

/**
 * Looks whether the kernel has one of the addresses itself.
 *
 * @param addresses 4 or 16 bytes each. @param netns as `OpenOptions` has it. @throws SystemError EADDRINUSE where it has.
 */
export function requireForeign(addresses: readonly Uint8Array[], netns: string | null): void {
  if (netns === null) mustNotBeOfKernel(addresses);
  else inNamespace(netns, () => mustNotBeOfKernel(addresses));
}

/** The kernel would answer as well, and reset every connection. */
function mustNotBeOfKernel(addresses: readonly Uint8Array[]): void {
  if (addresses.length === 0) return;
  const socket = new RouteSocket();
  try {
    const taken = readAddresses(null, socket).find(({ address }) => addresses.some((own) => own.length === address.length && own.every((byte, i) => byte === address[i])));
    if (taken === undefined) return;
    const mend = "give the TCP server another one, or share those of an interface: address 'shared' with a packet or AF_XDP device";
    throw new SystemError(EADDRINUSE, 'recv', `the kernel has the address ${addressText(taken.address)} itself; ${mend}`);
  } finally {
    socket.close();
  }
}

function ownAddress4({ filterAddresses = [] }: OpenOptions): Uint8Array {
  const address = filterAddresses.find(({ length }) => length === 4);
  if (address === undefined) throw new TypeError('a raw device needs an own address of IPv4');
  return address;
}

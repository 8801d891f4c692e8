/** Opens what the TCP server is configured with: the NIC, the decorators around it, and the loopback beside it. */
import { performance } from 'node:perf_hooks';
import type { Device, DeviceMemory, HostNetwork } from '../nic/device.js';
import { fault } from '../nic/fault.js';
import { LoopbackDevice } from '../nic/loopback.js';
import { deviceMemory } from '../nic/memory.js';
import type { Alias } from '../nic/memory.js';
import { openDevice } from '../nic/open.js';
import { OwnAddresses } from '../nic/own_addresses.js';
import { pcap } from '../nic/pcap.js';
import { RawDevice } from '../nic/raw.js';
import { addressText } from '../nic/route_netlink.js';
import { SharedPacketDevice } from '../nic/shared_packet.js';
import { SharedXdpDevice } from '../nic/shared_xdp.js';
import type { Clock } from '../tcp/clock.js';
import type { PortClaims } from '../tcp/port_uses.js';
import type { Share } from '../tcp/share.js';
import { isMapped, parsePrefix } from '../tcp/wire/address.js';
import { putWords } from '../tcp/wire/bytes.js';
import type { InterfaceConfig } from '../tcp/ip/interface_config.js';
import { addressSecret } from './address_secret.js';
import { DHCP, SLAAC, fixedAddresses } from './config.js';
import type { FaultConfig, ServerConfig } from './config.js';
import type { Layout } from './layout.js';

const LOOPBACK_ADDRESSES = ['127.0.0.1/8', '::1/128'];
/** Part of the device region that is the loopback's, where it stands beside a NIC. */
const LOOPBACK_BYTES = 8 * 1024 * 1024;

/** One interface of the stack. */
export interface OpenInterface {
  readonly device: Device;
  readonly memory: Uint8Array;
  readonly addresses: readonly string[];
  readonly gateways: readonly string[];
  /** The kernel's TCP, where it has the same address. */
  readonly claims: PortClaims | null;
  /** The kernel's network, where it has the same address and the link is Ethernet. */
  readonly host: (HostNetwork & { readonly fd: number }) | null;
  /** As `InterfaceConfig` has them. */
  readonly dhcp: NonNullable<InterfaceConfig['dhcp']> | null;
  readonly slaac: NonNullable<InterfaceConfig['slaac']> | null;
  readonly probe: boolean;
  readonly answers: boolean;
  /** What keeps other TCP servers from having the same addresses there, where the system does not: to be closed behind the device. */
  readonly held: OwnAddresses | null;
}

/**
 * @param clock for the faults. @param share the TCP server's part of the connections.
 * @throws SystemError where the system refuses the device, with the mend.
 */
export function openInterfaces(config: ServerConfig, layout: Layout, plain: Alias, shared: SharedArrayBuffer, clock: Clock, share: Share): OpenInterface[] {
  const memory = plain.bytes;
  const loopbackAt = layout.byteLength - LOOPBACK_BYTES;
  const loopback = new LoopbackDevice(deviceMemory(plain, loopbackAt, LOOPBACK_BYTES));
  const own = { memory, addresses: LOOPBACK_ADDRESSES, gateways: [], claims: null, host: null, held: null, answers: true, ...NOT_OF_NETWORK };
  if (config.device === 'loopback') return [{ device: decorate(loopback, config, memory, clock, share), ...own }];
  const region: DeviceMemory = deviceMemory(plain, layout.deviceBase, loopbackAt - layout.deviceBase);
  const { gateways, netns, beside, addresses } = config;
  const fixed = fixedAddresses(addresses);
  // The first of several holds them, and answers for them.
  const answers = share.index === 0;
  const held = answers ? holdAddresses(config) : null;
  let nic: Device | null = null;
  try {
    nic = openDevice(config.device, region, shared, {
      filterAddresses: fixed.map(bytesOf), netns, beside,
      ...(share.count === 1 ? {} : { share }),
      ...(fixed.length === addresses.length ? {} : { networkAddresses: addresses.includes(DHCP) ? 'dhcp' : 'ipv6' }),
    });
    return [
      { device: decorate(nic, config, memory, clock, share), memory, gateways, held, answers, ...ofKernel(nic, fixed), ...ofNetwork(config) },
      { device: loopback, ...own },
    ];
  } catch (error) {
    nic?.close();
    held?.close();
    throw error;
  }
}

const NOT_OF_NETWORK = { dhcp: null, slaac: null, probe: false };

/** What an interface is to have of the network. */
function ofNetwork({ addresses, clientId, addressSecret: secret, probeAddress }: ServerConfig): Pick<OpenInterface, 'dhcp' | 'slaac' | 'probe'> {
  return {
    // RFC 2132 9.14: a type of 0 says that what follows is no address of hardware.
    dhcp: addresses.includes(DHCP) ? { clientId: clientId === null ? null : Uint8Array.of(0, ...Buffer.from(clientId)) } : null,
    slaac: addresses.includes(SLAAC) ? { secret: addressSecret(secret) } : null,
    probe: probeAddress,
  };
}

/**
 * An interface takes any number of packet sockets; a TAP or TUN interface takes one process, AF_XDP one program, and addresses of the kernel's are shared port by
 * port. What the network gives goes by the link address, of which each macvlan interface has its own.
 */
function holdAddresses({ device, addresses, clientId, netns, beside }: ServerConfig): OwnAddresses | null {
  const [, kind, name] = /^(packet|macvlan):(.+)$/.exec(device) ?? [];
  if (name === undefined || beside) return null;
  const given = kind === 'packet' ? addresses.filter((address) => address === SLAAC || (address === DHCP && clientId === null)) : [];
  return new OwnAddresses(name, [...fixedAddresses(addresses).map((address) => addressText(bytesOf(address))), ...given], netns);
}

/** What an interface has of the kernel's. */
function ofKernel(nic: Device, configured: readonly string[]): Pick<OpenInterface, 'addresses' | 'claims' | 'host'> {
  if (nic instanceof SharedPacketDevice || nic instanceof SharedXdpDevice) {
    const { kernel } = nic;
    const addresses = kernel.addresses.map(({ address, prefix }) => `${addressText(address)}/${prefix}`);
    return { addresses, claims: kernel, host: kernel.network };
  }
  if (!(nic instanceof RawDevice)) return { addresses: configured, claims: null, host: null };
  // Where the kernel finds the way, all the world is on the link.
  return { addresses: configured.map((address) => `${address.slice(0, address.indexOf('/'))}/0`), claims: nic, host: null };
}

/** The address of "address/length", 4 or 16 bytes. */
export function bytesOf(address: string): Uint8Array {
  const words = new Int32Array(4);
  const bytes = new Uint8Array(16);
  parsePrefix(address, words, 0);
  putWords(bytes, 0, words, 0);
  return isMapped(words, 0) ? bytes.subarray(12) : bytes;
}

/** The capture is outermost: it shows what the stack sees. Of several TCP servers each has a file of its own. */
function decorate(device: Device, config: ServerConfig, memory: Uint8Array, clock: Clock, { index }: Share): Device {
  let decorated = device;
  if (config.fault !== null) decorated = fault(decorated, memory, faultOptions(config.fault), () => clock.now);
  if (config.pcap !== null) decorated = pcap(decorated, index === 0 ? config.pcap : `${config.pcap}.${index}`, memory, () => (performance.timeOrigin + performance.now()) * 1000);
  return decorated;
}

function faultOptions({ delayUs, ...rest }: FaultConfig): Parameters<typeof fault>[2] {
  return { ...rest, delay: delayUs };
}

/** The network interfaces of this machine as a TCP server sees them. */
import { ARPHRD_ETHER, interfaceOffloads, type Offloads } from '../nic/interfaces.js';
import { type Link, readLinks } from '../nic/links.js';
import { addressText, type InterfaceAddress, readAddresses, RouteSocket } from '../nic/route_netlink.js';

/** How an interface is used: options of `TcpServer.start`. */
export interface Use {
  readonly device: string;
  /** 'shared': the kernel's own addresses; 'own': one that the kernel does not have; 'kernel': one that it has. */
  readonly address: 'shared' | 'own' | 'kernel';
  /** It has Ethernet, so the network can give the address: 'dhcp', 'slaac'. */
  readonly network: boolean;
}

export interface DeviceEntry {
  readonly name: string;
  /** As `Link.kind`. */
  readonly kind: string;
  readonly up: boolean;
  readonly carrier: boolean;
  /** Largest IP packet, bytes. */
  readonly mtu: number;
  /** Link address; null without one. */
  readonly mac: string | null;
  /** The kernel's addresses with the lengths of their prefixes. */
  readonly addresses: readonly string[];
  readonly offloads: Offloads;
  /** Ways to use it, the best one first; none where there is none. */
  readonly uses: readonly Use[];
}

/** One interface with all that is known of it. */
export interface KnownLink {
  readonly link: Link;
  readonly addresses: readonly InterfaceAddress[];
}

export function knownLinks(): KnownLink[] {
  const socket = new RouteSocket();
  try {
    return readLinks(socket).map((link) => ({ link, addresses: readAddresses(link.index, socket) }));
  } finally {
    socket.close();
  }
}

export function listDevices(): DeviceEntry[] {
  return knownLinks().map((known) => {
    const { name, kind, up, carrier, mtu, mac } = known.link;
    const addresses = known.addresses.map(({ address, prefix }) => `${addressText(address)}/${prefix}`);
    return { name, kind, up, carrier, mtu, mac: mac.length === 6 ? macText(mac) : null, addresses, offloads: interfaceOffloads(name), uses: usesOf(known) };
  });
}

function usesOf({ link: { name, kind, hardware }, addresses }: KnownLink): Use[] {
  if (kind === 'loopback') return [];
  const uses: Use[] = [];
  if (kind === 'tap' || kind === 'tun') uses.push({ device: `${kind}:${name}`, address: 'own', network: kind === 'tap' });
  else if (hardware === ARPHRD_ETHER) uses.push({ device: `packet:${name}`, address: 'own', network: true });
  if (hardware === ARPHRD_ETHER && kind !== 'tap') uses.push({ device: `xdp:${name}`, address: 'own', network: false });
  if (hardware === ARPHRD_ETHER && kind !== 'tap' && kind !== 'macvlan') uses.push({ device: `macvlan:${name}`, address: 'own', network: true });
  if (hardware === ARPHRD_ETHER && kind !== 'tap' && addresses.length > 0) {
    for (const device of ['packet', 'xdp']) uses.push({ device: `${device}:${name}`, address: 'shared', network: false });
  }
  if (addresses.some(({ address }) => address.length === 4)) uses.push({ device: `raw:${name}`, address: 'kernel', network: false });
  return uses;
}

function macText(mac: Uint8Array): string {
  return [...mac].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
}

const ADDRESSES: Readonly<Record<Use['address'], string>> = {
  shared: "address 'shared'", own: 'with an address of its own', kernel: 'with an IPv4 address of these',
};

export function describeDevices(devices: readonly DeviceEntry[]): string {
  return devices.map(({ name, kind, up, carrier, mtu, mac, addresses, offloads, uses }) => {
    const state = up ? carrier ? 'up' : 'up, no carrier' : `down: ip link set ${name} up`;
    const can = [offloads.txChecksum && 'checksums', offloads.segmentation && 'segmentation', offloads.coalescing && 'coalescing'].filter((each) => each !== false);
    const lines = [
      `${name}: ${kind}, ${state}, MTU ${mtu}${mac === null ? '' : `, ${mac}`}`,
      `  addresses  ${addresses.join(', ') || 'none'}`,
      `  offloads   ${can.join(', ') || 'none'}`,
      ...uses.map(({ device, address, network }, i) => `  ${i === 0 ? 'use      ' : 'or       '}  '${device}', ${ADDRESSES[address]}${network ? ', or of the network (dhcp, slaac)' : ''}`),
      ...(uses.length === 0 ? ["  use        by nothing: the device 'loopback' is within the process"] : []),
    ];
    return `${lines.join('\n')}\n`;
  }).join('');
}

/** What the kernel knows of the network interfaces in the namespace of the calling thread. */
import { readFileSync } from 'node:fs';
import { readLinks } from './links.js';
import { RouteSocket } from './route_netlink.js';
import { addressOf, AF_INET, close, ioctl, SOCK_DGRAM, socket } from './syscalls.js';
import { ENETDOWN, ENODEV, EPERM, SystemError } from './system_error.js';

const SIOCGIFFLAGS = 0x8913;
const SIOCSIFFLAGS = 0x8914;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
const SIOCETHTOOL = 0x8946;
const ETHTOOL_GTXCSUM = 0x16;
const ETHTOOL_GTSO = 0x1e;
const ETHTOOL_GGRO = 0x2b;
const ETHTOOL_GCHANNELS = 0x3c;
// struct ethtool_channels, its words.
const CHANNELS_WORDS = 9;
const CHANNELS_RX = 5;
const CHANNELS_COMBINED = 8;
const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;
const IFF_UP = 1;

export const ARPHRD_ETHER = 1;

export interface InterfaceInfo {
  readonly name: string;
  readonly index: number;
  /** Administratively up. */
  readonly up: boolean;
  /** Largest IP packet in bytes. */
  readonly mtu: number;
  /** Kind of hardware address: ARPHRD_*. */
  readonly hardware: number;
  /** Six bytes, where the hardware is Ethernet. */
  readonly mac: Uint8Array;
}

/** @throws SystemError ENODEV with the interfaces that there are. */
export function interfaceInfo(name: string): InterfaceInfo {
  return asking(name, (view, ask) => {
    mustKnow(name, ask(SIOCGIFINDEX));
    const index = view.getInt32(IFNAMSIZ, true);
    mustKnow(name, ask(SIOCGIFFLAGS));
    const up = (view.getUint16(IFNAMSIZ, true) & IFF_UP) !== 0;
    mustKnow(name, ask(SIOCGIFMTU));
    const mtu = view.getInt32(IFNAMSIZ, true);
    mustKnow(name, ask(SIOCGIFHWADDR));
    const mac = new Uint8Array(view.buffer.slice(IFNAMSIZ + 2, IFNAMSIZ + 8));
    return { name, index, up, mtu, hardware: view.getUint16(IFNAMSIZ, true), mac };
  });
}

/** An interface that frames of Ethernet can be exchanged by. @throws SystemError ENODEV, ENETDOWN, with the mend. */
export function ethernetInterface(name: string): InterfaceInfo {
  const info = interfaceInfo(name);
  if (info.hardware !== ARPHRD_ETHER) throw new SystemError(ENODEV, 'ioctl', `interface "${name}" does not speak Ethernet; choose one that does`);
  if (!info.up) throw new SystemError(ENETDOWN, 'ioctl', `interface "${name}" is down; bring it up: ip link set ${name} up`);
  return info;
}

/** Receive queues of an interface: those that are in use, or all that it has where its driver does not tell. @throws as `interfaceInfo`. */
export function receiveQueues(name: string): number {
  const channels = new Uint32Array(CHANNELS_WORDS);
  channels[0] = ETHTOOL_GCHANNELS;
  const { result, index } = asking(name, (view, ask) => {
    mustKnow(name, ask(SIOCGIFINDEX));
    const index = view.getInt32(IFNAMSIZ, true);
    return { result: ask(SIOCETHTOOL, 0, channels), index };
  });
  const told = channels[CHANNELS_RX]! + channels[CHANNELS_COMBINED]!;
  if (result === 0 && told > 0) return told;
  const socket = new RouteSocket();
  try {
    return Math.max(1, readLinks(socket).find((link) => link.index === index)?.receiveQueues ?? 1);
  } finally {
    socket.close();
  }
}

/** Sets an interface administratively up. @throws SystemError ENETDOWN without CAP_NET_ADMIN, with the mend. */
export function bringUp(name: string): void {
  asking(name, (view, ask) => {
    mustKnow(name, ask(SIOCGIFFLAGS));
    const result = ask(SIOCSIFFLAGS, view.getUint16(IFNAMSIZ, true) | IFF_UP);
    if (result === 0) return;
    const mend = result === -EPERM ? 'to bring it up needs CAP_NET_ADMIN; as root' : 'it cannot be brought up here; try';
    throw new SystemError(result === -EPERM ? ENETDOWN : -result, 'ioctl', `interface "${name}" is down, and ${mend}: ip link set ${name} up`);
  });
}

/** What an interface has its hardware, or the kernel just before that, do. */
export interface Offloads {
  /** It fills in checksums of what is sent. */
  readonly txChecksum: boolean;
  /** It cuts large segments of TCP. */
  readonly segmentation: boolean;
  /** Segments that arrive are coalesced. */
  readonly coalescing: boolean;
}

/** @throws as `interfaceInfo`. */
export function interfaceOffloads(name: string): Offloads {
  return asking(name, (_view, ask) => {
    const value = new Uint32Array(2); // struct ethtool_value
    const has = (command: number): boolean => {
      value[0] = command;
      value[1] = 0;
      return ask(SIOCETHTOOL, 0, value) === 0 && value[1] !== 0;
    };
    mustKnow(name, ask(SIOCGIFINDEX));
    return { txChecksum: has(ETHTOOL_GTXCSUM), segmentation: has(ETHTOOL_GTSO), coalescing: has(ETHTOOL_GGRO) };
  });
}

/** One request about an interface: 0 or -errno, the answer in the `ifreq` behind the view. @param flags for SIOCSIFFLAGS. @param data for SIOCETHTOOL. */
type Ask = (what: number, flags?: number, data?: ArrayBufferView) => number;

function asking<T>(name: string, task: (view: DataView, ask: Ask) => T): T {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length >= IFNAMSIZ) throw noSuchInterface(name, ENODEV);
  const fd = socket(AF_INET, SOCK_DGRAM, 0, 'cannot open a socket to ask about interfaces');
  try {
    const request = new Uint8Array(IFREQ_BYTES);
    const view = new DataView(request.buffer);
    return task(view, (what, flags = 0, data) => {
      request.fill(0);
      request.set(encoded);
      view.setUint16(IFNAMSIZ, flags, true);
      if (data !== undefined) view.setBigUint64(IFNAMSIZ, BigInt(addressOf(data)), true);
      return ioctl(fd, what, request);
    });
  } finally {
    close(fd);
  }
}

function mustKnow(name: string, result: number): void {
  if (result < 0) throw noSuchInterface(name, -result);
}

/** Names of the interfaces. */
export function listInterfaces(): string[] {
  // Not /proc/net: that is the namespace of the process's main thread.
  const table = readFileSync('/proc/thread-self/net/dev', 'utf8');
  return table.split('\n').slice(2).map((line) => line.slice(0, line.indexOf(':')).trim()).filter((name) => name !== '');
}

function noSuchInterface(name: string, errno: number): SystemError {
  if (errno !== ENODEV) return new SystemError(errno, 'ioctl', `cannot ask the kernel about interface "${name}"`);
  return new SystemError(errno, 'ioctl', `there is no interface "${name}" here; there is ${listInterfaces().join(', ') || 'none'}`);
}

/** What the kernel knows of the network interfaces in the namespace of the calling thread. */
import { readFileSync } from 'node:fs';
import { AF_INET, close, ioctl, SOCK_DGRAM, socket } from './syscalls.js';
import { ENODEV, SystemError } from './system_error.js';

const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCGIFINDEX = 0x8933;
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
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length >= IFNAMSIZ) throw noSuchInterface(name, ENODEV);
  const fd = socket(AF_INET, SOCK_DGRAM, 0, 'cannot open a socket to ask about interfaces');
  try {
    const request = new Uint8Array(IFREQ_BYTES);
    const view = new DataView(request.buffer);
    const ask = (what: number): void => {
      request.fill(0);
      request.set(encoded);
      const result = ioctl(fd, what, request);
      if (result < 0) throw noSuchInterface(name, -result);
    };
    ask(SIOCGIFINDEX);
    const index = view.getInt32(IFNAMSIZ, true);
    ask(SIOCGIFFLAGS);
    const up = (view.getUint16(IFNAMSIZ, true) & IFF_UP) !== 0;
    ask(SIOCGIFMTU);
    const mtu = view.getInt32(IFNAMSIZ, true);
    ask(SIOCGIFHWADDR);
    return { name, index, up, mtu, hardware: view.getUint16(IFNAMSIZ, true), mac: request.slice(IFNAMSIZ + 2, IFNAMSIZ + 8) };
  } finally {
    close(fd);
  }
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

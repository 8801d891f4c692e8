/**
 * Names that a process holds against all others of its network namespace: abstract UNIX sockets, of which the kernel has one list for each
 * namespace. However the process ends, they go with it.
 */
import { AF_UNIX, bind, close, SOCK_DGRAM, socket } from './syscalls.js';
import { EADDRINUSE } from './system_error.js';
import type { SystemError } from './system_error.js';

/**
 * Holds a name in the namespace of the calling thread, until the descriptor is closed.
 *
 * @param name fewer than 96 bytes. @returns the descriptor; null where somebody holds it already. @throws SystemError ENOBUFS, EMFILE and the like.
 */
export function holdName(name: string): number | null {
  const path = new TextEncoder().encode(`\0tcp-offload ${name}`);
  const address = new Uint8Array(2 + path.length);
  new DataView(address.buffer).setUint16(0, AF_UNIX, true);
  address.set(path, 2);
  const fd = socket(AF_UNIX, SOCK_DGRAM, 0, `cannot open a socket to hold ${name}`);
  try {
    bind(fd, address, `${name} is held by another`);
    return fd;
  } catch (error) {
    close(fd);
    if ((error as SystemError).errno !== -EADDRINUSE) throw error;
    return null;
  }
}

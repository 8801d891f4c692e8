/**
 * The TCP ports of an address of the kernel's that are another TCP's: each is held by a socket of the kernel that does nothing, so that no
 * program gets it meanwhile, and the kernel's resets from it are kept from the wire.
 */
import { inNamespace } from './netns.js';
import { ResetFilter } from './reset_filter.js';
import { AF_INET, bind, close, SOCK_STREAM, socket } from './syscalls.js';
import { EADDRNOTAVAIL, SystemError } from './system_error.js';

const PORTS = 65536;
const NONE = -1;

export class OwnPorts {
  readonly #address: Uint8Array;
  readonly #netns: string | null;
  readonly #filter: ResetFilter;
  /** Descriptor of the socket that holds each port. */
  readonly #holders = new Int32Array(PORTS).fill(NONE);

  /**
   * @param address of IPv4, one of the kernel's. @param mark as `ResetFilter` has it.
   * @param netns the namespace of the address, which the calling thread is in now and need not be later; null: the thread's own.
   * @throws SystemError EADDRNOTAVAIL where the kernel does not have it, and as `ResetFilter`.
   */
  constructor(address: Uint8Array, mark: number, netns: string | null) {
    this.#address = address;
    this.#netns = netns;
    const probe = this.#hold(0);
    if (probe >= 0) close(probe);
    else if (probe === -EADDRNOTAVAIL) {
      const text = address.join('.');
      throw new SystemError(EADDRNOTAVAIL, 'bind', `a raw device wants an address that the kernel has, which ${text} is not; give it one: ip address add ${text}/LENGTH dev IFNAME`);
    }
    this.#filter = new ResetFilter(address, mark);
  }

  has(port: number): boolean {
    return this.#holders[port] !== NONE;
  }

  /** Takes a port. Returns 0, or -errno: EADDRINUSE where a program of the kernel's has it. */
  claim(port: number): number {
    const holder = this.#hold(port);
    if (holder < 0) return holder;
    const result = this.#filter.add(port);
    if (result < 0) {
      close(holder);
      return result;
    }
    this.#holders[port] = holder;
    return 0;
  }

  release(port: number): void {
    if (!this.has(port)) return;
    this.#filter.remove(port);
    close(this.#holders[port]!);
    this.#holders[port] = NONE;
  }

  close(): void {
    for (let port = 0; port < PORTS; port++) this.release(port);
    this.#filter.close();
  }

  /** Descriptor of a socket that holds the port, or -errno. */
  #hold(port: number): number {
    try {
      return this.#netns === null ? openHolder(this.#address, port) : inNamespace(this.#netns, () => openHolder(this.#address, port));
    } catch (error) {
      return (error as SystemError).errno;
    }
  }
}

/** A socket that is bound to the port, not to be shared, and neither listens nor connects. */
function openHolder(address: Uint8Array, port: number): number {
  const local = new Uint8Array(16);
  new DataView(local.buffer).setUint16(0, AF_INET, true);
  new DataView(local.buffer).setUint16(2, port);
  local.set(address, 4);
  const fd = socket(AF_INET, SOCK_STREAM, 0, 'cannot hold a port');
  try {
    bind(fd, local, 'cannot hold a port');
    return fd;
  } catch (error) {
    close(fd);
    throw error;
  }
}

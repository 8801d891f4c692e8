/**
 * The TCP ports of addresses of the kernel's that are another TCP's: each is held by sockets of the kernel that do nothing, so that no
 * program gets it meanwhile, and a filter keeps the kernel's TCP out of what is exchanged by it.
 */
import { inNamespace } from './netns.js';
import { AF_INET, AF_INET6, bind, close, SOCK_STREAM, socket } from './syscalls.js';
import type { SystemError } from './system_error.js';

const PORTS = 65536;
const NONE = -1;
/** Where sockaddr_in6 names the interface of a link-local address. */
const SCOPE_AT = 24;

/** Where the ports in use are known. */
export interface PortFilter {
  /** Returns 0 or -errno. */
  add(port: number): number;
  remove(port: number): number;
  close(): void;
}

export class OwnPorts {
  readonly #addresses: readonly Uint8Array[];
  readonly #index: number;
  readonly #netns: string | null;
  readonly #filter: PortFilter;
  /** Descriptors of the sockets that hold each port, one for each address. */
  readonly #holders: Int32Array;

  /**
   * @param addresses of the kernel's, 4 or 16 bytes each. @param index of their interface. @param filter is closed with this.
   * @param netns the namespace of the addresses; null: that of the calling thread.
   */
  constructor(addresses: readonly Uint8Array[], index: number, filter: PortFilter, netns: string | null) {
    this.#addresses = addresses;
    this.#index = index;
    this.#filter = filter;
    this.#netns = netns;
    this.#holders = new Int32Array(PORTS * addresses.length).fill(NONE);
  }

  has(port: number): boolean {
    return this.#holders[port * this.#addresses.length] !== NONE;
  }

  /** Takes a port. Returns 0, or -errno: EADDRINUSE where a program of the kernel's has it. */
  claim(port: number): number {
    const at = port * this.#addresses.length;
    try {
      const holders = this.#netns === null ? this.#hold(port) : inNamespace(this.#netns, () => this.#hold(port));
      this.#holders.set(holders, at);
    } catch (error) {
      return (error as SystemError).errno;
    }
    const result = this.#filter.add(port);
    if (result < 0) this.#letGo(at);
    return result;
  }

  #hold(port: number): number[] {
    return hold(this.#addresses, this.#index, port);
  }

  release(port: number): void {
    if (!this.has(port)) return;
    this.#filter.remove(port);
    this.#letGo(port * this.#addresses.length);
  }

  #letGo(at: number): void {
    for (let i = at; i < at + this.#addresses.length; i++) {
      close(this.#holders[i]!);
      this.#holders[i] = NONE;
    }
  }

  close(): void {
    for (let port = 0; port < PORTS; port++) this.release(port);
    this.#filter.close();
  }
}

/** Sockets that are bound to the port on each address, not to be shared, and neither listen nor connect. @throws SystemError where one is taken. */
export function hold(addresses: readonly Uint8Array[], index: number, port: number): number[] {
  const holders: number[] = [];
  try {
    for (const address of addresses) {
      const fd = socket(address.length === 4 ? AF_INET : AF_INET6, SOCK_STREAM, 0, 'cannot hold a port');
      holders.push(fd);
      bind(fd, socketAddress(address, port, index), 'cannot hold a port');
    }
    return holders;
  } catch (error) {
    holders.forEach(close);
    throw error;
  }
}

/** sockaddr_in or sockaddr_in6. */
function socketAddress(address: Uint8Array, port: number, index: number): Uint8Array {
  const isFour = address.length === 4;
  const bytes = new Uint8Array(isFour ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, isFour ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(address, isFour ? 4 : 8);
  if (!isFour && address[0] === 0xfe && (address[1]! & 0xc0) === 0x80) view.setUint32(SCOPE_AT, index, true);
  return bytes;
}

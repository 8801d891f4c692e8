/**
 * Addresses on an interface that are a TCP server's alone. Two TCP servers with one address on one link take each other for the peers of their
 * own connections and reset them, and as they have one link address, too, neither finds it out by asking the link (RFC 5227, RFC 4862 5.4).
 */
import { holdName } from './held_names.js';
import { inNamespace } from './netns.js';
import { close } from './syscalls.js';
import { EADDRINUSE, SystemError } from './system_error.js';

export class OwnAddresses {
  readonly #holders: number[] = [];

  /**
   * @param interfaceName interface in `netns`; null: in the network namespace of the calling thread. @param addresses as text, without prefix.
   * @throws SystemError EADDRINUSE where another TCP server, of whatever process, has one of them there.
   */
  constructor(interfaceName: string, addresses: readonly string[], netns: string | null) {
    try {
      const hold = (): void => addresses.forEach((address) => this.#hold(interfaceName, address));
      if (netns === null) hold();
      else inNamespace(netns, hold);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  #hold(interfaceName: string, address: string): void {
    const holder = holdName(`${interfaceName} ${address}`);
    if (holder !== null) {
      this.#holders.push(holder);
      return;
    }
    const mend = 'give this one another address. A process that was forked from one with a TCP server has the same environment: let its own say ' +
      'TCP_OFFLOAD_ADDRESS, or TCP_OFFLOAD_LISTEN=none and TCP_OFFLOAD_CONNECT=none for the TCP of the kernel; or have worker threads in place of processes';
    throw new SystemError(EADDRINUSE, 'bind', `another TCP server on the interface "${interfaceName}" has the address ${address}; ${mend}`);
  }

  /** Gives them up. */
  close(): void {
    for (const holder of this.#holders.splice(0)) close(holder);
  }
}

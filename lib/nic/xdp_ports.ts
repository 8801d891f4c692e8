/** The maps of the program of xdp_port_program.ts: which ports are ours, and which fragments. */
import { createByteMap, createForgetfulMap, setEntry } from './bpf.js';
import type { PortFilter } from './own_ports.js';
import { close } from './syscalls.js';
import { FRAGMENT_KEY, PORT_KEYS, portKey } from './xdp_port_program.js';

/** Packets in fragments that are remembered; the kernel hands them out to CPUs by the hundred. */
const FRAGMENTED_MOST = 4096;
const OURS = Uint8Array.of(1);
const OF_KERNEL = Uint8Array.of(0);

export class XdpPorts implements PortFilter {
  /** Descriptors, for the program. */
  readonly ports: number;
  readonly fragments: number;
  #open = true;

  /** @throws SystemError EPERM without CAP_BPF, and the like. */
  constructor() {
    this.ports = createByteMap(PORT_KEYS);
    try {
      this.fragments = createForgetfulMap(FRAGMENT_KEY, FRAGMENTED_MOST);
    } catch (error) {
      close(this.ports);
      throw error;
    }
  }

  add(port: number): number {
    return setEntry(this.ports, portKey(port), OURS);
  }

  remove(port: number): number {
    return setEntry(this.ports, portKey(port), OF_KERNEL);
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    close(this.fragments);
    close(this.ports);
  }
}

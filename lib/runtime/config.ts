/** What a TCP server is started with, checked and filled in already (lib/options.ts), as its thread receives it. */
import type { StackLimits } from '../tcp/limits.js';
import type { LayoutSizes } from './layout.js';

/** Impairments for tests: each a probability from 0 to 1, see lib/nic/fault.ts. */
export interface FaultConfig {
  readonly loss: number;
  readonly delayUs: number;
  readonly reorder: number;
  readonly duplicate: number;
  readonly corrupt: number;
  /** Bits a second; 0: unlimited. */
  readonly rate: number;
  readonly seed: number;
}

/** Stand among the addresses for those that come from the network. */
export const DHCP = 'dhcp';
export const SLAAC = 'slaac';

/** Those that do not. */
export function fixedAddresses(addresses: readonly string[]): string[] {
  return addresses.filter((address) => address !== DHCP && address !== SLAAC);
}

export interface ServerConfig {
  /** As `openDevice` (lib/nic/open.ts) takes it. */
  readonly device: string;
  /** Network namespace that the device is in; null: that of the process. */
  readonly netns: string | null;
  /** Own addresses with the lengths of their prefixes, DHCP and SLAAC; none on the loopback device alone, and where they are the kernel's. */
  readonly addresses: readonly string[];
  /** The addresses are those that the kernel has on the interface, which it keeps. */
  readonly beside: boolean;
  /** Routers, one for each family at most. */
  readonly gateways: readonly string[];
  /** The IPv4 address that is configured is probed for before it is used. */
  readonly probeAddress: boolean;
  /** How long to wait for addresses that come from the network, µs. */
  readonly addressTimeoutUs: number;
  /** Client identifier of DHCP; null: by the link address. */
  readonly clientId: string | null;
  /** What interface identifiers are derived from; null: the machine's identity. */
  readonly addressSecret: string | null;
  /** The thread that runs it: one of its own, or the app's; 'auto': by the policy of placement.ts. */
  readonly thread: 'own' | 'app' | 'auto';
  /** TCP servers that have the addresses, each a part of the connections. */
  readonly servers: number;
  /** CPU to pin the TCP server to, or those that it, or several of them, may run on; 'auto': by the policy of placement.ts; null: not pinned. */
  readonly cpu: number | readonly number[] | 'auto' | null;
  /** µs to look for work before sleeping; 'auto': by the policy. */
  readonly spinUs: number | 'auto';
  readonly sizes: LayoutSizes;
  /** Bytes of one flow that may wait in the send buffer. */
  readonly sendBuffer: number;
  /** Settings of TCP, complete; the receive buffer among them. */
  readonly tcp: StackLimits;
  readonly pcap: string | null;
  readonly fault: FaultConfig | null;
}

/** What app threads need to find their TCP server: it passes between threads by structured clone. */
export interface ServerHandle {
  /** Shared with the first TCP server: also where app threads sleep, whichever of them wakes them. */
  readonly memory: SharedArrayBuffer;
  /** Shared with the others, where there are several. */
  readonly others: readonly SharedArrayBuffer[];
  /** By which connections are theirs, see lib/tcp/share.ts. */
  readonly key: number;
  readonly sizes: LayoutSizes;
  readonly sendBuffer: number;
}

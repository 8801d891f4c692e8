/** Opens what the TCP server is configured with: the NIC, the decorators around it, and the loopback beside it. */
import { performance } from 'node:perf_hooks';
import type { Device, DeviceMemory } from '../nic/device.js';
import { fault } from '../nic/fault.js';
import { LoopbackDevice } from '../nic/loopback.js';
import { deviceMemory } from '../nic/memory.js';
import type { Alias } from '../nic/memory.js';
import { openDevice } from '../nic/open.js';
import { pcap } from '../nic/pcap.js';
import { RawDevice } from '../nic/raw.js';
import type { PortClaims } from '../tcp/port_uses.js';
import { isMapped, parsePrefix } from '../tcp/wire/address.js';
import { putWords } from '../tcp/wire/bytes.js';
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
}

/**
 * @param clock µs, for the faults.
 * @throws SystemError where the system refuses the device, with the mend.
 */
export function openInterfaces(config: ServerConfig, layout: Layout, plain: Alias, shared: SharedArrayBuffer, clock: () => number): OpenInterface[] {
  const memory = plain.bytes;
  const loopbackAt = layout.byteLength - LOOPBACK_BYTES;
  const loopback = new LoopbackDevice(deviceMemory(plain, loopbackAt, LOOPBACK_BYTES));
  const own = { memory, addresses: LOOPBACK_ADDRESSES, gateways: [], claims: null };
  if (config.device === 'loopback') return [{ device: decorate(loopback, config, memory, clock), ...own }];
  const region: DeviceMemory = deviceMemory(plain, layout.deviceBase, loopbackAt - layout.deviceBase);
  const nic = openDevice(config.device, region, shared, { filterAddresses: config.addresses.map(bytesOf), netns: config.netns });
  const { gateways } = config;
  const claims = nic instanceof RawDevice ? nic : null;
  // Where the kernel finds the way, all the world is on the link.
  const addresses = claims === null ? config.addresses : config.addresses.map((address) => `${address.slice(0, address.indexOf('/'))}/0`);
  try {
    return [
      { device: decorate(nic, config, memory, clock), memory, addresses, gateways, claims },
      { device: loopback, ...own },
    ];
  } catch (error) {
    nic.close();
    throw error;
  }
}

/** The address of "address/length", 4 or 16 bytes. */
function bytesOf(address: string): Uint8Array {
  const words = new Int32Array(4);
  const bytes = new Uint8Array(16);
  parsePrefix(address, words, 0);
  putWords(bytes, 0, words, 0);
  return isMapped(words, 0) ? bytes.subarray(12) : bytes;
}

/** The capture is outermost: it shows what the stack sees. */
function decorate(device: Device, config: ServerConfig, memory: Uint8Array, clock: () => number): Device {
  let decorated = device;
  if (config.fault !== null) decorated = fault(decorated, memory, faultOptions(config.fault), clock);
  if (config.pcap !== null) decorated = pcap(decorated, config.pcap, memory, () => (performance.timeOrigin + performance.now()) * 1000);
  return decorated;
}

function faultOptions({ delayUs, ...rest }: FaultConfig): Parameters<typeof fault>[2] {
  return { ...rest, delay: delayUs };
}

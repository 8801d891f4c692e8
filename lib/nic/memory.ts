/**
 * Plain aliases of shared memory. V8 copies SharedArrayBuffers word by word; over an ArrayBuffer on the same bytes it
 * uses `memmove`, three times as fast. An alias also has an address to hand to the kernel.
 */
import type { DeviceMemory } from './device.js';
import { addressOf, PAGE_SIZE, viewMemory } from './syscalls.js';

export interface Alias {
  /** The same bytes as the shared buffer. */
  readonly bytes: Uint8Array;
  /** Address of `bytes[0]`. */
  readonly address: bigint;
}

// An alias does not keep its memory alive by itself, and the collector would unmap it underfoot.
const owners = new WeakMap<ArrayBuffer, SharedArrayBuffer>();

/** A plain alias of the whole buffer, for the calling thread. The buffer lives for as long as the alias does. */
export function alias(shared: SharedArrayBuffer): Alias {
  const address = BigInt(addressOf(new Uint8Array(shared)));
  const buffer = viewMemory(address, shared.byteLength);
  owners.set(buffer, shared);
  return { bytes: new Uint8Array(buffer), address };
}

/**
 * Describes the memory to a device.
 *
 * @param from first byte of the region that the device may use; the region begins at the first page boundary after it.
 * @param length bytes from `from`; what the alignment leaves (at most one page less) in whole pages is the region's.
 */
export function deviceMemory(memory: Alias, from: number, length: number): DeviceMemory {
  const regionOffset = pageAlign(memory.address, from);
  const regionLength = Math.floor((from + length - regionOffset) / PAGE_SIZE) * PAGE_SIZE;
  if (regionLength <= 0 || from + length > memory.bytes.length) throw new RangeError('no room for the region of the device');
  return { bytes: memory.bytes, address: memory.address, regionOffset, regionLength };
}

/** The first offset at or after `offset` whose address (`address` + offset) begins a page. A buffer itself need not begin a page. */
export function pageAlign(address: bigint, offset: number): number {
  const rest = (Number(address) + offset) % PAGE_SIZE;
  return rest === 0 ? offset : offset + PAGE_SIZE - rest;
}

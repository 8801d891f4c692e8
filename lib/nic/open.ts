/** Opens a device by its name. */
import { AfPacketDevice, type AfPacketOptions } from './af_packet.js';
import type { Device, DeviceMemory } from './device.js';
import { ExchangeDevice } from './exchange.js';
import { LoopbackDevice } from './loopback.js';
import { inNamespace } from './netns.js';

export interface OpenOptions extends AfPacketOptions {
  /** Network namespace of the interface: a name as in `ip netns`, or a path. The calling thread does not stay in it. Default: its own. */
  readonly netns?: string | null;
}

const PACKET = 'packet:';

/**
 * @param spec 'loopback' or 'packet:INTERFACE'; 'exchange' for test tools (exchange.ts).
 * @param memory the memory for payload and for the device.
 * @param shared the buffer that `memory` is an alias of.
 * @throws TypeError for a spec that names no device, SystemError where the system refuses.
 */
export function openDevice(spec: string, memory: DeviceMemory, shared: SharedArrayBuffer, options: OpenOptions = {}): Device {
  if (spec === 'loopback') return new LoopbackDevice(memory);
  if (spec === 'exchange') return new ExchangeDevice(memory, shared);
  if (spec.startsWith(PACKET) && spec.length > PACKET.length) {
    const open = (): Device => new AfPacketDevice(spec.slice(PACKET.length), memory, shared, options);
    return options.netns === undefined || options.netns === null ? open() : inNamespace(options.netns, open);
  }
  throw new TypeError(`device is 'loopback' or 'packet:INTERFACE', such as 'packet:eth0'; it is '${spec}'`);
}

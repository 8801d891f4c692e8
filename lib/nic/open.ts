/** Opens a device by its name. */
import { AfPacketDevice, type AfPacketOptions } from './af_packet.js';
import type { Device, DeviceMemory } from './device.js';
import { ExchangeDevice } from './exchange.js';
import { LoopbackDevice } from './loopback.js';
import { inNamespace } from './netns.js';
import { TunDevice, type TunOptions } from './tun.js';
import type { TunMode } from './tun_interface.js';

export interface OpenOptions extends AfPacketOptions, TunOptions {
  /** Network namespace of the interface: a name as in `ip netns`, or a path. The calling thread does not stay in it. */
  readonly netns?: string;
}

/**
 * @param spec 'loopback', 'packet:INTERFACE', 'tap:INTERFACE' or 'tun:INTERFACE'; 'exchange' for test tools (exchange.ts).
 * @param memory the memory for payload and for the device.
 * @param shared the buffer that `memory` is an alias of.
 * @throws TypeError for a spec that names no device, SystemError where the system refuses.
 */
export function openDevice(spec: string, memory: DeviceMemory, shared: SharedArrayBuffer, options: OpenOptions = {}): Device {
  if (spec === 'loopback') return new LoopbackDevice(memory);
  if (spec === 'exchange') return new ExchangeDevice(memory, shared);
  const [, kind, name] = /^(packet|tap|tun):(.+)$/.exec(spec) ?? [];
  if (kind === undefined || name === undefined) {
    throw new TypeError(`device is 'loopback', or 'packet:', 'tap:' or 'tun:' and the name of an interface, such as 'packet:eth0'; it is '${spec}'`);
  }
  const open = (): Device => kind === 'packet' ? new AfPacketDevice(name, memory, shared, options) : new TunDevice(kind as TunMode, name, memory, options);
  return options.netns === undefined ? open() : inNamespace(options.netns, open);
}

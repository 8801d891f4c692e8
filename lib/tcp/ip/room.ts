import type { Device } from '../../nic/device.js';

/** Room for a frame: flushes the device's batch once where it is full. -1 where there is still none. */
export function room(device: Device): number {
  const at = device.reserve();
  if (at >= 0) return at;
  device.flush();
  return device.reserve();
}

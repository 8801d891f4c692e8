/** What the tests of devices share: memory, sinks that keep what they get, and networks of namespaces. */
import { execFileSync } from 'node:child_process';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { AfPacketDevice, type AfPacketOptions } from '../../lib/nic/af_packet.js';
import { DEVICE_REGION_LENGTH, type Device, type DeviceMemory, type FrameSink } from '../../lib/nic/device.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { inNamespace } from '../../lib/nic/netns.js';

export const isRoot = process.getuid?.() === 0;
/** For the options of a test that makes namespaces. */
export const needsRoot = isRoot ? {} : { skip: 'needs root' };

/** Bytes of payload memory before the device region. */
export const PAYLOAD_BYTES = 1 << 20;

export function newMemory(regionLength = DEVICE_REGION_LENGTH): { shared: SharedArrayBuffer; memory: DeviceMemory } {
  const shared = new SharedArrayBuffer(PAYLOAD_BYTES + regionLength + 65536);
  return { shared, memory: deviceMemory(alias(shared), PAYLOAD_BYTES, regionLength + 65536) };
}

export interface Captured {
  bytes: Buffer;
  flags: number;
  segmentSize: number;
}

/** Copies every frame it is lent. */
export class Collector implements FrameSink {
  readonly frames: Captured[] = [];

  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    this.frames.push({ bytes: Buffer.from(bytes.subarray(offset, offset + length)), flags, segmentSize });
  }
}

/** Takes everything that waits in a device. */
export function drainDevice(device: Device): Captured[] {
  const collector = new Collector();
  while (device.receive(collector, 64) > 0);
  return collector.frames;
}

/** Writes one frame into the device; it leaves with the next flush. */
export function sendFrame(device: Device, bytes: Uint8Array, spans: [offset: number, length: number][] = [], checksumStart = 0, segmentSize = 0): boolean {
  const at = device.reserve();
  if (at < 0) return false;
  device.tx.set(bytes, at);
  for (const [offset, length] of spans) device.append(offset, length);
  device.commit(bytes.length, checksumStart, segmentSize);
  return true;
}

/** Bytes that differ from frame to frame and from place to place. */
export function pattern(length: number, seed: number): Uint8Array {
  const bytes = new Uint8Array(length);
  let state = (seed + 1) * 2654435761;
  for (let i = 0; i < length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    bytes[i] = state >>> 24;
  }
  return bytes;
}

/** Has V8 collect all garbage at once, and end the incremental marking that it is at. */
export function collectGarbage(): void {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
}

/** Polls a device until `done` says so; fails the test by throwing after `limit` ms. */
export async function until(done: () => boolean, limit = 10_000): Promise<void> {
  const end = performance.now() + limit;
  while (!done()) {
    if (performance.now() > end) throw new Error('it did not happen in time');
    await new Promise((resolve) => setTimeout(resolve, 1));
  }
}

/** Two namespaces joined by a veth pair: `left` has the interface OWN, `right` the interface PEER with a kernel address. */
export interface VethNetwork {
  readonly left: string;
  readonly right: string;
  readonly leftMac: string;
  readonly rightMac: string;
  ip(namespace: string, ...args: string[]): string;
  remove(): void;
}

/** Names of the two ends. */
export const OWN = 'own0';
export const PEER = 'peer0';
export const KERNEL_ADDRESS = '198.18.77.1';
export const OWN_ADDRESS = '198.18.77.2';

let networks = 0;

/** One namespace, without interfaces that are up and without IPv6. */
export interface Namespace {
  readonly name: string;
  ip(...args: string[]): string;
  remove(): void;
}

export function newNamespace(): Namespace {
  const name = `nic${process.pid}-${networks++}`;
  execFileSync('ip', ['netns', 'add', name]);
  disableIPv6(name);
  return {
    name,
    ip: (...args) => execFileSync('ip', ['-n', name, ...args], { encoding: 'utf8', stdio: 'pipe' }),
    remove: () => execFileSync('ip', ['netns', 'del', name]),
  };
}

/** No router solicitations and the like between the frames of a test. */
function disableIPv6(namespace: string): void {
  execFileSync('ip', ['netns', 'exec', namespace, 'sh', '-c', 'echo 1 > /proc/sys/net/ipv6/conf/all/disable_ipv6; echo 1 > /proc/sys/net/ipv6/conf/default/disable_ipv6']);
}

/** @param queues of each end. */
export function vethNetwork(queues = 1): VethNetwork {
  const id = `nic${process.pid}-${networks++}`;
  const left = `${id}l`;
  const right = `${id}r`;
  const ip = (namespace: string, ...args: string[]): string => execFileSync('ip', ['-n', namespace, ...args], { encoding: 'utf8' });
  const remove = (): void => {
    for (const name of [left, right]) {
      try {
        execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
      } catch {
        // it was not made
      }
    }
  };
  try {
    execFileSync('ip', ['netns', 'add', left]);
    execFileSync('ip', ['netns', 'add', right]);
    const queued = queues === 1 ? [] : ['numrxqueues', String(queues), 'numtxqueues', String(queues)];
    execFileSync('ip', ['-n', left, 'link', 'add', 'name', OWN, ...queued, 'type', 'veth', 'peer', 'name', PEER, ...queued, 'netns', right]);
    for (const name of [left, right]) disableIPv6(name);
    ip(left, 'link', 'set', OWN, 'up');
    ip(right, 'addr', 'add', `${KERNEL_ADDRESS}/24`, 'dev', PEER);
    ip(right, 'link', 'set', PEER, 'up');
    const macOf = (namespace: string, name: string): string => JSON.parse(ip(namespace, '-j', 'link', 'show', name))[0].address;
    const leftMac = macOf(left, OWN);
    ip(right, 'neigh', 'replace', OWN_ADDRESS, 'lladdr', leftMac, 'dev', PEER);
    return { left, right, leftMac, rightMac: macOf(right, PEER), ip, remove };
  } catch (error) {
    remove();
    throw error;
  }
}

export interface Teardown {
  teardown(task: () => void): unknown;
}

/** A packet socket on one end of the pair. */
export interface End {
  device: AfPacketDevice;
  memory: DeviceMemory;
}

export function openEnd(test: Teardown, namespace: string, name: string, options: AfPacketOptions = {}): End {
  const { shared, memory } = newMemory();
  const device = inNamespace(namespace, () => new AfPacketDevice(name, memory, shared, options));
  test.teardown(() => device.close());
  return { device, memory };
}

/** As `vethNetwork`, for as long as the test runs. */
export function network(test: Teardown, queues = 1): VethNetwork {
  const made = vethNetwork(queues);
  test.teardown(made.remove);
  return made;
}

export function macBytes(text: string): number[] {
  return text.split(':').map((byte) => Number.parseInt(byte, 16));
}

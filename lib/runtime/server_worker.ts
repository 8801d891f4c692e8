/**
 * Entry of the TCP server's thread: takes its place, opens its devices, builds the stack on the shared memory, says that it
 * is there, and stays in the loop until it is stopped.
 */
import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { alias, deviceMemory } from '../nic/memory.js';
import type { Device, DeviceMemory } from '../nic/device.js';
import { enterNamespace } from '../nic/netns.js';
import { openDevice } from '../nic/open.js';
import { eventfd, gettid } from '../nic/syscalls.js';
import { Stack } from '../tcp/stack.js';
import type { ServerConfig } from './config.js';
import { CTRL_CPU, CTRL_EVENTFD, CTRL_STATE, CTRL_TID, Layout, STATE_DEAD, STATE_RUNNING } from './layout.js';
import { place } from './placement.js';
import { randomWords } from './random.js';
import { ServerApps } from './server_apps.js';
import { clock, ServerLoop } from './server_loop.js';
import { ServerPayload } from './server_payload.js';

export interface ServerWorkerData {
  readonly memory: SharedArrayBuffer;
  readonly config: ServerConfig;
}

const { memory, config } = workerData as ServerWorkerData;
const words = new Int32Array(memory);
try {
  serve();
} finally {
  Atomics.store(words, CTRL_STATE, STATE_DEAD);
  Atomics.notify(words, CTRL_STATE);
}

function serve(): void {
  const layout = new Layout(config.sizes);
  const plain = alias(memory);
  const placement = place(config.cpu, config.spinUs);
  if (config.netns !== null) enterNamespace(config.netns);
  const device = openDevices(deviceMemory(plain, layout.deviceBase, layout.byteLength - layout.deviceBase));
  const payload = new ServerPayload(layout, words, plain.bytes);
  const stack = new Stack({
    words,
    tcbBase: layout.tcbBase,
    maxFlows: layout.sizes.maxFlows,
    payload,
    interfaces: device.map((each) => ({ ...each, memory: plain.bytes })),
    random: randomWords(),
    secret: randomBytes(16),
    now: clock(),
    limits: { receiveBuffer: config.receiveBuffer },
  });
  const apps = new ServerApps(layout, words, stack, payload);
  const doorbell = device.some((each) => each.device.fd >= 0) ? eventfd() : -1;
  words[CTRL_EVENTFD] = doorbell;
  words[CTRL_TID] = gettid();
  words[CTRL_CPU] = placement.cpu;
  Atomics.store(words, CTRL_STATE, STATE_RUNNING);
  parentPort?.postMessage('running');
  const descriptors = doorbell < 0 ? [] : [doorbell, ...device.map((each) => each.device.fd).filter((fd) => fd >= 0)];
  new ServerLoop(words, stack, apps, { descriptors, spinUs: placement.spinUs, deviceEvent: () => Infinity }).run();
  for (const each of device) each.device.close();
}

/** The device asked for, and the loopback device beside it for the host's own addresses. */
function openDevices(memory: DeviceMemory): { device: Device; address: string; prefix: number; gateway: string | null }[] {
  throw new Error(String(memory.regionLength) + String(openDevice));
}

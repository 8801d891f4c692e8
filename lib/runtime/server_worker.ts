/**
 * Entry of the TCP server's thread: takes its place, opens its devices, builds the stack on the shared memory, says that it
 * is there, and stays in the loop until it is stopped.
 */
import { randomBytes } from 'node:crypto';
import { parentPort, workerData } from 'node:worker_threads';
import { alias } from '../nic/memory.js';
import { enterNamespace } from '../nic/netns.js';
import { SystemError } from '../nic/system_error.js';
import { eventfd, gettid, Poller } from '../nic/syscalls.js';
import { EADDRINUSE } from '../tcp/errno.js';
import { Stack } from '../tcp/stack.js';
import { STATS_LENGTH } from '../tcp/stats.js';
import type { ServerConfig } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { CTRL_COUNTERS, CTRL_CPU, CTRL_EVENTFD, CTRL_STATE, CTRL_TID, Layout, STATE_DEAD, STATE_RUNNING } from './layout.js';
import { place } from './placement.js';
import type { Placement } from './placement.js';
import { randomWords } from './random.js';
import { ServerApps } from './server_apps.js';
import { openInterfaces } from './server_devices.js';
import type { OpenInterface } from './server_devices.js';
import { clock, ServerLoop } from './server_loop.js';
import { ServerPayload } from './server_payload.js';

export interface ServerWorkerData {
  readonly memory: SharedArrayBuffer;
  readonly config: ServerConfig;
}

/** Frames taken between two looks at the clock, while addresses are not settled. */
const SETTLING_FRAMES = 256;

const { memory, config } = workerData as ServerWorkerData;
const words = new Int32Array(memory);
try {
  serve();
} finally {
  Atomics.store(words, CTRL_STATE, STATE_DEAD);
  Atomics.notify(words, CTRL_STATE);
  // The supervisor does the same, unless its thread is gone.
  ringEveryApp(words, new Layout(config.sizes));
}

function serve(): void {
  const layout = new Layout(config.sizes);
  const plain = alias(memory);
  const placement = place(config.cpu, config.spinUs);
  if (config.netns !== null) enterNamespace(config.netns);
  const interfaces = openInterfaces(config, layout, plain, memory, clock);
  try {
    serveOn(interfaces, layout, plain.bytes, placement);
  } finally {
    // A descriptor is the process's and would outlive this thread, with the ring in shared memory that the kernel still fills.
    for (const { device } of interfaces) device.close();
  }
}

function serveOn(interfaces: OpenInterface[], layout: Layout, bytes: Uint8Array, placement: Placement): void {
  const payload = new ServerPayload(layout, words, bytes);
  const stack = new Stack({
    words,
    tcbBase: layout.tcbBase,
    maxFlows: layout.sizes.maxFlows,
    payload,
    interfaces,
    random: randomWords(),
    stats: new Float64Array(memory, CTRL_COUNTERS * 4, STATS_LENGTH),
    secret: randomBytes(16),
    now: clock(),
    limits: config.tcp,
    claims: interfaces[0].claims,
  });
  const descriptors = interfaces.map(({ device }) => device.fd).filter((fd) => fd >= 0);
  settle(stack, interfaces, descriptors);
  const apps = new ServerApps(layout, words, stack, payload);
  const doorbell = descriptors.length > 0 ? eventfd() : -1;
  words[CTRL_EVENTFD] = doorbell;
  words[CTRL_TID] = gettid();
  words[CTRL_CPU] = placement.cpu;
  Atomics.store(words, CTRL_STATE, STATE_RUNNING);
  parentPort?.postMessage('running');
  if (doorbell >= 0) descriptors.unshift(doorbell);
  new ServerLoop(words, stack, apps, {
    descriptors,
    spinUs: placement.spinUs,
    deviceEvent: () => interfaces.reduce((next, { device }) => Math.min(next, device.nextEvent?.() ?? Infinity), Infinity),
    ringEveryApp: () => ringEveryApp(words, layout),
  }).run();
}

/**
 * Goes on until it is known that the IPv6 addresses are nobody else's, which takes a second (RFC 4862 5.4).
 *
 * @throws SystemError EADDRINUSE where one is.
 */
function settle(stack: Stack, interfaces: readonly OpenInterface[], descriptors: readonly number[]): void {
  const poller = new Poller(descriptors);
  while (stack.ip.settling) {
    const now = clock();
    stack.receive(now, SETTLING_FRAMES);
    stack.advance(now);
    stack.transmit(now);
    const due = interfaces.reduce((at, { device }) => Math.min(at, device.nextEvent?.() ?? Infinity), stack.pollAt());
    if (stack.ip.settling) poller.wait(Math.max(0, due - clock()));
  }
  const [taken] = stack.ip.duplicates;
  if (taken === undefined) return;
  throw new SystemError(EADDRINUSE, 'listen', `another station on the link has the address ${taken}; give the TCP server one of its own`);
}

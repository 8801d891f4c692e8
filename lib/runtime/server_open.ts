/** Puts a TCP server together on its shared memory: devices, stack, and the loop over them, for the thread that is to run it. */
import { randomBytes } from 'node:crypto';
import { alias } from '../nic/memory.js';
import { SystemError } from '../nic/system_error.js';
import { eventfd, gettid } from '../nic/syscalls.js';
import { EADDRINUSE } from '../tcp/errno.js';
import { Stack } from '../tcp/stack.js';
import { STATS_LENGTH } from '../tcp/stats.js';
import type { ServerConfig } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { CTRL_COUNTERS, CTRL_CPU, CTRL_EVENTFD, CTRL_STATE, CTRL_TID, Layout, STATE_RUNNING } from './layout.js';
import type { Placement } from './placement.js';
import { randomWords } from './random.js';
import { ServerApps } from './server_apps.js';
import { openInterfaces } from './server_devices.js';
import type { OpenInterface } from './server_devices.js';
import { clock, ServerLoop } from './server_loop.js';
import { ServerPayload } from './server_payload.js';

/** Frames taken between two looks at the clock, while addresses are not settled. */
const SETTLING_FRAMES = 256;

export class OpenServer {
  readonly #words: Int32Array;
  readonly #layout: Layout;
  readonly #interfaces: readonly OpenInterface[];
  readonly #stack: Stack;
  readonly #payload: ServerPayload;

  /** @throws SystemError where the system refuses a device. */
  constructor(memory: SharedArrayBuffer, config: ServerConfig) {
    const layout = new Layout(config.sizes);
    const words = new Int32Array(memory);
    const plain = alias(memory);
    this.#words = words;
    this.#layout = layout;
    this.#interfaces = openInterfaces(config, layout, plain, memory, clock);
    this.#payload = new ServerPayload(layout, words, plain.bytes);
    try {
      this.#stack = new Stack({
        words,
        tcbBase: layout.tcbBase,
        maxFlows: layout.sizes.maxFlows,
        payload: this.#payload,
        interfaces: [...this.#interfaces],
        random: randomWords(),
        stats: new Float64Array(memory, CTRL_COUNTERS * 4, STATS_LENGTH),
        secret: randomBytes(16),
        now: clock(),
        limits: config.tcp,
        claims: this.#interfaces[0].claims,
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Own addresses with the lengths of their prefixes; the loopback's where there is no NIC. */
  get addresses(): readonly string[] {
    return this.#interfaces[0].addresses;
  }

  /** What the devices are waited for by; none where they are memory. */
  get descriptors(): number[] {
    return this.#interfaces.flatMap(({ device, host }) => [device.fd, host?.fd ?? -1]).filter((fd) => fd >= 0);
  }

  /**
   * Goes on with finding out whether the addresses are nobody else's, which takes a second with IPv6 (RFC 4862 5.4).
   *
   * @returns how long to wait for frames before it is called again, µs; 0: they are settled.
   * @throws SystemError EADDRINUSE where another station has one.
   */
  settle(): number {
    const stack = this.#stack;
    if (!stack.ip.settling) return 0;
    const now = clock();
    stack.receive(now, SETTLING_FRAMES);
    stack.advance(now);
    stack.transmit(now);
    if (stack.ip.settling) return Math.max(1, Math.min(stack.pollAt(), this.#deviceEvent()) - clock());
    const [taken] = stack.ip.duplicates;
    if (taken === undefined) return 0;
    throw new SystemError(EADDRINUSE, 'listen', `another station on the link has the address ${taken}; give the TCP server one of its own`);
  }

  /** The loop. App threads may be attached from now on. @param doorbell by an eventfd, even where the devices are memory. */
  start(placement: Placement, doorbell = this.descriptors.length > 0): ServerLoop {
    const words = this.#words;
    const descriptors = this.descriptors;
    if (doorbell) descriptors.unshift(eventfd());
    words[CTRL_EVENTFD] = doorbell ? descriptors[0] : -1;
    words[CTRL_TID] = gettid();
    words[CTRL_CPU] = placement.cpu;
    const apps = new ServerApps(this.#layout, words, this.#stack, this.#payload);
    const loop = new ServerLoop(words, this.#stack, apps, {
      descriptors,
      spinUs: placement.spinUs,
      deviceEvent: () => this.#deviceEvent(),
      ringEveryApp: () => ringEveryApp(words, this.#layout),
    });
    Atomics.store(words, CTRL_STATE, STATE_RUNNING);
    Atomics.notify(words, CTRL_STATE);
    return loop;
  }

  #deviceEvent(): number {
    return this.#interfaces.reduce((next, { device }) => Math.min(next, device.nextEvent?.() ?? Infinity), Infinity);
  }

  /** A descriptor is the process's and would outlive its thread, with the ring in shared memory that the kernel still fills. */
  close(): void {
    for (const { device, held } of this.#interfaces) {
      device.close();
      held?.close();
    }
  }
}

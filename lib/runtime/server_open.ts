/** Puts a TCP server together on its shared memory: devices, stack, and the loop over them, for the thread that is to run it. */
import { randomBytes } from 'node:crypto';
import { alias } from '../nic/memory.js';
import { requireForeign } from '../nic/open.js';
import { SystemError } from '../nic/system_error.js';
import { eventfd, gettid } from '../nic/syscalls.js';
import { Earliest } from '../tcp/clock.js';
import type { Clock } from '../tcp/clock.js';
import { EADDRINUSE, ETIMEDOUT } from '../tcp/errno.js';
import type { Awaited } from '../tcp/ip/ip.js';
import type { Conflict } from '../tcp/ip/own_address.js';
import { Stack } from '../tcp/stack.js';
import { WHOLE } from '../tcp/share.js';
import type { Share } from '../tcp/share.js';
import { STATS_LENGTH } from '../tcp/stats.js';
import { DHCP, SLAAC, fixedAddresses } from './config.js';
import type { ServerConfig } from './config.js';
import { ringEveryApp } from './doorbell.js';
import { CTRL_COUNTERS, CTRL_CPU, CTRL_EVENTFD, CTRL_STATE, CTRL_TID, Layout, STATE_RUNNING } from './layout.js';
import type { Placement } from './placement.js';
import { randomWords } from './random.js';
import { ServerApps } from './server_apps.js';
import { bytesOf, openInterfaces } from './server_devices.js';
import type { OpenInterface } from './server_devices.js';
import { ServerLoop } from './server_loop.js';
import { ServerPayload } from './server_payload.js';
import { SystemClock } from './system_clock.js';

/** Frames taken between two looks at the clock, while addresses are not settled. */
const SETTLING_FRAMES = 256;

export class OpenServer {
  readonly #words: Int32Array;
  readonly #bells: Int32Array;
  readonly #layout: Layout;
  readonly #interfaces: readonly OpenInterface[];
  readonly #stack: Stack;
  readonly #payload: ServerPayload;
  readonly #config: ServerConfig;
  readonly #clock = new SystemClock();
  /** When the wait for addresses is over, µs. */
  #settleBy: number | null = null;

  /**
   * @param share its part of the connections. @param bells the memory that app threads sleep in: the first TCP server's, where there are several.
   * @throws SystemError where the system refuses a device.
   */
  constructor(memory: SharedArrayBuffer, config: ServerConfig, share: Share = WHOLE, bells = memory) {
    const layout = new Layout(config.sizes);
    const words = new Int32Array(memory);
    const plain = alias(memory);
    this.#words = words;
    this.#bells = new Int32Array(bells);
    this.#layout = layout;
    this.#config = config;
    this.#interfaces = openInterfaces(config, layout, plain, memory, this.#clock, share);
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
        clock: this.#clock,
        limits: config.tcp,
        claims: this.#interfaces[0].claims,
        share,
      });
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** Own addresses with the lengths of their prefixes, in the order of the option; the loopback's where there is no NIC. */
  get addresses(): readonly string[] {
    const { addresses } = this.#config;
    if (!this.#ofNetwork) return this.#interfaces[0].addresses;
    const { ip } = this.#stack;
    return addresses.flatMap((address) => {
      if (address === DHCP) return ip.leased(0) ?? [];
      return address === SLAAC ? ip.formed(0) : address;
    });
  }

  /** Some of the addresses come from the network. */
  get #ofNetwork(): boolean {
    const { addresses } = this.#config;
    return fixedAddresses(addresses).length < addresses.length;
  }

  /** What the devices are waited for by; none where they are memory. */
  get descriptors(): number[] {
    return this.#interfaces.flatMap(({ device, host }) => [device.fd, host?.fd ?? -1]).filter((fd) => fd >= 0);
  }

  /**
   * Goes on with getting addresses from the network, and with finding out whether they are nobody else's, which takes a second with IPv6
   * (RFC 4862 5.4) and up to seven with IPv4 where it is done (RFC 5227 2.1.1).
   *
   * @returns how long to wait for frames before it is called again, µs; 0: they are settled.
   * @throws SystemError EADDRINUSE where another station has one, ETIMEDOUT where the network gives none.
   */
  settle(): number {
    const stack = this.#stack;
    if (!stack.ip.settling) return 0;
    const clock = this.#clock;
    clock.tick();
    this.#settleBy ??= clock.now + this.#config.addressTimeoutUs;
    stack.receive(SETTLING_FRAMES);
    stack.advance();
    stack.transmit();
    if (stack.ip.settling) {
      const [awaited] = stack.ip.awaited;
      if (awaited !== undefined && clock.now >= this.#settleBy) this.#giveUp(awaited);
      const next = new Earliest();
      stack.dueBy(next);
      this.#devicesDueBy(next);
      if (awaited !== undefined) next.take(this.#settleBy);
      clock.tick();
      return Math.max(1, next.at - clock.now);
    }
    this.#requireOwn();
    return 0;
  }

  /** What the addresses are now must be this host's alone. */
  #requireOwn(): void {
    const { ip } = this.#stack;
    const { netns } = this.#config;
    const [duplicate] = ip.duplicates;
    const { conflict } = ip;
    if (duplicate !== undefined || conflict !== null) {
      this.leave();
      const station = conflict === null ? 'another station on the link' : `the station ${conflict.mac} on the link`;
      const address = conflict?.address ?? duplicate;
      throw new SystemError(EADDRINUSE, 'listen', `${station} has the address ${address}; give the TCP server one of its own`);
    }
    // A server of DHCP knows its clients by their identifiers, of which the kernel's client may have the same.
    if (this.#ofNetwork) requireForeign(this.addresses.map(bytesOf), netns);
  }

  #giveUp(awaited: Awaited): never {
    this.leave();
    const { device, addressTimeoutUs } = this.#config;
    throw new SystemError(ETIMEDOUT, 'listen', notGiven(awaited, device, addressTimeoutUs / 1e6, this.#stack.ip.conflict));
  }

  /** The TCP server ends in good order: what it was lent by the network is given back. */
  leave(): void {
    this.#stack.ip.leave();
    this.#stack.ip.flush();
  }

  /**
   * The loop. App threads may be attached from now on.
   *
   * @param onAddresses called when the addresses have changed. @param doorbell by an eventfd, even where the devices are memory.
   * @param govern as `LoopSetting` has it.
   */
  start(
    placement: Placement, onAddresses: (addresses: readonly string[]) => void, doorbell = this.descriptors.length > 0, govern?: (clock: Clock) => void,
  ): ServerLoop {
    const words = this.#words;
    const descriptors = this.descriptors;
    if (doorbell) descriptors.unshift(eventfd());
    words[CTRL_EVENTFD] = doorbell ? descriptors[0] : -1;
    words[CTRL_TID] = gettid();
    words[CTRL_CPU] = placement.cpu;
    const apps = new ServerApps(this.#layout, words, this.#stack, this.#payload, this.#bells);
    const loop = new ServerLoop(words, this.#stack, apps, {
      descriptors,
      spin: placement.spin,
      shares: placement.shares,
      tick: () => this.#clock.tick(),
      devicesDueBy: (next) => this.#devicesDueBy(next),
      ringEveryApp: () => ringEveryApp(this.#bells, this.#layout),
      addressesChanged: () => onAddresses(this.addresses),
      ...(govern === undefined ? {} : { govern }),
    });
    Atomics.store(words, CTRL_STATE, STATE_RUNNING);
    Atomics.notify(words, CTRL_STATE);
    return loop;
  }

  #devicesDueBy(next: Earliest): void {
    for (let i = 0; i < this.#interfaces.length; i++) {
      const { device } = this.#interfaces[i];
      if (device.nextEvent !== undefined) next.take(device.nextEvent());
    }
  }

  /** A descriptor is the process's and would outlive its thread, with the ring in shared memory that the kernel still fills. */
  close(): void {
    for (const { device, held } of this.#interfaces) {
      device.close();
      held?.close();
    }
  }
}

/** Why there is no address from the network, and what to do. @param seconds that it was waited for. */
function notGiven({ from, answered }: Awaited, device: string, seconds: number, conflict: Conflict | null): string {
  const mend = "or give the TCP server addresses of its own: options.address, such as '192.0.2.10/24'";
  if (from === SLAAC) {
    if (!answered) return `no router on the link of '${device}' has advertised itself within ${seconds} s; look whether there is one, ${mend}`;
    return `no router on the link of '${device}' advertises a prefix of 64 bits to form addresses of; have one do so (flag A), ${mend}`;
  }
  if (conflict !== null) return `the station ${conflict.mac} has the address ${conflict.address} that the DHCP server on the link of '${device}' offered; have one of the two changed, ${mend}`;
  if (!answered) return `no DHCP server on the link of '${device}' has answered within ${seconds} s; look whether there is one, ${mend}`;
  return `the DHCP server on the link of '${device}' has offered an address, but given none within ${seconds} s; its log may tell why; have it do so, ${mend}`;
}

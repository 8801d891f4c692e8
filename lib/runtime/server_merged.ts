/**
 * A TCP server in the thread of an app: for machines where it would have to share a CPU with the app anyway. The loop is the same; a turn of
 * it is a turn of the thread's event loop, and the app comes between its two halves:
 *
 * ```
 *   immediate:  take in frames and time ─▶ the app's port takes what it is told: the app's callbacks
 *   next tick:  submissions ─▶ transmit ─▶ next immediate; where nothing is left to do the event loop may sleep first
 * ```
 *
 * So a request costs neither a wake-up nor a switch between threads. Other app threads are attached as ever, and ring by the eventfd.
 */
import { DescriptorWatch } from '../nic/event_loop.js';
import { drain } from '../nic/syscalls.js';
import { announceServer } from './app_tie.js';
import type { Pumped, ServerTie } from './app_tie.js';
import type { ServerConfig } from './config.js';
import { CTRL_EVENTFD, CTRL_SLEEP, CTRL_SLEEPS, CTRL_STATE, CTRL_STOP, SLEEP_AWAKE, SLEEP_POLL, STATE_DEAD } from './layout.js';
import { spinOf } from './placement.js';
import type { Placement } from './placement.js';
import { Spin } from './spin.js';
import type { ServerLoop } from './server_loop.js';
import { OpenServer } from './server_open.js';
import type { ServerHost } from './hosts.js';

/** A thread that the app has; nobody moves or pins it. */
const APP_THREAD: Placement = { cpu: -1, spin: new Spin(0, false), shares: true };
/** Longest wait for frames while addresses are settled, ms. */
const SETTLING_WAIT_MS = 10;

/**
 * Opens a TCP server and has this thread's event loop run it.
 *
 * @throws SystemError where the system refuses a device, or an address is another station's.
 */
export async function startMerged(memory: SharedArrayBuffer, config: ServerConfig): Promise<MergedServer> {
  const server = new OpenServer(memory, config);
  try {
    for (let wait = server.settle(); wait > 0; wait = server.settle()) {
      await new Promise((resolve) => setTimeout(resolve, Math.min(wait / 1000, SETTLING_WAIT_MS)));
    }
    return new MergedServer(memory, server, spinOf(config));
  } catch (error) {
    server.close();
    throw error;
  }
}

export class MergedServer implements ServerHost {
  readonly ready: Promise<readonly string[]>;
  readonly ended: Promise<Error | null>;
  readonly #words: Int32Array;
  readonly #server: OpenServer;
  readonly #loop: ServerLoop;
  readonly #doorbell: number;
  readonly #watches: DescriptorWatch[];
  #resolveEnded: (error: Error | null) => void = () => {};
  #running = true;
  #onAddresses: ((addresses: readonly string[]) => void) | null = null;
  readonly #memory: SharedArrayBuffer;
  /** The thread's own ports: their callbacks are called in turns of this loop. */
  readonly #ports: Pumped[] = [];
  /** The next turn. Without a reference while nothing is to be done: then the event loop sleeps before it. */
  #immediate: NodeJS.Immediate;
  #resting = false;
  /** Somebody has claimed a wake-up, and what he writes to the eventfd for it is still to be read. */
  #rung = false;
  #sendPlanned = false;
  /** Whether it looks for more before the thread sleeps that waits itself. */
  readonly #spin: Spin;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer is due, µs. */
  #timerAt = Infinity;
  readonly #onTurn = (): void => this.#turn();
  readonly #onSend = (): void => this.#send();
  readonly #onTimer = (): void => {
    this.#timerAt = Infinity;
    for (const watch of this.#watches) watch.keepOn();
    this.#turnSoon();
  };

  constructor(memory: SharedArrayBuffer, server: OpenServer, spin: Spin) {
    this.#memory = memory;
    this.#spin = spin;
    this.#words = new Int32Array(memory);
    this.#server = server;
    this.ready = Promise.resolve(server.addresses);
    this.#loop = server.start(APP_THREAD, (addresses) => this.#onAddresses?.(addresses), true);
    this.#doorbell = this.#words[CTRL_EVENTFD];
    this.#watches = [this.#doorbell, ...server.descriptors].map((fd) => new DescriptorWatch(fd));
    this.ended = new Promise((resolve) => { this.#resolveEnded = resolve; });
    this.#immediate = setImmediate(this.#onTurn);
    announceServer(memory, (port) => this.#tie(port));
  }

  // ---- for the thread's own ports

  #tie(port: Pumped): ServerTie {
    this.#ports.push(port);
    return {
      ring: () => {
        this.#sendNow();
        this.#turnSoon();
      },
      wait: () => void this.#sendNow(),
      pumpSoon: () => this.#turnSoon(),
      advance: () => this.#advance(),
      block: (ms) => this.#block(port, ms),
    };
  }

  #turnSoon(): void {
    this.#immediate.ref();
  }

  /** A turn without the app between its halves. */
  #advance(): void {
    this.#wake();
    if (this.#running) this.#takeIn();
    this.#sendOut();
  }

  /** Where no other thread is attached that may want the CPU, it looks for more before it sleeps. */
  #block(port: Pumped, ms: number): boolean {
    const loop = this.#loop;
    const { clock } = loop;
    const alone = loop.attached <= this.#ports.length;
    loop.tick();
    const until = clock.now + ms * 1000;
    while (clock.now < until) {
      if (!port.isQuiet) {
        this.#spin.worked(clock);
        return false;
      }
      if (alone && this.#spin.again(clock)) loop.look();
      else loop.sleep(Math.ceil(until - clock.now) | 0);
      this.#advance();
    }
    return port.isQuiet;
  }

  // ---- the turn

  #turn(): void {
    this.#wake();
    this.#immediate = setImmediate(this.#onTurn);
    this.#sendPlanned = true;
    let work = 1;
    try {
      work = this.#takeIn();
      work += this.#pump();
    } finally {
      if (this.#running) this.#endTurn(work);
    }
  }

  #endTurn(work: number): void {
    if (work > 0) {
      // After what the app's callbacks have planned to be submitted in this tick.
      process.nextTick(this.#onSend);
      return;
    }
    this.#sendPlanned = false;
    if (this.#sendNow() === 0 && this.#running) this.#rest();
  }

  #pump(): number {
    const ports = this.#ports;
    let work = 0;
    for (let i = ports.length - 1; i >= 0; i--) {
      if (ports[i].alive) work += ports[i].pump();
      else ports.splice(i, 1);
    }
    return work;
  }

  #takeIn(): number {
    try {
      this.#loop.tick();
      return this.#loop.takeIn();
    } catch (error) {
      this.#close(error as Error);
      return 0;
    }
  }

  #send(): void {
    if (this.#sendPlanned) this.#sendNow();
  }

  #sendNow(): number {
    this.#loop.tick();
    return this.#sendOut();
  }

  #sendOut(): number {
    this.#sendPlanned = false;
    if (!this.#running) return 0;
    try {
      if (this.#loop.isOver()) {
        this.#close(null);
        return 0;
      }
      return this.#loop.sendOut();
    } catch (error) {
      this.#close(error as Error);
      return 0;
    }
  }

  // ---- sleep: see doorbell.ts for why no wake-up is lost

  /** Says that it sleeps, looks once more, and lets the event loop sleep until a descriptor or the clock wakes it. */
  #rest(): void {
    const words = this.#words;
    const pause = this.#loop.pause();
    this.#resting = true;
    Atomics.store(words, CTRL_SLEEP, SLEEP_POLL);
    if (pause <= 0 || !this.#loop.isQuiet || !this.#ports.every(isQuiet)) return;
    words[CTRL_SLEEPS]++;
    this.#setTimer(pause);
    this.#immediate.unref();
  }

  #wake(): void {
    if (this.#resting) {
      this.#resting = false;
      if (Atomics.exchange(this.#words, CTRL_SLEEP, SLEEP_AWAKE) !== SLEEP_POLL) this.#rung = true;
    }
    if (this.#rung && drain(this.#doorbell)) this.#rung = false;
  }

  /** A timer that is due sooner does as well: it finds nothing to do, and another one is set. */
  #setTimer(pause: number): void {
    const { now } = this.#loop.clock;
    if (this.#timerAt <= now + pause) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delay = Math.ceil(pause / 1000);
    this.#timerAt = now + delay * 1000;
    this.#timer = setTimeout(this.#onTimer, delay);
    // While it ends, somebody waits for that.
    if (Atomics.load(this.#words, CTRL_STOP) === 0) this.#timer.unref();
  }

  // ---- the end

  watchAddresses(listener: (addresses: readonly string[]) => void): void {
    this.#onAddresses = listener;
  }

  stop(): void {
    this.#timer?.ref();
    this.#turnSoon();
  }

  finish(): void {
    if (!this.#running) return;
    this.#loop.run();
    this.#close(null);
  }

  /** @param error what has ended it, where nobody had asked for its end. */
  #close(error: Error | null): void {
    this.#running = false;
    clearImmediate(this.#immediate);
    if (this.#timer !== null) clearTimeout(this.#timer);
    for (const watch of this.#watches) watch.close();
    if (error === null) this.#server.leave();
    this.#server.close();
    announceServer(this.#memory, null);
    Atomics.store(this.#words, CTRL_STATE, STATE_DEAD);
    // Not out of the callback that may stand around this one: the port tells every flow.
    setImmediate(() => this.#pump());
    this.#resolveEnded(error);
  }
}

function isQuiet(port: Pumped): boolean {
  return port.isQuiet;
}

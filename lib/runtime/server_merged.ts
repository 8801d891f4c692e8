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
import type { AppPort } from './app_port.js';
import type { ServerTie } from './app_tie.js';
import type { ServerConfig } from './config.js';
import { CTRL_EVENTFD, CTRL_SLEEP, CTRL_SLEEPS, CTRL_STATE, CTRL_STOP, SLEEP_AWAKE, SLEEP_POLL, STATE_DEAD } from './layout.js';
import type { Placement } from './placement.js';
import { clock } from './server_loop.js';
import type { ServerLoop } from './server_loop.js';
import { OpenServer } from './server_open.js';
import type { ServerHost } from './supervisor.js';

/** A thread that the app has; nobody moves or pins it. */
const APP_THREAD: Placement = { cpu: -1, spinUs: 0 };
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
    return new MergedServer(memory, server);
  } catch (error) {
    server.close();
    throw error;
  }
}

export class MergedServer implements ServerHost, ServerTie {
  readonly ended: Promise<Error | null>;
  readonly #words: Int32Array;
  readonly #server: OpenServer;
  readonly #loop: ServerLoop;
  readonly #doorbell: number;
  readonly #watches: DescriptorWatch[];
  #resolveEnded: (error: Error | null) => void = () => {};
  #running = true;
  #port: AppPort | null = null;
  /** The next turn. Without a reference while nothing is to be done: then the event loop sleeps before it. */
  #immediate: NodeJS.Immediate;
  #resting = false;
  /** Somebody has claimed a wake-up, and what he writes to the eventfd for it is still to be read. */
  #rung = false;
  #sendPlanned = false;
  #timer: NodeJS.Timeout | null = null;
  /** When the timer is due, µs. */
  #timerAt = Infinity;
  readonly #onTurn = (): void => this.#turn();
  readonly #onSend = (): void => this.#send();
  readonly #onTimer = (): void => {
    this.#timerAt = Infinity;
    this.pumpSoon();
  };

  constructor(memory: SharedArrayBuffer, server: OpenServer) {
    this.#words = new Int32Array(memory);
    this.#server = server;
    this.#loop = server.start(APP_THREAD, true);
    this.#doorbell = this.#words[CTRL_EVENTFD];
    this.#watches = [this.#doorbell, ...server.descriptors].map((fd) => new DescriptorWatch(fd));
    this.ended = new Promise((resolve) => { this.#resolveEnded = resolve; });
    this.#immediate = setImmediate(this.#onTurn);
  }

  /** The thread's own end: its callbacks are called in turns of this loop. */
  attach(port: AppPort): void {
    this.#port = port;
  }

  // ---- for the thread's own port

  ring(): void {
    this.#sendNow();
    this.pumpSoon();
  }

  wait(): void {
    this.#sendNow();
  }

  pumpSoon(): void {
    this.#immediate.ref();
  }

  // ---- the turn

  #turn(): void {
    this.#wake();
    this.#immediate = setImmediate(this.#onTurn);
    this.#sendPlanned = true;
    let work = 1;
    try {
      work = this.#takeIn();
      work += this.#port?.pump() ?? 0;
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

  #takeIn(): number {
    try {
      return this.#loop.takeIn(clock());
    } catch (error) {
      this.#close(error as Error);
      return 0;
    }
  }

  #send(): void {
    if (this.#sendPlanned) this.#sendNow();
  }

  #sendNow(): number {
    this.#sendPlanned = false;
    if (!this.#running) return 0;
    try {
      const now = clock();
      if (this.#loop.isOver(now)) {
        this.#close(null);
        return 0;
      }
      return this.#loop.sendOut(now);
    } catch (error) {
      this.#close(error as Error);
      return 0;
    }
  }

  // ---- sleep: see doorbell.ts for why no wake-up is lost

  /** Says that it sleeps, looks once more, and lets the event loop sleep until a descriptor or the clock wakes it. */
  #rest(): void {
    const words = this.#words;
    const now = clock();
    const until = this.#loop.wakeAt(now);
    this.#resting = true;
    Atomics.store(words, CTRL_SLEEP, SLEEP_POLL);
    if (until <= now || !this.#loop.isQuiet || this.#port?.isQuiet === false) return;
    words[CTRL_SLEEPS]++;
    this.#setTimer(until, now);
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
  #setTimer(until: number, now: number): void {
    if (this.#timerAt <= until) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const delay = Math.ceil((until - now) / 1000);
    this.#timerAt = now + delay * 1000;
    this.#timer = setTimeout(this.#onTimer, delay);
    // While it ends, somebody waits for that.
    if (Atomics.load(this.#words, CTRL_STOP) === 0) this.#timer.unref();
  }

  // ---- the end

  stop(): void {
    this.#timer?.ref();
    this.pumpSoon();
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
    this.#server.close();
    Atomics.store(this.#words, CTRL_STATE, STATE_DEAD);
    // Not out of the callback that may stand around this one: the port tells every flow.
    setImmediate(() => this.#port?.pump());
    this.#resolveEnded(error);
  }
}

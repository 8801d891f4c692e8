/**
 * The TCP server's life: one loop over two sources of events, the network and the app threads.
 *
 * ```
 *   receive ─▶ timers ─▶ tell the apps ─▶ submissions ─▶ transmit ─▶ tell the apps ─▶ (nothing done? look again for a while, then sleep)
 * ```
 *
 * A turn takes in all that is there and then sends once: one acknowledgement and one send decision for each flow touched.
 *
 * In a thread of its own the loop is `run`. In the thread of an app, the app has its turn between the two halves (server_merged.ts).
 */
import { drain, Poller, threadAlive } from '../nic/syscalls.js';
import { Earliest } from '../tcp/clock.js';
import type { Clock } from '../tcp/clock.js';
import type { Stack } from '../tcp/stack.js';
import { CTRL_BUSY, CTRL_CROWDED, CTRL_SLEEP, CTRL_SLEEPS, CTRL_STOP, CTRL_TURNS, SLEEP_AWAKE, SLEEP_POLL, SLEEP_WAIT } from './layout.js';
import type { ServerApps } from './server_apps.js';
import type { Spin } from './spin.js';

/** Frames taken in one turn: bounds the time until the app threads are heard again. */
const FRAME_BUDGET = 256;
/** Longest sleep in µs: the TCP server looks after dead app threads between sleeps. */
const LONGEST_SLEEP_US = 250_000;
const REAP_INTERVAL_US = 500_000;
/** While an app thread's queue is full, how long to wait before trying it again. */
const BACKLOG_SLEEP_US = 1000;
/** Looks for work from one look at the clock to the next: together they take about as long. */
const LOOKS = 16;

/** How long a TCP server that was told to stop goes on for the sake of what is not sent yet. */
export const FAREWELL_US = 1_000_000;

/** Of that, how long app threads may take to hear of it and leave by themselves. */
const LEAVE_US = 250_000;

export interface LoopSetting {
  /** Descriptors to sleep on, the doorbell's eventfd first; none where the devices are memory. */
  readonly descriptors: readonly number[];
  /** Whether to look for work before a sleep. */
  readonly spin: Spin;
  /** App threads may want the same CPU: it looks only while they sleep. */
  readonly shares: boolean;
  /** Has the stack's clock show what time it is. */
  tick(): void;
  /** When something happens next inside a device: a delayed frame. */
  devicesDueBy(next: Earliest): void;
  /** Wakes the app threads that sleep. */
  ringEveryApp(): void;
  /** The own addresses are other ones than before. */
  addressesChanged(): void;
  /** Called in every turn. */
  govern?(clock: Clock): void;
}

export class ServerLoop {
  readonly #words: Int32Array;
  readonly #stack: Stack;
  readonly #apps: ServerApps;
  readonly #setting: LoopSetting;
  readonly #poller: Poller | null;
  readonly #next = new Earliest();
  /** The time of the turn. */
  readonly clock: Clock;
  /** Of the addresses that are known to others. */
  #revision: number;
  #nextReap = 0;
  /** When it saw that it was told to stop, µs; 0: not yet. */
  #stoppedAt = 0;
  #everybodyLeft = false;

  constructor(words: Int32Array, stack: Stack, apps: ServerApps, setting: LoopSetting) {
    this.#words = words;
    this.#stack = stack;
    this.#apps = apps;
    this.#setting = setting;
    this.clock = stack.clock;
    this.#revision = stack.ip.revision;
    this.#poller = setting.descriptors.length > 0 ? new Poller(setting.descriptors) : null;
  }

  /** Runs in a thread of its own until it is over. */
  run(): void {
    const words = this.#words;
    const { clock } = this;
    const { spin } = this.#setting;
    let busy = 0;
    this.tick();
    while (!this.isOver()) {
      const began = clock.now;
      if (this.takeIn() + this.sendOut() > 0) {
        spin.worked(clock);
        this.tick();
        busy += clock.now - began;
        words[CTRL_BUSY] = busy | 0;
      } else if (words[CTRL_CROWDED] === 0 && (!this.#setting.shares || this.#apps.asleep) && spin.again(clock)) {
        this.look();
        this.tick();
      } else {
        this.tick();
        this.sleep();
        this.tick();
      }
    }
  }

  /** A look at the time. */
  tick(): void {
    this.#setting.tick();
  }

  /** Looks for something to do, for as long as a look at the clock takes. */
  look(): void {
    for (let i = 0; i < LOOKS && this.isQuiet; i++);
  }

  /**
   * True once the supervisor has said stop, the app threads have had the time to leave, and what was written the time to be sent, both
   * of them short.
   */
  isOver(): boolean {
    if (Atomics.load(this.#words, CTRL_STOP) === 0) return false;
    const { now } = this.clock;
    if (this.#stoppedAt === 0) {
      this.#stoppedAt = now;
      this.#setting.ringEveryApp();
    }
    if (!this.#everybodyLeft && (!this.#apps.attended || now >= this.#stoppedAt + LEAVE_US)) {
      this.#everybodyLeft = true;
      this.#apps.leaveAll();
    }
    return this.#everybodyLeft && (!this.#apps.busy || now >= this.#stoppedAt + FAREWELL_US);
  }

  /** The first half of a turn: what has come from the network and by time; the app threads are told. Returns how much there was. */
  takeIn(): number {
    const stack = this.#stack;
    this.#words[CTRL_TURNS]++;
    const work = stack.receive(FRAME_BUDGET);
    if (stack.isDue) stack.advance();
    if (stack.ip.revision !== this.#revision) {
      this.#revision = stack.ip.revision;
      this.#setting.addressesChanged();
    }
    // The apps hear first: on another CPU they begin while this one sends.
    this.#apps.takeArrivals();
    this.#apps.publish();
    return work;
  }

  /** The second half: what the app threads ask for; then the devices send. Returns how much there was. */
  sendOut(): number {
    const apps = this.#apps;
    const { now } = this.clock;
    const work = apps.takeSubmissions();
    this.#stack.transmit();
    this.#apps.takeChanges();
    this.#apps.publish();
    if (now >= this.#nextReap) {
      this.#nextReap = now + REAP_INTERVAL_US;
      apps.reap(threadAlive);
    }
    if (this.#setting.govern !== undefined) this.#setting.govern(this.clock);
    return work;
  }

  /** App threads that are attached. */
  get attached(): number {
    return this.#apps.count;
  }

  /** Nothing is there to take in or to carry out. */
  get isQuiet(): boolean {
    return !this.#apps.pending && !this.#stack.readable();
  }

  /** How long there is nothing to do unless something arrives: a whole number of µs, positive unless there is something. */
  pause(): number {
    const next = this.#next;
    next.clear();
    this.#stack.dueBy(next);
    this.#setting.devicesDueBy(next);
    const longest = this.#apps.backlogged ? BACKLOG_SLEEP_US : this.#stoppedAt > 0 ? FAREWELL_US / 10 : LONGEST_SLEEP_US;
    return Math.min(Math.ceil(next.at - this.clock.now), longest) | 0;
  }

  /**
   * The one place where the TCP server's thread sleeps; see doorbell.ts for why no wake-up is lost.
   *
   * @param mostUs at most, a whole number; not at all where it is not positive.
   */
  sleep(mostUs = LONGEST_SLEEP_US): void {
    const timeoutUs = Math.min(this.pause(), mostUs);
    if (timeoutUs <= 0) return;
    const words = this.#words;
    Atomics.store(words, CTRL_SLEEP, this.#poller === null ? SLEEP_WAIT : SLEEP_POLL);
    if (this.isQuiet && (this.#stoppedAt > 0 || Atomics.load(words, CTRL_STOP) === 0)) {
      words[CTRL_SLEEPS]++;
      if (this.#poller === null) Atomics.wait(words, CTRL_SLEEP, SLEEP_WAIT, timeoutUs / 1000);
      else if ((this.#poller.wait(timeoutUs) & 1) !== 0) drain(this.#setting.descriptors[0]);
    }
    Atomics.store(words, CTRL_SLEEP, SLEEP_AWAKE);
  }
}

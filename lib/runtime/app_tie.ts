/**
 * How an app thread reaches its TCP server and hears of it.
 *
 * Where the TCP server is another thread, this one rings where that sleeps, and sleeps itself where nothing is told; before it
 * sleeps it looks again for a few turns of its event loop, because a wake-up costs more than a look. The sleep is
 * `Atomics.waitAsync`: the event loop goes on with everything else.
 */
import { ringServer, sleepInThread } from './doorbell.js';
import { APP_LOOP_SLEEPS } from './layout.js';

/** Turns of the event loop in which the thread looks again before it sleeps. */
const LOOKS = 2;

/** What of the thread's port is needed: to take what is told. */
export interface Pumped {
  readonly alive: boolean;
  readonly isQuiet: boolean;
  pump(): number;
}

export interface ServerTie {
  /** Something was submitted that the TCP server is to act on now. @param server which of them. */
  ring(server: number): void;
  /** The same, and the thread waits until the word `at` of the memory shared with it is no longer `value`, for a millisecond at most. */
  wait(server: number, words: Int32Array, at: number, value: number): void;
  /** Has the port pumped by a turn of the event loop. */
  pumpSoon(): void;
  /** A thread that waits itself looks whether there is something to take: where the TCP server is in this thread, it makes a turn. */
  advance(): void;
  /** Blocks the thread until the port has something to take, for `ms` at most. Returns true where the time is over. */
  block(ms: number): boolean;
}

/** Makes ties to the TCP servers that run in this thread, by their memory. */
const ofThisThread = new Map<SharedArrayBuffer, (port: Pumped) => ServerTie>();

/** A TCP server runs in this thread: from now on ports are tied to it by `tie`. Null: it does no more. */
export function announceServer(memory: SharedArrayBuffer, tie: ((port: Pumped) => ServerTie) | null): void {
  if (tie === null) ofThisThread.delete(memory);
  else ofThisThread.set(memory, tie);
}

/**
 * How a port of this thread reaches its TCP servers, of which the first has that memory.
 *
 * @param servers the memory of each. @param word the sleep word of the thread's channel to the first: all of them wake it there.
 */
export function tieTo(memory: SharedArrayBuffer, servers: readonly Int32Array[], word: Int32Array, port: Pumped): ServerTie {
  const tie = ofThisThread.get(memory);
  return tie === undefined ? new ThreadTie(servers, word, port) : tie(port);
}

/** The tie to TCP servers in other threads. */
class ThreadTie implements ServerTie {
  readonly #servers: readonly Int32Array[];
  readonly #sleepWord: Int32Array;
  readonly #port: Pumped;
  #looks = 0;
  #asleep = false;
  /** The event loop has been asked for a turn. Where the thread waits itself it never comes to that, so it is asked once. */
  #planned = false;
  readonly #onTurn = (): void => this.#turn();
  // The turn is a tick, so that what a callback throws is an uncaught exception and not an unhandled rejection.
  readonly #onWake = (): void => {
    this.#asleep = false;
    process.nextTick(this.#onTurn);
  };

  constructor(servers: readonly Int32Array[], word: Int32Array, port: Pumped) {
    this.#servers = servers;
    this.#sleepWord = word;
    this.#port = port;
  }

  ring(server: number): void {
    ringServer(this.#servers[server]);
  }

  wait(server: number, words: Int32Array, at: number, value: number): void {
    this.ring(server);
    Atomics.wait(words, at, value, 1);
  }

  pumpSoon(): void {
    if (this.#planned) return;
    this.#planned = true;
    setImmediate(this.#onTurn);
  }

  advance(): void {}

  block(ms: number): boolean {
    return sleepInThread(this.#sleepWord, this.#port, ms);
  }

  /** Takes a batch; then looks again, goes on, or sleeps. */
  #turn(): void {
    this.#planned = false;
    let taken = 1;
    try {
      taken = this.#port.pump();
    } finally {
      // Also where a callback has thrown: the rest of the batch is taken in the next turn.
      if (this.#port.alive) this.#goOn(taken);
    }
  }

  #goOn(taken: number): void {
    if (taken > 0) this.#looks = LOOKS;
    if (taken > 0 || this.#looks-- > 0) this.pumpSoon();
    else this.#sleep();
  }

  /** See doorbell.ts: says that it sleeps, looks once more, and only then waits. */
  #sleep(): void {
    this.#looks = 0;
    if (this.#asleep) return;
    Atomics.store(this.#sleepWord, 0, APP_LOOP_SLEEPS);
    if (!this.#port.isQuiet) {
      Atomics.store(this.#sleepWord, 0, 0);
      if (this.#port.alive) this.pumpSoon();
      return;
    }
    const wait = Atomics.waitAsync(this.#sleepWord, 0, APP_LOOP_SLEEPS);
    this.#asleep = wait.async;
    if (wait.async) void wait.value.then(this.#onWake);
    else this.pumpSoon();
  }
}

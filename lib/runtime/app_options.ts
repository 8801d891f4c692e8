/** The settings of one flow that are numbers, at its app thread, and how the TCP server is told of them. */
import { SUBMIT_OPTIONS } from './messages.js';

/** Places in words 3 to 7 of SUBMIT_OPTIONS. */
const KEEP_IDLE = 0;
const KEEP_INTERVAL = 1;
const COUNT_AND_CLASS = 2;
const USER_TIMEOUT = 3;
const FIN_WAIT = 4;
const OPTION_WORDS = 5;

const MOST = 0x7fffffff;
const KEEP_COUNT_MOST = 127;

export class AppOptions {
  /** They are still to be submitted. */
  changed = false;
  /** 0: the TCP server's own. */
  readonly #words = new Int32Array(OPTION_WORDS);

  /** 0 keeps a value as it was. */
  setKeepAlive(idleMs: number, intervalMs: number, count: number): void {
    if (idleMs > 0) this.#set(KEEP_IDLE, Math.min(idleMs, MOST));
    if (intervalMs > 0) this.#set(KEEP_INTERVAL, Math.min(intervalMs, MOST));
    if (count > 0) this.#set(COUNT_AND_CLASS, this.#words[COUNT_AND_CLASS] & ~0xff | Math.min(count, KEEP_COUNT_MOST));
  }

  setTrafficClass(octet: number): void {
    this.#set(COUNT_AND_CLASS, this.#words[COUNT_AND_CLASS] & 0xff | (octet & 0xff) << 8);
  }

  setUserTimeout(ms: number): void {
    this.#set(USER_TIMEOUT, Math.min(ms, MOST));
  }

  setFinWait(ms: number): void {
    this.#set(FIN_WAIT, Math.min(ms, MOST));
  }

  /** Fills in the entry at word `at`. */
  write(words: Int32Array, at: number, flow: number, generation: number): void {
    words[at] = SUBMIT_OPTIONS;
    words[at + 1] = flow;
    words[at + 2] = generation;
    for (let i = 0; i < OPTION_WORDS; i++) words[at + 3 + i] = this.#words[i];
    this.changed = false;
  }

  #set(at: number, value: number): void {
    if (this.#words[at] === value) return;
    this.#words[at] = value;
    this.changed = true;
  }
}

/**
 * Reads of shared memory by any thread, while the TCP server goes on writing it and hears nothing of them: the record of a
 * flow, and the counters.
 *
 * One word is never torn, but a record is many. So it is collected twice and taken only where nothing changed between the two:
 * then there was an instant at which memory held all of it. That instant may lie within the processing of a segment.
 */
import { tcpInfo } from '../tcp/conn/info.js';
import type { TcpInfo } from '../tcp/conn/info.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { TCB_WORDS } from '../tcp/conn/tcb_words.js';
import { STAT_NAMES } from '../tcp/stats.js';
import type { StatName } from '../tcp/stats.js';
import { CTRL_COUNTERS, CTRL_CPU, CTRL_SLEEPS, CTRL_TID, CTRL_TURNS, CTRL_WAKES } from './layout.js';

/** Collections of a record that changes all the time; the last one is taken as it is. Each is well below a microsecond. */
const MOST_COLLECTIONS = 64;

/** What can be seen of a running TCP server from any thread. */
export interface ServerStatus {
  /** Kernel's thread id, as in /proc/self/task. */
  readonly threadId: number;
  /** CPU it is pinned to, or -1. */
  readonly cpu: number;
  /** Turns of its loop, sleeps, and wake-ups it sent to app threads, modulo 2^32. */
  readonly turns: number;
  readonly sleeps: number;
  readonly wakes: number;
}

/** Counters of a TCP server since it started, named as `nstat` names the kernel's. They only ever grow. */
export type StackCounters = Readonly<Record<StatName, number>>;

const first = new Int32Array(TCB_WORDS);
const second = new Int32Array(TCB_WORDS);
const view = new Tcb(second, 0);

/** What is known of a flow; null where its record is another one's by now. */
export function readInfo(tcb: Tcb, flow: number, generation: number): TcpInfo | null {
  collectStable(tcb.words, tcb.at(flow).base, first, second, Atomics.load);
  return view.at(0).generation === generation ? tcpInfo(view, 0) : null;
}

/**
 * Copies the words from `base` into `copy` until two copies in a row are alike. Returns whether they were, within bounds.
 *
 * @param previous as long as `copy`; holds the copy before.
 * @param load `Atomics.load`, which keeps the order of the reads.
 */
export function collectStable(
  words: Int32Array, base: number, previous: Int32Array, copy: Int32Array, load: (words: Int32Array, at: number) => number,
): boolean {
  for (let i = 0; i < copy.length; i++) copy[i] = load(words, base + i);
  for (let collection = 1; collection < MOST_COLLECTIONS; collection++) {
    previous.set(copy);
    let alike = true;
    for (let i = 0; i < copy.length; i++) {
      copy[i] = load(words, base + i);
      if (copy[i] !== previous[i]) alike = false;
    }
    if (alike) return true;
  }
  return false;
}

/** Each counter is one aligned double, so none is torn; two of them may be of neighbouring moments. @param memories of all TCP servers: their sum. */
export function readCounters(memories: readonly SharedArrayBuffer[]): StackCounters {
  const servers = memories.map((memory) => new Float64Array(memory, CTRL_COUNTERS * 4, STAT_NAMES.length));
  return Object.fromEntries(STAT_NAMES.map((name, i) => [name, servers.reduce((sum, values) => sum + (values[i] as number), 0)])) as Record<StatName, number>;
}

export function readStatus(words: Int32Array): ServerStatus {
  return { threadId: words[CTRL_TID], cpu: words[CTRL_CPU], turns: words[CTRL_TURNS] >>> 0, sleeps: words[CTRL_SLEEPS] >>> 0, wakes: words[CTRL_WAKES] >>> 0 };
}

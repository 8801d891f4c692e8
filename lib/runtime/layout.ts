/**
 * The memory that a TCP server shares with its app threads: one SharedArrayBuffer, and this file says what lies where.
 *
 * ```
 * control words │ channel 0 … n-1 │ flow table (TCBs) │ block links │ payload blocks  │ device region
 * and counters  │  state          │                   │             │  receive pool,  │
 *               │  doorbell       │                   │             │  then one send  │
 *               │  submissions    │                   │             │  arena a channel│
 *               │  completions    │                   │             │                 │
 * ```
 *
 * Words are int32, and their places are counted in words; places of bytes are counted in bytes. What two threads write
 * never shares a line of 64 bytes. Every word names its one writer.
 */
import { DEVICE_REGION_LENGTH } from '../nic/device.js';
import { TCB_WORDS } from '../tcp/conn/tcb_words.js';
import { STATS_LENGTH } from '../tcp/stats.js';

const LINE = 16;
const PAGE_BYTES = 4096;

/** First word: layout version, so that a handle of another build is refused. Writer: the thread that makes the memory. */
export const LAYOUT_VERSION = 0x74630003;

// Control words.
export const CTRL_VERSION = 0;
/** STATE_*. Writer: the supervisor, and the TCP server when it has started. */
export const CTRL_STATE = 1 * LINE;
/** Descriptor that wakes a TCP server asleep in `poll`; -1 where it sleeps in `Atomics.wait`. Writer: TCP server, before STATE_RUNNING. */
export const CTRL_EVENTFD = 1 * LINE + 1;
/** Kernel's thread id of the TCP server, and the CPU it is pinned to (-1: none). Writer: TCP server; of the CPU the first one, where several are moved. */
export const CTRL_TID = 1 * LINE + 2;
export const CTRL_CPU = 1 * LINE + 3;
/** SLEEP_*: how the TCP server sleeps. Writer: TCP server sets it, whoever wakes it clears it by compare-exchange. */
export const CTRL_SLEEP = 2 * LINE;
/** Non-zero: the TCP server ends, because it was told to, and app threads are to leave it. Writer: supervisor. */
export const CTRL_STOP = 3 * LINE;
/** Counts up when a channel's state changes, so that the TCP server looks at them. Writers: app threads, by `Atomics.add`. */
export const CTRL_CHANNELS = 3 * LINE + 1;
/** Turns of the loop, sleeps, and frames taken, modulo 2^32. Writer: TCP server. */
export const CTRL_TURNS = 4 * LINE;
export const CTRL_SLEEPS = 4 * LINE + 1;
/** Doorbells that app threads were sent. Writer: TCP server. */
export const CTRL_WAKES = 4 * LINE + 2;
/** Time spent in turns that had something to do, µs modulo 2^32. Writer: TCP server. */
export const CTRL_BUSY = 4 * LINE + 3;
/** Non-zero: the TCP server has no CPU of its own at present, and is not to look for work before it sleeps. Writer: the first TCP server. */
export const CTRL_CROWDED = 5 * LINE;
/** First of the stack's counters, STATS_LENGTH of 64 bits (tcp/stats.ts). Writer: TCP server. */
export const CTRL_COUNTERS = 8 * LINE;
const CTRL_WORDS = alignWords(CTRL_COUNTERS + 2 * STATS_LENGTH);

export const STATE_STARTING = 0;
export const STATE_RUNNING = 1;
export const STATE_DEAD = 2;
/** It has not come up; the supervisor, which knows why, makes STATE_DEAD of it. */
export const STATE_FAILED = 3;

export const SLEEP_AWAKE = 0;
/** In `Atomics.wait` on CTRL_SLEEP. */
export const SLEEP_WAIT = 1;
/** In `poll` on the NIC's descriptor and CTRL_EVENTFD. */
export const SLEEP_POLL = 2;

// Words of a channel, from its base.
/**
 * CHANNEL_*. Writers: an app thread claims a free one by compare-exchange; after that see each state. Whoever claims puts its
 * kernel's thread id above the low byte, so that a claim names its claimant from the first moment on.
 */
export const CH_STATE = 0;
/** Kernel's thread id of the app thread. Writer: app thread, before CHANNEL_ATTACHED. */
export const CH_TID = 1;
/** VIOLATION_* where the TCP server ended the channel. Writer: TCP server, before CHANNEL_FAILED. */
export const CH_VIOLATION = 2;
/** APP_* where the app thread sleeps and wants to be woken on this very word. Writer: app thread sets it, the TCP server clears it by compare-exchange. */
export const CH_SLEEP = 1 * LINE;
/** Position behind the last published submission. Writer: app thread. */
export const CH_SUBMIT_HEAD = 2 * LINE;
/** Position of the next submission to take. Writer: TCP server. */
export const CH_SUBMIT_TAIL = 3 * LINE;
/** The same pair for completions, writers the other way round. */
export const CH_COMPLETE_HEAD = 4 * LINE;
export const CH_COMPLETE_TAIL = 5 * LINE;
export const CH_ENTRIES = 6 * LINE;

export const CHANNEL_FREE = 0;
/** An app thread is filling it in: CHANNEL_CLAIMED | thread id << CLAIM_SHIFT. */
export const CHANNEL_CLAIMED = 1;
export const CLAIM_SHIFT = 8;
/** In use. */
export const CHANNEL_ATTACHED = 2;
/** The app thread has left in good order; what it wrote is still being sent. Writer: app thread. */
export const CHANNEL_LEFT = 3;
/** The TCP server ended it: the app thread broke the rules of the queues. Writer: TCP server. */
export const CHANNEL_FAILED = 4;

// Bits of CH_SLEEP.
/** Its event loop sleeps, in `Atomics.waitAsync`. */
export const APP_LOOP_SLEEPS = 1;
/** The thread itself sleeps, in a futex. */
export const APP_BLOCKED = 2;

/** Entries of a submission or completion queue: a power of two. */
export const QUEUE_ENTRIES = 4096;
/** Words of an entry: half a line. */
export const ENTRY_WORDS = 8;

const CHANNEL_WORDS = CH_ENTRIES + 2 * QUEUE_ENTRIES * ENTRY_WORDS;

/** Payload is handed out in blocks of this many bytes; a power of two. */
export const BLOCK_SHIFT = 14;
export const BLOCK_BYTES = 1 << BLOCK_SHIFT;

/** What the layout depends on. */
export interface LayoutSizes {
  /** App threads at most. */
  readonly maxApps: number;
  /** Connections at most. */
  readonly maxFlows: number;
  /** Blocks of the receive pool. */
  readonly receiveBlocks: number;
  /** Blocks of each app thread's send arena. */
  readonly sendBlocks: number;
}

/** Where each part of one shared memory lies. */
export class Layout {
  readonly sizes: LayoutSizes;
  /** Word of the first TCB. */
  readonly tcbBase: number;
  /** Word of the link of block 0: for each block the next one of its chain, or -1. */
  readonly linkBase: number;
  /** Byte of block 0; page-aligned. */
  readonly blockBase: number;
  readonly deviceBase: number;
  readonly byteLength: number;

  constructor(sizes: LayoutSizes) {
    this.sizes = sizes;
    this.tcbBase = alignWords(CTRL_WORDS + sizes.maxApps * CHANNEL_WORDS);
    this.linkBase = alignWords(this.tcbBase + sizes.maxFlows * TCB_WORDS);
    const blocks = sizes.receiveBlocks + sizes.maxApps * sizes.sendBlocks;
    this.blockBase = alignPage((this.linkBase + blocks) * 4);
    this.deviceBase = alignPage(this.blockBase + blocks * BLOCK_BYTES);
    this.byteLength = this.deviceBase + DEVICE_REGION_LENGTH + PAGE_BYTES;
    if (this.byteLength > MAX_BYTES) {
      throw new RangeError(
        `shared memory of ${this.byteLength} bytes is asked for, the limit is ${MAX_BYTES}: lower maxFlows, maxApps, receiveMemory or sendMemory`,
      );
    }
  }

  channelBase(channel: number): number {
    return CTRL_WORDS + channel * CHANNEL_WORDS;
  }

  submissionBase(channel: number): number {
    return this.channelBase(channel) + CH_ENTRIES;
  }

  completionBase(channel: number): number {
    return this.channelBase(channel) + CH_ENTRIES + QUEUE_ENTRIES * ENTRY_WORDS;
  }

  /** First block of a channel's send arena. Blocks 0 to receiveBlocks - 1 are the receive pool. */
  arenaBase(channel: number): number {
    return this.sizes.receiveBlocks + channel * this.sizes.sendBlocks;
  }
}

/** Places are kept as small integers by V8, so they must stay below 2^31. */
const MAX_BYTES = 2 ** 31 - 1;

function alignWords(words: number): number {
  return (words + LINE - 1) & ~(LINE - 1);
}

function alignPage(bytes: number): number {
  return Math.ceil(bytes / PAGE_BYTES) * PAGE_BYTES;
}

/**
 * The TCP server's end of one channel: takes the app thread's submissions, keeps what it must be told, and tells it.
 *
 * Nothing the app thread writes is taken on trust: every flow, position and block is checked against the TCP server's own
 * record. What breaks the rules ends this channel, and nothing else.
 */
import { ringApp, sleepWord } from './doorbell.js';
import { CHANNEL_FAILED, CHANNEL_FREE, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_STATE, CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID,
  CH_VIOLATION, CTRL_WAKES, QUEUE_ENTRIES } from './layout.js';
import type { Layout } from './layout.js';
import { QueueConsumer, QueueProducer } from './queue.js';

const NONE = -1;
/** Entries of `replies` from which on no more requests are taken: answers to as many as a queue holds. */
const REPLIES_MOST = 3 * QUEUE_ENTRIES;

export class ServerChannel {
  readonly index: number;
  /** First block of the app thread's send arena. */
  readonly arenaBase: number;
  /** Kernel's thread id of the app thread. */
  readonly tid: number;
  readonly submissions: QueueConsumer;
  readonly completions: QueueProducer;
  /** Flows that the app thread holds. */
  flows = 0;
  /** The app thread is not there any more, in good order: nothing is taken from it or told to it, and its flows come to their end. */
  left = false;
  /** Nor does it know: it may still be reading what it was given, so that stays as it is. */
  unawares = false;
  /** Local address of the next connect. */
  readonly bindAddress = new Int32Array(4);
  bound = false;
  /** Flows that it must be told of: a list through the flow table's `next`, first and last. */
  dirtyFirst = NONE;
  dirtyLast = NONE;
  /** Answers to requests that found the queue full, in order: triples of request, result, detail. */
  readonly replies: number[] = [];
  /** Listeners that it has closed, by request: answered once it was told of every connection that they were given. */
  readonly closings: number[] = [];
  /** A flow of the app thread found every block of the send arena taken: what is acknowledged next is urgent, once. */
  starved = false;
  #pushed = false;
  #urgent = false;
  readonly #words: Int32Array;
  readonly #sleepWord: Int32Array;
  readonly #base: number;

  /** @param bells the memory that the app thread sleeps in: that of the first TCP server, where there are several. */
  constructor(layout: Layout, words: Int32Array, bells: Int32Array, index: number) {
    this.index = index;
    this.arenaBase = layout.arenaBase(index);
    this.#words = words;
    this.#base = layout.channelBase(index);
    this.#sleepWord = sleepWord(bells, this.#base);
    this.tid = words[this.#base + CH_TID];
    this.submissions = new QueueConsumer(words, this.#base + CH_SUBMIT_HEAD, this.#base + CH_SUBMIT_TAIL, layout.submissionBase(index));
    this.completions = new QueueProducer(words, this.#base + CH_COMPLETE_HEAD, this.#base + CH_COMPLETE_TAIL, layout.completionBase(index));
  }

  /** Its submissions stay where they are: it has left, or does not take the answers to those before. */
  get held(): boolean {
    return this.left || this.replies.length + 3 * this.closings.length >= REPLIES_MOST;
  }

  /** Something is still to be told. */
  get backlogged(): boolean {
    return this.dirtyFirst !== NONE || this.replies.length > 0;
  }

  /** A free completion entry, or -1. `urgent`: the app thread is to be woken for it. */
  push(urgent: boolean): number {
    const at = this.completions.push();
    if (at < 0) return NONE;
    this.#pushed = true;
    if (urgent) this.#urgent = true;
    return at;
  }

  /** Publishes what was pushed in this turn; wakes the app thread where it sleeps and something is urgent. */
  publish(): void {
    if (!this.#pushed) return;
    this.completions.publish();
    this.#pushed = false;
    if (!this.#urgent) return;
    this.#urgent = false;
    this.wake();
  }

  /** See `starved`. What was acknowledged already may lie unseen in the queue, so the app thread looks once more. */
  starve(): void {
    this.starved = true;
    this.wake();
  }

  /** The app thread sleeps, or is about to. */
  get asleep(): boolean {
    return Atomics.load(this.#sleepWord, 0) !== 0;
  }

  wake(): void {
    if (ringApp(this.#sleepWord)) this.#words[CTRL_WAKES]++;
  }

  /** Ends the channel: the app thread finds out why at its next look. The last word about it. */
  fail(violation: number): void {
    this.#words[this.#base + CH_VIOLATION] = violation;
    Atomics.store(this.#words, this.#base + CH_STATE, CHANNEL_FAILED);
    this.wake();
  }

  /** The slot may be claimed by another app thread. The last word about it. */
  free(): void {
    Atomics.store(this.#words, this.#base + CH_STATE, CHANNEL_FREE);
  }
}

/**
 * An app thread's end of its channel to one TCP server: the two queues, and the flows that stand on them. What the thread waits for, and when it
 * submits, is app_port.ts's, for all its channels.
 */
import { alias } from '../nic/memory.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { ChannelFlow } from './app_flow.js';
import { AppMemory } from './app_streams.js';
import { CHANNEL_FAILED, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP, CH_STATE, CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID, CH_VIOLATION, CTRL_CHANNELS, CTRL_STATE, CTRL_STOP, CTRL_TID, CTRL_TURNS, STATE_DEAD } from './layout.js';
import type { Layout } from './layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, OP_MASK, violationText } from './messages.js';
import { QueueConsumer, QueueProducer } from './queue.js';
import { SystemClock } from './system_clock.js';

/** Completions taken before the event loop gets its turn. */
const BATCH = 256;
/** Where their callbacks take long it gets it sooner, for what they write leaves then: after so many µs, at which it looks after so many completions. */
const SLICE_US = 1000;
const LOOK = 8;

/** This thread's. */
const clock = new SystemClock();

/** What has something to tell that no completion brings. */
export interface Called {
  called(): void;
}

/** What a channel wants of the thread's port. */
export interface ChannelOwner {
  readonly sendBuffer: number;
  /** Something is to be submitted at the end of the tick. */
  planFlush(): void;
  /** The TCP server is to act now on what was submitted. @param channel by its index. */
  ring(channel: number): void;
  /** `called()` follows from the event loop, or where the thread waits itself. */
  callLater(one: Called): void;
  /** A listener of the thread, by its request, has a new connection. */
  accepted(flow: ChannelFlow, request: number): void;
  /** The answer to a request. */
  answered(channel: AppChannel, request: number, result: number, detail: number): void;
}

/** A submission that found the queue full: its words. */
type Submission = readonly number[];

export class AppChannel {
  /** Which of the TCP servers it leads to, from 0. */
  readonly index: number;
  readonly memory: AppMemory;
  readonly sendBuffer: number;
  readonly tcb: Tcb;
  /** Flows by the TCP server's numbers. */
  readonly #flows: (ChannelFlow | undefined)[] = [];
  readonly #owner: ChannelOwner;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #submissions: QueueProducer;
  readonly #completions: QueueConsumer;
  /** Requests that found the queue full, in order; nothing overtakes them. */
  #waiting: Submission[] = [];
  /** Flows to submit at the end of the tick, the first so many of the list; requests are pushed at once. A list cut to nothing would be garbage. */
  readonly #dirty: ChannelFlow[] = [];
  #dirtyCount = 0;
  /** Flows that found every block of the send arena taken, in the order they came. */
  #starved: ChannelFlow[] = [];
  #urgent = false;
  #turnsSeen = 0;

  /** @param number of the channel, which the thread `tid` has claimed. */
  constructor(owner: ChannelOwner, index: number, words: Int32Array, layout: Layout, number: number, tid: number) {
    const { bytes } = alias(words.buffer as SharedArrayBuffer);
    this.index = index;
    this.sendBuffer = owner.sendBuffer;
    this.memory = new AppMemory(layout, words, bytes, number);
    this.tcb = new Tcb(words, layout.tcbBase);
    this.#owner = owner;
    this.#words = words;
    const base = this.#base = layout.channelBase(number);
    for (const at of [CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP]) words[base + at] = 0;
    this.#submissions = new QueueProducer(words, base + CH_SUBMIT_HEAD, base + CH_SUBMIT_TAIL, layout.submissionBase(number));
    this.#completions = new QueueConsumer(words, base + CH_COMPLETE_HEAD, base + CH_COMPLETE_TAIL, layout.completionBase(number));
    words[base + CH_TID] = tid;
  }

  // ---- for the flows

  /** The flow has something to say; with `urgent` the TCP server is woken for it. */
  submitLater(flow: ChannelFlow, urgent: boolean): void {
    if (urgent) this.#urgent = true;
    if (flow.dirty || flow.index < 0) return;
    flow.dirty = true;
    this.#dirty[this.#dirtyCount++] = flow;
    this.#owner.planFlush();
  }

  /** `flow.blockCame()` follows once the send arena has a block. */
  waitForBlock(flow: ChannelFlow): void {
    if (flow.starved) return;
    flow.starved = true;
    this.#starved.push(flow);
  }

  callLater(one: Called): void {
    this.#owner.callLater(one);
  }

  // ---- submissions

  /** Submits a request. @param address four words. */
  submit(operation: number, request: number, address: Int32Array, word6: number, word7: number): void {
    const submission = [operation, request, ...address, word6, word7];
    if (this.#waiting.length > 0 || !this.#pushRequest(submission)) this.#waiting.push(submission);
    this.#urgent = true;
    this.#owner.planFlush();
  }

  /** Something is to be submitted, or the TCP server to be rung. */
  get hasSubmissions(): boolean {
    return this.#waiting.length > 0 || this.#dirtyCount > 0 || this.#urgent;
  }

  /** Publishes what is to be submitted, and rings where that is urgent. Returns false where there was no room for all of it. */
  flush(): boolean {
    const complete = this.push();
    if (this.#urgent || !complete) this.#owner.ring(this.index);
    this.#urgent = !complete;
    return complete;
  }

  /** Publishes what is to be submitted, as far as there is room: requests, then the flows that have changed. Returns whether that was all. */
  push(): boolean {
    let requests = 0;
    while (requests < this.#waiting.length && this.#pushRequest(this.#waiting[requests])) requests++;
    if (requests > 0) this.#waiting.splice(0, requests);
    const dirty = this.#dirty;
    let submitted = 0;
    for (; submitted < this.#dirtyCount; submitted++) {
      const flow = dirty[submitted];
      if (flow.optionsChanged && !this.#pushOptions(flow)) break;
      if (flow.fileChanged && !this.#pushFile(flow)) break;
      const at = this.#submissions.push();
      if (at < 0) break;
      flow.dirty = false;
      flow.writeSubmission(this.#words, at);
    }
    this.#submissions.publish();
    if (submitted > 0) dirty.copyWithin(0, submitted, this.#dirtyCount);
    this.#dirtyCount -= submitted;
    return this.#waiting.length === 0 && this.#dirtyCount === 0;
  }

  #pushRequest(submission: Submission): boolean {
    const at = this.#submissions.push();
    if (at < 0) return false;
    this.#words.set(submission, at);
    return true;
  }

  #pushOptions(flow: ChannelFlow): boolean {
    const at = this.#submissions.push();
    if (at >= 0) flow.writeOptions(this.#words, at);
    return at >= 0;
  }

  #pushFile(flow: ChannelFlow): boolean {
    const at = this.#submissions.push();
    if (at >= 0) flow.writeFile(this.#words, at);
    return at >= 0;
  }

  /** Waits for room for what is to be submitted, or for news of the TCP server, by `wait`. */
  waitForRoom(wait: (words: Int32Array, at: number, value: number) => void): void {
    const at = this.#base + CH_SUBMIT_TAIL;
    wait(this.#words, at, Atomics.load(this.#words, at));
  }

  // ---- completions

  /** Nothing is there to take. */
  get isQuiet(): boolean {
    return this.#completions.available() === 0;
  }

  /** Takes a batch of completions. Returns how many there were. */
  take(): number {
    const completions = this.#completions;
    const most = Math.min(completions.available(), BATCH);
    if (most > LOOK) clock.tick();
    const until = clock.now + SLICE_US;
    let taken = 0;
    try {
      while (taken < most) {
        taken++;
        this.#completion(completions.take());
        if (taken % LOOK !== 0) continue;
        clock.tick();
        if (clock.now >= until) break;
      }
    } finally {
      if (taken > 0) completions.release();
    }
    if (taken > 0 && this.#starved.length > 0) this.#feed();
    return taken;
  }

  #completion(at: number): void {
    const words = this.#words;
    switch (words[at] & OP_MASK) {
      case COMPLETE_FLOW: {
        const index = words[at + 1];
        const flow = this.#flows[index];
        if (flow === undefined || flow.generation !== words[at + 2]) return;
        if (flow.complete(words, at)) this.#flows[index] = undefined;
        return;
      }
      case COMPLETE_ACCEPT: {
        const flow = new ChannelFlow(this);
        this.opened(flow, words[at + 1], words[at + 2]);
        this.#owner.accepted(flow, words[at + 3]);
        return;
      }
      case COMPLETE_REPLY:
        this.#owner.answered(this, words[at + 1], words[at + 2], words[at + 3]);
    }
  }

  /** The flow has its name from now on. */
  opened(flow: ChannelFlow, index: number, generation: number): void {
    this.#flows[index] = flow;
    flow.open(index, generation);
  }

  /** As many flows as there are blocks may write; who gets none after all comes back to the end of the list. */
  #feed(): void {
    forEach(this.#starved.splice(0, this.memory.arena.available), tellOfBlock);
    // The TCP server is told again: what it had to tell of was taken just now.
    const [hungry] = this.#starved;
    if (hungry !== undefined) this.submitLater(hungry, true);
  }

  /**
   * The answer to a request, left where it is for `take`: its result; null while there is none.
   *
   * @param wait is called then, to wait until more is told.
   */
  peekAnswer(request: number, wait: (words: Int32Array, at: number, value: number) => void): number | null {
    const words = this.#words;
    const headAt = this.#base + CH_COMPLETE_HEAD;
    const head = Atomics.load(words, headAt);
    const at = this.#completions.find((entry) => (words[entry] & OP_MASK) === COMPLETE_REPLY && words[entry + 1] === request);
    if (at >= 0) return words[at + 2];
    this.push();
    wait(words, headAt, head);
    return null;
  }

  // ---- its beginning and its end

  /** CTRL_STATE of the TCP server. */
  get serverState(): number {
    return Atomics.load(this.#words, CTRL_STATE);
  }

  /** The TCP server was told to end. */
  get isStopping(): boolean {
    return Atomics.load(this.#words, CTRL_STOP) !== 0;
  }

  /** Why the TCP server has ended this channel; null where it has not. */
  get violation(): string | null {
    return Atomics.load(this.#words, this.#base + CH_STATE) === CHANNEL_FAILED ? violationText(this.#words[this.#base + CH_VIOLATION]) : null;
  }

  /**
   * The kernel's number of the TCP server's thread, where it has made no turn since the last time that this was asked, and so may be no more;
   * else 0.
   */
  stalledThread(): number {
    const turns = Atomics.load(this.#words, CTRL_TURNS);
    const stalled = turns === this.#turnsSeen;
    this.#turnsSeen = turns;
    return stalled ? this.#words[CTRL_TID] : 0;
  }

  /** The TCP server is no more: its thread has gone without saying so. */
  declareDead(): void {
    Atomics.store(this.#words, CTRL_STATE, STATE_DEAD);
  }

  /** Changes the channel's state and has the TCP server look at it. */
  announce(state: number): void {
    Atomics.store(this.#words, this.#base + CH_STATE, state);
    Atomics.add(this.#words, CTRL_CHANNELS, 1);
    this.#owner.ring(this.index);
  }

  /** Flows that have a name. */
  get flows(): ChannelFlow[] {
    return this.#flows.filter((flow) => flow !== undefined);
  }

  /** Nothing is taken or submitted any more. */
  clear(): void {
    this.#flows.length = 0;
    this.#dirty.length = this.#dirtyCount = 0;
    this.#starved.length = 0;
    this.#waiting.length = 0;
  }
}

function tellOfBlock(flow: ChannelFlow): void {
  flow.blockCame();
}

/** Acts on all of them, whatever one of them throws: those behind it then have their turn in one of the event loop's own. */
export function forEach<T>(items: readonly T[], act: (item: T) => void, from = 0): void {
  let next = from;
  try {
    while (next < items.length) act(items[next++]);
  } finally {
    if (next < items.length) setImmediate(forEach, items, act, next);
  }
}

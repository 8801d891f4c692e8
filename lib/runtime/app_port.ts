/**
 * An app thread's end of its channel to the TCP server.
 *
 * Submissions are gathered and leave once, at the end of the tick they were made in. Completions are taken a batch at a time. How the
 * thread rings and hears of the TCP server is app_tie.ts's.
 */
import { AsyncResource } from 'node:async_hooks';
import { existsSync, readlinkSync } from 'node:fs';
import { alias } from '../nic/memory.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { ECONNREFUSED, ECONNRESET, EINVAL } from '../tcp/errno.js';
import { isUnspecified, parseAddress } from '../tcp/wire/address.js';
import type { AppListener, ConnectOptions, FlowHandler, ListenHandler, ListenOptions } from './app_api.js';
import { ChannelFlow } from './app_flow.js';
import { AppMemory } from './app_streams.js';
import { tieTo } from './app_tie.js';
import type { ServerTie } from './app_tie.js';
import type { ServerHandle } from './config.js';
import { CHANNEL_ATTACHED, CHANNEL_CLAIMED, CHANNEL_FAILED, CHANNEL_FREE, CHANNEL_LEFT, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP, CH_STATE,
  CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID, CH_VIOLATION, CLAIM_SHIFT, CTRL_CHANNELS, CTRL_STATE, CTRL_STOP, CTRL_TID, CTRL_TURNS, CTRL_VERSION,
  LAYOUT_VERSION, Layout, STATE_DEAD, STATE_FAILED, STATE_STARTING } from './layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, DISTRIBUTIONS, LISTEN_DISTRIBUTION_SHIFT, LISTEN_IPV6_ONLY, OP_MASK, SUBMIT_BIND, SUBMIT_CONNECT,
  SUBMIT_LISTEN, SUBMIT_UNLISTEN, violationText } from './messages.js';
import { QueueConsumer, QueueProducer } from './queue.js';

/** What the pump runs in: else it would be the asynchronous context of whoever happened to submit something when it was planned. */
const outside = new AsyncResource('TCP_SERVER', { requireManualDestroy: true });

/** Completions taken before the event loop gets its turn. */
const BATCH = 256;
/** How often the thread looks whether its TCP server is still there, without a system call as long as it is. */
const WATCH_MS = 1000;
/** How long an app waits that asks for a port before the TCP server has said it: far longer than that takes, unless it is held up. */
const ANSWER_MS = 100;
/** The same while the TCP server is still coming up. */
const START_MS = 5000;
/** How long a thread that leaves waits for room for what is still to be submitted: as long as a TCP server that stops goes on. */
const DETACH_MS = 1000;

/** Why a thread cannot be attached. */
export class AttachError extends Error {
  readonly reason: 'version' | 'ended' | 'full';

  constructor(reason: AttachError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/** A submission that found the queue full: its words. */
type Submission = readonly number[];

/** A request that waits for its answer, or a listener. */
type Request =
  | { readonly kind: 'listen'; readonly handler: ListenHandler<ChannelFlow>; readonly host: string; readonly untilTaken: boolean; listening: boolean }
  | { readonly kind: 'connect'; readonly flow: ChannelFlow };

/** What has something to tell that no completion brings. */
interface Called {
  called(): void;
}

export class AppPort {
  readonly memory: AppMemory;
  readonly sendBuffer: number;
  readonly tcb: Tcb;
  /** Why the TCP server did not come up. Writer: the supervisor, in its own thread. */
  failure: Error | null = null;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #submissions: QueueProducer;
  readonly #completions: QueueConsumer;
  readonly #flows: (ChannelFlow | undefined)[] = [];
  readonly #requests = new Map<number, Request>();
  #lastRequest = 0;
  #alive = true;
  /**
   * Called once after each batch of completions, and whatever of `callLater` there was; what it submits leaves when it returns. Null: the
   * callbacks of flows and listeners are all that is wanted.
   */
  onBatch: (() => void) | null = null;
  readonly #endCallbacks: ((error: Error | null) => void)[] = [];
  /** Requests that found the queue full, in order; nothing overtakes them. */
  #waiting: Submission[] = [];
  /** Flows to submit at the end of the tick, the first so many of the list; requests are pushed at once. A list cut to nothing would be garbage. */
  readonly #dirty: ChannelFlow[] = [];
  #dirtyCount = 0;
  #called: Called[] = [];
  /** Flows that found every block of the send arena taken, in the order they came. */
  #starved: ChannelFlow[] = [];
  #flushPlanned = false;
  /** The event loop has been asked to flush. Where the thread waits itself it never comes to that, so it is asked once. */
  #tickQueued = false;
  #urgent = false;
  #refs = 0;
  readonly #tie: ServerTie;
  /** Also what keeps the event loop alive while somebody wants that. */
  readonly #watch: NodeJS.Timeout;
  #turnsSeen = 0;
  readonly #onExit = (): void => this.detach();
  readonly #onTick = (): void => {
    this.#tickQueued = false;
    if (this.#flushPlanned) this.#flush();
  };

  /**
   * Attaches the calling thread to a TCP server.
   *
   * @throws AttachError where the TCP server is no more, is of another version, or has no channel left.
   */
  constructor(handle: ServerHandle) {
    const words = new Int32Array(handle.memory);
    if (words[CTRL_VERSION] !== LAYOUT_VERSION) {
      throw new AttachError('version', 'The TCP server was started by another version of tcp-offload: let all threads load the same one');
    }
    if (Atomics.load(words, CTRL_STATE) === STATE_DEAD || Atomics.load(words, CTRL_STOP) !== 0) {
      throw new AttachError('ended', 'The TCP server has ended: call `await TcpServer.start()` again');
    }
    const layout = new Layout(handle.sizes);
    const { bytes } = alias(handle.memory);
    const tid = ownThreadId();
    const channel = claim(words, layout, tid);
    this.#words = words;
    this.#base = layout.channelBase(channel);
    this.sendBuffer = handle.sendBuffer;
    this.memory = new AppMemory(layout, words, bytes, channel);
    this.tcb = new Tcb(words, layout.tcbBase);
    const base = this.#base;
    for (const at of [CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP]) words[base + at] = 0;
    this.#submissions = new QueueProducer(words, base + CH_SUBMIT_HEAD, base + CH_SUBMIT_TAIL, layout.submissionBase(channel));
    this.#completions = new QueueConsumer(words, base + CH_COMPLETE_HEAD, base + CH_COMPLETE_TAIL, layout.completionBase(channel));
    words[base + CH_TID] = tid;
    this.#tie = tieTo(handle.memory, base + CH_SLEEP, this);
    this.#announce(CHANNEL_ATTACHED);
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
    process.once('exit', this.#onExit);
    this.#tie.pumpSoon();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /**
   * Called once where the TCP server ends and this thread has not left it before: with the error where it ended by itself, after
   * every flow has heard of it; with null where somebody has ended it, before the thread leaves.
   */
  onEnd(callback: (error: Error | null) => void): void {
    this.#endCallbacks.push(callback);
  }

  listen(options: ListenOptions, handler: ListenHandler<ChannelFlow>): AppListener {
    const host = options.host ?? '::';
    const request = this.#request({ kind: 'listen', handler, host, untilTaken: options.untilTaken === true, listening: false });
    const address = new Int32Array(4);
    if (!readAddress(host, address)) {
      this.#refuse(request, EINVAL);
      return { port: () => 0, close: () => {} };
    }
    const family = options.ipv6Only === true ? LISTEN_IPV6_ONLY : 0;
    const distribution = DISTRIBUTIONS.indexOf(options.distribution ?? 'least-connections') << LISTEN_DISTRIBUTION_SHIFT;
    this.#submit(SUBMIT_LISTEN | family | distribution, request, address, options.port, options.backlog);
    return { port: () => this.#awaitPort(request), close: () => this.#unlisten(request) };
  }

  connect(options: ConnectOptions, handler: FlowHandler): ChannelFlow {
    const flow = new ChannelFlow(this);
    flow.handler = handler;
    flow.asIPv6 = options.host.includes(':');
    const request = this.#request({ kind: 'connect', flow });
    const address = new Int32Array(4);
    const local = new Int32Array(4);
    if (!readAddress(options.host, address) || (options.localAddress !== undefined && !readAddress(options.localAddress, local))) {
      this.#refuse(request, EINVAL);
      return flow;
    }
    // Port 0 is nobody's (RFC 6335 6), and a SYN to it has no answer here.
    if (options.port === 0) {
      this.#refuse(request, ECONNREFUSED);
      return flow;
    }
    // As with the kernel, no address at all is this host's own.
    if (isUnspecified(address, 0)) readAddress(flow.asIPv6 ? '::1' : '127.0.0.1', address);
    if (!isUnspecified(local, 0)) this.#submit(SUBMIT_BIND, 0, local, 0, 0);
    this.#submit(SUBMIT_CONNECT, request, address, (options.port << 16) | (options.localPort ?? 0), 0);
    return flow;
  }

  /** Counted: while more `ref` than `unref` were called, the event loop stays alive. */
  ref(): void {
    if (this.#refs++ === 0) this.#watch.ref();
  }

  unref(): void {
    if (this.#refs > 0 && --this.#refs === 0) this.#watch.unref();
  }

  /** Leaves the TCP server: flows end in good order, what was written is still sent. */
  detach(): void {
    if (!this.#alive) return;
    this.#submitAll();
    for (const flow of this.#flows) flow?.abandon();
    for (const request of this.#requests.values()) if (request.kind === 'connect') request.flow.abandon();
    this.#end();
    this.#announce(CHANNEL_LEFT);
  }

  /** Submits everything that is to be submitted, and waits for room where there is none: there is no later. */
  #submitAll(): void {
    const words = this.#words;
    const tailAt = this.#base + CH_SUBMIT_TAIL;
    const until = performance.now() + DETACH_MS;
    while (!this.#push() && performance.now() < until && Atomics.load(words, CTRL_STATE) !== STATE_DEAD) {
      this.#tie.wait(tailAt, Atomics.load(words, tailAt));
    }
  }

  // ---- for a thread that waits itself

  /** Submits what is to be submitted, and takes what there is to tell. Returns how much that was. */
  poll(): number {
    this.#flushNow();
    this.#tie.advance();
    this.#checkStart();
    return this.#alive && !this.#isOver() ? this.#take() : 0;
  }

  /**
   * As `poll`, and blocks the thread, its event loop with it, until there is something to take or the time is over.
   *
   * @param ms at most; Infinity for no bound.
   */
  wait(ms: number): number {
    let taken = this.poll();
    for (let left = ms; taken === 0 && left > 0 && this.#alive; left -= WATCH_MS) {
      // What found the queue full is tried again soon.
      const timedOut = this.#tie.block(this.#flushPlanned ? 1 : Math.min(left, WATCH_MS));
      if (timedOut && !this.#flushPlanned) this.#look();
      taken = this.poll();
    }
    return taken;
  }

  /** Only the event loop hears why the TCP server did not come up, and it may not have its turn for long. */
  #checkStart(): void {
    if (!this.#alive || Atomics.load(this.#words, CTRL_STATE) !== STATE_FAILED) return;
    this.failure ??= new Error('it ended before it was up; `await TcpServer.start()`, in the thread that has started it, says why');
    this.#die(this.failure);
  }

  // ---- for the flows of this port

  /** The flow has something to say; with `urgent` the TCP server is woken for it. */
  submitLater(flow: ChannelFlow, urgent: boolean): void {
    if (urgent) this.#urgent = true;
    if (flow.dirty || flow.index < 0) return;
    flow.dirty = true;
    this.#dirty[this.#dirtyCount++] = flow;
    this.#planFlush();
  }

  /** `flow.blockCame()` follows once the send arena has a block. */
  waitForBlock(flow: ChannelFlow): void {
    if (flow.starved) return;
    flow.starved = true;
    this.#starved.push(flow);
  }

  /** `onBatch` follows from the event loop. */
  batchLater(): void {
    this.#tie.pumpSoon();
  }

  /** `called()` follows from the event loop, or where the thread waits itself. */
  callLater(one: Called): void {
    this.#called.push(one);
    this.#tie.pumpSoon();
  }

  // ---- submissions

  #request(request: Request): number {
    this.#lastRequest = (this.#lastRequest + 1) | 0;
    this.#requests.set(this.#lastRequest, request);
    return this.#lastRequest;
  }

  #unlisten(request: number): void {
    if (this.#alive && this.#requests.has(request)) this.#submit(SUBMIT_UNLISTEN, request, new Int32Array(4), 0, 0);
  }

  /** Looks through what the TCP server tells for the answer to a listen, and leaves it for the event loop to take. */
  #awaitPort(request: number): number {
    const words = this.#words;
    const answers = (at: number): boolean => (words[at] & OP_MASK) === COMPLETE_REPLY && words[at + 1] === request;
    const headAt = this.#base + CH_COMPLETE_HEAD;
    const until = performance.now() + (Atomics.load(words, CTRL_STATE) === STATE_STARTING ? START_MS : ANSWER_MS);
    while (this.#alive && Atomics.load(words, CTRL_STATE) !== STATE_DEAD) {
      const head = Atomics.load(words, headAt);
      const at = this.#completions.find(answers);
      if (at >= 0) return Math.max(words[at + 2], 0);
      if (performance.now() >= until) return 0;
      this.#push();
      this.#tie.wait(headAt, head);
    }
    return 0;
  }

  /** An answer that needs no TCP server, as late as one from it would be. */
  #refuse(request: number, errno: number): void {
    this.callLater({ called: () => this.#answer(request, -errno, 0) });
  }

  #submit(operation: number, request: number, address: Int32Array, word6: number, word7: number): void {
    const submission = [operation, request, ...address, word6, word7];
    if (this.#waiting.length > 0 || !this.#pushRequest(submission)) this.#waiting.push(submission);
    this.#urgent = true;
    this.#planFlush();
  }

  #pushRequest(submission: Submission): boolean {
    const at = this.#submissions.push();
    if (at < 0) return false;
    this.#words.set(submission, at);
    return true;
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    if (this.#tickQueued) return;
    this.#tickQueued = true;
    process.nextTick(this.#onTick);
  }

  /** What is to be submitted leaves at once; where there is no room for it, as soon as there is. */
  #flushNow(): void {
    if (this.#waiting.length > 0 || this.#dirtyCount > 0 || this.#urgent) this.#flush();
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (!this.#alive) return;
    const complete = this.#push();
    if (!complete) {
      // The queue drains at the TCP server's next turn.
      this.#flushPlanned = true;
      if (!this.#tickQueued) setImmediate(this.#onTick);
      this.#tickQueued = true;
    }
    if (this.#urgent || !complete) this.#tie.ring();
    this.#urgent = !complete;
  }

  /** Publishes what is to be submitted, as far as there is room: requests, then the flows that have changed. Returns whether that was all. */
  #push(): boolean {
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

  // ---- completions

  /** Takes a batch of what the TCP server tells, and finds out where it is no more. Returns how much there was. */
  pump(): number {
    return outside.runInAsyncScope(this.#pump, this);
  }

  #pump(): number {
    if (!this.#alive || this.#isOver()) return 0;
    if (this.onBatch === null) return this.#take();
    // No tick is planned for what is submitted meanwhile: it leaves below.
    this.#flushPlanned = true;
    try {
      const taken = this.#take();
      this.onBatch?.();
      return taken;
    } finally {
      this.#flush();
    }
  }

  #take(): number {
    const called = this.#callCalled();
    return called + this.#takeCompletions();
  }

  /** Nothing is there to take, now that the thread has said that it sleeps. */
  get isQuiet(): boolean {
    return this.#completions.available() === 0 && this.#called.length === 0 && !this.#isOver();
  }

  #takeCompletions(): number {
    const completions = this.#completions;
    const count = Math.min(completions.available(), BATCH);
    try {
      for (let i = 0; i < count; i++) this.#completion(completions.take());
    } finally {
      if (count > 0) completions.release();
    }
    if (count > 0 && this.#starved.length > 0) this.#feed();
    return count;
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
      case COMPLETE_ACCEPT:
        this.#accepted(words[at + 1], words[at + 2], words[at + 3]);
        return;
      case COMPLETE_REPLY:
        this.#answer(words[at + 1], words[at + 2], words[at + 3]);
    }
  }

  #accepted(index: number, generation: number, listener: number): void {
    const flow = new ChannelFlow(this);
    this.#flows[index] = flow;
    flow.open(index, generation);
    const request = this.#requests.get(listener);
    flow.asIPv6 = request?.kind === 'listen' && request.host.includes(':');
    if (request?.kind !== 'listen' || !request.untilTaken) flow.take(false);
    if (request?.kind === 'listen') request.handler.onConnection(flow);
    else flow.reset();
  }

  #answer(number: number, result: number, detail: number): void {
    const request = this.#requests.get(number);
    if (request === undefined) return;
    if (request.kind === 'connect') {
      this.#requests.delete(number);
      if (result < 0) {
        request.flow.fail(-result);
        return;
      }
      this.#flows[result] = request.flow;
      request.flow.open(result, detail);
    } else if (result < 0 || request.listening) {
      this.#requests.delete(number);
      if (result < 0) request.handler.onError(-result);
      request.handler.onClose();
    } else {
      request.listening = true;
      request.handler.onListening(request.host, result);
    }
  }

  /** As many flows as there are blocks may write; who gets none after all comes back to the end of the list. */
  #feed(): void {
    forEach(this.#starved.splice(0, this.memory.arena.available), tellOfBlock);
    // The TCP server is told again: what it had to tell of was taken just now.
    const [hungry] = this.#starved;
    if (hungry !== undefined) this.submitLater(hungry, true);
  }

  #callCalled(): number {
    if (this.#called.length === 0) return 0;
    const called = this.#called;
    this.#called = [];
    forEach(called, call);
    return called.length;
  }

  // ---- the end

  /** Finds out that the TCP server, or this channel, has ended, and tells everybody. */
  #isOver(): boolean {
    if (!this.#alive) return true;
    const words = this.#words;
    if (Atomics.load(words, CTRL_STOP) !== 0) {
      try {
        forEach(this.#endCallbacks, (callback) => callback(null));
      } finally {
        this.detach();
      }
      return true;
    }
    if (Atomics.load(words, CTRL_STATE) === STATE_DEAD) {
      this.#die(new Error('the TCP server has ended, and every connection with it'));
      return true;
    }
    if (Atomics.load(words, this.#base + CH_STATE) === CHANNEL_FAILED) {
      const fault = violationText(words[this.#base + CH_VIOLATION]);
      this.#announce(CHANNEL_LEFT);
      this.#die(new Error(`the TCP server has ended this thread's channel: it submitted ${fault}`));
      return true;
    }
    return false;
  }

  /**
   * Now and then: where the thread that started the TCP server was killed, the TCP server is killed with it, and nobody is there to say
   * so. One that lives makes turns, and only one that makes none is looked for.
   */
  #look(): void {
    const words = this.#words;
    const turns = Atomics.load(words, CTRL_TURNS);
    const tid = words[CTRL_TID];
    if (turns === this.#turnsSeen && tid !== 0 && !existsSync(`/proc/self/task/${tid}`)) Atomics.store(words, CTRL_STATE, STATE_DEAD);
    this.#turnsSeen = turns;
    // Not out of a timer: what a callback throws then is as with any other end.
    if (Atomics.load(words, CTRL_STATE) === STATE_DEAD) setImmediate(() => this.pump());
  }

  #die(error: Error): void {
    const flows = this.#flows.filter((flow) => flow !== undefined);
    const requests = [...this.#requests.values()];
    this.#end();
    forEach([
      ...flows.map((flow) => () => flow.fail(ECONNRESET)),
      ...requests.map((request) => () => {
        if (request.kind === 'connect') request.flow.fail(ECONNRESET);
        else request.handler.onClose();
      }),
      ...this.#endCallbacks.map((callback) => () => callback(error)),
    ], (tell) => tell());
  }

  #end(): void {
    this.#alive = false;
    clearInterval(this.#watch);
    process.removeListener('exit', this.#onExit);
    this.#flows.length = 0;
    this.#requests.clear();
    this.#dirty.length = this.#dirtyCount = 0;
    this.#starved.length = 0;
    this.#waiting.length = 0;
  }

  /** Changes the channel's state and has the TCP server look at it. */
  #announce(state: number): void {
    Atomics.store(this.#words, this.#base + CH_STATE, state);
    Atomics.add(this.#words, CTRL_CHANNELS, 1);
    this.#tie.ring();
  }
}

/** Claims a free channel for the thread `tid`; @throws AttachError where all are taken. */
function claim(words: Int32Array, layout: Layout, tid: number): number {
  for (let channel = 0; channel < layout.sizes.maxApps; channel++) {
    const at = layout.channelBase(channel) + CH_STATE;
    if (Atomics.compareExchange(words, at, CHANNEL_FREE, CHANNEL_CLAIMED | (tid << CLAIM_SHIFT)) === CHANNEL_FREE) return channel;
  }
  const most = layout.sizes.maxApps;
  throw new AttachError('full', `All ${most} places for app threads of the TCP server are taken: start it with a larger maxApps`);
}

/** Acts on all of them, whatever one of them throws: those behind it then have their turn in one of the event loop's own. */
function forEach<T>(items: readonly T[], act: (item: T) => void, from = 0): void {
  let next = from;
  try {
    while (next < items.length) act(items[next++]);
  } finally {
    if (next < items.length) setImmediate(forEach, items, act, next);
  }
}

function tellOfBlock(flow: ChannelFlow): void {
  flow.blockCame();
}

function call(one: Called): void {
  one.called();
}

/** Kernel's number of the calling thread, by which the TCP server finds out that it is no more. */
export function ownThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').pop());
}

/** Reads an address. A zone, as in "fe80::1%eth0", says nothing new: a TCP server is on one link. */
function readAddress(text: string, address: Int32Array): boolean {
  const zone = text.indexOf('%');
  return parseAddress(zone < 0 ? text : text.slice(0, zone), address, 0);
}

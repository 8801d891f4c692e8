/**
 * An app thread's end of its channel to the TCP server.
 *
 * Submissions are gathered and leave once, at the end of the tick they were made in. Completions are taken a batch at a
 * time; before it sleeps the thread looks again for a few turns of its event loop, because a wake-up costs more than a look.
 * The sleep itself is `Atomics.waitAsync`: the event loop goes on with everything else.
 */
import { readlinkSync } from 'node:fs';
import { alias } from '../nic/memory.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { ECONNRESET, EINVAL } from '../tcp/errno.js';
import { isUnspecified, parseAddress } from '../tcp/wire/address.js';
import type { AppFlow, AppListener, ConnectOptions, FlowHandler, ListenHandler, ListenOptions } from './app_api.js';
import { ChannelFlow } from './app_flow.js';
import { AppMemory } from './app_streams.js';
import type { ServerHandle } from './config.js';
import { ringServer } from './doorbell.js';
import { CHANNEL_ATTACHED, CHANNEL_CLAIMED, CHANNEL_FAILED, CHANNEL_FREE, CHANNEL_LEFT, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP, CH_STATE,
  CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID, CH_VIOLATION, CTRL_CHANNELS, CTRL_STATE, CTRL_VERSION, LAYOUT_VERSION, Layout, STATE_DEAD } from './layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, OP_MASK, SUBMIT_BIND, SUBMIT_CONNECT, SUBMIT_LISTEN, SUBMIT_UNLISTEN,
  violationText } from './messages.js';
import { QueueConsumer, QueueProducer } from './queue.js';

/** Completions taken before the event loop gets its turn. */
const BATCH = 256;
/** Turns of the event loop in which the thread looks again before it sleeps. */
const LOOKS = 2;
const FOREVER_MS = 0x7fffffff;

/** A request that waits for its answer, or a listener. */
type Request =
  | { readonly kind: 'listen'; readonly handler: ListenHandler; readonly host: string; listening: boolean }
  | { readonly kind: 'connect'; readonly flow: ChannelFlow };

export class AppPort {
  readonly memory: AppMemory;
  readonly sendBuffer: number;
  readonly tcb: Tcb;
  readonly #words: Int32Array;
  readonly #base: number;
  readonly #submissions: QueueProducer;
  readonly #completions: QueueConsumer;
  readonly #flows: (ChannelFlow | undefined)[] = [];
  readonly #requests = new Map<number, Request>();
  #lastRequest = 0;
  #alive = true;
  readonly #deathCallbacks: ((error: Error) => void)[] = [];
  /** Flows to submit at the end of the tick; requests are pushed at once. */
  #dirty: ChannelFlow[] = [];
  #called: ChannelFlow[] = [];
  /** Flows that found every block of the send arena taken, in the order they came. */
  #starved: ChannelFlow[] = [];
  #flushPlanned = false;
  #urgent = false;
  #looks = 0;
  #refs = 0;
  readonly #keepAlive: NodeJS.Timeout;
  readonly #onExit = (): void => this.detach();
  readonly #onFlush = (): void => this.#flush();
  readonly #onPump = (): void => this.#pump();
  // The pump runs as a tick, so that what a callback throws is an uncaught exception and not an unhandled rejection.
  readonly #onWake = (): void => process.nextTick(this.#onPump);

  /**
   * Attaches the calling thread to a TCP server.
   *
   * @throws Error where the TCP server is no more, is of another version, or has no channel left.
   */
  constructor(handle: ServerHandle) {
    const words = new Int32Array(handle.memory);
    if (words[CTRL_VERSION] !== LAYOUT_VERSION) throw new Error('the TCP server was started by another version of tcp-offload: let all threads load the same one');
    if (Atomics.load(words, CTRL_STATE) === STATE_DEAD) throw new Error('the TCP server has ended: start it again');
    const layout = new Layout(handle.sizes);
    const channel = claim(words, layout);
    this.#words = words;
    this.#base = layout.channelBase(channel);
    this.sendBuffer = handle.sendBuffer;
    this.memory = new AppMemory(layout, words, alias(handle.memory).bytes, channel);
    this.tcb = new Tcb(words, layout.tcbBase);
    const base = this.#base;
    for (const at of [CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SLEEP]) words[base + at] = 0;
    this.#submissions = new QueueProducer(words, base + CH_SUBMIT_HEAD, base + CH_SUBMIT_TAIL, layout.submissionBase(channel));
    this.#completions = new QueueConsumer(words, base + CH_COMPLETE_HEAD, base + CH_COMPLETE_TAIL, layout.completionBase(channel));
    words[base + CH_TID] = ownThreadId();
    this.#announce(CHANNEL_ATTACHED);
    this.#keepAlive = setInterval(() => {}, FOREVER_MS);
    this.#keepAlive.unref();
    process.once('exit', this.#onExit);
    this.#sleep();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Called once where the TCP server ends by itself, after every flow has heard of it. */
  onDeath(callback: (error: Error) => void): void {
    this.#deathCallbacks.push(callback);
  }

  listen(options: ListenOptions, handler: ListenHandler): AppListener {
    const request = this.#request({ kind: 'listen', handler, host: options.host ?? '0.0.0.0', listening: false });
    const address = new Int32Array(4);
    if (options.host !== null && options.host !== '0.0.0.0' && !parseAddress(options.host, address, 0)) {
      this.#refuse(request, EINVAL);
      return { close: () => {} };
    }
    this.#submit(SUBMIT_LISTEN, request, address, options.port, options.backlog);
    return { close: () => this.#unlisten(request) };
  }

  connect(options: ConnectOptions, handler: FlowHandler): AppFlow {
    const flow = new ChannelFlow(this);
    flow.handler = handler;
    const request = this.#request({ kind: 'connect', flow });
    const address = new Int32Array(4);
    if (options.localAddress !== undefined) {
      if (!parseAddress(options.localAddress, address, 0)) {
        this.#refuse(request, EINVAL);
        return flow;
      }
      if (!isUnspecified(address, 0)) this.#submit(SUBMIT_BIND, 0, address, 0, 0);
    }
    if (!parseAddress(options.host, address, 0)) this.#refuse(request, EINVAL);
    else this.#submit(SUBMIT_CONNECT, request, address, (options.port << 16) | (options.localPort ?? 0), 0);
    return flow;
  }

  /** Counted: while more `ref` than `unref` were called, the event loop stays alive. */
  ref(): void {
    if (this.#refs++ === 0) this.#keepAlive.ref();
  }

  unref(): void {
    if (this.#refs > 0 && --this.#refs === 0) this.#keepAlive.unref();
  }

  /** Leaves the TCP server: flows end in good order, what was written is still sent. */
  detach(): void {
    if (!this.#alive) return;
    this.#flush();
    this.#end();
    this.#announce(CHANNEL_LEFT);
  }

  // ---- for the flows of this port

  /** The flow has something to say; with `urgent` the TCP server is woken for it. */
  submitLater(flow: ChannelFlow, urgent: boolean): void {
    if (urgent) this.#urgent = true;
    if (flow.dirty || flow.index < 0) return;
    flow.dirty = true;
    this.#dirty.push(flow);
    this.#planFlush();
  }

  /** `flow.blockCame()` follows once the send arena has a block. */
  waitForBlock(flow: ChannelFlow): void {
    if (flow.starved) return;
    flow.starved = true;
    this.#starved.push(flow);
  }

  /** `flow.called()` follows from the event loop. */
  callLater(flow: ChannelFlow): void {
    this.#called.push(flow);
    setImmediate(this.#onPump);
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

  /** An answer that needs no TCP server, as late as one from it would be. */
  #refuse(request: number, errno: number): void {
    setImmediate(() => this.#answer(request, -errno, 0));
  }

  #submit(operation: number, request: number, address: Int32Array, word6: number, word7: number): void {
    const at = this.#submissions.push();
    if (at < 0) {
      // The queue drains at the TCP server's next turn; requests are rare, so they may come in late and in order.
      const later = address.slice();
      this.#submissions.publish();
      ringServer(this.#words);
      setImmediate(() => this.#submit(operation, request, later, word6, word7));
      return;
    }
    const words = this.#words;
    words[at] = operation;
    words[at + 1] = request;
    words.set(address, at + 2);
    words[at + 6] = word6;
    words[at + 7] = word7;
    this.#urgent = true;
    this.#planFlush();
  }

  #planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    process.nextTick(this.#onFlush);
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (!this.#alive) return;
    const dirty = this.#dirty;
    let submitted = 0;
    for (; submitted < dirty.length; submitted++) {
      const at = this.#submissions.push();
      if (at < 0) break;
      dirty[submitted].dirty = false;
      dirty[submitted].writeSubmission(this.#words, at);
    }
    this.#submissions.publish();
    if (submitted < dirty.length) {
      this.#dirty = dirty.slice(submitted);
      this.#flushPlanned = true;
      setImmediate(this.#onFlush);
      ringServer(this.#words);
      return;
    }
    dirty.length = 0;
    if (this.#urgent) ringServer(this.#words);
    this.#urgent = false;
  }

  // ---- completions

  /** Takes a batch; then looks again, goes on, or sleeps. */
  #pump(): void {
    if (!this.#alive) return;
    if (this.#isOver()) return;
    let taken = BATCH;
    try {
      this.#callCalled();
      taken = this.#takeCompletions();
    } finally {
      // Also where a callback has thrown: the rest of the batch is taken in the next turn.
      if (taken > 0) this.#looks = LOOKS;
      if (taken > 0 || this.#looks-- > 0) setImmediate(this.#onPump);
      else this.#sleep();
    }
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
    flow.open(index, generation, true);
    const request = this.#requests.get(listener);
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
      request.flow.open(result, detail, false);
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
    const fed = this.#starved.splice(0, this.memory.arena.available);
    for (const flow of fed) flow.blockCame();
    // The TCP server is told again: what it had to tell of was taken just now.
    const [hungry] = this.#starved;
    if (hungry !== undefined) this.submitLater(hungry, true);
  }

  #callCalled(): void {
    if (this.#called.length === 0) return;
    const called = this.#called;
    this.#called = [];
    for (const flow of called) flow.called();
  }

  /** See doorbell.ts: says that it sleeps, looks once more, and only then waits. */
  #sleep(): void {
    const words = this.#words;
    const sleepAt = this.#base + CH_SLEEP;
    this.#looks = 0;
    Atomics.store(words, sleepAt, 1);
    if (this.#completions.available() !== 0 || this.#isOver()) {
      Atomics.store(words, sleepAt, 0);
      if (this.#alive) setImmediate(this.#onPump);
      return;
    }
    const wait = Atomics.waitAsync(words, sleepAt, 1);
    if (wait.async) void wait.value.then(this.#onWake);
    else setImmediate(this.#onPump);
  }

  // ---- the end

  /** Finds out that the TCP server, or this channel, has ended, and tells everybody. */
  #isOver(): boolean {
    if (!this.#alive) return true;
    const words = this.#words;
    if (Atomics.load(words, CTRL_STATE) === STATE_DEAD) {
      this.#die(new Error('the TCP server has ended, and every connection with it'));
      return true;
    }
    if (Atomics.load(words, this.#base + CH_STATE) === CHANNEL_FAILED) {
      this.#die(new Error(`the TCP server has ended this thread's channel: it submitted ${violationText(words[this.#base + CH_VIOLATION])}`));
      this.#announce(CHANNEL_LEFT);
      return true;
    }
    return false;
  }

  #die(error: Error): void {
    const flows = this.#flows.filter((flow) => flow !== undefined);
    const requests = [...this.#requests.values()];
    this.#end();
    for (const flow of flows) flow.fail(ECONNRESET);
    for (const request of requests) {
      if (request.kind === 'connect') request.flow.fail(ECONNRESET);
      else request.handler.onClose();
    }
    for (const callback of this.#deathCallbacks) callback(error);
  }

  #end(): void {
    this.#alive = false;
    clearInterval(this.#keepAlive);
    process.removeListener('exit', this.#onExit);
    this.#flows.length = 0;
    this.#requests.clear();
    this.#dirty.length = 0;
    this.#starved.length = 0;
  }

  /** Changes the channel's state and has the TCP server look at it. */
  #announce(state: number): void {
    Atomics.store(this.#words, this.#base + CH_STATE, state);
    Atomics.add(this.#words, CTRL_CHANNELS, 1);
    ringServer(this.#words);
  }
}

/** Claims a free channel; @throws Error where all are taken. */
function claim(words: Int32Array, layout: Layout): number {
  for (let channel = 0; channel < layout.sizes.maxApps; channel++) {
    const at = layout.channelBase(channel) + CH_STATE;
    if (Atomics.compareExchange(words, at, CHANNEL_FREE, CHANNEL_CLAIMED) === CHANNEL_FREE) return channel;
  }
  throw new Error(`all ${layout.sizes.maxApps} app threads of the TCP server are attached: start it with a larger maxApps`);
}

/** Kernel's number of the calling thread, by which the TCP server finds out that it is no more. */
function ownThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').pop());
}

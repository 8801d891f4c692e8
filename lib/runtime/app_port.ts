/**
 * An app thread's end of its TCP server, or of all of them where there are several: a channel to each, of which the thread submits and takes in batches.
 *
 * Submissions are gathered and leave once, at the end of the tick they were made in. Completions are taken a batch at a time. How the
 * thread rings and hears of the TCP server is app_tie.ts's.
 */
import { AsyncResource } from 'node:async_hooks';
import { existsSync } from 'node:fs';
import { ECONNREFUSED, ECONNRESET, EINVAL } from '../tcp/errno.js';
import { shareOf } from '../tcp/share.js';
import { isUnspecified, parseAddress } from '../tcp/wire/address.js';
import type { AppListener, ConnectOptions, FlowHandler, ListenHandler, ListenOptions } from './app_api.js';
import { claimChannel, ownThreadId } from './app_attach.js';
import { AppChannel, forEach } from './app_channel.js';
import type { Called, ChannelOwner } from './app_channel.js';
import { ChannelFlow } from './app_flow.js';
import { NO_LISTENER, ThreadListener } from './app_listener.js';
import { tieTo } from './app_tie.js';
import { sleepWord } from './doorbell.js';
import type { ServerTie } from './app_tie.js';
import type { ServerHandle } from './config.js';
import { CHANNEL_ATTACHED, CHANNEL_LEFT, Layout, STATE_DEAD, STATE_FAILED, STATE_STARTING } from './layout.js';
import { SUBMIT_BIND, SUBMIT_CONNECT } from './messages.js';

/** What the pump runs in: else it would be the asynchronous context of whoever happened to submit something when it was planned. */
const outside = new AsyncResource('TCP_SERVER', { requireManualDestroy: true });

/** How often the thread looks whether its TCP server is still there, without a system call as long as it is. */
const WATCH_MS = 1000;
/** How long an app waits that asks for a port before the TCP server has said it: far longer than that takes, unless it is held up. */
const ANSWER_MS = 100;
/** The same while the TCP server is still coming up. */
const START_MS = 5000;
/** How long a thread that leaves waits for room for what is still to be submitted: as long as a TCP server that stops goes on. */
const DETACH_MS = 1000;

/** A listener, or a request that waits for its answer. */
type Request = { readonly kind: 'listen'; readonly listener: ThreadListener } | { readonly kind: 'connect'; readonly flow: ChannelFlow };

export class AppPort implements ChannelOwner {
  readonly sendBuffer: number;
  /** One to each of the TCP servers. */
  readonly channels: readonly AppChannel[];
  /** Why the TCP server did not come up. Writer: the supervisor, in its own thread. */
  failure: Error | null = null;
  readonly #key: number;
  readonly #requests = new Map<number, Request>();
  #lastRequest = 0;
  #alive = true;
  /**
   * Called once after each batch of completions, and whatever of `callLater` there was; what it submits leaves when it returns. Null: the
   * callbacks of flows and listeners are all that is wanted.
   */
  onBatch: (() => void) | null = null;
  readonly #endCallbacks: ((error: Error | null) => void)[] = [];
  #called: Called[] = [];
  #flushPlanned = false;
  /** The event loop has been asked to flush. Where the thread waits itself it never comes to that, so it is asked once. */
  #tickQueued = false;
  /** Somebody has said that more is to come in this tick. */
  #gathers = false;
  #refs = 0;
  /** Connections that wait for listeners to be open. */
  readonly #held: (() => void)[] = [];
  /** Where the next connection goes that may go anywhere. */
  #nextChannel = 0;
  readonly #tie: ServerTie;
  /** Also what keeps the event loop alive while somebody wants that. */
  readonly #watch: NodeJS.Timeout;
  readonly #onExit = (): void => this.detach();
  readonly #onTick = (): void => {
    if (this.#gathers) {
      this.#gathers = false;
      // Microtasks come when the queue of ticks is empty.
      queueMicrotask(this.#onTicksDone);
      return;
    }
    this.#tickQueued = false;
    if (this.#flushPlanned) this.#flush();
  };
  readonly #onTicksDone = (): void => {
    // What microtasks before this one have begun goes on in ticks of its own.
    if (this.#gathers) process.nextTick(this.#onTick);
    else this.#onTick();
  };

  /**
   * Attaches the calling thread to a TCP server.
   *
   * @throws AttachError where the TCP server is no more, is of another version, or has no channel left.
   */
  constructor(handle: ServerHandle) {
    const servers = [handle.memory, ...handle.others].map((memory) => new Int32Array(memory));
    const layout = new Layout(handle.sizes);
    const tid = ownThreadId();
    const number = claimChannel(servers, layout, tid);
    this.sendBuffer = handle.sendBuffer;
    this.#key = handle.key;
    this.channels = servers.map((words, index) => new AppChannel(this, index, words, layout, number, tid));
    this.#tie = tieTo(handle.memory, servers, sleepWord(servers[0], layout.channelBase(number)), this);
    for (const channel of this.channels) channel.announce(CHANNEL_ATTACHED);
    this.#watch = setInterval(() => this.#look(), WATCH_MS);
    this.#watch.unref();
    process.once('exit', this.#onExit);
    this.#tie.pumpSoon();
  }

  get alive(): boolean {
    return this.#alive;
  }

  /** Connections and listeners may be asked for: it is alive, and nobody has told a TCP server to end, which the thread may not have heard yet. */
  get isOpen(): boolean {
    return this.#alive && !this.channels.some((channel) => channel.isStopping);
  }

  /**
   * Called once where the TCP server ends and this thread has not left it before: with the error where it ended by itself, after
   * every flow has heard of it; with null where somebody has ended it, before the thread leaves.
   */
  onEnd(callback: (error: Error | null) => void): void {
    this.#endCallbacks.push(callback);
  }

  listen(options: ListenOptions, handler: ListenHandler<ChannelFlow>): AppListener {
    const address = new Int32Array(4);
    const number = this.#nextRequest();
    const listener = new ThreadListener(this.channels, number, handler, address, options);
    this.#requests.set(number, { kind: 'listen', listener });
    if (!readAddress(options.host ?? '::', address)) {
      this.#refuse(number, EINVAL);
      return NO_LISTENER;
    }
    listener.open();
    return {
      port: () => this.#awaitPort(number),
      close: () => {
        if (this.#alive && this.#requests.has(number)) listener.close();
      },
    };
  }

  connect(options: ConnectOptions, handler: FlowHandler): ChannelFlow {
    const { port, localPort = 0 } = options;
    const channel = this.#channelFor(port, localPort);
    const flow = new ChannelFlow(channel);
    flow.handler = handler;
    flow.asIPv6 = options.host.includes(':');
    const number = this.#nextRequest();
    this.#requests.set(number, { kind: 'connect', flow });
    const address = new Int32Array(4);
    const local = new Int32Array(4);
    if (!readAddress(options.host, address) || (options.localAddress !== undefined && !readAddress(options.localAddress, local))) {
      this.#refuse(number, EINVAL);
      return flow;
    }
    // Port 0 is nobody's (RFC 6335 6), and a SYN to it has no answer here.
    if (port === 0) {
      this.#refuse(number, ECONNREFUSED);
      return flow;
    }
    // As with the kernel, no address at all is this host's own.
    if (isUnspecified(address, 0)) readAddress(flow.asIPv6 ? '::1' : '127.0.0.1', address);
    const submit = (): void => {
      if (!isUnspecified(local, 0)) channel.submit(SUBMIT_BIND, 0, local, 0, 0);
      channel.submit(SUBMIT_CONNECT, number, address, (port << 16) | localPort, 0);
    };
    // It may be meant for a listener of this thread, which listens at once where Node's own do.
    if (this.#isOpening) this.#held.push(submit);
    else submit();
    return flow;
  }

  /** A listener of the thread is open at some of the TCP servers and not at all of them yet. */
  get #isOpening(): boolean {
    if (this.channels.length === 1) return false;
    for (const request of this.#requests.values()) if (request.kind === 'listen' && request.listener.isOpening) return true;
    return false;
  }

  /** The TCP server that has a connection between these ports; where the local one is not chosen yet, they take turns. */
  #channelFor(port: number, localPort: number): AppChannel {
    const { channels } = this;
    if (localPort !== 0) return channels[shareOf(port, localPort, channels.length, this.#key)];
    this.#nextChannel = (this.#nextChannel + 1) % channels.length;
    return channels[this.#nextChannel];
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
    const until = performance.now() + DETACH_MS;
    for (const channel of this.channels) this.#submitAll(channel, until);
    for (const channel of this.channels) for (const flow of channel.flows) flow.abandon();
    for (const request of this.#requests.values()) if (request.kind === 'connect') request.flow.abandon();
    this.#end();
    this.#announceLeft();
  }

  /** Submits everything that is to be submitted, and waits for room where there is none: there is no later. */
  #submitAll(channel: AppChannel, until: number): void {
    while (!channel.push() && performance.now() < until && channel.serverState !== STATE_DEAD) {
      channel.waitForRoom((words, at, value) => this.#tie.wait(channel.index, words, at, value));
    }
  }

  #announceLeft(): void {
    for (const channel of this.channels) channel.announce(CHANNEL_LEFT);
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
    if (!this.#alive || !this.#hasFailed()) return;
    this.failure ??= new Error('it ended before it was up; `await TcpServer.start()`, in the thread that has started it, says why');
    this.#die(this.failure);
  }

  /** One of the TCP servers has not come up. */
  #hasFailed(): boolean {
    for (let i = 0; i < this.channels.length; i++) if (this.channels[i].serverState === STATE_FAILED) return true;
    return false;
  }

  // ---- for the channels, and their flows

  /** What is submitted in this tick leaves once nothing is left to do in it: the queue of ticks is empty, those that others of them have queued included. */
  gather(): void {
    this.#gathers = true;
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

  ring(channel: number): void {
    this.#tie.ring(channel);
  }

  // ---- submissions

  #nextRequest(): number {
    return (this.#lastRequest = (this.#lastRequest + 1) | 0);
  }

  /** Looks through what the first TCP server tells for the answer to a listen, and leaves it for the event loop to take. */
  #awaitPort(request: number): number {
    const [first] = this.channels;
    const until = performance.now() + (first.serverState === STATE_STARTING ? START_MS : ANSWER_MS);
    while (this.#alive && first.serverState !== STATE_DEAD) {
      const late = performance.now() >= until;
      const answer = first.peekAnswer(request, (words, at, value) => {
        if (!late) this.#tie.wait(first.index, words, at, value);
      });
      if (answer !== null) return Math.max(answer, 0);
      if (late) return 0;
    }
    return 0;
  }

  /** An answer that needs no TCP server, as late as one from it would be. */
  #refuse(request: number, errno: number): void {
    this.callLater({ called: () => this.answered(this.channels[0], request, -errno, 0) });
  }

  planFlush(): void {
    if (this.#flushPlanned) return;
    this.#flushPlanned = true;
    if (this.#tickQueued) return;
    this.#tickQueued = true;
    process.nextTick(this.#onTick);
  }

  /** What is to be submitted leaves at once; where there is no room for it, as soon as there is. */
  #flushNow(): void {
    for (let i = 0; i < this.channels.length; i++) {
      if (!this.channels[i].hasSubmissions) continue;
      this.#flush();
      return;
    }
  }

  #flush(): void {
    this.#flushPlanned = false;
    if (!this.#alive) return;
    let complete = true;
    for (let i = 0; i < this.channels.length; i++) if (!this.channels[i].flush()) complete = false;
    if (complete) return;
    // The queue drains at the TCP server's next turn.
    this.#flushPlanned = true;
    if (!this.#tickQueued) setImmediate(this.#onTick);
    this.#tickQueued = true;
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
    let taken = this.#callCalled();
    for (let i = 0; this.#alive && i < this.channels.length; i++) taken += this.channels[i].take();
    return taken;
  }

  /** Nothing is there to take, now that the thread has said that it sleeps. */
  get isQuiet(): boolean {
    for (let i = 0; i < this.channels.length; i++) if (!this.channels[i].isQuiet) return false;
    return this.#called.length === 0 && !this.#isOver();
  }

  accepted(flow: ChannelFlow, number: number): void {
    const request = this.#requests.get(number);
    if (request?.kind === 'listen') request.listener.accepted(flow);
    else flow.reset();
  }

  answered(channel: AppChannel, number: number, result: number, detail: number): void {
    const request = this.#requests.get(number);
    if (request === undefined) return;
    if (request.kind === 'connect') {
      this.#requests.delete(number);
      if (result < 0) request.flow.fail(-result);
      else channel.opened(request.flow, result, detail);
      return;
    }
    let isOver = false;
    try {
      isOver = request.listener.answered(channel, result);
    } finally {
      if (isOver) this.#requests.delete(number);
      if (this.#held.length > 0 && !this.#isOpening) for (const submit of this.#held.splice(0)) submit();
    }
    if (isOver) request.listener.over();
  }

  #callCalled(): number {
    if (this.#called.length === 0) return 0;
    const called = this.#called;
    this.#called = [];
    forEach(called, call);
    return called.length;
  }

  // ---- the end

  /** Finds out that a TCP server, or the channel to it, has ended, and tells everybody. */
  #isOver(): boolean {
    for (let i = 0; this.#alive && i < this.channels.length; i++) this.#checkEnd(this.channels[i]);
    return !this.#alive;
  }

  #checkEnd(channel: AppChannel): void {
    if (channel.isStopping) {
      try {
        forEach(this.#endCallbacks, (callback) => callback(null));
      } finally {
        this.detach();
      }
    } else if (channel.serverState === STATE_DEAD) {
      this.#die(new Error('the TCP server has ended, and every connection with it'));
    } else {
      const { violation } = channel;
      if (violation === null) return;
      this.#announceLeft();
      this.#die(new Error(`the TCP server has ended this thread's channel: it submitted ${violation}`));
    }
  }

  /**
   * Now and then: where the thread that started the TCP server was killed, the TCP server is killed with it, and nobody is there to say
   * so. One that lives makes turns, and only one that makes none is looked for.
   */
  #look(): void {
    for (const channel of this.channels) {
      const tid = channel.stalledThread();
      if (tid !== 0 && !existsSync(`/proc/self/task/${tid}`)) channel.declareDead();
      // Not out of a timer: what a callback throws then is as with any other end.
      if (channel.serverState === STATE_DEAD) setImmediate(() => this.pump());
    }
  }

  #die(error: Error): void {
    const flows = this.channels.flatMap((channel) => channel.flows);
    const requests = [...this.#requests.values()];
    this.#end();
    forEach([
      ...flows.map((flow) => () => flow.fail(ECONNRESET)),
      ...requests.map((request) => () => {
        if (request.kind === 'connect') request.flow.fail(ECONNRESET);
        else request.listener.fail();
      }),
      ...this.#endCallbacks.map((callback) => () => callback(error)),
    ], (tell) => tell());
  }

  #end(): void {
    this.#alive = false;
    clearInterval(this.#watch);
    process.removeListener('exit', this.#onExit);
    for (const channel of this.channels) channel.clear();
    this.#requests.clear();
    this.#held.length = 0;
  }
}

function call(one: Called): void {
  one.called();
}

/** Reads an address. A zone, as in "fe80::1%eth0", says nothing new: a TCP server is on one link. */
function readAddress(text: string, address: Int32Array): boolean {
  const zone = text.indexOf('%');
  return parseAddress(zone < 0 ? text : text.slice(0, zone), address, 0);
}

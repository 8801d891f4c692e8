/**
 * MemNet: the TCP server's own interface, asynchronous and without copies, after the MemNet of the Rutgers TCP Servers (DCS-TR-485).
 *
 * Calls return at once. What happens to all flows comes in one queue of events. Payload is read and written where it lies, in memory that
 * the thread shares with the TCP server. A server that sends everything back:
 *
 * ```ts
 * import { TcpServer } from 'tcp-offload';
 * import { MemNet } from 'tcp-offload/memnet';
 *
 * await TcpServer.start({ device: 'packet:eth1', address: '192.0.2.10/24' });
 * const memnet = new MemNet();
 * memnet.onEvents = (events) => {
 *   while (events.next()) if (events.type === 'readable' || events.type === 'writable') echo(events.flow);
 * };
 * await memnet.listen({ port: 7 });
 *
 * function echo(flow) {
 *   for (let length = flow.peek(); length > 0; length = flow.peek()) {
 *     const taken = flow.write(flow.memory, flow.dataAt, length);
 *     flow.consume(taken);
 *     if (taken < length) return; // no room: 'writable' follows
 *   }
 *   if (flow.ended) flow.close();
 * }
 * ```
 */
import { TcpServerError, listenError } from './errors.js';
import { EventQueue } from './memnet_events.js';
import { MemFlow } from './memnet_flow.js';
import type { FlowOwner } from './memnet_flow.js';
import type { MemNetConnectOptions, MemNetEvents, MemNetFlow, MemNetListener, MemNetListenOptions } from './memnet_api.js';
import { connectPlace, listenPlace } from './places.js';
import type { AppListener, ListenHandler, ListenOptions } from './runtime/app_api.js';
import type { ChannelFlow } from './runtime/app_flow.js';
import type { AppPort } from './runtime/app_port.js';
import type { ServerHandle } from './runtime/config.js';
import { openPort } from './server.js';

export type { MemNetConnectOptions, MemNetEvents, MemNetEventType, MemNetFlow, MemNetListener, MemNetListenOptions } from './memnet_api.js';
export { POISON } from './memnet_debug.js';

/** Options of `new MemNet`. */
export interface MemNetOptions {
  /** The TCP server. Default: that of this thread. */
  handle?: ServerHandle;
  /** Finds out an app that uses a view after it was given back; lib/memnet_debug.ts says how. Slow. Default false. */
  debug?: boolean;
}

/**
 * A thread's own channel to its TCP server. It takes one of the places that `maxApps` counts, and has `sendMemory` to itself.
 *
 * Events come in one of two ways. Where `onEvents` is set they come out of the event loop: once for all that is there. Or the thread waits
 * itself: `while (memnet.wait()) while (memnet.events.next()) …`, which makes no garbage at all, and lets nothing else of the thread run.
 */
export class MemNet<Context = unknown> implements FlowOwner<Context> {
  readonly events: MemNetEvents<Context>;
  /** @internal */
  readonly _queue = new EventQueue<Context>();
  readonly debug: boolean;
  /** Takes events from the queue; what it leaves is told again. */
  onEvents: ((events: MemNetEvents<Context>) => void) | null = null;
  /**
   * The TCP server has ended. With TcpServerError ERR_TCP_SERVER_DIED where it ended by itself: every flow has an 'error' of its own then; where
   * there is no such callback, the error is thrown, by `wait` or as an uncaught exception. With null where it was closed: flows are over
   * with it, and there are no events.
   */
  onEnd: ((error: TcpServerError | null) => void) | null = null;
  private readonly port: AppPort;
  /** Flows and listeners that keep the event loop alive. */
  private holders = 0;
  private held = true;

  /** @throws TcpServerError where there is no TCP server, or no place at it. */
  constructor(options: MemNetOptions = {}) {
    this.debug = options.debug === true;
    this.port = openPort(options.handle);
    this.events = this._queue;
    this.port.onBatch = () => this.deliver();
    this.port.onEnd((error) => this.ended(error));
  }

  /** False once the TCP server has ended, or `close` was called. */
  get alive(): boolean {
    return this.port.alive;
  }

  /**
   * Listens. Connections come as 'accept' events.
   *
   * @returns the listener, once the TCP server has said that it listens, which the event loop hears: before the thread waits itself. @throws TypeError, RangeError where an option is not as it must be;
   *   as a rejection EADDRINUSE, EADDRNOTAVAIL.
   */
  listen(options: MemNetListenOptions = {}): Promise<MemNetListener> {
    const place = listenPlace(options);
    this.checkOpen();
    return new Promise((resolve, reject) => {
      const listener = new Listener(this, place.host, place.port, resolve, reject);
      this.hold();
      listener.open(this.port, place);
    });
  }

  /**
   * Opens a connection: 'connect' or 'error' follows. It may be written to at once.
   *
   * @throws TypeError, RangeError where an option is not as it must be; TcpServerError where the TCP server has ended.
   */
  connect(options: MemNetConnectOptions): MemNetFlow<Context> {
    const place = connectPlace(options);
    this.checkOpen();
    const flow = new MemFlow<Context>(this, null);
    this.hold();
    flow._connect(this.port.connect(place, flow), place.host, place.port);
    return flow;
  }

  /** Submits what was asked for and takes what has happened, without waiting. @returns true where there are events. */
  poll(): boolean {
    this.port.poll();
    return !this._queue.isEmpty;
  }

  /**
   * As `poll`, and blocks the thread until there are events or the time is over. Nothing else of the thread runs meanwhile, its event loop
   * included: made for a worker that does nothing else.
   *
   * @param ms at most; default: no bound.
   * @returns true where there are events; false where the time is over or the TCP server has ended.
   */
  wait(ms = Infinity): boolean {
    if (this._queue.isEmpty && this.port.wait(ms) > 0 && this._queue.isEmpty) this.waitOn(ms);
    return !this._queue.isEmpty;
  }

  /** What was told was no event: the time, which costs garbage to look at, counts from here. */
  private waitOn(ms: number): void {
    const until = performance.now() + ms;
    for (let left = ms; this._queue.isEmpty && left > 0 && this.port.alive; left = until - performance.now()) this.port.wait(left);
  }

  /** Leaves the TCP server: listeners and flows end, what was written is still sent. No event follows. */
  close(): void {
    this.port.detach();
    this.onEvents = null;
  }

  /** Lets flows and listeners keep the process alive: the default. */
  ref(): void {
    if (!this.held && this.holders > 0) this.port.ref();
    this.held = true;
  }

  /** Lets the process end though there are flows and listeners. */
  unref(): void {
    if (this.held && this.holders > 0) this.port.unref();
    this.held = false;
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal */
  _accept(flow: ChannelFlow, listener: MemNetListener): void {
    this.hold();
    new MemFlow<Context>(this, listener)._accept(flow);
  }

  /** @internal */
  _left(): void {
    if (--this.holders === 0 && this.held) this.port.unref();
  }

  private hold(): void {
    if (this.holders++ === 0 && this.held) this.port.ref();
  }

  private deliver(): void {
    if (this.onEvents === null || this._queue.isEmpty) return;
    try {
      this.onEvents(this.events);
    } finally {
      if (!this._queue.isEmpty) this.port.batchLater();
    }
  }

  private ended(error: Error | null): void {
    const died = error === null ? null : new TcpServerError('ERR_TCP_SERVER_DIED', 'The TCP server has ended, and every flow with it', { cause: error });
    this.deliver();
    if (this.onEnd !== null) this.onEnd(died);
    else if (died !== null) throw died;
  }

  private checkOpen(): void {
    if (!this.port.isOpen) throw new TcpServerError('ERR_TCP_SERVER_CLOSED', 'The TCP server of this MemNet is closed: make another one after `await TcpServer.start()`');
  }
}

class Listener<Context> implements MemNetListener, ListenHandler<ChannelFlow> {
  address: string;
  port: number;
  private readonly owner: MemNet<Context>;
  private readonly resolve: (listener: MemNetListener) => void;
  private readonly reject: (error: Error) => void;
  private listener: AppListener | null = null;

  constructor(owner: MemNet<Context>, address: string, port: number, resolve: (listener: MemNetListener) => void, reject: (error: Error) => void) {
    this.owner = owner;
    this.address = address;
    this.port = port;
    this.resolve = resolve;
    this.reject = reject;
  }

  open(port: AppPort, place: ListenOptions): void {
    this.listener = port.listen(place, this);
  }

  close(): void {
    if (this.listener === null) return;
    if (this.owner.alive) this.listener.close();
    this.leave();
  }

  onListening(address: string, port: number): void {
    this.address = address;
    this.port = port;
    this.resolve(this);
  }

  onConnection(flow: ChannelFlow): void {
    if (this.listener === null) flow.reset();
    else this.owner._accept(flow, this);
  }

  onError(errno: number): void {
    this.reject(listenError(errno, this.address, this.port));
  }

  onClose(): void {
    // Without effect where it listened.
    this.reject(new TcpServerError('ERR_TCP_SERVER_DIED', 'The TCP server has ended, and every listener with it'));
    this.leave();
  }

  private leave(): void {
    if (this.listener === null) return;
    this.listener = null;
    this.owner._left();
  }
}

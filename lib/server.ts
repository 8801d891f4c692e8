/** `TcpServer`: the TCP server of a process, as the app starts it, looks at it and ends it; and how other threads join it. */
import { EventEmitter } from 'node:events';
import { currentPort, dismissUsers, findPortWith, usePort } from './attachment.js';
import { TcpServerError } from './errors.js';
import { checkOptions } from './options.js';
import type { TcpServerOptions } from './options.js';
import { AppPort } from './runtime/app_port.js';
import type { ServerConfig, ServerHandle } from './runtime/config.js';
import { readCounters, readStatus } from './runtime/app_info.js';
import type { ServerStatus, StackCounters } from './runtime/app_info.js';
import { inheritedHandle, startServer } from './runtime/supervisor.js';
import type { RunningServer } from './runtime/supervisor.js';

/** The address of 127.0.0.0/8 that the loopback device answers to by name. */
const LOOPBACK = '127.0.0.1';

/** The TCP server that this thread has started; null while there is none. */
let started: TcpServer | null = null;
let starting = false;
/** This thread's own attachment, where it was not this thread that started the TCP server. */
let joined: AppPort | null = null;
let joinedTo: ServerHandle | null = null;

findPortWith(joinInherited);

/** Attaches the thread to the TCP server that it inherited from the one that started it; null where it inherited none. */
function joinInherited(): AppPort | null {
  if (joined?.alive === true) return joined;
  const handle = inheritedHandle();
  if (handle === null) return null;
  joined = new AppPort(handle);
  joinedTo = handle;
  return joined;
}

/**
 * Attaches the calling thread to a TCP server, so that its servers and sockets stand on it. Threads that were started after
 * `TcpServer.start`, from the thread that called it or one of its children, are attached by themselves when they first listen or
 * connect; they call this only to be attached earlier. Others give the `handle` of the `TcpServer`, which passes through
 * `workerData` and `postMessage`.
 *
 * @throws TcpServerError ERR_TCP_SERVER_NOT_STARTED where there is no TCP server to attach to. Error where it has ended, or all of
 *   its places for app threads (`maxApps`) are taken.
 */
export function attach(handle?: ServerHandle): void {
  if (handle === undefined || (started?.listening === true && started.handle.memory === handle.memory)) {
    currentPort();
    return;
  }
  joined?.detach();
  joined = new AppPort(handle);
  joinedTo = handle;
  usePort(joined);
}

/** The TCP server that this thread has started, was attached to or has inherited; null where there is none. */
function knownHandle(): ServerHandle | null {
  if (started?.listening === true) return started.handle;
  return joinedTo ?? started?.handle ?? inheritedHandle();
}

/**
 * Counters of a TCP server since it started, named as `nstat` names the kernel's: TcpPassiveOpens, TcpRetransSegs, ... From any
 * thread, attached or not: they are read from shared memory, and the TCP server hears nothing of it. They stay readable after its end.
 *
 * @param handle whose; default: that of this thread.
 * @throws TcpServerError ERR_TCP_SERVER_NOT_STARTED where this thread has none.
 */
export function counters(handle?: ServerHandle): StackCounters {
  const known = handle ?? knownHandle();
  if (known === null) throw new TcpServerError('ERR_TCP_SERVER_NOT_STARTED', 'This thread has no TCP server: give the handle of one');
  return readCounters(known.memory);
}

/**
 * A TCP server: a thread of its own that does TCP/IP for the app threads of this process.
 *
 * Event 'close': it has ended; with the error where nobody had asked for it. Sockets and servers on it have had an error of their
 * own, TcpServerError ERR_TCP_SERVER_DIED.
 */
export class TcpServer extends EventEmitter {
  /** Passes to threads that do not inherit the attachment; see `attach`. */
  readonly handle: ServerHandle;
  /** The options as they hold, every default filled in. */
  readonly config: ServerConfig;
  private readonly running: RunningServer;
  private readonly words: Int32Array;
  private closing: Promise<void> | null = null;

  private constructor(running: RunningServer, config: ServerConfig) {
    super();
    this.running = running;
    this.config = config;
    this.handle = running.handle;
    this.words = new Int32Array(this.handle.memory);
    running.port.onDeath((error) => {
      this.closing ??= Promise.resolve();
      this.emit('close', error);
    });
  }

  /**
   * Starts the TCP server of this process. It is up when the promise is fulfilled: `net.createServer`, `net.connect` and `listen` of
   * this thread, and of threads started from now on, stand on it. It does not keep the process alive; servers and sockets do.
   *
   * @throws TypeError, RangeError where an option is not as it must be. TcpServerError ERR_TCP_SERVER_ALREADY_STARTED. An Error with
   *   the system's code where the device cannot be opened: ENODEV (no such interface), EPERM (which capability is wanting).
   */
  static async start(options: TcpServerOptions = {}): Promise<TcpServer> {
    const config = checkOptions(options);
    if (starting || started?.listening === true) {
      const message = 'This thread has started a TCP server already. Close that one first: `await server.close()`';
      throw new TcpServerError('ERR_TCP_SERVER_ALREADY_STARTED', message);
    }
    starting = true;
    try {
      started = new TcpServer(await startServer(config), config);
    } finally {
      starting = false;
    }
    usePort(started.running.port);
    return started;
  }

  /** It is up. */
  get listening(): boolean {
    return this.closing === null && this.running.port.alive;
  }

  /** Its own address. */
  get address(): string {
    return this.config.address ?? LOOPBACK;
  }

  /** The kernel's number of its thread, as in /proc/self/task. */
  get threadId(): number {
    return this.status.threadId;
  }

  /** The CPU that it is pinned to; -1: none. */
  get cpu(): number {
    return this.status.cpu;
  }

  /** What it has done so far, read from shared memory without disturbing it. */
  get status(): ServerStatus {
    return readStatus(this.words);
  }

  /** Counters of its TCP since it started; see `counters`. */
  get counters(): StackCounters {
    return readCounters(this.handle.memory);
  }

  /** Ends it: what was written is still sent, for a second at most; then sockets and servers of this thread are closed. */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    await this.running.stop();
    dismissUsers();
    this.emit('close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

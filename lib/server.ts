/** `TcpServer`: the TCP server of a process, as the app starts it, looks at it and ends it; and how other threads join it. */
import { EventEmitter } from 'node:events';
import { currentPort, dismissUsers, existingPort, findPortWith, usePort } from './attachment.js';
import { environmentOptions } from './environment.js';
import { TcpServerError, invalidValue } from './errors.js';
import { checkOptions } from './options.js';
import type { TcpServerOptions } from './options.js';
import { AttachError } from './runtime/app_attach.js';
import { AppPort } from './runtime/app_port.js';
import { fixedAddresses } from './runtime/config.js';
import type { ServerConfig, ServerHandle } from './runtime/config.js';
import { readCounters, readStatus } from './runtime/app_info.js';
import type { ServerStatus, StackCounters } from './runtime/app_info.js';
import { inheritedHandle, launchServer, memoriesOf, startServer } from './runtime/supervisor.js';
import type { RunningServer } from './runtime/supervisor.js';

/** The addresses that the loopback device answers to by name. */
const LOOPBACK = ['127.0.0.1', '::1'];

/** The TCP server that this thread has started; null while there is none. */
let started: TcpServer | null = null;
let starting = false;
/** This thread's own attachment, where it was not this thread that started the TCP server. */
let joined: AppPort | null = null;
let joinedTo: ServerHandle | null = null;

findPortWith(joinInherited, startByItself);

const ATTACH_CODES = { ended: 'ERR_TCP_SERVER_CLOSED', full: 'ERR_TCP_SERVER_FULL', version: 'ERR_TCP_SERVER_VERSION' } as const;

/**
 * Attaches the calling thread to a TCP server, by a channel of its own each time.
 *
 * @param handle default: the TCP server of this thread. @throws TcpServerError.
 */
export function openPort(handle: ServerHandle | null = knownHandle()): AppPort {
  if (handle === null) {
    throw new TcpServerError('ERR_TCP_SERVER_NOT_STARTED', 'This thread has no TCP server. Call `await TcpServer.start()` once in the process, or give a handle');
  }
  try {
    return new AppPort(handle);
  } catch (error) {
    if (error instanceof AttachError) throw new TcpServerError(ATTACH_CODES[error.reason], error.message);
    throw error;
  }
}

/** As `openPort`, to the TCP server of this thread; where it has none, and never had one, one is started as the environment says. */
export function openPortOrStart(): AppPort {
  if (knownHandle() === null) currentPort();
  return openPort();
}

/** Attaches the thread to a TCP server; @throws TcpServerError. */
function join(handle: ServerHandle): AppPort {
  const port = openPort(handle);
  port.onEnd((error) => {
    if (error === null) dismissUsers(port);
  });
  joined = port;
  joinedTo = handle;
  return port;
}

/** Attaches the thread to the TCP server that it inherited from the one that started it; null where it inherited none. */
function joinInherited(): AppPort | null {
  if (joined?.isOpen === true) return joined;
  const handle = inheritedHandle();
  return handle === null ? null : join(handle);
}

/**
 * Starts a TCP server for a thread that listens or connects without one, as the environment says; null where the app has one in hand.
 *
 * @throws TypeError, RangeError where the environment is not as it must be.
 */
function startByItself(): AppPort | null {
  return starting || started !== null ? null : TcpServer.launch();
}

/**
 * Attaches the calling thread to a TCP server, so that its servers and sockets stand on it. Threads that were started after
 * `TcpServer.start`, from the thread that called it or one of its children, are attached by themselves when they first listen or
 * connect; they call this only to be attached earlier. Others give the `handle` of the `TcpServer`, which passes through
 * `workerData` and `postMessage`. A thread that was attached to another one leaves that, and its sockets and servers there are closed.
 *
 * @throws TcpServerError ERR_TCP_SERVER_NOT_STARTED where there is no TCP server to attach to; ERR_TCP_SERVER_CLOSED where it has
 *   ended; ERR_TCP_SERVER_FULL where all of its places for app threads (`maxApps`) are taken.
 */
export function attach(handle?: ServerHandle): void {
  if (handle === undefined || (started?.listening === true && started.handle.memory === handle.memory)) {
    existingPort();
    return;
  }
  if (joined?.isOpen === true && joinedTo?.memory === handle.memory) {
    usePort(joined);
    return;
  }
  const before = joined;
  usePort(join(handle));
  leave(before);
}

/** @internal This thread leaves the TCP server that it did not start: its sockets and servers there are closed, what they wrote is still sent. */
export function leaveInherited(): void {
  leave(joined);
}

function leave(port: AppPort | null): void {
  if (port?.alive !== true) return;
  dismissUsers(port);
  port.detach();
}

/** The TCP server that this thread has started, was attached to or has inherited; null where there is none. */
function knownHandle(): ServerHandle | null {
  if (started?.listening === true) return started.handle;
  return joinedTo ?? started?.handle ?? inheritedHandle();
}

/** @internal The TCP server of this thread, and the thread's end of it. @throws TcpServerError where it has none, or that has ended. */
export function threadServer(): { handle: ServerHandle; port: AppPort } {
  const port = existingPort() as AppPort;
  return { handle: knownHandle() as ServerHandle, port };
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
  return readCounters(memoriesOf(known));
}

/**
 * A TCP server: TCP/IP for the app threads of this process, in a thread of its own, or in the main thread (`TcpServerOptions.thread`).
 *
 * Event 'close': it has ended; with the error where nobody had asked for it. Sockets and servers on it then have had an error of
 * their own, TcpServerError ERR_TCP_SERVER_DIED.
 *
 * Event 'addresses': those that come from the network ('dhcp', 'slaac') are others now; with all of them, as `addresses` has them.
 * Connections from an address that was taken away have ended with EADDRNOTAVAIL; listeners on every address go on.
 */
export class TcpServer extends EventEmitter {
  /** Passes to threads that do not inherit the attachment; see `attach`. */
  readonly handle: ServerHandle;
  /** The options as they hold, every default filled in. */
  readonly config: ServerConfig;
  private readonly running: RunningServer;
  private readonly servers: readonly Int32Array[];
  private closing: Promise<void> | null = null;

  private constructor(running: RunningServer, config: ServerConfig) {
    super();
    this.running = running;
    this.config = config;
    this.handle = running.handle;
    this.servers = memoriesOf(this.handle).map((memory) => new Int32Array(memory));
    running.onAddresses = () => this.emit('addresses', this.addresses);
    running.port.onEnd((error) => {
      // Somebody else has ended it, if anybody has.
      if (error === null) dismissUsers(running.port);
      this.closing ??= Promise.resolve();
      if (error === null) this.emit('close');
      else this.emit('close', error);
    });
  }

  /**
   * Starts the TCP server of this process. It is up when the promise is fulfilled: `net.createServer`, `net.connect` and `listen` of
   * this thread, and of threads started from now on, stand on it. It does not keep the process alive; servers and sockets do.
   *
   * @throws TypeError, RangeError where an option is not as it must be. TcpServerError ERR_TCP_SERVER_ALREADY_STARTED. An Error with
   *   the system's code where the device cannot be opened: ENODEV (no such interface), EPERM (which capability is wanting),
   *   EADDRINUSE (the kernel has one of the addresses, or another station on the link one that was looked after), ETIMEDOUT (no address
   *   came from the network in time).
   */
  static async start(options: TcpServerOptions = {}): Promise<TcpServer> {
    const config = checkOptions(options);
    if (starting || started?.listening === true) {
      const message = 'This thread has started a TCP server already, or its first listen or connect has. Start it before these, or close the other: ' +
        '`await server.close()`';
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

  /** @internal As `start`, by the options of the environment; it comes up behind, in a thread of its own. */
  static launch(): AppPort {
    const config = checkOptions(environmentOptions());
    if (config.thread === 'app') {
      const mend = 'Await TcpServer.start() before the first listen or connect, or leave it out';
      throw invalidValue('TCP_OFFLOAD_OPTIONS.thread', config.thread, 'is not for a TCP server that starts by itself', mend);
    }
    started = new TcpServer(launchServer(config), config);
    return started.running.port;
  }

  /** It is up. */
  get listening(): boolean {
    return this.closing === null && this.running.port.alive;
  }

  /** Its own address, the first where it has several; empty while the network gives it none. */
  get address(): string {
    return this.addresses[0] ?? '';
  }

  /**
   * All its own addresses, in the order of the option: of those that come from the network, the ones that it has now; those of the kernel,
   * where they are shared, as they were when it started.
   */
  get addresses(): readonly string[] {
    const { device, addresses } = this.config;
    if (device === 'loopback') return LOOPBACK;
    const fixed = fixedAddresses(addresses);
    const given = this.config.beside || fixed.length < addresses.length;
    return (given ? this.running.addresses : fixed).map((address) => address.slice(0, address.indexOf('/')));
  }

  /** The kernel's number of its thread, as in /proc/self/task. */
  get threadId(): number {
    return this.status.threadId;
  }

  /** The CPU that it is pinned to; -1: none. */
  get cpu(): number {
    return this.status.cpu;
  }

  /** What it has done so far, read from shared memory without disturbing it; of several TCP servers, the first. */
  get status(): ServerStatus {
    return readStatus(this.servers[0] as Int32Array);
  }

  /** The same of each, where there are several (`options.servers`). */
  get statuses(): readonly ServerStatus[] {
    return this.servers.map(readStatus);
  }

  /** Counters of its TCP since it started; see `counters`. */
  get counters(): StackCounters {
    return readCounters(memoriesOf(this.handle));
  }

  /**
   * Ends it: the sockets and servers of every thread are closed, without an error, and what they wrote is still sent, for a second at
   * most. Fulfilled once it is over.
   */
  close(): Promise<void> {
    this.closing ??= this.end();
    return this.closing;
  }

  private async end(): Promise<void> {
    dismissUsers(this.running.port);
    await this.running.stop();
    this.emit('close');
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.close();
  }
}

/** Which TCP server the faces of this thread stand on. Every thread has a module instance, and so an attachment, of its own. */
import { TcpServerError } from './errors.js';
import type { AppFlow, AppListener, ConnectOptions, FlowHandler, ListenHandler, ListenOptions } from './runtime/app_api.js';
import type { Distribution } from './runtime/messages.js';

/** This thread's end of a TCP server, as the faces use it. */
export interface Port {
  /** False once the TCP server has ended or the thread was detached. */
  readonly alive: boolean;
  /** Connections and listeners may be asked for: alive, and the TCP server was not told to end. */
  readonly isOpen: boolean;
  /** Why the TCP server did not come up, where that is known in this thread. */
  readonly failure?: Error | null;
  listen(options: ListenOptions, handler: ListenHandler): AppListener;
  connect(options: ConnectOptions, handler: FlowHandler): AppFlow;
  /** More is to come in this tick: what flows are asked for leaves once nothing is left to do in it, as one. */
  gather(): void;
  /** Counted: while more `ref` than `unref` were called, the thread's event loop stays alive. */
  ref(): void;
  unref(): void;
}

/** A socket or listener that stands on the port. */
export interface PortUser {
  readonly port: Port;
  /** The TCP server was closed by the app: the user ends too, without an error. */
  dismiss(): void;
}

const users = new Set<PortUser>();

export function addUser(user: PortUser): void {
  users.add(user);
}

export function removeUser(user: PortUser): void {
  users.delete(user);
}

/** Ends every socket and listener of this thread that stands on `port`. */
export function dismissUsers(port: Port): void {
  for (const user of [...users]) if (user.port === port) user.dismiss();
}

let attached: Port | null = null;
let find: () => Port | null = () => null;
let start: () => Port | null = () => null;

/**
 * Has `source` asked for a port when a face is used in a thread that was not attached explicitly, and then `starter` for one of a TCP
 * server of its own.
 */
export function findPortWith(source: () => Port | null, starter: () => Port | null): void {
  find = source;
  start = starter;
}

/** Makes `port` the one that sockets and servers of this thread are opened on from now on; null for none. */
export function usePort(port: Port | null): void {
  attached = port;
}

/**
 * The port of this thread; where it has none, and never had one, a TCP server is started as the environment says.
 *
 * @throws TcpServerError ERR_TCP_SERVER_CLOSED where the one it had is closed; what keeps one from being started.
 */
export function currentPort(): Port {
  attached ??= find() ?? start();
  return existingPort();
}

/**
 * The port of this thread, where it has one.
 *
 * @throws TcpServerError ERR_TCP_SERVER_NOT_STARTED where there is none.
 */
export function existingPort(): Port {
  if (attached === null || !attached.isOpen) attached = find() ?? attached;
  if (attached === null) {
    throw new TcpServerError(
      'ERR_TCP_SERVER_NOT_STARTED',
      'This thread has no TCP server yet. Await TcpServer.start() before the first listen or connect; threads that are started later are ' +
        'attached by themselves, others by attach(handle)',
    );
  }
  if (!attached.isOpen) {
    throw new TcpServerError(
      'ERR_TCP_SERVER_CLOSED',
      'The TCP server of this thread is closed. Call `await TcpServer.start()` again before the next listen or connect',
    );
  }
  return attached;
}

let distribution: Distribution = 'least-connections';

/** The distribution of those servers of this thread that name none. */
export function threadDistribution(): Distribution {
  return distribution;
}

export function useDistribution(of: Distribution): void {
  distribution = of;
}

/**
 * Blocking sockets: `listen`, `accept`, `connect`, `read`, `write` and `poll` that return when it is done. Straight-line code, without an event
 * loop, as the TCP Servers of Rutgers had for their synchronous calls. A worker that serves one connection after another:
 *
 * ```ts
 * import { listen } from 'tcp-offload/sync';
 *
 * const server = listen({ port: 7 });
 * const buffer = Buffer.alloc(65536);
 * for (;;) {
 *   const socket = server.accept();
 *   for (let length = socket.read(buffer); length > 0; length = socket.read(buffer)) socket.write(buffer.subarray(0, length));
 *   socket.close();
 * }
 * ```
 *
 * A call puts the thread to sleep, its timers and its other sockets with it: made for a worker, or for a program that has nothing
 * else to do. What other faces have asked for in the same thread leaves by its event loop, and two ends of a connection may wait for each other
 * without end. Where the TCP server runs in this thread (`thread: 'app'`), a call that waits makes its turns.
 *
 * The TCP server is that of this thread; where it has none, and never had one, one is started as the environment says.
 */
import { connectError, invalidType, invalidValue } from './errors.js';
import type { MemNetConnectOptions, MemNetListenOptions } from './memnet_api.js';
import { connectPlace, listenPlace } from './places.js';
import { Connection } from './sync_connection.js';
import { checkObject, syncPort, timeoutOf } from './sync_port.js';
import { SyncServer } from './sync_server.js';
import { SyncSocket } from './sync_socket.js';
import { ETIMEDOUT } from './tcp/errno.js';

export { SyncServer } from './sync_server.js';
export type { SyncAddress } from './sync_server.js';
export { SyncSocket } from './sync_socket.js';
export type { TimeoutOptions } from './sync_port.js';

/** Options of `listen`. */
export type SyncListenOptions = MemNetListenOptions;

/** Options of `connect`. */
export interface SyncConnectOptions extends MemNetConnectOptions {
  /** An address, or 'localhost', which is 127.0.0.1. Names are not looked up: that takes an event loop. Default 'localhost'. */
  host?: string;
  /** How long the peer has to answer, ms; Infinity: as long as the TCP server tries (`tcp.synRetries`). Default Infinity. */
  timeout?: number;
}

/** Options of `poll`. */
export interface PollOptions {
  /** Waits so long at most, ms; 0: not at all. Default Infinity. */
  timeout?: number;
  /** Sockets that are to be written to. Default none. */
  writers?: readonly SyncSocket[];
}

/**
 * Listens. As with the other faces, several threads may listen on one port, and each new connection goes to the one with the fewest.
 *
 * @returns the server, once it listens.
 * @throws TypeError, RangeError where an option is not as it must be; EADDRINUSE, EADDRNOTAVAIL; TcpServerError where there is no TCP server.
 */
export function listen(options: SyncListenOptions = {}): SyncServer {
  checkObject(options);
  const place = listenPlace(options);
  return new SyncServer(syncPort(), place);
}

/**
 * Opens a connection.
 *
 * @returns the socket, once the peer has answered.
 * @throws TypeError, RangeError where an option is not as it must be; ECONNREFUSED, EHOSTUNREACH and the like; ETIMEDOUT where the time is over,
 *   and the attempt is given up; TcpServerError where there is no TCP server.
 */
export function connect(options: SyncConnectOptions): SyncSocket {
  if (options === undefined) throw invalidType('options', ['Object'], options);
  const timeout = timeoutOf(options, Infinity);
  const place = connectPlace(options.host === 'localhost' ? { ...options, host: '127.0.0.1' } : options);
  const port = syncPort();
  const connection = new Connection();
  connection.flow = port.channel.connect(place, connection);
  const socket = new SyncSocket(port, connection);
  if (socket._opened(place.host, place.port, performance.now() + timeout)) return socket;
  socket.reset();
  throw connectError(ETIMEDOUT, place.host, place.port);
}

/**
 * Waits until one of them at least has something to do: a server a connection to accept, a socket something to read (its end and its error as
 * well), or, of `writers`, room to write in.
 *
 * @returns those that have, in the order they were given, each once; none where the time is over.
 * @throws as `accept` and `read` where one of them was closed, or the TCP server has ended.
 */
export function poll(readers: readonly (SyncServer | SyncSocket)[], options: PollOptions = {}): (SyncServer | SyncSocket)[] {
  if (!Array.isArray(readers)) throw invalidType('readers', ['Array'], readers);
  const timeout = timeoutOf(options, Infinity);
  const { writers = [] } = options;
  if (!Array.isArray(writers)) throw invalidType('options.writers', ['Array'], writers);
  readers.forEach((one, i) => check(`readers[${i}]`, one, [SyncServer, SyncSocket]));
  writers.forEach((one, i) => check(`options.writers[${i}]`, one, [SyncSocket]));
  if (readers.length + writers.length === 0 && timeout === Infinity) {
    throw invalidValue('readers', readers, 'must name something to wait for, as there is no timeout');
  }
  let ready: (SyncServer | SyncSocket)[] = [];
  syncPort().wait(() => {
    ready = [...new Set([...readers.filter((one) => one._readable), ...writers.filter((one) => one._writable)])];
    return ready.length > 0;
  }, performance.now() + timeout);
  return ready;
}

function check(name: string, one: SyncServer | SyncSocket, kinds: readonly (typeof SyncServer | typeof SyncSocket)[]): void {
  if (!kinds.some((kind) => one instanceof kind)) throw invalidType(name, kinds.map((kind) => kind.name), one);
  one._check();
}

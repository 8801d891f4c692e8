/** A listener whose `accept` blocks. */
import { listenError, serverNotRunning, timeOver } from './errors.js';
import type { AppListener, ListenHandler, ListenOptions } from './runtime/app_api.js';
import type { ChannelFlow } from './runtime/app_flow.js';
import { Connection } from './sync_connection.js';
import { timeoutOf } from './sync_port.js';
import type { SyncPort, TimeoutOptions } from './sync_port.js';
import { SyncSocket } from './sync_socket.js';

/** Where a server listens. */
export interface SyncAddress {
  readonly address: string;
  readonly family: 'IPv4' | 'IPv6';
  readonly port: number;
}

/** What the TCP server tells of a listener. */
class Listening implements ListenHandler<ChannelFlow> {
  port = 0;
  errno = 0;
  listening = false;
  over = false;
  closing = false;
  /** Connections that wait for `accept`, in the order they came: as many as the backlog has room for. */
  readonly queue = new Set<Connection>();

  onListening(_address: string, port: number): void {
    this.port = port;
    this.listening = true;
  }

  onConnection(flow: ChannelFlow): void {
    if (this.closing) {
      flow.reset();
      return;
    }
    const connection = new Connection();
    connection.flow = flow;
    connection.queue = this.queue;
    flow.handler = connection;
    this.queue.add(connection);
  }

  onError(errno: number): void {
    this.errno = errno;
  }

  onClose(): void {
    this.over = true;
  }
}

/** A server, from `listen`. Connections wait for `accept` in the backlog, their first bytes with them. */
export class SyncServer {
  /** For calls of `accept` that name no other, ms. Default Infinity: they wait without a bound. */
  timeout = Infinity;
  private readonly port: SyncPort;
  private readonly host: string;
  private readonly state = new Listening();
  private readonly listener: AppListener;

  /** @internal Blocks until it listens. @throws EADDRINUSE, EADDRNOTAVAIL and the like. */
  constructor(port: SyncPort, place: ListenOptions & { host: string }) {
    this.port = port;
    this.host = place.host;
    const { state } = this;
    this.listener = port.channel.listen({ ...place, untilTaken: true }, state);
    port.wait(() => state.listening || state.over, Infinity);
    if (!state.listening) throw listenError(state.errno, place.host, place.port);
  }

  /**
   * Waits for a connection.
   *
   * @throws EAGAIN where the time is over. ERR_SERVER_NOT_RUNNING after `close`. TcpServerError where the TCP server has ended.
   */
  accept(options?: TimeoutOptions): SyncSocket {
    const timeout = timeoutOf(options, this.timeout);
    this.checkOpen();
    const { queue } = this.state;
    if (!this.port.wait(() => queue.size > 0, performance.now() + timeout)) throw timeOver('accept', timeout);
    const [connection] = queue;
    queue.delete(connection);
    connection.queue = null;
    // At once: where the backlog was full, the next SYN would be dropped.
    connection.flow.take(true);
    this.port.submit();
    return new SyncSocket(this.port, connection);
  }

  /** Where it listens, or did: its port is the one that was chosen, where that was left to the TCP server. */
  address(): SyncAddress {
    return { address: this.host, family: this.host.includes(':') ? 'IPv6' : 'IPv4', port: this.state.port };
  }

  /** `close` was called. */
  get closed(): boolean { return this.state.closing; }

  /** Stops listening: the port is free when it returns. Connections that were not accepted are reset, the others live on. Never throws. */
  close(): void {
    const { state, port } = this;
    if (state.closing) return;
    state.closing = true;
    if (!port.channel.alive) return;
    for (const { flow } of state.queue) flow.reset();
    state.queue.clear();
    this.listener.close();
    while (!state.over && port.channel.alive) port.channel.wait(Infinity);
  }

  [Symbol.dispose](): void {
    this.close();
  }

  /** @internal For `poll`. */
  get _readable(): boolean { return this.state.queue.size > 0; }

  /** @internal @throws as every call of a server that is no more. */
  _check(): void {
    this.port.check();
    this.checkOpen();
  }

  private checkOpen(): void {
    if (this.state.closing) throw serverNotRunning();
  }
}

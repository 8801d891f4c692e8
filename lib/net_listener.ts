/** A listener and the sockets that it brings, for every kind of server: the package's own, and `node:http`'s. */
import { AsyncResource } from 'node:async_hooks';
import { channel } from 'node:diagnostics_channel';
import type { EventEmitter } from 'node:events';
import { addUser, removeUser } from './attachment.js';
import type { Port, PortUser } from './attachment.js';
import { distributionRefused, listenError, serverEnded } from './errors.js';
import { acceptedSocket } from './net_socket.js';
import type { AcceptOptions, SocketServer } from './net_socket_stream.js';
import type { AppFlow, AppListener, ListenHandler, ListenOptions } from './runtime/app_api.js';
import { EINVAL } from './tcp/errno.js';

/** Node's own channel for those who watch the sockets that servers accept. */
const accepted = channel('net.server.socket');

/** Connections that may wait for the app when it names no number: Node's own default. */
export const DEFAULT_BACKLOG = 511;

/** What a listener needs of its server; `net.Server` and `http.Server` of Node have it, and so has the package's own. */
export interface ListenOwner extends EventEmitter, SocketServer, AcceptOptions {
  _handle: Listener | null;
  close(): unknown;
  maxConnections?: number;
}

/** Where a listener ended up. */
export interface ListenAddress {
  address?: string;
  family?: string;
  port?: number;
}

/**
 * One listener. `close`, `ref`, `unref` and `getsockname` are what Node's own servers ask of what they listen on, so that their
 * `close()`, `address()`, `ref()` and `unref()` hold for it unchanged.
 */
export class Listener implements ListenHandler, PortUser {
  private readonly owner: ListenOwner;
  readonly port: Port;
  private listener: AppListener | null = null;
  /** Of the call of `listen`: connections come in it, as in Node. */
  private readonly context = new AsyncResource('TCP_SERVER_LISTENER', { requireManualDestroy: true });
  private host: string;
  private portNumber: number;
  private listening = false;
  private holdsRef = false;
  private wantsRef = true;
  /** Somebody waits in `drain`. */
  private drained: (() => void) | null = null;

  /** Starts to listen; 'listening' or 'error' of the owner follows. */
  constructor(owner: ListenOwner, port: Port, options: ListenOptions) {
    this.owner = owner;
    this.port = port;
    this.host = options.host ?? '::';
    this.portNumber = options.port;
    this.listener = port.listen(options, this);
    addUser(this);
    this.settle();
  }

  /** Stops listening. Connections live on. */
  close(): void {
    const listener = this.listener;
    this.listener = null;
    this.settle();
    this.drained?.();
    if (listener !== null && this.port.alive) listener.close();
  }

  dismiss(): void {
    this.owner.close();
  }

  /**
   * The TCP server gives it no more connections; those that it has given still come, and the promise is fulfilled when they have. All else
   * stays as it is until `close`.
   */
  drain(): Promise<void> {
    return new Promise((resolve) => {
      this.drained = resolve;
      if (this.listener === null || !this.port.alive) resolve();
      else this.listener.close();
    });
  }

  ref(): void {
    this.wantsRef = true;
    this.settle();
  }

  unref(): void {
    this.wantsRef = false;
    this.settle();
  }

  /** Writes the address into `out`, as Node's handles do. */
  getsockname(out: ListenAddress): number {
    out.address = this.host;
    out.family = this.host.includes(':') ? 'IPv6' : 'IPv4';
    // As with the kernel, the port that was chosen is known before 'listening'.
    if (this.portNumber === 0 && this.listener !== null) this.portNumber = this.listener.port();
    out.port = this.portNumber;
    return 0;
  }

  onListening(address: string, port: number): void {
    this.host = address;
    this.portNumber = port;
    this.listening = true;
    this.settle();
    if (this.listener !== null) this.context.runInAsyncScope(this.owner.emit, this.owner, 'listening');
  }

  onConnection(flow: AppFlow): void {
    const { owner } = this;
    const limit = owner.maxConnections;
    if (this.listener === null || (limit && owner._connections >= limit)) {
      const ends = endpoints(flow);
      flow.close();
      if (this.listener !== null) owner.emit('drop', ends);
      return;
    }
    const socket = acceptedSocket(owner, owner);
    const link = socket._adopt(flow, this.port, owner.pauseOnConnect);
    owner._connections++;
    try {
      this.context.runInAsyncScope(owner.emit, owner, 'connection', socket);
      if (accepted.hasSubscribers) accepted.publish({ socket });
    } finally {
      // As in Node, a connection that the app has thrown at lives on.
      link.begin();
    }
  }

  onError(errno: number): void {
    this.fail(errno === EINVAL ? distributionRefused(this.host, this.portNumber) : listenError(errno, this.host, this.portNumber));
  }

  onClose(): void {
    if (this.drained !== null) {
      this.drained();
      if (this.port.alive) return;
    }
    // Nobody asked for it: the TCP server is no more.
    this.fail(serverEnded(this.port.failure));
  }

  private fail(error: Error): void {
    if (this.listener === null) return;
    this.listener = null;
    this.settle();
    if (this.owner._handle === this) this.owner._handle = null;
    this.context.runInAsyncScope(this.owner.emit, this.owner, 'error', error);
  }

  private settle(): void {
    if (this.listener === null) removeUser(this);
    // Who waits for 'listening' hears of it in any case: in Node it comes at once.
    const waits = !this.listening && this.owner.listenerCount('listening') > 0;
    const wanted = this.listener !== null && (this.wantsRef || waits);
    if (wanted === this.holdsRef) return;
    this.holdsRef = wanted;
    if (wanted) this.port.ref();
    else this.port.unref();
  }
}

/** What the 'drop' event tells of a connection that was refused. */
function endpoints(flow: AppFlow): Record<string, string | number> {
  return {
    localAddress: flow.localAddress,
    localPort: flow.localPort,
    localFamily: flow.family,
    remoteAddress: flow.remoteAddress,
    remotePort: flow.remotePort,
    remoteFamily: flow.family,
  };
}

/**
 * How a server of Node's comes to listen on the TCP server.
 *
 * Node's own `listen` sorts and checks its arguments, looks a host name up, minds the signal, and then calls the server's `_listen2`,
 * which is there to be replaced, with the place that was found. The listener that is put into `_handle` there answers to what
 * `close`, `address`, `ref` and `unref` of Node's servers ask of it.
 */
import { tracingChannel } from 'node:diagnostics_channel';
import type { Server as NodeServer } from 'node:net';
import { currentPort, threadDistribution } from './attachment.js';
import { DEFAULT_BACKLOG, Listener } from './net_listener.js';
import type { ListenOwner } from './net_listener.js';
import type { Distribution } from './runtime/messages.js';

/** UV_TCP_IPV6ONLY of libuv. */
const IPV6_ONLY = 1;

/** Where to listen, as `_listen2` is told: the address null for all of them, its type 4 or 6; a descriptor of the kernel. */
export type ListenPlace = [address: string | null, port: number, addressType: number | null, backlog: number | false | undefined, fd?: number, flags?: number];

/** Node's servers as `_listen2` finds them. */
export type ListeningServer = NodeServer & ListenOwner & {
  _listen2(...place: ListenPlace): void;
  _unref: boolean;
  distribution?: Distribution;
  _connectionKey: string;
};

const listens = tracingChannel('net.server.listen');

/** True where the place is one of TCP that is still to be opened: no path, no descriptor, no handle that the server was given. */
export function isTcpPlace(server: ListeningServer, [, port, addressType, , fd]: ListenPlace): boolean {
  return !server._handle && port >= 0 && (addressType === 4 || addressType === 6) && typeof fd !== 'number';
}

/**
 * Listens on the TCP server; 'listening' or 'error' of the server follows.
 *
 * @throws TcpServerError where this thread can have no TCP server.
 */
export function listenOnTcpServer(server: ListeningServer, [address, port, addressType, backlog, , flags = 0]: ListenPlace): void {
  const listener = new Listener(server, currentPort(), {
    host: address,
    port,
    backlog: backlog || DEFAULT_BACKLOG,
    ipv6Only: address !== null && (flags & IPV6_ONLY) !== 0,
    distribution: server.distribution ?? threadDistribution(),
  });
  server._handle = listener;
  server._connectionKey = `${address === null ? 6 : addressType}:${address ?? '::'}:${port}`;
  if (server._unref) listener.unref();
  if (listens.hasSubscribers) listens.asyncEnd.publish({ server });
}

/** The `node:net` face of the package. */
import { Server } from './net_server.js';
import type { ServerOptions } from './net_server.js';
import { Socket } from './net_socket.js';
import { netArguments } from './net_connect.js';
import type { ConnectOptions, SocketOptions } from './net_connect.js';

export { isIP, isIPv4, isIPv6 } from 'node:net';
export { Server } from './net_server.js';
export type { ListenOptions, ServerOptions } from './net_server.js';
export { Socket, Socket as Stream } from './net_socket.js';
export type { SocketAddress } from './net_socket_state.js';
export type { ConnectOptions, LookupFunction, SocketOptions } from './net_connect.js';
export type { OnRead } from './net_flow.js';
export type { KeepAliveOptions, TcpOptions } from './net_socket_settings.js';

/** A new `Server`; the listener is called for each connection. */
export function createServer(listener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions | null, listener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions | ((socket: Socket) => void) | null, listener?: (socket: Socket) => void): Server {
  return new Server(options, listener);
}

/**
 * A new `Socket` that connects: `connect(port, host?, listener?)` or `connect(options, listener?)`.
 *
 * @throws as `Socket.connect`.
 */
export function connect(options: ConnectOptions, listener?: () => void): Socket;
export function connect(port: number | string, host: string, listener?: () => void): Socket;
export function connect(port: number | string, listener?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const { options, listener } = netArguments(args);
  const socket = new Socket(options as SocketOptions);
  if (options.timeout) socket.setTimeout(options.timeout as number);
  return socket.connect(options as unknown as ConnectOptions, listener ?? undefined);
}

export const createConnection = connect;

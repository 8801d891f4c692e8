/** The `node:net` face of the package. */
import { channel } from 'node:diagnostics_channel';
import net from 'node:net';
import {
  BlockList, SocketAddress, getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP, isIPv4, isIPv6, setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from 'node:net';
import './process_messages.js';
import './server.js';
import './tls_sockets.js';
import type { ConnectOptions, SocketOptions } from './net_connect.js';
import { Server } from './net_server.js';
import type { ServerOptions } from './net_server.js';
import { Socket } from './net_socket.js';

export {
  BlockList, SocketAddress, getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP, isIPv4, isIPv6, setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
} from 'node:net';
export { Server } from './net_server.js';
export type { ListenOptions, ServerConstructor, ServerOptions } from './net_server.js';
export { Socket, Socket as Stream } from './net_socket.js';
export type { SocketConstructor } from './net_socket.js';
export type { SocketAddress as AddressInfo } from './net_socket_state.js';
export type { ConnectOptions, LookupFunction, PathConnectOptions, SocketOptions, TcpConnectOptions } from './net_connect.js';
export type { OnRead } from './net_flow.js';
export type { KeepAliveOptions, TcpOptions } from './net_socket_settings.js';

/** What `node:net` exports beyond its documentation, for those who build upon it. */
export const { _createServerHandle, _normalizeArgs, _setSimultaneousAccepts } = net as unknown as {
  _createServerHandle: (...args: unknown[]) => unknown;
  /** Sorts the arguments of `connect` and `listen` into options and a listener, marked as sorted. */
  _normalizeArgs: (args: unknown[]) => [options: Record<string, unknown>, listener: (() => void) | null];
  _setSimultaneousAccepts: (handle?: unknown) => void;
};

/** Node's own channel for those who watch the sockets that are made here. */
const made = channel('net.client.socket');

/** A new `Server`; the listener is called for each connection. */
export function createServer(listener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions | null, listener?: (socket: Socket) => void): Server;
export function createServer(options?: ServerOptions | ((socket: Socket) => void) | null, listener?: (socket: Socket) => void): Server {
  return new Server(options as ServerOptions, listener);
}

/**
 * A new `Socket` that connects: `connect(port, host?, listener?)`, `connect(path, listener?)` or `connect(options, listener?)`.
 *
 * @throws as `Socket.connect`.
 */
export function connect(options: ConnectOptions, listener?: () => void): Socket;
export function connect(port: number | string, host: string, listener?: () => void): Socket;
export function connect(port: number | string, listener?: () => void): Socket;
export function connect(path: string, listener?: () => void): Socket;
export function connect(...args: unknown[]): Socket {
  const sorted = _normalizeArgs(args);
  const [options] = sorted;
  const socket = new Socket(options as SocketOptions);
  if (made.hasSubscribers) made.publish({ socket });
  if (options.timeout) socket.setTimeout(options.timeout as number);
  return socket.connect(sorted as unknown as ConnectOptions);
}

export const createConnection = connect;

export default {
  BlockList, Server, Socket, SocketAddress, Stream: Socket, _createServerHandle, _normalizeArgs, _setSimultaneousAccepts, connect, createConnection,
  createServer, getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP, isIPv4, isIPv6, setDefaultAutoSelectFamily,
  setDefaultAutoSelectFamilyAttemptTimeout,
};

/** The public face of the package. */
export { TcpServer, attach, counters } from './server.js';
export { tcpInfo } from './tcp_info.js';
export type { FaultOptions, TcpServerOptions, TcpSettings } from './options.js';
export * as net from './net.js';
export { Server, Socket, connect, createConnection, createServer } from './net.js';
export type { AddressInfo, ConnectOptions, ListenOptions, LookupFunction, OnRead, ServerOptions, SocketOptions, TcpOptions } from './net.js';
export { listen, offload } from './http.js';
export { TcpServerError } from './errors.js';
export type { NetError, TcpServerErrorCode } from './errors.js';
export type { ServerConfig, ServerHandle } from './runtime/config.js';
export type { ServerStatus, StackCounters } from './runtime/app_info.js';
export type { TcpInfo } from './tcp/conn/info.js';

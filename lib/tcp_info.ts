/** `tcpInfo` of any socket, also of one that hides another. */
import type { Socket as NodeSocket } from 'node:net';
import type { Socket } from './net_socket.js';
import type { TcpInfo } from './tcp/conn/info.js';

/** A socket that stands on another: `tls.TLSSocket` keeps what it stands on in its handle, and that keeps the stream. */
interface Covering {
  readonly ssl?: { readonly _parentWrap?: unknown } | null;
  readonly stream?: unknown;
}

/** A TLS session in a TLS session, and then some. */
const DEEPEST = 8;

/**
 * What TCP knows of a socket's connection; see `Socket.tcpInfo`. For sockets that are typed as Node's own: that of an HTTP request,
 * or of TLS.
 *
 * @returns null where the socket has no connection, or it is not one of a TCP server.
 */
export function tcpInfo(socket: Socket | NodeSocket): TcpInfo | null {
  let inner: unknown = socket;
  for (let depth = 0; depth < DEEPEST && typeof inner === 'object' && inner !== null; depth++) {
    if ('tcpInfo' in inner) return (inner as Socket).tcpInfo();
    const { ssl, stream } = inner as Covering;
    inner = ssl?._parentWrap ?? stream;
  }
  return null;
}

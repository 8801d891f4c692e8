/**
 * Sessions above TCP, over TLS, HTTP/2 and WebSocket, whichever TCP they stand on: the servers, and clients that take and give as many bytes as
 * they are told to, always the same ones. A client's result is the checksum of what came over.
 */
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import * as http2 from 'node:http2';
import * as https from 'node:https';
import type { IncomingMessage } from 'node:http';
import type { Server } from 'node:net';
import { Readable } from 'node:stream';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { text } from 'node:stream/consumers';
import { WebSocket, WebSocketServer, createWebSocketStream } from 'ws';
import { app, bytes } from '../../examples/http.js';
import { CERTIFICATE, KEY } from '../../examples/support/certificate.js';
import { digest } from './support.js';

export const HTTPS = 4430;
export const HTTP2 = 4431;
export const HTTP2_TLS = 4432;
export const WS_TLS = 4433;

/** Makes a connection for a client; with `protocols` it is one of TLS, which offers them. */
export type Connect = (port: number, protocols?: string[]) => Duplex;

/** Serves all of them; `listen` decides on which TCP. @returns how to end it, once they listen. */
export async function serve(listen: (server: Server, port: number) => void): Promise<() => void> {
  const identity = { key: KEY, cert: CERTIFICATE };
  const handler = app as unknown as (request: http2.Http2ServerRequest, response: http2.Http2ServerResponse) => void;
  const echo = https.createServer(identity);
  new WebSocketServer({ server: echo }).on('connection', (socket) => {
    const stream = createWebSocketStream(socket);
    stream.on('error', () => undefined).pipe(stream);
  });
  const servers: [Server, number][] = [
    [https.createServer(identity, app), HTTPS], [http2.createServer(handler), HTTP2],
    [http2.createSecureServer(identity, handler), HTTP2_TLS], [echo, WS_TLS],
  ];
  const sockets = new Set<Duplex>();
  await Promise.all(servers.map(([server, port]) => {
    server.on('connection', (socket) => sockets.add(socket.once('close', () => sockets.delete(socket))));
    listen(server, port);
    return once(server, 'listening');
  }));
  return () => {
    for (const [server] of servers) server.close();
    for (const socket of sockets) socket.destroy();
  };
}

/** A download of `count` bytes and an upload of as many, each a request by HTTP/1.1 over TLS. */
export async function askHttps(connect: Connect, count: number): Promise<{ down: string; up: string }> {
  const ask = (options: https.RequestOptions): ReturnType<typeof https.request> => https.request({
    host: 'localhost', port: HTTPS, createConnection: () => connect(HTTPS, ['http/1.1']), ...options,
  });
  const down = ask({ path: `/bytes?n=${count}` }).end();
  const [download] = await once(down, 'response') as [IncomingMessage];
  const { sha256 } = await digest(download);
  const up = ask({ path: '/upload', method: 'POST' });
  const answered = once(up, 'response') as Promise<[IncomingMessage]>;
  await pipeline(Readable.from(bytes(count)), up);
  return { down: sha256, up: (await text((await answered)[0])).trim() };
}

/** The same over HTTP/2, both at once in one session. */
export async function askHttp2(connect: Connect, secure: boolean, count: number): Promise<{ down: string; up: string }> {
  const port = secure ? HTTP2_TLS : HTTP2;
  const session = http2.connect(`${secure ? 'https' : 'http'}://localhost:${port}`, {
    createConnection: () => connect(port, secure ? ['h2'] : undefined),
  });
  const down = session.request({ ':path': `/bytes?n=${count}` });
  const up = session.request({ ':path': '/upload', ':method': 'POST' });
  const [download, , answer] = await Promise.all([digest(down), pipeline(Readable.from(bytes(count)), up, { end: true }), text(up)]);
  session.close();
  return { down: download.sha256, up: answer.trim() };
}

/** `count` bytes to an echo over WebSocket and TLS, and back. */
export async function askWebSocket(connect: Connect, count: number): Promise<string> {
  const socket = new WebSocket(`wss://localhost:${WS_TLS}`, { createConnection: (() => connect(WS_TLS, ['http/1.1'])) as never });
  const stream = createWebSocketStream(socket);
  const hash = createHash('sha256');
  let left = count;
  const back = new Promise<void>((resolve, reject) => {
    stream.once('error', reject).on('data', (chunk: Buffer) => {
      hash.update(chunk);
      left -= chunk.length;
      if (left <= 0) resolve();
    });
  });
  for (const block of bytes(count)) if (!stream.write(block)) await Promise.race([once(stream, 'drain'), back]);
  await back;
  stream.end();
  return left === 0 ? hash.digest('hex') : `${-left} bytes too many`;
}

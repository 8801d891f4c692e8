/** A server of HTTP/2 without TLS, for clients that know that it is one (`npm start -- --app http2_clear`). */
import { createServer } from 'node:http2';
import type { Server } from 'node:net';
import { serveStreams } from './http2.js';

export function serve(port: number): Promise<Server> {
  return serveStreams(createServer(), port);
}

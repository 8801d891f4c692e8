/** A server of HTTP/2 over TLS, as browsers want it (`npm start -- --app http2`). The certificate is one for localhost that nobody vouches for. */
import { once } from 'node:events';
import { createSecureServer } from 'node:http2';
import type { ServerHttp2Stream } from 'node:http2';
import type { Server } from 'node:net';
import { CERTIFICATE, KEY } from './support/certificate.js';
import { listen } from '../lib/index.js';

export function serve(port: number): Promise<Server> {
  return serveStreams(createSecureServer({ key: KEY, cert: CERTIFICATE }), port);
}

/** Has a server of HTTP/2 greet, and send back the body of a POST. */
export async function serveStreams(server: Server, port: number): Promise<Server> {
  server.on('stream', (stream: ServerHttp2Stream, { ':method': method }: { ':method'?: string }) => {
    stream.on('error', () => undefined);
    stream.respond({ ':status': 200, 'content-type': 'text/plain' });
    if (method === 'POST') stream.pipe(stream);
    else stream.end('hello from HTTP/2\n');
  });
  listen(server, { port });
  await once(server, 'listening');
  return server;
}

/** A server of HTTP over TLS (`npm start -- --app https`). The certificate is one for localhost that nobody vouches for. */
import { once } from 'node:events';
import { createServer } from 'node:https';
import type { Server } from 'node:https';
import { app } from './http.js';
import { CERTIFICATE, KEY } from './support/certificate.js';
import { listen } from '../lib/index.js';

export async function serve(port: number): Promise<Server> {
  const server = listen(createServer({ key: KEY, cert: CERTIFICATE }, app), { port });
  await once(server, 'listening');
  return server;
}

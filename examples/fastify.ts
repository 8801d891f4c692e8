/** A Fastify app (`npm start -- --app fastify`): it listens itself, on a server that was put on the TCP server before. */
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import fastify from 'fastify';
import { offload } from '../lib/index.js';

const app = fastify({ serverFactory: (handler) => offload(createServer(handler)) });
app.get('/', () => 'hello from Fastify\n');
app.post('/echo', (request) => request.body);

export async function serve(port: number): Promise<Server> {
  await app.listen({ port, host: '::' });
  return app.server;
}

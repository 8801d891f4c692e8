/** An Express app (`npm start -- --app express`). */
import { once } from 'node:events';
import type { Server } from 'node:http';
import express from 'express';
import { listen } from '../lib/index.js';

const app = express();
app.get('/', (_request, response) => void response.send('hello from Express\n'));
app.post('/echo', express.text({ type: '*/*' }), (request, response) => void response.send(request.body));

export async function serve(port: number): Promise<Server> {
  const server = listen(app, { port });
  await once(server, 'listening');
  return server;
}

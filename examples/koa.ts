/** A Koa app (`npm start -- --app koa`). */
import { once } from 'node:events';
import type { Server } from 'node:http';
import { text } from 'node:stream/consumers';
import Koa from 'koa';
import { listen } from '../lib/index.js';

const app = new Koa();
app.use(async (context) => {
  context.body = context.method === 'POST' ? await text(context.req) : 'hello from Koa\n';
});

export async function serve(port: number): Promise<Server> {
  const server = listen(app.callback(), { port });
  await once(server, 'listening');
  return server;
}

/** A WebSocket server of the package ws, which greets and sends back what comes (`npm start -- --app ws`). */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:http';
import { WebSocketServer } from 'ws';
import { listen } from '../lib/index.js';

export async function serve(port: number): Promise<Server> {
  const server = listen(createServer(), { port });
  new WebSocketServer({ server }).on('connection', (socket) => {
    socket.on('error', () => undefined);
    socket.on('message', (data, binary) => socket.send(data, { binary }));
    socket.send('hello from WebSocket');
  });
  await once(server, 'listening');
  return server;
}

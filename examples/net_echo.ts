/** An echo server as it is written for `node:net`, with another name behind `from`: in an app, 'tcp-offload/net'. The TCP server starts by itself. */
import { createServer } from '../lib/net.js';

export const server = createServer((socket) => {
  socket.pipe(socket);
  socket.on('error', (error) => console.error(`${socket.remoteAddress}: ${error.message}`));
});

server.listen(Number(process.env['PORT'] ?? 0), () => console.log('listening on port', server.address()?.port));

/**
 * The server under test, a process of its own: one app over one kind of TCP. Prints one line of JSON, the threads to be
 * measured, once it listens, and serves until it is ended.
 */
import { createServer as createHttpServer } from 'node:http';
import * as kernelNet from 'node:net';
import { parseArgs } from 'node:util';
import { threadId } from '../examples/support/threads.js';

export interface ServerReady {
  readonly appThread: number;
  readonly serverThread: number | null;
}

const { values } = parseArgs({
  options: {
    net: { type: 'string' },
    app: { type: 'string' },
    address: { type: 'string' },
    port: { type: 'string' },
    device: { type: 'string' },
    netns: { type: 'string' },
    cpu: { type: 'string' },
    thread: { type: 'string' },
  },
});
const { app, device = '', address = '', netns = '' } = values;
const port = Number(values.port);

let serverThread: number | null = null;
// Kernel TCP's process carries nothing of the other side.
const offload = values.net === 'offload' ? await import('../lib/index.js') : null;
if (offload !== null) {
  const thread = (values.thread ?? 'auto') as 'own' | 'app' | 'auto';
  const cpu = values.cpu === undefined ? {} : { cpu: Number(values.cpu) };
  const server = await offload.TcpServer.start({ device, netns, address, thread, ...cpu });
  if (server.threadId !== threadId()) serverThread = server.threadId;
}
if (app === 'http') serveHttp();
else serveFixed();

function serveHttp(): void {
  const server = createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end('Hello, World!\n');
  });
  if (offload === null) server.listen(port);
  else offload.listen(server, { port });
  server.once('listening', ready);
}

/** The least that a server can do: the same bytes for each read, which with this load is one request. */
function serveFixed(): void {
  const response = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n');
  // Both have the same calls; their types are not related.
  const net = (offload === null ? kernelNet : offload.net) as Pick<typeof kernelNet, 'createServer'>;
  const server = net.createServer({ noDelay: true }, (socket: kernelNet.Socket) => {
    socket.on('data', () => socket.write(response));
    socket.on('error', () => undefined);
  });
  server.listen(port, ready);
}

function ready(): void {
  const line: ServerReady = { appThread: threadId(), serverThread };
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

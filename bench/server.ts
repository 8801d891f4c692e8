/**
 * The server under test, a process of its own: one app over one kind of TCP. Prints one line of JSON, the threads to be measured, once it
 * listens, and serves until it is ended. To `begin` on its standard input it says that it has begun to count garbage collections, to `end`
 * how many there were.
 */
import { createReadStream } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { GCProfiler } from 'node:v8';
import { threadId } from '../examples/support/threads.js';
import { FILE_HEAD, FIXED_RESPONSE, SOURCE_BYTES, openBenchFile } from './payload.js';

export interface ServerReady {
  readonly appThread: number;
  readonly serverThread: number | null;
}

export interface ServerCollections {
  readonly collections: number;
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
const { app = '', device = '', address = '', netns = '' } = values;
const port = Number(values.port);

if (values.net === 'offload') await serveOffload();
else if (app === 'http') serveHttp().listen(port, () => ready(threadId(), null));
else serveSockets();

/** Kernel TCP's process carries nothing of this side. */
async function serveOffload(): Promise<void> {
  const { TcpServer, listen } = await import('../lib/index.js');
  const thread = (values.thread ?? 'own') as 'own' | 'app';
  const cpu = values.cpu === undefined ? {} : { cpu: Number(values.cpu) };
  const server = await TcpServer.start({ device, netns, address, thread, ...cpu });
  const serverThread = server.threadId === threadId() ? null : server.threadId;
  if (app === 'http') {
    listen(serveHttp(), { port }, () => ready(threadId(), serverThread));
  } else if (app === 'events') {
    const { MemNet } = await import('../lib/memnet.js');
    const { serve } = await import('./memnet_apps.js');
    const memnet = new MemNet();
    memnet.onEvents = serve('fixed', memnet);
    await memnet.listen({ port });
    ready(threadId(), serverThread);
  } else {
    const { startWaiting, waitHere } = await import('./memnet_worker.js');
    if (serverThread === null) {
      await waitHere(app, port, () => ready(threadId(), null));
    } else {
      const { thread, control } = await startWaiting(app, port);
      ready(thread, serverThread, control);
    }
  }
}

function serveHttp(): ReturnType<typeof createHttpServer> {
  return createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end('Hello, World!\n');
  });
}

/** The least that a server can do. */
function serveSockets(): void {
  const begin = { file: sendFile, source: send, sink: (socket: Socket) => socket.resume() }[app] ?? respond;
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    begin(socket);
  });
  server.listen(port, () => ready(threadId(), null));
}

/** The same bytes for each read, which with this load is one request. */
function respond(socket: Socket): void {
  socket.on('data', () => socket.write(FIXED_RESPONSE));
}

let file = -1;

function sendFile(socket: Socket): void {
  if (file < 0) file = openBenchFile();
  socket.on('data', () => {
    socket.write(FILE_HEAD);
    createReadStream('', { fd: file, start: 0, autoClose: false }).pipe(socket, { end: false });
  });
}

function send(socket: Socket): void {
  const fill = (): void => { while (!socket.destroyed && socket.write(SOURCE_BYTES)); };
  socket.on('drain', fill);
  fill();
}

/** Counts the garbage collections of the app's thread. */
export interface Control {
  begin(): Promise<void>;
  end(): Promise<number>;
}

/** Of this thread. */
function ownControl(): Control {
  const profiler = new GCProfiler();
  return {
    begin: async () => profiler.start(),
    end: async () => profiler.stop().statistics.length,
  };
}

function ready(appThread: number, serverThread: number | null, control: Control = ownControl()): void {
  say({ appThread, serverThread });
  createInterface({ input: process.stdin }).on('line', (question) => {
    if (question === 'begin') void control.begin().then(() => say({ collections: 0 }));
    else void control.end().then((collections) => say({ collections }));
  });
}

function say(line: ServerReady | ServerCollections): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

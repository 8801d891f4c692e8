/**
 * The server under test, a process of its own: one app over one kind of TCP. Prints one line of JSON, the threads to be measured, once it
 * listens, and serves until it is ended. To `begin` on its standard input it says that it has begun to count garbage collections, to `end`
 * how many there were, to `memory` how much it holds.
 */
import { createReadStream } from 'node:fs';
import { createServer as createHttpServer } from 'node:http';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { createInterface } from 'node:readline';
import { parseArgs } from 'node:util';
import { GCProfiler, setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { threadId } from '../examples/support/threads.js';
import { FILE_HEAD, FIXED_RESPONSE, SOURCE_BYTE, SOURCE_BYTES, openBenchFile, pageOf, render } from './payload.js';

export interface ServerReady {
  readonly appThread: number;
  readonly serverThreads: readonly number[];
}

export interface ServerCollections {
  readonly collections: number;
}

/** Resident bytes of the process. */
export interface ServerMemory {
  readonly resident: number;
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
    servers: { type: 'string', default: '1' },
    flows: { type: 'string' },
    bytes: { type: 'string', default: '14' },
  },
});
const { app = '', device = '', address = '', netns = null } = values;
const port = Number(values.port);
const isHttp = app === 'http' || app === 'dynamic';

if (values.net === 'offload') await serveOffload();
else if (isHttp) serveHttp().listen(port, () => ready(threadId(), []));
else serveSockets();

/** Kernel TCP's process carries nothing of this side. */
async function serveOffload(): Promise<void> {
  const { TcpServer, listen } = await import('../lib/index.js');
  const thread = (values.thread ?? 'auto') as 'own' | 'app' | 'auto';
  const cpu = values.cpu === undefined ? {} : { cpu: Number(values.cpu) };
  const flows = values.flows === undefined ? {} : { maxFlows: Number(values.flows) };
  const server = await TcpServer.start({ device, netns, address, thread, servers: Number(values.servers), ...cpu, ...flows });
  const serverThreads = server.threadId === threadId() ? [] : server.statuses.map((each) => each.threadId);
  if (isHttp) {
    listen(serveHttp(), { port }, () => ready(threadId(), serverThreads));
  } else if (app === 'events') {
    const { MemNet } = await import('../lib/memnet.js');
    const { serve } = await import('./memnet_apps.js');
    const memnet = new MemNet();
    memnet.onEvents = serve('fixed');
    await memnet.listen({ port });
    ready(threadId(), serverThreads);
  } else {
    const { startWaiting, waitHere } = await import('./memnet_worker.js');
    if (serverThreads.length === 0) {
      await waitHere(app, port, () => ready(threadId(), []));
    } else {
      const { thread, control } = await startWaiting(app, port);
      ready(thread, serverThreads, control);
    }
  }
}

/** A page of so many bytes that stands ready, or that is made for each request. */
function serveHttp(): ReturnType<typeof createHttpServer> {
  const bytes = Number(values.bytes);
  const page = pageOf(bytes);
  const server = createHttpServer((_request, response) => {
    response.setHeader('Content-Type', 'text/plain');
    response.end(app === 'dynamic' ? render(bytes) : page);
  });
  // Of many connections each has its turn after a while.
  server.keepAliveTimeout = 0;
  return server;
}

/** The least that a server can do. */
function serveSockets(): void {
  const begin = { file: sendFile, source: send, sink: (socket: Socket) => socket.resume() }[app] ?? respond;
  const server = createServer({ noDelay: true }, (socket) => {
    socket.on('error', () => undefined);
    begin(socket);
  });
  server.listen(port, () => ready(threadId(), []));
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

/**
 * The bytes are made anew each time, as over MemNet. They fill the socket's own buffer by themselves, so where it takes more the kernel has
 * its copy of those before.
 */
function send(socket: Socket): void {
  const bytes = Buffer.allocUnsafe(SOURCE_BYTES);
  const fill = (): void => { while (!socket.destroyed && socket.write(bytes.fill(SOURCE_BYTE))); };
  socket.on('drain', fill);
  fill();
}

/** Resident bytes when what is garbage has gone. */
function memory(): ServerMemory {
  setFlagsFromString('--expose-gc');
  (runInNewContext('gc') as () => void)();
  return { resident: process.memoryUsage.rss() };
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

function ready(appThread: number, serverThreads: readonly number[], control: Control = ownControl()): void {
  say({ appThread, serverThreads });
  createInterface({ input: process.stdin }).on('line', (question) => {
    if (question === 'memory') say(memory());
    else if (question === 'begin') void control.begin().then(() => say({ collections: 0 }));
    else void control.end().then((collections) => say({ collections }));
  });
}

function say(line: ServerReady | ServerCollections | ServerMemory): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

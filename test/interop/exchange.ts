/**
 * What two ends do with each other in these tests, whichever TCP they stand on: one serves, the other asks. The bytes are
 * always the same ones, so that both know the checksum.
 */
import { createHash } from 'node:crypto';
import { EventEmitter, once } from 'node:events';
import { Readable } from 'node:stream';
import type { Duplex } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { bytes } from '../../examples/http.js';
import { digest } from './support.js';

/** The part of `node:net` that is used; the TCP server's `net` has it as well. */
export interface Net {
  createServer(options: { allowHalfOpen: boolean }, take: (socket: Duplex) => void): Listening;
  connect(options: { host: string; port: number; allowHalfOpen?: boolean }): Duplex;
}

interface Listening {
  listen(port: number): { once(event: 'listening', done: () => void): unknown };
  close(): unknown;
}

/** Takes everything, and answers with its checksum. */
const SINK = 9;
/** Reads a number and sends so many bytes. */
const SOURCE = 19;
/** As SINK, but reads nothing for a while after the first bytes. */
const LATE_SINK = 10;
/** Takes connections and keeps them. */
export const SILENT = 11;

/** How long a reader that stops stands still, in ms. */
const PAUSE = 700;

/** Sums of the first `count` bytes, once for each count. */
const sums = new Map<number, string>();

export function sumOf(count: number): string {
  let sum = sums.get(count);
  if (sum === undefined) {
    const hash = createHash('sha256');
    for (const block of bytes(count)) hash.update(block);
    sums.set(count, sum = hash.digest('hex'));
  }
  return sum;
}

/** Serves all of that. What becomes of a connection is the asking end's to judge. */
export async function serve(net: Net, silent: (socket: Duplex) => void = () => undefined): Promise<{ connected(count: number): Promise<void>; close(): void }> {
  const services: [number, (socket: Duplex) => void | Promise<void>][] = [
    [SINK, async (socket) => { socket.end((await digest(socket)).sha256); }],
    [LATE_SINK, async (socket) => { socket.end((await digest(await late(socket))).sha256); }],
    [SOURCE, (socket) => {
      socket.once('data', (text: Buffer) => pipeline(Readable.from(bytes(Number(text))), socket).catch(() => undefined));
    }],
    [SILENT, silent],
  ];
  const open = new Set<Duplex>();
  const connections = new EventEmitter();
  const servers = await Promise.all(services.map(async ([port, service]) => {
    const server = net.createServer({ allowHalfOpen: true }, (socket) => {
      open.add(socket);
      connections.emit('one');
      socket.on('error', () => undefined).once('close', () => open.delete(socket));
      Promise.resolve(service(socket)).catch(() => undefined);
    });
    await new Promise<void>((resolve) => server.listen(port).once('listening', resolve));
    return server;
  }));
  return {
    /** Fulfilled once so many are open at a time. */
    connected: async (count) => {
      while (open.size < count) await once(connections, 'one');
    },
    close: () => {
      for (const server of servers) server.close();
      for (const socket of open) socket.destroy();
    },
  };
}

/** A reader that stops after the first bytes, until the writer's window is long closed. */
async function late(socket: Duplex): Promise<Readable> {
  await new Promise((resolve) => socket.once('readable', resolve));
  await new Promise((resolve) => setTimeout(resolve, PAUSE));
  return socket;
}

export type Request = 'upload' | 'download' | 'upload to a late reader' | 'download as a late reader';

/** Carries out a request against `serve` at `host`. Returns the checksum of what arrived at the other end, or here. */
export async function ask(net: Net, request: Request, host: string, count: number): Promise<string> {
  const uploads = request.startsWith('upload');
  const socket = net.connect({ host, port: !uploads ? SOURCE : request === 'upload' ? SINK : LATE_SINK, allowHalfOpen: true });
  try {
    if (uploads) {
      let answer = '';
      const answered = new Promise<void>((resolve, reject) => {
        socket.on('data', (text: Buffer) => { answer += text.toString(); }).once('end', resolve).once('error', reject);
      });
      // The end of the stream goes first, then the answer comes back: each direction is closed by itself.
      await Promise.all([pipeline(Readable.from(bytes(count)), socket), answered]);
      return answer;
    }
    socket.write(String(count));
    return (await digest(request === 'download' ? socket : await late(socket))).sha256;
  } finally {
    socket.destroy();
  }
}

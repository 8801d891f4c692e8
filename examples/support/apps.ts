/** The examples that `npm start` loads by their names: servers of Node's and of packages, and clients. */
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { Server } from 'node:net';
import { app } from '../http.js';

interface ServerExample {
  /** Fulfilled with a server that listens. */
  serve(port: number): Promise<Server>;
}

interface ClientExample {
  ask(url: string): Promise<string>;
  close(): void | Promise<void>;
}

/** The scheme of each server's URL, the event that is a request, and how a person tries it. */
export const SERVERS = {
  https: { scheme: 'https', event: 'request', attempt: 'curl -k' },
  http2: { scheme: 'https', event: 'stream', attempt: 'curl -k --http2' },
  http2_clear: { scheme: 'http', event: 'stream', attempt: 'curl --http2-prior-knowledge' },
  express: { scheme: 'http', event: 'request', attempt: 'curl' },
  fastify: { scheme: 'http', event: 'request', attempt: 'curl' },
  koa: { scheme: 'http', event: 'request', attempt: 'curl' },
  ws: { scheme: 'ws', event: 'upgrade', attempt: 'new WebSocket of a browser with' },
} as const;
export type ServerName = keyof typeof SERVERS;

export const CLIENTS = ['agent', 'undici'] as const;
export type ClientName = (typeof CLIENTS)[number];

export function isServer(name: string): name is ServerName {
  return name in SERVERS;
}

export function isClient(name: string): name is ClientName {
  return (CLIENTS as readonly string[]).includes(name);
}

/** Serves a port of this thread's TCP server. */
export async function serveExample(name: ServerName, port: number, onRequest: () => void): Promise<void> {
  const { serve } = await import(`../${name}.js`) as ServerExample;
  const server = await serve(port);
  server.on(SERVERS[name].event, onRequest);
}

/** Requests of a client that are on their way at a time. */
const AT_A_TIME = 8;
/** After a request that failed, ms. */
const PAUSE_MS = 500;

/**
 * Has a client ask a URL over and over, until it is ended.
 *
 * @param onAnswer called for each answer, with null; or with what a request has failed of.
 * @returns how to end it.
 */
export async function startClient(name: ClientName, url: string, onAnswer: (error: Error | null) => void): Promise<() => Promise<void>> {
  const { ask, close } = await import(`../${name}.js`) as ClientExample;
  const ending = new AbortController();
  const ended = once(ending.signal, 'abort');
  const askers = Array.from({ length: AT_A_TIME }, async () => {
    while (!ending.signal.aborted) {
      await ask(url).then(() => onAnswer(null), async (error: Error) => {
        if (!ending.signal.aborted) onAnswer(error);
        await Promise.race([ended, new Promise((resolve) => setTimeout(resolve, PAUSE_MS))]);
      });
    }
  });
  return async () => {
    ending.abort();
    await Promise.all(askers);
    await close();
  };
}

/** The app of http.ts on the kernel's TCP, for clients to ask. */
export async function serveOnKernel(host: string, port: number): Promise<{ url: string; close(): void }> {
  const server = createServer(app).listen(port, host);
  await once(server, 'listening');
  return { url: `http://${host}:${port}/`, close: () => void server.close() };
}

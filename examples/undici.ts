/** A client of the package undici, on which `fetch` stands as well (`npm start -- --app undici`). */
import { once } from 'node:events';
import type { Socket } from 'node:net';
import { Agent, buildConnector, request } from 'undici';
import { net } from '../lib/index.js';

const secure = buildConnector({});

export const dispatcher = new Agent({
  connections: 8,
  connect(options, callback) {
    const secured = options.protocol === 'https:';
    const socket = net.connect({ host: options.hostname, port: Number(options.port) || (secured ? 443 : 80) }) as unknown as Socket;
    if (secured) secure({ ...options, httpSocket: socket }, callback);
    else once(socket, 'connect').then(() => callback(null, socket), (error: Error) => callback(error, null));
  },
});

/** Asks a URL for what is there. */
export async function ask(url: string): Promise<string> {
  const { body } = await request(url, { dispatcher });
  return body.text();
}

export async function close(): Promise<void> {
  await dispatcher.close();
}

/** A client of `node:http` with a pool of connections (`npm start -- --app agent`). An `https.Agent` takes `tls.connect({ socket })` in the same place. */
import { once } from 'node:events';
import { Agent, get } from 'node:http';
import type { IncomingMessage } from 'node:http';
import { text } from 'node:stream/consumers';
import { net } from '../lib/index.js';

export const agent = Object.assign(new Agent({ keepAlive: true, maxSockets: 8 }), { createConnection: net.connect });

/** Asks a URL for what is there. */
export async function ask(url: string): Promise<string> {
  const [response] = await once(get(url, { agent }), 'response') as [IncomingMessage];
  return text(response);
}

export function close(): void {
  agent.destroy();
}

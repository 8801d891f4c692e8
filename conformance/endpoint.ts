/** Addresses of requests. */
import { parseAddress } from '../lib/tcp/wire/address.js';
import type { Endpoint } from './socket.js';

const MAPPED = '::ffff:';

/** The address of a text, which may be empty or :: for any; null where it names none. */
export function parseEndpoint(text: string, port: number): Endpoint | null {
  const address = new Int32Array(4);
  if (text === '' || text === '::') return { address, port };
  const plain = text.toLowerCase().startsWith(MAPPED) && text.includes('.') ? text.slice(MAPPED.length) : text;
  return parseAddress(plain, address, 0) ? { address, port } : null;
}

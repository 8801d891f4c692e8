/** Addresses of requests. */
import { isMapped, parseAddress, setMapped } from '../lib/tcp/wire/address.js';

/** A place where connections come from and go to. */
export interface Endpoint {
  /** Four words (lib/tcp/transport.ts). */
  address: Int32Array;
  port: number;
}

/** Any address of a family: of IPv4, or of both. */
export function anyAddress(six: boolean): Int32Array {
  const address = new Int32Array(4);
  if (!six) setMapped(address, 0, 0);
  return address;
}

/** The address of a text, which may be empty for any; null where it names none that a socket of this family takes. */
export function parseEndpoint(text: string, port: number, six: boolean): Endpoint | null {
  if (text === '' || (six && text === '::')) return { address: anyAddress(six), port };
  const address = new Int32Array(4);
  if (!parseAddress(text, address, 0)) return null;
  return six || isMapped(address, 0) ? { address, port } : null;
}

export function isAny({ address }: Endpoint): boolean {
  return address[0] === 0 && address[1] === 0 && address[3] === 0 && (address[2] === 0 || isMapped(address, 0));
}

/** True where a segment could be meant for both. `sixOnly`: any address of it is one of IPv6. */
export function overlap(a: Endpoint, aSixOnly: boolean, b: Endpoint, bSixOnly: boolean): boolean {
  if (a.port !== b.port) return false;
  const families = (each: Endpoint, sixOnly: boolean): number => isMapped(each.address, 0) ? 1 : isAny(each) && !sixOnly ? 3 : 2;
  if ((families(a, aSixOnly) & families(b, bSixOnly)) === 0) return false;
  return isAny(a) || isAny(b) || a.address.every((word, i) => word === b.address[i]);
}

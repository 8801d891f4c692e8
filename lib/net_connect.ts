/** What comes before an active open: the forms of `connect`'s arguments, their check, and the lookup of the host's address. */
import { lookup as dnsLookup } from 'node:dns';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { isIP } from 'node:net';
import { badPort, codedError, invalidAddress, invalidType, invalidValue, missingPort } from './errors.js';
import type { OnRead } from './net_flow.js';
import type { TcpOptions } from './net_socket_settings.js';

/** As `dns.lookup`: how a socket finds the address of a host name. */
export type LookupFunction = (
  hostname: string,
  options: LookupOptions,
  callback: (error: NodeJS.ErrnoException | null, address: string | LookupAddress[], family?: number) => void,
) => void;

/** Options of `new Socket`. */
export interface SocketOptions extends TcpOptions {
  /** Keep this side open when the peer ends its own. Default false: the socket is ended too. */
  allowHalfOpen?: boolean;
  /** Bytes that the stream buffers each way before it reports back-pressure. Default: Node's. */
  highWaterMark?: number;
  readableHighWaterMark?: number;
  writableHighWaterMark?: number;
  /** Destroys the socket when aborted. */
  signal?: AbortSignal;
  /** Read into memory of the app, without 'data' events. */
  onread?: OnRead;
}

/** Options of `connect`. */
export interface ConnectOptions extends SocketOptions {
  /** 0 to 65535. */
  port: number | string;
  /** Name or address. Default 'localhost'. */
  host?: string;
  /** Address to connect from. Default: the interface's. */
  localAddress?: string;
  /** Port to connect from. Default: one chosen at random (RFC 6056). */
  localPort?: number;
  /** Family of the addresses looked up. Default: IPv4, and IPv6 for a host that has no other. */
  family?: number | 'IPv4' | 'IPv6';
  /** Hints for the lookup. */
  hints?: number;
  /** Default `dns.lookup`. */
  lookup?: LookupFunction;
  /** As `setTimeout`, from before the connection is made, ms. */
  timeout?: number;
}

/** A port as a number or the text of one, as Node takes it. */
export function isPort(value: unknown): value is number | string {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value < 65536;
  return typeof value === 'string' && value.trim() !== '' && isPort(Number(value));
}

/** Arguments of `connect` and `listen`: options, or a port and more; at last a listener. */
export interface NetArguments {
  options: Record<string, unknown>;
  listener: (() => void) | null;
}

/** Sorts `(options, cb)`, `(port, host, cb)` and `(path, cb)` as `node:net` does. */
export function netArguments(args: readonly unknown[]): NetArguments {
  const last = args[args.length - 1];
  const listener = typeof last === 'function' ? (last as () => void) : null;
  const first = args[0];
  if (typeof first === 'object' && first !== null) return { options: first as Record<string, unknown>, listener };
  if (args.length === 0) return { options: {}, listener };
  if (typeof first === 'string' && !(Number(first) >= 0)) return { options: { path: first }, listener };
  return { options: typeof args[1] === 'string' ? { port: first, host: args[1] } : { port: first }, listener };
}

/**
 * Checks the options of an active open.
 *
 * @throws TypeError, RangeError with Node's codes.
 */
export function checkConnectOptions(options: Record<string, unknown>): asserts options is Record<string, unknown> & ConnectOptions {
  const { port, path, localAddress, localPort, lookup } = options;
  if (port === undefined && (path === undefined || path === null)) throw missingPort();
  if (path) throw invalidValue('options.path', path, 'is not supported: a TCP server has no Unix domain sockets');
  if (localAddress && (typeof localAddress !== 'string' || !isIP(localAddress))) throw invalidAddress(localAddress);
  if (localPort && typeof localPort !== 'number') throw invalidType('options.localPort', ['number'], localPort);
  if (typeof port !== 'number' && typeof port !== 'string') throw invalidType('options.port', ['number', 'string'], port);
  if (!isPort(port)) throw badPort('Port', port);
  if (lookup !== undefined && lookup !== null && typeof lookup !== 'function') throw invalidType('options.lookup', ['function'], lookup);
}

/** Tells an address, or why there is none. */
export type AddressFound = (error: Error | null, address: string, family: number) => void;

/** The IPv4 address of a host, or where it has none that of IPv6. */
export function lookupFirst(host: string, found: (error: NodeJS.ErrnoException | null, address: string, family: number) => void, hints = 0): void {
  dnsLookup(host, { family: 4, hints }, (error, address, family) => {
    if (error === null) found(null, address, family);
    // The first error is the one to tell.
    else dnsLookup(host, { family: 6, hints }, (none, other, otherFamily) => found(none === null ? null : error, none === null ? other : address, otherFamily));
  });
}

function familyNumber(family: ConnectOptions['family']): number {
  if (family === 'IPv6') return 6;
  return family === 6 ? 6 : 4;
}

/**
 * Looks the host's address up.
 *
 * @param seen called with the lookup's raw answer, for the 'lookup' event.
 */
export function findAddress(host: string, options: ConnectOptions, seen: AddressFound, found: AddressFound): void {
  const both: LookupFunction = (name, { hints }, callback) => lookupFirst(name, callback, hints);
  const lookup = options.lookup ?? (options.family ? (dnsLookup as LookupFunction) : both);
  lookup(host, { family: familyNumber(options.family), hints: options.hints ?? 0 }, (error, answer, givenFamily) => {
    // A lookup written for Node's happy eyeballs may answer with a list.
    const first = Array.isArray(answer) ? (answer.find((entry) => entry.family === 4) ?? answer[0]) : undefined;
    const address = first?.address ?? (answer as string);
    const family = first?.family ?? givenFamily ?? 0;
    seen(error, address, family);
    if (error) found(error, '', 0);
    else if (!isIP(address)) found(invalidAddress(address), '', 0);
    else if (family !== 4 && family !== 6) {
      const message = `Invalid address family: ${family} ${host}:${options.port}`;
      found(Object.assign(codedError('ERR_INVALID_ADDRESS_FAMILY', message), { host, port: Number(options.port) }), '', 0);
    } else found(null, address, family);
  });
}

/** What comes before an active open: the forms of `connect`'s arguments, and their check. */
import type { LookupAddress, LookupOptions } from 'node:dns';
import { getDefaultAutoSelectFamily, getDefaultAutoSelectFamilyAttemptTimeout, isIP } from 'node:net';
import { badPort, invalidAddress, invalidType, missingPort, outOfRange } from './errors.js';
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
  /** A descriptor of the kernel: the socket is Node's own then. */
  fd?: number;
  /** With `fd`, whether the socket reads. */
  readable?: boolean;
  /** With `fd`, whether the socket writes. */
  writable?: boolean;
}

/** Options of `connect` over TCP. */
export interface TcpConnectOptions extends SocketOptions {
  /** 0 to 65535. */
  port: number | string;
  /** Name or address. Default 'localhost'. */
  host?: string;
  /** Address to connect from. Default: the interface's. */
  localAddress?: string;
  /** Port to connect from. Default: one chosen at random (RFC 6056). */
  localPort?: number;
  /** Family of the addresses looked up; 0: both. Default 0. */
  family?: number | 'IPv4' | 'IPv6';
  /** Hints for the lookup. */
  hints?: number;
  /** Default `dns.lookup`. */
  lookup?: LookupFunction;
  /** As `setTimeout`, from before the connection is made, ms. */
  timeout?: number;
  /** Try the addresses of a name by turns of their families until one answers. Default: `net.getDefaultAutoSelectFamily()`. */
  autoSelectFamily?: boolean;
  /** How long one of them has to answer before the next is tried, ms, 10 at least. Default: `net.getDefaultAutoSelectFamilyAttemptTimeout()`. */
  autoSelectFamilyAttemptTimeout?: number;
}

/** Options of `connect` to a Unix domain socket, which the kernel carries. */
export interface PathConnectOptions extends SocketOptions {
  path: string;
  timeout?: number;
}

export type ConnectOptions = TcpConnectOptions | PathConnectOptions;

/** A port as a number or the text of one, as Node takes it. */
function isPort(value: unknown): value is number | string {
  if (typeof value === 'number') return Number.isInteger(value) && value >= 0 && value < 65536;
  return typeof value === 'string' && value.trim() !== '' && isPort(Number(value));
}

/** Arguments of `connect`: options, or a port or path and more; at last a listener. */
export interface NetArguments {
  options: Record<string, unknown>;
  listener: (() => void) | null;
}

/** Sorts `(options, cb)`, `(port, host, cb)` and `(path, cb)` as `node:net` does; an array that it has sorted already stays as it is. */
export function netArguments(args: readonly unknown[]): NetArguments {
  const last = args[args.length - 1];
  const listener = typeof last === 'function' ? (last as () => void) : null;
  const first = args[0];
  if (isSorted(first)) return { options: first[0], listener: first[1] };
  if (typeof first === 'object' && first !== null) return { options: first as Record<string, unknown>, listener };
  if (args.length === 0) return { options: {}, listener };
  if (typeof first === 'string' && !(Number(first) >= 0)) return { options: { path: first }, listener };
  return { options: typeof args[1] === 'string' ? { port: first, host: args[1] } : { port: first }, listener };
}

/** What `net._normalizeArgs` returns: Node's agents hand it on. It bears a mark of Node's own, which is a symbol. */
function isSorted(value: unknown): value is [Record<string, unknown>, (() => void) | null] {
  return Array.isArray(value) && value.length === 2 && Object.getOwnPropertySymbols(value).length > 0;
}

/** What an active open is to do, checked. */
export interface ConnectPlan {
  readonly host: string;
  readonly port: number;
  readonly localAddress: string | undefined;
  readonly localPort: number | undefined;
  /** 4, 6, or anything else for both. */
  readonly family: unknown;
  readonly hints: number;
  readonly lookup: LookupFunction | null;
  readonly autoSelectFamily: boolean;
  /** ms. */
  readonly attemptTimeout: number;
  /** As they were given. */
  readonly options: Record<string, unknown>;
}

const SHORTEST_ATTEMPT_MS = 10;
const INT32_MOST = 2 ** 31 - 1;

/**
 * Checks the options of an active open over TCP.
 *
 * @throws TypeError, RangeError with Node's codes.
 */
export function connectPlan(options: Record<string, unknown>): ConnectPlan {
  const { port, localAddress, localPort, lookup, autoSelectFamily } = options;
  const host = (options.host as string | undefined) || 'localhost';
  if (localAddress && (typeof localAddress !== 'string' || !isIP(localAddress))) throw invalidAddress(localAddress);
  if (localPort && typeof localPort !== 'number') throw invalidType('options.localPort', ['number'], localPort);
  if (typeof port !== 'number' && typeof port !== 'string') throw invalidType('options.port', ['number', 'string'], port);
  if (!isPort(port)) throw badPort('Port', port);
  if (autoSelectFamily !== undefined && autoSelectFamily !== null && typeof autoSelectFamily !== 'boolean') {
    throw invalidType('options.autoSelectFamily', ['boolean'], autoSelectFamily);
  }
  const attemptTimeout = checkAttemptTimeout(options.autoSelectFamilyAttemptTimeout);
  const named = isIP(host) === 0;
  if (named && lookup !== undefined && lookup !== null && typeof lookup !== 'function') throw invalidType('options.lookup', ['function'], lookup);
  const { family } = options;
  return {
    host,
    port: Number(port),
    localAddress: (localAddress as string | undefined) || undefined,
    localPort: (localPort as number | undefined) || undefined,
    family: family === 'IPv4' ? 4 : family === 'IPv6' ? 6 : family,
    hints: (options.hints as number | undefined) || 0,
    lookup: (lookup as LookupFunction | undefined) ?? null,
    autoSelectFamily: (autoSelectFamily as boolean | undefined) ?? getDefaultAutoSelectFamily(),
    attemptTimeout,
    options,
  };
}

function checkAttemptTimeout(value: unknown): number {
  if (value === undefined || value === null) return getDefaultAutoSelectFamilyAttemptTimeout();
  const name = 'options.autoSelectFamilyAttemptTimeout';
  if (typeof value !== 'number') throw invalidType(name, ['number'], value);
  if (!Number.isInteger(value)) throw outOfRange(name, 'an integer', value);
  if (value < 1 || value > INT32_MOST) throw outOfRange(name, `>= 1 && <= ${INT32_MOST}`, value);
  return Math.max(SHORTEST_ATTEMPT_MS, value);
}

/** Refuses options that name no place at all. @throws TypeError ERR_MISSING_ARGS. */
export function checkPlaceGiven({ port, path }: Record<string, unknown>): void {
  if (port === undefined && (path === undefined || path === null)) throw missingPort();
}

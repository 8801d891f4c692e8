/** Where to listen and where to connect to, for the faces that look no name up: the check of their options. */
import { isIP } from 'node:net';
import { badPort, invalidAddress, invalidType, outOfRange } from './errors.js';
import type { MemNetConnectOptions, MemNetListenOptions } from './memnet_api.js';
import type { ConnectOptions } from './runtime/app_api.js';

const DEFAULT_BACKLOG = 511;
const BACKLOG_MOST = 0x7fffffff;
const MEND = "Look a name up first: (await dns.promises.lookup('example.org')).address";

/**
 * The options of a listen, every default filled in.
 *
 * @throws TypeError, RangeError where one is not as it must be.
 */
export function listenPlace(options: MemNetListenOptions): Required<MemNetListenOptions> {
  const { port = 0, host = '::', backlog = DEFAULT_BACKLOG, ipv6Only = false } = options;
  checkPort('options.port', port);
  checkAddress(host);
  if (typeof backlog !== 'number') throw invalidType('options.backlog', ['number'], backlog);
  if (!Number.isInteger(backlog) || backlog < 0 || backlog > BACKLOG_MOST) throw outOfRange('options.backlog', `an integer >= 0 and <= ${BACKLOG_MOST}`, backlog);
  return { port, host, backlog, ipv6Only };
}

/** The same of a connect. */
export function connectPlace(options: MemNetConnectOptions): ConnectOptions {
  const { port, host = '127.0.0.1', localAddress, localPort = 0 } = options;
  checkPort('options.port', port);
  checkPort('options.localPort', localPort);
  checkAddress(host);
  if (localAddress === undefined) return { host, port, localPort };
  checkAddress(localAddress);
  return { host, port, localPort, localAddress };
}

function checkPort(name: string, port: unknown): void {
  if (typeof port !== 'number') throw invalidType(name, ['number'], port);
  if (!Number.isInteger(port) || port < 0 || port > 65535) throw badPort(name, port);
}

function checkAddress(host: unknown): void {
  if (typeof host !== 'string' || isIP(host) === 0) throw invalidAddress(host, MEND);
}

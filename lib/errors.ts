/**
 * Every error that the package's faces raise, made in one place. Errors of the network carry what `node:net`'s carry
 * (`code`, `errno`, `syscall`, `address`, `port`) and read the same, so that code written for Node needs no new case.
 */
import { inspect, getSystemErrorMap } from 'node:util';
import { EAGAIN, EINVAL } from './tcp/errno.js';

/** An error of a socket or listener, with the fields that `node:net` gives to its own. */
export interface NetError extends Error {
  /** Symbolic name: 'ECONNREFUSED', 'EADDRINUSE', ... */
  code: string;
  /** The system's number, negative as in Node. */
  errno?: number;
  /** What was being done: 'connect', 'listen', 'read', 'write', 'bind'. */
  syscall?: string;
  address?: string;
  port?: number;
  localAddress?: string;
  localPort?: number;
  /** Of a blocking `write` whose time was over: bytes that the send buffer has taken all the same. */
  bytesWritten?: number;
}

/** Codes of a `TcpServerError`. */
export type TcpServerErrorCode =
  /** A face was used in a thread that has no TCP server. */
  | 'ERR_TCP_SERVER_NOT_STARTED'
  /** Every place for app threads (`maxApps`) is taken. */
  | 'ERR_TCP_SERVER_FULL'
  /** The threads of the process have loaded different versions of this package. */
  | 'ERR_TCP_SERVER_VERSION'
  /** The TCP server ended by itself: its flows are lost. */
  | 'ERR_TCP_SERVER_DIED'
  /** The TCP server was closed, or this thread was detached from it. */
  | 'ERR_TCP_SERVER_CLOSED'
  /** It could not be brought up; `cause` says why. */
  | 'ERR_TCP_SERVER_START'
  /** `TcpServer.start` was called while this process has a TCP server already. */
  | 'ERR_TCP_SERVER_ALREADY_STARTED';

/** What concerns the TCP server itself and not one connection. */
export class TcpServerError extends Error {
  readonly code: TcpServerErrorCode;

  constructor(code: TcpServerErrorCode, message: string, options?: ErrorOptions) {
    super(message, options);
    this.name = 'TcpServerError';
    this.code = code;
  }
}

/** What a socket or server has as its error where its TCP server is no more. @param failure why it did not come up; null: it had. */
export function serverEnded(failure: Error | null | undefined): TcpServerError {
  if (!failure) return new TcpServerError('ERR_TCP_SERVER_DIED', 'The TCP server has ended, and every connection and listener with it');
  return new TcpServerError('ERR_TCP_SERVER_START', `The TCP server could not be started: ${failure.message}`, { cause: failure });
}

const errorNames = getSystemErrorMap();

function systemErrorName(errno: number): string {
  return errorNames.get(-errno)?.[0] ?? `E${errno}`;
}

function systemErrorText(errno: number): string {
  return errorNames.get(-errno)?.[1] ?? 'unknown error';
}

function netError(message: string, errno: number, syscall: string): NetError {
  const error = new Error(message) as NetError;
  error.errno = -errno;
  error.code = systemErrorName(errno);
  error.syscall = syscall;
  return error;
}

/**
 * An error while reading from or writing to a connection, as `read ECONNRESET`.
 *
 * @param errno positive Linux error number.
 */
export function transferError(errno: number, syscall: 'read' | 'write'): NetError {
  return netError(`${syscall} ${systemErrorName(errno)}`, errno, syscall);
}

/**
 * A blocking call whose time was over, as `read EAGAIN: not done within 100 ms`: what read(2) gives with SO_RCVTIMEO. ETIMEDOUT is a connection
 * that is dead; this one is as good as before.
 */
export function timeOver(syscall: 'accept' | 'read' | 'write', ms: number): NetError {
  return netError(`${syscall} EAGAIN: not done within ${ms} ms`, EAGAIN, syscall);
}

/**
 * A file that could not be sent, as `sendFile EBADF: bad file descriptor`. The connection was reset: what the peer was promised has not come.
 *
 * @param errno positive Linux error number; ENODATA where the file ends before the bytes that were asked for.
 */
export function fileError(errno: number): NetError {
  const name = systemErrorName(errno);
  const text = name === 'ENODATA' ? 'the file ends before the bytes that were asked for' : systemErrorText(errno);
  return netError(`sendFile ${name}: ${text}; the connection was reset`, errno, 'sendFile');
}

/** An active open that failed, as `connect ECONNREFUSED 127.0.0.1:80`. */
export function connectError(errno: number, address: string, port: number, local?: { address: string; port: number }): NetError {
  const place = port > 0 ? `${address}:${port}` : address;
  const details = local === undefined ? '' : ` - Local (${local.address}:${local.port})`;
  const error = netError(`connect ${systemErrorName(errno)} ${place}${details}`, errno, 'connect');
  error.address = address;
  if (port > 0) error.port = port;
  if (local !== undefined) {
    error.localAddress = local.address;
    error.localPort = local.port;
  }
  return error;
}

/** A place to connect from that cannot be had, as `bind EADDRNOTAVAIL 192.0.2.1:5000`. */
export function bindError(errno: number, address: string, port: number | undefined): NetError {
  const error = netError(`bind ${systemErrorName(errno)} ${port ? `${address}:${port}` : address}`, errno, 'bind');
  error.address = address;
  if (port) error.port = port;
  return error;
}

/** ERR_INVALID_ADDRESS_FAMILY: what a lookup said of the address that it found. */
export function invalidFamily(family: unknown, host: string, port: unknown): RangeError & { code: string } {
  const error = codedRangeError('ERR_INVALID_ADDRESS_FAMILY', `Invalid address family: ${String(family)} ${host}:${String(port)}`);
  return Object.assign(error, { host, port });
}

/** None of the addresses of a name could be connected to: the errors of all. */
export function allAttemptsFailed(errors: readonly Error[]): AggregateError & { code: string } {
  return Object.assign(new AggregateError(errors), { code: (errors[0] as NetError).code });
}

/** None of the addresses of a name was tried to its end. */
export function connectionTimeout(): NetError {
  return codedError('ERR_SOCKET_CONNECTION_TIMEOUT', 'Socket connection timeout');
}

/** A listener that could not be set up, as `listen EADDRINUSE: address already in use 0.0.0.0:80`. */
export function listenError(errno: number, address: string, port: number): NetError {
  const place = port > 0 ? `${address}:${port}` : address;
  const error = netError(`listen ${systemErrorName(errno)}: ${systemErrorText(errno)} ${place}`, errno, 'listen');
  error.address = address;
  if (port > 0) error.port = port;
  return error;
}

/** A listener with another distribution than that of who listens there already. */
export function distributionRefused(address: string, port: number): NetError {
  const error = listenError(EINVAL, address, port);
  error.message += ': another thread listens there with another distribution. All of them must name the same one';
  return error;
}

/** A plain `Error` with one of Node's codes. */
export function codedError(code: string, message: string): NetError {
  const error = new Error(message) as NetError;
  error.code = code;
  return error;
}

function codedTypeError(code: string, message: string): TypeError & { code: string } {
  return Object.assign(new TypeError(message), { code });
}

function codedRangeError(code: string, message: string): RangeError & { code: string } {
  return Object.assign(new RangeError(message), { code });
}

function listed(expected: readonly string[]): string {
  if (expected.length < 2) return expected[0] ?? '';
  return `${expected.slice(0, -1).join(', ')} or ${expected[expected.length - 1]}`;
}

function kind(name: string): string {
  return name.includes('.') ? 'property' : 'argument';
}

/** A value as Node's messages show what they were given. */
export function received(value: unknown): string {
  if (value === null || value === undefined) return String(value);
  if (typeof value === 'function') return `function ${value.name}`;
  if (typeof value === 'object') {
    const maker: unknown = value.constructor;
    return typeof maker === 'function' ? `an instance of ${maker.name}` : inspect(value, { depth: -1 });
  }
  let shown = typeof value === 'string' && value.length > 28 ? inspect(`${value.slice(0, 25)}...`) : inspect(value);
  if (shown.length > 64) shown = `${shown.slice(0, 61)}...`;
  return `type ${typeof value} (${shown})`;
}

/**
 * ERR_INVALID_ARG_TYPE.
 *
 * @param expected names of types ('string', 'number') and of classes ('Object', 'Function'), each as it is to be read.
 * @param mend what to write instead, as a sentence.
 */
export function invalidType(name: string, expected: readonly string[], value: unknown, mend = ''): TypeError & { code: string } {
  const types = expected.filter((type) => /^[a-z]/.test(type));
  const classes = expected.filter((type) => /^[A-Z]/.test(type));
  const wanted: string[] = [];
  if (types.length > 0) wanted.push(`${types.length > 1 ? 'one of type' : 'of type'} ${listed(types)}`);
  if (classes.length > 0) wanted.push(`an instance of ${listed(classes)}`);
  const message = `The "${name}" ${kind(name)} must be ${wanted.join(' or ')}. Received ${received(value)}`;
  return codedTypeError('ERR_INVALID_ARG_TYPE', mend === '' ? message : `${message}. ${mend}`);
}

/**
 * ERR_INVALID_ARG_VALUE.
 *
 * @param reason what is wrong with it, to follow the option's name: "must be ...".
 */
export function invalidValue(name: string, value: unknown, reason = 'is invalid', mend = ''): TypeError & { code: string } {
  let shown = inspect(value);
  if (shown.length > 128) shown = `${shown.slice(0, 128)}...`;
  const message = `The ${kind(name)} '${name}' ${reason}. Received ${shown}`;
  return codedTypeError('ERR_INVALID_ARG_VALUE', mend === '' ? message : `${message}. ${mend}`);
}

/** ERR_OUT_OF_RANGE. `range` follows "It must be": ">= 0 and <= 1". */
export function outOfRange(name: string, range: string, value: unknown, mend = ''): RangeError & { code: string } {
  const message = `The value of "${name}" is out of range. It must be ${range}. Received ${inspect(value)}`;
  return codedRangeError('ERR_OUT_OF_RANGE', mend === '' ? message : `${message}. ${mend}`);
}

/** ERR_SOCKET_BAD_PORT. */
export function badPort(name: string, value: unknown): RangeError & { code: string } {
  return codedRangeError('ERR_SOCKET_BAD_PORT', `${name} should be >= 0 and < 65536. Received ${received(value)}.`);
}

/** ERR_INVALID_IP_ADDRESS. @param mend what to write instead, as a sentence. */
export function invalidAddress(value: unknown, mend = ''): TypeError & { code: string } {
  const message = `Invalid IP address: ${String(value)}`;
  return codedTypeError('ERR_INVALID_IP_ADDRESS', mend === '' ? message : `${message}. ${mend}`);
}

/** ERR_MISSING_ARGS of `connect`. */
export function missingPort(): TypeError & { code: string } {
  return codedTypeError('ERR_MISSING_ARGS', 'The "options" or "port" or "path" argument must be specified');
}

/** ERR_INVALID_HANDLE_TYPE: what was to be sent to another process cannot leave this one. */
export function handleRefused(what: 'server' | 'socket'): TypeError & { code: string } {
  return codedTypeError(
    'ERR_INVALID_HANDLE_TYPE',
    `This handle type cannot be sent: the ${what} is on the TCP server of this process, and cannot be handed to another one. Have threads share ` +
      'the port (tcp-offload/pool, or workers that listen on it), or leave to the kernel what is to be sent',
  );
}

export function socketClosed(): NetError {
  return codedError('ERR_SOCKET_CLOSED', 'Socket is closed');
}

export function closedBeforeConnection(): NetError {
  return codedError('ERR_SOCKET_CLOSED_BEFORE_CONNECTION', 'Socket closed before the connection was established');
}

export function alreadyListening(): NetError {
  return codedError('ERR_SERVER_ALREADY_LISTEN', 'Listen method has been called more than once without closing.');
}

export function serverNotRunning(): NetError {
  return codedError('ERR_SERVER_NOT_RUNNING', 'Server is not running.');
}

/** What a write gives after the peer has ended the connection and this side was ended with it. */
export function endedByPeer(): NetError {
  return codedError('EPIPE', 'This socket has been ended by the other party');
}

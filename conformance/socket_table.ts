/** The socket calls of one process: handles, and each call by its name. */
import type { Attempt, Result } from './call.js';
import { done, failed } from './call.js';
import { overlap, parseEndpoint } from './endpoint.js';
import type { Network } from './link.js';
import { flagsOf, numberOf, textOf, bytesOf } from './request.js';
import type { Request } from './request.js';
import { AF_INET6, SHUT_RECEIVE, SHUT_SEND, Socket } from './socket.js';
import { getOption, optionName, setOption } from './socket_options.js';

const AF_INET = 2;
const SOCK_STREAM = 1;
/** SOCK_NONBLOCK and SOCK_CLOEXEC may come with the type. */
const SOCK_TYPE_MASK = 0xf;
const IPPROTO_TCP = 6;
const POLLNVAL = 0x20;
/** poll(2) reports these unasked. */
const POLL_ALWAYS = 0x8 | 0x10 | POLLNVAL;
/** As the first handle of a process that has its standard streams. */
const FIRST_HANDLE = 3;

/** What a call needs besides its fields. */
type Operation = (table: SocketTable, request: Request) => Attempt;

export class SocketTable {
  readonly network: Network;
  readonly sockets = new Map<number, Socket>();
  readonly wake: () => void;

  constructor(network: Network, wake: () => void) {
    this.network = network;
    this.wake = wake;
  }

  /** The lowest handle that is free, as Unix has it. */
  add(socket: Socket): number {
    let handle = FIRST_HANDLE;
    while (this.sockets.has(handle)) handle++;
    this.sockets.set(handle, socket);
    return handle;
  }

  /** The call that a request asks for, or null where there is none of that name. */
  call(request: Request): Attempt | null {
    const operation = OPERATIONS.get(request.op);
    return operation === undefined ? null : operation(this, request);
  }
}

/** Makes an operation on one socket. */
function onSocket(operate: (socket: Socket, request: Request, table: SocketTable) => Attempt | Result): Operation {
  return (table, request) => {
    const socket = table.sockets.get(numberOf(request, 'fd', -1));
    if (socket === undefined) return () => failed('EBADF');
    const result = operate(socket, request, table);
    return typeof result === 'function' ? result : () => result;
  };
}

const OPERATIONS = new Map<string, Operation>([
  ['socket', (table, request) => () => open(table, request)],
  ['bind', onSocket(bind)],
  ['listen', onSocket((socket, request) => socket.listen(numberOf(request, 'backlog', 0)))],
  ['accept', onSocket((socket, request, table) => socket.accept(flagsOf(request, 'nb') !== 0, (child) => table.add(child)))],
  ['connect', onSocket((socket, request) => {
    const remote = parseEndpoint(textOf(request, 'addr'), numberOf(request, 'port', 0), socket.family === AF_INET6);
    return remote === null ? failed('EAFNOSUPPORT') : socket.connect(remote, flagsOf(request, 'nb') !== 0);
  })],
  ['recv', onSocket((socket, request) =>
    socket.recv(Math.max(numberOf(request, 'len', 0), 0), flagsOf(request, 'flags'), flagsOf(request, 'nb') !== 0))],
  ['send', onSocket((socket, request) => {
    const bytes = bytesOf(request, 'data', numberOf(request, 'len', 0));
    return socket.send(bytes, flagsOf(request, 'flags'), flagsOf(request, 'nb') !== 0);
  })],
  ['shutdown', onSocket(shutdown)],
  ['close', onSocket((socket, request, table) => {
    table.sockets.delete(numberOf(request, 'fd', -1));
    return socket.close();
  })],
  ['setsockopt', onSocket((socket, request) => {
    const name = optionName(request.level, request.opt, request.name);
    const data = bytesOf(request, 'data', 0);
    const value = typeof request.val === 'number' ? request.val : data.length >= 4 ? Buffer.from(data).readInt32LE(0) : 0;
    return setOption(socket, name, value, data);
  })],
  ['getsockopt', onSocket((socket, request) =>
    getOption(socket, optionName(request.level, request.opt, request.name), numberOf(request, 'len', 0)))],
  ['ioctl', onSocket((socket, request) => {
    if (socket.listening) return failed('EINVAL');
    if (request.req === 'SIOCINQ') return done(0, { val: socket.inQueue });
    if (request.req === 'SIOCOUTQ') return done(0, { val: socket.outQueue });
    return failed('ENOTTY');
  })],
  ['poll', poll],
]);

function open(table: SocketTable, request: Request): Result {
  const domain = numberOf(request, 'domain', AF_INET);
  const protocol = numberOf(request, 'protocol', 0);
  if (domain !== AF_INET && domain !== AF_INET6) return failed('EAFNOSUPPORT');
  if ((numberOf(request, 'type', SOCK_STREAM) & SOCK_TYPE_MASK) !== SOCK_STREAM) return failed('ESOCKTNOSUPPORT');
  if (protocol !== 0 && protocol !== IPPROTO_TCP) return failed('EPROTONOSUPPORT');
  return done(table.add(new Socket(table.network, domain, table.wake)));
}

function bind(socket: Socket, request: Request, table: SocketTable): Result {
  const endpoint = parseEndpoint(textOf(request, 'addr'), numberOf(request, 'port', 0), socket.family === AF_INET6);
  if (endpoint === null) return failed('EAFNOSUPPORT');
  let inUse = false;
  for (const other of table.sockets.values()) {
    if (other === socket || other.bound === null || endpoint.port === 0) continue;
    const shared = socket.options.reuseAddress && other.options.reuseAddress && !other.listening;
    if (!shared && overlap(endpoint, socket.options.sixOnly, other.bound, other.options.sixOnly)) inUse = true;
  }
  return socket.bind(endpoint, inUse);
}

function shutdown(socket: Socket, request: Request): Result {
  const how = textOf(request, 'how');
  if (how === 'rd') return socket.shutdown(SHUT_RECEIVE);
  if (how === 'wr') return socket.shutdown(SHUT_SEND);
  if (how === 'rdwr') return socket.shutdown(SHUT_RECEIVE | SHUT_SEND);
  return failed('EINVAL');
}

/** Several sockets at once: waits until one has something, or for `timeout` ms (negative: for ever). */
function poll(table: SocketTable, request: Request): Attempt {
  const asked = Array.isArray(request.fds) ? (request.fds as Request[]) : [];
  const timeout = numberOf(request, 'timeout', 0);
  let expired = timeout === 0;
  let callOff = (): void => { /* nothing to call off */ };
  if (timeout > 0) {
    callOff = table.network.after(timeout * 1000, () => {
      expired = true;
      table.wake();
    });
  }
  return () => {
    const revents = asked.map((entry) => {
      const socket = table.sockets.get(numberOf(entry, 'fd', -1));
      return socket === undefined ? POLLNVAL : socket.events() & (numberOf(entry, 'events', 0) | POLL_ALWAYS);
    });
    const ready = revents.filter((events) => events !== 0).length;
    if (ready === 0 && !expired) return null;
    callOff();
    return done(ready, { revents });
  };
}

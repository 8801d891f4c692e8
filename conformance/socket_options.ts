/** Options of a socket: which there are, what values they take, and what Linux answers for them (socket(7), tcp(7)). */
import type { Result } from './call.js';
import { done, failed } from './call.js';
import type { LinkOptions } from './link.js';
import type { Socket } from './socket.js';

/** Least buffers, as Linux has them, in bytes. */
const SNDBUF_LEAST = 4608;
const RCVBUF_LEAST = 2304;
/** Largest values that may be asked for (net.core.wmem_max and rmem_max), in bytes. */
const BUFFER_MOST = 4 << 20;
const MSS_DEFAULT = 536;
/** Least and largest TCP_MAXSEG. */
const MAXSEG_LEAST = 88;
const MAXSEG_MOST = 32_767;
/** Longest TCP_LINGER2, and what it is where nothing was set, in s. */
const LINGER2_MOST = 120;
const LINGER2_DEFAULT = 60;
/** The bits of IP_TOS that are those of ECN are the stack's. */
const ECN_BITS = 3;

const NAMES = new Map<string, string>([
  ['1:2', 'SO_REUSEADDR'], ['1:4', 'SO_ERROR'], ['1:7', 'SO_SNDBUF'], ['1:8', 'SO_RCVBUF'], ['1:9', 'SO_KEEPALIVE'], ['1:13', 'SO_LINGER'],
  ['1:15', 'SO_REUSEPORT'], ['1:30', 'SO_ACCEPTCONN'], ['6:1', 'TCP_NODELAY'], ['6:2', 'TCP_MAXSEG'], ['6:3', 'TCP_CORK'],
  ['6:4', 'TCP_KEEPIDLE'], ['6:5', 'TCP_KEEPINTVL'], ['6:6', 'TCP_KEEPCNT'], ['6:8', 'TCP_LINGER2'], ['6:9', 'TCP_DEFER_ACCEPT'],
  ['6:11', 'TCP_INFO'], ['6:18', 'TCP_USER_TIMEOUT'], ['0:1', 'IP_TOS'], ['41:67', 'IPV6_TCLASS'], ['41:26', 'IPV6_V6ONLY'],
]);

export class SocketOptions implements LinkOptions {
  noDelay = false;
  keepAlive = false;
  keepIdle = 0;
  keepInterval = 0;
  keepCount = 0;
  sendBuffer = 0;
  receiveBuffer = 0;
  cork = false;
  userTimeout = 0;
  linger2 = 0;
  maxSegment = 0;
  trafficClass = 0;
  reuseAddress = false;
  /** An IPv6 socket takes no IPv4-mapped addresses. */
  sixOnly = false;
  /** s that close() waits for; 0: close() resets; -1: neither. */
  linger = -1;
  /** s; not 0: accept() waits for data. */
  deferAccept = 0;

  /** Those of a connection that is accepted. */
  inherited(): SocketOptions {
    const options = Object.assign(new SocketOptions(), this);
    options.deferAccept = 0;
    return options;
  }
}

/** Name of an option, given by name or by number. */
export function optionName(level: unknown, option: unknown, name: unknown): string {
  if (typeof name === 'string' && name !== '') return name;
  return NAMES.get(`${String(level)}:${String(option)}`) ?? '';
}

/** @param bytes value of options that are no int. */
export function setOption(socket: Socket, name: string, value: number, bytes: Uint8Array): Result {
  const { options } = socket;
  switch (name) {
    case 'SO_REUSEADDR': options.reuseAddress = value !== 0; break;
    case 'SO_KEEPALIVE': options.keepAlive = value !== 0; break;
    case 'SO_SNDBUF': options.sendBuffer = Math.max(2 * Math.min(value, BUFFER_MOST), SNDBUF_LEAST); break;
    case 'SO_RCVBUF': options.receiveBuffer = Math.max(Math.min(value, BUFFER_MOST), RCVBUF_LEAST >> 1); break;
    case 'SO_LINGER': {
      if (bytes.length < 8) return failed('EINVAL');
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length);
      options.linger = view.getInt32(0, true) === 0 ? -1 : Math.max(view.getInt32(4, true), 0);
      break;
    }
    case 'TCP_NODELAY': options.noDelay = value !== 0; break;
    case 'TCP_CORK': options.cork = value !== 0; break;
    case 'TCP_KEEPIDLE':
      if (value < 1 || value > 32767) return failed('EINVAL');
      options.keepIdle = value;
      break;
    case 'TCP_KEEPINTVL':
      if (value < 1 || value > 32767) return failed('EINVAL');
      options.keepInterval = value;
      break;
    case 'TCP_KEEPCNT':
      if (value < 1 || value > 127) return failed('EINVAL');
      options.keepCount = value;
      break;
    case 'TCP_DEFER_ACCEPT': options.deferAccept = Math.max(value, 0); break;
    case 'TCP_USER_TIMEOUT':
      if (value < 0) return failed('EINVAL');
      options.userTimeout = value;
      break;
    case 'TCP_LINGER2': options.linger2 = value < 0 ? -1 : Math.min(value, LINGER2_MOST); break;
    case 'TCP_MAXSEG':
      if (value !== 0 && (value < MAXSEG_LEAST || value > MAXSEG_MOST)) return failed('EINVAL');
      options.maxSegment = value;
      break;
    case 'IPV6_V6ONLY':
      if (socket.bound !== null) return failed('EINVAL');
      options.sixOnly = value !== 0;
      break;
    case 'IP_TOS':
    case 'IPV6_TCLASS':
      options.trafficClass = value < 0 ? 0 : value & 0xff & ~ECN_BITS;
      break;
    default: return failed('ENOPROTOOPT');
  }
  socket.optionSet(name === 'IPV6_TCLASS' ? 'IP_TOS' : name);
  return done();
}

export function getOption(socket: Socket, name: string, length: number): Result {
  const { options } = socket;
  const value = (val: number | string): Result => done(0, { val });
  switch (name) {
    case 'SO_ERROR': return value(socket.takeErrorName());
    case 'SO_REUSEADDR': return value(Number(options.reuseAddress));
    case 'SO_KEEPALIVE': return value(Number(options.keepAlive));
    case 'SO_SNDBUF': return value(options.sendBuffer > 0 ? options.sendBuffer : 16_384);
    case 'SO_RCVBUF': return value(options.receiveBuffer > 0 ? 2 * options.receiveBuffer : 131_072);
    case 'SO_ACCEPTCONN': return value(Number(socket.listening));
    case 'SO_LINGER': {
      const view = new DataView(new ArrayBuffer(8));
      view.setInt32(0, options.linger < 0 ? 0 : 1, true);
      view.setInt32(4, Math.max(options.linger, 0), true);
      return done(0, { data: Buffer.from(view.buffer).toString('hex') });
    }
    case 'TCP_NODELAY': return value(Number(options.noDelay));
    case 'TCP_CORK': return value(Number(options.cork));
    case 'TCP_KEEPIDLE': return value(options.keepIdle || 7200);
    case 'TCP_KEEPINTVL': return value(options.keepInterval || 75);
    case 'TCP_KEEPCNT': return value(options.keepCount || 9);
    case 'TCP_DEFER_ACCEPT': return value(options.deferAccept);
    case 'TCP_USER_TIMEOUT': return value(options.userTimeout);
    case 'TCP_LINGER2': return value(options.linger2 === 0 ? LINGER2_DEFAULT : options.linger2);
    case 'TCP_MAXSEG': return value((socket.link?.mss ?? 0) || options.maxSegment || MSS_DEFAULT);
    case 'IPV6_V6ONLY': return value(Number(options.sixOnly));
    case 'IP_TOS':
    case 'IPV6_TCLASS': return value(options.trafficClass);
    case 'TCP_INFO': {
      const info = socket.link?.info();
      if (info === null || info === undefined) return failed('ENOTCONN');
      return done(0, { data: Buffer.from(info.subarray(0, length > 0 ? length : info.length)).toString('hex') });
    }
    default: return failed('ENOPROTOOPT');
  }
}

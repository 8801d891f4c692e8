/**
 * Messages of netlink (netlink(7)), and those to netfilter (linux/netfilter/nfnetlink.h): a batch of requests that the kernel carries out
 * all or not at all, within the call that sends it.
 */
import { addressOf, bind, close, recv, socket, SOCK_NONBLOCK, SOCK_RAW, write } from './syscalls.js';
import { EAGAIN, SystemError } from './system_error.js';

const AF_NETLINK = 16;
const NETLINK_NETFILTER = 12;
const NLM_F_REQUEST = 0x01;
export const NLM_F_ACK = 0x04;
export const NLM_F_REPLACE = 0x100;
export const NLM_F_EXCL = 0x200;
export const NLM_F_CREATE = 0x400;
export const NLMSG_ERROR = 2;
const NFNL_MSG_BATCH_BEGIN = 0x10;
const NFNL_MSG_BATCH_END = 0x11;
const NLA_F_NESTED = 0x8000;
/** Sizes of struct nlmsghdr and of nfgenmsg behind it, and of struct nlattr. */
export const NETLINK_HEADER = 16;
const GENERIC = 4;
const ATTRIBUTE = 4;
/** Room for the answers of one batch. */
const ANSWERS = 65536;

/** One request of a batch. */
export interface NetfilterRequest {
  /** Number of the message within its subsystem. */
  readonly type: number;
  /** NLM_F_* beside those of every request. */
  readonly flags: number;
  readonly attributes: readonly Uint8Array[];
}

/** An attribute with bytes as its value. */
export function bytesAttribute(type: number, value: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(ATTRIBUTE + pad(value.length));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, ATTRIBUTE + value.length, true);
  view.setUint16(2, type, true);
  bytes.set(value, ATTRIBUTE);
  return bytes;
}

/** An attribute with a number in network order. */
export function numberAttribute(type: number, value: number): Uint8Array {
  const bytes = new Uint8Array(4);
  new DataView(bytes.buffer).setInt32(0, value);
  return bytesAttribute(type, bytes);
}

export function textAttribute(type: number, value: string): Uint8Array {
  return bytesAttribute(type, new TextEncoder().encode(`${value}\0`));
}

/** An attribute that holds others. */
export function nestedAttribute(type: number, ...attributes: Uint8Array[]): Uint8Array {
  return bytesAttribute(type | NLA_F_NESTED, concat(attributes));
}

/**
 * Calls `take` for each attribute between two places of a message: with its type, and the place and length of its value.
 * What reaches beyond the end is passed over.
 */
export function eachAttribute(view: DataView, from: number, end: number, take: (type: number, at: number, length: number) => void): void {
  for (let at = from; at + ATTRIBUTE <= end;) {
    const length = view.getUint16(at, true);
    if (length < ATTRIBUTE || at + length > end) return;
    take(view.getUint16(at + 2, true) & ~NLA_F_NESTED, at + ATTRIBUTE, length - ATTRIBUTE);
    at += pad(length);
  }
}

/** Writes the header that every message begins with. @param flags beside NLM_F_REQUEST. */
export function putHeader(view: DataView, at: number, length: number, type: number, flags: number, sequence: number): void {
  view.setUint32(at, length, true);
  view.setUint16(at + 4, type, true);
  view.setUint16(at + 6, flags | NLM_F_REQUEST, true);
  view.setUint32(at + 8, sequence, true);
}

/**
 * A socket to a part of the kernel, which never waits.
 *
 * @param protocol NETLINK_*. @param groups bits of the groups whose news it hears. @param detail what is wanting where there is none.
 */
export function openNetlink(protocol: number, groups: number, detail: string): number {
  const fd = socket(AF_NETLINK, SOCK_RAW | SOCK_NONBLOCK, protocol, detail);
  const own = new Uint8Array(12);
  new DataView(own.buffer).setUint16(0, AF_NETLINK, true);
  new DataView(own.buffer).setUint32(8, groups, true);
  try {
    bind(fd, own, 'cannot bind a netlink socket');
  } catch (error) {
    close(fd);
    throw error;
  }
  return fd;
}

/** A socket to one subsystem of netfilter. */
export class NetfilterSocket {
  readonly #fd: number;
  readonly #subsystem: number;
  readonly #family: number;
  readonly #answers = new Uint8Array(ANSWERS);
  #sequence = 0;

  /** @param subsystem NFNL_SUBSYS_*. @param family NFPROTO_* of the requests. */
  constructor(subsystem: number, family: number) {
    this.#subsystem = subsystem;
    this.#family = family;
    this.#fd = openNetlink(NETLINK_NETFILTER, 0, 'the kernel has no netfilter; it needs CONFIG_NETFILTER');
  }

  /** Has the kernel carry out all requests, or none. Returns 0, or -errno of the first that it refused. */
  batch(requests: readonly NetfilterRequest[]): number {
    const first = this.#sequence + 1;
    const subsystem = this.#subsystem << 8;
    const message = concat([
      this.#message(NFNL_MSG_BATCH_BEGIN, 0, 0, this.#subsystem, []),
      ...requests.map(({ type, flags, attributes }) => this.#message(subsystem | type, flags | NLM_F_ACK, this.#family, 0, attributes)),
      this.#message(NFNL_MSG_BATCH_END, 0, 0, this.#subsystem, []),
    ]);
    const sent = write(this.#fd, message);
    return sent < 0 ? sent : this.#firstError(first);
  }

  /** A message with its header. @param resource nfgenmsg.res_id. */
  #message(type: number, flags: number, family: number, resource: number, attributes: readonly Uint8Array[]): Uint8Array {
    const body = concat(attributes);
    const bytes = new Uint8Array(NETLINK_HEADER + GENERIC + body.length);
    const view = new DataView(bytes.buffer);
    putHeader(view, 0, bytes.length, type, flags, ++this.#sequence);
    bytes[NETLINK_HEADER] = family;
    view.setUint16(NETLINK_HEADER + 2, resource);
    bytes.set(body, NETLINK_HEADER + GENERIC);
    return bytes;
  }

  /** Reads every answer to the batch that began with message `from`: they wait since it was sent. */
  #firstError(from: number): number {
    const view = new DataView(this.#answers.buffer);
    let result = 0;
    for (;;) {
      const length = recv(this.#fd, addressOf(this.#answers), ANSWERS);
      if (length === -EAGAIN) return result;
      if (length < 0) return length;
      for (let at = 0; at + NETLINK_HEADER + 4 <= length; at += pad(view.getUint32(at, true))) {
        if (view.getUint16(at + 4, true) !== NLMSG_ERROR || view.getUint32(at + 8, true) < from || result !== 0) continue;
        result = view.getInt32(at + NETLINK_HEADER, true);
      }
    }
  }

  close(): void {
    close(this.#fd);
  }
}

/** @throws SystemError where `result` is -errno. */
export function mustCarryOut(result: number, detail: string): void {
  if (result < 0) throw new SystemError(-result, 'write', detail);
}

export function concat(parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.length, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.length;
  }
  return bytes;
}

/** Rounded up to four bytes. */
export function pad(length: number): number {
  return (length + 3) & ~3;
}

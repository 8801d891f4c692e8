/** Messages of netlink about addresses, routes and neighbours (rtnetlink(7)): what the kernel knows of a network. */
import type { HostRoute } from './device.js';
import { concat, eachAttribute, NETLINK_HEADER, NLM_F_ACK, NLMSG_ERROR, openNetlink, pad, putHeader } from './netlink.js';
import { addressOf, AF_INET, AF_INET6, close, getsockopt, recv, setSocketBuffers, SOL_SOCKET, write } from './syscalls.js';
import { EAGAIN, EINTR, EIO, ENOBUFS, SystemError } from './system_error.js';

const NETLINK_ROUTE = 0;
const NLM_F_DUMP = 0x300;
const NLM_F_DUMP_INTR = 0x10;
const NLMSG_DONE = 3;
const SO_MEMINFO = 55;
const MEMINFO_DROPS = 8;
export const RTM_NEWADDR = 20;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_GETROUTE = 26;
// Groups of news.
export const RTMGRP_LINK = 0x1;
export const RTMGRP_NEIGH = 0x4;
export const RTMGRP_IPV4_IFADDR = 0x10;
export const RTMGRP_IPV4_ROUTE = 0x40;
export const RTMGRP_IPV6_IFADDR = 0x100;
export const RTMGRP_IPV6_ROUTE = 0x400;
/** Room for what comes at once, and for what waits in the kernel. */
const ROOM = 65536;
const RECEIVE_BUFFER = 4 * 1024 * 1024;
/** The longest of the structures that requests begin with. */
const REQUEST_BODY = 12;
/** Readings of a table that changes meanwhile. */
const READINGS = 10;

// struct ifaddrmsg, and attributes of an address.
export const ADDRESS_MESSAGE = 8;
export const IFA_ADDRESS = 1;
export const IFA_LOCAL = 2;
const IFA_FLAGS = 8;
const IFA_F_TEMPORARY = 0x01;
const IFA_F_DADFAILED = 0x08;
const IFA_F_TENTATIVE = 0x40;

// struct rtmsg, and attributes of a route.
const ROUTE_MESSAGE = 12;
const RTA_DST = 1;
const RTA_OIF = 4;
const RTA_GATEWAY = 5;
const RTA_PRIORITY = 6;
const RTA_MULTIPATH = 9;
const RTA_TABLE = 15;
const RT_TABLE_MAIN = 254;
const RTN_UNICAST = 1;
const RTN_BLACKHOLE = 6;
const RTN_THROW = 9;
/** Of the flags of a next hop: its interface is down, or has no carrier. */
const RTNH_F_UNUSABLE = 0x01 | 0x10;
const NEXT_HOP = 8;

/** One message, lent for the call: its type, the body from `at` and its end. */
export type TakeMessage = (type: number, view: DataView, at: number, end: number) => void;

/** A socket to the kernel's network, in the namespace that the calling thread is in when it opens it. */
export class RouteSocket {
  readonly fd: number;
  readonly #bytes = new Uint8Array(ROOM);
  readonly #view = new DataView(this.#bytes.buffer);
  readonly #memory = new Uint32Array(9);
  #sequence = 0;
  /** Of the last request: all of its answer is there, what the kernel says of it, and that the table was changed while it was read. */
  #ended = false;
  #result = 0;
  #changed = false;

  /** @param groups RTMGRP_* whose news it hears. */
  constructor(groups = 0) {
    this.fd = openNetlink(NETLINK_ROUTE, groups, 'cannot ask the kernel about its network');
    if (groups !== 0) setSocketBuffers(this.fd, RECEIVE_BUFFER, ROOM);
  }

  send(messages: Uint8Array): number {
    return write(this.fd, messages);
  }

  /** Takes the news that wait. Returns false where there was nothing. */
  receive(take: TakeMessage): boolean {
    let any = false;
    for (let length = this.#read(); length > 0; length = this.#read()) {
      any = true;
      this.#each(length, take);
    }
    return any;
  }

  /** All of a table. @param type RTM_GET*. @param family AF_*. @throws SystemError. */
  dump(type: number, family: number, take: TakeMessage): void {
    const request = new Uint8Array(NETLINK_HEADER + REQUEST_BODY);
    putHeader(new DataView(request.buffer), 0, request.length, type, NLM_F_DUMP, ++this.#sequence);
    request[NETLINK_HEADER] = family;
    const sent = this.send(request);
    if (sent < 0) throw this.#error(sent);
    this.#finish(take);
    if (this.#result < 0) throw this.#error(this.#result);
    if (this.#changed) throw new TableChanged();
  }

  /** Has the kernel change something. @param type RTM_*. @param flags NLM_F_*. @param body what follows the header. Returns 0 or -errno. */
  request(type: number, flags: number, body: Uint8Array): number {
    const request = concat([new Uint8Array(NETLINK_HEADER), body]);
    putHeader(new DataView(request.buffer), 0, request.length, type, flags | NLM_F_ACK, ++this.#sequence);
    const sent = this.send(request);
    if (sent < 0) return sent;
    this.#finish(() => undefined);
    return this.#result;
  }

  /** Takes what answers the last request. */
  #finish(take: TakeMessage): void {
    this.#ended = this.#changed = false;
    this.#result = 0;
    while (!this.#ended) {
      const length = this.#read();
      if (length <= 0) throw this.#error(length);
      this.#each(length, take);
    }
  }

  /** Messages that found no room so far, all of them news. */
  get lost(): number {
    return getsockopt(this.fd, SOL_SOCKET, SO_MEMINFO, this.#memory) === 0 ? this.#memory[MEMINFO_DROPS]! : 0;
  }

  /** Bytes of the next datagram, 0 or -errno. That some were lost (`lost`) is said once, before the next. */
  #read(): number {
    const length = recv(this.fd, addressOf(this.#bytes), ROOM);
    if (length === -ENOBUFS) return recv(this.fd, addressOf(this.#bytes), ROOM);
    return length === -EAGAIN ? 0 : length;
  }

  #each(length: number, take: TakeMessage): void {
    const view = this.#view;
    for (let at = 0; at + NETLINK_HEADER <= length;) {
      const size = view.getUint32(at, true);
      if (size < NETLINK_HEADER || at + size > length) break;
      const type = view.getUint16(at + 4, true);
      if ((view.getUint16(at + 6, true) & NLM_F_DUMP_INTR) !== 0) this.#changed = true;
      if (type === NLMSG_DONE) this.#ended = true;
      else if (type === NLMSG_ERROR) this.#hear(view.getUint32(at + 8, true), view.getInt32(at + NETLINK_HEADER, true));
      else take(type, view, at + NETLINK_HEADER, at + size);
      at += pad(size);
    }
  }

  /** An error, or 0 for success, of the message with a sequence number. */
  #hear(sequence: number, result: number): void {
    if (sequence !== this.#sequence) return;
    this.#result = result;
    this.#ended = true;
  }

  #error(result: number): SystemError {
    return new SystemError(result < 0 ? -result : EIO, 'recv', 'cannot read the addresses and routes of the kernel');
  }

  close(): void {
    close(this.fd);
  }
}

/** A table was changed while it was read. */
class TableChanged extends Error {}

/** Reads a table as it was at one time. @param read reads it with `dump`. @throws SystemError. */
export function reading<T>(read: () => T): T {
  for (let left = READINGS; ; left--) {
    try {
      return read();
    } catch (error) {
      if (!(error instanceof TableChanged)) throw error;
      if (left === 0) throw new SystemError(EINTR, 'recv', "the kernel's addresses or routes change too often to be read");
    }
  }
}

/** One address of an interface. */
export interface InterfaceAddress {
  /** 4 or 16 bytes. */
  readonly address: Uint8Array;
  /** Bits of the network's prefix. */
  readonly prefix: number;
  /** Not known yet to be this machine's alone (RFC 4862 5.4). */
  readonly tentative: boolean;
}

/**
 * Addresses of an interface, or of all of them where none is given; IPv4 first, each family in the kernel's order. Left out are those that another station has, and temporary ones
 * of IPv6 (RFC 8981), which come and go.
 */
export function readAddresses(index: number | null, socket: RouteSocket): InterfaceAddress[] {
  return reading(() => {
    const addresses: InterfaceAddress[] = [];
    for (const family of [AF_INET, AF_INET6]) {
      socket.dump(RTM_GETADDR, family, (type, view, at, end) => {
        if (type !== RTM_NEWADDR || view.getUint8(at) !== family || (index !== null && view.getInt32(at + 4, true) !== index)) return;
        const found = attributes(view, at + ADDRESS_MESSAGE, end);
        // At the end of a point-to-point link IFA_ADDRESS is the other one's.
        const address = found.get(IFA_LOCAL) ?? found.get(IFA_ADDRESS);
        const flags = numberIn(found.get(IFA_FLAGS), view.getUint8(at + 2));
        if (address === undefined || (flags & IFA_F_DADFAILED) !== 0 || (family === AF_INET6 && (flags & IFA_F_TEMPORARY) !== 0)) return;
        addresses.push({ address, prefix: view.getUint8(at + 1), tentative: (flags & IFA_F_TENTATIVE) !== 0 });
      });
    }
    return addresses;
  });
}

/** An address of 4 or 16 bytes; of IPv6 as RFC 5952 writes it. */
export function addressText(address: Uint8Array): string {
  if (address.length === 4) return address.join('.');
  const groups = Array.from({ length: 8 }, (_, i) => ((address[2 * i]! << 8) | address[2 * i + 1]!).toString(16));
  return new URL(`http://[${groups.join(':')}]/`).hostname.slice(1, -1);
}

/** Routes of the main table in the order of preference as one interface sees it: the most specific first, and of equal ones those by this interface, by metric. */
export function readRoutes(index: number, socket: RouteSocket): HostRoute[] {
  return reading(() => {
    const routes: (HostRoute & { metric: number })[] = [];
    for (const family of [AF_INET, AF_INET6]) {
      socket.dump(RTM_GETROUTE, family, (type, view, at, end) => {
        const kind = view.getUint8(at + 7);
        if (type !== RTM_NEWROUTE || view.getUint8(at) !== family || view.getUint8(at + 2) !== 0) return;
        if (kind !== RTN_UNICAST && (kind < RTN_BLACKHOLE || kind > RTN_THROW)) return;
        if ((view.getUint32(at + 8, true) & RTNH_F_UNUSABLE) !== 0) return;
        const found = attributes(view, at + ROUTE_MESSAGE, end);
        if (numberIn(found.get(RTA_TABLE), view.getUint8(at + 4)) !== RT_TABLE_MAIN) return;
        const network = found.get(RTA_DST) ?? new Uint8Array(family === AF_INET ? 4 : 16);
        const hop = nextHop(found, index);
        routes.push({ network, prefix: view.getUint8(at + 1), gateway: hop?.gateway ?? null, here: hop !== null, metric: numberIn(found.get(RTA_PRIORITY), 0) });
      });
    }
    return routes.sort((a, b) => b.prefix - a.prefix || Number(b.here) - Number(a.here) || a.metric - b.metric);
  });
}

/** What a route says of an interface; null: it leads elsewhere. */
function nextHop(found: Map<number, Uint8Array>, index: number): { gateway: Uint8Array | null } | null {
  if (numberIn(found.get(RTA_OIF), 0) === index) return { gateway: found.get(RTA_GATEWAY) ?? null };
  const hops = found.get(RTA_MULTIPATH);
  if (hops === undefined) return null;
  const view = new DataView(hops.buffer, hops.byteOffset, hops.length);
  for (let at = 0; at + NEXT_HOP <= hops.length;) {
    const length = view.getUint16(at, true);
    if (length < NEXT_HOP) break;
    if (view.getInt32(at + 4, true) === index && (view.getUint8(at + 2) & RTNH_F_UNUSABLE) === 0) {
      return { gateway: attributes(view, at + NEXT_HOP, Math.min(at + length, hops.length)).get(RTA_GATEWAY) ?? null };
    }
    at += pad(length);
  }
  return null;
}

/** Attributes by their type, copied. */
export function attributes(view: DataView, from: number, end: number): Map<number, Uint8Array> {
  const found = new Map<number, Uint8Array>();
  eachAttribute(view, from, end, (type, at, length) => found.set(type, new Uint8Array(view.buffer.slice(view.byteOffset + at, view.byteOffset + at + length))));
  return found;
}

/** The number of 32 bits that an attribute holds. */
export function numberIn(value: Uint8Array | undefined, otherwise: number): number {
  return value === undefined || value.length < 4 ? otherwise : new DataView(value.buffer, value.byteOffset).getUint32(0, true);
}

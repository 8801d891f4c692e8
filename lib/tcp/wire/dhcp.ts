/**
 * Messages of DHCP (RFC 2131 2, options of RFC 2132, 3396 and 3442), as a client reads those of servers and writes its own.
 */
import { get16, get32, put16, put32 } from './bytes.js';
import { MAC_LENGTH, copyMac, sameMac } from './ethernet.js';

export const DHCP_SERVER_PORT = 67;
export const DHCP_CLIENT_PORT = 68;

/** Offsets in a message. */
export const DHCP_OP = 0;
export const DHCP_HARDWARE_TYPE = 1;
export const DHCP_HARDWARE_LENGTH = 2;
export const DHCP_XID = 4;
export const DHCP_SECS = 8;
export const DHCP_FLAGS = 10;
export const DHCP_CIADDR = 12;
export const DHCP_YIADDR = 16;
export const DHCP_CHADDR = 28;
export const DHCP_SNAME = 44;
export const DHCP_FILE = 108;
export const DHCP_COOKIE = 236;
export const DHCP_OPTIONS = 240;
/** Bytes that a message has at least where it is sent: relays of BOOTP may drop shorter ones (RFC 1542 2.1). */
export const DHCP_LEAST = 300;
/** Bytes that a message may have at least, whoever receives it (RFC 2131 2: options of 312 bytes). */
export const DHCP_PAYLOAD = 548;

const BOOT_REQUEST = 1;
const BOOT_REPLY = 2;
const HARDWARE_ETHERNET = 1;
const MAGIC_COOKIE = 0x63825363;

/** Kinds of message (RFC 2132 9.6). */
export const DHCP_DISCOVER = 1;
export const DHCP_OFFER = 2;
export const DHCP_REQUEST = 3;
export const DHCP_DECLINE = 4;
export const DHCP_ACK = 5;
export const DHCP_NAK = 6;
export const DHCP_RELEASE = 7;

/** Options. */
export const OPTION_PAD = 0;
export const OPTION_MASK = 1;
export const OPTION_ROUTERS = 3;
export const OPTION_MTU = 26;
export const OPTION_REQUESTED_ADDRESS = 50;
export const OPTION_LEASE_TIME = 51;
export const OPTION_OVERLOAD = 52;
export const OPTION_MESSAGE_TYPE = 53;
export const OPTION_SERVER = 54;
export const OPTION_PARAMETERS = 55;
export const OPTION_MESSAGE = 56;
export const OPTION_MAX_SIZE = 57;
export const OPTION_T1 = 58;
export const OPTION_T2 = 59;
export const OPTION_CLIENT_ID = 61;
export const OPTION_ROUTES = 121;
export const OPTION_END = 255;

/** What is asked for; RFC 3442 wants its routes named before the routers. */
const WANTED = Uint8Array.of(OPTION_MASK, OPTION_ROUTES, OPTION_ROUTERS, OPTION_MTU, OPTION_LEASE_TIME, OPTION_SERVER, OPTION_T1, OPTION_T2);

/** Routers and routes that are taken of one message. */
export const DHCP_ROUTERS_MOST = 4;
export const DHCP_ROUTES_MOST = 32;
/** Bytes of the longest RFC 3442 option that is read, over all its parts. */
const ROUTES_BYTES = 512;

/** A route to a network, as a server tells it. Addresses are int32. */
export interface DhcpRoute {
  readonly network: number;
  /** 0 to 32 bits. */
  readonly prefix: number;
  /** Next hop; 0: the network is on the link. */
  readonly gateway: number;
}

/** What a server says. One object, filled anew by each `parse`. Addresses are int32, 0 where there is none; times are in s. */
export class DhcpReply {
  /** DHCP_OFFER, DHCP_ACK or DHCP_NAK. */
  type = 0;
  xid = 0;
  /** The address that is offered or given. */
  address = 0;
  /** Bits of the network's prefix, 0 to 32; -1 where the server does not tell. */
  prefix = -1;
  /** Who sent it: its server identifier. */
  server = 0;
  /** 0xffffffff: for ever; -1 where the server does not tell. So with the next two. */
  leaseTime = -1;
  t1 = -1;
  t2 = -1;
  /** Bytes of the largest IP packet; 0 where the server does not tell. */
  mtu = 0;
  readonly routers: number[] = [];
  /** RFC 3442; where there are some, the routers do not count. */
  readonly routes: DhcpRoute[] = [];
  /** Parts of option 121, one behind the other (RFC 3396). */
  readonly #routesBytes = new Uint8Array(ROUTES_BYTES);
  #routesLength = 0;

  /**
   * Reads the `length` bytes at `at`. What makes no sense in an option is left out, what makes no sense in the message is a reason to
   * refuse it.
   *
   * @param mac the client's link address. @returns false where it is no message of a server to this client.
   */
  parse(bytes: Uint8Array, at: number, length: number, mac: Uint8Array): boolean {
    this.#clear();
    if (length < DHCP_OPTIONS || bytes[at + DHCP_OP] !== BOOT_REPLY) return false;
    if (bytes[at + DHCP_HARDWARE_TYPE] !== HARDWARE_ETHERNET || bytes[at + DHCP_HARDWARE_LENGTH] !== MAC_LENGTH) return false;
    if (get32(bytes, at + DHCP_COOKIE) !== MAGIC_COOKIE || !sameMac(bytes, at + DHCP_CHADDR, mac, 0)) return false;
    this.xid = get32(bytes, at + DHCP_XID);
    this.address = get32(bytes, at + DHCP_YIADDR);
    const overload = this.#options(bytes, at + DHCP_OPTIONS, at + length);
    if (overload < 0) return false;
    // RFC 2131 4.1: the options of the field 'file' come before those of 'sname'.
    if ((overload & 1) !== 0 && this.#options(bytes, at + DHCP_FILE, at + DHCP_COOKIE) < 0) return false;
    if ((overload & 2) !== 0 && this.#options(bytes, at + DHCP_SNAME, at + DHCP_FILE) < 0) return false;
    this.#readRoutes();
    return this.type === DHCP_OFFER || this.type === DHCP_ACK || this.type === DHCP_NAK;
  }

  #clear(): void {
    this.type = 0;
    this.xid = 0;
    this.address = 0;
    this.prefix = -1;
    this.server = 0;
    this.leaseTime = -1;
    this.t1 = -1;
    this.t2 = -1;
    this.mtu = 0;
    this.routers.length = 0;
    this.routes.length = 0;
    this.#routesLength = 0;
  }

  /** Reads options from `at` to `end`. Returns which fields hold more of them, two bits; -1 where they cannot be walked. */
  #options(bytes: Uint8Array, at: number, end: number): number {
    let overload = 0;
    while (at < end) {
      const kind = bytes[at]!;
      if (kind === OPTION_END) break;
      if (kind === OPTION_PAD) {
        at++;
        continue;
      }
      const length = at + 1 < end ? bytes[at + 1]! : -1;
      if (length < 0 || at + 2 + length > end) return -1;
      if (kind === OPTION_OVERLOAD && length === 1) overload = bytes[at + 2]! & 3;
      else this.#option(kind, bytes, at + 2, length);
      at += 2 + length;
    }
    return overload;
  }

  #option(kind: number, bytes: Uint8Array, at: number, length: number): void {
    switch (kind) {
      case OPTION_MESSAGE_TYPE: if (length === 1) this.type = bytes[at]!; break;
      case OPTION_MASK: if (length === 4) this.prefix = prefixOf(get32(bytes, at)); break;
      case OPTION_SERVER: if (length === 4) this.server = get32(bytes, at); break;
      case OPTION_LEASE_TIME: if (length === 4) this.leaseTime = get32(bytes, at) >>> 0; break;
      case OPTION_T1: if (length === 4) this.t1 = get32(bytes, at) >>> 0; break;
      case OPTION_T2: if (length === 4) this.t2 = get32(bytes, at) >>> 0; break;
      case OPTION_MTU: if (length === 2) this.mtu = get16(bytes, at); break;
      case OPTION_ROUTERS: this.#readRouters(bytes, at, length); break;
      case OPTION_ROUTES: this.#keepRoutes(bytes, at, length); break;
      default: break;
    }
  }

  #readRouters(bytes: Uint8Array, at: number, length: number): void {
    for (let i = 0; i + 4 <= length && this.routers.length < DHCP_ROUTERS_MOST; i += 4) this.routers.push(get32(bytes, at + i));
  }

  #keepRoutes(bytes: Uint8Array, at: number, length: number): void {
    const count = Math.min(length, ROUTES_BYTES - this.#routesLength);
    for (let i = 0; i < count; i++) this.#routesBytes[this.#routesLength + i] = bytes[at + i]!;
    this.#routesLength += count;
  }

  /** RFC 3442: the bits of the destination, as many of its bytes as have some of them, and the router. */
  #readRoutes(): void {
    const bytes = this.#routesBytes;
    const end = this.#routesLength;
    for (let at = 0; at < end && this.routes.length < DHCP_ROUTES_MOST;) {
      const prefix = bytes[at]!;
      const count = (prefix + 7) >> 3;
      if (prefix > 32 || at + 1 + count + 4 > end) break;
      let network = 0;
      for (let i = 0; i < count; i++) network |= bytes[at + 1 + i]! << (24 - 8 * i);
      // Bits beyond the prefix are to be taken for zero.
      this.routes.push({ network: prefix === 0 ? 0 : network & (-1 << (32 - prefix)), prefix, gateway: get32(bytes, at + 1 + count) });
      at += 5 + count;
    }
  }
}

/** Bits of a netmask that is one, else -1. */
function prefixOf(mask: number): number {
  const prefix = Math.clz32(~mask);
  return mask === (prefix === 0 ? 0 : -1 << (32 - prefix)) ? prefix : -1;
}

/** A message of a client. Addresses are int32; 0: not to be named. */
export interface DhcpRequest {
  /** DHCP_DISCOVER, DHCP_REQUEST, DHCP_DECLINE or DHCP_RELEASE. */
  readonly type: number;
  readonly xid: number;
  /** Seconds since the client began to ask, 0 to 65535. */
  readonly secs: number;
  /** Its own address, where it has one. */
  readonly own: number;
  readonly requested: number;
  readonly server: number;
}

/**
 * Writes a message of at least DHCP_LEAST bytes.
 *
 * @param clientId as option 61 has it: a type and an identifier (RFC 2132 9.14), 2 to 255 bytes.
 * @param maxSize bytes of the largest message that the client takes, headers included.
 * @returns its length, at most DHCP_PAYLOAD.
 */
export function emitDhcp(bytes: Uint8Array, at: number, request: DhcpRequest, mac: Uint8Array, clientId: Uint8Array, maxSize: number): number {
  const { type, xid, secs, own, requested, server } = request;
  bytes.fill(0, at, at + DHCP_LEAST);
  bytes[at + DHCP_OP] = BOOT_REQUEST;
  bytes[at + DHCP_HARDWARE_TYPE] = HARDWARE_ETHERNET;
  bytes[at + DHCP_HARDWARE_LENGTH] = MAC_LENGTH;
  put32(bytes, at + DHCP_XID, xid);
  put16(bytes, at + DHCP_SECS, secs);
  put32(bytes, at + DHCP_CIADDR, own);
  copyMac(mac, 0, bytes, at + DHCP_CHADDR);
  put32(bytes, at + DHCP_COOKIE, MAGIC_COOKIE);
  let next = emitOption(bytes, at + DHCP_OPTIONS, OPTION_MESSAGE_TYPE, 1);
  bytes[next - 1] = type;
  next = emitOption(bytes, next, OPTION_CLIENT_ID, clientId.length);
  bytes.set(clientId, next - clientId.length);
  if (requested !== 0) next = emitWord(bytes, next, OPTION_REQUESTED_ADDRESS, requested);
  if (server !== 0) next = emitWord(bytes, next, OPTION_SERVER, server);
  if (type === DHCP_DISCOVER || type === DHCP_REQUEST) {
    next = emitOption(bytes, next, OPTION_MAX_SIZE, 2);
    put16(bytes, next - 2, maxSize);
    next = emitOption(bytes, next, OPTION_PARAMETERS, WANTED.length);
    bytes.set(WANTED, next - WANTED.length);
  }
  bytes[next++] = OPTION_END;
  return Math.max(next - at, DHCP_LEAST);
}

function emitWord(bytes: Uint8Array, at: number, kind: number, value: number): number {
  put32(bytes, at + 2, value);
  return emitOption(bytes, at, kind, 4);
}

/** Writes the head of an option. Returns the end of its value. */
function emitOption(bytes: Uint8Array, at: number, kind: number, length: number): number {
  bytes[at] = kind;
  bytes[at + 1] = length;
  return at + 2 + length;
}

/**
 * A DHCP client (RFC 2131 4.4) for one interface: asks for an address, keeps its lease alive, and gives it back. Whoever owns it sends its
 * messages, hands it the replies, and looks by ARP whether the address is free before it is used.
 *
 * ```
 *   INIT ─discover─▶ SELECTING ─offer─▶ REQUESTING ─ack─▶ PROBING ─free─▶ BOUND ─T1─▶ RENEWING ─T2─▶ REBINDING
 *    ▲                                   │ nak             │ taken           ▲──────────ack─┴──────────ack─┘ │
 *    └───────────────────────────────────┴─────────────────┴─────────────────────────────── nak, expiry ─────┘
 * ```
 *
 * Nothing is remembered beyond the process, so there is no INIT-REBOOT. Times are µs.
 */
import type { Earliest } from '../clock.js';
import { isLoopback4, netmask } from '../wire/address.js';
import {
  DHCP_ACK, DHCP_DECLINE, DHCP_DISCOVER, DHCP_NAK, DHCP_OFFER, DHCP_RELEASE, DHCP_REQUEST,
} from '../wire/dhcp.js';
import type { DhcpReply, DhcpRequest, DhcpRoute } from '../wire/dhcp.js';
import { isUnicast } from './routes.js';

/** The first delay between retransmissions, doubled by each, up to the longest; each is randomized by a second (RFC 2131 4.1). */
const DELAY_FIRST = 4e6;
const DELAY_MOST = 64e6;
const DELAY_SPREAD = 1e6;
/** Requests for an offer before another one is looked for. */
const REQUESTS_MOST = 4;
/** Least time between two requests that extend a lease (RFC 2131 4.4.5). */
const EXTEND_LEAST = 60e6;
/** From the refusal of an address that another station has to the next attempt (RFC 2131 3.1.5). */
const DECLINE_WAIT = 10e6;
/** Refusals after which attempts are a minute apart (RFC 5227 2.1.1: MAX_CONFLICTS, RATE_LIMIT_INTERVAL). */
const CONFLICTS_MOST = 10;
const CONFLICT_INTERVAL = 60e6;
/** Shares of the lease after which it is extended where the server says nothing of that (RFC 2131 4.4.5). */
const T1_SHARE = 0.5;
const T2_SHARE = 0.875;
/** A lease that ends sooner, in s, is none: finding out whether its address is free takes up to seven seconds. */
const LEASE_LEAST = 30;
const FOREVER = 0xffffffff;

export const DHCP_STOPPED = 0;
export const DHCP_INIT = 1;
export const DHCP_SELECTING = 2;
export const DHCP_REQUESTING = 3;
export const DHCP_PROBING = 4;
export const DHCP_BOUND = 5;
export const DHCP_RENEWING = 6;
export const DHCP_REBINDING = 7;

/** What a server has given. Addresses are int32. */
export interface Lease {
  readonly address: number;
  /** Bits of its network's prefix. */
  readonly prefix: number;
  /** The first of the routers that makes sense; 0: none. */
  readonly gateway: number;
  readonly routes: readonly DhcpRoute[];
  /** Bytes of the largest IP packet; 0: as the link has it. */
  readonly mtu: number;
}

export interface DhcpEvents {
  /** Sends a message. @param server its address, where the message goes to it alone; 0: to all. */
  send(message: DhcpRequest, server: number): void;
  /** Look whether the address is free: `usable` or `inUse` is to follow. */
  check(address: number, now: number): void;
  /** The lease begins, or goes on with what may be other settings. */
  bound(lease: Lease, now: number): void;
  /** The address must not be used any more. */
  lost(address: number, now: number): void;
}

export class Dhcp {
  state = DHCP_STOPPED;
  /** Servers that have offered an address since the client last began. */
  offers = 0;
  private readonly events: DhcpEvents;
  private readonly random: () => number;
  private xid = 0;
  /** When the client began to ask for what it asks for now, and how many s before the message at hand that was. */
  private beganAt = 0;
  private secs = 0;
  private dueAt = Infinity;
  /** Messages sent in this state. */
  private tries = 0;
  private conflicts = 0;
  private naks = 0;
  /** The address and the server of the offer that is taken. */
  private requested = 0;
  private server = 0;
  /** When the request was sent that the lease counts from. */
  private requestedAt = 0;
  private lease: Lease | null = null;
  private renewAt = Infinity;
  private rebindAt = Infinity;
  private expiresAt = Infinity;

  /** @param random returns 32 random bits. */
  constructor(events: DhcpEvents, random: () => number) {
    this.events = events;
    this.random = random;
  }

  /** When the lease ends; Infinity where it does not, or there is none. */
  get leaseEnds(): number {
    return this.lease === null ? Infinity : this.expiresAt;
  }

  start(now: number): void {
    this.begin(now);
    this.advance(now);
  }

  /** Gives the lease back, where there is one, and asks for nothing any more (RFC 2131 4.4.6). */
  stop(): void {
    if (this.lease !== null && this.state >= DHCP_BOUND) {
      this.secs = 0;
      this.xid = this.random() | 0;
      this.events.send(this.message(DHCP_RELEASE, this.lease.address, 0, this.server), this.server);
    }
    this.lease = null;
    this.state = DHCP_STOPPED;
    this.dueAt = Infinity;
  }

  dueBy(next: Earliest): void {
    next.take(this.dueAt);
  }

  advance(now: number): void {
    while (this.dueAt <= now) this.step(now);
  }

  /** Nobody else has the address that was to be looked after. */
  usable(now: number): void {
    if (this.state !== DHCP_PROBING) return;
    this.conflicts = 0;
    this.naks = 0;
    this.toBound(now);
  }

  /** Another station has it: it is declined, and another one asked for after a while (RFC 2131 3.1.5). */
  inUse(now: number): void {
    if (this.state !== DHCP_PROBING) return;
    this.secs = 0;
    this.xid = this.random() | 0;
    this.events.send(this.message(DHCP_DECLINE, 0, this.requested, this.server), 0);
    this.lease = null;
    this.conflicts++;
    this.begin(now + (this.conflicts >= CONFLICTS_MOST ? CONFLICT_INTERVAL : DECLINE_WAIT));
  }

  /** A message of a server to this client. Returns false where nothing here waits for it. */
  receive(reply: DhcpReply, now: number): boolean {
    if (reply.xid !== this.xid || reply.server === 0) return false;
    const { state } = this;
    if (state === DHCP_SELECTING && reply.type === DHCP_OFFER) return this.offered(reply, now);
    if (state !== DHCP_REQUESTING && state !== DHCP_RENEWING && state !== DHCP_REBINDING) return false;
    if (state === DHCP_REQUESTING && reply.server !== this.server) return false;
    if (reply.type === DHCP_NAK) return this.refused(now);
    return reply.type === DHCP_ACK && this.granted(reply, now);
  }

  // ---- what arrives

  private offered(reply: DhcpReply, now: number): boolean {
    if (!isLease(reply)) return false;
    this.offers++;
    this.requested = reply.address;
    this.server = reply.server;
    this.enter(DHCP_REQUESTING, now);
    this.step(now);
    return true;
  }

  private granted(reply: DhcpReply, now: number): boolean {
    const first = this.state === DHCP_REQUESTING;
    // What is extended is the lease of one address.
    if (!isLease(reply) || reply.address !== this.requested) return false;
    this.server = reply.server;
    this.lease = leaseOf(reply);
    this.setTimes(reply);
    if (first) {
      this.state = DHCP_PROBING;
      this.dueAt = Infinity;
      this.events.check(this.requested, now);
    } else {
      this.toBound(now);
    }
    return true;
  }

  /** RFC 2131 4.4.5: the address is given up, and everything begins anew; not at once where that happens again and again. */
  private refused(now: number): boolean {
    const wait = this.naks === 0 ? 0 : this.delay(this.naks - 1);
    this.naks++;
    this.giveUp(now);
    this.begin(now + wait);
    return true;
  }

  private toBound(now: number): void {
    this.state = DHCP_BOUND;
    this.tries = 0;
    this.dueAt = this.renewAt;
    this.events.bound(this.lease!, now);
  }

  /** The times of a lease count from when it was asked for (RFC 2131 4.4.1). */
  private setTimes({ leaseTime, t1, t2 }: DhcpReply): void {
    if (leaseTime === FOREVER) {
      this.renewAt = this.rebindAt = this.expiresAt = Infinity;
      return;
    }
    let rebind = t2 > 0 && t2 < leaseTime ? t2 : leaseTime * T2_SHARE;
    let renew = t1 > 0 ? t1 : leaseTime * T1_SHARE;
    if (renew >= rebind) {
      renew = leaseTime * T1_SHARE;
      rebind = leaseTime * T2_SHARE;
    }
    this.renewAt = this.requestedAt + renew * 1e6;
    this.rebindAt = this.requestedAt + rebind * 1e6;
    this.expiresAt = this.requestedAt + leaseTime * 1e6;
  }

  // ---- what is due

  private step(now: number): void {
    switch (this.state) {
      case DHCP_INIT:
      case DHCP_SELECTING: this.discover(now); break;
      case DHCP_REQUESTING: this.request(now); break;
      case DHCP_BOUND: this.enter(DHCP_RENEWING, now); break;
      case DHCP_RENEWING:
      case DHCP_REBINDING: this.extend(now); break;
      default: this.dueAt = Infinity;
    }
  }

  /** From `at` on everything begins anew. */
  private begin(at: number): void {
    this.state = DHCP_INIT;
    this.dueAt = at;
  }

  /** A new exchange, whose first message is due now. */
  private enter(state: number, now: number): void {
    if (state !== DHCP_REQUESTING) this.xid = this.random() | 0;
    this.state = state;
    this.tries = 0;
    if (state !== DHCP_REQUESTING) this.beganAt = now;
    this.dueAt = now;
  }

  private discover(now: number): void {
    if (this.state === DHCP_INIT) {
      this.offers = 0;
      this.enter(DHCP_SELECTING, now);
    }
    this.dueAt = now + this.delay(this.tries++);
    this.secs = secondsOf(now - this.beganAt);
    this.events.send(this.message(DHCP_DISCOVER, 0, 0, 0), 0);
  }

  private request(now: number): void {
    if (this.tries === REQUESTS_MOST) {
      this.begin(now);
      return;
    }
    this.requestedAt = now;
    this.dueAt = now + this.delay(this.tries++);
    // The seconds are those of the discovery, so that relays send both to the same servers (RFC 2131 4.4.1).
    this.events.send(this.message(DHCP_REQUEST, 0, this.requested, this.server), 0);
  }

  /** RFC 2131 4.4.5: half of what is left until the next state, but not more than once a minute. */
  private extend(now: number): void {
    if (now >= this.expiresAt) {
      this.giveUp(now);
      this.begin(now);
      return;
    }
    if (this.state === DHCP_RENEWING && now >= this.rebindAt) {
      this.state = DHCP_REBINDING;
      this.tries = 0;
    }
    const renewing = this.state === DHCP_RENEWING;
    const until = renewing ? this.rebindAt : this.expiresAt;
    this.tries++;
    this.requestedAt = now;
    this.dueAt = Math.min(until, now + Math.max((until - now) / 2, EXTEND_LEAST));
    this.secs = secondsOf(now - this.beganAt);
    this.events.send(this.message(DHCP_REQUEST, this.requested, 0, 0), renewing ? this.server : 0);
  }

  private giveUp(now: number): void {
    const { lease } = this;
    this.lease = null;
    if (lease !== null) this.events.lost(lease.address, now);
  }

  private delay(tries: number): number {
    const spread = (2 * ((this.random() >>> 0) / 2 ** 32) - 1) * DELAY_SPREAD;
    return Math.min(DELAY_FIRST * 2 ** Math.min(tries, 8), DELAY_MOST) + spread;
  }

  private message(type: number, own: number, requested: number, server: number): DhcpRequest {
    return { type, xid: this.xid, secs: this.secs, own, requested, server };
  }
}

function secondsOf(time: number): number {
  return Math.min(Math.floor(time / 1e6), 0xffff);
}

/** True where a message offers what a host can live with. */
function isLease({ address, prefix, leaseTime }: DhcpReply): boolean {
  if (!isUnicast(address) || isLoopback4(address) || leaseTime < LEASE_LEAST) return false;
  const bits = prefix < 0 ? classOf(address) : prefix;
  const host = address & ~netmask(bits);
  return bits > 0 && (bits >= 31 || (host !== 0 && host !== ~netmask(bits)));
}

function leaseOf({ address, prefix, routers, routes, mtu }: DhcpReply): Lease {
  return {
    address,
    prefix: prefix < 0 ? classOf(address) : prefix,
    // RFC 3442: where its routes are told, they stand in place of the routers.
    gateway: routes.length > 0 ? 0 : routers.find((router) => isNextHop(router, address)) ?? 0,
    routes: routes.filter(({ gateway }) => gateway === 0 || isNextHop(gateway, address)),
    mtu,
  };
}

function isNextHop(router: number, own: number): boolean {
  return isUnicast(router) && !isLoopback4(router) && router !== own;
}

/** Bits of the network where nobody tells them: those of the classes of old (RFC 791 3.2). */
function classOf(address: number): number {
  const first = address >>> 24;
  if (first < 128) return 8;
  return first < 192 ? 16 : 24;
}

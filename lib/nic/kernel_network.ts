/**
 * The kernel's neighbours and routes on an interface, read and followed by netlink (rtnetlink(7)).
 *
 * A neighbour is asked for by name: the kernel is asked what it knows now, and where that is nothing or not certain, told that it is being
 * used (NTF_USE), which has it look. What becomes of it comes as news, so no copy of its table is held. One that the kernel is sure of, and
 * the TCP server is not, is put into the state in which the kernel asks it. Those that an administrator has entered are left alone.
 */
import type { HostEvents, HostNetwork } from './device.js';
import { bytesAttribute, concat, eachAttribute, NETLINK_HEADER, NLM_F_CREATE, NLM_F_EXCL, NLM_F_REPLACE, putHeader } from './netlink.js';
import {
  readRoutes, RouteSocket, RTMGRP_IPV4_IFADDR, RTMGRP_IPV4_ROUTE, RTMGRP_IPV6_IFADDR, RTMGRP_IPV6_ROUTE, RTMGRP_LINK, RTMGRP_NEIGH, type TakeMessage,
} from './route_netlink.js';
import { AF_INET, AF_INET6 } from './syscalls.js';
import { SystemError } from './system_error.js';

const RTM_NEWNEIGH = 28;
const RTM_DELNEIGH = 29;
const RTM_GETNEIGH = 30;
/** Sequence numbers of questions about a neighbour, and about one that is doubted. */
const ASKED = 0xffffffff;
const DOUBTED = 0xfffffffe;
/** Of what is not answered, but by an error that says nothing new. */
const NOBODY = 0xfffffffd;
const NEWS = RTMGRP_LINK | RTMGRP_NEIGH | RTMGRP_IPV4_IFADDR | RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_IFADDR | RTMGRP_IPV6_ROUTE;

// struct ndmsg, and attributes of a neighbour.
const NEIGHBOUR_MESSAGE = 12;
const NDA_DST = 1;
const NDA_LLADDR = 2;
const NTF_USE = 0x01;
const NTF_PROXY = 0x08;
/** States with a link address to be used: reachable, stale, delay, probe, no ARP, permanent. */
const NUD_VALID = 0x02 | 0x04 | 0x08 | 0x10 | 0x40 | 0x80;
const NUD_CONFIRMED = 0x02 | 0x40 | 0x80;
const NUD_FAILED = 0x20;
/** The kernel is asking: incomplete, probe. */
const NUD_ASKING = 0x01 | 0x10;
const NUD_PROBE = 0x10;
const NUD_REACHABLE = 0x02;
/** Which the kernel asks nobody about: no ARP, permanent. */
const NUD_FIXED = 0x40 | 0x80;
const MAC_LENGTH = 6;

/** Between two looks for news, and between two readings of the routes, µs. */
const LOOK_INTERVAL = 200;
const ROUTES_INTERVAL = 10_000;

export class KernelNetwork implements HostNetwork {
  readonly #index: number;
  readonly #news = new RouteSocket(NEWS);
  /** Not the other one: what that hears would come between the parts of a table. */
  readonly #tables = new RouteSocket();
  #lookAt = 0;
  #routesAt = 0;
  #routesChanged = true;
  #routesKnown = false;
  #lost = 0;
  #events: HostEvents | null = null;
  readonly #take: TakeMessage = (type, view, at, end) => {
    if (type === RTM_NEWNEIGH || type === RTM_DELNEIGH) this.#neighbour(type, view, at, end);
    // Routes of IPv4 that go with their link or their address are told of by nothing else.
    else this.#routesChanged = true;
  };

  /** @param index of the interface, in the namespace of the calling thread. */
  constructor(index: number) {
    this.#index = index;
  }

  /** Polls readable when there is news. */
  get fd(): number {
    return this.#news.fd;
  }

  resolve(address: Uint8Array, doubted: boolean): void {
    this.#news.send(concat([
      // Only where there is none: those that there are know whether they may be changed.
      this.#message(RTM_NEWNEIGH, NLM_F_CREATE | NLM_F_EXCL, NOBODY, 0, NTF_USE, address, null),
      this.#message(RTM_GETNEIGH, 0, doubted ? DOUBTED : ASKED, 0, 0, address, null),
    ]));
    this.#lookAt = 0;
  }

  #message(type: number, flags: number, sequence: number, state: number, neighbourFlags: number, address: Uint8Array, mac: Uint8Array | null): Uint8Array {
    const attributes = [bytesAttribute(NDA_DST, address), ...(mac === null ? [] : [bytesAttribute(NDA_LLADDR, mac)])];
    const head = new Uint8Array(NETLINK_HEADER + NEIGHBOUR_MESSAGE);
    const view = new DataView(head.buffer);
    putHeader(view, 0, attributes.reduce((length, attribute) => length + attribute.length, head.length), type, flags, sequence);
    head[NETLINK_HEADER] = address.length === 4 ? AF_INET : AF_INET6;
    view.setInt32(NETLINK_HEADER + 4, this.#index, true);
    view.setUint16(NETLINK_HEADER + 8, state, true);
    head[NETLINK_HEADER + 10] = neighbourFlags;
    return concat([head, ...attributes]);
  }

  poll(now: number, events: HostEvents, fresh: boolean): void {
    if (now < this.#lookAt && !fresh) return;
    this.#lookAt = now + LOOK_INTERVAL;
    this.#events = events;
    if (this.#news.receive(this.#take)) this.#countLosses();
    if (this.#routesChanged && (fresh || now >= this.#routesAt)) this.#readRoutes(now, events);
  }

  #readRoutes(now: number, events: HostEvents): void {
    this.#routesAt = now + ROUTES_INTERVAL;
    try {
      events.routes(readRoutes(this.#index, this.#tables));
      this.#routesChanged = false;
      this.#routesKnown = true;
    } catch (error) {
      // Those that are known hold until they can be read again.
      if (!this.#routesKnown || !(error instanceof SystemError)) throw error;
    }
  }

  pollAt(): number {
    return this.#routesChanged ? this.#routesAt : Infinity;
  }

  /** Who waits for a neighbour asks again; routes are read again. */
  #countLosses(): void {
    const { lost } = this.#news;
    if (lost !== this.#lost) this.#routesChanged = true;
    this.#lost = lost;
  }

  #neighbour(type: number, view: DataView, at: number, end: number): void {
    const family = view.getUint8(at);
    if (view.getInt32(at + 4, true) !== this.#index || (view.getUint8(at + 10) & NTF_PROXY) !== 0) return;
    const state = type === RTM_DELNEIGH ? NUD_FAILED : view.getUint16(at + 8, true);
    let address: Uint8Array | null = null;
    let mac: Uint8Array | null = null;
    eachAttribute(view, at + NEIGHBOUR_MESSAGE, end, (attribute, from, length) => {
      const value = new Uint8Array(view.buffer, view.byteOffset + from, length);
      if (attribute === NDA_DST && length === (family === AF_INET ? 4 : 16)) address = value;
      else if (attribute === NDA_LLADDR && length === MAC_LENGTH) mac = value;
    });
    if (address === null) return;
    const sequence = view.getUint32(at - NETLINK_HEADER + 8, true);
    if (sequence === ASKED || sequence === DOUBTED) this.#answered(address, mac, state, sequence === DOUBTED);
    else if ((state & NUD_FAILED) !== 0) this.#events!.neighbour(address, null, false);
    else this.#tell(address, mac, state);
  }

  /** What the kernel knows of a neighbour that was asked for. */
  #answered(address: Uint8Array, mac: Uint8Array | null, state: number, doubted: boolean): void {
    if ((state & NUD_FIXED) !== 0 || !doubted) this.#tell(address, mac, state);
    if ((state & (NUD_FIXED | NUD_ASKING)) !== 0) return;
    const isKnown = (state & NUD_VALID) !== 0 && mac !== null;
    if (doubted && isKnown) this.#news.send(this.#message(RTM_NEWNEIGH, NLM_F_REPLACE, NOBODY, NUD_PROBE, 0, address, mac));
    else if ((state & NUD_REACHABLE) === 0) this.#news.send(this.#message(RTM_NEWNEIGH, 0, NOBODY, 0, NTF_USE, address, null));
  }

  #tell(address: Uint8Array, mac: Uint8Array | null, state: number): void {
    if ((state & NUD_VALID) !== 0 && mac !== null) this.#events!.neighbour(address, mac, (state & NUD_CONFIRMED) !== 0);
  }

  close(): void {
    this.#news.close();
    this.#tables.close();
  }
}

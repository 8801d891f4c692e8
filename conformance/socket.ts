/** One TCP socket with the habits of Linux: what each call answers in each state (net/ipv4/tcp.c, af_inet.c). */
import { EADDRINUSE, ECONNRESET, EPIPE } from '../lib/tcp/errno.js';
import { isMapped } from '../lib/tcp/wire/address.js';
import type { Attempt } from './call.js';
import { done, failed } from './call.js';
import { anyAddress, isAny } from './endpoint.js';
import type { Endpoint } from './endpoint.js';
import { errnoName } from './errno.js';
import type { Link, Listener, Network } from './link.js';
import { SocketOptions } from './socket_options.js';

export const AF_INET6 = 10;

const MSG_PEEK = 0x2;
const MSG_DONTWAIT = 0x40;
const MSG_WAITALL = 0x100;
const MSG_MORE = 0x8000;

const POLLIN = 0x1;
const POLLOUT = 0x4;
const POLLERR = 0x8;
const POLLHUP = 0x10;
const POLLRDNORM = 0x40;
const POLLWRNORM = 0x100;
const POLLRDHUP = 0x2000;

/** Both halves shut down, one, or none. */
export const SHUT_RECEIVE = 1;
export const SHUT_SEND = 2;

export type SocketState = 'idle' | 'listening' | 'connecting' | 'connected' | 'over';

export class Socket {
  readonly family: number;
  readonly options: SocketOptions;
  state: SocketState = 'idle';
  bound: Endpoint | null = null;
  link: Link | null = null;
  /** Errno that the next call is told, once; 0: none. */
  error = 0;
  /** SHUT_* bits. */
  shut = 0;
  readonly #network: Network;
  /** Something has changed that a call may wait for. */
  readonly #wake: () => void;
  #listener: Listener | null = null;
  #backlog = 0;
  /** Connections that nobody has accepted. */
  #queue: Socket[] = [];

  constructor(network: Network, family: number, wake: () => void, options = new SocketOptions()) {
    this.#network = network;
    this.family = family;
    this.#wake = wake;
    this.options = options;
  }

  get listening(): boolean {
    return this.state === 'listening';
  }

  // ---- opening

  bind(endpoint: Endpoint, inUse: boolean): ReturnType<typeof done> {
    if (this.bound !== null) return failed('EINVAL');
    if (!isAny(endpoint) && !this.#network.isLocal(endpoint.address)) return failed('EADDRNOTAVAIL');
    if (inUse) return failed(EADDRINUSE);
    this.bound = endpoint;
    return done();
  }

  listen(backlog: number): ReturnType<typeof done> {
    if (this.state !== 'idle' && this.state !== 'listening') return failed('EINVAL');
    this.#backlog = Math.max(backlog, 0);
    if (this.#listener === null) {
      const { address, port } = this.bound ?? { address: anyAddress(this.family === AF_INET6), port: 0 };
      const listener = this.#network.listen(address, port, this.#backlog + 1, this.options.sixOnly, (link) => this.#arrived(link));
      if (typeof listener === 'number') return failed(-listener);
      this.#listener = listener;
      listener.apply(this.options);
      this.bound = { address, port: listener.port };
      this.state = 'listening';
    }
    // As in Linux a queue holds one more than its backlog.
    this.#listener.setBacklog(this.#backlog + 1);
    return done();
  }

  #arrived(link: Link): void {
    const child = new Socket(this.#network, this.family, this.#wake, this.options.inherited());
    child.#attach(link);
    child.state = 'connected';
    this.#queue.push(child);
  }

  /** The next connection, as `taken` makes a handle of it. */
  accept(nonBlocking: boolean, taken: (socket: Socket) => number): Attempt {
    return () => {
      if (this.state !== 'listening') return failed('EINVAL');
      const next = this.#queue.findIndex((child) => this.options.deferAccept === 0 || child.#hasSomething);
      if (next < 0) return nonBlocking ? failed('EAGAIN') : null;
      const [child] = this.#queue.splice(next, 1) as [Socket];
      child.link!.taken();
      const { remoteAddress, remotePort } = child.link!;
      const mapped = this.family === AF_INET6 && !remoteAddress.includes(':');
      return done(taken(child), { addr: mapped ? `::ffff:${remoteAddress}` : remoteAddress, port: remotePort });
    };
  }

  get #hasSomething(): boolean {
    return this.link!.available > 0 || this.#endOfStream || this.error !== 0;
  }

  connect(remote: Endpoint, nonBlocking: boolean): Attempt {
    const refused = this.options.sixOnly && isMapped(remote.address, 0) ? failed('ENETUNREACH') : this.#mayConnect();
    if (refused !== null) return () => refused;
    const local = this.bound;
    const address = local === null || isAny(local) ? null : local.address;
    const link = this.#network.connect(remote.address, remote.port, address, local?.port ?? 0, this.options);
    if (typeof link === 'number') return () => failed(-link);
    this.#attach(link);
    this.shut = 0;
    this.state = 'connecting';
    let first = true;
    return () => {
      if (this.error !== 0) {
        // As if it had never been asked for: another attempt may follow.
        const error = failed(this.takeError());
        this.link?.release();
        this.link = null;
        this.shut = 0;
        this.state = 'idle';
        return error;
      }
      if (this.state === 'connected') return done();
      // Closed, or shut down, while it opened.
      if (this.state !== 'connecting') return failed('ECONNABORTED');
      if (!nonBlocking) return null;
      const result = failed(first ? 'EINPROGRESS' : 'EALREADY');
      first = false;
      return result;
    };
  }

  #mayConnect(): ReturnType<typeof done> | null {
    if (this.state === 'connecting') return failed('EALREADY');
    if (this.state === 'connected') return failed('EISCONN');
    if (this.state === 'listening') return failed('EISCONN');
    return this.error !== 0 ? failed(this.takeError()) : null;
  }

  #attach(link: Link): void {
    this.link?.release();
    this.link = link;
    link.owner = {
      connected: () => {
        this.state = 'connected';
      },
      failed: (errno) => {
        // Linux: a peer that has ended its stream and then resets breaks a pipe.
        this.error = errno === ECONNRESET && link.ended ? EPIPE : errno;
        this.shut = SHUT_RECEIVE | SHUT_SEND;
        this.state = 'over';
      },
      closed: () => {
        if (this.state === 'connected') this.state = 'over';
      },
    };
    link.apply(this.options, '');
  }

  // ---- bytes

  recv(length: number, flags: number, nonBlocking: boolean): Attempt {
    const nb = nonBlocking || (flags & MSG_DONTWAIT) !== 0;
    const peek = (flags & MSG_PEEK) !== 0;
    const least = (flags & MSG_WAITALL) !== 0 && !nb ? length : 1;
    return () => {
      const { link } = this;
      if (link === null || this.state === 'listening') return failed('ENOTCONN');
      const enough = link.available >= Math.min(least, length) || this.#endOfStream || this.error !== 0 || this.state === 'over';
      if (link.available > 0 && length > 0 && (enough || nb)) {
        const bytes = link.read(length, peek);
        return done(bytes.length, { data: Buffer.from(bytes).toString('hex') });
      }
      if (length === 0) return done(0, { data: '' });
      if (link.ended && link.available === 0) return done(0, { data: '' });
      if (this.error !== 0) return failed(this.takeError());
      if (this.#endOfStream || this.state === 'over') return done(0, { data: '' });
      return nb ? failed('EAGAIN') : null;
    };
  }

  get #endOfStream(): boolean {
    return (this.shut & SHUT_RECEIVE) !== 0 || (this.link?.ended ?? false);
  }

  send(bytes: Uint8Array, flags: number, nonBlocking: boolean): Attempt {
    const nb = nonBlocking || (flags & MSG_DONTWAIT) !== 0;
    const more = (flags & MSG_MORE) !== 0;
    let sent = 0;
    let waited = false;
    return () => {
      const { link } = this;
      if (this.error !== 0) return sent > 0 ? done(sent) : failed(this.takeError());
      if (this.state === 'connecting') return nb ? failed('EAGAIN') : null;
      if (link === null || this.state !== 'connected' || (this.shut & SHUT_SEND) !== 0) return sent > 0 ? done(sent) : failed('EPIPE');
      sent += link.write(bytes.subarray(sent), more, waited);
      waited = true;
      if (sent === bytes.length) return done(sent);
      if (!nb) return null;
      return sent > 0 ? done(sent) : failed('EAGAIN');
    };
  }

  /** Bytes that wait to be read. */
  get inQueue(): number {
    return this.link?.available ?? 0;
  }

  /** Bytes that the peer has not acknowledged. */
  get outQueue(): number {
    return this.link?.unacknowledged ?? 0;
  }

  // ---- closing

  shutdown(how: number): ReturnType<typeof done> {
    if (this.state === 'listening') {
      if ((how & SHUT_RECEIVE) !== 0) this.#stopListening();
      return done();
    }
    if (this.state === 'idle' || (this.state === 'over' && this.link?.ended !== true)) return failed('ENOTCONN');
    if (this.state === 'connecting') {
      this.link!.release();
      this.link = null;
      this.state = 'idle';
      return done();
    }
    this.shut |= how;
    if ((how & SHUT_SEND) !== 0) this.link!.shutdown();
    return done();
  }

  /** Ends the socket; the answer waits as long as SO_LINGER says. */
  close(): Attempt {
    const { link } = this;
    const { linger } = this.options;
    if (this.state === 'listening') this.#stopListening();
    this.state = 'over';
    this.shut = SHUT_RECEIVE | SHUT_SEND;
    if (link === null) return () => done();
    if (linger === 0) {
      link.abort();
      return () => done();
    }
    link.release();
    if (linger < 0) return () => done();
    let waited = false;
    this.#network.after(linger * 1_000_000, () => {
      waited = true;
      this.#wake();
    });
    return () => (waited || !link.closing ? done() : null);
  }

  #stopListening(): void {
    this.#listener?.close();
    this.#listener = null;
    for (const child of this.#queue) child.link!.abort();
    this.#queue = [];
    this.state = 'idle';
  }

  // ---- what is asked of it

  takeError(): number {
    const { error } = this;
    this.error = 0;
    return error;
  }

  takeErrorName(): string | number {
    const error = this.takeError();
    return error === 0 ? 0 : errnoName(error);
  }

  /** What poll(2) finds, of all that it can tell. */
  events(): number {
    if (this.state === 'listening') return this.#queue.length > 0 ? POLLIN | POLLRDNORM : 0;
    let events = this.error !== 0 ? POLLERR : 0;
    const all = SHUT_RECEIVE | SHUT_SEND;
    const shut = this.shut | (this.#endOfStream ? SHUT_RECEIVE : 0);
    if (shut === all || this.state === 'idle' || this.state === 'over') events |= POLLHUP;
    if ((shut & SHUT_RECEIVE) !== 0) events |= POLLIN | POLLRDNORM | POLLRDHUP;
    if (this.state === 'connecting') return events;
    if (this.inQueue > 0) events |= POLLIN | POLLRDNORM;
    const writable = (this.shut & SHUT_SEND) !== 0 || this.link === null || this.state === 'over' || this.link.writable;
    return writable ? events | POLLOUT | POLLWRNORM : events;
  }

  /** An option of it has been set. */
  optionSet(name: string): void {
    this.link?.apply(this.options, name);
    this.#listener?.apply(this.options);
  }
}

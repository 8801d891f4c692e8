/**
 * Who listens where. Several app threads may listen on one address and port: the stack knows one listener, and each new
 * connection goes to the app thread that holds the fewest.
 *
 * A backlog bounds the connections that wait for an app thread. The stack holds the sum of them; here it is seen to that each
 * thread gets no more than its own.
 */
import { EADDRINUSE } from '../tcp/errno.js';
import type { Stack } from '../tcp/stack.js';
import { LISTEN_DROPS, LISTEN_OVERFLOWS } from '../tcp/stats.js';
import type { ServerChannel } from './server_channel.js';

interface Member {
  readonly channel: ServerChannel;
  /** The app thread's own number of the listener. */
  readonly request: number;
  readonly backlog: number;
  /** Number of the group: never used again, unlike the stack's listener. */
  readonly group: number;
  /** Connections that it was given and has not taken over yet. */
  untaken: number;
}

interface Group {
  readonly number: number;
  readonly key: string;
  readonly listener: number;
  readonly members: Member[];
}

export class ServerListeners {
  readonly #stack: Stack;
  readonly #byKey = new Map<string, Group>();
  readonly #byListener = new Map<number, Group>();
  readonly #byNumber = new Map<number, Group>();
  #lastNumber = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /** @returns the port (the one chosen for port 0), or -errno. */
  listen(channel: ServerChannel, request: number, address: Int32Array, port: number, backlog: number, ipv6Only = false): number {
    const room = Math.max(backlog, 1);
    const known = this.#byKey.get(keyOf(address, port, ipv6Only));
    if (known !== undefined) {
      if (known.members.some((other) => other.channel === channel)) return -EADDRINUSE;
      known.members.push({ channel, request, backlog: room, group: known.number, untaken: 0 });
      this.#fit(known);
      return port;
    }
    const listener = this.#stack.listen(address, port, room, ipv6Only);
    if (listener < 0) return listener;
    const chosen = this.#stack.listenerPort(listener);
    const number = (this.#lastNumber = (this.#lastNumber + 1) | 0);
    const group = { number, key: keyOf(address, chosen, ipv6Only), listener, members: [{ channel, request, backlog: room, group: number, untaken: 0 }] };
    this.#byKey.set(group.key, group);
    this.#byListener.set(listener, group);
    this.#byNumber.set(number, group);
    return chosen;
  }

  unlisten(channel: ServerChannel, request: number): void {
    for (const group of this.#byListener.values()) this.#remove(group, (m) => m.channel === channel && m.request === request);
  }

  /** The app thread is gone: it listens nowhere. */
  drop(channel: ServerChannel): void {
    for (const group of this.#byListener.values()) this.#remove(group, (m) => m.channel === channel);
  }

  /**
   * Gives a new connection of a stack's listener to an app thread: the one with the fewest flows among those whose backlog has
   * room; undefined where none has. It counts in the backlog until `taken`.
   */
  give(listener: number): Member | undefined {
    const group = this.#byListener.get(listener);
    if (group === undefined) return undefined;
    let best: Member | undefined;
    for (const member of group.members) {
      if (member.untaken >= member.backlog) continue;
      if (best === undefined || member.channel.flows < best.channel.flows) best = member;
    }
    if (best === undefined) {
      // One of them has gone, and its connections still wait.
      this.#stack.stats[LISTEN_OVERFLOWS]++;
      this.#stack.stats[LISTEN_DROPS]++;
      return undefined;
    }
    best.untaken++;
    return best;
  }

  /** The app thread has taken a connection of the group over, or it is gone. */
  taken(number: number, channel: ServerChannel): void {
    const group = this.#byNumber.get(number);
    const member = group?.members.find((each) => each.channel === channel);
    if (member !== undefined && member.untaken > 0) member.untaken--;
  }

  #fit(group: Group): void {
    let backlog = 0;
    for (const member of group.members) backlog += member.backlog;
    this.#stack.setBacklog(group.listener, backlog);
  }

  #remove(group: Group, gone: (member: Member) => boolean): void {
    const at = group.members.findIndex(gone);
    if (at < 0) return;
    group.members.splice(at, 1);
    if (group.members.length > 0) {
      this.#fit(group);
      return;
    }
    this.#stack.unlisten(group.listener);
    this.#byKey.delete(group.key);
    this.#byListener.delete(group.listener);
    this.#byNumber.delete(group.number);
  }
}

function keyOf(address: Int32Array, port: number, ipv6Only: boolean): string {
  return `${address.join('.')}:${port}${ipv6Only ? ' IPv6 only' : ''}`;
}

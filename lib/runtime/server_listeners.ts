/**
 * Who listens where. Several app threads may listen on one address and port: the stack knows one listener, and its distribution
 * (messages.ts) says which app thread gets a new connection. The first that listens there chooses the distribution.
 *
 * A backlog bounds the connections that wait for an app thread. The stack holds the sum of them; here it is seen to that each
 * thread gets no more than its own.
 */
import { EADDRINUSE, EINVAL } from '../tcp/errno.js';
import type { Stack } from '../tcp/stack.js';
import { LISTEN_DROPS, LISTEN_OVERFLOWS } from '../tcp/stats.js';
import { DISTRIBUTIONS } from './messages.js';
import type { Distribution } from './messages.js';
import type { ServerChannel } from './server_channel.js';

interface Member {
  readonly channel: ServerChannel;
  /** The app thread's own number of the listener. */
  readonly request: number;
  readonly backlog: number;
  /** Number of the group: never used again, unlike the stack's listener. */
  readonly group: number;
  /** What 'source-hash' knows it by: counts those that have joined the group. */
  readonly place: number;
  /** Connections that it was given and has not taken over yet. */
  untaken: number;
}

interface Group {
  readonly number: number;
  readonly key: string;
  readonly listener: number;
  readonly members: Member[];
  readonly choose: Choice;
  /** Members that have joined so far. */
  joined: number;
  /** Index of the member whose turn it is with 'round-robin'; at the end it goes on with the first. */
  turn: number;
}

/** The member whose backlog has room that gets a connection from a source with this hash. */
type Choice = (group: Group, source: number) => Member | undefined;

const CHOICES: Readonly<Record<Distribution, Choice>> = { 'least-connections': leastConnections, 'round-robin': roundRobin, 'source-hash': sourceHash };

export class ServerListeners {
  readonly #stack: Stack;
  readonly #byKey = new Map<string, Group>();
  readonly #byListener = new Map<number, Group>();
  readonly #byNumber = new Map<number, Group>();
  #lastNumber = 0;

  constructor(stack: Stack) {
    this.#stack = stack;
  }

  /**
   * @param distribution place in DISTRIBUTIONS.
   * @returns the port (the one chosen for port 0), or -errno: EINVAL where there is no such distribution, or who listens there has another.
   */
  listen(channel: ServerChannel, request: number, address: Int32Array, port: number, backlog: number, ipv6Only = false, distribution = 0): number {
    const room = Math.max(backlog, 1);
    const choose = CHOICES[DISTRIBUTIONS[distribution] as Distribution] as Choice | undefined;
    if (choose === undefined) return -EINVAL;
    const known = this.#byKey.get(keyOf(address, port, ipv6Only));
    if (known !== undefined) {
      if (known.members.some((other) => other.channel === channel)) return -EADDRINUSE;
      if (known.choose !== choose) return -EINVAL;
      join(known, channel, request, room);
      this.#fit(known);
      return port;
    }
    const listener = this.#stack.listen(address, port, room, ipv6Only);
    if (listener < 0) return listener;
    const chosen = this.#stack.listenerPort(listener);
    const number = (this.#lastNumber = (this.#lastNumber + 1) | 0);
    const group: Group = { number, key: keyOf(address, chosen, ipv6Only), listener, members: [], choose, joined: 0, turn: 0 };
    join(group, channel, request, room);
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
   * Gives a new connection of a stack's listener to an app thread; undefined where none has room in its backlog. It counts there
   * until `taken`.
   *
   * @param source see `hashOf`.
   */
  give(listener: number, source: number): Member | undefined {
    const group = this.#byListener.get(listener);
    if (group === undefined) return undefined;
    const best = group.choose(group, source);
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

function join(group: Group, channel: ServerChannel, request: number, backlog: number): void {
  group.members.push({ channel, request, backlog, group: group.number, place: group.joined++, untaken: 0 });
}

function hasRoom(member: Member): boolean {
  return member.untaken < member.backlog;
}

function leastConnections({ members }: Group): Member | undefined {
  let best: Member | undefined;
  for (let i = 0; i < members.length; i++) {
    const member = members[i];
    if (hasRoom(member) && (best === undefined || member.channel.flows < best.channel.flows)) best = member;
  }
  return best;
}

function roundRobin(group: Group): Member | undefined {
  const { members } = group;
  for (let tried = 0; tried < members.length; tried++) {
    const turn = group.turn % members.length;
    group.turn = turn + 1;
    if (hasRoom(members[turn])) return members[turn];
  }
  return undefined;
}

/** Rendezvous hashing: where a member goes or comes, only the sources that were or become its own have another one. */
function sourceHash({ members }: Group, source: number): Member | undefined {
  let best: Member | undefined;
  let most = -1;
  for (let i = 0; i < members.length; i++) {
    const weight = mix(source + Math.imul(members[i].place, 0x9e3779b9)) >>> 0;
    if (weight <= most || !hasRoom(members[i])) continue;
    best = members[i];
    most = weight;
  }
  return best;
}

/** A hash of an address of four words. */
export function hashOf(words: Int32Array, at: number): number {
  return mix(mix(mix(mix(words[at]) + words[at + 1]) + words[at + 2]) + words[at + 3]);
}

/** The finalizer of MurmurHash3: every bit of the word changes half of the result's. */
function mix(word: number): number {
  word = Math.imul(word ^ (word >>> 16), 0x85ebca6b);
  word = Math.imul(word ^ (word >>> 13), 0xc2b2ae35);
  return word ^ (word >>> 16);
}

function keyOf(address: Int32Array, port: number, ipv6Only: boolean): string {
  return `${address.join('.')}:${port}${ipv6Only ? ' IPv6 only' : ''}`;
}

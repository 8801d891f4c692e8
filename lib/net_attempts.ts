/**
 * An active open from its host to its connection: the lookup of a name, the choice of who carries the connection, and the
 * addresses tried one after another until one answers, as `node:net` does it (its form of Happy Eyeballs, RFC 8305).
 */
import dns from 'node:dns';
import type { LookupAddress } from 'node:dns';
import { isIP } from 'node:net';
import { allAttemptsFailed, bindError, connectError, connectionTimeout, invalidAddress, invalidFamily } from './errors.js';
import type { NetError } from './errors.js';
import type { ConnectPlan, LookupFunction } from './net_connect.js';
import type { SocketFlow } from './net_flow.js';
import { carriesConnect } from './net_rules.js';
import { EADDRINUSE, EADDRNOTAVAIL, EINVAL, ETIMEDOUT } from './tcp/errno.js';

/** What is wrong with the place to connect from, where one was named: errors of `bind`, as with the kernel. */
const BIND_ERRORS: ReadonlySet<number> = new Set([EADDRINUSE, EADDRNOTAVAIL, EINVAL]);

/** What the search needs of its socket. */
export interface ConnectingSocket {
  _attempts: ConnectAttempts | null;
  autoSelectFamilyAttemptedAddresses?: string[];
  emit(event: string, ...args: unknown[]): boolean;
  destroy(error?: Error): unknown;
  /** The idle time begins anew. */
  _touch(): void;
  /** The kernel is to carry this connection. */
  _useKernel(options: Record<string, unknown>): void;
}

export class ConnectAttempts {
  private readonly socket: ConnectingSocket;
  private readonly link: SocketFlow;
  private readonly plan: ConnectPlan;
  /** What is to be tried, in this order, and how many of them were. */
  private targets: LookupAddress[] = [];
  private tried = 0;
  private readonly errors: Error[] = [];
  /** 'connectionAttempt' of the current one is still to be emitted. */
  private unannounced = false;
  private timer: NodeJS.Timeout | undefined;

  constructor(socket: ConnectingSocket, link: SocketFlow, plan: ConnectPlan) {
    this.socket = socket;
    this.link = link;
    this.plan = plan;
  }

  /** The socket still waits for this search. */
  private get wanted(): boolean {
    return this.socket._attempts === this;
  }

  /** Looks the host up where it is a name; the rest follows. */
  begin(): void {
    const { host, family } = this.plan;
    const known = isIP(host);
    if (known !== 0) {
      process.nextTick(() => this.tryAll([{ address: host, family: known }]));
      return;
    }
    if (family !== 4 && family !== 6 && this.plan.localAddress === undefined && this.plan.autoSelectFamily) this.findAll();
    else this.findOne();
  }

  /** Ends the search: the socket was connected, or is to be no more. */
  end(): void {
    clearTimeout(this.timer);
    if (this.wanted) this.socket._attempts = null;
  }

  // ---- the lookup

  private get lookup(): LookupFunction {
    return this.plan.lookup ?? (dns.lookup as LookupFunction);
  }

  private get hints(): number {
    const { family, hints } = this.plan;
    return hints === 0 && family !== 4 && family !== 6 ? dns.ADDRCONFIG : hints;
  }

  private findOne(): void {
    const { host, port, family } = this.plan;
    this.lookup(host, { family: family as number, hints: this.hints }, (error, found, givenFamily) => {
      const address = found as string;
      if (this.wanted && !error && isIP(address) !== 0 && !carriesConnect(address, port)) {
        this.leave(error, found, givenFamily);
        return;
      }
      this.socket.emit('lookup', error, address, givenFamily, host);
      if (!this.wanted) return;
      if (error) this.failSoon(error);
      else if (isIP(address) === 0) this.failSoon(invalidAddress(address));
      else if (givenFamily !== 4 && givenFamily !== 6) this.failSoon(this.wrongFamily(givenFamily));
      else this.tryAll([{ address, family: givenFamily }]);
    });
  }

  private findAll(): void {
    const { host, port, family } = this.plan;
    this.lookup(host, { family: family as number, hints: this.hints, all: true }, (error, answer) => {
      if (!this.wanted) return;
      if (error) {
        this.socket.emit('lookup', error, undefined, undefined, host);
        this.failSoon(error);
        return;
      }
      const found = answer as LookupAddress[];
      const [first] = distinct(found);
      if (first !== undefined && !carriesConnect(first.address, port)) {
        this.leave(error, answer);
        return;
      }
      for (const entry of found) {
        this.socket.emit('lookup', error, entry.address, entry.family, host);
        if (!this.wanted) return;
      }
      if (first !== undefined) this.tryAll(byTurns(distinct(found).filter(({ address }) => carriesConnect(address, port))));
      else if (isIP(found[0]?.address ?? '') === 0) this.failSoon(invalidAddress(found[0]?.address));
      else this.failSoon(this.wrongFamily(found[0]?.family));
    });
  }

  private wrongFamily(family: unknown): Error {
    return invalidFamily(family, this.plan.host, this.plan.options.port);
  }

  /** The kernel is to carry the connection: Node's own `connect` goes on with what the lookup found. */
  private leave(error: NodeJS.ErrnoException | null, found: string | LookupAddress[], family?: number): void {
    const lookup: LookupFunction = (_host, _options, callback) => callback(error, found, family);
    this.end();
    this.socket._useKernel({ ...this.plan.options, lookup });
  }

  /** The caller of `connect` has had no chance to listen yet where the lookup answered at once. */
  private failSoon(error: Error): void {
    process.nextTick(() => {
      if (this.wanted) this.socket.destroy(error);
    });
  }

  // ---- the attempts

  private tryAll(targets: LookupAddress[]): void {
    if (!this.wanted) return;
    this.targets = targets;
    if (targets.length > 1) this.socket.autoSelectFamilyAttemptedAddresses = [];
    this.socket._touch();
    this.tryNext();
  }

  private tryNext(): void {
    const { socket, plan } = this;
    clearTimeout(this.timer);
    const target = this.targets[this.tried];
    if (target === undefined) {
      socket.destroy(this.errors.length === 0 ? connectionTimeout() : allAttemptsFailed(this.errors));
      return;
    }
    this.tried++;
    const { address } = target;
    this.unannounced = true;
    // Whether the place to connect from can be had is known with the answer; in Node there is no attempt without it.
    if (!this.bound) this.announce();
    if (!this.wanted) return;
    if (this.targets.length > 1) socket.autoSelectFamilyAttemptedAddresses?.push(`${address}:${plan.port}`);
    this.link.connect(address, plan.port, plan.localAddress, plan.localPort);
    if (this.tried < this.targets.length) this.timer = setTimeout(() => this.expire(), plan.attemptTimeout);
  }

  private announce(): void {
    if (!this.unannounced) return;
    this.unannounced = false;
    const { address, family } = this.current;
    this.socket.emit('connectionAttempt', address, this.plan.port, family);
  }

  /** The attempt has succeeded. */
  opened(): void {
    this.announce();
    this.end();
  }

  /** The attempt has taken its time: the next has its turn. */
  private expire(): void {
    const { address, family } = this.current;
    this.announce();
    this.link.cancel();
    this.errors.push(connectError(ETIMEDOUT, address, this.plan.port, this.local(family)));
    this.socket.emit('connectionAttemptTimeout', address, this.plan.port, family);
    if (this.wanted) this.tryNext();
  }

  /** The attempt has failed. */
  refused(errno: number): void {
    const { address, family } = this.current;
    const error = this.bound && BIND_ERRORS.has(errno) ? this.bindFault(errno) : connectError(errno, address, this.plan.port, this.local(family));
    if (error.syscall !== 'bind') {
      this.announce();
      this.socket.emit('connectionAttemptFailed', address, this.plan.port, family, error);
    }
    if (!this.wanted) return;
    if (this.targets.length === 1) {
      this.socket.destroy(error);
      return;
    }
    this.errors.push(error);
    this.tryNext();
  }

  private get current(): LookupAddress {
    return this.targets[this.tried - 1] as LookupAddress;
  }

  /** The socket is to connect from a place that was named. */
  private get bound(): boolean {
    return this.plan.localAddress !== undefined || this.plan.localPort !== undefined;
  }

  private bindFault(errno: number): NetError {
    const { localAddress, localPort } = this.plan;
    return bindError(errno, localAddress ?? anyAddress(this.current.family), localPort);
  }

  private local(family: number): { address: string; port: number } | undefined {
    const { localAddress, localPort } = this.plan;
    return localPort === undefined ? undefined : { address: localAddress ?? anyAddress(family), port: localPort };
  }
}

function anyAddress(family: number): string {
  return family === 6 ? '::' : '0.0.0.0';
}

/** The entries that are addresses, each once. */
function distinct(found: readonly LookupAddress[]): LookupAddress[] {
  const seen = new Set<string>();
  const kept: LookupAddress[] = [];
  for (const { address, family } of found) {
    if (isIP(address) === 0 || (family !== 4 && family !== 6) || seen.has(address)) continue;
    seen.add(address);
    kept.push({ address, family });
  }
  return kept;
}

/** One of each family by turns; the family of the first begins. */
function byTurns(targets: readonly LookupAddress[]): LookupAddress[] {
  const first = targets.filter(({ family }) => family === targets[0]?.family);
  const second = targets.filter(({ family }) => family !== targets[0]?.family);
  const turns = Array.from({ length: Math.max(first.length, second.length) }, (_, turn) => [first[turn], second[turn]]);
  return turns.flat().filter((target) => target !== undefined);
}

/** A thread's channel for its blocking sockets, and how a call of theirs waits: by the clock, asleep. */
import { TcpServerError, invalidType, outOfRange, serverEnded } from './errors.js';
import type { AppPort } from './runtime/app_port.js';
import { openPortOrStart } from './server.js';

/** The option of every call that waits. */
export interface TimeoutOptions {
  /** Waits so long at most, ms; 0: not at all; Infinity: without a bound. Default: the `timeout` of the socket or server. */
  timeout?: number;
}

/**
 * A channel of its own, so that no callback of the thread's other sockets runs within a call that waits. No event loop is kept alive for it:
 * what has happened is of interest when the next call looks.
 */
export class SyncPort {
  readonly channel: AppPort;
  /** Somebody has closed the TCP server: it did not end by itself. */
  private closed = false;

  constructor(channel: AppPort) {
    this.channel = channel;
    channel.onEnd((error) => { this.closed = error === null; });
  }

  /** What was asked for leaves now: the thread may not come back for long. */
  submit(): void {
    this.channel.poll();
  }

  /**
   * Blocks until `ready`, looking at it at least once.
   *
   * @param until time on `performance.now()`. @returns false where the time is over.
   * @throws TcpServerError where the TCP server has ended.
   */
  wait(ready: () => boolean, until: number): boolean {
    const { channel } = this;
    channel.poll();
    for (;;) {
      this.check();
      if (ready()) return true;
      const left = until - performance.now();
      if (left <= 0) return false;
      channel.wait(left);
    }
  }

  /** @throws TcpServerError where the TCP server has ended. */
  check(): void {
    const { alive, failure } = this.channel;
    if (alive) return;
    if (!this.closed) throw serverEnded(failure);
    throw new TcpServerError('ERR_TCP_SERVER_CLOSED', 'The TCP server was closed, and every connection and listener with it');
  }
}

let current: SyncPort | null = null;

/** This thread's channel; where it has none, or that of a TCP server that has ended, it is opened. @throws TcpServerError. */
export function syncPort(): SyncPort {
  current?.submit();
  if (current?.channel.alive !== true) current = new SyncPort(openPortOrStart());
  return current;
}

/** The time that a call may take, ms. @throws TypeError, RangeError where that is none. */
export function timeoutOf(options: unknown, preset: number): number {
  checkObject(options);
  const { timeout = preset } = (options ?? {}) as TimeoutOptions;
  if (typeof timeout !== 'number') throw invalidType('options.timeout', ['number'], timeout);
  if (!(timeout >= 0)) throw outOfRange('options.timeout', '>= 0, in milliseconds', timeout, 'Infinity waits without a bound');
  return timeout;
}

/** @throws TypeError where the options are neither left out nor an object: a number in their place would be passed over. */
export function checkObject(options: unknown): void {
  if (options !== undefined && (typeof options !== 'object' || options === null)) throw invalidType('options', ['Object'], options);
}

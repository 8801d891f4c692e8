/** How a thread takes a place at its TCP servers: a channel of the same number at each of them. */
import { readlinkSync } from 'node:fs';
import { CHANNEL_CLAIMED, CHANNEL_FREE, CH_STATE, CLAIM_SHIFT, CTRL_STATE, CTRL_STOP, CTRL_VERSION, LAYOUT_VERSION, STATE_DEAD } from './layout.js';
import type { Layout } from './layout.js';

/** Why a thread cannot be attached. */
export class AttachError extends Error {
  readonly reason: 'version' | 'ended' | 'full';

  constructor(reason: AttachError['reason'], message: string) {
    super(message);
    this.reason = reason;
  }
}

/**
 * Claims a channel for the thread `tid`, of the same number at each of the TCP servers. Returns its number.
 *
 * @param servers the memory of each. @throws AttachError where one of them is no more or of another version, or all channels are taken.
 */
export function claimChannel(servers: readonly Int32Array[], layout: Layout, tid: number): number {
  servers.forEach(requireServer);
  const claimed = CHANNEL_CLAIMED | (tid << CLAIM_SHIFT);
  for (let number = 0; number < layout.sizes.maxApps; number++) {
    const at = layout.channelBase(number) + CH_STATE;
    const refused = servers.findIndex((words) => Atomics.compareExchange(words, at, CHANNEL_FREE, claimed) !== CHANNEL_FREE);
    if (refused < 0) return number;
    // One of them is not through with who had it before.
    for (const words of servers.slice(0, refused)) Atomics.store(words, at, CHANNEL_FREE);
  }
  const most = layout.sizes.maxApps;
  throw new AttachError('full', `All ${most} places for app threads of the TCP server are taken: start it with a larger maxApps`);
}

function requireServer(words: Int32Array): void {
  if (words[CTRL_VERSION] !== LAYOUT_VERSION) {
    throw new AttachError('version', 'The TCP server was started by another version of tcp-offload: let all threads load the same one');
  }
  if (Atomics.load(words, CTRL_STATE) === STATE_DEAD || Atomics.load(words, CTRL_STOP) !== 0) {
    throw new AttachError('ended', 'The TCP server has ended: call `await TcpServer.start()` again');
  }
}

/** Kernel's number of the calling thread, by which the TCP server finds out that it is no more. */
export function ownThreadId(): number {
  return Number(readlinkSync('/proc/thread-self').split('/').pop());
}

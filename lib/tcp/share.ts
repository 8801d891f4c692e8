/**
 * Several stacks behind the same addresses: which of them has a connection. It follows from the two ports alone, either way round, so that both ends
 * of a connection of this host to itself are in one stack, that the choice is the same in a filter of the kernel (lib/nic/share_filter.ts), and that
 * who opens a connection can choose it by the local port.
 */

/** Of one stack among several. */
export interface Share {
  /** Which of them it is, from 0. The first one also answers for what is no connection's: ARP, neighbour discovery, echoes, closed UDP ports. */
  readonly index: number;
  readonly count: number;
  /** An odd number of 32 bits that peers cannot guess: who knew it could choose ports so that one stack has all the work. */
  readonly key: number;
}

/** All there is, in one stack. */
export const WHOLE: Share = { index: 0, count: 1, key: 1 };

/** The index of the stack that has connections between these two ports. The upper half of a product: every bit of the ports takes part in it. */
export function shareOf(port: number, otherPort: number, count: number, key: number): number {
  return (Math.imul(port ^ otherPort, key) >>> 16) % count;
}

/** True where a stack with this share has connections between these two ports. */
export function isOfShare(share: Share, port: number, otherPort: number): boolean {
  return share.count === 1 || shareOf(port, otherPort, share.count, share.key) === share.index;
}

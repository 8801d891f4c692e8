/** The queue of events: a list of the flows that something has happened to, each with a bit for what has. */
import type { NetError, TcpServerError } from './errors.js';
import type { MemNetEvents, MemNetEventType } from './memnet_api.js';
import type { MemFlow } from './memnet_flow.js';

export const ACCEPT = 1;
export const CONNECT = 2;
export const READABLE = 4;
export const ACKNOWLEDGED = 8;
export const WRITABLE = 16;
export const SENT = 32;
export const ERROR = 64;
export const CLOSE = 128;

/** By the number of the bit. */
const TYPES: readonly MemNetEventType[] = ['accept', 'connect', 'readable', 'acknowledged', 'writable', 'sent', 'error', 'close'];

export class EventQueue<Context> implements MemNetEvents<Context> {
  type: MemNetEventType = 'close';
  /** Before the first event there is none. */
  flow = null as unknown as MemFlow<Context>;
  #first: MemFlow<Context> | null = null;
  #last: MemFlow<Context> | null = null;

  get isEmpty(): boolean {
    return this.#first === null;
  }

  get error(): NetError | TcpServerError | null {
    return this.type === 'error' ? this.flow._error() : null;
  }

  next(): boolean {
    for (let flow = this.#first; flow !== null; flow = this.#first) {
      const bit = flow._due & -flow._due;
      if (bit !== 0) {
        flow._due ^= bit;
        if (!flow._holds(bit)) continue;
        this.type = TYPES[31 - Math.clz32(bit)] as MemNetEventType;
        this.flow = flow;
        return true;
      }
      this.#first = flow._behind;
      if (flow._behind === null) this.#last = null;
      flow._behind = null;
      flow._queued = false;
    }
    return false;
  }

  /** Something has happened to the flow. */
  add(flow: MemFlow<Context>, bit: number): void {
    flow._due |= bit;
    if (flow._queued) return;
    flow._queued = true;
    if (this.#last === null) this.#first = flow;
    else this.#last._behind = flow;
    this.#last = flow;
  }
}

/** What the TCP server knows of each flow beyond TCP: which channel holds it, and what that app thread must still be told. */

/** The flow was handed to an app thread and COMPLETE_ACCEPT has not been pushed yet. */
export const LEVEL_ACCEPT = 1;
export const LEVEL_CONNECTED = 2;
export const LEVEL_EOF = 4;
export const LEVEL_ERROR = 8;
/** TCP is done with both directions. */
export const LEVEL_OVER = 16;
/** The stack has no more use for the flow; the index is recycled once the app has let go too. */
export const LEVEL_FREED = 32;
/** The app has let go. */
export const LEVEL_RELEASED = 64;
/** The app counts in the backlog until it says that it has taken the flow over. */
export const LEVEL_UNTAKEN = 128;
/** The app waits for room in its send buffer. */
export const LEVEL_WAITING = 256;
export const LEVEL_ENDED = 512;
export const LEVEL_NO_DELAY = 1024;
export const LEVEL_KEEP_ALIVE = 2048;
/** In the channel's list of flows to tell of, and whether to wake for it. */
export const LEVEL_DIRTY = 4096;
export const LEVEL_URGENT = 8192;
export const LEVEL_CORK = 16384;
/** The errno is what reading a file gave. */
export const LEVEL_FILE_ERROR = 32768;

const NONE = -1;

export class ServerFlows {
  /** Channel that holds the flow, or -1. */
  readonly owner: Int32Array;
  readonly generation: Int32Array;
  /** LEVEL_* bits. */
  readonly level: Int32Array;
  /** Next flow in the channel's list of flows to tell of. */
  readonly next: Int32Array;
  /** Errno of LEVEL_ERROR. */
  readonly errno: Int32Array;
  /** Positions as last seen: written and consumed by the app, acknowledged as told to it. */
  readonly written: Int32Array;
  readonly consumed: Int32Array;
  readonly toldAcknowledged: Int32Array;
  /** The app's number of the listener that an accepted flow came by. */
  readonly listener: Int32Array;
  /** Number of the group of listeners (server_listeners.ts) that a flow with LEVEL_UNTAKEN counts at. */
  readonly group: Int32Array;

  constructor(maxFlows: number) {
    this.owner = new Int32Array(maxFlows).fill(NONE);
    this.generation = new Int32Array(maxFlows);
    this.level = new Int32Array(maxFlows);
    this.next = new Int32Array(maxFlows);
    this.errno = new Int32Array(maxFlows);
    this.written = new Int32Array(maxFlows);
    this.consumed = new Int32Array(maxFlows);
    this.toldAcknowledged = new Int32Array(maxFlows);
    this.listener = new Int32Array(maxFlows);
    this.group = new Int32Array(maxFlows);
  }

  /** The flow now belongs to `channel`. */
  bind(flow: number, channel: number, generation: number, level: number, listener: number): void {
    this.owner[flow] = channel;
    this.generation[flow] = generation;
    this.level[flow] = level;
    this.errno[flow] = 0;
    this.written[flow] = 0;
    this.consumed[flow] = 0;
    this.toldAcknowledged[flow] = 0;
    this.listener[flow] = listener;
  }

  unbind(flow: number): void {
    this.owner[flow] = NONE;
    this.level[flow] = 0;
  }
}

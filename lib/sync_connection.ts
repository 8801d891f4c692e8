/** A flow of blocking sockets, and what has become of it: its callbacks only take note, and calls that wait look. */
import type { FlowHandler } from './runtime/app_api.js';
import type { ChannelFlow } from './runtime/app_flow.js';

export class Connection implements FlowHandler {
  /** Set right after construction: the flow of a connect is made with its handler. */
  flow!: ChannelFlow;
  opened = false;
  /** Why it is dead; 0: it is not. */
  errno = 0;
  /** Both directions are over, and everything was read. */
  over = false;
  /** The connections that wait for `accept`, while this is one of them. */
  queue: Set<Connection> | null = null;
  /** No write has found the send buffer full since it was last told that there is room. */
  private room = true;

  /** A read would not wait. */
  get readable(): boolean {
    return this.flow.readableLength > 0 || this.flow.ended || this.dead;
  }

  /** A write of one byte would not wait. Where it would, the TCP server is asked to tell of room. */
  get writable(): boolean {
    if (this.dead || this.flow.writesNoMore) return true;
    if (!this.room) return false;
    this.room = this.flow.reserve(1) > 0;
    if (this.room) this.flow.commit(0);
    return this.room;
  }

  /** It carries nothing any more, except for what waits to be read. */
  get dead(): boolean {
    return this.errno !== 0 || this.over;
  }

  onConnect(): void {
    this.opened = true;
  }

  onReadable(): void {
    // `readable` looks at the flow.
  }

  onWritable(): void {
    this.room = true;
  }

  onDrained(): void {
    // Nobody waits for it.
  }

  onError(errno: number): void {
    this.errno = errno;
  }

  onClose(): void {
    this.over = true;
    // Reset before it was accepted: as nothing of it waits, nobody need hear of it, and it counts in the backlog no more.
    this.queue?.delete(this);
  }
}

/** A flow of the whole product as a connection of a socket: what an app thread sees of it, and nothing else. */
import { CLOSE_WAIT, CLOSING, ESTABLISHED, FIN_RECEIVED, FIN_WAIT_1, LAST_ACK } from '../lib/tcp/conn/state.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';
import type { FlowHandler } from '../lib/runtime/app_api.js';
import type { ChannelFlow } from '../lib/runtime/app_flow.js';
import type { FullNetwork } from './full_network.js';
import type { Link, LinkOptions, LinkOwner } from './link.js';
import { tcpInfo } from './tcp_info.js';

const NOBODY: LinkOwner = { connected() { /* nobody waits */ }, failed() { /* nobody waits */ }, closed() { /* nobody waits */ } };

export class FullLink implements Link, FlowHandler {
  owner: LinkOwner = NOBODY;
  /** Set by whoever makes the link. */
  flow!: ChannelFlow;
  readonly #network: FullNetwork;
  /** Taken from the flow to be looked at, and not read yet. */
  #peeked: Buffer = Buffer.alloc(0);
  #cork = false;
  /** The flow is over, and its record may be somebody else's. */
  #gone = false;
  #failed = false;

  constructor(network: FullNetwork) {
    this.#network = network;
  }

  get remoteAddress(): string {
    return this.flow.remoteAddress;
  }

  get remotePort(): number {
    return this.flow.remotePort;
  }

  get available(): number {
    return this.#peeked.length + this.flow.readableLength;
  }

  /** The flow's record, read in place; null where it has none. */
  get #tcb(): Tcb | null {
    const { index, generation } = this.flow;
    if (index < 0) return null;
    const tcb = this.#network.tcb.at(index);
    return tcb.generation === generation ? tcb : null;
  }

  get ended(): boolean {
    return (this.#gone && !this.#failed) || this.flow.ended || (this.#tcb?.has(FIN_RECEIVED) ?? false);
  }

  get unacknowledged(): number {
    return this.flow.unacknowledged;
  }

  get writable(): boolean {
    return !this.#gone && 2 * this.flow.unacknowledged < this.#network.sendBuffer;
  }

  get closing(): boolean {
    const state = this.#tcb?.state ?? 0;
    // The first two: the TCP server has not heard of the close yet.
    return state === ESTABLISHED || state === CLOSE_WAIT || state === FIN_WAIT_1 || state === CLOSING || state === LAST_ACK;
  }

  get mss(): number {
    return this.#tcb?.sndMss ?? 0;
  }

  read(most: number, peek: boolean): Uint8Array {
    if (this.#peeked.length < most) {
      const more = this.flow.read(most - this.#peeked.length);
      if (more !== null) this.#peeked = Buffer.concat([this.#peeked, more]);
    }
    const bytes = this.#peeked.subarray(0, most);
    if (!peek) this.#peeked = this.#peeked.subarray(bytes.length);
    return bytes;
  }

  write(bytes: Uint8Array, more: boolean, waited: boolean): number {
    if (this.#gone || (waited && !this.writable)) return 0;
    const room = Math.max(this.#network.sendBuffer - this.flow.unacknowledged, 0);
    this.flow.setCork(more || this.#cork);
    return this.flow.write(bytes, 0, Math.min(bytes.length, room));
  }

  taken(): void {
    // The app thread has it from the moment on that it is established.
  }

  shutdown(): void {
    this.flow.end();
  }

  abort(): void {
    this.flow.reset();
  }

  release(): void {
    // What was only looked at is unread.
    if (this.#peeked.length > 0) this.flow.reset();
    else this.flow.close();
  }

  apply(options: LinkOptions, name: string): void {
    const { flow } = this;
    const is = (...names: string[]): boolean => name === '' || names.includes(name);
    if (is('TCP_NODELAY')) flow.setNoDelay(options.noDelay);
    if (is('TCP_CORK')) flow.setCork((this.#cork = options.cork));
    if (is('TCP_USER_TIMEOUT')) flow.setUserTimeout(options.userTimeout);
    if (is('TCP_LINGER2')) flow.setFinWait(options.linger2 * 1000);
    if (is('IP_TOS')) flow.setTrafficClass(options.trafficClass);
    if (is('SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT')) {
      flow.setKeepAlive(options.keepAlive, options.keepIdle * 1000, options.keepInterval * 1000, options.keepCount);
    }
  }

  info(): Uint8Array | null {
    const tcb = this.#tcb;
    return tcb === null ? null : tcpInfo(tcb, this.#network.limits, this.#network.elapsed());
  }

  // ---- what the flow tells

  onConnect(): void {
    this.owner.connected();
    this.#network.changed();
  }

  onReadable(): void {
    this.#network.changed();
  }

  onWritable(): void {
    this.#network.changed();
  }

  onDrained(): void {
    this.#network.changed();
  }

  onError(errno: number): void {
    this.#failed = true;
    this.owner.failed(errno);
    this.#network.changed();
  }

  onClose(): void {
    this.#gone = true;
    this.owner.closed();
    this.#network.changed();
  }
}

/** A flow of the bare stack as a connection of a socket. */
import {
  CLOSED, CLOSING, FIN_QUEUED, FIN_RECEIVED, FIN_WAIT_1, LAST_ACK,
} from '../lib/tcp/conn/state.js';
import { formatAddress } from '../lib/tcp/wire/address.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';
import type { Link, LinkOptions, LinkOwner } from './link.js';
import type { StackNetwork } from './stack_network.js';
import { tcpInfo } from './tcp_info.js';

/** MSS for arithmetic before there is one. */
const MSS_DEFAULT = 536;
/** Send buffer of a socket that has set none: twice the congestion window, in these bytes a segment (Linux's, overhead included). */
const BUFFER_PER_SEGMENT = 4352;
const SEGMENTS_LEAST = 10;

const NOBODY: LinkOwner = { connected() { /* nobody waits */ }, failed() { /* nobody waits */ }, closed() { /* nobody waits */ } };

export class StackLink implements Link {
  owner: LinkOwner = NOBODY;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #network: StackNetwork;
  readonly #flow: number;
  readonly #sendBufferMax: number;
  #sendBuffer = 0;
  /** End of what the socket has written. */
  #written = 0;
  /** The record is somebody else's now. */
  #freed = false;

  constructor(network: StackNetwork, flow: number, sendBufferMax: number) {
    this.#network = network;
    this.#flow = flow;
    this.#sendBufferMax = sendBufferMax;
    const tcb = this.#tcb;
    this.remoteAddress = formatAddress(tcb.words, tcb.remoteAt);
    this.remotePort = tcb.remotePort;
  }

  get #tcb(): Tcb {
    return this.#network.stack.tcb.at(this.#flow);
  }

  get available(): number {
    return this.#freed ? 0 : (this.#tcb.received - this.#tcb.consumed) | 0;
  }

  get ended(): boolean {
    return this.#freed || this.#tcb.has(FIN_RECEIVED);
  }

  get unacknowledged(): number {
    return this.#freed ? 0 : (this.#written - this.#tcb.acknowledged) | 0;
  }

  get room(): number {
    if (this.#freed) return 0;
    return Math.max(this.#bufferBytes() - this.unacknowledged, 0);
  }

  #bufferBytes(): number {
    if (this.#sendBuffer > 0) return this.#sendBuffer;
    const segments = Math.max(SEGMENTS_LEAST, Math.floor(this.#tcb.cwnd / this.#segment));
    return Math.min(2 * segments * BUFFER_PER_SEGMENT, this.#sendBufferMax);
  }

  get closing(): boolean {
    if (this.#freed) return false;
    const { state } = this.#tcb;
    return state === FIN_WAIT_1 || state === CLOSING || state === LAST_ACK;
  }

  get mss(): number {
    return this.#freed ? 0 : this.#tcb.sndMss;
  }

  get #segment(): number {
    return this.mss > 0 ? this.mss : MSS_DEFAULT;
  }

  read(most: number, peek: boolean): Uint8Array {
    const { stack, memory } = this.#network;
    const from = this.#tcb.consumed;
    const length = Math.min(most, this.available);
    if (length <= 0) return new Uint8Array(0);
    const bytes = memory.get(this.#flow, from, length);
    if (peek) return bytes;
    const position = (from + length) | 0;
    memory.consumed(this.#flow, position);
    if (this.#tcb.state !== CLOSED) stack.consume(this.#flow, position);
    else this.#tcb.consumed = position;
    return bytes;
  }

  write(bytes: Uint8Array, more: boolean): number {
    if (this.#freed) return 0;
    const count = this.#network.memory.put(this.#flow, this.#written, bytes.subarray(0, this.room));
    this.#written = (this.#written + count) | 0;
    this.#network.stack.write(this.#flow, this.#written, more);
    return count;
  }

  shutdown(): void {
    if (!this.#freed && !this.#tcb.has(FIN_QUEUED)) this.#network.stack.shutdown(this.#flow);
  }

  abort(): void {
    if (!this.#freed) this.#network.stack.abort(this.#flow);
  }

  release(): void {
    if (!this.#freed) this.#network.stack.release(this.#flow);
  }

  apply(options: LinkOptions, name: string): void {
    this.#sendBuffer = options.sendBuffer;
    if (this.#freed) return;
    const { stack } = this.#network;
    const flow = this.#flow;
    const is = (...names: string[]): boolean => name === '' || names.includes(name);
    if (is('TCP_NODELAY')) stack.setNoDelay(flow, options.noDelay);
    if (is('TCP_CORK')) stack.setCork(flow, options.cork);
    if (is('TCP_USER_TIMEOUT')) stack.setUserTimeout(flow, options.userTimeout);
    if (is('TCP_LINGER2')) stack.setFinWait(flow, options.linger2 * 1000);
    if (is('TCP_MAXSEG') && options.maxSegment > 0) stack.setMaxSegment(flow, options.maxSegment);
    if (is('IP_TOS')) stack.setTrafficClass(flow, options.trafficClass);
    if (is('SO_RCVBUF') && options.receiveBuffer > 0) stack.setReceiveBuffer(flow, options.receiveBuffer);
    if (is('SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT')) {
      stack.setKeepAlive(flow, options.keepAlive, options.keepIdle * 1000, options.keepInterval * 1000, options.keepCount);
    }
  }

  info(): Uint8Array | null {
    return this.#freed ? null : tcpInfo(this.#tcb, this.#network.stack.limits, this.#network.elapsed());
  }

  /** The stack is done with the record. */
  freed(): void {
    this.#freed = true;
  }
}

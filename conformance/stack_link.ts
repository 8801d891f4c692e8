/** A flow of the bare stack as a connection of a socket. */
import {
  CLOSED, CLOSING, ESTABLISHED, FIN_QUEUED, FIN_RECEIVED, FIN_WAIT_1, LAST_ACK, SCALING_ON,
} from '../lib/tcp/conn/state.js';
import { formatAddress, isMapped } from '../lib/tcp/wire/address.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';
import type { Link, LinkOptions, LinkOwner } from './link.js';
import { FlowMeter } from './flow_meter.js';
import type { ReceiveQueue } from './receive_queue.js';
import type { SendQueue } from './send_queue.js';
import { WINDOW_SHARE } from './settings.js';
import { MTU } from './stack_network.js';
import type { StackNetwork } from './stack_network.js';
import { tcpInfo } from './tcp_info.js';

/** MSS for arithmetic before there is one. */
const MSS_DEFAULT = 536;
/** Of IP and TCP, without options. */
const HEADERS_4 = 40;
const HEADERS_6 = 60;

const NOBODY: LinkOwner = { connected() { /* nobody waits */ }, failed() { /* nobody waits */ }, closed() { /* nobody waits */ } };

export class StackLink implements Link {
  owner: LinkOwner = NOBODY;
  readonly remoteAddress: string;
  readonly remotePort: number;
  readonly #network: StackNetwork;
  readonly #flow: number;
  readonly #queue: SendQueue;
  readonly #received: ReceiveQueue;
  readonly #meter: FlowMeter;
  /** A call could not write all that it wanted, and the buffer has not been writable since. */
  #starved = false;
  /** Bytes acknowledged; as places of the queue it does not wrap. */
  #acknowledged = 0;
  /** Text that the receive buffer holds at least, and what the stack was last told that it does; 0 before the connection is established. */
  #bufferLeast = 0;
  #buffer = 0;
  /** The record is somebody else's now. */
  #freed = false;

  constructor(network: StackNetwork, flow: number, queue: SendQueue, received: ReceiveQueue) {
    this.#network = network;
    this.#flow = flow;
    this.#queue = queue;
    this.#received = received;
    this.#meter = new FlowMeter(network.now());
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
    return this.#freed ? 0 : ((this.#queue.written | 0) - this.#tcb.acknowledged) | 0;
  }

  get writable(): boolean {
    return !this.#freed && this.#queue.writable;
  }

  /** Looks at what has changed in a turn. */
  look(): void {
    if (this.#freed) return;
    const before = this.#acknowledged;
    this.#follow();
    if (this.#starved && this.#acknowledged > before) this.#makeRoom();
    this.#meter.look(this.#tcb, this.#starved, this.#network.now());
  }

  /** Bytes are through, and a writer had found the buffer full: it grows with the congestion window. */
  #makeRoom(): void {
    this.#queue.grow(this.#tcb.cwnd, this.#segment);
    if (this.#queue.writable) this.#starved = false;
  }

  /** Takes over how far the stream has come. Returns how much of it has left. */
  #follow(): number {
    const tcb = this.#tcb;
    this.#acknowledged += (tcb.acknowledged - (this.#acknowledged | 0)) | 0;
    const flight = tcb.state >= ESTABLISHED ? (tcb.sndNxt - tcb.sndUna) | 0 : 0;
    const sent = Math.min(this.#acknowledged + Math.max(flight, 0), this.#queue.written);
    this.#queue.advance(this.#acknowledged, sent);
    return sent;
  }

  /** Text has come that will be acknowledged next, in a packet of so many bytes. */
  stored(position: number, length: number, packet: number): void {
    if (!this.#begun()) return;
    const tcb = this.#tcb;
    const end = (position + length) | 0;
    // What is larger than the peer takes itself counts as several that were coalesced.
    const segment = Math.min(length, this.#announced, tcb.mssMost);
    this.#received.add(end, length, packet, segment, this.#announced);
    this.#offer(position === tcb.received ? end : tcb.received, tcb.consumed);
  }

  /** Tells the stack which window is to be offered, as things stand. */
  offer(): void {
    if (this.#begun()) this.#offer(this.#tcb.received, this.#tcb.consumed);
  }

  /** True once the connection is established: from then on Linux's window is offered. */
  #begun(): boolean {
    if (this.#freed) return false;
    if (this.#bufferLeast > 0) return true;
    const tcb = this.#tcb;
    if (tcb.state < ESTABLISHED) return false;
    this.#bufferLeast = tcb.rcvBuf;
    this.#buffer = tcb.rcvBuf;
    this.#received.begin((tcb.rcvAdv - tcb.irs - 1) | 0, this.#announced);
    this.#queue.grow(tcb.cwnd, this.#segment);
    return true;
  }

  #offer(received: number, consumed: number): void {
    const tcb = this.#tcb;
    // The stack has made room for a fast reader.
    if (tcb.rcvBuf > this.#buffer) this.#received.grow(tcb.rcvBuf);
    const shift = tcb.has(SCALING_ON) ? tcb.rcvWndShift : 0;
    const offered = this.#received.offer({
      told: Math.max((tcb.rcvAdv - tcb.lastAckSent) | 0, 0), shift, segment: tcb.rcvMss, shrinks: this.#network.stack.limits.windowShrinks,
    });
    this.#buffer = Math.max(this.#received.whole, this.#bufferLeast);
    tcb.rcvBuf = this.#buffer;
    this.#network.stack.settings.holdWindow(this.#flow, this.#buffer - ((received - consumed) | 0) - offered);
  }

  /** Largest segment that we announce. */
  get #announced(): number {
    const tcb = this.#tcb;
    const most = MTU - (isMapped(tcb.words, tcb.remoteAt) ? HEADERS_4 : HEADERS_6);
    return tcb.maxSegment > 0 ? Math.min(tcb.maxSegment, most) : most;
  }

  /** A packet of this connection has come, or is about to leave, with so many bytes of text. */
  counted(incoming: boolean, payload: number): void {
    if (incoming) this.#meter.arrived(payload, this.#network.now());
    else this.#meter.left(payload);
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
    this.#received.read(position);
    if (this.#begun()) this.#offer(this.#tcb.received, position);
    if (this.#tcb.state !== CLOSED) stack.consume(this.#flow, position);
    else this.#tcb.consumed = position;
    return bytes;
  }

  write(bytes: Uint8Array, more: boolean, waited: boolean): number {
    if (this.#freed || (waited && !this.#queue.writable)) return 0;
    const { memory, stack } = this.#network;
    let count = 0;
    while (count < bytes.length) {
      const sent = this.#follow();
      const from = this.#queue.written;
      const taken = this.#queue.take(bytes.length - count, sent, this.#segment, this.#tcb.sndWndMax);
      if (taken === 0) break;
      if (memory.put(this.#flow, from | 0, bytes.subarray(count, count + taken)) < taken) throw new Error('no memory for what is to be sent');
      count += taken;
      stack.write(this.#flow, this.#queue.written | 0, more);
      // A full chunk leaves, as far as it may, before the next one is begun.
      if (count < bytes.length) this.#network.transmit();
    }
    if (count < bytes.length) this.#starved = true;
    return count;
  }

  shutdown(): void {
    if (!this.#freed && !this.#tcb.has(FIN_QUEUED)) this.#network.stack.shutdown(this.#flow);
  }

  taken(): void {
    if (!this.#freed) this.#network.stack.taken(this.#flow);
  }

  abort(): void {
    if (!this.#freed) this.#network.stack.abort(this.#flow);
  }

  release(): void {
    if (!this.#freed) this.#network.stack.release(this.#flow);
  }

  apply(options: LinkOptions, name: string): void {
    if (options.sendBuffer > 0) this.#queue.fix(options.sendBuffer);
    if (this.#freed) return;
    const { stack } = this.#network;
    const flow = this.#flow;
    const is = (...names: string[]): boolean => name === '' || names.includes(name);
    if (is('TCP_NODELAY')) stack.settings.setNoDelay(flow, options.noDelay);
    if (is('TCP_CORK')) stack.settings.setCork(flow, options.cork);
    if (is('TCP_USER_TIMEOUT')) stack.settings.setUserTimeout(flow, options.userTimeout);
    if (is('TCP_LINGER2')) stack.settings.setFinWait(flow, options.linger2 * 1000);
    if (is('TCP_MAXSEG') && options.maxSegment > 0) stack.settings.setMaxSegment(flow, options.maxSegment);
    if (is('IP_TOS')) stack.settings.setTrafficClass(flow, options.trafficClass);
    if (is('SO_RCVBUF') && options.receiveBuffer > 0) {
      stack.settings.setReceiveBuffer(flow, options.receiveBuffer);
      this.#received.fix(WINDOW_SHARE * options.receiveBuffer);
      if (this.#bufferLeast > 0) this.#bufferLeast = options.receiveBuffer;
    }
    if (is('SO_KEEPALIVE', 'TCP_KEEPIDLE', 'TCP_KEEPINTVL', 'TCP_KEEPCNT')) {
      stack.settings.setKeepAlive(flow, options.keepAlive, options.keepIdle * 1000, options.keepInterval * 1000, options.keepCount);
    }
  }

  info(): Uint8Array | null {
    if (this.#freed) return null;
    const network = this.#network;
    const info = tcpInfo(this.#tcb, network.stack.limits, network.elapsed());
    this.#meter.fill(info, this.#tcb, MTU, this.#announced, network.now());
    return info;
  }

  /** The stack is done with the record. */
  freed(): void {
    this.#freed = true;
  }
}

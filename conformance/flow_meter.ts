/** What TCP_INFO tells of a flow and the stack does not count: packets, and the time in which something held the sender up. */
import { ESTABLISHED } from '../lib/tcp/conn/state.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';

/** What holds the sender up. */
const IDLE = 0;
const BUSY = 1;
const PEER_WINDOW = 2;
const SEND_BUFFER = 3;

export class FlowMeter {
  segmentsIn = 0;
  dataSegmentsIn = 0;
  segmentsOut = 0;
  dataSegmentsOut = 0;
  bytesOut = 0;
  /** When data last arrived, in µs; when the connection was made, where none has. */
  #dataAt: number;
  #acknowledgedAt: number;
  #received = 0;
  #state = 0;
  /** µs spent in each condition. */
  readonly #spent = [0, 0, 0, 0];
  #condition = IDLE;
  #since: number;

  constructor(now: number) {
    this.#dataAt = now;
    this.#acknowledgedAt = now;
    this.#since = now;
  }

  arrived(payload: number, now: number): void {
    this.segmentsIn++;
    this.#acknowledgedAt = now;
    if (payload > 0) this.dataSegmentsIn++;
  }

  left(payload: number): void {
    this.segmentsOut++;
    if (payload > 0) this.dataSegmentsOut++;
    this.bytesOut += payload;
  }

  /** Looks at the flow after each turn. @param starved a call waits for room in the send buffer. */
  look(t: Tcb, starved: boolean, now: number): void {
    const opened = this.#state < ESTABLISHED && t.state >= ESTABLISHED;
    if (opened || t.received !== this.#received) this.#dataAt = now;
    this.#state = t.state;
    this.#received = t.received;
    const flight = (t.sndNxt - t.sndUna) | 0;
    const unsent = t.state >= ESTABLISHED ? Math.max((t.iss + 1 + t.written - t.sndNxt) | 0, 0) : 0;
    let condition = IDLE;
    if (unsent > 0 && t.sndWnd - flight < Math.min(unsent, t.sndMss) && t.cwnd - flight >= t.sndMss) condition = PEER_WINDOW;
    else if (starved && unsent === 0) condition = SEND_BUFFER;
    else if (t.state >= ESTABLISHED && (flight > 0 || unsent > 0)) condition = BUSY;
    if (condition === this.#condition) return;
    this.#spent[this.#condition]! += now - this.#since;
    this.#condition = condition;
    this.#since = now;
  }

  /** Writes its fields of struct tcp_info. */
  fill(info: Uint8Array, t: Tcb, mtu: number, advertised: number, now: number): void {
    const view = new DataView(info.buffer, info.byteOffset, info.length);
    const put = (at: number, value: number): void => view.setUint32(at, Math.max(value, 0), true);
    const put64 = (at: number, value: number): void => view.setBigUint64(at, BigInt(Math.max(Math.round(value), 0)), true);
    const ms = (since: number): number => Math.floor((now - since) / 1000);
    const spent = (condition: number): number => this.#spent[condition]! + (this.#condition === condition ? now - this.#since : 0);
    put(52, ms(this.#dataAt));
    put(56, ms(this.#acknowledgedAt));
    put(60, mtu);
    put(84, advertised);
    put(136, this.segmentsOut);
    put(140, this.segmentsIn);
    put(148, t.minRtt);
    put(152, this.dataSegmentsIn);
    put(156, this.dataSegmentsOut);
    put64(168, spent(BUSY) + spent(PEER_WINDOW) + spent(SEND_BUFFER));
    put64(176, spent(PEER_WINDOW));
    put64(184, spent(SEND_BUFFER));
    put(192, Math.ceil((t.delivered >>> 0) / Math.max(t.sndMss, 1)));
    put64(200, this.bytesOut);
    put64(208, t.bytesRetransmitted >>> 0);
    put(216, t.dsacks);
    put(220, t.reorderings);
  }
}

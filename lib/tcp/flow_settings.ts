/**
 * How a flow is to behave, as its owner wants it: settings of the connection at hand, from `connect` or EV_ACCEPTED on. Those of a
 * flow that its owner has let go of, and that has ended, are not touched.
 */
import { BY_WINDOW } from './conn/cc/pacing.js';
import type { Core } from './conn/core.js';
import { setKeepAlive } from './conn/keepalive.js';
import { endOfText } from './conn/sender.js';
import { ESTABLISHED, HOLD_ANY, HOLD_CORK, NO_DELAY, REPORTS_ON, SWS_OVERRIDE, SYN_SENT, UNPUSHED } from './conn/state.js';
import { fixReceiveBuffer } from './conn/window.js';
import { TRAFFIC_CLASS_MASK } from './wire/ecn.js';

/** A day: what the clock of ticks can tell apart, with room to spare. */
const USER_TIMEOUT_MOST_MS = 86_400_000;
/** Largest bound of a pacing rate, bytes a second. */
const PACING_MOST = 0x7fff_ffff;

export class FlowSettings {
  readonly #core: Core;

  constructor(core: Core) {
    this.#core = core;
  }

  /** Switches Nagle's algorithm off (`on` true) or on. */
  setNoDelay(flow: number, on: boolean): void {
    const t = this.#core.take(flow);
    if (t === null) return;
    if (!on) {
      t.unmark(NO_DELAY);
      return;
    }
    t.mark(NO_DELAY);
    // What is held back goes now, once; the hold stands.
    if ((t.hold & HOLD_ANY) !== 0 && ((endOfText(t) - t.sndNxt) | 0) > 0) t.mark(SWS_OVERRIDE);
    if (t.state >= ESTABLISHED) this.#core.flows.touch(t);
  }

  /** Holds incomplete segments back (`on` true) for what follows them, an RTO at most; what is held goes when it is switched off. */
  setCork(flow: number, on: boolean): void {
    const t = this.#core.take(flow);
    if (t === null) return;
    t.hold = on ? t.hold | HOLD_CORK : t.hold & UNPUSHED;
    if (!on && t.state >= ESTABLISHED) this.#core.flows.touch(t);
  }

  /**
   * How long what was sent may go unacknowledged, or wait for the peer's window, before ETIMEDOUT ends the connection
   * (RFC 9293 3.9.1.1, RFC 5482; here it is not told to the peer). Counted from when the peer was first asked again.
   *
   * @param ms 0: as the limits say.
   */
  setUserTimeout(flow: number, ms: number): void {
    const t = this.#core.take(flow);
    if (t !== null) t.userTimeout = Math.min(Math.max(ms, 0), USER_TIMEOUT_MOST_MS);
  }

  /** How long the flow stays in FIN-WAIT-2 once it is released, in ms: 0 as the limits say, negative: RST ends it instead. */
  setFinWait(flow: number, ms: number): void {
    const t = this.#core.take(flow);
    if (t !== null) t.finWait = Math.min(ms, USER_TIMEOUT_MOST_MS);
  }

  /** Bound of the segments of both directions in bytes, 0 for none; from `connect` until the SYN has left. */
  setMaxSegment(flow: number, bytes: number): void {
    const t = this.#core.take(flow);
    if (t !== null) t.maxSegment = bytes;
  }

  /**
   * Paces what the flow sends over the round trip, instead of sending as much at once as the window allows.
   *
   * @param most bytes a second, for a bound below what the window makes; 0 for none but that; negative: no pacing.
   */
  setPacing(flow: number, most: number): void {
    const t = this.#core.take(flow);
    if (t === null) return;
    t.pacing = most < 0 ? 0 : Math.min(Math.max(most, BY_WINDOW), PACING_MOST);
    if (t.state >= ESTABLISHED) this.#core.flows.touch(t);
  }

  /** DSCP of the packets that are sent: the upper six bits of an octet (RFC 2474). */
  setTrafficClass(flow: number, octet: number): void {
    const t = this.#core.take(flow);
    if (t !== null) t.trafficClass = octet & TRAFFIC_CLASS_MASK;
  }

  /** Keepalive (RFC 9293 3.8.4); times in ms, 0 for the default. */
  setKeepAlive(flow: number, on: boolean, idleMs: number, intervalMs: number, count: number): void {
    const t = this.#core.take(flow);
    if (t !== null) setKeepAlive(this.#core, t, on, idleMs, intervalMs, count);
  }

  /** Bytes that the flow may hold for its reader, at most; no more than `limits.receiveBuffer`. A window once offered stands. */
  setReceiveBuffer(flow: number, bytes: number): void {
    const t = this.#core.take(flow);
    if (t === null) return;
    if (t.state === SYN_SENT && t.sndNxt === t.iss) {
      fixReceiveBuffer(t, Math.max(1, Math.min(bytes, this.#core.limits.receiveBuffer)));
      return;
    }
    t.rcvBufMax = Math.max(1, Math.min(bytes, this.#core.limits.receiveBuffer));
    if (t.rcvBuf > t.rcvBufMax) t.rcvBuf = t.rcvBufMax;
  }

  /** Keeps `bytes` of the receive buffer out of the window: what the owner needs there besides the text. A window once offered stands. */
  holdWindow(flow: number, bytes: number): void {
    const t = this.#core.take(flow);
    if (t !== null) t.rcvHeld = Math.max(bytes, 0);
  }

  /** Whether EV_REPORT is to tell of errors that do not end the connection (RFC 9293 3.9.1.8); `softError` has the last in any case. */
  setReports(flow: number, on: boolean): void {
    const t = this.#core.take(flow);
    if (t !== null) t.asides = on ? t.asides | REPORTS_ON : t.asides & ~REPORTS_ON;
  }
}

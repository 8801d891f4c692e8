/**
 * Explicit congestion notification (RFC 3168): routers mark packets instead of dropping them, the receiver tells of a mark
 * with ECE until the sender says with CWR that it has reduced its window. `t.ecn` is 0 for flows without it.
 *
 * ```
 *   sender            router            receiver
 *     │── ECT(0) ───────► CE ─────────────►│  DEMAND_CWR
 *     │◄───────────────── ECE ─────────────│
 *     │── ECT(0), CWR ────────────────────►│
 * ```
 */
import { CE, ECT0 } from '../wire/ecn.js';
import { CWR, ECE } from '../wire/tcp.js';
import { ackNow } from './ack.js';
import type { Core } from './core.js';
import { before } from './seq.js';
import type { Tcb } from './tcb.js';

/** Bits of `Tcb.ecn`. */
/** Our SYN has asked for it. */
const OFFERED = 1;
/** Both ends do it. */
export const ECN_ON = 2;
/** A mark has come, and no CWR since: every segment that we send tells of it. */
const DEMAND_CWR = 4;
/** The window was reduced: the next new text tells so. */
const CWR_DUE = 8;
/** The peer's packets can be marked. */
export const ECN_SEEN = 16;

/** Acknowledgements that leave at once after a mark: the sender's window may be small (Linux has as many). */
const QUICK = 2;

// ---- agreement

/** An active open begins. */
export function offerEcn(core: Core, t: Tcb): void {
  t.ecn = core.limits.ecn === 'on' ? OFFERED : 0;
}

/** Control bits for the SYN or SYN-ACK. A SYN that was not answered comes without: a router may be in its way (RFC 3168 6.1.1.1). */
export function handshakeBits(t: Tcb, opening: boolean): number {
  if (t.ecn === 0) return 0;
  if (opening) return t.retries === 0 ? ECE | CWR : 0;
  return (t.ecn & ECN_ON) !== 0 ? ECE : 0;
}

/** The SYN at hand asks for it; a SYN that could be marked itself does not keep to the rules (RFC 3168 6.1.1). */
export function acceptEcn(core: Core, t: Tcb): void {
  const { flags, ecn } = core.segment;
  const asked = (flags & (ECE | CWR)) === (ECE | CWR) && ecn === 0;
  t.ecn = asked && core.limits.ecn !== 'off' ? ECN_ON : 0;
}

/** The SYN-ACK at hand answers what we have asked: ECE alone agrees, both bits are those of one that only reflects them. */
export function learnEcn(core: Core, t: Tcb): void {
  const agreed = (t.ecn & OFFERED) !== 0 && (core.segment.flags & (ECE | CWR)) === ECE;
  t.ecn = agreed ? ECN_ON : 0;
}

// ---- receiver

/** A segment with text has come, for a flow with ECN. */
export function noteMark(core: Core, t: Tcb): void {
  const { flags, ecn } = core.segment;
  if ((flags & CWR) !== 0) {
    t.ecn &= ~DEMAND_CWR;
    ackNow(core, t);
  }
  if (ecn === 0) return;
  t.ecn |= ECN_SEEN;
  if (ecn !== CE) return;
  if ((t.ecn & DEMAND_CWR) === 0) {
    t.quickAcks = Math.max(t.quickAcks, QUICK);
    ackNow(core, t);
  }
  t.ecn |= DEMAND_CWR;
}

// ---- sender

/** Control bits for any segment: ECE while a mark is not answered. */
export function echoBits(t: Tcb): number {
  return (t.ecn & DEMAND_CWR) !== 0 ? ECE : 0;
}

/** ECN field of a packet with text from `seq` on: only what is sent for the first time may be marked (RFC 3168 6.1.4, 6.1.5). */
export function ecnField(t: Tcb, seq: number, length: number): number {
  return (t.ecn & ECN_ON) !== 0 && length > 0 && !before(seq, t.sndNxt) ? ECT0 : 0;
}

/** Control bits for that packet: CWR once after each reduction, and ECE as for any. */
export function textBits(t: Tcb, seq: number, length: number): number {
  let bits = echoBits(t);
  if ((t.ecn & CWR_DUE) !== 0 && length > 0 && !before(seq, t.sndNxt)) {
    t.ecn &= ~CWR_DUE;
    bits |= CWR;
  }
  return bits;
}

/** The window was reduced, whatever for (RFC 3168 6.1.2). */
export function noteReduction(t: Tcb): void {
  if ((t.ecn & ECN_ON) !== 0) t.ecn |= CWR_DUE;
}

/** The reduction was a mistake: nobody is told of it. */
export function withdrawReduction(t: Tcb): void {
  t.ecn &= ~CWR_DUE;
}

/**
 * Payload memory of a fuzzed stack. What a flow sends and what peers send it are bytes that tell their own place, so that
 * whatever lies wrong is found at once.
 */
import { MAX_SPANS } from '../../lib/nic/device.js';
import type { Payload, PayloadOutput } from '../../lib/tcp/payload.js';
import type { Tcb } from '../../lib/tcp/conn/tcb.js';
import { Finding } from './case.js';

/** Bytes of the memory that is sent from; a position lies at its remainder, for every flow. */
export const SEND_RING = 1 << 18;
/** Bytes that a flow may hold out of what it received. */
export const RECEIVE_RING = 1 << 17;

/** The byte that a peer sends with sequence number `seq`. */
export function byteOf(seq: number): number {
  return Math.imul(seq, 0x9e3779b1) >>> 24;
}

const sendMemory = new Uint8Array(SEND_RING);
for (let i = 0; i < SEND_RING; i++) sendMemory[i] = byteOf(i ^ 0x5bd1e995);
/** Rings of flows by side, kept from case to case. */
const sides: Uint8Array[][] = [];

export class FuzzPayload implements Payload {
  readonly memory = sendMemory;
  /** Memory is short: nothing is stored. */
  full = false;
  /** Bytes that peers send are what they should be. */
  exact = true;
  /** Longest span. */
  readonly spanBytes: number;
  /** A view of the flows; set once the stack is there. */
  tcb!: Tcb;
  readonly #acknowledged: Int32Array;
  readonly #rings: readonly Uint8Array[];
  readonly #fromStack: boolean;

  /** @param side 0: peers are made up, and send what `byteOf` says; 1 and 2: both ends are stacks, and this is the one or the other. */
  constructor(flows: number, spanBytes: number, side: 0 | 1 | 2 = 0) {
    this.#fromStack = side > 0;
    const rings = (sides[side] ??= []);
    this.#rings = rings;
    this.spanBytes = spanBytes;
    this.#acknowledged = new Int32Array(flows);
    while (rings.length < flows) rings.push(new Uint8Array(RECEIVE_RING));
  }

  store(flow: number, position: number, source: Uint8Array, offset: number, length: number): boolean {
    const t = this.tcb.at(flow);
    const ahead = (position - t.received) | 0;
    if (length <= 0 || ahead < 0) throw new Finding(`${length} bytes are stored at ${ahead} of what was received`);
    const held = (position + length - t.consumed) | 0;
    if (held > RECEIVE_RING) throw new Finding(`the flow holds ${held} bytes for its reader`);
    if (this.full) return false;
    const ring = this.#rings[flow]!;
    for (let i = 0; i < length; i++) {
      const byte = source[offset + i]!;
      if (this.exact && byte !== this.#expected(t, (position + i) | 0)) throw new Finding('a byte is stored in the wrong place');
      ring[(position + i) & (RECEIVE_RING - 1)] = byte;
    }
    return true;
  }

  /** The byte that the peer sends at a position. */
  #expected(t: Tcb, position: number): number {
    return this.#fromStack ? sendMemory[position & (SEND_RING - 1)]! : byteOf((t.irs + 1 + position) | 0);
  }

  receiveRoom(): number {
    return this.full ? 0 : RECEIVE_RING;
  }

  gather(flow: number, position: number, length: number, output: PayloadOutput): number {
    const t = this.tcb.at(flow);
    if (((position - t.acknowledged) | 0) < 0) throw new Finding(`bytes are sent again that the peer has: ${position} of ${t.acknowledged}`);
    if (((position + length - t.written) | 0) > 0) throw new Finding(`bytes are sent that were not written: to ${position + length} of ${t.written}`);
    let added = 0;
    for (let spans = 0; added < length && spans < MAX_SPANS; spans++) {
      const at = (position + added) & (SEND_RING - 1);
      const count = Math.min(length - added, SEND_RING - at, this.spanBytes);
      output.append(at, count);
      added += count;
    }
    return added;
  }

  acknowledged(flow: number, position: number): void {
    const t = this.tcb.at(flow);
    if (((position - this.#acknowledged[flow]!) | 0) < 0 || ((position - t.written) | 0) > 0) {
      throw new Finding(`acknowledged moves from ${this.#acknowledged[flow]} to ${position} of ${t.written}`);
    }
    this.#acknowledged[flow] = position;
  }

  /** The owner reads up to `position`: the bytes are there. */
  read(flow: number, position: number): void {
    if (!this.exact) return;
    const t = this.tcb.at(flow);
    const ring = this.#rings[flow]!;
    for (let at = t.consumed; at !== position; at = (at + 1) | 0) {
      if (ring[at & (RECEIVE_RING - 1)] !== this.#expected(t, at)) throw new Finding('a byte counts as received that was never stored');
    }
  }

  forget(flow: number): void {
    this.#acknowledged[flow] = 0;
  }
}

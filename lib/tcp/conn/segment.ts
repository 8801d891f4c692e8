/** The arriving segment: one record, filled anew for each (RFC 9293 3.3.1, "current segment variables"). */
import type { Arrival } from '../transport.js';
import { parseOptions, TcpOptions } from '../wire/options.js';
import {
  ACK, checkTcp, FIN, RST, SYN, TCP_OK, tcpAcknowledgement, tcpDestination, tcpFlags, tcpHeaderLength, tcpSequence,
  tcpSource, tcpWindow, URG,
} from '../wire/tcp.js';

export class Segment {
  bytes: Uint8Array = new Uint8Array(0);
  /** Source and destination address: four words each, from word 0 and word 4 of `addresses`. */
  addresses: Int32Array = new Int32Array(8);
  /** Place of the TCP header in `bytes`. */
  at = 0;
  sourcePort = 0;
  destinationPort = 0;
  /** SEG.SEQ of the first byte of text, or of the SYN. */
  seq = 0;
  /** SEG.ACK, where ACK is set. */
  ack = 0;
  flags = 0;
  /** SEG.WND as it stands there, not scaled. */
  window = 0;
  /** Place of the text in `bytes`, and its length. */
  textAt = 0;
  textLength = 0;
  /** As `Arrival.rest`. */
  rest: Arrival['rest'] = null;
  /** ECN field of the IP header. */
  ecn = 0;
  /** Payload of one segment on the wire, where several were coalesced; else `textLength`. */
  wireLength = 0;
  readonly options = new TcpOptions();

  get isAck(): boolean { return (this.flags & ACK) !== 0; }
  get isSyn(): boolean { return (this.flags & SYN) !== 0; }
  get isRst(): boolean { return (this.flags & RST) !== 0; }
  get isUrg(): boolean { return (this.flags & URG) !== 0; }
  get isFin(): boolean { return (this.flags & FIN) !== 0; }

  /** SEG.LEN: sequence numbers that the segment takes, SYN and FIN counted. */
  get length(): number {
    const flags = this.flags;
    return this.textLength + (flags & FIN) + ((flags & SYN) >>> 1);
  }

  /** Reads an arrival. Returns false where it is no TCP segment that could be meant. */
  read(arrival: Arrival): boolean {
    const bytes = arrival.bytes;
    const at = arrival.offset;
    if (checkTcp(bytes, at, arrival.length) !== TCP_OK) return false;
    const header = tcpHeaderLength(bytes, at);
    this.bytes = bytes;
    this.at = at;
    this.addresses = arrival.addresses;
    this.sourcePort = tcpSource(bytes, at);
    this.destinationPort = tcpDestination(bytes, at);
    this.seq = tcpSequence(bytes, at);
    this.ack = tcpAcknowledgement(bytes, at);
    this.flags = tcpFlags(bytes, at);
    this.window = tcpWindow(bytes, at);
    this.textAt = at + header;
    this.textLength = arrival.length - header;
    this.rest = arrival.rest;
    this.ecn = arrival.ecn;
    this.wireLength = arrival.segmentSize > 0 ? arrival.segmentSize : this.textLength;
    parseOptions(bytes, at, this.options);
    return true;
  }

  /** Cuts `count` bytes off the front of the text. */
  trimFront(count: number): void {
    this.seq = (this.seq + count) | 0;
    this.textAt += count;
    this.textLength -= count;
  }
}

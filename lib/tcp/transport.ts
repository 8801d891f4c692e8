/**
 * The seam between IP and TCP: `ip/` and `conn/` do not know each other, both know this.
 *
 * An address is four 32-bit words, network order within the word, IPv4 as ::ffff:a.b.c.d. So hashes, tables and flow
 * state have one form for both families.
 */
import type { FrameRest } from '../nic/device.js';

/** Word 2 of an IPv4-mapped address; words 0 and 1 are 0. */
export const IPV4_MAPPED = 0x0000ffff;

/** The transport part of one received IP packet. One object, filled anew for each packet. */
export class Arrival {
  bytes: Uint8Array = new Uint8Array(0);
  /** Offset in `bytes` of the TCP header. */
  offset = 0;
  /** TCP header and payload, in bytes. */
  length = 0;
  /** Source address in words 0-3, destination in words 4-7. */
  readonly addresses = new Int32Array(8);
  /** Index of the interface it came in by. */
  interfaceIndex = 0;
  /** ECN field of the IP header, 0-3 (RFC 3168). */
  ecn = 0;
  /** Payload bytes of each segment where several were coalesced into this one, else 0. */
  segmentSize = 0;
  /** Of a long segment the payload may not be in `bytes` yet: where it is to be had from, else null. */
  rest: FrameRest | null = null;
}

/** Takes the TCP segments that are for this host, checksum good, in order of arrival. */
export interface TransportSink {
  segment(arrival: Arrival): void;
  /**
   * An ICMP error about a segment that this host sent (RFC 1122 4.2.3.9).
   *
   * @param words addresses of the packet in error, laid out as in `Arrival` seen from the sender: local 0-3, remote 4-7.
   * @param errno EHOSTUNREACH, ENETUNREACH, EACCES or ECONNREFUSED; 0 for "packet too big".
   * @param hard true where the error tells that the destination will stay unreachable (port or protocol unreachable).
   * @param mtu next-hop MTU for "packet too big", else 0.
   * @returns true where it is about a segment in flight (RFC 5927 4.1): only then is a smaller path MTU believed.
   */
  unreachable(words: Int32Array, localPort: number, remotePort: number, sequence: number, errno: number, hard: boolean, mtu: number): boolean;
  /** The address at `words[at]` is this host's no more: what stands on it has ended, and its peers cannot be told. */
  withdrawn(words: Int32Array, at: number): void;
}

/** `begin`: no room in the device; what is not sent now goes out by the next turn or by retransmission. */
export const NO_ROOM = -1;
/** `begin`: no route to the destination. */
export const NO_ROUTE = -2;

/** Sends TCP segments: begin, write the header at the returned offset, append payload, end. */
export interface TransportOutput {
  /** The memory that `begin` returned an offset in. It may differ after each `begin`. */
  readonly bytes: Uint8Array;
  /**
   * Begins a packet.
   *
   * @param words memory that holds both addresses, four words each, at `localAt` and `remoteAt`.
   * @param trafficClass DSCP and ECN field for the IP header (RFC 2474, RFC 3168).
   * @returns offset in `bytes` for the TCP header, NO_ROOM or NO_ROUTE. A neighbour not resolved yet is no error: the
   *   packet is held (a bounded number) until the answer comes.
   */
  begin(words: Int32Array, localAt: number, remoteAt: number, trafficClass: number): number;
  /** Appends a span of payload memory to the packet; it must stay as it is until `flush` returns. */
  append(offset: number, length: number): void;
  /**
   * Ends the packet: IP header and checksums are filled in.
   *
   * @param length bytes written at the offset: TCP header, and payload where it was copied there.
   * @param segmentSize payload bytes a segment where the packet is larger than the MTU, else 0.
   */
  end(length: number, segmentSize: number): void;
  /** Largest IP packet on the way to the address at `words[remoteAt]`, in bytes (its path MTU); 0 without a route. */
  mtu(words: Int32Array, remoteAt: number): number;
  /** Largest IP packet that may be handed over for segmentation on that way; 0 where segments must fit the MTU. */
  segmentation(words: Int32Array, remoteAt: number): number;
  /** True where the address at `words[at]` is this host's own. */
  isLocal(words: Int32Array, at: number): boolean;
  /** Writes the source address to use towards `words[remoteAt]` to `words[localAt]`. False without a route. */
  selectSource(words: Int32Array, remoteAt: number, localAt: number): boolean;
  /** MTU of the link towards that address, whatever the path beyond it carries; 0 without a route. */
  linkMtu(words: Int32Array, remoteAt: number): number;
  /** Nothing has come back from the peer at `words[remoteAt]` for some time: its neighbour may be gone (RFC 1122 3.3.1.4). */
  suspect(words: Int32Array, remoteAt: number): void;
  /** The peer at `words[remoteAt]` has just acknowledged: its neighbour entry is good (RFC 4861 7.3.1 does the same). */
  confirm(words: Int32Array, remoteAt: number): void;
}

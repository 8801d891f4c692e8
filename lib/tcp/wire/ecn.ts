/** The ECN field of an IP header (RFC 3168 5): the lower two bits of the traffic class. */

/** The packet's sender and receiver can deal with marks; the codepoint that is sent. */
export const ECT0 = 2;
/** Congestion experienced: a router has marked it. */
export const CE = 3;
/** The rest of the traffic class: DSCP (RFC 2474). */
export const TRAFFIC_CLASS_MASK = 0xfc;

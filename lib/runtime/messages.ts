/**
 * The entries of the queues. An entry is eight int32 words; word 0 is the operation in its low byte, flags above it.
 *
 * What an entry says of a flow is the whole state of the sender's side of it (positions, flags), never a difference. So
 * a later entry makes an earlier one obsolete, a flow whose queue is full is only marked and told later, and nothing is
 * lost. Positions count the bytes of one direction from 0, modulo 2^32.
 */

export const OP_MASK = 0xff;

// App thread to TCP server.
/** [op|flags, flow, generation, txWritten, rxConsumed, txChainFirst, txChainStart, 0]; bytes of files count in txWritten, in txChainStart they do not */
export const SUBMIT_FLOW = 1;
/** [op|LISTEN_IPV6_ONLY|distribution << LISTEN_DISTRIBUTION_SHIFT, request, a0, a1, a2, a3, port, backlog] */
export const SUBMIT_LISTEN = 2;
/**
 * [op, listener, 0 …] listener is the app thread's own number of it, the request it was opened with. It gets no new connection; the answer
 * comes behind every connection that it was given.
 */
export const SUBMIT_UNLISTEN = 3;
/** [op, request, a0, a1, a2, a3, remotePort << 16 | localPort, 0]; the local address is the one of the last SUBMIT_BIND */
export const SUBMIT_CONNECT = 4;
/** [op, 0, a0, a1, a2, a3, 0, 0] local address of the next connect */
export const SUBMIT_BIND = 5;
/** [op, flow, generation, keepIdleMs, keepIntervalMs, keepCount | trafficClass << 8, userTimeoutMs, finWaitMs]; 0: the TCP server's own */
export const SUBMIT_OPTIONS = 6;
/**
 * [op|FILE_QUIET, flow, generation, descriptor, offsetLow, offsetHigh, position, length] `length` bytes of a file stand in the send stream from
 * `position` on, behind everything written before; the next SUBMIT_FLOW counts them in txWritten. One at a time until acknowledged.
 */
export const SUBMIT_FILE = 7;
/** The app thread is not woken to be told that the file was acknowledged. */
export const FILE_QUIET = 0x100;
/** Bytes of one SUBMIT_FILE at most: positions are compared by the sign of their difference. */
export const FILE_BYTES_MOST = 0x40000000;

/** :: takes IPv6 alone. */
export const LISTEN_IPV6_ONLY = 0x100;
/** Where the listener's place in DISTRIBUTIONS stands, two bits. */
export const LISTEN_DISTRIBUTION_SHIFT = 9;
export const LISTEN_DISTRIBUTION_MASK = 3;

/** How the TCP server gives connections to the app threads that listen on one address and port. */
export const DISTRIBUTIONS = ['least-connections', 'round-robin', 'source-hash'] as const;
export type Distribution = (typeof DISTRIBUTIONS)[number];

/** Nothing more will be written: FIN after `txWritten`. */
export const FLOW_END = 0x100;
/** The app has let go of the flow: FIN after `txWritten`; or, where it has not read everything, a reset. */
export const FLOW_CLOSE = 0x200;
/** Reset the flow. */
export const FLOW_RESET = 0x400;
/** The app has more to write than it has room for: tell it as soon as there is. */
export const FLOW_WAITING = 0x800;
export const FLOW_NO_DELAY = 0x1000;
export const FLOW_KEEP_ALIVE = 0x2000;
/** The app thread has taken over an accepted flow: it no longer counts as waiting in the backlog. */
export const FLOW_TAKEN = 0x4000;
/** Incomplete segments are held back for what follows. */
export const FLOW_CORK = 0x8000;

// TCP server to app thread.
/** [op|flags, flow, generation, rxWritten, txAcknowledged, rxChainFirst, rxChainStart, errno] */
export const COMPLETE_FLOW = 1;
/** [op, flow, generation, listener, 0 …]: a new connection; a COMPLETE_FLOW of it follows where bytes are there. */
export const COMPLETE_ACCEPT = 2;
/** [op, request, flow or -errno, generation or port, 0 …]: answer to listen, unlisten and connect. */
export const COMPLETE_REPLY = 3;

export const FLOW_CONNECTED = 0x100;
/** The peer's FIN lies at rxWritten. */
export const FLOW_EOF = 0x200;
/** The flow is dead; the errno says why. */
export const FLOW_ERROR = 0x400;
/** Both directions are over. */
export const FLOW_OVER = 0x800;
/** The TCP server has forgotten the flow for this app: send memory may be reused, the index may come back with another generation. */
export const FLOW_GONE = 0x1000;
/** With FLOW_ERROR: the errno is what reading the file of SUBMIT_FILE gave. */
export const FLOW_FILE_ERROR = 0x2000;

// Why a channel was ended.
export const VIOLATION_OPERATION = 1;
export const VIOLATION_FLOW = 2;
export const VIOLATION_WRITTEN = 3;
export const VIOLATION_CONSUMED = 4;
export const VIOLATION_BLOCK = 5;
export const VIOLATION_QUEUE = 6;
export const VIOLATION_STATE = 7;
export const VIOLATION_FILE = 8;

const VIOLATIONS = [
  '', 'an unknown operation', 'a flow that is out of range or another app thread\'s', 'a send position beyond its arena or moving back',
  'a receive position beyond what was received or moving back', 'a payload block that is not its own', 'a queue position out of range',
  'a state of its channel that it may not take', 'a file that is none, or stands where none may in the send stream',
];

/** What a VIOLATION_* means, for an error message. */
export function violationText(violation: number): string {
  return VIOLATIONS[violation] ?? `violation ${violation}`;
}

/** RFC 9293, Appendix B: every row, in the order in which it stands there. */
import { readTable } from './requirement.js';

export const APPENDIX_B = readTable(`
MAY-16 | 3.9.1.2 | MAY | interface | Text of several writes without PUSH may be gathered before it is sent
SHLD-27 | 3.9.1.2 | SHOULD | stack | Successive PSH bits are collapsed: one at the end of what is packed together
MAY-15 | 3.9.1.2 | MAY | interface | A write may say PUSH | n/a: optional; every write is pushed, as in the socket interface
MUST-60 | 3.9.1.2 | MUST NOT | stack | Without PUSH in the interface text is not held back for ever
MUST-61 | 3.9.1.2 | MUST | stack | Without PUSH in the interface the last segment of what is queued has PSH
MAY-17 | 3.9.1.3 | MAY | interface | The reader may be told of PSH | n/a: optional; the reader hears of all text at once
SHLD-28 | 3.9.1.2 | SHOULD | stack | Segments are as large as possible
MUST-1 | 3.1 | MUST | stack | The window field is an unsigned number
REC-1 | 3.1 | SHOULD | stack | Windows are kept as 32-bit numbers
SHLD-14 | 3.8.6 | SHOULD NOT | stack | The right edge of the window offered does not move left
SHLD-15 | 3.8.6 | SHOULD NOT | stack | No new text is sent while the peer has taken back window that is in use
SHLD-16 | 3.8.6 | SHOULD | stack | What is old and within the smaller window is retransmitted as ever
SHLD-17 | 3.8.6 | SHOULD NOT | stack | A connection is not timed out for text beyond the edge of the window
MUST-34 | 3.8.6 | MUST | stack | A window that shrinks, so that the usable one is negative, does no harm
MAY-8 | 3.8.6.1 | MAY | stack | The window may stay closed for as long as the reader does not read
MUST-35 | 3.8.6 | MUST | stack | A window that has shrunk to nothing is probed as any closed one
MUST-36 | 3.8.6.1 | MUST | stack | A closed window is probed
SHLD-29 | 3.8.6.1 | SHOULD | stack | The first probe goes one RTO after the window has closed
SHLD-30 | 3.8.6.1 | SHOULD | stack | The interval between probes grows exponentially
MUST-37 | 3.8.6.1 | MUST | stack | A peer that answers the probes may keep its window closed for ever
MAY-7 | 3.8.6 | MAY | stack | Old text beyond a window that was taken back may be retransmitted
MUST-66 | 3.10.7.4 | MUST | stack | RST and URG count while the receive window is closed
MUST-30 | 3.8.5 | MUST | stack | The urgent mechanism is there
MUST-62 | 3.8.5 | MUST | stack | The urgent pointer tells the octet that follows what is urgent
MUST-31 | 3.8.5 | MUST | stack | Urgent data may be of any length
MUST-32 | 3.8.5 | MUST | interface | The owner hears at once of urgent data, and when its end moves on | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
MUST-33 | 3.8.5 | MUST | interface | The owner can learn whether, or how much, urgent data is still to be read | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
SHLD-13 | 3.8.5 | SHOULD NOT | application | New applications do not use the urgent mechanism | n/a: for applications; the sockets of this package have no call for it
MUST-4 | 3.1 | MUST | stack | End of options, no-operation and MSS are understood
MUST-5 | 3.1 | MUST | stack | Options may come in any segment
MUST-6 | 3.1 | MUST | stack | An option that is not known is passed over by its length
MUST-68 | 3.1 | MUST | stack | Every option but the two of one octet has a length
MUST-7 | 3.1 | MUST | stack | An option whose length cannot be does no harm
MUST-64 | 3.1 | MUST | stack | Options are read wherever they begin
MUST-14 | 3.7.1 | MUST | stack | The MSS option is sent and read
SHLD-5 (IPv4) | 3.7.1 | SHOULD | stack | The MSS option is in each SYN unless it would say 536
SHLD-5 (IPv6) | 3.7.1 | SHOULD | stack | The same for IPv6, unless it would say 1220
MAY-3 | 3.7.1 | MAY | stack | The MSS option may always be sent
MUST-15 (IPv4) | 3.7.1 | MUST | stack | A peer that says no MSS is sent 536 bytes a segment at most
MUST-15 (IPv6) | 3.7.1 | MUST | stack | The same for IPv6: 1220 bytes
MUST-16 | 3.7.1 | MUST | stack | The size of segments is what the peer takes and the path carries, less the options
SHLD-6 | 3.7.1 | SHOULD | network | The MSS announced is reckoned from the least MTU that the interface can have
MUST-65 | 3.7.1 | MUST NOT | stack | No MSS option but in SYNs; elsewhere it means nothing
MUST-67 | 3.7.1 | MUST | stack | The MSS announced is no more than IP can receive, less 20
MUST-69 | 3.1 | MUST | stack | The header is filled up with zeros behind its options
MUST-2 | 3.1 | MUST | stack | The checksum is made for every segment sent
MUST-3 | 3.1 | MUST | stack | The checksum is looked at in every segment received
MUST-8 | 3.4.1 | MUST | stack | Initial sequence numbers are driven by a clock
SHLD-1 | 3.4.1 | SHOULD | stack | Initial sequence numbers are a clock and a keyed hash of the connection
MUST-9 | 3.4.1 | MUST NOT | stack | That hash cannot be computed from outside
MUST-10 | 3.5 | MUST | stack | Both ends may open at the same time
MUST-11 | 3.5 | MUST | stack | SYN-RECEIVED knows whether a passive or an active open led to it
MUST-41 | 3.9.1.1 | MUST NOT | interface | A passive open does not disturb connections that are there
MUST-42 | 3.9.1.1 | MUST | interface | A port may be listened on while a connection of that port is opening
MUST-44 | 3.9.1.1 | MUST | network | IP says the source address of a SYN where the owner has not
MUST-45 | 3.9.1.1 | MUST | stack | All segments of a connection have the same source address
MUST-46 | 3.9.1.1 | MUST NOT | interface | No connection is opened to a broadcast or multicast address
MUST-57 | 3.9.2.3 | MUST | network | Segments to a broadcast or multicast address are thrown away without a word
SHLD-2 | 3.5.3 | SHOULD | stack | A reset may carry text
MUST-12 | 3.6 | MUST | interface | The owner hears that its connection was aborted
MAY-1 | 3.6.1 | MAY | interface | An application may close without reading on
SHLD-3 | 3.6.1 | SHOULD | stack | Such a close sends a reset where bytes are lost by it
MUST-13 | 3.6.1 | MUST | stack | The end that closes first waits two maximum segment lifetimes in TIME-WAIT | note: the lifetime is 30 s by default, as in most stacks, and a setting
MAY-2 | 3.6.1 | MAY | stack | A SYN may open anew a connection in TIME-WAIT
SHLD-4 | 3.6.1 | SHOULD | stack | Timestamps decide whether it may (RFC 6191)
MUST-19 | 3.8.2 | MUST | stack | Exponential back-off, slow start and congestion avoidance
MAY-4 | 3.8.1 | MAY | network | A retransmitted packet may have the IP identification of the first | n/a: optional; segments are sent with "don't fragment" and no identification (RFC 6864)
MUST-18 | 3.8.1 | MUST | stack | The RTO is that of RFC 6298, with Karn's rule
MUST-58 | 3.8.6.3 | MUST | stack | Acknowledgements are aggregated where they can be
SHLD-31 | 3.10.7.4 | SHOULD | stack | Segments out of order are kept
MUST-59 | 3.10.7.4 | MUST | stack | All segments that wait are processed before an acknowledgement is sent
MAY-13 | 3.10.7.4 | MAY | stack | A segment out of order may be acknowledged
SHLD-18 | 3.8.6.3 | SHOULD | stack | Acknowledgements are delayed
MUST-40 | 3.8.6.3 | MUST | stack | By less than half a second
SHLD-19 | 3.8.6.3 | SHOULD | stack | At least every second full segment is acknowledged
MUST-39 | 3.8.6.2.2 | MUST | stack | The receiver avoids silly windows
MUST-49 | 3.9.2 | MUST | network | The time to live can be set
MUST-38 | 3.8.6.2.1 | MUST | stack | The sender avoids silly windows
SHLD-7 | 3.7.4 | SHOULD | stack | Nagle's algorithm
MUST-17 | 3.7.4 | MUST | interface | The owner can switch it off
MUST-20 (R1) | 3.8.3 | MUST | network | R1 retransmissions: IP is told to look whether the way is still there
MUST-20 (R2) | 3.8.3 | MUST | stack | R2 retransmissions: the connection is closed
MUST-21 | 3.8.3 | MUST | interface | The owner can set R2 of its connection
SHLD-9 | 3.8.3 | SHOULD | interface | The owner hears of it between R1 and R2 | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
SHLD-10 | 3.8.3 | SHOULD | stack | R1 is at least three retransmissions
SHLD-11 | 3.8.3 | SHOULD | stack | R2 is at least 100 seconds
MUST-22 | 3.8.3 | MUST | stack | SYNs are handled in the same way
MUST-23 | 3.8.3 | MUST | stack | R2 of a SYN is at least three minutes | note: of a connection that is opened; an unanswered SYN-ACK is given up after a minute, since it costs the listener its backlog
MAY-5 | 3.8.4 | MAY | stack | Keepalive
MUST-24 | 3.8.4 | MUST | interface | It is switched on and off for each connection
MUST-25 | 3.8.4 | MUST | interface | It is off by default
MUST-26 | 3.8.4 | MUST | stack | It probes only where nothing is outstanding and nothing was heard for an interval
MUST-27 | 3.8.4 | MUST | interface | The interval can be set
MUST-28 | 3.8.4 | MUST | interface | It is two hours or more by default
MUST-29 | 3.8.4 | MUST NOT | stack | One probe without an answer is no dead connection
SHLD-12 | 3.8.4 | SHOULD | stack | A probe carries no text
MAY-6 | 3.8.4 | MAY | interface | A probe may be set to carry an octet of garbage | n/a: optional; for peers that no longer exist
MUST-50 | 3.9.2 | MUST | network | IP options that are not understood are passed over
MAY-10 | 3.9.2 | MAY | network | The IP timestamp option | n/a: optional; passed over, as RFC 7126 4.6 lets hosts do
MAY-11 | 3.9.2 | MAY | network | The record route option | n/a: optional; passed over
MUST-51 | 3.9.2.1 | MUST | interface | An application can say a source route for a connection that it opens | not met: on purpose; source routes serve attacks, routers drop them (RFC 7126 4.3, 4.4), and IPv6 has given them up (RFC 5095)
MUST-52 | 3.9.2.1 | MUST | network | It overrides one that was received | not met: on purpose; there are none of either kind, packets with a source route are thrown away
MUST-53 | 3.9.2.1 | MUST | network | The return route of a SYN with a source route is used for all segments | not met: on purpose; such a SYN is thrown away (RFC 7126 4.3, 4.4)
SHLD-24 | 3.9.2.1 | SHOULD | network | A later source route overrides an earlier one | not met: on purpose; no source route is followed
MUST-54 | 3.9.2.2 | MUST | network | An ICMP error is acted on by the connection that it is about
SHLD-25 | 3.9.2.2 | SHOULD | interface | Unreachable, codes 0, 1 and 5: the owner can learn of it | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
MUST-56 (unreachable) | 3.9.2.2 | MUST NOT | stack | and the connection is not aborted | note: while it is opening, by default it is, as in most stacks (RFC 5461 4); the setting softErrorsEndOpening switches that off, and the scenario runs with it off
SHLD-26 (opening) | 3.9.2.2 | SHOULD | stack | Unreachable, codes 2 and 3: the attempt to open is aborted
SHLD-26 (established) | 3.9.2.2 | SHOULD | stack | Unreachable, codes 2 to 4: a connection that stands is aborted | not met: on purpose; such an error is easily forged, and to a connection that stands it is a soft one (RFC 5927 5.2); code 4 is path MTU discovery's (RFC 1191)
MUST-55 | 3.9.2.2 | MUST | network | A source quench is thrown away without a word
MUST-56 (time exceeded) | 3.9.2.2 | MUST NOT | stack | Time exceeded does not abort a connection
MUST-56 (parameter problem) | 3.9.2.2 | MUST NOT | stack | A parameter problem does not abort a connection
MUST-46 | 3.9.1.1 | MUST | interface | An open to an address that cannot be is refused
MUST-63 | 3.9.2.3 | MUST | network | A SYN from an address that cannot be is passed over
MUST-57 | 3.9.2.3 | MUST | network | A SYN to a broadcast or multicast address is thrown away without a word
MUST-47 | 3.9.1.8 | MUST | interface | Soft errors are reported to the owner | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
SHLD-20 | 3.9.1.8 | SHOULD | interface | The owner can do without such reports | note: by the interface of the stack (lib/tcp/stack.ts); the sockets are those of node:net, which have no such call
MUST-48 | 3.9.1.9 | MUST | interface | The owner can say the Diffserv field
SHLD-22 | 3.9.1.9 | SHOULD | network | It goes to IP as it is
SHLD-21 | 3.9.1.9 | SHOULD | interface | The owner can change it during the connection
SHLD-23 | 3.9.2 | SHOULD NOT | application | Applications do not change it as a rule | n/a: for applications
MAY-9 | 3.9.1.9 | MAY | interface | The Diffserv field received may be told to the owner | n/a: optional; left out
MAY-14 | 3.9.1.7 | MAY | interface | A FLUSH call | n/a: optional; left out, no socket interface has it
MUST-43 | 3.9.1.1 | MUST | interface | An open may name the local address
MAY-12 | 3.10.7.4 | MAY | stack | The protection of RFC 5961 5 against injected text
SHLD-8 | 3.8.2 | SHOULD | stack | Explicit congestion notification (RFC 3168)
MAY-18 | 3.8.2 | MAY | stack | Other congestion control that conforms
`);

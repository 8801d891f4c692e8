/** What the other RFCs ask, section by section, and the parts of RFC 9293 that Appendix B has no row for. */
import { readTable } from './requirement.js';

/** RFC 9293 beyond its Appendix B. */
export const RFC_9293 = readTable(`
RFC 9293 | 3.4 | MUST | stack | Sequence numbers are compared modulo 2^32
RFC 9293 | 3.5 | - | stack | The handshake, passive and active, and half-open connections
RFC 9293 | 3.5.2 | - | stack | A segment that belongs to no connection is answered with a reset, a reset is not
RFC 9293 | 3.5.3 | - | stack | A reset is looked at before it is believed, and ends the connection
RFC 9293 | 3.6 | - | stack | Closing: by either end first, by both at once, one half before the other
RFC 9293 | 3.6.1 | - | stack | A close while the peer still sends
RFC 9293 | 3.7.1 | - | stack | A peer that asks for tiny segments does not get them
RFC 9293 | 3.7.4 | - | stack | Nagle's algorithm and delayed acknowledgements do not lock each other
RFC 9293 | 3.8.1 | - | stack | What is lost is sent again, the FIN too
RFC 9293 | 3.8.5 | - | stack | Urgent pointers that make no sense do no harm
RFC 9293 | 3.8.6 | - | stack | Windows are taken from the latest segment, and not from older ones
RFC 9293 | 3.8.6.1 | - | stack | A closed window and a peer that is dead
RFC 9293 | 3.8.6.2 | - | stack | No silly windows, whatever two stacks do to each other
RFC 9293 | 3.8.6.3 | - | stack | No acknowledgement that comes too late
RFC 9293 | 3.9.1 | - | interface | The calls of the owner: text before and behind the end, and before the connection is there
RFC 9293 | 3.10.1 | - | interface | OPEN: what cannot be is an error at once
RFC 9293 | 3.10.5 | - | interface | ABORT resets the connection
RFC 9293 | 3.10.7.1 | - | stack | Segments in CLOSED
RFC 9293 | 3.10.7.2 | - | stack | Segments in LISTEN
RFC 9293 | 3.10.7.3 | - | stack | Segments in SYN-SENT
RFC 9293 | 3.10.7.4 | - | stack | Segments in the other states, step by step
`);

/** Checksums, IP, ICMP and the link. */
export const BELOW_TCP = readTable(`
RFC 1071 | 3 | - | network | The Internet checksum
RFC 1624 | 3 | - | network | A checksum is brought up to date without a new sum
RFC 791 | 3.2 | - | network | Fragments are put together in any order
RFC 5722 | 4 | MUST | network | Fragments that overlap end the packet
RFC 1858 | - | - | network | A fragment does not end within the TCP header
RFC 3128 | - | - | network | A fragment does not begin within the TCP header
RFC 6864 | 4.1 | MUST | network | Packets that may be cut have identifications that differ
RFC 7126 | 4.3 | SHOULD | network | Packets that were routed by their source are thrown away
RFC 1122 | 2.3.2.1 | MUST | network | ARP: at most one request a second for one address; entries that are stale go
RFC 1122 | 2.3.2.2 | SHOULD | network | A packet waits for the answer to its ARP request
RFC 1122 | 3.2.1 | MUST | network | Packets that are broken are thrown away
RFC 1122 | 3.2.1.3 | MUST | network | Addresses that cannot be
RFC 1122 | 3.2.1.8 | MUST | network | IP options are walked, those unknown passed over
RFC 1122 | 3.2.2.1 | SHOULD | network | What nothing here takes is answered with "unreachable", but never an error
RFC 1122 | 3.2.2.6 | MUST | network | Echo requests are answered
RFC 1122 | 3.3.1.4 | MUST | network | A neighbour that is gone is found
RFC 1122 | 3.3.2 | MUST | network | Fragments of a packet that stays incomplete are given up after a while
RFC 1122 | 4.2.3.9 | MUST | network | ICMP errors about segments reach TCP
RFC 826 | - | - | network | ARP: requests are answered, the sender is learned
RFC 5227 | 2.1.1 | MUST | network | An address is probed before it is used | note: one that DHCP gave always; one that was configured where \`probeAddress\` says so, else it is used at once, and a station that has it is found and told of by 2.4
RFC 5227 | 2.3 | MUST | network | An address that is used is announced twice
RFC 5227 | 2.4 | MUST | network | An address is defended, seldom enough to start no war
RFC 2131 | 3.1 | MUST | network | How an address is allocated: a NAK begins it anew, one that is in use is declined
RFC 2131 | 4.1 | MUST | network | Messages: retransmission at random times, options in the fields for names
RFC 2131 | 4.4.1 | MUST | network | From the first message to the lease, and what is not believed | note: without the wait of one to ten seconds before the first message (SHOULD)
RFC 2131 | 4.4.2 | - | network | A client that knows its last address asks for that one | not met: nothing is kept beyond the process; its lease is given back when it ends in good order
RFC 2131 | 4.4.3 | - | network | A client with a configured address asks for other settings | n/a: these are configured as well
RFC 2131 | 4.4.4 | - | network | What goes to all, and what to one server
RFC 2131 | 4.4.5 | MUST | network | Renewal, rebinding, and the end of a lease
RFC 2131 | 4.4.6 | - | network | The lease is given back
RFC 2132 | 3.3 | - | network | The mask
RFC 2132 | 5.1 | - | network | The MTU of the interface | note: from 576 bytes on
RFC 3442 | - | MUST | network | Classless routes stand in place of the routers
RFC 2710 | 4 | MUST | network | To a router of version 1 each group is reported by itself
RFC 3590 | 4 | MUST | network | Groups are reported from a link-local address, or from none while there is none
RFC 3810 | 5.1.14 | MUST | network | Which queries are valid
RFC 3810 | 6.1 | MUST | network | A group that was joined or left is told of at once, and once more
RFC 3810 | 6.2 | MUST | network | Queries are answered, within the time that they give
RFC 3810 | 8.2.1 | MUST | network | While a router of version 1 is there, its version is spoken
RFC 4861 | 5.2 | MUST | network | What goes to a neighbour by itself, and what by a router
RFC 4861 | 7.1 | MUST | network | Which messages of neighbours are valid
RFC 4861 | 7.2.2 | MUST | network | Neighbour solicitations: to all first, three times, once a second
RFC 4861 | 7.2.4 | MUST | network | Solicitations are answered
RFC 4861 | 7.2.5 | MUST | network | Advertisements: what the flags of each change
RFC 4861 | 7.3.1 | - | network | Progress of a connection shows that the neighbour is there
RFC 4861 | 7.3.2 | - | network | States of a neighbour
RFC 4861 | 7.3.3 | MUST | network | When a neighbour that is not heard of is asked, and given up
RFC 4861 | 10 | - | network | The times and counts of neighbour discovery
RFC 4861 | 6.1.2 | MUST | network | Which advertisements of routers are valid
RFC 4861 | 6.3.4 | - | network | Router advertisements: default router, prefixes, MTU, hop limit | note: with 'slaac'; the hop limit is only raised, the time between retransmissions stays one second
RFC 4861 | 6.3.6 | SHOULD | network | A default router that does not answer makes room for another one
RFC 4861 | 6.3.7 | SHOULD | network | Routers are asked for
RFC 7559 | 2 | SHOULD | network | Routers are asked for until one answers, ever more seldom
RFC 4862 | 5.4 | MUST | network | An address is used when nobody else is found to have it
RFC 4862 | 5.4.2 | MUST | network | The probes for an address
RFC 4862 | 5.4.3 | MUST | network | A probe of another for an address that is being probed: neither has it
RFC 4862 | 5.4.4 | MUST | network | An answer to a probe: the address is another's
RFC 4862 | 5.5.3 | MUST | network | Addresses made from advertised prefixes, and their lifetimes
RFC 4862 | 5.5.4 | MUST | network | Addresses that are deprecated, and those that are not valid any more
RFC 7217 | 5 | MUST | network | Interface identifiers that are stable and opaque | note: the interface is named by its link address; there is no Network_ID
RFC 7217 | 6 | MUST | network | Another identifier where another station has the address
RFC 4443 | 2.4 | MUST | network | ICMPv6 errors: to whom not, how large, how often
RFC 4443 | 3.2 | MUST | network | "Packet too big" reaches TCP
RFC 4443 | 3.4 | MUST | network | A packet with something unknown in its header is told of as a parameter problem
RFC 4443 | 4.2 | MUST | network | Echo requests are answered
RFC 8200 | 3 | MUST | network | Headers that are broken, and addresses that cannot be
RFC 8200 | 4 | MUST | network | Extension headers are walked in any order
RFC 8200 | 4.2 | MUST | network | What an unknown option says is to be done with its packet
RFC 8200 | 4.5 | MUST | network | Fragments, whole ones included
RFC 8200 | 5 | - | stack | No packet needs to be smaller than 1280 bytes
RFC 8200 | 8.1 | MUST | network | The pseudo-header of the checksum
RFC 4291 | 2.7 | MUST NOT | network | No packet comes from a multicast address
RFC 4942 | 2.2 | SHOULD | network | Nor, on a wire, from an IPv4 address in IPv6 form
RFC 3493 | 3.7 | - | interface | IPv4 peers of an IPv6 socket have mapped addresses
RFC 3493 | 5.3 | - | interface | A listener of IPv6 alone
RFC 6437 | 3 | SHOULD | network | All packets of a connection have one flow label, which is hard to guess
RFC 6724 | 5 | MUST | network | Which source address goes with a destination
RFC 6946 | 4 | MUST | network | A packet that is a fragment by itself disturbs no others
RFC 7112 | 5 | MUST | network | All headers of a packet are in its first fragment
RFC 5952 | 4 | - | interface | The text of an IPv6 address
RFC 1191 | 3 | MUST | network | A path MTU that a router tells is taken over, and forgotten after a while
RFC 1191 | 4 | - | network | A router that is too old to tell the MTU of the next hop
RFC 1191 | 6.3 | SHOULD | network | A smaller path MTU is forgotten after ten minutes
RFC 1191 | 6.4 | MUST | stack | TCP sends what was too big again, in smaller segments
RFC 1191 | 7.1 | - | network | A router that tells no MTU: the next of the usual sizes
RFC 8201 | 4 | MUST | network | The path MTU of IPv6, never less than 1280
RFC 8201 | 5.4 | MUST | stack | The MSS announced does not depend on the path MTU
RFC 2923 | 2.1 | - | stack | Black holes: a path that swallows large packets without a word
RFC 4821 | 7.2 | - | stack | The range that is searched, and the size that segments have meanwhile
RFC 4821 | 7.3 | - | stack | Sizes to probe with
RFC 4821 | 7.5 | MUST | stack | A probe of a larger size, without harm where it is lost
RFC 4821 | 7.6 | MUST | stack | What a probe that arrives, or is lost, changes
RFC 4821 | 7.7 | MUST | stack | A path that swallows large packets is found, and smaller ones are sent
`);

/** Options, estimates, loss recovery. */
export const RECOVERY = readTable(`
RFC 6691 | 2 | MUST | stack | The MSS leaves options out of account; segments are smaller by them
RFC 7323 | 2 | - | stack | Scaling and timestamps survive a SYN cookie
RFC 7323 | 2.2 | MUST | stack | Windows are scaled where both ends said so, but for those of SYNs
RFC 7323 | 2.3 | MUST | stack | A shift above 14 counts as 14
RFC 7323 | 3.2 | MUST | stack | Timestamps: in every segment where agreed on; a segment without is dropped, a reset is not
RFC 7323 | 4.1 | SHOULD | stack | Round trips are measured by timestamps, retransmissions too
RFC 7323 | 4.3 | MUST | stack | Which timestamp is echoed
RFC 7323 | 5.3 | MUST | stack | PAWS: a segment with an old timestamp is acknowledged and dropped
RFC 7323 | 5.4 | SHOULD | stack | Timestamps begin at an offset of their own for each connection
RFC 7323 | 5.5 | - | stack | A timestamp that is 24 days old says nothing
RFC 7323 | 7.1 | SHOULD | stack | Timestamps of one connection tell nothing of others
RFC 2018 | 2 | - | stack | SACK is agreed on in the handshake
RFC 2018 | 3 | - | stack | Three blocks beside timestamps, four without
RFC 2018 | 4 | SHOULD | stack | Blocks: that of the latest segment first, then those told before
RFC 2018 | 5 | SHOULD | stack | What the peer has is not sent again
RFC 2018 | 8 | MUST | stack | Text is kept until it is acknowledged: blocks may be taken back
RFC 2883 | 4 | SHOULD | stack | Text that came twice is told, once
RFC 2883 | 5 | - | stack | The sender sees from it that a retransmission was needless
RFC 6298 | 2 | MUST | stack | The RTO from the round trips: its start, smoothing and bounds | note: the least RTO is 200 ms, as in Linux, and a setting; the RFC says one second
RFC 6298 | 3 | MUST | stack | Karn: what was sent twice is not measured
RFC 6298 | 5 | MUST | stack | The timer: started, restarted, doubled; 3 s behind a SYN that was lost
RFC 5682 | 3.1 | - | stack | F-RTO: after a timeout two new segments show whether it was spurious | note: the form with SACK; without SACK a timeout is taken for what it is
RFC 8985 | 6.1 | - | stack | When each segment was sent is known, also in super-segments
RFC 8985 | 6.2 | - | stack | RACK: what was sent long enough before a delivered segment is lost, retransmissions too
RFC 8985 | 6.3 | - | stack | After a timeout only what was sent long ago is lost
RFC 8985 | 7.2 | - | stack | When a tail loss probe is due
RFC 8985 | 7.3 | - | stack | What it carries
RFC 8985 | 7.4 | - | stack | What its acknowledgement tells of losses
RFC 6675 | 4 | - | stack | The scoreboard: what is in flight, what is lost
RFC 6675 | 5 | MUST | stack | Recovery by it: several holes in a round trip, one reduction
RFC 6675 | 5.1 | - | stack | After a timeout: slow start over what is lost
RFC 6582 | 3.2 | - | stack | Without SACK: partial acknowledgements send the next hole
RFC 6582 | 4.1 | - | stack | Duplicates after a timeout begin no new recovery
RFC 3042 | 2 | SHOULD | stack | The first two duplicate acknowledgements let new segments go
RFC 6937 | 3 | - | stack | In recovery as much is sent as the window shrinks, in proportion to what is delivered
RFC 3522 | 3.2 | - | stack | Eifel: the echoed timestamp shows that a retransmission was needless
RFC 4015 | 3 | - | stack | What the window was before a needless retransmission it is again
`);

/** Congestion control. */
export const CONGESTION = readTable(`
RFC 5681 | 2 | - | stack | What a duplicate acknowledgement is
RFC 5681 | 3.1 | MUST | stack | Slow start and congestion avoidance
RFC 5681 | 3.2 | SHOULD | stack | Fast retransmit and fast recovery
RFC 5681 | 4.1 | SHOULD | stack | After an idle time the window is that of a beginning
RFC 5681 | 4.2 | SHOULD | stack | Duplicates at once; an acknowledgement at once where a gap is filled
RFC 6928 | 2 | - | stack | An initial window of ten segments
RFC 3465 | 2.3 | - | stack | Acknowledgements in many pieces do not open the window faster
RFC 9438 | 4.2 | - | stack | CUBIC: the window as a function of the time since the last loss
RFC 9438 | 4.3 | - | stack | On short paths at least as fast as Reno
RFC 9438 | 4.6 | - | stack | Seven tenths at a loss
RFC 9438 | 4.7 | SHOULD | stack | Fast convergence
RFC 9438 | 4.8 | - | stack | After a timeout
RFC 9438 | 4.9 | - | stack | A congestion event that was none is undone
RFC 9438 | 5.8 | - | stack | A window that was not used does not grow
RFC 9406 | 4.2 | - | stack | HyStart++: slow start ends where the delay grows, not where it was a passing one
RFC 7661 | 4.2 | - | stack | Only a window that is used grows
RFC 7661 | 4.3 | - | stack | The window is kept for five minutes in which little is sent | not met: on purpose; as in Linux it decays with the time in which it is not used (RFC 2861)
RFC 7661 | 4.4 | - | stack | A loss in such a time, and its end | not met: on purpose; as for 4.3
RFC 2861 | 3.2 | - | stack | The window decays with the time in which it is not used
RFC 3168 | 5.3 | MUST | network | A mark on one fragment is one on the packet
RFC 3168 | 6.1.1 | MUST | stack | ECN is agreed on in the handshake
RFC 3168 | 6.1.1.1 | SHOULD | stack | A SYN that asks for ECN and is not answered is sent again without it
RFC 3168 | 6.1.2 | MUST | stack | The sender: a mark is as a loss, once a round trip, and is answered with CWR
RFC 3168 | 6.1.3 | MUST | stack | The receiver: marks are told until CWR comes
RFC 3168 | 6.1.4 | MUST NOT | stack | No pure acknowledgement is marked as able
RFC 3168 | 6.1.5 | MUST NOT | stack | Nor a retransmission
RFC 3168 | 6.1.6 | MUST NOT | stack | Nor a window probe
`);

/** Security and the life of a connection. */
export const SECURITY = readTable(`
RFC 5961 | 3.2 | MUST | stack | Only a reset with the very next sequence number resets; others in the window are challenged
RFC 5961 | 4.2 | MUST | stack | A SYN on a connection is challenged
RFC 5961 | 5.2 | MUST | stack | An acknowledgement of what was never sent, or long ago, is challenged
RFC 5961 | 7 | SHOULD | stack | Challenges are rationed
RFC 5961 | 10 | - | stack | The ration tells an attacker nothing
RFC 6528 | 3 | - | stack | Sequence numbers ascend for each connection and tell nothing of others
RFC 6056 | 3.3 | SHOULD | stack | Ephemeral ports are hard to guess
RFC 6056 | 3.3.4 | - | stack | Ephemeral ports ascend for each peer, from a place of its own
RFC 1337 | 2 | - | stack | What is left of a connection does not harm the next one
RFC 1337 | 3 | - | stack | Where it is set so, a reset does not end TIME-WAIT
RFC 6429 | 5 | - | stack | Peers that never open their window do not hold all memory
RFC 4987 | 3.3 | - | stack | SYN-ACKs are sent again less often under pressure
RFC 4987 | 3.5 | - | stack | Half-open connections are bounded
RFC 4987 | 4 | - | stack | A flood of SYNs leaves room for honest peers
RFC 4987 | 3.6 | - | stack | SYN cookies where half-open connections have no room
RFC 792 | - | - | stack | Source quench is passed over
RFC 6633 | 3 | MUST | stack | Source quench is passed over, also where it names a connection
RFC 5927 | 4.1 | - | stack | An ICMP error must be about a segment in flight
RFC 5927 | 5.2 | - | stack | A hard error is a soft one to a connection that stands
RFC 5927 | 7 | - | stack | A forged "packet too big" does little
RFC 5461 | 4 | - | stack | While opening, an error that may pass ends the attempt
RFC 6093 | 6 | - | interface | Urgent data stays in its place in the stream
RFC 5482 | 2 | - | interface | A user timeout for a connection | note: of the local end; the option that tells the peer of it (section 3) is not sent
RFC 6191 | 2 | - | stack | A SYN with a later timestamp opens anew a connection in TIME-WAIT
RFC 1122 | 4.2.2.13 | - | stack | A SYN with a higher sequence number does
RFC 2525 | 2.17 | - | stack | Bytes that nobody will read are answered with a reset
`);

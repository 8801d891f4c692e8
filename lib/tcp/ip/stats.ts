/**
 * Counters of IP, ARP and ICMP, in packets, since the start; named as `nstat` names them on Linux where it has them
 * (RFC 4293, RFC 5132). One object for all interfaces.
 */
export class IpStats {
  /** Packets that arrived with the type IPv4, good or bad. */
  IpInReceives = 0;
  /** Header not valid: version, lengths, checksum. */
  IpInHdrErrors = 0;
  /** Not for this host, or from an address that nobody can have. */
  IpInAddrErrors = 0;
  /** For this host, of a protocol that it does not have. */
  IpInUnknownProtos = 0;
  /** Dropped for other reasons: source-routed, or sent to this host by a link broadcast. */
  IpInDiscards = 0;
  /** Handed to ICMP or TCP. */
  IpInDelivers = 0;
  IpOutRequests = 0;
  /** No room in the device or among the packets that wait for a neighbour. */
  IpOutDiscards = 0;
  IpOutNoRoutes = 0;
  /** Fragments that arrived. */
  IpReasmReqds = 0;
  /** Packets put together of them. */
  IpReasmOKs = 0;
  /** Packets given up: refused, too late, or forgotten to make room for others. */
  IpReasmFails = 0;
  /** Packets that did not become whole in time. Counts in IpReasmFails too. */
  IpReasmTimeout = 0;
  /** Packets of which two fragments overlapped. Counts in IpReasmFails too. */
  IpExtReasmOverlaps = 0;
  /** Frame shorter than the packet says it is. Counts in IpInHdrErrors too. */
  IpExtInTruncatedPkts = 0;
  /** Wrong header checksum. Counts in IpInHdrErrors too. */
  IpExtInCsumErrors = 0;
  IpExtInOctets = 0;
  IpExtOutOctets = 0;
  /** Source addresses that cannot be. Counts in IpInAddrErrors too. */
  IpExtInMartians = 0;

  /** The same of IPv6, as in /proc/net/snmp6. */
  Ip6InReceives = 0;
  /** Version, or an extension header that is not as it must be. */
  Ip6InHdrErrors = 0;
  Ip6InAddrErrors = 0;
  Ip6InUnknownProtos = 0;
  /** Frame or packet shorter than its headers say. */
  Ip6InTruncatedPkts = 0;
  Ip6InDiscards = 0;
  Ip6InDelivers = 0;
  Ip6InMcastPkts = 0;
  Ip6InOctets = 0;
  Ip6OutRequests = 0;
  Ip6OutDiscards = 0;
  Ip6OutNoRoutes = 0;
  Ip6OutMcastPkts = 0;
  Ip6OutOctets = 0;
  Ip6ReasmReqds = 0;
  Ip6ReasmOKs = 0;
  Ip6ReasmFails = 0;
  Ip6ReasmTimeout = 0;
  Ip6ReasmOverlaps = 0;

  /** Segments with a bad header or checksum. */
  TcpInErrs = 0;
  TcpInCsumErrors = 0;

  IcmpInMsgs = 0;
  IcmpInErrors = 0;
  IcmpInCsumErrors = 0;
  IcmpInDestUnreachs = 0;
  IcmpInTimeExcds = 0;
  IcmpInParmProbs = 0;
  IcmpInRedirects = 0;
  IcmpInEchos = 0;
  IcmpOutMsgs = 0;
  IcmpOutEchoReps = 0;
  IcmpOutDestUnreachs = 0;
  IcmpOutTimeExcds = 0;
  /** Answers not given because of a rate limit. */
  IcmpOutRateLimitHost = 0;

  Icmp6InMsgs = 0;
  Icmp6InErrors = 0;
  Icmp6InCsumErrors = 0;
  Icmp6InDestUnreachs = 0;
  Icmp6InPktTooBigs = 0;
  Icmp6InTimeExcds = 0;
  Icmp6InParmProblems = 0;
  Icmp6InEchos = 0;
  Icmp6InEchoReplies = 0;
  Icmp6InRouterSolicits = 0;
  Icmp6InRouterAdvertisements = 0;
  Icmp6InNeighborSolicits = 0;
  Icmp6InNeighborAdvertisements = 0;
  Icmp6InRedirects = 0;
  /** Queries for the groups that this host is in. */
  Icmp6InGroupMembQueries = 0;
  Icmp6OutMsgs = 0;
  Icmp6OutDestUnreachs = 0;
  Icmp6OutTimeExcds = 0;
  Icmp6OutParmProblems = 0;
  Icmp6OutEchoReplies = 0;
  Icmp6OutRouterSolicits = 0;
  Icmp6OutNeighborSolicits = 0;
  Icmp6OutNeighborAdvertisements = 0;
  /** Of groups: reports and farewells of MLD version 1, reports of version 2. */
  Icmp6OutGroupMembResponses = 0;
  Icmp6OutGroupMembReductions = 0;
  Icmp6OutMLDv2Reports = 0;
  Icmp6OutRateLimitHost = 0;

  /** Own IPv6 addresses that another station turned out to have before they were used (RFC 4862 5.4). */
  NdpDuplicates = 0;
  /** Another station says that it has an address that this host uses. */
  NdpInConflicts = 0;

  /** Frames of the link that were too short, for another station, or of a type that is not handled. */
  LinkInTruncated = 0;
  LinkInOtherHost = 0;
  LinkInUnknownTypes = 0;

  ArpInRequests = 0;
  ArpInReplies = 0;
  /** Packets that make no sense, or speak for an address that cannot be a neighbour's. */
  ArpInErrors = 0;
  /** Another station says that it has this host's address (RFC 5227). */
  ArpInConflicts = 0;
  ArpOutRequests = 0;
  ArpOutReplies = 0;
  /** Answers not given because of the rate limit or because the device had no room. */
  ArpOutDiscards = 0;

  /** Messages of DHCP servers to this host, and those that made no sense or were not waited for. */
  DhcpInMsgs = 0;
  DhcpInErrors = 0;
  DhcpOutMsgs = 0;
  /** Leases that have begun, have been extended, and have ended against this host's will. */
  DhcpLeases = 0;
  DhcpRenewals = 0;
  DhcpLost = 0;

  /** Neighbours that did not answer. */
  NeighResFailed = 0;
  /** Packets dropped while they waited for a neighbour. */
  NeighUnresolvedDiscards = 0;
  /** Neighbours forgotten to make room for others. */
  NeighForcedGc = 0;
}

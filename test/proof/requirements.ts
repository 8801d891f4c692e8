/** Every requirement that docs/conformance.md speaks of, in its order. */
import { APPENDIX_B } from './appendix_b.js';
import { BELOW_TCP, CONGESTION, RECOVERY, RFC_9293, SECURITY } from './other_rfcs.js';
import type { Requirement } from './requirement.js';

export const REQUIREMENTS: readonly Requirement[] = [
  ...APPENDIX_B,
  ...[...RFC_9293, ...RECOVERY, ...CONGESTION, ...SECURITY, ...BELOW_TCP],
];

/** What the RFCs are about, by number. */
export const TITLES: Readonly<Record<number, string>> = {
  791: 'IPv4', 792: 'ICMP', 826: 'ARP', 1071: 'the Internet checksum', 1122: 'requirements of hosts',
  1191: 'path MTU discovery', 1337: 'hazards of TIME-WAIT',
  1624: 'updates of the checksum', 1858: 'tiny fragments', 2018: 'SACK', 2525: 'known problems of implementations',
  2710: 'multicast listener discovery',
  2131: 'DHCP', 2132: 'options of DHCP', 2861: 'window validation', 2883: 'DSACK', 2923: 'problems of path MTU discovery',
  3042: 'limited transmit', 3128: 'tiny fragments', 3168: 'ECN', 3442: 'classless routes of DHCP', 3465: 'byte counting',
  3493: 'the socket interface of IPv6', 3522: 'Eifel detection',
  3590: 'sources of multicast listener discovery', 3810: 'multicast listener discovery, version 2',
  4015: 'Eifel response', 4291: 'IPv6 addresses', 4443: 'ICMPv6', 4821: 'packetization layer path MTU discovery',
  4861: 'neighbour discovery', 4862: 'stateless addresses', 4942: 'security of the transition to IPv6',
  4987: 'SYN floods', 5227: 'address conflicts', 5461: 'soft errors', 5482: 'user timeout', 5681: 'congestion control',
  5682: 'F-RTO', 5722: 'overlapping fragments', 5927: 'ICMP attacks', 5952: 'the text of addresses',
  5961: 'blind in-window attacks', 6056: 'ephemeral ports', 6093: 'urgent data', 6191: 'TIME-WAIT and timestamps',
  6298: 'the retransmission timer', 6429: 'peers that keep their window closed', 6437: 'flow labels',
  6528: 'initial sequence numbers', 6582: 'NewReno', 6633: 'the end of source quench',
  6675: 'recovery by SACK', 6691: 'MSS', 6724: 'the choice of addresses', 6864: 'the identification of IPv4',
  6928: 'the initial window', 6937: 'proportional rate reduction', 6946: 'atomic fragments',
  7112: 'oversized header chains', 7126: 'packets with IP options', 7217: 'stable interface identifiers', 7323: 'window scaling and timestamps',
  7559: 'solicitations of routers',
  7661: 'window validation', 8200: 'IPv6', 8201: 'path MTU discovery for IPv6', 8985: 'RACK-TLP', 9293: 'TCP',
  9406: 'HyStart++', 9438: 'CUBIC',
};

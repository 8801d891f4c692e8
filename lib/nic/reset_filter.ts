/**
 * Keeps the kernel's resets from the wire for ports of its address that are another TCP's: a table of nftables in the namespace of the
 * calling thread. As `nft list ruleset` shows it:
 *
 * ```
 *   table ip tcp-offload-RANDOM {
 *     flags owner
 *     set ports { type inet_service; }
 *     chain output {
 *       type filter hook output priority raw; policy accept;
 *       ip protocol tcp ip saddr ADDRESS tcp sport @ports tcp flags & rst == rst meta mark != MARK drop
 *     }
 *   }
 * ```
 */
import { BASE_NETWORK, BASE_TRANSPORT, drop, equal, mask, meta, META_MARK, NFPROTO_IPV4, notEqual, payload, PORTS, PortTable, within } from './nftables.js';

const NF_INET_LOCAL_OUT = 3;
const PROTOCOL_TCP = 6;
const TCP_RST = 4;

export class ResetFilter extends PortTable {
  /**
   * @param address of IPv4, whose kernel is to be silent. @param mark SO_MARK of the resets that are the other TCP's, which pass.
   * @throws SystemError EPERM without CAP_NET_ADMIN, EOPNOTSUPP before Linux 5.12, and the like.
   */
  constructor(address: Uint8Array, mark: number) {
    const detail = "cannot keep the kernel's resets from the wire by a rule of nftables; it needs CAP_NET_ADMIN and Linux 5.12 or later with nf_tables";
    super({ family: NFPROTO_IPV4, chain: 'output', hook: NF_INET_LOCAL_OUT, rules: [dropResets(address, mark)] }, detail);
  }
}

function dropResets(address: Uint8Array, mark: number): Uint8Array[] {
  const markBytes = new Uint8Array(Uint32Array.of(mark).buffer); // in the order of this machine
  return [
    payload(BASE_NETWORK, 9, 1), equal(Uint8Array.of(PROTOCOL_TCP)),
    payload(BASE_NETWORK, 12, 4), equal(address),
    payload(BASE_TRANSPORT, 0, 2), within(PORTS),
    payload(BASE_TRANSPORT, 13, 1), mask(TCP_RST), equal(Uint8Array.of(TCP_RST)),
    meta(META_MARK), notEqual(markBytes),
    drop(),
  ];
}

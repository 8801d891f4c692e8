/**
 * Keeps segments to TCP ports that are another TCP's from the kernel, on one interface: a table of nftables in the namespace of the calling
 * thread, at netdev ingress, which lies behind the taps of packet sockets and before all of the kernel's IP. As `nft list ruleset` shows it:
 *
 * ```
 *   table netdev tcp-offload-RANDOM {
 *     flags owner
 *     set ports { type inet_service; }
 *     set addresses4 { type ipv4_addr; elements = { ADDRESS, ... } }
 *     set addresses6 { type ipv6_addr; elements = { ADDRESS, ... } }
 *     chain ingress {
 *       type filter hook ingress device "IFNAME" priority -300; policy accept;
 *       meta protocol ip meta l4proto tcp tcp dport @ports ip daddr @addresses4 drop
 *       meta protocol ip6 meta l4proto tcp tcp dport @ports ip6 daddr @addresses6 drop
 *     }
 *   }
 * ```
 *
 * A later fragment has no ports and passes; without its first one it comes to nothing in the kernel.
 */
import {
  BASE_NETWORK, BASE_TRANSPORT, drop, equal, IPV4_ADDRESS, IPV6_ADDRESS, meta, META_L4PROTO, META_PROTOCOL, NFPROTO_NETDEV, payload, PORTS, PortTable, within,
} from './nftables.js';
import type { FixedSet } from './nftables.js';

const NF_NETDEV_INGRESS = 0;
const PROTOCOL_TCP = 6;
const IPV4 = { length: 4, ethertype: Uint8Array.of(0x08, 0x00), destinationAt: 16, set: 'addresses4', type: IPV4_ADDRESS };
const IPV6 = { length: 16, ethertype: Uint8Array.of(0x86, 0xdd), destinationAt: 24, set: 'addresses6', type: IPV6_ADDRESS };

export class IngressFilter extends PortTable {
  /**
   * @param name of the interface. @param addresses that the ports are of, 4 or 16 bytes each.
   * @throws SystemError EPERM without CAP_NET_ADMIN, EOPNOTSUPP before Linux 5.12 or without the hook, and the like.
   */
  constructor(name: string, addresses: readonly Uint8Array[]) {
    const families = [IPV4, IPV6].filter(({ length }) => addresses.some((address) => address.length === length));
    super({
      family: NFPROTO_NETDEV,
      chain: 'ingress',
      hook: NF_NETDEV_INGRESS,
      interface: name,
      sets: families.map(({ set, type, length }): FixedSet => ({ name: set, type, elements: addresses.filter((address) => address.length === length) })),
      rules: families.map(({ ethertype, destinationAt, length, set }) => [
        meta(META_PROTOCOL), equal(ethertype),
        meta(META_L4PROTO), equal(Uint8Array.of(PROTOCOL_TCP)),
        payload(BASE_TRANSPORT, 2, 2), within(PORTS),
        payload(BASE_NETWORK, destinationAt, length), within(set),
        drop(),
      ]),
    }, `cannot keep the TCP server's ports on "${name}" from the kernel by a rule of nftables; it needs CAP_NET_ADMIN, and Linux 5.12 or later with nf_tables and its ingress hook (CONFIG_NF_TABLES_NETDEV, CONFIG_NETFILTER_INGRESS)`);
  }
}

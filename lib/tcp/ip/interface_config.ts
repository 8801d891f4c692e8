/** What is configured of an interface, and what follows of it for the routes. */
import type { Device, HostNetwork } from '../../nic/device.js';
import { ADDRESS_WORDS, formatDotted, isMapped, parseAddress, parsePrefix } from '../wire/address.js';
import type { AddressOrigin } from './own_address.js';
import type { Routes } from './routes.js';
import type { Routes6 } from './routes6.js';

export interface InterfaceConfig {
  device: Device;
  /** Payload memory that spans refer to: the memory that the device was opened with. */
  memory: Uint8Array;
  /**
   * Own addresses, each with the bits that its neighbours share: at most one of IPv4, "192.0.2.1/24", and any number of IPv6,
   * "2001:db8::1/64". One in 127.0.0.0/8, and ::1, make this the loopback, which own addresses are reached by.
   */
  addresses: readonly string[];
  /** Next hop for what is on no link, one for each family at most. That of the first interface that has one is used. */
  gateways?: readonly string[];
  /**
   * The network of a kernel that has the same addresses, on Ethernet: its neighbours and routes hold, and it is its to answer whoever asks
   * for what is no port in use here. There may be several addresses of IPv4 then, and there are no gateways.
   */
  host?: HostNetwork | null;
  /**
   * Solicitations that ask whether another station has an own IPv6 address before it is used (RFC 4862 5.1), on Ethernet; 0:
   * none, it is used at once. Default 1.
   */
  dadTransmits?: number;
  /**
   * An IPv4 address, with what goes with it, is to be leased of a DHCP server; on Ethernet, where none is among `addresses`.
   * `clientId`: as option 61 has it, 2 to 255 bytes; null: by the link address.
   */
  dhcp?: { readonly clientId: Uint8Array | null } | null;
  /**
   * IPv6 addresses are to be formed of prefixes that the routers of the link advertise, and these are the routers; on Ethernet.
   * `secret`: 16 bytes, from which the interface identifiers are derived (RFC 7217 5).
   */
  slaac?: { readonly secret: Uint8Array } | null;
  /**
   * False where another stack with the same addresses is the one that announces them, looks whether they are its alone, and answers for them what is
   * no connection's. Default true.
   */
  answers?: boolean;
  /** The IPv4 address is probed for before it is used (RFC 5227 2.1.1), which takes four to seven seconds. Default: it is used at once. */
  probe?: boolean;
}

/** What was configured of an interface. */
export interface Configured {
  readonly four: { readonly address: number; readonly prefix: number; readonly gateway: string | null } | null;
  /** It has an address of IPv6. */
  readonly six: boolean;
}

/**
 * Enters the addresses and routers of an interface, but for an IPv4 address of Ethernet, which is `OwnAddress`'s.
 *
 * @throws TypeError or RangeError where an address, prefix or gateway makes no sense.
 */
export function configure(
  index: number, { device, addresses, gateways = [], host = null, dhcp = null }: InterfaceConfig, routes: Routes, routes6: Routes6,
): Configured {
  const words = new Int32Array(ADDRESS_WORDS);
  const isFour = (text: string): boolean => parseAddress(text, words, 0) && isMapped(words, 0);
  const gateway = gateways.find(isFour) ?? null;
  let four: Configured['four'] = null;
  let six = false;
  for (const address of addresses) {
    const prefix = parsePrefix(address, words, 0);
    if (!isMapped(words, 0)) {
      routes6.add(index, words, prefix);
      six = true;
      continue;
    }
    if ((four !== null || dhcp !== null) && host === null) throw new RangeError('an interface has one IPv4 address at most');
    four ??= { address: words[3]!, prefix, gateway };
    if (device.capabilities.medium !== 'ethernet' || host !== null) routes.add(index, formatDotted(words[3]!), prefix, gateway);
  }
  for (const each of gateways) if (!isFour(each)) routes6.setRouter(index, each);
  return { four, six };
}

/** How an Ethernet interface comes by its IPv4 address; null where it is to have none. */
export function originOf({ dhcp = null, probe = false }: InterfaceConfig, { four }: Configured): AddressOrigin | null {
  if (dhcp !== null) return { kind: 'dhcp', ...dhcp };
  return four === null ? null : { kind: 'configured', ...four, probed: probe };
}

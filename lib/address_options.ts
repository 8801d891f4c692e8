/** The check of the options that say where a TCP server is: its addresses and its routers, of both families. */
import { invalidType, invalidValue } from './errors.js';
import { DHCP, SLAAC, fixedAddresses } from './runtime/config.js';
import {
  ADDRESS_WORDS, commonPrefix, formatAddress, isLinkLocal6, isLoopback4, isLoopback6, isMapped, isMulticast6, isUnspecified6, parseAddress,
  parsePrefix, sameAddress,
} from './tcp/wire/address.js';

/** Addresses that one TCP server may have: its packet filter looks through them for each packet of IPv6. */
const ADDRESSES_MOST = 16;
/** Before the 32 bits of an IPv4 address stand these. */
const MAPPED_BITS = 96;

/** Stands for the addresses that the kernel has on the interface. */
const SHARED = 'shared';
/** Devices that can have them. */
const SHARING = /^(?:packet|xdp):/;
/** Devices with Ethernet of their own, where a network can give addresses. */
const NETWORKED = /^(?:packet|macvlan|tap):/;

interface OwnAddress {
  readonly text: string;
  readonly words: Int32Array;
  /** Bits, counted from the front of the four words. */
  readonly prefix: number;
  readonly isIPv4: boolean;
}

/**
 * True for 'shared', alone or as the one element of a list.
 *
 * @throws TypeError ERR_INVALID_ARG_VALUE where it stands among addresses, or the device is none that can be shared.
 */
export function isBeside(given: unknown, device: string): boolean {
  const list: unknown[] = Array.isArray(given) ? given : [given];
  if (!list.includes(SHARED)) return false;
  if (list.length > 1) throw invalidValue('options.address', given, "must be 'shared' alone, or addresses", 'All that the kernel has on the interface are shared');
  if (SHARING.test(device)) return true;
  if (device.startsWith('raw:')) {
    throw invalidValue('options.address', given, `must be an address with the device '${device}'`, 'A raw device always shares one: write the address that the kernel has on that interface');
  }
  throw invalidValue('options.address', given, `goes with a packet or AF_XDP device, not with '${device}'`, "Name a network interface that the kernel uses, such as 'packet:eth0' or 'xdp:eth0'");
}

/**
 * Addresses, as one text or a list, in the form in which RFC 5952 writes them; DHCP and SLAAC stand as they are.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE.
 */
export function checkAddresses(given: unknown, device: string): readonly string[] {
  const mend = "Write the TCP server's own address and its network's prefix length, such as '198.18.0.2/24' or '2001:db8::2/64', or a list of them; 'dhcp' or 'slaac' for one that the network gives; or 'shared' with a packet or AF_XDP device";
  if (device === 'loopback') {
    if (given === undefined) return Object.freeze([]);
    const fault = 'must be left out on the loopback device, which has 127.0.0.0/8 and ::1';
    throw invalidValue('options.address', given, fault, "Leave it out, or name a device such as 'packet:eth0'");
  }
  if (given === undefined) throw invalidValue('options.address', given, `must be given with the device '${device}'`, mend);
  const list = listOf('options.address', given, mend);
  if (list.length === 0 || list.length > ADDRESSES_MOST) {
    throw invalidValue('options.address', given, `must hold 1 to ${ADDRESSES_MOST} addresses`, mend);
  }
  const own: OwnAddress[] = [];
  const checked: string[] = [];
  for (const { name, value } of list) {
    if (value === DHCP || value === SLAAC) {
      if (!NETWORKED.test(device)) throw invalidValue(name, value, `goes with a device that has Ethernet, not with '${device}'`, "Write addresses, or take a packet, macvlan or tap device");
      if (checked.includes(value)) throw invalidValue(name, value, 'must not be there twice', mend);
      checked.push(value);
      continue;
    }
    const address = ownAddress(name, value, mend);
    if (own.some(({ words }) => sameAddress(words, 0, address.words, 0))) throw invalidValue(name, value, 'must not be there twice', mend);
    if (address.isIPv4 && own.some(({ isIPv4 }) => isIPv4)) throw invalidValue(name, value, 'must not be a second IPv4 address', mend);
    own.push(address);
    checked.push(address.text);
  }
  if (checked.includes(DHCP) && own.some(({ isIPv4 }) => isIPv4)) {
    throw invalidValue('options.address', given, "must hold 'dhcp' or an IPv4 address, not both", mend);
  }
  if (device.startsWith('raw:') && own.some(({ isIPv4 }) => !isIPv4)) {
    throw invalidValue('options.address', given, `must be one IPv4 address with the device '${device}'`, 'Write the address that the kernel has on that interface');
  }
  return Object.freeze(checked);
}

/**
 * Routers, as one text or a list of at most one of each family.
 *
 * @param addresses what `checkAddresses` returned. @param beside what `isBeside` returned. @throws as `checkAddresses`.
 */
export function checkGateways(given: unknown, addresses: readonly string[], beside = false): readonly string[] {
  if (given === undefined || given === null) return Object.freeze([]);
  if (beside) throw invalidValue('options.gateway', given, "must be left out with the address 'shared'", "The kernel's routes hold: ip route");
  const mend = "Write the router's address, such as '198.18.0.1' or 'fe80::1', or a list of one for each family, or leave it out";
  const list = listOf('options.gateway', given, mend);
  const own = fixedAddresses(addresses).map((text) => ownAddress('options.address', text, mend));
  const gateways: { text: string; isIPv4: boolean }[] = [];
  for (const { name, value } of list) {
    const words = new Int32Array(ADDRESS_WORDS);
    if (!parseAddress(value, words, 0)) throw invalidValue(name, value, "must have the form 'A.B.C.D' or 'X:X::X'", mend);
    if (addresses.length === 0) throw invalidValue(name, value, 'must be left out on the loopback device', 'Leave it out');
    const isIPv4 = isMapped(words, 0);
    const source = isIPv4 ? DHCP : SLAAC;
    if (addresses.includes(source)) throw invalidValue(name, value, `must be left out with the address '${source}', with which the router is told`, 'Leave it out');
    const alike = own.filter((address) => address.isIPv4 === isIPv4);
    if (gateways.some((other) => other.isIPv4 === isIPv4)) throw invalidValue(name, value, 'must not be a second one of its family', mend);
    if (alike.some((address) => sameAddress(address.words, 0, words, 0))) throw invalidValue(name, value, "must not be the TCP server's own address", mend);
    const near = alike.some((address) => commonPrefix(address.words, 0, words, 0) >= address.prefix);
    if (!near && (isIPv4 || alike.length === 0 || !isLinkLocal6(words, 0))) {
      const networks = alike.map(({ text }) => text);
      if (networks.length === 0) throw invalidValue(name, value, `needs an address of its family beside it`, mend);
      throw invalidValue(name, value, `must be within ${networks.join(' or ')}${isIPv4 ? '' : ', or link-local'}`, mend);
    }
    gateways.push({ text: formatAddress(words, 0), isIPv4 });
  }
  return Object.freeze(gateways.map(({ text }) => text));
}

function listOf(name: string, given: unknown, mend: string): { name: string; value: string }[] {
  const list: unknown[] = Array.isArray(given) ? given : [given];
  return list.map((value, index) => {
    const place = Array.isArray(given) ? `${name}[${index}]` : name;
    if (typeof value !== 'string') throw invalidType(place, ['string'], value, mend);
    return { name: place, value };
  });
}

function ownAddress(name: string, given: string, mend: string): OwnAddress {
  const words = new Int32Array(ADDRESS_WORDS);
  let prefix = 0;
  try {
    prefix = parsePrefix(given, words, 0);
  } catch {
    // It is told below.
  }
  if (prefix === 0) throw invalidValue(name, given, "must have the form 'A.B.C.D/len' or 'X:X::X/len'", mend);
  const isIPv4 = isMapped(words, 0);
  const fault = isIPv4 ? notAHost4(words[3], prefix) : notAHost6(words);
  if (fault !== null) throw invalidValue(name, given, fault, mend);
  return { text: `${formatAddress(words, 0)}/${prefix}`, words, prefix: isIPv4 ? MAPPED_BITS + prefix : prefix, isIPv4 };
}

/** What keeps an IPv4 address from being that of a host (RFC 1122 3.2.1.3). */
function notAHost4(address: number, prefix: number): string | null {
  const first = address >>> 24;
  if (first === 0 || first >= 224) return 'must be the address of one host';
  if (isLoopback4(address)) return "must not be of 127.0.0.0/8, which is the loopback device's";
  const host = (address & (prefix === 32 ? 0 : -1 >>> prefix)) >>> 0;
  if (prefix < 31 && (host === 0 || host === 2 ** (32 - prefix) - 1)) return 'must not be the address of the whole network or its broadcast';
  return null;
}

/** The same for IPv6 (RFC 4291 2.5, 2.7). */
function notAHost6(words: Int32Array): string | null {
  if (isLoopback6(words, 0)) return "must not be ::1, which is the loopback device's";
  if (isUnspecified6(words, 0) || isMulticast6(words, 0)) return 'must be the address of one host';
  if ((words[0] | words[1] | words[2]) === 0) return 'must not be an IPv4 address in the form of IPv6';
  return null;
}

/** Finds out which devices work on this machine, for this user, by opening each of them and closing it again. */
import { readFileSync } from 'node:fs';
import { release } from 'node:os';
import type { Device } from '../nic/device.js';
import { DEVICE_REGION_LENGTH } from '../nic/device.js';
import { ARPHRD_ETHER, bringUp } from '../nic/interfaces.js';
import { addAddress, addLink, readLinks } from '../nic/links.js';
import { alias, deviceMemory } from '../nic/memory.js';
import { enterNewNamespace } from '../nic/netns.js';
import { openDevice, type OpenOptions } from '../nic/open.js';
import { RouteSocket } from '../nic/route_netlink.js';
import { EPERM, type SystemError } from '../nic/system_error.js';
import { openRawSocket } from '../runtime/raw_carrier.js';
import { type KnownLink, knownLinks } from './devices.js';

export type DeviceKind = 'packet' | 'shared' | 'xdp' | 'xdp-shared' | 'macvlan' | 'tap' | 'tun' | 'raw' | 'loopback';

export interface Finding {
  /** Kind of device; 'shared', 'xdp-shared': a packet device, and AF_XDP, with the address 'shared'. */
  readonly kind: DeviceKind;
  readonly works: boolean;
  /** Interface that it was tried on; null: none. */
  readonly triedOn: string | null;
  /** What is missing and how to get it; null where it works. */
  readonly problem: string | null;
  /** Name of the system's error, such as EPERM; null: none. */
  readonly code: string | null;
  /** How it works, where there are several ways; null: it does not, or there is one. */
  readonly way: string | null;
}

export interface Diagnosis {
  readonly version: string;
  readonly node: string;
  readonly kernel: string;
  readonly architecture: string;
  readonly user: number;
  /** Tried in a network namespace that was made for it; else on the interfaces that there are. */
  readonly ownNamespace: boolean;
  readonly devices: readonly Finding[];
}

/** Interfaces of a namespace of our own, and an address there. */
const PROBE = 'probe0';
const PROBE_TUN = 'probe1';
const PROBE_ADDRESS = Uint8Array.of(198, 18, 0, 1);
const PROBE_PREFIX = 24;
/** One that nobody has, in a network for documentation (RFC 5737): nothing is taken from the kernel. */
const TRIED_ADDRESS = Uint8Array.of(192, 0, 2, 1);
const IFNAMSIZ = 16;

/** An interface to try on, or why there is none. */
type Place = { readonly name: string; readonly address?: Uint8Array } | { readonly wanting: string };

/** Where each kind is tried. */
interface Places {
  readonly ethernet: Place;
  /** With an address of the kernel's. */
  readonly shared: Place;
  /** With one of IPv4; of any kind of link. */
  readonly raw: Place;
  readonly tap: string;
  readonly tun: string;
}

export function diagnose(): Diagnosis {
  const { version } = JSON.parse(readFileSync(new URL('../../../package.json', import.meta.url), 'utf8')) as { version: string };
  const ownNamespace = isolate();
  const places = ownNamespace ? makePlaces() : findPlaces();
  const shared = new SharedArrayBuffer(DEVICE_REGION_LENGTH);
  const memory = deviceMemory(alias(shared), 0, DEVICE_REGION_LENGTH);
  const open = (spec: string, options: OpenOptions = {}): Device => openDevice(spec, memory, shared, options);
  const openXdp = (name: string, options: OpenOptions): string | undefined => {
    // An interface that is in use is to notice nothing.
    const device = open(`xdp:${name}`, { ...options, onlyGeneric: !ownNamespace });
    device.close();
    return device.description;
  };
  const devices = [
    tryOn('packet', places.ethernet, (name) => open(`packet:${name}`).close()),
    tryOn('shared', places.shared, (name) => open(`packet:${name}`, { beside: true }).close()),
    tryOn('xdp', places.ethernet, (name) => openXdp(name, { filterAddresses: [TRIED_ADDRESS] })),
    tryOn('xdp-shared', places.shared, (name) => openXdp(name, { beside: true })),
    tryOn('macvlan', places.ethernet, (name) => open(`macvlan:${name}`).close()),
    tryOn('tap', { name: places.tap }, (name) => open(`tap:${name}`).close()),
    tryOn('tun', { name: places.tun }, (name) => open(`tun:${name}`).close()),
    tryOn('raw', places.raw, (name, address) => {
      openRawSocket(`raw:${name}`).close();
      open(`raw:${name}`, { filterAddresses: [address] }).close();
    }),
    tryOn('loopback', { name: '' }, () => open('loopback').close()),
  ];
  return { version, node: process.version, kernel: release(), architecture: process.arch, user: process.geteuid?.() ?? 0, ownNamespace, devices };
}

/** Goes into a namespace of its own where it may. */
function isolate(): boolean {
  try {
    enterNewNamespace();
    return true;
  } catch (error) {
    if ((error as SystemError).errno !== -EPERM) throw error;
    return false;
  }
}

/** @param task may say how it works. */
function tryOn(kind: DeviceKind, place: Place, task: (name: string, address: Uint8Array) => string | undefined | void): Finding {
  if ('wanting' in place) return { kind, works: false, triedOn: null, problem: place.wanting, code: null, way: null };
  const triedOn = place.name === '' ? null : place.name;
  try {
    const way = task(place.name, place.address ?? PROBE_ADDRESS) ?? null;
    return { kind, works: true, triedOn, problem: null, code: null, way };
  } catch (error) {
    const { message, code = null } = error as Error & { code?: string };
    return { kind, works: false, triedOn, problem: message, code, way: null };
  }
}

/** Places in a namespace of our own: one end of a veth pair, or else the interface of a TAP device. */
function makePlaces(): Places {
  const socket = new RouteSocket();
  try {
    const made = addLink(socket, { name: PROBE, kind: 'veth' });
    if (made < 0) {
      const none = { wanting: 'no Ethernet interface could be made to try it on, which takes the module veth: modprobe veth' };
      return { ethernet: none, shared: none, raw: none, tap: PROBE_TUN, tun: PROBE_TUN };
    }
    for (const { name, kind } of readLinks(socket)) if (kind === 'veth') bringUp(name);
    addAddress(socket, readLinks(socket).find(({ name }) => name === PROBE)!.index, PROBE_ADDRESS, PROBE_PREFIX);
    const place = { name: PROBE, address: PROBE_ADDRESS };
    return { ethernet: place, shared: place, raw: place, tap: PROBE_TUN, tun: PROBE_TUN };
  } finally {
    socket.close();
  }
}

/** Places among the interfaces that there are. */
function findPlaces(): Places {
  const links = knownLinks();
  const up = links.filter(({ link }) => link.up && link.kind !== 'loopback');
  const ethernet = up.filter(({ link }) => link.hardware === ARPHRD_ETHER && link.kind !== 'tap');
  const wanting = 'there is no Ethernet interface that is up to try it on (ip link), and without CAP_SYS_ADMIN none can be made: run as root';
  const of = (known: KnownLink | undefined, without: string): Place => {
    if (known === undefined) return { wanting: without };
    const address = known.addresses.find(({ address: { length } }) => length === 4)?.address;
    return { name: known.link.name, ...(address === undefined ? {} : { address }) };
  };
  return {
    ethernet: of(ethernet[0], wanting),
    shared: of(ethernet.find(({ addresses }) => addresses.length > 0), `${wanting.replace('interface that', 'interface with an address that')}`),
    raw: of(up.find(({ addresses }) => addresses.some(({ address }) => address.length === 4)), 'there is no interface with an address of IPv4 that is up to try it on (ip address): run as root'),
    tap: tunName(links, 'tap'),
    tun: tunName(links, 'tun'),
  };
}

/** An interface that was made for this user, or else a name that is free. */
function tunName(links: readonly KnownLink[], mode: 'tap' | 'tun'): string {
  const own = links.find(({ link: { kind, owner } }) => kind === mode && owner !== null && owner === process.geteuid?.());
  if (own !== undefined) return own.link.name;
  const [first, other] = [`${mode}0`, `${mode}${process.pid}`] as const;
  return links.some(({ link: { name } }) => name === first) ? other.slice(0, IFNAMSIZ - 1) : first;
}

/** With Ethernet there may be a network that gives addresses. */
const OF_NETWORK = "with an address of its own, or of the network ('dhcp', 'slaac')";

/** What each kind is written as. */
const SPELLING: Readonly<Record<DeviceKind, string>> = {
  packet: `'packet:IFNAME' ${OF_NETWORK}`, shared: "'packet:IFNAME' with the address 'shared'", xdp: "'xdp:IFNAME'",
  'xdp-shared': "'xdp:IFNAME' with the address 'shared'",
  macvlan: `'macvlan:IFNAME' ${OF_NETWORK}`,
  tap: `'tap:IFNAME' ${OF_NETWORK}`, tun: "'tun:IFNAME'", raw: "'raw:IFNAME'", loopback: "'loopback'",
};

export function describeDiagnosis({ version, node, kernel, architecture, user, ownNamespace, devices }: Diagnosis): string {
  const place = ownNamespace ? 'in a network namespace of its own' : 'on the interfaces that there are';
  return [
    `tcp-offload ${version}, Node.js ${node}, Linux ${kernel} on ${architecture}, ${user === 0 ? 'root' : `user ${user}`}; tried ${place}`,
    '',
    ...devices.flatMap(({ kind, works, triedOn, problem, way }) => [
      `${kind.padEnd(10)} ${works ? `works: ${SPELLING[kind]}${way === null ? '' : ` (${way})`}` : `does not work${triedOn === null || ownNamespace ? '' : ` on ${triedOn}`}`}`,
      ...(problem === null ? [] : [`           ${problem}`]),
    ]),
    '',
  ].join('\n');
}

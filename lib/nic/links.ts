/** The kernel's network interfaces by netlink (rtnetlink(7)): all that there are with what they have, and interfaces that are made. */
import { bytesAttribute, concat, nestedAttribute, NLM_F_CREATE, NLM_F_EXCL, textAttribute } from './netlink.js';
import { ADDRESS_MESSAGE, attributes, IFA_ADDRESS, IFA_LOCAL, numberIn, reading, type RouteSocket, RTM_NEWADDR } from './route_netlink.js';
import { AF_INET, AF_INET6 } from './syscalls.js';
import { SystemError } from './system_error.js';

const AF_UNSPEC = 0;
const RTM_NEWLINK = 16;
const RTM_DELLINK = 17;
const RTM_GETLINK = 18;
const RTM_SETLINK = 19;

// struct ifinfomsg, and attributes of a link.
const LINK_MESSAGE = 16;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const IFLA_ADDRESS = 1;
const IFLA_IFNAME = 3;
const IFLA_MTU = 4;
const IFLA_LINK = 5;
const IFLA_LINKINFO = 18;
const IFLA_AF_SPEC = 26;
const IFLA_NUM_RX_QUEUES = 32;
const IFLA_INET_CONF = 1;
const IPV4_DEVCONF_FORWARDING = 1;
const IFLA_INET6_ADDR_GEN_MODE = 8;
const IN6_ADDR_GEN_MODE_NONE = 1;
const IFLA_INFO_KIND = 1;
const IFLA_INFO_DATA = 2;
const IFLA_TUN_OWNER = 1;
const IFLA_TUN_TYPE = 3;
const IFF_TAP = 2;
const ARPHRD_LOOPBACK = 772;

export interface Link {
  readonly name: string;
  readonly index: number;
  /** 'loopback', 'tap', 'tun', what a virtual interface is called by `ip -d link` ('veth', 'bridge', ...), or 'hardware'. */
  readonly kind: string;
  /** ARPHRD_*. */
  readonly hardware: number;
  /** Administratively up. */
  readonly up: boolean;
  /** There is something at the other end. */
  readonly carrier: boolean;
  readonly mtu: number;
  /** Link address; empty without one. */
  readonly mac: Uint8Array;
  /** User that a TAP or TUN interface was made for; null: none. */
  readonly owner: number | null;
  /** Receive queues that there can be. */
  readonly receiveQueues: number;
}

/** Interfaces in the namespace of the socket. */
export function readLinks(socket: RouteSocket): Link[] {
  return reading(() => {
    const links: Link[] = [];
    socket.dump(RTM_GETLINK, AF_UNSPEC, (type, view, at, end) => {
      if (type === RTM_NEWLINK) links.push(linkOf(view, at, end));
    });
    return links;
  });
}

function linkOf(view: DataView, at: number, end: number): Link {
  const found = attributes(view, at + LINK_MESSAGE, end);
  const flags = view.getUint32(at + 8, true);
  const hardware = view.getUint16(at + 2, true);
  const info = inner(found.get(IFLA_LINKINFO));
  const data = inner(info.get(IFLA_INFO_DATA));
  let kind = hardware === ARPHRD_LOOPBACK ? 'loopback' : textIn(info.get(IFLA_INFO_KIND)) || 'hardware';
  const isTun = kind === 'tun';
  if (isTun && data.get(IFLA_TUN_TYPE)?.[0] === IFF_TAP) kind = 'tap';
  const owner = isTun ? data.get(IFLA_TUN_OWNER) : undefined;
  return {
    name: textIn(found.get(IFLA_IFNAME)),
    index: view.getInt32(at + 4, true),
    kind,
    hardware,
    up: (flags & IFF_UP) !== 0,
    carrier: (flags & IFF_RUNNING) !== 0,
    mtu: numberIn(found.get(IFLA_MTU), 0),
    mac: found.get(IFLA_ADDRESS) ?? new Uint8Array(0),
    owner: owner === undefined ? null : numberIn(owner, 0),
    receiveQueues: numberIn(found.get(IFLA_NUM_RX_QUEUES), 1),
  };
}

function inner(value: Uint8Array | undefined): Map<number, Uint8Array> {
  const bytes = value ?? new Uint8Array(0);
  return attributes(new DataView(bytes.buffer, bytes.byteOffset, bytes.length), 0, bytes.length);
}

function textIn(value: Uint8Array | undefined): string {
  return value === undefined ? '' : new TextDecoder().decode(value.subarray(0, value.indexOf(0)));
}

export interface NewLink {
  readonly name: string;
  /** As `ip link add type` has it. */
  readonly kind: string;
  /** Index of the interface that it stands on; none where it stands on none. */
  readonly parent?: number;
  /** Link address. Default: one that the kernel makes up. */
  readonly mac?: Uint8Array;
  /** Attributes of its kind. */
  readonly data?: readonly Uint8Array[];
  /** IFF_* that it has beside those that the kernel gives it. */
  readonly flags?: number;
}

/** Makes an interface, down at first. Returns 0 or -errno: EEXIST, EPERM without CAP_NET_ADMIN, EOPNOTSUPP where the kernel has no such kind. */
export function addLink(socket: RouteSocket, { name, kind, parent, mac, data = [], flags = 0 }: NewLink): number {
  const message = new Uint8Array(LINK_MESSAGE);
  new DataView(message.buffer).setUint32(8, flags, true);
  new DataView(message.buffer).setUint32(12, flags, true); // those that are set here
  return socket.request(RTM_NEWLINK, NLM_F_CREATE | NLM_F_EXCL, concat([
    message,
    textAttribute(IFLA_IFNAME, name),
    ...(parent === undefined ? [] : [bytesAttribute(IFLA_LINK, new Uint8Array(Int32Array.of(parent).buffer))]),
    ...(mac === undefined ? [] : [bytesAttribute(IFLA_ADDRESS, mac)]),
    nestedAttribute(IFLA_LINKINFO, textAttribute(IFLA_INFO_KIND, kind), ...(data.length === 0 ? [] : [nestedAttribute(IFLA_INFO_DATA, ...data)])),
  ]));
}

/**
 * Keeps the kernel's IP from what arrives by an interface as far as netlink can: it gives itself no addresses of IPv6 there, and forwards no
 * IPv4. What the kernel has not (IPv6, say) is passed over.
 */
export function standAside(socket: RouteSocket, index: number): void {
  const message = new Uint8Array(LINK_MESSAGE);
  new DataView(message.buffer).setInt32(4, index, true);
  const noForwarding = nestedAttribute(AF_INET, nestedAttribute(IFLA_INET_CONF, bytesAttribute(IPV4_DEVCONF_FORWARDING, new Uint8Array(4))));
  const noAddresses = nestedAttribute(AF_INET6, bytesAttribute(IFLA_INET6_ADDR_GEN_MODE, Uint8Array.of(IN6_ADDR_GEN_MODE_NONE)));
  for (const setting of [noForwarding, noAddresses]) socket.request(RTM_SETLINK, 0, concat([message, nestedAttribute(IFLA_AF_SPEC, setting)]));
}

/** Removes an interface. Returns 0 or -errno. */
export function removeLink(socket: RouteSocket, index: number): number {
  const message = new Uint8Array(LINK_MESSAGE);
  new DataView(message.buffer).setInt32(4, index, true);
  return socket.request(RTM_DELLINK, 0, message);
}

/** Gives an interface an address of IPv4, 4 bytes. @throws SystemError. */
export function addAddress(socket: RouteSocket, index: number, address: Uint8Array, prefix: number): void {
  const message = new Uint8Array(ADDRESS_MESSAGE);
  message[0] = AF_INET;
  message[1] = prefix;
  new DataView(message.buffer).setInt32(4, index, true);
  const result = socket.request(RTM_NEWADDR, NLM_F_CREATE | NLM_F_EXCL, concat([message, bytesAttribute(IFA_LOCAL, address), bytesAttribute(IFA_ADDRESS, address)]));
  if (result < 0) throw new SystemError(-result, 'write', `cannot give an interface the address ${address.join('.')}`);
}

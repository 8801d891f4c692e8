/**
 * What a TCP server can be started with: the options, their defaults in one table, and their check, once, at the door. What
 * stands behind sees a frozen object in which nothing is left out.
 */
import { existsSync } from 'node:fs';
import { dirname, resolve } from 'node:path';
import { checkAddresses, checkGateways, isBeside } from './address_options.js';
import { invalidType, invalidValue, outOfRange } from './errors.js';
import { fixedAddresses } from './runtime/config.js';
import type { FaultConfig, ServerConfig } from './runtime/config.js';
import { BLOCK_BYTES } from './runtime/layout.js';
import { LIMIT_CHOICES, LIMIT_RANGES, stackLimits } from './tcp/limits.js';
import type { StackLimits } from './tcp/limits.js';
import { checkCpu, checkServers, checkThread } from './thread_options.js';

/** Impairments that the device adds on both ways, for tests. Drawn from `seed`, so that a run can be repeated. */
export interface FaultOptions {
  /** Share of frames that are lost, 0 to 1. Default 0. */
  loss?: number;
  /** Time that every frame takes more, ms, 0 to 10,000. Default 0. */
  delay?: number;
  /** Share of frames that come after later ones, 0 to 1. Default 0. */
  reorder?: number;
  /** Share of frames that come twice, 0 to 1. Default 0. */
  duplicate?: number;
  /** Share of frames in which a bit is flipped, 0 to 1. Default 0. */
  corrupt?: number;
  /** Bits per second that pass, up to 1e12; 0: any number. Default 0. */
  rate?: number;
  /** Any integer of 32 bits. Default 1. */
  seed?: number;
}

/** Settings of TCP, all of which hold for every connection; each is described where it is declared, its range is in LIMIT_RANGES. */
export type TcpSettings = Partial<Omit<StackLimits, 'receiveBuffer'>>;

/** Options of `TcpServer.start`. */
export interface TcpServerOptions {
  /**
   * Where frames come from and go to. Default 'loopback'.
   *
   * - 'loopback': 127.0.0.0/8 and ::1 inside the TCP server, for which no privilege is needed.
   * - 'packet:IFNAME': a network interface, which needs CAP_NET_RAW.
   * - 'xdp:IFNAME': the same through AF_XDP: frames for the TCP server's addresses are taken from the driver before the kernel's network sees
   *   them, by a program that goes with the process. It needs CAP_BPF, CAP_NET_ADMIN and CAP_NET_RAW, CAP_IPC_LOCK or a RLIMIT_MEMLOCK of 12 to 36 MiB, and
   *   Linux 5.10. Over veth, checksums have to be filled in at the other end: `ethtool -K PEER tx off`.
   * - 'macvlan:IFNAME': one more interface on that one, with a link address of its own, made for as long as the TCP server runs. The kernel's
   *   own traffic on IFNAME stays as it is; this machine and the TCP server do not reach each other by it. It needs CAP_NET_ADMIN and
   *   CAP_NET_RAW, and a link that takes more than one link address, as wireless ones do not.
   * - 'tap:IFNAME', 'tun:IFNAME': a virtual interface whose other end is this machine's kernel, or a bridge: 'tap' with Ethernet, 'tun'
   *   without. It is made, for as long as the TCP server runs, where there is none, which needs CAP_NET_ADMIN; one that was made for this
   *   user (`ip tuntap add dev tcp0 mode tap user NAME`) and is up needs no privilege. The address of the kernel's end is the caller's to set.
   *   'tap:IFNAME:N' has N queues of it, 2 to 16, between which the kernel spreads flows; one that is there must have been made with `multi_queue`.
   * - 'raw:IFNAME': raw IP sockets, on an address that the kernel has on that interface: it keeps everything but the TCP ports that are in use
   *   here. IPv4 alone. It needs the npm package raw-socket, the main thread, which carries the packets, CAP_NET_RAW, CAP_NET_ADMIN and Linux
   *   5.12. The process stays until the TCP server is closed.
   */
  device?: string;
  /**
   * Network namespace that the interface is in: a name of `ip netns`, or a path such as '/proc/4711/ns/net'. The thread
   * that opens it goes there for that moment, which needs CAP_SYS_ADMIN. Default: the process's.
   */
  netns?: string | null;
  /**
   * Own address with the length of the network's prefix, 'A.B.C.D/len' or 'X:X::X/len'; or a list of up to 16, one of IPv4 at most.
   * The kernel must not have them (EADDRINUSE), except with a raw device, for which it must.
   *
   * Or 'shared', with a packet or AF_XDP device: those that the kernel has on that interface when the TCP server starts, of both families (temporary ones
   * of RFC 8981 left out). The kernel keeps them, and everything but the TCP ports that are in use here: its own services, ARP, ICMP, UDP.
   * A port is used by one of the two: the other gets EADDRINUSE. Routes and neighbours are the kernel's, followed as they change. Needs
   * CAP_NET_RAW, CAP_NET_ADMIN, and Linux 5.12 with nf_tables; with AF_XDP what that needs, and CAP_PERFMON. Programs of this machine do not
   * reach the TCP server by these addresses.
   *
   * 'dhcp', alone or in a list, is an IPv4 address that a DHCP server of the network leases (RFC 2131), with its router; it is given back
   * when the TCP server is closed. 'slaac' is the IPv6 addresses formed of the prefixes that routers advertise (RFC 4862), and these are
   * the routers. Both with devices that have Ethernet: packet, macvlan, tap. `start` waits for each (`addressTimeout`), and makes sure that
   * nobody has them, which takes seconds. `TcpServer.addresses` tells them, the event 'addresses' that they have changed.
   *
   * Wanted with an interface; the loopback device has
   * 127.0.0.1/8 and ::1. An interface with an IPv6 address gets a link-local one besides, where there is Ethernet, and `start` takes a
   * second longer: no other station may have them (RFC 4862 5.4).
   */
  address?: string | readonly string[];
  /**
   * Router to everything beyond the prefix; or a list of two, one for each family. That of IPv6 may be link-local. Default: none. To be left
   * out with `address: 'shared'`, where the kernel's routes hold.
   */
  gateway?: string | readonly string[] | null;
  /**
   * Ask, before a configured IPv4 address is used on Ethernet, whether another station has it (RFC 5227 2.1.1): `start` takes four to seven seconds more,
   * and is refused with EADDRINUSE where one does. Default false: the address is used at once, and a station that has it as well is
   * found out and told so by the announcements (RFC 5227 2.4). An address of DHCP is asked for in any case.
   */
  probeAddress?: boolean;
  /** How long `start` waits for addresses that come from the network, ms, 1000 to 600,000. ETIMEDOUT after it. Default 30,000. */
  addressTimeout?: number;
  /**
   * By what a DHCP server knows this client, 1 to 254 bytes of UTF-8 (RFC 2132 9.14); another one has another lease. Default: the link
   * address, as of any client; name one where the kernel is a client with the same link address.
   */
  clientId?: string | null;
  /**
   * Text that the interface identifiers of 'slaac' are derived from (RFC 7217): with the same text, prefix and link address the address is
   * the same. Default: the machine's identity, /etc/machine-id.
   */
  addressSecret?: string | null;
  /**
   * Which thread runs the TCP server: 'own', one of its own; or 'app', that of the app that starts it, which must be the main thread. In the
   * app's thread there are no switches and no wake-ups between the two, but while the app computes, or blocks its thread to wait for another one,
   * nobody's packets are answered. Default 'auto': 'app' where `start` is called in the main thread of a process that has one CPU, and none of
   * `servers`, `cpu` and `spin` is given, which are for threads of their own; 'own' everywhere else,
   * and where it starts by itself.
   */
  thread?: 'own' | 'app' | 'auto';
  /**
   * TCP servers that share the addresses, each in a thread of its own with a part of the connections, 1 to 16; for servers whose load is more than one
   * CPU can take. With the loopback device, or a packet device with addresses of its own. 'auto': as many as CPUs are given for them (`cpu`), or one for
   * every two that there are. While little is to be done they run on one CPU together, and on as many as they need when more is (docs/architecture.md).
   * `maxFlows`, `receiveMemory` and `sendMemory` are of each. Default 1.
   */
  servers?: number | 'auto';
  /**
   * CPU that the TCP server is pinned to in a thread of its own, counted from 0, or a list of those that it may run on, or several of them may; null: any.
   * Default 'auto': the last one where there are four or more, or for several TCP servers the last half of them; else any.
   */
  cpu?: number | readonly number[] | 'auto' | null;
  /**
   * Time that the TCP server looks for more work before it sleeps, in a thread of its own or in one that waits itself, µs, 0 to 1,000,000. Default 'auto': up
   * to 50, as long as what comes in makes that worth while; where it has no CPU to itself, only while no thread of the app is at work.
   */
  spin?: number | 'auto';
  /** Connections at once, those in TIME-WAIT included, 16 to 1,000,000. Default 65,536. */
  maxFlows?: number;
  /** Threads that may be attached at once, 1 to 128. Default 16. */
  maxApps?: number;
  /** Bytes of payload that may wait for app threads, all connections together, 1 MiB to 1 GiB. Default 128 MiB. */
  receiveMemory?: number;
  /** Bytes of payload that one app thread may have written and the peers not acknowledged, 256 KiB to 1 GiB. Default 16 MiB. */
  sendMemory?: number;
  /**
   * Bytes that the receive buffer of one connection grows to where the path and the reader are fast enough, 16 KiB to 1 GiB.
   * Default 6 MiB: 500 Mb/s at a round-trip time of 100 ms.
   */
  receiveBuffer?: number;
  /**
   * Bytes that the send buffer of one connection grows to as its congestion window does, 16 KiB to 1 GiB; all connections of a
   * thread share `sendMemory`, of which one has half at most. Default 4 MiB.
   */
  sendBuffer?: number;
  /** How TCP behaves, beyond what is named above. Times are in ms; `TcpSettings` has the meaning and the default of each. */
  tcp?: TcpSettings;
  /** File to capture every frame in, in the format of libpcap. Default: none. */
  pcap?: string | null;
  /** Impairments, for tests. Default: none. */
  fault?: FaultOptions | null;
}

const KiB = 1024;
const MiB = 1024 * KiB;
const GiB = 1024 * MiB;

interface Bounds {
  readonly least: number;
  readonly most: number;
  readonly standard: number;
}

/**
 * Numbers with their bounds. The buffers of a connection are what Linux lets a socket's grow to (`tcp_rmem`, `tcp_wmem`); they
 * do so only where the bandwidth-delay product asks for it, and all connections share the memory. Payload memory is taken
 * from the system only when it is used.
 */
const NUMBERS = {
  maxFlows: { least: 16, most: 1_000_000, standard: 65_536 },
  maxApps: { least: 1, most: 128, standard: 16 },
  receiveMemory: { least: MiB, most: GiB, standard: 128 * MiB },
  sendMemory: { least: 256 * KiB, most: GiB, standard: 16 * MiB },
  receiveBuffer: { least: 16 * KiB, most: GiB, standard: 6 * MiB },
  sendBuffer: { least: 16 * KiB, most: GiB, standard: 4 * MiB },
} as const satisfies Record<string, Bounds>;

const ADDRESS_TIMEOUT: Bounds = { least: 1000, most: 600_000, standard: 30_000 };
/** Bytes of the longest client identifier: an option has 255, of which one is the type. */
const CLIENT_ID_MOST = 254;
const SPIN: Bounds = { least: 0, most: 1_000_000, standard: 0 };
const SHARE: Bounds = { least: 0, most: 1, standard: 0 };

const FAULTS = {
  loss: SHARE,
  delay: { least: 0, most: 10_000, standard: 0 },
  reorder: SHARE,
  duplicate: SHARE,
  corrupt: SHARE,
  rate: { least: 0, most: 1e12, standard: 0 },
  seed: { least: -(2 ** 31), most: 2 ** 32 - 1, standard: 1 },
} as const satisfies Record<keyof FaultOptions, Bounds>;

const NAMES: readonly (keyof TcpServerOptions)[] = [
  'device', 'netns', 'address', 'gateway', 'probeAddress', 'addressTimeout', 'clientId', 'addressSecret', 'thread', 'servers', 'cpu', 'spin', 'maxFlows', 'maxApps', 'receiveMemory', 'sendMemory', 'receiveBuffer', 'sendBuffer',
  'tcp', 'pcap', 'fault',
];

/** Longest name of a network interface, bytes (IFNAMSIZ - 1). */
const INTERFACE_NAME = 15;
/** Queues of a TAP or TUN interface that one TCP server may serve. */
const QUEUES_MOST = 16;

/**
 * Checks options and fills in what was left out.
 *
 * @throws TypeError ERR_INVALID_ARG_TYPE, ERR_INVALID_ARG_VALUE or RangeError ERR_OUT_OF_RANGE; each names the option, what was
 *   given, and what to write instead.
 */
export function checkOptions(options: TcpServerOptions = {}): ServerConfig {
  objectOf('options', options, NAMES);
  const device = checkDevice(options.device);
  const beside = isBeside(options.address, device);
  const addresses = beside ? Object.freeze([]) : checkAddresses(options.address, device);
  const sizes = {
    maxFlows: whole('options.maxFlows', options.maxFlows, NUMBERS.maxFlows),
    maxApps: whole('options.maxApps', options.maxApps, NUMBERS.maxApps),
    receiveBlocks: Math.ceil(whole('options.receiveMemory', options.receiveMemory, NUMBERS.receiveMemory) / BLOCK_BYTES),
    sendBlocks: Math.ceil(whole('options.sendMemory', options.sendMemory, NUMBERS.sendMemory) / BLOCK_BYTES),
  };
  const thread = checkThread(options.thread);
  const cpu = checkCpu(options.cpu);
  const foreign = beside || fixedAddresses(addresses).length < addresses.length;
  const receiveBuffer = whole('options.receiveBuffer', options.receiveBuffer, NUMBERS.receiveBuffer);
  return Object.freeze({
    device,
    netns: optionalText('options.netns', options.netns, 'Give a name that `ip netns` lists, or a path such as /proc/4711/ns/net'),
    addresses,
    beside,
    gateways: checkGateways(options.gateway, addresses, beside),
    probeAddress: checkProbe(options.probeAddress, beside),
    addressTimeoutUs: number('options.addressTimeout', options.addressTimeout, ADDRESS_TIMEOUT) * 1000,
    clientId: checkClientId(options.clientId),
    addressSecret: optionalText('options.addressSecret', options.addressSecret, 'Write a text that nobody knows, or leave it out'),
    thread,
    servers: checkServers(options.servers, { device, thread, cpu, foreign }),
    cpu,
    spinUs: options.spin === undefined || options.spin === 'auto' ? 'auto' : number('options.spin', options.spin, SPIN),
    sizes: Object.freeze(sizes),
    sendBuffer: whole('options.sendBuffer', options.sendBuffer, NUMBERS.sendBuffer),
    tcp: Object.freeze(checkTcp(options.tcp, receiveBuffer, sizes.maxFlows)),
    pcap: checkPcap(options.pcap),
    fault: checkFault(options.fault),
  });
}

function checkDevice(device: unknown): string {
  if (device === undefined) return 'loopback';
  const mend = "Write 'loopback', or 'packet:', 'xdp:', 'macvlan:', 'tap:', 'tun:' or 'raw:' and the name of an interface, such as 'packet:eth0'";
  if (typeof device !== 'string') throw invalidType('options.device', ['string'], device, mend);
  if (device === 'loopback') return device;
  const [, kind, name, queues] = /^(packet|xdp|macvlan|tap|tun|raw):([^\s/:]+)(?::(\d+))?$/.exec(device) ?? [];
  if (name === undefined) throw invalidValue('options.device', device, 'names no device', mend);
  if (Buffer.byteLength(name) > INTERFACE_NAME) {
    throw invalidValue('options.device', device, `must have an interface name of at most ${INTERFACE_NAME} bytes`, '`ip link` lists them');
  }
  if (queues === undefined) return device;
  if (kind !== 'tap' && kind !== 'tun') throw invalidValue('options.device', device, 'has no number of queues, other than a tap or tun device', `Write '${kind}:${name}'`);
  if (Number(queues) < 1 || Number(queues) > QUEUES_MOST) throw invalidValue('options.device', device, `must have 1 to ${QUEUES_MOST} queues`, `Write '${kind}:${name}:4', say`);
  return device;
}

function checkProbe(probe: unknown, beside: boolean): boolean {
  if (probe === undefined) return false;
  if (typeof probe !== 'boolean') throw invalidType('options.probeAddress', ['boolean'], probe);
  if (probe && beside) throw invalidValue('options.probeAddress', probe, "must be left out with the address 'shared'", 'The kernel has it already');
  return probe;
}

function checkClientId(clientId: unknown): string | null {
  const id = optionalText('options.clientId', clientId, 'Write a name that no other client of the network has');
  if (id === null) return null;
  const length = Buffer.byteLength(id);
  if (length > CLIENT_ID_MOST) throw invalidValue('options.clientId', clientId, `must have at most ${CLIENT_ID_MOST} bytes`);
  return id;
}

function checkPcap(pcap: unknown): string | null {
  const path = optionalText('options.pcap', pcap, 'Write the path of a file to capture in');
  if (path === null) return null;
  const file = resolve(path);
  if (!existsSync(dirname(file))) throw invalidValue('options.pcap', path, 'must be a file in a folder that exists', `Make the folder ${dirname(file)}`);
  return file;
}

/** @returns the settings as they hold, every default filled in. */
function checkTcp(tcp: unknown, receiveBuffer: number, maxFlows: number): StackLimits {
  const complete = stackLimits({ receiveBuffer }, maxFlows);
  if (tcp === undefined) return complete;
  objectOf('options.tcp', tcp, Object.keys(complete).filter((name) => name !== 'receiveBuffer'));
  const given = Object.entries(tcp as object).filter(([, value]) => value !== undefined);
  for (const [name, value] of given) checkSetting(`options.tcp.${name}`, name as keyof StackLimits, value);
  const settings = stackLimits({ ...(Object.fromEntries(given) as Partial<StackLimits>), receiveBuffer }, maxFlows);
  for (const [least, most] of ORDERED) {
    if (settings[least] <= settings[most]) continue;
    throw outOfRange(`options.tcp.${least}`, `<= ${settings[most]}, which is options.tcp.${most}`, settings[least]);
  }
  return settings;
}

/** Settings of which the first must not be greater than the second. */
const ORDERED = [
  ['rtoMinMs', 'rtoMaxMs'], ['rtoInitialMs', 'rtoMaxMs'], ['ephemeralFirst', 'ephemeralLast'],
] as const satisfies readonly (readonly [keyof StackLimits, keyof StackLimits])[];

function checkSetting(path: string, name: keyof StackLimits, value: unknown): void {
  const range = (LIMIT_RANGES as Readonly<Record<string, readonly [number, number]>>)[name];
  const choices = (LIMIT_CHOICES as Readonly<Record<string, readonly string[]>>)[name];
  if (range !== undefined) {
    whole(path, value, { least: range[0], most: range[1], standard: 0 });
  } else if (choices !== undefined) {
    if (!choices.includes(value as string)) throw invalidValue(path, value, `must be one of: ${choices.map((each) => `'${each}'`).join(', ')}`);
  } else if (typeof value !== 'boolean') {
    throw invalidType(path, ['boolean'], value);
  }
}

function checkFault(fault: unknown): FaultConfig | null {
  if (fault === undefined || fault === null) return null;
  objectOf('options.fault', fault, Object.keys(FAULTS));
  const given = fault as FaultOptions;
  return Object.freeze({
    loss: number('options.fault.loss', given.loss, FAULTS.loss),
    delayUs: number('options.fault.delay', given.delay, FAULTS.delay) * 1000,
    reorder: number('options.fault.reorder', given.reorder, FAULTS.reorder),
    duplicate: number('options.fault.duplicate', given.duplicate, FAULTS.duplicate),
    corrupt: number('options.fault.corrupt', given.corrupt, FAULTS.corrupt),
    rate: number('options.fault.rate', given.rate, FAULTS.rate),
    seed: whole('options.fault.seed', given.seed, FAULTS.seed),
  });
}

/** Refuses what is no object, and options that there are not: most are misspelt. */
function objectOf(name: string, value: unknown, names: readonly string[]): void {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw invalidType(name, ['object'], value);
  for (const key of Object.keys(value)) {
    if (names.includes(key)) continue;
    throw invalidValue(`${name}.${key}`, (value as Record<string, unknown>)[key], 'is not an option', `There are ${names.join(', ')}`);
  }
}

function optionalText(name: string, value: unknown, mend: string): string | null {
  if (value === undefined || value === null) return null;
  if (typeof value !== 'string') throw invalidType(name, ['string'], value, mend);
  if (value === '' || value.includes('\0')) throw invalidValue(name, value, 'must not be empty', mend);
  return value;
}

function number(name: string, value: unknown, { least, most, standard }: Bounds): number {
  if (value === undefined) return standard;
  if (typeof value !== 'number') throw invalidType(name, ['number'], value, `Write a number from ${least} to ${most}`);
  if (!(value >= least && value <= most)) throw outOfRange(name, `>= ${least} and <= ${most}`, value);
  return value;
}

function whole(name: string, value: unknown, bounds: Bounds): number {
  const checked = number(name, value, bounds);
  if (!Number.isInteger(checked)) throw outOfRange(name, 'an integer', checked);
  return checked;
}

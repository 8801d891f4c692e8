/**
 * One interface: a device, and the link layer on it. Takes the frames of the device apart as far as the IP packet.
 */
import { RX_CHECKSUM_VALID, type Device, type FrameRest, type FrameSink } from '../../nic/device.js';
import type { Clock } from '../clock.js';
import {
  ETHERNET_DESTINATION, ETHERNET_HEADER, MAC_LENGTH, TYPE_ARP, TYPE_IPV4, TYPE_IPV6, ethernetType, isGroupMac, sameMac,
} from '../wire/ethernet.js';
import { FRAGMENT_OFFSET, IPV4_MAX, MORE_FRAGMENTS, PROTOCOL_TCP, ipv4Fragment, ipv4Protocol } from '../wire/ipv4.js';
import { IPV6_MTU_MIN, ipv6NextHeader } from '../wire/ipv6.js';
import type { Arp } from './arp.js';
import type { HostLink } from './host_link.js';
import type { Input } from './input.js';
import type { Input6 } from './input6.js';
import type { Ndp } from './ndp.js';
import type { OwnAddress } from './own_address.js';
import type { Resolution } from './resolver.js';
import type { IpStats } from './stats.js';

/** What knows the neighbours of an interface: ARP and neighbour discovery, or a kernel. */
export interface Links {
  readonly arp: Arp | null;
  readonly ndp: Ndp | null;
  readonly host: HostLink | null;
  /** Its IPv4 address, where there is ARP. */
  readonly own: OwnAddress | null;
}

/** Bytes of a frame within which all headers lie, and what an ICMP error would quote of it. */
const LOOKED_AT = ETHERNET_HEADER + IPV6_MTU_MIN;

export class Interface implements FrameSink {
  readonly index: number;
  readonly device: Device;
  /** Payload memory that the spans of `Device.append` lie in. */
  readonly memory: Uint8Array;
  /** Largest IP packet that the device takes, in bytes. */
  readonly mtu: number;
  /** The same of each family, as a server or a router may have told: no more than that. */
  mtu4: number;
  mtu6: number;
  /** Hop limit of IPv6 packets at least, as a router has told; 0: none has. */
  hopLimit = 0;
  /** Largest IP packet to hand over for segmentation; 0: none. */
  readonly segmentation: number;
  readonly txChecksum: boolean;
  /** Bytes of the link header: that of Ethernet, or none. */
  readonly linkHeader: number;
  /** Link address; empty without one. */
  readonly mac: Uint8Array;
  /** Null where the link needs no link addresses, the interface has no IPv4 address, or a kernel has it as well. */
  readonly arp: Arp | null;
  /** The same for IPv6. */
  readonly ndp: Ndp | null;
  /** The IPv4 address, where it is this interface's to look after. */
  readonly own: OwnAddress | null;
  /** The same, where it comes from a DHCP server, whose messages are its own. */
  private readonly leased: OwnAddress | null;
  /** The kernel's side, where it has the same addresses: what is for no port in use here is the kernel's to answer. */
  readonly host: HostLink | null;
  /** False where what is no connection's of this stack is another's to answer: that of the kernel, or another one with the same addresses. */
  readonly answers: boolean;
  /** How neighbours are found; null where the link needs no link addresses, or the interface has none of the family. */
  readonly resolution: Resolution | null;
  readonly resolution6: Resolution | null;
  private readonly ethernet: boolean;
  private readonly input: Input;
  private readonly input6: Input6;
  private readonly stats: IpStats;
  private readonly clock: Clock;
  /** Where the payload of the frame at hand is to be had from, where it is not in memory yet; else null. */
  rest: FrameRest | null = null;

  constructor(
    index: number, device: Device, memory: Uint8Array, links: Links, answers: boolean, input: Input, input6: Input6, stats: IpStats, clock: Clock,
  ) {
    this.clock = clock;
    const can = device.capabilities;
    this.index = index;
    this.device = device;
    this.memory = memory;
    this.mtu = Math.min(can.mtu, IPV4_MAX);
    this.mtu4 = this.mtu;
    this.mtu6 = this.mtu;
    this.segmentation = Math.min(can.txSegmentation, IPV4_MAX);
    this.txChecksum = can.txChecksum;
    this.ethernet = can.medium === 'ethernet';
    this.linkHeader = this.ethernet ? ETHERNET_HEADER : 0;
    this.mac = can.mac ?? new Uint8Array(MAC_LENGTH);
    this.arp = links.arp;
    this.ndp = links.ndp;
    this.own = links.own;
    this.leased = links.own !== null && links.own.leased ? links.own : null;
    this.host = links.host;
    this.answers = answers && links.host === null;
    this.resolution = links.host === null ? links.arp : links.host.four;
    this.resolution6 = links.host === null ? links.ndp : links.host.six;
    this.input = input;
    this.input6 = input6;
    this.stats = stats;
  }

  /** Takes at most `budget` frames. Returns how many there were. */
  receive(budget: number): number {
    if (this.host !== null) this.host.poll(false);
    return this.device.receive(this, budget);
  }

  /** A long frame: its payload is left where it is for TCP to fetch, where nothing else has to look at it. */
  longFrame(bytes: Uint8Array, offset: number, present: number, length: number, flags: number, segmentSize: number, rest: FrameRest): void {
    if (present >= LOOKED_AT && (flags & RX_CHECKSUM_VALID) !== 0 && isTcp(bytes, offset, this.ethernet)) {
      this.rest = rest;
      this.frame(bytes, offset, length, flags, segmentSize);
      this.rest = null;
      return;
    }
    const at = rest.whole();
    if (at >= 0) this.frame(bytes, at, length, flags, segmentSize);
  }

  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    if (!this.ethernet) {
      if (length > 0 && bytes[offset]! >>> 4 === 6) this.input6.packet(this, bytes, offset, length, flags, segmentSize, false);
      else this.input.packet(this, bytes, offset, length, flags, segmentSize, false);
      return;
    }
    if (length < ETHERNET_HEADER) {
      this.stats.LinkInTruncated++;
      return;
    }
    const toGroup = isGroupMac(bytes, offset + ETHERNET_DESTINATION);
    // A device in promiscuous mode hands over what is for other stations, too.
    if (!toGroup && !sameMac(bytes, offset + ETHERNET_DESTINATION, this.mac, 0)) {
      this.stats.LinkInOtherHost++;
      return;
    }
    const at = offset + ETHERNET_HEADER;
    const left = length - ETHERNET_HEADER;
    const type = ethernetType(bytes, offset);
    if (type === TYPE_IPV4) {
      if (this.leased === null || !this.leased.takes(bytes, at, left, flags, this.clock.now)) {
        this.input.packet(this, bytes, at, left, flags, segmentSize, toGroup);
      }
    } else if (type === TYPE_IPV6 && this.resolution6 !== null) this.input6.packet(this, bytes, at, left, flags, segmentSize, toGroup);
    else if (type === TYPE_ARP && this.arp !== null) this.arp.receive(bytes, at, left, toGroup, this.clock.now);
    else this.stats.LinkInUnknownTypes++;
  }
}

/** True where a frame carries TCP right behind its IP header, and all of an IP packet. */
function isTcp(bytes: Uint8Array, offset: number, ethernet: boolean): boolean {
  const at = ethernet ? offset + ETHERNET_HEADER : offset;
  if (bytes[at]! >>> 4 === 4) return ipv4Protocol(bytes, at) === PROTOCOL_TCP && (ipv4Fragment(bytes, at) & (MORE_FRAGMENTS | FRAGMENT_OFFSET)) === 0;
  return bytes[at]! >>> 4 === 6 && ipv6NextHeader(bytes, at) === PROTOCOL_TCP;
}

/**
 * One interface: a device, and the link layer on it. Takes the frames of the device apart as far as the IP packet.
 */
import type { Device, FrameSink } from '../../nic/device.js';
import {
  ETHERNET_DESTINATION, ETHERNET_HEADER, MAC_LENGTH, TYPE_ARP, TYPE_IPV4, ethernetType, isGroupMac, sameMac,
} from '../wire/ethernet.js';
import { IPV4_MAX } from '../wire/ipv4.js';
import type { Arp } from './arp.js';
import type { Input } from './input.js';
import type { IpStats } from './stats.js';

export class Interface implements FrameSink {
  readonly index: number;
  readonly device: Device;
  /** Payload memory that the spans of `Device.append` lie in. */
  readonly memory: Uint8Array;
  /** Own address, int32. */
  readonly address: number;
  /** Largest IP packet, in bytes. */
  readonly mtu: number;
  /** Largest IP packet to hand over for segmentation; 0: none. */
  readonly segmentation: number;
  readonly txChecksum: boolean;
  /** Bytes of the link header: that of Ethernet, or none. */
  readonly linkHeader: number;
  /** Link address; empty without one. */
  readonly mac: Uint8Array;
  /** Null where the link needs no link addresses. */
  readonly arp: Arp | null;
  private readonly input: Input;
  private readonly stats: IpStats;
  /** The time of the turn, in µs. */
  private now = 0;

  /** @param arp for an Ethernet device, else null. */
  constructor(
    index: number, device: Device, memory: Uint8Array, address: number, arp: Arp | null, input: Input, stats: IpStats,
  ) {
    const can = device.capabilities;
    this.index = index;
    this.device = device;
    this.memory = memory;
    this.address = address;
    this.mtu = Math.min(can.mtu, IPV4_MAX);
    this.segmentation = Math.min(can.txSegmentation, IPV4_MAX);
    this.txChecksum = can.txChecksum;
    this.linkHeader = arp === null ? 0 : ETHERNET_HEADER;
    this.mac = can.mac ?? new Uint8Array(MAC_LENGTH);
    this.arp = arp;
    this.input = input;
    this.stats = stats;
  }

  /** Takes at most `budget` frames. Returns how many there were. @param now in µs. */
  receive(now: number, budget: number): number {
    this.now = now;
    return this.device.receive(this, budget);
  }

  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    const arp = this.arp;
    if (arp === null) {
      this.input.packet(this, bytes, offset, length, flags, segmentSize, false, this.now);
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
    if (type === TYPE_IPV4) this.input.packet(this, bytes, at, left, flags, segmentSize, toGroup, this.now);
    else if (type === TYPE_ARP) arp.receive(bytes, at, left, toGroup, this.now);
    else this.stats.LinkInUnknownTypes++;
  }
}

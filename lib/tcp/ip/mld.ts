/**
 * Multicast listener discovery on one Ethernet interface: tells the routers, and the switches that listen in, which groups this host is in
 * (RFC 3810; RFC 2710 to a router that knows no better). Without it a switch that forwards a group only to those who asked for it keeps
 * neighbour solicitations from this host, and nobody finds it.
 */
import type { Earliest } from '../clock.js';
import type { Device } from '../../nic/device.js';
import { ADDRESS_WORDS, copyAddress, isLinkLocal6, isUnspecified6, sameAddress } from '../wire/address.js';
import { getWords } from '../wire/bytes.js';
import { ETHERNET_HEADER, MAC_LENGTH, TYPE_IPV6, emitEthernet } from '../wire/ethernet.js';
import { MLD1_DONE, MLD1_REPORT, MLD2_REPORT, finishIcmp6 } from '../wire/icmp6.js';
import { HOP_BY_HOP, IPV6_HEADER, emitIPv6 } from '../wire/ipv6.js';
import {
  CHANGE_TO_EXCLUDE, CHANGE_TO_INCLUDE, MLD_GROUP, MLD_HOP_LIMIT, MODE_IS_EXCLUDE, RECORD_LENGTH, ROUTER_ALERT_LENGTH, emitMld1, emitMld2Report,
  emitRecord, emitRouterAlert, isMld2Query, isMldQuery, mldMaximumDelay,
} from '../wire/mld.js';
import { setGroupMac } from '../wire/ndp.js';
import { ALL_ROUTERS } from '../wire/router.js';
import { room } from './room.js';
import type { IpStats } from './stats.js';

/** How often a change is told (RFC 3810 9.1), and within which time the next is, µs (9.11). */
const ROBUSTNESS = 2;
const UNSOLICITED_INTERVAL = 1_000_000;
/** How long a router of version 1 is taken to be there after its last query, µs (RFC 3810 9.12, with the intervals of 9.2 and 9.3). */
const OLD_ROUTER_TIME = 260_000_000;
const MS = 1000;
/** A time that has come whatever the time is. */
const AT_ONCE = 0;

/** ff02::16, all routers that know MLDv2. */
const ALL_MLD2_ROUTERS = Int32Array.of(0xff020000, 0, 0, 0x16);

/** A group that this host is in, or has just left. */
class Group {
  readonly words: Int32Array;
  /** Interfaces' addresses that want it: two may have the same group. */
  users = 1;
  /** Times that the last change is still to be told. */
  changesLeft = ROBUSTNESS;
  /** When it is told next, µs. */
  changeAt = AT_ONCE;
  /** When a query about it is answered, µs. */
  answerAt = Infinity;

  constructor(words: Int32Array) {
    this.words = words.slice(0, ADDRESS_WORDS);
  }

  /** Others are to hear of it, from the next `advance` on. */
  change(): void {
    this.changesLeft = ROBUSTNESS;
    this.changeAt = AT_ONCE;
  }
}

export class Mld {
  private readonly device: Device;
  private readonly mac: Uint8Array;
  private readonly stats: IpStats;
  private readonly random: () => number;
  /** Writes the link-local address to send from; returns false where there is none yet. */
  private readonly source: (words: Int32Array, at: number) => boolean;
  private readonly groups: Group[] = [];
  /** Until when a router of version 1 is taken to be there, µs. */
  private oldRouterUntil = -Infinity;
  /** Source and destination of what is sent. */
  private readonly words = new Int32Array(2 * ADDRESS_WORDS);
  private readonly asked = new Int32Array(ADDRESS_WORDS);
  private readonly groupMac = new Uint8Array(MAC_LENGTH);

  /** @param random uniform over 32 bits. */
  constructor(device: Device, mac: Uint8Array, stats: IpStats, random: () => number, source: (words: Int32Array, at: number) => boolean) {
    this.device = device;
    this.mac = mac;
    this.stats = stats;
    this.random = random;
    this.source = source;
  }

  /** An address wants the group of `words`. */
  join(words: Int32Array): void {
    const group = this.find(words);
    if (group === null) this.groups.push(new Group(words));
    else if (group.users++ === 0) group.change();
  }

  /** An address does not want it any more. Returns true where none does. */
  leave(words: Int32Array): boolean {
    const group = this.find(words);
    if (group === null || --group.users > 0) return false;
    group.change();
    group.answerAt = Infinity;
    return true;
  }

  /** There is a link-local address now: routers did not heed what was sent before from none (RFC 3590 4). */
  sourceCame(): void {
    for (const group of this.groups) group.change();
  }

  /**
   * A query of `length` bytes, its checksum good, with a router alert and a hop limit of 1.
   *
   * @param words its source and destination. @returns false where it is not as RFC 3810 5.1.14 wants it.
   */
  receive(bytes: Uint8Array, at: number, length: number, words: Int32Array, now: number): boolean {
    if (!isMldQuery(length) || !isLinkLocal6(words, 0)) return false;
    if (!isMld2Query(length)) this.oldRouterUntil = now + OLD_ROUTER_TIME;
    const delay = mldMaximumDelay(bytes, at, length) * MS;
    getWords(bytes, at + MLD_GROUP, this.asked, 0);
    const all = isUnspecified6(this.asked, 0);
    // One answer tells of all groups (RFC 3810 6.2); to a router of version 1 each group has its own time (RFC 2710 4).
    const common = this.randomTime(delay);
    for (let i = 0; i < this.groups.length; i++) {
      const group = this.groups[i]!;
      if (group.users === 0 || (!all && !sameAddress(group.words, 0, this.asked, 0))) continue;
      const within = this.hasOldRouter(now) ? this.randomTime(delay) : common;
      group.answerAt = Math.min(group.answerAt, now + within);
    }
    return true;
  }

  /** When `advance` next has something to tell. */
  dueBy(next: Earliest): void {
    for (let i = 0; i < this.groups.length; i++) {
      const group = this.groups[i]!;
      next.take(group.answerAt);
      if (group.changesLeft > 0) next.take(group.changeAt);
    }
  }

  advance(now: number): void {
    if (!this.groups.some((group) => isDue(group, now))) return;
    if (this.hasOldRouter(now)) this.tellOldRouter(now);
    else this.tell(now);
    for (let i = this.groups.length - 1; i >= 0; i--) {
      if (this.groups[i]!.users === 0 && this.groups[i]!.changesLeft === 0) this.groups.splice(i, 1);
    }
  }

  /** A report has a record of each group that is due, as many as the link carries. */
  private tell(now: number): void {
    const most = Math.floor((this.device.capabilities.mtu - IPV6_HEADER - ROUTER_ALERT_LENGTH - 8) / RECORD_LENGTH);
    const due = this.groups.filter((group) => isDue(group, now));
    for (let from = 0; from < due.length; from += most) {
      const records = due.slice(from, from + most);
      this.send(MLD2_REPORT, ALL_MLD2_ROUTERS, records, now);
      for (const group of records) this.told(group, now);
    }
  }

  /** Version 1 has a message for each group, sent to the group itself; nothing is said of leaving twice. */
  private tellOldRouter(now: number): void {
    for (const group of this.groups) {
      if (!isDue(group, now)) continue;
      if (group.users > 0) {
        this.send(MLD1_REPORT, group.words, [group], now);
      } else {
        this.send(MLD1_DONE, ALL_ROUTERS, [group], now);
        group.changesLeft = 1;
      }
      this.told(group, now);
    }
  }

  private told(group: Group, now: number): void {
    group.answerAt = Infinity;
    if (group.changesLeft === 0 || group.changeAt > now) return;
    group.changesLeft--;
    group.changeAt = now + this.randomTime(UNSOLICITED_INTERVAL);
  }

  private send(type: number, to: Int32Array, groups: readonly Group[], now: number): void {
    const { device, stats, words, groupMac } = this;
    const at = room(device);
    if (at < 0) {
      stats.Ip6OutDiscards++;
      return;
    }
    // RFC 3590 4: from no address while there is no link-local one.
    if (!this.source(words, 0)) words.fill(0, 0, ADDRESS_WORDS);
    copyAddress(to, 0, words, ADDRESS_WORDS);
    setGroupMac(groupMac, 0, words, ADDRESS_WORDS);
    const { tx } = device;
    emitEthernet(tx, at, groupMac, 0, this.mac, 0, TYPE_IPV6);
    const packet = at + ETHERNET_HEADER;
    const message = packet + IPV6_HEADER + ROUTER_ALERT_LENGTH;
    let length: number;
    if (type === MLD2_REPORT) {
      length = emitMld2Report(tx, message, groups.length);
      for (const group of groups) {
        emitRecord(tx, message + length, recordType(group, now), group.words);
        length += RECORD_LENGTH;
      }
      stats.Icmp6OutMLDv2Reports++;
    } else {
      length = emitMld1(tx, message, type, groups[0]!.words);
      if (type === MLD1_REPORT) stats.Icmp6OutGroupMembResponses++;
      else stats.Icmp6OutGroupMembReductions++;
    }
    finishIcmp6(tx, message, length, words, 0, ADDRESS_WORDS);
    emitRouterAlert(tx, packet + IPV6_HEADER);
    emitIPv6(tx, packet, 0, 0, ROUTER_ALERT_LENGTH + length, HOP_BY_HOP, MLD_HOP_LIMIT, words, 0, ADDRESS_WORDS);
    device.commit(message + length - at, 0, 0);
    stats.Icmp6OutMsgs++;
    stats.Ip6OutRequests++;
    stats.Ip6OutMcastPkts++;
    stats.Ip6OutOctets += IPV6_HEADER + ROUTER_ALERT_LENGTH + length;
  }

  private hasOldRouter(now: number): boolean {
    return now < this.oldRouterUntil;
  }

  /** 0 to `most`, uniformly. */
  private randomTime(most: number): number {
    return Math.floor(((this.random() >>> 0) / 2 ** 32) * most);
  }

  private find(words: Int32Array): Group | null {
    return this.groups.find((group) => sameAddress(group.words, 0, words, 0)) ?? null;
  }
}

function isDue(group: Group, now: number): boolean {
  return group.answerAt <= now || (group.changesLeft > 0 && group.changeAt <= now);
}

/** A change that is due is told as such; it answers a query, too. */
function recordType(group: Group, now: number): number {
  if (group.changesLeft === 0 || group.changeAt > now) return MODE_IS_EXCLUDE;
  return group.users > 0 ? CHANGE_TO_EXCLUDE : CHANGE_TO_INCLUDE;
}

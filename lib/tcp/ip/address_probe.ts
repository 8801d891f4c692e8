/** Finds out by ARP whether another station on the link has an IPv4 address, before it is used (RFC 5227 2.1.1). */
import type { Earliest } from '../clock.js';
import { MAC_LENGTH, copyMac } from '../wire/ethernet.js';

/** Times of RFC 5227 1.1, in µs. */
export const PROBE_WAIT = 1e6;
export const PROBE_NUM = 3;
export const PROBE_MIN = 1e6;
export const PROBE_MAX = 2e6;
export const ANNOUNCE_WAIT = 2e6;

export interface ProbeEvents {
  /** Ask all stations who has the address, on behalf of nobody. */
  ask(address: number): void;
  /** Nobody has it. */
  free(address: number, now: number): void;
  /** The station whose link address is `mac` has it, or looks whether it may have it. `mac` is the probe's own array. */
  taken(address: number, mac: Uint8Array, now: number): void;
}

export class AddressProbe {
  private readonly events: ProbeEvents;
  private readonly random: () => number;
  /** The address that is looked after, int32; 0: none. */
  private address = 0;
  /** Probes that are still to be sent. */
  private left = 0;
  private dueAt = Infinity;
  private readonly mac = new Uint8Array(MAC_LENGTH);

  /** @param random returns 32 random bits. */
  constructor(events: ProbeEvents, random: () => number) {
    this.events = events;
    this.random = random;
  }

  get running(): boolean {
    return this.address !== 0;
  }

  /** Begins, after a random time of up to a second, so that stations that were switched on together do not ask in step. */
  start(address: number, now: number): void {
    this.address = address;
    this.left = PROBE_NUM;
    this.dueAt = now + this.chance() * PROBE_WAIT;
  }

  stop(): void {
    this.address = 0;
    this.dueAt = Infinity;
  }

  advance(now: number): void {
    if (this.dueAt > now) return;
    const { address } = this;
    if (this.left === 0) {
      this.stop();
      this.events.free(address, now);
      return;
    }
    this.left--;
    this.dueAt = now + (this.left > 0 ? PROBE_MIN + this.chance() * (PROBE_MAX - PROBE_MIN) : ANNOUNCE_WAIT);
    this.events.ask(address);
  }

  dueBy(next: Earliest): void {
    next.take(this.dueAt);
  }

  /**
   * An ARP packet of another station. Who sends from the address has it; who probes for it may get it.
   *
   * @param sender,target addresses that the packet names, int32. @param mac the sender's link address at `macAt`.
   */
  heard(sender: number, target: number, request: boolean, mac: Uint8Array, macAt: number, now: number): void {
    const { address } = this;
    if (address === 0 || (sender !== address && !(request && sender === 0 && target === address))) return;
    this.stop();
    copyMac(mac, macAt, this.mac, 0);
    this.events.taken(address, this.mac, now);
  }

  /** 0 to below 1. */
  private chance(): number {
    return (this.random() >>> 0) / 2 ** 32;
  }
}

/**
 * An Ethernet interface that is shared with a kernel on the same addresses: neighbours and routes are the kernel's, and nobody is answered
 * here who asks for what is the kernel's. It takes the place of ARP and neighbour discovery.
 */
import type { Device, HostEvents, HostNetwork, HostRoute } from '../../nic/device.js';
import type { Clock, Earliest } from '../clock.js';
import type { TransportSink } from '../transport.js';
import { ADDRESS_WORDS, isMapped, setMapped } from '../wire/address.js';
import { get32, getWords, putWords } from '../wire/bytes.js';
import { TYPE_IPV4, TYPE_IPV6 } from '../wire/ethernet.js';
import { OVERRIDE, REACHABLE_TIME, SOLICITED } from './neighbours.js';
import { Resolver } from './resolver.js';
import type { Resolution, Solicitor } from './resolver.js';
import type { Routes } from './routes.js';
import type { Routes6 } from './routes6.js';
import type { IpStats } from './stats.js';

export class HostLink implements HostEvents {
  readonly four: HostNeighbours;
  readonly six: HostNeighbours;
  private readonly index: number;
  private readonly network: HostNetwork;
  private readonly routing: Routes;
  private readonly routing6: Routes6;
  private readonly words = new Int32Array(ADDRESS_WORDS);
  private readonly clock: Clock;

  /** @param index of the interface. @param random for the hashes of the tables. */
  constructor(
    index: number, network: HostNetwork, device: Device, mac: Uint8Array, routes: Routes, routes6: Routes6, transport: TransportSink,
    stats: IpStats, random: () => number, clock: Clock,
  ) {
    this.clock = clock;
    this.index = index;
    this.network = network;
    this.routing = routes;
    this.routing6 = routes6;
    this.four = new HostNeighbours(network, device, mac, TYPE_IPV4, transport, stats, random(), clock);
    this.six = new HostNeighbours(network, device, mac, TYPE_IPV6, transport, stats, random(), clock);
  }

  /** Takes what is new in the kernel's network. @param fresh as `HostNetwork.poll` has it. */
  poll(fresh: boolean): void {
    this.network.poll(this.clock.now, this, fresh);
  }

  dueBy(next: Earliest): void {
    next.take(this.network.pollAt());
  }

  neighbour(address: Uint8Array, mac: Uint8Array | null, confirmed: boolean): void {
    const { words } = this;
    if (address.length === 4) setMapped(words, 0, get32(address, 0));
    else getWords(address, 0, words, 0);
    const { neighbours } = (isMapped(words, 0) ? this.four : this.six).resolver;
    if (mac === null) neighbours.lose(words, 0);
    else neighbours.learn(words, 0, mac, 0, confirmed ? SOLICITED | OVERRIDE : OVERRIDE);
  }

  routes(routes: readonly HostRoute[]): void {
    this.routing.follow(this.index, routes.filter(({ network }) => network.length === 4));
    this.routing6.follow(this.index, routes.filter(({ network }) => network.length === 16));
  }
}

/** The neighbours of one family. */
class HostNeighbours implements Resolution, Solicitor {
  readonly resolver: Resolver;
  private readonly network: HostNetwork;
  private readonly bytes = new Uint8Array(16);
  /** The part of `bytes` that is an address. */
  private readonly address: Uint8Array;

  /** @param type TYPE_IPV4 or TYPE_IPV6. @param seed for the table's hash. */
  constructor(network: HostNetwork, device: Device, mac: Uint8Array, type: number, transport: TransportSink, stats: IpStats, seed: number, clock: Clock) {
    this.network = network;
    this.address = type === TYPE_IPV4 ? this.bytes.subarray(12) : this.bytes;
    this.resolver = new Resolver(device, mac, type, this, transport, stats, seed, REACHABLE_TIME, 0, clock);
  }

  solicit(entry: number, everybody: boolean): void {
    putWords(this.bytes, 0, this.resolver.neighbours.addresses, ADDRESS_WORDS * entry);
    this.network.resolve(this.address, !everybody);
  }

  advance(): void {
    this.resolver.neighbours.advance();
  }

  dueBy(next: Earliest): void {
    this.resolver.neighbours.dueBy(next);
  }
}

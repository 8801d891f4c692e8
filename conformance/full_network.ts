/**
 * The network of the driver's full form: a TCP server with its thread, its channel to this thread, and a device through which the
 * driver exchanges packets with it. The clock is the real one.
 */
import { checkOptions } from '../lib/options.js';
import type { AppFlow } from '../lib/runtime/app_api.js';
import type { AppChannel } from '../lib/runtime/app_channel.js';
import type { ChannelFlow } from '../lib/runtime/app_flow.js';
import { ringApp, ringServer, sleepWord } from '../lib/runtime/doorbell.js';
import { CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CTRL_SLEEP, Layout, SLEEP_AWAKE } from '../lib/runtime/layout.js';
import { startServer } from '../lib/runtime/supervisor.js';
import type { RunningServer } from '../lib/runtime/supervisor.js';
import { ExchangePeer } from '../lib/nic/exchange.js';
import { EADDRINUSE, EADDRNOTAVAIL } from '../lib/tcp/errno.js';
import { stackLimits } from '../lib/tcp/limits.js';
import type { StackLimits } from '../lib/tcp/limits.js';
import type { Tcb } from '../lib/tcp/conn/tcb.js';
import { formatAddress, isLoopback4, isLoopback6, isMapped, isUnspecified, parseAddress, sameAddress } from '../lib/tcp/wire/address.js';
import { FullLink } from './full_link.js';
import type { Address, Link, LinkOptions, Listener, Network } from './link.js';

const LOCAL = ['192.168.0.1/16', 'fd3d:a0b:17d6::1/64'];
const GATEWAYS = ['192.168.0.2', 'fd3d:a0b:17d6::2'];
const MAX_FLOWS = 4096;
/** Longest time that things may take to come to rest, in ms: a request is answered then all the same. */
const SETTLE_MS = 2000;

export interface FullNetworkConfig {
  limits: Partial<StackLimits>;
  /** Send buffer of a socket, in bytes. */
  sendBuffer: number;
  /** Takes each packet that leaves, with its time. */
  onPacket: (packet: Uint8Array, now: number) => void;
  /** Something has changed that a call may wait for. */
  onChange: () => void;
}

export class FullNetwork implements Network {
  readonly limits: StackLimits;
  readonly sendBuffer: number;
  readonly #config: FullNetworkConfig;
  readonly #server: RunningServer;
  readonly #words: Int32Array;
  readonly #channel: number;
  readonly #peer: ExchangePeer;
  readonly #started: number;
  readonly #ports = new Set<number>();
  readonly #local = LOCAL.map(addressOf);
  #closed = false;

  private constructor(config: FullNetworkConfig, limits: StackLimits, server: RunningServer, layout: Layout) {
    this.#config = config;
    this.limits = limits;
    this.sendBuffer = config.sendBuffer;
    this.#server = server;
    this.#words = new Int32Array(server.handle.memory);
    this.#channel = layout.channelBase(0);
    this.#peer = new ExchangePeer(server.handle.memory, layout.deviceBase);
    this.#started = this.now();
    void this.#watch();
  }

  static async start(config: FullNetworkConfig): Promise<FullNetwork> {
    const limits = stackLimits(config.limits, MAX_FLOWS);
    const base = checkOptions({ maxFlows: MAX_FLOWS, maxApps: 1, cpu: null, spin: 0 });
    const server = await startServer({
      ...base, device: 'exchange', addresses: LOCAL, gateways: GATEWAYS, sendBuffer: config.sendBuffer, tcp: limits,
    });
    return new FullNetwork(config, limits, server, new Layout(base.sizes));
  }

  /** The records of the flows, read in place. */
  get tcb(): Tcb {
    return (this.#server.port.channels[0] as AppChannel).tcb;
  }

  // ---- time

  /** Wall-clock time in µs that does not run back. */
  now(): number {
    return Math.floor((performance.timeOrigin + performance.now()) * 1000);
  }

  /** µs since the TCP server was up. */
  elapsed(): number {
    return this.now() - this.#started;
  }

  after(us: number, callback: () => void): () => void {
    const timer = setTimeout(callback, us / 1000);
    return () => clearTimeout(timer);
  }

  // ---- packets

  /** Packets that leave by themselves are told as they come. */
  async #watch(): Promise<void> {
    while (!this.#closed) {
      await this.#peer.wait();
      this.#takePackets();
      this.#config.onChange();
    }
  }

  #takePackets(): void {
    for (let packet = this.#peer.take(); packet !== null; packet = this.#peer.take()) this.#config.onPacket(packet, this.now());
  }

  inject(packet: Uint8Array): void {
    // The rings hold more than one request can bring; the packets of every one before it were taken.
    this.#peer.send(packet);
    ringServer(this.#words);
  }

  /** A flow has told something: what was sent before is told first. */
  changed(): void {
    this.#takePackets();
    this.#config.onChange();
  }

  /** Until the TCP server sleeps and nobody has anything to tell the other: all that was asked for has been done. */
  async settle(): Promise<void> {
    const until = performance.now() + SETTLE_MS;
    do {
      // Also what is not urgent is looked at.
      ringServer(this.#words);
      ringApp(sleepWord(this.#words, this.#channel));
      await new Promise((resolve) => setImmediate(resolve));
      this.#takePackets();
    } while (!this.#atRest && performance.now() < until);
    this.#config.onChange();
  }

  get #atRest(): boolean {
    const words = this.#words;
    const channel = this.#channel;
    return Atomics.load(words, CTRL_SLEEP) !== SLEEP_AWAKE && this.#peer.idle
      && Atomics.load(words, channel + CH_SUBMIT_HEAD) === Atomics.load(words, channel + CH_SUBMIT_TAIL)
      && Atomics.load(words, channel + CH_COMPLETE_HEAD) === Atomics.load(words, channel + CH_COMPLETE_TAIL);
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#server.stop();
  }

  // ---- what sockets ask for

  isLocal(address: Address): boolean {
    return this.#local.some((own) => sameAddress(address, 0, own, 0)) || (isMapped(address, 0) && isLoopback4(address[3])) || isLoopback6(address, 0);
  }

  /** The backlog stays as it is: connections are handed to the app thread as soon as they are established, so none wait elsewhere. */
  listen(address: Address, port: number, backlog: number, sixOnly: boolean, onConnection: (link: Link) => void): Listener | number {
    if (!isUnspecified(address, 0) && !this.isLocal(address)) return -EADDRNOTAVAIL;
    const chosen = port === 0 ? this.#freePort() : port;
    if (this.#ports.has(chosen)) return -EADDRINUSE;
    this.#ports.add(chosen);
    let options: LinkOptions | null = null;
    const listener = this.#server.port.listen({ host: formatAddress(address, 0), port: chosen, backlog, ipv6Only: sixOnly }, {
      onListening: () => { /* the request that asked for it is answered when all is done */ },
      onConnection: (flow) => {
        const link = this.#link(flow, new FullLink(this));
        if (options !== null) link.apply(options, '');
        onConnection(link);
        this.changed();
      },
      onError: (errno) => { throw new Error(`port ${chosen} cannot be listened on: errno ${errno}`); },
      onClose: () => { /* the socket has closed it */ },
    });
    return {
      port: chosen,
      setBacklog: () => { /* see above */ },
      apply: (changed) => { options = changed; },
      close: () => {
        this.#ports.delete(chosen);
        listener.close();
      },
    };
  }

  #freePort(): number {
    const { ephemeralFirst, ephemeralLast } = this.limits;
    let port = ephemeralLast;
    while (port > ephemeralFirst && this.#ports.has(port)) port--;
    return port;
  }

  connect(remote: Address, remotePort: number, local: Address | null, localPort: number, options: LinkOptions): Link | number {
    const link = new FullLink(this);
    this.#link(this.#server.port.connect({
      host: formatAddress(remote, 0), port: remotePort, localPort, ...(local === null ? {} : { localAddress: formatAddress(local, 0) }),
    }, link), link);
    link.apply(options, '');
    return link;
  }

  #link(flow: AppFlow, link: FullLink): FullLink {
    link.flow = flow as ChannelFlow;
    flow.handler = link;
    return link;
  }
}

/** The words of an address that is written with the length of its prefix. */
function addressOf(text: string): Address {
  const words = new Int32Array(4);
  parseAddress(text.split('/')[0], words, 0);
  return words;
}

/**
 * Requests and answers over two bare stacks and a link that makes no garbage itself: what TCP/IP costs without a system call, an app
 * or another thread.
 */
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from '../lib/nic/device.js';
import { RX_CHECKSUM_VALID } from '../lib/nic/device.js';
import { Clock } from '../lib/tcp/clock.js';
import { TCB_WORDS } from '../lib/tcp/conn/tcb_words.js';
import { EV_CONNECTED, EV_READABLE } from '../lib/tcp/conn/state.js';
import type { Payload, PayloadOutput } from '../lib/tcp/payload.js';
import { Stack } from '../lib/tcp/stack.js';
import { parseDotted, setMapped } from '../lib/tcp/wire/address.js';

const FLOWS = 64;
const MESSAGE = 128;
const SLOT = 2048;
const SLOTS = 256;

/** One end of the link: frames of up to SLOT bytes in slots, handed over in place. */
class Link implements Device {
  readonly capabilities: DeviceCapabilities = {
    medium: 'ip', mtu: 1500, mac: null, txChecksum: true, txSegmentation: 0, rxCoalescing: false,
  };
  readonly stats: DeviceStats = { rxFrames: 0, rxBytes: 0, rxDropped: 0, txFrames: 0, txBytes: 0, txDropped: 0 };
  readonly fd = -1;
  readonly tx = new Uint8Array(SLOT * SLOTS);
  readonly lengths = new Int32Array(SLOTS);
  peer: Link = this;
  head = 0;
  tail = 0;
  #length = 0;

  receive(sink: FrameSink, budget: number): number {
    const peer = this.peer;
    let count = 0;
    for (; count < budget && peer.tail !== peer.head; count++) {
      const slot = peer.tail & (SLOTS - 1);
      peer.tail = (peer.tail + 1) | 0;
      sink.frame(peer.tx, slot * SLOT, peer.lengths[slot]!, RX_CHECKSUM_VALID, 0);
    }
    return count;
  }

  readable(): boolean { return this.peer.tail !== this.peer.head; }

  reserve(): number {
    this.#length = 0;
    return this.head - this.tail === SLOTS ? -1 : (this.head & (SLOTS - 1)) * SLOT;
  }

  append(_offset: number, length: number): void { this.#length += length; }

  commit(length: number): void {
    this.lengths[this.head & (SLOTS - 1)] = length + this.#length;
    this.head = (this.head + 1) | 0;
  }

  flush(): number { return 0; }
  close(): void { /* nothing to give back */ }
}

class NoPayload implements Payload {
  readonly memory = new Uint8Array(MESSAGE);
  store(): boolean { return true; }
  receiveRoom(): number { return 1 << 30; }
  gather(_flow: number, _position: number, length: number, output: PayloadOutput): number {
    output.append(0, length);
    return length;
  }
  acknowledged(): void { /* nothing to free */ }
}

const START = 1_000_000_000;
/** µs from one turn to the next on the clock of the two. */
const TURN_US = 20;

/** A client with a request under way on each of 64 connections, and its server. */
export class SteadyPair {
  /** Answers that have come. */
  answers = 0;
  readonly #clock = new Clock(START);
  readonly #client: Stack;
  readonly #server: Stack;

  constructor() {
    const links = [new Link(), new Link()] as const;
    links[0].peer = links[1];
    links[1].peer = links[0];
    this.#client = stack(links[0], '192.0.2.1', 1, this.#clock);
    this.#server = stack(links[1], '192.0.2.2', 2, this.#clock);
    this.#server.listen(new Int32Array(4), 80, FLOWS);
    const remote = new Int32Array(4);
    setMapped(remote, 0, parseDotted('192.0.2.2'));
    for (let i = 0; i < FLOWS; i++) this.#client.connect(remote, 80, null, 0);
  }

  turns(count: number): void {
    const client = this.#client;
    const server = this.#server;
    for (let i = 0; i < count; i++) {
      this.#clock.now += TURN_US;
      client.receive(256);
      if (client.isDue) client.advance();
      this.#ask();
      client.transmit();
      server.receive(256);
      if (server.isDue) server.advance();
      this.#serve();
      server.transmit();
    }
  }

  #serve(): void {
    const server = this.#server;
    for (let flow = server.takeChanged(); flow >= 0; flow = server.takeChanged()) {
      const tcb = server.tcb.at(flow);
      const events = tcb.events;
      const received = tcb.received;
      tcb.events = 0;
      if ((events & EV_READABLE) === 0) continue;
      server.consume(flow, received);
      server.write(flow, received);
    }
  }

  #ask(): void {
    const client = this.#client;
    for (let flow = client.takeChanged(); flow >= 0; flow = client.takeChanged()) {
      const tcb = client.tcb.at(flow);
      const events = tcb.events;
      const received = tcb.received;
      tcb.events = 0;
      if ((events & EV_READABLE) !== 0) {
        this.answers++;
        client.consume(flow, received);
      } else if ((events & EV_CONNECTED) === 0) {
        continue;
      }
      client.write(flow, (received + MESSAGE) | 0);
    }
  }
}

function stack(device: Device, address: string, secret: number, clock: Clock): Stack {
  const payload = new NoPayload();
  let seed = secret;
  return new Stack({
    words: new Int32Array(FLOWS * 2 * TCB_WORDS), tcbBase: 0, maxFlows: FLOWS * 2, payload, clock,
    interfaces: [{ device, memory: payload.memory, addresses: [`${address}/24`] }],
    random: () => (seed = (Math.imul(seed, 1664525) + 1013904223) >>> 0), secret: new Uint8Array(16).fill(secret),
  });
}

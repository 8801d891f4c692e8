/**
 * Two hosts on a virtual clock, joined by a link with faults: some flows send without end from one to the other. Everything
 * about a run follows from its setting, so the same setting gives the same figures on any machine.
 */
import type { FaultOptions } from '../lib/nic/fault.js';
import { fault } from '../lib/nic/fault.js';
import type { Device } from '../lib/nic/device.js';
import { pipe } from '../lib/nic/pipe.js';
import { seededRandom } from '../lib/nic/random.js';
import { Clock } from '../lib/tcp/clock.js';
import { EV_CONNECTED, EV_READABLE } from '../lib/tcp/conn/state.js';
import { TCB_WORDS } from '../lib/tcp/conn/tcb_words.js';
import type { StackLimits } from '../lib/tcp/limits.js';
import type { Payload, PayloadOutput } from '../lib/tcp/payload.js';
import { Stack } from '../lib/tcp/stack.js';
import { STAT_NAMES } from '../lib/tcp/stats.js';
import { parseDotted, setMapped } from '../lib/tcp/wire/address.js';

export interface Simulation {
  readonly flows: number;
  readonly seconds: number;
  readonly faults: FaultOptions;
  readonly limits?: Partial<StackLimits>;
}

export interface Simulated {
  /** Mb/s of all flows together, from the first SYN to the end. */
  readonly goodput: number;
  /** Bytes that each flow had through in the last three quarters of the time. */
  readonly shares: number[];
  readonly retransmitted: number;
  readonly timeouts: number;
}

const START = 1_000_000_000;
const PORT = 80;
const BUFFER = 64 << 20;
/** µs between two turns at least: frames that come closer together are taken in one turn, as a busy host does. */
const TURN = 50;
/** Frames in a turn; queues are much shorter. */
const BUDGET = 1 << 16;
/** µs between the first packets of two flows. */
const STAGGER = 10_000;

/** No bytes are kept: what is sent is all zeros, and what comes is thrown away. */
class Zeros implements Payload {
  readonly memory = new Uint8Array(1 << 16);
  store(): boolean { return true; }
  gather(_flow: number, _position: number, length: number, output: PayloadOutput): number {
    output.append(0, length);
    return length;
  }
  acknowledged(): void { /* nothing to free */ }
  receiveRoom(): number { return 2 * BUFFER; }
}

export function simulate({ flows, seconds, faults, limits = {} }: Simulation): Simulated {
  const clock = new Clock(START);
  const payloads = [new Zeros(), new Zeros()] as const;
  const [near, far] = pipe({
    medium: 'ip', memory: [payloads[0].memory, payloads[1].memory], checksum: 'left-out', queueFrames: 1 << 16, queueBytes: 1 << 27,
  });
  const link = fault(near, payloads[0].memory, faults, () => clock.now);
  const seed = faults.seed ?? 1;
  const sender = host(link, payloads[0], '192.0.2.1', seed, flows, limits, clock);
  const receiver = host(far, payloads[1], '192.0.2.2', seed + 1, flows, limits, clock);
  receiver.listen(new Int32Array(4), PORT, flows);
  const remote = new Int32Array(4);
  setMapped(remote, 0, parseDotted('192.0.2.2'));
  const end = START + seconds * 1e6;
  const quarter = START + seconds * 0.25e6;
  let base: number[] | null = null;
  let opened = 0;
  while (clock.now < end) {
    for (; opened < flows && clock.now >= START + opened * STAGGER; opened++) sender.connect(remote, PORT, null, 0);
    turn(sender, true);
    turn(receiver, false);
    if (base === null && clock.now >= quarter) base = received(receiver, flows);
    if (sender.readable() || receiver.readable()) continue;
    const opening = opened < flows ? START + opened * STAGGER : end;
    clock.now = Math.max(Math.min(sender.pollAt(), receiver.pollAt(), link.nextEvent(), opening, end), clock.now + TURN);
  }
  const totals = received(receiver, flows);
  return {
    goodput: (totals.reduce((sum, bytes) => sum + bytes, 0) * 8) / seconds / 1e6,
    shares: totals.map((bytes, flow) => bytes - (base?.[flow] ?? 0)),
    retransmitted: counter(sender, 'TcpRetransSegs'),
    timeouts: counter(sender, 'TcpExtTCPTimeouts'),
  };
}

function host(device: Device, payload: Zeros, address: string, seed: number, flows: number, limits: Partial<StackLimits>, clock: Clock): Stack {
  const maxFlows = Math.max(2 * flows, 16);
  const random = seededRandom(seed);
  return new Stack({
    words: new Int32Array(maxFlows * TCB_WORDS), tcbBase: 0, maxFlows, payload, clock,
    interfaces: [{ device, memory: payload.memory, addresses: [`${address}/24`] }],
    random: () => Math.floor(random() * 2 ** 32), secret: new Uint8Array(16).fill(seed),
    limits: { receiveBuffer: BUFFER, runs: 65_536, ranges: 65_536, rangesPerFlow: 32_768, ...limits },
  });
}

function turn(stack: Stack, sends: boolean): void {
  stack.receive(BUDGET);
  stack.advance();
  for (let flow = stack.takeChanged(); flow >= 0; flow = stack.takeChanged()) {
    const tcb = stack.tcb.at(flow);
    const { events, acknowledged, received } = tcb;
    tcb.events = 0;
    if ((events & EV_READABLE) !== 0) stack.consume(flow, received);
    if (sends && (acknowledged !== 0 || (events & EV_CONNECTED) !== 0)) stack.write(flow, (acknowledged + BUFFER) | 0);
  }
  stack.transmit();
}

/** Bytes that each flow has received, which are fewer than 2^32. */
function received(stack: Stack, flows: number): number[] {
  return Array.from({ length: flows }, (_, flow) => stack.tcb.at(flow).received >>> 0);
}

function counter(stack: Stack, name: 'TcpRetransSegs' | 'TcpExtTCPTimeouts'): number {
  return stack.stats[STAT_NAMES.indexOf(name)] ?? 0;
}

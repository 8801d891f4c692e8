/**
 * A long and bad link between two interfaces, in user space: every frame of either goes through the fault device and out
 * of the other. A process of its own; its one argument is a `BridgeSetting` in JSON. It prints `ready`, runs until its stdin
 * ends, and prints a `BridgeReport`.
 */
import type { Device, FrameSink } from '../lib/nic/device.js';
import { DEVICE_REGION_LENGTH } from '../lib/nic/device.js';
import { fault } from '../lib/nic/fault.js';
import type { FaultDevice, FaultOptions } from '../lib/nic/fault.js';
import { alias, deviceMemory } from '../lib/nic/memory.js';
import { openDevice } from '../lib/nic/open.js';
import { Poller } from '../lib/nic/syscalls.js';

export interface BridgeSetting {
  readonly netns: string;
  /** The interface on the side of the sender, and the one on the side of the receiver. */
  readonly left: string;
  readonly right: string;
  /** What happens to frames, for each direction: `queue` and `delay` are those of one way. */
  readonly faults: FaultOptions;
}

export interface BridgeReport {
  /** Frames that went into the link towards the receiver; those of them lost at random, and by a full queue. */
  readonly frames: number;
  readonly lost: number;
  readonly overflowed: number;
}

/** Frames of one side in a turn, and the longest sleep, in µs. */
const BUDGET = 256;
const LONGEST_SLEEP_US = 100_000;
/** Bytes of a receive ring. */
const RING_BYTES = 8 * 1024 * 1024;

const setting = JSON.parse(process.argv[2] ?? '') as BridgeSetting;
const now = (): number => performance.now() * 1000;
const shared = new SharedArrayBuffer(2 * DEVICE_REGION_LENGTH);
const memory = alias(shared);
const [left, right] = [setting.left, setting.right].map((name, index) => openDevice(
  `packet:${name}`, deviceMemory(memory, index * DEVICE_REGION_LENGTH, DEVICE_REGION_LENGTH), shared,
  { netns: setting.netns, ringBytes: RING_BYTES },
)) as [Device, Device];
const seed = setting.faults.seed ?? 1;
const toRight = fault(right, memory.bytes, { ...setting.faults, direction: 'transmit', seed }, now);
const toLeft = fault(left, memory.bytes, { ...setting.faults, direction: 'transmit', seed: seed + 1_000_000 }, now);

/** Puts what it is handed into the link towards one side. */
class Into implements FrameSink {
  frames = 0;
  readonly #link: FaultDevice;

  constructor(link: FaultDevice) {
    this.#link = link;
  }

  frame(bytes: Uint8Array, offset: number, length: number, _flags: number, segmentSize: number): void {
    if (segmentSize !== 0) throw new Error('a coalesced frame: a loss would take several segments at once; switch GRO and TSO off');
    this.frames++;
    const at = this.#link.reserve();
    this.#link.tx.set(bytes.subarray(offset, offset + length), at);
    this.#link.commit(length, 0, 0);
  }
}

const intoRight = new Into(toRight);
const intoLeft = new Into(toLeft);
const poller = new Poller([left.fd, right.fd]);
let ended = false;
process.stdin.on('end', () => { ended = true; }).resume();
process.stdout.write('ready\n');
turns();

/** Some turns, and then a look at stdin. */
function turns(): void {
  const until = now() + LONGEST_SLEEP_US;
  while (now() < until) {
    left.receive(intoRight, BUDGET);
    right.receive(intoLeft, BUDGET);
    toRight.flush();
    toLeft.flush();
    const next = Math.min(toRight.sending.next, toLeft.sending.next, until);
    if (!left.readable() && !right.readable()) poller.wait(Math.max(0, next - now()));
  }
  if (!ended) {
    setImmediate(turns);
    return;
  }
  const { lost, overflowed } = toRight.sending.counts;
  const report: BridgeReport = { frames: intoRight.frames, lost, overflowed };
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

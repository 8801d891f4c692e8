/** A stack that has one part of the connections of its address, and another stack the rest. */
import t from 'tap';
import { Clock } from '../../lib/tcp/clock.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { EINVAL } from '../../lib/tcp/errno.js';
import { isOfShare } from '../../lib/tcp/share.js';
import type { Share } from '../../lib/tcp/share.js';
import { Stack } from '../../lib/tcp/stack.js';
import { parseAddress } from '../../lib/tcp/wire/address.js';
import { MemoryPayload } from '../support/memory_payload.js';
import { randomOf } from '../support/random.js';
import { IPV4, fromPeer } from '../scenario/packet.js';
import { WireDevice } from '../scenario/wire_device.js';

const SHARE: Share = { index: 1, count: 2, key: 0x2545f491 };
const FLOWS = 64;
const SYN = 0x02;
const RST_ACK = 0x14;
const SYN_ACK = 0x12;

const OURS = portOf(80, true);
const THEIRS = portOf(80, false);

/** A port of the peer whose connections to `port` are of the share, or not. */
function portOf(port: number, ours: boolean): number {
  for (let other = 40000; ; other++) if (isOfShare(SHARE, port, other) === ours) return other;
}

class Half {
  readonly device: WireDevice;
  readonly stack: Stack;
  readonly clock = new Clock(1_000_000);

  constructor(answers: boolean) {
    const payload = new MemoryPayload(FLOWS, 1 << 12);
    this.device = new WireDevice(payload.memory, 1500, 0);
    this.stack = new Stack({
      words: new Int32Array(FLOWS * TCB_WORDS), tcbBase: 0, maxFlows: FLOWS, payload, random: randomOf(1), clock: this.clock, share: SHARE,
      interfaces: [{ device: this.device, memory: payload.memory, addresses: [`${IPV4.stack}/24`], answers }], secret: new Uint8Array(16).fill(1),
    });
  }

  /** What the stack sends when the packet has come. */
  answersTo(packet: Uint8Array): Uint8Array[] {
    this.device.waiting.push({ bytes: packet, segmentSize: 0 });
    this.clock.now += 1000;
    this.stack.receive(10);
    this.stack.advance();
    while (this.stack.takeChanged() >= 0);
    this.stack.transmit();
    return this.device.sent.splice(0);
  }

  /** The flags of what it answers to a segment from a port of the peer. */
  flagsFor(flags: number, from: number, to: number): number[] {
    const segment = Buffer.alloc(20);
    segment.writeUInt16BE(from, 0);
    segment.writeUInt16BE(to, 2);
    segment[12] = 0x50;
    segment[13] = flags;
    segment.writeUInt16BE(1000, 14);
    return this.answersTo(fromPeer(IPV4, segment, 0)).map((packet) => packet[33]!);
  }
}

t.test('a segment of another share is left alone: no connection, and no reset', async (t) => {
  const half = new Half(true);
  half.stack.listen(new Int32Array(4), 80, 5);
  t.strictSame(half.flagsFor(SYN, OURS, 80), [SYN_ACK]);
  t.strictSame(half.flagsFor(SYN, THEIRS, 80), []);
  t.equal(half.stack.flowsInUse, 1);
  for (const flags of [SYN, 0x10, 0x18, 0x11]) {
    t.strictSame(half.flagsFor(flags, portOf(4444, false), 4444), [], 'nor where nobody listens');
  }
  t.strictSame(half.flagsFor(SYN, portOf(4444, true), 4444), [RST_ACK]);
});

t.test('connections that it opens are of its share', async (t) => {
  const { stack } = new Half(true);
  const remote = new Int32Array(4);
  parseAddress(IPV4.peer, remote, 0);
  for (let i = 0; i < 50; i++) {
    const flow = stack.connect(remote, 5000, null, 0);
    t.ok(isOfShare(SHARE, stack.tcb.at(flow).localPort, 5000));
  }
  t.equal(stack.connect(remote, 5000, null, portOf(5000, false)), -EINVAL);
  t.ok(stack.connect(remote, 5000, null, portOf(5000, true)) >= 0);
});

t.test('who does not answer for the address leaves echoes, other protocols and late fragments to the one that does', async (t) => {
  const packet = (protocol: number, fragment = 0): Uint8Array => {
    const segment = Buffer.from('08000000000000000000000000000000', 'hex');
    segment.writeUInt16BE(0xf7ff, 2);
    const bytes = fromPeer(IPV4, segment, 0);
    const header = Buffer.from(bytes.buffer, 0, 20);
    segment.copy(bytes, 20);
    header.writeUInt16BE(fragment, 6);
    header[9] = protocol;
    header.writeUInt16BE(0, 10);
    let sum = 0;
    for (let i = 0; i < 20; i += 2) sum += header.readUInt16BE(i);
    header.writeUInt16BE(~((sum & 0xffff) + (sum >>> 16)) & 0xffff, 10);
    return bytes;
  };
  for (const answers of [true, false]) {
    const half = new Half(answers);
    const count = answers ? 1 : 0;
    t.equal(half.answersTo(packet(1)).length, count, 'an echo');
    half.clock.now += 10_000_000;
    t.equal(half.answersTo(packet(99)).length, count, 'a protocol that there is not');
    half.answersTo(packet(17, 0x2000));
    half.clock.now += 100_000_000;
    half.stack.advance();
    half.stack.transmit();
    t.equal(half.device.sent.length, count, 'a fragment whose others do not come');
  }
});

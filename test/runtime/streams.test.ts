/** Payload memory: both streams of a flow, writer against reader, and what is free in the end. */
import t from 'tap';
import type { FrameRest } from '../../lib/nic/device.js';
import { AppMemory, ReceiveStream, SEND_BUFFER_INITIAL, SendStream } from '../../lib/runtime/app_streams.js';
import { BLOCK_BYTES, Layout } from '../../lib/runtime/layout.js';
import { ServerPayload } from '../../lib/runtime/server_payload.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { randomOf } from '../support/random.js';

const RECEIVE_BLOCKS = 64;
const SEND_BLOCKS = 64;

function makeMemory(flows = 4, sendBlocks = SEND_BLOCKS) {
  const layout = new Layout({ maxApps: 1, maxFlows: flows, receiveBlocks: RECEIVE_BLOCKS, sendBlocks });
  const buffer = new ArrayBuffer(layout.deviceBase);
  const words = new Int32Array(buffer);
  const bytes = new Uint8Array(buffer);
  const payload = new ServerPayload(layout, words, bytes);
  for (let flow = 0; flow < flows; flow++) {
    payload.reset(flow);
    payload.open(flow, layout.arenaBase(0));
  }
  return { layout, bytes, words, payload, tcb: new Tcb(words, layout.tcbBase), app: new AppMemory(layout, words, bytes, 0) };
}

/** The byte that stands at a position of a stream in these tests. */
const byteAt = (position: number): number => (position * 31 + (position >>> 8)) & 0xff;

function pattern(position: number, length: number): Uint8Array {
  return Uint8Array.from({ length }, (_, i) => byteAt(position + i));
}

t.test('the send stream: what is gathered is what was written, first time and again, and nothing stays', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const { bytes, payload, app } = makeMemory();
    const stream = new SendStream(app, 1 << 20);
    let told = 0;
    for (let step = 0; step < 1000; step++) {
      const wanted = random() % (random() % 8 === 0 ? 3 * BLOCK_BYTES : 700);
      const source = pattern(stream.written, wanted);
      const text = random() % 3 === 0 ? stream.writeText(Buffer.from(source).toString('latin1'), 'latin1') : -1;
      if (text >= 0 && text !== wanted) t.fail(`seed ${seed}: ${text} bytes of ${wanted} of a text were taken`);
      if (text < 0) stream.write(source, 0, random() % 2 === 0 ? wanted : wanted >> 1);
      if (random() % 2 === 0) {
        if (!payload.written(0, stream.written, stream.chainFirst, stream.chainStart)) t.fail(`seed ${seed}: the TCP server does not take it`);
        told = stream.written;
      }
      if (told > stream.acknowledged && random() % 3 > 0) {
        // Anything between the acknowledged and the written may be asked for: new data or a retransmission.
        const from = stream.acknowledged + (random() % (told - stream.acknowledged));
        const length = 1 + (random() % Math.min(told - from, 60000));
        let at = from;
        const append = (offset: number, n: number): void => {
          for (let i = 0; i < n; i++) if (bytes[offset + i] !== byteAt(at++)) { t.fail(`seed ${seed}: wrong byte at ${at - 1}`); return; }
        };
        if (payload.gather(0, from, length, { append }) !== length || at !== from + length) t.fail(`seed ${seed}: not all gathered at ${from}`);
      }
      if (told > stream.acknowledged && random() % 3 === 0) {
        const position = random() % 3 === 0 ? told : stream.acknowledged + 1 + (random() % (told - stream.acknowledged));
        payload.acknowledged(0, position);
        stream.acknowledge(position);
      }
    }
    payload.written(0, stream.written, stream.chainFirst, stream.chainStart);
    payload.acknowledged(0, stream.written);
    stream.acknowledge(stream.written);
    t.equal(app.arena.available, SEND_BLOCKS, `seed ${seed}: every block is free`);
    t.equal(payload.violated, -1);
  }
});

/** The bytes of a frame that are not in memory yet. */
class Rest implements FrameRest {
  readonly #memory: Uint8Array;
  readonly #frame: Uint8Array;
  readonly #lost: boolean;
  readonly #spans: [to: number, length: number][] = [];
  #from = 0;

  constructor(memory: Uint8Array, frame: Uint8Array, lost: boolean) {
    this.#memory = memory;
    this.#frame = frame;
    this.#lost = lost;
  }

  whole(): number {
    throw new Error('the streams want parts');
  }

  from(offset: number): void {
    this.#from = offset;
  }

  into(offset: number, length: number): void {
    this.#spans.push([offset, length]);
  }

  fetch(): boolean {
    for (const [to, length] of this.#spans) {
      if (!this.#lost) this.#memory.set(this.#frame.subarray(this.#from, this.#from + length), to);
      this.#from += length;
    }
    if (this.#from !== this.#frame.length) throw new Error(`${this.#from} of ${this.#frame.length} bytes were asked for`);
    return !this.#lost;
  }
}

t.test('the receive stream: out of order in, in order out, and nothing stays', async (t) => {
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const { bytes, payload, tcb, app } = makeMemory();
    const stream = new ReceiveStream(app);
    const segments = new Map<number, number>(); // stored ahead: position, length
    let inOrder = 0;
    for (let step = 0; step < 1000; step++) {
      const room = Math.max(0, stream.consumed + 200_000 - inOrder);
      const position = inOrder + (random() % 3 === 0 ? random() % 20000 : 0);
      const length = Math.min(1 + (random() % (random() % 5 === 0 ? 40000 : 1460)), room - (position - inOrder));
      // Some are to be had from the device, which loses a few.
      const text = Uint8Array.from([1, 2, 3, ...pattern(position, Math.max(length, 0))]);
      const rest = random() % 3 === 0 ? new Rest(bytes, text, random() % 8 === 0) : null;
      if (length > 0 && payload.store(0, position, rest === null ? text : new Uint8Array(0), 3, length, rest)) segments.set(position, Math.max(length, segments.get(position) ?? 0));
      for (let moved = true; moved; ) {
        moved = false;
        for (const [at, n] of segments) {
          if (at > inOrder) continue;
          segments.delete(at);
          if (at + n > inOrder) inOrder = at + n;
          moved = true;
        }
      }
      tcb.at(0).received = inOrder;
      if (random() % 2 === 0) stream.advance(inOrder, payload.chainFirst(0), payload.chainStart(0));
      if (random() % 2 === 0 && stream.length > 0) {
        const from = stream.consumed;
        const target = new Uint8Array(1 + (random() % stream.length));
        const count = stream.read(target, 0, target.length);
        for (let i = 0; i < count; i++) if (target[i] !== byteAt(from + i)) t.fail(`seed ${seed}: wrong byte at ${from + i}`);
        if (random() % 2 === 0) payload.consumed(0, stream.consumed);
      }
    }
    // What lies ahead of a gap is dropped with the flow; without one, with the last byte read.
    stream.advance(inOrder, payload.chainFirst(0), payload.chainStart(0));
    stream.read(new Uint8Array(stream.length), 0, stream.length);
    payload.consumed(0, stream.consumed);
    if (segments.size > 0) payload.reset(0);
    t.equal(payload.receiveBlocksFree, RECEIVE_BLOCKS, `seed ${seed}: every block is free`);
  }
});

t.test('room and views in place: what is committed is what is gathered, and what is consumed was peeked', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = randomOf(seed);
    const { bytes, payload, tcb, app } = makeMemory();
    const stream = new SendStream(app, 1 << 20);
    const reader = new ReceiveStream(app);
    for (let step = 0; step < 1000; step++) {
      const room = stream.reserve(1 + (random() % (random() % 4 === 0 ? 2 * BLOCK_BYTES : 900)));
      if (room > BLOCK_BYTES) t.fail(`seed ${seed}: ${room} bytes in one piece`);
      const draw = random() % 8;
      if (draw === 0) stream.write(pattern(stream.written, 500), 0, 500);
      else if (draw > 1) {
        const count = draw === 2 ? 0 : 1 + (random() % Math.max(room, 1));
        // An acknowledgement may come while room is handed out.
        if (random() % 4 === 0) {
          payload.acknowledged(0, stream.written);
          stream.acknowledge(stream.written);
        }
        if (count <= room) {
          bytes.set(pattern(stream.written, count), stream.roomAt);
          stream.commit(count);
        }
      }
      if (!payload.written(0, stream.written, stream.chainFirst, stream.chainStart)) t.fail(`seed ${seed}: the TCP server does not take it`);
      const from = tcb.at(0).received;
      const length = (stream.written - from) | 0;
      if (length > 0) {
        // What is sent is received by the same flow.
        const sent = new Uint8Array(length);
        let done = 0;
        const append = (at: number, n: number): void => {
          sent.set(bytes.subarray(at, at + n), done);
          done += n;
        };
        while (done < length) payload.gather(0, from + done, length - done, { append });
        if (payload.store(0, from, sent, 0, length, null)) tcb.at(0).received = (from + length) | 0;
        else t.fail(`seed ${seed}: no room to receive`);
      }
      reader.advance(tcb.at(0).received, payload.chainFirst(0), payload.chainStart(0));
      if (random() % 3 === 0 || reader.length > 200_000) {
        const wanted = random() % 4 === 0 ? reader.length : random() % (reader.length + 1);
        const view = reader.peek();
        for (let i = 0; i < view; i++) if (bytes[reader.dataAt + i] !== byteAt(reader.consumed + i)) { t.fail(`seed ${seed}: wrong byte ${reader.consumed + i}`); break; }
        reader.consume(wanted);
        payload.consumed(0, reader.consumed);
      }
      if (random() % 3 === 0) {
        payload.acknowledged(0, stream.written);
        stream.acknowledge(stream.written);
      }
    }
    reader.consume(reader.length);
    payload.consumed(0, reader.consumed);
    stream.reserve(1);
    stream.commit(0);
    payload.acknowledged(0, stream.written);
    stream.acknowledge(stream.written);
    t.equal(app.arena.available, SEND_BLOCKS, `seed ${seed}: every send block is free`);
    t.equal(payload.receiveBlocksFree, RECEIVE_BLOCKS, `seed ${seed}: every receive block is free`);
  }
});

t.test('room is one piece: what is left of a block, and then a new block; nothing at the bound', async (t) => {
  const { app } = makeMemory();
  const stream = new SendStream(app, 2 * BLOCK_BYTES);
  t.equal(stream.reserve(100_000), BLOCK_BYTES);
  const first = stream.roomAt;
  t.equal(stream.reserve(10), 10, 'asked again it is the same');
  t.equal(stream.roomAt, first);
  stream.commit(10);
  t.equal(stream.reserve(100_000), BLOCK_BYTES - 10);
  t.equal(stream.roomAt, first + 10);
  stream.commit(BLOCK_BYTES - 10);
  t.equal(stream.reserve(1), 1);
  t.equal(app.arena.available, SEND_BLOCKS - 2);
  stream.commit(1);
  t.equal(stream.reserve(BLOCK_BYTES), BLOCK_BYTES - 1);
  stream.commit(BLOCK_BYTES - 1);
  t.equal(stream.reserve(1), 0, 'the buffer is full');
  stream.acknowledge(BLOCK_BYTES + 1);
  t.equal(stream.reserve(1), 1, 'a block has come free');
  stream.free();
  t.equal(app.arena.available, SEND_BLOCKS, 'with the room that was handed out');
});

t.test('memory is shared out so that a newcomer finds some', async (t) => {
  const { payload, tcb, app } = makeMemory(64);
  for (let flow = 0; flow < 63; flow++) {
    const free = payload.receiveBlocksFree;
    tcb.at(flow).received = 0;
    for (let position = 0; payload.store(flow, position, new Uint8Array(BLOCK_BYTES), 0, BLOCK_BYTES, null); position += BLOCK_BYTES);
    if (payload.receiveBlocksFree < free >> 1) t.fail(`flow ${flow} has taken more than is left over`);
  }
  const greedy = Array.from({ length: 5 }, () => new SendStream(app, 1 << 30));
  for (const stream of greedy) while (stream.write(new Uint8Array(BLOCK_BYTES), 0, BLOCK_BYTES) > 0);
  const newcomer = new SendStream(app, 1 << 30);
  t.equal(newcomer.write(new Uint8Array(10), 0, 10), 10, 'a new stream can still be written to');
  for (const stream of [...greedy, newcomer]) stream.free();
  t.equal(app.arena.available, SEND_BLOCKS);
});

t.test('a stream is held to its bound', async (t) => {
  const { app } = makeMemory();
  const stream = new SendStream(app, 2 * BLOCK_BYTES);
  t.equal(stream.write(new Uint8Array(5 * BLOCK_BYTES), 0, 5 * BLOCK_BYTES), 2 * BLOCK_BYTES);
  stream.acknowledge(BLOCK_BYTES + 1);
  t.equal(stream.write(new Uint8Array(5 * BLOCK_BYTES), 0, 5 * BLOCK_BYTES), BLOCK_BYTES);
});

t.test('nothing that an app thread says of its send stream is taken on trust', async (t) => {
  const { payload, layout, words } = makeMemory();
  const arena = layout.arenaBase(0);
  t.notOk(payload.written(0, SEND_BLOCKS * BLOCK_BYTES + 1, arena, 0), 'more than its arena holds');
  t.notOk(payload.written(0, 100, arena - 1, 0), 'a block of somebody else');
  t.notOk(payload.written(0, 100, arena + SEND_BLOCKS, 0), 'a block behind its arena');
  t.notOk(payload.written(0, 100, arena, 50), 'a chain that begins ahead of what was acknowledged');
  t.ok(payload.written(0, 2 * BLOCK_BYTES, arena, 0));
  t.notOk(payload.written(0, 100, arena, 0), 'a position that moves back');
  words[layout.linkBase + arena] = 0;
  const spans: number[] = [];
  payload.gather(0, 0, 2 * BLOCK_BYTES, { append: (offset, length) => spans.push(offset, length) });
  t.equal(payload.violated, 0, 'a link out of the arena is found out');
  t.ok(spans.every((value, i) => i % 2 === 1 || value >= layout.blockBase + arena * BLOCK_BYTES), 'and nothing outside the arena is sent');
});

t.test('the send buffer grows with the congestion window, twice as large as it, and no further than its bound', async (t) => {
  const { app } = makeMemory(1, 512);
  const source = new Uint8Array(8 << 20);
  const bound = 2 << 20;
  const stream = new SendStream(app, bound);
  let held = stream.write(source, 0, source.length);
  t.equal(held, SEND_BUFFER_INITIAL);
  for (const [cwnd, most] of [[14_600, SEND_BUFFER_INITIAL], [700_000, 1_400_000], [14_600, 1_400_000], [1 << 30, bound]] as const) {
    stream.widen(cwnd);
    held += stream.write(source, 0, source.length);
    t.equal(held, Math.ceil(most / BLOCK_BYTES) * BLOCK_BYTES, `a window of ${cwnd} bytes: ${held} bytes wait`);
  }
});

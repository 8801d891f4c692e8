/** Files in send streams: what the TCP server reads, in its place between what the app writes, and what is left in the end. */
import { closeSync, openSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { AppMemory, SendStream } from '../../lib/runtime/app_streams.js';
import type { ChannelFlow } from '../../lib/runtime/app_flow.js';
import { FilePart } from '../../lib/runtime/file_part.js';
import { BLOCK_BYTES, CHANNEL_ATTACHED, CHANNEL_FAILED, CHANNEL_FREE, CH_SLEEP, CH_STATE, CH_SUBMIT_HEAD, CH_TID, CH_VIOLATION, ENTRY_WORDS, Layout, QUEUE_ENTRIES } from '../../lib/runtime/layout.js';
import { SUBMIT_FILE, SUBMIT_FLOW, violationText } from '../../lib/runtime/messages.js';
import { ENODATA, ServerFiles } from '../../lib/runtime/server_files.js';
import { ServerPayload } from '../../lib/runtime/server_payload.js';
import { addressOf, eventfd, pread, preadCached, readAhead } from '../../lib/nic/syscalls.js';
import { EAGAIN, EBADF, EOPNOTSUPP } from '../../lib/nic/system_error.js';
import { BlockPool } from '../../lib/runtime/block_pool.js';
import { ECONNRESET } from '../../lib/tcp/errno.js';
import { randomOf } from '../support/random.js';
import { connect, pair } from '../support/recorder.js';
import type { Recorder } from '../support/recorder.js';
import { Turns } from '../support/turns.js';

const EISDIR = 21;
const ESPIPE = 29;
const MiB = 1 << 20;

/** The byte at each place of the file that these tests send. */
const byteAt = (place: number): number => (place * 31 + (place >>> 8)) & 0xff;
const CONTENT = Buffer.from(Uint8Array.from({ length: 3 * MiB }, (_, place) => byteAt(place)));
const path = join(t.testdir(), 'content');
writeFileSync(path, CONTENT);
const file = openSync(path, 'r');
t.teardown(() => closeSync(file));

const flowOf = (recorder: Recorder): ChannelFlow => recorder.flow as ChannelFlow;

t.test('a stream of writes and files: what is gathered is what it says, first time and again, and nothing stays', async (t) => {
  for (let seed = 1; seed <= 10; seed++) {
    const random = randomOf(seed);
    const layout = new Layout({ maxApps: 1, maxFlows: 2, receiveBlocks: 64, sendBlocks: 64 });
    const buffer = new ArrayBuffer(layout.deviceBase);
    const [words, bytes] = [new Int32Array(buffer), new Uint8Array(buffer)];
    const payload = new ServerPayload(layout, words, bytes);
    payload.reset(0);
    payload.open(0, layout.arenaBase(0));
    const app = new AppMemory(layout, words, bytes, 0);
    const stream = new SendStream(app, MiB);
    const part = new FilePart();
    const { files } = payload;
    /** All bytes of the stream, and how far it was told, can be sent, and is acknowledged. */
    const model = Buffer.alloc(8 * MiB);
    let [length, told, available, acknowledged] = [0, 0, 0, 0];
    for (let step = 0; step < 600; step++) {
      if (random() % 2 === 0) {
        const text = CONTENT.subarray(step, step + (random() % (random() % 8 === 0 ? 2 * BLOCK_BYTES : 700)));
        const taken = stream.write(text, 0, text.length);
        text.copy(model, length, 0, taken);
        length += taken;
      }
      if (!part.pending && random() % 4 === 0) {
        const [offset, count] = [random() % 10_000, 1 + (random() % (random() % 4 === 0 ? 300_000 : 3000))];
        if (length + count > model.length) break;
        if (!files.add(0, length, file, offset, count)) t.fail(`seed ${seed}: the file is not taken`);
        part.at = length;
        part.length = count;
        part.pending = true;
        CONTENT.copy(model, length, offset, offset + count);
        length += count;
      }
      if (part.inStream(stream.written) !== length) t.fail(`seed ${seed}: the app counts otherwise`);
      if (random() % 2 === 0) {
        if (!payload.written(0, length, stream.chainFirst, stream.chainStart)) t.fail(`seed ${seed}: the TCP server does not take it`);
        told = length;
      }
      files.read(() => 0, (_flow, errno) => { if (errno !== 0) t.fail(`seed ${seed}: error ${errno}`); });
      available = Math.max(available, files.available(0, told));
      if (available > acknowledged && random() % 4 > 0) {
        const from = acknowledged + (random() % (available - acknowledged));
        const wanted = 1 + (random() % Math.min(available - from, 60_000));
        let at = from;
        const append = (place: number, count: number): void => {
          if (Buffer.compare(bytes.subarray(place, place + count), model.subarray(at, at + count)) !== 0) t.fail(`seed ${seed}: wrong bytes from ${at} on`);
          at += count;
        };
        if (payload.gather(0, from, wanted, { append }) !== at - from || at !== from + wanted) t.fail(`seed ${seed}: not all gathered at ${from}`);
      }
      if (available > acknowledged && random() % 2 === 0) {
        acknowledged = random() % 3 === 0 ? available : acknowledged + 1 + (random() % (available - acknowledged));
        payload.acknowledged(0, acknowledged);
        stream.acknowledge(part.inChain(acknowledged));
        t.equal(part.acknowledge(acknowledged), files.takeDone(0), `seed ${seed}: both sides know when a file is through`);
      }
    }
    payload.reset(0);
    stream.free();
    t.equal(payload.receiveBlocksFree, 64, `seed ${seed}: every block of the pool is free`);
    t.equal(app.arena.available, 64, `seed ${seed}: every block of the arena is free`);
    t.equal(files.blocksHeld, 0);
  }
});

t.test('a file stands where it was asked for, and what is written behind it follows', async (t) => {
  const turns = new Turns();
  const free = turns.payload.receiveBlocksFree;
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  const flow = flowOf(near);
  let sent = 0;
  near.onWritable = (): void => {};
  Object.assign(near, { onSent: () => sent++ });
  flow.write(Buffer.from('before '), 0, 7);
  t.ok(flow.sendFile(file, 1000, 2 * MiB));
  t.notOk(flow.sendFile(file, 0, 1), 'one file at a time');
  flow.write(Buffer.from(' behind'), 0, 7);
  flow.end();
  t.equal(flow.unacknowledged, 2 * MiB + 14);
  t.ok(await turns.until(() => far.events.includes('end')), 'the end comes behind it');
  t.ok(Buffer.concat(far.chunks).equals(Buffer.concat([Buffer.from('before '), CONTENT.subarray(1000, 1000 + 2 * MiB), Buffer.from(' behind')])));
  t.ok(await turns.until(() => sent === 1), 'it is told when the peer has all of it');
  t.equal(flow.unacknowledged, 0);
  far.flow!.end();
  t.ok(await turns.until(() => near.events.includes('close')));
  turns.pass(61_000_000);
  await turns.until(() => false, 5);
  t.equal(turns.payload.receiveBlocksFree, free, 'no block is held');
  t.equal(turns.ports[1]!.channels[0]!.memory.arena.available, 128);
  turns.end();
});

t.test('many files on one connection, and writes between them', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  const flow = flowOf(near);
  const wanted: Buffer[] = [];
  let number = 0;
  const sendOne = (): void => {
    if (number === 40) return;
    const [offset, length] = [number * 1000, 1 + number * 2500];
    const text = Buffer.from(`file ${number++}: `);
    flow.write(text, 0, text.length);
    t.ok(flow.sendFile(file, offset, length));
    flow.write(text, 0, text.length);
    wanted.push(text, CONTENT.subarray(offset, offset + length), text);
  };
  Object.assign(near, { onSent: sendOne });
  sendOne();
  const all = (): boolean => number === 40 && !flow.sendingFile;
  // The last acknowledgement of a file may be a delayed one.
  for (let i = 0; i < 100 && !all(); i++) {
    await turns.until(all, 50);
    turns.pass(50_000);
  }
  t.ok(all());
  t.ok(Buffer.concat(far.chunks).equals(Buffer.concat(wanted)));
  turns.end();
});

t.test('a quiet file wakes nobody when it is through: that is told with what comes next', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  let sent = 0;
  Object.assign(near, { onSent: () => sent++ });
  const sleepAt = turns.layout.channelBase(1) + CH_SLEEP;
  flowOf(near).sendFile(file, 0, 100_000, true);
  t.ok(await turns.until(() => far.length === 100_000));
  await turns.until(() => false, 10);
  t.equal(turns.words[sleepAt], 1);
  // The last acknowledgement is a delayed one.
  turns.pass(300_000);
  t.equal(turns.words[sleepAt], 1, 'it goes on sleeping');
  far.flow!.write(Buffer.from('next'), 0, 4);
  t.ok(await turns.until(() => sent === 1));
  flowOf(near).sendFile(file, 0, 100_000);
  for (let i = 0; i < 10 && sent === 1; i++) {
    await turns.until(() => sent === 2, 50);
    turns.pass(50_000);
  }
  t.equal(sent, 2, 'another is told of at once');
  turns.end();
});

t.test('a connection that is closed right behind its file sends all of it', async (t) => {
  const turns = new Turns();
  const [near, far] = await pair(turns, turns.attach(), turns.attach());
  flowOf(near).write(Buffer.from('head'), 0, 4);
  flowOf(near).sendFile(file, 0, MiB);
  near.flow!.close();
  t.ok(await turns.until(() => far.events.includes('end')));
  t.ok(Buffer.concat(far.chunks).subarray(4).equals(CONTENT.subarray(0, MiB)));
  far.flow!.close();
  turns.pass(61_000_000);
  t.equal(turns.payload.files.blocksHeld, 0);
  turns.end();
});

t.test('a file that is asked for before the connection is open', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [, , accepting] = await pair(turns, server, client);
  const early = connect(client, accepting.port);
  flowOf(early).sendFile(file, 7, 100_000);
  t.ok(await turns.until(() => accepting.accepted[1]?.length === 100_000));
  t.ok(Buffer.concat(accepting.accepted[1]!.chunks).equals(CONTENT.subarray(7, 100_007)));
  turns.end();
});

t.test('a disk is not waited for as long as others may go on', async (t) => {
  const pool = new BlockPool(0, 64);
  const bytes = new Uint8Array(64 * BLOCK_BYTES);
  const asked: string[] = [];
  let cached = 0;
  let supported = true;
  const files = new ServerFiles(pool, new Int32Array(64), bytes, 0, 4, {
    pread: (_descriptor, _address, length) => (asked.push('waited'), length),
    preadCached: (_descriptor, _address, length, offset) => (!supported ? -EOPNOTSUPP : offset < cached ? Math.min(length, cached - offset) : -EAGAIN),
    readAhead: (_descriptor, offset, length) => void asked.push(`asked for ${length} at ${offset}`),
  });
  const read = (): number => files.read(() => 0, () => {});
  files.add(0, 0, 1, 0, 100_000);
  files.count(files.of(0)!);
  t.equal(read(), 0);
  t.equal(files.waiting, true);
  for (let i = 0; i < 10; i++) read();
  t.same(asked, ['asked for 100000 at 0'], 'it is asked once, and looked for again');
  cached = 20_000;
  t.equal(read(), 1);
  t.equal(files.available(0, 100_000), 20_000, 'what is there is sent');
  files.add(1, 0, 2, 0, 10_000);
  files.count(files.of(1)!);
  t.equal(read(), 1, 'another file goes on meanwhile');
  t.same(asked, ['asked for 100000 at 0', 'asked for 80000 at 20000']);
  for (let i = 0; i < 51; i++) read();
  t.equal(asked[2], 'waited', 'a disk that does not bring it is waited for in the end');
  cached = 100_000;
  read();
  t.equal(files.available(0, 100_000), 100_000);
  asked.length = 0;
  supported = false;
  files.add(2, 0, 3, 0, 40_000);
  files.count(files.of(2)!);
  t.equal(read(), 1);
  t.same(asked, ['waited', 'waited', 'waited'], 'as is a file system that knows no other way');
  t.equal(files.waiting, false);
  for (const flow of [0, 1, 2]) files.drop(flow);
  t.equal(pool.available, 64);
});

t.test('what is in no cache is read as well', async (t) => {
  const cold = join(t.testdir({ cold: CONTENT }), 'cold');
  const descriptor = openSync(cold, 'r');
  t.teardown(() => closeSync(descriptor));
  const bytes = new Uint8Array(BLOCK_BYTES);
  readAhead(descriptor, 0, CONTENT.length);
  t.equal(pread(descriptor, addressOf(bytes), 1000, 5), 1000);
  const count = preadCached(descriptor, addressOf(bytes) + 1000, 1000, 1005);
  if (count !== -EOPNOTSUPP) {
    t.equal(count, 1000);
    t.ok(CONTENT.subarray(5, 2005).equals(bytes.subarray(0, 2000)), 'each at its place');
  }
  t.equal(pread(descriptor, addressOf(bytes), 1, CONTENT.length), 0, 'the end');
  t.equal(preadCached(1_000_000, addressOf(bytes), 1, 0), -EBADF);
});

t.test('a peer that does not read: files hold a bounded part of the memory, and other connections are served', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far, accepting] = await pair(turns, server, client);
  far.reading = false;
  flowOf(near).sendFile(file, 0, 3 * MiB);
  const others = Array.from({ length: 6 }, () => connect(client, accepting.port));
  t.ok(await turns.until(() => accepting.accepted.length === 7));
  for (const other of accepting.accepted.slice(1)) other.reading = false;
  for (const other of others) flowOf(other).sendFile(file, 0, 3 * MiB);
  await turns.until(() => false, 50);
  turns.pass(3_000_000);
  const { blocksHeld } = turns.payload.files;
  t.ok(blocksHeld > 0 && blocksHeld <= 64, `${blocksHeld} of 256 blocks are held`);
  const small = connect(client, accepting.port);
  flowOf(small).sendFile(file, 100, 1000);
  t.ok(await turns.until(() => accepting.accepted[7]?.length === 1000), 'a newcomer gets its file');
  for (const other of [far, ...accepting.accepted.slice(1, 7)]) {
    other.reading = true;
    other.readAll();
  }
  const all = (): boolean => far.length === 3 * MiB && accepting.accepted.slice(1, 7).every(({ length }) => length === 3 * MiB);
  for (let i = 0; i < 200 && !all(); i++) {
    turns.pass(100_000);
    await turns.until(all, 50);
  }
  t.ok(all(), 'and they get all of theirs when they read on');
  t.ok(Buffer.concat(far.chunks).equals(CONTENT));
  t.equal(turns.payload.files.blocksHeld, 0);
  turns.end();
});

t.test('what cannot be read ends its connection with a reason, and no other', async (t) => {
  const turns = new Turns();
  const [server, client] = [turns.attach(), turns.attach()];
  const [near, far, accepting] = await pair(turns, server, client);
  const folder = openSync(t.testdir(), 'r');
  const event = eventfd();
  const cases: [errno: number, descriptor: number, offset: number, length: number][] = [
    [EBADF, 1_000_000, 0, 1], [EBADF, -5, 0, 1], [EISDIR, folder, 0, 10], [ESPIPE, event, 0, 8], [ENODATA, file, 3 * MiB - 10, 11], [ENODATA, file, 2 ** 50, 1],
  ];
  for (const [errno, descriptor, offset, length] of cases) {
    const bad = connect(client, accepting.port);
    const before = accepting.accepted.length;
    t.ok(await turns.until(() => bad.events.includes('connect') && accepting.accepted.length > before));
    flowOf(bad).write(Buffer.from('as promised: '), 0, 13);
    flowOf(bad).sendFile(descriptor, offset, length);
    flowOf(bad).end();
    t.ok(await turns.until(() => bad.events.includes('close')));
    t.same(bad.events.filter((event) => event !== 'connect' && event !== 'drained'), [`error ${errno}`, 'close'], `error ${errno}`);
    t.ok(await turns.until(() => accepting.accepted[before]!.events.includes(`error ${ECONNRESET}`)), 'the peer does not take it for complete');
  }
  closeSync(folder);
  closeSync(event);
  near.flow!.write(Buffer.from('well'), 0, 4);
  t.ok(await turns.until(() => far.length === 4));
  t.equal(turns.payload.files.blocksHeld, 0);
  turns.end();
});

t.test('connections that end in the middle of a file leave nothing behind', async (t) => {
  const turns = new Turns();
  const free = turns.payload.receiveBlocksFree;
  const [server, client] = [turns.attach(), turns.attach()];
  const DEAD_THREAD = 1;
  turns.words[turns.layout.channelBase(1) + CH_TID] = DEAD_THREAD;
  const [near, far, accepting] = await pair(turns, server, client);
  const second = connect(client, accepting.port);
  const third = connect(client, accepting.port);
  t.ok(await turns.until(() => accepting.accepted.length === 3));
  for (const each of accepting.accepted) each.reading = false;
  for (const each of [near, second, third]) flowOf(each).sendFile(file, 0, 3 * MiB);
  await turns.until(() => false, 20);
  t.ok(turns.payload.files.blocksHeld > 0);
  far.flow!.reset();
  t.ok(await turns.until(() => near.events.includes('close')), 'the peer resets');
  second.flow!.reset();
  t.ok(await turns.until(() => accepting.accepted[1]!.events.includes(`error ${ECONNRESET}`)), 'the app resets');
  turns.apps.reap((tid) => tid !== DEAD_THREAD);
  t.ok(await turns.until(() => accepting.accepted[2]!.events.includes(`error ${ECONNRESET}`)), 'the app dies');
  for (const each of accepting.accepted) each.flow!.close();
  await turns.until(() => false, 10);
  t.equal(turns.payload.files.blocksHeld, 0);
  t.equal(turns.payload.receiveBlocksFree, free);
  turns.end();
});

t.test('nothing that an app thread says of a file is taken on trust', async (t) => {
  const cases: [what: string, words: (written: number) => number[]][] = [
    ['no bytes', (written) => [file, 0, 0, written, 0]],
    ['less than none', (written) => [file, 0, 0, written, -1]],
    ['more than positions tell apart', (written) => [file, 0, 0, written, 0x40000001]],
    ['an offset below 0', (written) => [file, 0, -1, written, 1]],
    ['an offset beyond all numbers', (written) => [file, 0, 0x200000, written, 1]],
    ['a place before what was written', (written) => [file, 0, 0, written - 1, 1]],
  ];
  for (const [what, wordsOf] of cases) {
    const turns = new Turns();
    const [near] = await pair(turns, turns.attach(), turns.attach());
    near.flow!.write(Buffer.from('ten bytes!'), 0, 10);
    await turns.until(() => false, 5);
    submit(turns, 1, [SUBMIT_FILE, flowOf(near).index, flowOf(near).generation, ...wordsOf(10)]);
    turns.turn();
    t.equal(turns.words[turns.layout.channelBase(1) + CH_STATE], CHANNEL_FAILED, what);
    t.match(violationText(turns.words[turns.layout.channelBase(1) + CH_VIOLATION]!), /file/);
    turns.end();
  }
  for (let seed = 1; seed <= 20; seed++) {
    const random = randomOf(seed);
    const turns = new Turns({ maxFlows: 32 });
    const free = turns.payload.receiveBlocksFree;
    const [server, bad, good] = [turns.attach(), turns.attach(), turns.attach()];
    const [near, far] = await pair(turns, server, good);
    const [own] = await pair(turns, server, bad);
    const { index, generation } = flowOf(own);
    for (let i = 0; i < 100; i++) {
      const some = (): number => (random() % 4 === 0 ? random() | 0 : random() % 100_000);
      if (random() % 2 === 0) submit(turns, 1, [SUBMIT_FILE, index, generation, random() % 3 === 0 ? random() % 40 : file, some(), random() % 2, some(), some()]);
      else submit(turns, 1, [SUBMIT_FLOW | (random() % 8 === 0 ? random() & 0xff00 : 0), index, generation, some(), 0, turns.layout.arenaBase(1), 0, 0]);
      turns.turn();
    }
    const state = turns.words[turns.layout.channelBase(1) + CH_STATE]!;
    if (state !== CHANNEL_FAILED && state !== CHANNEL_ATTACHED && state !== CHANNEL_FREE) t.fail(`seed ${seed}: state ${state}`);
    flowOf(near).sendFile(file, 0, 100_000);
    if (!(await turns.until(() => far.length === 100_000, 500))) t.fail(`seed ${seed}: another channel was disturbed`);
    turns.apps.reap(() => false);
    for (let second = 0; second < 130; second++) turns.turn(1_000_000);
    if (turns.payload.files.blocksHeld !== 0 || turns.payload.receiveBlocksFree !== free) t.fail(`seed ${seed}: blocks are left`);
    turns.end();
  }
});

function submit(turns: Turns, channel: number, words: readonly number[]): void {
  const headAt = turns.layout.channelBase(channel) + CH_SUBMIT_HEAD;
  const head = turns.words[headAt]!;
  turns.words.set(words, turns.layout.submissionBase(channel) + (head & (QUEUE_ENTRIES - 1)) * ENTRY_WORDS);
  turns.words[headAt] = (head + 1) | 0;
}

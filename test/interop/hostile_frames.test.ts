/** Frames that no honest peer sends, put on the wire beside honest clients: the TCP server drops them and serves on. */
import { createServer as createHttpServer } from 'node:http';
import { readFileSync } from 'node:fs';
import t from 'tap';
import { app } from '../../examples/http.js';
import type { Network } from '../../examples/support/network.js';
import { listen } from '../../lib/index.js';
import { DEVICE_REGION_LENGTH } from '../../lib/nic/device.js';
import type { Device } from '../../lib/nic/device.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { openDevice } from '../../lib/nic/open.js';
import { missing, shell, withServer } from './support.js';

const ETHERNET = 14;
const IP_HEADER = 20;
const IP6_HEADER = 40;
const TCP_HEADER = 20;
const SYN = 2;
const ACK = 16;

t.test('hostile frames', { skip: missing('ip', 'curl') }, (t) => withServer({}, async (network) => {
  const http = listen(createHttpServer(app), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  const url = `http://${network.serverAddress}/`;
  t.match(await shell(`curl -sS -m 20 ${url}`), 'It works');
  const wire = await openWire(network);
  const random = xorshift(20260101);

  /** Each kind of frame goes out while a transfer runs, and the server still answers afterwards. */
  async function withstand(name: string, frames: Iterable<Uint8Array>, segmentSize = 0): Promise<void> {
    const transfer = shell(`curl -sS -m 60 '${url}bytes?n=5000000' | wc -c`);
    wire.send(frames, segmentSize);
    t.equal(await transfer, '5000000', `${name}: a transfer goes on`);
    t.match(await shell(`curl -sS -m 20 ${url}`), 'It works', `${name}: a new connection is served`);
  }

  await withstand('random bytes', generate(2000, () => noise(random, 14 + random() % 1500)));
  await withstand('random bytes behind a good Ethernet header', generate(2000, () => {
    const frame = noise(random, 14 + random() % 1500);
    wire.ethernet(frame, random() % 4 === 0 ? 0x0806 : 0x0800);
    return frame;
  }));
  await withstand('random segments behind a good IP header', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP_HEADER + random() % 200);
    wire.ip(frame, 6);
    return frame;
  }));
  await withstand('random segments to the open port, with a good checksum', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP_HEADER + TCP_HEADER + random() % 200);
    wire.tcp(frame, 1024 + random() % 60000, 80, random() & 255);
    return frame;
  }));
  await withstand('segments cut off at every length', generate(ETHERNET + IP_HEADER + TCP_HEADER, (index) => {
    const frame = new Uint8Array(ETHERNET + IP_HEADER + TCP_HEADER);
    wire.tcp(frame, 5000 + index, 80, SYN);
    return frame.subarray(0, ETHERNET + index);
  }));
  await withstand('a wrong checksum', generate(200, (index) => {
    const frame = new Uint8Array(ETHERNET + IP_HEADER + TCP_HEADER);
    wire.tcp(frame, 6000 + index, 80, SYN);
    frame[ETHERNET + IP_HEADER + 16]! ^= 0x55;
    return frame;
  }));
  await withstand('64 KB in one coalesced frame, of no connection', generate(20, (index) => {
    const frame = noise(random, ETHERNET + 65000);
    wire.tcp(frame, 7000 + index, 80, ACK, true);
    return frame;
  }), 1448);

  wire.device.close();
  http.close();
  http.closeAllConnections();
}));

t.test('hostile frames of IPv6', { skip: missing('ip', 'curl') }, (t) => withServer((network) => ({
  address: [`${network.serverAddress}/${network.prefix}`, `${network.serverAddress6}/${network.prefix6}`], gateway: [network.hostAddress],
}), async (network) => {
  const http = listen(createHttpServer(app), { port: 80 });
  await new Promise((resolve) => http.once('listening', resolve));
  const url = `http://[${network.serverAddress6}]/`;
  const wire = await openWire(network);
  const random = xorshift(20260102);
  const KINDS = [0, 6, 43, 44, 58, 59, 60, 17, 51];

  async function withstand(name: string, frames: Iterable<Uint8Array>): Promise<void> {
    const transfer = shell(`curl -gsS -m 60 '${url}bytes?n=5000000' | wc -c`);
    wire.send(frames);
    t.equal(await transfer, '5000000', `${name}: a transfer goes on`);
    t.match(await shell(`curl -gsS -m 20 ${url}`), 'It works', `${name}: a new connection is served`);
    t.match(await shell(`curl -gsS -m 20 http://${network.serverAddress}/`), 'It works', `${name}: and one of IPv4`);
  }

  await withstand('random bytes', generate(2000, () => {
    const frame = noise(random, ETHERNET + random() % 1500);
    wire.ethernet(frame, 0x86dd);
    return frame;
  }));
  await withstand('random headers one behind the other', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP6_HEADER + random() % 400);
    for (let at = ETHERNET + IP6_HEADER; at + 8 < frame.length; at += 8 * (1 + random() % 3)) frame.set([KINDS[random() % KINDS.length]!, random() % 3], at);
    wire.ip6(frame, KINDS[random() % KINDS.length]!);
    return frame;
  }));
  await withstand('fragments that overlap, end nowhere and never become whole', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP6_HEADER + 8 + 8 * (random() % 20));
    const field = (random() % 64) << 3 | random() & 1;
    frame.set([KINDS[random() % KINDS.length]!, 0, field >> 8, field & 255, 0, 0, 0, random() % 8], ETHERNET + IP6_HEADER);
    wire.ip6(frame, 44);
    return frame;
  }));
  await withstand('neighbour discovery and errors at random, with a good checksum', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP6_HEADER + 8 + random() % 100);
    frame.set([[1, 2, 3, 4, 128, 133, 134, 135, 136, 137][random() % 10]!, 0], ETHERNET + IP6_HEADER);
    wire.ip6(frame, 58, 255);
    wire.sum6(frame, 2);
    return frame;
  }));
  await withstand('random segments to the open port, with a good checksum', generate(2000, () => {
    const frame = noise(random, ETHERNET + IP6_HEADER + TCP_HEADER + random() % 200);
    put16(frame, ETHERNET + IP6_HEADER + 2, 80);
    frame[ETHERNET + IP6_HEADER + 12] = TCP_HEADER / 4 << 4;
    wire.ip6(frame, 6);
    wire.sum6(frame, 16);
    return frame;
  }));

  wire.device.close();
  http.close();
  http.closeAllConnections();
}));

interface Wire {
  readonly device: Device;
  /** `segmentSize` other than 0: each frame is several segments in one, its checksum left to the device. */
  send(frames: Iterable<Uint8Array>, segmentSize?: number): void;
  /** Fill in the headers of a frame from the host's end to the server's. */
  ethernet(frame: Uint8Array, type: number): void;
  ip(frame: Uint8Array, protocol: number): void;
  ip6(frame: Uint8Array, next: number, hopLimit?: number): void;
  /** Fills in the checksum of what follows an IPv6 header, at its place there. */
  sum6(frame: Uint8Array, at: number): void;
  tcp(frame: Uint8Array, sourcePort: number, port: number, flags: number, partial?: boolean): void;
}

/** The host's end of the veth pair, as bare frames. */
async function openWire(network: Network): Promise<Wire> {
  const shared = new SharedArrayBuffer(DEVICE_REGION_LENGTH + 65536);
  const device = openDevice(`packet:${network.hostInterface}`, deviceMemory(alias(shared), 0, shared.byteLength), shared);
  const target = macOf(/link\/ether (\S+)/.exec(await shell(`ip -n ${network.namespace} link show ${network.serverInterface}`))?.[1] ?? '');
  const source = macOf(readFileSync(`/sys/class/net/${network.hostInterface}/address`, 'latin1').trim());
  // An address of the same network that nobody has: the host's kernel does not answer what the server answers.
  const from = addressOf(network.hostAddress.replace(/\d+$/, '77'));
  const to = addressOf(network.serverAddress);
  const from6 = addressOf6(network.hostAddress6.replace(/::1$/, '::77'));
  const to6 = addressOf6(network.serverAddress6);

  function ethernet(frame: Uint8Array, type: number): void {
    frame.set([...target, ...source, type >> 8, type & 255]);
  }
  function ip(frame: Uint8Array, protocol: number): void {
    ethernet(frame, 0x0800);
    const length = frame.length - ETHERNET;
    frame.set([0x45, 0, length >> 8, length & 255, 0, 0, 0, 0, 64, protocol, 0, 0, ...from, ...to], ETHERNET);
    put16(frame, ETHERNET + 10, checksum(frame.subarray(ETHERNET, ETHERNET + IP_HEADER), 0));
  }
  function ip6(frame: Uint8Array, next: number, hopLimit = 64): void {
    ethernet(frame, 0x86dd);
    const length = frame.length - ETHERNET - IP6_HEADER;
    frame.set([0x60, 0, 0, 0, length >> 8, length & 255, next, hopLimit, ...from6, ...to6], ETHERNET);
  }
  function sum6(frame: Uint8Array, at: number): void {
    const content = frame.subarray(ETHERNET + IP6_HEADER);
    put16(content, at, 0);
    let pseudo = frame[ETHERNET + 6]! + content.length;
    for (let i = ETHERNET + 8; i < ETHERNET + 40; i += 2) pseudo += frame[i]! << 8 | frame[i + 1]!;
    put16(content, at, checksum(content, pseudo));
  }
  function tcp(frame: Uint8Array, sourcePort: number, port: number, flags: number, partial = false): void {
    ip(frame, 6);
    const segment = frame.subarray(ETHERNET + IP_HEADER);
    put16(segment, 0, sourcePort);
    put16(segment, 2, port);
    segment[12] = TCP_HEADER / 4 << 4;
    segment[13] = flags;
    put16(segment, 16, 0);
    let pseudo = 6 + segment.length;
    for (const part of [from, to]) pseudo += (part[0]! << 8 | part[1]!) + (part[2]! << 8 | part[3]!);
    put16(segment, 16, partial ? ~checksum(new Uint8Array(0), pseudo) & 0xffff : checksum(segment, pseudo));
  }
  function send(frames: Iterable<Uint8Array>, segmentSize = 0): void {
    for (const frame of frames) {
      let room = device.reserve();
      if (room < 0) {
        device.flush();
        room = device.reserve();
      }
      device.tx.set(frame, room);
      device.commit(frame.length, segmentSize === 0 ? 0 : ETHERNET + IP_HEADER, segmentSize);
    }
    device.flush();
  }
  return { device, send, ethernet, ip, ip6, sum6, tcp };
}

function put16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >> 8;
  bytes[at + 1] = value;
}

/** RFC 1071. */
function checksum(bytes: Uint8Array, start: number): number {
  let sum = start;
  for (let at = 0; at < bytes.length; at += 2) sum += bytes[at]! << 8 | (bytes[at + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

function macOf(text: string): number[] {
  return text.split(':').map((part) => parseInt(part, 16));
}

function addressOf(text: string): number[] {
  return text.split('.').map(Number);
}

/** The bytes of an address with four groups before its "::" and one behind it. */
function addressOf6(text: string): number[] {
  const [before = '', last = ''] = text.split('::');
  const bytes = new Array<number>(16).fill(0);
  before.split(':').forEach((group, index) => bytes.splice(2 * index, 2, parseInt(group, 16) >> 8, parseInt(group, 16) & 255));
  bytes.splice(14, 2, parseInt(last, 16) >> 8, parseInt(last, 16) & 255);
  return bytes;
}

function * generate(count: number, make: (index: number) => Uint8Array): Generator<Uint8Array> {
  for (let index = 0; index < count; index++) yield make(index);
}

function noise(random: () => number, length: number): Uint8Array {
  const bytes = new Uint8Array(length);
  for (let index = 0; index < length; index++) bytes[index] = random();
  return bytes;
}

function xorshift(seed: number): () => number {
  let word = seed;
  return () => {
    word ^= word << 13;
    word ^= word >>> 17;
    word ^= word << 5;
    return word >>> 0;
  };
}

/** A user of the conformance driver: the process, its Unix socket, socket calls, and packets as they look on the wire. */
import type { Test } from 'tap';
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync } from 'node:fs';
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { parseAddress, parseDotted } from '../../lib/tcp/wire/address.js';
import { get16, get32, put16, put32 } from '../../lib/tcp/wire/bytes.js';
import { add, complement, pseudoHeader4, pseudoHeader6 } from '../../lib/tcp/wire/checksum.js';
import { emitIPv4, PROTOCOL_TCP } from '../../lib/tcp/wire/ipv4.js';
import { emitIPv6 } from '../../lib/tcp/wire/ipv6.js';
import { emitTcp, tcpHeaderLength } from '../../lib/tcp/wire/tcp.js';

const DRIVER = fileURLToPath(new URL('../../conformance/driver.js', import.meta.url));
const LOCAL = parseDotted('192.168.0.1');
const PEER = parseDotted('192.0.2.1');
/** The peer and the stack over IPv6. */
const SIX = new Int32Array(8);
parseAddress('fd3d:fa7b:d17d::1', SIX, 0);
parseAddress('fd3d:a0b:17d6::1', SIX, 4);
const LETTERS = 'FSRPAUEC';

export interface Answer {
  id: number;
  ret: number;
  errno?: string;
  t: number;
  [field: string]: unknown;
}

/** A segment that the stack sent. Sequence numbers as in `Segment`. */
export interface Packet {
  t: number;
  flags: string;
  seq: number;
  ack: number;
  win: number;
  /** Kinds of its options, in order. */
  kinds: number[];
  options: Buffer;
  text: Buffer;
  from: number;
  to: number;
}

/** A segment that the peer sends. `seq` counts from the peer's initial number, `ack` from that of the stack. */
export interface Segment {
  flags: string;
  seq?: number;
  ack?: number;
  win?: number;
  data?: number | string;
  options?: number[];
}

export class Client {
  /** µs of the driver's clock: requests are stamped with it. */
  now = 0;
  /** Packets that nobody has looked at. */
  readonly packets: Packet[] = [];
  /** Every line, in order: `pkt`, or the id that is answered. */
  readonly order: string[] = [];
  /** Segments of the peer come over IPv6. */
  six = false;
  peerPort = 40_000;
  localPort = 8080;
  iss = 0;
  readonly irs = 0x7fff_ff00;
  exit: Promise<number | null>;
  readonly #process: ChildProcess;
  readonly #socket: Socket;
  readonly #answers = new Map<number, (answer: Answer) => void>();
  #id = 0;
  #rest = '';

  private constructor(process: ChildProcess, socket: Socket) {
    this.#process = process;
    this.#socket = socket;
    this.exit = new Promise((resolve) => process.on('exit', resolve));
    socket.setEncoding('utf8');
    socket.on('data', (text: string) => this.#take(text));
    socket.on('error', () => { /* the test sees it by what is missing */ });
  }

  /** Starts a driver and greets it; it ends with the test. */
  static async start(t: Test, settings: Record<string, string> = {}, more: string[] = []): Promise<Client> {
    const folder = mkdtempSync(join(tmpdir(), 'driver-'));
    const path = join(folder, 's');
    const child = spawn(process.execPath, [DRIVER, path, ...more], { stdio: ['ignore', 'inherit', 'inherit'] });
    while (!existsSync(path) && child.exitCode === null) await new Promise((resolve) => setTimeout(resolve, 5));
    const socket = connect(path);
    const client = new Client(child, socket);
    t.teardown(async () => {
      socket.destroy();
      await client.exit;
      rmSync(folder, { recursive: true, force: true });
    });
    const hello = await client.call('hello', { proto: 1, ...settings });
    t.equal(hello.ret, 0);
    client.now = hello.t;
    return client;
  }

  get pid(): number { return this.#process.pid!; }

  #take(text: string): void {
    const lines = (this.#rest + text).split('\n');
    this.#rest = lines.pop()!;
    for (const line of lines) {
      const value = JSON.parse(line) as Answer & { pkt?: string };
      if (value.pkt !== undefined) {
        this.order.push('pkt');
        this.packets.push(this.#read(Buffer.from(value.pkt, 'hex'), value.t));
      } else {
        this.order.push(`${value.id}`);
        this.#answers.get(value.id)?.(value);
      }
    }
  }

  call(op: string, fields: Record<string, unknown> = {}): Promise<Answer> {
    const id = ++this.#id;
    const answer = new Promise<Answer>((resolve) => this.#answers.set(id, resolve));
    this.#socket.write(`${JSON.stringify({ id, op, ...(op === 'hello' ? {} : { t: this.now }), ...fields })}\n`);
    return answer;
  }

  /** A line that is no request; it is answered without an id. */
  raw(line: string): Promise<Answer> {
    const answer = new Promise<Answer>((resolve) => this.#answers.set(null as unknown as number, resolve));
    this.#socket.write(`${line}\n`);
    return answer;
  }

  /** Time passes. */
  async pass(ms: number): Promise<void> {
    this.now += Math.round(ms * 1000);
    await this.call('sync');
  }

  /** Until a packet leaves. Returns the ms that it took. */
  async run(ms = 600_000): Promise<number> {
    const from = this.now;
    const answer = await this.call('run', { max_us: ms * 1000 });
    this.now = answer.t;
    return (answer.t - from) / 1000;
  }

  async inject(segment: Segment): Promise<Answer> {
    const text = typeof segment.data === 'string' ? Buffer.from(segment.data) : Buffer.alloc(segment.data ?? 0, 'y');
    const options = segment.options ?? [];
    const ip = this.six ? 40 : 20;
    const packet = new Uint8Array(ip + 20 + options.length + text.length);
    let flags = 0;
    for (let i = 0; i < LETTERS.length; i++) if (segment.flags.includes(LETTERS[i]!)) flags |= 1 << i;
    const ack = segment.ack === undefined ? 0 : (segment.ack + this.iss) | 0;
    emitTcp(packet, ip, this.peerPort, this.localPort, ((segment.seq ?? 0) + this.irs) | 0, ack, flags, segment.win ?? 65535, 20 + options.length);
    packet.set(options, ip + 20);
    packet.set(text, ip + 20 + options.length);
    const length = packet.length - ip;
    const pseudo = this.six ? pseudoHeader6(SIX, 0, 4, PROTOCOL_TCP, length) : pseudoHeader4(PEER, LOCAL, PROTOCOL_TCP, length);
    put16(packet, ip + 16, complement(add(pseudo, packet, ip, length)));
    if (this.six) emitIPv6(packet, 0, 0, 0, length, PROTOCOL_TCP, 64, SIX, 0, 4);
    else emitIPv4(packet, 0, 0, packet.length, 0, 0, 64, PROTOCOL_TCP, PEER, LOCAL);
    return this.call('inject', { data: Buffer.from(packet).toString('hex') });
  }

  #read(packet: Buffer, time: number): Packet {
    const four = packet[0]! >> 4 === 4;
    const ip = four ? (packet[0]! & 15) * 4 : 40;
    const header = tcpHeaderLength(packet, ip);
    let flags = '';
    for (let i = 0; i < LETTERS.length; i++) if ((packet[ip + 13]! & (1 << i)) !== 0) flags += LETTERS[i];
    const seq = get32(packet, ip + 4);
    if (flags.includes('S')) this.iss = seq;
    const options = packet.subarray(ip + 20, ip + header);
    const kinds: number[] = [];
    for (let i = 0; i < options.length; i += options[i]! < 2 ? 1 : options[i + 1]!) kinds.push(options[i]!);
    const length = packet.length - ip;
    const pseudo = four ? pseudoHeader4(LOCAL, PEER, PROTOCOL_TCP, length) : pseudoHeader6(SIX, 4, 0, PROTOCOL_TCP, length);
    const good = complement(add(pseudo, packet, ip, length)) === 0;
    if (!good) throw new Error(`a packet with a wrong checksum: ${packet.toString('hex')}`);
    return {
      t: time, flags, seq: (seq - this.iss) | 0, ack: flags.includes('A') ? (get32(packet, ip + 8) - this.irs) | 0 : 0,
      win: get16(packet, ip + 14), kinds, options, text: packet.subarray(ip + header), from: get16(packet, ip), to: get16(packet, ip + 2),
    };
  }

  /** The packets since they were last looked at, shortly: `flags seq:end ack`. */
  sent(): string[] {
    return this.packets.splice(0).map((packet) => brief(packet));
  }

  next(): Packet {
    const packet = this.packets.shift();
    if (packet === undefined) throw new Error('nothing was sent');
    return packet;
  }

  /** A socket that listens on port 8080. */
  async listen(backlog = 16, options: [string, number][] = []): Promise<number> {
    const { ret: fd } = await this.call('socket', { domain: 2, type: 1, protocol: 6 });
    for (const [name, val] of options) await this.call('setsockopt', { fd, name, val });
    await this.call('bind', { fd, family: 2, addr: '0.0.0.0', port: this.localPort });
    await this.call('listen', { fd, backlog });
    return fd;
  }

  /** A connection, opened by the peer and accepted. */
  async accept(fd: number, syn: Partial<Segment> = {}, options: number[] = []): Promise<number> {
    await this.inject({ flags: 'S', options: MSS_1460, ...syn });
    this.next();
    await this.inject({ flags: 'A', seq: 1, ack: 1, options });
    const { ret } = await this.call('accept', { fd, nb: true });
    return ret;
  }

  send(fd: number, bytes: number | string, more: Record<string, unknown> = {}): Promise<Answer> {
    const data = typeof bytes === 'string' ? Buffer.from(bytes) : Buffer.alloc(bytes, 'x');
    return this.call('send', { fd, nb: false, len: data.length, data: data.toString('hex'), flags: 0, ...more });
  }

  recv(fd: number, len = 65536, more: Record<string, unknown> = {}): Promise<Answer> {
    return this.call('recv', { fd, nb: true, len, flags: 0, ...more });
  }
}

export const MSS_1460 = [2, 4, 5, 180];
/** Linux's: mss 1460, sackOK, timestamp 100/0, nop, wscale 7. */
export const LINUX_SYN = [2, 4, 5, 180, 4, 2, 8, 10, 0, 0, 0, 100, 0, 0, 0, 0, 1, 3, 3, 7];

/** The timestamps option of a segment that is no SYN. */
export function stamps(value: number, echo: number): number[] {
  const bytes = new Uint8Array(12);
  bytes.set([1, 1, 8, 10]);
  put32(bytes, 4, value);
  put32(bytes, 8, echo);
  return [...bytes];
}

export function brief({ flags, seq, ack, text }: Packet): string {
  const place = text.length > 0 ? `${seq}:${seq + text.length}` : `${seq}`;
  return flags.includes('A') ? `${flags} ${place} ${ack}` : `${flags} ${place}`;
}

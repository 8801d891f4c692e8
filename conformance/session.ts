/** One session of the driver: requests in, answers and packets out, in the order in which they happen. */
import { randomBytes } from 'node:crypto';
import type { Result } from './call.js';
import { Calls, done, failed } from './call.js';
import { BadRequest, bytesOf, numberOf, parseRequest } from './request.js';
import type { Request } from './request.js';
import { settingsOf } from './settings.js';
import { SocketTable } from './socket_table.js';
import { StackNetwork } from './stack_network.js';

/** Where the virtual clock begins, in µs. */
const VIRTUAL_START = 1_000_000_000;
export const PROTOCOL_VERSION = 1;
const SECRET_BYTES = 16;
/** Longest time that a timer of Node's can take, in ms. */
const TIMER_MOST_MS = 0x7fff_ffff;

export interface SessionOptions {
  clock: 'real' | 'virtual';
  /** Takes lines, without their ends. */
  write: (line: string) => void;
  /** The session is over. */
  end: () => void;
}

export class Session {
  readonly #options: SessionOptions;
  readonly #calls = new Calls();
  #network: StackNetwork | null = null;
  #table: SocketTable | null = null;
  #timer: NodeJS.Timeout | null = null;
  #over = false;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Deals with one line; a call that blocks is answered later. What makes no sense is answered with an error, and changes nothing. */
  line(line: string): void {
    if (this.#over) return;
    const request = parseRequest(line);
    if (request === null) {
      this.#answer(null, failed('EPROTO'));
      return;
    }
    try {
      this.#request(request);
    } catch (error) {
      if (!(error instanceof BadRequest)) throw error;
      this.#answer(request.id, failed('EINVAL'));
    }
  }

  #request(request: Request): void {
    if (request.op === 'hello') {
      this.#hello(request);
    } else if (request.op === 'bye') {
      this.#answer(request.id, done());
      this.#over = true;
      this.#options.end();
    } else if (this.#network === null || this.#table === null) {
      this.#answer(request.id, failed('EPROTO'));
    } else {
      this.#advance(this.#network, request);
      this.#operate(this.#network, this.#table, request);
      this.#sleep();
    }
  }

  /** No request comes any more. */
  close(): void {
    if (this.#timer !== null) clearTimeout(this.#timer);
  }

  #hello(request: Request): void {
    if (this.#network !== null || numberOf(request, 'proto', PROTOCOL_VERSION) !== PROTOCOL_VERSION) {
      this.#answer(request.id, failed('EPROTO'));
      return;
    }
    const nested = typeof request.settings === 'object' && request.settings !== null ? request.settings : {};
    const { limits, ...buffers } = settingsOf({ ...request, ...nested });
    const virtual = this.#options.clock === 'virtual';
    this.#network = new StackNetwork({
      now: virtual ? VIRTUAL_START : realNow(), limits, ...buffers,
      random: virtual ? repeatable() : unforeseeable,
      secret: virtual ? new Uint8Array(SECRET_BYTES).fill(1) : randomBytes(SECRET_BYTES),
      onPacket: (packet, now) => this.#write({ pkt: Buffer.from(packet).toString('hex'), t: now }),
      onChange: () => this.#calls.retry(),
    });
    this.#table = new SocketTable(this.#network, () => this.#calls.retry());
    this.#answer(request.id, done(0, { clock: this.#options.clock }));
  }

  #advance(network: StackNetwork, request: Request): void {
    network.advanceTo(this.#options.clock === 'real' ? realNow() : numberOf(request, 't', network.now()));
  }

  #operate(network: StackNetwork, table: SocketTable, request: Request): void {
    if (request.op === 'sync') {
      network.turn();
      this.#answer(request.id, done());
    } else if (request.op === 'inject') {
      network.inject(bytesOf(request, 'data', 0));
      this.#answer(request.id, done());
    } else if (request.op === 'run') {
      if (this.#options.clock === 'virtual') network.runUntilPacket(network.now() + Math.max(numberOf(request, 'max_us', 0), 0));
      this.#answer(request.id, done());
    } else {
      this.#call(network, table, request);
    }
  }

  /** A socket call: what it sends leaves before it is answered. */
  #call(network: StackNetwork, table: SocketTable, request: Request): void {
    const attempt = table.call(request);
    if (attempt === null) {
      this.#answer(request.id, failed('ENOSYS'));
      return;
    }
    const result = this.#calls.make(attempt, (finished) => this.#answer(request.id, finished));
    network.turn();
    if (result !== null) this.#answer(request.id, result);
  }

  #answer(id: unknown, result: Result): void {
    this.#write({ id: id ?? null, ...result, t: this.#network?.now() ?? 0 });
  }

  #write(line: Record<string, unknown>): void {
    this.#options.write(JSON.stringify(line));
  }

  /** On the real clock: until something is due by itself. */
  #sleep(): void {
    const network = this.#network;
    if (this.#options.clock === 'virtual' || network === null) return;
    if (this.#timer !== null) clearTimeout(this.#timer);
    const at = network.nextAt();
    if (at === Infinity) return;
    this.#timer = setTimeout(() => {
      network.advanceTo(realNow());
      this.#sleep();
    }, Math.min(Math.max(Math.ceil((at - realNow()) / 1000), 0), TIMER_MOST_MS));
  }
}

/** Wall-clock time in µs that does not run back. */
function realNow(): number {
  return Math.floor((performance.timeOrigin + performance.now()) * 1000);
}

function unforeseeable(): number {
  return randomBytes(4).readUInt32LE(0);
}

/** The same numbers in every run, so that a transcript can be compared (xorshift32, Marsaglia 2003). */
function repeatable(): () => number {
  let state = 0x9e37_79b9 | 0;
  return () => {
    state ^= state << 13;
    state ^= state >>> 17;
    state ^= state << 5;
    return state >>> 0;
  };
}

/** One session with the whole product: as session.ts, but every request waits until the threads have come to rest. */
import type { Result } from './call.js';
import { Calls, done, failed } from './call.js';
import { FullNetwork } from './full_network.js';
import { BadRequest, bytesOf, numberOf, parseRequest } from './request.js';
import type { Request } from './request.js';
import { PROTOCOL_VERSION } from './session.js';
import type { SessionOptions } from './session.js';
import { settingsOf } from './settings.js';
import { SocketTable } from './socket_table.js';

export class FullSession {
  readonly #options: SessionOptions;
  readonly #calls = new Calls();
  #network: FullNetwork | null = null;
  #table: SocketTable | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** Deals with one line after the other; a call that blocks is answered later and holds none of them up. See `Session.line`. */
  line(line: string): void {
    const request = parseRequest(line);
    this.#last = this.#last.then(() => {
      if (request !== null) return this.#serve(request);
      this.#answer(null, failed('EPROTO'));
      return undefined;
    }).catch((error: unknown) => {
      if (error instanceof BadRequest) {
        this.#answer(request?.id, failed('EINVAL'));
        return;
      }
      process.stderr.write(`conformance-driver: ${error instanceof Error ? error.stack : String(error)}\n`);
      process.exit(1);
    });
  }

  /** No request comes any more. */
  close(): void {
    // The process ends, and the TCP server with it.
  }

  async #serve(request: Request): Promise<void> {
    const [network, table] = [this.#network, this.#table];
    if (request.op === 'hello') {
      await this.#hello(request);
    } else if (request.op === 'bye') {
      this.#answer(request.id, done());
      await network?.close();
      this.#options.end();
    } else if (network === null || table === null) {
      this.#answer(request.id, failed('EPROTO'));
    } else if (request.op === 'inject' || request.op === 'sync' || request.op === 'run') {
      if (request.op === 'inject') network.inject(bytesOf(request, 'data', 0));
      await network.settle();
      this.#answer(request.id, done());
    } else {
      await this.#call(network, table, request);
    }
  }

  async #hello(request: Request): Promise<void> {
    if (this.#network !== null || numberOf(request, 'proto', PROTOCOL_VERSION) !== PROTOCOL_VERSION) {
      this.#answer(request.id, failed('EPROTO'));
      return;
    }
    const nested = typeof request.settings === 'object' && request.settings !== null ? request.settings : {};
    const { limits, sendBufferMax } = settingsOf({ ...request, ...nested });
    this.#network = await FullNetwork.start({
      limits,
      sendBuffer: sendBufferMax,
      onPacket: (packet, now) => this.#write({ pkt: Buffer.from(packet).toString('hex'), t: now }),
      onChange: () => this.#calls.retry(),
    });
    this.#table = new SocketTable(this.#network, () => this.#calls.retry());
    await this.#network.settle();
    this.#answer(request.id, done(0, { clock: 'real' }));
  }

  /** A socket call: what it sends leaves before it is answered. */
  async #call(network: FullNetwork, table: SocketTable, request: Request): Promise<void> {
    const attempt = table.call(request);
    if (attempt === null) {
      this.#answer(request.id, failed('ENOSYS'));
      return;
    }
    const result = this.#calls.make(attempt, (finished) => this.#answer(request.id, finished));
    await network.settle();
    if (result !== null) this.#answer(request.id, result);
  }

  #answer(id: unknown, result: Result): void {
    this.#write({ id: id ?? null, ...result, t: this.#network?.now() ?? 0 });
  }

  #write(line: Record<string, unknown>): void {
    this.#options.write(JSON.stringify(line));
  }
}

/** What reads what others have written, and is no stack: options of users, addresses, TCP options, lines of requests, positions of queues. */
import { Lines, parseRequest } from '../../conformance/request.js';
import { checkOptions } from '../../lib/options.js';
import { ENTRY_WORDS, QUEUE_ENTRIES } from '../../lib/runtime/layout.js';
import { QueueConsumer, QueueProducer } from '../../lib/runtime/queue.js';
import { formatAddress, parseAddress } from '../../lib/tcp/wire/address.js';
import { checkIPv4, ipv4SourceRouted, IPV4_OK } from '../../lib/tcp/wire/ipv4.js';
import { checkTcp, TCP_OK } from '../../lib/tcp/wire/tcp.js';
import { parseOptions, SACK_BLOCKS_MAX, TcpOptions } from '../../lib/tcp/wire/options.js';
import { Finding } from './case.js';
import type { Coverage, Step, World } from './case.js';
import { Source } from './source.js';

const KINDS = ['options', 'address', 'segment', 'lines', 'queue'] as const;
const WORDS = new Int32Array(64 + QUEUE_ENTRIES * ENTRY_WORDS);
const HEAD = 0;
const TAIL = 16;

/** Names of options, and of some that there are not. */
const NAMES = ['device', 'netns', 'address', 'gateway', 'cpu', 'spin', 'maxFlows', 'maxApps', 'receiveMemory', 'sendMemory', 'receiveBuffer',
  'sendBuffer', 'pcap', 'fault', 'tcp', 'ipv6', 'nonsense', '__proto__', 'constructor'];
const VALUES: readonly unknown[] = [undefined, null, 0, -1, 1, 1.5, NaN, Infinity, 2 ** 31, 2 ** 53, '', 'auto', 'loopback', 'packet:eth0', 'packet:', '\0',
  '192.0.2.1/24', '192.0.2.1', '2001:db8::1/64', '::ffff:1.2.3.4/96', '300.1.1.1/33', true, false, {}, [], [1], { loss: 2 }, { loss: 0.1, seed: 5 },
  { delay: -1 }, { sack: 1 }, { sack: false, congestion: 'newreno' }, Symbol.iterator, 10n, () => 0, new Date(0)];

export class ParsersWorld implements World {
  readonly #options = new TcpOptions();
  readonly #words = new Int32Array(4);
  readonly #again = new Int32Array(4);
  readonly #outcomes = new Map<string, number>();
  inputs = 0;

  next(source: Source): Step {
    const kind = source.below(KINDS.length);
    if (kind === 0) return { do: 'options', a: source.word() };
    const bytes = new Uint8Array(source.between(0, 80));
    const alphabet = kind === 1 ? '0123456789abcdef::..::/%' : kind === 3 ? '{"op":"wait","t":10,}[]\n\\u0 1e9' : '';
    for (let i = 0; i < bytes.length; i++) bytes[i] = alphabet !== '' && !source.once(40) ? alphabet.charCodeAt(source.below(alphabet.length)) : source.word();
    return { do: KINDS[kind]!, a: source.word(), bytes };
  }

  apply(step: Step): void {
    this.inputs++;
    switch (step.do) {
      case 'options': this.#checkOptions(new Source(step.a ?? 0, 1)); break;
      case 'address': this.#address(Buffer.from(step.bytes!).toString('latin1')); break;
      case 'segment': this.#segment(step.bytes!); break;
      case 'lines': this.#lines(Buffer.from(step.bytes!).toString('latin1')); break;
      default: this.#queue(step.a ?? 0, step.bytes!);
    }
  }

  #count(outcome: string): void {
    this.#outcomes.set(outcome, (this.#outcomes.get(outcome) ?? 0) + 1);
  }

  /** Options of a user: taken, or refused with an error that has a code. */
  #checkOptions(source: Source): void {
    const options: Record<string, unknown> = {};
    for (let i = source.between(0, 4); i > 0; i--) options[source.pick(NAMES)] = source.pick(VALUES);
    try {
      checkOptions(options as Parameters<typeof checkOptions>[0]);
      this.#count('options taken');
    } catch (error) {
      const { code } = error as { code?: unknown };
      if (typeof code !== 'string' || !code.startsWith('ERR_')) throw error;
      this.#count(`options ${code}`);
    }
  }

  /** What is read of an address is the same when it is written and read again. */
  #address(text: string): void {
    if (!parseAddress(text, this.#words, 0)) {
      this.#count('address refused');
      return;
    }
    this.#count('address taken');
    const written = formatAddress(this.#words, 0);
    if (!parseAddress(written, this.#again, 0)) throw new Finding(`${text} is written as ${written}, which is no address`);
    for (let i = 0; i < 4; i++) if (this.#words[i] !== this.#again[i]) throw new Finding(`${text} is written as ${written}, which is another`);
  }

  #segment(bytes: Uint8Array): void {
    if (checkIPv4(bytes, 0, bytes.length) === IPV4_OK) ipv4SourceRouted(bytes, 0);
    if (checkTcp(bytes, 0, bytes.length) !== TCP_OK) {
      this.#count('segment refused');
      return;
    }
    this.#count('segment taken');
    parseOptions(bytes, 0, this.#options);
    const { sackCount, windowScale } = this.#options;
    if (sackCount < 0 || sackCount > SACK_BLOCKS_MAX || windowScale < -1 || windowScale > 14) throw new Finding(`${sackCount} blocks, scale ${windowScale}`);
  }

  #lines(text: string): void {
    for (const line of new Lines().take(`${text}\n`)) {
      try {
        parseRequest(line);
        this.#count('request taken');
      } catch {
        this.#count('request refused');
      }
    }
  }

  /** Positions that the other side has made up. */
  #queue(position: number, bytes: Uint8Array): void {
    WORDS[HEAD] = WORDS[TAIL] = position;
    const producer = new QueueProducer(WORDS, HEAD, TAIL, 64);
    const consumer = new QueueConsumer(WORDS, HEAD, TAIL, 64);
    for (const byte of bytes) {
      if (byte < 40) WORDS[byte & 1 ? HEAD : TAIL] = (position + ((byte - 20) << (byte & 15))) | 0;
      const at = producer.push();
      if (at >= 0 && (at < 64 || at + ENTRY_WORDS > WORDS.length)) throw new Finding(`an entry at word ${at}`);
      if (byte & 1) producer.publish();
      const count = consumer.available();
      if (count < -1 || count > QUEUE_ENTRIES) throw new Finding(`${count} entries`);
      if (count > 0) {
        const from = consumer.take();
        if (from < 64 || from + ENTRY_WORDS > WORDS.length) throw new Finding(`an entry at word ${from}`);
      }
      if (byte & 2) consumer.release();
    }
  }

  finish(): void {
    // Nothing is kept.
  }

  report(coverage: Coverage): void {
    for (const [outcome, count] of this.#outcomes) coverage.add(outcome, count);
  }
}

/**
 * The packet-trace language: a scenario as the lines of a trace, one event a line, run by `Trace.script`.
 *
 *     < S 0 mss 1460 ws 7          the peer sends a segment, and the stack takes it in this instant
 *     > SA 0 ack 1 mss 1460        the stack has sent this segment
 *     <& A 1:1001 ack 1            the peer sends, and the stack takes it together with the next
 *     > ...                        whatever the stack has sent is of no interest
 *     +40ms                        time passes (us, ms or s), timer by timer
 *     +40ms > A 1 ack 1001         the stack sends this when 40 ms have passed, and nothing before
 *     = ESTABLISHED                the state of the flow
 *     ! connected readable         the owner has been told this since the last such line, and nothing else; `none`: nothing
 *     ! error ECONNRESET closed    and the error is this one
 *     listen  connect  shutdown  release  abort  recover     calls of the owner; `recover`: the device has room again
 *     write "text"  write 1000     the owner writes text, or so many bytes of it
 *     write "text" urgent          and says that it is urgent
 *     read "text"   read 1000      the owner reads: all there is, and it is this text; or so many bytes
 *     nodelay on                   Nagle's algorithm off
 *     < icmp 3/1 about 1           a router tells of an error, type 3 code 1, about the stack's segment 1; `mtu 1000`
 *     # a comment, here or behind a line
 *
 * A segment is: flags (letters of F S R P A U E C, `-` for none), sequence numbers, and what its header says.
 * `PA 1:6 ack 7` has sequence numbers 1 to 5: five bytes. `1` alone is a segment without text. Words: `ack n`, `win n`,
 * `mss n`, `ws n`, `sackOK`, `ts val ecr`, `sack a:b,c:d`, `urg n`, `tos n`, `ttl n`, `port n` (the peer's), `"text"`; of what
 * the peer sends also `opt hex`, options byte by byte.
 *
 * Sequence and acknowledgement numbers count from the initial ones of their side. What the peer does not say has a plain
 * value; what is not said of a segment of the stack is not looked at, but for its text where its sequence number is given.
 * Everything that the stack sends must be in the script: a segment that is not, before the next event or at the end, is a
 * failure. A failure names the line, and shows what was expected and what was there in the same notation.
 */
import * as errno from '../../lib/tcp/errno.js';
import * as state from '../../lib/tcp/conn/state.js';
import type { Script, Sent, Trace } from './trace.js';

/** Names of events in the order of their bits. */
const EVENTS = Object.entries(state)
  .filter((entry): entry is [string, number] => entry[0].startsWith('EV_'))
  .sort((a, b) => a[1] - b[1])
  .map(([name, bit]) => ({ name: name.slice(3).toLowerCase(), bit }));
const CALLS = ['listen', 'connect', 'shutdown', 'release', 'abort'] as const;
const UNITS: Record<string, number> = { us: 1e-3, ms: 1, s: 1e3 };
/** Fields that are one number. */
const NUMBERS = ['ack', 'win', 'mss', 'ws', 'urg', 'tos', 'ttl', 'port'] as const;

interface Pattern {
  script: Script;
  /** Of the text; not given: not looked at. */
  length: number | undefined;
}

/** Runs the lines of a script, one after the other. @throws Error at the first line that does not hold, or makes no sense. */
export function runScript(p: Trace, text: string): void {
  const lines = text.split('\n');
  for (const [i, raw] of lines.entries()) {
    const words = wordsOf(raw);
    if (words.length > 0) new Line(p, i + 1, words.join(' ')).run(words);
  }
  new Line(p, lines.length, 'the end of the script').nothingLeft();
}

function wordsOf(raw: string): string[] {
  const words: string[] = [];
  for (const [word] of raw.matchAll(/"(?:[^"\\]|\\.)*"|\S+/g)) {
    if (word.startsWith('#')) break;
    words.push(word);
  }
  return words;
}

class Line {
  readonly #p: Trace;
  readonly #number: number;
  readonly #text: string;

  constructor(p: Trace, number: number, text: string) {
    this.#p = p;
    this.#number = number;
    this.#text = text;
  }

  run(words: string[]): void {
    const p = this.#p;
    const [first, ...rest] = words as [string, ...string[]];
    if (first === '>') {
      this.expect(rest);
      return;
    }
    this.nothingLeft();
    if (first === '<&') p.put(this.segment(rest).script);
    else if (first === '<' && rest[0] === 'icmp') this.icmp(rest);
    else if (first === '<') p.inject(this.segment(rest).script);
    else if (first.startsWith('+')) this.wait(first, rest);
    else if (first === '=') this.same(p.state, rest[0] ?? '');
    else if (first === '!') this.events(rest);
    else this.call(first, rest);
  }

  /** What the stack has sent must all have been named. */
  nothingLeft(): void {
    const left = this.#p.discard();
    for (const sent of left) if (sent.flags.includes('S')) this.#p.iss = sent.seq;
    if (left.length > 0) this.same(left.map((sent) => `> ${format(this.#p, sent, null)}`).join('; '), '(nothing more is sent)');
  }

  expect(words: string[]): void {
    const p = this.#p;
    if (words[0] === '...') {
      for (const sent of p.discard()) if (sent.flags.includes('S')) p.iss = sent.seq;
      return;
    }
    const pattern = this.segment(words);
    const sent = p.outbox.shift();
    if (sent === undefined) {
      this.same('(nothing was sent)', `> ${words.join(' ')}`);
      return;
    }
    if (sent.flags.includes('S')) p.iss = sent.seq;
    this.same(`> ${format(p, sent, pattern)}`, `> ${formatPattern(pattern)}`);
  }

  wait(first: string, words: string[]): void {
    const [, amount, unit] = /^\+(\d+(?:\.\d+)?)(us|ms|s)$/.exec(first) ?? this.#wrong(`no time: ${first}`);
    const ms = Number(amount) * UNITS[unit!]!;
    if (words.length === 0) {
      this.#p.advance(ms);
      return;
    }
    if (words[0] !== '>') this.#wrong('only what is sent can follow a time');
    // A tick of the stack's clock is 50 µs, so a time to be met is met within one.
    const took = this.#p.untilSent(Math.max(ms * 10, 1));
    this.same(`+${Math.abs(took - ms) <= 0.1 ? ms : took}ms`, `+${ms}ms`);
    this.expect(words.slice(1));
  }

  events(words: string[]): void {
    const p = this.#p;
    const bits = p.takeEvents();
    const names = EVENTS.filter(({ bit }) => (bits & bit) !== 0).map(({ name }) => name);
    const wanted = words.filter((word) => word !== 'none' && !/^E[A-Z]+$/.test(word));
    for (const word of wanted) if (!EVENTS.some(({ name }) => name === word)) this.#wrong(`no such event: ${word}`);
    this.same(names.join(' '), EVENTS.filter(({ name }) => wanted.includes(name)).map(({ name }) => name).join(' '));
    const error = words.find((word) => /^E[A-Z]+$/.test(word));
    if (error !== undefined) this.same(errorName(p.stack.tcb.at(p.flow).error), error);
  }

  call(first: string, words: string[]): void {
    const p = this.#p;
    const simple = CALLS.find((name) => name === first);
    if (simple !== undefined) p[simple]();
    else if (first === 'recover') this.#recover();
    else if (first === 'nodelay') this.#noDelay(words[0]);
    else if (first === 'write') this.#write(words);
    else if (first === 'read') this.#read(words[0] ?? '""');
    else this.#wrong(`no such event: ${first}`);
  }

  icmp(words: string[]): void {
    const [, type, code] = /^(\d+)\/(\d+)$/.exec(words[1] ?? '') ?? this.#wrong('icmp TYPE/CODE about SEQ');
    const value = (name: string): number => {
      const at = words.indexOf(name);
      return at < 0 ? 0 : this.#value(words[at + 1]);
    };
    this.#p.icmp(Number(type), Number(code), value('about'), value('mtu'));
  }

  /** Reads a segment. */
  segment(words: string[]): Pattern {
    const flags = words[0] ?? '';
    if (!/^(?:[FSRPAUEC]+|-)$/.test(flags)) this.#wrong(`no flags: ${flags}`);
    const script: Script = { flags: flags === '-' ? '' : flags };
    let length: number | undefined;
    for (let i = 1; i < words.length; i++) {
      const word = words[i]!;
      const field = NUMBERS.find((name) => name === word);
      if (field !== undefined) {
        script[field] = this.#value(words[++i]);
      } else if (word.startsWith('"')) {
        script.data = JSON.parse(word) as string;
        length = script.data.length;
      } else if (word === 'sackOK') {
        script.sackOk = true;
      } else if (word === 'ts') {
        script.ts = [this.#value(words[++i]), this.#value(words[++i])];
      } else if (word === 'opt') {
        script.options = [...Buffer.from(words[++i] ?? '', 'hex')];
      } else if (word === 'sack') {
        script.sack = (words[++i] ?? '').split(',').map((block) => {
          const [from, to] = block.split(':');
          return [this.#value(from), this.#value(to)];
        });
      } else if (/^-?\d+(:-?\d+)?$/.test(word) && script.seq === undefined) {
        const [from, to] = word.split(':');
        script.seq = Number(from);
        length ??= to === undefined ? 0 : Number(to) - Number(from);
        if (script.data === undefined && length > 0) script.data = length;
      } else {
        this.#wrong(`no such word: ${word}`);
      }
    }
    return { script, length };
  }

  /** The stack's word against the script's. */
  same(got: string, expected: string): void {
    if (this.#p.t.equal(got, expected, `${this.#number}: ${this.#text}`)) return;
    throw new Error(`line ${this.#number}: ${this.#text}\n  expected ${expected}\n  got      ${got}`);
  }

  #recover(): void {
    this.#p.device.full = false;
    this.#p.turn();
  }

  #noDelay(word: string | undefined): void {
    if (word !== 'on' && word !== 'off') this.#wrong('nodelay on, or off');
    this.#p.stack.settings.setNoDelay(this.#p.flow, word === 'on');
    this.#p.turn();
  }

  #write(words: string[]): void {
    const what = words[0] ?? '""';
    this.#p.write(what.startsWith('"') ? JSON.parse(what) as string : this.#value(what), words[1] === 'urgent');
  }

  #read(what: string): void {
    if (what.startsWith('"')) this.same(JSON.stringify(this.#p.read()), what);
    else this.same(`${this.#p.read(this.#value(what)).length}`, what);
  }

  #value(word: string | undefined): number {
    if (word === undefined || !/^-?(?:0x[0-9a-f]+|\d+)$/.test(word)) this.#wrong(`no number: ${word}`);
    return Number(word);
  }

  #wrong(why: string): never {
    throw new SyntaxError(`line ${this.#number}: ${this.#text}\n  ${why}`);
  }
}

function errorName(value: number): string {
  return Object.entries(errno).find(([, number]) => number === value)?.[0] ?? `errno ${value}`;
}

/** A segment that was sent, as the script writes it: as much of it as the pattern speaks of, or the most of it. */
function format(p: Trace, sent: Sent, pattern: Pattern | null): string {
  const wanted: Script = pattern?.script ?? { flags: '', seq: 0, ...(sent.flags.includes('A') ? { ack: 0 } : {}) };
  const script: Script = { flags: sent.flags };
  if (wanted.seq !== undefined) script.seq = (sent.seq - p.iss) | 0;
  if (wanted.ack !== undefined) script.ack = (sent.ack - p.irs) | 0;
  if (wanted.win !== undefined) script.win = sent.win;
  if (wanted.mss !== undefined) script.mss = sent.mss;
  if (wanted.ws !== undefined) script.ws = sent.ws;
  if (wanted.urg !== undefined) script.urg = sent.urg;
  if (wanted.tos !== undefined) script.tos = sent.tos;
  if (wanted.ttl !== undefined) script.ttl = sent.ttl;
  if (wanted.port !== undefined) script.port = sent.destination;
  if (wanted.sackOk !== undefined) script.sackOk = sent.sackOk;
  if (wanted.ts !== undefined) script.ts = sent.ts;
  if (wanted.sack !== undefined) script.sack = sent.sack.map(([from, to]) => [(from - p.irs) | 0, (to - p.irs) | 0]);
  if (typeof wanted.data === 'string') script.data = sent.text;
  const looked = pattern === null || pattern.length !== undefined;
  return formatPattern({ script, length: looked ? sent.length : undefined });
}

function formatPattern({ script, length }: Pattern): string {
  const { flags, seq, data, ts, sack, sackOk } = script;
  const parts = [[...'FSRPAUEC'].filter((letter) => flags.includes(letter)).join('') || '-'];
  if (seq !== undefined) parts.push(length === undefined || length === 0 ? `${seq}` : `${seq}:${seq + length}`);
  for (const name of NUMBERS) if (script[name] !== undefined) parts.push(`${name} ${script[name]}`);
  if (sackOk === true) parts.push('sackOK');
  if (ts !== undefined && ts !== null) parts.push(`ts ${ts[0]} ${ts[1]}`);
  if (sack !== undefined) parts.push(`sack ${sack.map((block) => block.join(':')).join(',')}`);
  if (typeof data === 'string') parts.push(JSON.stringify(data));
  return parts.join(' ');
}

/**
 * Carries out what app threads submit. Nothing of it is taken on trust: every flow, position and block is checked against the TCP server's own
 * record (see server_channel.ts).
 */
import type { Tcb } from '../tcp/conn/tcb.js';
import type { Stack } from '../tcp/stack.js';
import { FILE_BYTES_MOST, FILE_QUIET, FLOW_CLOSE, FLOW_CORK, FLOW_END, FLOW_KEEP_ALIVE, FLOW_NO_DELAY, FLOW_RESET, FLOW_TAKEN, FLOW_WAITING, LISTEN_DISTRIBUTION_MASK,
  LISTEN_DISTRIBUTION_SHIFT, LISTEN_IPV6_ONLY, OP_MASK, SUBMIT_BIND, SUBMIT_CONNECT, SUBMIT_FILE, SUBMIT_FLOW, SUBMIT_LISTEN, SUBMIT_OPTIONS, SUBMIT_UNLISTEN, VIOLATION_CONSUMED,
  VIOLATION_FILE, VIOLATION_FLOW, VIOLATION_OPERATION, VIOLATION_QUEUE, VIOLATION_WRITTEN } from './messages.js';
import type { ServerChannel } from './server_channel.js';
import type { ServerCompletions } from './server_completions.js';
import type { ServerFiles } from './server_files.js';
import { LEVEL_CORK, LEVEL_ENDED, LEVEL_ERROR, LEVEL_FILE_ERROR, LEVEL_FREED, LEVEL_KEEP_ALIVE, LEVEL_NO_DELAY, LEVEL_OVER, LEVEL_RELEASED, LEVEL_UNTAKEN, LEVEL_WAITING } from './server_flows.js';
import type { ServerFlows } from './server_flows.js';
import type { ServerListeners } from './server_listeners.js';
import type { ServerPayload } from './server_payload.js';

const NONE = -1;
/** In place of a flow: see `#flowOf`. */
const STALE = -1;
const FOREIGN = -2;
/** Submissions taken from one channel in a turn, so that no app thread holds up another. */
const SUBMISSION_BUDGET = 1024;
/** Above the low word of an offset in a file: offsets are safe integers. */
const OFFSET_HIGH_MOST = 0x1fffff;
const TWO_TO_32 = 2 ** 32;

export class ServerSubmissions {
  /** VIOLATION_* of the entry at which `take` has stopped; 0: there was none. */
  violation = 0;
  readonly #words: Int32Array;
  readonly #stack: Stack;
  readonly #payload: ServerPayload;
  readonly #tcb: Tcb;
  readonly #flows: ServerFlows;
  readonly #listeners: ServerListeners;
  readonly #files: ServerFiles;
  readonly #completions: ServerCompletions;
  readonly #address = new Int32Array(4);

  constructor(
    words: Int32Array, stack: Stack, payload: ServerPayload, tcb: Tcb, flows: ServerFlows, listeners: ServerListeners, completions: ServerCompletions,
  ) {
    this.#words = words;
    this.#stack = stack;
    this.#payload = payload;
    this.#tcb = tcb;
    this.#flows = flows;
    this.#listeners = listeners;
    this.#files = payload.files;
    this.#completions = completions;
  }

  /** Carries out what is in the queue of a channel, up to the first entry that breaks the rules (`violation`). Returns how many entries that were. */
  take(channel: ServerChannel): number {
    const submissions = channel.submissions;
    const available = submissions.available();
    this.violation = available < 0 ? VIOLATION_QUEUE : 0;
    if (available < 0) return 0;
    const count = Math.min(available, SUBMISSION_BUDGET);
    for (let i = 0; i < count; i++) {
      this.violation = this.#submission(channel, submissions.take());
      if (this.violation !== 0) return i;
    }
    if (count > 0) submissions.release();
    return count;
  }

  #submission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    switch (words[at] & OP_MASK) {
      case SUBMIT_FLOW:
        return this.#flowSubmission(channel, at);
      case SUBMIT_OPTIONS:
        return this.#optionsSubmission(channel, at);
      case SUBMIT_FILE:
        return this.#fileSubmission(channel, at);
      case SUBMIT_LISTEN:
        this.#copyAddress(at + 2, this.#address);
        this.#completions.reply(channel, words[at + 1], this.#listen(channel, at), 0);
        return 0;
      case SUBMIT_UNLISTEN:
        this.#listeners.unlisten(channel, words[at + 1]);
        channel.closings.push(words[at + 1]);
        return 0;
      case SUBMIT_BIND:
        this.#copyAddress(at + 2, channel.bindAddress);
        channel.bound = true;
        return 0;
      case SUBMIT_CONNECT:
        this.#connect(channel, at);
        return 0;
      default:
        return VIOLATION_OPERATION;
    }
  }

  #copyAddress(at: number, target: Int32Array): void {
    for (let i = 0; i < 4; i++) target[i] = this.#words[at + i];
  }

  #connect(channel: ServerChannel, at: number): void {
    const ports = this.#words[at + 6];
    this.#copyAddress(at + 2, this.#address);
    const flow = this.#stack.connect(this.#address, ports >>> 16, channel.bound ? channel.bindAddress : null, ports & 0xffff);
    channel.bound = false;
    let generation = 0;
    if (flow >= 0) {
      generation = this.#tcb.at(flow).generation;
      this.#completions.bind(channel, flow, generation, 0, NONE);
    }
    this.#completions.reply(channel, this.#words[at + 1], flow, generation);
  }

  #listen(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const ipv6Only = (words[at] & LISTEN_IPV6_ONLY) !== 0;
    const distribution = (words[at] >>> LISTEN_DISTRIBUTION_SHIFT) & LISTEN_DISTRIBUTION_MASK;
    return this.#listeners.listen(channel, words[at + 1], this.#address, words[at + 6] & 0xffff, words[at + 7], ipv6Only, distribution);
  }

  /** The flow that an entry names; STALE where it is over, or FOREIGN where it is not the channel's. */
  #flowOf(channel: ServerChannel, at: number): number {
    const flow = this.#words[at + 1];
    const { owner, generation } = this.#flows;
    if (flow < 0 || flow >= owner.length) return FOREIGN;
    // It may have ended, and its index been given to another, while this was on its way.
    if (this.#words[at + 2] !== generation[flow] || owner[flow] === NONE) return STALE;
    return owner[flow] === channel.index ? flow : FOREIGN;
  }

  #flowSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = this.#flowOf(channel, at);
    if (flow < 0) return flow === STALE ? 0 : VIOLATION_FLOW;
    const flags = words[at];
    let level = flows.level[flow];
    if ((flags & FLOW_TAKEN) !== 0 && (level & LEVEL_UNTAKEN) !== 0) {
      this.#listeners.taken(flows.group[flow], channel);
      this.#stack.taken(flow);
      level &= ~LEVEL_UNTAKEN;
    }
    level = (flags & FLOW_WAITING) === 0 ? level & ~LEVEL_WAITING : level | LEVEL_WAITING;
    flows.level[flow] = level;
    if ((level & LEVEL_WAITING) !== 0 && words[at + 3] === this.#tcb.at(flow).acknowledged) channel.starve();
    if ((level & (LEVEL_FREED | LEVEL_RELEASED)) === 0) {
      const violation = this.#positions(flow, words[at + 3], words[at + 4], words[at + 5], words[at + 6]);
      if (violation !== 0) return violation;
      this.#requests(flow, flags);
    }
    if ((flags & FLOW_CLOSE) !== 0) this.release(channel, flow);
    return 0;
  }

  #optionsSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = this.#flowOf(channel, at);
    if (flow < 0) return flow === STALE ? 0 : VIOLATION_FLOW;
    const level = flows.level[flow];
    if ((level & (LEVEL_FREED | LEVEL_RELEASED)) !== 0) return 0;
    const { settings } = this.#stack;
    const countAndClass = words[at + 5];
    settings.setKeepAlive(flow, (level & LEVEL_KEEP_ALIVE) !== 0, Math.max(words[at + 3], 0), Math.max(words[at + 4], 0), countAndClass & 0x7f);
    settings.setTrafficClass(flow, (countAndClass >>> 8) & 0xff);
    settings.setUserTimeout(flow, words[at + 6]);
    settings.setFinWait(flow, words[at + 7]);
    return 0;
  }

  #fileSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = this.#flowOf(channel, at);
    if (flow < 0) return flow === STALE ? 0 : VIOLATION_FLOW;
    const level = flows.level[flow];
    if ((level & (LEVEL_FREED | LEVEL_RELEASED)) !== 0) return 0;
    const low = words[at + 4];
    const high = words[at + 5];
    const position = words[at + 6];
    const length = words[at + 7];
    if ((level & LEVEL_ENDED) !== 0 || ((position - flows.written[flow]) | 0) < 0) return VIOLATION_FILE;
    if (length < 1 || length > FILE_BYTES_MOST || high < 0 || high > OFFSET_HIGH_MOST) return VIOLATION_FILE;
    const quiet = (words[at] & FILE_QUIET) !== 0;
    return this.#files.add(flow, position, words[at + 3], high * TWO_TO_32 + (low >>> 0), length, quiet) ? 0 : VIOLATION_FILE;
  }

  /** What the app thread has written and read since it last said so. */
  #positions(flow: number, written: number, consumed: number, chainFirst: number, chainStart: number): number {
    const flows = this.#flows;
    if (written !== flows.written[flow]) {
      if (!this.#payload.written(flow, written, chainFirst, chainStart)) return VIOLATION_WRITTEN;
      flows.written[flow] = written;
      this.#stack.write(flow, this.#files.available(flow, written), this.#files.holds(flow));
    }
    if (consumed !== flows.consumed[flow]) {
      const ahead = (consumed - flows.consumed[flow]) | 0;
      if (ahead < 0 || ((this.#tcb.at(flow).received - consumed) | 0) < 0) return VIOLATION_CONSUMED;
      flows.consumed[flow] = consumed;
      this.#payload.consumed(flow, consumed);
      this.#stack.consume(flow, consumed);
    }
    return 0;
  }

  #requests(flow: number, flags: number): void {
    const level = this.#flows.level;
    const noDelay = (flags & FLOW_NO_DELAY) !== 0;
    if (noDelay !== ((level[flow] & LEVEL_NO_DELAY) !== 0)) {
      level[flow] ^= LEVEL_NO_DELAY;
      this.#stack.settings.setNoDelay(flow, noDelay);
    }
    const keepAlive = (flags & FLOW_KEEP_ALIVE) !== 0;
    if (keepAlive !== ((level[flow] & LEVEL_KEEP_ALIVE) !== 0)) {
      level[flow] ^= LEVEL_KEEP_ALIVE;
      const { keepIdle, keepInterval, keepCount } = this.#tcb.at(flow);
      this.#stack.settings.setKeepAlive(flow, keepAlive, keepIdle, keepInterval, keepCount);
    }
    const cork = (flags & FLOW_CORK) !== 0;
    if (cork !== ((level[flow] & LEVEL_CORK) !== 0)) {
      level[flow] ^= LEVEL_CORK;
      this.#stack.settings.setCork(flow, cork);
    }
    if ((flags & FLOW_RESET) !== 0) {
      level[flow] |= LEVEL_RELEASED;
      this.#stack.abort(flow);
    } else if ((flags & FLOW_END) !== 0 && (level[flow] & LEVEL_ENDED) === 0) {
      level[flow] |= LEVEL_ENDED;
      if (!this.#files.holds(flow)) this.#stack.shutdown(flow);
    }
  }

  /** The app has let go of the flow. */
  release(channel: ServerChannel, flow: number): void {
    const level = this.#flows.level;
    if ((level[flow] & LEVEL_RELEASED) !== 0) return;
    level[flow] |= LEVEL_RELEASED;
    if ((level[flow] & LEVEL_FREED) === 0) {
      this.#stack.release(flow, !this.#files.holds(flow));
      // Nobody reads any more.
      this.#payload.consumed(flow, this.#tcb.at(flow).received);
    }
    if ((level[flow] & (LEVEL_OVER | LEVEL_FREED)) !== 0) this.#completions.mark(channel, flow, false);
  }

  // ---- files: what was written behind one, and the end, wait until it is read

  /** Reads on in the files that are being sent. Returns how many pieces were read. */
  readFiles(): number {
    return this.#files.read(this.#fileRoom, this.#fileProgressed);
  }

  /** Bytes of the flow's file that are worth having in memory: what is on its way, and as much behind it. */
  readonly #fileRoom = (flow: number): number => 2 * this.#tcb.at(flow).cwnd;

  readonly #fileProgressed = (flow: number, errno: number): void => {
    const flows = this.#flows;
    if (flows.owner[flow] === NONE) return;
    if (errno !== 0) {
      // What the peer was promised does not come: it must not take what follows for it.
      flows.errno[flow] = errno;
      flows.level[flow] |= LEVEL_ERROR | LEVEL_FILE_ERROR;
      this.#stack.abort(flow);
      return;
    }
    const held = this.#files.holds(flow);
    this.#stack.write(flow, this.#files.available(flow, flows.written[flow]), held);
    if (!held && (flows.level[flow] & (LEVEL_ENDED | LEVEL_RELEASED)) !== 0) this.#stack.shutdown(flow);
  };
}

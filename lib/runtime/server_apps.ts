/**
 * The TCP server's side of all channels: carries out what app threads ask for, and tells them what became of their flows.
 */
import type { Stack } from '../tcp/stack.js';
import { EV_ACCEPTED, EV_ACKED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, EV_READABLE } from '../tcp/conn/state.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { BLOCK_BYTES, CHANNEL_ATTACHED, CHANNEL_CLAIMED, CHANNEL_FAILED, CHANNEL_FREE, CHANNEL_LEFT, CH_STATE, CH_TID, CLAIM_SHIFT, CTRL_CHANNELS,
  QUEUE_ENTRIES } from './layout.js';
import type { Layout } from './layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, FILE_BYTES_MOST, FILE_QUIET, FLOW_CLOSE, FLOW_CONNECTED, FLOW_CORK, FLOW_END, FLOW_EOF, FLOW_ERROR, FLOW_FILE_ERROR,
  FLOW_GONE, FLOW_KEEP_ALIVE, FLOW_NO_DELAY, FLOW_OVER, FLOW_RESET, FLOW_TAKEN, FLOW_WAITING, LISTEN_DISTRIBUTION_MASK, LISTEN_DISTRIBUTION_SHIFT, LISTEN_IPV6_ONLY,
  OP_MASK, SUBMIT_BIND, SUBMIT_CONNECT, SUBMIT_FILE, SUBMIT_FLOW, SUBMIT_LISTEN, SUBMIT_OPTIONS, SUBMIT_UNLISTEN, VIOLATION_BLOCK, VIOLATION_CONSUMED, VIOLATION_FILE, VIOLATION_FLOW,
  VIOLATION_OPERATION, VIOLATION_QUEUE, VIOLATION_STATE, VIOLATION_WRITTEN } from './messages.js';
import { ServerChannel } from './server_channel.js';
import { LEVEL_ACCEPT, LEVEL_CONNECTED, LEVEL_CORK, LEVEL_DIRTY, LEVEL_ENDED, LEVEL_EOF, LEVEL_ERROR, LEVEL_FILE_ERROR, LEVEL_FREED, LEVEL_KEEP_ALIVE, LEVEL_NO_DELAY,
  LEVEL_OVER, LEVEL_RELEASED, LEVEL_UNTAKEN, LEVEL_URGENT, LEVEL_WAITING, ServerFlows } from './server_flows.js';
import type { ServerFiles } from './server_files.js';
import { ServerListeners, hashOf } from './server_listeners.js';
import type { ServerPayload } from './server_payload.js';

const NONE = -1;
/** Submissions taken from one channel in a turn, so that no app thread holds up another. */
const SUBMISSION_BUDGET = 1024;
/** An app that waits for room is told when this much has come free since it was last told (or everything has). */
const ROOM_WORTH_TELLING = 4 * BLOCK_BYTES;
/** Above the low word of an offset in a file: offsets are safe integers. */
const OFFSET_HIGH_MOST = 0x1fffff;
const TWO_TO_32 = 2 ** 32;

export class ServerApps {
  readonly #layout: Layout;
  readonly #words: Int32Array;
  readonly #stack: Stack;
  readonly #payload: ServerPayload;
  readonly #tcb: Tcb;
  readonly #flows: ServerFlows;
  readonly #listeners: ServerListeners;
  readonly #files: ServerFiles;
  /** The channels in use, and all by index. */
  readonly #active: ServerChannel[] = [];
  readonly #channels: (ServerChannel | undefined)[];
  readonly #address = new Int32Array(4);
  #channelsSeen = 0;
  /** Flows whose apps hear in the next turn that they are connected. */
  readonly #late: number[] = [];

  constructor(layout: Layout, words: Int32Array, stack: Stack, payload: ServerPayload) {
    this.#layout = layout;
    this.#words = words;
    this.#stack = stack;
    this.#payload = payload;
    this.#tcb = new Tcb(words, layout.tcbBase);
    this.#flows = new ServerFlows(layout.sizes.maxFlows);
    this.#listeners = new ServerListeners(stack);
    this.#files = payload.files;
    this.#channels = new Array<ServerChannel | undefined>(layout.sizes.maxApps);
    for (let flow = 0; flow < layout.sizes.maxFlows; flow++) payload.reset(flow);
  }

  /** True where there is something to try again soon: an app thread could not be told everything, or a disk has something to bring. */
  get backlogged(): boolean {
    if (this.#files.waiting) return true;
    for (let i = 0; i < this.#active.length; i++) if (this.#active[i].backlogged) return true;
    return false;
  }

  /** True where an app thread has submitted something or come or gone, or is still to hear of a connection. */
  get pending(): boolean {
    if (this.#late.length > 0) return true;
    if (Atomics.load(this.#words, CTRL_CHANNELS) !== this.#channelsSeen) return true;
    for (let i = 0; i < this.#active.length; i++) {
      if (!this.#active[i].held && this.#active[i].submissions.available() !== 0) return true;
    }
    return false;
  }

  /** Carries out what is in the submission queues, and reads files on. Returns how many entries and pieces of files it took. */
  takeSubmissions(): number {
    if (Atomics.load(this.#words, CTRL_CHANNELS) !== this.#channelsSeen) this.#followChannels();
    let taken = 0;
    // From the last one, because a channel that ends goes out of the list.
    for (let i = this.#active.length - 1; i >= 0; i--) if (!this.#active[i].held) taken += this.#takeFrom(this.#active[i]);
    return taken + this.#files.read(this.#fileRoom, this.#fileProgressed);
  }

  /**
   * As `takeChanges`, for the frames of a turn. Where both ends of a connection are here, who has opened it hears a turn later that it is
   * open: who has accepted it hears first, as with the kernel, and may stop listening at once.
   */
  takeArrivals(): void {
    const due = this.#late.length;
    this.takeChanges();
    if (due === 0) return;
    for (let i = 0; i < due; i++) {
      const owner = this.#flows.owner[this.#late[i]];
      if (owner !== NONE) this.#mark(this.#channels[owner]!, this.#late[i], true);
    }
    this.#late.splice(0, due);
  }

  /** Turns what the stack has to report into what app threads are to be told. */
  takeChanges(): void {
    for (let flow = this.#stack.takeChanged(); flow !== NONE; flow = this.#stack.takeChanged()) this.#changed(flow);
    if (this.#payload.violated !== NONE) {
      const owner = this.#flows.owner[this.#payload.violated];
      this.#payload.violated = NONE;
      if (owner !== NONE) this.#fail(this.#channels[owner]!, VIOLATION_BLOCK);
    }
  }

  /** Tells every app thread what it has not been told yet, as far as its queue has room. */
  publish(): void {
    for (let i = this.#active.length - 1; i >= 0; i--) {
      if (this.#active[i].left) this.#tellNobody(this.#active[i]);
      else this.#tell(this.#active[i]);
    }
  }

  /** True while flows of app threads, living or gone, have not come to their end. */
  get busy(): boolean {
    for (let i = 0; i < this.#active.length; i++) if (this.#active[i].flows > 0) return true;
    return false;
  }

  /** True while app threads are there that have not left. */
  get attended(): boolean {
    for (let i = 0; i < this.#active.length; i++) if (!this.#active[i].left) return true;
    return false;
  }

  /** The TCP server ends, and who has not left by now is left: what was written is still sent. */
  leaveAll(): void {
    for (const channel of [...this.#active]) {
      if (channel.left) continue;
      channel.unawares = true;
      this.#leave(channel);
    }
  }

  /** Ends the channels of app threads that are no more; `alive` looks a kernel thread id up. */
  reap(alive: (tid: number) => boolean): void {
    // A thread can die at any place: before it has said that something has changed, too.
    this.#followChannels();
    for (const channel of [...this.#active]) if (!channel.left && !alive(channel.tid)) this.#end(channel).free();
    for (let index = 0; index < this.#channels.length; index++) if (this.#channels[index] === undefined) this.#reapUnused(index, alive);
  }

  // ---- channels

  #followChannels(): void {
    this.#channelsSeen = Atomics.load(this.#words, CTRL_CHANNELS);
    for (let index = 0; index < this.#channels.length; index++) {
      const state = Atomics.load(this.#words, this.#layout.channelBase(index) + CH_STATE);
      const known = this.#channels[index];
      if (known === undefined && state === CHANNEL_ATTACHED) {
        const channel = new ServerChannel(this.#layout, this.#words, index);
        this.#channels[index] = channel;
        this.#active.push(channel);
      } else if (state === CHANNEL_LEFT) {
        if (known === undefined) Atomics.store(this.#words, this.#layout.channelBase(index) + CH_STATE, CHANNEL_FREE);
        else if (!known.left) this.#leave(known);
      } else if (known !== undefined && !known.left && state !== CHANNEL_ATTACHED) {
        // Another thread could claim the slot, with the flows of this one in it.
        this.#fail(known, VIOLATION_STATE);
      }
    }
  }

  /** A slot that was claimed and never attached, or failed and never left, because the thread died. */
  #reapUnused(index: number, alive: (tid: number) => boolean): void {
    const base = this.#layout.channelBase(index);
    const state = Atomics.load(this.#words, base + CH_STATE);
    const claimed = (state & ((1 << CLAIM_SHIFT) - 1)) === CHANNEL_CLAIMED;
    if (!claimed && state !== CHANNEL_FAILED) return;
    if (!alive(claimed ? state >>> CLAIM_SHIFT : this.#words[base + CH_TID])) Atomics.compareExchange(this.#words, base + CH_STATE, state, CHANNEL_FREE);
  }

  /** The app thread has left in good order: what it wrote is still sent, then its flows end. */
  #leave(channel: ServerChannel): void {
    // What it has submitted, and no more: it may break its word and go on.
    for (let taken = 0, count = -1; taken < QUEUE_ENTRIES && count !== 0; taken += count) count = this.#takeFrom(channel);
    if (this.#channels[channel.index] !== channel) return;
    channel.left = true;
    this.#listeners.drop(channel);
    this.#eachFlow(channel, (flow) => {
      if ((this.#flows.level[flow] & LEVEL_UNTAKEN) !== 0) this.#abort(flow);
      else this.#release(channel, flow);
    });
    if (channel.flows === 0) this.#forget(channel);
  }

  /** Nobody has seen the flow, and nobody will. */
  #abort(flow: number): void {
    this.#flows.level[flow] |= LEVEL_RELEASED;
    this.#stack.abort(flow);
  }

  /** The app thread is dead or breaks the rules: its flows are reset at once. Its slot is still to be freed. */
  #end(channel: ServerChannel): ServerChannel {
    channel.left = false;
    this.#listeners.drop(channel);
    this.#eachFlow(channel, (flow) => {
      if ((this.#flows.level[flow] & LEVEL_FREED) === 0) this.#stack.abort(flow);
      this.#unbind(channel, flow);
    });
    this.#drop(channel);
    return channel;
  }

  #fail(channel: ServerChannel, violation: number): void {
    this.#end(channel).fail(violation);
  }

  /** Its last flow is gone. */
  #forget(channel: ServerChannel): void {
    this.#drop(channel);
    channel.free();
  }

  #drop(channel: ServerChannel): void {
    this.#channels[channel.index] = undefined;
    const at = this.#active.indexOf(channel);
    if (at >= 0) this.#active.splice(at, 1);
  }

  #eachFlow(channel: ServerChannel, visit: (flow: number) => void): void {
    const owner = this.#flows.owner;
    for (let flow = 0; flow < owner.length; flow++) if (owner[flow] === channel.index) visit(flow);
  }

  // ---- submissions

  #takeFrom(channel: ServerChannel): number {
    const submissions = channel.submissions;
    const available = submissions.available();
    if (available < 0) {
      this.#fail(channel, VIOLATION_QUEUE);
      return 0;
    }
    const count = Math.min(available, SUBMISSION_BUDGET);
    for (let i = 0; i < count; i++) {
      const violation = this.#submission(channel, submissions.take());
      if (violation !== 0) {
        this.#fail(channel, violation);
        return i;
      }
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
        this.#reply(channel, words[at + 1], this.#listen(channel, at), 0);
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
      this.#bind(channel, flow, generation, 0, NONE);
    }
    this.#reply(channel, this.#words[at + 1], flow, generation);
  }

  #flowSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = words[at + 1];
    if (flow < 0 || flow >= flows.owner.length) return VIOLATION_FLOW;
    // The flow may have ended, and its index been given to another, while this was on its way.
    if (words[at + 2] !== flows.generation[flow] || flows.owner[flow] === NONE) return 0;
    if (flows.owner[flow] !== channel.index) return VIOLATION_FLOW;
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
    if ((flags & FLOW_CLOSE) !== 0) this.#release(channel, flow);
    return 0;
  }

  #optionsSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = words[at + 1];
    if (flow < 0 || flow >= flows.owner.length) return VIOLATION_FLOW;
    if (words[at + 2] !== flows.generation[flow] || flows.owner[flow] === NONE) return 0;
    if (flows.owner[flow] !== channel.index) return VIOLATION_FLOW;
    const level = flows.level[flow];
    if ((level & (LEVEL_FREED | LEVEL_RELEASED)) !== 0) return 0;
    const stack = this.#stack;
    const countAndClass = words[at + 5];
    stack.setKeepAlive(flow, (level & LEVEL_KEEP_ALIVE) !== 0, Math.max(words[at + 3], 0), Math.max(words[at + 4], 0), countAndClass & 0x7f);
    stack.setTrafficClass(flow, (countAndClass >>> 8) & 0xff);
    stack.setUserTimeout(flow, words[at + 6]);
    stack.setFinWait(flow, words[at + 7]);
    return 0;
  }

  #fileSubmission(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const flows = this.#flows;
    const flow = words[at + 1];
    if (flow < 0 || flow >= flows.owner.length) return VIOLATION_FLOW;
    if (words[at + 2] !== flows.generation[flow] || flows.owner[flow] === NONE) return 0;
    if (flows.owner[flow] !== channel.index) return VIOLATION_FLOW;
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
      this.#stack.setNoDelay(flow, noDelay);
    }
    const keepAlive = (flags & FLOW_KEEP_ALIVE) !== 0;
    if (keepAlive !== ((level[flow] & LEVEL_KEEP_ALIVE) !== 0)) {
      level[flow] ^= LEVEL_KEEP_ALIVE;
      const { keepIdle, keepInterval, keepCount } = this.#tcb.at(flow);
      this.#stack.setKeepAlive(flow, keepAlive, keepIdle, keepInterval, keepCount);
    }
    const cork = (flags & FLOW_CORK) !== 0;
    if (cork !== ((level[flow] & LEVEL_CORK) !== 0)) {
      level[flow] ^= LEVEL_CORK;
      this.#stack.setCork(flow, cork);
    }
    if ((flags & FLOW_RESET) !== 0) {
      level[flow] |= LEVEL_RELEASED;
      this.#stack.abort(flow);
    } else if ((flags & FLOW_END) !== 0 && (level[flow] & LEVEL_ENDED) === 0) {
      level[flow] |= LEVEL_ENDED;
      if (!this.#files.holds(flow)) this.#stack.shutdown(flow);
    }
  }

  // ---- files: what was written behind one, and the end, wait until it is read

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

  /** The app has let go of the flow. */
  #release(channel: ServerChannel, flow: number): void {
    const level = this.#flows.level;
    if ((level[flow] & LEVEL_RELEASED) !== 0) return;
    level[flow] |= LEVEL_RELEASED;
    if ((level[flow] & LEVEL_FREED) === 0) this.#stack.release(flow, !this.#files.holds(flow));
    if ((level[flow] & (LEVEL_OVER | LEVEL_FREED)) !== 0) this.#mark(channel, flow, false);
  }

  // ---- flows

  #listen(channel: ServerChannel, at: number): number {
    const words = this.#words;
    const ipv6Only = (words[at] & LISTEN_IPV6_ONLY) !== 0;
    const distribution = (words[at] >>> LISTEN_DISTRIBUTION_SHIFT) & LISTEN_DISTRIBUTION_MASK;
    return this.#listeners.listen(channel, words[at + 1], this.#address, words[at + 6] & 0xffff, words[at + 7], ipv6Only, distribution);
  }

  #bind(channel: ServerChannel, flow: number, generation: number, level: number, listener: number): void {
    this.#flows.bind(flow, channel.index, generation, level, listener);
    this.#payload.open(flow, channel.arenaBase);
    channel.flows++;
  }

  /** The app thread has nothing more to do with the flow; the stack may still have. */
  #unbind(channel: ServerChannel, flow: number): void {
    const level = this.#flows.level[flow];
    if ((level & LEVEL_UNTAKEN) !== 0) this.#listeners.taken(this.#flows.group[flow], channel);
    channel.flows--;
    this.#flows.unbind(flow);
    if (!channel.unawares) this.#payload.reset(flow);
    if ((level & LEVEL_FREED) !== 0) this.#stack.recycle(flow);
    if (channel.flows === 0 && channel.left) this.#forget(channel);
  }

  /** The stack reports that something happened to the flow. */
  #changed(flow: number): void {
    const tcb = this.#tcb.at(flow);
    const events = tcb.events;
    tcb.events = 0;
    if ((events & EV_ACCEPTED) !== 0) this.#accept(flow, tcb.listener, tcb.generation);
    const owner = this.#flows.owner[flow];
    if (owner === NONE) {
      if ((events & EV_FREED) !== 0) {
        this.#payload.reset(flow);
        this.#stack.recycle(flow);
      }
      return;
    }
    let level = 0;
    if ((events & EV_CONNECTED) !== 0) level |= LEVEL_CONNECTED;
    if ((events & EV_EOF) !== 0) level |= LEVEL_EOF;
    if ((events & EV_CLOSED) !== 0) level |= LEVEL_OVER;
    if ((events & EV_FREED) !== 0) level |= LEVEL_FREED | LEVEL_OVER;
    if ((events & EV_ERROR) !== 0) {
      level |= LEVEL_ERROR;
      this.#flows.errno[flow] = this.#tcb.at(flow).error;
    }
    this.#flows.level[flow] |= level;
    if ((level & LEVEL_OVER) !== 0) this.#files.stop(flow);
    if (level === LEVEL_CONNECTED && this.#stack.hasPeer(flow)) {
      this.#late.push(flow);
      return;
    }
    const channel = this.#channels[owner]!;
    const sent = (events & EV_ACKED) !== 0 && this.#files.takeDone(flow);
    if (level !== 0 || sent || (events & EV_READABLE) !== 0) this.#mark(channel, flow, true);
    else if ((events & EV_ACKED) !== 0) this.#acknowledged(channel, flow);
  }

  #accept(flow: number, listener: number, generation: number): void {
    const member = this.#listeners.give(listener, hashOf(this.#words, this.#tcb.at(flow).remoteAt));
    if (member === undefined) {
      this.#stack.abort(flow);
      return;
    }
    this.#bind(member.channel, flow, generation, LEVEL_ACCEPT | LEVEL_UNTAKEN, member.request);
    this.#flows.group[flow] = member.group;
    this.#mark(member.channel, flow, true);
  }

  /** Send memory came free: worth telling when the app waits for it, or when all of the flow's did. */
  #acknowledged(channel: ServerChannel, flow: number): void {
    const flows = this.#flows;
    const acknowledged = this.#tcb.at(flow).acknowledged;
    const waiting = (flows.level[flow] & LEVEL_WAITING) !== 0;
    if (acknowledged === flows.written[flow]) {
      this.#mark(channel, flow, waiting || channel.starved);
      channel.starved = false;
    } else if (waiting && ((acknowledged - flows.toldAcknowledged[flow]) | 0) >= ROOM_WORTH_TELLING) this.#mark(channel, flow, true);
  }

  // ---- completions

  /** The app thread is to be told of the flow at the end of the turn; with `urgent` it is woken for it. */
  #mark(channel: ServerChannel, flow: number, urgent: boolean): void {
    const flows = this.#flows;
    const level = flows.level[flow];
    flows.level[flow] = level | LEVEL_DIRTY | (urgent ? LEVEL_URGENT : 0);
    if ((level & LEVEL_DIRTY) !== 0) return;
    flows.next[flow] = NONE;
    if (channel.dirtyLast === NONE) channel.dirtyFirst = flow;
    else flows.next[channel.dirtyLast] = flow;
    channel.dirtyLast = flow;
  }

  #reply(channel: ServerChannel, request: number, result: number, detail: number): void {
    channel.replies.push(request, result, detail);
  }

  #tell(channel: ServerChannel): void {
    if (channel.replies.length > 0 && !this.#tellReplies(channel)) return;
    const flows = this.#flows;
    while (channel.dirtyFirst !== NONE) {
      const flow = channel.dirtyFirst;
      const at = channel.push((flows.level[flow] & LEVEL_URGENT) !== 0);
      if (at < 0) break;
      if ((flows.level[flow] & LEVEL_ACCEPT) !== 0) {
        // Its state follows as an entry of its own, in its old place in the list.
        this.#writeAccept(at, flow);
        continue;
      }
      channel.dirtyFirst = flows.next[flow];
      if (channel.dirtyFirst === NONE) channel.dirtyLast = NONE;
      flows.level[flow] &= ~(LEVEL_DIRTY | LEVEL_URGENT);
      this.#writeFlow(channel, at, flow);
    }
    if (channel.closings.length > 0 && channel.dirtyFirst === NONE) this.#tellClosings(channel);
    channel.publish();
  }

  /** Nothing more comes by the listeners that the app thread has closed. */
  #tellClosings(channel: ServerChannel): void {
    for (const request of channel.closings) this.#reply(channel, request, 0, 0);
    channel.closings.length = 0;
    this.#tellReplies(channel);
  }

  /** The app thread is gone: only what is over matters. */
  #tellNobody(channel: ServerChannel): void {
    const flows = this.#flows;
    while (channel.dirtyFirst !== NONE) {
      const flow = channel.dirtyFirst;
      channel.dirtyFirst = flows.next[flow];
      if (channel.dirtyFirst === NONE) channel.dirtyLast = NONE;
      flows.level[flow] &= ~(LEVEL_DIRTY | LEVEL_URGENT);
      if (isGone(flows.level[flow])) this.#unbind(channel, flow);
    }
  }

  #tellReplies(channel: ServerChannel): boolean {
    const replies = channel.replies;
    let told = 0;
    for (; told < replies.length; told += 3) {
      const at = channel.push(true);
      if (at < 0) break;
      this.#words[at] = COMPLETE_REPLY;
      this.#words[at + 1] = replies[told];
      this.#words[at + 2] = replies[told + 1];
      this.#words[at + 3] = replies[told + 2];
    }
    replies.splice(0, told);
    if (replies.length > 0) channel.publish();
    return replies.length === 0;
  }

  #writeAccept(at: number, flow: number): void {
    const words = this.#words;
    this.#flows.level[flow] &= ~LEVEL_ACCEPT;
    words[at] = COMPLETE_ACCEPT;
    words[at + 1] = flow;
    words[at + 2] = this.#flows.generation[flow];
    words[at + 3] = this.#flows.listener[flow];
  }

  #writeFlow(channel: ServerChannel, at: number, flow: number): void {
    const words = this.#words;
    const flows = this.#flows;
    const level = flows.level[flow];
    const gone = isGone(level);
    const tcb = this.#tcb.at(flow);
    flows.toldAcknowledged[flow] = tcb.acknowledged;
    words[at] =
      COMPLETE_FLOW |
      ((level & LEVEL_CONNECTED) !== 0 ? FLOW_CONNECTED : 0) |
      ((level & LEVEL_EOF) !== 0 ? FLOW_EOF : 0) |
      ((level & LEVEL_ERROR) !== 0 ? FLOW_ERROR : 0) |
      ((level & LEVEL_FILE_ERROR) !== 0 ? FLOW_FILE_ERROR : 0) |
      ((level & LEVEL_OVER) !== 0 ? FLOW_OVER : 0) |
      (gone ? FLOW_GONE : 0);
    words[at + 1] = flow;
    words[at + 2] = flows.generation[flow];
    words[at + 3] = tcb.received;
    words[at + 4] = tcb.acknowledged;
    words[at + 5] = this.#payload.chainFirst(flow);
    words[at + 6] = this.#payload.chainStart(flow);
    words[at + 7] = flows.errno[flow];
    if (gone) this.#unbind(channel, flow);
  }
}

/** Neither the app nor TCP has any use for the flow. */
function isGone(level: number): boolean {
  return (level & LEVEL_RELEASED) !== 0 && (level & (LEVEL_OVER | LEVEL_FREED)) !== 0;
}

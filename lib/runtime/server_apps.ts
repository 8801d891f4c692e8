/**
 * The TCP server's side of all channels: which app threads there are, and what a turn has of them. What they ask for is carried out in
 * server_submissions.ts; what they are told is server_completions.ts's.
 */
import type { Stack } from '../tcp/stack.js';
import { EV_ACCEPTED, EV_ACKED, EV_CLOSED, EV_CONNECTED, EV_EOF, EV_ERROR, EV_FREED, EV_READABLE } from '../tcp/conn/state.js';
import { Tcb } from '../tcp/conn/tcb.js';
import { CHANNEL_ATTACHED, CHANNEL_CLAIMED, CHANNEL_FAILED, CHANNEL_FREE, CHANNEL_LEFT, CH_STATE, CH_TID, CLAIM_SHIFT, CTRL_CHANNELS, QUEUE_ENTRIES } from './layout.js';
import type { Layout } from './layout.js';
import { VIOLATION_BLOCK, VIOLATION_STATE } from './messages.js';
import { ServerChannel } from './server_channel.js';
import { ServerCompletions } from './server_completions.js';
import type { ServerFiles } from './server_files.js';
import { LEVEL_ACCEPT, LEVEL_CONNECTED, LEVEL_EOF, LEVEL_ERROR, LEVEL_FREED, LEVEL_OVER, LEVEL_RELEASED, LEVEL_UNTAKEN, ServerFlows } from './server_flows.js';
import { ServerListeners, hashOf } from './server_listeners.js';
import type { ServerPayload } from './server_payload.js';
import { ServerSubmissions } from './server_submissions.js';

const NONE = -1;

export class ServerApps {
  readonly #layout: Layout;
  readonly #words: Int32Array;
  readonly #bells: Int32Array;
  readonly #stack: Stack;
  readonly #payload: ServerPayload;
  readonly #tcb: Tcb;
  readonly #flows: ServerFlows;
  readonly #listeners: ServerListeners;
  readonly #files: ServerFiles;
  readonly #submissions: ServerSubmissions;
  readonly #completions: ServerCompletions;
  /** The channels in use, and all by index. */
  readonly #active: ServerChannel[] = [];
  readonly #channels: (ServerChannel | undefined)[];
  #channelsSeen = 0;
  /** Flows whose apps hear in the next turn that they are connected. */
  readonly #late: number[] = [];

  /** @param bells the memory that app threads sleep in: that of the first TCP server, where there are several. */
  constructor(layout: Layout, words: Int32Array, stack: Stack, payload: ServerPayload, bells = words) {
    this.#layout = layout;
    this.#words = words;
    this.#bells = bells;
    this.#stack = stack;
    this.#payload = payload;
    this.#tcb = new Tcb(words, layout.tcbBase);
    this.#flows = new ServerFlows(layout.sizes.maxFlows);
    this.#listeners = new ServerListeners(stack);
    this.#files = payload.files;
    this.#completions = new ServerCompletions(words, stack, payload, this.#tcb, this.#flows, this.#listeners);
    this.#submissions = new ServerSubmissions(words, stack, payload, this.#tcb, this.#flows, this.#listeners, this.#completions);
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

  /**
   * Carries out what is in the submission queues, and reads files on. Returns how many entries and pieces of files it took; channels that
   * came or left count as one.
   */
  takeSubmissions(): number {
    let taken = 0;
    if (Atomics.load(this.#words, CTRL_CHANNELS) !== this.#channelsSeen) {
      this.#followChannels();
      taken = 1;
    }
    // From the last one, because a channel that ends goes out of the list.
    for (let i = this.#active.length - 1; i >= 0; i--) if (!this.#active[i].held) taken += this.#takeFrom(this.#active[i]);
    return taken + this.#submissions.readFiles();
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
      if (owner !== NONE) this.#completions.mark(this.#channels[owner]!, this.#late[i], true);
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

  /** App threads that are attached. */
  get count(): number {
    return this.#active.length;
  }

  /** True where no app thread is at work. */
  get asleep(): boolean {
    for (let i = 0; i < this.#active.length; i++) if (!this.#active[i].left && !this.#active[i].asleep) return false;
    return true;
  }

  /** Tells every app thread what it has not been told yet, as far as its queue has room. */
  publish(): void {
    for (let i = this.#active.length - 1; i >= 0; i--) {
      const channel = this.#active[i];
      if (!channel.left) {
        this.#completions.tell(channel);
        continue;
      }
      this.#completions.tellNobody(channel);
      if (channel.flows === 0) this.#forget(channel);
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
        const channel = new ServerChannel(this.#layout, this.#words, this.#bells, index);
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
      else this.#submissions.release(channel, flow);
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
      this.#completions.unbind(channel, flow);
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

  /** Carries out what the app thread has submitted. Returns how many entries that were. */
  #takeFrom(channel: ServerChannel): number {
    const submissions = this.#submissions;
    const taken = submissions.take(channel);
    if (submissions.violation !== 0) this.#fail(channel, submissions.violation);
    return taken;
  }

  // ---- what the stack reports

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
    if (level !== 0 || sent || (events & EV_READABLE) !== 0) this.#completions.mark(channel, flow, true);
    else if ((events & EV_ACKED) !== 0) this.#completions.acknowledged(channel, flow);
  }

  #accept(flow: number, listener: number, generation: number): void {
    const member = this.#listeners.give(listener, hashOf(this.#words, this.#tcb.at(flow).remoteAt));
    if (member === undefined) {
      this.#stack.abort(flow);
      return;
    }
    this.#completions.bind(member.channel, flow, generation, LEVEL_ACCEPT | LEVEL_UNTAKEN, member.request);
    this.#flows.group[flow] = member.group;
    this.#completions.mark(member.channel, flow, true);
  }
}

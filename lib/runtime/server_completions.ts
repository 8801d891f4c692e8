/** What app threads are told of their flows: from the word that one is theirs to the last one about it. */
import type { Tcb } from '../tcp/conn/tcb.js';
import type { Stack } from '../tcp/stack.js';
import { BLOCK_BYTES } from './layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, FLOW_CONNECTED, FLOW_EOF, FLOW_ERROR, FLOW_FILE_ERROR, FLOW_GONE, FLOW_OVER } from './messages.js';
import type { ServerChannel } from './server_channel.js';
import { LEVEL_ACCEPT, LEVEL_CONNECTED, LEVEL_DIRTY, LEVEL_EOF, LEVEL_ERROR, LEVEL_FILE_ERROR, LEVEL_FREED, LEVEL_OVER, LEVEL_RELEASED, LEVEL_UNTAKEN, LEVEL_URGENT, LEVEL_WAITING } from './server_flows.js';
import type { ServerFlows } from './server_flows.js';
import type { ServerListeners } from './server_listeners.js';
import type { ServerPayload } from './server_payload.js';

const NONE = -1;
/** An app that waits for room is told when this much has come free since it was last told (or everything has). */
const ROOM_WORTH_TELLING = 4 * BLOCK_BYTES;

export class ServerCompletions {
  readonly #words: Int32Array;
  readonly #stack: Stack;
  readonly #payload: ServerPayload;
  readonly #tcb: Tcb;
  readonly #flows: ServerFlows;
  readonly #listeners: ServerListeners;

  constructor(words: Int32Array, stack: Stack, payload: ServerPayload, tcb: Tcb, flows: ServerFlows, listeners: ServerListeners) {
    this.#words = words;
    this.#stack = stack;
    this.#payload = payload;
    this.#tcb = tcb;
    this.#flows = flows;
    this.#listeners = listeners;
  }

  /** The flow is in the hands of an app thread. */
  bind(channel: ServerChannel, flow: number, generation: number, level: number, listener: number): void {
    this.#flows.bind(flow, channel.index, generation, level, listener);
    this.#payload.open(flow, channel.arenaBase);
    channel.flows++;
  }

  /** The app thread has nothing more to do with the flow; the stack may still have. */
  unbind(channel: ServerChannel, flow: number): void {
    const level = this.#flows.level[flow];
    if ((level & LEVEL_UNTAKEN) !== 0) this.#listeners.taken(this.#flows.group[flow], channel);
    channel.flows--;
    this.#flows.unbind(flow);
    if (!channel.unawares) this.#payload.reset(flow);
    if ((level & LEVEL_FREED) !== 0) this.#stack.recycle(flow);
  }

  /** Send memory came free: worth telling when the app waits for it, or when all of the flow's did. */
  acknowledged(channel: ServerChannel, flow: number): void {
    const flows = this.#flows;
    const acknowledged = this.#tcb.at(flow).acknowledged;
    const waiting = (flows.level[flow] & LEVEL_WAITING) !== 0;
    if (acknowledged === flows.written[flow]) {
      this.mark(channel, flow, waiting || channel.starved);
      channel.starved = false;
    } else if (waiting && ((acknowledged - flows.toldAcknowledged[flow]) | 0) >= ROOM_WORTH_TELLING) this.mark(channel, flow, true);
  }

  /** The app thread is to be told of the flow at the end of the turn; with `urgent` it is woken for it. */
  mark(channel: ServerChannel, flow: number, urgent: boolean): void {
    const flows = this.#flows;
    const level = flows.level[flow];
    flows.level[flow] = level | LEVEL_DIRTY | (urgent ? LEVEL_URGENT : 0);
    if ((level & LEVEL_DIRTY) !== 0) return;
    flows.next[flow] = NONE;
    if (channel.dirtyLast === NONE) channel.dirtyFirst = flow;
    else flows.next[channel.dirtyLast] = flow;
    channel.dirtyLast = flow;
  }

  /** Answers a request. */
  reply(channel: ServerChannel, request: number, result: number, detail: number): void {
    channel.replies.push(request, result, detail);
  }

  /** Tells the app thread what it has not been told yet, as far as its queue has room. */
  tell(channel: ServerChannel): void {
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
    for (const request of channel.closings) this.reply(channel, request, 0, 0);
    channel.closings.length = 0;
    this.#tellReplies(channel);
  }

  /** The app thread is gone: only what is over matters. */
  tellNobody(channel: ServerChannel): void {
    const flows = this.#flows;
    while (channel.dirtyFirst !== NONE) {
      const flow = channel.dirtyFirst;
      channel.dirtyFirst = flows.next[flow];
      if (channel.dirtyFirst === NONE) channel.dirtyLast = NONE;
      flows.level[flow] &= ~(LEVEL_DIRTY | LEVEL_URGENT);
      if (isGone(flows.level[flow])) this.unbind(channel, flow);
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
    if (gone) this.unbind(channel, flow);
  }
}

/** Neither the app nor TCP has any use for the flow. */
function isGone(level: number): boolean {
  return (level & LEVEL_RELEASED) !== 0 && (level & (LEVEL_OVER | LEVEL_FREED)) !== 0;
}


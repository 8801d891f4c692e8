/** An app thread without a thread: it speaks the protocol of a channel step by step, as it should, and checks what it is told. */
import { AppMemory, ReceiveStream, SendStream } from '../../lib/runtime/app_streams.js';
import { CHANNEL_ATTACHED, CHANNEL_LEFT, CH_COMPLETE_HEAD, CH_COMPLETE_TAIL, CH_STATE, CH_SUBMIT_HEAD, CH_SUBMIT_TAIL, CH_TID, CTRL_CHANNELS } from '../../lib/runtime/layout.js';
import type { Layout } from '../../lib/runtime/layout.js';
import { COMPLETE_ACCEPT, COMPLETE_FLOW, COMPLETE_REPLY, FLOW_CLOSE, FLOW_END, FLOW_EOF, FLOW_ERROR, FLOW_GONE, FLOW_NO_DELAY, FLOW_OVER, FLOW_RESET,
  FLOW_TAKEN, OP_MASK, SUBMIT_CONNECT, SUBMIT_FLOW, SUBMIT_LISTEN } from '../../lib/runtime/messages.js';
import { QueueConsumer, QueueProducer } from '../../lib/runtime/queue.js';
import { Finding } from './case.js';
import { byteOf } from './payload.js';

const SEND_BUFFER = 64 * 1024;
const CHUNK = 1 << 16;
const scratch = new Uint8Array(CHUNK);

export interface PlainFlow {
  readonly index: number;
  readonly generation: number;
  readonly send: SendStream;
  readonly receive: ReceiveStream;
  /** Bytes of files that it has asked for: they count in what was written. */
  files: number;
  /** Flags for the next entry. */
  flags: number;
  eof: boolean;
  errno: number;
  over: boolean;
  closed: boolean;
  /** Both its ends are well-behaved: what is read is what was written. */
  readonly trusted: boolean;
}

/** What `act` can do. */
export const ACT_CONNECT = 0;
export const ACT_WRITE = 1;
export const ACT_READ = 2;
export const ACT_END = 3;
export const ACT_CLOSE = 4;
export const ACT_RESET = 5;
export const ACT_NO_DELAY = 6;

export class PlainApp {
  readonly memory: AppMemory;
  readonly base: number;
  readonly entries: number;
  readonly flows = new Map<number, PlainFlow>();
  /** Requests by number: the port that is listened on or connected to. */
  readonly #requests = new Map<number, number>();
  readonly #layout: Layout;
  readonly #words: Int32Array;
  readonly #submissions: QueueProducer;
  readonly #completions: QueueConsumer;
  readonly #trusts: (port: number) => boolean;
  #lastRequest = 0;

  /** @param trusts whether who speaks on a port keeps to the rules. */
  constructor(layout: Layout, words: Int32Array, bytes: Uint8Array, index: number, trusts: (port: number) => boolean) {
    this.#layout = layout;
    this.#words = words;
    this.#trusts = trusts;
    this.memory = new AppMemory(layout, words, bytes, index);
    const base = layout.channelBase(index);
    this.base = base;
    this.entries = layout.submissionBase(index);
    this.#submissions = new QueueProducer(words, base + CH_SUBMIT_HEAD, base + CH_SUBMIT_TAIL, this.entries);
    this.#completions = new QueueConsumer(words, base + CH_COMPLETE_HEAD, base + CH_COMPLETE_TAIL, layout.completionBase(index));
    words[base + CH_TID] = 1000 + index;
    this.announce(CHANNEL_ATTACHED);
  }

  get state(): number {
    return this.#words[this.base + CH_STATE]!;
  }

  announce(state: number): void {
    this.#words[this.base + CH_STATE] = state;
    this.#words[CTRL_CHANNELS]!++;
  }

  leave(): void {
    if (this.state === CHANNEL_ATTACHED) this.announce(CHANNEL_LEFT);
  }

  listen(port: number): void {
    this.#request(SUBMIT_LISTEN, port, port, 8);
  }

  #request(operation: number, port: number, word6: number, word7: number): void {
    const at = this.#submissions.push();
    if (at < 0) return;
    this.#requests.set(++this.#lastRequest, port);
    const words = this.#words;
    words.fill(0, at, at + 8);
    words[at] = operation;
    words[at + 1] = this.#lastRequest;
    if (operation === SUBMIT_CONNECT) {
      words[at + 4] = 0xffff;
      words[at + 5] = 0x7f000001;
    }
    words[at + 6] = word6;
    words[at + 7] = word7;
    this.#submissions.publish();
  }

  /** Does one thing with one of its flows. */
  act(what: number, which: number, count: number): void {
    if (what === ACT_CONNECT) {
      this.#request(SUBMIT_CONNECT, count, count << 16, 0);
      return;
    }
    const flow = [...this.flows.values()][which % Math.max(this.flows.size, 1)];
    if (flow === undefined || flow.closed) return;
    switch (what) {
      case ACT_WRITE: if ((flow.flags & FLOW_END) === 0) this.#write(flow, count); break;
      case ACT_READ: this.#read(flow, count); break;
      case ACT_END: flow.flags |= FLOW_END; break;
      case ACT_CLOSE: this.close(flow, FLOW_CLOSE | FLOW_END); return;
      case ACT_RESET: this.close(flow, FLOW_RESET | FLOW_CLOSE); return;
      default: flow.flags ^= FLOW_NO_DELAY;
    }
    this.submit(flow);
  }

  close(flow: PlainFlow, flags: number): void {
    flow.flags |= flags;
    flow.closed = true;
    this.submit(flow);
  }

  #write(flow: PlainFlow, count: number): void {
    const length = Math.min(count, CHUNK);
    for (let i = 0; i < length; i++) scratch[i] = byteOf((flow.send.written + i) | 0);
    flow.send.write(scratch, 0, length);
  }

  #read(flow: PlainFlow, count: number): void {
    const from = flow.receive.consumed;
    const got = flow.receive.read(scratch, 0, Math.min(count, CHUNK));
    if (!flow.trusted) return;
    for (let i = 0; i < got; i++) {
      if (scratch[i] !== byteOf((from + i) | 0)) throw new Finding(`byte ${from + i} of a stream is another than was written`);
    }
  }

  submit(flow: PlainFlow): void {
    const at = this.#submissions.push();
    if (at < 0) return;
    const words = this.#words;
    words[at] = SUBMIT_FLOW | flow.flags;
    words[at + 1] = flow.index;
    words[at + 2] = flow.generation;
    words[at + 3] = (flow.send.written + flow.files) | 0;
    words[at + 4] = flow.receive.consumed;
    words[at + 5] = flow.send.chainFirst;
    words[at + 6] = flow.send.chainStart;
    words[at + 7] = 0;
    flow.flags &= ~FLOW_TAKEN;
    this.#submissions.publish();
  }

  /** Takes what the TCP server has told. */
  pump(): void {
    const count = this.#completions.available();
    if (count < 0) throw new Finding('the completions of a good app make no sense');
    for (let i = 0; i < count; i++) this.#completion(this.#completions.take());
    if (count > 0) this.#completions.release();
  }

  #completion(at: number): void {
    const words = this.#words;
    const operation = words[at]! & OP_MASK;
    if (operation === COMPLETE_FLOW) {
      this.#told(at);
    } else if (operation === COMPLETE_ACCEPT) {
      const flow = this.#open(words[at + 1]!, words[at + 2]!, this.#requests.get(words[at + 3]!) ?? 0);
      flow.flags = FLOW_TAKEN;
      this.submit(flow);
    } else if (operation === COMPLETE_REPLY) {
      const port = this.#requests.get(words[at + 1]!);
      if (port === undefined) throw new Finding('an answer to what was not asked');
      const detail = words[at + 3]!;
      // The answer to `listen` tells the port and no detail; to `connect` the flow and its generation.
      if (words[at + 2]! >= 0 && words[at + 2]! < this.#layout.sizes.maxFlows && words[at + 2] !== port) this.#open(words[at + 2]!, detail, port);
    } else {
      throw new Finding(`completion ${operation}`);
    }
  }

  #open(index: number, generation: number, port: number): PlainFlow {
    if (this.flows.has(index)) throw new Finding(`flow ${index} is given twice`);
    const flow: PlainFlow = {
      index, generation, send: new SendStream(this.memory, SEND_BUFFER), receive: new ReceiveStream(this.memory), files: 0,
      flags: 0, eof: false, errno: 0, over: false, closed: false, trusted: this.#trusts(port),
    };
    this.flows.set(index, flow);
    return flow;
  }

  #told(at: number): void {
    const words = this.#words;
    const flow = this.flows.get(words[at + 1]!);
    if (flow === undefined || flow.generation !== words[at + 2]) throw new Finding(`news of flow ${words[at + 1]}, which is not there`);
    const flags = words[at]!;
    const ahead = (words[at + 4]! - flow.send.acknowledged) | 0;
    if (ahead < 0 || ((words[at + 4]! - flow.send.written) | 0) > 0) throw new Finding('what is acknowledged was not written, or was before');
    if (ahead > 0) flow.send.acknowledge(words[at + 4]!);
    if ((flags & FLOW_GONE) !== 0) {
      flow.send.free();
      this.flows.delete(flow.index);
      return;
    }
    if (flow.closed) return;
    if (((words[at + 3]! - flow.receive.written) | 0) < 0) throw new Finding('what was received moves back');
    flow.receive.advance(words[at + 3]!, words[at + 5]!, words[at + 6]!);
    flow.eof ||= (flags & FLOW_EOF) !== 0;
    flow.over ||= (flags & FLOW_OVER) !== 0;
    if ((flags & FLOW_ERROR) !== 0) flow.errno = words[at + 7]!;
  }
}

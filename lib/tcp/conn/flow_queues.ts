/** Queues of flows, doubly linked through the records, so that a flow leaves from anywhere at no cost. */
import { NONE } from './state.js';
import { QUEUE_NEXT, QUEUE_PREVIOUS, TCB_WORDS } from './tcb_words.js';

export class FlowQueues {
  /** First flow of each queue, or NONE. */
  readonly firsts: Int32Array;
  readonly counts: Int32Array;
  /** Flows in all queues together. */
  total = 0;
  readonly #lasts: Int32Array;
  readonly #words: Int32Array;
  readonly #origin: number;

  constructor(words: Int32Array, origin: number, queues: number) {
    this.#words = words;
    this.#origin = origin;
    this.firsts = new Int32Array(queues).fill(NONE);
    this.#lasts = new Int32Array(queues).fill(NONE);
    this.counts = new Int32Array(queues);
  }

  append(queue: number, flow: number): void {
    const base = this.#origin + flow * TCB_WORDS;
    const last = this.#lasts[queue];
    this.#words[base + QUEUE_PREVIOUS] = last;
    this.#words[base + QUEUE_NEXT] = NONE;
    if (last === NONE) this.firsts[queue] = flow;
    else this.#words[this.#origin + last * TCB_WORDS + QUEUE_NEXT] = flow;
    this.#lasts[queue] = flow;
    this.counts[queue]++;
    this.total++;
  }

  remove(queue: number, flow: number): void {
    const base = this.#origin + flow * TCB_WORDS;
    const previous = this.#words[base + QUEUE_PREVIOUS];
    const next = this.#words[base + QUEUE_NEXT];
    if (previous === NONE) this.firsts[queue] = next;
    else this.#words[this.#origin + previous * TCB_WORDS + QUEUE_NEXT] = next;
    if (next === NONE) this.#lasts[queue] = previous;
    else this.#words[this.#origin + next * TCB_WORDS + QUEUE_PREVIOUS] = previous;
    this.counts[queue]--;
    this.total--;
  }
}

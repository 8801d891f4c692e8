/**
 * The records of the flows: which are free, which have news for their owner, which need a send decision. All lists are
 * intrusive: their links lie in the records.
 */
import { FREE, FREE_PENDING, IN_CHANGED, IN_TOUCHED, NONE } from './state.js';
import { CHANGED_NEXT, FLAGS, GENERATION, HASH_NEXT, STATE, TCB_WORDS, TOUCHED_NEXT } from './tcb_words.js';
import type { Tcb } from './tcb.js';

export class FlowTable {
  readonly maxFlows: number;
  /** Records in use. */
  used = 0;
  readonly #words: Int32Array;
  readonly #origin: number;
  #free = NONE;
  #changedFirst = NONE;
  #changedLast = NONE;
  #touchedFirst = NONE;
  #touchedLast = NONE;
  /** Records that have never been used are not linked: they begin here. */
  #fresh = 0;

  constructor(words: Int32Array, origin: number, maxFlows: number) {
    this.#words = words;
    this.#origin = origin;
    this.maxFlows = maxFlows;
  }

  /** A record, all zero but for its generation, or NONE where none is free. */
  allocate(): number {
    let flow = this.#free;
    if (flow !== NONE) {
      this.#free = this.#words[this.#origin + flow * TCB_WORDS + HASH_NEXT];
    } else {
      if (this.#fresh === this.maxFlows) return NONE;
      flow = this.#fresh++;
    }
    const base = this.#origin + flow * TCB_WORDS;
    const generation = this.#words[base + GENERATION];
    this.#words.fill(0, base, base + TCB_WORDS);
    this.#words[base + GENERATION] = generation;
    this.used++;
    return flow;
  }

  /** Gives a record back: at once, or when the list of touched flows lets go of it. It is in no other list any more. */
  free(flow: number): void {
    const base = this.#origin + flow * TCB_WORDS;
    if ((this.#words[base + FLAGS] & IN_TOUCHED) !== 0) {
      this.#words[base + FLAGS] |= FREE_PENDING;
      return;
    }
    this.#words[base + STATE] = FREE;
    this.#words[base + FLAGS] = 0;
    this.#words[base + GENERATION]++;
    this.#words[base + HASH_NEXT] = this.#free;
    this.#free = flow;
    this.used--;
  }

  isUsed(flow: number): boolean {
    return flow >= 0 && flow < this.#fresh && this.#words[this.#origin + flow * TCB_WORDS + STATE] !== FREE;
  }

  /** Notes events for the owner of the flow at hand. */
  changed(t: Tcb, events: number): void {
    t.events |= events;
    if (t.has(IN_CHANGED)) return;
    t.mark(IN_CHANGED);
    t.changedNext = NONE;
    if (this.#changedFirst === NONE) this.#changedFirst = t.flow;
    else this.#words[this.#origin + this.#changedLast * TCB_WORDS + CHANGED_NEXT] = t.flow;
    this.#changedLast = t.flow;
  }

  /** The next flow with events, taken out of the list, or NONE. */
  takeChanged(): number {
    const flow = this.#changedFirst;
    if (flow === NONE) return NONE;
    const base = this.#origin + flow * TCB_WORDS;
    this.#changedFirst = this.#words[base + CHANGED_NEXT];
    this.#words[base + FLAGS] &= ~IN_CHANGED;
    return flow;
  }

  /** Puts the flow at hand among those that need a send decision this turn. */
  touch(t: Tcb): void {
    if (t.has(IN_TOUCHED)) return;
    t.mark(IN_TOUCHED);
    t.touchedNext = NONE;
    if (this.#touchedFirst === NONE) this.#touchedFirst = t.flow;
    else this.#words[this.#origin + this.#touchedLast * TCB_WORDS + TOUCHED_NEXT] = t.flow;
    this.#touchedLast = t.flow;
  }

  get anyTouched(): boolean {
    return this.#touchedFirst !== NONE;
  }

  get anyChanged(): boolean {
    return this.#changedFirst !== NONE;
  }

  /** The whole list of touched flows, which is empty after it: its first flow, or NONE. Follow it with `untouch`. */
  takeTouched(): number {
    const first = this.#touchedFirst;
    this.#touchedFirst = NONE;
    this.#touchedLast = NONE;
    return first;
  }

  /** Takes a flow of the list that `takeTouched` gave out of it. Returns the one behind it, or NONE. */
  untouch(flow: number): number {
    const base = this.#origin + flow * TCB_WORDS;
    const next = this.#words[base + TOUCHED_NEXT];
    this.#words[base + FLAGS] &= ~IN_TOUCHED;
    if ((this.#words[base + FLAGS] & FREE_PENDING) !== 0) this.free(flow);
    return next;
  }
}

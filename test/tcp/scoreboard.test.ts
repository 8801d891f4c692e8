/** The scoreboard against a plain model: an array with one entry for each segment. */
import t from 'tap';
import type { Core } from '../../lib/tcp/conn/core.js';
import { lose } from '../../lib/tcp/conn/rack.js';
import { LOST, RunPool, SACKED } from '../../lib/tcp/conn/runs.js';
import { Tally, takeBlocks, trim } from '../../lib/tcp/conn/scoreboard.js';
import { NONE } from '../../lib/tcp/conn/state.js';
import { Tcb } from '../../lib/tcp/conn/tcb.js';
import { TCB_WORDS } from '../../lib/tcp/conn/tcb_words.js';
import { STATS_LENGTH } from '../../lib/tcp/stats.js';
import { TcpOptions } from '../../lib/tcp/wire/options.js';
import { randomOf } from '../support/random.js';

const MSS = 100;
const SEGMENTS = 400;

interface Entry { sacked: boolean; lost: boolean }

class Model {
  readonly tcb = new Tcb(new Int32Array(TCB_WORDS), 0);
  readonly core: Core;
  readonly options = new TcpOptions();
  readonly runs: RunPool;
  /** Segments from `first` on are in flight. */
  readonly entries: Entry[] = [];
  readonly base: number;
  first = 0;
  clock = 0;

  constructor(base: number, runs: number) {
    this.base = base;
    this.runs = new RunPool(runs, 1);
    const stats = new Float64Array(STATS_LENGTH);
    const core = { runs: this.runs, tally: new Tally(), segment: { options: this.options }, stats, us: 0, ms: 0, seconds: 0 };
    this.core = core as unknown as Core;
    const { tcb } = this;
    tcb.sndMss = MSS;
    tcb.runs = tcb.runTail = NONE;
    tcb.sndUna = tcb.sndNxt = base;
  }

  seq(segment: number): number { return (this.base + segment * MSS) | 0; }

  send(count: number): void {
    const { tcb } = this;
    this.core.us = this.clock += 7;
    this.runs.append(tcb, tcb.sndNxt, this.seq(this.entries.length + count), this.clock);
    for (let i = 0; i < count; i++) this.entries.push({ sacked: false, lost: false });
    tcb.sndNxt = this.seq(this.entries.length);
  }

  /** The peer acknowledges up to `ack` and has `blocks`; numbers of segments. Returns the bytes that this is news of. */
  acknowledge(ack: number, blocks: [number, number][]): number {
    const { core, tcb, options } = this;
    options.sackCount = blocks.length;
    blocks.forEach(([start, end], i) => {
      options.sack[2 * i] = this.seq(start);
      options.sack[2 * i + 1] = this.seq(end);
    });
    core.tally.begin(tcb);
    trim(core, tcb, this.seq(ack));
    takeBlocks(core, tcb, this.seq(ack), 0);
    tcb.sndUna = this.seq(ack);
    let news = 0;
    const take = (i: number): void => {
      if (!this.entries[i]!.sacked) news += MSS;
      this.entries[i] = { sacked: true, lost: false };
    };
    for (; this.first < ack; this.first++) take(this.first);
    for (const [start, end] of blocks) for (let i = Math.max(start, this.first); i < end; i++) take(i);
    return news;
  }

  /** Whole runs at random count as lost. */
  loseSome(random: () => number): void {
    for (let run = this.tcb.runs; run !== NONE; run = this.runs.nexts[run]!) {
      if ((this.runs.flags[run]! & (SACKED | LOST)) !== 0 || random() % 4 !== 0) continue;
      lose(this.core, this.tcb, run);
      const start = ((this.runs.starts[run]! - this.base) | 0) / MSS;
      for (let i = 0; i < this.runs.length(run) / MSS; i++) this.entries[start + i]!.lost = true;
    }
  }

  /** What is wrong, or ''. */
  check(): string {
    const { tcb, runs } = this;
    let at = tcb.sndUna;
    let sacked = 0;
    let lost = 0;
    let used = 0;
    for (let run = tcb.runs; run !== NONE; run = runs.nexts[run]!) {
      if (runs.starts[run] !== at || runs.length(run) <= 0) return `a gap at ${at}`;
      if (runs.nexts[run] === NONE && tcb.runTail !== run) return 'the last run is another';
      for (let i = ((at - this.base) | 0) / MSS; i < ((runs.ends[run]! - this.base) | 0) / MSS; i++) {
        const entry = this.entries[i]!;
        if (entry.sacked !== ((runs.flags[run]! & SACKED) !== 0)) return `segment ${i}: sacked is ${entry.sacked}`;
        if (entry.lost !== ((runs.flags[run]! & LOST) !== 0)) return `segment ${i}: lost is ${entry.lost}`;
      }
      if ((runs.flags[run]! & SACKED) !== 0) sacked += runs.length(run);
      if ((runs.flags[run]! & LOST) !== 0) lost += runs.length(run);
      at = runs.ends[run]!;
      used++;
    }
    if (at !== tcb.sndNxt) return `it ends at ${at}, not ${tcb.sndNxt}`;
    if (sacked !== tcb.sacked || lost !== tcb.lost) return `counted ${sacked} ${lost}, kept ${tcb.sacked} ${tcb.lost}`;
    return used === runs.capacity - runs.available ? '' : 'runs leak';
  }
}

t.test('acknowledgements and blocks in any order: the same segments are with the peer, lost, or neither', async (t) => {
  for (let seed = 1; seed <= 40; seed++) {
    const random = randomOf(seed);
    const model = new Model(seed % 2 === 0 ? 0x7fff_ff00 : -5000, 4096);
    let wrong = '';
    for (let step = 0; step < 300 && wrong === ''; step++) {
      const flight = model.entries.length - model.first;
      if (flight < SEGMENTS && random() % 2 === 0) model.send(1 + (random() % 12));
      if (random() % 8 === 0) model.loseSome(random);
      const there = model.entries.length - model.first;
      const ack = model.first + (random() % 6 === 0 ? random() % (there + 1) : 0);
      const blocks: [number, number][] = [];
      for (let i = random() % 4; i > 0; i--) {
        const start = ack + 1 + (random() % 30);
        const end = Math.min(start + 1 + (random() % 10), model.entries.length);
        if (end > start) blocks.push([start, end]);
      }
      const news = model.acknowledge(ack, blocks);
      wrong = model.check();
      if (wrong === '' && news !== model.core.tally.delivered) wrong = `${news} bytes delivered, not ${model.core.tally.delivered}`;
    }
    t.equal(wrong, '', `seed ${seed}`);
    model.acknowledge(model.entries.length, []);
    t.equal(model.runs.available, model.runs.capacity, 'nothing is left');
  }
});

t.test('with a single run for the flow nothing is ever counted that is not there', async (t) => {
  for (let seed = 50; seed < 60; seed++) {
    const random = randomOf(seed);
    const model = new Model(seed, 3);
    for (let step = 0; step < 300; step++) {
      model.send(1 + (random() % 5));
      const start = model.first + 1 + (random() % 5);
      const blocks: [number, number][] = start + 1 < model.entries.length ? [[start, start + 1]] : [];
      model.acknowledge(random() % 9 === 0 ? model.entries.length : model.first, blocks);
      const { tcb, runs } = model;
      if (tcb.sacked < 0 || tcb.sacked > ((tcb.sndNxt - tcb.sndUna) | 0)) t.fail(`sacked is ${tcb.sacked}`);
      if (runs.available < 0 || (tcb.runs !== NONE && runs.ends[tcb.runTail] !== tcb.sndNxt)) t.fail('the list is broken');
    }
    model.acknowledge(model.entries.length, []);
    t.equal(model.runs.available, model.runs.capacity, 'nothing is left');
  }
});

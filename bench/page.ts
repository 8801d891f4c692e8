/** `--write`: what was found as a page, such as docs/benchmarks.md, with its plots in a folder of the page's name beside it. */
import { mkdirSync, writeFileSync } from 'node:fs';
import { basename, dirname, join } from 'node:path';
import { BENCHES } from './benches.js';
import type { Bench } from './benches.js';
import { placementText } from './placement.js';
import { linePlot, ratioPlot } from './plots.js';
import type { Panel, Point } from './plots.js';
import { cells, figure, thisMachine } from './report.js';
import type { Row } from './report.js';
import type { Settings } from './settings.js';

/** What was found of one benchmark; a sweep has several parts, each with a name. */
export interface Found {
  readonly bench: Bench;
  readonly parts: readonly Point[];
}

/** What the page tells of how it was measured. */
type Told = Pick<Settings, 'duration' | 'warmup' | 'rounds' | 'placement'>;

/** Writes the page anew; as each benchmark ends, so that a run that is cut off has lost nothing. */
export function writePage(path: string, command: string, settings: Told, load: string, found: readonly Found[]): void {
  const folder = basename(path).replace(/\.[^.]*$/, '');
  const plots = plotsOf(found);
  mkdirSync(join(dirname(path), folder), { recursive: true });
  for (const { name, svg } of plots) writeFileSync(join(dirname(path), folder, `${name}.svg`), svg);
  const image = (name: string): string[] => plots.some((plot) => plot.name === name) ? [`![${name}](${folder}/${name}.svg)`] : [];
  writeFileSync(path, [
    ...head(command, settings, load),
    '## In short', ...image('ratios'), ...summary(found),
    ...found.flatMap(({ bench, parts }) => [`## ${bench}`, `${BENCHES[bench].title}.`, ...image(bench), ...parts.flatMap(partText)]),
  ].join('\n\n') + '\n');
}

function head(command: string, { duration, warmup, rounds, placement }: Told, load: string): string[] {
  return [
    '# Benchmarks',
    `Written by \`${command}\` on ${thisMachine()}. What takes the time, and what was tried, stands in [performance.md](performance.md).`,
    'The same app over the TCP server and over kernel TCP, on one veth network, by turns in one run, each in a process of its own. ' +
      `${rounds} rounds of ${duration} s after ${warmup} s of the same load; the load is ${load} or a program of ours. CPUs: ${placementText(placement)}. ` +
      'Where nothing else is said, the runtime chooses how the TCP server and its app share theirs: with one CPU one thread runs both. A figure is the median of ' +
      'the rounds, a spread their least and most. The ratio, TCP server over kernel TCP, is the ' +
      'median of the rounds\' own ratios. CPU is that of the named thread, the kernel\'s work in it included; veth runs the client\'s receive path in the sender\'s thread, on both sides.',
  ];
}

/** What the summary tells of each part: requests or goodput, whichever it has, and so on. */
const SUMMARY: Readonly<Record<string, readonly string[]>> = {
  'requests, goodput': ['requests', 'goodput'], p99: ['p99'], 'CPU of the app\'s thread': ['app-cpu'], 'CPU of both threads': ['cpu'],
};

/** The ratios, and which side is ahead. */
function summary(found: readonly Found[]): string[] {
  const lines: string[] = [];
  const kernelAhead: string[] = [];
  for (const { bench, parts } of found) {
    for (const { name, rows } of parts) {
      const title = name === '' ? bench : `${bench}, ${name}`;
      const compared = Object.values(SUMMARY).map((metrics) => rows.find(({ metric, ratio }) => metrics.includes(metric) && ratio !== null));
      if (compared.every((row) => row === undefined)) continue;
      lines.push(`| ${[title, ...compared.map(ratioText)].join(' | ')} |`);
      for (const row of compared) if (row !== undefined && lead(row) === 'kernel') kernelAhead.push(`${title}: ${row.metric} ${figure(row.ratio)}`);
    }
  }
  if (lines.length === 0) return [];
  return [
    [`| TCP server over kernel TCP | ${Object.keys(SUMMARY).join(' | ')} |`, `| --- |${' ---: |'.repeat(Object.keys(SUMMARY).length)}`, ...lines].join('\n'),
    'In **bold** the TCP server is ahead in every round, in *italics* kernel TCP is; otherwise now the one, now the other.',
    `Kernel TCP wins here: ${kernelAhead.length === 0 ? 'nowhere in every round' : kernelAhead.join('; ')}.`,
  ];
}

function ratioText(row: Row | undefined): string {
  if (row === undefined) return '';
  const text = `${figure(row.ratio)} (${row.ratioSpread?.map(figure).join('..') ?? ''})`;
  return { offload: `**${text}**`, kernel: `*${text}*`, none: text }[lead(row)];
}

/** A lead is one where every round says so. */
function lead({ better, ratioSpread }: Row): 'offload' | 'kernel' | 'none' {
  const [least, most] = ratioSpread ?? [1, 1];
  if (better === null || (least <= 1 && most >= 1)) return 'none';
  return (better === 'more') === (least > 1) ? 'offload' : 'kernel';
}

function partText({ name, rows }: Point): string[] {
  const [first, ...rest] = cells(rows) as [string[], ...string[][]];
  // Where kernel TCP has no part in it, its columns say nothing.
  const columns = rows.every(({ kernel }) => kernel === null) ? 3 : first.length;
  const line = (row: readonly string[]): string => `| ${row.slice(0, columns).join(' | ')} |`;
  const text = [line(first), line(first.map((_, i) => i === 0 ? '---' : '---:')), ...rest.map(line)].join('\n');
  return name === '' ? [text] : [`### ${name}`, text];
}

const PANELS: Partial<Record<Bench, readonly Panel[]>> = {
  overload: [
    { title: 'requests/s', metric: 'requests', logarithmic: false },
    { title: 'p99, µs', metric: 'p99', logarithmic: true },
    { title: 'CPU, µs/request', metric: 'cpu', logarithmic: false },
  ],
  scale: [
    { title: 'CPU, µs/request', metric: 'cpu', logarithmic: false },
    { title: 'bytes/connection', metric: 'memory', logarithmic: false },
  ],
};

function plotsOf(found: readonly Found[]): { name: string; svg: string }[] {
  const whole = found.filter(({ bench }) => BENCHES[bench].kind === 'requests').map(({ bench, parts }) => ({ name: bench, rows: parts[0]?.rows ?? [] }));
  return [
    ...whole.length === 0 ? [] : [{ name: 'ratios', svg: ratioPlot(whole) }],
    ...found.flatMap(({ bench, parts }) => {
      const panels = PANELS[bench];
      return panels === undefined ? [] : [{ name: bench, svg: linePlot(parts, panels) }];
    }),
  ];
}

/** What a benchmark found: medians, spread and ratios, as a table for people and as lines of JSON for programs. */
import { cpus, release } from 'node:os';

/** One side of one round. Times are microseconds. */
export interface Sample {
  readonly perSecond: number;
  readonly p50: number;
  readonly p99: number;
  /** CPU a request of the app's thread, and of the TCP server's: NaN where there is none. */
  readonly appCpu: number;
  readonly serverCpu: number;
  /** Garbage collections of the app's thread in 10 s. */
  readonly collections: number;
}

/** What both sides gave in one round. */
export interface Round<S = Sample> {
  readonly offload: S;
  readonly kernel: S;
}

export interface Metric<S = Sample> {
  readonly name: string;
  readonly unit: string;
  /** Which way is good; left out: neither. */
  readonly better?: 'more' | 'less';
  readonly of: (sample: S) => number;
}

/** CPU of both threads; that of the app's where there is no other. */
export function bothCpu({ appCpu, serverCpu }: Pick<Sample, 'appCpu' | 'serverCpu'>): number {
  return appCpu + (Number.isNaN(serverCpu) ? 0 : serverCpu);
}

/** What a piece of work costs: a request, or so many bytes. */
function costs(piece: string): readonly Metric[] {
  return [
    { name: 'app-cpu', unit: `us/${piece}`, better: 'less', of: (sample) => sample.appCpu },
    { name: 'server-cpu', unit: `us/${piece}`, better: 'less', of: (sample) => sample.serverCpu },
    { name: 'cpu', unit: `us/${piece}`, better: 'less', of: bothCpu },
    { name: 'app-gc', unit: 'in 10 s', better: 'less', of: (sample) => sample.collections },
  ];
}

export const REQUEST_METRICS: readonly Metric[] = [
  { name: 'requests', unit: '1/s', better: 'more', of: (sample) => sample.perSecond },
  { name: 'p50', unit: 'us', better: 'less', of: (sample) => sample.p50 },
  { name: 'p99', unit: 'us', better: 'less', of: (sample) => sample.p99 },
  ...costs('request'),
];

/** A sample's piece of work is a MiB. */
export const BULK_METRICS: readonly Metric[] = [
  { name: 'goodput', unit: 'Gb/s', better: 'more', of: (sample) => sample.perSecond * 8 * 2 ** 20 / 1e9 },
  ...costs('MiB'),
];

/** From the least to the most of the rounds. */
export type Spread = readonly [least: number, most: number];

export interface Row {
  readonly bench: string;
  readonly metric: string;
  readonly unit: string;
  /** Which way is good; null: neither. */
  readonly better: 'more' | 'less' | null;
  /** Medians over the rounds; null where a side has no such figure. */
  readonly offload: number | null;
  readonly kernel: number | null;
  /** The median of the rounds' own ratios, offload over kernel: the machine's swings between rounds cancel out. */
  readonly ratio: number | null;
  readonly offloadSpread: Spread | null;
  readonly kernelSpread: Spread | null;
  readonly ratioSpread: Spread | null;
  readonly rounds: number;
}

export function rows<S>(bench: string, rounds: readonly Round<S>[], metrics: readonly Metric<S>[]): Row[] {
  return metrics.map(({ name, unit, better, of }) => {
    const offload = rounds.map((round) => of(round.offload));
    const kernel = rounds.map((round) => of(round.kernel));
    const ratios = offload.map((value, round) => value / (kernel[round] as number));
    return {
      bench,
      metric: name,
      unit,
      better: better ?? null,
      offload: median(offload),
      kernel: median(kernel),
      ratio: median(ratios),
      offloadSpread: spread(offload),
      kernelSpread: spread(kernel),
      ratioSpread: spread(ratios),
      rounds: rounds.length,
    };
  });
}

/** The rows as a table, its head first. */
export function cells(found: readonly Row[]): string[][] {
  return [
    ['', 'TCP server', '(spread)', 'kernel TCP', '(spread)', 'ratio', '(spread)'],
    ...found.map((row) => [
      `${row.metric} ${row.unit}`,
      figure(row.offload), spreadText(row.offloadSpread),
      figure(row.kernel), spreadText(row.kernelSpread),
      row.ratio === null ? '-' : row.ratio.toFixed(2), spreadText(row.ratioSpread),
    ]),
  ];
}

/** The table for a terminal. */
export function table(found: readonly Row[]): string {
  const lines = cells(found);
  const widths = (lines[0] as string[]).map((_, column) => Math.max(...lines.map((line) => (line[column] as string).length)));
  const padded = (line: readonly string[]): string[] => line.map((cell, column) => column === 0 ? cell.padEnd(widths[0] as number) : cell.padStart(widths[column] as number));
  return lines.map((line) => `  ${padded(line).join('  ')}`).join('\n');
}

export function median(values: readonly number[]): number | null {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

function spread(values: readonly number[]): Spread | null {
  const known = values.filter((value) => Number.isFinite(value));
  return known.length === 0 ? null : [Math.min(...known), Math.max(...known)];
}

function spreadText(range: Spread | null): string {
  return range === null ? '-' : `${figure(range[0])}..${figure(range[1])}`;
}

/** Three digits and more where they are before the point. */
export function figure(value: number | null): string {
  if (value === null) return '-';
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

/** What a page says of where and when its figures were taken. */
export function thisMachine(): string {
  const date = new Date().toISOString().slice(0, 10);
  return `${cpus()[0]?.model ?? 'an unknown CPU'}, ${cpus().length} CPUs, Linux ${release().split('-')[0] ?? ''}, Node.js ${process.version}, ${date}`;
}

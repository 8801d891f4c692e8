/** What a benchmark found: medians, spread and ratios, as a table for people and as lines of JSON for programs. */

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
  readonly of: (sample: S) => number;
}

/** CPU of both threads; that of the app's where there is no other. */
export function bothCpu({ appCpu, serverCpu }: Pick<Sample, 'appCpu' | 'serverCpu'>): number {
  return appCpu + (Number.isNaN(serverCpu) ? 0 : serverCpu);
}

/** What a piece of work costs: a request, or so many bytes. */
function costs(piece: string): readonly Metric[] {
  return [
    { name: 'app-cpu', unit: `us/${piece}`, of: (sample) => sample.appCpu },
    { name: 'server-cpu', unit: `us/${piece}`, of: (sample) => sample.serverCpu },
    { name: 'cpu', unit: `us/${piece}`, of: bothCpu },
    { name: 'app-gc', unit: 'in 10 s', of: (sample) => sample.collections },
  ];
}

export const REQUEST_METRICS: readonly Metric[] = [
  { name: 'requests', unit: '1/s', of: (sample) => sample.perSecond },
  { name: 'p50', unit: 'us', of: (sample) => sample.p50 },
  { name: 'p99', unit: 'us', of: (sample) => sample.p99 },
  ...costs('request'),
];

/** A sample's piece of work is a MiB. */
export const BULK_METRICS: readonly Metric[] = [
  { name: 'goodput', unit: 'Gb/s', of: (sample) => sample.perSecond * 8 * 2 ** 20 / 1e9 },
  ...costs('MiB'),
];

export interface Row {
  readonly bench: string;
  readonly metric: string;
  readonly unit: string;
  /** Medians over the rounds; null where a side has no such figure. */
  readonly offload: number | null;
  readonly kernel: number | null;
  /** The median of the rounds' own ratios, offload over kernel: the machine's swings between rounds cancel out. */
  readonly ratio: number | null;
  readonly rounds: number;
}

export function rows<S>(bench: string, rounds: readonly Round<S>[], metrics: readonly Metric<S>[]): Row[] {
  return metrics.map(({ name, unit, of }) => ({
    bench,
    metric: name,
    unit,
    offload: median(rounds.map(({ offload }) => of(offload))),
    kernel: median(rounds.map(({ kernel }) => of(kernel))),
    ratio: median(rounds.map(({ offload, kernel }) => of(offload) / of(kernel))),
    rounds: rounds.length,
  }));
}

/** The rows as a table; the spread is from the least to the most of a side's rounds. */
export function table<S>(rounds: readonly Round<S>[], metrics: readonly Metric<S>[]): string {
  const lines = [['', 'TCP server', '(spread)', 'kernel TCP', '(spread)', 'ratio', '(spread)']];
  for (const [index, row] of rows('', rounds, metrics).entries()) {
    const { of } = metrics[index] as Metric<S>;
    lines.push([
      `${row.metric} ${row.unit}`,
      figure(row.offload), spread(rounds.map(({ offload }) => of(offload))),
      figure(row.kernel), spread(rounds.map(({ kernel }) => of(kernel))),
      row.ratio === null ? '-' : row.ratio.toFixed(2), spread(rounds.map(({ offload, kernel }) => of(offload) / of(kernel))),
    ]);
  }
  const widths = lines[0]?.map((_, column) => Math.max(...lines.map((line) => line[column]?.length ?? 0))) ?? [];
  return lines.map((line) => `  ${line.map((cell, column) => column === 0 ? cell.padEnd(widths[0] ?? 0) : cell.padStart(widths[column] ?? 0)).join('  ')}`).join('\n');
}

export function median(values: readonly number[]): number | null {
  const sorted = values.filter((value) => Number.isFinite(value)).sort((a, b) => a - b);
  if (sorted.length === 0) return null;
  const middle = sorted.length >> 1;
  const upper = sorted[middle] as number;
  return sorted.length % 2 === 1 ? upper : ((sorted[middle - 1] as number) + upper) / 2;
}

function spread(values: readonly number[]): string {
  const known = values.filter((value) => Number.isFinite(value));
  return known.length === 0 ? '-' : `${figure(Math.min(...known))}..${figure(Math.max(...known))}`;
}

/** Three digits and more where they are before the point. */
function figure(value: number | null): string {
  if (value === null) return '-';
  return Math.abs(value) >= 100 ? value.toFixed(0) : Math.abs(value) >= 10 ? value.toFixed(1) : value.toFixed(2);
}

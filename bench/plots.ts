/** The figures of docs/benchmarks.md, as SVG. */
import * as echarts from 'echarts';
import type { EChartsOption } from 'echarts';
import type { Row } from './report.js';

const OFFLOAD = '#2b6cb0';
const KERNEL = '#a0aec0';
const SIDES = { 'TCP server': OFFLOAD, 'kernel TCP': KERNEL };
const FONT = { fontFamily: 'sans-serif' };

/** One part of a benchmark: what its points are named, and what was found there. */
export interface Point {
  readonly name: string;
  readonly rows: readonly Row[];
}

/** Ratios to kernel TCP of each benchmark: its rate, and the CPU of the app's thread and of both. */
export function ratioPlot(benches: readonly Point[]): string {
  const kinds = { 'requests/s, goodput': ['requests', 'goodput'], 'CPU of the app\'s thread': ['app-cpu'], 'CPU of both threads': ['cpu'] };
  const colours = [OFFLOAD, '#9ae6b4', '#38a169'];
  const ratio = (point: Point, metrics: readonly string[]): number | null => rounded(point.rows.find(({ metric }) => metrics.includes(metric))?.ratio);
  return svg(860, 80 + benches.length * 62, {
    title: { text: 'TCP server over kernel TCP (1 is level)', left: 'center', textStyle: { ...FONT, fontSize: 15 } },
    legend: { top: 28, itemGap: 45 },
    grid: { left: 100, right: 40, top: 62, bottom: 30 },
    xAxis: { type: 'log', min: 0.03 },
    yAxis: { type: 'category', data: benches.map(({ name }) => name), inverse: true },
    series: Object.entries(kinds).map(([name, metrics], i) => ({
      name, type: 'bar', color: colours[i] as string, data: benches.map((point) => ratio(point, metrics) ?? '-'),
      label: { show: true, position: 'right' },
      ...i === 0 && { markLine: { symbol: 'none', data: [{ xAxis: 1 }], label: { show: false }, lineStyle: { color: '#444' } } },
    })),
  });
}

/** A metric of both sides over the parts of a benchmark. */
export interface Panel {
  readonly title: string;
  readonly metric: string;
  readonly logarithmic: boolean;
}

/** Panels beside each other, each a metric of both sides over the same points. */
export function linePlot(points: readonly Point[], panels: readonly Panel[]): string {
  const share = 100 / panels.length;
  const value = (point: Point, metric: string, side: 'offload' | 'kernel'): number | string => rounded(point.rows.find((row) => row.metric === metric)?.[side]) ?? '-';
  return svg(430 * panels.length, 390, {
    title: panels.map(({ title }, i) => ({ text: title, left: `${(i + 0.5) * share}%`, textAlign: 'center', textStyle: { ...FONT, fontSize: 14 } })),
    legend: { bottom: 0, itemGap: 30 },
    grid: panels.map((_, i) => ({ left: `${i * share + share * 0.17}%`, width: `${share * 0.76}%`, top: 40, bottom: 120 })),
    xAxis: panels.map((_, i) => ({ type: 'category', gridIndex: i, data: points.map(({ name }) => name), axisLabel: { rotate: 35, fontSize: 10, interval: 0 } })),
    yAxis: panels.map(({ logarithmic }, i) => ({ type: logarithmic ? 'log' : 'value', gridIndex: i })),
    series: panels.flatMap(({ metric }, i) => Object.entries(SIDES).map(([name, color]) => ({
      name, type: 'line' as const, color, xAxisIndex: i, yAxisIndex: i, symbolSize: 7,
      data: points.map((point) => value(point, metric, color === OFFLOAD ? 'offload' : 'kernel')),
    }))),
  });
}

function svg(width: number, height: number, option: EChartsOption): string {
  const chart = echarts.init(null, null, { renderer: 'svg', ssr: true, width, height });
  chart.setOption({ animation: false, backgroundColor: '#ffffff', textStyle: FONT, ...option });
  const text = chart.renderToSVGString();
  chart.dispose();
  return `${text}\n`;
}

function rounded(value: number | null | undefined): number | null {
  return value === null || value === undefined ? null : Number(value.toPrecision(3));
}

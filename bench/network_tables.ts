/** The tables of `npm run bench -- networks`: which links there are, and how what was found on them is written down. */
import { median } from './report.js';
import { simulate } from './simulated_network.js';

/** One bottleneck. */
export interface Link {
  /** Probability that a frame is lost, in either direction. */
  readonly loss: number;
  /** ms, without queues. */
  readonly rtt: number;
  /** Mb/s. */
  readonly rate: number;
  /** Queue before the link, in bandwidth-delay products; ten frames at least. */
  readonly queue: number;
}

export interface RealCell extends Link {
  readonly flows: number;
  readonly offload: readonly number[];
  readonly kernel: readonly number[];
  readonly ratios: readonly number[];
}

type Tell = (row: Record<string, string | number | null>) => void;

const LOSSES = [0, 0.001, 0.01, 0.03, 0.1];
const RTTS = [1, 20, 100];
const RATES = [10, 100, 1000];
const QUEUES = [0.25, 1, 4];
const FLOWS = [2, 4, 8, 16, 32];
const SEED = 1;

/** Frames that a direction of the link holds: those on their way, and those in the queue before it. */
function framesOf({ rtt, rate, queue }: Link): number {
  const product = (rate * 1e6 * rtt) / 1000 / 8 / 1514;
  return Math.ceil(product / 2 + Math.max(product * queue, 10));
}

export function faultsOf(link: Link): { loss: number; delay: number; rate: number; queue: number } {
  return { loss: link.loss, delay: link.rtt * 500, rate: link.rate * 1e6, queue: framesOf(link) };
}

/** Long enough for what happens in hundreds of round trips. */
function secondsOf(link: Link): number {
  return link.rtt < 20 ? 5 : link.rtt < 100 ? 10 : 30;
}

/** Our sender beside the kernel's. */
export function realTable(cells: readonly RealCell[], rounds: number, seconds: number): string {
  const rows = cells.map(({ loss, rtt, rate, queue, flows, offload, kernel, ratios }) => [
    percent(loss), `${rtt} ms`, `${rate} Mb/s`, `${queue}`, `${flows}`, figures(offload), figures(kernel), figures(ratios),
  ]);
  return [
    '## Beside the kernel',
    'In real time: two network namespaces, joined by veth pairs and `lib/nic/fault.ts` in a process of its own. The sender is the kernel ' +
      'with CUBIC, or a TCP server with a Node.js app; the receiver is the kernel\'s TCP. No interface segments or coalesces, so each loss ' +
      `takes one segment. Medians of ${rounds} rounds of ${seconds} s, slow start included, with the least and the greatest; both sides take ` +
      'turns, with the same seed in a round. The ratio is that of the rounds.',
    table(['loss', 'RTT', 'rate', 'queue (BDP)', 'flows', 'TCP server, Mb/s', 'kernel CUBIC, Mb/s', 'ratio'], rows),
  ].join('\n\n');
}

/** One flow, and eight, over every link. */
export function lossTables(tell: Tell): string {
  const sections = ['## Simulated links', 'On a virtual clock: two stacks and `lib/nic/fault.ts` between them; the seed gives the same figures on ' +
    'any machine. Goodput in Mb/s from the first SYN on, over 5 s (RTT 1 ms), 10 s (20 ms) or 30 s (100 ms). The columns are the depths of the ' +
    'queue in bandwidth-delay products; ten frames are the least.'];
  for (const flows of [1, 8]) {
    for (const rate of RATES) {
      const rows = RTTS.flatMap((rtt) => LOSSES.map((loss) => [
        `${rtt} ms`, percent(loss),
        ...QUEUES.map((queue) => {
          const link = { loss, rtt, rate, queue };
          const { goodput } = simulate({ flows, seconds: secondsOf(link), faults: { ...faultsOf(link), seed: SEED } });
          tell({ flows, rateMbps: rate, rttMs: rtt, loss, queueBdp: queue, goodput });
          return figure(goodput);
        }),
      ]));
      sections.push(`### ${flows === 1 ? 'One flow' : `${flows} flows together`}, ${rate} Mb/s`, table(['RTT', 'loss', ...QUEUES.map((queue) => `${queue} BDP`)], rows));
    }
  }
  return sections.join('\n\n');
}

/** Flows that share a link. */
export function fairnessTable(tell: Tell): string {
  const rows = FLOWS.flatMap((flows) => [0, 0.001].map((loss) => {
    const link = { loss, rtt: 20, rate: 100, queue: 1 };
    const { goodput, shares } = simulate({ flows, seconds: 60, faults: { ...faultsOf(link), seed: SEED } });
    const index = jain(shares);
    tell({ flows, rateMbps: link.rate, rttMs: link.rtt, loss, queueBdp: link.queue, goodput, jain: index });
    return [`${flows}`, percent(loss), figure(goodput), index.toFixed(3)];
  }));
  return [
    '## Fairness',
    'Flows that begin 10 ms apart share 100 Mb/s with an RTT of 20 ms and a queue of one bandwidth-delay product for 60 s. Jain\'s index of their ' +
      'shares, the first quarter left out: 1 where all are the same.',
    table(['flows', 'loss', 'goodput, Mb/s', "Jain's index"], rows),
  ].join('\n\n');
}

/** Losses in bursts, and segments that change places. */
export function faultTable(tell: Tell): string {
  const link = { loss: 0, rtt: 20, rate: 100, queue: 1 };
  const cases: [string, Record<string, number>][] = [
    ['1 % loss, 5 frames in a row', { loss: 0.01, lossBurst: 5 }],
    ['1 % loss, 20 frames in a row', { loss: 0.01, lossBurst: 20 }],
    ['1 % held back by 1 ms', { reorder: 0.01, reorderDelay: 1000 }],
    ['1 % held back by 10 ms', { reorder: 0.01, reorderDelay: 10_000 }],
    ['10 % held back by 5 ms', { reorder: 0.1, reorderDelay: 5000 }],
    ['jitter of 5 ms', { jitter: 5000 }],
    ['1 % doubled, 0.1 % loss', { duplicate: 0.01, loss: 0.001 }],
  ];
  const rows = cases.map(([name, fault]) => {
    const { goodput, retransmitted, timeouts } = simulate({ flows: 1, seconds: 20, faults: { ...faultsOf(link), ...fault, seed: SEED } });
    tell({ fault: name, rateMbps: link.rate, rttMs: link.rtt, goodput, retransmitted, timeouts });
    return [name, figure(goodput), `${retransmitted}`, `${timeouts}`];
  });
  return [
    '## Bursts and reordering',
    'One flow, 100 Mb/s, RTT 20 ms, queue of one bandwidth-delay product, 20 s.',
    table(['fault', 'goodput, Mb/s', 'segments sent again', 'timeouts'], rows),
  ].join('\n\n');
}

/** (sum x)^2 / (n sum x^2). */
export function jain(shares: readonly number[]): number {
  const sum = shares.reduce((total, share) => total + share, 0);
  const squares = shares.reduce((total, share) => total + share * share, 0);
  return (sum * sum) / (shares.length * squares);
}

function percent(share: number): string {
  return `${share * 100} %`;
}

function figures(values: readonly number[]): string {
  const middle = median(values);
  return middle === null ? '-' : `${figure(middle)} (${figure(Math.min(...values))}..${figure(Math.max(...values))})`;
}

function figure(value: number): string {
  return value >= 100 ? value.toFixed(0) : value >= 10 ? value.toFixed(1) : value.toFixed(2);
}

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  return [head, head.map(() => '---'), ...rows].map((cells) => `| ${cells.join(' | ')} |`).join('\n');
}

/**
 * `npm run bench -- networks`: goodput over bad links. In real time beside the kernel's CUBIC, both through the same fault
 * device; and on a virtual clock over many links. `--write` puts the tables into a page.
 */
import { writeFileSync } from 'node:fs';
import { parseArgs } from 'node:util';
import { mayMakeNetworks } from '../examples/support/network.js';
import { fairnessTable, faultsOf, faultTable, lossTables, realTable } from './network_tables.js';
import type { Link, RealCell } from './network_tables.js';
import { RealNetwork } from './real_network.js';
import type { Kind } from './real_network.js';
import { median, thisMachine } from './report.js';

const HELP = `npm run bench -- networks [options]

  --real          only the comparison with the kernel, in real time (needs root)
  --simulated     only the tables on a virtual clock
  --rounds N      rounds of the comparison, both sides by turns (5)
  --seconds S     seconds of a transfer (8)
  --write FILE    writes the tables into a page, such as docs/networks.md
  --json          one JSON object a line on stdout, progress on stderr
`;

type Say = (text: string) => void;
type Row = Record<string, string | number | null>;

/** The first is the one that counts: 1 % loss, 20 ms. */
const REAL: readonly (Link & { readonly flows: number; readonly receiver: Kind })[] = [
  { loss: 0.01, rtt: 20, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0, rtt: 20, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0.001, rtt: 20, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0.03, rtt: 20, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0.1, rtt: 20, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0.01, rtt: 2, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0.01, rtt: 100, rate: 100, queue: 1, flows: 1, receiver: 'kernel' },
  { loss: 0, rtt: 20, rate: 100, queue: 1, flows: 8, receiver: 'kernel' },
];

export async function benchNetworks(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: {
      real: { type: 'boolean', default: false },
      simulated: { type: 'boolean', default: false },
      rounds: { type: 'string', default: '5' },
      seconds: { type: 'string', default: '8' },
      write: { type: 'string' },
      json: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    process.stdout.write(HELP);
    return;
  }
  const [rounds, seconds] = [Number(values.rounds), Number(values.seconds)];
  if (!(Number.isInteger(rounds) && rounds > 0 && seconds > 0)) throw new Error('--rounds and --seconds want numbers above 0');
  const both = values.real === values.simulated;
  const say: Say = (text) => { (values.json ? process.stderr : process.stdout).write(text); };
  const emit = (row: Row): void => { if (values.json) process.stdout.write(`${JSON.stringify(row)}\n`); };
  const sections: string[] = [];
  if (both || values.real) sections.push(await real(rounds, seconds, say, emit));
  if (both || values.simulated) sections.push(simulated(say, emit));
  if (values.write !== undefined) writeFileSync(values.write, page(sections));
}

async function real(rounds: number, seconds: number, say: Say, emit: (row: Row) => void): Promise<string> {
  if (!mayMakeNetworks()) throw new Error('the comparison with the kernel needs root for its network; --simulated does without');
  const network = new RealNetwork();
  for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => { network.close(); process.exit(1); });
  const cells: RealCell[] = [];
  try {
    for (const link of REAL) {
      const found: Record<Kind, number[]> = { kernel: [], offload: [] };
      for (let round = 0; round < rounds; round++) {
        for (const sender of round % 2 === 0 ? ['kernel', 'offload'] as const : ['offload', 'kernel'] as const) {
          const faults = { ...faultsOf(link), seed: 1 + round };
          const { goodput } = await network.transfer({ sender, receiver: link.receiver, flows: link.flows, seconds, faults });
          found[sender].push(goodput);
          say(`  ${link.loss * 100} % loss, ${link.rtt} ms, ${link.flows} flows, round ${round + 1}: ${sender} ${goodput.toFixed(2)} Mb/s\n`);
        }
      }
      const ratios = found.offload.map((goodput, round) => goodput / (found.kernel[round] as number));
      cells.push({ ...link, offload: found.offload, kernel: found.kernel, ratios });
      emit({
        bench: 'networks', metric: 'goodput', unit: 'Mb/s', loss: link.loss, rttMs: link.rtt, rateMbps: link.rate, queueBdp: link.queue,
        flows: link.flows, offload: median(found.offload), kernel: median(found.kernel), ratio: median(ratios), rounds,
      });
    }
  } finally {
    network.close();
  }
  const text = realTable(cells, rounds, seconds);
  say(`\n${text}\n`);
  return text;
}

function simulated(say: Say, emit: (row: Row) => void): string {
  const tell = (row: Row): void => {
    emit({ bench: 'networks-simulated', ...row });
    say('.');
  };
  const text = [lossTables(tell), fairnessTable(tell), faultTable(tell)].join('\n\n');
  say(`\n\n${text}\n`);
  return text;
}

function page(sections: readonly string[]): string {
  return [
    '# Networks',
    'Goodput of the stack over links that are long, slow, short of memory, or lose what they carry. Written by ' +
      '`npm run bench -- networks --write docs/networks.md`, ' +
      `on ${thisMachine()}.`,
    ...sections,
  ].join('\n\n') + '\n';
}

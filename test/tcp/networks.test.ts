/**
 * Goodput of one flow, and of some together, on simulated links: figures that were looked at, kept so that a change of them
 * is seen. All of it follows from the seed; another decision of the sender changes a figure a little, a worse one by more.
 * `npm run bench -- networks --simulated` makes the large tables.
 */
import t from 'tap';
import { faultsOf, jain } from '../../bench/network_tables.js';
import { simulate } from '../../bench/simulated_network.js';

/** Share by which a figure may differ. */
const TOLERANCE = 0.15;

const REVIEWED: [flows: number, rate: number, rtt: number, loss: number, queue: number, seconds: number, goodput: number][] = [
  [1, 10, 20, 0, 0.25, 5, 9.6],
  [1, 10, 20, 0.01, 1, 30, 6.9],
  [1, 10, 100, 0.01, 1, 60, 1.8],
  [1, 100, 1, 0.01, 1, 1, 90],
  [1, 100, 20, 0.001, 1, 10, 33],
  [1, 100, 20, 0.01, 1, 20, 7.9],
  [1, 100, 20, 0.03, 1, 30, 4.1],
  [8, 10, 20, 0.1, 1, 10, 7.9],
  [8, 100, 20, 0, 0.25, 2, 93],
];

t.test('goodput on simulated links is what was looked at', async (t) => {
  for (const [flows, rate, rtt, loss, queue, seconds, expected] of REVIEWED) {
    const { goodput } = simulate({ flows, seconds, faults: { ...faultsOf({ loss, rtt, rate, queue }), seed: 1 } });
    const cell = `${flows} flows, ${rate} Mb/s, ${rtt} ms, ${loss * 100} % loss, ${queue} BDP: ${goodput.toFixed(2)} Mb/s`;
    t.comment(cell);
    t.ok(Math.abs(goodput - expected) <= TOLERANCE * expected, `${cell}, looked at: ${expected}`);
  }
});

t.test('flows that share a link get shares of about the same size', async (t) => {
  const { shares, goodput } = simulate({ flows: 8, seconds: 20, faults: { ...faultsOf({ loss: 0, rtt: 20, rate: 20, queue: 1 }), seed: 1 } });
  t.ok(goodput > 18, `${goodput.toFixed(1)} Mb/s`);
  t.ok(jain(shares) > 0.95, `Jain's index ${jain(shares).toFixed(3)}`);
  t.equal(jain([1, 1, 1, 1]), 1);
  t.equal(jain([4, 0, 0, 0]), 0.25);
});

/** Goodput of one flow over a link of 100 Mb/s that loses at random, on a virtual clock. */
import t from 'tap';
import { Network } from './support/network.js';

const SEEDS = [1, 2, 3];
const BYTES = 6_000_000;

/**
 * Least goodput in Mb/s, mean of the seeds. About two thirds of what it is: a recovery that waits for timeouts, sends
 * what arrived again, or reduces the window more than once for a loss does not come near.
 */
const LEAST: [loss: number, rttMs: number, mbits: number][] = [
  [0, 1, 80], [0.01, 1, 70], [0.03, 1, 27],
  [0, 20, 60], [0.01, 20, 5.5], [0.03, 20, 2.5],
];

for (const congestion of ['cubic', 'newreno'] as const) {
  t.test(`goodput by loss and round-trip time, ${congestion}`, async (t) => {
    for (const [loss, rtt, least] of LEAST) {
      let seconds = 0;
      let again = 0;
      let timeouts = 0;
      for (const seed of SEEDS) {
        const network = new Network({
          seed, flows: 1, bytes: [BYTES, 1], ring: 1 << 21, faults: { loss, delay: rtt * 500, rate: 1e8, queue: 500 },
          limits: { receiveBuffer: 4 << 20, congestion },
        });
        t.ok(network.run(1000, () => network.b.ended.size === 1 && network.b.stack.tcb.at(0).received === BYTES), 'all of it arrives');
        t.equal(network.b.wrong, 0);
        seconds += (network.now - network.start) / 1e6;
        again += network.a.stat('TcpRetransSegs');
        timeouts += network.a.stat('TcpExtTCPTimeouts');
      }
      const mbits = (SEEDS.length * BYTES * 8) / seconds / 1e6;
      const cell = `${loss * 100} % loss, ${rtt} ms: ${mbits.toFixed(1)} Mb/s, ${again} sent again, ${timeouts} timeouts`;
      t.comment(cell);
      t.ok(mbits >= least, `${cell}; at least ${least}`);
    }
  });
}

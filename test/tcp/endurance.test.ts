/** Two stacks for ten simulated minutes in bad weather: outages, black holes, losses, readers that stop, and connections all the while. */
import t from 'tap';
import { randomOf } from '../support/random.js';
import { Network } from './support/network.js';

const SECONDS = 600;
const ETHERNET = 14;

/** What the way is like for a while. */
type Weather = 'fair' | 'down' | 'narrow' | 'lossy' | 'asleep';
const WEATHERS: readonly Weather[] = ['fair', 'fair', 'down', 'narrow', 'lossy', 'asleep'];

for (const [seed, limits] of [[1, {}], [2, { sack: false, timestamps: false }], [3, { congestion: 'newreno', mtuProbing: 'always' }]] as const) {
  t.test(`ten minutes of bad weather, seed ${seed}: every stream arrives as it was written, and nothing is left`, async (t) => {
    const bytes: [number, number] = [150_000, 90_000];
    const network = new Network({
      seed, bytes, flows: 0, limits: { timeWaitMs: 2000, ...limits },
      faults: { loss: 0.005, reorder: 0.02, reorderDelay: 4000, duplicate: 0.01, corrupt: 0.002, delay: 8000, jitter: 500, rate: 2e7 },
    });
    const { a, b } = network;
    const random = randomOf(seed);
    const chance = (share: number): boolean => random() % 1000 < share * 1000;
    const seen = new Map<Weather, number>();
    let opened = 0;
    while (network.now - network.start < SECONDS * 1e6) {
      const weather = WEATHERS[random() % WEATHERS.length]!;
      const mtu = 600 + (random() % 850);
      seen.set(weather, (seen.get(weather) ?? 0) + 1);
      network.passes = (length) => {
        if (weather === 'down') return false;
        if (weather === 'narrow') return length <= mtu + ETHERNET;
        return weather !== 'lossy' || !chance(0.08);
      };
      a.asleep = weather === 'asleep' && chance(0.5);
      b.asleep = weather === 'asleep' && !a.asleep;
      if (opened - a.closed < 12) {
        const count = 1 + (random() % 4);
        network.connect(count);
        opened += count;
      }
      // What is down is so for a few seconds: less than anybody waits before giving up.
      network.run(weather === 'down' ? 1 + (random() % 4) : 2 + (random() % 9), () => false);
    }
    network.passes = () => true;
    a.asleep = b.asleep = false;
    const finished = network.run(600, () => a.closed === opened && b.closed === opened);
    t.ok(finished, `${opened} connections came to their end${finished ? '' : network.report()}`);
    t.ok(opened > 40 && seen.size === 5, `${opened} connections, ${[...seen].join(' ')}`);
    t.strictSame([a.errors, b.errors, a.wrong, b.wrong], [[], [], 0, 0], 'no error, and no wrong byte');
    t.ok(a.received.every((length) => length === bytes[1]) && b.received.every((length) => length === bytes[0]), 'all of each stream');
    t.ok(a.stat('TcpExtTCPMTUPBlackHole') + b.stat('TcpExtTCPMTUPBlackHole') > 0 && a.stat('TcpExtTCPTimeouts') > 0);
    network.run(200, () => false);
    for (const { stack } of [a, b]) {
      t.strictSame(
        [stack.flowsInUse, stack.timersArmed, stack.rangesInUse + stack.runsInUse, stack.orphanCount, stack.timeWaitCount], [0, 0, 0, 0, 0],
        'no flow, timer, range, run, orphan or TIME-WAIT is left',
      );
    }
  });
}

/** Two stacks over a bad link, on a virtual clock: what comes out is what went in, and nothing is left. */
import t from 'tap';
import { Network } from './support/network.js';
import type { Setting } from './support/network.js';

function check(t: Tap, network: Network, setting: Setting, finished: boolean): void {
  const { a, b } = network;
  const good = finished && a.wrong === 0 && b.wrong === 0 && a.errors.length === 0 && b.errors.length === 0;
  t.ok(good, `seed ${setting.seed}: bytes intact both ways in ${((network.now - network.start) / 1e6).toFixed(1)} s` + (good ? '' : network.report()));
  for (const side of [a, b]) {
    const expected = side === a ? setting.bytes[1] : setting.bytes[0];
    t.strictSame(side.received, new Array<number>(setting.flows).fill(expected), 'all of it');
  }
  network.run(200, () => false);
  for (const side of [a, b]) {
    t.strictSame(
      [side.stack.flowsInUse, side.stack.timersArmed, side.stack.rangesInUse + side.stack.runsInUse, side.stack.orphanCount, side.stack.timeWaitCount],
      [0, 0, 0, 0, 0], 'no flow, timer, range, run, orphan or TIME-WAIT is left',
    );
  }
}

type Tap = typeof t;

function transfer(t: Tap, setting: Setting, seconds: number): Network {
  const network = new Network(setting);
  const done = (): boolean => network.a.closed === setting.flows && network.b.closed === setting.flows;
  const finished = network.run(seconds, done);
  check(t, network, setting, finished);
  return network;
}

t.test('5 % loss, reordering and duplication: 20 seeds', async (t) => {
  let retransmitted = 0;
  let reordered = 0;
  for (let seed = 1; seed <= 20; seed++) {
    const faults = { loss: 0.05, reorder: 0.1, reorderDelay: 3000, duplicate: 0.05, delay: 5000, jitter: 1000 };
    const network = transfer(t as Tap, { seed, faults, bytes: [150_000 + seed, 90_000 + seed * 7], flows: 3 }, 3000);
    retransmitted += network.a.stat('TcpRetransSegs') + network.b.stat('TcpRetransSegs');
    reordered += network.a.stat('TcpExtTCPOFOQueue') + network.b.stat('TcpExtTCPOFOQueue');
  }
  t.ok(retransmitted > 100, `${retransmitted} segments were sent again`);
  t.ok(reordered > 100, `${reordered} segments came out of order`);
});

t.test('the same over IPv6, and link-local: 8 seeds', async (t) => {
  for (let seed = 1; seed <= 8; seed++) {
    const faults = { loss: 0.05, reorder: 0.1, reorderDelay: 3000, duplicate: 0.05, corrupt: 0.02, delay: 5000, jitter: 1000 };
    const addresses = seed % 2 === 0 ? ['2001:db8::1/64', '2001:db8::2/64'] as const : ['fe80::1/64', 'fe80::2/64'] as const;
    const network = transfer(t as Tap, { seed, faults, bytes: [150_000 + seed, 90_000 + seed * 7], flows: 3, addresses }, 3000);
    t.match(network.a.stack.ip.stats, { IpInReceives: 0, IpOutRequests: 0 }, 'not a packet of IPv4');
    t.ok(network.a.stack.ip.stats.Ip6InDelivers > 100);
  }
  const addresses = ['2001:db8::1/64', '2001:db8::2/64'] as const;
  for (const segmentation of [0, 65535]) {
    const network = transfer(t as Tap, { seed: 9, faults: {}, bytes: [900_000, 900_000], flows: 2, segmentation, addresses }, 3000);
    t.equal(network.a.stat('TcpRetransSegs') + network.b.stat('TcpRetransSegs'), 0, 'on a clean link nothing is sent twice, super-segments or not');
  }
});

t.test('corruption, heavy loss, and sequence numbers without timestamps or scaling', async (t) => {
  for (let seed = 30; seed < 36; seed++) {
    const faults = { loss: 0.15, corrupt: 0.05, duplicate: 0.2, delay: 20_000, jitter: 15_000 };
    const limits = seed % 2 === 0 ? {} : { timestamps: false, sack: false, windowScaling: false };
    transfer(t as Tap, { seed, faults, bytes: [40_000, 40_000], flows: 2, limits }, 3000);
  }
});

t.test('a clean link: nothing is sent twice, super-segments or not', async (t) => {
  for (const segmentation of [0, 65535]) {
    const setting = { seed: 50, faults: {}, bytes: [2_000_000, 1_000_000] as [number, number], flows: 4, segmentation };
    const network = transfer(t as Tap, setting, 100);
    t.equal(network.a.stat('TcpRetransSegs') + network.b.stat('TcpRetransSegs'), 0);
    if (segmentation > 0) {
      t.ok(network.a.stat('TcpOutSegs') < 8_000_000 / 1448, `${network.a.stat('TcpOutSegs')} packets are fewer than segments`);
    }
  }
});

t.test('out-of-order ranges run out: it takes longer, and is right', async (t) => {
  const faults = { loss: 0.1, jitter: 20_000, delay: 5000 };
  const network = transfer(t as Tap, { seed: 60, faults, bytes: [200_000, 200_000], flows: 4, limits: { ranges: 3, rangesPerFlow: 2 } }, 3000);
  t.ok(network.a.stat('TcpExtTCPOFODrop') + network.b.stat('TcpExtTCPOFODrop') > 0);
});

t.test('records of what is in flight run out: losses are found later, and it is right', async (t) => {
  const faults = { loss: 0.05, jitter: 20_000, delay: 5000 };
  for (const seed of [61, 62, 63]) {
    const network = transfer(t as Tap, { seed, faults, bytes: [200_000, 200_000], flows: 4, limits: { runs: 0 } }, 3000);
    t.equal(network.a.stack.runsInUse + network.b.stack.runsInUse, 0);
  }
});

t.test('receive memory runs out, then comes back', async (t) => {
  const setting = { seed: 70, faults: { delay: 1000 }, bytes: [300_000, 10] as [number, number], flows: 2 };
  const network = new Network(setting);
  network.run(0.006, () => false);
  network.b.payload.full = true;
  network.run(20, () => false);
  t.equal(network.b.closed, 0);
  network.b.payload.full = false;
  const finished = network.run(200, () => network.a.closed === 2 && network.b.closed === 2);
  check(t as Tap, network, setting, finished);
});

t.test('a reader that stops: the writer waits, asks, and goes on', async (t) => {
  const setting = { seed: 80, faults: { loss: 0.02, delay: 1000 }, bytes: [900_000, 10] as [number, number], flows: 2 };
  const network = new Network(setting);
  network.run(0.02, () => false);
  network.b.asleep = true;
  network.run(600, () => false);
  t.equal(network.b.closed, 0);
  t.ok(network.a.stat('TcpExtTCPWinProbe') > 5, 'zero-window probes');
  network.b.asleep = false;
  const finished = network.run(600, () => network.a.closed === 2 && network.b.closed === 2);
  check(t as Tap, network, setting, finished);
});

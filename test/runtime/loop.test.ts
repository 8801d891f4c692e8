/** The TCP server's loop: when it looks for work, and when it sleeps. */
import t from 'tap';
import { APP_BLOCKED, APP_LOOP_SLEEPS, CH_SLEEP, CTRL_CROWDED, CTRL_STOP } from '../../lib/runtime/layout.js';
import { ServerLoop } from '../../lib/runtime/server_loop.js';
import type { Spin } from '../../lib/runtime/spin.js';
import { Turns } from '../support/turns.js';

/** How often the loop asks whether to look again before it sleeps for the first time. @param sleeps the sleep words of app threads. */
function looks(sleeps: readonly number[], { shares = true, crowded = false } = {}): number {
  const turns = new Turns();
  const { words, layout } = turns;
  const ports = sleeps.map(() => turns.attach());
  turns.turn();
  sleeps.forEach((sleep, channel) => { words[layout.channelBase(channel) + CH_SLEEP] = sleep; });
  words[CTRL_CROWDED] = Number(crowded);
  let looked = 0;
  const spin = { again: () => words[CTRL_STOP] === 0 && looked++ < 3, worked: () => undefined } as unknown as Spin;
  const loop = new ServerLoop(words, turns.stack, turns.apps, {
    descriptors: [], spin, shares, tick: () => undefined, ringEveryApp: () => undefined, addressesChanged: () => undefined,
    // Asked before each sleep: the first one is the end of the test.
    devicesDueBy: (next) => {
      words[CTRL_STOP] = 1;
      for (const port of ports) port.detach();
      next.take(0);
    },
  });
  loop.run();
  return looked;
}

t.test('with a CPU of its own it looks whatever the app does', async (t) => {
  t.equal(looks([0], { shares: false }), 4);
  t.equal(looks([APP_BLOCKED], { shares: false }), 4);
});

t.test('where app threads may want the CPU it looks only while all of them sleep', async (t) => {
  t.equal(looks([]), 4);
  t.equal(looks([APP_LOOP_SLEEPS, APP_BLOCKED]), 4);
  t.equal(looks([APP_LOOP_SLEEPS, 0]), 0);
});

t.test('beside another TCP server on its CPU it does not', async (t) => {
  t.equal(looks([APP_BLOCKED], { crowded: true }), 0);
});

t.test('told to end it does not sleep once the last app thread has left', async (t) => {
  const turns = new Turns();
  const port = turns.attach();
  turns.turn();
  const spin = { again: () => false, worked: () => undefined } as unknown as Spin;
  let sleeps = 0;
  new ServerLoop(turns.words, turns.stack, turns.apps, {
    descriptors: [], spin, shares: false, tick: () => undefined, ringEveryApp: () => undefined, addressesChanged: () => undefined,
    devicesDueBy: (next) => {
      sleeps++;
      turns.words[CTRL_STOP] = 1;
      port.detach();
      next.take(0);
    },
  }).run();
  t.equal(sleeps, 1);
});

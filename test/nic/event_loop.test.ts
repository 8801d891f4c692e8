/** Descriptors in the main thread's event loop. */
import t from 'tap';
import { DescriptorWatch, canWatchDescriptors } from '../../lib/nic/event_loop.js';
import { close, drain, eventfd, signal } from '../../lib/nic/syscalls.js';
import type { Device } from '../../lib/nic/device.js';
import { openDevice } from '../../lib/nic/open.js';
import { collectGarbage, OWN, PEER, drainDevice, needsRoot, newMemory, pattern, sendFrame, until, vethNetwork } from './support.js';

/** Has `look` called in each round of the event loop, and none made for it. */
function eachRound(look: () => void): { end(): void } {
  let immediate: NodeJS.Immediate;
  const plan = (): void => {
    immediate = setImmediate(() => {
      plan();
      look();
    }).unref();
  };
  plan();
  return { end: () => clearImmediate(immediate) };
}

t.test('a readable descriptor has the event loop go round, and one that is not lets it sleep', async (t) => {
  t.ok(canWatchDescriptors, 'this Node exports what it takes');
  const fd = eventfd();
  const watch = new DescriptorWatch(fd);
  let rounds = 0;
  let found = 0;
  const looking = eachRound(() => {
    rounds++;
    if (drain(fd)) found++;
  });
  // As another thread would, while the loop has nothing else to do but to wait for a timer that is far off.
  const far = setTimeout(() => {}, 60_000);
  setTimeout(() => signal(fd), 20);
  await until(() => found === 1);
  watch.close();
  signal(fd);
  collectGarbage(); // marking has the loop go round, too
  const before = rounds;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(rounds - before <= 500, `${rounds - before} rounds in 20 ms though it is readable, where a busy loop makes thousands: nobody watches any more`);
  looking.end();
  clearTimeout(far);
  close(fd);
});

t.test('it goes on after an error, which keeps no loop busy', needsRoot, async (t) => {
  const net = vethNetwork();
  t.teardown(net.remove);
  const [left, right] = ([[OWN, net.left], [PEER, net.right]] as const).map(([name, netns]) => {
    const { memory, shared } = newMemory();
    const device = openDevice(`packet:${name}`, memory, shared, { netns });
    t.teardown(() => device.close());
    return device;
  }) as [Device, Device];
  const watch = new DescriptorWatch(left.fd);
  let rounds = 0;
  let taken = 0;
  const looking = eachRound(() => {
    rounds++;
    taken += drainDevice(left).length;
  });
  net.ip(net.left, 'link', 'set', OWN, 'down');
  collectGarbage(); // the memory of the devices has set marking going, which has the loop go round, too
  const before = rounds;
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(rounds - before <= 500, `${rounds - before} rounds in 20 ms while the interface is down: a busy loop makes thousands`);
  net.ip(net.left, 'link', 'set', OWN, 'up');
  const frame = pattern(60, 1);
  frame.set(net.leftMac.split(':').map((part) => parseInt(part, 16)));
  await until(() => sendFrame(right, frame) && right.flush() === 1);
  watch.keepOn();
  await new Promise((resolve) => setTimeout(resolve, 20));
  t.ok(taken > 0, `${taken} frames were taken in rounds that they have caused`);
  looking.end();
  watch.close();
});

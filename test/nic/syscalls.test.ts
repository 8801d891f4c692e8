/** System calls, shared memory and namespaces. */
import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import t from 'tap';
import { interfaceInfo, listInterfaces } from '../../lib/nic/interfaces.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { enterNamespace, inNamespace } from '../../lib/nic/netns.js';
import {
  close, drain, eventfd, getAffinity, gettid, mapOver, PAGE_SIZE, Poller, setAffinity, signal, threadAlive, unmapOver,
} from '../../lib/nic/syscalls.js';
import { collectGarbage, needsRoot, OWN, PEER, vethNetwork } from './support.js';

t.test('an alias shows the bytes of the shared buffer, both ways', async (t) => {
  const shared = new SharedArrayBuffer(1 << 20);
  const { bytes, address } = alias(shared);
  const original = new Uint8Array(shared);
  t.equal(bytes.length, original.length);
  t.ok(address > 0n);
  bytes[77] = 5;
  t.equal(original[77], 5);
  original[1 << 19] = 6;
  t.equal(bytes[1 << 19], 6);
});

t.test('an alias keeps its memory alive through garbage collection', async (t) => {
  const aliases: Uint8Array[] = [];
  for (let round = 0; round < 4; round++) {
    aliases.push(alias(new SharedArrayBuffer(48 << 20)).bytes);
    collectGarbage();
    await new Promise((resolve) => setImmediate(resolve));
    collectGarbage();
  }
  for (const bytes of aliases) bytes.fill(1, 0, 1 << 20); // the process would die of it
  t.equal(aliases[0]![1000], 1);
});

t.test('the region of a device begins and ends on pages inside the memory', async (t) => {
  const memory = alias(new SharedArrayBuffer(1 << 20));
  for (const from of [0, 1, 4096, 70000]) {
    const { regionOffset, regionLength } = deviceMemory(memory, from, 200_000);
    t.equal((Number(memory.address) + regionOffset) % PAGE_SIZE, 0);
    t.equal(regionLength % PAGE_SIZE, 0);
    t.ok(regionOffset >= from && regionOffset + regionLength <= from + 200_000);
    t.ok(regionLength > 200_000 - 2 * PAGE_SIZE);
  }
  t.throws(() => deviceMemory(memory, 0, 100), RangeError);
  t.throws(() => deviceMemory(memory, 1 << 19, 1 << 20), RangeError);
});

t.test('memory that was mapped over and given back is zero and usable', async (t) => {
  const { regionOffset, regionLength, bytes, address } = deviceMemory(alias(new SharedArrayBuffer(1 << 20)), 0, 1 << 20);
  bytes.fill(9);
  unmapOver(Number(address) + regionOffset, regionLength);
  t.equal(bytes[regionOffset], 0);
  bytes[regionOffset] = 3;
  t.equal(bytes[regionOffset], 3);
  t.throws(() => mapOver(Number(address) + regionOffset, regionLength, -1, 'no descriptor'), { code: 'EBADF', syscall: 'mmap', errno: -9 });
});

t.test('a poller tells which descriptor is ready, and sleeps no longer than it was told', async (t) => {
  const first = eventfd();
  const second = eventfd();
  const poller = new Poller([first, -1, second]);
  t.equal(poller.wait(0), 0);
  const start = performance.now();
  t.equal(poller.wait(3000), 0);
  t.ok(performance.now() - start >= 3, 'it waited 3 ms');
  signal(second);
  t.equal(poller.wait(Infinity), 4);
  signal(first);
  t.equal(poller.wait(1e6), 5);
  drain(second);
  t.equal(poller.wait(0), 1);
  drain(first);
  t.equal(poller.wait(0), 0);
  close(first);
  t.throws(() => poller.wait(0), { code: 'EBADF', syscall: 'ppoll' });
  close(second);
  t.throws(() => new Poller(new Array<number>(31).fill(-1)), RangeError);
});

t.test('a thread can be pinned to a CPU that there is, and the error names those', async (t) => {
  const cpus = getAffinity();
  t.ok(cpus.length > 0);
  setAffinity([cpus[0]!]);
  t.same(getAffinity(), [cpus[0]]);
  setAffinity(cpus);
  t.same(getAffinity(), cpus);
  t.throws(() => setAffinity([1023]), { code: 'EINVAL', message: /cannot run on CPU 1023; this thread may run on 0/ });
  t.throws(() => setAffinity([-1]), RangeError);
});

t.test('a thread is known to be alive by its number', async (t) => {
  t.ok(threadAlive(gettid()));
  t.notOk(threadAlive(0x3ffffff));
});

t.test('an interface that is not there is refused with those that are', async (t) => {
  t.ok(listInterfaces().includes('lo'));
  const lo = interfaceInfo('lo');
  t.ok(lo.index > 0 && lo.mtu >= 1500);
  t.throws(() => interfaceInfo('nosuch0'), { code: 'ENODEV', syscall: 'ioctl', message: /there is no interface "nosuch0" here; there is .*lo/ });
  t.throws(() => interfaceInfo('a-name-longer-than-any-interface'), { code: 'ENODEV' });
  t.throws(() => interfaceInfo(''), { code: 'ENODEV' });
});

t.test('a namespace that is not there is refused', async (t) => {
  t.throws(() => enterNamespace('nosuch'), { code: 'ENOENT', message: /there is no network namespace "nosuch"/ });
});

t.test('a task runs inside a namespace and the thread comes back, also after an error', needsRoot, async (t) => {
  const network = vethNetwork();
  t.teardown(network.remove);
  const outside = listInterfaces();
  t.ok(inNamespace(network.left, listInterfaces).includes(OWN));
  t.ok(inNamespace(`/run/netns/${network.right}`, listInterfaces).includes(PEER));
  t.throws(() => inNamespace(network.left, () => { throw new Error('inside'); }), /inside/);
  t.same(listInterfaces(), outside);
});

t.test('a worker that enters a namespace is there alone', needsRoot, async (t) => {
  const network = vethNetwork();
  t.teardown(network.remove);
  const outside = listInterfaces();
  const program = `
    const { parentPort } = require('node:worker_threads');
    (async () => {
      const { enterNamespace } = await import('${new URL('../../lib/nic/netns.js', import.meta.url)}');
      const { listInterfaces } = await import('${new URL('../../lib/nic/interfaces.js', import.meta.url)}');
      enterNamespace('${network.left}');
      parentPort.on('message', () => parentPort.close());
      parentPort.postMessage(listInterfaces());
    })();`;
  const worker = new Worker(program, { eval: true });
  const [inside] = (await once(worker, 'message')) as [string[]];
  t.ok(inside.includes(OWN));
  t.same(listInterfaces(), outside);
  worker.postMessage('end');
  await once(worker, 'exit');
});

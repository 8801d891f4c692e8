/** The rings of AF_XDP sockets against queues: one side as the device walks them, the other as the kernel does. */
import t from 'tap';
import { ConsumerRing, ProducerRing, type RingPlace } from '../../lib/nic/xdp_ring.js';
import { randomOf } from '../support/random.js';

const PRODUCER = 16;
const CONSUMER = 32;
const FLAGS = 48;
const ENTRIES = 64;

function ring(count: number, entryWords: number): { shared: Int32Array; place: RingPlace } {
  const shared = new Int32Array(new SharedArrayBuffer(4 * (ENTRIES + count * entryWords)));
  return { shared, place: { producer: 4 * PRODUCER, consumer: 4 * CONSUMER, flags: 4 * FLAGS, entries: 4 * ENTRIES, entryBytes: 4 * entryWords, count } };
}

for (const [count, entryWords] of [[1, 2], [8, 4], [64, 2]] as const) {
  t.test(`a ring of ${count}: what we write, the kernel takes in order, and never more than fits`, (t) => {
    const { shared, place } = ring(count, entryWords);
    const producer = new ProducerRing(shared, place);
    const random = randomOf(count);
    let kernel = 0; // the kernel's position
    let written = 0;
    let published = 0;
    for (let step = 0; step < 20_000; step++) {
      if (random() % 3 > 0) {
        const wanted = random() % (count + 1);
        const fits = count - (written - kernel) >= wanted;
        if (producer.hasRoom(wanted) !== fits) t.fail(`room for ${wanted} with ${written - kernel} of ${count} in use`);
        for (let i = 0; fits && i < wanted; i++) shared[producer.next()] = written++;
        if (random() % 2 === 0) {
          if (producer.publish() !== written - published) t.fail('published');
          published = written;
        }
      } else {
        if (producer.waiting !== published - kernel) t.fail('waiting');
        if (shared[PRODUCER] !== published) t.fail('the position of the producer');
        for (let left = random() % (published - kernel + 1); left > 0; left--) {
          if (shared[ENTRIES + (kernel & (count - 1)) * entryWords] !== kernel) t.fail(`entry ${kernel}`);
          kernel++;
        }
        Atomics.store(shared, CONSUMER, kernel);
      }
    }
    t.ok(kernel > count);
    t.end();
  });

  t.test(`a ring of ${count}: what the kernel writes, we take in order, and give back when we say so`, (t) => {
    const { shared, place } = ring(count, entryWords);
    const consumer = new ConsumerRing(shared, place);
    const random = randomOf(count + 1);
    let kernel = 0;
    let taken = 0;
    let released = 0;
    for (let step = 0; step < 20_000; step++) {
      if (random() % 2 === 0) {
        for (let left = random() % (count - (kernel - released) + 1); left > 0; left--) shared[ENTRIES + (kernel & (count - 1)) * entryWords] = kernel++;
        Atomics.store(shared, PRODUCER, kernel);
      } else {
        for (let left = random() % (count + 1); left > 0 && taken < kernel; left--) {
          if (!consumer.hasMore) t.fail('more');
          if (shared[consumer.next()] !== taken) t.fail(`entry ${taken}`);
          taken++;
        }
        if (consumer.hasMore !== taken < kernel) t.fail('the end');
        if (shared[CONSUMER] !== released) t.fail('given back too soon');
        if (random() % 2 === 0) {
          consumer.release();
          released = taken;
        }
        if (shared[CONSUMER] !== released) t.fail('the position of the consumer');
      }
    }
    t.ok(taken > count);
    t.end();
  });
}

t.test('positions go on through 2^31 and 2^32', (t) => {
  for (const from of [0x7fffffff - 5, -6]) {
    const { shared, place } = ring(4, 2);
    shared[PRODUCER] = shared[CONSUMER] = from;
    const producer = new ProducerRing(shared, place);
    const consumer = new ConsumerRing(shared, place); // of the same ring: it stands for the kernel
    for (let round = 0; round < 5; round++) {
      for (let i = 0; i < 3; i++) shared[producer.next()] = i;
      t.notOk(consumer.hasMore);
      t.equal(producer.publish(), 3);
      t.ok(producer.hasRoom(1) && !producer.hasRoom(2));
      for (let i = 0; i < 3; i++) t.ok(consumer.hasMore && shared[consumer.next()] === i);
      t.notOk(consumer.hasMore);
      t.equal(producer.waiting, 3);
      consumer.release();
      t.equal(producer.waiting, 0);
      t.ok(producer.hasRoom(4) && !producer.hasRoom(5));
    }
    t.equal(shared[PRODUCER], (from + 15) | 0);
  }
  t.end();
});

t.test('the kernel says that it wants to be woken', (t) => {
  const { shared, place } = ring(4, 2);
  const producer = new ProducerRing(shared, place);
  t.notOk(producer.needsWakeup);
  shared[FLAGS] = 1;
  t.ok(producer.needsWakeup);
  t.end();
});

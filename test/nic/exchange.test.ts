/** The device whose link is another thread: both of its ends in one. */
import t from 'tap';
import { DEVICE_REGION_LENGTH, TX_ROOM } from '../../lib/nic/device.js';
import { ExchangePeer } from '../../lib/nic/exchange.js';
import { alias, deviceMemory } from '../../lib/nic/memory.js';
import { openDevice } from '../../lib/nic/open.js';

const FROM = 8192;
const shared = new SharedArrayBuffer(FROM + DEVICE_REGION_LENGTH);
const plain = alias(shared);
const device = openDevice('exchange', deviceMemory(plain, FROM, DEVICE_REGION_LENGTH), shared);
const peer = new ExchangePeer(shared, FROM);

function taken(): string[] {
  const packets: string[] = [];
  device.receive({ frame: (bytes, offset, length) => packets.push(Buffer.from(bytes.subarray(offset, offset + length)).toString()) }, 1000);
  return packets;
}

t.test('packets come out whole and in order, in rings that are gone round many times', (t) => {
  for (let round = 0; round < 5; round++) {
    const sent: string[] = [];
    for (let i = 0; peer.send(Buffer.from(`${round} ${i}`)); i++) sent.push(`${round} ${i}`);
    t.equal(sent.length, 256);
    t.ok(device.readable());
    t.strictSame(taken(), sent);
    t.notOk(device.readable());
    let out = 0;
    for (let at = device.reserve(); at >= 0; at = device.reserve()) {
      device.tx.set(Buffer.from('head'), at);
      plain.bytes.set(Buffer.from(` ${out % 10}`), 0);
      device.append(0, 2);
      device.commit(4, 0, 0);
      out++;
    }
    t.equal(out, 256, 'a full ring takes no more');
    t.equal(peer.take(), null, 'nothing is seen before it is flushed');
    t.equal(device.flush(), 256);
    for (let i = 0; i < out; i++) if (Buffer.from(peer.take()!).toString() !== `head ${i % 10}`) t.fail(`packet ${i}`);
    t.ok(peer.idle);
  }
  t.throws(() => peer.send(new Uint8Array(TX_ROOM + 1)), RangeError);
  t.end();
});

t.test('a peer that waits is woken', async (t) => {
  const waited = peer.wait();
  device.reserve();
  device.commit(0, 0, 0);
  device.flush();
  await waited;
  t.equal(peer.take()?.length, 0);
  device.reserve();
  device.commit(0, 0, 0);
  device.flush();
  await peer.wait();
  t.equal(peer.take()?.length, 0, 'and does not wait where there is one');
});

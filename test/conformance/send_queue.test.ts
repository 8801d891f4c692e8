/** The send buffer of the driver, counted as Linux counts it. */
import t from 'tap';
import { Client } from './client.js';

const MSS = 1460;

t.test('the send buffer has room for two windows of ten segments, and grows with the window once a writer has found it full', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen(), { win: 65_535 }, []);
  let acked = 1;
  const send = async (segments: number): Promise<void> => {
    t.match(await client.send(fd, segments * MSS, { nb: true }), { ret: segments * MSS });
    acked += segments * MSS;
    await client.pass(20);
    await client.inject({ flags: 'A', seq: 1, ack: acked });
  };
  for (const segments of [10, 20, 40]) await send(segments);
  const first = await client.send(fd, 2_000_000, { nb: true });
  t.ok(first.ret > 87_040 - 32_767 && first.ret <= 87_040 + 32_767, `${first.ret} bytes, of 20 times 4352 that a segment takes at most`);
  t.match(await client.send(fd, 1, { nb: true }), { ret: -1, errno: 'EAGAIN' });
  await client.pass(20);
  await client.inject({ flags: 'A', seq: 1, ack: acked + 40 * MSS });
  const second = await client.send(fd, 2_000_000, { nb: true });
  t.ok(second.ret > 3 * first.ret, `${second.ret} bytes, once there is a window of 80 segments`);
});

/**
 * Transcripts through the conformance driver's full form: the TCP server's thread, its channel to an app thread, and the calls that every
 * face stands on, on the real clock. What takes how long is no matter here.
 */
import t from 'tap';
import { Client, LINUX_SYN } from './client.js';

const said = new WeakMap<Client, Set<string>>();

const start = (test: typeof t, settings: Record<string, string> = {}): Promise<Client> => Client.start(test as never, settings, ['--full']);

t.test('the line protocol: hello, handles, unknown calls, bye', async (t) => {
  const client = await start(t as never);
  t.equal((await client.call('socket', { domain: 2, type: 1, protocol: 6 })).ret, 3);
  t.match(await client.call('listen', { fd: 99, backlog: 1 }), { ret: -1, errno: 'EBADF' });
  t.match(await client.call('fly'), { ret: -1, errno: 'ENOSYS' });
  t.match(await client.call('hello', { proto: 1 }), { ret: -1, errno: 'EPROTO' });
  t.match(await client.call('bind', { fd: 3, family: 2, addr: '192.0.2.9', port: 80 }), { ret: -1, errno: 'EADDRNOTAVAIL' });
  t.equal((await client.call('sync')).ret, 0);
  t.equal((await client.call('bye')).ret, 0);
  t.equal(await client.exit, 0);
});

t.test('a passive open, an echo, and a close from the peer\'s side', async (t) => {
  const client = await start(t as never);
  const listener = await client.listen();
  t.match(await client.call('accept', { fd: listener, nb: true }), { ret: -1, errno: 'EAGAIN' });
  const accepted = client.call('accept', { fd: listener, nb: false });
  await client.inject({ flags: 'S', options: LINUX_SYN });
  const synAck = client.next();
  t.match(synAck, { flags: 'SA', seq: 0, ack: 1, from: 8080, to: 40000 });
  t.strictSame(synAck.kinds, [2, 4, 8, 1, 3], 'mss, sackOK, timestamp, nop, wscale');
  await client.inject({ flags: 'A', seq: 1, ack: 1, options: stampsOf(synAck.options) });
  const { ret: fd, addr, port } = await accepted;
  t.strictSame([addr, port], ['192.0.2.1', 40000]);
  const received = client.call('recv', { fd, nb: false, len: 100, flags: 0 });
  const injected = await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 'hello', options: stampsOf(synAck.options) });
  const read = await received;
  t.match(read, { ret: 5, data: Buffer.from('hello').toString('hex') });
  // The acknowledgement and what the app thread hears of the text come from two threads, in either order.
  t.equal(client.order.at(-1), `${injected.id}`, 'what it caused is told before the answer');
  t.strictSame(sent(client), ['A 1 6']);
  t.equal((await client.send(fd, 'hello')).ret, 5);
  t.strictSame(sent(client), ['PA 1:6 6']);
  t.match(await client.call('ioctl', { fd, req: 'SIOCOUTQ' }), { val: 5 });
  await client.inject({ flags: 'A', seq: 6, ack: 6, options: stampsOf(synAck.options) });
  t.match(await client.call('ioctl', { fd, req: 'SIOCOUTQ' }), { val: 0 });
  await client.inject({ flags: 'FA', seq: 6, ack: 6, options: stampsOf(synAck.options) });
  t.match(await client.recv(fd), { ret: 0, data: '' });
  t.equal((await client.call('close', { fd })).ret, 0);
  t.equal(sent(client).at(-1), 'FA 6 7');
  await client.inject({ flags: 'A', seq: 7, ack: 7, options: stampsOf(synAck.options) });
  t.strictSame(sent(client), []);
});

t.test('an active open: refused, and done; half-close; the peer resets', async (t) => {
  const client = await start(t as never);
  const open = async (nb: boolean): Promise<{ fd: number; result: ReturnType<Client['call']> }> => {
    const { ret: fd } = await client.call('socket', { domain: 2, type: 1, protocol: 6 });
    const result = client.call('connect', { fd, family: 2, addr: '192.0.2.1', port: client.peerPort, nb });
    await client.call('sync');
    const syn = client.next();
    t.strictSame([syn.flags, syn.kinds], ['S', [2, 4, 8, 1, 3]]);
    client.localPort = syn.from;
    return { fd, result };
  };
  const refused = await open(false);
  await client.inject({ flags: 'RA', seq: 0, ack: 1 });
  t.match(await refused.result, { ret: -1, errno: 'ECONNREFUSED' });
  const { fd, result } = await open(true);
  t.match(await result, { ret: -1, errno: 'EINPROGRESS' });
  await client.inject({ flags: 'SA', seq: 0, ack: 1, options: [2, 4, 5, 180] });
  t.strictSame(sent(client), ['A 1 1']);
  t.match(await client.call('connect', { fd, family: 2, addr: '192.0.2.1', port: client.peerPort, nb: true }), { ret: -1, errno: 'EISCONN' });
  t.equal((await client.send(fd, 'bye', { nb: true })).ret, 3);
  t.equal((await client.call('shutdown', { fd, how: 'wr' })).ret, 0);
  t.match(await client.send(fd, 'more', { nb: true }), { ret: -1, errno: 'EPIPE' });
  t.strictSame(sent(client), ['PA 1:4 1', 'FA 4 1']);
  await client.inject({ flags: 'PA', seq: 1, ack: 5, data: 'late' });
  t.match(await client.recv(fd, 2, { flags: 2 }), { ret: 2, data: Buffer.from('la').toString('hex') }, 'only looked at');
  t.match(await client.recv(fd, 100), { ret: 4, data: Buffer.from('late').toString('hex') });
  await client.inject({ flags: 'R', seq: 5 });
  t.match(await client.recv(fd), { ret: -1, errno: 'ECONNRESET' });
});

t.test('a close with unread bytes, and one with linger 0, reset', async (t) => {
  const client = await start(t as never);
  const listener = await client.listen();
  const first = await client.accept(listener);
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 'unread' });
  sent(client);
  await client.call('close', { fd: first });
  t.match(client.next(), { flags: 'RA', seq: 1 });
  client.peerPort++;
  const second = await client.accept(listener);
  t.equal((await client.call('setsockopt', { fd: second, name: 'SO_LINGER', data: '0100000000000000' })).ret, 0);
  await client.call('close', { fd: second });
  t.match(client.next(), { flags: 'RA', seq: 1 });
  client.peerPort++;
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 'nobody' });
  t.match(client.next(), { flags: 'R' }, 'a segment for nobody is reset too');
});

t.test('what is due by itself comes by itself: a lost segment is sent again', async (t) => {
  const client = await start(t as never);
  const listener = await client.listen();
  const fd = await client.accept(listener);
  client.sent();
  await client.send(fd, 'lost');
  t.strictSame(client.sent(), ['PA 1:5 1']);
  while (client.packets.length === 0) await client.call('sync');
  t.equal(client.sent()[0], 'PA 1:5 1');
  await client.inject({ flags: 'A', seq: 1, ack: 5 });
  t.match(await client.call('getsockopt', { fd, name: 'TCP_INFO', len: 0 }), { ret: 0 });
});

/** What was sent since it was last asked, without what a slow machine has made go again. */
function sent(client: Client): string[] {
  const seen = said.get(client) ?? new Set<string>();
  said.set(client, seen);
  const fresh = client.sent().filter((packet) => !seen.has(packet));
  for (const packet of fresh) seen.add(packet);
  return fresh;
}

/** The timestamps option that answers the one in these options. */
function stampsOf(options: Buffer): number[] {
  return [1, 1, 8, 10, 0, 0, 0, 200, ...options.subarray(8, 12)];
}

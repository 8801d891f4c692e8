/** Transcripts through the conformance driver, on its virtual clock. Sequence numbers are relative. */
import t from 'tap';
import { Client, LINUX_SYN, MSS_1460, stamps } from './client.js';

t.test('the line protocol: hello, order, handles, unknown calls, bye', async (t) => {
  const client = await Client.start(t);
  t.equal((await client.call('socket', { domain: 2, type: 1, protocol: 6 })).ret, 3);
  t.equal((await client.call('socket', { domain: 10, type: 1, protocol: 0 })).ret, 4);
  t.match(await client.call('socket', { domain: 2, type: 2, protocol: 17 }), { ret: -1, errno: 'ESOCKTNOSUPPORT' });
  t.match(await client.call('listen', { fd: 99, backlog: 1 }), { ret: -1, errno: 'EBADF' });
  t.match(await client.call('fly'), { ret: -1, errno: 'ENOSYS' });
  t.match(await client.call('setsockopt', { fd: 3, level: 6, opt: 99, val: 1 }), { ret: -1, errno: 'ENOPROTOOPT' });
  t.equal((await client.call('close', { fd: 3 })).ret, 0);
  t.equal((await client.call('socket', { domain: 2, type: 1, protocol: 6 })).ret, 3, 'the lowest free handle');
  t.match(await client.call('hello', { proto: 1 }), { ret: -1, errno: 'EPROTO' });
  client.now += 1_234_567;
  t.equal((await client.call('sync')).t, client.now, 'sync moves the clock');
  t.equal((await client.call('run', { max_us: 500 })).t, client.now + 500, 'nothing is due');
  t.equal((await client.call('bye')).ret, 0);
  t.equal(await client.exit, 0);
});

t.test('lines and fields that make no sense are answered with an error, and change nothing', async (t) => {
  const client = await Client.start(t);
  t.match(await client.raw('this is no JSON'), { id: null, ret: -1, errno: 'EPROTO' });
  t.match(await client.raw('[1, 2]'), { id: null, ret: -1, errno: 'EPROTO' });
  t.match(await client.raw('{"id": 7}'), { id: null, ret: -1, errno: 'EPROTO' });
  t.match(await client.call('inject', { data: 'abc' }), { ret: -1, errno: 'EINVAL' });
  t.match(await client.call('inject', { data: 'not hexadecimal' }), { ret: -1, errno: 'EINVAL' });
  t.match(await client.call('inject', { data: '' }), { ret: 0 });
  t.match(await client.call('inject', { data: 'ff'.repeat(70_000) }), { ret: 0 }, 'no packet at all');
  const fd = await client.accept(await client.listen());
  t.match(await client.call('send', { fd, len: 1e15 }), { ret: -1, errno: 'EINVAL' });
  t.match(await client.call('send', { fd, len: -1 }), { ret: -1, errno: 'EINVAL' });
  t.match(await client.call('recv', { fd, len: -1, nb: true }), { ret: 0 });
  t.match(await client.call('bind', { fd, addr: 'nowhere', port: 1 }), { ret: -1, errno: 'EAFNOSUPPORT' });
  t.match(await client.call('poll', { fds: 'none', timeout: 0 }), { ret: 0 });
  await client.send(fd, 'still here');
  t.strictSame(client.sent(), ['PA 1:11 1']);
});

t.test('a packet that is larger than the MTU is taken: several that were coalesced on the way', async (t) => {
  const client = await Client.start(t, { tcp_rmem: '4096 540000 15728640' });
  const fd = await client.accept(await client.listen());
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 60_000 });
  t.strictSame(client.sent(), ['A 1 60001']);
  t.match(await client.recv(fd, 100_000), { ret: 60_000 });
  const { data } = await client.call('getsockopt', { fd, level: 6, opt: 11, name: 'TCP_INFO', len: 0 });
  t.equal(Buffer.from(data as string, 'hex').readUInt32LE(20), 1460, 'tcpi_rcv_mss is no more than was announced');
});

t.test('a passive open: Linux\'s options in Linux\'s order; a blocked accept and recv are answered when they complete', async (t) => {
  const client = await Client.start(t);
  const listener = await client.listen();
  const accepted = client.call('accept', { fd: listener, nb: false });
  await client.inject({ flags: 'S', options: LINUX_SYN });
  const synAck = client.next();
  t.match(synAck, { flags: 'SA', seq: 0, ack: 1, from: 8080, to: 40000 });
  t.strictSame(synAck.kinds, [2, 4, 8, 1, 3], 'mss, sackOK, timestamp, nop, wscale');
  t.equal(synAck.options.readUInt16BE(2), 1460);
  client.now += 100_000;
  const value = synAck.options.readUInt32BE(8);
  t.equal(synAck.options.readUInt32BE(12), 100, 'the peer\'s timestamp is echoed');
  await client.inject({ flags: 'A', seq: 1, ack: 1, options: stamps(200, value) });
  const answer = await accepted;
  t.match(answer, { addr: '192.0.2.1', port: 40000, t: client.now });
  const received = client.call('recv', { fd: answer.ret, nb: false, len: 100, flags: 0 });
  client.now += 50_000;
  const injected = await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 'hello', options: stamps(250, value) });
  const read = await received;
  t.match(read, { ret: 5, data: Buffer.from('hello').toString('hex'), t: client.now });
  t.strictSame(client.order.slice(-3), ['pkt', `${read.id}`, `${injected.id}`], 'packet, completion, answer');
  t.strictSame(client.sent(), ['A 1 6']);
});

t.test('an active open: refused, timed out, and done; SYN again after 1 s, then doubled', async (t) => {
  const client = await Client.start(t, { tcp_syn_retries: '3' });
  const open = async (nb: boolean): Promise<{ fd: number; result: ReturnType<Client['call']> }> => {
    const { ret: fd } = await client.call('socket', { domain: 2, type: 1, protocol: 6 });
    const result = client.call('connect', { fd, family: 2, addr: '192.0.2.1', port: client.peerPort, nb });
    await client.call('sync');
    const syn = client.packets[0]!;
    t.strictSame([syn.flags, syn.kinds], ['S', [2, 4, 8, 1, 3]]);
    client.localPort = syn.from;
    client.sent();
    return { fd, result };
  };
  const refused = await open(false);
  await client.inject({ flags: 'RA', seq: 0, ack: 1 });
  t.match(await refused.result, { ret: -1, errno: 'ECONNREFUSED' });

  const silent = await open(false);
  t.strictSame([await client.run(), await client.run(), await client.run()].map(Math.round), [1000, 2000, 4000]);
  t.strictSame(client.sent(), ['S 0', 'S 0', 'S 0']);
  await client.pass(9000);
  t.match(await silent.result, { ret: -1, errno: 'ETIMEDOUT' });

  const done = await open(true);
  t.match(await done.result, { ret: -1, errno: 'EINPROGRESS' });
  t.match(await client.call('connect', { fd: done.fd, addr: '192.0.2.1', port: client.peerPort, nb: true }), { ret: -1, errno: 'EALREADY' });
  t.match(await client.send(done.fd, 10, { nb: true }), { ret: -1, errno: 'EAGAIN' });
  await client.inject({ flags: 'SA', seq: 0, ack: 1, options: MSS_1460 });
  t.strictSame(client.sent(), ['A 1 1']);
  t.match(await client.call('getsockopt', { fd: done.fd, level: 1, opt: 4, name: 'SO_ERROR', len: 4 }), { ret: 0, val: 0 });
  t.match(await client.call('connect', { fd: done.fd, addr: '192.0.2.1', port: client.peerPort, nb: true }), { ret: -1, errno: 'EISCONN' });
  t.match(await client.call('poll', { fds: [{ fd: done.fd, events: 5 }], timeout: 0 }), { ret: 1, revents: [4] });
});

t.test('simultaneous open', async (t) => {
  const client = await Client.start(t);
  const { ret: fd } = await client.call('socket', { domain: 2, type: 1, protocol: 6 });
  await client.call('bind', { fd, addr: '192.168.0.1', port: 8080 });
  const connected = client.call('connect', { fd, addr: '192.0.2.1', port: client.peerPort, nb: false });
  await client.call('sync');
  t.strictSame(client.sent(), ['S 0']);
  await client.inject({ flags: 'S', options: MSS_1460 });
  t.strictSame(client.sent(), ['SA 0 1']);
  await client.inject({ flags: 'SA', seq: 0, ack: 1, options: MSS_1460 });
  t.equal((await connected).ret, 0);
});

t.test('initial window of ten segments; initial RTO of 1 s; back-off; a measured RTO of at least 200 ms', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  client.now += 1000;
  t.equal((await client.send(fd, 30_000)).ret, 30_000);
  t.equal(client.packets.length, 10);
  t.equal(client.packets.at(-1)!.seq + client.packets.at(-1)!.text.length, 14_601);
  client.sent();
  client.now += 50_000;
  await client.inject({ flags: 'A', seq: 1, ack: 14_601 });
  t.equal(client.sent().length, 11, 'the rest');
  await client.inject({ flags: 'A', seq: 1, ack: 30_001 });
  await client.pass(1000);
  t.equal((await client.send(fd, 100)).ret, 100);
  t.strictSame(client.sent(), ['PA 30001:30101 1']);
  // A tail loss probe may come first.
  const times: number[] = [];
  while (times.length < 4) times.push(await client.run());
  t.ok(times[0]! < 450 && times[3]! > times[2]! * 1.9, `intervals grow: ${times.join(' ')}`);
  t.strictSame([...new Set(client.sent())], ['PA 30001:30101 1']);
});

t.test('acknowledgements: the first segments at once, later ones after 40 ms at most', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  let seq = 1;
  for (let i = 0; i < 4; i++) {
    await client.inject({ flags: 'PA', seq, ack: 1, data: 1000 });
    seq += 1000;
    t.strictSame(client.sent(), [`A 1 ${seq}`]);
  }
  for (let i = 0; i < 40; i++) {
    await client.inject({ flags: 'PA', seq, ack: 1, data: 1000 });
    seq += 1000;
    client.sent();
    await client.recv(fd);
    client.sent();
  }
  await client.pass(1000);
  client.sent();
  await client.inject({ flags: 'PA', seq, ack: 1, data: 10 });
  if (client.packets.length === 0) t.ok(await client.run() <= 41, 'not long');
  t.equal(client.next().ack, seq + 10);
});

t.test('the third duplicate acknowledgement brings the segment again', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  await client.send(fd, 14_600);
  client.sent();
  for (let i = 0; i < 3; i++) await client.inject({ flags: 'A', seq: 1, ack: 1 });
  t.strictSame(client.sent(), ['A 1:1461 1']);
  await client.inject({ flags: 'A', seq: 1, ack: 14_601 });
  t.strictSame(client.sent(), []);
  t.match(await client.call('ioctl', { fd, req: 'SIOCOUTQ' }), { ret: 0, val: 0 });
});

t.test('a closed window is probed; send blocks until there is room', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  await client.send(fd, 1000);
  client.sent();
  await client.inject({ flags: 'A', seq: 1, ack: 1001, win: 0 });
  await client.send(fd, 1000);
  t.strictSame(client.sent(), []);
  const first = await client.run();
  t.strictSame(client.sent(), ['A 1000 1'], 'a probe before the window');
  await client.inject({ flags: 'A', seq: 1, ack: 1001, win: 0 });
  t.ok(await client.run() > 1.5 * first, 'intervals grow');
  client.sent();
  await client.inject({ flags: 'A', seq: 1, ack: 1001, win: 1000 });
  t.strictSame(client.sent(), ['PA 1001:2001 1']);
  await client.inject({ flags: 'A', seq: 1, ack: 2001, win: 0 });

  await client.call('setsockopt', { fd, level: 1, opt: 7, name: 'SO_SNDBUF', val: 4096 });
  const whole = 22 * 1460;
  t.equal((await client.send(fd, 40_000, { nb: true })).ret, whole, 'a chunk of half the largest window, and no second one');
  t.match(await client.send(fd, 1, { nb: true }), { ret: -1, errno: 'EAGAIN' });
  const writable = { fds: [{ fd, events: 4 }], timeout: 0 };
  t.match(await client.call('poll', writable), { ret: 0 });
  const blocked = client.send(fd, 1000);
  await client.inject({ flags: 'A', seq: 1, ack: 2001, win: 65_535 });
  client.sent();
  await client.inject({ flags: 'A', seq: 1, ack: 2001 + 10 * 1460, win: 65_535 });
  client.sent();
  t.match(await client.call('poll', writable), { ret: 0 });
  client.now += 1000;
  await client.inject({ flags: 'A', seq: 1, ack: 2001 + 20 * 1460, win: 65_535 });
  t.match(await blocked, { ret: 1000, t: client.now }, 'two thirds of the buffer are free');
  await client.inject({ flags: 'A', seq: 1, ack: 2001 + whole + 1000, win: 65_535 });
  t.match(await client.call('poll', writable), { ret: 1, revents: [4] });
});

t.test('FIN and TIME-WAIT: a FIN that comes again is answered, for 60 s', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  t.match(await client.recv(fd), { ret: -1, errno: 'EAGAIN' });
  t.equal((await client.call('close', { fd })).ret, 0);
  t.strictSame(client.sent(), ['FA 1 1']);
  await client.inject({ flags: 'A', seq: 1, ack: 2 });
  await client.inject({ flags: 'FA', seq: 1, ack: 2 });
  t.strictSame(client.sent(), ['A 2 2']);
  await client.pass(1000);
  await client.inject({ flags: 'FA', seq: 1, ack: 2 });
  t.strictSame(client.sent(), ['A 2 2']);
  await client.pass(61_000);
  await client.inject({ flags: 'FA', seq: 1, ack: 2 });
  t.strictSame(client.sent(), ['R 2'], 'nobody is there any more');
});

t.test('the peer ends first: 0, what is still sent, and shutdown', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  await client.inject({ flags: 'FA', seq: 1, ack: 1, data: 'end' });
  t.equal(Math.round(await client.run()), 40, 'an answer of ours could carry the acknowledgement of a FIN');
  t.strictSame(client.sent(), ['A 1 5']);
  t.match(await client.recv(fd, 10, { flags: 2 }), { ret: 3 }, 'MSG_PEEK leaves it');
  t.match(await client.call('ioctl', { fd, req: 'SIOCINQ' }), { val: 3 });
  t.match(await client.recv(fd), { ret: 3 });
  t.match(await client.recv(fd), { ret: 0 });
  await client.send(fd, 'last');
  t.strictSame(client.sent(), ['PA 1:5 5']);
  t.equal((await client.call('shutdown', { fd, how: 'wr' })).ret, 0);
  t.strictSame(client.sent(), ['FA 5 5']);
  t.match(await client.send(fd, 1), { ret: -1, errno: 'EPIPE' });
  await client.inject({ flags: 'A', seq: 5, ack: 6 });
  t.match(await client.call('shutdown', { fd, how: 'wr' }), { ret: 0 });
  t.equal((await client.call('close', { fd })).ret, 0);
  t.strictSame(client.sent(), []);
});

t.test('resets: to nobody, by unread data, by linger 0, in the window, and what calls say of one', async (t) => {
  const client = await Client.start(t);
  client.localPort = 9;
  await client.inject({ flags: 'S' });
  t.strictSame(client.sent(), ['RA 0 1'], 'nobody listens');
  client.localPort = 8080;
  const listener = await client.listen();
  const unread = await client.accept(listener);
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 10 });
  client.sent();
  await client.call('close', { fd: unread });
  t.strictSame(client.sent(), ['RA 1 11']);

  client.peerPort++;
  const lingering = await client.accept(listener);
  await client.call('setsockopt', { fd: lingering, level: 1, opt: 13, name: 'SO_LINGER', data: '0100000000000000' });
  await client.call('close', { fd: lingering });
  t.strictSame(client.sent(), ['RA 1 1']);

  client.peerPort++;
  const fd = await client.accept(listener);
  await client.inject({ flags: 'R', seq: 100 });
  t.strictSame(client.sent(), ['A 1 1'], 'RFC 5961: a challenge');
  const blocked = client.call('recv', { fd, nb: false, len: 1, flags: 0 });
  await client.inject({ flags: 'R', seq: 1 });
  t.match(await blocked, { ret: -1, errno: 'ECONNRESET' });
  t.match(await client.recv(fd), { ret: 0 });
  t.match(await client.send(fd, 1), { ret: -1, errno: 'EPIPE' });
  t.equal((await client.call('close', { fd })).ret, 0);
  t.strictSame(client.sent(), []);
});

t.test('backlog: what is beyond it is dropped, and comes through when there is room', async (t) => {
  const client = await Client.start(t);
  const listener = await client.listen(1);
  for (let i = 0; i < 2; i++, client.peerPort++) {
    await client.inject({ flags: 'S' });
    t.equal(client.next().flags, 'SA');
    await client.inject({ flags: 'A', seq: 1, ack: 1 });
  }
  await client.inject({ flags: 'S' });
  t.strictSame(client.sent(), []);
  t.ok((await client.call('accept', { fd: listener, nb: true })).ret > 0);
  await client.inject({ flags: 'S' });
  t.strictSame(client.sent(), ['SA 0 1']);
  t.ok((await client.call('accept', { fd: listener, nb: true })).ret > 0);
  t.match(await client.call('accept', { fd: listener, nb: true }), { ret: -1, errno: 'EAGAIN' });
  await client.call('close', { fd: listener });
  t.strictSame(client.sent(), ['RA 1 1'], 'half-open ones are reset with the listener');
});

t.test('MSG_MORE and TCP_CORK hold an incomplete segment back, an RTO at most', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  await client.send(fd, 100, { flags: 0x8000 });
  t.strictSame(client.sent(), []);
  await client.send(fd, 100);
  t.strictSame(client.sent(), ['PA 1:201 1']);
  await client.inject({ flags: 'A', seq: 1, ack: 201 });
  await client.call('setsockopt', { fd, level: 6, opt: 3, name: 'TCP_CORK', val: 1 });
  await client.send(fd, 2000);
  t.strictSame(client.sent(), ['A 201:1661 1'], 'the whole segment');
  await client.inject({ flags: 'A', seq: 1, ack: 1661 });
  t.strictSame(client.sent(), [], 'the acknowledgement frees what MSG_MORE holds, not what TCP_CORK does');
  t.equal(Math.round(await client.run()), 200);
  t.strictSame(client.sent(), ['PA 1661:2201 1']);
  await client.inject({ flags: 'A', seq: 1, ack: 2201 });
  await client.send(fd, 10);
  t.strictSame(client.sent(), []);
  await client.call('setsockopt', { fd, name: 'TCP_NODELAY', val: 1 });
  t.strictSame(client.sent(), ['PA 2201:2211 1'], 'as in Linux TCP_NODELAY pushes, once');
  await client.send(fd, 10);
  t.strictSame(client.sent(), []);
  await client.call('setsockopt', { fd, name: 'TCP_CORK', val: 0 });
  t.strictSame(client.sent(), ['PA 2211:2221 1']);
});

t.test('socket options: what is set is what is got, and what the wire shows of it', async (t) => {
  const client = await Client.start(t);
  const listener = await client.listen(4, [['TCP_MAXSEG', 900], ['SO_RCVBUF', 20_000]]);
  const set = async (fd: number, name: string, val: number): Promise<string> => {
    const answer = await client.call('setsockopt', { fd, name, val });
    return answer.ret === 0 ? 'done' : answer.errno!;
  };
  const get = async (fd: number, name: string): Promise<unknown> => (await client.call('getsockopt', { fd, name, len: 4 })).val;
  t.equal(await get(listener, 'TCP_MAXSEG'), 900);
  t.equal(await get(listener, 'SO_RCVBUF'), 40_000, 'doubled, as Linux does');
  t.equal(await set(listener, 'TCP_MAXSEG', 87), 'EINVAL');
  t.equal(await set(listener, 'TCP_USER_TIMEOUT', -1), 'EINVAL');
  t.equal(await get(listener, 'TCP_LINGER2'), 60);
  await client.inject({ flags: 'S', options: LINUX_SYN });
  const synAck = client.next();
  t.equal(synAck.options.readUInt16BE(2), 900, 'the MSS is announced');
  t.strictSame([synAck.win <= 20_000, synAck.options[19]], [true, 0], 'the window is that of the listener, and needs no scaling');
  await client.inject({ flags: 'A', seq: 1, ack: 1, options: stamps(101, synAck.options.readUInt32BE(8)) });
  const { ret: fd } = await client.call('accept', { fd: listener, nb: true });
  t.equal(await get(fd, 'TCP_MAXSEG'), 888, 'less the timestamps');
  for (const [name, val, got] of [['TCP_USER_TIMEOUT', 3000, 3000], ['TCP_LINGER2', 7, 7], ['TCP_LINGER2', -5, -1], ['IP_TOS', 0x2f, 0x2c]] as const) {
    t.equal(await set(fd, name, val), 'done');
    t.equal(await get(fd, name), got, name);
  }
});

t.test('keepalive: probes after the idle time, then ETIMEDOUT', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  for (const [name, val] of [['TCP_KEEPIDLE', 5], ['TCP_KEEPINTVL', 2], ['TCP_KEEPCNT', 2], ['SO_KEEPALIVE', 1]] as const) {
    t.equal((await client.call('setsockopt', { fd, name, val })).ret, 0);
  }
  t.equal(Math.round(await client.run()), 5000);
  t.equal(Math.round(await client.run()), 2000);
  t.strictSame(client.sent(), ['A 0 1', 'A 0 1']);
  await client.pass(2100);
  t.match(await client.recv(fd), { ret: -1, errno: 'ETIMEDOUT' });
});

t.test('TCP_INFO as Linux lays it out; TCP_MAXSEG', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen(), { options: LINUX_SYN }, stamps(200, 0));
  await client.send(fd, 5000);
  const { data } = await client.call('getsockopt', { fd, level: 6, opt: 11, name: 'TCP_INFO', len: 104 });
  const info = Buffer.from(data as string, 'hex');
  t.equal(info.length, 104);
  t.equal(info[0], 1, 'TCP_ESTABLISHED');
  t.equal(info[5]! & 7, 7, 'timestamps, SACK and scaling');
  t.equal(info.readUInt32LE(16), 1448, 'tcpi_snd_mss');
  t.equal(info.readUInt32LE(24), 4, 'tcpi_unacked');
  t.equal(info.readUInt32LE(80), 10, 'tcpi_snd_cwnd');
  t.match(await client.call('getsockopt', { fd, level: 6, opt: 2, name: 'TCP_MAXSEG', len: 4 }), { val: 1448 });
});

t.test('IPv6: the MSS fits its header, an IPv6 socket takes both families or, if told so, one', async (t) => {
  const client = await Client.start(t);
  const listen = async (domain: number, addr: string, six = 0): Promise<{ fd: number; errno: string | undefined }> => {
    const { ret: fd } = await client.call('socket', { domain, type: 1, protocol: 6 });
    if (six > 0) await client.call('setsockopt', { fd, level: 41, opt: 26, name: 'IPV6_V6ONLY', val: 1 });
    const { errno } = await client.call('bind', { fd, family: domain, addr, port: client.localPort });
    if (errno === undefined) await client.call('listen', { fd, backlog: 4 });
    return { fd, errno };
  };
  const both = await listen(10, '::');
  t.equal((await listen(2, '0.0.0.0')).errno, 'EADDRINUSE');
  await client.inject({ flags: 'S', options: MSS_1460 });
  t.equal(client.next().options.readUInt16BE(2), 1460);
  await client.inject({ flags: 'A', seq: 1, ack: 1 });
  t.match(await client.call('accept', { fd: both.fd, nb: true }), { addr: '::ffff:192.0.2.1', port: 40_000 });
  client.six = true;
  await client.inject({ flags: 'S', options: MSS_1460 });
  t.equal(client.next().options.readUInt16BE(2), 1440);
  await client.inject({ flags: 'A', seq: 1, ack: 1 });
  const { ret: fd, addr } = await client.call('accept', { fd: both.fd, nb: true });
  t.equal(addr, 'fd3d:fa7b:d17d::1');
  await client.send(fd, 2000);
  t.strictSame(client.sent(), ['A 1:1441 1', 'PA 1441:2001 1']);
  await client.call('close', { fd: both.fd });

  client.localPort++;
  client.peerPort++;
  t.equal((await listen(10, '::', 1)).errno, undefined);
  t.equal((await listen(2, '0.0.0.0')).errno, undefined, 'the families do not meet');
  t.equal((await listen(10, 'fd3d:a0b:17d6::1')).errno, 'EADDRINUSE');
  const { ret: other } = await client.call('socket', { domain: 2, type: 1, protocol: 6 });
  t.match(await client.call('connect', { fd: other, addr: 'fd3d:fa7b:d17d::1', port: 9, nb: true }), { errno: 'EAFNOSUPPORT' });
  const { ret: active } = await client.call('socket', { domain: 10, type: 1, protocol: 6 });
  t.match(await client.call('connect', { fd: active, addr: 'fd3d:fa7b:d17d::1', port: 9, nb: true }), { errno: 'EINPROGRESS' });
  const syn = client.next();
  t.strictSame([syn.flags, syn.options.readUInt16BE(2)], ['S', 1440]);
});

t.test('TCP_INFO: what held the sender up, when data last came, packets', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  const info = async (): Promise<{ u32: (at: number) => number; u64: (at: number) => number }> => {
    const { data } = await client.call('getsockopt', { fd, level: 6, opt: 11, name: 'TCP_INFO', len: 0 });
    const bytes = Buffer.from(data as string, 'hex');
    return { u32: (at) => bytes.readUInt32LE(at), u64: (at) => Number(bytes.readBigUInt64LE(at)) };
  };
  await client.pass(300);
  t.equal((await info()).u32(52), 300, 'tcpi_last_data_recv counts from the handshake');
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 10, win: 1000 });
  await client.pass(20);
  await client.send(fd, 3000);
  await client.pass(50);
  let now = await info();
  t.equal(now.u32(52), 70);
  t.strictSame([now.u64(168), now.u64(176), now.u64(184)], [50_000, 50_000, 0], 'busy all the time, limited by the peer\'s window');
  await client.inject({ flags: 'A', seq: 11, ack: 1, win: 65_535 });
  await client.pass(30);
  now = await info();
  t.strictSame([now.u64(168), now.u64(176), now.u64(184)], [80_000, 50_000, 0]);
  t.strictSame([now.u32(84), now.u32(60)], [1460, 1500], 'tcpi_advmss, tcpi_pmtu');
  t.strictSame([now.u32(152), now.u32(156), now.u64(200)], [1, 3, 3000], 'segments with data in and out, bytes sent');
  await client.inject({ flags: 'A', seq: 11, ack: 3001 });
  await client.pass(1000);
  now = await info();
  t.strictSame([now.u64(168), now.u64(176), now.u64(184)], [80_000, 50_000, 0], 'idle time is none of it');
});

t.test('poll waits for what it is asked, and for its time', async (t) => {
  const client = await Client.start(t);
  const fd = await client.accept(await client.listen());
  const waiting = client.call('poll', { fds: [{ fd, events: 1 }], timeout: 1000 });
  client.now += 300_000;
  await client.inject({ flags: 'PA', seq: 1, ack: 1, data: 1 });
  t.match(await waiting, { ret: 1, revents: [1], t: client.now });
  await client.recv(fd);
  const expiring = client.call('poll', { fds: [{ fd, events: 1 }], timeout: 1000 });
  const from = client.now;
  await client.pass(5000);
  t.match(await expiring, { ret: 0, revents: [0], t: from + 1_000_000 });
});

t.test('settings: no options but the MSS; on the real clock time is that of the wall', async (t) => {
  const client = await Client.start(t, { tcp_sack: '0', tcp_timestamps: '0', tcp_window_scaling: '0', tcp_unheard_of: 'x' });
  await client.listen();
  await client.inject({ flags: 'S', options: LINUX_SYN });
  t.strictSame(client.next().kinds, [2]);

  const real = await Client.start(t, {}, ['--clock', 'real']);
  const before = Date.now();
  const { t: time } = await real.call('sync');
  t.ok(Math.abs(time / 1000 - before) < 10_000);
  await real.listen();
  await real.inject({ flags: 'S' });
  t.equal(real.next().flags, 'SA');
});

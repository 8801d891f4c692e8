/** IP against the kernel's, over a veth pair: ARP both ways, checksums, ICMP. */
import { spawn } from 'node:child_process';
import t from 'tap';
import { openDevice } from '../../../lib/nic/open.js';
import { Clock } from '../../../lib/tcp/clock.js';
import { Ip } from '../../../lib/tcp/ip/ip.js';
import { ACK, RST, SYN, emitTcp } from '../../../lib/tcp/wire/tcp.js';
import { KERNEL_ADDRESS, OWN_ADDRESS, PEER, needsRoot, newMemory, until, vethNetwork } from '../../nic/support.js';
import { randomOf } from '../../support/random.js';
import { FakeTransport, wordsOf } from './network.js';

/** Runs in the kernel's namespace: a datagram to a host that has no UDP, and a connection to it. */
const CLIENT = `
const socket = require('node:dgram').createSocket('udp4');
socket.on('error', (error) => { console.log(error.code); socket.close(); require('node:net').connect(80, '${OWN_ADDRESS}'); });
socket.connect(99, '${OWN_ADDRESS}', () => socket.send('x'));
`;

t.test('the kernel finds this host by ARP, takes its errors and its segments, and is found by it', needsRoot, async (t) => {
  const network = vethNetwork();
  t.teardown(() => network.remove());
  network.ip(network.right, 'neigh', 'del', OWN_ADDRESS, 'dev', PEER);
  const { shared, memory } = newMemory();
  const device = openDevice('packet:own0', memory, shared, { netns: network.left });
  t.teardown(() => device.close());
  const transport = new FakeTransport();
  const interfaces = [{ device, memory: memory.bytes, addresses: [`${OWN_ADDRESS}/24`] }];
  const clock = new Clock();
  const ip = new Ip({ interfaces, transport, random: randomOf(1), clock });
  const turn = (): void => {
    clock.now = performance.now() * 1000;
    ip.receive(64);
    ip.advance();
    ip.flush();
  };
  const seen = (flags: number): boolean => {
    turn();
    return transport.segments.some(({ bytes }) => bytes[13] === flags);
  };

  const words = wordsOf(OWN_ADDRESS, KERNEL_ADDRESS);
  const at = ip.begin(words, 0, 4, 0);
  emitTcp(ip.bytes, at, 1234, 9, 77, 0, SYN, 1000, 20);
  ip.append(0, 5);
  ip.end(20, 0);
  await until(() => seen(RST | ACK));
  t.match(transport.segments.at(-1), { from: KERNEL_ADDRESS, to: OWN_ADDRESS }, 'nothing listens there, and the kernel says so');

  network.ip(network.right, 'neigh', 'flush', 'dev', PEER);
  const client = spawn('ip', ['netns', 'exec', network.right, process.execPath, '-e', CLIENT], { stdio: ['ignore', 'pipe', 'inherit'] });
  t.teardown(() => client.kill());
  let output = '';
  client.stdout.setEncoding('utf8').on('data', (text: string) => (output += text));
  await until(() => (turn(), output.includes('\n')));
  t.equal(output, 'ECONNREFUSED\n');
  await until(() => seen(SYN));
  t.match(transport.segments.at(-1), { from: KERNEL_ADDRESS, to: OWN_ADDRESS });
  t.match(ip.stats, { IpInHdrErrors: 0, TcpInErrs: 0, IcmpInErrors: 0 });
  t.ok(ip.stats.ArpOutReplies >= 1 && ip.stats.ArpInReplies >= 1);
});

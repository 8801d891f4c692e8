/** The device of raw IP sockets, without the package: the rings are fed by hand, the ports are the kernel's in a namespace of the test's own. */
import t from 'tap';
import { RX_CHECKSUM_VALID } from '../../lib/nic/device.js';
import { ExchangePeer } from '../../lib/nic/exchange.js';
import { openDevice } from '../../lib/nic/open.js';
import type { RawDevice } from '../../lib/nic/raw.js';
import { fold, pseudoHeader4 } from '../../lib/tcp/wire/checksum.js';
import { IPV4, fromPeer } from '../scenario/packet.js';
import { drainDevice, needsRoot, newMemory, newNamespace, pattern, PAYLOAD_BYTES, sendFrame } from './support.js';
import type { Namespace } from './support.js';

interface Teardown {
  teardown(task: () => void): unknown;
}

const NAME = 'lo';

function namespace(test: Teardown): Namespace {
  const space = newNamespace();
  test.teardown(space.remove);
  space.ip('address', 'add', `${IPV4.stack}/24`, 'dev', NAME);
  space.ip('link', 'set', NAME, 'mtu', '1500', 'up');
  return space;
}

const ADDRESS = Uint8Array.of(...IPV4.stack.split('.').map(Number));

function openRaw(test: Teardown): { space: Namespace; device: RawDevice; carrier: ExchangePeer } {
  const space = namespace(test);
  const { shared, memory } = newMemory();
  const device = openDevice(`raw:${NAME}`, memory, shared, { netns: space.name, filterAddresses: [ADDRESS] }) as RawDevice;
  test.teardown(() => device.close());
  return { space, device, carrier: new ExchangePeer(shared, PAYLOAD_BYTES) };
}

/** A packet from the peer with so much payload. */
function packetTo(port: number, length: number): Buffer {
  const segment = Buffer.alloc(20 + length, pattern(251, port));
  segment.writeUInt16BE(40_000, 0);
  segment.writeUInt16BE(port, 2);
  segment[12] = 0x50;
  segment[13] = 0x10;
  return Buffer.from(fromPeer(IPV4, segment, 0));
}

t.test('packets to ports that were claimed come in, those of the kernel do not, and what is sent goes out whole', needsRoot, async (t) => {
  const { device, carrier } = openRaw(t);
  t.match(device.capabilities, { medium: 'ip', mtu: 1500, mac: null, txChecksum: false, txSegmentation: 0, rxCoalescing: true });
  t.equal(device.claim(80), 0);
  const udp = packetTo(80, 50);
  udp[9] = 17;
  for (const packet of [packetTo(81, 10), packetTo(80, 100), udp, packetTo(80, 100).subarray(0, 39), Buffer.alloc(60)]) carrier.send(packet);
  t.ok(device.readable());
  t.strictSame(drainDevice(device), [{ bytes: packetTo(80, 100), flags: 0, segmentSize: 0 }]);
  device.release(80);
  carrier.send(packetTo(80, 100));
  t.strictSame(drainDevice(device), []);

  const sent = packetTo(7, 200);
  sendFrame(device, sent);
  t.equal(device.flush(), 1);
  t.strictSame(Buffer.from(carrier.take()!), sent);
});

t.test('a checksum that was left out, and coalesced packets, are known by what they are', needsRoot, async (t) => {
  const { device, carrier } = openRaw(t);
  t.equal(device.claim(80), 0);
  const leftOut = packetTo(80, 333);
  leftOut.writeUInt16BE(fold(pseudoHeader4(leftOut.readInt32BE(12), leftOut.readInt32BE(16), 6, 353)), 36);
  const damaged = packetTo(80, 333);
  damaged[100]! ^= 1;
  for (const packet of [leftOut, damaged, packetTo(80, 1460), packetTo(80, 1461), packetTo(80, 60_000)]) carrier.send(packet);
  t.match(drainDevice(device).map(({ flags, segmentSize }) => [flags, segmentSize]), [
    [RX_CHECKSUM_VALID, 0], [0, 0], [0, 0], [0, 1460], [0, 1460],
  ]);
});

t.test('a port has one owner: another is refused, until it is released', needsRoot, async (t) => {
  const { space, device } = openRaw(t);
  const { shared, memory } = newMemory();
  const second = openDevice(`raw:${NAME}`, memory, shared, { netns: space.name, filterAddresses: [ADDRESS] }) as RawDevice;
  t.equal(device.claim(80), 0);
  t.equal(second.claim(80), -98, 'EADDRINUSE');
  t.equal(second.claim(81), 0);
  t.equal(device.claim(81), -98);
  device.release(80);
  device.release(80);
  t.equal(second.claim(80), 0);
  second.close();
  t.equal(device.claim(80), 0);
  t.equal(device.claim(81), 0, 'a device that is closed has none');
});

t.test('an address that the kernel does not have, and an interface that is not there, are refused with the mend', needsRoot, async (t) => {
  const space = namespace(t);
  const { shared, memory } = newMemory();
  const open = (name: string, ...addresses: number[][]) => () => openDevice(`raw:${name}`, memory, shared, { netns: space.name, filterAddresses: addresses.map((each) => Uint8Array.from(each)) });
  t.throws(open(NAME, [203, 0, 113, 77]), { code: 'EADDRNOTAVAIL', message: /203\.0\.113\.77 is not; give it one: ip address add 203\.0\.113\.77/ });
  t.throws(open('none0', [...ADDRESS]), { code: 'ENODEV', message: /no interface "none0"/ });
  t.throws(open(NAME), TypeError);
});

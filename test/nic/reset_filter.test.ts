/** The rule that keeps the kernel's resets from the wire, seen from the other end of a veth pair. */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import t from 'tap';
import { AfPacketDevice } from '../../lib/nic/af_packet.js';
import { inNamespace } from '../../lib/nic/netns.js';
import { ResetFilter } from '../../lib/nic/reset_filter.js';
import { IPV4, fromPeer } from '../scenario/packet.js';
import { drainDevice, KERNEL_ADDRESS, needsRoot, newMemory, OWN, OWN_ADDRESS, sendFrame, vethNetwork } from './support.js';
import type { VethNetwork } from './support.js';

const ADDRESS = Uint8Array.of(...KERNEL_ADDRESS.split('.').map(Number));
const MARK = 0x7463;
const PORTS = [80, 443, 8080];

interface Teardown {
  teardown(task: () => void): unknown;
}

/** A network, and a device at the end that the kernel does not serve. */
function openEnd(test: Teardown): { net: VethNetwork; resets: () => number[] } {
  const net = vethNetwork();
  test.teardown(net.remove);
  const { shared, memory } = newMemory();
  const device = inNamespace(net.left, () => new AfPacketDevice(OWN, memory, shared));
  test.teardown(() => device.close());
  /** Sends a SYN to each port, on none of which anybody listens; the ports that a reset comes back from. */
  const resets = (): number[] => {
    for (const port of PORTS) {
      const syn = Buffer.from('9c400000000000010000000050021000' + '00000000', 'hex');
      syn.writeUInt16BE(port, 2);
      const packet = fromPeer({ ...IPV4, stack: KERNEL_ADDRESS, peer: OWN_ADDRESS }, syn, 0);
      const frame = Buffer.alloc(14 + packet.length);
      frame.set([...net.rightMac.split(':'), ...net.leftMac.split(':')].map((byte) => Number.parseInt(byte, 16)));
      frame.writeUInt16BE(0x0800, 12);
      frame.set(packet, 14);
      sendFrame(device, frame);
    }
    device.flush();
    const segments = drainDevice(device).filter(({ bytes }) => bytes.readUInt16BE(12) === 0x0800 && bytes[23] === 6);
    return segments.filter(({ bytes }) => (bytes[47]! & 4) !== 0).map(({ bytes }) => bytes.readUInt16BE(34));
  };
  return { net, resets };
}

t.test('resets from the ports of the filter stay away, others come; all come again when it is closed', needsRoot, async (t) => {
  const { net, resets } = openEnd(t);
  t.strictSame(resets(), PORTS);
  const filter = inNamespace(net.right, () => new ResetFilter(ADDRESS, MARK));
  t.strictSame(resets(), PORTS);
  t.equal(filter.add(443), 0);
  t.strictSame(resets(), [80, 8080]);
  t.equal(filter.add(443), 0, 'twice is as once');
  t.equal(filter.add(80), 0);
  t.equal(filter.remove(443), 0);
  t.equal(filter.remove(443), -2, 'ENOENT');
  t.strictSame(resets(), [443, 8080]);
  const second = inNamespace(net.right, () => new ResetFilter(ADDRESS, MARK));
  second.add(8080);
  t.strictSame(resets(), [443], 'two filters do not know of each other');
  filter.close();
  t.strictSame(resets(), [80, 443]);
  second.close();
  t.strictSame(resets(), PORTS);
  const other = inNamespace(net.right, () => new ResetFilter(Uint8Array.of(198, 18, 77, 9), MARK));
  t.teardown(() => other.close());
  other.add(80);
  t.strictSame(resets(), PORTS, 'those from another address come');
});

const program = (then: string): string => `
  const { ResetFilter } = await import('${new URL('../../lib/nic/reset_filter.js', import.meta.url)}');
  try {
    const filter = new ResetFilter(Uint8Array.of(${ADDRESS.join()}), ${MARK});
    ${then}
  } catch (error) {
    console.log(JSON.stringify({ ...error, message: error.message }));
  }`;
const PLAIN = [process.execPath, '--input-type=module', '-e'];

t.test('a process that is killed leaves no rule behind', needsRoot, async (t) => {
  const { net, resets } = openEnd(t);
  const held = spawn('ip', ['netns', 'exec', net.right, ...PLAIN, program('filter.add(80); console.log("held"); setInterval(() => {}, 1e6);')]);
  t.teardown(() => held.kill('SIGKILL'));
  const [said] = await once(held.stdout, 'data') as [Buffer];
  t.match(String(said), 'held');
  t.strictSame(resets(), [443, 8080]);
  held.kill('SIGKILL');
  await once(held, 'exit');
  t.strictSame(resets(), PORTS);
});

t.test('without CAP_NET_ADMIN the error names it', needsRoot, async (t) => {
  const { stdout } = await promisify(execFile)('setpriv', ['--bounding-set=-net_admin', ...PLAIN, program('console.log("{}")')]);
  t.match(JSON.parse(stdout), { code: 'EPERM', message: /resets from the wire.* needs CAP_NET_ADMIN and Linux 5\.12/ });
});

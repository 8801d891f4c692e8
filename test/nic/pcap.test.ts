/** Capture files: their bytes, and that another program reads them. */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import t from 'tap';
import { pcap } from '../../lib/nic/pcap.js';
import { pipe } from '../../lib/nic/pipe.js';
import { drainDevice, pattern, sendFrame } from './support.js';

t.test('both directions are captured byte for byte, with times in microseconds, and pass unchanged', async (t) => {
  const path = join(t.testdir(), 'both.pcap');
  const payload = pattern(3000, 4);
  let now = 1_700_000_000_123_456;
  const [near, far] = pipe({ memory: [payload, payload], checksum: 'left-out', segmentation: 65535 });
  const device = pcap(near, path, payload, () => now);
  t.equal(device.capabilities, near.capabilities);

  sendFrame(device, pattern(66, 1), [[0, 1000], [2000, 500]], 34, 1448);
  t.equal(device.flush(), 1);
  const sent = Buffer.concat([pattern(66, 1), payload.subarray(0, 1000), payload.subarray(2000, 2500)]);
  t.same(drainDevice(far), [{ bytes: sent, flags: 1, segmentSize: 1448 }]);

  now += 2_000_001;
  const received = Buffer.from(pattern(60, 2));
  sendFrame(far, received);
  far.flush();
  t.ok(device.readable());
  t.same(drainDevice(device), [{ bytes: received, flags: 0, segmentSize: 0 }]);

  const expected = Buffer.concat([
    Buffer.from('d4c3b2a1' + '02000400' + '00000000' + '00000000' + '00000400' + '01000000', 'hex'),
    record(1_700_000_000, 123_456, sent),
    record(1_700_000_002, 123_457, received),
  ]);
  t.same(readFileSync(path), expected, 'it is on disk once nothing more arrives');
  device.close();
  t.same(readFileSync(path), expected);
});

function record(seconds: number, microseconds: number, bytes: Buffer): Buffer {
  const header = Buffer.alloc(16);
  header.writeUInt32LE(seconds, 0);
  header.writeUInt32LE(microseconds, 4);
  header.writeUInt32LE(bytes.length, 8);
  header.writeUInt32LE(bytes.length, 12);
  return Buffer.concat([header, bytes]);
}

t.test('a device without link headers is captured as raw IP', async (t) => {
  const path = join(t.testdir(), 'raw.pcap');
  const [near] = pipe({ medium: 'ip' });
  pcap(near, path, new Uint8Array(0), () => 0).close();
  t.equal(readFileSync(path).readUInt32LE(20), 101);
});

t.test('more than the buffer holds is written in order', async (t) => {
  const path = join(t.testdir(), 'long.pcap');
  const [near, far] = pipe({ checksum: 'left-out', segmentation: 65535 });
  const device = pcap(near, path, new Uint8Array(0), () => 0);
  for (let i = 0; i < 30; i++) {
    sendFrame(device, pattern(60000, i), [], 34, 1448);
    device.flush();
    drainDevice(far);
  }
  device.close();
  const file = readFileSync(path);
  t.equal(file.length, 24 + 30 * 60016);
  for (let i = 0; i < 30; i++) {
    const at = 24 + i * 60016 + 16;
    t.equal(Buffer.compare(file.subarray(at, at + 60000), pattern(60000, i)), 0, `record ${i}`);
  }
});

t.test('a capture that cannot be written ends with a warning, and frames still pass', async (t) => {
  const warnings: string[] = [];
  const listener = (warning: Error): number => warnings.push(warning.message);
  process.on('warning', listener);
  const [near, far] = pipe();
  const device = pcap(near, '/dev/full', new Uint8Array(0), () => 0);
  sendFrame(device, pattern(60, 1));
  t.equal(device.flush(), 1);
  t.equal(drainDevice(far).length, 1);
  drainDevice(device);
  device.close();
  await new Promise((resolve) => setImmediate(resolve));
  process.off('warning', listener);
  t.equal(warnings.filter((warning) => warning.includes('the capture ends here')).length, 1);
});

const tcpdump = ((): boolean => {
  try {
    execFileSync('tcpdump', ['--version'], { stdio: 'ignore' });
    return true;
  } catch {
    return false;
  }
})();

t.test('tcpdump reads the packets out of a capture', tcpdump ? {} : { skip: 'tcpdump is not installed' }, async (t) => {
  const path = join(t.testdir(), 'read.pcap');
  const [near] = pipe({ medium: 'ip' });
  const device = pcap(near, path, new Uint8Array(0), () => 1_700_000_000_000_000);
  // ICMP echo request, 198.18.0.1 to 198.18.0.2, identifier 7, sequence number 9.
  sendFrame(device, Buffer.from('4500001c0001000040010000c6120001c6120002' + '0800f7ef00070009', 'hex'));
  device.close();
  const text = execFileSync('tcpdump', ['-n', '-r', path], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'ignore'] });
  t.match(text, /198\.18\.0\.1 > 198\.18\.0\.2: ICMP echo request, id 7, seq 9/);
});

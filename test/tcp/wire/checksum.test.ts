import t from 'tap';
import { add, addSpan, complement, fold, pseudoHeader4, pseudoHeader6, update, verify } from '../../../lib/tcp/wire/checksum.js';
import { put16 } from '../../../lib/tcp/wire/bytes.js';
import { randomOf } from '../../support/random.js';

/** RFC 1071 4.1, word by word. */
function naive(bytes: Uint8Array, start = 0): number {
  let sum = start;
  for (let i = 0; i < bytes.length; i += 2) {
    sum += bytes[i]! * 256 + (bytes[i + 1] ?? 0);
    sum = (sum % 65536) + Math.floor(sum / 65536);
  }
  return sum;
}

function randomBytes(random: () => number, length: number): Uint8Array {
  // Runs of 0xff make the most carries.
  const ones = random() % 4 === 0;
  return Uint8Array.from({ length }, () => (ones ? 255 : random() & 255));
}

t.test('RFC 1071 3: the example', async (t) => {
  const bytes = Uint8Array.of(0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7);
  t.equal(add(0, bytes, 0, 8), 0xddf2);
  t.equal(complement(0xddf2), 0x220d);
});

t.test('a sum equals that of the naive model at every length and alignment', async (t) => {
  const random = randomOf(1);
  const bytes = randomBytes(random, 4096);
  let differ = 0;
  for (let length = 0; length < 300; length++) {
    for (let offset = 0; offset < 8; offset++) {
      const start = random() & 0xffff;
      if (add(start, bytes, offset, length) !== naive(bytes.subarray(offset, offset + length), start)) differ++;
    }
  }
  t.equal(differ, 0);
  const large = new Uint8Array(65535).fill(255);
  t.equal(add(0xffff, large, 0, large.length), naive(large, 0xffff), 'the largest packet, all carries');
});

t.test('arrays that take turns do not get each other\'s view', async (t) => {
  const random = randomOf(2);
  const backing = randomBytes(random, 20000);
  const arrays = Array.from({ length: 9 }, (_, i) => new Uint8Array(backing.buffer, i * 1001, 1500));
  for (let turn = 0; turn < 50; turn++) {
    const bytes = arrays[random() % arrays.length]!;
    if (add(0, bytes, 3, 1400) !== naive(bytes.subarray(3, 1403))) t.fail(`turn ${turn}`);
  }
});

t.test('spans of any length, odd ones too, sum up to the sum of the whole', async (t) => {
  const random = randomOf(3);
  for (let round = 0; round < 500; round++) {
    const bytes = randomBytes(random, random() % 1500);
    let sum = 0;
    for (let place = 0; place < bytes.length; ) {
      const length = Math.min(bytes.length - place, random() % 200);
      sum = addSpan(sum, bytes, place, length, place);
      place += length;
    }
    if (sum !== naive(bytes)) t.fail(`round ${round}: ${sum} is not ${naive(bytes)}`);
  }
});

t.test('verify finds every single-bit error', async (t) => {
  const random = randomOf(4);
  for (const length of [20, 64, 101]) {
    const bytes = randomBytes(random, length);
    put16(bytes, 10, 0);
    put16(bytes, 10, complement(add(0, bytes, 0, length)));
    t.ok(verify(0, bytes, 0, length));
    for (let bit = 0; bit < 8 * length; bit++) {
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
      if (verify(0, bytes, 0, length)) t.fail(`bit ${bit} of ${length} bytes`);
      bytes[bit >> 3] = bytes[bit >> 3]! ^ (1 << (bit & 7));
    }
  }
});

t.test('pseudo-headers are the sums of the bytes that they stand for', async (t) => {
  const random = randomOf(5);
  for (let round = 0; round < 100; round++) {
    const words = Int32Array.from({ length: 8 }, () => (random() % 3 === 0 ? -1 : random()));
    const length = random() & 0xffff;
    const four = Buffer.alloc(12);
    four.writeInt32BE(words[3]!, 0);
    four.writeInt32BE(words[7]!, 4);
    four.writeUInt8(6, 9);
    four.writeUInt16BE(length, 10);
    if (pseudoHeader4(words[3]!, words[7]!, 6, length) !== naive(four)) t.fail(`IPv4, round ${round}`);
    const six = Buffer.alloc(40);
    words.forEach((word, i) => six.writeInt32BE(word, 4 * i));
    six.writeUInt32BE(length * 16, 32);
    six.writeUInt8(6, 39);
    if (pseudoHeader6(words, 0, 4, 6, length * 16) !== naive(six)) t.fail(`IPv6, round ${round}`);
  }
});

t.test('RFC 1624 3: an update gives the checksum that a new sum gives', async (t) => {
  t.equal(update(0xdd2f, 0x5555, 0x3285), 0x0000, 'the example of RFC 1624 4');
  const random = randomOf(6);
  for (let round = 0; round < 1000; round++) {
    const bytes = randomBytes(random, 40);
    const before = (bytes[8]! << 8) | bytes[9]!;
    const checksum = complement(add(0, bytes, 0, 40));
    const after = random() & 0xffff;
    put16(bytes, 8, after);
    if (update(checksum, before, after) !== complement(add(0, bytes, 0, 40))) t.fail(`round ${round}`);
  }
});

t.test('fold takes any 32-bit sum', async (t) => {
  t.equal(fold(-1), 0xffff);
  t.equal(fold(0), 0);
  t.equal(fold(0x10000), 1);
  t.equal(fold(0xfffeffff | 0), 0xfffe);
  t.equal(fold(0xffff0001 | 0), 1);
});

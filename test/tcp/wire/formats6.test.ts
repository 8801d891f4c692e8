/** Wire formats of IPv6: golden bytes, parse(emit(x)) = x, truncation at every length, random bytes. */
import t from 'tap';
import {
  commonPrefix, formatAddress, formatAsIPv6, isLinkLocal6, isLoopback6, isMulticast6, isUnspecified, isUnspecified6, parseAddress, parsePrefix,
} from '../../../lib/tcp/wire/address.js';
import { getWords, putWords } from '../../../lib/tcp/wire/bytes.js';
import { pseudoHeader6, verify } from '../../../lib/tcp/wire/checksum.js';
import {
  ICMP6_BAD_CHECKSUM, ICMP6_OK, ICMP6_TRUNCATED, checkIcmp6, emitIcmp6, finishIcmp6, icmp6Code, icmp6Parameter, icmp6Type,
} from '../../../lib/tcp/wire/icmp6.js';
import {
  Extensions, IPV6_BAD_VERSION, IPV6_OK, IPV6_TRUNCATED, WALK_DROP, WALK_FRAGMENT, WALK_PROBLEM, WALK_TRUNCATED, WALK_UPPER, checkIPv6,
  checkIPv6Embedded, emitIPv6, fragmentIdentification, fragmentMore, fragmentOffset, ipv6FlowLabel, ipv6HopLimit, ipv6NextHeader,
  ipv6PayloadLength, ipv6TrafficClass, setIPv6Ecn, upperAt,
} from '../../../lib/tcp/wire/ipv6.js';
import {
  NONCE, SOURCE_LINK_ADDRESS, TARGET_LINK_ADDRESS, checkNdp, emitAdvertisement, emitSolicitation, ndpOption, ndpOverride, ndpSolicited,
  setGroupMac, setSolicitedNode,
} from '../../../lib/tcp/wire/ndp.js';
import { randomOf } from '../../support/random.js';

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex.replace(/\s/g, ''), 'hex'));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

function wordsOf(...texts: string[]): Int32Array {
  const words = new Int32Array(4 * texts.length);
  for (const [i, text] of texts.entries()) if (!parseAddress(text, words, 4 * i)) throw new Error(`no address: ${text}`);
  return words;
}

/** Packets from the IPv6 header on, written out by hand, with the values that Linux uses. */
const GOLDEN = {
  /** SYN of a connection to port 80. */
  syn: `600b1dc2 0028 06 40 20010db8000000000000000000000001 20010db8000000000000000000000002
    9c8a 0050 2c1d5bd4 00000000 a002 fd20 NNNN 0000 020405a0 0402080a 1c5ac2c8 00000000 01030307`,
  /** Neighbour solicitation for 2001:db8::2. */
  solicitation: `60000000 0020 3a ff 20010db8000000000000000000000001 ff0200000000000000000001ff000002
    8700 NNNN 00000000 20010db8000000000000000000000002 0101 020000000001`,
  /** The answer. */
  advertisement: `60000000 0020 3a ff 20010db8000000000000000000000002 20010db8000000000000000000000001
    8800 NNNN 60000000 20010db8000000000000000000000002 0201 020000000002`,
} as const;

/** The bytes, with the checksum in its place found by the plain sum of RFC 1071 over the pseudo-header of RFC 8200 8.1. */
function golden(name: keyof typeof GOLDEN): Uint8Array {
  const text = GOLDEN[name].replace(/\s/g, '');
  const at = text.indexOf('NNNN') / 2;
  const bytes = bytesOf(text.replace('NNNN', '0000'));
  const length = bytes.length - 40;
  const pseudo = Uint8Array.from([...bytes.subarray(8, 40), 0, 0, length >> 8, length & 255, 0, 0, 0, bytes[6]!, ...bytes.subarray(40)]);
  let sum = 0;
  for (let i = 0; i < pseudo.length; i += 2) sum += pseudo[i]! * 256 + (pseudo[i + 1] ?? 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 65536);
  bytes[at] = (~sum >> 8) & 255;
  bytes[at + 1] = ~sum & 255;
  return bytes;
}

t.test('RFC 5952 4: the one text of an address, and RFC 4291 2.2: the texts that are read', async (t) => {
  const texts: [read: string, written: string][] = [
    ['2001:db8:0:0:1:0:0:1', '2001:db8::1:0:0:1'], ['2001:0DB8::0001', '2001:db8::1'], ['2001:db8:0:1:1:1:1:1', '2001:db8:0:1:1:1:1:1'],
    ['2001:0:0:1:0:0:0:1', '2001:0:0:1::1'], ['::', '::'], ['::1', '::1'], ['1::', '1::'], ['0:0:0:0:0:0:0:0', '::'],
    ['2001:db8::AAAA', '2001:db8::aaaa'], ['fe80:0:0:0:1:2:3:4', 'fe80::1:2:3:4'], ['1:2:3:4:5:6:7::', '1:2:3:4:5:6:7:0'],
    ['::2:3:4:5:6:7:8', '0:2:3:4:5:6:7:8'], ['64:ff9b::192.0.2.33', '64:ff9b::c000:221'], ['1:2:3:4:5:6:1.2.3.4', '1:2:3:4:5:6:102:304'],
    ['::ffff:192.0.2.1', '192.0.2.1'], ['::ffff:c000:201', '192.0.2.1'], ['192.0.2.1', '192.0.2.1'], ['ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255', 'ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff'],
  ];
  const words = new Int32Array(6);
  for (const [read, written] of texts) {
    t.ok(parseAddress(read, words, 1), read);
    t.equal(formatAddress(words, 1), written);
    t.same([words[0], words[5]], [0, 0], 'four words, no more');
  }
  t.equal(formatAsIPv6(wordsOf('192.0.2.1'), 0), '::ffff:192.0.2.1');
  t.equal(formatAsIPv6(wordsOf('2001:db8::1'), 0), '2001:db8::1');
  const none = [
    '', ':', ':::', '1', '1:2:3:4:5:6:7', '1:2:3:4:5:6:7:8:9', '1::2::3', '12345::', 'g::', '1:2:3:4:5:6:7:8::', '::1:2:3:4:5:6:7:8', ':1:2:3:4:5:6:7:8',
    '1:2:3:4:5:6:7:', '::1.2.3', '::1.2.3.256', '1.2.3.4::', '::1.2.3.4:5', '1:2:3:4:5:6:7:1.2.3.4', 'fe80::1%eth0', ' ::1', '::1 ', '[::1]', '::1/64', '-1::', '0x1::',
  ];
  for (const text of none) {
    words.fill(7);
    t.notOk(parseAddress(text, words, 1), JSON.stringify(text));
    t.same([...words], Array(6).fill(7), 'nothing is written');
  }
  const random = randomOf(3);
  for (let round = 0; round < 3000; round++) {
    for (let i = 0; i < 4; i++) words[i] = random() % 3 === 0 ? 0 : random() & (random() % 2 === 0 ? 0xffff : -1);
    const again = new Int32Array(4);
    const same = parseAddress(formatAddress(words, 0), again, 0) && again.every((word, i) => word === words[i]);
    if (!same) t.fail(`${[...words]}: ${formatAddress(words, 0)}`);
  }
});

t.test('addresses with the length of their prefix', async (t) => {
  const words = new Int32Array(4);
  t.equal(parsePrefix('2001:db8::1/64', words, 0), 64);
  t.equal(formatAddress(words, 0), '2001:db8::1');
  t.same([parsePrefix('::/0', words, 0), parsePrefix('::1/128', words, 0), parsePrefix('192.0.2.1/32', words, 0)], [0, 128, 32]);
  for (const text of ['2001:db8::1', '::1/129', '::1/', '::1/x', '192.0.2.1/33', '/64', '::1/64/64', '::1/-1', '::1/ 1', '::1/1e1']) {
    t.throws(() => parsePrefix(text, words, 0), text);
  }
  const kinds = (text: string): boolean[] => [isLinkLocal6, isMulticast6, isLoopback6, isUnspecified6, isUnspecified].map((is) => is(wordsOf(text), 0));
  t.same(kinds('fe80::1'), [true, false, false, false, false]);
  t.same(kinds('febf::'), [true, false, false, false, false]);
  t.same(kinds('fec0::1'), [false, false, false, false, false]);
  t.same(kinds('ff02::1'), [false, true, false, false, false]);
  t.same(kinds('::1'), [false, false, true, false, false]);
  t.same(kinds('::'), [false, false, false, true, true]);
  t.same(kinds('0.0.0.0'), [false, false, false, false, true]);
  const pairs: [string, string, number][] = [['::', '8000::', 0], ['2001:db8::', '2001:db8::1', 127], ['2001:db8::', '2001:db8:0:0:8000::', 64], ['::1', '::1', 128]];
  for (const [a, b, length] of pairs) t.equal(commonPrefix(wordsOf(a), 0, wordsOf(b), 0), length);
});

t.test('IPv6: a header, read and written', async (t) => {
  const bytes = golden('syn');
  t.equal(checkIPv6(bytes, 0, bytes.length), IPV6_OK);
  t.same([ipv6TrafficClass(bytes, 0), ipv6FlowLabel(bytes, 0), ipv6PayloadLength(bytes, 0), ipv6NextHeader(bytes, 0), ipv6HopLimit(bytes, 0)], [0, 0xb1dc2, 40, 6, 64]);
  const words = new Int32Array(8);
  getWords(bytes, 8, words, 0);
  getWords(bytes, 24, words, 4);
  t.same([formatAddress(words, 0), formatAddress(words, 4)], ['2001:db8::1', '2001:db8::2']);
  t.ok(verify(pseudoHeader6(words, 0, 4, 6, 40), bytes, 40, 40), 'the checksum over the pseudo-header');
  const written = new Uint8Array(42);
  emitIPv6(written, 1, 0, 0xb1dc2, 40, 6, 64, words, 0, 4);
  t.equal(hexOf(written.subarray(1, 41)), hexOf(bytes.subarray(0, 40)));
  emitIPv6(written, 1, 0xb8, 0xfffff, 65535, 58, 255, words, 4, 0);
  t.equal(hexOf(written.subarray(1, 9)), '6b8fffffffff3aff');
  for (const ecn of [1, 3, 0, 2]) {
    setIPv6Ecn(written, 1, ecn);
    t.same([ipv6TrafficClass(written, 1), ipv6FlowLabel(written, 1)], [0xb8 | ecn, 0xfffff]);
  }
  const random = randomOf(4);
  for (let round = 0; round < 1000; round++) {
    for (let i = 0; i < 8; i++) words[i] = random();
    const [traffic, label, length, next, hops] = [random() & 255, random() & 0xfffff, random() & 0xffff, random() & 255, random() & 255];
    emitIPv6(written, 2, traffic, label, length, next, hops, words, 0, 4);
    const read = new Int32Array(8);
    getWords(written, 10, read, 0);
    getWords(written, 26, read, 4);
    const same = ipv6TrafficClass(written, 2) === traffic && ipv6FlowLabel(written, 2) === label && ipv6PayloadLength(written, 2) === length
      && ipv6NextHeader(written, 2) === next && ipv6HopLimit(written, 2) === hops && read.every((word, i) => word === words[i]);
    if (!same) t.fail(`round ${round}`);
  }
});

t.test('IPv6: truncation at every length', async (t) => {
  const bytes = golden('syn');
  for (let length = 0; length < bytes.length; length++) t.equal(checkIPv6(bytes, 0, length), IPV6_TRUNCATED, `${length}`);
  t.equal(checkIPv6Embedded(bytes, 0, 40), IPV6_OK, 'an error may show less');
  t.equal(checkIPv6Embedded(bytes, 0, 39), IPV6_TRUNCATED);
  t.equal(checkIPv6(bytes.fill(0x45, 0, 1), 0, 80), IPV6_BAD_VERSION);
});

t.test('neighbour discovery: messages, read and written', async (t) => {
  const own = Uint8Array.of(2, 0, 0, 0, 0, 1);
  const peer = Uint8Array.of(2, 0, 0, 0, 0, 2);
  const words = wordsOf('2001:db8::1', '2001:db8::2');
  const group = new Int32Array(12);
  group.set(words);
  setSolicitedNode(group, 8, words, 4);
  t.equal(formatAddress(group, 8), 'ff02::1:ff00:2');
  const mac = new Uint8Array(8);
  setGroupMac(mac, 1, group, 8);
  t.equal(hexOf(mac), '003333ff00000200');

  const solicitation = golden('solicitation');
  const bytes = new Uint8Array(80);
  const length = emitSolicitation(bytes, 40, words, 4, SOURCE_LINK_ADDRESS, own);
  finishIcmp6(bytes, 40, length, group, 0, 8);
  emitIPv6(bytes, 0, 0, 0, length, 58, 255, group, 0, 8);
  t.equal(hexOf(bytes.subarray(0, 40 + length)), hexOf(solicitation));
  const between = new Int32Array(8);
  between.set(group.subarray(0, 4));
  between.set(group.subarray(8), 4);
  t.equal(checkIcmp6(solicitation, 40, 32, between), ICMP6_OK);
  t.equal(ndpOption(solicitation, 40, 32, SOURCE_LINK_ADDRESS), 66);
  t.equal(ndpOption(solicitation, 40, 32, TARGET_LINK_ADDRESS), -1);

  const advertisement = golden('advertisement');
  const back = wordsOf('2001:db8::2', '2001:db8::1');
  finishIcmp6(bytes, 40, emitAdvertisement(bytes, 40, back, 0, true, peer), back, 0, 4);
  emitIPv6(bytes, 0, 0, 0, 32, 58, 255, back, 0, 4);
  t.equal(hexOf(bytes.subarray(0, 72)), hexOf(advertisement));
  t.same([ndpSolicited(bytes, 40), ndpOverride(bytes, 40)], [true, true]);
  emitAdvertisement(bytes, 40, back, 0, false, peer);
  t.same([ndpSolicited(bytes, 40), ndpOverride(bytes, 40)], [false, true]);
  emitSolicitation(bytes, 40, words, 4, NONCE, own);
  t.equal(hexOf(bytes.subarray(64, 72)), '0e01020000000001');

  t.ok(checkNdp(advertisement, 40, 24) && checkNdp(advertisement, 40, 32));
  for (let cut = 0; cut < 32; cut++) if (cut !== 24) t.notOk(checkNdp(advertisement, 40, cut), `${cut}`);
  t.notOk(checkNdp(advertisement.slice().fill(1, 41, 42), 40, 32), 'code');
  t.notOk(checkNdp(advertisement.slice().fill(0, 65, 66), 40, 32), 'an option of length 0');
  t.notOk(checkNdp(advertisement.slice().fill(2, 65, 66), 40, 32), 'an option too long');
});

t.test('ICMPv6: read, written, and its checksum', async (t) => {
  const words = wordsOf('2001:db8::1', 'fe80::2');
  const bytes = new Uint8Array(20);
  emitIcmp6(bytes, 1, 2, 7, 0xfffffffe);
  finishIcmp6(bytes, 1, 13, words, 0, 4);
  t.equal(checkIcmp6(bytes, 1, 13, words), ICMP6_OK);
  t.same([icmp6Type(bytes, 1), icmp6Code(bytes, 1), icmp6Parameter(bytes, 1)], [2, 7, 0xfffffffe]);
  t.equal(checkIcmp6(bytes, 1, 13, wordsOf('2001:db8::3', 'fe80::2')), ICMP6_BAD_CHECKSUM, 'which covers the addresses');
  t.equal(checkIcmp6(bytes, 1, 3, words), ICMP6_TRUNCATED);
  finishIcmp6(bytes, 1, 7, words, 0, 4);
  t.equal(checkIcmp6(bytes, 1, 7, words), ICMP6_TRUNCATED);
  putWords(bytes, 2, words, 4);
  t.equal(hexOf(bytes.subarray(2, 18)), 'fe800000000000000000000000000002');
});

/** The walk along the headers of a packet whose IPv6 header says `next`. */
function walk(next: number, content: Uint8Array, toGroup = false): { result: number; extensions: Extensions } {
  const bytes = new Uint8Array(41 + content.length);
  bytes.set(content, 41);
  bytes[7] = next;
  const extensions = new Extensions();
  return { result: extensions.walk(bytes, 1, next, 7, 41, bytes.length, toGroup), extensions };
}

t.test('extension headers: where the walk ends, and what named the header there', async (t) => {
  t.match(walk(6, new Uint8Array(0)), { result: WALK_UPPER, extensions: { next: 6, at: 41, namedAt: 7 } });
  const chain = bytesOf('2b00010400000000' + '3c00000000000000' + '2c01010c000000000000000000000000' + '0600fff9deadbeef');
  t.match(walk(0, chain), { result: WALK_FRAGMENT, extensions: { next: 44, at: 73, namedAt: 57 } });
  const packet = new Uint8Array(41 + chain.length);
  packet.set(chain, 41);
  t.same([fragmentOffset(packet, 73), fragmentMore(packet, 73), fragmentIdentification(packet, 73)], [0xfff8, true, 0xdeadbeef | 0]);
  for (let length = 0; length < chain.length; length++) {
    t.equal(walk(0, chain.subarray(0, length)).result, WALK_TRUNCATED, `cut at ${length}`);
  }
  t.match(walk(60, bytesOf('0600c2040000000a')), { result: WALK_PROBLEM, extensions: { code: 2, pointer: 43 } }, 'a jumbogram (RFC 2675)');
  t.equal(walk(60, bytesOf('0600c2040000000a'), true).result, WALK_DROP);
  t.equal(walk(60, bytesOf('06001e0201020000')).result, WALK_UPPER, 'an unknown option to be skipped');
  t.equal(walk(60, bytesOf('06003e0201020100')).result, WALK_UPPER);
  t.match(walk(60, bytesOf('060001030000001e')), { result: WALK_PROBLEM, extensions: { code: 0, pointer: 48 } }, 'an option without a length');
  t.match(walk(43, bytesOf('0600000100000000')), { result: WALK_PROBLEM, extensions: { code: 0, pointer: 43 } });
});

t.test('the header in question is found behind whatever stands before it', async (t) => {
  const find = (next: number, hex: string, wanted = 58): number => {
    const bytes = Uint8Array.from([...new Uint8Array(40), ...bytesOf(hex)]);
    bytes[6] = next;
    return upperAt(bytes, 0, bytes.length, wanted);
  };
  t.equal(find(58, '8000'), 40);
  t.equal(find(60, '3a00c2ffffffffff' + '8000'), 48, 'options that make no sense do not matter');
  t.equal(find(44, '3a00000100000007' + '8000'), 48, 'a first fragment');
  t.equal(find(44, '3a00000900000007' + '8000'), 50, 'a later one: it cannot be looked at');
  t.equal(find(44, '0600000900000007' + '8000'), -1);
  t.equal(find(60, '3aff'), -1);
  t.equal(find(6, '0102'), -1);
});

/** Lets a test see every read that is not in the array. */
function guarded(bytes: Uint8Array, outside: number[]): Uint8Array {
  return new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^-?\d+$/.test(key) && !(Number(key) >= 0 && Number(key) < target.length)) outside.push(Number(key));
      return Reflect.get(target, key, target) as unknown;
    },
  });
}

t.test('nothing reads outside the bytes or throws: random bytes, some of which look like what they are read as', async (t) => {
  const random = randomOf(9);
  const outside: number[] = [];
  const extensions = new Extensions();
  const kinds = [0, 43, 44, 60, 58, 6];
  const seen = new Set<number>();
  for (let round = 0; round < 30000; round++) {
    const plain = Uint8Array.from({ length: random() % 120 }, () => (random() % 3 === 0 ? random() % 3 : random() & 255));
    for (let at = 40; at < plain.length; at += 8) if (random() % 2 === 0) plain[at] = kinds[random() % kinds.length]!;
    const bytes = guarded(plain, outside);
    const { length } = plain;
    if (checkIPv6Embedded(bytes, 0, length) === IPV6_OK) ipv6FlowLabel(bytes, 0);
    if (length >= 40) {
      const next = kinds[random() % kinds.length]!;
      plain[6] = next;
      seen.add(extensions.walk(bytes, 0, next, 6, 40, length, random() % 2 === 0));
      const upper = upperAt(bytes, 0, length, 58);
      if (upper > length + 2048) t.fail('beyond the packet');
    }
    if (checkNdp(bytes, 0, length)) {
      const option = ndpOption(bytes, 0, length, plain[24] ?? 0);
      if (option >= 0 && option + 6 > length) t.fail(`option at ${option} of ${length}`);
    }
  }
  t.same(outside, []);
  t.equal(seen.size, 5, 'every end of a walk was met');
});

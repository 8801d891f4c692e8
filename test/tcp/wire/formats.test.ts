import t from 'tap';
import {
  copyAddress, formatAddress, formatDotted, isDotted, isLoopback4, isMapped, isMulticast4, isReserved4, isThisNetwork4,
  isUnspecified, netmask, parseAddress, parseDotted, sameAddress, setMapped,
} from '../../../lib/tcp/wire/address.js';
import {
  ARP_FOREIGN, ARP_LENGTH, ARP_OK, ARP_REPLY, ARP_REQUEST, ARP_TRUNCATED, arpOperation, arpSender, arpTarget, checkArp, emitArp,
} from '../../../lib/tcp/wire/arp.js';
import { copyBytes, get16, get32, put16, put32 } from '../../../lib/tcp/wire/bytes.js';
import { complement, add, pseudoHeader4, verify } from '../../../lib/tcp/wire/checksum.js';
import {
  ETHERNET_HEADER, TYPE_ARP, TYPE_IPV4, emitEthernet, ethernetType, isGroupMac, isZeroMac, sameMac,
} from '../../../lib/tcp/wire/ethernet.js';
import {
  ICMP_BAD_CHECKSUM, ICMP_ECHO_REPLY, ICMP_OK, ICMP_TRUNCATED, ICMP_UNREACHABLE, checkIcmp, emitIcmp, finishIcmp,
  icmpCode, icmpNextHopMtu, icmpType, isIcmpError,
} from '../../../lib/tcp/wire/icmp.js';
import {
  DONT_FRAGMENT, IPV4_BAD_CHECKSUM, IPV4_BAD_LENGTH, IPV4_BAD_VERSION, IPV4_OK, IPV4_TRUNCATED, PROTOCOL_TCP,
  checkIPv4, checkIPv4Embedded, emitIPv4, ipv4Destination, ipv4Fragment, ipv4HeaderLength, ipv4Identification,
  ipv4Protocol, ipv4Source, ipv4SourceRouted, ipv4Tos, ipv4TotalLength, ipv4Ttl,
} from '../../../lib/tcp/wire/ipv4.js';
import { TcpOptions, emitSack, emitSynOptions, emitTimestamps, parseOptions } from '../../../lib/tcp/wire/options.js';
import {
  ACK, PSH, SYN, TCP_BAD_OFFSET, TCP_BAD_PORT, TCP_CHECKSUM, TCP_OK, TCP_TRUNCATED, checkTcp, emitTcp,
  tcpAcknowledgement, tcpChecksum, tcpDestination, tcpFlags, tcpHeaderLength, tcpSequence, tcpSource, tcpUrgent, tcpWindow,
} from '../../../lib/tcp/wire/tcp.js';
import { randomOf } from '../../support/random.js';

/** Frames that Linux 6 sent by a TAP device, from 198.18.0.1 at 02:00:00:00:00:01 to 198.18.0.2. */
const LINUX = {
  arp: 'ffffffffffff02000000000108060001080006040001020000000001c6120001000000000000c6120002',
  syn: '02000000000202000000000108004500003c512a400040065d6ac6120001c6120002c6380050e5551cda00000000a002faf028750000020405b40402080a73ed5bc9000000000103030a',
  synAck: '02000000000202000000000108004500003c000040004006ae94c6120001c61200021f909c4054d140e401020305a012fe88595b0000020405b40402080aa07e4bb3111111110103030a',
  synAckPlain: '020000000002020000000001080045000034000040004006ae9cc6120001c61200021f909c41d15b22a4010203058012faf0340d0000020405b4010104020103030a',
  sack: '020000000002020000000001080045000040f00140004006be8ec6120001c61200021f909c4054d140e501020305b01000403e2400000101080aa07e4da8111111120101050a010206ed01020751',
  echoReply: '02000000000202000000000108004500002fd385000040011b21c6120001c61200020000c60c123400016162636465666768696a6b6c6d6e6f70717273',
  unreachable: '020000000002020000000001080045c0003bd3f80000400119e2c6120001c612000203032cd7000000004500001f000740004011ae9fc6120002c612000103e807d0000b0000616263',
};
const MAC1 = Uint8Array.of(2, 0, 0, 0, 0, 1);
const MAC2 = Uint8Array.of(2, 0, 0, 0, 0, 2);
const ADDRESS1 = parseDotted('198.18.0.1');
const ADDRESS2 = parseDotted('198.18.0.2');
const IP = ETHERNET_HEADER;
const TCP = IP + 20;

function bytesOf(hex: string): Uint8Array {
  return Uint8Array.from(Buffer.from(hex, 'hex'));
}

function hexOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

/** The frame that our emitters make of the TCP frame that they are given in parts. */
function tcpFrame(
  identification: number, source: number, destination: number, sequence: number, acknowledgement: number, flags: number,
  window: number, emitOptions: (bytes: Uint8Array, at: number) => number,
): Uint8Array {
  const bytes = new Uint8Array(200).fill(0xaa);
  const options = emitOptions(bytes, TCP + 20);
  emitEthernet(bytes, 0, MAC2, 0, MAC1, 0, TYPE_IPV4);
  emitIPv4(bytes, IP, 0, 40 + options, identification, DONT_FRAGMENT, 64, PROTOCOL_TCP, ADDRESS1, ADDRESS2);
  emitTcp(bytes, TCP, source, destination, sequence, acknowledgement, flags, window, 20 + options);
  const sum = add(pseudoHeader4(ADDRESS1, ADDRESS2, PROTOCOL_TCP, 20 + options), bytes, TCP, 20 + options);
  put16(bytes, TCP + TCP_CHECKSUM, complement(sum));
  return bytes.subarray(0, TCP + 20 + options);
}

t.test('big-endian numbers', async (t) => {
  const bytes = new Uint8Array(8);
  for (const value of [0, 1, 0x7fffffff, -1, -2147483648, 0x12345678]) {
    put32(bytes, 1, value);
    t.equal(get32(bytes, 1), value);
    put16(bytes, 3, value);
    t.equal(get16(bytes, 3), value & 0xffff);
  }
  const to = new Uint8Array(8);
  copyBytes(bytes, 1, to, 2, 4);
  t.same(to.subarray(2, 6), bytes.subarray(1, 5));
  copyBytes(to, 2, to, 3, 4);
  t.same(to.subarray(3, 7), bytes.subarray(1, 5), 'overlapping');
});

t.test('RFC 5952 4: addresses, read and written', async (t) => {
  const words = new Int32Array(9);
  for (const text of ['0.0.0.0', '1.2.3.4', '127.0.0.1', '198.18.0.1', '255.255.255.255', '10.20.30.249']) {
    t.ok(parseAddress(text, words, 4));
    t.equal(formatAddress(words, 4), text);
    t.equal(formatDotted(words[7]!), text);
    t.ok(isMapped(words, 4));
  }
  const bad = ['', '1', '1.2.3', '1.2.3.4.5', '1.2.3.256', '01.2.3.4', '1.2.3.4 ', ' 1.2.3.4', '1.2.3.4.', '.1.2.3.4', '1..2.3',
    '0x1.2.3.4', '1.2.3.-4', '1.2.3.4\n', '1234.1.1.1', 'localhost'];
  for (const text of bad) {
    t.notOk(isDotted(text), JSON.stringify(text));
    t.notOk(parseAddress(text, words, 0));
    t.throws(() => parseDotted(text), TypeError);
  }
  t.same([...words.subarray(0, 4)], [0, 0, 0, 0], 'nothing is written for a bad one');
  const texts: [number[], string][] = [
    [[0, 0, 0, 0], '::'], [[0, 0, 0, 1], '::1'], [[0x20010db8, 0, 0, 1], '2001:db8::1'],
    [[0x20010db8, 0, 0x00010000, 0x00000001], '2001:db8::1:0:0:1'], [[0x20010db8, 0x00000001, 0x00010001, 0x00010001], '2001:db8:0:1:1:1:1:1'],
    [[0xfe800000 | 0, 0, 0, 0], 'fe80::'], [[0x00010002, 0x00030004, 0x00050006, 0x00070008], '1:2:3:4:5:6:7:8'],
  ];
  for (const [value, text] of texts) t.equal(formatAddress(Int32Array.from(value), 0), text, 'RFC 5952 4');
  setMapped(words, 0, ADDRESS1);
  copyAddress(words, 0, words, 5);
  t.ok(sameAddress(words, 0, words, 5));
  t.notOk(sameAddress(words, 0, words, 4));
  t.ok(isUnspecified(new Int32Array(4), 0));
  t.ok(isUnspecified(Int32Array.of(0, 0, 0xffff, 0), 0));
  t.notOk(isUnspecified(words, 0));
  t.equal(netmask(0), 0);
  t.equal(netmask(8), parseDotted('255.0.0.0'));
  t.equal(netmask(32), -1);
  t.ok(isMulticast4(parseDotted('239.1.2.3')) && isLoopback4(parseDotted('127.9.9.9')) && isThisNetwork4(0) && isReserved4(-1));
  t.notOk(isMulticast4(ADDRESS1) || isLoopback4(ADDRESS1) || isThisNetwork4(ADDRESS1) || isReserved4(ADDRESS1));
});

t.test('Ethernet and ARP: the request of Linux, read and written', async (t) => {
  const golden = bytesOf(LINUX.arp);
  t.equal(ethernetType(golden, 0), TYPE_ARP);
  t.ok(isGroupMac(golden, 0));
  t.notOk(isGroupMac(golden, 6));
  t.ok(sameMac(golden, 6, MAC1, 0));
  t.notOk(sameMac(golden, 6, MAC2, 0));
  t.ok(isZeroMac(golden, ETHERNET_HEADER + 18));
  t.equal(checkArp(golden, ETHERNET_HEADER, ARP_LENGTH), ARP_OK);
  t.equal(arpOperation(golden, ETHERNET_HEADER), ARP_REQUEST);
  t.equal(arpSender(golden, ETHERNET_HEADER), ADDRESS1);
  t.equal(arpTarget(golden, ETHERNET_HEADER), ADDRESS2);
  const bytes = new Uint8Array(golden.length).fill(0xaa);
  emitEthernet(bytes, 0, new Uint8Array(6).fill(255), 0, MAC1, 0, TYPE_ARP);
  emitArp(bytes, ETHERNET_HEADER, ARP_REQUEST, MAC1, ADDRESS1, null, 0, ADDRESS2);
  t.equal(hexOf(bytes), LINUX.arp);
  emitArp(bytes, ETHERNET_HEADER, ARP_REPLY, MAC1, ADDRESS1, MAC2, 0, ADDRESS2);
  t.equal(checkArp(bytes, ETHERNET_HEADER, ARP_LENGTH), ARP_OK);
  t.equal(arpOperation(bytes, ETHERNET_HEADER), ARP_REPLY);
  t.ok(sameMac(bytes, ETHERNET_HEADER + 18, MAC2, 0));
  for (let length = 0; length < ARP_LENGTH; length++) t.equal(checkArp(golden, ETHERNET_HEADER, length), ARP_TRUNCATED);
  for (const at of [0, 1, 2, 3, 4, 5, 6, 7]) {
    const other = bytesOf(LINUX.arp);
    other[ETHERNET_HEADER + at] = 9;
    t.equal(checkArp(other, ETHERNET_HEADER, ARP_LENGTH), ARP_FOREIGN, `byte ${at}`);
  }
});

t.test('IPv4: headers of Linux, read', async (t) => {
  const bytes = bytesOf(LINUX.syn);
  const length = bytes.length - IP;
  t.equal(checkIPv4(bytes, IP, length), IPV4_OK);
  t.equal(checkIPv4(bytes, IP, length + 6), IPV4_OK, 'padding');
  t.equal(ipv4HeaderLength(bytes, IP), 20);
  t.equal(ipv4Tos(bytes, IP), 0);
  t.equal(ipv4TotalLength(bytes, IP), 60);
  t.equal(ipv4Identification(bytes, IP), 0x512a);
  t.equal(ipv4Fragment(bytes, IP), DONT_FRAGMENT);
  t.equal(ipv4Ttl(bytes, IP), 64);
  t.equal(ipv4Protocol(bytes, IP), PROTOCOL_TCP);
  t.equal(ipv4Source(bytes, IP), ADDRESS1);
  t.equal(ipv4Destination(bytes, IP), ADDRESS2);
  for (let short = 0; short < length; short++) t.equal(checkIPv4(bytes, IP, short), IPV4_TRUNCATED);
  for (let at = 0; at < 20; at++) {
    for (let bit = 0; bit < 8; bit++) {
      const broken = Uint8Array.from(bytes);
      broken[IP + at] = broken[IP + at]! ^ (1 << bit);
      if (checkIPv4(broken, IP, length) === IPV4_OK) t.fail(`bit ${bit} of byte ${at}`);
    }
  }
  const with6 = Uint8Array.from(bytes);
  with6[IP] = 0x65;
  t.equal(checkIPv4(with6, IP, length), IPV4_BAD_VERSION);
  with6[IP] = 0x44;
  t.equal(checkIPv4(with6, IP, length), IPV4_BAD_LENGTH);
  with6[IP] = 0x46;
  t.equal(checkIPv4(with6, IP, length), IPV4_BAD_CHECKSUM);
  with6[IP] = 0x45;
  put16(with6, IP + 2, 19);
  t.equal(checkIPv4(with6, IP, length), IPV4_BAD_LENGTH, 'a total length that does not hold the header');
});

t.test('IPv4: options are walked for source routes', async (t) => {
  const routed = (options: number[]): boolean => {
    const bytes = new Uint8Array(60);
    bytes[0] = 0x40 | (5 + Math.ceil(options.length / 4));
    bytes.set(options, 20);
    return ipv4SourceRouted(bytes, 0);
  };
  t.notOk(routed([]));
  t.notOk(routed([1, 1, 1, 0]));
  t.notOk(routed([148, 4, 0, 0]), 'router alert');
  t.notOk(routed([1, 7, 7, 4, 0, 0, 0, 0, 0, 0, 0, 0]), 'record route');
  t.notOk(routed([0, 131, 3, 4]), 'nothing counts after the end');
  t.ok(routed([131, 3, 4, 0]), 'loose');
  t.ok(routed([1, 137, 3, 4]), 'strict');
  t.ok(routed([148, 0, 0, 0]), 'a length of 0');
  t.ok(routed([148, 9, 0, 0]), 'a length beyond the header');
  t.ok(routed([1, 1, 1, 148]), 'no length at all');
});

t.test('ICMP: messages of Linux, read and written', async (t) => {
  const echo = bytesOf(LINUX.echoReply);
  const length = ipv4TotalLength(echo, IP) - 20;
  t.equal(checkIcmp(echo, TCP, length), ICMP_OK);
  t.equal(icmpType(echo, TCP), ICMP_ECHO_REPLY);
  for (let short = 0; short < 8; short++) t.equal(checkIcmp(echo, TCP, short), ICMP_TRUNCATED);
  t.equal(checkIcmp(echo, TCP, length - 1), ICMP_BAD_CHECKSUM);
  const error = bytesOf(LINUX.unreachable);
  t.equal(checkIcmp(error, TCP, error.length - TCP), ICMP_OK);
  t.equal(icmpType(error, TCP), ICMP_UNREACHABLE);
  t.equal(icmpCode(error, TCP), 3);
  t.equal(icmpNextHopMtu(error, TCP), 0);
  t.equal(checkIPv4Embedded(error, TCP + 8, 28), IPV4_OK);
  for (let short = 0; short < 28; short++) t.equal(checkIPv4Embedded(error, TCP + 8, short), IPV4_TRUNCATED);
  const bytes = Uint8Array.from(error);
  emitIcmp(bytes, TCP, ICMP_UNREACHABLE, 3);
  finishIcmp(bytes, TCP, error.length - TCP);
  t.equal(hexOf(bytes), LINUX.unreachable);
  bytes[TCP + 8] = 0x65;
  t.equal(checkIPv4Embedded(bytes, TCP + 8, 28), IPV4_BAD_VERSION);
  bytes[TCP + 8] = 0x44;
  t.equal(checkIPv4Embedded(bytes, TCP + 8, 28), IPV4_BAD_LENGTH);
  bytes[TCP + 8] = 0x4f;
  t.equal(checkIPv4Embedded(bytes, TCP + 8, 28), IPV4_TRUNCATED);
  t.notOk(isIcmpError(8) || isIcmpError(0) || isIcmpError(13));
  t.ok(isIcmpError(3) && isIcmpError(11) && isIcmpError(12) && isIcmpError(5) && isIcmpError(200));
});

t.test('TCP: segments of Linux, written byte for byte', async (t) => {
  t.equal(hexOf(tcpFrame(0x512a, 0xc638, 80, 0xe5551cda | 0, 0, SYN, 0xfaf0, (bytes, at) =>
    emitSynOptions(bytes, at, 1460, true, true, 0x73ed5bc9, 0, 10))), LINUX.syn);
  t.equal(hexOf(tcpFrame(0, 8080, 40000, 0x54d140e4, 0x01020305, SYN | ACK, 0xfe88, (bytes, at) =>
    emitSynOptions(bytes, at, 1460, true, true, 0xa07e4bb3 | 0, 0x11111111, 10))), LINUX.synAck);
  t.equal(hexOf(tcpFrame(0, 8080, 40001, 0xd15b22a4 | 0, 0x01020305, SYN | ACK, 0xfaf0, (bytes, at) =>
    emitSynOptions(bytes, at, 1460, true, false, 0, 0, 10))), LINUX.synAckPlain);
  const edges = Int32Array.of(0, 0x010206ed, 0x01020751);
  t.equal(hexOf(tcpFrame(0xf001, 8080, 40000, 0x54d140e5, 0x01020305, ACK, 0x40, (bytes, at) =>
    emitTimestamps(bytes, at, 0xa07e4da8 | 0, 0x11111112) + emitSack(bytes, at + 12, edges, 1, 1))), LINUX.sack);
});

t.test('TCP: segments of Linux, read', async (t) => {
  const bytes = bytesOf(LINUX.sack);
  const length = bytes.length - TCP;
  t.equal(checkTcp(bytes, TCP, length), TCP_OK);
  t.ok(verify(pseudoHeader4(ADDRESS1, ADDRESS2, PROTOCOL_TCP, length), bytes, TCP, length));
  t.equal(tcpSource(bytes, TCP), 8080);
  t.equal(tcpDestination(bytes, TCP), 40000);
  t.equal(tcpSequence(bytes, TCP), 0x54d140e5);
  t.equal(tcpAcknowledgement(bytes, TCP), 0x01020305);
  t.equal(tcpHeaderLength(bytes, TCP), 44);
  t.equal(tcpFlags(bytes, TCP), ACK);
  t.equal(tcpWindow(bytes, TCP), 0x40);
  t.equal(tcpChecksum(bytes, TCP), 0x3e24);
  t.equal(tcpUrgent(bytes, TCP), 0);
  for (let short = 0; short < length; short++) t.equal(checkTcp(bytes, TCP, short), TCP_TRUNCATED);
  const broken = Uint8Array.from(bytes);
  broken[TCP + 12] = 0x4f;
  t.equal(checkTcp(broken, TCP, length), TCP_BAD_OFFSET);
  broken[TCP + 12] = 0xc0;
  t.equal(checkTcp(broken, TCP, length), TCP_TRUNCATED);
  for (const port of [0, 2]) {
    const nameless = Uint8Array.from(bytes);
    put16(nameless, TCP + port, 0);
    t.equal(checkTcp(nameless, TCP, length), TCP_BAD_PORT);
  }
});

/** What `parseOptions` makes of a header with these option bytes, padded to a whole word. */
function optionsOf(list: number[]): TcpOptions {
  const options = new TcpOptions();
  // Left from the segment before: nothing of it may stay.
  Object.assign(options, { mss: 9, windowScale: 9, sackPermitted: true, hasTimestamps: true, sackCount: 3, malformed: true });
  const bytes = new Uint8Array(20 + Math.ceil(list.length / 4) * 4);
  bytes.set(list, 20);
  bytes[12] = bytes.length << 2;
  parseOptions(bytes, 0, options);
  return options;
}

t.test('TCP options: those of Linux, read', async (t) => {
  const options = new TcpOptions();
  parseOptions(bytesOf(LINUX.syn), TCP, options);
  t.match(options, { mss: 1460, windowScale: 10, sackPermitted: true, hasTimestamps: true, tsVal: 0x73ed5bc9, tsEcr: 0, sackCount: 0, malformed: false });
  parseOptions(bytesOf(LINUX.synAckPlain), TCP, options);
  t.match(options, { mss: 1460, windowScale: 10, sackPermitted: true, hasTimestamps: false, malformed: false });
  parseOptions(bytesOf(LINUX.sack), TCP, options);
  t.match(options, { mss: 0, windowScale: -1, sackPermitted: false, hasTimestamps: true, tsEcr: 0x11111112, sackCount: 1, malformed: false });
  t.same([...options.sack.subarray(0, 2)], [0x010206ed, 0x01020751]);
  t.match(optionsOf([]), { mss: 0, windowScale: -1, sackPermitted: false, hasTimestamps: false, sackCount: 0, malformed: false });
  t.match(optionsOf([1, 1, 8, 10, 0, 0, 0, 5, 0, 0, 0, 6]), { hasTimestamps: true, tsVal: 5, tsEcr: 6, sackPermitted: false });
});

t.test('TCP options: what is written is read again', async (t) => {
  const bytes = new Uint8Array(60);
  const options = new TcpOptions();
  for (const mss of [0, 536, 65495]) {
    for (const sackPermitted of [false, true]) {
      for (const timestamps of [false, true]) {
        for (const scale of [-1, 0, 14]) {
          const length = emitSynOptions(bytes, 20, mss, sackPermitted, timestamps, -5, 77, scale);
          t.equal(length % 4, 0);
          bytes[12] = (20 + length) << 2;
          parseOptions(bytes, 0, options);
          t.match(options, { mss, sackPermitted, hasTimestamps: timestamps, windowScale: scale, malformed: false });
          if (timestamps) t.match(options, { tsVal: -5, tsEcr: 77 });
        }
      }
    }
  }
  const edges = Int32Array.from({ length: 8 }, (_, i) => i * 0x1fffffff);
  for (let count = 1; count <= 4; count++) {
    const length = emitSack(bytes, 20, edges, 0, count);
    t.equal(length, 4 + 8 * count);
    bytes[12] = (20 + length) << 2;
    parseOptions(bytes, 0, options);
    t.equal(options.sackCount, count);
    t.same([...options.sack.subarray(0, 2 * count)], [...edges.subarray(0, 2 * count)]);
  }
});

t.test('MUST-6, MUST-7, MUST-64: unknown options are skipped, impossible lengths end the options', async (t) => {
  t.match(optionsOf([254, 4, 9, 9, 2, 4, 5, 0xb4]), { mss: 1460, malformed: false });
  t.match(optionsOf([254, 2, 2, 4, 5, 0xb4]), { mss: 1460, malformed: false });
  t.match(optionsOf([2, 4, 5, 0xb4, 254, 0, 3, 3, 7]), { mss: 1460, windowScale: -1, malformed: true }, 'length 0');
  t.match(optionsOf([2, 4, 5, 0xb4, 254, 1, 3, 3, 7]), { mss: 1460, windowScale: -1, malformed: true }, 'length 1');
  t.match(optionsOf([3, 3, 7, 1, 2, 5, 5, 0xb4]), { mss: 0, windowScale: 7, malformed: true }, 'over the end');
  t.match(optionsOf([1, 1, 1, 2]), { mss: 0, malformed: true }, 'no length at all');
  t.match(optionsOf([2, 3, 5, 3, 3, 7]), { mss: 0, windowScale: 7, malformed: false }, 'a known option of the wrong length');
  t.match(optionsOf([8, 4, 0, 0, 5, 9, 0, 0, 0, 0, 0, 0, 0, 5, 2]), { hasTimestamps: false, sackCount: 0, malformed: false });
  t.match(optionsOf([0, 2, 4, 5, 0xb4]), { mss: 0, malformed: false }, 'nothing counts after the end');
  t.match(optionsOf([3, 3, 200]), { windowScale: 14 }, 'RFC 7323 2.3: a larger scale counts as 14');
});

/** Lets a test see every read that is not in the array. */
function guarded(bytes: Uint8Array, outside: number[]): Uint8Array {
  return new Proxy(bytes, {
    get(target, key) {
      if (typeof key === 'string' && /^-?\d+$/.test(key) && !(Number(key) >= 0 && Number(key) < target.length)) outside.push(Number(key));
      const value: unknown = Reflect.get(target, key, target);
      return value;
    },
  });
}

t.test('no check, and nothing that it allows, reads outside the bytes or throws: truncation and random bytes', async (t) => {
  const random = randomOf(7);
  const golden = Object.values(LINUX).map(bytesOf);
  const outside: number[] = [];
  const options = new TcpOptions();
  const read = (frame: Uint8Array): void => {
    // Below the length from which the checksum looks through a view, which the proxy cannot be given.
    const bytes = guarded(frame.subarray(0, 47), outside);
    const length = bytes.length;
    if (checkArp(bytes, 0, length) === ARP_OK) arpTarget(bytes, 0);
    if (checkIPv4(bytes, 0, length) === IPV4_OK) ipv4SourceRouted(bytes, 0);
    if (checkIPv4Embedded(bytes, 0, length) === IPV4_OK) tcpSequence(bytes, ipv4HeaderLength(bytes, 0));
    if (checkIcmp(bytes, 0, length) === ICMP_OK) icmpNextHopMtu(bytes, 0);
    if (checkTcp(bytes, 0, length) === TCP_OK) parseOptions(bytes, 0, options);
  };
  for (const frame of golden) {
    for (const from of [0, IP, TCP, TCP + 8]) {
      for (let to = from; to <= frame.length; to++) read(frame.subarray(from, to));
    }
  }
  for (let round = 0; round < 20000; round++) {
    const frame = Uint8Array.from({ length: random() % 64 }, () => random() & 255);
    // Half of them look like what they are read as, so that more than the first check is passed.
    if (round & 1 && frame.length > 12) {
      frame[0] = 0x40 | (random() & 15);
      frame[12] = random() & 255;
    }
    read(frame);
  }
  t.same(outside, []);
});

t.test('random TCP headers: parse(emit(x)) = x', async (t) => {
  const random = randomOf(8);
  const bytes = new Uint8Array(64);
  for (let round = 0; round < 2000; round++) {
    const at = random() % 4;
    const [source, destination, window] = [1 + (random() % 65535), 1 + (random() % 65535), random() & 0xffff];
    const [sequence, acknowledgement, flags] = [random() | 0, random() | 0, random() & 255];
    const header = 20 + 4 * (random() % 11);
    emitTcp(bytes, at, source, destination, sequence, acknowledgement, flags, window, header);
    const same = checkTcp(bytes, at, header) === TCP_OK && tcpSource(bytes, at) === source
      && tcpDestination(bytes, at) === destination && tcpSequence(bytes, at) === sequence
      && tcpAcknowledgement(bytes, at) === acknowledgement && tcpFlags(bytes, at) === flags
      && tcpWindow(bytes, at) === window && tcpHeaderLength(bytes, at) === header && tcpChecksum(bytes, at) === 0
      && tcpUrgent(bytes, at) === 0;
    if (!same) t.fail(`round ${round}`);
  }
  emitTcp(bytes, 0, 1, 2, 3, 4, PSH | ACK, 5, 20);
  t.equal(hexOf(bytes.subarray(0, 20)), '0001000200000003000000045018000500000000');
});

/** The wire formats of DHCP, UDP and routers: golden bytes, round trips, truncation at every length, random bytes. */
import t from 'tap';
import { parseDotted } from '../../../lib/tcp/wire/address.js';
import {
  DHCP_ACK, DHCP_DISCOVER, DHCP_LEAST, DHCP_OFFER, DHCP_PAYLOAD, DHCP_REQUEST, DHCP_ROUTERS_MOST, DHCP_ROUTES_MOST, DhcpReply, emitDhcp,
} from '../../../lib/tcp/wire/dhcp.js';
import {
  checkRouterAdvertisement, emitRouterSolicitation, linkMtu, optionKind, optionLength, preferredLifetime, prefixFlags, prefixLength, raHopLimit, raLifetime,
  raReachableTime, validLifetime,
} from '../../../lib/tcp/wire/router.js';
import { UDP_BAD_CHECKSUM, UDP_BAD_LENGTH, UDP_OK, UDP_TRUNCATED, checkUdp, emitUdp, udpDestination, udpLength, udpSource } from '../../../lib/tcp/wire/udp.js';
import { randomOf } from '../../support/random.js';
import { ACK, LEASED, OFFER, SERVER, addressOption, message, wordOption } from '../ip/dhcp_server.js';
import { OTHER_MAC, OWN_MAC } from '../ip/network.js';

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString('hex');
const [A, B] = ['198.18.0.1', '198.18.0.2'].map(parseDotted) as [number, number];

t.test('a DISCOVER and a REQUEST, byte by byte', async (t) => {
  const bytes = new Uint8Array(DHCP_PAYLOAD + 9).fill(0xee);
  const base = { xid: 0x12345678, secs: 3, own: 0, requested: 0, server: 0 };
  const id = Uint8Array.of(1, ...OWN_MAC);
  const length = emitDhcp(bytes, 5, { ...base, type: DHCP_DISCOVER }, OWN_MAC, id, 576);
  t.equal(length, DHCP_LEAST);
  t.equal(hex(bytes.subarray(5, 5 + 44)), '010106001234567800030000' + '00'.repeat(16) + '020000000001' + '00'.repeat(10));
  t.equal(hex(bytes.subarray(5 + 44, 5 + 236)), '00'.repeat(192));
  t.equal(hex(bytes.subarray(5 + 236, 5 + 300)), `63825363${'350101'}${'3d0701020000000001'}${'39020240'}${'37080179031a33363a3b'}ff`.padEnd(128, '0'));
  t.equal(bytes[4], 0xee);
  t.equal(bytes[5 + length], 0xee);
  emitDhcp(bytes, 5, { ...base, type: DHCP_REQUEST, requested: parseDotted(LEASED), server: parseDotted(SERVER) }, OWN_MAC, id, 576);
  t.match(hex(bytes.subarray(5 + 240, 5 + 270)), /^350103.*3204c612004d3604c6120002/);
  const long = emitDhcp(bytes, 0, { ...base, type: DHCP_REQUEST, requested: A, server: B }, OWN_MAC, new Uint8Array(255).fill(7), 576);
  t.ok(long > DHCP_LEAST && long <= DHCP_PAYLOAD, `${long}`);
});

t.test('what a server says is read as it was written', async (t) => {
  const reply = new DhcpReply();
  const bytes = message(OFFER, 0x01020304, { more: [
    addressOption(3, '198.18.0.254', '198.18.0.253'), [26, 5, 120], wordOption(58, 100), wordOption(59, 200), [121, 8, 10, 198, 18, 0, 3], [12, 0x61],
  ] });
  t.ok(reply.parse(bytes, 0, bytes.length, OWN_MAC));
  t.match(reply, {
    type: DHCP_OFFER, xid: 0x01020304, address: parseDotted(LEASED), prefix: 24, server: parseDotted(SERVER), leaseTime: 3600, t1: 100, t2: 200, mtu: 1400,
    routers: [parseDotted('198.18.0.254'), parseDotted('198.18.0.253')], routes: [{ network: parseDotted('10.0.0.0'), prefix: 8, gateway: parseDotted('198.18.0.3') }],
  });
  const next = message(ACK, 5, { lease: null, mask: null, server: null });
  t.ok(reply.parse(next, 0, next.length, OWN_MAC), 'nothing of one message is left for the next');
  t.match(reply, { type: DHCP_ACK, xid: 5, prefix: -1, server: 0, leaseTime: -1, t1: -1, t2: -1, mtu: 0, routers: [], routes: [] });
  t.notOk(reply.parse(next, 0, next.length, OTHER_MAC));
  const many = message(OFFER, 5, { more: [[3, ...Array<number>(40).fill(9)], ...Array.from({ length: 12 }, () => [121, ...Array.from({ length: 24 }, () => [8, 10, 1, 1, 1, 1]).flat()] as const)] });
  t.ok(reply.parse(many, 0, many.length, OWN_MAC));
  t.same([reply.routers.length, reply.routes.length], [DHCP_ROUTERS_MOST, DHCP_ROUTES_MOST], 'bounds');
});

t.test('a DHCP message that is cut off anywhere, or is noise, does no harm', async (t) => {
  const reply = new DhcpReply();
  const bytes = message(OFFER, 7, { more: [[52, 3], addressOption(3, '198.18.0.254'), [121, 24, 10, 1, 1, 198, 18, 0, 3]] });
  for (let length = 0; length < bytes.length - 1; length++) {
    const cut = bytes.slice(0, length);
    if (reply.parse(cut, 0, length, OWN_MAC) && length < 243) t.fail(`${length} bytes were taken`);
  }
  t.notOk(reply.parse(bytes, 0, 240, OWN_MAC), 'no kind of message');
  const random = randomOf(7);
  let taken = 0;
  for (let i = 0; i < 20_000; i++) {
    const noise = bytes.slice();
    for (let n = 0; n < 1 + (random() >>> 0) % 8; n++) noise[(i % 3 === 0 ? 44 : 240) + ((random() >>> 0) % (bytes.length - 240))] = random() & 255;
    if (reply.parse(noise, 0, noise.length, OWN_MAC)) taken++;
    if (reply.prefix < -1 || reply.prefix > 32 || reply.routers.length > DHCP_ROUTERS_MOST || reply.routes.some(({ prefix }) => prefix > 32)) t.fail('a value beyond its range');
  }
  t.ok(taken > 100 && taken < 20_000, `${taken}`);
});

t.test('UDP: golden bytes, round trip, truncation, checksums', async (t) => {
  const bytes = new Uint8Array(20);
  bytes.set([0x61, 0x62, 0x63], 10);
  emitUdp(bytes, 2, A, 68, B, 67, 3);
  t.equal(hex(bytes.subarray(2, 13)), '00440043000b' + hex(bytes.subarray(8, 10)) + '616263');
  t.same([udpSource(bytes, 2), udpDestination(bytes, 2), udpLength(bytes, 2)], [68, 67, 11]);
  t.equal(checkUdp(bytes, 2, 11, A, B, false), UDP_OK);
  t.equal(checkUdp(bytes, 2, 18, A, B, false), UDP_OK, 'what follows it is none of it');
  for (let length = 0; length < 11; length++) t.equal(checkUdp(bytes, 2, length, A, B, false), UDP_TRUNCATED);
  t.equal(checkUdp(bytes, 2, 11, A, A, false), UDP_BAD_CHECKSUM);
  t.equal(checkUdp(bytes, 2, 11, A, A, true), UDP_OK, 'the device has looked');
  bytes[12]! ^= 1;
  t.equal(checkUdp(bytes, 2, 11, A, B, false), UDP_BAD_CHECKSUM);
  bytes[8] = bytes[9] = 0;
  t.equal(checkUdp(bytes, 2, 11, A, B, false), UDP_OK, 'none was made');
  bytes[7] = 7;
  t.equal(checkUdp(bytes, 2, 11, A, B, false), UDP_BAD_LENGTH);
  // Words that sum up to what a checksum of 0 would stand for.
  for (let i = 0; i < 65536; i += 257) {
    const datagram = new Uint8Array(10);
    datagram.set([i >> 8, i & 255], 8);
    emitUdp(datagram, 0, A, 68, B, 67, 2);
    if (hex(datagram.subarray(6, 8)) === '0000' || checkUdp(datagram, 0, 10, A, B, false) !== UDP_OK) t.fail(`${i}`);
  }
});

t.test('solicitations of routers, and their advertisements', async (t) => {
  const bytes = new Uint8Array(80);
  t.equal(emitRouterSolicitation(bytes, 3, null), 8);
  t.equal(hex(bytes.subarray(3, 11)), '8500000000000000');
  t.equal(emitRouterSolicitation(bytes, 3, OWN_MAC), 16);
  t.equal(hex(bytes.subarray(3, 19)), '8500000000000000' + '0101020000000001');
  const golden = Buffer.from('86000000' + '40c00708' + '00007530' + '000003e8' + '0101020000000002' + '05010000000005dc'
    + '030440c0' + 'ffffffff' + '00000e10' + '00000000' + '20010db8000500000000000000000000', 'hex');
  t.ok(checkRouterAdvertisement(golden, 0, golden.length));
  t.same([raHopLimit(golden, 0), raLifetime(golden, 0), raReachableTime(golden, 0)], [64, 1800, 30_000]);
  t.same([optionKind(golden, 16), optionLength(golden, 16), linkMtu(golden, 24)], [1, 8, 1500]);
  t.same([prefixLength(golden, 32), prefixFlags(golden, 32), validLifetime(golden, 32), preferredLifetime(golden, 32)], [64, 0xc0, Infinity, 3600]);
  const whole = [16, 24, 32, 64];
  for (let length = 0; length <= golden.length; length++) t.equal(checkRouterAdvertisement(golden, 0, length), whole.includes(length), `${length} bytes`);
});

/** Options are refused at the door, with the name, what was given and the mend; what is taken is complete. */
import t from 'tap';
import { TcpServerError, connectError, listenError, transferError } from '../../lib/errors.js';
import { checkOptions } from '../../lib/options.js';
import { allowedCpus } from '../../lib/thread_options.js';
import type { TcpServerOptions } from '../../lib/options.js';
import { LIMIT_RANGES } from '../../lib/tcp/limits.js';

const packet = { device: 'packet:eth0', address: '198.18.0.2/24' };

t.test('defaults', async (t) => {
  const config = checkOptions();
  t.match(config, { device: 'loopback', netns: null, addresses: [], gateways: [], cpu: 'auto', spinUs: 'auto', pcap: null, fault: null });
  t.equal(config.sizes.maxFlows, 65536);
  t.equal(config.sizes.receiveBlocks * 16384, 128 * 2 ** 20);
  t.ok(Object.isFrozen(config) && Object.isFrozen(config.sizes));
  t.same(checkOptions({ maxFlows: undefined } as never), config, 'undefined is as good as left out');
});

t.test('what is taken', async (t) => {
  t.match(checkOptions({ ...packet, gateway: '198.18.0.1', netns: 'blue', spin: 20 }), {
    device: 'packet:eth0', addresses: ['198.18.0.2/24'], gateways: ['198.18.0.1'], netns: 'blue', spinUs: 20,
  });
  t.match(checkOptions({ ...packet, address: '10.0.0.0/31' }), { addresses: ['10.0.0.0/31'] }, 'RFC 3021: both of a /31 are hosts');
  t.match(checkOptions({ ...packet, address: ['198.18.0.2/24', '2001:DB8:0:0::2/64', 'fe80::2/64'], gateway: ['fe80::1', '198.18.0.1'] }), {
    addresses: ['198.18.0.2/24', '2001:db8::2/64', 'fe80::2/64'], gateways: ['fe80::1', '198.18.0.1'],
  });
  t.match(checkOptions({ ...packet, address: '2001:db8::2/64', gateway: '2001:db8::1' }), { addresses: ['2001:db8::2/64'], gateways: ['2001:db8::1'] });
  for (const address of ['shared', ['shared']]) {
    for (const device of ['packet:eth0', 'xdp:eth0']) t.match(checkOptions({ device, address }), { addresses: [], gateways: [], beside: true });
  }
  t.equal(checkOptions(packet).beside, false);
  t.equal(checkOptions({ ...packet, address: Array.from({ length: 16 }, (_, i) => `2001:db8::${i + 1}/128`) }).addresses.length, 16);
  t.equal(checkOptions({ cpu: null }).cpu, null);
  t.equal(checkOptions({ cpu: allowedCpus()[0] as number }).cpu, allowedCpus()[0]);
  t.equal(checkOptions({ pcap: '/tmp/a.pcap' }).pcap, '/tmp/a.pcap');
  t.same(checkOptions({ fault: { loss: 0.01, delay: 0.5 } }).fault, {
    loss: 0.01, delayUs: 500, reorder: 0, duplicate: 0, corrupt: 0, rate: 0, seed: 1,
  });
});

t.test('settings of TCP', async (t) => {
  const { tcp } = checkOptions({ receiveBuffer: 65536, tcp: { congestion: 'newreno', sack: false, keepIdleMs: 1000, rtoMinMs: undefined as never } });
  t.match(tcp, { congestion: 'newreno', sack: false, keepIdleMs: 1000, rtoMinMs: 200, receiveBuffer: 65536, receiveBufferInitial: 65536 });
  t.ok(Object.isFrozen(tcp));
  t.same(checkOptions({ tcp: {} }), checkOptions());
  for (const [name, [least, most]] of Object.entries(LIMIT_RANGES)) {
    const standard = (checkOptions().tcp as unknown as Record<string, number>)[name]!;
    t.ok(least <= standard && standard <= most, `${name}: the default ${standard} is within ${least} to ${most}`);
  }
});

t.test('addresses that the network gives', async (t) => {
  t.match(checkOptions({ device: 'packet:eth0', address: 'dhcp' }), {
    addresses: ['dhcp'], gateways: [], probeAddress: false, addressTimeoutUs: 30e6, clientId: null, addressSecret: null,
  });
  const { addresses, gateways } = checkOptions({ device: 'macvlan:eth0', address: ['slaac', '2001:DB8::2/64', 'dhcp'] });
  t.strictSame([addresses, gateways], [['slaac', '2001:db8::2/64', 'dhcp'], []], 'in the order of the option');
  t.strictSame(checkOptions({ device: 'tap:tcp0', address: ['198.18.0.2/24', 'slaac'], gateway: '198.18.0.1' }).gateways, ['198.18.0.1'], 'a router of the other family');
  t.match(checkOptions({ device: 'tap:tcp0', address: 'dhcp', addressTimeout: 1000, clientId: 'web1', addressSecret: 'x', probeAddress: true }), {
    addressTimeoutUs: 1e6, clientId: 'web1', addressSecret: 'x', probeAddress: true,
  });
});

t.test('several TCP servers', async (t) => {
  t.equal(checkOptions().servers, 1);
  t.equal(checkOptions({ servers: 3 }).servers, 3);
  t.equal(checkOptions({ ...packet, servers: 16 }).servers, 16);
  const [cpu] = allowedCpus() as [number];
  t.strictSame(checkOptions({ cpu: [cpu, cpu] }).cpu, [cpu]);
  t.equal(checkOptions({ servers: 'auto', cpu: [cpu] }).servers, 1);
  t.equal(checkOptions({ servers: 'auto' }).servers, Math.max(1, allowedCpus().length >> 1));
  for (const alone of [{ device: 'tap:tcp0', address: '198.18.0.2/24' }, { ...packet, address: 'shared' }, { ...packet, address: 'dhcp' }, { thread: 'app' as const }]) {
    t.equal(checkOptions({ ...alone, servers: 'auto' }).servers, 1);
  }
});

t.test('CPUs as the kernel lists them', async (t) => {
  t.same(allowedCpus('Name: x\nCpus_allowed_list:\t0-2,5,7-8\n'), [0, 1, 2, 5, 7, 8]);
});

const REFUSED: [string, unknown, string, RegExp][] = [
  ['no TCP server', { servers: 0 }, 'ERR_OUT_OF_RANGE', /options\.servers.*1 to 16/],
  ['part of a TCP server', { servers: 1.5 }, 'ERR_OUT_OF_RANGE', /options\.servers.*1 to 16/],
  ['a number of them in words', { servers: 'two' }, 'ERR_INVALID_ARG_TYPE', /options\.servers.*'auto'/],
  ['several on a TAP interface', { ...packet, device: 'tap:tcp0', servers: 2 }, 'ERR_INVALID_ARG_VALUE', /options\.servers.*must be 1 with the device 'tap:tcp0'/],
  ['a thread that there is not', { thread: 'main' }, 'ERR_INVALID_ARG_VALUE', /options\.thread.*'own', 'app' or 'auto'/],
  ['several in one thread', { servers: 2, thread: 'app' }, 'ERR_INVALID_ARG_VALUE', /options\.servers.*thread: 'own'/],
  ['several with the addresses of the kernel', { ...packet, address: 'shared', servers: 2 }, 'ERR_INVALID_ARG_VALUE', /options\.servers.*addresses of the TCP server's own/],
  ['several with a leased address', { ...packet, address: 'dhcp', servers: 2 }, 'ERR_INVALID_ARG_VALUE', /options\.servers.*addresses of the TCP server's own/],
  ['no CPU in a list', { cpu: [] }, 'ERR_INVALID_ARG_VALUE', /options\.cpu.*must name a CPU/],
  ['a CPU in a list that there is not', { cpu: [0, 4095] }, 'ERR_OUT_OF_RANGE', /options\.cpu.*4095/],
  ['no object', 'loopback', 'ERR_INVALID_ARG_TYPE', /"options" argument must be of type object/],
  ['an option that there is not', { gatway: '1.2.3.4' }, 'ERR_INVALID_ARG_VALUE', /options\.gatway.*is not an option.*gateway/],
  ['a device that is a number', { device: 1 }, 'ERR_INVALID_ARG_TYPE', /options\.device.*packet:eth0/],
  ['a device that there is not', { device: 'wire:x' }, 'ERR_INVALID_ARG_VALUE', /options\.device.*'wire:x'.*packet:eth0/],
  ['a device without a name', { ...packet, device: 'tap:' }, 'ERR_INVALID_ARG_VALUE', /options\.device.*'tap:'/],
  ['an interface name that is too long', { ...packet, device: 'packet:abcdefghijklmnop' }, 'ERR_INVALID_ARG_VALUE', /at most 15 bytes/],
  ['queues of what has no choice of them', { ...packet, device: 'packet:eth0:4' }, 'ERR_INVALID_ARG_VALUE', /no number of queues.*'packet:eth0'/],
  ['no queue', { ...packet, device: 'tap:tcp0:0' }, 'ERR_INVALID_ARG_VALUE', /1 to 16 queues.*'tap:tcp0:4'/],
  ['too many queues', { ...packet, device: 'tun:tcp0:17' }, 'ERR_INVALID_ARG_VALUE', /1 to 16 queues/],
  ['queues that are no number', { ...packet, device: 'tap:tcp0:x' }, 'ERR_INVALID_ARG_VALUE', /names no device/],
  ['an interface without an address', { device: 'packet:eth0' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*198\.18\.0\.2\/24/],
  ['a shared address on the loopback device', { address: 'shared' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*packet or AF_XDP device, not with 'loopback'/],
  ['a shared address on a TAP device', { device: 'tap:tcp0', address: 'shared' }, 'ERR_INVALID_ARG_VALUE', /packet or AF_XDP device, not with 'tap:tcp0'.*packet:eth0/],
  ['a shared address with raw sockets', { device: 'raw:eth0', address: 'shared' }, 'ERR_INVALID_ARG_VALUE', /raw device always shares one: write the address/],
  ['a shared address among others', { ...packet, address: ['shared', '198.18.0.2/24'] }, 'ERR_INVALID_ARG_VALUE', /'shared' alone/],
  ['a gateway with a shared address', { ...packet, address: 'shared', gateway: '198.18.0.1' }, 'ERR_INVALID_ARG_VALUE', /options\.gateway.*left out.*ip route/],
  ['an address of the network on the loopback device', { address: 'dhcp' }, 'ERR_INVALID_ARG_VALUE', /left out on the loopback device/],
  ['an address of the network without Ethernet', { device: 'tun:tcp0', address: 'dhcp' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*has Ethernet, not with 'tun:tcp0'/],
  ['an address of the network with raw sockets', { device: 'raw:eth0', address: ['slaac'] }, 'ERR_INVALID_ARG_VALUE', /has Ethernet, not with 'raw:eth0'/],
  ['a lease beside an IPv4 address', { ...packet, address: ['198.18.0.2/24', 'dhcp'] }, 'ERR_INVALID_ARG_VALUE', /'dhcp' or an IPv4 address, not both/],
  ['a word twice', { ...packet, address: ['dhcp', 'dhcp'] }, 'ERR_INVALID_ARG_VALUE', /options\.address\[1\].*twice/],
  ['a word that there is not', { ...packet, address: 'DHCP' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*'dhcp' or 'slaac'/],
  ['a gateway with a lease', { ...packet, address: 'dhcp', gateway: '198.18.0.1' }, 'ERR_INVALID_ARG_VALUE', /options\.gateway.*left out with the address 'dhcp'/],
  ['a gateway with SLAAC', { ...packet, address: ['198.18.0.2/24', 'slaac'], gateway: ['198.18.0.1', 'fe80::1'] }, 'ERR_INVALID_ARG_VALUE', /options\.gateway\[1\].*'slaac'/],
  ['a probe in words', { ...packet, probeAddress: 'yes' }, 'ERR_INVALID_ARG_TYPE', /options\.probeAddress.*boolean/],
  ['a probe for a shared address', { ...packet, address: 'shared', probeAddress: true }, 'ERR_INVALID_ARG_VALUE', /options\.probeAddress.*'shared'/],
  ['no time for addresses', { ...packet, address: 'dhcp', addressTimeout: 999 }, 'ERR_OUT_OF_RANGE', /options\.addressTimeout.*>= 1000/],
  ['a client identifier that is too long', { ...packet, address: 'dhcp', clientId: 'é'.repeat(128) }, 'ERR_INVALID_ARG_VALUE', /options\.clientId.*254 bytes/],
  ['a client identifier that is a number', { ...packet, address: 'dhcp', clientId: 1 }, 'ERR_INVALID_ARG_TYPE', /options\.clientId/],
  ['an empty secret', { ...packet, address: 'slaac', addressSecret: '' }, 'ERR_INVALID_ARG_VALUE', /options\.addressSecret/],
  ['an address without a prefix', { ...packet, address: '198.18.0.2' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*A\.B\.C\.D\/len/],
  ['a prefix of 33', { ...packet, address: '198.18.0.2/33' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['a prefix of 0', { ...packet, address: '198.18.0.2/0' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['an octet of 256', { ...packet, address: '198.18.0.256/24' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['the address of the network', { ...packet, address: '198.18.0.0/24' }, 'ERR_INVALID_ARG_VALUE', /whole network/],
  ['the broadcast address', { ...packet, address: '198.18.0.255/24' }, 'ERR_INVALID_ARG_VALUE', /broadcast/],
  ['a multicast address', { ...packet, address: '224.0.0.1/24' }, 'ERR_INVALID_ARG_VALUE', /one host/],
  ['a loopback address on an interface', { ...packet, address: '127.0.0.1/8' }, 'ERR_INVALID_ARG_VALUE', /loopback device/],
  ['an address on the loopback device', { address: '127.0.0.1/8' }, 'ERR_INVALID_ARG_VALUE', /left out on the loopback device/],
  ['a gateway elsewhere', { ...packet, gateway: '198.18.1.1' }, 'ERR_INVALID_ARG_VALUE', /options\.gateway.*within 198\.18\.0\.2\/24/],
  ['a gateway that is oneself', { ...packet, gateway: '198.18.0.2' }, 'ERR_INVALID_ARG_VALUE', /own address/],
  ['a gateway on the loopback device', { gateway: '127.0.0.2' }, 'ERR_INVALID_ARG_VALUE', /loopback/],
  ['no address in the list', { ...packet, address: [] }, 'ERR_INVALID_ARG_VALUE', /options\.address.*1 to 16 addresses/],
  ['too many addresses', { ...packet, address: Array.from({ length: 17 }, (_, i) => `2001:db8::${i}/64`) }, 'ERR_INVALID_ARG_VALUE', /1 to 16 addresses/],
  ['a number among the addresses', { ...packet, address: ['198.18.0.2/24', 6] }, 'ERR_INVALID_ARG_TYPE', /options\.address\[1\]/],
  ['an address twice', { ...packet, address: ['2001:db8::2/64', '2001:db8:0::2/48'] }, 'ERR_INVALID_ARG_VALUE', /options\.address\[1\].*twice/],
  ['two IPv4 addresses', { ...packet, address: ['198.18.0.2/24', '198.18.0.3/24'] }, 'ERR_INVALID_ARG_VALUE', /options\.address\[1\].*second IPv4/],
  ['IPv6 without a prefix', { ...packet, address: '2001:db8::2' }, 'ERR_INVALID_ARG_VALUE', /options\.address.*X:X::X\/len.*2001:db8::2\/64/],
  ['a prefix of 129', { ...packet, address: '2001:db8::2/129' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['an IPv6 prefix of 0', { ...packet, address: '2001:db8::2/0' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['a zone', { ...packet, address: 'fe80::2%eth0/64' }, 'ERR_INVALID_ARG_VALUE', /options\.address/],
  ['::1 on an interface', { ...packet, address: '::1/128' }, 'ERR_INVALID_ARG_VALUE', /loopback device/],
  ['no IPv6 address', { ...packet, address: '::/64' }, 'ERR_INVALID_ARG_VALUE', /one host/],
  ['an IPv6 group', { ...packet, address: 'ff02::1/64' }, 'ERR_INVALID_ARG_VALUE', /one host/],
  ['an IPv4 address within IPv6', { ...packet, address: '::198.18.0.2/120' }, 'ERR_INVALID_ARG_VALUE', /IPv4 address in the form of IPv6/],
  ['::1 on the loopback device', { address: '::1/128' }, 'ERR_INVALID_ARG_VALUE', /left out on the loopback device/],
  ['an IPv6 gateway elsewhere', { ...packet, address: '2001:db8::2/64', gateway: '2001:db8:1::1' }, 'ERR_INVALID_ARG_VALUE', /within 2001:db8::2\/64, or link-local/],
  ['an IPv6 gateway for IPv4', { ...packet, gateway: 'fe80::1' }, 'ERR_INVALID_ARG_VALUE', /address of its family/],
  ['an IPv6 gateway that is oneself', { ...packet, address: '2001:db8::2/64', gateway: '2001:db8::2' }, 'ERR_INVALID_ARG_VALUE', /own address/],
  ['two gateways of one family', { ...packet, gateway: ['198.18.0.1', '198.18.0.3'] }, 'ERR_INVALID_ARG_VALUE', /options\.gateway\[1\].*second one/],
  ['a gateway that is no address', { ...packet, gateway: 'router' }, 'ERR_INVALID_ARG_VALUE', /options\.gateway.*A\.B\.C\.D.*X:X::X/],
  ['settings that are no object', { tcp: 'fast' }, 'ERR_INVALID_ARG_TYPE', /options\.tcp/],
  ['a setting that there is not', { tcp: { nagle: false } }, 'ERR_INVALID_ARG_VALUE', /options\.tcp\.nagle.*is not an option.*congestion/],
  ['a setting that stands elsewhere', { tcp: { receiveBuffer: 65536 } }, 'ERR_INVALID_ARG_VALUE', /options\.tcp\.receiveBuffer.*is not an option/],
  ['a congestion control that there is not', { tcp: { congestion: 'vegas' } }, 'ERR_INVALID_ARG_VALUE', /options\.tcp\.congestion.*'cubic'.*vegas/],
  ['a switch that is a number', { tcp: { sack: 1 } }, 'ERR_INVALID_ARG_TYPE', /options\.tcp\.sack/],
  ['a time beyond all measure', { tcp: { delayedAckMs: 501 } }, 'ERR_OUT_OF_RANGE', /options\.tcp\.delayedAckMs.*<= 500/],
  ['ports the wrong way round', { tcp: { ephemeralFirst: 50_000, ephemeralLast: 40_000 } }, 'ERR_OUT_OF_RANGE', /ephemeralFirst.*40000.*ephemeralLast/],
  ['an empty namespace', { netns: '' }, 'ERR_INVALID_ARG_VALUE', /options\.netns.*ip netns/],
  ['a CPU that is not there', { cpu: 4096 }, 'ERR_OUT_OF_RANGE', /options\.cpu.*may run on: .*4096/],
  ['a CPU in words', { cpu: 'first' }, 'ERR_INVALID_ARG_TYPE', /options\.cpu.*'auto'/],
  ['a negative spin', { spin: -1 }, 'ERR_OUT_OF_RANGE', /options\.spin.*>= 0 and <= 1000000.*-1/],
  ['half a flow', { maxFlows: 100.5 }, 'ERR_OUT_OF_RANGE', /options\.maxFlows.*integer/],
  ['two flows', { maxFlows: 2 }, 'ERR_OUT_OF_RANGE', /options\.maxFlows.*>= 16/],
  ['no apps', { maxApps: 0 }, 'ERR_OUT_OF_RANGE', /options\.maxApps.*>= 1/],
  ['NaN bytes', { receiveMemory: NaN }, 'ERR_OUT_OF_RANGE', /options\.receiveMemory/],
  ['a tiny send buffer', { sendBuffer: 1 }, 'ERR_OUT_OF_RANGE', /options\.sendBuffer.*>= 16384/],
  ['a capture in no folder', { pcap: '/no/such/folder/a.pcap' }, 'ERR_INVALID_ARG_VALUE', /options\.pcap.*\/no\/such\/folder/],
  ['a loss of 2', { fault: { loss: 2 } }, 'ERR_OUT_OF_RANGE', /options\.fault\.loss.*<= 1/],
  ['a misspelt fault', { fault: { lost: 1 } }, 'ERR_INVALID_ARG_VALUE', /options\.fault\.lost.*There are loss/],
];

t.test('what is refused', async (t) => {
  for (const [name, options, code, message] of REFUSED) t.throws(() => checkOptions(options as TcpServerOptions), { code, message }, name);
});

t.test('errors of the network read as Node\'s', async (t) => {
  t.match(connectError(111, '127.0.0.1', 80), {
    message: 'connect ECONNREFUSED 127.0.0.1:80', code: 'ECONNREFUSED', errno: -111, syscall: 'connect', address: '127.0.0.1', port: 80,
  });
  t.match(connectError(98, '127.0.0.1', 80, { address: '127.0.0.2', port: 7 }), {
    message: 'connect EADDRINUSE 127.0.0.1:80 - Local (127.0.0.2:7)', localAddress: '127.0.0.2', localPort: 7,
  });
  t.match(listenError(98, '0.0.0.0', 80), { message: 'listen EADDRINUSE: address already in use 0.0.0.0:80', code: 'EADDRINUSE', errno: -98, port: 80 });
  t.match(transferError(104, 'read'), { message: 'read ECONNRESET', code: 'ECONNRESET', errno: -104, syscall: 'read' });
  t.equal(transferError(999, 'read').code, 'E999', 'one that has no name');
  t.match(new TcpServerError('ERR_TCP_SERVER_DIED', 'gone'), { name: 'TcpServerError', code: 'ERR_TCP_SERVER_DIED', message: 'gone' });
});

/** What the XDP program beside the kernel takes, and what it leaves to the kernel: run by the kernel, frame by frame. */
import t from 'tap';
import { createSocketMap, loadXdpProgram, setSocket } from '../../lib/nic/bpf.js';
import { close, SOCK_RAW, socket } from '../../lib/nic/syscalls.js';
import { AF_XDP } from '../../lib/nic/xdp_abi.js';
import { portProgram } from '../../lib/nic/xdp_port_program.js';
import { XdpPorts } from '../../lib/nic/xdp_ports.js';
import { runXdp, SHORTEST } from './bpf_run.js';
import { needsRoot } from './support.js';

const TAKEN = 'taken';
const PASSED = 'passed';

const hex = (text: string): Buffer => Buffer.from(text.replaceAll(' ', ''), 'hex');
const word = (value: number): string => value.toString(16).padStart(4, '0');
const byte = (value: number): string => value.toString(16).padStart(2, '0');

/** Ports of ours. The bytes of the first are another port the other way round. */
const PORT = 0x01bb;
const SECOND_PORT = 0xc350;
const OWN4 = 'c6124d01';
const SECOND4 = 'c6124d09';
const OWN6 = '20010db8000000000000000000000001';
const LINK_LOCAL = 'fe80000000000000020000fffe00000a';
const OTHER4 = 'c6124d02';
const OTHER6 = 'fe800000000000000000000000000009';

const ethernet = (type: string, content: string): Buffer => hex(`02000000000a 020000000099 ${type} ${content}`);
const tcp = (to: number, from = 0x9c40): string => `${word(from)} ${word(to)} 10000001 00000000 5002 ffff 0000 0000`;

interface Parts4 { to?: string; from?: string; protocol?: number; fragment?: number; id?: number; options?: string }

function packet4(content: string, { to = OWN4, from = OTHER4, protocol = 6, fragment = 0x4000, id = 7, options = '' }: Parts4 = {}): string {
  const length = 20 + options.length / 2 + content.replaceAll(' ', '').length / 2;
  return `4${(5 + options.length / 8).toString(16)}00 ${word(length)} ${word(id)} ${word(fragment)} 40 ${byte(protocol)} beef ${from} ${to} ${options} ${content}`;
}

const four = (content: string, parts?: Parts4): Buffer => ethernet('0800', packet4(content, parts));

interface Parts6 { to?: string; from?: string; next?: number }

function packet6(content: string, { to = OWN6, from = OTHER6, next = 6 }: Parts6 = {}): string {
  return `60000000 ${word(content.replaceAll(' ', '').length / 2)} ${byte(next)} 40 ${from} ${to} ${content}`;
}

const six = (content: string, parts?: Parts6): Buffer => ethernet('86dd', packet6(content, parts));

/** An extension header. @param length in units of 8 bytes. */
const extension = (next: number, length = 1): string => `${byte(next)} ${byte(length - 1)} ${'00'.repeat(8 * length - 2)}`;
/** A fragment header. @param at where the data belong, in bytes. */
const fragmentHeader = (next: number, id: number, at: number, more: boolean): string => `${byte(next)} ff ${word(at | (more ? 1 : 0))} ${word(0)} ${word(id)}`;

/** An error about a packet of ours. */
const error = (type: number, about: string): string => `${byte(type)} 05 beef 00000000 ${about}`;
const sent4 = (from: number, parts?: Parts4): string => packet4(tcp(80, from).slice(0, 19), { from: OWN4, to: OTHER4, ...parts });
const sent6 = (from: number, parts?: Parts6): string => packet6(tcp(80, from).slice(0, 19), { from: OWN6, to: OTHER6, ...parts });

interface Loaded {
  run(frame: Uint8Array): string;
  ports: XdpPorts;
}

/** The program as the kernel has loaded it, for the addresses. @param withSocket its queue has one. */
function load(t: { teardown(task: () => void): unknown }, addresses: readonly string[], withSocket = true): Loaded {
  const ports = new XdpPorts();
  const sockets = createSocketMap(1);
  const fd = socket(AF_XDP, SOCK_RAW, 0, 'cannot have a socket');
  if (withSocket) setSocket(sockets, 0, fd);
  const program = loadXdpProgram(portProgram(addresses.map(hex), { sockets, ports: ports.ports, fragments: ports.fragments }));
  t.teardown(() => {
    for (const each of [program, fd, sockets]) close(each);
    ports.close();
    ports.close();
  });
  for (const port of [PORT, SECOND_PORT]) if (ports.add(port) !== 0) throw new Error('a port is not taken');
  return { run: (frame) => runXdp(program, frame), ports };
}

const ALL = [OWN4, SECOND4, OWN6, LINK_LOCAL];

t.test('what is taken, as soon as it is told by what has come of it', needsRoot, (t) => {
  const { run } = load(t, ALL);
  const options = '01010100'.repeat(2);
  const frames: [what: string, frame: Buffer, needs: number][] = [
    ['TCP to a port of ours', four(tcp(PORT)), 38],
    ['to another one', four(tcp(SECOND_PORT)), 38],
    ['to the second address', four(tcp(PORT), { to: SECOND4 }), 38],
    ['from whatever port', four(tcp(PORT, 8080)), 38],
    ['behind options', four(tcp(PORT), { options }), 46],
    ['behind all options that there may be', four(tcp(PORT), { options: '01'.repeat(40) }), 78],
    ['IPv6', six(tcp(PORT)), 58],
    ['IPv6 to a link-local address', six(tcp(PORT), { to: LINK_LOCAL }), 58],
    ['behind options for each hop', six(extension(6) + tcp(PORT), { next: 0 }), 66],
    ['behind a routing header of 24 bytes', six(extension(6, 3) + tcp(PORT), { next: 43 }), 82],
    ['behind the longest options for the destination', six(extension(6, 256) + tcp(PORT), { next: 60 }), 2106],
    ['behind eight headers', six(extension(60).repeat(7) + extension(6) + tcp(PORT), { next: 60 }), 122],
    ['an atomic fragment', six(fragmentHeader(6, 1, 0, false) + tcp(PORT), { next: 44 }), 66],
    ['unreachable', four(error(3, sent4(PORT)), { protocol: 1 }), 64],
    ['time exceeded', four(error(11, sent4(PORT)), { protocol: 1 }), 64],
    ['a problem with a parameter', four(error(12, sent4(PORT)), { protocol: 1 }), 64],
    ['an error behind options', four(error(3, sent4(PORT)), { protocol: 1, options }), 72],
    ['an error about a packet with options', four(error(3, sent4(PORT, { options })), { protocol: 1 }), 72],
    ...[1, 2, 3, 4, 127].map((type): [string, Buffer, number] => [`ICMPv6 of type ${type}`, six(error(type, sent6(PORT)), { next: 58 }), 104]),
    ['ICMPv6 behind an extension header', six(extension(58) + error(2, sent6(PORT)), { next: 60 }), 112],
  ];
  for (const [what, frame, needs] of frames) {
    t.equal(run(frame), TAKEN, what);
    const first = Array.from({ length: frame.length - SHORTEST }, (_, i) => i + SHORTEST).find((length) => run(frame.subarray(0, length)) === TAKEN);
    t.equal(first, needs, `${what}, cut off`);
  }
  t.end();
});

t.test('what is left to the kernel', needsRoot, (t) => {
  const { run } = load(t, ALL);
  const frames: Record<string, Buffer> = {
    'TCP to another port': four(tcp(80)),
    'to the port of the same bytes the other way round': four(tcp(0xbb01)),
    'from a port of ours to another': four(tcp(80, PORT)),
    'to port 0': four(tcp(0)),
    'to another port behind options': four(tcp(80), { options: '01010100' }),
    'to another address': four(tcp(PORT), { to: OTHER4 }),
    'UDP to a port of ours': four(tcp(PORT), { protocol: 17 }),
    'another protocol with the bytes of an error': four(error(3, sent4(PORT)), { protocol: 132 }),
    'an echo request': four(error(8, sent4(PORT)), { protocol: 1 }),
    'an echo reply': four(error(0, sent4(PORT)), { protocol: 1 }),
    'a redirect': four(error(5, sent4(PORT)), { protocol: 1 }),
    'an error about another port': four(error(3, sent4(80)), { protocol: 1 }),
    'an error about a segment to a port of ours': four(error(3, packet4(tcp(PORT, 80).slice(0, 19), { from: OWN4, to: OTHER4 })), { protocol: 1 }),
    'an error about UDP': four(error(3, sent4(PORT, { protocol: 17 })), { protocol: 1 }),
    'an error about a later fragment': four(error(3, sent4(PORT, { fragment: 0x00b9 })), { protocol: 1 }),
    'an error in fragments': four(error(3, sent4(PORT)), { protocol: 1, fragment: 0x2000 }),
    'a later fragment of an error': four(error(3, sent4(PORT)), { protocol: 1, fragment: 0x00b9 }),
    'ARP': ethernet('0806', `0001 0800 06 04 0001 020000000099 ${OTHER4} 000000000000 ${OWN4}`),
    'a VLAN': ethernet('8100', `0005 0800 ${packet4(tcp(PORT))}`),
    'another protocol': ethernet('88b5', packet4(tcp(PORT))),
    'IPv6 to another port': six(tcp(80)),
    'IPv6 to another address': six(tcp(PORT), { to: OTHER6 }),
    'IPv6 to a group': six(tcp(PORT), { to: 'ff020000000000000000000000000001' }),
    'UDP over IPv6': six(tcp(PORT), { next: 17 }),
    'another port behind an extension header': six(extension(6, 2) + tcp(80), { next: 0 }),
    'UDP behind an extension header': six(extension(17, 2) + tcp(PORT), { next: 0 }),
    'behind nine headers': six(extension(60).repeat(8) + extension(6) + tcp(PORT), { next: 60 }),
    'behind a header of another kind': six(extension(6) + tcp(PORT), { next: 51 }),
    'an echo request of ICMPv6': six(error(128, sent6(PORT)), { next: 58 }),
    'a neighbour solicitation': six(error(135, sent6(PORT)), { next: 58 }),
    'an error of ICMPv6 about another port': six(error(2, sent6(80)), { next: 58 }),
    'an error of ICMPv6 about UDP': six(error(1, sent6(PORT, { next: 17 })), { next: 58 }),
    'an error of ICMPv6 in fragments': six(fragmentHeader(58, 1, 0, true) + error(2, sent6(PORT)), { next: 44 }),
  };
  for (const [what, frame] of Object.entries(frames)) t.equal(run(frame), PASSED, what);
  t.end();
});

t.test('ports come and go, byte for byte', needsRoot, (t) => {
  const { run, ports } = load(t, ALL);
  for (const port of [1, 255, 256, 0x1234, 65535]) {
    t.equal(run(four(tcp(port))), PASSED);
    t.equal(ports.add(port), 0);
    t.equal(run(four(tcp(port))), TAKEN);
    t.equal(run(six(tcp(port))), TAKEN);
    t.equal(ports.remove(port), 0);
    t.equal(run(four(tcp(port))), PASSED);
  }
  t.equal(run(four(tcp(PORT))), TAKEN, 'the others stay');
  t.end();
});

/** Fragments of one packet, of either family: the first one, and a later one. */
interface Fragments {
  first(port: number, parts?: { id?: number; from?: string; to?: string }): Buffer;
  later(parts?: { id?: number; from?: string; to?: string }): Buffer;
  last(parts?: { id?: number; from?: string; to?: string }): Buffer;
  readonly other: string;
  readonly second: string;
}

const DATA = '00'.repeat(16);
const FRAGMENTS: Record<string, Fragments> = {
  IPv4: {
    first: (port, parts) => four(tcp(port), { fragment: 0x2000, ...parts }),
    later: (parts) => four(DATA, { fragment: 0x2000 | 3, ...parts }),
    last: (parts) => four(DATA, { fragment: 5, ...parts }),
    other: 'c6124d03', second: SECOND4,
  },
  IPv6: {
    first: (port, { id = 7, ...parts } = {}) => six(fragmentHeader(6, id, 0, true) + tcp(port), { next: 44, ...parts }),
    later: ({ id = 7, ...parts } = {}) => six(fragmentHeader(6, id, 24, true) + DATA, { next: 44, ...parts }),
    last: ({ id = 7, ...parts } = {}) => six(fragmentHeader(6, id, 40, false) + DATA, { next: 44, ...parts }),
    other: 'fe80000000000000000000000000000a', second: LINK_LOCAL,
  },
};

for (const [family, { first, later, last, other, second }] of Object.entries(FRAGMENTS)) {
  t.test(`${family}: fragments go where their first one went`, needsRoot, (t) => {
    const { run } = load(t, ALL);
    t.equal(run(later()), PASSED, 'one that comes before it is the kernel\'s');
    t.equal(run(first(80)), PASSED);
    t.equal(run(later()), PASSED);
    t.equal(run(first(PORT)), TAKEN);
    for (const _ of [1, 2]) t.same([run(later()), run(last())], [TAKEN, TAKEN]);
    for (const [what, parts] of Object.entries({ identification: { id: 8 }, source: { from: other }, destination: { to: second } })) {
      t.equal(run(later(parts)), PASSED, `of another ${what}`);
      t.equal(run(first(PORT, parts)), TAKEN);
      t.equal(run(later(parts)), TAKEN);
    }
    t.equal(run(first(80)), PASSED, 'one of the kernel\'s with the same identification');
    t.same([run(later()), run(last())], [PASSED, PASSED]);
    t.equal(run(first(PORT).subarray(0, first(PORT).length - 17)), PASSED, 'without a port');
    t.equal(run(last()), PASSED);
    t.end();
  });
}

t.test('fragments of other protocols are the kernel\'s, whatever their identification', needsRoot, (t) => {
  const { run } = load(t, ALL);
  t.equal(run(FRAGMENTS['IPv4']!.first(PORT)), TAKEN);
  t.equal(run(four(DATA, { fragment: 3, protocol: 17 })), PASSED);
  t.equal(run(four(tcp(PORT), { fragment: 0x2000, protocol: 17 })), PASSED);
  t.equal(run(FRAGMENTS['IPv4']!.later()), TAKEN);
  t.equal(run(four(tcp(PORT), { id: 8 })), TAKEN);
  t.equal(run(FRAGMENTS['IPv4']!.later({ id: 8 })), PASSED, 'a segment that is whole has no fragments');
  t.equal(run(six(fragmentHeader(6, 8, 6, false) + tcp(PORT), { next: 44 })), TAKEN);
  t.equal(run(FRAGMENTS['IPv6']!.later({ id: 8 })), PASSED, 'nor has an atomic one, whatever its reserved bits');
  t.equal(run(six(extension(44) + fragmentHeader(60, 9, 0, true) + extension(6) + tcp(PORT), { next: 0 })), TAKEN, 'a first fragment between extension headers');
  t.equal(run(six(extension(44) + fragmentHeader(60, 9, 32, false) + DATA, { next: 0 })), TAKEN);
  t.end();
});

t.test('the oldest fragments are forgotten where there are too many', needsRoot, (t) => {
  const { run } = load(t, ALL);
  const { first, later } = FRAGMENTS['IPv6']!;
  for (let id = 0; id < 10_000; id++) run(first(PORT, { id }));
  t.equal(run(later({ id: 9999 })), TAKEN);
  t.equal(run(later({ id: 0 })), PASSED);
  t.end();
});

t.test('of one family, the other is the kernel\'s; without a socket all is', needsRoot, (t) => {
  const frames = [four(tcp(PORT)), six(tcp(PORT))];
  t.same(frames.map(load(t, [OWN4]).run), [TAKEN, PASSED]);
  t.same(frames.map(load(t, [OWN6]).run), [PASSED, TAKEN]);
  t.same(frames.map(load(t, ALL, false).run), [PASSED, PASSED]);
  const many = Array.from({ length: 16 }, (_, i) => `${OWN6.slice(0, -2)}${byte(i)}`);
  t.same(frames.map(load(t, many).run), [PASSED, TAKEN]);
  const maps = { sockets: 0, ports: 0, fragments: 0 };
  for (const addresses of [[], [new Uint8Array(5)]]) t.throws(() => portProgram(addresses, maps), TypeError);
  t.end();
});

/** The bytes of BPF programs, and what the redirect program does with frames, in an interpreter of the instructions that it is made of. */
import t from 'tap';
import { Assembler, INSTRUCTION } from '../../lib/nic/bpf_assembler.js';
import { redirectProgram } from '../../lib/nic/xdp_program.js';

const MAC = Uint8Array.of(2, 0, 0, 0, 0, 0x0a);
const OWN4 = Uint8Array.of(192, 0, 2, 7);
const OWN6 = Uint8Array.from(Buffer.from('20010db8000000000000000000000007', 'hex'));
const LINK_LOCAL = Uint8Array.from(Buffer.from('fe800000000000000102030405060708', 'hex'));
const MAP = 9;

t.test('instructions, byte for byte', (t) => {
  const hex = (program: Assembler): string => Buffer.from(program.assemble()).toString('hex').replace(/.{16}(?=.)/g, '$& ');
  t.equal(hex(new Assembler().load(1, 4, 2, 20).load(2, 4, 2, 12).load(4, 3, 1, 4)), '7124140000000000 69240c0000000000 6113040000000000');
  t.equal(hex(new Assembler().set(0, 2).move(4, 2).add(4, -14).exit()), 'b700000002000000 bf24000000000000 07040000f2ffffff 9500000000000000');
  t.equal(hex(new Assembler().loadMap(1, 9).call(51)), '1811000009000000 0000000000000000 8500000033000000');
  t.equal(hex(new Assembler().store(1, 10, -8, 4).store(2, 10, -8, 4).store(4, 10, -8, 4)), '734af8ff00000000 6b4af8ff00000000 634af8ff00000000');
  t.equal(hex(new Assembler().storeValue(1, 10, -8, 1).storeValue(2, 10, -8, -1).storeValue(4, 10, -8, 7)), '720af8ff01000000 6a0af8ffffffffff 620af8ff07000000');
  t.equal(hex(new Assembler().and(4, 15).shiftLeft(4, 2).addRegister(5, 4)), '570400000f000000 6704000002000000 0f45000000000000');
  const jumps = new Assembler().at('back').jumpIfGreater(4, 3, 'end').jumpIfEqual(4, 0x0608, 'end').jumpIfNotEqual(4, -1, 'back').jumpIfAnyBit(4, 1, 'end').jumpIfNull(0, 'end').jump('back').at('end').exit();
  t.equal(hex(jumps), '2d34050000000000 1604040008060000 5604fdffffffffff 4604020001000000 1500010000000000 0500faff00000000 9500000000000000');
  t.throws(() => new Assembler().jump('nowhere').assemble(), /no label 'nowhere'/);
  t.throws(() => new Assembler().at('here').at('here'), /'here' stands twice/);
  const far = new Assembler().jump('end');
  for (let i = 0; i < 32768; i++) far.set(0, 0);
  t.throws(() => far.at('end').exit().assemble(), /too far/);
  t.end();
});

t.test('the whole program for one address of IPv4', (t) => {
  const words = [...Buffer.from(redirectProgram(MAC, [OWN4], MAP)).toString('hex').matchAll(/.{16}/g)].map(([word]) => word);
  t.strictSame(words, [
    '6112000000000000 6113040000000000 bf24000000000000 070400000e000000 2d34280000000000', // data, data_end; 14 bytes or pass
    '7124000000000000 4604040001000000', // a group
    '6924000000000000 5604240002000000',
    '6124020000000000 560422000000000a', // the rest of the link address
    '69240c0000000000 16040e0008000000 1604140086dd0000 56041e0008060000', // IPv4, IPv6, not ARP
    'bf24000000000000 070400002a000000 2d341b0000000000', // ARP: 42 bytes
    '6124260000000000 56040100c0000207 05001a0000000000', // its target: take
    '69241c0000000000 56040300c0000000 69241e0000000000 5604010002070000 0500150000000000', // its sender: take
    '0500120000000000',
    'bf24000000000000 0704000022000000 2d340f0000000000', // IPv4: 34 bytes
    '61241e0000000000 56040100c0000207 05000e0000000000 05000b0000000000', // its destination: take, or pass
    'bf24000000000000 0704000036000000 2d34080000000000', // IPv6: 54 bytes
    '7124140000000000 560406003a000000', // not ICMPv6
    'bf24000000000000 070400004e000000 2d34030000000000', // 78 bytes
    '7124360000000000 1604010087000000 5604000088000000', // neither solicitation nor advertisement
    'b700000002000000 9500000000000000', // pass
    '6112100000000000 1811000009000000 0000000000000000 b703000002000000 8500000033000000 9500000000000000', // take: redirect_map(map, rx_queue_index, XDP_PASS)
  ].join(' ').split(' '));
  t.end();
});

const TAKEN = 'taken';
const PASSED = 'passed';

/** Runs a program on a frame, as the kernel would. */
function run(program: Uint8Array, frame: Uint8Array): typeof TAKEN | typeof PASSED {
  const view = new DataView(program.buffer);
  const bytes = new DataView(frame.buffer, frame.byteOffset, frame.length);
  const registers = new Array<number>(11).fill(0);
  // Of the frame the first byte has the address 0x1000; the argument is at 0.
  const load = (size: number, address: number): number => {
    if (address < 0x1000) return address === 0 ? 0x1000 : address === 4 ? 0x1000 + frame.length : 3;
    const at = address - 0x1000;
    return size === 1 ? bytes.getUint8(at) : size === 2 ? bytes.getUint16(at, true) : bytes.getUint32(at, true);
  };
  for (let at = 0, steps = 0; ; at++, steps++) {
    if (steps > 1000) throw new Error('it does not end');
    const place = at * INSTRUCTION;
    const code = view.getUint8(place);
    const [to, from] = [view.getUint8(place + 1) & 15, view.getUint8(place + 1) >> 4];
    const offset = view.getInt16(place + 2, true);
    const value = view.getInt32(place + 4, true);
    const jumpIf = (condition: boolean): void => { if (condition) at += offset; };
    switch (code) {
      case 0x71: registers[to] = load(1, registers[from]! + offset); break;
      case 0x69: registers[to] = load(2, registers[from]! + offset); break;
      case 0x61: registers[to] = load(4, registers[from]! + offset); break;
      case 0x18: registers[to] = value; at++; break;
      case 0xb7: registers[to] = value; break;
      case 0xbf: registers[to] = registers[from]!; break;
      case 0x07: registers[to]! += value; break;
      case 0x05: jumpIf(true); break;
      case 0x2d: jumpIf(registers[to]! > registers[from]!); break;
      case 0x16: jumpIf((registers[to]! | 0) === value); break;
      case 0x56: jumpIf((registers[to]! | 0) !== value); break;
      case 0x46: jumpIf((registers[to]! & value) !== 0); break;
      case 0x85:
        if (value !== 51 || registers[1] !== MAP || registers[2] !== 3 || registers[3] !== 2) throw new Error('a wrong call');
        return TAKEN;
      case 0x95: return PASSED;
      default: throw new Error(`an instruction of code ${code}`);
    }
  }
}

function ethernet(type: number, body: Uint8Array, to: Uint8Array = MAC): Uint8Array {
  const frame = new Uint8Array(14 + body.length);
  frame.set(to, 0);
  frame.set([2, 0, 0, 0, 0, 0x99, type >> 8, type & 255], 6);
  frame.set(body, 14);
  return frame;
}

const EVERYBODY = new Uint8Array(6).fill(255);
const GROUP6 = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const OTHER4 = Uint8Array.of(192, 0, 2, 8);
const OTHER6 = OWN6.map((byte, i) => (i === 15 ? 8 : byte));
const ALL_NODES = Uint8Array.from(Buffer.from('ff020000000000000000000000000001', 'hex'));

function arp(sender: Uint8Array, target: Uint8Array): Uint8Array {
  const body = new Uint8Array(28);
  body.set([0, 1, 8, 0, 6, 4, 0, 1]);
  body.set(sender, 14);
  body.set(target, 24);
  return body;
}

function ipv4(to: Uint8Array, more = 0): Uint8Array {
  const body = new Uint8Array(20 + more);
  body[0] = 0x45;
  body.set(to, 16);
  return body;
}

function ipv6(to: Uint8Array, next: number, payload: Uint8Array = new Uint8Array(0)): Uint8Array {
  const body = new Uint8Array(40 + payload.length);
  body[0] = 0x60;
  body[6] = next;
  body.set(to, 24);
  body.set(payload, 40);
  return body;
}

function ndp(type: number, target: Uint8Array): Uint8Array {
  const message = new Uint8Array(24);
  message[0] = type;
  message.set(target, 8);
  return message;
}

t.test('what is taken, and what is left to the kernel', (t) => {
  const program = redirectProgram(MAC, [OWN4, OWN6, LINK_LOCAL], MAP);
  const frames: Record<string, Uint8Array> = {
    'IPv4 to an own address': ethernet(0x0800, ipv4(OWN4, 6)),
    'the same without a payload': ethernet(0x0800, ipv4(OWN4)),
    'a question for an own address by ARP': ethernet(0x0806, arp(OTHER4, OWN4), EVERYBODY),
    'another station that says it has one': ethernet(0x0806, arp(OWN4, OTHER4), EVERYBODY),
    'IPv6 to an own address': ethernet(0x86dd, ipv6(OWN6, 6)),
    'IPv6 to the link-local one': ethernet(0x86dd, ipv6(LINK_LOCAL, 58)),
    'a neighbour solicitation for an own address': ethernet(0x86dd, ipv6(ALL_NODES, 58, ndp(135, LINK_LOCAL)), GROUP6),
    'a neighbour advertisement of one': ethernet(0x86dd, ipv6(ALL_NODES, 58, ndp(136, OWN6)), GROUP6),
  };
  for (const [what, frame] of Object.entries(frames)) {
    t.equal(run(program, frame), TAKEN, what);
    for (let length = 0; length < frame.length; length++) t.ok([TAKEN, PASSED].includes(run(program, frame.subarray(0, length))), `${what}, cut off`);
  }
  const left: Record<string, Uint8Array> = {
    'IPv4 to another address': ethernet(0x0800, ipv4(OTHER4)),
    'IPv4 to another link address': ethernet(0x0800, ipv4(OWN4), Uint8Array.of(2, 0, 0, 0, 0, 0x0b)),
    'IPv4 that is cut off': ethernet(0x0800, ipv4(OWN4).subarray(0, 19)),
    'a question for another address by ARP': ethernet(0x0806, arp(OTHER4, Uint8Array.of(192, 0, 2, 9)), EVERYBODY),
    'IPv6 to another address': ethernet(0x86dd, ipv6(OTHER6, 6)),
    'a neighbour solicitation for another': ethernet(0x86dd, ipv6(ALL_NODES, 58, ndp(135, OTHER6)), GROUP6),
    'a router advertisement': ethernet(0x86dd, ipv6(ALL_NODES, 58, ndp(134, OWN6)), GROUP6),
    'a packet to a group with an own address where a target would be': ethernet(0x86dd, ipv6(ALL_NODES, 17, ndp(135, OWN6)), GROUP6),
    'a VLAN': ethernet(0x8100, Uint8Array.of(0, 5, 8, 0, ...ipv4(OWN4))),
    'another protocol': ethernet(0x88b5, ipv4(OWN4)),
    'nothing': new Uint8Array(0),
  };
  for (const [what, frame] of Object.entries(left)) t.equal(run(program, frame), PASSED, what);
  t.end();
});

t.test('without addresses of a family, or any, all of it is the kernel\'s', (t) => {
  const [question, four, six] = [ethernet(0x0806, arp(OTHER4, OWN4), EVERYBODY), ethernet(0x0800, ipv4(OWN4)), ethernet(0x86dd, ipv6(OWN6, 6))] as const;
  const results = (addresses: readonly Uint8Array[]): string[] => [question, four, six].map((frame) => run(redirectProgram(MAC, addresses, MAP), frame));
  t.strictSame(results([]), [PASSED, PASSED, PASSED]);
  t.strictSame(results([OWN4]), [TAKEN, TAKEN, PASSED]);
  t.strictSame(results([OWN6]), [PASSED, PASSED, TAKEN]);
  t.strictSame(results(Array.from({ length: 16 }, (_, i) => OWN6.map((byte, place) => (place === 15 ? i : byte)))), [PASSED, PASSED, TAKEN]);
  t.throws(() => redirectProgram(MAC, [new Uint8Array(5)], MAP), TypeError);
  t.end();
});

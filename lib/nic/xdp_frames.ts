/** What XDP programs that look at Ethernet frames have in common: how they find and compare their bytes, and how they end. */
import type { Assembler, Label, Register } from './bpf_assembler.js';

const BPF_FUNC_REDIRECT_MAP = 51;
const XDP_PASS = 2;
// struct xdp_md, in bytes.
const DATA = 0;
const DATA_END = 4;
const RX_QUEUE_INDEX = 16;

export const RESULT: Register = 0;
/** The argument: struct xdp_md. */
export const CONTEXT: Register = 1;
/** The first byte of the frame, and the one behind its last. */
export const FRAME: Register = 2;
export const END: Register = 3;
export const VALUE: Register = 4;

/** The two ends of a program: the frame goes to the socket of its receive queue, or on to the kernel. */
export const TAKE: Label = 'take';
export const PASS: Label = 'pass';

/** What comes first: FRAME and END are there from now on. */
export function findFrame(program: Assembler): void {
  program.load(4, FRAME, CONTEXT, DATA).load(4, END, CONTEXT, DATA_END);
}

/** Leaves frames that end before `bytes` from `from` to the kernel; the verifier wants to see this before each part that is looked at. */
export function mustReach(program: Assembler, bytes: number, from: Register = FRAME): void {
  program.move(VALUE, from).add(VALUE, bytes).jumpIfGreater(VALUE, END, PASS);
}

/** Goes to `then` where one of the addresses stands at `at`. @param what stands there, for the labels. */
export function jumpIfAny(program: Assembler, what: string, at: number, addresses: readonly Uint8Array[], then: Label): void {
  for (const [i, address] of addresses.entries()) {
    const other = `${what}: not ${i}`;
    jumpUnlessSame(program, at, address, other);
    program.jump(then).at(other);
  }
}

/**
 * Jumps where the frame has other bytes at `at`. Frames begin 2 bytes before a multiple of 4, so that IP headers lie at one: words are loaded
 * from multiples of 4 alone, since some machines cannot do otherwise and the verifier refuses it there.
 */
export function jumpUnlessSame(program: Assembler, at: number, bytes: Uint8Array, label: Label): void {
  for (let i = 0; i < bytes.length;) {
    const size = (at + i + 2) % 4 === 0 && bytes.length - i >= 4 ? 4 : 2;
    program.load(size, VALUE, FRAME, at + i).jumpIfNotEqual(VALUE, asLoaded(bytes, i, size), label);
    i += size;
  }
}

/** What a load of these bytes puts into a register: their order is that of this machine, which is little-endian. */
export function asLoaded(bytes: Uint8Array, at: number, size: 2 | 4): number {
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  return size === 4 ? view.getInt32(at, true) : view.getUint16(at, true);
}

/** The end of a program that leaves the frame to the kernel. */
export function pass(program: Assembler): void {
  program.at(PASS).set(RESULT, XDP_PASS).exit();
}

/**
 * The end of a program that takes the frame. @param context where CONTEXT is now. @param sockets descriptor of the XSKMAP that has a socket for
 * each receive queue; where it has none, the frame is the kernel's.
 */
export function take(program: Assembler, context: Register, sockets: number): void {
  // The lower bits of the last argument are the result where the map has no socket.
  program.at(TAKE).load(4, 2, context, RX_QUEUE_INDEX).loadMap(1, sockets).set(3, XDP_PASS).call(BPF_FUNC_REDIRECT_MAP).exit();
}

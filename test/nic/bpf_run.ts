/** Has the kernel run an XDP program on one frame (BPF_PROG_TEST_RUN), on which nothing follows from what it returns. */
import { addressOf, bindCall, errno } from '../../lib/nic/syscalls.js';

const SYS_BPF = process.arch === 'x64' ? 321 : 280;
const BPF_PROG_TEST_RUN = 10;
const ATTRIBUTES = 72;
const XDP_PASS = 2;
const XDP_REDIRECT = 4;
/** Frames that the kernel runs a program on have a header of Ethernet at least. */
export const SHORTEST = 14;

const call = bindCall('syscall', 'long', ['long', 'int', 'void *', 'uint32_t']);

export function runXdp(program: number, frame: Uint8Array): 'taken' | 'passed' {
  const bytes = new Uint8Array(ATTRIBUTES + frame.length);
  const view = new DataView(bytes.buffer);
  bytes.set(frame, ATTRIBUTES);
  view.setUint32(0, program, true);
  view.setUint32(8, frame.length, true);
  view.setBigUint64(16, BigInt(addressOf(bytes) + ATTRIBUTES), true);
  view.setUint32(32, 1, true);
  if (call(SYS_BPF, BPF_PROG_TEST_RUN, bytes, ATTRIBUTES) < 0) throw new Error(`BPF_PROG_TEST_RUN ends with ${errno()}`);
  const result = view.getUint32(4, true);
  if (result === XDP_REDIRECT) return 'taken';
  if (result === XDP_PASS) return 'passed';
  throw new Error(`the program returns ${result}`);
}

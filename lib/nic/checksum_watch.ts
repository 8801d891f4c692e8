/**
 * Finds out that frames arrive whose TCP checksum nobody has filled in: a sender on the same machine has left it to a hardware that there is not
 * (CHECKSUM_PARTIAL in the kernel), and this device is not told. Then the field holds the sum of the pseudo-header alone. A right checksum is that
 * by chance, one in 65,536, so nothing is decided for one frame: it is dropped as what it looks like, damaged, and the operator is told once.
 */
import { ETHERNET_HEADER } from './packet_abi.js';

const IPV4 = 0x0800;
const IPV6 = 0x86dd;
const TCP = 6;
const IPV4_HEADER = 20;
const IPV6_HEADER = 40;
const TCP_HEADER = 20;
const TCP_CHECKSUM = 16;
/** Frames that are looked at one by one when there are few, and between two looks later. */
const FIRST = 256;
const INTERVAL = 256;
/** Frames that show it until it is said. */
const ENOUGH = 3;

export class ChecksumWatch {
  readonly #tell: () => void;
  #seen = 0;
  #leftOut = 0;

  /** @param tell is called once. */
  constructor(tell: () => void) {
    this.#tell = tell;
  }

  /** Looks at a received Ethernet frame, if it is its turn. */
  look(bytes: Uint8Array, at: number, length: number): void {
    this.#seen++;
    if (this.#leftOut === ENOUGH || (this.#seen > FIRST && this.#seen % INTERVAL !== 0)) return;
    if (!isLeftOut(bytes, at, length)) return;
    if (++this.#leftOut === ENOUGH) this.#tell();
  }
}

/** True for a frame with TCP whose checksum is the sum of the pseudo-header (RFC 9293 3.1, RFC 8200 8.1). */
export function isLeftOut(bytes: Uint8Array, at: number, length: number): boolean {
  const packet = at + ETHERNET_HEADER;
  const type = half(bytes, at + ETHERNET_HEADER - 2);
  let sum = TCP;
  let tcp: number;
  if (type === IPV4 && bytes[packet] === 0x45 && bytes[packet + 9] === TCP) {
    tcp = packet + IPV4_HEADER;
    sum += half(bytes, packet + 2) - IPV4_HEADER;
    for (let i = packet + 12; i < tcp; i += 2) sum += half(bytes, i);
  } else if (type === IPV6 && bytes[packet + 6] === TCP) {
    tcp = packet + IPV6_HEADER;
    sum += half(bytes, packet + 4);
    for (let i = packet + 8; i < tcp; i += 2) sum += half(bytes, i);
  } else {
    return false;
  }
  if (tcp + TCP_HEADER > at + length) return false;
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return half(bytes, tcp + TCP_CHECKSUM) === sum;
}

function half(bytes: Uint8Array, at: number): number {
  return (bytes[at]! << 8) | bytes[at + 1]!;
}

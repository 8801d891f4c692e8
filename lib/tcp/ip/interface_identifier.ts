/** Interface identifiers that stay the same on one network and tell nothing from one network to the next (RFC 7217). */
import { SipHash } from '../siphash.js';
import { get16, get32 } from '../wire/bytes.js';

/** First half of the last identifiers of a subnet, which are reserved for anycast (RFC 5453 3, RFC 2526). */
const ANYCAST_HIGH = 0xfdffffff | 0;
const ANYCAST_LOW = 0xffffff80;

export class InterfaceIdentifiers {
  private readonly hash: SipHash;
  private readonly words = new Int32Array(5);

  /** @param secret 16 bytes, the same each time the host starts. @param mac link address of the interface: Net_Iface. */
  constructor(secret: Uint8Array, mac: Uint8Array) {
    this.hash = new SipHash(secret);
    this.words[2] = get32(mac, 0);
    this.words[3] = get16(mac, 4);
  }

  /**
   * Writes the address formed of a prefix of 64 bits (RFC 7217 5, without a Network_ID).
   *
   * @param counter DAD_Counter: how many addresses of this prefix another station was found to have.
   * @returns the counter of the address, greater where an identifier was passed over that is reserved.
   */
  form(prefix: Int32Array, counter: number, out: Int32Array): number {
    const { words, hash } = this;
    words[0] = prefix[0]!;
    words[1] = prefix[1]!;
    for (;; counter++) {
      words[4] = counter;
      hash.hash(words, 0, words.length);
      if (!isReserved(hash.high, hash.low)) break;
    }
    out[0] = prefix[0]!;
    out[1] = prefix[1]!;
    out[2] = hash.high;
    out[3] = hash.low;
    return counter;
  }
}

/** The anycast address of the routers, and the anycast addresses at the end of the subnet (RFC 5453 3). */
export function isReserved(high: number, low: number): boolean {
  return (high | low) === 0 || (high === ANYCAST_HIGH && low >>> 0 >= ANYCAST_LOW);
}

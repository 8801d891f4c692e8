/** Who uses which local port: listeners and flows, counted, so that a port that none uses is known at once. */

/**
 * The other TCP on our addresses, where there is one: the kernel's, over a device that shares an address with it. It hears of the first
 * use of a port and of the end of the last.
 */
export interface PortClaims {
  /** The port is to be ours from now on. Returns 0, or a negative errno where it cannot be: EADDRINUSE, the other has it. */
  claim(port: number): number;
  /** The port is nobody's again. */
  release(port: number): void;
}

export class PortUses {
  readonly #counts = new Int32Array(65536);
  readonly #claims: PortClaims | null;

  constructor(claims: PortClaims | null = null) {
    this.#claims = claims;
  }

  /** Listeners and flows on a port. */
  of(port: number): number {
    return this.#counts[port];
  }

  /** To be asked before a listener or an active open is `add`ed, the only ones that may be the first on a port. Returns 0 or -errno. */
  claim(port: number): number {
    return this.#claims === null || this.#counts[port] > 0 ? 0 : this.#claims.claim(port);
  }

  add(port: number): void {
    this.#counts[port]++;
  }

  remove(port: number): void {
    if (--this.#counts[port] === 0) this.#claims?.release(port);
  }
}

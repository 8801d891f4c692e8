/**
 * What the socket layer of the conformance driver stands on: connections and listeners, whether they are those of the
 * bare protocol core (stack_network.ts) or of the whole product.
 */

/** An address as the stack has it: four words (lib/tcp/transport.ts). */
export type Address = Int32Array;

/** What a connection tells its socket. Bytes that have come or gone are looked at, not told. */
export interface LinkOwner {
  /** The active open is done. */
  connected(): void;
  /** The connection is dead, by this errno. */
  failed(errno: number): void;
  /** Both directions are done. */
  closed(): void;
}

/** One connection. */
export interface Link {
  owner: LinkOwner;
  readonly remoteAddress: string;
  readonly remotePort: number;
  /** Bytes that wait to be read. */
  readonly available: number;
  /** The peer's FIN has come, and no byte is to come before it. */
  readonly ended: boolean;
  /** Bytes written and not acknowledged. */
  readonly unacknowledged: number;
  /** Enough room for poll to say so. */
  readonly writable: boolean;
  /** Our FIN is sent, or waits to be, and the peer has not acknowledged it. */
  readonly closing: boolean;
  /** Takes up to `most` bytes; with `peek` they stay. */
  read(most: number, peek: boolean): Uint8Array;
  /**
   * Takes what there is room for. Returns how much.
   *
   * @param more an incomplete segment is held back for what follows. @param waited the call goes on after it has waited.
   */
  write(bytes: Uint8Array, more: boolean, waited: boolean): number;
  /** The socket has been accepted: it makes room in the backlog. */
  taken(): void;
  shutdown(): void;
  abort(): void;
  release(): void;
  /** An option of the socket has been set, or all of them where `name` is empty. */
  apply(options: LinkOptions, name: string): void;
  /** Largest segment that is sent, 0 where it is not known. */
  readonly mss: number;
  /** Linux's struct tcp_info, or null. */
  info(): Uint8Array | null;
}

/** Settings of a socket that its connection has to know. */
export interface LinkOptions {
  noDelay: boolean;
  cork: boolean;
  keepAlive: boolean;
  /** s; 0: the default. */
  keepIdle: number;
  keepInterval: number;
  keepCount: number;
  /** ms; 0: none. */
  userTimeout: number;
  /** s in FIN-WAIT-2; 0: the default; -1: none at all. */
  linger2: number;
  /** Bound of segments in bytes; 0: none. */
  maxSegment: number;
  /** IP_TOS. */
  trafficClass: number;
  /** Bytes; 0: as the stack sees fit. */
  sendBuffer: number;
  receiveBuffer: number;
}

export interface Listener {
  readonly port: number;
  /** Connections that may wait for `taken`. */
  setBacklog(connections: number): void;
  /** What its connections begin with. */
  apply(options: LinkOptions): void;
  close(): void;
}

export interface Network {
  /** A listener, or -errno. */
  listen(address: Address, port: number, backlog: number, sixOnly: boolean, onConnection: (link: Link) => void): Listener | number;
  /** A connection that opens, or -errno. */
  connect(remote: Address, remotePort: number, local: Address | null, localPort: number, options: LinkOptions): Link | number;
  isLocal(address: Address): boolean;
  /** µs on the driver's clock. */
  now(): number;
  /** Calls back at a time, once; returns how to call it off. */
  after(us: number, callback: () => void): () => void;
}

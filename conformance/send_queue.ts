/**
 * What a socket has written and the peer has not acknowledged, counted as Linux counts it against the send buffer: in
 * chunks of up to half the peer's window, each with an overhead of its own (tcp_sendmsg_locked, tcp_xmit_size_goal,
 * sk_stream_is_writeable). Scripts know by it how much a call takes and when a blocked one goes on.
 *
 * Places count bytes from the beginning of the stream and do not wrap.
 */

/** Linux's sk_buff with its head, in bytes. */
const CHUNK_OVERHEAD = 1280;
/** Most payload of a chunk: 64 KiB less the largest header. */
const CHUNK_MOST = 65_215;
/** Linux believes in half of a window only where it is larger than this. */
const SMALL_WINDOW = 536;
/** For the automatic size: header and overhead of one segment, before and after rounding to a power of two. */
const SEGMENT_HEADER = 640;
const SEGMENT_OVERHEAD = 256;
const SEGMENTS_LEAST = 10;

interface Chunk {
  start: number;
  end: number;
}

export class SendQueue {
  /** End of what was written. */
  written = 0;
  #chunks: Chunk[] = [];
  /** Bytes that the buffer may hold; it follows the congestion window unless it was set. */
  #size: number;
  readonly #most: number;
  #fixed = false;

  /** @param initial bytes of the buffer at first. @param most what it may grow to by itself. */
  constructor(initial: number, most: number) {
    this.#size = initial;
    this.#most = most;
  }

  get size(): number {
    return this.#size;
  }

  /** SO_SNDBUF: the size is the user's from now on. */
  fix(bytes: number): void {
    this.#size = bytes;
    this.#fixed = true;
  }

  /** Room for two congestion windows, of `cwnd` bytes in segments of `mss`. */
  grow(cwnd: number, mss: number): void {
    if (this.#fixed) return;
    const segment = 2 ** Math.ceil(Math.log2(mss + SEGMENT_HEADER)) + SEGMENT_OVERHEAD;
    const wanted = 2 * Math.max(SEGMENTS_LEAST, Math.floor(cwnd / mss)) * segment;
    this.#size = Math.max(this.#size, Math.min(wanted, this.#most));
  }

  /** Takes over how far the stream is acknowledged and sent. */
  advance(acknowledged: number, sent: number): void {
    while (this.#chunks.length > 0 && this.#chunks[0]!.end <= acknowledged) this.#chunks.shift();
    const first = this.#chunks[0];
    if (first !== undefined && first.start < acknowledged) first.start = acknowledged;
    const cut = this.#chunks.findIndex(({ start, end }) => start < sent && sent < end);
    if (cut < 0) return;
    const chunk = this.#chunks[cut]!;
    this.#chunks.splice(cut + 1, 0, { start: sent, end: chunk.end });
    chunk.end = sent;
  }

  /** What counts against the size. */
  get memory(): number {
    return this.#chunks.reduce((sum, { start, end }) => sum + end - start + CHUNK_OVERHEAD, 0);
  }

  /** Enough is free for poll to say so, and for a blocked call to go on. */
  get writable(): boolean {
    const { memory } = this;
    return this.#size - memory >= memory >> 1;
  }

  /**
   * Adds up to `wanted` bytes to the last chunk, or begins one. Returns how many it took, 0 where there is no room.
   *
   * @param sent end of what has left. @param windowMost largest window of the peer.
   */
  take(wanted: number, sent: number, mss: number, windowMost: number): number {
    const half = windowMost > SMALL_WINDOW ? windowMost >> 1 : windowMost;
    const most = half > 0 ? Math.min(CHUNK_MOST, half) : CHUNK_MOST;
    const goal = Math.max(Math.floor(most / mss), 1) * mss;
    let last = this.#chunks.at(-1);
    if (last === undefined || last.start < sent || last.end - last.start >= goal) {
      if (this.memory >= this.#size) return 0;
      last = { start: this.written, end: this.written };
      this.#chunks.push(last);
    }
    const bytes = Math.min(wanted, goal - (last.end - last.start));
    last.end += bytes;
    this.written = last.end;
    return bytes;
  }
}

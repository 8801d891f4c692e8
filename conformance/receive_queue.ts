/**
 * What a socket has received and nobody has read, counted as Linux counts it against the receive buffer: every packet with
 * the memory that it lies in, and a window that begins small and grows with what comes (tcp_win_from_space,
 * tcp_measure_rcv_mss, tcp_grow_window, __tcp_select_window). Scripts know by it which window is offered.
 *
 * Places count bytes from the beginning of the stream and wrap.
 */

/** Linux's sk_buff, and what follows the bytes in its head (skb_shared_info). */
const DESCRIPTOR = 256;
const TRAILER = 320;
/** Kept free before the packet. */
const HEADROOM = 64;
/** Head of a small packet, as it comes from its own pool, and what fits there. */
const SMALL_HEAD = 704;
const SMALL_MOST = 640;
const PAGE = 4096;
/** Bytes of a larger packet that lie in its head; the rest lies in pages of their own, at most so many together. */
const HEAD_MOST = PAGE - HEADROOM - TRAILER;
const PAGES_MOST = 8 * PAGE;
/** Share of the memory that is text, in 256ths: as Linux guesses before the first packet. */
const RATIO_FIRST = 128;
const RATIO_UNIT = 256;
/** Size of the peer's segments as Linux guesses it before the first one. */
const SEGMENT_FIRST = 536;
/** A segment this small does not make the window grow. */
const GROWTH_LEAST = 128;
/** With less than this share of the buffer free, no window is offered. */
const NEARLY_FULL = 16;

/** Memory that Linux takes for a packet of `length` bytes with its headers. */
function memoryOf(length: number): number {
  const head = Math.ceil((length + HEADROOM) / 64) * 64 + TRAILER;
  if (head <= SMALL_MOST) return SMALL_HEAD + DESCRIPTOR;
  if (length + HEADROOM < PAGE) return 2 ** Math.ceil(Math.log2(head)) + DESCRIPTOR;
  let pages = 0;
  for (let left = length - HEAD_MOST, chunk = PAGES_MOST; left > 0;) {
    while (chunk > PAGE && Math.ceil(left / PAGE) * PAGE < chunk) chunk /= 2;
    pages += chunk;
    left -= chunk;
  }
  return PAGE + DESCRIPTOR + pages;
}

/** What of a connection the window depends on. */
export interface ReceiveState {
  /** Window as last told, from what was last acknowledged, in bytes. */
  told: number;
  /** Of the window, 0 without scaling. */
  shift: number;
  /** Size of the peer's segments. */
  segment: number;
  /** The window may be smaller than what was told before (tcp_shrink_window). */
  shrinks: boolean;
}

export class ReceiveQueue {
  /** Memory that the buffer may take. */
  #size: number;
  readonly #most: number;
  #fixed = false;
  #used = 0;
  #ratio = RATIO_FIRST;
  /** Bounds of the window: what the whole buffer carries, and what it has grown to. */
  #clamp = 0;
  #threshold = 0;
  #segment = SEGMENT_FIRST;
  #packets: { end: number; memory: number }[] = [];

  /** @param size memory of the buffer at first. @param most what it may grow to by itself. */
  constructor(size: number, most: number) {
    this.#size = size;
    this.#most = most;
  }

  /** The size in memory is the user's from now on. */
  fix(size: number): void {
    this.#size = size;
    this.#fixed = true;
  }

  /** The connection is established. @param window of the SYN. @param announced largest segment that we take. */
  begin(window: number, announced: number): void {
    this.#clamp = this.whole > 2 * announced ? Math.max(2 * announced, this.whole - announced) : this.whole;
    this.#threshold = Math.min(window, this.#clamp);
  }

  #textOf(memory: number): number {
    return Math.floor((memory * this.#ratio) / RATIO_UNIT);
  }

  /** Text that the empty buffer holds. */
  get whole(): number {
    return this.#textOf(this.#size);
  }

  /** Text that there is room for. */
  get free(): number {
    return Math.max(this.#textOf(this.#size - this.#used), 0);
  }

  /**
   * A packet was taken into the queue, in its turn or ahead of it.
   *
   * @param end of its text. @param text bytes of it. @param packet bytes with headers. @param segment size of the peer's
   *   segments, as this one shows it. @param announced largest segment that we take.
   */
  add(end: number, text: number, packet: number, segment: number, announced: number): void {
    const memory = memoryOf(packet);
    this.#used += memory;
    this.#packets.push({ end, memory });
    if (segment > this.#segment) this.#measure(text, memory);
    this.#segment = Math.max(this.#segment, Math.min(segment, announced));
    const room = Math.min(this.#clamp, this.free) - this.#threshold;
    if (text < GROWTH_LEAST || room <= 0) return;
    if (this.#textOf(memory) <= text) this.#threshold += Math.min(room, Math.max(2 * announced, 2 * text));
  }

  /** How much of the memory is text is seen anew. */
  #measure(text: number, memory: number): void {
    const ratio = Math.max(Math.floor((text * RATIO_UNIT) / memory), 1);
    if (ratio === this.#ratio) return;
    this.#ratio = ratio;
    const before = this.#clamp;
    this.#clamp = this.whole;
    this.#threshold = this.#clamp < before ? Math.min(this.#threshold, this.#clamp) : this.#threshold;
  }

  /** Everything before `position` has been read. */
  read(position: number): void {
    this.#packets = this.#packets.filter(({ end, memory }) => {
      const done = ((end - position) | 0) <= 0;
      if (done) this.#used -= memory;
      return !done;
    });
  }

  /** A reader that is fast has earned room for `text` bytes. */
  grow(text: number): void {
    if (this.#fixed) return;
    const size = Math.min(Math.ceil((text * RATIO_UNIT) / this.#ratio), this.#most);
    if (size <= this.#size) return;
    this.#size = size;
    this.#clamp = this.whole;
  }

  /** The window to offer, in bytes. */
  offer({ told, shift, segment, shrinks }: ReceiveState): number {
    const whole = Math.min(this.#clamp, this.whole);
    const unit = 1 << shift;
    let { free } = this;
    if (free < whole >> 1 || (shrinks && shift > 0)) {
      free -= free % unit;
      if (free < Math.floor(this.whole / NEARLY_FULL) || free < segment) return 0;
    }
    free = Math.min(free, this.#threshold);
    if (shift > 0) return Math.ceil(free / unit) * unit;
    // Whole segments; where the window that there was is one short of them at most, it stays.
    return told <= free - segment || told > free ? free - (free % segment) : told;
  }
}

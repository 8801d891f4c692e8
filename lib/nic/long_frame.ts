/**
 * Frames that are too long for a slot of a packet socket's ring: their beginning lies in the slot, and the whole of them waits in the socket's
 * queue, one system call away. Who takes such a frame may say where its bytes are to go, and then the kernel puts them there.
 *
 * ```
 *   memory: │ buffer: virtio header, frame, or as much of it as nobody wants elsewhere │ msghdr │ iovec of the buffer │ iovec a span │
 * ```
 */
import { AddressWriter } from './address_writer.js';
import { type DeviceMemory, type FrameRest, MAX_SPANS } from './device.js';
import { EAGAIN } from './system_error.js';
import { recvmsg } from './syscalls.js';
import { VNET_HEADER } from './virtio_net.js';

const BUFFER = 65536 + 256;

// struct msghdr and struct iovec with 64-bit pointers.
const MSGHDR = 64;
const MSG_IOV = 16;
const MSG_IOVLEN = 24;
const IOVEC = 16;
const IOV_LEN = 8;

export class LongFrame implements FrameRest {
  /** Bytes of memory that it needs. */
  static readonly bytes = BUFFER + MSGHDR + IOVEC * (1 + MAX_SPANS);

  readonly #fd: number;
  readonly #words: Int32Array;
  readonly #addresses: AddressWriter;
  readonly #bufferAt: number;
  readonly #messageAt: number;
  readonly #messageAddress: bigint;
  readonly #vectorsAt: number;
  /** Where the frame would lie if all of it were in the slot, and its length. */
  #frameAt = 0;
  #length = 0;
  /** It is still in the queue. */
  #waits = false;
  /** What was asked for did not come. */
  lost = false;
  #spans = 0;
  #wanted = 0;

  /** @param at where in the memory it has its `LongFrame.bytes`: a multiple of 8. */
  constructor(fd: number, memory: DeviceMemory, at: number) {
    this.#fd = fd;
    this.#words = new Int32Array(memory.bytes.buffer, 0, memory.bytes.length >> 2);
    this.#addresses = new AddressWriter(memory);
    this.#bufferAt = at;
    this.#messageAt = at + BUFFER;
    this.#messageAddress = this.#addresses.of(this.#messageAt);
    this.#vectorsAt = this.#messageAt + MSGHDR;
    memory.bytes.fill(0, this.#messageAt, this.#vectorsAt + IOVEC * (1 + MAX_SPANS));
    this.#addresses.put(this.#messageAt + MSG_IOV, this.#vectorsAt);
    this.#addresses.put(this.#vectorsAt, this.#bufferAt);
  }

  /** The frame at hand is this one; `at` is where its beginning lies. */
  begin(at: number, length: number): void {
    this.#frameAt = at;
    this.#length = length;
    this.#waits = true;
    this.lost = false;
  }

  /** Nobody wants it any more: it goes out of the queue, or it would be taken for the next one. */
  end(): void {
    if (!this.#waits) return;
    this.#setHead(0);
    this.#receive();
  }

  whole(): number {
    if (VNET_HEADER + this.#length > BUFFER) {
      this.lost = true;
      return -1;
    }
    this.#setHead(this.#length);
    return this.fetch() ? this.#bufferAt + VNET_HEADER : -1;
  }

  from(offset: number): void {
    this.#setHead(offset - this.#frameAt);
  }

  into(offset: number, length: number): void {
    if (this.#spans === MAX_SPANS) throw new RangeError(`a frame takes at most ${MAX_SPANS} spans`);
    this.#spans++;
    const vector = this.#vectorsAt + IOVEC * this.#spans;
    this.#addresses.put(vector, offset);
    this.#words[(vector + IOV_LEN) >> 2] = length;
    this.#wanted += length;
  }

  fetch(): boolean {
    if (!this.#waits || this.#wanted > this.#length) return false;
    this.lost = this.#receive() !== VNET_HEADER + this.#length;
    return !this.lost;
  }

  /** The first `length` bytes of the frame go to the buffer. */
  #setHead(length: number): void {
    this.#spans = 0;
    this.#wanted = length;
    this.#words[(this.#vectorsAt + IOV_LEN) >> 2] = VNET_HEADER + length;
  }

  #receive(): number {
    this.#waits = false;
    this.#words[(this.#messageAt + MSG_IOVLEN) >> 2] = 1 + this.#spans;
    const length = recvmsg(this.#fd, this.#messageAddress);
    // An error of the link is told first, once, and the frame still waits: to leave it would put every later one out of step.
    return length < 0 && length !== -EAGAIN ? recvmsg(this.#fd, this.#messageAddress) : length;
  }
}

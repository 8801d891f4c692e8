/**
 * The system calls of this package, through koffi: the only file that loads native code.
 *
 * Structures are laid out by hand for the Linux ABIs with 64-bit pointers and little-endian words (x64, arm64, riscv64).
 * Addresses are numbers (user addresses lie below 2^48), or BigInts where they are kept and passed in every turn: a number as large as that is
 * a new object for each call. Whoever passes the address of a buffer keeps the buffer referenced for as long as the kernel may use it: the
 * collector sees no addresses, and a module's variable that no function refers to is garbage once the module has run. So arrays are passed
 * themselves wherever that is possible.
 */
import { endianness } from 'node:os';
import koffi, { type LibraryHandle } from 'koffi';
import { EINTR, ETIMEDOUT, SystemError } from './system_error.js';

/** A pointer: memory of ours, which koffi holds for the length of the call, or an address. */
type Pointer = ArrayBufferView | number | bigint;
export type Native = (...args: (Pointer | null)[]) => number;

const libc = loadLibc();
const native = {
  socket: bindCall('socket', 'int', ['int', 'int', 'int']),
  bind: bindCall('bind', 'int', ['int', 'void *', 'uint32_t']),
  setsockopt: bindCall('setsockopt', 'int', ['int', 'int', 'int', 'void *', 'uint32_t']),
  getsockopt: bindCall('getsockopt', 'int', ['int', 'int', 'int', 'void *', 'void *']),
  ioctl: bindCall('ioctl', 'int', ['int', 'ulong', 'void *']),
  recv: bindCall('recv', 'long', ['int', 'void *', 'size_t', 'int']),
  recvmsg: bindCall('recvmsg', 'long', ['int', 'void *', 'int']),
  sendmmsg: bindCall('sendmmsg', 'int', ['int', 'void *', 'uint32_t', 'int']),
  ppoll: bindCall('ppoll', 'int', ['void *', 'ulong', 'void *', 'void *']),
  mmap: bindCall('mmap', 'intptr_t', ['uintptr_t', 'size_t', 'int', 'int', 'int', 'int64_t']),
  eventfd: bindCall('eventfd', 'int', ['uint32_t', 'int']),
  read: bindCall('read', 'long', ['int', 'void *', 'size_t']),
  write: bindCall('write', 'long', ['int', 'void *', 'size_t']),
  pread: bindCall('pread64', 'long', ['int', 'uintptr_t', 'size_t', 'int64_t']),
  preadv2: bindCall('syscall', 'long', ['long', 'long', 'void *', 'long', 'int64_t', 'long', 'long']),
  readahead: bindCall('readahead', 'long', ['int', 'int64_t', 'size_t']),
  writev: bindCall('writev', 'long', ['int', 'void *', 'int']),
  close: bindCall('close', 'int', ['int']),
  setns: bindCall('setns', 'int', ['int', 'int']),
  unshare: bindCall('unshare', 'int', ['int']),
  schedSetaffinity: bindCall('sched_setaffinity', 'int', ['int', 'size_t', 'void *']),
  schedGetaffinity: bindCall('sched_getaffinity', 'int', ['int', 'size_t', 'void *']),
  sysconf: bindCall('sysconf', 'long', ['int']),
  syscall: bindCall('syscall', 'long', ['long', 'long', 'long', 'long']),
  clockGettime: bindCall('clock_gettime', 'int', ['int', 'uintptr_t']),
  futex: bindCall('syscall', 'long', ['long', 'void *', 'long', 'long', 'void *']),
};

function loadLibc(): LibraryHandle {
  if (process.platform !== 'linux' || endianness() !== 'LE' || !['x64', 'arm64', 'riscv64'].includes(process.arch)) {
    throw new Error(`tcp-offload needs Linux on x64, arm64 or riscv64; this is ${process.platform} on ${process.arch}`);
  }
  return koffi.load(null); // what the process has loaded already: glibc or musl
}

/** A function that the process has loaded already. */
export function bindCall(name: string, result: string, parameters: string[]): Native {
  return libc.func(name, result, parameters) as Native;
}

/** Address of a function that the process may have loaded, to be called by other native code; null where it has not. */
export function symbolAddress(name: string): number | null {
  try {
    return Number(koffi.address(libc.symbol(name, 'void')));
  } catch {
    return null;
  }
}

/** Address of the first byte of a typed array. Valid while the caller keeps the array referenced. */
export function addressOf(array: ArrayBufferView): number {
  return Number(koffi.address(array));
}

/** A plain ArrayBuffer over `length` bytes of memory at `address`. The memory must outlive it: see memory.ts. */
export function viewMemory(address: bigint, length: number): ArrayBuffer {
  return koffi.view(address, length);
}

/** Error number of the last call that failed in this thread. */
export function errno(): number {
  return koffi.errno();
}

/** @throws SystemError where a call has failed; else what it returned. */
export function check(result: number, syscall: string, detail: string): number {
  if (result < 0) throw new SystemError(errno(), syscall, detail);
  return result;
}

// --- sockets

export const AF_UNIX = 1;
export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_PACKET = 17;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const MSG_DONTWAIT = 0x40;
const MSG_TRUNC = 0x20;
export const SOL_SOCKET = 1;
const SO_ERROR = 4;
const SO_SNDBUF = 7;
const SO_RCVBUF = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;

/** @throws SystemError with `detail` as the explanation. */
export function socket(domain: number, type: number, protocol: number, detail: string): number {
  return check(native.socket(domain, type | SOCK_CLOEXEC, protocol), 'socket', detail);
}

export function bind(fd: number, address: Uint8Array, detail: string): void {
  check(native.bind(fd, address, address.byteLength), 'bind', detail);
}

/** Sets an option whose value is a structure of `length` bytes. */
export function setsockopt(fd: number, level: number, option: number, value: ArrayBufferView, length: number, detail: string): void {
  check(native.setsockopt(fd, level, option, value, length), 'setsockopt', detail);
}

/** Sets an option whose value is an `int`. */
export function setsockoptInt(fd: number, level: number, option: number, value: number, detail: string): void {
  setsockopt(fd, level, option, Int32Array.of(value), 4, detail);
}

const optionLength = new Uint32Array(1);

/** Reads an option into `value`. Returns 0 or -errno. */
export function getsockopt(fd: number, level: number, option: number, value: ArrayBufferView): number {
  optionLength[0] = value.byteLength;
  return native.getsockopt(fd, level, option, value, optionLength) < 0 ? -errno() : 0;
}

const socketError = new Int32Array(1);

/** Reads the error of a socket, which polls as one until somebody does. Returns false for what is no socket: nothing else can be cleared. */
export function clearSocketError(fd: number): boolean {
  return getsockopt(fd, SOL_SOCKET, SO_ERROR, socketError) === 0;
}

/** Socket buffers of `bytes` each way, or as much as an unprivileged process may have. */
export function setSocketBuffers(fd: number, receive: number, send: number): void {
  const value = new Int32Array(1);
  value[0] = receive;
  if (native.setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, value, 4) < 0) native.setsockopt(fd, SOL_SOCKET, SO_RCVBUF, value, 4);
  value[0] = send;
  if (native.setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, value, 4) < 0) native.setsockopt(fd, SOL_SOCKET, SO_SNDBUF, value, 4);
}

/** @param argument a structure, or a number where the request takes one. Returns 0 or -errno. */
export function ioctl(fd: number, request: number, argument: Pointer): number {
  return native.ioctl(fd, request, argument) < 0 ? -errno() : 0;
}

/** Reads one frame without waiting. Returns its length or -errno. */
export function recv(fd: number, address: number, length: number): number {
  const result = native.recv(fd, address, length, MSG_DONTWAIT);
  return result < 0 ? -errno() : result;
}

/** Reads one frame to where the `msghdr` at `address` says, without waiting. Returns the frame's length, however much of it there was room for, or -errno. */
export function recvmsg(fd: number, address: bigint): number {
  const result = native.recvmsg(fd, address, MSG_DONTWAIT | MSG_TRUNC);
  return result < 0 ? -errno() : result;
}

/** Sends up to `count` messages of the `mmsghdr` array at `address`. Returns how many were sent, or -errno where none was. */
export function sendmmsg(fd: number, address: bigint, count: number): number {
  const sent = native.sendmmsg(fd, address, count, MSG_DONTWAIT);
  return sent < 0 ? -errno() : sent;
}

/** Reads at most `length` bytes. Returns how many there were, or -errno. */
export function read(fd: number, address: number, length: number): number {
  const result = native.read(fd, address, length);
  return result < 0 ? -errno() : result;
}

/** Writes all of an array, for descriptors that take messages. Returns its length or -errno. */
export function write(fd: number, bytes: Uint8Array): number {
  const result = native.write(fd, bytes, bytes.byteLength);
  return result < 0 ? -errno() : result;
}

/** Writes what the array of `count` iovecs at `address` names, as one. Returns how many bytes were written, or -errno. */
export function writev(fd: number, address: bigint, count: number): number {
  const result = native.writev(fd, address, count);
  return result < 0 ? -errno() : result;
}

// --- files

const SYS_PREADV2 = process.arch === 'x64' ? 327 : 286;
const RWF_NOWAIT = 8;
const TWO_TO_32 = 2 ** 32;
/** struct iovec. */
const vector = new Uint32Array(4);

/**
 * Reads a file at `offset` to `length` bytes at `address`, and waits for the disk where it must; the descriptor's own place in the file is
 * left alone.
 *
 * @returns how many bytes it read, 0 at the file's end, or -errno.
 */
export function pread(fd: number, address: number, length: number, offset: number): number {
  const result = native.pread(fd, address, length, offset);
  return result < 0 ? -errno() : result;
}

/** As `pread`, of what is in the page cache: never waits. -EAGAIN where nothing is, -EOPNOTSUPP where the file system cannot tell. */
export function preadCached(fd: number, address: number, length: number, offset: number): number {
  vector[0] = address % TWO_TO_32;
  vector[1] = Math.floor(address / TWO_TO_32);
  vector[2] = length;
  // On 64 bits the offset is the first of its two halves.
  const result = native.preadv2(SYS_PREADV2, fd, vector, 1, offset, 0, RWF_NOWAIT);
  return result < 0 ? -errno() : result;
}

/** Has the kernel read a part of a file into the page cache. What goes wrong, a read tells. */
export function readAhead(fd: number, offset: number, length: number): void {
  native.readahead(fd, offset, length);
}

export function close(fd: number): void {
  native.close(fd);
}

// --- waiting

export const POLLIN = 1;
export const POLLERR = 8;
export const POLLNVAL = 32;

const SIGNAL = new BigUint64Array([1n]);
const drained = new BigUint64Array(1);

/** A descriptor that polls readable once it was signalled, until it is drained. */
export function eventfd(): number {
  return check(native.eventfd(0, SOCK_NONBLOCK | SOCK_CLOEXEC), 'eventfd', 'cannot create an event descriptor');
}

/** Makes an event descriptor readable. Any thread may call it. */
export function signal(fd: number): void {
  native.write(fd, SIGNAL, 8);
}

/** Makes an event descriptor unreadable again. Returns false where it was already. */
export function drain(fd: number): boolean {
  return native.read(fd, drained, 8) > 0;
}

/** Waits for descriptors to become readable. Nothing is allocated by `wait`. */
export class Poller {
  readonly #entries: Int32Array; // struct pollfd: fd, then events and revents as 16 bits each
  readonly #timeout = new BigInt64Array(2); // struct timespec
  readonly #timeoutWords = new Int32Array(this.#timeout.buffer);

  /** @param descriptors at most 30; negative ones are never ready. */
  constructor(descriptors: readonly number[]) {
    if (descriptors.length > 30) throw new RangeError('a Poller takes at most 30 descriptors');
    this.#entries = new Int32Array(Math.max(descriptors.length, 1) * 2);
    descriptors.forEach((fd, i) => {
      this.#entries[2 * i] = fd;
      this.#entries[2 * i + 1] = POLLIN;
    });
  }

  /**
   * Sleeps until a descriptor is readable or in error, the time is over, or a signal arrived.
   *
   * @param timeout µs; 0 only looks, Infinity waits without a limit.
   * @returns a bit for each descriptor that is ready, bit 0 for the first.
   */
  wait(timeout: number): number {
    const words = this.#timeoutWords;
    const count = this.#entries.length >> 1;
    const isBounded = timeout < 1e12;
    if (isBounded) {
      const seconds = Math.floor(timeout / 1e6);
      words[0] = seconds;
      words[2] = Math.max(0, Math.floor((timeout - seconds * 1e6) * 1000));
    }
    const ready = native.ppoll(this.#entries, count, isBounded ? this.#timeout : null, null);
    if (ready > 0) return this.#readyBits(count);
    if (ready < 0 && errno() !== EINTR) throw new SystemError(errno(), 'ppoll', 'cannot wait for the descriptors');
    return 0;
  }

  #readyBits(count: number): number {
    let bits = 0;
    for (let i = 0; i < count; i++) {
      const events = this.#entries[2 * i + 1]! >> 16;
      if (events === 0) continue;
      bits |= 1 << i;
      if ((events & POLLERR) !== 0) this.#clearError(i);
      if ((events & POLLNVAL) !== 0) throw new SystemError(9, 'ppoll', `descriptor ${this.#entries[2 * i]} is not open`);
    }
    return bits;
  }

  /** An error that stays would turn every later wait into a busy loop. Reading a socket's clears it; what is no socket is not looked at again. */
  #clearError(i: number): void {
    if (!clearSocketError(this.#entries[2 * i]!)) this.#entries[2 * i] = -1;
  }
}

const SYS_FUTEX = process.arch === 'x64' ? 202 : 98;
const FUTEX_WAIT_PRIVATE = 128;
const FUTEX_WAKE_PRIVATE = 129;
/** struct timespec, as words. */
const futexTimeout = new Uint32Array(4);

/** Sleeps until the first word of `word` is woken, for `ms` at most; not at all where it is another one than `value`. Returns true where the time is over. */
export function futexWait(word: Int32Array, value: number, ms: number): boolean {
  futexTimeout[0] = Math.floor(ms / 1000);
  futexTimeout[2] = Math.floor((ms % 1000) * 1e6);
  return native.futex(SYS_FUTEX, word, FUTEX_WAIT_PRIVATE, value, futexTimeout) < 0 && errno() === ETIMEDOUT;
}

/** Wakes the thread that sleeps on the first word of `word`. */
export function futexWake(word: Int32Array): void {
  native.futex(SYS_FUTEX, word, FUTEX_WAKE_PRIVATE, 1, null);
}

const CLOCK_MONOTONIC = 1;
/** struct timespec, as words. Outside the heap of V8, so that it stays where it is. */
const monotonicTime = new Uint32Array(new ArrayBuffer(16));
const monotonicTimeAt = addressOf(monotonicTime);

/** The time since some moment of the past, as a struct timespec: words 0 and 2 are seconds and nanoseconds. It is lent until the next call. */
export function readMonotonicTime(): Uint32Array {
  native.clockGettime(CLOCK_MONOTONIC, monotonicTimeAt);
  return monotonicTime;
}

// --- memory

const PROT_READ_WRITE = 3;
const MAP_SHARED = 0x01;
const MAP_PRIVATE = 0x02;
const MAP_FIXED = 0x10;
const MAP_ANONYMOUS = 0x20;
const _SC_PAGESIZE = 30;

export const PAGE_SIZE = native.sysconf(_SC_PAGESIZE);

/**
 * Maps the ring of a descriptor over memory that exists already; what lay there is gone. Address and length are whole pages.
 *
 * @param offset tells which ring, where the descriptor has several.
 */
export function mapOver(address: number, length: number, fd: number, detail: string, offset = 0): void {
  check(native.mmap(address, length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED, fd, offset), 'mmap', detail);
}

/**
 * Puts fresh zero pages over memory that exists already, of which a process that is forked has no copy: pages that the kernel holds for a
 * device would be copied for each of them.
 */
export function mapSharedOver(address: number, length: number, detail: string): void {
  check(native.mmap(address, length, PROT_READ_WRITE, MAP_SHARED | MAP_FIXED | MAP_ANONYMOUS, -1, 0), 'mmap', detail);
}

/** Undoes `mapOver` and `mapSharedOver`: fresh zero pages lie there again. */
export function unmapOver(address: number, length: number): void {
  check(native.mmap(address, length, PROT_READ_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_ANONYMOUS, -1, 0), 'mmap', 'cannot give back mapped memory');
}

// --- threads

const CLONE_NEWNET = 0x40000000;
/** Bytes of a CPU set: 1024 CPUs, as glibc has it. */
const CPU_SET_BYTES = 128;
const SYS_TGKILL = process.arch === 'x64' ? 234 : 131;
const SYS_GETTID = process.arch === 'x64' ? 186 : 178;

/** Enters the network namespace that `fd` refers to, with the calling thread alone. */
export function setNetworkNamespace(fd: number, detail: string): void {
  check(native.setns(fd, CLONE_NEWNET), 'setns', detail);
}

/** Puts the calling thread alone into a network namespace of its own. */
export function unshareNetwork(detail: string): void {
  check(native.unshare(CLONE_NEWNET), 'unshare', detail);
}

/** Kernel's number of the calling thread. */
export function gettid(): number {
  return native.syscall(SYS_GETTID, 0, 0, 0);
}

/** True while the thread lives; it belongs to this process. */
export function threadAlive(tid: number): boolean {
  return native.syscall(SYS_TGKILL, process.pid, tid, 0) === 0;
}

/** CPUs that the calling thread may run on, ascending. */
export function getAffinity(): number[] {
  const set = new Uint8Array(CPU_SET_BYTES);
  check(native.schedGetaffinity(0, CPU_SET_BYTES, set), 'sched_getaffinity', 'cannot read the CPUs of this thread');
  const cpus: number[] = [];
  for (let cpu = 0; cpu < CPU_SET_BYTES * 8; cpu++) {
    if ((set[cpu >> 3]! & (1 << (cpu & 7))) !== 0) cpus.push(cpu);
  }
  return cpus;
}

/**
 * Binds a thread to `cpus`.
 *
 * @param tid kernel's number of a thread of this process; 0: the calling one. @throws SystemError where none of them is there or allowed.
 */
export function setAffinity(cpus: readonly number[], tid = 0): void {
  const set = new Uint8Array(CPU_SET_BYTES);
  for (const cpu of cpus) {
    if (!Number.isInteger(cpu) || cpu < 0 || cpu >= CPU_SET_BYTES * 8) throw new RangeError(`${cpu} is not the number of a CPU`);
    set[cpu >> 3]! |= 1 << (cpu & 7);
  }
  const detail = `cannot run on CPU ${cpus.join(', ')}; this thread may run on ${getAffinity().join(', ')}`;
  check(native.schedSetaffinity(tid, CPU_SET_BYTES, set), 'sched_setaffinity', detail);
}

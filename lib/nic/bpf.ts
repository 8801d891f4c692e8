/** Maps, programs and links of BPF by bpf(2). Each is a descriptor, and goes with it. */
import { addressOf, bindCall, errno } from './syscalls.js';
import { EACCES, EAGAIN, EINVAL, ENOSYS, EPERM, SystemError } from './system_error.js';

const SYS_BPF = process.arch === 'x64' ? 321 : 280;
const BPF_MAP_CREATE = 0;
const BPF_MAP_UPDATE_ELEM = 2;
const BPF_PROG_LOAD = 5;
const BPF_LINK_CREATE = 28;
const BPF_LINK_UPDATE = 29;

const BPF_MAP_TYPE_ARRAY = 2;
const BPF_MAP_TYPE_LRU_HASH = 9;
const BPF_MAP_TYPE_XSKMAP = 17;
const BPF_PROG_TYPE_XDP = 6;
const BPF_XDP = 37;
const BPF_F_XDP_HAS_FRAGS = 1 << 5;
/** Ways of an XDP program to be attached: by the kernel, to the buffers of the driver; by the driver itself. */
export const XDP_FLAGS_SKB_MODE = 1 << 1;
export const XDP_FLAGS_DRV_MODE = 1 << 2;

// union bpf_attr by command: bytes that are given, and where the fields lie that are set here.
const MAP_CREATE = { bytes: 44, type: 0, keyBytes: 4, valueBytes: 8, entries: 12, name: 28 };
const MAP_UPDATE = { bytes: 32, map: 0, key: 8, value: 16 };
const PROG_LOAD = { bytes: 72, type: 0, count: 4, instructions: 8, license: 16, logLevel: 24, logBytes: 28, log: 32, flags: 44, name: 48, attachType: 68 };
const LINK_CREATE = { bytes: 16, program: 0, target: 4, attachType: 8, flags: 12 };
const LINK_UPDATE = { bytes: 16, link: 0, program: 4 };
const NAME = new TextEncoder().encode('tcp_offload');
const LICENSE = new TextEncoder().encode('MIT\0');
const INSTRUCTION = 8;
/** The verifier stops with EAGAIN where a signal is waiting for the thread, which gets it before the next attempt. */
const LOAD_ATTEMPTS = 100;
const LOG_BYTES = 65536;
/** Of what the verifier says, the end tells. */
const LOG_SHOWN = 400;
/** What it says of arithmetic with addresses that only CAP_PERFMON allows. */
const PROHIBITED = 'prohibited for !root';
const XDP_CAPABILITIES = 'cap_bpf,cap_net_admin,cap_net_raw,cap_ipc_lock';

const call = bindCall('syscall', 'long', ['long', 'int', 'void *', 'uint32_t']);

/** Something that a request points to, and where in the request its address belongs. */
type Pointer = readonly [at: number, bytes: Uint8Array];

/**
 * A request with what it points to right behind it, so that what holds the one holds the other during the call.
 *
 * @returns the request, and where in it the last of `pointers` lies.
 */
function request(length: number, fill: (view: DataView) => void, ...pointers: Pointer[]): { bytes: Uint8Array; last: number } {
  const total = pointers.reduce((sum, [, { length }]) => sum + roundUp(length), roundUp(length));
  const bytes = new Uint8Array(total);
  const view = new DataView(bytes.buffer);
  fill(view);
  let place = roundUp(length);
  let last = 0;
  for (const [at, pointed] of pointers) {
    view.setBigUint64(at, BigInt(addressOf(bytes) + place), true);
    bytes.set(pointed, place);
    last = place;
    place += roundUp(pointed.length);
  }
  return { bytes, last };
}

function roundUp(length: number): number {
  return (length + 7) & ~7;
}

/** Returns what the call returned, or -errno. */
function bpf(command: number, bytes: Uint8Array, length: number): number {
  const result = call(SYS_BPF, command, bytes, length);
  return result < 0 ? -errno() : result;
}

/** The error of a call, with the mend where it is a matter of privileges or of the kernel. */
function refusal(number: number, what: string): SystemError {
  switch (number) {
    case EPERM:
      return new SystemError(number, 'bpf', `${what} needs CAP_BPF and CAP_NET_ADMIN; run as root, or grant them: setcap ${XDP_CAPABILITIES}+ep ${process.execPath}; where both are there, something keeps bpf(2) from this process, such as a container's seccomp profile`);
    case ENOSYS:
      return new SystemError(number, 'bpf', `${what} needs a kernel with CONFIG_BPF_SYSCALL`);
    default:
      return new SystemError(number, 'bpf', what);
  }
}

/** @returns a descriptor, or -errno. */
function createMap(type: number, keyBytes: number, valueBytes: number, entries: number): number {
  const { bytes } = request(MAP_CREATE.bytes, (view) => {
    view.setUint32(MAP_CREATE.type, type, true);
    view.setUint32(MAP_CREATE.keyBytes, keyBytes, true);
    view.setUint32(MAP_CREATE.valueBytes, valueBytes, true);
    view.setUint32(MAP_CREATE.entries, entries, true);
    new Uint8Array(view.buffer).set(NAME, MAP_CREATE.name);
  });
  return bpf(BPF_MAP_CREATE, bytes, MAP_CREATE.bytes);
}

/** Enters a value in the place of the one that was there. Returns 0 or -errno. */
export function setEntry(map: number, key: Uint8Array, value: Uint8Array): number {
  const { bytes } = request(MAP_UPDATE.bytes, (view) => view.setUint32(MAP_UPDATE.map, map, true), [MAP_UPDATE.key, key], [MAP_UPDATE.value, value]);
  return bpf(BPF_MAP_UPDATE_ELEM, bytes, MAP_UPDATE.bytes);
}

/** A map of `entries` receive queues to AF_XDP sockets. @throws SystemError. */
export function createSocketMap(entries: number): number {
  const result = createMap(BPF_MAP_TYPE_XSKMAP, 4, 4, entries);
  if (result === -EINVAL) throw new SystemError(EINVAL, 'bpf', 'the kernel has no maps of AF_XDP sockets; it needs CONFIG_XDP_SOCKETS');
  if (result < 0) throw refusal(-result, 'to make a map of AF_XDP sockets');
  return result;
}

/** Enters the socket of a receive queue. @throws SystemError. */
export function setSocket(map: number, queue: number, socket: number): void {
  const result = setEntry(map, wordBytes(queue), wordBytes(socket));
  if (result < 0) throw refusal(-result, `to enter the socket of receive queue ${queue}`);
}

function wordBytes(word: number): Uint8Array {
  return new Uint8Array(Uint32Array.of(word).buffer);
}

/** A map of the numbers below `entries` to values of one byte, which are 0. @throws SystemError. */
export function createByteMap(entries: number): number {
  return mustBeMap(createMap(BPF_MAP_TYPE_ARRAY, 4, 1, entries));
}

/** A map of keys to values of one byte, which forgets those that were used least when it is full. @throws SystemError. */
export function createForgetfulMap(keyBytes: number, entries: number): number {
  return mustBeMap(createMap(BPF_MAP_TYPE_LRU_HASH, keyBytes, 1, entries));
}

function mustBeMap(result: number): number {
  if (result < 0) throw refusal(-result, 'to make a map of BPF');
  return result;
}

/**
 * Loads an XDP program. It says that it copes with frames of several buffers, where the kernel knows of them (Linux 5.18): it looks at headers
 * alone, which lie in the first one.
 *
 * @throws SystemError; with the end of what the verifier says where it refuses the program.
 */
export function loadXdpProgram(instructions: Uint8Array): number {
  let result = load(instructions, BPF_F_XDP_HAS_FRAGS, null);
  if (result === -EINVAL) result = load(instructions, 0, null);
  if (result >= 0) return result;
  if (result !== -EINVAL && result !== -EACCES) throw refusal(-result, 'to load an XDP program');
  const log = new Uint8Array(LOG_BYTES);
  result = load(instructions, 0, log);
  if (result >= 0) return result;
  const said = new TextDecoder().decode(log.subarray(0, log.indexOf(0))).trim().slice(-LOG_SHOWN);
  if (said.includes(PROHIBITED)) throw new SystemError(EPERM, 'bpf', `to load this XDP program needs CAP_PERFMON besides; run as root, or grant it: setcap ${XDP_CAPABILITIES},cap_perfmon+ep ${process.execPath}`);
  throw new SystemError(-result, 'bpf', `the kernel refuses the XDP program: ${said}`);
}

function load(instructions: Uint8Array, flags: number, log: Uint8Array | null): number {
  const pointers: Pointer[] = [[PROG_LOAD.instructions, instructions], [PROG_LOAD.license, LICENSE]];
  if (log !== null) pointers.push([PROG_LOAD.log, log]);
  const { bytes, last } = request(PROG_LOAD.bytes, (view) => {
    view.setUint32(PROG_LOAD.type, BPF_PROG_TYPE_XDP, true);
    view.setUint32(PROG_LOAD.count, instructions.length / INSTRUCTION, true);
    view.setUint32(PROG_LOAD.flags, flags, true);
    view.setUint32(PROG_LOAD.attachType, BPF_XDP, true);
    view.setUint32(PROG_LOAD.logLevel, log === null ? 0 : 1, true);
    view.setUint32(PROG_LOAD.logBytes, log?.length ?? 0, true);
    new Uint8Array(view.buffer).set(NAME, PROG_LOAD.name);
  }, ...pointers);
  let result = bpf(BPF_PROG_LOAD, bytes, PROG_LOAD.bytes);
  for (let attempt = 1; result === -EAGAIN && attempt < LOAD_ATTEMPTS; attempt++) result = bpf(BPF_PROG_LOAD, bytes, PROG_LOAD.bytes);
  log?.set(bytes.subarray(last, last + log.length));
  return result;
}

/**
 * Attaches a program to interface `index` in the network namespace of the calling thread. It is detached when the descriptor is closed, and
 * so however the process ends.
 *
 * @param mode XDP_FLAGS_*. @returns a descriptor, or -errno.
 */
export function createLink(program: number, index: number, mode: number): number {
  const { bytes } = request(LINK_CREATE.bytes, (view) => {
    view.setUint32(LINK_CREATE.program, program, true);
    view.setUint32(LINK_CREATE.target, index, true);
    view.setUint32(LINK_CREATE.attachType, BPF_XDP, true);
    view.setUint32(LINK_CREATE.flags, mode, true);
  });
  return bpf(BPF_LINK_CREATE, bytes, LINK_CREATE.bytes);
}

/** Puts another program into the place of the one that is attached, between two frames. @throws SystemError. */
export function updateLink(link: number, program: number): void {
  const { bytes } = request(LINK_UPDATE.bytes, (view) => {
    view.setUint32(LINK_UPDATE.link, link, true);
    view.setUint32(LINK_UPDATE.program, program, true);
  });
  const result = bpf(BPF_LINK_UPDATE, bytes, LINK_UPDATE.bytes);
  if (result < 0) throw refusal(-result, 'to replace an XDP program');
}

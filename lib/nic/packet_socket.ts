/** Opens a packet socket on an interface, with its receive ring mapped over memory of ours. */
import {
  ETHERNET_HEADER, FPROG, linkAddress, membership, PACKET_ADD_MEMBERSHIP, PACKET_DROP_MEMBERSHIP, PACKET_COPY_THRESH, PACKET_IGNORE_OUTGOING, PACKET_MR_MULTICAST, PACKET_MR_UNICAST, PACKET_MREQ, PACKET_RX_RING,
  PACKET_VERSION, PACKET_VNET_HDR, SO_ATTACH_FILTER, SOCK_FILTER, SOL_PACKET, TPACKET_V2,
} from './packet_abi.js';
import { ethernetInterface, type InterfaceInfo } from './interfaces.js';
import { EPERM, SystemError } from './system_error.js';
import {
  addressOf, AF_PACKET, bind, close, mapOver, setSocketBuffers, setsockopt, setsockoptInt, SOCK_NONBLOCK, SOCK_RAW, socket, SOL_SOCKET,
} from './syscalls.js';

/** Bytes that a socket may hold beside the ring, each way: frames too long for a slot, and frames the link has not taken yet. */
const SOCKET_BUFFER = 32 * 1024 * 1024;

/** How the ring divides its memory: blocks of whole pages, each holding `perBlock` slots of `slotBytes`. */
export interface RingGeometry {
  readonly slotBytes: number;
  readonly blockBytes: number;
  readonly perBlock: number;
  readonly blocks: number;
}

export interface PacketSocket {
  readonly fd: number;
  readonly interface: InterfaceInfo;
}

/**
 * @param address of the ring's memory; it begins a page.
 * @param mac link address to receive for where it is not the interface's own, else null.
 * @param filter program that decides what is received (packet_filter.ts); null: all.
 */
export function openPacketSocket(
  name: string, geometry: RingGeometry, address: number, mac: Uint8Array | null, filter: Uint8Array | null,
): PacketSocket {
  const info = ethernetInterface(name);
  const fd = openRaw(name);
  try {
    configure(fd, name);
    setRing(fd, name, geometry);
    mapOver(address, geometry.blockBytes * geometry.blocks, fd, `cannot map the receive ring of "${name}"`);
    if (filter !== null) attachFilter(fd, filter);
    bind(fd, linkAddress(info.index), `cannot bind to interface "${name}"`);
    if (mac !== null) addMembership(fd, membership(info.index, PACKET_MR_UNICAST, mac), `interface "${name}" takes no second link address`);
  } catch (error) {
    close(fd);
    throw error;
  }
  return { fd, interface: info };
}

/** A socket that receives nothing, for `joinGroup` alone. @throws SystemError EPERM without CAP_NET_RAW. */
export function openMembership(name: string): number {
  return openRaw(name);
}

/** The interface takes frames to a group from now on, for as long as the socket is open. */
export function joinGroup(fd: number, index: number, mac: Uint8Array): void {
  addMembership(fd, membership(index, PACKET_MR_MULTICAST, mac), 'the interface takes no more groups');
}

/** It takes them no more. */
export function leaveGroup(fd: number, index: number, mac: Uint8Array): void {
  setsockopt(fd, SOL_PACKET, PACKET_DROP_MEMBERSHIP, membership(index, PACKET_MR_MULTICAST, mac), PACKET_MREQ, 'the interface is in no such group');
}

function addMembership(fd: number, request: Uint8Array, detail: string): void {
  setsockopt(fd, SOL_PACKET, PACKET_ADD_MEMBERSHIP, request, PACKET_MREQ, detail);
}

function openRaw(name: string): number {
  try {
    return socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0, `cannot open a packet socket for "${name}"`);
  } catch (error) {
    if ((error as SystemError).errno !== -EPERM) throw error;
    const mend = `run as root, or grant it: setcap cap_net_raw+ep ${process.execPath}`;
    throw new SystemError(EPERM, 'socket', `a packet socket on "${name}" needs CAP_NET_RAW; ${mend}`);
  }
}

function configure(fd: number, name: string): void {
  const set = (option: number, value: number, what: string): void => {
    setsockoptInt(fd, SOL_PACKET, option, value, `the kernel does not do ${what} on "${name}"; it needs Linux 4.20 or later`);
  };
  set(PACKET_VERSION, TPACKET_V2, 'TPACKET_V2');
  set(PACKET_VNET_HDR, 1, 'PACKET_VNET_HDR');
  set(PACKET_IGNORE_OUTGOING, 1, 'PACKET_IGNORE_OUTGOING');
  set(PACKET_COPY_THRESH, 1, 'PACKET_COPY_THRESH'); // any frame that is too long for a slot comes by the socket's queue
  setSocketBuffers(fd, SOCKET_BUFFER, SOCKET_BUFFER);
}

function setRing(fd: number, name: string, geometry: RingGeometry): void {
  const request = Uint32Array.of(geometry.blockBytes, geometry.blocks, geometry.slotBytes, geometry.perBlock * geometry.blocks);
  const megabytes = Math.ceil((geometry.blockBytes * geometry.blocks) / 2 ** 20);
  setsockopt(fd, SOL_PACKET, PACKET_RX_RING, request, request.byteLength, `cannot have a receive ring of ${megabytes} MiB on "${name}"`);
}

/** Has the kernel decide by a program (packet_filter.ts) what is received; it takes the place of the one before, if there was one. */
export function attachFilter(fd: number, program: Uint8Array): void {
  // struct sock_fprog with the program right behind it: what holds the one holds the other during the call.
  const request = new Uint8Array(FPROG + program.length);
  new DataView(request.buffer).setUint16(0, program.length / SOCK_FILTER, true);
  new DataView(request.buffer).setBigUint64(8, BigInt(addressOf(request) + FPROG), true);
  request.set(program, FPROG);
  setsockopt(fd, SOL_SOCKET, SO_ATTACH_FILTER, request, FPROG, 'cannot have the kernel filter what is received');
}

/** Divides `bytes` of memory into slots that hold frames of `frameBytes`. */
export function ringGeometry(bytes: number, frameBytes: number, overhead: number): RingGeometry {
  const blockBytes = 1 << 20;
  // Slots a whole number of pages apart would all fall into the same sets of the cache: an odd number of lines.
  const slotBytes = (((frameBytes + ETHERNET_HEADER + overhead + 63) >> 6) | 1) << 6;
  const blocks = Math.floor(bytes / blockBytes);
  const perBlock = Math.floor(blockBytes / slotBytes);
  if (blocks < 1 || perBlock < 1) throw new RangeError(`${bytes} bytes are no room for a receive ring`);
  return { slotBytes, blockBytes, perBlock, blocks };
}

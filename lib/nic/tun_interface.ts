/**
 * Makes a TAP or TUN interface, or takes up one that there is: a network interface of the kernel whose wire is a descriptor
 * (Documentation/networking/tuntap.rst, linux/if_tun.h).
 */
import { closeSync, constants, openSync } from 'node:fs';
import { bringUp, interfaceInfo, type InterfaceInfo } from './interfaces.js';
import { ioctl } from './syscalls.js';
import { EACCES, EBUSY, EINVAL, ENOENT, EPERM, SystemError } from './system_error.js';
import { VNET_HEADER } from './virtio_net.js';

/** 'tap': Ethernet frames; 'tun': IP packets. */
export type TunMode = 'tap' | 'tun';

const CLONE_DEVICE = '/dev/net/tun';

const TUNSETIFF = 0x400454ca;
const TUNSETOFFLOAD = 0x400454d0;
const TUNSETVNETHDRSZ = 0x400454d8;

const IFF_TUN = 0x0001;
const IFF_TAP = 0x0002;
const IFF_MULTI_QUEUE = 0x0100;
const IFF_NO_PI = 0x1000;
const IFF_VNET_HDR = 0x4000;

// What the kernel may leave to us in the frames that it hands over.
const TUN_F_CSUM = 0x01;
const TUN_F_TSO4 = 0x02;
const TUN_F_TSO6 = 0x04;
const TUN_F_TSO_ECN = 0x08;
const OFFLOADS = TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN;

const IFNAMSIZ = 16;
const IFREQ_BYTES = 40;

export interface TunInterface {
  /** One for each queue: reads and writes a frame at a time, each behind a virtio header (virtio_net.ts). Closed with `closeSync`. */
  readonly descriptors: readonly number[];
  readonly interface: InterfaceInfo;
}

/**
 * Opens interface `name` in the network namespace of the calling thread, with all offloads, and brings it up. Where there is none it
 * is made, and goes when the descriptors are closed.
 *
 * @param queues of it that are used. The kernel spreads flows over those that are open.
 * @throws SystemError EPERM (which capability is wanting), EBUSY (in use), EINVAL (an interface of another kind), ENOENT, ENODEV or EACCES
 *   (the system has no /dev/net/tun for us), ENETDOWN (down, and not ours to bring up); each with the mend.
 */
export function openTunInterface(mode: TunMode, name: string, queues: number): TunInterface {
  const descriptors: number[] = [];
  try {
    let actual = name;
    while (descriptors.length < queues) {
      const fd = openCloneDevice(mode);
      descriptors.push(fd);
      actual = attach(fd, mode, actual, queues);
      setOffloads(fd, actual);
    }
    if (!interfaceInfo(actual).up) bringUp(actual);
    return { descriptors, interface: interfaceInfo(actual) };
  } catch (error) {
    for (const fd of descriptors) closeSync(fd);
    throw error;
  }
}

function openCloneDevice(mode: TunMode): number {
  try {
    return openSync(CLONE_DEVICE, constants.O_RDWR | constants.O_NONBLOCK);
  } catch (error) {
    const { errno = 0 } = error as NodeJS.ErrnoException;
    let mend = 'load the module (modprobe tun)';
    if (errno === -ENOENT) mend += `, and where it is still missing: mkdir -p /dev/net && mknod ${CLONE_DEVICE} c 10 200; a container wants --device ${CLONE_DEVICE}`;
    else if (errno === -EACCES || errno === -EPERM) mend = `run as root, or have root allow it: chmod 666 ${CLONE_DEVICE}; a container wants --device ${CLONE_DEVICE}`;
    throw new SystemError(-errno, 'open', `cannot open ${CLONE_DEVICE}, which a ${mode} device needs; ${mend}`);
  }
}

/** Binds the descriptor to the interface, made where there is none. Returns its name. @param queues that are used of it, this one among them. */
function attach(fd: number, mode: TunMode, name: string, queues: number): string {
  const encoded = new TextEncoder().encode(name);
  if (encoded.length === 0 || encoded.length >= IFNAMSIZ) throw new SystemError(EINVAL, 'ioctl', `"${name}" cannot be the name of an interface: it has 1 to ${IFNAMSIZ - 1} bytes`);
  const request = new Uint8Array(IFREQ_BYTES);
  const set = (flags: number): number => {
    request.fill(0);
    request.set(encoded);
    new DataView(request.buffer).setUint16(IFNAMSIZ, flags, true);
    return ioctl(fd, TUNSETIFF, request);
  };
  const flags = (mode === 'tap' ? IFF_TAP : IFF_TUN) | IFF_NO_PI | IFF_VNET_HDR;
  let result = set(queues > 1 ? flags | IFF_MULTI_QUEUE : flags);
  // One that was made for several queues is taken up with one of them.
  if (result === -EINVAL && queues === 1) result = set(flags | IFF_MULTI_QUEUE);
  if (result < 0) throw refusal(-result, mode, name, queues);
  return new TextDecoder().decode(request.subarray(0, request.indexOf(0)));
}

function refusal(errno: number, mode: TunMode, name: string, queues: number): SystemError {
  const several = queues > 1 ? ' multi_queue' : '';
  const own = `ip tuntap add dev ${name} mode ${mode}${several} user ${process.geteuid?.() ?? 0}`;
  switch (errno) {
    case EPERM:
      return new SystemError(errno, 'ioctl', `"${name}" is not this user's: a ${mode} device needs CAP_NET_ADMIN; run as root, or have root make the interface for this user: ${own}`);
    case EBUSY:
      return new SystemError(errno, 'ioctl', `${mode} interface "${name}" is in use by another program; end that one, or choose another name`);
    case EINVAL:
      return new SystemError(errno, 'ioctl', `interface "${name}" is no ${mode} interface${queues > 1 ? ' with several queues' : ''}; choose another name, or one that was made by: ${own}`);
    default:
      return new SystemError(errno, 'ioctl', `cannot have the ${mode} interface "${name}"`);
  }
}

function setOffloads(fd: number, name: string): void {
  const header = ioctl(fd, TUNSETVNETHDRSZ, Int32Array.of(VNET_HEADER));
  if (header < 0) throw new SystemError(-header, 'ioctl', `the kernel does not do TUNSETVNETHDRSZ on "${name}"; it needs Linux 2.6.34 or later`);
  const offloads = ioctl(fd, TUNSETOFFLOAD, OFFLOADS);
  if (offloads < 0) throw new SystemError(-offloads, 'ioctl', `the kernel does not leave checksums and segmentation of "${name}" to us`);
}

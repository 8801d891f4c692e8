/**
 * A virtual interface with a link address of its own on another interface (macvlan, in the mode 'bridge'), made for a TCP server, and used
 * through a packet socket. So the kernel's interface and its addresses stay as they are, and the other stations see one more host.
 *
 * The kernel is kept from being that host as well: it takes no part in ARP there (IFF_NOARP), or it would answer for its other addresses, forwards
 * nothing that arrives there, as it would where it is a router, and has no IPv6 there.
 *
 * The interface goes when the device is closed. One whose process ended without that is removed by the next that is opened in the namespace: for
 * as long as it is used its process holds its name (held_names.ts).
 */
import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { AfPacketDevice, type AfPacketOptions } from './af_packet.js';
import type { DeviceMemory } from './device.js';
import { holdName } from './held_names.js';
import { bringUp, interfaceInfo } from './interfaces.js';
import { addLink, readLinks, removeLink, standAside } from './links.js';
import { bytesAttribute } from './netlink.js';
import { RouteSocket } from './route_netlink.js';
import { EBUSY, EINVAL, ENETDOWN, EOPNOTSUPP, EPERM, SystemError } from './system_error.js';
import { close } from './syscalls.js';

const KIND = 'macvlan';
const IFLA_MACVLAN_MODE = 1;
const MACVLAN_MODE_BRIDGE = 4;
const IFF_NOARP = 0x80;
const NAME = /^tcpo-[0-9a-f]{8}$/;

type Filter = Pick<AfPacketOptions, 'filter' | 'addressFilter'>;

/** An interface that was made, and what holds it. */
interface Made {
  readonly name: string;
  readonly index: number;
  /** Keeps it from being removed by others. */
  readonly holder: number;
  readonly links: RouteSocket;
}

export class MacvlanDevice extends AfPacketDevice {
  readonly #made: Made;
  #removed = false;

  private constructor(made: Made, memory: DeviceMemory, shared: SharedArrayBuffer, filter: Filter) {
    super(made.name, memory, shared, filter);
    this.#made = made;
  }

  /**
   * @param parent interface in the network namespace of the calling thread. @param filter what is received.
   * @throws SystemError ENODEV, EPERM, ENETDOWN, EOPNOTSUPP and the like, with the mend.
   */
  static open(parent: string, memory: DeviceMemory, shared: SharedArrayBuffer, filter: Filter): MacvlanDevice {
    const made = make(parent);
    try {
      return new MacvlanDevice(made, memory, shared, filter);
    } catch (error) {
      remove(made);
      throw error;
    }
  }

  override close(): void {
    super.close();
    if (!this.#removed) remove(this.#made);
    this.#removed = true;
  }
}

function make(parent: string): Made {
  const { index, up } = interfaceInfo(parent);
  if (!up) throw new SystemError(ENETDOWN, 'ioctl', `interface "${parent}" is down; bring it up: ip link set ${parent} up`);
  const links = new RouteSocket();
  const name = `tcpo-${randomBytes(4).toString('hex')}`;
  let holder = -1;
  try {
    removeStale(links);
    holder = holdName(name)!;
    const result = addLink(links, {
      name, kind: KIND, parent: index, flags: IFF_NOARP,
      data: [bytesAttribute(IFLA_MACVLAN_MODE, new Uint8Array(Uint32Array.of(MACVLAN_MODE_BRIDGE).buffer))],
    });
    if (result < 0) throw refusal(-result, parent);
    const made = { name, index: interfaceInfo(name).index, holder, links };
    try {
      standAside(links, made.index);
      disableIPv6(name);
      bringUp(name);
    } catch (error) {
      removeLink(links, made.index);
      throw error;
    }
    return made;
  } catch (error) {
    if (holder >= 0) close(holder);
    links.close();
    throw error;
  }
}

/** Where settings may not be written, as in some containers, that it has no addresses is what remains. */
function disableIPv6(name: string): void {
  try {
    writeFileSync(`/proc/sys/net/ipv6/conf/${name}/disable_ipv6`, '1');
  } catch (error) {
    if (!['ENOENT', 'EROFS', 'EACCES', 'EPERM'].includes((error as NodeJS.ErrnoException).code ?? '')) throw error;
  }
}

function remove({ index, holder, links }: Made): void {
  removeLink(links, index);
  close(holder);
  links.close();
}

/** Removes what was made by processes that are no more. */
function removeStale(links: RouteSocket): void {
  for (const { name, kind, index } of readLinks(links)) {
    if (kind !== KIND || !NAME.test(name)) continue;
    const holder = holdName(name);
    if (holder === null) continue;
    removeLink(links, index);
    close(holder);
  }
}

function refusal(errno: number, parent: string): SystemError {
  switch (errno) {
    case EPERM:
      return new SystemError(errno, 'write', `an interface on "${parent}" of its own (macvlan) needs CAP_NET_ADMIN; run as root, or grant it: setcap cap_net_admin,cap_net_raw+ep ${process.execPath}`);
    case EOPNOTSUPP:
      return new SystemError(errno, 'write', 'the kernel makes no interfaces of the kind macvlan; load the module: modprobe macvlan');
    case EBUSY:
    case EINVAL:
      return new SystemError(errno, 'write', `interface "${parent}" takes no interfaces of the kind macvlan on it: it must speak Ethernet, and neither be part of a bridge nor be one in the mode passthru`);
    default:
      return new SystemError(errno, 'write', `cannot make an interface of the kind macvlan on "${parent}"`);
  }
}

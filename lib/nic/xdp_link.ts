/** The XDP program on an interface (xdp_program.ts), and the map by which it finds the sockets of the receive queues. */
import { createLink, createSocketMap, loadXdpProgram, setSocket, updateLink, XDP_FLAGS_DRV_MODE, XDP_FLAGS_SKB_MODE } from './bpf.js';
import type { InterfaceInfo } from './interfaces.js';
import { close } from './syscalls.js';
import { EBUSY, EEXIST, ENODEV, EPERM, SystemError } from './system_error.js';
import { redirectProgram } from './xdp_program.js';

/** Who runs the program: the driver, or the kernel behind it where the driver cannot. */
export type XdpMode = 'native' | 'generic';

/**
 * Makes the program, which is to say what is taken from the kernel. @param mac link address of the interface. @param addresses own ones.
 * @param sockets descriptor of the XSKMAP.
 */
export type MakeProgram = (mac: Uint8Array, addresses: readonly Uint8Array[], sockets: number) => Uint8Array;

export interface XdpLinkOptions {
  /** Default: `redirectProgram`. */
  readonly program?: MakeProgram;
  /** The program is run behind the driver, which is left as it is: some interrupt their link when they take a program up. Default false. */
  readonly onlyGeneric?: boolean;
}

const MODES: readonly (readonly [XdpMode, number])[] = [['native', XDP_FLAGS_DRV_MODE], ['generic', XDP_FLAGS_SKB_MODE]];
/** Errors that another mode would meet as well. */
const FINAL: readonly number[] = [EPERM, EBUSY, EEXIST, ENODEV];

export class XdpLink {
  readonly mode: XdpMode;
  readonly #mac: Uint8Array;
  readonly #addresses: Uint8Array[];
  readonly #makeProgram: MakeProgram;
  readonly #map: number;
  readonly #link: number;

  /**
   * Attaches the program, which leaves all to the kernel until there are sockets. The thread is in the interface's network namespace. The
   * program goes when this is closed, and with the process.
   *
   * @param addresses own ones, 4 or 16 bytes each. @param queues receive queues of the interface.
   * @throws SystemError EPERM without CAP_BPF and CAP_NET_ADMIN, EBUSY where another program is attached, and the like.
   */
  constructor(target: InterfaceInfo, addresses: readonly Uint8Array[], queues: number, { program = redirectProgram, onlyGeneric = false }: XdpLinkOptions = {}) {
    this.#mac = target.mac;
    this.#addresses = [...addresses];
    this.#makeProgram = program;
    this.#map = createSocketMap(queues);
    try {
      const loaded = this.#load();
      try {
        const [mode, link] = attach(loaded, target, onlyGeneric ? MODES.slice(1) : MODES);
        this.mode = mode;
        this.#link = link;
      } finally {
        close(loaded); // the link holds it
      }
    } catch (error) {
      close(this.#map);
      throw error;
    }
  }

  #load(): number {
    return loadXdpProgram(this.#makeProgram(this.#mac, this.#addresses, this.#map));
  }

  /** Frames of the queue go to the socket from now on. @throws SystemError. */
  setSocket(queue: number, socket: number): void {
    setSocket(this.#map, queue, socket);
  }

  /** What is for this address is taken as well, from now on. @throws SystemError. */
  take(address: Uint8Array): void {
    if (this.#addresses.some((own) => own.length === address.length && own.every((byte, i) => byte === address[i]))) return;
    this.#addresses.push(Uint8Array.from(address));
    const program = this.#load();
    try {
      updateLink(this.#link, program);
    } finally {
      close(program);
    }
  }

  close(): void {
    close(this.#link);
    close(this.#map);
  }
}

/** Attaches a program in the first of the modes that there is. Returns which it is, and the descriptor of the link. */
function attach(program: number, { name, index }: InterfaceInfo, modes: typeof MODES): [XdpMode, number] {
  let errno = 0;
  for (const [mode, flag] of modes) {
    const link = createLink(program, index, flag);
    if (link >= 0) return [mode, link];
    errno = -link;
    if (FINAL.includes(errno)) break;
  }
  switch (errno) {
    case EBUSY:
    case EEXIST:
      throw new SystemError(errno, 'bpf', `interface "${name}" has an XDP program already, by another TCP server or another program (ip link show ${name}); end that one, or take it off: ip link set ${name} xdp off`);
    case EPERM:
      throw new SystemError(errno, 'bpf', `to attach an XDP program to "${name}" needs CAP_NET_ADMIN; run as root`);
    default:
      throw new SystemError(errno, 'bpf', `cannot attach an XDP program to interface "${name}"; it needs Linux 5.10 or later`);
  }
}

/**
 * Carries packets between raw IP sockets and the TCP server (lib/nic/raw.ts): the npm package raw-socket works in the main thread alone, so
 * this runs there, whatever else that thread does.
 */
import { createRequire } from 'node:module';
import { isMainThread } from 'node:worker_threads';
import { ExchangePeer } from '../nic/exchange.js';
import { inNamespace } from '../nic/netns.js';
import { RAW_MARK } from '../nic/raw.js';
import { EPERM, SystemError } from '../nic/system_error.js';
import type { ServerConfig } from './config.js';
import { ringServer } from './doorbell.js';
import type { Layout } from './layout.js';

/** What is used of the package. */
export interface RawSocket {
  on(event: 'message', take: (packet: Buffer) => void): unknown;
  on(event: 'error', take: (error: Error) => void): unknown;
  setOption(level: number, option: number, value: number | Buffer, length?: number): void;
  send(buffer: Buffer, offset: number, length: number, address: string, done: (error: Error | null) => void): unknown;
  close(): unknown;
}

interface RawSocketPackage {
  createSocket(options: { protocol: number; bufferSize: number }): RawSocket;
}

const PACKAGE = 'raw-socket';
const PROTOCOL_TCP = 6;
const IPPROTO_IP = 0;
const IP_HDRINCL = 3;
const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;
const SO_RCVBUFFORCE = 33;
const SO_MARK = 36;
/** Bytes of the largest packet, coalesced ones among them; the package's own default of 4096 cuts them off. */
const LARGEST_PACKET = 65536;
/** Bytes that wait in the kernel while the main thread does something else. */
const RECEIVE_BUFFER = 8 * 1024 * 1024;
const DESTINATION_AT = 16;
/** Texts of addresses that are kept, so that not each packet makes one. */
const TEXTS_MOST = 1024;

export class RawCarrier {
  readonly #socket: RawSocket;
  readonly #peer: ExchangePeer;
  readonly #words: Int32Array;
  readonly #buffer: Buffer;
  readonly #view: DataView;
  readonly #texts = new Map<number, string>();
  /** Packets that the socket was given and has not sent yet. */
  #given = 0;
  #closed = false;
  readonly #onSent = (): void => {
    // Sent or refused: what is lost is sent again.
    this.#given--;
    this.#peer.free();
  };

  constructor(socket: RawSocket, memory: SharedArrayBuffer, layout: Layout) {
    this.#socket = socket;
    this.#peer = new ExchangePeer(memory, layout.deviceBase);
    this.#words = new Int32Array(memory);
    const { buffer, byteOffset, byteLength } = this.#peer.bytes;
    this.#buffer = Buffer.from(buffer as ArrayBuffer, byteOffset, byteLength);
    this.#view = new DataView(buffer, byteOffset, byteLength);
    socket.on('message', (packet) => this.#receive(packet));
    socket.on('error', () => undefined); // of the link, told once: what it cost is sent again
    void this.#send();
  }

  /** A packet that finds no room is lost, as on a wire. */
  #receive(packet: Buffer): void {
    if (!this.#closed && this.#peer.send(packet)) ringServer(this.#words);
  }

  async #send(): Promise<void> {
    while (!this.#closed) {
      for (let at = this.#peer.find(this.#given); at >= 0; at = this.#peer.find(this.#given)) {
        this.#given++;
        this.#socket.send(this.#buffer, at, this.#peer.lengthOf(at), this.#textAt(at + DESTINATION_AT), this.#onSent);
      }
      await this.#peer.wait(this.#given);
    }
  }

  /** The text of the IPv4 address at a place. */
  #textAt(at: number): string {
    const address = this.#view.getUint32(at);
    let text = this.#texts.get(address);
    if (text === undefined) {
      if (this.#texts.size === TEXTS_MOST) this.#texts.clear();
      text = `${address >>> 24}.${(address >>> 16) & 255}.${(address >>> 8) & 255}.${address & 255}`;
      this.#texts.set(address, text);
    }
    return text;
  }

  close(): void {
    if (this.#closed) return;
    this.#closed = true;
    this.#peer.wake();
    this.#socket.close();
  }
}

/**
 * @param config with a device 'raw:IFNAME'.
 * @throws Error outside the main thread, where the package is missing, or where the process may not; each says how to mend it.
 */
export function openRawCarrier(config: ServerConfig, memory: SharedArrayBuffer, layout: Layout): RawCarrier {
  const { device, netns } = config;
  if (!isMainThread) throw new Error(`the device '${device}' works in the main thread alone, as the package ${PACKAGE} does: start the TCP server there`);
  const open = (): RawSocket => openRawSocket(device);
  return new RawCarrier(netns === null ? open() : inNamespace(netns, open), memory, layout);
}

/** A raw socket on the interface of a device 'raw:IFNAME'. @throws as `openRawCarrier`. */
export function openRawSocket(device: string): RawSocket {
  return openSocket(loadPackage(device).createSocket, device);
}

function openSocket(createSocket: RawSocketPackage['createSocket'], device: string): RawSocket {
  let socket: RawSocket | null = null;
  try {
    socket = createSocket({ protocol: PROTOCOL_TCP, bufferSize: LARGEST_PACKET });
    const name = Buffer.from(`${device.slice(device.indexOf(':') + 1)}\0`);
    socket.setOption(SOL_SOCKET, SO_BINDTODEVICE, name, name.length);
    socket.setOption(IPPROTO_IP, IP_HDRINCL, 1);
    socket.setOption(SOL_SOCKET, SO_MARK, RAW_MARK);
    socket.setOption(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
    return socket;
  } catch (error) {
    socket?.close();
    const { message } = error as Error; // the package's errors are texts of the system's
    if (!/not permitted/.test(message)) throw new Error(`cannot open a raw socket for '${device}': ${message}`);
    throw new SystemError(EPERM, 'socket', `the device '${device}' needs CAP_NET_RAW and CAP_NET_ADMIN; run as root, or grant them: setcap cap_net_raw,cap_net_admin+ep ${process.execPath}`);
  }
}

function loadPackage(device: string): RawSocketPackage {
  const require = createRequire(import.meta.url);
  try {
    return require(PACKAGE) as RawSocketPackage;
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const mend = isInstalled(require)
      ? `is installed, but was not built for this Node.js (${(error as Error).message.split('\n')[0]}): npm rebuild ${PACKAGE}`
      : `is not installed: npm install ${PACKAGE}`;
    const wanted = `the device '${device}' needs the package ${PACKAGE}, which ${mend}; building it takes python3, make and g++`;
    throw Object.assign(new Error(wanted), { code: code ?? 'ERR_DLOPEN_FAILED' });
  }
}

function isInstalled(require: NodeJS.Require): boolean {
  try {
    require.resolve(PACKAGE);
    return true;
  } catch {
    return false;
  }
}

/**
 * One end of a bulk transfer, a process of its own, over the kernel's TCP or a TCP server's. Its one argument is a
 * `TransferSetting` in JSON. A receiver prints `ready` when it listens, and a `TransferReport` at its end.
 */
import * as kernelNet from 'node:net';
import { setsockopt } from '../lib/nic/syscalls.js';

export interface TransferSetting {
  readonly role: 'send' | 'receive';
  readonly net: 'kernel' | 'offload';
  readonly flows: number;
  /** Seconds that the receiver counts for, from the first connection on. */
  readonly seconds: number;
  /** Where the receiver listens. */
  readonly address: string;
  readonly port: number;
  /** For a TCP server. */
  readonly device: string;
  readonly netns: string;
  readonly ownAddress: string;
  readonly buffer: number;
}

export interface TransferReport {
  /** Bytes of each flow. */
  readonly bytes: number[];
  readonly seconds: number;
}

const IPPROTO_TCP = 6;
const TCP_CONGESTION = 13;
const CHUNK = Buffer.alloc(64 * 1024, 'x');

const setting = JSON.parse(process.argv[2] ?? '') as TransferSetting;
const net = setting.net === 'kernel' ? kernelNet : await offload();
if (setting.role === 'send') send();
else receive();

async function offload(): Promise<typeof kernelNet> {
  const { TcpServer, net } = await import('../lib/index.js');
  const { device, netns, ownAddress, buffer } = setting;
  await TcpServer.start({ device, netns, address: ownAddress, sendBuffer: buffer, receiveBuffer: buffer, sendMemory: 64 << 20 });
  // Both have the same calls; their types are not related.
  return net as unknown as typeof kernelNet;
}

/** Writes as fast as it is taken, for as long as the receiver wants it. */
function send(): void {
  for (let i = 0; i < setting.flows; i++) {
    const socket = net.connect(setting.port, setting.address);
    if (setting.net === 'kernel') process.nextTick(chooseCubic, socket);
    const fill = (): void => { while (!socket.destroyed && socket.write(CHUNK)); };
    socket.on('connect', fill).on('drain', fill);
    socket.on('error', () => socket.destroy()).resume();
  }
}

/**
 * Has the kernel use CUBIC for a socket that has just sent its SYN. A namespace's own default may only be what the machine
 * allows everybody, and congestion control begins to work with the answer to the SYN.
 */
function chooseCubic(socket: kernelNet.Socket): void {
  const { fd } = (socket as unknown as { _handle: { fd: number } })._handle;
  const name = new TextEncoder().encode('cubic');
  setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, name, name.length, 'the kernel has no CUBIC to compare with');
}

function receive(): void {
  const bytes: number[] = [];
  let began = 0;
  const server = net.createServer((socket) => {
    if (began === 0) {
      began = performance.now();
      setTimeout(report, setting.seconds * 1000);
    }
    const flow = bytes.push(0) - 1;
    socket.on('data', (chunk: Buffer) => { bytes[flow] = (bytes[flow] ?? 0) + chunk.length; });
    socket.on('error', () => undefined);
  });
  server.listen(setting.port, setting.address, () => process.stdout.write('ready\n'));
  const report = (): void => {
    while (bytes.length < setting.flows) bytes.push(0);
    const found: TransferReport = { bytes, seconds: (performance.now() - began) / 1000 };
    process.stdout.write(`${JSON.stringify(found)}\n`, () => process.exit(0));
  };
}

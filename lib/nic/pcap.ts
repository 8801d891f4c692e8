/**
 * Writes the frames of a device to a capture file, both directions, as they pass. The format is the classic pcap one
 * (draft-ietf-opsawg-pcap) in the byte order of this machine, with times in µs; Wireshark and tcpdump read it.
 *
 * Frames are captured as they are handed over: a super-segment is one record, and a checksum that is left to the device
 * is incomplete in the capture.
 */
import { closeSync, openSync, writeSync } from 'node:fs';
import type { Device, DeviceCapabilities, DeviceStats, FrameSink } from './device.js';
import { Spans, copyBytes } from './spans.js';

const MAGIC_MICROSECONDS = 0xa1b2c3d4;
const LINKTYPE_ETHERNET = 1;
const LINKTYPE_RAW = 101;
const SNAP_LENGTH = 262144;
const FILE_HEADER = 24;
const RECORD_HEADER = 16;
const BUFFER_BYTES = 512 * 1024;

/**
 * @param path of the capture file; it is overwritten.
 * @param memory the payload memory that spans refer to.
 * @param now µs since 1970.
 */
export function pcap(device: Device, path: string, memory: Uint8Array, now: () => number): PcapDevice {
  return new PcapDevice(device, path, memory, now);
}

export class PcapDevice implements Device, FrameSink {
  readonly capabilities: DeviceCapabilities;
  readonly fd: number;
  readonly #device: Device;
  readonly #memory: Uint8Array;
  readonly #capture: CaptureFile;
  readonly #spans = new Spans();
  #reserved = -1;
  #sink: FrameSink = this;

  constructor(device: Device, path: string, memory: Uint8Array, now: () => number) {
    this.#device = device;
    this.#memory = memory;
    this.#capture = new CaptureFile(path, device.capabilities.medium === 'ethernet' ? LINKTYPE_ETHERNET : LINKTYPE_RAW, now);
    this.capabilities = device.capabilities;
    this.fd = device.fd;
  }

  get stats(): DeviceStats {
    return this.#device.stats;
  }

  get tx(): Uint8Array {
    return this.#device.tx;
  }

  get description(): string {
    return this.#device.description ?? '';
  }

  get down(): boolean {
    return this.#device.down ?? false;
  }

  readable(): boolean {
    return this.#device.readable();
  }

  nextEvent(): number {
    return this.#device.nextEvent?.() ?? Infinity;
  }

  receive(sink: FrameSink, budget: number): number {
    this.#sink = sink;
    const taken = this.#device.receive(this, budget);
    if (taken === 0) this.#capture.write(); // nothing else to do: whoever follows the file gets to see it
    return taken;
  }

  /** A received frame on its way to the user of this device. */
  frame(bytes: Uint8Array, offset: number, length: number, flags: number, segmentSize: number): void {
    const at = this.#capture.begin(length);
    copyBytes(bytes, offset, this.#capture.buffer, at, length);
    this.#sink.frame(bytes, offset, length, flags, segmentSize);
  }

  reserve(): number {
    this.#spans.clear();
    return (this.#reserved = this.#device.reserve());
  }

  append(offset: number, length: number): void {
    this.#spans.append(offset, length);
    this.#device.append(offset, length);
  }

  commit(length: number, checksumStart: number, segmentSize: number): void {
    const at = this.#capture.begin(length + this.#spans.bytes);
    copyBytes(this.#device.tx, this.#reserved, this.#capture.buffer, at, length);
    this.#spans.gather(this.#memory, this.#capture.buffer, at + length);
    this.#spans.clear();
    this.#device.commit(length, checksumStart, segmentSize);
  }

  joinGroup(mac: Uint8Array): void {
    this.#device.joinGroup?.(mac);
  }

  takeAddress(address: Uint8Array): void {
    this.#device.takeAddress?.(address);
  }

  leaveGroup(mac: Uint8Array): void {
    this.#device.leaveGroup?.(mac);
  }

  setAddresses(addresses: readonly Uint8Array[]): void {
    this.#device.setAddresses?.(addresses);
  }

  flush(): number {
    return this.#device.flush();
  }

  close(): void {
    this.#capture.close();
    this.#device.close();
  }
}

/** A capture file, written through a buffer. */
class CaptureFile {
  readonly buffer = new Uint8Array(BUFFER_BYTES);
  readonly #view = new DataView(this.buffer.buffer);
  readonly #now: () => number;
  #fd: number;
  #used = FILE_HEADER;

  constructor(path: string, linkType: number, now: () => number) {
    this.#now = now;
    this.#fd = openSync(path, 'w');
    const view = this.#view;
    view.setUint32(0, MAGIC_MICROSECONDS, true);
    view.setUint16(4, 2, true); // version 2.4
    view.setUint16(6, 4, true);
    view.setUint32(16, SNAP_LENGTH, true);
    view.setUint32(20, linkType, true);
    this.write();
  }

  /** Begins a record. Returns where in the buffer its `length` bytes belong. */
  begin(length: number): number {
    if (this.#used + RECORD_HEADER + length > BUFFER_BYTES) this.write();
    const at = this.#used;
    const now = this.#now();
    const seconds = Math.floor(now / 1e6);
    this.#view.setUint32(at, seconds, true);
    this.#view.setUint32(at + 4, now - seconds * 1e6, true);
    this.#view.setUint32(at + 8, length, true);
    this.#view.setUint32(at + 12, length, true);
    this.#used = at + RECORD_HEADER + length;
    return at + RECORD_HEADER;
  }

  /** Writes what is buffered. */
  write(): void {
    if (this.#used === 0) return;
    let at = 0;
    try {
      while (this.#fd >= 0 && at < this.#used) at += writeSync(this.#fd, this.buffer, at, this.#used - at);
    } catch (error) {
      // A full disk ends the capture, not the connections.
      process.emitWarning(`the capture ends here: ${(error as Error).message}`);
      this.#end();
    }
    this.#used = 0;
  }

  close(): void {
    this.write();
    this.#end();
  }

  #end(): void {
    if (this.#fd < 0) return;
    closeSync(this.#fd);
    this.#fd = -1;
  }
}

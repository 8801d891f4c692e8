/** What is sent in benchmarks. */
import { mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const FIXED_RESPONSE = Buffer.from('HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 14\r\n\r\nHello, World!\n');
/** What a source makes at a time, and of what. */
export const SOURCE_BYTES = 64 * 1024;
export const SOURCE_BYTE = 0x78;
export const FILE_BYTES = 2 ** 20;
export const FILE_HEAD = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: application/octet-stream\r\nContent-Length: ${FILE_BYTES}\r\n\r\n`);

const LINE = 'Hello, World!\n';

/** Text of so many bytes. */
export function pageOf(bytes: number): string {
  return LINE.repeat(Math.ceil(bytes / LINE.length)).slice(0, bytes);
}

/** What a page is made of. */
const RECORDS = Array.from({ length: 100 }, (_, id) => ({ id, name: `item ${id}`, price: id * 1.25, tags: ['a', 'b', 'c'] }));

/** A page of so many bytes as an app makes it: always the same work. */
export function render(bytes: number): string {
  const text = JSON.stringify(RECORDS);
  return bytes <= text.length ? text.slice(0, bytes) : text + pageOf(bytes - text.length);
}

/** A descriptor of a file of FILE_BYTES that has no name any more. */
export function openBenchFile(): number {
  const folder = mkdtempSync(join(tmpdir(), 'tcp-offload-'));
  const path = join(folder, 'file');
  writeFileSync(path, Buffer.alloc(FILE_BYTES, 'x'));
  const descriptor = openSync(path, 'r');
  rmSync(folder, { recursive: true });
  return descriptor;
}

/**
 * The load of a bulk benchmark, a process of its own over kernel TCP: one connection to the server under test, which sends or receives.
 * Arguments: `send` or `receive`, what the server does; its address and port; seconds. Prints a `BulkReport`.
 */
import { connect } from 'node:net';

export interface BulkReport {
  readonly bytes: number;
  readonly seconds: number;
}

const [direction, host = '', port, seconds] = process.argv.slice(2);
const chunk = Buffer.alloc(256 * 1024, 'x');
let bytes = 0;
const socket = connect({ port: Number(port), host, onread: { buffer: chunk, callback: (length) => (bytes += length) > 0 } }, () => {
  const began = performance.now();
  if (direction === 'receive') fill();
  setTimeout(() => {
    // What the kernel has not sent yet is little beside what it has.
    const report: BulkReport = { bytes: direction === 'receive' ? socket.bytesWritten - socket.writableLength : bytes, seconds: (performance.now() - began) / 1000 };
    process.stdout.write(`${JSON.stringify(report)}\n`, () => process.exit(0));
  }, Number(seconds) * 1000);
});
socket.on('drain', fill);

/** Node takes a write while the one before is with the kernel, so there is always one that waits. */
function fill(): void {
  while (socket.write(chunk));
}

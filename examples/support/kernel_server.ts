/**
 * The app over kernel TCP, a process in the network's namespace: one, or several of `node:cluster` on one port, since
 * threads cannot share a port of the kernel's. Reports to its parent who serves and how many requests it has begun.
 */
import cluster from 'node:cluster';
import { createServer } from 'node:http';
import { app } from '../http.js';

export interface KernelReport {
  readonly name: string;
  readonly pid: number;
  /** Requests since this process began. */
  readonly requests: number;
}

const REPORT_MS = 500;
const [workers = 0, port = 0] = process.argv.slice(2, 4).map(Number);
const address = process.argv[4] ?? '';

// The parent ends it by a signal, or by being gone.
process.on('disconnect', () => process.exit());
if (cluster.isPrimary && workers > 0) divide();
else serve(cluster.isPrimary ? 'app' : `app ${process.env['POOL_INDEX']}`);

function divide(): void {
  const start = (index: number): void => {
    const worker = cluster.fork({ POOL_INDEX: index });
    worker.on('message', (report: KernelReport) => process.send?.(report));
    worker.on('exit', () => start(index));
  };
  for (let index = 0; index < workers; index++) start(index);
}

function serve(name: string): void {
  let requests = 0;
  const report = (): void => { process.send?.({ name, pid: process.pid, requests } satisfies KernelReport); };
  const server = createServer((request, response) => {
    requests++;
    app(request, response);
  });
  server.on('error', (error) => {
    process.stderr.write(`${error.message}\n`);
    process.exit(1);
  });
  server.listen(port, address, () => {
    report();
    setInterval(report, REPORT_MS);
  });
}

/** The kernel's end: run in a network namespace, it serves (exchange.ts) and does what it is told, a line of JSON each. */
import * as net from 'node:net';
import { createInterface } from 'node:readline';
import type { Duplex } from 'node:stream';
import { ask, serve, SILENT } from './exchange.js';
import type { Net, Request } from './exchange.js';

export interface Order {
  readonly id: number;
  readonly what: Request | 'connect and reset' | 'connect and wait' | 'reset what waits';
  readonly host: string;
  readonly count: number;
}

export interface Report {
  readonly id: number;
  readonly result?: string;
  readonly error?: string;
}

const silent = new Set<net.Socket>();
await serve(net as unknown as Net, (socket: Duplex) => { silent.add((socket as net.Socket).resume()); });
process.stdout.write('ready\n');

for await (const line of createInterface({ input: process.stdin })) {
  const order = JSON.parse(line) as Order;
  carryOut(order).then(
    (result) => answer({ id: order.id, result }),
    (error: NodeJS.ErrnoException) => answer({ id: order.id, error: error.code ?? error.message }),
  );
}
process.exit(0);

function answer(report: Report): void {
  process.stdout.write(`${JSON.stringify(report)}\n`);
}

async function carryOut({ what, host, count }: Order): Promise<string> {
  if (what === 'reset what waits') {
    const { size } = silent;
    for (const socket of silent) socket.resetAndDestroy();
    silent.clear();
    return String(size);
  }
  if (what !== 'connect and reset' && what !== 'connect and wait') return ask(net as unknown as Net, what, host, count);
  const socket = net.connect({ host, port: SILENT });
  await new Promise((resolve, reject) => socket.once('connect', resolve).once('error', reject));
  if (what === 'connect and reset') {
    socket.write('x');
    socket.resetAndDestroy();
    return 'reset';
  }
  socket.resume();
  return new Promise((_resolve, reject) => {
    socket.once('error', reject).once('close', () => reject(new Error('closed')));
  });
}

/**
 * Requests and answers between two MemNets over a TCP server whose turns are made here, in one thread. Run with --trace-gc: between the
 * lines "begin" and "end" nothing should be collected. Argument: how many turns.
 */
import { MemNet } from '../../../lib/memnet.js';
import type { MemNetFlow } from '../../../lib/memnet.js';
import { Turns } from '../../support/turns.js';

const FLOWS = 64;
const REQUEST = Buffer.alloc(120, 'request');
const ANSWER = Buffer.alloc(300, 'answer');

const turns = new Turns();
const server = new MemNet({ handle: turns.handle });
const client = new MemNet({ handle: turns.handle });
const listening = server.listen();
await turns.until(() => false, 3);
const { port } = await listening;
const flows = Array.from({ length: FLOWS }, () => client.connect({ port }));
await turns.until(() => flows.every((flow) => flow.localPort !== 0), 100);
let answers = 0;

/** In place where the room is one piece, as it mostly is. */
function write(flow: MemNetFlow, bytes: Buffer): void {
  if (flow.reserve(bytes.length) < bytes.length) {
    flow.write(bytes);
    return;
  }
  flow.memory.set(bytes, flow.roomAt);
  flow.commit(bytes.length);
}

function serve(memnet: MemNet, answer: Buffer, whole: number): number {
  const { events } = memnet;
  let served = 0;
  memnet.poll();
  while (events.next()) {
    const { flow, type } = events;
    if (type !== 'readable' || flow.readableLength < whole) continue;
    flow.consume(whole);
    write(flow, answer);
    served++;
  }
  memnet.poll();
  return served;
}

/** Looks in vain after each turn: a thread that waits looks far more often than there is something. */
const LOOKS = 300;

function run(count: number): void {
  for (let i = 0; i < count; i++) {
    turns.turn(20);
    serve(server, ANSWER, REQUEST.length);
    answers += serve(client, REQUEST, ANSWER.length);
    for (let look = 0; look < LOOKS; look++) server.poll();
  }
}

for (const flow of flows) write(flow, REQUEST);
const count = Number(process.argv[2] ?? 6000);
run(4000);
const before = answers;
process.stdout.write('begin\n');
const started = process.hrtime();
run(count);
const [seconds, nanos] = process.hrtime(started);
process.stdout.write('end\n');
process.stdout.write(`${answers - before} requests, ${((seconds * 1e6 + nanos / 1e3) / (answers - before)).toFixed(2)} us each for both apps and the TCP server\n`);
process.exit();

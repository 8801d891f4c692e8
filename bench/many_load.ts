/**
 * Load of many connections over kernel TCP, a process of its own. Its argument is a `ManySetting` in JSON. It opens all connections, says how
 * many, and then carries out one order after another, a `ManyOrder` a line, each of which it answers by a `ManyReport`.
 *
 * With a rate the load is open: requests come at times of their own (a Poisson process), whether those before are answered or not, and a
 * request's latency counts from the time it came. So a server that stalls is not spared the requests that a waiting client would not have
 * made. Without one it is closed: as many are under way as the window says, on one connection after another.
 */
import { connect } from 'node:net';
import type { Socket } from 'node:net';
import { createHistogram } from 'node:perf_hooks';
import { createInterface } from 'node:readline';

export interface ManySetting {
  readonly host: string;
  readonly port: number;
  /** Source addresses, which take turns. */
  readonly localAddresses: readonly string[];
  readonly connections: number;
}

export interface ManyOrder {
  /** Requests a second that are offered; 0: as many as are answered. */
  readonly rate: number;
  /** Requests under way at once where there is no rate. */
  readonly window: number;
  readonly seconds: number;
  /** An answer that comes later is late, and a request that has waited so long for a connection is not made, ms. */
  readonly patience: number;
}

export interface ManyReport {
  /** Answers, and those of them that came while the load lasted. */
  readonly requests: number;
  readonly within: number;
  /** Requests not answered, or later than patience allows. */
  readonly late: number;
  /** Connections that the server has ended, and answers other than 2xx. */
  readonly failed: number;
  /** Latency of all requests, µs. */
  readonly p50: number;
  readonly p99: number;
  readonly p999: number;
}

/** Connections being opened at once. */
const OPENING = 128;
/** Time that answers are waited for after the end of an order, ms. */
const DRAIN_MS = 5000;
const REQUEST = 'GET / HTTP/1.1\r\nHost: bench\r\n\r\n';

class Connection {
  /** When the request under way came, ms. */
  cameAt = 0;
  /** Bytes of the answer that are still to come; 0: none is under way. */
  awaited = 0;
  socket!: Socket;
}

const setting = JSON.parse(process.argv[2] ?? '') as ManySetting;
/** Everything that is received goes here: of an answer only the length and the status count. */
const chunk = Buffer.alloc(64 * 1024);
/** Connections without a request under way, in the order in which they came to be so. */
const free: Connection[] = [];
let freeFirst = 0;
let opened = 0;
let answerBytes = 0;
let order: ManyOrder = { rate: 0, window: 0, seconds: 0, patience: 0 };
let endAt = 0;
let underWay = 0;
let requests = 0;
let within = 0;
let late = 0;
let failed = 0;
const latency = createHistogram({ lowest: 1, highest: 600_000_000, figures: 3 });

await openAll();
say({ open: free.length });
for await (const line of createInterface({ input: process.stdin })) say(await carryOut(JSON.parse(line) as ManyOrder));
process.exit(0);

async function openAll(): Promise<void> {
  await open();
  answerBytes = await lengthOfAnswer(free[0] as Connection);
  let left = setting.connections - 1;
  const openOnes = async (): Promise<void> => { while (left-- > 0) await open(); };
  await Promise.all(Array.from({ length: OPENING }, openOnes));
}

function open(): Promise<void> {
  return new Promise((resolve, reject) => {
    const connection = new Connection();
    const { host, port, localAddresses } = setting;
    const localAddress = localAddresses[opened++ % localAddresses.length];
    const take = (length: number): boolean => {
      received(connection, length);
      return true;
    };
    const socket = connection.socket = connect({ host, port, localAddress, noDelay: true, onread: { buffer: chunk, callback: take } });
    socket.once('connect', () => {
      free.push(connection);
      resolve();
    });
    socket.once('error', reject);
    socket.on('error', () => undefined).once('close', () => ended(connection));
  });
}

/** Asks once, and finds out how long an answer is: all are as long. */
async function lengthOfAnswer({ socket }: Connection): Promise<number> {
  socket.write(REQUEST);
  for (const until = performance.now() + DRAIN_MS; performance.now() < until; ) {
    await new Promise((resolve) => setTimeout(resolve, 10));
    const text = chunk.toString('latin1', 0, 4096);
    const head = text.indexOf('\r\n\r\n') + 4;
    const body = /^content-length: (\d+)/im.exec(text)?.[1];
    if (head >= 4 && body !== undefined) return head + Number(body);
  }
  throw new Error('the server does not answer, or does not say how long its answer is');
}

/** Sends a request on the connection that has been free for the longest time. False where none is free. */
function send(cameAt: number): boolean {
  const connection = takeFree();
  if (connection === undefined) return false;
  connection.cameAt = cameAt;
  connection.awaited = answerBytes;
  underWay++;
  connection.socket.write(REQUEST);
  return true;
}

function takeFree(): Connection | undefined {
  let connection: Connection | undefined;
  do connection = free[freeFirst++]; while (connection?.socket.destroyed === true);
  if (freeFirst > 4096 && freeFirst * 2 > free.length || connection === undefined) {
    free.splice(0, freeFirst);
    freeFirst = 0;
  }
  return connection;
}

function received(connection: Connection, length: number): void {
  if (connection.awaited === 0) return; // the first answer of all, of which the length was found out
  if (connection.awaited === answerBytes && chunk[9] !== 0x32) failed++;
  connection.awaited -= length;
  if (connection.awaited > 0) return;
  connection.awaited = 0;
  underWay--;
  free.push(connection);
  const now = performance.now();
  requests++;
  if (now <= endAt) within++;
  counted(now - connection.cameAt);
  if (order.rate === 0 && now < endAt) send(now);
}

function counted(taken: number): void {
  latency.record(Math.max(1, Math.round(taken * 1000)));
  if (taken > order.patience) late++;
}

function ended(connection: Connection): void {
  failed++;
  if (connection.awaited > 0) underWay--;
  connection.awaited = 0;
}

async function carryOut(given: ManyOrder): Promise<ManyReport> {
  order = given;
  requests = within = late = failed = 0;
  latency.reset();
  const beganAt = performance.now();
  endAt = beganAt + order.seconds * 1000;
  if (order.rate > 0) await offer(beganAt);
  else for (let i = 0; i < order.window && send(beganAt); i++);
  for (const until = endAt + DRAIN_MS; performance.now() < until && (performance.now() < endAt || underWay > 0); ) {
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return { requests, within, late: late + underWay, failed, p50: latency.percentile(50), p99: latency.percentile(99), p999: latency.percentile(99.9) };
}

/** Makes requests at their times, or, where every connection has one under way, in the order in which they came as soon as one is free. */
async function offer(beganAt: number): Promise<void> {
  const meanGap = 1000 / order.rate;
  const waiting: number[] = [];
  let waitingFirst = 0;
  let nextAt = beganAt;
  for (let now = performance.now(); now < endAt || waitingFirst < waiting.length; now = performance.now()) {
    for (; nextAt <= now && nextAt < endAt; nextAt -= Math.log(1 - Math.random()) * meanGap) waiting.push(nextAt);
    while (waitingFirst < waiting.length) {
      const cameAt = waiting[waitingFirst] as number;
      if (now - cameAt > order.patience) counted(now - cameAt);
      else if (!send(cameAt)) break;
      waitingFirst++;
    }
    if (waitingFirst === waiting.length) waitingFirst = waiting.length = 0;
    await new Promise((resolve) => setImmediate(resolve));
  }
}

function say(line: ManyReport | { open: number }): void {
  process.stdout.write(`${JSON.stringify(line)}\n`);
}

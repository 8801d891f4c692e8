/**
 * The app that `npm start` serves: an ordinary `node:http` request listener. Nothing in it knows what TCP it runs on.
 *
 *     GET  /              a page
 *     GET  /bytes?n=N     N bytes, always the same ones
 *     GET  /sha256?n=N    the checksum of those bytes
 *     POST /upload        the checksum of the request's body
 */
import { createHash } from 'node:crypto';
import type { IncomingMessage, RequestListener, ServerResponse } from 'node:http';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const PAGE = `<!doctype html>
<meta charset="utf-8">
<title>tcp-offload</title>
<h1>It works</h1>
<p>This page came to you from an ordinary <code>node:http</code> app.</p>
<p><a href="/bytes?n=1000000">a megabyte</a>, <a href="/sha256?n=1000000">its checksum</a></p>
`;
const MOST_BYTES = 2 ** 40;

export const app: RequestListener = (request, response) => {
  const url = new URL(request.url ?? '/', 'http://localhost');
  const route = routes.get(`${request.method} ${url.pathname}`);
  if (route === undefined) {
    answer(response, 404, 'text/plain', `There is nothing at ${url.pathname}\n`);
    return;
  }
  // A client that leaves in the middle of a transfer ends the route with an error that concerns nobody else.
  Promise.resolve(route(request, response, url)).catch(() => response.destroy());
};

type Route = (request: IncomingMessage, response: ServerResponse, url: URL) => void | Promise<void>;

const routes = new Map<string, Route>([
  ['GET /', (_request, response) => answer(response, 200, 'text/html', PAGE)],
  ['GET /bytes', sendBytes],
  ['GET /sha256', sendChecksum],
  ['POST /upload', receiveUpload],
]);

async function sendBytes(_request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const count = readCount(url);
  if (count === null) return answer(response, 400, 'text/plain', 'n wants a whole number of bytes\n');
  response.writeHead(200, { 'Content-Type': 'application/octet-stream', 'Content-Length': count });
  await pipeline(Readable.from(bytes(count)), response);
}

async function sendChecksum(_request: IncomingMessage, response: ServerResponse, url: URL): Promise<void> {
  const count = readCount(url);
  if (count === null) return answer(response, 400, 'text/plain', 'n wants a whole number of bytes\n');
  const hash = createHash('sha256');
  await pipeline(Readable.from(bytes(count)), hash);
  answer(response, 200, 'text/plain', `${hash.digest('hex')}\n`);
}

async function receiveUpload(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const hash = createHash('sha256');
  await pipeline(request, hash);
  answer(response, 200, 'text/plain', `${hash.digest('hex')}\n`);
}

function answer(response: ServerResponse, status: number, type: string, body: string): void {
  response.writeHead(status, { 'Content-Type': type, 'Content-Length': Buffer.byteLength(body) });
  response.end(body);
}

function readCount(url: URL): number | null {
  const text = url.searchParams.get('n') ?? '';
  return /^\d{1,13}$/.test(text) && Number(text) <= MOST_BYTES ? Number(text) : null;
}

/** `count` bytes, a block at a time. The block's length is prime, so that bytes in a wrong place never look right. */
export function * bytes(count: number): Generator<Buffer> {
  for (let left = count; left > 0; left -= BLOCK.length) {
    yield left < BLOCK.length ? BLOCK.subarray(0, left) : BLOCK;
  }
}

const BLOCK = Buffer.alloc(262_139);
for (let index = 0, word = 1; index < BLOCK.length; index++) {
  // xorshift32: noise, the same in every run.
  word ^= word << 13;
  word ^= word >>> 17;
  word ^= word << 5;
  BLOCK[index] = word;
}

/**
 * A static file server over MemNet (`npm start -- --app files --root DIR`): HTTP/1.1, GET and HEAD. Files are read and sent by the TCP server;
 * this thread sees the heads of the requests and writes those of the answers.
 */
import { closeSync, constants, fstatSync, openSync } from 'node:fs';
import { extname, join, normalize } from 'node:path';
import { MemNet } from '../lib/memnet.js';
import type { MemNetFlow } from '../lib/memnet.js';

/** Heads of requests are no longer than this, bytes. */
const HEAD_MOST = 16_384;
/** Open files that are kept for the next request, and how long each is taken for unchanged, ms. */
const FILES_MOST = 512;
const FRESH_MS = 1000;
/** Of one call of `sendFile`. */
const PART_BYTES = 2 ** 30;

const TYPES: Readonly<Record<string, string>> = {
  '.css': 'text/css', '.html': 'text/html; charset=utf-8', '.js': 'text/javascript', '.json': 'application/json', '.md': 'text/markdown; charset=utf-8',
  '.png': 'image/png', '.svg': 'image/svg+xml', '.txt': 'text/plain; charset=utf-8',
};

/** A file that is open, with the head of the answer that it makes. */
interface OpenFile {
  readonly descriptor: number;
  readonly size: number;
  readonly head: Buffer;
  readonly openedAt: number;
  /** Answers that are being sent from it, and one for as long as it is kept. */
  uses: number;
}

/** What is known of a connection. */
interface Connection {
  /** The beginning of a request whose end has not come. */
  head: string;
  /** What is being sent; null between answers. */
  file: OpenFile | null;
  /** Bytes of it that are still to be asked for. */
  left: number;
  /** The connection ends with this answer. */
  last: boolean;
}

type Flow = MemNetFlow<Connection>;

/** Serves the files below `root` at a port of this thread's TCP server: for as long as that is there, and the thread does nothing else. */
export async function serveFiles(root: string, port: number, onListening: () => void, onRequest: () => void): Promise<void> {
  const memnet = new MemNet<Connection>();
  const files = new Files(root);
  const server = new FileServer(files, onRequest);
  await memnet.listen({ port });
  onListening();
  const { events } = memnet;
  while (memnet.alive) {
    if (!memnet.wait()) continue;
    while (events.next()) {
      const { flow, type } = events;
      if (type === 'accept') flow.context = { head: '', file: null, left: 0, last: false };
      else if (type === 'sent') server.sent(flow);
      else if (type === 'close') files.release(flow.context.file);
      if (type === 'readable' || type === 'sent') server.readOn(flow);
    }
  }
}

class FileServer {
  private readonly files: Files;
  private readonly onRequest: () => void;

  constructor(files: Files, onRequest: () => void) {
    this.files = files;
    this.onRequest = onRequest;
  }

  /** Takes requests for as long as none is being answered: one that comes early waits in shared memory. */
  readOn(flow: Flow): void {
    const connection = flow.context;
    while (connection.file === null && !flow.closed) {
      const length = flow.peek();
      if (length === 0) break;
      const text = flow.memory.toString('latin1', flow.dataAt, flow.dataAt + length);
      const end = text.indexOf('\r\n\r\n');
      if (connection.head === '' && end >= 0) {
        flow.consume(end + 4);
        this.answer(flow, text.slice(0, end));
      } else {
        this.takePart(flow, text);
      }
    }
    if (flow.ended && connection.file === null) flow.close();
  }

  /** A head in several pieces: each is taken up to the end of the head, which may lie across two of them. */
  private takePart(flow: Flow, text: string): void {
    const connection = flow.context;
    const head = connection.head + text;
    const end = head.indexOf('\r\n\r\n', Math.max(0, connection.head.length - 3));
    flow.consume(end < 0 ? text.length : end + 4 - connection.head.length);
    connection.head = end < 0 ? head : '';
    if (Math.max(end, connection.head.length) > HEAD_MOST) this.refuse(flow, '431 Request Header Fields Too Large');
    else if (end >= 0) this.answer(flow, head.slice(0, end));
  }

  private answer(flow: Flow, head: string): void {
    this.onRequest();
    const connection = flow.context;
    const [method, target = '', version] = (head.split('\r\n', 1)[0] as string).split(' ');
    if (version !== 'HTTP/1.1' && version !== 'HTTP/1.0') return this.refuse(flow, '400 Bad Request');
    if (method !== 'GET' && method !== 'HEAD') return this.refuse(flow, '405 Method Not Allowed');
    connection.last = version === 'HTTP/1.0' || /\r\nconnection: *close/i.test(head);
    const file = this.files.open(target);
    if (file === null) return this.refuse(flow, '404 Not Found');
    if (flow.write(file.head) < file.head.length) {
      // So many others have answers on their way that there is no block left for this one.
      flow.reset();
      return;
    }
    if (method === 'HEAD' || file.size === 0) {
      if (connection.last) flow.close();
      return;
    }
    file.uses++;
    connection.file = file;
    connection.left = file.size;
    this.sendPart(flow);
  }

  private sendPart(flow: Flow): void {
    const connection = flow.context;
    const file = connection.file as OpenFile;
    const length = Math.min(connection.left, PART_BYTES);
    const offset = file.size - connection.left;
    connection.left -= length;
    // Where nothing is to be done when it is sent, there is no hurry to hear of it.
    flow.sendFile(file.descriptor, offset, length, connection.left === 0 && !connection.last);
  }

  sent(flow: Flow): void {
    const connection = flow.context;
    if (connection.left > 0) {
      this.sendPart(flow);
      return;
    }
    this.files.release(connection.file);
    connection.file = null;
    // Not before: a flow that was let go does not tell when the file may be closed.
    if (connection.last) flow.close();
  }

  private refuse(flow: Flow, status: string): void {
    flow.write(Buffer.from(`HTTP/1.1 ${status}\r\nContent-Type: text/plain\r\nContent-Length: ${status.length + 1}\r\nConnection: close\r\n\r\n${status}\n`));
    flow.end();
    for (let length = flow.peek(); length > 0; length = flow.peek()) flow.consume(length);
    flow.close();
  }
}

/** Files that are open, by the target of the request. */
class Files {
  private readonly root: string;
  private readonly known = new Map<string, OpenFile>();

  constructor(root: string) {
    this.root = root;
  }

  /** @returns null where there is no such file below the root. */
  open(target: string): OpenFile | null {
    const known = this.known.get(target);
    if (known !== undefined && performance.now() - known.openedAt < FRESH_MS) return known;
    if (known !== undefined) this.forget(target, known);
    const file = this.openNow(target);
    if (file === null) return null;
    const [oldest] = this.known;
    if (this.known.size >= FILES_MOST && oldest !== undefined) this.forget(...oldest);
    this.known.set(target, file);
    return file;
  }

  private openNow(target: string): OpenFile | null {
    let descriptor = -1;
    try {
      const path = decodeURIComponent(target.split('?', 1)[0] as string);
      if (!path.startsWith('/') || path.includes('\0')) return null;
      // Normalized from the root on, no path leads above it.
      descriptor = openSync(join(this.root, normalize(path.endsWith('/') ? `${path}index.html` : path)), constants.O_RDONLY | constants.O_NONBLOCK);
      const stat = fstatSync(descriptor);
      if (!stat.isFile()) {
        closeSync(descriptor);
        return null;
      }
      const type = TYPES[extname(path)] ?? 'application/octet-stream';
      const head = Buffer.from(`HTTP/1.1 200 OK\r\nContent-Type: ${type}\r\nContent-Length: ${stat.size}\r\n\r\n`);
      return { descriptor, size: stat.size, head, openedAt: performance.now(), uses: 1 };
    } catch {
      if (descriptor >= 0) closeSync(descriptor);
      return null;
    }
  }

  private forget(target: string, file: OpenFile): void {
    this.known.delete(target);
    this.release(file);
  }

  release(file: OpenFile | null): void {
    if (file !== null && --file.uses === 0) closeSync(file.descriptor);
  }
}

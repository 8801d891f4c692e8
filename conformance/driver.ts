/**
 * The conformance driver: the stack behind a line protocol on a Unix socket, so that foreign test tools can make socket
 * calls on it and exchange packets with it.
 *
 *     npm run --silent conformance-driver -- SOCKET [--clock real|virtual] [--full]
 *
 * It is the bare protocol core, on a virtual clock unless told otherwise; with --full it is the whole product, on the real one.
 * One connection is served; the process ends with it, on `bye`, or where nobody connects in ten seconds.
 */
import { existsSync, renameSync, rmSync } from 'node:fs';
import { createServer } from 'node:net';
import type { Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { FullSession } from './full_session.js';
import { Lines } from './request.js';
import { Session } from './session.js';

const NOBODY_CAME_MS = 10_000;
/** sun_path of unix(7), less its end. */
const SOCKET_NAME_MOST = 107;

const options = readArguments(process.argv.slice(2));
const server = createServer();
const waiting = setTimeout(stopListening, NOBODY_CAME_MS);
server.on('error', (error) => {
  process.stderr.write(`conformance-driver: ${error.message}\n`);
  process.exit(1);
});
server.once('connection', (socket) => {
  clearTimeout(waiting);
  stopListening();
  serve(socket);
});
listen(options.path);

/**
 * The socket appears under its name when it can be connected to, not between bind and listen: who waits for the name to
 * appear is not refused.
 */
function listen(path: string): void {
  const hidden = join(dirname(path), `.${process.pid}`);
  if (existsSync(path) || hidden.length > SOCKET_NAME_MOST) server.listen(path);
  else server.listen(hidden, () => renameSync(hidden, path));
}

function stopListening(): void {
  server.close();
  rmSync(options.path, { force: true });
}

function serve(socket: Socket): void {
  const lines = new Lines();
  let out = '';
  const session = new (options.full ? FullSession : Session)({
    clock: options.clock,
    write: (line) => {
      if (out === '') setImmediate(flush);
      out += `${line}\n`;
    },
    end: () => {
      flush();
      session.close();
      socket.end(() => process.exit(0));
    },
  });
  const flush = (): void => {
    if (out !== '') socket.write(out);
    out = '';
  };
  socket.setEncoding('utf8');
  socket.on('data', (text: string) => {
    for (const line of lines.take(text)) session.line(line);
    flush();
  });
  socket.on('error', () => process.exit(0));
  socket.on('close', () => process.exit(0));
}

function readArguments(given: string[]): { path: string; clock: 'real' | 'virtual'; full: boolean } {
  let path = '';
  let clock = '';
  let full = false;
  for (let i = 0; i < given.length; i++) {
    const argument = given[i]!;
    if (argument === '--clock') clock = given[++i] ?? '';
    else if (argument.startsWith('--clock=')) clock = argument.slice('--clock='.length);
    else if (argument === '--full') full = true;
    else if (argument.startsWith('--')) usage(`unknown option ${argument}`);
    else path = argument;
  }
  if (path === '') usage('no socket given');
  if (clock === '') clock = full ? 'real' : 'virtual';
  if (full && clock === 'virtual') usage('with --full the clock is the real one');
  if (clock !== 'real' && clock !== 'virtual') return usage(`no such clock: ${clock}`);
  return { path, clock, full };
}

function usage(problem: string): never {
  process.stderr.write(`${problem}\nusage: npm run --silent conformance-driver -- SOCKET [--clock real|virtual] [--full]\n`);
  process.exit(2);
}

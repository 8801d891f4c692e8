/** Programs that run in a process of their own and end by themselves. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';

/** Longer than anything here takes: a process that is still there hangs. */
const PATIENCE_MS = 60_000;

/** Runs Node with these arguments. Gives what it wrote, and how it ended where that was not as it should. */
export async function runNode(args: readonly string[], env: Record<string, string> = {}): Promise<string> {
  const child = spawn(process.execPath, ['--no-warnings', ...args], { stdio: ['ignore', 'pipe', 'pipe'], timeout: PATIENCE_MS, env: { ...process.env, ...env } });
  let output = '';
  for (const stream of [child.stdout, child.stderr]) stream.setEncoding('utf8').on('data', (text: string) => (output += text));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  if (signal !== null) output += ` ended by ${signal}`;
  return code === 0 || code === null ? output : `${output} exit ${code}`;
}

export const INDEX = new URL('../../lib/index.js', import.meta.url);

/** Runs a program that may use `TcpServer`, `attach`, `net`, `listen`, `http` and `once`. */
export function runUsing(program: string, loading: 'import' | 'require' = 'import', env: Record<string, string> = {}): Promise<string> {
  const names = 'TcpServer, attach, listen, net';
  const head = loading === 'import'
    ? `import { ${names} } from '${INDEX.href}'; import http from 'node:http'; import { once } from 'node:events';`
    : `const { ${names} } = require('${INDEX.pathname}'); const http = require('node:http'); const { once } = require('node:events');`;
  const type = loading === 'import' ? 'module' : 'commonjs';
  return runNode([`--input-type=${type}`, '-e', head + (loading === 'import' ? program : `(async () => { ${program} })();`)], env);
}

/** One request to a server of Node's on the TCP server. */
export const ROUND_TRIP = `
  const server = http.createServer((request, response) => response.end('served'));
  listen(server, { port: 0 });
  await once(server, 'listening');
  const request = http.get({ port: server.address().port, host: '127.0.0.1', createConnection: (to) => net.connect(to) });
  const [response] = await once(request, 'response');
  for await (const chunk of response) console.log(String(chunk));
`;

/**
 * The built-in client, a process of its own: asks a URL over and over on a few connections of kernel TCP, and says when
 * an answer is not as it should be.
 */
import { Agent, get } from 'node:http';

const CONNECTIONS = 8;
const PAUSE_MS = 5;
const url = process.argv[2] ?? '';
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

for (let connection = 0; connection < CONNECTIONS; connection++) ask();
// Whoever started it may be killed and cannot end it then.
process.stdin.resume().on('end', () => process.exit(0));

function ask(): void {
  get(url, { agent }, (response) => {
    if (response.statusCode !== 200) process.stderr.write(`client: ${response.statusCode} from ${url}\n`);
    response.resume().on('close', again);
  }).on('error', (error) => {
    process.stderr.write(`client: ${error.message}\n`);
    again();
  });
}

function again(): void {
  setTimeout(ask, PAUSE_MS);
}

/** What the tests against the kernel's TCP share. They need root and some commands; CI refuses to go without. */
import { createRequire } from 'node:module';
import { spawn, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import type { Hash } from 'node:crypto';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import type { Readable } from 'node:stream';
import { bytes } from '../../examples/http.js';
import { mayMakeNetworks, openNetwork } from '../../examples/support/network.js';
import type { Network } from '../../examples/support/network.js';
import { TcpServer } from '../../lib/index.js';
import type { TcpServerOptions } from '../../lib/index.js';

/** Bytes of a transfer that has to arrive intact. */
export const BULK = 200_000_000;

/** Why a test cannot run here, or false. Where CI_REQUIRE_ALL is set nothing is left out: what is missing fails the test. */
export function missing(...commands: string[]): string | false {
  if (process.env['CI_REQUIRE_ALL'] !== undefined) return false;
  if (!mayMakeNetworks()) return 'needs root';
  const absent = commands.filter((command) => spawnSync('which', [command]).status !== 0);
  return absent.length > 0 && `needs ${absent.join(', ')}`;
}

/** The package raw-socket has to be compiled, so that it is no dependency of the tests either: NODE_PATH tells where it is. */
export function rawSocketMissing(): string | false {
  try {
    createRequire(import.meta.url)('raw-socket');
    return false;
  } catch {
    return 'needs the package raw-socket (npm install raw-socket somewhere, and NODE_PATH=somewhere/node_modules)';
  }
}

/** A network with a TCP server on the namespace's end of it; the kernel's peers are at the host's end. */
export async function withServer(options: TcpServerOptions | ((network: Network) => TcpServerOptions), test: (network: Network, server: TcpServer) => Promise<void>): Promise<void> {
  const network = await openNetwork();
  try {
    const server = await TcpServer.start({
      device: `packet:${network.serverInterface}`,
      netns: network.namespace,
      address: `${network.serverAddress}/${network.prefix}`,
      gateway: network.hostAddress,
      ...(typeof options === 'function' ? options(network) : options),
    });
    try {
      await test(network, server);
    } finally {
      await server.close();
    }
  } finally {
    network.close();
  }
}

/** What a shell command says on stdout. Its own error is the error. */
export async function shell(command: string): Promise<string> {
  const child = spawn('bash', ['-o', 'pipefail', '-c', command], { stdio: ['ignore', 'pipe', 'pipe'] });
  let said = '';
  let complaint = '';
  child.stdout.setEncoding('utf8').on('data', (text: string) => { said += text; });
  child.stderr.setEncoding('utf8').on('data', (text: string) => { complaint += text; });
  const [code, signal] = await once(child, 'close') as [number | null, string | null];
  if (code !== 0) throw new Error(`${command}: ended with ${code ?? signal}: ${complaint}${said}`);
  return said.trim();
}

/** A file of `count` bytes of noise, and their checksum. */
export function noise(path: string, count: number): string {
  const hash = createHash('sha256');
  writeFileSync(path, '');
  for (const block of bytes(count)) {
    hash.update(block);
    writeFileSync(path, block, { flag: 'a' });
  }
  return hash.digest('hex');
}

/** The checksum of everything that a stream delivers until its end; the other direction stays open. */
export function digest(stream: Readable): Promise<{ sha256: string; length: number }> {
  const hash: Hash = createHash('sha256');
  let length = 0;
  stream.on('data', (chunk: Buffer) => {
    hash.update(chunk);
    length += chunk.length;
  });
  return new Promise((resolve, reject) => {
    stream.once('end', () => resolve({ sha256: hash.digest('hex'), length })).once('error', reject);
  });
}

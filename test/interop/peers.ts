/**
 * Links to a kernel whose settings a test may change: namespaces of their own, so that the machine's stay as they are.
 *
 *     TCP server in <ns>-s ── veth ── kernel peer in <ns>-p
 *     TCP server in <ns>-s ── veth ── router in <ns>-r ── veth, smaller MTU ── kernel peer in <ns>-p
 *     TCP server ── tap or tun ── kernel peer, both in <ns>-p
 */
import { execFile, execFileSync, spawn } from 'node:child_process';
import type { ChildProcessWithoutNullStreams } from 'node:child_process';
import { once } from 'node:events';
import { rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Test } from 'tap';
import { TcpServer } from '../../lib/index.js';
import type { TcpServerOptions } from '../../lib/index.js';
import type { Order, Report } from './kernel_peer.js';

const run = promisify(execFile);
const PROGRAM = fileURLToPath(new URL('./kernel_peer.js', import.meta.url));
/** The peer's address of IPv6, where it has one, and one for the TCP server. */
export const PEER6 = '2001:db8:77::1';
export const SERVER6 = '2001:db8:77::2';
let opened = 0;

export interface LinkOptions {
  /** What the link is made of; the kernel's end of a tap or tun has an address of IPv6 as well. Default 'veth'. */
  kind?: 'veth' | 'tap' | 'tun';
  /** MTU of the link to the peer; both ends, or the router's end where there is a router. Default 1500. */
  mtu?: number;
  /** Queues of both ends of a veth pair. Default 1. */
  queues?: number;
  /** There is a router between, with 1500 on the TCP server's side. Where it is silent it sends no ICMP to the TCP server. */
  router?: 'tells' | 'silent';
}

/** A link, the kernel's end of it, and how to put a TCP server on the other. */
export class Link {
  readonly serverNamespace: string;
  readonly peerNamespace: string;
  readonly serverAddress: string;
  readonly peerAddress: string;
  readonly peerInterface = 'p0';
  readonly #device: string;
  readonly #namespaces: string[];
  readonly #gateway: string | null;
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #waiting = new Map<number, (report: Report) => void>();
  #orders = 0;

  private constructor(device: string, namespaces: string[], serverAddress: string, peerAddress: string, gateway: string | null) {
    this.#device = device;
    this.#namespaces = namespaces;
    this.serverNamespace = namespaces[0]!;
    this.peerNamespace = namespaces[1] ?? namespaces[0]!;
    this.serverAddress = serverAddress;
    this.peerAddress = peerAddress;
    this.#gateway = gateway;
    this.#child = spawn('ip', ['netns', 'exec', this.peerNamespace, process.execPath, PROGRAM]);
    this.#child.stderr.pipe(process.stderr);
    createInterface({ input: this.#child.stdout }).on('line', (line) => {
      if (line === 'ready') {
        this.#child.emit('ready');
        return;
      }
      const report = JSON.parse(line) as Report;
      this.#waiting.get(report.id)?.(report);
      this.#waiting.delete(report.id);
    });
  }

  static async open({ kind = 'veth', mtu = 1500, queues = 1, router }: LinkOptions = {}): Promise<Link> {
    // As the networks of examples/support are named, so that what a killed run has left is removed by the next.
    const [s, p, r] = [0, 1, 2].map((n) => `tcpo-${process.pid}-${1000 + 3 * opened + n}`) as [string, string, string];
    opened++;
    const namespaces = kind !== 'veth' ? [p] : router === undefined ? [s, p] : [s, p, r];
    try {
      for (const namespace of namespaces) {
        await ip('netns', 'add', namespace);
        await ip('-n', namespace, 'link', 'set', 'lo', 'up');
      }
      if (kind !== 'veth') {
        await ip('-n', p, 'tuntap', 'add', 'dev', 'p0', 'mode', kind);
        await ip('-n', p, 'link', 'set', 'p0', 'mtu', String(mtu));
        await up(p, 'p0', '198.51.100.1/24');
        await ip('-n', p, 'address', 'add', `${PEER6}/64`, 'dev', 'p0', 'nodad').catch(() => undefined); // where the kernel has no IPv6
      } else if (router === undefined) {
        await joinEnds(s, 's0', p, 'p0', mtu, queues);
        await up(p, 'p0', '198.51.100.1/24');
        await up(s, 's0');
      } else {
        await joinEnds(s, 's0', r, 'r0', 1500);
        await joinEnds(r, 'r1', p, 'p0', 1500);
        await up(s, 's0');
        await up(r, 'r0', '198.51.100.1/24');
        await up(r, 'r1', '203.0.113.1/24');
        await ip('-n', r, 'link', 'set', 'r1', 'mtu', String(mtu));
        await up(p, 'p0', '203.0.113.2/24');
        await ip('-n', p, 'route', 'add', 'default', 'via', '203.0.113.1');
        await sysctl(r, { 'ipv4.ip_forward': '1' });
        // What the router itself sends to the TCP server: nothing but ICMP.
        if (router === 'silent') await ip('-n', r, 'rule', 'add', 'iif', 'lo', 'to', '198.51.100.2', 'blackhole');
      }
      const device = kind === 'veth' ? 'packet:s0' : `${kind}:p0`;
      const link = new Link(device, namespaces, '198.51.100.2', router === undefined ? '198.51.100.1' : '203.0.113.2', router === undefined ? null : '198.51.100.1');
      await once(link.#child, 'ready');
      return link;
    } catch (error) {
      remove(namespaces);
      throw error;
    }
  }

  /** Runs `test` with a TCP server on the link. Where the test fails, what went over the wire is kept, and the file is named. */
  async withServer(t: Test, options: TcpServerOptions, test: (server: TcpServer) => Promise<void>): Promise<void> {
    const pcap = join(tmpdir(), `tcp-offload-interop-${process.pid}-${opened}-${Date.now()}.pcap`);
    let completed = false;
    const server = await TcpServer.start({
      device: this.#device, netns: this.serverNamespace, address: `${this.serverAddress}/24`, gateway: this.#gateway, pcap, ...options,
    });
    try {
      await test(server);
      completed = true;
    } finally {
      await server.close();
      if (completed && t.passing()) rmSync(pcap, { force: true });
      else t.comment(`what went over the wire: ${pcap}`);
    }
  }

  /** Has the kernel's end carry out an order; its result, or an Error with its code as the message. */
  order(what: Order['what'], count = 0): Promise<string> {
    const id = this.#orders++;
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, ({ result, error }) => {
        if (result === undefined) reject(new Error(error));
        else resolve(result);
      });
      this.#child.stdin.write(`${JSON.stringify({ id, what, host: this.serverAddress, count } satisfies Order)}\n`);
    });
  }

  /** Settings of the peer's kernel, as in /proc/sys/net. */
  async set(settings: Record<string, string>): Promise<void> {
    await sysctl(this.peerNamespace, settings);
  }

  /** Takes the peer's end of the link down, or up. */
  async setUp(isUp: boolean): Promise<void> {
    await ip('-n', this.peerNamespace, 'link', 'set', this.peerInterface, isUp ? 'up' : 'down');
  }

  /** MTU of both ends; of a tap or tun of the kernel's, which is both. */
  async setMtu(mtu: number): Promise<void> {
    await ip('-n', this.peerNamespace, 'link', 'set', this.peerInterface, 'mtu', String(mtu));
    if (this.serverNamespace !== this.peerNamespace) await ip('-n', this.serverNamespace, 'link', 'set', 's0', 'mtu', String(mtu));
  }

  /** Has the far end of the TCP server's link fill in checksums, as AF_XDP wants it of veth. */
  async fillInChecksums(): Promise<void> {
    const router = this.#namespaces[2];
    const [namespace, name] = router === undefined ? [this.peerNamespace, this.peerInterface] : [router, 'r0'];
    await run('ip', ['netns', 'exec', namespace, 'ethtool', '-K', name, 'tx', 'off']);
  }

  /** A command in the TCP server's namespace, and what it says. */
  async inServer(command: string, ...args: string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', this.serverNamespace, command, ...args])).stdout;
  }

  /** A command in the peer's namespace, and what it says. */
  async inPeer(command: string, ...args: string[]): Promise<string> {
    return (await run('ip', ['netns', 'exec', this.peerNamespace, command, ...args])).stdout;
  }

  async close(): Promise<void> {
    this.#child.stdin.end();
    if (this.#child.exitCode === null) await once(this.#child, 'exit');
    remove(this.#namespaces);
  }
}

/** The promise, or an error that says what took longer than `seconds`. */
export async function within<T>(seconds: number, what: string, promise: Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`${what}: not done after ${seconds} s`)), seconds * 1000);
  });
  try {
    return await Promise.race([promise, late]);
  } finally {
    clearTimeout(timer);
  }
}

async function joinEnds(near: string, nearName: string, far: string, farName: string, mtu: number, queues = 1): Promise<void> {
  const alike = ['mtu', String(mtu), ...queues === 1 ? [] : ['numrxqueues', String(queues), 'numtxqueues', String(queues)]];
  await ip('link', 'add', nearName, 'netns', near, ...alike, 'type', 'veth', 'peer', 'name', farName, 'netns', far, ...alike);
}

async function up(namespace: string, name: string, address?: string): Promise<void> {
  if (address !== undefined) await ip('-n', namespace, 'address', 'add', address, 'dev', name);
  await ip('-n', namespace, 'link', 'set', name, 'up');
}

async function sysctl(namespace: string, settings: Record<string, string>): Promise<void> {
  const script = Object.entries(settings).map(([name, value]) => `echo '${value}' > /proc/sys/net/${name.replaceAll('.', '/')}`).join(' && ');
  await run('ip', ['netns', 'exec', namespace, 'sh', '-c', script]);
}

function remove(namespaces: readonly string[]): void {
  for (const namespace of namespaces) {
    try {
      execFileSync('ip', ['netns', 'del', namespace], { stdio: 'ignore' });
    } catch {
      // It was not made.
    }
  }
}

/** Runs `ip`; its own message is the error. */
async function ip(...args: string[]): Promise<void> {
  try {
    await run('ip', args);
  } catch (error) {
    throw new Error(`ip ${args.join(' ')}: ${(error as { stderr?: string }).stderr?.trim() ?? String(error)}`);
  }
}

/** The programs that a benchmark runs, each a process of its own that is spoken to in lines: the server under test, and what it is tested by. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { Network } from '../examples/support/network.js';
import { cpuTime } from '../examples/support/threads.js';
import type { ServerCollections, ServerMemory, ServerReady } from './server.js';
import type { Settings, Side } from './settings.js';

export const PORT = 8080;

/** A program that says a line of JSON when it is ready, and one for each line that it is sent. */
export class Program {
  private readonly child: ChildProcess;
  private readonly lines: AsyncIterator<string>;

  constructor(command: readonly string[]) {
    this.child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.lines = createInterface({ input: this.child.stdout as NodeJS.ReadableStream })[Symbol.asyncIterator]();
  }

  /** Each program in the command replaces itself by the next: the child's pid is the last one's. */
  get pid(): number {
    return this.child.pid as number;
  }

  async answer<T>(): Promise<T> {
    const { value, done } = await this.lines.next() as { value: string; done: boolean };
    if (done) throw new Error(`a program of the benchmark has ended (${this.child.exitCode ?? this.child.signalCode ?? 'it closed its output'}): ${this.child.spawnargs.join(' ')}`);
    return JSON.parse(value) as T;
  }

  ask<T>(question: string): Promise<T> {
    this.child.stdin?.write(`${question}\n`);
    return this.answer<T>();
  }

  async end(): Promise<void> {
    if (this.child.exitCode !== null || this.child.signalCode !== null) return;
    this.child.kill('SIGKILL');
    await once(this.child, 'exit');
  }
}

/** CPU in µs a piece of work, of the app's thread, and of the TCP server's: NaN where there is none. */
export interface Cost {
  readonly appCpu: number;
  readonly serverCpu: number;
  /** Garbage collections of the app's thread. */
  readonly collections: number;
}

/** Where a TCP server is. */
export interface ServerPlace {
  readonly device: string;
  /** As the option `address`. */
  readonly address: string;
  /** Of the interface; null: this machine's own. */
  readonly netns: string | null;
  /** The kernel has the address, too. */
  readonly beside: boolean;
  /** It takes only what has its checksum filled in. */
  readonly checksums?: boolean;
}

/** What is wanted of a server under test. */
export interface ServerSetting {
  /** What it runs: see server.ts. */
  readonly app: string;
  readonly side: Side;
  /** Where the TCP server is; left out: on a packet device, at the address of the network's server. */
  readonly place?: ServerPlace;
  /** Of the TCP server; left out: that of the command line. */
  readonly thread?: 'own' | undefined;
  /** Further arguments of server.ts. */
  readonly more?: readonly string[];
}

/** The server under test, in the namespace of the network. */
export class ServerUnderTest extends Program {
  private threads: ServerReady = { appThread: 0, serverThreads: [] };

  private constructor(command: readonly string[]) {
    super(command);
  }

  static async start(settings: Settings, network: Network, setting: ServerSetting): Promise<ServerUnderTest> {
    await network.setKernelOwnsAddress(setting.side === 'kernel' || setting.place?.beside === true);
    await network.setHostChecksums(setting.place?.checksums === true);
    const server = new ServerUnderTest(commandOf(settings, network, setting));
    try {
      server.threads = await server.answer<ServerReady>();
    } catch (error) {
      await server.end();
      throw error;
    }
    return server;
  }

  /** What a load costs the server. */
  async costOf<T extends { readonly requests: number }>(load: () => Promise<T>): Promise<T & Cost> {
    const { appThread, serverThreads } = this.threads;
    await this.ask('begin');
    const [appBefore, serverBefore] = [this.cpuTime([appThread]), this.cpuTime(serverThreads)];
    const found = await load();
    const perPiece = 1e-3 / found.requests;
    const [appCpu, serverCpu] = [(this.cpuTime([appThread]) - appBefore) * perPiece, (this.cpuTime(serverThreads) - serverBefore) * perPiece];
    const { collections } = await this.ask<ServerCollections>('end');
    return { ...found, appCpu, serverCpu, collections };
  }

  /** Share of a CPU that both threads take together while nobody asks for anything. */
  async idleCpu(seconds: number): Promise<number> {
    const { appThread, serverThreads } = this.threads;
    const spent = (): number => this.cpuTime([appThread, ...serverThreads]);
    const before = spent();
    await new Promise((resolve) => setTimeout(resolve, seconds * 1000));
    return (spent() - before) / (seconds * 1e9);
  }

  /** Resident bytes of the process, after a garbage collection in the main thread. */
  async residentBytes(): Promise<number> {
    return (await this.ask<ServerMemory>('memory')).resident;
  }

  /** Of all of them together, ns; NaN where there are none. */
  private cpuTime(threads: readonly number[]): number {
    return threads.length === 0 ? NaN : threads.reduce((sum, thread) => sum + cpuTime(this.pid, thread), 0);
  }
}

function commandOf({ placement, servers, ...settings }: Settings, network: Network, setting: ServerSetting): string[] {
  const { app, side, place = packetPlace(network), thread = settings.thread, more = [] } = setting;
  const program = [process.execPath, fileURLToPath(new URL('./server.js', import.meta.url)), '--net', side, '--app', app, '--port', String(PORT), ...more];
  if (side === 'kernel') return ['ip', 'netns', 'exec', network.namespace, 'taskset', '-c', placement.kernel, ...program];
  const ownCpu = thread === 'app' || placement.server === 'auto' ? [] : [String(placement.server)];
  return ['taskset', '-c', [placement.app, ...ownCpu].join(','), ...program,
    '--device', place.device, '--address', place.address, ...place.netns === null ? [] : ['--netns', place.netns],
    '--thread', thread, '--servers', String(servers), ...ownCpu.flatMap((cpu) => ['--cpu', cpu])];
}

function packetPlace({ serverInterface, serverAddress, prefix, namespace }: Network): ServerPlace {
  return { device: `packet:${serverInterface}`, address: `${serverAddress}/${prefix}`, netns: namespace, beside: false };
}

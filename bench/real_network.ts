/**
 * Two hosts on this machine, joined by a link as long and as bad as is wanted:
 *
 *     tcpn-<pid>-s                tcpn-<pid>-m                tcpn-<pid>-r
 *     sender 198.18.255.1 ──veth── left │ bridge │ right ──veth── receiver 198.18.255.2
 *
 * A host's TCP is its namespace's kernel's, with CUBIC, or a TCP server's on the same interface. No interface coalesces or
 * segments, so a loss takes one segment, whoever has sent it. Everything is removed by `close`.
 */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readdirSync } from 'node:fs';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import type { FaultOptions } from '../lib/nic/fault.js';
import type { BridgeReport, BridgeSetting } from './bridge.js';
import type { TransferReport, TransferSetting } from './transfer.js';

export type Kind = 'kernel' | 'offload';

export interface Transfer {
  readonly sender: Kind;
  readonly receiver: Kind;
  readonly flows: number;
  readonly seconds: number;
  readonly faults: FaultOptions;
}

/** What a transfer came to. */
export interface Found extends TransferReport, BridgeReport {
  /** Mb/s of all flows together. */
  readonly goodput: number;
}

const PORT = 5001;
const PREFIX = 24;
const ADDRESSES = { sender: '198.18.255.1', receiver: '198.18.255.2' } as const;
const MACS = { sender: '02:00:00:00:5e:01', receiver: '02:00:00:00:5e:02' } as const;
const NAME = /^tcpn-(\d+)-[smr]$/;
/** Bytes of send and receive buffers: several times the bandwidth-delay product. */
const BUFFER = 16 << 20;
const KERNEL = [
  'net.ipv4.tcp_no_metrics_save=1', 'net.ipv4.tcp_ecn=2',
  `net.ipv4.tcp_rmem=4096 131072 ${BUFFER}`, `net.ipv4.tcp_wmem=4096 16384 ${BUFFER}`,
];

export class RealNetwork {
  readonly #names = { sender: `tcpn-${process.pid}-s`, middle: `tcpn-${process.pid}-m`, receiver: `tcpn-${process.pid}-r` };
  readonly #children = new Set<ChildProcess>();

  /** @throws Error with what the system says where it cannot be built, or the command that is missing. */
  constructor() {
    for (const command of ['ip', 'ethtool', 'sysctl']) checkCommand(command);
    removeLeftovers();
    const { sender, middle, receiver } = this.#names;
    try {
      for (const name of [sender, middle, receiver]) {
        ip('netns', 'add', name);
        // Nothing but what is measured is on the link.
        sysctl(name, 'net.ipv6.conf.default.disable_ipv6=1');
      }
      join(middle, 'left', MACS.receiver, sender, MACS.sender);
      join(middle, 'right', MACS.sender, receiver, MACS.receiver);
      for (const name of [sender, receiver]) for (const setting of KERNEL) sysctl(name, setting);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** The namespaces, with all interfaces in them, and processes that still run. */
  close(): void {
    for (const child of this.#children) child.kill('SIGKILL');
    for (const name of Object.values(this.#names)) remove(name);
  }

  async transfer(wanted: Transfer): Promise<Found> {
    const { flows, seconds } = wanted;
    this.#own('sender', wanted.sender);
    this.#own('receiver', wanted.receiver);
    const bridge: BridgeSetting = { netns: this.#names.middle, left: 'left', right: 'right', faults: wanted.faults };
    const common = { flows, seconds, address: ADDRESSES.receiver, port: PORT, device: 'packet:veth0', buffer: BUFFER };
    const link = this.#start(null, 'bridge', bridge);
    const children = [link.child];
    try {
      await link.line();
      const receive: TransferSetting = { ...common, role: 'receive', net: wanted.receiver, ...this.#place('receiver') };
      const receiver = this.#start(wanted.receiver === 'kernel' ? receive.netns : null, 'transfer', receive);
      children.push(receiver.child);
      await receiver.line();
      const send: TransferSetting = { ...common, role: 'send', net: wanted.sender, ...this.#place('sender') };
      children.push(this.#start(wanted.sender === 'kernel' ? send.netns : null, 'transfer', send).child);
      const report = JSON.parse(await receiver.line()) as TransferReport;
      link.child.stdin?.end();
      const counts = JSON.parse(await link.line()) as BridgeReport;
      const total = report.bytes.reduce((sum, count) => sum + count, 0);
      return { ...report, ...counts, goodput: (total * 8) / report.seconds / 1e6 };
    } finally {
      await Promise.all(children.map((child) => this.#end(child)));
    }
  }

  #place(end: 'sender' | 'receiver'): { netns: string; ownAddress: string } {
    return { netns: this.#names[end], ownAddress: `${ADDRESSES[end]}/${PREFIX}` };
  }

  /** Gives a host's address to its kernel, or takes it away. */
  #own(end: 'sender' | 'receiver', kind: Kind): void {
    const name = this.#names[end];
    ip('-n', name, 'address', 'flush', 'dev', 'veth0');
    if (kind === 'kernel') ip('-n', name, 'address', 'add', `${ADDRESSES[end]}/${PREFIX}`, 'dev', 'veth0');
  }

  #start(netns: string | null, program: string, setting: BridgeSetting | TransferSetting): { child: ChildProcess; line: () => Promise<string> } {
    const command = [process.execPath, fileURLToPath(new URL(`./${program}.js`, import.meta.url)), JSON.stringify(setting)];
    if (netns !== null) command.unshift('ip', 'netns', 'exec', netns);
    const child = spawn(command[0] as string, command.slice(1), { stdio: ['pipe', 'pipe', 'inherit'] });
    this.#children.add(child);
    const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
    const line = async (): Promise<string> => {
      const next = await lines.next();
      if (next.done === true) throw new Error(`${program} ended before it had told what was waited for`);
      return next.value;
    };
    return { child, line };
  }

  async #end(child: ChildProcess): Promise<void> {
    this.#children.delete(child);
    if (child.exitCode !== null || child.signalCode !== null) return;
    child.kill('SIGKILL');
    await once(child, 'exit');
  }
}

function checkCommand(command: string): void {
  const { error } = spawnSync(command, ['--version'], { stdio: 'ignore' });
  if (error === undefined) return;
  throw new Error(`the comparison with the kernel needs the command ${command}, which is not here: install it (Debian: apt-get install iproute2 ethtool procps), or leave the comparison out with --simulated`);
}

/** A veth pair. The middle's end has the link address of the far host, so that frames to that host are to it. */
function join(middle: string, end: string, farMac: string, host: string, mac: string): void {
  ip('-n', middle, 'link', 'add', end, 'address', farMac, 'type', 'veth', 'peer', 'name', 'veth0', 'address', mac, 'netns', host);
  for (const [name, device] of [[middle, end], [host, 'veth0']] as const) {
    execFileSync('ip', ['netns', 'exec', name, 'ethtool', '-K', device, 'tso', 'off', 'gso', 'off', 'gro', 'off', 'tx', 'off'], { stdio: 'ignore' });
    ip('-n', name, 'link', 'set', device, 'up');
  }
}

function sysctl(netns: string, setting: string): void {
  execFileSync('ip', ['netns', 'exec', netns, 'sysctl', '-q', '-w', setting], { stdio: ['ignore', 'ignore', 'inherit'] });
}

function ip(...args: string[]): void {
  execFileSync('ip', args, { stdio: ['ignore', 'ignore', 'inherit'] });
}

function remove(name: string): void {
  try {
    execFileSync('ip', ['netns', 'del', name], { stdio: 'ignore' });
  } catch {
    // It was not there.
  }
}

/** Removes namespaces whose process is gone: one that was killed could not do it itself. */
function removeLeftovers(): void {
  for (const name of existsSync('/run/netns') ? readdirSync('/run/netns') : []) {
    const pid = NAME.exec(name)?.[1];
    if (pid !== undefined && !existsSync(`/proc/${pid}`)) remove(name);
  }
}

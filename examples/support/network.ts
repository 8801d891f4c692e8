/**
 * A small network on this machine to try a server on: a namespace joined to it by a veth pair.
 *
 *     this machine                           namespace tcpo-<pid>-<n>
 *     <hostInterface> 198.18.X.1/24 ──veth── <serverInterface>   server 198.18.X.2/24, which no kernel owns,
 *                                                                or which the namespace's kernel is given
 *                  and fd74:6370:6f66:X::1/64                    and fd74:6370:6f66:X::2/64, likewise
 *
 * Everything is removed by `close`; what a killed process left behind is removed at the next `open`.
 */
import { execFile, execFileSync } from 'node:child_process';
import { createServer } from 'node:net';
import type { Server } from 'node:net';
import { existsSync, readdirSync, readFileSync } from 'node:fs';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The network as a plain object, which can be passed to another thread or process. */
export interface NetworkPlan {
  readonly namespace: string;
  /** The end of the veth pair in this machine's own namespace, and its kernel's address. */
  readonly hostInterface: string;
  readonly hostAddress: string;
  /** The end in the namespace, and the address meant for the server. */
  readonly serverInterface: string;
  readonly serverAddress: string;
  readonly prefix: number;
  /** The same for IPv6. */
  readonly hostAddress6: string;
  readonly serverAddress6: string;
  readonly prefix6: number;
}

/** An interface of the host's, and the address meant for a server at its other end. */
export interface TunPlan {
  readonly interface: string;
  readonly serverAddress: string;
}

export interface Network extends NetworkPlan {
  /** Gives the server's address to the namespace's kernel (true) or takes it away from it (false, as it is at first). */
  setKernelOwnsAddress(owned: boolean): Promise<void>;
  /**
   * Whether the host's end fills in checksums of what it sends, which by default it leaves to hardware that a veth pair has not. For a server that
   * is not told of it.
   */
  setHostChecksums(filled: boolean): Promise<void>;
  /** Sees to it that the host has as many addresses of IPv4 on the network, up to 248, and returns them. */
  hostAddresses(count: number): Promise<string[]>;
  /** Has the host send from another address from now on, of which no port waits for the end of an older connection. */
  renewHostAddress(): Promise<void>;
  /** Adds a TAP or TUN interface of the host's, the other end of which is meant for a server. */
  addTun(mode: 'tap' | 'tun'): Promise<TunPlan>;
  close(): void;
}

const NAME = /^tcpo-(\d+)-\d+$/;
/** RFC 2544 sets 198.18.0.0/15 aside for tests between devices: 512 networks of 254 hosts. */
const SUBNETS = 512;
/** Unique local addresses (RFC 4193), the fourth group of which is the number of the subnet. */
const PREFIX6 = 'fd74:6370:6f66';
let opened = 0;

export async function openNetwork(): Promise<Network> {
  await requireIp();
  await removeLeftovers();
  const { subnet, subnet6, claim } = await claimSubnet();
  const id = opened++;
  const plan: NetworkPlan = {
    namespace: `tcpo-${process.pid}-${id}`,
    hostInterface: `to${process.pid}x${id}`,
    hostAddress: `${subnet}.1`,
    serverInterface: 'veth0',
    serverAddress: `${subnet}.2`,
    prefix: 24,
    hostAddress6: `${subnet6}::1`,
    serverAddress6: `${subnet6}::2`,
    prefix6: 64,
  };
  try {
    await build(plan);
  } catch (error) {
    remove(plan);
    claim.close();
    throw error;
  }
  let checksumsFilled = false;
  return Object.assign({
    setKernelOwnsAddress: (owned: boolean) => setKernelOwnsAddress(plan, owned),
    setHostChecksums: async (filled: boolean) => {
      if (filled !== checksumsFilled) await setHostChecksums(plan, filled);
      checksumsFilled = filled;
    },
    hostAddresses: (count: number) => hostAddresses(plan, count),
    renewHostAddress: () => renewHostAddress(plan),
    addTun: (mode: 'tap' | 'tun') => addTun(plan, mode),
    close: () => { remove(plan); claim.close(); },
  }, plan);
}

async function build(plan: NetworkPlan): Promise<void> {
  const { namespace, hostInterface, serverInterface } = plan;
  await ip('netns', 'add', namespace);
  await ip('link', 'add', hostInterface, 'type', 'veth', 'peer', 'name', serverInterface, 'netns', namespace);
  await ip('address', 'add', `${plan.hostAddress}/${plan.prefix}`, 'dev', hostInterface);
  await ip('link', 'set', hostInterface, 'up');
  // Where the kernel has no IPv6, the network has none.
  await ip('-6', 'address', 'add', `${plan.hostAddress6}/${plan.prefix6}`, 'dev', hostInterface, 'nodad').catch(() => undefined);
  await ip('-n', namespace, 'link', 'set', 'lo', 'up');
  await ip('-n', namespace, 'link', 'set', serverInterface, 'up');
}

async function setKernelOwnsAddress(plan: NetworkPlan, owned: boolean): Promise<void> {
  const address = `${plan.serverAddress}/${plan.prefix}`;
  const { stdout } = await ip('-n', plan.namespace, '-o', 'address', 'show', 'dev', plan.serverInterface);
  if (stdout.includes(` ${address} `) === owned) return;
  await ip('-n', plan.namespace, 'address', owned ? 'add' : 'del', address, 'dev', plan.serverInterface);
  // The host may know the other owner's link address; it is the same interface, but nothing depends on that here. Where traffic
  // makes the entry anew as often as it is flushed, ip gives up.
  await ip('neighbour', 'flush', 'dev', plan.hostInterface).catch(() => undefined);
}

async function setHostChecksums({ hostInterface }: NetworkPlan, filled: boolean): Promise<void> {
  try {
    await run('ethtool', ['-K', hostInterface, 'tx', filled ? 'off' : 'on']);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error("the command 'ethtool' is missing: install the package ethtool (apt-get install ethtool)");
  }
}

async function hostAddresses({ hostInterface, hostAddress, prefix }: NetworkPlan, count: number): Promise<string[]> {
  const more = Array.from({ length: count - 1 }, (_, i) => hostAddress.replace(/\d+$/, String(3 + i)));
  const { stdout } = await ip('-o', 'address', 'show', 'dev', hostInterface);
  for (const address of more) if (!stdout.includes(` ${address}/`)) await ip('address', 'add', `${address}/${prefix}`, 'dev', hostInterface);
  return [hostAddress, ...more];
}

/** Addresses that a host may send from, one after another. */
const SOURCES = 200;
let renewed = 0;

async function renewHostAddress(plan: NetworkPlan): Promise<void> {
  const count = 2 + (renewed++ % SOURCES);
  const address = (await hostAddresses(plan, count))[count - 1] as string;
  await ip('route', 'replace', `${plan.hostAddress.replace(/\d+$/, '0')}/${plan.prefix}`, 'dev', plan.hostInterface, 'src', address);
}

async function addTun({ hostInterface, hostAddress }: NetworkPlan, mode: 'tap' | 'tun'): Promise<TunPlan> {
  const name = `${hostInterface}${mode === 'tap' ? 'a' : 'u'}`;
  const [host, server] = (mode === 'tap' ? [251, 252] : [253, 254]).map((number) => hostAddress.replace(/\d+$/, String(number))) as [string, string];
  await ip('tuntap', 'add', 'dev', name, 'mode', mode);
  // Of the network that the veth pair has, this one address is here.
  await ip('address', 'add', host, 'peer', server, 'dev', name);
  await ip('link', 'set', name, 'up');
  return { interface: name, serverAddress: server };
}

/** Removes what `build` may have made, in a way that also works while the process exits. The veth pair goes with its namespace. */
function remove(plan: NetworkPlan): void {
  for (const args of [['link', 'del', plan.hostInterface], ['link', 'del', `${plan.hostInterface}a`], ['link', 'del', `${plan.hostInterface}u`], ['netns', 'del', plan.namespace]]) {
    try {
      execFileSync('ip', args, { stdio: 'ignore' });
    } catch {
      // It was not there.
    }
  }
}

/** Removes networks whose process is gone: one that was killed could not do it itself. */
async function removeLeftovers(): Promise<void> {
  const namespaces = existsSync('/run/netns') ? readdirSync('/run/netns') : [];
  for (const name of namespaces) {
    const pid = NAME.exec(name)?.[1];
    if (pid === undefined || isAlive(Number(pid))) continue;
    await ip('netns', 'del', name).catch(() => undefined);
  }
  const { stdout } = await ip('-o', 'link', 'show');
  for (const [, name, pid] of stdout.matchAll(/^\d+: (to(\d+)x\d+[au]?)[@:]/gm)) {
    if (!isAlive(Number(pid))) await ip('link', 'del', name ?? '').catch(() => undefined);
  }
}

/** A process that nobody has waited for yet (Z) is as gone as one that is not there. */
function isAlive(pid: number): boolean {
  try {
    return !/^State:\s+[ZX]/m.test(readFileSync(`/proc/${pid}/status`, 'latin1'));
  } catch {
    return false;
  }
}

/**
 * A /24 that nobody on this machine uses. The claim is an abstract socket: the kernel gives each name once within a
 * network namespace, and takes it back when the process ends, however it ends.
 */
async function claimSubnet(): Promise<{ subnet: string; subnet6: string; claim: Server }> {
  const { stdout } = await ip('-o', '-4', 'address', 'show');
  for (let attempt = 0; attempt < SUBNETS; attempt++) {
    const number = (process.pid + opened + attempt) % SUBNETS;
    const subnet = `198.${18 + (number >> 8)}.${number & 255}`;
    if (stdout.includes(` ${subnet}.`)) continue;
    const claim = createServer();
    const taken = await new Promise<boolean>((resolve) => {
      claim.once('error', () => resolve(true));
      claim.listen(`\0tcp-offload ${subnet}`, () => resolve(false));
    });
    if (!taken) return { subnet, subnet6: `${PREFIX6}:${number.toString(16)}`, claim: claim.unref() };
  }
  throw new Error('no free network in 198.18.0.0/15: all 512 are in use on this machine');
}

/** Runs `ip`; its own message is the error. */
async function ip(...args: string[]): Promise<{ stdout: string }> {
  try {
    return await run('ip', args);
  } catch (error) {
    const said = (error as { stderr?: string }).stderr?.trim();
    throw new Error(`ip ${args.join(' ')}: ${said === undefined || said === '' ? (error as Error).message : said}`);
  }
}

async function requireIp(): Promise<void> {
  try {
    await run('ip', ['-V']);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    throw new Error("the command 'ip' is missing: install the package iproute2 (apt-get install iproute2)");
  }
}

/** True where a process may make namespaces and open packet sockets: root, or one with its capabilities. */
export function mayMakeNetworks(): boolean {
  const effective = /^CapEff:\s*([0-9a-f]+)/m.exec(readFileSync('/proc/self/status', 'utf8'))?.[1];
  const needed = CAP_NET_ADMIN | CAP_NET_RAW | CAP_SYS_ADMIN;
  return effective !== undefined && (BigInt(`0x${effective}`) & needed) === needed;
}

const CAP_NET_ADMIN = 1n << 12n;
const CAP_NET_RAW = 1n << 13n;
const CAP_SYS_ADMIN = 1n << 21n;
